/* SPDX-License-Identifier: Apache-2.0 */
/** Two stacks joined by a wire that a test can make lossy, slow or unfair, in virtual time. */
#ifndef ZK_TEST_PAIR_H
#define ZK_TEST_PAIR_H

#include "dp/net/net.h"
#include "dp/net/stats.h"
#include "dp/net/tcp/check.h"
#include "dp/net/tcp/tcp.h"
#include "test/lib/pkt_heap.h"

#define MS ((uint64_t)1000 * 1000)

enum { PAIR_WIRE_MAX = 8192, PAIR_PORT = 2181 };

struct pair;

/** What becomes of a frame from side @p from: 0 = delivered after the usual delay, > 0 = so many ns
 * more, < 0 = lost. May change its bytes. */
typedef int64_t (*pair_filter)(struct pair *w, int from, struct pkt *p);

struct pair_frame {
	struct pkt *p;
	uint64_t at_ns;
};

struct pair {
	struct zk_mem mem[2];
	struct pkt_pool *tx[2], *rx[2];
	struct net *n[2];
	struct tcp *t[2];
	struct pair_frame wire[2][PAIR_WIRE_MAX]; /* towards side i */
	unsigned n_wire[2];
	uint64_t now_ns, delay_ns;
	pair_filter filter;
	void *ctx;
	uint64_t frames[2]; /* sent by side i */
	uint32_t rng;
	bool hold_refs; /* the "driver" of side 0 keeps its references */
	struct pkt *held[PAIR_WIRE_MAX];
	unsigned n_held;
};

/** @p conf: for both sides, NULL = defaults. */
struct pair *pair_new(const struct tcp_conf *conf);
struct pair *pair_new2(const struct tcp_conf *a, const struct tcp_conf *b, uint32_t tx_packets,
		       uint16_t mtu);
/** What the device and the number of cores change; the same for both sides. */
struct pair_modes {
	bool tx_csum, rx_csum;
	uint16_t core, cores;
};
struct pair *pair_new_modes(const struct pair_modes *m);

/** Frees all and checks that no packet and no byte is left. */
void pair_free(struct pair *w);

/** One round on both sides at the present time. @return frames delivered. */
unsigned pair_round(struct pair *w);

/** When does something happen next (a frame arrives, a timer runs out)? UINT64_MAX = never. */
uint64_t pair_next_ns(const struct pair *w);

/** Rounds for @p ns of virtual time, jumping to the next thing that happens. */
void pair_run(struct pair *w, uint64_t ns);

/** Open a connection from side 1 to side 0: c[0] is the accepted one. */
void pair_open(struct pair *w, struct tcp_conn *c[2]);

/** Run until @p c of side @p i reports all of @p events (READY bits) or @p ns have passed.
 * @return the events seen. */
unsigned pair_wait(struct pair *w, int i, struct tcp_conn *c, unsigned events, uint64_t ns);

uint32_t pair_random(struct pair *w);

/** Field helpers: the TCP header of a frame, NULL when it is none. */
uint8_t *pair_tcp(struct pkt *p);
uint32_t pair_payload(struct pkt *p);
/** Fill in the TCP checksum again after a change. */
void pair_refresh(struct pkt *p);

#define STAT(w, i, name) (net_stats_get((w)->n[i])->name)

#endif
