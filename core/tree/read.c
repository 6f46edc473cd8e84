/* SPDX-License-Identifier: Apache-2.0 */
/* The readers' side: lookups, listings, pins, the change log. */
#include "core/tree/priv.h"

enum { CONSUMED_STEP = 64, CHILD_AHEAD = 6 };

uint64_t tree_visible(const struct tree_reader *r)
{
	/* own store */
	return atomic_load_explicit(&r->visible, memory_order_relaxed);
}

uint64_t tree_hash(const struct tree *t, struct zk_span path)
{
	path = tree_norm_path(path);
	return zk_hash13(&t->key, path.p, path.n);
}

void tree_prefetch(const struct tree *t, uint64_t hash)
{
	__builtin_prefetch(tree_index_bucket(&t->index, hash));
}

void tree_prefetch_node(const struct tree *t, uint64_t hash)
{
	const struct tree_node *n = tree_index_guess(&t->index, hash);

	if (n) {
		__builtin_prefetch(&n->newest);
		__builtin_prefetch(&n->path[16]);
	}
}

void tree_prefetch_version(const struct tree *t, uint64_t hash)
{
	const struct tree_node *n = tree_index_guess(&t->index, hash);

	if (!n)
		return;
	/* partner: release in version_link() */
	const char *v = (const char *)atomic_load_explicit(&n->newest, memory_order_acquire);

	__builtin_prefetch(v);
	__builtin_prefetch(v + ZK_CACHE_LINE);
	__builtin_prefetch(v + 2 * ZK_CACHE_LINE);
	__builtin_prefetch(v + 3 * ZK_CACHE_LINE);
}

bool tree_find_hashed(const struct tree *t, struct zk_span path, uint64_t hash, uint64_t zxid,
		      struct tree_ref *out)
{
	const struct tree_node *n = tree_index_find(&t->index, hash, tree_norm_path(path));

	return n && tree_ref_at(n, zxid, out);
}

bool tree_find(const struct tree *t, struct zk_span path, uint64_t zxid, struct tree_ref *out)
{
	return tree_find_hashed(t, path, tree_hash(t, path), zxid, out);
}

bool tree_ref_at(const struct tree_node *n, uint64_t zxid, struct tree_ref *out)
{
	const struct tree_version *v = tree_version_at(n, zxid);

	if (!v)
		return false;
	/* the caller will want the stat's second half and the data behind it */
	__builtin_prefetch((const char *)v + ZK_CACHE_LINE);
	__builtin_prefetch((const char *)v + 2 * ZK_CACHE_LINE);
	*out = (struct tree_ref){n, v};
	return true;
}

bool tree_parent(struct tree_ref ref, uint64_t zxid, struct tree_ref *out)
{
	return ref.node->parent && tree_ref_at(ref.node->parent, zxid, out);
}

struct zk_span tree_path(const struct tree_node *n)
{
	return zk_span_of(n->path, n->path_len);
}

struct zk_span tree_name(const struct tree_node *n)
{
	return zk_span_of(n->path + n->name_off, n->path_len - n->name_off);
}

struct zk_span tree_data(struct tree_ref ref)
{
	const struct tree_version *v = ref.version;

	switch (v->data_k) {
	case TREE_DATA_INLINE:
		return zk_span_of(v->bytes, v->data_len);
	case TREE_DATA_BLOB:
		return zk_span_of(v->blob->bytes, v->data_len);
	default:
		return (struct zk_span){NULL, 0};
	}
}

const struct acl_list *tree_acl(struct tree_ref ref)
{
	return ref.version->acl;
}

/* StatPersisted to Stat: DataNode.copyStat() */
void tree_stat(struct tree_ref ref, struct zk_stat *out)
{
	const struct tree_version *v = ref.version;

	*out = (struct zk_stat){
		.czxid = (int64_t)v->czxid,
		.mzxid = (int64_t)v->mzxid,
		.ctime = v->ctime,
		.mtime = v->mtime,
		.version = v->version,
		.cversion = (int32_t)((uint32_t)v->cversion * 2 - v->children),
		.aversion = v->aversion,
		.ephemeral_owner = tree_owner_is_session(v->owner) ? (int64_t)v->owner : 0,
		.data_length = (int32_t)v->data_len,
		.num_children = (int32_t)v->children,
		.pzxid = (int64_t)v->pzxid,
	};
}

