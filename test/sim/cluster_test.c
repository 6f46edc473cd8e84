/* SPDX-License-Identifier: Apache-2.0 */
/* The whole stack under faults: even seeds on real TCP over a bad wire, odd ones on modelled
 * streams; seeds 2 and 3 of every four on real files of a bad disk, the others on modelled ones.
 * SEEDS=n runs n seeds, FROM=s starts at s; VERBOSE=1 says what each met, TRACE=1 how the roles
 * went. */
#include "test/sim/cluster.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants some of the above */
#include <cmocka.h>

enum { DEFAULT_SEEDS = 60, NAIVE_SEEDS = 400 };

static struct cl world; /* large; one at a time */

static uint64_t env_number(const char *name, uint64_t fallback)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : fallback;
}

static struct cl_totals {
	uint64_t writes, reads, events, leaders, crashes, rebuilds, moves, expired, pauses;
	struct cl_wire_count on_wire;
	struct cl_files_count on_files;
} total;

/* Structs that hold nothing but counters. */
static void add_counters(void *sum, const void *more, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
		uint64_t a, b;

		memcpy(&a, (const char *)sum + i, sizeof(a));
		memcpy(&b, (const char *)more + i, sizeof(b));
		a += b;
		memcpy((char *)sum + i, &a, sizeof(a));
	}
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
	add_counters(&total.on_wire, &world.on_wire, sizeof(total.on_wire));
	add_counters(&total.on_files, &world.on_files, sizeof(total.on_files));
	return ok;
}

/* Runs that never meet a fault prove nothing. */
static void everything_was_met(const struct cl_wire_count *c, const struct cl_files_count *f)
{
	assert_true(c->sent && c->lost && c->doubled && c->disordered && c->damaged && c->cut);
	assert_true(c->overrun && c->deaf && c->retransmits && c->timeouts && c->resets);
	assert_true(c->keepalives && c->lates);
	assert_true(f->recoveries && f->died && f->powers && f->forgotten && f->snaps && f->feeds);
	assert_true(f->behind);
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
	print_message("files: %" PRIu64 " recoveries, %" PRIu64 " deaths in a call, %" PRIu64
		      " powers cut, %" PRIu64 " transactions forgotten, %" PRIu64 " cuts, %" PRIu64
		      " snapshots received, %" PRIu64 " transactions read for learners, %" PRIu64
		      " epochs behind the log\n",
		      total.on_files.recoveries, total.on_files.died, total.on_files.powers,
		      total.on_files.forgotten, total.on_files.cuts, total.on_files.snaps,
		      total.on_files.feeds, total.on_files.behind);
	assert_int_equal(failed, 0);
	if (n < DEFAULT_SEEDS)
		return;
	assert_true(total.writes && total.reads && total.events && total.leaders);
	assert_true(total.crashes && total.rebuilds && total.moves && total.expired &&
		    total.pauses);
	everything_was_met(&total.on_wire, &total.on_files);
}

/* Is a seed of a naive rule seen? In a process of its own, for what sees it first may be an
 * assertion of the code, which ends that. */
static bool naive_is_seen(uint64_t seed, enum cl_naive rule)
{
	bool passed;
	int status;
	pid_t child;

	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		passed = cl_run(&world, seed, rule);
		if (!passed)
			printf("seed %" PRIu64 ", %s\n", seed, world.why);
		fflush(NULL);
		_exit(!passed);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

/* A checker that never fails proves nothing: each rule on both transports, and what concerns disks
 * on both kinds of these. */
static void naive_rules_are_caught(void **state)
{
	static const struct {
		enum cl_naive rule;
		const char *name;
		uint64_t begin, step;
	} naive[] = {{CL_DURABLE_EARLY, "durable before fsync", 1, 4},
		     {CL_NO_EPOCH, "epochs forgotten", 1, 4},
		     {CL_NO_LAST_ZXID, "last zxid not told", 1, 2},
		     {CL_EVENTS_LOST, "events lost", 1, 2}};

	(void)state;
	for (size_t i = 0; i < sizeof(naive) / sizeof(naive[0]); i++)
		for (uint64_t from = naive[i].begin; from <= naive[i].step; from++) {
			uint64_t s = from;

			print_message("%s: ", naive[i].name);
			while (s <= NAIVE_SEEDS && !naive_is_seen(s, naive[i].rule))
				s += naive[i].step;
			if (s > NAIVE_SEEDS)
				fail_msg("%s: seeds from %" PRIu64 " on saw nothing", naive[i].name,
					 from);
		}
}

static void same_seed_same_run(void **state)
{
	uint64_t digest;

	(void)state;
	for (uint64_t s = 1; s <= 4; s++) {
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
