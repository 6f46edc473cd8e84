/* SPDX-License-Identifier: Apache-2.0 */
/* dp/loop/stolen.c with a thread's clock of the test's own. */
#include "dp/eal/eal.h"
#include "dp/loop/stolen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define US UINT64_C(1000)

static uint64_t cpu_ns;
static unsigned readings;

uint64_t eal_thread_ns(void)
{
	readings++;
	return cpu_ns;
}

struct world {
	struct stolen s;
	uint64_t now_ns;
};

static void begin(struct world *w)
{
	cpu_ns = 7;
	readings = 0;
	w->now_ns = 1000 * US;
	stolen_start(&w->s, w->now_ns);
}

/* So much work, sleep and theft, then a look. */
static uint64_t pass(struct world *w, uint64_t work, uint64_t sleep, uint64_t theft)
{
	cpu_ns += work;
	w->now_ns += work + sleep + theft;
	stolen_slept(&w->s, sleep);
	return stolen_look(&w->s, w->now_ns);
}

static void theft_is_told_apart(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	assert_int_equal(pass(&w, 20 * US, 0, 3000 * US), 3000 * US);
	assert_int_equal(pass(&w, 900 * US, 0, 0), 0);        /* a long round of its own */
	assert_int_equal(pass(&w, 10 * US, 5000 * US, 0), 0); /* a sleep */
	assert_int_equal(pass(&w, 400 * US, 60 * US, 500 * US), 500 * US);
}

/* However long it slept before, in however many pieces. */
static void sleep_before_does_not_count(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(pass(&w, 2 * US, 70 * US, 0), 0);
	assert_int_equal(pass(&w, 30 * US, 0, 700 * US), 700 * US);
}

/* Short gaps cost no reading but one a millisecond, and what was taken in them is not put down to a
 * later one. */
static void readings_are_few(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	for (unsigned i = 0; i < 10000; i++)
		assert_int_equal(pass(&w, 8 * US, 0, 2 * US), 0);
	assert_in_range(readings, 50, 102);
	assert_int_equal(pass(&w, 1500 * US, 0, 0) <= STOLEN_AGE_NS / 4, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(theft_is_told_apart),
		cmocka_unit_test(sleep_before_does_not_count),
		cmocka_unit_test(readings_are_few),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
