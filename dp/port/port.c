/* SPDX-License-Identifier: Apache-2.0 */
/* Open and close a device. */
#include "dp/port/port.h"
#include "dp/eal/eal_int.h"
#include "dp/port/port_int.h"

#include <net/if.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	DESC_MAX = 1024,
	DESC_TAP = 1,
	TAP_QUEUES_MAX = 4, /* more: the driver overruns an array of 8 descriptors at start */
	FRAME_EXTRA = 14 + 8,
	MTU_DEFAULT = 1500,
	MTU_MIN = 576,
	AF_XDP_OWN_PACKETS = 4096,
	AF_XDP_KEPT_MAX = 2048 + 128
};

#define SAY(why, ...) snprintf((why), PORT_ERR_TEXT_MAX, __VA_ARGS__)

static _Atomic unsigned device_number; /* relaxed: only uniqueness matters */

static enum zk_err conf_check(const struct port_conf *conf, char *why)
{
	if (conf->queues == 0 || conf->queues > PORT_QUEUES_MAX) {
		SAY(why, "%u queues wanted, 1 to %d are possible", conf->queues, PORT_QUEUES_MAX);
		return ZK_EINVAL;
	}
	if (conf->mtu != 0 && (conf->mtu < MTU_MIN || conf->mtu > 65000)) {
		SAY(why, "MTU %u is not between %d and 65000", conf->mtu, MTU_MIN);
		return ZK_EINVAL;
	}
	if (conf->rx_pool_packets < 256) {
		SAY(why, "%u receive buffers per queue are too few (256)", conf->rx_pool_packets);
		return ZK_EINVAL;
	}
	if (conf->peer.queue && conf->peer.rx_pool_packets < 256) {
		SAY(why, "%u receive buffers of the peer's queue are too few (256)",
		    conf->peer.rx_pool_packets);
		return ZK_EINVAL;
	}
	if (conf->tap_host_prefix > 32 || (conf->tap_host_ip && conf->tap_host_prefix == 0)) {
		SAY(why, "prefix length %u of the host's address", conf->tap_host_prefix);
		return ZK_EINVAL;
	}
	return ZK_EOK;
}

/* Which code is hidden in a driver's failure? It seldom says. */
static enum zk_err driver_code(int rc)
{
	switch (rc < 0 ? -rc : rc) {
	case EPERM:
	case EACCES:
		return ZK_EPERM;
	case EBUSY:
	case EEXIST:
		return ZK_EBUSY;
	case ENODEV:
	case ENOENT:
		return ZK_ENOENT;
	case EINVAL:
		return ZK_EINVAL;
	default:
		return ZK_EIO;
	}
}

static enum zk_err device_create(struct port *p, char *why)
{
	char args[320];
	enum zk_err err;
	int rc;

	if (p->conf.spec.kind == PORT_PCI) {
		snprintf(p->dev_name, sizeof(p->dev_name), "%.63s", p->conf.spec.name);
		if (rte_eth_dev_get_port_by_name(p->dev_name, &p->id) == 0)
			return ZK_EOK;
		SAY(why, "no DPDK device %s (is it there and bound to vfio-pci?)", p->dev_name);
		return ZK_ENOENT;
	}
	err = port_vdev_args(&p->conf,
			     atomic_fetch_add_explicit(&device_number, 1, memory_order_relaxed),
			     p->dev_name, sizeof(p->dev_name), args, sizeof(args));
	if (err) {
		SAY(why, "device name %s is too long", p->conf.spec.name);
		return err;
	}
	if (p->conf.spec.kind == PORT_AF_XDP) /* else libxdp explains on standard error */
		(void)setenv("LIBXDP_SKIP_DISPATCHER", "1", 0);
	eal_chatter_reset();
	rc = rte_eal_hotplug_add("vdev", p->dev_name, args);
	if (rc == 0)
		rc = rte_eth_dev_get_port_by_name(p->dev_name, &p->id);
	if (rc != 0) {
		SAY(why, "cannot create device %s (%s)", p->conf.spec.name,
		    rte_strerror(rc < 0 ? -rc : rc));
		eal_chatter_append(why, PORT_ERR_TEXT_MAX);
		return driver_code(rc);
	}
	p->is_vdev = true;
	return ZK_EOK;
}

