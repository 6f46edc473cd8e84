/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a member is replaced: TRUNC and SNAP (Learner.syncWithLeader). Meanwhile the main
 * thread runs the quorum's network itself, so that the connection to the leader stays. */
#include "core/store/snap_receive.h"
#include "core/store/truncate.h"
#include "core/tree/tree.h"
#include "ctl/server/ensemble.h"
#include "ctl/server/log.h"
#include "ctl/server/recovery_pipe.h"

#include <stdio.h>
#include <time.h>

enum {
	NAP_US = 200, /* nothing has come */
	SNAP_SPARE_SEGMENTS = 2,
};

struct rebuild {
	struct ensemble *e;
	struct quorum_rebuild what;
	struct disk_posix disk;
	struct zk_mem mem;
	bool (*stop)(void *ctx);
	void *ctx;
	bool done;     /* what was asked for */
	uint64_t zxid; /* then: what will be loaded */
};

static unsigned poll_peer(struct ensemble *e)
{
	return peer_alone_poll(e->peer, eal_now_ns());
}

static void meanwhile(void *ctx)
{
	(void)poll_peer(ctx);
}

static void nap(void)
{
	struct timespec ts = {.tv_nsec = NAP_US * 1000};

	(void)nanosleep(&ts, NULL);
}

/* ---- TRUNC ---- */

static void cut_log(struct rebuild *r)
{
	const struct config *c = r->e->conf;
	struct recovery_pipe pipe;
	struct recover_pipe hooks;
	struct truncate_conf tc = {.disk = &r->disk.disk,
				   .mem = &r->mem,
				   .length_max = recovery_length_max(c),
				   .zxid = r->what.zxid,
				   .pipe = &hooks};
	struct truncate_result tr;
	enum zk_err err;

	recovery_pipe_init(&pipe, disk_dir_text(&r->disk.disk, DISK_DATA));
	hooks = recovery_pipe_hooks(&pipe);
	err = truncate_run(&tc, &tr);
	recovery_pipe_fini(&pipe);
	if (err != ZK_EOK) {
		log_line(LOG_ERROR, "truncate=failed zxid=0x%llx reason=\"%s\"",
			 (unsigned long long)r->what.zxid, tr.why);
		return;
	}
	log_line(LOG_INFO, "truncate=done zxid=0x%llx cutBytes=%llu logs=%u snapshots=%u",
		 (unsigned long long)tr.zxid, (unsigned long long)tr.cut_bytes, tr.logs,
		 tr.snapshots);
	r->done = true;
	r->zxid = tr.zxid; /* below what was asked for where that only begins an epoch */
}

/* ---- SNAP ---- */

/* All of the stream. @return ZK_EOK; ZK_ECLOSED: the connection, or the operator; an error. */
static enum zk_err take_stream(struct rebuild *r, struct snap_receive *sr)
{
	struct quorum *q = r->e->quorum;
	struct zk_span window;
	enum zk_err err;
	size_t used;

	for (;;) {
		unsigned work = poll_peer(r->e);

		if (r->stop(r->ctx))
			return ZK_ECLOSED;
		err = quorum_rebuild_peek(q, &window);
		if (err != ZK_EOK)
			return err;
		if (window.n == 0) {
			if (!work)
				nap();
			continue;
		}
		err = snap_receive_put(sr, window, &used);
		quorum_rebuild_take(q, used);
		if (err != ZK_EAGAIN)
			return err;
	}
}

static void receive(struct rebuild *r)
{
	const struct config *c = r->e->conf;
	struct snap_receive_conf rc = {.disk = &r->disk.disk,
				       .mem = &r->mem,
				       .zxid = r->what.zxid,
				       .length_max = recovery_length_max(c),
				       .spare_bytes = SNAP_SPARE_SEGMENTS * c->prealloc_bytes};
	struct snap_receive sr;
	enum zk_err err = snap_receive_begin(&sr, &rc);

	if (err == ZK_EOK)
		err = take_stream(r, &sr);
	if (err == ZK_EOK)
		err = snap_receive_commit(&sr);
	if (err == ZK_EOK)
		log_line(LOG_INFO, "snapshot=received zxid=0x%llx znodes=%llu sessions=%llu",
			 (unsigned long long)r->what.zxid, (unsigned long long)sr.nodes,
			 (unsigned long long)sr.sessions);
	else
		log_line(LOG_ERROR, "snapshot=not-received zxid=0x%llx reason=\"%s\"",
			 (unsigned long long)r->what.zxid, sr.why[0] ? sr.why : zk_err_text(err));
	/* an error behind the point of no return: recovery finishes it */
	r->done = err == ZK_EOK || sr.replaced.found;
	r->zxid = r->what.zxid;
	snap_receive_end(&sr);
}

/* ---- around them ---- */

static void replace_files(struct rebuild *r)
{
	disk_posix_init(&r->disk, r->e->dirs, false);
	zk_mem_init_heap(&r->mem, 0);
	if (r->what.kind == QUORUM_REBUILD_TRUNCATE)
		cut_log(r);
	else
		receive(r);
	zk_assert(r->mem.used_bytes == 0);
	disk_posix_fini(&r->disk);
}

static enum zk_err serve_again(struct rebuild *r, struct state *s)
{
	const struct recovery_hooks hooks = {.ctx = r->e, .meanwhile = meanwhile};
	enum zk_err err = state_load(s, s->env, &hooks);
	uint64_t zxid;

	if (err == ZK_EOK)
		err = state_build(s);
	if (err == ZK_EOK) {
		zxid = tree_last_zxid(s->tree);
		err = ensemble_bind(r->e, s);
	}
	if (err == ZK_EOK) {
		quorum_rebuilt(r->e->quorum, zxid, r->done && zxid == r->zxid, eal_now_ns());
		/* an Apache leader's snapshot is right only with what follows it */
		s->snap_when_serving = r->what.kind == QUORUM_REBUILD_SNAP;
		err = state_start(s);
	}
	if (err != ZK_EOK)
		snprintf(r->e->why, ENSEMBLE_WHY_MAX, "%s", s->why);
	return err;
}

enum zk_err ensemble_rebuild(struct ensemble *e, struct state *s, bool (*stop)(void *ctx),
			     void *ctx)
{
	struct rebuild r = {.e = e, .stop = stop, .ctx = ctx};
	uint64_t began = eal_now_ns();
	enum zk_err err;
	bool whole;

	quorum_rebuild_get(e->quorum, &r.what);
	log_line(LOG_INFO, "rebuild=%s zxid=0x%llx",
		 r.what.kind == QUORUM_REBUILD_TRUNCATE ? "truncate" : "snapshot",
		 (unsigned long long)r.what.zxid);
	whole = state_stop(s);
	ensemble_unbind(e);
	if (!state_free(s))
		log_line(LOG_ERROR, "rebuild=packets-missing");
	if (!whole)
		log_line(LOG_ERROR, "rebuild=log-failed");
	replace_files(&r);
	if (stop(ctx))
		return ZK_ECLOSED;
	err = serve_again(&r, s);
	if (err == ZK_EOK)
		log_line(LOG_INFO, "rebuild=%s zxid=0x%llx ms=%llu", r.done ? "done" : "failed",
			 (unsigned long long)tree_last_zxid(s->tree),
			 (unsigned long long)(eal_now_ns() - began) / 1000000);
	return err;
}
