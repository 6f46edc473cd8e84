/* SPDX-License-Identifier: Apache-2.0 */
/* The keys: Apache's (spec/disk-format.md section 9) and ours (DESIGN section 6). */
#include "core/base/assert.h"
#include "ctl/server/config_int.h"
#include "ctl/server/value.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

struct key {
	const char *name;
	/** @return NULL or what is wrong. */
	const char *(*set)(struct config_ctx *x, const struct key *k, const char *value);
	size_t offset, size;
	int64_t min, max;
};

#define FIELD(x, k) ((void *)((char *)(x)->c + (k)->offset))

static const char *set_u32(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;
	const char *why = value_int(value, k->min, k->max, &v);

	if (!why)
		*(uint32_t *)FIELD(x, k) = (uint32_t)v;
	return why;
}

/* Long.getLong() */
static const char *set_java_u64(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;
	const char *why = value_java_int(value, k->min, k->max, &v);

	if (!why)
		*(uint64_t *)FIELD(x, k) = (uint64_t)v;
	return why;
}

/* Long.getLong() of a size in KiB, kept in bytes; what is not above zero turns it off. */
static const char *set_java_kib(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;
	const char *why = value_java_int(value, k->min, k->max, &v);

	if (!why)
		*(uint64_t *)FIELD(x, k) = v > 0 ? (uint64_t)v << 10 : 0;
	return why;
}

/* FileTxnLog.forceSync: anything but "no" is yes. */
static const char *set_force_sync(struct config_ctx *x, const struct key *k, const char *value)
{
	(void)k;
	x->c->force_sync = strcmp(value, "no") != 0;
	return NULL;
}

/* Integer.getInteger() */
static const char *set_java_u32(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;
	const char *why = value_java_int(value, k->min, k->max, &v);

	if (!why)
		*(uint32_t *)FIELD(x, k) = (uint32_t)v;
	return why;
}

/* Integer.getInteger() */
static const char *set_java_i32(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;
	const char *why = value_java_int(value, k->min, k->max, &v);

	if (!why)
		*(int32_t *)FIELD(x, k) = (int32_t)v;
	return why;
}

/* Integer.getInteger(), where Apache takes every number <= 0 for "off". */
static const char *set_java_limit(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;
	const char *why = value_java_int(value, INT32_MIN, INT32_MAX, &v);

	if (!why)
		*(uint32_t *)FIELD(x, k) = v > 0 ? (uint32_t)v : 0;
	return why;
}

/* Integer.getInteger(), where Apache keeps its default for every number <= 0. */
static const char *set_java_positive(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;
	const char *why = value_java_int(value, INT32_MIN, k->max, &v);

	if (!why && v > 0)
		*(uint32_t *)FIELD(x, k) = (uint32_t)v;
	return why;
}

/* Double.parseDouble() of a share. */
static const char *set_share(struct config_ctx *x, const struct key *k, const char *value)
{
	return value_share(value, FIELD(x, k));
}

/* BinaryInputArchive: at least 1024. */
static const char *set_extra_bytes(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;
	const char *why = value_java_int(value, INT32_MIN, k->max, &v);

	if (!why)
		x->c->jute_extra_bytes = v < 1024 ? 1024 : (uint32_t)v;
	return why;
}

/* A limit where Apache takes every number <= 0 for "off". */
static const char *set_limit(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;
	const char *why = value_int(value, INT32_MIN, INT32_MAX, &v);

	if (!why)
		*(uint32_t *)FIELD(x, k) = v > 0 ? (uint32_t)v : 0;
	return why;
}

static const char *set_u16(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;
	const char *why = value_int(value, k->min, k->max, &v);

	if (!why)
		*(uint16_t *)FIELD(x, k) = (uint16_t)v;
	return why;
}

static const char *set_string(struct config_ctx *x, const struct key *k, const char *value)
{
	size_t n = strlen(value);

	if (n >= k->size)
		return "is too long";
	if (n == 0 && k->min > 0)
		return "is empty";
	memcpy(FIELD(x, k), value, n + 1);
	return NULL;
}

/* Boolean.getBoolean(): anything but true is false. */
static const char *set_java_bool(struct config_ctx *x, const struct key *k, const char *value)
{
	*(bool *)FIELD(x, k) = strcasecmp(value, "true") == 0;
	return NULL;
}

