/* SPDX-License-Identifier: Apache-2.0 */
/* ctl/server/props.c, value.c, keys.c, config.c: the syntax of zoo.cfg, every kind of key, and the
 * one line for every bad value. */
#include "ctl/server/config.h"
#include "ctl/server/props.h"
#include "ctl/server/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BASE "dataDir=/d\nclientPort=2181\ndp.address=127.181.0.1/24\n"

static const struct config_cpus two = {.n = 2, .cpu = {0, 1}};
static const struct config_cpus one = {.n = 1, .cpu = {3}};
static const struct config_cpus many = {.n = 6, .cpu = {0, 1, 2, 3, 8, 9}};

static struct config conf; /* of the last parse() */
static char errors[8192];

static bool parse_on(const struct config_cpus *cpus, const char *text)
{
	FILE *f = fmemopen(errors, sizeof(errors), "w");
	bool ok;

	assert_non_null(f);
	errors[0] = 0;
	ok = config_parse("zoo.cfg", text, strlen(text), cpus, &conf, f);
	fclose(f);
	assert_int_equal(ok, errors[0] == 0);
	return ok;
}

static bool parse(const char *text)
{
	return parse_on(&two, text);
}

/* BASE and one more line: the only error must be @p want (which names line 4). */
static void bad(const char *line, const char *want)
{
	char text[2048];

	snprintf(text, sizeof(text), BASE "%s\n", line);
	assert_false(parse(text));
	assert_string_equal(errors, want);
}

static void good(const char *line)
{
	char text[2048];

	snprintf(text, sizeof(text), BASE "%s\n", line);
	if (!parse(text))
		fail_msg("%s", errors);
}

/* ---- syntax ---- */

static struct props props;
static char why[PROPS_WHY_MAX];

static enum zk_err props_of(const char *text, size_t n, unsigned *line)
{
	return props_parse(text, n, &props, line, why);
}

static void is(const char *text, const char *key, const char *value)
{
	const struct prop *p;
	unsigned line;

	assert_int_equal(props_of(text, strlen(text), &line), ZK_EOK);
	p = props_get(&props, key);
	if (!p)
		fail_msg("no key \"%s\" in \"%s\"", key, text);
	assert_string_equal(p->value, value);
	props_free(&props);
}

static void separators(void **state)
{
	(void)state;
	is("a=b", "a", "b");
	is("a:b", "a", "b");
	is("a b", "a", "b");
	is("a\tb c", "a", "b c");
	is("  a = b \n", "a", "b");
	is("a : b", "a", "b");
	is("a  =  b = c", "a", "b = c");
	is("a==b", "a", "=b");
	is("a", "a", "");
	is("a=", "a", "");
	is("=b", "", "b");
	is("a=b\r\nc=d\rx=y", "c", "d");
	is("a=b\r\nc=d\rx=y", "x", "y");
	is("\fa\f=\fb", "a", "b");
}

static void comments(void **state)
{
	unsigned line;

	(void)state;
	is("# a=1\n! a=2\n  # a=3\na=4 # not a comment", "a", "4 # not a comment");
	is("# goes on \\\na=1", "a", "1"); /* no: a comment does not continue */
	assert_int_equal(props_of("#x\n\n  \n!y", 9, &line), ZK_EOK);
	assert_int_equal(props.n, 0);
	props_free(&props);
}

static void continuation(void **state)
{
	const char *text = "a=1,\\\n   2,\\\r\n\t3\nb=4";
	unsigned line;

	(void)state;
	is(text, "a", "1,2,3");
	is("ke\\\n  y=v", "key", "v");
	is("a \\\n = b", "a", "b");
	is("a=b\\\\\nc=d", "a", "b\\"); /* an escaped backslash ends nothing */
	is("a=b\\", "a", "b");
	assert_int_equal(props_of(text, strlen(text), &line), ZK_EOK);
	assert_int_equal(props_get(&props, "a")->line, 1);
	assert_int_equal(props_get(&props, "b")->line, 4);
	props_free(&props);
}

