/* SPDX-License-Identifier: Apache-2.0 */
/* Watches over the wire: setting, firing, catching up, removing (spec/client-protocol.md section 7,
 * spec/corner-cases.md 64, 78 to 88). */
#include "test/unit/server/srv_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { PERSISTENT = 0, RECURSIVE = 1 };

static void expect_replies(struct fake_conn *fc, int32_t first, int32_t last)
{
	for (int32_t i = first; i <= last; i++)
		(void)got_reply(fc, i, ZK_EOK);
}

static void standard(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *a = fake_session(f), *b = fake_session(f);
	uint64_t z;

	(void)state;
	(void)fake_tx(f, ZK_OP_CREATE, "/p", "");
	ask_path(a, 1, ZK_OP_EXISTS, "/p/n", true);
	ask_path(a, 2, ZK_OP_GET_CHILDREN, "/p", true);
	ask_path(a, 3, ZK_OP_EXISTS, "/p/n", true); /* twice: one event */
	ask_path(b, 1, ZK_OP_GET_CHILDREN2, "/p", true);
	fake_settle(f);
	(void)got_reply(a, 1, ZK_NONODE);
	expect_replies(a, 2, 2);
	(void)got_reply(a, 3, ZK_NONODE);
	expect_replies(b, 1, 1);
	z = fake_tx(f, ZK_OP_CREATE, "/p/n", "");
	fake_settle(f);
	got_event(a, (int64_t)z, ZK_EV_CREATED, "/p/n");
	got_event(a, (int64_t)z, ZK_EV_CHILDREN, "/p");
	got_nothing(a);
	got_event(b, (int64_t)z, ZK_EV_CHILDREN, "/p");
	/* they were standard watches: gone */
	(void)fake_tx(f, ZK_OP_SET_DATA, "/p/n", "1");
	(void)fake_tx(f, ZK_OP_CREATE, "/p/m", "");
	fake_settle(f);
	got_nothing(a);
	got_nothing(b);
	/* data and child watch of one node: one NodeDeleted; then the parent's */
	ask_path(a, 4, ZK_OP_GET_DATA, "/p/n", true);
	ask_path(a, 5, ZK_OP_GET_CHILDREN, "/p/n", true);
	ask_path(a, 6, ZK_OP_GET_CHILDREN, "/p", true);
	ask_path(b, 4, ZK_OP_GET_CHILDREN, "/p/n", true);
	fake_settle(f);
	expect_replies(a, 4, 6);
	expect_replies(b, 4, 4);
	z = fake_tx(f, ZK_OP_DELETE, "/p/n", "");
	fake_settle(f);
	got_event(a, (int64_t)z, ZK_EV_DELETED, "/p/n");
	got_event(a, (int64_t)z, ZK_EV_CHILDREN, "/p");
	got_event(b, (int64_t)z, ZK_EV_DELETED, "/p/n");
	(void)fake_tx(f, ZK_OP_CREATE, "/p/n", "");
	(void)fake_tx(f, ZK_OP_CREATE, "/p/n/k", "");
	fake_settle(f);
	got_nothing(a);
	got_nothing(b);
	/* children of the root */
	ask_path(a, 7, ZK_OP_GET_CHILDREN, "/", true);
	fake_settle(f);
	expect_replies(a, 7, 7);
	z = fake_tx(f, ZK_OP_CREATE, "/q", "");
	fake_settle(f);
	got_event(a, (int64_t)z, ZK_EV_CHILDREN, "/");
	fake_free(f);
}

