/* SPDX-License-Identifier: Apache-2.0 */
/* Disks: a snapshot, the log behind it of which only a part is synced, two epoch files. */
#include "core/store/snap.h"
#include "core/store/snap_parse.h"
#include "core/tree/load.h"
#include "core/txn/apply.h"
#include "test/sim/cluster_files.h"
#include "test/sim/cluster_int.h"

#include <stdio.h>
#include <stdlib.h>

static uint64_t disk_ns(struct cl_server *s)
{
	struct cl *w = s->w;

	return w->now_ns + (s->disk.slow ? 30000 + cl_draw(w, 250000) : 200 + cl_draw(w, 4000)) *
				   UINT64_C(1000);
}

/* ---- the log ---- */

static void start_sync(struct cl_server *s)
{
	struct cl_disk *d = &s->disk;

	if (d->sync_ns || d->synced == d->n)
		return;
	d->sync_n = d->n;
	d->sync_ns = disk_ns(s);
}

static bool follows(uint64_t last, uint64_t zxid)
{
	return zxid == last + 1 || (zxid >> 32 > last >> 32 && (uint32_t)zxid == 1);
}

bool cl_disk_append(void *ctx, uint64_t zxid, struct zk_span txn)
{
	struct cl_server *s = ctx;
	struct cl_disk *d = &s->disk;

	if (cl_dead(s))
		return true;
	if (d->n - d->synced > 40) /* the log stage's slots */
		return false;
	if (!follows(d->n ? d->log[d->n - 1].zxid : d->base_zxid, zxid))
		cl_broken(s->w, s->index, "a transaction is logged out of order", zxid);
	if (d->n == d->cap) {
		d->cap = d->cap ? 2 * d->cap : 256;
		d->log = realloc(d->log, d->cap * sizeof(*d->log));
		zk_assert(d->log);
	}
	cl_check_logged(s->w, s, d->n ? d->log[d->n - 1].zxid : d->base_zxid, zxid, txn);
	d->log[d->n] = (struct cl_txn){
		.zxid = zxid, .p = malloc(txn.n + 1), .n = (uint32_t)txn.n, .lent = txn.p};
	zk_assert(d->log[d->n].p);
	memcpy(d->log[d->n].p, txn.p, txn.n);
	d->n++;
	if (d->files)
		cl_files_append(s);
	else
		start_sync(s);
	return true;
}

uint64_t cl_disk_durable(void *ctx)
{
	const struct cl_server *s = ctx;
	const struct cl_disk *d = &s->disk;
	uint32_t n = s->w->naive == CL_DURABLE_EARLY ? d->n : d->synced;

	return n ? d->log[n - 1].zxid : d->base_zxid;
}

static void drop_from(struct cl_disk *d, uint32_t n)
{
	while (d->n > n)
		free(d->log[--d->n].p);
	if (d->synced > n)
		d->synced = n;
	d->sync_ns = 0;
}

void cl_disk_keep(struct cl_disk *d, uint32_t n)
{
	drop_from(d, n);
	d->synced = d->n;
}

void cl_disk_rebase(struct cl_disk *d, uint64_t zxid)
{
	drop_from(d, 0);
	d->base_zxid = d->purged = zxid;
}

uint64_t cl_disk_cut(struct cl_disk *d, uint64_t zxid)
{
	uint32_t n = d->n;

	while (n && d->log[n - 1].zxid > zxid)
		n--;
	cl_disk_keep(d, n);
	return n ? d->log[n - 1].zxid : d->base_zxid;
}

const struct cl_txn *cl_disk_find(const struct cl_disk *d, uint64_t zxid, uint32_t *at)
{
	uint32_t low = 0, high = d->n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (d->log[mid].zxid < zxid)
			low = mid + 1;
		else
			high = mid;
	}
	*at = low;
	return low < d->n && d->log[low].zxid == zxid ? &d->log[low] : NULL;
}

/* ---- effects ---- */

static void write_epoch(void *ctx, enum zab_file file, uint64_t epoch)
{
	struct cl_server *s = ctx;

	if (cl_dead(s))
		return;
	zk_assert(!s->disk.epoch_ns[file]);
	s->disk.epoch_new[file] = epoch;
	s->disk.epoch_ns[file] = disk_ns(s);
}

static void feed_begin(void *ctx, uint32_t link, uint64_t from, uint64_t bound)
{
	struct cl_server *s = ctx;
	struct cl_feed *f = &s->disk.feed[link];

	if (s->disk.files) {
		cl_files_feed_begin(s, link, from, bound);
		return;
	}
	zk_assert(!f->used);
	*f = (struct cl_feed){.used = true,
			      .gap = s->disk.purged > from || s->disk.base_zxid > from,
			      .bound = bound,
			      .due_ns = disk_ns(s)};
	if (!cl_disk_find(&s->disk, from, &f->at) && f->at)
		f->at--;
	while (f->at < s->disk.n && s->disk.log[f->at].zxid <= s->disk.purged)
		f->at++;
}

