/* SPDX-License-Identifier: Apache-2.0 */
/* Random transactions against the model, with readers that lag, pins, collection and a simulated
 * grace period in between. TREE_SEED and TREE_STEPS choose another run. */
#include "model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { READERS = 3, LAG_MAX = MODEL_HISTORY - 8, BATCHES = 8, PINS = 4 };

struct lister {
	int pin; /* -1: not running */
	unsigned node;
	uint64_t cursor;
	bool seen[MODEL_NODES + 1];
};

struct rd {
	struct tree_reader *r;
	unsigned change; /* consumed of the transaction after visible */
	int pins[PINS];
	struct lister list;
	uint64_t quiescent;
	bool has_ref; /* held until the next advance or quiescent point */
	unsigned ref_node;
	struct tree_ref ref;
};

struct batch {
	struct tree_garbage *g;
	uint64_t quiescent[READERS];
};

struct run {
	struct zk_mem mem;
	struct tree *tree;
	struct model m;
	struct rd rd[READERS];
	struct batch batches[BATCHES];
	uint64_t zxid, rng;
	uint64_t lookups, listings, changes, freed;
};

static uint32_t rnd(struct run *u, uint32_t n)
{
	u->rng += 0x9e3779b97f4a7c15u;
	return (uint32_t)((zk_mix64(u->rng) >> 32) % n);
}

static struct model_data rnd_data(struct run *u)
{
	static const uint32_t lens[] = {0, 1, 16, 100, 159, 160, 161, 300, 600, 3000};
	struct model_data d = {.len = lens[rnd(u, 10)], .seed = rnd(u, 1000)};

	d.null = rnd(u, 16) == 0;
	if (d.null)
		d.len = 0;
	return d;
}

static uint64_t rnd_owner(struct run *u)
{
	switch (rnd(u, 6)) {
	case 0:
		return ZK_OWNER_CONTAINER;
	case 1:
		return ZK_OWNER_TTL | 500;
	case 2:
	case 3:
		return 0x100000000u + rnd(u, MODEL_SESSIONS);
	default:
		return 0;
	}
}

/* Deepest first, as tree_delete() takes the subtree down before the node. Only the set of records
 * matters for the order among the descendants, so the test deletes them one by one instead. */
static enum zk_err both_delete(struct run *u, unsigned i)
{
	struct model_node *n = &u->m.now.n[i];
	enum zk_err err;

	if (i && n->exists && n->children)
		for (unsigned k = 0; k < MODEL_WIDTH; k++)
			if (u->m.now.n[i * MODEL_WIDTH + 1 + k].exists)
				(void)both_delete(u, i * MODEL_WIDTH + 1 + k);
	err = model_delete(&u->m, i);
	assert_int_equal(tree_delete(u->tree, zk_span_str(u->m.paths[i])), err);
	return err;
}

static void random_op(struct run *u)
{
	static uint8_t bytes[4096];
	unsigned i = rnd(u, rnd(u, 3) ? MODEL_NODES : 31);
	struct zk_span path = zk_span_str(u->m.paths[i]);
	struct model_data d = rnd_data(u);
	struct zk_span data = d.null ? (struct zk_span){NULL, 0} : zk_span_of(bytes, d.len);
	uint8_t buf[64];
	unsigned acl = rnd(u, MODEL_ACLS);
	int32_t v = (int32_t)rnd(u, 50) - 1;
	enum zk_err want;

	model_data_bytes(d, bytes);
	switch (rnd(u, 10)) {
	case 0:
	case 1:
	case 2:
	case 3: {
		uint64_t owner = rnd_owner(u);

		v = rnd(u, 2) ? -1 : v;
		want = model_create(&u->m, i, d, acl, owner, v);
		assert_int_equal(tree_create(u->tree, path, data, model_acl(acl, buf), owner, v),
				 want);
		if (want == ZK_NODEEXISTS && i) {
			want = model_raise_parent(&u->m, i, v);
			assert_int_equal(tree_raise_parent(u->tree, path, v), want);
		}
		break;
	}
	case 4:
	case 5:
	case 6:
		(void)both_delete(u, i);
		break;
	case 7:
	case 8:
		want = model_set_data(&u->m, i, d, v);
		assert_int_equal(tree_set_data(u->tree, path, data, v), want);
		break;
	default:
		want = model_set_acl(&u->m, i, acl, v);
		assert_int_equal(tree_set_acl(u->tree, path, model_acl(acl, buf), v), want);
		break;
	}
}

