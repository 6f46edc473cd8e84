/* SPDX-License-Identifier: Apache-2.0 */
/** A client core's machine: connections, frames, the request pipeline, reads, watches. Pure.
 *
 * dp/loop drives it. A round of the core:
 *
 * - srv_begin(): consume the change log and the leader's messages: fire watches, advance visible,
 *   send replies, resume connections that had to wait.
 * - srv_open(), srv_input(), srv_writable(), srv_fin(), srv_gone(): what TCP reports.
 * - srv_end(): publish the ring to the leader, flush touches, time out idle connections. No pointer
 *   into the tree is held afterwards: the quiescent point may follow.
 *
 * Per connection requests are answered in order. A read that finds an earlier write of its
 * connection unanswered stops the parser: the bytes stay in TCP's receive queue until the reply has
 * passed (writes behind writes are pipelined). A full ring to the leader, a full send budget and
 * the limits of conn_limit.c stop the parser the same way; nothing is dropped unasked.
 *
 * In an ensemble the core serves nobody until the leader core says what the server is (MSG_ROLE,
 * srv_role.c). With each such word the sessions of before are over for it.
 */
#ifndef ZK_SERVER_SRV_H
#define ZK_SERVER_SRV_H

#include "core/base/err.h"
#include "core/base/ring.h"
#include "core/base/span.h"
#include "core/server/limits.h"
#include "core/server/metrics.h"
#include "core/server/msg.h"
#include "core/server/stats.h"
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

/** Four-letter words; srv_shared.four_letter_words is a set of 1u << enum srv_word. */
enum srv_word {
	SRV_WORD_RUOK,
	SRV_WORD_SRVR,
	SRV_WORD_STAT,
	SRV_WORD_MNTR,
	SRV_WORD_CONF,
	SRV_WORD_CONS,
	SRV_WORD_ISRO,
	SRV_WORD_DIRS,
	SRV_WORD_CRST,
	SRV_WORD_DUMP,
	SRV_WORD_ENVI,
	SRV_WORD_GTMK,
	SRV_WORD_HASH,
	SRV_WORD_SRST,
	SRV_WORD_STMK,
	SRV_WORD_WCHC,
	SRV_WORD_WCHP,
	SRV_WORD_WCHS,
	SRV_WORDS
};

/** The set for a value of 4lw.commands.whitelist: comma list or "*"; srvr is always in. */
uint32_t srv_words_parse(const char *whitelist);

enum { SRV_TRACE_MASK = 306 };

/** What all cores share; filled by ctl/server before the cores start, then constant but for
 * `limits`, `metrics` and `trace_mask`, which start as zeros and belong to the cores. About 130
 * KiB: not on a stack. */
struct leader;
struct quorum_view;
struct srv_shared {
	unsigned cores;
	struct srv *srv[MSG_CORES_MAX];
	struct leader *leader;
	const struct tree *tree;
	const char *version;        /* as `srvr` prints it, without the build date */
	const char *built;          /* build date */
	uint32_t four_letter_words; /* set of enum srv_word allowed by 4lw.commands.whitelist */
	struct auth_conf auth;
	uint32_t tick_ms, min_session_timeout_ms, max_session_timeout_ms;
	uint32_t jute_maxbuffer;
	uint32_t max_client_cnxns; /* per address; 0 = off */
	uint32_t max_cnxns;        /* in total; 0 = off */
	struct limits_conf limit;
	int32_t listen_backlog;          /* for `conf`; there is none to set */
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
	/** The lines of `envi` behind its title; NULL = none. Constant. */
	const char *environment;
	uint64_t tree_memory_limit_bytes; /* for mntr */
	struct quorum_view *quorum;       /* NULL: this server stands alone */
	uint32_t init_limit, sync_limit;  /* for `conf` of an ensemble */
	bool local_sessions; /* localSessionsEnabled: own ones in read-only mode only */
	/** Mask of gtmk and stmk ^ SRV_TRACE_MASK; nothing is traced by it. */
	_Atomic uint64_t trace_mask;
	struct limits limits;
	struct metrics metrics; /* registered before the cores start */
};

