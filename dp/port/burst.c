/* SPDX-License-Identifier: Apache-2.0 */
/* Receive and transmit: the only code that runs for every packet. */
#include "dp/port/port_int.h"

#include <rte_prefetch.h>

enum { PREFETCH_AHEAD = 4 };

/* One contiguous buffer or nothing: the stack parses in place. */
static bool linear(struct rte_mbuf *m)
{
	return m->nb_segs == 1 || rte_pktmbuf_linearize(m) == 0;
}

static uint32_t rx_flags(const struct rte_mbuf *m)
{
	uint32_t f = 0;

	if ((m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD)
		f |= PKT_F_IP_CSUM_GOOD;
	if ((m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
		f |= PKT_F_L4_CSUM_GOOD;
	return f;
}

uint16_t port_rx(struct port *port, uint16_t q, struct pkt **v, uint16_t n)
{
	struct port_queue *pq = &port->q[q];
	struct rte_mbuf *m[PORT_BURST_MAX];
	uint64_t bytes = 0;
	uint16_t got, kept = 0;

	if (n > PORT_BURST_MAX)
		n = PORT_BURST_MAX;
	if (pq->fd >= 0)
		return tap_io_rx(pq, v, n);
	got = rte_eth_rx_burst(port->id, q, m, n);
	if (got == 0)
		return 0;
	for (uint16_t i = 0; i < got && i < PREFETCH_AHEAD; i++)
		rte_prefetch0(pkt_of_mbuf(m[i]));
	for (uint16_t i = 0; i < got; i++) {
		struct pkt *p = pkt_of_mbuf(m[i]);

		if (i + PREFETCH_AHEAD < got)
			rte_prefetch0(pkt_of_mbuf(m[i + PREFETCH_AHEAD]));
		if (zk_unlikely(!linear(m[i]))) {
			rte_pktmbuf_free(m[i]);
			port_count(&pq->rx_dropped, 1);
			continue;
		}
		p->data = p->buf + m[i]->data_off;
		p->len = m[i]->pkt_len;
		p->flags = port->csum_rx_trusted ? rx_flags(m[i]) : 0;
		p->hash = m[i]->ol_flags & RTE_MBUF_F_RX_RSS_HASH ? m[i]->hash.rss : 0;
		p->next = NULL;
		rte_prefetch0(p->data);
		bytes += p->len;
		v[kept++] = p;
	}
	port_count(&pq->rx_packets, kept);
	port_count(&pq->rx_bytes, bytes);
	return kept;
}

/* The stack asks for checksums only when port_tx_csum_ok() has said so. Lengths of the headers
 * are what the driver needs to find the fields. */
static void tx_offload(struct rte_mbuf *m, const struct pkt *p)
{
	const uint8_t *ip = p->data + 14;

	m->ol_flags = 0;
	if (zk_likely(!(p->flags & (PKT_F_IP_CSUM_WANTED | PKT_F_L4_CSUM_WANTED))))
		return;
	zk_assert(p->len >= 34 && p->data[12] == 0x08 && p->data[13] == 0x00);
	m->l2_len = 14;
	m->l3_len = (uint64_t)(ip[0] & 15u) * 4;
	m->ol_flags = RTE_MBUF_F_TX_IPV4;
	if (p->flags & PKT_F_IP_CSUM_WANTED)
		m->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
	if (p->flags & PKT_F_L4_CSUM_WANTED)
		m->ol_flags |= ip[9] == 17 ? RTE_MBUF_F_TX_UDP_CKSUM : RTE_MBUF_F_TX_TCP_CKSUM;
}

uint16_t port_tx(struct port *port, uint16_t q, struct pkt **v, uint16_t n)
{
	struct port_queue *pq = &port->q[q];
	struct rte_mbuf *m[PORT_BURST_MAX];
	uint32_t len[PORT_BURST_MAX];
	uint64_t bytes = 0;
	uint16_t sent;

	if (n > PORT_BURST_MAX)
		n = PORT_BURST_MAX;
	else if (n == 0)
		return 0;
	if (pq->fd >= 0)
		return tap_io_tx(pq, v, n);
	for (uint16_t i = 0; i < n; i++) {
		struct pkt *p = v[i];

		if (i + PREFETCH_AHEAD < n)
			rte_prefetch0(v[i + PREFETCH_AHEAD]);
		m[i] = pkt_to_mbuf(p);
		m[i]->data_off = (uint16_t)pkt_headroom(p);
		m[i]->data_len = (uint16_t)p->len;
		m[i]->pkt_len = p->len;
		len[i] = p->len;
		tx_offload(m[i], p);
	}
	sent = rte_eth_tx_burst(port->id, q, m, n);
	for (uint16_t i = 0; i < sent; i++)
		/* cppcheck-suppress uninitvar ; sent <= n */
		bytes += len[i];
	if (sent > 0) {
		port_count(&pq->tx_packets, sent);
		port_count(&pq->tx_bytes, bytes);
	}
	return sent;
}
