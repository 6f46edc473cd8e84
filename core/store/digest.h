/* SPDX-License-Identifier: Apache-2.0 */
/** The digest of a node as a snapshot has it; see core/tree/digest.h. */
#ifndef ZK_STORE_DIGEST_H
#define ZK_STORE_DIGEST_H

#include "core/base/span.h"

/** The stored fields of a node, StatPersisted (spec/disk-format.md section 4). */
struct store_stat {
	uint64_t czxid, mzxid;
	int64_t ctime, mtime;
	int32_t version, cversion /* stored: creations */, aversion;
	uint64_t owner; /* with its kind marker */
	uint64_t pzxid;
};

/** What a node adds to the digest of the tree, which is the sum of these modulo 2^64; 0 for what
 * lies under /zookeeper/. @p path: "" or "/" is the root. Borrows all. Any context; linear. */
uint32_t store_node_digest(struct zk_span path, struct zk_span data, const struct store_stat *st);

#endif
