/* SPDX-License-Identifier: Apache-2.0 */
/* ctl/server/config_quorum.c, keys_quorum.c: server lines, myid, the checks of QuorumPeerConfig. */
#include "ctl/server/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define THREE                                                                                      \
	"server.1=127.181.9.1:2888:3888\nserver.2=127.181.9.2:2888:3888\n"                         \
	"server.3=127.181.9.3:2888:3888\n"

static const struct config_cpus two = {.n = 2, .cpu = {0, 1}};
static struct config conf; /* of the last parse() */
static char errors[8192], dir[64], base[256];

static void put(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void drop(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	(void)unlink(path);
}

/* A file of its own lines and @p more, which begins at line 6. */
static bool parse(const char *more)
{
	char text[8192];
	FILE *f = fmemopen(errors, sizeof(errors), "w");
	bool ok;

	assert_non_null(f);
	errors[0] = 0;
	snprintf(text, sizeof(text), "%s%s", base, more);
	ok = config_parse("zoo.cfg", text, strlen(text), &two, &conf, f);
	fclose(f);
	assert_int_equal(ok, errors[0] == 0);
	return ok;
}

static void good(const char *more)
{
	if (!parse(more))
		fail_msg("%s", errors);
	assert_true(conf.quorum.on);
}

/* The only complaint is @p want, in which %s stands for the data directory. */
static void bad(const char *more, const char *want)
{
	assert_false(parse(more));
	assert_string_equal(errors, want);
}

static void warned(const char *want)
{
	for (unsigned i = 0; i < conf.warnings_n; i++)
		if (strcmp(conf.warning[i], want) == 0)
			return;
	fail_msg("no warning \"%s\" but %u, first \"%s\"", want, conf.warnings_n, conf.warning[0]);
}

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/config_quorum_test.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(base, sizeof(base),
		 "dataDir=%s\nclientPort=2181\ndp.address=127.181.9.2/24\ninitLimit=10\n"
		 "syncLimit=5\n",
		 dir);
	put("myid", "2\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	drop("myid");
	drop("zoo.cfg.dynamic.1f");
	drop("zoo.cfg.dynamic");
	return rmdir(dir);
}

static void three_servers(void **state)
{
	const struct config_quorum *q = &conf.quorum;

	(void)state;
	good(THREE);
	assert_int_equal(q->sid, 2);
	assert_int_equal(q->members.n, 3);
	assert_int_equal(q->members.voters, 7);
	assert_int_equal(q->ip[2][0], 0x7fb50903);
	assert_int_equal(q->ip[1][0], conf.address);
	assert_int_equal(q->init_limit, 10);
	assert_int_equal(q->sync_limit, 5);
	assert_false(q->observer || q->read_only);
	assert_int_equal(q->settle_ms, 200);
	assert_int_equal(q->settle_fast_ms, 30);
	assert_int_equal(q->heartbeat_ms, 40);
	assert_int_equal(q->heartbeat_timeout_ms, 250);
	assert_int_equal(q->observer_log_ms, 50);
	assert_int_equal(q->observer_nice, 7);
	assert_int_equal(q->observer_calm_us, 5000);
	assert_int_equal(q->observer_inform_us, 2000);
	assert_int_equal(q->cnx_timeout_ms, 5000);
	assert_int_equal(q->commit_log_count, 500);
	assert_int_equal(q->snap_factor_ppm, 330000);
	assert_int_equal(conf.warnings_n, 0);
}

static void every_form_of_line(void **state)
{
	const struct zab_members *m = &conf.quorum.members;

	(void)state;
	good("server.2=127.181.9.2:2888:3888:participant;2181\n"
	     "server.10=127.181.9.10:2888:3888:observer;127.181.9.10:2182\n"
	     "server.1=127.181.9.1:1:2|127.181.9.7:3:4;0.0.0.0:2183\nmultiAddress.enabled=true\n"
	     "server.3=127.181.9.3:2888:3888\n"
	     "group.1=1:2\ngroup.2=3\nweight.1=3\nweight.3=2\n");
	assert_int_equal(m->n, 4);
	assert_int_equal(m->voters, 7);
	assert_int_equal(m->groups, 2);
	assert_int_equal(m->server[0].addresses, 2);
	assert_int_equal(m->server[0].weight, 3);
	assert_true(m->server[3].observer);
	assert_int_equal(m->server[3].client_port, 2182);
	assert_int_equal(conf.quorum.ip[0][1], 0x7fb50907);
}

/* Not where the leader cores of voters are that share the machine, unless it was put there. */
static void an_observers_leader_core(void **state)
{
	static const char SELF[] = "peerType=observer\nserver.1=127.181.9.1:2888:3888\n"
				   "server.2=127.181.9.2:2888:3888:observer\n"
				   "server.3=127.181.9.3:2888:3888\n";
	char placed[256];

	(void)state;
	good(THREE);
	assert_int_equal(conf.leader_cpu, 0);
	assert_int_equal(conf.cores, 1);
	assert_int_equal(conf.core_cpu[0], 1);
	good(SELF);
	assert_true(conf.quorum.observer);
	assert_int_equal(conf.leader_cpu, 1);
	assert_int_equal(conf.cores, 1);
	assert_int_equal(conf.core_cpu[0], 0);
	snprintf(placed, sizeof(placed), "dp.leaderCpu=0\n%s", SELF);
	good(placed);
	assert_int_equal(conf.leader_cpu, 0);
	assert_int_equal(conf.core_cpu[0], 1);
}

static void keys(void **state)
{
	const struct config_quorum *q = &conf.quorum;

	(void)state;
	good(THREE "connectToLearnerMasterLimit=3\nelectionAlg=3\nquorumListenOnAllIPs=true\n"
		   "cnxTimeout=700\nzookeeper.quorumCnxnTimeoutMs=800\ncommitLogCount=9\n"
		   "fastleader.minNotificationInterval=50\nreadonlymode.enabled=true\n"
		   "zookeeper.fastleader.maxNotificationInterval=5000\nsnapshotSizeFactor=0.5\n"
		   "zab.settleMs=20\nzab.settleFastMs=0\nzab.heartbeatMs=0\nzab.heartbeatTimeoutMs="
		   "90\nzab.observerLogMs=3\nzab.observerCalmUs=4\nzab.observerNice=5\n"
		   "zab.observerInformUs=6\n"
		   "electionPortBindRetry=3\nreconfigEnabled=true\nsyncEnabled=false\n"
		   "testingonly.initialZxid=4294967294\n");
	assert_int_equal(q->connect_limit, 3);
	assert_int_equal(q->cnx_timeout_ms, 700);
	assert_int_equal(q->hello_timeout_ms, 800);
	assert_int_equal(q->resend_min_ms, 50);
	assert_int_equal(q->resend_max_ms, 5000);
	assert_int_equal(q->settle_ms, 20);
	assert_int_equal(q->settle_fast_ms, 0);
	assert_int_equal(q->heartbeat_ms, 0);
	assert_int_equal(q->heartbeat_timeout_ms, 90);
	assert_int_equal(q->observer_log_ms, 3);
	assert_int_equal(q->observer_nice, 5);
	assert_int_equal(q->observer_calm_us, 4);
	assert_int_equal(q->observer_inform_us, 6);
	assert_int_equal(q->commit_log_count, 500);
	assert_int_equal(q->snap_factor_ppm, 500000);
	assert_true(q->read_only);
	assert_int_equal(q->initial_zxid, UINT32_MAX - 1);
	good(THREE "commitLogCount=4000\nsnapshotSizeFactor=-0.1\nquorumCnxnTimeoutMs=-1\n");
	assert_int_equal(q->commit_log_count, 4000);
	assert_int_equal(q->snap_factor_ppm, -1);
	assert_int_equal(q->hello_timeout_ms, 0);
	good(THREE "snapshotSizeFactor=3\n");
	assert_int_equal(q->snap_factor_ppm, 330000);
	bad(THREE "electionAlg=0\n", "zoo.cfg:9: electionAlg: \"0\" is no election algorithm: only "
				     "3 is supported\n");
	bad(THREE "forceSnapshotSync=true\n",
	    "zoo.cfg:9: forceSnapshotSync: \"true\" is not served yet: must be false\n");
	bad(THREE "peerType=leader\n",
	    "zoo.cfg:9: peerType: \"leader\" must be participant or observer\n");
	bad(THREE "snapshotSizeFactor=nan\n",
	    "zoo.cfg:9: snapshotSizeFactor: \"nan\" is not a number like 0.33\n");
	good(THREE "zab.observerNice=19\n");
	bad(THREE "zab.observerInformUs=20001\n",
	    "zoo.cfg:9: zab.observerInformUs: \"20001\" is too large\n");
	bad(THREE "zab.observerNice=20\n", "zoo.cfg:9: zab.observerNice: \"20\" is too large\n");
	good(THREE "zab.requestBytes=64K\n");
	assert_int_equal(conf.quorum.request_bytes, 64 << 10);
	bad(THREE "zab.requestBytes=65535\n",
	    "zoo.cfg:9: zab.requestBytes: \"65535\" is too small\n");
	bad(THREE "zab.requestBytes=2G\n", "zoo.cfg:9: zab.requestBytes: \"2G\" is too large\n");
}

static void lines_that_are_wrong(void **state)
{
	(void)state;
	bad(THREE "server.4=127.181.9.4:2888\n",
	    "zoo.cfg:9: server.4: \"127.181.9.4:2888\" not of the form "
	    "host:port:port[:role][;[host:]port]\n");
	bad("server.x=127.181.9.4:1:2\n",
	    "zoo.cfg:6: server.x: \"127.181.9.4:1:2\" the server id is no number\n");
	bad(THREE "group.1=1:2\n", "zoo.cfg: server.N: a server that votes is in no group\n");
	bad(THREE "server.4=127.181.9.1:3888:4888\n",
	    "zoo.cfg:9: server.4: has an address of server.1\n");
	bad(THREE "server.4=127.181.9.4:1:2|127.181.9.5:1:2\n",
	    "zoo.cfg:9: server.4: has several addresses, and multiAddress.enabled is not true\n");
	bad("server.1=127.181.9.1:1:2:observer\nserver.2=127.181.9.2:1:2:observer\n",
	    "zoo.cfg: server.N: no server votes\n");
	bad("server.1=127.181.9.1:1:2:observer\nserver.2=127.181.9.2:1:2\n",
	    "zoo.cfg: server.N: observers without a quorum are an invalid configuration\n");
}

static void how_many(void **state)
{
	(void)state;
	good("server.1=127.181.9.1:1:2\nserver.2=127.181.9.2:1:2\n");
	warned("zoo.cfg:6: no failure will be tolerated: at least 3 servers are needed");
	good(THREE "server.4=127.181.9.4:1:2\n");
	warned("zoo.cfg:6: an even number of servers that vote: consider an odd one");
	/* one server is none, as in Apache, unless standaloneEnabled=false */
	assert_true(parse("server.2=h:1:2\n"));
	assert_false(conf.quorum.on);
	warned("zoo.cfg:6: only one server: ignored, it stands alone (standaloneEnabled=true)");
	good("server.2=127.181.9.2:1:2\nstandaloneEnabled=false\n");
	bad("standaloneEnabled=false\n",
	    "zoo.cfg: server.N: standaloneEnabled=false needs a server that votes\n");
}

static void limits_are_mandatory(void **state)
{
	(void)state;
	bad(THREE "initLimit=0\nsyncLimit=0\n",
	    "zoo.cfg:9: initLimit: is not set\nzoo.cfg:10: syncLimit: is not set\n");
}

static void myid(void **state)
{
	char want[256];

	(void)state;
	drop("myid");
	bad(THREE, "zoo.cfg:1: dataDir: myid file is missing\n");
	assert_true(parse("")); /* alone nobody asks for it */
	put("myid", "two\n");
	snprintf(want, sizeof(want),
		 "zoo.cfg:1: dataDir: %s/myid: not a number in its first line\n", dir);
	bad(THREE, want);
	put("myid", "7");
	bad(THREE, "zoo.cfg:1: dataDir: my id 7 is not in the peer list\n");
	put("myid", "2\n");
	bad(THREE "dataDir=/nonexistent\n", "zoo.cfg:9: dataDir: myid file is missing\n");
}

static void the_own_line(void **state)
{
	(void)state;
	put("myid", "3");
	bad(THREE, "zoo.cfg:8: server.3: is this server, and its host is not dp.address\n");
	put("myid", "2");
	bad("server.1=127.181.9.1:1:2\nserver.2=127.181.9.2:2181:3888\n",
	    "zoo.cfg:7: server.2: is this server, and one of its ports is clientPort\n");
	bad("server.1=127.181.9.1:1:2\nserver.2=127.181.9.2:0:3888\n",
	    "zoo.cfg:7: server.2: is this server, and port 0 cannot be served\n");
	bad("server.1=127.181.9.1:1:2\nserver.2=127.181.9.2:1:2;2222\n",
	    "zoo.cfg:7: server.2: names another port for clients than clientPort\n");
	bad("server.1=127.181.9.1:1:2\nserver.2=127.181.9.2:1:2;127.0.0.1:2181\n",
	    "zoo.cfg:7: server.2: is this server, and its clients' host is not dp.address\n");
	good(THREE "peerType=observer\n");
	assert_false(conf.quorum.observer);
	warned("zoo.cfg:7: peerType and the server's line differ: the line counts (participant)");
	good("server.1=127.181.9.1:1:2\nserver.3=127.181.9.3:1:2\n"
	     "server.2=127.181.9.2:1:2:observer\npeerType=observer\n");
	assert_true(conf.quorum.observer);
}

static void the_line_names_the_client_port(void **state)
{
	char whole[256];

	(void)state;
	memcpy(whole, base, sizeof(whole));
	snprintf(base, sizeof(base), "dataDir=%s\ndp.address=127.181.9.2/24\n", dir);
	good("initLimit=1\nsyncLimit=1\nserver.1=127.181.9.1:1:2\n"
	     "server.2=127.181.9.2:1:2;2200\n");
	assert_int_equal(conf.client_port, 2200);
	bad("initLimit=1\nsyncLimit=1\nserver.1=127.181.9.1:1:2\nserver.2=127.181.9.2:1:2\n",
	    "zoo.cfg: clientPort: is missing\n");
	memcpy(base, whole, sizeof(base));
}

static void names(void **state)
{
	(void)state;
	good("server.1=localhost:1:2\nserver.2=127.181.9.2:1:2\n"
	     "server.3=\\ no\\ such\\ name:1:2\n");
	assert_int_equal(conf.quorum.ip[0][0], 0x7f000001);
	assert_int_equal(conf.quorum.ip[2][0], 0);
	assert_int_equal(conf.warnings_n, 1);
	assert_non_null(strstr(conf.warning[0], "zoo.cfg:8: server.3: no IPv4 address for "));
	put("myid", "1");
	bad("server.1=localhost:1:2\nserver.2=127.181.9.2:1:2\nserver.3=127.181.9.3:1:2\n",
	    "zoo.cfg:6: server.1: is this server, and its host is not dp.address\n");
	put("myid", "2");
}

static void dynamic_file(void **state)
{
	char line[256], want[512];

	(void)state;
	put("zoo.cfg.dynamic.1f", THREE "group.1=1:2:3\n");
	snprintf(line, sizeof(line), "dynamicConfigFile=%s/zoo.cfg.dynamic.1f\n", dir);
	good(line);
	assert_int_equal(conf.quorum.members.n, 3);
	assert_int_equal(conf.quorum.members.version, 0x1f);
	snprintf(line, sizeof(line), "dynamicConfigFile=%s/zoo.cfg.dynamic.1f\nweight.1=2\n", dir);
	bad(line, "zoo.cfg:7: weight.1: must be in the separate dynamic config file\n");
	snprintf(line, sizeof(line), "dynamicConfigFile=%s/zoo.cfg.dynamic\n", dir);
	snprintf(
		want, sizeof(want),
		"zoo.cfg:6: dynamicConfigFile: \"%s/zoo.cfg.dynamic\" cannot open: No such file or "
		"directory\n",
		dir);
	bad(line, want);
	put("zoo.cfg.dynamic", THREE);
	good(line);
	assert_int_equal(conf.quorum.members.version, 0);
	put("zoo.cfg.dynamic", THREE "tickTime=7\n");
	snprintf(want, sizeof(want),
		 "%s/zoo.cfg.dynamic:4: tickTime: is neither server.N, group.N nor weight.N\n",
		 dir);
	bad(line, want);
	put("zoo.cfg.dynamic", THREE "version=7\n");
	snprintf(want, sizeof(want),
		 "%s/zoo.cfg.dynamic:4: version: must not be inside: the file's name says it\n",
		 dir);
	bad(line, want);
	put("zoo.cfg.dynamic", "\\uz");
	snprintf(want, sizeof(want),
		 "zoo.cfg:6: dynamicConfigFile: \"%s/zoo.cfg.dynamic\", line 1: malformed \\uXXXX "
		 "escape\n",
		 dir);
	bad(line, want);
}

static void peer_device(void **state)
{
	const struct config_peer *p = &conf.quorum.peer;

	(void)state;
	good("server.1=10.0.0.1:2181:2182\nserver.2=10.0.0.2:2181:2182\n"
	     "dp.peerDevice=tap:zkp\ndp.peerAddress=10.0.0.2/24\ndp.peerTapBridge=br0\n");
	assert_int_equal(p->device.kind, PORT_TAP);
	assert_int_equal(p->address, 0x0a000002);
	assert_string_equal(p->tap_bridge, "br0");
	assert_int_equal(p->mac[0] & 3, 2);
	assert_memory_not_equal(p->mac, conf.mac, 6);
	bad(THREE "dp.peerDevice=tap:zkp\ndp.peerAddress=10.0.0.2/24\n",
	    "zoo.cfg:7: server.2: is this server, and its host is not dp.peerAddress\n");
	bad(THREE "dp.peerDevice=tap:zkp\n", "zoo.cfg: dp.peerAddress: is missing: dp.peerDevice "
					     "needs an address of its own\n");
	bad(THREE "dp.peerAddress=10.0.0.2/24\n",
	    "zoo.cfg:9: dp.peerAddress: is for dp.peerDevice, which is not set\n");
	bad("dp.peerDevice=memif:/s\ndp.peerAddress=10.0.0.2/24\ndp.peerTapBridge=b\n",
	    "zoo.cfg:6: dp.peerDevice: is no tap: device, which the keys of a TAP are for\n");
}

static void peer_queue(void **state)
{
	(void)state;
	good(THREE);
	assert_false(conf.quorum.peer_software);
	good(THREE "dp.peerQueue=software\n");
	assert_true(conf.quorum.peer_software);
	good(THREE "dp.peerQueue=auto\n");
	assert_false(conf.quorum.peer_software);
	bad(THREE "dp.peerQueue=own\n", "zoo.cfg:9: dp.peerQueue: \"own\" must be auto or "
					"software\n");
	bad("server.1=10.0.0.1:2181:2182\nserver.2=10.0.0.2:2181:2182\ndp.peerQueue=auto\n"
	    "dp.peerDevice=tap:zkp\ndp.peerAddress=10.0.0.2/24\ndp.peerTapBridge=br0\n",
	    "zoo.cfg:8: dp.peerQueue: is for a device that clients use, too: not with "
	    "dp.peerDevice\n");
}

static void printing_round_trips(void **state)
{
	static struct config before;
	static char text[8192];
	FILE *f;

	(void)state;
	good(THREE "server.4=127.181.9.4:2888:3888:observer;2181\nzab.settleMs=20\n"
		   "snapshotSizeFactor=0.25\ncommitLogCount=600\nreadonlymode.enabled=true\n"
		   "group.1=1:2:3\nweight.2=5\nfastleader.maxNotificationInterval=4000\n"
		   "dp.peerQueue=software\n");
	before = conf;
	before.warnings_n = 0;
	memset(before.warning, 0, sizeof(before.warning));
	f = fmemopen(text, sizeof(text), "w");
	assert_non_null(f);
	config_print(&conf, f);
	fclose(f);
	base[0] = 0;
	good(text);
	conf.warnings_n = 0;
	memset(conf.warning, 0, sizeof(conf.warning));
	/* only where the texts of hosts stand may differ */
	assert_true(zab_members_equal(&before.quorum.members, &conf.quorum.members));
	before.quorum.members = conf.quorum.members;
	assert_memory_equal(&before, &conf, sizeof(conf));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_servers),
		cmocka_unit_test(every_form_of_line),
		cmocka_unit_test(an_observers_leader_core),
		cmocka_unit_test(keys),
		cmocka_unit_test(lines_that_are_wrong),
		cmocka_unit_test(how_many),
		cmocka_unit_test(limits_are_mandatory),
		cmocka_unit_test(myid),
		cmocka_unit_test(the_own_line),
		cmocka_unit_test(the_line_names_the_client_port),
		cmocka_unit_test(names),
		cmocka_unit_test(dynamic_file),
		cmocka_unit_test(peer_device),
		cmocka_unit_test(peer_queue),
		cmocka_unit_test(printing_round_trips),
	};

	return cmocka_run_group_tests_name("config_quorum", tests, setup, teardown);
}
