/* SPDX-License-Identifier: Apache-2.0 */
/** A client core: one port queue, one network stack, one srv, and the rings to everybody else.
 *
 * One round: receive a burst, hand frames of other cores' flows over (the owner is
 * net_owner_of_frame(), whatever queue a frame came in on; ARP goes to every core), feed the stack,
 * run srv over the connections that have something to do, transmit. Nothing here waits.
 *
 * In an ensemble the quorum's stack (dp/loop/peer.h) may share the device: segments to other ports
 * than the client port are its, and are handed over before anything else is done. Where it has no
 * queue of its own, what it sends is put before the device first; where it has one, frames of ours
 * that came in there are taken from it.
 */
#ifndef ZK_LOOP_CLIENT_H
#define ZK_LOOP_CLIENT_H

#include "core/server/srv.h"
#include "dp/loop/pring.h"
#include "dp/loop/waker.h"
#include "dp/net/net.h"
#include "dp/net/tcp/tcp.h"
#include "dp/port/port.h"

enum {
	CLIENT_CORES_MAX = PORT_QUEUES_MAX,
	CLIENT_PEER = CLIENT_CORES_MAX, /* the quorum's stack among those that hand frames over */
	CLIENT_MEMBERS_MAX,
};

struct client_conf {
	struct port *port;
	uint16_t core, cores;
	uint16_t queues; /* of the port; core c has queue c, cores beyond that transmit through core
			    c % queues */
	uint16_t listen_port;
	struct zk_mem *mem;  /* of this core */
	struct net_conf net; /* pool and mem of this core */
	struct tcp_conf tcp;
	struct srv_conf srv; /* io is filled in here */
	/* Packets from and to core i; NULL for itself. CLIENT_PEER: out, when the quorum's stack
	 * shares the device; in, when this core transmits for it and takes its strays. */
	struct pring *in[CLIENT_MEMBERS_MAX], *out[CLIENT_MEMBERS_MAX];
	struct waker *waker[CLIENT_MEMBERS_MAX]; /* of the thread that runs core i */
	struct waker *leader_waker;
};

/** Counters of the loop itself; written by the owner core, read by anyone, relaxed. */
#define CLIENT_STATS_MAP(X)                                                                        \
	X(rounds, "rounds")                                                                        \
	X(busy_rounds, "rounds that did something")                                                \
	X(rx_full, "rounds that took a full burst: more may have been waiting")                    \
	X(rx_frames, "frames received")                                                            \
	X(steered, "frames handed to their owner core")                                            \
	X(steer_full, "frames dropped: ring to the owner full")                                    \
	X(peer_frames, "frames handed to the quorum's stack")                                      \
	X(peer_full, "frames for the quorum's stack dropped: its ring was full")                   \
	X(peer_relayed, "frames of the quorum's stack put before the device")                      \
	X(peer_strays, "frames for clients that came in on the quorum's queue")                    \
	X(arp_copies, "ARP frames copied to other cores")                                          \
	X(arp_copies_lost, "ARP copies not made: no buffer or ring full")                          \
	X(tx_frames, "frames transmitted")                                                         \
	X(tx_full, "rounds that left frames for the next: device or ring full")                    \
	X(accepted, "connections accepted")                                                        \
	X(refused, "connections reset at once: limit")                                             \
	X(syn_refused, "SYNs refused: draining or maxCnxns")                                       \
	X(events_short, "rounds with notifications in line that left the packets to replies")      \
	X(packet_waits, "writes that had to wait for packets")                                     \
	X(packet_drops, "packets dropped and connections lost for want of packets or records")     \
	X(syn_unanswered, "SYNs dropped: dp.maxConnections, or no memory for a record")

struct client_stats {
#define CLIENT_STAT(name, text) _Atomic uint64_t name;
	CLIENT_STATS_MAP(CLIENT_STAT)
#undef CLIENT_STAT
};

/** How long a core takes, ns; written by the owner core, read by anyone. srst empties them. */
struct client_times {
	/** Rounds that did something: from one look at the queue to the next, other pollers of the
	 * thread included, without `stolen`. */
	struct zk_metric round;
	/** From the look that brought something for a connection until all that was written up to
	 * the end of that round was with the device, or with the core that transmits; without
	 * `stolen`. What waits for another (the leader, the peer's window) is not meant; nor is
	 * what stood in the device before the look, see rx_full. */
	struct zk_metric reply;
	/** What the machine or the hypervisor took at a time (dp/loop/stolen.h). */
	struct zk_metric stolen;
};

struct client;

/** Main thread, before the pollers. Everything in @p conf that is a pointer is borrowed for the
 * core's life. @return ZK_EOK with *out, owned by the caller; ZK_ENOMEM; ZK_EINVAL. */
ZK_MUST_USE enum zk_err client_new(const struct client_conf *conf, uint64_t now_ns,
				   struct client **out);

/** Main thread, after the pollers: connections end without a word, every packet goes back. */
void client_free(struct client *c);

/** One bounded round. The thread of this core. @return work done; 0 = nothing to do. */
unsigned client_poll(void *ctx, uint64_t now_ns);

/** The thread says that it ran @p late_ns later than it should have. Same thread. */
void client_late(void *ctx, uint64_t late_ns, uint64_t now_ns);

/** The thread says that it had no CPU for @p taken_ns of the round that ends. Same thread. */
void client_stolen(void *ctx, uint64_t taken_ns);

/** When must a round run though nothing arrives? Absolute ns; 0 = something is waiting for room,
 * do not sleep long. Same thread. */
uint64_t client_next_ns(void *ctx);

/** Has it to be told of changes at once? Not without connections: nobody watches or reads. Same
 * thread. */
bool client_minds(void *ctx);

/** The next rounds stop taking connections and requests. Any thread. */
void client_drain(struct client *c);

/** Is everything that was owed sent, and acknowledged? Any thread, after client_drain(). */
bool client_drained(const struct client *c);

struct srv *client_srv(struct client *c);
const struct net_stats *client_net_stats(const struct client *c);
const struct client_stats *client_stats_of(const struct client *c);
/** Any thread; valid as long as @p c. */
struct client_times *client_times_of(struct client *c);
/** Connections of TCP, TIME_WAIT excluded. Main thread, pollers stopped. */
uint32_t client_conns(struct client *c);

#endif