static void escapes(void **state)
{
	unsigned line;

	(void)state;
	is("a\\ b\\=c\\:d = e", "a b=c:d", "e");
	is("a=x\\ty\\nz\\q", "a", "x\ty\nzq");
	is("a=\\u0041\\u00e9\\u20AC", "a", "A\xc3\xa9\xe2\x82\xac");
	is("a=\\ud83d\\ude00", "a", "\xf0\x9f\x98\x80");
	is("a=\xe9", "a", "\xc3\xa9"); /* Latin-1 */
	is("\\#a=1", "#a", "1");
	is("a=\\u0020b\\u0020", "a", "b"); /* trimmed after the escapes, as Apache does */
	assert_int_equal(props_of("a=1\nb=\\u00zz", 12, &line), ZK_EINVAL);
	assert_int_equal(line, 2);
	assert_int_equal(props_of("b=\\u00", 6, &line), ZK_EINVAL);
	assert_int_equal(props_of("b=\\ud83dx", 9, &line), ZK_EINVAL);
	assert_int_equal(props_of("b=\\u0000", 8, &line), ZK_EINVAL);
	assert_int_equal(props_of("b=x\0y", 5, &line), ZK_EINVAL);
}

static void last_wins(void **state)
{
	(void)state;
	is("a=1\na=2\nb=0\na=3", "a", "3");
	/* A bad value that a later line overrides is none. */
	assert_true(parse("tickTime=x\n" BASE "tickTime=500\n"));
	assert_int_equal(conf.tick_ms, 500);
}

static void syntax_limits(void **state)
{
	size_t n = (size_t)PROPS_BYTES_MAX + 1;
	char *big = malloc(n);
	unsigned line;

	(void)state;
	assert_non_null(big);
	memset(big, '#', n);
	assert_int_equal(props_of(big, n, &line), ZK_EINVAL);
	memset(big, '\\', n - 1); /* half a megabyte of escaped backslashes: a key */
	assert_int_equal(props_of(big, n - 1, &line), ZK_EOK);
	props_free(&props);
	for (size_t i = 0; i + 1 < n; i += 2)
		memcpy(big + i, "a\n", 2);
	assert_int_equal(props_of(big, n - 1, &line), ZK_EINVAL);
	assert_string_equal(why, "more than 4096 settings");
	free(big);
}

/* Random bytes and random mutations of a good file: an answer, and no sanitizer's complaint. */
static void random_files(void **state)
{
	static const char seed_text[] =
		BASE "dp.cores=0,1\ndp.tapHostAddress=127.181.0.2/24\\\n\ntree.memoryLimit=1G\n"
		     "dp.mac=02:00:00:00:00:01\n\\u0041=b\nminSessionTimeout=-1\n";
	static const char alphabet[] = "\\u0\n\r=: \t#!aA9./-\xff";
	uint64_t rng = 20260101;
	unsigned good_files = 0;

	(void)state;
	print_message("seed %llu\n", (unsigned long long)rng);
	for (unsigned i = 0; i < 20000; i++) {
		char text[sizeof(seed_text)];
		size_t n = sizeof(text) - 1;

		memcpy(text, seed_text, sizeof(text));
		for (unsigned k = 0; k <= i % 8; k++) {
			rng = rng * 6364136223846793005u + 1442695040888963407u;
			text[(rng >> 33) % n] = alphabet[(rng >> 20) % (sizeof(alphabet) - 1)];
		}
		good_files += parse(text);
	}
	assert_in_range(good_files, 1, 19999);
}

/* ---- keys ---- */

