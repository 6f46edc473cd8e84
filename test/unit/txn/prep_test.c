/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of spec/semantics.md section 4 and the items of spec/corner-cases.md that the leader
 * decides, through requests and replies. Everything is durable at once here. */
#include "test/lib/lead.h"

#include "core/base/assert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

static struct lead *d;
static uint64_t s; /* a session */

static void with(const struct lead_opt *opt)
{
	d = lead_open(opt);
	s = lead_session(d, 0, 0, 10000);
}

static void begin(void)
{
	with(&(struct lead_opt){0});
}

static void end(void)
{
	lead_close(d);
}

static enum zk_err create(const char *path)
{
	return lead_err(d, s, ZK_OP_CREATE, req_create(path, "x", NULL, 0));
}

static enum zk_err create_flag(const char *path, int32_t flag)
{
	return lead_err(d, s, ZK_OP_CREATE, req_create(path, "x", NULL, flag));
}

static void created_as(const char *path, int32_t flag, const char *want)
{
	const struct lead_out *o = lead_call(d, s, ZK_OP_CREATE, req_create(path, "x", NULL, flag));

	assert_int_equal(o->err, ZK_EOK);
	assert_int_equal(o->body_n, 4 + strlen(want));
	assert_int_equal(zk_get32(o->body), strlen(want));
	assert_memory_equal(o->body + 4, want, strlen(want));
}

static enum zk_err delete_v(const char *path, int32_t version)
{
	return lead_err(d, s, ZK_OP_DELETE, req_version(path, version));
}

static enum zk_err set(const char *path, const char *data, int32_t version)
{
	return lead_err(d, s, ZK_OP_SET_DATA, req_set(path, data, version));
}

static void node_is(const char *path, const char *want)
{
	assert_string_equal(lead_node(d, path), want);
}

static void login(const char *user)
{
	struct auth_conf conf = {0};

	assert_int_equal(
		auth_add(&conf, zk_span_str("digest"), zk_span_str(user), d->ids, &d->ids_n),
		ZK_EOK);
}

static void stat_is(const uint8_t *p, int32_t version, int32_t cversion, int32_t aversion,
		    uint64_t owner, int32_t len, int32_t children)
{
	assert_int_equal((int32_t)zk_get32(p + 32), version);
	assert_int_equal((int32_t)zk_get32(p + 36), cversion);
	assert_int_equal((int32_t)zk_get32(p + 40), aversion);
	assert_true(zk_get64(p + 44) == owner);
	assert_int_equal((int32_t)zk_get32(p + 52), len);
	assert_int_equal((int32_t)zk_get32(p + 56), children);
}

/* Items 40, 31: a failed write takes a zxid, is logged as an error and answered without a body. */
static void errors_take_a_zxid(void **state)
{
	const struct lead_out *o;

	(void)state;
	begin();
	assert_int_equal(create("/a"), ZK_EOK);
	uint64_t z = d->logged;

	o = lead_call(d, s, ZK_OP_CREATE, req_create("/a", "x", NULL, 0));
	assert_int_equal(o->err, ZK_NODEEXISTS);
	assert_int_equal(o->zxid, z + 1);
	assert_int_equal(o->body_n, 0);
	assert_int_equal(d->logged, z + 1);
	assert_int_equal(d->log[d->log_n - 1].n, 36);
	assert_int_equal(leader_applied_zxid(d->l), z + 1);
	assert_int_equal(tree_last_zxid(d->tree), z + 1);
	end();
}

