/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/tool/model.h"

#include "core/base/assert.h"
#include "core/base/hash.h"
#include "core/jute/proto.h"
#include "ctl/tool/out.h"

#include <stdlib.h>

enum { SLOTS_FIRST = 1 << 12 };

static uint64_t hash_path(struct zk_span path)
{
	static const struct zk_hash_key key = {UINT64_C(0x7a6f6b6f7263746c), 0};

	return zk_hash13(&key, path.p, path.n);
}

static unsigned bucket(uint64_t id)
{
	return (unsigned)(zk_mix64(id) % MODEL_BUCKETS);
}

struct zk_span model_copy(struct zk_span s)
{
	uint8_t *p;

	if (!s.p)
		return s;
	p = out_alloc(s.n);
	memcpy(p, s.p, s.n);
	return zk_span_of(p, s.n);
}

static void span_free(struct zk_span s)
{
	free((void *)(uintptr_t)s.p);
}

struct model *model_new(void)
{
	struct model *m = out_alloc0(sizeof(*m));

	m->slots = SLOTS_FIRST;
	m->index = out_alloc0(m->slots * sizeof(struct model_node *));
	return m;
}

void model_free(struct model *m)
{
	for (uint64_t i = 0; i < m->slots; i++) {
		for (struct model_node *n = m->index[i], *next; n; n = next) {
			next = n->hash_next;
			span_free(n->path);
			span_free(n->data);
			free(n);
		}
	}
	for (unsigned i = 0; i < MODEL_BUCKETS; i++) {
		for (struct model_session *s = m->session[i], *next; s; s = next) {
			next = s->next;
			free(s);
		}
		for (struct model_acl *a = m->acl[i], *next; a; a = next) {
			next = a->next;
			span_free(a->jute);
			free(a);
		}
	}
	free(m->index);
	free(m);
}

/* ---- nodes -------------------------------------------------------------------------------------
 */

struct model_node *model_find(const struct model *m, struct zk_span path)
{
	uint64_t hash;

	if (path.n == 1 && path.p[0] == '/')
		path.n = 0;
	hash = hash_path(path);
	for (struct model_node *n = m->index[hash & (m->slots - 1)]; n; n = n->hash_next) {
		if (n->hash == hash && zk_span_eq(n->path, path))
			return n;
	}
	return NULL;
}

static void grow(struct model *m)
{
	uint64_t slots = m->slots * 2;
	struct model_node **index = out_alloc0(slots * sizeof(struct model_node *));

	for (uint64_t i = 0; i < m->slots; i++) {
		for (struct model_node *n = m->index[i], *next; n; n = next) {
			next = n->hash_next;
			n->hash_next = index[n->hash & (slots - 1)];
			index[n->hash & (slots - 1)] = n;
		}
	}
	free(m->index);
	m->index = index;
	m->slots = slots;
}

uint64_t model_owner(uint64_t owner)
{
	return owner == ZK_OWNER_CONTAINER || owner >= ZK_OWNER_TTL ? 0 : owner;
}

void model_unsum(struct model *m, struct model_node *n)
{
	m->digest -= n->digest;
}

void model_sum(struct model *m, struct model_node *n)
{
	n->digest = store_node_digest(n->path, n->data, &n->stat);
	m->digest += n->digest;
}

struct model_node *model_add(struct model *m, struct model_node *parent, struct zk_span path,
			     struct zk_span data, const struct store_stat *stat)
{
	struct model_node *n = out_alloc0(sizeof(*n));
	struct model_node **slot;

	if (m->nodes >= m->slots)
		grow(m);
	n->path = model_copy(path);
	n->data = model_copy(data);
	n->stat = *stat;
	n->hash = hash_path(path);
	slot = &m->index[n->hash & (m->slots - 1)];
	n->hash_next = *slot;
	*slot = n;
	n->parent = parent;
	if (parent) {
		n->next = parent->child;
		n->prev = &parent->child;
		if (n->next)
			n->next->prev = &n->next;
		parent->child = n;
		parent->children++;
	} else {
		m->root = n;
	}
	if (model_owner(stat->owner)) {
		struct model_node **head = &m->owned[bucket(stat->owner)];

		n->owned_next = *head;
		n->owned_prev = head;
		if (n->owned_next)
			n->owned_next->owned_prev = &n->owned_next;
		*head = n;
	}
	m->nodes++;
	model_sum(m, n);
	return n;
}