/* System.getProperty(..).equals("yes") */
static const char *set_yes(struct config_ctx *x, const struct key *k, const char *value)
{
	*(bool *)FIELD(x, k) = strcmp(value, "yes") == 0;
	return NULL;
}

static const char *set_maxbuffer(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;
	const char *why = value_java_int(value, k->min, k->max, &v);

	if (!why)
		x->c->jute_maxbuffer = (uint32_t)v;
	return why;
}

static const char *set_ipv4(struct config_ctx *x, const struct key *k, const char *value)
{
	return value_ipv4(value, FIELD(x, k));
}

static const char *set_min_session(struct config_ctx *x, const struct key *k, const char *value)
{
	return value_int(value, k->min, k->max, &x->min_session);
}

static const char *set_max_session(struct config_ctx *x, const struct key *k, const char *value)
{
	return value_int(value, k->min, k->max, &x->max_session);
}

static const char *set_digest_alg(struct config_ctx *x, const struct key *k, const char *value)
{
	(void)k;
	if (strcasecmp(value, "SHA1") == 0 || strcasecmp(value, "SHA-1") == 0)
		x->c->digest_sha256 = false;
	else if (strcasecmp(value, "SHA-256") == 0)
		x->c->digest_sha256 = true;
	else
		return "is not SHA1 or SHA-256, the algorithms that are served";
	return NULL;
}

/* SyncRequestProcessor.getSnapCount() */
static const char *set_snap_count(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;
	const char *why = value_java_int(value, INT32_MIN, INT32_MAX, &v);

	(void)k;
	if (!why)
		x->c->snap_count = v < 2 ? 2 : (uint32_t)v;
	return why;
}

/* ZooKeeperServer.getSnapSizeInBytes() */
static const char *set_snap_size(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;
	const char *why = value_java_int(value, INT64_MIN, INT64_MAX >> 10, &v);

	(void)k;
	if (!why)
		x->c->snap_size_bytes = v > 0 ? (uint64_t)v << 10 : 0;
	return why;
}

/* SnapStream.StreamMode.fromString(): every other word means none. */
static const char *set_snap_pack(struct config_ctx *x, const struct key *k, const char *value)
{
	(void)k;
	x->c->snap_pack = strcasecmp(value, "gz") == 0       ? STORE_GZ
			  : strcasecmp(value, "snappy") == 0 ? STORE_SNAPPY
							     : STORE_PLAIN;
	return NULL;
}

/* DatadirCleanupManager: fewer than three are not kept. */
static const char *set_retain(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;
	const char *why = value_int(value, INT32_MIN, INT32_MAX, &v);

	(void)k;
	if (!why)
		x->c->purge_retain = v < 3 ? 3 : (uint32_t)v;
	return why;
}

static const char *set_device(struct config_ctx *x, const struct key *k, const char *value)
{
	static char why[PORT_ERR_TEXT_MAX]; /* main thread; read before the next key */

	if (port_spec_parse(value, &x->c->device, why) != ZK_EOK)
		return why;
	return set_string(x, k, value);
}

static const char *set_address(struct config_ctx *x, const struct key *k, const char *value)
{
	(void)k;
	return value_cidr(value, &x->c->address, &x->c->prefix);
}

static const char *set_tap_host(struct config_ctx *x, const struct key *k, const char *value)
{
	(void)k;
	return value_cidr(value, &x->c->tap_host_ip, &x->c->tap_host_prefix);
}

static const char *set_mac(struct config_ctx *x, const struct key *k, const char *value)
{
	const char *why = value_mac(value, x->c->mac);

	(void)k;
	x->has_mac = !why;
	return why;
}

static const char *set_cores(struct config_ctx *x, const struct key *k, const char *value)
{
	uint16_t cpu[VALUE_CPUS_MAX];
	const char *why;
	unsigned n;

	(void)k;
	x->cores_auto = strcasecmp(value, "auto") == 0;
	if (x->cores_auto)
		return NULL;
	why = value_cpus(value, cpu, &n);
	if (why)
		return why;
	if (n > CONFIG_CORES_MAX)
		return "names more than 16 client cores";
	memcpy(x->c->core_cpu, cpu, n * sizeof(cpu[0]));
	x->c->cores = n;
	return NULL;
}

