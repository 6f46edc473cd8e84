/* SPDX-License-Identifier: Apache-2.0 */
/* A server that knows nothing: each request gets a reply of the right size with the right xid. What
 * it reaches is what the stack allows, and so the yardstick beside zokord's figures. */
#include "bench/modes.h"

#include "bench/zkmsg.h"
#include "core/base/endian.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNS_MAX = 4096, ROUND_CONNS_MAX = 1024 };

struct null_conn {
	bool used, greeted, dead;
};

struct null_server {
	struct bench_stack *s;
	struct null_conn conn[CONNS_MAX];
	int64_t zxid;
	int64_t sessions;
};

static size_t greeting(struct null_server *n, uint8_t *p)
{
	zk_put32(p, ZKMSG_CONNECT_REPLY_BYTES);
	zk_put32(p + 4, 0);
	zk_put32(p + 8, 30000);
	zk_put64(p + 12, (uint64_t)++n->sessions);
	zk_put32(p + 20, 16);
	memset(p + 24, 1, 16);
	p[40] = 0;
	return 4 + ZKMSG_CONNECT_REPLY_BYTES;
}

/* Bytes behind the reply header. */
static size_t body_bytes(int32_t op, const uint8_t *body, size_t n)
{
	switch (op) {
	case ZKMSG_GET_DATA:
		return 4 + ZKMSG_DATA_BYTES + ZKMSG_STAT_BYTES;
	case ZKMSG_EXISTS:
	case ZKMSG_SET_DATA:
		return ZKMSG_STAT_BYTES;
	case ZKMSG_CREATE:
		return n >= 4 && zk_get32(body) <= n - 4 ? 4 + zk_get32(body) : 0;
	default:
		return 0;
	}
}

static void body_fill(int32_t op, const uint8_t *request, uint8_t *p, size_t n)
{
	if (op == ZKMSG_CREATE) {
		memcpy(p, request, n);
		return;
	}
	memset(p, 0, n);
	if (op == ZKMSG_GET_DATA) {
		zk_put32(p, ZKMSG_DATA_BYTES);
		memset(p + 4, 'z', ZKMSG_DATA_BYTES);
	}
}

/* @return false when the reply found no room: the request stays where it is. */
static bool answer(struct null_server *n, struct null_conn *nc, struct tcp_conn *c,
		   struct zk_span req)
{
	size_t len;
	uint8_t *p;
	int32_t op;

	if (!nc->greeted) {
		p = tcp_tail(c, 4 + ZKMSG_CONNECT_REPLY_BYTES);
		if (!p)
			return false;
		tcp_tail_commit(c, greeting(n, p));
		nc->greeted = true;
		return true;
	}
	if (req.n < 8) {
		nc->dead = true;
		return true;
	}
	op = (int32_t)zk_get32(req.p + 4);
	len = body_bytes(op, req.p + 8, req.n - 8);
	p = tcp_tail(c, 4 + ZKMSG_REPLY_HEADER_BYTES + len);
	if (!p)
		return false;
	zk_put32(p, (uint32_t)(ZKMSG_REPLY_HEADER_BYTES + len));
	memcpy(p + 4, req.p, 4);
	zk_put64(p + 8, (uint64_t)++n->zxid);
	zk_put32(p + 16, 0);
	body_fill(op, req.p + 8, p + 20, len);
	tcp_tail_commit(c, 4 + ZKMSG_REPLY_HEADER_BYTES + len);
	return true;
}

static void serve(struct null_server *n, struct null_conn *nc, struct tcp_conn *c)
{
	uint8_t scratch[ZKMSG_FRAME_MAX];
	enum zkmsg_cut cut = ZKMSG_CUT_OK;
	struct zk_span req;
	size_t done = 0;

	while (!nc->dead && (cut = zkmsg_cut(c, done, scratch, &req)) == ZKMSG_CUT_OK) {
		if (!answer(n, nc, c, req))
			break;
		done += 4 + req.n;
	}
	if (done > 0)
		tcp_read_done(c, done);
	if (cut == ZKMSG_CUT_BAD || nc->dead) {
		nc->dead = true;
		tcp_abort(c, n->s->now_ns);
	}
}

static void conn_event(struct null_server *n, struct tcp_conn *c, unsigned events)
{
	struct null_conn *nc = tcp_user(c);

	if (!nc) {
		for (unsigned i = 0; i < CONNS_MAX && !nc; i++)
			if (!n->conn[i].used)
				nc = &n->conn[i];
		if (!nc) {
			tcp_abort(c, n->s->now_ns);
			tcp_release(c, n->s->now_ns);
			return;
		}
		*nc = (struct null_conn){.used = true};
		tcp_user_set(c, nc);
	}
	if (!(events & TCP_READY_CLOSED) && !nc->dead &&
	    (events & (TCP_READY_READ | TCP_READY_WRITE)))
		serve(n, nc, c);
	if (events & (TCP_READY_FIN | TCP_READY_CLOSED)) {
		nc->used = false;
		tcp_user_set(c, NULL);
		tcp_release(c, n->s->now_ns);
	}
}

int bench_null_server(const struct bench_options *o)
{
	struct null_server *n = calloc(1, sizeof(*n));
	struct bench_stack s;
	bool ok;

	if (!n)
		return 1;
	n->s = &s;
	ok = bench_stack_open(&s, &o->stack);
	ok = ok && tcp_listen(s.tcp, o->port, NULL, NULL) == ZK_EOK;
	while (ok && !bench_stopped()) {
		struct tcp_conn *c;
		unsigned events;

		bench_stack_in(&s);
		for (int i = 0; i < ROUND_CONNS_MAX; i++) {
			c = tcp_next_ready(s.tcp, &events);
			if (!c)
				break;
			conn_event(n, c, events);
		}
		bench_stack_out(&s);
	}
	ok = bench_stack_close(&s) && ok;
	free(n);
	return ok ? 0 : 1;
}
