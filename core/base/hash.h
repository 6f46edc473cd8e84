/* SPDX-License-Identifier: Apache-2.0 */
/** SipHash, the keyed hash for everything a stranger can choose the input of
 *  (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012). */
#ifndef ZK_BASE_HASH_H
#define ZK_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct zk_hash_key {
	uint64_t k0, k1;
};

/** SipHash-1-3: hash tables. Bound: linear in @p n. */
uint64_t zk_hash13(const struct zk_hash_key *key, const void *p, size_t n);

/** SipHash-2-4: initial sequence numbers and cookies. Bound: linear in @p n. */
uint64_t zk_hash24(const struct zk_hash_key *key, const void *p, size_t n);

/** A cheap bijection of 64 bits, for keys that are already random (splitmix64's finaliser). */
static inline uint64_t zk_mix64(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

#endif
