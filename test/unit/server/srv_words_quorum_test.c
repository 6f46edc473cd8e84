/* SPDX-License-Identifier: Apache-2.0 */
/* Four-letter words in an ensemble; the texts are those of Apache ZooKeeper 3.8.0 in the same
 * roles. */
#include "core/server/quorum_view.h"
#include "core/server/srv_int.h"
#include "core/zab/members.h"
#include "test/unit/server/srv_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct zab_members members;
static struct quorum_view view = {.members = &members, .sid = 3};
static const struct fake_conf ensemble = {.quorum = &view};
static const struct fake_conf local = {.quorum = &view, .local_sessions = true};

#define SERVERS                                                                                    \
	"server.1=127.0.0.1:2888:3888:participant\n"                                               \
	"server.2=127.0.0.2:2888:3888:participant\n"                                               \
	"server.3=127.0.0.3:2888:3888:participant\n"                                               \
	"server.4=127.0.0.4:2888:3888"

static const char said[] = SERVERS ":observer|127.0.1.4:2889:3888:observer\n";
static const char config[] = SERVERS "|127.0.1.4:2889:3888:observer\nversion=0";

static int setup(void **state)
{
	const char *why;
	unsigned line;

	(void)state;
	if (zab_members_parse(zk_span_str(said), &members, &why, &line) == ZK_EOK)
		return 0;
	print_error("line %u: %s\n", line, why);
	return 1;
}

static struct fake *serving(const struct fake_conf *conf, int64_t sid, enum srv_role role)
{
	view.sid = sid;
	return fake_serving(conf, role);
}

static bool ends(const char *text, const char *with)
{
	size_t n = strlen(text), k = strlen(with);

	return n >= k && strcmp(text + n - k, with) == 0;
}

static bool has(const char *text, const char *line)
{
	const char *at = strstr(text, line);

	return at && (at == text || at[-1] == '\n');
}

static void proposal(uint64_t bytes)
{
	view.proposal_last_bytes = bytes;
	zk_metric_add(&view.metric[QUORUM_METRIC_PROPOSAL_BYTES], bytes);
}

static void srvr(void **state)
{
	struct fake *f = serving(&ensemble, 3, ROLE_LEADING);

	(void)state;
	assert_true(ends(fake_word(f, "srvr"), "Zxid: 0x0\nMode: leader\nNode count: 5\n"
					       "Proposal sizes last/min/max: -1/-1/-1\n"));
	proposal(48);
	proposal(91);
	proposal(87);
	assert_true(ends(fake_word(f, "stat"), "Mode: leader\nNode count: 5\n"
					       "Proposal sizes last/min/max: 87/48/91\n"));
	assert_true(has(fake_word(f, "mntr"), "zk_min_proposal_size\t48\n"));
	assert_string_equal(fake_word(f, "srst"), "Server stats reset.\n");
	assert_true(ends(fake_word(f, "srvr"), "Proposal sizes last/min/max: -1/-1/-1\n"));
	assert_true(has(fake_word(f, "mntr"), "zk_last_proposal_size\t-1\n"));
	proposal(60);
	assert_true(ends(fake_word(f, "srvr"), "Proposal sizes last/min/max: 60/60/60\n"));
	fake_role(f, ROLE_FOLLOWING);
	assert_true(ends(fake_word(f, "srvr"), "Mode: follower\nNode count: 5\n"));
	fake_role(f, ROLE_OBSERVING);
	assert_true(ends(fake_word(f, "srvr"), "Mode: observer\nNode count: 5\n"));
	assert_string_equal(fake_word(f, "isro"), "rw");
	zk_metric_reset(&view.metric[QUORUM_METRIC_PROPOSAL_BYTES]);
	fake_free(f);
}

/* each role is a new server, with figures of its own */
static void restarts(void **state)
{
	struct fake *f = serving(&ensemble, 3, ROLE_LEADING);

	(void)state;
	(void)fake_session(f);
	fake_advance(f, 5000);
	assert_non_null(strstr(fake_word(f, "srvr"), "\nReceived: 2\nSent: 1\n"));
	assert_true(has(fake_word(f, "mntr"), "zk_uptime\t5000\n"));
	fake_role(f, ROLE_FOLLOWING);
	assert_non_null(strstr(fake_word(f, "srvr"), "\nReceived: 1\nSent: 0\n"));
	assert_true(has(fake_word(f, "mntr"), "zk_uptime\t0\n"));
	fake_free(f);
}

