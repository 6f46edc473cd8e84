/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/flip.h"

#include "core/store/sum.h"

enum { MOD = 65521 };

/* Adler-32 of a string of n bytes is a = 1 + sum of the bytes and b = sum of (n - i) * byte[i] + n,
 * both modulo 65521. Another bit k of byte i adds d = 2^k or -2^k to a and (n - i) * d to b, so the
 * difference of a tells d, and that of b where to look. */
static bool bit_at(struct zk_span p, uint32_t d, bool plus, unsigned k, uint32_t db)
{
	/* (n - i) * d = db: there is one n - i below MOD, found by trying them in turn */
	uint32_t m = 0, product = 0;

	while (product != db && m < MOD) {
		product = (product + d) % MOD;
		m++;
	}
	if (product != db)
		return false;
	for (size_t from_end = m; from_end <= p.n; from_end += MOD) {
		if (from_end == 0)
			continue;

		bool set = p.p[p.n - from_end] >> k & 1;

		if (set != plus)
			return true;
	}
	return false;
}

bool store_one_bit(struct zk_span payload, uint64_t stored)
{
	uint32_t sum = store_adler32(STORE_ADLER32_INIT, payload);
	uint64_t x = stored ^ sum;
	uint32_t da, db;

	if ((x & (x - 1)) == 0)
		return true; /* in the checksum itself; or it was right */
	if (stored >> 32 || (stored & 0xffff) >= MOD || (stored >> 16 & 0xffff) >= MOD)
		return false;
	da = ((uint32_t)(stored & 0xffff) + MOD - (sum & 0xffff)) % MOD;
	db = ((uint32_t)(stored >> 16) + MOD - (sum >> 16)) % MOD;
	for (unsigned k = 0; k < 8; k++) {
		if (da == UINT32_C(1) << k && bit_at(payload, da, true, k, db))
			return true;
		if (da == MOD - (UINT32_C(1) << k) && bit_at(payload, da, false, k, db))
			return true;
	}
	return false;
}
