/* SPDX-License-Identifier: Apache-2.0 */
/** The thread that waits for grace periods, so that no polling core does. */
#ifndef ZK_CTL_RECLAIMER_H
#define ZK_CTL_RECLAIMER_H

#include "ctl/server/helper.h"
#include "dp/loop/lead.h"

#include <stdatomic.h>
#include <stdbool.h>

struct reclaimer {
	struct lead_garbage *garbage; /* borrowed until reclaimer_stop() */
	struct waker *leader;         /* kicked when a batch comes back */
	pthread_t id;
	_Atomic bool stop;
	_Atomic uint64_t batches; /* relaxed */
};

/** Start it on the CPUs of @p cpus. @return ZK_EOK or ZK_EIO (errno tells). Main thread. */
ZK_MUST_USE enum zk_err reclaimer_start(struct reclaimer *r, struct lead_garbage *garbage,
					struct waker *leader, const struct config_cpus *cpus);

/** Stop and join; batches may stay in both rings. After the pollers. Main thread. */
void reclaimer_stop(struct reclaimer *r);

#endif
