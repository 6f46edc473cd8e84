/* SPDX-License-Identifier: Apache-2.0 */
/* Notifications, the ring from the leader core and the ring to it. */
#include "core/server/srv_int.h"

void event_send(struct srv_conn *c, uint64_t zxid, enum zk_event event, struct zk_span path)
{
	enum { FIXED = 4 + ZK_REPLY_HEADER_BYTES + 12 };
	uint8_t head[FIXED], *p = head;

	p = reply_head(p, 12 + path.n, ZK_XID_WATCH, zxid, ZK_EOK);
	zk_put32(p, (uint32_t)event);
	zk_put32(p + 4, ZK_STATE_SYNC_CONNECTED);
	zk_put32(p + 8, (uint32_t)path.n);
	if (zxid != UINT64_MAX)
		c->event_zxid = zxid;
	c->s->n.events++;
	c->s->n.watch_bytes += ZK_REPLY_HEADER_BYTES + 12 + path.n;
	c->s->n.packets_sent++;
	c->sent++;
	if (c->deferring) {
		read_job_defer(c, head, sizeof(head));
		read_job_defer(c, path.p, path.n);
	} else if (path.n <= 1024) {
		bool spilled;
		uint8_t *room = out_room(c, FIXED + path.n, &spilled);

		if (!room)
			return;
		memcpy(room, head, FIXED);
		if (path.n)
			memcpy(room + FIXED, path.p, path.n);
		out_done(c, FIXED + path.n, spilled);
	} else {
		out_put(c, head, sizeof(head));
		out_put(c, path.p, path.n);
	}
}

/* ---- from the leader ---- */

/** @return false: not yet, its transaction is not visible here. */
static bool on_reply(struct srv *s, const struct msg_reply *m, size_t n)
{
	struct srv_conn *c = srv_conn_of(s, m->h.conn);
	uint64_t zxid, ms = s->now_ns > m->since_ns ? (s->now_ns - m->since_ns) / 1000000 : 0;

	zk_assert(n >= sizeof(*m) && n - sizeof(*m) >= m->body_bytes);
	if (m->zxid > s->visible)
		return false;
	if (!c || c->state != CONN_LIVE || c->doomed || c->term != s->term) {
		s->n.stale_replies++;
		return true;
	}
	zk_assert(c->waiting > 0 && !c->job);
	c->waiting--;
	s->n.outstanding--;
	c->outstanding -= m->xid > 0 && c->outstanding;
	/* partner: loads in conn_limit.c, on every core */
	atomic_fetch_sub_explicit(&s->sh->limits.in_process, 1, memory_order_relaxed);
	if (c->large_bytes) {
		uint32_t large = limits_large(&s->sh->limit, m->request_bytes);

		zk_assert(large <= c->large_bytes);
		c->large_bytes -= large;
		limits_large_done(&s->sh->limits, large);
	}
	if (m->drop) { /* the session lives elsewhere now */
		c->detach = false;
		s->n.conns_dropped++;
		conn_finish(c);
		return true;
	}
	if (out_overrun(c))
		return true;
	fire_settle(c);
	/* zxids that a client sees never go back, whatever came first */
	zxid = m->zxid > c->event_zxid ? m->zxid : c->event_zxid;
	reply_send(c, m->xid, zxid, m->err, zk_span_of(m + 1, m->body_bytes));
	conn_answered_ms(c, m->xid, m->op, zxid, ZK_REPLY_HEADER_BYTES + m->body_bytes,
			 (uint32_t)ms);
	if (m->op != ZK_OP_SYNC && m->op != ZK_OP_GET_EPHEMERALS)
		zk_metric_add(&s->metric[SRV_METRIC_UPDATE], ms);
	else if (ms)
		zk_metric_add(&s->metric[SRV_METRIC_READ], ms);
	if (m->op == ZK_OP_CLOSE_SESSION) {
		c->detach = false;
		conn_finish(c);
	} else {
		conn_schedule(c);
	}
	return true;
}

