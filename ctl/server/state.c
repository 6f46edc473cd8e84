/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/state.h"
#include "core/tree/tree.h"
#include "ctl/server/ensemble.h"
#include "ctl/server/facts.h"
#include "ctl/server/log.h"
#include "ctl/server/version.h"
#include "dp/eal/eal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	PENDING_MIN = 8192, /* transactions under way */
	PENDING_MAX = 32768,
	BYTES_PER_PENDING = 32 << 10, /* of dp.coreMemory */
	CHANGES_SOFT_MAX = 1 << 18,
	SNAP_SPARE_SEGMENTS = 2, /* room that a snapshot leaves for the log */
	LOG_SPIN_US = 100,       /* with a CPU to spare: no wake-up between a client's writes */
};

static const size_t index_slots_min = 1u << 14, index_slots_max = 1u << 24;
static const uint64_t index_bytes_per_slot = 1024; /* of the memory limit */

static bool random_bytes(void *p, size_t n)
{
	return getrandom(p, n, 0) == (ssize_t)n;
}

static enum zk_err make_tree(struct state *s)
{
	struct tree_conf tc = {.mem = &s->tree_mem.arena.mem,
			       .changes_soft_max = CHANGES_SOFT_MAX,
			       .digest = s->env->conf->digest_enabled};
	uint64_t want = s->env->conf->memory_limit / index_bytes_per_slot;
	enum zk_err err;

	for (tc.index_slots = index_slots_min;
	     tc.index_slots < want && tc.index_slots < index_slots_max;)
		tc.index_slots *= 2;
	err = eal_arena_open(&s->tree_mem, s->env->conf->memory_limit);
	if (err != ZK_EOK) {
		snprintf(s->why, STATE_WHY_MAX, "no memory for tree.memoryLimit=%llu",
			 (unsigned long long)s->env->conf->memory_limit);
		return err;
	}
	if (!random_bytes(&tc.key, sizeof(tc.key))) {
		snprintf(s->why, STATE_WHY_MAX, "getrandom: %s", strerror(errno));
		return ZK_EIO;
	}
	err = tree_new(&tc, &s->tree);
	if (err != ZK_EOK)
		snprintf(s->why, STATE_WHY_MAX, "tree: %s", zk_err_text(err));
	return err;
}

static void fill_auth(const struct config *c, struct auth_conf *a)
{
	memcpy(a->super_digest, c->super_digest, sizeof(a->super_digest));
	a->skip_acl = c->skip_acl;
	a->digest_sha256 = c->digest_sha256;
}