struct srv_conf {
	struct srv_shared *shared;
	const struct srv_io *io;
	struct zk_mem *mem;
	struct tree *tree;
	struct tree_reader *reader;  /* this core's */
	struct zk_ring *to_leader;   /* this machine is the producer; a record must hold a
					request of 64 KiB and its identities, or srv_new() says
					ZK_EINVAL */
	struct zk_ring *from_leader; /* this machine is the consumer */
	struct zk_hash_key key;      /* of the watch table and the address table: the same on every
					core */
	uint32_t watches_max;        /* 0 = 4,000,000 */
	/** How many notifications may be queued in this round, of @p want: fewer when the device or
	 * the packets are short, so that others' replies do not stand behind them; at times a few
	 * even then. NULL: as many as wanted. */
	unsigned (*events_room)(void *ctx, unsigned want);
	void *events_ctx;
	uint16_t core;
	uint32_t conns_max;
	uint32_t out_spill_bytes_max;  /* reply bytes kept per connection beyond TCP's budget */
	uint32_t reads_per_conn_round; /* requests served per connection and round, for fairness */
};

/** One machine of the core. The rings, the reader, the memory and what is shared are borrowed for
 * its life. Main thread, before the cores start.
 *  @return ZK_EOK with *out, owned by the caller; ZK_ENOMEM; ZK_EINVAL (a ring too small, no
 *  connections). */
ZK_MUST_USE enum zk_err srv_new(const struct srv_conf *conf, uint64_t now_ns, struct srv **out);
void srv_free(struct srv *s);

/** Start of a round. Returns work done (messages, events, replies). */
unsigned srv_begin(struct srv *s, uint64_t now_ns);
/** End of a round: everything for the leader is published. Returns work done. */
unsigned srv_end(struct srv *s, uint64_t now_ns);
/** Everything that the device and the other cores held for this one when the round began has been
 * given to it. Between srv_begin() and srv_end(). */
void srv_heard(struct srv *s);
/** This core's thread ran @p late_ns later than it should have: its clients could not be heard
 * meanwhile, so none is too silent for as long again, here and at the leader. */
void srv_late(struct srv *s, uint64_t late_ns, uint64_t now_ns);
/** When must a round run though nothing arrives? Absolute ns. */
uint64_t srv_next_ns(const struct srv *s);

/** A new connection from @p addr_text ("127.0.0.1"). @return NULL: over a limit, abort it. */
struct srv_conn *srv_open(struct srv *s, void *transport, const char *addr_text, uint16_t port,
			  uint64_t now_ns);
/** Bytes are waiting. Also touches the session. */
void srv_input(struct srv_conn *c, uint64_t now_ns);
/** Send budget came back. */
void srv_writable(struct srv_conn *c, uint64_t now_ns);
/** The peer has closed its side (TCP_READY_FIN); what came before may still be unread. Requests
 * that are there are still taken (Apache's C client sends closeSession and a FIN in one go) and a
 * four-letter word still gets its answer; then the connection is shut down. srv_gone() must follow
 * when the transport is over. */
void srv_fin(struct srv_conn *c, uint64_t now_ns);
/** The transport is gone: forget the connection; the pointer is dead. The transport is the
 * caller's. Also follows srv_io.shutdown and srv_io.abort, when TCP reports the end. */
void srv_gone(struct srv_conn *c, uint64_t now_ns);

/** Stop taking connections and requests; connections are shut down when what they owe has left.
 *  srv_drained() tells when. */
void srv_drain(struct srv *s, uint64_t now_ns);
bool srv_drained(const struct srv *s);

/** This core's figures; any thread may read them, relaxed. Valid as long as @p s. */
const struct srv_stats *srv_stats_of(const struct srv *s);
/** Sum over all cores. Any thread. */
void srv_totals(const struct srv_shared *shared, struct srv_counts *out);

#endif
