/* SPDX-License-Identifier: Apache-2.0 */
/* What a learner's clients ask of the leader: writes, syncs, sessions. */
#include "core/base/hash.h"
#include "core/server/learner_int.h"

enum { REQUEST_FIXED_BYTES = 8 + 4 + 4 };

/* ---- packets --------------------------------------------------------------------------------- */

struct ask {
	uint64_t session;
	int32_t cxid, op;
	struct zk_span body, ids;
};

/* A leader without room keeps so many bytes of requests; with more on their way our ACKs, which may
 * be what it waits for, would stand behind them. */
static bool may_ask(const struct leader *l, size_t bytes)
{
	uint64_t max = l->conf.ask_bytes ? l->conf.ask_bytes : UINT64_MAX;

	return !l->learner.asked || l->learner.asked + bytes <= max;
}

static enum zk_err forward(struct leader *l, const struct ask *a, struct learner_wait *w)
{
	const struct leader_quorum *q = l->conf.quorum;
	size_t n = REQUEST_FIXED_BYTES + a->body.n;
	struct zab_packet packet = {
		.type = ZAB_REQUEST, .zxid = UINT64_MAX, .data = {.n = n}, .auth = a->ids};
	uint32_t bytes = (uint32_t)zab_packet_bytes(&packet);
	uint8_t small[256], *p;
	enum zk_err err;

	if (!may_ask(l, bytes))
		return ZK_EAGAIN;
	p = n <= sizeof(small) ? small : zk_mem_alloc(l->conf.mem, n);
	if (!p)
		return ZK_EAGAIN;
	zk_put64(p, a->session);
	zk_put32(p + 8, (uint32_t)a->cxid);
	zk_put32(p + 12, (uint32_t)a->op);
	if (a->body.n)
		memcpy(p + REQUEST_FIXED_BYTES, a->body.p, a->body.n);
	packet.data = zk_span_of(p, n);
	err = q->forward(q->ctx, &packet);
	if (err == ZK_EOK) {
		w->asked = bytes;
		l->learner.asked += bytes;
	}
	if (p != small)
		zk_mem_free(l->conf.mem, p, n);
	return err;
}

/* When the leader is being lost there is no answer, and no connection soon. */
static enum zk_err outcome(struct leader *l, struct learner_wait *w, enum zk_err err)
{
	if (err == ZK_EOK)
		return ZK_EOK;
	learner_wait_free(l, w);
	return err == ZK_ECLOSED ? ZK_EOK : ZK_EAGAIN;
}

/* ---- requests -------------------------------------------------------------------------------- */

/* Keep the string that the request begins with: it is the answer to a sync, and what getEphemerals
 * asks for. @return false: no memory. */
static bool keep_string(struct leader *l, struct learner_wait *w, struct zk_span body)
{
	struct jute_in in = jute_in_of(body);

	jute_bytes(&in);
	if (in.bad) {
		w->e.err = ZK_MARSHALLINGERROR;
		return true;
	}
	w->bytes_n = (size_t)(in.p - body.p);
	w->bytes = zk_mem_alloc(l->conf.mem, w->bytes_n);
	if (!w->bytes) {
		w->bytes_n = 0;
		return false;
	}
	memcpy(w->bytes, body.p, w->bytes_n);
	return true;
}

static struct entry entry_of(const struct msg_request *r)
{
	return (struct entry){.kind = ENTRY_WRITE,
			      .session = r->session,
			      .since_ns = r->since_ns,
			      .request_bytes = r->body_bytes,
			      .to = r->h,
			      .xid = r->xid,
			      .op = r->op};
}

static enum zk_err on_ephemerals(struct leader *l, struct session *s, const struct msg_request *r)
{
	struct learner_wait *w = learner_wait_new(l);
	enum zk_err err = ZK_EAGAIN;

	if (!w)
		return ZK_EAGAIN;
	w->e = entry_of(r);
	w->e.kind = ENTRY_ANSWER;
	if (!keep_string(l, w, msg_request_body(r))) {
		learner_wait_free(l, w);
		return ZK_EAGAIN;
	}
	if (s->wait_head) {
		learner_wait_add(l, s, w);
		return ZK_EOK;
	}
	w->e.bytes = zk_span_of(w->bytes, w->bytes_n);
	if (leader_answer(l, &w->e))
		err = ZK_EOK;
	learner_wait_free(l, w);
	return err;
}

