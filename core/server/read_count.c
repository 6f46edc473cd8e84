/* SPDX-License-Identifier: Apache-2.0 */
/* Walking all nodes below one, some at a time (getAllChildrenNumber). */
#include "core/server/read_count.h"

enum { DEAD_SLOTS_STEP = 4096, DEPTH_FIRST = 16 };

bool count_start(struct read_count *k, struct srv *s, struct zk_span path)
{
	*k = (struct read_count){.s = s, .at = {.s = s}};
	k->cursor = zk_mem_alloc(s->conf.mem, DEPTH_FIRST * sizeof(*k->cursor));
	k->cap = k->cursor ? DEPTH_FIRST : 0;
	k->failed = !k->cursor || !count_at(k, path);
	if (k->failed)
		return false;
	k->cursor[0] = 0;
	/* Apache counts the paths that begin with "" + "/", among them the root's other name. */
	k->n = path.n == 0;
	return true;
}

void count_end(struct read_count *k)
{
	if (k->cursor)
		zk_mem_free(k->s->conf.mem, k->cursor, k->cap * sizeof(*k->cursor));
	k->cursor = NULL;
	k->cap = 0;
	build_free(&k->at);
}

bool count_at(struct read_count *k, struct zk_span path)
{
	uint8_t *p;

	k->at.n = 0;
	p = build_room(&k->at, path.n + 1); /* + 1: "" has an address too */
	if (!p)
		return false;
	if (path.n)
		memcpy(p, path.p, path.n);
	k->at.n = path.n;
	return true;
}

/** One level down. */
static bool count_push(struct read_count *k)
{
	if (k->depth + 1 == k->cap) {
		size_t bytes = k->cap * sizeof(*k->cursor);
		uint64_t *v = zk_mem_alloc(k->s->conf.mem, 2 * bytes);

		if (!v)
			return false;
		memcpy(v, k->cursor, bytes);
		zk_mem_free(k->s->conf.mem, k->cursor, bytes);
		k->cursor = v;
		k->cap *= 2;
	}
	k->cursor[++k->depth] = 0;
	return true;
}

bool count_some(struct read_count *k, uint64_t zxid, unsigned budget)
{
	struct tree_ref ref, child;
	const struct tree_node *node;

	/* the pin keeps it there */
	zk_assert(tree_find(k->s->tree, zk_span_of(k->at.p, k->at.n), zxid, &ref));
	for (unsigned i = 0; i < budget; i++) {
		struct tree_raw raw;

		if (!tree_child_next(ref, zxid, &k->cursor[k->depth], DEAD_SLOTS_STEP, &node)) {
			if (k->depth == 0)
				return true;
			k->depth--;
			zk_assert(tree_parent(ref, zxid, &ref));
			continue;
		}
		if (!node)
			continue;
		k->n++;
		zk_assert(tree_ref_at(node, zxid, &child));
		tree_raw(child, &raw);
		if (raw.children == 0)
			continue;
		if (!count_push(k)) {
			k->failed = true;
			return false;
		}
		ref = child;
	}
	k->failed = !count_at(k, tree_path(ref.node));
	return false;
}
