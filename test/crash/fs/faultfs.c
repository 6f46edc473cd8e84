/* SPDX-License-Identifier: Apache-2.0 */
/* A file system in memory whose disk can be made slow, full, broken or powerless while a server
 * works on it: everything from the server's system calls upwards is real.
 *
 *   faultfs MOUNTPOINT -f
 *
 * Commands are written to the file .faults in its root, one a write; reading it gives counters.
 *  - stall MS: each sync of a file takes so much longer
 *  - fail CALL ERROR: CALL write, sync, sync-dir, create, rename or all gives EIO, ENOSPC or EROFS;
 *    a failed sync loses what was pending
 *  - fail none
 *  - short N: no write takes more than N bytes (0: all)
 *  - room BYTES: of all files together (0: no limit)
 *  - strict 0|1: 1: names are durable only after a sync of their directory
 *  - ordered 0|1: 1: a crash keeps a file's unsynced bytes up to some sector, never others
 *  - settle 1: everything becomes durable
 *  - crash SEED: power fails; nobody may have a file open
 */
#include "test/crash/fs/model.h"

#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum call { CALL_WRITE, CALL_SYNC, CALL_SYNC_DIR, CALL_CREATE, CALL_RENAME, CALLS };

static const char *const call_name[CALLS] = {"write", "sync", "sync-dir", "create", "rename"};
static const char control[] = "/.faults";

static struct fs fs;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Under the lock. */
static int fault[CALLS];
static uint64_t calls[CALLS], stall_ms, short_bytes;

static void enter(void)
{
	pthread_mutex_lock(&lock);
}

static int leave(int status)
{
	pthread_mutex_unlock(&lock);
	return status;
}

static int faulty(enum call c)
{
	calls[c]++;
	return fault[c];
}

static int command(const char *text)
{
	char what[16], call[16], error[16];
	unsigned long long n;

	if (sscanf(text, "%15s %llu", what, &n) == 2) {
		if (strcmp(what, "stall") == 0)
			stall_ms = n;
		else if (strcmp(what, "short") == 0)
			short_bytes = n;
		else if (strcmp(what, "room") == 0)
			fs.room = n;
		else if (strcmp(what, "strict") == 0)
			fs.strict = n != 0;
		else if (strcmp(what, "ordered") == 0)
			fs.ordered = n != 0;
		else if (strcmp(what, "settle") == 0)
			fs_settle(&fs);
		else if (strcmp(what, "crash") == 0)
			fs_crash(&fs, n);
		else
			return -EINVAL;
		return 0;
	}
	if (strncmp(text, "fail none", 9) == 0) {
		memset(fault, 0, sizeof(fault));
		return 0;
	}
	if (sscanf(text, "fail %15s %15s", call, error) == 2) {
		int code = strcmp(error, "EIO") == 0     ? -EIO
			   : strcmp(error, "EROFS") == 0 ? -EROFS
							 : -ENOSPC;
		bool known = false;

		for (unsigned i = 0; i < CALLS; i++) {
			if (strcmp(call, "all") == 0 || strcmp(call, call_name[i]) == 0) {
				fault[i] = code;
				known = true;
			}
		}
		return known ? 0 : -EINVAL;
	}
	return -EINVAL;
}

static int counters(char *out, size_t cap)
{
	int n = snprintf(out, cap, "used %llu\nlost %llu\ncrashes %llu\n",
			 (unsigned long long)fs.used, (unsigned long long)fs.lost_bytes,
			 (unsigned long long)fs.crashes);

	for (unsigned i = 0; i < CALLS; i++)
		n += snprintf(out + n, cap - (size_t)n, "%s %llu\n", call_name[i],
			      (unsigned long long)calls[i]);
	return n;
}

static struct fs_file *file_of(const struct fuse_file_info *fi)
{
	return (struct fs_file *)(uintptr_t)fi->fh; /* NULL: the control file */
}

