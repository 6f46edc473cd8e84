/* SPDX-License-Identifier: Apache-2.0 */
/* The pipeline: order, runs of every size, budgets, back-pressure. */
#include "test/unit/server/srv_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { MANY = 1000 };

static void ask_many(struct fake_conn *fc)
{
	char path[32];

	for (int32_t i = 0; i < MANY; i++) {
		(void)snprintf(path, sizeof(path), "/n%d", i % 50);
		ask_path(fc, i, i % 3 ? ZK_OP_GET_DATA : ZK_OP_EXISTS, path, false);
	}
}

static void expect_many(struct fake_conn *fc)
{
	char data[32];

	for (int32_t i = 0; i < MANY; i++) {
		struct got g = got_reply(fc, i, ZK_EOK);

		(void)snprintf(data, sizeof(data), "data %d", i % 50);
		if (i % 3)
			assert_true(got_text(&g.body, data));
		assert_int_equal(jute_left(&g.body), ZK_STAT_BYTES);
	}
	got_nothing(fc);
}

static struct fake *with_nodes(const struct fake_conf *conf)
{
	struct fake *f = fake_new(conf);
	char path[32], data[32];

	for (unsigned i = 0; i < 50; i++) {
		(void)snprintf(path, sizeof(path), "/n%u", i);
		(void)snprintf(data, sizeof(data), "data %u", i);
		(void)fake_tx(f, ZK_OP_CREATE, path, data);
	}
	return f;
}

/* 1,000 requests: in one run, in runs of every awkward size, and byte by byte */
static void pipelined(void **state)
{
	static const size_t runs[] = {0, 1, 2, 3, 4, 5, 7, 13, 31, 64, 1447, 4096};
	struct fake *f = with_nodes(NULL);
	size_t before = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		struct fake_conn *fc = fake_session(f);

		before = f->mem.used_bytes;
		fc->run_max = runs[i];
		ask_many(fc);
		fake_settle(f);
		expect_many(fc);
		assert_int_equal(f->mem.used_bytes, before);
		fake_gone(fc);
	}
	fake_free(f);
}

/* dribbled: every byte a segment of its own */
static void dribbled(void **state)
{
	struct fake *f = with_nodes(NULL);
	struct fake_conn *fc = fake_session(f), *from = fake_session(f);
	struct fake_conn *src = from;

	(void)state;
	ask_many(src); /* only to build the bytes: never shown to the server */
	src->news = false;
	for (size_t i = 0; i < src->in_n; i++) {
		fake_send(fc, src->in + i, 1);
		fc->news = false;
		srv_input(fc->c, f->now_ns);
	}
	src->in_at = src->in_n;
	fake_settle(f);
	expect_many(fc);
	fake_free(f);
}

static void reads_wait_for_writes(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *a = fake_session(f), *b = fake_session(f);
	struct got g;
	int64_t z;

	(void)state;
	f->hold = true;
	ask_create(a, 1, "/a", "1");
	ask_set(a, 2, "/a", "2"); /* writes behind writes go on */
	ask_path(a, 3, ZK_OP_GET_DATA, "/a", false);
	ask_set(a, 4, "/a", "3");
	ask_plain(a, -2, ZK_OP_PING);
	ask_path(b, 1, ZK_OP_EXISTS, "/a", false); /* another session's read does not wait */
	fake_settle(f);
	got_nothing(a);
	(void)got_reply(b, 1, ZK_NONODE);
	(void)fake_leader(f);
	assert_int_equal(f->requests, 2);
	fake_settle(f);
	z = got_reply(a, 1, ZK_EOK).zxid;
	assert_int_equal(got_reply(a, 2, ZK_EOK).zxid, z + 1);
	g = got_reply(a, 3, ZK_EOK);
	assert_int_equal(g.zxid, z + 1);
	assert_true(got_text(&g.body, "2"));
	got_nothing(a);
	f->hold = false;
	fake_settle(f);
	assert_int_equal(got_reply(a, 4, ZK_EOK).zxid, z + 2);
	assert_int_equal(got_reply(a, -2, ZK_EOK).zxid, z + 2);
	got_nothing(a);
	fake_free(f);
}

