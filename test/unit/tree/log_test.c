/* SPDX-License-Identifier: Apache-2.0 */
/* The change log publishes whole transactions: a reader never sees the first half of one, however
 * many segments it spans. */
#include "core/tree/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka wants the four above first */
#include <cmocka.h>

enum { HUGE_TXN = 40000 };

static void huge_transaction_is_published_at_its_end(void **state)
{
	struct zk_mem mem;
	struct tree *t;
	struct tree_reader *r;
	struct tree_change ch;
	char path[32];
	unsigned n = 0;

	(void)state;
	zk_mem_init_heap(&mem, 0);
	struct tree_conf conf = {.mem = &mem, .index_slots = 1024, .changes_soft_max = 1024};

	assert_int_equal(tree_new(&conf, &t), ZK_EOK);
	r = tree_reader_add(t);
	assert_non_null(r);
	tree_begin(t, 1, 1000);
	for (unsigned i = 0; i < HUGE_TXN; i++) {
		int len = snprintf(path, sizeof(path), "/n%u", i);

		assert_int_equal(tree_create(t, zk_span_of(path, (size_t)len), zk_span_str("x"),
					     zk_span_of("", 0), 0, -1),
				 ZK_EOK);
		assert_false(tree_change_next(r, &ch));
	}
	tree_end(t);
	while (tree_change_next(r, &ch)) {
		n++;
		assert_int_equal(ch.zxid, 1);
		if (ch.kind == TREE_CHANGE_END)
			tree_reader_advance(r, ch.zxid);
	}
	assert_int_equal(n, HUGE_TXN + 1);
	assert_int_equal(tree_visible(r), 1);
	tree_free(t);
	assert_int_equal(mem.used_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(huge_transaction_is_published_at_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