/* Items 26, 28: trailing bytes are ignored, missing ones are -5 with a new zxid. */
static void malformed(void **state)
{
	static const int32_t op[] = {ZK_OP_CREATE, ZK_OP_CREATE2,  ZK_OP_CREATE_CONTAINER,
				     ZK_OP_DELETE, ZK_OP_SET_DATA, ZK_OP_SET_ACL,
				     ZK_OP_MULTI,  ZK_OP_RECONFIG, ZK_OP_CREATE_TTL};
	static struct req_multi m;
	uint8_t longer[256];

	(void)state;
	begin();
	multi_op(&m, ZK_OP_CREATE, req_create("/m", "x", NULL, 0));
	for (unsigned i = 0; i < sizeof(op) / sizeof(op[0]); i++) {
		struct zk_span full = op[i] == ZK_OP_MULTI      ? multi_end(&m)
				      : op[i] == ZK_OP_DELETE   ? req_version("/x", -1)
				      : op[i] == ZK_OP_SET_DATA ? req_set("/x", "y", -1)
				      : op[i] == ZK_OP_SET_ACL  ? req_acl("/x", NULL, -1)
				      : op[i] == ZK_OP_CREATE_TTL
					      ? req_ttl("/x/y", "z", 5, 1)
					      : req_create("/x/y", "z", NULL, 0);

		if (op[i] == ZK_OP_RECONFIG)
			full = zk_span_of("\0\0\0\0\0\0\0\0\0\0\0\0abcdefgh", 20);
		for (size_t n = 0; n < full.n; n++) {
			uint64_t z = d->logged;

			if (lead_err(d, s, op[i], zk_span_of(full.p, n)) != ZK_MARSHALLINGERROR)
				fail_msg("op %d cut at %zu", op[i], n);
			assert_int_equal(d->logged, z + 1);
		}
	}
	struct zk_span body = req_create("/t", "x", NULL, 0);

	memcpy(longer, body.p, body.n);
	memset(longer + body.n, 0xee, 20);
	assert_int_equal(lead_err(d, s, ZK_OP_CREATE, zk_span_of(longer, body.n + 20)), ZK_EOK);
	assert_int_equal(
		lead_err(d, s, ZK_OP_RECONFIG, zk_span_of("\0\0\0\0\0\0\0\0\0\0\0\0abcdefgh", 20)),
		ZK_RECONFIGDISABLED);
	end();
}

/* Item 25: null and empty data. */
static void null_data(void **state)
{
	const struct lead_out *o;

	(void)state;
	begin();
	assert_int_equal(lead_err(d, s, ZK_OP_CREATE, req_create("/n", NULL, NULL, 0)), ZK_EOK);
	node_is("/n", "v0 cv0 av0 ch0 own0 null");
	assert_int_equal(set("/n", "", -1), ZK_EOK);
	node_is("/n", "v1 cv0 av0 ch0 own0 =");
	o = lead_call(d, s, ZK_OP_SET_DATA, req_set("/n", NULL, 1));
	assert_int_equal(o->body_n, ZK_STAT_BYTES);
	stat_is(o->body, 2, 0, 0, 0, 0, 0);
	node_is("/n", "v2 cv0 av0 ch0 own0 null");
	end();
}

/* Item 27 and section 4: which null and bad paths give -5 and which -8. */
static void paths(void **state)
{
	(void)state;
	begin();
	assert_int_equal(create(NULL), ZK_MARSHALLINGERROR);
	assert_int_equal(delete_v(NULL, -1), ZK_MARSHALLINGERROR);
	assert_int_equal(set(NULL, "x", -1), ZK_BADARGUMENTS);
	assert_int_equal(create(""), ZK_BADARGUMENTS);
	assert_int_equal(create("a"), ZK_BADARGUMENTS);
	assert_int_equal(create("a/b"), ZK_NONODE);
	assert_int_equal(create("/"), ZK_NODEEXISTS); /* item 43 */
	assert_int_equal(create("/a/"), ZK_NONODE);
	assert_int_equal(create("/a"), ZK_EOK);
	assert_int_equal(create("/a/"), ZK_BADARGUMENTS); /* item 42 */
	created_as("/a/", 2, "/a/0000000000");
	created_as("/a/", 2, "/a/0000000001");
	assert_int_equal(create_flag("/a//", 2), ZK_NONODE);
	assert_int_equal(create("//"), ZK_BADARGUMENTS);
	assert_int_equal(create("/a/."), ZK_BADARGUMENTS);
	assert_int_equal(create("/a/.."), ZK_BADARGUMENTS);
	assert_int_equal(create_flag("/a/..", 2), ZK_EOK);
	assert_int_equal(create("/a/..."), ZK_EOK);
	assert_int_equal(create("/a/b c"), ZK_EOK);
	assert_int_equal(create("/a/\xf0\x9f\x98\x80"), ZK_BADARGUMENTS); /* item 44 */
	assert_int_equal(create("/a/\xff"), ZK_BADARGUMENTS);
	assert_int_equal(create("/a/\x01"), ZK_BADARGUMENTS);
	assert_int_equal(set("/a/", "x", -1), ZK_BADARGUMENTS);
	assert_int_equal(set("", "x", -1), ZK_BADARGUMENTS);
	assert_int_equal(set("/", "x", -1), ZK_EOK);
	/* Items 43, 45: delete looks at special paths only. */
	assert_int_equal(delete_v("/", -1), ZK_BADARGUMENTS);
	assert_int_equal(delete_v("/zookeeper", -1), ZK_BADARGUMENTS);
	assert_int_equal(delete_v("/zookeeper/quota", -1), ZK_BADARGUMENTS);
	assert_int_equal(delete_v("/zookeeper/config", -1), ZK_BADARGUMENTS);
	assert_int_equal(delete_v("a", -1), ZK_BADARGUMENTS);
	assert_int_equal(delete_v("/a/", -1), ZK_NONODE);
	assert_int_equal(delete_v("/a/\xff", -1), ZK_NONODE);
	assert_int_equal(create("/zookeeper/x"), ZK_EOK);
	end();
}