static void on_kick(struct srv *s, const struct msg_session *m)
{
	struct srv_conn *c = srv_conn_of(s, m->h.conn);

	if (!c || c->session != m->session)
		return;
	c->detach = false; /* the leader knows */
	conn_finish(c);
}

/** @return false: take it again later. */
static bool on_message(struct srv *s, const struct msg *h, size_t n)
{
	const struct msg_gather *g = (const struct msg_gather *)(const void *)h;
	const struct msg_session *m = (const struct msg_session *)(const void *)h;
	struct srv_conn *c;

	switch (h->kind) {
	case MSG_REPLY:
		return on_reply(s, (const struct msg_reply *)(const void *)h, n);
	case MSG_SESSION_OPENED:
		zk_assert(n >= sizeof(*m));
		c = srv_conn_of(s, h->conn);
		if (c)
			conn_opened(c, m);
		return true;
	case MSG_KICK:
		zk_assert(n >= sizeof(*m));
		on_kick(s, m);
		return true;
	case MSG_ROLL:
		zk_assert(n >= sizeof(struct msg_roll));
		s->roll = ((const struct msg_roll *)(const void *)h)->number;
		s->roll_rounds = 0;
		return true;
	case MSG_GATHER:
		zk_assert(n >= sizeof(*g));
		words_gather(s, g);
		return true;
	case MSG_ROLE:
		zk_assert(n >= sizeof(struct msg_role));
		srv_role_take(s, (const struct msg_role *)(const void *)h);
		return true;
	default: /* nothing else comes from a leader */
		zk_assert(h->kind == MSG_GATHER_TEXT);
		zk_assert(n >= sizeof(*g) && n - sizeof(*g) >= g->text_bytes);
		words_text(s, g, zk_span_of(g + 1, g->text_bytes));
		return true;
	}
}

unsigned srv_messages(struct srv *s)
{
	struct zk_ring *r = s->conf.from_leader;
	unsigned work = 0;

	for (; work < SRV_MESSAGES_ROUND; work++) {
		size_t n;
		const void *rec = zk_ring_next(r, &n);

		if (!rec)
			break;
		zk_assert(n >= sizeof(struct msg));
		if (!on_message(s, rec, n)) {
			zk_ring_unget(r, rec);
			break;
		}
	}
	s->more |= work == SRV_MESSAGES_ROUND;
	if (work)
		zk_ring_release(r);
	return work;
}

/* ---- to the leader ---- */

void *srv_send(struct srv *s, enum msg_kind kind, size_t n, struct msg_conn conn)
{
	struct msg *h = zk_ring_reserve(s->conf.to_leader, n);

	if (!h)
		return NULL;
	memset(h, 0, n < 64 ? n : 64); /* the fixed part of every kind */
	h->kind = (uint16_t)kind;
	h->core = s->conf.core;
	h->conn = conn;
	h->term = s->term;
	return h;
}

/** Free the bodies that the leader has done with. */
static void lent_back(struct srv *s)
{
	while (s->lent_n) { /* bound: SRV_LENT_MAX */
		struct srv_lent *l = &s->lent[s->lent_first];

		if (!zk_ring_given_back(s->conf.to_leader, l->put))
			break;
		zk_mem_free(s->conf.mem, l->frame.p, l->frame.cap);
		s->lent_first = (s->lent_first + 1) % SRV_LENT_MAX;
		s->lent_n--;
	}
}

bool srv_lend_room(struct srv *s)
{
	lent_back(s);
	return s->lent_n < SRV_LENT_MAX;
}

void srv_lend(struct srv_conn *c)
{
	struct srv *s = c->s;

	zk_assert(s->lent_n < SRV_LENT_MAX);
	s->lent[(s->lent_first + s->lent_n++) % SRV_LENT_MAX] =
		(struct srv_lent){c->in, s->conf.to_leader->put};
	c->in = (struct conn_in){0};
	s->n.bodies_apart++;
}

void srv_lent_free(struct srv *s)
{
	for (; s->lent_n; s->lent_n--) {
		const struct conn_in *in = &s->lent[s->lent_first].frame;

		zk_mem_free(s->conf.mem, in->p, in->cap);
		s->lent_first = (s->lent_first + 1) % SRV_LENT_MAX;
	}
}

