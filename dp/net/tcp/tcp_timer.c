/* SPDX-License-Identifier: Apache-2.0 */
/** One wheel entry per connection; its timers are ticks in the record, looked at when the entry
 * fires. An entry is moved only when something earlier is wanted. */
#include "dp/net/tcp/tcp_int.h"

enum { PERSIST_MIN_US = 200000, MEM_PERSIST_BACKOFF = 3, PTO_SLACK_US = 2000 };

static void sooner(uint32_t *best, uint32_t tick)
{
	if (tick && (!*best || (int32_t)(tick - *best) < 0))
		*best = tick;
}

void tcp_timer_arm(struct tcp_conn *c)
{
	struct tcp *t = c->t;
	uint32_t best = 0;
	int32_t left;

	sooner(&best, c->rtx_tick);
	sooner(&best, c->delack_tick);
	sooner(&best, c->life_tick);
	if (!best || (c->timer_tick && (int32_t)(best - c->timer_tick) >= 0))
		return;
	left = (int32_t)(best - t->tick);
	if (left < 0)
		left = 0;
	c->timer_tick = best;
	zk_wheel_set(&t->wheel, &c->timer, (t->tick64 + (uint64_t)left) << TCP_TICK_SHIFT);
}

/* RFC 8985 7.2: nothing that recovers already, one probe at a time, and SACK to see the effect. */
static bool may_probe(const struct tcp_conn *c)
{
	const uint32_t busy = CF_RECOVERY | CF_LOSS | CF_PERSIST | CF_TLP_OUT | CF_TLP_NOW;

	return (c->flags & (CF_SACK | busy)) == CF_SACK &&
	       !(c->sacked_pkts | c->lost_bytes | c->backoff) && c->srtt_us && c->snd_wnd &&
	       c->t->conf.tlp_ack_delay_ms && c->state >= TCP_ESTABLISHED && tcp_in_flight(c);
}

void tcp_pto_arm(struct tcp_conn *c)
{
	uint64_t us = 2 * (uint64_t)c->srtt_us;
	uint32_t tick;

	c->flags &= ~(uint32_t)CF_PTO;
	c->rtx_tick = c->rto_tick;
	if (!may_probe(c))
		return;
	/* Less than two full segments may wait for the peer's delayed ACK. */
	if (tcp_in_flight(c) < 2u * c->mss)
		us += (uint64_t)c->t->conf.tlp_ack_delay_ms * 1000;
	else
		us += PTO_SLACK_US;
	tick = tcp_tick_after_us(c->t, us);
	if ((int32_t)(tick - c->rto_tick) >= 0)
		return;
	c->rtx_tick = tick;
	c->flags |= CF_PTO;
}

void tcp_rtx_arm(struct tcp_conn *c)
{
	const struct tcp *t = c->t;
	uint32_t give_up;

	c->rto_tick = tcp_tick_after_us(t, c->backoff ? tcp_rto_us(c) : c->rto_us);
	if (c->state >= TCP_ESTABLISHED && tcp_in_flight(c)) {
		/* Giving up is by time, so it must not wait for the next long time-out. */
		give_up = c->progress_tick + t->give_up_ticks + 2;
		if ((int32_t)(give_up - t->tick) > 0 && (int32_t)(give_up - c->rto_tick) < 0)
			c->rto_tick = give_up ? give_up : 1;
	}
	tcp_pto_arm(c);
	tcp_timer_arm(c);
}

void tcp_persist_arm(struct tcp_conn *c)
{
	uint64_t us = tcp_rto_us(c);

	if (us < PERSIST_MIN_US)
		us = PERSIST_MIN_US;
	c->flags |= CF_PERSIST;
	c->flags &= ~(uint32_t)CF_PTO;
	c->progress_tick = c->t->tick;
	c->rtx_tick = tcp_tick_after_us(c->t, us);
	tcp_timer_arm(c);
}

void tcp_life_arm(struct tcp_conn *c, uint32_t ms)
{
	c->life_tick = tcp_tick_after_us(c->t, (uint64_t)ms * 1000);
	tcp_timer_arm(c);
}

static bool given_up(const struct tcp_conn *c)
{
	return tcp_ticks_to_ms(c->t->tick - c->progress_tick) >= c->t->conf.give_up_ms;
}

static void kill(struct tcp_conn *c, enum tcp_close_reason why)
{
	tcp_rst_conn(c);
	tcp_conn_finish(c, why);
}

/* @return false when the connection has ended. */
static bool syn_timeout(struct tcp_conn *c)
{
	c->backoff++;
	c->t->stats->tcp_retransmits++;
	tcp_syn_send(c);
	tcp_rtx_arm(c);
	return true;
}

