/* SPDX-License-Identifier: Apache-2.0 */
/** The text of zookeeper_limits and zookeeper_stats (StatsTrack.java):
 *  "count=4,bytes=5=;byteHardLimit=10;countHardLimit=10". Pure functions on borrowed bytes. */
#ifndef ZK_TREE_QUOTA_TEXT_H
#define ZK_TREE_QUOTA_TEXT_H

#include "core/base/span.h"

enum {
	QUOTA_OTHERS_MAX = 8, /* further keys that a rewritten text keeps; Apache has two */
	QUOTA_TEXT_MAX = 512  /* and as many of them as fit here */
};

/** -1: not given. */
struct quota_text {
	int64_t count, bytes, count_hard, bytes_hard;
};

/** Read @p text as `new StatsTrack(byte[])` does; empty gives no limits. @return false: Java would
 * throw (null included); *out then holds what was read before. Bound: linear. */
bool quota_text_parse(struct zk_span text, struct quota_text *out);

/** The text for @p old with its count and bytes raised by so much (DataTree.updateQuotaStat); what
 * cannot be read counts as not given, -1. Keys but count and bytes are kept, up to the limits
 * above. @return length. Bound: linear in @p old. */
size_t quota_text_charge(struct zk_span old, int64_t count, int64_t bytes,
			 char out[QUOTA_TEXT_MAX]);

/** The text of a fresh count. @return length. */
size_t quota_text_usage(int64_t count, int64_t bytes, char out[QUOTA_TEXT_MAX]);

#endif
