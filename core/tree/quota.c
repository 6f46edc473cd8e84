/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tree/quota.h"

#include "core/tree/priv.h"
#include "core/tree/quota_text.h"

enum { BUCKETS_FIRST = 64 };

#define must(p) zk_assert(p)

static const char base_path[] = "/zookeeper/quota";
static const char limits_name[] = "zookeeper_limits", stats_name[] = "zookeeper_stats";

enum { BASE_BYTES = sizeof(base_path) - 1 };

/* One component of a path that has, or leads to one that has, a node of quotas. */
struct tree_quota {
	struct tree_quota *next, *up;
	uint64_t hash;
	struct tree_node *limits, *stats; /* alive; NULL: there is none */
	int64_t promised_count, promised_bytes;
	/* during a rebuild: what no longer path takes, and with what those take */
	int64_t own_count, own_bytes, all_count, all_bytes;
	uint32_t promises, below;
	uint32_t name_len;
	uint8_t name[];
};

/* ---- the trie --- */

static void root_init(struct tree_quotas *s)
{
	s->root = tree_alloc_get(s->alloc, sizeof(*s->root));
	if (s->root)
		*s->root = (struct tree_quota){0};
}

enum zk_err tree_quotas_init(struct tree_quotas *s, struct zk_mem *mem, struct tree_alloc *alloc)
{
	size_t bytes = BUCKETS_FIRST * sizeof(struct tree_quota *);

	*s = (struct tree_quotas){.mem = mem, .alloc = alloc, .n_buckets = BUCKETS_FIRST};
	s->buckets = zk_mem_alloc(mem, bytes);
	root_init(s);
	if (!s->buckets || !s->root) {
		tree_quotas_fini(s);
		return ZK_ENOMEM;
	}
	memset(s->buckets, 0, bytes);
	return ZK_EOK;
}

static size_t quota_bytes(const struct tree_quota *q)
{
	return sizeof(*q) + q->name_len;
}

static void drop_trie(struct tree_quotas *s)
{
	for (uint64_t i = 0; i < s->n_buckets; i++) {
		for (struct tree_quota *q; (q = s->buckets[i]) != NULL;) {
			zk_assert(q->promises == 0);
			s->buckets[i] = q->next;
			tree_alloc_put(s->alloc, q, quota_bytes(q));
		}
	}
	s->n = s->marked = 0;
}

void tree_quotas_fini(struct tree_quotas *s)
{
	if (s->buckets && s->root)
		drop_trie(s);
	zk_mem_free(s->mem, s->buckets, s->n_buckets * sizeof(struct tree_quota *));
	tree_alloc_put(s->alloc, s->root, sizeof(*s->root));
	s->buckets = NULL;
	s->root = NULL;
}

/* The component behind *at; false at the end. A path is valid, or nothing is found for it. */
static bool next_name(struct zk_span path, size_t *at, struct zk_span *name)
{
	size_t from = *at + 1, to;

	if (from >= path.n)
		return false;
	const uint8_t *end = memchr(path.p + from, '/', path.n - from);

	to = end ? (size_t)(end - path.p) : path.n;
	*name = zk_span_of(path.p + from, to - from);
	*at = to;
	return true;
}

static uint64_t hash_of(const struct tree *t, const struct tree_quota *up, struct zk_span name)
{
	return zk_mix64(up->hash) ^ zk_hash13(&t->key, name.p, name.n);
}

static struct tree_quota *child(const struct tree *t, const struct tree_quota *up,
				struct zk_span name, uint64_t hash)
{
	const struct tree_quotas *s = &t->quotas;
	struct tree_quota *q = s->buckets[hash & (s->n_buckets - 1)];

	while (q && !(q->hash == hash && q->up == up &&
		      zk_span_eq(zk_span_of(q->name, q->name_len), name)))
		q = q->next;
	return q;
}