/* the reply to Z leaves after the change log has been consumed up to Z */
static void replies_wait_for_visible(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *a = fake_session(f);

	(void)state;
	f->no_apply = true; /* a leader that replies before it publishes */
	ask_create(a, 1, "/a", "1");
	for (unsigned i = 0; i < 5; i++)
		fake_round(f);
	assert_int_equal(f->requests, 1);
	got_nothing(a);
	tree_end(f->tree);
	f->no_apply = false;
	fake_settle(f);
	(void)got_reply(a, 1, ZK_EOK);
	fake_free(f);
}

/* zxids never go back, events come before what they announce */
static void event_before_data(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *w = fake_session(f), *r = fake_session(f);
	uint64_t z;

	(void)state;
	(void)fake_tx(f, ZK_OP_CREATE, "/a", "0");
	for (unsigned i = 1; i < 200; i++) {
		struct got g;

		ask_path(r, 1, ZK_OP_GET_DATA, "/a", true);
		fake_settle(f);
		(void)got_reply(r, 1, ZK_EOK);
		ask_set(w, 2, "/a", "x");
		ask_path(r, 3, ZK_OP_GET_DATA, "/a", false);
		fake_settle(f);
		z = (uint64_t)got_reply(w, 2, ZK_EOK).zxid;
		/* the read saw either the old state, or the event came first */
		g = got_next(r);
		if (g.xid == ZK_XID_WATCH) {
			assert_int_equal(g.zxid, z);
			g = got_reply(r, 3, ZK_EOK);
			assert_int_equal(g.zxid, z);
		} else {
			assert_true(g.zxid < (int64_t)z);
			got_event(r, (int64_t)z, ZK_EV_DATA, "/a");
		}
		got_nothing(r);
	}
	/* the writer's own event precedes its reply */
	ask_path(w, 1, ZK_OP_GET_DATA, "/a", true);
	ask_set(w, 2, "/a", "y");
	fake_settle(f);
	(void)got_reply(w, 1, ZK_EOK);
	got_event(w, (int64_t)f->zxid, ZK_EV_DATA, "/a");
	(void)got_reply(w, 2, ZK_EOK);
	fake_free(f);
}

/* a reply to Z comes before the events of Z + 1, though both were there when the round began */
static void zxid_order(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *a = fake_session(f);
	int64_t z;

	(void)state;
	ask_path_i32(a, 1, ZK_OP_ADD_WATCH, "/", 1);
	fake_settle(f);
	(void)got_reply(a, 1, ZK_EOK);
	f->hold = true;
	ask_create(a, 2, "/a", "1");
	ask_set(a, 3, "/none", "1"); /* fails: no change, but a zxid */
	fake_settle(f);
	z = (int64_t)fake_tx(f, ZK_OP_CREATE, "/before", "");
	(void)fake_leader(f);
	(void)fake_tx(f, ZK_OP_CREATE, "/after", "");
	fake_settle(f);
	got_event(a, z, ZK_EV_CREATED, "/before");
	got_event(a, z + 1, ZK_EV_CREATED, "/a");
	assert_int_equal(got_reply(a, 2, ZK_EOK).zxid, z + 1);
	assert_int_equal(got_reply(a, 3, ZK_NONODE).zxid, z + 2);
	got_event(a, z + 3, ZK_EV_CREATED, "/after");
	got_nothing(a);
	fake_free(f);
}

/* no tail, short writes, then the budget comes back a little at a time */
static void budgets(void **state)
{
	static const size_t steps[] = {1, 19, 20, 21, 100, 1448, 5000};
	struct fake *f = with_nodes(NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct fake_conn *fc = fake_session(f);
		size_t before = f->mem.used_bytes;
		unsigned guard = 0;

		fc->tail_max = i % 2 ? 0 : 1448;
		fc->budget = steps[i];
		ask_many(fc);
		fake_settle(f);
		/* one reply at most is kept, the parser stands */
		assert_true(fc->in_n - fc->in_at > 0);
		assert_true(f->mem.used_bytes - before <= 8192);
		while (fc->out_n < 41 + MANY * 88u && guard++ < 200000)
			fake_writable(fc, steps[i]);
		fake_writable(fc, 1 << 20);
		expect_many(fc);
		assert_int_equal(f->mem.used_bytes, before);
		fake_gone(fc);
	}
	fake_free(f);
}

