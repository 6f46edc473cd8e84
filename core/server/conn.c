/* SPDX-License-Identifier: Apache-2.0 */
/* A connection: who serves its requests, how it ends. */
#include "core/server/srv_int.h"

/* ---- scheduling and the end ---- */

static void link_to(struct srv_conn *c, struct zk_list *l)
{
	zk_list_del(&c->link);
	zk_list_add_tail(l, &c->link);
}

void conn_schedule(struct srv_conn *c)
{
	if (!conn_over(c) && !c->parked)
		link_to(c, &c->s->run);
}

void conn_gate(struct srv_conn *c)
{
	if (!conn_over(c) && !c->parked)
		link_to(c, &c->s->gated);
}

static void conn_stall(struct srv_conn *c)
{
	if (!conn_over(c))
		link_to(c, &c->s->stalled);
}

void conn_in_free(struct srv_conn *c)
{
	zk_mem_free(c->s->conf.mem, c->in.p, c->in.cap);
	c->in = (struct conn_in){0};
}

/** What every end has in common. */
static void conn_stop(struct srv_conn *c)
{
	unsigned budget = SRV_DROPS_ROUND / 16;
	struct srv *s = c->s;

	zk_list_del(&c->link);
	s->parked_n -= c->parked;
	c->parked = false;
	read_job_drop(c);
	if (c->waiting)
		/* partner: relaxed reads of the other cores' parsers; only a limit */
		atomic_fetch_sub_explicit(&s->sh->limits.in_process, c->waiting,
					  memory_order_relaxed);
	if (c->large_bytes)
		limits_large_done(&s->sh->limits, c->large_bytes);
	c->large_bytes = 0;
	s->n.local_sessions -= c->local;
	c->local = false;
	s->n.outstanding -= c->waiting;
	c->outstanding = 0;
	c->waiting = 0;
	c->doomed = false;
	conn_in_free(c);
	c->dropping = !watch_drop(s->watch, c->index, &budget);
	if (c->dropping) /* a few in each round; what else is owed comes behind */
		zk_list_add_tail(&s->dropping, &c->link);
	else if (c->detach)
		srv_detach(c);
}

void conn_finish(struct srv_conn *c)
{
	if (conn_over(c))
		return;
	conn_stop(c);
	c->state = CONN_CLOSING;
	/* unread bytes would turn the FIN into a RST and cost the peer our last words */
	c->s->io.read_done(c->t, c->s->io.readable(c->t));
	if (out_drain(c)) {
		c->state = CONN_DOWN;
		c->s->io.shutdown(c->t);
	}
}

void conn_drop(struct srv_conn *c)
{
	if (conn_over(c))
		return;
	conn_stop(c);
	out_free(c);
	c->state = CONN_DOWN;
	c->s->n.conns_dropped++;
	c->s->io.read_done(c->t, c->s->io.readable(c->t));
	c->s->io.shutdown(c->t);
}

void conn_abort(struct srv_conn *c)
{
	if (c->state >= CONN_DOWN)
		return;
	conn_stop(c);
	out_free(c);
	c->state = CONN_DOWN;
	c->s->n.conns_dropped++;
	c->s->io.abort(c->t);
}

void conn_forget(struct srv_conn *c)
{
	if (c->state < CONN_CLOSING)
		conn_stop(c);
	out_free(c);
	c->state = CONN_DOWN;
}

void conn_doom(struct srv_conn *c)
{
	if (c->doomed || c->state >= CONN_DOWN)
		return;
	link_to(c, &c->s->doomed);
	c->s->parked_n -= c->parked;
	c->parked = false;
	c->doomed = true;
}

void conn_malformed(struct srv_conn *c)
{
	c->s->n.conns_malformed++;
	c->s->n.conns_dropped++;
	conn_finish(c);
}

/* ---- requests ---- */

enum op_class {
	OP_UNKNOWN, /* -6 and close */
	OP_READ,    /* read_serve() */
	OP_WRITE,   /* to the leader, and reads that only it can answer */
	OP_PING,
	OP_AUTH,
	OP_SASL,
};

