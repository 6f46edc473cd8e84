/* SPDX-License-Identifier: Apache-2.0 */
/** Segments of a connection, checked in the order of RFC 9293 3.10.7. */
#include "dp/net/tcp/tcp_int.h"

#define PAWS_AGE_TICKS ((uint32_t)(((uint64_t)24 * 86400 * 1000000000) >> TCP_TICK_SHIFT))

/* RFC 5961 7: limited, because a stranger can cause it. */
void tcp_challenge(struct tcp_conn *c)
{
	struct tcp *t = c->t;

	if (tcp_ticks_to_ms(t->tick - c->challenge_tick) >= 1000) {
		c->challenge_tick = t->tick;
		c->challenges = 0;
	}
	if (c->challenges >= TCP_CHALLENGES_PER_S) {
		t->stats->tcp_challenge_limited++;
		return;
	}
	c->challenges++;
	t->stats->tcp_challenge_acks++;
	c->flags |= CF_ACK_NOW;
	tcp_work(c);
}

static void ack_now(struct tcp_conn *c)
{
	c->flags |= CF_ACK_NOW;
	tcp_work(c);
}

static uint32_t rcv_wnd(const struct tcp_conn *c)
{
	return tcp_seq_diff(c->rcv_adv, c->rcv_nxt);
}

static uint32_t seg_space(const struct tcp_in *in)
{
	return in->len + !!(in->flags & TH_SYN) + !!(in->flags & TH_FIN);
}

/* RFC 9293 table 6; an empty segment at the right edge is taken too, because that is where the
 * ACKs of a peer stand that has filled our window. */
static bool acceptable(const struct tcp_conn *c, const struct tcp_in *in)
{
	uint32_t off = tcp_seq_diff(in->seq, c->rcv_nxt), wnd = rcv_wnd(c), n = seg_space(in);

	if (n == 0)
		return off <= wnd;
	if (wnd == 0)
		return false;
	/* begins in the window, or ends in it */
	return off < wnd || tcp_seq_diff(tcp_seq_add(in->seq, n - 1), c->rcv_nxt) < wnd;
}

void tcp_peer_options(struct tcp_conn *c, const struct tcp_in *in)
{
	const struct tcp *t = c->t;

	if (in->ts) {
		c->flags |= CF_TS;
		c->ts_recent = in->tsval;
		c->ts_recent_tick = t->tick;
	}
	if (in->sack_ok)
		c->flags |= CF_SACK;
	if (in->wscale != UINT8_MAX) {
		c->snd_wscale = in->wscale;
		c->rcv_wscale = t->rcv_wscale;
	} else {
		c->snd_wscale = c->rcv_wscale = 0;
		c->flags |= CF_NO_WSCALE;
	}
	tcp_mss_set(c, in->mss ? in->mss : TCP_MSS_DEFAULT);
}

static void handshake_rtt(struct tcp_conn *c, const struct tcp_in *in)
{
	uint32_t ms;

	if (c->backoff == 0) {
		uint64_t ns = (uint64_t)(c->t->tick - c->last_send_tick) << TCP_TICK_SHIFT;

		tcp_rtt_sample(c, ns ? ns / 1000 : 500);
		return;
	}
	if ((c->flags & CF_TS) && in->ts && in->tsecr != 0) {
		ms = c->t->ts_ms + c->ts_offset - in->tsecr;
		if (ms < 60000)
			tcp_rtt_sample(c, (uint64_t)(ms ? ms : 1) * 1000);
	}
	/* RFC 6298 5.7: the SYN has timed out and nothing is known about the path. */
	if (c->srtt_us == 0) {
		ms = TCP_SYN_LOST_RTO_MS < c->t->conf.rto_max_ms ? TCP_SYN_LOST_RTO_MS
								 : c->t->conf.rto_max_ms;
		c->rto_us = ms * 1000;
	}
}

