/* SPDX-License-Identifier: Apache-2.0 */
/** ZAB of one server: election, discovery, synchronisation, broadcast, in whatever role
 *  (spec/quorum-protocol.md; QuorumPeer, Leader, LearnerHandler, Learner, Follower, Observer).
 *
 * One event in (the zab_*() functions), a list of effects out (zab_effect_next()). The caller
 * carries the effects out in their order, all of them before its next event; spans in them are
 * valid until then. Effects that take time are answered by an event of their own.
 *
 * Links are the connections of the quorum port, numbered by the caller from 0 to ZAB_LINKS_MAX-1.
 * A learner has one, ZAB_LINK_LEADER; a leader has one for each learner.
 *
 * Promises kept here, whatever the order of events:
 *  - an ACK of a transaction, and of NEWLEADER, leaves only after zab_durable() has covered all
 * that it speaks for;
 *  - ACKEPOCH leaves after acceptedEpoch is on disk, the ACK of NEWLEADER after currentEpoch is;
 *  - transactions are logged, committed and sent in zxid order.
 *
 * Leader core only.
 */
#ifndef ZK_ZAB_ZAB_H
#define ZK_ZAB_ZAB_H

#include "core/mem.h"
#include "core/zab/elect.h"
#include "core/zab/history.h"
#include "core/zab/packet.h"

enum { ZAB_LINKS_MAX = 64, ZAB_LINK_LEADER = 0, ZAB_EFFECTS_MAX = 1024 };

struct zab_conf {
	int64_t sid;
	bool observer;
	const struct zab_members *now, *next; /* borrowed, see elect_conf */
	struct zk_mem *mem;
	uint32_t tick_ms, init_limit, sync_limit; /* limits in ticks */
	uint32_t connect_limit;                   /* ... to connect to the leader; 0 = init_limit */
	uint32_t resend_min_ms, resend_max_ms;    /* see elect_conf */
	uint32_t settle_ms, settle_fast_ms;       /* see elect_conf */
	bool (*absent)(void *ctx, int64_t sid);   /* see elect_io; may be NULL */
	void *absent_ctx;
	/* Between servers that both have them; 0: as Apache's do, by tick and limits only. */
	uint32_t heartbeat_ms, heartbeat_timeout_ms;
	uint32_t inform_us;       /* leader: how far apart it tells an observer; 0: at once */
	uint32_t history_entries; /* power of two */
	size_t history_bytes;     /* at least four times data_max */
	uint32_t data_max;        /* of one packet */
	uint32_t initial_counter; /* an epoch's transactions begin behind it: to test its end */
};

enum zab_file { ZAB_ACCEPTED_EPOCH, ZAB_CURRENT_EPOCH };

enum zab_effect_kind {
	ZAB_DO_NOTIFY,      /* note, to server sid over its election connection */
	ZAB_DO_CONNECT_ALL, /* open the election connections that are missing */
	ZAB_DO_DIAL,  /* open ZAB_LINK_LEADER to server sid: zab_link_up() or zab_link_down() */
	ZAB_DO_CLOSE, /* link: close it, and forget what it has not sent; no event follows */
	ZAB_DO_SEND,  /* packet, on link */
	ZAB_DO_WRITE_EPOCH, /* file := epoch, fsync: zab_epoch_written() */
	ZAB_DO_LOG,         /* append packet.data as transaction packet.zxid: zab_durable() */
	ZAB_DO_COMMIT,      /* apply what was logged up to zxid */
	ZAB_DO_TRUNCATE,    /* cut the log behind zxid (UINT64_MAX: nowhere), load what is left in
			       place of everything in memory: zab_truncated() */
	ZAB_DO_SNAP_SEND,   /* send SNAP and the tree on link: zab_snap_sent(), or break the link
			       when nothing of it is taken for init_limit */
	ZAB_DO_SNAP_LOAD, /* what comes on link is the tree at zxid: load it in place of everything,
			     make it durable, drop the log: zab_snap_loaded() */
	ZAB_DO_FILE_SEND, /* transactions of the log files for link, from the newest at or before
			     zxid up to bound: zab_file_txn(), zab_file_end() */
	ZAB_DO_LOOK,      /* the role is lost: close the clients' connections, answer nothing */
	ZAB_DO_SERVE,  /* the role z->role with epoch stands, all up to zxid is committed: serve */
	ZAB_DO_DELIVER /* packet of link is for the server: REQUEST, REVALIDATE, SYNC, PING */
};