static uint16_t least(uint16_t a, uint16_t b)
{
	return a < b ? a : b;
}

static uint16_t most_queues(const struct port *p, const struct rte_eth_dev_info *info)
{
	uint16_t n = least(info->max_rx_queues, info->max_tx_queues);

	if (p->conf.spec.kind == PORT_AF_XDP)
		return 1; /* more than one: no packet arrives */
	return p->conf.spec.kind == PORT_TAP ? least(n, TAP_QUEUES_MAX) : n;
}

/* One queue more than client cores, where frames can be told apart before they come in. A TAP has
 * few, and a client core without one gets its frames from another core. */
static void queues_decide(struct port *p, const struct rte_eth_dev_info *info)
{
	uint16_t most = most_queues(p, info), wanted = p->conf.queues;
	bool tap = p->conf.spec.kind == PORT_TAP;

	p->queues = least(wanted, most ? most : 1);
	snprintf(p->peer_way, PORT_WAY_MAX, "software");
	if (!p->conf.peer.queue)
		return;
	if (!tap && p->conf.spec.kind != PORT_PCI) {
		snprintf(p->peer_way, PORT_WAY_MAX, "software (not on such a device)");
		return;
	}
	if (most < 2 || (!tap && most <= wanted)) {
		snprintf(p->peer_way, PORT_WAY_MAX, "software (the device has %u queues)", most);
		return;
	}
	p->queues = least(wanted, (uint16_t)(most - 1));
	p->peer_queue = true;
}

/* The driver's own MTU limit does not bind where it only guards what we do ourselves. */
static uint16_t driver_mtu(const struct port *p, const struct rte_eth_dev_info *info)
{
	bool soft = p->conf.spec.kind == PORT_TAP || p->conf.spec.kind == PORT_MEMIF ||
		    p->conf.spec.kind == PORT_AF_PACKET;

	if (p->mtu <= MTU_DEFAULT || !soft)
		return p->mtu;
	return p->mtu <= info->max_mtu && p->mtu + 18u <= info->max_rx_pktlen ? p->mtu
									      : MTU_DEFAULT;
}

static enum zk_err configure(struct port *p, const struct rte_eth_dev_info *info, bool loop,
			     char *why)
{
	struct rte_eth_conf c = {.rxmode = {.mq_mode = RTE_ETH_MQ_RX_NONE}};
	uint64_t hash =
		info->flow_type_rss_offloads & (RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_TCP |
						RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_NONFRAG_IPV6_TCP);
	bool real = p->conf.spec.kind == PORT_PCI;
	int rc;

	c.rxmode.mtu = driver_mtu(p, info);
	c.intr_conf.rxq = p->conf.spec.kind == PORT_TAP;
	p->rss = p->queues > 1 &&
		 (p->conf.spec.kind == PORT_TAP || p->conf.spec.kind == PORT_AF_PACKET);
	if (real && p->queues > 1 && hash != 0) {
		c.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		c.rx_adv_conf.rss_conf.rss_hf = hash;
		c.rxmode.offloads |= info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_RSS_HASH;
		p->rss = true;
	}
	if (real) { /* used only as far as the probe has seen them work */
		c.rxmode.offloads |= info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_CHECKSUM;
		c.txmode.offloads |= info->tx_offload_capa &
				     (RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM);
	}
	c.lpbk_mode = loop;
	eal_chatter_reset();
	rc = rte_eth_dev_configure(p->id, port_all_queues(p), port_all_queues(p), &c);
	if (rc != 0) {
		SAY(why, "device %s: configuration with %u queues, MTU %u refused (%s)",
		    p->conf.spec.name, port_all_queues(p), p->mtu, rte_strerror(-rc));
		eal_chatter_append(why, PORT_ERR_TEXT_MAX);
		return driver_code(rc);
	}
	return ZK_EOK;
}

