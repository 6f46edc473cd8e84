/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void model_init(struct model *m)
{
	memset(m, 0, sizeof(*m));
	m->past = calloc(MODEL_HISTORY, sizeof(*m->past));
	assert_non_null(m->past);
	snprintf(m->paths[0], sizeof(m->paths[0]), "/");
	for (unsigned i = 1; i < MODEL_NODES; i++) {
		unsigned up = model_parent(i);

		snprintf(m->paths[i], sizeof(m->paths[i]), "%s/%c", up ? m->paths[up] : "",
			 (char)('a' + (i - 1) % MODEL_WIDTH));
	}
	m->now.n[0].exists = true;
	m->now.n[0].children = 1; /* /zookeeper, which the model leaves alone */
	model_end(m);
}

void model_fini(struct model *m)
{
	free(m->past);
}

const struct model_state *model_at(const struct model *m, uint64_t zxid)
{
	const struct model_state *s = &m->past[zxid % MODEL_HISTORY];

	assert_int_equal(s->zxid, zxid);
	return s;
}

struct zk_span model_acl(unsigned acl, uint8_t *buf)
{
	/* one entry: digest:user with some permissions */
	static const char jute[] = "\0\0\0\1\0\0\0\0\0\0\0\6digest\0\0\0\4user";

	if (acl == 0)
		return (struct zk_span){NULL, 0};
	memcpy(buf, jute, sizeof(jute) - 1);
	buf[7] = (uint8_t)acl;
	return zk_span_of(buf, sizeof(jute) - 1);
}

void model_data_bytes(struct model_data d, uint8_t *out)
{
	for (uint32_t i = 0; i < d.len; i++)
		out[i] = (uint8_t)(d.seed * 31 + i * 7 + (i >> 8));
}

void model_begin(struct model *m, uint64_t zxid, int64_t time_ms)
{
	m->now.zxid = zxid;
	m->now.n_changes = 0;
	m->time_ms = time_ms;
}

void model_end(struct model *m)
{
	m->past[m->now.zxid % MODEL_HISTORY] = m->now;
}

static void change(struct model *m, enum tree_change_kind kind, unsigned i)
{
	struct model_state *s = &m->now;

	assert_true(s->n_changes < MODEL_CHANGES_MAX);
	s->changes[s->n_changes++] = (struct model_change){
		kind, i, s->n[i].acl, kind == TREE_CHANGE_DATA ? 0 : s->n[model_parent(i)].acl};
}

static void set_data(struct model_node *n, struct model_data d)
{
	n->data_null = d.null;
	n->data_len = d.null ? 0 : d.len;
	n->data_seed = d.seed;
}

static void raise(struct model *m, struct model_node *p, int32_t cversion)
{
	if (cversion == -1)
		cversion = p->cversion + 1;
	if (cversion > p->cversion) {
		p->cversion = cversion;
		p->pzxid = m->now.zxid;
	}
}

enum zk_err model_create(struct model *m, unsigned i, struct model_data d, unsigned acl,
			 uint64_t owner, int32_t parent_cversion)
{
	struct model_node *n = &m->now.n[i], *p = &m->now.n[model_parent(i)];

	if (i == 0)
		return ZK_NODEEXISTS;
	if (!p->exists)
		return ZK_NONODE;
	if (n->exists)
		return ZK_NODEEXISTS;
	*n = (struct model_node){.exists = true, .acl = acl, .owner = owner};
	n->czxid = n->mzxid = n->pzxid = m->now.zxid;
	n->ctime = n->mtime = m->time_ms;
	set_data(n, d);
	p->children++;
	raise(m, p, parent_cversion);
	change(m, TREE_CHANGE_CREATED, i);
	return ZK_EOK;
}

enum zk_err model_raise_parent(struct model *m, unsigned i, int32_t parent_cversion)
{
	struct model_node *p = &m->now.n[model_parent(i)];

	if (!p->exists)
		return ZK_NONODE;
	raise(m, p, parent_cversion);
	return ZK_EOK;
}

enum zk_err model_delete(struct model *m, unsigned i)
{
	struct model_node *n = &m->now.n[i], *p;

	if (i == 0)
		return ZK_BADARGUMENTS;
	p = &m->now.n[model_parent(i)];
	if (p->exists)
		p->pzxid = m->now.zxid;
	if (!n->exists)
		return ZK_NONODE;
	n->exists = false;
	p->children--;
	change(m, TREE_CHANGE_DELETED, i);
	return ZK_EOK;
}

enum zk_err model_set_data(struct model *m, unsigned i, struct model_data d, int32_t version)
{
	struct model_node *n = &m->now.n[i];

