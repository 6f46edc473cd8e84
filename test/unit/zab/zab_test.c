/* SPDX-License-Identifier: Apache-2.0 */
/* One server at a time, its events in a chosen order. The cases named after issues of Apache
 * ZooKeeper are the schedules that lost transactions there; test/sim/zab_test.c shows that its
 * checker catches the rules that lost them. */
#include "core/zab/zab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const uint64_t ms = 1000000;
static const uint64_t epoch1 = UINT64_C(1) << 32, epoch2 = UINT64_C(2) << 32;

struct fixture {
	struct zab z;
	struct zk_mem mem;
	struct zab_members m;
	uint64_t now_ns;
	struct zab_effect got[ZAB_EFFECTS_MAX]; /* since the last event() */
	unsigned n;
};

static struct fixture f;

static void drain(void)
{
	f.n = 0;
	while (zab_effect_next(&f.z, &f.got[f.n]))
		f.n++;
}

static const struct zab_effect *effect(enum zab_effect_kind kind, unsigned nth)
{
	for (unsigned i = 0; i < f.n; i++)
		if (f.got[i].kind == kind && nth-- == 0)
			return &f.got[i];
	return NULL;
}

static const struct zab_effect *sent(int32_t type, unsigned nth)
{
	for (unsigned i = 0; i < f.n; i++)
		if (f.got[i].kind == ZAB_DO_SEND && f.got[i].packet.type == type && nth-- == 0)
			return &f.got[i];
	return NULL;
}

static struct zab_beat own_beat; /* of what boot() makes */
static uint32_t peer_beat_ms;    /* of learners that come to lead() */

static void boot(int64_t sid, uint64_t last, uint64_t epoch)
{
	const char *why;
	unsigned line;
	struct zab_conf c = {.sid = sid,
			     .now = &f.m,
			     .mem = &f.mem,
			     .tick_ms = 100,
			     .init_limit = 10,
			     .sync_limit = 5,
			     .heartbeat_ms = own_beat.every_ms,
			     .heartbeat_timeout_ms = own_beat.timeout_ms,
			     .history_entries = 64,
			     .history_bytes = 4096,
			     .data_max = 1024};
	struct zab_disk d = {.last_zxid = last, .accepted_epoch = epoch, .current_epoch = epoch};

	memset(&f, 0, sizeof(f));
	f.now_ns = 1000 * ms;
	zk_mem_init_heap(&f.mem, 0);
	assert_int_equal(zab_members_parse(zk_span_str("server.1=a:2:3\nserver.2=b:2:3\n"
						       "server.3=c:2:3\n"),
					   &f.m, &why, &line),
			 ZK_EOK);
	assert_int_equal(zab_init(&f.z, &c, &d, f.now_ns), ZK_EOK);
	zab_tick(&f.z, f.now_ns);
	drain();
}

static void notify(int64_t from, int64_t leader, uint64_t zxid, uint64_t epoch)
{
	struct zab_notification n = {.state = ZAB_LOOKING,
				     .leader = leader,
				     .zxid = (int64_t)zxid,
				     .round = f.z.elect.round,
				     .peer_epoch = (int64_t)epoch,
				     .version = 2};

	zab_notified(&f.z, from, &n, f.now_ns);
	drain();
}

static void packet(uint32_t link, int32_t type, uint64_t zxid, const char *data)
{
	struct zab_packet p = {.type = type, .zxid = zxid};

	if (data)
		p.data = zk_span_str(data);
	assert_true(zab_link_reads(&f.z, link));
	zab_packet(&f.z, link, &p, f.now_ns);
	drain();
}

static void epoch_packet(uint32_t link, int32_t type, uint64_t zxid, uint32_t number)
{
	uint8_t data[4];
	struct zab_packet p = {.type = type, .zxid = zxid, .data = zk_span_of(data, 4)};

	zk_put32(data, number);
	zab_packet(&f.z, link, &p, f.now_ns);
	drain();
}

static void durable(uint64_t zxid)
{
	zab_durable(&f.z, zxid, f.now_ns);
	drain();
}

static void written(enum zab_file file)
{
	zab_epoch_written(&f.z, file, f.now_ns);
	drain();
}

/* A follower of server 3 in epoch 2 that has just been told DIFF. */
static void follow(uint64_t last)
{
	boot(1, last, 1);
	notify(2, 3, epoch1 + 9, 1);
	notify(3, 3, epoch1 + 9, 1);
	assert_int_equal(f.z.role, ZAB_FOLLOWING);
	assert_true(zab_link_up(&f.z, ZAB_LINK_LEADER, f.now_ns));
	drain();
	assert_non_null(sent(ZAB_FOLLOWERINFO, 0));
	epoch_packet(ZAB_LINK_LEADER, ZAB_LEADERINFO, epoch2, ZAB_PROTOCOL);
	assert_int_equal(effect(ZAB_DO_WRITE_EPOCH, 0)->file, ZAB_ACCEPTED_EPOCH);
	assert_null(sent(ZAB_ACKEPOCH, 0)); /* not before it is written */
	written(ZAB_ACCEPTED_EPOCH);
	assert_int_equal(sent(ZAB_ACKEPOCH, 0)->packet.zxid, last);
	packet(ZAB_LINK_LEADER, ZAB_DIFF, epoch1 + 9, NULL);
}

