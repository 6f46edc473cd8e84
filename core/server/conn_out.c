/* SPDX-License-Identifier: Apache-2.0 */
/* Output: into TCP's tail when it fits, else into a spill buffer that TCP drains. */
#include "core/server/srv_int.h"

enum { OUT_BYTES_MAX = 1 << 30 };

/** Room for @p n bytes behind what is spilled. */
static uint8_t *spill_room(struct srv_conn *c, size_t n)
{
	struct conn_out *o = &c->out;
	size_t need = (size_t)o->n + n, cap = o->cap;
	uint8_t *p;

	if (o->p && (size_t)o->cap - o->head >= need)
		return o->p + o->head + o->n;
	if (o->p && cap >= need && o->head >= cap / 2) { /* pays for its copy */
		memmove(o->p, o->p + o->head, o->n);
		o->head = 0;
		return o->p + o->n;
	}
	if (need > OUT_BYTES_MAX)
		return NULL;
	for (cap = cap ? cap : SRV_OUT_FIRST_BYTES; cap < need;)
		cap *= 2;
	if (o->p && cap == o->cap)
		cap *= 2;
	p = zk_mem_alloc(c->s->conf.mem, cap);
	if (!p)
		return NULL;
	if (o->p && o->n)
		memcpy(p, o->p + o->head, o->n);
	zk_mem_free(c->s->conf.mem, o->p, o->cap);
	*o = (struct conn_out){.p = p, .n = o->n, .cap = (uint32_t)cap};
	return p + o->n;
}

uint8_t *out_room_slow(struct srv_conn *c, size_t n)
{
	uint8_t *p = spill_room(c, n);

	if (!p) {
		c->s->n.memory_refused++;
		conn_doom(c);
	}
	return p;
}

void out_done_slow(struct srv_conn *c, size_t n)
{
	bool first = c->out.n == 0;

	c->out.n += (uint32_t)n;
	zk_assert(c->out.head + c->out.n <= c->out.cap);
	if (first)
		(void)out_drain(c);
}

void out_put(struct srv_conn *c, const void *p, size_t n)
{
	const uint8_t *from = p;
	uint8_t *to;

	if (n == 0 || c->doomed)
		return;
	if (c->out.n == 0) {
		size_t took;

		to = n <= 1024 ? c->s->io.tail(c->t, n) : NULL;
		if (to) {
			memcpy(to, from, n);
			c->s->io.tail_commit(c->t, n);
			return;
		}
		took = c->s->io.write(c->t, from, n);
		zk_assert(took <= n);
		from += took;
		n -= took;
		if (n == 0)
			return;
	}
	to = out_room_slow(c, n);
	if (!to)
		return;
	memcpy(to, from, n);
	c->out.n += (uint32_t)n;
}

void out_give(struct srv_conn *c, struct read_build *b)
{
	if (c->out.n || !b->heap || c->doomed || b->cap > OUT_BYTES_MAX) {
		out_put(c, b->p, b->n);
		return;
	}
	c->out = (struct conn_out){.p = b->p, .n = (uint32_t)b->n, .cap = (uint32_t)b->cap};
	*b = (struct read_build){.s = b->s};
	(void)out_drain(c);
}

bool out_drain(struct srv_conn *c)
{
	struct conn_out *o = &c->out;

	if (o->n) {
		size_t took = c->s->io.write(c->t, o->p + o->head, o->n);

		zk_assert(took <= o->n);
		o->head += (uint32_t)took;
		o->n -= (uint32_t)took;
	}
	if (o->n)
		return false;
	out_free(c);
	return true;
}

void out_free(struct srv_conn *c)
{
	zk_mem_free(c->s->conf.mem, c->out.p, c->out.cap);
	c->out = (struct conn_out){0};
}

bool out_overrun(struct srv_conn *c)
{
	if (c->out.n <= c->s->conf.out_spill_bytes_max)
		return false;
	c->s->n.conns_overrun++;
	conn_doom(c);
	return true;
}

void reply_send(struct srv_conn *c, int32_t xid, uint64_t zxid, int32_t err, struct zk_span body)
{
	uint8_t head[4 + ZK_REPLY_HEADER_BYTES];

	if (body.n == 0 || body.n > 1024) {
		(void)reply_head(head, body.n, xid, zxid, err);
		out_put(c, head, sizeof(head));
		out_put(c, body.p, body.n);
	} else {
		bool spilled;
		uint8_t *p = out_room(c, sizeof(head) + body.n, &spilled);

		if (!p)
			return;
		memcpy(reply_head(p, body.n, xid, zxid, err), body.p, body.n);
		out_done(c, sizeof(head) + body.n, spilled);
	}
}
