/* SPDX-License-Identifier: Apache-2.0 */
/** The session table: who is alive until when, and on which connection (SessionTrackerImpl and
 *  ExpiryQueue, spec/semantics.md section 9).
 *
 * Expiry is in buckets of a tick on the monotonic clock: a session that was touched at T goes at
 * ((T + timeout) / tick + 1) * tick, once every sign of life up to then is known. One thread.
 */
#ifndef ZK_SESSION_SESSION_H
#define ZK_SESSION_SESSION_H

#include "core/base/err.h"
#include "core/base/list.h"
#include "core/mem.h"

#include <stdbool.h>
#include <stdint.h>

enum { SESSION_OWNER_REMOTE = 0xffff };

/** Handle of the connection that holds a session; core SESSION_OWNER_REMOTE: of the learner's that
 * does (index: its link). */
struct session_owner {
	uint32_t index, generation;
	uint16_t core;
	bool set;
};

struct session {
	uint64_t id;
	uint64_t bucket;         /* expires when this one is due */
	uint64_t created_zxid;   /* of its createSession; 0: was there at the start */
	uint64_t ephemeral_zxid; /* last transaction that may have created an ephemeral of it */
	uint64_t last_seq;       /* the leader's: its last entry in the pending queue */
	struct zk_list link;     /* in a bucket, possibly an earlier one than `bucket` */
	struct session_owner owner;
	int32_t timeout_ms;            /* of the connection it is on now */
	int32_t created_timeout_ms;    /* of its createSession */
	uint32_t next;                 /* hash chain or free list; index + 1 */
	uint32_t wait_head, wait_tail; /* a learner's: what waits for the leader; index + 1 */
	bool closing;                  /* a closeSession has been prepared, or asked for */
	bool opening;                  /* a learner's: its createSession is not committed here */
	bool touched;                  /* a learner's: the leader shall hear of it */
};

enum { SESSION_BUCKETS = 1024, SESSION_CHUNK = 1024 };

struct session_table {
	struct zk_mem *mem;
	struct session **chunk;
	uint32_t *hash;
	uint32_t hash_mask, chunks_max, used, free_head, n, max;
	uint64_t next_id;
	uint32_t tick_ms;
	uint64_t due_bucket; /* buckets up to this one have been taken */
	struct zk_list bucket[SESSION_BUCKETS];
	struct zk_list due; /* taken, not yet looked at */
};

/** @p max sessions. @return ZK_EOK or ZK_ENOMEM. */
ZK_MUST_USE enum zk_err session_table_init(struct session_table *t, struct zk_mem *mem,
					   uint32_t max, uint8_t server_id, uint32_t tick_ms,
					   uint64_t now_ns);
void session_table_fini(struct session_table *t);

/** The id a server starts counting at (initializeNextSessionId). */
uint64_t session_first_id(uint8_t server_id, uint64_t now_ns);

/** A new session with the next id, touched now. NULL: as many as allowed, or no memory. Bound:
 * constant. */
struct session *session_new(struct session_table *t, int32_t timeout_ms, uint64_t now_ns);

/** One that was there before this server started, with all its time ahead; ids of this server's own
 * new sessions stay above it. NULL: as many as allowed, or no memory. @p id must be new. */
struct session *session_restore(struct session_table *t, uint64_t id, int32_t timeout_ms,
				uint64_t now_ns);

/** NULL: unknown. Bound: the hash chain. */
struct session *session_find(const struct session_table *t, uint64_t id);

/** The session in record @p i < t->used, NULL when that is free. Bound: the hash chain. */
struct session *session_at(const struct session_table *t, uint32_t i);
/** The record of a session that is in the table. Bound: the hash chain. */
uint32_t session_record(const struct session_table *t, const struct session *s);

/** It showed life at @p at_ns. Never brings its expiry forward; nothing when it is closing. */
void session_touch(struct session_table *t, struct session *s, uint64_t at_ns);

/** It is on a new connection with this timeout, which counts from now on, sooner or later. */
void session_retime(struct session_table *t, struct session *s, int32_t timeout_ms,
		    uint64_t now_ns);

/** It is ending: writes get SESSIONEXPIRED from now on, and it does not expire any more. */
void session_close(struct session *s);

/** Forget it. */
void session_remove(struct session_table *t, struct session *s);

/** Could session_due() find something at @p now_ns? Empty buckets whose time has come are passed
 * over for good. Bound: the wheel. */
bool session_waiting(struct session_table *t, uint64_t now_ns);

/** The next session whose time is up at @p heard_ns, NULL when there is none. Every sign of life up
 * to that time has been given to session_touch(). It stays first in line until it is closed,
 * removed or touched. Bound: @p budget sessions looked at, which it reduces. */
struct session *session_due(struct session_table *t, uint64_t heard_ns, unsigned *budget);

/** When must session_waiting() be asked again? Absolute ns; the start of the next bucket. */
uint64_t session_next_ns(const struct session_table *t);

#endif
