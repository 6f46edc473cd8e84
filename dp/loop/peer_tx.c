/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of the quorum's stack: from and to its queue of the device, and the client cores. */
#include "dp/loop/packets.h"
#include "dp/loop/peer_int.h"

#include <string.h>

/* What the client cores would not hand over is theirs. @return how many are left, at the front. */
static unsigned sort_out(struct peer *p, struct pkt **v, unsigned n)
{
	unsigned left = 0, strays = 0;
	uint16_t port;

	for (unsigned i = 0; i < n; i++) {
		if (net_local_port(v[i], &port) && port != p->conf.client_port) {
			v[left++] = v[i];
		} else if (pring_push(p->wires.out, packets_tag(v[i], false))) {
			strays++;
		} else {
			pkt_free(v[i]);
			peer_count(&p->stats.strays_lost, 1);
		}
	}
	if (strays) {
		peer_count(&p->stats.strays, strays);
		waker_kick(p->wires.host);
	}
	return left;
}

static unsigned receive_own(struct peer *p)
{
	struct pkt *v[PEER_BURST];
	unsigned n = port_rx(p->conf.port, (uint16_t)p->queue, v, PEER_BURST), ours = n;

	if (n && !p->conf.own_device)
		ours = sort_out(p, v, n);
	if (ours) {
		peer_count(&p->stats.rx_queue, ours);
		net_input(p->net, v, ours, p->now_ns);
	}
	return n;
}

static unsigned receive_queue(struct peer *p, uint16_t queue)
{
	struct pkt *v[PEER_BURST];
	unsigned n = port_rx(p->conf.port, queue, v, PEER_BURST);

	if (n)
		net_input(p->net, v, n, p->now_ns);
	return n;
}

static unsigned receive_ring(struct peer *p, struct pring *in)
{
	struct pkt *v[PEER_BURST];
	unsigned n = 0;

	while (n < PEER_BURST && (v[n] = pring_pop(in)) != NULL)
		n++;
	if (n)
		net_input(p->net, v, n, p->now_ns);
	return n;
}

unsigned peer_receive(struct peer *p)
{
	unsigned n = p->queue >= 0 ? receive_own(p) : 0, handed = 0;

	for (unsigned i = 0; i < p->wires.cores; i++)
		handed += receive_ring(p, p->wires.in[i]);
	if (handed)
		peer_count(&p->stats.rx_steered, handed);
	if (n + handed)
		peer_count(&p->stats.rx_frames, n + handed);
	return n + handed;
}

unsigned peer_receive_alone(struct peer *p)
{
	uint16_t queues = port_queues(p->conf.port);
	unsigned n = 0;

	for (uint16_t q = 0; q < queues; q++)
		n += receive_queue(p, q);
	if (p->queue >= queues)
		n += receive_queue(p, (uint16_t)p->queue);
	if (n)
		peer_count(&p->stats.rx_frames, n);
	return n;
}

/* Pass on the first frames of the array. @return how many left it. */
static unsigned push_out(struct peer *p)
{
	unsigned burst = p->tx_n < PORT_BURST_MAX ? p->tx_n : PORT_BURST_MAX, sent = 0;

	if (p->queue >= 0 || !p->wires.out)
		sent = port_tx(p->conf.port, p->queue < 0 ? 0 : (uint16_t)p->queue, p->tx,
			       (uint16_t)burst);
	else
		while (sent < burst && pring_push(p->wires.out, packets_tag(p->tx[sent], true)))
			sent++;
	p->tx_n -= sent;
	memmove(p->tx, p->tx + sent, p->tx_n * sizeof(p->tx[0]));
	return sent;
}

unsigned peer_transmit(struct peer *p)
{
	unsigned total = 0;

	for (unsigned i = 0; i < PEER_TX_BURSTS; i++) {
		unsigned want, sent;

		if (p->tx_n < PEER_TX_ARRAY)
			p->tx_n += net_output(p->net, p->tx + p->tx_n, PEER_TX_ARRAY - p->tx_n,
					      p->now_ns);
		if (p->tx_n == 0)
			break;
		want = p->tx_n < PORT_BURST_MAX ? p->tx_n : PORT_BURST_MAX;
		sent = push_out(p);
		total += sent;
		if (sent < want)
			break;
	}
	if (p->tx_n)
		peer_count(&p->stats.tx_full, 1);
	if (total == 0)
		return 0;
	peer_count(&p->stats.tx_frames, total);
	if (p->queue < 0 && p->wires.host)
		waker_kick(p->wires.host);
	return total;
}

void peer_drop_packets(struct peer *p)
{
	while (p->tx_n > 0)
		pkt_free(p->tx[--p->tx_n]);
	for (unsigned i = 0; i < p->wires.cores; i++) {
		struct pkt *v;

		while ((v = pring_pop(p->wires.in[i])) != NULL)
			pkt_free(v);
	}
}
