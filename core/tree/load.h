/* SPDX-License-Identifier: Apache-2.0 */
/** Filling the tree before anybody reads it: nodes of a snapshot with their stored stats, then
 * replay of the log (DataTree.deserialize, FileTxnSnapLog.restore).
 *
 *   tree_load_open()                       a new tree with the predefined nodes, no reader yet
 *     tree_load_clear()                    for a snapshot, and again for the next one if it was bad
 *     tree_load_acl() ... tree_load_node() ... tree_load_whole()
 *     tree_begin() ... tree_end()          replay: nodes change in place, nothing is kept for
 *                                          readers, zxids need not rise, the past is not logged
 *   tree_load_close()                      from now on the tree has one state, at one zxid
 *
 * One thread, the later apply core's memory. Nothing here stops the process for want of memory.
 */
#ifndef ZK_TREE_LOAD_H
#define ZK_TREE_LOAD_H

#include "core/tree/tree.h"

/** A node as a snapshot has it. Borrowed for the call. */
struct tree_load_node {
	struct zk_span path; /* "" or "/": the root */
	struct zk_span data; /* {NULL, 0}: null */
	int64_t acl_key;     /* -1: world:anyone ALL */
	/* children and data_len are not looked at; content and sum must be right where the node
	 * counts in the digest (tree_load_sum()) */
	struct tree_raw raw;
	uint64_t hash; /* tree_hash() of path */
};

/** @return ZK_EOK or ZK_ENOMEM. */
ZK_MUST_USE enum zk_err tree_load_open(struct tree *t);

/** Take out every node and forget the ACL keys. Bound: what is there. */
void tree_load_clear(struct tree *t);

/** The list that @p key stands for; the vector is borrowed and well formed. A key that comes twice
 * stands for the last. @return ZK_EOK or ZK_ENOMEM. */
ZK_MUST_USE enum zk_err tree_load_acl(struct tree *t, int64_t key, struct zk_span jute);

/** Fill n->raw.content and .sum, and n->hash. Reads what never changes of the tree: any thread. */
void tree_load_sum(const struct tree *t, struct tree_load_node *n);

/** Add a node; its parent must be there. The parent of the node before, that node itself and its
 * ancestors are found without a lookup. A key that stands for no list is no error, since replay may
 * bring the list (a fuzzy snapshot has its ACLs in front): until then nobody may do anything.
 * @return ZK_EOK; ZK_NONODE (parent), ZK_NODEEXISTS, ZK_EINVAL (no path), ZK_ENOMEM (which leaves
 * what a running server needs). Bound: its bytes, and the depth of the node before. */
ZK_MUST_USE enum zk_err tree_load_node(struct tree *t, const struct tree_load_node *n);

/** Is there a root? Bound: constant. */
bool tree_load_whole(const struct tree *t);

/** During replay: the zxid the snapshot stands for. */
void tree_load_zxid(struct tree *t, uint64_t zxid);

/** The state is that of one zxid from now on: digests of the past are kept again. */
void tree_load_settle(struct tree *t);

/** Walk the sessions that own nodes, in no order; start with zeros. After a change of the tree that
 * took away the nodes of the one just given and no other's, go one back: cursor->n--. @return false
 * at the end. */
struct tree_owner_cursor {
	uint64_t bucket, n;
};
bool tree_owner_next(const struct tree *t, struct tree_owner_cursor *c, uint64_t *session);

/** Let /zookeeper/config say @p text, as of zxid @p version, with data version -1: every member
 * sets it for itself, with no transaction (ZKDatabase.initConfigInZKDatabase()). After the replay.
 */
void tree_load_config(struct tree *t, struct zk_span text, uint64_t version, int64_t time_ms);

/** Nodes with a list that is still missing. */
uint64_t tree_load_acls_missing(const struct tree *t);

/** The end of it. tree_last_zxid() is the highest zxid replayed, or that of tree_load_zxid(). */
void tree_load_close(struct tree *t);

#endif
