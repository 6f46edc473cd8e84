/* SPDX-License-Identifier: Apache-2.0 */
/** The log writer's thread: takes transactions off the leader core's log stage, gives them to the
 * write-ahead log (core/store/wal.h) and says what is durable. The only thread that waits for the
 * log's disk.
 *
 * When there is no room on the disk it says so once, tells the stage, and tries again each second;
 * any other error ends the log for the life of the process.
 */
#ifndef ZK_CTL_LOGWRITER_H
#define ZK_CTL_LOGWRITER_H

#include "core/base/metric.h"
#include "core/server/metrics.h"
#include "core/store/wal.h"
#include "ctl/server/disk.h"
#include "ctl/server/helper.h"
#include "dp/loop/logstage.h"

struct logwriter_conf {
	struct logstage *log; /* borrowed until logwriter_stop(), as all here */
	struct waker *leader; /* kicked when more is durable */
	const struct disk_dirs *dirs;
	uint64_t last_zxid; /* found by recovery */
	uint64_t prealloc_bytes, size_limit;
	uint32_t slow_ms; /* fsync.warningthresholdms */
	bool no_sync;     /* forceSync=no */
	uint32_t spin_us; /* look for work so long before sleeping: where a CPU is to spare */
	struct config_cpus cpus;
};

/** Written by the thread, read by anyone, relaxed. */
#define LOGWRITER_STATS_MAP(X)                                                                     \
	X(state, "0 good, 1 no room on the disk, 2 failed")                                        \
	X(txns, "transactions")                                                                    \
	X(bytes, "bytes of records")                                                               \
	X(batches, "batches made durable")                                                         \
	X(segments, "files begun")                                                                 \
	X(slow_syncs, "syncs above fsync.warningthresholdms")                                      \
	X(fulls, "times the disk was found full")                                                  \
	X(sleeps, "times the thread went to sleep")

struct logwriter {
	struct logwriter_conf conf;
	struct disk_posix view;
	struct zk_mem mem;
	struct wal wal;
	uint64_t put, safe; /* numbers in the stage: next to put; all before are durable */
	uint64_t rolled;    /* number + 1 of the last one that a new file was begun for */
	uint64_t retry_ns, slow_seen, syncs_seen;
	enum logstage_health health;
	pthread_t id;
	_Atomic bool stop;
	struct zk_metric sync_ms;
	_Atomic uint64_t sync_slots[ZK_HIST_SLOTS];
#define LOGWRITER_STAT(name, text) _Atomic uint64_t name;
	LOGWRITER_STATS_MAP(LOGWRITER_STAT)
#undef LOGWRITER_STAT
};

/** Start it. @p conf is copied. @return ZK_EOK, ZK_ENOMEM or ZK_EIO (errno tells). Main thread. */
ZK_MUST_USE enum zk_err logwriter_start(struct logwriter *w, const struct logwriter_conf *conf);

/** Stop and join, when the leader core has stopped: everything that was published is durable then,
 * unless the log has failed. Main thread. @return ZK_EOK; ZK_EIO: the log is not whole, what was
 * not acknowledged may be missing. */
ZK_MUST_USE enum zk_err logwriter_stop(struct logwriter *w);

/** Register its figures; borrowed. Main thread, before the cores start. */
void logwriter_metrics(struct logwriter *w, struct metrics *m);

#endif
