/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/snap_parse.h"

#include "core/base/assert.h"

#include <stdio.h>

void snap_parse_init(struct snap_parse *p, const struct snap_source *source,
		     const struct tree *tree, uint32_t length_max, struct zk_mem *mem)
{
	*p = (struct snap_parse){.source = *source, .tree = tree, .mem = mem};
	snap_reader_init(&p->reader, length_max);
}

void snap_parse_fini(struct snap_parse *p)
{
	zk_mem_free(p->mem, p->rest, p->rest_cap);
	p->rest = NULL;
}

struct snap_batch *snap_batch_new(struct zk_mem *mem)
{
	struct snap_batch *b = zk_mem_alloc(mem, sizeof(*b));

	if (!b)
		return NULL;
	b->bytes = zk_mem_alloc(mem, SNAP_BATCH_BYTES);
	b->cap = SNAP_BATCH_BYTES;
	b->n = 0;
	b->last = false;
	if (b->bytes)
		return b;
	zk_mem_free(mem, b, sizeof(*b));
	return NULL;
}

void snap_batch_free(struct zk_mem *mem, struct snap_batch *b)
{
	if (!b)
		return;
	zk_mem_free(mem, b->bytes, b->cap);
	zk_mem_free(mem, b, sizeof(*b));
}

static bool enlarge(struct zk_mem *mem, uint8_t **p, size_t *cap, size_t want, size_t keep)
{
	uint8_t *q;

	if (want <= *cap)
		return true;
	q = zk_mem_alloc(mem, want);
	if (!q)
		return false;
	if (keep)
		memcpy(q, *p, keep);
	zk_mem_free(mem, *p, *cap);
	*p = q;
	*cap = want;
	return true;
}

static void give_up(struct snap_batch *b, enum zk_err err, const char *why)
{
	b->err = err;
	b->last = true;
	if (why)
		snprintf(b->why, sizeof(b->why), "%s", why);
}

/* Read until the batch is full or the file has ended. @return bytes in the batch. */
static size_t fill(struct snap_parse *p, struct snap_batch *b, size_t n)
{
	while (n < b->cap && !p->eof && !b->last) {
		size_t got = 0;
		enum zk_err err =
			p->source.read(p->source.ctx, b->bytes + n, b->cap - n, &got, b->why);

		if (err != ZK_EOK)
			give_up(b, err, NULL);
		n += got;
		p->eof = got == 0;
	}
	return n;
}

void snap_node_to_load(const struct tree *t, const struct snap_node *in, struct tree_load_node *out)
{
	*out = (struct tree_load_node){.path = in->path,
				       .data = in->data,
				       .acl_key = in->acl_key,
				       .raw = {.czxid = in->stat.czxid,
					       .mzxid = in->stat.mzxid,
					       .pzxid = in->stat.pzxid,
					       .ctime = in->stat.ctime,
					       .mtime = in->stat.mtime,
					       .version = in->stat.version,
					       .cversion = in->stat.cversion,
					       .aversion = in->stat.aversion,
					       .owner = in->stat.owner}};
	tree_load_sum(t, out);
}

/* Items out of the first @p n bytes. @return how many bytes they took. */
static size_t items(struct snap_parse *p, struct snap_batch *b, size_t n)
{
	uint64_t from = p->reader.at;
	struct snap_item it;

	while (b->n < SNAP_BATCH_ITEMS && !b->last) {
		size_t off = (size_t)(p->reader.at - from);
		struct snap_batch_item *to = &b->item[b->n];
		enum snap_step step =
			snap_next(&p->reader, zk_span_of(b->bytes + off, n - off), p->eof, &it);

		if (step == SNAP_MORE)
			break;
		to->step = step;
		to->at = it.at;
		if (step == SNAP_NODE)
			snap_node_to_load(p->tree, &it.node, &to->node);
		else
			to->other = it;
		b->n++;
		b->last = step == SNAP_END || step == SNAP_BAD;
	}
	return (size_t)(p->reader.at - from);
}

void snap_parse_next(struct snap_parse *p, struct snap_batch *b)
{
	size_t n, used;

	b->n = 0;
	b->last = false;
	b->err = ZK_EOK;
	b->why[0] = 0;
	if (!enlarge(p->mem, &b->bytes, &b->cap, p->rest_n, 0)) {
		give_up(b, ZK_ENOMEM, "out of memory");
		return;
	}
	if (p->rest_n)
		memcpy(b->bytes, p->rest, p->rest_n);
	n = p->rest_n;
	for (;;) {
		n = fill(p, b, n);
		if (b->last)
			return;
		used = items(p, b, n);
		if (b->n || b->last)
			break;
		/* One item is larger than all this. */
		zk_assert(!p->eof);
		if (!enlarge(p->mem, &b->bytes, &b->cap, 2 * b->cap, n)) {
			give_up(b, ZK_ENOMEM, "out of memory");
			return;
		}
	}
	p->rest_n = n - used;
	if (!enlarge(p->mem, &p->rest, &p->rest_cap, p->rest_n, 0)) {
		give_up(b, ZK_ENOMEM, "out of memory");
		return;
	}
	if (p->rest_n)
		memcpy(p->rest, b->bytes + used, p->rest_n);
}
