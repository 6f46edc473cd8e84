/* SPDX-License-Identifier: Apache-2.0 */
/** What leaves, and when: the round's ACK decision, retransmission, new data, probes. */
#include "dp/net/csum.h"
#include "dp/net/tcp/tcp_int.h"

/** The caller's array of frames. */
struct out {
	struct pkt **v;
	unsigned n, max;
};

bool tcp_output_wanted(const struct tcp_conn *c)
{
	return (c->flags & (CF_ACK_NOW | CF_ROUND | CF_PROBE_NOW | CF_SYN_NOW | CF_TLP_NOW)) ||
	       c->dupacks_owed || c->snd_next || c->lost_bytes > c->rtx_bytes;
}

void tcp_round_conn(struct tcp_conn *c)
{
	const struct tcp *t = c->t;
	uint32_t full = c->rcv_mss > TCP_MSS_DEFAULT ? c->rcv_mss : TCP_MSS_DEFAULT;

	c->flags &= ~(uint32_t)(CF_ROUND | CF_UNREAD);
	if (c->rcv_head) {
		c->flags |= CF_UNREAD;
		tcp_rcv_coalesce(c);
	}
	if (c->flags & CF_ACK_NOW)
		return;
	if (c->rx_unacked >= 2 * full || (c->rx_unacked && t->conf.delack_ms == 0)) {
		c->flags |= CF_ACK_NOW; /* RFC 9293 3.8.6.3 */
	} else if (tcp_rcv_update_due(c)) {
		c->flags |= CF_ACK_NOW;
		c->t->stats->tcp_window_updates++;
	} else if (c->rx_unacked && !c->delack_tick) {
		c->delack_tick = tcp_tick_after_us(t, (uint64_t)t->conf.delack_ms * 1000);
		/* When an answer leaves in this round the ACK goes with it. */
		if (!c->snd_next)
			tcp_timer_arm(c);
	}
}

/* The frame of a segment; one reference for the caller. NULL: no buffer (copy needed). */
static struct pkt *seg_frame(struct tcp_conn *c, struct pkt *p, const uint8_t *mac)
{
	struct tcp_seg *s = tcp_seg(p);
	const uint8_t *payload = p->buf + PKT_HEADROOM + s->off;
	uint8_t opts[TCP_OPTS_MAX];
	struct tcp_frame f = {.tuple = &c->tuple,
			      .seq = s->seq,
			      .ack = c->rcv_nxt,
			      .ip_sum = c->ip_sum,
			      .ph_sum = c->ph_sum,
			      .flags = TH_ACK,
			      .opts = opts,
			      .mac = mac};
	struct pkt *q = p;

	if (zk_unlikely(pkt_shared(p))) {
		/* The driver has it still, and may keep it for long: send a copy. */
		q = tcp_ctl_alloc(c->t);
		if (!q)
			return NULL;
		memcpy(pkt_append(q, s->len), payload, s->len);
		c->t->stats->tcp_rtx_copies++;
	} else {
		p->data = p->buf + PKT_HEADROOM + s->off;
		p->len = s->len;
		pkt_ref(p);
	}
	if (!(s->flags & SEG_SUM) && !c->t->n->conf.tx_csum) {
		s->sum = csum_fold(csum_add(0, payload, s->len));
		s->flags |= SEG_SUM;
	}
	f.payload_sum = s->sum;
	if (s->flags & SEG_FIN)
		f.flags |= TH_FIN;
	if (!p->next)
		f.flags |= TH_PSH;
	f.wnd = tcp_rcv_window_field(c);
	/* SACK blocks only where they do not make the frame longer than the path takes. */
	f.opts_len = tcp_options_ack(c, opts, c->ooo && s->len + TCP_OPTS_MAX <= c->mss);
	tcp_frame_headers(c->t, q, &f);
	return q;
}

static void sent(struct tcp_conn *c)
{
	tcp_ack_sent(c);
	c->dupacks_owed = 0;
	c->last_send_tick = c->t->tick;
	if (!c->rtx_tick) {
		tcp_rtx_arm(c);
	} else if (c->flags & CF_PTO) {
		/* RFC 8985 7.2 counts from the last segment, the RTO from the first. */
		tcp_pto_arm(c);
		tcp_timer_arm(c);
	}
}

