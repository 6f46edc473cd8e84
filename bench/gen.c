/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/gen.h"

#include "core/base/assert.h"
#include "core/base/endian.h"
#include "core/base/hash.h"
#include "dp/eal/eal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SESSION_TIMEOUT_MS = 40000, STALL_NS_PER_S = 1000000000 };

static const uint64_t stall_ns = 10ull * STALL_NS_PER_S;
static const uint64_t warm_up_ns = STALL_NS_PER_S / 4;

static void fail(struct gen *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void fail(struct gen *g, const char *fmt, ...)
{
	va_list ap;

	if (g->failure[0])
		return;
	va_start(ap, fmt);
	vsnprintf(g->failure, sizeof(g->failure), fmt, ap);
	va_end(ap);
}

static uint8_t *frame_room(struct gen_conn *c)
{
	if (c->unsent == 0)
		c->unsent_at = 0;
	zk_assert(c->unsent_at + c->unsent + ZKMSG_FRAME_MAX <=
		  (BENCH_WINDOW_MAX + 1) * ZKMSG_FRAME_MAX);
	return c->buf + c->unsent_at + c->unsent;
}

/* Note the request that has just been written to frame_room(). */
static void frame_done(struct gen *g, struct gen_conn *c, size_t n, uint32_t reply_bytes)
{
	c->pending[(uint32_t)c->xid_sent % BENCH_WINDOW_MAX] =
		(struct gen_pending){g->s->now_ns, reply_bytes};
	c->unsent += (uint32_t)n;
	g->outstanding++;
}

static void flush(struct gen_conn *c)
{
	size_t n;

	if (c->unsent == 0 || !c->tcp)
		return;
	n = tcp_write(c->tcp, c->buf + c->unsent_at, c->unsent);
	c->unsent_at += (uint32_t)n;
	c->unsent -= (uint32_t)n;
}

/* Fill the window and hand everything to TCP at once. */
static void refill(struct gen *g, struct gen_conn *c)
{
	if (c->unsent == 0) { /* else TCP pushes back: its WRITE event brings us here again */
		while ((uint32_t)(c->xid_sent - c->xid_got) < g->window && g->next && g->next(g, c))
			;
	}
	flush(c);
}

static void greeting(struct gen *g, struct gen_conn *c, struct zk_span f)
{
	if (f.n != ZKMSG_CONNECT_REPLY_BYTES || zk_get32(f.p + 4) == 0) {
		fail(g, "the server refused a session (%zu bytes)", f.n);
		return;
	}
	c->session = zk_get64(f.p + 8);
	c->greeted = true;
	g->greeted++;
}

static void reply(struct gen *g, struct gen_conn *c, struct zk_span f)
{
	const struct gen_pending *p;
	int32_t xid, err;

	if (f.n < ZKMSG_REPLY_HEADER_BYTES) {
		fail(g, "a reply of %zu bytes", f.n);
		return;
	}
	xid = (int32_t)zk_get32(f.p);
	err = (int32_t)zk_get32(f.p + 12);
	if (xid != c->xid_got + 1 || xid > c->xid_sent) {
		fail(g, "reply to request %d, expected %d", xid, c->xid_got + 1);
		return;
	}
	c->xid_got = xid;
	p = &c->pending[(uint32_t)xid % BENCH_WINDOW_MAX];
	if (p->reply_bytes != 0 && (err != 0 || f.n != p->reply_bytes)) {
		fail(g, "request %d: error %d, %zu bytes instead of %u", xid, err, f.n,
		     p->reply_bytes);
		return;
	}
	g->outstanding--;
	if (g->measuring) {
		g->completed++;
		zk_hist_add(&g->hist, g->s->now_ns - p->sent_ns);
	}
}

static void receive(struct gen *g, struct gen_conn *c)
{
	uint8_t scratch[ZKMSG_FRAME_MAX];
	enum zkmsg_cut cut;
	struct zk_span f;
	size_t done = 0;

	while ((cut = zkmsg_cut(c->tcp, done, scratch, &f)) == ZKMSG_CUT_OK && !g->failure[0]) {
		if (c->greeted)
			reply(g, c, f);
		else
			greeting(g, c, f);
		done += 4 + f.n;
	}
	if (done > 0)
		tcp_read_done(c->tcp, done);
	if (cut == ZKMSG_CUT_BAD)
		fail(g, "a frame longer than any that was asked for");
}

static void event(struct gen *g, struct tcp_conn *t, unsigned events)
{
	struct gen_conn *c = tcp_user(t);

	if (events & TCP_READY_CLOSED || (events & TCP_READY_FIN && c->closing)) {
		if (!c->closing)
			fail(g, "connection lost (reason %d)", (int)tcp_close_reason(t));
		tcp_release(t, g->s->now_ns);
		c->tcp = NULL;
		g->alive--;
		return;
	}
	if (events & TCP_READY_OPEN) {
		size_t n = zkmsg_connect(frame_room(c), SESSION_TIMEOUT_MS);

		c->unsent += (uint32_t)n;
		flush(c);
	}
	if (events & TCP_READY_READ)
		receive(g, c);
	if (events & TCP_READY_FIN && !c->closing) {
		fail(g, "the server closed a connection");
		return;
	}
	if (c->greeted && !g->failure[0])
		refill(g, c);
}

static void round_once(struct gen *g)
{
	struct tcp_conn *t;
	unsigned events;

	bench_stack_in(g->s);
	for (unsigned i = 0; i < 2 * BENCH_CONNS_MAX; i++) {
		t = tcp_next_ready(g->s->tcp, &events);
		if (!t)
			break;
		event(g, t, events);
	}
	bench_stack_out(g->s);
	if (bench_stopped())
		fail(g, "interrupted");
}

static void kick(struct gen *g)
{
	g->s->now_ns = eal_now_ns();
	for (unsigned i = 0; i < g->conns; i++)
		refill(g, &g->conn[i]);
}

/* Run until nothing is in flight. */
static bool drain(struct gen *g)
{
	uint64_t begin = eal_now_ns();

	g->next = NULL;
	while (g->outstanding > 0 && !g->failure[0]) {
		round_once(g);
		if (g->s->now_ns - begin > stall_ns)
			fail(g, "%u replies are missing", g->outstanding);
	}
	return !g->failure[0];
}

bool gen_connect(struct gen *g, unsigned conns, unsigned window)
{
	uint64_t begin = eal_now_ns();

	zk_assert(conns <= BENCH_CONNS_MAX && window < BENCH_WINDOW_MAX);
	g->conns = conns;
	g->window = window;
	g->alive = g->greeted = g->outstanding = 0;
	g->next = NULL;
	for (unsigned i = 0; i < conns; i++) {
		struct gen_conn *c = &g->conn[i];
		struct gen_pending *pending = c->pending;
		uint8_t *buf = c->buf;

		*c = (struct gen_conn){.pending = pending, .buf = buf};
		if (tcp_connect(g->s->tcp, net_addr_v4(g->o->server_ip), g->o->port, begin,
				&c->tcp) != ZK_EOK) {
			fail(g, "cannot open connection %u", i);
			return false;
		}
		tcp_user_set(c->tcp, c);
		g->alive++;
	}
	while (g->greeted < conns && !g->failure[0]) {
		round_once(g);
		if (g->s->now_ns - begin > stall_ns)
			fail(g, "%u of %u sessions were established", g->greeted, conns);
	}
	return !g->failure[0];
}

void gen_disconnect(struct gen *g)
{
	uint64_t begin = g->s->now_ns = eal_now_ns();

	g->next = NULL;
	for (unsigned i = 0; i < g->conns; i++) {
		struct gen_conn *c = &g->conn[i];

		if (!c->tcp)
			continue;
		c->closing = true;
		if (c->greeted && !g->failure[0]) {
			size_t n = zkmsg_close(frame_room(c), ++c->xid_sent);

			frame_done(g, c, n, 0);
			flush(c);
		} else {
			tcp_abort(c->tcp, begin);
		}
	}
	/* A server that does not close the connection after closeSession would keep us here. */
	while (g->alive > 0 && g->s->now_ns - begin < stall_ns / 5) {
		round_once(g);
		for (unsigned i = 0; g->outstanding == 0 && i < g->conns; i++)
			if (g->conn[i].tcp)
				tcp_shutdown(g->conn[i].tcp, g->s->now_ns);
	}
	for (unsigned i = 0; i < g->conns; i++) {
		if (!g->conn[i].tcp)
			continue;
		tcp_abort(g->conn[i].tcp, g->s->now_ns);
		tcp_release(g->conn[i].tcp, g->s->now_ns);
		g->conn[i].tcp = NULL;
	}
	bench_stack_out(g->s);
	g->conns = 0;
}

/* Set-up: the parent, this run's parents of created nodes, the nodes to read. Existing is fine. */
static bool next_prepare(struct gen *g, struct gen_conn *c)
{
	char path[GEN_PATH_MAX];
	uint64_t i = g->created++;

	if (i > BENCH_CONNS_MAX + GEN_NODES)
		return false;
	if (i == 0)
		snprintf(path, sizeof(path), "/zkb");
	else if (i <= GEN_NODES)
		snprintf(path, sizeof(path), "/zkb/d%04u", (unsigned)i - 1);
	else
		snprintf(path, sizeof(path), "/zkb/r%08x-%04u", g->tag,
			 (unsigned)(i - GEN_NODES - 1));
	frame_done(g, c, zkmsg_create(frame_room(c), ++c->xid_sent, path), 0);
	return true;
}

/* Nodes of an earlier run may hold other data. */
static bool next_restore(struct gen *g, struct gen_conn *c)
{
	char path[GEN_PATH_MAX];
	uint64_t i = g->created++;

	if (i >= GEN_NODES)
		return false;
	snprintf(path, sizeof(path), "/zkb/d%04u", (unsigned)i);
	frame_done(g, c, zkmsg_set_data(frame_room(c), ++c->xid_sent, path),
		   ZKMSG_REPLY_HEADER_BYTES + ZKMSG_STAT_BYTES);
	return true;
}

static bool prepare_pass(struct gen *g, bool (*next)(struct gen *g, struct gen_conn *c))
{
	uint64_t begin = eal_now_ns();

	g->created = 0;
	g->next = next;
	kick(g);
	while ((g->outstanding > 0 || g->created <= GEN_NODES) && !g->failure[0]) {
		round_once(g);
		if (g->s->now_ns - begin > 3 * stall_ns)
			fail(g, "the nodes could not be created in time");
	}
	return drain(g);
}

bool gen_prepare(struct gen *g)
{
	return prepare_pass(g, next_prepare) && prepare_pass(g, next_restore);
}

static bool next_workload(struct gen *g, struct gen_conn *c)
{
	uint8_t *f = frame_room(c);
	char path[GEN_PATH_MAX] = "/zkb/d0000";
	unsigned node;
	size_t n = 0;
	uint32_t want = ZKMSG_REPLY_HEADER_BYTES + ZKMSG_STAT_BYTES;

	g->random = zk_mix64(g->random + 0x9e3779b97f4a7c15u);
	node = (unsigned)((g->random >> 32) * GEN_NODES >> 32);
	for (int i = 9; i > 5; i--, node /= 10)
		path[i] = (char)('0' + node % 10);
	c->xid_sent++;
	switch (g->op) {
	case BENCH_GET_DATA:
		n = zkmsg_path_watch(f, c->xid_sent, ZKMSG_GET_DATA, path, false);
		want += 4 + ZKMSG_DATA_BYTES;
		break;
	case BENCH_EXISTS:
		n = zkmsg_path_watch(f, c->xid_sent, ZKMSG_EXISTS, path, false);
		break;
	case BENCH_SET_DATA:
		n = zkmsg_set_data(f, c->xid_sent, path);
		break;
	case BENCH_CREATE:
		snprintf(path, sizeof(path), "/zkb/r%08x-%04u/%08lx", g->tag,
			 (unsigned)(c - g->conn), g->created++);
		n = zkmsg_create(f, c->xid_sent, path);
		want = ZKMSG_REPLY_HEADER_BYTES + 4 + (uint32_t)strlen(path);
		break;
	}
	frame_done(g, c, n, want);
	return true;
}

static bool run_for(struct gen *g, uint64_t ns)
{
	uint64_t begin = g->s->now_ns, seen = g->completed, last = begin;

	while (g->s->now_ns - begin < ns && !g->failure[0]) {
		round_once(g);
		if (g->completed != seen || !g->measuring) {
			seen = g->completed;
			last = g->s->now_ns;
		} else if (g->s->now_ns - last > stall_ns) {
			fail(g, "no reply for %lu s", stall_ns / STALL_NS_PER_S);
		}
	}
	return !g->failure[0];
}

bool gen_measure(struct gen *g, enum bench_op op, struct bench_result *r)
{
	uint64_t begin;

	g->op = op;
	g->next = next_workload;
	g->measuring = false;
	kick(g);
	bench_stack_out(g->s);
	if (!run_for(g, warm_up_ns))
		return false;
	zk_hist_init(&g->hist);
	g->completed = 0;
	g->measuring = true;
	begin = g->s->now_ns;
	if (!run_for(g, (uint64_t)(g->o->seconds * 1e9)))
		return false;
	g->measuring = false;
	if (g->completed == 0) {
		fail(g, "no reply in %.1f s", g->o->seconds);
		return false;
	}
	*r = (struct bench_result){
		.op = op,
		.shape = {g->conns, g->window},
		.operations = g->completed,
		.ops_per_s = (double)g->completed * 1e9 / (double)(g->s->now_ns - begin),
		.p50_ns = zk_hist_quantile(&g->hist, 500000),
		.p99_ns = zk_hist_quantile(&g->hist, 990000),
		.p999_ns = zk_hist_quantile(&g->hist, 999000),
		.max_ns = g->hist.max,
	};
	return drain(g);
}
