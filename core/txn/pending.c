/* SPDX-License-Identifier: Apache-2.0 */
#include "core/txn/pending.h"

#include "core/base/assert.h"
#include "core/tree/digest.h"

struct pend_undo {
	struct pend_change *change;
	struct zk_list *prev; /* its predecessor in the order before the touch */
	struct pend_change saved;
	bool fresh; /* it was made by the touch */
};

static struct pend_change *change_at(const struct pending *p, uint32_t index1)
{
	return &p->slab[index1 - 1];
}

static uint32_t index_of(const struct pending *p, const struct pend_change *c)
{
	return (uint32_t)(c - p->slab) + 1;
}

enum zk_err pending_init(struct pending *p, struct tree *tree, struct zk_mem *mem,
			 uint32_t changes_max)
{
	uint32_t buckets = 64;

	zk_assert(changes_max > 0 && changes_max < UINT32_C(1) << 30);
	while (buckets < changes_max)
		buckets *= 2;
	*p = (struct pending){.tree = tree,
			      .mem = mem,
			      .slab_max = changes_max,
			      .bucket_mask = buckets - 1,
			      .applied = tree_last_zxid(tree),
			      .digest = tree_digest(tree)};
	zk_list_init(&p->order);
	p->slab = zk_mem_alloc(mem, changes_max * sizeof(*p->slab));
	p->bucket = zk_mem_alloc(mem, buckets * sizeof(*p->bucket));
	if (!p->slab || !p->bucket) {
		pending_fini(p);
		return ZK_ENOMEM;
	}
	memset(p->bucket, 0, buckets * sizeof(*p->bucket));
	return ZK_EOK;
}

void pending_fini(struct pending *p)
{
	zk_mem_free(p->mem, p->slab, p->slab_max * sizeof(*p->slab));
	zk_mem_free(p->mem, p->bucket, (size_t)(p->bucket_mask + 1) * sizeof(*p->bucket));
	zk_mem_free(p->mem, p->undo, p->undo_max * sizeof(*p->undo));
	p->slab = NULL;
	p->bucket = NULL;
	p->undo = NULL;
}

static void view_tree(struct pend_view *v)
{
	struct tree_raw raw;

	tree_raw(v->ref, &raw);
	v->version = raw.version;
	v->cversion = raw.cversion;
	v->aversion = raw.aversion;
	v->children = raw.children;
	v->data_len = raw.data_len;
	v->owner = raw.owner;
	v->acl = tree_acl(v->ref);
}

static void view_change(struct pending *p, struct pend_view *v)
{
	const struct pend_change *c = v->change;

	v->version = c->version;
	v->cversion = c->cversion;
	v->aversion = c->aversion;
	v->children = c->children;
	v->data_len = c->data_len;
	v->owner = c->owner;
	if (c->acl_zxid > p->applied) {
		v->acl = NULL;
		v->acl_jute = c->acl;
		return;
	}
	bool found = tree_find_newest(p->tree, v->path, &v->ref);

	zk_assert(found); /* no pending transaction made it, so an applied one did */
	v->acl = tree_acl(v->ref);
}

bool pending_find(struct pending *p, struct zk_span path, struct pend_view *v)
{
	uint32_t i;

	if (path.n == 0)
		path = zk_span_str("/");
	v->path = path;
	v->hash = tree_hash(p->tree, path);
	v->change = NULL;
	for (i = p->bucket[v->hash & p->bucket_mask]; i; i = change_at(p, i)->next) {
		struct pend_change *c = change_at(p, i);

		if (c->hash == v->hash && zk_span_eq(c->path, path)) {
			v->change = c;
			v->exists = c->exists;
			if (c->exists)
				view_change(p, v);
			return v->exists;
		}
	}
	v->exists = tree_find_newest(p->tree, path, &v->ref);
	if (v->exists)
		view_tree(v);
	return v->exists;
}

static void stat_tree(struct pend_change *c, struct tree_ref ref)
{
	struct tree_raw raw;

	tree_raw(ref, &raw);
	c->czxid = raw.czxid;
	c->mzxid = raw.mzxid;
	c->pzxid = raw.pzxid;
	c->ctime = raw.ctime;
	c->mtime = raw.mtime;
	c->content = raw.content;
	c->sum = raw.sum;
}

static struct pend_change *change_new(struct pending *p, const struct pend_view *v)
{
	uint32_t i = p->free_head;

	zk_assert(p->n < p->slab_max);
	if (i)
		p->free_head = change_at(p, i)->next;
	else
		i = ++p->used;
	p->n++;

	struct pend_change *c = change_at(p, i);
	uint32_t *head = &p->bucket[v->hash & p->bucket_mask];