static void touch(struct fs_file *f)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	f->changed_ns = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int do_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	struct fs_file *f;

	memset(st, 0, sizeof(*st));
	st->st_nlink = 1;
	if (path ? strcmp(path, control) == 0 : !file_of(fi)) {
		st->st_mode = S_IFREG | 0600;
		return 0;
	}
	enter();
	f = fi ? file_of(fi) : fs_find(&fs, path);
	if (!f)
		return leave(-ENOENT);
	st->st_mode = (f->is_dir ? S_IFDIR : S_IFREG) | f->mode;
	st->st_size = (off_t)f->live.n;
	st->st_blocks = (blkcnt_t)((f->live.n + 511) / 512);
	st->st_mtim.tv_sec = f->changed_ns / 1000000000;
	st->st_mtim.tv_nsec = f->changed_ns % 1000000000;
	return leave(0);
}

static int do_readdir(const char *path, void *out, fuse_fill_dir_t fill, off_t at,
		      struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
	const char *dir, *name;
	unsigned i = 0;

	(void)path;
	(void)at;
	(void)flags;
	enter();
	dir = fs_path(&fs, file_of(fi));
	if (!dir)
		return leave(-ENOENT);
	fill(out, ".", NULL, 0, 0);
	fill(out, "..", NULL, 0, 0);
	while ((name = fs_list(&fs, dir, &i)) != NULL)
		fill(out, name, NULL, 0, 0);
	return leave(0);
}

/* No page cache: what is read is what the model says, also after a crash. */
static void opened(struct fs_file *f, struct fuse_file_info *fi)
{
	if (f)
		f->opens++;
	fi->fh = (uintptr_t)f;
	fi->direct_io = 1;
}

static int do_opendir(const char *path, struct fuse_file_info *fi)
{
	struct fs_file *f;

	enter();
	f = fs_find(&fs, path);
	if (!f)
		return leave(-ENOENT);
	opened(f, fi);
	fi->direct_io = 0;
	return leave(0);
}

static int do_open(const char *path, struct fuse_file_info *fi)
{
	struct fs_file *f = NULL;
	int status = 0;

	enter();
	if (strcmp(path, control) != 0) {
		f = fs_find(&fs, path);
		if (!f)
			return leave(-ENOENT);
		if (fi->flags & O_TRUNC)
			status = fs_resize(&fs, f, 0);
	}
	opened(f, fi);
	return leave(status);
}

static int do_create(const char *path, mode_t mode, struct fuse_file_info *fi)
{
	struct fs_file *f;
	int status;

	enter();
	status = faulty(CALL_CREATE);
	if (status == 0)
		status = fs_make(&fs, path, mode, false, &f);
	if (status == 0) {
		touch(f);
		opened(f, fi);
	}
	return leave(status);
}

static int do_mkdir(const char *path, mode_t mode)
{
	struct fs_file *f;

	enter();
	return leave(fs_make(&fs, path, mode, true, &f));
}

static int do_remove(const char *path)
{
	enter();
	return leave(fault[CALL_CREATE] == -EROFS ? -EROFS : fs_remove(&fs, path));
}

static int do_rename(const char *from, const char *to, unsigned flags)
{
	int status;

	if (flags)
		return -EINVAL;
	enter();
	status = faulty(CALL_RENAME);
	return leave(status ? status : fs_rename(&fs, from, to));
}

static int do_release(const char *path, struct fuse_file_info *fi)
{
	struct fs_file *f = file_of(fi);

	(void)path;
	enter();
	if (f) {
		f->opens--;
		fs_drop(f);
	}
	return leave(0);
}

static int do_read(const char *path, char *out, size_t n, off_t at, struct fuse_file_info *fi)
{
	const struct fs_file *f = file_of(fi);
	const uint8_t *from;
	char text[512];
	size_t size, off = (size_t)at;

	(void)path;
	enter();
	size = f ? f->live.n : (size_t)counters(text, sizeof(text));
	from = f ? f->live.p : (uint8_t *)text;
	if (off >= size)
		return leave(0);
	if (n > size - off)
		n = size - off;
	memcpy(out, from + off, n);
	return leave((int)n);
}

static int do_write(const char *path, const char *data, size_t n, off_t at,
		    struct fuse_file_info *fi)
{
	struct fs_file *f = file_of(fi);
	char text[64];
	int status;

	(void)path;
	enter();
	if (!f) {
		snprintf(text, sizeof(text), "%.*s", (int)n, data);
		status = command(text);
		return leave(status ? status : (int)n);
	}
	status = faulty(CALL_WRITE);
	if (status)
		return leave(status);
	if (short_bytes && n > short_bytes)
		n = short_bytes;
	touch(f);
	return leave((int)fs_put(&fs, f, data, n, (size_t)at));
}

