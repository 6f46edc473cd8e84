/* SPDX-License-Identifier: Apache-2.0 */
/** Old snapshots and logs go (PurgeTxnLog.java, FileTxnLog.getLogFiles, spec/disk-format.md section
 * 7).
 *
 * Kept are the newest snapshots that look sound, every log that the oldest of them needs (the one
 * that begins at or before it, for it may go on behind it, and all later ones), and every name that
 * is neither. Not as Apache: a file whose zxid cannot be read from its name stays, too.
 */
#ifndef ZK_STORE_PURGE_H
#define ZK_STORE_PURGE_H

#include "core/mem.h"
#include "core/store/disk.h"

enum { PURGE_KEEP_MIN = 3 };

struct purge_conf {
	struct disk *disk;
	struct zk_mem *mem;
	unsigned keep; /* >= PURGE_KEEP_MIN */
	/** Told of each file: @p err ZK_EOK when it is gone. NULL: nobody. */
	void (*each)(void *ctx, enum disk_dir dir, const char *name, enum zk_err err);
	void *ctx;
};

struct purge_result {
	unsigned kept; /* sound snapshots found, at most conf.keep */
	unsigned snapshots, logs, failed;
	uint64_t oldest_zxid; /* of the oldest snapshot kept, when kept > 0 */
};

/** Do it. Snapshots go before the logs they need, and each directory is synced in between, so a
 * crash leaves no snapshot without its logs. Any thread that may block. @return ZK_EOK, with
 * failures to remove counted in @p out; ZK_ENOMEM; or an error of the disk: nothing, or not all,
 * was removed. */
ZK_MUST_USE enum zk_err purge_run(const struct purge_conf *conf, struct purge_result *out);

#endif