static void conf(void **state)
{
	static const char limits[] = "initLimit=10\nsyncLimit=5\nelectionAlg=3\n";
	struct fake *f = serving(&ensemble, 3, ROLE_FOLLOWING);
	const char *text = fake_word(f, "conf");
	char want[1024];

	(void)state;
	snprintf(want, sizeof(want),
		 "clientPortListenBacklog=-1\nserverId=3\n%selectionPort=3888\nquorumPort=2888\n"
		 "peerType=0\nmembership: \n%s",
		 limits, config);
	assert_true(ends(text, want));
	assert_true(has(text, "clientPort=2181\n"));
	view.sid = 4; /* two addresses, each port once */
	snprintf(want, sizeof(want),
		 "serverId=4\n%selectionPort=3888\nquorumPort=2888|2889\npeerType=1\n"
		 "membership: \n%s",
		 limits, config);
	assert_true(ends(fake_word(f, "conf"), want));
	fake_role(f, ROLE_READONLY);
	assert_true(ends(fake_word(f, "conf"), "quorumPort=2888|2889\npeerType=1\n"));
	fake_free(f);
}

static void mntr(void **state)
{
	static const char *const leading[] = {"zk_learners\t3\n",
					      "zk_synced_followers\t2\n",
					      "zk_synced_observers\t1\n",
					      "zk_synced_non_voting_followers\t0\n",
					      "zk_pending_syncs\t7\n",
					      "zk_leader_uptime\t3000\n",
					      "zk_last_proposal_size\t-1\n",
					      "zk_max_proposal_size\t-1\n",
					      "zk_min_proposal_size\t-1\n"};
	struct fake *f = serving(&ensemble, 3, ROLE_LEADING);
	const char *text;

	(void)state;
	fake_advance(f, 3000);
	view.learners = 3;
	view.synced_followers = 2;
	view.synced_observers = 1;
	view.pending_syncs = 7;
	view.elections = 5;
	view.diffs = 3;
	view.snaps = 4;
	view.leader = 3;
	assert_true(has(fake_word(f, "mntr"), "zk_looking_count\t0\n")); /* nobody counts it */
	quorum_view_metrics(&view, &f->shared.metrics);
	zk_metric_add(&view.metric[QUORUM_METRIC_ELECTION], 250);
	zk_metric_add(&view.metric[QUORUM_METRIC_ELECTION], 50);
	text = fake_word(f, "mntr");
	assert_true(has(text, "zk_avg_election_time\t150.0\n"));
	assert_true(has(text, "zk_cnt_election_time\t2\n"));
	assert_true(has(text, "zk_p99_proposal_latency\t0\n"));
	assert_non_null(strstr(text, "UTC\nzk_server_state\tleader\n"
				     "zk_peer_state\tleading - broadcast\n"));
	for (size_t i = 0; i < sizeof(leading) / sizeof(leading[0]); i++)
		assert_true(has(text, leading[i]));
	assert_true(has(text, "zk_quorum_size\t3\n"));
	assert_true(has(text, "zk_looking_count\t5\n"));
	assert_true(has(text, "zk_diff_count\t3\n"));
	assert_true(has(text, "zk_snap_count\t4\n"));
	assert_null(strstr(strstr(text, "zk_snap_count") + 1, "zk_snap_count"));
	assert_string_equal(fake_word(f, "srst"), "Server stats reset.\n");
	text = fake_word(f, "mntr");
	assert_true(has(text, "zk_looking_count\t0\n"));
	assert_true(has(text, "zk_cnt_election_time\t0\n"));
	view.snaps = 5;
	text = fake_word(f, "mntr");
	assert_true(has(text, "zk_snap_count\t1\n"));
	assert_false(has(text, "zk_observer_master_id"));
	fake_role(f, ROLE_FOLLOWING);
	text = fake_word(f, "mntr");
	assert_non_null(strstr(text, "zk_server_state\tfollower\n"
				     "zk_peer_state\tfollowing - broadcast\n"));
	for (size_t i = 0; i < sizeof(leading) / sizeof(leading[0]); i++)
		assert_null(strstr(text, leading[i]));
	assert_true(has(text, "zk_synced_observers\t0\n"));
	assert_true(has(text, "zk_quorum_size\t3\n"));
	fake_role(f, ROLE_OBSERVING);
	text = fake_word(f, "mntr");
	assert_non_null(strstr(text, "zk_server_state\tobserver\n"
				     "zk_peer_state\tobserving - broadcast\n"
				     "zk_observer_master_id\t3\n"));
	assert_null(strstr(text, "zk_synced_observers"));
	fake_role(f, ROLE_READONLY);
	text = fake_word(f, "mntr");
	assert_non_null(strstr(text, "zk_server_state\tread-only\n"));
	assert_null(strstr(text, "zk_peer_state"));
	assert_null(strstr(text, "zk_quorum_size"));
	fake_free(f);
	f = fake_new(NULL);
	text = fake_word(f, "mntr");
	assert_true(has(text, "zk_looking_count\t0\n"));
	assert_null(strstr(text, "zk_quorum_"));
	fake_free(f);
}

