/* SPDX-License-Identifier: Apache-2.0 */
/* ConnectRequest and ConnectResponse (spec/client-protocol.md section 2; ZooKeeperServer
 * .processConnectRequest). */
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

enum conn_take conn_hello(struct srv_conn *c, struct zk_span frame)
{
	struct srv *s = c->s;
	struct jute_in in = jute_in_of(frame);
	struct zk_span password;
	struct msg_session *m;
	uint64_t last_zxid, session;
	int32_t timeout;

	(void)jute_i32(&in); /* protocolVersion: not looked at */
	last_zxid = (uint64_t)jute_i64(&in);
	timeout = jute_i32(&in);
	session = (uint64_t)jute_i64(&in);
	password = jute_bytes(&in);
	if (in.bad) {
		conn_malformed(c);
		return CONN_TAKEN;
	}
	if (!c->admitted) {
		if (!limit_connect(c, session != 0))
			return CONN_TAKEN;
		c->admitted = true; /* should the ring be full, it asks once only */
		s->n.connect_requests++;
	}
	/* another core may have told the client more */
	if (!srv_catch_up(s, last_zxid)) {
		conn_gate(c);
		return CONN_STOP;
	}
	if ((int64_t)last_zxid > (int64_t)s->visible) {
		s->n.conns_dropped++;
		conn_finish(c);
		return CONN_TAKEN;
	}
	m = srv_send(s, session ? MSG_SESSION_ATTACH : MSG_SESSION_CREATE, sizeof(*m),
		     (struct msg_conn){c->index, c->generation});
	if (!m) {
		s->n.ring_full++;
		zk_list_del(&c->link);
		zk_list_add_tail(&s->stalled, &c->link);
		return CONN_STOP;
	}
	m->session = session;
	m->timeout_ms = clamp_timeout(s->sh, timeout);
	if (session && password.n == sizeof(m->password)) {
		memcpy(m->password, password.p, sizeof(m->password));
		m->password_ok = 1;
	}
	zk_ring_commit(s->conf.to_leader, sizeof(*m));
	c->reconnect = session != 0;
	c->has_readonly = jute_left(&in) >= 1;
	c->timeout_ms = m->timeout_ms;
	c->state = CONN_OPENING;
	s->n.revalidates += session != 0;
	return CONN_TAKEN;
}

void conn_opened(struct srv_conn *c, const struct msg_session *m)
{
	bool refused = m->timeout_ms == 0, spilled;
	size_t n = RESPONSE_BYTES + (c->has_readonly ? 1 : 0);
	uint8_t *p;

	if (c->state != CONN_OPENING || c->doomed)
		return;
	p = out_room(c, 4 + n, &spilled);
	if (!p)
		return;
	zk_put32(p, (uint32_t)n);
	zk_put32(p + 4, 0);
	zk_put32(p + 8, refused ? 0 : (uint32_t)m->timeout_ms);
	zk_put64(p + 12, refused ? 0 : m->session);
	zk_put32(p + 20, SESSION_PASSWORD_BYTES);
	memset(p + 24, 0, SESSION_PASSWORD_BYTES);
	if (!refused)
		session_password(m->session, p + 24);
	if (c->has_readonly)
		p[40] = 0;
	out_done(c, 4 + n, spilled);
	c->s->n.packets_sent++;
	c->sent++;
	stats_response(&c->s->n, n);
	if (refused) {
		conn_finish(c);
		return;
	}
	c->session = m->session;
	c->timeout_ms = m->timeout_ms;
	c->state = CONN_LIVE;
	c->detach = true;
	c->last_op = ZK_OP_CREATE_SESSION;
	conn_schedule(c); /* requests may have come behind the ConnectRequest */
}