static void nul_in_path(void **state)
{
	uint8_t body[64];
	struct jute_out o = jute_out_of(body, sizeof(body));

	(void)state;
	begin();
	jute_put_bytes(&o, zk_span_of("/a\0b", 4));
	jute_put_i32(&o, -1);
	assert_int_equal(lead_err(d, s, ZK_OP_DELETE, zk_span_of(body, jute_out_len(&o))),
			 ZK_BADARGUMENTS);
	o = jute_out_of(body, sizeof(body));
	jute_put_bytes(&o, zk_span_of("/a\0b", 4));
	jute_put_bytes(&o, zk_span_str("x"));
	jute_put_i32(&o, -1);
	assert_int_equal(lead_err(d, s, ZK_OP_SET_DATA, zk_span_of(body, jute_out_len(&o))),
			 ZK_BADARGUMENTS);
	end();
}

/* Items 46 to 51. */
static void counters(void **state)
{
	const struct lead_out *o;
	struct tree_ref ref;
	struct zk_stat st;

	(void)state;
	begin();
	assert_true(tree_find_newest(d->tree, zk_span_str("/"), &ref));
	tree_stat(ref, &st);
	assert_int_equal(st.cversion, -1);
	assert_true(tree_find_newest(d->tree, zk_span_str("/zookeeper"), &ref));
	tree_stat(ref, &st);
	assert_int_equal(st.cversion, -2);
	assert_true(tree_find_newest(d->tree, zk_span_str("/zookeeper/config"), &ref));
	tree_stat(ref, &st);
	assert_int_equal(st.aversion, -1);

	assert_int_equal(create("/p"), ZK_EOK);
	assert_int_equal(create("/p/a"), ZK_EOK);
	created_as("/p/s-", 2, "/p/s-0000000001");
	assert_int_equal(delete_v("/p/a", -1), ZK_EOK);
	assert_int_equal(create("/p/s-0000000001"), ZK_NODEEXISTS); /* gives nothing away */
	created_as("/p/s-", 2, "/p/s-0000000002");
	uint64_t z = d->logged;

	o = lead_call(d, s, ZK_OP_SET_DATA, req_set("/p", "yy", 0));
	/* 3 creates, 2 children: 2 * 3 - 2 */
	stat_is(o->body, 1, 4, 0, 0, 2, 2);
	assert_int_equal(zk_get64(o->body + 60), z); /* pzxid: the last create */
	assert_int_equal(zk_get64(o->body + 8), z + 1);
	assert_int_equal(delete_v("/p/s-0000000001", -1), ZK_EOK);
	o = lead_call(d, s, ZK_OP_SET_ACL, req_acl("/p", NULL, 0));
	stat_is(o->body, 1, 5, 1, 0, 2, 1);
	assert_int_equal(zk_get64(o->body + 60), z + 2);
	assert_int_equal(zk_get64(o->body + 8), z + 1); /* item 52 */
	end();
}

/* As from a log: a create with this parentCVersion brings the counter to the maximum less one. */
static void near_wrap(struct tree *t)
{
	static const struct {
		const char *path;
		int32_t parent_cversion;
	} v[] = {{"/w", 1}, {"/w/x", INT32_MAX}};

	for (unsigned i = 0; i < 2; i++) {
		tree_begin(t, i + 1, 1);
		assert_int_equal(tree_create(t, zk_span_str(v[i].path), zk_span_str(""),
					     (struct zk_span){NULL, 0}, 0, v[i].parent_cversion),
				 ZK_EOK);
		tree_end(t);
	}
}

/* Item 77: the stored counter stays at its maximum, the name that follows is taken. Only a create
 * that is validated while the wrapping one is pending gets the negative name. */
