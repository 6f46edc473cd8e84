/* SPDX-License-Identifier: Apache-2.0 */
/* Every read and its errors (spec/semantics.md section 5), auth, unknown opcodes. */
#include "test/unit/server/srv_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void expect_stat(struct got *g, uint64_t czxid, int32_t children, int32_t len)
{
	struct zk_stat s;

	s.czxid = jute_i64(&g->body);
	s.mzxid = jute_i64(&g->body);
	s.ctime = jute_i64(&g->body);
	s.mtime = jute_i64(&g->body);
	s.version = jute_i32(&g->body);
	s.cversion = jute_i32(&g->body);
	s.aversion = jute_i32(&g->body);
	s.ephemeral_owner = jute_i64(&g->body);
	s.data_length = jute_i32(&g->body);
	s.num_children = jute_i32(&g->body);
	s.pzxid = jute_i64(&g->body);
	assert_false(g->body.bad);
	assert_int_equal(jute_left(&g->body), 0);
	assert_int_equal(s.czxid, czxid);
	assert_int_equal(s.ctime, czxid * 1000);
	assert_int_equal(s.num_children, children);
	assert_int_equal(s.data_length, len);
}

static void exists(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *fc = fake_session(f);
	struct req r;
	uint64_t z;
	struct got g;

	(void)state;
	z = fake_tx(f, ZK_OP_CREATE, "/a", "hello");
	(void)fake_tx_acl(f, "/secret", "x", req_acl_of(&r, ZK_PERM_ALL, "digest", "bob:xyz"));
	ask_path(fc, 1, ZK_OP_EXISTS, "/a", false);
	ask_path(fc, 2, ZK_OP_EXISTS, "/none", false);
	ask_path(fc, 3, ZK_OP_EXISTS, NULL, false);
	ask_path(fc, 4, ZK_OP_EXISTS, "/secret", true);
	ask_path(fc, 5, ZK_OP_EXISTS, "", false);
	ask_path(fc, 6, ZK_OP_EXISTS, "a", false);
	ask_path(fc, 7, ZK_OP_EXISTS, "/a/", false);
	req_start(&r, 8, ZK_OP_EXISTS); /* NUL in the path */
	req_i32(&r, 3);
	req_u8(&r, '/');
	req_u8(&r, 0);
	req_u8(&r, 'a');
	req_u8(&r, 0);
	req_send(&r, fc);
	req_start(&r, 9, ZK_OP_EXISTS); /* the watch byte is missing */
	req_str(&r, "/a");
	req_send(&r, fc);
	req_start(&r, 10, ZK_OP_EXISTS); /* bytes to spare */
	req_str(&r, "/a");
	req_u8(&r, 0);
	req_i64(&r, 77);
	req_send(&r, fc);
	req_start(&r, 11, ZK_OP_EXISTS); /* length past the end, and a negative one */
	req_i32(&r, 1000);
	req_send(&r, fc);
	req_start(&r, 12, ZK_OP_EXISTS);
	req_i32(&r, -2);
	req_u8(&r, 0);
	req_send(&r, fc);
	fake_settle(f);
	g = got_reply(fc, 1, ZK_EOK);
	assert_int_equal(g.zxid, f->zxid);
	expect_stat(&g, z, 0, 5);
	g = got_reply(fc, 2, ZK_NONODE);
	assert_int_equal(g.body_n, 0);
	(void)got_reply(fc, 3, ZK_MARSHALLINGERROR);
	(void)got_reply(fc, 4, ZK_NOAUTH);
	g = got_reply(fc, 5, ZK_EOK);
	assert_int_equal(g.body_n, ZK_STAT_BYTES);
	(void)got_reply(fc, 6, ZK_NONODE);
	(void)got_reply(fc, 7, ZK_NONODE);
	(void)got_reply(fc, 8, ZK_BADARGUMENTS);
	(void)got_reply(fc, 9, ZK_MARSHALLINGERROR);
	(void)got_reply(fc, 10, ZK_EOK);
	(void)got_reply(fc, 11, ZK_MARSHALLINGERROR);
	(void)got_reply(fc, 12, ZK_MARSHALLINGERROR);
	got_nothing(fc);
	/* no watch was set on /secret */
	(void)fake_tx(f, ZK_OP_SET_DATA, "/secret", "y");
	fake_settle(f);
	got_nothing(fc);
	fake_free(f);
}

