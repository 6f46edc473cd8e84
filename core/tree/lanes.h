/* SPDX-License-Identifier: Apache-2.0 */
/** A queue of versions that can be loaded ahead. The next of a plain list is known only once its
 * element is there, so each would wait for memory; here entry i is in list i % TREE_LANES, and
 * taking it loads the one TREE_LANES places behind. Context of everything: the apply core.
 */
#ifndef ZK_TREE_LANES_H
#define ZK_TREE_LANES_H

#include <stdbool.h>
#include <stdint.h>

struct tree_version;

enum { TREE_LANES = 8 };

struct tree_lanes {
	struct tree_version *first[TREE_LANES], *last[TREE_LANES];
	uint64_t head, tail; /* entries taken and put, ever */
};

static inline bool tree_lanes_empty(const struct tree_lanes *q)
{
	return q->head == q->tail;
}

/** The oldest entry, NULL: none. It stays. */
static inline struct tree_version *tree_lanes_first(const struct tree_lanes *q)
{
	return q->first[q->head % TREE_LANES];
}

/** @p v is the queue's until it is taken: its field `queue`. Bound: constant, as all here. */
void tree_lanes_put(struct tree_lanes *q, struct tree_version *v);

/** Take the oldest entry, NULL: none. */
struct tree_version *tree_lanes_take(struct tree_lanes *q);

/** Load what entries half as far ahead as the queue itself is loaded have below them (`older`). */
void tree_lanes_prefetch_older(const struct tree_lanes *q);

#endif
