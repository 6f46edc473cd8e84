/* SPDX-License-Identifier: Apache-2.0 */
/** The application's side of a connection: dp/net/tcp/tcp.h. */
#include "dp/net/tcp/tcp_int.h"

struct tcp_conn *tcp_next_ready(struct tcp *t, unsigned *events)
{
	struct tcp_conn *c;

	if (zk_list_empty(&t->ready))
		return NULL;
	c = zk_container_of(t->ready.next, struct tcp_conn, ready);
	zk_list_del(&c->ready);
	*events = c->events;
	c->events = 0;
	return c;
}

void tcp_user_set(struct tcp_conn *c, void *user)
{
	c->user = user;
}

void *tcp_user(const struct tcp_conn *c)
{
	return c->user;
}

const struct net_tuple *tcp_tuple(const struct tcp_conn *c)
{
	return &c->tuple;
}

enum tcp_close_reason tcp_close_reason(const struct tcp_conn *c)
{
	return (enum tcp_close_reason)c->close_reason;
}

uint32_t tcp_conns(const struct tcp *t)
{
	return t->conns;
}

struct zk_span tcp_peek(const struct tcp_conn *c, size_t skip)
{
	for (const struct pkt *p = c->rcv_head; p; p = p->next) {
		if (skip < p->len)
			return zk_span_of(p->data + skip, p->len - skip);
		skip -= p->len;
	}
	return zk_span_of(NULL, 0);
}

size_t tcp_readable(const struct tcp_conn *c)
{
	return c->rcv_bytes;
}

void tcp_read_done(struct tcp_conn *c, size_t n)
{
	zk_assert(n <= c->rcv_bytes && !(c->flags & CF_RELEASED));
	c->rcv_bytes -= (uint32_t)n;
	while (n > 0) {
		struct pkt *p = c->rcv_head;

		if (n < p->len) {
			pkt_pull(p, (uint32_t)n);
			break;
		}
		n -= p->len;
		c->rcv_head = p->next;
		if (!c->rcv_head)
			c->rcv_tail = NULL;
		tcp_rcv_free(c, p);
	}
	/* The window may have opened; the round's end decides. */
	if (!(c->flags & CF_ROUND) && c->state >= TCP_ESTABLISHED && tcp_rcv_update_due(c)) {
		c->flags |= CF_ROUND;
		tcp_work(c);
	}
}

static bool may_write(const struct tcp_conn *c)
{
	return (c->state == TCP_ESTABLISHED || c->state == TCP_CLOSE_WAIT) &&
	       !(c->flags & (CF_FIN_QUEUED | CF_FIN_WANTED | CF_RELEASED));
}

static bool budget(struct tcp_conn *c, uint32_t n)
{
	if (zk_likely(c->snd_bytes + n <= c->t->conf.snd_buf_bytes || c->snd_bytes == 0))
		return true;
	c->flags |= CF_WANT_WRITE;
	c->t->stats->tcp_snd_buf_waits++;
	return false;
}

/* Room left in the unsent tail packet. */
static uint32_t tail_room(const struct tcp_conn *c)
{
	const struct tcp_seg *s;
	uint32_t room, limit;

	if (!c->snd_next)
		return 0;
	s = tcp_seg_const(c->snd_tail);
	if (s->len >= c->mss)
		return 0;
	room = pkt_tailroom(c->snd_tail);
	limit = c->mss - (uint32_t)s->len;
	return room < limit ? room : limit;
}

static void tail_grow(struct tcp_conn *c, uint32_t n)
{
	struct tcp_seg *s = tcp_seg(c->snd_tail);

	s->len = (uint16_t)(s->len + n);
	s->flags &= (uint16_t)~SEG_SUM;
	c->snd_bytes += n;
	c->unsent_bytes += n;
	tcp_work(c);
}

