/* SPDX-License-Identifier: Apache-2.0 */
/* Two stacks over a lossy link. SEEDS=n runs n seeds (200), FROM=s starts at s (0); VERBOSE=1 says
 * what each seed did. */
#include "test/sim/tcp_world.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

enum { DEFAULT_SEEDS = 200 };

static uint64_t env_number(const char *name, uint64_t fallback)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : fallback;
}

/* What all runs together met. */
struct totals {
	uint64_t counter[NET_STATS_COUNT];
	struct link_stats link;
};

static void add_totals(struct totals *t, const struct world *w)
{
	for (size_t i = 0; i < NET_STATS_COUNT; i++)
		t->counter[i] += net_stats_value(&w->stats, i);
	t->link.lost += w->link_stats.lost;
	t->link.duplicated += w->link_stats.duplicated;
	t->link.reordered += w->link_stats.reordered;
	t->link.corrupted += w->link_stats.corrupted;
	t->link.overflowed += w->link_stats.overflowed;
	t->link.cut += w->link_stats.cut;
}

static bool run_seed(uint64_t seed, uint64_t *digest, struct totals *totals)
{
	static struct world w; /* large; one at a time */
	struct world_conf c;
	bool ok;

	world_conf_from_seed(&c, seed);
	ok = world_run(&w, &c);
	if (!ok)
		print_error("seed %" PRIu64 " at %.6f s: %s (again: FROM=%" PRIu64
			    " SEEDS=1 build/test/sim/tcp_link_test)\n",
			    seed, (double)w.now_ns / 1e9, w.why, seed);
	else if (getenv("VERBOSE"))
		print_message("seed %" PRIu64 ": load %d, %u connections, %" PRIu64
			      " bytes, %" PRIu64 " steps, %.3f s, resets %u, orphans %u\n",
			      seed, (int)c.load, c.conns, w.bytes, w.steps, (double)w.now_ns / 1e9,
			      w.resets, w.orphans);
	*digest = w.digest;
	if (totals)
		add_totals(totals, &w);
	return ok;
}

/* Runs that never meet a fault prove nothing. */
static void everything_was_met(const struct totals *t)
{
	static const char *const NAMES[] = {"tcp_bad_csum",
					    "ip_bad_csum",
					    "tcp_dup_data",
					    "tcp_ooo_segs",
					    "tcp_ooo_dropped",
					    "tcp_rcv_coalesced",
					    "tcp_delayed_acks",
					    "tcp_window_updates",
					    "tcp_retransmits",
					    "tcp_rtx_copies",
					    "tcp_rto",
					    "tcp_fast_retransmits",
					    "tcp_persist_probes",
					    "tcp_tail_probes",
					    "tcp_challenge_acks",
					    "tcp_syn_cookies_ok",
					    "tcp_tw_new",
					    "tcp_conn_open_active",
					    "tcp_snd_buf_waits",
					    "tcp_snd_mem_waits",
					    "tcp_snd_share_waits",
					    "arp_requests_tx"};

	for (size_t k = 0; k < sizeof(NAMES) / sizeof(NAMES[0]); k++) {
		size_t i = 0;

		while (i < NET_STATS_COUNT && strcmp(net_stats_describe(i)->name, NAMES[k]) != 0)
			i++;
		if (i == NET_STATS_COUNT || t->counter[i] == 0)
			fail_msg("no run met %s", NAMES[k]);
	}
	assert_true(t->link.lost && t->link.duplicated && t->link.reordered && t->link.corrupted &&
		    t->link.overflowed && t->link.cut);
}

static void every_seed_delivers(void **state)
{
	uint64_t from = env_number("FROM", 0), n = env_number("SEEDS", DEFAULT_SEEDS);
	static struct totals totals;
	uint64_t digest, failed = 0;

	(void)state;
	print_message("seeds %" PRIu64 " to %" PRIu64 "\n", from, from + n - 1);
	for (uint64_t s = from; s < from + n; s++)
		failed += !run_seed(s, &digest, &totals);
	assert_int_equal(failed, 0);
	if (n >= DEFAULT_SEEDS)
		everything_was_met(&totals);
}

/* Seeds that once failed stay here. */
static void found_seeds_deliver(void **state)
{
	static const uint64_t FOUND[] = {21, 23, 28, 37, 1041, 1177, 2420};
	uint64_t digest;

	(void)state;
	for (size_t i = 0; i < sizeof(FOUND) / sizeof(FOUND[0]); i++)
		assert_true(run_seed(FOUND[i], &digest, NULL));
}

static void same_seed_same_run(void **state)
{
	(void)state;
	for (uint64_t s = 1; s <= 3; s++) {
		uint64_t a, b;

		assert_true(run_seed(s, &a, NULL));
		assert_true(run_seed(s, &b, NULL));
		assert_true(a == b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_seed_delivers),
					   cmocka_unit_test(found_seeds_deliver),
					   cmocka_unit_test(same_seed_same_run)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
