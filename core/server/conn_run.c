/* SPDX-License-Identifier: Apache-2.0 */
/* Frames out of a stream of bytes: in place when a run holds them whole, else collected. */
#include "core/server/srv_int.h"

enum { WHOLE_AT = 8 };

/** May the parser go on? */
static bool conn_reads(const struct srv_conn *c)
{
	return (c->state == CONN_LIVE || c->state == CONN_FIRST) && !c->doomed && !c->closing &&
	       c->out.n == 0 && !c->job && !c->s->draining;
}

/** The length in front of a frame. False: the connection was closed, or is a four-letter word's. */
static bool frame_length(struct srv_conn *c, const uint8_t *p, uint32_t *n)
{
	*n = zk_get32(p);
	if (c->state == CONN_FIRST && words_first(c, p))
		return false;
	if (zk_likely(*n != 0 && *n <= c->s->maxbuffer)) /* negative ones are large */
		return zk_likely(!c->s->limited) || limit_length(c, *n);
	conn_malformed(c);
	return false;
}

struct ahead {
	uint32_t n; /* of the frame, without its length */
	bool hashed;
	uint64_t hash;
};

/** Find the complete frames of a run and start loading what their paths hash to. */
static unsigned look_ahead(const struct srv_conn *c, struct zk_span run, struct ahead *v,
			   unsigned max)
{
	const uint8_t *p = run.p, *end = run.p + run.n;
	unsigned k = 0;

	for (; k < max && (size_t)(end - p) >= 4; k++) {
		uint32_t n = zk_get32(p), path_n;

		if (n == 0 || n > c->s->maxbuffer || (size_t)(end - p) - 4 < n)
			break;
		v[k].n = n;
		v[k].hashed = false;
		if (n >= 12) {
			int32_t op = (int32_t)zk_get32(p + 8);

			path_n = zk_get32(p + 12);
			if ((op == ZK_OP_GET_DATA || op == ZK_OP_EXISTS ||
			     op == ZK_OP_GET_CHILDREN2 || op == ZK_OP_GET_CHILDREN ||
			     op == ZK_OP_GET_ACL) &&
			    path_n <= n - 12) {
				v[k].hashed = true;
				v[k].hash = tree_hash(c->s->tree, zk_span_of(p + 16, path_n));
				tree_prefetch(c->s->tree, v[k].hash);
			}
		}
		p += 4 + (size_t)n;
	}
	return k;
}

/** Append to the frame being collected. The buffer grows with what has come, and to what the length
 * field claims only when a good part of it is there. */
static bool in_append(struct srv_conn *c, const uint8_t *p, size_t n)
{
	struct conn_in *in = &c->in;
	size_t need = in->n + n, cap = in->cap ? in->cap : SRV_IN_FIRST_BYTES;
	uint8_t *q;

	size_t whole = in->n >= 4 ? 4 + (size_t)zk_get32(in->p) : 0;

	if (cap < need && whole >= need && need >= whole / WHOLE_AT)
		cap = whole; /* no more copies */
	while (cap < need)
		cap *= 2;
	if (cap != in->cap) {
		q = zk_mem_alloc(c->s->conf.mem, cap);
		if (!q) {
			c->s->n.memory_refused++;
			conn_doom(c);
			return false;
		}
		if (in->n)
			memcpy(q, in->p, in->n);
		zk_mem_free(c->s->conf.mem, in->p, in->cap);
		in->p = q;
		in->cap = (uint32_t)cap;
	}
	memcpy(in->p + in->n, p, n);
	in->n += (uint32_t)n;
	return true;
}

