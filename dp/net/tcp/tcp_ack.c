/* SPDX-License-Identifier: Apache-2.0 */
/** What a received ACK does to the send side (RFC 9293 3.10.7.4 step 5, RFC 5681, 6298, 6582,
 * 6675). */
#include "dp/net/tcp/tcp_int.h"

uint64_t tcp_rto_us(const struct tcp_conn *c)
{
	uint64_t us = (uint64_t)c->rto_us << (c->backoff < 16 ? c->backoff : 16);
	uint64_t max = (uint64_t)c->t->conf.rto_max_ms * 1000;

	return us < max ? us : max;
}

/* RFC 6298 section 2, in microseconds. */
void tcp_rtt_sample(struct tcp_conn *c, uint64_t us)
{
	uint32_t r = us < 60000000 ? (uint32_t)us : 60000000, var, min, max;

	if (r == 0)
		r = 1;
	if (c->srtt_us == 0) {
		c->srtt_us = r;
		c->rttvar_us = r / 2;
	} else {
		uint32_t d = c->srtt_us > r ? c->srtt_us - r : r - c->srtt_us;

		c->rttvar_us = (uint32_t)(((uint64_t)c->rttvar_us * 3 + d) / 4);
		c->srtt_us = (uint32_t)(((uint64_t)c->srtt_us * 7 + r) / 8);
		if (c->srtt_us == 0)
			c->srtt_us = 1;
	}
	var = 4 * c->rttvar_us > 1000 ? 4 * c->rttvar_us : 1000;
	min = c->t->conf.rto_min_ms * 1000;
	max = c->t->conf.rto_max_ms * 1000;
	c->rto_us = c->srtt_us + var;
	if (c->rto_us < min)
		c->rto_us = min;
	if (c->rto_us > max)
		c->rto_us = max;
}

/* Bytes that are thought to be in the network (RFC 6675 pipe). Without SACK each duplicate ACK
 * says that one segment has left it, which is NewReno's inflation seen from the other side. */
uint32_t tcp_pipe(const struct tcp_conn *c)
{
	uint32_t out = tcp_in_flight(c) + c->rtx_bytes, gone = c->sacked_bytes + c->lost_bytes;

	if (!(c->flags & CF_SACK))
		gone += (uint32_t)c->dupacks * c->mss;
	return out > gone ? out - gone : 0;
}

bool tcp_fin_acked(const struct tcp_conn *c)
{
	return (c->flags & CF_FIN_QUEUED) && !c->snd_head;
}

void tcp_mark_all_lost(struct tcp_conn *c)
{
	/* The peer may forget what it has SACKed (RFC 2018 8); a SACKed head shows that it has. */
	bool reneged = c->snd_head && (tcp_seg(c->snd_head)->flags & SEG_SACKED);

	if (reneged)
		c->t->stats->tcp_sack_reneged++;
	for (struct pkt *p = c->snd_head; p && p != c->snd_next; p = p->next) {
		if (reneged)
			tcp_seg_forget(c, p);
		tcp_seg_lost(c, p);
	}
}

/* The head is acknowledged in part. */
static void trim_head(struct tcp_conn *c, struct pkt *p, struct tcp_seq ack)
{
	struct tcp_seg *s = tcp_seg(p);
	uint32_t n = tcp_seq_diff(ack, s->seq);

	zk_assert(n <= s->len);
	if (s->flags & SEG_LOST)
		c->lost_bytes -= n;
	if (s->flags & SEG_RTX)
		c->rtx_bytes -= n;
	if (s->flags & SEG_SACKED)
		c->sacked_bytes -= n;
	s->seq = ack;
	s->off = (uint16_t)(s->off + n);
	s->len = (uint16_t)(s->len - n);
	s->flags &= (uint16_t)~SEG_SUM;
	c->snd_bytes -= n;
}

/* Drop what @p ack covers. @return number of segments; *rtt_us of the newest that was sent once. */
static unsigned drop_acked(struct tcp_conn *c, struct tcp_seq ack, uint64_t *rtt_us)
{
	unsigned n = 0;

	while (c->snd_head != c->snd_next) {
		struct pkt *p = c->snd_head;
		struct tcp_seg *s = tcp_seg(p);

		if (tcp_seq_lt(ack, tcp_seg_end(s))) {
			if (tcp_seq_lt(s->seq, ack))
				trim_head(c, p, ack);
			break;
		}
		if (!(s->flags & (SEG_EVER | SEG_SACKED)))
			*rtt_us = (c->t->now_ns - s->sent_ns) / 1000 + 1;
		tcp_seg_forget(c, p);
		tcp_snd_free_head(c);
		n++;
	}
	return n;
}

static void leave_or_go_on(struct tcp_conn *c)
{
	struct tcp_seg *s;

	if (tcp_seq_le(c->recover, c->snd_una)) {
		if (c->flags & CF_RECOVERY)
			c->cwnd = c->ssthresh;
		c->flags &= ~(uint32_t)(CF_RECOVERY | CF_LOSS);
		c->dupacks = 0;
		return;
	}
	/* A partial ACK names the next hole (RFC 6582 3.2 step 3). */
	if (!c->snd_head || c->snd_head == c->snd_next)
		return;
	s = tcp_seg(c->snd_head);
	if (!(s->flags & (SEG_LOST | SEG_SACKED)))
		tcp_seg_lost(c, c->snd_head);
	if ((s->flags & (SEG_LOST | SEG_RTX)) == SEG_LOST)
		c->flags |= CF_RTX_FIRST;
}