static void transaction(struct run *u)
{
	static const unsigned sizes[] = {0, 1, 1, 1, 1, 2, 3, 5, 12, 40};
	unsigned n = sizes[rnd(u, 10)];

	u->zxid++;
	tree_begin(u->tree, u->zxid, (int64_t)u->zxid * 10);
	model_begin(&u->m, u->zxid, (int64_t)u->zxid * 10);
	if (rnd(u, 200) == 0)
		n = 600; /* progressive publishing */
	for (unsigned i = 0; i < n; i++)
		random_op(u);
	tree_end(u->tree);
	model_end(&u->m);
	assert_int_equal(tree_last_zxid(u->tree), u->zxid);
}

static void check_change(struct run *u, const struct tree_change *c, const struct model_change *w)
{
	uint8_t buf[64];

	assert_int_equal(c->kind, w->kind);
	assert_true(zk_span_eq(tree_path(c->node), zk_span_str(u->m.paths[w->node])));
	if (w->acl)
		assert_true(zk_span_eq(c->acl->jute, model_acl(w->acl, buf)));
	else
		assert_true(c->acl->open_all);
	assert_int_equal(c->parent_acl != NULL, w->kind != TREE_CHANGE_DATA);
	if (c->parent_acl && w->parent_acl)
		assert_true(zk_span_eq(c->parent_acl->jute, model_acl(w->parent_acl, buf)));
	u->changes++;
}

/* One record; true when there was none. */
static bool consume(struct run *u, struct rd *r)
{
	uint64_t next = tree_visible(r->r) + 1;
	struct tree_change c;

	if (!tree_change_next(r->r, &c)) {
		assert_int_equal(tree_visible(r->r), u->zxid);
		return true;
	}
	const struct model_state *s = model_at(&u->m, next);

	assert_int_equal(c.zxid, next);
	if (r->change < s->n_changes) {
		check_change(u, &c, &s->changes[r->change++]);
		return false;
	}
	assert_int_equal(c.kind, TREE_CHANGE_END);
	assert_null(c.node);
	r->change = 0;
	r->has_ref = false;
	tree_reader_advance(r->r, next);
	return false;
}

static void list_start(struct run *u, struct rd *r)
{
	r->list =
		(struct lister){.pin = tree_pin_take(r->r, tree_visible(r->r)), .node = rnd(u, 31)};
	assert_true(r->list.pin >= 0);
}

static void list_step(struct run *u, struct rd *r)
{
	struct lister *l = &r->list;
	uint64_t zxid = tree_pin_zxid(r->r, l->pin);
	const struct model_state *s = model_at(&u->m, zxid);
	const struct tree_node *c;
	struct tree_ref ref;
	bool more = tree_find(u->tree, zk_span_str(u->m.paths[l->node]), zxid, &ref);

	assert_int_equal(more, s->n[l->node].exists);
	if (more)
		more = tree_child_next(ref, zxid, &l->cursor, 1, &c);
	if (more) {
		if (!c)
			return;
		unsigned i = model_child_index(&u->m, l->node, c);

		assert_false(l->seen[i]);
		l->seen[i] = true;
		return;
	}
	for (unsigned k = 0; k < MODEL_WIDTH; k++) {
		unsigned i = l->node * MODEL_WIDTH + 1 + k;

		assert_int_equal(l->seen[i], s->n[i].exists);
	}
	tree_pin_drop(r->r, l->pin);
	l->pin = -1;
	u->listings++;
}

static void quiesce(struct rd *r)
{
	r->quiescent++;
	r->has_ref = false;
}