static void defaults_are_apaches(void **state)
{
	(void)state;
	assert_true(parse(BASE));
	assert_int_equal(conf.client_port, 2181);
	assert_int_equal(conf.tick_ms, 3000);
	assert_int_equal(conf.min_session_timeout_ms, 6000);
	assert_int_equal(conf.max_session_timeout_ms, 60000);
	assert_int_equal(conf.max_client_cnxns, 60);
	assert_int_equal(conf.max_cnxns, 0);
	assert_int_equal(conf.limit.outstanding, 1000);
	assert_int_equal(conf.jute_maxbuffer, 0xfffff);
	assert_int_equal(conf.sessionless_timeout_ms, 10000);
	assert_string_equal(conf.four_letter_words, "srvr");
	assert_false(conf.skip_acl);
	assert_false(conf.extended_types);
	assert_true(conf.digest_enabled);
	assert_true(conf.db_autocreate && conf.datadir_autocreate);
	assert_false(conf.snapshot_trust_empty || conf.trust_gaps);
	assert_int_equal(conf.reap_interval_ms, 60000);
	assert_int_equal(conf.reap_per_minute, 10000);
	assert_int_equal(conf.reap_never_used_ms, 0);
	assert_string_equal(conf.data_dir, "/d");
	assert_string_equal(conf.data_log_dir, "/d");
	assert_int_equal(conf.device.kind, PORT_TAP);
	assert_string_equal(conf.device.name, "zk0");
	assert_int_equal(conf.address, 0x7fb50001);
	assert_int_equal(conf.prefix, 24);
	assert_true(conf.adaptive);
	assert_int_equal(conf.hugepages, EAL_HUGE_AUTO);
	assert_int_equal(conf.leader_cpu, 0);
	assert_int_equal(conf.cores, 1);
	assert_int_equal(conf.core_cpu[0], 1);
	assert_int_equal(conf.warnings_n, 0);
	assert_int_equal(conf.mac[0] & 3, 2); /* unicast, locally administered */
}

static void apache_keys(void **state)
{
	(void)state;
	assert_true(parse(BASE "dataLogDir=/l\ntickTime=100\nminSessionTimeout=300\n"
			       "maxSessionTimeout=700\nmaxClientCnxns=0\nmaxCnxns=9\n"
			       "globalOutstandingLimit=5\njute.maxbuffer=0x100000\n"
			       "4lw.commands.whitelist=*\nskipACL=yes\n"
			       "extendedTypesEnabled=TRUE\nnio.sessionlessCnxnTimeout=77\n"
			       "DigestAuthenticationProvider.superDigest=super:abc=\n"
			       "DigestAuthenticationProvider.digestAlg=SHA-256\n"
			       "clientPortAddress=127.181.0.1\ninitLimit=5\nsyncLimit=2\n"));
	assert_string_equal(conf.data_log_dir, "/l");
	assert_int_equal(conf.tick_ms, 100);
	assert_int_equal(conf.min_session_timeout_ms, 300);
	assert_int_equal(conf.max_session_timeout_ms, 700);
	assert_int_equal(conf.max_client_cnxns, 0);
	assert_int_equal(conf.max_cnxns, 9);
	assert_int_equal(conf.limit.outstanding, 5);
	assert_int_equal(conf.jute_maxbuffer, 0x100000);
	assert_string_equal(conf.four_letter_words, "*");
	assert_true(conf.skip_acl);
	assert_true(conf.extended_types);
	assert_int_equal(conf.sessionless_timeout_ms, 77);
	assert_string_equal(conf.super_digest, "super:abc=");
	assert_true(conf.digest_sha256);
	assert_int_equal(conf.warnings_n, 0);
}

