/* SPDX-License-Identifier: Apache-2.0 */
/* ConnectRequest and ConnectResponse (spec/client-protocol.md section 2; ZooKeeperServer
 * .processConnectRequest).
 *
 * Sessions of read-only mode live on their connection alone. Their password is another one than the
 * leader core would give the same id, and so tells them from the ensemble's sessions when a client
 * comes back: those must not be told that they have expired, only because nobody is there to ask.
 */
#include "core/server/srv_int.h"
#include "core/session/password.h"

enum { RESPONSE_BYTES = 36 }; /* without the readOnly byte */

static int32_t clamp_timeout(const struct srv_shared *sh, int32_t asked)
{
	int32_t min = (int32_t)(sh->min_session_timeout_ms ? sh->min_session_timeout_ms
							   : 2 * sh->tick_ms);
	int32_t max = (int32_t)(sh->max_session_timeout_ms ? sh->max_session_timeout_ms
							   : 20 * sh->tick_ms);

	return asked < min ? min : asked > max ? max : asked;
}

struct hello {
	uint64_t last_zxid, session;
	struct zk_span password;
	int32_t timeout;
	bool has_readonly, readonly;
};

static bool hello_parse(struct zk_span frame, struct hello *h)
{
	struct jute_in in = jute_in_of(frame);

	(void)jute_i32(&in); /* protocolVersion: not looked at */
	h->last_zxid = (uint64_t)jute_i64(&in);
	h->timeout = jute_i32(&in);
	h->session = (uint64_t)jute_i64(&in);
	h->password = jute_bytes(&in);
	h->has_readonly = !in.bad && jute_left(&in) >= 1;
	h->readonly = h->has_readonly && jute_bool(&in);
	return !in.bad;
}

static void turn_away(struct srv_conn *c)
{
	c->s->n.conns_dropped++;
	conn_finish(c);
}

/** The ConnectResponse; @p timeout_ms 0: refused. @return false: no memory. */
static bool hello_answer(struct srv_conn *c, uint64_t session, int32_t timeout_ms,
			 const uint8_t password[SESSION_PASSWORD_BYTES])
{
	size_t n = RESPONSE_BYTES + (c->has_readonly ? 1 : 0);
	bool spilled;
	uint8_t *p = out_room(c, 4 + n, &spilled);

	if (!p)
		return false;
	zk_put32(p, (uint32_t)n);
	zk_put32(p + 4, 0);
	zk_put32(p + 8, (uint32_t)timeout_ms);
	zk_put64(p + 12, session);
	zk_put32(p + 20, SESSION_PASSWORD_BYTES);
	memcpy(p + 24, password, SESSION_PASSWORD_BYTES);
	if (c->has_readonly)
		p[40] = c->s->role == ROLE_READONLY;
	out_done(c, 4 + n, spilled);
	c->s->n.packets_sent++;
	c->sent++;
	stats_response(&c->s->n, n);
	return true;
}

static void hello_refuse(struct srv_conn *c)
{
	static const uint8_t none[SESSION_PASSWORD_BYTES];

	if (hello_answer(c, 0, 0, none))
		conn_finish(c);
}

static void hello_live(struct srv_conn *c, uint64_t session, int32_t timeout_ms)
{
	c->session = session;
	c->timeout_ms = timeout_ms;
	c->state = CONN_LIVE;
	c->last_op = ZK_OP_CREATE_SESSION;
	conn_schedule(c); /* requests may have come behind the ConnectRequest */
}

/* ---- read-only mode ---- */

static void local_password(uint64_t session, uint8_t out[SESSION_PASSWORD_BYTES])
{
	session_password(~session, out);
}

static void local_open(struct srv_conn *c, uint64_t session)
{
	uint8_t password[SESSION_PASSWORD_BYTES];

	local_password(session, password);
	if (!hello_answer(c, session, c->timeout_ms, password))
		return;
	c->local = true;
	c->s->n.local_sessions++;
	hello_live(c, session, c->timeout_ms);
}

