/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/wheel.h"

#include "core/base/assert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SHIFT = 20, N = 3000 };

#define TICK ((uint64_t)1 << SHIFT)

static struct zk_wheel w;

static struct zk_wheel_entry *fire(uint64_t now)
{
	unsigned budget = 1000000;

	return zk_wheel_expire(&w, now, &budget);
}

static void test_fires_once_not_early(void **state)
{
	static const uint64_t delays[] = {
		0,           1,           TICK,           TICK + 1,
		63 * TICK,   64 * TICK,   65 * TICK,      4095 * TICK,
		4096 * TICK, 4097 * TICK, 1000000 * TICK, 5000000000 * TICK};

	(void)state;
	for (unsigned i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
		uint64_t start = 777777777, due = start + delays[i];
		uint64_t exact = (due + TICK - 1) / TICK * TICK;
		struct zk_wheel_entry e;

		zk_wheel_init(&w, start, SHIFT);
		zk_wheel_entry_init(&e);
		zk_wheel_set(&w, &e, due);
		assert_true(zk_wheel_armed(&e));
		if (exact > start) {
			assert_null(fire(exact - 1));
			assert_true(zk_wheel_next_ns(&w) <= exact);
		}
		assert_ptr_equal(fire(exact > start ? exact : start), &e);
		assert_false(zk_wheel_armed(&e));
		assert_null(fire(exact + 100 * TICK));
		assert_true(zk_wheel_next_ns(&w) == UINT64_MAX);
	}
}

static void test_cancel_and_move(void **state)
{
	struct zk_wheel_entry a, b;

	(void)state;
	zk_wheel_init(&w, 0, SHIFT);
	zk_wheel_entry_init(&a);
	zk_wheel_entry_init(&b);
	zk_wheel_set(&w, &a, 100 * TICK);
	zk_wheel_set(&w, &b, 100 * TICK);
	zk_wheel_cancel(&a);
	zk_wheel_cancel(&a);
	zk_wheel_set(&w, &b, 5 * TICK);
	assert_true(zk_wheel_next_ns(&w) == 5 * TICK);
	assert_ptr_equal(fire(5 * TICK), &b);
	assert_null(fire(1000 * TICK));
	/* armed in the past: at once */
	zk_wheel_set(&w, &a, 3 * TICK);
	assert_ptr_equal(fire(1000 * TICK), NULL);
	assert_ptr_equal(fire(1001 * TICK), &a);
}

static void test_budget_bounds_the_work(void **state)
{
	static struct zk_wheel_entry e[N];
	unsigned fired = 0, calls = 0;

	(void)state;
	zk_wheel_init(&w, 0, SHIFT);
	for (unsigned i = 0; i < N; i++) {
		zk_wheel_entry_init(&e[i]);
		zk_wheel_set(&w, &e[i], 5000 * TICK + i);
	}
	while (fired < N) {
		unsigned budget = 100, before = fired;

		while (zk_wheel_expire(&w, 6000 * TICK, &budget))
			fired++;
		assert_true(fired - before <= 100);
		assert_true(++calls < 10 * N / 100);
	}
}

/* Against a model: random arming, cancelling and steps of time. */
static void test_random(void **state)
{
	static struct zk_wheel_entry e[N];
	uint64_t now = 123456789, due[N];
	uint32_t rng = 42;

	(void)state;
	print_message("seed %u\n", rng);
	zk_wheel_init(&w, now, SHIFT);
	for (unsigned i = 0; i < N; i++) {
		zk_wheel_entry_init(&e[i]);
		due[i] = UINT64_MAX;
	}
	for (unsigned step = 0; step < 20000; step++) {
		unsigned i;
		uint64_t first = UINT64_MAX, next;
		struct zk_wheel_entry *f;

		rng = rng * 1664525 + 1013904223;
		i = (rng >> 8) % N;
		if (rng >> 28 == 0) {
			zk_wheel_cancel(&e[i]);
			due[i] = UINT64_MAX;
		} else {
			due[i] = now + ((uint64_t)(rng >> 4) << (rng % 24));
			zk_wheel_set(&w, &e[i], due[i]);
		}
		if (step % 16)
			continue;
		rng = rng * 1664525 + 1013904223;
		now += (uint64_t)(rng >> 8) << (rng % 12);
		while ((f = fire(now))) {
			i = (unsigned)(f - e);
			assert_true(due[i] <= now);
			due[i] = UINT64_MAX;
		}
		for (i = 0; i < N; i++) {
			assert_true(due[i] == UINT64_MAX || due[i] + TICK > now);
			assert_true(zk_wheel_armed(&e[i]) == (due[i] != UINT64_MAX));
			if (due[i] < first)
				first = due[i];
		}
		next = zk_wheel_next_ns(&w);
		assert_true(first == UINT64_MAX ? next == UINT64_MAX : next < first + TICK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fires_once_not_early),
		cmocka_unit_test(test_cancel_and_move),
		cmocka_unit_test(test_budget_bounds_the_work),
		cmocka_unit_test(test_random),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