static bool persist_timeout(struct tcp_conn *c)
{
	const struct tcp *t = c->t;

	if (given_up(c)) {
		kill(c, TCP_CLOSE_TIMEOUT);
		return false;
	}
	/* A reader that does not read holds memory that others need (slow readers go first). */
	if (c->backoff >= MEM_PERSIST_BACKOFF && tcp_mem_short(&t->snd)) {
		kill(c, TCP_CLOSE_MEMORY);
		return false;
	}
	if (c->backoff < UINT8_MAX)
		c->backoff++;
	c->flags |= CF_PROBE_NOW;
	c->rtx_tick = tcp_tick_after_us(t, tcp_rto_us(c));
	tcp_work(c);
	return true;
}

/* The probe timer has run out. @return false: it is the RTO's turn. */
static bool pto_timeout(struct tcp_conn *c)
{
	c->flags &= ~(uint32_t)CF_PTO;
	if (tcp_due(c->t, c->rto_tick))
		return false;
	if (!may_probe(c)) {
		c->rtx_tick = c->rto_tick;
		tcp_timer_arm(c);
		return true;
	}
	c->flags |= CF_TLP_NOW;
	tcp_rtx_arm(c);
	tcp_work(c);
	return true;
}

static bool rtx_timeout(struct tcp_conn *c)
{
	if (c->state == TCP_SYN_SENT || c->state == TCP_SYN_RCVD)
		return syn_timeout(c);
	if (c->flags & CF_PERSIST)
		return persist_timeout(c);
	if ((c->flags & CF_PTO) && pto_timeout(c))
		return true;
	if (!tcp_in_flight(c)) {
		if (c->snd_next) /* ARP had no answer for so long */
			tcp_work_done(c), tcp_work(c);
		if (c->snd_next && given_up(c)) {
			kill(c, TCP_CLOSE_TIMEOUT);
			return false;
		}
		if (c->snd_next)
			tcp_rtx_arm(c);
		return true;
	}
	if (given_up(c)) {
		kill(c, TCP_CLOSE_TIMEOUT);
		return false;
	}
	if (c->snd_wnd == 0) {
		/* The peer has shut its window on data in flight: probe, do not blame the path. */
		c->flags |= CF_PERSIST;
		return persist_timeout(c);
	}
	c->t->stats->tcp_rto++;
	if (!(c->flags & CF_LOSS) || c->backoff == 0)
		tcp_cc_enter(c, true);
	c->cwnd = c->mss;
	tcp_mark_all_lost(c);
	c->dupacks = 0;
	c->recover = c->snd_nxt;
	c->flags &= ~(uint32_t)(CF_RECOVERY | CF_TLP_NOW | CF_TLP_OUT | CF_TLP_RTX);
	c->flags |= CF_LOSS | CF_RTX_FIRST | CF_RECOVER_VALID;
	if (c->backoff < UINT8_MAX)
		c->backoff++;
	if (++c->rtx_timeouts >= 2) {
		/* Perhaps the peer or the router has moved. */
		c->flags &= ~(uint32_t)CF_MAC_HEARD;
		c->neigh_gen = (uint16_t)(c->t->n->neigh_gen - 1);
	}
	tcp_rtx_arm(c);
	tcp_work(c);
	return true;
}

static bool keepalive(struct tcp_conn *c)
{
	uint32_t idle = c->t->conf.keepalive_idle_ms, every = idle / 8 > 1000 ? idle / 8 : 1000;
	uint32_t quiet = tcp_ticks_to_ms(c->t->tick - c->last_rcv_tick);

	if (!idle)
		return true;
	if (quiet < idle) {
		c->keepalives = 0;
		tcp_life_arm(c, idle - quiet);
		return true;
	}
	if (c->keepalives++ >= TCP_KEEPALIVE_PROBES) {
		kill(c, TCP_CLOSE_TIMEOUT);
		return false;
	}
	c->t->stats->tcp_keepalives++;
	tcp_ack_send(c, (struct tcp_seq){c->snd_una.v - 1});
	tcp_life_arm(c, every);
	return true;
}

static bool life_timeout(struct tcp_conn *c)
{
	switch (c->state) {
	case TCP_SYN_RCVD:
		c->t->stats->tcp_half_open_timeout++;
		tcp_conn_finish(c, TCP_CLOSE_TIMEOUT);
		return false;
	case TCP_SYN_SENT:
		tcp_conn_finish(c, TCP_CLOSE_TIMEOUT);
		return false;
	case TCP_ESTABLISHED:
	case TCP_CLOSE_WAIT:
		return keepalive(c);
	default:
		kill(c, TCP_CLOSE_TIMEOUT);
		return false;
	}
}

void tcp_timer_fire(struct tcp_conn *c)
{
	const struct tcp *t = c->t;

	c->timer_tick = 0;
	if (tcp_due(t, c->delack_tick)) {
		c->delack_tick = 0;
		if (c->rx_unacked) {
			t->stats->tcp_delayed_acks++;
			c->flags |= CF_ACK_NOW;
			tcp_work(c);
		}
	}
	if (tcp_due(t, c->life_tick)) {
		c->life_tick = 0;
		if (!life_timeout(c))
			return;
	}
	if (tcp_due(t, c->rtx_tick)) {
		c->rtx_tick = 0;
		if (!rtx_timeout(c))
			return;
	}
	tcp_timer_arm(c);
}
