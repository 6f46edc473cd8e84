/* SPDX-License-Identifier: Apache-2.0 */
/** The ensemble on real TCP: frames of dp/net on one Ethernet segment that loses, doubles, delays,
 * disorders and damages them, and is cut between machines, one way or both.
 *
 * A server is dp/loop/client.c (its client core) and dp/loop/peer.c (the quorum's stack) as they
 * are, on devices that end here; the two share one, with a queue each or one for both, or have one
 * each. A client is a stack of its
 * own. Nobody is told that a connection is over but by what comes, or fails to come, on the wire.
 */
#ifndef ZK_TEST_SIM_CLUSTER_WIRE_H
#define ZK_TEST_SIM_CLUSTER_WIRE_H

#include "core/base/assert.h"
#include "dp/loop/client.h"
#include "dp/loop/peer.h"
#include "test/lib/pkt_heap.h"
#include "test/sim/cluster.h"

enum {
	CL_RX_MAX = 512,
	CL_FRAMES_MAX = 32768, /* on the wire */
	CL_RING_SLOTS = 1024,  /* between client core and quorum's stack */
	CL_PORT_CLIENTS = 2181,
	CL_PORT_LEARNERS = 2888,
	CL_PORT_ELECTION = 3888,
};

/* Devices: of each server the clients' and the quorum's, and one per client. */
enum {
	CL_DEV_PEER = CL_SERVERS_MAX,
	CL_DEV_CLIENT = 2 * CL_SERVERS_MAX,
	CL_DEVS = CL_DEV_CLIENT + CL_CLIENTS,
	CL_MACHINES = CL_SERVERS_MAX + CL_CLIENTS, /* servers, then clients */
};

struct cl_queue {
	struct pkt *rx[CL_RX_MAX];
	uint32_t head, tail;
};

struct port {
	struct cl *w;
	unsigned index, machine;
	struct cl_queue queue[2]; /* the clients', and the quorum's where it has one */
};

struct cl_frame {
	uint64_t due_ns, order;
	struct pkt *pkt;
	unsigned to;
};

/* Of a server: what dp/loop/loop.c makes. */
struct cl_stack {
	struct peer *peer;
	struct peer_host host[CL_SERVERS_MAX];
	struct client *client;
	struct pkt_pool *tx;
	struct pring steer, from_peer;
	struct waker waker; /* of the only thread, which never sleeps */
};

/* Of a client. */
struct cl_host {
	struct net *net;
	struct tcp *tcp;
	struct zk_mem mem;
	struct pkt_pool *tx;
	bool touched;
};

struct cl_wire {
	struct port port[CL_DEVS];
	struct cl_stack stack[CL_SERVERS_MAX];
	struct cl_host host[CL_CLIENTS];
	struct pkt_pool *pool;  /* of frames on their way and received */
	struct cl_frame *frame; /* a heap by time and order */
	uint32_t frames;
	uint64_t order;
	uint64_t fifo_ns[CL_DEVS][CL_DEVS];         /* from, to: when the last one arrives */
	uint64_t hole_ns[CL_MACHINES][CL_MACHINES]; /* from, to: nothing gets through until then */
	/* by the seed */
	unsigned loss, twice, disorder, damage; /* per thousand */
	bool own_device, own_queue, offload;
	uint32_t rx_max; /* frames that a device keeps, CL_RX_MAX at most */
	uint16_t mtu;
	uint32_t rto_min_ms;
};

void cl_wire_init(struct cl *w);
/** Every machine is down. A frame that is missing breaks the run. */
void cl_wire_fini(struct cl *w);
/** Frames that are due arrive. */
void cl_wire_step(struct cl *w);
uint64_t cl_wire_next_ns(const struct cl *w);
/** Nothing gets through between two machines for a while. */
void cl_wire_break(struct cl *w);
/** A frame from @p from to whom it names; it is copied. */
void cl_wire_send(struct cl *w, unsigned from, const struct pkt *p);
/** Throw away what the device holds. */
void cl_wire_flush(struct port *port);
/** What a client's device has received. */
unsigned cl_wire_receive(struct port *port, struct pkt **v, unsigned n);
/** Its process asks for the time of day now: peer.c calls clock_gettime(). NULL: nobody's. */
void cl_wire_clock(const struct cl_server *s);

/* ---- cluster_stack.c ---- */
void cl_stack_conf(const struct cl *w, struct tcp_conf *tcp);
void cl_net_conf(struct cl *w, unsigned dev, struct zk_mem *mem, struct pkt_pool *tx,
		 struct net_conf *out);
/** The quorum's stack; it is there until the process dies. */
void cl_stack_boot(struct cl *w, struct cl_server *s);
void cl_stack_kill(struct cl *w, struct cl_server *s);
/** The client core, and the quorum's stack beside it. @return the core's srv. */
struct srv *cl_stack_join(struct cl *w, struct cl_server *s, const struct srv_conf *sc);
void cl_stack_leave(struct cl *w, struct cl_server *s);
/** Rounds: what comes in, and what has been written meanwhile. @return work done. */
unsigned cl_stack_begin(struct cl *w, struct cl_server *s);
unsigned cl_stack_end(struct cl *w, struct cl_server *s);
uint64_t cl_stack_next_ns(const struct cl_server *s);

/* ---- cluster_host.c ---- */
void cl_host_boot(struct cl *w, unsigned client);
void cl_host_kill(struct cl *w, unsigned client);
/** Open the connection of @p c's first end. */
void cl_host_dial(struct cl_conn *c);
/** The client lets go of it. @p loud: with a word, else its machine dies. */
void cl_host_close(struct cl_conn *c, bool loud);
/** What has arrived; and what is to be sent. */
void cl_host_in(struct cl *w, unsigned client);
void cl_host_out(struct cl *w, unsigned client);
uint64_t cl_host_next_ns(const struct cl *w, unsigned client);

#endif
