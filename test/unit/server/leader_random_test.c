/* SPDX-License-Identifier: Apache-2.0 */
/* The leader's machine on a random stream of requests: durable at once and durable late must give
 * the same replies, the same log and the same tree. */
#include "core/base/hash.h"
#include "core/tree/load.h"
#include "core/tree/quota.h"
#include "core/txn/apply.h"
#include "test/lib/lead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

static struct req_multi m;

enum { R_SESSIONS = 4, R_STEPS = 3000 };

struct rng {
	uint64_t s;
};

static unsigned below(struct rng *r, unsigned n)
{
	return (unsigned)(zk_mix64(r->s += UINT64_C(0x9e3779b97f4a7c15)) % n);
}

/* A statement for each draw: the order of arguments is the compiler's. */
static const char *some_path(struct rng *r)
{
	static char path[8][32];
	static unsigned next;
	static const char *const top[] = {"/a", "/b", "/c", "/", "/zookeeper", "/d/", "x"};
	char *p = path[next++ % 8];
	unsigned k = below(r, 20), name, number;

	if (k < 7) {
		snprintf(p, 32, "%s", top[k]);
		return p;
	}
	number = below(r, k < 18 ? 2 + (k < 16) : 6);
	name = k < 16 || k >= 18 ? 0 : below(r, 2);
	if (k < 16)
		snprintf(p, 32, "/%c/%c", 'a' + below(r, 3), 'p' + number);
	else if (k < 18)
		snprintf(p, 32, "/%c/%c/%c", 'a' + below(r, 3), 'p' + name, 'x' + number);
	else
		snprintf(p, 32, "/%c/s%010u", 'a' + below(r, 3), number);
	return p;
}

static const char *some_acl(struct rng *r)
{
	static const char *const acl[] = {
		"3 world anyone", "29 world anyone", "31 digest bob:ikIaKsbtGweaHnb/jKn7OHqbunM=",
		"31 auth",        "31 none x",       "31 ip 127.0.0.0/8"};
	unsigned k = below(r, 40);

	return k < 6 ? acl[k] : NULL;
}

static struct zk_span some_op(struct rng *r, int32_t *op, bool in_multi)
{
	static const char *const data[] = {NULL, "", "x", "some more data"};
	int32_t version = below(r, 3) ? -1 : (int32_t)below(r, 4);
	unsigned k = below(r, in_multi ? 22 : 25);

	if (k < 9) {
		int32_t flags = (int32_t)below(r, in_multi ? 4 : 7);
		const char *acl = some_acl(r), *value = data[below(r, 4)];

		*op = k == 8 ? ZK_OP_CREATE_CONTAINER : k > 5 ? ZK_OP_CREATE2 : ZK_OP_CREATE;
		return req_create(some_path(r), value, acl, flags);
	}
	if (k == 9) {
		int32_t flags = 5 + (int32_t)below(r, 2);
		const char *value = data[below(r, 4)];

		*op = ZK_OP_CREATE_TTL;
		return req_ttl(some_path(r), value, flags, 1000);
	}
	if (k < 15) {
		*op = ZK_OP_DELETE;
		return req_version(some_path(r), version);
	}
	if (k < 20) {
		const char *value = data[below(r, 4)];

		*op = ZK_OP_SET_DATA;
		return req_set(some_path(r), value, version);
	}
	if (in_multi) {
		*op = ZK_OP_CHECK;
		return req_version(some_path(r), version);
	}
	if (k < 23) {
		*op = ZK_OP_SYNC;
		return req_path(some_path(r));
	}
	const char *acl = some_acl(r);

	*op = ZK_OP_SET_ACL;
	return req_acl(some_path(r), acl, version);
}

struct world {
	struct lead *d;
	uint64_t session[R_SESSIONS];
	uint32_t conn[R_SESSIONS];
	uint64_t replies[R_SESSIONS]; /* hash of this session's replies, in order */
	uint64_t replies_n;
};

