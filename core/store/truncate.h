/* SPDX-License-Identifier: Apache-2.0 */
/** The state goes back to an older zxid (FileTxnLog.truncate, ZKDatabase.truncateLog; TRUNC): what
 * is behind it was never committed.
 *
 * The log is cut behind the last transaction at or before that zxid. Snapshots of later states go
 * too: Apache leaves them, and loads them again at its next start. Nothing is touched before it is
 * known that what is left can be loaded: a snapshot at or before the zxid whose checksums are
 * right, and the log from there to the zxid without a gap.
 *
 * Then, in this order, so that a crash leaves a beginning of the old history that ends at the zxid
 * or behind it, without holes:
 *  1. the snapshots beyond it are unlinked and the directory synced: the log still has it all;
 *  2. the logs that begin beyond it are unlinked, the last one first, each made sure of before the
 *     next;
 *  3. the file that holds it is cut and synced.
 */
#ifndef ZK_STORE_TRUNCATE_H
#define ZK_STORE_TRUNCATE_H

#include "core/mem.h"
#include "core/store/disk.h"
#include "core/store/recover.h"

enum { TRUNCATE_WHY_MAX = 512 };

struct truncate_conf {
	struct disk *disk;
	struct zk_mem *mem;
	uint32_t length_max; /* jute.maxbuffer + jute.maxbuffer.extrasize */
	uint64_t zxid;
	/** To read compressed snapshots: open() and close(), as in recovery. NULL: plain ones only.
	 */
	const struct recover_pipe *pipe;
};

struct truncate_result {
	uint64_t zxid; /* of the last transaction left, or of the snapshot when there is none behind
			  it */
	uint64_t snapshot_zxid;   /* what recovery will load */
	unsigned snapshots, logs; /* removed */
	uint64_t cut_bytes;       /* off the file that is the last one now */
	char why[TRUNCATE_WHY_MAX];
};

/** Do it. out->zxid is conf->zxid, but for one that is the beginning of an epoch (its lower half 0)
 * and no transaction of its own: then it is the last one before it. Nobody else may use the
 * directories. Any thread that may block; bound: one snapshot, and the log from there.
 * @return ZK_EOK; ZK_ENOENT: that state cannot be reached (the log is purged, or does not go so
 * far), nothing was touched; ZK_EINVAL: damage on the way there, nothing was touched; ZK_ENOMEM; an
 * error of the disk. With a line in out->why. */
ZK_MUST_USE enum zk_err truncate_run(const struct truncate_conf *conf, struct truncate_result *out);

#endif
