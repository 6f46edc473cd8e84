/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/arena.h"
#include "core/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

enum { BYTES = 1 << 20, SLOTS = 512, STEPS = 200000 };

struct held {
	uint8_t *p;
	size_t n;
	uint8_t tag;
};

/* All of an arena in which nothing is used is out of bounds, but for the marks at its ends. */
static void poisoned(const uint8_t *base)
{
#ifdef __SANITIZE_ADDRESS__
	for (size_t i = 32; i < BYTES - 16; i++)
		if (!__asan_address_is_poisoned(base + i))
			fail_msg("byte %zu of a free arena may be used", i);
#endif
	(void)base;
}

static void random_use(void **state)
{
	uint8_t *base = malloc(BYTES);
	struct held held[SLOTS] = {{NULL, 0, 0}};
	struct zk_arena a;
	uint64_t rnd = 1;
	size_t used = 0, refused = 0, fresh;

	(void)state;
	assert_int_equal(zk_arena_init(&a, base, BYTES, 0), ZK_EOK);
	fresh = zk_arena_largest(&a);
	poisoned(base);
	for (unsigned i = 0; i < STEPS; i++) {
		rnd = zk_mix64(rnd + i + 1);
		struct held *h = &held[rnd % SLOTS];

		if (h->p) {
			for (size_t k = 0; k < h->n; k++)
				assert_int_equal(h->p[k], h->tag);
			zk_mem_free(&a.mem, h->p, h->n);
			used -= h->n;
			h->p = NULL;
		} else {
			h->n = (rnd >> 32) % (rnd & 0x100000 ? 20000 : 200);
			h->tag = (uint8_t)i;
			h->p = zk_mem_alloc(&a.mem, h->n);
			if (!h->p) {
				refused++;
				continue;
			}
			assert_int_equal((uintptr_t)h->p % 16, 0);
			memset(h->p, h->tag, h->n);
			used += h->n;
		}
		assert_int_equal(a.mem.used_bytes, used);
		if (i % 1024 == 0)
			zk_arena_check(&a);
	}
	assert_true(refused > 0); /* the test has seen a full arena */
	assert_int_equal(a.mem.failures, refused);
	for (unsigned i = 0; i < SLOTS; i++)
		zk_mem_free(&a.mem, held[i].p, held[i].n);
	zk_arena_check(&a);
	assert_int_equal(a.mem.used_bytes, 0);
	assert_int_equal(zk_arena_largest(&a), fresh); /* all merged again */
	poisoned(base);
	free(base);
}

static void limits(void **state)
{
	static _Alignas(16) uint8_t base[4096];
	struct zk_arena a;
	void *p;

	(void)state;
	assert_int_equal(zk_arena_init(&a, base, 100, 0), ZK_EINVAL);
	assert_int_equal(zk_arena_init(&a, base, sizeof(base), 1000), ZK_EOK);
	assert_null(zk_mem_alloc(&a.mem, 1001));
	assert_null(zk_mem_alloc(&a.mem, SIZE_MAX));
	assert_null(zk_mem_alloc(&a.mem, SIZE_MAX - 8));
	p = zk_mem_alloc(&a.mem, 1000);
	assert_non_null(p);
	assert_null(zk_mem_alloc(&a.mem, 1));
	zk_mem_free(&a.mem, p, 1000);
	for (size_t n = 0; n <= 1000; n++) {
		p = zk_mem_alloc(&a.mem, n);
		assert_non_null(p);
		memset(p, 1, n);
		zk_mem_free(&a.mem, p, n);
	}
	zk_arena_check(&a);
	assert_int_equal(zk_arena_init(&a, base + 3, sizeof(base) - 3, 0), ZK_EOK);
	p = zk_mem_alloc(&a.mem, zk_arena_largest(&a));
	assert_non_null(p);
	zk_mem_free(&a.mem, p, 0);
}

/* A hole of just the size is found again, also when its bin begins below that size: else regions of
 * slabs that come back between small blocks that stay are lost for ever. */
static void same_size_again(void **state)
{
	enum { N = 32, SIZE = 10000 + 16 };
	size_t bytes = N * (SIZE + 200);
	uint8_t *base = malloc(bytes);
	void *big[N], *small[N];
	struct zk_arena a;

	(void)state;
	assert_int_equal(zk_arena_init(&a, base, bytes, 0), ZK_EOK);
	for (unsigned i = 0; i < N; i++) {
		big[i] = zk_mem_alloc(&a.mem, SIZE);
		small[i] = zk_mem_alloc(&a.mem, 64);
		assert_true(big[i] && small[i]);
	}
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < N; i++)
			zk_mem_free(&a.mem, big[i], SIZE);
		for (unsigned i = 0; i < N; i++) {
			big[i] = zk_mem_alloc(&a.mem, SIZE);
			assert_non_null(big[i]);
		}
	}
	for (unsigned i = 0; i < N; i++) {
		zk_mem_free(&a.mem, big[i], SIZE);
		zk_mem_free(&a.mem, small[i], 64);
	}
	assert_int_equal(a.mem.used_bytes, 0);
	free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_use),
		cmocka_unit_test(limits),
		cmocka_unit_test(same_size_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
