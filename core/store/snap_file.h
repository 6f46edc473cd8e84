/* SPDX-License-Identifier: Apache-2.0 */
/** A snapshot's way onto the disk: a temporary name, the bytes, sync, rename, sync of the directory
 * (AtomicFileOutputStream, FileSnap.serialize). So a file named snapshot.* is whole, or was there
 * before.
 *
 * The temporary name begins with a dot: Apache takes "snapshot.5.tmp" for a snapshot.
 *
 * Any thread that may block; one at a time.
 */
#ifndef ZK_STORE_SNAP_FILE_H
#define ZK_STORE_SNAP_FILE_H

#include "core/base/span.h"
#include "core/store/disk.h"
#include "core/store/name.h"

enum {
	/* Between syncs: a sync of the log, on the same disk, waits for no more of a snapshot than
	 * this, which takes some milliseconds. */
	SNAP_FILE_SYNC_BYTES = 512 << 10,
	SNAP_FILE_NAME_MAX = STORE_NAME_MAX + 8,
};

struct snap_file;

/** Compression. put() and end() hand what they have packed to snap_file_raw(). */
struct snap_pack {
	void *ctx;
	enum zk_err (*put)(void *ctx, struct snap_file *f, struct zk_span in);
	enum zk_err (*end)(void *ctx, struct snap_file *f);
};

struct snap_file {
	struct disk *disk;
	const struct snap_pack *pack; /* NULL: as it is */
	int file;                     /* -1: closed */
	uint64_t bytes;               /* written */
	uint64_t synced;
	uint64_t spare_bytes;
	char name[STORE_NAME_MAX], temp[SNAP_FILE_NAME_MAX];
	const char *step; /* what failed: "write", "sync"...; static */
};

struct snap_file_conf {
	struct disk *disk;
	uint64_t zxid;
	enum store_pack kind;         /* for the suffix of the name */
	const struct snap_pack *pack; /* that packs so; NULL for STORE_PLAIN */
	uint64_t spare_bytes;         /* room that the log must be left with: ZK_EFULL below it */
	bool aside; /* give it a name that nobody takes for a snapshot: core/store/replace.h */
};

/** Make the temporary file. @p conf is copied, what it points at borrowed until commit or abort.
 * @return ZK_EOK, or an error of core/store/disk.h, f->step telling what was tried; there is
 * nothing to abort then. */
ZK_MUST_USE enum zk_err snap_file_open(struct snap_file *f, const struct snap_file_conf *conf);

/** The next bytes of the stream. @return ZK_EOK; an error, with f->step: abort it. */
ZK_MUST_USE enum zk_err snap_file_put(struct snap_file *f, struct zk_span bytes);

/** All is there: make it last and give it its name. @return ZK_EOK; an error, with f->step: abort
 * it.
 */
ZK_MUST_USE enum zk_err snap_file_commit(struct snap_file *f);

/** Give up: close, and remove what is there under the temporary name. disk->os_error stays. */
void snap_file_abort(struct snap_file *f);

/** For struct snap_pack: bytes as they go into the file. */
ZK_MUST_USE enum zk_err snap_file_raw(struct snap_file *f, struct zk_span bytes);

/** Remove what a crash has left under temporary names. @return how many; errors are passed over.
 * Before the first snapshot. */
unsigned snap_file_sweep(struct disk *d);

#endif
