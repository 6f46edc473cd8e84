/* SPDX-License-Identifier: Apache-2.0 */
/** A leader with its tree, rings and a log in memory, for tests: requests in, replies out. */
#ifndef TEST_LEAD_H
#define TEST_LEAD_H

#include "core/jute/proto.h"
#include "core/server/leader.h"
#include "core/server/role.h"
#include "core/store/snap_tree.h"
#include "core/txn/txn.h"
#include "test/lib/req.h"

enum { LEAD_CORES = 2, LEAD_OUT_MAX = 4096, LEAD_LOG_MAX = 1 << 16, LEAD_SESSIONS_MAX = 5000 };

/** A record that came out of a ring, copied. */
struct lead_out {
	uint16_t kind;
	uint16_t core;
	struct msg_conn conn;
	int32_t xid, op, timeout_ms;
	enum zk_err err;
	uint64_t zxid, session;
	uint32_t drop, attached;
	uint8_t password[16];
	uint8_t *body;
	size_t body_n;
};

struct lead_txn {
	uint64_t zxid;
	uint8_t *p;
	size_t n;
};

struct lead_opt {
	size_t ring_bytes;    /* 0 = 1 MiB */
	uint32_t pending_max; /* 0 = the default */
	uint32_t ask_bytes;   /* 0 = no limit */
	uint32_t jute_maxbuffer;
	uint32_t hold_max_ms; /* 0 = the default */
	uint64_t now_ns;      /* 0 = 1000 s */
	bool extended_types, skip_acl, enforce_quota, digest;
	uint32_t reap_interval_ms, reap_per_minute; /* 0 = the defaults */
	uint64_t reap_never_used_ms;
	size_t changes_soft_max; /* 0 = 65536 */
	const char *super_digest;
	struct snap_desk *snap_desk;
	uint32_t snap_count;
	uint64_t snap_size_bytes, snap_seed;
	size_t tree_limit;                  /* bytes; 0 = none */
	const struct leader_quorum *quorum; /* NULL: stands alone */
	uint8_t server_id;                  /* 0 = 1 */
	bool local_sessions;
	/* sessions that `restore` has found */
	const struct snap_session *restored;
	const uint32_t *restored_n;
	/* called before there is a reader: what a recovery does */
	void (*restore)(struct tree *, void *ctx);
	void *restore_ctx;
	void (*prepare)(struct tree *); /* called before the leader is made */
};

struct lead {
	struct zk_mem mem, tree_mem;
	struct tree *tree;
	struct tree_reader *reader;
	struct zk_ring ring[LEAD_CORES];
	struct leader *l;
	uint64_t now_ns;
	int64_t wall_ms;
	enum srv_role role;    /* what it said */
	uint64_t logged;       /* last zxid the log stage took */
	unsigned log_room;     /* appends it still takes; default: no end */
	unsigned rolls;        /* how often the log was told to begin a new file */
	uint64_t rolled_zxid;  /* behind which transaction the last time */
	bool mute[LEAD_CORES]; /* this core does not answer the roll; it keeps the last question */
	uint64_t question[LEAD_CORES];
	uint32_t term;        /* of the role that the cores were told */
	bool late;            /* durable is reported by lead_durable() only */
	struct lead_txn *log; /* all it took */
	size_t log_n;
	struct lead_out out[LEAD_OUT_MAX]; /* since the last lead_forget() */
	size_t out_n;
	uint8_t ids[AUTH_IDS_BYTES_MAX]; /* of the caller; default ip 127.0.0.1 */
	size_t ids_n;
	uint32_t next_xid;
};

struct lead *lead_open(const struct lead_opt *opt);
/** Frees all and fails the test on a leak. */
void lead_close(struct lead *d);

/** Everything logged is durable: apply, then read the rings. */
void lead_durable(struct lead *d, uint64_t zxid, unsigned budget);
void lead_read(struct lead *d);
/** Reads one ring only, at most @p max records. */
size_t lead_read_core(struct lead *d, unsigned core, size_t max);
void lead_forget(struct lead *d);
/** A tick; rolls that it calls are answered, and it goes on, unless a core is mute or d->late. */
void lead_tick(struct lead *d, uint64_t now_ns);
/** The core answers the roll that it owes. @p hold_until_ns: as in struct msg_roll. */
void lead_roll(struct lead *d, unsigned core, uint64_t hold_until_ns);

/** Open a session on connection (core, index, 1); returns its id. */
uint64_t lead_session(struct lead *d, unsigned core, uint32_t conn, int32_t timeout_ms);
/** ... or only ask for it. */
enum zk_err lead_ask_session(struct lead *d, unsigned core, uint32_t conn, int32_t timeout_ms);
/** Offer a request; with late == false everything is durable at once and the ring is read. */
enum zk_err lead_send(struct lead *d, unsigned core, uint32_t conn, uint64_t session, int32_t xid,
		      int32_t op, struct zk_span body);
/** One request, its one reply. */
const struct lead_out *lead_call(struct lead *d, uint64_t session, int32_t op, struct zk_span body);
/** ... of which only the error counts. */
enum zk_err lead_err(struct lead *d, uint64_t session, int32_t op, struct zk_span body);
enum zk_err lead_attach(struct lead *d, unsigned core, uint32_t conn, uint64_t session,
			int32_t timeout_ms, const uint8_t password[16]);
enum zk_err lead_touch(struct lead *d, unsigned core, uint64_t session);
enum zk_err lead_detach(struct lead *d, unsigned core, uint32_t conn, uint64_t session);

/** The node's state in the tree: "v1 cv2 av0 ch1 own0 data" or "none". */
const char *lead_node(struct lead *d, const char *path);
/** A hash of the whole tree as the reader at newest sees it: paths, data, ACLs, stored stats. */
uint64_t lead_tree_hash(struct lead *d);
/** The same of what is at and below @p path, 0 if that is nothing. */
uint64_t lead_subtree_hash(struct lead *d, const char *path);
/** Check that the tree's running digest is the sum made anew over all nodes. */
void lead_digest_check(struct lead *d);

#endif
