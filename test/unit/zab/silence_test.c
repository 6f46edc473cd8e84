/* SPDX-License-Identifier: Apache-2.0 */
/* Who is silent, slow, absent, or at the end of an epoch: one server of core/zab and its clock. */
#include "test/unit/zab/one.h"

static const uint64_t ms = ONE_MS, epoch1 = ONE_EPOCH1, epoch2 = ONE_EPOCH2;

static const struct zab_beat fast = {40, 250};

/* Server 1 follows server 3, which has said @p beat behind its LEADERINFO (NULL: an Apache). */
static void follow_until_uptodate(const struct zab_beat *beat)
{
	uint8_t data[ZAB_LEADERINFO_BYTES + ZAB_BEAT_BYTES];
	struct jute_out out = jute_out_of(data, sizeof(data));
	struct zab_packet p = {.type = ZAB_LEADERINFO, .zxid = epoch2};

	one_boot(1, epoch1 + 9, 1);
	one_notify(2, 3, epoch1 + 9, 1);
	one_notify(3, 3, epoch1 + 9, 1);
	assert_true(zab_link_up(&one.z, ZAB_LINK_LEADER, one.now_ns));
	one_drain();
	assert_int_equal(one_sent(ZAB_FOLLOWERINFO, 0)->packet.data.n,
			 one_beat.every_ms ? ZAB_INFO_BYTES + ZAB_BEAT_BYTES : ZAB_INFO_BYTES);
	jute_put_i32(&out, ZAB_PROTOCOL);
	if (beat)
		zab_beat_put(&out, beat);
	p.data = zk_span_of(data, (uint32_t)jute_out_len(&out));
	zab_packet(&one.z, ZAB_LINK_LEADER, &p, one.now_ns);
	one_drain();
	one_written(ZAB_ACCEPTED_EPOCH);
	one_packet(ZAB_LINK_LEADER, ZAB_DIFF, epoch1 + 9, NULL);
	one_packet(ZAB_LINK_LEADER, ZAB_NEWLEADER, epoch2, "version=0");
	one_written(ZAB_CURRENT_EPOCH);
	one_packet(ZAB_LINK_LEADER, ZAB_UPTODATE, UINT64_MAX, NULL);
	one_packet(ZAB_LINK_LEADER, ZAB_PING, epoch2, NULL);
}

/* Two of a kind: the leader is given up after the time they have agreed on. An Apache leader, or a
 * server without heartbeats, has until syncLimit. */
static void silent_leader(void **state)
{
	(void)state;
	one_beat = fast;
	follow_until_uptodate(&fast);
	one_pass(1249);
	assert_int_equal(one.z.role, ZAB_FOLLOWING);
	one_pass(1251);
	assert_int_equal(one.z.role, ZAB_LOOKING);
	assert_true(one.z.elect.suspects);
	assert_int_equal(one.z.count.silences, 1);
	one_done();
	follow_until_uptodate(NULL);
	one_pass(1499);
	assert_int_equal(one.z.role, ZAB_FOLLOWING);
	one_done();
	one_beat = (struct zab_beat){0, 0};
	follow_until_uptodate(&fast);
	one_pass(1499);
	assert_int_equal(one.z.role, ZAB_FOLLOWING);
	one_done();
}

/* Bytes of a packet that is not complete yet are a sign of life too. */
static void half_a_packet_is_no_silence(void **state)
{
	(void)state;
	one_beat = fast;
	follow_until_uptodate(&fast);
	one_pass(1200);
	zab_link_heard(&one.z, ZAB_LINK_LEADER, one.now_ns);
	one_pass(1400);
	assert_int_equal(one.z.role, ZAB_FOLLOWING);
	one_pass(1601); /* twice the silence before */
	assert_int_equal(one.z.role, ZAB_LOOKING);
	one_done();
	one_beat = (struct zab_beat){0, 0};
}

static void leader_is_heard_every(uint32_t every_ms, uint64_t until_ms)
{
	while (one.now_ns / ms + every_ms <= until_ms) {
		one_pass(one.now_ns / ms + every_ms);
		one_packet(ZAB_LINK_LEADER, ZAB_PING, epoch2, NULL);
	}
	assert_int_equal(one.z.role, ZAB_FOLLOWING);
}

