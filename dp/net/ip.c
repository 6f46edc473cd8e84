/* SPDX-License-Identifier: Apache-2.0 */
/** IPv4 (RFC 791, RFC 1122 3.2, RFC 6864). */
#include "core/base/endian.h"
#include "dp/net/csum.h"
#include "dp/net/net_int.h"

static bool source_ok(const struct net *n, uint32_t src)
{
	if (src == n->addr || src == 0 || src >= 0xe0000000)
		return false;
	/* the subnet's broadcast addresses; a /31 or /32 has none */
	if (net_on_link(n, src) && n->conf.prefix < 31 &&
	    ((src & ~n->mask) == 0 || (src & ~n->mask) == ~n->mask))
		return false;
	return true;
}

bool ip_check(struct net *n, struct pkt *p, struct ip_in *in)
{
	const uint8_t *ip = p->data + ETH_HDR;
	uint32_t have = p->len - ETH_HDR, ihl, total;

	if (have < IP4_HDR) {
		n->stats.rx_short++;
		return false;
	}
	ihl = (ip[0] & 15u) * 4;
	total = zk_get16(ip + IP4_LEN);
	if (ip[0] >> 4 != 4 || ihl < IP4_HDR || total < ihl || total > have) {
		n->stats.ip_bad_header++;
		return false;
	}
	if (!(n->conf.rx_csum && (p->flags & PKT_F_IP_CSUM_GOOD)) &&
	    !csum_ok(csum_add(0, ip, ihl))) {
		n->stats.ip_bad_csum++;
		return false;
	}
	in->src = zk_get32(ip + IP4_SRC);
	in->dst = zk_get32(ip + IP4_DST);
	if (in->dst != n->addr) {
		n->stats.ip_not_for_us++;
		return false;
	}
	if (!source_ok(n, in->src)) {
		n->stats.ip_bad_source++;
		return false;
	}
	if (zk_get16(ip + IP4_FRAG) & IP4_FRAG_MASK) {
		n->stats.ip_fragments++;
		return false;
	}
	if (ip[IP4_TTL] == 0) {
		n->stats.ip_ttl_zero++;
		return false;
	}
	in->p = p;
	in->ip = ip;
	in->l4 = p->data + ETH_HDR + ihl;
	in->l4_len = total - ihl;
	return true;
}

void ip_header(uint8_t *ip, uint32_t src, uint32_t dst, uint8_t proto, uint16_t total_len)
{
	uint16_t csum;

	ip[0] = 0x45;
	ip[1] = 0;
	zk_put16(ip + IP4_LEN, total_len);
	zk_put16(ip + IP4_ID, 0); /* atomic datagram, RFC 6864 4.1 */
	zk_put16(ip + IP4_FRAG, IP4_DF);
	ip[IP4_TTL] = IP_TTL;
	ip[IP4_PROTO] = proto;
	zk_put16(ip + IP4_CSUM, 0);
	zk_put32(ip + IP4_SRC, src);
	zk_put32(ip + IP4_DST, dst);
	csum = csum_finish(csum_add(0, ip, IP4_HDR));
	memcpy(ip + IP4_CSUM, &csum, sizeof(csum));
}
