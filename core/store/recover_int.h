/* SPDX-License-Identifier: Apache-2.0 */
/** Inside recovery. */
#ifndef ZK_STORE_RECOVER_INT_H
#define ZK_STORE_RECOVER_INT_H

#include "core/store/name.h"
#include "core/store/recover.h"

/** A file of interest. */
struct recover_file {
	uint64_t zxid;
	uint64_t bytes;
	struct store_name name;
	bool complete; /* a snapshot that looks whole */
	char text[DISK_NAME_MAX];
};

struct recover_list {
	struct recover_file *v;
	size_t n, max;
};

/** Sessions while they come and go; open addressing. */
struct recover_session {
	uint64_t id;
	int32_t timeout_ms;
	uint8_t state; /* 0 free, 1 taken, 2 was taken */
};

struct recover {
	const struct recover_conf *conf;
	struct recover_result *out;
	struct tree *tree;
	struct recover_list snapshots, logs; /* newest first; oldest first */
	struct recover_session *session;
	uint64_t slots, slots_used, sessions; /* slots: power of two; used: taken or were */
	/* the digest in the snapshot, until replay has come to its zxid */
	bool digest;
	uint64_t digest_zxid, digest_value;
	struct recover_progress progress;
};

/* recover.c */
/** A line for the log. */
void recover_say(struct recover *r, enum recover_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/** Why it failed, into out->why; returns @p err. */
enum zk_err recover_fail(struct recover *r, enum zk_err err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void recover_mismatch(struct recover *r, uint64_t zxid);
const char *recover_dir(struct recover *r, enum disk_dir dir);

/* recover_session.c */
ZK_MUST_USE enum zk_err recover_sessions_init(struct recover *r);
void recover_sessions_fini(struct recover *r);
void recover_sessions_clear(struct recover *r);
ZK_MUST_USE enum zk_err recover_session_put(struct recover *r, uint64_t id, int32_t timeout_ms);
void recover_session_drop(struct recover *r, uint64_t id);
/** Close what only ephemerals remember (ZooKeeperServer.loadData), and hand the sessions over. */
ZK_MUST_USE enum zk_err recover_sessions_end(struct recover *r);

/* recover_snap.c */
/** Load the newest snapshot that is right. ZK_ENOENT: there is none to try. */
ZK_MUST_USE enum zk_err recover_snapshot(struct recover *r);
/** Replay has come to @p zxid, all of it applied: is that where the snapshot's digest was taken? */
void recover_digest_at(struct recover *r, uint64_t zxid);

/* recover_log.c */
/** Replay what is behind the snapshot, and make the end of the log clean. */
ZK_MUST_USE enum zk_err recover_logs(struct recover *r);

#endif
