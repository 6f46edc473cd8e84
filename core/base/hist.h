/* SPDX-License-Identifier: Apache-2.0 */
/** Log-linear histogram of durations: fixed memory, error at most 1/64 of the value.
 *
 * Values below 64 have a slot each; every further power of two is cut into 64 equal slots. One
 * thread at a time; merge copies to sum up several.
 */
#ifndef ZK_BASE_HIST_H
#define ZK_BASE_HIST_H

#include <stdint.h>

enum {
	ZK_HIST_SUB_BITS = 6,
	ZK_HIST_MAX_BITS = 42, /* larger values are counted as 2^42 - 1: 73 minutes in ns */
	ZK_HIST_SLOTS = (ZK_HIST_MAX_BITS - ZK_HIST_SUB_BITS + 1) << ZK_HIST_SUB_BITS
};

struct zk_hist {
	uint64_t count, sum, min, max;
	uint64_t slot[ZK_HIST_SLOTS];
};

/** Empty. Also the way to reset. */
void zk_hist_init(struct zk_hist *h);

/** Count @p value once. Bound: constant. */
void zk_hist_add(struct zk_hist *h, uint64_t value);

/** The slot of a value, < ZK_HIST_SLOTS. Bound: constant. */
unsigned zk_hist_slot(uint64_t value);

/** Add everything that @p from has counted to @p h. Bound: ZK_HIST_SLOTS. */
void zk_hist_merge(struct zk_hist *h, const struct zk_hist *from);

/** The smallest value that at least @p ppm millionths of the counted values do not exceed, rounded
 *  up to its slot's end, never above the largest value counted; 0 when empty. @p ppm <= 1000000.
 *  Bound: ZK_HIST_SLOTS. */
uint64_t zk_hist_quantile(const struct zk_hist *h, uint32_t ppm);

/** Arithmetic mean, rounded down; 0 when empty. */
uint64_t zk_hist_mean(const struct zk_hist *h);

#endif