static enum op_class op_class(int32_t op)
{
	static const uint8_t low[ZK_OP_MULTI_READ + 1] = {
		[ZK_OP_CREATE] = OP_WRITE,
		[ZK_OP_DELETE] = OP_WRITE,
		[ZK_OP_EXISTS] = OP_READ,
		[ZK_OP_GET_DATA] = OP_READ,
		[ZK_OP_SET_DATA] = OP_WRITE,
		[ZK_OP_GET_ACL] = OP_READ,
		[ZK_OP_SET_ACL] = OP_WRITE,
		[ZK_OP_GET_CHILDREN] = OP_READ,
		[ZK_OP_SYNC] = OP_WRITE,
		[ZK_OP_PING] = OP_PING,
		[ZK_OP_GET_CHILDREN2] = OP_READ,
		[ZK_OP_MULTI] = OP_WRITE,
		[ZK_OP_CREATE2] = OP_WRITE,
		[ZK_OP_RECONFIG] = OP_WRITE,
		[ZK_OP_CHECK_WATCHES] = OP_READ,
		[ZK_OP_REMOVE_WATCHES] = OP_READ,
		[ZK_OP_CREATE_CONTAINER] = OP_WRITE,
		[ZK_OP_CREATE_TTL] = OP_WRITE,
		[ZK_OP_MULTI_READ] = OP_READ,
	};
	static const uint8_t high[ZK_OP_WHO_AM_I - ZK_OP_AUTH + 1] = {
		[0] = OP_AUTH,
		[ZK_OP_SET_WATCHES - ZK_OP_AUTH] = OP_READ,
		[ZK_OP_SASL - ZK_OP_AUTH] = OP_SASL,
		[ZK_OP_GET_EPHEMERALS - ZK_OP_AUTH] = OP_WRITE,
		[ZK_OP_GET_ALL_CHILDREN_NUMBER - ZK_OP_AUTH] = OP_READ,
		[ZK_OP_SET_WATCHES2 - ZK_OP_AUTH] = OP_READ,
		[ZK_OP_ADD_WATCH - ZK_OP_AUTH] = OP_READ,
		[ZK_OP_WHO_AM_I - ZK_OP_AUTH] = OP_READ,
	};

	if (op >= 0 && op <= ZK_OP_MULTI_READ)
		return (enum op_class)low[op];
	if (op >= ZK_OP_AUTH && op <= ZK_OP_WHO_AM_I)
		return (enum op_class)high[op - ZK_OP_AUTH];
	return op == ZK_OP_CLOSE_SESSION ? OP_WRITE : OP_UNKNOWN;
}

/** A write: onto the ring as it is. */
static enum conn_take conn_submit(struct srv_conn *c, const struct read_req *q)
{
	struct srv *s = c->s;
	uint32_t body = (uint32_t)jute_left(&q->in), large = limits_large(&s->sh->limit, body);
	struct msg_request *m = NULL;
	/* a long one stays where it was collected */
	bool apart = body > SRV_BODY_APART && c->in.n;
	size_t bytes = sizeof(*m) + c->ids_n + (apart ? 0 : body);

	if (!apart || srv_lend_room(s))
		m = srv_send(s, MSG_REQUEST, bytes, (struct msg_conn){c->index, c->generation});
	if (!m) {
		s->n.ring_full++;
		conn_stall(c);
		return CONN_STOP;
	}
	if (!limits_large_take(&s->sh->limits, &s->sh->limit, large)) {
		limit_large_close(c); /* what was reserved is not committed */
		return CONN_TAKEN;
	}
	m->xid = q->xid;
	m->op = q->op;
	m->session = c->session;
	m->received_ns = s->now_ns;
	m->since_ns = s->now_ns - conn_waited_ns(c);
	m->ids_bytes = c->ids_n;
	m->body_bytes = body;
	memcpy(m + 1, c->ids, c->ids_n);
	if (apart)
		m->body_apart = q->in.p;
	else if (body)
		memcpy((uint8_t *)(m + 1) + c->ids_n, q->in.p, body);
	zk_ring_commit(s->conf.to_leader, bytes);
	if (apart)
		srv_lend(c);
	c->waiting++;
	s->n.outstanding++;
	c->large_bytes += large;
	c->outstanding += q->xid > 0;
	/* partner: loads in conn_limit.c, on every core */
	atomic_fetch_add_explicit(&s->sh->limits.in_process, 1, memory_order_relaxed);
	c->closing = q->op == ZK_OP_CLOSE_SESSION;
	return CONN_TAKEN;
}

/** auth packets are not part of the pipeline and may overtake writes in flight. */
static void conn_auth(struct srv_conn *c, struct read_req *q)
{
	struct srv *s = c->s;
	uint8_t ids[AUTH_IDS_BYTES_MAX], *copy;
	struct zk_span scheme, data;
	size_t n = c->ids_n;
	enum zk_err err;

	(void)jute_i32(&q->in);
	scheme = jute_bytes(&q->in);
	data = jute_bytes(&q->in);
	if (q->in.bad) {
		conn_malformed(c);
		return;
	}
	memcpy(ids, c->ids, n);
	err = auth_add(&s->sh->auth, scheme, data, ids, &n);
	if (err == ZK_EOK && n != c->ids_n) {
		zk_assert(n <= AUTH_IDS_BYTES_MAX);
		copy = zk_mem_alloc(s->conf.mem, n);
		if (!copy) {
			s->n.memory_refused++;
			conn_doom(c);
			return;
		}
		memcpy(copy, ids, n);
		zk_mem_free(s->conf.mem, c->ids, c->ids_n);
		c->ids = copy;
		c->ids_n = (uint16_t)n;
	}
	reply_send(c, q->xid, 0, err == ZK_EOK ? ZK_EOK : ZK_AUTHFAILED, (struct zk_span){NULL, 0});
	s->n.packets_sent++;
	c->sent++;
	if (err != ZK_EOK) {
		s->n.auth_failed++;
		conn_finish(c);
	}
}

