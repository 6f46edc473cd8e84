/* SPDX-License-Identifier: Apache-2.0 */
/** Quotas (DataTree.java, PathTrie.java, Quotas.java, spec/semantics.md section 8).
 *
 * A path /p has a quota while /zookeeper/quota/p/zookeeper_limits exists. Every create, delete and
 * change of data charges the longest such path, and only it: the text of its zookeeper_stats gets a
 * new version in the same transaction, with every field of the stat as it was and without a change
 * record, so no watch fires. Creating zookeeper_stats counts the subtree. The root has no quota.
 *
 * A trie of the components of these paths finds the quota of a path: one look-up per component
 * until it leaves the trie; none when there is no quota. All of it belongs to the apply core.
 */
#ifndef ZK_TREE_QUOTA_H
#define ZK_TREE_QUOTA_H

#include "core/tree/tree.h"

/** A path that has a quota. Valid until its zookeeper_limits is deleted, or as long as a promise is
 * out. */
struct tree_quota;

/** The quota that counts @p path, NULL when there is none: of the newest state. Apply core. Bound:
 * the components of @p path. */
struct tree_quota *tree_quota_find(const struct tree *t, struct zk_span path);

/** The newest texts of zookeeper_limits and zookeeper_stats, see quota_text.h. @return false: there
 * is no such node. Valid until the next change of the tree. Apply core; constant. */
bool tree_quota_limits(const struct tree_quota *q, struct zk_span *out);
bool tree_quota_stats(const struct tree_quota *q, struct zk_span *out);

/** What transactions that are prepared and not yet applied will charge. prep's; each promise is
 * settled with the same numbers once its transaction is applied or dropped. Apply core; constant,
 * settle: the depth of the quota's path. */
void tree_quota_promise(struct tree_quota *q, int64_t count, int64_t bytes);
void tree_quota_settle(struct tree *t, struct tree_quota *q, int64_t count, int64_t bytes);
void tree_quota_promised(const struct tree_quota *q, int64_t *count, int64_t *bytes);

/** After a tree has been loaded node by node, before its first reader and before the log is
 * replayed on it: find the quotas that its nodes under /zookeeper/quota make, and count the usage
 * of each anew (DataTree.setupQuota()). In place: no transaction, no zxid. Main thread. Bound: the
 * nodes under quotas, each once whatever the number of quotas, some 0.1 us each. @return ZK_EOK, or
 * ZK_ENOMEM (which leaves what a running server needs, and a tree that is good for tree_free() or
 * another rebuild only). */
ZK_MUST_USE enum zk_err tree_quota_rebuild(struct tree *t);

#endif
