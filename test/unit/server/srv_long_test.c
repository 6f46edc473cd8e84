/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that take several rounds: many watches, long values, multiRead; and long requests to the
 * leader (core/server/read_job.h, SRV_BODY_APART). */
#include "core/server/srv_int.h"
#include "test/unit/server/srv_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PATHS = 100000, PATH_BYTES = 8, VALUE = 3000000, MAXBUFFER = 4 << 20 };

static struct fake *machine(void)
{
	struct fake_conf conf = {.maxbuffer = MAXBUFFER, .spill_max = 1 << 20};

	return fake_new(&conf);
}

/** setWatches of /w00000 and so on in one frame: every tenth an exist watch, the others data. */
static size_t set_watches(uint8_t *p, int32_t xid, uint64_t since, bool damaged)
{
	uint8_t *start = p;
	char text[16];

	zk_put32(p + 4, (uint32_t)xid);
	zk_put32(p + 8, ZK_OP_SET_WATCHES);
	zk_put64(p + 12, since);
	p += 20;
	for (unsigned list = 0; list < 2; list++) {
		zk_put32(p, list == 0 ? PATHS - PATHS / 10 : PATHS / 10);
		p += 4;
		for (unsigned i = 0; i < PATHS; i++) {
			if ((i % 10 == 0) != (list == 1))
				continue;
			(void)snprintf(text, sizeof(text), "/w%06u", i);
			zk_put32(p, PATH_BYTES);
			memcpy(p + 4, text, PATH_BYTES);
			p += 4 + PATH_BYTES;
		}
	}
	zk_put32(p, damaged ? 7 : 0);
	p += 4;
	zk_put32(start, (uint32_t)(p - start) - 4);
	return (size_t)(p - start);
}

static uint64_t watches(const struct fake *f)
{
	return atomic_load(&srv_stats_of(f->srv)->watch_data);
}

/* 100,000 paths in one frame: a piece per round, everybody else is served, and what happens
 * meanwhile is told, whether the path has been looked at or not. */
static void many_watches(void **state)
{
	struct fake *f = machine();
	struct fake_conn *fc = fake_session(f), *by = fake_session(f);
	uint8_t *frame = malloc(PATHS * 16);
	uint64_t before = 0, since, z1, z2;
	unsigned rounds = 0, at_once = 0, first = 0, never = 0;
	struct got g;

	(void)state;
	for (unsigned i = 0; i < PATHS; i += 500) { /* those with data watches exist */
		char path[16];

		(void)snprintf(path, sizeof(path), "/w%06u", i + 1);
		(void)fake_tx(f, ZK_OP_CREATE, path, "");
	}
	fake_settle(f);
	since = f->zxid;
	fake_send(fc, frame, set_watches(frame, 7, since, true));
	fake_settle(f);
	(void)got_reply(fc, 7, ZK_MARSHALLINGERROR);
	assert_int_equal(watches(f), 0); /* Apache reads it whole before it acts */
	fake_send(fc, frame, set_watches(frame, 8, since, false));
	ask_plain(fc, ZK_XID_PING, ZK_OP_PING);
	while (watches(f) < 3000) {
		fake_round(f);
		assert_true(watches(f) - before <= SRV_JOB_STEP * (SRV_JOBS_ROUND + 1));
		before = watches(f);
		rounds++;
	}
	z1 = fake_tx(f, ZK_OP_SET_DATA, "/w000501", "1"); /* in the first 1000: has its watch */
	z2 = fake_tx(f, ZK_OP_CREATE, "/w099990", "1");   /* in the last list: not looked at yet */
	for (; fake_out(fc).n == 0 || atomic_load(&srv_stats_of(f->srv)->lists_paused) == 0 ||
	       watches(f) > before || rounds < 20;
	     rounds++) {
		before = watches(f);
		ask_path(by, (int32_t)rounds, ZK_OP_EXISTS, "/w099990", false);
		fake_round(f);
		(void)got_reply(by, (int32_t)rounds, ZK_EOK);
		assert_true(watches(f) <= before + SRV_JOB_STEP * (SRV_JOBS_ROUND + 1));
	}
	fake_settle(f);
	assert_true(rounds > PATHS / (SRV_JOB_STEP * (SRV_JOBS_ROUND + 1)));
	for (;;) {
		g = got_next(fc);
		assert_true(g.any);
		if (g.xid != ZK_XID_WATCH)
			break;
		if (g.zxid == -1) {
			int32_t event = jute_i32(&g.body);

			at_once += event == ZK_EV_DELETED; /* data watches of what is not there */
			never += event == ZK_EV_CREATED;   /* z2, found when its turn came */
		} else {
			assert_int_equal(g.zxid, z1);
			first++;
		}
	}
	assert_true(z2 > z1);
	assert_int_equal(at_once, PATHS - PATHS / 10 - PATHS / 500);
	assert_int_equal(never, 1);
	assert_int_equal(first, 1);
	assert_int_equal(g.xid, 8);
	assert_int_equal(g.err, ZK_EOK);
	(void)got_reply(fc, ZK_XID_PING, ZK_EOK); /* behind it */
	assert_int_equal(watches(f), PATHS / 10 - 1 + PATHS / 500 - 1);
	free(frame);
	fake_free(f);
}

