/* SPDX-License-Identifier: Apache-2.0 */
/** A struct zk_mem on memory that was had before the cores started: two-level segregated fit
 *  (Masmano et al., "TLSF: a new dynamic memory allocator for real-time systems", 2004).
 *
 * Polling cores allocate from it without asking the system; alloc and free take constant time.
 * Fragmentation can refuse an allocation although used_bytes is below the limit: size the memory
 * above the budget (an eighth is plenty).
 */
#ifndef ZK_BASE_ARENA_H
#define ZK_BASE_ARENA_H

#include "core/base/err.h"
#include "core/mem.h"

#include <stddef.h>
#include <stdint.h>

enum { ZK_ARENA_CLASSES = 64, ZK_ARENA_STEPS = 16 };

struct zk_arena_block;

struct zk_arena {
	struct zk_mem mem; /* what users are given; used_bytes counts what they asked for */
	uint64_t classes;  /* bit i: some step of class i has a free block */
	uint32_t steps[ZK_ARENA_CLASSES];
	struct zk_arena_block *free[ZK_ARENA_CLASSES][ZK_ARENA_STEPS];
	void *base;
	size_t bytes;
};

/** Cut allocations out of [base, base + n), which is borrowed for the arena's life. @p limit_bytes:
 *  budget of what users ask for, 0 = none beyond the memory itself. Context: one thread at a time.
 *  @return ZK_EOK, or ZK_EINVAL when @p n is too small to hold a block. */
ZK_MUST_USE enum zk_err zk_arena_init(struct zk_arena *a, void *base, size_t n, size_t limit_bytes);

/** The memory is going to serve something else: under AddressSanitizer, free blocks in it are no
 * longer marked. Zeros are allowed. */
void zk_arena_fini(struct zk_arena *a);

/** Largest allocation that would succeed now, bytes. Bound: constant. */
size_t zk_arena_largest(const struct zk_arena *a);

/** Walk all blocks and stop the process on the first inconsistency. For tests. Bound: all blocks.
 */
void zk_arena_check(const struct zk_arena *a);

#endif