static void limits(void **state)
{
	const struct throttle_conf *t = &conf.limit.connect;

	(void)state;
	assert_true(parse(BASE));
	assert_int_equal(conf.limit.requests_max, 0);
	assert_int_equal(conf.limit.stall_ms, 100);
	assert_int_equal(conf.limit.op_wait_ms, 0);
	assert_true(conf.limit.drop_stale && conf.limit.stale_connection);
	assert_false(conf.limit.stale_latency);
	assert_int_equal(conf.limit.large_bytes, 0);
	assert_int_equal(conf.limit.large_max_bytes, 100 << 20);
	assert_int_equal(t->tokens, 0);
	assert_int_equal(t->freeze_ms, -1);
	assert_int_equal(t->drop_increase, 20000000);
	assert_int_equal(t->drop_decrease, 2000000);
	assert_int_equal(conf.jute_extra_bytes, 0xfffff);
	assert_int_equal(conf.listen_backlog, -1);
	assert_true(parse(BASE "zookeeper.globalOutstandingLimit=0\nlargeRequestThreshold=-5\n"
			       "largeRequestMaxBytes=0\nzookeeper.request_throttle_max_requests=7\n"
			       "request_throttle_drop_stale=no\nthrottled_op_wait_time=-1\n"
			       "jute.maxbuffer=8192\njute.maxbuffer.extrasize=9\n"
			       "clientPortListenBacklog=50\n"));
	assert_int_equal(conf.limit.outstanding, 0); /* one at a time per connection */
	assert_int_equal(conf.limit.large_bytes, 0);
	assert_int_equal(conf.limit.large_max_bytes, 100 << 20);
	assert_int_equal(conf.limit.requests_max, 7);
	assert_false(conf.limit.drop_stale);
	assert_int_equal(conf.limit.op_wait_ms, 0);
	assert_int_equal(conf.jute_extra_bytes, 1024);
	assert_int_equal(conf.listen_backlog, 50);
	assert_int_equal(conf.warnings_n, 0);
	/* BlueThrottle: tokens are meant for new sessions; no weight is below a local session's */
	assert_true(parse(BASE "connection_throttle_tokens=5\nconnection_throttle_fill_count=2\n"
			       "connection_throttle_weight_enabled=true\n"
			       "connection_throttle_global_session_weight=2\n"
			       "connection_throttle_local_session_weight=4\n"
			       "connection_throttle_renew_session_weight=-1\n"
			       "connection_throttle_drop_increase=.5\n"
			       "connection_throttle_drop_decrease=1\n"
			       "connection_throttle_decrease_ratio=0.125000000999\n"));
	assert_int_equal(t->tokens, 20);
	assert_int_equal(t->fill_count, 8);
	assert_int_equal(t->global_weight, 4);
	assert_int_equal(t->renew_weight, 4);
	assert_int_equal(t->drop_increase, 500000000);
	assert_int_equal(t->drop_decrease, 1000000000);
	assert_int_equal(t->decrease_ratio, 125000000);
	assert_false(parse(BASE "connection_throttle_drop_increase=1.1\n"));
	assert_false(parse(BASE "connection_throttle_drop_increase=.\n"));
	assert_false(parse(BASE "connection_throttle_fill_time=0\n"));
}

static void both_spellings_of_properties(void **state)
{
	(void)state;
	good("zookeeper.maxCnxns=4");
	assert_int_equal(conf.max_cnxns, 4);
	good("zookeeper.DigestAuthenticationProvider.superDigest=super:x");
	assert_string_equal(conf.super_digest, "super:x");
	good("maxClientCnxns=-1");
	assert_int_equal(conf.max_client_cnxns, 0);
}

static void container_keys(void **state)
{
	(void)state;
	good("znode.container.checkIntervalMs=1");
	assert_int_equal(conf.reap_interval_ms, 1);
	assert_int_equal(conf.warnings_n, 0);
	good("zookeeper.znode.container.checkIntervalMs=0x1000");
	assert_int_equal(conf.reap_interval_ms, 4096);
	good("znode.container.maxPerMinute=2147483647");
	assert_int_equal(conf.reap_per_minute, INT32_MAX);
	good("zookeeper.znode.container.maxPerMinute=7");
	assert_int_equal(conf.reap_per_minute, 7);
	good("znode.container.maxNeverUsedIntervalMs=9000000000");
	assert_true(conf.reap_never_used_ms == UINT64_C(9000000000));
	good("zookeeper.znode.container.maxNeverUsedIntervalMs=0");
	assert_true(conf.reap_never_used_ms == 0);
	assert_int_equal(conf.warnings_n, 0);
	/* a timer without a period and a division by zero are errors in Java too */
	assert_false(parse(BASE "znode.container.checkIntervalMs=0\n"));
	assert_false(parse(BASE "znode.container.checkIntervalMs=2147483648\n"));
	assert_false(parse(BASE "znode.container.maxPerMinute=0\n"));
	assert_false(parse(BASE "znode.container.maxPerMinute=many\n"));
	assert_false(parse(BASE "znode.container.maxNeverUsedIntervalMs=-1\n"));
}

