/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tree/load.h"

#include "core/tree/priv.h"

enum { KEYS_FIRST = 64, ROOM_EVERY = 256 /* nodes */ };

/* ACL of a node whose list is missing: world:anyone, no permission. */
static const uint8_t nobody_acl[] = {0,   0,   0,   1, 0, 0, 0, 0,   0,   0,   0,   5,   'w', 'o',
				     'r', 'l', 'd', 0, 0, 0, 6, 'a', 'n', 'y', 'o', 'n', 'e'};

struct key_slot {
	int64_t key;
	const struct acl_list *list; /* counted; NULL: free */
};

struct tree_load {
	struct key_slot *keys; /* open addressing */
	uint64_t slots, used;  /* slots: power of two */
	const struct acl_list *nobody;
	struct tree_node *last; /* where the search for a parent begins */
	uint64_t nodes;
};

static struct key_slot *key_slot(const struct tree_load *l, int64_t key)
{
	uint64_t i = zk_mix64((uint64_t)key) & (l->slots - 1);

	while (l->keys[i].list && l->keys[i].key != key)
		i = (i + 1) & (l->slots - 1);
	return &l->keys[i];
}

static bool keys_grow(struct tree *t)
{
	struct tree_load *l = t->load;
	struct key_slot *old = l->keys;
	uint64_t n = l->slots;

	l->keys = zk_mem_alloc(t->mem, 2 * n * sizeof(*l->keys));
	if (!l->keys) {
		l->keys = old;
		return false;
	}
	memset(l->keys, 0, 2 * n * sizeof(*l->keys));
	l->slots = 2 * n;
	for (uint64_t i = 0; i < n; i++) {
		if (old[i].list)
			*key_slot(l, old[i].key) = old[i];
	}
	zk_mem_free(t->mem, old, n * sizeof(*old));
	return true;
}

static void keys_forget(struct tree *t)
{
	struct tree_load *l = t->load;

	for (uint64_t i = 0; i < l->slots; i++) {
		if (l->keys[i].list)
			acl_unref(&t->acls, l->keys[i].list);
		l->keys[i].list = NULL;
	}
	l->used = 0;
}

enum zk_err tree_load_open(struct tree *t)
{
	struct tree_load *l;

	zk_assert(!t->load && !t->open && t->last_zxid == 0 && t->n_readers == 0);
	l = zk_mem_alloc(t->mem, sizeof(*l));
	if (!l)
		return ZK_ENOMEM;
	*l = (struct tree_load){.slots = KEYS_FIRST};
	l->keys = zk_mem_alloc(t->mem, l->slots * sizeof(*l->keys));
	l->nobody = acl_intern(&t->acls, zk_span_of(nobody_acl, sizeof(nobody_acl)));
	if (!l->keys || !l->nobody) {
		zk_mem_free(t->mem, l->keys, l->slots * sizeof(*l->keys));
		if (l->nobody)
			acl_unref(&t->acls, l->nobody);
		zk_mem_free(t->mem, l, sizeof(*l));
		return ZK_ENOMEM;
	}
	memset(l->keys, 0, l->slots * sizeof(*l->keys));
	t->load = l;
	tree_fuzzy(t, UINT64_MAX);
	return ZK_EOK;
}

void tree_load_clear(struct tree *t)
{
	struct tree_node *n = t->root, *c;
	uint64_t from = 0;

	zk_assert(t->load && !t->open && tree_lanes_empty(&t->retire));
	while (n) {
		c = tree_child_from(n, from);
		from = 0;
		if (c) {
			n = c;
			continue;
		}
		c = n;
		n = c->parent;
		from = (uint64_t)c->slot + 1;
		tree_index_del(&t->index, tree_hash(t, tree_path(c)), c);
		tree_node_drop(t, c);
	}
	t->root = NULL;
	t->load->last = NULL;
	t->load->nodes = 0;
	t->digest = 0;
	/* relaxed: counters */
	atomic_store_explicit(&t->count.nodes, 0, memory_order_relaxed);
	atomic_store_explicit(&t->count.ephemerals, 0, memory_order_relaxed);
	atomic_store_explicit(&t->count.data_bytes, 0, memory_order_relaxed);
	keys_forget(t);
}

enum zk_err tree_load_acl(struct tree *t, int64_t key, struct zk_span jute)
{
	struct tree_load *l = t->load;
	const struct acl_list *list;
	struct key_slot *s;

