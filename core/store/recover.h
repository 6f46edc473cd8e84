/* SPDX-License-Identifier: Apache-2.0 */
/** Recovery: the newest valid snapshot, then the log (FileTxnSnapLog.restore, FileSnap.deserialize,
 * FileTxnLog.FileTxnIterator; spec/disk-format.md sections 2 and 5).
 *
 * What Apache accepts is accepted, with these differences, all for the sake of what was promised:
 *  - zxids follow one another within an epoch, and an epoch begins with 1. Where the log does not
 * go on behind the snapshot or behind its own last record, transactions are missing and the start
 * is refused (`trust_gaps` goes on). Apache goes on in silence.
 *  - What a crash leaves at the end of the last file is cut off: a record that is cut short or has
 * no end byte, as Apache passes over it; a file without a header; and a record whose checksum is
 *    wrong while its bytes show sectors that were never written. Any other damage is refused.
 *  - Everything that was replayed is synced before it counts: it may be in the page cache only.
 */
#ifndef ZK_STORE_RECOVER_H
#define ZK_STORE_RECOVER_H

#include "core/store/disk.h"
#include "core/store/name.h"
#include "core/store/snap_parse.h"
#include "core/store/snap_tree.h"
#include "core/txn/op.h"

enum {
	RECOVER_WHY_MAX = 512,
	RECOVER_LINE_MAX = 512,
	RECOVER_SNAPSHOTS_MAX = 100, /* tried (FileSnap.deserialize) */
};

enum recover_level { RECOVER_INFO, RECOVER_WARN, RECOVER_ERROR };

/** Far as it is; for a progress bar. */
struct recover_progress {
	const char *file;          /* borrowed for the call */
	bool log;                  /* a log, not a snapshot */
	uint64_t bytes, bytes_max; /* of the file as it is on disk; bytes_max 0: not known */
	uint64_t nodes, txns;
};

/** How a snapshot's batches come: by the calling thread when all is NULL. */
struct recover_pipe {
	void *ctx;
	struct zk_mem *mem; /* of the thread that reads; NULL: conf's */
	/** The bytes of snapshot @p name, compressed as @p pack says, in *source, until close().
	 * NULL: plain files only, through the disk. @return ZK_EOK, or an error with *why filled.
	 */
	enum zk_err (*open)(void *ctx, const char *name, enum store_pack pack,
			    struct snap_source *source, char why[SNAP_SOURCE_WHY_MAX]);
	void (*close)(void *ctx);
	/** Let another thread go on with @p parse. NULL: this thread does it. */
	enum zk_err (*start)(void *ctx, struct snap_parse *parse);
	/** Its next batch, valid until the next call. */
	struct snap_batch *(*next)(void *ctx);
	/** It must have let go of @p parse when this returns, wherever it was. */
	void (*stop)(void *ctx);
};

struct recover_conf {
	struct disk *disk;
	struct tree *tree; /* new, without readers */
	struct zk_mem *mem;
	uint32_t length_max; /* jute.maxbuffer + jute.maxbuffer.extrasize */
	bool trust_empty;    /* snapshot.trust.empty */
	bool autocreate;     /* db.autocreate */
	bool trust_gaps;     /* recovery.trustGaps */
	bool last_zxid; /* serializeLastProcessedZxid.enabled, for the snapshot of a first start */
	/* A member's configuration, for /zookeeper/config; {NULL, 0}: stands alone. Borrowed. */
	struct zk_span config;
	uint64_t config_version;
	int64_t wall_ms; /* its time */
	struct recover_pipe pipe;
	void *ctx; /* of these: */
	void (*say)(void *ctx, enum recover_level level, const char *line);
	/** After each batch or some 1,000 transactions; may be NULL. */
	void (*progress)(void *ctx, const struct recover_progress *p);
	/** Each replayed transaction, with its payload; may be NULL. */
	void (*replayed)(void *ctx, const struct txn_record *txn, struct zk_span payload);
};

struct recover_result {
	uint64_t zxid;
	bool empty;   /* there was nothing: a first start */
	bool unknown; /* nothing and db.autocreate=false: data may be missing, this server must not
			 vote */
	char snapshot[DISK_NAME_MAX]; /* "" = none */
	uint64_t snapshot_zxid;
	uint64_t nodes, txns, logs;
	uint64_t refused; /* operations that replay over a fuzzy snapshot could not apply */
	uint64_t digest_mismatches, digest_mismatch_zxid;
	uint64_t dead_sessions; /* owners of ephemerals that were no sessions; their nodes are gone
				 */
	struct snap_session *session; /* recover_free() */
	uint32_t sessions, sessions_max;
	char why[RECOVER_WHY_MAX]; /* after an error: one line that says what is wrong where */
};

/** Fill the tree. @p conf borrowed for the call; @p out is the caller's, to be freed also after an
 * error. The tree is as it was when nothing was found, and fit only for tree_free() after an error.
 * One thread that may block. Bound: the files.
 * @return ZK_EOK; ZK_ENOMEM: the tree's or other memory does not suffice; ZK_EINVAL: damage or a
 * gap; ZK_EIO and the like: the disk. out->why tells. */
ZK_MUST_USE enum zk_err recover_run(const struct recover_conf *conf, struct recover_result *out);

void recover_free(const struct recover_conf *conf, struct recover_result *r);

/** Write the recovered state as snapshot.<zxid>, safely (FileTxnSnapLog.save): what a first start
 * does, for logs without a snapshot are refused. The tree has no readers yet. @return ZK_EOK, or an
 * error with r->why. */
ZK_MUST_USE enum zk_err recover_save(const struct recover_conf *conf, struct recover_result *r);

#endif