static void propose_and_commit(uint64_t zxid)
{
	packet(ZAB_LINK_LEADER, ZAB_PROPOSAL, zxid, "transaction");
	assert_int_equal(effect(ZAB_DO_LOG, 0)->packet.zxid, zxid);
	packet(ZAB_LINK_LEADER, ZAB_COMMIT, zxid, NULL);
	assert_int_equal(effect(ZAB_DO_COMMIT, 0)->zxid, zxid);
}

/* Leader 3 of epoch 2, everybody there; learner 1 on link 0, learner 2 on link 1 if @p both. */
static void lead(uint64_t last, bool both)
{
	uint8_t info[ZAB_INFO_BYTES + ZAB_BEAT_BYTES];
	struct zab_packet p = {.type = ZAB_FOLLOWERINFO, .zxid = epoch1};
	struct zab_beat beat = {peer_beat_ms, 10 * peer_beat_ms};

	boot(3, last, 1);
	notify(1, 3, last, 1);
	notify(2, 3, last, 1);
	assert_int_equal(f.z.role, ZAB_LEADING);
	for (uint32_t i = 0; i < 1 + (uint32_t)both; i++) {
		struct jute_out out = jute_out_of(info, sizeof(info));

		zab_learner_info_put(&out, (int64_t)i + 1, 0);
		if (peer_beat_ms)
			zab_beat_put(&out, &beat);
		p.data = zk_span_of(info, (uint32_t)jute_out_len(&out));
		assert_true(zab_link_up(&f.z, i, f.now_ns));
		zab_packet(&f.z, i, &p, f.now_ns);
		drain();
		if (i == 0) {
			assert_int_equal(effect(ZAB_DO_WRITE_EPOCH, 0)->epoch, 2);
			assert_null(sent(ZAB_LEADERINFO, 0));
			written(ZAB_ACCEPTED_EPOCH);
		}
		assert_int_equal(sent(ZAB_LEADERINFO, 0)->packet.zxid, epoch2);
	}
}

static void ackepoch(uint32_t link, uint64_t last)
{
	epoch_packet(link, ZAB_ACKEPOCH, last, 1);
}

/* ... and it serves: learner 1 is up to date. */
static void serve(uint64_t last)
{
	lead(last, false);
	ackepoch(0, last);
	assert_int_equal(effect(ZAB_DO_WRITE_EPOCH, 0)->file, ZAB_CURRENT_EPOCH);
	written(ZAB_CURRENT_EPOCH);
	assert_non_null(sent(ZAB_DIFF, 0));
	assert_int_equal(sent(ZAB_NEWLEADER, 0)->packet.zxid, epoch2);
	packet(0, ZAB_ACK, epoch2, NULL);
	assert_int_equal(effect(ZAB_DO_SERVE, 0)->zxid, epoch2);
	assert_non_null(sent(ZAB_UPTODATE, 0));
}

static void propose(uint64_t zxid)
{
	assert_int_equal(zab_next_zxid(&f.z), zxid);
	assert_int_equal(zab_propose(&f.z, zxid, zk_span_str("transaction"), f.now_ns), ZK_EOK);
	drain();
}

static void done(void)
{
	zab_fini(&f.z);
	assert_int_equal(f.mem.used_bytes, 0);
}

/* The epoch is taken, and NEWLEADER acknowledged, only when the transactions before it are on disk.
 * 4643: currentEpoch was written first; after a crash the server won an election by its epoch and
 * had others cut off what it lacked. 4646, 3911: the ACK went first. */
static void zookeeper_3911_4643_4646(void **state)
{
	(void)state;
	follow(epoch1 + 7);
	propose_and_commit(epoch1 + 8);
	propose_and_commit(epoch1 + 9);
	packet(ZAB_LINK_LEADER, ZAB_NEWLEADER, epoch2, "version=0");
	assert_null(effect(ZAB_DO_WRITE_EPOCH, 0));
	assert_null(sent(ZAB_ACK, 0));
	durable(epoch1 + 8);
	assert_null(effect(ZAB_DO_WRITE_EPOCH, 0));
	durable(epoch1 + 9);
	assert_int_equal(effect(ZAB_DO_WRITE_EPOCH, 0)->file, ZAB_CURRENT_EPOCH);
	assert_null(sent(ZAB_ACK, 0));
	written(ZAB_CURRENT_EPOCH);
	assert_int_equal(sent(ZAB_ACK, 0)->packet.zxid, epoch2);
	packet(ZAB_LINK_LEADER, ZAB_UPTODATE, UINT64_MAX, NULL);
	assert_non_null(effect(ZAB_DO_SERVE, 0));
	done();
}

/* A follower that acknowledges transactions of the synchronisation before NEWLEADER, as 3.8 may:
 * the leader does not mind, and does not count them either. There it stepped down. */
static void zookeeper_4685(void **state)
{
	(void)state;
	lead(epoch1 + 9, false);
	ackepoch(0, epoch1 + 9);
	written(ZAB_CURRENT_EPOCH);
	packet(0, ZAB_ACK, epoch1 + 9, NULL);
	assert_null(effect(ZAB_DO_CLOSE, 0));
	assert_null(effect(ZAB_DO_SERVE, 0));
	packet(0, ZAB_ACK, epoch2, NULL);
	assert_non_null(effect(ZAB_DO_SERVE, 0));
	done();
}

/* What is proposed and committed between NEWLEADER and UPTODATE is logged and applied like all
 * else, and acknowledged afterwards. There such transactions could be left out of the log. */
