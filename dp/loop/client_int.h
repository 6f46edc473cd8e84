/* SPDX-License-Identifier: Apache-2.0 */
/** Shared by client.c, client_io.c and client_tx.c; nobody else includes it. */
#ifndef ZK_LOOP_CLIENT_INT_H
#define ZK_LOOP_CLIENT_INT_H

#include "dp/loop/client.h"
#include "dp/loop/pace.h"

enum {
	RX_BURST = PORT_BURST_MAX, /* frames per round from the device */
	HANDED_BURST = 32,         /* packets per round from each other core */
	TX_ARRAY = 2 * PORT_BURST_MAX,
	TX_BURSTS = 4,          /* per round */
	READY_PER_ROUND = 4096, /* connections; the stack's list keeps the rest */
};

/** What srv calls its transport: a connection of TCP and whose it is. */
struct client_conn {
	struct client *owner;
	struct tcp_conn *tcp;
	struct srv_conn *srv;
	struct client_conn *next_free;
};

struct client {
	struct client_conf conf;
	struct net *net;
	struct tcp *tcp;
	struct srv *srv;
	uint64_t now_ns; /* of this round, for the transport's call-backs */
	bool has_queue, draining;
	uint64_t srv_drained_ns;
	uint32_t wake;         /* members that were handed something in this round */
	uint64_t leader_put;   /* our ring to the leader when last looked at */
	struct pace pace;      /* of notifications */
	bool rx_full;          /* the last burst was: more is waiting */
	bool tx_capped;        /* the last round sent as much as a round may */
	bool tx_left;          /* the last round left output for the next */
	bool worked, heard;    /* it did something; something came for a connection */
	uint64_t taken_ns;     /* the CPU was away in this round */
	uint64_t owed_ns;      /* look at the queue whose replies have not all left; 0 = none */
	unsigned tx_n, tx_own; /* own frames leave room in tx for others' */
	struct pkt *tx[TX_ARRAY];
	struct client_conn *conns, *free_conns;
	uint32_t conns_live;
	uint32_t conns_n;
	_Atomic bool drain_asked; /* main thread sets, owner core reads */
	_Atomic bool drained;     /* release by the owner core, acquire by the main thread */
	struct client_stats stats;
	struct client_times times;
	_Atomic uint64_t round_slot[ZK_HIST_SLOTS], reply_slot[ZK_HIST_SLOTS];
};

extern const struct srv_io client_io;

/** Owner core: add @p n to a counter that others read. */
static inline void client_count(_Atomic uint64_t *v, uint64_t n)
{
	/* single writer */
	atomic_store_explicit(v, atomic_load_explicit(v, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/** Hand the frames that belong to others over; what is ours is moved to the front of @p v.
 *  @return how many are ours. */
unsigned client_steer(struct client *c, struct pkt **v, unsigned n);

/** Take what other cores handed over. @return work done. */
unsigned client_take_handed(struct client *c);

/** Put what the quorum's stack sends before the device, take what it got and is not its. @return
 * work done. */
unsigned client_relay(struct client *c);

/** Send what the stack has, as much as the device takes. @return frames sent. */
unsigned client_transmit(struct client *c);

/** Drop every packet still in the core's hands or rings towards it. Pollers stopped. */
void client_drop_packets(struct client *c);

#endif