/* Hard limits that the stream runs into. Those on /b/p are a quota inside of another. */
static void make_quotas(struct world *w)
{
	static const char *const node[][2] = {
		{"a", ""},
		{"a/zookeeper_limits", "count=-1,bytes=-1=;byteHardLimit=30;countHardLimit=4"},
		{"a/zookeeper_stats", ""},
		{"b", ""},
		{"b/zookeeper_limits", "count=2,bytes=5=;countHardLimit=6"},
		{"b/zookeeper_stats", ""},
		{"b/p", ""},
		{"b/p/zookeeper_limits", "count=-1,bytes=-1=;byteHardLimit=14"},
		{"b/p/zookeeper_stats", ""}};

	for (size_t i = 0; i < sizeof(node) / sizeof(node[0]); i++) {
		char path[64];

		snprintf(path, sizeof(path), "/zookeeper/quota/%s", node[i][0]);
		assert_int_equal(lead_err(w->d, w->session[0], ZK_OP_CREATE,
					  req_create(path, node[i][1], NULL, 0)),
				 ZK_EOK);
	}
}

static void world_open(struct world *w, bool late, bool quotas)
{
	w->d = lead_open(&(struct lead_opt){
		.extended_types = true, .digest = true, .enforce_quota = quotas});
	for (uint32_t i = 0; i < R_SESSIONS; i++) {
		w->conn[i] = i;
		w->session[i] = lead_session(w->d, 0, i, 40000);
		w->replies[i] = 0;
	}
	w->replies_n = 0;
	if (quotas)
		make_quotas(w);
	lead_forget(w->d);
	w->d->late = late;
}

static void world_take(struct world *w)
{
	const struct zk_hash_key k = {5, 6};

	for (size_t i = 0; i < w->d->out_n; i++) {
		const struct lead_out *o = &w->d->out[i];
		uint64_t *h = NULL;

		/* sync's zxid is the one applied at the time: not compared */
		for (unsigned j = 0; j < R_SESSIONS && !h; j++)
			h = w->conn[j] == o->conn.index ? &w->replies[j] : NULL;
		if (!h)
			continue;
		uint64_t v[4] = {o->kind, (uint64_t)(uint32_t)o->xid, (uint64_t)(uint32_t)o->err,
				 o->op == ZK_OP_SYNC ? 0 : o->zxid};

		*h = zk_mix64(*h ^ zk_hash13(&k, v, sizeof(v)) ^
			      zk_hash13(&k, o->body, o->body_n) * 3);
		w->replies_n++;
	}
	lead_forget(w->d);
}

/* How many transactions are errors for a quota. */
static unsigned quota_refusals(const struct lead *d)
{
	unsigned n = 0;

	for (size_t i = 0; i < d->log_n; i++) {
		struct jute_in in = jute_in_of(zk_span_of(d->log[i].p, d->log[i].n));
		struct txn_header h;

		txn_get_header(&in, &h);
		n += h.type == ZK_OP_ERROR && jute_i32(&in) == ZK_QUOTAEXCEEDED;
	}
	return n;
}

/* A hash of a transaction; the order of a closeSession's list is free. */
static uint64_t txn_hash(const struct lead_txn *t)
{
	const struct zk_hash_key k = {7, 8};
	struct jute_in in = jute_in_of(zk_span_of(t->p, t->n));
	struct txn_header h;
	uint64_t sum;

	txn_get_header(&in, &h);
	if (h.type != ZK_OP_CLOSE_SESSION)
		return zk_hash13(&k, t->p, t->n);
	sum = zk_hash13(&k, t->p, TXN_HEADER_BYTES + 4);
	sum += zk_hash13(&k, t->p + t->n - TXN_DIGEST_BYTES, TXN_DIGEST_BYTES);
	for (int32_t n = jute_i32(&in); n > 0; n--) {
		struct zk_span path = jute_bytes(&in);

		sum += zk_hash13(&k, path.p, path.n);
	}
	assert_false(in.bad);
	assert_int_equal(jute_left(&in), TXN_DIGEST_BYTES);
	return sum;
}

/* Prep foretold the digest of the tree after each transaction, and applied again to another tree
 * they make the same digests. */
