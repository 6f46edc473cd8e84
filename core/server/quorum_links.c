/* SPDX-License-Identifier: Apache-2.0 */
/* The learners' port: a leader's learners, a learner's leader. */
#include "core/server/quorum_int.h"
#include "core/txn/op.h"

enum {
	PACKETS_MAX = 64, /* of one link and round */
	ADDRESS_MAX = 300,
	DIAL_TIMEOUT_MS = 5000,
};

/* ---- a link's connection ---- */

void quorum_link_open(struct quorum *q, uint32_t link, struct quorum_conn *c)
{
	c->state = QUORUM_CONN_OPEN;
	c->link = link;
	q->link[link] = c;
	q->links |= UINT64_C(1) << link;
	q->generation[link]++;
}

struct quorum_conn *quorum_link_detach(struct quorum *q, uint32_t link)
{
	struct quorum_conn *c = q->link[link];

	q->link[link] = NULL;
	q->links &= ~(UINT64_C(1) << link);
	quorum_feed_cancel(q, link);
	quorum_snap_cancel(q, link);
	return c;
}

static uint32_t free_link(const struct quorum *q)
{
	for (uint32_t i = 0; i < ZAB_LINKS_MAX; i++)
		if (!q->link[i] && q->z.link[i].state == ZAB_LINK_NONE)
			return i;
	return UINT32_MAX;
}

static void tell_room(struct quorum *q, uint32_t link)
{
	zab_link_room(&q->z, link, quorum_conn_room(q, q->link[link]), q->now_ns);
	quorum_settle(q);
}

bool quorum_wants(const struct quorum *q, enum quorum_port port)
{
	return port == QUORUM_PORT_ELECTION ||
	       (q->started && !quorum_halted(q) && q->z.role == ZAB_LEADING);
}

struct quorum_conn *quorum_links_accepted(struct quorum *q, void *transport)
{
	struct quorum_conn *c;
	uint32_t link = free_link(q);

	if (!quorum_wants(q, QUORUM_PORT_LEARNERS) || link == UINT32_MAX)
		return NULL;
	c = quorum_conn_take(q, QUORUM_PORT_LEARNERS, link);
	if (!c)
		return NULL;
	c->accepted = true;
	c->transport = transport;
	quorum_link_open(q, link, c);
	if (!zab_link_up(&q->z, link, q->now_ns)) {
		(void)quorum_link_detach(q, link);
		quorum_conn_free(q, c);
		return NULL;
	}
	quorum_settle(q);
	if (q->link[link] == c)
		tell_room(q, link);
	return c;
}

/* zab has said what there was room for; it is told when there is much again. */
void quorum_links_room(struct quorum *q)
{
	size_t much = q->conf.net.send_bytes / 4;

	for (uint64_t left = q->links; left && !quorum_halted(q); left &= left - 1) {
		uint32_t i = (uint32_t)__builtin_ctzll(left);
		const struct quorum_conn *c = q->link[i];

		if (!c || c->broken || q->z.link[i].state == ZAB_LINK_NONE ||
		    q->z.link[i].room >= much || quorum_conn_room(q, c) < much)
			continue;
		tell_room(q, i);
		q->work++;
	}
}

/* ---- packets ---- */

/* Leader: what the machine is told before zab counts it as a sign of life. */
static enum zk_err for_machine(struct quorum *q, uint32_t link, const struct zab_packet *p)
{
	struct leader *l = q->bind.leader;

	if (q->z.role != ZAB_LEADING || q->z.phase != ZAB_PHASE_SERVING ||
	    q->z.link[link].state < ZAB_LINK_NEWLEADER)
		return ZK_EOK;
	switch (p->type) {
	case ZAB_REQUEST:
		return leader_remote(l, link, q->generation[link], p, q->now_ns, q->wall_ms);
	case ZAB_REVALIDATE:
		return leader_remote_revalidate(l, link, q->generation[link], p->data, q->now_ns);
	case ZAB_PING:
		return leader_remote_touch(l, p->data, q->now_ns);
	default:
		return ZK_EOK;
	}
}

/* A learner logs and applies what it is given: let it be a transaction. */
static bool sound(const struct quorum *q, const struct zab_packet *p)
{
	struct txn_record t;

	if (q->z.role == ZAB_LEADING || (p->type != ZAB_PROPOSAL && p->type != ZAB_INFORM))
		return true;
	return txn_read(p->data, &t) == ZK_EOK && t.header.zxid == p->zxid;
}

/* Request.logLatency(): since the leader made it, unless the clocks say that this is to come. */
static void latency(struct quorum *q, enum quorum_metric which, struct zk_span txn)
{
	struct jute_in in = jute_in_of(txn);
	struct txn_header h;

	txn_get_header(&in, &h); /* sound() has seen that there is one */
	if (q->wall_ms >= h.time_ms)
		quorum_measure(q, which, (uint64_t)(q->wall_ms - h.time_ms));
}