struct zab_effect {
	enum zab_effect_kind kind;
	uint32_t link;
	int64_t sid;
	uint64_t zxid, epoch;
	uint64_t bound; /* ZAB_DO_FILE_SEND: not beyond it */
	enum zab_file file;
	struct zab_packet packet;
	struct zab_notification note;
};

/* What holds up the next election. */
enum {
	ZAB_BUSY_ACCEPTED = 1,
	ZAB_BUSY_CURRENT = 2,
	ZAB_BUSY_TRUNCATE = 4,
	ZAB_BUSY_SNAP = 8,
};

enum zab_link_state {
	ZAB_LINK_NONE,
	ZAB_LINK_NEW,       /* leader: waits for FOLLOWERINFO or OBSERVERINFO */
	ZAB_LINK_EPOCH,     /* has said so; LEADERINFO goes out when the epoch is known */
	ZAB_LINK_ACKEPOCH,  /* LEADERINFO sent */
	ZAB_LINK_SYNC_WAIT, /* ACKEPOCH came; sync begins when enough have */
	ZAB_LINK_SYNC_FILE, /* fed from log files */
	ZAB_LINK_SYNC_SNAP, /* fed from the tree */
	ZAB_LINK_SYNC,      /* fed from the history, as far as it is committed */
	ZAB_LINK_NEWLEADER, /* NEWLEADER sent */
	ZAB_LINK_ACKED,     /* ... acknowledged; UPTODATE goes out when enough have */
	ZAB_LINK_ACTIVE
};

enum { ZAB_REPLY_DATA = 16 };

/* SYNC and REVALIDATE on their way to a learner: behind the commits they must not overtake. */
struct zab_reply {
	uint64_t after_zxid, zxid;
	uint64_t confirm; /* wait for that one, 0 = none */
	int32_t type;
	uint32_t n;
	uint8_t data[ZAB_REPLY_DATA];
};

enum { ZAB_REPLIES_MAX = 256 };

struct zab_link {
	enum zab_link_state state;
	bool observer, ping_due;
	bool opened; /* DIFF, TRUNC or SNAP was sent */
	int64_t sid;
	int place;          /* in conf.now, -1: no member */
	uint64_t peer_zxid; /* leader: of ACKEPOCH */
	uint64_t proposed;  /* sent to it */
	uint64_t committed; /* COMMIT or INFORM sent to it */
	uint64_t acked;     /* everything up to it is on its disk */
	uint64_t passed;    /* newest transaction of the files below peer_zxid */
	uint64_t heard_ns;
	struct zab_beat beat; /* agreed with it; every_ms 0: Apache's cadence */
	bool beats;           /* leader: it has taken up the agreed cadence */
	uint64_t confirmed;   /* leader: the newest zab_confirm() that it has answered */
	size_t room;          /* bytes the connection takes now */
	/* leader, of an observer: being told; when it is told again; when it last asked */
	bool informing;
	uint64_t inform_ns, asked_ns;
	uint32_t reply_head, reply_tail;
	struct zab_reply *reply; /* ring, from the first use on */
};

enum zab_phase {
	ZAB_PHASE_NONE,
	/* leader */
	ZAB_PHASE_DISCOVERY,  /* waits for a quorum of learners */
	ZAB_PHASE_ACCEPTING,  /* writes acceptedEpoch */
	ZAB_PHASE_EPOCH_ACKS, /* waits for a quorum of ACKEPOCH */
	ZAB_PHASE_CURRENT,    /* writes currentEpoch */
	ZAB_PHASE_SYNC,       /* waits for a quorum of ACK of NEWLEADER */
	ZAB_PHASE_SERVING,
	/* learner */
	ZAB_PHASE_DIALLING,
	ZAB_PHASE_INFO,       /* FOLLOWERINFO sent */
	ZAB_PHASE_LEADERINFO, /* writes acceptedEpoch */
	ZAB_PHASE_OPENING,    /* ACKEPOCH sent; waits for DIFF, TRUNC or SNAP */
	ZAB_PHASE_REBUILD,    /* TRUNC or SNAP under way */
	ZAB_PHASE_CATCH_UP,   /* until NEWLEADER */
	ZAB_PHASE_HARDEN,     /* NEWLEADER came: until all of it is durable, then currentEpoch */
	ZAB_PHASE_PROMISED,   /* ACK of NEWLEADER sent */
	ZAB_PHASE_FOLLOWING   /* UPTODATE came */
};

