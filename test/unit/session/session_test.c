/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/hash.h"
#include "core/session/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MS UINT64_C(1000000)

static struct zk_mem mem;
static struct session_table t;

static unsigned below(uint64_t *rng, unsigned n)
{
	return (unsigned)(zk_mix64(++*rng) % n);
}

static void start(uint64_t now_ms)
{
	zk_mem_init_heap(&mem, 0);
	assert_int_equal(session_table_init(&t, &mem, 5000, 1, 2000, now_ms * MS), ZK_EOK);
}

static void stop(void)
{
	session_table_fini(&t);
	assert_int_equal(mem.used_bytes, 0);
}

static struct session *due(uint64_t now_ms)
{
	unsigned budget = 1000000;

	return session_due(&t, now_ms * MS, &budget);
}

/* The first millisecond at which something is due. */
static uint64_t due_ms(uint64_t from, uint64_t to)
{
	for (uint64_t ms = from; ms <= to; ms++) {
		if (due(ms))
			return ms;
	}
	return 0;
}

static void ids(void **state)
{
	(void)state;
	/* client-protocol.md section 2: a live server's first id */
	assert_true(session_first_id(1, 0x18efd6 * MS) == 0x01000018efd60000);
	assert_true(session_first_id(0x80, 0) == 0x8000000000000001);
	assert_true(session_first_id(3, UINT64_C(0x1ffffffffff) * MS) >> 56 == 3);
	start(0x18efd6);
	assert_true(session_new(&t, 4000, 0x18efd6 * MS)->id == 0x01000018efd60000);
	assert_true(session_new(&t, 4000, 0x18efd6 * MS)->id == 0x01000018efd60001);
	assert_non_null(session_find(&t, 0x01000018efd60001));
	assert_null(session_find(&t, 0x01000018efd60002));
	stop();
}

/* A session lives between timeout and timeout + tick after its last touch (item 11). */
static void buckets(void **state)
{
	(void)state;
	for (uint64_t off = 0; off < 2000; off += 333) {
		start(10000);
		uint64_t now = 10000 + off;
		struct session *s = session_new(&t, 4000, now * MS);
		uint64_t at = due_ms(now, now + 10000);

		assert_int_equal(at, ((now + 4000) / 2000 + 1) * 2000);
		assert_true(at > now + 4000 && at <= now + 6000);
		session_close(s);
		assert_null(due(at + 100000));
		session_remove(&t, s);
		assert_int_equal(t.n, 0);
		stop();
	}
}

static void touches(void **state)
{
	(void)state;
	start(10000);
	struct session *s = session_new(&t, 4000, 10000 * MS);

	for (uint64_t ms = 10000; ms < 100000; ms += 1000) {
		session_touch(&t, s, ms * MS);
		assert_null(due(ms));
	}
	session_touch(&t, s, 50000 * MS); /* an old one brings nothing forward */
	assert_int_equal(due_ms(99000, 200000), ((99000 + 4000) / 2000 + 1) * 2000);
	/* a touch while it is due saves it */
	session_touch(&t, s, 104000 * MS);
	assert_null(due(104000));
	assert_int_equal(due_ms(104000, 200000), 110000);
	stop();
}

/* A new connection's timeout counts at once, shorter or longer. */
static void retime(void **state)
{
	(void)state;
	start(10000);
	struct session *s = session_new(&t, 40000, 10000 * MS);

	session_retime(&t, s, 4000, 11000 * MS);
	assert_int_equal(due_ms(11000, 100000), 16000);
	session_retime(&t, s, 20000, 16000 * MS);
	assert_int_equal(due_ms(16000, 100000), 38000);
	stop();
}

/* Timeouts beyond a turn of the wheel, and a clock that jumps over more than a turn. */
static void far(void **state)
{
	(void)state;
	start(0);
	struct session *s = session_new(&t, 2 * SESSION_BUCKETS * 2000 + 500, 0);
	struct session *u = session_new(&t, 4000, 0);
	uint64_t end = (2 * SESSION_BUCKETS * 2000 + 500) / 2000 * 2000 + 2000;

	assert_ptr_equal(due(6000), u);
	session_close(u);
	for (uint64_t ms = 6000; ms < end; ms += 2000)
		assert_null(due(ms));
	assert_ptr_equal(due(end), s);
	session_retime(&t, s, 4000, end * MS);
	assert_ptr_equal(due(end + UINT64_C(5) * SESSION_BUCKETS * 2000), s);
	stop();
}

/* Against a plain array, with removal and re-use of records. */
static void model(void **state)
{
	enum { N = 3000 };
	static struct {
		uint64_t id, due_ms;
	} m[N];
	uint64_t now = 5000;

	(void)state;
	uint64_t rng = 7;

	print_message("seed 7\n");
	start(now);
	for (unsigned i = 0; i < N; i++) {
		m[i].id = session_new(&t, 4000, now * MS)->id;
		m[i].due_ms = ((now + 4000) / 2000 + 1) * 2000;
	}
	for (unsigned step = 0; step < 200000; step++) {
		unsigned i = below(&rng, N);
		unsigned budget = 50;
		struct session *s;

		now += below(&rng, 3);
		if (below(&rng, 3)) {
			s = session_find(&t, m[i].id);
			session_touch(&t, s, now * MS);
			m[i].due_ms = ((now + 4000) / 2000 + 1) * 2000;
		}
		while ((s = session_due(&t, now * MS, &budget))) {
			for (i = 0; m[i].id != s->id; i++)
				assert_true(i < N - 1);
			assert_true(m[i].due_ms <= now);
			session_close(s);
			session_remove(&t, s);
			m[i].id = session_new(&t, 4000, now * MS)->id;
			m[i].due_ms = ((now + 4000) / 2000 + 1) * 2000;
		}
		/* with a budget left, nothing due may remain */
		if (budget && step % 1000 == 0) {
			for (i = 0; i < N; i++)
				assert_true(m[i].due_ms > now);
		}
	}
	assert_int_equal(t.n, N);
	stop();
}

static void full(void **state)
{
	(void)state;
	start(0);
	for (unsigned i = 0; i < 5000; i++)
		assert_non_null(session_new(&t, 4000, 0));
	assert_null(session_new(&t, 4000, 0));
	session_remove(&t, session_find(&t, session_first_id(1, 0) + 77));
	assert_non_null(session_new(&t, 4000, 0));
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids),    cmocka_unit_test(buckets), cmocka_unit_test(touches),
		cmocka_unit_test(retime), cmocka_unit_test(far),     cmocka_unit_test(model),
		cmocka_unit_test(full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
