/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of the tree one by one. */
#include "fix.h"

#include <stdio.h>

static void predefined_nodes(void **state)
{
	struct fix *f = *state;
	static const char *const paths[] = {"/", "/zookeeper", "/zookeeper/config",
					    "/zookeeper/quota"};
	static const int32_t cversions[] = {-1, -2, 0, 0};
	struct tree_ref ref;

	for (unsigned i = 0; i < 4; i++) {
		struct zk_stat st = stat_of(f, paths[i]);

		assert_int_equal(st.czxid | st.mzxid | st.pzxid | st.ctime | st.mtime, 0);
		assert_int_equal(st.version, 0);
		assert_int_equal(st.cversion, cversions[i]);
		assert_int_equal(st.aversion, i == 2 ? -1 : 0);
		assert_true(tree_find(f->t, zk_span_str(paths[i]), 0, &ref));
		assert_non_null(tree_data(ref).p);
		assert_int_equal(tree_data(ref).n, 0);
		assert_int_equal(tree_acl(ref)->id, i == 2 ? 1 : -1);
		assert_int_equal(tree_acl(ref)->open_all, i != 2);
		assert_int_equal(tree_acl(ref)->v[0].perms, i == 2 ? ZK_PERM_READ : ZK_PERM_ALL);
	}
	/* zk_znode_count counts the root twice, zk_approximate_data_size not: as a fresh server */
	assert_int_equal(stats(f).nodes, 4);
	assert_int_equal(stats(f).data_bytes, 44);

	assert_true(tree_find(f->t, none, 0, &ref));
	assert_int_equal(tree_path(ref.node).n, 1);
	assert_int_equal(tree_name(ref.node).n, 0);
	assert_false(tree_parent(ref, 0, &ref));
	assert_false(tree_find(f->t, zk_span_str("/zookeeper/"), 0, &ref));
	assert_false(tree_find(f->t, zk_span_str("zookeeper"), 0, &ref));
}

static void create_rules(void **state)
{
	struct fix *f = *state;
	struct zk_stat st;

	begin(f); /* 1 */
	assert_int_equal(create(f, "/a/b"), ZK_NONODE);
	assert_int_equal(create(f, "a"), ZK_NONODE);
	assert_int_equal(create(f, "/"), ZK_NODEEXISTS);
	ok(create(f, "/a"));
	assert_int_equal(create(f, "/a"), ZK_NODEEXISTS);
	tree_end(f->t);
	st = stat_of(f, "/");
	assert_int_equal(st.pzxid, 1);
	assert_int_equal(st.cversion, 2 * 1 - 2);
	st = stat_of(f, "/a");
	assert_int_equal(st.ctime, 1000);
	assert_int_equal(st.czxid, 1);

	begin(f); /* 2: the parent's cversion is raised, never lowered */
	ok(tree_create(f->t, zk_span_str("/a/x"), none, none, 0, 10));
	tree_end(f->t);
	assert_int_equal(stat_of(f, "/a").cversion, 2 * 10 - 1);
	assert_int_equal(stat_of(f, "/a").pzxid, 2);
	begin(f); /* 3 */
	ok(tree_create(f->t, zk_span_str("/a/y"), none, none, 0, 4));
	tree_end(f->t);
	assert_int_equal(stat_of(f, "/a").cversion, 2 * 10 - 2);
	assert_int_equal(stat_of(f, "/a").pzxid, 2);

	begin(f); /* 4: setCversionPzxid() */
	ok(tree_raise_parent(f->t, zk_span_str("/a/y"), 10));
	assert_int_equal(stat_of(f, "/a").pzxid, 2);
	ok(tree_raise_parent(f->t, zk_span_str("/a/y"), 11));
	assert_int_equal(tree_raise_parent(f->t, zk_span_str("/b/y"), 11), ZK_NONODE);
	tree_end(f->t);
	assert_int_equal(stat_of(f, "/a").pzxid, 4);
	assert_int_equal(stat_of(f, "/a").cversion, 2 * 11 - 2);
}

