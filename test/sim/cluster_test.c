/* SPDX-License-Identifier: Apache-2.0 */
/* The whole stack under faults. SEEDS=n runs n seeds, FROM=s starts at s; VERBOSE=1 says what each
 * met, TRACE=1 how the roles went. */
#include "test/sim/cluster.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above it */
#include <cmocka.h>

enum { DEFAULT_SEEDS = 60, NAIVE_SEEDS = 200 };

static struct cl world; /* large; one at a time */

static uint64_t env_number(const char *name, uint64_t fallback)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : fallback;
}

static struct cl_totals {
	uint64_t writes, reads, events, leaders, crashes, rebuilds, moves, expired, pauses;
} total;

static bool run_seed(uint64_t seed)
{
	bool ok = cl_run(&world, seed, CL_SOUND);

	if (!ok)
		print_error("seed %" PRIu64 ": %s (again: FROM=%" PRIu64
			    " SEEDS=1 build/test/sim/cluster_test)\n",
			    seed, world.why, seed);
	else if (getenv("VERBOSE"))
		print_message("seed %" PRIu64 ": %u servers, %" PRIu64 " writes, %" PRIu64
			      " reads, %" PRIu64 " leaders, %" PRIu64 " crashes, %" PRIu64
			      " rounds\n",
			      seed, world.n, world.writes, world.reads, world.leaders,
			      world.crashes, world.rounds);
	total.writes += world.writes;
	total.reads += world.reads;
	total.events += world.events;
	total.leaders += world.leaders;
	total.crashes += world.crashes;
	total.rebuilds += world.rebuilds;
	total.moves += world.moves;
	total.expired += world.expired;
	total.pauses += world.pauses;
	return ok;
}

static void every_seed_keeps_the_promises(void **state)
{
	uint64_t from = env_number("FROM", 1), n = env_number("SEEDS", DEFAULT_SEEDS), failed = 0;

	(void)state;
	for (uint64_t s = from; s < from + n; s++)
		failed += !run_seed(s);
	print_message("seeds %" PRIu64 " to %" PRIu64 ": %" PRIu64 " writes, %" PRIu64
		      " reads, %" PRIu64 " events, %" PRIu64 " leaders, %" PRIu64
		      " crashes, %" PRIu64 " rebuilds, %" PRIu64 " moves, %" PRIu64
		      " expired, %" PRIu64 " pauses\n",
		      from, from + n - 1, total.writes, total.reads, total.events, total.leaders,
		      total.crashes, total.rebuilds, total.moves, total.expired, total.pauses);
	assert_int_equal(failed, 0);
	if (n < DEFAULT_SEEDS)
		return;
	assert_true(total.writes && total.reads && total.events && total.leaders);
	assert_true(total.crashes && total.rebuilds && total.moves && total.expired &&
		    total.pauses);
}

/* A checker that never fails proves nothing. */
static void naive_rules_are_caught(void **state)
{
	static const char *const name[] = {"", "durable before fsync", "epochs forgotten",
					   "last zxid not told", "events lost"};

	(void)state;
	for (int rule = 1; rule < CL_NAIVE_COUNT; rule++) {
		uint64_t s = 1;

		while (s <= NAIVE_SEEDS && cl_run(&world, s, (enum cl_naive)rule))
			s++;
		if (s > NAIVE_SEEDS)
			fail_msg("%s: %d seeds saw nothing", name[rule], NAIVE_SEEDS);
		print_message("%s: seed %" PRIu64 ", %s\n", name[rule], s, world.why);
	}
}

static void same_seed_same_run(void **state)
{
	uint64_t digest;

	(void)state;
	for (uint64_t s = 1; s <= 2; s++) {
		assert_true(cl_run(&world, s, CL_SOUND));
		digest = world.digest;
		assert_true(cl_run(&world, s, CL_SOUND));
		assert_true(digest == world.digest);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_seed_keeps_the_promises),
					   cmocka_unit_test(naive_rules_are_caught),
					   cmocka_unit_test(same_seed_same_run)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
