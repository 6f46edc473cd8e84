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

/** Counters of threads, cores and device. Pollers have stopped. */
void report_stop(const struct loop *l, const struct port *port);

#endif
