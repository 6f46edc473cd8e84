/* SPDX-License-Identifier: Apache-2.0 */
#include "core/zab/elect.h"

#include "core/base/assert.h"

enum { RESEND_MIN_MS = 200, RESEND_MAX_MS = 2000, SETTLE_MS = 200 };

static const uint64_t ms_ns = 1000000;

/* ---- votes ---- */

static bool same_round_vote(const struct elect_vote *a, const struct elect_vote *b)
{
	return a->leader == b->leader && a->zxid == b->zxid && a->round == b->round &&
	       a->peer_epoch == b->peer_epoch;
}

/* Vote.equals(): once a leader is there zxid and round may differ, and servers older than version 1
 * name another epoch. */
static bool same_vote(const struct elect_vote *a, const struct elect_vote *b)
{
	if (a->state == ZAB_LOOKING || b->state == ZAB_LOOKING)
		return same_round_vote(a, b);
	if ((a->version > 0) != (b->version > 0))
		return a->leader == b->leader;
	return a->leader == b->leader && a->peer_epoch == b->peer_epoch;
}

/* FastLeaderElection.totalOrderPredicate() */
static bool better(const struct elect *e, const struct elect_vote *a, const struct elect_vote *b)
{
	if (zab_members_find(e->conf.now, a->leader) >= 0 &&
	    zab_members_weight(e->conf.now, a->leader) == 0)
		return false;
	if (a->peer_epoch != b->peer_epoch)
		return a->peer_epoch > b->peer_epoch;
	if (a->zxid != b->zxid)
		return a->zxid > b->zxid;
	return a->leader > b->leader;
}

static bool voter(const struct elect *e, int64_t sid)
{
	return zab_members_votes(e->conf.now, sid) ||
	       (e->conf.next && zab_members_votes(e->conf.next, sid));
}

static void put(struct elect_ballot *b, int64_t sid, const struct elect_vote *v)
{
	uint32_t i = 0;

	while (i < b->n && b->of[i].sid != sid)
		i++;
	zk_assert(i < ELECT_BALLOT_MAX); /* only voters are put */
	b->n += i == b->n;
	b->of[i].sid = sid;
	b->of[i].vote = *v;
}

static const struct elect_vote *find(const struct elect_ballot *b, int64_t sid)
{
	for (uint32_t i = 0; i < b->n; i++)
		if (b->of[i].sid == sid)
			return &b->of[i].vote;
	return NULL;
}

/* Who of @p m gave a vote like @p v? */
static uint64_t supporters(const struct elect_ballot *b, const struct zab_members *m,
			   const struct elect_vote *v)
{
	uint64_t set = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		int at = zab_members_find(m, b->of[i].sid);

		if (at >= 0 && same_vote(v, &b->of[i].vote))
			set |= UINT64_C(1) << at;
	}
	return set;
}

static bool has_quorum(const struct elect *e, const struct elect_ballot *b,
		       const struct elect_vote *v)
{
	const struct elect_conf *c = &e->conf;

	return zab_members_quorum(c->now, supporters(b, c->now, v)) &&
	       (!c->next || zab_members_quorum(c->next, supporters(b, c->next, v)));
}

static uint64_t undecided(const struct elect *e, const struct zab_members *m)
{
	return m->voters & ~supporters(&e->received, m, &e->proposal);
}

/* Nobody is left who could know better. */
static bool unanimous(const struct elect *e)
{
	const struct elect_conf *c = &e->conf;

	return !undecided(e, c->now) && !(c->next && undecided(e, c->next));
}

static bool absent(const struct elect *e, int64_t sid)
{
	return (e->suspects && e->suspect == sid) ||
	       (e->conf.io.absent && e->conf.io.absent(e->conf.io.ctx, sid));
}

static bool all_absent(const struct elect *e, const struct zab_members *m)
{
	for (uint64_t set = undecided(e, m); set; set &= set - 1)
		if (!absent(e, m->server[__builtin_ctzll(set)].sid))
			return false;
	return true;
}

/* Nobody is left who could know better and might still say so. */
static bool unopposed(const struct elect *e)
{
	return all_absent(e, e->conf.now) && !(e->conf.next && !all_absent(e, e->conf.next));
}

/* ---- telling ---- */

static struct zab_notification notification_of(const struct elect_vote *v, enum zab_state state,
					       uint64_t round)
{
	return (struct zab_notification){.state = state,
					 .leader = v->leader,
					 .zxid = v->zxid,
					 .round = round,
					 .peer_epoch = v->peer_epoch,
					 .version = 2};
}

