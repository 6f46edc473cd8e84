/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot that is written in small slices while the tree goes on changing, read back: it must be
 * what the model was at the held zxid, byte for byte of data, stat, ACL and digest. SNAP_SEED and
 * SNAP_ROUNDS choose another run. */
#include "core/store/snap_tree.h"
#include "model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SESSIONS = 9, IMAGE_MAX = 4 << 20, LENGTH_MAX = 1 << 20, MODEL_ZK_NODES = 3 };

struct run {
	struct zk_mem mem, walk_mem;
	struct tree *tree;
	struct tree_reader *reader;
	struct model m;
	struct model_state frozen;
	uint64_t zxid, rng;
	uint8_t *image;
	size_t image_n;
	struct snap_session session[SESSIONS];
	uint64_t slices, full, snapshots, streams, revoked;
	bool stream; /* the snapshot under way is in the form that a leader sends */
};

static uint32_t rnd(struct run *u, uint32_t n)
{
	u->rng += 0x9e3779b97f4a7c15u;
	return (uint32_t)((zk_mix64(u->rng) >> 32) % n);
}

/* ---- changes --- */

static void both_delete(struct run *u, unsigned i)
{
	struct model_node *n = &u->m.now.n[i];
	enum zk_err err;

	if (i && n->exists && n->children)
		for (unsigned k = 0; k < MODEL_WIDTH; k++)
			if (u->m.now.n[i * MODEL_WIDTH + 1 + k].exists)
				both_delete(u, i * MODEL_WIDTH + 1 + k);
	err = model_delete(&u->m, i);
	assert_int_equal(tree_delete(u->tree, zk_span_str(u->m.paths[i])), err);
}

static void both_create(struct run *u, unsigned i, struct model_data d, struct zk_span data)
{
	static const uint64_t owners[] = {0, 0, ZK_OWNER_CONTAINER, ZK_OWNER_TTL | 500,
					  0x100000001};
	uint64_t owner = owners[rnd(u, 5)];
	unsigned acl = rnd(u, MODEL_ACLS);
	uint8_t buf[64];
	enum zk_err want = model_create(&u->m, i, d, acl, owner, -1);

	assert_int_equal(tree_create(u->tree, zk_span_str(u->m.paths[i]), data, model_acl(acl, buf),
				     owner, -1),
			 want);
}

static void random_op(struct run *u)
{
	static const uint32_t lens[] = {0, 1, 16, 100, 159, 160, 161, 300, 600, 3000};
	static uint8_t bytes[4096];
	unsigned i = rnd(u, rnd(u, 3) ? MODEL_NODES : 31), acl = rnd(u, MODEL_ACLS);
	struct model_data d = {.len = lens[rnd(u, 10)], .seed = rnd(u, 1000)};
	struct zk_span path = zk_span_str(u->m.paths[i]), data;
	int32_t v = (int32_t)rnd(u, 50);
	uint8_t buf[64];
	enum zk_err want;

	d.null = rnd(u, 16) == 0;
	d.len = d.null ? 0 : d.len;
	model_data_bytes(d, bytes);
	data = d.null ? (struct zk_span){NULL, 0} : zk_span_of(bytes, d.len);
	switch (rnd(u, 8)) {
	case 0:
	case 1:
	case 2:
		both_create(u, i, d, data);
		break;
	case 3:
	case 4:
		both_delete(u, i);
		break;
	case 5:
	case 6:
		want = model_set_data(&u->m, i, d, v);
		assert_int_equal(tree_set_data(u->tree, path, data, v), want);
		break;
	default:
		want = model_set_acl(&u->m, i, acl, v);
		assert_int_equal(tree_set_acl(u->tree, path, model_acl(acl, buf), v), want);
		break;
	}
}

/* One transaction; the reader follows at once or later; what may be freed is freed, for the walk is
 * at a quiescent point. */
static void transaction(struct run *u)
{
	struct tree_change c;
	struct tree_garbage *g;

	u->zxid++;
	tree_begin(u->tree, u->zxid, (int64_t)u->zxid * 10);
	model_begin(&u->m, u->zxid, (int64_t)u->zxid * 10);
	for (unsigned n = rnd(u, 10); n; n--)
		random_op(u);
	tree_end(u->tree);
	model_end(&u->m);
	if (rnd(u, 3) == 0)
		return;
	while (tree_change_next(u->reader, &c))
		if (c.kind == TREE_CHANGE_END)
			tree_reader_advance(u->reader, c.zxid);
	while (tree_collect(u->tree, 100))
		;
	while ((g = tree_garbage_take(u->tree)) != NULL)
		while (!tree_garbage_free(u->tree, g, 100))
			;
}

/* ---- reading back --- */

