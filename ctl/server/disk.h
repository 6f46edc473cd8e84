/* SPDX-License-Identifier: Apache-2.0 */
/** core/store/disk.h on real directories: POSIX calls, and io_uring for what may be under way at
 * the same time. Where the kernel refuses io_uring, submissions are carried out as they are made.
 */
#ifndef ZK_CTL_DISK_H
#define ZK_CTL_DISK_H

#include "core/store/disk.h"

#include <liburing.h>

enum { DISK_PATH_MAX = 1152 };

/** The four directories, shared by all views. */
struct disk_dirs {
	int fd[DISK_DIRS];
	char path[DISK_DIRS][DISK_PATH_MAX];
};

/** Open dataDir and dataLogDir and their version-2, with @p create making what is missing
 * (datadir.autocreate) and its names durable. Main thread. @return ZK_EOK, or the code with one
 * line in @p why of @p cap bytes. */
ZK_MUST_USE enum zk_err disk_dirs_open(struct disk_dirs *dirs, const char *data, const char *log,
				       bool create, char *why, size_t cap);
/** After all views. */
void disk_dirs_close(struct disk_dirs *dirs);

/** One thread's view. */
struct disk_posix {
	struct disk disk; /* what core/store takes */
	const struct disk_dirs *dirs;
	int direct; /* the file of DISK_BLOCKS that passes by the page cache, or -1 */
	bool uring;
	struct io_uring ring;
	unsigned under_way; /* in the ring */
	struct disk_sub {
		uint64_t tag, at;
		const void *from; /* NULL: a sync, or free */
		size_t n;
		int file;
		bool used;
	} sub[DISK_QUEUE_MAX];                /* what is in the ring */
	struct disk_done now[DISK_QUEUE_MAX]; /* carried out at once, not yet reaped */
	unsigned now_n;
	uint64_t inlined, queued; /* submissions carried out at once; given to the ring */
};

/** @p async: it will submit. Borrows @p dirs. The thread that uses it. */
void disk_posix_init(struct disk_posix *p, const struct disk_dirs *dirs, bool async);
/** Nothing may be under way. */
void disk_posix_fini(struct disk_posix *p);

/** Sleep until something can be reaped, @p wake_fd can be read or @p timeout_ms have passed (-1 =
 * no end). */
void disk_posix_wait(struct disk_posix *p, int wake_fd, int timeout_ms);

#endif
