/* SPDX-License-Identifier: Apache-2.0 */
/* The tree as a whole, and its objects. */
#include "core/tree/priv.h"

/* The encoded list of READ_ACL_UNSAFE, which /zookeeper/config has. */
static const uint8_t read_acl[] = {0,   0,   0,   1, 0, 0, 0, 1,   0,   0,   0,   5,   'w', 'o',
				   'r', 'l', 'd', 0, 0, 0, 6, 'a', 'n', 'y', 'o', 'n', 'e'};

struct tree_node *tree_node_new(struct tree *t, struct zk_span path, struct tree_node *parent)
{
	struct tree_node *n = tree_alloc_get(&t->alloc, tree_node_bytes(path.n));
	size_t name = path.n;

	if (!n)
		return NULL;
	memset(n, 0, sizeof(*n));
	zk_list_init(&n->eph);
	n->parent = parent;
	n->path_len = (uint32_t)path.n;
	while (name > 0 && path.p[name - 1] != '/')
		name--;
	n->name_off = (uint32_t)name;
	memcpy(n->path, path.p, path.n);
	if (t->digest_kept && tree_digest_counts(path))
		n->flags |= TREE_NODE_DIGESTED;
	return n;
}

void tree_node_free(struct tree *t, struct tree_node *n)
{
	tree_alloc_put(&t->alloc, n, tree_node_bytes(n->path_len));
}

struct tree_version *tree_version_new(struct tree *t, size_t room)
{
	struct tree_version *v = tree_alloc_get(&t->alloc, tree_version_bytes(room));

	zk_assert(room <= TREE_INLINE_MAX);
	if (!v)
		return NULL;
	memset(v, 0, sizeof(*v));
	v->zxid = t->stamp;
	v->room = (uint16_t)room;
	tree_count(&t->count.versions, 1);
	return v;
}

static size_t blob_bytes(const struct tree_version *v)
{
	return sizeof(struct tree_blob) + v->data_len;
}

void tree_version_drop_data(struct tree *t, struct tree_version *v)
{
	if (v->data_k == TREE_DATA_BLOB) {
		zk_assert(v->blob->refs > 0);
		if (--v->blob->refs == 0)
			tree_alloc_put(&t->alloc, v->blob, blob_bytes(v));
	}
	v->blob = NULL;
	v->data_k = TREE_DATA_NULL;
	v->data_len = 0;
}

bool tree_version_put_data(struct tree *t, struct tree_version *v, struct zk_span data)
{
	zk_assert(data.n <= INT32_MAX);
	tree_version_drop_data(t, v);
	if (!data.p)
		return true;
	if (data.n <= v->room) {
		memcpy(v->bytes, data.p, data.n);
		v->data_k = TREE_DATA_INLINE;
	} else {
		v->blob = tree_alloc_get(&t->alloc, sizeof(*v->blob) + data.n);
		if (!v->blob)
			return false;
		v->blob->refs = 1;
		memcpy(v->blob->bytes, data.p, data.n);
		v->data_k = TREE_DATA_BLOB;
	}
	v->data_len = (uint32_t)data.n;
	return true;
}

void tree_version_free(struct tree *t, struct tree_version *v)
{
	tree_version_drop_data(t, v);
	if (v->acl)
		acl_unref(&t->acls, v->acl);
	tree_count(&t->count.versions, -1);
	tree_alloc_put(&t->alloc, v, tree_version_bytes(v->room));
}

void tree_memory_note(struct tree *t)
{
	/* relaxed: a number to look at */
	atomic_store_explicit(&t->count.memory_bytes,
			      t->mem->used_bytes - zk_slab_pool_free_bytes(&t->alloc.pool),
			      memory_order_relaxed);
}

/* ---- construction --- */

/* A predefined node: every stat field zero, empty data. No reader is there yet. */
static struct tree_node *plant(struct tree *t, struct tree_node *parent, const char *path,
			       struct zk_span acl, int32_t aversion)
{
	struct zk_span p = zk_span_str(path);
	struct tree_version *v = tree_version_new(t, 0);
	struct tree_node *n = v ? tree_node_new(t, p, parent) : NULL;