/* Longer chains do no harm, so no memory is no error. */
static void grow(struct tree_quotas *s)
{
	uint64_t n = s->n_buckets * 2;
	struct tree_quota **to = zk_mem_alloc(s->mem, n * sizeof(struct tree_quota *)), *q, *next;

	if (!to)
		return;
	memset(to, 0, n * sizeof(struct tree_quota *));
	for (uint64_t i = 0; i < s->n_buckets; i++) {
		for (q = s->buckets[i]; q; q = next) {
			struct tree_quota **p = &to[q->hash & (n - 1)];

			next = q->next;
			q->next = *p;
			*p = q;
		}
	}
	zk_mem_free(s->mem, s->buckets, s->n_buckets * sizeof(struct tree_quota *));
	s->buckets = to;
	s->n_buckets = n;
}

/* @return NULL: no memory. */
static struct tree_quota *child_add(struct tree *t, struct tree_quota *up, struct zk_span name,
				    uint64_t hash)
{
	struct tree_quotas *s = &t->quotas;
	struct tree_quota *q = tree_alloc_get(s->alloc, sizeof(*q) + name.n), **p;

	if (!q)
		return NULL;
	*q = (struct tree_quota){.up = up, .hash = hash, .name_len = (uint32_t)name.n};
	memcpy(q->name, name.p, name.n);
	if (s->n >= s->n_buckets)
		grow(s);
	p = &s->buckets[hash & (s->n_buckets - 1)];
	q->next = *p;
	*p = q;
	s->n++;
	up->below++;
	return q;
}

/* The place of @p path ("" or "/a/b"), made if it is not there. @return NULL: no memory, part of
 * the way is made. */
static struct tree_quota *place(struct tree *t, struct zk_span path)
{
	struct tree_quota *q = t->quotas.root, *down;
	struct zk_span name;
	size_t at = 0;

	while (q && next_name(path, &at, &name)) {
		uint64_t hash = hash_of(t, q, name);

		down = child(t, q, name, hash);
		q = down ? down : child_add(t, q, name, hash);
	}
	return q;
}

/* Let go of @p q, and of what only led to it, if nothing needs them. */
static void prune(struct tree *t, struct tree_quota *q)
{
	struct tree_quotas *s = &t->quotas;

	while (q->up && !q->limits && !q->stats && !q->below && !q->promises) {
		struct tree_quota **p = &s->buckets[q->hash & (s->n_buckets - 1)], *up = q->up;

		while (*p != q)
			p = &(*p)->next;
		*p = q->next;
		tree_alloc_put(s->alloc, q, quota_bytes(q));
		s->n--;
		up->below--;
		q = up;
	}
}

struct tree_quota *tree_quota_find(const struct tree *t, struct zk_span path)
{
	struct tree_quota *q = t->quotas.root, *longest = NULL;
	struct zk_span name;
	size_t at = 0;

	if (zk_likely(t->quotas.marked == 0))
		return NULL;
	while (next_name(path, &at, &name)) {
		q = child(t, q, name, hash_of(t, q, name));
		if (!q)
			break;
		if (q->limits)
			longest = q;
	}
	return longest;
}

/* ---- promises, texts --- */

void tree_quota_promise(struct tree_quota *q, int64_t count, int64_t bytes)
{
	q->promises++;
	q->promised_count += count;
	q->promised_bytes += bytes;
}

void tree_quota_settle(struct tree *t, struct tree_quota *q, int64_t count, int64_t bytes)
{
	zk_assert(q->promises > 0);
	q->promises--;
	q->promised_count -= count;
	q->promised_bytes -= bytes;
	prune(t, q);
}

void tree_quota_promised(const struct tree_quota *q, int64_t *count, int64_t *bytes)
{
	*count = q->promised_count;
	*bytes = q->promised_bytes;
}

static struct zk_span newest_data(const struct tree_node *n)
{
	struct tree_ref ref;
	bool alive = tree_ref_at(n, UINT64_MAX, &ref);

