/* SPDX-License-Identifier: Apache-2.0 */
/** The few lines that say what was started and, at the end, what it did. Main thread. */
#ifndef ZK_CTL_REPORT_H
#define ZK_CTL_REPORT_H

#include "ctl/server/config.h"
#include "dp/loop/loop.h"

/** Version, device, address, cores, memory, limits; then "serving". */
void report_start(const struct config *c, const struct port *port);

/** A line when more transactions than *seen, which is brought up to date, left the tree with
 * another digest than they say (DataTree.reportDigestMismatch). */
void report_digest(const struct loop *l, uint64_t *seen);

enum { REPORT_QUOTA_EVERY_MS = 60000 };

/** What report_quota() has said; starts as zeros. */
struct report_quota {
	uint64_t refused, soft, next_ms;
};

/** A line when more writes have gone above a quota since the last one, refused or over a soft
 * limit, at most one in REPORT_QUOTA_EVERY_MS (RATE_LOGGER of ZooKeeperServer.checkQuota). @p
 * now_ms: any clock that does not go back. Main thread. */
void report_quota(const struct loop *l, struct report_quota *seen, uint64_t now_ms);

/** Counters of threads, cores and device. Pollers have stopped. */
void report_stop(const struct loop *l, const struct port *port);

#endif
