/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/purge.h"

#include "core/store/files.h"
#include "core/store/snap_check.h"

/* The zxid of the conf.keep-th newest sound snapshot, or of the oldest when there are fewer. What
 * cannot be read is not sound. */
static void find_oldest_kept(const struct purge_conf *c, const struct store_files *fs,
			     struct purge_result *out)
{
	for (size_t i = fs->n; i > 0 && out->kept < c->keep; i--) {
		const struct store_file *f = &fs->v[i - 1];

		if (snap_check_ends(c->disk, f->text, f->name.pack, f->bytes) == ZK_EOK) {
			out->kept++;
			out->oldest_zxid = f->name.zxid;
		}
	}
}

/* Remove what is below @p zxid. */
static unsigned remove_below(const struct purge_conf *c, enum disk_dir dir,
			     const struct store_files *fs, uint64_t zxid, unsigned *failed)
{
	unsigned done = 0;

	for (size_t i = 0; i < fs->n; i++) {
		enum zk_err err;

		if (fs->v[i].name.zxid >= zxid)
			continue;
		err = disk_unlink(c->disk, dir, fs->v[i].text);
		if (err == ZK_EOK)
			done++;
		else
			++*failed;
		if (c->each)
			c->each(c->ctx, dir, fs->v[i].text, err);
	}
	return done;
}

static enum zk_err purge_snapshots(const struct purge_conf *c, struct purge_result *out)
{
	struct store_files fs;
	enum zk_err err = store_files_list(&fs, c->mem, c->disk, DISK_DATA, STORE_SNAPSHOT);

	if (err == ZK_EOK)
		find_oldest_kept(c, &fs, out);
	if (err == ZK_EOK && out->kept) {
		out->snapshots = remove_below(c, DISK_DATA, &fs, out->oldest_zxid, &out->failed);
		/* before the logs: no snapshot may come back without them */
		err = disk_sync_dir(c->disk, DISK_DATA);
	}
	store_files_free(&fs);
	return err;
}

static enum zk_err purge_logs(const struct purge_conf *c, struct purge_result *out)
{
	struct store_files fs;
	enum zk_err err = store_files_list(&fs, c->mem, c->disk, DISK_LOG, STORE_LOG);
	uint64_t first = 0;

	if (err == ZK_EOK) {
		for (size_t i = 0; i < fs.n; i++)
			if (fs.v[i].name.zxid <= out->oldest_zxid && fs.v[i].name.zxid > first)
				first = fs.v[i].name.zxid;
		out->logs = remove_below(c, DISK_LOG, &fs, first, &out->failed);
		if (out->logs)
			err = disk_sync_dir(c->disk, DISK_LOG);
	}
	store_files_free(&fs);
	return err;
}

enum zk_err purge_run(const struct purge_conf *conf, struct purge_result *out)
{
	enum zk_err err;

	zk_assert(conf->keep >= PURGE_KEEP_MIN);
	*out = (struct purge_result){0};
	/* What counts as kept must be there after a crash, too. */
	err = disk_sync_dir(conf->disk, DISK_DATA);
	if (err == ZK_EOK)
		err = purge_snapshots(conf, out);
	/* One that could not be removed still wants its logs. */
	if (err == ZK_EOK && out->kept && out->failed == 0)
		err = purge_logs(conf, out);
	return err;
}
