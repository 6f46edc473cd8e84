/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions on the leader: opened, attached to a connection, touched, let go
 * (ZooKeeperServer.processConnectRequest, reopenSession). */
#include "core/server/leader_int.h"
#include "core/session/password.h"

void leader_entry_of(struct entry *e, const struct prep_in *in, const struct prep_out *out)
{
	e->zxid = in->zxid;
	e->session = in->session;
	e->op = in->op;
	e->bytes = out->txn;
	e->bytes_end = out->end;
	e->steps = out->steps;
	e->err = out->err;
}

enum zk_err leader_no_session(struct leader *l, const struct msg *h)
{
	struct msg_session *k = leader_reserve(l, h->core, sizeof(*k));

	if (!k)
		return ZK_EAGAIN;
	*k = (struct msg_session){.h = *h};
	k->h.kind = MSG_KICK;
	leader_commit(l, h->core, sizeof(*k));
	leader_inc(&l->count.refused_sessions);
	return ZK_EOK;
}

enum zk_err leader_on_create(struct leader *l, const struct msg_session *m, int64_t wall_ms)
{
	struct prep_in in = {
		.op = ZK_OP_CREATE_SESSION, .zxid = l->last_zxid + 1, .time_ms = wall_ms};
	struct entry e = {.kind = ENTRY_OPEN, .to = m->h};
	struct prep_out out;

	if (l->refusing)
		return leader_turn_away(l, &m->h, 0) ? ZK_EOK : ZK_EAGAIN;
	if (!leader_room(l))
		return ZK_EAGAIN;
	struct session *s = session_new(&l->sessions, m->timeout_ms, l->now_ns);

	if (!s)
		return leader_no_session(l, &m->h);
	s->created_zxid = in.zxid;
	in.session = s->id;
	if (prep_create_session(&l->prep, &in, m->timeout_ms, &out) != ZK_EOK) {
		l->sessions.next_id--;
		session_remove(&l->sessions, s);
		return ZK_EAGAIN;
	}
	leader_own(s, &m->h);
	leader_set(&l->count.sessions, l->sessions.n);
	s->last_seq = l->tail;
	leader_entry_of(&e, &in, &out);
	leader_push(l, &e);
	return ZK_EOK;
}

bool leader_password_right(const struct msg_session *m)
{
	uint8_t right[SESSION_PASSWORD_BYTES], diff = 0;

	session_password(m->session, right);
	for (unsigned i = 0; i < SESSION_PASSWORD_BYTES; i++)
		diff |= right[i] ^ m->password[i];
	return m->session != 0 && m->password_ok && diff == 0;
}

enum zk_err leader_on_attach(struct leader *l, const struct msg_session *m)
{
	struct session *s = session_find(&l->sessions, m->session);
	struct msg_session *o;

	/* The old connection goes first, whatever the password is. */
	if (s && !leader_is_owner(s, &m->h) && !leader_kick(l, s))
		return ZK_EAGAIN;
	o = leader_reserve(l, m->h.core, sizeof(*o));
	if (!o)
		return ZK_EAGAIN;
	*o = (struct msg_session){.h = m->h, .attached = 1};
	o->h.kind = MSG_SESSION_OPENED;
	if (s && !s->closing && leader_password_right(m)) {
		leader_own(s, &m->h);
		session_retime(&l->sessions, s, m->timeout_ms, l->now_ns);
		o->session = s->id;
		o->timeout_ms = m->timeout_ms;
		session_password(s->id, o->password);
	}
	leader_commit(l, m->h.core, sizeof(*o));
	return ZK_EOK;
}

void leader_on_touch(struct leader *l, const struct msg_touch *m, size_t n)
{
	uint64_t at_ns = m->through_ns < l->now_ns ? m->through_ns : l->now_ns;

	zk_assert(sizeof(*m) + (size_t)m->n * sizeof(m->session[0]) <= n);
	for (uint32_t i = 0; i < m->n; i++) {
		struct session *s = session_find(&l->sessions, m->session[i]);

		if (s)
			session_touch(&l->sessions, s, at_ns);
	}
}

void leader_on_detach(struct leader *l, const struct msg_session *m)
{
	struct session *s = session_find(&l->sessions, m->session);

	if (s && leader_is_owner(s, &m->h))
		s->owner.set = false;
}