static void delete_rules(void **state)
{
	struct fix *f = *state;

	begin(f); /* 1 */
	ok(create(f, "/a"));
	ok(create(f, "/a/b"));
	ok(create(f, "/a/b/c"));
	ok(create(f, "/a/b/d"));
	ok(create(f, "/a/e"));
	tree_end(f->t);
	begin(f); /* 2: missing node, parent there */
	assert_int_equal(del(f, "/a/zz"), ZK_NONODE);
	assert_int_equal(del(f, "/zz/zz"), ZK_NONODE);
	assert_int_equal(del(f, "/"), ZK_BADARGUMENTS);
	tree_end(f->t);
	assert_int_equal(stat_of(f, "/a").pzxid, 2);
	assert_int_equal(stat_of(f, "/a").cversion, 2 * 2 - 2);
	begin(f); /* 3: with all below */
	ok(del(f, "/a"));
	tree_end(f->t);
	assert_int_equal(stats(f).nodes, 4);
	assert_true(exists(f, "/a/b/d", 2));
	assert_false(exists(f, "/a/b/d", 3));
	catch_up(f);
	collect_all(f);
	assert_int_equal(stats(f).versions, 4);
	assert_int_equal(stats(f).garbage, 0);
}

static void set_rules(void **state)
{
	struct fix *f = *state;
	struct tree_ref ref;
	struct zk_stat st;
	char big[5000];

	begin(f); /* 1 */
	ok(create(f, "/a"));
	assert_int_equal(set(f, "/b", "x", 1), ZK_NONODE);
	assert_int_equal(tree_set_acl(f->t, zk_span_str("/b"), none, 1), ZK_NONODE);
	tree_end(f->t);
	begin(f); /* 2: versions are the transaction's, not counted here */
	ok(set(f, "/a", "new", 41));
	ok(tree_set_acl(f->t, zk_span_str("/a"), none, 17));
	tree_end(f->t);
	st = stat_of(f, "/a");
	assert_int_equal(st.version, 41);
	assert_int_equal(st.aversion, 17);
	assert_int_equal(st.mzxid, 2);
	assert_int_equal(st.mtime, 2000);
	assert_int_equal(st.czxid, 1);

	/* null, empty, small and large all come back, also to the reader of the past */
	memset(big, 'x', sizeof(big));
	begin(f); /* 3 */
	ok(tree_set_data(f->t, zk_span_str("/a"), none, 42));
	tree_end(f->t);
	begin(f); /* 4 */
	ok(tree_set_data(f->t, zk_span_str("/a"), zk_span_of("", 0), 43));
	tree_end(f->t);
	begin(f); /* 5 */
	ok(tree_set_data(f->t, zk_span_str("/a"), zk_span_of(big, sizeof(big)), 44));
	tree_end(f->t);
	begin(f); /* 6: a new version that shares the large data */
	ok(create(f, "/a/child"));
	tree_end(f->t);
	assert_true(tree_find(f->t, zk_span_str("/a"), 1, &ref));
	assert_true(zk_span_eq(tree_data(ref), zk_span_str("data")));
	assert_true(tree_find(f->t, zk_span_str("/a"), 3, &ref));
	assert_null(tree_data(ref).p);
	assert_true(tree_find(f->t, zk_span_str("/a"), 4, &ref));
	assert_non_null(tree_data(ref).p);
	assert_int_equal(tree_data(ref).n, 0);
	for (uint64_t z = 5; z <= 6; z++) {
		assert_true(tree_find(f->t, zk_span_str("/a"), z, &ref));
		assert_true(zk_span_eq(tree_data(ref), zk_span_of(big, sizeof(big))));
	}
	assert_int_equal(stats(f).data_bytes, 44 + 2 + 5000 + 8 + 4);
}

/* Create, delete, set and create again inside one transaction: only the outcome is ever seen, and
 * nothing is left behind. */
static void one_transaction(void **state)
{
	struct fix *f = *state;
	struct tree_change c;
	static const enum tree_change_kind want[] = {
		TREE_CHANGE_CREATED, TREE_CHANGE_DELETED, TREE_CHANGE_CREATED, TREE_CHANGE_CREATED,
		TREE_CHANGE_DELETED, TREE_CHANGE_DELETED, TREE_CHANGE_CREATED, TREE_CHANGE_DATA,
		TREE_CHANGE_CREATED, TREE_CHANGE_DELETED, TREE_CHANGE_END};

	begin(f);
	ok(create(f, "/a"));
	ok(del(f, "/a"));
	ok(create(f, "/a"));
	ok(create(f, "/a/b"));
	ok(del(f, "/a/b"));
	ok(del(f, "/a"));
	ok(create(f, "/a"));
	ok(set(f, "/a", "z", 9));
	ok(create(f, "/gone"));
	ok(del(f, "/gone"));
	assert_false(exists(f, "/a", 0));
	tree_end(f->t);
	for (unsigned i = 0; i < 11; i++) {
		assert_true(tree_change_next(f->r, &c));
		assert_int_equal(c.kind, want[i]);
		assert_int_equal(c.zxid, 1);
	}
	assert_false(tree_change_next(f->r, &c));
	assert_false(exists(f, "/a", tree_visible(f->r)));
	tree_reader_advance(f->r, 1);
	assert_true(exists(f, "/a", 1));
	assert_false(exists(f, "/gone", 1));
	assert_int_equal(stat_of(f, "/").cversion, 2 * 4 - 2);
	collect_all(f);
	assert_int_equal(stats(f).versions, 5);
	assert_int_equal(stats(f).nodes, 5);
}

