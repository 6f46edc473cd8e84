/* SPDX-License-Identifier: Apache-2.0 */
/** Inside the leader's machine. */
#ifndef ZK_SERVER_LEADER_INT_H
#define ZK_SERVER_LEADER_INT_H

#include "core/base/assert.h"
#include "core/base/metric.h"
#include "core/server/leader.h"
#include "core/server/leader_copy.h"
#include "core/server/leader_quorum.h"
#include "core/server/leader_snap.h"
#include "core/server/learner.h"
#include "core/session/session.h"
#include "core/txn/ahead.h"
#include "core/txn/apply.h"
#include "core/txn/prep.h"

#include <stdatomic.h>

/* What an entry between prep and apply will do. */
enum entry_kind {
	ENTRY_WRITE,  /* transaction of a client: reply */
	ENTRY_OPEN,   /* createSession: MSG_SESSION_OPENED */
	ENTRY_EXPIRY, /* closeSession by the leader or a learner: MSG_KICK to the owner */
	ENTRY_SILENT, /* deleteContainer by the leader, a learner's request: no answer here */
	ENTRY_ANSWER  /* no transaction, only a reply in its place: sync, getEphemerals */
};

enum {
	LEADER_RETRY_NS = 100 * 1000,      /* when something downstream is full */
	LEADER_REFUSING_NS = 20 * 1000000, /* a tick while the log takes nothing */
};

/* How long leader_tick() may wait when nothing is due. */
static const uint64_t leader_idle_ns = 1000000000;

struct entry {
	uint64_t zxid; /* 0: no transaction */
	uint64_t session, since_ns, prepared_ns;
	struct zk_span bytes; /* the transaction; ENTRY_ANSWER: the string of the request, which is
				 the body of sync's reply */
	uint64_t bytes_end;   /* position in the byte queue */
	uint64_t steps;       /* prep_out.steps */
	size_t reply_max;
	uint64_t confirm; /* ENTRY_ANSWER: not before the quorum has confirmed that one, 0 = none */
	struct msg to;    /* core and connection to answer */
	int32_t xid, op;
	uint32_t request_bytes;
	enum zk_err err;
	enum entry_kind kind;
};

enum leader_dump_phase { LEADER_DUMP_SESSIONS, LEADER_DUMP_OWNERS, LEADER_DUMP_END };

/* How far the answer to a `dump` has got; zeros: not begun. */
struct leader_dump {
	enum leader_dump_phase phase;
	uint32_t index; /* in the session table */
	uint64_t skip;  /* nodes of that session that are done */
	uint64_t owners;
	size_t need; /* bytes for a line that no part of the usual size holds */
	bool named;  /* the session has its line */
};

/* What a client core is owed, by four-letter words. */
struct leader_core {
	uint32_t gather_done; /* cores that have the MSG_GATHER which is being offered again */
	struct leader_dump dump;
};

/* Written by the leader core only, read by any thread (leader_stats_get): relaxed on both sides,
 * each counter stands alone. */
struct leader_counters {
	/* proposals and commits: those of a leader of others are shown */
	_Atomic uint64_t sessions, proposals, commits, expired, again, refused_memory, refused_size;
	_Atomic uint64_t outstanding, dropped, refused_sessions, reaped, reap_waits;
	_Atomic uint64_t requests, digest_mismatches, digest_mismatch_zxid, quota_exceeded,
		quota_soft, holds, rolls_lost;
	_Atomic uint64_t refused_log, refused_moved, tree_fails, replies_cut;
};

/* Summaries with percentiles, in ms. */
enum leader_metric {
	LEADER_METRIC_QUEUE,       /* from a client core to prep */
	LEADER_METRIC_PROPAGATION, /* from prep to apply */
	LEADER_METRIC_QUORUM_ACK,  /* ... of a leader's, by a quorum */
	LEADER_METRICS
};

/* Has every sign of life been heard? See leader_expiry.c. */
struct leader_roll {
	uint64_t number;                       /* of the question that is out */
	uint64_t asked_ns;                     /* the first of its two */
	uint64_t heard_ns;                     /* every sign of life up to here is known */
	uint64_t hold_since_ns, hold_until_ns; /* after a pause nothing expires */
	uint32_t missing, unasked;             /* sets of cores */
	uint8_t lap;                           /* 1, 2; 0 = no question is out */
};

/* The reaper's clock; the round itself is the tree's. */
struct leader_reaper {
	uint64_t check_ns; /* the next round */
	uint64_t next_ns;  /* the next step, of this round or the next */
	bool in_round;
};