static enum zk_err pools_make(struct port *p, const struct rte_eth_dev_info *info, char *why)
{
	uint32_t packets = p->conf.rx_pool_packets + p->conf.peer.rx_pool_packets;
	uint32_t room = p->mtu + FRAME_EXTRA < 2048 ? 2048 : p->mtu + FRAME_EXTRA;

	if (room < info->min_rx_bufsize)
		room = info->min_rx_bufsize;
	if (p->conf.spec.kind == PORT_AF_XDP)
		packets += AF_XDP_OWN_PACKETS; /* the driver keeps that many in the kernel's ring */
	for (uint16_t i = 0; i < port_all_queues(p); i++) {
		char purpose[48];

		if (i == p->queues)
			packets = p->conf.peer.rx_pool_packets;
		snprintf(purpose, sizeof(purpose), "rx %.24s queue %u", p->conf.spec.name, i);
		p->q[i].pool = port_pool_new(purpose, packets, room);
		if (!p->q[i].pool) {
			SAY(why, "no memory for %u receive buffers of %u bytes", packets, room);
			return ZK_ENOMEM;
		}
	}
	return ZK_EOK;
}

static enum zk_err queues_set_up(struct port *p, const struct rte_eth_dev_info *info, char *why)
{
	uint16_t nrx = DESC_MAX, ntx = DESC_MAX;
	struct rte_eth_txconf tx = info->default_txconf;
	int rc = 0;

	if (p->conf.spec.kind == PORT_TAP)
		nrx = DESC_TAP; /* it takes that many buffers for itself and uses none */
	while (nrx > 64 && nrx > p->conf.rx_pool_packets / 4)
		nrx /= 2;
	tx.offloads &= ~(uint64_t)RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE; /* packets are shared */
	eal_chatter_reset();
	rc = rte_eth_dev_adjust_nb_rx_tx_desc(p->id, &nrx, &ntx);
	for (uint16_t i = 0; rc == 0 && i < port_all_queues(p); i++) {
		rc = rte_eth_rx_queue_setup(p->id, i, nrx, 0, NULL, p->q[i].pool->mp);
		if (rc == 0)
			rc = rte_eth_tx_queue_setup(p->id, i, ntx, 0, &tx);
	}
	if (rc != 0) {
		SAY(why, "device %s: queue set-up refused (%s)", p->conf.spec.name,
		    rte_strerror(-rc));
		eal_chatter_append(why, PORT_ERR_TEXT_MAX);
		return driver_code(rc);
	}
	return ZK_EOK;
}

static enum zk_err start(struct port *p, char *why)
{
	int rc;

	eal_chatter_reset();
	rc = rte_eth_dev_start(p->id);
	if (rc != 0) {
		SAY(why, "device %s does not start (%s)", p->conf.spec.name, rte_strerror(-rc));
		eal_chatter_append(why, PORT_ERR_TEXT_MAX);
		return driver_code(rc);
	}
	p->started = true;
	(void)rte_eth_promiscuous_enable(p->id); /* the stack has its own MAC */
	for (uint16_t i = 0; i < port_all_queues(p); i++) {
		p->q[i].fd = -1;
		if (p->conf.spec.kind == PORT_TAP && tap_io_start(p, i) != ZK_EOK) {
			SAY(why, "device %s: no descriptor of queue %u", p->conf.spec.name, i);
			return ZK_EIO;
		}
	}
	return ZK_EOK;
}

static enum zk_err mtu_decide(struct port *p, char *why)
{
	uint16_t own = MTU_DEFAULT;

