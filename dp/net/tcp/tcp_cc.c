/* SPDX-License-Identifier: Apache-2.0 */
/** Congestion window (RFC 5681, RFC 6928, RFC 3465 for counting bytes). */
#include "dp/net/tcp/tcp_int.h"

static uint32_t initial_window(const struct tcp_conn *c)
{
	uint32_t mss = c->mss, floor = 2 * mss > 14600 ? 2 * mss : 14600;

	return 10 * mss < floor ? 10 * mss : floor;
}

void tcp_cc_init(struct tcp_conn *c)
{
	c->cwnd = initial_window(c);
	c->ssthresh = UINT32_MAX / 2;
	c->cwnd_acked = 0;
}

void tcp_cc_acked(struct tcp_conn *c, uint32_t bytes)
{
	uint32_t limit = 2 * c->t->conf.snd_buf_bytes, step = 2u * c->mss;

	/* RFC 7661's thought: a window that is not used is not proven. */
	if (!(c->flags & CF_CWND_LIMITED) || c->cwnd >= limit)
		return;
	if (c->cwnd < c->ssthresh) {
		/* after a timeout an ACK may cover what had arrived before: one segment only */
		if (c->flags & CF_LOSS)
			step = c->mss;
		c->cwnd += bytes < step ? bytes : step;
		return;
	}
	c->cwnd_acked += bytes;
	if (c->cwnd_acked >= c->cwnd) {
		c->cwnd_acked -= c->cwnd;
		c->cwnd += c->mss;
	}
}

void tcp_cc_enter(struct tcp_conn *c, bool timeout)
{
	uint32_t half = tcp_in_flight(c) / 2, floor = 2u * c->mss;

	c->ssthresh = half > floor ? half : floor;
	c->cwnd = timeout ? c->mss : c->ssthresh;
	c->cwnd_acked = 0;
}

void tcp_cc_idle(struct tcp_conn *c)
{
	uint32_t iw = initial_window(c);

	if (c->cwnd > iw)
		c->cwnd = iw;
}