size_t tcp_write(struct tcp_conn *c, const void *bytes, size_t n)
{
	const uint8_t *b = bytes;
	size_t done = 0;

	zk_assert(!(c->flags & CF_TAIL_OPEN));
	if (!may_write(c))
		return 0;
	while (done < n) {
		uint32_t room = tail_room(c), k, left;
		struct pkt *p;

		if (room == 0) {
			if (!budget(c, 1) || !(p = tcp_snd_new(c)))
				break;
			tcp_snd_link(c, p);
			room = tail_room(c);
		}
		k = n - done < room ? (uint32_t)(n - done) : room;
		left = c->t->conf.snd_buf_bytes - c->snd_bytes;
		if (k > left && c->snd_bytes) {
			k = left;
			if (!budget(c, k + 1) && k == 0)
				break;
		}
		memcpy(pkt_append(c->snd_tail, k), b + done, k);
		tail_grow(c, k);
		done += k;
	}
	return done;
}

void *tcp_tail(struct tcp_conn *c, size_t n)
{
	struct pkt *p;

	zk_assert(!(c->flags & CF_TAIL_OPEN));
	if (n > c->mss || n == 0 || !may_write(c) || !budget(c, (uint32_t)n))
		return NULL;
	if (n > tail_room(c)) {
		p = tcp_snd_new(c);
		if (!p)
			return NULL;
		tcp_snd_link(c, p);
	}
	c->flags |= CF_TAIL_OPEN;
	c->tail_reserved = (uint16_t)n;
	return c->snd_tail->data + c->snd_tail->len;
}

/* Take an empty tail packet back. */
static void tail_drop(struct tcp_conn *c)
{
	struct pkt *last = c->snd_tail, *p = c->snd_head;

	if (p == last) {
		tcp_snd_free_head(c);
		return;
	}
	while (p->next != last)
		p = p->next;
	p->next = NULL;
	c->snd_tail = p;
	if (c->snd_next == last)
		c->snd_next = NULL;
	c->snd_pkts--;
	c->t->snd.held--;
	pkt_free(last);
}

void tcp_tail_commit(struct tcp_conn *c, size_t used)
{
	zk_assert((c->flags & CF_TAIL_OPEN) && used <= c->tail_reserved);
	c->flags &= ~(uint32_t)CF_TAIL_OPEN;
	if (used) {
		pkt_append(c->snd_tail, (uint32_t)used);
		tail_grow(c, (uint32_t)used);
	} else if (tcp_seg(c->snd_tail)->len == 0) {
		tail_drop(c);
	}
}

size_t tcp_unsent(const struct tcp_conn *c)
{
	return c->unsent_bytes;
}

size_t tcp_unacked(const struct tcp_conn *c)
{
	return c->snd_bytes;
}

void tcp_shutdown(struct tcp_conn *c, uint64_t now_ns)
{
	struct tcp *t = c->t;

	tcp_now(t, now_ns);
	switch (c->state) {
	case TCP_ESTABLISHED:
		c->state = TCP_FIN_WAIT_1;
		break;
	case TCP_CLOSE_WAIT:
		c->state = TCP_LAST_ACK;
		break;
	case TCP_SYN_SENT:
	case TCP_SYN_RCVD:
		tcp_conn_finish(c, TCP_CLOSE_LOCAL);
		return;
	default:
		return; /* on its way already */
	}
	c->keepalives = 0;
	tcp_life_arm(c, t->conf.fin_wait_ms);
	if (tcp_queue_fin(c))
		tcp_work(c);
}

void tcp_abort(struct tcp_conn *c, uint64_t now_ns)
{
	tcp_now(c->t, now_ns);
	if (c->state == TCP_CLOSED)
		return;
	if (c->state != TCP_SYN_SENT)
		tcp_rst_conn(c);
	c->flags &= ~(uint32_t)CF_TAIL_OPEN;
	tcp_conn_finish(c, TCP_CLOSE_LOCAL);
}

void tcp_release(struct tcp_conn *c, uint64_t now_ns)
{
	tcp_now(c->t, now_ns);
	zk_assert(!(c->flags & CF_RELEASED) && (c->flags & CF_VISIBLE));
	c->user = NULL;
	if (c->state == TCP_CLOSED) {
		tcp_conn_drop(c);
		return;
	}
	if (c->flags & CF_TAIL_OPEN)
		tcp_tail_commit(c, 0);
	c->flags |= CF_RELEASED;
	zk_list_del(&c->ready);
	if (c->rcv_bytes || c->state == TCP_SYN_SENT) {
		tcp_abort(c, now_ns);
		return;
	}
	tcp_shutdown(c, now_ns);
}