	if (2 * (l->used + 1) > l->slots && !keys_grow(t))
		return ZK_ENOMEM;
	list = acl_intern(&t->acls, jute);
	if (!list)
		return ZK_ENOMEM;
	s = key_slot(l, key);
	if (s->list)
		acl_unref(&t->acls, s->list);
	else
		l->used++;
	*s = (struct key_slot){key, list};
	return ZK_EOK;
}

void tree_load_sum(const struct tree *t, struct tree_load_node *n)
{
	n->hash = tree_hash(t, n->path);
	n->raw.content = n->raw.sum = 0;
	if (!t->digest_kept || !tree_digest_counts(n->path))
		return;
	n->raw.content = tree_digest_content(n->path, n->data);
	n->raw.sum = tree_digest_node(n->raw.content, &n->raw);
}

static const struct acl_list *acl_of(const struct tree *t, int64_t key)
{
	const struct acl_list *list;

	if (key == -1)
		return t->acls.open;
	list = key_slot(t->load, key)->list;
	return list ? list : t->load->nobody;
}

/* A parent is before its children, as a rule just before, or before its sibling's subtree. */
static struct tree_node *parent_of(const struct tree *t, struct zk_span path)
{
	struct tree_node *n = t->load->last;
	struct zk_span up = path;

	while (up.n > 0 && up.p[up.n - 1] != '/')
		up.n--;
	if (up.n > 1)
		up.n--;
	while (n && !(n->path_len == up.n && memcmp(n->path, up.p, up.n) == 0))
		n = n->path_len >= up.n ? n->parent : NULL;
	return n ? n : tree_index_find(&t->index, tree_hash(t, up), up);
}

static struct tree_version *version_of(struct tree *t, const struct tree_load_node *in)
{
	struct tree_version *v =
		tree_version_new(t, in->data.n <= TREE_INLINE_MAX ? in->data.n : 0);

	if (!v)
		return NULL;
	v->acl = acl_of(t, in->acl_key);
	acl_ref(v->acl);
	v->czxid = in->raw.czxid;
	v->mzxid = in->raw.mzxid;
	v->pzxid = in->raw.pzxid;
	v->ctime = in->raw.ctime;
	v->mtime = in->raw.mtime;
	v->owner = in->raw.owner;
	v->version = in->raw.version;
	v->cversion = in->raw.cversion;
	v->aversion = in->raw.aversion;
	v->content = in->raw.content;
	v->sum = in->raw.sum;
	if (tree_version_put_data(t, v, in->data))
		return v;
	tree_version_free(t, v);
	return NULL;
}

/* Under its parent. False: no memory, nothing was done. */
static bool kid_add(struct tree *t, struct tree_node *parent, struct tree_node *n)
{
	/* own stores, no reader */
	struct tree_kids *k = atomic_load_explicit(&parent->kids, memory_order_relaxed);

	if (!k) {
		k = tree_kids_new(&t->alloc);
		if (!k)
			return false;
		atomic_store_explicit(&parent->kids, k, memory_order_relaxed);
	}
	n->slot = tree_kids_add(&t->alloc, k, n);
	if (n->slot == TREE_KIDS_NONE)
		return false;
	atomic_load_explicit(&parent->newest, memory_order_relaxed)->children++;
	return true;
}

enum zk_err tree_load_node(struct tree *t, const struct tree_load_node *in)
{
	struct tree_load *l = t->load;
	struct zk_span path = tree_norm_path(in->path);
	bool root = path.n == 1 && path.p[0] == '/';
	struct tree_node *n = NULL, *parent = NULL;
	struct tree_version *v;

