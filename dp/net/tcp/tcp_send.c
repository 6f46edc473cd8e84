/* SPDX-License-Identifier: Apache-2.0 */
/** The send queue: one packet is one segment of at most one MSS. */
#include "dp/net/tcp/tcp_int.h"

enum { CREDIT_MAX = 4096, CREDIT_LOW = 1024 };

/* The pool is asked rarely: that can cost a walk over its caches. */
static void pool_ask(struct tcp *t)
{
	uint32_t n = pkt_pool_free_count(t->n->conf.pool);

	n = n > t->pool_reserve ? n - t->pool_reserve : 0;
	t->pool_credit = n < CREDIT_MAX ? n : CREDIT_MAX;
	if (!n)
		t->pool_asked = true;
}

/* May data have one more buffer? */
bool tcp_pool_data_ok(struct tcp *t)
{
	if (t->snd.held >= t->snd.max)
		return false;
	if (zk_likely(t->pool_credit))
		return true;
	if (t->pool_asked)
		return false;
	pool_ask(t);
	return t->pool_credit > 0;
}

uint32_t tcp_snd_room(struct tcp *t)
{
	uint32_t left;

	/* what is left of the last answer is no sign of a shortage */
	if (t->pool_credit < CREDIT_LOW && !t->pool_asked)
		pool_ask(t);
	if (!tcp_pool_data_ok(t))
		return 0;
	left = t->snd.max - t->snd.held;
	return left < t->pool_credit || t->pool_credit >= CREDIT_LOW ? left : t->pool_credit;
}

static void wait_mem(struct tcp_conn *c)
{
	c->t->stats->tcp_snd_mem_waits++;
	if (!zk_list_linked(&c->mem_wait))
		zk_list_add_tail(&c->t->mem_wait, &c->mem_wait);
}

struct pkt *tcp_snd_new(struct tcp_conn *c)
{
	struct tcp *t = c->t;
	struct pkt *p;

	if (c->snd_pkts >= t->snd_pkts_max) {
		t->stats->tcp_snd_buf_waits++;
		c->flags |= CF_WANT_WRITE;
		return NULL;
	}
	if (c->snd_pkts >= tcp_mem_share(&t->snd)) {
		/* The ACKs of what it holds wake it: nothing else has to. */
		t->stats->tcp_snd_share_waits++;
		c->flags |= CF_WANT_WRITE;
		return NULL;
	}
	if (!tcp_pool_data_ok(t) || !(p = pkt_alloc(t->n->conf.pool))) {
		wait_mem(c);
		return NULL;
	}
	t->pool_credit--;
	return p;
}

static void seg_init(struct tcp_conn *c, struct pkt *p, struct tcp_seq seq)
{
	*tcp_seg(p) = (struct tcp_seg){.seq = seq};
	p->next = NULL;
	c->snd_pkts++;
	c->t->snd.held++;
}

/* Append an empty segment behind everything queued. */
void tcp_snd_link(struct tcp_conn *c, struct pkt *p)
{
	seg_init(c, p, tcp_seq_add(c->snd_nxt, c->unsent_bytes));
	if (c->snd_head)
		c->snd_tail->next = p;
	else
		c->snd_head = p;
	c->snd_tail = p;
	if (!c->snd_next)
		c->snd_next = p;
}

void tcp_snd_free_head(struct tcp_conn *c)
{
	struct pkt *p = c->snd_head;
	struct tcp_seg *s = tcp_seg(p);

	c->snd_head = p->next;
	if (!c->snd_head)
		c->snd_tail = NULL;
	if (c->snd_next == p)
		c->snd_next = p->next;
	c->snd_bytes -= s->len;
	if (!(s->flags & SEG_SENT))
		c->unsent_bytes -= s->len;
	zk_assert(c->snd_pkts > 0 && c->t->snd.held > 0);
	c->snd_pkts--;
	c->t->snd.held--;
	pkt_free(p);
}

/* Make two segments of @p p; the first keeps @p first bytes. Uses the control reserve, because it
 * serves to get data out. @return false: no buffer. */
bool tcp_snd_split(struct tcp_conn *c, struct pkt *p, uint32_t first)
{
	struct tcp_seg *s = tcp_seg(p), *r;
	struct pkt *q;

	zk_assert(first > 0 && first < s->len && !(s->flags & SEG_SACKED));
	q = tcp_ctl_alloc(c->t);
	if (!q)
		return false;
	c->t->stats->tcp_splits++;
	seg_init(c, q, tcp_seq_add(s->seq, first));
	r = tcp_seg(q);
	r->len = (uint16_t)(s->len - first);
	r->flags = s->flags & (uint16_t)~SEG_SUM;
	r->sent_ns = s->sent_ns;
	memcpy(pkt_append(q, r->len), p->buf + PKT_HEADROOM + s->off + first, r->len);
	s->len = (uint16_t)first;
	s->flags &= (uint16_t) ~(SEG_SUM | SEG_FIN);
	if (!(s->flags & SEG_SENT))
		p->len = first;
	q->next = p->next;
	p->next = q;
	if (c->snd_tail == p)
		c->snd_tail = q;
	if (c->snd_next == q->next && (s->flags & SEG_SENT))
		zk_assert(r->flags & SEG_SENT);
	return true;
}

/* @return false: no buffer; tried again later (CF_FIN_WANTED). */
bool tcp_queue_fin(struct tcp_conn *c)
{
	struct pkt *p;

	zk_assert(!(c->flags & (CF_FIN_QUEUED | CF_TAIL_OPEN)));
	if (!c->snd_next) {
		p = tcp_ctl_alloc(c->t);
		if (!p) {
			c->flags |= CF_FIN_WANTED;
			wait_mem(c);
			return false;
		}
		tcp_snd_link(c, p);
	}
	tcp_seg(c->snd_tail)->flags |= SEG_FIN;
	c->flags |= CF_FIN_QUEUED;
	c->flags &= ~(uint32_t)CF_FIN_WANTED;
	return true;
}

/* Tell who waits for room once a quarter of the budget is free. */
void tcp_snd_wake(struct tcp_conn *c)
{
	uint32_t buf = c->t->conf.snd_buf_bytes, pkts = c->t->snd_pkts_max;
	uint32_t share = tcp_mem_share(&c->t->snd);

	if (pkts > share)
		pkts = share;
	if (c->snd_bytes > buf - buf / 4 || c->snd_pkts >= pkts || c->snd_pkts > pkts - pkts / 4)
		return;
	c->flags &= ~(uint32_t)CF_WANT_WRITE;
	tcp_event(c, TCP_READY_WRITE);
}
