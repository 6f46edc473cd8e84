/* SPDX-License-Identifier: Apache-2.0 */
/* The apply core's side: transactions (spec/semantics.md section 14, DataTree.java). */
#include "core/tree/priv.h"

/* tree_can_take() was asked, and there is a reserve: none left is a programmer's error. */
#define must(p) zk_assert(p)

static struct tree_version *newest(const struct tree_node *n)
{
	/* own stores */
	return atomic_load_explicit(&n->newest, memory_order_relaxed);
}

static bool is_live(const struct tree_version *v)
{
	return v && !(v->flags & TREE_VERSION_TOMBSTONE);
}

static void retire_push(struct tree *t, struct tree_version *v)
{
	zk_assert(!(v->flags & TREE_VERSION_QUEUED) && v->zxid == t->stamp);
	v->flags |= TREE_VERSION_QUEUED;
	tree_lanes_put(&t->retire, v);
}

/* Link a version stamped with the open transaction on top of a node. */
static void version_link(struct tree *t, struct tree_node *n, struct tree_version *v)
{
	struct tree_version *older = newest(n);

	/* not published yet */
	atomic_store_explicit(&v->older, older, memory_order_relaxed);
	/* partner: acquire in tree_version_at() */
	atomic_store_explicit(&n->newest, v, memory_order_release);
	if (older)
		retire_push(t, v); /* when the horizon is at v, nobody follows v->older */
}

/* A new version that continues @p old; its data are left to the caller. */
static struct tree_version *version_after(struct tree *t, const struct tree_version *old,
					  size_t room)
{
	struct tree_version *v = tree_version_new(t, room);

	must(v);
	v->acl = old->acl;
	acl_ref(v->acl);
	v->czxid = old->czxid;
	v->mzxid = old->mzxid;
	v->pzxid = old->pzxid;
	v->ctime = old->ctime;
	v->mtime = old->mtime;
	v->owner = old->owner;
	v->version = old->version;
	v->cversion = old->cversion;
	v->aversion = old->aversion;
	v->children = old->children;
	v->content = old->content;
	v->sum = old->sum;
	return v;
}

static size_t room_for(size_t n)
{
	return n <= TREE_INLINE_MAX ? n : 0;
}

/* While the tree is being loaded nobody reads, so a version changes in place; only its room may
 * not suit the new data. */
static struct tree_version *version_renew(struct tree *t, struct tree_node *n, size_t room)
{
	struct tree_version *old = newest(n), *v;

	if (!t->load || old->room == room || (old->flags & TREE_VERSION_QUEUED))
		return old;
	v = version_after(t, old, room);
	/* no reader yet */
	atomic_store_explicit(&n->newest, v, memory_order_relaxed);
	tree_version_free(t, old);
	return v;
}

/* The version of the open transaction, to be changed in place; nobody reads it before its end.
 * @p data: the new data, NULL keeps the old. */
static struct tree_version *version_touch(struct tree *t, struct tree_node *n,
					  const struct zk_span *data)
{
	struct tree_version *old = newest(n), *v = old;

	zk_assert(is_live(old));
	if (old->zxid != t->stamp) {
		v = version_after(t, old,
				  data                              ? room_for(data->n)
				  : old->data_k == TREE_DATA_INLINE ? old->data_len
								    : 0);
		if (!data) {
			v->data_k = old->data_k;
			v->data_len = old->data_len;
			if (v->data_k == TREE_DATA_BLOB) {
				v->blob = old->blob;
				v->blob->refs++;
			} else if (v->data_k == TREE_DATA_INLINE) {
				memcpy(v->bytes, old->bytes, v->data_len);
			}
		}
		version_link(t, n, v);
	} else if (data) {
		v = version_renew(t, n, room_for(data->n));
	}
	if (data)
		must(tree_version_put_data(t, v, *data));
	return v;
}

