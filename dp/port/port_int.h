/* SPDX-License-Identifier: Apache-2.0 */
/** Shared by the files of dp/port; nobody else includes it. */
#ifndef ZK_PORT_INT_H
#define ZK_PORT_INT_H

#include "dp/port/port.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <stdatomic.h>

/** A pool and its name for the leak report. */
struct pkt_pool {
	struct rte_mempool *mp;
	uint32_t packets;
	uint32_t room;
	char purpose[48];
};

/** Owner core writes, relaxed; port_stats_get() reads, relaxed: counters only. */
struct port_queue {
	_Alignas(ZK_CACHE_LINE) _Atomic uint64_t rx_packets;
	_Atomic uint64_t rx_bytes, rx_dropped, rx_nombuf;
	_Atomic uint64_t tx_packets, tx_bytes;
	int fd; /* a TAP's, which frames go through; readable when packets wait; -1 = none */
	struct pkt_pool *pool;
	struct pkt *spare; /* a TAP's: the buffer the next frame is read into, NULL = none yet */
};

struct port {
	uint16_t id;          /* DPDK's port number */
	uint16_t queues, mtu; /* queues: of client cores, 0 .. queues - 1 */
	bool peer_queue;      /* there is one more behind them */
	bool flows;           /* rules were made */
	char peer_way[PORT_WAY_MAX];
	bool rss, csum_rx_trusted, csum_tx_ok;
	bool started, is_vdev;
	struct port_conf conf;
	char dev_name[64];        /* DPDK's name of the device */
	uint32_t bridge_route_ip; /* route to take back at close, 0 = none */
	struct port_queue q[PORT_QUEUES_MAX + 1];
};

static inline struct rte_mbuf *pkt_to_mbuf(struct pkt *p)
{
	return (struct rte_mbuf *)(void *)p - 1;
}

static inline struct pkt *pkt_of_mbuf(struct rte_mbuf *m)
{
	return rte_mbuf_to_priv(m);
}

/** With the peer's. */
static inline uint16_t port_all_queues(const struct port *p)
{
	return (uint16_t)(p->queues + p->peer_queue);
}

static inline void port_count(_Atomic uint64_t *c, uint64_t n)
{
	/* single writer, see struct port_queue */
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/** Free a pool and say how many packets are missing; up to @p keeps of them are forgiven, for a
 * driver that is known to keep them. Main thread, when the cores have stopped. */
uint32_t pkt_pool_end(struct pkt_pool *pool, uint32_t keeps);

/** Refuse early and clearly what a driver would refuse late and vaguely.
 *  @return ZK_EOK, or the code with one line in @p why. */
ZK_MUST_USE enum zk_err port_precheck(const struct port_conf *conf, char *why);

/** Name and arguments of the virtual device for @p conf, numbered @p n.
 *  @return ZK_EOK or ZK_EINVAL (too long). */
ZK_MUST_USE enum zk_err port_vdev_args(const struct port_conf *conf, unsigned n, char *name,
				       size_t name_bytes, char *args, size_t args_bytes);

/** Address, route and raise the kernel side of a TAP (netlink). The interface must exist. @p busy
 * only asks whether conf->stack_ip is taken; it may be called before the interface exists.
 *  @return ZK_EOK, or the code with one line in @p why. */
ZK_MUST_USE enum zk_err tap_host_set_up(const struct port_conf *conf, char *why);
ZK_MUST_USE enum zk_err tap_host_address_free(const struct port_conf *conf, char *why);

/** Take back what outlives the TAP: the route over a bridge. */
void tap_host_take_down(const struct port_conf *conf);

/** The frames of a TAP's queue @p q go by its descriptor from now on: find it, and stop the
 * driver's signals. Main thread, after the device has started. @return ZK_EOK or ZK_EIO. */
ZK_MUST_USE enum zk_err tap_io_start(struct port *port, uint16_t q);

/** Give back what the queue keeps. Main thread, when the cores have stopped; more than once is
 * allowed. */
void tap_io_end(struct port_queue *pq);

/** port_rx() and port_tx() of a TAP, counters included. A frame longer than a buffer is dropped and
 * counted; without a buffer nothing is read, which is counted, too. At most @p n system calls,
 * none of which sleeps. */
uint16_t tap_io_rx(struct port_queue *pq, struct pkt **v, uint16_t n);
uint16_t tap_io_tx(struct port_queue *pq, struct pkt **v, uint16_t n);

/** Does somebody else on the wire answer for @p ip? RFC 5227 probe, at most 150 ms, before the
 * pollers start. */
bool port_arp_answers(struct port *port, uint32_t ip, uint8_t mac[6]);

/** Make the device put the peer's frames on its queue, and nothing else there. The port has started
 * and has that queue. Main thread, before the pollers. @return false: it cannot, as p->peer_way
 * says; then the queue must go, since other frames may come in there. */
bool port_steer_begin(struct port *p);

/** port_steer_begin() of a device with flow rules: each rule that it takes, and RSS over the client
 * cores' queues only. Its rules go with port_flow_end(). */
bool port_flow_begin(struct port *p);
void port_flow_end(struct port *p);

/** Start-up probe of checksum offload, see csum_probe.c. Before the pollers start. */
void port_csum_probe(struct port *port);

#endif
