/* SPDX-License-Identifier: Apache-2.0 */
/** Sizes of packets, and how they are marked when one core hands them to another. */
#ifndef ZK_LOOP_PACKETS_H
#define ZK_LOOP_PACKETS_H

#include "core/base/assert.h"
#include "dp/port/pkt.h"

enum {
	PACKETS_EXTRA_BYTES = 64,  /* room of a packet beyond the MTU */
	PACKETS_RESERVE_SHARE = 8, /* of a pool stays free of connections' data: control packets */
};

/** Packets of @p mtu in a pool take so many bytes each, all told; for sizing DPDK's memory. */
static inline uint64_t loop_packet_bytes(uint16_t mtu)
{
	uint32_t room = mtu + PACKETS_EXTRA_BYTES < 2048 ? 2048 : mtu + PACKETS_EXTRA_BYTES;
	/* the descriptor, its private area, the pool's own */
	uint32_t n = room + PKT_HEADROOM + 512;
	const uint32_t page = 4096;

	/* On ordinary pages DPDK asks for whole ones for each packet that is larger than one
	 * (rte_mempool_op_calc_mem_size_helper()). */
	return n <= page ? n : (n + page - 1) / page * page;
}

/** How many packets of a pool connections' data may take. */
static inline uint32_t packets_of_data(uint32_t pool)
{
	return pool - pool / PACKETS_RESERVE_SHARE;
}

/** A packet is at least 16-byte aligned: bit 0 of a handed pointer says "transmit this". */
static inline void *packets_tag(struct pkt *p, bool transmit)
{
	zk_assert(((uintptr_t)p & 1) == 0);
	return (void *)((uintptr_t)p | (transmit ? 1u : 0u));
}

static inline bool packets_tagged(const void *handed)
{
	return (uintptr_t)handed & 1;
}

static inline struct pkt *packets_untag(void *handed)
{
	return (struct pkt *)((uintptr_t)handed & ~(uintptr_t)1);
}

#endif
