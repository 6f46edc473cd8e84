/* SPDX-License-Identifier: Apache-2.0 */
/* The keys: Apache's (spec/disk-format.md section 9) and ours (DESIGN section 6). */
#include "core/base/assert.h"
#include "ctl/server/key.h"
#include "ctl/server/value.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* FileTxnLog.forceSync: anything but "no" is yes. */
static const char *set_force_sync(struct config_ctx *x, const struct key *k, const char *value)
{
	(void)k;
	x->c->force_sync = strcmp(value, "no") != 0;
	return NULL;
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

static const char *set_maxbuffer(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;
	const char *why = value_java_int(value, k->min, k->max, &v);

	if (!why)
		x->c->jute_maxbuffer = (uint32_t)v;
	return why;
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
	return key_string(x, k, value);
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
	return x->leader_auto ? NULL : key_u16(x, k, value);
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

static const char *set_log_level(struct config_ctx *x, const struct key *k, const char *value)
{
	(void)k;
	return log_level_parse(value, &x->c->log_level) == ZK_EOK
		       ? NULL
		       : "must be error, warn, info or debug";
}

/* Keys that QuorumPeerConfig parses itself. */
static const struct key parsed_keys[] = {
	KEYN("clientPort", key_u16, client_port, 1, 65535),
	KEYF("clientPortAddress", key_ipv4, client_port_address),
	KEYN("dataDir", key_string, data_dir, 1, 0),
	KEYN("dataLogDir", key_string, data_log_dir, 1, 0),
	KEYN("tickTime", key_u32, tick_ms, 1, 3600000),
	{"minSessionTimeout", set_min_session, 0, 0, -1, INT32_MAX},
	{"maxSessionTimeout", set_max_session, 0, 0, -1, INT32_MAX},
	KEYF("maxClientCnxns", key_limit, max_client_cnxns),
	KEYN("clientPortListenBacklog", key_java_i32, listen_backlog, INT32_MIN, INT32_MAX),
	KEY("secureClientPort", key_refuse_any),
	KEY("secureClientPortAddress", key_refuse_any),
	KEYF("localSessionsEnabled", key_bool, local_sessions),
	KEY("localSessionsUpgradingEnabled", key_skip_bool),
	KEY("reconfigEnabled", key_skip_bool),
	KEY("observerMasterPort", key_skip_int),
	KEY("syncEnabled", key_skip_bool),
	KEY("autopurge.snapRetainCount", set_retain),
	KEYF("autopurge.purgeInterval", key_limit, purge_hours),
	KEY("sslQuorum", key_refuse_true),
	KEY("portUnification", key_skip_bool),
	KEY("sslQuorumReloadCertFiles", key_skip_bool),
	KEY("quorum.auth.enableSasl", key_refuse_true),
	KEY("quorum.auth.serverRequireSasl", key_refuse_true),
	KEY("quorum.auth.learnerRequireSasl", key_refuse_true),
	KEY("quorum.auth.learner.saslLoginContext", key_skip_any),
	KEY("quorum.auth.server.saslLoginContext", key_skip_any),
	KEY("quorum.auth.kerberos.servicePrincipal", key_skip_any),
	KEY("quorum.cnxn.threads.size", key_skip_int),
	KEY("multiAddress.reachabilityCheckEnabled", key_skip_bool),
	KEY("multiAddress.reachabilityCheckTimeoutMs", key_skip_int),
	KEY("oraclePath", key_skip_any),
	KEY("metricsProvider.className", key_skip_any),
	KEY("metricsProvider.httpPort", key_skip_any),
	KEY("metricsProvider.httpHost", key_skip_any),
	KEY("metricsProvider.exportJvmInfo", key_skip_any),
	KEY("jvm.pause.monitor", key_skip_bool),
	KEY("jvm.pause.info-threshold.ms", key_skip_int),
	KEY("jvm.pause.warn-threshold.ms", key_skip_int),
	KEY("jvm.pause.sleep.time.ms", key_skip_int),

	/* ours */
	KEYN("dp.device", set_device, device_text, 1, 0),
	KEY("dp.address", set_address),
	KEYF("dp.gateway", key_ipv4, gateway),
	KEYN("dp.mtu", key_u16, mtu, 576, 65000),
	KEY("dp.tapHostAddress", set_tap_host),
	KEYN("dp.tapBridge", key_string, tap_bridge, 1, 0),
	KEY("dp.mac", set_mac),
	KEY("dp.cores", set_cores),
	KEYN("dp.leaderCpu", set_leader_cpu, leader_cpu, 0, 65535),
	KEY("dp.idle", set_idle),
	KEY("dp.hugepages", set_hugepages),
	KEYF("dp.eal", key_string, eal_args),
	KEYN("dp.rxPackets", key_u32, rx_packets, 256, 1 << 20),
	KEYN("dp.txPackets", key_u32, tx_packets, 256, 1 << 20),
	KEYN("dp.maxConnections", key_u32, max_connections, 1, 1 << 20),
	KEYN("dp.tcp.rtoMinMs", key_u32, rto_min_ms, 1, 60000),
	KEYN("dp.tcp.timeWaitMs", key_u32, time_wait_ms, 1, 240000),
	KEYN("dp.tcp.giveUpMs", key_u32, give_up_ms, 1000, 3600000),
	KEYN("dp.tcp.keepaliveMs", key_u32, keepalive_ms, 0, 86400000),
	KEYN("dp.tcp.sendBuffer", key_buffer, snd_buf_bytes, 4096, 64 << 20),
	KEYN("dp.tcp.receiveBuffer", key_buffer, rcv_buf_bytes, 4096, 64 << 20),
	{"dp.coreMemory", set_core_memory, 0, 0, 64 << 20, 0},
	{"tree.memoryLimit", set_memory_limit, 0, 0, 16 << 20, 0},
	KEYF("recovery.trustGaps", key_java_bool, trust_gaps),
	KEYF("log.file", key_string, log_file),
	KEY("log.level", set_log_level),
};

/* Keys that Apache turns into system properties `zookeeper.KEY`; both spellings are taken. */
static const struct key property_keys[] = {
	KEYN("jute.maxbuffer", set_maxbuffer, jute_maxbuffer, 1024, 256 << 20),
	KEYN("jute.maxbuffer.extrasize", set_extra_bytes, jute_extra_bytes, 0, INT32_MAX),
	KEYF("maxCnxns", key_java_limit, max_cnxns),
	KEYN("globalOutstandingLimit", key_java_i32, limit.outstanding, INT32_MIN, INT32_MAX),
	KEYF("request_throttle_max_requests", key_java_limit, limit.requests_max),
	KEYF("request_throttle_stall_time", key_java_limit, limit.stall_ms),
	KEYF("request_throttle_drop_stale", key_java_bool, limit.drop_stale),
	KEYF("request_stale_connection_check", key_java_bool, limit.stale_connection),
	KEYF("request_stale_latency_check", key_java_bool, limit.stale_latency),
	KEYF("throttled_op_wait_time", key_java_limit, limit.op_wait_ms),
	KEYF("largeRequestThreshold", key_java_limit, limit.large_bytes),
	KEYN("largeRequestMaxBytes", key_java_positive, limit.large_max_bytes, 1, INT32_MAX),
	KEYN("connection_throttle_tokens", key_java_u32, limit.connect.tokens, 0, 100000000),
	KEYN("connection_throttle_fill_time", key_java_u32, limit.connect.fill_ms, 1, INT32_MAX),
	KEYN("connection_throttle_fill_count", key_java_u32, limit.connect.fill_count, 1, 1000000),
	KEYN("connection_throttle_freeze_time", key_java_i32, limit.connect.freeze_ms, -1,
	     INT32_MAX),
	KEYF("connection_throttle_drop_increase", key_share, limit.connect.drop_increase),
	KEYF("connection_throttle_drop_decrease", key_share, limit.connect.drop_decrease),
	KEYF("connection_throttle_decrease_ratio", key_share, limit.connect.decrease_ratio),
	KEYF("connection_throttle_weight_enabled", key_java_bool, limit.connect.weighed),
	KEYN("connection_throttle_global_session_weight", key_java_positive,
	     limit.connect.global_weight, 1, 1000),
	KEYN("connection_throttle_local_session_weight", key_java_positive, local_weight, 1, 1000),
	KEYN("connection_throttle_renew_session_weight", key_java_positive,
	     limit.connect.renew_weight, 1, 1000),
	KEYF("4lw.commands.whitelist", key_string, four_letter_words),
	KEYF("skipACL", key_yes, skip_acl),
	KEYF("DigestAuthenticationProvider.superDigest", key_string, super_digest),
	KEY("DigestAuthenticationProvider.digestAlg", set_digest_alg),
	KEYF("extendedTypesEnabled", key_java_bool, extended_types),
	KEYF("snapshot.trust.empty", key_java_bool, snapshot_trust_empty),
	KEYF("datadir.autocreate", key_java_bool, datadir_autocreate),
	KEYF("db.autocreate", key_java_bool, db_autocreate),
	KEYF("digest.enabled", key_java_bool, digest_enabled),
	KEYF("enforceQuota", key_java_bool, enforce_quota),
	KEYN("preAllocSize", key_java_kib, prealloc_bytes, INT32_MIN, INT32_MAX),
	KEYN("txnLogSizeLimitInKb", key_java_kib, log_size_limit, INT32_MIN, INT32_MAX),
	KEY("forceSync", set_force_sync),
	KEYN("fsync.warningthresholdms", key_java_u32, fsync_warning_ms, 0, INT32_MAX),
	KEY("snapCount", set_snap_count),
	KEY("snapSizeLimitInKb", set_snap_size),
	KEY("snapshot.compression.method", set_snap_pack),
	KEYF("serializeLastProcessedZxid.enabled", key_java_bool, snap_last_zxid),
	KEYN("nio.sessionlessCnxnTimeout", key_u32, sessionless_timeout_ms, 1, INT32_MAX),
	KEYN("znode.container.checkIntervalMs", key_java_u32, reap_interval_ms, 1, INT32_MAX),
	KEYN("znode.container.maxPerMinute", key_java_u32, reap_per_minute, 1, INT32_MAX),
	KEYN("znode.container.maxNeverUsedIntervalMs", key_java_u64, reap_never_used_ms, 0,
	     INT64_MAX),
	KEY("sessionRequireClientSASLAuth", key_refuse_true),
	KEY("enforce.auth.enabled", key_refuse_true),
};

/* Accepted, without effect here so far. */
static const char *const other_properties[] = {
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
	"electionPortBindRetry",
	"leader.maxTimeToWaitForEpoch",
	"leaderConnectDelayDuringRetryMs",
	"leader.maxConcurrentSnapSyncs",
	"leader.maxConcurrentDiffSyncs",
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

void config_key(struct config_ctx *x, const struct prop *p)
{
	const size_t n_parsed = sizeof(parsed_keys) / sizeof(parsed_keys[0]);
	const size_t n_property = sizeof(property_keys) / sizeof(property_keys[0]);
	const char *name = p->key;
	const struct key *k = find(parsed_keys, n_parsed, name);
	const char *why;

	if (config_is_member(name))
		return; /* config_quorum_resolve() */
	if (!k)
		k = config_quorum_key(name, false);
	if (!k) {
		if (has_prefix(name, "zookeeper."))
			name += strlen("zookeeper.");
		k = find(property_keys, n_property, name);
	}
	if (!k)
		k = config_quorum_key(name, true);
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