/* Snapshots: when the next one is due, and how far the one that is being taken is. */
struct leader_snap {
	struct snap_desk *desk;         /* NULL: none are taken */
	int hold;                       /* -1: none stands */
	struct leader_copy copy;        /* of the sessions, while the desk is TAKEN */
	uint64_t due_zxid;              /* take one when this has been applied; 0: none is due */
	uint64_t txns, bytes;           /* logged since the log began its file */
	uint64_t txns_over, bytes_over; /* above this: a new file, a snapshot */
	uint64_t waits_seen;            /* prep.memory_waits when last looked at */
	uint64_t count, size_bytes;     /* snapCount, snapSizeLimitInKb; size 0 = no limit */
	uint64_t rng;
};

/* What the server is in its ensemble; see leader_role.c. */
struct leader_role {
	enum srv_role now;
	uint64_t epoch;
	enum srv_role next; /* while `due`: it becomes this at the end of the call under way */
	uint64_t next_epoch, next_zxid;
	bool due;
	bool behind;     /* leading: transactions of before are still to be applied */
	unsigned inside; /* calls under way */
	uint32_t term;   /* how many roles there have been; in MSG_ROLE */
	uint32_t untold; /* cores that do not know it yet */
};

struct leader {
	struct leader_conf conf;
	struct prep prep;
	struct session_table sessions;
	struct entry *entry; /* ring of entry_mask + 1 */
	uint64_t entry_mask;
	/* Entries are numbered from 1: head <= unlogged <= tail. */
	uint64_t head, unlogged, tail;
	uint64_t last_zxid, durable_zxid;
	_Atomic uint64_t applied_zxid; /* relaxed; for leader_applied_zxid() on other threads */
	_Atomic uint64_t prepared_zxid;
	uint64_t now_ns;
	uint32_t dirty; /* cores whose ring has unpublished records */
	struct leader_core core[LEADER_CORES_MAX];
	struct leader_roll roll;
	struct leader_reaper reaper;
	bool refusing;      /* the log takes nothing */
	uint64_t refuse_at; /* entry whose connection is closed next, up to refuse_end */
	uint64_t refuse_end;
	struct leader_snap snap;
	struct zk_list copies; /* of struct leader_copy */
	struct leader_role role;
	struct learner learner;
	struct leader_counters count;
	struct zk_metric metric[LEADER_METRICS];
	_Atomic uint64_t slots[LEADER_METRICS][ZK_HIST_SLOTS];
};

static inline void leader_set(_Atomic uint64_t *c, uint64_t v)
{
	atomic_store_explicit(c, v, memory_order_relaxed);
}

