/* SPDX-License-Identifier: Apache-2.0 */
/** The leader core's machine on a learner (LearnerZooKeeperServer, FollowerRequestProcessor,
 * CommitProcessor, LearnerSessionTracker): writes go to the leader as REQUESTs and wait here; what
 * is committed is applied, and answers whoever waits for it.
 *
 * What a session waits for stands in a queue of its own, in the order of its requests, which is
 * also the order in which the leader decides. A transaction belongs to the client here when it
 * bears the session and the xid of the first in that queue. What needs no transaction (sync,
 * getEphemerals) is answered when it is first and everything it must see has been applied.
 *
 * Inside core/server; leader core.
 */
#ifndef ZK_SERVER_LEARNER_H
#define ZK_SERVER_LEARNER_H

#include "core/server/msg.h"

struct leader;
struct learner_wait;
struct session;

enum { LEARNER_REVALIDATIONS = 4096 /* slots of the table of connections that wait for one */ };

struct learner {
	struct learner_wait *wait; /* pool of wait_max; NULL: stands alone */
	uint32_t wait_max, wait_free, waits;
	/* index + 1 each; 0: none */
	uint32_t sync_head, sync_tail;   /* asked, in this order; SYNC answers the first */
	uint32_t ready_head, ready_tail; /* to be answered, in this order */
	uint32_t *revalidate;            /* by session, chains */
	uint32_t *touched;               /* records of the session table */
	uint32_t touched_n, touched_max;
	uint32_t syncs; /* that wait */
	uint64_t asked; /* bytes of requests that the leader has not answered */
};

/** @return false: no memory. */
bool learner_init(struct leader *l);
void learner_fini(struct leader *l);
/** Forget all that waits: the role is over. Sessions are the caller's. */
void learner_reset(struct leader *l);

/** As leader_message(). */
enum zk_err learner_message(struct leader *l, const struct msg *h, const void *rec, size_t n);

/** Apply what is committed, answer who waits; at most @p budget transactions. Returns how many. */
unsigned learner_run(struct leader *l, unsigned budget);
/** Is there something that only waits for room? */
bool learner_stalled(const struct leader *l);

/** The session leaves the table, with all that it waits for. */
void learner_session_gone(struct leader *l, struct session *s);

#endif
