/* SPDX-License-Identifier: Apache-2.0 */
/** The logs or the snapshots of a directory. */
#ifndef ZK_STORE_FILES_H
#define ZK_STORE_FILES_H

#include "core/mem.h"
#include "core/store/disk.h"
#include "core/store/name.h"

struct store_file {
	struct store_name name;
	uint64_t bytes;
	char text[DISK_NAME_MAX];
};

struct store_files {
	struct zk_mem *mem;
	struct store_file *v; /* by zxid, ascending; names of one zxid in no order */
	size_t n, max;
};

/** Every file of @p dir whose name Apache takes for a @p kind. @p mem and the list are the caller's
 * until store_files_free(), also after an error. Any thread that may block; bound: the directory.
 * @return ZK_EOK, ZK_ENOMEM, or an error of the disk. */
ZK_MUST_USE enum zk_err store_files_list(struct store_files *fs, struct zk_mem *mem, struct disk *d,
					 enum disk_dir dir, enum store_kind kind);
void store_files_free(struct store_files *fs);

/** Where the zeros at the end of @p file begin: its size when there are none. Any thread that may
 * block; bound: the zeros. @return ZK_EOK with *end, or an error of the disk. */
ZK_MUST_USE enum zk_err store_bytes_used(struct disk *d, int file, uint64_t *end);

#endif
