/* SPDX-License-Identifier: Apache-2.0 */
/* Reclamation: what the horizon has passed is unlinked, and freed after a grace period. */
#include "core/tree/priv.h"

uint64_t tree_horizon(struct tree *t)
{
	uint64_t low = t->last_zxid;

	for (unsigned i = 0; i < t->n_readers; i++) {
		struct tree_reader *r = &t->readers[i];
		/* `visible` before the pins: whoever has moved on has stored its pin before.
		 * Partners: release in tree_reader_advance(), tree_pin_take(), tree_pin_drop() */
		uint64_t v = atomic_load_explicit(&r->visible, memory_order_acquire);

		low = v < low ? v : low;
		for (unsigned k = 0; k < TREE_PINS_MAX; k++) {
			v = atomic_load_explicit(&r->pins[k], memory_order_acquire);
			low = v < low ? v : low;
		}
	}
	for (unsigned i = 0; i < TREE_HOLDS_MAX; i++)
		low = t->holds[i].zxid < low ? t->holds[i].zxid : low;
	zk_assert(low >= t->horizon);
	t->horizon = low;
	return low;
}

static void garbage_version(struct tree *t, struct tree_version *v)
{
	tree_lanes_put(&t->unlinked.versions, v);
	tree_count(&t->count.garbage, 1);
}

/* No child of @p n is in sight of anybody. Give a large table back. */
static void kids_detach(struct tree *t, struct tree_node *n)
{
	/* own store */
	struct tree_kids *k = atomic_load_explicit(&n->kids, memory_order_relaxed);

	if (!k)
		return;
	zk_assert(k->used == 0);
	/* who still walks it is waited for */
	atomic_store_explicit(&n->kids, NULL, memory_order_relaxed);
	k->garbage = t->unlinked.kids;
	t->unlinked.kids = k;
	tree_count(&t->count.garbage, 1);
}

static bool kids_used(const struct tree_node *n)
{
	/* own store */
	const struct tree_kids *k = atomic_load_explicit(&n->kids, memory_order_relaxed);

	return k && k->used;
}

unsigned tree_node_unlink(struct tree *t, struct tree_node *n)
{
	unsigned done = 0;

	while (n) {
		struct tree_node *parent = n->parent;
		struct tree_version *v =
			atomic_load_explicit(&n->newest, memory_order_relaxed); /* own store */

		zk_assert((v->flags & TREE_VERSION_TOMBSTONE) && v->zxid <= t->horizon);
		zk_assert(!(n->flags & TREE_NODE_EPHEMERAL) && parent);
		if (kids_used(n)) {
			n->flags |= TREE_NODE_UNLINK_DUE;
			break;
		}
		kids_detach(t, n);
		tree_index_del(&t->index, tree_hash(t, tree_path(n)), n);

		/* own store */
		struct tree_kids *k = atomic_load_explicit(&parent->kids, memory_order_relaxed);

		tree_kids_del(k, n->slot);
		garbage_version(t, v);
		n->garbage = t->unlinked.nodes;
		t->unlinked.nodes = n;
		tree_count(&t->count.garbage, 1);
		done++;
		n = NULL;
		if (k->used == 0) {
			if (parent->flags & TREE_NODE_UNLINK_DUE)
				n = parent;
			else if (tree_kids_grown(k))
				kids_detach(t, parent);
		}
	}
	return done;
}

unsigned tree_collect(struct tree *t, unsigned budget)
{
	uint64_t horizon = tree_horizon(t);
	struct tree_version *v, *older;
	unsigned done = 0;

	tree_log_trim(&t->log, tree_log_lowest(t));
	while (done < budget && (v = tree_lanes_first(&t->retire)) != NULL && v->zxid <= horizon) {
		(void)tree_lanes_take(&t->retire);
		tree_lanes_prefetch_older(&t->retire);
		done++;
		if (v->flags & TREE_VERSION_CARRIER) {
			garbage_version(t, v);
			continue;
		}
		/* own store */
		older = atomic_load_explicit(&v->older, memory_order_relaxed);
		if (older) {
			/* partner: acquire in tree_version_at() */
			atomic_store_explicit(&v->older, NULL, memory_order_release);
			garbage_version(t, older);
		}
		if ((v->flags & TREE_VERSION_TOMBSTONE) &&
		    atomic_load_explicit(&v->node->newest, memory_order_relaxed) == v)
			done += tree_node_unlink(t, v->node);
	}
	return done;
}

struct tree_garbage *tree_garbage_take(struct tree *t)
{
	struct tree_garbage *g;

	if (tree_garbage_empty(&t->unlinked))
		return NULL;
	g = tree_alloc_get(&t->alloc, sizeof(*g));
	if (!g)
		return NULL; /* stays for the next time */
	*g = t->unlinked;
	t->unlinked = (struct tree_garbage){.nodes = NULL};
	t->batches_out++;
	return g;
}

bool tree_garbage_free(struct tree *t, struct tree_garbage *g, unsigned budget)
{
	struct tree_version *v;
	struct tree_node *n;
	struct tree_kids *k;
	int64_t freed = 0;

	for (; budget && (v = tree_lanes_take(&g->versions)) != NULL; budget--, freed++)
		tree_version_free(t, v);
	for (; (n = g->nodes) != NULL && budget; budget--, freed++) {
		g->nodes = n->garbage;
		tree_node_free(t, n);
	}
	for (; (k = g->kids) != NULL && budget; budget--, freed++) {
		g->kids = k->garbage;
		tree_kids_free(&t->alloc, k);
	}
	tree_count(&t->count.garbage, -freed);
	if (!tree_garbage_empty(g)) {
		tree_memory_note(t);
		return false;
	}
	zk_assert(t->batches_out > 0);
	t->batches_out--;
	tree_alloc_put(&t->alloc, g, sizeof(*g));
	tree_memory_note(t);
	return true;
}
