/* SPDX-License-Identifier: Apache-2.0 */
/** Threads that may block: they run beside the pollers, on the CPUs these leave. */
#ifndef ZK_CTL_HELPER_H
#define ZK_CTL_HELPER_H

#include "core/base/err.h"
#include "ctl/server/config.h"

#include <pthread.h>

/** Start a thread on the CPUs of @p cpus, all signals blocked. Main thread. @return ZK_EOK or
 * ZK_EIO (errno tells). */
ZK_MUST_USE enum zk_err helper_start(pthread_t *id, void *(*run)(void *), void *arg,
				     const struct config_cpus *cpus);

/** The CPUs for them: those of @p all without a poller, or all if there are none. @return whether
 * there are any. */
bool helper_cpus(const struct config *c, const struct config_cpus *all, struct config_cpus *out);

/** Pin the calling thread to @p cpus. */
void helper_affinity(const struct config_cpus *cpus);

#endif
