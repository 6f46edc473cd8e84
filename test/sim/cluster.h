/* SPDX-License-Identifier: Apache-2.0 */
/** A whole ensemble in one thread, from one seed: every server with its client core (core/server/
 * srv.h), the leader core's machine, the quorum with elections and ZAB, and a tree; between them
 * real TCP over a wire that loses and disorders frames (even seeds, cluster_wire.h), or modelled
 * byte streams that are late, cut in pieces, break or fall silent (odd seeds); real files on disks
 * that tear and forget (seeds 2 and 3 of every four, cluster_files.h) or modelled disks that lose
 * what was not synced; processes that are stopped, or die between any two effects; clients whose
 * sessions move from server to server.
 *
 * Checkers that see everything stand beside it and stop the run at the first broken promise:
 * what was committed stays, in one order; one leader of an epoch; equal digests at equal zxids;
 * acknowledged writes in the order of real time; reads show the state of the zxid they name; a
 * session never sees time go back; a watch fires before its client sees the change; after the
 * faults everybody serves.
 */
#ifndef ZK_TEST_SIM_CLUSTER_H
#define ZK_TEST_SIM_CLUSTER_H

#include "core/server/quorum.h"
#include "core/store/snap_tree.h"

enum {
	CL_SERVERS_MAX = 6, /* 3 or 5 voters, and an observer */
	CL_CLIENTS = 5,
	CL_KEYS = 4,
	CL_CONNS = 128,
	CL_ASKED = 8,      /* requests of a client under way */
	CL_CHUNKS = 256,   /* pieces under way in one direction */
	CL_PIPE = 1 << 17, /* bytes of one direction, read and unread */
	CL_SEND_BYTES = 1 << 16,
	CL_RECEIVE_BYTES = 1 << 15,
	CL_MAXBUFFER = 8192,
	CL_EPOCHS = 4096,
	CL_WHY_MAX = 256
};

/* Promises broken on purpose: the checkers have to see it. */
enum cl_naive {
	CL_SOUND,
	CL_DURABLE_EARLY, /* what is appended counts as durable */
	CL_NO_EPOCH,      /* epochs are forgotten in a crash */
	CL_NO_LAST_ZXID,  /* a client does not say what it has seen */
	CL_EVENTS_LOST    /* events get lost on their way */
};

struct cl;
struct cl_files; /* test/sim/cluster_files.h */
struct cl_wire;  /* test/sim/cluster_wire.h */
struct tcp_conn;

/* ---- streams ---- */

struct cl_chunk {
	uint64_t end; /* position in the stream */
	uint64_t due_ns;
};

/* One direction: bytes [head, arrived) wait for their reader, [arrived, tail) are on the way. */
struct cl_pipe {
	uint8_t *b;
	uint64_t origin; /* position of b[0] */
	uint64_t head, arrived, tail;
	struct cl_chunk chunk[CL_CHUNKS];
	uint32_t first, last;
	uint64_t last_due_ns;
	uint64_t blocked_ns; /* since when something cannot get through; 0 = it can */
};

enum cl_kind { CL_PEER, CL_CLIENT_PORT, CL_CLIENT };

struct cl_conn;

/* The transport of srv_io. */
struct cl_end {
	struct cl_conn *conn;
	unsigned k;    /* which end */
	bool open;     /* its owner has not heard the last of it */
	bool dialling; /* its owner does not know yet whether it is open */
	bool accepting;
	enum { CL_DIAL_WAITS, CL_DIAL_OPEN, CL_DIAL_FAILED } dial;
	bool fin;           /* we have said: no more from here */
	bool fin_told;      /* srv_fin() was called */
	bool news, drained; /* bytes, room since the owner was told */
	enum cl_kind kind;
	unsigned who;     /* server or client */
	uint64_t gone_ns; /* when its owner hears that it is over; 0 = it is not */
	uint64_t fin_ns;  /* when it was seen that the other side sends no more */
	void *app;        /* struct quorum_conn or srv_conn */
};

struct cl_conn {
	bool used, silent;
	enum quorum_port port;
	uint64_t due_ns; /* of the dial */
	uint64_t silent_ns;
	size_t run_max;         /* bytes that lie in one piece */
	struct cl_end end[2];   /* who dialled, who accepted */
	struct cl_pipe pipe[2]; /* to that end */
	struct tcp_conn *tcp;   /* on the wire: the client's; the pipes are its buffers */
	struct cl *w;
};

/* ---- disks ---- */

struct cl_txn {
	uint64_t zxid;
	uint8_t *p;
	uint32_t n;
	const uint8_t *lent; /* where it must still be until it is durable */
};

struct cl_feed {
	bool used, gap;
	uint32_t at;
	uint64_t bound, due_ns;
};

