/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/server.h"
#include "core/server/srv.h"
#include "core/tree/tree.h"
#include "ctl/server/datadir.h"
#include "ctl/server/disk.h"
#include "ctl/server/environment.h"
#include "ctl/server/facts.h"
#include "ctl/server/logwriter.h"
#include "ctl/server/reclaimer.h"
#include "ctl/server/recovery.h"
#include "ctl/server/report.h"
#include "ctl/server/snapshotter.h"
#include "ctl/server/version.h"
#include "dp/eal/eal.h"
#include "dp/loop/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
	WHY_MAX = 512,
	DRAIN_MS = 5000,
	DRAIN_STEP_MS = 10,
	FACTS_DIRS_EVERY = 10, /* seconds */
	PENDING_MIN = 8192,    /* transactions under way */
	PENDING_MAX = 32768,
	BYTES_PER_PENDING = 32 << 10, /* of dp.coreMemory */
	CHANGES_SOFT_MAX = 1 << 18,
	EAL_SPARE_MIB = 8,
	SNAP_SPARE_SEGMENTS = 2, /* room that a snapshot leaves for the log */
	LOG_SPIN_US = 100,       /* with a CPU to spare: no wake-up between a client's writes */
};

static const size_t index_slots_min = 1u << 14, index_slots_max = 1u << 24;
static const uint64_t index_bytes_per_slot = 1024; /* of the memory limit */

/* What is up, in the order in which it came up. */
struct server {
	const struct config *conf;
	const struct config_cpus *cpus;
	struct datadir datadir;
	struct disk_dirs dirs;
	struct recovery recovery;
	bool dirs_open, eal, logging, reclaiming, running;
	bool snap_due; /* the disk has no snapshot of the state at the start */
	struct port *port;
	struct eal_arena tree_mem;
	struct tree *tree;
	struct srv_shared *shared;
	struct loop *loop;
	struct logwriter log;
	bool log_whole; /* at the end */
	struct reclaimer reclaimer;
	struct disk_posix snap_disk;
	struct snapshotter snap;
	char why[WHY_MAX];
};

static void eal_says(void *ctx, const char *line)
{
	(void)ctx;
	log_line(LOG_WARN, "dpdk=\"%s\"", line);
}

static enum zk_err start_eal(struct server *s)
{
	const struct config *c = s->conf;
	uint64_t bytes =
		(uint64_t)c->cores * (c->rx_packets + c->tx_packets) * loop_packet_bytes(c->mtu);
	struct eal_conf ec = {
		.hugepages = c->hugepages,
		.memory_mib = (uint32_t)(bytes >> 20) + EAL_SPARE_MIB,
		.extra_args = c->eal_args[0] ? c->eal_args : NULL,
		.pci = c->device.kind == PORT_PCI,
		.devices = &c->device,
		.n_devices = 1,
		.log = eal_says,
	};
	enum zk_err err = eal_start(&ec, s->why);

	s->eal = err == ZK_EOK;
	return err;
}

static enum zk_err start_port(struct server *s)
{
	const struct config *c = s->conf;
	struct port_conf pc = {
		.spec = c->device,
		.queues = (uint16_t)c->cores,
		.mtu = c->mtu,
		.rx_pool_packets = c->rx_packets,
		.tap_host_ip = c->tap_host_ip,
		.tap_host_prefix = c->tap_host_prefix,
		.stack_ip = c->address,
	};

	memcpy(pc.tap_bridge, c->tap_bridge, sizeof(pc.tap_bridge));
	return port_open(&pc, &s->port, s->why);
}

static bool random_bytes(void *p, size_t n)
{
	return getrandom(p, n, 0) == (ssize_t)n;
}

static enum zk_err start_tree(struct server *s)
{
	struct tree_conf tc = {.mem = &s->tree_mem.arena.mem,
			       .changes_soft_max = CHANGES_SOFT_MAX,
			       .digest = s->conf->digest_enabled};
	uint64_t want = s->conf->memory_limit / index_bytes_per_slot;
	enum zk_err err;

