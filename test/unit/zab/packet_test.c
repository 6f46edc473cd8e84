/* SPDX-License-Identifier: Apache-2.0 */
/* The vectors are packets captured between Apache servers (spec/quorum-protocol.md section 13). */
#include "core/zab/packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static size_t unhex(const char *s, uint8_t *out)
{
	size_t n = 0;
	unsigned v;

	for (; *s; s++) {
		if (*s == ' ')
			continue;
		assert_int_equal(sscanf(s++, "%2x", &v), 1);
		out[n++] = (uint8_t)v;
	}
	return n;
}

static const struct {
	const char *hex, *name;
	uint64_t zxid;
	int data; /* bytes, -1 = null */
	bool auth;
} packets[] = {
	{"0000000b 0000000000000000 00000014 0000000000000001 00010000 0000000000000000 ffffffff",
	 "FOLLOWERINFO", 0, 20, false},
	{"00000011 0000000100000000 00000004 00010000 ffffffff", "LEADERINFO", 0x100000000, 4,
	 false},
	{"00000012 0000000000000000 00000004 00000000 ffffffff", "ACKEPOCH", 0, 4, false},
	{"0000000d 0000000000000000 ffffffff ffffffff", "DIFF", 0, -1, false},
	{"0000000f 0000000100000000 ffffffff ffffffff", "SNAP", 0x100000000, -1, false},
	{"00000003 0000000100000000 ffffffff ffffffff", "ACK", 0x100000000, -1, false},
	{"0000000c ffffffffffffffff ffffffff ffffffff", "UPTODATE", UINT64_MAX, -1, false},
	{"00000005 0000000100000000 00000000 ffffffff", "PING", 0x100000000, 0, false},
	{"00000001 ffffffffffffffff 00000010 0100001ec34e0000 00000004 fffffff5 "
	 "00000001 00000002 6970 00000009 3132372e302e302e31",
	 "REQUEST", UINT64_MAX, 16, true},
	{"00000006 ffffffffffffffff 00000009 0100001ec34e0000 01 ffffffff", "REVALIDATE",
	 UINT64_MAX, 9, false},
	{"0000000e 0000000300000006 ffffffff ffffffff", "TRUNC", 0x300000006, -1, false},
};

static void captured(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
		uint8_t bytes[256], back[256];
		size_t n = unhex(packets[i].hex, bytes), used;
		struct jute_out out = jute_out_of(back, sizeof(back));
		struct zab_packet p;

		for (size_t cut = 0; cut < n; cut++)
			assert_int_equal(zab_packet_get(zk_span_of(bytes, cut), 1024, &p, &used),
					 ZK_EAGAIN);
		assert_int_equal(zab_packet_get(zk_span_of(bytes, n), 1024, &p, &used), ZK_EOK);
		assert_int_equal(used, n);
		assert_string_equal(zab_type_name(p.type), packets[i].name);
		assert_int_equal(p.zxid, packets[i].zxid);
		assert_int_equal(p.data.p ? (int)p.data.n : -1, packets[i].data);
		assert_int_equal(p.auth.p != NULL, packets[i].auth);
		assert_int_equal(zab_packet_bytes(&p), n);
		zab_packet_put(&out, &p);
		assert_int_equal(jute_out_len(&out), n);
		assert_memory_equal(back, bytes, n);
	}
}

static void bad_lengths(void **state)
{
	uint8_t bytes[64];
	struct zab_packet p;
	size_t n, used;

	(void)state;
	n = unhex("00000005 0000000000000000 00000011", bytes);
	assert_int_equal(zab_packet_get(zk_span_of(bytes, n), 16, &p, &used), ZK_EINVAL);
	n = unhex("00000005 0000000000000000 fffffffe", bytes);
	assert_int_equal(zab_packet_get(zk_span_of(bytes, n), 16, &p, &used), ZK_EINVAL);
	n = unhex("00000005 0000000000000000 ffffffff 00000401", bytes);
	assert_int_equal(zab_packet_get(zk_span_of(bytes, n), 16, &p, &used), ZK_EINVAL);
	n = unhex("00000005 0000000000000000 ffffffff 00000001 7fffffff", bytes);
	assert_int_equal(zab_packet_get(zk_span_of(bytes, n), 16, &p, &used), ZK_EINVAL);
}

