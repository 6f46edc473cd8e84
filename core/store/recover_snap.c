/* SPDX-License-Identifier: Apache-2.0 */
/* The snapshot of a recovery (FileSnap.deserialize, DataTree.deserialize). */
#include "core/store/recover_int.h"
#include "core/store/snap_check.h"
#include "core/tree/quota.h"

#include <stdio.h>

enum { AHEAD = 12 /* nodes whose index line is fetched early */ };

/* ---- one file ---------------------------------------------------------------------------- */

/* What one attempt at a file found. */
struct attempt {
	struct recover *r;
	const struct recover_file *f;
	enum zk_err err;
	char why[RECOVER_WHY_MAX]; /* without the file's name */
};

static bool spoil(struct attempt *a, enum zk_err err, uint64_t at, const char *what)
{
	a->err = err;
	snprintf(a->why, sizeof(a->why), "offset %llu: %s", (unsigned long long)at, what);
	return false;
}

static bool take_node(struct attempt *a, const struct snap_batch_item *it)
{
	struct recover *r = a->r;

	switch (tree_load_node(r->tree, &it->node)) {
	case ZK_EOK:
		r->progress.nodes++;
		return true;
	case ZK_NONODE:
		return spoil(a, ZK_EINVAL, it->at, "a node whose parent is not in front of it");
	case ZK_NODEEXISTS:
		return spoil(a, ZK_EINVAL, it->at, "a path that was there before");
	case ZK_EINVAL:
		return spoil(a, ZK_EINVAL, it->at, store_bad_text(STORE_BAD_PATH));
	default:
		return spoil(a, ZK_ENOMEM, it->at, "tree.memoryLimit is too small for it");
	}
}

/* DataTree.deserializeZxidDigest() */
static void take_digest(struct recover *r, const struct snap_item *it, uint64_t name_zxid)
{
	r->digest = false;
	if (!tree_digest_kept(r->tree) || it->digest.zxid == 0 || it->digest.zxid < name_zxid)
		return;
	if (it->digest.version != TXN_DIGEST_VERSION)
		return; /* compared with nothing; the transactions tell their own version */
	r->digest = true;
	r->digest_zxid = it->digest.zxid;
	r->digest_value = it->digest.tree;
}

/* @return false: no more of this file. */
static bool take_item(struct attempt *a, const struct snap_batch_item *it, bool *done)
{
	struct recover *r = a->r;

	switch (it->step) {
	case SNAP_SESSION:
		a->err = recover_session_put(r, it->other.session.id, it->other.session.timeout_ms);
		if (a->err != ZK_EOK)
			return spoil(a, a->err, it->at, "out of memory for sessions");
		return true;
	case SNAP_ACL:
		if (tree_load_acl(r->tree, it->other.acl.key, it->other.acl.jute) != ZK_EOK)
			return spoil(a, ZK_ENOMEM, it->at, "tree.memoryLimit is too small for it");
		return true;
	case SNAP_NODE:
		return take_node(a, it);
	case SNAP_SEALED:
		if (!tree_load_whole(r->tree))
			return spoil(a, ZK_EINVAL, it->at, "there is no root");
		return true;
	case SNAP_DIGEST:
		take_digest(r, &it->other, a->f->zxid);
		return true;
	case SNAP_LAST_ZXID: /* the file's name counts */
		return true;
	case SNAP_END:
		*done = true;
		return false;
	default:
		zk_assert(it->step == SNAP_BAD);
		return spoil(a, ZK_EINVAL, it->at, store_bad_text(it->other.bad));
	}
}

static bool take_batch(struct attempt *a, const struct snap_batch *b, bool *done)
{
	struct recover *r = a->r;

	if (b->n)
		r->progress.bytes = b->item[b->n - 1].at;
	if (r->conf->progress)
		r->conf->progress(r->conf->ctx, &r->progress);
	for (uint32_t i = 0; i < b->n; i++) {
		if (i + AHEAD < b->n && b->item[i + AHEAD].step == SNAP_NODE)
			tree_prefetch(r->tree, b->item[i + AHEAD].node.hash);
		if (!take_item(a, &b->item[i], done))
			return false;
	}
	if (b->err != ZK_EOK) {
		a->err = b->err;
		snprintf(a->why, sizeof(a->why), "%s", b->why);
		return false;
	}
	return true;
}

static void take_all(struct attempt *a, struct snap_parse *parse)
{
	const struct recover_pipe *pipe = &a->r->conf->pipe;
	struct snap_batch *own = NULL, *b;
	bool done = false;

	if (pipe->start)
		a->err = pipe->start(pipe->ctx, parse);
	else if (!(own = snap_batch_new(a->r->conf->mem)))
		a->err = ZK_ENOMEM;
	if (a->err != ZK_EOK) {
		snprintf(a->why, sizeof(a->why), "%s", zk_err_text(a->err));
		return;
	}
	do {
		if (own)
			snap_parse_next(parse, own);
		b = own ? own : pipe->next(pipe->ctx);
	} while (take_batch(a, b, &done));
	zk_assert(done == (a->err == ZK_EOK));
	if (pipe->start)
		pipe->stop(pipe->ctx);
	snap_batch_free(a->r->conf->mem, own);
}