/* A change record of this transaction may name the old list: keep it until the horizon passes. */
static void acl_replace(struct tree *t, struct tree_version *v, const struct acl_list *acl)
{
	struct tree_version *carrier;

	if (v->acl == acl) {
		acl_unref(&t->acls, acl);
		return;
	}
	carrier = tree_version_new(t, 0);
	must(carrier);
	carrier->flags = TREE_VERSION_CARRIER;
	carrier->acl = v->acl;
	retire_push(t, carrier);
	v->acl = acl;
}

static struct tree_version *acl_put(struct tree *t, struct tree_node *n, struct zk_span acl_jute)
{
	struct tree_version *v = version_touch(t, n, NULL);
	const struct acl_list *acl = acl_intern(&t->acls, acl_jute);

	must(acl);
	acl_replace(t, v, acl);
	return v;
}

/* ---- change log --- */

static void log_add(struct tree *t, enum tree_change_kind kind, const struct tree_node *n,
		    const struct acl_list *acl, const struct acl_list *parent_acl)
{
	struct tree_log_rec r = {t->zxid, (uintptr_t)n | kind, acl, parent_acl};

	zk_assert(((uintptr_t)n & 3) == 0);
	if (t->load) /* nobody reads */
		return;
	if ((t->log.appended - t->log.newest->first) == TREE_LOG_SEG_RECS)
		tree_log_trim(&t->log, tree_log_lowest(t));
	must(tree_log_append(&t->log, &r));
}

uint64_t tree_log_lowest(const struct tree *t)
{
	uint64_t low = t->log.appended;

	for (unsigned i = 0; i < t->n_readers; i++) {
		/* partner: release in tree_change_next(), tree_reader_advance() */
		uint64_t c = atomic_load_explicit(&t->readers[i].consumed, memory_order_acquire);

		low = c < low ? c : low;
	}
	return low;
}

bool tree_changes_full(const struct tree *t)
{
	return t->log.appended - tree_log_lowest(t) > t->changes_soft_max;
}

/* ---- transactions --- */

void tree_begin(struct tree *t, uint64_t zxid, int64_t time_ms)
{
	zk_assert(!t->open && (zxid > t->last_zxid || t->load) && zxid != TREE_PIN_FREE);
	t->open = true;
	t->zxid = zxid;
	t->stamp = t->load ? 0 : zxid;
	t->time_ms = time_ms;
}

void tree_end(struct tree *t)
{
	zk_assert(t->open);
	log_add(t, TREE_CHANGE_END, NULL, NULL, NULL);
	t->open = false;
	if (t->load)
		tree_load_sweep(t);
	if (t->zxid > t->last_zxid)
		t->last_zxid = t->zxid;
	if (tree_digest_stands(t) && t->zxid % TREE_DIGEST_EVERY == 0)
		tree_past_add(t, t->zxid, t->digest);
	tree_log_publish(&t->log);
	tree_memory_note(t);
}

uint64_t tree_last_zxid(const struct tree *t)
{
	return t->last_zxid;
}

void tree_fuzzy(struct tree *t, uint64_t zxid)
{
	t->fuzzy_to = zxid;
}

bool tree_digest_stands(const struct tree *t)
{
	return t->digest_kept && t->zxid > t->fuzzy_to;
}

bool tree_digest_kept(const struct tree *t)
{
	return t->digest_kept;
}

uint64_t tree_digest(const struct tree *t)
{
	return t->digest;
}

bool tree_find_newest(const struct tree *t, struct zk_span path, struct tree_ref *out)
{
	return tree_find(t, path, UINT64_MAX, out);
}

static uint64_t ephemerals(const struct tree *t)
{
	return atomic_load_explicit(&t->count.ephemerals, memory_order_relaxed); /* own store */
}

