/* SPDX-License-Identifier: Apache-2.0 */
/* What four-letter words and the log show. */
#include "core/server/quorum_int.h"

#include <stdarg.h>
#include <stdio.h>

enum { LINES_PER_SECOND = 5 };

void quorum_say(struct quorum *q, const char *fmt, ...)
{
	char line[QUORUM_LINE_MAX];
	va_list ap;

	if (!q->conf.say)
		return;
	if (q->now_ns - q->say_ns >= UINT64_C(1000000000)) {
		q->say_ns = q->now_ns;
		q->said = 0;
	}
	if (q->said++ >= LINES_PER_SECOND)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	q->conf.say(q->conf.say_ctx, line);
}

void quorum_view_metrics(struct quorum_view *v, struct metrics *m)
{
	static const struct {
		const char *name;
		enum quorum_metric which;
	} list[] = {
		{"proposal_latency", QUORUM_METRIC_PROPOSAL_LATENCY},
		{"commit_propagation_latency", QUORUM_METRIC_COMMIT_PROPAGATION},
		{"election_time", QUORUM_METRIC_ELECTION},
		{"follower_sync_time", QUORUM_METRIC_FOLLOWER_SYNC},
		{"observer_sync_time", QUORUM_METRIC_OBSERVER_SYNC},
		{"unavailable_time", QUORUM_METRIC_UNAVAILABLE},
		{"leader_unavailable_time", QUORUM_METRIC_LEADER_UNAVAILABLE},
	};

	for (unsigned i = 0; i < QUORUM_METRICS_DETAILED; i++)
		v->metric[i].slot = v->slots[i];
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		metrics_summary(m, list[i].name, &v->metric[list[i].which]);
	metrics_counter(m, "looking_count", &v->elections);
	metrics_counter(m, "diff_count", &v->diffs);
	metrics_counter(m, "snap_count", &v->snaps);
	metrics_counter(m, "revalidate_count", &v->revalidates);
	metrics_counter(m, "learner_proposal_received_count", &v->learner_proposals);
	metrics_counter(m, "learner_commit_received_count", &v->learner_commits);
}

void quorum_measure(struct quorum *q, enum quorum_metric which, uint64_t value)
{
	if (q->conf.view)
		zk_metric_add(&q->conf.view->metric[which], value);
}

static void set(_Atomic uint64_t *at, uint64_t v)
{
	/* relaxed: each figure stands alone; the only writer looks first, so that readers keep the
	 * line */
	if (atomic_load_explicit(at, memory_order_relaxed) != v)
		atomic_store_explicit(at, v, memory_order_relaxed);
}

static enum srv_role role(const struct quorum *q)
{
	switch (q->z.role) {
	case ZAB_FOLLOWING:
		return ROLE_FOLLOWING;
	case ZAB_LEADING:
		return ROLE_LEADING;
	case ZAB_OBSERVING:
		return ROLE_OBSERVING;
	default:
		return q->read_only ? ROLE_READONLY : ROLE_LOOKING;
	}
}

static enum quorum_peer_state peer_state(const struct zab *z)
{
	switch (z->phase) {
	case ZAB_PHASE_NONE:
		return QUORUM_PEER_ELECTION;
	case ZAB_PHASE_SERVING:
	case ZAB_PHASE_FOLLOWING:
		return QUORUM_PEER_BROADCAST;
	case ZAB_PHASE_CURRENT:
	case ZAB_PHASE_SYNC:
	case ZAB_PHASE_OPENING:
	case ZAB_PHASE_REBUILD:
	case ZAB_PHASE_CATCH_UP:
	case ZAB_PHASE_HARDEN:
	case ZAB_PHASE_PROMISED:
		return QUORUM_PEER_SYNCHRONIZATION;
	default:
		return QUORUM_PEER_DISCOVERY;
	}
}

/* The learners' links of a leader (LeaderZooKeeperServer.registerMetrics()). */
static void links(const struct quorum *q, struct quorum_view *v)
{
	uint64_t learners = 0, followers = 0, non_voters = 0, observers = 0, replies = 0;

	for (uint32_t i = 0; q->z.role == ZAB_LEADING && i < ZAB_LINKS_MAX; i++) {
		const struct zab_link *l = &q->z.link[i];

		learners += l->state > ZAB_LINK_NEW;
		if (l->state != ZAB_LINK_ACTIVE)
			continue;
		followers += !l->observer;
		non_voters += !l->observer && l->place < 0;
		observers += l->observer;
		replies += l->reply_tail - l->reply_head;
	}
	set(&v->learners, learners);
	set(&v->synced_followers, followers);
	set(&v->synced_non_voters, non_voters);
	set(&v->synced_observers, observers);
	set(&v->pending_syncs, replies);
}

static void elections(struct quorum *q)
{
	bool looking = q->z.role == ZAB_LOOKING;

	if (looking && !q->looking)
		q->looking_ns = q->now_ns;
	if (!looking && q->looking) {
		q->election_ms = (q->now_ns - q->looking_ns) / 1000000;
		if (q->z.role != ZAB_OBSERVING) /* Leader.lead(), Follower.followLeader() */
			quorum_measure(q, QUORUM_METRIC_ELECTION, q->election_ms);
	}
	q->looking = looking;
}

/* QuorumPeer.setZabState(), Follower.followLeader(), Observer.observeLeader(). */
static void availability(struct quorum *q)
{
	enum quorum_peer_state now = peer_state(&q->z);
	uint64_t ms;

	if (now == q->peer_state)
		return;
	/* Both may have come since the last look. */
	if (q->peer_state != QUORUM_PEER_SYNCHRONIZATION)
		q->sync_ns = q->now_ns;
	if (q->peer_state == QUORUM_PEER_BROADCAST)
		q->unavailable_ns = q->now_ns;
	q->peer_state = now;
	if (now != QUORUM_PEER_BROADCAST)
		return;
	ms = (q->now_ns - q->unavailable_ns) / 1000000;
	quorum_measure(q, QUORUM_METRIC_UNAVAILABLE, ms);
	if (q->z.role == ZAB_LEADING)
		quorum_measure(q, QUORUM_METRIC_LEADER_UNAVAILABLE, ms);
	else
		quorum_measure(q,
			       q->z.role == ZAB_FOLLOWING ? QUORUM_METRIC_FOLLOWER_SYNC
							  : QUORUM_METRIC_OBSERVER_SYNC,
			       (q->now_ns - q->sync_ns) / 1000000);
}

void quorum_view_update(struct quorum *q)
{
	struct quorum_view *v = q->conf.view;
	const struct zab *z = &q->z;
	const struct zab_counters *n = &z->count;
	bool looking = z->role == ZAB_LOOKING;

	elections(q);
	availability(q);
	if (!v)
		return;
	links(q, v);
	set(&v->role, role(q));
	set(&v->epoch, looking ? z->current_epoch : z->epoch);
	set(&v->leader, looking ? UINT64_MAX : (uint64_t)z->elect.current.leader);
	set(&v->peer_state, peer_state(z));
	set(&v->proposals, q->proposals);
	set(&v->proposal_last_bytes, q->proposal_last);
	set(&v->elections, n->elections);
	set(&v->election_ms, q->election_ms);
	set(&v->diffs, n->diffs + n->truncs);
	set(&v->truncs, n->truncs);
	set(&v->snaps, n->snaps);
	set(&v->learner_proposals, q->learner_proposals);
	set(&v->learner_commits, q->learner_commits);
	set(&v->revalidates, q->revalidates);
	set(&v->set_aside, q->set_aside);
	set(&v->refused, q->refused + n->refused_links + n->bad_packets + q->peers.refused);
}
