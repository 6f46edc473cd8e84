/* SPDX-License-Identifier: Apache-2.0 */
/** Figures of the ensemble for four-letter words: written by the leader core, read by any thread,
 *  relaxed; each stands alone. */
#ifndef ZK_SERVER_QUORUM_VIEW_H
#define ZK_SERVER_QUORUM_VIEW_H

#include <stdatomic.h>
#include <stdint.h>

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
	X(proposal_last_bytes, "size of the last proposal; UINT64_MAX: none yet")                  \
	X(proposal_min_bytes, "")                                                                  \
	X(proposal_max_bytes, "")                                                                  \
	X(elections, "")                                                                           \
	X(election_ms, "the last one")                                                             \
	X(diffs, "")                                                                               \
	X(truncs, "")                                                                              \
	X(snaps, "")                                                                               \
	X(refused, "connections and packets refused")

struct quorum_view {
#define QUORUM_VIEW_FIELD(name, text) _Atomic uint64_t name;
	QUORUM_VIEW_MAP(QUORUM_VIEW_FIELD)
#undef QUORUM_VIEW_FIELD
	/* constant */
	const struct zab_members *members;
	int64_t sid;
};

#endif
