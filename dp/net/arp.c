/* SPDX-License-Identifier: Apache-2.0 */
/** ARP (RFC 826; RFC 1122 2.3.2 for limits, RFC 5227 2.4 for conflicts) and the neighbour cache. */
#include "core/base/endian.h"
#include "dp/net/net_int.h"

#define RETRY_NS  ((uint64_t)500 * 1000 * 1000)
#define FAILED_NS ((uint64_t)2000 * 1000 * 1000)
#define OLD_NS    ((uint64_t)60 * 1000 * 1000 * 1000)

static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static struct neigh *neigh_set(struct net *n, uint32_t ip)
{
	return n->neigh[zk_mix64(ip ^ n->steer.k0) % NEIGH_SETS];
}

static struct neigh *neigh_find(struct net *n, uint32_t ip)
{
	struct neigh *set = neigh_set(n, ip);

	for (unsigned i = 0; i < NEIGH_WAYS; i++)
		if (set[i].state != NEIGH_FREE && set[i].ip == ip)
			return &set[i];
	return NULL;
}

static void neigh_drop_pending(struct net *n, struct neigh *e)
{
	while (e->pending_head) {
		struct pkt *p = e->pending_head;

		e->pending_head = p->next;
		pkt_free(p);
		n->stats.arp_pending_dropped++;
	}
	e->pending_tail = NULL;
	e->n_pending = 0;
}

/* A place for @p ip: a free one, else the one heard longest ago. The gateway's is kept. */
static struct neigh *neigh_new(struct net *n, uint32_t ip)
{
	struct neigh *set = neigh_set(n, ip), *e = NULL;

	for (unsigned i = 0; i < NEIGH_WAYS; i++) {
		if (set[i].state == NEIGH_FREE) {
			e = &set[i];
			break;
		}
		if (set[i].ip == n->gateway)
			continue;
		if (!e || set[i].confirmed_ns < e->confirmed_ns)
			e = &set[i];
	}
	zk_assert(e);
	if (e->state != NEIGH_FREE) {
		n->stats.arp_evicted++;
		neigh_drop_pending(n, e);
	}
	*e = (struct neigh){.ip = ip, .due_ns = UINT64_MAX, .confirmed_ns = n->now_ns};
	return e;
}

static void arp_put(struct net *n, uint16_t oper, const uint8_t *dst_mac, const uint8_t *tha,
		    uint32_t tpa)
{
	struct pkt *p = pkt_alloc(n->conf.pool);
	uint8_t *b;

	if (!p) {
		n->stats.pool_empty++;
		return;
	}
	b = pkt_append(p, ETH_HDR + ARP_BYTES);
	memcpy(b, dst_mac, 6);
	memcpy(b + ETH_SRC, n->conf.mac, 6);
	zk_put16(b + ETH_TYPE, ETH_TYPE_ARP);
	b += ETH_HDR;
	zk_put16(b, 1);
	zk_put16(b + 2, ETH_TYPE_IP4);
	b[4] = 6;
	b[5] = 4;
	zk_put16(b + ARP_OPER, oper);
	memcpy(b + ARP_SHA, n->conf.mac, 6);
	zk_put32(b + ARP_SPA, n->addr);
	memcpy(b + ARP_THA, tha, 6);
	zk_put32(b + ARP_TPA, tpa);
	net_ctl_put(n, p);
}

static void arp_ask(struct net *n, struct neigh *e)
{
	static const uint8_t zero[6];
	/* An old address is asked for directly first, as RFC 1122 2.3.2.1 (2) says. */
	bool direct = e->state == NEIGH_VALID && e->tries < 2;

	e->tries++;
	e->due_ns = n->now_ns + RETRY_NS;
	if (e->due_ns < n->neigh_due_ns)
		n->neigh_due_ns = e->due_ns;
	n->stats.arp_requests_tx++;
	arp_put(n, ARP_REQUEST, direct ? e->mac : broadcast, zero, e->ip);
}

static void neigh_learn(struct net *n, struct neigh *e, const uint8_t *mac)
{
	if (e->state != NEIGH_VALID || memcmp(e->mac, mac, 6) != 0) {
		memcpy(e->mac, mac, 6);
		n->neigh_gen++;
	}
	e->state = NEIGH_VALID;
	e->tries = 0;
	e->due_ns = UINT64_MAX;
	e->confirmed_ns = n->now_ns;
	while (e->pending_head) {
		struct pkt *p = e->pending_head;

		e->pending_head = p->next;
		memcpy(p->data, mac, 6);
		net_ctl_put(n, p);
	}
	e->pending_tail = NULL;
	e->n_pending = 0;
}