static void fill_shared(const struct state_env *env, struct srv_shared *sh)
{
	const struct config *c = env->conf;

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
	sh->data_dir = env->dirs->path[DISK_DATA];
	sh->data_log_dir = env->dirs->path[DISK_LOG];
	sh->server_id = 1;
	sh->tree_memory_limit_bytes = c->memory_limit;
	sh->started_wall_ms = env->started_wall_ms;
	sh->started_ns = env->started_ns;
	sh->os = facts_get;
	sh->environment = env->environment;
	if (env->ensemble)
		ensemble_share(env->ensemble, sh);
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

static enum zk_err make_loop(struct state *s)
{
	const struct config *c = s->env->conf;
	struct loop_conf lc = {
		.port = s->env->port,
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
			   .ask_bytes = c->quorum.request_bytes,
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

	if (s->env->ensemble)
		ensemble_loop_conf(s->env->ensemble, &lc);
	fill_auth(c, &lc.leader.auth);
	fill_tcp(c, &lc.tcp);
	memcpy(lc.core_cpu, c->core_cpu, sizeof(lc.core_cpu));
	memcpy(lc.net.mac, c->mac, sizeof(lc.net.mac));
	lc.net.addr = net_addr_v4(c->address);
	lc.net.prefix = c->prefix;
	if (c->gateway)
		lc.net.gateway = net_addr_v4(c->gateway);
	memcpy(lc.net.steer_key, s->env->steer_key, sizeof(lc.net.steer_key));
	if (!random_bytes(lc.net.secret, sizeof(lc.net.secret)) ||
	    !random_bytes(&lc.leader.snap_seed, sizeof(lc.leader.snap_seed)) ||
	    !random_bytes(&lc.srv_key, sizeof(lc.srv_key))) {
		snprintf(s->why, STATE_WHY_MAX, "getrandom: %s", strerror(errno));
		return ZK_EIO;
	}
	return loop_new(&lc, &s->loop, s->why);
}

static enum zk_err start_log(struct state *s, const struct config_cpus *cpus, bool spare)
{
	const struct config *c = s->env->conf;
	struct logwriter_conf lc = {.log = loop_log(s->loop),
				    .leader = loop_leader_waker(s->loop),
				    .dirs = s->env->dirs,
				    .last_zxid = tree_last_zxid(s->tree),
				    .prealloc_bytes = c->prealloc_bytes,
				    .size_limit = c->log_size_limit,
				    .slow_ms = c->fsync_warning_ms,
				    .no_sync = !c->force_sync,
				    .spin_us = spare ? LOG_SPIN_US : 0,
				    .cpus = *cpus};
	enum zk_err err = logwriter_start(&s->log, &lc);

	if (err != ZK_EOK) {
		snprintf(s->why, STATE_WHY_MAX, "log writer: %s", strerror(errno));
		return err;
	}
	s->logging = true;
	logwriter_metrics(&s->log, &s->shared->metrics);
	log_line(LOG_INFO, "log=begun dir=\"%s\" after=0x%llx forceSync=%s io=%s",
		 s->env->dirs->path[DISK_LOG], (unsigned long long)lc.last_zxid,
		 lc.no_sync ? "no" : "yes", s->log.view.uring ? "io_uring" : "plain");
	return ZK_EOK;
}

static enum zk_err start_snapshots(struct state *s, const struct config_cpus *cpus)
{
	const struct config *c = s->env->conf;
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
		snprintf(s->why, STATE_WHY_MAX, "snapshot thread: %s", strerror(errno));
	return err;
}

static enum zk_err recover(struct state *s, const struct recovery_hooks *hooks)
{
	struct disk_posix disk;
	enum zk_err err;

	disk_posix_init(&disk, s->env->dirs, false);
	err = recovery_run(&s->recovery, s->env->conf, &disk.disk, s->tree, hooks, s->why,
			   STATE_WHY_MAX);
	disk_posix_fini(&disk);
	return err;
}

static enum zk_err make_snapshots(struct state *s)
{
	const struct recover_result *r = &s->recovery.result;
	const struct store_name name = {
		.kind = STORE_SNAPSHOT, .pack = s->env->conf->snap_pack, .zxid = r->zxid};
	char text[STORE_NAME_MAX];
	enum zk_err err = snapshotter_init(&s->snap, LEADER_SESSIONS_MAX);

	if (err != ZK_EOK) {
		snprintf(s->why, STATE_WHY_MAX, "snapshots: %s", zk_err_text(err));
		return err;
	}
	disk_posix_init(&s->snap_disk, s->env->dirs, false);
	snapshotter_metrics(&s->snap, &s->shared->metrics);
	recovery_metrics(&s->recovery, &s->shared->metrics);
	store_name_format(&name, text);
	s->snap_due = !r->empty && (r->txns > 0 || strcmp(r->snapshot, text) != 0);
	return ZK_EOK;
}

enum zk_err state_load(struct state *s, const struct state_env *env,
		       const struct recovery_hooks *hooks)
{
	enum zk_err err;

	*s = (struct state){.env = env};
	err = make_tree(s);
	return err == ZK_EOK ? recover(s, hooks) : err;
}

enum zk_err state_build(struct state *s)
{
	enum zk_err err;

	s->shared = calloc(1, sizeof(*s->shared));
	if (!s->shared) {
		snprintf(s->why, STATE_WHY_MAX, "out of memory");
		return ZK_ENOMEM;
	}
	fill_shared(s->env, s->shared);
	err = make_snapshots(s);
	if (err == ZK_EOK)
		err = make_loop(s);
	recovery_free(&s->recovery); /* the leader has taken the sessions */
	return err;
}

enum zk_err state_start(struct state *s)
{
	struct config_cpus cpus;
	bool spare = helper_cpus(s->env->conf, s->env->cpus, &cpus);
	enum zk_err err = start_log(s, &cpus, spare);

	if (err == ZK_EOK)
		err = start_snapshots(s, &cpus);
	if (err != ZK_EOK)
		return err;
	err = reclaimer_start(&s->reclaimer, loop_garbage(s->loop), loop_leader_waker(s->loop),
			      &cpus);
	if (err != ZK_EOK) {
		snprintf(s->why, STATE_WHY_MAX, "reclaimer thread: %s", strerror(errno));
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

bool state_stop(struct state *s)
{
	bool whole = true;

	snapshotter_stop(&s->snap);
	if (s->running)
		loop_stop(s->loop);
	if (s->logging)
		whole = logwriter_stop(&s->log) == ZK_EOK;
	if (s->reclaiming)
		reclaimer_stop(&s->reclaimer);
	s->running = s->logging = s->reclaiming = false;
	return whole;
}

bool state_free(struct state *s)
{
	bool whole = true;

	if (s->loop)
		whole = loop_free(s->loop);
	snapshotter_fini(&s->snap);
	if (s->tree)
		tree_free(s->tree);
	eal_arena_close(&s->tree_mem);
	free(s->shared);
	recovery_free(&s->recovery);
	*s = (struct state){.env = s->env};
	return whole;
}
