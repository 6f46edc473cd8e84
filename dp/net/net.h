/* SPDX-License-Identifier: Apache-2.0 */
/** One core's network stack: Ethernet, ARP, IPv4, ICMP echo and TCP. Pure: packets, time and
 * randomness come in, packets go out. No clock, no I/O, no threads, no file-scope state.
 *
 * A round of the owner core is: net_input() for what the device gave, the application's work on the
 * connections that tcp_next_ready() names, net_round_end(), then net_output() until it gives
 * nothing.
 */
#ifndef ZK_NET_NET_H
#define ZK_NET_NET_H

#include "core/base/err.h"
#include "core/mem.h"
#include "dp/port/pkt.h"

#include <stdbool.h>
#include <stdint.h>

/** An address; v4 in the last 4 bytes of a mapped v6 address, so that types carry IPv6. */
struct net_addr {
	uint8_t b[16];
};

struct net_addr net_addr_v4(uint32_t host_order);
bool net_addr_is_v4(const struct net_addr *a);
uint32_t net_addr_to_v4(const struct net_addr *a); /* host byte order */

/** A flow as the stack sees it: local is ours. Ports in host byte order. */
struct net_tuple {
	struct net_addr local, remote;
	uint16_t local_port, remote_port;
};

struct tcp;       /* dp/net/tcp/tcp.h */
struct net_stats; /* dp/net/stats.h */

struct net_conf {
	uint8_t mac[6];
	struct net_addr addr;
	uint8_t prefix;          /* length of the on-link prefix */
	struct net_addr gateway; /* all zero = none */
	uint16_t mtu;            /* IP bytes per frame */
	uint16_t core, cores;    /* this instance's index; how many instances share the address */
	uint8_t steer_key[16];   /* the same on every core: net_owner() */
	uint8_t secret[32];      /* ISN, table hash, cookies, ports: own per process */
	bool tx_csum, rx_csum;   /* the device does them (probed) */
	struct pkt_pool *pool;   /* for everything this stack sends */
	struct zk_mem *mem;      /* tables, connections */
};

struct net;

/** @return ZK_EOK with *out, owned by the caller; ZK_ENOMEM; ZK_EINVAL. @p tcp_conf: struct
 * tcp_conf. */
struct tcp_conf;
ZK_MUST_USE enum zk_err net_new(const struct net_conf *conf, const struct tcp_conf *tcp_conf,
				uint64_t now_ns, struct net **out);

/** Free everything, connections included (without a word on the wire). Every packet goes back. */
void net_free(struct net *n);

struct tcp *net_tcp(struct net *n);
const struct net_stats *net_stats_get(const struct net *n);

/** Which core owns a received frame? Looks at the headers only; ARP and everything that is no TCP
 * segment belongs to core 0 (ARP replies are given to every core, see net_is_arp()). Any core;
 * bound: constant. */
uint16_t net_owner_of_frame(const struct net *n, const struct pkt *p);

/** owner(tuple): keyed hash modulo cores, the same on every core. */
uint16_t net_owner(const struct net *n, const struct net_tuple *t);

/** Is this frame ARP, so that each core's neighbour cache wants to see it? */
bool net_is_arp(const struct pkt *p);

/** Is this frame a TCP segment, or an ICMP error about one that we have sent? Then *port is our end
 * of it. Looks at the headers only. Any core; bound: constant. */
bool net_local_port(const struct pkt *p, uint16_t *port);

/** Does this instance answer ARP requests for its address? At first, if it is core 0. For instances
 * that share an address in other ways than by net_owner(). Owner core. */
void net_arp_answers(struct net *n, bool yes);

/** Take @p count received frames. Ownership passes to the stack. Bound: constant work per frame. */
void net_input(struct net *n, struct pkt **v, unsigned count, uint64_t now_ns);

/** Run due timers (bounded per call) and decide the round's ACKs and window updates. */
void net_round_end(struct net *n, uint64_t now_ns);

/** Fetch up to @p count frames to transmit; ownership of the returned references passes to the
 * caller. */
unsigned net_output(struct net *n, struct pkt **v, unsigned count, uint64_t now_ns);

/** When must net_round_end() run next though nothing arrives? Absolute ns; UINT64_MAX = never. */
uint64_t net_next_timer_ns(const struct net *n);

#endif
