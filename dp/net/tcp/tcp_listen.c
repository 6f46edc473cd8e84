/* SPDX-License-Identifier: Apache-2.0 */
/** Passive open: listeners, gates, half-open connections. */
#include "core/base/endian.h"
#include "dp/net/tcp/tcp_int.h"

enum zk_err tcp_listen(struct tcp *t, uint16_t port,
		       bool (*gate)(void *ctx, const struct net_addr *from), void *ctx)
{
	struct tcp_listener *free_one = NULL;

	for (unsigned i = 0; i < TCP_LISTENERS_MAX; i++) {
		if (!t->listeners[i].used)
			free_one = free_one ? free_one : &t->listeners[i];
		else if (t->listeners[i].port == port)
			return ZK_EEXIST;
	}
	if (!free_one)
		return ZK_EFULL;
	*free_one = (struct tcp_listener){.port = port, .used = true, .gate = gate, .ctx = ctx};
	return ZK_EOK;
}

void tcp_unlisten(struct tcp *t, uint16_t port)
{
	struct tcp_listener *l = tcp_listener_find(t, port);

	if (l)
		l->used = false;
}

struct tcp_listener *tcp_listener_find(struct tcp *t, uint16_t port)
{
	for (unsigned i = 0; i < TCP_LISTENERS_MAX; i++)
		if (t->listeners[i].used && t->listeners[i].port == port)
			return &t->listeners[i];
	return NULL;
}

static size_t tuple_bytes(const struct net_tuple *tuple, uint8_t *b)
{
	memcpy(b, tuple->local.b, 16);
	memcpy(b + 16, tuple->remote.b, 16);
	zk_put16(b + 32, tuple->local_port);
	zk_put16(b + 34, tuple->remote_port);
	return 36;
}

/* RFC 6528: a clock of 4 us plus a keyed hash of the flow. */
struct tcp_seq tcp_isn(const struct tcp *t, const struct net_tuple *tuple)
{
	uint8_t b[36];
	size_t n = tuple_bytes(tuple, b);

	return (struct tcp_seq){(uint32_t)(t->now_ns / 4000) +
				(uint32_t)zk_hash24(&t->key_isn, b, n)};
}

/* RFC 7323 7.1: clocks of different flows must not show the same time. */
uint32_t tcp_ts_offset(const struct tcp *t, const struct net_tuple *tuple)
{
	uint8_t b[36];
	size_t n = tuple_bytes(tuple, b);

	return (uint32_t)(zk_hash24(&t->key_isn, b, n) >> 32);
}

static void syn_in(struct tcp *t, struct tcp_in *in, const struct tcp_seq *isn_above)
{
	const struct tcp_listener *l = tcp_listener_find(t, in->tuple.local_port);
	struct tcp_conn *c;

	t->stats->tcp_syn_rx++;
	if (l->gate && !l->gate(l->ctx, &in->tuple.remote)) {
		t->stats->tcp_syn_gated++;
		tcp_rst_for(t, in);
		return;
	}
	if (t->half_open >= t->conf.syn_backlog) {
		tcp_cookie_send(t, in);
		return;
	}
	c = tcp_conn_new(t, &in->tuple, in->hash);
	if (!c) {
		t->stats->tcp_syn_full++;
		return;
	}
	if (isn_above && tcp_seq_le(c->iss, *isn_above)) {
		/* RFC 6191: beyond everything the old incarnation can have sent */
		c->iss = tcp_seq_add(*isn_above, 64000);
		c->snd_una = c->snd_nxt = c->recover = c->iss;
	}
	c->state = TCP_SYN_RCVD;
	c->flags |= CF_PASSIVE | CF_HALF_OPEN;
	t->half_open++;
	c->irs = in->seq;
	c->rcv_nxt = c->rcv_adv = c->last_ack_sent = tcp_seq_add(in->seq, 1);
	if (tcp_in_mac(t, in)) {
		memcpy(c->mac, in->src_mac, 6);
		c->flags |= CF_MAC_HEARD;
	}
	tcp_peer_options(c, in);
	tcp_syn_send(c);
	tcp_rtx_arm(c);
	tcp_life_arm(c, t->conf.syn_give_up_ms);
}

/* RFC 9293 3.10.7.2. @p isn_above: the old incarnation's SND.NXT, or NULL. in->p stays the
 * caller's. */
void tcp_listen_segment(struct tcp *t, struct tcp_in *in, const struct tcp_seq *isn_above)
{
	struct tcp_conn *c;

	if (in->flags & TH_RST) {
		t->stats->tcp_rst_ignored++;
		return;
	}
	if (in->flags & TH_ACK) {
		c = in->flags & TH_SYN ? NULL : tcp_cookie_accept(t, in);
		if (!c) {
			t->stats->tcp_no_conn++;
			tcp_rst_for(t, in);
			return;
		}
		if (in->len || (in->flags & TH_FIN))
			tcp_segment(c, in);
		return;
	}
	if (in->flags & TH_SYN)
		syn_in(t, in, isn_above);
	else
		t->stats->tcp_no_ack_flag++;
}
