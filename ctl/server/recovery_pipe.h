/* SPDX-License-Identifier: Apache-2.0 */
/** The reading side of recovery: decompression, checksum, parse, hashes and digests on a thread of
 * its own, a few batches ahead of the thread that builds the tree. */
#ifndef ZK_CTL_RECOVERY_PIPE_H
#define ZK_CTL_RECOVERY_PIPE_H

#include "core/store/recover.h"
#include "ctl/common/stream.h"

#include <pthread.h>

enum { RECOVERY_BATCHES = 4 };

struct recovery_pipe {
	const char *dir;   /* of the snapshots */
	struct zk_mem mem; /* the thread's */
	struct stream stream;
	pthread_t thread;
	struct snap_parse *parse;
	/* under lock: batches are filled in turn, [taken, filled) are the main thread's */
	pthread_mutex_t lock;
	pthread_cond_t moved;
	struct snap_batch *batch[RECOVERY_BATCHES];
	uint64_t filled, taken;
	bool stop, held; /* held: the main thread looks at batch taken - 1 */
};

/** @p dir is borrowed. */
void recovery_pipe_init(struct recovery_pipe *p, const char *dir);
void recovery_pipe_fini(struct recovery_pipe *p);

/** For struct recover_conf. */
struct recover_pipe recovery_pipe_hooks(struct recovery_pipe *p);

#endif
