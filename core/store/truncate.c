/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/truncate.h"

#include "core/store/log_cursor.h"
#include "core/store/snap_check.h"

#include <stdarg.h>
#include <stdio.h>

struct truncating {
	const struct truncate_conf *conf;
	struct truncate_result *out;
	struct store_files snapshots;
	struct log_cursor log;
	bool beyond; /* there is a transaction that has to go */
	/* the file with the last one that stays, and where it ends there; `cut`: there is one */
	bool cut;
	size_t file;
	uint64_t end;
	size_t first_away; /* from this log on all go */
};

__attribute__((format(printf, 3, 4))) static enum zk_err fail(struct truncating *t, enum zk_err err,
							      const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(t->out->why, sizeof(t->out->why), fmt, ap);
	va_end(ap);
	return err;
}

static enum zk_err disk_failed(struct truncating *t, enum disk_dir dir, const char *name,
			       enum zk_err err)
{
	struct disk *d = t->conf->disk;

	return fail(t, err, "%s%s%s: %s", disk_dir_text(d, dir), name ? "/" : "", name ? name : "",
		    err == ZK_ENOMEM ? zk_err_text(err) : disk_error_text(d));
}

/* ---- what is left is enough ------------------------------------------------------------------ */

/* Can recovery load it? */
static enum zk_err whole(struct truncating *t, const struct store_file *f, char *why)
{
	const struct truncate_conf *c = t->conf;
	struct snap_plain plain;
	struct snap_source source;
	enum zk_err err = snap_check_ends(c->disk, f->text, f->name.pack, f->bytes);

	if (err == ZK_EOK && c->pipe && c->pipe->open) {
		err = c->pipe->open(c->pipe->ctx, f->text, f->name.pack, &source, why);
		if (err != ZK_EOK)
			return err;
		err = snap_check_all(&source, c->length_max, c->mem, why);
		c->pipe->close(c->pipe->ctx);
		return err;
	}
	if (err == ZK_EOK && f->name.pack != STORE_PLAIN)
		err = ZK_ENOTSUP;
	if (err == ZK_EOK)
		err = snap_plain_open(&plain, c->disk, f->text, &source);
	if (err != ZK_EOK) {
		snprintf(why, SNAP_SOURCE_WHY_MAX, "%s",
			 err == ZK_EINVAL    ? "not complete"
			 : err == ZK_ENOTSUP ? "compressed"
					     : disk_error_text(c->disk));
		return err;
	}
	err = snap_check_all(&source, c->length_max, c->mem, why);
	snap_plain_close(&plain);
	return err;
}

/* The newest snapshot at or before the zxid that is right. */
static enum zk_err find_base(struct truncating *t)
{
	uint64_t zxid = t->conf->zxid;
	char why[SNAP_SOURCE_WHY_MAX] = "", first[TRUNCATE_WHY_MAX / 2] = "";

	for (size_t i = t->snapshots.n; i > 0; i--) {
		const struct store_file *f = &t->snapshots.v[i - 1];
		enum zk_err err;

		if (f->name.zxid > zxid || f->name.suffix)
			continue;
		err = whole(t, f, why);
		if (err == ZK_EOK) {
			t->out->snapshot_zxid = t->out->zxid = f->name.zxid;
			return ZK_EOK;
		}
		if (err == ZK_ENOMEM)
			return fail(t, err, "%s: out of memory", f->text);
		if (!first[0])
			snprintf(first, sizeof(first), "; %.60s: %.150s", f->text, why);
	}
	return fail(t, ZK_ENOENT, "%s has no snapshot at or before 0x%llx%s",
		    disk_dir_text(t->conf->disk, DISK_DATA), (unsigned long long)zxid, first);
}

/* Read the log from the snapshot to the zxid and one on. */
static enum zk_err scan(struct truncating *t)
{
	struct log_cursor *c = &t->log;
	uint64_t base = t->out->snapshot_zxid;
	size_t from = log_cursor_find(c, base);
	enum zk_err err;

	if (c->logs.n == 0)
		return ZK_EOK;
	err = log_cursor_goto(c, from, base);
	while (err == ZK_EOK) {
		struct txnlog_item it;
		uint64_t zxid;

		err = log_cursor_next(c, &it);
		if (err != ZK_EOK)
			break;
		zxid = it.txn.header.zxid;
		if (zxid > t->conf->zxid) {
			t->beyond = true;
			t->first_away = t->cut ? t->file + 1 : c->at;
			return ZK_EOK;
		}
		t->cut = true;
		t->file = c->at;
		t->end = it.next;
		if (zxid > t->out->zxid)
			t->out->zxid = zxid;
	}
	return err == ZK_EEMPTY ? ZK_EOK : fail(t, err, "%s", c->why);
}

