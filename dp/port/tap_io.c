/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of a TAP by read(2) and write(2) on the queue's own descriptor. The driver makes the
 * device and its queues; its bursts are not used: it looks at a queue only after a signal per frame
 * has been delivered to some thread of the process, which must get a CPU first, and it sends no
 * frame above 1522 bytes. The four bytes before each frame are struct tun_pi, which the driver has
 * asked the kernel for. */
#include "dp/port/port_int.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PI_BYTES = sizeof(struct tun_pi), ETHER_BYTES = 14 };
_Static_assert(sizeof(struct tun_pi) <= PKT_HEADROOM, "it is read into the headroom");

enum zk_err tap_io_start(struct port *port, uint16_t q)
{
	struct port_queue *pq = &port->q[q];
	int flags;

	pq->fd = rte_eth_dev_rx_intr_ctl_q_get_fd(port->id, q);
	if (pq->fd < 0)
		return ZK_EIO;
	flags = fcntl(pq->fd, F_GETFL);
	if (flags < 0 || fcntl(pq->fd, F_SETFL, (flags | O_NONBLOCK) & ~O_ASYNC) < 0)
		return ZK_EIO;
	return ZK_EOK;
}

void tap_io_end(struct port_queue *pq)
{
	pkt_free(pq->spare);
	pq->spare = NULL;
}

uint16_t tap_io_rx(struct port_queue *pq, struct pkt **v, uint16_t n)
{
	uint64_t bytes = 0;
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct pkt *p = pq->spare ? pq->spare : pkt_alloc(pq->pool);
		struct tun_pi pi;
		ssize_t r;

		pq->spare = NULL;
		if (zk_unlikely(!p)) { /* what waits stays with the kernel */
			port_count(&pq->rx_nombuf, 1);
			break;
		}
		r = read(pq->fd, p->data - PI_BYTES, PI_BYTES + pkt_tailroom(p));
		if (r <= 0) { /* no more, or the interface is gone */
			pq->spare = p;
			break;
		}
		memcpy(&pi, p->data - PI_BYTES, sizeof(pi));
		if (zk_unlikely(r < PI_BYTES + ETHER_BYTES || (pi.flags & TUN_PKT_STRIP))) {
			port_count(&pq->rx_dropped, 1);
			pq->spare = p;
			continue;
		}
		p->len = (uint32_t)(r - PI_BYTES);
		bytes += p->len;
		v[kept++] = p;
	}
	if (kept > 0) {
		port_count(&pq->rx_packets, kept);
		port_count(&pq->rx_bytes, bytes);
	}
	return kept;
}

uint16_t tap_io_tx(struct port_queue *pq, struct pkt **v, uint16_t n)
{
	uint64_t bytes = 0;
	uint16_t sent = 0;

	while (sent < n) {
		struct pkt *p = v[sent];
		struct tun_pi pi = {.flags = 0};
		struct iovec io[2] = {{&pi, sizeof(pi)}, {p->data, p->len}};

		zk_assert(p->len >= ETHER_BYTES &&
			  !(p->flags & (PKT_F_IP_CSUM_WANTED | PKT_F_L4_CSUM_WANTED)));
		memcpy(&pi.proto, p->data + 12, sizeof(pi.proto));
		if (writev(pq->fd, io, 2) < 0)
			break; /* set down, or no memory: the caller tries again */
		bytes += p->len;
		pkt_free(p);
		sent++;
	}
	if (sent > 0) {
		port_count(&pq->tx_packets, sent);
		port_count(&pq->tx_bytes, bytes);
	}
	return sent;
}