/* What Follower, Observer and LearnerHandler count in their loops, so not during a sync. */
static void count(struct quorum *q, const struct zab_packet *p)
{
	const struct history_entry *e;

	if (p->type == ZAB_REVALIDATE && q->z.role == ZAB_LEADING)
		q->revalidates++;
	if (q->z.phase != ZAB_PHASE_FOLLOWING)
		return;
	if (p->type == ZAB_PROPOSAL && q->z.role == ZAB_FOLLOWING) {
		q->learner_proposals++;
		latency(q, QUORUM_METRIC_PROPOSAL_LATENCY, p->data);
	} else if (p->type == ZAB_COMMIT && q->z.role == ZAB_FOLLOWING) {
		q->learner_commits++;
		e = history_after(&q->z.history, p->zxid - 1);
		if (e && e->zxid == p->zxid)
			latency(q, QUORUM_METRIC_COMMIT_PROPAGATION,
				history_bytes(&q->z.history, e));
	} else if (p->type == ZAB_INFORM && q->z.role == ZAB_OBSERVING) {
		q->learner_commits++;
		latency(q, QUORUM_METRIC_COMMIT_PROPAGATION, p->data);
	}
}

/* No learner and no leader begins with anything else, so four bytes are enough to tell. */
static bool strange(const struct quorum *q, const struct quorum_conn *c)
{
	uint32_t type;

	if (q->z.link[c->link].state != ZAB_LINK_NEW || q->z.role != ZAB_LEADING || c->in.n < 4)
		return false;
	type = zk_get32(c->in.p);
	return type != ZAB_FOLLOWERINFO && type != ZAB_OBSERVERINFO;
}

static void refuse(struct quorum *q, struct quorum_conn *c)
{
	q->refused++;
	quorum_conn_break(q, c);
}

/* The other side lives, though zab gets no packet of it now. A stranger's first packet has its time
 * all the same. */
static void heard(struct quorum *q, struct quorum_conn *c)
{
	if (q->z.role == ZAB_LEADING && q->z.link[c->link].state == ZAB_LINK_NEW)
		return;
	zab_link_heard(&q->z, c->link, q->now_ns);
	quorum_settle(q);
}

static void to_zab(struct quorum *q, struct quorum_conn *c, const struct zab_packet *p)
{
	const struct zab_counters *n = &q->z.count;
	uint64_t bad = n->bad_packets + n->refused_links;
	int64_t sid = q->z.link[c->link].sid;
	int32_t type = p->type;

	zab_packet(&q->z, c->link, p, q->now_ns);
	quorum_settle(q);
	if (n->bad_packets + n->refused_links != bad)
		quorum_say(q, "quorum port: %s of server %lld refused, closed", zab_type_name(type),
			   (long long)sid);
}

static void senseless(struct quorum *q, struct quorum_conn *c, const struct zab_packet *p)
{
	quorum_say(q, "quorum port: %s that makes no sense, closed", zab_type_name(p->type));
	refuse(q, c);
}

/* What the machine takes in the order it came. */
static bool for_turn(const struct zab_packet *p)
{
	return p->type == ZAB_REQUEST || p->type == ZAB_REVALIDATE;
}

/* The machine has no room, which the ACKs behind this request may make: LearnerHandler.run() never
 * waits either. @return false: too much is aside already. */
static bool step_aside(struct quorum *q, struct quorum_conn *c, const struct zab_packet *p)
{
	struct quorum_bytes *b = &c->aside;
	size_t n = zab_packet_bytes(p);
	struct jute_out out;

	if (b->n - b->at + n > q->conf.request_bytes || !quorum_bytes_more(q, b, n, SIZE_MAX))
		return false;
	q->aside += b->n == 0;
	q->set_aside++;
	out = jute_out_of(b->p + b->n, n);
	zab_packet_put(&out, p);
	zk_assert(!out.full);
	b->n += jute_out_len(&out);
	return true;
}

/* The machine may have room again for what is aside. */
static void take_turns(struct quorum *q, struct quorum_conn *c)
{
	struct quorum_bytes *b = &c->aside;
	struct zab_packet p;
	size_t used;

	while (b->at < b->n) {
		enum zk_err err = zab_packet_get(zk_span_of(b->p + b->at, b->n - b->at),
						 q->conf.zab.data_max, &p, &used);

		zk_assert(err == ZK_EOK); /* it has been read once */
		err = for_machine(q, c->link, &p);
		if (err == ZK_EAGAIN)
			return;
		if (err != ZK_EOK) {
			senseless(q, c, &p);
			return;
		}
		q->work++;
		b->at += used;
	}
	quorum_bytes_clear(q, b);
	q->aside--;
}

