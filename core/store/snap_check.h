/* SPDX-License-Identifier: Apache-2.0 */
/** Snapshot files as they are on disk: the cheap look, the thorough one, and the bytes of a plain
 * one.
 */
#ifndef ZK_STORE_SNAP_CHECK_H
#define ZK_STORE_SNAP_CHECK_H

#include "core/mem.h"
#include "core/store/disk.h"
#include "core/store/name.h"
#include "core/store/snap_parse.h"

/** Does @p name, of @p bytes bytes, look whole (SnapStream.isValidSnapshot)? Any thread that may
 * block; bound: constant. @return ZK_EOK; ZK_EINVAL: it does not; errors of the disk. */
ZK_MUST_USE enum zk_err snap_check_ends(struct disk *d, const char *name, enum store_pack pack,
					uint64_t bytes);

/** A plain file as a source. */
struct snap_plain {
	struct disk *disk;
	int file; /* -1: closed */
	uint64_t at;
};

/** @p p and @p d stay until snap_plain_close(). @return ZK_EOK with *source; errors of the disk. */
ZK_MUST_USE enum zk_err snap_plain_open(struct snap_plain *p, struct disk *d, const char *name,
					struct snap_source *source);
void snap_plain_close(struct snap_plain *p);

/** Read @p source to its end: can it be taken apart, and are the checksums right? What needs a tree
 * (paths that repeat) is not seen. Any thread that may block; bound: the file.
 * @return ZK_EOK; ZK_EINVAL: damaged; ZK_ENOMEM; the source's error; with a line in @p why. */
ZK_MUST_USE enum zk_err snap_check_all(const struct snap_source *source, uint32_t length_max,
				       struct zk_mem *mem, char why[SNAP_SOURCE_WHY_MAX]);

#endif
