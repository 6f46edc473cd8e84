/* SPDX-License-Identifier: Apache-2.0 */
/* What cores hand each other: pointer rings, the wake-up protocol; and the log stage. */
#include "core/base/endian.h"
#include "dp/loop/logstage.h"
#include "dp/loop/pring.h"
#include "dp/loop/waker.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

enum { SLOTS = 8, HANDED = 200000, PINGS = 20000, WAIT_MS = 20000 };

static void pring_is_a_queue(void **state)
{
	int v[SLOTS + 1];
	struct zk_mem mem;
	struct pring r;

	(void)state;
	zk_mem_init_heap(&mem, 0);
	assert_int_equal(pring_init(&r, &mem, SLOTS), ZK_EOK);
	assert_null(pring_peek(&r));
	assert_null(pring_pop(&r));
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < SLOTS; i++)
			assert_true(pring_push(&r, &v[i]));
		assert_false(pring_push(&r, &v[SLOTS]));
		assert_int_equal(atomic_load(&r.full), round + 1);
		for (unsigned i = 0; i < SLOTS; i++) {
			assert_ptr_equal(pring_peek(&r), &v[i]);
			assert_ptr_equal(pring_pop(&r), &v[i]);
		}
		assert_null(pring_pop(&r));
	}
	pring_fini(&r);
	assert_int_equal(mem.used_bytes, 0);
}

static void pring_out_of_memory(void **state)
{
	struct zk_mem mem;
	struct pring r;

	(void)state;
	zk_mem_init_heap(&mem, 16);
	assert_int_equal(pring_init(&r, &mem, SLOTS), ZK_ENOMEM);
	pring_fini(&r);
}

/* Two threads: every pointer arrives once and in order, and what it points at is seen. */
static uint64_t handed[HANDED];

static void *push_all(void *arg)
{
	struct pring *r = arg;

	for (uint64_t i = 0; i < HANDED; i++) {
		handed[i] = i * 3 + 1;
		while (!pring_push(r, &handed[i]))
			sched_yield();
	}
	return NULL;
}

static void pring_between_threads(void **state)
{
	struct zk_mem mem;
	struct pring r;
	pthread_t id;

	(void)state;
	zk_mem_init_heap(&mem, 0);
	assert_int_equal(pring_init(&r, &mem, SLOTS), ZK_EOK);
	assert_int_equal(pthread_create(&id, NULL, push_all, &r), 0);
	for (uint64_t i = 0; i < HANDED; i++) {
		uint64_t *p;

		while ((p = pring_pop(&r)) == NULL)
			sched_yield();
		assert_ptr_equal(p, &handed[i]);
		assert_int_equal(*p, i * 3 + 1);
	}
	pthread_join(id, NULL);
	assert_null(pring_pop(&r));
	pring_fini(&r);
}

/* Two threads hand one token back and forth, each sleeping by the protocol of waker.h whenever it
 * has nothing. A lost wake-up shows as a wait that runs into its time limit. */
struct side {
	struct pring *in, *out;
	struct waker *own, *other;
	unsigned lost, turns;
};

static void *ping(void *arg)
{
	struct side *s = arg;

	while (s->turns < PINGS) {
		struct pollfd fd = {.fd = s->own->fd, .events = POLLIN};
		void *token = pring_pop(s->in);

		if (!token) {
			waker_announce(s->own);
			if (!pring_peek(s->in) && poll(&fd, 1, WAIT_MS) != 1)
				s->lost++;
			waker_clear(s->own);
			if (s->lost)
				break;
			continue;
		}
		s->turns++;
		if (!pring_push(s->out, token))
			break;
		waker_kick(s->other);
	}
	return NULL;
}

static void no_wakeup_is_lost(void **state)
{
	struct zk_mem mem;
	struct pring ab, ba;
	struct waker a, b;
	struct side left, right;
	pthread_t id;
	int token;

	(void)state;
	zk_mem_init_heap(&mem, 0);
	assert_int_equal(pring_init(&ab, &mem, 2), ZK_EOK);
	assert_int_equal(pring_init(&ba, &mem, 2), ZK_EOK);
	assert_int_equal(waker_init(&a), ZK_EOK);
	assert_int_equal(waker_init(&b), ZK_EOK);
	left = (struct side){.in = &ba, .out = &ab, .own = &a, .other = &b};
	right = (struct side){.in = &ab, .out = &ba, .own = &b, .other = &a};
	assert_true(pring_push(&ba, &token));
	assert_int_equal(pthread_create(&id, NULL, ping, &right), 0);
	ping(&left);
	pthread_join(id, NULL);
	assert_int_equal(left.lost + right.lost, 0);
	assert_int_equal(left.turns, PINGS);
	assert_int_equal(right.turns, PINGS);
	print_message("%u turns, %u kicks\n", 2 * PINGS,
		      (unsigned)(atomic_load(&a.kicks) + atomic_load(&b.kicks)));
	waker_fini(&a);
	waker_fini(&b);
	pring_fini(&ab);
	pring_fini(&ba);
}