static void warnings_not_errors(void **state)
{
	(void)state;
	good("nobody.knows=1");
	assert_int_equal(conf.warnings_n, 1);
	assert_string_equal(conf.warning[0], "zoo.cfg:4: nobody.knows: unknown key, ignored");
	good("leaderServes=no");
	assert_string_equal(conf.warning[0],
			    "zoo.cfg:4: leaderServes: accepted, without effect here");
	good("zookeeper.leaderServes=no");
	assert_int_equal(conf.warnings_n, 1);
}

static void snapshot_keys(void **state)
{
	(void)state;
	good("tickTime=2000");
	assert_int_equal(conf.snap_count, 100000);
	assert_true(conf.snap_size_bytes == UINT64_C(4) << 30);
	assert_true(conf.snap_pack == STORE_PLAIN && conf.snap_last_zxid);
	assert_int_equal(conf.purge_retain, 3);
	assert_int_equal(conf.purge_hours, 0);
	good("zookeeper.snapCount=7");
	assert_int_equal(conf.snap_count, 7);
	assert_int_equal(conf.warnings_n, 0);
	good("snapCount=-1");
	assert_int_equal(conf.snap_count, 2);
	bad("snapCount=x", "zoo.cfg:4: snapCount: \"x\" is not a number\n");
	good("snapSizeLimitInKb=8");
	assert_int_equal(conf.snap_size_bytes, 8192);
	good("snapSizeLimitInKb=-1");
	assert_int_equal(conf.snap_size_bytes, 0);
	good("snapshot.compression.method=GZ");
	assert_int_equal(conf.snap_pack, STORE_GZ);
	good("snapshot.compression.method=snappy");
	assert_int_equal(conf.snap_pack, STORE_SNAPPY);
	good("snapshot.compression.method=");
	assert_int_equal(conf.snap_pack, STORE_PLAIN);
	good("serializeLastProcessedZxid.enabled=false");
	assert_false(conf.snap_last_zxid);
	good("autopurge.snapRetainCount=1");
	assert_int_equal(conf.purge_retain, 3);
	good("autopurge.snapRetainCount=12");
	assert_int_equal(conf.purge_retain, 12);
	good("autopurge.purgeInterval=-1");
	assert_int_equal(conf.purge_hours, 0);
	good("autopurge.purgeInterval=24");
	assert_int_equal(conf.purge_hours, 24);
	bad("autopurge.purgeInterval=1h",
	    "zoo.cfg:4: autopurge.purgeInterval: \"1h\" is not a number\n");
}

static void bad_apache_values(void **state)
{
	(void)state;
	bad("clientPort=0", "zoo.cfg:4: clientPort: \"0\" is too small\n");
	bad("clientPort=65536", "zoo.cfg:4: clientPort: \"65536\" is too large\n");
	bad("clientPort=21x", "zoo.cfg:4: clientPort: \"21x\" is not a number\n");
	bad("tickTime=0", "zoo.cfg:4: tickTime: \"0\" is too small\n");
	bad("tickTime=", "zoo.cfg:4: tickTime: \"\" is not a number\n");
	bad("dataDir=", "zoo.cfg:4: dataDir: \"\" is empty\n");
	bad("standaloneEnabled=yes",
	    "zoo.cfg:4: standaloneEnabled: \"yes\" must be true or false\n");
	bad("initLimit=x", "zoo.cfg:4: initLimit: \"x\" is not a number\n");
	bad("minSessionTimeout=99999999",
	    "zoo.cfg:4: minSessionTimeout: minimum 99999999 ms is larger than maximum 60000 "
	    "ms\n");
	bad("maxSessionTimeout=10",
	    "zoo.cfg:4: maxSessionTimeout: minimum 6000 ms is larger than maximum 10 ms\n");
	bad("clientPortAddress=127.0.0.1",
	    "zoo.cfg:4: clientPortAddress: is not dp.address, the only one this server has\n");
	bad("DigestAuthenticationProvider.digestAlg=MD5",
	    "zoo.cfg:4: DigestAuthenticationProvider.digestAlg: \"MD5\" is not SHA1 or SHA-256, "
	    "the algorithms that are served\n");
	bad("jute.maxbuffer=99999999999",
	    "zoo.cfg:4: jute.maxbuffer: \"99999999999\" is too large\n");
}