static void zookeeper_4785(void **state)
{
	(void)state;
	follow(epoch1 + 9);
	packet(ZAB_LINK_LEADER, ZAB_NEWLEADER, epoch2, NULL);
	written(ZAB_CURRENT_EPOCH);
	assert_int_equal(sent(ZAB_ACK, 0)->packet.zxid, epoch2);
	propose_and_commit(epoch2 + 1);
	packet(ZAB_LINK_LEADER, ZAB_PROPOSAL, epoch2 + 2, "transaction");
	assert_non_null(effect(ZAB_DO_LOG, 0));
	packet(ZAB_LINK_LEADER, ZAB_UPTODATE, UINT64_MAX, NULL);
	assert_int_equal(sent(ZAB_ACK, 0)->packet.zxid, epoch2);
	assert_null(sent(ZAB_ACK, 1));
	durable(epoch2 + 2);
	assert_int_equal(sent(ZAB_ACK, 0)->packet.zxid, epoch2 + 1);
	assert_int_equal(sent(ZAB_ACK, 1)->packet.zxid, epoch2 + 2);
	done();
}

/* What came by DIFF can be passed on when the follower leads: no hole in its history. */
static void zookeeper_4925(void **state)
{
	const struct history_entry *e;

	(void)state;
	follow(epoch1 + 7);
	propose_and_commit(epoch1 + 8);
	propose_and_commit(epoch1 + 9);
	packet(ZAB_LINK_LEADER, ZAB_NEWLEADER, epoch2, NULL);
	durable(epoch1 + 9);
	written(ZAB_CURRENT_EPOCH);
	packet(ZAB_LINK_LEADER, ZAB_UPTODATE, UINT64_MAX, NULL);
	propose_and_commit(epoch2 + 1);
	assert_true(history_covers(&f.z.history, epoch1 + 7));
	e = history_after(&f.z.history, epoch1 + 7);
	assert_int_equal(e->zxid, epoch1 + 8);
	e = history_after(&f.z.history, epoch1 + 8);
	assert_int_equal(e->zxid, epoch1 + 9);
	e = history_after(&f.z.history, epoch1 + 9);
	assert_int_equal(e->zxid, epoch2 + 1);
	done();
}

/* Proposals are committed by a quorum of disks, the leader's own among them only when it has
 * synced. */
static void commits_by_disks(void **state)
{
	(void)state;
	serve(epoch1 + 9);
	propose(epoch2 + 1);
	assert_non_null(effect(ZAB_DO_LOG, 0));
	assert_int_equal(sent(ZAB_PROPOSAL, 0)->packet.zxid, epoch2 + 1);
	propose(epoch2 + 2);
	packet(0, ZAB_ACK, epoch2 + 1, NULL);
	assert_null(effect(ZAB_DO_COMMIT, 0)); /* one of three */
	durable(epoch2 + 2);
	assert_int_equal(effect(ZAB_DO_COMMIT, 0)->zxid, epoch2 + 1);
	assert_int_equal(sent(ZAB_COMMIT, 0)->packet.zxid, epoch2 + 1);
	packet(0, ZAB_ACK, epoch2 + 2, NULL);
	assert_int_equal(effect(ZAB_DO_COMMIT, 0)->zxid, epoch2 + 2);
	/* of nothing that was proposed */
	packet(0, ZAB_ACK, epoch2 + 3, NULL);
	assert_null(effect(ZAB_DO_COMMIT, 0));
	assert_int_equal(f.z.count.stray_acks, 1);
	done();
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
	serve(epoch1 + 9);
	propose(epoch2 + 1);
	packet(0, ZAB_ACK, epoch2 + 1, NULL);
	zab_link_down(&f.z, 0, f.now_ns);
	drain();
	zab_learner_info_put(&out, 1, 0);
	assert_true(zab_link_up(&f.z, 1, f.now_ns));
	drain();
	zab_packet(&f.z, 1, &p, f.now_ns);
	drain();
	epoch_packet(1, ZAB_ACKEPOCH, epoch2 + 1, UINT32_MAX);
	assert_int_equal(sent(ZAB_TRUNC, 0)->packet.zxid, epoch1 + 9);
	durable(epoch2 + 1);
	assert_null(effect(ZAB_DO_COMMIT, 0));
	packet(1, ZAB_ACK, epoch2, NULL);
	assert_null(effect(ZAB_DO_COMMIT, 0));
	packet(1, ZAB_ACK, epoch2 + 1, NULL);
	assert_int_equal(effect(ZAB_DO_COMMIT, 0)->zxid, epoch2 + 1);
	done();
}

/* A learner that knows more than the leader is sent away before the epoch is agreed on. */
static void learner_ahead_is_refused(void **state)
{
	(void)state;
	lead(epoch1 + 9, true);
	ackepoch(0, epoch1 + 10);
	assert_int_equal(effect(ZAB_DO_CLOSE, 0)->link, 0);
	ackepoch(1, epoch1 + 9);
	assert_non_null(effect(ZAB_DO_WRITE_EPOCH, 0));
	done();
}

/* The other server waits for a commit that this one has not got: they disagree. */
static void commit_of_another_transaction(void **state)
{
	(void)state;
	follow(epoch1 + 9);
	packet(ZAB_LINK_LEADER, ZAB_PROPOSAL, epoch2 + 1, "transaction");
	packet(ZAB_LINK_LEADER, ZAB_COMMIT, epoch2 + 2, NULL);
	assert_non_null(effect(ZAB_DO_LOOK, 0));
	assert_int_equal(f.z.role, ZAB_LOOKING);
	durable(epoch2 + 1); /* only then the next election begins */
	assert_int_equal(effect(ZAB_DO_COMMIT, 0)->zxid, epoch2 + 1);
	assert_non_null(effect(ZAB_DO_NOTIFY, 0));
	done();
}