static int do_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
	struct fs_file *f;

	if (path ? strcmp(path, control) == 0 : !file_of(fi))
		return 0;
	enter();
	f = fi ? file_of(fi) : fs_find(&fs, path);
	if (!f)
		return leave(-ENOENT);
	return leave(fault[CALL_WRITE] ? fault[CALL_WRITE] : fs_resize(&fs, f, (size_t)size));
}

static int do_fallocate(const char *path, int mode, off_t at, off_t n, struct fuse_file_info *fi)
{
	struct fs_file *f = file_of(fi);
	size_t end = (size_t)(at + n);

	(void)path;
	if (mode & ~FALLOC_FL_KEEP_SIZE)
		return -EOPNOTSUPP;
	enter();
	if (fault[CALL_WRITE])
		return leave(fault[CALL_WRITE]);
	if (mode & FALLOC_FL_KEEP_SIZE || end <= f->live.n)
		return leave(0);
	return leave(fs_resize(&fs, f, end));
}

static int do_fsync(const char *path, int data_only, struct fuse_file_info *fi)
{
	struct fs_file *f = file_of(fi);
	struct timespec ts;
	int status;

	(void)path;
	(void)data_only;
	if (!f)
		return 0;
	enter();
	ts = (struct timespec){.tv_sec = (time_t)(stall_ms / 1000),
			       .tv_nsec = (long)(stall_ms % 1000 * 1000000)};
	(void)leave(0);
	if (ts.tv_sec || ts.tv_nsec)
		(void)nanosleep(&ts, NULL);
	enter();
	status = faulty(CALL_SYNC);
	if (status)
		fs_lose(&fs, f);
	else
		fs_sync(&fs, f);
	return leave(status);
}

static int do_fsyncdir(const char *path, int data_only, struct fuse_file_info *fi)
{
	const char *dir;
	int status;

	(void)path;
	(void)data_only;
	enter();
	status = faulty(CALL_SYNC_DIR);
	dir = fs_path(&fs, file_of(fi));
	if (status == 0 && dir)
		fs_sync_dir(&fs, dir);
	return leave(status);
}

static int do_statfs(const char *path, struct statvfs *st)
{
	uint64_t room = fs.room ? fs.room : UINT64_C(1) << 30;

	(void)path;
	memset(st, 0, sizeof(*st));
	st->f_bsize = st->f_frsize = 4096;
	st->f_blocks = room / 4096;
	st->f_bfree = st->f_bavail = (room > fs.used ? room - fs.used : 0) / 4096;
	st->f_namemax = FS_PATH_MAX - 1;
	return 0;
}

static int do_chmod(const char *path, mode_t mode, struct fuse_file_info *fi)
{
	(void)path;
	(void)mode;
	(void)fi;
	return 0;
}

static int do_utimens(const char *path, const struct timespec ts[2], struct fuse_file_info *fi)
{
	(void)path;
	(void)ts;
	(void)fi;
	return 0;
}

static void *do_init(struct fuse_conn_info *conn, struct fuse_config *conf)
{
	(void)conn;
	conf->nullpath_ok = 1;
	conf->hard_remove = 1; /* the model keeps what is open */
	conf->entry_timeout = conf->attr_timeout = conf->negative_timeout = 0;
	return NULL;
}

static const struct fuse_operations operations = {
	.init = do_init,
	.getattr = do_getattr,
	.opendir = do_opendir,
	.readdir = do_readdir,
	.releasedir = do_release,
	.open = do_open,
	.create = do_create,
	.mkdir = do_mkdir,
	.unlink = do_remove,
	.rmdir = do_remove,
	.rename = do_rename,
	.release = do_release,
	.read = do_read,
	.write = do_write,
	.truncate = do_truncate,
	.fallocate = do_fallocate,
	.fsync = do_fsync,
	.fsyncdir = do_fsyncdir,
	.statfs = do_statfs,
	.chmod = do_chmod,
	.utimens = do_utimens,
};

int main(int argc, char **argv)
{
	fs_init(&fs);
	return fuse_main(argc, argv, &operations, NULL);
}
