/* SPDX-License-Identifier: Apache-2.0 */
/** A server's disk as files: core/store as it is (log, epochs, recovery, truncation, reception of a
 * snapshot, and ctl/server's reading for learners) on a disk that tears sectors and forgets what no
 * sync has covered (test/lib/sim_disk.h).
 *
 * Beside it struct cl_disk goes on as the list of what was logged, and of that what is certain:
 * each recovery is held against it.
 */
#ifndef ZK_TEST_SIM_CLUSTER_FILES_H
#define ZK_TEST_SIM_CLUSTER_FILES_H

#include "core/store/epoch.h"
#include "core/store/recover.h"
#include "core/store/snap_receive.h"
#include "core/store/truncate.h"
#include "core/store/wal.h"
#include "ctl/server/quorum_reading.h"
#include "test/lib/sim_disk.h"
#include "test/sim/cluster.h"

struct cl_reading {
	bool used;
	struct quorum_reading r;
	struct quorum_chunk *chunk;
	size_t at;
	enum zk_err end;
	uint64_t due_ns;
};

struct cl_files {
	struct sim_disk *sim;
	struct zk_mem mem;
	struct wal wal;
	bool logging; /* wal is open */
	uint32_t put; /* of the list, given to the log */
	uint64_t step_ns;
	struct quorum_files conf; /* only that: of the readings */
	struct cl_reading reading[ZAB_LINKS_MAX];
	struct snap_receive snap;
	bool receiving;
	uint64_t snap_zxid;      /* a snapshot may have taken the place of everything; 0: none */
	uint64_t epoch_tried[2]; /* bits: those of which the writing began */
	/* while recovery runs */
	uint32_t replayed;
	bool tell;
};

void cl_files_init(struct cl_server *s);
void cl_files_fini(struct cl_server *s);
/** The list has grown. */
void cl_files_append(struct cl_server *s);
/** What is due. */
void cl_files_step(struct cl_server *s);
/** Everything is synced and the log is closed, before its files are replaced. */
void cl_files_stop(struct cl_server *s);
/** The process is killed, or the power fails. */
void cl_files_crash(struct cl_server *s);
/** @return true: the file is written. */
bool cl_files_epoch(struct cl_server *s, enum zab_file file, uint64_t epoch);
/** Fill the tree, s->session and the epochs; hold it against the list; begin the log. */
void cl_files_recover(struct cl_server *s, bool tell);
/** What is above @p zxid goes, if that is possible. */
void cl_files_truncate(struct cl_server *s, uint64_t zxid);
/** More of a SNAP. @return ZK_EAGAIN; ZK_EOK: it has taken the place of everything; an error, as
 * when the server died in between. */
enum zk_err cl_files_snap(struct cl_server *s, uint64_t zxid, struct zk_span window, size_t *used);
void cl_files_snap_end(struct cl_server *s);

/** For struct quorum_disk. */
void cl_files_feed_begin(struct cl_server *s, uint32_t link, uint64_t from, uint64_t bound);
void cl_files_feed_cancel(struct cl_server *s, uint32_t link);
enum zk_err cl_files_feed_next(struct cl_server *s, uint32_t link, uint64_t *zxid,
			       struct zk_span *txn);
void cl_files_feed_pop(struct cl_server *s, uint32_t link);

#endif