/* a client that does not read: reads stop, events go on up to the limit, then it is cut */
static void slow_reader(void **state)
{
	struct fake_conf conf = {.spill_max = 10000};
	struct fake *f = fake_new(&conf);
	struct fake_conn *slow = fake_session(f), *fast = fake_session(f);

	(void)state;
	(void)fake_tx(f, ZK_OP_CREATE, "/a", "0");
	ask_path_i32(slow, 1, ZK_OP_ADD_WATCH, "/a", 0);
	ask_path_i32(fast, 1, ZK_OP_ADD_WATCH, "/a", 1);
	fake_settle(f);
	(void)got_reply(slow, 1, ZK_EOK);
	(void)got_reply(fast, 1, ZK_EOK);
	slow->budget = 0;
	for (unsigned i = 0; i < 250; i++) { /* 38 bytes an event */
		(void)fake_tx(f, ZK_OP_SET_DATA, "/a", "1");
		fake_settle(f);
	}
	assert_false(slow->reset);
	ask_plain(slow, -2, ZK_OP_PING);
	fake_settle(f);
	assert_int_equal(slow->in_n - slow->in_at, 12); /* not read */
	for (unsigned i = 0; i < 50; i++) {
		(void)fake_tx(f, ZK_OP_SET_DATA, "/a", "1");
		fake_settle(f);
	}
	assert_true(slow->reset);
	assert_int_equal(f->detaches, 1);
	assert_int_equal(atomic_load(&srv_stats_of(f->srv)->conns_overrun), 1);
	for (unsigned i = 0; i < 300; i++)
		got_event(fast, (int64_t)(f->zxid - 299 + i), ZK_EV_DATA, "/a");
	fake_free(f);
}

/* the ring to the leader is full: nothing is lost, order is kept */
static void ring_full(void **state)
{
	struct fake_conf conf = {.ring_bytes = 65536, .maxbuffer = 16384};
	struct fake *f = fake_new(&conf);
	struct fake_conn *a = fake_session(f), *b = fake_session(f), *gone = fake_session(f);

	(void)state;
	(void)fake_tx(f, ZK_OP_CREATE, "/a", "0");
	f->hold = true;
	for (int32_t i = 0; i < MANY; i++) {
		ask_set(a, i, "/a", "abcdefghijklmnopqrstuvwxyz");
		ask_set(b, i, "/a", "abcdefghijklmnopqrstuvwxyz");
	}
	for (unsigned i = 0; i < 20; i++)
		fake_round(f);
	assert_true(a->in_n > a->in_at && b->in_n > b->in_at);
	assert_true(atomic_load(&srv_stats_of(f->srv)->ring_full) > 0);
	assert_true(srv_next_ns(f->srv) <= f->now_ns);
	/* a session that goes while the ring is full is still reported */
	fake_gone(gone);
	assert_int_equal(f->detaches, 0);
	f->hold = false;
	fake_settle(f);
	for (int32_t i = 0; i < MANY; i++) {
		(void)got_reply(a, i, ZK_EOK);
		(void)got_reply(b, i, ZK_EOK);
	}
	assert_int_equal(f->requests, 2 * MANY);
	assert_int_equal(f->detaches, 1);
	fake_free(f);
}

static void outstanding_limit(void **state)
{
	struct fake_conf conf = {.limit = {.outstanding = 10}};
	struct fake *f = fake_new(&conf);
	struct fake_conn *a = fake_session(f), *b = fake_session(f);

	(void)state;
	(void)fake_tx(f, ZK_OP_CREATE, "/a", "0");
	f->hold = true;
	for (int32_t i = 1; i <= 100; i++)
		ask_set(a, i, "/a", "v");
	for (unsigned i = 0; i < 5; i++)
		fake_round(f);
	assert_int_equal(f->shared.limits.in_process, 11);
	/* a connection with nothing outstanding is still read */
	ask_set(b, 1, "/a", "v");
	for (unsigned i = 0; i < 5; i++)
		fake_round(f);
	assert_int_equal(f->shared.limits.in_process, 12);
	f->hold = false;
	for (unsigned i = 0; i < 400; i++)
		fake_round(f);
	for (int32_t i = 1; i <= 100; i++)
		(void)got_reply(a, i, ZK_EOK);
	(void)got_reply(b, 1, ZK_EOK);
	assert_int_equal(f->shared.limits.in_process, 0);
	fake_free(f);
}

