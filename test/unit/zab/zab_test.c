/* SPDX-License-Identifier: Apache-2.0 */
/* One server at a time, its events in a chosen order. The cases named after issues of Apache
 * ZooKeeper are the schedules that lost transactions there; test/sim/zab_test.c shows that its
 * checker catches the rules that lost them. */
#include "test/unit/zab/one.h"

static const uint64_t epoch1 = ONE_EPOCH1, epoch2 = ONE_EPOCH2;

/* The epoch is taken, and NEWLEADER acknowledged, only when the transactions before it are on disk.
 * 4643: currentEpoch was written first; after a crash the server won an election by its epoch and
 * had others cut off what it lacked. 4646, 3911: the ACK went first. */
static void zookeeper_3911_4643_4646(void **state)
{
	(void)state;
	one_follow(epoch1 + 7);
	one_propose_and_commit(epoch1 + 8);
	one_propose_and_commit(epoch1 + 9);
	one_packet(ZAB_LINK_LEADER, ZAB_NEWLEADER, epoch2, "version=0");
	assert_null(one_effect(ZAB_DO_WRITE_EPOCH, 0));
	assert_null(one_sent(ZAB_ACK, 0));
	one_durable(epoch1 + 8);
	assert_null(one_effect(ZAB_DO_WRITE_EPOCH, 0));
	one_durable(epoch1 + 9);
	assert_int_equal(one_effect(ZAB_DO_WRITE_EPOCH, 0)->file, ZAB_CURRENT_EPOCH);
	assert_null(one_sent(ZAB_ACK, 0));
	one_written(ZAB_CURRENT_EPOCH);
	assert_int_equal(one_sent(ZAB_ACK, 0)->packet.zxid, epoch2);
	one_packet(ZAB_LINK_LEADER, ZAB_UPTODATE, UINT64_MAX, NULL);
	assert_non_null(one_effect(ZAB_DO_SERVE, 0));
	one_done();
}

/* A follower that acknowledges transactions of the synchronisation before NEWLEADER, as 3.8 may:
 * the leader does not mind, and does not count them either. There it stepped down. */
static void zookeeper_4685(void **state)
{
	(void)state;
	one_lead(epoch1 + 9, false);
	one_ackepoch(0, epoch1 + 9);
	one_written(ZAB_CURRENT_EPOCH);
	one_packet(0, ZAB_ACK, epoch1 + 9, NULL);
	assert_null(one_effect(ZAB_DO_CLOSE, 0));
	assert_null(one_effect(ZAB_DO_SERVE, 0));
	one_packet(0, ZAB_ACK, epoch2, NULL);
	assert_non_null(one_effect(ZAB_DO_SERVE, 0));
	one_done();
}

/* What is proposed and committed between NEWLEADER and UPTODATE is logged and applied like all
 * else, and acknowledged afterwards. There such transactions could be left out of the log. */
static void zookeeper_4785(void **state)
{
	(void)state;
	one_follow(epoch1 + 9);
	one_packet(ZAB_LINK_LEADER, ZAB_NEWLEADER, epoch2, NULL);
	one_written(ZAB_CURRENT_EPOCH);
	assert_int_equal(one_sent(ZAB_ACK, 0)->packet.zxid, epoch2);
	one_propose_and_commit(epoch2 + 1);
	one_packet(ZAB_LINK_LEADER, ZAB_PROPOSAL, epoch2 + 2, "transaction");
	assert_non_null(one_effect(ZAB_DO_LOG, 0));
	one_packet(ZAB_LINK_LEADER, ZAB_UPTODATE, UINT64_MAX, NULL);
	assert_int_equal(one_sent(ZAB_ACK, 0)->packet.zxid, epoch2);
	assert_null(one_sent(ZAB_ACK, 1));
	one_durable(epoch2 + 2);
	assert_int_equal(one_sent(ZAB_ACK, 0)->packet.zxid, epoch2 + 1);
	assert_int_equal(one_sent(ZAB_ACK, 1)->packet.zxid, epoch2 + 2);
	one_done();
}