/* One packet. @return false: no more now. */
static bool read_one(struct quorum *q, struct quorum_conn *c)
{
	bool first = q->z.link[c->link].state == ZAB_LINK_NEW && q->z.role == ZAB_LEADING;
	uint32_t data_max = first ? QUORUM_FIRST_MAX : q->conf.zab.data_max;
	struct zab_packet p;
	enum zk_err err;
	size_t used;

	err = quorum_conn_packet(q, c, data_max, &p, &used);
	if (err == ZK_EAGAIN && !strange(q, c)) {
		quorum_conn_again(q, c, false);
		heard(q, c);
		return false;
	}
	if (err != ZK_EOK) {
		quorum_say(q, "quorum port: %s, closed",
			   err == ZK_ENOMEM ? "no memory for a packet"
			   : first          ? "no learner's first bytes"
					    : "a length that cannot be");
		refuse(q, c);
		return false;
	}
	if (!sound(q, &p))
		err = ZK_EINVAL;
	else
		err = c->aside.n && for_turn(&p) ? ZK_EAGAIN : for_machine(q, c->link, &p);
	if (err == ZK_EAGAIN && for_turn(&p) && step_aside(q, c, &p))
		err = ZK_EOK;
	c->stuck = err == ZK_EAGAIN;
	if (c->stuck) {
		heard(q, c);
		return false;
	}
	if (err != ZK_EOK) {
		senseless(q, c, &p);
		return false;
	}
	q->work++;
	count(q, &p);
	to_zab(q, c, &p);
	if (c->state == QUORUM_CONN_OPEN)
		quorum_conn_taken(q, c, used);
	return true;
}

static void read_link(struct quorum *q, struct quorum_conn *c)
{
	quorum_reading(q, c);
	for (unsigned n = 0; n < PACKETS_MAX; n++)
		if (c->state != QUORUM_CONN_OPEN || c->broken || quorum_halted(q) ||
		    !zab_link_reads(&q->z, c->link) || !read_one(q, c))
			break;
	quorum_read(q);
	quorum_settle(q);
}

void quorum_links_input(struct quorum *q)
{
	for (unsigned i = 0; i < QUORUM_CONNS_MAX && (q->again || q->aside); i++) {
		struct quorum_conn *c = &q->conn[i];

		if (c->aside.n && !c->broken && !quorum_halted(q)) {
			take_turns(q, c);
			quorum_settle(q);
		}
		if (c->again && !quorum_halted(q))
			read_link(q, c);
	}
}

/* ---- dialling the leader ---- */

/* @return false: there is no such address, or it cannot be tried. */
static bool try_address(struct quorum *q, const struct zab_server *s, unsigned i)
{
	char text[ADDRESS_MAX];
	size_t n = zab_address_text(q->conf.zab.now, &s->address[i], s->address[i].port, text,
				    sizeof(text));
	struct quorum_conn *c;

	c = n ? quorum_conn_take(q, QUORUM_PORT_LEARNERS, ZAB_LINK_LEADER) : NULL;
	if (!c)
		return false;
	c->state = QUORUM_CONN_DIALLING;
	if (!q->conf.net.dial(q->conf.net.ctx, c, zk_span_of(text, n))) {
		quorum_conn_free(q, c);
		return false;
	}
	q->dial.conn = c;
	q->dial.until_ns = q->now_ns + (uint64_t)(q->conf.cnx_timeout_ms ? q->conf.cnx_timeout_ms
									 : DIAL_TIMEOUT_MS) *
					       1000000;
	return true;
}

void quorum_dial_cancel(struct quorum *q)
{
	if (q->dial.conn)
		quorum_conn_end(q, q->dial.conn, QUORUM_END_ABORT);
	q->dial = (struct quorum_dial){0};
}

void quorum_dial_next(struct quorum *q)
{
	int at = zab_members_find(q->conf.zab.now, q->dial.sid);
	const struct zab_server *s = at >= 0 ? &q->conf.zab.now->server[at] : NULL;

	q->dial.conn = NULL;
	while (s && q->dial.address < s->addresses)
		if (try_address(q, s, q->dial.address++))
			return;
	q->dial.failed = true;
}

void quorum_dial_begin(struct quorum *q, int64_t sid)
{
	quorum_dial_cancel(q);
	q->dial.sid = sid;
	quorum_dial_next(q);
}

void quorum_dial_tick(struct quorum *q)
{
	if (!q->dial.conn || q->now_ns < q->dial.until_ns)
		return;
	quorum_conn_end(q, q->dial.conn, QUORUM_END_ABORT);
	quorum_dial_next(q);
	quorum_settle(q);
}
