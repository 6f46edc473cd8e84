/* SPDX-License-Identifier: Apache-2.0 */
/* A million nodes, TREE_SCALE chooses another number: all there, loaded in a time that is printed,
 * and taken down to nothing. */
#include "core/tree/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { PER_TXN = 1000, PER_DIR = 1000 };

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static unsigned path_of(unsigned i, char out[32])
{
	if (i % PER_DIR == 0)
		return (unsigned)snprintf(out, 32, "/dir%06u", i / PER_DIR);
	return (unsigned)snprintf(out, 32, "/dir%06u/node%06u", i / PER_DIR, i % PER_DIR);
}

static void drain(struct tree *t, struct tree_reader *r)
{
	struct tree_change c;
	struct tree_garbage *g;

	while (tree_change_next(r, &c))
		if (c.kind == TREE_CHANGE_END)
			tree_reader_advance(r, c.zxid);
	while (tree_collect(t, 1000))
		;
	if ((g = tree_garbage_take(t)) != NULL)
		while (!tree_garbage_free(t, g, 1000))
			;
}

static void load_and_drop(void **state)
{
	const char *env = getenv("TREE_SCALE");
	unsigned n = env ? (unsigned)strtoul(env, NULL, 0) : 1000000;
	struct zk_mem mem;
	struct tree_conf conf = {
		.mem = &mem, .key = {3, 4}, .index_slots = 1u << 20, .changes_soft_max = 1u << 16};
	struct tree *t;
	struct tree_reader *r;
	struct tree_stats st;
	struct tree_ref ref;
	char path[32], data[100];
	uint64_t zxid = 0, payload = 0;

	(void)state;
	memset(data, 'd', sizeof(data));
	zk_mem_init_heap(&mem, 0);
	assert_int_equal(tree_new(&conf, &t), ZK_EOK);
	r = tree_reader_add(t);
	double t0 = now_s();

	for (unsigned i = 0; i < n; i++) {
		if (i % PER_TXN == 0)
			tree_begin(t, ++zxid, 0);
		unsigned len = path_of(i, path);

		payload += len + sizeof(data);
		assert_int_equal(tree_create(t, zk_span_of(path, len),
					     zk_span_of(data, sizeof(data)),
					     (struct zk_span){NULL, 0}, 0, -1),
				 ZK_EOK);
		if (i % PER_TXN == PER_TXN - 1 || i == n - 1) {
			tree_end(t);
			drain(t, r);
		}
	}
	double t1 = now_s();

	for (unsigned i = 0; i < n; i++) {
		unsigned len = path_of(i, path);

		assert_true(tree_find(t, zk_span_of(path, len), tree_visible(r), &ref));
		assert_true(zk_span_eq(tree_data(ref), zk_span_of(data, sizeof(data))));
	}
	double t2 = now_s();

	tree_stats_get(t, &st);
	assert_int_equal(st.nodes, n + 4);
	assert_int_equal(st.versions, n + 4);
	printf("%u nodes loaded in %.2f s, found in %.2f s; %.1f bytes a node beside path and "
	       "data\n",
	       n, t1 - t0, t2 - t1, (double)(st.memory_bytes - payload) / n);
	for (unsigned i = n; i-- > 0;) {
		unsigned len = path_of(i, path);

		if (i % PER_TXN == PER_TXN - 1 || i == n - 1)
			tree_begin(t, ++zxid, 0);
		assert_int_equal(tree_delete(t, zk_span_of(path, len)), ZK_EOK);
		if (i % PER_TXN == 0) {
			tree_end(t);
			drain(t, r);
		}
	}
	drain(t, r);
	tree_stats_get(t, &st);
	assert_int_equal(st.nodes, 4);
	assert_int_equal(st.versions, 4);
	assert_int_equal(st.garbage, 0);
	printf("deleted in %.2f s, %zu bytes stay\n", now_s() - t2, mem.used_bytes);
	tree_free(t);
	assert_int_equal(mem.used_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(load_and_drop)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