static void sequence_wrap(void **state)
{
	(void)state;
	with(&(struct lead_opt){.prepare = near_wrap});
	created_as("/w/s", 2, "/w/s2147483647");
	node_is("/w", "v0 cv2147483647 av0 ch2 own0 =");
	assert_int_equal(create_flag("/w/s", 2), ZK_NODEEXISTS);
	created_as("/w/t", 2, "/w/t2147483647");
	lead_forget(d);
	d->late = true;
	for (int32_t i = 0; i < 2; i++)
		assert_int_equal(lead_send(d, 0, 0, s, 50 + i, ZK_OP_CREATE,
					   req_create("/w/u", "x", NULL, 2)),
				 ZK_EOK);
	lead_durable(d, d->logged, 100);
	assert_int_equal(d->out_n, 2);
	assert_memory_equal(d->out[0].body + 4, "/w/u2147483647", 14);
	assert_int_equal(d->out[1].body_n, 4 + 15);
	assert_memory_equal(d->out[1].body + 4, "/w/u-2147483648", 15);
	end();
}

/* createContainer with an ephemeral flag makes no ephemeral, neither for what is validated while it
 * is pending (there Apache refuses children, and takes it along with the session) nor later. */
static void container_with_an_ephemeral_flag(void **state)
{
	(void)state;
	begin();
	lead_forget(d);
	d->late = true;
	assert_int_equal(
		lead_send(d, 0, 0, s, 50, ZK_OP_CREATE_CONTAINER, req_create("/c", "x", NULL, 1)),
		ZK_EOK);
	assert_int_equal(lead_send(d, 0, 0, s, 51, ZK_OP_CREATE, req_create("/c/x", "", NULL, 0)),
			 ZK_EOK);
	assert_int_equal(lead_send(d, 0, 0, s, 52, ZK_OP_CLOSE_SESSION, zk_span_of(NULL, 0)),
			 ZK_EOK);
	lead_durable(d, d->logged, 100);
	assert_int_equal(d->out_n, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(d->out[i].err, ZK_EOK);
	node_is("/c", "v0 cv1 av0 ch1 own8000000000000000 =x");
	node_is("/c/x", "v0 cv0 av0 ch0 own0 =");
	end();
}

/* Item 53: the order of delete's checks. Item 54: ACL before version. */
static void order_of_checks(void **state)
{
	(void)state;
	begin();
	assert_int_equal(delete_v("/p/x", -1), ZK_NONODE);
	assert_int_equal(lead_err(d, s, ZK_OP_CREATE, req_create("/p", "", "3 world anyone", 0)),
			 ZK_EOK);
	assert_int_equal(delete_v("/p/x", -1), ZK_NOAUTH); /* though it is missing */
	assert_int_equal(create("/p/x"), ZK_NOAUTH);
	assert_int_equal(set("/p", "x", 7), ZK_BADVERSION);
	assert_int_equal(lead_err(d, s, ZK_OP_SET_ACL, req_acl("/p", NULL, 5)), ZK_NOAUTH);
	assert_int_equal(lead_err(d, s, ZK_OP_SET_ACL, req_acl("/p", "31 none x", 5)),
			 ZK_INVALIDACL);
	assert_int_equal(lead_err(d, s, ZK_OP_SET_ACL, req_acl("/none", "31 none x", 5)),
			 ZK_INVALIDACL);
	assert_int_equal(lead_err(d, s, ZK_OP_SET_ACL, req_acl("/none", NULL, 5)), ZK_NONODE);
	assert_int_equal(lead_err(d, s, ZK_OP_CREATE, req_create("/no/x", "", "31 none x", 0)),
			 ZK_INVALIDACL);
	assert_int_equal(lead_err(d, s, ZK_OP_CREATE, req_create("/no/x", "", "31 none x", 9)),
			 ZK_BADARGUMENTS);

	assert_int_equal(create("/q"), ZK_EOK);
	assert_int_equal(create("/q/c"), ZK_EOK);
	assert_int_equal(delete_v("/q", 3), ZK_BADVERSION); /* before not empty */
	assert_int_equal(delete_v("/q", 0), ZK_NOTEMPTY);
	assert_int_equal(delete_v("/q/none", 0), ZK_NONODE);
	assert_int_equal(lead_err(d, s, ZK_OP_CREATE, req_create("/r", "", "1 world anyone", 0)),
			 ZK_EOK);
	assert_int_equal(set("/r", "x", 7), ZK_NOAUTH);
	assert_int_equal(set("/q", "x", 0), ZK_EOK);
	assert_int_equal(set("/q", "x", 0), ZK_BADVERSION);
	assert_int_equal(lead_err(d, s, ZK_OP_SET_ACL, req_acl("/q", NULL, 1)), ZK_BADVERSION);
	assert_int_equal(lead_err(d, s, ZK_OP_SET_ACL, req_acl("/q", NULL, 0)), ZK_EOK);
	end();
}

/* Items 55 to 59. */
static void kinds(void **state)
{
	const struct lead_out *o;

	(void)state;
	with(&(struct lead_opt){.extended_types = true});
	assert_int_equal(create_flag("/e", 1), ZK_EOK);
	assert_int_equal(create("/e/x"), ZK_NOCHILDRENFOREPHEMERALS);
	assert_int_equal(create("/e/x/y"), ZK_NONODE);
	assert_int_equal(create_flag("/plain", 4), ZK_EOK);
	node_is("/plain", "v0 cv0 av0 ch0 own0 =x");
	o = lead_call(d, s, ZK_OP_CREATE_CONTAINER, req_create("/c", "x", NULL, 0));
	assert_int_equal(o->body_n, 4 + 2 + ZK_STAT_BYTES);
	stat_is(o->body + 6, 0, 0, 0, 0, 1, 0); /* owner shown as 0 */
	node_is("/c", "v0 cv0 av0 ch0 own8000000000000000 =x");
	o = lead_call(d, s, ZK_OP_CREATE_TTL, req_ttl("/t", "x", 5, 1000));
	assert_int_equal(o->err, ZK_EOK);
	stat_is(o->body + 6, 0, 0, 0, 0, 1, 0);
	node_is("/t", "v0 cv0 av0 ch0 ownff000000000003e8 =x");
	assert_int_equal(create("/c/x"), ZK_EOK);
	assert_int_equal(create("/t/x"), ZK_EOK);
	assert_int_equal(create_flag("/t/e", 1), ZK_EOK);
	o = lead_call(d, s, ZK_OP_CREATE_TTL, req_ttl("/t/s", "x", 6, ZK_TTL_MAX_MS));
	assert_int_equal(o->err, ZK_EOK);
	assert_memory_equal(o->body + 4, "/t/s0000000002", 14);
	assert_int_equal(create_flag("/f", 5), ZK_BADARGUMENTS);
	assert_int_equal(create_flag("/f", 6), ZK_BADARGUMENTS);
	assert_int_equal(create_flag("/f", 7), ZK_BADARGUMENTS);
	assert_int_equal(create_flag("/f", -1), ZK_BADARGUMENTS);
	assert_int_equal(lead_err(d, s, ZK_OP_CREATE_TTL, req_ttl("/f", "x", 5, 0)),
			 ZK_BADARGUMENTS);
	assert_int_equal(lead_err(d, s, ZK_OP_CREATE_TTL, req_ttl("/f", "x", 5, -1)),
			 ZK_BADARGUMENTS);
	assert_int_equal(lead_err(d, s, ZK_OP_CREATE_TTL, req_ttl("/f", "x", 5, ZK_TTL_MAX_MS + 1)),
			 ZK_BADARGUMENTS);
	assert_int_equal(lead_err(d, s, ZK_OP_CREATE_TTL, req_ttl("/f", "x", 0, 5)),
			 ZK_BADARGUMENTS);
	assert_int_equal(lead_err(d, s, ZK_OP_CREATE_TTL, req_ttl("/f", "x", 0, -1)),
			 ZK_BADARGUMENTS);
	/* create2 with an ephemeral: owner in the Stat */
	o = lead_call(d, s, ZK_OP_CREATE2, req_create("/e2", "xyz", NULL, 1));
	stat_is(o->body + 7, 0, 0, 0, s, 3, 0);
	end();

	begin(); /* without extended types */
	assert_int_equal(lead_err(d, s, ZK_OP_CREATE_TTL, req_ttl("/f", "x", 5, 1000)),
			 ZK_UNIMPLEMENTED);
	assert_int_equal(create_flag("/f", 5), ZK_UNIMPLEMENTED);
	end();
}

/* ACLs of pending and applied nodes; items 67 to 69, 72. */
static void acls(void **state)
{
	(void)state;
	begin();
	login("bob:pw");
	assert_int_equal(lead_err(d, s, ZK_OP_CREATE, req_create("/b", "x", "31 auth", 0)), ZK_EOK);
	assert_int_equal(set("/b", "y", -1), ZK_EOK);
	d->ids_n = auth_ids_init(d->ids, "127.0.0.1");
	assert_int_equal(set("/b", "y", -1), ZK_NOAUTH);
	assert_int_equal(create("/b/x"), ZK_NOAUTH);
	login("eve:pw");
	assert_int_equal(set("/b", "y", -1), ZK_NOAUTH);
	login("bob:pw");
	assert_int_equal(set("/b", "y", -1), ZK_EOK);
	assert_int_equal(lead_err(d, s, ZK_OP_SET_ACL, req_acl("/b", "0 world anyone", -1)),
			 ZK_EOK);
	assert_int_equal(set("/b", "y", -1), ZK_NOAUTH);
	assert_int_equal(delete_v("/b", -1), ZK_EOK); /* the parent's matter */
	end();

	with(&(struct lead_opt){.skip_acl = true});
	assert_int_equal(lead_err(d, s, ZK_OP_CREATE, req_create("/b", "x", "0 world anyone", 0)),
			 ZK_EOK);
	assert_int_equal(set("/b", "y", -1), ZK_EOK);
	assert_int_equal(set("/b", "y", 9), ZK_BADVERSION);
	end();
}

/* ---- multi ------------------------------------------------------------------------------- */

static struct req_multi m;

static void results_are(const struct lead_out *o, unsigned n, const int32_t *type,
			const int32_t *err)
{
	struct jute_in in = jute_in_of(zk_span_of(o->body, o->body_n));

	assert_int_equal(o->err, ZK_EOK);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(jute_i32(&in), type[i]);
		assert_int_equal(jute_u8(&in), 0);
		assert_int_equal(jute_i32(&in), err[i]);
		switch (type[i]) {
		case ZK_OP_ERROR:
			assert_int_equal(jute_i32(&in), err[i]);
			break;
		case ZK_OP_CREATE:
			assert_non_null(jute_bytes(&in).p);
			break;
		case ZK_OP_CREATE2:
			assert_non_null(jute_bytes(&in).p);
			assert_non_null(jute_take(&in, ZK_STAT_BYTES));
			break;
		case ZK_OP_SET_DATA:
			assert_non_null(jute_take(&in, ZK_STAT_BYTES));
			break;
		default:
			break;
		}
	}
	assert_int_equal(jute_i32(&in), -1);
	assert_int_equal(jute_u8(&in), 1);
	assert_int_equal(jute_i32(&in), -1);
	assert_int_equal(jute_left(&in), 0);
	assert_false(in.bad);
}