static void get_data(void **state)
{
	static char big[100001];
	struct fake *f = fake_new(NULL);
	struct fake_conn *fc = fake_session(f);
	struct zk_span data;
	struct req r;
	struct got g;
	uint64_t z;

	(void)state;
	memset(big, 'q', sizeof(big) - 1);
	z = fake_tx(f, ZK_OP_CREATE, "/a", "hello");
	(void)fake_tx(f, ZK_OP_CREATE, "/empty", "");
	(void)fake_tx(f, ZK_OP_CREATE, "/big", big);
	(void)fake_tx_acl(f, "/secret", "x", req_acl_of(&r, ZK_PERM_WRITE, "world", "anyone"));
	tree_begin(f->tree, ++f->zxid, 5);
	assert_int_equal(tree_create(f->tree, zk_span_str("/null"), (struct zk_span){NULL, 0},
				     (struct zk_span){NULL, 0}, 0, -1),
			 ZK_EOK);
	tree_end(f->tree);
	ask_path(fc, 1, ZK_OP_GET_DATA, "/a", false);
	ask_path(fc, 2, ZK_OP_GET_DATA, "/empty", false);
	ask_path(fc, 3, ZK_OP_GET_DATA, "/null", false);
	ask_path(fc, 4, ZK_OP_GET_DATA, "/big", false);
	ask_path(fc, 5, ZK_OP_GET_DATA, "/none", true);
	ask_path(fc, 6, ZK_OP_GET_DATA, "/secret", true);
	ask_path(fc, 7, ZK_OP_GET_DATA, NULL, false);
	ask_path(fc, 8, ZK_OP_GET_DATA, "", false);
	ask_path(fc, 0, ZK_OP_GET_DATA, "/a", false); /* xids are not looked at */
	ask_path(fc, -77, ZK_OP_GET_DATA, "/a", false);
	fake_settle(f);
	g = got_reply(fc, 1, ZK_EOK);
	assert_true(got_text(&g.body, "hello"));
	expect_stat(&g, z, 0, 5);
	g = got_reply(fc, 2, ZK_EOK);
	data = jute_bytes(&g.body);
	assert_true(data.p && data.n == 0);
	g = got_reply(fc, 3, ZK_EOK);
	assert_int_equal(jute_i32(&g.body), -1);
	g = got_reply(fc, 4, ZK_EOK);
	assert_true(got_text(&g.body, big));
	expect_stat(&g, z + 2, 0, 100000);
	(void)got_reply(fc, 5, ZK_NONODE);
	(void)got_reply(fc, 6, ZK_NOAUTH);
	(void)got_reply(fc, 7, ZK_MARSHALLINGERROR);
	(void)got_reply(fc, 8, ZK_EOK);
	(void)got_reply(fc, 0, ZK_EOK);
	(void)got_reply(fc, -77, ZK_EOK);
	/* failures have set no watch */
	(void)fake_tx(f, ZK_OP_CREATE, "/none", "");
	(void)fake_tx(f, ZK_OP_SET_DATA, "/secret", "");
	fake_settle(f);
	got_nothing(fc);
	fake_free(f);
}

/** Names of a list reply as a set of bits for "/l/nNNNNN". */
static int32_t read_names(struct jute_in *in, bool *seen, int32_t max)
{
	int32_t n = jute_i32(in);

	for (int32_t i = 0; i < n; i++) {
		struct zk_span s = jute_bytes(in);
		int32_t v = 0;

		assert_true(!in->bad && s.n == 6 && s.p[0] == 'n');
		for (size_t k = 1; k < s.n; k++)
			v = v * 10 + (s.p[k] - '0');
		assert_true(v < max && !seen[v]);
		seen[v] = true;
	}
	return n;
}