static bool put_new(struct tcp_conn *c, struct out *o, const uint8_t *mac)
{
	struct pkt *p = c->snd_next, *q;
	struct tcp_seg *s = tcp_seg(p);

	q = seg_frame(c, p, mac);
	if (!q)
		return false;
	if (!tcp_in_flight(c))
		c->progress_tick = c->t->tick;
	s->flags |= SEG_SENT;
	s->sent_ns = c->t->now_ns;
	zk_assert(tcp_seq_eq(s->seq, c->snd_nxt));
	c->snd_nxt = tcp_seg_end(s);
	c->unsent_bytes -= s->len;
	c->snd_next = p->next;
	c->t->stats->tcp_tx_data_segs++;
	c->t->stats->tcp_tx_bytes += s->len;
	o->v[o->n++] = q;
	sent(c);
	return true;
}

static bool put_again(struct tcp_conn *c, struct pkt *p, struct out *o, const uint8_t *mac)
{
	struct tcp_seg *s = tcp_seg(p);
	struct pkt *q;

	if (s->len > c->mss && !tcp_snd_split(c, p, c->mss))
		return false;
	q = seg_frame(c, p, mac);
	if (!q)
		return false;
	if (!(s->flags & SEG_RTX))
		c->rtx_bytes += tcp_seg_space(s);
	s->flags |= SEG_RTX | SEG_EVER;
	s->sent_ns = c->t->now_ns;
	c->flags &= ~(uint32_t)CF_RTX_FIRST;
	c->t->stats->tcp_retransmits++;
	o->v[o->n++] = q;
	sent(c);
	return true;
}

/* @return false: the array is full or there is no buffer. */
static bool put_lost(struct tcp_conn *c, struct out *o, const uint8_t *mac)
{
	for (struct pkt *p = c->snd_head; p != c->snd_next && c->lost_bytes > c->rtx_bytes;
	     p = p->next) {
		struct tcp_seg *s = tcp_seg(p);

		if ((s->flags & (SEG_LOST | SEG_RTX)) != SEG_LOST)
			continue;
		if (!(c->flags & CF_RTX_FIRST) && tcp_pipe(c) &&
		    tcp_pipe(c) + tcp_seg_space(s) > c->cwnd) {
			c->flags |= CF_CWND_LIMITED;
			return true;
		}
		if (o->n == o->max || !put_again(c, p, o, mac))
			return false;
	}
	return true;
}

/* The persist timer has fired: one segment, whatever the window says (RFC 9293 3.8.6.1). */
static bool put_probe(struct tcp_conn *c, struct out *o, const uint8_t *mac)
{
	uint32_t usable = tcp_seq_diff(tcp_seq_add(c->snd_una, c->snd_wnd), c->snd_nxt);
	struct pkt *p = c->snd_next;

	if (o->n == o->max)
		return false;
	if (tcp_in_flight(c)) {
		tcp_seg_lost(c, c->snd_head);
		if (!put_again(c, c->snd_head, o, mac))
			return false;
	} else if (p) {
		uint32_t n = usable && usable < INT32_MAX ? usable : 1;

		if (tcp_seg(p)->len > n && !tcp_snd_split(c, p, n))
			return false;
		if (!put_new(c, o, mac))
			return false;
	}
	c->flags &= ~(uint32_t)CF_PROBE_NOW;
	c->t->stats->tcp_persist_probes++;
	return true;
}

/* The probe timer has run out: new data if the peer has room for it, whatever cwnd says, else the
 * last segment once more (RFC 8985 7.3). @return false: come back. */
static bool put_tail_probe(struct tcp_conn *c, struct out *o, const uint8_t *mac)
{
	uint32_t flight = tcp_in_flight(c), usable = c->snd_wnd > flight ? c->snd_wnd - flight : 0;
	struct pkt *p = c->snd_next, *q;
	bool again;

	if (!flight || (c->flags & (CF_RECOVERY | CF_LOSS | CF_PERSIST))) {
		c->flags &= ~(uint32_t)CF_TLP_NOW;
		return true;
	}
	if (o->n == o->max)
		return false;
	again = !p || !tcp_seg(p)->len || tcp_seg(p)->len > usable || tcp_seg(p)->len > c->mss;
	if (again) {
		p = tcp_tlp_segment(c);
		q = tcp_seg(p)->len <= c->mss ? seg_frame(c, p, mac) : NULL;
		if (!q) { /* too large now, or no buffer: the RTO will do */
			c->flags &= ~(uint32_t)CF_TLP_NOW;
			return true;
		}
		tcp_seg(p)->flags |= SEG_EVER;
		c->t->stats->tcp_retransmits++;
		o->v[o->n++] = q;
		sent(c);
	} else if (!put_new(c, o, mac)) {
		return false;
	}
	tcp_tlp_sent(c, again);
	return true;
}

enum verdict { SEND, STOP, LATER };

/* May the next new segment leave? Splits it when the window takes a useful part of it. */
static enum verdict judge(struct tcp_conn *c)
{
	struct tcp_seg *s = tcp_seg(c->snd_next);
	uint32_t flight = tcp_in_flight(c), pipe = tcp_pipe(c), usable;