static void persistent_and_recursive(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *p = fake_session(f), *r = fake_session(f), *bad = fake_session(f);
	struct got g;
	uint64_t z;

	(void)state;
	ask_path_i32(p, 1, ZK_OP_ADD_WATCH, "/a", PERSISTENT); /* the node need not exist */
	ask_path_i32(r, 1, ZK_OP_ADD_WATCH, "/a", RECURSIVE);
	ask_path_i32(bad, 1, ZK_OP_ADD_WATCH, "/a", 2);
	ask_path_i32(bad, 2, ZK_OP_ADD_WATCH, "/a", -1);
	ask_path_i32(bad, 3, ZK_OP_ADD_WATCH, NULL, 0);
	fake_settle(f);
	g = got_reply(p, 1, ZK_EOK);
	assert_int_equal(g.body_n, 4);
	assert_int_equal(jute_i32(&g.body), 0);
	(void)got_reply(r, 1, ZK_EOK);
	for (int32_t i = 1; i <= 3; i++)
		(void)got_reply(bad, i, ZK_MARSHALLINGERROR);
	for (unsigned i = 0; i < 3; i++) { /* they stay */
		z = fake_tx(f, ZK_OP_CREATE, "/a", "");
		fake_settle(f);
		got_event(p, (int64_t)z, ZK_EV_CREATED, "/a");
		got_event(r, (int64_t)z, ZK_EV_CREATED, "/a");
		z = fake_tx(f, ZK_OP_CREATE, "/a/b", "");
		fake_settle(f);
		got_event(p, (int64_t)z, ZK_EV_CHILDREN, "/a");
		got_event(r, (int64_t)z, ZK_EV_CREATED, "/a/b"); /* never NodeChildrenChanged */
		z = fake_tx(f, ZK_OP_SET_DATA, "/a/b", "1");
		fake_settle(f);
		got_event(r, (int64_t)z, ZK_EV_DATA, "/a/b");
		z = fake_tx(f, ZK_OP_DELETE, "/a/b", "");
		fake_settle(f);
		got_event(p, (int64_t)z, ZK_EV_CHILDREN, "/a");
		got_event(r, (int64_t)z, ZK_EV_DELETED, "/a/b");
		z = fake_tx(f, ZK_OP_DELETE, "/a", "");
		fake_settle(f);
		got_event(p, (int64_t)z, ZK_EV_DELETED, "/a");
		got_event(r, (int64_t)z, ZK_EV_DELETED, "/a");
		got_nothing(p);
		got_nothing(r);
	}
	/* both on one connection: both behaviours, one event per trigger */
	ask_path_i32(r, 2, ZK_OP_ADD_WATCH, "/a", PERSISTENT);
	fake_settle(f);
	(void)got_reply(r, 2, ZK_EOK);
	z = fake_tx(f, ZK_OP_CREATE, "/a", "");
	(void)fake_tx(f, ZK_OP_CREATE, "/a/b", "");
	fake_settle(f);
	got_event(r, (int64_t)z, ZK_EV_CREATED, "/a");
	got_event(r, (int64_t)z + 1, ZK_EV_CREATED, "/a/b");
	got_event(r, (int64_t)z + 1, ZK_EV_CHILDREN, "/a");
	got_nothing(r);
	fake_free(f);
}

/* a multi's changes: all events, op by op, before anything else */
static void one_transaction(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *a = fake_session(f);
	int64_t z;

	(void)state;
	ask_path_i32(a, 1, ZK_OP_ADD_WATCH, "/", RECURSIVE);
	fake_settle(f);
	(void)got_reply(a, 1, ZK_EOK);
	z = (int64_t)++f->zxid;
	tree_begin(f->tree, f->zxid, 1);
	assert_int_equal(tree_create(f->tree, zk_span_str("/x"), (struct zk_span){NULL, 0},
				     (struct zk_span){NULL, 0}, 0, -1),
			 ZK_EOK);
	assert_int_equal(tree_create(f->tree, zk_span_str("/x/y"), (struct zk_span){NULL, 0},
				     (struct zk_span){NULL, 0}, 0, -1),
			 ZK_EOK);
	ask_path(a, 2, ZK_OP_EXISTS, "/x", false);
	fake_settle(f);
	assert_true(got_reply(a, 2, ZK_NONODE).zxid < z); /* not published yet */
	got_nothing(a);
	assert_int_equal(tree_set_data(f->tree, zk_span_str("/x"), zk_span_str("d"), 1), ZK_EOK);
	assert_int_equal(tree_delete(f->tree, zk_span_str("/x/y")), ZK_EOK);
	tree_end(f->tree);
	fake_settle(f);
	got_event(a, z, ZK_EV_CREATED, "/x");
	got_event(a, z, ZK_EV_CREATED, "/x/y");
	got_event(a, z, ZK_EV_DATA, "/x");
	got_event(a, z, ZK_EV_DELETED, "/x/y");
	got_nothing(a);
	fake_free(f);
}

