/* SPDX-License-Identifier: Apache-2.0 */
/* What ctl/server does with the files, in one thread. */
#include "test/sim/cluster_files.h"

#include "test/sim/cluster_int.h"

#include <stdio.h>
#include <stdlib.h>

enum { PREALLOC = 64 << 10, STOP_STEPS = 1000, CRASH_CALLS = 12, CHUNK_BYTES = 80 << 10 };

static struct cl_files *files_of(const struct cl_server *s)
{
	return s->disk.files;
}

/* The log has view 0; nobody else submits to it. */
static struct disk *view_of(const struct cl_server *s)
{
	return sim_disk_view(files_of(s)->sim, 1);
}

static uint64_t clock_ns(void *ctx)
{
	return ((const struct cl_server *)ctx)->w->now_ns;
}

void cl_files_init(struct cl_server *s)
{
	struct cl_files *f = calloc(1, sizeof(*f));

	zk_assert(f);
	s->disk.files = f;
	f->sim = sim_disk_new(1 + cl_draw(s->w, UINT32_MAX));
	f->conf.conf.length_max = 2 * CL_MAXBUFFER;
	f->conf.conf.snap_factor_ppm = cl_chance(s->w, 500) ? 0 : 330000;
	zk_mem_init_heap(&f->mem, 0);
}

void cl_files_fini(struct cl_server *s)
{
	struct cl_files *f = files_of(s);

	zk_assert(f->mem.used_bytes == 0);
	sim_disk_free(f->sim);
	free(f);
	s->disk.files = NULL;
}

/* Death at one of the next calls of the disk. */
static void maybe_die(struct cl_server *s)
{
	struct sim_disk *d = files_of(s)->sim;

	if (!cl_faulty(s->w) || !cl_chance(s->w, 150))
		return;
	memset(d->calls, 0, sizeof(d->calls));
	d->fault_call = SIM_CALLS;
	d->fault_at = 1 + cl_draw(s->w, CRASH_CALLS);
	d->fault_more = 0;
	d->fault_err = ZK_EOK;
}

static void live_on(struct cl_server *s)
{
	struct sim_disk *d = files_of(s)->sim;

	d->fault_at = 0;
	if (d->crashed && !s->dying) {
		s->dying = true;
		s->w->on_files.died++;
	}
}

/* ---- the log ---- */

static void say(void *ctx, enum recover_level level, const char *line)
{
	const struct cl_server *s = ctx;

	if (getenv("TRACE"))
		fprintf(stderr, "%.6f server %u: %d %s\n", (double)s->w->now_ns / 1e9, s->index + 1,
			(int)level, line);
}

static uint64_t soon(struct cl_server *s)
{
	struct cl *w = s->w;

	return w->now_ns +
	       (s->disk.slow ? 5000 + cl_draw(w, 60000) : 50 + cl_draw(w, 1000)) * UINT64_C(1000);
}

static void put(struct cl_server *s)
{
	struct cl_files *f = files_of(s);
	const struct cl_disk *d = &s->disk;

	for (; f->put < d->n; f->put++) {
		const struct cl_txn *t = &d->log[f->put];
		enum zk_err err = wal_put(&f->wal, t->zxid, zk_span_of(t->p, t->n));

		if (err == ZK_EAGAIN)
			return;
		if (err != ZK_EOK) {
			if (!f->sim->crashed)
				cl_broken(s->w, s->index, "the log takes nothing", t->zxid);
			return;
		}
	}
}

void cl_files_append(struct cl_server *s)
{
	struct cl_files *f = files_of(s);

	if (!f->step_ns)
		f->step_ns = soon(s);
}

static void go_on(struct cl_server *s)
{
	struct cl_files *f = files_of(s);
	struct cl_disk *d = &s->disk;

	put(s);
	(void)wal_step(&f->wal, f->put == d->n);
	for (; d->synced < d->n && d->log[d->synced].zxid <= wal_durable(&f->wal); d->synced++) {
		const struct cl_txn *t = &d->log[d->synced];

		if (memcmp(t->lent, t->p, t->n) != 0)
			cl_broken(s->w, s->index, "bytes were changed before they were synced",
				  t->zxid);
	}
	if (f->wal.state != WAL_GOOD && !f->sim->crashed)
		cl_broken(s->w, s->index, "the log has failed", wal_durable(&f->wal));
}

