/* SPDX-License-Identifier: Apache-2.0 */
/** Inside the quorum. Events come in through quorum.h and leader_quorum.h; core/zab gets one at a
 *  time, and quorum_settle() carries out what it answers before the next. */
#ifndef ZK_SERVER_QUORUM_INT_H
#define ZK_SERVER_QUORUM_INT_H

#include "core/base/assert.h"
#include "core/server/leader_copy.h"
#include "core/server/quorum.h"
#include "core/store/snap_tree.h"

enum {
	QUORUM_SNAPS_MAX = 2, /* trees sent at once; the other holds are the snapshot writer's */
	QUORUM_ACCEPTS_MAX = 200, /* the rest of the connections is for dialling */
	QUORUM_PEERS_MAX = 96,    /* accepted ones of the election port; learners: ZAB_LINKS_MAX */
	QUORUM_SPILL_SPARE = 1 << 16, /* small packets behind a large one */
	QUORUM_BYTES_KEEP = 1 << 14,  /* a buffer larger than this is given back when it is empty */
	QUORUM_FIRST_MAX = 1024,      /* data of a learner's first packet */
	QUORUM_TOUCHES_MAX = 1 << 18, /* bytes of an answer to a PING */
	QUORUM_LINE_MAX = 160,
};

/* Bytes [at, n) of a buffer that grows. */
struct quorum_bytes {
	uint8_t *p;
	size_t at, n, cap;
};

enum quorum_conn_state {
	QUORUM_CONN_FREE,
	QUORUM_CONN_DIALLING,
	QUORUM_CONN_CANCELLED, /* ... and nobody waits for it any more */
	QUORUM_CONN_OPEN,
	QUORUM_CONN_ENDING, /* nobody's any more; until quorum_gone() */
};

enum quorum_conn_end {
	QUORUM_END_ABORT,
	QUORUM_END_FLUSH, /* close when what waits has left */
};

struct quorum_conn {
	enum quorum_conn_state state;
	enum quorum_port port;
	enum quorum_conn_end end; /* how it ends */
	bool accepted;
	bool broken; /* to be told to whom it belongs */
	bool again;  /* something was left unread */
	bool stuck;  /* ... because the leader's machine had no room */
	uint32_t link;
	uint64_t since_ns; /* when it came in */
	void *transport;
	struct quorum_bytes in;    /* the beginning of one message that came in pieces */
	struct quorum_bytes out;   /* what the transport had no room for */
	struct quorum_bytes aside; /* requests that the leader's machine had no room for */
};

/* A learner dials its leader: one address after the other. */
struct quorum_dial {
	struct quorum_conn *conn; /* NULL: none is under way */
	int64_t sid;
	unsigned address;
	uint64_t until_ns;
	bool failed; /* to be told to zab */
};

enum quorum_snap_phase {
	QUORUM_SNAP_FREE,
	QUORUM_SNAP_SESSIONS,
	QUORUM_SNAP_TREE,
	QUORUM_SNAP_END,  /* all of the tree is made */
	QUORUM_SNAP_DONE, /* all is made */
};

/* One tree on its way to a learner. */
struct quorum_snap {
	enum quorum_snap_phase phase;
	uint32_t link;
	int hold;
	uint64_t zxid;
	struct leader_copy copy;
	struct snap_session *session;
	uint32_t sessions_max;
	struct snap_tree walk;
	struct quorum_bytes chunk;
	uint64_t moved_ns; /* when its connection took some of it */
};

struct quorum {
	struct quorum_conf conf;
	uint64_t accepted_epoch, current_epoch; /* until zab begins */
	struct history replayed;                /* until zab begins */
	struct zab z;
	struct peers peers;
	bool peers_dirty;       /* peers_next_ns is not known */
	uint64_t peers_next_ns; /* cached */
	struct quorum_bind bind;
	bool bound, started;
	bool draining;
	uint64_t now_ns;
	int64_t wall_ms;
	unsigned work, shown; /* done; ... when the view was last filled */
	struct quorum_conn conn[QUORUM_CONNS_MAX];
	struct quorum_conn *reading; /* its bytes are in use */
	unsigned again, broken;      /* how many connections say so */
	unsigned aside;              /* how many have requests aside */
	uint64_t set_aside;          /* requests, ever */
	struct quorum_conn *link[ZAB_LINKS_MAX];
	uint64_t links; /* those that have a connection */
	uint32_t generation[ZAB_LINKS_MAX];
	struct quorum_conn *peer[PEER_LINKS_MAX];
	struct quorum_dial dial;
	_Atomic unsigned epoch_written; /* set of 1 << enum zab_file; see quorum_epoch_written() */
	uint64_t logged;                /* zxid that the log has taken */
	bool log_behind; /* it takes nothing now; all above `logged` is in the history */
	bool pong_due, pong_built;
	uint64_t pong_zxid;
	uint8_t *pong;
	size_t pong_n;
	uint64_t feeds, feeds_dry; /* links fed from files; ... nothing is there, or no room */
	uint64_t snap_wanted;      /* links that wait for a hold */
	struct quorum_snap snap[QUORUM_SNAPS_MAX];
	_Atomic uint32_t rebuild; /* enum quorum_rebuild_kind; release and acquire: rebuild_zxid */
	uint64_t rebuild_zxid;
	bool leader_lost; /* while it was rebuilt */
	/* for the view */
	uint64_t looking_ns, election_ms;
	bool looking, read_only;
	enum quorum_peer_state peer_state;
	uint64_t sync_ns, unavailable_ns; /* it began */
	uint64_t proposals, proposal_last;
	uint64_t learner_proposals, learner_commits, revalidates;
	uint64_t refused;
	/* lines for the log */
	uint64_t say_ns;
	unsigned said;
};