static const char *set_leader_cpu(struct config_ctx *x, const struct key *k, const char *value)
{
	x->leader_auto = strcasecmp(value, "auto") == 0;
	return x->leader_auto ? NULL : set_u16(x, k, value);
}

static const char *set_idle(struct config_ctx *x, const struct key *k, const char *value)
{
	(void)k;
	if (strcmp(value, "poll") != 0 && strcmp(value, "adaptive") != 0)
		return "must be poll or adaptive";
	x->c->adaptive = value[0] == 'a';
	return NULL;
}

static const char *set_hugepages(struct config_ctx *x, const struct key *k, const char *value)
{
	static const struct {
		const char *text;
		enum eal_hugepages v;
	} map[] = {
		{"auto", EAL_HUGE_AUTO},
		{"2M", EAL_HUGE_2M},
		{"1G", EAL_HUGE_1G},
		{"no", EAL_HUGE_NO},
	};

	(void)k;
	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++) {
		if (strcasecmp(value, map[i].text) == 0) {
			x->c->hugepages = map[i].v;
			return NULL;
		}
	}
	return "must be auto, 2M, 1G or no";
}

static const char *set_core_memory(struct config_ctx *x, const struct key *k, const char *value)
{
	uint64_t v;
	const char *why = value_size(value, &v);

	if (why)
		return why;
	if (v < (uint64_t)k->min)
		return "is less than 64M";
	x->c->core_memory = v;
	return NULL;
}

static const char *set_memory_limit(struct config_ctx *x, const struct key *k, const char *value)
{
	uint64_t v;
	const char *why = value_size(value, &v);

	if (why)
		return why;
	if (v < (uint64_t)k->min)
		return "is less than 16M";
	x->c->memory_limit = v;
	x->has_memory_limit = true;
	return NULL;
}

static const char *set_buffer(struct config_ctx *x, const struct key *k, const char *value)
{
	uint64_t v;
	const char *why = value_size(value, &v);

	if (why)
		return why;
	if (v < (uint64_t)k->min)
		return "is too small";
	if (v > (uint64_t)k->max)
		return "is too large";
	*(uint32_t *)FIELD(x, k) = (uint32_t)v;
	return NULL;
}

static const char *set_log_level(struct config_ctx *x, const struct key *k, const char *value)
{
	(void)k;
	return log_level_parse(value, &x->c->log_level) == ZK_EOK
		       ? NULL
		       : "must be error, warn, info or debug";
}

/* Accepted, without effect here; the type is checked as Apache checks it. */
static const char *skip_any(struct config_ctx *x, const struct key *k, const char *value)
{
	(void)x;
	(void)k;
	(void)value;
	return NULL;
}

static const char *skip_int(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;

	(void)x;
	(void)k;
	return value_int(value, INT32_MIN, INT32_MAX, &v);
}

static const char *skip_bool(struct config_ctx *x, const struct key *k, const char *value)
{
	bool v;

	(void)x;
	(void)k;
	return value_bool(value, &v);
}

/* Protection that an operator asks for and would not get: better no server. */
static const char *refuse_any(struct config_ctx *x, const struct key *k, const char *value)
{
	(void)x;
	(void)k;
	(void)value;
	return "is not served yet";
}

static const char *refuse_true(struct config_ctx *x, const struct key *k, const char *value)
{
	(void)x;
	(void)k;
	return strcasecmp(value, "true") == 0 ? "is not served yet: must be false" : NULL;
}

#define AT(field) offsetof(struct config, field), sizeof(((struct config *)0)->field)
#define KEY(name, set)                                                                             \
	{                                                                                          \
		name, set, 0, 0, 0, 0                                                              \
	}
#define KEYF(name, set, f)                                                                         \
	{                                                                                          \
		name, set, AT(f), 0, 0                                                             \
	}
#define KEYN(name, set, f, min, max)                                                               \
	{                                                                                          \
		name, set, AT(f), min, max                                                         \
	}

