/* SPDX-License-Identifier: Apache-2.0 */
/** Leader election (spec/quorum-protocol.md sections 10 and 11; FastLeaderElection).
 *
 * A server that is LOOKING proposes the best vote it knows, tells it to every voter, and settles
 * when a quorum proposes the same and nothing better comes for a while. A server that is not
 * LOOKING answers who is with the vote of its last election.
 *
 * One instance per server, on the leader core. Votes compare by epoch, then zxid, then sid, as
 * signed numbers: a server that may not vote proposes INT64_MIN everywhere.
 */
#ifndef ZK_ZAB_ELECT_H
#define ZK_ZAB_ELECT_H

#include "core/zab/members.h"
#include "core/zab/packet.h"

/* Where notifications go; called from within elect_*(). */
struct elect_io {
	void *ctx;
	/** One notification for server @p to, not this one. A newer one replaces one that has not
	 * left yet. n->config is left empty: whoever sends adds the text of the configuration. */
	void (*send)(void *ctx, int64_t to, const struct zab_notification *n);
	/** Has any notification left, since the last call? False: connect to everybody. */
	bool (*delivered)(void *ctx);
	void (*connect_all)(void *ctx);
	/** Is the connection to @p sid known to be down: the last try to open it failed, or it has
	 * broken and is not back? May be NULL. */
	bool (*absent)(void *ctx, int64_t sid);
};

struct elect_conf {
	int64_t sid;
	bool observer;                  /* by its own configuration (peerType) */
	const struct zab_members *now;  /* the active configuration; borrowed */
	const struct zab_members *next; /* the last one seen, when it is newer; else NULL */
	uint32_t resend_min_ms;         /* fastleader.minNotificationInterval; 0 = 200 */
	uint32_t resend_max_ms;         /* fastleader.maxNotificationInterval; 0 = 2000 */
	uint32_t settle_ms;             /* how long to wait for a better vote; 0 = 200 */
	uint32_t settle_fast_ms; /* ... when all that have not agreed are absent; 0 = settle_ms */
	struct elect_io io;
};

struct elect_vote {
	int64_t leader, zxid, peer_epoch;
	uint64_t round;
	int32_t version;
	enum zab_state state; /* of who gave it */
};

enum { ELECT_BALLOT_MAX = 2 * ZAB_SERVERS_MAX /* voters of both configurations */ };

struct elect_ballot {
	uint32_t n;
	struct {
		int64_t sid;
		struct elect_vote vote;
	} of[ELECT_BALLOT_MAX];
};

struct elect {
	struct elect_conf conf;
	enum zab_state state;
	uint64_t round;
	struct elect_vote initial, proposal; /* while LOOKING */
	struct elect_vote current;           /* of the last election */
	struct elect_ballot received, outside;
	uint64_t now_ns;
	uint64_t asked_ns;  /* when every voter was told last */
	uint64_t resend_ns; /* an interval: how long after that they are told again */
	uint64_t settle_ns; /* when it is decided; 0 = no quorum yet */
	uint64_t glance_ns; /* when to see who is absent; UINT64_MAX = never */
	int64_t suspect;    /* was lost as leader, has not spoken since */
	bool suspects;
	uint64_t elections, broadcasts, answers, ignored; /* counters */
};

/** @p zxid and @p epoch: last logged, and currentEpoch; what is told until the first election ends.
 * The configurations in @p conf are borrowed until elect_configure() or for ever. */
void elect_init(struct elect *e, const struct elect_conf *conf, int64_t zxid, int64_t epoch);

/** Another configuration is active or was seen. The caller starts a new election when it must. */
void elect_configure(struct elect *e, const struct zab_members *now, const struct zab_members *next,
		     bool observer);

/** Lose the role, look for a leader. @return true: decided already (an ensemble of one). */
bool elect_start(struct elect *e, int64_t zxid, int64_t epoch, uint64_t now_ns);

/** Server @p sid was followed and has fallen silent: until it says something it counts as absent.
 */
void elect_suspect(struct elect *e, int64_t sid);

/** A notification from server @p from. @return true: this call decided the election, e->state and
 * e->current say how. Bound: voters. */
bool elect_receive(struct elect *e, int64_t from, const struct zab_notification *n,
		   uint64_t now_ns);

/** Time has passed. @return as elect_receive(). */
bool elect_tick(struct elect *e, uint64_t now_ns);

/** When must elect_tick() run next? Absolute ns; UINT64_MAX: not before something is received. */
uint64_t elect_next_ns(const struct elect *e);

/** The new leader's epoch is known: who asks later is told this one
 * (QuorumPeer.updateElectionVote).
 */
void elect_epoch(struct elect *e, int64_t epoch);

#endif