	if (!n->exists)
		return ZK_NONODE;
	set_data(n, d);
	n->version = version;
	n->mzxid = m->now.zxid;
	n->mtime = m->time_ms;
	change(m, TREE_CHANGE_DATA, i);
	return ZK_EOK;
}

enum zk_err model_set_acl(struct model *m, unsigned i, unsigned acl, int32_t aversion)
{
	struct model_node *n = &m->now.n[i];

	if (!n->exists)
		return ZK_NONODE;
	n->acl = acl;
	n->aversion = aversion;
	return ZK_EOK;
}

static void check_data(const struct model_node *want, struct zk_span got)
{
	uint8_t bytes[4096];

	assert_int_equal(got.n, want->data_len);
	assert_int_equal(got.p == NULL, want->data_null);
	assert_true(want->data_len <= sizeof(bytes));
	model_data_bytes((struct model_data){want->data_len, want->data_seed, false}, bytes);
	if (got.n)
		assert_memory_equal(got.p, bytes, got.n);
}

void model_check_ref(const struct model *m, const struct model_state *s, unsigned i,
		     struct tree_ref ref)
{
	const struct model_node *w = &s->n[i];
	struct zk_span path = tree_path(ref.node), name = tree_name(ref.node);
	struct zk_stat st;
	struct tree_raw raw;
	uint8_t buf[64];
	bool session = w->owner != 0 && w->owner != ZK_OWNER_CONTAINER && w->owner < ZK_OWNER_TTL;

	assert_true(w->exists);
	assert_int_equal(path.n, strlen(m->paths[i]));
	assert_memory_equal(path.p, m->paths[i], path.n);
	assert_int_equal(name.n, i ? 1 : 0);
	tree_stat(ref, &st);
	assert_int_equal(st.czxid, w->czxid);
	assert_int_equal(st.mzxid, w->mzxid);
	assert_int_equal(st.pzxid, w->pzxid);
	assert_int_equal(st.ctime, w->ctime);
	assert_int_equal(st.mtime, w->mtime);
	assert_int_equal(st.version, w->version);
	assert_int_equal(st.cversion, 2 * w->cversion - (int32_t)w->children);
	assert_int_equal(st.aversion, w->aversion);
	assert_int_equal((uint64_t)st.ephemeral_owner, session ? w->owner : 0);
	assert_int_equal(st.num_children, w->children);
	assert_int_equal(st.data_length, w->data_len);
	tree_raw(ref, &raw);
	assert_int_equal(raw.owner, w->owner);
	assert_int_equal(raw.cversion, w->cversion);
	assert_int_equal(raw.children, w->children);
	check_data(w, tree_data(ref));

	const struct acl_list *acl = tree_acl(ref);
	struct zk_span jute = model_acl(w->acl, buf);

	assert_int_equal(acl->open_all, w->acl == 0);
	if (w->acl)
		assert_true(zk_span_eq(acl->jute, jute) && acl->n == 1 &&
			    acl->v[0].perms == (int32_t)w->acl);
	else
		assert_int_equal(acl->id, -1);
}

unsigned model_child_index(const struct model *m, unsigned parent, const struct tree_node *n)
{
	for (unsigned k = 0; k < MODEL_WIDTH; k++) {
		unsigned i = parent * MODEL_WIDTH + 1 + k;

		if (i < MODEL_NODES && zk_span_eq(tree_path(n), zk_span_str(m->paths[i])))
			return i;
	}
	assert_true(parent == 0 && zk_span_eq(tree_path(n), zk_span_str("/zookeeper")));
	return MODEL_NODES;
}

void model_check_node(const struct model *m, const struct model_state *s, unsigned i,
		      const struct tree *t)
{
	struct zk_span path = zk_span_str(m->paths[i]);
	struct tree_ref ref, up;
	const struct tree_node *c;
	bool seen[MODEL_NODES + 1] = {false};
	uint64_t cursor = 0;

	assert_int_equal(tree_find(t, path, s->zxid, &ref), s->n[i].exists);
	if (!s->n[i].exists)
		return;
	model_check_ref(m, s, i, ref);
	assert_int_equal(tree_parent(ref, s->zxid, &up), i != 0);
	if (i)
		model_check_ref(m, s, model_parent(i), up);
	while (tree_child_next(ref, s->zxid, &cursor, 3, &c)) {
		if (!c)
			continue;
		unsigned k = model_child_index(m, i, c);

		assert_false(seen[k]);
		seen[k] = true;
	}
	for (unsigned k = 0; k < MODEL_WIDTH; k++) {
		unsigned child = i * MODEL_WIDTH + 1 + k;

		if (child < MODEL_NODES)
			assert_int_equal(seen[child], s->n[child].exists);
	}
	assert_int_equal(seen[MODEL_NODES], i == 0);
}
