/* SPDX-License-Identifier: Apache-2.0 */
/* Ensembles under faults. SEEDS=n runs n seeds, FROM=s starts at s; VERBOSE=1 says what each met.
 */
#include "test/sim/ensemble.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above it */
#include <cmocka.h>

enum { DEFAULT_SEEDS = 200, NAIVE_SEEDS = 300, EARLY_SEEDS = 50 };

static struct ens world; /* large; one at a time */

static uint64_t env_number(const char *name, uint64_t fallback)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : fallback;
}

static bool run_seed(uint64_t seed, struct zab_counters *total)
{
	bool ok = ens_run(&world, seed, ENS_SOUND);

	if (!ok)
		print_error("seed %" PRIu64 ": %s (again: FROM=%" PRIu64
			    " SEEDS=1 build/test/sim/zab_test)\n",
			    seed, world.why, seed);
	else if (getenv("VERBOSE"))
		print_message("seed %" PRIu64 ": %u servers, %" PRIu64 " commits, %" PRIu64
			      " leaders, %" PRIu64 " crashes\n",
			      seed, world.n, world.commits, world.leaders, world.crashes);
	total->diffs += world.count.diffs;
	total->truncs += world.count.truncs;
	total->snaps += world.count.snaps;
	total->file_syncs += world.count.file_syncs;
	total->silences += world.count.silences;
	total->pauses += world.count.pauses;
	return ok;
}

static void every_seed_keeps_the_promises(void **state)
{
	uint64_t from = env_number("FROM", 1), n = env_number("SEEDS", DEFAULT_SEEDS), failed = 0;
	struct zab_counters total = {0};

	(void)state;
	for (uint64_t s = from; s < from + n; s++)
		failed += !run_seed(s, &total);
	print_message("seeds %" PRIu64 " to %" PRIu64 ": DIFF %" PRIu64 ", TRUNC %" PRIu64
		      ", SNAP %" PRIu64 ", from files %" PRIu64 ", silences %" PRIu64
		      ", pauses forgiven %" PRIu64 "\n",
		      from, from + n - 1, total.diffs, total.truncs, total.snaps, total.file_syncs,
		      total.silences, total.pauses);
	assert_int_equal(failed, 0);
	if (n >= DEFAULT_SEEDS) {
		assert_true(total.diffs && total.truncs && total.snaps && total.file_syncs);
		assert_true(total.silences && total.pauses);
	}
}

/* A checker that never fails proves nothing. */
static void naive_rules_are_caught(void **state)
{
	static const char *const name[ENS_NAIVE_COUNT] = {
		[ENS_ACK_BEFORE_SYNC] = "ACK before fsync",
		[ENS_EPOCH_NOT_WRITTEN] = "epoch not written",
		[ENS_NEWLEADER_EARLY] = "NEWLEADER acknowledged early",
		[ENS_EPOCH_FIRST] = "currentEpoch before the DIFF",
		[ENS_HISTORY_HOLE] = "DIFF not passed on",
		[ENS_FIRST_ACK] = "first ACK taken for NEWLEADER's"};

	(void)state;
	for (int rule = ENS_ACK_BEFORE_SYNC; rule < ENS_NAIVE_COUNT; rule++) {
		uint64_t s = 1;

		while (s <= NAIVE_SEEDS && ens_run(&world, s, (enum ens_naive)rule))
			s++;
		if (s > NAIVE_SEEDS)
			fail_msg("%s: %d seeds saw nothing", name[rule], NAIVE_SEEDS);
		print_message("%s: seed %" PRIu64 ", %s\n", name[rule], s, world.why);
	}
}

static void early_acks_are_borne(void **state)
{
	uint64_t early = 0;

	(void)state;
	for (uint64_t s = 1; s <= EARLY_SEEDS; s++) {
		if (!ens_run(&world, s, ENS_EARLY_ACKS))
			fail_msg("seed %" PRIu64 ": %s", s, world.why);
		early += world.early_acks;
	}
	assert_true(early);
}

static void same_seed_same_run(void **state)
{
	uint64_t digest;

	(void)state;
	for (uint64_t s = 1; s <= 3; s++) {
		assert_true(ens_run(&world, s, ENS_SOUND));
		digest = world.digest;
		assert_true(ens_run(&world, s, ENS_SOUND));
		assert_true(digest == world.digest);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_seed_keeps_the_promises),
					   cmocka_unit_test(naive_rules_are_caught),
					   cmocka_unit_test(early_acks_are_borne),
					   cmocka_unit_test(same_seed_same_run)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