/* Keys that QuorumPeerConfig parses itself. */
static const struct key parsed_keys[] = {
	KEYN("clientPort", set_u16, client_port, 1, 65535),
	KEYF("clientPortAddress", set_ipv4, client_port_address),
	KEYN("dataDir", set_string, data_dir, 1, 0),
	KEYN("dataLogDir", set_string, data_log_dir, 1, 0),
	KEYN("tickTime", set_u32, tick_ms, 1, 3600000),
	{"minSessionTimeout", set_min_session, 0, 0, -1, INT32_MAX},
	{"maxSessionTimeout", set_max_session, 0, 0, -1, INT32_MAX},
	KEYF("maxClientCnxns", set_limit, max_client_cnxns),
	KEYN("clientPortListenBacklog", set_java_i32, listen_backlog, INT32_MIN, INT32_MAX),
	KEY("secureClientPort", refuse_any),
	KEY("secureClientPortAddress", refuse_any),
	KEY("initLimit", skip_int),
	KEY("syncLimit", skip_int),
	KEY("connectToLearnerMasterLimit", skip_int),
	KEY("localSessionsEnabled", skip_bool),
	KEY("localSessionsUpgradingEnabled", skip_bool),
	KEY("electionAlg", skip_int),
	KEY("peerType", skip_any),
	KEY("quorumListenOnAllIPs", skip_bool),
	KEY("standaloneEnabled", skip_bool),
	KEY("reconfigEnabled", skip_bool),
	KEY("observerMasterPort", skip_int),
	KEY("syncEnabled", skip_bool),
	KEY("autopurge.snapRetainCount", set_retain),
	KEYF("autopurge.purgeInterval", set_limit, purge_hours),
	KEY("sslQuorum", refuse_true),
	KEY("portUnification", skip_bool),
	KEY("sslQuorumReloadCertFiles", skip_bool),
	KEY("quorum.auth.enableSasl", refuse_true),
	KEY("quorum.auth.serverRequireSasl", refuse_true),
	KEY("quorum.auth.learnerRequireSasl", refuse_true),
	KEY("quorum.auth.learner.saslLoginContext", skip_any),
	KEY("quorum.auth.server.saslLoginContext", skip_any),
	KEY("quorum.auth.kerberos.servicePrincipal", skip_any),
	KEY("quorum.cnxn.threads.size", skip_int),
	KEY("multiAddress.enabled", skip_bool),
	KEY("multiAddress.reachabilityCheckEnabled", skip_bool),
	KEY("multiAddress.reachabilityCheckTimeoutMs", skip_int),
	KEY("oraclePath", skip_any),
	KEY("metricsProvider.className", skip_any),
	KEY("metricsProvider.httpPort", skip_any),
	KEY("metricsProvider.httpHost", skip_any),
	KEY("metricsProvider.exportJvmInfo", skip_any),
	KEY("jvm.pause.monitor", skip_bool),
	KEY("jvm.pause.info-threshold.ms", skip_int),
	KEY("jvm.pause.warn-threshold.ms", skip_int),
	KEY("jvm.pause.sleep.time.ms", skip_int),

	/* ours */
	KEYN("dp.device", set_device, device_text, 1, 0),
	KEY("dp.peerDevice", skip_any),
	KEY("dp.address", set_address),
	KEYF("dp.gateway", set_ipv4, gateway),
	KEYN("dp.mtu", set_u16, mtu, 576, 65000),
	KEY("dp.tapHostAddress", set_tap_host),
	KEYN("dp.tapBridge", set_string, tap_bridge, 1, 0),
	KEY("dp.mac", set_mac),
	KEY("dp.cores", set_cores),
	KEYN("dp.leaderCpu", set_leader_cpu, leader_cpu, 0, 65535),
	KEY("dp.idle", set_idle),
	KEY("dp.hugepages", set_hugepages),
	KEYF("dp.eal", set_string, eal_args),
	KEYN("dp.rxPackets", set_u32, rx_packets, 256, 1 << 20),
	KEYN("dp.txPackets", set_u32, tx_packets, 256, 1 << 20),
	KEYN("dp.maxConnections", set_u32, max_connections, 1, 1 << 20),
	KEYN("dp.tcp.rtoMinMs", set_u32, rto_min_ms, 1, 60000),
	KEYN("dp.tcp.timeWaitMs", set_u32, time_wait_ms, 1, 240000),
	KEYN("dp.tcp.giveUpMs", set_u32, give_up_ms, 1000, 3600000),
	KEYN("dp.tcp.keepaliveMs", set_u32, keepalive_ms, 0, 86400000),
	KEYN("dp.tcp.sendBuffer", set_buffer, snd_buf_bytes, 4096, 64 << 20),
	KEYN("dp.tcp.receiveBuffer", set_buffer, rcv_buf_bytes, 4096, 64 << 20),
	{"dp.coreMemory", set_core_memory, 0, 0, 64 << 20, 0},
	{"tree.memoryLimit", set_memory_limit, 0, 0, 16 << 20, 0},
	KEYF("recovery.trustGaps", set_java_bool, trust_gaps),
	KEYF("log.file", set_string, log_file),
	KEY("log.level", set_log_level),
};