/* Where everybody is slow nobody is given up for it; no longer than four times the time-out, and
 * only as long as it is so. */
static void slow_machines(void **state)
{
	(void)state;
	one_beat = fast;
	follow_until_uptodate(&fast);
	leader_is_heard_every(200, 1200);
	leader_is_heard_every(390, 1590);
	leader_is_heard_every(770, 2360);
	one_pass(3359);
	assert_int_equal(one.z.role, ZAB_FOLLOWING);
	one_pass(3361);
	assert_int_equal(one.z.role, ZAB_LOOKING);
	one_done();
	follow_until_uptodate(&fast);
	leader_is_heard_every(240, 1240);
	leader_is_heard_every(40, 9240);
	one_pass(9489);
	assert_int_equal(one.z.role, ZAB_FOLLOWING);
	one_pass(9491);
	assert_int_equal(one.z.role, ZAB_LOOKING);
	one_done();
	one_beat = (struct zab_beat){0, 0};
}

/* Who was stopped himself has no right to blame the others. */
static void own_pause(void **state)
{
	(void)state;
	one_beat = fast;
	follow_until_uptodate(&fast);
	one_pass(1040);
	one_at(1900);
	assert_int_equal(one.z.role, ZAB_FOLLOWING);
	assert_int_equal(one.z.count.pauses, 1);
	one_pass(2149);
	assert_int_equal(one.z.role, ZAB_FOLLOWING);
	one_pass(2151);
	assert_int_equal(one.z.role, ZAB_LOOKING);
	one_done();
	one_beat = (struct zab_beat){0, 0};
}

/* Back-pressure: what is not applied stays, packets are left in the connection, and both sides know
 * that nobody has died. */
static void full_history_keeps_the_role(void **state)
{
	uint64_t zxid = epoch2;

	(void)state;
	one_beat = fast;
	follow_until_uptodate(&fast);
	while (zab_link_reads(&one.z, ZAB_LINK_LEADER)) {
		assert_true(++zxid < epoch2 + 1000);
		one_packet(ZAB_LINK_LEADER, ZAB_PROPOSAL, zxid, "transaction");
		if (zab_link_reads(&one.z, ZAB_LINK_LEADER))
			one_packet(ZAB_LINK_LEADER, ZAB_COMMIT, zxid, NULL);
	}
	assert_int_equal(history_after(&one.z.history, epoch1 + 9)->zxid, epoch2 + 1);
	one_durable(zxid);
	assert_false(zab_link_reads(&one.z, ZAB_LINK_LEADER));
	one_at(1100);
	assert_non_null(one_sent(ZAB_PING, 0));
	one_pass(9000);
	assert_int_equal(one.z.role, ZAB_FOLLOWING);
	zab_keep(&one.z, zxid + 100); /* no more than what is durable */
	assert_true(zab_link_reads(&one.z, ZAB_LINK_LEADER));
	one_packet(ZAB_LINK_LEADER, ZAB_COMMIT, zxid, NULL);
	one_packet(ZAB_LINK_LEADER, ZAB_PROPOSAL, zxid + 1, "transaction");
	assert_non_null(one_effect(ZAB_DO_LOG, 0));
	assert_int_equal(one.z.history.keep, zxid);
	one_done();
	one_beat = (struct zab_beat){0, 0};
}

/* Those that wait for a COMMIT fill it: only reading on can help. */
static void full_of_uncommitted_reads_on(void **state)
{
	uint64_t zxid = epoch2;

	(void)state;
	follow_until_uptodate(NULL);
	while (zxid < epoch2 + 64)
		one_packet(ZAB_LINK_LEADER, ZAB_PROPOSAL, ++zxid, "transaction");
	one_durable(zxid);
	one_packet(ZAB_LINK_LEADER, ZAB_COMMIT, epoch2 + 1, NULL);
	assert_int_equal(one.z.role, ZAB_FOLLOWING);
	zab_keep(&one.z, epoch2 + 1);
	one_packet(ZAB_LINK_LEADER, ZAB_PROPOSAL, ++zxid, "transaction");
	assert_int_equal(one.z.role, ZAB_FOLLOWING);
	one_done();
}

/* The leader answers heartbeats' bytes with bytes, pings at their pace from NEWLEADER on, and lets
 * its role go when it hears too few. */
