/* SPDX-License-Identifier: Apache-2.0 */
/** Headers, and the segments that carry nothing else: SYN, ACK, RST. */
#include "core/base/endian.h"
#include "dp/net/csum.h"
#include "dp/net/tcp/tcp_int.h"

/* The parts of the IP header and the pseudo header that are the same for all segments of a flow. */
void tcp_tuple_sums(const struct net_tuple *t, uint16_t *ip_sum, uint16_t *ph_sum)
{
	uint64_t addrs = csum_add(csum_add(0, t->local.b + 12, 4), t->remote.b + 12, 4);

	*ip_sum = csum_fold(addrs + csum_of16(0x4500) + csum_of16(IP4_DF) +
			    csum_of16(IP_TTL << 8 | IP_PROTO_TCP));
	*ph_sum = csum_fold(addrs + csum_of16(IP_PROTO_TCP));
}

void tcp_frame_headers(struct tcp *t, struct pkt *p, const struct tcp_frame *f)
{
	uint32_t hdr = TCP_HDR + (uint32_t)f->opts_len, l4_len;
	uint8_t *h = pkt_push(p, hdr);
	uint64_t sum = f->ph_sum;
	uint16_t csum = 0;

	l4_len = p->len;
	zk_put16(h + TCP_SRC, f->tuple->local_port);
	zk_put16(h + TCP_DST, f->tuple->remote_port);
	zk_put32(h + TCP_SEQ, f->seq.v);
	zk_put32(h + TCP_ACK, f->ack.v);
	h[TCP_OFF] = (uint8_t)(hdr / 4 << 4);
	h[TCP_FLAGS] = f->flags;
	zk_put16(h + TCP_WND, f->wnd);
	zk_put32(h + TCP_CSUM, 0); /* and the urgent pointer */
	if (f->opts_len)
		memcpy(h + TCP_HDR, f->opts, f->opts_len);
	sum += csum_of16((uint16_t)l4_len);
	if (t->n->conf.tx_csum) {
		p->flags = PKT_F_L4_CSUM_WANTED;
		csum = csum_fold(sum);
	} else {
		p->flags = 0;
		csum = csum_finish(csum_add(sum + f->payload_sum, h, hdr));
	}
	memcpy(h + TCP_CSUM, &csum, sizeof(csum));

	h = pkt_push(p, IP4_HDR);
	zk_put32(h, 0x45000000 | (l4_len + IP4_HDR));
	zk_put32(h + IP4_ID, IP4_DF);
	h[IP4_TTL] = IP_TTL;
	h[IP4_PROTO] = IP_PROTO_TCP;
	csum = csum_finish(f->ip_sum + csum_of16((uint16_t)(l4_len + IP4_HDR)));
	memcpy(h + IP4_CSUM, &csum, sizeof(csum));
	memcpy(h + IP4_SRC, f->tuple->local.b + 12, 4);
	memcpy(h + IP4_DST, f->tuple->remote.b + 12, 4);

	h = pkt_push(p, ETH_HDR);
	if (f->mac)
		memcpy(h, f->mac, 6);
	memcpy(h + ETH_SRC, t->n->conf.mac, 6);
	zk_put16(h + ETH_TYPE, ETH_TYPE_IP4);
	t->stats->tcp_tx_segs++;
}

struct pkt *tcp_ctl_alloc(struct tcp *t)
{
	struct pkt *p = pkt_alloc(t->n->conf.pool);

	if (!p)
		t->stats->pool_empty++;
	else if (t->pool_credit)
		t->pool_credit--;
	return p;
}

/* An on-link sender may be answered where it is; others by way of their next hop. */
const uint8_t *tcp_in_mac(const struct tcp *t, const struct tcp_in *in)
{
	bool direct = !(in->src_mac[0] & 1) && net_on_link(t->n, net_addr_to_v4(&in->tuple.remote));

	return direct ? in->src_mac : NULL;
}

void tcp_ctl_send(struct tcp *t, const struct tcp_ctl *ctl)
{
	uint32_t to = net_addr_to_v4(&ctl->tuple.remote);
	struct tcp_frame f = {.tuple = &ctl->tuple,
			      .seq = ctl->seq,
			      .ack = ctl->ack,
			      .wnd = ctl->wnd,
			      .flags = ctl->flags,
			      .opts_len = ctl->opts_len,
			      .opts = ctl->opts};
	struct pkt *p = tcp_ctl_alloc(t);

	if (!p)
		return;
	f.mac = ctl->mac;
	tcp_tuple_sums(&ctl->tuple, &f.ip_sum, &f.ph_sum);
	tcp_frame_headers(t, p, &f);
	if (f.mac)
		net_ctl_put(t->n, p);
	else
		arp_send(t->n, p, to);
}

