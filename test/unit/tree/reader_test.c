/* SPDX-License-Identifier: Apache-2.0 */
/* What readers rely on: horizon, pins, listings, back-pressure. */
#include "fix.h"

#include <stdio.h>

static void horizon_and_pins(void **state)
{
	struct fix *f = *state;
	struct tree_garbage *g;
	struct tree_ref ref;
	int pins[TREE_PINS_MAX], pin;

	begin(f);
	ok(create(f, "/a"));
	tree_end(f->t);
	catch_up(f);
	collect_all(f);
	pin = tree_pin_take(f->r, tree_visible(f->r));
	assert_int_equal(tree_pin_zxid(f->r, pin), 1);
	for (int i = 0; i < 5; i++) {
		begin(f);
		ok(set(f, "/a", "x", i));
		tree_end(f->t);
	}
	begin(f);
	ok(del(f, "/a"));
	tree_end(f->t);
	assert_int_equal(tree_collect(f->t, 100), 0); /* held by visible */
	catch_up(f);
	assert_int_equal(tree_collect(f->t, 100), 0); /* held by the pin */
	assert_true(tree_find(f->t, zk_span_str("/a"), 1, &ref));
	assert_true(zk_span_eq(tree_data(ref), zk_span_str("data")));
	tree_pin_drop(f->r, pin);
	assert_int_not_equal(tree_collect(f->t, 2), 0);
	assert_int_not_equal(tree_collect(f->t, 100), 0);
	assert_null(tree_index_find(&f->t->index, tree_hash(f->t, zk_span_str("/a")),
				    zk_span_str("/a")));
	assert_true(stats(f).garbage > 0);
	g = tree_garbage_take(f->t);
	assert_non_null(g);
	assert_null(tree_garbage_take(f->t));
	assert_false(tree_garbage_free(f->t, g, 1));
	assert_true(tree_garbage_free(f->t, g, 100));
	assert_int_equal(stats(f).garbage, 0);

	for (int i = 0; i < TREE_PINS_MAX; i++)
		assert_true((pins[i] = tree_pin_take(f->r, tree_visible(f->r))) >= 0);
	assert_int_equal(tree_pin_take(f->r, tree_visible(f->r)), -1);
	assert_int_equal(stats(f).pins_refused, 1);
	tree_pin_drop(f->r, pins[3]);
	assert_int_equal(tree_pin_take(f->r, tree_visible(f->r)), pins[3]);
}

static void back_pressure(void **state)
{
	struct fix *f = *state;
	struct tree_reader *second = tree_reader_add(f->t);
	struct tree_change c;
	size_t before = f->mem.used_bytes;

	begin(f);
	ok(create(f, "/a"));
	tree_end(f->t);
	while (!tree_changes_full(f->t)) {
		begin(f);
		ok(set(f, "/a", "x", 1));
		tree_end(f->t);
	}
	assert_true(f->zxid > 490 && f->zxid < 510); /* two records each, limit 1000 */
	catch_up(f);
	assert_true(tree_changes_full(f->t)); /* the slowest counts */
	for (unsigned n = 0; tree_change_next(second, &c); n++)
		if (c.kind == TREE_CHANGE_END)
			tree_reader_advance(second, c.zxid);
	assert_false(tree_changes_full(f->t));
	for (unsigned i = 0; i < 100000; i++) { /* segments go round */
		begin(f);
		tree_end(f->t);
		catch_up(f);
		if (tree_change_next(second, &c))
			tree_reader_advance(second, c.zxid);
		if (i % 64 == 0)
			collect_all(f);
	}
	collect_all(f);
	assert_true(f->mem.used_bytes < before + (6u << 20));
}

/* A transaction of many segments: nothing of it shows before its END, then all in order. */
static void huge_transaction(void **state)
{
	struct fix *f = *state;
	struct tree_change c;
	unsigned seen = 0;
	char path[32];

	begin(f);
	ok(create(f, "/d"));
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(path, sizeof(path), "/d/%u", i);
		ok(create(f, path));
		if (i % 1000 == 0) {
			assert_false(tree_change_next(f->r, &c));
			assert_false(exists(f, "/d", tree_visible(f->r)));
			assert_false(exists(f, "/d/7", tree_visible(f->r)));
			(void)tree_collect(f->t, 1000);
		}
	}
	tree_end(f->t);
	assert_true(tree_changes_full(f->t));
	for (; seen < 20001; seen++) {
		assert_true(tree_change_next(f->r, &c));
		assert_int_equal(c.kind, TREE_CHANGE_CREATED);
		snprintf(path, sizeof(path), seen ? "/d/%u" : "/d", seen - 1);
		assert_true(zk_span_eq(tree_path(c.node), zk_span_str(path)));
		assert_false(exists(f, "/d", tree_visible(f->r)));
	}
	assert_int_equal(catch_up(f), 1);
	assert_false(tree_changes_full(f->t));
	assert_true(exists(f, "/d/19999", tree_visible(f->r)));
	assert_int_equal(stat_of(f, "/d").num_children, 20000);
	collect_all(f);
	assert_int_equal(stats(f).versions, 4 + 20001);
}

