/* SPDX-License-Identifier: Apache-2.0 */
/** From IP packets to connections: parse the burst, look all of it up, then process it. */
#include "core/base/endian.h"
#include "dp/net/csum.h"
#include "dp/net/tcp/tcp_int.h"

enum { BATCH = 32 };

static bool csum_good(const struct tcp *t, const struct ip_in *ip)
{
	uint64_t sum;

	if (t->n->conf.rx_csum && (ip->p->flags & PKT_F_L4_CSUM_GOOD))
		return true;
	sum = csum_add(0, ip->ip + IP4_SRC, 8);
	sum += csum_of16(IP_PROTO_TCP) + csum_of16((uint16_t)ip->l4_len);
	return csum_ok(csum_add(sum, ip->l4, ip->l4_len));
}

static bool parse(struct tcp *t, struct ip_in *ip, struct tcp_in *in)
{
	const uint8_t *h = ip->l4;
	uint32_t off;

	t->stats->tcp_rx_segs++;
	if (ip->l4_len < TCP_HDR || (off = (h[TCP_OFF] >> 4) * 4u) < TCP_HDR || off > ip->l4_len) {
		t->stats->tcp_bad_header++;
		return false;
	}
	if (!csum_good(t, ip)) {
		t->stats->tcp_bad_csum++;
		return false;
	}
	in->flags = h[TCP_FLAGS] & (TH_FIN | TH_SYN | TH_RST | TH_PSH | TH_ACK | TH_URG);
	in->opts = h + TCP_HDR;
	in->opts_len = (uint8_t)(off - TCP_HDR);
	if (!tcp_options_parse(in)) {
		t->stats->tcp_bad_options++;
		return false;
	}
	in->p = ip->p;
	in->conn = NULL;
	in->src_mac = ip->p->data + ETH_SRC;
	in->tuple = (struct net_tuple){.local = net_addr_v4(ip->dst),
				       .remote = net_addr_v4(ip->src),
				       .local_port = zk_get16(h + TCP_DST),
				       .remote_port = zk_get16(h + TCP_SRC)};
	in->hash = tcp_hash(t, &in->tuple);
	__builtin_prefetch(&t->table[in->hash & t->table_mask]);
	in->seq.v = zk_get32(h + TCP_SEQ);
	in->ack.v = zk_get32(h + TCP_ACK);
	in->wnd = zk_get16(h + TCP_WND);
	in->len = ip->l4_len - off;
	ip->p->data = ip->l4 + off;
	ip->p->len = in->len; /* without the frame's padding */
	return true;
}

static void hear_mac(struct tcp_conn *c, const uint8_t *mac)
{
	/* Every frame of an on-link peer tells where it is; one compare when nothing changed. */
	if (zk_likely((c->flags & CF_MAC_HEARD) && memcmp(c->mac, mac, 6) == 0))
		return;
	if ((mac[0] & 1) || !net_on_link(c->t->n, net_addr_to_v4(&c->tuple.remote)))
		return;
	memcpy(c->mac, mac, 6);
	c->flags |= CF_MAC_HEARD;
	if (c->flags & CF_NEIGH_WAIT) {
		tcp_work_done(c);
		tcp_work(c);
	}
}

static void no_conn(struct tcp *t, struct tcp_in *in)
{
	if (net_owner(t->n, &in->tuple) != t->n->conf.core) {
		t->stats->tcp_wrong_core++;
		return;
	}
	if (tcp_listener_find(t, in->tuple.local_port)) {
		tcp_listen_segment(t, in, NULL);
		return;
	}
	t->stats->tcp_no_conn++;
	tcp_rst_for(t, in);
}

static void process(struct tcp *t, struct tcp_in *in, struct tcp_tw *tw)
{
	struct tcp_conn *c = in->conn;

	if (zk_likely(c)) {
		hear_mac(c, in->src_mac);
		tcp_segment(c, in);
	} else if (tw) {
		tcp_tw_segment(t, tw, in);
	} else {
		no_conn(t, in);
	}
	pkt_free(in->p);
}

static void batch(struct tcp *t, struct ip_in *v, unsigned count)
{
	struct tcp_in in[BATCH];
	struct tcp_tw *tw[BATCH];
	uint32_t gen = t->table_gen;
	unsigned k = 0;

	for (unsigned i = 0; i < count; i++) {
		if (zk_likely(parse(t, &v[i], &in[k])))
			k++;
		else
			pkt_free(v[i].p);
	}
	for (unsigned i = 0; i < k; i++) {
		in[i].conn = tcp_lookup(t, &in[i].tuple, in[i].hash, &tw[i]);
		if (in[i].conn) {
			__builtin_prefetch(&in[i].conn->rcv_head, 1);
			__builtin_prefetch(&in[i].conn->work, 1);
		}
	}
	for (unsigned i = 0; i < k; i++) {
		/* An earlier segment of the burst may have opened or ended this flow. */
		if (zk_unlikely(gen != t->table_gen))
			in[i].conn = tcp_lookup(t, &in[i].tuple, in[i].hash, &tw[i]);
		process(t, &in[i], tw[i]);
	}
}

void tcp_input(struct tcp *t, struct ip_in *v, unsigned count)
{
	for (unsigned i = 0; i < count; i += BATCH)
		batch(t, v + i, count - i < BATCH ? count - i : BATCH);
}

/* RFC 1191, RFC 5927 7: only for data in flight, only downwards. */
bool tcp_too_big(struct tcp *t, const struct net_tuple *tuple, struct tcp_seq seq, uint16_t mtu)
{
	struct tcp_tw *tw;
	struct tcp_conn *c = tcp_lookup(t, tuple, tcp_hash(t, tuple), &tw);
	uint32_t mss;

	if (!c || c->state < TCP_ESTABLISHED || tcp_seq_lt(seq, c->snd_una) ||
	    !tcp_seq_lt(seq, c->snd_nxt) || mtu >= c->path_mtu || mtu < 68)
		return false;
	/* A smaller path than IPv4's 576 is believed only down to our floor. */
	c->path_mtu = mtu;
	mss = mtu - (uint32_t)(IP4_HDR + TCP_HDR);
	if (c->flags & CF_TS)
		mss = mss > TCP_OPT_TS_BYTES ? mss - TCP_OPT_TS_BYTES : 0;
	if (mss < TCP_MSS_MIN)
		mss = TCP_MSS_MIN;
	if (mss < c->mss)
		c->mss = (uint16_t)mss;
	for (struct pkt *p = c->snd_head; p != c->snd_next; p = p->next)
		if (tcp_seg(p)->len > c->mss)
			tcp_seg_lost(c, p);
	c->flags |= CF_RTX_FIRST;
	tcp_work(c);
	return true;
}