static void feed_cancel(void *ctx, uint32_t link)
{
	struct cl_server *s = ctx;

	if (s->disk.files) {
		cl_files_feed_cancel(s, link);
		return;
	}
	zk_assert(s->disk.feed[link].used);
	s->disk.feed[link].used = false;
}

static enum zk_err feed_next(void *ctx, uint32_t link, uint64_t *zxid, struct zk_span *txn)
{
	struct cl_server *s = ctx;
	struct cl_feed *f = &s->disk.feed[link];
	const struct cl_txn *t = &s->disk.log[f->at];

	if (s->disk.files)
		return cl_files_feed_next(s, link, zxid, txn);
	if (s->w->now_ns < f->due_ns)
		return ZK_EAGAIN;
	if (f->gap)
		return ZK_ENOENT;
	if (f->at >= s->disk.n || t->zxid > f->bound)
		return ZK_ECLOSED;
	*zxid = t->zxid;
	*txn = zk_span_of(t->p, t->n);
	return ZK_EOK;
}

static void feed_pop(void *ctx, uint32_t link)
{
	struct cl_server *s = ctx;

	if (s->disk.files) {
		cl_files_feed_pop(s, link);
		return;
	}
	s->disk.feed[link].at++;
	if (cl_chance(s->w, 100))
		s->disk.feed[link].due_ns = s->w->now_ns + cl_ms;
}

const struct quorum_disk cl_quorum_disk = {NULL,        write_epoch, feed_begin,
					   feed_cancel, feed_next,   feed_pop};

/* ---- time ---- */

void cl_disk_step(struct cl_server *s)
{
	struct cl_disk *d = &s->disk;
	uint64_t now = s->w->now_ns;

	if (d->files)
		cl_files_step(s);
	if (d->sync_ns && now >= d->sync_ns) {
		for (uint32_t i = d->synced; i < d->sync_n; i++)
			if (memcmp(d->log[i].lent, d->log[i].p, d->log[i].n) != 0)
				cl_broken(s->w, s->index,
					  "bytes were changed before they were synced",
					  d->log[i].zxid);
		d->synced = d->sync_n;
		d->sync_ns = 0;
		start_sync(s);
	}
	for (unsigned f = 0; f < 2; f++)
		if (d->epoch_ns[f] && now >= d->epoch_ns[f]) {
			d->epoch_ns[f] = 0;
			if (d->files && s->w->naive != CL_NO_EPOCH &&
			    !cl_files_epoch(s, (enum zab_file)f, d->epoch_new[f]))
				return; /* dead */
			if (s->w->naive != CL_NO_EPOCH)
				d->epoch[f] = d->epoch_new[f];
			quorum_epoch_written(s->quorum, (enum zab_file)f);
		}
}

uint64_t cl_disk_next_ns(const struct cl_disk *d)
{
	uint64_t next = d->sync_ns ? d->sync_ns : UINT64_MAX;

	if (d->files && d->files->step_ns)
		next = d->files->step_ns;

	for (unsigned f = 0; f < 2; f++)
		if (d->epoch_ns[f] && d->epoch_ns[f] < next)
			next = d->epoch_ns[f];
	return next;
}

void cl_disk_crash(struct cl *w, struct cl_server *s)
{
	struct cl_disk *d = &s->disk;
	uint32_t survive = d->synced;

	if (d->files) { /* recovery says what is left */
		cl_files_crash(s);
		memset(d->epoch_ns, 0, sizeof(d->epoch_ns));
		return;
	}
	if (d->n > survive) /* some of it may have reached the disk all the same */
		survive += (uint32_t)cl_draw(w, d->n - survive + 1);
	drop_from(d, survive);
	d->synced = d->n;
	for (unsigned f = 0; f < 2; f++) { /* renamed, or not */
		if (d->epoch_ns[f] && w->naive != CL_NO_EPOCH && cl_chance(w, 500))
			d->epoch[f] = d->epoch_new[f];
		d->epoch_ns[f] = 0;
	}
	memset(d->feed, 0, sizeof(d->feed));
}

void cl_disk_fini(struct cl_disk *d)
{
	drop_from(d, 0);
	free(d->log);
	free(d->base);
	memset(d, 0, sizeof(*d));
}

/* ---- recovery ---- */

