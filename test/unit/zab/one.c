/* SPDX-License-Identifier: Apache-2.0 */
#include "test/unit/zab/one.h"

static const uint64_t ms = ONE_MS, epoch1 = ONE_EPOCH1, epoch2 = ONE_EPOCH2;

struct one one;
void one_drain(void)
{
	one.n = 0;
	while (zab_effect_next(&one.z, &one.got[one.n]))
		one.n++;
}

const struct zab_effect *one_effect(enum zab_effect_kind kind, unsigned nth)
{
	for (unsigned i = 0; i < one.n; i++)
		if (one.got[i].kind == kind && nth-- == 0)
			return &one.got[i];
	return NULL;
}

const struct zab_effect *one_sent(int32_t type, unsigned nth)
{
	for (unsigned i = 0; i < one.n; i++)
		if (one.got[i].kind == ZAB_DO_SEND && one.got[i].packet.type == type && nth-- == 0)
			return &one.got[i];
	return NULL;
}

struct zab_beat one_beat;
uint32_t one_peer_beat_ms;

void one_boot(int64_t sid, uint64_t last, uint64_t epoch)
{
	const char *why;
	unsigned line;
	struct zab_conf c = {.sid = sid,
			     .now = &one.m,
			     .mem = &one.mem,
			     .tick_ms = 100,
			     .init_limit = 10,
			     .sync_limit = 5,
			     .heartbeat_ms = one_beat.every_ms,
			     .heartbeat_timeout_ms = one_beat.timeout_ms,
			     .history_entries = 64,
			     .history_bytes = 4096,
			     .data_max = 1024};
	struct zab_disk d = {.last_zxid = last, .accepted_epoch = epoch, .current_epoch = epoch};

	memset(&one, 0, sizeof(one));
	one.now_ns = 1000 * ms;
	zk_mem_init_heap(&one.mem, 0);
	assert_int_equal(zab_members_parse(zk_span_str("server.1=a:2:3\nserver.2=b:2:3\n"
						       "server.3=c:2:3\n"),
					   &one.m, &why, &line),
			 ZK_EOK);
	assert_int_equal(zab_init(&one.z, &c, &d, one.now_ns), ZK_EOK);
	zab_tick(&one.z, one.now_ns);
	one_drain();
}

void one_notify(int64_t from, int64_t leader, uint64_t zxid, uint64_t epoch)
{
	struct zab_notification n = {.state = ZAB_LOOKING,
				     .leader = leader,
				     .zxid = (int64_t)zxid,
				     .round = one.z.elect.round,
				     .peer_epoch = (int64_t)epoch,
				     .version = 2};

	zab_notified(&one.z, from, &n, one.now_ns);
	one_drain();
}

void one_packet(uint32_t link, int32_t type, uint64_t zxid, const char *data)
{
	struct zab_packet p = {.type = type, .zxid = zxid};

	if (data)
		p.data = zk_span_str(data);
	assert_true(zab_link_reads(&one.z, link));
	zab_packet(&one.z, link, &p, one.now_ns);
	one_drain();
}

void one_epoch_packet(uint32_t link, int32_t type, uint64_t zxid, uint32_t number)
{
	uint8_t data[4];
	struct zab_packet p = {.type = type, .zxid = zxid, .data = zk_span_of(data, 4)};

	zk_put32(data, number);
	zab_packet(&one.z, link, &p, one.now_ns);
	one_drain();
}

void one_durable(uint64_t zxid)
{
	zab_durable(&one.z, zxid, one.now_ns);
	one_drain();
}

void one_written(enum zab_file file)
{
	zab_epoch_written(&one.z, file, one.now_ns);
	one_drain();
}

/* A follower of server 3 in epoch 2 that has just been told DIFF. */
void one_follow(uint64_t last)
{
	one_boot(1, last, 1);
	one_notify(2, 3, epoch1 + 9, 1);
	one_notify(3, 3, epoch1 + 9, 1);
	assert_int_equal(one.z.role, ZAB_FOLLOWING);
	assert_true(zab_link_up(&one.z, ZAB_LINK_LEADER, one.now_ns));
	one_drain();
	assert_non_null(one_sent(ZAB_FOLLOWERINFO, 0));
	one_epoch_packet(ZAB_LINK_LEADER, ZAB_LEADERINFO, epoch2, ZAB_PROTOCOL);
	assert_int_equal(one_effect(ZAB_DO_WRITE_EPOCH, 0)->file, ZAB_ACCEPTED_EPOCH);
	assert_null(one_sent(ZAB_ACKEPOCH, 0)); /* not before it is written */
	one_written(ZAB_ACCEPTED_EPOCH);
	assert_int_equal(one_sent(ZAB_ACKEPOCH, 0)->packet.zxid, last);
	one_packet(ZAB_LINK_LEADER, ZAB_DIFF, epoch1 + 9, NULL);
}