static inline bool quorum_halted(const struct quorum *q)
{
	/* relaxed: only the leader core, or the main thread in its place, sets it */
	return atomic_load_explicit(&q->rebuild, memory_order_relaxed) != QUORUM_REBUILD_NONE;
}

static inline bool quorum_serves(const struct quorum *q)
{
	return q->z.phase == ZAB_PHASE_SERVING || q->z.phase == ZAB_PHASE_FOLLOWING;
}

/* ---- quorum_conn.c ---- */

/** Room for @p need bytes in all. False: above @p max, or no memory. */
bool quorum_bytes_reserve(struct quorum *q, struct quorum_bytes *b, size_t need, size_t max);
void quorum_bytes_free(struct quorum *q, struct quorum_bytes *b);
/** Room for @p n more behind what is there, the front given up. False: above @p max, no memory. */
bool quorum_bytes_more(struct quorum *q, struct quorum_bytes *b, size_t n, size_t max);
/** Nothing is in it any more; a large one is given back. */
void quorum_bytes_clear(struct quorum *q, struct quorum_bytes *b);

/** A free one, NULL: none. */
struct quorum_conn *quorum_conn_take(struct quorum *q, enum quorum_port port, uint32_t link);
/** It belongs to nobody from here on. */
void quorum_conn_end(struct quorum *q, struct quorum_conn *c, enum quorum_conn_end how);
void quorum_conn_free(struct quorum *q, struct quorum_conn *c);
/** Mark it: quorum_settle() ends it and tells to whom it belongs. */
void quorum_conn_break(struct quorum *q, struct quorum_conn *c);
void quorum_conn_again(struct quorum *q, struct quorum_conn *c, bool again);
/** Bytes it takes now. */
size_t quorum_conn_room(const struct quorum *q, const struct quorum_conn *c);
/** All of it is taken, kept here as far as there is no room; or the connection is broken. */
void quorum_conn_put(struct quorum *q, struct quorum_conn *c, struct zk_span bytes);
void quorum_conn_send(struct quorum *q, struct quorum_conn *c, const struct zab_packet *p);
/** What waits goes on its way. */
void quorum_conn_flush(struct quorum *q, struct quorum_conn *c);
/** The next packet. @return ZK_EOK: quorum_conn_taken() follows when it has been dealt with;
 *  ZK_EAGAIN: not there yet; ZK_EINVAL: no packet, ZK_ENOMEM. */
enum zk_err quorum_conn_packet(struct quorum *q, struct quorum_conn *c, uint32_t data_max,
			       struct zab_packet *p, size_t *used);
void quorum_conn_taken(struct quorum *q, struct quorum_conn *c, size_t used);
/** Between these two nobody frees what was read. */
void quorum_reading(struct quorum *q, struct quorum_conn *c);
void quorum_read(struct quorum *q);

/* ---- quorum_peers.c: the election port ---- */

void quorum_peers_init(struct quorum *q);
struct quorum_conn *quorum_peers_accepted(struct quorum *q, void *transport);
void quorum_peers_input(struct quorum *q, struct quorum_conn *c);
void quorum_peers_tick(struct quorum *q);

/* ---- quorum_links.c: the learners' port ---- */

struct quorum_conn *quorum_links_accepted(struct quorum *q, void *transport);
void quorum_link_open(struct quorum *q, uint32_t link, struct quorum_conn *c);
/** The connection of @p link is no longer its connection; whatever it was fed with ends. */
struct quorum_conn *quorum_link_detach(struct quorum *q, uint32_t link);
void quorum_links_input(struct quorum *q);
void quorum_links_room(struct quorum *q);
void quorum_dial_begin(struct quorum *q, int64_t sid);
void quorum_dial_cancel(struct quorum *q);
/** The address did not answer. */
void quorum_dial_next(struct quorum *q);
void quorum_dial_tick(struct quorum *q);

/* ---- quorum_effects.c ---- */

/** Carry out what zab answers. Calls nothing of zab; of the machine only what an event of a
 * connection or of time may cause. */
void quorum_drain(struct quorum *q);
/** ... and then tell zab what came of it, until nothing is left. Not from inside the machine. */
void quorum_settle(struct quorum *q);
/** The log takes what it had no room for. */
void quorum_log_again(struct quorum *q);

/* ---- quorum_snap.c, quorum_feed.c ---- */

void quorum_snap_begin(struct quorum *q, uint32_t link);
void quorum_snap_cancel(struct quorum *q, uint32_t link);
void quorum_snap_step(struct quorum *q);
/** Is there something to do at once? */
bool quorum_snap_urgent(const struct quorum *q);
void quorum_snap_free(struct quorum *q);
void quorum_feed_begin(struct quorum *q, const struct zab_effect *e);
void quorum_feed_cancel(struct quorum *q, uint32_t link);
void quorum_feed_step(struct quorum *q);

/* ---- quorum_rebuild.c ---- */
void quorum_rebuild_ask(struct quorum *q, enum quorum_rebuild_kind kind, uint64_t zxid);

/* ---- quorum_figures.c ---- */
void quorum_view_update(struct quorum *q);
/** Count @p value, of struct quorum_view. */
void quorum_measure(struct quorum *q, enum quorum_metric which, uint64_t value);
/** One line for the log, a few per second. */
__attribute__((format(printf, 2, 3))) void quorum_say(struct quorum *q, const char *fmt, ...);

#endif
