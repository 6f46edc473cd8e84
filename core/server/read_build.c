/* SPDX-License-Identifier: Apache-2.0 */
/* A reply of unknown size. */
#include "core/server/srv_int.h"

enum { BUILD_BYTES_MAX = 1 << 30 };

void build_start(struct read_build *b, struct srv *s)
{
	*b = (struct read_build){.s = s, .p = s->scratch, .cap = SRV_SCRATCH_BYTES};
	b->n = 4 + ZK_REPLY_HEADER_BYTES;
}

void build_free(struct read_build *b)
{
	if (b->heap)
		zk_mem_free(b->s->conf.mem, b->p, b->cap);
	b->p = NULL;
	b->n = b->cap = 0;
	b->heap = false;
}

static bool build_move(struct read_build *b, size_t cap)
{
	uint8_t *p = cap <= BUILD_BYTES_MAX ? zk_mem_alloc(b->s->conf.mem, cap) : NULL;

	if (!p) {
		b->failed = true;
		return false;
	}
	if (b->n)
		memcpy(p, b->p, b->n);
	if (b->heap)
		zk_mem_free(b->s->conf.mem, b->p, b->cap);
	b->p = p;
	b->cap = cap;
	b->heap = true;
	return true;
}

bool build_own(struct read_build *b, size_t cap)
{
	if (b->failed || (b->heap && b->cap >= cap))
		return !b->failed;
	return build_move(b, cap > b->cap ? cap : b->cap);
}

uint8_t *build_room_slow(struct read_build *b, size_t n)
{
	size_t cap = b->cap ? b->cap : SRV_OUT_FIRST_BYTES;
	uint8_t *p;

	if (b->failed || n > BUILD_BYTES_MAX)
		return NULL;
	while (cap < b->n + n)
		cap *= 2;
	if (cap != b->cap && !build_move(b, cap))
		return NULL;
	p = b->p + b->n;
	b->n += n;
	return p;
}

void build_i32(struct read_build *b, int32_t v)
{
	uint8_t *p = build_room(b, 4);

	if (p)
		zk_put32(p, (uint32_t)v);
}

void build_bytes(struct read_build *b, struct zk_span v)
{
	uint8_t *p = build_room(b, 4 + v.n);

	if (!p)
		return;
	zk_put32(p, v.p ? (uint32_t)v.n : UINT32_MAX);
	if (v.p && v.n)
		memcpy(p + 4, v.p, v.n);
}

void build_stat(struct read_build *b, struct tree_ref ref)
{
	uint8_t *p = build_room(b, ZK_STAT_BYTES);
	struct jute_out out = jute_out_of(p, p ? ZK_STAT_BYTES : 0);
	struct zk_stat stat;

	if (!p)
		return;
	tree_stat(ref, &stat);
	jute_put_stat(&out, &stat);
}

void build_send(struct srv_conn *c, struct read_build *b, int32_t xid, int32_t op, uint64_t zxid,
		int32_t err)
{
	size_t body = b->n - 4 - ZK_REPLY_HEADER_BYTES;

	if (b->failed) {
		c->s->n.memory_refused++;
		conn_doom(c);
	} else {
		(void)reply_head(b->p, body, xid, zxid, err);
		out_give(c, b);
		conn_answered(c, xid, op, zxid, ZK_REPLY_HEADER_BYTES + body);
	}
	build_free(b);
}