struct back {
	struct run *u;
	bool seen[MODEL_NODES];
	unsigned nodes, zk_nodes, sessions, acls;
	int64_t acl_key[MODEL_ACLS + 1]; /* by number of the list; read ACL last */
	uint64_t digest;
	bool sealed, has_digest, has_last;
};

static void back_acl(struct back *b, int64_t key, struct zk_span jute)
{
	uint8_t buf[64];

	assert_true(key > 0);
	b->acls++;
	for (unsigned i = 1; i < MODEL_ACLS; i++) {
		if (zk_span_eq(jute, model_acl(i, buf))) {
			assert_int_equal(b->acl_key[i], 0);
			b->acl_key[i] = key;
			return;
		}
	}
	assert_int_equal(b->acl_key[MODEL_ACLS], 0); /* of /zookeeper/config */
	b->acl_key[MODEL_ACLS] = key;
}

static unsigned index_of(const struct model *m, struct zk_span path)
{
	unsigned i = 0;

	if (path.n == 0)
		return 0;
	for (size_t k = 1; k < path.n; k += 2)
		i = i * MODEL_WIDTH + 1 + (unsigned)(path.p[k] - 'a');
	assert_true(i < MODEL_NODES && zk_span_eq(path, zk_span_str(m->paths[i])));
	return i;
}

static void back_node(struct back *b, const struct snap_node *n)
{
	const struct model_node *w;
	struct store_stat want;
	uint8_t bytes[4096];
	unsigned i;

	if (zk_span_starts(n->path, zk_span_str("/zookeeper"))) {
		b->zk_nodes++;
		b->digest += store_node_digest(n->path, n->data, &n->stat);
		return;
	}
	i = index_of(&b->u->m, n->path);
	w = &b->u->frozen.n[i];
	assert_true(w->exists && !b->seen[i]);
	assert_true(i == 0 || b->seen[model_parent(i)]); /* parents first */
	b->seen[i] = true;
	b->nodes++;
	want = (struct store_stat){.czxid = w->czxid,
				   .mzxid = w->mzxid,
				   .ctime = w->ctime,
				   .mtime = w->mtime,
				   .version = w->version,
				   .cversion = w->cversion,
				   .aversion = w->aversion,
				   .owner = w->owner,
				   .pzxid = w->pzxid};
	assert_true(want.czxid == n->stat.czxid && want.mzxid == n->stat.mzxid &&
		    want.pzxid == n->stat.pzxid && want.ctime == n->stat.ctime &&
		    want.mtime == n->stat.mtime && want.version == n->stat.version &&
		    want.cversion == n->stat.cversion && want.aversion == n->stat.aversion &&
		    want.owner == n->stat.owner);
	assert_int_equal(n->data.n, w->data_len);
	assert_int_equal(n->data.p == NULL, w->data_null);
	model_data_bytes((struct model_data){w->data_len, w->data_seed, false}, bytes);
	if (n->data.n)
		assert_memory_equal(n->data.p, bytes, n->data.n);
	assert_true(n->acl_key == (w->acl ? b->acl_key[w->acl] : SNAP_ACL_OPEN));
	assert_true(n->acl_key != 0);
	b->digest += store_node_digest(n->path, zk_span_of(bytes, w->data_len), &want);
}

static void back_session(struct back *b, uint64_t id, int32_t timeout_ms)
{
	const struct snap_session *w = &b->u->session[b->sessions++];

	assert_true(id == w->id && timeout_ms == w->timeout_ms);
}

static void read_back(struct run *u)
{
	struct back b = {.u = u};
	struct snap_reader r;
	struct snap_item it;
	enum snap_step step;

	if (u->stream)
		snap_reader_init_stream(&r, LENGTH_MAX);
	else
		snap_reader_init(&r, LENGTH_MAX);
	do {
		step = snap_next(&r, zk_span_of(u->image + r.at, u->image_n - r.at), !u->stream,
				 &it);
		switch (step) {
		case SNAP_SESSION:
			back_session(&b, it.session.id, it.session.timeout_ms);
			break;
		case SNAP_ACL:
			back_acl(&b, it.acl.key, it.acl.jute);
			break;
		case SNAP_NODE:
			back_node(&b, &it.node);
			break;
		case SNAP_SEALED:
			b.sealed = true;
			break;
		case SNAP_DIGEST:
			assert_true(it.digest.zxid == u->frozen.zxid && it.digest.version == 2);
			assert_true(it.digest.tree == b.digest);
			b.has_digest = true;
			break;
		case SNAP_LAST_ZXID:
			assert_true(it.last_zxid == u->frozen.zxid);
			b.has_last = true;
			break;
		default:
			assert_int_equal(step, SNAP_END);
			assert_int_equal(it.rest, 0);
		}
	} while (step != SNAP_END);
	assert_int_equal(r.at, u->image_n);
	assert_true(u->stream ? !b.sealed && !b.has_digest && !b.has_last
			      : b.sealed && b.has_digest && b.has_last);
	assert_int_equal(b.zk_nodes, MODEL_ZK_NODES);
	assert_int_equal(b.sessions, SESSIONS);
	for (unsigned i = 0; i < MODEL_NODES; i++)
		assert_int_equal(b.seen[i], u->frozen.n[i].exists);
}

