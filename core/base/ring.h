/* SPDX-License-Identifier: Apache-2.0 */
/** Single-producer single-consumer ring of variable-size records, the only channel between cores.
 *
 * Records are contiguous and 8-byte aligned, so they are written and parsed in place. The producer
 * publishes a batch at once; the consumer gives space back a batch at once. Full means ZK_EFULL to
 * the producer, never a dropped record.
 */
#ifndef ZK_BASE_RING_H
#define ZK_BASE_RING_H

#include "core/base/assert.h"
#include "core/base/err.h"
#include "core/mem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct zk_ring {
	/* producer's line */
	_Alignas(ZK_CACHE_LINE) uint64_t put; /* next byte to write, not yet published */
	uint64_t get_seen;                    /* consumer's position when last looked at */
	uint32_t reserved;                    /* bytes of the open reservation, header included */
	uint64_t full;                        /* reservations refused */
	_Alignas(ZK_CACHE_LINE) _Atomic uint64_t
		published; /* release by the producer, acquire by the consumer */
	/* consumer's line */
	_Alignas(ZK_CACHE_LINE) uint64_t get; /* next byte to read */
	uint64_t published_seen;
	_Alignas(ZK_CACHE_LINE) _Atomic uint64_t
		released; /* release by the consumer, acquire by the producer */
	/* constant */
	_Alignas(ZK_CACHE_LINE) uint8_t *bytes;
	uint64_t size; /* power of two */
	struct zk_mem *mem;
};

/** @p size_bytes: power of two >= 4096. The largest record is size/2 - 16 bytes
 * (zk_ring_record_max()).
 *  @return ZK_EOK or ZK_ENOMEM. */
ZK_MUST_USE enum zk_err zk_ring_init(struct zk_ring *r, struct zk_mem *mem, size_t size_bytes);
void zk_ring_fini(struct zk_ring *r);

static inline size_t zk_ring_record_max(const struct zk_ring *r)
{
	return (size_t)(r->size / 2 - 16);
}

/** Producer: room for one record of at most @p n bytes, to be written in place; NULL when full
 * (counted). One reservation at a time. @p n must be <= zk_ring_record_max(). Bound: constant. */
void *zk_ring_reserve(struct zk_ring *r, size_t n);

/** Producer: end the reservation with @p n bytes (<= reserved). Not visible before
 * zk_ring_publish(). */
void zk_ring_commit(struct zk_ring *r, size_t n);

/** Producer: make all committed records visible to the consumer. */
static inline void zk_ring_publish(struct zk_ring *r)
{
	/* partner: acquire in zk_ring_peek() */
	atomic_store_explicit(&r->published, r->put, memory_order_release);
}

/** Producer: has the consumer given back everything that was committed before @p put reached this
 * value? */
static inline bool zk_ring_given_back(const struct zk_ring *r, uint64_t put)
{
	/* partner: release in zk_ring_release() */
	return atomic_load_explicit(&r->released, memory_order_acquire) >= put;
}

/** Consumer: the next record, in place, *n its size; NULL when there is none. It stays valid until
 *  zk_ring_release(). Each call moves on to the record after. Bound: constant. */
const void *zk_ring_next(struct zk_ring *r, size_t *n);

/** Consumer: step back so that zk_ring_next() gives the last record again (back-pressure
 * downstream). Only directly after the zk_ring_next() that gave @p rec, before a release. */
void zk_ring_unget(struct zk_ring *r, const void *rec);

/** Consumer: give the space of all records read so far back to the producer. */
static inline void zk_ring_release(struct zk_ring *r)
{
	/* partner: acquire in zk_ring_reserve() */
	atomic_store_explicit(&r->released, r->get, memory_order_release);
}

/** Consumer: is there nothing to read? */
static inline bool zk_ring_empty(struct zk_ring *r)
{
	return r->get == atomic_load_explicit(&r->published, memory_order_acquire);
}

#endif