bool tree_can_take(struct tree *t, size_t bytes)
{
	size_t node = tree_node_bytes(bytes);
	size_t version = tree_version_bytes(bytes < TREE_INLINE_MAX ? bytes : TREE_INLINE_MAX);

	/* a version of zookeeper_stats for each write, half of what it costs otherwise */
	if (t->quotas.marked)
		bytes += bytes / 2;
	return tree_alloc_room(&t->alloc, bytes, node, version, ephemerals(t));
}

bool tree_can_step(const struct tree *t, uint64_t steps, uint64_t owned)
{
	uint64_t all = ephemerals(t);

	if (t->quotas.marked) /* and a version of zookeeper_stats */
		steps += steps / 2;
	return tree_alloc_steps(&t->alloc, steps, all > owned ? all - owned : 0);
}

bool tree_reclaims(const struct tree *t)
{
	return !tree_lanes_empty(&t->retire) || !tree_garbage_empty(&t->unlinked) ||
	       t->batches_out || t->log.oldest != t->log.newest;
}

static struct tree_node *node_find(const struct tree *t, struct zk_span path)
{
	return tree_index_find(&t->index, tree_hash(t, path), tree_norm_path(path));
}

static struct tree_node *node_find_live(const struct tree *t, struct zk_span path)
{
	struct tree_node *n = node_find(t, path);

	return n && is_live(newest(n)) ? n : NULL;
}

/* The parent's path: "/" for "/a"; false when there is no slash or nothing behind the last. */
static bool parent_path(struct zk_span path, struct zk_span *out)
{
	size_t n = path.n;

	while (n > 0 && path.p[n - 1] != '/')
		n--;
	if (n == 0 || path.n == 1)
		return false;
	*out = zk_span_of(path.p, n > 1 ? n - 1 : 1);
	return true;
}

static void ephemeral_add(struct tree *t, struct tree_node *n, uint64_t owner)
{
	zk_assert(!(n->flags & TREE_NODE_EPHEMERAL));
	if (!tree_owner_is_session(owner))
		return;
	must(tree_sessions_add(&t->sessions, owner, &n->eph));
	n->flags |= TREE_NODE_EPHEMERAL;
	tree_count(&t->count.ephemerals, 1);
}

static void ephemeral_del(struct tree *t, struct tree_node *n, uint64_t owner)
{
	if (!(n->flags & TREE_NODE_EPHEMERAL))
		return;
	tree_sessions_del(&t->sessions, owner, &n->eph);
	n->flags &= ~(uint32_t)TREE_NODE_EPHEMERAL;
	tree_count(&t->count.ephemerals, -1);
}

static struct tree_node *node_add(struct tree *t, struct tree_node *parent, struct zk_span path,
				  struct tree_version *first)
{
	struct tree_node *n = tree_node_new(t, path, parent);
	/* own store */
	struct tree_kids *k = atomic_load_explicit(&parent->kids, memory_order_relaxed);

	must(n);
	version_link(t, n, first);
	if (!k) {
		k = tree_kids_new(&t->alloc);
		must(k);
		/* partner: acquire in tree_child_next() */
		atomic_store_explicit(&parent->kids, k, memory_order_release);
	}
	n->slot = tree_kids_add(&t->alloc, k, n);
	must(n->slot != TREE_KIDS_NONE);
	must(tree_index_add(&t->index, t->mem, tree_hash(t, path), n));
	return n;
}

static void version_fresh(struct tree *t, struct tree_version *v, uint64_t owner)
{
	v->czxid = v->mzxid = v->pzxid = t->zxid;
	v->ctime = v->mtime = t->time_ms;
	v->owner = owner;
	v->version = v->cversion = v->aversion = 0;
	v->children = 0;
}

/* Raised, never lowered: replay over a fuzzy snapshot meets what is there already. */
static void raise_cversion(struct tree *t, struct tree_version *v, int32_t cversion)
{
	if (cversion == -1)
		cversion = (int32_t)((uint32_t)v->cversion + 1);
	if (cversion > v->cversion) {
		v->cversion = cversion;
		v->pzxid = t->zxid;
	}
}

