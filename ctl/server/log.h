/* SPDX-License-Identifier: Apache-2.0 */
/** Log lines: `2026-01-01T00:00:00.000Z INFO key=value ...`, one write each, to standard error or
 * to log.file. For threads that may block; never on a polling core.
 */
#ifndef ZK_CTL_LOG_H
#define ZK_CTL_LOG_H

#include "core/base/err.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

enum { LOG_LINE_MAX = 1024 };

/** Open @p file ("" = standard error) for appending; lines above @p level are left out. Main
 * thread, before others log. @return ZK_EOK, or ZK_EIO (errno tells). */
ZK_MUST_USE enum zk_err log_open(const char *file, enum log_level level);

/** Open the same file name again (it may have been moved away). On failure the old one stays.
 *  Main thread. @return ZK_EOK or ZK_EIO. */
ZK_MUST_USE enum zk_err log_reopen(void);

/** Write one line; longer than LOG_LINE_MAX is cut. Control characters become '?'. Any thread that
 * may block. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** "error", "warn", "info", "debug" in any case. @return ZK_EOK or ZK_EINVAL. */
ZK_MUST_USE enum zk_err log_level_parse(const char *text, enum log_level *out);

#endif