static void digests_right(struct world *w)
{
	struct lead *other = lead_open(&(struct lead_opt){.digest = true});
	struct txn_result res;
	struct leader_stats st;
	unsigned right = 0;

	lead_digest_check(w->d);
	leader_stats_get(w->d->l, &st);
	assert_int_equal(st.digest_mismatches, 0);
	for (size_t i = 0; i < w->d->log_n; i++) {
		const struct lead_txn *t = &w->d->log[i];

		res = (struct txn_result){0};
		assert_int_equal(txn_apply(other->tree, zk_span_of(t->p, t->n), &res), ZK_EOK);
		if (res.header.type == ZK_OP_ERROR)
			assert_int_equal(res.digest, TXN_DIGEST_NONE);
		else
			assert_int_equal(res.digest, TXN_DIGEST_RIGHT);
		right += res.digest == TXN_DIGEST_RIGHT;
	}
	assert_in_range(right, R_STEPS / 10, R_STEPS + 100);
	lead_digest_check(other);
	lead_close(other);
}

static void replay(struct tree *tree, const struct world *w, size_t from, size_t to, bool exact)
{
	for (size_t i = from; i < to; i++) {
		const struct lead_txn *t = &w->d->log[i];
		struct txn_result res = {0};

		assert_int_equal(txn_apply(tree, zk_span_of(t->p, t->n), &res), ZK_EOK);
		if (exact) {
			assert_int_not_equal(res.digest, TXN_DIGEST_WRONG);
			assert_int_equal(res.tree_fails, 0);
		}
	}
}

/* What a snapshot and its reader do: every node of @p from, parents first, into @p to. */
static void copy_below(struct tree *from, struct tree *to, struct tree_ref ref)
{
	struct tree_load_node n = {.path = tree_path(ref.node), .data = tree_data(ref)};
	const struct acl_list *acl = tree_acl(ref);
	const struct tree_node *kid;
	uint64_t cursor = 0;

	tree_raw(ref, &n.raw);
	n.raw.children = 77; /* not looked at */
	n.acl_key = acl->id;
	if (acl->id != -1)
		assert_int_equal(tree_load_acl(to, acl->id, acl->jute), ZK_EOK);
	tree_load_sum(to, &n);
	assert_int_equal(tree_load_node(to, &n), ZK_EOK);
	while (tree_child_next(ref, UINT64_MAX, &cursor, 1000, &kid)) {
		if (kid && tree_ref_at(kid, UINT64_MAX, &ref))
			copy_below(from, to, ref);
		bool found = tree_find_newest(from, n.path, &ref);

		assert_true(found);
	}
}

struct restore {
	const struct world *w;
	struct tree *snap; /* the state after transaction `at` */
	size_t name, at;
};

/* A snapshot of the state after `at` transactions that says it is the one after `name`. */
static void restore(struct tree *t, void *ctx)
{
	const struct restore *r = ctx;
	struct tree_ref ref;

	assert_int_equal(tree_load_open(t), ZK_EOK);
	tree_load_clear(t);
	assert_false(tree_load_whole(t));
	assert_true(tree_digest(t) == 0);
	assert_true(tree_find_newest(r->snap, zk_span_str("/"), &ref));
	copy_below(r->snap, t, ref);
	assert_true(tree_load_whole(t));
	assert_true(tree_digest(t) == tree_digest(r->snap));
	assert_true(tree_load_acls_missing(t) == 0);
	tree_load_zxid(t, r->name);
	assert_int_equal(tree_quota_rebuild(t), ZK_EOK);
	replay(t, r->w, r->name, r->at, false);
	assert_true(tree_digest(t) == tree_digest(r->snap));
	tree_load_settle(t);
	replay(t, r->w, r->at, r->w->d->log_n, true);
	tree_load_close(t);
}