static void not_served_yet(void **state)
{
	(void)state;
	bad("secureClientPort=2281", "zoo.cfg:4: secureClientPort: \"2281\" is not served yet\n");
	bad("enforce.auth.enabled=true",
	    "zoo.cfg:4: enforce.auth.enabled: \"true\" is not served yet: must be false\n");
	good("sslQuorum=false");
}

static void our_keys(void **state)
{
	(void)state;
	assert_true(parse(BASE "dp.device=memif:/run/zk.sock,client\ndp.gateway=127.181.0.7\n"
			       "dp.mtu=9000\ndp.cores=1,0,1\ndp.leaderCpu=1\ndp.idle=poll\n"
			       "dp.hugepages=no\ntree.memoryLimit=64M\ndp.eal=--log-level=8\n"
			       "dp.mac=02:00:00:00:00:0a\ndp.tcp.rtoMinMs=20\ndp.rxPackets=512\n"
			       "dp.txPackets=1024\ndp.maxConnections=99\nlog.file=/x\n"
			       "log.level=DEBUG\ndp.tcp.sendBuffer=64K\n"));
	assert_int_equal(conf.device.kind, PORT_MEMIF);
	assert_true(conf.device.memif_client);
	assert_int_equal(conf.gateway, 0x7fb50007);
	assert_int_equal(conf.mtu, 9000);
	assert_int_equal(conf.cores, 3);
	assert_int_equal(conf.core_cpu[0], 1);
	assert_int_equal(conf.core_cpu[1], 0);
	assert_int_equal(conf.leader_cpu, 1);
	assert_false(conf.adaptive);
	assert_int_equal(conf.hugepages, EAL_HUGE_NO);
	assert_int_equal(conf.memory_limit, 64 << 20);
	assert_string_equal(conf.eal_args, "--log-level=8");
	assert_int_equal(conf.mac[5], 10);
	assert_int_equal(conf.rto_min_ms, 20);
	assert_int_equal(conf.rx_packets, 512);
	assert_int_equal(conf.tx_packets, 1024);
	assert_int_equal(conf.max_connections, 99);
	assert_int_equal(conf.snd_buf_bytes, 65536);
	assert_string_equal(conf.log_file, "/x");
	assert_int_equal(conf.log_level, LOG_DEBUG);
}

static void bad_addresses(void **state)
{
	uint8_t prefix;
	uint32_t ip;

	(void)state;
	assert_null(value_cidr("10.0.0.1/8", &ip, &prefix));
	assert_null(value_cidr("10.0.0.1/32", &ip, &prefix));
	assert_null(value_cidr("10.0.0.0/31", &ip, &prefix));
	assert_non_null(value_cidr("10.0.0.1/33", &ip, &prefix));
	assert_non_null(value_cidr("10.0.0.1/0", &ip, &prefix));
	assert_non_null(value_cidr("10.0.0.0/24", &ip, &prefix));
	assert_non_null(value_cidr("10.0.0.255/24", &ip, &prefix));
	assert_non_null(value_cidr("224.0.0.1/24", &ip, &prefix));
	assert_non_null(value_cidr("10.0.0.1.2/24", &ip, &prefix));
	assert_non_null(value_cidr("10.0.0.256/24", &ip, &prefix));
	assert_non_null(value_cidr("10.0.0.1/", &ip, &prefix));
	assert_non_null(value_cidr("10.0.0.1/24x", &ip, &prefix));
	assert_non_null(value_ipv4("10.0.0", &ip));
	assert_non_null(value_ipv4("", &ip));
	bad("dp.address=127.181.0.1",
	    "zoo.cfg:4: dp.address: \"127.181.0.1\" is not an address with prefix length like "
	    "127.181.0.1/24\n");
	bad("dp.gateway=10.0.0.1", "zoo.cfg:4: dp.gateway: is not in the network of dp.address\n");
	bad("dp.tapHostAddress=127.181.0.1/24",
	    "zoo.cfg:4: dp.tapHostAddress: is the stack's own address: the kernel's side needs "
	    "another\n");
}

