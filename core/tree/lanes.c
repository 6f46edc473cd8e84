/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tree/lanes.h"

#include "core/tree/priv.h"

void tree_lanes_put(struct tree_lanes *q, struct tree_version *v)
{
	unsigned i = q->tail++ % TREE_LANES;

	v->queue = NULL;
	if (q->first[i])
		q->last[i]->queue = v;
	else
		q->first[i] = v;
	q->last[i] = v;
}

struct tree_version *tree_lanes_take(struct tree_lanes *q)
{
	unsigned i = q->head % TREE_LANES;
	struct tree_version *v = q->first[i];

	if (!v)
		return NULL;
	q->first[i] = v->queue;
	tree_version_prefetch(v->queue);
	q->head++;
	return v;
}

void tree_lanes_prefetch_older(const struct tree_lanes *q)
{
	const struct tree_version *v = q->first[(q->head + TREE_LANES / 2) % TREE_LANES];

	if (v) /* own store */
		tree_version_prefetch(atomic_load_explicit(&v->older, memory_order_relaxed));
}
