/* SPDX-License-Identifier: Apache-2.0 */
/** The bytes of a snapshot out of a living tree, as of one held zxid (core/tree/tree.h, holds).
 *
 * Two passes over the nodes, each a parent before its children: the first finds the ACL lists in
 * use, which the file wants in front, the second writes. What comes out is the state at exactly
 * that zxid: nodes, ACL lists and the tree's digest, and the sessions that the caller hands in.
 *
 * Context: one thread, a registered RCU reader that is online during each call; quiescent points
 * and anything that blocks belong between the calls. When the hold has been taken back, the next
 * thing to do with it is snap_tree_fini().
 */
#ifndef ZK_STORE_SNAP_TREE_H
#define ZK_STORE_SNAP_TREE_H

#include "core/mem.h"
#include "core/store/snap.h"
#include "core/tree/tree.h"

struct snap_session {
	uint64_t id;
	int32_t timeout_ms;
};

struct snap_tree_conf {
	const struct tree *tree;
	struct zk_mem *mem; /* of the calling thread */
	uint64_t zxid;      /* held */
	const struct snap_session *session;
	uint32_t sessions;
	bool digest;    /* digest.enabled */
	bool last_zxid; /* serializeLastProcessedZxid.enabled */
	bool stream;    /* as a leader sends it: no header, no checksum, none of these two */
};

enum snap_tree_phase {
	SNAP_TREE_FIND_ACLS, /* first pass */
	SNAP_TREE_HEAD,
	SNAP_TREE_SESSIONS,
	SNAP_TREE_ACL_COUNT,
	SNAP_TREE_PUT_ACLS,
	SNAP_TREE_NODES, /* second pass */
	SNAP_TREE_TAIL,
	SNAP_TREE_DONE,
};

/** How far the walk is on one level. */
struct snap_frame {
	struct tree_ref ref;
	uint64_t cursor;
};

struct snap_tree {
	struct snap_tree_conf conf;
	struct snap_writer writer;
	enum snap_tree_phase phase;
	uint32_t next; /* session or ACL list */
	/* the walk */
	struct snap_frame *stack;
	size_t depth, depth_max;
	bool begun;
	struct tree_ref pending; /* looked at, did not fit; node NULL: none */
	/* ACL lists in use, open addressing */
	const struct acl_list **acl;
	size_t acl_slots, acls;
	/* what came out */
	uint64_t nodes, digest;
	size_t need; /* after ZK_EFULL: bytes of what did not fit */
};

/** Start. @p conf is copied, what it points at borrowed until the fini. @return ZK_EOK, ZK_ENOMEM.
 */
ZK_MUST_USE enum zk_err snap_tree_init(struct snap_tree *s, const struct snap_tree_conf *conf);
/** Touches nothing of the tree. */
void snap_tree_fini(struct snap_tree *s);

/** Go on, over at most @p budget nodes (sessions, ACL lists, dead slots), and append to @p out.
 * @return ZK_EAGAIN: there is more; ZK_EOK: that was all; ZK_EFULL: no room left, empty @p out and
 * call again, with at least s->need bytes; ZK_ENOMEM: the walk's own memory has run out;
 * ZK_ECLOSED: the hold is gone. Bound: @p budget nodes and their bytes. */
ZK_MUST_USE enum zk_err snap_tree_next(struct snap_tree *s, struct jute_out *out, unsigned budget);

#endif
