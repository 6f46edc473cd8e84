/* SPDX-License-Identifier: Apache-2.0 */
/* enforceQuota: which writes a hard limit refuses (ZooKeeperServer.checkQuota()), through requests
 * and replies; and that what is pending counts, where Apache lets a pipeline or a multi overshoot.
 */
#include "core/txn/quota_errors.h"
#include "test/lib/lead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

static struct lead *d;
static uint64_t s;
static struct req_multi m;

#define LIMITS "/zookeeper/quota/a/zookeeper_limits"
#define STATS  "/zookeeper/quota/a/zookeeper_stats"

static enum zk_err create(const char *path, const char *data)
{
	return lead_err(d, s, ZK_OP_CREATE, req_create(path, data, NULL, 0));
}

static enum zk_err del(const char *path)
{
	return lead_err(d, s, ZK_OP_DELETE, req_version(path, -1));
}

static enum zk_err set(const char *path, const char *data, int32_t version)
{
	return lead_err(d, s, ZK_OP_SET_DATA, req_set(path, data, version));
}

/* /a and /a/b with two bytes each, and the limits. */
static void with(bool enforce, const char *limits)
{
	d = lead_open(&(struct lead_opt){.enforce_quota = enforce});
	s = lead_session(d, 0, 0, 10000);
	assert_int_equal(create("/a", "11"), ZK_EOK);
	assert_int_equal(create("/a/b", "22"), ZK_EOK);
	assert_int_equal(create("/zookeeper/quota/a", NULL), ZK_EOK);
	assert_int_equal(create(LIMITS, limits), ZK_EOK);
	assert_int_equal(create(STATS, "count=0,bytes=0"), ZK_EOK);
}

static void end(void)
{
	lead_close(d);
}

static void usage_is(const char *want)
{
	char text[128];

	snprintf(text, sizeof(text), "v0 cv0 av0 ch0 own0 =%s", want);
	assert_string_equal(lead_node(d, STATS), text);
}

static void count_limit(void **state)
{
	(void)state;
	with(true, "count=1,bytes=1=;countHardLimit=3");
	assert_int_equal(create("/a/c", "3333"), ZK_EOK);
	assert_int_equal(create("/a/d", "4"), ZK_QUOTAEXCEEDED);
	assert_int_equal(create("/ab", "4"), ZK_EOK);
	assert_int_equal(set("/a/c", "333333333", -1), ZK_EOK);
	usage_is("count=3,bytes=13");
	assert_int_equal(del("/a/c"), ZK_EOK);
	assert_int_equal(create("/a/d", "4"), ZK_EOK);
	usage_is("count=3,bytes=5");
	/* lowered below the usage: deletes only */
	assert_int_equal(set(LIMITS, "count=-1,bytes=-1=;countHardLimit=0", -1), ZK_EOK);
	assert_int_equal(create("/a/e", ""), ZK_QUOTAEXCEEDED);
	assert_int_equal(del("/a/b"), ZK_EOK);
	assert_int_equal(create("/a/e", ""), ZK_QUOTAEXCEEDED);
	/* no limit, no quota */
	assert_int_equal(del(LIMITS), ZK_EOK);
	assert_int_equal(create("/a/e", ""), ZK_EOK);
	usage_is("count=2,bytes=3");
	end();
}

static void bytes_limit(void **state)
{
	(void)state;
	with(true, "byteHardLimit=6");
	assert_int_equal(set("/a/b", "3333", -1), ZK_EOK);
	assert_int_equal(set("/a/b", "55555", -1), ZK_QUOTAEXCEEDED);
	assert_int_equal(create("/a/c", "1"), ZK_QUOTAEXCEEDED);
	assert_int_equal(create("/a/c", ""), ZK_EOK);
	assert_int_equal(create("/a/d", NULL), ZK_EOK);
	usage_is("count=4,bytes=6");
	assert_int_equal(set("/a/b", "4444", -1), ZK_EOK); /* same length: not looked at */
	assert_int_equal(set(LIMITS, "byteHardLimit=3", -1), ZK_EOK);
	assert_int_equal(set("/a/b", "5555", -1), ZK_EOK);
	assert_int_equal(set("/a/b", "66", -1), ZK_QUOTAEXCEEDED); /* shorter, but still above */
	assert_int_equal(set("/a/b", "7", -1), ZK_EOK);
	usage_is("count=4,bytes=3");
	end();
}