static void learner_info(void **state)
{
	struct zab_learner_info li;
	uint8_t bytes[32];
	struct jute_out out = jute_out_of(bytes, sizeof(bytes));

	(void)state;
	zab_learner_info_put(&out, 7, 0x100000000);
	assert_int_equal(jute_out_len(&out), 20);
	assert_int_equal(zab_learner_info_get(zk_span_of(bytes, 20), &li), ZK_EOK);
	assert_int_equal(li.sid, 7);
	assert_int_equal(li.protocol, ZAB_PROTOCOL);
	assert_true(li.has_version);
	assert_int_equal(li.config_version, 0x100000000);
	assert_int_equal(zab_learner_info_get(zk_span_of(bytes, 8), &li), ZK_EOK);
	assert_true(li.has_sid && !li.has_version);
	assert_int_equal(zab_learner_info_get(zk_span_of(bytes, 12), &li), ZK_EOK);
	assert_int_equal(zab_learner_info_get((struct zk_span){NULL, 0}, &li), ZK_EOK);
	assert_false(li.has_sid);
	assert_int_equal(zab_learner_info_get(zk_span_of(bytes, 7), &li), ZK_EINVAL);
	assert_int_equal(zab_learner_info_get(zk_span_of(bytes, 15), &li), ZK_EINVAL);
}

static void hello(void **state)
{
	uint8_t bytes[64], back[64];
	struct jute_out out = jute_out_of(back, sizeof(back));
	size_t n = unhex("ffffffffffff0000 0000000000000001 0000000f "
			 "3132372e302e302e313a3233333131",
			 bytes),
	       used;
	struct zab_hello h;

	(void)state;
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(zab_hello_get(zk_span_of(bytes, cut), &h, &used), ZK_EAGAIN);
	assert_int_equal(zab_hello_get(zk_span_of(bytes, n), &h, &used), ZK_EOK);
	assert_int_equal(used, n);
	assert_int_equal(h.sid, 1);
	assert_true(zk_span_eq(h.address, zk_span_str("127.0.0.1:23311")));
	zab_hello_put(&out, &h);
	assert_memory_equal(back, bytes, n);
	n = unhex("0000000000000005", bytes);
	assert_int_equal(zab_hello_get(zk_span_of(bytes, n), &h, &used), ZK_EOK);
	assert_int_equal(h.sid, 5);
	assert_int_equal(h.address.n, 0);
	n = unhex("fffffffffffeffff 0000000000000001 0000000f", bytes);
	assert_int_equal(zab_hello_get(zk_span_of(bytes, n), &h, &used), ZK_EINVAL);
	n = unhex("ffffffffffff0000 0000000000000001 00000801", bytes);
	assert_int_equal(zab_hello_get(zk_span_of(bytes, n), &h, &used), ZK_EINVAL);
	n = unhex("ffffffffffff0000 0000000000000001 00000000", bytes);
	assert_int_equal(zab_hello_get(zk_span_of(bytes, n), &h, &used), ZK_EINVAL);
	n = unhex("474554202f204854 54502f312e310d0a", bytes); /* GET / HTTP/1.1: a sid, as there */
	assert_int_equal(zab_hello_get(zk_span_of(bytes, n), &h, &used), ZK_EOK);
}

static void notification(void **state)
{
	static const char *const config = "server.1=a:2:3:participant\nversion=0";
	struct zab_notification n = {.state = ZAB_LEADING,
				     .leader = 3,
				     .zxid = 0x200000007,
				     .round = 9,
				     .peer_epoch = 2,
				     .config = zk_span_str(config)},
				got;
	uint8_t bytes[256];
	struct jute_out out = jute_out_of(bytes, sizeof(bytes));
	size_t all, used;
	bool sense;

	(void)state;
	zab_notification_put(&out, &n);
	all = jute_out_len(&out);
	for (size_t cut = 0; cut < all; cut++)
		assert_int_equal(zab_notification_get(zk_span_of(bytes, cut), &got, &sense, &used),
				 ZK_EAGAIN);
	assert_int_equal(zab_notification_get(zk_span_of(bytes, all), &got, &sense, &used), ZK_EOK);
	assert_true(sense);
	assert_int_equal(used, all);
	assert_int_equal(got.state, ZAB_LEADING);
	assert_int_equal(got.leader, 3);
	assert_int_equal(got.zxid, 0x200000007);
	assert_int_equal(got.round, 9);
	assert_int_equal(got.peer_epoch, 2);
	assert_int_equal(got.version, 2);
	assert_true(zk_span_eq(got.config, n.config));
}