	for (tc.index_slots = index_slots_min;
	     tc.index_slots < want && tc.index_slots < index_slots_max;)
		tc.index_slots *= 2;
	err = eal_arena_open(&s->tree_mem, s->conf->memory_limit);
	if (err != ZK_EOK) {
		snprintf(s->why, WHY_MAX, "no memory for tree.memoryLimit=%llu",
			 (unsigned long long)s->conf->memory_limit);
		return err;
	}
	if (!random_bytes(&tc.key, sizeof(tc.key))) {
		snprintf(s->why, WHY_MAX, "getrandom: %s", strerror(errno));
		return ZK_EIO;
	}
	err = tree_new(&tc, &s->tree);
	if (err != ZK_EOK)
		snprintf(s->why, WHY_MAX, "tree: %s", zk_err_text(err));
	return err;
}

static int64_t wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void fill_auth(const struct config *c, struct auth_conf *a)
{
	memcpy(a->super_digest, c->super_digest, sizeof(a->super_digest));
	a->skip_acl = c->skip_acl;
	a->digest_sha256 = c->digest_sha256;
}

/* Written before the cores start, constant then. */
static char environment[8192];
static char snap_dir[CONFIG_PATH_MAX + 16], log_dir[CONFIG_PATH_MAX + 16];

static void fill_shared(const struct config *c, struct srv_shared *sh)
{
	sh->version = ZOKOR_ZOOKEEPER_VERSION;
	sh->built = ZOKOR_BUILT;
	sh->four_letter_words = srv_words_parse(c->four_letter_words);
	fill_auth(c, &sh->auth);
	sh->tick_ms = c->tick_ms;
	sh->min_session_timeout_ms = (uint32_t)c->min_session_timeout_ms;
	sh->max_session_timeout_ms = (uint32_t)c->max_session_timeout_ms;
	sh->jute_maxbuffer = c->jute_maxbuffer;
	sh->max_client_cnxns = c->max_client_cnxns;
	sh->max_cnxns = c->max_cnxns;
	sh->limit = c->limit;
	sh->listen_backlog = c->listen_backlog;
	sh->sessionless_timeout_ms = c->sessionless_timeout_ms;
	sh->client_port = c->client_port;
	/* ZooKeeperServer.dumpConf(): where the files are */
	snprintf(snap_dir, sizeof(snap_dir), "%s/version-2", c->data_dir);
	snprintf(log_dir, sizeof(log_dir), "%s/version-2", c->data_log_dir);
	sh->data_dir = snap_dir;
	sh->data_log_dir = log_dir;
	sh->server_id = 1;
	sh->tree_memory_limit_bytes = c->memory_limit;
	sh->started_wall_ms = wall_ms();
	sh->started_ns = eal_now_ns();
	sh->os = facts_get;
	environment_text(environment, sizeof(environment));
	sh->environment = environment;
}

static void fill_tcp(const struct config *c, struct tcp_conf *t)
{
	tcp_conf_default(t);
	t->rto_min_ms = c->rto_min_ms;
	t->time_wait_ms = c->time_wait_ms;
	t->give_up_ms = c->give_up_ms;
	t->keepalive_idle_ms = c->keepalive_ms;
	t->snd_buf_bytes = c->snd_buf_bytes;
	t->rcv_buf_bytes = c->rcv_buf_bytes;
}

/* What one sync of the log can take: with small transactions a disk is busy only when many wait. */
static uint32_t pending_max(const struct config *c)
{
	uint64_t n = c->core_memory / BYTES_PER_PENDING;

	if (n < PENDING_MIN)
		return PENDING_MIN;
	return n < PENDING_MAX ? (uint32_t)n : PENDING_MAX;
}

