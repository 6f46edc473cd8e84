/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of the quorum's stack: from and to the client cores, or the device itself. */
#include "dp/loop/packets.h"
#include "dp/loop/peer_int.h"

#include <string.h>

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
	unsigned n = 0;

	if (p->conf.own_device)
		n = receive_queue(p, 0);
	for (unsigned i = 0; i < p->wires.cores; i++)
		n += receive_ring(p, p->wires.in[i]);
	if (n)
		peer_count(&p->stats.rx_frames, n);
	return n;
}

unsigned peer_receive_alone(struct peer *p)
{
	uint16_t queues = port_queues(p->conf.port);
	unsigned n = 0;

	for (uint16_t q = 0; q < queues; q++)
		n += receive_queue(p, q);
	if (n)
		peer_count(&p->stats.rx_frames, n);
	return n;
}

/* Pass on the first frames of the array. @return how many left it. */
static unsigned push_out(struct peer *p)
{
	unsigned burst = p->tx_n < PORT_BURST_MAX ? p->tx_n : PORT_BURST_MAX, sent = 0;

	if (!p->wires.out)
		sent = port_tx(p->conf.port, 0, p->tx, (uint16_t)burst);
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
	if (p->wires.host)
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
