/* SPDX-License-Identifier: Apache-2.0 */
/** The snapshot that a leader sends, on its way onto the disk (Learner.syncWithLeader, SNAP;
 * spec/quorum-protocol.md section 4, SNAP stream): sessions, ACLs and nodes as in a file, the path
 * "/", the signature "BenWasHere". It becomes a file as Apache writes one, with header and
 * checksum, and takes the place of everything (core/store/replace.h).
 *
 * The bytes come in pieces of any size. What can be checked while they pass is: that they can be
 * taken apart, lengths, that the root comes first and every node behind its parent as Apache and
 * zokor send them (depth first), the signature. Nothing that was there before is touched before
 * snap_receive_commit().
 *
 * One thread that may block; one at a time.
 */
#ifndef ZK_STORE_SNAP_RECEIVE_H
#define ZK_STORE_SNAP_RECEIVE_H

#include "core/mem.h"
#include "core/store/replace.h"
#include "core/store/snap.h"
#include "core/store/snap_file.h"

enum { SNAP_RECEIVE_WHY_MAX = 512 };

struct snap_receive_conf {
	struct disk *disk; /* borrowed until snap_receive_end(), as mem */
	struct zk_mem *mem;
	uint64_t zxid;        /* of the SNAP packet */
	uint32_t length_max;  /* jute.maxbuffer + jute.maxbuffer.extrasize */
	uint64_t spare_bytes; /* see struct snap_file_conf */
};

struct snap_receive {
	struct snap_receive_conf conf;
	struct snap_file file;
	struct snap_reader reader;
	bool begun, complete, failed; /* file is open; signature seen; an error was returned */
	uint8_t *buf;                 /* taken and not in the file yet, then not taken yet */
	size_t cap, n, taken;
	uint8_t *path; /* of the node before */
	size_t path_n, path_cap;
	uint64_t nodes, sessions, acls;
	struct replace_result replaced;
	char why[SNAP_RECEIVE_WHY_MAX]; /* after an error */
};

/** Make the temporary file. @return ZK_EOK; ZK_ENOMEM or an error of the disk, with r->why. In any
 * case snap_receive_end() ends it. */
ZK_MUST_USE enum zk_err snap_receive_begin(struct snap_receive *r,
					   const struct snap_receive_conf *conf);

/** The next bytes; borrowed. @p used: how many of them belong to the stream: all with ZK_EAGAIN;
 * with ZK_EOK what is behind them are the packets that follow.
 * @return ZK_EAGAIN: there is more to come; ZK_EOK: that was all, now commit; ZK_EINVAL: not a
 * snapshot; ZK_ENOMEM; an error of the disk; with r->why. Bound: linear, and memory for one item
 * and its path (8 * length_max + 8192 bytes at most). */
ZK_MUST_USE enum zk_err snap_receive_put(struct snap_receive *r, struct zk_span window,
					 size_t *used);

/** Make it durable and put it in the place of everything: r->replaced tells what went. Nobody else
 * may use the directories. @return ZK_EOK; an error of the disk, with r->why: r->replaced.found
 * tells whether the new state counts already (the next start finishes it) or still the old one. */
ZK_MUST_USE enum zk_err snap_receive_commit(struct snap_receive *r);

/** Free everything; what was not committed is removed. */
void snap_receive_end(struct snap_receive *r);

#endif