static enum zk_err start_loop(struct server *s)
{
	const struct config *c = s->conf;
	struct loop_conf lc = {
		.port = s->port,
		.cores = c->cores,
		.leader_cpu = c->leader_cpu,
		.adaptive = c->adaptive,
		.tx_packets = c->tx_packets,
		.rx_packets = c->rx_packets,
		.listen_port = c->client_port,
		.conns_max = c->max_connections,
		.core_memory_bytes = c->core_memory,
		.shared = s->shared,
		.tree = s->tree,
		.leader = {.server_id = 1,
			   .tick_ms = c->tick_ms,
			   .hold_max_ms = (uint32_t)c->max_session_timeout_ms,
			   .pending_max = pending_max(c),
			   .extended_types = c->extended_types,
			   .enforce_quota = c->enforce_quota,
			   .reap_interval_ms = c->reap_interval_ms,
			   .reap_per_minute = c->reap_per_minute,
			   .reap_never_used_ms = c->reap_never_used_ms,
			   .restored = s->recovery.result.session,
			   .restored_n = s->recovery.result.sessions,
			   .digest_mismatches = s->recovery.result.digest_mismatches,
			   .digest_mismatch_zxid = s->recovery.result.digest_mismatch_zxid,
			   .jute_maxbuffer = c->jute_maxbuffer,
			   .snap_desk = &s->snap.desk,
			   .snap_count = c->snap_count,
			   .snap_size_bytes = c->snap_size_bytes},
		.snap_waker = &s->snap.waker,
	};

	fill_auth(c, &lc.leader.auth);
	fill_tcp(c, &lc.tcp);
	memcpy(lc.core_cpu, c->core_cpu, sizeof(lc.core_cpu));
	memcpy(lc.net.mac, c->mac, sizeof(lc.net.mac));
	lc.net.addr = net_addr_v4(c->address);
	lc.net.prefix = c->prefix;
	if (c->gateway)
		lc.net.gateway = net_addr_v4(c->gateway);
	if (!random_bytes(lc.net.steer_key, sizeof(lc.net.steer_key)) ||
	    !random_bytes(lc.net.secret, sizeof(lc.net.secret)) ||
	    !random_bytes(&lc.leader.snap_seed, sizeof(lc.leader.snap_seed)) ||
	    !random_bytes(&lc.srv_key, sizeof(lc.srv_key))) {
		snprintf(s->why, WHY_MAX, "getrandom: %s", strerror(errno));
		return ZK_EIO;
	}
	return loop_new(&lc, &s->loop, s->why);
}

/* CPUs for threads that may block: those without a poller, if there are any. @return whether. */
static bool helper_cpus(const struct server *s, struct config_cpus *out)
{
	const struct config *c = s->conf;

	out->n = 0;
	for (unsigned i = 0; i < s->cpus->n; i++) {
		bool polls = s->cpus->cpu[i] == c->leader_cpu;

		for (unsigned j = 0; j < c->cores; j++)
			polls = polls || s->cpus->cpu[i] == c->core_cpu[j];
		if (!polls)
			out->cpu[out->n++] = s->cpus->cpu[i];
	}
	if (out->n > 0)
		return true;
	*out = *s->cpus;
	return false;
}

static enum zk_err start_log(struct server *s, const struct config_cpus *cpus, bool spare)
{
	const struct config *c = s->conf;
	struct logwriter_conf lc = {.log = loop_log(s->loop),
				    .leader = loop_leader_waker(s->loop),
				    .dirs = &s->dirs,
				    .last_zxid = tree_last_zxid(s->tree),
				    .prealloc_bytes = c->prealloc_bytes,
				    .size_limit = c->log_size_limit,
				    .slow_ms = c->fsync_warning_ms,
				    .no_sync = !c->force_sync,
				    .spin_us = spare ? LOG_SPIN_US : 0,
				    .cpus = *cpus};
	enum zk_err err = logwriter_start(&s->log, &lc);

	if (err != ZK_EOK) {
		snprintf(s->why, WHY_MAX, "log writer: %s", strerror(errno));
		return err;
	}
	s->logging = true;
	logwriter_metrics(&s->log, &s->shared->metrics);
	log_line(LOG_INFO, "log=begun dir=\"%s\" after=0x%llx forceSync=%s io=%s",
		 s->dirs.path[DISK_LOG], (unsigned long long)lc.last_zxid,
		 lc.no_sync ? "no" : "yes", s->log.view.uring ? "io_uring" : "plain");
	return ZK_EOK;
}

