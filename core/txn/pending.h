/* SPDX-License-Identifier: Apache-2.0 */
/** Pending state: what prepared but not yet applied transactions will have made of the tree
 *  (ZooKeeperServer.outstandingChanges, spec/semantics.md section 1).
 *
 * One record per path, the newest; a record goes when the transaction that last touched it has been
 * applied, for then the tree says the same. Its path and ACL point into the bytes of transactions
 * that are still pending. One thread; the tree's newest state is underneath.
 */
#ifndef ZK_TXN_PENDING_H
#define ZK_TXN_PENDING_H

#include "core/base/err.h"
#include "core/base/hash.h"
#include "core/base/list.h"
#include "core/base/span.h"
#include "core/mem.h"
#include "core/tree/tree.h"

struct pend_change {
	struct zk_list order; /* by zxid */
	uint64_t hash, zxid;  /* zxid: the last transaction that touched it */
	struct zk_span path;  /* in the bytes of transaction zxid */
	uint64_t owner;       /* with its kind marker */
	uint64_t acl_zxid;  /* transaction that brings the ACL; not above the applied: the tree's */
	struct zk_span acl; /* in the bytes of transaction acl_zxid */
	int32_t version, cversion, aversion;
	uint32_t children, data_len;
	uint64_t czxid, mzxid, pzxid; /* these are for the digest only */
	int64_t ctime, mtime;
	uint32_t content, sum; /* core/tree/digest.h; sum: what it adds now to pending.digest */
	uint32_t next;         /* in the hash chain or the free list; index + 1, 0 = end */
	bool exists;
};

struct pend_undo;

struct pending {
	struct tree *tree;
	struct zk_mem *mem;
	struct pend_change *slab;
	uint32_t slab_max, used, free_head, n;
	uint32_t *bucket;
	uint32_t bucket_mask;
	struct zk_list order; /* oldest transaction first */
	uint64_t applied;
	struct pend_undo *undo; /* what the open multi has touched */
	uint32_t undo_n, undo_max;
	bool undoing;
	uint64_t digest, undo_digest; /* of the tree when all that is pending has been applied */
};

/** @p changes_max: paths that may be pending at once. @return ZK_EOK or ZK_ENOMEM. */
ZK_MUST_USE enum zk_err pending_init(struct pending *p, struct tree *tree, struct zk_mem *mem,
				     uint32_t changes_max);
void pending_fini(struct pending *p);

/** Is there room for @p n more records? */
static inline bool pending_room(const struct pending *p, uint64_t n)
{
	return p->slab_max - p->n >= n;
}

/** What prep knows of one node: the pending record if there is one, else the tree's newest
 * version. Valid until the next change of the pending state or the tree. */
struct pend_view {
	struct zk_span path; /* as asked */
	uint64_t hash;
	struct pend_change *change; /* NULL: none */
	struct tree_ref ref;        /* valid if change is NULL, or if its ACL is the tree's */
	bool exists;
	int32_t version, cversion, aversion;
	uint32_t children, data_len;
	uint64_t owner;
	const struct acl_list *acl; /* NULL: acl_jute */
	struct zk_span acl_jute;
};

/** Look @p path up; "" is the root. Fills *v also when the node is missing. @return v->exists. */
bool pending_find(struct pending *p, struct zk_span path, struct pend_view *v);

/** The record of @p v for transaction @p zxid, to be changed by the caller; made if there is none.
 * @p path: the same path in the bytes of that transaction. pending_room() was asked before. */
struct pend_change *pending_touch(struct pending *p, struct pend_view *v, struct zk_span path,
				  uint64_t zxid);

/** All fields of @p c say what its transaction will make of it: count it in the digest. After the
 * last change of each record. Bound: constant. */
void pending_sum(struct pending *p, struct pend_change *c);
/** The same when the data change, too: borrowed for the call. Bound: path and data. */
void pending_sum_data(struct pending *p, struct pend_change *c, struct zk_span data);

/** Everything touched between begin and rollback is put back. @p touches: at most so many.
 *  @return false: no memory for that. One at a time. */
bool pending_undo_begin(struct pending *p, uint32_t touches);
void pending_undo_rollback(struct pending *p);
void pending_undo_end(struct pending *p);

/** Transaction @p zxid is in the tree: let go of the records it was the last to touch. */
void pending_applied(struct pending *p, uint64_t zxid);

#endif