static void session_put(struct cl_server *s, uint64_t id, int32_t timeout_ms)
{
	for (uint32_t i = 0; i < s->sessions; i++)
		if (s->session[i].id == id) {
			s->session[i].timeout_ms = timeout_ms;
			return;
		}
	if (s->sessions == s->sessions_max) {
		s->sessions_max = s->sessions_max ? 2 * s->sessions_max : 64;
		s->session = realloc(s->session, s->sessions_max * sizeof(*s->session));
		zk_assert(s->session);
	}
	s->session[s->sessions++] = (struct snap_session){.id = id, .timeout_ms = timeout_ms};
}

static void session_drop(struct cl_server *s, uint64_t id)
{
	for (uint32_t i = 0; i < s->sessions; i++)
		if (s->session[i].id == id)
			s->session[i--] = s->session[--s->sessions];
}

static enum zk_err load_node(struct tree *t, const struct snap_node *in)
{
	struct tree_load_node n;

	snap_node_to_load(t, in, &n);
	return tree_load_node(t, &n);
}

static void load_base(struct cl_server *s)
{
	struct cl_disk *d = &s->disk;
	struct snap_reader r;
	struct snap_item it;
	enum zk_err err = ZK_EOK;

	tree_load_clear(s->tree);
	snap_reader_init_stream(&r, 2 * CL_MAXBUFFER);
	for (;;) {
		switch (snap_next(&r, zk_span_of(d->base + r.at, d->base_n - r.at), true, &it)) {
		case SNAP_SESSION:
			session_put(s, it.session.id, it.session.timeout_ms);
			break;
		case SNAP_ACL:
			err = tree_load_acl(s->tree, it.acl.key, it.acl.jute);
			break;
		case SNAP_NODE:
			err = load_node(s->tree, &it.node);
			break;
		case SNAP_END:
			zk_assert(tree_load_whole(s->tree));
			tree_load_zxid(s->tree, d->base_zxid);
			tree_load_settle(s->tree);
			return;
		default:
			cl_broken(s->w, s->index, "a snapshot cannot be read", d->base_zxid);
			return;
		}
		zk_assert(err == ZK_EOK);
	}
}

void cl_disk_recover(struct cl_server *s, bool replayed)
{
	struct cl_disk *d = &s->disk;
	struct txn_record r;
	enum zk_err err;

	if (d->files) {
		cl_files_recover(s, replayed);
		return;
	}
	err = tree_load_open(s->tree);

	zk_assert(err == ZK_EOK);
	s->sessions = 0;
	if (d->base)
		load_base(s);
	else
		tree_load_settle(s->tree);
	for (uint32_t i = 0; i < d->n; i++) {
		struct txn_result res = {0};

		err = txn_read(zk_span_of(d->log[i].p, d->log[i].n), &r);
		zk_assert(err == ZK_EOK && r.header.zxid == d->log[i].zxid);
		if (r.header.type == ZK_OP_CREATE_SESSION)
			session_put(s, r.header.client, r.op.timeout_ms);
		else if (r.header.type == ZK_OP_CLOSE_SESSION)
			session_drop(s, r.header.client);
		txn_apply_record(s->tree, &r, &res);
		if (res.tree_fails || res.digest == TXN_DIGEST_WRONG)
			cl_broken(s->w, s->index, "replay gives another state", r.header.zxid);
		if (replayed && d->log[i].zxid > d->purged)
			quorum_replayed(s->quorum, d->log[i].zxid,
					zk_span_of(d->log[i].p, d->log[i].n));
	}
	tree_load_close(s->tree);
}

/* ---- SNAP ---- */

size_t cl_snap_length(struct cl_server *s)
{
	static const uint8_t sign_off[] = {0,   0,   0,   10,  'B', 'e', 'n',
					   'W', 'a', 's', 'H', 'e', 'r', 'e'};
	struct snap_reader r;
	struct snap_item it;
	enum snap_step step;

	snap_reader_init_stream(&r, 2 * CL_MAXBUFFER);
	do {
		step = snap_next(&r, zk_span_of(s->snap + r.at, s->snap_n - r.at), false, &it);
	} while (step == SNAP_SESSION || step == SNAP_ACL || step == SNAP_NODE);
	if (step == SNAP_BAD)
		cl_broken(s->w, s->index, "a SNAP cannot be read", 0);
	if (step != SNAP_END || s->snap_n - r.at < sizeof(sign_off))
		return 0;
	if (memcmp(s->snap + r.at, sign_off, sizeof(sign_off)) != 0)
		cl_broken(s->w, s->index, "a SNAP without its end", 0);
	return (size_t)r.at + sizeof(sign_off);
}

void cl_disk_replace(struct cl_server *s, size_t n, uint64_t zxid)
{
	struct cl_disk *d = &s->disk;

	drop_from(d, 0);
	free(d->base);
	d->base = malloc(n);
	zk_assert(d->base);
	memcpy(d->base, s->snap, n);
	d->base_n = n;
	d->base_zxid = zxid;
	d->purged = zxid;
}
