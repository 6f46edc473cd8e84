/* SPDX-License-Identifier: Apache-2.0 */
/** Two stacks, a link and applications that know every byte they expect: one run of the TCP
 * simulator. */
#ifndef TEST_SIM_TCP_WORLD_H
#define TEST_SIM_TCP_WORLD_H

#include "core/mem.h"
#include "dp/net/net.h"
#include "dp/net/stats.h"
#include "dp/net/tcp/tcp.h"
#include "test/lib/pkt_heap.h"
#include "test/sim/link.h"

#include <stdbool.h>
#include <stdint.h>

enum { WORLD_APPS_MAX = 256, WORLD_WHY_MAX = 640, WORLD_HEADER_BYTES = 24 };

/** What the connections of a run do. */
enum world_load {
	WORLD_BULK,       /* much in both directions */
	WORLD_REQUESTS,   /* small requests, answers of another size, a window of them */
	WORLD_SHORT,      /* many connections, little on each */
	WORLD_HALF_CLOSE, /* the client closes its side, then the server answers */
	WORLD_LOADS
};

struct world_conf {
	uint64_t seed;
	enum world_load load;
	unsigned conns, at_once; /* in all, open at the same time */
	uint32_t c2s_max, s2c_max;
	bool server_closes_first, readers_stall, pool_shortage, tails;
	bool resets_allowed; /* faults are hard enough that a connection may give up */
	uint64_t heal_ns;    /* faults end */
	struct link_conf link[2];
	struct tcp_conf tcp;
	uint16_t mtu;
	uint32_t pool_packets;
};

/** One end of one connection. */
struct world_app {
	struct tcp_conn *conn;
	bool client, opened, header_done, fin_seen, closed, shut, finished;
	uint64_t nonce;
	uint32_t tx_total, rx_total; /* bytes each way, header excluded */
	uint32_t request, answer, window;
	uint64_t sent, received; /* header included */
	uint64_t stalled_until_ns;
	uint8_t flags;
	uint16_t port; /* of the client */
	enum tcp_close_reason reason;
};

struct world_side {
	struct net *net;
	struct tcp *tcp;
	struct zk_mem mem;
	struct pkt_pool *tx, *rx;
	struct world_app apps[WORLD_APPS_MAX];
	unsigned n_apps;
	uint64_t rx_nombuf;
};

struct world {
	struct world_conf conf;
	struct world_side side[2]; /* 0: client, 1: server */
	struct link *link;
	struct sim_rng rng;
	uint64_t now_ns, shortage_until_ns;
	unsigned started, finished_clients, resets;
	uint64_t steps, bytes, digest;
	struct net_stats stats; /* of both sides, at the end */
	struct link_stats link_stats;
	unsigned orphans; /* ends whose peer had given up unheard */
	bool failed;
	char why[WORLD_WHY_MAX];
};

/** The run that belongs to a seed. */
void world_conf_from_seed(struct world_conf *c, uint64_t seed);

/** Run it to the end. @return false with w->why after a failure. The memory is all given back
 * either way; w stays readable. */
bool world_run(struct world *w, const struct world_conf *c);

/* tcp_app.c */
/** Open the client end of the next connection. */
void world_app_start(struct world *w);
/** Let one end do what it can now. @p events: enum tcp_ready. */
void world_app_work(struct world *w, unsigned side, struct world_app *a, unsigned events);
/** The application record of a connection that became ready; makes one for a new passive one. */
struct world_app *world_app_of(struct world *w, unsigned side, struct tcp_conn *c);
/** When must world_app_work() be called though no event comes? UINT64_MAX = never. */
uint64_t world_app_next_ns(const struct world *w);

void world_fail(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
