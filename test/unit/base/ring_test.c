/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/ring.h"

#include "core/base/hash.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIZE = 4096, SEED = 9, MODEL_MAX = 1024, CROSS_RECORDS = 400000 };

static uint32_t rnd(uint64_t *rng, uint32_t n)
{
	*rng += 0x9e3779b97f4a7c15u;
	return (uint32_t)((zk_mix64(*rng) >> 32) % n);
}

static void fill(uint8_t *p, size_t n, uint64_t number)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(number * 13 + i);
}

static bool filled(const uint8_t *p, size_t n, uint64_t number)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != (uint8_t)(number * 13 + i))
			return false;
	return true;
}

/* A queue of sizes is the model: records come out in order, whole, only once published, and stay
 * untouched until released. */
static void against_queue(void **state)
{
	static size_t sizes[MODEL_MAX];
	uint64_t rng = SEED, put = 0, published = 0, got = 0, released = 0, full = 0;
	struct zk_ring r;
	struct zk_mem mem;
	static const uint8_t *held[MODEL_MAX];

	(void)state;
	zk_mem_init_heap(&mem, 0);
	assert_int_equal(zk_ring_init(&r, &mem, SIZE), ZK_EOK);
	assert_int_equal(zk_ring_record_max(&r), SIZE / 2 - 16);
	for (unsigned step = 0; step < 300000; step++) {
		size_t n, want = rnd(&rng, 20) ? rnd(&rng, 100) : rnd(&rng, SIZE / 2 - 15);
		const uint8_t *rec;
		uint8_t *p;

		switch (rnd(&rng, 7)) {
		case 0:
		case 1:
			p = zk_ring_reserve(&r, want);
			if (!p) {
				full++;
				/* at most what it takes to wrap is ever wasted */
				assert_true(put - released > 0);
				break;
			}
			assert_int_equal((uintptr_t)p % 8, 0);
			n = want - rnd(&rng, (uint32_t)want / 2 + 1); /* commit less */
			fill(p, n, put);
			sizes[put++ % MODEL_MAX] = n;
			zk_ring_commit(&r, n);
			break;
		case 2:
			zk_ring_publish(&r);
			published = put;
			break;
		case 3:
		case 4:
			rec = zk_ring_next(&r, &n);
			assert_int_equal(rec != NULL, got < published);
			if (!rec)
				break;
			assert_int_equal(n, sizes[got % MODEL_MAX]);
			if (rnd(&rng, 4) == 0) {
				zk_ring_unget(&r, rec);
				break;
			}
			held[got++ % MODEL_MAX] = rec;
			break;
		case 5:
			assert_int_equal(zk_ring_empty(&r), got == published);
			for (uint64_t i = released; i < got; i++)
				assert_true(filled(held[i % MODEL_MAX], sizes[i % MODEL_MAX], i));
			break;
		default:
			zk_ring_release(&r);
			released = got;
			break;
		}
	}
	assert_int_equal(r.full, full);
	assert_true(full > 1000 && got > 10000);
	zk_ring_fini(&r);
	assert_int_equal(mem.used_bytes, 0);
}

/* An empty ring takes the largest record wherever it stands. */
static void largest_always_fits(void **state)
{
	struct zk_ring r;
	struct zk_mem mem;

	(void)state;
	zk_mem_init_heap(&mem, 0);
	assert_int_equal(zk_ring_init(&r, &mem, SIZE), ZK_EOK);
	for (unsigned i = 0; i < 2000; i++) {
		size_t sizes[] = {i % 200, zk_ring_record_max(&r)}, n;

		for (unsigned k = 0; k < 2; k++) {
			uint8_t *p = zk_ring_reserve(&r, sizes[k]);

			assert_non_null(p);
			fill(p, sizes[k], i);
			zk_ring_commit(&r, sizes[k]);
			zk_ring_publish(&r);

			const uint8_t *rec = zk_ring_next(&r, &n);

			assert_non_null(rec);
			assert_int_equal(n, sizes[k]);
			assert_true(filled(rec, n, i));
			zk_ring_release(&r);
		}
	}
	assert_int_equal(r.full, 0);
	zk_ring_fini(&r);
}

/* While the consumer keeps up, a small part of the ring is used again and again. */
static void empty_begins_again(void **state)
{
	enum { LARGE = 1 << 20, RECORD = 100 };
	struct zk_ring r;
	struct zk_mem mem;

	(void)state;
	zk_mem_init_heap(&mem, 0);
	assert_int_equal(zk_ring_init(&r, &mem, LARGE), ZK_EOK);
	for (unsigned i = 0; i < 4 * LARGE / RECORD; i++) {
		uint8_t *p = zk_ring_reserve(&r, RECORD);
		const uint8_t *rec;
		size_t n;

		assert_non_null(p);
		assert_true((size_t)(p - r.bytes) < LARGE / 8);
		fill(p, RECORD, i);
		zk_ring_commit(&r, RECORD);
		zk_ring_publish(&r);
		rec = zk_ring_next(&r, &n);
		assert_ptr_equal(rec, p);
		assert_true(filled(rec, n, i));
		zk_ring_release(&r);
	}
	assert_int_equal(r.full, 0);
	zk_ring_fini(&r);
}

static void no_memory(void **state)
{
	struct zk_ring r;
	struct zk_mem mem;

	(void)state;
	zk_mem_init_heap(&mem, SIZE - 1);
	assert_int_equal(zk_ring_init(&r, &mem, SIZE), ZK_ENOMEM);
	assert_int_equal(mem.used_bytes, 0);
}

static void *producer(void *arg)
{
	struct zk_ring *r = arg;
	uint64_t rng = SEED;

	for (uint64_t i = 0; i < CROSS_RECORDS;) {
		size_t n = 8 + rnd(&rng, 200);
		uint8_t *p;

		while ((p = zk_ring_reserve(r, n)) == NULL) {
			zk_ring_publish(r);
			sched_yield();
		}
		fill(p, n, i);
		zk_ring_commit(r, n);
		if (++i % 8 == 0)
			zk_ring_publish(r);
	}
	zk_ring_publish(r);
	return NULL;
}

/* Two threads, for the thread sanitizer above all. */
static void across_threads(void **state)
{
	struct zk_ring r;
	struct zk_mem mem;
	pthread_t t;
	uint64_t rng = SEED;

	(void)state;
	zk_mem_init_heap(&mem, 0);
	assert_int_equal(zk_ring_init(&r, &mem, SIZE), ZK_EOK);
	assert_int_equal(pthread_create(&t, NULL, producer, &r), 0);
	for (uint64_t i = 0; i < CROSS_RECORDS;) {
		size_t n;
		const uint8_t *rec = zk_ring_next(&r, &n);

		if (!rec) {
			zk_ring_release(&r);
			sched_yield();
			continue;
		}
		if (n != 8 + rnd(&rng, 200) || !filled(rec, n, i))
			fail_msg("record %llu", (unsigned long long)i);
		i++;
	}
	zk_ring_release(&r);
	pthread_join(t, NULL);
	assert_true(zk_ring_empty(&r));
	zk_ring_fini(&r);
	assert_int_equal(mem.used_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(against_queue),      cmocka_unit_test(largest_always_fits),
		cmocka_unit_test(empty_begins_again), cmocka_unit_test(no_memory),
		cmocka_unit_test(across_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