/* The tombstone of a parent is queued before that of a child: the parent waits for the child. */
static void parent_outlives_child(void **state)
{
	struct fix *f = *state;

	begin(f);
	ok(create(f, "/a"));
	tree_end(f->t);
	begin(f);
	ok(del(f, "/a"));
	ok(create(f, "/a"));
	ok(create(f, "/a/b"));
	ok(del(f, "/a/b"));
	ok(del(f, "/a"));
	tree_end(f->t);
	catch_up(f);
	for (unsigned i = 0; i < 20; i++) { /* one object at a time, freed at once */
		struct tree_garbage *g;

		(void)tree_collect(f->t, 1);
		g = tree_garbage_take(f->t);
		if (g)
			assert_true(tree_garbage_free(f->t, g, 100));
	}
	assert_int_equal(stats(f).versions, 4);
	assert_int_equal(stats(f).garbage, 0);

	/* and back to life while it waits */
	begin(f);
	ok(create(f, "/a"));
	ok(create(f, "/a/b"));
	tree_end(f->t);
	begin(f);
	ok(del(f, "/a/b"));
	ok(del(f, "/a"));
	tree_end(f->t);
	catch_up(f);
	(void)tree_collect(f->t, 1);
	begin(f);
	ok(create(f, "/a"));
	ok(create(f, "/a/b"));
	tree_end(f->t);
	catch_up(f);
	collect_all(f);
	assert_true(exists(f, "/a/b", f->zxid));
	assert_int_equal(stats(f).versions, 6);
}

static void ephemerals(void **state)
{
	struct fix *f = *state;
	const struct tree_node *n = NULL;
	char path[32];

	begin(f);
	for (unsigned i = 0; i < 300; i++) { /* many sessions: the table grows */
		snprintf(path, sizeof(path), "/e%u", i);
		ok(tree_create(f->t, zk_span_str(path), none, none, 1000 + i / 2, -1));
	}
	ok(tree_create(f->t, zk_span_str("/c"), none, none, ZK_OWNER_CONTAINER, -1));
	ok(tree_create(f->t, zk_span_str("/t"), none, none, ZK_OWNER_TTL | 5, -1));
	tree_end(f->t);
	assert_int_equal(stats(f).ephemerals, 300);
	assert_int_equal(stat_of(f, "/e0").ephemeral_owner, 1000);
	assert_int_equal(stat_of(f, "/c").ephemeral_owner, 0);
	assert_int_equal(stat_of(f, "/t").ephemeral_owner, 0);
	assert_true(tree_ephemeral_next(f->t, 1007, &n));
	assert_true(zk_span_eq(tree_path(n), zk_span_str("/e14")));
	assert_true(tree_ephemeral_next(f->t, 1007, &n));
	assert_true(zk_span_eq(tree_path(n), zk_span_str("/e15")));
	assert_false(tree_ephemeral_next(f->t, 1007, &n));
	n = NULL;
	assert_false(tree_ephemeral_next(f->t, ZK_OWNER_CONTAINER, &n));
	begin(f); /* to another session */
	ok(del(f, "/e14"));
	ok(tree_create(f->t, zk_span_str("/e14"), none, none, 5, -1));
	ok(del(f, "/e15"));
	tree_end(f->t);
	n = NULL;
	assert_false(tree_ephemeral_next(f->t, 1007, &n));
	assert_true(tree_ephemeral_next(f->t, 5, &n));
	assert_int_equal(stats(f).ephemerals, 299);
}

