/* SPDX-License-Identifier: Apache-2.0 */
/** The thread behind struct quorum_disk (core/server/quorum.h): writes the epoch files, and reads
 * transactions out of the log files for learners that are further behind than the committed log in
 * memory (ZKDatabase.getProposalsFromTxnLog, LearnerHandler.queueCommittedProposals).
 *
 * Leader core and thread meet in one mailbox and one bounded queue for each link, single-producer
 * single-consumer, atomics only: the leader core never waits. What was read and not yet taken is at
 * most QUORUM_FILES_BYTES for all links together, or one transaction for a link if that is larger.
 * Several links take turns.
 *
 * A feed ends with an error, which the leader answers with SNAP, when the log does not reach back
 * to where it has to begin, when it has a gap or damage, and when the files to be read are larger
 * than snapshotSizeFactor times the newest snapshot (their padding does not count; Apache counts
 * it).
 */
#ifndef ZK_CTL_QUORUM_FILES_H
#define ZK_CTL_QUORUM_FILES_H

#include "core/server/quorum.h"
#include "core/store/log_cursor.h"
#include "ctl/server/disk.h"
#include "ctl/server/helper.h"
#include "dp/loop/waker.h"

enum {
	QUORUM_FILES_BYTES = 8 << 20,
	QUORUM_FILES_CHUNK = 64 << 10, /* transactions go over in such pieces */
	QUORUM_FILES_SLOTS = 32,       /* pieces for a link */
};

struct quorum_files_conf {
	const struct disk_dirs *dirs; /* borrowed until the stop */
	uint32_t length_max;          /* jute.maxbuffer + jute.maxbuffer.extrasize */
	int32_t snap_factor_ppm;      /* snapshotSizeFactor; 0: no limit, negative: no feeds */
	struct config_cpus cpus;
};

/** What has been read, on its way to the leader core. */
struct quorum_chunk;

struct quorum_feed {
	/* leader core to thread: written before `asked` */
	_Atomic uint64_t from, bound; /* bound 0: nothing is wanted */
	_Atomic uint64_t asked;       /* counts requests; partner: feed_look() */
	/* thread to leader core */
	struct quorum_chunk *slot[QUORUM_FILES_SLOTS];
	_Atomic uint32_t tail; /* put by the thread; partner: feed_next() */
	_Atomic uint32_t head; /* taken by the leader core; partner: feed_reclaim() */
	/* the leader core's */
	uint64_t mine;     /* request */
	size_t at;         /* in the first piece */
	enum zk_err ended; /* ZK_EOK: not yet */
	/* the thread's */
	uint64_t serving; /* request */
	uint32_t freed;
	size_t queued_bytes;
	bool active;
	struct quorum_reading *reading;
};

/** Written by the thread, read by any, relaxed. */
#define QUORUM_FILES_STATS_MAP(X)                                                                  \
	X(epochs, "epoch files written")                                                           \
	X(epoch_errors, "times one could not be written")                                          \
	X(feeds, "feeds begun")                                                                    \
	X(feed_errors, "feeds that failed")                                                        \
	X(feeds_too_large, "feeds refused for snapshotSizeFactor")                                 \
	X(feed_txns, "transactions read for learners")                                             \
	X(feed_bytes, "their bytes")

struct quorum_files {
	struct quorum_files_conf conf;
	struct waker waker; /* the thread's */
	struct disk_posix view;
	struct zk_mem mem; /* the thread's */
	pthread_t id;
	_Atomic bool stop;
	/* epoch files: by enum zab_file */
	struct quorum_epoch {
		_Atomic uint64_t value; /* written before `asked` */
		_Atomic uint32_t asked; /* partner: write_epochs() */
		uint32_t done;          /* the thread's */
		uint64_t retry_ns;
		bool failed;
	} epoch[2];
	struct quorum_feed feed[ZAB_LINKS_MAX];
	struct quorum_reading *readings; /* one for each link */
	unsigned feeding;                /* links with a feed under way; the thread's */
	/* whom to tell; never taken by a polling core */
	pthread_mutex_t lock;
	struct waker *leader;
	void (*written)(void *ctx, enum zab_file file);
	void *ctx;
#define QUORUM_FILES_STAT(name, text) _Atomic uint64_t name;
	QUORUM_FILES_STATS_MAP(QUORUM_FILES_STAT)
#undef QUORUM_FILES_STAT
};

/** Start the thread. @p conf is copied. @return ZK_EOK, ZK_ENOMEM or ZK_EIO (errno tells). Main
 * thread. */
ZK_MUST_USE enum zk_err quorum_files_start(struct quorum_files *f,
					   const struct quorum_files_conf *conf);

/** Stop and join, when the leader core has stopped for good. An epoch file that is not written yet
 * stays as it is. Main thread. */
void quorum_files_stop(struct quorum_files *f);

/** For struct quorum_conf; its calls are the leader core's. */
struct quorum_disk quorum_files_disk(struct quorum_files *f);

/** Whom to tell that an epoch file is written: called on this thread, once for each; it must not
 * call back into this module. Before the first epoch_write(). NULL: nobody. Any thread but a
 * polling one; when it returns the old one is not called any more. */
void quorum_files_tell(struct quorum_files *f, void (*written)(void *ctx, enum zab_file file),
		       void *ctx);

/** The leader core's waker, kicked when a feed has more or an epoch file is written. NULL while
 * there is no loop. As quorum_files_tell(). */
void quorum_files_wake(struct quorum_files *f, struct waker *leader);

/** Register its figures. @p f stays for the life of @p m. Main thread, before the cores start. */
void quorum_files_metrics(struct quorum_files *f, struct metrics *m);

#endif
