/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/snapshotter.h"
#include "core/rcu.h"
#include "core/store/purge.h"
#include "ctl/server/log.h"
#include "ctl/server/snap_pack.h"

#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
	BUFFER_FIRST = 256 << 10,
	SLICE_NODES = 128, /* between quiescent points */
	NICENESS = 10,
	MS_PER_S = 1000,
	NS_PER_MS = 1000000,
};

static const uint64_t hour_ns = UINT64_C(3600) * 1000000000;

/* One snapshot under way. */
struct job {
	struct snapshotter *s;
	struct snap_tree tree;
	struct snap_file file;
	struct snap_pack *pack;
	uint8_t *buf;
	size_t cap;
	uint64_t began_ns, memory_then, grown;
	const char *step; /* of what failed outside of the file; static */
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void count(_Atomic uint64_t *c, uint64_t n)
{
	/* one writer */
	atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

static void set(_Atomic uint64_t *c, uint64_t v)
{
	atomic_store_explicit(c, v, memory_order_relaxed);
}

static bool stopping(const struct snapshotter *s)
{
	/* partner: snapshotter_stop(); no data goes with it */
	return atomic_load_explicit(&s->stop, memory_order_relaxed);
}

static uint64_t tree_memory(const struct snapshotter *s)
{
	struct tree_stats st;

	tree_stats_get(s->conf.tree, &st);
	return st.memory_bytes;
}

/* ---- one snapshot ---------------------------------------------------------------------------- */

/* Bytes into the buffer until it is full, as an RCU reader. @return as snap_tree_next(), never
 * ZK_EAGAIN; ZK_EBUSY: revoked; ZK_ECLOSED: the server stops. */
static enum zk_err fill(struct job *j, struct jute_out *out)
{
	struct snap_desk *d = &j->s->desk;
	enum zk_err err = ZK_EAGAIN;

	*out = jute_out_of(j->buf, j->cap);
	zk_rcu_online();
	while (err == ZK_EAGAIN) {
		if (stopping(j->s))
			err = ZK_ECLOSED;
		else if (!snap_desk_revoked(d))
			err = snap_tree_next(&j->tree, out, SLICE_NODES);
		if (snap_desk_revoked(d))
			err = ZK_EBUSY;
		zk_rcu_quiescent();
	}
	zk_rcu_offline();
	return err;
}

/* A node that is larger than the buffer. */
static enum zk_err widen(struct job *j)
{
	size_t cap = j->cap;
	uint8_t *more;

	while (cap < j->tree.need)
		cap *= 2;
	more = realloc(j->buf, cap);
	if (!more)
		return ZK_ENOMEM;
	j->buf = more;
	j->cap = cap;
	return ZK_EOK;
}

static enum zk_err write_all(struct job *j)
{
	enum zk_err err;

	do {
		struct jute_out out;
		uint64_t memory;
		enum zk_err put;

		err = fill(j, &out);
		memory = tree_memory(j->s);
		if (memory > j->memory_then && memory - j->memory_then > j->grown)
			j->grown = memory - j->memory_then;
		if (err != ZK_EOK && err != ZK_EFULL) {
			j->step = "reading the tree";
			return err;
		}
		if (err == ZK_EFULL && jute_out_len(&out) == 0) {
			put = widen(j);
			if (put != ZK_EOK)
				j->step = "memory";
		} else {
			put = snap_file_put(&j->file, zk_span_of(j->buf, jute_out_len(&out)));
		}
		if (put != ZK_EOK)
			return put;
	} while (err == ZK_EFULL);
	return ZK_EOK;
}

static enum zk_err begin(struct job *j)
{
	struct snapshotter *s = j->s;
	const struct snap_desk *d = &s->desk;
	const struct snap_tree_conf tc = {.tree = s->conf.tree,
					  .mem = &s->mem,
					  .zxid = d->zxid,
					  .session = d->session,
					  .sessions = d->sessions,
					  .digest = s->conf.digest,
					  .last_zxid = s->conf.last_zxid};
	struct snap_file_conf fc = {.disk = s->conf.disk,
				    .zxid = d->zxid,
				    .kind = s->conf.pack,
				    .spare_bytes = s->conf.spare_bytes};
	enum zk_err err;

	j->step = "memory";
	j->cap = BUFFER_FIRST;
	j->buf = malloc(j->cap);
	if (!j->buf || snap_packer_new(s->conf.pack, &j->pack) != ZK_EOK)
		return ZK_ENOMEM;
	err = snap_tree_init(&j->tree, &tc);
	if (err != ZK_EOK)
		return err;
	fc.pack = j->pack;
	j->step = NULL;
	err = snap_file_open(&j->file, &fc);
	if (err != ZK_EOK)
		snap_tree_fini(&j->tree);
	return err;
}

static void check_digest(struct job *j)
{
	const struct snap_desk *d = &j->s->desk;

	if (!d->has_digest || d->digest == j->tree.digest)
		return;
	count(&j->s->digest_mismatches, 1);
	log_line(LOG_ERROR, "snapshot=digest-mismatch zxid=0x%llx kept=0x%llx nodes=0x%llx",
		 (unsigned long long)d->zxid, (unsigned long long)d->digest,
		 (unsigned long long)j->tree.digest);
}

static void succeeded(const struct job *j)
{
	struct snapshotter *s = j->s;
	uint64_t ms = (now_ns() - j->began_ns) / NS_PER_MS;

	zk_metric_add(&s->time_ms, ms);
	count(&s->written, 1);
	set(&s->last_zxid, j->tree.conf.zxid);
	set(&s->last_bytes, j->file.bytes);
	set(&s->last_nodes, j->tree.nodes);
	set(&s->grown_bytes, j->grown);
	log_line(LOG_INFO,
		 "snapshot=written file=%s zxid=0x%llx nodes=%llu sessions=%u aclLists=%llu "
		 "bytes=%llu ms=%llu treeGrownBytes=%llu",
		 j->file.name, (unsigned long long)j->tree.conf.zxid,
		 (unsigned long long)j->tree.nodes, j->tree.conf.sessions,
		 (unsigned long long)j->tree.acls, (unsigned long long)j->file.bytes,
		 (unsigned long long)ms, (unsigned long long)j->grown);
}

static void failed(const struct job *j, uint64_t zxid, enum zk_err err)
{
	struct snapshotter *s = j->s;
	struct disk *d = s->conf.disk;

	if (err == ZK_ECLOSED) {
		log_line(LOG_INFO, "snapshot=given-up zxid=0x%llx reason=\"the server stops\"",
			 (unsigned long long)zxid);
		return;
	}
	if (err == ZK_EBUSY) {
		count(&s->given_way, 1);
		log_line(LOG_WARN,
			 "snapshot=gave-way zxid=0x%llx reason=\"memory is short\" "
			 "treeGrownBytes=%llu",
			 (unsigned long long)zxid, (unsigned long long)j->grown);
		return;
	}
	count(&s->errors, 1);
	log_line(LOG_ERROR, "snapshot=failed zxid=0x%llx step=\"%s\" reason=\"%s\"",
		 (unsigned long long)zxid, j->step ? j->step : j->file.step,
		 !j->step && d->os_error ? disk_error_text(d) : zk_err_text(err));
}

/* The desk is ours: write what is on it and give it back. */
static void one_snapshot(struct snapshotter *s)
{
	struct job j = {.s = s, .began_ns = now_ns(), .memory_then = tree_memory(s)};
	uint64_t zxid = s->desk.zxid;
	enum zk_err err = begin(&j);
	bool open = err == ZK_EOK;

	if (open) {
		err = write_all(&j);
		if (err == ZK_EOK)
			check_digest(&j);
	}
	/* The rest does not look at the tree. */
	snap_desk_done(&s->desk);
	waker_kick(s->conf.leader);
	if (err == ZK_EOK)
		err = snap_file_commit(&j.file);
	if (err == ZK_EOK) {
		succeeded(&j);
	} else {
		if (open)
			snap_file_abort(&j.file);
		failed(&j, zxid, err);
	}
	if (open)
		snap_tree_fini(&j.tree);
	snap_packer_free(j.pack);
	free(j.buf);
}

/* ---- purge ----------------------------------------------------------------------------------- */

static void purged(void *ctx, enum disk_dir dir, const char *name, enum zk_err err)
{
	struct snapshotter *s = ctx;
	struct disk *d = s->conf.disk;

	if (err == ZK_EOK)
		log_line(LOG_INFO, "purge=removed file=\"%s/%s\"", disk_dir_text(d, dir), name);
	else
		log_line(LOG_ERROR, "purge=failed file=\"%s/%s\" reason=\"%s\"",
			 disk_dir_text(d, dir), name, disk_error_text(d));
}

/* DatadirCleanupManager: at the start, then at a fixed rate. */
static void purge(struct snapshotter *s)
{
	struct purge_conf pc = {.disk = s->conf.disk,
				.mem = &s->mem,
				.keep = s->conf.retain,
				.each = purged,
				.ctx = s};
	struct purge_result r;
	enum zk_err err = purge_run(&pc, &r);

	while (s->purge_ns <= now_ns())
		s->purge_ns += s->conf.purge_hours * hour_ns;
	count(&s->purged_snapshots, r.snapshots);
	count(&s->purged_logs, r.logs);
	count(&s->purge_errors, r.failed + (err != ZK_EOK));
	if (err != ZK_EOK)
		log_line(LOG_ERROR, "purge=failed reason=\"%s\"",
			 err == ZK_ENOMEM ? zk_err_text(err) : disk_error_text(s->conf.disk));
	else
		log_line(LOG_INFO, "purge=done kept=%u snapshots=%u logs=%u", r.kept, r.snapshots,
			 r.logs);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static bool purge_due(const struct snapshotter *s)
{
	return s->conf.purge_hours && now_ns() >= s->purge_ns;
}

static int wait_ms(const struct snapshotter *s)
{
	uint64_t now = now_ns();

	if (!s->conf.purge_hours)
		return -1;
	if (now >= s->purge_ns)
		return 0;
	/* an hour at most, so that the type holds it */
	uint64_t ns = s->purge_ns - now < hour_ns ? s->purge_ns - now : hour_ns;

	return (int)(ns / NS_PER_MS) + 1;
}

static void *snapshotter_main(void *arg)
{
	struct snapshotter *s = arg;
	unsigned swept;

	(void)pthread_setname_np(pthread_self(), "zk-snapshot");
	(void)!nice(NICENESS); /* this thread more than the server; a wish */
	zk_rcu_register();
	zk_rcu_offline();
	swept = snap_file_sweep(s->conf.disk);
	if (swept)
		log_line(LOG_INFO, "snapshot=swept leftOvers=%u", swept);
	while (!stopping(s)) {
		struct pollfd fd = {.fd = s->waker.fd, .events = POLLIN};

		if (purge_due(s))
			purge(s);
		if (snap_desk_ready(&s->desk)) {
			one_snapshot(s);
			continue;
		}
		waker_announce(&s->waker);
		if (!snap_desk_ready(&s->desk) && !stopping(s))
			(void)poll(&fd, 1, wait_ms(s));
		waker_clear(&s->waker);
	}
	zk_rcu_unregister();
	return NULL;
}

enum zk_err snapshotter_init(struct snapshotter *s, uint32_t sessions_max)
{
	struct snap_session *session;

	memset(s, 0, sizeof(*s));
	if (waker_init(&s->waker) != ZK_EOK)
		return ZK_EIO;
	/* Pages of it exist once there are so many sessions. */
	session = malloc(sessions_max * sizeof(*session));
	if (!session) {
		waker_fini(&s->waker);
		return ZK_ENOMEM;
	}
	snap_desk_init(&s->desk, session, sessions_max);
	zk_mem_init_heap(&s->mem, 0);
	return ZK_EOK;
}

void snapshotter_metrics(struct snapshotter *s, struct metrics *m)
{
	metrics_summary(m, "snapshottime", &s->time_ms);
	metrics_counter(m, "snapshot_error_count", &s->errors);
	metrics_counter(m, "snapshot_gave_way_count", &s->given_way);
	metrics_counter(m, "snapshot_busy_count", &s->desk.busy);
	metrics_counter(m, "snapshot_purged_count", &s->purged_snapshots);
	metrics_counter(m, "txnlog_purged_count", &s->purged_logs);
	metrics_counter(m, "purge_error_count", &s->purge_errors);
	metrics_gauge(m, "snapshot_last_zxid", &s->last_zxid);
	metrics_gauge(m, "snapshot_last_bytes", &s->last_bytes);
	metrics_gauge(m, "snapshot_memory_grown_bytes", &s->grown_bytes);
}

enum zk_err snapshotter_start(struct snapshotter *s, const struct snapshotter_conf *conf)
{
	enum zk_err err;

	s->conf = *conf;
	s->purge_ns = now_ns();
	atomic_init(&s->stop, false);
	err = helper_start(&s->id, snapshotter_main, s, &conf->cpus);
	s->started = err == ZK_EOK;
	return err;
}

void snapshotter_ask(struct snapshotter *s)
{
	snap_desk_ask(&s->desk);
	waker_kick(s->conf.leader);
}

void snapshotter_stop(struct snapshotter *s)
{
	if (!s->started)
		return;
	atomic_store_explicit(&s->stop, true, memory_order_relaxed);
	waker_kick(&s->waker);
	(void)pthread_join(s->id, NULL);
	s->started = false;
}

void snapshotter_fini(struct snapshotter *s)
{
	if (!s->desk.session)
		return;
	zk_assert(!s->started && s->mem.used_bytes == 0);
	free(s->desk.session);
	s->desk.session = NULL;
	waker_fini(&s->waker);
}