/* Behind ACL and existence, before the version; the transaction is an error like any other. */
static void its_place(void **state)
{
	const struct lead_out *o;

	(void)state;
	with(true, "byteHardLimit=4;countHardLimit=2");
	assert_int_equal(set("/a/b", "333", 7), ZK_QUOTAEXCEEDED);
	assert_int_equal(set("/a/b", "22", 7), ZK_BADVERSION);
	assert_int_equal(set("/a/x", "333", -1), ZK_NONODE);
	assert_int_equal(create("/a/b", "333"), ZK_NODEEXISTS);
	assert_int_equal(create("/a/x/y", "333"), ZK_NONODE);
	o = lead_call(d, s, ZK_OP_CREATE2, req_create("/a/s", "3", NULL, 2));
	assert_int_equal(o->err, ZK_QUOTAEXCEEDED);
	assert_int_equal(o->zxid, d->logged);
	assert_int_equal(d->log[d->log_n - 1].n, 36);
	assert_int_equal(lead_err(d, s, ZK_OP_CREATE_CONTAINER, req_create("/a/k", "", NULL, 4)),
			 ZK_QUOTAEXCEEDED);
	usage_is("count=2,bytes=4");
	end();
}

static void without_enforce(void **state)
{
	(void)state;
	with(false, "byteHardLimit=4;countHardLimit=2");
	assert_int_equal(create("/a/c", "33"), ZK_EOK);
	assert_int_equal(set("/a/c", "333", -1), ZK_EOK);
	usage_is("count=3,bytes=7");
	assert_int_equal(set(LIMITS, "nonsense", -1), ZK_EOK);
	assert_int_equal(create("/a/d", ""), ZK_EOK);
	end();
}

/* What Java cannot parse makes Apache's prep fail with -5; a missing usage lets all pass. */
static void unreadable(void **state)
{
	static const char *const bad[] = {NULL, "x", "count=", "countHardLimit=9z"};

	(void)state;
	with(true, "countHardLimit=3");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(set(LIMITS, bad[i], -1), ZK_EOK);
		assert_int_equal(create("/a/c", ""), ZK_MARSHALLINGERROR);
		m.n = 0;
		multi_op(&m, ZK_OP_CREATE, req_create("/m", "", NULL, 0));
		multi_op(&m, ZK_OP_CREATE, req_create("/a/c", "", NULL, 0));
		assert_int_equal(lead_err(d, s, ZK_OP_MULTI, multi_end(&m)), ZK_MARSHALLINGERROR);
		assert_string_equal(lead_node(d, "/m"), "none");
	}
	assert_int_equal(set(LIMITS, "", -1), ZK_EOK);
	assert_int_equal(create("/a/c", ""), ZK_EOK);
	assert_int_equal(set(LIMITS, "countHardLimit=3", -1), ZK_EOK);
	assert_int_equal(set(STATS, "count=x", -1), ZK_EOK);
	assert_int_equal(create("/a/d", ""), ZK_MARSHALLINGERROR);
	assert_int_equal(del(STATS), ZK_EOK);
	assert_int_equal(create("/a/d", ""), ZK_EOK);
	end();
}

static int32_t multi_err(const struct lead_out *o, unsigned i)
{
	const uint8_t *p = o->body;

	assert_int_equal(o->err, ZK_EOK);
	for (; i > 0; i--)
		p += 13;
	assert_int_equal((int32_t)zk_get32(p), -1);
	return (int32_t)zk_get32(p + 5);
}