static void enter_established(struct tcp_conn *c, const struct tcp_in *in)
{
	c->snd_una = in->ack;
	c->snd_wl1 = in->seq;
	c->snd_wl2 = in->ack;
	/* the window of a segment with SYN is never scaled (RFC 7323 2.2) */
	c->snd_wnd = (uint32_t)in->wnd << (in->flags & TH_SYN ? 0 : c->snd_wscale);
	c->snd_wnd_max = c->snd_wnd;
	handshake_rtt(c, in);
	tcp_established(c);
}

static void syn_sent(struct tcp_conn *c, struct tcp_in *in)
{
	bool ack = in->flags & TH_ACK;

	if (ack && (tcp_seq_le(in->ack, c->iss) || tcp_seq_lt(c->snd_nxt, in->ack))) {
		c->t->stats->tcp_future_ack++;
		tcp_rst_for(c->t, in);
		return;
	}
	if (in->flags & TH_RST) {
		if (!ack) {
			c->t->stats->tcp_rst_ignored++;
			return;
		}
		c->t->stats->tcp_rst_rx++;
		tcp_conn_finish(c, TCP_CLOSE_REFUSED);
		return;
	}
	if (!(in->flags & TH_SYN)) {
		c->t->stats->tcp_no_ack_flag++;
		return;
	}
	c->irs = in->seq;
	c->rcv_nxt = c->last_ack_sent = tcp_seq_add(in->seq, 1);
	c->rcv_adv = tcp_seq_add(c->rcv_nxt, 0);
	tcp_peer_options(c, in);
	if (ack) {
		enter_established(c, in);
		ack_now(c);
		return;
	}
	/* simultaneous open */
	c->state = TCP_SYN_RCVD;
	c->snd_wl1 = in->seq;
	c->snd_wnd = in->wnd;
	tcp_syn_send(c);
}

/* PAWS, RFC 7323 5.3 R1. @return false: drop. */
static bool paws_ok(struct tcp_conn *c, const struct tcp_in *in)
{
	if (!(c->flags & CF_TS) || (in->flags & TH_RST))
		return true;
	if (!in->ts) {
		c->t->stats->tcp_no_timestamp++;
		return in->flags & TH_SYN; /* a SYN is answered by a challenge ACK further down */
	}
	if ((int32_t)(in->tsval - c->ts_recent) >= 0 ||
	    c->t->tick - c->ts_recent_tick > PAWS_AGE_TICKS)
		return true;
	c->t->stats->tcp_paws++;
	if (in->len || (in->flags & TH_FIN))
		ack_now(c);
	else
		tcp_challenge(c);
	return false;
}

static void ts_update(struct tcp_conn *c, const struct tcp_in *in)
{
	if ((c->flags & CF_TS) && in->ts && tcp_seq_le(in->seq, c->last_ack_sent)) {
		c->ts_recent = in->tsval;
		c->ts_recent_tick = c->t->tick;
	}
}

/* @return false: drop. */
static bool sequence_ok(struct tcp_conn *c, struct tcp_in *in)
{
	if (zk_likely(acceptable(c, in)))
		return true;
	if (in->flags & TH_RST) {
		c->t->stats->tcp_rst_ignored++;
		return false;
	}
	if (c->state == TCP_SYN_RCVD && (in->flags & TH_SYN) && tcp_seq_eq(in->seq, c->irs)) {
		c->t->stats->tcp_retransmits++;
		tcp_syn_send(c);
		return false;
	}
	c->t->stats->tcp_out_of_window++;
	/* ACKs to data and to window probes are never limited; they come once a round. */
	if (in->len || (in->flags & TH_FIN) || tcp_seq_eq(tcp_seq_add(in->seq, 1), c->rcv_nxt))
		ack_now(c);
	else
		tcp_challenge(c);
	/* With our window shut the ACK field of a probe still counts (RFC 9293 3.10.7.4). */
	if (in->len && rcv_wnd(c) == 0 && tcp_seq_eq(in->seq, c->rcv_nxt) &&
	    (in->flags & (TH_ACK | TH_SYN)) == TH_ACK && c->state >= TCP_ESTABLISHED) {
		in->len = 0;
		in->flags &= (uint8_t)~TH_FIN;
		return true;
	}
	return false;
}

