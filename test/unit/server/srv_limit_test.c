/* SPDX-License-Identifier: Apache-2.0 */
/* Limits on requests and ConnectRequests (spec/semantics.md section 12): large requests, request
 * throttle, stale requests, connection throttle. */
#include "core/server/srv_int.h"
#include "test/unit/server/srv_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t stat_of(const _Atomic uint64_t *v)
{
	return atomic_load(v);
}

static void rounds(struct fake *f, unsigned n)
{
	while (n--)
		fake_round(f);
}

/** A setData of @p bytes of data; what limits.large_bytes counts is @p bytes + 14. */
static void ask_large(struct fake_conn *fc, int32_t xid, size_t bytes)
{
	static char data[32768];

	memset(data, 'x', bytes);
	data[bytes] = '\0';
	ask_set(fc, xid, "/a", data);
}

enum { LARGE_BODY = 2000 + 14 };

static struct fake *large_world(uint32_t max)
{
	struct fake_conf conf = {.limit = {.large_bytes = 1000, .large_max_bytes = max}};
	struct fake *f = fake_new(&conf);

	(void)fake_tx(f, ZK_OP_CREATE, "/a", "0");
	return f;
}

/* checkRequestSizeWhenMessageReceived(): in process together */
static void large_together(void **state)
{
	struct fake *f = large_world(2 * LARGE_BODY + 100);
	struct fake_conn *a = fake_session(f), *b = fake_session(f), *c = fake_session(f);

	(void)state;
	f->hold = true;
	ask_large(a, 1, 2000);
	ask_large(b, 1, 2000);
	ask_set(c, 1, "/a", "small ones do not count");
	rounds(f, 3);
	assert_int_equal(f->shared.limits.large_bytes, 2 * LARGE_BODY);
	assert_false(a->shut || b->shut || c->shut);
	ask_large(c, 2, 2000);
	rounds(f, 3);
	assert_true(c->shut); /* closed without a word */
	assert_int_equal(c->out_n, c->out_at);
	assert_int_equal(stat_of(&srv_stats_of(f->srv)->large_refused), 1);
	f->hold = false;
	fake_settle(f);
	(void)got_reply(a, 1, ZK_EOK);
	(void)got_reply(b, 1, ZK_EOK);
	assert_int_equal(f->shared.limits.large_bytes, 0);
	ask_large(a, 2, 2000); /* there is room again */
	fake_settle(f);
	(void)got_reply(a, 2, ZK_EOK);
	fake_free(f);
}

/* a connection that goes takes its bytes along */
static void large_gone(void **state)
{
	struct fake *f = large_world(2 * LARGE_BODY + 8); /* a frame has 8 more */
	struct fake_conn *a = fake_session(f), *b = fake_session(f);

	(void)state;
	f->hold = true;
	ask_large(a, 1, 2000);
	ask_large(a, 2, 2000);
	rounds(f, 3);
	assert_int_equal(f->shared.limits.large_bytes, 2 * LARGE_BODY);
	fake_gone(a);
	assert_int_equal(f->shared.limits.large_bytes, 0);
	f->hold = false;
	ask_large(b, 1, 2000);
	fake_settle(f);
	(void)got_reply(b, 1, ZK_EOK);
	assert_int_equal(f->shared.limits.large_bytes, 0);
	fake_free(f);
}

/* checkRequestSizeWhenReceivingMessage(): the length alone is enough, a ConnectRequest's too */
static void large_length(void **state)
{
	struct fake *f = large_world(3000);
	struct fake_conn *a = fake_session(f), *b = fake_open(f);
	static const uint8_t length[4] = {0, 0, 0x0b, 0xb9}; /* 3001 */

	(void)state;
	fake_send(a, length, 4);
	fake_send(b, length, 4);
	fake_settle(f);
	assert_true(a->shut && b->shut);
	assert_int_equal(stat_of(&srv_stats_of(f->srv)->large_refused), 2);
	fake_free(f);
}

/* a read is never in process for longer than it takes, but may be too large all the same */
static void large_read(void **state)
{
	struct fake *f = large_world(3000);
	struct fake_conn *a = fake_session(f);
	char path[4000];

	(void)state;
	memset(path, 'p', sizeof(path));
	path[0] = '/';
	path[2500] = '\0';
	ask_path(a, 1, ZK_OP_EXISTS, path, false);
	fake_settle(f);
	(void)got_reply(a, 1, ZK_NONODE);
	assert_int_equal(f->shared.limits.large_bytes, 0);
	path[2500] = 'p';
	path[3100] = '\0';
	ask_path(a, 2, ZK_OP_EXISTS, path, false);
	fake_settle(f);
	assert_true(a->shut);
	fake_free(f);
}

