/* SPDX-License-Identifier: Apache-2.0 */
/** Memory of the tree: size classes on slabs up to 512 bytes, the zk_mem itself above. Apply core.
 */
#ifndef ZK_TREE_ALLOC_H
#define ZK_TREE_ALLOC_H

#include "core/base/slab.h"

#include <stdbool.h>

enum {
	TREE_ALLOC_FINE_MAX = 256, /* steps of 16 up to here, then of 32 */
	TREE_ALLOC_SLAB_MAX = 512,
	TREE_ALLOC_CLASSES = 16 + 8
};

struct tree_alloc {
	struct zk_mem *mem;
	struct zk_slab_pool pool;
	struct zk_slab slabs[TREE_ALLOC_CLASSES];
	size_t largest_chunk; /* largest child chunk so far, for the reserve */
};

void tree_alloc_init(struct tree_alloc *a, struct zk_mem *mem);
/** Everything must have been put back. */
void tree_alloc_fini(struct tree_alloc *a);

/** @p n bytes, 16-byte aligned; a larger class serves when its own and the zk_mem are dry; NULL
 * when nothing is left. Bound: number of classes. */
void *tree_alloc_get(struct tree_alloc *a, size_t n);
/** @p n as given to get; NULL is allowed. */
void tree_alloc_put(struct tree_alloc *a, void *p, size_t n);

/** Bytes of the limit that are not in use, nor kept for the ends of @p owned ephemeral nodes;
 * SIZE_MAX without a limit. */
size_t tree_alloc_left(const struct tree_alloc *a, uint64_t owned);

/** Is that less than an eighth of the limit above the reserve? */
bool tree_alloc_short(const struct tree_alloc *a, uint64_t owned);

/** Is half the reserve or more there? What a loaded tree must leave. */
bool tree_alloc_reserved(const struct tree_alloc *a);

/** Room for @p bytes of path, data and ACL not yet applied, with the reserve for deletes and
 * bookkeeping left alone, and what the ends of the sessions' @p owned nodes will take? Near the
 * limit it lays chunks by: at most a few regions. */
bool tree_alloc_room(struct tree_alloc *a, size_t bytes, size_t node_bytes, size_t version_bytes,
		     uint64_t owned);

/** Room for @p steps changes of nodes that are there, without data, beside the ends of @p owned
 * nodes? The reserve is for these. */
bool tree_alloc_steps(const struct tree_alloc *a, uint64_t steps, uint64_t owned);

#endif
