/* SPDX-License-Identifier: Apache-2.0 */
/* The leader and what learners send it (LearnerHandler.run(), LeaderZooKeeperServer,
 * PrepRequestProcessor.checkSession). A request that cannot be done becomes an error transaction:
 * the learner waits for one or the other. */
#include "core/server/leader_int.h"

static const uint8_t no_ids[4]; /* an empty vector */

struct remote {
	uint32_t link, generation;
	uint64_t session;
	int32_t cxid, op;
	struct zk_span body, ids;
};

static bool read_request(const struct zab_packet *p, struct remote *r)
{
	struct jute_in in = jute_in_of(p->data);

	r->session = (uint64_t)jute_i64(&in);
	r->cxid = jute_i32(&in);
	r->op = jute_i32(&in);
	if (in.bad)
		return false;
	r->body = zk_span_of(in.p, jute_left(&in));
	r->ids = p->auth.p ? p->auth : zk_span_of(no_ids, sizeof(no_ids));
	return true;
}

static bool owns(const struct session *s, const struct remote *r)
{
	return s->owner.core == SESSION_OWNER_REMOTE && s->owner.index == r->link &&
	       s->owner.generation == r->generation;
}

static void own(struct session *s, const struct remote *r)
{
	s->owner = (struct session_owner){.index = r->link,
					  .generation = r->generation,
					  .core = SESSION_OWNER_REMOTE,
					  .set = true};
}

/* SessionTrackerImpl.checkSession() */
static enum zk_err check(struct session *s, const struct remote *r)
{
	if (!s || s->closing)
		return ZK_SESSIONEXPIRED;
	if (!s->owner.set)
		own(s, r);
	return owns(s, r) ? ZK_EOK : ZK_SESSIONMOVED;
}

/* LeaderSessionTracker.checkSession(): a session that nobody knows is its learner's own business,
 * unless it was made here. */
static bool local(const struct leader *l, const struct session *s, const struct remote *r)
{
	return !s && l->conf.local_sessions && r->session >> 56 != l->conf.server_id;
}

static void push(struct leader *l, const struct prep_in *in, const struct prep_out *out,
		 enum entry_kind kind, struct session *s)
{
	struct entry e = {.kind = kind};

	leader_entry_of(&e, in, out);
	if (s)
		s->last_seq = l->tail;
	leader_push(l, &e);
	leader_inc(&l->count.requests);
}

static enum zk_err on_create_session(struct leader *l, const struct remote *r, struct prep_in *in)
{
	struct session *s = session_find(&l->sessions, r->session);
	struct jute_in body = jute_in_of(r->body);
	int32_t timeout_ms = jute_i32(&body);
	struct prep_out out;
	bool made = !s;

	if (body.bad)
		return ZK_EINVAL;
	if (made)
		s = session_restore(&l->sessions, r->session, timeout_ms, l->now_ns);
	if (!s) { /* as many as there may be: its learner closes the connection when it gives up */
		leader_inc(&l->count.refused_sessions);
		return ZK_EOK;
	}
	if (prep_create_session(&l->prep, in, timeout_ms, &out) != ZK_EOK) {
		if (made)
			session_remove(&l->sessions, s);
		return ZK_EAGAIN;
	}
	if (made)
		s->created_zxid = in->zxid;
	if (!s->closing)
		own(s, r);
	leader_set(&l->count.sessions, l->sessions.n);
	push(l, in, &out, ENTRY_SILENT, s);
	return ZK_EOK;
}

/* Leader.processSync(): at once, behind what was proposed before and before what comes after. */
static enum zk_err on_sync(struct leader *l, const struct remote *r)
{
	const struct leader_quorum *q = l->conf.quorum;
	enum zk_err err =
		q->reply(q->ctx, r->link, r->generation, ZAB_SYNC, 0, (struct zk_span){NULL, 0});

	return err == ZK_EAGAIN ? ZK_EAGAIN : ZK_EOK;
}

static enum zk_err on_write(struct leader *l, const struct remote *r, struct prep_in *in)
{
	struct session *s = session_find(&l->sessions, r->session);
	bool closes = r->op == ZK_OP_CLOSE_SESSION;
	struct prep_out out;

	/* PrepRequestProcessor.pRequest2Txn(): whoever asks may close it. */
	in->local_session = local(l, s, r);
	if (!closes && !in->local_session)
		in->session_err = check(s, r);
	else if (s && s->closing)
		in->session_err = ZK_SESSIONEXPIRED;
	in->pending_creates = s && s->ephemeral_zxid > leader_applied_zxid(l);
	if (prep_request(&l->prep, in, &out) != ZK_EOK)
		return ZK_EAGAIN;
	if (s)
		session_touch(&l->sessions, s, l->now_ns);
	if (s && out.ephemeral)
		s->ephemeral_zxid = in->zxid;
	if (s && closes && out.err == ZK_EOK)
		session_close(s);
	if (in->session_err == ZK_SESSIONMOVED)
		leader_inc(&l->count.refused_moved);
	push(l, in, &out, closes && out.err == ZK_EOK ? ENTRY_EXPIRY : ENTRY_SILENT, s);
	return ZK_EOK;
}