static void hole_in_the_stream(void **state)
{
	(void)state;
	follow(epoch1 + 7);
	packet(ZAB_LINK_LEADER, ZAB_PROPOSAL, epoch1 + 9, "transaction");
	assert_null(effect(ZAB_DO_LOG, 0));
	assert_non_null(effect(ZAB_DO_LOOK, 0));
	done();
}

/* Replies to a learner do not overtake the commits before them. */
static void replies_wait_for_commits(void **state)
{
	(void)state;
	serve(epoch1 + 9);
	propose(epoch2 + 1);
	durable(epoch2 + 1);
	zab_link_room(&f.z, 0, 0, f.now_ns);
	drain();
	packet(0, ZAB_ACK, epoch2 + 1, NULL);
	assert_int_equal(effect(ZAB_DO_COMMIT, 0)->zxid, epoch2 + 1);
	assert_null(sent(ZAB_COMMIT, 0)); /* no room */
	assert_int_equal(zab_reply(&f.z, 0, ZAB_SYNC, 0, (struct zk_span){NULL, 0}), ZK_EOK);
	zab_link_room(&f.z, 0, 1000, f.now_ns);
	drain();
	assert_int_equal(f.got[0].packet.type, ZAB_COMMIT);
	assert_int_equal(f.got[1].packet.type, ZAB_SYNC);
	for (unsigned i = 0; i < ZAB_REPLIES_MAX; i++)
		assert_int_equal(zab_reply(&f.z, 0, ZAB_SYNC, 0, (struct zk_span){NULL, 0}),
				 ZK_EOK);
	assert_int_equal(zab_reply(&f.z, 0, ZAB_SYNC, 0, (struct zk_span){NULL, 0}), ZK_EAGAIN);
	done();
}

/* Nothing is proposed without a bound: what waits for its commit fills the history. */
static void proposals_are_bounded(void **state)
{
	uint64_t zxid = epoch2;

	(void)state;
	serve(epoch1 + 9);
	while (zab_propose(&f.z, ++zxid, zk_span_str("transaction"), f.now_ns) == ZK_EOK)
		drain();
	assert_int_equal(zxid, epoch2 + 65);
	packet(0, ZAB_ACK, epoch2 + 64, NULL);
	durable(epoch2 + 64);
	/* ... and what is not applied here */
	assert_int_equal(zab_propose(&f.z, zxid, zk_span_str("transaction"), f.now_ns), ZK_EAGAIN);
	zab_keep(&f.z, epoch2 + 1);
	propose(epoch2 + 65);
	done();
}

static void voter_with_a_later_epoch(void **state)
{
	uint8_t info[20];
	struct jute_out out = jute_out_of(info, sizeof(info));
	struct zab_packet p = {.type = ZAB_FOLLOWERINFO,
			       .zxid = UINT64_C(7) << 32,
			       .data = zk_span_of(info, sizeof(info))};

	(void)state;
	serve(epoch1 + 9);
	zab_learner_info_put(&out, 2, 0);
	assert_true(zab_link_up(&f.z, 1, f.now_ns));
	drain();
	zab_packet(&f.z, 1, &p, f.now_ns);
	drain();
	assert_non_null(effect(ZAB_DO_LOOK, 0));
	notify(1, 3, epoch1 + 9, 2);
	notify(2, 3, epoch1 + 9, 2);
	assert_int_equal(f.z.role, ZAB_LEADING);
	assert_int_equal(f.z.epoch, 8);
	done();
}

static void at(uint64_t at_ms)
{
	f.now_ns = at_ms * ms;
	zab_tick(&f.z, f.now_ns);
	drain();
}

/* Tick whenever it is due, up to @p at_ms. */
static void pass(uint64_t at_ms)
{
	while (zab_next_ns(&f.z) <= at_ms * ms && f.z.role != ZAB_LOOKING)
		at((zab_next_ns(&f.z) + ms - 1) / ms);
	at(at_ms);
}

static const struct zab_beat fast = {40, 250};

/* Server 1 follows server 3, which has said @p beat behind its LEADERINFO (NULL: an Apache). */
static void follow_until_uptodate(const struct zab_beat *beat)
{
	uint8_t data[ZAB_LEADERINFO_BYTES + ZAB_BEAT_BYTES];
	struct jute_out out = jute_out_of(data, sizeof(data));
	struct zab_packet p = {.type = ZAB_LEADERINFO, .zxid = epoch2};

	boot(1, epoch1 + 9, 1);
	notify(2, 3, epoch1 + 9, 1);
	notify(3, 3, epoch1 + 9, 1);
	assert_true(zab_link_up(&f.z, ZAB_LINK_LEADER, f.now_ns));
	drain();
	assert_int_equal(sent(ZAB_FOLLOWERINFO, 0)->packet.data.n,
			 own_beat.every_ms ? ZAB_INFO_BYTES + ZAB_BEAT_BYTES : ZAB_INFO_BYTES);
	jute_put_i32(&out, ZAB_PROTOCOL);
	if (beat)
		zab_beat_put(&out, beat);
	p.data = zk_span_of(data, (uint32_t)jute_out_len(&out));
	zab_packet(&f.z, ZAB_LINK_LEADER, &p, f.now_ns);
	drain();
	written(ZAB_ACCEPTED_EPOCH);
	packet(ZAB_LINK_LEADER, ZAB_DIFF, epoch1 + 9, NULL);
	packet(ZAB_LINK_LEADER, ZAB_NEWLEADER, epoch2, "version=0");
	written(ZAB_CURRENT_EPOCH);
	packet(ZAB_LINK_LEADER, ZAB_UPTODATE, UINT64_MAX, NULL);
	packet(ZAB_LINK_LEADER, ZAB_PING, epoch2, NULL);
}