static enum zk_err reached(struct truncating *t)
{
	uint64_t want = t->conf->zxid, have = t->out->zxid;

	/* The beginning of an epoch need not be a transaction. */
	if (have == want || (t->beyond && (uint32_t)want == 0))
		return ZK_EOK;
	return fail(t, ZK_ENOENT, "%s: the log has 0x%llx and %s, not 0x%llx",
		    disk_dir_text(t->conf->disk, DISK_LOG), (unsigned long long)have,
		    t->beyond ? "then something later" : "nothing later", (unsigned long long)want);
}

/* ---- cutting --------------------------------------------------------------------------------- */

static enum zk_err sync_dir(struct truncating *t, enum disk_dir dir)
{
	enum zk_err err = disk_sync_dir(t->conf->disk, dir);

	return err == ZK_EOK ? ZK_EOK : disk_failed(t, dir, NULL, err);
}

static enum zk_err drop_snapshots(struct truncating *t)
{
	/* What stays must be there after a crash, too. */
	enum zk_err err = sync_dir(t, DISK_DATA);

	for (size_t i = t->snapshots.n; i > 0 && err == ZK_EOK; i--) {
		const struct store_file *f = &t->snapshots.v[i - 1];

		if (f->name.zxid <= t->conf->zxid)
			break;
		err = disk_unlink(t->conf->disk, DISK_DATA, f->text);
		if (err != ZK_EOK)
			return disk_failed(t, DISK_DATA, f->text, err);
		t->out->snapshots++;
	}
	return err == ZK_EOK && t->out->snapshots ? sync_dir(t, DISK_DATA) : err;
}

static enum zk_err drop_logs(struct truncating *t)
{
	enum zk_err err = sync_dir(t, DISK_LOG);

	for (size_t i = t->log.logs.n; i > t->first_away && err == ZK_EOK; i--) {
		const struct store_file *f = &t->log.logs.v[i - 1];

		err = disk_unlink(t->conf->disk, DISK_LOG, f->text);
		if (err != ZK_EOK)
			return disk_failed(t, DISK_LOG, f->text, err);
		t->out->logs++;
		/* or a crash could leave a later one and not this */
		err = sync_dir(t, DISK_LOG);
	}
	return err;
}

static enum zk_err cut_last(struct truncating *t)
{
	struct disk *d = t->conf->disk;
	const char *name = t->log.logs.v[t->file].text;
	uint64_t size;
	int file;
	enum zk_err err = disk_open(d, DISK_LOG, name, DISK_UPDATE, &file);

	if (err != ZK_EOK)
		return disk_failed(t, DISK_LOG, name, err);
	err = disk_size(d, file, &size);
	if (err == ZK_EOK)
		err = disk_truncate(d, file, t->end);
	if (err == ZK_EOK)
		err = disk_sync(d, file);
	if (err == ZK_EOK)
		t->out->cut_bytes = size - t->end;
	else
		(void)disk_failed(t, DISK_LOG, name, err);
	disk_close(d, file);
	return err;
}

enum zk_err truncate_run(const struct truncate_conf *conf, struct truncate_result *out)
{
	struct truncating t = {.conf = conf, .out = out};
	enum zk_err err;

	*out = (struct truncate_result){0};
	err = store_files_list(&t.snapshots, conf->mem, conf->disk, DISK_DATA, STORE_SNAPSHOT);
	if (err != ZK_EOK)
		err = disk_failed(&t, DISK_DATA, NULL, err);
	else
		err = find_base(&t);
	if (err == ZK_EOK) {
		err = log_cursor_open(&t.log, conf->disk, conf->mem, conf->length_max);
		err = err == ZK_EOK ? scan(&t) : fail(&t, err, "%s", t.log.why);
		if (err == ZK_EOK)
			err = reached(&t);
		if (err == ZK_EOK)
			err = drop_snapshots(&t);
		if (err == ZK_EOK && t.beyond)
			err = drop_logs(&t);
		if (err == ZK_EOK && t.beyond && t.cut)
			err = cut_last(&t);
		log_cursor_close(&t.log);
	}
	store_files_free(&t.snapshots);
	return err;
}
