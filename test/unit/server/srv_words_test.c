/* SPDX-License-Identifier: Apache-2.0 */
/* Four-letter words and figures (spec/client-protocol.md section 11). */
#include "core/server/srv_int.h"
#include "test/unit/server/srv_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void simple(void **state)
{
	struct fake *f = fake_new(NULL);

	(void)state;
	assert_string_equal(fake_word(f, "ruok"), "imok");
	assert_string_equal(fake_word(f, "ruok\n"), "imok");
	assert_string_equal(fake_word(f, "isro\r\nand more"), "rw");
	assert_string_equal(fake_word(f, "dirs"), "datadir_size: 123\nlogdir_size: 456\n");
	assert_string_equal(fake_word(f, "conf"), "clientPort=2181\n"
						  "secureClientPort=-1\n"
						  "dataDir=/data/version-2\n"
						  "dataDirSize=123\n"
						  "dataLogDir=/log/version-2\n"
						  "dataLogSize=456\n"
						  "tickTime=2000\n"
						  "maxClientCnxns=0\n"
						  "minSessionTimeout=4000\n"
						  "maxSessionTimeout=40000\n"
						  "clientPortListenBacklog=-1\n"
						  "serverId=0\n");
	/* no such word: an absurd length, closed without a word */
	assert_string_equal(fake_word(f, "abcd"), "");
	assert_string_equal(fake_word(f, "RUOK"), "");
	fake_free(f);
}

/* in single bytes too, and only at the very beginning */
static void first_bytes_only(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *fc = fake_open(f), *live = fake_session(f);

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		got_nothing(fc);
		fake_send(fc, &"ruok"[i], 1);
		fake_settle(f);
	}
	assert_true(fc->shut);
	assert_int_equal(fc->out_n, 4);
	fake_send(live, "ruok", 4);
	fake_settle(f);
	assert_true(live->shut);
	got_nothing(live);
	fake_free(f);
}

static void whitelist(void **state)
{
	struct fake *f = fake_new(NULL);

	(void)state;
	assert_int_equal(srv_words_parse(NULL), 1u << SRV_WORD_SRVR);
	assert_int_equal(srv_words_parse(""), 1u << SRV_WORD_SRVR);
	assert_int_equal(srv_words_parse("*"), (1u << SRV_WORDS) - 1);
	assert_int_equal(srv_words_parse("ruok, stat,nope,,mntr "),
			 1u << SRV_WORD_SRVR | 1u << SRV_WORD_RUOK | 1u << SRV_WORD_STAT |
				 1u << SRV_WORD_MNTR);
	f->shared.four_letter_words = srv_words_parse(NULL);
	assert_string_equal(fake_word(f, "ruok"),
			    "ruok is not executed because it is not in the whitelist.\n");
	assert_string_equal(fake_word(f, "wchp"),
			    "wchp is not executed because it is not in the whitelist.\n");
	assert_non_null(strstr(fake_word(f, "srvr"), "Mode: standalone\n"));
	fake_free(f);
}

static void srvr(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *fc = fake_session(f);

	(void)state;
	ask_create(fc, 1, "/a", "abc");
	fake_settle(f);
	ask_path(fc, 2, ZK_OP_EXISTS, "/a", false);
	ask_path(fc, 3, ZK_OP_EXISTS, "/b", false);
	fake_settle(f);
	/* hello, three requests, this word; hello's answer, three replies */
	assert_string_equal(fake_word(f, "srvr"), "Zookeeper version: 3.9.5-test, built on "
						  "2026-01-01 00:00 UTC\n"
						  "Latency min/avg/max: 0/0.0/0\n"
						  "Received: 5\n"
						  "Sent: 4\n"
						  "Connections: 2\n"
						  "Outstanding: 0\n"
						  "Zxid: 0x2\n"
						  "Mode: standalone\n"
						  "Node count: 6\n");
	/* a write that took 7 ms */
	f->hold = true;
	ask_set(fc, 4, "/a", "b");
	fake_settle(f);
	assert_non_null(strstr(fake_word(f, "srvr"), "Outstanding: 1\n"));
	f->now_ns += 7000000;
	f->hold = false;
	fake_settle(f);
	assert_non_null(strstr(fake_word(f, "srvr"), "Latency min/avg/max: 0/1.75/7\n"));
	fake_free(f);
}