static enum zk_err on_request(struct leader *l, const struct msg_request *r, size_t n)
{
	struct session *s = session_find(&l->sessions, r->session);
	struct ask a = {.session = r->session,
			.cxid = r->xid,
			.op = r->op,
			.body = msg_request_body(r),
			.ids = zk_span_of(r + 1, r->ids_bytes)};
	struct learner_wait *w;
	enum zk_err err;

	zk_assert(sizeof(*r) + (size_t)r->ids_bytes + (r->body_apart ? 0 : r->body_bytes) <= n);
	if (!s || (s->owner.set && !leader_is_owner(s, &r->h))) {
		leader_inc(&l->count.dropped);
		return ZK_EOK;
	}
	leader_own(s, &r->h);
	learner_touch(l, s);
	if (r->op == ZK_OP_GET_EPHEMERALS)
		return on_ephemerals(l, s, r);
	w = learner_wait_new(l);
	if (!w)
		return ZK_EAGAIN;
	w->e = entry_of(r);
	if (r->op == ZK_OP_SYNC && !keep_string(l, w, a.body)) {
		learner_wait_free(l, w);
		return ZK_EAGAIN;
	}
	err = forward(l, &a, w);
	if (err != ZK_EOK)
		return outcome(l, w, err);
	learner_wait_add(l, s, w);
	leader_inc(&l->count.requests);
	return ZK_EOK;
}

/* ---- sessions -------------------------------------------------------------------------------- */

static enum zk_err on_create(struct leader *l, const struct msg_session *m)
{
	struct session *s = session_new(&l->sessions, m->timeout_ms, l->now_ns);
	struct learner_wait *w = s ? learner_wait_new(l) : NULL;
	uint8_t timeout[4];
	struct ask a = {.op = ZK_OP_CREATE_SESSION, .body = zk_span_of(timeout, 4)};
	enum zk_err err = ZK_EAGAIN;

	if (!s)
		return leader_no_session(l, &m->h);
	if (w) {
		zk_put32(timeout, (uint32_t)m->timeout_ms);
		a.session = s->id;
		err = forward(l, &a, w);
	}
	if (err != ZK_EOK) {
		l->sessions.next_id--;
		session_remove(&l->sessions, s);
		return w ? outcome(l, w, err) : err;
	}
	s->opening = true;
	s->created_zxid = UINT64_MAX;
	w->e = (struct entry){.kind = ENTRY_OPEN, .session = s->id, .to = m->h, .op = a.op};
	leader_own(s, &m->h);
	learner_wait_add(l, s, w);
	leader_set(&l->count.sessions, l->sessions.n);
	return ZK_EOK;
}

static uint32_t *chain_of(struct leader *l, uint64_t session)
{
	return &l->learner.revalidate[zk_mix64(session) % LEARNER_REVALIDATIONS];
}

/* Take the connection that waits for this session's revalidation out; NULL: none. */
static struct learner_wait *revalidation_take(struct leader *l, uint64_t session)
{
	uint32_t *at = chain_of(l, session);

	while (*at) {
		struct learner_wait *w = learner_wait_at(l, *at);

		if (w->e.session == session) {
			*at = w->next;
			return w;
		}
		at = &w->next;
	}
	return NULL;
}

static bool opened(struct leader *l, const struct msg *to, const struct session *s,
		   int32_t timeout_ms)
{
	struct msg_session *o = leader_reserve(l, to->core, sizeof(*o));

	if (!o)
		return false;
	*o = (struct msg_session){.h = *to, .attached = 1};
	o->h.kind = MSG_SESSION_OPENED;
	if (s) {
		o->session = s->id;
		o->timeout_ms = timeout_ms;
		session_password(s->id, o->password);
	}
	leader_commit(l, to->core, sizeof(*o));
	return true;
}

static enum zk_err on_attach(struct leader *l, const struct msg_session *m)
{
	const struct leader_quorum *q = l->conf.quorum;
	struct session *s = session_find(&l->sessions, m->session);
	struct zab_packet packet = {.type = ZAB_REVALIDATE, .zxid = UINT64_MAX};
	struct learner_wait *w, *old;
	uint8_t data[12];
	uint32_t *chain;
	enum zk_err err;