/* Two of a kind: the leader is given up after the time they have agreed on. An Apache leader, or a
 * server without heartbeats, has until syncLimit. */
static void silent_leader(void **state)
{
	(void)state;
	own_beat = fast;
	follow_until_uptodate(&fast);
	pass(1249);
	assert_int_equal(f.z.role, ZAB_FOLLOWING);
	pass(1251);
	assert_int_equal(f.z.role, ZAB_LOOKING);
	assert_true(f.z.elect.suspects);
	assert_int_equal(f.z.count.silences, 1);
	done();
	follow_until_uptodate(NULL);
	pass(1499);
	assert_int_equal(f.z.role, ZAB_FOLLOWING);
	done();
	own_beat = (struct zab_beat){0, 0};
	follow_until_uptodate(&fast);
	pass(1499);
	assert_int_equal(f.z.role, ZAB_FOLLOWING);
	done();
}

/* Bytes of a packet that is not complete yet are a sign of life too. */
static void half_a_packet_is_no_silence(void **state)
{
	(void)state;
	own_beat = fast;
	follow_until_uptodate(&fast);
	pass(1200);
	zab_link_heard(&f.z, ZAB_LINK_LEADER, f.now_ns);
	pass(1400);
	assert_int_equal(f.z.role, ZAB_FOLLOWING);
	pass(1601); /* twice the silence before */
	assert_int_equal(f.z.role, ZAB_LOOKING);
	done();
	own_beat = (struct zab_beat){0, 0};
}

static void leader_is_heard_every(uint32_t every_ms, uint64_t until_ms)
{
	while (f.now_ns / ms + every_ms <= until_ms) {
		pass(f.now_ns / ms + every_ms);
		packet(ZAB_LINK_LEADER, ZAB_PING, epoch2, NULL);
	}
	assert_int_equal(f.z.role, ZAB_FOLLOWING);
}

/* Where everybody is slow nobody is given up for it; no longer than four times the time-out, and
 * only as long as it is so. */
static void slow_machines(void **state)
{
	(void)state;
	own_beat = fast;
	follow_until_uptodate(&fast);
	leader_is_heard_every(200, 1200);
	leader_is_heard_every(390, 1590);
	leader_is_heard_every(770, 2360);
	pass(3359);
	assert_int_equal(f.z.role, ZAB_FOLLOWING);
	pass(3361);
	assert_int_equal(f.z.role, ZAB_LOOKING);
	done();
	follow_until_uptodate(&fast);
	leader_is_heard_every(240, 1240);
	leader_is_heard_every(40, 9240);
	pass(9489);
	assert_int_equal(f.z.role, ZAB_FOLLOWING);
	pass(9491);
	assert_int_equal(f.z.role, ZAB_LOOKING);
	done();
	own_beat = (struct zab_beat){0, 0};
}

/* Who was stopped himself has no right to blame the others. */
static void own_pause(void **state)
{
	(void)state;
	own_beat = fast;
	follow_until_uptodate(&fast);
	pass(1040);
	at(1900);
	assert_int_equal(f.z.role, ZAB_FOLLOWING);
	assert_int_equal(f.z.count.pauses, 1);
	pass(2149);
	assert_int_equal(f.z.role, ZAB_FOLLOWING);
	pass(2151);
	assert_int_equal(f.z.role, ZAB_LOOKING);
	done();
	own_beat = (struct zab_beat){0, 0};
}

/* Back-pressure: what is not applied stays, packets are left in the connection, and both sides know
 * that nobody has died. */
static void full_history_keeps_the_role(void **state)
{
	uint64_t zxid = epoch2;

	(void)state;
	own_beat = fast;
	follow_until_uptodate(&fast);
	while (zab_link_reads(&f.z, ZAB_LINK_LEADER)) {
		assert_true(++zxid < epoch2 + 1000);
		packet(ZAB_LINK_LEADER, ZAB_PROPOSAL, zxid, "transaction");
		if (zab_link_reads(&f.z, ZAB_LINK_LEADER))
			packet(ZAB_LINK_LEADER, ZAB_COMMIT, zxid, NULL);
	}
	assert_int_equal(history_after(&f.z.history, epoch1 + 9)->zxid, epoch2 + 1);
	durable(zxid);
	assert_false(zab_link_reads(&f.z, ZAB_LINK_LEADER));
	at(1100);
	assert_non_null(sent(ZAB_PING, 0));
	pass(9000);
	assert_int_equal(f.z.role, ZAB_FOLLOWING);
	zab_keep(&f.z, zxid + 100); /* no more than what is durable */
	assert_true(zab_link_reads(&f.z, ZAB_LINK_LEADER));
	packet(ZAB_LINK_LEADER, ZAB_COMMIT, zxid, NULL);
	packet(ZAB_LINK_LEADER, ZAB_PROPOSAL, zxid + 1, "transaction");
	assert_non_null(effect(ZAB_DO_LOG, 0));
	assert_int_equal(f.z.history.keep, zxid);
	done();
	own_beat = (struct zab_beat){0, 0};
}

