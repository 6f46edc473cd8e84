/* SPDX-License-Identifier: Apache-2.0 */
/** The data directory: made when missing, held by one server at a time. */
#ifndef ZK_CTL_DATADIR_H
#define ZK_CTL_DATADIR_H

#include "core/base/err.h"

#include <stddef.h>

/** dataDir/zokord.pid: locked while the server lives, and naming it. */
struct datadir {
	int fd;
	char pid_file[1100];
};

/** Make @p dir (and parents), take its lock, write the pid. Main thread.
 *  @return ZK_EOK; ZK_EBUSY (another server has it), ZK_EPERM, ZK_EIO with one line in @p why of
 * @p cap bytes. */
ZK_MUST_USE enum zk_err datadir_take(const char *dir, struct datadir *out, char *why, size_t cap);

/** Remove the pid file and let go. */
void datadir_give(struct datadir *d);

#endif
