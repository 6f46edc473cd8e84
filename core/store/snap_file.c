/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/snap_file.h"

#include "core/store/replace.h"

#include <stdio.h>

#define TEMP_PREFIX ".snapshot."
#define TEMP_SUFFIX ".tmp"

enum { SWEEP_MAX = 64 };

static enum zk_err failed(struct snap_file *f, const char *step, enum zk_err err)
{
	if (err != ZK_EOK)
		f->step = step;
	return err;
}

static enum zk_err check_spare(struct snap_file *f)
{
	uint64_t room;
	enum zk_err err;

	if (f->spare_bytes == 0)
		return ZK_EOK;
	err = disk_free_bytes(f->disk, DISK_DATA, &room);
	if (err == ZK_EOK && room < f->spare_bytes) {
		f->disk->os_error = 0;
		err = ZK_EFULL;
	}
	return failed(f, "room", err);
}

enum zk_err snap_file_open(struct snap_file *f, const struct snap_file_conf *conf)
{
	struct store_name name = {.kind = STORE_SNAPSHOT, .pack = conf->kind, .zxid = conf->zxid};
	enum zk_err err;
	int n;

	*f = (struct snap_file){.disk = conf->disk,
				.pack = conf->pack,
				.file = -1,
				.spare_bytes = conf->spare_bytes};
	store_name_format(&name, f->name);
	n = snprintf(f->temp, sizeof(f->temp), ".%s" TEMP_SUFFIX, f->name);
	if (conf->aside)
		replace_name(conf->zxid, f->name);
	zk_assert(n > 0 && (size_t)n < sizeof(f->temp));
	err = check_spare(f);
	if (err == ZK_EOK)
		err = failed(f, "create",
			     disk_open(f->disk, DISK_DATA, f->temp, DISK_REPLACE, &f->file));
	if (err != ZK_EOK)
		f->file = -1;
	return err;
}

enum zk_err snap_file_raw(struct snap_file *f, struct zk_span bytes)
{
	enum zk_err err =
		failed(f, "write", disk_write(f->disk, f->file, f->bytes, bytes.p, bytes.n));

	if (err != ZK_EOK)
		return err;
	f->bytes += bytes.n;
	if (f->bytes - f->synced < SNAP_FILE_SYNC_BYTES)
		return ZK_EOK;
	f->synced = f->bytes;
	err = failed(f, "sync", disk_sync(f->disk, f->file));
	return err == ZK_EOK ? check_spare(f) : err;
}

enum zk_err snap_file_put(struct snap_file *f, struct zk_span bytes)
{
	return f->pack ? f->pack->put(f->pack->ctx, f, bytes) : snap_file_raw(f, bytes);
}

enum zk_err snap_file_commit(struct snap_file *f)
{
	enum zk_err err = f->pack ? f->pack->end(f->pack->ctx, f) : ZK_EOK;

	if (err == ZK_EOK)
		err = failed(f, "sync", disk_sync(f->disk, f->file));
	if (err != ZK_EOK)
		return err;
	disk_close(f->disk, f->file);
	f->file = -1;
	err = failed(f, "rename", disk_rename(f->disk, DISK_DATA, f->temp, f->name));
	if (err != ZK_EOK)
		return err;
	/* From here on it is a whole snapshot, though perhaps not for long. */
	f->temp[0] = 0;
	return failed(f, "sync of the directory", disk_sync_dir(f->disk, DISK_DATA));
}

void snap_file_abort(struct snap_file *f)
{
	int os_error = f->disk->os_error;

	if (f->file >= 0)
		disk_close(f->disk, f->file);
	f->file = -1;
	if (f->temp[0]) {
		enum zk_err err = disk_unlink(f->disk, DISK_DATA, f->temp);

		(void)err; /* the next start sweeps */
	}
	f->disk->os_error = os_error;
}

struct sweep {
	unsigned n;
	char name[SWEEP_MAX][SNAP_FILE_NAME_MAX];
};

static bool sweep_each(void *arg, const char *name, uint64_t size_bytes)
{
	struct sweep *s = arg;
	size_t n = strlen(name), suffix = strlen(TEMP_SUFFIX);

	(void)size_bytes;
	if (n >= SNAP_FILE_NAME_MAX || n <= suffix ||
	    strncmp(name, TEMP_PREFIX, strlen(TEMP_PREFIX)) != 0 ||
	    strcmp(name + n - suffix, TEMP_SUFFIX) != 0)
		return true;
	memcpy(s->name[s->n++], name, n + 1);
	return s->n < SWEEP_MAX;
}

unsigned snap_file_sweep(struct disk *d)
{
	struct sweep s = {0};
	unsigned done = 0;

	if (disk_list(d, DISK_DATA, sweep_each, &s) != ZK_EOK)
		return 0;
	for (unsigned i = 0; i < s.n; i++)
		done += disk_unlink(d, DISK_DATA, s.name[i]) == ZK_EOK;
	return done;
}
