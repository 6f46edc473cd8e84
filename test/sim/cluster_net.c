/* SPDX-License-Identifier: Apache-2.0 */
/* Byte streams: whatever is written arrives once and in order, late and in pieces, or the
 * connection is over. */
#include "test/sim/cluster_int.h"
#include "test/sim/cluster_wire.h"

#include <stdio.h>
#include <stdlib.h>

enum { DIAL_MS = 3000, GIVE_UP_MS = 4000 };

/* ---- pipes ---- */

static bool blocked(const struct cl_conn *c, unsigned to)
{
	const struct cl_end *a = &c->end[!to], *b = &c->end[to];

	return c->silent || (a->kind == CL_PEER && c->w->cut[a->who][b->who]);
}

static uint64_t late(struct cl *w)
{
	uint64_t us = 100 + cl_draw(w, 3000);

	if (cl_faulty(w) && cl_chance(w, 20)) /* lost, and sent again */
		us += 20000 + cl_draw(w, 300000);
	return w->now_ns + us * 1000;
}

static void put_chunk(struct cl *w, struct cl_pipe *p)
{
	uint64_t due = late(w);

	if (due < p->last_due_ns)
		due = p->last_due_ns;
	p->last_due_ns = due;
	/* very many small ones: the last two are one */
	if (p->last - p->first == CL_CHUNKS)
		p->last--;
	p->chunk[p->last++ % CL_CHUNKS] = (struct cl_chunk){p->tail, due};
}

/* Room for @p n bytes at the tail, in one piece. */
static uint8_t *pipe_tail(struct cl_pipe *p, size_t n)
{
	if (!p->b) {
		p->b = malloc(CL_PIPE);
		zk_assert(p->b);
	}
	if (p->tail - p->origin + n > CL_PIPE) {
		memmove(p->b, p->b + (p->head - p->origin), p->tail - p->head);
		p->origin = p->head;
	}
	zk_assert(p->tail - p->origin + n <= CL_PIPE);
	return p->b + (p->tail - p->origin);
}

size_t cl_pipe_room(const struct cl_end *e)
{
	const struct cl_pipe *p = &e->conn->pipe[!e->k];
	uint64_t sent = p->tail - p->arrived;

	return sent < CL_SEND_BYTES ? (size_t)(CL_SEND_BYTES - sent) : 0;
}

void cl_pipe_fill(struct cl_pipe *p, const void *bytes, size_t n)
{
	memcpy(pipe_tail(p, n), bytes, n);
	p->tail += n;
}

size_t cl_pipe_put(struct cl_end *e, const void *bytes, size_t n)
{
	struct cl_pipe *p = &e->conn->pipe[!e->k];
	size_t room = cl_pipe_room(e);

	n = n < room ? n : room;
	if (!n || (!e->conn->w->wire && !e->conn->end[!e->k].open))
		return n;
	cl_pipe_fill(p, bytes, n);
	if (!e->conn->w->wire)
		put_chunk(e->conn->w, p);
	return n;
}

struct zk_span cl_pipe_peek(struct cl_end *e)
{
	struct cl_pipe *p = &e->conn->pipe[e->k];
	size_t n = (size_t)(p->arrived - p->head);

	return zk_span_of(n ? p->b + (p->head - p->origin) : NULL, n);
}

void cl_pipe_take(struct cl_end *e, size_t n)
{
	struct cl_pipe *p = &e->conn->pipe[e->k];

	zk_assert(n <= p->arrived - p->head);
	p->head += n;
}

/* ---- srv_io; a server that dies in the middle of a round says nothing any more ---- */

static struct cl_server *owner(const struct cl_end *e)
{
	return &e->conn->w->server[e->who];
}

static struct zk_span io_peek(void *t, size_t skip)
{
	struct cl_end *e = t;
	struct zk_span s = cl_pipe_peek(e);
	size_t n = s.n > skip ? s.n - skip : 0;

	if (n > e->conn->run_max)
		n = e->conn->run_max;
	return zk_span_of(n ? s.p + skip : NULL, n);
}

static size_t io_readable(void *t)
{
	return cl_pipe_peek(t).n;
}

static void io_read_done(void *t, size_t n)
{
	cl_pipe_take(t, n);
}

static void *io_tail(void *t, size_t n)
{
	struct cl_end *e = t;

	zk_assert(!e->fin && e->open);
	if (n > cl_pipe_room(e))
		return NULL;
	return pipe_tail(&e->conn->pipe[!e->k], n);
}

