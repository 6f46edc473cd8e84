/* SPDX-License-Identifier: Apache-2.0 */
/** The thread that writes snapshots and purges old files: the other side of
 * core/server/leader_snap.h.
 *
 * It is an RCU reader while it looks at the tree, in slices of some hundred nodes, and offline
 * while it writes. It runs at a low priority: a snapshot is never urgent, the pollers are. Whatever
 * goes wrong costs the snapshot, a log line and a counter, and the next trigger tries again.
 */
#ifndef ZK_CTL_SNAPSHOTTER_H
#define ZK_CTL_SNAPSHOTTER_H

#include "core/server/leader_snap.h"
#include "core/server/metrics.h"
#include "core/store/disk.h"
#include "core/store/name.h"
#include "ctl/server/helper.h"
#include "dp/loop/waker.h"

#include <pthread.h>

struct snapshotter_conf {
	struct disk *disk; /* this thread's own view; borrowed until the stop */
	const struct tree *tree;
	struct waker *leader;
	enum store_pack pack;
	bool digest, last_zxid; /* parts of the file, see struct snap_tree_conf */
	uint64_t spare_bytes;   /* see struct snap_file_conf */
	unsigned retain;        /* autopurge.snapRetainCount */
	unsigned purge_hours;   /* autopurge.purgeInterval; 0: never */
	struct config_cpus cpus;
};

/** Written by the thread, read by any, relaxed. */
#define SNAPSHOTTER_STATS_MAP(X)                                                                   \
	X(written, "snapshots written")                                                            \
	X(errors, "snapshots that could not be written")                                           \
	X(given_way, "snapshots broken off because memory was short")                              \
	X(digest_mismatches, "snapshots whose nodes have another digest than the tree kept")       \
	X(last_zxid, "of the last one written")                                                    \
	X(last_bytes, "its size in the file system")                                               \
	X(last_nodes, "its nodes")                                                                 \
	X(grown_bytes, "by how much the tree grew while it was written")                           \
	X(purged_snapshots, "snapshots removed")                                                   \
	X(purged_logs, "logs removed")                                                             \
	X(purge_errors, "files that could not be removed, or runs that failed")

struct snapshotter {
	struct snap_desk desk;
	struct waker waker; /* the thread's */
	struct snapshotter_conf conf;
	struct zk_mem mem; /* the thread's */
	pthread_t id;
	bool started;
	_Atomic bool stop;
	uint64_t purge_ns; /* the next one */
	struct zk_metric time_ms;
#define SNAPSHOTTER_STAT(name, text) _Atomic uint64_t name;
	SNAPSHOTTER_STATS_MAP(SNAPSHOTTER_STAT)
#undef SNAPSHOTTER_STAT
};

/** Make desk and waker, for the leader's configuration. @p sessions_max: the leader's. @return
 * ZK_EOK, ZK_ENOMEM, ZK_EIO (errno tells). Main thread. */
ZK_MUST_USE enum zk_err snapshotter_init(struct snapshotter *s, uint32_t sessions_max);

/** Register its figures for mntr. Main thread, before the cores start. */
void snapshotter_metrics(struct snapshotter *s, struct metrics *m);

/** Start the thread. @p conf is copied. @return ZK_EOK or ZK_EIO (errno tells). Main thread. */
ZK_MUST_USE enum zk_err snapshotter_start(struct snapshotter *s,
					  const struct snapshotter_conf *conf);

/** Ask for a snapshot of the state as it is. Any thread but a polling one. */
void snapshotter_ask(struct snapshotter *s);

/** Stop and join; a snapshot under way is given up. Before the tree goes. Main thread. */
void snapshotter_stop(struct snapshotter *s);

/** Free what snapshotter_init() made; the leader core has ended. Nothing after a failed init. */
void snapshotter_fini(struct snapshotter *s);

#endif
