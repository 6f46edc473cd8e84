/* SPDX-License-Identifier: Apache-2.0 */
/** The state that a snapshot and logs describe, in plain memory: what the offline commands compare
 * and count. Not the server's tree, on purpose: it is a second opinion. */
#ifndef ZK_CTL_TOOL_MODEL_H
#define ZK_CTL_TOOL_MODEL_H

#include "ctl/tool/scan.h"

struct model_node {
	struct model_node *hash_next;
	struct model_node *parent, *child, *next, **prev; /* siblings; prev: who points here */
	struct model_node *owned_next, **owned_prev;      /* of the same session */
	struct zk_span path;                              /* "" = the root */
	struct zk_span data;
	struct zk_span
		acl; /* of the snapshot, NULL = world:anyone ALL; replay does not follow it */
	struct store_stat stat;
	uint64_t hash;
	uint32_t children;
	uint32_t digest;
	uint64_t seen; /* for the comparison; subtree bytes for the summary */
};

struct model_session {
	struct model_session *next;
	uint64_t id;
	int32_t timeout_ms;
};

struct model_acl {
	struct model_acl *next;
	int64_t key;
	struct zk_span jute;
};

enum { MODEL_BUCKETS = 4096 };

struct model {
	struct model_node **index;
	uint64_t slots, nodes, sessions;
	struct model_node *root;
	struct model_node *owned[MODEL_BUCKETS];
	struct model_session *session[MODEL_BUCKETS];
	struct model_acl *acl[MODEL_BUCKETS];
	uint64_t digest;
	uint64_t last_zxid;
	uint64_t refused; /* operations that did not fit: fine over a fuzzy snapshot */
};

struct model *model_new(void);
void model_free(struct model *m);

/** A snap_visit over the model @p ctx. Refuses unknown ACL keys, missing parents, repetitions. */
void model_load(void *ctx, enum snap_step step, const struct snap_item *item,
		struct scan_error *error);

/** Borrowed; NULL: not there. "" and "/" are the root. */
struct model_node *model_find(const struct model *m, struct zk_span path);
struct model_session *model_session_find(const struct model *m, uint64_t id);

/** The node after @p n in depth-first order, parents first; NULL at the end. Start with the root.
 */
struct model_node *model_next(const struct model_node *n);

/** The session behind an owner field; 0: it is not a session. */
uint64_t model_owner(uint64_t owner);

/** Apply a transaction as DataTree.processTxn does (spec/semantics.md section 14). */
void model_apply(struct model *m, const struct txn_record *txn);

/** For model_apply. */
struct model_node *model_add(struct model *m, struct model_node *parent, struct zk_span path,
			     struct zk_span data, const struct store_stat *stat);
void model_remove(struct model *m, struct model_node *n);
void model_session_put(struct model *m, uint64_t id, int32_t timeout_ms);
void model_session_drop(struct model *m, uint64_t id);
struct zk_span model_copy(struct zk_span s);
struct zk_span model_parent_path(struct zk_span path);
/** Around a change of the node's fields. */
void model_unsum(struct model *m, struct model_node *n);
void model_sum(struct model *m, struct model_node *n);

#endif