void cl_files_step(struct cl_server *s)
{
	struct cl_files *f = files_of(s);

	if (!f->step_ns || s->w->now_ns < f->step_ns)
		return;
	maybe_die(s);
	go_on(s);
	live_on(s);
	f->step_ns = s->disk.synced < s->disk.n || f->wal.under_way ? soon(s) : 0;
}

void cl_files_stop(struct cl_server *s)
{
	struct cl_files *f = files_of(s);

	for (unsigned i = 0; s->disk.synced < s->disk.n || f->wal.under_way; i++) {
		zk_assert(i < STOP_STEPS);
		go_on(s);
		if (s->w->failed)
			return;
	}
	wal_fini(&f->wal);
	f->logging = false;
	f->step_ns = 0;
}

void cl_files_crash(struct cl_server *s)
{
	struct cl_files *f = files_of(s);
	bool power = cl_chance(s->w, 700);

	f->sim->crashed = true; /* nothing ends properly */
	for (uint32_t i = 0; i < ZAB_LINKS_MAX; i++)
		if (f->reading[i].used)
			cl_files_feed_cancel(s, i);
	cl_files_snap_end(s);
	f->wal.under_way = 0;
	f->wal.open = false;
	if (f->logging)
		wal_fini(&f->wal);
	f->logging = false;
	f->step_ns = 0;
	f->sim->fault_at = 0;
	s->w->on_files.powers += power;
	if (power)
		sim_disk_crash(f->sim);
	else
		sim_disk_kill(f->sim);
	f->sim->crashed = false;
}

/* ---- epochs ---- */

bool cl_files_epoch(struct cl_server *s, enum zab_file file, uint64_t epoch)
{
	struct cl_files *f = files_of(s);
	enum epoch_file which = file == ZAB_ACCEPTED_EPOCH ? EPOCH_ACCEPTED : EPOCH_CURRENT;
	char why[EPOCH_WHY_MAX];
	enum zk_err err;

	zk_assert(epoch < 64);
	f->epoch_tried[file] |= UINT64_C(1) << epoch;
	maybe_die(s);
	err = epoch_write(view_of(s), which, (int64_t)epoch, why);
	live_on(s);
	if (err != ZK_EOK && !f->sim->crashed)
		cl_broken(s->w, s->index, "an epoch cannot be written", epoch);
	return err == ZK_EOK && !f->sim->crashed;
}

static void recover_epochs(struct cl_server *s, uint64_t last)
{
	struct cl_files *f = files_of(s);
	struct epochs e;
	char why[EPOCH_WHY_MAX];
	enum zk_err err = epoch_load(view_of(s), last, &e, why);
	uint64_t found[2];

	if (err != ZK_EOK) {
		say(s, RECOVER_ERROR, why);
		cl_broken(s->w, s->index, "the epochs contradict each other", last);
		return;
	}
	found[ZAB_ACCEPTED_EPOCH] = (uint64_t)e.accepted;
	found[ZAB_CURRENT_EPOCH] = (uint64_t)e.current;
	s->w->on_files.behind += last >> 32 > s->disk.epoch[ZAB_CURRENT_EPOCH];
	for (unsigned i = 0; i < 2; i++) {
		/* not older than what was certain, and nothing that nobody has begun to write */
		if (s->w->naive != CL_NO_EPOCH && found[i] != s->disk.epoch[i] &&
		    (found[i] < s->disk.epoch[i] || !(f->epoch_tried[i] >> found[i] & 1)))
			cl_broken(s->w, s->index, "an epoch is not one that was written", found[i]);
		s->disk.epoch[i] = found[i];
	}
}

/* ---- recovery ---- */

static void replayed(void *ctx, const struct txn_record *txn, struct zk_span payload)
{
	struct cl_server *s = ctx;
	struct cl_files *f = files_of(s);
	const struct cl_disk *d = &s->disk;
	const struct cl_txn *t = &d->log[f->replayed];
	uint64_t zxid = (uint64_t)txn->header.zxid;

	if (zxid <= d->base_zxid)
		return;
	if (f->replayed == d->n || t->zxid != zxid || t->n != payload.n ||
	    memcmp(t->p, payload.p, t->n) != 0) {
		cl_broken(s->w, s->index, "recovery gives what was not logged", zxid);
		return;
	}
	f->replayed++;
	if (f->tell && zxid > d->purged)
		quorum_replayed(s->quorum, zxid, payload);
}

