/* SPDX-License-Identifier: Apache-2.0 */
/** Out-of-order data: packets in order of sequence, no two overlap; limited in intervals and in
 * bytes charged at buffer size. */
#include "dp/net/tcp/tcp_int.h"

static struct tcp_seq end_of(const struct pkt *p)
{
	return tcp_seq_add(tcp_seg_const(p)->seq, p->len);
}

static void forget(struct tcp_conn *c, struct pkt *p)
{
	c->ooo_pkts--;
	c->ooo_bytes -= p->buf_bytes;
	c->t->rcv.held--;
}

static void unlink_free(struct tcp_conn *c, struct pkt **link)
{
	struct pkt *p = *link;

	*link = p->next;
	forget(c, p);
	pkt_free(p);
}

static uint16_t count_intervals(const struct tcp_conn *c)
{
	unsigned n = 0;

	for (const struct pkt *p = c->ooo; p; p = p->next)
		if (!p->next || !tcp_seq_eq(end_of(p), tcp_seg_const(p->next)->seq))
			n++;
	return (uint16_t)n;
}

/* Cut @p in to what the store lacks between *link's predecessor and its followers.
 * @return where to insert, NULL when nothing is left. */
static struct pkt **make_room(struct tcp_conn *c, struct tcp_in *in, struct pkt **prev_out)
{
	struct pkt **link = &c->ooo, *prev = NULL;
	struct tcp_seq end = tcp_seq_add(in->seq, in->len);

	while (*link && tcp_seq_le(tcp_seg(*link)->seq, in->seq)) {
		prev = *link;
		link = &prev->next;
	}
	if (prev && tcp_seq_lt(in->seq, end_of(prev))) {
		uint32_t cut = tcp_seq_diff(end_of(prev), in->seq);

		if (cut >= in->len)
			return NULL;
		pkt_pull(in->p, cut);
		in->seq = tcp_seq_add(in->seq, cut);
		in->len -= cut;
	}
	while (*link && tcp_seq_lt(tcp_seg(*link)->seq, end)) {
		if (tcp_seq_le(end_of(*link), end) && !(tcp_seg(*link)->flags & SEG_FIN)) {
			unlink_free(c, link);
			continue;
		}
		in->len = tcp_seq_diff(tcp_seg(*link)->seq, in->seq);
		in->p->len = in->len;
		in->flags &= (uint8_t)~TH_FIN;
		break;
	}
	*prev_out = prev;
	return in->len ? link : NULL;
}

/* RFC 2018 4: the blocks that changed last are told first. */
static void remember(struct tcp_conn *c, struct tcp_seq seq)
{
	for (unsigned i = TCP_SACK_MAX - 1; i > 0; i--)
		c->ooo_recent[i] = c->ooo_recent[i - 1];
	c->ooo_recent[0] = seq;
}

static bool merge_into(struct tcp_conn *c, struct pkt *prev, const struct tcp_in *in)
{
	if (!prev || !tcp_seq_eq(end_of(prev), in->seq) || in->len * 4 >= in->p->buf_bytes ||
	    pkt_tailroom(prev) < in->len || pkt_shared(prev) || (tcp_seg(prev)->flags & SEG_FIN))
		return false;
	memcpy(pkt_append(prev, in->len), in->p->data, in->len);
	if (in->flags & TH_FIN)
		tcp_seg(prev)->flags |= SEG_FIN;
	remember(c, tcp_seg(prev)->seq);
	return true;
}

void tcp_ooo_insert(struct tcp_conn *c, struct tcp_in *in)
{
	struct tcp_conf *conf = &c->t->conf;
	struct pkt **link, *prev = NULL, *p;
	uint16_t intervals;

	link = make_room(c, in, &prev);
	if (!link) {
		c->t->stats->tcp_dup_data++;
		c->ooo_intervals = count_intervals(c);
		return;
	}
	if (merge_into(c, prev, in)) {
		c->t->stats->tcp_ooo_segs++;
		c->ooo_intervals = count_intervals(c);
		return;
	}
	p = in->p;
	if (c->ooo_bytes + p->buf_bytes > conf->ooo_bytes) {
		c->t->stats->tcp_ooo_dropped++;
		c->ooo_intervals = count_intervals(c);
		return;
	}
	tcp_seg(p)->seq = in->seq;
	tcp_seg(p)->flags = in->flags & TH_FIN ? SEG_FIN : 0;
	p->next = *link;
	*link = p;
	in->p = NULL;
	c->ooo_pkts++;
	c->ooo_bytes += p->buf_bytes;
	c->t->rcv.held++;
	intervals = count_intervals(c);
	if (intervals > conf->ooo_intervals) {
		unlink_free(c, link);
		c->t->stats->tcp_ooo_dropped++;
		intervals = count_intervals(c);
	} else {
		c->t->stats->tcp_ooo_segs++;
		remember(c, in->seq);
	}
	c->ooo_intervals = intervals;
}

bool tcp_ooo_take(struct tcp_conn *c)
{
	bool fin = false;

	while (c->ooo && !fin && tcp_seq_le(tcp_seg(c->ooo)->seq, c->rcv_nxt)) {
		struct pkt *p = c->ooo;
		uint32_t old = tcp_seq_diff(c->rcv_nxt, tcp_seg(p)->seq);

		fin = tcp_seg(p)->flags & SEG_FIN;
		c->ooo = p->next;
		forget(c, p);
		if (old < p->len) {
			pkt_pull(p, old);
			tcp_rcv_append(c, p);
		} else {
			fin = fin && old == p->len;
			pkt_free(p);
		}
	}
	c->ooo_intervals = count_intervals(c);
	return fin;
}

void tcp_ooo_free(struct tcp_conn *c)
{
	while (c->ooo)
		unlink_free(c, &c->ooo);
	c->ooo_intervals = 0;
}

/* The block of the store that holds @p seq. */
static bool block_of(const struct tcp_conn *c, struct tcp_seq seq, struct tcp_seq block[2])
{
	for (const struct pkt *p = c->ooo; p; p = p->next) {
		block[0] = tcp_seg_const(p)->seq;
		block[1] = end_of(p);
		while (p->next && tcp_seq_eq(tcp_seg_const(p->next)->seq, block[1])) {
			p = p->next;
			block[1] = end_of(p);
		}
		if (tcp_seq_lt(seq, block[0]))
			return false;
		if (tcp_seq_lt(seq, block[1]))
			return true;
	}
	return false;
}

static unsigned add_block(struct tcp_seq (*blocks)[2], unsigned n, const struct tcp_seq b[2])
{
	for (unsigned i = 0; i < n; i++)
		if (tcp_seq_eq(blocks[i][0], b[0]))
			return n;
	blocks[n][0] = b[0];
	blocks[n][1] = b[1];
	return n + 1;
}

/* @p max >= 1; the store is not empty. @return 1..max. */
unsigned tcp_ooo_sack(const struct tcp_conn *c, struct tcp_seq (*blocks)[2], unsigned max)
{
	struct tcp_seq b[2];
	unsigned n = 0;

	for (unsigned i = 0; i < TCP_SACK_MAX && n < max; i++)
		if (block_of(c, c->ooo_recent[i], b))
			n = add_block(blocks, n, b);
	/* Older ones, in order, as far as there is room. */
	for (const struct pkt *p = c->ooo; p && n < max; p = p->next)
		if (block_of(c, tcp_seg_const(p)->seq, b))
			n = add_block(blocks, n, b);
	return n;
}