static void silent_followers(void **state)
{
	unsigned pings = 0;

	(void)state;
	one_beat = fast;
	one_peer_beat_ms = 20; /* the slower of the two counts */
	one_serve(epoch1 + 9);
	assert_int_equal(one.z.link[0].beat.every_ms, 40);
	assert_int_equal(one.z.link[0].beat.timeout_ms, 250);
	one_packet(0, ZAB_ACK, epoch2, NULL); /* of UPTODATE */
	for (uint64_t t = 1001; t < 1200; t++) {
		one_at(t);
		pings += one_sent(ZAB_PING, 0) != NULL;
	}
	assert_in_range(pings, 7, 8); /* every 40 ms, and every half tick of 100 ms */
	one_packet(0, ZAB_PING, epoch2, NULL);
	one_pass(1590); /* twice the silence before */
	assert_int_equal(one.z.role, ZAB_LEADING);
	one_pass(1650);
	assert_int_equal(one.z.role, ZAB_LOOKING);
	one_done();
	one_beat = (struct zab_beat){0, 0};
	one_peer_beat_ms = 0;
}

/* To an Apache learner nothing is different. */
static void apache_learner_sees_apache(void **state)
{
	unsigned pings = 0;

	(void)state;
	one_beat = fast;
	one_lead(epoch1 + 9, false);
	assert_int_equal(one_sent(ZAB_LEADERINFO, 0)->packet.data.n, 4);
	one_done();
	one_serve(epoch1 + 9);
	one_packet(0, ZAB_ACK, epoch2, NULL);
	for (uint64_t t = 1001; t < 1200; t++) {
		one_at(t);
		pings += one_sent(ZAB_PING, 0) != NULL;
	}
	assert_int_equal(pings, 3); /* half a tick of 100 ms */
	one_at(1499);
	assert_int_equal(one.z.role, ZAB_LEADING);
	one_done();
	one_beat = (struct zab_beat){0, 0};
}

/* A port that accepts and closes belongs to a server that does not lead yet. */
static void leader_is_not_there_yet(void **state)
{
	(void)state;
	one_boot(1, epoch1 + 9, 1);
	one_notify(2, 3, epoch1 + 9, 1);
	one_notify(3, 3, epoch1 + 9, 1);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(one.z.role, ZAB_FOLLOWING);
		assert_non_null(one_effect(ZAB_DO_DIAL, 0));
		if (i % 2) {
			assert_true(zab_link_up(&one.z, ZAB_LINK_LEADER, one.now_ns));
			one_drain();
		}
		zab_link_down(&one.z, ZAB_LINK_LEADER, one.now_ns);
		one_drain();
		if (one.z.dial_ns)
			one_at(one.z.dial_ns / ms);
	}
	assert_int_equal(one.z.role, ZAB_LOOKING);
	assert_in_range(one.now_ns / ms, 1500, 2000);
	one_done();
}

static void info_of(uint32_t link, int64_t sid, uint64_t zxid)
{
	uint8_t info[ZAB_INFO_BYTES];
	struct jute_out out = jute_out_of(info, sizeof(info));
	struct zab_packet p = {
		.type = ZAB_FOLLOWERINFO, .zxid = zxid, .data = zk_span_of(info, sizeof(info))};

	zab_learner_info_put(&out, sid, 0);
	assert_true(zab_link_up(&one.z, link, one.now_ns));
	one_drain();
	zab_packet(&one.z, link, &p, one.now_ns);
	one_drain();
}

static void info_again(uint32_t link, int64_t sid)
{
	info_of(link, sid, epoch2);
}

/* The leader of servers that are long in coming. */
static void wait_for_the_first(void)
{
	one_boot(3, epoch1 + 9, 1);
	one_notify(1, 3, epoch1 + 9, 1);
	one_notify(2, 3, epoch1 + 9, 1);
	assert_int_equal(one.z.role, ZAB_LEADING);
}

