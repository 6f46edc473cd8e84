/* SPDX-License-Identifier: Apache-2.0 */
/** What is inside a transaction's bytes, by table (spec/disk-format.md section 3;
 * SerializeUtils.deserializeTxn). core/txn/apply.h changes the tree by them, core/store reads them
 * from the log; this is the one parser. */
#ifndef ZK_TXN_OP_H
#define ZK_TXN_OP_H

#include "core/base/err.h"
#include "core/txn/txn.h"

enum { TXN_DIGEST_VERSION = 2, TXN_DIGEST_BYTES = 12 };

/** One operation's body. All spans are borrowed from the input; what a type does not have is 0. */
struct txn_op {
	int32_t type;
	const char *name; /* static */
	struct zk_span path, data;
	struct zk_span acl;  /* the vector with its count */
	struct zk_span list; /* closeSession: the paths with their count; multi: the operations */
	int32_t n;           /* how many in list */
	int32_t version;     /* version, aversion or parentCVersion */
	int32_t err;         /* of type -1 */
	int32_t timeout_ms;  /* of createSession */
	int64_t ttl_ms;
	bool ephemeral;
	bool no_list; /* closeSession in the form before it named its paths */
};

/** A whole payload. */
struct txn_record {
	struct txn_header header;
	struct txn_op op;
	struct zk_span bytes; /* header and body: what txn_apply() takes */
	bool has_digest;
	int32_t digest_version;
	uint64_t digest; /* of the tree after this transaction */
};

/** The name of a type number, NULL when there is no such transaction. Static, any context. */
const char *txn_op_name(int32_t type);

/** Take @p payload (borrowed) apart. A closeSession whose list cannot be read counts as the old
 * form, without digest, as in Apache. Type 13 on its own, which Apache 3.8.0 writes and no Apache
 * reads, is accepted. Any context; bound: linear.
 * @return ZK_EOK; ZK_ENOTSUP: unknown type (header filled); ZK_EINVAL: not a transaction. */
ZK_MUST_USE enum zk_err txn_read(struct zk_span payload, struct txn_record *out);

/** Operation of a multi: start with a cursor over op.list behind its count (txn_list_begin()).
 * @return false at the end. The list was checked by txn_read(). */
bool txn_multi_next(struct jute_in *cursor, struct txn_op *out);

/** A cursor over op.list. */
struct jute_in txn_list_begin(const struct txn_op *op);

/** Path of a closeSession; false at the end. */
bool txn_path_next(struct jute_in *cursor, struct zk_span *path);

#endif
