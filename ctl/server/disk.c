/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Writes up to this, into the page cache, are a copy of some microseconds: not worth another thread
 * of the kernel. */
enum { WRITE_INLINE_BYTES = 64 << 10 };

static struct disk_posix *of(struct disk *d)
{
	return d->ctx;
}

static enum zk_err code(int e)
{
	switch (e) {
	case ENOENT:
		return ZK_ENOENT;
	case EEXIST:
		return ZK_EEXIST;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return ZK_EFULL;
	case EACCES:
	case EPERM:
	case EROFS:
		return ZK_EPERM;
	case ENOMEM:
	case EMFILE:
	case ENFILE:
		return ZK_ENOMEM;
	default:
		return ZK_EIO;
	}
}

static enum zk_err failed(struct disk *d)
{
	d->os_error = errno;
	return code(errno);
}

static enum zk_err result(struct disk *d, int rc)
{
	return rc == 0 ? ZK_EOK : failed(d);
}

/* ---- files --------------------------------------------------------------------------------- */

static enum zk_err posix_list(struct disk *d, enum disk_dir dir, disk_each *each, void *arg)
{
	int fd = openat(of(d)->dirs->fd[dir], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum zk_err err = ZK_EOK;
	struct dirent *e;
	DIR *list;

	if (fd < 0)
		return failed(d);
	list = fdopendir(fd);
	if (!list) {
		err = failed(d);
		close(fd);
		return err;
	}
	while (errno = 0, (e = readdir(list)) != NULL) {
		struct stat st;

		if (fstatat(fd, e->d_name, &st, 0) != 0) {
			if (errno == ENOENT)
				continue; /* just unlinked */
			err = failed(d);
			break;
		}
		if (S_ISREG(st.st_mode) && !each(arg, e->d_name, (uint64_t)st.st_size))
			break;
	}
	if (!e && errno)
		err = failed(d);
	closedir(list);
	return err;
}

static enum zk_err posix_open(struct disk *d, enum disk_dir dir, const char *name,
			      enum disk_mode mode, int *file)
{
	static const int flags[] = {
		[DISK_READ] = O_RDONLY,
		[DISK_UPDATE] = O_RDWR,
		[DISK_CREATE] = O_RDWR | O_CREAT | O_EXCL,
		[DISK_REPLACE] = O_RDWR | O_CREAT | O_TRUNC,
		[DISK_BLOCKS] = O_RDWR | O_CREAT | O_TRUNC,
	};

	*file = openat(of(d)->dirs->fd[dir], name, flags[mode] | O_CLOEXEC, 0644);
	if (*file < 0)
		return failed(d);
	/* Behind the open, since one with O_DIRECT makes the file before it says no. */
	if (mode == DISK_BLOCKS && fcntl(*file, F_SETFL, O_DIRECT) == 0)
		of(d)->direct = *file;
	return ZK_EOK;
}

/* What is opened for whole blocks may still want larger ones than ours: then it goes through the
 * page cache. @return whether it did not yet. */
static bool indirect(struct disk_posix *p, int file)
{
	if (file != p->direct)
		return false;
	p->direct = -1;
	return fcntl(file, F_SETFL, 0) == 0;
}

static void posix_close(struct disk *d, int file)
{
	if (file == of(d)->direct)
		of(d)->direct = -1;
	/* Nobody reads what was written before a restart: its pages serve the next file, which then
	 * costs half as much (pages that were never used must be found, cleared and mapped). */
	if ((fcntl(file, F_GETFL) & O_ACCMODE) != O_RDONLY)
		(void)posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
	close(file);
}

static enum zk_err posix_size(struct disk *d, int file, uint64_t *bytes)
{
	struct stat st;

	if (fstat(file, &st) != 0)
		return failed(d);
	*bytes = (uint64_t)st.st_size;
	return ZK_EOK;
}

static enum zk_err posix_read(struct disk *d, int file, uint64_t at, void *to, size_t n,
			      size_t *got)
{
	*got = 0;
	while (*got < n) {
		ssize_t r = pread(file, (uint8_t *)to + *got, n - *got, (off_t)(at + *got));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return failed(d);
		if (r == 0)
			break;
		*got += (size_t)r;
	}
	return ZK_EOK;
}

static enum zk_err posix_write(struct disk *d, int file, uint64_t at, const void *from, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r =
			pwrite(file, (const uint8_t *)from + done, n - done, (off_t)(at + done));

		if (r < 0 && (errno == EINTR || (errno == EINVAL && indirect(of(d), file))))
			continue;
		if (r == 0)
			errno = EIO;
		if (r <= 0)
			return failed(d);
		done += (size_t)r;
	}
	return ZK_EOK;
}

static enum zk_err posix_allocate(struct disk *d, int file, uint64_t from, uint64_t to)
{
	enum zk_err err;

	if (fallocate(file, 0, (off_t)from, (off_t)(to - from)) == 0)
		return ZK_EOK;
	if (errno == EOPNOTSUPP || errno == ENOSYS) /* the size at least, as Apache does */
		return result(d, ftruncate(file, (off_t)to));
	err = failed(d);
	(void)!ftruncate(file, (off_t)from);
	return err;
}

