/* SPDX-License-Identifier: Apache-2.0 */
/* Clients: a session each, a few requests under way, one server after the other. */
#include "core/jute/proto.h"
#include "test/lib/req.h"
#include "test/sim/cluster_int.h"
#include "test/sim/cluster_wire.h"

#include <stdio.h>
#include <stdlib.h>

enum { HELLO_BYTES = 45, WELCOME_BYTES = 37, EPHEMERALS = 3 };

static struct cl_end *end_of(struct cl *w, const struct cl_client *c)
{
	return &w->conn[c->conn].end[0];
}

void cl_client_init(struct cl *w, unsigned i)
{
	w->client[i] = (struct cl_client){
		.index = i, .conn = -1, .next_ns = w->now_ns + (1 + cl_draw(w, 300)) * cl_ms};
}

/* ---- the connection ---- */

void cl_client_gone(struct cl *w, struct cl_client *c)
{
	if (c->conn >= 0)
		cl_end_close(end_of(w, c), cl_chance(w, 700));
	c->conn = -1;
	c->greeted = false;
	c->n = 0;
	memset(c->watch, 0, sizeof(c->watch));
	c->next_ns = w->now_ns + (20 + cl_draw(w, 200)) * cl_ms;
}

static uint64_t seen_by(const struct cl *w, unsigned server)
{
	const struct cl_server *s = &w->server[server];

	return cl_serves(s) ? leader_applied_zxid(s->leader) : UINT64_MAX;
}

/* Any server; for who does not say what it has seen, the one that is farthest behind. */
static unsigned choose(struct cl *w)
{
	unsigned server = (unsigned)cl_draw(w, w->n);

	for (unsigned i = 0; i < w->n && w->naive == CL_NO_LAST_ZXID; i++)
		if (seen_by(w, i) < seen_by(w, server))
			server = i;
	return server;
}

static void dial(struct cl *w, struct cl_client *c)
{
	struct cl_conn *conn;

	c->server = choose(w);
	conn = cl_connect(w, CL_CLIENT, c->index, c->server);
	c->next_ns = w->now_ns + 100 * cl_ms;
	if (!conn)
		return;
	c->conn = (int32_t)(conn - w->conn);
	c->heard_ns = w->now_ns;
}

static void greet(struct cl *w, struct cl_client *c)
{
	uint8_t b[4 + HELLO_BYTES] = {0};

	zk_put32(b, HELLO_BYTES);
	zk_put64(b + 8, w->naive == CL_NO_LAST_ZXID ? 0 : c->zxid);
	zk_put32(b + 16, (uint32_t)(1000 + 1000 * cl_draw(w, 3)));
	zk_put64(b + 20, c->session);
	zk_put32(b + 28, 16);
	memcpy(b + 32, c->password, 16);
	(void)cl_pipe_put(end_of(w, c), b, sizeof(b));
	c->heard_ns = c->ping_ns = w->now_ns;
	end_of(w, c)->dialling = false;
}

static void welcomed(struct cl *w, struct cl_client *c, const uint8_t *p, size_t n)
{
	uint64_t id = n == WELCOME_BYTES || n == WELCOME_BYTES - 1 ? zk_get64(p + 8) : 0;

	c->timeout_ms = n >= 8 ? (int32_t)zk_get32(p + 4) : 0;
	if (!id || c->timeout_ms <= 0) { /* it has expired */
		w->expired += c->session != 0;
		cl_client_gone(w, c);
		c->session = 0;
		c->zxid = 0;
		memset(c->password, 0, sizeof(c->password));
		return;
	}
	if (c->session && id != c->session)
		cl_broken(w, c->server, "another session than the one that was asked for", id);
	c->session = id;
	memcpy(c->password, p + 20, 16);
	c->greeted = true;
	c->next_ns = w->now_ns;
}

/* ---- requests ---- */

static void send_request(struct cl *w, struct cl_client *c, int32_t xid, int32_t op,
			 struct zk_span body)
{
	uint8_t head[12];
	struct cl_end *e = end_of(w, c);

	if (cl_pipe_room(e) < sizeof(head) + body.n) {
		cl_client_gone(w, c);
		return;
	}
	zk_put32(head, (uint32_t)(8 + body.n));
	zk_put32(head + 4, (uint32_t)xid);
	zk_put32(head + 8, (uint32_t)op);
	(void)cl_pipe_put(e, head, sizeof(head));
	if (body.n)
		(void)cl_pipe_put(e, body.p, body.n);
}