void model_remove(struct model *m, struct model_node *n)
{
	struct model_node **at = &m->index[n->hash & (m->slots - 1)];

	zk_assert(!n->child && n->parent);
	while (*at != n)
		at = &(*at)->hash_next;
	*at = n->hash_next;
	*n->prev = n->next;
	if (n->next)
		n->next->prev = n->prev;
	if (n->owned_prev) {
		*n->owned_prev = n->owned_next;
		if (n->owned_next)
			n->owned_next->owned_prev = n->owned_prev;
	}
	n->parent->children--;
	m->nodes--;
	model_unsum(m, n);
	span_free(n->path);
	span_free(n->data);
	free(n);
}

struct model_node *model_next(const struct model_node *n)
{
	if (n->child)
		return n->child;
	while (n && !n->next)
		n = n->parent;
	return n ? n->next : NULL;
}

struct zk_span model_parent_path(struct zk_span path)
{
	size_t n = path.n;

	while (n > 0 && path.p[n - 1] != '/')
		n--;
	return zk_span_of(path.p, n > 0 ? n - 1 : 0);
}

/* ---- sessions ----------------------------------------------------------------------------------
 */

struct model_session *model_session_find(const struct model *m, uint64_t id)
{
	struct model_session *s = m->session[bucket(id)];

	while (s && s->id != id)
		s = s->next;
	return s;
}

void model_session_put(struct model *m, uint64_t id, int32_t timeout_ms)
{
	struct model_session *s = model_session_find(m, id);

	if (!s) {
		s = out_alloc0(sizeof(*s));
		s->id = id;
		s->next = m->session[bucket(id)];
		m->session[bucket(id)] = s;
		m->sessions++;
	}
	s->timeout_ms = timeout_ms;
}

void model_session_drop(struct model *m, uint64_t id)
{
	struct model_session **at = &m->session[bucket(id)];

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	if (*at) {
		struct model_session *s = *at;

		*at = s->next;
		free(s);
		m->sessions--;
	}
}

/* ---- loading a snapshot ------------------------------------------------------------------------
 */

static struct model_acl *find_acl(const struct model *m, int64_t key)
{
	struct model_acl *a = m->acl[bucket((uint64_t)key)];

	while (a && a->key != key)
		a = a->next;
	return a;
}

static void load_acl(struct model *m, const struct snap_item *item, struct scan_error *error)
{
	struct model_acl *a;

	if (find_acl(m, item->acl.key)) {
		scan_fail(error, item->at, "ACL %lld is there twice", (long long)item->acl.key);
		return;
	}
	a = out_alloc0(sizeof(*a));
	a->key = item->acl.key;
	a->jute = model_copy(item->acl.jute);
	a->next = m->acl[bucket((uint64_t)a->key)];
	m->acl[bucket((uint64_t)a->key)] = a;
}

static void load_node(struct model *m, const struct snap_item *item, struct scan_error *error)
{
	const struct snap_node *node = &item->node;
	struct model_acl *acl = find_acl(m, node->acl_key);
	struct model_node *parent = NULL, *n;
	int len = node->path.n < 100 ? (int)node->path.n : 100;

	if (node->path.n && m->root)
		parent = model_find(m, model_parent_path(node->path));
	if (node->path.n && !parent) {
		scan_fail(error, item->at, "%.*s comes before its parent", len, node->path.p);
		return;
	}
	if (model_find(m, node->path)) {
		scan_fail(error, item->at, "/%.*s is there twice", len ? len - 1 : 0,
			  len ? node->path.p + 1 : node->path.p);
		return;
	}
	if (!acl && node->acl_key != SNAP_ACL_OPEN) {
		scan_fail(error, item->at, "%.*s has the unknown ACL %lld", len, node->path.p,
			  (long long)node->acl_key);
		return;
	}
	n = model_add(m, parent, node->path, node->data, &node->stat);
	if (acl && node->acl_key != SNAP_ACL_OPEN)
		n->acl = acl->jute;
}

void model_load(void *ctx, enum snap_step step, const struct snap_item *item,
		struct scan_error *error)
{
	struct model *m = ctx;

	if (error->bad)
		return;
	if (step == SNAP_SESSION)
		model_session_put(m, item->session.id, item->session.timeout_ms);
	else if (step == SNAP_ACL)
		load_acl(m, item, error);
	else if (step == SNAP_NODE)
		load_node(m, item, error);
}
