/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/list.h"

#include "core/base/assert.h"
#include "core/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 64 };

struct item {
	int pad;
	struct zk_list link;
	unsigned id;
};

static void check(struct zk_list *l, const unsigned *want, unsigned n)
{
	struct zk_list *e = l->next;

	assert_int_equal(zk_list_empty(l), n == 0);
	for (unsigned i = 0; i < n; i++, e = e->next) {
		assert_ptr_not_equal(e, l);
		assert_int_equal(zk_container_of(e, struct item, link)->id, want[i]);
		assert_ptr_equal(e->next->prev, e);
	}
	assert_ptr_equal(e, l);
}

static void against_array(void **state)
{
	struct item items[N];
	unsigned want[N], n = 0;
	struct zk_list list;
	uint64_t rng = 3;

	(void)state;
	zk_list_init(&list);
	for (unsigned i = 0; i < N; i++) {
		items[i] = (struct item){.id = i};
		zk_list_init(&items[i].link);
	}
	for (unsigned step = 0; step < 20000; step++) {
		struct item *it;
		unsigned at;

		rng += 0x9e3779b97f4a7c15u;
		it = &items[zk_mix64(rng) % N];
		for (at = 0; at < n && want[at] != it->id; at++)
			;
		assert_int_equal(zk_list_linked(&it->link), at < n);
		if (at < n) {
			zk_list_del(&it->link);
			zk_list_del(&it->link); /* twice does no harm */
			memmove(&want[at], &want[at + 1], (n - at - 1) * sizeof(want[0]));
			n--;
		} else if (zk_mix64(rng) >> 63) {
			zk_list_add_tail(&list, &it->link);
			want[n++] = it->id;
		} else {
			zk_list_add_head(&list, &it->link);
			memmove(&want[1], &want[0], n * sizeof(want[0]));
			want[0] = it->id;
			n++;
		}
		check(&list, want, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(against_array)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
