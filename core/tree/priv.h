/* SPDX-License-Identifier: Apache-2.0 */
/** Inside of the tree. What each field is, who writes it, and which release pairs with which
 * acquire.
 *
 * "Apply" fields are read and written by the apply core only. All others are written before the
 * object is published, or are atomics.
 */
#ifndef ZK_TREE_PRIV_H
#define ZK_TREE_PRIV_H

#include "core/base/assert.h"
#include "core/base/list.h"
#include "core/tree/acl_cache.h"
#include "core/tree/alloc.h"
#include "core/tree/digest.h"
#include "core/tree/ephemeral.h"
#include "core/tree/index.h"
#include "core/tree/kids.h"
#include "core/tree/lanes.h"
#include "core/tree/log.h"
#include "core/tree/quota.h"
#include "core/tree/tree.h"

#include <stdatomic.h>

enum {
	TREE_INLINE_MAX = 160, /* data up to this lies behind its version */
};

struct tree_node {
	union {
		struct zk_list eph; /* apply: among the nodes of its session, or in tree.reap */
		struct tree_node *garbage; /* apply: once unlinked */
	};
	struct tree_node *parent; /* linked as long as this node is; NULL for the root */
	uint32_t slot;            /* apply: in the parent's child table */
	uint32_t flags;           /* apply: enum tree_node_flags */
	/* release in tree_create(), acquire in tree_child_next(); NULL: never had a child, or all
	 * are gone from every reader's sight */
	_Atomic(struct tree_kids *) kids;
	/* release in version_link(), acquire in tree_version_at() */
	_Atomic(struct tree_version *) newest;
	uint32_t path_len;
	uint32_t name_off;
	uint8_t path[];
};

enum tree_node_flags {
	TREE_NODE_EPHEMERAL = 1,  /* eph is in a session's list */
	TREE_NODE_UNLINK_DUE = 2, /* tombstone passed by the horizon, children still linked */
	TREE_NODE_REAPABLE = 4,   /* container or TTL: eph is in tree.reap */
	TREE_NODE_DIGESTED = 8,   /* counts in the tree's digest */
};

/** Data too large to lie behind a version, shared by versions. */
struct tree_blob {
	uint64_t refs; /* apply */
	uint8_t bytes[];
};

enum tree_version_flags {
	TREE_VERSION_TOMBSTONE = 1,
	TREE_VERSION_QUEUED = 2,  /* apply: in the retire queue, or was */
	TREE_VERSION_CARRIER = 4, /* no version: holds an ACL reference until the horizon passes */
};

enum tree_data_kind { TREE_DATA_NULL, TREE_DATA_INLINE, TREE_DATA_BLOB };

/** A node as of zxid. Readers below that zxid use `zxid` and `older` only, so the apply core may
 * change everything else in place until the transaction ends. */
struct tree_version {
	uint64_t zxid;
	/* what a reader below zxid follows; set to NULL (release) by tree_collect() when there is
	 * none left; acquire in tree_version_at() */
	_Atomic(struct tree_version *) older;
	const struct acl_list *acl; /* counted */
	uint64_t czxid, mzxid, pzxid;
	int64_t ctime, mtime;
	uint64_t owner;
	int32_t version, cversion, aversion;
	uint32_t children;
	uint32_t data_len;
	uint16_t room;  /* bytes behind it */
	uint8_t flags;  /* enum tree_version_flags */
	uint8_t data_k; /* enum tree_data_kind */
	union {
		struct tree_blob *blob; /* TREE_DATA_BLOB */
		struct tree_node *node; /* tombstone: the node to unlink */
	};
	struct tree_version *queue; /* apply: in the retire queue, then in the garbage */
	uint32_t content;           /* apply: tree_digest_content(), if the node is DIGESTED */
	uint32_t sum;               /* apply: what it adds to tree.digest */
	uint8_t bytes[];
};

struct tree_garbage {
	struct tree_lanes versions;
	struct tree_node *nodes;
	struct tree_kids *kids;
};

static inline bool tree_garbage_empty(const struct tree_garbage *g)
{
	return tree_lanes_empty(&g->versions) && !g->nodes && !g->kids;
}