static enum zk_err on_request(struct leader *l, const struct remote *r, int64_t wall_ms)
{
	size_t reply = zk_ring_record_max(l->conf.to_core[0]) - sizeof(struct msg_reply);
	struct prep_in in = {.op = r->op,
			     .cxid = r->cxid,
			     .session = r->session,
			     .ids = r->ids,
			     .body = r->body,
			     .zxid = l->last_zxid + 1,
			     .time_ms = wall_ms,
			     .reply_max = reply};

	if (!leader_room(l)) {
		/* The epoch is used up. Nothing will ever come of it, and ACKs that are read behind
		 * it are what the end of the role waits for. */
		return l->last_zxid % (UINT64_C(1) << 32) == UINT32_MAX ? ZK_EOK : ZK_EAGAIN;
	}
	if (r->op == ZK_OP_CREATE_SESSION)
		return on_create_session(l, r, &in);
	return r->op == ZK_OP_SYNC ? on_sync(l, r) : on_write(l, r, &in);
}

/* What a learner sent to the leader that this server was, or is about to stop being, is lost with
 * its connection. */
static bool leads(const struct leader *l)
{
	return l->role.now == ROLE_LEADING && !l->role.due;
}

enum zk_err leader_remote(struct leader *l, uint32_t link, uint32_t generation,
			  const struct zab_packet *p, uint64_t now_ns, int64_t wall_ms)
{
	struct remote r = {.link = link, .generation = generation};
	enum zk_err err = ZK_EOK;

	if (!read_request(p, &r))
		return ZK_EINVAL;
	leader_enter(l, now_ns);
	if (leads(l))
		err = l->role.behind ? ZK_EAGAIN : on_request(l, &r, wall_ms);
	if (err == ZK_EAGAIN)
		leader_inc(&l->count.again);
	leader_leave(l);
	return err;
}

/* ---- sessions -------------------------------------------------------------------------------- */

/* Learner.validateSession(), LearnerHandler: the session lives on at that learner. */
static enum zk_err revalidate(struct leader *l, const struct remote *r, int32_t timeout_ms)
{
	const struct leader_quorum *q = l->conf.quorum;
	struct session *s = session_find(&l->sessions, r->session);
	bool valid = s && !s->closing;
	uint8_t answer[9];
	enum zk_err err;

	/* A connection that held it here ends. */
	if (valid && !owns(s, r) && !leader_kick(l, s))
		return ZK_EAGAIN;
	zk_put64(answer, r->session);
	answer[8] = valid;
	err = q->reply(q->ctx, r->link, r->generation, ZAB_REVALIDATE, UINT64_MAX,
		       zk_span_of(answer, sizeof(answer)));
	if (err != ZK_EOK)
		return err == ZK_EAGAIN ? ZK_EAGAIN : ZK_EOK;
	if (valid) {
		own(s, r);
		session_retime(&l->sessions, s, timeout_ms, l->now_ns);
	}
	return ZK_EOK;
}

enum zk_err leader_remote_revalidate(struct leader *l, uint32_t link, uint32_t generation,
				     struct zk_span data, uint64_t now_ns)
{
	struct remote r = {.link = link, .generation = generation};
	struct jute_in in = jute_in_of(data);
	enum zk_err err = ZK_EOK;
	int32_t timeout_ms;

	r.session = (uint64_t)jute_i64(&in);
	timeout_ms = jute_i32(&in);
	if (in.bad)
		return ZK_EINVAL;
	leader_enter(l, now_ns);
	if (leads(l))
		err = l->role.behind ? ZK_EAGAIN : revalidate(l, &r, timeout_ms);
	leader_leave(l);
	return err;
}

enum zk_err leader_remote_touch(struct leader *l, struct zk_span data, uint64_t now_ns)
{
	struct jute_in in = jute_in_of(data);

	leader_enter(l, now_ns);
	while (jute_left(&in) && !in.bad) {
		struct session *s = session_find(&l->sessions, (uint64_t)jute_i64(&in));

		(void)jute_i32(&in); /* the time-out, which we know */
		if (s && !in.bad)
			session_touch(&l->sessions, s, now_ns);
	}
	leader_leave(l);
	return in.bad ? ZK_EINVAL : ZK_EOK;
}