/** Go on with a frame that came in pieces. False: nothing more to do now. */
static bool run_collected(struct srv_conn *c, unsigned *budget)
{
	struct srv_io *io = &c->s->io;
	size_t need = 4;
	uint32_t n = 0;

	for (;;) {
		struct zk_span run;
		size_t m;

		if (c->in.n >= 4) {
			n = zk_get32(c->in.p);
			need = 4 + (size_t)n;
		}
		if (c->in.n >= 4 && c->in.n >= need)
			break;
		run = io->peek(c->t, 0);
		if (run.n == 0)
			return false;
		m = need - c->in.n < run.n ? need - c->in.n : run.n;
		if (!in_append(c, run.p, m))
			return false;
		io->read_done(c->t, m);
		if (need == 4 && c->in.n == 4 && !frame_length(c, c->in.p, &n))
			return false;
	}
	if (conn_frame(c, zk_span_of(c->in.p + 4, n), NULL) == CONN_STOP)
		return false;
	(*budget)--;
	conn_in_free(c);
	return true;
}

/** Serve the frames that lie complete in one run. False: nothing more to do now. */
static bool run_in_place(struct srv_conn *c, struct zk_span run, unsigned *budget)
{
	struct srv_io *io = &c->s->io;
	struct ahead v[SRV_AHEAD];
	size_t used = 0;
	bool go = true;

	while (go && run.n - used >= 4) {
		struct zk_span rest = {run.p + used, run.n - used};
		unsigned k = look_ahead(c, rest, v, c->state == CONN_FIRST ? 1 : SRV_AHEAD);

		if (k == 0)
			break;
		for (unsigned i = 0; i < k && go; i++) {
			struct zk_span f = {run.p + used + 4, v[i].n};

			if (conn_frame(c, f, v[i].hashed ? &v[i].hash : NULL) == CONN_STOP) {
				go = false;
				break;
			}
			used += 4 + (size_t)v[i].n;
			(*budget)--;
			go = *budget > 0 && conn_reads(c);
		}
	}
	if (c->state >= CONN_CLOSING)
		return false;     /* the bytes are gone already */
	if (go && run.n > used) { /* a piece of a frame at the end of the run */
		uint32_t n;
		size_t rest = run.n - used;

		if (rest >= 4 && !frame_length(c, run.p + used, &n))
			return false;
		if (!in_append(c, run.p + used, rest))
			return false;
		used = run.n;
	}
	if (used)
		io->read_done(c->t, used);
	return go;
}

/** Has everything been served that came before the peer's FIN? */
static bool conn_exhausted(const struct srv_conn *c)
{
	bool whole = c->in.n >= 4 && c->in.n >= 4 + (size_t)zk_get32(c->in.p);

	return c->peer_fin && conn_reads(c) && !c->waiting && !whole &&
	       c->s->io.readable(c->t) == 0;
}

/** Remember since when the bytes that the parser leaves have been here. */
static void mark_waiting(struct srv_conn *c)
{
	if (c->stop_left || (!c->stopped && conn_reads(c)))
		return;
	c->stop_left = c->in.n + (uint32_t)c->s->io.readable(c->t);
	c->stop_ns = c->s->now_ns;
}

void conn_run(struct srv_conn *c)
{
	struct srv *s = c->s;
	unsigned budget = s->conf.reads_per_conn_round;
	bool go = true;

	if (zk_unlikely(c->state == CONN_MASK)) {
		words_mask(c);
		return;
	}
	if (zk_unlikely(s->parting) && conn_of_old(c)) {
		conn_part(c);
		return;
	}
	c->stopped = false;
	while (go && budget > 0 && conn_reads(c)) {
		struct zk_span run;

		if (c->in.n) {
			go = run_collected(c, &budget);
			continue;
		}
		run = s->io.peek(c->t, 0);
		if (run.n == 0)
			break;
		if (c->state == CONN_FIRST && run.n >= 4) {
			uint32_t n;

			if (!frame_length(c, run.p, &n))
				return;
		}
		go = run_in_place(c, run, &budget);
	}
	if (conn_over(c))
		return;
	mark_waiting(c);
	if (c->out.n)
		s->n.out_full++;
	if (budget == 0 && conn_reads(c))
		conn_schedule(c);
	else if (conn_exhausted(c))
		conn_finish(c);
	else if (s->draining && !c->waiting && c->out.n == 0 && !c->job)
		conn_finish(c);
}
