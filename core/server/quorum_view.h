/* SPDX-License-Identifier: Apache-2.0 */
/** Figures of the ensemble for four-letter words: written by the leader core, read by any thread,
 *  relaxed; each stands alone. */
#ifndef ZK_SERVER_QUORUM_VIEW_H
#define ZK_SERVER_QUORUM_VIEW_H

#include "core/base/metric.h"

#include <stdatomic.h>
#include <stdint.h>

struct metrics;
struct zab_members;

/** QuorumPeer.ZabState */
enum quorum_peer_state {
	QUORUM_PEER_ELECTION,
	QUORUM_PEER_DISCOVERY,
	QUORUM_PEER_SYNCHRONIZATION,
	QUORUM_PEER_BROADCAST,
};

#define QUORUM_VIEW_MAP(X)                                                                         \
	X(role, "enum srv_role")                                                                   \
	X(epoch, "of the leader that is followed, or this one")                                    \
	X(leader, "its sid")                                                                       \
	X(peer_state, "enum quorum_peer_state")                                                    \
	X(learners, "connected learners (leader)")                                                 \
	X(synced_followers, "leader")                                                              \
	X(synced_non_voters, "leader")                                                             \
	X(synced_observers, "leader")                                                              \
	X(pending_syncs, "leader: answers to learners that wait for a commit")                     \
	X(proposals, "leader")                                                                     \
	X(proposal_last_bytes, "size of the last one; see QUORUM_METRIC_PROPOSAL_BYTES")           \
	X(elections, "")                                                                           \
	X(election_ms, "the last one")                                                             \
	X(diffs, "leader: given to learners, a TRUNC counts among them as in LearnerHandler")      \
	X(truncs, "leader: these")                                                                 \
	X(snaps, "leader: given to learners")                                                      \
	X(learner_proposals, "learner: received since it serves")                                  \
	X(learner_commits, "learner: received since it serves, INFORM among them")                 \
	X(revalidates, "leader: sessions that learners asked for")                                 \
	X(set_aside, "leader: requests of learners that waited for room")                          \
	X(refused, "connections and packets refused")

/** Summaries, in ms but for the first. Those with percentiles come first. */
enum quorum_metric {
	QUORUM_METRIC_PROPOSAL_LATENCY,   /* from the leader's header to a follower */
	QUORUM_METRIC_COMMIT_PROPAGATION, /* ... until it is told of the commit */
	QUORUM_METRICS_DETAILED,
	QUORUM_METRIC_PROPOSAL_BYTES = QUORUM_METRICS_DETAILED, /* this leader's; Leader.java */
	QUORUM_METRIC_ELECTION,
	QUORUM_METRIC_FOLLOWER_SYNC, /* from the leader's epoch to serving */
	QUORUM_METRIC_OBSERVER_SYNC,
	QUORUM_METRIC_UNAVAILABLE,        /* from one role that serves to the next */
	QUORUM_METRIC_LEADER_UNAVAILABLE, /* ... which is to lead */
	QUORUM_METRICS
};

struct quorum_view {
#define QUORUM_VIEW_FIELD(name, text) _Atomic uint64_t name;
	QUORUM_VIEW_MAP(QUORUM_VIEW_FIELD)
#undef QUORUM_VIEW_FIELD
	struct zk_metric metric[QUORUM_METRICS];
	_Atomic uint64_t slots[QUORUM_METRICS_DETAILED][ZK_HIST_SLOTS];
	/* constant */
	const struct zab_members *members;
	int64_t sid;
};

/** Register what mntr shows under Apache's names and srst resets. Main thread, before the cores
 * start; @p v is borrowed for the life of @p m. */
void quorum_view_metrics(struct quorum_view *v, struct metrics *m);

#endif