/* Who waits for us says nothing, and is not too late when we have kept it waiting. */
static void waiting_is_no_silence(void **state)
{
	uint32_t observer = 5;
	uint8_t info[ZAB_INFO_BYTES];
	struct jute_out out = jute_out_of(info, sizeof(info));
	struct zab_packet p = {
		.type = ZAB_OBSERVERINFO, .zxid = 0, .data = zk_span_of(info, sizeof(info))};

	(void)state;
	/* ... for others, until there is an epoch */
	wait_for_the_first();
	zab_learner_info_put(&out, 9, 0);
	assert_true(zab_link_up(&one.z, observer, one.now_ns));
	one_drain();
	zab_packet(&one.z, observer, &p, one.now_ns);
	one_drain();
	one_pass(1990); /* initLimit is a second */
	info_of(0, 1, epoch1);
	one_written(ZAB_ACCEPTED_EPOCH);
	assert_int_equal(one.z.link[observer].state, ZAB_LINK_ACKEPOCH);
	one_pass(2500);
	assert_int_equal(one.z.link[observer].state, ZAB_LINK_ACKEPOCH);
	/* ... for the epoch to be agreed on */
	one_ackepoch(observer, 0);
	one_pass(2980);
	one_ackepoch(0, epoch1 + 9);
	zab_link_room(&one.z, observer, 0, one.now_ns);
	one_pass(3600);
	one_written(ZAB_CURRENT_EPOCH);
	one_packet(0, ZAB_ACK, epoch2, NULL);
	assert_int_equal(one.z.link[observer].state, ZAB_LINK_SYNC_FILE);
	/* ... for the log files to be read */
	zab_link_room(&one.z, observer, SIZE_MAX, one.now_ns);
	for (uint64_t t = 3700; t < 5500; t += 100) {
		one_packet(0, ZAB_PING, epoch2, "");
		one_pass(t);
	}
	assert_true(zab_file_txn(&one.z, observer, epoch1 + 9, zk_span_str("x"), one.now_ns));
	one_drain();
	zab_link_room(&one.z, observer, 0, one.now_ns);
	zab_file_end(&one.z, observer, true, one.now_ns);
	one_drain();
	one_pass(5600);
	assert_int_equal(one.z.link[observer].state, ZAB_LINK_SYNC);
	one_done();
}

/* Who takes nothing of the files for initLimit is given up; a slow disk of ours is not its fault.
 */
static void takes_nothing_of_the_files(void **state)
{
	(void)state;
	one_lead(epoch1 + 9, false);
	one_ackepoch(0, epoch1 + 2);
	one_written(ZAB_CURRENT_EPOCH);
	assert_int_equal(one.z.link[0].state, ZAB_LINK_SYNC_FILE);
	assert_true(zab_file_txn(&one.z, 0, epoch1 + 2, zk_span_str("x"), one.now_ns));
	one_drain();
	one.z.deadline_ns = UINT64_MAX; /* of the leader itself */
	one_pass(3000);
	assert_int_equal(one.z.link[0].state, ZAB_LINK_SYNC_FILE);
	assert_true(zab_file_txn(&one.z, 0, epoch1 + 3, zk_span_str("x"), one.now_ns));
	one_drain();
	zab_link_room(&one.z, 0, 0, one.now_ns);
	one_pass(3990);
	assert_int_equal(one.z.link[0].state, ZAB_LINK_SYNC_FILE);
	assert_false(zab_file_txn(&one.z, 0, epoch1 + 4, zk_span_str("x"), one.now_ns));
	one_pass(4100);
	assert_int_equal(one.z.link[0].state, ZAB_LINK_NONE);
	one_done();
}

/* An epoch that leaves none above it would be the end of the ensemble. */
static void epochs_end(void **state)
{
	(void)state;
	wait_for_the_first();
	info_of(0, 1, UINT64_C(0x7fffffff) << 32);
	assert_int_equal(one_effect(ZAB_DO_CLOSE, 0)->link, 0);
	assert_int_equal(one.z.epoch, 2);
	info_of(1, 2, UINT64_C(0x7ffffffe) << 32);
	assert_int_equal(one_effect(ZAB_DO_WRITE_EPOCH, 0)->epoch, 0x7fffffff);
	one_done();
	one_boot(1, epoch1 + 9, 1);
	one_notify(2, 3, epoch1 + 9, 1);
	one_notify(3, 3, epoch1 + 9, 1);
	assert_true(zab_link_up(&one.z, ZAB_LINK_LEADER, one.now_ns));
	one_drain();
	one_epoch_packet(ZAB_LINK_LEADER, ZAB_LEADERINFO, UINT64_C(0x80000000) << 32, ZAB_PROTOCOL);
	assert_null(one_effect(ZAB_DO_WRITE_EPOCH, 0));
	assert_non_null(one_effect(ZAB_DO_LOOK, 0));
	one_done();
}

