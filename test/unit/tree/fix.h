/* SPDX-License-Identifier: Apache-2.0 */
/** A tree with one reader, and short words for what is done with it. */
#ifndef TEST_TREE_FIX_H
#define TEST_TREE_FIX_H

#include "core/tree/priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fix {
	struct zk_mem mem;
	struct tree *t;
	struct tree_reader *r;
	uint64_t zxid;
};

static const struct zk_span none = {NULL, 0};

static inline struct tree_conf fix_conf(struct zk_mem *mem)
{
	return (struct tree_conf){
		.mem = mem, .key = {1, 2}, .index_slots = 1024, .changes_soft_max = 1000};
}

static inline int fix_set_up(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));
	struct tree_conf conf = fix_conf(&f->mem);

	zk_mem_init_heap(&f->mem, 0);
	assert_int_equal(tree_new(&conf, &f->t), ZK_EOK);
	f->r = tree_reader_add(f->t);
	*state = f;
	return 0;
}

static inline int fix_tear_down(void **state)
{
	struct fix *f = *state;

	if (f->t->open) /* the test has failed in the middle */
		tree_end(f->t);
	tree_free(f->t);
	assert_int_equal(f->mem.used_bytes, 0);
	free(f);
	return 0;
}

static inline void begin(struct fix *f)
{
	f->zxid++;
	tree_begin(f->t, f->zxid, (int64_t)f->zxid * 1000);
}

static inline enum zk_err create(struct fix *f, const char *path)
{
	return tree_create(f->t, zk_span_str(path), zk_span_str("data"), none, 0, -1);
}

static inline enum zk_err del(struct fix *f, const char *path)
{
	return tree_delete(f->t, zk_span_str(path));
}

static inline enum zk_err set(struct fix *f, const char *path, const char *data, int32_t version)
{
	return tree_set_data(f->t, zk_span_str(path), zk_span_str(data), version);
}

#define ok(e) assert_int_equal((e), ZK_EOK)

/* Consume everything; returns how many records. */
static inline unsigned catch_up(struct fix *f)
{
	struct tree_change c;
	unsigned n = 0;

	for (; tree_change_next(f->r, &c); n++)
		if (c.kind == TREE_CHANGE_END)
			tree_reader_advance(f->r, c.zxid);
	return n;
}

static inline void collect_all(struct fix *f)
{
	struct tree_garbage *g;

	while (tree_collect(f->t, 1000))
		;
	while ((g = tree_garbage_take(f->t)) != NULL)
		while (!tree_garbage_free(f->t, g, 7))
			;
}

static inline struct tree_stats stats(struct fix *f)
{
	struct tree_stats st;

	tree_stats_get(f->t, &st);
	return st;
}

static inline bool exists(struct fix *f, const char *path, uint64_t zxid)
{
	struct tree_ref ref;

	return tree_find(f->t, zk_span_str(path), zxid, &ref);
}

static inline struct zk_stat stat_of(struct fix *f, const char *path)
{
	struct tree_ref ref;
	struct zk_stat st;

	assert_true(tree_find_newest(f->t, zk_span_str(path), &ref));
	tree_stat(ref, &st);
	return st;
}

#endif