	if (p->conf.mtu) {
		p->mtu = p->conf.mtu;
		return ZK_EOK;
	}
	if (rte_eth_dev_get_mtu(p->id, &own) != 0 || own < MTU_MIN) {
		SAY(why, "device %s does not say its MTU", p->conf.spec.name);
		return ZK_EIO;
	}
	p->mtu = own;
	return ZK_EOK;
}

/* Another station with our address would take our clients. Not on a plain TAP or a memif, where
 * there is no other station; not for 127/8, for which the kernel answers where no route says
 * otherwise. */
static enum zk_err address_probe(struct port *p, char *why)
{
	uint8_t mac[6];
	bool shared = p->conf.spec.kind == PORT_PCI || p->conf.tap_bridge[0] != 0 ||
		      ((p->conf.spec.kind == PORT_AF_PACKET || p->conf.spec.kind == PORT_AF_XDP) &&
		       p->conf.stack_ip >> 24 != 127);
	uint32_t ip = p->conf.stack_ip;

	if (!shared || ip == 0 || !port_arp_answers(p, ip, mac))
		return ZK_EOK;
	SAY(why,
	    "address %u.%u.%u.%u is busy: %02x:%02x:%02x:%02x:%02x:%02x answers for it on %.40s",
	    ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255, mac[0], mac[1], mac[2], mac[3],
	    mac[4], mac[5], p->conf.spec.name);
	return ZK_EBUSY;
}

/* Once through configure, start and stop in the device's loopback mode, where it has one. */
static void csum_learn(struct port *p, const struct rte_eth_dev_info *info)
{
	const uint64_t wanted = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
	char ignored[PORT_ERR_TEXT_MAX];

	if (p->conf.spec.kind != PORT_PCI || (info->tx_offload_capa & wanted) != wanted)
		return;
	if (configure(p, info, true, ignored) != ZK_EOK &&
	    configure(p, info, false, ignored) != ZK_EOK)
		return;
	if (queues_set_up(p, info, ignored) != ZK_EOK || start(p, ignored) != ZK_EOK)
		return;
	port_csum_probe(p);
	(void)rte_eth_dev_stop(p->id);
	p->started = false;
}

static enum zk_err bring_up(struct port *p, const struct rte_eth_dev_info *info, char *why)
{
	enum zk_err err = configure(p, info, false, why);

	if (!err)
		err = queues_set_up(p, info, why);
	if (!err && p->conf.spec.kind == PORT_TAP)
		err = tap_host_set_up(&p->conf, why);
	return err ? err : start(p, why);
}

/* The device cannot keep it for the peer's frames: once more, without it. */
static enum zk_err without_peer_queue(struct port *p, const struct rte_eth_dev_info *info,
				      char *why)
{
	struct port_queue *q = &p->q[p->queues];
	enum zk_err err;

	(void)rte_eth_dev_stop(p->id);
	p->started = p->peer_queue = false;
	err = bring_up(p, info, why); /* the driver gives the queue's packets back */
	if (err)
		return err;
	tap_io_end(q);
	(void)pkt_pool_end(q->pool, 0);
	q->pool = NULL;
	return ZK_EOK;
}

static enum zk_err open_device(struct port *p, char *why)
{
	struct rte_eth_dev_info info;
	enum zk_err err;

	err = device_create(p, why);
	if (err)
		return err;
	if (rte_eth_dev_info_get(p->id, &info) != 0) {
		SAY(why, "device %s does not describe itself", p->conf.spec.name);
		return ZK_EIO;
	}
	queues_decide(p, &info);
	err = mtu_decide(p, why);
	if (!err)
		err = pools_make(p, &info, why);
	if (err)
		return err;
	csum_learn(p, &info);
	err = bring_up(p, &info, why);
	if (!err && p->peer_queue && !port_steer_begin(p))
		err = without_peer_queue(p, &info, why);
	if (!err)
		err = address_probe(p, why);
	return err;
}

enum zk_err port_open(const struct port_conf *conf, struct port **port, char *why)
{
	enum zk_err err;
	struct port *p;