	*c = (struct pend_change){.hash = v->hash, .next = *head, .exists = v->exists};
	if (v->exists) {
		c->version = v->version;
		c->cversion = v->cversion;
		c->aversion = v->aversion;
		c->children = v->children;
		c->data_len = v->data_len;
		c->owner = v->owner;
		/* there was no record, so the view is the tree's */
		if (tree_digest_kept(p->tree))
			stat_tree(c, v->ref);
	}
	*head = i;
	zk_list_init(&c->order);
	return c;
}

static void change_free(struct pending *p, struct pend_change *c)
{
	uint32_t i = index_of(p, c);
	uint32_t *at = &p->bucket[c->hash & p->bucket_mask];

	while (*at != i) {
		zk_assert(*at);
		at = &change_at(p, *at)->next;
	}
	*at = c->next;
	zk_list_del(&c->order);
	c->exists = false; /* for those who go through the slab */
	c->next = p->free_head;
	p->free_head = i;
	p->n--;
}

struct pend_change *pending_touch(struct pending *p, struct pend_view *v, struct zk_span path,
				  uint64_t zxid)
{
	struct pend_change *c = v->change;
	bool fresh = !c;

	if (c && c->zxid == zxid)
		return c;
	if (!c)
		c = v->change = change_new(p, v);
	if (p->undoing) {
		zk_assert(p->undo_n < p->undo_max);
		struct pend_undo *u = &p->undo[p->undo_n++];

		u->change = c;
		u->fresh = fresh;
		u->prev = c->order.prev;
		u->saved = *c;
	}
	zk_list_del(&c->order);
	zk_list_add_tail(&p->order, &c->order);
	c->zxid = zxid;
	c->path = path.n ? path : zk_span_str("/");
	return c;
}

void pending_sum(struct pending *p, struct pend_change *c)
{
	uint32_t sum = 0;

	if (!tree_digest_kept(p->tree) || !tree_digest_counts(c->path))
		return;
	if (c->exists)
		sum = tree_digest_node(c->content, &(struct tree_raw){.czxid = c->czxid,
								      .mzxid = c->mzxid,
								      .pzxid = c->pzxid,
								      .ctime = c->ctime,
								      .mtime = c->mtime,
								      .version = c->version,
								      .cversion = c->cversion,
								      .aversion = c->aversion,
								      .owner = c->owner});
	p->digest += (uint64_t)sum - c->sum;
	c->sum = sum;
}

void pending_sum_data(struct pending *p, struct pend_change *c, struct zk_span data)
{
	if (tree_digest_kept(p->tree) && tree_digest_counts(c->path))
		c->content = tree_digest_content(c->path, data);
	pending_sum(p, c);
}

bool pending_undo_begin(struct pending *p, uint32_t touches)
{
	zk_assert(!p->undoing);
	if (touches > p->undo_max) {
		uint32_t max = touches < 256 ? 256 : touches;
		struct pend_undo *undo = zk_mem_alloc(p->mem, max * sizeof(*undo));

		if (!undo)
			return false;
		zk_mem_free(p->mem, p->undo, p->undo_max * sizeof(*undo));
		p->undo = undo;
		p->undo_max = max;
	}
	p->undoing = true;
	p->undo_n = 0;
	p->undo_digest = p->digest;
	return true;
}

/* Is what is before @p at not of a later transaction? pending_applied() lives on that. */
static bool in_order(const struct pending *p, const struct zk_list *at)
{
	if (at == &p->order || at->prev == &p->order)
		return true;
	return zk_container_of(at->prev, struct pend_change, order)->zxid <=
	       zk_container_of(at, struct pend_change, order)->zxid;
}

void pending_undo_rollback(struct pending *p)
{
	zk_assert(p->undoing);
	p->digest = p->undo_digest;
	/* In reverse, so that each predecessor is where it was. */
	while (p->undo_n) {
		struct pend_undo *u = &p->undo[--p->undo_n];
		struct pend_change *c = u->change;
		uint32_t next = c->next;

		if (u->fresh) {
			change_free(p, c);
			continue;
		}
		zk_list_del(&c->order);
		*c = u->saved;
		c->next = next; /* chain neighbours may have come and gone */
		zk_list_init(&c->order);
		zk_list_add_head(u->prev, &c->order);
		zk_assert(in_order(p, &c->order) && in_order(p, c->order.next));
	}
}

void pending_undo_end(struct pending *p)
{
	p->undoing = false;
	p->undo_n = 0;
}

void pending_applied(struct pending *p, uint64_t zxid)
{
	zk_assert(zxid >= p->applied);
	p->applied = zxid;
	while (!zk_list_empty(&p->order)) {
		struct pend_change *c = zk_container_of(p->order.next, struct pend_change, order);

		if (c->zxid > zxid)
			break;
		change_free(p, c);
	}
	/* As PrepRequestProcessor does: a mismatch does not go on for ever. */
	if (p->n == 0)
		p->digest = tree_digest(p->tree);
}