static void io_tail_commit(void *t, size_t used)
{
	struct cl_end *e = t;
	struct cl_pipe *p = &e->conn->pipe[!e->k];

	if (!used || cl_dead(owner(e)) || !e->conn->end[!e->k].open)
		return;
	p->tail += used;
	put_chunk(e->conn->w, p);
}

static size_t io_write(void *t, const void *p, size_t n)
{
	struct cl_end *e = t;

	zk_assert(!e->fin && e->open);
	return cl_dead(owner(e)) ? n : cl_pipe_put(e, p, n);
}

static size_t io_unacked(void *t)
{
	const struct cl_end *e = t;
	const struct cl_pipe *p = &e->conn->pipe[!e->k];

	return (size_t)(p->tail - p->arrived);
}

static void io_shutdown(void *t)
{
	struct cl_end *e = t;

	zk_assert(!e->fin && e->open);
	e->fin = !cl_dead(owner(e));
	e->gone_ns = e->conn->w->now_ns + 2 * cl_ms;
}

static void io_abort(void *t)
{
	struct cl_end *e = t;
	struct cl_end *other = &e->conn->end[!e->k];

	zk_assert(e->open);
	e->gone_ns = e->conn->w->now_ns + 1;
	if (!cl_dead(owner(e)) && other->open && !other->gone_ns && !blocked(e->conn, !e->k))
		other->gone_ns = late(e->conn->w);
}

const struct srv_io cl_io = {io_peek,  io_readable, io_read_done, io_tail, io_tail_commit,
			     io_write, io_unacked,  io_shutdown,  io_abort};

/* ---- life ---- */

unsigned cl_conn_next(const struct cl *w, unsigned i)
{
	for (; i < CL_CONNS; i = (i | 63) + 1) {
		uint64_t left = w->conn_used[i / 64] >> i % 64;

		if (left)
			return i + (unsigned)__builtin_ctzll(left);
	}
	return CL_CONNS;
}

static void free_conn(struct cl_conn *c)
{
	unsigned i = (unsigned)(c - c->w->conn);

	c->w->conn_used[i / 64] &= ~(UINT64_C(1) << i % 64);
	free(c->pipe[0].b);
	free(c->pipe[1].b);
	c->used = false;
}

void cl_net_fini(struct cl *w)
{
	for (unsigned i = 0; (i = cl_conn_next(w, i)) < CL_CONNS; i++)
		free_conn(&w->conn[i]);
}

struct cl_conn *cl_connect(struct cl *w, enum cl_kind kind, unsigned from, unsigned to)
{
	for (unsigned i = 0; i < CL_CONNS; i++) {
		struct cl_conn *c = &w->conn[i];

		if (c->used)
			continue;
		w->conn_used[i / 64] |= UINT64_C(1) << i % 64;
		*c = (struct cl_conn){.used = true, .w = w, .due_ns = late(w)};
		c->run_max = cl_chance(w, 300) ? 1 + cl_draw(w, 200) : SIZE_MAX;
		for (unsigned k = 0; k < 2; k++)
			c->end[k] = (struct cl_end){.conn = c, .k = k, .kind = kind};
		c->end[0].who = from;
		c->end[1].who = to;
		if (kind == CL_CLIENT)
			c->end[1].kind = CL_CLIENT_PORT;
		c->end[0].open = c->end[0].dialling = true;
		if (w->wire)
			cl_host_dial(c);
		return c;
	}
	return NULL;
}

void cl_end_close(struct cl_end *e, bool loud)
{
	struct cl_conn *c = e->conn;
	struct cl_end *other = &c->end[!e->k];

	if (!e->open)
		return;
	e->open = false;
	if (c->w->wire)
		cl_host_close(c, loud);
	if (!other->open) {
		free_conn(c);
		return;
	}
	if (e->fin) /* the other side hears of that, behind the bytes */
		return;
	if (loud && !blocked(c, !e->k)) {
		if (!other->gone_ns)
			other->gone_ns = late(c->w);
	} else if (!c->silent) {
		c->silent = true;
		c->silent_ns = c->w->now_ns;
	}
}

void cl_net_drop_clients(struct cl *w, struct cl_server *s)
{
	for (unsigned i = 0; (i = cl_conn_next(w, i)) < CL_CONNS; i++) {
		struct cl_end *e = &w->conn[i].end[1];

		if (e->kind != CL_CLIENT_PORT || e->who != s->index || !e->open)
			continue;
		if (e->app)
			srv_gone(e->app, w->now_ns);
		cl_end_close(e, true);
	}
}