/* Keys that Apache turns into system properties `zookeeper.KEY`; both spellings are taken. */
static const struct key property_keys[] = {
	KEYN("jute.maxbuffer", set_maxbuffer, jute_maxbuffer, 1024, 256 << 20),
	KEYN("jute.maxbuffer.extrasize", set_extra_bytes, jute_extra_bytes, 0, INT32_MAX),
	KEYF("maxCnxns", set_java_limit, max_cnxns),
	KEYN("globalOutstandingLimit", set_java_i32, limit.outstanding, INT32_MIN, INT32_MAX),
	KEYF("request_throttle_max_requests", set_java_limit, limit.requests_max),
	KEYF("request_throttle_stall_time", set_java_limit, limit.stall_ms),
	KEYF("request_throttle_drop_stale", set_java_bool, limit.drop_stale),
	KEYF("request_stale_connection_check", set_java_bool, limit.stale_connection),
	KEYF("request_stale_latency_check", set_java_bool, limit.stale_latency),
	KEYF("throttled_op_wait_time", set_java_limit, limit.op_wait_ms),
	KEYF("largeRequestThreshold", set_java_limit, limit.large_bytes),
	KEYN("largeRequestMaxBytes", set_java_positive, limit.large_max_bytes, 1, INT32_MAX),
	KEYN("connection_throttle_tokens", set_java_u32, limit.connect.tokens, 0, 100000000),
	KEYN("connection_throttle_fill_time", set_java_u32, limit.connect.fill_ms, 1, INT32_MAX),
	KEYN("connection_throttle_fill_count", set_java_u32, limit.connect.fill_count, 1, 1000000),
	KEYN("connection_throttle_freeze_time", set_java_i32, limit.connect.freeze_ms, -1,
	     INT32_MAX),
	KEYF("connection_throttle_drop_increase", set_share, limit.connect.drop_increase),
	KEYF("connection_throttle_drop_decrease", set_share, limit.connect.drop_decrease),
	KEYF("connection_throttle_decrease_ratio", set_share, limit.connect.decrease_ratio),
	KEYF("connection_throttle_weight_enabled", set_java_bool, limit.connect.weighed),
	KEYN("connection_throttle_global_session_weight", set_java_positive,
	     limit.connect.global_weight, 1, 1000),
	KEYN("connection_throttle_local_session_weight", set_java_positive, local_weight, 1, 1000),
	KEYN("connection_throttle_renew_session_weight", set_java_positive,
	     limit.connect.renew_weight, 1, 1000),
	KEYF("4lw.commands.whitelist", set_string, four_letter_words),
	KEYF("skipACL", set_yes, skip_acl),
	KEYF("DigestAuthenticationProvider.superDigest", set_string, super_digest),
	KEY("DigestAuthenticationProvider.digestAlg", set_digest_alg),
	KEYF("extendedTypesEnabled", set_java_bool, extended_types),
	KEYF("snapshot.trust.empty", set_java_bool, snapshot_trust_empty),
	KEYF("datadir.autocreate", set_java_bool, datadir_autocreate),
	KEYF("db.autocreate", set_java_bool, db_autocreate),
	KEYF("digest.enabled", set_java_bool, digest_enabled),
	KEYF("enforceQuota", set_java_bool, enforce_quota),
	KEYN("preAllocSize", set_java_kib, prealloc_bytes, INT32_MIN, INT32_MAX),
	KEYN("txnLogSizeLimitInKb", set_java_kib, log_size_limit, INT32_MIN, INT32_MAX),
	KEY("forceSync", set_force_sync),
	KEYN("fsync.warningthresholdms", set_java_u32, fsync_warning_ms, 0, INT32_MAX),
	KEY("snapCount", set_snap_count),
	KEY("snapSizeLimitInKb", set_snap_size),
	KEY("snapshot.compression.method", set_snap_pack),
	KEYF("serializeLastProcessedZxid.enabled", set_java_bool, snap_last_zxid),
	KEYN("nio.sessionlessCnxnTimeout", set_u32, sessionless_timeout_ms, 1, INT32_MAX),
	KEYN("znode.container.checkIntervalMs", set_java_u32, reap_interval_ms, 1, INT32_MAX),
	KEYN("znode.container.maxPerMinute", set_java_u32, reap_per_minute, 1, INT32_MAX),
	KEYN("znode.container.maxNeverUsedIntervalMs", set_java_u64, reap_never_used_ms, 0,
	     INT64_MAX),
	KEY("sessionRequireClientSASLAuth", refuse_true),
	KEY("enforce.auth.enabled", refuse_true),
};