static void mntr(void **state)
{
	static const char *const names[] = {
		"zk_version\t3.9.5-test, built on 2026-01-01 00:00 UTC\n",
		"zk_server_state\tstandalone\n",
		"zk_avg_latency\t0.0\n",
		"zk_znode_count\t5\n",
		"zk_watch_count\t3\n",
		"zk_num_alive_connections\t2\n",
		"zk_outstanding_requests\t0\n",
		"zk_open_file_descriptor_count\t33\n",
		"zk_max_file_descriptor_count\t1024\n",
		"zk_ephemerals_count\t0\n",
		"zk_approximate_data_size\t",
		"zk_uptime\t1000\n",
		"zk_packets_received\t",
	};
	struct fake *f = fake_new(NULL);
	struct fake_conn *fc = fake_session(f);
	char *text, *line;

	(void)state;
	ask_path_i32(fc, 1, ZK_OP_ADD_WATCH, "/a", 0); /* counts in both tables */
	ask_path(fc, 2, ZK_OP_EXISTS, "/b", true);
	fake_settle(f);
	text = fake_word(f, "mntr");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strstr(text, names[i]))
			fail_msg("no %s in:\n%s", names[i], text);
	for (line = text; *line; line = strchr(line, '\n') + 1) {
		assert_memory_equal(line, "zk_", 3);
		assert_non_null(strchr(line, '\t'));
		assert_non_null(strchr(line, '\n'));
	}
	fake_free(f);
}

/** The line "zk_KEY<tab>VALUE" must be there, once. */
static void has(const char *text, const char *key, const char *value)
{
	char line[200];
	const char *at;

	snprintf(line, sizeof(line), "zk_%s\t%s\n", key, value);
	at = strstr(text, line);
	if (!at)
		fail_msg("no %s in:\n%s", line, text);
	snprintf(line, sizeof(line), "\nzk_%s\t", key);
	at = strstr(text, line);
	assert_true(at == NULL || strstr(at + 1, line) == NULL);
}

/* latencies, watches fired, bytes, and what others have registered */
static void mntr_figures(void **state)
{
	static _Atomic uint64_t files = 5, level = 7;
	static _Atomic uint64_t slots[ZK_HIST_SLOTS];
	static struct zk_metric fsync = {.slot = slots};
	struct fake *f = fake_new(NULL);
	struct fake_conn *fc = fake_session(f), *other = fake_session(f);
	const char *text;

	(void)state;
	metrics_counter(&f->shared.metrics, "snap_count", &files);
	metrics_gauge(&f->shared.metrics, "log_level", &level);
	metrics_summary(&f->shared.metrics, "fsynctime", &fsync);
	zk_metric_add(&fsync, 3);
	fake_tx(f, ZK_OP_CREATE, "/a", "x");
	fake_settle(f);
	ask_path(fc, 1, ZK_OP_GET_DATA, "/a", true);
	ask_path(other, 1, ZK_OP_GET_DATA, "/a", true);
	fake_settle(f);
	f->hold = true;
	ask_set(fc, 2, "/a", "b");
	fake_settle(f);
	f->now_ns += 7000000;
	f->hold = false;
	fake_settle(f);
	text = fake_word(f, "mntr");
	has(text, "cnt_updatelatency", "1");
	has(text, "max_updatelatency", "7");
	has(text, "p99_updatelatency", "7");
	has(text, "cnt_readlatency", "2");
	has(text, "avg_readlatency", "0.0");
	has(text, "cnt_node_changed_watch_count", "1");
	has(text, "max_node_changed_watch_count", "2");
	has(text, "cnt_node_created_watch_count", "0");
	has(text, "watch_bytes", "60"); /* 2 x (16 + 12 + 2) */
	has(text, "snap_count", "5");
	has(text, "log_level", "7");
	has(text, "avg_fsynctime", "3.0");
	has(text, "p999_fsynctime", "3");
	has(text, "diff_count", "0");
	has(text, "avg_election_time", "0.0");
	has(text, "connection_drop_count", "0");
	fake_gone(other);
	assert_string_equal(fake_word(f, "srst"), "Server stats reset.\n");
	text = fake_word(f, "mntr");
	has(text, "cnt_updatelatency", "0");
	has(text, "p99_updatelatency", "0");
	has(text, "max_node_changed_watch_count", "0");
	has(text, "snap_count", "0");
	has(text, "log_level", "7");
	has(text, "cnt_fsynctime", "0");
	files = 6;
	fake_gone(fc);
	text = fake_word(f, "mntr");
	has(text, "snap_count", "1");
	has(text, "connection_drop_count", "1");
	fake_free(f);
}

