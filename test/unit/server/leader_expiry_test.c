/* SPDX-License-Identifier: Apache-2.0 */
/* No session expires while a sign of its life may be under way. */
#include "core/session/password.h"
#include "test/lib/lead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MS UINT64_C(1000000)

static struct lead *d;

static struct leader_stats stats(void)
{
	struct leader_stats st;

	leader_stats_get(d->l, &st);
	return st;
}

static void open_at(uint64_t now_ms, uint32_t hold_max_ms)
{
	d = lead_open(&(struct lead_opt){.now_ns = now_ms * MS, .hold_max_ms = hold_max_ms});
}

/* Answer with both cores as often as it takes. */
static void answer_all(uint64_t hold_until_ns)
{
	for (unsigned lap = 0; lap < 2; lap++) {
		for (unsigned i = 0; i < LEAD_CORES; i++) {
			if (d->question[i])
				lead_roll(d, i, hold_until_ns);
		}
		lead_tick(d, d->now_ns);
	}
}

static void mute(bool on)
{
	d->mute[0] = d->mute[1] = on;
}

/* The machine was too busy to run a core: the touch and the attach that it has read come after the
 * time of their sessions, before its answer. One session without a connection, one with. */
static void late_core(void **state)
{
	uint8_t password[16];

	(void)state;
	open_at(100000, 0);
	uint64_t s = lead_session(d, 0, 0, 4000), u = lead_session(d, 1, 1, 4000);
	uint64_t gone = lead_session(d, 1, 2, 4000);

	assert_int_equal(lead_detach(d, 0, 0, s), ZK_EOK);
	mute(true);
	lead_tick(d, 106000 * MS);
	assert_true(d->question[0] && d->question[1]); /* both are asked, whosever session it is */
	lead_roll(d, 0, 0);
	lead_tick(d, 107000 * MS);
	assert_int_equal(stats().expired, 0);
	session_password(s, password);
	assert_int_equal(lead_attach(d, 1, 5, s, 4000, password), ZK_EOK);
	assert_int_equal(d->out[d->out_n - 1].timeout_ms, 4000);
	lead_touch(d, 1, u);
	lead_roll(d, 1, 0);
	/* one lap is not enough: a frame may have been handed to a core that has answered */
	lead_tick(d, 107000 * MS);
	assert_int_equal(stats().expired, 0);
	answer_all(0);
	assert_int_equal(stats().expired, 1);
	assert_int_equal(d->out[d->out_n - 1].kind, MSG_KICK);
	assert_true(d->out[d->out_n - 1].session == gone);
	mute(false);
	lead_tick(d, 111999 * MS);
	assert_int_equal(stats().expired, 1);
	lead_tick(d, 112000 * MS);
	assert_int_equal(stats().expired, 3);
	lead_close(d);
}

/* What is heard counts up to the question, not up to the answers. */
static void heard_up_to_the_question(void **state)
{
	(void)state;
	open_at(100000, 0);
	lead_session(d, 0, 0, 4000);
	lead_session(d, 0, 1, 6000);
	mute(true);
	lead_tick(d, 106000 * MS);
	d->now_ns = 108500 * MS;
	answer_all(0);
	assert_int_equal(stats().expired, 1);
	/* the second one's time has come meanwhile */
	assert_true(d->question[0] && d->question[1]);
	answer_all(0);
	assert_int_equal(stats().expired, 2);
	lead_close(d);
}

/* No questions when no session's time has come. */
static void no_roll_without_need(void **state)
{
	(void)state;
	open_at(100000, 0);
	mute(true);
	uint64_t s = lead_session(d, 0, 0, 40000);

	for (uint64_t ms = 100000; ms < 142000; ms += 100) {
		lead_tick(d, ms * MS);
		assert_true(leader_next_ns(d->l) > ms * MS);
		assert_true(d->question[0] == 0 && d->question[1] == 0);
	}
	lead_touch(d, 0, s);
	lead_tick(d, 142000 * MS);
	assert_true(d->question[0] && d->question[1]);
	assert_true(leader_next_ns(d->l) > 142001 * MS); /* no busy loop while it waits */
	answer_all(0);
	assert_int_equal(stats().expired, 0);
	for (uint64_t ms = 142000; ms < 182000; ms += 100) {
		lead_tick(d, ms * MS);
		assert_true(d->question[0] == 0 && d->question[1] == 0);
	}
	lead_close(d);
}