static void multi_counts_itself(void **state)
{
	const struct lead_out *o;

	(void)state;
	with(true, "countHardLimit=3");
	m.n = 0;
	multi_op(&m, ZK_OP_CREATE, req_create("/a/c", "", NULL, 0));
	multi_op(&m, ZK_OP_CREATE, req_create("/a/d", "", NULL, 0));
	multi_op(&m, ZK_OP_CREATE, req_create("/a/e", "", NULL, 0));
	o = lead_call(d, s, ZK_OP_MULTI, multi_end(&m));
	assert_int_equal(multi_err(o, 0), ZK_EOK);
	assert_int_equal(multi_err(o, 1), ZK_QUOTAEXCEEDED);
	assert_int_equal(multi_err(o, 2), ZK_RUNTIMEINCONSISTENCY);
	usage_is("count=2,bytes=4");
	/* nothing of it is remembered; and a delete makes room in the same multi */
	m.n = 0;
	multi_op(&m, ZK_OP_CREATE, req_create("/a/c", "", NULL, 0));
	multi_op(&m, ZK_OP_DELETE, req_version("/a/b", -1));
	multi_op(&m, ZK_OP_CREATE, req_create("/a/d", "", NULL, 0));
	o = lead_call(d, s, ZK_OP_MULTI, multi_end(&m));
	assert_int_equal((int32_t)zk_get32(o->body), ZK_OP_CREATE);
	usage_is("count=3,bytes=2");
	end();
}

static enum zk_err late(int32_t xid, int32_t op, struct zk_span body)
{
	assert_int_equal(lead_send(d, 0, (uint32_t)(s & 0xff), s, xid, op, body), ZK_EOK);
	return ZK_EOK;
}

