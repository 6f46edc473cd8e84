/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/metric.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static _Atomic uint64_t slots[ZK_HIST_SLOTS];
static struct zk_hist h;

static void read_into(const struct zk_metric *m)
{
	zk_hist_init(&h);
	zk_metric_read(m, &h);
}

static void counts(void **state)
{
	struct zk_metric m = {.slot = slots};

	(void)state;
	read_into(&m);
	assert_int_equal(h.count, 0);
	for (uint64_t i = 1; i <= 100; i++)
		zk_metric_add(&m, i);
	read_into(&m);
	assert_int_equal(h.count, 100);
	assert_int_equal(h.sum, 5050);
	assert_int_equal(h.min, 1);
	assert_int_equal(h.max, 100);
	assert_int_equal(zk_hist_quantile(&h, 500000), 50);
	assert_int_equal(zk_hist_quantile(&h, 990000), 99);
	zk_metric_add(&m, UINT64_MAX / 2); /* beyond the last slot */
	read_into(&m);
	assert_int_equal(h.max, UINT64_MAX / 2);
	assert_int_equal(h.count, 101);
}

/* several cores' parts of one figure; zero is a value */
static void merges(void **state)
{
	struct zk_metric a = {.slot = NULL}, b = {.slot = NULL}, none = {.slot = NULL};

	(void)state;
	zk_metric_add(&a, 7);
	zk_metric_add(&b, 0);
	zk_metric_add(&b, 9);
	zk_hist_init(&h);
	zk_metric_read(&a, &h);
	zk_metric_read(&none, &h);
	zk_metric_read(&b, &h);
	assert_int_equal(h.count, 3);
	assert_int_equal(h.sum, 16);
	assert_int_equal(h.min, 0);
	assert_int_equal(h.max, 9);
}

static void resets(void **state)
{
	struct zk_metric m = {.slot = slots};

	(void)state;
	memset(slots, 0, sizeof(slots));
	zk_metric_add(&m, 1000);
	zk_metric_reset(&m);
	read_into(&m);
	assert_int_equal(h.count, 0);
	zk_metric_add(&m, 3);
	read_into(&m);
	assert_int_equal(h.count, 1);
	assert_int_equal(h.max, 3);
	assert_int_equal(h.min, 3);
	assert_int_equal(zk_hist_quantile(&h, 1000000), 3);
}

enum { WRITES = 200000 };

static void *writer(void *ctx)
{
	for (unsigned i = 0; i < WRITES; i++)
		zk_metric_add(ctx, i & 63);
	return NULL;
}

/* For the thread sanitizer; and nothing is seen that was not written. */
static void read_while_written(void **state)
{
	struct zk_metric m = {.slot = slots};
	pthread_t t;

	(void)state;
	memset(slots, 0, sizeof(slots));
	assert_int_equal(pthread_create(&t, NULL, writer, &m), 0);
	for (unsigned i = 0; i < 1000; i++) {
		read_into(&m);
		assert_true(h.max < 64 && h.count <= WRITES);
	}
	assert_int_equal(pthread_join(t, NULL), 0);
	read_into(&m);
	assert_int_equal(h.count, WRITES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts),
		cmocka_unit_test(merges),
		cmocka_unit_test(resets),
		cmocka_unit_test(read_while_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
