/* SPDX-License-Identifier: Apache-2.0 */
/** A snapshot of the leader takes the place of everything that is on the disk
 * (Learner.syncWithLeader, SNAP).
 *
 * What was there may be another history, with transactions that never were: of it nothing may be
 * combined with the new snapshot, neither a record of its log nor one of its snapshots, should the
 * new one be damaged later. And at no moment may there be neither of the two, for this server has
 * acknowledged the old one. So:
 *
 *  1. The new one is written whole and synced, and gets the name .snapshot.<zxid>.whole, which is
 *     no snapshot's to any reader; the directory is synced. Before this the old state counts.
 *  2. From here on the new one counts: replace_finish() removes every snapshot, makes a log of no
 *     record, log.<zxid + 1>, removes every other log, syncing the directories each time,
 *  3. gives the new one its name, snapshot.<zxid>, syncs that, and removes the empty log.
 *
 * A crash in 2 or before the rename leaves the .whole file, and recovery (core/store/recover.h)
 * begins with replace_finish(). An Apache server that is started on what a crash has left takes the
 * old state, refuses ("No snapshot found, but there are log entries": FileTxnSnapLog.restore() goes
 * by the name of the last log), or takes the new one; it never finds nothing, which it would take
 * for a new server's directory.
 *
 * Apache itself keeps the old logs and snapshots, and goes on where they end.
 */
#ifndef ZK_STORE_REPLACE_H
#define ZK_STORE_REPLACE_H

#include "core/mem.h"
#include "core/store/disk.h"
#include "core/store/name.h"

enum { REPLACE_WHY_MAX = 512 };

struct replace_result {
	bool found; /* there was something to finish */
	uint64_t zxid;
	unsigned snapshots, logs; /* removed */
	char why[REPLACE_WHY_MAX];
};

/** The name of step 1 with its NUL. Any context. */
void replace_name(uint64_t zxid, char out[STORE_NAME_MAX]);

/** Is @p name one of step 1? Then *zxid is its. Any context; bound: its length. */
bool replace_name_parse(const char *name, uint64_t *zxid);

/** Steps 2 and 3, from wherever they were broken off; nothing when there is no such file. Nobody
 * else may use the directories. Any thread that may block; bound: the directories.
 * @return ZK_EOK; an error of the disk, ZK_ENOMEM, or ZK_EINVAL (two such files), with a line in
 * out->why: not finished, the next start goes on. */
ZK_MUST_USE enum zk_err replace_finish(struct disk *d, struct zk_mem *mem,
				       struct replace_result *out);

#endif