static void quota_of(struct fake *f, const char *path, const char *limits, const char *usage)
{
	char node[4096];

	snprintf(node, sizeof(node), "/zookeeper/quota%s", path);
	fake_tx(f, ZK_OP_CREATE, node, "");
	if (limits) {
		snprintf(node, sizeof(node), "/zookeeper/quota%s/zookeeper_limits", path);
		fake_tx(f, ZK_OP_CREATE, node, limits);
	}
	if (usage) {
		snprintf(node, sizeof(node), "/zookeeper/quota%s/zookeeper_stats", path);
		fake_tx(f, ZK_OP_CREATE, node, "");
		fake_tx(f, ZK_OP_SET_DATA, node, usage);
	}
}

/* Sums for each top-level node; a hard limit counts before a soft one. */
static void mntr_quotas(void **state)
{
	struct fake *f = fake_new(NULL);
	const char *text;

	(void)state;
	quota_of(f, "/a", "count=5,bytes=7=;countHardLimit=50", "count=3,bytes=4");
	quota_of(f, "/a/b", NULL, NULL);
	quota_of(f, "/a/b/c", "count=1,bytes=-1", "count=10,bytes=20");
	quota_of(f, "/b", "not a limit", "count=1,bytes=2");
	quota_of(f, "/c", "byteHardLimit=9", NULL);
	quota_of(f, "/d", NULL, NULL);
	fake_settle(f);
	text = fake_word(f, "mntr");
	has(text, "a_quota_count_limit_per_namespace", "51");
	has(text, "a_quota_bytes_limit_per_namespace", "6");
	has(text, "a_quota_count_usage_per_namespace", "13");
	has(text, "a_quota_bytes_usage_per_namespace", "24");
	has(text, "b_quota_count_usage_per_namespace", "1");
	has(text, "c_quota_count_limit_per_namespace", "-1");
	has(text, "c_quota_bytes_limit_per_namespace", "9");
	has(text, "quota_names_left_out", "0");
	assert_null(strstr(text, "b_quota_count_limit"));
	assert_null(strstr(text, "c_quota_count_usage"));
	assert_null(strstr(text, "d_quota"));
	fake_free(f);
}

/* A name that is too long, a path that is too deep, names and nodes beyond the limits. */
static void mntr_quotas_are_bounded(void **state)
{
	struct fake *f = fake_new(NULL);
	char path[4096] = "/deep";
	const char *text;
	unsigned shown = 0;

	(void)state;
	quota_of(f, "/a-name-of-sixty-five-bytes-which-is-one-more-than-there-is-room-for",
		 "count=1", NULL);
	quota_of(f, path, "count=1", NULL);
	for (unsigned i = 0; i < 64; i++) {
		snprintf(path + strlen(path), sizeof(path) - strlen(path), "/%u", i);
		quota_of(f, path, NULL, NULL);
	}
	fake_settle(f);
	text = fake_word(f, "mntr");
	has(text, "quota_names_left_out", "2");
	for (unsigned i = 0; i < 70; i++) {
		snprintf(path, sizeof(path), "/n%u", i);
		quota_of(f, path, "count=1", NULL);
	}
	fake_settle(f);
	text = fake_word(f, "mntr");
	for (const char *at = text; (at = strstr(at, "_quota_count_limit")) != NULL; at++)
		shown++;
	assert_int_equal(shown, 62); /* of the first 64 */
	has(text, "quota_names_left_out", "10");
	for (unsigned i = 0; i < 8200; i++) {
		snprintf(path, sizeof(path), "/n0/%u", i);
		quota_of(f, path, NULL, NULL);
		if (i % 64 == 0)
			fake_settle(f);
	}
	fake_settle(f);
	text = fake_word(f, "mntr");
	assert_null(strstr(text, "_quota_count_limit"));
	has(text, "quota_names_left_out", "72");
	fake_free(f);
}

