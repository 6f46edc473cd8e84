/* SPDX-License-Identifier: Apache-2.0 */
/** The network of the quorum: a stack of its own for the election port and the quorum port.
 *
 * Made once by the main thread; it outlives the loop, so that connections survive a rebuild of the
 * server's state. Own packets, own memory, own limits of TCP. It runs
 * - on the leader core's thread, before the leader's machine, while a loop is there
 * (loop_conf.peer)
 * - in the main thread between loop_free() and loop_new(): peer_alone_poll().
 *
 * Where its frames come from: a device of its own (own_device; it reads queue 0), or the client
 * cores' device. There it has a queue of its own when the device can tell its frames apart
 * (port_peer_queue()); it receives and transmits on that. What comes in on the client cores' queues
 * all the same they hand over before they look at their own: every TCP segment whose destination is
 * not the client port, and a copy of each ARP frame; what is theirs on its queue it hands to one of
 * them. Without a queue of its own it transmits through the ring of that one, too.
 */
#ifndef ZK_LOOP_PEER_H
#define ZK_LOOP_PEER_H

#include "core/server/quorum.h"
#include "dp/loop/pring.h"
#include "dp/loop/waker.h"
#include "dp/net/net.h"
#include "dp/net/tcp/tcp.h"
#include "dp/port/port.h"

enum {
	PEER_HOST_MAX = 256,
	PEER_RING_SLOTS = 2048, /* each way between a client core and the peer */
};

/** A host as the configuration names it, and where it is. Who owns it may say another address at
 * any time, from any thread. */
struct peer_host {
	char name[PEER_HOST_MAX]; /* without port, NUL at the end; compared byte by byte */
	_Atomic uint32_t ip;      /* IPv4 in host order; 0: none is known. Relaxed on both sides */
	_Atomic uint32_t dials;   /* how often it was asked for; relaxed, see peer_conf.names */
};

/** What runs on the connections. All are called by the thread that polls. */
struct peer_app {
	void *ctx;
	/** Is anybody wanted on @p port? No: connection refused, before any connection exists.
	 * NULL: always. */
	bool (*wants)(void *ctx, enum quorum_port port);
	/** One has come in on @p port. @return its name for the calls below; NULL: it is reset. */
	void *(*accepted)(void *ctx, enum quorum_port port, void *transport, uint64_t now_ns);
	/** What peer_dial() opens as @p conn is open; NULL @p transport: it is not, @p conn is
	 * forgotten. */
	void (*dialled)(void *ctx, void *conn, void *transport, uint64_t now_ns);
	/** New bytes. Bytes left unread are not reported again until more come. */
	void (*input)(void *ctx, void *conn, uint64_t now_ns);
	/** There is room again after a write() that took less than it was given. */
	void (*writable)(void *ctx, void *conn, uint64_t now_ns);
	/** Over, also after shutdown() and abort(): @p conn and its transport are dead. When the
	 * other side has closed, bytes that came before are offered first, for a second. */
	void (*gone)(void *ctx, void *conn, uint64_t now_ns);
	/** Once per round. @return work done. */
	unsigned (*poll)(void *ctx, uint64_t now_ns, int64_t wall_ms);
	uint64_t (*next_ns)(void *ctx);
	uint64_t (*calm_ns)(void *ctx); /* struct poller.calm_ns */
};

struct peer_conf {
	struct port *port;                   /* open; borrowed until peer_free() */
	bool own_device;                     /* dp.peerDevice: nobody else reads port */
	uint16_t client_port;                /* shared device: the client cores' */
	uint16_t election_port, quorum_port; /* listened on from the start */
	/* Address, prefix, gateway, MAC, secret, steer_key; the rest is filled in. */
	struct net_conf net;
	struct tcp_conf tcp; /* mem_packets_max is filled in */
	uint32_t tx_packets; /* own pool */
	uint32_t rx_packets; /* of each queue of the port that are for the peer: the port is opened
				with so many more (own device: so many) */
	uint64_t memory_bytes;   /* connections and tables */
	struct peer_host *hosts; /* borrowed for life */
	unsigned hosts_n;
	struct waker *names; /* kicked when one of them was dialled; may be NULL */
};

/** Limits and sizes: tcp, tx_packets, rx_packets, memory_bytes. */
void peer_conf_default(struct peer_conf *c);

/** Memory of packets: the own pool, and rx_packets for each of @p queues of the port, whose MTU is
 * @p mtu. For eal_conf.memory_mib. */
uint64_t peer_memory_bytes(const struct peer_conf *c, uint16_t mtu, unsigned queues);