static void bad_devices(void **state)
{
	(void)state;
	good("dp.device=af_packet:veth1");
	assert_false(parse(BASE "dp.device=eth0\n"));
	assert_memory_equal(errors, "zoo.cfg:4: dp.device: \"eth0\" ", 29);
	assert_int_equal(strchr(errors, '\n')[1], 0); /* one line */
	assert_false(parse(BASE "dp.device=memif:/s\ndp.tapBridge=br0\n"));
	assert_string_equal(errors, "zoo.cfg:5: dp.tapBridge: is for tap: devices only\n");
	bad("dp.tapBridge=a-name-longer-than-15",
	    "zoo.cfg:4: dp.tapBridge: \"a-name-longer-than-15\" is too long\n");
	bad("dp.mtu=500", "zoo.cfg:4: dp.mtu: \"500\" is too small\n");
}

static void bad_choices(void **state)
{
	(void)state;
	bad("dp.idle=sleep", "zoo.cfg:4: dp.idle: \"sleep\" must be poll or adaptive\n");
	bad("dp.hugepages=4M", "zoo.cfg:4: dp.hugepages: \"4M\" must be auto, 2M, 1G or no\n");
	bad("log.level=loud",
	    "zoo.cfg:4: log.level: \"loud\" must be error, warn, info or debug\n");
	bad("tree.memoryLimit=8X",
	    "zoo.cfg:4: tree.memoryLimit: \"8X\" is not a size like 8G (K, M, G or T)\n");
	bad("tree.memoryLimit=1M", "zoo.cfg:4: tree.memoryLimit: \"1M\" is less than 16M\n");
	bad("dp.coreMemory=1M", "zoo.cfg:4: dp.coreMemory: \"1M\" is less than 64M\n");
	bad("tree.memoryLimit=99999999999999T",
	    "zoo.cfg:4: tree.memoryLimit: \"99999999999999T\" is too large\n");
	bad("dp.mac=01:00:00:00:00:00",
	    "zoo.cfg:4: dp.mac: \"01:00:00:00:00:00\" is not a unicast MAC address\n");
	bad("dp.mac=2:0:0:0:0:0",
	    "zoo.cfg:4: dp.mac: \"2:0:0:0:0:0\" is not a MAC address like 02:00:00:00:00:01\n");
}

static void cpus(void **state)
{
	(void)state;
	bad("dp.cores=0,7", "zoo.cfg:4: dp.cores: CPU 7 is not there for this process (0-1)\n");
	bad("dp.leaderCpu=2", "zoo.cfg:4: dp.leaderCpu: CPU 2 is not there for this process "
			      "(0-1)\n");
	bad("dp.cores=0;1",
	    "zoo.cfg:4: dp.cores: \"0;1\" is not a list of CPU numbers like 1,2,3\n");
	bad("dp.cores=0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0",
	    "zoo.cfg:4: dp.cores: \"0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0\" names more than 16 "
	    "client cores\n");
	good("dp.cores=0, 1 ,0");
	assert_int_equal(conf.cores, 3);
	/* everything on the one CPU there is */
	assert_true(parse_on(&one, BASE "dp.cores=auto\n"));
	assert_int_equal(conf.leader_cpu, 3);
	assert_int_equal(conf.cores, 1);
	assert_int_equal(conf.core_cpu[0], 3);
	assert_true(parse_on(&many, BASE "dp.leaderCpu=2\n"));
	assert_int_equal(conf.cores, 5);
	assert_int_equal(conf.core_cpu[2], 3);
	assert_int_equal(conf.core_cpu[4], 9);
	assert_false(parse_on(&many, BASE "dp.cores=5\n"));
	assert_string_equal(errors,
			    "zoo.cfg:4: dp.cores: CPU 5 is not there for this process (0-3,8-9)\n");
}

