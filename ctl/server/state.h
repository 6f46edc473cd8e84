/* SPDX-License-Identifier: Apache-2.0 */
/** One state of the server, from its loading to its end: tree, cores, log writer, snapshots,
 * reclaimer. A server that stands alone has one for its life; a member of an ensemble gets a new
 * one whenever the leader's state must take the place of its own. What lives once is in server.c
 * and ensemble.h. All by the main thread. */
#ifndef ZK_CTL_STATE_H
#define ZK_CTL_STATE_H

#include "ctl/server/config.h"
#include "ctl/server/logwriter.h"
#include "ctl/server/reclaimer.h"
#include "ctl/server/recovery.h"
#include "ctl/server/report.h"
#include "ctl/server/snapshotter.h"
#include "dp/loop/loop.h"

enum { STATE_WHY_MAX = 512 };

struct ensemble;

/** What is there before a state and after it. */
struct state_env {
	const struct config *conf;
	const struct config_cpus *cpus;
	const struct disk_dirs *dirs;
	struct port *port;
	uint8_t steer_key[16];     /* net_conf's; the port may know it */
	struct ensemble *ensemble; /* NULL: the server stands alone */
	int64_t started_wall_ms;   /* of the server */
	uint64_t started_ns;
	const char *environment;
};

struct state {
	const struct state_env *env;
	struct eal_arena tree_mem;
	struct tree *tree;
	struct recovery recovery;
	struct srv_shared *shared;
	struct snapshotter snap;
	struct disk_posix snap_disk;
	bool snap_due;          /* the disk has no snapshot of what was loaded */
	bool snap_when_serving; /* ... worth keeping */
	struct loop *loop;
	struct logwriter log;
	bool logging, reclaiming, running;
	struct reclaimer reclaimer;
	/* what the main thread has said of it */
	uint64_t mismatches;
	struct report_quota quota;
	char why[STATE_WHY_MAX]; /* the last thing that failed */
};

/** A tree with what is on disk. @p env: borrowed until state_free(). @p hooks: of recovery. Each of
 * these three: @return ZK_EOK, or the code with one line in s->why; state_free() in any case. */
ZK_MUST_USE enum zk_err state_load(struct state *s, const struct state_env *env,
				   const struct recovery_hooks *hooks);
/** Everything that serves it; nothing runs yet. */
ZK_MUST_USE enum zk_err state_build(struct state *s);
/** Start the threads. */
ZK_MUST_USE enum zk_err state_start(struct state *s);

/** Stop and join the threads that run. @return false: the log is not whole. */
bool state_stop(struct state *s);
/** Free what there is, threads stopped. @return false: packets are missing. */
bool state_free(struct state *s);

#endif
