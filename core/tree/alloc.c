/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tree/alloc.h"

#include "core/base/assert.h"

enum {
	/* What a small write costs beside its own bytes: a node, its version, the parent's new
	 * version, index and child slots, change records. A transaction has at least 40 bytes. */
	COST_FACTOR = 12,
	COST_KNEE_BYTES = 65536, /* above it the bytes are mostly data */
	SPARE_OBJS = 256,
	/* A change of a node that is there: its new version and its parent's, and one record. */
	STEP_BYTES = 448,
	STEP_DIRECT_BYTES = 64,
	STEPS_MIN_BYTES = 8 * ZK_SLAB_CHUNK_BYTES, /* each size class fills a chunk of its own */
	STEPS_MIN_DIRECT_BYTES = 64 << 10,         /* segments of the change log */
	PLENTY = 4, /* with so many times the need left, fragments do not matter */
	REGIONS_A_TIME = 4 /* added at once: bound */,
	RESERVE_MIN_BYTES = 2 * ZK_SLAB_REGION_BYTES,
	RESERVE_SHARE = 32,
	SHORT_SHARE = 8,
	RESERVE_DIRECT_BYTES = 256 << 10,
	RESERVE_MAX_BYTES = 256 << 20
};

static unsigned class_of(size_t n)
{
	if (n <= TREE_ALLOC_FINE_MAX)
		return (unsigned)((n + 15) / 16) - 1;
	return 16 + (unsigned)((n - TREE_ALLOC_FINE_MAX + 31) / 32) - 1;
}

static size_t class_bytes(unsigned c)
{
	return c < 16 ? (c + 1) * 16u : TREE_ALLOC_FINE_MAX + (c - 15) * 32u;
}

void tree_alloc_init(struct tree_alloc *a, struct zk_mem *mem)
{
	*a = (struct tree_alloc){.mem = mem};
	zk_slab_pool_init(&a->pool, mem);
	for (unsigned c = 0; c < TREE_ALLOC_CLASSES; c++)
		zk_slab_init(&a->slabs[c], &a->pool, class_bytes(c));
}

void tree_alloc_fini(struct tree_alloc *a)
{
	for (unsigned c = 0; c < TREE_ALLOC_CLASSES; c++)
		zk_slab_fini(&a->slabs[c]);
	zk_slab_pool_fini(&a->pool);
}

void *tree_alloc_get(struct tree_alloc *a, size_t n)
{
	zk_assert(n > 0);
	if (n > TREE_ALLOC_SLAB_MAX)
		return zk_mem_alloc(a->mem, n);
	for (unsigned c = class_of(n); c < TREE_ALLOC_CLASSES; c++) {
		void *p = zk_slab_get(&a->slabs[c]);

		if (zk_likely(p))
			return p;
	}
	return NULL;
}

void tree_alloc_put(struct tree_alloc *a, void *p, size_t n)
{
	if (n > TREE_ALLOC_SLAB_MAX)
		zk_mem_free(a->mem, p, n);
	else
		zk_slab_put(p);
}

static size_t spare(const struct tree_alloc *a, size_t n)
{
	size_t objs = 0;

	if (n > TREE_ALLOC_SLAB_MAX)
		return 0;
	for (unsigned c = class_of(n); c < TREE_ALLOC_CLASSES; c++)
		objs += a->slabs[c].free_objs;
	return objs;
}

/* For what comes from the zk_mem directly: log segments, and the next chunk of the largest child
 * table. */
static size_t reserve_direct(const struct tree_alloc *a)
{
	return RESERVE_DIRECT_BYTES + 2 * a->largest_chunk;
}

static size_t reserve(const struct tree_alloc *a)
{
	size_t r = a->mem->limit_bytes / RESERVE_SHARE;

	if (r < RESERVE_MIN_BYTES)
		r = RESERVE_MIN_BYTES;
	if (r > RESERVE_MAX_BYTES)
		r = RESERVE_MAX_BYTES;
	return r + reserve_direct(a);
}