static enum conn_take conn_dispatch(struct srv_conn *c, struct read_req *q, enum op_class class)
{
	struct srv *s = c->s;

	switch (class) {
	case OP_WRITE:
		if (zk_unlikely(s->role == ROLE_READONLY))
			readonly_refuse(c, q);
		else
			return conn_submit(c, q);
		break;
	case OP_READ:
		if (read_serve(c, q) == CONN_STOP) { /* no pin to be had now */
			conn_stall(c);
			return CONN_STOP;
		}
		break;
	case OP_PING:
		reply_send(c, ZK_XID_PING, s->visible, ZK_EOK, (struct zk_span){NULL, 0});
		conn_answered(c, ZK_XID_PING, q->op, s->visible, ZK_REPLY_HEADER_BYTES);
		break;
	case OP_AUTH:
		conn_auth(c, q);
		break;
	case OP_SASL:
		/* no SASL server is configured: a null token */
		reply_send(c, q->xid, 0, ZK_EOK, zk_span_of("\xff\xff\xff\xff", 4));
		conn_answered(c, q->xid, q->op, s->visible, ZK_REPLY_HEADER_BYTES + 4);
		break;
	case OP_UNKNOWN:
		if (s->role == ROLE_READONLY &&
		    (q->op == ZK_OP_CHECK || q->op == ZK_OP_DELETE_CONTAINER)) {
			readonly_refuse(c, q);
			break;
		}
		reply_send(c, q->xid, UINT64_MAX, ZK_UNIMPLEMENTED, (struct zk_span){NULL, 0});
		s->n.packets_sent++;
		conn_finish(c);
		break;
	}
	return CONN_TAKEN;
}

/** Does the request set a watch? Those that may have a flag for it have it as their last byte. */
static bool wants_watch(int32_t op, struct zk_span f)
{
	switch (op) {
	case ZK_OP_EXISTS:
	case ZK_OP_GET_DATA:
	case ZK_OP_GET_CHILDREN:
	case ZK_OP_GET_CHILDREN2:
		return f.p[f.n - 1] != 0;
	case ZK_OP_SET_WATCHES:
	case ZK_OP_SET_WATCHES2:
	case ZK_OP_ADD_WATCH:
		return true;
	default:
		return false;
	}
}

/** One complete frame of a live connection. */
static enum conn_take conn_serve(struct srv_conn *c, struct zk_span f, const uint64_t *hash)
{
	enum limit_verdict verdict = LIMIT_PASS;
	struct srv *s = c->s;
	struct read_req q;
	enum op_class class;

	if (zk_unlikely(f.n < 8)) {
		conn_malformed(c);
		return CONN_TAKEN;
	}
	q.xid = (int32_t)zk_get32(f.p);
	q.op = (int32_t)zk_get32(f.p + 4);
	q.hashed = hash != NULL;
	q.hash = hash ? *hash : 0;
	q.in = (struct jute_in){f.p + 8, f.p + f.n, false};
	class = op_class(q.op);
	fire_settle(c);
	if (zk_unlikely(c->doomed))
		return CONN_STOP;
	if (zk_unlikely(s->midway) && (c->event_zxid > s->visible || wants_watch(q.op, f))) {
		conn_gate(c);
		return CONN_STOP;
	}
	if (c->waiting && class != OP_WRITE && class != OP_AUTH) {
		s->n.behind_write++; /* the reply resumes the parser */
		return CONN_STOP;
	}
	if (c->outstanding && limit_outstanding(c))
		return CONN_STOP;
	if (zk_unlikely(s->limited || c->peer_fin))
		verdict = limit_request(c, &q, (uint32_t)f.n, class != OP_AUTH && class != OP_SASL,
					class == OP_WRITE);
	if (verdict == LIMIT_STOP ||
	    (verdict == LIMIT_PASS && conn_dispatch(c, &q, class) == CONN_STOP))
		return CONN_STOP;
	c->received++;
	s->n.packets_received++;
	s->n.bytes_received += f.n;
	return CONN_TAKEN;
}

enum conn_take conn_frame(struct srv_conn *c, struct zk_span f, const uint64_t *hash)
{
	enum conn_take took;

	if (zk_likely(c->state == CONN_LIVE)) {
		took = conn_serve(c, f, hash);
	} else {
		took = conn_hello(c, f);
		if (took == CONN_TAKEN) {
			c->received++;
			c->s->n.packets_received++;
			c->s->n.bytes_received += f.n;
		}
	}
	if (zk_unlikely(took == CONN_STOP)) {
		c->stopped = true;
	} else if (zk_unlikely(c->stop_left)) {
		uint32_t n = (uint32_t)f.n + 4;

		c->stop_left -= n < c->stop_left ? n : c->stop_left;
		c->was_parked &= c->stop_left != 0;
	}
	return took;
}
