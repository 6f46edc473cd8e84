/* SPDX-License-Identifier: Apache-2.0 */
/** Where the leader core and the snapshot writer's thread meet.
 *
 * The leader counts what goes into the log. When enough has (SyncRequestProcessor.shouldSnapshot)
 * it lets the log begin a new file, and when the last transaction of the old one, Z, has been
 * applied it takes a hold on the tree at Z, copies the sessions of Z in slices and hands both over.
 * The writer reads the tree by itself (core/store/snap_tree.h) and says when it is done. So the
 * snapshot is the state at exactly Z, the next log begins with Z + 1, and the leader never waits.
 *
 * Memory: what the hold keeps alive is bounded by giving way. When memory gets short
 * (tree_hold_strained()), or a write waits for memory already, the leader says so in `revoked` and
 * drops the hold at once, whatever the writer is doing; the writer looks at snap_desk_revoked()
 * after each quiescent point. Clients' writes come before a snapshot, which the next trigger tries
 * again.
 */
#ifndef ZK_SERVER_LEADER_SNAP_H
#define ZK_SERVER_LEADER_SNAP_H

#include "core/store/snap_tree.h"

#include <stdatomic.h>

struct leader;

enum snap_desk_state {
	SNAP_DESK_FREE,  /* the leader's */
	SNAP_DESK_TAKEN, /* the leader's: it copies the sessions */
	SNAP_DESK_READY, /* the writer's */
	SNAP_DESK_DONE,  /* the leader's again */
};

/** Why the leader takes no snapshot, or ends one. Relaxed; written by the leader core. */
#define SNAP_DESK_STATS_MAP(X)                                                                     \
	X(taken, "snapshots handed to the writer")                                                 \
	X(busy, "triggers passed over: one was under way")                                         \
	X(revoked_count, "snapshots broken off: memory was short")                                 \
	X(grown_bytes, "memory the tree has grown by during the last one")                         \
	X(grown_max_bytes, "the most of that")

struct snap_desk {
	/* READY: release by the leader, acquire by the writer; DONE the other way */
	_Atomic uint32_t state;
	_Atomic bool asked;   /* anybody: take one now; relaxed */
	_Atomic bool revoked; /* leader, before it drops the hold; see snap_desk_revoked() */
	/* the leader's until READY, then the writer's until DONE */
	uint64_t zxid;
	uint64_t digest;              /* of the tree at zxid, by its own count */
	bool has_digest;              /* false: it keeps none */
	struct snap_session *session; /* room for sessions_max */
	uint32_t sessions, sessions_max;
#define SNAP_DESK_STAT(name, text) _Atomic uint64_t name;
	SNAP_DESK_STATS_MAP(SNAP_DESK_STAT)
#undef SNAP_DESK_STAT
};

/** @p session: room for @p max, at least as many as the leader's sessions_max; borrowed until the
 * leader and the writer have ended. Main thread. */
void snap_desk_init(struct snap_desk *d, struct snap_session *session, uint32_t max);

/** Ask for a snapshot of the state as it is. Any thread; wake the leader core then. */
void snap_desk_ask(struct snap_desk *d);

/** Writer: is there one to write? */
bool snap_desk_ready(const struct snap_desk *d);

/** Writer: must it stop? To be asked before it touches the tree, each time it has come back from a
 * quiescent point or from being offline, for nothing is freed without a grace period that began
 * after `revoked` was set; and again before it believes what it has read, for things may have been
 * unlinked meanwhile, after `revoked` was set. */
bool snap_desk_revoked(const struct snap_desk *d);

/** Writer: finished or given up; touches the tree no more. Wake the leader core then. */
void snap_desk_done(struct snap_desk *d);

/** One bounded step: begin one that was asked for, copy sessions, give way, end. Leader core, each
 * round. @return work done; *kick is set when the writer has something to look at. Bound: some
 * microseconds. */
unsigned leader_snap_step(struct leader *l, uint64_t now_ns, bool *kick);

/** Is there a step to be taken at once? Leader core. */
bool leader_snap_urgent(const struct leader *l);

#endif
