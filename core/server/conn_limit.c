/* SPDX-License-Identifier: Apache-2.0 */
/* Limits on requests and ConnectRequests (ZooKeeperServer.shouldThrottle,
 * checkRequestSizeWhenReceivingMessage, RequestThrottler, BlueThrottle).
 *
 * Apache's request throttle is a queue that all requests pass. Here a request waits in the
 * transport, its parser stopped: the connections stand in line in s->parked, and one request of the
 * first goes on when there is room. Reads never enter the pipeline; they wait only behind what
 * their own connection has sent before. */
#include "core/server/srv_int.h"

#define LIMIT_LOOK_NS UINT64_C(1000000) /* other cores' replies make room, too */

static int64_t in_process(const struct srv *s)
{
	/* partner: the adds and subs of all cores; only a limit */
	return atomic_load_explicit(&s->sh->limits.in_process, memory_order_relaxed);
}

/* ---- globalOutstandingLimit ---- */

bool limit_outstanding(struct srv_conn *c)
{
	struct srv *s = c->s;

	if (zk_likely(in_process(s) <= s->sh->limit.outstanding))
		return false;
	s->n.throttled++; /* the reply to what is outstanding resumes the parser */
	return true;
}

/* ---- large requests ---- */

void limit_large_close(struct srv_conn *c)
{
	c->s->n.large_refused++;
	c->s->n.conns_dropped++;
	conn_finish(c);
}

bool limit_length(struct srv_conn *c, uint32_t n)
{
	const struct srv_shared *sh = c->s->sh;

	if (zk_likely(!limits_large_refused(&sh->limits, &sh->limit, limits_large(&sh->limit, n))))
		return true;
	limit_large_close(c);
	return false;
}

/* ---- the request throttle ---- */

/** Request.isStale() */
static bool stale(const struct srv_conn *c, const struct read_req *q)
{
	const struct limits_conf *l = &c->s->sh->limit;

	if (q->op == ZK_OP_CLOSE_SESSION)
		return false;
	if (l->stale_connection && c->peer_fin)
		return true;
	return l->stale_latency && conn_waited_ns(c) / 1000000 > (uint64_t)c->timeout_ms;
}

static void park(struct srv_conn *c)
{
	struct srv *s = c->s;

	if (!c->was_parked)
		c->parked_ns = s->now_ns;
	c->was_parked = true;
	s->n.parked++;
	if (c->parked)
		return; /* keeps its place */
	zk_list_del(&c->link);
	zk_list_add_tail(&s->parked, &c->link);
	c->parked = true;
	s->parked_n++;
}

/** RequestThrottler.shouldThrottleOp(): too late to be of use. */
static bool too_late(const struct srv_conn *c, const struct read_req *q, uint64_t waited_ns)
{
	uint32_t ms = c->s->sh->limit.op_wait_ms;

	return ms && waited_ns / 1000000 > ms && q->op != ZK_OP_PING &&
	       q->op != ZK_OP_CLOSE_SESSION;
}

static enum limit_verdict request_throttle(struct srv_conn *c, const struct read_req *q,
					   bool leader)
{
	struct srv *s = c->s;
	const struct limits_conf *l = &s->sh->limit;
	uint64_t waited = c->was_parked ? s->now_ns - c->parked_ns : 0;
	bool old = stale(c, q);

	if (l->requests_max) {
		if (old && l->drop_stale) {
			s->n.stale_dropped++;
			s->n.conns_dropped++;
			conn_finish(c);
			return LIMIT_DONE;
		}
		if (leader &&
		    (in_process(s) >= (int64_t)l->requests_max || (s->parked_n && !s->turn))) {
			park(c);
			return LIMIT_STOP;
		}
	}
	if (too_late(c, q, waited)) {
		if (c->waiting) /* in its place; the reply resumes the parser */
			return LIMIT_STOP;
		s->n.throttled_ops++;
		reply_send(c, q->xid, s->visible, ZK_THROTTLEDOP, (struct zk_span){NULL, 0});
		conn_answered(c, q->xid, 0, s->visible, ZK_REPLY_HEADER_BYTES);
	} else if (leader) {
		s->turn = false;
	}
	s->n.stale_requests += old;
	if (l->requests_max)
		zk_metric_add(&s->metric[SRV_METRIC_PARKED], waited / 1000000);
	return too_late(c, q, waited) ? LIMIT_DONE : LIMIT_PASS;
}

enum limit_verdict limit_request(struct srv_conn *c, const struct read_req *q, uint32_t n,
				 bool piped, bool leader)
{
	if (!limit_length(c, n))
		return LIMIT_DONE;
	return piped ? request_throttle(c, q, leader) : LIMIT_PASS;
}

unsigned limit_unpark(struct srv *s)
{
	uint32_t turns = s->parked_n, done = 0;

	for (; done < turns && s->parked_n; done++) { /* bound: connections */
		struct srv_conn *c = zk_container_of(s->parked.next, struct srv_conn, link);

		if (in_process(s) >= (int64_t)s->sh->limit.requests_max)
			break;
		zk_list_del(&c->link);
		c->parked = false;
		s->parked_n--;
		s->turn = true;
		conn_run(c);
		s->turn = false;
	}
	return done;
}

uint64_t limit_next_ns(const struct srv *s)
{
	uint64_t stall = (uint64_t)s->sh->limit.stall_ms * 1000000;

	return s->now_ns + (stall && stall < LIMIT_LOOK_NS ? stall : LIMIT_LOOK_NS);
}

/* ---- the connection throttle ---- */

bool limit_connect(struct srv_conn *c, bool renew)
{
	struct srv *s = c->s;
	const struct throttle_conf *conf = &s->sh->limit.connect;
	uint32_t need = !conf->weighed ? 1 : renew ? conf->renew_weight : conf->global_weight;
	uint64_t seed[2] = {s->now_ns ^ (uint64_t)s->conf.core << 56, c->generation ^ c->index};

	if (!throttle_take(&s->sh->limits.throttle, conf, need, s->now_ns / 1000000,
			   zk_hash13(&s->conf.key, seed, sizeof(seed)))) {
		s->n.conns_throttled++;
		s->n.conns_refused++;
		conn_finish(c);
		return false;
	}
	zk_metric_add(&s->metric[SRV_METRIC_DEFICIT], throttle_deficit(&s->sh->limits.throttle));
	return true;
}
