/* SPDX-License-Identifier: Apache-2.0 */
/* Frames between cores and to the device. */
#include "dp/loop/client_int.h"
#include "dp/loop/packets.h"

#include <string.h>

static bool hand_over(struct client *c, unsigned to, struct pkt *p, bool transmit)
{
	if (!pring_push(c->conf.out[to], packets_tag(p, transmit)))
		return false;
	c->wake |= 1u << to;
	return true;
}

static void copy_arp(struct client *c, const struct pkt *p)
{
	for (unsigned to = 0; to < CLIENT_MEMBERS_MAX; to++) {
		struct pkt *copy;

		if (!c->conf.out[to])
			continue;
		copy = pkt_alloc(c->conf.net.pool);
		if (!copy || pkt_tailroom(copy) < p->len) {
			pkt_free(copy);
			client_count(&c->stats.arp_copies_lost, 1);
			continue;
		}
		memcpy(pkt_append(copy, p->len), p->data, p->len);
		if (hand_over(c, to, copy, false)) {
			client_count(&c->stats.arp_copies, 1);
		} else {
			pkt_free(copy);
			client_count(&c->stats.arp_copies_lost, 1);
		}
	}
}

/* To the quorum's stack? Its thread is woken before we look at our own frames. */
static unsigned steer_peer(struct client *c, struct pkt **v, unsigned n)
{
	unsigned left = 0, handed = 0;
	uint16_t port;

	for (unsigned i = 0; i < n; i++) {
		struct pkt *p = v[i];

		if (!net_local_port(p, &port) || port == c->conf.listen_port) {
			v[left++] = p;
		} else if (hand_over(c, CLIENT_PEER, p, false)) {
			handed++;
		} else {
			pkt_free(p);
			client_count(&c->stats.peer_full, 1);
		}
	}
	if (handed) {
		waker_kick(c->conf.waker[CLIENT_PEER]);
		c->wake &= ~(1u << CLIENT_PEER);
		client_count(&c->stats.peer_frames, handed);
	}
	return left;
}

unsigned client_steer(struct client *c, struct pkt **v, unsigned n)
{
	bool peer = c->conf.out[CLIENT_PEER] != NULL;
	unsigned ours = 0;

	if (peer)
		n = steer_peer(c, v, n);
	if (c->conf.cores == 1 && !peer)
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
		} else if (hand_over(c, owner, p, false)) {
			client_count(&c->stats.steered, 1);
		} else {
			pkt_free(p);
			client_count(&c->stats.steer_full, 1);
		}
	}
	return ours;
}

static unsigned take_from(struct client *c, unsigned from)
{
	struct pring *in = c->conf.in[from];
	struct pkt *v[HANDED_BURST];
	unsigned n = 0, work;

	for (work = 0; work < HANDED_BURST; work++) {
		void *handed = pring_peek(in);
		bool transmit = packets_tagged(handed);

		if (!handed || (transmit && c->tx_n == TX_ARRAY))
			break; /* the device is full: back-pressure to the other core */
		(void)pring_pop(in);
		if (transmit)
			c->tx[c->tx_n++] = packets_untag(handed);
		else
			v[n++] = packets_untag(handed);
	}
	if (from == CLIENT_PEER && n < work)
		client_count(&c->stats.peer_relayed, work - n);
	if (from == CLIENT_PEER && n) { /* of whichever core */
		client_count(&c->stats.peer_strays, n);
		n = client_steer(c, v, n);
	}
	if (n)
		net_input(c->net, v, n, c->now_ns);
	return work;
}

unsigned client_take_handed(struct client *c)
{
	unsigned work = 0;

	for (unsigned from = 0; from < c->conf.cores; from++)
		if (c->conf.in[from])
			work += take_from(c, from);
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

		while (sent < c->tx_n && hand_over(c, host, c->tx[sent], true))
			sent++;
	}
	c->tx_n -= sent;
	memmove(c->tx, c->tx + sent, c->tx_n * sizeof(c->tx[0]));
	return sent;
}

unsigned client_relay(struct client *c)
{
	unsigned n = c->conf.in[CLIENT_PEER] ? take_from(c, CLIENT_PEER) : 0;

	if (n)
		client_count(&c->stats.tx_frames, push_out(c));
	return n;
}

unsigned client_transmit(struct client *c)
{
	unsigned total = 0;

	c->tx_left = true;
	for (unsigned i = 0; i < TX_BURSTS; i++) {
		unsigned want, sent;

		if (c->tx_n < c->tx_own)
			c->tx_n +=
				net_output(c->net, c->tx + c->tx_n, c->tx_own - c->tx_n, c->now_ns);
		if (c->tx_n == 0) {
			c->tx_left = false;
			break;
		}
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
	for (unsigned from = 0; from < CLIENT_MEMBERS_MAX; from++) {
		struct pring *in = c->conf.in[from];
		void *handed;

		while (in && (handed = pring_pop(in)) != NULL)
			pkt_free(packets_untag(handed));
	}
}