enum zk_err tree_create(struct tree *t, struct zk_span path, struct zk_span data,
			struct zk_span acl_jute, uint64_t owner, int32_t parent_cversion)
{
	struct zk_span up;
	struct tree_node *n, *parent;
	struct tree_version *v;

	zk_assert(t->open && path.n <= UINT32_MAX / 2);
	if (tree_norm_path(path).n == 1 && tree_norm_path(path).p[0] == '/')
		return ZK_NODEEXISTS;
	if (!parent_path(path, &up) || (parent = node_find_live(t, up)) == NULL)
		return ZK_NONODE;
	n = node_find(t, path);
	if (n && is_live(newest(n))) {
		if (t->load) /* as DataTree does, in case the snapshot has not got the list */
			acl_put(t, n, acl_jute);
		return ZK_NODEEXISTS;
	}

	const struct acl_list *acl = acl_intern(&t->acls, acl_jute);

	must(acl);
	if (n && newest(n)->zxid == t->stamp) { /* deleted in this transaction */
		v = newest(n);
		v->flags &= (uint8_t)~TREE_VERSION_TOMBSTONE;
		acl_replace(t, v, acl);
	} else {
		v = tree_version_new(t, room_for(data.n));
		must(v);
		v->acl = acl;
		if (n)
			version_link(t, n, v);
		else
			n = node_add(t, parent, path, v);
	}
	zk_assert(n->parent == parent);
	n->flags &= ~(uint32_t)TREE_NODE_UNLINK_DUE;
	version_fresh(t, v, owner);
	must(tree_version_put_data(t, v, data));
	tree_sum_data(t, n, v, data);
	ephemeral_add(t, n, owner);
	tree_reap_add(t, n, owner);
	tree_count(&t->count.nodes, 1);
	tree_count(&t->count.data_bytes, (int64_t)(path.n + data.n));

	struct tree_version *pv = version_touch(t, parent, NULL);

	pv->children++;
	raise_cversion(t, pv, parent_cversion);
	tree_sum(t, parent, pv);
	log_add(t, TREE_CHANGE_CREATED, n, v->acl, pv->acl);
	tree_quota_created(t, n);
	return ZK_EOK;
}

enum zk_err tree_raise_parent(struct tree *t, struct zk_span path, int32_t parent_cversion)
{
	struct tree_node *n;
	struct zk_span up;

	zk_assert(t->open);
	if (!parent_path(path, &up) || (n = node_find_live(t, up)) == NULL)
		return ZK_NONODE;
	if (parent_cversion == -1 || parent_cversion > newest(n)->cversion) {
		struct tree_version *v = version_touch(t, n, NULL);

		raise_cversion(t, v, parent_cversion);
		tree_sum(t, n, v);
	}
	return ZK_EOK;
}

struct tree_node *tree_child_from(const struct tree_node *n, uint64_t from)
{
	struct tree_ref ref = {n, newest(n)};
	const struct tree_node *c;

	while (tree_child_next(ref, UINT64_MAX, &from, UINT32_MAX, &c))
		if (c)
			return (struct tree_node *)(uintptr_t)c;
	return NULL;
}

static void node_delete(struct tree *t, struct tree_node *n)
{
	struct tree_version *v = newest(n), *pv;
	uint32_t data_len = v->data_len;

	zk_assert(v->children == 0);
	ephemeral_del(t, n, v->owner);
	tree_reap_del(n);
	tree_count(&t->count.nodes, -1);
	tree_count(&t->count.data_bytes, -(int64_t)(n->path_len + (uint64_t)v->data_len));
	if (v->zxid != t->stamp) {
		v = version_after(t, v, 0);
		version_link(t, n, v);
	} else {
		tree_version_drop_data(t, v);
		if (!(v->flags & TREE_VERSION_QUEUED))
			retire_push(t, v);
	}
	v->flags |= TREE_VERSION_TOMBSTONE;
	v->node = n;
	t->digest -= v->sum;
	v->sum = 0;
	pv = version_touch(t, n->parent, NULL);
	zk_assert(pv->children > 0);
	pv->children--;
	if (t->zxid > pv->pzxid)
		pv->pzxid = t->zxid;
	tree_sum(t, n->parent, pv);
	log_add(t, TREE_CHANGE_DELETED, n, v->acl, pv->acl);
	tree_quota_deleted(t, n, data_len);
}

