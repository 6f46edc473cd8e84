/* SPDX-License-Identifier: Apache-2.0 */
/** The znode tree: one writer (the apply core), many readers, no lock.
 *
 * Every change makes a new immutable version of a node, stamped with the zxid of its transaction. A
 * reader looks at the tree as of a zxid, its core's `visible`: for each node the newest version
 * whose zxid is not above. The protocol of transaction Z (DESIGN section 3, invariants 2 to 7):
 *
 *   apply core   tree_begin(Z), tree_create/delete/set..., tree_end(): links the versions, appends
 * the change records, release-stores the head of the change log. each core    tree_change_next() in
 * order; fires its own watches; at a record of kind TREE_CHANGE_END calls tree_reader_advance(),
 * and only from then on reads at Z.
 *
 * Rules for readers: a struct tree_ref and everything reached from it is valid until the core's
 * next tree_reader_advance() or RCU quiescent point, whichever is first. Longer reads take a pin,
 * which keeps the state at its zxid, and look their node up again after each quiescent point.
 *
 * Reclamation: a superseded version, or a node whose newest version is a tombstone, is unlinked
 * when the horizon (lowest `visible` or pin) has reached the zxid that superseded it
 * (tree_collect()), and freed after an RCU grace period (tree_garbage_*), by the apply core.
 *
 * Node paths are full paths; the root is "/" (and "" finds it too). The tree does not validate
 * paths, permissions or versions: that is txn's work, before.
 */
#ifndef ZK_TREE_TREE_H
#define ZK_TREE_TREE_H

#include "core/base/err.h"
#include "core/base/hash.h"
#include "core/base/span.h"
#include "core/jute/proto.h"
#include "core/mem.h"
#include "core/tree/acl.h"

struct tree;
struct tree_node;
struct tree_version;
struct tree_reader;
struct tree_garbage;

enum { TREE_READERS_MAX = 64, TREE_PINS_MAX = 16 /* per reader */, TREE_HOLDS_MAX = 4 };

struct tree_conf {
	struct zk_mem *mem;     /* the apply core's; also the limit of the data */
	struct zk_hash_key key; /* of the index */
	size_t index_slots; /* power of two >= 16; sized at start, never moved; more nodes: slower
			     */
	size_t changes_soft_max; /* tree_changes_backlog() above this: take no more writes */
	bool digest;             /* digest.enabled: keep the digest of the tree */
};

/** An empty tree with the predefined nodes of spec/semantics.md section 2 (standalone: empty
 *  /zookeeper/config). @return ZK_EOK with *out, or ZK_ENOMEM. Main thread. */
ZK_MUST_USE enum zk_err tree_new(const struct tree_conf *conf, struct tree **out);

/** Free all. No reader may be inside; garbage handed out must have come back. */
void tree_free(struct tree *t);

/* ---- readers ----------------------------------------------------------------------------------
 */

/** A reader per core, before the cores start. NULL when there are TREE_READERS_MAX. */
struct tree_reader *tree_reader_add(struct tree *t);

/** The zxid this core reads at. Owner core. */
uint64_t tree_visible(const struct tree_reader *r);

/** What is behind a path at a zxid. */
struct tree_ref {
	const struct tree_node *node;
	const struct tree_version *version;
};

/** Hash of a path for tree_prefetch() and tree_find_hashed(). */
uint64_t tree_hash(const struct tree *t, struct zk_span path);
/** Start loading the index line of @p hash. */
void tree_prefetch(const struct tree *t, uint64_t hash);

/** For bursts, each some 100 ns after the one before: load the node, then its newest version, of
 * the entry that looks like @p hash. Hints only. Context as tree_find(). Bound: constant. */
void tree_prefetch_node(const struct tree *t, uint64_t hash);
void tree_prefetch_version(const struct tree *t, uint64_t hash);

/** Find a node as of @p zxid (the reader's visible, or a pin's). @return false: no such node then.
 *  Any registered reader between quiescent points, or the apply core. Bound: the hash chain plus
 * the versions newer than @p zxid. */
bool tree_find(const struct tree *t, struct zk_span path, uint64_t zxid, struct tree_ref *out);
bool tree_find_hashed(const struct tree *t, struct zk_span path, uint64_t hash, uint64_t zxid,
		      struct tree_ref *out);

/** A node that was reached otherwise (a child, a change record) as of @p zxid. @return false: it
 * does not exist then. Context and bound as tree_find(). */
bool tree_ref_at(const struct tree_node *n, uint64_t zxid, struct tree_ref *out);

/** The parent's ref at the same zxid; false for the root. */
bool tree_parent(struct tree_ref ref, uint64_t zxid, struct tree_ref *out);

struct zk_span tree_path(const struct tree_node *n); /* "/" for the root */
struct zk_span tree_name(const struct tree_node *n); /* last component */
struct zk_span tree_data(struct tree_ref ref);       /* null data: {NULL, 0} */
const struct acl_list *tree_acl(struct tree_ref ref);
/** Stat as clients see it (cversion 2*stored - children; owner 0 for container and TTL). */
void tree_stat(struct tree_ref ref, struct zk_stat *out);