/* Whoever says to be a follower that lives is sent away; one that has fallen silent is replaced. */
static void two_of_one_sid(void **state)
{
	(void)state;
	one_serve(epoch1 + 9);
	one_packet(0, ZAB_ACK, epoch2, NULL);
	info_again(1, 1);
	assert_int_equal(one_effect(ZAB_DO_CLOSE, 0)->link, 1);
	assert_null(one_effect(ZAB_DO_CLOSE, 1));
	assert_int_equal(one.z.link[0].state, ZAB_LINK_ACTIVE);
	one_pass(1101); /* more than a tick */
	info_again(1, 1);
	assert_int_equal(one_effect(ZAB_DO_CLOSE, 0)->link, 0);
	assert_non_null(one_sent(ZAB_LEADERINFO, 0));
	one_done();
	one_beat = fast;
	one_peer_beat_ms = 30;
	one_serve(epoch1 + 9);
	one_packet(0, ZAB_ACK, epoch2, NULL);
	one_pass(1299);
	info_again(1, 1);
	assert_int_equal(one_effect(ZAB_DO_CLOSE, 0)->link, 1);
	one.now_ns = 1301 * ms;
	info_again(1, 1);
	assert_int_equal(one_effect(ZAB_DO_CLOSE, 0)->link, 0);
	one_done();
	one_beat = (struct zab_beat){0, 0};
	one_peer_beat_ms = 0;
}

static void looks_again(int64_t from)
{
	struct zab_notification n = {.state = ZAB_LOOKING,
				     .leader = from,
				     .round = one.z.elect.current.round + 1,
				     .version = 2};

	zab_notified(&one.z, from, &n, one.now_ns);
	one_drain();
}

/* Nobody waits until initLimit for a leader, or for learners, when a quorum has gone on. */
static void the_others_have_gone_on(void **state)
{
	(void)state;
	one_boot(1, epoch1 + 9, 1);
	one_notify(2, 3, epoch1 + 9, 1);
	one_notify(3, 3, epoch1 + 9, 1);
	looks_again(2);
	assert_int_equal(one.z.role, ZAB_FOLLOWING);
	looks_again(2); /* the same again */
	assert_int_equal(one.z.role, ZAB_FOLLOWING);
	looks_again(3);
	assert_int_equal(one.z.role, ZAB_LOOKING);
	one_done();
	one_boot(3, epoch1 + 9, 1);
	one_notify(1, 3, epoch1 + 9, 1);
	one_notify(2, 3, epoch1 + 9, 1);
	looks_again(1);
	assert_int_equal(one.z.role, ZAB_LEADING);
	looks_again(2);
	assert_int_equal(one.z.role, ZAB_LOOKING);
	one_done();
	one_serve(epoch1 + 9); /* who serves goes by who follows */
	looks_again(1);
	looks_again(2);
	assert_int_equal(one.z.role, ZAB_LEADING);
	one_done();
}

/* A leader that cannot be dialled is given up early when others are quick too. */
static void dial_into_the_void(void **state)
{
	(void)state;
	one_beat = (struct zab_beat){10, 50};
	one_boot(1, epoch1 + 9, 1);
	one_notify(2, 3, epoch1 + 9, 1);
	one_notify(3, 3, epoch1 + 9, 1);
	one_pass(1299);
	assert_int_equal(one.z.role, ZAB_FOLLOWING);
	one_pass(1301);
	assert_int_equal(one.z.role, ZAB_LOOKING);
	one_done();
	one_beat = (struct zab_beat){0, 0};
}

/* connectToLearnerMasterLimit: a leader that does not answer at all. */
static void leader_does_not_answer(void **state)
{
	(void)state;
	one_boot(1, epoch1 + 9, 1);
	one.z.conf.connect_limit = 3;
	one_notify(2, 3, epoch1 + 9, 1);
	one_notify(3, 3, epoch1 + 9, 1);
	assert_int_equal(one.z.role, ZAB_FOLLOWING);
	one_at(1299);
	assert_int_equal(one.z.role, ZAB_FOLLOWING);
	one_at(1300);
	assert_int_equal(one.z.role, ZAB_LOOKING);
	one_done();
}