static void children(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *fc = fake_session(f);
	bool seen[10] = {false};
	struct req r;
	char path[32];
	struct got g;
	uint64_t z;

	(void)state;
	z = fake_tx(f, ZK_OP_CREATE, "/l", "");
	for (unsigned i = 0; i < 10; i++) {
		(void)snprintf(path, sizeof(path), "/l/n%05u", i);
		(void)fake_tx(f, ZK_OP_CREATE, path, "");
	}
	(void)fake_tx_acl(f, "/secret", "x", req_acl_of(&r, ZK_PERM_WRITE, "world", "anyone"));
	ask_path(fc, 1, ZK_OP_GET_CHILDREN, "/l", false);
	ask_path(fc, 2, ZK_OP_GET_CHILDREN2, "/l", false);
	ask_path(fc, 3, ZK_OP_GET_CHILDREN2, "/l/n00001", false);
	ask_path(fc, 4, ZK_OP_GET_CHILDREN, "/none", true);
	ask_path(fc, 5, ZK_OP_GET_CHILDREN2, "/secret", true);
	ask_path(fc, 6, ZK_OP_GET_CHILDREN2, NULL, false);
	fake_settle(f);
	g = got_reply(fc, 1, ZK_EOK);
	assert_int_equal(read_names(&g.body, seen, 10), 10);
	assert_int_equal(jute_left(&g.body), 0);
	memset(seen, 0, sizeof(seen));
	g = got_reply(fc, 2, ZK_EOK);
	assert_int_equal(read_names(&g.body, seen, 10), 10);
	expect_stat(&g, z, 10, 0);
	g = got_reply(fc, 3, ZK_EOK);
	assert_int_equal(jute_i32(&g.body), 0);
	expect_stat(&g, z + 2, 0, 0);
	(void)got_reply(fc, 4, ZK_NONODE);
	(void)got_reply(fc, 5, ZK_NOAUTH);
	(void)got_reply(fc, 6, ZK_MARSHALLINGERROR);
	fake_free(f);
}

/* a list longer than a round: the state it began with, its events behind it, others not held up */
static void long_list(void **state)
{
	enum { N = 9000 };
	static bool seen[N + 1];
	struct fake *f = fake_new(NULL);
	struct fake_conn *fc = fake_session(f), *other = fake_session(f), *gone = fake_session(f);
	char path[32];
	struct got g;
	uint64_t z, z2;

	(void)state;
	(void)fake_tx(f, ZK_OP_CREATE, "/l", "");
	for (unsigned i = 0; i < N; i++) {
		(void)snprintf(path, sizeof(path), "/l/n%05u", i);
		z = fake_tx(f, ZK_OP_CREATE, path, "");
		if (i % 1000 == 0)
			fake_settle(f);
	}
	fake_settle(f);
	ask_path(fc, 1, ZK_OP_GET_CHILDREN2, "/l", true);
	ask_path(fc, 2, ZK_OP_EXISTS, "/l", false);
	ask_path(gone, 1, ZK_OP_GET_CHILDREN, "/l", false);
	fake_round(f);
	got_nothing(fc);
	/* the tree moves on meanwhile */
	z2 = fake_tx(f, ZK_OP_DELETE, "/l/n00000", "");
	(void)fake_tx(f, ZK_OP_CREATE, "/l/n09000", "");
	ask_path(other, 5, ZK_OP_EXISTS, "/l/n00000", false);
	fake_round(f);
	(void)got_reply(other, 5, ZK_NONODE);
	got_nothing(fc);
	fake_gone(gone);
	fake_settle(f);
	g = got_reply(fc, 1, ZK_EOK);
	assert_int_equal(g.zxid, z);
	assert_int_equal(read_names(&g.body, seen, N + 1), N);
	assert_true(seen[0] && !seen[N]);
	expect_stat(&g, 4, N, 0);
	got_event(fc, (int64_t)z2, ZK_EV_CHILDREN, "/l");
	g = got_reply(fc, 2, ZK_EOK);
	assert_int_equal(g.zxid, f->zxid);
	assert_int_equal(atomic_load(&srv_stats_of(f->srv)->lists_paused), 2);
	fake_free(f);
}