static enum zk_err start_snapshots(struct server *s, const struct config_cpus *cpus)
{
	const struct config *c = s->conf;
	struct snapshotter_conf sc = {.disk = &s->snap_disk.disk,
				      .tree = s->tree,
				      .leader = loop_leader_waker(s->loop),
				      .pack = c->snap_pack,
				      .digest = c->digest_enabled,
				      .last_zxid = c->snap_last_zxid,
				      .spare_bytes = SNAP_SPARE_SEGMENTS * c->prealloc_bytes,
				      .retain = c->purge_retain,
				      .purge_hours = c->purge_hours,
				      .cpus = *cpus};
	enum zk_err err = snapshotter_start(&s->snap, &sc);

	if (err != ZK_EOK)
		snprintf(s->why, WHY_MAX, "snapshot thread: %s", strerror(errno));
	return err;
}

static enum zk_err start_threads(struct server *s)
{
	struct config_cpus cpus;
	bool spare = helper_cpus(s, &cpus);
	enum zk_err err = start_log(s, &cpus, spare);

	if (err == ZK_EOK)
		err = start_snapshots(s, &cpus);
	if (err != ZK_EOK)
		return err;
	err = reclaimer_start(&s->reclaimer, loop_garbage(s->loop), loop_leader_waker(s->loop),
			      &cpus);
	if (err != ZK_EOK) {
		snprintf(s->why, WHY_MAX, "reclaimer thread: %s", strerror(errno));
		return err;
	}
	s->reclaiming = true;
	err = loop_start(s->loop, s->why);
	s->running = err == ZK_EOK;
	if (s->running && s->snap_due)
		snapshotter_ask(&s->snap); /* ZooKeeperServer.loadData() */
	helper_affinity(&cpus);            /* the main thread's, from now on */
	return err;
}

static enum zk_err start_dirs(struct server *s)
{
	const struct config *c = s->conf;
	enum zk_err err = datadir_take(c->data_dir, &s->datadir, s->why, WHY_MAX);

	if (err != ZK_EOK)
		return err;
	err = disk_dirs_open(&s->dirs, c->data_dir, c->data_log_dir, c->datadir_autocreate, s->why,
			     WHY_MAX);
	s->dirs_open = err == ZK_EOK;
	return err;
}

static enum zk_err recover(struct server *s)
{
	struct disk_posix disk;
	enum zk_err err;

	disk_posix_init(&disk, &s->dirs, false);
	err = recovery_run(&s->recovery, s->conf, &disk.disk, s->tree, s->why, WHY_MAX);
	disk_posix_fini(&disk);
	return err;
}

static enum zk_err make_snapshots(struct server *s)
{
	const struct recover_result *r = &s->recovery.result;
	const struct store_name name = {
		.kind = STORE_SNAPSHOT, .pack = s->conf->snap_pack, .zxid = r->zxid};
	char text[STORE_NAME_MAX];
	enum zk_err err = snapshotter_init(&s->snap, LEADER_SESSIONS_MAX);

	if (err != ZK_EOK) {
		snprintf(s->why, WHY_MAX, "snapshots: %s", zk_err_text(err));
		return err;
	}
	disk_posix_init(&s->snap_disk, &s->dirs, false);
	snapshotter_metrics(&s->snap, &s->shared->metrics);
	recovery_metrics(&s->recovery, &s->shared->metrics);
	store_name_format(&name, text);
	s->snap_due = !r->empty && (r->txns > 0 || strcmp(r->snapshot, text) != 0);
	return ZK_EOK;
}

static enum zk_err start(struct server *s)
{
	enum zk_err err = start_dirs(s);

	if (err == ZK_EOK)
		err = start_eal(s);
	if (err == ZK_EOK)
		err = start_port(s);
	if (err == ZK_EOK)
		err = start_tree(s);
	if (err == ZK_EOK)
		err = recover(s);
	if (err != ZK_EOK)
		return err;
	s->shared = calloc(1, sizeof(*s->shared));
	if (!s->shared) {
		snprintf(s->why, WHY_MAX, "out of memory");
		return ZK_ENOMEM;
	}
	fill_shared(s->conf, s->shared);
	facts_refresh(s->conf->data_dir, s->conf->data_log_dir, true);
	err = make_snapshots(s);
	if (err == ZK_EOK)
		err = start_loop(s);
	recovery_free(&s->recovery); /* the leader has taken the sessions */
	return err == ZK_EOK ? start_threads(s) : err;
}