static struct zk_span get_body(const char *path, bool watch)
{
	static uint8_t b[64];
	struct jute_out out = jute_out_of(b, sizeof(b));

	jute_put_bytes(&out, zk_span_str(path));
	jute_put_u8(&out, watch);
	return zk_span_of(b, jute_out_len(&out));
}

static struct cl_asked *ask(struct cl *w, struct cl_client *c, enum cl_op op, unsigned key)
{
	struct cl_asked *a = &c->asked[(c->first + c->n++) % CL_ASKED];

	*a = (struct cl_asked){.op = op, .xid = ++c->xid, .key = key, .floor = w->acked_max};
	return a;
}

static void request(struct cl *w, struct cl_client *c)
{
	char path[32], text[CL_VALUE_MAX];
	unsigned key = (unsigned)cl_draw(w, CL_KEYS);
	struct cl_asked *a;

	snprintf(path, sizeof(path), "/k%u", key);
	switch (cl_draw(w, 10)) {
	case 0:
	case 1:
		a = ask(w, c, CL_CREATE, key);
		a->value = w->next_value++;
		cl_value_text(a->value, text);
		send_request(w, c, a->xid, ZK_OP_CREATE, req_create(path, text, NULL, 0));
		break;
	case 2:
	case 3:
	case 4:
		a = ask(w, c, CL_SET, key);
		a->value = w->next_value++;
		cl_value_text(a->value, text);
		send_request(w, c, a->xid, ZK_OP_SET_DATA, req_set(path, text, -1));
		break;
	case 5:
		if (cl_chance(w, 300)) {
			a = ask(w, c, CL_DELETE, key);
			send_request(w, c, a->xid, ZK_OP_DELETE, req_version(path, -1));
			break;
		}
		a = ask(w, c, CL_EPHEMERAL, key);
		snprintf(path, sizeof(path), "/e%u-%u", c->index, (unsigned)cl_draw(w, EPHEMERALS));
		send_request(w, c, a->xid, ZK_OP_CREATE, req_create(path, "x", NULL, 1));
		break;
	case 6:
		a = ask(w, c, CL_SYNC, key);
		send_request(w, c, a->xid, ZK_OP_SYNC, req_path(path));
		if (c->conn < 0)
			break;
		a = ask(w, c, CL_GET_SYNCED, key);
		send_request(w, c, a->xid, ZK_OP_GET_DATA, get_body(path, false));
		break;
	default:
		a = ask(w, c, CL_GET, key);
		a->watch = cl_chance(w, 500);
		send_request(w, c, a->xid, ZK_OP_GET_DATA, get_body(path, a->watch));
	}
}

/* ---- answers ---- */

static void on_event(struct cl *w, struct cl_client *c, const uint8_t *p, size_t n)
{
	int key = n >= 28 ? cl_key_of(zk_span_of(p + 28, n - 28)) : -1;

	if (key < 0 || !c->watch[key].armed) {
		cl_broken(w, c->server, "an event that nobody asked for", 0);
		return;
	}
	c->watch[key].armed = false;
	w->events++;
}

static void on_read(struct cl *w, struct cl_client *c, const struct cl_asked *a, int32_t err,
		    const uint8_t *p, size_t n, uint64_t zxid)
{
	struct jute_in in = jute_in_of(zk_span_of(p, n));
	struct zk_span data = {NULL, 0};
	uint64_t mzxid = 0;

	if (err != 0 && err != ZK_NONODE) {
		cl_broken(w, c->server, "a read fails", zxid);
		return;
	}
	if (err == 0) {
		data = jute_bytes(&in);
		(void)jute_i64(&in);
		mzxid = (uint64_t)jute_i64(&in);
	}
	if (a->op == CL_GET_SYNCED && zxid < c->sync_floor)
		cl_broken(w, c->server, "a read behind a sync misses an acknowledged write", zxid);
	w->reads++;
	cl_check_read(w, c, a->key, zxid, err == 0, cl_value_of(data), mzxid);
	if (a->watch && err == 0 && !c->watch[a->key].armed)
		c->watch[a->key] = (struct cl_watch){true, zxid};
}