void cl_net_break(struct cl *w)
{
	struct cl_conn *c = &w->conn[cl_draw(w, CL_CONNS)];

	if (w->wire && cl_chance(w, 250))
		cl_wire_break(w);
	if (!c->used || w->wire)
		return;
	w->breaks++;
	if (cl_chance(w, 400)) {
		c->silent = true;
		c->silent_ns = w->now_ns;
		return;
	}
	for (unsigned k = 0; k < 2; k++)
		if (c->end[k].open && !c->end[k].gone_ns && !c->end[k].dialling)
			c->end[k].gone_ns = late(w);
}

/* ---- time ---- */

static void poke(const struct cl_end *e)
{
	if (e->kind != CL_CLIENT)
		owner(e)->poked = true;
}

static void dial_step(struct cl_conn *c)
{
	struct cl *w = c->w;
	struct cl_end *a = &c->end[0], *b = &c->end[1];
	struct cl_server *to = &w->server[b->who];

	if (a->dial != CL_DIAL_WAITS || w->now_ns < c->due_ns)
		return;
	if (c->silent || blocked(c, 1) || blocked(c, 0) || (to->up && !cl_runs(to))) {
		c->due_ns = w->now_ns + 20 * cl_ms; /* SYNs that nobody answers */
		if (!c->silent_ns)
			c->silent_ns = w->now_ns;
		if (w->now_ns - c->silent_ns > DIAL_MS * cl_ms)
			a->dial = CL_DIAL_FAILED;
		return;
	}
	c->silent_ns = 0;
	if (!to->up || (b->kind == CL_CLIENT_PORT && to->halted)) {
		a->dial = CL_DIAL_FAILED;
		return;
	}
	a->dial = CL_DIAL_OPEN;
	b->open = b->accepting = true;
	poke(b);
}

static void pipe_step(struct cl_conn *c, unsigned to)
{
	struct cl *w = c->w;
	struct cl_pipe *p = &c->pipe[to];
	uint64_t before = p->arrived, max = p->head + CL_RECEIVE_BYTES;

	if (!c->end[to].open || c->end[to].accepting || p->first == p->last)
		return;
	if (blocked(c, to)) {
		if (!p->blocked_ns && p->chunk[p->first % CL_CHUNKS].due_ns <= w->now_ns)
			p->blocked_ns = w->now_ns;
		return;
	}
	p->blocked_ns = 0;
	while (p->first != p->last && p->chunk[p->first % CL_CHUNKS].due_ns <= w->now_ns) {
		uint64_t end = p->chunk[p->first % CL_CHUNKS].end;

		p->arrived = end < max ? end : max;
		if (end > max)
			break;
		p->first++;
	}
	if (p->arrived == before)
		return;
	c->end[to].news = c->end[!to].drained = true;
	poke(&c->end[to]);
	poke(&c->end[!to]);
}

/* Who cannot get a byte through gives up. */
static void give_up(struct cl_conn *c)
{
	uint64_t since = c->silent ? c->silent_ns : 0, now = c->w->now_ns;

	for (unsigned k = 0; k < 2; k++)
		if (c->pipe[k].blocked_ns && (!since || c->pipe[k].blocked_ns < since))
			since = c->pipe[k].blocked_ns;
	if (!since || now - since < GIVE_UP_MS * cl_ms)
		return;
	for (unsigned k = 0; k < 2; k++)
		if (c->end[k].open && !c->end[k].gone_ns)
			c->end[k].gone_ns = now;
}

void cl_net_step(struct cl *w)
{
	if (w->wire) {
		cl_wire_step(w);
		return;
	}
	for (unsigned i = 0; (i = cl_conn_next(w, i)) < CL_CONNS; i++) {
		struct cl_conn *c = &w->conn[i];

		dial_step(c);
		for (unsigned k = 0; k < 2; k++) {
			const struct cl_pipe *p = &c->pipe[k];

			pipe_step(c, k);
			if (c->end[!k].fin && !c->end[k].fin_ns && p->arrived == p->tail &&
			    !blocked(c, k))
				c->end[k].fin_ns = w->now_ns;
			if (c->end[k].open &&
			    (c->end[k].fin_ns ||
			     (c->end[k].gone_ns && w->now_ns >= c->end[k].gone_ns)))
				poke(&c->end[k]);
		}
		if (c->end[0].dialling && c->end[0].dial != CL_DIAL_WAITS)
			poke(&c->end[0]);
		if (c->end[0].dial == CL_DIAL_OPEN)
			give_up(c);
	}
}

