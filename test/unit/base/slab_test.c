/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/slab.h"

#include "core/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 20000 };

struct obj {
	unsigned char *p;
	unsigned slab, stamp;
};

static const size_t sizes[] = {16, 48, 64, 112, 272, 512, 1024};
enum { SLABS = sizeof(sizes) / sizeof(sizes[0]) };

static uint32_t rnd(uint64_t *rng, uint32_t n)
{
	*rng += 0x9e3779b97f4a7c15u;
	return (uint32_t)((zk_mix64(*rng) >> 32) % n);
}

/* Objects of all sizes come and go at random; none overlaps another, all memory goes back. */
static void random_use(void **state)
{
	static struct obj objs[N];
	struct zk_slab_pool pool;
	struct zk_slab slabs[SLABS];
	struct zk_mem mem;
	uint64_t rng = 5;
	unsigned live = 0, most = 0;

	(void)state;
	zk_mem_init_heap(&mem, 0);
	zk_slab_pool_init(&pool, &mem);
	for (unsigned i = 0; i < SLABS; i++)
		zk_slab_init(&slabs[i], &pool, sizes[i]);
	for (unsigned step = 0; step < 400000; step++) {
		struct obj *o = &objs[rnd(&rng, N)];
		bool filling = (step / 40000) % 2 == 0;

		if (!o->p && (filling || rnd(&rng, 4) == 0)) {
			o->slab = rnd(&rng, SLABS);
			o->p = zk_slab_get(&slabs[o->slab]);
			assert_non_null(o->p);
			assert_int_equal((uintptr_t)o->p % 16, 0);
			if (sizes[o->slab] % 64 == 0)
				assert_int_equal((uintptr_t)o->p % 64, 0);
			o->stamp = step & 0xff;
			memset(o->p, (int)o->stamp, sizes[o->slab]);
			live++;
		} else if (o->p && (!filling || rnd(&rng, 4) == 0)) {
			for (size_t i = 0; i < sizes[o->slab]; i++)
				assert_int_equal(o->p[i], o->stamp);
			zk_slab_put(o->p);
			o->p = NULL;
			live--;
		}
		most = live > most ? live : most;
	}
	assert_true(most > N / 2);
	size_t used = 0;

	for (unsigned i = 0; i < SLABS; i++)
		used += slabs[i].used_objs;
	assert_int_equal(used, live);
	for (unsigned i = 0; i < N; i++)
		zk_slab_put(objs[i].p);
	/* one region is kept */
	assert_int_equal(mem.used_bytes, ZK_SLAB_REGION_BYTES);
	for (unsigned i = 0; i < SLABS; i++) {
		assert_int_equal(slabs[i].used_objs, 0);
		zk_slab_fini(&slabs[i]);
	}
	zk_slab_pool_fini(&pool);
	assert_int_equal(mem.used_bytes, 0);
}

static void out_of_memory(void **state)
{
	struct zk_slab_pool pool;
	struct zk_slab a, b;
	struct zk_mem mem;
	void *first = NULL, *p;
	size_t n = 0;

	(void)state;
	zk_mem_init_heap(&mem, ZK_SLAB_REGION_BYTES + 100);
	zk_slab_pool_init(&pool, &mem);
	zk_slab_init(&a, &pool, 1024);
	zk_slab_init(&b, &pool, 16);
	while ((p = zk_slab_get(&a)) != NULL) { /* a list of them */
		*(void **)p = first;
		first = p;
		n++;
	}
	assert_int_equal(n, ZK_SLAB_REGION_CHUNKS * ((ZK_SLAB_CHUNK_BYTES - 64) / 1024));
	assert_null(zk_slab_get(&b));
	assert_int_equal(mem.failures, 2);
	for (; first; first = p) {
		p = *(void **)first;
		zk_slab_put(first);
	}
	/* an emptied chunk serves another size */
	p = zk_slab_get(&b);
	assert_non_null(p);
	zk_slab_put(p);
	zk_slab_fini(&a);
	zk_slab_fini(&b);
	assert_int_equal(zk_slab_pool_free_bytes(&pool),
			 ZK_SLAB_REGION_CHUNKS * ZK_SLAB_CHUNK_BYTES);
	zk_slab_pool_fini(&pool);
	assert_int_equal(mem.used_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_use),
		cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
