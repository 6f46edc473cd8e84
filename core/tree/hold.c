/* SPDX-License-Identifier: Apache-2.0 */
/* Holds: the state at one zxid kept for another thread, on the apply core's word. */
#include "core/tree/priv.h"

enum { STRAINED_GROWN_SHARE = 4 };

void tree_holds_init(struct tree *t)
{
	for (unsigned i = 0; i < TREE_HOLDS_MAX; i++)
		t->holds[i].zxid = TREE_PIN_FREE;
}

/* What the tree takes: without a limit tree_alloc_left() says nothing. */
static size_t in_use(const struct tree *t)
{
	size_t free = zk_slab_pool_free_bytes(&t->alloc.pool);

	return t->mem->used_bytes > free ? t->mem->used_bytes - free : 0;
}

int tree_hold_take(struct tree *t)
{
	zk_assert(!t->open);
	for (int i = 0; i < TREE_HOLDS_MAX; i++) {
		if (t->holds[i].zxid != TREE_PIN_FREE)
			continue;
		t->holds[i] = (struct tree_hold){.zxid = t->last_zxid, .used_then = in_use(t)};
		return i;
	}
	return -1;
}

uint64_t tree_hold_zxid(const struct tree *t, int hold)
{
	zk_assert(hold >= 0 && hold < TREE_HOLDS_MAX && t->holds[hold].zxid != TREE_PIN_FREE);
	return t->holds[hold].zxid;
}

void tree_hold_drop(struct tree *t, int hold)
{
	(void)tree_hold_zxid(t, hold);
	t->holds[hold].zxid = TREE_PIN_FREE;
}

size_t tree_hold_grown(const struct tree *t, int hold)
{
	size_t now = in_use(t);

	(void)tree_hold_zxid(t, hold);
	return now > t->holds[hold].used_then ? now - t->holds[hold].used_then : 0;
}

bool tree_hold_strained(const struct tree *t, int hold)
{
	/* own store */
	uint64_t owned = atomic_load_explicit(&t->count.ephemerals, memory_order_relaxed);

	return tree_alloc_short(&t->alloc, owned) &&
	       tree_hold_grown(t, hold) >= tree_alloc_left(&t->alloc, owned) / STRAINED_GROWN_SHARE;
}
