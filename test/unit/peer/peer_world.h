/* SPDX-License-Identifier: Apache-2.0 */
/** Peers on devices of paper: two ports joined by a wire, an application that notes what it is
 * told.
 */
#ifndef TEST_PEER_WORLD_H
#define TEST_PEER_WORLD_H

#include "dp/loop/peer_int.h"
#include "test/lib/pkt_heap.h"

enum {
	WIRE_MAX = 4096,
	QUEUES_MAX = 3,
	SEEN_MAX = 64,
	CLIENT_PORT = 2181,
	ELECTION_PORT = 3888,
	QUORUM_PORT = 2888,
	STEP_NS = 100000,
	WORLD_HOSTS = 3,
};

struct port {
	struct port *other; /* where its frames go; NULL: nowhere */
	uint16_t queues, tx_queue;
	bool peer_queue;       /* one more, for the peer ... */
	bool steers;           /* ... where the device puts its frames, and no others */
	struct pkt_pool *pool; /* of received frames */
	struct pkt *rx[QUEUES_MAX][WIRE_MAX];
	unsigned rx_n[QUEUES_MAX];
	unsigned tx_frames, tx_room; /* frames it takes from now on */
	unsigned arp_replies;
};

/** What one application's connection has seen. */
struct seen {
	bool used, open, gone, failed, wanted_writable;
	enum quorum_port port;
	void *transport;
	unsigned inputs;
	size_t got;
	uint8_t bytes[256]; /* the first ones */
};

struct host {
	struct port port;
	struct peer *peer;
	struct peer_host known[WORLD_HOSTS]; /* alpha and beta; nobody is where "none" is */
	struct peer_conf conf;
	struct seen seen[SEEN_MAX];
	unsigned seen_n, polls;
	bool shut, refuse, deaf, echo; /* its application's manners */
};

struct world {
	uint64_t now_ns;
	struct host a, b;
};

/** Two hosts, 10.0.0.1 and 10.0.0.2 ("alpha", "beta"), each on a device of its own or one that it
 * would share. */
void world_open(struct world *w, bool own_device);
/** Fails the test when packets are missing. */
void world_close(struct world *w);

/** Rounds of both until @p ns are over. */
void world_run(struct world *w, uint64_t ns);

/** Free and make anew the peer of @p h: a killed process that has come back. */
void host_restart(struct world *w, struct host *h);
void host_close(struct host *h);

/** Dial; the returned entry is the connection. NULL: refused. */
struct seen *host_dial(struct host *h, const char *address);
void host_poll(struct world *w, struct host *h);

#endif