	if (!n)
		goto no_node;
	v->acl = acl_intern(&t->acls, acl);
	v->data_k = TREE_DATA_INLINE;
	v->aversion = aversion;
	atomic_init(&n->newest, v);
	if (!v->acl || !tree_index_add(&t->index, t->mem, tree_hash(t, p), n))
		goto no_node;
	tree_count(&t->count.nodes, 1);
	tree_count(&t->count.data_bytes, (int64_t)p.n);
	tree_sum_data(t, n, v, (struct zk_span){NULL, 0});
	if (!parent)
		return n;

	/* from here on the index owns the node */
	struct tree_kids *k = atomic_load_explicit(&parent->kids, memory_order_relaxed);

	if (!k) {
		k = tree_kids_new(&t->alloc);
		if (!k)
			return NULL;
		atomic_init(&parent->kids, k);
	}
	n->slot = tree_kids_add(&t->alloc, k, n);
	atomic_load_explicit(&parent->newest, memory_order_relaxed)->children++;
	return n->slot != TREE_KIDS_NONE ? n : NULL;
no_node:
	if (n)
		tree_node_free(t, n);
	if (v)
		tree_version_free(t, v);
	return NULL;
}

static bool plant_all(struct tree *t)
{
	struct zk_span open = {NULL, 0}, read = zk_span_of(read_acl, sizeof(read_acl));
	struct tree_node *zk;

	t->root = plant(t, NULL, "/", open, 0);
	zk = t->root ? plant(t, t->root, "/zookeeper", open, 0) : NULL;
	return zk && plant(t, zk, "/zookeeper/config", read, -1) &&
	       plant(t, zk, "/zookeeper/quota", open, 0);
}

void tree_node_drop(struct tree *t, struct tree_node *n)
{
	/* own stores, no reader is left */
	struct tree_kids *k = atomic_load_explicit(&n->kids, memory_order_relaxed);
	struct tree_version *v = atomic_load_explicit(&n->newest, memory_order_relaxed), *older;

	for (; v; v = older) {
		if (n->flags & TREE_NODE_EPHEMERAL) {
			tree_sessions_del(&t->sessions, v->owner, &n->eph);
			n->flags &= ~(uint32_t)TREE_NODE_EPHEMERAL;
		}
		tree_reap_del(n);
		older = atomic_load_explicit(&v->older, memory_order_relaxed);
		tree_version_free(t, v);
	}
	if (k) {
		k->used = 0;
		tree_kids_free(&t->alloc, k);
	}
	tree_node_free(t, n);
}

static void drop_all(struct tree *t)
{
	struct tree_version *v;
	struct tree_garbage *g;
	struct tree_node *n;

	/* carriers are reached from the retire queue only; the rest also from its nodes */
	while ((v = tree_lanes_take(&t->retire)) != NULL)
		if (v->flags & TREE_VERSION_CARRIER)
			tree_version_free(t, v);
	g = &t->unlinked;
	while ((v = tree_lanes_take(&g->versions)) != NULL)
		tree_version_free(t, v);
	for (struct tree_node *n2; (n = g->nodes) != NULL; g->nodes = n2) {
		n2 = n->garbage;
		tree_node_free(t, n);
	}
	for (struct tree_kids *k, *k2; (k = g->kids) != NULL; g->kids = k2) {
		k2 = k->garbage;
		tree_kids_free(&t->alloc, k);
	}
	for (uint64_t i = 0; i <= t->index.mask; i++)
		while ((n = tree_index_pop(&t->index, i)) != NULL)
			tree_node_drop(t, n);
}

enum zk_err tree_new(const struct tree_conf *conf, struct tree **out)
{
	size_t bytes = sizeof(struct tree) + ZK_CACHE_LINE;
	void *raw = zk_mem_alloc(conf->mem, bytes);
	struct tree *t;