	zk_assert(s->len || (s->flags & SEG_FIN)); /* no open tcp_tail() across the round */
	usable = c->snd_wnd > flight ? c->snd_wnd - flight : 0;
	if (zk_unlikely(s->len > c->mss) && !tcp_snd_split(c, c->snd_next, c->mss))
		return LATER;
	if (pipe && pipe + s->len > c->cwnd) {
		c->flags |= CF_CWND_LIMITED;
		return STOP;
	}
	if (zk_likely(s->len <= usable && (s->len || usable)))
		return SEND;
	/* Sender's silly window avoidance, RFC 9293 3.8.6.2.1 (3). */
	if (s->len && usable && usable >= c->snd_wnd_max / 2)
		return tcp_snd_split(c, c->snd_next, usable) ? SEND : LATER;
	if (!flight && (!(c->flags & CF_PERSIST) || !c->rtx_tick))
		tcp_persist_arm(c);
	return STOP;
}

/* @return false: come back (array full, quota used, or no buffer). */
static bool put_data(struct tcp_conn *c, struct out *o, const uint8_t *mac)
{
	unsigned quota = TCP_VISIT_SEGS_MAX;

	if (c->snd_next && !tcp_in_flight(c) && c->rto_us &&
	    (uint64_t)(c->t->tick - c->last_send_tick) << TCP_TICK_SHIFT >
		    (uint64_t)c->rto_us * 1000)
		tcp_cc_idle(c);
	while (c->snd_next) {
		switch (judge(c)) {
		case STOP:
			return true;
		case LATER:
			return false;
		case SEND:
			break;
		}
		if (o->n == o->max || quota-- == 0 || !put_new(c, o, mac))
			return false;
	}
	/* Everything is out: was the congestion window near its end? */
	if (tcp_pipe(c) * 2 >= c->cwnd)
		c->flags |= CF_CWND_LIMITED;
	else
		c->flags &= ~(uint32_t)CF_CWND_LIMITED;
	return true;
}

static bool put_acks(struct tcp_conn *c, struct out *o, const uint8_t *mac)
{
	while ((c->flags & CF_ACK_NOW) || c->dupacks_owed > 0) {
		struct pkt *p;

		if (o->n == o->max || !(p = tcp_ack_frame(c, c->snd_nxt, mac)))
			return false;
		if (c->dupacks_owed)
			c->dupacks_owed--;
		o->v[o->n++] = p;
	}
	return true;
}

static bool conn_output(struct tcp_conn *c, struct out *o)
{
	const uint8_t *mac;

	if (c->flags & CF_ROUND)
		tcp_round_conn(c);
	if (!tcp_output_wanted(c))
		return true;
	if (c->flags & CF_SYN_NOW) {
		tcp_syn_send(c);
		return true;
	}
	mac = tcp_conn_mac(c);
	if (!mac) {
		/* Waits for ARP; the timer looks again should the answer be missed. */
		tcp_neigh_wait(c);
		if (!c->rtx_tick) {
			c->progress_tick = c->t->tick;
			tcp_rtx_arm(c);
		}
		return true;
	}
	if (c->state >= TCP_ESTABLISHED) {
		if ((c->flags & CF_PROBE_NOW) && !put_probe(c, o, mac))
			return false;
		if ((c->flags & CF_TLP_NOW) && !put_tail_probe(c, o, mac))
			return false;
		if (c->lost_bytes > c->rtx_bytes && !put_lost(c, o, mac))
			return false;
		if (c->snd_next && !put_data(c, o, mac))
			return false;
	}
	if (!put_acks(c, o, mac))
		return false;
	if (c->delack_tick)
		tcp_timer_arm(c);
	return true;
}

unsigned tcp_output(struct tcp *t, struct pkt **v, unsigned max)
{
	struct out o = {.v = v, .max = max};
	unsigned idle = 0;

	while (o.n < max && !zk_list_empty(&t->work)) {
		struct tcp_conn *c = zk_container_of(t->work.next, struct tcp_conn, work);
		unsigned before = o.n;

		if (conn_output(c, &o)) {
			if (!(c->flags & CF_NEIGH_WAIT))
				tcp_work_done(c);
			continue;
		}
		/* Others first; and no spinning when there is no buffer to make progress with. */
		zk_list_del(&c->work);
		zk_list_add_tail(&t->work, &c->work);
		idle = o.n == before ? idle + 1 : 0;
		if (idle >= TCP_STARVED_VISITS_MAX) {
			t->starved = true;
			break;
		}
	}
	return o.n;
}
