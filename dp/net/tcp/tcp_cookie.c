/* SPDX-License-Identifier: Apache-2.0 */
/** SYN cookies (RFC 4987 3.6): the answer to a SYN when the half-open limit is reached.
 *
 * Our ISN holds 5 bits of time, 3 bits of MSS and 24 bits of keyed hash; the low 6 bits of our
 * timestamp hold the peer's window scale and SACK, which without timestamps are not agreed on.
 */
#include "core/base/endian.h"
#include "dp/net/tcp/tcp_int.h"

#define PERIOD_NS ((uint64_t)64 * 1000 * 1000 * 1000)

enum {
	TIME_BITS = 5,
	MSS_SHIFT = 24,
	TIME_SHIFT = 27,
	NO_SCALE = 15,
	SACK_BIT = 16,
	OPT_MASK = 63
};

static const uint16_t mss_table[8] = {64, 216, 400, 536, 1200, 1360, 1440, 1460};

static uint32_t cookie(const struct tcp *t, const struct net_tuple *tuple, struct tcp_seq irs,
		       uint32_t when, uint32_t mss_index)
{
	uint8_t b[48];
	uint32_t h;

	memcpy(b, tuple->local.b, 16);
	memcpy(b + 16, tuple->remote.b, 16);
	zk_put16(b + 32, tuple->local_port);
	zk_put16(b + 34, tuple->remote_port);
	zk_put32(b + 36, irs.v);
	zk_put32(b + 40, when);
	zk_put32(b + 44, mss_index);
	h = (uint32_t)zk_hash24(&t->key_cookie, b, sizeof(b)) & ((1u << MSS_SHIFT) - 1);
	return (when & ((1u << TIME_BITS) - 1)) << TIME_SHIFT | mss_index << MSS_SHIFT | h;
}

static uint32_t period(const struct tcp *t)
{
	return (uint32_t)(t->now_ns / PERIOD_NS);
}

void tcp_cookie_send(struct tcp *t, const struct tcp_in *in)
{
	struct tcp_ctl ctl = {.tuple = in->tuple,
			      .ack = tcp_seq_add(in->seq, 1),
			      .flags = TH_SYN | TH_ACK,
			      .mac = tcp_in_mac(t, in)};
	uint32_t mss = in->mss ? in->mss : TCP_MSS_DEFAULT, i = 7, ts = t->ts_ms;
	uint32_t wnd = t->conf.rcv_buf_bytes;
	bool scale = in->ts && in->wscale != UINT8_MAX;

	while (i > 0 && mss_table[i] > mss)
		i--;
	ctl.seq.v = cookie(t, &in->tuple, in->seq, period(t), i);
	ctl.wnd = (uint16_t)(wnd < UINT16_MAX ? wnd : UINT16_MAX);
	ts = (ts & ~(uint32_t)OPT_MASK) | (scale ? in->wscale : (uint32_t)NO_SCALE) |
	     (in->sack_ok ? (uint32_t)SACK_BIT : 0);
	if ((int32_t)(ts - t->ts_ms) > 0)
		ts -= OPT_MASK + 1;
	ctl.opts_len = tcp_options_syn(ctl.opts, t->mss_local, scale ? t->rcv_wscale : UINT8_MAX,
				       in->ts && in->sack_ok, in->ts,
				       ts + tcp_ts_offset(t, &in->tuple), in->tsval);
	t->cookie_until_ns = t->now_ns + 2 * PERIOD_NS;
	t->stats->tcp_syn_cookies_tx++;
	tcp_ctl_send(t, &ctl);
}

/* Has a cookie been given out that may still come back? */
bool tcp_cookies_alive(const struct tcp *t)
{
	return t->now_ns < t->cookie_until_ns;
}

static bool valid(const struct tcp *t, const struct tcp_in *in, uint32_t *mss)
{
	uint32_t c = in->ack.v - 1, i = c >> MSS_SHIFT & 7, now = period(t);
	struct tcp_seq irs = {in->seq.v - 1};

	*mss = mss_table[i];
	return c == cookie(t, &in->tuple, irs, now, i) ||
	       (now && c == cookie(t, &in->tuple, irs, now - 1, i));
}

struct tcp_conn *tcp_cookie_accept(struct tcp *t, struct tcp_in *in)
{
	struct tcp_conn *c;
	uint32_t mss, opts;

	if (!tcp_cookies_alive(t))
		return NULL;
	if (!valid(t, in, &mss)) {
		t->stats->tcp_syn_cookies_bad++;
		return NULL;
	}
	c = tcp_conn_new(t, &in->tuple, in->hash);
	if (!c) {
		t->stats->tcp_syn_full++;
		return NULL;
	}
	t->stats->tcp_syn_cookies_ok++;
	/* What the SYN has said, from what has come back. */
	in->mss = (uint16_t)mss;
	in->wscale = UINT8_MAX;
	in->sack_ok = false;
	if (in->ts) {
		opts = (in->tsecr - c->ts_offset) & OPT_MASK;
		in->sack_ok = opts & SACK_BIT;
		if ((opts & 15) != NO_SCALE)
			in->wscale = (uint8_t)(opts & 15);
	}
	c->state = TCP_SYN_RCVD;
	c->flags |= CF_PASSIVE;
	c->iss.v = in->ack.v - 1;
	c->recover = c->iss;
	c->snd_una = c->snd_nxt = in->ack;
	c->irs.v = in->seq.v - 1;
	c->rcv_nxt = c->last_ack_sent = in->seq;
	c->rcv_adv = tcp_seq_add(in->seq, t->conf.rcv_buf_bytes < UINT16_MAX ? t->conf.rcv_buf_bytes
									     : UINT16_MAX);
	if (tcp_in_mac(t, in)) {
		memcpy(c->mac, in->src_mac, 6);
		c->flags |= CF_MAC_HEARD;
	}
	tcp_peer_options(c, in);
	c->snd_wl1 = in->seq;
	c->snd_wl2 = in->ack;
	c->snd_wnd = c->snd_wnd_max = (uint32_t)in->wnd << c->snd_wscale;
	tcp_established(c);
	return c;
}
