/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/hist.h"

#include "core/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { VALUES = 20000 };

static struct zk_hist h, g;

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void empty(void **state)
{
	(void)state;
	zk_hist_init(&h);
	assert_int_equal(zk_hist_quantile(&h, 500000), 0);
	assert_int_equal(zk_hist_mean(&h), 0);
}

static void small_values_are_exact(void **state)
{
	(void)state;
	zk_hist_init(&h);
	for (uint64_t v = 0; v < 100; v++)
		zk_hist_add(&h, v);
	assert_int_equal(h.min, 0);
	assert_int_equal(h.max, 99);
	assert_int_equal(zk_hist_mean(&h), 49);
	assert_int_equal(zk_hist_quantile(&h, 0), 0);
	assert_int_equal(zk_hist_quantile(&h, 10000), 0);
	assert_int_equal(zk_hist_quantile(&h, 10001), 1);
	assert_int_equal(zk_hist_quantile(&h, 500000), 49);
	assert_int_equal(zk_hist_quantile(&h, 990000), 98);
	assert_int_equal(zk_hist_quantile(&h, 1000000), 99);
}

/* Each value alone: its only quantile is itself, whatever its slot. */
static void one_value(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		for (int d = -1; d <= 1; d++) {
			uint64_t v = (1ull << bit) + (unsigned long long)d;
			uint64_t limit = (1ull << ZK_HIST_MAX_BITS) - 1;

			zk_hist_init(&h);
			zk_hist_add(&h, v);
			assert_true(zk_hist_quantile(&h, 500000) == (v < limit ? v : limit));
		}
	}
}

/* A second, far larger value shows the slot's end of the first: it must be within 1/64. */
static void error_bound(void **state)
{
	uint64_t x = 1;

	(void)state;
	for (int i = 0; i < VALUES; i++) {
		uint64_t v, q;

		x = zk_mix64(x + 0x9e3779b97f4a7c15u);
		v = x >> (24 + x % 38);
		zk_hist_init(&h);
		zk_hist_add(&h, v);
		zk_hist_add(&h, (1ull << ZK_HIST_MAX_BITS) - 1);
		q = zk_hist_quantile(&h, 500000);
		assert_true(q >= v && q - v <= v / 64);
	}
}

static void against_sorted(void **state)
{
	static uint64_t v[VALUES];
	static const uint32_t ppm[] = {1, 1000, 100000, 500000, 900000, 990000, 999000, 1000000};
	uint64_t x = 7;

	(void)state;
	zk_hist_init(&h);
	zk_hist_init(&g);
	for (int i = 0; i < VALUES; i++) {
		x = zk_mix64(x + 0x9e3779b97f4a7c15u);
		v[i] = x >> (30 + x % 30);
		zk_hist_add(i & 1 ? &h : &g, v[i]);
	}
	zk_hist_merge(&h, &g);
	assert_int_equal(h.count, VALUES);
	qsort(v, VALUES, sizeof(v[0]), ascending);
	assert_true(h.min == v[0] && h.max == v[VALUES - 1]);
	for (size_t i = 0; i < sizeof(ppm) / sizeof(ppm[0]); i++) {
		size_t rank = ((size_t)VALUES * ppm[i] + 999999) / 1000000;
		uint64_t exact = v[rank ? rank - 1 : 0], q = zk_hist_quantile(&h, ppm[i]);

		assert_true(q >= exact && q - exact <= exact / 64);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty),          cmocka_unit_test(small_values_are_exact),
		cmocka_unit_test(one_value),      cmocka_unit_test(error_bound),
		cmocka_unit_test(against_sorted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
