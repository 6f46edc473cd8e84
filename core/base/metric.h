/* SPDX-License-Identifier: Apache-2.0 */
/** A figure with its distribution, written by one thread and read by any: what Apache calls a
 * Summary (AvgMinMaxCounter, AvgMinMaxPercentileCounter).
 *
 * All zeros is an empty one. With slots it knows percentiles, too.
 */
#ifndef ZK_BASE_METRIC_H
#define ZK_BASE_METRIC_H

#include "core/base/hist.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct zk_metric {
	_Atomic uint64_t count, sum, min, max;
	_Atomic bool reset;     /* asked for by a reader, done by the writer's next value */
	_Atomic uint64_t *slot; /* ZK_HIST_SLOTS of them, the owner's; NULL: no percentiles */
};

/** Count @p value once. The one writer's thread. Bound: constant, but for the first value after a
 *  reset: ZK_HIST_SLOTS. */
void zk_metric_add(struct zk_metric *m, uint64_t value);

/** Empty it: readers see nothing from now on, the writer starts again with its next value. Any
 * thread. */
void zk_metric_reset(struct zk_metric *m);

/** Add what has been counted to @p to. Any thread; the parts of a value that is being counted may
 * be missing. Without slots only count, sum, min and max. Bound: ZK_HIST_SLOTS. */
void zk_metric_read(const struct zk_metric *m, struct zk_hist *to);

#endif
