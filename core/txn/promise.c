/* SPDX-License-Identifier: Apache-2.0 */
#include "core/txn/promise.h"

#include "core/base/assert.h"

struct promise {
	uint64_t zxid;
	struct tree_quota *quota;
	int64_t count, bytes;
};

enum zk_err promises_init(struct promises *s, struct tree *tree, struct zk_mem *mem, uint32_t max)
{
	*s = (struct promises){.tree = tree, .mem = mem, .size = 64};
	while (s->size < max)
		s->size *= 2;
	s->ring = zk_mem_alloc(mem, s->size * sizeof(*s->ring));
	return s->ring ? ZK_EOK : ZK_ENOMEM;
}

static struct promise *at(const struct promises *s, uint64_t i)
{
	return &s->ring[i & (s->size - 1)];
}

static void settle(struct promises *s, const struct promise *p)
{
	tree_quota_settle(s->tree, p->quota, p->count, p->bytes);
}

void promises_fini(struct promises *s)
{
	promises_drop(s, s->head);
	zk_mem_free(s->mem, s->ring, s->size * sizeof(*s->ring));
	*s = (struct promises){0};
}

void promises_make(struct promises *s, uint64_t zxid, struct zk_span path, int64_t count,
		   int64_t bytes)
{
	struct tree_quota *q;

	if (s->size == 0)
		return;
	q = tree_quota_find(s->tree, path);
	if (!q)
		return;
	zk_assert(promises_room(s, 1));
	*at(s, s->tail++) = (struct promise){zxid, q, count, bytes};
	tree_quota_promise(q, count, bytes);
}

void promises_drop(struct promises *s, uint64_t tail)
{
	while (s->tail != tail)
		settle(s, at(s, --s->tail));
}

void promises_applied(struct promises *s, uint64_t zxid)
{
	while (s->head != s->tail && at(s, s->head)->zxid <= zxid)
		settle(s, at(s, s->head++));
}
