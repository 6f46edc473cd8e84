/* SPDX-License-Identifier: Apache-2.0 */
/** Shared by peer.c, peer_io.c and peer_tx.c; nobody else includes it. */
#ifndef ZK_LOOP_PEER_INT_H
#define ZK_LOOP_PEER_INT_H

#include "core/base/list.h"
#include "dp/eal/eal.h"
#include "dp/loop/peer.h"

enum {
	PEER_BURST = PORT_BURST_MAX, /* frames per round from each queue or ring */
	PEER_TX_ARRAY = 2 * PORT_BURST_MAX,
	PEER_TX_BURSTS = 8, /* per round */
	PEER_READY_PER_ROUND = 512,
};

/** What the application calls its transport. */
struct peer_conn {
	struct peer *owner;
	struct tcp_conn *tcp;
	void *conn; /* the application's; NULL: it does not know of it */
	bool dialling, aborted;
	struct zk_list fin;  /* of those whose other side has closed and left bytes to read */
	size_t fin_readable; /* of which so many are left ... */
	uint64_t fin_ns;     /* ... and that until when */
	struct peer_conn *next_free;
};

struct peer {
	struct peer_conf conf;
	struct eal_arena mem;
	struct pkt_pool *pool;
	struct net *net;
	struct tcp *tcp;
	struct peer_app app; /* input NULL: nobody */
	struct peer_wires wires;
	bool attached;
	int queue;         /* of the port, its own; -1: none */
	uint64_t now_ns;   /* of this round, for the transport's call-backs */
	uint64_t heard_ns; /* no call of app.poll() before: see peer_late() */
	struct zk_list fins;
	unsigned tx_n;
	struct pkt *tx[PEER_TX_ARRAY];
	struct peer_conn *conns, *free_conns;
	struct peer_stats stats;
};

static inline void peer_count(_Atomic uint64_t *v, uint64_t n)
{
	/* single writer at a time */
	atomic_store_explicit(v, atomic_load_explicit(v, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/** Frames to the stack: from the rings or the own device; from all queues of the device. @return
 * how many. */
unsigned peer_receive(struct peer *p);
unsigned peer_receive_alone(struct peer *p);

/** Send what the stack has, as much as the way out takes. @return frames sent. */
unsigned peer_transmit(struct peer *p);

/** Drop every packet in the peer's hands or rings towards it. Pollers stopped. */
void peer_drop_packets(struct peer *p);

#endif
