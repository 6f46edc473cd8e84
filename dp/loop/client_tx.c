/* SPDX-License-Identifier: Apache-2.0 */
/* Frames between cores and to the device. */
#include "dp/loop/client_int.h"

#include <string.h>

/* A packet is at least 16-byte aligned: bit 0 of a handed pointer says "transmit this". */
static const uintptr_t tag_tx = 1;

static bool hand_over(struct client *c, unsigned to, struct pkt *p, uintptr_t tag)
{
	zk_assert(((uintptr_t)p & tag_tx) == 0);
	if (!pring_push(c->conf.out[to], (void *)((uintptr_t)p | tag)))
		return false;
	c->wake |= 1u << to;
	return true;
}

static void copy_arp(struct client *c, const struct pkt *p)
{
	for (unsigned to = 0; to < c->conf.cores; to++) {
		struct pkt *copy;

		if (to == c->conf.core)
			continue;
		copy = pkt_alloc(c->conf.net.pool);
		if (!copy || pkt_tailroom(copy) < p->len) {
			pkt_free(copy);
			client_count(&c->stats.arp_copies_lost, 1);
			continue;
		}
		memcpy(pkt_append(copy, p->len), p->data, p->len);
		if (hand_over(c, to, copy, 0)) {
			client_count(&c->stats.arp_copies, 1);
		} else {
			pkt_free(copy);
			client_count(&c->stats.arp_copies_lost, 1);
		}
	}
}

unsigned client_steer(struct client *c, struct pkt **v, unsigned n)
{
	unsigned ours = 0;

	if (c->conf.cores == 1)
		return n;
	for (unsigned i = 0; i < n; i++) {
		struct pkt *p = v[i];
		uint16_t owner;

		if (net_is_arp(p)) {
			copy_arp(c, p);
			v[ours++] = p;
			continue;
		}
		owner = net_owner_of_frame(c->net, p);
		if (owner == c->conf.core) {
			v[ours++] = p;
		} else if (hand_over(c, owner, p, 0)) {
			client_count(&c->stats.steered, 1);
		} else {
			pkt_free(p);
			client_count(&c->stats.steer_full, 1);
		}
	}
	return ours;
}

unsigned client_take_handed(struct client *c)
{
	unsigned work = 0;

	for (unsigned from = 0; from < c->conf.cores; from++) {
		struct pkt *v[HANDED_BURST];
		unsigned n = 0;
		struct pring *in = c->conf.in[from];

		for (unsigned i = 0; in && i < HANDED_BURST; i++) {
			uintptr_t tagged = (uintptr_t)pring_peek(in);
			struct pkt *p = (struct pkt *)(tagged & ~tag_tx);

			if (!tagged)
				break;
			if ((tagged & tag_tx) && c->tx_n == TX_ARRAY)
				break; /* the device is full: back-pressure to the other core */
			(void)pring_pop(in);
			work++;
			if (tagged & tag_tx)
				c->tx[c->tx_n++] = p;
			else
				v[n++] = p;
		}
		if (n)
			net_input(c->net, v, n, c->now_ns);
	}
	return work;
}

/* Pass on the first frames of the array. @return how many left it. */
static unsigned push_out(struct client *c)
{
	unsigned sent = 0;

	if (c->has_queue) {
		unsigned burst = c->tx_n < PORT_BURST_MAX ? c->tx_n : PORT_BURST_MAX;

		sent = port_tx(c->conf.port, c->conf.core, c->tx, (uint16_t)burst);
	} else {
		unsigned host = c->conf.core % c->conf.queues;

		while (sent < c->tx_n && hand_over(c, host, c->tx[sent], tag_tx))
			sent++;
	}
	c->tx_n -= sent;
	memmove(c->tx, c->tx + sent, c->tx_n * sizeof(c->tx[0]));
	return sent;
}

unsigned client_transmit(struct client *c)
{
	unsigned total = 0;

	for (unsigned i = 0; i < TX_BURSTS; i++) {
		unsigned want, sent;

		if (c->tx_n < TX_ARRAY)
			c->tx_n +=
				net_output(c->net, c->tx + c->tx_n, TX_ARRAY - c->tx_n, c->now_ns);
		if (c->tx_n == 0)
			break;
		want = c->tx_n < PORT_BURST_MAX ? c->tx_n : PORT_BURST_MAX;
		sent = push_out(c);
		total += sent;
		if (sent < want)
			break;
	}
	c->tx_capped = total >= TX_BURSTS * PORT_BURST_MAX;
	if (c->tx_n)
		client_count(&c->stats.tx_full, 1);
	if (total)
		client_count(&c->stats.tx_frames, total);
	return total;
}

void client_drop_packets(struct client *c)
{
	while (c->tx_n > 0)
		pkt_free(c->tx[--c->tx_n]);
	for (unsigned from = 0; from < c->conf.cores; from++) {
		struct pring *in = c->conf.in[from];
		uintptr_t tagged;

		while (in && (tagged = (uintptr_t)pring_pop(in)) != 0)
			pkt_free((struct pkt *)(tagged & ~tag_tx));
	}
}
