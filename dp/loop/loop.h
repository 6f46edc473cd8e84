/* SPDX-License-Identifier: Apache-2.0 */
/** All logical cores of a server, their rings and their threads.
 *
 * Built and torn down by the main thread: loop_new(), loop_start(), loop_drain(), loop_stop(),
 * loop_free(), in this order. One OS thread runs per distinct CPU named, pinned to it.
 */
#ifndef ZK_LOOP_LOOP_H
#define ZK_LOOP_LOOP_H

#include "core/server/leader.h"
#include "core/server/srv.h"
#include "dp/loop/client.h"
#include "dp/loop/lead.h"
#include "dp/loop/packets.h"
#include "dp/loop/peer.h"
#include "dp/net/net.h"
#include "dp/net/tcp/tcp.h"
#include "dp/port/port.h"

enum { LOOP_ERR_TEXT_MAX = 256 };

struct loop_conf {
	struct port *port; /* open, with a queue for each core or fewer */
	unsigned cores;    /* client cores */
	uint16_t core_cpu[CLIENT_CORES_MAX];
	uint16_t leader_cpu;
	bool adaptive;       /* dp.idle */
	uint32_t tx_packets; /* pool of each client core */
	uint16_t listen_port;
	uint32_t conns_max;  /* in total; each core gets its share and half of it again */
	struct net_conf net; /* address, MAC, keys; core, pool, mem and offloads are filled in */
	struct tcp_conf tcp; /* conns_max and mem_packets_max are filled in */
	uint32_t rx_packets; /* size of the port's pool per queue, for mem_packets_max */
	uint64_t core_memory_bytes; /* of each core: connections, watches, sessions */
	struct srv_shared *shared;  /* srv[], leader, cores are filled in */
	struct leader_conf leader;  /* rings, cores, mem, log are filled in */
	struct waker *snap_waker;   /* of the snapshot writer, with leader.snap_desk */
	struct tree *tree;
	struct zk_hash_key srv_key;
	/* The quorum's network, on the leader's thread; NULL: this server stands alone. Borrowed
	 * until loop_free(), lives on then with its connections. */
	struct peer *peer;
	/* With it: what runs on that network, who is woken when the state must be replaced, and how
	 * many transactions the log stage has room for: all that the quorum keeps (0: as many as
	 * the leader has under way). */
	struct quorum *quorum;
	struct waker *main_waker;
	uint64_t linger_ns; /* as lead_conf's */
	uint32_t log_slots;
	bool log_in_memory; /* nothing becomes durable, and no log writer is needed */
};

struct loop;

/** Allocate and connect everything; nothing runs yet. @p conf is copied, what it points at is
 * borrowed until loop_free(). @return ZK_EOK with *out, or the code with one line in @p why
 * (LOOP_ERR_TEXT_MAX bytes). */
ZK_MUST_USE enum zk_err loop_new(const struct loop_conf *conf, struct loop **out, char *why);

/** Start the threads. @return ZK_EOK; ZK_EIO with a line in @p why, and no thread running. */
ZK_MUST_USE enum zk_err loop_start(struct loop *l, char *why);

/** Stop taking connections, finish what is owed. Returns at once; loop_drained() tells when. */
void loop_drain(struct loop *l);
bool loop_drained(const struct loop *l);

/** Stop and join all threads. */
void loop_stop(struct loop *l);

/** Free everything; the reclaimer must have stopped. @return false when a pool misses packets (it
 * has said so on the log call-back). */
bool loop_free(struct loop *l);

/** Where the reclaimer finds its work, and whom it wakes when it hands batches back. */
struct lead_garbage *loop_garbage(struct loop *l);
struct waker *loop_leader_waker(struct loop *l);
/** What quorum_bind() wants to know. */
void loop_quorum_bind(struct loop *l, struct quorum_bind *out);
/** What the log writer takes from; unless log_in_memory it must run before loop_start() and until
 * loop_stop(). */
struct logstage *loop_log(struct loop *l);

/** For summaries; relaxed counters. @p core < cores. */
unsigned loop_cores(const struct loop *l);
const struct client *loop_client(const struct loop *l, unsigned core);
const struct lead *loop_lead(const struct loop *l);
const struct peer *loop_peer(const struct loop *l); /* NULL: there is none */

struct loop_thread_stats {
	unsigned cpu, pollers;
	uint64_t rounds, naps, waits, kicks;
};
/** @return number of threads; fills up to @p max. */
unsigned loop_threads(const struct loop *l, struct loop_thread_stats *out, unsigned max);

#endif