/* 3.9: events are held to READ on the ACL; standard ones are used up all the same */
static void events_need_read(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *in = fake_session(f), *out = fake_session(f);
	struct req r;
	uint64_t z;

	(void)state;
	req_start(&r, -4, ZK_OP_AUTH);
	req_i32(&r, 0);
	req_str(&r, "digest");
	req_str(&r, "bob:pw");
	req_send(&r, in);
	fake_settle(f);
	(void)got_reply(in, -4, ZK_EOK);
	ask_path_i32(in, 1, ZK_OP_ADD_WATCH, "/", RECURSIVE);
	ask_path_i32(out, 1, ZK_OP_ADD_WATCH, "/", RECURSIVE);
	ask_path(out, 2, ZK_OP_EXISTS, "/s", true);
	fake_settle(f);
	(void)got_reply(in, 1, ZK_EOK);
	(void)got_reply(out, 1, ZK_EOK);
	(void)got_reply(out, 2, ZK_NONODE);
	z = fake_tx_acl(f, "/s", "",
			req_acl_of(&r, ZK_PERM_ALL, "digest", "bob:ikIaKsbtGweaHnb/jKn7OHqbunM="));
	(void)fake_tx(f, ZK_OP_SET_DATA, "/s", "1");
	(void)fake_tx(f, ZK_OP_CREATE, "/s/open", "1"); /* its own ACL is what counts */
	(void)fake_tx(f, ZK_OP_DELETE, "/s/open", "");
	(void)fake_tx(f, ZK_OP_DELETE, "/s", "");
	fake_settle(f);
	got_event(in, (int64_t)z, ZK_EV_CREATED, "/s");
	got_event(in, (int64_t)z + 1, ZK_EV_DATA, "/s");
	got_event(in, (int64_t)z + 2, ZK_EV_CREATED, "/s/open");
	got_event(in, (int64_t)z + 3, ZK_EV_DELETED, "/s/open");
	got_event(in, (int64_t)z + 4, ZK_EV_DELETED, "/s");
	got_event(out, (int64_t)z + 2, ZK_EV_CREATED, "/s/open");
	got_event(out, (int64_t)z + 3, ZK_EV_DELETED, "/s/open");
	got_nothing(out);
	(void)srv_end(f->srv, f->now_ns);
	assert_int_equal(atomic_load(&srv_stats_of(f->srv)->events_hidden), 3);
	assert_int_equal(atomic_load(&srv_stats_of(f->srv)->watch_data), 2);
	fake_free(f);
}

/* ---- setWatches ---- */

static void list(struct req *r, const char *const *v)
{
	int32_t n = 0;

	while (v[n])
		n++;
	req_i32(r, n);
	for (int32_t i = 0; i < n; i++)
		req_str(r, v[i]);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__ NULL})