static void cons_and_stat(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *fc = fake_session(f);
	const char *text;

	(void)state;
	f->now_ns += 5000000;
	ask_path(fc, 0x1f, ZK_OP_GET_DATA, "/", false);
	ask_plain(fc, -2, ZK_OP_PING);
	fake_settle(f);
	text = fake_word(f, "cons");
	assert_string_equal(text, " /127.0.0.1:40000[1](queued=0,recved=3,sent=3,"
				  "sid=0x100000000000001,lop=PING,est=1700000001000,to=10000,"
				  "lcxid=0x1f,lzxid=0x1,lresp=1005,llat=0,minlat=0,avglat=0,"
				  "maxlat=0)\n"
				  " /127.0.0.1:40001[0](queued=0,recved=1,sent=0)\n\n");
	text = fake_word(f, "stat");
	assert_string_equal(text, "Zookeeper version: 3.9.5-test, built on 2026-01-01 00:00 UTC\n"
				  "Clients:\n"
				  " /127.0.0.1:40000[1](queued=0,recved=3,sent=3)\n"
				  " /127.0.0.1:40001[0](queued=0,recved=1,sent=0)\n"
				  "\n"
				  "Latency min/avg/max: 0/0.0/0\n"
				  "Received: 5\n"
				  "Sent: 3\n"
				  "Connections: 2\n"
				  "Outstanding: 0\n"
				  "Zxid: 0x1\n"
				  "Mode: standalone\n"
				  "Node count: 5\n");
	fake_free(f);
}

/* more questions at a time than may be out; one asker leaves, one has closed its side already */
static void gathers_in_line(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *fc[6];

	(void)state;
	f->hold = true;
	for (unsigned i = 0; i < 6; i++) {
		fc[i] = fake_open(f);
		fake_send(fc[i], "stat\n", 5);
	}
	fake_round(f);
	fake_round(f);
	srv_fin(fc[1]->c, f->now_ns);
	fake_gone(fc[0]);
	fake_gone(fc[3]);
	f->hold = false;
	fake_settle(f);
	for (unsigned i = 1; i < 6; i++) {
		if (i == 3)
			continue;
		assert_true(fc[i]->shut);
		assert_true(fc[i]->out_n > 100);
		assert_memory_equal(fc[i]->out + fc[i]->out_n - 14, "Node count: 5\n", 14);
	}
	assert_int_equal(f->asks, 5);
	fake_free(f);
}