/* Only replay over a fuzzy snapshot deletes a node that has children: they come from transactions
 * further on in the log, which will make them again. Bound: the subtree. */
static void delete_below(struct tree *t, struct tree_node *top)
{
	struct tree_node *n = top, *c;
	uint64_t from = 0;

	for (;;) {
		c = tree_child_from(n, from);
		from = 0;
		if (c) {
			n = c;
			continue;
		}
		if (n == top)
			return;
		from = (uint64_t)n->slot + 1;
		node_delete(t, n);
		n = n->parent;
	}
}

enum zk_err tree_delete(struct tree *t, struct zk_span path)
{
	struct tree_node *n = node_find_live(t, path), *parent;
	struct zk_span up;

	zk_assert(t->open);
	if (n) {
		if (n == t->root)
			return ZK_BADARGUMENTS;
		if (newest(n)->children)
			delete_below(t, n);
		node_delete(t, n);
		return ZK_EOK;
	}
	/* DataTree.deleteNode() touches the parent before it looks for the node */
	if (parent_path(path, &up) && (parent = node_find_live(t, up)) != NULL) {
		if (t->zxid > newest(parent)->pzxid) {
			struct tree_version *v = version_touch(t, parent, NULL);

			v->pzxid = t->zxid;
			tree_sum(t, parent, v);
		}
	}
	return ZK_NONODE;
}

enum zk_err tree_set_data(struct tree *t, struct zk_span path, struct zk_span data, int32_t version)
{
	struct tree_node *n = node_find_live(t, path);
	uint32_t old_len;

	zk_assert(t->open);
	if (!n)
		return ZK_NONODE;
	old_len = newest(n)->data_len;
	tree_count(&t->count.data_bytes, (int64_t)data.n - (int64_t)old_len);

	struct tree_version *v = version_touch(t, n, &data);

	v->version = version;
	v->mzxid = t->zxid;
	v->mtime = t->time_ms;
	tree_sum_data(t, n, v, data);
	log_add(t, TREE_CHANGE_DATA, n, v->acl, NULL);
	tree_quota_changed(t, n, old_len);
	return ZK_EOK;
}

void tree_put_quiet(struct tree *t, struct tree_node *n, struct zk_span data)
{
	tree_count(&t->count.data_bytes, (int64_t)data.n - (int64_t)newest(n)->data_len);
	if (t->open) {
		version_touch(t, n, &data);
	} else {
		zk_assert(t->n_readers == 0 && is_live(newest(n)));
		must(tree_version_put_data(t, newest(n), data));
	}
}

enum zk_err tree_set_acl(struct tree *t, struct zk_span path, struct zk_span acl_jute,
			 int32_t aversion)
{
	struct tree_node *n = node_find_live(t, path);

	zk_assert(t->open);
	if (!n)
		return ZK_NONODE;

	struct tree_version *v = acl_put(t, n, acl_jute);

	v->aversion = aversion;
	tree_sum(t, n, v);
	return ZK_EOK;
}

bool tree_ephemeral_next(const struct tree *t, uint64_t session, const struct tree_node **cursor)
{
	const struct zk_list *head = tree_sessions_find(&t->sessions, session), *e;

	if (!head)
		return false;
	e = *cursor ? (*cursor)->eph.next : head->next;
	if (e == head)
		return false;
	*cursor = zk_container_of((struct zk_list *)(uintptr_t)e, struct tree_node, eph);
	return true;
}