static void a_kick_needs_a_sleeper(void **state)
{
	struct pollfd fd = {.events = POLLIN};
	struct waker w;

	(void)state;
	assert_int_equal(waker_init(&w), ZK_EOK);
	fd.fd = w.fd;
	waker_kick(&w);
	assert_int_equal(poll(&fd, 1, 0), 0);
	waker_announce(&w);
	waker_kick(&w);
	waker_kick(&w);
	assert_int_equal(poll(&fd, 1, 0), 1);
	assert_int_equal(atomic_load(&w.kicks), 1);
	waker_clear(&w);
	assert_int_equal(poll(&fd, 1, 0), 0);
	waker_fini(&w);
}

static void a_nudge_passes_the_deaf(void **state)
{
	struct pollfd fd = {.events = POLLIN};
	struct waker w;

	(void)state;
	assert_int_equal(waker_init(&w), ZK_EOK);
	fd.fd = w.fd;
	waker_nudge(&w);
	waker_announce_deaf(&w);
	waker_nudge(&w);
	assert_int_equal(poll(&fd, 1, 0), 0);
	waker_kick(&w);
	assert_int_equal(poll(&fd, 1, 0), 1);
	waker_clear(&w);
	waker_announce(&w);
	waker_nudge(&w);
	assert_int_equal(poll(&fd, 1, 0), 1);
	waker_clear(&w);
	waker_fini(&w);
}

/* A waker may write only after the sleeper has cleared: that kick is read the next time, and no
 * call is made for kicks that never were. */
static void a_late_kick_is_read_once(void **state)
{
	struct pollfd fd = {.events = POLLIN};
	const uint64_t one = 1;
	struct waker w;

	(void)state;
	assert_int_equal(waker_init(&w), ZK_EOK);
	fd.fd = w.fd;
	for (int i = 0; i < 2; i++) {
		waker_announce(&w);
		atomic_store(&w.sleeping, 0); /* waker_kick() as far as its write */
		waker_clear(&w);
		assert_int_equal(w.owed, i + 1);
	}
	for (uint64_t owed = 2; owed > 0; owed--) {
		assert_int_equal(write(w.fd, &one, sizeof(one)), sizeof(one));
		assert_int_equal(poll(&fd, 1, 0), 1);
		waker_announce(&w);
		waker_clear(&w);
		assert_int_equal(w.owed, owed - 1);
		assert_int_equal(poll(&fd, 1, 0), 0);
	}
	waker_fini(&w);
}

static void the_log_stage_promises_at_the_end_of_a_batch(void **state)
{
	struct logstage s;
	struct zk_mem mem;

	(void)state;
	zk_mem_init_heap(&mem, 0);
	assert_int_equal(logstage_init(&s, &mem, 2, 0, true), ZK_EOK);
	assert_int_equal(logstage_durable(&s), 0);
	assert_true(logstage_append(&s, 1, zk_span_str("abc")));
	assert_true(logstage_append(&s, 2, zk_span_str("de")));
	assert_int_equal(logstage_durable(&s), 0);
	assert_false(logstage_append(&s, 3, zk_span_str("f")));
	logstage_end(&s);
	assert_int_equal(logstage_durable(&s), 2);
	assert_true(logstage_append(&s, 3, zk_span_str("f")));
	assert_int_equal(logstage_durable(&s), 2);
	logstage_end(&s);
	assert_int_equal(logstage_durable(&s), 3);
	assert_int_equal(s.txns, 3);
	assert_int_equal(s.bytes, 6);
	assert_int_equal(s.full, 1);
	logstage_fini(&s);
	assert_int_equal(mem.used_bytes, 0);
}