/* RFC 5961 3.2. */
static void reset(struct tcp_conn *c, const struct tcp_in *in)
{
	if (!tcp_seq_eq(in->seq, c->rcv_nxt)) {
		c->t->stats->tcp_rst_ignored++;
		tcp_challenge(c);
		return;
	}
	c->t->stats->tcp_rst_rx++;
	tcp_conn_finish(c, c->state == TCP_SYN_RCVD && !(c->flags & CF_PASSIVE) ? TCP_CLOSE_REFUSED
										: TCP_CLOSE_RESET);
}

/* Cut @p in to the window. */
static void trim(struct tcp_conn *c, struct tcp_in *in)
{
	uint32_t room;

	if (tcp_seq_lt(in->seq, c->rcv_nxt)) {
		uint32_t old = tcp_seq_diff(c->rcv_nxt, in->seq);

		if (old > in->len) {
			/* all old, the FIN too if there was one */
			in->flags &= (uint8_t)~TH_FIN;
			old = in->len;
		}
		pkt_pull(in->p, old);
		in->len -= old;
		in->seq = c->rcv_nxt;
		if (in->len == 0) {
			c->t->stats->tcp_dup_data++;
			ack_now(c);
		}
	}
	room = tcp_seq_diff(c->rcv_adv, in->seq);
	if (in->len > room) {
		in->p->len = in->len = room;
		in->flags &= (uint8_t)~TH_FIN;
		ack_now(c);
	}
}

static void time_wait(struct tcp_conn *c)
{
	tcp_tw_add(c);
	tcp_conn_finish(c, TCP_CLOSE_NORMAL);
}

/* Our FIN may have been acknowledged. @return false: the connection is over. */
static bool after_ack(struct tcp_conn *c)
{
	if (!tcp_fin_acked(c))
		return true;
	switch (c->state) {
	case TCP_FIN_WAIT_1:
		c->state = TCP_FIN_WAIT_2;
		tcp_life_arm(c, c->t->conf.fin_wait_ms);
		return true;
	case TCP_CLOSING:
		time_wait(c);
		return false;
	case TCP_LAST_ACK:
		tcp_conn_finish(c, TCP_CLOSE_NORMAL);
		return false;
	default:
		return true;
	}
}

static void fin_in(struct tcp_conn *c)
{
	c->rcv_nxt = tcp_seq_add(c->rcv_nxt, 1);
	if (tcp_seq_lt(c->rcv_adv, c->rcv_nxt))
		c->rcv_adv = c->rcv_nxt;
	c->flags |= CF_FIN_RCVD;
	tcp_ooo_free(c);
	tcp_event(c, TCP_READY_FIN);
	ack_now(c);
	switch (c->state) {
	case TCP_ESTABLISHED:
		c->state = TCP_CLOSE_WAIT;
		return;
	case TCP_FIN_WAIT_1:
		c->state = TCP_CLOSING;
		tcp_life_arm(c, c->t->conf.fin_wait_ms);
		return;
	case TCP_FIN_WAIT_2:
		tcp_ack_send(c, c->snd_nxt);
		time_wait(c);
		return;
	default:
		return;
	}
}

