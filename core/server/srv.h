/* SPDX-License-Identifier: Apache-2.0 */
/** A client core's machine: connections, frames, the request pipeline, reads, watches. Pure.
 *
 * dp/loop drives it. A round of the core:
 *   srv_begin(now)                        consume the leader's messages and the change log: fire
 * watches, advance visible, send replies srv_open / srv_input / srv_writable / srv_gone   for what
 * TCP reports srv_end(now)                          publish the ring to the leader, flush touches,
 * time out idle connections; afterwards no pointer into the tree is held
 *
 * Per connection requests are answered in order. A read that finds an earlier write of its
 * connection unanswered stops the parser: the bytes stay in TCP's receive queue until the reply has
 * passed (writes behind writes are pipelined). A full ring to the leader, a full send budget and
 * the outstanding limit stop the parser the same way; nothing is dropped.
 */
#ifndef ZK_SERVER_SRV_H
#define ZK_SERVER_SRV_H

#include "core/base/err.h"
#include "core/base/ring.h"
#include "core/base/span.h"
#include "core/server/msg.h"
#include "core/tree/tree.h"
#include "core/txn/auth.h"

struct srv;      /* one client core */
struct srv_conn; /* one client connection */

/** The transport of a connection; @p t is what srv_open() was given. Semantics of dp/net/tcp/tcp.h.
 */
struct srv_io {
	struct zk_span (*peek)(void *t, size_t skip);
	size_t (*readable)(void *t);
	void (*read_done)(void *t, size_t n);
	void *(*tail)(void *t, size_t n);
	void (*tail_commit)(void *t, size_t used);
	size_t (*write)(void *t, const void *p, size_t n);
	size_t (*unacked)(void *t);
	void (*shutdown)(void *t); /* FIN after what is queued */
	void (*abort)(void *t);    /* RST */
};

/** What all cores share; filled by ctl/server before the cores start, then constant. Stats of each
 * core are published here for srvr, stat and mntr. */
struct srv_stats;
struct leader;
struct srv_shared {
	unsigned cores;
	struct srv *srv[MSG_CORES_MAX];
	const struct leader *leader;
	const struct tree *tree;
	const char *version;        /* as `srvr` prints it, without the build date */
	const char *built;          /* build date */
	uint32_t four_letter_words; /* set of enum srv_word allowed by 4lw.commands.whitelist */
	struct auth_conf auth;
	uint32_t tick_ms, min_session_timeout_ms, max_session_timeout_ms;
	uint32_t jute_maxbuffer;
	uint32_t max_client_cnxns; /* per address; 0 = off */
	uint32_t max_cnxns;        /* in total; 0 = off */
	uint32_t global_outstanding_limit;
	uint32_t sessionless_timeout_ms; /* 10000 */
	uint16_t client_port;
	const char *data_dir, *data_log_dir;
	uint8_t server_id;
	int64_t started_wall_ms;
	uint64_t started_ns;
	/** Facts that only the operating system knows, called from a four-letter word only: no
	 * sleep. */
	struct srv_os {
		uint64_t open_files, max_files, data_dir_bytes, log_dir_bytes;
	} (*os)(void);
};

struct srv_conf {
	struct srv_shared *shared;
	const struct srv_io *io;
	struct zk_mem *mem;
	struct tree *tree;
	struct tree_reader *reader;  /* this core's */
	struct zk_ring *to_leader;   /* this machine is the producer */
	struct zk_ring *from_leader; /* this machine is the consumer */
	uint16_t core;
	uint32_t conns_max;
	uint32_t out_spill_bytes_max;  /* reply bytes kept per connection beyond TCP's budget */
	uint32_t reads_per_conn_round; /* requests served per connection and round, for fairness */
};

ZK_MUST_USE enum zk_err srv_new(const struct srv_conf *conf, uint64_t now_ns, struct srv **out);
void srv_free(struct srv *s);

/** Returns work done (messages, events, replies). */
unsigned srv_begin(struct srv *s, uint64_t now_ns);
unsigned srv_end(struct srv *s, uint64_t now_ns);
/** When must a round run though nothing arrives? Absolute ns. */
uint64_t srv_next_ns(const struct srv *s);

/** A new connection from @p addr_text ("127.0.0.1"). @return NULL: over a limit, abort it. */
struct srv_conn *srv_open(struct srv *s, void *transport, const char *addr_text, uint16_t port,
			  uint64_t now_ns);
/** Bytes are waiting. Also touches the session. */
void srv_input(struct srv_conn *c, uint64_t now_ns);
/** Send budget came back. */
void srv_writable(struct srv_conn *c, uint64_t now_ns);
/** The transport is gone or the peer has closed: forget the connection. The transport is the
 * caller's. */
void srv_gone(struct srv_conn *c, uint64_t now_ns);

/** Stop taking connections and requests; connections are shut down when what they owe has left.
 *  srv_drained() tells when. */
void srv_drain(struct srv *s, uint64_t now_ns);
bool srv_drained(const struct srv *s);

#endif