static void reader_step(struct run *u, struct rd *r)
{
	unsigned i = rnd(u, PINS);

	switch (rnd(u, 8)) {
	case 0:
		for (unsigned n = rnd(u, 200); n && !consume(u, r); n--)
			;
		break;
	case 1:
		(void)consume(u, r);
		break;
	case 2:
		if (r->pins[i] < 0) {
			r->pins[i] = tree_pin_take(r->r, tree_visible(r->r));
			assert_true(r->pins[i] >= 0);
		}
		break;
	case 3:
		if (r->pins[i] >= 0)
			tree_pin_drop(r->r, r->pins[i]);
		r->pins[i] = -1;
		break;
	case 4:
		if (r->list.pin < 0)
			list_start(u, r);
		else
			list_step(u, r);
		break;
	case 5:
		quiesce(r);
		break;
	case 6:
		r->ref_node = rnd(u, MODEL_NODES);
		r->has_ref = tree_find(u->tree, zk_span_str(u->m.paths[r->ref_node]),
				       tree_visible(r->r), &r->ref);
		break;
	default:
		if (r->has_ref)
			model_check_ref(&u->m, model_at(&u->m, tree_visible(r->r)), r->ref_node,
					r->ref);
		break;
	}
}

/* Nobody may stay so far behind that the model has forgotten the state. */
static void catch_up(struct run *u)
{
	for (unsigned i = 0; i < READERS; i++) {
		struct rd *r = &u->rd[i];

		while (tree_visible(r->r) + LAG_MAX < u->zxid)
			assert_false(consume(u, r));
		for (unsigned k = 0; k < PINS; k++) {
			if (r->pins[k] < 0 || tree_pin_zxid(r->r, r->pins[k]) + LAG_MAX >= u->zxid)
				continue;
			tree_pin_drop(r->r, r->pins[k]);
			r->pins[k] = -1;
		}
		if (r->list.pin >= 0 && tree_pin_zxid(r->r, r->list.pin) + LAG_MAX < u->zxid) {
			tree_pin_drop(r->r, r->list.pin);
			r->list.pin = -1;
		}
	}
}

static void collect_step(struct run *u)
{
	struct batch *b = &u->batches[rnd(u, BATCHES)];

	if (rnd(u, 2))
		(void)tree_collect(u->tree, 1 + rnd(u, 100));
	if (!b->g) {
		b->g = tree_garbage_take(u->tree);
		for (unsigned i = 0; i < READERS; i++)
			b->quiescent[i] = u->rd[i].quiescent;
		return;
	}
	for (unsigned i = 0; i < READERS; i++)
		if (u->rd[i].quiescent == b->quiescent[i])
			return; /* the grace period is not over */
	if (tree_garbage_free(u->tree, b->g, 1 + rnd(u, 50))) {
		b->g = NULL;
		u->freed++;
	}
}

static void check_some(struct run *u)
{
	struct rd *r = &u->rd[rnd(u, READERS)];
	unsigned p = rnd(u, PINS);
	uint64_t zxid = r->pins[p] >= 0 ? tree_pin_zxid(r->r, r->pins[p]) : tree_visible(r->r);

	for (unsigned k = 0; k < 4; k++, u->lookups++)
		model_check_node(&u->m, model_at(&u->m, zxid), rnd(u, MODEL_NODES), u->tree);
}

static void check_all(struct run *u)
{
	struct tree_stats st;
	unsigned owned[MODEL_SESSIONS] = {0}, nodes = 0, ephemerals = 0;
	uint64_t bytes = 1 + 10 + 16 + 17; /* the root and what is below /zookeeper */

	for (unsigned k = 0; k < READERS; k++) {
		struct rd *r = &u->rd[k];

		for (unsigned i = 0; i < MODEL_NODES; i++)
			model_check_node(&u->m, model_at(&u->m, tree_visible(r->r)), i, u->tree);
		for (unsigned p = 0; p < PINS; p++)
			for (unsigned i = 0; r->pins[p] >= 0 && i < MODEL_NODES; i++)
				model_check_node(&u->m,
						 model_at(&u->m, tree_pin_zxid(r->r, r->pins[p])),
						 i, u->tree);
	}
	for (unsigned i = 0; i < MODEL_NODES; i++) {
		const struct model_node *n = &u->m.now.n[i];
		struct tree_ref ref;

		assert_int_equal(tree_find_newest(u->tree, zk_span_str(u->m.paths[i]), &ref),
				 n->exists);
		if (!n->exists)
			continue;
		model_check_ref(&u->m, &u->m.now, i, ref);
		nodes++;
		bytes += (i ? strlen(u->m.paths[i]) : 0) + n->data_len;
		if (n->owner >> 32 == 1) {
			owned[n->owner & 0xffffffff]++;
			ephemerals++;
		}
	}
	for (unsigned s = 0; s < MODEL_SESSIONS; s++) {
		const struct tree_node *n = NULL;
		unsigned found = 0;
		struct tree_ref ref;

		for (; tree_ephemeral_next(u->tree, 0x100000000u + s, &n); found++) {
			struct tree_raw raw;

			assert_true(tree_ref_at(n, UINT64_MAX, &ref));
			tree_raw(ref, &raw);
			assert_int_equal(raw.owner, 0x100000000u + s);
		}
		assert_int_equal(found, owned[s]);
	}
	tree_stats_get(u->tree, &st);
	assert_int_equal(st.nodes, nodes + 3);
	assert_int_equal(st.ephemerals, ephemerals);
	assert_int_equal(st.data_bytes, bytes);
	assert_int_equal(st.memory_bytes > 0, true);
}

