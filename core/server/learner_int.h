/* SPDX-License-Identifier: Apache-2.0 */
/** Shared by learner.c and learner_ask.c; nobody else includes it. */
#ifndef ZK_SERVER_LEARNER_INT_H
#define ZK_SERVER_LEARNER_INT_H

#include "core/server/leader_int.h"
#include "core/session/password.h"
#include "core/txn/apply.h"

/* One request of a client here. */
struct learner_wait {
	struct entry e;      /* bytes: see `bytes` */
	uint64_t after_zxid; /* what must be applied before the answer */
	uint8_t *bytes;      /* own: the string of sync and getEphemerals */
	size_t bytes_n;
	int32_t timeout_ms; /* of a revalidation */
	uint32_t next;      /* in the session's queue, a chain of revalidations, or the free list */
	uint32_t next_ready; /* in the queue of syncs, or of what is ready */
	uint32_t asked;      /* bytes on the way to the leader */
	bool used;
	bool queued; /* it stands in one of these */
	bool dead;   /* nobody waits any more; it goes when its turn comes */
};

struct learner_wait *learner_wait_at(const struct leader *l, uint32_t index1);
uint32_t learner_wait_index(const struct leader *l, const struct learner_wait *w);
/** NULL: too many wait. */
struct learner_wait *learner_wait_new(struct leader *l);
void learner_wait_free(struct leader *l, struct learner_wait *w);
/** Behind everything that the session waits for. */
void learner_wait_add(struct leader *l, struct session *s, struct learner_wait *w);

/** The leader shall hear that the session lives. */
void learner_touch(struct leader *l, struct session *s);

#endif
