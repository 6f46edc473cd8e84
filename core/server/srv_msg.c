/* SPDX-License-Identifier: Apache-2.0 */
/* What the leader core sends (ring and change log), and what goes to it. */
#include "core/server/srv_int.h"

static unsigned srv_messages(struct srv *s);

/* ---- change log: watches fire, then visible moves ---- */

struct fire {
	struct srv *s;
	uint64_t zxid;
	const struct acl_list *acl; /* READ on it lets the event through; NULL: no check */
};

static void fire_one(void *ctx, uint32_t conn, enum zk_event event, struct zk_span path)
{
	const struct fire *f = ctx;
	struct srv_conn *c = srv_slot(f->s, conn);

	zk_assert(c->state == CONN_LIVE);
	if (c->doomed || out_overrun(c))
		return;
	if (f->acl && !f->acl->open_all && !read_allowed(c, f->acl, ZK_PERM_READ)) {
		f->s->n.events_hidden++;
		return;
	}
	event_send(c, f->zxid, event, path);
}

static struct zk_span parent_of(struct zk_span path)
{
	size_t n = path.n;

	while (n > 1 && path.p[n - 1] != '/')
		n--;
	return (struct zk_span){path.p, n > 1 ? n - 1 : n};
}

/** One event for who watches @p path; as WatchManager.triggerWatch() counts it. */
static void fire_event(struct srv *s, struct zk_span path, enum zk_event ev, enum srv_metric which,
		       struct fire *f)
{
	uint32_t n = watch_fire(s->watch, path, ev, fire_one, f);

	if (n)
		zk_metric_add(&s->metric[which], n);
}

/** The triggers of one change, in Apache's order (spec/semantics.md section 11). */
static void fire_change(struct srv *s, const struct tree_change *ch)
{
	struct fire f = {s, ch->zxid, ch->acl};
	struct zk_span path = tree_path(ch->node);

	switch (ch->kind) {
	case TREE_CHANGE_CREATED:
		fire_event(s, path, ZK_EV_CREATED, SRV_METRIC_CREATED, &f);
		break;
	case TREE_CHANGE_DELETED:
		fire_event(s, path, ZK_EV_DELETED, SRV_METRIC_DELETED, &f);
		break;
	case TREE_CHANGE_DATA:
		fire_event(s, path, ZK_EV_DATA, SRV_METRIC_CHANGED, &f);
		return;
	case TREE_CHANGE_END:
		return;
	}
	if (path.n <= 1)
		return;
	f.acl = ch->parent_acl;
	fire_event(s, parent_of(path), ZK_EV_CHILDREN, SRV_METRIC_CHILDREN, &f);
}

/** Consume one transaction, whose first record is @p ch. Returns records. */
static unsigned consume_txn(struct srv *s, struct tree_change *ch)
{
	unsigned n = 1;

	/* bound: the transaction; the log publishes whole ones */
	for (; ch->kind != TREE_CHANGE_END; n++) {
		fire_change(s, ch);
		zk_assert(tree_change_next(s->reader, ch));
	}
	tree_reader_advance(s->reader, ch->zxid);
	s->visible = ch->zxid;
	return n;
}

unsigned srv_consume(struct srv *s)
{
	unsigned work = 0, changes = 0;

	/* In the order of zxids: the replies that lie before a transaction leave before its events.
	 * The leader puts the replies up to Z on the ring before it publishes what follows Z, so
	 * the ring is looked at between taking a transaction and firing it. */
	while (changes < SRV_CHANGES_ROUND) {
		struct tree_change ch;
		bool any = tree_change_next(s->reader, &ch);

		work += srv_messages(s);
		if (!any)
			return work + changes;
		changes += consume_txn(s, &ch);
	}
	s->more = true;
	return work + changes;
}

void srv_catch_up(struct srv *s, uint64_t zxid)
{
	uint64_t before;

	do {
		before = s->visible;
		if ((int64_t)zxid > (int64_t)before)
			(void)srv_consume(s);
	} while (s->visible != before);
}

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
	if (c->job) {
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
	if (!c || c->state != CONN_LIVE || c->doomed) {
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
	case MSG_GATHER:
		zk_assert(n >= sizeof(*g));
		words_gather(s, g);
		return true;
	default: /* nothing else comes from a leader */
		zk_assert(h->kind == MSG_GATHER_TEXT);
		zk_assert(n >= sizeof(*g) && n - sizeof(*g) >= g->text_bytes);
		words_text(s, g, zk_span_of(g + 1, g->text_bytes));
		return true;
	}
}

/** Everything that may be delivered at this core's visible. */
static unsigned srv_messages(struct srv *s)
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
	return h;
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

unsigned srv_detach_retry(struct srv *s)
{
	unsigned work = 0;

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

	if (s->touch_n == s->conf.conns_max)
		return; /* slots changed hands faster than the flush: its next bytes touch it */
	s->touch[s->touch_n++] = c->session;
	c->touch_round = s->touch_round;
}

unsigned srv_touch_flush(struct srv *s)
{
	uint32_t done = 0;

	if (s->touch_n == 0 || s->now_ns < s->touch_ns + SRV_TOUCH_NS)
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