/* Those that wait for a COMMIT fill it: only reading on can help. */
static void full_of_uncommitted_reads_on(void **state)
{
	uint64_t zxid = epoch2;

	(void)state;
	follow_until_uptodate(NULL);
	while (zxid < epoch2 + 64)
		packet(ZAB_LINK_LEADER, ZAB_PROPOSAL, ++zxid, "transaction");
	durable(zxid);
	packet(ZAB_LINK_LEADER, ZAB_COMMIT, epoch2 + 1, NULL);
	assert_int_equal(f.z.role, ZAB_FOLLOWING);
	zab_keep(&f.z, epoch2 + 1);
	packet(ZAB_LINK_LEADER, ZAB_PROPOSAL, ++zxid, "transaction");
	assert_int_equal(f.z.role, ZAB_FOLLOWING);
	done();
}

/* The leader answers heartbeats' bytes with bytes, pings at their pace from NEWLEADER on, and lets
 * its role go when it hears too few. */
static void silent_followers(void **state)
{
	unsigned pings = 0;

	(void)state;
	own_beat = fast;
	peer_beat_ms = 20; /* the slower of the two counts */
	serve(epoch1 + 9);
	assert_int_equal(f.z.link[0].beat.every_ms, 40);
	assert_int_equal(f.z.link[0].beat.timeout_ms, 250);
	packet(0, ZAB_ACK, epoch2, NULL); /* of UPTODATE */
	for (uint64_t t = 1001; t < 1200; t++) {
		at(t);
		pings += sent(ZAB_PING, 0) != NULL;
	}
	assert_in_range(pings, 7, 8); /* every 40 ms, and every half tick of 100 ms */
	packet(0, ZAB_PING, epoch2, NULL);
	pass(1590); /* twice the silence before */
	assert_int_equal(f.z.role, ZAB_LEADING);
	pass(1650);
	assert_int_equal(f.z.role, ZAB_LOOKING);
	done();
	own_beat = (struct zab_beat){0, 0};
	peer_beat_ms = 0;
}

/* To an Apache learner nothing is different. */
static void apache_learner_sees_apache(void **state)
{
	unsigned pings = 0;

	(void)state;
	own_beat = fast;
	lead(epoch1 + 9, false);
	assert_int_equal(sent(ZAB_LEADERINFO, 0)->packet.data.n, 4);
	done();
	serve(epoch1 + 9);
	packet(0, ZAB_ACK, epoch2, NULL);
	for (uint64_t t = 1001; t < 1200; t++) {
		at(t);
		pings += sent(ZAB_PING, 0) != NULL;
	}
	assert_int_equal(pings, 3); /* half a tick of 100 ms */
	at(1499);
	assert_int_equal(f.z.role, ZAB_LEADING);
	done();
	own_beat = (struct zab_beat){0, 0};
}

/* A port that accepts and closes belongs to a server that does not lead yet. */
static void leader_is_not_there_yet(void **state)
{
	(void)state;
	boot(1, epoch1 + 9, 1);
	notify(2, 3, epoch1 + 9, 1);
	notify(3, 3, epoch1 + 9, 1);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(f.z.role, ZAB_FOLLOWING);
		assert_non_null(effect(ZAB_DO_DIAL, 0));
		if (i % 2) {
			assert_true(zab_link_up(&f.z, ZAB_LINK_LEADER, f.now_ns));
			drain();
		}
		zab_link_down(&f.z, ZAB_LINK_LEADER, f.now_ns);
		drain();
		if (f.z.dial_ns)
			at(f.z.dial_ns / ms);
	}
	assert_int_equal(f.z.role, ZAB_LOOKING);
	assert_in_range(f.now_ns / ms, 1500, 2000);
	done();
}

static void info_of(uint32_t link, int64_t sid, uint64_t zxid)
{
	uint8_t info[ZAB_INFO_BYTES];
	struct jute_out out = jute_out_of(info, sizeof(info));
	struct zab_packet p = {
		.type = ZAB_FOLLOWERINFO, .zxid = zxid, .data = zk_span_of(info, sizeof(info))};

	zab_learner_info_put(&out, sid, 0);
	assert_true(zab_link_up(&f.z, link, f.now_ns));
	drain();
	zab_packet(&f.z, link, &p, f.now_ns);
	drain();
}

static void info_again(uint32_t link, int64_t sid)
{
	info_of(link, sid, epoch2);
}

/* The leader of servers that are long in coming. */
static void wait_for_the_first(void)
{
	boot(3, epoch1 + 9, 1);
	notify(1, 3, epoch1 + 9, 1);
	notify(2, 3, epoch1 + 9, 1);
	assert_int_equal(f.z.role, ZAB_LEADING);
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
	assert_true(zab_link_up(&f.z, observer, f.now_ns));
	drain();
	zab_packet(&f.z, observer, &p, f.now_ns);
	drain();
	pass(1990); /* initLimit is a second */
	info_of(0, 1, epoch1);
	written(ZAB_ACCEPTED_EPOCH);
	assert_int_equal(f.z.link[observer].state, ZAB_LINK_ACKEPOCH);
	pass(2500);
	assert_int_equal(f.z.link[observer].state, ZAB_LINK_ACKEPOCH);
	/* ... for the epoch to be agreed on */
	ackepoch(observer, 0);
	pass(2980);
	ackepoch(0, epoch1 + 9);
	zab_link_room(&f.z, observer, 0, f.now_ns);
	pass(3600);
	written(ZAB_CURRENT_EPOCH);
	packet(0, ZAB_ACK, epoch2, NULL);
	assert_int_equal(f.z.link[observer].state, ZAB_LINK_SYNC_FILE);
	/* ... for the log files to be read */
	zab_link_room(&f.z, observer, SIZE_MAX, f.now_ns);
	for (uint64_t t = 3700; t < 5500; t += 100) {
		packet(0, ZAB_PING, epoch2, "");
		pass(t);
	}
	assert_true(zab_file_txn(&f.z, observer, epoch1 + 9, zk_span_str("x"), f.now_ns));
	drain();
	zab_link_room(&f.z, observer, 0, f.now_ns);
	zab_file_end(&f.z, observer, true, f.now_ns);
	drain();
	pass(5600);
	assert_int_equal(f.z.link[observer].state, ZAB_LINK_SYNC);
	done();
}