static void answer(struct elect *e, int64_t to, const struct elect_vote *v, uint64_t round)
{
	struct zab_notification n = notification_of(v, e->state, round);

	e->answers++;
	if (to != e->conf.sid)
		e->conf.io.send(e->conf.io.ctx, to, &n);
}

static void tell_voters(struct elect *e, const struct zab_members *m, const struct zab_members *but,
			const struct zab_notification *n)
{
	for (uint64_t set = m->voters; set; set &= set - 1) {
		int64_t sid = m->server[__builtin_ctzll(set)].sid;

		if (sid != e->conf.sid && !(but && zab_members_votes(but, sid)))
			e->conf.io.send(e->conf.io.ctx, sid, n);
	}
}

/* To every voter, this server's own vote among them. */
static void broadcast(struct elect *e)
{
	struct zab_notification n = notification_of(&e->proposal, ZAB_LOOKING, e->round);

	e->broadcasts++;
	e->asked_ns = e->now_ns;
	tell_voters(e, e->conf.now, NULL, &n);
	if (e->conf.next)
		tell_voters(e, e->conf.next, e->conf.now, &n);
	if (voter(e, e->conf.sid) && voter(e, e->proposal.leader))
		put(&e->received, e->conf.sid, &e->proposal);
}

/* ---- the election ---- */

static bool decide(struct elect *e, const struct elect_vote *v)
{
	e->current = *v;
	e->current.round = e->round;
	if (v->leader == e->conf.sid)
		e->state = ZAB_LEADING;
	else
		e->state = e->conf.observer ? ZAB_OBSERVING : ZAB_FOLLOWING;
	e->current.state = e->state;
	e->settle_ns = 0;
	e->suspects = false;
	e->elections++;
	return true;
}

static void propose(struct elect *e, const struct elect_vote *v)
{
	e->proposal = *v;
	e->proposal.round = e->round;
	e->proposal.state = ZAB_LOOKING;
	e->proposal.version = 0;
	e->settle_ns = 0;
	broadcast(e);
}

/* After every vote: is there a quorum, and does anything remain to wait for? */
static bool weigh(struct elect *e)
{
	if (!has_quorum(e, &e->received, &e->proposal)) {
		e->settle_ns = 0;
		return false;
	}
	if (unanimous(e))
		return decide(e, &e->proposal);
	if (!e->settle_ns) {
		e->settle_ns = e->now_ns + e->conf.settle_ms * ms_ns;
		e->glance_ns = e->conf.settle_fast_ms ? e->now_ns + e->conf.settle_fast_ms * ms_ns
						      : UINT64_MAX;
	}
	return false;
}

static bool on_looking(struct elect *e, int64_t from, const struct elect_vote *v)
{
	if (e->initial.zxid == -1 || v->zxid == -1) {
		e->ignored++;
		return false;
	}
	/* About to decide: only a better vote is worth another round. */
	if (e->settle_ns && v->round != e->round && !better(e, v, &e->proposal)) {
		e->ignored++;
		return false;
	}
	if (v->round > e->round) {
		e->round = v->round;
		e->received.n = 0;
		propose(e, better(e, v, &e->initial) ? v : &e->initial);
	} else if (v->round < e->round) {
		e->ignored++;
		return false;
	} else if (better(e, v, &e->proposal)) {
		propose(e, v);
	}
	put(&e->received, from, v);
	return weigh(e);
}

/* FastLeaderElection.checkLeader(): nobody is followed that does not say itself that it leads. */
static bool leads(const struct elect *e, const struct elect_ballot *b, const struct elect_vote *v)
{
	const struct elect_vote *own;

	if (v->leader == e->conf.sid)
		return v->round == e->round;
	own = find(b, v->leader);
	return own && own->state == ZAB_LEADING;
}

static bool on_settled(struct elect *e, int64_t from, const struct elect_vote *v)
{
	if (v->round == e->round) {
		put(&e->received, from, v);
		if (has_quorum(e, &e->received, v) && leads(e, &e->received, v))
			return decide(e, v);
	}
	put(&e->outside, from, v);
	if (has_quorum(e, &e->outside, v) && leads(e, &e->outside, v)) {
		e->round = v->round;
		return decide(e, v);
	}
	return false;
}