static void get_acl(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *fc = fake_session(f);
	uint8_t want[64];
	struct req r;
	struct got g;
	size_t n;

	(void)state;
	(void)fake_tx(f, ZK_OP_CREATE, "/open", "");
	r.n = 0;
	req_i32(&r, 2);
	req_i32(&r, ZK_PERM_READ);
	req_str(&r, "world");
	req_str(&r, "anyone");
	req_i32(&r, ZK_PERM_ADMIN);
	req_str(&r, "digest");
	req_str(&r, "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=");
	(void)fake_tx_acl(f, "/masked", "", zk_span_of(r.b, r.n));
	(void)fake_tx_acl(f, "/admin", "", req_acl_of(&r, ZK_PERM_ADMIN, "world", "anyone"));
	(void)fake_tx_acl(f, "/none", "", req_acl_of(&r, ZK_PERM_CREATE, "world", "anyone"));
	ask_path(fc, 1, ZK_OP_GET_ACL, "/open", false);
	ask_path(fc, 2, ZK_OP_GET_ACL, "/masked", false);
	ask_path(fc, 3, ZK_OP_GET_ACL, "/admin", false);
	ask_path(fc, 4, ZK_OP_GET_ACL, "/none", false);
	ask_path(fc, 5, ZK_OP_GET_ACL, "/missing", false);
	fake_settle(f);
	g = got_reply(fc, 1, ZK_EOK);
	n = hex_bytes("00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65", want, 64);
	assert_int_equal(g.body_n, n + ZK_STAT_BYTES);
	assert_memory_equal(g.body.p, want, n);
	g = got_reply(fc, 2, ZK_EOK);
	assert_int_equal(jute_i32(&g.body), 2);
	assert_int_equal(jute_i32(&g.body), ZK_PERM_READ);
	assert_true(got_text(&g.body, "world") && got_text(&g.body, "anyone"));
	assert_int_equal(jute_i32(&g.body), ZK_PERM_ADMIN);
	assert_true(got_text(&g.body, "digest") && got_text(&g.body, "bob:x"));
	assert_int_equal(jute_left(&g.body), ZK_STAT_BYTES);
	(void)got_reply(fc, 3, ZK_EOK);
	(void)got_reply(fc, 4, ZK_NOAUTH);
	(void)got_reply(fc, 5, ZK_NONODE);
	/* with ADMIN the id is shown */
	req_start(&r, -4, ZK_OP_AUTH);
	req_i32(&r, 0);
	req_str(&r, "digest");
	req_str(&r, "bob:pw");
	req_send(&r, fc);
	ask_path(fc, 6, ZK_OP_GET_ACL, "/masked", false);
	fake_settle(f);
	g = got_reply(fc, -4, ZK_EOK);
	assert_int_equal(g.zxid, 0);
	g = got_reply(fc, 6, ZK_EOK);
	(void)jute_take(&g.body, 8);
	assert_true(got_text(&g.body, "world") && got_text(&g.body, "anyone"));
	(void)jute_i32(&g.body);
	assert_true(got_text(&g.body, "digest"));
	assert_true(got_text(&g.body, "bob:ikIaKsbtGweaHnb/jKn7OHqbunM="));
	fake_free(f);
}

static void auth_and_who(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *fc = fake_session(f), *bad = fake_session(f), *odd = fake_session(f);
	struct req r;
	struct got g;

	(void)state;
	ask_plain(fc, 1, ZK_OP_WHO_AM_I);
	req_start(&r, 5, ZK_OP_AUTH);
	req_i32(&r, 9);
	req_str(&r, "digest");
	req_str(&r, "bob:pw");
	req_send(&r, fc);
	ask_plain(fc, 2, ZK_OP_WHO_AM_I);
	ask_plain(fc, 3, ZK_OP_SASL);
	fake_settle(f);
	g = got_reply(fc, 1, ZK_EOK);
	assert_int_equal(jute_i32(&g.body), 1);
	assert_true(got_text(&g.body, "ip") && got_text(&g.body, "127.0.0.1"));
	(void)got_reply(fc, 5, ZK_EOK);
	g = got_reply(fc, 2, ZK_EOK);
	assert_int_equal(jute_i32(&g.body), 2);
	assert_true(got_text(&g.body, "ip") && got_text(&g.body, "127.0.0.1"));
	assert_true(got_text(&g.body, "digest") && got_text(&g.body, "bob"));
	g = got_reply(fc, 3, ZK_EOK);
	assert_int_equal(g.zxid, 0);
	assert_int_equal(jute_i32(&g.body), -1);
	/* auth overtakes a write in flight */
	f->hold = true;
	ask_create(fc, 7, "/a", "");
	req_send(&r, fc);
	fake_settle(f);
	(void)got_reply(fc, 5, ZK_EOK);
	f->hold = false;
	fake_settle(f);
	(void)got_reply(fc, 7, ZK_EOK);
	/* failure: -115, then closed */
	req_start(&r, -4, ZK_OP_AUTH);
	req_i32(&r, 0);
	req_str(&r, "world");
	req_str(&r, "anyone");
	req_send(&r, bad);
	ask_plain(bad, 4, ZK_OP_WHO_AM_I);
	fake_settle(f);
	g = got_reply(bad, -4, ZK_AUTHFAILED);
	assert_int_equal(g.zxid, 0);
	assert_true(bad->shut);
	got_nothing(bad);
	assert_int_equal(f->detaches, 1);
	/* malformed: closed */
	ask_plain(odd, -4, ZK_OP_AUTH);
	fake_settle(f);
	assert_true(odd->shut);
	got_nothing(odd);
	fake_free(f);
}