static inline uint64_t leader_get(const _Atomic uint64_t *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

static inline void leader_inc(_Atomic uint64_t *c)
{
	leader_set(c, leader_get(c) + 1);
}

static inline bool leader_is_owner(const struct session *s, const struct msg *h)
{
	return s->owner.set && s->owner.core == h->core && s->owner.index == h->conn.index &&
	       s->owner.generation == h->conn.generation;
}

static inline void leader_own(struct session *s, const struct msg *h)
{
	s->owner = (struct session_owner){.index = h->conn.index,
					  .generation = h->conn.generation,
					  .core = h->core,
					  .set = true};
}

/* leader_queue.c */

/** May another transaction be prepared? False: something is full. */
bool leader_room(struct leader *l);
/** Append an entry (leader_room() was true) and offer what is unlogged to the log stage. */
struct entry *leader_push(struct leader *l, const struct entry *e);
void leader_log_flush(struct leader *l);
/** Apply and answer what is durable, at most @p budget entries. */
unsigned leader_run(struct leader *l, unsigned budget);
/** A record for client core @p core, NULL when its ring is full. */
void *leader_reserve(struct leader *l, unsigned core, size_t n);
void leader_commit(struct leader *l, unsigned core, size_t n);
/** Make all committed records visible to their cores. */
void leader_publish(struct leader *l);
/** Close the connection that holds @p s; false when its ring is full. */
bool leader_kick(struct leader *l, struct session *s);
/** Room for that in @p *m, NULL when nobody here holds @p s (or @p s is NULL). False: the ring is
 * full. */
bool leader_kick_room(struct leader *l, const struct session *s, struct msg_session **m);
/** Its closeSession has been applied: the connection closes, by @p m of leader_kick_room(), and the
 * session is no more. @p s may be NULL. */
void leader_session_ended(struct leader *l, struct session *s, struct msg_session *m);
/** A transaction's digest was compared with the tree's. */
void leader_digest_seen(struct leader *l, uint64_t zxid, enum txn_digest digest);
/** A reply that needs no transaction, at once. False: the ring is full. */
bool leader_answer(struct leader *l, const struct entry *e);

/** The fixed part of a reply with @p body bytes behind it. */
void leader_reply_fill(struct msg_reply *m, const struct entry *e, uint64_t zxid, size_t body);

/** The session is no more: its closeSession has been applied. */
void leader_session_gone(struct leader *l, struct session *s);

/* leader_role.c */
void leader_role_init(struct leader *l);
/** Around everything that may call the quorum. */
void leader_enter(struct leader *l, uint64_t now_ns);
void leader_leave(struct leader *l);
/** Tell those cores that have not been told. False: some ring is full. */
bool leader_role_tell(struct leader *l);
static inline bool leader_leads(const struct leader *l)
{
	return l->role.now == ROLE_ALONE || l->role.now == ROLE_LEADING;
}
/** Is it the quorum that knows what is to be applied next? */
static inline bool leader_pulls(const struct leader *l)
{
	return l->role.now != ROLE_ALONE && (l->role.now != ROLE_LEADING || l->role.behind);
}
static inline bool leader_learns(const struct leader *l)
{
	return l->role.now == ROLE_FOLLOWING || l->role.now == ROLE_OBSERVING;
}

/* leader_session.c */
/** In the time that does not depend on where they differ. */
bool leader_password_right(const struct msg_session *m);

/* leader_refuse.c */
/** Close the connection that @p h names, which holds @p session (0 = none yet), unanswered: the log
 *  takes nothing. False: its ring is full. */
bool leader_turn_away(struct leader *l, const struct msg *h, uint64_t session);
/** Close some of the connections that wait for a write. Returns how many. */
unsigned leader_refuse_pending(struct leader *l);

/* leader_ephemerals.c */
/** Answer a getEphemerals whose turn it is. False: the ring is full. */
bool leader_answer_ephemerals(struct leader *l, const struct entry *e);

/* leader_session.c */
/** As many as there may be, or no memory: close the connection that wants one, so that its client
 * tries another server. @return ZK_EOK; ZK_EAGAIN: its ring is full. */
enum zk_err leader_no_session(struct leader *l, const struct msg *h);
enum zk_err leader_on_create(struct leader *l, const struct msg_session *m, int64_t wall_ms);
enum zk_err leader_on_attach(struct leader *l, const struct msg_session *m);
void leader_on_touch(struct leader *l, const struct msg_touch *m, size_t n);
void leader_on_detach(struct leader *l, const struct msg_session *m);
/** What prep made, as an entry; kind and receiver are the caller's. */
void leader_entry_of(struct entry *e, const struct prep_in *in, const struct prep_out *out);

/* leader_expiry.c */
void leader_on_roll_answer(struct leader *l, const struct msg_roll *m);
/** Call the roll if the time of sessions has come, expire those that were not heard. Returns
 * sessions closed. Bound: a budget. */
unsigned leader_expire(struct leader *l, int64_t wall_ms);
/** When must leader_expire() run next? */
uint64_t leader_expiry_next_ns(const struct leader *l);

/* leader_snap.c */
void leader_snap_init(struct leader *l);
/** The log stage has taken a transaction of @p bytes. */
void leader_snap_logged(struct leader *l, uint64_t zxid, size_t bytes);
/** Everything that @p zxid changes, sessions too, has been changed. */
void leader_snap_applied(struct leader *l, uint64_t zxid);

/* leader_copy.c */
/** A session is about to leave the table, because its closeSession has been applied. */
void leader_copies_session_gone(struct leader *l, const struct session *e);

/* leader_reaper.c */
void leader_reaper_init(struct leader *l);
/** A step of the reaper if it is due. Returns transactions prepared, 0 or 1. */
unsigned leader_reap(struct leader *l, int64_t wall_ms);

/* leader_gather.c */
enum zk_err leader_on_gather_ask(struct leader *l, const struct msg_gather *m);
enum zk_err leader_on_gather_part(struct leader *l, const struct msg_gather *m, size_t n);

/* leader_dump.c */
/** Some more of the leader's own part. @return ZK_EAGAIN until it is complete. */
enum zk_err leader_dump(struct leader *l, const struct msg_gather *ask, struct leader_dump *d);

#endif