/* Corner case 14: requests with xid <= 0 are in process, and do not stop their connection. */
static void xids_that_do_not_count(void **state)
{
	struct fake_conf conf = {.limit = {.outstanding = 10}};
	struct fake *f = fake_new(&conf);
	struct fake_conn *a = fake_session(f);

	(void)state;
	(void)fake_tx(f, ZK_OP_CREATE, "/a", "0");
	f->hold = true;
	for (int32_t i = 0; i < 100; i++)
		ask_set(a, -i, "/a", "v");
	for (unsigned i = 0; i < 5; i++)
		fake_round(f);
	assert_int_equal(f->shared.limits.in_process, 100);
	ask_set(a, 1, "/a", "v");
	ask_set(a, 2, "/a", "v");
	for (unsigned i = 0; i < 5; i++)
		fake_round(f);
	assert_int_equal(f->shared.limits.in_process, 101); /* now one counts */
	f->hold = false;
	for (unsigned i = 0; i < 10; i++)
		fake_round(f);
	for (int32_t i = 0; i < 100; i++)
		(void)got_reply(a, -i, ZK_EOK);
	(void)got_reply(a, 1, ZK_EOK);
	(void)got_reply(a, 2, ZK_EOK);
	fake_free(f);
}

/* one connection does not take the whole round */
static void fairness(void **state)
{
	struct fake_conf conf = {.reads_round = 10};
	struct fake *f = with_nodes(&conf);
	struct fake_conn *a = fake_session(f);

	(void)state;
	ask_many(a);
	fake_round(f);
	for (int32_t i = 0; i < 10; i++)
		(void)got_reply(a, i, ZK_EOK);
	got_nothing(a);
	assert_true(srv_next_ns(f->srv) <= f->now_ns);
	fake_round(f);
	for (int32_t i = 10; i < 20; i++)
		(void)got_reply(a, i, ZK_EOK);
	got_nothing(a);
	fake_free(f);
}

/* memory runs out at every point: connections may be lost, never memory or the process */
static void no_memory(void **state)
{
	(void)state;
	for (size_t limit = 200; limit < 60000; limit += 997) {
		struct fake *f = with_nodes(NULL);
		struct fake_conn *fc = fake_session(f), *other = fake_session(f);

		fake_settle(f);
		f->mem.limit_bytes = f->mem.used_bytes + limit;
		fc->run_max = 100;
		fc->budget = 500;
		ask_many(fc);
		for (int32_t i = 0; i < 600; i++) {
			char path[32];

			(void)snprintf(path, sizeof(path), "/watched/%d", i);
			ask_path(other, i, ZK_OP_EXISTS, path, true);
		}
		for (unsigned i = 0; i < 50; i++) {
			fake_round(f);
			if (!fc->reset)
				fake_writable(fc, 3000);
		}
		f->mem.limit_bytes = 0;
		fake_free(f);
	}
}

/* The reply to a write carries no zxid below that of an event which has left already. */
static void write_zxid_not_below_event(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *a = fake_session(f);
	struct msg_reply *m;
	uint64_t before = f->zxid;
	int64_t event;

	(void)state;
	ask_path(a, 1, ZK_OP_EXISTS, "/w", true);
	fake_settle(f);
	(void)got_reply(a, 1, ZK_NONODE);
	f->hold = true;
	ask_plain(a, 2, ZK_OP_SET_DATA); /* refused without a transaction of its own */
	fake_settle(f);
	event = (int64_t)fake_tx(f, ZK_OP_CREATE, "/w", "");
	fake_settle(f);
	got_event(a, event, ZK_EV_CREATED, "/w");
	m = zk_ring_reserve(&f->down, sizeof(*m));
	assert_non_null(m);
	*m = (struct msg_reply){
		.h = {.kind = MSG_REPLY}, .xid = 2, .err = ZK_NONODE, .op = ZK_OP_SET_DATA};
	m->h.conn = (struct msg_conn){0, 1}; /* the first connection of its slot */
	m->zxid = before;
	zk_ring_commit(&f->down, sizeof(*m));
	zk_ring_publish(&f->down);
	fake_settle(f);
	assert_int_equal(got_reply(a, 2, ZK_NONODE).zxid, event);
	fake_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(write_zxid_not_below_event),
		cmocka_unit_test(pipelined),
		cmocka_unit_test(dribbled),
		cmocka_unit_test(reads_wait_for_writes),
		cmocka_unit_test(replies_wait_for_visible),
		cmocka_unit_test(event_before_data),
		cmocka_unit_test(zxid_order),
		cmocka_unit_test(budgets),
		cmocka_unit_test(slow_reader),
		cmocka_unit_test(ring_full),
		cmocka_unit_test(outstanding_limit),
		cmocka_unit_test(xids_that_do_not_count),
		cmocka_unit_test(fairness),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