static void unknown_opcodes(void **state)
{
	static const int32_t ops[] = {ZK_OP_NOTIFICATION,
				      ZK_OP_CHECK,
				      ZK_OP_DELETE_CONTAINER,
				      ZK_OP_CREATE_SESSION,
				      10,
				      23,
				      99,
				      108,
				      -1,
				      -12,
				      INT32_MAX,
				      INT32_MIN};
	struct fake *f = fake_new(NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		struct fake_conn *fc = fake_session(f);
		struct got g;

		ask_path(fc, 4, ZK_OP_EXISTS, "/", false);
		ask_path(fc, 5, ops[i], "/", false);
		ask_path(fc, 6, ZK_OP_EXISTS, "/", false);
		fake_settle(f);
		(void)got_reply(fc, 4, ZK_EOK);
		g = got_reply(fc, 5, ZK_UNIMPLEMENTED);
		assert_int_equal(g.zxid, -1);
		assert_int_equal(g.body_n, 0);
		assert_true(fc->shut);
		got_nothing(fc);
		fake_gone(fc);
	}
	assert_int_equal(f->requests, 0);
	fake_free(f);
}

static void ping(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *fc = fake_session(f);
	uint8_t b[16], want[20];
	size_t n = hex_bytes("00000008 fffffffe 0000000b", b, sizeof(b));

	(void)state;
	fake_send(fc, b, n);
	fake_settle(f);
	(void)hex_bytes("00000010 fffffffe 0000000000000001 00000000", want, sizeof(want));
	assert_int_equal(fake_out(fc).n, 20);
	assert_memory_equal(fake_out(fc).p, want, 20);
	fc->out_at = fc->out_n;
	ask_path(fc, 77, ZK_OP_PING, "/ignored", true);
	fake_settle(f);
	(void)got_reply(fc, -2, ZK_EOK);
	/* too short for a header: closed */
	fake_send(fc, "\0\0\0\x4\0\0\0\1", 8);
	fake_settle(f);
	assert_true(fc->shut);
	fake_free(f);
}

/* ---- multiRead ---- */

static void op(struct req *r, int32_t type, bool done, int32_t err)
{
	req_i32(r, type);
	req_u8(r, done);
	req_i32(r, err);
}

static void read_op(struct req *r, int32_t type, const char *path)
{
	op(r, type, false, -1);
	req_str(r, path);
	req_u8(r, 1);
}

static void expect_op(struct got *g, int32_t type, bool done, int32_t err)
{
	assert_int_equal(jute_i32(&g->body), type);
	assert_int_equal(jute_bool(&g->body), done);
	assert_int_equal(jute_i32(&g->body), err);
}

