/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/purge.h"

#include "core/store/name.h"

enum { FIRST = 64 };

struct file {
	uint64_t zxid, bytes;
	enum store_pack pack;
	char name[DISK_NAME_MAX];
};

struct files {
	struct zk_mem *mem;
	enum store_kind kind;
	struct file *v;
	size_t n, max;
	bool full;
};

static bool take(void *arg, const char *name, uint64_t size_bytes)
{
	struct files *fs = arg;
	struct store_name parsed;
	size_t n = strlen(name);

	if (n >= DISK_NAME_MAX || !store_name_parse(zk_span_of(name, n), &parsed) ||
	    parsed.kind != fs->kind)
		return true;
	if (fs->n == fs->max) {
		size_t max = fs->max ? 2 * fs->max : FIRST;
		struct file *v = zk_mem_alloc(fs->mem, max * sizeof(*v));

		if (!v) {
			fs->full = true;
			return false;
		}
		if (fs->n)
			memcpy(v, fs->v, fs->n * sizeof(*v));
		zk_mem_free(fs->mem, fs->v, fs->max * sizeof(*v));
		fs->v = v;
		fs->max = max;
	}

	struct file *f = &fs->v[fs->n++];

	f->zxid = parsed.zxid;
	f->bytes = size_bytes;
	f->pack = parsed.pack;
	memcpy(f->name, name, n + 1);
	return true;
}

static enum zk_err list(const struct purge_conf *c, enum disk_dir dir, enum store_kind kind,
			struct files *fs)
{
	enum zk_err err;

	*fs = (struct files){.mem = c->mem, .kind = kind};
	err = disk_list(c->disk, dir, take, fs);
	return err == ZK_EOK && fs->full ? ZK_ENOMEM : err;
}

static void drop_list(struct files *fs)
{
	zk_mem_free(fs->mem, fs->v, fs->max * sizeof(*fs->v));
}

/* SnapStream.isValidSnapshot(); what cannot be read is not sound. */
static bool sound(struct disk *d, const struct file *f)
{
	uint8_t head[STORE_VALID_HEAD], tail[STORE_VALID_TAIL];
	size_t head_n = 0, tail_n = 0;
	bool read;
	int file;

	if (disk_open(d, DISK_DATA, f->name, DISK_READ, &file) != ZK_EOK)
		return false;
	read = disk_read(d, file, 0, head, sizeof(head), &head_n) == ZK_EOK;
	if (read && f->bytes >= sizeof(tail))
		read = disk_read(d, file, f->bytes - sizeof(tail), tail, sizeof(tail), &tail_n) ==
		       ZK_EOK;
	disk_close(d, file);
	return read && store_snapshot_plausible(f->pack, f->bytes, zk_span_of(head, head_n),
						zk_span_of(tail, tail_n));
}

/* The newest that has not been looked at, NULL when there is none. */
static const struct file *newest_below(const struct files *fs, const bool *seen)
{
	const struct file *best = NULL;

	for (size_t i = 0; i < fs->n; i++)
		if (!seen[i] && (!best || fs->v[i].zxid > best->zxid))
			best = &fs->v[i];
	return best;
}

/* The zxid of the conf.keep-th newest sound snapshot, or of the oldest when there are fewer. */
static enum zk_err find_oldest_kept(const struct purge_conf *c, const struct files *fs,
				    struct purge_result *out)
{
	bool *seen = fs->n ? zk_mem_alloc(c->mem, fs->n * sizeof(*seen)) : NULL;
	const struct file *f;

	if (fs->n == 0)
		return ZK_EOK;
	if (!seen)
		return ZK_ENOMEM;
	memset(seen, 0, fs->n * sizeof(*seen));
	while (out->kept < c->keep && (f = newest_below(fs, seen)) != NULL) {
		seen[f - fs->v] = true;
		if (sound(c->disk, f)) {
			out->kept++;
			out->oldest_zxid = f->zxid;
		}
	}
	zk_mem_free(c->mem, seen, fs->n * sizeof(*seen));
	return ZK_EOK;
}

/* Remove what is below @p zxid. */
static unsigned remove_below(const struct purge_conf *c, enum disk_dir dir, const struct files *fs,
			     uint64_t zxid, unsigned *failed)
{
	unsigned done = 0;

	for (size_t i = 0; i < fs->n; i++) {
		enum zk_err err;

		if (fs->v[i].zxid >= zxid)
			continue;
		err = disk_unlink(c->disk, dir, fs->v[i].name);
		if (err == ZK_EOK)
			done++;
		else
			++*failed;
		if (c->each)
			c->each(c->ctx, dir, fs->v[i].name, err);
	}
	return done;
}

static enum zk_err purge_snapshots(const struct purge_conf *c, struct purge_result *out)
{
	struct files fs;
	enum zk_err err = list(c, DISK_DATA, STORE_SNAPSHOT, &fs);

	if (err == ZK_EOK)
		err = find_oldest_kept(c, &fs, out);
	if (err == ZK_EOK && out->kept) {
		out->snapshots = remove_below(c, DISK_DATA, &fs, out->oldest_zxid, &out->failed);
		/* before the logs: no snapshot may come back without them */
		err = disk_sync_dir(c->disk, DISK_DATA);
	}
	drop_list(&fs);
	return err;
}

static enum zk_err purge_logs(const struct purge_conf *c, struct purge_result *out)
{
	struct files fs;
	enum zk_err err = list(c, DISK_LOG, STORE_LOG, &fs);
	uint64_t first = 0;

	if (err == ZK_EOK) {
		for (size_t i = 0; i < fs.n; i++)
			if (fs.v[i].zxid <= out->oldest_zxid && fs.v[i].zxid > first)
				first = fs.v[i].zxid;
		out->logs = remove_below(c, DISK_LOG, &fs, first, &out->failed);
		if (out->logs)
			err = disk_sync_dir(c->disk, DISK_LOG);
	}
	drop_list(&fs);
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