/* Who does not read what setWatches has to tell does not make the server hold it. */
static void slow_reader(void **state)
{
	struct fake *f = machine();
	struct fake_conn *fc = fake_session(f);
	uint8_t *frame = malloc(PATHS * 16);
	size_t used, events = 0;

	(void)state;
	fc->budget = 1000;
	fake_send(fc, frame, set_watches(frame, 8, f->zxid, false)); /* 90,000 are not there */
	for (unsigned i = 0; i < 300; i++)
		fake_round(f);
	used = f->mem.used_bytes;
	for (unsigned i = 0; i < 300; i++)
		fake_round(f);
	assert_int_equal(f->mem.used_bytes, used);
	assert_true(srv_next_ns(f->srv) > f->now_ns); /* and it does not spin */
	assert_true(used < 20u << 20);
	for (unsigned i = 0; i < 1000000 && !got_next(fc).any; i++)
		fake_writable(fc, 5000);
	while (fc->out_at < fc->out_n || fc->budget == 0 || events < PATHS - PATHS / 10) {
		struct got g = got_next(fc);

		if (g.any && g.xid == 8)
			break;
		events += g.any;
		if (!g.any) {
			fake_writable(fc, 60000);
			fake_round(f);
		}
	}
	assert_int_equal(events + 1, PATHS - PATHS / 10);
	free(frame);
	fake_free(f);
}

static void create_long(struct fake *f, const char *path, char fill)
{
	char *data = malloc(VALUE + 1);

	memset(data, fill, VALUE);
	data[VALUE] = '\0';
	(void)fake_tx(f, ZK_OP_CREATE, path, data);
	free(data);
	fake_settle(f);
}

/* A long value leaves as the client takes it, from one state; its events come behind. */
static void long_value(void **state)
{
	struct fake *f = machine();
	struct fake_conn *fc = fake_session(f), *by = fake_session(f);
	uint64_t z, changed = 0;
	struct got g;
	size_t used, most = 0;

	(void)state;
	create_long(f, "/v", 'a');
	z = f->zxid;
	used = f->mem.used_bytes;
	fc->budget = 10000;
	ask_path(fc, 1, ZK_OP_GET_DATA, "/v", true);
	for (int32_t i = 0; fc->out_n < VALUE; i++) {
		ask_path(by, i, ZK_OP_EXISTS, "/v", false);
		fake_round(f);
		(void)got_reply(by, i, ZK_EOK);
		if (i == 5)
			changed = fake_tx(f, ZK_OP_SET_DATA, "/v", "short");
		if (i < 5 && f->mem.used_bytes > most)
			most = f->mem.used_bytes;
		if (fc->budget == 0)
			fake_writable(fc, 50000);
	}
	assert_true(most < used + 4 * SRV_DATA_STEP);
	fake_writable(fc, FAKE_BUF);
	fake_settle(f);
	g = got_reply(fc, 1, ZK_EOK);
	assert_int_equal(g.zxid, z);
	assert_int_equal(jute_i32(&g.body), VALUE);
	for (unsigned i = 0; i < VALUE; i++)
		assert_int_equal(g.body.p[i], 'a');
	got_event(fc, (int64_t)changed, ZK_EV_DATA, "/v");
	got_nothing(fc);
	fake_free(f);
}

/* The client that stops reading holds the state for a while only. */
static void long_value_not_read(void **state)
{
	struct fake *f = machine();
	struct fake_conn *fc = fake_session(f);
	struct got g;

	(void)state;
	create_long(f, "/v", 'b');
	fc->budget = 10000;
	ask_path(fc, 1, ZK_OP_GET_DATA, "/v", false);
	fake_advance(f, 1000);
	assert_true(tree_pin_zxid(f->reader, 0) == f->zxid);
	for (unsigned i = 0; i < 60; i++) /* the rest is copied: a piece per round */
		fake_advance(f, 100);
	fake_settle(f);
	for (int i = 0; i < TREE_PINS_MAX; i++) {
		assert_int_equal(tree_pin_take(f->reader, tree_visible(f->reader)), i);
	}
	for (int i = 0; i < TREE_PINS_MAX; i++)
		tree_pin_drop(f->reader, i);
	fake_writable(fc, FAKE_BUF);
	fake_settle(f);
	g = got_reply(fc, 1, ZK_EOK);
	assert_int_equal(jute_i32(&g.body), VALUE);
	assert_int_equal(g.body.p[VALUE - 1], 'b');
	fake_free(f);
}

static void multi_add(struct req *r, int32_t type, const char *path)
{
	req_i32(r, type);
	req_u8(r, 0);
	req_i32(r, -1);
	req_str(r, path);
	req_u8(r, 0);
}