/* A snapshot was being put in the place of everything when the server died: before or after? */
static void settle_snap(struct cl_server *s)
{
	struct cl_files *f = files_of(s);
	struct replace_result r;
	enum zk_err err = replace_finish(view_of(s), &f->mem, &r);

	if (err != ZK_EOK)
		cl_broken(s->w, s->index, "a received snapshot cannot be put in place", 0);
	if (r.found && r.zxid != f->snap_zxid)
		cl_broken(s->w, s->index, "a snapshot that was not received", r.zxid);
	if (r.found)
		cl_disk_rebase(&s->disk, r.zxid);
	f->snap_zxid = 0;
}

static void copy_sessions(struct cl_server *s, const struct recover_result *r)
{
	if (s->sessions_max < r->sessions) {
		s->sessions_max = r->sessions;
		s->session = realloc(s->session, s->sessions_max * sizeof(*s->session));
		zk_assert(s->session);
	}
	s->sessions = r->sessions;
	if (r->sessions)
		memcpy(s->session, r->session, r->sessions * sizeof(*s->session));
}

static void check_recovered(struct cl_server *s, const struct recover_result *r)
{
	struct cl_files *f = files_of(s);
	struct cl_disk *d = &s->disk;

	if (f->replayed < d->synced)
		cl_broken(s->w, s->index, "what was synced is not recovered",
			  d->log[f->replayed].zxid);
	if (r->digest_mismatches)
		cl_broken(s->w, s->index, "replay gives another state", r->digest_mismatch_zxid);
	s->w->on_files.recoveries++;
	s->w->on_files.forgotten += d->n - f->replayed;
	cl_disk_keep(d, f->replayed);
	if (r->zxid != (d->n ? d->log[d->n - 1].zxid : d->base_zxid))
		cl_broken(s->w, s->index, "recovery ends elsewhere", r->zxid);
}

static void begin_log(struct cl_server *s, uint64_t last)
{
	static const uint64_t limit[] = {0, 30000};
	struct cl_files *f = files_of(s);
	struct wal_conf wc = {.disk = sim_disk_view(f->sim, 0),
			      .mem = &f->mem,
			      .now_ns = clock_ns,
			      .clock = s,
			      .prealloc_bytes = PREALLOC,
			      .size_limit = limit[cl_draw(s->w, 2)]};
	enum zk_err err = wal_init(&f->wal, &wc, last);

	zk_assert(err == ZK_EOK);
	f->logging = true;
	f->put = s->disk.n;
}

void cl_files_recover(struct cl_server *s, bool tell)
{
	struct cl_files *f = files_of(s);
	struct recover_conf rc = {.disk = view_of(s),
				  .tree = s->tree,
				  .mem = &f->mem,
				  .length_max = 2 * CL_MAXBUFFER,
				  .trust_empty = false,
				  .autocreate = true,
				  .ctx = s,
				  .say = say,
				  .replayed = replayed};
	struct recover_result r;
	enum zk_err err;

	settle_snap(s);
	f->replayed = 0;
	f->tell = tell;
	s->sessions = 0;
	err = recover_run(&rc, &r);
	if (err == ZK_EOK && !r.snapshot[0])
		err = recover_save(&rc, &r);
	if (err != ZK_EOK) {
		say(s, RECOVER_ERROR, r.why);
		cl_broken(s->w, s->index, "recovery refuses", s->disk.base_zxid);
	} else {
		check_recovered(s, &r);
		copy_sessions(s, &r);
		if (tell)
			recover_epochs(s, r.zxid);
	}
	recover_free(&rc, &r);
	begin_log(s, s->disk.n ? s->disk.log[s->disk.n - 1].zxid : s->disk.base_zxid);
}

/* ---- TRUNC and SNAP ---- */

void cl_files_truncate(struct cl_server *s, uint64_t zxid)
{
	struct cl_files *f = files_of(s);
	struct truncate_conf tc = {
		.disk = view_of(s), .mem = &f->mem, .length_max = 2 * CL_MAXBUFFER, .zxid = zxid};
	struct truncate_result tr;
	enum zk_err err;
	uint32_t n = s->disk.n;

	while (n && s->disk.log[n - 1].zxid > zxid)
		n--;
	maybe_die(s);
	err = truncate_run(&tc, &tr);
	live_on(s);
	if (f->sim->crashed) {
		s->disk.synced = n < s->disk.synced ? n : s->disk.synced;
		return;
	}
	s->w->on_files.cuts += err == ZK_EOK;
	if (err == ZK_EOK)
		cl_disk_keep(&s->disk, n);
	else if (err != ZK_ENOENT || zxid >= s->disk.base_zxid)
		cl_broken(s->w, s->index, "the log cannot be cut", zxid);
}