static void set_watches(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *a = fake_session(f);
	struct req r;
	int64_t since;

	(void)state;
	(void)fake_tx(f, ZK_OP_CREATE, "/same", "");
	(void)fake_tx(f, ZK_OP_CREATE, "/data", "");
	(void)fake_tx(f, ZK_OP_CREATE, "/kids", "");
	(void)fake_tx(f, ZK_OP_CREATE, "/gone", "");
	since = (int64_t)f->zxid;
	(void)fake_tx(f, ZK_OP_SET_DATA, "/data", "");
	(void)fake_tx(f, ZK_OP_CREATE, "/kids/k", "");
	(void)fake_tx(f, ZK_OP_DELETE, "/gone", "");
	fake_settle(f);
	req_start(&r, ZK_XID_SET_WATCHES, ZK_OP_SET_WATCHES2);
	req_i64(&r, since);
	list(&r, LIST("/same", "/data", "/kids", "/gone", )); /* data */
	list(&r, LIST("/same", "/gone", ));                   /* exist */
	list(&r, LIST("/same", "/data", "/kids", "/gone", )); /* child */
	list(&r, LIST("/gone", "/pers", ));                   /* persistent */
	list(&r, LIST("/rec", ));                             /* recursive */
	req_send(&r, a);
	fake_settle(f);
	got_event(a, -1, ZK_EV_DATA, "/data");
	got_event(a, -1, ZK_EV_DELETED, "/gone");
	got_event(a, -1, ZK_EV_CREATED, "/same");
	got_event(a, -1, ZK_EV_CHILDREN, "/kids");
	got_event(a, -1, ZK_EV_DELETED, "/gone");
	(void)got_reply(a, ZK_XID_SET_WATCHES, ZK_EOK);
	got_nothing(a);
	/* what was registered */
	since = (int64_t)fake_tx(f, ZK_OP_CREATE, "/gone", "");
	(void)fake_tx(f, ZK_OP_SET_DATA, "/same", "");
	(void)fake_tx(f, ZK_OP_SET_DATA, "/data", "");
	(void)fake_tx(f, ZK_OP_SET_DATA, "/kids", "");
	(void)fake_tx(f, ZK_OP_CREATE, "/same/k", "");
	(void)fake_tx(f, ZK_OP_CREATE, "/data/k", "");
	(void)fake_tx(f, ZK_OP_CREATE, "/rec", "");
	(void)fake_tx(f, ZK_OP_CREATE, "/rec/x", "");
	(void)fake_tx(f, ZK_OP_CREATE, "/pers", "");
	(void)fake_tx(f, ZK_OP_CREATE, "/pers/x", "");
	fake_settle(f);
	got_event(a, since, ZK_EV_CREATED, "/gone");
	got_event(a, since + 1, ZK_EV_DATA, "/same");
	got_event(a, since + 3, ZK_EV_DATA, "/kids");
	got_event(a, since + 4, ZK_EV_CHILDREN, "/same");
	got_event(a, since + 5, ZK_EV_CHILDREN, "/data");
	got_event(a, since + 6, ZK_EV_CREATED, "/rec");
	got_event(a, since + 7, ZK_EV_CREATED, "/rec/x");
	got_event(a, since + 8, ZK_EV_CREATED, "/pers");
	got_event(a, since + 9, ZK_EV_CHILDREN, "/pers");
	got_nothing(a);
	/* the older form has three lists; null vectors and null paths are errors */
	req_start(&r, -8, ZK_OP_SET_WATCHES);
	req_i64(&r, 0);
	list(&r, LIST("/data", ));
	list(&r, LIST());
	list(&r, LIST());
	req_send(&r, a);
	req_start(&r, -8, ZK_OP_SET_WATCHES);
	req_i64(&r, 0);
	list(&r, LIST("/data", ));
	list(&r, LIST());
	req_i32(&r, -1);
	req_send(&r, a);
	req_start(&r, -8, ZK_OP_SET_WATCHES);
	req_i64(&r, 0);
	list(&r, LIST("/data", ));
	list(&r, LIST());
	req_send(&r, a);
	req_start(&r, -8, ZK_OP_SET_WATCHES);
	req_i64(&r, 0);
	req_i32(&r, 1);
	req_i32(&r, -1);
	list(&r, LIST());
	list(&r, LIST());
	req_send(&r, a);
	fake_settle(f);
	got_event(a, -1, ZK_EV_DATA, "/data");
	(void)got_reply(a, -8, ZK_EOK);
	for (unsigned i = 0; i < 3; i++)
		(void)got_reply(a, -8, ZK_MARSHALLINGERROR);
	got_nothing(a);
	fake_free(f);
}

/* ---- checkWatches, removeWatches ---- */

enum { STD_DATA = 1, STD_CHILD = 2, PERS = 4, REC = 8 };

static void put_watches(struct fake_conn *fc, unsigned what)
{
	if (what & STD_DATA)
		ask_path(fc, 1, ZK_OP_GET_DATA, "/a", true);
	if (what & STD_CHILD)
		ask_path(fc, 1, ZK_OP_GET_CHILDREN, "/a", true);
	if (what & PERS)
		ask_path_i32(fc, 1, ZK_OP_ADD_WATCH, "/a", PERSISTENT);
	if (what & REC)
		ask_path_i32(fc, 1, ZK_OP_ADD_WATCH, "/a", RECURSIVE);
	fake_settle(fc->f);
	while (got_next(fc).any)
		;
}