static void earlier(uint64_t *next, uint64_t t)
{
	if (t < *next)
		*next = t;
}

uint64_t cl_net_next_ns(const struct cl *w)
{
	uint64_t next = w->wire ? cl_wire_next_ns(w) : UINT64_MAX;

	for (unsigned i = 0; !w->wire && (i = cl_conn_next(w, i)) < CL_CONNS; i++) {
		const struct cl_conn *c = &w->conn[i];

		if (c->end[0].open && c->end[0].dial == CL_DIAL_WAITS)
			earlier(&next, c->due_ns);
		for (unsigned k = 0; k < 2; k++) {
			const struct cl_pipe *p = &c->pipe[k];

			if (c->end[k].open && p->first != p->last && !blocked(c, k) &&
			    p->arrived < p->head + CL_RECEIVE_BYTES)
				earlier(&next, p->chunk[p->first % CL_CHUNKS].due_ns);
			if (c->end[k].open && c->end[k].gone_ns)
				earlier(&next, c->end[k].gone_ns);
		}
		if (c->silent)
			earlier(&next, c->silent_ns + (GIVE_UP_MS + 1) * cl_ms);
	}
	return next;
}

/* ---- what a server hears ---- */

static void accept_end(struct cl_server *s, struct cl_end *e)
{
	uint64_t now = s->w->now_ns;

	e->accepting = false;
	if (e->kind == CL_PEER)
		e->app = quorum_accepted(s->quorum, e->conn->port, e, now);
	else
		e->app = srv_open(s->srv, e, "10.0.0.9", 1234, now);
	if (!e->app)
		cl_end_close(e, true);
}

static void dialled(struct cl_server *s, struct cl_end *e)
{
	bool ok = e->dial == CL_DIAL_OPEN;

	e->dialling = false;
	quorum_dialled(s->quorum, e->app, ok ? e : NULL, s->w->now_ns);
	if (!ok)
		cl_end_close(e, false);
}

static void gone(struct cl_server *s, struct cl_end *e)
{
	if (e->kind == CL_PEER)
		quorum_gone(s->quorum, e->app, s->w->now_ns);
	else
		srv_gone(e->app, s->w->now_ns);
	/* closed by us, lost, or reset: who is at the other end has been told, or never is */
	if (e->conn->end[!e->k].gone_ns || e->fin)
		cl_end_close(e, true);
	else
		cl_end_close(e, cl_chance(s->w, 700));
}

static void input(struct cl_server *s, struct cl_end *e)
{
	e->news = false;
	if (e->kind == CL_PEER)
		quorum_input(s->quorum, e->app, s->w->now_ns);
	else
		srv_input(e->app, s->w->now_ns);
}

static void hear(struct cl_server *s, struct cl_end *e)
{
	uint64_t now = s->w->now_ns;

	if (e->accepting) {
		accept_end(s, e);
		return;
	}
	if (e->dialling) {
		if (e->dial != CL_DIAL_WAITS)
			dialled(s, e);
		return;
	}
	if (e->news && !(e->fin && e->kind == CL_CLIENT_PORT))
		input(s, e);
	if (e->open && e->drained && !e->fin && !e->gone_ns) {
		e->drained = false;
		if (e->kind == CL_PEER)
			quorum_writable(s->quorum, e->app, now);
		else
			srv_writable(e->app, now);
	}
	if (e->open && e->fin_ns && !e->gone_ns) {
		if (e->kind == CL_PEER) {
			if (!cl_pipe_peek(e).n || now - e->fin_ns > 1000 * cl_ms)
				e->gone_ns = now;
		} else if (!e->fin_told) {
			e->fin_told = true;
			srv_fin(e->app, now);
		}
	}
	if (e->open && e->gone_ns && now >= e->gone_ns)
		gone(s, e);
}

void cl_net_serve(struct cl *w, struct cl_server *s)
{
	for (unsigned i = 0; (i = cl_conn_next(w, i)) < CL_CONNS; i++)
		for (unsigned k = 0; k < 2 && w->conn[i].used; k++) {
			struct cl_end *e = &w->conn[i].end[k];

			if (!e->open || e->who != s->index || e->kind == CL_CLIENT)
				continue;
			if (e->kind == CL_CLIENT_PORT && !s->srv)
				continue;
			hear(s, e);
		}
}
