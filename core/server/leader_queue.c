/* SPDX-License-Identifier: Apache-2.0 */
/* Between prep and reply: the queue of entries, the log stage, apply, the rings to the cores. */
#include "core/server/leader_int.h"
#include "core/session/password.h"

static struct entry *entry_at(struct leader *l, uint64_t seq)
{
	return &l->entry[seq & l->entry_mask];
}

void *leader_reserve(struct leader *l, unsigned core, size_t n)
{
	zk_assert(core < l->conf.cores);
	if (l->role.untold & UINT32_C(1) << core) /* the role goes first */
		return NULL;
	return zk_ring_reserve(l->conf.to_core[core], n);
}

void leader_commit(struct leader *l, unsigned core, size_t n)
{
	zk_ring_commit(l->conf.to_core[core], n);
	l->dirty |= UINT32_C(1) << core;
}

void leader_publish(struct leader *l)
{
	while (l->dirty) {
		unsigned core = (unsigned)__builtin_ctz(l->dirty);

		zk_ring_publish(l->conf.to_core[core]);
		l->dirty &= l->dirty - 1;
	}
}

bool leader_kick_room(struct leader *l, const struct session *s, struct msg_session **m)
{
	*m = NULL;
	/* who is at a learner finds out by itself */
	if (!s || !s->owner.set || s->owner.core == SESSION_OWNER_REMOTE)
		return true;
	*m = leader_reserve(l, s->owner.core, sizeof(**m));
	return *m != NULL;
}

static void kick(struct leader *l, struct session *s, struct msg_session *m)
{
	if (m) {
		*m = (struct msg_session){.h = {.kind = MSG_KICK,
						.core = s->owner.core,
						.conn = {s->owner.index, s->owner.generation}},
					  .session = s->id};
		leader_commit(l, s->owner.core, sizeof(*m));
	}
	s->owner.set = false;
}

bool leader_kick(struct leader *l, struct session *s)
{
	struct msg_session *m;

	if (!leader_kick_room(l, s, &m))
		return false;
	kick(l, s, m);
	return true;
}

void leader_session_ended(struct leader *l, struct session *s, struct msg_session *m)
{
	if (!s)
		return;
	kick(l, s, m);
	leader_session_gone(l, s);
}

void leader_reply_fill(struct msg_reply *m, const struct entry *e, uint64_t zxid, size_t body)
{
	*m = (struct msg_reply){.h = {.kind = MSG_REPLY, .core = e->to.core, .conn = e->to.conn},
				.xid = e->xid,
				.err = e->err,
				.op = e->op,
				.body_bytes = (uint32_t)body,
				.zxid = zxid,
				.since_ns = e->since_ns,
				.request_bytes = e->request_bytes,
				.drop = e->err == ZK_SESSIONMOVED};
}

bool leader_answer(struct leader *l, const struct entry *e)
{
	size_t body = e->err == ZK_EOK ? e->bytes.n : 0;
	struct msg_reply *m;

	if (e->op == ZK_OP_GET_EPHEMERALS && e->err == ZK_EOK)
		return leader_answer_ephemerals(l, e);
	m = leader_reserve(l, e->to.core, sizeof(*m) + body);
	if (!m)
		return false;
	leader_reply_fill(m, e, leader_applied_zxid(l), body);
	if (body)
		memcpy(m + 1, e->bytes.p, body);
	leader_commit(l, e->to.core, sizeof(*m) + body);
	return true;
}

/* ---- log stage --------------------------------------------------------------------------- */

/* To whom makes it durable. False: no room. */
static bool append(struct leader *l, const struct entry *e)
{
	const struct leader_quorum *q = l->conf.quorum;

	if (q)
		return !l->role.due && q->propose(q->ctx, e->zxid, e->bytes);
	return l->conf.log.append(l->conf.log.ctx, e->zxid, e->bytes);
}

void leader_log_flush(struct leader *l)
{
	for (; l->unlogged != l->tail; l->unlogged++) {
		const struct entry *e = entry_at(l, l->unlogged);

		if (!e->zxid)
			continue;
		if (!append(l, e))
			return;
		leader_snap_logged(l, e->zxid, e->bytes.n);
	}
}

bool leader_room(struct leader *l)
{
	const struct leader_quorum *q = l->conf.quorum;

	leader_log_flush(l);
	return l->unlogged == l->tail && l->tail - l->head < l->conf.pending_max &&
	       !tree_changes_full(l->conf.tree) && !l->role.behind &&
	       (!q || q->next_zxid(q->ctx) == l->last_zxid + 1);
}

struct entry *leader_push(struct leader *l, const struct entry *e)
{
	struct entry *at = entry_at(l, l->tail);

	zk_assert(l->tail - l->head <= l->entry_mask);
	*at = *e;
	at->prepared_ns = l->now_ns;
	l->tail++;
	if (e->zxid) {
		zk_assert(e->zxid == l->last_zxid + 1);
		l->last_zxid = e->zxid;
		leader_set(&l->prepared_zxid, e->zxid);
		leader_inc(&l->count.proposals);
	}
	leader_set(&l->count.outstanding, l->tail - l->head);
	leader_log_flush(l);
	return at;
}

/* ---- apply ------------------------------------------------------------------------------- */

void leader_digest_seen(struct leader *l, uint64_t zxid, enum txn_digest digest)
{
	if (digest != TXN_DIGEST_WRONG)
		return;
	if (leader_get(&l->count.digest_mismatches) == 0)
		leader_set(&l->count.digest_mismatch_zxid, zxid);
	leader_inc(&l->count.digest_mismatches);
}

