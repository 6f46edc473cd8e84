/* SPDX-License-Identifier: Apache-2.0 */
/* Running out of memory, limits, and what a node takes. */
#include "fix.h"

#include <stdio.h>

struct countdown {
	struct zk_mem mem; /* first */
	int left;
};

static void *countdown_alloc(struct zk_mem *m, size_t n)
{
	struct countdown *c = zk_container_of(m, struct countdown, mem);

	if (c->left-- <= 0) {
		m->failures++;
		return NULL;
	}
	m->used_bytes += n;
	return malloc(n);
}

static void countdown_free(struct zk_mem *m, void *p, size_t n)
{
	assert_true(m->used_bytes >= n);
	m->used_bytes -= n;
	free(p);
}

static void new_without_memory(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < 100; i++) {
		struct countdown c = {.mem = {.alloc = countdown_alloc, .free = countdown_free},
				      .left = (int)i};
		struct tree_conf conf = fix_conf(&c.mem);
		struct tree *t;
		enum zk_err err = tree_new(&conf, &t);

		if (err == ZK_EOK) {
			assert_int_equal(c.mem.failures, 0);
			tree_free(t);
			assert_int_equal(c.mem.used_bytes, 0);
			break;
		}
		assert_int_equal(err, ZK_ENOMEM);
		assert_int_equal(c.mem.used_bytes, 0);
	}
	assert_true(i > 5 && i < 100);
}

static bool take_one(struct fix *f, const char *top, unsigned i, uint32_t len)
{
	static char data[8000];
	char path[32];

	snprintf(path, sizeof(path), "%s/n%07u", top, i);
	if (!tree_can_take(f->t, strlen(path) + len))
		return false;
	begin(f);
	ok(tree_create(f->t, zk_span_str(path), zk_span_of(data, len), none, 0, -1));
	tree_end(f->t);
	return true;
}

static void add_quota(struct fix *f)
{
	begin(f);
	ok(create(f, "/q"));
	ok(create(f, "/zookeeper/quota/q"));
	ok(create(f, "/zookeeper/quota/q/zookeeper_limits"));
	ok(create(f, "/zookeeper/quota/q/zookeeper_stats"));
	tree_end(f->t);
}

/* Fill up to the limit, delete at the limit, fill again, also with other sizes: refused, not dead.
 */
static void fill_and_empty(const char *top)
{
	static const uint32_t lens[] = {100, 100, 20, 4000, 300, 100};
	struct fix f = {.zxid = 0};
	struct tree_conf conf = fix_conf(&f.mem);
	unsigned n = 0, first = 0;
	uint64_t nodes;

	zk_mem_init_heap(&f.mem, 32u << 20);
	conf.index_slots = 131072;
	assert_int_equal(tree_new(&conf, &f.t), ZK_EOK);
	f.r = tree_reader_add(f.t);
	if (*top)
		add_quota(&f);
	nodes = stats(&f).nodes;
	for (unsigned round = 0; round < 6; round++) {
		char path[32];

		while (take_one(&f, top, n, lens[round])) {
			n++;
			if (n % 16 == 0) {
				catch_up(&f);
				collect_all(&f);
			}
		}
		catch_up(&f);
		collect_all(&f);
		assert_true(tree_can_take(f.t, 0) == false || !tree_can_take(f.t, 1u << 20));
		printf("%u nodes of %u bytes within %zu of %zu\n", n - first, lens[round],
		       f.mem.used_bytes, f.mem.limit_bytes);
		assert_true(n - first > 1000);
		/* all go, in transactions of a hundred */
		for (unsigned i = first; i < n; i++) {
			if (i % 100 == 0 || i == first)
				begin(&f);
			snprintf(path, sizeof(path), "%s/n%07u", top, i);
			ok(del(&f, path));
			if (i % 100 == 99 || i == n - 1) {
				tree_end(f.t);
				catch_up(&f);
				collect_all(&f);
			}
		}
		first = n;
	}
	assert_int_equal(stats(&f).nodes, nodes);
	tree_free(f.t);
	assert_int_equal(f.mem.used_bytes, 0);
}

static void memory_limit(void **state)
{
	(void)state;
	fill_and_empty("");
}

/* Every change makes a version of zookeeper_stats, too. */
static void memory_limit_under_a_quota(void **state)
{
	(void)state;
	fill_and_empty("/q");
}

static void small_tree(struct fix *f, bool quota)
{
	struct tree_conf conf = fix_conf(&f->mem);

	zk_mem_init_heap(&f->mem, 32u << 20);
	conf.index_slots = 16384;
	assert_int_equal(tree_new(&conf, &f->t), ZK_EOK);
	f->r = tree_reader_add(f->t);
	if (quota)
		add_quota(f);
}