/* Items 33, 34, 39. */
static void multi_success(void **state)
{
	static const int32_t type[] = {1, 15, 15, 15, 5, 13, 2, 5};
	static const int32_t err[8] = {0};
	const struct lead_out *o;

	(void)state;
	with(&(struct lead_opt){.extended_types = true});
	m.n = 0;
	multi_op(&m, ZK_OP_CREATE, req_create("/a", "1", NULL, 0));
	multi_op(&m, ZK_OP_CREATE2, req_create("/a/b", "2", NULL, 2));
	multi_op(&m, ZK_OP_CREATE_CONTAINER, req_create("/a/c", "3", NULL, 4));
	multi_op(&m, ZK_OP_CREATE_TTL, req_ttl("/a/t", "4", 5, 77));
	multi_op(&m, ZK_OP_SET_DATA, req_set("/a", "5", 0));
	multi_op(&m, ZK_OP_CHECK, req_version("/a", 1));
	multi_op(&m, ZK_OP_DELETE, req_version("/a/c", 0));
	multi_op(&m, ZK_OP_SET_DATA, req_set("/a", "6", 1));
	o = lead_call(d, s, ZK_OP_MULTI, multi_end(&m));
	results_are(o, 8, type, err);
	node_is("/a", "v2 cv3 av0 ch2 own0 =6");
	node_is("/a/b0000000000", "v0 cv0 av0 ch0 own0 =2");
	node_is("/a/c", "none");
	node_is("/a/t", "v0 cv0 av0 ch0 ownff0000000000004d =4");
	uint64_t z = d->logged;

	m.n = 0;
	o = lead_call(d, s, ZK_OP_MULTI, multi_end(&m));
	results_are(o, 0, type, err);
	assert_int_equal(d->logged, z + 1);
	end();
}

