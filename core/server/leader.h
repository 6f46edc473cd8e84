/* SPDX-License-Identifier: Apache-2.0 */
/** The leader core's machine: sessions, prep, log stage, apply, publish, reply. Pure.
 *
 * Life of a write: leader_request() validates it against the newest pending state (core/txn/prep),
 * gives it the next zxid and appends the transaction to the log stage (`log_append`). When the log
 * stage reports it durable, leader_durable() applies it to the tree in zxid order, ends the
 * transaction (the change log is published) and only then puts the reply on the ring of the
 * connection's core. Order of effects: log_append(Z) < durable(Z) < tree_end(Z) < reply(Z).
 *
 * In an ensemble see core/server/leader_quorum.h.
 */
#ifndef ZK_SERVER_LEADER_H
#define ZK_SERVER_LEADER_H

#include "core/base/err.h"
#include "core/base/ring.h"
#include "core/base/span.h"
#include "core/server/metrics.h"
#include "core/server/msg.h"
#include "core/tree/tree.h"
#include "core/txn/auth.h"

struct snap_desk;
struct leader_quorum;

enum { LEADER_CORES_MAX = MSG_CORES_MAX, LEADER_SESSIONS_MAX = 1000000 };

struct leader_log {
	void *ctx;
	/** Take one transaction: the log file's payload (spec/disk-format.md section 2), which is
	 * header and body, and the digest of the tree unless it is an error or the tree keeps none.
	 * The bytes stay where they are until they are durable. @return false when the stage is
	 * full: the leader keeps the request and tries again. */
	bool (*append)(void *ctx, uint64_t zxid, struct zk_span txn);
	/** The next transaction begins a new file. NULL: there are no files. */
	void (*roll)(void *ctx);
};

struct leader_conf {
	struct tree *tree;
	struct zk_mem *mem;
	struct auth_conf auth;
	struct leader_log log;
	const struct leader_quorum *quorum;        /* borrowed; NULL: this server stands alone */
	struct zk_ring *to_core[LEADER_CORES_MAX]; /* replies: this machine is the producer */
	unsigned cores;
	uint8_t server_id; /* top byte of session ids; 1 standalone */
	/* localSessionsEnabled: learners may write for sessions that are not known here */
	bool local_sessions;
	uint32_t tick_ms;
	/* Nothing expires for so long at most after a pause, or while a core does not answer; 0 =
	 * 40000. The longest session time-out. */
	uint32_t hold_max_ms;
	uint32_t sessions_max; /* 0 = LEADER_SESSIONS_MAX */
	/* those that recovery has found; borrowed for leader_new() */
	const struct snap_session *restored;
	uint32_t restored_n;
	uint64_t digest_mismatches; /* it has counted; the first at digest_mismatch_zxid */
	uint64_t digest_mismatch_zxid;
	uint32_t pending_max; /* transactions between prep and apply */
	/** Learner: bytes of requests to the leader that it has not answered; one larger request
	 * may go alone. The leader has as much room aside (quorum_conf.request_bytes). 0 = no limit
	 */
	uint32_t ask_bytes;
	bool extended_types; /* extendedTypesEnabled: TTL nodes */
	bool enforce_quota;  /* enforceQuota: hard limits refuse writes */
	/* znode.container.*: checkIntervalMs, 0 = 60000; maxPerMinute, 0 = 10000;
	 * maxNeverUsedIntervalMs, 0 = a container that never had a child stays */
	uint32_t reap_interval_ms, reap_per_minute;
	uint64_t reap_never_used_ms;
	uint32_t jute_maxbuffer;
	struct snap_desk *snap_desk; /* NULL: no snapshots; borrowed (core/server/leader_snap.h) */
	uint32_t snap_count;         /* 0 = 100000 */
	uint64_t snap_size_bytes;    /* 0 = off */
	uint64_t snap_seed;          /* of the triggers' randomness */
};

struct leader;
struct quota_errors;

ZK_MUST_USE enum zk_err leader_new(const struct leader_conf *conf, uint64_t now_ns,
				   struct leader **out);
void leader_free(struct leader *l);

/** Take one record from a client core (any kind that goes to the leader). The record is borrowed.
 *  @p wall_ms: time of day for ctime/mtime. @return ZK_EOK, or ZK_EAGAIN: nothing was done, offer
 * it again (pending table, log stage, change log or a reply ring is full; counted). */
ZK_MUST_USE enum zk_err leader_message(struct leader *l, const void *rec, size_t n, uint64_t now_ns,
				       int64_t wall_ms);

/** Everything up to @p zxid is durable: apply, publish, reply, at most @p budget transactions.
 *  @return number applied; fewer than possible when a reply ring is full (call again). */
unsigned leader_durable(struct leader *l, uint64_t zxid, unsigned budget, uint64_t now_ns);

/** Expire sessions, reap containers and TTL nodes, reclaim; a few microseconds at most per call.
 * Returns work done. */
unsigned leader_tick(struct leader *l, uint64_t now_ns, int64_t wall_ms);

/** The leader's thread ran @p late_ns later than it should have. Clients could not be heard
 * meanwhile: no session expires for as long again (bound: hold_max_ms in a row). */
void leader_late(struct leader *l, uint64_t late_ns, uint64_t now_ns);

/** The log takes nothing, or takes again: while it does not, no session expires and nothing is
 * reaped, and every connection that waits for a write, or asks for one, is closed, as by a server
 * that shuts down; what waits stays, to be logged if the log comes back. Reads, touches and
 * reconnects go on. Leader core. */
void leader_refuse(struct leader *l, bool refuse);

/** When must leader_tick() run next? Absolute ns. */
uint64_t leader_next_ns(const struct leader *l);

uint64_t leader_last_zxid(const struct leader *l);    /* prepared */
uint64_t leader_applied_zxid(const struct leader *l); /* applied and published */

/** Counters, readable from any thread (relaxed). */
struct leader_stats {
	uint64_t sessions, expired, again;
	uint64_t refused_memory; /* writes, and sessions above sessions_max */
	uint64_t outstanding;    /* prepared, not applied */
	uint64_t refused_size;   /* writes whose transaction or reply is too big for a queue: -1 */
	uint64_t dropped;        /* requests of a session that has ended or moved */
	uint64_t reaped;         /* deleteContainer transactions prepared, failed ones too */
	uint64_t reap_waits;     /* how often one had to wait for room */
	uint64_t refused_log;    /* requests turned away because the log takes nothing */
	/* transactions after which the tree had another digest than they say, and the first one */
	uint64_t digest_mismatches, digest_mismatch_zxid;
	uint64_t quota_exceeded; /* writes refused: -125 */
	uint64_t quota_soft;     /* checks that found a soft limit exceeded; with enforceQuota */
	uint64_t holds;          /* pauses after which nothing expired for a while */
	uint64_t rolls_lost;     /* expiries that did not wait any longer for some core */
};
void leader_stats_get(const struct leader *l, struct leader_stats *out);

/** The refused ones for each top-level node. The leader's for life, any thread. */
struct quota_errors *leader_quota_errors(struct leader *l);

/** Register what mntr shows of the leader: its summaries, borrowed as long as @p l. Main thread,
 *  before the cores start. */
void leader_metrics(struct leader *l, struct metrics *m);

#endif