static struct fake *throttled_world(uint32_t max, uint32_t wait_ms, bool drop_stale)
{
	struct fake_conf conf = {.limit = {.requests_max = max,
					   .stall_ms = 100,
					   .op_wait_ms = wait_ms,
					   .drop_stale = drop_stale,
					   .stale_connection = true}};
	struct fake *f = fake_new(&conf);

	(void)fake_tx(f, ZK_OP_CREATE, "/a", "0");
	return f;
}

/* no more than so many in process; everybody gets his turn, nothing is lost */
static void throttle_bounds(void **state)
{
	struct fake *f = throttled_world(3, 0, true);
	struct fake_conn *fc[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		fc[i] = fake_session(f);
	f->hold = true;
	for (unsigned i = 0; i < 4; i++)
		for (int32_t x = 1; x <= 20; x++)
			ask_set(fc[i], x, "/a", "v");
	rounds(f, 5);
	assert_int_equal(f->shared.limits.in_process, 3);
	assert_true(stat_of(&srv_stats_of(f->srv)->parked) >= 4);
	assert_true(srv_next_ns(f->srv) <= f->now_ns + 1000000);
	f->hold = false;
	for (unsigned i = 0; i < 400; i++) {
		fake_round(f);
		assert_true(f->shared.limits.in_process <= 3);
	}
	for (unsigned i = 0; i < 4; i++)
		for (int32_t x = 1; x <= 20; x++)
			(void)got_reply(fc[i], x, ZK_EOK);
	fake_free(f);
}

/* reads and pings are no business of the throttle */
static void throttle_spares_reads(void **state)
{
	struct fake *f = throttled_world(1, 0, true);
	struct fake_conn *a = fake_session(f), *b = fake_session(f);

	(void)state;
	f->hold = true;
	ask_set(a, 1, "/a", "v");
	rounds(f, 3);
	ask_path(b, 1, ZK_OP_GET_DATA, "/a", false);
	ask_plain(b, ZK_XID_PING, ZK_OP_PING);
	rounds(f, 3);
	(void)got_reply(b, 1, ZK_EOK);
	(void)got_reply(b, ZK_XID_PING, ZK_EOK);
	f->hold = false;
	fake_settle(f);
	fake_free(f);
}

/* throttled_op_wait_time: -127 in its place, without effect; younger requests go on */
static void throttled_op(void **state)
{
	struct fake *f = throttled_world(1, 50, true);
	struct fake_conn *a = fake_session(f), *b = fake_session(f);

	(void)state;
	f->hold = true;
	ask_set(a, 1, "/a", "1");
	rounds(f, 2);
	ask_set(b, 1, "/a", "2");
	ask_path(b, 2, ZK_OP_GET_DATA, "/a", false);
	ask_plain(b, ZK_XID_PING, ZK_OP_PING);
	rounds(f, 2);
	f->now_ns += 60000000;
	ask_set(b, 3, "/a", "3");
	rounds(f, 2);
	got_nothing(b);
	f->hold = false;
	fake_settle(f);
	(void)got_reply(a, 1, ZK_EOK);
	(void)got_reply(b, 1, ZK_THROTTLEDOP);
	(void)got_reply(b, 2, ZK_THROTTLEDOP);
	(void)got_reply(b, ZK_XID_PING, ZK_EOK);
	(void)got_reply(b, 3, ZK_EOK);
	assert_int_equal(stat_of(&srv_stats_of(f->srv)->throttled_ops), 2);
	assert_int_equal(f->requests, 2);
	fake_free(f);
}

/* closeSession is never throttled away */
static void throttled_close(void **state)
{
	struct fake *f = throttled_world(1, 50, true);
	struct fake_conn *a = fake_session(f), *b = fake_session(f);

	(void)state;
	f->hold = true;
	ask_set(a, 1, "/a", "1");
	rounds(f, 2);
	ask_plain(b, 1, ZK_OP_CLOSE_SESSION);
	rounds(f, 2);
	f->now_ns += 60000000;
	f->hold = false;
	fake_settle(f);
	(void)got_reply(b, 1, ZK_EOK);
	assert_true(b->shut);
	fake_free(f);
}

/* who went away while his request stood in line: dropped, or served without an addressee */
static void stale(void **state)
{
	for (unsigned drop = 0; drop < 2; drop++) {
		struct fake *f = throttled_world(1, 0, drop);
		struct fake_conn *a = fake_session(f), *b = fake_session(f);

		(void)state;
		f->hold = true;
		ask_set(a, 1, "/a", "1");
		rounds(f, 2);
		ask_set(b, 1, "/a", "2");
		rounds(f, 2);
		srv_fin(b->c, f->now_ns);
		rounds(f, 2);
		assert_int_equal(b->shut, drop);
		f->hold = false;
		fake_settle(f);
		assert_int_equal(f->requests, drop ? 1 : 2);
		assert_int_equal(stat_of(&srv_stats_of(f->srv)->stale_dropped), drop);
		assert_int_equal(stat_of(&srv_stats_of(f->srv)->stale_requests), !drop);
		assert_int_equal(f->shared.limits.in_process, 0);
		fake_free(f);
	}
}

/* a connection that goes leaves the line */
static void parked_gone(void **state)
{
	struct fake *f = throttled_world(1, 0, true);
	struct fake_conn *fc[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		fc[i] = fake_session(f);
	f->hold = true;
	for (unsigned i = 0; i < 4; i++)
		ask_set(fc[i], 1, "/a", "v");
	rounds(f, 3);
	fake_gone(fc[1]);
	fake_gone(fc[3]);
	f->hold = false;
	fake_settle(f);
	(void)got_reply(fc[0], 1, ZK_EOK);
	(void)got_reply(fc[2], 1, ZK_EOK);
	assert_int_equal(f->requests, 2);
	fake_free(f);
}

/* the figures tell how long a request has waited, wherever that was */
static void waiting_is_latency(void **state)
{
	struct fake *f = throttled_world(1, 0, true);
	struct fake_conn *a = fake_session(f), *b = fake_session(f);

	(void)state;
	f->hold = true;
	ask_set(a, 1, "/a", "1");
	ask_path(a, 2, ZK_OP_GET_DATA, "/a", false); /* behind the connection's own write */
	rounds(f, 2);
	ask_set(b, 1, "/a", "2");
	rounds(f, 2);
	f->now_ns += 9000000;
	f->hold = false;
	fake_settle(f);
	(void)got_reply(a, 1, ZK_EOK);
	(void)got_reply(a, 2, ZK_EOK);
	(void)got_reply(b, 1, ZK_EOK);
	assert_int_equal(atomic_load(&f->srv->metric[SRV_METRIC_UPDATE].min), 9);
	assert_int_equal(atomic_load(&f->srv->metric[SRV_METRIC_UPDATE].count), 2);
	assert_int_equal(atomic_load(&f->srv->metric[SRV_METRIC_READ].max), 9);
	assert_int_equal(atomic_load(&f->srv->metric[SRV_METRIC_PARKED].max), 9);
	fake_free(f);
}

static void connect_throttle(void **state)
{
	struct fake_conf conf = {.limit = {.connect = {.tokens = 4,
						       .fill_ms = 100,
						       .fill_count = 1,
						       .freeze_ms = -1,
						       .weighed = true,
						       .global_weight = 2,
						       .renew_weight = 1}}};
	struct fake *f = fake_new(&conf);
	struct fake_conn *fc;
	uint8_t hello[49] = {0, 0, 0, 45, [21] = 0x27, [22] = 0x10, [31] = 16};

	(void)state;
	(void)fake_session(f);
	(void)fake_session(f);
	fc = fake_open(f);
	fake_send(fc, hello, sizeof(hello));
	fake_settle(f);
	assert_true(fc->shut);
	assert_int_equal(fc->out_n, 0);
	assert_int_equal(stat_of(&srv_stats_of(f->srv)->conns_throttled), 1);
	assert_int_equal(stat_of(&srv_stats_of(f->srv)->connect_requests), 2);
	f->now_ns += 201000000;
	(void)fake_session(f);
	fake_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(large_together),
		cmocka_unit_test(large_gone),
		cmocka_unit_test(large_length),
		cmocka_unit_test(large_read),
		cmocka_unit_test(throttle_bounds),
		cmocka_unit_test(throttle_spares_reads),
		cmocka_unit_test(throttled_op),
		cmocka_unit_test(throttled_close),
		cmocka_unit_test(stale),
		cmocka_unit_test(parked_gone),
		cmocka_unit_test(waiting_is_latency),
		cmocka_unit_test(connect_throttle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
