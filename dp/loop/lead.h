/* SPDX-License-Identifier: Apache-2.0 */
/** The leader core: reads the client cores' rings, runs the leader machine and the log stage,
 * publishes replies, reclaims the tree. Nothing here waits.
 *
 * Order within a round, and why: messages (prepared and appended), tick, end of the log batch,
 * durable (applied, published, replies written), replies published, wake-ups, a step of a snapshot,
 * reclamation last: what a snapshot has let go of can go in the same round.
 */
#ifndef ZK_LOOP_LEAD_H
#define ZK_LOOP_LEAD_H

#include "core/server/leader.h"
#include "core/server/quorum.h"
#include "dp/loop/logstage.h"
#include "dp/loop/pring.h"
#include "dp/loop/waker.h"

enum {
	LEAD_BATCH = 64,    /* records per ring and round */
	LEAD_APPLY = 512,   /* transactions applied per round */
	LEAD_COLLECT = 256, /* objects unlinked per round */
	LEAD_FREE = 256,    /* objects freed per round */
	LEAD_GARBAGE_SLOTS = 16,
	LEAD_SPREAD_NS = 10000000, /* changes are told so late to cores without connections */
	LEAD_GARBAGE_EVERY_NS = 10000000,  /* each batch wakes the reclaimer, and it us */
	LEAD_GARBAGE_BLOCKED_NS = 1000000, /* while somebody waits for room, perhaps for memory */
};

/** Batches of garbage on their way: to the reclaimer thread, which waits for the grace period, and
 * back. @p waker is the reclaimer's. */
struct lead_garbage {
	struct pring to, back;
	struct waker waker;
};

struct lead_conf {
	struct leader_conf leader; /* log is filled in here */
	struct zk_ring *from_core[LEADER_CORES_MAX];
	struct waker *waker[LEADER_CORES_MAX]; /* of the thread that runs core i */
	struct lead_garbage *garbage;
	struct logstage *log;
	struct waker *snap_waker; /* of the snapshot writer, with leader.snap_desk */
	/* Of a member of an ensemble, with leader.quorum: says what may be applied; the main thread
	 * is woken when the state must be replaced. */
	const struct quorum *quorum;
	struct waker *main_waker;
	uint64_t linger_ns; /* an observer's transactions may wait so long for the log writer */
};

/** Written by the leader core, read by anyone, relaxed. */
#define LEAD_STATS_MAP(X)                                                                          \
	X(rounds, "rounds")                                                                        \
	X(busy_rounds, "rounds that did something")                                                \
	X(messages, "records taken from client cores")                                             \
	X(again, "records put back: no room further on")                                           \
	X(malformed, "records the leader machine refused for good")                                \
	X(applied, "transactions applied")                                                         \
	X(garbage_batches, "batches handed to the reclaimer")                                      \
	X(garbage_full, "rounds in which the reclaimer was too far behind to take a batch")

struct lead_stats {
#define LEAD_STAT(name, text) _Atomic uint64_t name;
	LEAD_STATS_MAP(LEAD_STAT)
#undef LEAD_STAT
};

struct lead;

/** Main thread, before the pollers. Pointers in @p conf are borrowed for its life.
 *  @return ZK_EOK with *out, owned by the caller, or ZK_ENOMEM / ZK_EINVAL. */
ZK_MUST_USE enum zk_err lead_new(const struct lead_conf *conf, uint64_t now_ns, struct lead **out);

/** Main thread, pollers and reclaimer stopped: frees all garbage that is still on its way (after a
 * grace period, which nobody can hold up any more). */
void lead_free(struct lead *l);

/** One bounded round. The leader's thread. @return work done. */
unsigned lead_poll(void *ctx, uint64_t now_ns);

/** The thread says that it ran @p late_ns later than it should have. Same thread. */
void lead_late(void *ctx, uint64_t late_ns, uint64_t now_ns);

/** Absolute ns; 0 = something is waiting for room, do not sleep long. Same thread. */
uint64_t lead_next_ns(void *ctx);

struct leader *lead_leader(const struct lead *l);
/** leader_metrics(). */
void lead_metrics(struct lead *l, struct metrics *m);
const struct lead_stats *lead_stats_of(const struct lead *l);

#endif