struct tree_reader {
	/* What the apply core reads: release by the owner in tree_reader_advance(), tree_pin_take()
	 * and tree_pin_drop(), acquire in tree_horizon(). A pin is stored before the `visible` that
	 * leaves it behind, and loaded after. */
	_Alignas(ZK_CACHE_LINE) _Atomic uint64_t visible;
	_Atomic uint64_t consumed; /* release by the owner, acquire in tree_log_lowest() */
	_Atomic uint64_t pins[TREE_PINS_MAX]; /* TREE_PIN_FREE or a zxid */
	/* owner only */
	_Alignas(ZK_CACHE_LINE) struct tree *tree;
	struct tree_log_cursor cursor;
	uint64_t end_zxid;             /* of the END record consumed last */
	_Atomic uint64_t pins_refused; /* relaxed, counter */
};

#define TREE_PIN_FREE UINT64_MAX

/* Apply core. */
struct tree_hold {
	uint64_t zxid;    /* TREE_PIN_FREE: not taken */
	size_t used_then; /* bytes in use when it was taken */
};

/* Counters: written by the apply core, read by anybody, relaxed. */
struct tree_counters {
	_Atomic uint64_t nodes, ephemerals, data_bytes, versions, garbage, memory_bytes;
};

/* A ring of digests that any thread may copy; entry n is in slot n % MAX. Written by the apply
 * core: tree_past_add() and tree_digest_history() say how they go together. */
struct tree_past {
	_Atomic uint64_t begun, done; /* entries */
	_Atomic uint64_t zxid[TREE_DIGESTS_MAX], digest[TREE_DIGESTS_MAX];
};

/** The trie of core/tree/quota.h. Apply. */
struct tree_quotas {
	struct zk_mem *mem;
	struct tree_alloc *alloc;
	struct tree_quota **buckets;
	uint64_t n_buckets; /* power of two */
	uint64_t n, marked; /* entries; those that are quotas */
	struct tree_quota *root;
};

struct tree {
	/* readers' */
	struct tree_index index;
	struct zk_hash_key key;
	struct tree_node *root;
	/* apply */
	_Alignas(ZK_CACHE_LINE) struct tree_alloc alloc;
	struct zk_mem *mem;
	void *raw; /* what this struct was allocated as */
	struct acl_cache acls;
	struct tree_sessions sessions;
	struct tree_quotas quotas;
	struct zk_list reap, reap_mark; /* container and TTL nodes; the mark ends a round */
	struct tree_log log;
	size_t changes_soft_max;
	uint64_t zxid;          /* of the open transaction, or the last */
	uint64_t stamp;         /* of its versions: zxid, or 0 while the tree is being loaded */
	struct tree_load *load; /* NULL: it is not */
	int64_t time_ms;
	bool open;
	uint64_t last_zxid; /* of the last ended transaction */
	uint64_t horizon;   /* as last computed */
	uint64_t digest;    /* sum of the newest versions' */
	bool digest_kept;
	uint64_t fuzzy_to; /* tree_fuzzy() */
	struct tree_lanes retire;
	struct tree_garbage unlinked;
	unsigned batches_out;
	unsigned n_readers;
	struct tree_hold holds[TREE_HOLDS_MAX];
	struct tree_counters count;
	struct tree_past past;
	struct tree_reader readers[TREE_READERS_MAX];
};

static inline void tree_count(_Atomic uint64_t *c, int64_t delta)
{
	/* one writer; relaxed, the readers want a number only */
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + (uint64_t)delta,
			      memory_order_relaxed);
}

/** The version of @p n as of @p zxid, NULL when it does not exist then. */
static inline const struct tree_version *tree_version_at(const struct tree_node *n, uint64_t zxid)
{
	/* partners: release in version_link(); release in tree_collect() */
	const struct tree_version *v = atomic_load_explicit(&n->newest, memory_order_acquire);

	while (v && v->zxid > zxid)
		v = atomic_load_explicit(&v->older, memory_order_acquire);
	return v && !(v->flags & TREE_VERSION_TOMBSTONE) ? v : NULL;
}

/** Is @p owner a session, not a container or TTL marker? (EphemeralType.java) */
static inline bool tree_owner_is_session(uint64_t owner)
{
	return owner != 0 && owner != ZK_OWNER_CONTAINER && (owner & ZK_OWNER_TTL) != ZK_OWNER_TTL;
}

static inline struct zk_span tree_norm_path(struct zk_span path)
{
	return path.n ? path : zk_span_of("/", 1);
}

static inline size_t tree_node_bytes(size_t path_len)
{
	return sizeof(struct tree_node) + path_len;
}

static inline size_t tree_version_bytes(size_t room)
{
	return sizeof(struct tree_version) + room;
}

