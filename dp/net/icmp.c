/* SPDX-License-Identifier: Apache-2.0 */
/** ICMP (RFC 792, RFC 1122 3.2.2): echo, and packet-too-big for path MTU discovery (RFC 1191). */
#include "core/base/endian.h"
#include "dp/net/csum.h"
#include "dp/net/net_int.h"
#include "dp/net/tcp/tcp_int.h"

/* The request becomes the reply, in its own buffer. */
static void echo(struct net *n, struct ip_in *in)
{
	struct pkt *p = in->p;
	uint8_t *b = in->l4;
	uint16_t csum = 0;

	if (n->icmp_left == 0 || pkt_shared(p)) {
		n->stats.icmp_limited++;
		pkt_free(p);
		return;
	}
	n->icmp_left--;
	b[0] = ICMP_ECHO_REPLY;
	memcpy(b + 2, &csum, 2);
	csum = csum_finish(csum_add(0, b, in->l4_len));
	memcpy(b + 2, &csum, 2);
	/* Options are not answered: the reply's IP header ends directly in front of the message. */
	pkt_pull(p, (uint32_t)(b - p->data));
	p->len = in->l4_len; /* without the frame's padding */
	p->flags = 0;
	ip_header(pkt_push(p, IP4_HDR), n->addr, in->src, IP_PROTO_ICMP,
		  (uint16_t)(IP4_HDR + in->l4_len));
	b = pkt_push(p, ETH_HDR);
	memcpy(b + ETH_SRC, n->conf.mac, 6);
	zk_put16(b + ETH_TYPE, ETH_TYPE_IP4);
	n->stats.icmp_echo_tx++;
	arp_send(n, p, in->src);
}

static void too_big(struct net *n, const struct ip_in *in)
{
	const uint8_t *ip = in->l4 + ICMP_HDR;
	uint32_t len = in->l4_len - ICMP_HDR, ihl;
	struct net_tuple t;

	if (len < IP4_HDR || (ihl = (ip[0] & 15u) * 4) < IP4_HDR || len < ihl + 8 ||
	    ip[0] >> 4 != 4 || ip[IP4_PROTO] != IP_PROTO_TCP || zk_get32(ip + IP4_SRC) != n->addr) {
		n->stats.icmp_too_big_bad++;
		return;
	}
	t = (struct net_tuple){.local = net_addr_v4(zk_get32(ip + IP4_SRC)),
			       .remote = net_addr_v4(zk_get32(ip + IP4_DST)),
			       .local_port = zk_get16(ip + ihl + TCP_SRC),
			       .remote_port = zk_get16(ip + ihl + TCP_DST)};
	if (tcp_too_big(n->tcp, &t, (struct tcp_seq){zk_get32(ip + ihl + TCP_SEQ)},
			zk_get16(in->l4 + 6)))
		n->stats.icmp_too_big++;
	else
		n->stats.icmp_too_big_bad++;
}

void icmp_input(struct net *n, struct ip_in *in)
{
	n->stats.icmp_rx++;
	if (in->l4_len < ICMP_HDR || !csum_ok(csum_add(0, in->l4, in->l4_len))) {
		n->stats.icmp_bad++;
		pkt_free(in->p);
		return;
	}
	if (in->l4[0] == ICMP_ECHO && in->l4[1] == 0) {
		echo(n, in);
		return;
	}
	if (in->l4[0] == ICMP_UNREACHABLE && in->l4[1] == ICMP_CODE_TOO_BIG)
		too_big(n, in);
	else
		n->stats.icmp_ignored++; /* RFC 5927: other errors do not end connections */
	pkt_free(in->p);
}