static void a_batch_that_nobody_waits_for_lingers(void **state)
{
	struct logstage s;
	struct zk_mem mem;

	(void)state;
	zk_mem_init_heap(&mem, 0);
	assert_int_equal(logstage_init(&s, &mem, 8, 0, true), ZK_EOK);
	assert_false(logstage_lingers(&s, 10, 100)); /* with nothing */
	assert_int_equal(s.due_ns, UINT64_MAX);
	assert_true(logstage_append(&s, 1, zk_span_str("abc")));
	assert_true(logstage_lingers(&s, 10, 105));
	assert_true(logstage_append(&s, 2, zk_span_str("de")));
	assert_true(logstage_lingers(&s, 10, 114));
	assert_int_equal(s.due_ns, 115); /* by the first one */
	assert_false(logstage_lingers(&s, 10, 115));
	logstage_end(&s);
	assert_int_equal(logstage_durable(&s), 2);
	assert_int_equal(s.due_ns, UINT64_MAX);
	/* and not at all when it comes to much */
	for (uint64_t zxid = 3; zxid <= 6; zxid++) {
		assert_int_equal(logstage_lingers(&s, 10, 200), zxid > 3);
		assert_true(logstage_append(&s, zxid, zk_span_str("f")));
	}
	assert_false(logstage_lingers(&s, 10, 200));
	logstage_end(&s);
	assert_int_equal(logstage_durable(&s), 6);
	logstage_fini(&s);
}

/* A writer that makes durable what it likes, in order, and goes back. */
enum { STAGE_TXNS = 200000, STAGE_SLOTS = 64 };

static void *stage_writer(void *arg)
{
	struct logstage *s = arg;
	uint64_t seq = 0, safe = 0;

	for (unsigned turn = 0; safe < STAGE_TXNS; turn++) {
		const struct logstage_ref *ref = logstage_at(s, seq);

		if (ref && seq - safe < 20) {
			zk_assert(ref->zxid == 101 + seq && zk_get64(ref->txn.p) == ref->zxid);
			zk_assert(ref->roll == (seq % 1000 == 7));
			seq++;
		} else if (turn % 37 == 5) {
			seq = safe; /* write again what is not safe */
		} else if (seq > safe) {
			logstage_safe(s, ++safe);
		} else {
			sched_yield();
		}
	}
	return NULL;
}

static void the_log_stage_hands_over_to_a_writer(void **state)
{
	static uint8_t bytes[STAGE_SLOTS][8];
	struct logstage s;
	struct zk_mem mem;
	pthread_t id;
	uint64_t put = 0, durable = 100;

	(void)state;
	zk_mem_init_heap(&mem, 0);
	assert_int_equal(logstage_init(&s, &mem, STAGE_SLOTS, 100, false), ZK_EOK);
	assert_int_equal(logstage_health(&s), LOGSTAGE_GOOD);
	assert_int_equal(pthread_create(&id, NULL, stage_writer, &s), 0);
	while (durable < 100 + STAGE_TXNS) {
		if (put < STAGE_TXNS && put - (durable - 100) < STAGE_SLOTS) {
			zk_put64(bytes[put % STAGE_SLOTS], 101 + put);
			if (put % 1000 == 7)
				logstage_roll(&s);
			assert_true(logstage_append(&s, 101 + put,
						    zk_span_of(bytes[put % STAGE_SLOTS], 8)));
			put++;
		} else {
			logstage_end(&s);
			if (put == STAGE_TXNS || put - (durable - 100) == STAGE_SLOTS)
				sched_yield();
			assert_true(logstage_durable(&s) >= durable);
			durable = logstage_durable(&s);
			assert_true(durable <= 100 + put);
		}
	}
	assert_int_equal(pthread_join(id, NULL), 0);
	logstage_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pring_is_a_queue),
		cmocka_unit_test(pring_out_of_memory),
		cmocka_unit_test(pring_between_threads),
		cmocka_unit_test(a_kick_needs_a_sleeper),
		cmocka_unit_test(a_nudge_passes_the_deaf),
		cmocka_unit_test(a_late_kick_is_read_once),
		cmocka_unit_test(no_wakeup_is_lost),
		cmocka_unit_test(the_log_stage_promises_at_the_end_of_a_batch),
		cmocka_unit_test(a_batch_that_nobody_waits_for_lingers),
		cmocka_unit_test(the_log_stage_hands_over_to_a_writer),
	};

	return cmocka_run_group_tests_name("handoff", tests, NULL, NULL);
}
