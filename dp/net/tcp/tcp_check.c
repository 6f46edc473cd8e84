/* SPDX-License-Identifier: Apache-2.0 */
#include "dp/net/tcp/check.h"

#include "dp/net/tcp/tcp_int.h"

static void check_send_queue(const struct tcp_conn *c)
{
	struct tcp_seq seq = c->snd_una;
	uint32_t bytes = 0, unsent = 0, pkts = 0, lost = 0, rtx = 0, sacked = 0, sacked_pkts = 0;
	bool sent = true;

	/* Our SYN is in flight without a packet. */
	if (c->state == TCP_SYN_SENT || c->state == TCP_SYN_RCVD) {
		zk_assert(!c->snd_head);
		return;
	}
	for (const struct pkt *p = c->snd_head; p; p = p->next) {
		const struct tcp_seg *s = tcp_seg_const(p);

		if (p == c->snd_next) {
			zk_assert(tcp_seq_eq(seq, c->snd_nxt));
			sent = false;
		}
		zk_assert(tcp_seq_eq(s->seq, seq));
		zk_assert(sent == !!(s->flags & SEG_SENT));
		zk_assert(tcp_seg_space(s) > 0 || (p == c->snd_tail && (c->flags & CF_TAIL_OPEN)));
		zk_assert(!(s->flags & SEG_FIN) || (!p->next && (c->flags & CF_FIN_QUEUED)));
		zk_assert(PKT_HEADROOM + s->off + (uint32_t)s->len <= p->buf_bytes);
		zk_assert(sent || p->len == s->len);
		zk_assert(p->next || p == c->snd_tail);
		seq = tcp_seg_end(s);
		bytes += s->len;
		unsent += sent ? 0 : s->len;
		lost += s->flags & SEG_LOST ? tcp_seg_space(s) : 0;
		rtx += s->flags & SEG_RTX ? tcp_seg_space(s) : 0;
		zk_assert(!(s->flags & SEG_RTX) || (s->flags & SEG_LOST));
		if (s->flags & SEG_SACKED) {
			zk_assert(!(s->flags & SEG_LOST));
			sacked += tcp_seg_space(s);
			sacked_pkts++;
		}
		pkts++;
	}
	if (!c->snd_next)
		zk_assert(tcp_seq_eq(seq, c->snd_nxt));
	zk_assert(bytes == c->snd_bytes && unsent == c->unsent_bytes && pkts == c->snd_pkts);
	zk_assert(lost == c->lost_bytes && rtx == c->rtx_bytes && sacked == c->sacked_bytes);
	zk_assert(sacked_pkts == c->sacked_pkts);
	zk_assert(lost + sacked <= tcp_in_flight(c));
	zk_assert((c->snd_head == NULL) == (c->snd_tail == NULL));
}

static void check_receive_queues(const struct tcp_conn *c)
{
	uint32_t bytes = 0, pkts = 0, ooo_bytes = 0, ooo_pkts = 0;

	for (const struct pkt *p = c->rcv_head; p; p = p->next) {
		zk_assert(p->len > 0 && (p->next || p == c->rcv_tail));
		bytes += p->len;
		pkts++;
	}
	zk_assert(bytes == c->rcv_bytes && pkts == c->rcv_pkts);
	for (const struct pkt *p = c->ooo; p; p = p->next) {
		struct tcp_seq end = tcp_seq_add(tcp_seg_const(p)->seq, p->len);

		zk_assert(p->len > 0 && tcp_seq_lt(c->rcv_nxt, tcp_seg_const(p)->seq));
		zk_assert(tcp_seq_le(end, c->rcv_adv));
		zk_assert(!p->next || tcp_seq_le(end, tcp_seg_const(p->next)->seq));
		ooo_bytes += p->buf_bytes;
		ooo_pkts++;
	}
	zk_assert(ooo_bytes == c->ooo_bytes && ooo_pkts == c->ooo_pkts);
	zk_assert(ooo_bytes <= c->t->conf.ooo_bytes);
	zk_assert(c->ooo_intervals <= c->t->conf.ooo_intervals);
	zk_assert(tcp_seq_le(c->rcv_nxt, c->rcv_adv) || c->state < TCP_ESTABLISHED);
}

static void check_timers(const struct tcp_conn *c)
{
	bool working = zk_list_linked(&c->work);

	zk_assert((c->timer_tick != 0) == zk_wheel_armed(&c->timer));
	if (c->rtx_tick || c->life_tick)
		zk_assert(c->timer_tick != 0);
	/* Whatever waits for the peer has a timer behind it (liveness). */
	if (c->state == TCP_SYN_SENT || c->state == TCP_SYN_RCVD)
		zk_assert(c->rtx_tick && c->life_tick);
	else if (tcp_in_flight(c))
		zk_assert(c->rtx_tick != 0);
	else if (c->snd_next && !working)
		zk_assert(c->rtx_tick != 0);
	if (c->state > TCP_CLOSE_WAIT)
		zk_assert(c->life_tick != 0);
	if (c->rx_unacked && !working && c->state >= TCP_ESTABLISHED)
		zk_assert(c->delack_tick != 0);
}

void tcp_conn_check(const struct tcp_conn *c)
{
	zk_assert(c->t && c->state <= TCP_LAST_ACK);
	if (c->state == TCP_CLOSED) {
		zk_assert(!c->snd_head && !c->ooo && !zk_list_linked(&c->work));
		zk_assert(!zk_wheel_armed(&c->timer) && !(c->flags & CF_IN_TABLE));
		return;
	}
	zk_assert(c->flags & CF_IN_TABLE);
	zk_assert(tcp_seq_le(c->snd_una, c->snd_nxt));
	check_send_queue(c);
	check_receive_queues(c);
	check_timers(c);
}

void tcp_check(const struct tcp *t)
{
	uint32_t snd = 0, rcv = 0, conns = 0, half_open = 0, table = 0, in_table = 0;

	for (uint32_t i = 0; i < t->n_chunks * TCP_CHUNK_CONNS; i++) {
		const struct tcp_conn *c = tcp_conn_at(t, i);

		if (!c->t)
			continue;
		tcp_conn_check(c);
		conns++;
		snd += c->snd_pkts;
		rcv += (uint32_t)c->ooo_pkts;
		for (const struct pkt *p = c->rcv_head; p; p = p->next)
			rcv += !(tcp_seg_const(p)->flags & SEG_SMALL);
		half_open += !!(c->flags & CF_HALF_OPEN);
		in_table += !!(c->flags & CF_IN_TABLE);
	}
	for (uint32_t i = 0; i <= t->table_mask; i++)
		table += t->table[i].ref != 0;
	zk_assert(snd == t->snd.held && rcv == t->rcv.held);
	zk_assert(conns == t->conns && half_open == t->half_open);
	zk_assert(table == in_table + t->tw_count);
}
