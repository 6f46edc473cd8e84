/* SPDX-License-Identifier: Apache-2.0 */
/** How log writer, snapshot writer and recovery see files, so that a simulated disk can stand in.
 *
 * A struct disk is one thread's view of the two directories; any number of them may look at the
 * same ones. The real one is ctl/server/disk.h, the simulated one test/lib/sim_disk.h.
 *
 * What a crash leaves is what the strictest file system allows:
 *  - bytes written or allocated, and a new size, are safe once a sync of the file that was begun
 *    after the write had ended has returned without error;
 *  - a file made, renamed or unlinked, as a name, is safe once a sync of its directory has;
 *  - before that any part of it, in any order and at the grain of a sector, may be there or not;
 *  - a sync that failed says nothing about any byte written since the last good one, and the next
 *    good one says nothing about them either: they must be taken as lost.
 *
 * Every call returns ZK_EOK, or one of these with the system's number in d->os_error:
 *  ZK_ENOENT, ZK_EEXIST; ZK_EFULL: no space or quota; ZK_EPERM: not permitted, or the file system
 *  is read-only; ZK_ENOMEM: no memory or descriptors; ZK_EIO: all else.
 */
#ifndef ZK_STORE_DISK_H
#define ZK_STORE_DISK_H

#include "core/base/assert.h"
#include "core/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Names of files have no directory in them: it is one of these. All exist. */
enum disk_dir {
	DISK_DATA,     /* dataDir/version-2: snapshots, epochs */
	DISK_LOG,      /* dataLogDir/version-2: logs; may be the same directory */
	DISK_DATA_TOP, /* dataDir: myid */
	DISK_LOG_TOP,  /* dataLogDir: initialize */
	DISK_DIRS
};

enum disk_mode {
	DISK_READ,    /* must exist */
	DISK_UPDATE,  /* must exist; read and write */
	DISK_CREATE,  /* must not exist (ZK_EEXIST); read and write */
	DISK_REPLACE, /* made if missing, emptied if not; read and write */
	DISK_BLOCKS,  /* as DISK_REPLACE; what is written goes to the device as it lies in memory,
		       * where the file system can: address, offset and length of every write are
		       * multiples of DISK_BLOCK_BYTES, but for what a short write has left of one.
		       * One at a time per struct disk. */
};

enum {
	DISK_NAME_MAX = 256,
	DISK_QUEUE_MAX = 8, /* submissions under way, per struct disk */
	DISK_BLOCK_BYTES = 4096,
};

/** What a submission came to. */
struct disk_done {
	uint64_t tag;
	enum zk_err err;
	int os_error;
	size_t bytes; /* of a write: how many were written, without error perhaps fewer */
};

/** One entry of a directory. @p name is borrowed for the call. @return false: enough. */
typedef bool disk_each(void *arg, const char *name, uint64_t size_bytes);

struct disk;

/** See the wrappers below. */
struct disk_ops {
	enum zk_err (*list)(struct disk *d, enum disk_dir dir, disk_each *each, void *arg);
	enum zk_err (*open)(struct disk *d, enum disk_dir dir, const char *name,
			    enum disk_mode mode, int *file);
	void (*close)(struct disk *d, int file);
	enum zk_err (*size)(struct disk *d, int file, uint64_t *bytes);
	enum zk_err (*read)(struct disk *d, int file, uint64_t at, void *to, size_t n, size_t *got);
	enum zk_err (*write)(struct disk *d, int file, uint64_t at, const void *from, size_t n);
	enum zk_err (*allocate)(struct disk *d, int file, uint64_t from, uint64_t to);
	enum zk_err (*truncate)(struct disk *d, int file, uint64_t size);
	enum zk_err (*sync)(struct disk *d, int file);
	enum zk_err (*settle)(struct disk *d, int file);
	enum zk_err (*rename)(struct disk *d, enum disk_dir dir, const char *from, const char *to);
	enum zk_err (*unlink)(struct disk *d, enum disk_dir dir, const char *name);
	enum zk_err (*sync_dir)(struct disk *d, enum disk_dir dir);
	enum zk_err (*free_bytes)(struct disk *d, enum disk_dir dir, uint64_t *bytes);
	const char *(*dir_text)(struct disk *d, enum disk_dir dir);
	const char *(*error_text)(struct disk *d, int os_error);
	/* for the log writer only */
	enum zk_err (*submit_write)(struct disk *d, int file, uint64_t at, const void *from,
				    size_t n, uint64_t tag, bool alone);
	enum zk_err (*submit_sync)(struct disk *d, int file, uint64_t tag, bool alone);
	unsigned (*reap)(struct disk *d, struct disk_done *out, unsigned max);
};

/** One thread's. */
struct disk {
	const struct disk_ops *ops; /* constant */
	void *ctx;                  /* the implementation's */
	int os_error;               /* of the last call that failed, as errno */
};

/* ---- blocking: any thread that may block ------------------------------------------------------
 */