/** The stored fields, for txn and store. */
struct tree_raw {
	uint64_t czxid, mzxid, pzxid;
	int64_t ctime, mtime;
	int32_t version, cversion /* stored: creations */, aversion;
	uint64_t owner; /* with its kind marker */
	uint32_t children;
	uint32_t data_len;
	uint32_t content, sum; /* core/tree/digest.h; 0 when the tree keeps no digest */
};
void tree_raw(struct tree_ref ref, struct tree_raw *out);

/** Walk the children as of @p zxid, in no particular order. Start with *cursor = 0; resumable
 * across quiescent points under a pin by looking the parent up again and keeping the cursor.
 *  @return false at the end. Bound: dead slots passed over, at most @p budget (then *out_node ==
 * NULL and true: call again). */
bool tree_child_next(struct tree_ref parent, uint64_t zxid, uint64_t *cursor, unsigned budget,
		     const struct tree_node **out_node);

/** Keep the state at @p zxid, the reader's visible or a later END record consumed, until
 * tree_pin_drop(). @return pin index >= 0, or -1 when TREE_PINS_MAX are taken (counted). Owner
 * core. */
int tree_pin_take(struct tree_reader *r, uint64_t zxid);
uint64_t tree_pin_zxid(const struct tree_reader *r, int pin);
void tree_pin_drop(struct tree_reader *r, int pin);

/* ---- change log -------------------------------------------------------------------------------
 */

enum tree_change_kind {
	TREE_CHANGE_CREATED,
	TREE_CHANGE_DELETED,
	TREE_CHANGE_DATA,
	TREE_CHANGE_END
};

/** One change. Pointers are valid until this reader has advanced past zxid. END has no node. */
struct tree_change {
	uint64_t zxid;
	enum tree_change_kind kind;
	const struct tree_node *node;
	const struct acl_list *acl;        /* the node's (deleted: the last one) */
	const struct acl_list *parent_acl; /* created, deleted: the parent's; NULL for the root */
};

/** The next record for this reader; false when there is none. Owner core. Bound: constant. */
bool tree_change_next(struct tree_reader *r, struct tree_change *out);

/** Move visible to @p zxid, the zxid of an END record consumed, and let go of what is older. */
void tree_reader_advance(struct tree_reader *r, uint64_t zxid);

/** Change records not yet consumed by the slowest reader, against changes_soft_max. Apply core. */
bool tree_changes_full(const struct tree *t);

/* ---- writing: apply core only -------------------------------------------------------------------
 */

/** Start transaction @p zxid (greater than every one before). */
void tree_begin(struct tree *t, uint64_t zxid, int64_t time_ms);

/** Apply rules of spec/semantics.md section 14. @p acl: encoded vector is interned; empty or NULL
 * list = world:anyone. All spans are copied. @p parent_cversion: the parent's stored cversion after
 * the create, -1 = own + 1. @return ZK_EOK, ZK_NONODE (parent), ZK_NODEEXISTS. Memory: the caller
 * has asked tree_can_take() before; running out here stops the process. */
ZK_MUST_USE enum zk_err tree_create(struct tree *t, struct zk_span path, struct zk_span data,
				    struct zk_span acl_jute, uint64_t owner,
				    int32_t parent_cversion);
/** What DataTree does after a create of type 1 that gave ZK_NODEEXISTS: raise cversion and pzxid of
 * the parent of @p path as the create would have. @return ZK_EOK, ZK_NONODE (parent). */
ZK_MUST_USE enum zk_err tree_raise_parent(struct tree *t, struct zk_span path,
					  int32_t parent_cversion);
/** @return ZK_EOK, ZK_NONODE (the parent's pzxid is raised even so, as in DataTree.deleteNode()),
 * ZK_BADARGUMENTS for the root. Children, which only replay over a fuzzy snapshot can meet, go
 * first. */
ZK_MUST_USE enum zk_err tree_delete(struct tree *t, struct zk_span path);
ZK_MUST_USE enum zk_err tree_set_data(struct tree *t, struct zk_span path, struct zk_span data,
				      int32_t version);
ZK_MUST_USE enum zk_err tree_set_acl(struct tree *t, struct zk_span path, struct zk_span acl_jute,
				     int32_t aversion);

/** End of the transaction: everything is linked; append the END record and publish. */
void tree_end(struct tree *t);

/** The newest state, unpublished or not: what prep validates against beneath its pending records.
 * Apply core; valid until the next change or tree_garbage_free(). */
bool tree_find_newest(const struct tree *t, struct zk_span path, struct tree_ref *out);
uint64_t tree_last_zxid(const struct tree *t);

/** Does the tree keep its digest, and what is it, all changes so far included? Apply core. */
bool tree_digest_kept(const struct tree *t);
uint64_t tree_digest(const struct tree *t);
/** Transactions up to @p zxid lie over a snapshot that may be ahead of them (fuzzy, written while
 * its tree changed): the digest behind one of them is of no one state. UINT64_MAX: until further
 * notice; 0: none does. Apply core, or whoever loads the tree before there is one. Bound: constant.
 */