	zk_assert(alive);
	return tree_data(ref);
}

bool tree_quota_limits(const struct tree_quota *q, struct zk_span *out)
{
	if (q->limits)
		*out = newest_data(q->limits);
	return q->limits;
}

bool tree_quota_stats(const struct tree_quota *q, struct zk_span *out)
{
	if (q->stats)
		*out = newest_data(q->stats);
	return q->stats;
}

/* ---- charging --- */

static void charge(struct tree *t, struct zk_span path, int64_t count, int64_t bytes)
{
	struct tree_quota *q = tree_quota_find(t, path);
	char text[QUOTA_TEXT_MAX];
	struct zk_span old, now;

	if (zk_likely(!q) || !tree_quota_stats(q, &old))
		return;
	now = zk_span_of(text, quota_text_charge(old, count, bytes, text));
	if (!zk_span_eq(old, now))
		tree_put_quiet(t, q->stats, now);
}

/* Is it a node of quotas? Of which path, "" for the root? */
static bool is_quota_node(const struct tree_node *n, struct zk_span *path, bool *limits)
{
	struct zk_span name, all = zk_span_of(n->path, n->path_len);

	if (zk_likely(all.n <= BASE_BYTES || all.p[BASE_BYTES] != '/' ||
		      memcmp(all.p, base_path, BASE_BYTES) != 0))
		return false;
	name = tree_name(n);
	*limits = zk_span_eq(name, zk_span_str(limits_name));
	*path = zk_span_of(all.p + BASE_BYTES, all.n - BASE_BYTES - 1 - name.n);
	return *limits || zk_span_eq(name, zk_span_str(stats_name));
}

static struct tree_node *next_below(const struct tree_node *top, struct tree_node *n)
{
	struct tree_node *c = tree_child_from(n, 0);

	while (!c && n != top) {
		c = tree_child_from(n->parent, (uint64_t)n->slot + 1);
		n = n->parent;
	}
	return c;
}

static uint32_t newest_len(const struct tree_node *n)
{
	/* own store */
	return atomic_load_explicit(&n->newest, memory_order_relaxed)->data_len;
}

/* DataTree.updateQuotaForPath(). Bound: the subtree. */
static void count_subtree(struct tree *t, struct zk_span path, struct tree_node *stats)
{
	int64_t count = 0, bytes = 0;
	char text[QUOTA_TEXT_MAX];
	struct tree_ref ref;

	if (tree_find_newest(t, path, &ref)) {
		struct tree_node *top = (struct tree_node *)(uintptr_t)ref.node, *n = top;

		for (; n; n = next_below(top, n)) {
			count++;
			bytes += newest_len(n);
		}
	}
	tree_put_quiet(t, stats, zk_span_of(text, quota_text_usage(count, bytes, text)));
}

static void mark(struct tree *t, struct tree_quota *q, bool limits, struct tree_node *n)
{
	if (!limits) {
		q->stats = n;
		return;
	}
	t->quotas.marked += q->up && !q->limits;
	q->limits = n;
}

void tree_quota_created(struct tree *t, struct tree_node *n)
{
	struct zk_span path;
	bool limits;

	if (is_quota_node(n, &path, &limits)) {
		struct tree_quota *q = place(t, path);

		must(q);
		mark(t, q, limits, n);
		if (!limits)
			count_subtree(t, path, n);
	}
	charge(t, zk_span_of(n->path, n->path_len), 1, newest_len(n));
}

void tree_quota_deleted(struct tree *t, struct tree_node *n, uint32_t data_len)
{
	struct zk_span path;
	bool limits;

	if (is_quota_node(n, &path, &limits)) {
		struct tree_quota *q = place(t, path); /* it is there */

		zk_assert((limits ? q->limits : q->stats) == n);
		if (limits) {
			t->quotas.marked -= q->up != NULL;
			q->limits = NULL;
		} else {
			q->stats = NULL;
		}
		prune(t, q);
	}
	charge(t, zk_span_of(n->path, n->path_len), -1, -(int64_t)data_len);
}