struct zab_counters {
	uint64_t elections, lost_roles, diffs, truncs, snaps, file_syncs, refused_links;
	uint64_t bad_packets, timeouts, stray_acks, outrun;
	uint64_t silences; /* leader: too few heard in time; learner: the leader was not */
	uint64_t pauses;   /* of our own process: nobody else is blamed for them */
};

struct zab {
	struct zab_conf conf;
	struct elect elect;
	struct history history;
	enum zab_state role;
	enum zab_phase phase;
	unsigned busy;
	bool ending; /* the role is lost, the next election waits for busy and durable */
	bool begun;  /* the first event has come */
	uint64_t now_ns, deadline_ns, tick_ns, ping_ns;
	uint64_t confirm_asked, confirm_sent, confirmed; /* numbers of zab_confirm() */
	uint64_t beat_ns;                                /* next heartbeat, UINT64_MAX = none */
	uint64_t inform_ns; /* leader: when the next observer is told, UINT64_MAX = none waits */
	uint64_t lull_ns;   /* the longest silence lately of a peer with heartbeats that lives */
	uint64_t fade_ns;   /* when that counts for less */
	uint64_t accepted_epoch, current_epoch, epoch;
	uint64_t seen_epoch;             /* leader: highest one that a voter has promised */
	uint64_t writing_epoch;          /* on its way to either file */
	uint64_t proposed;               /* leader: newest zxid of this epoch */
	uint64_t previous;               /* learner: last one of this synchronisation, 0 = none */
	bool delivered;                  /* a notification has left */
	bool more;                       /* there was no room for all effects */
	uint64_t durable;                /* zxid */
	uint64_t connected, acked_epoch; /* leader: masks of conf.now */
	uint64_t lookers;                /* who looks for a leader again, in a later round */
	uint64_t newleader_zxid;         /* learner: what must be durable before its ACK */
	uint64_t ack_sent;               /* learner */
	bool uptodate_ack_due;           /* learner */
	uint32_t dial_tries;             /* learner */
	uint64_t dial_ns;                /* next try, 0 = none */
	uint64_t links;                  /* bits: those whose state is not ZAB_LINK_NONE */
	struct zab_link link[ZAB_LINKS_MAX];
	uint32_t effect_head, effect_tail;
	struct zab_effect effect[ZAB_EFFECTS_MAX];
	uint8_t small[2048]; /* data of packets that are made here */
	uint32_t small_n;
	uint8_t config[ZAB_CONFIG_MAX]; /* text of conf.now */
	uint32_t config_n;
	struct zab_counters count;
};

/** What was found on disk. */
struct zab_disk {
	uint64_t last_zxid; /* logged; all of it is applied to the tree */
	uint64_t accepted_epoch, current_epoch;
	/** What recovery has replayed (history_replay()), sizes as in zab_conf; taken over, not to
	 * be touched again, unless zab_init() fails. NULL: nothing. */
	struct history *replayed;
};

/** Begin, LOOKING; the first event starts the election. @return ZK_EOK, ZK_ENOMEM; ZK_ETOOBIG: the
 * configuration's text is longer than ZAB_CONFIG_MAX. */
ZK_MUST_USE enum zk_err zab_init(struct zab *z, const struct zab_conf *conf,
				 const struct zab_disk *disk, uint64_t now_ns);
void zab_fini(struct zab *z);

/** The next effect; false: there is none. */
bool zab_effect_next(struct zab *z, struct zab_effect *out);

/* ---- events ---- */

void zab_tick(struct zab *z, uint64_t now_ns);
uint64_t zab_next_ns(const struct zab *z);

/** A notification from server @p from, over its election connection. */
void zab_notified(struct zab *z, int64_t from, const struct zab_notification *n, uint64_t now_ns);
/** Something was delivered on an election connection since the last call of zab_tick(). */
void zab_delivered(struct zab *z);

/** A learner has connected (leader), or the leader has answered the dial. @return false: not wanted
 * in this role, close it. */