	if (!raw)
		return ZK_ENOMEM;
	t = (void *)(((uintptr_t)raw + ZK_CACHE_LINE - 1) & ~(uintptr_t)(ZK_CACHE_LINE - 1));
	memset(t, 0, sizeof(*t));
	t->raw = raw;
	t->mem = conf->mem;
	t->key = conf->key;
	t->changes_soft_max = conf->changes_soft_max;
	t->digest_kept = conf->digest;
	tree_alloc_init(&t->alloc, conf->mem);
	tree_reap_init(t);
	tree_holds_init(t);
	if (acl_cache_init(&t->acls, conf->mem, conf->key) != ZK_EOK)
		goto no_acls;
	if (tree_sessions_init(&t->sessions, conf->mem, &t->alloc) != ZK_EOK)
		goto no_sessions;
	if (tree_quotas_init(&t->quotas, conf->mem, &t->alloc) != ZK_EOK)
		goto no_quotas;
	if (tree_log_init(&t->log, conf->mem) != ZK_EOK)
		goto no_log;
	if (tree_index_init(&t->index, conf->mem, conf->index_slots) != ZK_EOK)
		goto no_index;
	if (!plant_all(t))
		goto no_nodes;
	tree_memory_note(t);
	*out = t;
	return ZK_EOK;
no_nodes:
	drop_all(t);
	tree_index_fini(&t->index, t->mem);
no_index:
	tree_log_fini(&t->log);
no_log:
	tree_quotas_fini(&t->quotas);
no_quotas:
	tree_sessions_fini(&t->sessions);
no_sessions:
	acl_cache_fini(&t->acls);
no_acls:
	tree_alloc_fini(&t->alloc);
	zk_mem_free(conf->mem, raw, bytes);
	return ZK_ENOMEM;
}

void tree_free(struct tree *t)
{
	struct zk_mem *mem = t->mem;

	zk_assert(!t->open && t->batches_out == 0);
	if (t->load)
		tree_load_drop(t);
	drop_all(t);
	tree_index_fini(&t->index, mem);
	tree_log_fini(&t->log);
	tree_quotas_fini(&t->quotas);
	tree_sessions_fini(&t->sessions);
	acl_cache_fini(&t->acls);
	tree_alloc_fini(&t->alloc);
	zk_mem_free(mem, t->raw, sizeof(*t) + ZK_CACHE_LINE);
}

struct tree_reader *tree_reader_add(struct tree *t)
{
	struct tree_reader *r;

	zk_assert(!t->open);
	if (t->n_readers == TREE_READERS_MAX)
		return NULL;
	r = &t->readers[t->n_readers];
	r->tree = t;
	r->cursor = tree_log_cursor_new(&t->log);
	r->end_zxid = t->last_zxid;
	/* the reader's thread starts after this */
	atomic_init(&r->visible, t->last_zxid);
	atomic_init(&r->consumed, r->cursor.next);
	for (unsigned i = 0; i < TREE_PINS_MAX; i++)
		atomic_init(&r->pins[i], TREE_PIN_FREE);
	t->n_readers++;
	return r;
}

void tree_stats_get(const struct tree *t, struct tree_stats *out)
{
	const struct tree_counters *c = &t->count;

	/* relaxed: numbers to look at, not one state */
	out->nodes = atomic_load_explicit(&c->nodes, memory_order_relaxed);
	out->ephemerals = atomic_load_explicit(&c->ephemerals, memory_order_relaxed);
	out->data_bytes = atomic_load_explicit(&c->data_bytes, memory_order_relaxed);
	out->versions = atomic_load_explicit(&c->versions, memory_order_relaxed);
	out->garbage = atomic_load_explicit(&c->garbage, memory_order_relaxed);
	out->memory_bytes = atomic_load_explicit(&c->memory_bytes, memory_order_relaxed);
	out->pins_refused = 0;
	for (unsigned i = 0; i < TREE_READERS_MAX; i++)
		out->pins_refused +=
			atomic_load_explicit(&t->readers[i].pins_refused, memory_order_relaxed);
}
