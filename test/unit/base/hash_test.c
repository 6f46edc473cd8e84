/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Appendix A of the SipHash paper: key 00..0f, message 00..0e. */
static void siphash_paper(void **state)
{
	static const struct zk_hash_key key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
	uint8_t in[15];

	(void)state;
	for (unsigned i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)i;
	assert_int_equal(zk_hash24(&key, in, sizeof(in)), 0xa129ca6149be45e5);
}

/* The first of the reference implementation's vectors (vectors.h, vectors_sip64): lengths 0 to 8.
 */
static void siphash_vectors(void **state)
{
	static const struct zk_hash_key key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
	static const uint64_t want[] = {
		0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a,
		0x85676696d7fb7e2d, 0xcf2794e0277187b7, 0x18765564cd99a68d,
		0xcbc9466e58fee3ce, 0xab0200f58b01d137, 0x93f5f5799a932462,
	};
	uint8_t in[9];

	(void)state;
	for (unsigned i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)i;
	for (unsigned n = 0; n < 9; n++)
		assert_int_equal(zk_hash24(&key, in, n), want[n]);
}

/* SipHash-1-3, straight from the description: not the code under test. */
static uint64_t rotl(uint64_t x, int b)
{
	return x << b | x >> (64 - b);
}

static void half(uint64_t v[4], unsigned a, unsigned b, int r1, int r2)
{
	v[a] += v[b];
	v[b] = rotl(v[b], r1) ^ v[a];
	if (r2)
		v[a] = rotl(v[a], r2);
}

static void rounds(uint64_t v[4], int n)
{
	while (n--) {
		half(v, 0, 1, 13, 32);
		half(v, 2, 3, 16, 0);
		half(v, 0, 3, 21, 0);
		half(v, 2, 1, 17, 32);
	}
}

static uint64_t slow(const struct zk_hash_key *k, const uint8_t *p, size_t n, int c, int d)
{
	uint64_t v[4] = {k->k0 ^ 0x736f6d6570736575, k->k1 ^ 0x646f72616e646f6d,
			 k->k0 ^ 0x6c7967656e657261, k->k1 ^ 0x7465646279746573};

	for (size_t block = 0; block <= n / 8; block++) {
		uint64_t m = 0;

		for (size_t i = 0; i < 8; i++) {
			size_t at = block * 8 + i;
			uint64_t byte = at < n ? p[at] : block == n / 8 && i == 7 ? n & 0xff : 0;

			m |= byte << (8 * i);
		}
		v[3] ^= m;
		rounds(v, c);
		v[0] ^= m;
	}
	v[2] ^= 0xff;
	rounds(v, d);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void every_length_and_alignment(void **state)
{
	struct zk_hash_key key = {1, 2};
	uint8_t buf[300];

	(void)state;
	for (unsigned i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 37 + 11);
	for (size_t n = 0; n < 280; n++) {
		for (size_t at = 0; at < 9; at++) {
			key.k0 += n * 7;
			assert_int_equal(zk_hash13(&key, buf + at, n),
					 slow(&key, buf + at, n, 1, 3));
			assert_int_equal(zk_hash24(&key, buf + at, n),
					 slow(&key, buf + at, n, 2, 4));
		}
	}
}

/* splitmix64 with seed 0: its first outputs. */
static void mix(void **state)
{
	(void)state;
	assert_int_equal(zk_mix64(0x9e3779b97f4a7c15), 0xe220a8397b1dcdaf);
	assert_int_equal(zk_mix64(2 * 0x9e3779b97f4a7c15u), 0x6e789e6aa1b965f4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash_paper),
		cmocka_unit_test(siphash_vectors),
		cmocka_unit_test(every_length_and_alignment),
		cmocka_unit_test(mix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