static void multi_read(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *fc = fake_session(f);
	struct req r;
	struct got g;

	(void)state;
	(void)fake_tx(f, ZK_OP_CREATE, "/a", "data");
	(void)fake_tx(f, ZK_OP_CREATE, "/a/b", "");
	(void)fake_tx_acl(f, "/s", "x", req_acl_of(&r, ZK_PERM_WRITE, "world", "anyone"));
	req_start(&r, 1, ZK_OP_MULTI_READ);
	read_op(&r, ZK_OP_GET_DATA, "/a");
	read_op(&r, ZK_OP_GET_DATA, "/none");
	read_op(&r, ZK_OP_GET_CHILDREN, "/a");
	read_op(&r, ZK_OP_GET_CHILDREN, "/s");
	op(&r, -1, true, -1);
	req_send(&r, fc);
	fake_settle(f);
	g = got_reply(fc, 1, ZK_EOK);
	expect_op(&g, ZK_OP_GET_DATA, false, 0);
	assert_true(got_text(&g.body, "data"));
	(void)jute_take(&g.body, ZK_STAT_BYTES);
	expect_op(&g, -1, false, ZK_NONODE);
	assert_int_equal(jute_i32(&g.body), ZK_NONODE);
	expect_op(&g, ZK_OP_GET_CHILDREN, false, 0);
	assert_int_equal(jute_i32(&g.body), 1);
	assert_true(got_text(&g.body, "b"));
	expect_op(&g, -1, false, ZK_NOAUTH);
	assert_int_equal(jute_i32(&g.body), ZK_NOAUTH);
	expect_op(&g, -1, true, -1);
	assert_int_equal(jute_left(&g.body), 0);
	/* empty */
	req_start(&r, 2, ZK_OP_MULTI_READ);
	op(&r, -1, true, -1);
	req_send(&r, fc);
	/* a write: -5 and the results so far */
	req_start(&r, 3, ZK_OP_MULTI_READ);
	op(&r, ZK_OP_DELETE, false, -1);
	req_str(&r, "/a");
	req_i32(&r, -1);
	op(&r, -1, true, -1);
	req_send(&r, fc);
	/* mixed, cut off, unknown type: -5 */
	req_start(&r, 4, ZK_OP_MULTI_READ);
	read_op(&r, ZK_OP_GET_DATA, "/a");
	op(&r, ZK_OP_DELETE, false, -1);
	req_str(&r, "/a");
	req_i32(&r, -1);
	op(&r, -1, true, -1);
	req_send(&r, fc);
	req_start(&r, 5, ZK_OP_MULTI_READ);
	read_op(&r, ZK_OP_GET_DATA, "/a");
	req_send(&r, fc);
	req_start(&r, 6, ZK_OP_MULTI_READ);
	read_op(&r, ZK_OP_EXISTS, "/a");
	op(&r, -1, true, -1);
	req_send(&r, fc);
	/* a null path in the middle */
	req_start(&r, 7, ZK_OP_MULTI_READ);
	read_op(&r, ZK_OP_GET_CHILDREN, "/a/b");
	read_op(&r, ZK_OP_GET_DATA, NULL);
	op(&r, -1, true, -1);
	req_send(&r, fc);
	fake_settle(f);
	g = got_reply(fc, 2, ZK_EOK);
	expect_op(&g, -1, true, -1);
	g = got_reply(fc, 3, ZK_MARSHALLINGERROR);
	expect_op(&g, -1, true, -1);
	for (int32_t i = 4; i < 7; i++) {
		g = got_reply(fc, i, ZK_MARSHALLINGERROR);
		assert_int_equal(g.body_n, 0);
	}
	g = got_reply(fc, 7, ZK_MARSHALLINGERROR);
	expect_op(&g, ZK_OP_GET_CHILDREN, false, 0);
	assert_int_equal(jute_i32(&g.body), 0);
	expect_op(&g, -1, true, -1);
	/* the watch flags were not looked at */
	(void)fake_tx(f, ZK_OP_SET_DATA, "/a", "2");
	fake_settle(f);
	got_nothing(fc);
	assert_int_equal(f->requests, 0);
	fake_free(f);
}

static int32_t number(struct fake *f, struct fake_conn *fc, const char *path)
{
	struct got g;

	ask_path(fc, 9, ZK_OP_GET_ALL_CHILDREN_NUMBER, path, false);
	fake_settle(f);
	g = got_reply(fc, 9, ZK_EOK);
	return jute_i32(&g.body);
}

/* item 62: "/" counts /zookeeper and what is below it, not the root */
static void all_children_number(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *fc = fake_session(f);
	char path[400] = "";

	(void)state;
	assert_int_equal(number(f, fc, "/"), 3);
	assert_int_equal(number(f, fc, ""), 4);
	(void)fake_tx(f, ZK_OP_CREATE, "/a", "");
	(void)fake_tx(f, ZK_OP_CREATE, "/ab", "");
	(void)fake_tx(f, ZK_OP_CREATE, "/ab/x", "");
	(void)fake_tx(f, ZK_OP_CREATE, "/a/b", "");
	(void)fake_tx(f, ZK_OP_CREATE, "/a/b/c", "");
	(void)fake_tx(f, ZK_OP_CREATE, "/a/gone", "");
	(void)fake_tx(f, ZK_OP_DELETE, "/a/gone", "");
	fake_settle(f);
	assert_int_equal(number(f, fc, "/a"), 2);
	assert_int_equal(number(f, fc, "/a/b"), 1);
	assert_int_equal(number(f, fc, "/a/b/c"), 0);
	assert_int_equal(number(f, fc, "/"), 8);
	/* deeper than the first size of the walk's memory */
	for (size_t n = 0; n < 100; n++) {
		(void)snprintf(path + 3 * n, 4, "/n%c", (char)('a' + n % 26));
		(void)fake_tx(f, ZK_OP_CREATE, path, "");
	}
	fake_settle(f);
	assert_int_equal(number(f, fc, "/na"), 99);
	assert_int_equal(number(f, fc, "/"), 108);
	ask_path(fc, 1, ZK_OP_GET_ALL_CHILDREN_NUMBER, "/none", false);
	ask_path(fc, 2, ZK_OP_GET_ALL_CHILDREN_NUMBER, NULL, false);
	fake_settle(f);
	(void)got_reply(fc, 1, ZK_NONODE);
	(void)got_reply(fc, 2, ZK_MARSHALLINGERROR);
	fake_free(f);
}

