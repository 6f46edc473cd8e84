/* SPDX-License-Identifier: Apache-2.0 */
/* Container and TTL nodes in one list, so that the reaper finds them without a scan of the tree
 * (DataTree.containers, DataTree.ttls). A mark in the list ends a round: what is added during it
 * or was passed already lies behind. */
#include "core/tree/priv.h"

void tree_reap_init(struct tree *t)
{
	zk_list_init(&t->reap);
	zk_list_init(&t->reap_mark);
	zk_list_add_tail(&t->reap, &t->reap_mark);
}

void tree_reap_add(struct tree *t, struct tree_node *n, uint64_t owner)
{
	zk_assert(!(n->flags & TREE_NODE_REAPABLE));
	if (owner == 0 || tree_owner_is_session(owner))
		return;
	zk_list_add_tail(&t->reap, &n->eph);
	n->flags |= TREE_NODE_REAPABLE;
}

void tree_reap_del(struct tree_node *n)
{
	if (!(n->flags & TREE_NODE_REAPABLE))
		return;
	zk_list_del(&n->eph);
	n->flags &= ~(uint32_t)TREE_NODE_REAPABLE;
}

void tree_reap_begin(struct tree *t)
{
	zk_list_del(&t->reap_mark);
	zk_list_add_tail(&t->reap, &t->reap_mark);
}

const struct tree_node *tree_reap_peek(const struct tree *t)
{
	struct zk_list *first = t->reap.next;

	if (first == &t->reap_mark)
		return NULL;
	return zk_container_of(first, struct tree_node, eph);
}

void tree_reap_skip(struct tree *t)
{
	struct zk_list *first = t->reap.next;

	zk_assert(first != &t->reap_mark);
	zk_list_del(first);
	zk_list_add_tail(&t->reap, first);
}