static enum zk_err posix_truncate(struct disk *d, int file, uint64_t size)
{
	return result(d, ftruncate(file, (off_t)size));
}

static enum zk_err posix_sync(struct disk *d, int file)
{
	return result(d, fdatasync(file));
}

static enum zk_err posix_settle(struct disk *d, int file)
{
	int e;

	if (fdatasync(file) != 0)
		return failed(d);
	/* Clean pages go, those too that only look clean. */
	e = posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
	if (e == 0)
		return ZK_EOK;
	d->os_error = e;
	return code(e);
}

static enum zk_err posix_rename(struct disk *d, enum disk_dir dir, const char *from, const char *to)
{
	int fd = of(d)->dirs->fd[dir];

	return result(d, renameat(fd, from, fd, to));
}

static enum zk_err posix_unlink(struct disk *d, enum disk_dir dir, const char *name)
{
	return result(d, unlinkat(of(d)->dirs->fd[dir], name, 0));
}

static enum zk_err posix_sync_dir(struct disk *d, enum disk_dir dir)
{
	return result(d, fsync(of(d)->dirs->fd[dir]));
}

static enum zk_err posix_free_bytes(struct disk *d, enum disk_dir dir, uint64_t *bytes)
{
	struct statvfs st;

	if (fstatvfs(of(d)->dirs->fd[dir], &st) != 0)
		return failed(d);
	*bytes = (uint64_t)st.f_bavail * st.f_frsize;
	return ZK_EOK;
}

static const char *posix_dir_text(struct disk *d, enum disk_dir dir)
{
	return of(d)->dirs->path[dir];
}

static const char *posix_error_text(struct disk *d, int os_error)
{
	const char *text = strerrordesc_np(os_error);

	(void)d;
	return text ? text : "unknown error";
}

/* ---- submissions --------------------------------------------------------------------------- */

static void done_now(struct disk_posix *p, uint64_t tag, ssize_t r)
{
	int e = r < 0 ? errno : 0;

	zk_assert(p->now_n + p->under_way < DISK_QUEUE_MAX);
	p->inlined++;
	p->now[p->now_n++] = (struct disk_done){.tag = tag,
						.err = e ? code(e) : ZK_EOK,
						.os_error = e,
						.bytes = r < 0 ? 0 : (size_t)r};
}

static enum zk_err give(struct disk_posix *p, struct io_uring_sqe *sqe, const struct disk_sub *sub)
{
	unsigned i = 0;
	int r;

	while (p->sub[i].used)
		i++;
	io_uring_sqe_set_data64(sqe, i);
	do
		r = io_uring_submit(&p->ring);
	while (r == -EINTR || r == -EAGAIN || r == -EBUSY);
	if (r < 0) {
		errno = -r;
		return failed(&p->disk);
	}
	p->sub[i] = *sub;
	p->sub[i].used = true;
	p->under_way++;
	p->queued++;
	return ZK_EOK;
}

static struct io_uring_sqe *entry(struct disk_posix *p)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&p->ring);

	zk_assert(sqe && p->now_n + p->under_way < DISK_QUEUE_MAX);
	return sqe;
}

static ssize_t write_once(struct disk_posix *p, const struct disk_sub *s)
{
	ssize_t r;

	do
		r = pwrite(s->file, s->from, s->n, (off_t)s->at);
	while (r < 0 && (errno == EINTR || (errno == EINVAL && indirect(p, s->file))));
	return r;
}

static enum zk_err posix_submit_write(struct disk *d, int file, uint64_t at, const void *from,
				      size_t n, uint64_t tag, bool alone)
{
	const struct disk_sub sub = {.tag = tag, .at = at, .from = from, .n = n, .file = file};
	struct disk_posix *p = of(d);
	struct io_uring_sqe *sqe;

	if (!p->uring || alone || (n <= WRITE_INLINE_BYTES && file != p->direct)) {
		done_now(p, tag, write_once(p, &sub));
		return ZK_EOK;
	}
	sqe = entry(p);
	io_uring_prep_write(sqe, file, from, (unsigned)n, at);
	return give(p, sqe, &sub);
}

static enum zk_err posix_submit_sync(struct disk *d, int file, uint64_t tag, bool alone)
{
	const struct disk_sub sub = {.tag = tag, .file = file};
	struct disk_posix *p = of(d);
	struct io_uring_sqe *sqe;

	if (!p->uring || alone) {
		done_now(p, tag, fdatasync(file));
		return ZK_EOK;
	}
	sqe = entry(p);
	io_uring_prep_fsync(sqe, file, IORING_FSYNC_DATASYNC);
	return give(p, sqe, &sub);
}

static struct disk_done ended(struct disk_posix *p, unsigned i, int r)
{
	struct disk_sub *s = &p->sub[i];
	int e = r < 0 ? -r : 0;