/* Accepted, without effect here so far. */
static const char *const other_properties[] = {
	"commitLogCount",
	"snapshotSizeFactor",
	"flushDelay",
	"maxWriteQueuePollTime",
	"maxBatchSize",
	"leaderServes",
	"enableEagerACLCheck",
	"emulate353TTLNodes",
	"closeSessionTxn.enabled",
	"admin.enableServer",
	"admin.serverAddress",
	"admin.serverPort",
	"admin.commandURL",
	"admin.idleTimeout",
	"admin.snapshot.enabled",
	"admin.restore.enabled",
	"admin.rateLimiterIntervalInMS",
	"maxResponseCacheSize",
	"maxGetChildrenResponseCacheSize",
	"nio.numSelectorThreads",
	"nio.numWorkerThreads",
	"nio.directBufferBytes",
	"commitProcessor.numWorkerThreads",
	"commitProcessor.maxReadBatchSize",
	"commitProcessor.maxCommitBatchSize",
	"cnxTimeout",
	"quorumCnxnTimeoutMs",
	"electionPortBindRetry",
	"fastleader.minNotificationInterval",
	"fastleader.maxNotificationInterval",
	"leader.maxTimeToWaitForEpoch",
	"leaderConnectDelayDuringRetryMs",
	"leader.maxConcurrentSnapSyncs",
	"leader.maxConcurrentDiffSyncs",
	"forceSnapshotSync",
	"observer.reconnectDelayMs",
	"observer.election.DelayMs",
	"observerMaster.sizeLimit",
	"learner.asyncSending",
	"learner.closeSocketAsync",
	"leader.closeSocketAsync",
	"tcpKeepAlive",
	"clientTcpKeepAlive",
	"watchManagerName",
	"DigestAuthenticationProvider.enabled",
	"X509AuthenticationProvider.superUser",
	"superUser",
	"enforce.auth.schemes",
	"allowSaslFailedClients",
	"ensembleAuthName",
	"audit.enable",
	"readonlymode.enabled",
	"leader.nodelay",
	"follower.nodelay",
	"request_throttler.shutdownTimeout",
	"serverCnxnFactory",
};

static bool has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static const struct key *find(const struct key *v, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(v[i].name, name) == 0)
			return &v[i];
	return NULL;
}

static bool is_other(const char *name)
{
	for (size_t i = 0; i < sizeof(other_properties) / sizeof(other_properties[0]); i++)
		if (strcmp(other_properties[i], name) == 0)
			return true;
	return has_prefix(name, "authProvider.");
}

static bool is_ensemble(const char *name)
{
	return has_prefix(name, "server.") || has_prefix(name, "group.") ||
	       has_prefix(name, "weight.") || strcmp(name, "dynamicConfigFile") == 0;
}

void config_key(struct config_ctx *x, const struct prop *p)
{
	const size_t n_parsed = sizeof(parsed_keys) / sizeof(parsed_keys[0]);
	const size_t n_property = sizeof(property_keys) / sizeof(property_keys[0]);
	const char *name = p->key;
	const struct key *k = find(parsed_keys, n_parsed, name);
	const char *why;

	if (is_ensemble(name)) {
		config_bad(x, p, name, "ensembles are not served yet, only one server");
		return;
	}
	if (!k) {
		if (has_prefix(name, "zookeeper."))
			name += strlen("zookeeper.");
		k = find(property_keys, n_property, name);
	}
	if (k) {
		why = k->set(x, k, p->value);
		if (why)
			config_bad(x, p, p->key, "\"%s\" %s", p->value, why);
		return;
	}
	if (is_other(name))
		config_warn(x, p, "%s: accepted, without effect here", p->key);
	else
		config_warn(x, p, "%s: unknown key, ignored", p->key);
}
