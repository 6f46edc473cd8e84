/* SPDX-License-Identifier: Apache-2.0 */
/* The connection throttle against BlueThrottle's arithmetic. */
#include "core/server/throttle.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { PLAIN = -1 };

static const struct throttle_conf bucket = {
	.tokens = 10, .fill_ms = 100, .fill_count = 3, .freeze_ms = PLAIN};

static unsigned take_all(struct throttle *t, const struct throttle_conf *c, uint64_t ms)
{
	unsigned n = 0;

	while (throttle_take(t, c, 1, ms, 0))
		n++;
	return n;
}

static void off(void **state)
{
	const struct throttle_conf none = {0};
	struct throttle t = {0};

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		assert_true(throttle_take(&t, &none, 1, 5, 0));
	assert_int_equal(throttle_deficit(&t), 0);
}

static void fills(void **state)
{
	struct throttle t = {0};

	(void)state;
	assert_int_equal(take_all(&t, &bucket, 1000000), 10);
	assert_int_equal(throttle_deficit(&t), 10);
	/* BlueThrottle fills only when more than fill_time has passed */
	assert_int_equal(take_all(&t, &bucket, 1000100), 0);
	assert_int_equal(take_all(&t, &bucket, 1000101), 3);
	assert_int_equal(take_all(&t, &bucket, 1000301), 6);
	assert_int_equal(take_all(&t, &bucket, 9000000), 10); /* never above its size */
}

static void weighs(void **state)
{
	struct throttle t = {0};

	(void)state;
	assert_true(throttle_take(&t, &bucket, 3, 1000000, 0));
	assert_true(throttle_take(&t, &bucket, 3, 1000000, 0));
	assert_true(throttle_take(&t, &bucket, 3, 1000000, 0));
	assert_false(throttle_take(&t, &bucket, 3, 1000000, 0));
	assert_true(throttle_take(&t, &bucket, 1, 1000000, 0));
}

/* the clock of 32 bits of ms comes round, and another core's is a little behind */
static void clock_wraps(void **state)
{
	struct throttle t = {0};
	uint64_t end = UINT64_C(1) << 32;

	(void)state;
	assert_int_equal(take_all(&t, &bucket, end - 1), 10);
	assert_int_equal(take_all(&t, &bucket, end - 10), 0);
	assert_int_equal(take_all(&t, &bucket, end + 150), 4); /* 151 * 3 / 100 */
}

/* an empty bucket raises the chance, once per freeze time; a full one lowers it */
static void blue(void **state)
{
	const struct throttle_conf c = {.tokens = 2,
					.fill_ms = 1000,
					.fill_count = 2,
					.freeze_ms = 10,
					.drop_increase = THROTTLE_CERTAIN / 4,
					.drop_decrease = THROTTLE_CERTAIN / 10,
					.decrease_ratio = THROTTLE_CERTAIN / 2};
	struct throttle t = {0};
	const uint64_t lucky = THROTTLE_CERTAIN - 1;
	uint64_t ms = 1000000;

	(void)state;
	assert_true(throttle_take(&t, &c, 1, ms, lucky));
	assert_true(throttle_take(&t, &c, 1, ms, lucky));
	assert_int_equal(throttle_chance(&t), 0);
	for (unsigned i = 1; i <= 6; i++) {
		assert_false(throttle_take(&t, &c, 1, ms + i * 11, lucky));
		assert_false(throttle_take(&t, &c, 1, ms + i * 11 + 1, lucky));
		assert_int_equal(throttle_chance(&t),
				 i < 4 ? i * (THROTTLE_CERTAIN / 4) : THROTTLE_CERTAIN);
	}
	/* full again, and still a certain drop; the chance falls with each look */
	ms += 5000;
	assert_true(throttle_take(&t, &c, 1, ms, lucky));
	assert_int_equal(throttle_chance(&t), THROTTLE_CERTAIN / 10 * 9);
	assert_false(throttle_take(&t, &c, 1, ms + 1, THROTTLE_CERTAIN / 10 * 9 - 1));
	assert_true(throttle_take(&t, &c, 1, ms + 1, THROTTLE_CERTAIN / 10 * 9));
}

enum { THREADS = 4, ROUNDS = 50000 };

static struct throttle shared;

static void *takes(void *ctx)
{
	static const struct throttle_conf c = {
		.tokens = 100000, .fill_ms = 1000000, .fill_count = 1, .freeze_ms = PLAIN};
	uintptr_t n = 0;

	(void)ctx;
	for (unsigned i = 0; i < ROUNDS; i++)
		n += throttle_take(&shared, &c, 1, 5, 0);
	return (void *)n;
}

/* never more than there are */
static void several_cores(void **state)
{
	pthread_t t[THREADS];
	uintptr_t sum = 0;

	(void)state;
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, takes, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		void *n;

		assert_int_equal(pthread_join(t[i], &n), 0);
		sum += (uintptr_t)n;
	}
	assert_true(sum <= 100000 && sum > 50000);
	assert_int_equal(throttle_deficit(&shared), sum);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(off),    cmocka_unit_test(fills),
		cmocka_unit_test(weighs), cmocka_unit_test(clock_wraps),
		cmocka_unit_test(blue),   cmocka_unit_test(several_cores),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
