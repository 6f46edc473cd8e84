/* SPDX-License-Identifier: Apache-2.0 */
/** The child table of a node: slots in chunks of growing size that never move.
 *
 * Chunk k holds 4 << k slots. A child keeps its slot from creation until it is unlinked, which is
 * after the horizon has passed its deletion. So a reader that walks slot numbers at a zxid which is
 * pinned meets each child of that zxid exactly once, whatever comes and goes meanwhile: a slot that
 * is taken again holds a node that is too new for it.
 *
 * Slots are never-used (0: no used one behind it), a node, or free (odd: the next free number).
 * Written by the apply core with release, read with acquire.
 */
#ifndef ZK_TREE_KIDS_H
#define ZK_TREE_KIDS_H

#include "core/tree/alloc.h"

#include <stdatomic.h>
#include <stdint.h>

struct tree_node;

enum { TREE_KIDS_FIRST = 4, TREE_KIDS_NONE = UINT32_MAX };

struct tree_kids_chunk {
	_Atomic(struct tree_kids_chunk *) next; /* release in kids_add, acquire in kids_at */
	_Atomic uint64_t slot[];
};

struct tree_kids {
	/* apply core */
	union {
		struct tree_kids_chunk *tail;
		struct tree_kids *garbage; /* once detached */
	};
	uint32_t used; /* slots with a node */
	uint32_t high; /* slots ever used */
	uint32_t room; /* slots there are */
	uint32_t free; /* first free one + 1, 0 = none */
	/* readers; the layout of a chunk with four slots */
	_Atomic(struct tree_kids_chunk *) next;
	_Atomic uint64_t slot[TREE_KIDS_FIRST];
};

/** An empty table; NULL: no memory. */
struct tree_kids *tree_kids_new(struct tree_alloc *a);
/** Nobody can see it any more. Bound: log2 of its size. */
void tree_kids_free(struct tree_alloc *a, struct tree_kids *k);

/** Put a node into a slot and publish it. @return the slot, TREE_KIDS_NONE: no memory. */
uint32_t tree_kids_add(struct tree_alloc *a, struct tree_kids *k, struct tree_node *n);
void tree_kids_del(struct tree_kids *k, uint32_t slot);

/** More than the first chunk? */
static inline bool tree_kids_grown(const struct tree_kids *k)
{
	return k->room > TREE_KIDS_FIRST;
}

/** The slots from number @p i to the end of its chunk, *n of them; NULL behind the last chunk.
 * Reader. Bound: log2 of the table. */
const _Atomic uint64_t *tree_kids_at(const struct tree_kids *k, uint64_t i, uint64_t *n);

/** What a slot holds: the node, or NULL with *end set when no used slot follows. */
static inline struct tree_node *tree_kids_node(uint64_t slot, bool *end)
{
	*end = slot == 0;
	return slot & 1 ? NULL : (struct tree_node *)(uintptr_t)slot;
}

#endif
