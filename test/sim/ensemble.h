/* SPDX-License-Identifier: Apache-2.0 */
/** An ensemble of core/zab in one thread, from one seed: election messages that get lost,
 * connections that break or fall silent, disks that lose what was not synced, crashes between any
 * two effects.
 *
 * The state of a server is the list of transactions that it has applied. A checker that sees
 * everything stands beside it and stops the run at the first broken promise.
 */
#ifndef ZK_TEST_SIM_ENSEMBLE_H
#define ZK_TEST_SIM_ENSEMBLE_H

#include "core/zab/zab.h"

enum {
	ENS_SERVERS_MAX = 8, /* 3, 5 or 7 voters, and an observer */
	ENS_TXNS_MAX = 4096,
	ENS_EVENTS_MAX = 4096,
	ENS_CONNS_MAX = 64,
	ENS_QUEUE_MAX = 512,
	ENS_WHY_MAX = 256
};

/* Rules that must not be broken, broken on purpose: the checker has to see it. */
enum ens_naive {
	ENS_SOUND,
	ENS_EARLY_ACKS,      /* no rule is broken: learners acknowledge the transactions of the DIFF
				before NEWLEADER, as Apache's 3.8 may */
	ENS_ACK_BEFORE_SYNC, /* what is appended counts as durable (ZOOKEEPER-4785) */
	ENS_EPOCH_NOT_WRITTEN, /* an epoch is promised and forgotten in a crash */
	ENS_NEWLEADER_EARLY, /* NEWLEADER is acknowledged before the transactions of the DIFF are on
				disk (ZOOKEEPER-3911, 4646) */
	ENS_EPOCH_FIRST,     /* ... and currentEpoch is written before they are (4643) */
	ENS_HISTORY_HOLE,    /* what came by DIFF is not passed on to others (4925) */
	ENS_FIRST_ACK,       /* ENS_EARLY_ACKS, and leaders take the first ACK for NEWLEADER's,
				whatever it acknowledges (4685) */
	ENS_NAIVE_COUNT
};

struct ens_txn {
	uint64_t zxid, id;
};

struct ens_disk {
	struct ens_txn log[ENS_TXNS_MAX];
	uint32_t n, synced;
	uint64_t purged; /* zxid: log files begin after it */
	uint64_t accepted, current;
};

/* What is under way on one connection, in one direction. */
struct ens_item {
	uint64_t due_ns;
	struct zab_packet packet;
	uint8_t *bytes;       /* its data */
	struct ens_txn *tree; /* what follows a SNAP */
	uint32_t tree_n;
};

struct ens_conn {
	bool used, silent;
	unsigned end[2]; /* servers: learner, leader */
	uint32_t link[2];
	bool up[2];          /* has this end not closed it? */
	uint64_t down_ns[2]; /* when this end learns that the other has gone; 0 = it has not */
	struct ens_item item[2][ENS_QUEUE_MAX]; /* to that end */
	uint32_t head[2], tail[2];
	uint64_t last_ns[2];
	bool acked;         /* the learner has sent an ACK */
	bool early_ack;     /* the leader has heard one before NEWLEADER's */
	uint64_t newleader; /* the NEWLEADER whose ACK has reached the leader; 0: none yet */
	bool feed_gap;      /* ... and what it asks for is purged */
	uint64_t feed_at;   /* leader: FILE_SEND, position in its log + 1 */
	uint64_t feed_bound;
};

struct ens_server {
	struct zab z;
	struct zk_mem mem;
	struct ens_disk disk;
	bool up, serving;
	unsigned generation; /* of the process */
	uint32_t applied;
	int64_t dialling;
	struct zab_notification told[ENS_SERVERS_MAX];
	bool has_told[ENS_SERVERS_MAX];
	uint64_t sync_ns, restart_ns;
	uint32_t sync_n; /* what the fsync under way covers */
	bool slow;
	bool beats;        /* has heartbeats; else as Apache's */
	uint64_t pause_ns; /* its process is stopped until then */
	uint64_t keep_ns;  /* when it tells how far it has applied */
	bool loading;
	uint64_t load_zxid;
	uint32_t diffed; /* transactions logged since it last looked for a leader */
};

enum ens_event_kind { ENS_NOTIFY, ENS_DIAL, ENS_EPOCH, ENS_TRUNCATED, ENS_SNAP_LOADED };

struct ens_event {
	bool used;
	enum ens_event_kind kind;
	uint64_t due_ns;
	unsigned server, generation;
	int64_t sid;
	enum zab_file file;
	uint64_t epoch, zxid;
	struct zab_notification note;
};

struct ens {
	struct zab_members members;
	unsigned n, voters;
	enum ens_naive naive;
	uint64_t seed, rng, now_ns, faults_end_ns, next_fault_ns, next_load_ns;
	struct ens_server server[ENS_SERVERS_MAX];
	struct ens_conn conn[ENS_CONNS_MAX];
	uint64_t conn_used; /* bits: those that are used */
	struct ens_event event[ENS_EVENTS_MAX];
	uint32_t events_end;
	bool cut[ENS_SERVERS_MAX][ENS_SERVERS_MAX]; /* from, to */
	/* the checker's */
	struct ens_txn order[ENS_TXNS_MAX]; /* committed, by anybody who serves */
	uint32_t order_n;
	int64_t epoch_leader[1024];
	uint64_t next_id;
	bool small_history;
	bool failed;
	char why[ENS_WHY_MAX];
	/* what happened */
	uint64_t crashes, breaks, partitions, pauses, commits, leaders, digest;
	uint64_t full; /* a history had no room */
	uint64_t early_acks;
	struct zab_counters count;
};

/** Run @p seed to its end. @return false: a promise was broken, e->why says which. */
bool ens_run(struct ens *e, uint64_t seed, enum ens_naive naive);

#endif
