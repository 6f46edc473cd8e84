/* SPDX-License-Identifier: Apache-2.0 */
/* When a leader of core/zab tells its observer what is committed. */
#include "test/unit/zab/one.h"

static const uint64_t epoch1 = ONE_EPOCH1, epoch2 = ONE_EPOCH2;

enum { OBSERVER = 5 };

static uint64_t last; /* proposed */

/* Leader 3 serves with learner 1; an observer is up to date and is told every 2 ms. */
static void serve(void)
{
	uint8_t info[ZAB_INFO_BYTES];
	struct jute_out out = jute_out_of(info, sizeof(info));
	struct zab_packet p = {.type = ZAB_OBSERVERINFO, .data = zk_span_of(info, sizeof(info))};

	one_serve(epoch1 + 9);
	one.z.conf.inform_us = 2000;
	zab_learner_info_put(&out, 9, 0);
	assert_true(zab_link_up(&one.z, OBSERVER, one.now_ns));
	one_drain();
	zab_packet(&one.z, OBSERVER, &p, one.now_ns);
	one_drain();
	one_ackepoch(OBSERVER, epoch1 + 9);
	assert_non_null(one_sent(ZAB_NEWLEADER, 0));
	one_packet(OBSERVER, ZAB_ACK, epoch2, NULL);
	assert_int_equal(one.z.link[OBSERVER].state, ZAB_LINK_ACTIVE);
	last = epoch2;
}

/* The next transaction is committed now. */
static void commit(void)
{
	one_propose(++last);
	one_durable(last);
	one_packet(0, ZAB_ACK, last, NULL);
	assert_int_equal(one.z.history.committed, last);
}

static void assert_told(uint64_t zxid)
{
	const struct zab_effect *e = one_sent(ZAB_INFORM, 0);

	assert_non_null(e);
	assert_int_equal(e->packet.zxid, zxid);
	assert_int_equal(one.z.link[OBSERVER].committed, zxid);
}

static void the_first_at_once_and_others_together(void **state)
{
	uint64_t begin;

	(void)state;
	serve();
	begin = one.now_ns / ONE_MS;
	commit();
	assert_told(epoch2 + 1);
	commit();
	commit();
	assert_int_equal(one.z.link[OBSERVER].committed, epoch2 + 1);
	assert_int_equal(zab_next_ns(&one.z), (begin + 2) * ONE_MS);
	one_at(begin + 1);
	assert_null(one_sent(ZAB_INFORM, 0));
	one_at(begin + 2);
	assert_int_equal(one_sent(ZAB_INFORM, 0)->packet.zxid, epoch2 + 2);
	assert_int_equal(one_sent(ZAB_INFORM, 1)->packet.zxid, epoch2 + 3);
	assert_null(one_sent(ZAB_INFORM, 2));
	/* nothing waits, nothing is due */
	assert_true(zab_next_ns(&one.z) > (begin + 4) * ONE_MS);
	one_at(begin + 5);
	commit();
	assert_told(epoch2 + 4);
	one_done();
}

/* A connection without room does not make the rest of a piece wait for the next. */
static void a_piece_goes_on_when_there_is_room(void **state)
{
	(void)state;
	serve();
	commit();
	commit();
	commit();
	zab_link_room(&one.z, OBSERVER, 1, one.now_ns);
	one_drain();
	one_at(one.now_ns / ONE_MS + 2);
	assert_told(epoch2 + 2);
	assert_null(one_sent(ZAB_INFORM, 1));
	zab_link_room(&one.z, OBSERVER, SIZE_MAX, one.now_ns);
	one_drain();
	assert_told(epoch2 + 3);
	one_done();
}

/* Its client waits: for a write or for a sync. */
static void who_asks_is_told_at_once(void **state)
{
	(void)state;
	serve();
	commit();
	commit();
	assert_null(one_sent(ZAB_INFORM, 0));
	one_packet(OBSERVER, ZAB_REQUEST, 0, "request");
	assert_told(epoch2 + 2);
	commit();
	assert_told(epoch2 + 3);
	one_at(one.now_ns / ONE_MS + 10);
	commit();
	assert_told(epoch2 + 4);
	commit();
	assert_null(one_sent(ZAB_INFORM, 0));
	assert_int_equal(zab_reply(&one.z, OBSERVER, ZAB_REVALIDATE, 0, zk_span_str("x")), ZK_EOK);
	one_at(one.now_ns / ONE_MS);
	assert_told(epoch2 + 5);
	assert_non_null(one_sent(ZAB_REVALIDATE, 0));
	one_done();
}

static void without_a_distance_at_once(void **state)
{
	(void)state;
	serve();
	one.z.conf.inform_us = 0;
	commit();
	assert_told(epoch2 + 1);
	commit();
	assert_told(epoch2 + 2);
	one_done();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_at_once_and_others_together),
		cmocka_unit_test(a_piece_goes_on_when_there_is_room),
		cmocka_unit_test(who_asks_is_told_at_once),
		cmocka_unit_test(without_a_distance_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