static void averages(void **state)
{
	static const struct {
		uint64_t sum, count;
		const char *text;
	} cases[] = {{0, 0, "0.0"},
		     {0, 10, "0.0"},
		     {48, 10, "4.8"},
		     {1, 3, "0.3333"},
		     {2, 3, "0.6667"},
		     {5, 1, "5.0"},
		     {12345, 10000, "1.2345"},
		     {123456, 100000, "1.2346"},
		     {1, 10000, "1.0E-4"},
		     {5, 10000, "5.0E-4"},
		     {1, 1000, "0.001"},
		     {1, 1000000, "0.0"},
		     {99999999, 100000000, "1.0"},
		     {1005, 100, "10.05"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[STATS_AVG_TEXT_BYTES];

		stats_avg_text(cases[i].sum, cases[i].count, text);
		assert_string_equal(text, cases[i].text);
	}
}

static void limits_table(void **state)
{
	struct limits *l = calloc(1, sizeof(*l));

	(void)state;
	assert_non_null(l);
	for (uint64_t a = 1; a <= 1000; a++)
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(limits_enter(l, zk_mix64(a), 3, 0), ZK_EOK);
	for (uint64_t a = 1; a <= 1000; a++)
		assert_int_equal(limits_enter(l, zk_mix64(a), 3, 0), ZK_EFULL);
	assert_int_equal(l->conns, 3000);
	assert_int_equal(l->refused, 1000);
	assert_int_equal(limits_enter(l, 77, 3, 3000), ZK_EFULL);
	for (uint64_t a = 1; a <= 1000; a++) {
		limits_leave(l, zk_mix64(a));
		assert_int_equal(limits_enter(l, zk_mix64(a), 3, 3000), ZK_EOK);
		for (unsigned i = 0; i < 3; i++)
			limits_leave(l, zk_mix64(a));
	}
	assert_int_equal(l->conns, 0);
	for (unsigned i = 0; i < LIMITS_SLOTS; i++)
		assert_int_equal(l->slot[i], 0);
	free(l);
}

static void trace_mask(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *fc;

	(void)state;
	assert_string_equal(fake_word(f, "gtmk"), "306");
	/* in single bytes, and in one go */
	fc = fake_open(f);
	for (unsigned i = 0; i < 12; i++) {
		got_nothing(fc);
		assert_false(fc->shut);
		fake_send(fc, &"stmk\0\0\0\0\0\0\0\x07"[i], 1);
		fake_settle(f);
	}
	assert_true(fc->shut);
	assert_memory_equal(fc->out, "7", fc->out_n);
	assert_string_equal(fake_word(f, "gtmk"), "7");
	fc = fake_open(f);
	fake_send(fc, "stmk\xff\xff\xff\xff\xff\xff\xff\xfe", 12);
	fake_settle(f);
	assert_true(fc->shut);
	assert_string_equal(fake_word(f, "gtmk"), "-2");
	/* closed in the middle of the mask */
	fc = fake_open(f);
	fake_send(fc, "stmk\0", 5);
	fake_settle(f);
	srv_fin(fc->c, f->now_ns);
	assert_true(fc->shut);
	assert_int_equal(fc->out_n, 0);
	assert_string_equal(fake_word(f, "hash"), "");
	fake_free(f);
}

static void envi(void **state)
{
	struct fake *f = fake_new(NULL);

	(void)state;
	assert_string_equal(fake_word(f, "envi"), "Environment:\n");
	f->shared.environment = "zookeeper.version=3\nos.name=Linux\n";
	assert_string_equal(fake_word(f, "envi"),
			    "Environment:\nzookeeper.version=3\nos.name=Linux\n");
	fake_free(f);
}

static void resets(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *fc = fake_session(f);

	(void)state;
	ask_path(fc, 0x1f, ZK_OP_EXISTS, "/", false);
	fake_settle(f);
	assert_non_null(strstr(fake_word(f, "cons"), "recved=2,sent=2,"));
	assert_string_equal(fake_word(f, "crst"), "Connection stats reset.\n");
	assert_non_null(strstr(fake_word(f, "cons"),
			       "(queued=0,recved=0,sent=0,sid=0x100000000000001,lop=NA,"));
	assert_null(strstr(fake_word(f, "cons"), "lcxid"));
	assert_non_null(strstr(fake_word(f, "srvr"), "Sent: 2\n"));
	assert_string_equal(fake_word(f, "srst"), "Server stats reset.\n");
	assert_non_null(strstr(fake_word(f, "srvr"), "Received: 1\nSent: 0\nConnections: 2\n"));
	fake_free(f);
}

/* the data table only; a persistent watch is one of it, a child watch is not */
static void watches(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *a = fake_session(f), *b = fake_session(f), *c = fake_session(f);

	(void)state;
	assert_string_equal(fake_word(f, "wchs"),
			    "0 connections watching 0 paths\nTotal watches:0\n");
	assert_string_equal(fake_word(f, "wchp"), "\n");
	assert_string_equal(fake_word(f, "wchc"), "\n");
	ask_path(a, 1, ZK_OP_EXISTS, "/a", true);
	ask_path_i32(a, 2, ZK_OP_ADD_WATCH, "/b", 1);
	ask_path(b, 1, ZK_OP_EXISTS, "/a", true);
	ask_path(c, 1, ZK_OP_GET_CHILDREN, "/", true);
	fake_settle(f);
	assert_string_equal(fake_word(f, "wchs"),
			    "2 connections watching 2 paths\nTotal watches:3\n");
	assert_string_equal(fake_word(f, "wchp"), "/a\n\t0x100000000000002\n\t0x100000000000001\n"
						  "/b\n\t0x100000000000001\n\n");
	assert_string_equal(fake_word(f, "wchc"), "0x100000000000001\n\t/b\n\t/a\n"
						  "0x100000000000002\n\t/a\n\n");
	(void)fake_tx(f, ZK_OP_CREATE, "/a", "");
	fake_gone(b);
	fake_settle(f);
	assert_string_equal(fake_word(f, "wchs"),
			    "1 connections watching 1 paths\nTotal watches:1\n");
	fake_free(f);
}

/* more text than one part holds, and a path longer than a part */
static void long_watches(void **state)
{
	enum { LONG = 40000, MORE = 1500 };
	struct fake *f = fake_new(NULL);
	struct fake_conn *a = fake_session(f), *w = fake_open(f);
	static char path[LONG + 1];
	size_t at = 0, lines = 0, found = 0;

	(void)state;
	memset(path, 'p', LONG);
	path[0] = '/';
	ask_path(a, 1, ZK_OP_EXISTS, path, true);
	for (int32_t i = 0; i < MORE; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "/some-path-%d", i);
		ask_path(a, i, ZK_OP_EXISTS, name, true);
	}
	fake_settle(f);
	fake_send(w, "wchp", 4);
	fake_settle(f);
	assert_true(w->shut);
	for (; at < w->out_n; at++) {
		lines += w->out[at] == '\n';
		if (w->out[at] == '/' && w->out_n - at > LONG + 20 &&
		    memcmp(w->out + at, path, LONG) == 0) {
			found++;
			assert_memory_equal(w->out + at + LONG, "\n\t0x100000000000001\n", 20);
		}
	}
	assert_int_equal(found, 1);
	assert_int_equal(lines, 2 * (MORE + 1) + 1);
	fake_free(f);
}