void tree_fuzzy(struct tree *t, uint64_t zxid);
/** Is tree_digest() kept, and that of the newest transaction? As tree_fuzzy(). */
bool tree_digest_stands(const struct tree *t);

/** Is there memory for writes whose paths, data and ACLs take @p bytes? Count everything that was
 * accepted and is not applied yet. Deletes need not ask: a reserve is kept for them. */
bool tree_can_take(struct tree *t, size_t bytes);

/** Is there memory for @p steps changes of nodes that are there, no data counted: deletes, the
 * parents' new versions, records? @p owned of them are ephemeral nodes, for whose end memory is
 * kept. Count everything that was accepted and is not applied yet. Apply core. */
bool tree_can_step(const struct tree *t, uint64_t steps, uint64_t owned);

/** Will memory come back without another write? Apply core. */
bool tree_reclaims(const struct tree *t);

/** Nodes whose owner is @p session, newest state. Start with *cursor = NULL; false at the end. No
 * change of the tree in between. Apply core. */
bool tree_ephemeral_next(const struct tree *t, uint64_t session, const struct tree_node **cursor);

/** A round over the container and TTL nodes, newest state, for the reaper: begin, then peek and
 * skip until peek gives NULL. The tree may change at any point in between: a node that goes is left
 * out, one that comes belongs to the next round. One round at a time. Apply core; bound: constant.
 */
void tree_reap_begin(struct tree *t);
/** The node whose turn it is, until the next change of the tree; NULL: the round is over, or none
 * was ever begun. */
const struct tree_node *tree_reap_peek(const struct tree *t);
/** Done with the node of tree_reap_peek(), which must not have been NULL. */
void tree_reap_skip(struct tree *t);

/* ---- reclamation --------------------------------------------------------------------------------
 */

/** Unlink what the horizon has passed, at most @p budget objects. Returns how many. Apply core. */
unsigned tree_collect(struct tree *t, unsigned budget);

/** Take everything unlinked so far as one batch, NULL when there is nothing. Apply core. The batch
 * goes to whoever waits for the grace period, and comes back to tree_garbage_free() on the apply
 * core. */
struct tree_garbage *tree_garbage_take(struct tree *t);

/** Free up to @p budget objects of a batch after its grace period. @return true when the batch is
 * done (and the pointer dead). Apply core. */
bool tree_garbage_free(struct tree *t, struct tree_garbage *g, unsigned budget);

/* ---- holds: a state kept for somebody else
 * --------------------------------------------------------
 *
 * The apply core keeps the state of the last ended transaction for a thread that reads it at
 * leisure: the snapshot writer. As long as the hold stands, the nodes, versions, data and ACL lists
 * of that state stay where they are, across quiescent points, and so does the cursor of a listing;
 * child tables and the index do not, so that thread is a registered RCU reader all the same. A hold
 * may be taken back at any time: the thread is told so before, and looks for the word after each
 * quiescent point, before it touches anything.
 */

/** Keep the state of tree_last_zxid(). @return a hold >= 0, -1 when there are TREE_HOLDS_MAX. Apply
 * core, outside of a transaction. */
int tree_hold_take(struct tree *t);
uint64_t tree_hold_zxid(const struct tree *t, int hold);
void tree_hold_drop(struct tree *t, int hold);

/** By how many bytes the tree has grown since: what is kept for the hold, and what has come. */
size_t tree_hold_grown(const struct tree *t, int hold);

/** Is memory so short that the hold should go: less than an eighth of the limit is left for writes,
 * and what has come since the hold was taken is a quarter of that or more? Apply core; bound:
 * constant. */
bool tree_hold_strained(const struct tree *t, int hold);

/* ---- digests of the past: any thread -----------------------------------------------------------
 */

enum {
	TREE_DIGEST_EVERY = 128, /* zxids (DataTree.DIGEST_LOG_INTERVAL) */
	TREE_DIGESTS_MAX = 1024  /* DataTree.DIGEST_LOG_LIMIT */
};

struct tree_digest_at {
	uint64_t zxid, digest;
};

/** The digests at the last zxids that TREE_DIGEST_EVERY divides, oldest first, into @p out of @p
 * max entries. @return how many, at most TREE_DIGESTS_MAX. Bound: that. */
unsigned tree_digest_history(const struct tree *t, struct tree_digest_at *out, unsigned max);

/* ---- counters: any thread, relaxed
 * ---------------------------------------------------------------- */

struct tree_stats {
	uint64_t nodes; /* without the second key of the root */
	uint64_t ephemerals;
	uint64_t data_bytes; /* paths and data, as zk_approximate_data_size */
	uint64_t versions, garbage, pins_refused;
	uint64_t memory_bytes;
};
void tree_stats_get(const struct tree *t, struct tree_stats *out);

#endif