/** A node not linked anywhere, without versions. NULL: no memory. */
struct tree_node *tree_node_new(struct tree *t, struct zk_span path, struct tree_node *parent);
/** Free a node nobody can see, its versions must be gone. */
void tree_node_free(struct tree *t, struct tree_node *n);

/** A version with all zero but zxid, and @p room bytes behind. NULL: no memory. */
struct tree_version *tree_version_new(struct tree *t, size_t room);
/** Free a version nobody can see, with its data and ACL references. */
void tree_version_free(struct tree *t, struct tree_version *v);

/** Start loading the fields of the next one of a list, or NULL: it was written long ago. */
static inline void tree_version_prefetch(const struct tree_version *v)
{
	if (!v)
		return;
	__builtin_prefetch(v);
	__builtin_prefetch((const char *)v + ZK_CACHE_LINE);
}

/** Give @p v a copy of @p data. false: no memory. */
bool tree_version_put_data(struct tree *t, struct tree_version *v, struct zk_span data);
void tree_version_drop_data(struct tree *t, struct tree_version *v);

/* past.c */
void tree_past_add(struct tree *t, uint64_t zxid, uint64_t digest);

/** What @p v adds to the digest as the newest version of @p n, after its fields have changed. Its
 * content part must be right. */
static inline void tree_sum(struct tree *t, const struct tree_node *n, struct tree_version *v)
{
	if (!(n->flags & TREE_NODE_DIGESTED))
		return;

	uint32_t sum = tree_digest_node(v->content, &(struct tree_raw){.czxid = v->czxid,
								       .mzxid = v->mzxid,
								       .pzxid = v->pzxid,
								       .ctime = v->ctime,
								       .mtime = v->mtime,
								       .version = v->version,
								       .cversion = v->cversion,
								       .aversion = v->aversion,
								       .owner = v->owner});

	t->digest += (uint64_t)sum - v->sum;
	v->sum = sum;
}

/** Its data have changed, too. */
static inline void tree_sum_data(struct tree *t, const struct tree_node *n, struct tree_version *v,
				 struct zk_span data)
{
	if (n->flags & TREE_NODE_DIGESTED)
		v->content = tree_digest_content(zk_span_of(n->path, n->path_len), data);
	tree_sum(t, n, v);
}

/* reap.c */
void tree_reap_init(struct tree *t);
/** Link @p n if @p owner says container or TTL. */
void tree_reap_add(struct tree *t, struct tree_node *n, uint64_t owner);
/** Unlink @p n if it is linked. */
void tree_reap_del(struct tree_node *n);

/* write.c */
/** Data of a live node that change without any field of its stat and without a change record. In
 * the open transaction; without one in place, for a tree without readers. */
void tree_put_quiet(struct tree *t, struct tree_node *n, struct zk_span data);
/** A live child, newest state, from slot @p from on; NULL: none. Bound: the slots passed over. */
struct tree_node *tree_child_from(const struct tree_node *n, uint64_t from);

/* quota.c */
ZK_MUST_USE enum zk_err tree_quotas_init(struct tree_quotas *s, struct zk_mem *mem,
					 struct tree_alloc *alloc);
void tree_quotas_fini(struct tree_quotas *s);
/** @p n has been made, has gone (its data had @p data_len bytes), has new data (@p old_len before).
 * In the open transaction. Bound: that of tree_quota_find(); making a zookeeper_stats counts the
 * subtree of its path. */
void tree_quota_created(struct tree *t, struct tree_node *n);
void tree_quota_deleted(struct tree *t, struct tree_node *n, uint32_t data_len);
void tree_quota_changed(struct tree *t, const struct tree_node *n, uint32_t old_len);

/** Free a node with its versions and child table, no reader left; its parent does not get to know.
 */
void tree_node_drop(struct tree *t, struct tree_node *n);

/** Unlink a node whose tombstone the horizon has passed, and the parents that waited for it.
 * Returns how many. Bound: the depth of the tree. */
unsigned tree_node_unlink(struct tree *t, struct tree_node *n);

/* load.c */
/** Free what a replayed transaction has retired. Bound: that. */
void tree_load_sweep(struct tree *t);
/** Give up loading; the tree goes next. */
void tree_load_drop(struct tree *t);

/** The lowest visible zxid or pin of all readers, or hold; the last ended zxid when there is none.
 */
uint64_t tree_horizon(struct tree *t);

/* hold.c */
void tree_holds_init(struct tree *t);

/** Number of the change record that the slowest reader will read next. */
uint64_t tree_log_lowest(const struct tree *t);

/** Publish how much memory is in use. */
void tree_memory_note(struct tree *t);

#endif