/* Old forms, and what is dropped. */
static void notification_forms(void **state)
{
	static const struct {
		const char *hex;
		bool sense;
		int32_t version;
		int64_t epoch;
	} cases[] = {
		{"0000001c 00000000 0000000000000003 0000000500000002 0000000000000001", true, 0,
		 5},
		{"00000028 00000000 0000000000000003 0000000500000002 0000000000000001 "
		 "0000000000000006 00000002",
		 true, 0, 6},
		{"0000002c 00000000 0000000000000003 0000000500000002 0000000000000001 "
		 "0000000000000006 00000001 00000000",
		 true, 1, 6},
		{"0000001b 00000000 0000000000000003 0000000500000002 00000000000001", false, 0, 0},
		{"0000001c 00000004 0000000000000003 0000000500000002 0000000000000001", false, 0,
		 0},
		{"0000002c 00000000 0000000000000003 0000000500000002 0000000000000001 "
		 "0000000000000006 00000002 00000001",
		 false, 2, 0},
		{"0000002c 00000000 0000000000000003 0000000500000002 0000000000000001 "
		 "0000000000000006 00000002 ffffffff",
		 false, 2, 0},
	};
	struct zab_notification n;
	uint8_t bytes[64];
	size_t len, used;
	bool sense;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		len = unhex(cases[i].hex, bytes);
		assert_int_equal(zab_notification_get(zk_span_of(bytes, len), &n, &sense, &used),
				 ZK_EOK);
		assert_int_equal(sense, cases[i].sense);
		assert_int_equal(used, len);
		if (sense) {
			assert_int_equal(n.version, cases[i].version);
			assert_int_equal(n.peer_epoch, cases[i].epoch);
		}
	}
	len = unhex("00000000", bytes);
	assert_int_equal(zab_notification_get(zk_span_of(bytes, len), &n, &sense, &used),
			 ZK_EINVAL);
	len = unhex("00080001", bytes);
	assert_int_equal(zab_notification_get(zk_span_of(bytes, len), &n, &sense, &used),
			 ZK_EINVAL);
}

/* Behind what others read: whoever knows nothing of it sees what he always saw. */
static void beat(void **state)
{
	uint8_t bytes[ZAB_INFO_BYTES + ZAB_BEAT_BYTES];
	struct jute_out out = jute_out_of(bytes, sizeof(bytes));
	struct zab_learner_info li;
	struct zab_beat b = {40, 250}, got;
	struct zk_span all = zk_span_of(bytes, sizeof(bytes));

	(void)state;
	zab_learner_info_put(&out, 7, 3);
	zab_beat_put(&out, &b);
	assert_false(out.full);
	assert_int_equal(jute_out_len(&out), sizeof(bytes));
	assert_int_equal(zab_learner_info_get(all, &li), ZK_EOK);
	assert_int_equal(li.config_version, 3);
	assert_true(zab_beat_get(all, ZAB_INFO_BYTES, &got));
	assert_int_equal(got.every_ms, 40);
	assert_int_equal(got.timeout_ms, 250);
	for (uint32_t n = 0; n < all.n; n++)
		assert_false(zab_beat_get(zk_span_of(bytes, n), ZAB_INFO_BYTES, &got));
	assert_false(zab_beat_get((struct zk_span){NULL, 0}, ZAB_LEADERINFO_BYTES, &got));
	bytes[ZAB_INFO_BYTES]++; /* another magic */
	assert_false(zab_beat_get(all, ZAB_INFO_BYTES, &got));
	/* never, slower than the patience, too patient */
	for (unsigned i = 0; i < 3; i++) {
		b = i == 0   ? (struct zab_beat){0, 250}
		    : i == 1 ? (struct zab_beat){250, 250}
			     : (struct zab_beat){40, ZAB_BEAT_MAX_MS + 1};
		out = jute_out_of(bytes, ZAB_BEAT_BYTES);
		zab_beat_put(&out, &b);
		assert_false(zab_beat_get(zk_span_of(bytes, ZAB_BEAT_BYTES), 0, &got));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(captured),     cmocka_unit_test(bad_lengths),
		cmocka_unit_test(learner_info), cmocka_unit_test(hello),
		cmocka_unit_test(notification), cmocka_unit_test(notification_forms),
		cmocka_unit_test(beat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