static void attempt(struct attempt *a)
{
	struct recover *r = a->r;
	const struct recover_pipe *pipe = &r->conf->pipe;
	struct snap_plain plain;
	struct snap_source source;
	struct snap_parse parse;

	if (pipe->open) {
		a->err = pipe->open(pipe->ctx, a->f->text, a->f->name.pack, &source, a->why);
	} else if (a->f->name.pack != STORE_PLAIN) {
		a->err = ZK_ENOTSUP;
		snprintf(a->why, sizeof(a->why), "compressed");
	} else {
		a->err = snap_plain_open(&plain, r->conf->disk, a->f->text, &source);
		if (a->err != ZK_EOK)
			snprintf(a->why, sizeof(a->why), "%s", disk_error_text(r->conf->disk));
	}
	if (a->err != ZK_EOK)
		return;
	snap_parse_init(&parse, &source, r->tree, r->conf->length_max,
			pipe->mem ? pipe->mem : r->conf->mem);
	take_all(a, &parse);
	snap_parse_fini(&parse);
	if (pipe->open)
		pipe->close(pipe->ctx);
	else
		snap_plain_close(&plain);
}

/* ---- which file -------------------------------------------------------------------------- */

static bool plausible(struct recover *r, const struct recover_file *f)
{
	struct disk *d = r->conf->disk;
	enum zk_err err = snap_check_ends(d, f->text, f->name.pack, f->bytes);

	if (err == ZK_EINVAL)
		recover_say(r, RECOVER_WARN, "snapshot %s is not complete: passed over", f->text);
	else if (err != ZK_EOK)
		recover_say(r, RECOVER_WARN, "snapshot %s: %s", f->text, disk_error_text(d));
	return err == ZK_EOK;
}

void recover_digest_at(struct recover *r, uint64_t zxid)
{
	if (!r->digest || zxid != r->digest_zxid)
		return;
	if (tree_digest(r->tree) != r->digest_value)
		recover_mismatch(r, zxid);
	r->digest = false;
	tree_load_settle(r->tree);
}

static enum zk_err loaded(struct recover *r, const struct recover_file *f)
{
	struct recover_result *out = r->out;
	enum zk_err err;

	snprintf(out->snapshot, sizeof(out->snapshot), "%s", f->text);
	out->snapshot_zxid = f->zxid;
	tree_load_zxid(r->tree, f->zxid);
	err = tree_quota_rebuild(r->tree);
	if (err != ZK_EOK)
		return recover_fail(r, err,
				    "snapshot %s/%s: tree.memoryLimit is too small for its quotas",
				    recover_dir(r, DISK_DATA), f->text);
	if (!r->digest)
		tree_load_settle(r->tree);
	else
		recover_digest_at(r, f->zxid);
	return ZK_EOK;
}

enum zk_err recover_snapshot(struct recover *r)
{
	char first[RECOVER_WHY_MAX] = "";
	unsigned tried = 0;

	for (size_t i = 0; i < r->snapshots.n && tried < RECOVER_SNAPSHOTS_MAX; i++) {
		struct recover_file *f = &r->snapshots.v[i];
		struct attempt a = {.r = r, .f = f};

		if (!plausible(r, f))
			continue;
		f->complete = true;
		tried++;
		r->progress = (struct recover_progress){
			.file = f->text, .bytes_max = f->name.pack == STORE_PLAIN ? f->bytes : 0};
		tree_load_clear(r->tree);
		recover_sessions_clear(r);
		r->digest = false;
		attempt(&a);
		if (a.err == ZK_EOK)
			return loaded(r, f);
		/* An older one would not be smaller. */
		if (a.err == ZK_ENOMEM)
			return recover_fail(r, ZK_ENOMEM, "snapshot %s/%s: %s (%llu nodes loaded)",
					    recover_dir(r, DISK_DATA), f->text, a.why,
					    (unsigned long long)r->progress.nodes);
		recover_say(r, RECOVER_WARN, "snapshot %s: %s: the one before it is tried", f->text,
			    a.why);
		if (!first[0])
			snprintf(first, sizeof(first), "%.100s: %.300s", f->text, a.why);
	}
	if (!tried)
		return ZK_ENOENT;
	return recover_fail(r, ZK_EINVAL, "no snapshot in %s can be read, the newest is %s",
			    recover_dir(r, DISK_DATA), first);
}