/* The leader did not run for 5 s: nothing expires for 5 s, and then only what was still silent. */
static void pause_of_the_leader(void **state)
{
	(void)state;
	open_at(100000, 0);
	uint64_t s = lead_session(d, 0, 0, 4000);

	lead_session(d, 1, 1, 4000);
	lead_tick(d, 103000 * MS);
	leader_late(d->l, 5000 * MS, 108000 * MS);
	assert_true(leader_next_ns(d->l) == 113000 * MS);
	lead_tick(d, 112999 * MS);
	assert_int_equal(stats().expired, 0);
	assert_int_equal(stats().holds, 1);
	lead_touch(d, 0, s);
	lead_tick(d, 113000 * MS);
	assert_int_equal(stats().expired, 1);
	assert_true(d->out[d->out_n - 1].session != s);
	lead_tick(d, 118000 * MS);
	assert_int_equal(stats().expired, 2);
	lead_close(d);
}

/* A pause in the middle of a roll makes its answers worthless. */
static void pause_during_a_roll(void **state)
{
	(void)state;
	open_at(100000, 0);
	lead_session(d, 0, 0, 4000);
	mute(true);
	lead_tick(d, 106000 * MS);
	lead_roll(d, 0, 0);
	leader_late(d->l, 300 * MS, 106400 * MS);
	d->now_ns = 106400 * MS;
	lead_roll(d, 1, 0);
	lead_tick(d, 106500 * MS);
	assert_true(d->question[0] == 0 && d->question[1] == 0);
	lead_tick(d, 106700 * MS);
	assert_true(d->question[0] && d->question[1]);
	answer_all(0);
	assert_int_equal(stats().expired, 1);
	lead_close(d);
}

/* A client core says in its answer that it was away. */
static void pause_of_a_core(void **state)
{
	(void)state;
	open_at(100000, 0);
	lead_session(d, 0, 0, 4000);
	mute(true);
	lead_tick(d, 106000 * MS);
	lead_roll(d, 0, 0);
	lead_roll(d, 1, 108000 * MS);
	lead_tick(d, 107900 * MS);
	assert_int_equal(stats().expired, 0);
	assert_true(d->question[0] == 0);
	lead_tick(d, 108000 * MS);
	assert_true(d->question[0] != 0);
	answer_all(108000 * MS); /* still the same pause */
	assert_int_equal(stats().expired, 1);
	assert_int_equal(stats().holds, 1);
	lead_close(d);
}

/* A machine that is always late still expires sessions: after hold_max_ms of pauses in a row. */
static void pauses_in_a_row(void **state)
{
	uint64_t ms = 100000;

	(void)state;
	open_at(ms, 10000);
	lead_session(d, 0, 0, 4000);
	while (stats().expired == 0) {
		ms += 1000;
		assert_true(ms < 118000);
		leader_late(d->l, 900 * MS, ms * MS);
		lead_tick(d, ms * MS);
		ms += 100;
		lead_tick(d, ms * MS);
	}
	assert_true(ms >= 110000);
	lead_close(d);
}

/* A core that never answers does not keep sessions alive for ever; nor do old answers count. */
static void core_that_is_gone(void **state)
{
	struct msg_roll old = {.h = {.kind = MSG_ROLL_ANSWER, .core = 1}};

	(void)state;
	open_at(100000, 10000);
	lead_session(d, 0, 0, 4000);
	d->mute[1] = true;
	lead_tick(d, 106000 * MS);
	old.number = d->question[1] - 1;
	assert_int_equal(leader_message(d->l, &old, sizeof(old), d->now_ns, 0), ZK_EOK);
	old.number = d->question[1] + 1;
	assert_int_equal(leader_message(d->l, &old, sizeof(old), d->now_ns, 0), ZK_EOK);
	lead_tick(d, 116000 * MS);
	assert_int_equal(stats().expired, 0);
	assert_true(leader_next_ns(d->l) <= 116001 * MS);
	lead_tick(d, 116001 * MS);
	assert_int_equal(stats().expired, 1);
	assert_int_equal(stats().rolls_lost, 1);
	lead_close(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(late_core),
		cmocka_unit_test(heard_up_to_the_question),
		cmocka_unit_test(no_roll_without_need),
		cmocka_unit_test(pause_of_the_leader),
		cmocka_unit_test(pause_during_a_roll),
		cmocka_unit_test(pause_of_a_core),
		cmocka_unit_test(pauses_in_a_row),
		cmocka_unit_test(core_that_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