/** Call @p each for every regular file, in no particular order. Bound: the directory. */
ZK_MUST_USE static inline enum zk_err disk_list(struct disk *d, enum disk_dir dir, disk_each *each,
						void *arg)
{
	return d->ops->list(d, dir, each, arg);
}

/** @return with ZK_EOK a descriptor in *file, the caller's to close. */
ZK_MUST_USE static inline enum zk_err disk_open(struct disk *d, enum disk_dir dir, const char *name,
						enum disk_mode mode, int *file)
{
	return d->ops->open(d, dir, name, mode, file);
}

/** Promises nothing about what was written. Nothing of it may be under way. */
static inline void disk_close(struct disk *d, int file)
{
	d->ops->close(d, file);
}

ZK_MUST_USE static inline enum zk_err disk_size(struct disk *d, int file, uint64_t *bytes)
{
	return d->ops->size(d, file, bytes);
}

/** Read @p n bytes; *got is less only at the end of the file. */
ZK_MUST_USE static inline enum zk_err disk_read(struct disk *d, int file, uint64_t at, void *to,
						size_t n, size_t *got)
{
	return d->ops->read(d, file, at, to, n, got);
}

/** Write all of it, or fail with any part of it written. */
ZK_MUST_USE static inline enum zk_err disk_write(struct disk *d, int file, uint64_t at,
						 const void *from, size_t n)
{
	return d->ops->write(d, file, at, from, n);
}

/** Make a file of @p from bytes one of @p to bytes, the new ones zero, with space reserved for them
 * where the file system can. After an error it has @p from bytes. */
ZK_MUST_USE static inline enum zk_err disk_allocate(struct disk *d, int file, uint64_t from,
						    uint64_t to)
{
	zk_assert(from <= to);
	return d->ops->allocate(d, file, from, to);
}

ZK_MUST_USE static inline enum zk_err disk_truncate(struct disk *d, int file, uint64_t size)
{
	return d->ops->truncate(d, file, size);
}

/** fdatasync: contents and size. Never call it again for the same bytes after an error. */
ZK_MUST_USE static inline enum zk_err disk_sync(struct disk *d, int file)
{
	return d->ops->sync(d, file);
}

/** Make safe what is in the file, and see to it that what is read from now on is what the device
 * has. For recovery: what a process that was killed has written may still be in memory only, and
 * what a failed sync has left there looks like the file but will never reach the device. Before the
 * last log file is read; without it a later crash may leave a hole in the log. */
ZK_MUST_USE static inline enum zk_err disk_settle(struct disk *d, int file)
{
	return d->ops->settle(d, file);
}

/** An existing file of the new name is replaced, at once for every reader. */
ZK_MUST_USE static inline enum zk_err disk_rename(struct disk *d, enum disk_dir dir,
						  const char *from, const char *to)
{
	return d->ops->rename(d, dir, from, to);
}

ZK_MUST_USE static inline enum zk_err disk_unlink(struct disk *d, enum disk_dir dir,
						  const char *name)
{
	return d->ops->unlink(d, dir, name);
}

ZK_MUST_USE static inline enum zk_err disk_sync_dir(struct disk *d, enum disk_dir dir)
{
	return d->ops->sync_dir(d, dir);
}

/** What an unprivileged process may still write there. */
ZK_MUST_USE static inline enum zk_err disk_free_bytes(struct disk *d, enum disk_dir dir,
						      uint64_t *bytes)
{
	return d->ops->free_bytes(d, dir, bytes);
}

/* ---- for messages -----------------------------------------------------------------------------
 */

/** The path of a directory. Lives as long as @p d. Never blocks. */
static inline const char *disk_dir_text(struct disk *d, enum disk_dir dir)
{
	return d->ops->dir_text(d, dir);
}

/** "No space left on device" for d->os_error. Static storage. Never blocks. */
static inline const char *disk_error_text(struct disk *d)
{
	return d->ops->error_text(d, d->os_error);
}

/* ---- under way at the same time: the log writer's thread ---------------------------------------
 *
 * No order is promised among submissions, not even of a sync behind a write: a sync covers the
 * writes that were reaped before it was submitted. At most DISK_QUEUE_MAX may be under way, one
 * more stops the process. An error returned here is the submission's own: nothing is under way.
 */

/** Begin a write. @p from is borrowed until it is reaped. @p alone: there is nothing worth doing
 * meanwhile, so it may be done at once, in this call. */
ZK_MUST_USE static inline enum zk_err disk_submit_write(struct disk *d, int file, uint64_t at,
							const void *from, size_t n, uint64_t tag,
							bool alone)
{
	return d->ops->submit_write(d, file, at, from, n, tag, alone);
}

/** Begin an fdatasync. @p alone as above. */
ZK_MUST_USE static inline enum zk_err disk_submit_sync(struct disk *d, int file, uint64_t tag,
						       bool alone)
{
	return d->ops->submit_sync(d, file, tag, alone);
}

/** Take what has ended, at most @p max. Never waits. @return how many. */
static inline unsigned disk_reap(struct disk *d, struct disk_done *out, unsigned max)
{
	return d->ops->reap(d, out, max);
}

#endif