void tree_raw(struct tree_ref ref, struct tree_raw *out)
{
	const struct tree_version *v = ref.version;

	*out = (struct tree_raw){
		.czxid = v->czxid,
		.mzxid = v->mzxid,
		.pzxid = v->pzxid,
		.ctime = v->ctime,
		.mtime = v->mtime,
		.version = v->version,
		.cversion = v->cversion,
		.aversion = v->aversion,
		.owner = v->owner,
		.children = v->children,
		.data_len = v->data_len,
		.content = v->content,
		.sum = v->sum,
	};
}

static void child_prefetch(const _Atomic uint64_t *slot)
{
	/* only a hint: the node may be gone */
	uint64_t s = atomic_load_explicit(slot, memory_order_relaxed);

	if (s && !(s & 1))
		__builtin_prefetch((const void *)(uintptr_t)s);
}

bool tree_child_next(struct tree_ref parent, uint64_t zxid, uint64_t *cursor, unsigned budget,
		     const struct tree_node **out_node)
{
	/* partner: release in tree_create() */
	const struct tree_kids *k = atomic_load_explicit(&parent.node->kids, memory_order_acquire);
	const _Atomic uint64_t *slot;
	uint64_t n, i;
	bool end;

	*out_node = NULL;
	while (k && (slot = tree_kids_at(k, *cursor, &n)) != NULL) {
		for (i = 0; i < n; i++) {
			if (budget == 0) {
				*cursor += i;
				return true;
			}
			budget--;
			if (i + CHILD_AHEAD < n)
				child_prefetch(&slot[i + CHILD_AHEAD]);

			/* partner: release in tree_kids_add() */
			const struct tree_node *c = tree_kids_node(
				atomic_load_explicit(&slot[i], memory_order_acquire), &end);

			if (end)
				return false;
			if (c && tree_version_at(c, zxid)) {
				*cursor += i + 1;
				*out_node = c;
				return true;
			}
		}
		*cursor += n;
	}
	return false;
}

int tree_pin_take(struct tree_reader *r, uint64_t zxid)
{
	zk_assert(zxid >= tree_visible(r) && zxid <= r->end_zxid);
	for (int i = 0; i < TREE_PINS_MAX; i++) {
		if (atomic_load_explicit(&r->pins[i], memory_order_relaxed) != TREE_PIN_FREE)
			continue;
		/* `visible` holds the horizon down until tree_reader_advance(), whose release the
		 * apply core acquires before it reads this. Partner: tree_horizon() */
		atomic_store_explicit(&r->pins[i], zxid, memory_order_release);
		return i;
	}
	tree_count(&r->pins_refused, 1);
	return -1;
}

uint64_t tree_pin_zxid(const struct tree_reader *r, int pin)
{
	zk_assert(pin >= 0 && pin < TREE_PINS_MAX);
	uint64_t zxid = atomic_load_explicit(&r->pins[pin], memory_order_relaxed);

	zk_assert(zxid != TREE_PIN_FREE);
	return zxid;
}

void tree_pin_drop(struct tree_reader *r, int pin)
{
	zk_assert(tree_pin_zxid(r, pin) != TREE_PIN_FREE);
	/* what was read under the pin comes before. Partner: acquire in tree_horizon() */
	atomic_store_explicit(&r->pins[pin], TREE_PIN_FREE, memory_order_release);
}

bool tree_change_next(struct tree_reader *r, struct tree_change *out)
{
	uint64_t next = r->cursor.next;

	if (next - atomic_load_explicit(&r->consumed, memory_order_relaxed) >= CONSUMED_STEP)
		/* the records before were copied out. Partner: acquire in tree_log_lowest() */
		atomic_store_explicit(&r->consumed, next, memory_order_release);

	const struct tree_log_rec *rec = tree_log_next(&r->tree->log, &r->cursor);

	if (!rec)
		return false;
	*out = (struct tree_change){
		.zxid = rec->zxid,
		.kind = (enum tree_change_kind)(rec->node & 3),
		.node = (const struct tree_node *)(rec->node & ~(uintptr_t)3),
		.acl = rec->acl,
		.parent_acl = rec->parent_acl,
	};
	if (out->kind == TREE_CHANGE_END)
		r->end_zxid = out->zxid;
	return true;
}

void tree_reader_advance(struct tree_reader *r, uint64_t zxid)
{
	zk_assert(zxid <= r->end_zxid && zxid > tree_visible(r));
	/* reads at older zxids come before. Partners: acquire in tree_horizon(), tree_log_lowest()
	 */
	atomic_store_explicit(&r->visible, zxid, memory_order_release);
	atomic_store_explicit(&r->consumed, r->cursor.next, memory_order_release);
}