void srv_detach(struct srv_conn *c)
{
	struct srv *s = c->s;
	struct msg_session *m =
		srv_send(s, MSG_DETACH, sizeof(*m), (struct msg_conn){c->index, c->generation});

	zk_list_del(&c->link);
	if (!m) {
		s->n.ring_full++;
		zk_list_add_tail(&s->detach, &c->link);
		return;
	}
	m->session = c->session;
	zk_ring_commit(s->conf.to_leader, sizeof(*m));
	c->detach = false;
	if (c->state == CONN_GONE)
		srv_slot_give(c);
}

unsigned srv_drop_some(struct srv *s)
{
	unsigned budget = SRV_DROPS_ROUND;

	while (!zk_list_empty(&s->dropping) && budget > 0) {
		struct srv_conn *c = zk_container_of(s->dropping.next, struct srv_conn, link);

		if (!watch_drop(s->watch, c->index, &budget))
			break;
		zk_list_del(&c->link);
		c->dropping = false;
		if (c->detach)
			srv_detach(c);
		else if (c->state == CONN_GONE)
			srv_slot_give(c);
	}
	return SRV_DROPS_ROUND - budget;
}

unsigned srv_detach_retry(struct srv *s)
{
	unsigned work = 0;

	lent_back(s);
	while (!zk_list_empty(&s->detach)) { /* bound: the ring */
		uint64_t full = s->n.ring_full;

		srv_detach(zk_container_of(s->detach.next, struct srv_conn, link));
		if (s->n.ring_full != full)
			break;
		work++;
	}
	return work;
}

void srv_touch(struct srv_conn *c)
{
	struct srv *s = c->s;

	if (s->touch_n == s->conf.conns_max || c->local)
		return; /* slots changed hands faster than the flush: its next bytes touch it */
	s->touch[s->touch_n++] = c->session;
	c->touch_round = s->touch_round;
}

unsigned srv_touch_flush(struct srv *s)
{
	uint32_t done = 0;

	if (s->touch_n == 0 || (!s->roll && s->now_ns < s->touch_ns + SRV_TOUCH_NS))
		return 0;
	while (done < s->touch_n) {
		uint32_t k = s->touch_n - done;
		struct msg_touch *m;

		k = k < SRV_TOUCH_RECORD ? k : SRV_TOUCH_RECORD;
		m = zk_ring_reserve(s->conf.to_leader, sizeof(*m) + k * sizeof(m->session[0]));
		if (!m) {
			s->n.ring_full++;
			break;
		}
		*m = (struct msg_touch){.h = {.kind = MSG_TOUCH, .core = s->conf.core}, .n = k};
		memcpy(m->session, s->touch + done, k * sizeof(m->session[0]));
		done += k;
		if (done == s->touch_n)
			s->touch_through_ns = s->now_ns;
		m->through_ns = s->touch_through_ns;
		zk_ring_commit(s->conf.to_leader, sizeof(*m) + k * sizeof(m->session[0]));
	}
	s->touch_n -= done;
	memmove(s->touch, s->touch + done, s->touch_n * sizeof(*s->touch));
	if (s->touch_n == 0) {
		s->touch_ns = s->now_ns;
		s->touch_round++;
	}
	return done;
}

unsigned srv_roll_answer(struct srv *s)
{
	struct msg_roll *m;

	/* What the device held at the question is read in a round that begins after it, or, where
	 * every burst is a full one, in so many rounds as no device queue has bursts. */
	if (!s->roll || s->roll_rounds == 0 || (!s->heard && s->roll_rounds < SRV_ROLL_ROUNDS) ||
	    s->touch_n)
		return 0;
	m = srv_send(s, MSG_ROLL_ANSWER, sizeof(*m), (struct msg_conn){0, 0});
	if (!m) {
		s->n.ring_full++;
		return 0;
	}
	m->number = s->roll;
	m->hold_until_ns = s->hold_until_ns;
	zk_ring_commit(s->conf.to_leader, sizeof(*m));
	s->roll = 0;
	return 1;
}