enum zk_err cl_files_snap(struct cl_server *s, uint64_t zxid, struct zk_span window, size_t *used)
{
	struct cl_files *f = files_of(s);
	struct snap_receive_conf rc = {
		.disk = view_of(s), .mem = &f->mem, .zxid = zxid, .length_max = 2 * CL_MAXBUFFER};
	enum zk_err err = ZK_EOK;

	*used = 0;
	maybe_die(s);
	if (!f->receiving) {
		f->receiving = true;
		err = snap_receive_begin(&f->snap, &rc);
	}
	if (err == ZK_EOK)
		err = snap_receive_put(&f->snap, window, used);
	if (err == ZK_EOK) {
		f->snap_zxid = zxid;
		err = snap_receive_commit(&f->snap);
	}
	live_on(s);
	if (f->sim->crashed)
		return ZK_EIO;
	if (err != ZK_EOK && err != ZK_EAGAIN)
		cl_broken(s->w, s->index, "a SNAP is refused", zxid);
	if (err == ZK_EOK) {
		cl_disk_rebase(&s->disk, zxid);
		f->snap_zxid = 0;
		s->w->on_files.snaps++;
	}
	return err;
}

void cl_files_snap_end(struct cl_server *s)
{
	struct cl_files *f = files_of(s);

	if (f->receiving)
		snap_receive_end(&f->snap);
	f->receiving = false;
}

/* ---- feeds ---- */

void cl_files_feed_begin(struct cl_server *s, uint32_t link, uint64_t from, uint64_t bound)
{
	struct cl_files *f = files_of(s);
	struct cl_reading *r = &f->reading[link];

	zk_assert(!r->used);
	*r = (struct cl_reading){.used = true, .end = ZK_EOK, .due_ns = soon(s)};
	r->chunk = malloc(sizeof(*r->chunk) + CHUNK_BYTES);
	zk_assert(r->chunk);
	*r->chunk = (struct quorum_chunk){.cap = CHUNK_BYTES};
	quorum_reading_init(&r->r, &f->conf, view_of(s), &f->mem, from, bound);
	if (s->disk.purged > from)
		r->end = ZK_ENOENT;
}

void cl_files_feed_cancel(struct cl_server *s, uint32_t link)
{
	struct cl_reading *r = &files_of(s)->reading[link];

	zk_assert(r->used);
	quorum_reading_fini(&r->r);
	free(r->chunk);
	r->used = false;
}

enum zk_err cl_files_feed_next(struct cl_server *s, uint32_t link, uint64_t *zxid,
			       struct zk_span *txn)
{
	struct cl_reading *r = &files_of(s)->reading[link];
	struct quorum_txn_head head;
	enum zk_err err;

	if (s->w->now_ns < r->due_ns)
		return ZK_EAGAIN;
	if (r->at == r->chunk->n && r->end == ZK_EOK) {
		r->at = r->chunk->n = 0;
		zk_assert(quorum_reading_need(&r->r) <= CHUNK_BYTES);
		err = quorum_reading_next(&r->r, r->chunk, s->w->now_ns);
		if (err != ZK_EAGAIN && err != ZK_EBUSY)
			r->end = err;
		if (err == ZK_EAGAIN || err == ZK_EBUSY)
			r->due_ns = soon(s);
	}
	if (r->at == r->chunk->n)
		return r->end == ZK_EOK ? ZK_EAGAIN : r->end;
	memcpy(&head, r->chunk->bytes + r->at, sizeof(head));
	*zxid = head.zxid;
	*txn = zk_span_of(r->chunk->bytes + r->at + sizeof(head), head.n);
	return ZK_EOK;
}

void cl_files_feed_pop(struct cl_server *s, uint32_t link)
{
	struct cl_reading *r = &files_of(s)->reading[link];
	struct quorum_txn_head head;

	s->w->on_files.feeds++;
	memcpy(&head, r->chunk->bytes + r->at, sizeof(head));
	r->at += quorum_txn_bytes(head.n);
}