static void part_of(struct fake *f, enum gather_what what, uint16_t core, bool last, const void *p,
		    size_t n)
{
	struct msg_gather *m = zk_ring_reserve(&f->down, sizeof(*m) + n);

	assert_non_null(m);
	*m = (struct msg_gather){.h = {.kind = MSG_GATHER_TEXT, .conn = {0, 1}},
				 .what = (uint16_t)what,
				 .part_core = core,
				 .last = last,
				 .cores = 3,
				 .text_bytes = (uint32_t)n};
	if (n)
		memcpy(m + 1, p, n);
	zk_ring_commit(&f->down, sizeof(*m) + n);
	zk_ring_publish(&f->down);
	fake_settle(f);
}

static void text_of(struct fake *f, uint16_t core, bool last, const char *text)
{
	part_of(f, GATHER_WCHC, core, last, text, strlen(text));
}

static const struct zk_hash_key watch_key = {5, 6}; /* of fake_new() */

static int by_order(const void *a, const void *b)
{
	uint64_t x = watch_order(&watch_key, zk_span_str(*(const char *const *)a));
	uint64_t y = watch_order(&watch_key, zk_span_str(*(const char *const *)b));

	return x < y ? -1 : x > y;
}

/** A record of wchp. */
static size_t watch_record(uint8_t *p, const char *path, bool first, uint64_t session)
{
	size_t n = first ? strlen(path) : 0;

	zk_put64(p, watch_order(&watch_key, zk_span_str(path)));
	zk_put32(p + 8, (uint32_t)n);
	memcpy(p + 12, path, n);
	zk_put64(p + 12 + n, session);
	return 20 + n;
}

/* three cores, one path on two of them, another one that went while it was being told */
static void cores_merged(void **state)
{
	const char *path[] = {"/x", "/yy", "/zzz", "/v"};
	struct fake *f = fake_new(NULL);
	struct fake_conn *fc = fake_open(f);
	char want[128];
	uint8_t a[256], b[256];
	size_t an = 0, bn = 0;

	(void)state;
	f->hold = true;
	qsort(path, 4, sizeof(path[0]), by_order);
	an += watch_record(a, path[0], true, 1);
	an += watch_record(a + an, path[1], true, 2);
	an += watch_record(a + an, path[1], false, 3);
	an += watch_record(a + an, path[3], true, 4);
	bn += watch_record(b, path[1], true, 5);
	bn += watch_record(b + bn, path[2], true, 0);
	(void)snprintf(want, sizeof(want), "%s\n\t0x1\n%s\n\t0x2\n\t0x3\n\t0x5\n%s\n\t0x4\n\n",
		       path[0], path[1], path[3]);
	fake_send(fc, "wchp", 4);
	fake_settle(f);
	part_of(f, GATHER_WCHP, 2, false, b, 5);
	part_of(f, GATHER_WCHP, 0, true, a, an);
	assert_int_equal(fc->out_n, 0); /* nobody knows what the others have in front of it */
	part_of(f, GATHER_WCHP, 1, true, NULL, 0);
	assert_int_equal(fc->out_n, 0);
	part_of(f, GATHER_WCHP, 2, false, b + 5, bn - 10);
	assert_true(fc->out_n > 0);
	assert_false(fc->shut);
	part_of(f, GATHER_WCHP, 2, true, b + bn - 5, 5);
	assert_true(fc->shut);
	assert_int_equal(fc->out_n, strlen(want));
	assert_memory_equal(fc->out, want, strlen(want));
	fake_free(f);
}