static void new_ack(struct tcp_conn *c, const struct tcp_in *in)
{
	struct tcp *t = c->t;
	uint32_t bytes = tcp_seq_diff(in->ack, c->snd_una);
	uint64_t rtt_us = 0;
	unsigned n = drop_acked(c, in->ack, &rtt_us);

	c->snd_una = in->ack;
	if (rtt_us) {
		tcp_rtt_sample(c, rtt_us);
	} else if (in->ts && in->tsecr && (c->flags & CF_TS)) {
		/* Timestamps tell the round trip of a retransmission too (RFC 7323 4). */
		uint32_t ms = t->ts_ms + c->ts_offset - in->tsecr;

		if (ms < 60000)
			tcp_rtt_sample(c, (uint64_t)(ms ? ms : 1) * 1000);
	}
	c->backoff = 0;
	c->rtx_timeouts = 0;
	c->progress_tick = t->tick;
	if (tcp_in_flight(c))
		tcp_rtx_arm(c);
	else
		c->rtx_tick = 0;
	if (c->flags & (CF_RECOVERY | CF_LOSS)) {
		c->dupacks = (uint8_t)(c->dupacks > n ? c->dupacks - n : 0);
		leave_or_go_on(c);
	} else {
		c->dupacks = 0;
	}
	if (!(c->flags & CF_RECOVERY))
		tcp_cc_acked(c, bytes);
	if (c->flags & CF_WANT_WRITE)
		tcp_snd_wake(c);
}

static void enter_recovery(struct tcp_conn *c)
{
	c->t->stats->tcp_fast_retransmits++;
	tcp_cc_enter(c, false);
	c->recover = c->snd_nxt;
	c->flags |= CF_RECOVERY | CF_RTX_FIRST | CF_RECOVER_VALID;
	c->flags &= ~(uint32_t)(CF_TLP_NOW | CF_TLP_OUT | CF_TLP_RTX);
}

static void dup_ack(struct tcp_conn *c)
{
	if (c->dupacks < UINT8_MAX)
		c->dupacks++;
	if ((c->flags & (CF_SACK | CF_RECOVERY | CF_LOSS)) || c->dupacks < TCP_DUPACK_THRESHOLD)
		return;
	/* RFC 6582 3.2 step 2: not again for losses that the last recovery has dealt with. */
	if ((c->flags & CF_RECOVER_VALID) && !tcp_seq_lt(c->recover, c->snd_una))
		return;
	tcp_seg_lost(c, c->snd_head);
	enter_recovery(c);
}

static void window_update(struct tcp_conn *c, const struct tcp_in *in)
{
	if (!(tcp_seq_lt(c->snd_wl1, in->seq) ||
	      (tcp_seq_eq(c->snd_wl1, in->seq) && tcp_seq_le(c->snd_wl2, in->ack))))
		return;
	c->snd_wl1 = in->seq;
	c->snd_wl2 = in->ack;
	c->snd_wnd = (uint32_t)in->wnd << c->snd_wscale;
	if (c->snd_wnd > c->snd_wnd_max)
		c->snd_wnd_max = c->snd_wnd;
	if ((c->flags & CF_PERSIST) && c->snd_wnd > 0) {
		/* The window is open again: what the probe left behind goes out at once. */
		c->flags &= ~(uint32_t)(CF_PERSIST | CF_PROBE_NOW);
		c->backoff = 0;
		c->rtx_tick = 0;
		if (tcp_in_flight(c)) {
			tcp_mark_all_lost(c);
			c->flags |= CF_RTX_FIRST;
			tcp_rtx_arm(c);
		}
	}
}

bool tcp_ack_in(struct tcp_conn *c, struct tcp_in *in)
{
	uint32_t old_wnd = c->snd_wnd;
	bool sacked = false;

	if (tcp_seq_lt(c->snd_nxt, in->ack)) {
		c->t->stats->tcp_future_ack++;
		tcp_challenge(c);
		return false;
	}
	/* RFC 5961 5.2: an ACK from long ago is no ACK of this connection. */
	if (tcp_seq_lt(in->ack, (struct tcp_seq){c->snd_una.v - c->snd_wnd_max})) {
		c->t->stats->tcp_old_ack++;
		tcp_challenge(c);
		return false;
	}
	if (in->n_sack && (c->flags & CF_SACK))
		sacked = tcp_sack_in(c, in);
	if (zk_unlikely(c->flags & CF_TLP_OUT))
		tcp_tlp_ack(c, in);
	if (tcp_seq_lt(c->snd_una, in->ack)) {
		new_ack(c, in);
		window_update(c, in);
	} else if (tcp_seq_eq(c->snd_una, in->ack)) {
		window_update(c, in);
		if (c->flags & CF_PERSIST || c->snd_wnd == 0)
			c->progress_tick = c->t->tick; /* alive, only full */
		if (in->len == 0 && !(in->flags & (TH_SYN | TH_FIN)) && tcp_in_flight(c) &&
		    c->snd_wnd == old_wnd && c->snd_wnd > 0 && !(c->flags & CF_PERSIST) &&
		    (!(c->flags & CF_SACK) || sacked))
			dup_ack(c);
	}
	if (c->sacked_pkts >= (c->flags & CF_TLP_OUT ? 1 : TCP_DUPACK_THRESHOLD) &&
	    !(c->flags & CF_LOSS)) {
		if (c->flags & CF_TLP_OUT)
			tcp_tlp_sack(c);
		tcp_sack_mark_lost(c);
		if (!(c->flags & CF_RECOVERY) && c->lost_bytes > c->rtx_bytes)
			enter_recovery(c);
	}
	if (c->snd_next || c->lost_bytes > c->rtx_bytes)
		tcp_work(c);
	return true;
}
