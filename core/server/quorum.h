/* SPDX-License-Identifier: Apache-2.0 */
/** The server's part in an ensemble: election, ZAB and their connections, put to work for the
 * leader core's machine. Carries out the effects of core/zab in their order. Pure: sockets, files
 * and time are the caller's. Leader core only, but for what is said to be the main thread's while
 * the pollers are stopped. */
#ifndef ZK_SERVER_QUORUM_H
#define ZK_SERVER_QUORUM_H

#include "core/server/leader.h"
#include "core/server/leader_quorum.h"
#include "core/server/quorum_view.h"
#include "core/server/srv.h" /* struct srv_io: the transport of a connection */
#include "core/zab/peers.h"
#include "core/zab/zab.h"

enum quorum_port { QUORUM_PORT_ELECTION, QUORUM_PORT_LEARNERS };
enum { QUORUM_CONNS_MAX = 256 };

struct quorum;
struct quorum_conn;

struct quorum_net {
	void *ctx;
	const struct srv_io *io; /* of every transport; write() takes what there is room for */
	/** Open a connection to "host:port": @p conn is what quorum_dialled() names. @return false:
	 * not even tried (no such address, no room). */
	bool (*dial)(void *ctx, struct quorum_conn *conn, struct zk_span address);
	/** Bytes the transport's send side takes in all (room is this less unacked()). */
	size_t send_bytes;
};

struct quorum_disk {
	void *ctx;
	/** Begin to write an epoch file; quorum_epoch_written() follows. One at a time per file. */
	void (*epoch_write)(void *ctx, enum zab_file file, uint64_t epoch);
	/** Begin to read transactions for @p link from the log files, from the newest at or before
	 * @p from up to @p bound; feed_next() gives them. At most one feed per link. */
	void (*feed_begin)(void *ctx, uint32_t link, uint64_t from, uint64_t bound);
	void (*feed_cancel)(void *ctx, uint32_t link);
	/** The next one, borrowed until feed_pop(). @return ZK_EOK; ZK_EAGAIN: not read yet;
	 * ZK_ECLOSED: end; anything else: it failed (gap, damage, `from` is not there). */
	enum zk_err (*feed_next)(void *ctx, uint32_t link, uint64_t *zxid, struct zk_span *txn);
	void (*feed_pop)(void *ctx, uint32_t link);
};

struct quorum_conf {
	struct zab_conf zab;       /* mem, now, sid, limits, sizes */
	struct zk_span address;    /* own election address "host:port" */
	uint32_t cnx_timeout_ms;   /* 0 = 5000 */
	uint32_t hello_timeout_ms; /* for a caller's hello; 0 = tick_ms * sync_limit */
	/** Leader: bytes of a learner's requests that step aside while the machine has no room, so
	 * that the ACKs behind them are read; 0 = none. */
	uint32_t request_bytes;
	struct zk_mem *mem;
	struct quorum_net net;
	struct quorum_disk disk;
	struct quorum_view *view;
	/** One line for the log, a few per second at most; must not block. May be NULL. */
	void (*say)(void *ctx, const char *line);
	void *say_ctx;
	bool read_only;   /* readonlymode.enabled */
	uint64_t calm_ns; /* quorum_calm_ns() of an observer */
};

/** Before recovery. Does nothing until quorum_bind() was called. What @p conf points at is borrowed
 * for life. Main thread. @return ZK_EOK with *out; ZK_ENOMEM; ZK_ETOOBIG: the text of the
 * configuration is longer than ZAB_CONFIG_MAX. */
ZK_MUST_USE enum zk_err quorum_new(const struct quorum_conf *conf, uint64_t now_ns,
				   struct quorum **out);
void quorum_free(struct quorum *q);

/** Filling the committed log before quorum_bind(): each transaction that recovery replays, in their
 * order. Main thread. */
void quorum_replayed(struct quorum *q, uint64_t zxid, struct zk_span txn);
/** What the epoch files say. Main thread, before the first quorum_bind(). */
void quorum_epochs(struct quorum *q, uint64_t accepted, uint64_t current);

