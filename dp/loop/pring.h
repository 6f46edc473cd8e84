/* SPDX-License-Identifier: Apache-2.0 */
/** Single-producer single-consumer ring of pointers: packets between client cores, garbage to and
 * from the reclaimer. Full means false to the producer, who keeps the pointer.
 *
 * Every push is visible at once: the batches here are small and the partner is usually asleep or
 * spinning on it.
 */
#ifndef ZK_LOOP_PRING_H
#define ZK_LOOP_PRING_H

#include "core/base/assert.h"
#include "core/base/err.h"
#include "core/mem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct pring {
	/* producer's line */
	_Alignas(ZK_CACHE_LINE) uint64_t get_seen;
	_Atomic uint64_t full;                        /* pushes refused; relaxed, producer writes */
	_Alignas(ZK_CACHE_LINE) _Atomic uint64_t put; /* release by the producer */
	/* consumer's line */
	_Alignas(ZK_CACHE_LINE) uint64_t put_seen;
	_Alignas(ZK_CACHE_LINE) _Atomic uint64_t get; /* release by the consumer */
	/* constant */
	_Alignas(ZK_CACHE_LINE) void **slot;
	uint32_t slots; /* power of two */
	struct zk_mem *mem;
};

/** @p slots: power of two. Main thread. @return ZK_EOK or ZK_ENOMEM. */
ZK_MUST_USE static inline enum zk_err pring_init(struct pring *r, struct zk_mem *mem,
						 uint32_t slots)
{
	zk_assert(slots >= 2 && (slots & (slots - 1)) == 0);
	memset(r, 0, sizeof(*r));
	r->slot = zk_mem_alloc(mem, slots * sizeof(void *));
	if (!r->slot)
		return ZK_ENOMEM;
	r->slots = slots;
	r->mem = mem;
	return ZK_EOK;
}

/** The caller has emptied it. NULL slots (never initialised) are allowed. Main thread. */
static inline void pring_fini(struct pring *r)
{
	if (r->slot)
		zk_mem_free(r->mem, r->slot, r->slots * sizeof(void *));
	r->slot = NULL;
}

/** Producer: hand @p p over. @return false: full, counted, @p p stays the caller's. */
ZK_MUST_USE static inline bool pring_push(struct pring *r, void *p)
{
	uint64_t put = atomic_load_explicit(&r->put, memory_order_relaxed); /* own */

	if (put - r->get_seen == r->slots) {
		/* partner: release in pring_pop() */
		r->get_seen = atomic_load_explicit(&r->get, memory_order_acquire);
		if (put - r->get_seen == r->slots) {
			atomic_store_explicit(
				&r->full, atomic_load_explicit(&r->full, memory_order_relaxed) + 1,
				memory_order_relaxed);
			return false;
		}
	}
	r->slot[put & (r->slots - 1)] = p;
	/* partner: acquire in pring_peek() */
	atomic_store_explicit(&r->put, put + 1, memory_order_release);
	return true;
}

/** Consumer: the oldest pointer, still in the ring; NULL when there is none. */
static inline void *pring_peek(struct pring *r)
{
	uint64_t get = atomic_load_explicit(&r->get, memory_order_relaxed); /* own */

	if (get == r->put_seen) {
		/* partner: release in pring_push() */
		r->put_seen = atomic_load_explicit(&r->put, memory_order_acquire);
		if (get == r->put_seen)
			return NULL;
	}
	return r->slot[get & (r->slots - 1)];
}

/** Consumer: take the oldest pointer; NULL when there is none. */
static inline void *pring_pop(struct pring *r)
{
	void *p = pring_peek(r);

	if (p) /* partner: acquire in pring_push() */
		atomic_store_explicit(&r->get,
				      atomic_load_explicit(&r->get, memory_order_relaxed) + 1,
				      memory_order_release);
	return p;
}

#endif
