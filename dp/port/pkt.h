/* SPDX-License-Identifier: Apache-2.0 */
/** Packets as dp/net sees them.
 *
 * A struct pkt describes one contiguous buffer with headroom. The backend is chosen at link time:
 * dp/port/pkt_mbuf.c keeps it in the private area of an rte_mbuf, test/lib/pkt_heap.c on the heap.
 *
 * Ownership: whoever holds a reference. alloc gives one reference, pkt_ref adds one, pkt_free drops
 * one. The bytes may be written, and data/len moved, only while pkt_shared() is false.
 */
#ifndef ZK_PORT_PKT_H
#define ZK_PORT_PKT_H

#include "core/base/assert.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PKT_HEADROOM = 128
}; /* in front of data after pkt_alloc: Ethernet + VLAN + IPv6 + TCP with options fits */

enum pkt_flags {
	PKT_F_IP_CSUM_GOOD =
		1 << 0, /* rx: the device has verified it, and the probe trusts the device */
	PKT_F_L4_CSUM_GOOD = 1 << 1, /* rx: same for TCP/UDP */
	PKT_F_IP_CSUM_WANTED =
		1 << 2, /* tx: the device is to fill it in; only when net_conf says so */
	PKT_F_L4_CSUM_WANTED = 1 << 3, /* tx: same; the pseudo header sum is already in place */
};

struct pkt_pool; /* one per core and purpose; opaque */

struct pkt {
	uint8_t *data;      /* first valid byte */
	uint32_t len;       /* valid bytes from data */
	uint32_t flags;     /* enum pkt_flags */
	uint8_t *buf;       /* start of the buffer, headroom included */
	uint32_t buf_bytes; /* whole buffer; what a kept packet is charged at */
	uint32_t hash;      /* rx: RSS hash of the device, 0 = none */
	struct pkt *next;   /* queue link of the current owner */
	uint64_t cb[3];     /* scratch of the current owner (TCP: sequence, times) */
};
_Static_assert(sizeof(struct pkt) == 64, "one cache line");

/** A packet of length 0 with PKT_HEADROOM in front, one reference, owned by the caller; NULL when
 * the pool is empty. Context: the pool's core. Bound: constant. */
struct pkt *pkt_alloc(struct pkt_pool *pool);

/** Drop one reference; the last one returns the buffer to its pool. Any core. NULL is allowed. */
void pkt_free(struct pkt *p);

/** Add one reference. Owner core. */
void pkt_ref(struct pkt *p);

/** Does anybody else (the driver, say) still hold a reference? Owner core. */
bool pkt_shared(const struct pkt *p);

/** Buffers free now in @p pool, and in all. For budgets and for the leak check at shutdown. */
uint32_t pkt_pool_free_count(const struct pkt_pool *pool);
uint32_t pkt_pool_size(const struct pkt_pool *pool);

/** Largest payload a fresh packet of @p pool can hold behind PKT_HEADROOM, bytes. */
uint32_t pkt_pool_room(const struct pkt_pool *pool);

static inline uint32_t pkt_headroom(const struct pkt *p)
{
	return (uint32_t)(p->data - p->buf);
}

static inline uint32_t pkt_tailroom(const struct pkt *p)
{
	return p->buf_bytes - pkt_headroom(p) - p->len;
}

/** Grow at the front; the caller has checked the headroom and that the packet is not shared. */
static inline uint8_t *pkt_push(struct pkt *p, uint32_t n)
{
	zk_assert(pkt_headroom(p) >= n);
	p->data -= n;
	p->len += n;
	return p->data;
}

/** Cut @p n bytes at the front. */
static inline uint8_t *pkt_pull(struct pkt *p, uint32_t n)
{
	zk_assert(p->len >= n);
	p->data += n;
	p->len -= n;
	return p->data;
}

/** Grow at the end; returns where the new bytes go. */
static inline uint8_t *pkt_append(struct pkt *p, uint32_t n)
{
	uint8_t *end = p->data + p->len;

	zk_assert(pkt_tailroom(p) >= n);
	p->len += n;
	return end;
}

#endif