/** Written by the thread that polls, read by anyone, relaxed. */
#define PEER_STATS_MAP(X)                                                                          \
	X(rounds, "rounds")                                                                        \
	X(busy_rounds, "rounds that did something")                                                \
	X(alone_rounds, "rounds of the main thread")                                               \
	X(rx_frames, "frames received")                                                            \
	X(rx_queue, "... on the quorum's own queue, or device")                                    \
	X(rx_steered, "... from client cores, copies of ARP frames included")                      \
	X(strays, "... that were clients', on the quorum's own queue: handed to a client core")    \
	X(strays_lost, "... dropped: its ring was full")                                           \
	X(tx_frames, "frames transmitted")                                                         \
	X(tx_full, "rounds that left frames for the next: device or ring full")                    \
	X(unwanted, "SYNs refused: the application wants nobody on that port")                     \
	X(accepted, "connections that came in")                                                    \
	X(refused, "connections that came in and were reset: nobody wants them, or the limit")     \
	X(dialled, "connections asked for")                                                        \
	X(dial_failed, "... that did not open, or could not be tried")                             \
	X(closed, "connections that were open and are over")                                       \
	X(fin_unread, "connections ended with bytes that nobody took within a second")             \
	X(lates, "times the thread ran late")

struct peer_stats {
#define PEER_STAT(name, text) _Atomic uint64_t name;
	PEER_STATS_MAP(PEER_STAT)
#undef PEER_STAT
};

struct peer;

/** Main thread; the environment is up and the port is open. @return ZK_EOK with *out, owned by the
 * caller; ZK_ENOMEM; ZK_EINVAL. */
ZK_MUST_USE enum zk_err peer_new(const struct peer_conf *conf, uint64_t now_ns, struct peer **out);

/** Main thread; no loop has it, and the port is still open. Connections end without a word.
 * @return false when packets are missing (the pool has said so on the log call-back). */
bool peer_free(struct peer *p);

/** What runs on it; NULL: everything that comes in is reset. Main thread, pollers stopped, and only
 * while no connection is open. */
void peer_app_set(struct peer *p, const struct peer_app *app);

/** The quorum is what runs on it: fills struct peer_app. @p q NULL: nobody. As peer_app_set(). */
void peer_quorum_set(struct peer *p, struct quorum *q);

/** For quorum_conf.net: transport, dial and send_bytes of @p p, borrowed. */
struct quorum_net peer_quorum_net(struct peer *p);

/** Open a connection to "host:port", the host as in peer_conf.hosts or a dotted IPv4 address.
 * app.dialled() follows from a later round. The thread that polls. Bound: hosts_n.
 * @return false: unknown host, own address, no room; nothing follows. */
bool peer_dial(void *peer, void *conn, struct zk_span address);

/** The transport of every connection: dp/net/tcp/tcp.h. */
extern const struct srv_io peer_io;

/** One round on the device itself, without client cores: frames for the client port are answered
 * with RST. Main thread, while no loop has the peer. @return work done. */
unsigned peer_alone_poll(struct peer *p, uint64_t now_ns);

/** The server stops: every connection is reset, so that the other side knows at once. Nobody is
 * told, nothing comes in any more; peer_free() is what is left. Main thread, while no loop has the
 * peer. */
void peer_abort_all(struct peer *p, uint64_t now_ns);

uint32_t peer_conns(const struct peer *p); /* open or being opened; main thread, pollers stopped */
const struct net_stats *peer_net_stats(const struct peer *p);
const struct peer_stats *peer_stats_of(const struct peer *p);
bool peer_own_device(const struct peer *p);

/* ---- for the loop ---- */

enum { PEER_CORES_MAX = PORT_QUEUES_MAX };

/** How the peer reaches a shared device. All NULL with a device of its own. */
struct peer_wires {
	struct pring *in[PEER_CORES_MAX]; /* from client core i */
	/* To the core that hosts the peer: frames to transmit, when it has no queue of its own, and
	 * frames that were not for it. */
	struct pring *out;
	struct waker *host; /* its thread */
	unsigned cores;
};

/** Belong to a loop; @p w is copied, its rings are borrowed until peer_detach(). Main thread. */
void peer_attach(struct peer *p, const struct peer_wires *w);
/** Main thread, pollers stopped: empties the rings towards the peer. */
void peer_detach(struct peer *p);

/** Pollers of the leader's thread: a round before the leader's machine, and what that one has
 * written after it. */
unsigned peer_poll(void *ctx, uint64_t now_ns);
unsigned peer_flush(void *ctx, uint64_t now_ns);
uint64_t peer_next_ns(void *ctx);
uint64_t peer_calm_ns(void *ctx);
uint64_t peer_flush_next_ns(void *ctx);
/** The thread ran late: what has arrived meanwhile is heard before time counts. */
void peer_late(void *ctx, uint64_t late_ns, uint64_t now_ns);
/** Does it read a queue of a device? Then: the descriptor to wait for, -1: the device has no such
 * thing. */
bool peer_has_queue(const struct peer *p);
int peer_rx_fd(const struct peer *p);

#endif
