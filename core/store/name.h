/* SPDX-License-Identifier: Apache-2.0 */
/** Names of log and snapshot files, and which of them matter (spec/disk-format.md sections 1, 2, 4;
 * Util.java, FileTxnLog.getLogFiles(), SnapStream.java). */
#ifndef ZK_STORE_NAME_H
#define ZK_STORE_NAME_H

#include "core/base/span.h"

enum store_kind { STORE_LOG, STORE_SNAPSHOT };
enum store_pack { STORE_PLAIN, STORE_GZ, STORE_SNAPPY };

/* "snapshot." + 16 digits + ".snappy" + NUL, rounded up */
enum { STORE_NAME_MAX = 40 };

struct store_name {
	enum store_kind kind;
	enum store_pack pack; /* of a snapshot, by its suffix */
	bool suffix; /* has a further part that is not a compression, as in snapshot.5.tmp */
	uint64_t zxid;
};

/** Take @p name (no directory, borrowed) apart. @return false: Apache ignores such a file. Any
 * context; bound: linear. */
bool store_name_parse(struct zk_span name, struct store_name *out);

/** Write the name with its NUL into @p out. Any context. */
void store_name_format(const struct store_name *name, char out[STORE_NAME_MAX]);

/** Where replay for @p zxid begins in the ascending start zxids of the log files: the index of the
 * greatest start <= @p zxid, 0 when there is none. Records below @p zxid in it are passed over. Any
 * context; bound: linear. */
size_t store_logs_first(const uint64_t *starts, size_t n, uint64_t zxid);

enum { STORE_VALID_HEAD = 8, STORE_VALID_TAIL = 5, STORE_SNAPSHOT_MIN = 10 };

/** The cheap test before a snapshot is tried (SnapStream.isValidSnapshot): @p head holds the first
 * STORE_VALID_HEAD bytes or all there are, @p tail the last STORE_VALID_TAIL, @p size the size of
 * the file. Passing says nothing about the checksums. Any context. */
bool store_snapshot_plausible(enum store_pack pack, uint64_t size, struct zk_span head,
			      struct zk_span tail);

#endif
