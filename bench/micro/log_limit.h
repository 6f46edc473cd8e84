/* SPDX-License-Identifier: Apache-2.0 */
/** What the disk of the log can do by itself. */
#ifndef BENCH_LOG_LIMIT_H
#define BENCH_LOG_LIMIT_H

#include "core/base/hist.h"
#include "ctl/server/disk.h"

enum { LOG_LIMIT_SEGMENT_BYTES = 64 << 20 };

/** Bytes as the log writes them, without a log: segments of the same preallocation, named and
 * synced in the same way, writes of WAL_BUF_BYTES in whole blocks, WAL_BUFS at most under way, one
 * fdatasync per @p batch_bytes, also while the next batch is written. Borrows @p dirs, removes its
 * files. Blocks. @return MB/s. */
double log_limit_same(const struct disk_dirs *dirs, uint64_t bytes, uint64_t batch_bytes);

/** As fast as one goes: MiB writes past the page cache, a sync at the end of each segment. */
double log_limit_raw(const struct disk_dirs *dirs, uint64_t bytes);

/** One writer: a record of @p record bytes into allocated space, fdatasync, again, for so long; the
 * time of each goes into @p h. */
void log_limit_syncs(const struct disk_dirs *dirs, size_t record, double seconds,
		     struct zk_hist *h);

#endif
