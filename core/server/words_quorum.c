/* SPDX-License-Identifier: Apache-2.0 */
/* What four-letter words say of the ensemble, from struct quorum_view (QuorumZooKeeperServer,
 * LeaderZooKeeperServer, ReadOnlyZooKeeperServer: dumpConf, dumpMonitorValues, registerMetrics;
 * StatCommand). */
#include "core/server/quorum_view.h"
#include "core/server/srv_int.h"
#include "core/zab/members.h"

#include <inttypes.h>

enum { ELECTION_ALG = 3 /* FastLeaderElection, the only one left */ };

static uint64_t figure(const _Atomic uint64_t *at)
{
	/* partner: the leader core's stores; each figure stands alone */
	return atomic_load_explicit(at, memory_order_relaxed);
}

const char *srv_mode(const struct srv *s)
{
	static const char *const mode[] = {
		[ROLE_ALONE] = "standalone",   [ROLE_LOOKING] = "looking",
		[ROLE_READONLY] = "read-only", [ROLE_LEADING] = "leader",
		[ROLE_FOLLOWING] = "follower", [ROLE_OBSERVING] = "observer"};

	return mode[s->role];
}

static uint64_t role_ms(const struct srv *s)
{
	return (s->now_ns - s->role_ns) / 1000000;
}

uint64_t words_uptime_ms(const struct srv *s)
{
	/* each role is a new server to Apache */
	return s->sh->quorum ? role_ms(s) : (s->now_ns - s->sh->started_ns) / 1000000;
}

/* ---- srvr, stat ---- */

/** BufferStats: -1 each when there was none since it leads, or since srst. */
static void proposals(struct srv *s, int64_t *last, int64_t *min, int64_t *max)
{
	const struct quorum_view *v = s->sh->quorum;

	*last = *min = *max = -1;
	zk_hist_init(&s->hist);
	zk_metric_read(&v->metric[QUORUM_METRIC_PROPOSAL_BYTES], &s->hist);
	if (s->hist.count == 0)
		return;
	*last = (int64_t)figure(&v->proposal_last_bytes);
	*min = (int64_t)s->hist.min;
	*max = (int64_t)s->hist.max;
}

void words_quorum_srvr(struct srv *s, struct words_out *o)
{
	int64_t last, min, max;

	if (s->role != ROLE_LEADING)
		return;
	proposals(s, &last, &min, &max);
	words_printf(o, "Proposal sizes last/min/max: %" PRId64 "/%" PRId64 "/%" PRId64 "\n", last,
		     min, max);
}

void words_quorum_reset(struct srv *s)
{
	if (s->role == ROLE_LEADING)
		zk_metric_reset(&s->sh->quorum->metric[QUORUM_METRIC_PROPOSAL_BYTES]);
}

/* ---- conf ---- */

/** MultipleAddresses.getAllPorts(): each once. */
static void put_ports(const struct zab_server *me, bool election, struct words_out *o)
{
	const char *between = "";

	for (unsigned i = 0; i < me->addresses; i++) {
		uint16_t port = election ? me->address[i].election_port : me->address[i].port;
		unsigned same = 0;

		while ((election ? me->address[same].election_port : me->address[same].port) !=
		       port)
			same++;
		if (same < i)
			continue;
		words_printf(o, "%s%u", between, port);
		between = "|";
	}
	words_printf(o, "\n");
}

void words_quorum_conf(const struct srv *s, struct words_out *o)
{
	const struct zab_members *m = s->sh->quorum->members;
	int place = zab_members_find(m, s->sh->quorum->sid);
	static const struct zab_server nobody;
	const struct zab_server *me = place < 0 ? &nobody : &m->server[place];
	struct jute_out text;

	words_printf(o, "initLimit=%" PRIu32 "\nsyncLimit=%" PRIu32 "\nelectionAlg=%d\n",
		     s->sh->init_limit, s->sh->sync_limit, ELECTION_ALG);
	words_printf(o, "electionPort=");
	put_ports(me, true, o);
	words_printf(o, "quorumPort=");
	put_ports(me, false, o);
	words_printf(o, "peerType=%d\n", me->observer);
	if (s->role == ROLE_READONLY)
		return;
	words_printf(o, "membership: \n");
	text = jute_out_of(o->p + o->n, o->cap - o->n);
	zab_members_text(m, &text);
	zk_assert(!text.full);
	o->n += jute_out_len(&text);
}

/* ---- mntr ---- */

void words_quorum_state(const struct srv *s, struct words_out *o)
{
	static const char *const state[] = {[ROLE_LEADING] = "leading",
					    [ROLE_FOLLOWING] = "following",
					    [ROLE_OBSERVING] = "observing"};

	if (s->role < ROLE_LEADING)
		return;
	/* QuorumPeer.getDetailedPeerState() of a server that serves */
	words_printf(o, "zk_peer_state\t%s - broadcast\n", state[s->role]);
	if (s->role == ROLE_OBSERVING)
		words_u64(o, "observer_master_id", figure(&s->sh->quorum->leader));
}

static void put_leading(struct srv *s, struct words_out *o)
{
	const struct quorum_view *v = s->sh->quorum;
	int64_t last, min, max;

	words_u64(o, "learners", figure(&v->learners));
	words_u64(o, "synced_followers", figure(&v->synced_followers));
	words_u64(o, "synced_non_voting_followers", figure(&v->synced_non_voters));
	words_u64(o, "synced_observers", figure(&v->synced_observers));
	words_u64(o, "pending_syncs", figure(&v->pending_syncs));
	words_u64(o, "leader_uptime", role_ms(s));
	proposals(s, &last, &min, &max);
	words_i64(o, "last_proposal_size", last);
	words_i64(o, "max_proposal_size", max);
	words_i64(o, "min_proposal_size", min);
}

void words_quorum_mntr(struct srv *s, struct words_out *o)
{
	const struct quorum_view *v = s->sh->quorum;

	if (!v)
		return;
	if (s->role >= ROLE_LEADING)
		words_i64(o, "quorum_size", __builtin_popcountll(v->members->voters));
	if (s->role == ROLE_LEADING)
		put_leading(s, o);
	else if (s->role == ROLE_FOLLOWING) /* an observer master has some; this is none */
		words_u64(o, "synced_observers", 0);
	/* ours */
	words_u64(o, "quorum_epoch", figure(&v->epoch));
	words_u64(o, "quorum_refused", figure(&v->refused));
	words_u64(o, "quorum_requests_set_aside", figure(&v->set_aside));
	words_u64(o, "last_election_ms", figure(&v->election_ms));
}
