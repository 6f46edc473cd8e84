/* SPDX-License-Identifier: Apache-2.0 */
/** What the snapshot commands share. */
#ifndef ZK_CTL_TOOL_SNAPSHOT_H
#define ZK_CTL_TOOL_SNAPSHOT_H

#include "ctl/tool/model.h"

/** Load @p path whole, and judge it: structure, checksums, digest where the file says what it must
 * be. Never NULL: what could be read. The verdict is in rep->error. */
struct model *snapshot_load(const char *path, struct snap_report *rep);

/** The zxid in the name of @p path, 0 when it has none. */
uint64_t snapshot_name_zxid(const char *path, bool *named);

/** "equal", "differs", "none" or, where nothing can be said of it, "fuzzy". */
const char *snapshot_digest_verdict(const char *path, const struct snap_report *rep);

/** Say on standard error what is wrong. */
void snapshot_complain(const char *path, const struct scan_error *e);

#endif