/* Who takes nothing of the files for initLimit is given up; a slow disk of ours is not its fault.
 */
static void takes_nothing_of_the_files(void **state)
{
	(void)state;
	lead(epoch1 + 9, false);
	ackepoch(0, epoch1 + 2);
	written(ZAB_CURRENT_EPOCH);
	assert_int_equal(f.z.link[0].state, ZAB_LINK_SYNC_FILE);
	assert_true(zab_file_txn(&f.z, 0, epoch1 + 2, zk_span_str("x"), f.now_ns));
	drain();
	f.z.deadline_ns = UINT64_MAX; /* of the leader itself */
	pass(3000);
	assert_int_equal(f.z.link[0].state, ZAB_LINK_SYNC_FILE);
	assert_true(zab_file_txn(&f.z, 0, epoch1 + 3, zk_span_str("x"), f.now_ns));
	drain();
	zab_link_room(&f.z, 0, 0, f.now_ns);
	pass(3990);
	assert_int_equal(f.z.link[0].state, ZAB_LINK_SYNC_FILE);
	assert_false(zab_file_txn(&f.z, 0, epoch1 + 4, zk_span_str("x"), f.now_ns));
	pass(4100);
	assert_int_equal(f.z.link[0].state, ZAB_LINK_NONE);
	done();
}

/* An epoch that leaves none above it would be the end of the ensemble. */
static void epochs_end(void **state)
{
	(void)state;
	wait_for_the_first();
	info_of(0, 1, UINT64_C(0x7fffffff) << 32);
	assert_int_equal(effect(ZAB_DO_CLOSE, 0)->link, 0);
	assert_int_equal(f.z.epoch, 2);
	info_of(1, 2, UINT64_C(0x7ffffffe) << 32);
	assert_int_equal(effect(ZAB_DO_WRITE_EPOCH, 0)->epoch, 0x7fffffff);
	done();
	boot(1, epoch1 + 9, 1);
	notify(2, 3, epoch1 + 9, 1);
	notify(3, 3, epoch1 + 9, 1);
	assert_true(zab_link_up(&f.z, ZAB_LINK_LEADER, f.now_ns));
	drain();
	epoch_packet(ZAB_LINK_LEADER, ZAB_LEADERINFO, UINT64_C(0x80000000) << 32, ZAB_PROTOCOL);
	assert_null(effect(ZAB_DO_WRITE_EPOCH, 0));
	assert_non_null(effect(ZAB_DO_LOOK, 0));
	done();
}

/* Whoever says to be a follower that lives is sent away; one that has fallen silent is replaced. */
static void two_of_one_sid(void **state)
{
	(void)state;
	serve(epoch1 + 9);
	packet(0, ZAB_ACK, epoch2, NULL);
	info_again(1, 1);
	assert_int_equal(effect(ZAB_DO_CLOSE, 0)->link, 1);
	assert_null(effect(ZAB_DO_CLOSE, 1));
	assert_int_equal(f.z.link[0].state, ZAB_LINK_ACTIVE);
	pass(1101); /* more than a tick */
	info_again(1, 1);
	assert_int_equal(effect(ZAB_DO_CLOSE, 0)->link, 0);
	assert_non_null(sent(ZAB_LEADERINFO, 0));
	done();
	own_beat = fast;
	peer_beat_ms = 30;
	serve(epoch1 + 9);
	packet(0, ZAB_ACK, epoch2, NULL);
	pass(1299);
	info_again(1, 1);
	assert_int_equal(effect(ZAB_DO_CLOSE, 0)->link, 1);
	f.now_ns = 1301 * ms;
	info_again(1, 1);
	assert_int_equal(effect(ZAB_DO_CLOSE, 0)->link, 0);
	done();
	own_beat = (struct zab_beat){0, 0};
	peer_beat_ms = 0;
}

static void looks_again(int64_t from)
{
	struct zab_notification n = {.state = ZAB_LOOKING,
				     .leader = from,
				     .round = f.z.elect.current.round + 1,
				     .version = 2};

	zab_notified(&f.z, from, &n, f.now_ns);
	drain();
}

/* Nobody waits until initLimit for a leader, or for learners, when a quorum has gone on. */
static void the_others_have_gone_on(void **state)
{
	(void)state;
	boot(1, epoch1 + 9, 1);
	notify(2, 3, epoch1 + 9, 1);
	notify(3, 3, epoch1 + 9, 1);
	looks_again(2);
	assert_int_equal(f.z.role, ZAB_FOLLOWING);
	looks_again(2); /* the same again */
	assert_int_equal(f.z.role, ZAB_FOLLOWING);
	looks_again(3);
	assert_int_equal(f.z.role, ZAB_LOOKING);
	done();
	boot(3, epoch1 + 9, 1);
	notify(1, 3, epoch1 + 9, 1);
	notify(2, 3, epoch1 + 9, 1);
	looks_again(1);
	assert_int_equal(f.z.role, ZAB_LEADING);
	looks_again(2);
	assert_int_equal(f.z.role, ZAB_LOOKING);
	done();
	serve(epoch1 + 9); /* who serves goes by who follows */
	looks_again(1);
	looks_again(2);
	assert_int_equal(f.z.role, ZAB_LEADING);
	done();
}