struct cl_disk {
	struct cl_files *files; /* NULL: this is all there is */
	struct cl_txn *log;
	uint32_t n, cap, synced;
	uint8_t *base; /* the snapshot that the log goes on from: the stream form */
	size_t base_n;
	uint64_t base_zxid, purged;
	uint64_t epoch[2];
	bool slow;
	/* under way */
	uint64_t sync_ns;
	uint32_t sync_n;
	uint64_t epoch_ns[2], epoch_new[2];
	struct cl_feed feed[ZAB_LINKS_MAX];
};

/* ---- servers ---- */

struct cl_server {
	struct cl *w;
	unsigned index;
	bool up, dying, halted;
	unsigned generation;
	uint64_t start_ns, pause_ns, last_ns, wake_ns;
	bool poked; /* something has happened on a connection of it */
	int64_t wall_off_ms;
	struct zk_mem mem, tree_mem;
	struct tree *tree;
	struct tree_reader *reader;
	struct zk_ring to_leader, from_leader;
	struct srv_shared *shared;
	struct srv *srv;
	struct leader *leader;
	struct quorum *quorum;
	struct leader_quorum lq;
	struct quorum_view view;
	struct snap_session *session; /* of the recovery */
	uint32_t sessions, sessions_max;
	uint8_t *snap; /* what has come of a SNAP */
	size_t snap_n, snap_cap;
	struct cl_disk disk;
	char address[16];
	/* the checker's */
	bool served;
	uint32_t log_at, order_at;
};

/* ---- clients ---- */

enum cl_op { CL_CREATE, CL_SET, CL_DELETE, CL_GET, CL_SYNC, CL_GET_SYNCED, CL_EPHEMERAL, CL_PING };

struct cl_asked {
	enum cl_op op;
	int32_t xid;
	unsigned key;
	bool watch;
	uint32_t value;
	uint64_t floor; /* zxid that was acknowledged to somebody before it was asked */
};

struct cl_watch {
	bool armed;
	uint64_t zxid; /* of the state that was read */
};

struct cl_client {
	unsigned index;
	int32_t conn; /* -1: none */
	bool greeted;
	unsigned server;
	uint64_t session;
	uint8_t password[16];
	int32_t timeout_ms;
	uint64_t zxid; /* highest seen */
	int32_t xid;
	uint64_t next_ns, heard_ns, ping_ns, answered_ns;
	struct cl_asked asked[CL_ASKED];
	unsigned first, n;
	uint64_t sync_floor;
	struct cl_watch watch[CL_KEYS];
};

/* ---- checkers ---- */

struct cl_committed {
	uint64_t zxid, session;
	int32_t cxid;
	uint64_t sum, digest;
	bool has_digest;
};

/* Whatever anybody has logged, and what it was logged behind. */
struct cl_logged {
	uint64_t zxid, prev;
	uint8_t *p;
	uint32_t n;
};

/* What became of a key. */
struct cl_version {
	uint64_t zxid;
	bool exists;
	uint32_t value;
	uint32_t key;
};

struct cl_acked {
	uint64_t zxid, session;
	int32_t cxid;
};

/* Frames: what happened to them, and what the stacks made of it. */
struct cl_wire_count {
	uint64_t sent, lost, doubled, disordered, damaged, cut, overrun, deaf;
	uint64_t retransmits, timeouts, resets, keepalives, lates;
};

/* Files: what they went through. */
struct cl_files_count {
	uint64_t recoveries, died, powers, forgotten, cuts, snaps, feeds, behind;
};

struct cl {
	struct zab_members members;
	unsigned n, voters;
	enum cl_naive naive;
	bool beats, quiet;
	struct cl_wire *wire; /* NULL: the modelled streams */
	uint64_t seed, rng, now_ns, faults_end_ns, end_ns, next_fault_ns;
	struct cl_server server[CL_SERVERS_MAX];
	struct cl_client client[CL_CLIENTS];
	struct cl_conn conn[CL_CONNS];
	uint64_t conn_used[CL_CONNS / 64];        /* bits: those that are used */
	bool cut[CL_SERVERS_MAX][CL_SERVERS_MAX]; /* from, to */
	uint32_t next_value;
	/* the checkers' */
	struct cl_committed *order;
	uint32_t order_n, order_cap;
	struct cl_logged *logged;
	uint32_t logged_n, logged_cap;
	struct cl_version *version;
	uint32_t version_n, version_cap;
	struct cl_acked *acked;
	uint32_t acked_n, acked_cap;
	uint64_t acked_max; /* highest zxid of an acknowledged write */
	unsigned epoch_leader[CL_EPOCHS];
	bool failed;
	char why[CL_WHY_MAX];
	/* what happened */
	uint64_t crashes, pauses, breaks, partitions, leaders, rebuilds, moves, expired, reads,
		events;
	uint64_t writes, rounds, digest;
	struct cl_wire_count on_wire;   /* even seeds */
	struct cl_files_count on_files; /* every second pair */
};

/** Run @p seed to its end. @return false: a promise was broken, w->why says which. */
bool cl_run(struct cl *w, uint64_t seed, enum cl_naive naive);

#endif
