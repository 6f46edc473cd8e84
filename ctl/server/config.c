/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/config.h"
#include "core/base/hash.h"
#include "core/store/wal.h"
#include "ctl/server/config_int.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { AUTO_CORES_MAX = 8 };

static const uint64_t memory_default_max = 4ull << 30, core_memory_default_max = 1ull << 30;

void config_bad(struct config_ctx *x, const struct prop *p, const char *key, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *s = text; *s; s++)
		if ((unsigned char)*s < ' ')
			*s = '?'; /* one line it stays */
	if (p)
		fprintf(x->err, "%s:%u: %s: %s\n", x->file, p->line, key, text);
	else
		fprintf(x->err, "%s: %s: %s\n", x->file, key, text);
	x->bad++;
}

void config_warn(struct config_ctx *x, const struct prop *p, const char *fmt, ...)
{
	struct config *c = x->c;
	char text[160];
	va_list ap;

	if (c->warnings_n == CONFIG_WARNINGS_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(c->warning[c->warnings_n], sizeof(c->warning[0]), "%.30s:%u: %s", x->file, p->line,
		 text);
	c->warnings_n++;
}

static uint64_t memory_default(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	uint64_t half =
		pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size / 2 : memory_default_max;

	return half < memory_default_max ? half : memory_default_max;
}

static uint64_t core_memory_default(void)
{
	uint64_t quarter = memory_default() / 4;

	return quarter < core_memory_default_max ? quarter : core_memory_default_max;
}

static void defaults(struct config *c)
{
	*c = (struct config){
		.tick_ms = 3000,
		.max_client_cnxns = 60,
		.limit = {.outstanding = 1000,
			  .stall_ms = 100,
			  .drop_stale = true,
			  .stale_connection = true,
			  .large_max_bytes = 100 << 20,
			  .connect = {.fill_ms = 1,
				      .fill_count = 1,
				      .freeze_ms = -1,
				      .drop_increase = THROTTLE_CERTAIN / 50,
				      .drop_decrease = THROTTLE_CERTAIN / 500,
				      .global_weight = 3,
				      .renew_weight = 2}},
		.local_weight = 1,
		.listen_backlog = -1,
		.jute_maxbuffer = 0xfffff,
		.sessionless_timeout_ms = 10000,
		.digest_enabled = true,
		.prealloc_bytes = WAL_PREALLOC_DEFAULT,
		.fsync_warning_ms = 1000,
		.force_sync = true,
		.datadir_autocreate = true,
		.db_autocreate = true,
		.snap_count = 100000,
		.snap_size_bytes = UINT64_C(4) << 30,
		.snap_last_zxid = true,
		.purge_retain = 3,
		.reap_interval_ms = 60000,
		.reap_per_minute = 10000,
		.four_letter_words = "srvr",
		.device_text = "tap:zk0",
		.adaptive = true,
		.hugepages = EAL_HUGE_AUTO,
		.rx_packets = 8192,
		.tx_packets = 16384,
		.max_connections = 16384,
		.rto_min_ms = 200,
		.time_wait_ms = 60000,
		.give_up_ms = 30000,
		.snd_buf_bytes = 256 << 10,
		.rcv_buf_bytes = 256 << 10,
		.memory_limit = memory_default(),
		.core_memory = core_memory_default(),
		.log_level = LOG_INFO,
	};
	c->device.kind = PORT_TAP;
	memcpy(c->device.name, "zk0", 4);
}

static bool cpu_exists(const struct config_cpus *cpus, unsigned cpu)
{
	for (unsigned i = 0; i < cpus->n; i++)
		if (cpus->cpu[i] == cpu)
			return true;
	return false;
}

/* "0-3,8" */
static void cpus_text(const struct config_cpus *cpus, char *out, size_t cap)
{
	size_t n = 0;

	out[0] = 0;
	for (unsigned i = 0; i < cpus->n && n + 16 < cap;) {
		unsigned j = i;

		while (j + 1 < cpus->n && cpus->cpu[j + 1] == cpus->cpu[j] + 1)
			j++;
		n += (size_t)snprintf(out + n, cap - n, j > i ? "%s%u-%u" : "%s%u", n ? "," : "",
				      cpus->cpu[i], cpus->cpu[j]);
		i = j + 1;
	}
}

static void resolve_cpus(struct config_ctx *x)
{
	struct config *c = x->c;
	char have[128];

	cpus_text(x->cpus, have, sizeof(have));
	if (x->leader_auto)
		c->leader_cpu = x->cpus->cpu[0];
	else if (!cpu_exists(x->cpus, c->leader_cpu))
		config_bad(x, props_get(x->props, "dp.leaderCpu"), "dp.leaderCpu",
			   "CPU %u is not there for this process (%s)", c->leader_cpu, have);
	for (unsigned i = 0; !x->cores_auto && i < c->cores; i++) {
		if (cpu_exists(x->cpus, c->core_cpu[i]))
			continue;
		config_bad(x, props_get(x->props, "dp.cores"), "dp.cores",
			   "CPU %u is not there for this process (%s)", c->core_cpu[i], have);
		break;
	}
	if (!x->cores_auto)
		return;
	c->cores = 0;
	for (unsigned i = 0; i < x->cpus->n && c->cores < AUTO_CORES_MAX; i++)
		if (x->cpus->cpu[i] != c->leader_cpu)
			c->core_cpu[c->cores++] = x->cpus->cpu[i];
	if (c->cores == 0) /* a machine with one CPU: everything on it */
		c->core_cpu[c->cores++] = c->leader_cpu;
}

static void resolve_sessions(struct config_ctx *x)
{
	struct config *c = x->c;
	int64_t lo = x->min_session == -1 ? 2 * (int64_t)c->tick_ms : x->min_session;
	int64_t hi = x->max_session == -1 ? 20 * (int64_t)c->tick_ms : x->max_session;

	if (lo > hi) {
		const struct prop *p = props_get(x->props, "minSessionTimeout");
		const char *key = "minSessionTimeout";

		if (!p) {
			p = props_get(x->props, "maxSessionTimeout");
			key = "maxSessionTimeout";
		}
		config_bad(x, p, key, "minimum %lld ms is larger than maximum %lld ms",
			   (long long)lo, (long long)hi);
	}
	c->min_session_timeout_ms = (int32_t)lo;
	c->max_session_timeout_ms = (int32_t)hi;
}

static uint32_t netmask(uint8_t prefix)
{
	return prefix == 0 ? 0 : ~0u << (32 - prefix);
}

static void resolve_addresses(struct config_ctx *x)
{
	struct config *c = x->c;
	bool tap = c->device.kind == PORT_TAP;

	if (c->address == 0)
		return; /* has been complained about */
	if (c->client_port_address != 0 && c->client_port_address != c->address)
		config_bad(x, props_get(x->props, "clientPortAddress"), "clientPortAddress",
			   "is not dp.address, the only one this server has");
	if (c->gateway && (c->gateway & netmask(c->prefix)) != (c->address & netmask(c->prefix)))
		config_bad(x, props_get(x->props, "dp.gateway"), "dp.gateway",
			   "is not in the network of dp.address");
	if (c->tap_host_ip == c->address)
		config_bad(x, props_get(x->props, "dp.tapHostAddress"), "dp.tapHostAddress",
			   "is the stack's own address: the kernel's side needs another");
	if (c->tap_host_ip && !tap)
		config_bad(x, props_get(x->props, "dp.tapHostAddress"), "dp.tapHostAddress",
			   "is for tap: devices only");
	if (c->tap_bridge[0] && !tap)
		config_bad(x, props_get(x->props, "dp.tapBridge"), "dp.tapBridge",
			   "is for tap: devices only");
	if (c->tap_bridge[0] && c->tap_host_ip)
		config_bad(x, props_get(x->props, "dp.tapBridge"), "dp.tapBridge",
			   "and dp.tapHostAddress exclude each other: the bridge has the address");
}

/* Stable over restarts, so that neighbours' caches stay right; locally administered. */
static void derive_mac(struct config *c)
{
	static const struct zk_hash_key key = {0x7a6f6b6f72206d61, 0x63206164647265};
	char text[200];
	uint64_t h;

	snprintf(text, sizeof(text), "%08x %s", c->address, c->device_text);
	h = zk_hash13(&key, text, strlen(text));
	for (int i = 0; i < 6; i++)
		c->mac[i] = (uint8_t)(h >> (8 * i));
	c->mac[0] = (uint8_t)((c->mac[0] & 0xfc) | 0x02);
}

static void need(struct config_ctx *x, const char *key)
{
	if (!props_get(x->props, key))
		config_bad(x, NULL, key, "is missing");
}

/* The corrections of BlueThrottle's static block; tokens are meant for new sessions. */
static void resolve_throttle(struct config *c)
{
	struct throttle_conf *t = &c->limit.connect;

	if (t->global_weight < c->local_weight)
		t->global_weight = c->local_weight;
	if (t->renew_weight < c->local_weight)
		t->renew_weight = c->local_weight;
	if (t->weighed) {
		t->tokens *= t->global_weight;
		t->fill_count *= t->global_weight;
	}
}

static void resolve(struct config_ctx *x)
{
	struct config *c = x->c;

	need(x, "dataDir");
	need(x, "clientPort");
	need(x, "dp.address");
	if (c->data_log_dir[0] == 0)
		memcpy(c->data_log_dir, c->data_dir, sizeof(c->data_log_dir));
	resolve_sessions(x);
	resolve_throttle(c);
	if (!c->jute_extra_bytes)
		c->jute_extra_bytes = c->jute_maxbuffer;
	resolve_cpus(x);
	resolve_addresses(x);
	if (!x->has_mac)
		derive_mac(c);
	if (c->max_connections < c->cores)
		config_bad(x, props_get(x->props, "dp.maxConnections"), "dp.maxConnections",
			   "is less than one for each client core");
}

bool config_parse(const char *file, const char *text, size_t n, const struct config_cpus *cpus,
		  struct config *out, FILE *err)
{
	struct config_ctx x = {
		.file = file,
		.cpus = cpus,
		.c = out,
		.err = err,
		.min_session = -1,
		.max_session = -1,
		.cores_auto = true,
		.leader_auto = true,
	};
	char why[PROPS_WHY_MAX];
	struct props props;
	unsigned line;
	enum zk_err rc = props_parse(text, n, &props, &line, why);

	defaults(out);
	if (rc != ZK_EOK) {
		fprintf(err, "%s:%u: %s\n", file, line, rc == ZK_EINVAL ? why : "out of memory");
		return false;
	}
	x.props = &props;
	for (unsigned i = 0; i < props.n; i++)
		if (!props.v[i].overridden)
			config_key(&x, &props.v[i]);
	resolve(&x);
	props_free(&props);
	return x.bad == 0;
}

bool config_load(const char *file, const struct config_cpus *cpus, struct config *out, FILE *err)
{
	FILE *f = fopen(file, "re");
	char *text = malloc(PROPS_BYTES_MAX + 1);
	bool ok = false;
	size_t n;

	if (!f || !text) {
		fprintf(err, "%s: cannot open: %s\n", file, strerror(errno));
	} else {
		n = fread(text, 1, PROPS_BYTES_MAX + 1, f);
		if (ferror(f))
			fprintf(err, "%s: cannot read: %s\n", file, strerror(errno));
		else
			ok = config_parse(file, text, n, cpus, out, err);
	}
	free(text);
	if (f)
		fclose(f);
	return ok;
}

void config_cpus_get(struct config_cpus *out)
{
	cpu_set_t set;

	out->n = 0;
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		CPU_ZERO(&set);
	for (unsigned i = 0; i < CPU_SETSIZE && i < CONFIG_CPUS_MAX; i++)
		if (CPU_ISSET(i, &set))
			out->cpu[out->n++] = (uint16_t)i;
	if (out->n == 0)
		out->cpu[out->n++] = 0;
}

static void print_ip(FILE *out, const char *key, uint32_t ip, int prefix)
{
	fprintf(out, "%s=%u.%u.%u.%u", key, ip >> 24, (ip >> 16) & 255, (ip >> 8) & 255, ip & 255);
	if (prefix)
		fprintf(out, "/%d", prefix);
	fputc('\n', out);
}

/* A backslash in a path would escape when read again. */
static void print_text(FILE *out, const char *key, const char *value)
{
	fprintf(out, "%s=", key);
	for (; *value; value++) {
		if (*value == '\\')
			fputc('\\', out);
		fputc(*value, out);
	}
	fputc('\n', out);
}

static const char *truth(bool v)
{
	return v ? "true" : "false";
}

static void print_share(FILE *out, const char *key, uint32_t billionths)
{
	fprintf(out, "%s=%u.%09u\n", key, billionths / THROTTLE_CERTAIN,
		billionths % THROTTLE_CERTAIN);
}

static void print_limits(const struct config *c, FILE *out)
{
	const struct limits_conf *l = &c->limit;
	const struct throttle_conf *t = &l->connect;
	uint32_t weight = t->weighed ? t->global_weight : 1;

	fprintf(out, "globalOutstandingLimit=%d\n", l->outstanding);
	fprintf(out, "request_throttle_max_requests=%u\nrequest_throttle_stall_time=%u\n",
		l->requests_max, l->stall_ms);
	fprintf(out, "throttled_op_wait_time=%u\nrequest_throttle_drop_stale=%s\n", l->op_wait_ms,
		truth(l->drop_stale));
	fprintf(out, "request_stale_connection_check=%s\nrequest_stale_latency_check=%s\n",
		truth(l->stale_connection), truth(l->stale_latency));
	fprintf(out, "largeRequestThreshold=%d\nlargeRequestMaxBytes=%u\n",
		l->large_bytes ? (int)l->large_bytes : -1, l->large_max_bytes);
	fprintf(out, "connection_throttle_tokens=%u\nconnection_throttle_fill_time=%u\n",
		t->tokens / weight, t->fill_ms);
	fprintf(out, "connection_throttle_fill_count=%u\nconnection_throttle_freeze_time=%d\n",
		t->fill_count / weight, t->freeze_ms);
	print_share(out, "connection_throttle_drop_increase", t->drop_increase);
	print_share(out, "connection_throttle_drop_decrease", t->drop_decrease);
	print_share(out, "connection_throttle_decrease_ratio", t->decrease_ratio);
	fprintf(out, "connection_throttle_weight_enabled=%s\n", truth(t->weighed));
	fprintf(out, "connection_throttle_global_session_weight=%u\n", t->global_weight);
	fprintf(out, "connection_throttle_local_session_weight=%u\n", c->local_weight);
	fprintf(out, "connection_throttle_renew_session_weight=%u\n", t->renew_weight);
}

static void print_snapshots(const struct config *c, FILE *out)
{
	static const char *const pack[] = {"", "gz", "snappy"};

	fprintf(out, "snapCount=%u\nsnapSizeLimitInKb=%llu\n", c->snap_count,
		(unsigned long long)(c->snap_size_bytes >> 10));
	fprintf(out, "snapshot.compression.method=%s\n", pack[c->snap_pack]);
	fprintf(out, "serializeLastProcessedZxid.enabled=%s\n",
		c->snap_last_zxid ? "true" : "false");
	fprintf(out, "autopurge.snapRetainCount=%u\nautopurge.purgeInterval=%u\n", c->purge_retain,
		c->purge_hours);
}

void config_print(const struct config *c, FILE *out)
{
	static const char *const huge[] = {"auto", "2M", "1G", "no"};
	static const char *const level[] = {"error", "warn", "info", "debug"};

	fprintf(out, "clientPort=%u\n", c->client_port);
	print_text(out, "dataDir", c->data_dir);
	print_text(out, "dataLogDir", c->data_log_dir);
	fprintf(out, "tickTime=%u\nminSessionTimeout=%d\nmaxSessionTimeout=%d\n", c->tick_ms,
		c->min_session_timeout_ms, c->max_session_timeout_ms);
	fprintf(out, "clientPortListenBacklog=%d\nmaxClientCnxns=%u\nmaxCnxns=%u\n",
		c->listen_backlog, c->max_client_cnxns, c->max_cnxns);
	print_limits(c, out);
	fprintf(out, "jute.maxbuffer.extrasize=%u\n", c->jute_extra_bytes);
	fprintf(out, "jute.maxbuffer=%u\nnio.sessionlessCnxnTimeout=%u\n", c->jute_maxbuffer,
		c->sessionless_timeout_ms);
	fprintf(out, "snapshot.trust.empty=%s\n", c->snapshot_trust_empty ? "true" : "false");
	fprintf(out, "datadir.autocreate=%s\ndb.autocreate=%s\nrecovery.trustGaps=%s\n",
		c->datadir_autocreate ? "true" : "false", c->db_autocreate ? "true" : "false",
		c->trust_gaps ? "true" : "false");
	fprintf(out, "digest.enabled=%s\n", c->digest_enabled ? "true" : "false");
	fprintf(out, "preAllocSize=%llu\ntxnLogSizeLimitInKb=%lld\n",
		(unsigned long long)c->prealloc_bytes >> 10,
		c->log_size_limit ? (long long)(c->log_size_limit >> 10) : -1);
	fprintf(out, "forceSync=%s\nfsync.warningthresholdms=%u\n", c->force_sync ? "yes" : "no",
		c->fsync_warning_ms);
	print_snapshots(c, out);
	fprintf(out, "znode.container.checkIntervalMs=%u\nznode.container.maxPerMinute=%u\n",
		c->reap_interval_ms, c->reap_per_minute);
	fprintf(out, "znode.container.maxNeverUsedIntervalMs=%llu\n",
		(unsigned long long)c->reap_never_used_ms);
	print_text(out, "4lw.commands.whitelist", c->four_letter_words);
	print_text(out, "dp.device", c->device_text);
	print_ip(out, "dp.address", c->address, c->prefix);
	if (c->gateway)
		print_ip(out, "dp.gateway", c->gateway, 0);
	if (c->mtu)
		fprintf(out, "dp.mtu=%u\n", c->mtu);
	if (c->tap_host_ip)
		print_ip(out, "dp.tapHostAddress", c->tap_host_ip, c->tap_host_prefix);
	if (c->tap_bridge[0])
		print_text(out, "dp.tapBridge", c->tap_bridge);
	fprintf(out, "dp.mac=%02x:%02x:%02x:%02x:%02x:%02x\n", c->mac[0], c->mac[1], c->mac[2],
		c->mac[3], c->mac[4], c->mac[5]);
	for (unsigned i = 0; i < c->cores; i++)
		fprintf(out, "%s%u", i ? "," : "dp.cores=", c->core_cpu[i]);
	fprintf(out, "\ndp.leaderCpu=%u\ndp.idle=%s\ndp.hugepages=%s\n", c->leader_cpu,
		c->adaptive ? "adaptive" : "poll", huge[c->hugepages]);
	fprintf(out, "dp.rxPackets=%u\ndp.txPackets=%u\ndp.maxConnections=%u\n", c->rx_packets,
		c->tx_packets, c->max_connections);
	fprintf(out, "dp.coreMemory=%llu\ntree.memoryLimit=%llu\nlog.level=%s\n",
		(unsigned long long)c->core_memory, (unsigned long long)c->memory_limit,
		level[c->log_level]);
	if (c->log_file[0])
		print_text(out, "log.file", c->log_file);
}