bool elect_receive(struct elect *e, int64_t from, const struct zab_notification *n, uint64_t now_ns)
{
	struct elect_vote v = {.leader = n->leader,
			       .zxid = n->zxid,
			       .peer_epoch = n->peer_epoch,
			       .round = n->round,
			       .version = n->version,
			       .state = n->state};

	zk_assert(now_ns >= e->now_ns);
	e->now_ns = now_ns;
	if (from == e->suspect)
		e->suspects = false;
	if (!voter(e, from)) {
		/* Not the vote that was given up, as Apache says while it looks: two of these, and
		 * an observer elects the dead leader again and dials it until initLimit. */
		answer(e, from, e->state == ZAB_LOOKING ? &e->proposal : &e->current, e->round);
		return false;
	}
	if (e->state != ZAB_LOOKING) {
		if (n->state == ZAB_LOOKING)
			answer(e, from, &e->current, e->current.round);
		return false;
	}
	/* Who gives a worse vote in this round may have dropped the better one, for it still had a
	 * role when that came. Apache lets it wait for the next broadcast. */
	if (n->state == ZAB_LOOKING &&
	    (n->round < e->round || (n->round == e->round && better(e, &e->proposal, &v))))
		answer(e, from, &e->proposal, e->round);
	if (!voter(e, n->leader)) {
		e->ignored++;
		return false;
	}
	switch (n->state) {
	case ZAB_LOOKING:
		v.version = 0; /* votes of this election are compared whole */
		return on_looking(e, from, &v);
	case ZAB_FOLLOWING:
	case ZAB_LEADING:
		return on_settled(e, from, &v);
	case ZAB_OBSERVING:
		break;
	}
	return false;
}

bool elect_tick(struct elect *e, uint64_t now_ns)
{
	zk_assert(now_ns >= e->now_ns);
	e->now_ns = now_ns;
	if (e->state != ZAB_LOOKING)
		return false;
	if (e->settle_ns) {
		if (now_ns >= e->settle_ns || (now_ns >= e->glance_ns && unopposed(e)))
			return decide(e, &e->proposal);
		if (now_ns >= e->glance_ns)
			e->glance_ns = now_ns + e->conf.settle_fast_ms * ms_ns;
		return false;
	}
	/* Apache waits from the last notification that came. But one from who looks as well, and in
	 * vain, is no answer: it may come again and again for ever. */
	if (now_ns < e->asked_ns + e->resend_ns)
		return false;
	if (e->conf.io.delivered(e->conf.io.ctx))
		broadcast(e);
	else
		e->conf.io.connect_all(e->conf.io.ctx);
	e->asked_ns = now_ns;
	e->resend_ns *= 2;
	if (e->resend_ns > e->conf.resend_max_ms * ms_ns)
		e->resend_ns = e->conf.resend_max_ms * ms_ns;
	return false;
}

uint64_t elect_next_ns(const struct elect *e)
{
	if (e->state != ZAB_LOOKING)
		return UINT64_MAX;
	if (!e->settle_ns)
		return e->asked_ns + e->resend_ns;
	return e->glance_ns < e->settle_ns ? e->glance_ns : e->settle_ns;
}

bool elect_start(struct elect *e, int64_t zxid, int64_t epoch, uint64_t now_ns)
{
	zk_assert(now_ns >= e->now_ns);
	e->now_ns = now_ns;
	e->state = ZAB_LOOKING;
	e->round++;
	e->received.n = e->outside.n = 0;
	e->resend_ns = e->conf.resend_min_ms * ms_ns;
	e->initial = (struct elect_vote){
		.leader = zab_members_votes(e->conf.now, e->conf.sid) ? e->conf.sid : INT64_MIN,
		.zxid = e->conf.observer ? INT64_MIN : zxid,
		.peer_epoch = e->conf.observer ? INT64_MIN : epoch};
	propose(e, &e->initial);
	return weigh(e);
}

void elect_suspect(struct elect *e, int64_t sid)
{
	e->suspect = sid;
	e->suspects = true;
}

void elect_epoch(struct elect *e, int64_t epoch)
{
	e->current.peer_epoch = epoch;
}

void elect_configure(struct elect *e, const struct zab_members *now, const struct zab_members *next,
		     bool observer)
{
	e->conf.now = now;
	e->conf.next = next;
	e->conf.observer = observer;
}

void elect_init(struct elect *e, const struct elect_conf *conf, int64_t zxid, int64_t epoch)
{
	memset(e, 0, sizeof(*e));
	e->conf = *conf;
	if (!e->conf.resend_min_ms)
		e->conf.resend_min_ms = RESEND_MIN_MS;
	if (!e->conf.resend_max_ms)
		e->conf.resend_max_ms = RESEND_MAX_MS;
	if (!e->conf.settle_ms)
		e->conf.settle_ms = SETTLE_MS;
	e->current = (struct elect_vote){
		.leader = conf->sid, .zxid = zxid, .peer_epoch = epoch, .state = ZAB_LOOKING};
}
