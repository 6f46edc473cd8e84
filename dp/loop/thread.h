/* SPDX-License-Identifier: Apache-2.0 */
/** An operating system thread that runs logical cores round-robin, and its idle ladder.
 *
 * Each round runs every logical core once and passes exactly one RCU quiescent point. When rounds
 * find nothing to do, an adaptive thread spins (spin.h says how long) and then, where every device
 * queue of its cores has a file descriptor, waits on those and on its eventfd with a deadline,
 * RCU-offline. Where one has none it sleeps in steps of tens of microseconds. dp.idle=poll spins
 * for ever.
 */
#ifndef ZK_LOOP_THREAD_H
#define ZK_LOOP_THREAD_H

#include "dp/loop/spin.h"
#include "dp/loop/stolen.h"
#include "dp/loop/waker.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { THREAD_POLLERS_MAX = 24 };

/** A logical core as the thread sees it. */
struct poller {
	unsigned (*poll)(void *ctx, uint64_t now_ns); /* one bounded round; work done */
	uint64_t (*next_ns)(void *ctx); /* absolute; 0 = waiting for room: no long sleep */
	/* How long frames may lie in the queue after a round that had work, 0 = not at all. NULL:
	 * not at all with a queue, else for any time. */
	uint64_t (*calm_ns)(void *ctx);
	/* Does the leader core have to tell it at once that something has changed? NULL: no. */
	bool (*minds)(void *ctx);
	/* The thread ran late_ns later than it should have; told before the next poll. May be NULL.
	 */
	void (*late)(void *ctx, uint64_t late_ns, uint64_t now_ns);
	/* The CPU was taken away for taken_ns since the last look at the clock (stolen.h); told
	 * before the next poll. May be NULL. */
	void (*stolen)(void *ctx, uint64_t taken_ns);
	void *ctx;      /* borrowed until thread_join() */
	bool has_queue; /* of a device */
	int rx_fd;      /* its descriptor, -1 = none */
};

enum thread_state { THREAD_STARTING, THREAD_RUNNING, THREAD_FAILED };

struct thread {
	struct waker waker;
	unsigned cpu;
	bool adaptive;
	unsigned pollers_n;
	struct poller poller[THREAD_POLLERS_MAX];
	pthread_t id;
	_Atomic bool stop; /* main thread sets; the thread reads each round */
	_Atomic int state; /* enum thread_state; release by the thread, acquire by main */
	_Atomic int error; /* errno of THREAD_FAILED, 0 = DPDK refused the thread */
	/* ladder's counters; the thread writes, relaxed */
	_Atomic uint64_t rounds, naps, waits, lates;
	struct stolen stolen;
	uint64_t due_ns; /* when its next poll should begin, at the latest */
	struct spin spin;
	bool calmed; /* it has let frames lie since the last work */
	bool hollow; /* a queue's descriptor has called, and no round since has found anything */
};

/** Start it, pinned to t->cpu, all signals blocked, and wait until it polls or has failed. Fields
 * cpu, adaptive, poller are the caller's to fill, the rest is set here. Main thread.
 *  @return ZK_EOK; ZK_EIO (t->error says why). */
ZK_MUST_USE enum zk_err thread_start(struct thread *t);

/** Ask it to stop, wake it, wait for it. Main thread. */
void thread_join(struct thread *t);

#endif
