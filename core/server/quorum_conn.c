/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of both ports: bytes that came in pieces, bytes that have no room yet, and how a
 * connection ends. */
#include "core/server/quorum_int.h"

enum { BYTES_FIRST = 1024 };

/* ---- buffers ---- */

bool quorum_bytes_reserve(struct quorum *q, struct quorum_bytes *b, size_t need, size_t max)
{
	size_t cap = b->cap ? b->cap : BYTES_FIRST;
	uint8_t *p;

	if (need <= b->cap)
		return true;
	if (need > max)
		return false;
	while (cap < need)
		cap *= 2;
	p = zk_mem_alloc(q->conf.mem, cap);
	if (!p)
		return false;
	if (b->n)
		memcpy(p, b->p, b->n);
	zk_mem_free(q->conf.mem, b->p, b->cap);
	b->p = p;
	b->cap = cap;
	return true;
}

bool quorum_bytes_more(struct quorum *q, struct quorum_bytes *b, size_t n, size_t max)
{
	if (b->at > b->n / 2) {
		memmove(b->p, b->p + b->at, b->n - b->at);
		b->n -= b->at;
		b->at = 0;
	}
	return quorum_bytes_reserve(q, b, b->n + n, max);
}

void quorum_bytes_free(struct quorum *q, struct quorum_bytes *b)
{
	zk_mem_free(q->conf.mem, b->p, b->cap);
	*b = (struct quorum_bytes){0};
}

void quorum_bytes_clear(struct quorum *q, struct quorum_bytes *b)
{
	if (b->cap > QUORUM_BYTES_KEEP)
		quorum_bytes_free(q, b);
	b->at = b->n = 0;
}

/* ---- life ---- */

struct quorum_conn *quorum_conn_take(struct quorum *q, enum quorum_port port, uint32_t link)
{
	for (unsigned i = 0; i < QUORUM_CONNS_MAX; i++) {
		struct quorum_conn *c = &q->conn[i];

		if (c->state != QUORUM_CONN_FREE || c == q->reading)
			continue;
		*c = (struct quorum_conn){.port = port, .link = link, .since_ns = q->now_ns};
		return c;
	}
	return NULL;
}

void quorum_conn_again(struct quorum *q, struct quorum_conn *c, bool again)
{
	q->again += (unsigned)again - (unsigned)c->again;
	c->again = again;
}

void quorum_conn_break(struct quorum *q, struct quorum_conn *c)
{
	q->broken += !c->broken;
	c->broken = true;
}

static void clear_marks(struct quorum *q, struct quorum_conn *c)
{
	quorum_conn_again(q, c, false);
	q->broken -= c->broken;
	c->broken = false;
	q->aside -= c->aside.n > 0;
	quorum_bytes_free(q, &c->aside);
}

void quorum_conn_free(struct quorum *q, struct quorum_conn *c)
{
	clear_marks(q, c);
	c->state = QUORUM_CONN_FREE;
	c->transport = NULL;
	quorum_bytes_free(q, &c->out);
	if (c != q->reading)
		quorum_bytes_free(q, &c->in);
}

/* The transport hears of the end. It may call quorum_gone() at once. */
static void finish(struct quorum *q, struct quorum_conn *c)
{
	const struct srv_io *io = q->conf.net.io;

	quorum_bytes_free(q, &c->in);
	if (c->end == QUORUM_END_ABORT) {
		quorum_bytes_free(q, &c->out);
		io->abort(c->transport);
	} else if (!c->out.n) {
		io->shutdown(c->transport);
	}
}

void quorum_conn_end(struct quorum *q, struct quorum_conn *c, enum quorum_conn_end how)
{
	clear_marks(q, c);
	if (c->state == QUORUM_CONN_DIALLING) {
		c->state = QUORUM_CONN_CANCELLED;
		return;
	}
	zk_assert(c->state == QUORUM_CONN_OPEN);
	c->state = QUORUM_CONN_ENDING;
	c->end = how;
	if (c != q->reading)
		finish(q, c);
}

void quorum_reading(struct quorum *q, struct quorum_conn *c)
{
	zk_assert(!q->reading);
	q->reading = c;
}

void quorum_read(struct quorum *q)
{
	struct quorum_conn *c = q->reading;

	q->reading = NULL;
	if (c->state == QUORUM_CONN_ENDING)
		finish(q, c);
	else if (c->state == QUORUM_CONN_FREE)
		quorum_bytes_free(q, &c->in);
}