/* Replay makes what the server had, and after the fuzzy part with the right digests. */
static void restores(struct world *w, size_t name, size_t at)
{
	struct lead *snap = lead_open(&(struct lead_opt){.digest = true}), *d;
	struct restore r = {.w = w, .snap = snap->tree, .name = name, .at = at};
	static const char usage_path[] = "/zookeeper/quota/a/zookeeper_stats";
	char usage[128];

	replay(snap->tree, w, 0, at, true);
	d = lead_open(&(struct lead_opt){.digest = true, .restore = restore, .restore_ctx = &r});
	assert_true(tree_last_zxid(d->tree) == tree_last_zxid(w->d->tree));
	/* Loading counts anew: for a quota without another below it that is what the server had;
	 * /b has one, whose part a load takes in (DataTree.getCounts()). */
	snprintf(usage, sizeof(usage), "%s", lead_node(w->d, usage_path));
	assert_string_equal(lead_node(d, usage_path), usage);
	assert_true(tree_digest(d->tree) == tree_digest(w->d->tree));
	for (unsigned i = 0; i < 4; i++) {
		static const char *const top[] = {"/a", "/b", "/c", "/d"};

		assert_true(lead_subtree_hash(d, top[i]) == lead_subtree_hash(w->d, top[i]));
	}
	lead_digest_check(d);
	lead_close(snap);
	lead_close(d);
}

/* The same stream of requests, durable at once and durable in random batches: the same replies, the
 * same log, the same tree. With quotas that shows that pending writes count as the applied do. */
static void random_stream(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 12; seed++) {
		struct world a, b;
		struct rng r = {seed}, batch = {seed + 1000};

		print_message("seed %llu\n", (unsigned long long)seed);
		world_open(&a, false, seed % 2);
		world_open(&b, true, seed % 2);
		for (int32_t step = 0; step < R_STEPS; step++) {
			unsigned i = below(&r, R_SESSIONS);
			struct zk_span body = {NULL, 0};
			int32_t op;

			if (below(&r, 300) == 0) {
				op = ZK_OP_CLOSE_SESSION;
			} else if (below(&r, 5) == 0) {
				m.n = 0;
				for (unsigned k = below(&r, 6); k; k--) {
					struct zk_span sub = some_op(&r, &op, true);

					multi_op(&m, op, sub);
				}
				op = ZK_OP_MULTI;
				body = multi_end(&m);
			} else {
				body = some_op(&r, &op, false);
			}
			a.d->wall_ms++;
			b.d->wall_ms++;
			assert_int_equal(lead_send(a.d, 0, a.conn[i], a.session[i], step, op, body),
					 ZK_EOK);
			assert_int_equal(lead_send(b.d, 0, b.conn[i], b.session[i], step, op, body),
					 ZK_EOK);
			world_take(&a);
			if (op == ZK_OP_CLOSE_SESSION) {
				/* the next session of this slot, on a new connection */
				lead_durable(b.d, b.d->logged, ~0u);
				world_take(&b);
				a.conn[i] = b.conn[i] = 1000 + (uint32_t)step;
				a.session[i] = lead_session(a.d, 0, a.conn[i], 40000);
				b.session[i] = lead_session(b.d, 0, b.conn[i], 40000);
				assert_true(a.session[i] == b.session[i]);
				lead_forget(a.d);
				lead_forget(b.d);
			}
			if (below(&batch, 12) == 0) {
				uint64_t from = leader_applied_zxid(b.d->l);
				uint64_t left = b.d->logged - from;

				lead_durable(b.d, from + below(&batch, (unsigned)left + 1),
					     1 + below(&batch, 30));
				world_take(&b);
			}
		}
		lead_durable(b.d, b.d->logged, ~0u);
		world_take(&b);
		for (unsigned i = 0; i < R_SESSIONS; i++)
			assert_true(a.replies[i] == b.replies[i]);
		assert_int_equal(a.replies_n, b.replies_n);
		assert_int_equal(a.d->log_n, b.d->log_n);
		for (size_t i = 0; i < a.d->log_n; i++) {
			assert_true(txn_hash(&a.d->log[i]) == txn_hash(&b.d->log[i]));
		}
		assert_true(lead_tree_hash(a.d) == lead_tree_hash(b.d));
		digests_right(&a);
		digests_right(&b);
		if (seed % 2)
			assert_in_range(quota_refusals(a.d), 51, UINT64_MAX);
		restores(&a, 0, a.d->log_n);
		restores(&a, 500, 500);
		restores(&a, 400, 400 + below(&r, 2000));
		lead_close(a.d);
		lead_close(b.d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