/* The state inside a multi at each step: Stat of the second setData differs from the first's. */
static void multi_stats(void **state)
{
	const struct lead_out *o;

	(void)state;
	begin();
	assert_int_equal(create("/a"), ZK_EOK);
	m.n = 0;
	multi_op(&m, ZK_OP_SET_DATA, req_set("/a", "1", -1));
	multi_op(&m, ZK_OP_CREATE2, req_create("/a/b", "22", NULL, 0));
	multi_op(&m, ZK_OP_SET_DATA, req_set("/a", "333", -1));
	o = lead_call(d, s, ZK_OP_MULTI, multi_end(&m));
	stat_is(o->body + 9, 1, 0, 0, 0, 1, 0);
	stat_is(o->body + 9 + 68 + 9 + 8, 0, 0, 0, 0, 2, 0);
	stat_is(o->body + 9 + 68 + 9 + 8 + 68 + 9, 2, 1, 0, 0, 3, 1);
	end();
}

/* Items 32, 48: nothing happens, the sequence number is given back. */
static void multi_failure(void **state)
{
	static const int32_t type[] = {-1, -1, -1, -1};
	static const int32_t err[] = {0, 0, ZK_NONODE, ZK_RUNTIMEINCONSISTENCY};
	const struct lead_out *o;

	(void)state;
	begin();
	assert_int_equal(create("/a"), ZK_EOK);
	uint64_t hash = lead_tree_hash(d), z = d->logged;

	m.n = 0;
	multi_op(&m, ZK_OP_CREATE, req_create("/a/s", "1", NULL, 2));
	multi_op(&m, ZK_OP_SET_DATA, req_set("/a", "1", 0));
	multi_op(&m, ZK_OP_DELETE, req_version("/none", -1));
	multi_op(&m, ZK_OP_CREATE, req_create("/b", "1", NULL, 0));
	o = lead_call(d, s, ZK_OP_MULTI, multi_end(&m));
	results_are(o, 4, type, err);
	assert_int_equal(o->zxid, z + 1);
	assert_true(lead_tree_hash(d) == hash);
	assert_int_equal(zk_get32(d->log[d->log_n - 1].p + TXN_TYPE_AT), ZK_OP_MULTI);
	created_as("/a/s", 2, "/a/s0000000000");
	node_is("/a", "v0 cv1 av0 ch1 own0 =x");
	end();
}