static void sleep_ms(long ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	(void)nanosleep(&ts, NULL);
}

/* Serve until a signal says stop. @return that signal. */
static int serve(struct server *s, const sigset_t *signals)
{
	const struct timespec second = {.tv_sec = 1};
	struct report_quota quota = {0};
	uint64_t mismatches = 0;

	for (unsigned tick = 1;; tick++) {
		int sig = sigtimedwait(signals, NULL, &second);

		if (sig == SIGTERM || sig == SIGINT)
			return sig;
		if (sig == SIGHUP) {
			if (log_reopen() != ZK_EOK)
				log_line(LOG_ERROR, "log=reopen-failed file=\"%s\" reason=\"%s\"",
					 s->conf->log_file, strerror(errno));
			else
				log_line(LOG_INFO, "log=reopened");
		}
		if (sig == SIGUSR1) {
			log_line(LOG_INFO, "snapshot=asked by=SIGUSR1");
			snapshotter_ask(&s->snap);
		}
		report_digest(s->loop, &mismatches);
		report_quota(s->loop, &quota, eal_now_ns() / 1000000);
		facts_refresh(s->conf->data_dir, s->conf->data_log_dir,
			      tick % FACTS_DIRS_EVERY == 0);
	}
}

static void drain(struct server *s)
{
	unsigned ms = 0;

	loop_drain(s->loop);
	while (!loop_drained(s->loop) && ms < DRAIN_MS) {
		sleep_ms(DRAIN_STEP_MS);
		ms += DRAIN_STEP_MS;
	}
	log_line(LOG_INFO, "drain=%s ms=%u", ms < DRAIN_MS ? "complete" : "cut-short", ms);
}

/* @return false when packets are missing. */
static bool take_down(struct server *s)
{
	bool whole = true;

	snapshotter_stop(&s->snap);
	if (s->running)
		loop_stop(s->loop);
	if (s->logging)
		s->log_whole = logwriter_stop(&s->log) == ZK_EOK;
	if (s->reclaiming)
		reclaimer_stop(&s->reclaimer);
	if (s->running)
		report_stop(s->loop, s->port);
	if (s->loop)
		whole = loop_free(s->loop);
	snapshotter_fini(&s->snap);
	if (s->tree)
		tree_free(s->tree);
	eal_arena_close(&s->tree_mem);
	if (s->port && port_close(s->port) != 0)
		whole = false;
	if (s->eal)
		eal_stop();
	free(s->shared);
	recovery_free(&s->recovery);
	if (s->dirs_open)
		disk_dirs_close(&s->dirs);
	datadir_give(&s->datadir);
	return whole;
}

int server_run(const struct config *conf, const struct config_cpus *cpus)
{
	struct server s = {.conf = conf, .cpus = cpus, .datadir.fd = -1};
	sigset_t signals;
	bool whole;
	int sig;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGUSR1);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	for (unsigned i = 0; i < conf->warnings_n; i++)
		log_line(LOG_WARN, "config=\"%s\"", conf->warning[i]);
	if (start(&s) != ZK_EOK) {
		fprintf(stderr, "zokord: %s\n", s.why);
		if (conf->log_file[0])
			log_line(LOG_ERROR, "start=failed reason=\"%s\"", s.why);
		(void)take_down(&s);
		return 1;
	}
	report_start(conf, s.port);
	sig = serve(&s, &signals);
	log_line(LOG_INFO, "stop=%s", sig == SIGTERM ? "SIGTERM" : "SIGINT");
	drain(&s);
	whole = take_down(&s);
	if (!s.log_whole)
		log_line(LOG_ERROR, "stopped=log-failed");
	else
		log_line(whole ? LOG_INFO : LOG_ERROR, "stopped=%s",
			 whole ? "clean" : "packets-missing");
	return whole && s.log_whole ? 0 : 1;
}