/* What came by DIFF can be passed on when the follower leads: no hole in its history. */
static void zookeeper_4925(void **state)
{
	const struct history_entry *e;

	(void)state;
	one_follow(epoch1 + 7);
	one_propose_and_commit(epoch1 + 8);
	one_propose_and_commit(epoch1 + 9);
	one_packet(ZAB_LINK_LEADER, ZAB_NEWLEADER, epoch2, NULL);
	one_durable(epoch1 + 9);
	one_written(ZAB_CURRENT_EPOCH);
	one_packet(ZAB_LINK_LEADER, ZAB_UPTODATE, UINT64_MAX, NULL);
	one_propose_and_commit(epoch2 + 1);
	assert_true(history_covers(&one.z.history, epoch1 + 7));
	e = history_after(&one.z.history, epoch1 + 7);
	assert_int_equal(e->zxid, epoch1 + 8);
	e = history_after(&one.z.history, epoch1 + 8);
	assert_int_equal(e->zxid, epoch1 + 9);
	e = history_after(&one.z.history, epoch1 + 9);
	assert_int_equal(e->zxid, epoch2 + 1);
	one_done();
}

/* Proposals are committed by a quorum of disks, the leader's own among them only when it has
 * synced. */
static void commits_by_disks(void **state)
{
	(void)state;
	one_serve(epoch1 + 9);
	one_propose(epoch2 + 1);
	assert_non_null(one_effect(ZAB_DO_LOG, 0));
	assert_int_equal(one_sent(ZAB_PROPOSAL, 0)->packet.zxid, epoch2 + 1);
	one_propose(epoch2 + 2);
	one_packet(0, ZAB_ACK, epoch2 + 1, NULL);
	assert_null(one_effect(ZAB_DO_COMMIT, 0)); /* one of three */
	one_durable(epoch2 + 2);
	assert_int_equal(one_effect(ZAB_DO_COMMIT, 0)->zxid, epoch2 + 1);
	assert_int_equal(one_sent(ZAB_COMMIT, 0)->packet.zxid, epoch2 + 1);
	one_packet(0, ZAB_ACK, epoch2 + 2, NULL);
	assert_int_equal(one_effect(ZAB_DO_COMMIT, 0)->zxid, epoch2 + 2);
	/* of nothing that was proposed */
	one_packet(0, ZAB_ACK, epoch2 + 3, NULL);
	assert_null(one_effect(ZAB_DO_COMMIT, 0));
	assert_int_equal(one.z.count.stray_acks, 1);
	one_done();
}

/* An acknowledgement dies with its connection: the learner is told to cut off what is not
 * committed, and what it has cut off must not count. */
static void acks_die_with_their_link(void **state)
{
	uint8_t info[20];
	struct jute_out out = jute_out_of(info, sizeof(info));
	struct zab_packet p = {
		.type = ZAB_FOLLOWERINFO, .zxid = epoch2, .data = zk_span_of(info, sizeof(info))};

	(void)state;
	one_serve(epoch1 + 9);
	one_propose(epoch2 + 1);
	one_packet(0, ZAB_ACK, epoch2 + 1, NULL);
	zab_link_down(&one.z, 0, one.now_ns);
	one_drain();
	zab_learner_info_put(&out, 1, 0);
	assert_true(zab_link_up(&one.z, 1, one.now_ns));
	one_drain();
	zab_packet(&one.z, 1, &p, one.now_ns);
	one_drain();
	one_epoch_packet(1, ZAB_ACKEPOCH, epoch2 + 1, UINT32_MAX);
	assert_int_equal(one_sent(ZAB_TRUNC, 0)->packet.zxid, epoch1 + 9);
	one_durable(epoch2 + 1);
	assert_null(one_effect(ZAB_DO_COMMIT, 0));
	one_packet(1, ZAB_ACK, epoch2, NULL);
	assert_null(one_effect(ZAB_DO_COMMIT, 0));
	one_packet(1, ZAB_ACK, epoch2 + 1, NULL);
	assert_int_equal(one_effect(ZAB_DO_COMMIT, 0)->zxid, epoch2 + 1);
	one_done();
}