void one_propose_and_commit(uint64_t zxid)
{
	one_packet(ZAB_LINK_LEADER, ZAB_PROPOSAL, zxid, "transaction");
	assert_int_equal(one_effect(ZAB_DO_LOG, 0)->packet.zxid, zxid);
	one_packet(ZAB_LINK_LEADER, ZAB_COMMIT, zxid, NULL);
	assert_int_equal(one_effect(ZAB_DO_COMMIT, 0)->zxid, zxid);
}

/* Leader 3 of epoch 2, everybody there; learner 1 on link 0, learner 2 on link 1 if @p both. */
void one_lead(uint64_t last, bool both)
{
	uint8_t info[ZAB_INFO_BYTES + ZAB_BEAT_BYTES];
	struct zab_packet p = {.type = ZAB_FOLLOWERINFO, .zxid = epoch1};
	struct zab_beat beat = {one_peer_beat_ms, 10 * one_peer_beat_ms};

	one_boot(3, last, 1);
	one_notify(1, 3, last, 1);
	one_notify(2, 3, last, 1);
	assert_int_equal(one.z.role, ZAB_LEADING);
	for (uint32_t i = 0; i < 1 + (uint32_t)both; i++) {
		struct jute_out out = jute_out_of(info, sizeof(info));

		zab_learner_info_put(&out, (int64_t)i + 1, 0);
		if (one_peer_beat_ms)
			zab_beat_put(&out, &beat);
		p.data = zk_span_of(info, (uint32_t)jute_out_len(&out));
		assert_true(zab_link_up(&one.z, i, one.now_ns));
		zab_packet(&one.z, i, &p, one.now_ns);
		one_drain();
		if (i == 0) {
			assert_int_equal(one_effect(ZAB_DO_WRITE_EPOCH, 0)->epoch, 2);
			assert_null(one_sent(ZAB_LEADERINFO, 0));
			one_written(ZAB_ACCEPTED_EPOCH);
		}
		assert_int_equal(one_sent(ZAB_LEADERINFO, 0)->packet.zxid, epoch2);
	}
}

void one_ackepoch(uint32_t link, uint64_t last)
{
	one_epoch_packet(link, ZAB_ACKEPOCH, last, 1);
}

/* ... and it serves: learner 1 is up to date. */
void one_serve(uint64_t last)
{
	one_lead(last, false);
	one_ackepoch(0, last);
	assert_int_equal(one_effect(ZAB_DO_WRITE_EPOCH, 0)->file, ZAB_CURRENT_EPOCH);
	one_written(ZAB_CURRENT_EPOCH);
	assert_non_null(one_sent(ZAB_DIFF, 0));
	assert_int_equal(one_sent(ZAB_NEWLEADER, 0)->packet.zxid, epoch2);
	one_packet(0, ZAB_ACK, epoch2, NULL);
	assert_int_equal(one_effect(ZAB_DO_SERVE, 0)->zxid, epoch2);
	assert_non_null(one_sent(ZAB_UPTODATE, 0));
}

void one_propose(uint64_t zxid)
{
	assert_int_equal(zab_next_zxid(&one.z), zxid);
	assert_int_equal(zab_propose(&one.z, zxid, zk_span_str("transaction"), one.now_ns), ZK_EOK);
	one_drain();
}

void one_done(void)
{
	zab_fini(&one.z);
	assert_int_equal(one.mem.used_bytes, 0);
}

void one_at(uint64_t at_ms)
{
	one.now_ns = at_ms * ms;
	zab_tick(&one.z, one.now_ns);
	one_drain();
}

/* Tick whenever it is due, up to @p at_ms. */
void one_pass(uint64_t at_ms)
{
	while (zab_next_ns(&one.z) <= at_ms * ms && one.z.role != ZAB_LOOKING)
		one_at((zab_next_ns(&one.z) + ms - 1) / ms);
	one_at(at_ms);
}
