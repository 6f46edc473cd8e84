/* SPDX-License-Identifier: Apache-2.0 */
/** Inside of the stack: what the sources of dp/net and dp/net/tcp share. */
#ifndef ZK_NET_INT_H
#define ZK_NET_INT_H

#include "core/base/hash.h"
#include "dp/net/net.h"
#include "dp/net/stats.h"
#include "dp/net/wire.h"

enum {
	NEIGH_WAYS = 4,
	NEIGH_SETS = 128,
	NEIGH_PENDING_MAX = 4,
	NEIGH_TRIES_MAX = 4,
	CTL_QUEUE_MAX = 1024,
	ICMP_PER_ROUND_MAX = 64,
};

enum neigh_state {
	NEIGH_FREE,
	NEIGH_INCOMPLETE, /* asked, no answer yet */
	NEIGH_VALID,      /* may be used; asked again when old */
	NEIGH_FAILED,     /* did not answer; not asked before due_ns */
};

/** One neighbour; @p pending are whole frames that lack the destination MAC address only. */
struct neigh {
	uint32_t ip;
	uint8_t state, tries, n_pending;
	uint8_t mac[6];
	uint64_t due_ns;       /* next request, or end of the failed state; UINT64_MAX = none */
	uint64_t confirmed_ns; /* when the address was heard last */
	struct pkt *pending_head, *pending_tail;
};

struct net {
	struct net_conf conf;
	struct net_stats stats;
	struct tcp *tcp;
	struct zk_hash_key steer;
	uint64_t now_ns;
	uint32_t addr, mask, gateway; /* host byte order */
	/* frames of our own making, ready to go; linked by pkt.next */
	struct pkt *ctl_head, *ctl_tail;
	uint32_t n_ctl;
	uint32_t icmp_left; /* echo replies of this round */
	uint64_t neigh_due_ns;
	bool arp_answers;
	uint16_t neigh_gen; /* changes when a neighbour's address does */
	struct neigh neigh[NEIGH_SETS][NEIGH_WAYS];
};

/* arp.c */

/** Take the ARP frame into account; the frame stays the caller's. */
void arp_input(struct net *n, const struct pkt *p);

/** The MAC address for IP address @p dst (next hop looked up), or NULL: not known yet, a request is
 * under way or has failed. Valid until the next call into the stack. */
const uint8_t *arp_lookup(struct net *n, uint32_t dst);

/** Send a whole frame that lacks the destination MAC address to IP address @p dst. Takes @p p. */
void arp_send(struct net *n, struct pkt *p, uint32_t dst);

/** Retry, fail and expire. Bound: the table's size, only when something is due. */
void arp_timer(struct net *n);

void arp_free_pending(struct net *n);

static inline bool net_on_link(const struct net *n, uint32_t ip)
{
	return ((ip ^ n->addr) & n->mask) == 0;
}

/* net.c */

/** Queue a complete frame for transmission. Takes @p p; dropped and counted when the queue is full.
 */
void net_ctl_put(struct net *n, struct pkt *p);

/* ip.c */

/** One IPv4 packet for the transport, checked. */
struct ip_in {
	struct pkt *p;     /* the frame; data still at the Ethernet header */
	const uint8_t *ip; /* IP header */
	uint8_t *l4;       /* behind the IP header */
	uint32_t l4_len;   /* bytes there, by the IP total length */
	uint32_t src, dst; /* host byte order */
};

/** Check an IPv4 frame. @return false when it was to be dropped (counted); @p in is then undefined.
 */
bool ip_check(struct net *n, struct pkt *p, struct ip_in *in);

/** Write an IPv4 header of 20 bytes for @p total_len bytes at @p ip, checksum included. */
void ip_header(uint8_t *ip, uint32_t src, uint32_t dst, uint8_t proto, uint16_t total_len);

/* icmp.c */

/** Process an ICMP packet. Takes in->p. */
void icmp_input(struct net *n, struct ip_in *in);

/* owner.c */
uint64_t net_tuple_hash(const struct zk_hash_key *key, const struct net_tuple *t);

#endif