	zk_assert(l && !t->open);
	if (path.p[0] != '/' || (!root && path.p[path.n - 1] == '/') || path.n > UINT32_MAX / 2)
		return ZK_EINVAL;
	if (tree_index_find(&t->index, in->hash, path))
		return ZK_NODEEXISTS;
	if (!root && !(parent = parent_of(t, path)))
		return ZK_NONODE;
	if (l->nodes % ROOM_EVERY == 0 && !tree_alloc_reserved(&t->alloc))
		return ZK_ENOMEM;
	v = version_of(t, in);
	if (!v)
		return ZK_ENOMEM;
	n = tree_node_new(t, path, parent);
	if (!n)
		goto no_memory;
	atomic_init(&n->newest, v);
	if (tree_owner_is_session(v->owner) && !root) {
		if (!tree_sessions_add(&t->sessions, v->owner, &n->eph))
			goto no_memory;
		n->flags |= TREE_NODE_EPHEMERAL;
		tree_count(&t->count.ephemerals, 1);
	}
	if (!tree_index_add(&t->index, t->mem, in->hash, n))
		goto no_memory;
	if (parent && !kid_add(t, parent, n)) {
		tree_index_del(&t->index, in->hash, n);
		goto no_memory;
	}
	if (root)
		t->root = n;
	else
		tree_reap_add(t, n, v->owner);
	t->digest += v->sum;
	tree_count(&t->count.nodes, 1);
	tree_count(&t->count.data_bytes, (int64_t)(path.n + in->data.n));
	l->last = n;
	l->nodes++;
	return ZK_EOK;
no_memory:
	if (n) {
		if (n->flags & TREE_NODE_EPHEMERAL) {
			tree_sessions_del(&t->sessions, v->owner, &n->eph);
			tree_count(&t->count.ephemerals, -1);
		}
		tree_node_free(t, n);
	}
	tree_version_free(t, v);
	return ZK_ENOMEM;
}

bool tree_load_whole(const struct tree *t)
{
	return t->root != NULL;
}

void tree_load_zxid(struct tree *t, uint64_t zxid)
{
	zk_assert(t->load && !t->open);
	t->last_zxid = zxid;
}

uint64_t tree_load_acls_missing(const struct tree *t)
{
	return acl_refs(t->load->nobody) - 1;
}

bool tree_owner_next(const struct tree *t, struct tree_owner_cursor *c, uint64_t *session)
{
	for (; c->bucket < t->sessions.n_buckets; c->bucket++, c->n = 0) {
		if (tree_sessions_at(&t->sessions, c->bucket, c->n, session)) {
			c->n++;
			return true;
		}
	}
	return false;
}

/* Free what the transaction has retired: nobody reads. */
void tree_load_sweep(struct tree *t)
{
	struct tree_version *v;
	struct tree_node *n;
	struct tree_kids *k;

	while ((v = tree_lanes_take(&t->retire)) != NULL) {
		if (v->flags & TREE_VERSION_CARRIER) {
			tree_version_free(t, v);
			continue;
		}
		v->flags &= (uint8_t)~TREE_VERSION_QUEUED;
		if (v->flags & TREE_VERSION_TOMBSTONE)
			(void)tree_node_unlink(t, v->node);
	}
	for (; (v = tree_lanes_take(&t->unlinked.versions)) != NULL;
	     tree_count(&t->count.garbage, -1))
		tree_version_free(t, v);
	for (; (n = t->unlinked.nodes) != NULL; tree_count(&t->count.garbage, -1)) {
		t->unlinked.nodes = n->garbage;
		tree_node_free(t, n);
	}
	for (; (k = t->unlinked.kids) != NULL; tree_count(&t->count.garbage, -1)) {
		t->unlinked.kids = k->garbage;
		tree_kids_free(&t->alloc, k);
	}
}

void tree_load_settle(struct tree *t)
{
	zk_assert(t->load);
	tree_fuzzy(t, 0);
}

void tree_load_drop(struct tree *t)
{
	struct tree_load *l = t->load;

	keys_forget(t);
	acl_unref(&t->acls, l->nobody);
	zk_mem_free(t->mem, l->keys, l->slots * sizeof(*l->keys));
	zk_mem_free(t->mem, l, sizeof(*l));
	t->load = NULL;
}

void tree_load_config(struct tree *t, struct zk_span text, uint64_t version, int64_t time_ms)
{
	const struct zk_span path = zk_span_str("/zookeeper/config");
	uint64_t fuzzy_to = t->fuzzy_to;

	zk_assert(t->load);
	tree_fuzzy(t, UINT64_MAX); /* `version` is no zxid of the past */
	tree_begin(t, version, time_ms);
	if (tree_set_data(t, path, text, -1) == ZK_NONODE &&
	    tree_create(t, path, text, (struct zk_span){NULL, 0}, 0, -1) == ZK_EOK) {
		enum zk_err err = tree_set_data(t, path, text, -1);

		zk_assert(err == ZK_EOK);
	}
	tree_end(t);
	tree_fuzzy(t, fuzzy_to);
}

void tree_load_close(struct tree *t)
{
	struct tree_load *l = t->load;

	zk_assert(l && !t->open && t->root && tree_lanes_empty(&t->retire));
	tree_load_drop(t);
	tree_fuzzy(t, 0);
	t->zxid = t->stamp = t->last_zxid;
	tree_memory_note(t);
}