void tcp_rst_for(struct tcp *t, const struct tcp_in *in)
{
	struct tcp_ctl ctl = {.tuple = in->tuple, .flags = TH_RST, .mac = tcp_in_mac(t, in)};

	if (in->flags & TH_RST)
		return;
	if (in->flags & TH_ACK) {
		ctl.seq = in->ack;
	} else {
		ctl.flags |= TH_ACK;
		ctl.ack = tcp_seq_add(in->seq,
				      in->len + !!(in->flags & TH_SYN) + !!(in->flags & TH_FIN));
	}
	t->stats->tcp_rst_tx++;
	tcp_ctl_send(t, &ctl);
}

static void conn_ctl(struct tcp_conn *c, struct tcp_ctl *ctl)
{
	ctl->tuple = c->tuple;
	ctl->mac = tcp_conn_mac(c);
	tcp_ctl_send(c->t, ctl);
}

void tcp_rst_conn(struct tcp_conn *c)
{
	struct tcp_ctl ctl = {.seq = c->snd_nxt, .ack = c->rcv_nxt, .flags = TH_RST | TH_ACK};

	/* Nothing beyond what the peer has seen: it must find the RST exactly at its RCV.NXT. */
	c->t->stats->tcp_rst_tx++;
	ctl.opts_len = tcp_options_ack(c, ctl.opts, false);
	conn_ctl(c, &ctl);
}

void tcp_syn_send(struct tcp_conn *c)
{
	struct tcp *t = c->t;
	bool answer = c->state == TCP_SYN_RCVD;
	uint32_t wnd = tcp_rcv_window(c);
	struct tcp_ctl ctl = {.seq = c->iss, .flags = TH_SYN};
	bool ts = !answer || (c->flags & CF_TS), sack = !answer || (c->flags & CF_SACK);
	uint8_t scale = c->flags & CF_NO_WSCALE ? UINT8_MAX : t->rcv_wscale;

	if (answer) {
		ctl.flags |= TH_ACK;
		ctl.ack = c->rcv_nxt;
		c->last_ack_sent = c->rcv_nxt;
	}
	ctl.wnd = (uint16_t)(wnd < UINT16_MAX ? wnd : UINT16_MAX);
	ctl.opts_len = tcp_options_syn(ctl.opts, t->mss_local, scale, sack, ts,
				       t->ts_ms + c->ts_offset, answer ? c->ts_recent : 0);
	if (answer)
		c->rcv_adv = tcp_seq_max(c->rcv_adv, tcp_seq_add(c->rcv_nxt, ctl.wnd));
	c->snd_nxt = tcp_seq_add(c->iss, 1);
	c->last_send_tick = t->tick;
	c->flags &= ~(uint32_t)CF_SYN_NOW;
	ctl.tuple = c->tuple;
	ctl.mac = tcp_conn_mac(c);
	if (ctl.mac) {
		tcp_ctl_send(t, &ctl);
	} else {
		c->flags |= CF_SYN_NOW;
		tcp_neigh_wait(c);
	}
}

void tcp_neigh_wait(struct tcp_conn *c)
{
	zk_list_del(&c->work);
	zk_list_add_tail(&c->t->neigh_wait, &c->work);
	c->flags |= CF_NEIGH_WAIT;
}

void tcp_ack_sent(struct tcp_conn *c)
{
	c->last_ack_sent = c->rcv_nxt;
	c->rx_unacked = 0;
	c->delack_tick = 0;
	c->flags &= ~(uint32_t)CF_ACK_NOW;
}

struct pkt *tcp_ack_frame(struct tcp_conn *c, struct tcp_seq seq, const uint8_t *mac)
{
	uint8_t opts[TCP_OPTS_MAX];
	struct tcp_frame f = {.tuple = &c->tuple,
			      .seq = seq,
			      .ack = c->rcv_nxt,
			      .ip_sum = c->ip_sum,
			      .ph_sum = c->ph_sum,
			      .flags = TH_ACK,
			      .opts = opts,
			      .mac = mac};
	struct pkt *p = tcp_ctl_alloc(c->t);

	if (!p)
		return NULL;
	f.wnd = tcp_rcv_window_field(c);
	f.opts_len = tcp_options_ack(c, opts, true);
	tcp_frame_headers(c->t, p, &f);
	tcp_ack_sent(c);
	c->t->stats->tcp_acks_tx++;
	return p;
}

void tcp_ack_send(struct tcp_conn *c, struct tcp_seq seq)
{
	const uint8_t *mac = tcp_conn_mac(c);
	struct pkt *p = tcp_ack_frame(c, seq, mac);

	if (!p)
		return;
	if (mac)
		net_ctl_put(c->t->n, p);
	else
		arp_send(c->t->n, p, net_addr_to_v4(&c->tuple.remote));
}

/* The peer's or the next hop's MAC address; NULL while ARP has no answer. */
const uint8_t *tcp_conn_mac(struct tcp_conn *c)
{
	struct net *n = c->t->n;
	const uint8_t *mac;

	if (zk_likely((c->flags & CF_MAC_HEARD) || c->neigh_gen == n->neigh_gen))
		return c->mac;
	mac = arp_lookup(n, net_addr_to_v4(&c->tuple.remote));
	if (!mac)
		return NULL;
	memcpy(c->mac, mac, 6);
	c->neigh_gen = n->neigh_gen;
	return c->mac;
}