enum { MANY_NODES = 6000 };

/* More nodes than one round counts: as of one moment though the tree changes, other connections are
 * served meanwhile, and events wait behind the answer. */
static void count_over_rounds(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *fc = fake_session(f), *other = fake_session(f);
	char path[64];
	struct got g;
	int64_t zxid;

	(void)state;
	(void)fake_tx(f, ZK_OP_CREATE, "/m", "");
	for (unsigned i = 0; i < MANY_NODES / 2; i++) {
		(void)snprintf(path, sizeof(path), "/m/%u", i);
		(void)fake_tx(f, ZK_OP_CREATE, path, "");
		(void)snprintf(path, sizeof(path), "/m/%u/k", i);
		(void)fake_tx(f, ZK_OP_CREATE, path, "");
	}
	fake_settle(f);
	ask_path_i32(fc, 1, ZK_OP_ADD_WATCH, "/m", 1);
	fake_settle(f);
	(void)got_reply(fc, 1, ZK_EOK);
	ask_path(fc, 2, ZK_OP_GET_ALL_CHILDREN_NUMBER, "/m", false);
	ask_path(fc, 3, ZK_OP_EXISTS, "/m/new", false);
	fake_round(f);
	got_nothing(fc);
	zxid = (int64_t)f->zxid;
	(void)fake_tx(f, ZK_OP_CREATE, "/m/new", "");
	(void)fake_tx(f, ZK_OP_DELETE, "/m/2999/k", "");
	ask_path(other, 1, ZK_OP_EXISTS, "/m/new", false);
	fake_round(f);
	(void)got_reply(other, 1, ZK_EOK);
	fake_settle(f);
	g = got_reply(fc, 2, ZK_EOK);
	assert_int_equal(jute_i32(&g.body), MANY_NODES);
	assert_int_equal(g.zxid, zxid);
	got_event(fc, zxid + 1, ZK_EV_CREATED, "/m/new");
	got_event(fc, zxid + 2, ZK_EV_DELETED, "/m/2999/k");
	(void)got_reply(fc, 3, ZK_EOK);
	fake_free(f);
}

static void counts_wait_for_a_pin(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *fc = fake_session(f);
	int pin[TREE_PINS_MAX];
	struct got g;

	(void)state;
	for (unsigned i = 0; i < TREE_PINS_MAX; i++)
		pin[i] = tree_pin_take(f->reader, tree_visible(f->reader));
	ask_path(fc, 1, ZK_OP_GET_ALL_CHILDREN_NUMBER, "/", false);
	for (unsigned i = 0; i < 5; i++)
		fake_round(f);
	got_nothing(fc);
	for (unsigned i = 0; i < TREE_PINS_MAX; i++)
		tree_pin_drop(f->reader, pin[i]);
	fake_settle(f);
	g = got_reply(fc, 1, ZK_EOK);
	assert_int_equal(jute_i32(&g.body), 3);
	fake_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exists),
		cmocka_unit_test(get_data),
		cmocka_unit_test(children),
		cmocka_unit_test(long_list),
		cmocka_unit_test(get_acl),
		cmocka_unit_test(auth_and_who),
		cmocka_unit_test(unknown_opcodes),
		cmocka_unit_test(ping),
		cmocka_unit_test(multi_read),
		cmocka_unit_test(all_children_number),
		cmocka_unit_test(count_over_rounds),
		cmocka_unit_test(counts_wait_for_a_pin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