/* A learner that knows more than the leader is sent away before the epoch is agreed on. */
static void learner_ahead_is_refused(void **state)
{
	(void)state;
	one_lead(epoch1 + 9, true);
	one_ackepoch(0, epoch1 + 10);
	assert_int_equal(one_effect(ZAB_DO_CLOSE, 0)->link, 0);
	one_ackepoch(1, epoch1 + 9);
	assert_non_null(one_effect(ZAB_DO_WRITE_EPOCH, 0));
	one_done();
}

/* The other server waits for a commit that this one has not got: they disagree. */
static void commit_of_another_transaction(void **state)
{
	(void)state;
	one_follow(epoch1 + 9);
	one_packet(ZAB_LINK_LEADER, ZAB_PROPOSAL, epoch2 + 1, "transaction");
	one_packet(ZAB_LINK_LEADER, ZAB_COMMIT, epoch2 + 2, NULL);
	assert_non_null(one_effect(ZAB_DO_LOOK, 0));
	assert_int_equal(one.z.role, ZAB_LOOKING);
	one_durable(epoch2 + 1); /* only then the next election begins */
	assert_int_equal(one_effect(ZAB_DO_COMMIT, 0)->zxid, epoch2 + 1);
	assert_non_null(one_effect(ZAB_DO_NOTIFY, 0));
	one_done();
}

static void hole_in_the_stream(void **state)
{
	(void)state;
	one_follow(epoch1 + 7);
	one_packet(ZAB_LINK_LEADER, ZAB_PROPOSAL, epoch1 + 9, "transaction");
	assert_null(one_effect(ZAB_DO_LOG, 0));
	assert_non_null(one_effect(ZAB_DO_LOOK, 0));
	one_done();
}

/* Replies to a learner do not overtake the commits before them, and later ones not them. */
static void replies_wait_for_commits(void **state)
{
	uint64_t confirm1 = UINT64_C(1) << 63 | 1;

	(void)state;
	one_serve(epoch1 + 9);
	one_propose(epoch2 + 1);
	one_durable(epoch2 + 1);
	zab_link_room(&one.z, 0, 0, one.now_ns);
	one_drain();
	one_packet(0, ZAB_ACK, epoch2 + 1, NULL);
	assert_int_equal(one_effect(ZAB_DO_COMMIT, 0)->zxid, epoch2 + 1);
	assert_null(one_sent(ZAB_COMMIT, 0)); /* no room */
	assert_int_equal(zab_reply(&one.z, 0, ZAB_SYNC, 0, (struct zk_span){NULL, 0}), ZK_EOK);
	zab_link_room(&one.z, 0, 1000, one.now_ns);
	one_drain();
	assert_int_equal(one_sent(ZAB_PING, 0)->packet.zxid, confirm1);
	assert_non_null(one_sent(ZAB_COMMIT, 0));
	assert_null(one_sent(ZAB_SYNC, 0)); /* does anybody still follow? */
	one_propose(epoch2 + 2);
	assert_non_null(one_sent(ZAB_PROPOSAL, 0));
	one_durable(epoch2 + 2);
	one_packet(0, ZAB_ACK, epoch2 + 2, NULL);
	assert_null(one_sent(ZAB_COMMIT, 0));
	one_packet(0, ZAB_PING, epoch2 + 2, NULL);   /* of its own accord */
	one_packet(0, ZAB_PING, confirm1 + 1, NULL); /* never sent */
	assert_null(one_sent(ZAB_SYNC, 0));
	one_packet(0, ZAB_PING, confirm1, NULL);
	assert_true(one_sent(ZAB_SYNC, 0) < one_sent(ZAB_COMMIT, 0));
	assert_non_null(one_sent(ZAB_SYNC, 0));
	for (unsigned i = 0; i < ZAB_REPLIES_MAX; i++)
		assert_int_equal(zab_reply(&one.z, 0, ZAB_SYNC, 0, (struct zk_span){NULL, 0}),
				 ZK_EOK);
	assert_int_equal(zab_reply(&one.z, 0, ZAB_SYNC, 0, (struct zk_span){NULL, 0}), ZK_EAGAIN);
	one_done();
}