/* A listing under a pin, resumed in small steps while siblings come and go and slots are reused. */
static void resumed_listing(void **state)
{
	struct fix *f = *state;
	enum { N = 500 };
	static bool seen[N];
	uint64_t cursor = 0, zxid;
	unsigned found = 0, born = 0;
	const struct tree_node *c;
	struct tree_ref ref;
	char path[32];
	int pin;

	memset(seen, 0, sizeof(seen));
	begin(f);
	ok(create(f, "/d"));
	for (unsigned i = 0; i < N + 300; i++) {
		snprintf(path, sizeof(path), "/d/%04u", i);
		ok(create(f, path));
	}
	tree_end(f->t);
	begin(f); /* free slots in between for others to take */
	for (unsigned i = N; i < N + 300; i++) {
		snprintf(path, sizeof(path), "/d/%04u", i);
		ok(del(f, path));
	}
	tree_end(f->t);
	catch_up(f);
	collect_all(f);
	pin = tree_pin_take(f->r, tree_visible(f->r));
	zxid = tree_pin_zxid(f->r, pin);
	for (unsigned step = 0;; step++) {
		assert_true(tree_find(f->t, zk_span_str("/d"), zxid, &ref));
		if (!tree_child_next(ref, zxid, &cursor, 2, &c))
			break;
		if (c) {
			unsigned i = (unsigned)(c->path[3] - '0') * 1000 +
				     (unsigned)(c->path[4] - '0') * 100 +
				     (unsigned)(c->path[5] - '0') * 10 +
				     (unsigned)(c->path[6] - '0');

			assert_true(i < N && !seen[i]);
			seen[i] = true;
			found++;
		}
		begin(f);
		snprintf(path, sizeof(path), "/d/new%u", born++);
		ok(create(f, path));
		if (step < N) { /* those ahead and those behind */
			snprintf(path, sizeof(path), "/d/%04u", (step * 7) % N);
			ok(del(f, path));
		}
		if (step % 3 == 2) {
			snprintf(path, sizeof(path), "/d/new%u", born - 3);
			ok(del(f, path));
		}
		tree_end(f->t);
		catch_up(f);
		if (step % 5 == 0)
			collect_all(f);
	}
	assert_int_equal(found, N);
	tree_pin_drop(f->r, pin);
}

/* A large directory that empties gives its table back, and can fill again. */
static void table_goes_back(void **state)
{
	struct fix *f = *state;
	size_t before = 0;
	char path[32];

	begin(f);
	ok(create(f, "/d"));
	tree_end(f->t);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 50000; i++) {
			begin(f);
			snprintf(path, sizeof(path), "/d/%u", i);
			ok(create(f, path));
			tree_end(f->t);
			catch_up(f);
			collect_all(f);
		}
		begin(f);
		for (unsigned i = 0; i < 50000; i++) {
			snprintf(path, sizeof(path), "/d/%u", i);
			ok(del(f, path));
		}
		tree_end(f->t);
		catch_up(f);
		collect_all(f);
		assert_int_equal(stats(f).versions, 5);
		if (round == 0)
			before = f->mem.used_bytes;
		assert_true(f->mem.used_bytes <= before + (1u << 20));
	}
	struct tree_ref ref;

	assert_true(tree_find_newest(f->t, zk_span_str("/d"), &ref));
	assert_null(atomic_load(&ref.node->kids));
}

/* Children that come and go beside one that stays use the same slots again. */
static void slots_are_reused(void **state)
{
	struct fix *f = *state;
	struct tree_ref ref;
	char path[32];

	begin(f);
	ok(create(f, "/d"));
	ok(create(f, "/d/stays"));
	tree_end(f->t);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(path, sizeof(path), "/d/%u", i);
		begin(f);
		ok(create(f, path));
		tree_end(f->t);
		begin(f);
		ok(del(f, path));
		tree_end(f->t);
		catch_up(f);
		collect_all(f);
	}
	assert_true(tree_find_newest(f->t, zk_span_str("/d"), &ref));
	assert_int_equal(atomic_load(&ref.node->kids)->room, TREE_KIDS_FIRST);
}

static void reader_limit(void **state)
{
	struct fix *f = *state;

	for (unsigned i = 1; i < TREE_READERS_MAX; i++)
		assert_non_null(tree_reader_add(f->t));
	assert_null(tree_reader_add(f->t));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fix_set_up, fix_tear_down)
	const struct CMUnitTest tests[] = {
		T(horizon_and_pins), T(back_pressure),    T(huge_transaction), T(resumed_listing),
		T(table_goes_back),  T(slots_are_reused), T(reader_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