static void answers(size_t n, const int32_t *want)
{
	lead_forget(d);
	lead_durable(d, d->logged, ~0u);
	assert_int_equal(d->out_n, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(d->out[i].err, want[i]);
}

static void pending_counts(void **state)
{
	static const int32_t first[] = {0, ZK_QUOTAEXCEEDED, 0, 0, 0, ZK_QUOTAEXCEEDED};
	static const int32_t second[] = {0, 0, ZK_QUOTAEXCEEDED};

	(void)state;
	with(true, "countHardLimit=3;byteHardLimit=8");
	d->late = true;
	late(1, ZK_OP_CREATE, req_create("/a/c", "33", NULL, 0));
	late(2, ZK_OP_CREATE, req_create("/a/d", "", NULL, 0));
	late(3, ZK_OP_DELETE, req_version("/a/c", -1));
	late(4, ZK_OP_CREATE, req_create("/a/d", "1", NULL, 0));
	late(5, ZK_OP_SET_DATA, req_set("/a/d", "4444", -1));
	late(6, ZK_OP_SET_DATA, req_set("/a/b", "333", -1));
	answers(6, first);
	usage_is("count=3,bytes=8");
	/* the quota goes while writes that it counts are under way */
	late(7, ZK_OP_DELETE, req_version("/a/d", -1));
	late(8, ZK_OP_DELETE, req_version(LIMITS, -1));
	late(9, ZK_OP_SET_DATA, req_set("/a/b", "this is too long", -1));
	answers(3, second);
	d->late = false;
	usage_is("count=2,bytes=4");
	assert_int_equal(set("/a/b", "this is too long", -1), ZK_EOK);
	usage_is("count=2,bytes=4");
	end();
}

/* A session's ephemerals give their room back with its closeSession, pending or not. */
static void close_gives_back(void **state)
{
	static const int32_t want[] = {0, 0, 0};
	uint64_t t;

	(void)state;
	with(true, "countHardLimit=3");
	t = lead_session(d, 0, 77, 10000);
	d->late = true;
	assert_int_equal(lead_send(d, 0, 77, t, 1, ZK_OP_CREATE, req_create("/a/e", "", NULL, 1)),
			 ZK_EOK);
	assert_int_equal(lead_send(d, 0, 77, t, 2, ZK_OP_CLOSE_SESSION, (struct zk_span){NULL, 0}),
			 ZK_EOK);
	late(3, ZK_OP_CREATE, req_create("/a/c", "", NULL, 0));
	answers(3, want);
	usage_is("count=3,bytes=4");
	d->late = false;
	assert_int_equal(create("/a/d", ""), ZK_QUOTAEXCEEDED);
	end();
}

/* Promises that are out when the leader ends. */
static void leader_ends(void **state)
{
	(void)state;
	with(true, "countHardLimit=9");
	d->late = true;
	late(1, ZK_OP_CREATE, req_create("/a/c", "33", NULL, 0));
	late(2, ZK_OP_SET_DATA, req_set("/a/c", "333", -1));
	end();
}

static void errors_are(const char *name, uint64_t want)
{
	const struct quota_errors *e = leader_quota_errors(d->l);
	struct zk_span have;
	uint64_t count;

	for (uint32_t i = 0; quota_errors_get(e, i, &have, &count); i++) {
		if (zk_span_eq(have, zk_span_str(name))) {
			assert_true(count == want);
			return;
		}
	}
	assert_true(want == 0);
}

/* Refusals are counted for each top-level node, up to a number of names. */
static void refusals_are_counted(void **state)
{
	struct leader_stats st;
	char path[128];

	(void)state;
	with(true, "countHardLimit=2");
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(create("/a/x", ""), ZK_QUOTAEXCEEDED);
	assert_int_equal(create("/a/b/y", ""), ZK_QUOTAEXCEEDED);
	errors_are("a", 4);
	quota_errors_reset(leader_quota_errors(d->l));
	errors_are("a", 0);
	assert_int_equal(create("/a/x", ""), ZK_QUOTAEXCEEDED);
	errors_are("a", 1);
	for (unsigned i = 0; i < QUOTA_ERRORS_MAX; i++) {
		snprintf(path, sizeof(path), "/zookeeper/quota/n%u", i);
		assert_int_equal(create(path, ""), ZK_EOK);
		snprintf(path, sizeof(path), "/zookeeper/quota/n%u/zookeeper_limits", i);
		assert_int_equal(create(path, "countHardLimit=0"), ZK_EOK);
		snprintf(path, sizeof(path), "/zookeeper/quota/n%u/zookeeper_stats", i);
		assert_int_equal(create(path, ""), ZK_EOK);
		snprintf(path, sizeof(path), "/n%u", i);
		assert_int_equal(create(path, ""), ZK_QUOTAEXCEEDED);
	}
	errors_are("n62", 1);
	errors_are("n63", 0);
	assert_true(leader_quota_errors(d->l)->others == 1);
	leader_stats_get(d->l, &st);
	assert_int_equal(st.quota_exceeded, 5 + QUOTA_ERRORS_MAX);
	assert_int_equal(st.quota_soft, 0);
	assert_int_equal(set(LIMITS, "count=1", -1), ZK_EOK);
	assert_int_equal(create("/a/x", ""), ZK_EOK);
	leader_stats_get(d->l, &st);
	assert_int_equal(st.quota_soft, 1);
	end();
}

/* DataTree takes the Stat of a create2 before it counts: its dataLength is that of the request. */
static void stat_of_the_request(void **state)
{
	const struct lead_out *o;

	(void)state;
	with(false, "");
	assert_int_equal(del(STATS), ZK_EOK);
	o = lead_call(d, s, ZK_OP_CREATE2, req_create(STATS, "some text of mine", NULL, 0));
	assert_int_equal(o->err, ZK_EOK);
	assert_int_equal(zk_get32(o->body + o->body_n - 16), strlen("some text of mine"));
	usage_is("count=2,bytes=4");
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(count_limit),         cmocka_unit_test(bytes_limit),
		cmocka_unit_test(its_place),           cmocka_unit_test(without_enforce),
		cmocka_unit_test(unreadable),          cmocka_unit_test(multi_counts_itself),
		cmocka_unit_test(pending_counts),      cmocka_unit_test(close_gives_back),
		cmocka_unit_test(leader_ends),         cmocka_unit_test(refusals_are_counted),
		cmocka_unit_test(stat_of_the_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
