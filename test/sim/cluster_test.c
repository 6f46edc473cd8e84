/* SPDX-License-Identifier: Apache-2.0 */
/* The whole stack under faults: even seeds on real TCP over a bad wire, odd ones on modelled
 * streams. SEEDS=n runs n seeds, FROM=s starts at s; VERBOSE=1 says what each met, TRACE=1 how the
 * roles went. */
#include "test/sim/cluster.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
	struct cl_wire_count on_wire;
} total;

/* It holds nothing but counters. */
static void add_wire(struct cl_wire_count *sum, const struct cl_wire_count *more)
{
	uint64_t a[sizeof(*sum) / 8], b[sizeof(*sum) / 8];

	memcpy(a, sum, sizeof(a));
	memcpy(b, more, sizeof(b));
	for (size_t i = 0; i < sizeof(a) / sizeof(a[0]); i++)
		a[i] += b[i];
	memcpy(sum, a, sizeof(a));
}

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
	add_wire(&total.on_wire, &world.on_wire);
	return ok;
}

/* Runs that never meet a fault prove nothing. */
static void everything_was_met(const struct cl_wire_count *c)
{
	assert_true(c->sent && c->lost && c->doubled && c->disordered && c->damaged && c->cut);
	assert_true(c->overrun && c->deaf && c->retransmits && c->timeouts && c->resets);
	assert_true(c->keepalives && c->lates);
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
	print_message("frames: %" PRIu64 " sent, %" PRIu64 " lost, %" PRIu64 " doubled, %" PRIu64
		      " disordered, %" PRIu64 " damaged, %" PRIu64 " cut off, %" PRIu64
		      " overrun, %" PRIu64 " to nobody; %" PRIu64 " retransmissions, %" PRIu64
		      " time-outs, %" PRIu64 " resets, %" PRIu64 " keep-alives, %" PRIu64
		      " late threads\n",
		      total.on_wire.sent, total.on_wire.lost, total.on_wire.doubled,
		      total.on_wire.disordered, total.on_wire.damaged, total.on_wire.cut,
		      total.on_wire.overrun, total.on_wire.deaf, total.on_wire.retransmits,
		      total.on_wire.timeouts, total.on_wire.resets, total.on_wire.keepalives,
		      total.on_wire.lates);
	assert_int_equal(failed, 0);
	if (n < DEFAULT_SEEDS)
		return;
	assert_true(total.writes && total.reads && total.events && total.leaders);
	assert_true(total.crashes && total.rebuilds && total.moves && total.expired &&
		    total.pauses);
	everything_was_met(&total.on_wire);
}

/* A checker that never fails proves nothing, on either transport. */
static void naive_rules_are_caught(void **state)
{
	static const char *const name[] = {"", "durable before fsync", "epochs forgotten",
					   "last zxid not told", "events lost"};

	(void)state;
	for (int i = 2; i < 2 * CL_NAIVE_COUNT; i++) {
		uint64_t s = 1 + (uint64_t)i % 2;
		int rule = i / 2;

		while (s <= NAIVE_SEEDS && cl_run(&world, s, (enum cl_naive)rule))
			s += 2;
		if (s > NAIVE_SEEDS)
			fail_msg("%s: %d seeds saw nothing", name[rule], NAIVE_SEEDS / 2);
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