/* What the ends of @p owned nodes will take: whoever owns them may end at any time. */
static size_t owed(uint64_t owned)
{
	return (size_t)owned * STEP_BYTES;
}

static size_t owed_direct(uint64_t owned)
{
	return (size_t)owned * STEP_DIRECT_BYTES;
}

size_t tree_alloc_left(const struct tree_alloc *a, uint64_t owned)
{
	const struct zk_mem *m = a->mem;
	size_t kept = owed(owned) + owed_direct(owned), left;

	if (m->limit_bytes == 0)
		return SIZE_MAX;
	left = (m->limit_bytes > m->used_bytes ? m->limit_bytes - m->used_bytes : 0) +
	       zk_slab_pool_free_bytes(&a->pool);
	return left > kept ? left - kept : 0;
}

bool tree_alloc_short(const struct tree_alloc *a, uint64_t owned)
{
	return tree_alloc_left(a, owned) < a->mem->limit_bytes / SHORT_SHARE + reserve(a);
}

bool tree_alloc_room(struct tree_alloc *a, size_t bytes, size_t node_bytes, size_t version_bytes,
		     uint64_t owned)
{
	const struct zk_mem *m = a->mem;
	size_t knee = bytes < COST_KNEE_BYTES ? bytes : COST_KNEE_BYTES;
	size_t base = reserve(a) - reserve_direct(a) + owed(owned);
	size_t small = COST_FACTOR * knee + base;
	size_t direct = bytes + reserve_direct(a) + owed_direct(owned);

	if (m->limit_bytes == 0)
		return true;

	size_t left = m->limit_bytes > m->used_bytes ? m->limit_bytes - m->used_bytes : 0;

	if (left / PLENTY >= small + direct) {
		(void)zk_slab_pool_keep(&a->pool, 0, 0);
		return true;
	}
	/* Near the limit only chunks in hand count, for large objects leave fragments that no
	 * region fits in. */
	size_t regions = left > direct ? (left - direct) / ZK_SLAB_REGION_BYTES : 0;
	bool some = regions > REGIONS_A_TIME;
	bool have = zk_slab_pool_keep(&a->pool, small, some ? REGIONS_A_TIME : (unsigned)regions);

	left = m->limit_bytes > m->used_bytes ? m->limit_bytes - m->used_bytes : 0;
	if (left < direct)
		return false;
	if (have || (some && left + zk_slab_pool_free_bytes(&a->pool) >= small + direct))
		return true; /* the rest with the next ones */
	/* nothing new to be had, but holes that fit, and half the reserve for the rest */
	return node_bytes <= TREE_ALLOC_SLAB_MAX &&
	       zk_slab_pool_free_bytes(&a->pool) >= base / 2 + owed(owned) / 2 &&
	       spare(a, node_bytes) >= SPARE_OBJS + bytes / 40 &&
	       spare(a, version_bytes) >= SPARE_OBJS + bytes / 20;
}

bool tree_alloc_steps(const struct tree_alloc *a, uint64_t steps, uint64_t owned)
{
	const struct zk_mem *m = a->mem;
	size_t small = owed(steps + owned) + STEPS_MIN_BYTES;
	size_t direct = owed_direct(steps + owned) + STEPS_MIN_DIRECT_BYTES;

	if (m->limit_bytes == 0)
		return true;

	size_t left = m->limit_bytes > m->used_bytes ? m->limit_bytes - m->used_bytes : 0;

	if (left < direct)
		return false;
	return zk_slab_pool_free_bytes(&a->pool) + (left - direct) / ZK_SLAB_REGION_BYTES *
							   ZK_SLAB_REGION_CHUNKS *
							   ZK_SLAB_CHUNK_BYTES >=
	       small;
}

bool tree_alloc_reserved(const struct tree_alloc *a)
{
	const struct zk_mem *m = a->mem;
	size_t left;

	if (m->limit_bytes == 0)
		return true;
	left = m->limit_bytes > m->used_bytes ? m->limit_bytes - m->used_bytes : 0;
	return left + zk_slab_pool_free_bytes(&a->pool) >= reserve(a) / 2;
}
