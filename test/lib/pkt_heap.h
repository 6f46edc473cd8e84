/* SPDX-License-Identifier: Apache-2.0 */
/** The packet backend of pure tests: dp/port/pkt.h on malloc.
 *
 * One thread. Every packet is an allocation of its own, so that address sanitizers see a use after
 * the last pkt_free(); without a sanitizer freed bytes are poisoned. PKT_HEAP_RECYCLE trades that
 * for speed (benchmarks).
 */
#ifndef ZK_TEST_PKT_HEAP_H
#define ZK_TEST_PKT_HEAP_H

#include "dp/port/pkt.h"

enum pkt_heap_flags {
	PKT_HEAP_RECYCLE = 1 << 0, /* keep freed packets on a list, do not poison */
};

/** Byte that fills a freed packet, and a fresh one, so that reading stale bytes shows. */
enum { PKT_HEAP_POISON = 0xa5 };

/** A pool of at most @p packets live packets with @p room_bytes behind PKT_HEADROOM.
 *  @return never NULL (aborts when malloc fails); owned by the caller. */
struct pkt_pool *pkt_heap_pool_new(uint32_t packets, uint32_t room_bytes);
struct pkt_pool *pkt_heap_pool_new_flags(uint32_t packets, uint32_t room_bytes, unsigned flags);

/** Free the pool. @return how many packets were still live (leaks: 0 is right); they are freed too,
 * so touching one afterwards is an error a sanitizer reports. */
uint32_t pkt_heap_pool_free(struct pkt_pool *pool);

/** Packets live now. */
uint32_t pkt_heap_pool_live(const struct pkt_pool *pool);

/** Change the limit: a smaller one than the live count makes pkt_alloc() fail until packets return.
 */
void pkt_heap_pool_limit(struct pkt_pool *pool, uint32_t packets);

/** References held on @p p. */
uint32_t pkt_heap_refs(const struct pkt *p);

/** A packet with @p n bytes copied from @p bytes; NULL when the pool is empty or n > room. */
struct pkt *pkt_heap_from(struct pkt_pool *pool, const void *bytes, uint32_t n);

/** A deep copy with one reference in @p pool (simulated wires); NULL as pkt_heap_from(). */
struct pkt *pkt_heap_copy(struct pkt_pool *pool, const struct pkt *p);

#endif
