/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tree/index.h"

#include "core/base/assert.h"
#include "core/tree/priv.h"

#define PTR_MASK ((UINT64_C(1) << TREE_INDEX_TAG_SHIFT) - 1)

static uint64_t entry_of(uint64_t hash, const struct tree_node *n)
{
	uint64_t p = (uint64_t)(uintptr_t)n;

	zk_assert((p & ~PTR_MASK) == 0);
	return (hash & ~PTR_MASK) | p;
}

static struct tree_node *node_of(uint64_t entry)
{
	return (struct tree_node *)(uintptr_t)(entry & PTR_MASK);
}

enum zk_err tree_index_init(struct tree_index *ix, struct zk_mem *mem, size_t slots)
{
	zk_assert(slots >= TREE_INDEX_SLOTS_MIN && (slots & (slots - 1)) == 0);
	size_t n = slots / 4;
	size_t bytes = n * sizeof(struct tree_bucket) + ZK_CACHE_LINE;
	char *raw = zk_mem_alloc(mem, bytes);

	_Static_assert(sizeof(struct tree_bucket) == ZK_CACHE_LINE, "one line");
	if (!raw)
		return ZK_ENOMEM;
	memset(raw, 0, bytes);
	*ix = (struct tree_index){.mask = n - 1, .raw = raw, .raw_bytes = bytes};
	ix->buckets =
		(void *)(((uintptr_t)raw + ZK_CACHE_LINE - 1) & ~(uintptr_t)(ZK_CACHE_LINE - 1));
	return ZK_EOK;
}

/* 64 lines, of which the first holds the header. */
struct tree_bucket_block {
	struct tree_bucket_block *next;
	void *raw;
};

enum { BLOCK_BYTES = (TREE_INDEX_BLOCK + 1) * ZK_CACHE_LINE + ZK_CACHE_LINE };

static struct tree_bucket *bucket_new(struct tree_index *ix, struct zk_mem *mem)
{
	if (ix->block_left == 0) {
		char *raw = zk_mem_alloc(mem, BLOCK_BYTES);

		if (!raw)
			return NULL;
		memset(raw, 0, BLOCK_BYTES);

		struct tree_bucket_block *b = (void *)(((uintptr_t)raw + ZK_CACHE_LINE - 1) &
						       ~(uintptr_t)(ZK_CACHE_LINE - 1));

		b->raw = raw;
		b->next = ix->blocks;
		ix->blocks = b;
		ix->block_left = TREE_INDEX_BLOCK;
	}
	return (struct tree_bucket *)(void *)ix->blocks + ix->block_left--;
}

void tree_index_fini(struct tree_index *ix, struct zk_mem *mem)
{
	struct tree_bucket_block *b, *next;

	for (b = ix->blocks; b; b = next) {
		next = b->next;
		zk_mem_free(mem, b->raw, BLOCK_BYTES);
	}
	zk_mem_free(mem, ix->raw, ix->raw_bytes);
	ix->raw = NULL;
}

bool tree_index_add(struct tree_index *ix, struct zk_mem *mem, uint64_t hash, struct tree_node *n)
{
	struct tree_bucket *b = tree_index_bucket(ix, hash);

	for (;;) {
		for (unsigned i = 0; i < TREE_BUCKET_SLOTS; i++) {
			if (atomic_load_explicit(&b->slot[i], memory_order_relaxed))
				continue;
			/* partner: acquire in tree_index_find() */
			atomic_store_explicit(&b->slot[i], entry_of(hash, n), memory_order_release);
			return true;
		}
		struct tree_bucket *next = atomic_load_explicit(&b->next, memory_order_relaxed);

		if (!next) {
			next = bucket_new(ix, mem);
			if (!next)
				return false;
			/* partner: acquire in tree_index_find() */
			atomic_store_explicit(&b->next, next, memory_order_release);
		}
		b = next;
	}
}

static _Atomic uint64_t *slot_of(struct tree_bucket *b, uint64_t entry)
{
	for (; b; b = atomic_load_explicit(&b->next, memory_order_relaxed))
		for (unsigned i = 0; i < TREE_BUCKET_SLOTS; i++)
			if (atomic_load_explicit(&b->slot[i], memory_order_relaxed) == entry)
				return &b->slot[i];
	return NULL;
}

void tree_index_del(struct tree_index *ix, uint64_t hash, const struct tree_node *n)
{
	_Atomic uint64_t *slot = slot_of(tree_index_bucket(ix, hash), entry_of(hash, n));

	zk_assert(slot);
	/* nothing to order: who still sees the node is waited for */
	atomic_store_explicit(slot, 0, memory_order_relaxed);
}

struct tree_node *tree_index_find(const struct tree_index *ix, uint64_t hash, struct zk_span path)
{
	const struct tree_bucket *b = tree_index_bucket(ix, hash);

	do {
		for (unsigned i = 0; i < TREE_BUCKET_SLOTS; i++) {
			/* partner: release in tree_index_add() */
			uint64_t e = atomic_load_explicit(&b->slot[i], memory_order_acquire);

			if (e == 0 || ((e ^ hash) & ~PTR_MASK))
				continue;

			struct tree_node *n = node_of(e);

			if (n->path_len == path.n && memcmp(n->path, path.p, path.n) == 0)
				return n;
		}
		/* partner: release in tree_index_add() */
		b = atomic_load_explicit(&b->next, memory_order_acquire);
	} while (zk_unlikely(b));
	return NULL;
}

struct tree_node *tree_index_guess(const struct tree_index *ix, uint64_t hash)
{
	const struct tree_bucket *b = tree_index_bucket(ix, hash);

	for (unsigned i = 0; i < TREE_BUCKET_SLOTS; i++) {
		/* partner: release in tree_index_add() */
		uint64_t e = atomic_load_explicit(&b->slot[i], memory_order_acquire);

		if (e != 0 && ((e ^ hash) & ~PTR_MASK) == 0)
			return node_of(e);
	}
	return NULL;
}

struct tree_node *tree_index_pop(struct tree_index *ix, uint64_t i)
{
	for (struct tree_bucket *b = &ix->buckets[i]; b;
	     b = atomic_load_explicit(&b->next, memory_order_relaxed)) {
		for (unsigned k = 0; k < TREE_BUCKET_SLOTS; k++) {
			uint64_t e = atomic_load_explicit(&b->slot[k], memory_order_relaxed);

			if (e == 0)
				continue;
			atomic_store_explicit(&b->slot[k], 0, memory_order_relaxed);
			return node_of(e);
		}
	}
	return NULL;
}
