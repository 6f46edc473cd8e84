/* SPDX-License-Identifier: Apache-2.0 */
/** One core's stack: life, rounds, and the way of a frame to its protocol. */
#include "dp/net/net.h"

#include "core/base/endian.h"
#include "dp/net/net_int.h"
#include "dp/net/tcp/tcp_int.h"

enum { BATCH = 32, MTU_MIN = 296 };

static bool conf_ok(const struct net_conf *c)
{
	return c->pool && c->mem && c->mtu >= MTU_MIN && net_addr_is_v4(&c->addr) &&
	       net_addr_to_v4(&c->addr) != 0 && c->prefix <= 32 && !(c->mac[0] & 1) &&
	       c->cores > 0 && c->core < c->cores &&
	       pkt_pool_room(c->pool) + PKT_HEADROOM >= TCP_PKT_ROOM_MIN;
}

enum zk_err net_new(const struct net_conf *conf, const struct tcp_conf *tcp_conf, uint64_t now_ns,
		    struct net **out)
{
	struct net *n;
	enum zk_err err;

	if (!conf_ok(conf))
		return ZK_EINVAL;
	n = zk_mem_alloc(conf->mem, sizeof(*n));
	if (!n)
		return ZK_ENOMEM;
	memset(n, 0, sizeof(*n));
	n->conf = *conf;
	n->now_ns = now_ns;
	n->addr = net_addr_to_v4(&conf->addr);
	n->mask = conf->prefix ? UINT32_MAX << (32 - conf->prefix) : 0;
	n->gateway = net_addr_is_v4(&conf->gateway) ? net_addr_to_v4(&conf->gateway) : 0;
	memcpy(&n->steer, conf->steer_key, sizeof(n->steer));
	n->neigh_due_ns = UINT64_MAX;
	n->neigh_gen = 1;
	n->arp_answers = conf->core == 0;
	n->icmp_left = ICMP_PER_ROUND_MAX;
	err = tcp_new(n, tcp_conf, &n->tcp);
	if (err) {
		zk_mem_free(conf->mem, n, sizeof(*n));
		return err;
	}
	*out = n;
	return ZK_EOK;
}

void net_free(struct net *n)
{
	tcp_free(n->tcp);
	arp_free_pending(n);
	while (n->ctl_head) {
		struct pkt *p = n->ctl_head;

		n->ctl_head = p->next;
		pkt_free(p);
	}
	zk_mem_free(n->conf.mem, n, sizeof(*n));
}

struct tcp *net_tcp(struct net *n)
{
	return n->tcp;
}

const struct net_stats *net_stats_get(const struct net *n)
{
	return &n->stats;
}

void net_ctl_put(struct net *n, struct pkt *p)
{
	if (n->n_ctl == CTL_QUEUE_MAX) {
		n->stats.ctl_queue_full++;
		pkt_free(p);
		return;
	}
	p->next = NULL;
	if (n->ctl_tail)
		n->ctl_tail->next = p;
	else
		n->ctl_head = p;
	n->ctl_tail = p;
	n->n_ctl++;
}

/* One frame: to TCP's batch (true), or dealt with here. */
static bool frame_in(struct net *n, struct pkt *p, struct ip_in *in)
{
	n->stats.rx_frames++;
	n->stats.rx_bytes += p->len;
	if (p->len < ETH_HDR) {
		n->stats.rx_short++;
		goto drop;
	}
	switch (zk_get16(p->data + ETH_TYPE)) {
	case ETH_TYPE_IP4:
		if (memcmp(p->data, n->conf.mac, 6) != 0) {
			n->stats.rx_not_for_us_mac++;
			goto drop;
		}
		if (!ip_check(n, p, in))
			goto drop;
		if (in->ip[IP4_PROTO] == IP_PROTO_TCP)
			return true;
		if (in->ip[IP4_PROTO] == IP_PROTO_ICMP) {
			icmp_input(n, in);
			return false;
		}
		n->stats.ip_unknown_proto++;
		goto drop;
	case ETH_TYPE_ARP:
		if (memcmp(p->data, n->conf.mac, 6) == 0 || (p->data[0] & 1))
			arp_input(n, p);
		else
			n->stats.rx_not_for_us_mac++;
		goto drop;
	default:
		n->stats.rx_unknown_ethertype++;
		goto drop;
	}
drop:
	pkt_free(p);
	return false;
}

static void batch_in(struct net *n, struct pkt **v, unsigned count)
{
	struct ip_in in[BATCH];
	unsigned k = 0;

	for (unsigned i = 0; i < count; i++)
		__builtin_prefetch(v[i]->data + ETH_HDR);
	for (unsigned i = 0; i < count; i++)
		k += frame_in(n, v[i], &in[k]);
	if (k)
		tcp_input(n->tcp, in, k);
}

void net_input(struct net *n, struct pkt **v, unsigned count, uint64_t now_ns)
{
	n->now_ns = now_ns;
	tcp_now(n->tcp, now_ns);
	for (unsigned i = 0; i < count; i += BATCH)
		batch_in(n, v + i, count - i < BATCH ? count - i : BATCH);
}

void net_round_end(struct net *n, uint64_t now_ns)
{
	n->now_ns = now_ns;
	n->icmp_left = ICMP_PER_ROUND_MAX;
	tcp_now(n->tcp, now_ns);
	arp_timer(n);
	tcp_round_end(n->tcp);
}

static unsigned ctl_output(struct net *n, struct pkt **v, unsigned count)
{
	unsigned k = 0;

	while (k < count && n->ctl_head) {
		struct pkt *p = n->ctl_head;

		n->ctl_head = p->next;
		if (!n->ctl_head)
			n->ctl_tail = NULL;
		n->n_ctl--;
		v[k++] = p;
	}
	return k;
}

unsigned net_output(struct net *n, struct pkt **v, unsigned count, uint64_t now_ns)
{
	unsigned k;

	n->now_ns = now_ns;
	tcp_now(n->tcp, now_ns);
	k = ctl_output(n, v, count);
	k += tcp_output(n->tcp, v + k, count - k);
	/* SYNs that have waited for ARP, and questions of ARP's own */
	k += ctl_output(n, v + k, count - k);
	n->stats.tx_frames += k;
	for (unsigned i = 0; i < k; i++)
		n->stats.tx_bytes += v[i]->len;
	return k;
}

uint64_t net_next_timer_ns(const struct net *n)
{
	uint64_t t = tcp_next_timer_ns(n->tcp);

	if (n->ctl_head)
		return n->now_ns;
	return t < n->neigh_due_ns ? t : n->neigh_due_ns;
}