void tree_quota_changed(struct tree *t, const struct tree_node *n, uint32_t old_len)
{
	charge(t, zk_span_of(n->path, n->path_len), 0, (int64_t)newest_len(n) - old_len);
}

/* ---- a loaded tree --- */

static struct zk_span path_of(const struct tree_quota *q)
{
	return zk_span_of(q->limits->path + BASE_BYTES,
			  q->limits->path_len - BASE_BYTES - sizeof(limits_name));
}

static struct tree_quota *longest_above(const struct tree_quota *q)
{
	struct tree_quota *up = q->up;

	while (up && !(up->up && up->limits))
		up = up->up;
	return up;
}

/* What is below an outermost quota, each node on the longest that it has. */
static enum zk_err count_below(struct tree *t, struct tree_quota *q)
{
	struct tree_ref ref;

	if (longest_above(q) || !tree_find_newest(t, path_of(q), &ref))
		return ZK_EOK;
	struct tree_node *top = (struct tree_node *)(uintptr_t)ref.node, *n = top;

	for (; n; n = next_below(top, n)) {
		struct tree_quota *own = tree_quota_find(t, zk_span_of(n->path, n->path_len));

		own->own_count++;
		own->own_bytes += newest_len(n);
	}
	return ZK_EOK;
}

static enum zk_err add_up(struct tree *t, struct tree_quota *q)
{
	(void)t;
	for (struct tree_quota *up = q; up; up = longest_above(up)) {
		up->all_count += q->own_count;
		up->all_bytes += q->own_bytes;
	}
	return ZK_EOK;
}

static enum zk_err put_usage(struct tree *t, struct tree_quota *q)
{
	char text[QUOTA_TEXT_MAX];

	if (!tree_alloc_reserved(&t->alloc)) /* else there is a text's worth */
		return ZK_ENOMEM;
	if (q->stats)
		tree_put_quiet(
			t, q->stats,
			zk_span_of(text, quota_text_usage(q->all_count, q->all_bytes, text)));
	q->own_count = q->own_bytes = q->all_count = q->all_bytes = 0;
	return ZK_EOK;
}

static enum zk_err for_each(struct tree *t, enum zk_err (*f)(struct tree *t, struct tree_quota *q))
{
	enum zk_err err = ZK_EOK;

	for (uint64_t i = 0; err == ZK_EOK && i < t->quotas.n_buckets; i++)
		for (struct tree_quota *q = t->quotas.buckets[i]; err == ZK_EOK && q; q = q->next)
			if (q->limits)
				err = f(t, q);
	return err;
}

static enum zk_err find_all(struct tree *t)
{
	struct tree_ref base;
	struct tree_node *top, *n;
	struct zk_span path;
	bool limits;

	if (!tree_find_newest(t, zk_span_str(base_path), &base))
		return ZK_EOK;
	n = top = (struct tree_node *)(uintptr_t)base.node;
	for (; n; n = next_below(top, n)) {
		if (!is_quota_node(n, &path, &limits))
			continue;
		struct tree_quota *q = tree_alloc_reserved(&t->alloc) ? place(t, path) : NULL;

		if (!q)
			return ZK_ENOMEM;
		mark(t, q, limits, n);
	}
	return ZK_EOK;
}

enum zk_err tree_quota_rebuild(struct tree *t)
{
	enum zk_err err;

	zk_assert(!t->open && t->n_readers == 0);
	drop_trie(&t->quotas);
	*t->quotas.root = (struct tree_quota){0};
	err = find_all(t);
	if (err == ZK_EOK)
		err = for_each(t, count_below);
	if (err == ZK_EOK)
		err = for_each(t, add_up);
	if (err == ZK_EOK)
		err = for_each(t, put_usage);
	return err;
}