/* Items 35, 36: the whole request is -5. */
static void multi_refused(void **state)
{
	static const struct {
		int32_t type;
		bool acl;
	} bad[] = {{ZK_OP_SET_ACL, true},   {ZK_OP_EXISTS, false},
		   {ZK_OP_GET_DATA, false}, {0, false},
		   {ZK_OP_MULTI, false},    {-5, false}};

	(void)state;
	begin();
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t z = d->logged;

		m.n = 0;
		multi_op(&m, ZK_OP_CREATE, req_create("/a", "1", NULL, 0));
		multi_op(&m, bad[i].type, bad[i].acl ? req_acl("/a", NULL, -1) : req_path("/a"));
		assert_int_equal(lead_err(d, s, ZK_OP_MULTI, multi_end(&m)), ZK_MARSHALLINGERROR);
		assert_int_equal(d->logged, z + 1);
		node_is("/a", "none");
	}
	for (int32_t flag = -1; flag < 9; flag++) {
		static const int32_t container[] = {15};
		static const int32_t ok[] = {0};

		if (flag >= 0 && flag < 4)
			continue;
		m.n = 0;
		multi_op(&m, ZK_OP_CREATE, req_create("/a", "1", NULL, flag));
		if (flag == 4) /* Op.create() makes a container of it */
			results_are(lead_call(d, s, ZK_OP_MULTI, multi_end(&m)), 1, container, ok);
		else
			assert_int_equal(lead_err(d, s, ZK_OP_MULTI, multi_end(&m)),
					 ZK_MARSHALLINGERROR);
	}
	node_is("/a", "v0 cv0 av0 ch0 own8000000000000000 =1");
	m.n = 0;
	multi_op(&m, ZK_OP_DELETE, req_version(NULL, -1));
	assert_int_equal(lead_err(d, s, ZK_OP_MULTI, multi_end(&m)), ZK_MARSHALLINGERROR);
	/* a null id refuses the whole too, and what came before it is undone */
	m.n = 0;
	multi_op(&m, ZK_OP_CREATE, req_create("/b", "1", NULL, 0));
	multi_op(&m, ZK_OP_CREATE, req_create("/b/c", "1", "31 world null", 0));
	assert_int_equal(lead_err(d, s, ZK_OP_MULTI, multi_end(&m)), ZK_MARSHALLINGERROR);
	node_is("/b", "none");
	end();
}