static void drain(struct run *u)
{
	for (unsigned i = 0; i < READERS; i++) {
		struct rd *r = &u->rd[i];

		while (!consume(u, r))
			;
		quiesce(r);
		for (unsigned p = 0; p < PINS; p++) {
			if (r->pins[p] >= 0)
				tree_pin_drop(r->r, r->pins[p]);
			r->pins[p] = -1;
		}
		if (r->list.pin >= 0)
			tree_pin_drop(r->r, r->list.pin);
	}
	for (unsigned i = 0; i < BATCHES; i++)
		if (u->batches[i].g)
			assert_true(tree_garbage_free(u->tree, u->batches[i].g, UINT32_MAX));
	while (tree_collect(u->tree, 64))
		;
	struct tree_garbage *g = tree_garbage_take(u->tree);
	struct tree_stats st;

	if (g)
		assert_true(tree_garbage_free(u->tree, g, UINT32_MAX));
	tree_stats_get(u->tree, &st);
	assert_int_equal(st.garbage, 0);
	assert_int_equal(st.versions, st.nodes); /* one each, nothing left over */
}

static void run_seed(uint64_t seed, unsigned steps, size_t slots, bool drained)
{
	static struct run u;
	struct tree_conf conf = {
		.mem = &u.mem, .key = {seed, 7}, .index_slots = slots, .changes_soft_max = 1000000};

	u = (struct run){.rng = seed};
	zk_mem_init_heap(&u.mem, 0);
	model_init(&u.m);
	assert_int_equal(tree_new(&conf, &u.tree), ZK_EOK);
	for (unsigned i = 0; i < READERS; i++) {
		struct rd *r = &u.rd[i];

		r->r = tree_reader_add(u.tree);
		r->list.pin = -1;
		for (unsigned p = 0; p < PINS; p++)
			r->pins[p] = -1;
	}
	for (unsigned s = 0; s < steps; s++) {
		transaction(&u);
		catch_up(&u);
		for (unsigned k = rnd(&u, 8); k; k--)
			reader_step(&u, &u.rd[rnd(&u, READERS)]);
		collect_step(&u);
		check_some(&u);
		if (rnd(&u, 64) == 0)
			check_all(&u);
	}
	check_all(&u);
	if (drained) {
		drain(&u);
		check_all(&u);
	} else { /* down with everything in flight */
		for (unsigned i = 0; i < BATCHES; i++)
			if (u.batches[i].g)
				assert_true(tree_garbage_free(u.tree, u.batches[i].g, UINT32_MAX));
	}
	printf("seed %llu: %u transactions, %llu lookups, %llu listings, %llu changes, %llu "
	       "batches\n",
	       (unsigned long long)seed, steps, (unsigned long long)u.lookups,
	       (unsigned long long)u.listings, (unsigned long long)u.changes,
	       (unsigned long long)u.freed);
	tree_free(u.tree);
	model_fini(&u.m);
	assert_int_equal(u.mem.used_bytes, 0);
}

static unsigned env_or(const char *name, unsigned otherwise)
{
	const char *s = getenv(name);

	return s ? (unsigned)strtoul(s, NULL, 0) : otherwise;
}

static void random_against_model(void **state)
{
	unsigned first = env_or("TREE_SEED", 1), steps = env_or("TREE_STEPS", 2500);
	unsigned n = getenv("TREE_SEED") ? 1 : 8;

	(void)state;
	for (unsigned i = 0; i < n; i++)
		run_seed(first + i, steps, i % 2 ? 16 : 1024, i % 3 != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(random_against_model)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
