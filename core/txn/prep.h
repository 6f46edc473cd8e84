/* SPDX-License-Identifier: Apache-2.0 */
/** Prep: a request becomes a transaction, validated against the pending state
 *  (PrepRequestProcessor, spec/semantics.md section 4). Leader only, one thread, no effect on the
 * tree. */
#ifndef ZK_TXN_PREP_H
#define ZK_TXN_PREP_H

#include "core/base/err.h"
#include "core/jute/jute.h"
#include "core/txn/auth.h"
#include "core/txn/bytes.h"
#include "core/txn/pending.h"
#include "core/txn/promise.h"
#include "core/txn/quota_errors.h"

struct prep_conf {
	struct tree *tree;
	struct zk_mem *mem;
	const struct auth_conf *auth; /* borrowed for ever */
	uint32_t pending_max;         /* transactions */
	uint32_t jute_maxbuffer;
	bool extended_types;
	bool enforce_quota;
};

struct prep {
	struct prep_conf conf;
	struct pending pending;
	struct promises promises;
	struct txn_bytes bytes;
	uint64_t barrier_zxid; /* a closeSession too big to track: nothing else until it is applied
				*/
	uint64_t steps;        /* what pending transactions change, for tree_can_step() */
	uint64_t refused_memory, refused_size;
	uint64_t memory_waits;   /* put off until memory comes back */
	uint64_t quota_exceeded; /* refused; with enforce_quota only, as the next */
	uint64_t quota_soft;     /* took the usage above a soft limit */
	struct quota_errors quota_errors;
};

/** One request. Spans are borrowed for the call. */
struct prep_in {
	int32_t op, cxid;
	uint64_t session;
	enum zk_err session_err; /* ZK_EOK, ZK_UNKNOWNSESSION, ZK_SESSIONEXPIRED, ZK_SESSIONMOVED */
	struct zk_span ids;      /* Jute vector of Id */
	struct zk_span body;
	uint64_t zxid; /* the next one */
	int64_t time_ms;
	size_t reply_max;     /* largest reply body the way back can take */
	bool pending_creates; /* closeSession: may ephemerals of the session be pending? */
	bool local_session;   /* of a learner's own: it has no ephemerals (checkGlobalSession()) */
};

struct prep_out {
	struct zk_span txn; /* in the byte queue, until prep_applied(); the digest included */
	uint64_t end;       /* its end there */
	uint64_t steps;     /* for prep_applied() */
	enum zk_err err;    /* of an error transaction; ZK_EOK also for a failed multi */
	size_t reply_bytes; /* upper bound of the reply's body */
	bool ephemeral;     /* it may have created an ephemeral node */
};

/** @return ZK_EOK or ZK_ENOMEM. */
ZK_MUST_USE enum zk_err prep_init(struct prep *p, const struct prep_conf *conf);
void prep_fini(struct prep *p);

/** The tree was changed by transactions of others; nothing is pending. */
void prep_resume(struct prep *p);

/** Validate a write (any op of spec/semantics.md section 4, multi, reconfig, closeSession) and
 * make its transaction with in->zxid; a failure makes an error transaction.
 *  @return ZK_EOK with *out, or ZK_EAGAIN: no room until something has been applied, nothing was
 * done. Bound: the request, and for closeSession the session's ephemerals and the pending state. */
ZK_MUST_USE enum zk_err prep_request(struct prep *p, const struct prep_in *in,
				     struct prep_out *out);

/** createSession for @p in->session with @p timeout_ms. As prep_request(). */
ZK_MUST_USE enum zk_err prep_create_session(struct prep *p, const struct prep_in *in,
					    int32_t timeout_ms, struct prep_out *out);

/** deleteContainer of @p path, by the leader itself: no session, no ACL; in->op is
 * ZK_OP_DELETE_CONTAINER. A client never gets here (its opcode 20 is no write of prep_request()).
 * As prep_request(). */
ZK_MUST_USE enum zk_err prep_delete_container(struct prep *p, const struct prep_in *in,
					      struct zk_span path, struct prep_out *out);

/** Transaction @p zxid, whose bytes end at @p end, is in the tree. In zxid order. */
void prep_applied(struct prep *p, uint64_t zxid, uint64_t end, uint64_t steps);

#endif
