/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/hash.h"

#include <string.h>

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotl(uint64_t x, int b)
{
	return (x << b) | (x >> (64 - b));
}

static inline void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotl(s->v1, 13) ^ s->v0;
	s->v3 = rotl(s->v3, 16) ^ s->v2;
	s->v0 = rotl(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotl(s->v1, 17) ^ s->v2;
	s->v3 = rotl(s->v3, 21) ^ s->v0;
	s->v2 = rotl(s->v2, 32);
}

static inline uint64_t sip(const struct zk_hash_key *key, const uint8_t *p, size_t n, int c, int d)
{
	struct sip s = {
		key->k0 ^ 0x736f6d6570736575u,
		key->k1 ^ 0x646f72616e646f6du,
		key->k0 ^ 0x6c7967656e657261u,
		key->k1 ^ 0x7465646279746573u,
	};
	uint64_t last = (uint64_t)n << 56, m;
	size_t left = n & 7;

	for (const uint8_t *end = p + (n - left); p != end; p += 8) {
		memcpy(&m, p, 8); /* little endian machines only, as the whole data plane */
		s.v3 ^= m;
		for (int i = 0; i < c; i++)
			sip_round(&s);
		s.v0 ^= m;
	}
	for (size_t i = 0; i < left; i++)
		last |= (uint64_t)p[i] << (8 * i);
	s.v3 ^= last;
	for (int i = 0; i < c; i++)
		sip_round(&s);
	s.v0 ^= last;
	s.v2 ^= 0xff;
	for (int i = 0; i < d; i++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t zk_hash13(const struct zk_hash_key *key, const void *p, size_t n)
{
	return sip(key, p, n, 1, 3);
}

uint64_t zk_hash24(const struct zk_hash_key *key, const void *p, size_t n)
{
	return sip(key, p, n, 2, 4);
}