/* every type against every set of watches */
static void remove_watches(void **state)
{
	static const unsigned covers[6] = {
		0, STD_CHILD, STD_DATA, STD_DATA | STD_CHILD | PERS | REC, PERS, REC};
	struct fake *f = fake_new(NULL);

	(void)state;
	(void)fake_tx(f, ZK_OP_CREATE, "/a", "");
	for (unsigned what = 0; what < 16; what++) {
		for (int32_t type = 0; type <= 6; type++) {
			struct fake_conn *fc = fake_session(f);
			bool valid = type >= 1 && type <= 5;
			unsigned hit = valid ? what & covers[type] : 0;
			int32_t err = !valid ? ZK_MARSHALLINGERROR : hit ? ZK_EOK : ZK_NOWATCHER;
			struct got g;
			int64_t z;

			put_watches(fc, what);
			ask_path_i32(fc, 2, ZK_OP_CHECK_WATCHES, "/a", type);
			ask_path_i32(fc, 3, ZK_OP_CHECK_WATCHES, "/b", type);
			ask_path_i32(fc, 4, ZK_OP_REMOVE_WATCHES, "/a", type);
			ask_path_i32(fc, 5, ZK_OP_CHECK_WATCHES, "/a", type);
			ask_path_i32(fc, 6, ZK_OP_REMOVE_WATCHES, NULL, type);
			fake_settle(f);
			assert_int_equal(got_reply(fc, 2, err).body_n, 0);
			(void)got_reply(fc, 3, valid ? ZK_NOWATCHER : ZK_MARSHALLINGERROR);
			assert_int_equal(got_reply(fc, 4, err).body_n, 0);
			(void)got_reply(fc, 5, valid ? ZK_NOWATCHER : ZK_MARSHALLINGERROR);
			(void)got_reply(fc, 6, ZK_MARSHALLINGERROR);
			/* what is left still fires */
			z = (int64_t)fake_tx(f, ZK_OP_SET_DATA, "/a", "");
			fake_settle(f);
			if (what & ~hit & (STD_DATA | PERS | REC))
				got_event(fc, z, ZK_EV_DATA, "/a");
			got_nothing(fc);
			z = (int64_t)fake_tx(f, ZK_OP_CREATE, "/a/k", "");
			(void)fake_tx(f, ZK_OP_DELETE, "/a/k", "");
			fake_settle(f);
			if (what & ~hit & REC)
				got_event(fc, z, ZK_EV_CREATED, "/a/k");
			if (what & ~hit & (STD_CHILD | PERS))
				got_event(fc, z, ZK_EV_CHILDREN, "/a");
			if (what & ~hit & REC)
				got_event(fc, z + 1, ZK_EV_DELETED, "/a/k");
			if (what & ~hit & PERS)
				got_event(fc, z + 1, ZK_EV_CHILDREN, "/a");
			g = got_next(fc);
			assert_false(g.any);
			fake_gone(fc);
		}
	}
	fake_free(f);
}

/* watches die with the connection, also when it is we who end it */
static void gone_with_connection(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *a = fake_session(f), *b = fake_session(f);

	(void)state;
	ask_path_i32(a, 1, ZK_OP_ADD_WATCH, "/", RECURSIVE);
	ask_path_i32(b, 1, ZK_OP_ADD_WATCH, "/", RECURSIVE);
	ask_plain(a, 2, 12345);
	fake_settle(f);
	assert_true(a->shut);
	fake_gone(b);
	(void)fake_tx(f, ZK_OP_CREATE, "/x", "");
	fake_settle(f);
	assert_int_equal(atomic_load(&srv_stats_of(f->srv)->watch_paths), 0);
	assert_int_equal(atomic_load(&srv_stats_of(f->srv)->events), 0);
	fake_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(standard),
		cmocka_unit_test(persistent_and_recursive),
		cmocka_unit_test(one_transaction),
		cmocka_unit_test(events_need_read),
		cmocka_unit_test(set_watches),
		cmocka_unit_test(remove_watches),
		cmocka_unit_test(gone_with_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
