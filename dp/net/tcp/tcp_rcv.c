/* SPDX-License-Identifier: Apache-2.0 */
/** The receive queue and the window we offer (RFC 9293 3.8.6). */
#include "dp/net/tcp/tcp_int.h"

enum { SMALL_BYTES_MIN = 256, COALESCE_WALK_MAX = 4096, UNREAD_PKTS_MAX = 2 };

void tcp_rcv_free(struct tcp_conn *c, struct pkt *p)
{
	zk_assert(c->rcv_pkts > 0);
	c->rcv_pkts--;
	if (tcp_seg(p)->flags & SEG_SMALL) {
		zk_mem_free(tcp_mem(c->t), p, sizeof(*p) + p->buf_bytes);
		return;
	}
	c->t->rcv.held--;
	pkt_free(p);
}

/* Takes @p p, trimmed to its new bytes, onto the queue. */
void tcp_rcv_append(struct tcp_conn *c, struct pkt *p)
{
	uint32_t n = p->len;

	tcp_seg(p)->flags = 0;
	p->next = NULL;
	if (c->rcv_head)
		c->rcv_tail->next = p;
	else
		c->rcv_head = p;
	c->rcv_tail = p;
	c->rcv_pkts++;
	c->t->rcv.held++;
	c->rcv_bytes += n;
	c->rcv_nxt = tcp_seq_add(c->rcv_nxt, n);
	c->rx_unacked += n;
	if (n > c->rcv_mss)
		c->rcv_mss = (uint16_t)n;
	c->t->stats->tcp_rx_bytes += n;
}

/* In-order data may pass the core's limit a little for a connection that holds nothing, or nobody
 * could ever read and the memory would never come back. When memory is short, who has left bytes
 * unread gets little more, whatever window it was promised before. */
bool tcp_rcv_mem_ok(const struct tcp_conn *c, bool in_order)
{
	const struct tcp *t = c->t;
	uint32_t max = t->rcv.max;

	if (c->rcv_pkts >= UINT16_MAX - 1)
		return false;
	if (zk_likely(!tcp_mem_short(&t->rcv)))
		return in_order || c->rcv_pkts + (uint32_t)c->ooo_pkts < tcp_mem_share(&t->rcv);
	if (!in_order)
		return false;
	if (c->flags & CF_UNREAD && c->rcv_pkts >= UNREAD_PKTS_MAX)
		return false;
	return t->rcv.held < max || (c->rcv_pkts == 0 && t->rcv.held < max + max / 8 + 16);
}

void tcp_data_in(struct tcp_conn *c, struct tcp_in *in)
{
	bool in_order = tcp_seq_eq(in->seq, c->rcv_nxt);

	c->flags |= CF_ROUND;
	if (!tcp_rcv_mem_ok(c, in_order)) {
		c->t->stats->tcp_rcv_mem_dropped++;
		c->flags |= CF_ACK_NOW;
		in->flags &= (uint8_t)~TH_FIN; /* it comes again with the data */
		in->len = 0;
		return;
	}
	if (!in_order) {
		tcp_ooo_insert(c, in);
		c->flags |= CF_ACK_NOW;
		if (!(c->flags & CF_SACK) && c->dupacks_owed < TCP_DUPACKS_OWED_MAX)
			c->dupacks_owed++;
		return;
	}
	tcp_rcv_append(c, in->p);
	in->p = NULL;
	tcp_event(c, TCP_READY_READ);
}

/* The largest window that the field can tell. */
static uint32_t sayable(const struct tcp_conn *c)
{
	return (uint32_t)UINT16_MAX << c->rcv_wscale;
}

uint32_t tcp_rcv_window(const struct tcp_conn *c)
{
	const struct tcp *t = c->t;
	uint32_t buf = t->conf.rcv_buf_bytes, held = c->rcv_pkts + (uint32_t)c->ooo_pkts;
	uint32_t avail = buf > c->rcv_bytes ? buf - c->rcv_bytes : 0, say = sayable(c), share, most;

	if (avail > say)
		avail = say;
	if (zk_likely(!tcp_mem_half(&t->rcv)))
		return avail;
	/* Short of memory: who has not read what it has gets no more. */
	if (tcp_mem_short(&t->rcv)) {
		most = c->rcv_bytes ? 0 : 4u * t->mss_local;
	} else {
		share = tcp_mem_share(&t->rcv);
		most = share > held ? (share - held) * t->mss_local : 0;
	}
	return avail < most ? avail : most;
}