/* One round trip speaks for all that was asked before it began. */
static void a_quorum_confirms(void **state)
{
	(void)state;
	one_serve(epoch1 + 9);
	assert_int_equal(zab_confirm(&one.z), 1);
	assert_int_equal(zab_confirm(&one.z), 1);
	one_at(one.now_ns / ONE_MS);
	assert_non_null(one_sent(ZAB_PING, 0));
	assert_int_equal(zab_confirm(&one.z), 2);
	one_packet(0, ZAB_PING, UINT64_C(1) << 63 | 1, NULL);
	assert_int_equal(zab_confirmed(&one.z), 1);
	one_at(one.now_ns / ONE_MS);
	one_packet(0, ZAB_PING, UINT64_C(1) << 63 | 2, NULL);
	assert_int_equal(zab_confirmed(&one.z), 2);
	one_done();
}

/* Nothing is proposed without a bound: what waits for its commit fills the history. */
static void proposals_are_bounded(void **state)
{
	uint64_t zxid = epoch2;

	(void)state;
	one_serve(epoch1 + 9);
	while (zab_propose(&one.z, ++zxid, zk_span_str("transaction"), one.now_ns) == ZK_EOK)
		one_drain();
	assert_int_equal(zxid, epoch2 + 65);
	one_packet(0, ZAB_ACK, epoch2 + 64, NULL);
	one_durable(epoch2 + 64);
	/* ... and what is not applied here */
	assert_int_equal(zab_propose(&one.z, zxid, zk_span_str("transaction"), one.now_ns),
			 ZK_EAGAIN);
	zab_keep(&one.z, epoch2 + 1);
	one_propose(epoch2 + 65);
	one_done();
}

static void voter_with_a_later_epoch(void **state)
{
	uint8_t info[20];
	struct jute_out out = jute_out_of(info, sizeof(info));
	struct zab_packet p = {.type = ZAB_FOLLOWERINFO,
			       .zxid = UINT64_C(7) << 32,
			       .data = zk_span_of(info, sizeof(info))};

	(void)state;
	one_serve(epoch1 + 9);
	zab_learner_info_put(&out, 2, 0);
	assert_true(zab_link_up(&one.z, 1, one.now_ns));
	one_drain();
	zab_packet(&one.z, 1, &p, one.now_ns);
	one_drain();
	assert_non_null(one_effect(ZAB_DO_LOOK, 0));
	one_notify(1, 3, epoch1 + 9, 2);
	one_notify(2, 3, epoch1 + 9, 2);
	assert_int_equal(one.z.role, ZAB_LEADING);
	assert_int_equal(one.z.epoch, 8);
	one_done();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zookeeper_3911_4643_4646),
		cmocka_unit_test(zookeeper_4685),
		cmocka_unit_test(zookeeper_4785),
		cmocka_unit_test(zookeeper_4925),
		cmocka_unit_test(a_quorum_confirms),
		cmocka_unit_test(commits_by_disks),
		cmocka_unit_test(acks_die_with_their_link),
		cmocka_unit_test(learner_ahead_is_refused),
		cmocka_unit_test(commit_of_another_transaction),
		cmocka_unit_test(hole_in_the_stream),
		cmocka_unit_test(replies_wait_for_commits),
		cmocka_unit_test(proposals_are_bounded),
		cmocka_unit_test(voter_with_a_later_epoch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