/* ---- out ---- */

size_t quorum_conn_room(const struct quorum *q, const struct quorum_conn *c)
{
	size_t sent, max = q->conf.net.send_bytes;

	if (c->out.n)
		return 0;
	sent = q->conf.net.io->unacked(c->transport);
	return sent < max ? max - sent : 0;
}

void quorum_conn_put(struct quorum *q, struct quorum_conn *c, struct zk_span bytes)
{
	/* What zab was told that there is room for, and one packet more. */
	size_t max = q->conf.net.send_bytes + q->conf.zab.data_max + QUORUM_SPILL_SPARE, n = 0;

	if (c->broken)
		return;
	if (!c->out.n)
		n = q->conf.net.io->write(c->transport, bytes.p, bytes.n);
	if (n == bytes.n)
		return;
	if (!quorum_bytes_more(q, &c->out, bytes.n - n, max)) {
		q->refused++;
		quorum_conn_break(q, c);
		return;
	}
	memcpy(c->out.p + c->out.n, bytes.p + n, bytes.n - n);
	c->out.n += bytes.n - n;
}

void quorum_conn_send(struct quorum *q, struct quorum_conn *c, const struct zab_packet *p)
{
	uint8_t head[16], tail[4];

	zk_put32(head, (uint32_t)p->type);
	zk_put64(head + 4, p->zxid);
	zk_put32(head + 12, p->data.p ? (uint32_t)p->data.n : UINT32_MAX);
	zk_put32(tail, UINT32_MAX);
	quorum_conn_put(q, c, zk_span_of(head, sizeof(head)));
	if (p->data.p)
		quorum_conn_put(q, c, p->data);
	quorum_conn_put(q, c, p->auth.p ? p->auth : zk_span_of(tail, sizeof(tail)));
}

void quorum_conn_flush(struct quorum *q, struct quorum_conn *c)
{
	struct quorum_bytes *b = &c->out;

	if (!b->n)
		return;
	b->at += q->conf.net.io->write(c->transport, b->p + b->at, b->n - b->at);
	if (b->at < b->n)
		return;
	quorum_bytes_clear(q, b);
	if (c->state == QUORUM_CONN_ENDING && c->end == QUORUM_END_FLUSH)
		q->conf.net.io->shutdown(c->transport);
}

/* ---- in ---- */

/* More of a message that does not lie in one piece. @return ZK_EOK: something came. */
static enum zk_err gather(struct quorum *q, struct quorum_conn *c, struct zk_span more, size_t max)
{
	size_t n = more.n < max - c->in.n ? more.n : max - c->in.n;

	if (!n)
		return ZK_EINVAL; /* as long as it may be, and still no end */
	if (!quorum_bytes_reserve(q, &c->in, c->in.n + n, max))
		return ZK_ENOMEM;
	memcpy(c->in.p + c->in.n, more.p, n);
	c->in.n += n;
	return ZK_EOK;
}

enum zk_err quorum_conn_packet(struct quorum *q, struct quorum_conn *c, uint32_t data_max,
			       struct zab_packet *p, size_t *used)
{
	const struct srv_io *io = q->conf.net.io;
	size_t max = (size_t)data_max + QUORUM_SPILL_SPARE, before;
	struct zk_span w;
	enum zk_err err;

	if (c->in.n) { /* whole, but there was no room for it where it goes */
		err = zab_packet_get(zk_span_of(c->in.p, c->in.n), data_max, p, used);
		if (err != ZK_EAGAIN)
			return err;
	}
	while ((w = io->peek(c->transport, 0)).n) {
		if (!c->in.n) {
			err = zab_packet_get(w, data_max, p, used);
			if (err != ZK_EAGAIN)
				return err;
		}
		before = c->in.n;
		err = gather(q, c, w, max);
		if (err != ZK_EOK)
			return err;
		err = zab_packet_get(zk_span_of(c->in.p, c->in.n), data_max, p, used);
		if (err == ZK_EOK)
			c->in.n = *used; /* what is behind it stays where it was */
		io->read_done(c->transport, c->in.n - before);
		if (err != ZK_EAGAIN)
			return err;
	}
	return ZK_EAGAIN;
}

void quorum_conn_taken(struct quorum *q, struct quorum_conn *c, size_t used)
{
	if (c->in.n)
		quorum_bytes_clear(q, &c->in);
	else
		q->conf.net.io->read_done(c->transport, used);
}
