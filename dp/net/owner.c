/* SPDX-License-Identifier: Apache-2.0 */
/** Which core owns a flow. */
#include "core/base/endian.h"
#include "dp/net/net_int.h"

uint64_t net_tuple_hash(const struct zk_hash_key *key, const struct net_tuple *t)
{
	uint8_t b[36];

	if (zk_likely(net_addr_is_v4(&t->local) && net_addr_is_v4(&t->remote))) {
		memcpy(b, t->local.b + 12, 4);
		memcpy(b + 4, t->remote.b + 12, 4);
		memcpy(b + 8, &t->local_port, 2);
		memcpy(b + 10, &t->remote_port, 2);
		return zk_hash13(key, b, 12);
	}
	memcpy(b, t->local.b, 16);
	memcpy(b + 16, t->remote.b, 16);
	memcpy(b + 32, &t->local_port, 2);
	memcpy(b + 34, &t->remote_port, 2);
	return zk_hash13(key, b, sizeof(b));
}

uint16_t net_owner(const struct net *n, const struct net_tuple *t)
{
	if (n->conf.cores <= 1)
		return 0;
	/* The high half times the number of cores: an even spread without a division. */
	return (uint16_t)(((net_tuple_hash(&n->steer, t) >> 32) * n->conf.cores) >> 32);
}

bool net_is_arp(const struct pkt *p)
{
	return p->len >= ETH_HDR && zk_get16(p->data + ETH_TYPE) == ETH_TYPE_ARP;
}

/* Where the TCP header of a whole segment begins; NULL: the frame is none. */
static const uint8_t *tcp_of_frame(const struct pkt *p)
{
	const uint8_t *ip = p->data + ETH_HDR;
	uint32_t ihl;

	if (p->len < ETH_HDR + IP4_HDR + 4 || zk_get16(p->data + ETH_TYPE) != ETH_TYPE_IP4)
		return NULL;
	ihl = (ip[0] & 15u) * 4;
	if (ip[0] >> 4 != 4 || ihl < IP4_HDR || p->len < ETH_HDR + ihl + 4 ||
	    ip[IP4_PROTO] != IP_PROTO_TCP || (zk_get16(ip + IP4_FRAG) & IP4_FRAG_MASK))
		return NULL;
	return ip + ihl;
}

/* The TCP header that an ICMP error quotes: of a segment that we have sent. */
static const uint8_t *tcp_of_error(const struct pkt *p)
{
	const uint8_t *ip = p->data + ETH_HDR, *quoted;
	uint32_t at = ETH_HDR + IP4_HDR + ICMP_HDR, ihl;

	if (p->len < at + IP4_HDR || zk_get16(p->data + ETH_TYPE) != ETH_TYPE_IP4 ||
	    ip[0] != 0x45 || ip[IP4_PROTO] != IP_PROTO_ICMP ||
	    (zk_get16(ip + IP4_FRAG) & IP4_FRAG_MASK) || ip[IP4_HDR] != ICMP_UNREACHABLE)
		return NULL;
	quoted = p->data + at;
	ihl = (quoted[0] & 15u) * 4;
	if (quoted[0] >> 4 != 4 || ihl < IP4_HDR || p->len < at + ihl + 4 ||
	    quoted[IP4_PROTO] != IP_PROTO_TCP)
		return NULL;
	return quoted + ihl;
}

bool net_local_port(const struct pkt *p, uint16_t *port)
{
	const uint8_t *h = tcp_of_frame(p);

	if (h) {
		*port = zk_get16(h + TCP_DST);
		return true;
	}
	h = tcp_of_error(p);
	if (h)
		*port = zk_get16(h + TCP_SRC);
	return h != NULL;
}

uint16_t net_owner_of_frame(const struct net *n, const struct pkt *p)
{
	const uint8_t *ip = p->data + ETH_HDR, *h;
	struct net_tuple t;

	h = n->conf.cores > 1 ? tcp_of_frame(p) : NULL;
	if (!h)
		return 0;
	t = (struct net_tuple){.local = net_addr_v4(zk_get32(ip + IP4_DST)),
			       .remote = net_addr_v4(zk_get32(ip + IP4_SRC)),
			       .local_port = zk_get16(h + TCP_DST),
			       .remote_port = zk_get16(h + TCP_SRC)};
	return net_owner(n, &t);
}