static void small_tree_end(struct fix *f)
{
	catch_up(f);
	collect_all(f);
	assert_int_equal(stats(f).nodes, exists(f, "/q", UINT64_MAX) ? 8 : 4);
	tree_free(f->t);
	assert_int_equal(f->mem.used_bytes, 0);
}

/* A full tree whose deletes come faster than memory comes back: they have to wait, and not one
 * step that was allowed runs dry. */
static void late(const char *top)
{
	struct fix f = {.zxid = 0};
	unsigned n = 0, waits = 0;

	small_tree(&f, *top);
	while (take_one(&f, top, n, 60))
		if (++n % 64 == 0) {
			catch_up(&f);
			collect_all(&f);
		}
	assert_true(n > 20000);
	for (unsigned i = 0; i < n; i++) {
		char path[32];

		if (!tree_can_step(f.t, 1, 0)) {
			waits++;
			assert_true(tree_reclaims(f.t));
			catch_up(&f);
			collect_all(&f);
			assert_true(tree_can_step(f.t, 1, 0));
		}
		begin(&f);
		snprintf(path, sizeof(path), "%s/n%07u", top, i);
		ok(del(&f, path));
		tree_end(f.t);
	}
	assert_true(waits > 0);
	small_tree_end(&f);
}

static void reclaim_is_late(void **state)
{
	(void)state;
	late("");
	late("/q");
}

/* What the end of a session takes is kept, however many nodes it owns. */
static void owned_ends(void **state)
{
	struct fix f = {.zxid = 0};
	unsigned n = 0;
	char path[32];

	(void)state;
	small_tree(&f, false);
	for (; tree_can_take(f.t, 40); n++) {
		begin(&f);
		snprintf(path, sizeof(path), "/e%07u", n);
		ok(tree_create(f.t, zk_span_str(path), zk_span_of("", 0), none, 7, -1));
		tree_end(f.t);
		if (n % 64 == 0) {
			catch_up(&f);
			collect_all(&f);
		}
	}
	assert_true(n > 10000);
	printf("%u owned nodes within %zu of %zu\n", n, f.mem.used_bytes, f.mem.limit_bytes);
	assert_true(tree_can_step(f.t, n, n));
	begin(&f);
	for (unsigned i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/e%07u", i);
		ok(del(&f, path));
	}
	tree_end(f.t);
	small_tree_end(&f);
}

static void sizes(void **state)
{
	struct fix *f;
	enum { N = 200000 };
	char path[64], data[100] = {0};
	size_t payload = 0;

	printf("sizeof: node %zu + path, version %zu + small data, child table %zu, bucket of %d "
	       "entries %zu, reader %zu\n",
	       sizeof(struct tree_node), sizeof(struct tree_version), sizeof(struct tree_kids),
	       TREE_BUCKET_SLOTS, sizeof(struct tree_bucket), sizeof(struct tree_reader));
	fix_tear_down(state);
	f = calloc(1, sizeof(*f));
	zk_mem_init_heap(&f->mem, 0);
	struct tree_conf conf = fix_conf(&f->mem);

	conf.index_slots = 262144;
	assert_int_equal(tree_new(&conf, &f->t), ZK_EOK);
	f->r = tree_reader_add(f->t);
	*state = f;
	for (unsigned i = 0; i < N; i++) { /* directories of 50 */
		begin(f);
		snprintf(path, sizeof(path), "/directory-%05u", i / 50);
		if (i % 50)
			snprintf(path + 16, sizeof(path) - 16, "/node-%010u", i);
		payload += strlen(path) + sizeof(data);
		ok(tree_create(f->t, zk_span_str(path), zk_span_of(data, sizeof(data)), none, 0,
			       -1));
		tree_end(f->t);
		catch_up(f);
		if (i % 64 == 0)
			collect_all(f);
	}
	collect_all(f);
	double over = (double)(f->mem.used_bytes - payload) / N;

	printf("%d nodes of 100 bytes: %.1f bytes each beside path and data, index included\n", N,
	       over);
	assert_true(over <= 250);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fix_set_up, fix_tear_down)
	const struct CMUnitTest tests[] = {
		T(sizes),
		cmocka_unit_test(new_without_memory),
		cmocka_unit_test(memory_limit),
		cmocka_unit_test(memory_limit_under_a_quota),
		cmocka_unit_test(reclaim_is_late),
		cmocka_unit_test(owned_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