void arp_input(struct net *n, const struct pkt *p)
{
	const uint8_t *a = p->data + ETH_HDR;
	uint32_t spa, tpa;
	uint16_t oper;
	struct neigh *e;

	n->stats.arp_rx++;
	if (p->len < ETH_HDR + ARP_BYTES || zk_get16(a) != 1 || zk_get16(a + 2) != ETH_TYPE_IP4 ||
	    a[4] != 6 || a[5] != 4 || (a[ARP_SHA] & 1)) {
		n->stats.arp_bad++;
		return;
	}
	oper = zk_get16(a + ARP_OPER);
	spa = zk_get32(a + ARP_SPA);
	tpa = zk_get32(a + ARP_TPA);
	if (memcmp(a + ARP_SHA, n->conf.mac, 6) == 0)
		return; /* our own, come back */
	if (spa == n->addr) {
		n->stats.arp_conflict++;
		return;
	}
	if (oper != ARP_REQUEST && oper != ARP_REPLY) {
		n->stats.arp_bad++;
		return;
	}
	/* RFC 826: update what we know; make a new entry only when the packet is for us. A reply
	 * nobody asked for makes none. */
	if (spa != 0 && net_on_link(n, spa)) {
		e = neigh_find(n, spa);
		if (!e && oper == ARP_REQUEST && tpa == n->addr)
			e = neigh_new(n, spa);
		if (e)
			neigh_learn(n, e, a + ARP_SHA);
	}
	if (oper == ARP_REQUEST && tpa == n->addr && n->arp_answers) {
		n->stats.arp_replies_tx++;
		arp_put(n, ARP_REPLY, a + ARP_SHA, a + ARP_SHA, spa);
	}
}

void net_arp_answers(struct net *n, bool yes)
{
	n->arp_answers = yes;
}

static uint32_t next_hop(const struct net *n, uint32_t dst)
{
	return net_on_link(n, dst) ? dst : n->gateway;
}

/* The entry for a next hop, with a request under way when there is need of one. */
static struct neigh *neigh_use(struct net *n, uint32_t hop)
{
	struct neigh *e = neigh_find(n, hop);

	if (!e) {
		e = neigh_new(n, hop);
		e->state = NEIGH_INCOMPLETE;
		arp_ask(n, e);
	} else if (e->state == NEIGH_VALID && e->tries == 0 &&
		   n->now_ns - e->confirmed_ns > OLD_NS) {
		arp_ask(n, e);
	}
	return e;
}

const uint8_t *arp_lookup(struct net *n, uint32_t dst)
{
	uint32_t hop = next_hop(n, dst);
	struct neigh *e;

	if (hop == 0)
		return NULL;
	e = neigh_use(n, hop);
	return e->state == NEIGH_VALID ? e->mac : NULL;
}

void arp_send(struct net *n, struct pkt *p, uint32_t dst)
{
	uint32_t hop = next_hop(n, dst);
	struct neigh *e = hop ? neigh_use(n, hop) : NULL;

	if (e && e->state == NEIGH_VALID) {
		memcpy(p->data, e->mac, 6);
		net_ctl_put(n, p);
		return;
	}
	if (!e || e->state == NEIGH_FAILED || e->n_pending == NEIGH_PENDING_MAX) {
		n->stats.arp_pending_dropped++;
		pkt_free(p);
		return;
	}
	p->next = NULL;
	if (e->pending_tail)
		e->pending_tail->next = p;
	else
		e->pending_head = p;
	e->pending_tail = p;
	e->n_pending++;
}

static void neigh_timer(struct net *n, struct neigh *e)
{
	switch (e->state) {
	case NEIGH_INCOMPLETE:
	case NEIGH_VALID:
		if (e->tries < NEIGH_TRIES_MAX) {
			arp_ask(n, e);
			return;
		}
		n->stats.arp_failed++;
		if (e->state == NEIGH_VALID)
			n->neigh_gen++;
		e->state = NEIGH_FAILED;
		e->due_ns = n->now_ns + FAILED_NS;
		neigh_drop_pending(n, e);
		return;
	default:
		e->state = NEIGH_FREE;
		e->due_ns = UINT64_MAX;
		return;
	}
}

void arp_timer(struct net *n)
{
	uint64_t next = UINT64_MAX;

	if (n->now_ns < n->neigh_due_ns)
		return;
	n->neigh_due_ns = UINT64_MAX;
	for (unsigned s = 0; s < NEIGH_SETS; s++) {
		for (unsigned i = 0; i < NEIGH_WAYS; i++) {
			struct neigh *e = &n->neigh[s][i];

			if (e->state == NEIGH_FREE)
				continue;
			if (e->due_ns <= n->now_ns)
				neigh_timer(n, e);
			if (e->state != NEIGH_FREE && e->due_ns < next)
				next = e->due_ns;
		}
	}
	n->neigh_due_ns = next;
}

void arp_free_pending(struct net *n)
{
	for (unsigned s = 0; s < NEIGH_SETS; s++)
		for (unsigned i = 0; i < NEIGH_WAYS; i++)
			neigh_drop_pending(n, &n->neigh[s][i]);
}
