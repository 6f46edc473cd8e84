/* SPDX-License-Identifier: Apache-2.0 */
/** Whole files, item by item, with a verdict that names the offset. */
#ifndef ZK_CTL_TOOL_SCAN_H
#define ZK_CTL_TOOL_SCAN_H

#include "core/store/snap.h"
#include "core/store/txnlog.h"

enum { SCAN_ERROR_MAX = 256 };

/** jute.maxbuffer + extrasize for the files: generous, since a tool cannot know what the server was
 * told. */
#define SCAN_LENGTH_MAX UINT32_C(0x10000000)

struct scan_error {
	bool bad;
	uint64_t at;
	char text[SCAN_ERROR_MAX];
};

/** Note what is wrong at @p at; the first one stays. */
__attribute__((format(printf, 3, 4))) void scan_fail(struct scan_error *e, uint64_t at,
						     const char *fmt, ...);

struct snap_report {
	uint64_t sessions, acls, nodes;
	uint64_t tree_digest; /* computed */
	bool has_digest, has_last_zxid;
	uint64_t digest_zxid, digest, last_zxid;
	int32_t digest_version;
	uint64_t rest; /* unknown bytes behind */
	uint64_t bytes;
	struct scan_error error;
};

/** Read a snapshot; *item for each session, ACL list and node, which may scan_fail(). NULL: none.
 * @return false: rep->error. */
typedef void snap_visit(void *ctx, enum snap_step step, const struct snap_item *item,
			struct scan_error *error);
bool snap_scan(const char *path, snap_visit *visit, void *ctx, struct snap_report *rep);

struct log_report {
	uint64_t records, digests, out_of_order, gaps;
	uint64_t first_zxid, last_zxid;
	uint64_t gap_after; /* last zxid before the first gap */
	uint64_t end_at;
	enum txnlog_end end;
	bool behind; /* bytes that are not zero lie behind the end */
	uint64_t behind_at;
	uint64_t damaged, damaged_bytes; /* passed over */
	struct scan_error error;
};

/** Read a log. @p damaged: go on behind records that have a frame but are damaged, and hand them to
 * the visitor with their item->bad. The visitor may scan_fail(). @return false: rep->error. */
typedef void log_visit(void *ctx, const struct txnlog_item *item, struct scan_error *error);
bool log_scan(const char *path, bool damaged, log_visit *visit, void *ctx, struct log_report *rep);

/** How a log ends, in words. */
const char *log_end_text(enum txnlog_end end);

/** May @p next follow @p last? Within an epoch every number is used. */
bool zxid_follows(uint64_t last, uint64_t next);

#endif