/* The least step of the right edge that is worth saying (RFC 9293 3.8.6.2.2). */
static uint32_t edge_step(const struct tcp_conn *c)
{
	uint32_t half = c->t->conf.rcv_buf_bytes / 2;

	return half < c->t->mss_local ? half : c->t->mss_local;
}

static uint32_t promised(const struct tcp_conn *c)
{
	return tcp_seq_diff(c->rcv_adv, c->rcv_nxt);
}

uint16_t tcp_rcv_window_field(struct tcp_conn *c)
{
	uint32_t now = promised(c), avail = tcp_rcv_window(c), field;

	if (avail >= now + edge_step(c))
		now = avail;
	field = now >> c->rcv_wscale;
	if (field > UINT16_MAX)
		field = UINT16_MAX;
	c->rcv_adv = tcp_seq_max(c->rcv_adv, tcp_seq_add(c->rcv_nxt, field << c->rcv_wscale));
	return (uint16_t)field;
}

bool tcp_rcv_update_due(const struct tcp_conn *c)
{
	uint32_t now = promised(c), avail = tcp_rcv_window(c), buf = c->t->conf.rcv_buf_bytes;

	if (buf > sayable(c))
		buf = sayable(c);
	if (avail <= now || c->state == TCP_CLOSED || (c->flags & CF_FIN_RCVD))
		return false;
	/* A nearly closed window is news as soon as it opens; a wide one goes with the next ACK. */
	return (now < 2u * c->t->mss_local || now < buf / 8) && avail - now >= edge_step(c);
}

static struct pkt *small_new(struct tcp_conn *c, const struct pkt *from)
{
	uint32_t room = from->len * 2 > SMALL_BYTES_MIN ? from->len * 2 : SMALL_BYTES_MIN;
	struct pkt *p = zk_mem_alloc(tcp_mem(c->t), sizeof(*p) + room);

	if (!p)
		return NULL;
	*p = (struct pkt){.buf = (uint8_t *)(p + 1), .data = (uint8_t *)(p + 1), .buf_bytes = room};
	tcp_seg(p)->flags = SEG_SMALL;
	memcpy(pkt_append(p, from->len), from->data, from->len);
	return p;
}

static bool writable(const struct pkt *p)
{
	return (tcp_seg_const(p)->flags & SEG_SMALL) || !pkt_shared(p);
}

/* Unread bytes that fill less than a quarter of their buffer move together, so that a half-sent
 * request costs what it is, not a packet of the device. Bound: packets of one receive buffer. */
void tcp_rcv_coalesce(struct tcp_conn *c)
{
	struct pkt **link = &c->rcv_head, *prev = NULL;

	for (unsigned k = 0; *link && k < COALESCE_WALK_MAX; k++) {
		struct pkt *p = *link, *q;
		bool poor = p->len * 4 < p->buf_bytes && !(tcp_seg(p)->flags & SEG_SMALL);

		if (poor && prev && writable(prev) && pkt_tailroom(prev) >= p->len) {
			memcpy(pkt_append(prev, p->len), p->data, p->len);
			*link = p->next;
			if (c->rcv_tail == p)
				c->rcv_tail = prev;
			tcp_rcv_free(c, p);
			c->t->stats->tcp_rcv_coalesced++;
			continue;
		}
		if (poor && (q = small_new(c, p))) {
			q->next = p->next;
			*link = q;
			if (c->rcv_tail == p)
				c->rcv_tail = q;
			tcp_rcv_free(c, p);
			c->rcv_pkts++;
			c->t->stats->tcp_rcv_coalesced++;
			p = q;
		}
		prev = p;
		link = &p->next;
	}
}