	/* io_uring calls a write EIO that the file system only cut short (FUSE). The plain call
	 * tells: a write may be made again, a sync may not. */
	if (e && s->from) {
		ssize_t again = write_once(p, s);

		e = again < 0 ? errno : 0;
		r = again < 0 ? r : (int)again;
	}
	s->used = false;
	return (struct disk_done){.tag = s->tag,
				  .err = e ? code(e) : ZK_EOK,
				  .os_error = e,
				  .bytes = e ? 0 : (size_t)r};
}

static unsigned posix_reap(struct disk *d, struct disk_done *out, unsigned max)
{
	struct disk_posix *p = of(d);
	unsigned n = p->now_n < max ? p->now_n : max;
	struct io_uring_cqe *cqe;

	memcpy(out, p->now, n * sizeof(*out));
	p->now_n -= n;
	memmove(p->now, p->now + n, p->now_n * sizeof(*p->now));
	while (n < max && p->under_way > 0 && io_uring_peek_cqe(&p->ring, &cqe) == 0) {
		out[n++] = ended(p, (unsigned)io_uring_cqe_get_data64(cqe), cqe->res);
		io_uring_cqe_seen(&p->ring, cqe);
		p->under_way--;
	}
	return n;
}

void disk_posix_wait(struct disk_posix *p, int wake_fd, int timeout_ms)
{
	struct pollfd fd[2] = {{.fd = wake_fd, .events = POLLIN}, {.fd = -1, .events = POLLIN}};

	if (p->now_n > 0)
		return;
	if (p->under_way > 0)
		fd[1].fd = p->ring.ring_fd;
	(void)poll(fd, 2, timeout_ms);
}

/* ---- views --------------------------------------------------------------------------------- */

static const struct disk_ops posix_ops = {
	.list = posix_list,
	.open = posix_open,
	.close = posix_close,
	.size = posix_size,
	.read = posix_read,
	.write = posix_write,
	.allocate = posix_allocate,
	.truncate = posix_truncate,
	.sync = posix_sync,
	.settle = posix_settle,
	.rename = posix_rename,
	.unlink = posix_unlink,
	.sync_dir = posix_sync_dir,
	.free_bytes = posix_free_bytes,
	.dir_text = posix_dir_text,
	.error_text = posix_error_text,
	.submit_write = posix_submit_write,
	.submit_sync = posix_submit_sync,
	.reap = posix_reap,
};

void disk_posix_init(struct disk_posix *p, const struct disk_dirs *dirs, bool async)
{
	*p = (struct disk_posix){.dirs = dirs, .direct = -1};
	p->disk = (struct disk){.ops = &posix_ops, .ctx = p};
	p->uring = async && io_uring_queue_init(DISK_QUEUE_MAX, &p->ring, 0) == 0;
}

void disk_posix_fini(struct disk_posix *p)
{
	zk_assert(p->under_way == 0);
	if (p->uring)
		io_uring_queue_exit(&p->ring);
	p->uring = false;
}

static enum zk_err make(const char *path)
{
	char parent[DISK_PATH_MAX];
	const char *slash = strrchr(path, '/');
	int fd, rc;

	if (mkdir(path, 0755) != 0)
		return errno == EEXIST ? ZK_EOK : code(errno);
	snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - path) : 1,
		 slash ? path : ".");
	fd = open(parent[0] ? parent : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return code(errno);
	rc = fsync(fd);
	close(fd);
	return rc == 0 ? ZK_EOK : code(errno);
}

static enum zk_err make_all(const char *path)
{
	char part[DISK_PATH_MAX];

	for (const char *p = path; *p; p++) {
		enum zk_err err;

		if (p == path || *p != '/')
			continue;
		snprintf(part, sizeof(part), "%.*s", (int)(p - path), path);
		err = make(part);
		if (err != ZK_EOK)
			return err;
	}
	return make(path);
}

enum zk_err disk_dirs_open(struct disk_dirs *dirs, const char *data, const char *log, bool create,
			   char *why, size_t cap)
{
	const char *top[DISK_DIRS] = {data, log, data, log};

	for (int i = 0; i < DISK_DIRS; i++)
		dirs->fd[i] = -1;
	for (int i = 0; i < DISK_DIRS; i++) {
		enum zk_err err = ZK_EOK;

		snprintf(dirs->path[i], DISK_PATH_MAX, "%s%s", top[i],
			 i < DISK_DATA_TOP ? "/version-2" : "");
		if (create)
			err = make_all(dirs->path[i]);
		if (err == ZK_EOK) {
			dirs->fd[i] = open(dirs->path[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			err = dirs->fd[i] < 0 ? code(errno) : ZK_EOK;
		}
		if (err == ZK_EOK && faccessat(dirs->fd[i], ".", W_OK | X_OK, AT_EACCESS) != 0)
			err = code(errno);
		if (err != ZK_EOK) {
			snprintf(why, cap, "%s: %s", dirs->path[i], strerror(errno));
			disk_dirs_close(dirs);
			return err;
		}
	}
	return ZK_EOK;
}

void disk_dirs_close(struct disk_dirs *dirs)
{
	for (int i = 0; i < DISK_DIRS; i++) {
		if (dirs->fd[i] >= 0)
			close(dirs->fd[i]);
		dirs->fd[i] = -1;
	}
}