/* multiRead is of one state, however many rounds it takes. */
static void long_multi(void **state)
{
	enum { KIDS = 9000 };
	struct fake *f = machine();
	struct fake_conn *fc = fake_session(f), *by = fake_session(f);
	unsigned rounds = 0;
	struct req r;
	struct got g;
	uint64_t z;

	(void)state;
	(void)fake_tx(f, ZK_OP_CREATE, "/k", "first");
	for (unsigned i = 0; i < KIDS; i++) {
		char path[24];

		(void)snprintf(path, sizeof(path), "/k/%u", i);
		z = fake_tx(f, ZK_OP_CREATE, path, "");
		if (i % 1000 == 0)
			fake_settle(f);
	}
	fake_settle(f);
	req_start(&r, 3, ZK_OP_MULTI_READ);
	for (unsigned i = 0; i < 3; i++)
		multi_add(&r, ZK_OP_GET_CHILDREN, "/k");
	multi_add(&r, ZK_OP_GET_DATA, "/nowhere");
	multi_add(&r, ZK_OP_GET_DATA, "/k");
	req_i32(&r, -1);
	req_u8(&r, 1);
	req_i32(&r, -1);
	req_send(&r, fc);
	while (fake_out(fc).n == 0) {
		ask_path(by, (int32_t)rounds, ZK_OP_EXISTS, "/k", false);
		fake_round(f);
		(void)got_reply(by, (int32_t)rounds, ZK_EOK);
		if (rounds++ == 2) {
			(void)fake_tx(f, ZK_OP_SET_DATA, "/k", "second");
			(void)fake_tx(f, ZK_OP_DELETE, "/k/8999", "");
		}
	}
	assert_true(rounds > 3 * KIDS / (SRV_JOB_STEP * (SRV_JOBS_ROUND + 1)));
	g = got_reply(fc, 3, ZK_EOK);
	assert_int_equal(g.zxid, z);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(jute_i32(&g.body), ZK_OP_GET_CHILDREN);
		assert_false(jute_bool(&g.body));
		assert_int_equal(jute_i32(&g.body), 0);
		assert_int_equal(jute_i32(&g.body), KIDS);
		for (unsigned k = 0; k < KIDS; k++)
			(void)jute_bytes(&g.body);
	}
	assert_int_equal(jute_i32(&g.body), ZK_OP_ERROR);
	assert_false(jute_bool(&g.body));
	assert_int_equal(jute_i32(&g.body), ZK_NONODE);
	assert_int_equal(jute_i32(&g.body), ZK_NONODE);
	assert_int_equal(jute_i32(&g.body), ZK_OP_GET_DATA);
	assert_false(jute_bool(&g.body));
	assert_int_equal(jute_i32(&g.body), 0);
	assert_true(got_text(&g.body, "first"));
	fake_free(f);
}

/* A long request lies where it was collected until the leader has read it, whatever becomes of its
 * connection. */
static void long_request(void **state)
{
	struct fake *f = machine();
	struct fake_conn *fc = fake_session(f), *gone = fake_session(f);
	uint8_t *frame = malloc(VALUE + 64);
	size_t used, up;
	struct tree_ref ref;

	(void)state;
	(void)fake_tx(f, ZK_OP_CREATE, "/v", "");
	fake_settle(f);
	zk_put32(frame + 8, ZK_OP_SET_DATA);
	zk_put32(frame + 12, 2);
	memcpy(frame + 16, "/v", 2);
	zk_put32(frame + 18, VALUE);
	memset(frame + 22, 'x', VALUE);
	zk_put32(frame + 22 + VALUE, UINT32_MAX);
	zk_put32(frame, 22 + VALUE);
	f->hold = true;
	fc->run_max = gone->run_max = 1448; /* as it comes from TCP */
	used = f->mem.used_bytes;
	up = f->up.put;
	zk_put32(frame + 4, 1);
	fake_send(gone, frame, 26 + VALUE);
	fake_round(f);
	zk_put32(frame + 4, 2);
	frame[22] = 'y';
	fake_send(fc, frame, 26 + VALUE);
	fake_round(f);
	fake_gone(gone);
	fake_round(f);
	assert_true(f->up.put - up < 4096);
	assert_true(f->mem.used_bytes > used + 2u * VALUE);
	assert_true(f->mem.used_bytes < used + 3u * VALUE); /* no copy, no slack */
	f->hold = false;
	fake_settle(f);
	(void)got_reply(fc, 2, ZK_EOK);
	assert_int_equal(atomic_load(&srv_stats_of(f->srv)->bodies_apart), 2);
	assert_true(tree_find(f->tree, zk_span_str("/v"), f->zxid, &ref));
	assert_int_equal(tree_data(ref).n, VALUE);
	assert_int_equal(tree_data(ref).p[0], 'y');
	assert_int_equal(tree_data(ref).p[VALUE - 1], 'x');
	free(frame);
	fake_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_watches), cmocka_unit_test(slow_reader),
		cmocka_unit_test(long_value),   cmocka_unit_test(long_value_not_read),
		cmocka_unit_test(long_multi),   cmocka_unit_test(long_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