static void acls_are_shared(void **state)
{
	struct fix *f = *state;
	static const uint8_t two[] = "\0\0\0\2\0\0\0\1\0\0\0\2ip\0\0\0\7"
				     "1.2.3.4"
				     "\0\0\0\x1f\0\0\0\5world\0\0\0\6"
				     "anyone";
	static const uint8_t all[] = "\0\0\0\1\0\0\0\x1f\0\0\0\5world\0\0\0\6"
				     "anyone";
	struct zk_span acl = zk_span_of(two, sizeof(two) - 1);
	struct tree_ref a, b;
	char path[32];

	begin(f);
	ok(tree_create(f->t, zk_span_str("/a"), none, acl, 0, -1));
	ok(tree_create(f->t, zk_span_str("/b"), none, acl, 0, -1));
	ok(tree_create(f->t, zk_span_str("/o"), none, zk_span_of(all, sizeof(all) - 1), 0, -1));
	ok(tree_create(f->t, zk_span_str("/n"), none, zk_span_of("\0\0\0\0", 4), 0, -1));
	ok(tree_create(f->t, zk_span_str("/m"), none, zk_span_of("\xff\xff\xff\xff", 4), 0, -1));
	tree_end(f->t);
	assert_true(tree_find_newest(f->t, zk_span_str("/a"), &a));
	assert_true(tree_find_newest(f->t, zk_span_str("/b"), &b));
	assert_ptr_equal(tree_acl(a), tree_acl(b));
	assert_int_equal(tree_acl(a)->n, 2);
	assert_true(tree_acl(a)->open_all);
	assert_true(zk_span_eq(tree_acl(a)->v[0].id, zk_span_str("1.2.3.4")));
	assert_true(zk_span_eq(tree_acl(a)->jute, acl));
	for (unsigned i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "/%c", "onm"[i]);
		assert_true(tree_find_newest(f->t, zk_span_str(path), &a));
		assert_int_equal(tree_acl(a)->id, -1);
		assert_int_equal(tree_acl(a)->jute.n, sizeof(all) - 1);
	}
	/* many lists come and go: two are left, world:anyone and that of /zookeeper/config */
	for (unsigned i = 0; i < 500; i++) {
		uint8_t jute[sizeof(two)];

		memcpy(jute, two, sizeof(two));
		jute[4] = (uint8_t)(i >> 8);
		jute[5] = (uint8_t)i;
		begin(f);
		snprintf(path, sizeof(path), "/x%u", i);
		ok(tree_create(f->t, zk_span_str(path), none, zk_span_of(jute, acl.n), 0, -1));
		tree_end(f->t);
	}
	assert_int_equal(f->t->acls.n, 2 + 500); /* the first of them equals that of /a */
	begin(f);
	for (unsigned i = 0; i < 500; i++) {
		snprintf(path, sizeof(path), "/x%u", i);
		ok(del(f, path));
	}
	ok(del(f, "/a"));
	ok(del(f, "/b"));
	tree_end(f->t);
	catch_up(f);
	collect_all(f);
	assert_int_equal(f->t->acls.n, 2);
}

/* A list that was replaced inside the transaction stays for those who read its change records. */
static void records_keep_their_acl(void **state)
{
	struct fix *f = *state;
	static const uint8_t one[] = "\0\0\0\1\0\0\0\1\0\0\0\2ip\0\0\0\7"
				     "1.2.3.4";
	struct zk_span acl = zk_span_of(one, sizeof(one) - 1);
	struct tree_change c;

	begin(f);
	ok(tree_create(f->t, zk_span_str("/a"), none, acl, 0, -1));
	ok(tree_set_acl(f->t, zk_span_str("/a"), none, 1));
	ok(tree_set_acl(f->t, zk_span_str("/"), acl, 1));
	ok(create(f, "/b"));
	ok(tree_set_acl(f->t, zk_span_str("/"), none, 2));
	tree_end(f->t);
	collect_all(f);
	assert_true(tree_change_next(f->r, &c));
	assert_true(zk_span_eq(c.acl->jute, acl));
	assert_true(c.parent_acl->open_all);
	assert_true(tree_change_next(f->r, &c));
	assert_true(c.acl->open_all);
	assert_true(zk_span_eq(c.parent_acl->jute, acl));
	catch_up(f);
	collect_all(f);
	assert_int_equal(f->t->acls.n, 2);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fix_set_up, fix_tear_down)
	const struct CMUnitTest tests[] = {
		T(predefined_nodes), T(create_rules),    T(delete_rules),
		T(set_rules),        T(one_transaction), T(parent_outlives_child),
		T(ephemerals),       T(acls_are_shared), T(records_keep_their_acl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