/* The last zxid of an epoch: once it is decided and everybody knows, a new epoch; not later. */
static void epoch_used_up(void **state)
{
	const uint64_t last = epoch2 + UINT32_MAX;

	(void)state;
	one_serve(epoch1 + 9);
	one_packet(0, ZAB_ACK, epoch2, NULL);
	one.z.proposed = last - 1; /* four thousand million transactions later */
	history_reset(&one.z.history, last - 1);
	one.z.durable = one.z.link[0].proposed = one.z.link[0].committed = last - 1;
	one_propose(last);
	assert_int_equal(zab_next_zxid(&one.z), 0);
	one_durable(last);
	assert_int_equal(one.z.role, ZAB_LEADING);
	one_packet(0, ZAB_ACK, last, NULL);
	assert_int_equal(one_effect(ZAB_DO_COMMIT, 0)->zxid, last);
	assert_non_null(one_sent(ZAB_COMMIT, 0));
	assert_non_null(one_effect(ZAB_DO_LOOK, 0));
	one_notify(1, 3, last, 2);
	one_notify(2, 3, last, 2);
	assert_int_equal(one.z.role, ZAB_LEADING);
	assert_int_equal(one.z.epoch, 3);
	one_done();
}

/* testingonly.initialZxid: where an epoch begins, near its end. */
static void epoch_begins_near_its_end(void **state)
{
	(void)state;
	one_lead(epoch1 + 9, false);
	one.z.conf.initial_counter = UINT32_MAX - 2;
	one_ackepoch(0, epoch1 + 9);
	one_written(ZAB_CURRENT_EPOCH);
	one_packet(0, ZAB_ACK, epoch2, NULL);
	assert_int_equal(one_effect(ZAB_DO_SERVE, 0)->zxid, epoch2);
	one_propose(epoch2 + UINT32_MAX - 1);
	one_propose(epoch2 + UINT32_MAX);
	assert_int_equal(zab_next_zxid(&one.z), 0);
	one_durable(epoch2 + UINT32_MAX);
	one_packet(0, ZAB_ACK, epoch2 + UINT32_MAX, NULL);
	assert_int_equal(one_effect(ZAB_DO_COMMIT, 0)->zxid, epoch2 + UINT32_MAX);
	assert_non_null(one_effect(ZAB_DO_LOOK, 0));
	one_done();
}

/* ... which a learner takes when it is told so, and nothing behind that. */
static void learner_near_the_end(void **state)
{
	static const uint32_t first[] = {1, 100, 2, 99, 101};

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		one_follow(epoch1 + 9);
		one.z.conf.initial_counter = 99;
		one_packet(ZAB_LINK_LEADER, ZAB_NEWLEADER, epoch2, "version=0");
		one_written(ZAB_CURRENT_EPOCH);
		one_packet(ZAB_LINK_LEADER, ZAB_UPTODATE, UINT64_MAX, NULL);
		one_packet(ZAB_LINK_LEADER, ZAB_PROPOSAL, epoch2 + first[i], "transaction");
		assert_int_equal(one_effect(ZAB_DO_LOG, 0) != NULL, i < 2);
		assert_int_equal(one.z.role, i < 2 ? ZAB_FOLLOWING : ZAB_LOOKING);
		one_done();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silent_leader),
		cmocka_unit_test(half_a_packet_is_no_silence),
		cmocka_unit_test(slow_machines),
		cmocka_unit_test(own_pause),
		cmocka_unit_test(full_history_keeps_the_role),
		cmocka_unit_test(full_of_uncommitted_reads_on),
		cmocka_unit_test(silent_followers),
		cmocka_unit_test(apache_learner_sees_apache),
		cmocka_unit_test(leader_is_not_there_yet),
		cmocka_unit_test(waiting_is_no_silence),
		cmocka_unit_test(takes_nothing_of_the_files),
		cmocka_unit_test(epochs_end),
		cmocka_unit_test(two_of_one_sid),
		cmocka_unit_test(the_others_have_gone_on),
		cmocka_unit_test(dial_into_the_void),
		cmocka_unit_test(leader_does_not_answer),
		cmocka_unit_test(epoch_used_up),
		cmocka_unit_test(epoch_begins_near_its_end),
		cmocka_unit_test(learner_near_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
