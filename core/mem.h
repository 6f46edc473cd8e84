/* SPDX-License-Identifier: Apache-2.0 */
/** The only way core/ and dp/net/ get memory.
 *
 * A zk_mem is handed in by whoever owns the instance: huge pages, malloc with a budget, or a test
 * allocator that fails on a countdown. An instance belongs to one thread at a time.
 */
#ifndef ZK_MEM_H
#define ZK_MEM_H

#include <stddef.h>
#include <stdint.h>

struct zk_mem {
	void *(*alloc)(struct zk_mem *m,
		       size_t n); /* 16-byte aligned, contents undefined; NULL = none */
	void (*free)(struct zk_mem *m, void *p, size_t n); /* n as given to alloc */
	size_t used_bytes;                                 /* now in use */
	size_t limit_bytes;                                /* 0 = no limit */
	uint64_t failures;                                 /* allocations refused */
};

/** Allocate @p n bytes, or NULL when the budget or the backing memory is used up. Bound: constant.
 */
static inline void *zk_mem_alloc(struct zk_mem *m, size_t n)
{
	return m->alloc(m, n);
}

/** Give back what zk_mem_alloc(m, n) returned; NULL is allowed. */
static inline void zk_mem_free(struct zk_mem *m, void *p, size_t n)
{
	if (p)
		m->free(m, p, n);
}

/** A zk_mem on malloc/free with a budget. @p limit_bytes 0 = none. */
void zk_mem_init_heap(struct zk_mem *m, size_t limit_bytes);

#endif
