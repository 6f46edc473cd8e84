/* SPDX-License-Identifier: Apache-2.0 */
/* How long an idle thread spins: grows with short waits, shrinks with long ones, not at all where
 * others want the CPU. */
#include "dp/loop/spin.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { SHORT_NS = 1000 };

/* The figures come from the test; the descriptor is there and gives none. */
static struct spin with_figures(void)
{
	return (struct spin){.ns = SPIN_FIRST_NS, .fd = open("/dev/null", O_RDONLY | O_CLOEXEC)};
}

static void short_waits_make_it_longer(void **state)
{
	struct spin s = with_figures();
	unsigned n = 0;

	(void)state;
	for (; s.ns < SPIN_MAX_NS && n < 100; n++) {
		uint64_t before = s.ns;

		spin_learn(&s, n, SHORT_NS, true);
		assert_true(s.ns > before && s.ns <= 2 * before);
	}
	assert_true(n < 10);
	spin_learn(&s, n, SPIN_MAX_NS, true);
	assert_int_equal(s.ns, SPIN_MAX_NS);
	spin_end(&s);
}

static void long_waits_make_it_shorter(void **state)
{
	struct spin s = with_figures();

	(void)state;
	s.ns = SPIN_MAX_NS;
	spin_learn(&s, 1, SPIN_MAX_NS + 1, true);
	assert_int_equal(s.ns, SPIN_MAX_NS / 2);
	spin_learn(&s, 2, SHORT_NS, false); /* the time had come: nobody was missed */
	assert_int_equal(s.ns, SPIN_MAX_NS / 4);
	for (int i = 0; i < 10; i++)
		spin_learn(&s, 3, 1000000, true);
	assert_int_equal(s.ns, 0);
	spin_learn(&s, 4, SHORT_NS, true);
	assert_int_equal(s.ns, SPIN_FIRST_NS);
	spin_end(&s);
}

static void others_want_the_cpu(void **state)
{
	struct spin s = with_figures();

	(void)state;
	spin_sample(&s, 1, 10 * (SPIN_CONTESTED_NS + 1), 10);
	assert_true(s.contested);
	spin_learn(&s, 2, SHORT_NS, true);
	assert_int_equal(s.ns, 0);
	spin_learn(&s, 3, SHORT_NS, true);
	assert_int_equal(s.ns, 0);
	spin_sample(&s, 4, 11 * (SPIN_CONTESTED_NS + 1), 20); /* the sums grow: less per run */
	assert_false(s.contested);
	spin_learn(&s, 5, SHORT_NS, true);
	assert_int_equal(s.ns, SPIN_FIRST_NS);
	spin_sample(&s, 6, 11 * (SPIN_CONTESTED_NS + 1), 20); /* not run since */
	assert_false(s.contested);
	spin_end(&s);
}

/* The kernel's own figures: read at most once per SPIN_SAMPLE_NS, and they move. */
static void figures_of_the_kernel(void **state)
{
	const struct timespec nap = {.tv_nsec = 1000000};
	struct spin s;
	uint64_t runs;

	(void)state;
	spin_start(&s, 1000);
	if (s.fd < 0)
		skip();
	runs = s.runs;
	for (int i = 0; i < 5; i++)
		(void)nanosleep(&nap, NULL);
	spin_learn(&s, 1000 + SPIN_SAMPLE_NS - 1, SHORT_NS, true);
	assert_int_equal(s.runs, runs);
	spin_learn(&s, 1000 + SPIN_SAMPLE_NS, SHORT_NS, true);
	assert_true(s.runs >= runs + 5);
	assert_int_equal(s.sampled_ns, 1000 + SPIN_SAMPLE_NS);
	spin_end(&s);
	assert_int_equal(s.fd, -1);
}

static void no_figures_short_spins(void **state)
{
	struct spin s = {.ns = SPIN_FIRST_NS, .fd = -1};

	(void)state;
	for (int i = 0; i < 10; i++)
		spin_learn(&s, (uint64_t)i * SPIN_SAMPLE_NS, SHORT_NS, true);
	assert_int_equal(s.ns, SPIN_FIRST_NS);
	spin_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_waits_make_it_longer),
		cmocka_unit_test(long_waits_make_it_shorter),
		cmocka_unit_test(others_want_the_cpu),
		cmocka_unit_test(figures_of_the_kernel),
		cmocka_unit_test(no_figures_short_spins),
	};

	return cmocka_run_group_tests_name("spin", tests, NULL, NULL);
}