bool zab_link_up(struct zab *z, uint32_t link, uint64_t now_ns);
void zab_link_down(struct zab *z, uint32_t link, uint64_t now_ns);
/** The connection takes @p bytes now (not counting what was said before); call it after
 * zab_link_up() and whenever it has grown. A packet may be larger than the room there is: the
 * caller keeps the rest of one packet per link, and of small ones (heartbeats, replies). */
void zab_link_room(struct zab *z, uint32_t link, size_t bytes, uint64_t now_ns);
/** Bytes came on @p link, though no packet of them can be handed in yet: it is not silent. */
void zab_link_heard(struct zab *z, uint32_t link, uint64_t now_ns);

/** May packets be handed in that came on @p link? False: leave them in the connection (a rebuild is
 * under way, or the history has no room for the largest transaction until zab_keep() has moved). */
bool zab_link_reads(const struct zab *z, uint32_t link);
void zab_packet(struct zab *z, uint32_t link, const struct zab_packet *p, uint64_t now_ns);

/** The log is on disk up to @p zxid. */
void zab_durable(struct zab *z, uint64_t zxid, uint64_t now_ns);
/** All up to @p zxid is applied here: what is above it, or not durable, stays in the history. No
 * event: may be called at any time. */
void zab_keep(struct zab *z, uint64_t zxid);
void zab_epoch_written(struct zab *z, enum zab_file file, uint64_t now_ns);
/** ZAB_DO_TRUNCATE is done; @p zxid: what the state is at. @p ok false: not possible, or
 * ZAB_DO_SNAP_LOAD broke off: what there is on disk was loaded. */
void zab_truncated(struct zab *z, uint64_t zxid, bool ok, uint64_t now_ns);
/** The tree of the leader at @p zxid is loaded and durable. */
void zab_snap_loaded(struct zab *z, uint64_t zxid, uint64_t now_ns);

/** Leader: SNAP and the tree at @p zxid have been written to @p link. */
void zab_snap_sent(struct zab *z, uint32_t link, uint64_t zxid, uint64_t now_ns);
/** Leader: the next transaction of the files for @p link. @return false: no room now, again after
 * zab_link_room(). */
bool zab_file_txn(struct zab *z, uint32_t link, uint64_t zxid, struct zk_span txn, uint64_t now_ns);
/** ... and their end. @p ok false: a gap, or the first one is not the one asked for. */
void zab_file_end(struct zab *z, uint32_t link, bool ok, uint64_t now_ns);

/* ---- for the server ---- */

/** Leader: the zxid of the next transaction; 0: none may be proposed (not serving, or the epoch is
 * used up and a new one is being elected). */
uint64_t zab_next_zxid(const struct zab *z);
/** Leader: propose it. @return ZK_EOK, ZK_EAGAIN: too much waits for its commit, ZK_ETOOBIG,
 * ZK_ECLOSED: no longer the leader. */
ZK_MUST_USE enum zk_err zab_propose(struct zab *z, uint64_t zxid, struct zk_span txn,
				    uint64_t now_ns);
/** Leader: SYNC or REVALIDATE to a learner, after the commit of everything proposed so far and
 * before any other (an Apache follower takes what a session waits for in its order); SYNC when a
 * quorum has confirmed that it follows still. @return
 * ZK_EOK, ZK_EAGAIN: too many wait, ZK_ECLOSED, ZK_ETOOBIG. */
ZK_MUST_USE enum zk_err zab_reply(struct zab *z, uint32_t link, int32_t type, uint64_t zxid,
				  struct zk_span data);
/** Leader: does a quorum still follow? Who leads in its own eyes only, because it was stopped or
 * cut off, must not answer a sync (Apache's does). Goes out as a PING whose number the learners
 * give back, Apache's as well. @return the number; it is answered when zab_confirmed() has got
 * there, or never, when the role ends. Bound: the links. */
uint64_t zab_confirm(struct zab *z);

static inline uint64_t zab_confirmed(const struct zab *z)
{
	return z->confirmed;
}

/** Learner: REQUEST, REVALIDATE or the answer to a PING for the leader. @return ZK_EOK, ZK_EAGAIN:
 * no room, ZK_ECLOSED. */
ZK_MUST_USE enum zk_err zab_forward(struct zab *z, const struct zab_packet *p);

static inline uint64_t zab_committed(const struct zab *z)
{
	return z->history.committed;
}

#endif
