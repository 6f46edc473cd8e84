/* SPDX-License-Identifier: Apache-2.0 */
/** Apply: the bytes of a transaction change the tree (DataTree.processTxn, spec/semantics.md
 * section 14). The same for the leader, a follower and recovery: no validation here. */
#ifndef ZK_TXN_APPLY_H
#define ZK_TXN_APPLY_H

#include "core/base/err.h"
#include "core/jute/jute.h"
#include "core/tree/tree.h"
#include "core/txn/txn.h"

struct txn_result {
	struct jute_out *reply; /* in: where the body of the client's reply goes; NULL = nowhere */
	struct txn_header header;
	enum zk_err err;     /* the outcome: of an error transaction its code, else of the tree */
	int32_t timeout_ms;  /* of a createSession */
	uint32_t tree_fails; /* operations that the tree refused: fine in a fuzzy replay only */
};

/** Apply @p txn (header and body; anything behind, as a digest, is ignored) between tree_begin()
 * and tree_end(). @p txn is borrowed, *res keeps nothing of it.
 *
 * Context: apply core. Bound: the transaction's own size; closeSession: the session's ephemerals.
 * @return ZK_EOK, or ZK_EINVAL: not a transaction, nothing was done (a multi: the part before). */
ZK_MUST_USE enum zk_err txn_apply(struct tree *t, struct zk_span txn, struct txn_result *res);

#endif