/* A leader that cannot be dialled is given up early when others are quick too. */
static void dial_into_the_void(void **state)
{
	(void)state;
	own_beat = (struct zab_beat){10, 50};
	boot(1, epoch1 + 9, 1);
	notify(2, 3, epoch1 + 9, 1);
	notify(3, 3, epoch1 + 9, 1);
	pass(1299);
	assert_int_equal(f.z.role, ZAB_FOLLOWING);
	pass(1301);
	assert_int_equal(f.z.role, ZAB_LOOKING);
	done();
	own_beat = (struct zab_beat){0, 0};
}

/* connectToLearnerMasterLimit: a leader that does not answer at all. */
static void leader_does_not_answer(void **state)
{
	(void)state;
	boot(1, epoch1 + 9, 1);
	f.z.conf.connect_limit = 3;
	notify(2, 3, epoch1 + 9, 1);
	notify(3, 3, epoch1 + 9, 1);
	assert_int_equal(f.z.role, ZAB_FOLLOWING);
	at(1299);
	assert_int_equal(f.z.role, ZAB_FOLLOWING);
	at(1300);
	assert_int_equal(f.z.role, ZAB_LOOKING);
	done();
}

/* The last zxid of an epoch: once it is decided and everybody knows, a new epoch; not later. */
static void epoch_used_up(void **state)
{
	const uint64_t last = epoch2 + UINT32_MAX;

	(void)state;
	serve(epoch1 + 9);
	packet(0, ZAB_ACK, epoch2, NULL);
	f.z.proposed = last - 1; /* four thousand million transactions later */
	history_reset(&f.z.history, last - 1);
	f.z.durable = f.z.link[0].proposed = f.z.link[0].committed = last - 1;
	propose(last);
	assert_int_equal(zab_next_zxid(&f.z), 0);
	durable(last);
	assert_int_equal(f.z.role, ZAB_LEADING);
	packet(0, ZAB_ACK, last, NULL);
	assert_int_equal(effect(ZAB_DO_COMMIT, 0)->zxid, last);
	assert_non_null(sent(ZAB_COMMIT, 0));
	assert_non_null(effect(ZAB_DO_LOOK, 0));
	notify(1, 3, last, 2);
	notify(2, 3, last, 2);
	assert_int_equal(f.z.role, ZAB_LEADING);
	assert_int_equal(f.z.epoch, 3);
	done();
}

/* testingonly.initialZxid: where an epoch begins, near its end. */
static void epoch_begins_near_its_end(void **state)
{
	(void)state;
	lead(epoch1 + 9, false);
	f.z.conf.initial_counter = UINT32_MAX - 2;
	ackepoch(0, epoch1 + 9);
	written(ZAB_CURRENT_EPOCH);
	packet(0, ZAB_ACK, epoch2, NULL);
	assert_int_equal(effect(ZAB_DO_SERVE, 0)->zxid, epoch2);
	propose(epoch2 + UINT32_MAX - 1);
	propose(epoch2 + UINT32_MAX);
	assert_int_equal(zab_next_zxid(&f.z), 0);
	durable(epoch2 + UINT32_MAX);
	packet(0, ZAB_ACK, epoch2 + UINT32_MAX, NULL);
	assert_int_equal(effect(ZAB_DO_COMMIT, 0)->zxid, epoch2 + UINT32_MAX);
	assert_non_null(effect(ZAB_DO_LOOK, 0));
	done();
}

/* ... which a learner takes when it is told so, and nothing behind that. */
static void learner_near_the_end(void **state)
{
	static const uint32_t first[] = {1, 100, 2, 99, 101};

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		follow(epoch1 + 9);
		f.z.conf.initial_counter = 99;
		packet(ZAB_LINK_LEADER, ZAB_NEWLEADER, epoch2, "version=0");
		written(ZAB_CURRENT_EPOCH);
		packet(ZAB_LINK_LEADER, ZAB_UPTODATE, UINT64_MAX, NULL);
		packet(ZAB_LINK_LEADER, ZAB_PROPOSAL, epoch2 + first[i], "transaction");
		assert_int_equal(effect(ZAB_DO_LOG, 0) != NULL, i < 2);
		assert_int_equal(f.z.role, i < 2 ? ZAB_FOLLOWING : ZAB_LOOKING);
		done();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zookeeper_3911_4643_4646),
		cmocka_unit_test(zookeeper_4685),
		cmocka_unit_test(zookeeper_4785),
		cmocka_unit_test(zookeeper_4925),
		cmocka_unit_test(commits_by_disks),
		cmocka_unit_test(acks_die_with_their_link),
		cmocka_unit_test(learner_ahead_is_refused),
		cmocka_unit_test(commit_of_another_transaction),
		cmocka_unit_test(hole_in_the_stream),
		cmocka_unit_test(replies_wait_for_commits),
		cmocka_unit_test(proposals_are_bounded),
		cmocka_unit_test(voter_with_a_later_epoch),
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
