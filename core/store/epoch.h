/* SPDX-License-Identifier: Apache-2.0 */
/** The small files of a server: acceptedEpoch and currentEpoch beside the snapshots, myid above
 * (QuorumPeer.loadDataBase, AtomicFileOutputStream, QuorumPeerConfig.setupMyId; spec/disk-format.md
 * section 1). A standalone server has none of them.
 *
 * Any thread that may block, with its own view of the disk.
 */
#ifndef ZK_STORE_EPOCH_H
#define ZK_STORE_EPOCH_H

#include "core/store/disk.h"

enum { EPOCH_WHY_MAX = 512 };

enum epoch_file { EPOCH_ACCEPTED, EPOCH_CURRENT };

/** The number in the first line. @return ZK_EOK; ZK_ENOENT: no such file; ZK_EINVAL: its first line
 * is no number as Long.parseLong() takes it; errors of the disk. With a line in @p why unless
 * ZK_EOK or ZK_ENOENT. */
ZK_MUST_USE enum zk_err epoch_read(struct disk *d, enum epoch_file file, int64_t *value,
				   char why[EPOCH_WHY_MAX]);
ZK_MUST_USE enum zk_err epoch_read_myid(struct disk *d, int64_t *id, char why[EPOCH_WHY_MAX]);

/** Make @p value last under the file's name, or leave the old one: NAME.tmp, sync, rename, sync of
 * the directory. Only when it has returned ZK_EOK may anybody be told. */
ZK_MUST_USE enum zk_err epoch_write(struct disk *d, enum epoch_file file, int64_t value,
				    char why[EPOCH_WHY_MAX]);

struct epochs {
	int64_t accepted, current;
	bool unfinished; /* the log has transactions of an epoch above `current` */
};

/** What a member of an ensemble does at start, when its last zxid is known: read both, make those
 * that are missing from the epoch of @p last_zxid, adopt currentEpoch.tmp where the log has gone on
 * in its epoch. Not as Apache, which does not start then: where there is none, and the epoch was
 * promised (acceptedEpoch), the server went down while a new leader brought it up to date. It keeps
 * the epoch it has: it cannot win against who has completed the new one, and of those there is one
 * in every quorum, or nobody could have written in it. @return ZK_EOK; ZK_EINVAL with a line in
 * @p why: they contradict each other; errors of the disk. */
ZK_MUST_USE enum zk_err epoch_load(struct disk *d, uint64_t last_zxid, struct epochs *out,
				   char why[EPOCH_WHY_MAX]);

#endif