	if (s && !leader_is_owner(s, &m->h) && !leader_kick(l, s))
		return ZK_EAGAIN;
	if (!leader_password_right(m))
		return opened(l, &m->h, NULL, 0) ? ZK_EOK : ZK_EAGAIN;
	w = learner_wait_new(l);
	if (!w)
		return ZK_EAGAIN;
	zk_put64(data, m->session);
	zk_put32(data + 8, (uint32_t)m->timeout_ms);
	packet.data = zk_span_of(data, sizeof(data));
	err = q->forward(q->ctx, &packet);
	if (err != ZK_EOK)
		return outcome(l, w, err);
	old = revalidation_take(l, m->session);
	if (old) { /* its connection is refused; a full ring: it times out */
		(void)opened(l, &old->e.to, NULL, 0);
		learner_wait_free(l, old);
	}
	w->e = (struct entry){.session = m->session, .to = m->h};
	w->timeout_ms = m->timeout_ms;
	chain = chain_of(l, m->session);
	w->next = *chain;
	*chain = learner_wait_index(l, w);
	return ZK_EOK;
}

static void revalidated(struct leader *l, uint64_t session, bool valid)
{
	struct learner_wait *w = revalidation_take(l, session);
	struct session *s = session_find(&l->sessions, session);

	if (!w)
		return;
	/* The leader may know it before its createSession is committed here. */
	if (valid && !s) {
		s = session_restore(&l->sessions, session, w->timeout_ms, l->now_ns);
		if (s) {
			s->opening = true;
			s->created_zxid = UINT64_MAX;
		}
	}
	if (!valid)
		s = NULL;
	/* No room to say so: the client tries again. */
	if (opened(l, &w->e.to, s, w->timeout_ms) && s) {
		leader_own(s, &w->e.to);
		s->timeout_ms = w->timeout_ms;
		learner_touch(l, s);
	}
	learner_wait_free(l, w);
}

enum zk_err leader_on_revalidated(struct leader *l, struct zk_span data, uint64_t now_ns)
{
	struct jute_in in = jute_in_of(data);
	uint64_t session = (uint64_t)jute_i64(&in);
	bool valid = jute_bool(&in);

	if (in.bad)
		return ZK_EINVAL;
	leader_enter(l, now_ns);
	if (leader_learns(l))
		revalidated(l, session, valid);
	leader_leave(l);
	return ZK_EOK;
}

/* ---- signs of life --------------------------------------------------------------------------- */

void learner_touch(struct leader *l, struct session *s)
{
	struct learner *r = &l->learner;

	if (s->touched)
		return;
	if (r->touched_n == r->touched_max) {
		uint32_t max = r->touched_max ? 2 * r->touched_max : 1024;
		uint32_t *p = zk_mem_alloc(l->conf.mem, max * sizeof(*p));

		if (!p) /* its next sign of life may find room */
			return;
		if (r->touched_n)
			memcpy(p, r->touched, r->touched_n * sizeof(*p));
		zk_mem_free(l->conf.mem, r->touched, r->touched_max * sizeof(*p));
		r->touched = p;
		r->touched_max = max;
	}
	r->touched[r->touched_n++] = session_record(&l->sessions, s);
	s->touched = true;
}

static void on_touch(struct leader *l, const struct msg_touch *m, size_t n)
{
	zk_assert(sizeof(*m) + (size_t)m->n * sizeof(m->session[0]) <= n);
	for (uint32_t i = 0; i < m->n; i++) {
		struct session *s = session_find(&l->sessions, m->session[i]);

		if (s)
			learner_touch(l, s);
	}
}

void leader_touched(struct leader *l, struct jute_out *out)
{
	struct learner *r = &l->learner;

	while (r->touched_n) {
		struct session *s = session_at(&l->sessions, r->touched[r->touched_n - 1]);
		uint8_t *p;

		if (s && s->touched) { /* else it has gone since */
			p = jute_room(out, 12);
			if (!p) {
				out->full = false;
				return;
			}
			zk_put64(p, s->id);
			zk_put32(p + 8, (uint32_t)s->timeout_ms);
			s->touched = false;
		}
		r->touched_n--;
	}
}

/* ---------------------------------------------------------------------------------------------- */

enum zk_err learner_message(struct leader *l, const struct msg *h, const void *rec, size_t n)
{
	switch (h->kind) {
	case MSG_REQUEST:
		return on_request(l, rec, n);
	case MSG_SESSION_CREATE:
		return on_create(l, rec);
	case MSG_SESSION_ATTACH:
		return on_attach(l, rec);
	default:
		zk_assert(h->kind == MSG_TOUCH);
		on_touch(l, rec, n);
		return ZK_EOK;
	}
}