/** A record for the dump of connection 0. */
static void record(struct fake *f, uint16_t section, uint64_t key, const char *name, bool last)
{
	size_t n = strlen(name), bytes = n ? 10 + n : 0;
	struct msg_gather *m = zk_ring_reserve(&f->down, sizeof(*m) + bytes);
	uint8_t *p = (uint8_t *)(m + 1);

	assert_non_null(m);
	*m = (struct msg_gather){.h = {.kind = MSG_GATHER_TEXT},
				 .what = GATHER_DUMP,
				 .last = last,
				 .cores = 1,
				 .section = section,
				 .text_bytes = (uint32_t)bytes};
	m->h.conn = (struct msg_conn){f->conn[0].c->index, f->conn[0].c->generation};
	if (n) {
		zk_put64(p, key);
		zk_put16(p + 8, (uint16_t)n);
		memcpy(p + 10, name, n);
	}
	zk_ring_commit(&f->down, sizeof(*m) + bytes);
	zk_ring_publish(&f->down);
}

static const char *dump_text(struct fake *f)
{
	static char out[4096];
	struct fake_conn *fc = &f->conn[0];

	fake_settle(f);
	assert_true(fc->shut && fc->out_n < sizeof(out));
	memcpy(out, fc->out, fc->out_n);
	out[fc->out_n] = '\0';
	return out;
}

static void dump_ask(struct fake *f)
{
	assert_ptr_equal(fake_open(f), &f->conn[0]);
	f->hold = true;
	fake_send(&f->conn[0], "dump", 4);
	fake_settle(f);
}

static void dump_of_learner(void **state)
{
	struct fake *f = serving(&ensemble, 3, ROLE_FOLLOWING);

	(void)state;
	dump_ask(f);
	record(f, GATHER_GLOBALS, 9, "0x20001945ab80000\t12000ms", false);
	record(f, GATHER_GLOBALS, 8, "0x10001945abd0000\t11000ms", false);
	record(f, GATHER_CONNS, 0, "", true);
	assert_string_equal(dump_text(f), "SessionTracker dump:\n"
					  "Global Sessions(2):\n"
					  "0x10001945abd0000\t11000ms\n"
					  "0x20001945ab80000\t12000ms\n"
					  "ephemeral nodes dump:\n"
					  "Sessions with Ephemerals (0):\n"
					  "Connections dump:\n"
					  "Connections Sets (0)/(0):\n");
	fake_free(f);
	/* none is an answer, too */
	f = serving(&ensemble, 3, ROLE_OBSERVING);
	dump_ask(f);
	record(f, GATHER_GLOBALS, 0, "", false);
	record(f, GATHER_CONNS, 0, "", true);
	assert_non_null(strstr(dump_text(f), "dump:\nGlobal Sessions(0):\nephemeral"));
	fake_free(f);
}

static void dump_with_local_sessions(void **state)
{
	struct fake *f = serving(&local, 3, ROLE_READONLY);

	(void)state;
	dump_ask(f);
	record(f, GATHER_GLOBALS, 8, "0x10001945abd0000\t11000ms", false);
	record(f, GATHER_CONNS, 20000, "ip: /10.0.0.1:5 sessionId: 0x3000000000000aa", false);
	record(f, GATHER_CONNS, 20000, "ip: /10.0.0.1:6 sessionId: 0x0", true);
	assert_string_equal(dump_text(f), "SessionTracker dump:\n"
					  "Local Session Sets (1)/(1):\n"
					  "1 expire at Tue Nov 14 22:13:40 UTC 2023:\n"
					  "\t0x3000000000000aa\n"
					  "Global Sessions(1):\n"
					  "0x10001945abd0000\t11000ms\n"
					  "ephemeral nodes dump:\n"
					  "Sessions with Ephemerals (0):\n"
					  "Connections dump:\n"
					  "Connections Sets (1)/(2):\n"
					  "2 expire at Tue Nov 14 22:13:40 UTC 2023:\n"
					  "\tip: /10.0.0.1:5 sessionId: 0x3000000000000aa\n"
					  "\tip: /10.0.0.1:6 sessionId: 0x0\n");
	fake_free(f);
	f = serving(&local, 3, ROLE_LEADING);
	dump_ask(f);
	record(f, GATHER_SESSIONS, 20000, "0x1", false);
	record(f, GATHER_CONNS, 0, "", true);
	assert_non_null(strstr(dump_text(f), "SessionTracker dump:\nLocal Session Sets (0)/(0):\n"
					     "Global Session Sets (1)/(1):\n1 expire at "));
	fake_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(srvr),
		cmocka_unit_test(restarts),
		cmocka_unit_test(conf),
		cmocka_unit_test(mntr),
		cmocka_unit_test(dump_of_learner),
		cmocka_unit_test(dump_with_local_sessions),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