/* Into the tree, published, and out of the pending state. */
static void apply(struct leader *l, const struct entry *e, struct txn_result *res)
{
	uint64_t ms = (l->now_ns - e->prepared_ns) / 1000000;
	enum zk_err err;

	/* A client core must find the replies before Z on its ring when it meets the events of Z.
	 */
	leader_publish(l);
	err = txn_apply(l->conf.tree, e->bytes, res);
	/* Prep has promised all of this; anything else is a broken tree or a broken prep. */
	zk_assert(err == ZK_EOK && res->err == e->err && res->tree_fails == 0);
	zk_assert(res->header.zxid == e->zxid && !(res->reply && res->reply->full));
	leader_digest_seen(l, e->zxid, res->digest);
	prep_applied(&l->prep, e->zxid, e->bytes_end, e->steps);
	leader_set(&l->applied_zxid, e->zxid);
	leader_inc(&l->count.commits);
	zk_metric_add(&l->metric[LEADER_METRIC_PROPAGATION], ms);
	if (l->conf.quorum) /* what a quorum has acknowledged is applied at once */
		zk_metric_add(&l->metric[LEADER_METRIC_QUORUM_ACK], ms);
}

void leader_session_gone(struct leader *l, struct session *s)
{
	learner_session_gone(l, s);
	leader_copies_session_gone(l, s);
	session_remove(&l->sessions, s);
	leader_set(&l->count.sessions, l->sessions.n);
}

static bool run_write(struct leader *l, const struct entry *e)
{
	struct msg_reply *m = leader_reserve(l, e->to.core, sizeof(*m) + e->reply_max);
	struct jute_out body;
	struct txn_result res = {.reply = &body};
	struct session *s;

	if (!m)
		return false;
	body = jute_out_of(m + 1, e->reply_max);
	apply(l, e, &res);
	leader_reply_fill(m, e, e->zxid, jute_out_len(&body));
	leader_commit(l, e->to.core, sizeof(*m) + m->body_bytes);
	s = e->op == ZK_OP_CLOSE_SESSION ? session_find(&l->sessions, e->session) : NULL;
	if (s) /* its connection closes behind the reply */
		leader_session_gone(l, s);
	return true;
}

static bool run_open(struct leader *l, const struct entry *e)
{
	struct msg_session *m = leader_reserve(l, e->to.core, sizeof(*m));
	struct txn_result res = {0};

	if (!m)
		return false;
	apply(l, e, &res);
	*m = (struct msg_session){
		.h = {.kind = MSG_SESSION_OPENED, .core = e->to.core, .conn = e->to.conn},
		.session = e->session,
		.timeout_ms = res.timeout_ms};
	session_password(e->session, m->password);
	leader_commit(l, e->to.core, sizeof(*m));
	return true;
}

static bool run_expiry(struct leader *l, const struct entry *e)
{
	struct session *s = session_find(&l->sessions, e->session);
	struct txn_result res = {0};
	struct msg_session *m;

	/* Before the apply only the room; the kick belongs behind the transaction. */
	if (!leader_kick_room(l, s, &m))
		return false;
	apply(l, e, &res);
	leader_session_ended(l, s, m);
	return true;
}

static bool run_silent(struct leader *l, const struct entry *e)
{
	struct txn_result res = {0};

	apply(l, e, &res);
	return true;
}

static bool run_answer(struct leader *l, const struct entry *e)
{
	const struct leader_quorum *q = l->conf.quorum;

	if ((e->confirm && q->confirmed(q->ctx) < e->confirm) || !leader_answer(l, e))
		return false;
	if (e->bytes_end)
		txn_bytes_release(&l->prep.bytes, e->bytes_end);
	return true;
}

/* What is applied next; of one alone there is nothing to be had. */
static void look_ahead(struct leader *l)
{
	struct zk_span txn[TXN_AHEAD];
	unsigned n = 0;

	for (uint64_t i = l->head; n < TXN_AHEAD && i != l->unlogged && i - l->head < TXN_AHEAD;
	     i++) {
		const struct entry *e = entry_at(l, i);

		if (e->zxid > l->durable_zxid)
			break;
		if (e->zxid)
			txn[n++] = e->bytes;
	}
	if (n > 1)
		txn_ahead(l->conf.tree, txn, n);
}

unsigned leader_run(struct leader *l, unsigned budget)
{
	unsigned n = 0;

	if (leader_pulls(l)) {
		n = learner_run(l, budget);
		if (leader_pulls(l))
			return n;
	}
	for (; n < budget && l->head != l->unlogged; n++) {
		const struct entry *e = entry_at(l, l->head);
		bool done;

		if (n % TXN_AHEAD == 0)
			look_ahead(l);
		if (e->kind == ENTRY_ANSWER)
			done = run_answer(l, e);
		else if (e->zxid > l->durable_zxid)
			break;
		else if (e->kind == ENTRY_WRITE)
			done = run_write(l, e);
		else if (e->kind == ENTRY_OPEN)
			done = run_open(l, e);
		else if (e->kind == ENTRY_SILENT)
			done = run_silent(l, e);
		else
			done = run_expiry(l, e);
		if (!done)
			break;
		l->head++;
		if (e->zxid)
			leader_snap_applied(l, e->zxid);
	}
	leader_set(&l->count.outstanding, l->tail - l->head);
	return n;
}