/* ReadOnlyZooKeeperServer and its LearnerSessionTracker. */
static void hello_readonly(struct srv_conn *c, const struct hello *h)
{
	uint8_t right[SESSION_PASSWORD_BYTES];
	struct srv *s = c->s;

	local_password(h->session, right);
	if (!s->sh->local_sessions && h->session == 0) {
		/* a session of the ensemble: the answer to a write, and no more is read */
		reply_send(c, 0, s->visible, ZK_NOTREADONLY, (struct zk_span){NULL, 0});
		s->n.packets_sent++;
		c->sent++;
		c->state = CONN_OPENING;
	} else if (h->session == 0) {
		local_open(c, s->next_local);
		s->next_local += MSG_CORES_MAX;
	} else if (!s->sh->local_sessions || h->password.n != sizeof(right) ||
		   memcmp(right, h->password.p, sizeof(right)) != 0) {
		turn_away(c);
	} else if (h->session >> 56 != srv_sid(s)) {
		hello_refuse(c); /* of another server's read-only mode */
	} else {
		local_open(c, h->session);
	}
}

/* ---- */

/** Ask the leader core. */
static enum conn_take hello_ask(struct srv_conn *c, const struct hello *h)
{
	struct srv *s = c->s;
	struct msg_session *m = srv_send(s, h->session ? MSG_SESSION_ATTACH : MSG_SESSION_CREATE,
					 sizeof(*m), (struct msg_conn){c->index, c->generation});

	if (!m) {
		s->n.ring_full++;
		zk_list_del(&c->link);
		zk_list_add_tail(&s->stalled, &c->link);
		return CONN_STOP;
	}
	m->session = h->session;
	m->timeout_ms = c->timeout_ms;
	if (h->session && h->password.n == sizeof(m->password)) {
		memcpy(m->password, h->password.p, sizeof(m->password));
		m->password_ok = 1;
	}
	zk_ring_commit(s->conf.to_leader, sizeof(*m));
	c->state = CONN_OPENING;
	s->n.revalidates += h->session != 0;
	return CONN_TAKEN;
}

enum conn_take conn_hello(struct srv_conn *c, struct zk_span frame)
{
	struct srv *s = c->s;
	struct hello h;

	if (!hello_parse(frame, &h)) {
		conn_malformed(c);
		return CONN_TAKEN;
	}
	/* Another core may have told the client more. The role may change with it. */
	if (!srv_catch_up(s, h.last_zxid)) {
		conn_gate(c);
		return CONN_STOP;
	}
	if (s->role == ROLE_LOOKING) { /* NIOServerCnxn: "ZooKeeperServer not running" */
		turn_away(c);
		return CONN_TAKEN;
	}
	if (!c->admitted) {
		if (!limit_connect(c, h.session != 0))
			return CONN_TAKEN;
		c->admitted = true; /* should the ring be full, it asks once only */
		s->n.connect_requests++;
	}
	if (s->role == ROLE_READONLY && !h.readonly) {
		turn_away(c);
		return CONN_TAKEN;
	}
	if ((int64_t)h.last_zxid > (int64_t)s->visible) {
		turn_away(c);
		return CONN_TAKEN;
	}
	c->reconnect = h.session != 0;
	c->has_readonly = h.has_readonly;
	c->timeout_ms = clamp_timeout(s->sh, h.timeout);
	c->term = s->term;
	if (s->role != ROLE_READONLY)
		return hello_ask(c, &h);
	hello_readonly(c, &h);
	return CONN_TAKEN;
}

void conn_opened(struct srv_conn *c, const struct msg_session *m)
{
	uint8_t password[SESSION_PASSWORD_BYTES];

	if (c->state != CONN_OPENING || c->doomed || c->term != c->s->term)
		return;
	if (m->timeout_ms == 0) {
		hello_refuse(c);
		return;
	}
	session_password(m->session, password);
	if (!hello_answer(c, m->session, m->timeout_ms, password))
		return;
	c->detach = true;
	hello_live(c, m->session, m->timeout_ms);
}