/* "N connections watching M paths" */
static void cores_counted(void **state)
{
	static const char want[] = "6 connections watching 4 paths\nTotal watches:600\n";
	struct fake *f = fake_new(NULL);
	struct fake_conn *fc = fake_open(f);
	uint8_t p[16 + 3 * 8];

	(void)state;
	f->hold = true;
	fake_send(fc, "wchs", 4);
	fake_settle(f);
	for (uint16_t core = 0; core < 3; core++) {
		zk_put64(p, core + 1u);
		zk_put64(p + 8, (core + 1u) * 100);
		zk_put64(p + 16, core == 2 ? 9 : 7); /* 7, 8, 9, 10 */
		zk_put64(p + 24, core == 2 ? 10 : 8);
		zk_put64(p + 32, 10);
		part_of(f, GATHER_WCHS, core, false, p, 16 + 3);
		part_of(f, GATHER_WCHS, core, true, p + 19, (core == 2 ? 16 : 24) - 3);
	}
	assert_true(fc->shut);
	assert_int_equal(fc->out_n, sizeof(want) - 1);
	assert_memory_equal(fc->out, want, sizeof(want) - 1);
	fake_free(f);
}

/* texts of several cores come mixed and leave core by core */
static void cores_in_order(void **state)
{
	static const char want[] = "/zero\n\t0x1\n/one\n\t0x2\n/two\n\t0x3\n\n";
	struct fake *f = fake_new(NULL);
	struct fake_conn *fc = fake_open(f);

	(void)state;
	f->hold = true;
	fake_send(fc, "wchc", 4);
	fake_settle(f);
	text_of(f, 2, false, "/two\n");
	text_of(f, 1, false, "/on");
	text_of(f, 0, false, "/zero\n");
	text_of(f, 1, true, "e\n\t0x2\n");
	text_of(f, 2, false, "\t0x3\n");
	text_of(f, 0, true, "\t0x1\n");
	assert_false(fc->shut);
	text_of(f, 2, true, "");
	assert_true(fc->shut);
	assert_int_equal(fc->out_n, sizeof(want) - 1);
	assert_memory_equal(fc->out, want, sizeof(want) - 1);
	fake_free(f);
}

static void dump(void **state)
{
	struct fake *f = fake_new(NULL);
	const char *text;

	(void)state;
	(void)fake_session(f);
	text = fake_word(f, "dump");
	/* the leader's part is leader_answer_test's */
	assert_non_null(strstr(text, "SessionTracker dump:\nSession Sets (0)/(0):\n"
				     "ephemeral nodes dump:\nSessions with Ephemerals (0):\n"
				     "Connections dump:\nConnections Sets (1)/(2):\n"
				     "2 expire at "));
	assert_non_null(strstr(text, ":\n\tip: /127.0.0.1:40000 sessionId: 0x100000000000001\n"
				     "\tip: /127.0.0.1:40001 sessionId: 0x0\n"));
	fake_free(f);
}

static void dates(void **state)
{
	static const struct {
		int64_t s;
		const char *text;
	} cases[] = {{0, "Thu Jan 01 00:00:00 UTC 1970"},
		     {951782399, "Mon Feb 28 23:59:59 UTC 2000"},
		     {951782400, "Tue Feb 29 00:00:00 UTC 2000"},
		     {1709251199, "Thu Feb 29 23:59:59 UTC 2024"},
		     {1795239728, "Sat Nov 21 05:42:08 UTC 2026"},
		     {4107542400, "Mon Mar 01 00:00:00 UTC 2100"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[64];
		struct words_out o = {text, 0, sizeof(text)};

		words_date(cases[i].s * 1000 + 999, &o);
		assert_string_equal(text, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(simple),        cmocka_unit_test(first_bytes_only),
		cmocka_unit_test(whitelist),     cmocka_unit_test(srvr),
		cmocka_unit_test(mntr),          cmocka_unit_test(mntr_figures),
		cmocka_unit_test(mntr_quotas),   cmocka_unit_test(mntr_quotas_are_bounded),
		cmocka_unit_test(cons_and_stat), cmocka_unit_test(gathers_in_line),
		cmocka_unit_test(trace_mask),    cmocka_unit_test(envi),
		cmocka_unit_test(resets),        cmocka_unit_test(watches),
		cmocka_unit_test(long_watches),  cmocka_unit_test(cores_in_order),
		cmocka_unit_test(cores_merged),  cmocka_unit_test(cores_counted),
		cmocka_unit_test(dump),          cmocka_unit_test(dates),
		cmocka_unit_test(averages),      cmocka_unit_test(limits_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