struct quorum_bind {
	struct leader *leader;
	struct tree *tree;
	struct leader_log
		log; /* append: takes a transaction whose bytes stay until it is durable */
	uint64_t (*durable)(void *ctx); /* zxid; called with log.ctx */
};
/** The machine and tree that it serves from now on; also after a rebuild. The first time it begins
 * to look for a leader, with the next quorum_poll(); the tree is at the last transaction of the log
 * then. Main thread, pollers stopped. */
void quorum_bind(struct quorum *q, const struct quorum_bind *bind, uint64_t now_ns);
/** A leader serves this member as its observer: nobody waits for its log. */
bool quorum_observes(const struct quorum *q);
/** Everything up to here may be applied: committed, and, but for an observer, durable here
 * (leader_durable()). */
uint64_t quorum_limit(const struct quorum *q);
/** What the machine calls. */
struct leader_quorum quorum_for_leader(struct quorum *q);

/* ---- connections: the peer stack reports ---- */
/** Is a new connection to @p port of use now? No: refuse it before it is open, as when nobody
 * listens (Leader's constructor opens the quorum port; a follower of Apache's tries a refused
 * connection again, but goes looking when an open one is reset: Learner.connectToLeader()). */
bool quorum_wants(const struct quorum *q, enum quorum_port port);
/** One has come in. @return NULL: not wanted, close it. */
struct quorum_conn *quorum_accepted(struct quorum *q, enum quorum_port port, void *transport,
				    uint64_t now_ns);
/** What was dialled is open (@p transport) or not (NULL; @p conn is forgotten). */
void quorum_dialled(struct quorum *q, struct quorum_conn *conn, void *transport, uint64_t now_ns);
void quorum_input(struct quorum *q, struct quorum_conn *conn, uint64_t now_ns);
void quorum_writable(struct quorum *q, struct quorum_conn *conn, uint64_t now_ns);
/** Closed by the other side or lost; the pointer is dead. Also follows io->shutdown and io->abort.
 */
void quorum_gone(struct quorum *q, struct quorum_conn *conn, uint64_t now_ns);

/** One bounded round: what is due, what became durable, what has room again. @return work done. */
unsigned quorum_poll(struct quorum *q, uint64_t now_ns, int64_t wall_ms);
uint64_t quorum_next_ns(const struct quorum *q);
/** How long packets may lie unread after a round that had some; 0: not at all. An observer whose
 * clients wait for nothing takes them in larger pieces, where CPUs are shared. */
uint64_t quorum_calm_ns(const struct quorum *q);
/** The file holds what epoch_write() gave. Any thread; wake the leader core then. */
void quorum_epoch_written(struct quorum *q, enum zab_file file);
/* ---- rebuild: the state has to be replaced ---- */
enum quorum_rebuild_kind { QUORUM_REBUILD_NONE, QUORUM_REBUILD_TRUNCATE, QUORUM_REBUILD_SNAP };
struct quorum_rebuild {
	enum quorum_rebuild_kind kind;
	uint64_t zxid;
};
/** What is asked for (atomic flag inside: any thread may ask whether there is anything). While it
 * is not NONE, quorum_poll() carries out nothing. */
bool quorum_rebuild_wanted(const struct quorum *q);
void quorum_rebuild_get(const struct quorum *q, struct quorum_rebuild *out);
/** SNAP: the stream, as it comes (main thread, between polls of the peer stack). @return ZK_EOK
 * with a window (may be empty: nothing now), ZK_ECLOSED: the connection is gone. */
enum zk_err quorum_rebuild_peek(struct quorum *q, struct zk_span *window);
void quorum_rebuild_take(struct quorum *q, size_t n);
/** Done; quorum_bind() was called with what is new. @p zxid: what the state is at; @p ok false:
 * what was asked for was not possible and what is on disk was loaded. */
void quorum_rebuilt(struct quorum *q, uint64_t zxid, bool ok, uint64_t now_ns);

#endif