static void missing_keys(void **state)
{
	(void)state;
	assert_false(parse("# nothing\n"));
	assert_string_equal(errors, "zoo.cfg: dataDir: is missing\n"
				    "zoo.cfg: dp.address: is missing\n"
				    "zoo.cfg: clientPort: is missing\n");
}

static void every_bad_line_is_named(void **state)
{
	(void)state;
	assert_false(parse(BASE "tickTime=x\n\ndp.idle=y\nserver.2=z\n"));
	assert_non_null(strstr(errors, "zoo.cfg:4: tickTime: "));
	assert_non_null(strstr(errors, "zoo.cfg:6: dp.idle: "));
	assert_non_null(strstr(errors, "zoo.cfg:7: server.2: "));
	assert_false(parse("a=\\uq\n"));
	assert_string_equal(errors, "zoo.cfg:1: malformed \\uXXXX escape\n");
}

static void mac_is_stable_per_address(void **state)
{
	uint8_t first[6];

	(void)state;
	good("");
	memcpy(first, conf.mac, 6);
	good("");
	assert_memory_equal(first, conf.mac, 6);
	good("dp.device=tap:zk1");
	assert_memory_not_equal(first, conf.mac, 6);
	good("dp.address=127.181.0.2/24");
	assert_memory_not_equal(first, conf.mac, 6);
}

/* What --check prints is a configuration that means the same. */
static void printing_round_trips(void **state)
{
	static struct config before;
	char text[4096];
	FILE *f;

	(void)state;
	assert_true(parse("dataDir=C:\\\\d\nclientPort=1\ndp.address=10.1.2.3/16\n"
			  "dp.gateway=10.1.0.1\ndp.cores=1,0,1\ndp.idle=poll\n"
			  "tree.memoryLimit=1G\ntickTime=50\nmaxCnxns=3\n"
			  "connection_throttle_tokens=5\nconnection_throttle_weight_enabled=true\n"
			  "connection_throttle_drop_increase=0.25\n"
			  "request_throttle_drop_stale=false\n"
			  "largeRequestThreshold=9\nclientPortListenBacklog=7\n"));
	assert_string_equal(conf.data_dir, "C:\\d");
	before = conf;
	f = fmemopen(text, sizeof(text), "w");
	assert_non_null(f);
	config_print(&conf, f);
	fclose(f);
	if (!parse(text))
		fail_msg("%s", errors);
	assert_memory_equal(&before, &conf, sizeof(conf));
}

static void a_missing_file_is_one_line(void **state)
{
	FILE *f = fmemopen(errors, sizeof(errors), "w");

	(void)state;
	assert_non_null(f);
	assert_false(config_load("/nonexistent/zoo.cfg", &two, &conf, f));
	fclose(f);
	assert_string_equal(errors,
			    "/nonexistent/zoo.cfg: cannot open: No such file or directory\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(separators),
		cmocka_unit_test(comments),
		cmocka_unit_test(continuation),
		cmocka_unit_test(escapes),
		cmocka_unit_test(last_wins),
		cmocka_unit_test(syntax_limits),
		cmocka_unit_test(random_files),
		cmocka_unit_test(defaults_are_apaches),
		cmocka_unit_test(apache_keys),
		cmocka_unit_test(limits),
		cmocka_unit_test(both_spellings_of_properties),
		cmocka_unit_test(container_keys),
		cmocka_unit_test(warnings_not_errors),
		cmocka_unit_test(snapshot_keys),
		cmocka_unit_test(bad_apache_values),
		cmocka_unit_test(not_served_yet),
		cmocka_unit_test(our_keys),
		cmocka_unit_test(bad_addresses),
		cmocka_unit_test(bad_devices),
		cmocka_unit_test(bad_choices),
		cmocka_unit_test(cpus),
		cmocka_unit_test(missing_keys),
		cmocka_unit_test(every_bad_line_is_named),
		cmocka_unit_test(mac_is_stable_per_address),
		cmocka_unit_test(printing_round_trips),
		cmocka_unit_test(a_missing_file_is_one_line),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