static void text_and_fin(struct tcp_conn *c, struct tcp_in *in)
{
	bool fin;

	if (c->state != TCP_ESTABLISHED && c->state != TCP_FIN_WAIT_1 &&
	    c->state != TCP_FIN_WAIT_2) {
		if (in->len || (in->flags & TH_FIN))
			ack_now(c);
		return;
	}
	trim(c, in);
	if (in->len && (c->flags & CF_RELEASED)) {
		/* RFC 2525 2.17: nobody will ever read it. */
		c->t->stats->tcp_after_close++;
		c->rcv_nxt = tcp_seq_add(in->seq, in->len);
		tcp_rst_conn(c);
		tcp_conn_finish(c, TCP_CLOSE_RESET);
		return;
	}
	fin = in->flags & TH_FIN;
	if (in->len) {
		bool hole = c->ooo != NULL;

		if (c->state != TCP_ESTABLISHED)
			tcp_life_arm(c, c->t->conf.fin_wait_ms);
		tcp_data_in(c, in);
		tcp_work(c);
		fin = fin && (in->flags & TH_FIN) && in->p == NULL &&
		      tcp_seq_eq(tcp_seq_add(in->seq, in->len), c->rcv_nxt);
		if (hole) {
			/* RFC 5681 4.2: at once when a hole is filled in part or whole */
			c->flags |= CF_ACK_NOW;
			fin = tcp_ooo_take(c) || fin;
		}
	} else if (fin && !tcp_seq_eq(in->seq, c->rcv_nxt)) {
		fin = false; /* it comes again */
		ack_now(c);
	}
	if (fin)
		fin_in(c);
}

/* In-order data or a pure ACK on a quiet connection: everything that the long way would check is
 * known to hold. */
static bool fast(struct tcp_conn *c, struct tcp_in *in)
{
	if (c->state != TCP_ESTABLISHED || (in->flags & ~TH_PSH) != TH_ACK ||
	    !tcp_seq_eq(in->seq, c->rcv_nxt) || in->len > rcv_wnd(c) || c->ooo || in->n_sack ||
	    (c->flags & (CF_RELEASED | CF_PERSIST | CF_RECOVERY | CF_LOSS)))
		return false;
	if (c->flags & CF_TS) {
		if (!in->ts || (int32_t)(in->tsval - c->ts_recent) < 0)
			return false;
		ts_update(c, in);
	}
	c->last_rcv_tick = c->t->tick;
	/* Nothing new in the ACK and window fields, and it is no duplicate ACK: skip them. */
	if (!(in->len && tcp_seq_eq(in->ack, c->snd_una) && tcp_seq_eq(c->snd_wl2, in->ack) &&
	      (uint32_t)in->wnd << c->snd_wscale == c->snd_wnd)) {
		if (!tcp_ack_in(c, in))
			return true;
	} else {
		c->snd_wl1 = in->seq;
	}
	c->t->stats->tcp_rx_fast++;
	if (in->len) {
		tcp_data_in(c, in);
		tcp_work(c);
	}
	return true;
}

void tcp_segment(struct tcp_conn *c, struct tcp_in *in)
{
	if (zk_likely(fast(c, in)))
		return;
	if (c->state == TCP_SYN_SENT) {
		syn_sent(c, in);
		return;
	}
	if (!paws_ok(c, in) || !sequence_ok(c, in))
		return;
	if (in->flags & TH_RST) {
		reset(c, in);
		return;
	}
	if (in->flags & TH_SYN) {
		/* RFC 5961 4.2: never believed in a synchronised state */
		if (c->state == TCP_SYN_RCVD && (in->flags & TH_ACK) &&
		    tcp_seq_eq(tcp_seq_add(in->seq, 1), c->rcv_nxt)) {
			in->flags &= (uint8_t)~TH_SYN;
			in->seq = c->rcv_nxt;
		} else {
			tcp_challenge(c);
			return;
		}
	}
	if (!(in->flags & TH_ACK)) {
		c->t->stats->tcp_no_ack_flag++;
		return;
	}
	ts_update(c, in);
	c->last_rcv_tick = c->t->tick;
	c->keepalives = 0;
	if (c->state == TCP_SYN_RCVD) {
		if (tcp_seq_le(in->ack, c->snd_una) || tcp_seq_lt(c->snd_nxt, in->ack)) {
			tcp_rst_for(c->t, in);
			return;
		}
		enter_established(c, in);
	} else if (!tcp_ack_in(c, in)) {
		return;
	}
	if (!after_ack(c))
		return;
	text_and_fin(c, in);
}
