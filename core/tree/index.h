/* SPDX-License-Identifier: Apache-2.0 */
/** The hash index of the tree: full path -> node. One writer, any number of readers, no lock.
 *
 * A bucket is one cache line: seven entries of a 16-bit tag and a 48-bit pointer, and the next
 * bucket of the chain. Entries never move, so a reader never misses one that stays. The number of
 * buckets is fixed; beyond its size the table gets slower, not full.
 *
 * The writer publishes an entry with release; readers load with acquire. A removed node must stay
 * readable for a grace period.
 */
#ifndef ZK_TREE_INDEX_H
#define ZK_TREE_INDEX_H

#include "core/base/err.h"
#include "core/base/span.h"
#include "core/mem.h"

#include <stdatomic.h>
#include <stdbool.h>

struct tree_node;

enum {
	TREE_BUCKET_SLOTS = 7,
	TREE_INDEX_TAG_SHIFT = 48,
	TREE_INDEX_SLOTS_MIN = 16,
	TREE_INDEX_BLOCK = 63 /* buckets */
};

struct tree_bucket {
	_Atomic uint64_t slot[TREE_BUCKET_SLOTS]; /* 0: free */
	_Atomic(struct tree_bucket *) next;
};

struct tree_index {
	struct tree_bucket *buckets;
	uint64_t mask;
	void *raw;
	size_t raw_bytes;
	/* Chained buckets are never given back one by one, so they come in blocks of their own and
	 * do not keep the slabs' regions from emptying. */
	struct tree_bucket_block *blocks;
	unsigned block_left;
};

/** @p slots: power of two, at least TREE_INDEX_SLOTS_MIN; the table takes 16 bytes for each. */
ZK_MUST_USE enum zk_err tree_index_init(struct tree_index *ix, struct zk_mem *mem, size_t slots);
/** Frees the buckets, not the nodes. */
void tree_index_fini(struct tree_index *ix, struct zk_mem *mem);

static inline struct tree_bucket *tree_index_bucket(const struct tree_index *ix, uint64_t hash)
{
	return &ix->buckets[hash & ix->mask];
}

/** Writer. @return false: no memory for a bucket. @p n stays the caller's. */
ZK_MUST_USE bool tree_index_add(struct tree_index *ix, struct zk_mem *mem, uint64_t hash,
				struct tree_node *n);
/** Writer. @p n must be in. */
void tree_index_del(struct tree_index *ix, uint64_t hash, const struct tree_node *n);

/** The node of @p path, whatever its versions say. Bound: the chain. */
struct tree_node *tree_index_find(const struct tree_index *ix, uint64_t hash, struct zk_span path);

/** The first node whose tag is that of @p hash, in the first bucket of its chain. */
struct tree_node *tree_index_guess(const struct tree_index *ix, uint64_t hash);

/** Any node of bucket @p i: for taking the whole tree down. NULL: no more there. */
struct tree_node *tree_index_pop(struct tree_index *ix, uint64_t i);

#endif