static void on_reply(struct cl *w, struct cl_client *c, const uint8_t *p, size_t n)
{
	int32_t xid = (int32_t)zk_get32(p), err = (int32_t)zk_get32(p + 12);
	uint64_t zxid = zk_get64(p + 4);
	struct cl_asked a;

	if (xid == ZK_XID_WATCH) {
		if (w->naive != CL_EVENTS_LOST)
			on_event(w, c, p, n);
		return;
	}
	if (zxid < c->zxid)
		cl_broken(w, c->server, "a session sees time go back", zxid);
	c->zxid = zxid;
	if (xid == ZK_XID_PING)
		return;
	if (!c->n || c->asked[c->first].xid != xid) {
		cl_broken(w, c->server, "an answer to another request", (uint64_t)xid);
		return;
	}
	a = c->asked[c->first];
	c->first = (c->first + 1) % CL_ASKED;
	c->n--;
	c->answered_ns = w->now_ns;
	switch (a.op) {
	case CL_GET:
	case CL_GET_SYNCED:
		on_read(w, c, &a, err, p + 16, n - 16, zxid);
		break;
	case CL_SYNC:
		c->sync_floor = a.floor;
		break;
	default:
		if (err == 0 || err == ZK_NODEEXISTS || err == ZK_NONODE)
			cl_check_acked(w, c, &a, zxid);
		else if (err != ZK_SESSIONEXPIRED && err != ZK_SESSIONMOVED)
			cl_broken(w, c->server, "a write fails", (uint64_t)-err);
	}
}

static void read_all(struct cl *w, struct cl_client *c)
{
	while (c->conn >= 0 && !w->failed) {
		struct cl_end *e = end_of(w, c);
		struct zk_span s = cl_pipe_peek(e);
		uint8_t frame[2 * CL_MAXBUFFER];
		size_t n;

		if (s.n < 4)
			return;
		n = zk_get32(s.p);
		if (n > sizeof(frame) || (c->greeted && n < 16)) {
			cl_broken(w, c->server, "no frame", n);
			return;
		}
		if (s.n < 4 + n)
			return;
		memcpy(frame, s.p + 4, n);
		cl_pipe_take(e, 4 + n);
		c->heard_ns = w->now_ns;
		if (c->greeted)
			on_reply(w, c, frame, n);
		else
			welcomed(w, c, frame, n);
	}
}

/* ---- time ---- */

static uint64_t patience_ns(const struct cl_client *c)
{
	return (c->greeted ? (uint64_t)c->timeout_ms * 2 / 3 : 800) * cl_ms;
}

static void connected(struct cl *w, struct cl_client *c)
{
	uint64_t now = w->now_ns;

	if (now - c->heard_ns > patience_ns(c)) {
		cl_client_gone(w, c);
		return;
	}
	if (!c->greeted)
		return;
	if (now - c->ping_ns > (uint64_t)c->timeout_ms / 4 * cl_ms) {
		c->ping_ns = now;
		send_request(w, c, ZK_XID_PING, ZK_OP_PING, (struct zk_span){NULL, 0});
	}
	if (c->conn < 0 || now < c->next_ns || w->quiet)
		return;
	if (cl_faulty(w) && cl_chance(w, w->naive == CL_NO_LAST_ZXID ? 50 : 8)) { /* elsewhere */
		w->moves++;
		cl_client_gone(w, c);
		return;
	}
	c->next_ns = now + (1 + cl_draw(w, 40)) * cl_ms;
	if (c->n + 2 <= CL_ASKED / 2)
		request(w, c);
}

static void act(struct cl *w, struct cl_client *c)
{
	struct cl_end *e;

	if (c->conn < 0) {
		if (w->now_ns >= c->next_ns)
			dial(w, c);
		return;
	}
	e = end_of(w, c);
	if (e->dial == CL_DIAL_FAILED) {
		cl_client_gone(w, c);
		return;
	}
	if (e->dial == CL_DIAL_OPEN && e->dialling)
		greet(w, c);
	read_all(w, c);
	if (c->conn < 0)
		return;
	if (e->fin_ns || (e->gone_ns && w->now_ns >= e->gone_ns)) {
		cl_client_gone(w, c);
		return;
	}
	connected(w, c);
}

void cl_client_step(struct cl *w, struct cl_client *c)
{
	if (w->wire)
		cl_host_in(w, c->index);
	act(w, c);
	if (w->wire)
		cl_host_out(w, c->index);
}

uint64_t cl_client_next_ns(const struct cl *w, const struct cl_client *c)
{
	uint64_t next;

	if (c->conn < 0)
		return c->next_ns;
	next = c->heard_ns + patience_ns(c) + 1;
	if (c->greeted && c->ping_ns + (uint64_t)c->timeout_ms / 4 * cl_ms + 1 < next)
		next = c->ping_ns + (uint64_t)c->timeout_ms / 4 * cl_ms + 1;
	if (c->greeted && !w->quiet && c->next_ns < next)
		next = c->next_ns;
	return next;
}