/* Errors of single operations inside a multi keep their order. */
static void multi_errors(void **state)
{
	static const int32_t type[] = {-1, -1};
	struct {
		int32_t op, err;
		struct zk_span body;
	} v[] = {{ZK_OP_CHECK, ZK_NONODE, req_version("/none", -1)},
		 {ZK_OP_CHECK, ZK_BADVERSION, req_version("/", 99)},
		 {ZK_OP_CHECK, ZK_BADARGUMENTS, req_version("x", -1)},
		 {ZK_OP_SET_DATA, ZK_BADVERSION, req_set("/", "", 99)},
		 {ZK_OP_CREATE, ZK_NODEEXISTS, req_create("/zookeeper", "", NULL, 0)},
		 {ZK_OP_CREATE, ZK_INVALIDACL, req_create("/x", "", "", 0)}};

	(void)state;
	begin();
	for (unsigned i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		int32_t err[] = {v[i].err, ZK_RUNTIMEINCONSISTENCY};

		m.n = 0;
		multi_op(&m, v[i].op, v[i].body);
		multi_op(&m, ZK_OP_CREATE, req_create("/y", "", NULL, 0));
		results_are(lead_call(d, s, ZK_OP_MULTI, multi_end(&m)), 2, type, err);
	}
	node_is("/y", "none");
	end();
}

/* A create that expands "auth" to many identities needs more room than its request. */
static void auth_expansion(void **state)
{
	(void)state;
	begin();
	for (unsigned i = 1; i < AUTH_IDS_MAX; i++) {
		char user[128];

		snprintf(user, sizeof(user), "%c%060u:x", 'a' + i, i);
		login(user);
	}
	m.n = 0;
	for (unsigned i = 0; i < 500; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/n%u", i);
		multi_op(&m, ZK_OP_CREATE, req_create(path, "", "31 auth", 0));
	}
	/* 500 operations, 15 identities of 100 bytes: 750 kB from a few kB */
	assert_int_equal(lead_err(d, s, ZK_OP_MULTI, multi_end(&m)), ZK_EOK);
	assert_true(d->log[d->log_n - 1].n > 700000);
	node_is("/n499", "v0 cv0 av0 ch0 own0 =");
	assert_int_equal(set("/n499", "x", 0), ZK_EOK);
	d->ids_n = auth_ids_init(d->ids, "127.0.0.1");
	assert_int_equal(set("/n499", "x", 1), ZK_NOAUTH);
	end();
}

/* No memory for the data: an error, not the end. */
static void memory_limit(void **state)
{
	static char big[60000];
	unsigned refused = 0;
	struct leader_stats st;

	(void)state;
	memset(big, 'b', sizeof(big) - 1);
	with(&(struct lead_opt){.tree_limit = 24u << 20});
	for (unsigned i = 0; i < 600; i++) {
		char path[32];
		enum zk_err err;

		snprintf(path, sizeof(path), "/n%u", i);
		err = lead_err(d, s, ZK_OP_CREATE, req_create(path, big, NULL, 0));
		assert_true(err == ZK_EOK || err == ZK_SYSTEMERROR);
		refused += err != ZK_EOK;
	}
	assert_true(refused > 0 && refused < 600);
	leader_stats_get(d->l, &st);
	assert_int_equal(st.refused_memory, refused);
	assert_int_equal(delete_v("/n0", -1), ZK_EOK); /* the way out */
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_take_a_zxid),
		cmocka_unit_test(malformed),
		cmocka_unit_test(null_data),
		cmocka_unit_test(paths),
		cmocka_unit_test(nul_in_path),
		cmocka_unit_test(counters),
		cmocka_unit_test(sequence_wrap),
		cmocka_unit_test(container_with_an_ephemeral_flag),
		cmocka_unit_test(order_of_checks),
		cmocka_unit_test(kinds),
		cmocka_unit_test(acls),
		cmocka_unit_test(multi_success),
		cmocka_unit_test(multi_stats),
		cmocka_unit_test(multi_failure),
		cmocka_unit_test(multi_refused),
		cmocka_unit_test(multi_errors),
		cmocka_unit_test(auth_expansion),
		cmocka_unit_test(memory_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
