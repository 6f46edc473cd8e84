/* SPDX-License-Identifier: Apache-2.0 */
/* The queue that can be loaded ahead keeps the order, whatever is put and taken when. */
#include "core/tree/priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { N = 5000 };

static struct tree_version v[N], below[N];

static void first_in_first_out(void **state)
{
	struct tree_lanes q = {.head = 0};
	unsigned put = 0, taken = 0;

	(void)state;
	srand(1);
	assert_true(tree_lanes_empty(&q));
	assert_null(tree_lanes_first(&q));
	assert_null(tree_lanes_take(&q));
	while (taken < N) {
		/* now growing, now running dry */
		for (int n = rand() % (taken / 500 % 2 ? 60 : 20); n && put < N; n--) {
			atomic_store_explicit(&v[put].older, &below[put], memory_order_relaxed);
			tree_lanes_put(&q, &v[put++]);
		}
		for (int n = rand() % 40; n && taken < put; n--) {
			assert_ptr_equal(tree_lanes_first(&q), &v[taken]);
			assert_ptr_equal(tree_lanes_take(&q), &v[taken++]);
			tree_lanes_prefetch_older(&q);
		}
		assert_int_equal(tree_lanes_empty(&q), taken == put);
		if (taken == put) {
			assert_null(tree_lanes_first(&q));
			assert_null(tree_lanes_take(&q));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(first_in_first_out)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
