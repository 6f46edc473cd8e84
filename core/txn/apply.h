/* SPDX-License-Identifier: Apache-2.0 */
/** Apply: the bytes of a transaction change the tree (DataTree.processTxn, spec/semantics.md
 * section 14). The same for the leader, a follower and recovery: no validation here. */
#ifndef ZK_TXN_APPLY_H
#define ZK_TXN_APPLY_H

#include "core/base/err.h"
#include "core/jute/jute.h"
#include "core/tree/tree.h"
#include "core/txn/op.h"

/** What became of the digest of the tree that a transaction carries. */
enum txn_digest {
	TXN_DIGEST_NONE, /* it has none, of another version, or the tree keeps none */
	TXN_DIGEST_RIGHT,
	TXN_DIGEST_WRONG,
};

struct txn_result {
	struct jute_out *reply; /* in: where the body of the client's reply goes; NULL = nowhere */
	struct txn_header header;
	enum zk_err err;     /* the outcome: of an error transaction its code, else of the tree */
	int32_t timeout_ms;  /* of a createSession */
	uint32_t tree_fails; /* operations that the tree refused: fine in a fuzzy replay only */
	enum txn_digest digest;
};

/** Apply @p txn (header, body, the digest if there is one) between tree_begin() and tree_end().
 * @p txn is borrowed, *res keeps nothing of it.
 *
 * Context: apply core. Bound: the transaction's own size; closeSession: the session's ephemerals.
 * @return ZK_EOK, or ZK_EINVAL: not a transaction, nothing was done. */
ZK_MUST_USE enum zk_err txn_apply(struct tree *t, struct zk_span txn, struct txn_result *res);

/** The same for one that was taken apart already (txn_read()). */
void txn_apply_record(struct tree *t, const struct txn_record *r, struct txn_result *res);

#endif
