/* SPDX-License-Identifier: Apache-2.0 */
/* Every single bit is told, and other damage is not taken for one. */
#include "core/base/hash.h"
#include "core/store/flip.h"
#include "core/store/sum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

static void one_bit(void **state)
{
	static const size_t sizes[] = {1, 2, 36, 61, 1000, 65521, 65522, 200000};
	uint64_t r = 1;

	(void)state;
	for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		size_t n = sizes[s];
		uint8_t *p = malloc(n);
		struct zk_span span = zk_span_of(p, n);

		for (size_t i = 0; i < n; i++)
			p[i] = (uint8_t)zk_mix64(r++);
		uint64_t sum = store_adler32(STORE_ADLER32_INIT, span);

		assert_true(store_one_bit(span, sum));
		for (size_t bit = 0; bit < 8 * n; bit += n < 1000 ? 1 : n / 23) {
			p[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_true(store_one_bit(span, sum));
			p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		for (unsigned bit = 0; bit < 64; bit++)
			assert_true(store_one_bit(span, sum ^ UINT64_C(1) << bit));
		free(p);
	}
}

static void not_one_bit(void **state)
{
	uint8_t p[1000];
	struct zk_span span = zk_span_of(p, sizeof(p));
	uint64_t sum, r = 7;
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(p); i++)
		p[i] = (uint8_t)(1 + zk_mix64(r++) % 255);
	sum = store_adler32(STORE_ADLER32_INIT, span);
	for (size_t zeros = 2; zeros < sizeof(p); zeros++) {
		uint8_t keep[1000];

		memcpy(keep, p, sizeof(p));
		memset(p + sizeof(p) - zeros, 0, zeros);
		wrong += store_one_bit(span, sum);
		memcpy(p, keep, sizeof(p));
	}
	assert_in_range(wrong, 0, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_bit),
		cmocka_unit_test(not_one_bit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