/* ---- one snapshot --- */

/* A slice into a buffer of random size, kept. @return true at the end. */
static bool slice(struct run *u, struct snap_tree *s, unsigned budget)
{
	size_t cap = 16 + rnd(u, 2000);
	struct jute_out out;
	enum zk_err err;

	assert_true(u->image_n + 8192 < IMAGE_MAX);
	out = jute_out_of(u->image + u->image_n, cap);
	err = snap_tree_next(s, &out, budget);
	if (err == ZK_EFULL && jute_out_len(&out) == 0) { /* larger than the buffer */
		assert_true(s->need > cap);
		out = jute_out_of(u->image + u->image_n, s->need);
		err = snap_tree_next(s, &out, budget);
		assert_true(jute_out_len(&out) > 0);
	}
	u->full += err == ZK_EFULL;
	u->image_n += jute_out_len(&out);
	u->slices++;
	assert_true(err == ZK_EOK || err == ZK_EAGAIN || err == ZK_EFULL);
	return err == ZK_EOK;
}

static void one_snapshot(struct run *u)
{
	unsigned budget = 1 + rnd(u, 40), busy = rnd(u, 4);
	bool revoke = rnd(u, 16) == 0, done = false;
	struct snap_tree s;
	int hold;

	for (unsigned n = rnd(u, 30); n; n--)
		transaction(u);
	u->stream = rnd(u, 2) != 0;
	hold = tree_hold_take(u->tree);
	assert_true(hold >= 0 && tree_hold_zxid(u->tree, hold) == u->zxid);
	u->frozen = u->m.now;
	for (unsigned i = 0; i < SESSIONS; i++)
		u->session[i] = (struct snap_session){zk_mix64(u->rng + i), (int32_t)rnd(u, 60000)};

	struct snap_tree_conf conf = {.tree = u->tree,
				      .mem = &u->walk_mem,
				      .zxid = u->zxid,
				      .session = u->session,
				      .sessions = SESSIONS,
				      .digest = true,
				      .last_zxid = true,
				      .stream = u->stream};

	u->image_n = 0;
	assert_int_equal(snap_tree_init(&s, &conf), ZK_EOK);
	while (!done && !(revoke && rnd(u, 20) == 0)) {
		for (unsigned n = rnd(u, busy + 1); n; n--)
			transaction(u);
		done = slice(u, &s, budget);
	}
	tree_hold_drop(u->tree, hold);
	for (unsigned n = rnd(u, 3); n; n--) /* what is left over does not look at the tree */
		transaction(u);
	if (done) {
		read_back(u);
		u->snapshots++;
		u->streams += u->stream;
	} else {
		u->revoked++;
	}
	snap_tree_fini(&s);
	assert_int_equal(u->walk_mem.used_bytes, 0);
}

static void exactness(void **state)
{
	const char *seed = getenv("SNAP_SEED"), *rounds = getenv("SNAP_ROUNDS");
	unsigned n = rounds ? (unsigned)strtoul(rounds, NULL, 0) : 1500;
	struct run *u = calloc(1, sizeof(*u));
	struct tree_conf tc = {
		.mem = &u->mem, .key = {1, 2}, .index_slots = 64, .changes_soft_max = 1 << 20};

	(void)state;
	u->rng = seed ? strtoull(seed, NULL, 0) : 1;
	u->image = malloc(IMAGE_MAX);
	zk_mem_init_heap(&u->mem, 0);
	zk_mem_init_heap(&u->walk_mem, 0);
	assert_int_equal(tree_new(&tc, &u->tree), ZK_EOK);
	u->reader = tree_reader_add(u->tree);
	model_init(&u->m);
	while (n--)
		one_snapshot(u);
	printf("%llu snapshots, %llu streams, of %llu slices, %llu broken off, %llu times full, "
	       "zxid %llu\n",
	       (unsigned long long)u->snapshots, (unsigned long long)u->streams,
	       (unsigned long long)u->slices, (unsigned long long)u->revoked,
	       (unsigned long long)u->full, (unsigned long long)u->zxid);
	assert_true(u->snapshots > 0 && u->streams > 0 && u->streams < u->snapshots);
	tree_free(u->tree);
	model_fini(&u->m);
	free(u->image);
	assert_int_equal(u->mem.used_bytes, 0);
	free(u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(exactness)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
