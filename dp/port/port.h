/* SPDX-License-Identifier: Apache-2.0 */
/** Network devices: the only door from the data plane to DPDK.
 *
 * A port is opened and closed by the main thread before the pollers start and after they have
 * stopped. Each queue pair belongs to one logical core. No header outside dp/port, dp/eal and
 * dp/tel sees rte_*.
 */
#ifndef ZK_PORT_PORT_H
#define ZK_PORT_PORT_H

#include "core/base/err.h"
#include "dp/port/pkt.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	PORT_QUEUES_MAX = 16, /* of client cores */
	PORT_BURST_MAX = 64,
	PORT_ERR_TEXT_MAX = 256,
	PORT_PEER_LISTEN = 2,
	PORT_REMOTES_MAX = 512,
	PORT_WAY_MAX = 96,
};

enum port_kind { PORT_TAP, PORT_AF_PACKET, PORT_AF_XDP, PORT_MEMIF, PORT_PCI };

/** What dp.device names, parsed: "tap:zk0", "af_packet:veth1", "af_xdp:eth1", "memif:/run/zk.sock"
 * with optional ",server" | ",client" (default server), "pci:0000:3b:00.0". */
struct port_spec {
	enum port_kind kind;
	char name[128];    /* interface, socket path or PCI address */
	bool memif_client; /* which end of a memif we are */
};

/** Parse the value of dp.device. @p spec is written on success only.
 *  @return ZK_EOK, or ZK_EINVAL with one line in @p why (PORT_ERR_TEXT_MAX bytes). */
ZK_MUST_USE enum zk_err port_spec_parse(const char *text, struct port_spec *spec, char *why);

struct port_remote {
	uint32_t ip; /* host byte order */
	uint16_t port;
};

/** What a member of an ensemble wants of a device that clients use, too. All zero: nothing. */
struct port_peer_conf {
	/* A queue of its own, with its own pool, for TCP to .listen and from .remote: the device
	 * puts it there (steer.c). A wish: see port_peer_queue(). */
	bool queue;
	/* Of that queue. Every other queue gets as many more: a frame that the device did not know
	 * for the peer's comes in there. */
	uint32_t rx_pool_packets;
	uint16_t client_port, listen[PORT_PEER_LISTEN];
	const struct port_remote *remote; /* the other members' ports; borrowed by port_open() */
	unsigned remotes;                 /* at most PORT_REMOTES_MAX; more are not looked at */
	/* The client cores' net_conf.steer_key: a device that can compute net_owner() does. */
	uint8_t steer_key[16];
};

struct port_conf {
	struct port_spec spec;
	uint16_t queues;          /* wanted: one per client core; the device may give fewer, see
				     port_queues() */
	uint16_t mtu;             /* 0 = the device's own */
	uint32_t rx_pool_packets; /* per queue */
	struct port_peer_conf peer;
	uint32_t tap_host_ip;    /* tap only, host byte order: kernel side's address, 0 = none */
	uint8_t tap_host_prefix; /* its prefix length */
	char tap_bridge[16];     /* tap only: bridge to join, "" = none */
	uint32_t stack_ip;       /* the stack's own address, host byte order: routed to the tap */
};

struct port;

/** memif is for benchmarks and tests: when one end goes away while the other is inside port_rx() or
 *  port_tx(), the driver's own thread may unmap the rings under it. Stop the server's process
 * before the client's; neither end may be polling when the other leaves.
 *
 *  Open, configure and start a device; for a TAP also create, address and route its kernel side by
 *  netlink (recipe: 127/8 needs route_localnet and a route in table local). Blocks; main thread.
 *  @return ZK_EOK, or ZK_EINVAL/ZK_ENOENT/ZK_EPERM/ZK_EBUSY/ZK_EIO with one clear line in @p why.
 */
ZK_MUST_USE enum zk_err port_open(const struct port_conf *conf, struct port **port, char *why);

/** Stop and close; NULL is allowed. All packets given to the caller must have been freed.
 *  Main thread. @return received packets that never came back (each pool that misses some has said
 *  so on the log callback); 0 = none. */
uint32_t port_close(struct port *port);

uint16_t port_queues(const struct port *port); /* queue pairs for client cores, >= 1 */

/** The queue that is the peer's (conf.peer.queue), after the client cores'; -1: the device has
 * none, and the frames come in on the others. A frame on the wrong queue is possible both ways. */
int port_peer_queue(const struct port *port);

/** Who puts the peer's frames where they belong, for the log: "steering program", "flow rules 4 of
 * 4", "software (WHY)". */
const char *port_peer_way(const struct port *port);

uint16_t port_mtu(const struct port *port);
bool port_tx_csum_ok(
	const struct port *port); /* the start-up probe saw transmit checksum offload work */
bool port_rx_csum_ok(const struct port *port);
bool port_rss(
	const struct port *port); /* does the device spread flows over its queues by itself? */

/** The device's own MAC address (a TAP's is the kernel side's: never use it for the stack). */
void port_mac_get(const struct port *port, uint8_t mac[6]);

/** Is there a link (memif: is the other end connected)? Any thread that may block. */
bool port_link_up(const struct port *port);

/** Receive at most @p n packets of queue @p q; ownership passes to the caller. Owner core; bounded
 * by n. */
uint16_t port_rx(struct port *port, uint16_t q, struct pkt **v, uint16_t n);

/** Transmit; takes v[0..r) and returns r. The rest stays the caller's: the device's queue is full,
 *  or there is no link (a TAP set down, a memif without its other end). Owner core; bounded by n.
 */
uint16_t port_tx(struct port *port, uint16_t q, struct pkt **v, uint16_t n);

/** A file descriptor that becomes readable when queue @p q has packets, or -1 when the device has
 * none (then the idle ladder ends at micro-sleep). */
int port_rx_fd(const struct port *port, uint16_t q);

struct port_stats {
	uint64_t rx_packets, tx_packets, rx_bytes, tx_bytes, rx_dropped, tx_dropped, rx_nombuf;
};

/** Counters of the device. Any thread that may block. */
void port_stats_get(const struct port *port, struct port_stats *out);

/** Packet pools. Created by the main thread; pkt_alloc() is for the core named here.
 *  @p purpose appears in the leak report ("tx core 1"). @return NULL when memory is short. */
struct pkt_pool *port_pool_new(const char *purpose, uint32_t packets, uint32_t room_bytes);

/** Free an own pool. Returns false, and says so on the log callback, when packets are missing. */
ZK_MUST_USE bool port_pool_free(struct pkt_pool *pool);

#endif
