/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/config.h"
#include "core/base/hash.h"
#include "core/store/wal.h"
#include "ctl/server/config_int.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { AUTO_CORES_MAX = 8 };

static const uint64_t memory_default_max = 4ull << 30, core_memory_default_max = 1ull << 30;

__attribute__((format(printf, 5, 0))) static void bad_line(struct config_ctx *x, const char *file,
							   const struct prop *p, const char *key,
							   const char *fmt, va_list ap)
{
	char text[600];

	vsnprintf(text, sizeof(text), fmt, ap);
	for (char *s = text; *s; s++)
		if ((unsigned char)*s < ' ')
			*s = '?'; /* one line it stays */
	if (p)
		fprintf(x->err, "%s:%u: %s: %s\n", file, p->line, key, text);
	else
		fprintf(x->err, "%s: %s: %s\n", file, key, text);
	x->bad++;
}

void config_bad(struct config_ctx *x, const struct prop *p, const char *key, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	bad_line(x, x->file, p, key, fmt, ap);
	va_end(ap);
}

void config_bad_in(struct config_ctx *x, const char *file, const struct prop *p, const char *key,
		   const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	bad_line(x, file, p, key, fmt, ap);
	va_end(ap);
}

__attribute__((format(printf, 4, 0))) static void
warn_line(struct config_ctx *x, const char *file, const struct prop *p, const char *fmt, va_list ap)
{
	struct config *c = x->c;
	char text[160];

	if (c->warnings_n == CONFIG_WARNINGS_MAX)
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	snprintf(c->warning[c->warnings_n], sizeof(c->warning[0]), "%.30s:%u: %s", file,
		 p ? p->line : 0, text);
	c->warnings_n++;
}

void config_warn(struct config_ctx *x, const struct prop *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	warn_line(x, x->file, p, fmt, ap);
	va_end(ap);
}

void config_warn_in(struct config_ctx *x, const char *file, const struct prop *p, const char *fmt,
		    ...)
{
	va_list ap;

	va_start(ap, fmt);
	warn_line(x, file, p, fmt, ap);
	va_end(ap);
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
	config_quorum_defaults(&c->quorum);
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

/* An observer that shares the machine stays off the CPU of the voters' leader cores, for which all
 * writes wait. */
static uint16_t leader_cpu_auto(const struct config_ctx *x)
{
	return x->cpus->cpu[x->c->quorum.on && x->c->quorum.observer ? x->cpus->n - 1 : 0];
}

/* Behind config_quorum_resolve(). */
static void resolve_cpus(struct config_ctx *x)
{
	struct config *c = x->c;
	char have[128];

	cpus_text(x->cpus, have, sizeof(have));
	if (x->leader_auto)
		c->leader_cpu = leader_cpu_auto(x);
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
static void derive_mac(uint32_t address, const char *device, uint8_t mac[6])
{
	static const struct zk_hash_key key = {0x7a6f6b6f72206d61, 0x63206164647265};
	char text[200];
	uint64_t h;

	snprintf(text, sizeof(text), "%08x %s", address, device);
	h = zk_hash13(&key, text, strlen(text));
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)(h >> (8 * i));
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02);
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
	need(x, "dp.address");
	if (c->data_log_dir[0] == 0)
		memcpy(c->data_log_dir, c->data_dir, sizeof(c->data_log_dir));
	resolve_sessions(x);
	resolve_throttle(c);
	if (!c->jute_extra_bytes)
		c->jute_extra_bytes = c->jute_maxbuffer;
	resolve_addresses(x);
	if (!x->has_mac)
		derive_mac(c->address, c->device_text, c->mac);
	config_quorum_resolve(x);
	resolve_cpus(x);
	if (c->max_connections < c->cores)
		config_bad(x, props_get(x->props, "dp.maxConnections"), "dp.maxConnections",
			   "is less than one for each client core");
	derive_mac(c->quorum.peer.address, c->quorum.peer.device_text, c->quorum.peer.mac);
	if (!c->client_port)
		need(x, "clientPort");
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

char *config_read(const char *file, size_t *n, char *why, size_t cap)
{
	FILE *f = fopen(file, "re");
	char *text = malloc(PROPS_BYTES_MAX + 1);

	if (!f || !text) {
		snprintf(why, cap, "cannot open: %s", strerror(errno));
	} else {
		*n = fread(text, 1, PROPS_BYTES_MAX + 1, f);
		if (ferror(f))
			snprintf(why, cap, "cannot read: %s", strerror(errno));
	}
	if (!f || (text && ferror(f))) {
		free(text);
		text = NULL;
	}
	if (f)
		fclose(f);
	return text;
}

bool config_load(const char *file, const struct config_cpus *cpus, struct config *out, FILE *err)
{
	char why[PROPS_WHY_MAX];
	size_t n;
	char *text = config_read(file, &n, why, sizeof(why));
	bool ok = false;

	if (text)
		ok = config_parse(file, text, n, cpus, out, err);
	else
		fprintf(err, "%s: %s\n", file, why);
	free(text);
	return ok;
}