	why[0] = 0;
	err = conf_check(conf, why);
	if (!err)
		err = port_precheck(conf, why);
	if (err)
		return err;
	p = aligned_alloc(ZK_CACHE_LINE, sizeof(*p));
	if (!p) {
		SAY(why, "out of memory");
		return ZK_ENOMEM;
	}
	memset(p, 0, sizeof(*p));
	p->conf = *conf;
	p->id = RTE_MAX_ETHPORTS;
	err = open_device(p, why);
	if (err) {
		(void)port_close(p);
		return err;
	}
	*port = p;
	return ZK_EOK;
}

uint32_t port_close(struct port *p)
{
	uint32_t missing = 0;

	if (!p)
		return 0;
	port_flow_end(p);
	if (p->started)
		(void)rte_eth_dev_stop(p->id);
	if (p->id < RTE_MAX_ETHPORTS)
		(void)rte_eth_dev_close(p->id);
	if (p->is_vdev)
		(void)rte_eal_hotplug_remove("vdev", p->dev_name);
	if (p->started && p->conf.tap_bridge[0])
		tap_host_take_down(&p->conf);
	for (uint16_t i = 0; i <= PORT_QUEUES_MAX; i++)
		tap_io_end(&p->q[i]);
	/* The af_xdp driver never gives back what it put into the kernel's fill ring. */
	for (uint16_t i = 0; i <= PORT_QUEUES_MAX; i++)
		missing += pkt_pool_end(p->q[i].pool,
					p->conf.spec.kind == PORT_AF_XDP ? AF_XDP_KEPT_MAX : 0);
	free(p);
	return missing;
}

uint16_t port_queues(const struct port *port)
{
	return port->queues;
}

int port_peer_queue(const struct port *port)
{
	return port->peer_queue ? port->queues : -1;
}

const char *port_peer_way(const struct port *port)
{
	return port->peer_way;
}

uint16_t port_mtu(const struct port *port)
{
	return port->mtu;
}

bool port_tx_csum_ok(const struct port *port)
{
	return port->csum_tx_ok;
}

bool port_rx_csum_ok(const struct port *port)
{
	return port->csum_rx_trusted;
}

bool port_rss(const struct port *port)
{
	return port->rss;
}

int port_rx_fd(const struct port *port, uint16_t q)
{
	return port->q[q].fd;
}

void port_mac_get(const struct port *port, uint8_t mac[6])
{
	struct rte_ether_addr a = {{0}};

	(void)rte_eth_macaddr_get(port->id, &a);
	memcpy(mac, a.addr_bytes, 6);
}

bool port_link_up(const struct port *port)
{
	struct rte_eth_link link = {.link_status = 0};

	return rte_eth_link_get_nowait(port->id, &link) == 0 && link.link_status;
}

void port_stats_get(const struct port *port, struct port_stats *out)
{
	struct rte_eth_stats dev;

	memset(out, 0, sizeof(*out));
	for (uint16_t i = 0; i < port_all_queues(port); i++) {
		const struct port_queue *q = &port->q[i];

		out->rx_nombuf += atomic_load_explicit(&q->rx_nombuf, memory_order_relaxed);
		out->rx_packets += atomic_load_explicit(&q->rx_packets, memory_order_relaxed);
		out->rx_bytes += atomic_load_explicit(&q->rx_bytes, memory_order_relaxed);
		out->rx_dropped += atomic_load_explicit(&q->rx_dropped, memory_order_relaxed);
		out->tx_packets += atomic_load_explicit(&q->tx_packets, memory_order_relaxed);
		out->tx_bytes += atomic_load_explicit(&q->tx_bytes, memory_order_relaxed);
	}
	if (rte_eth_stats_get(port->id, &dev) != 0)
		return;
	out->rx_dropped += dev.imissed + dev.ierrors;
	out->tx_dropped += dev.oerrors;
	out->rx_nombuf += dev.rx_nombuf;
}
