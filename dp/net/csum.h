/* SPDX-License-Identifier: Apache-2.0 */
/** Internet checksum (RFC 1071).
 *
 * Sums are kept unfolded in 64 bits and in memory order, so they can be stored with memcpy on any
 * machine and added in any order.
 */
#ifndef ZK_NET_CSUM_H
#define ZK_NET_CSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** @p sum plus the @p n bytes at @p p, which start at an even offset of the summed data. Bound:
 * linear in @p n, which must be below 4 GiB. */
uint64_t csum_add(uint64_t sum, const void *p, size_t n);

/** To 16 bits, not inverted. */
static inline uint16_t csum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/** The field's value for a packet that sums to @p sum with the field zero; in memory order. */
static inline uint16_t csum_finish(uint64_t sum)
{
	return (uint16_t)~csum_fold(sum);
}

/** Does a packet, checksum field included, sum to the right value? */
static inline int csum_ok(uint64_t sum)
{
	return csum_fold(sum) == 0xffff;
}

/** A host-order 16-bit number as it counts in a sum. */
static inline uint64_t csum_of16(uint16_t host_order)
{
	uint8_t b[2] = {(uint8_t)(host_order >> 8), (uint8_t)host_order};
	uint16_t v;

	memcpy(&v, b, sizeof(v));
	return v;
}

#endif
