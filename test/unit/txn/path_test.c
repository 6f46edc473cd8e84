/* SPDX-License-Identifier: Apache-2.0 */
#include "core/txn/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void valid(void **state)
{
	static const char *const good[] = {"/",
					   "/a",
					   "/a/b",
					   "/...",
					   "/a..",
					   "/.a",
					   "/a b",
					   "/ ",
					   "/\xc2\xa0",
					   "/\xe2\x82\xac",
					   "/..a",
					   "/a/.../b",
					   "/\xef\xa4\x80",
					   "/\xef\xbf\xaf",
					   "/\xed\x9f\xbf"};
	static const char *const bad[] = {"",
					  "a",
					  "a/b",
					  "/a/",
					  "//",
					  "/a//b",
					  "/.",
					  "/..",
					  "/a/.",
					  "/a/./b",
					  "/a/../b",
					  "/\x01",
					  "/\x1f",
					  "/\x7f",
					  "/\xc2\x80",
					  "/\xc2\x9f",
					  "/\xee\x80\x80",
					  "/\xef\xa3\xbf",
					  "/\xef\xbf\xb0",
					  "/\xef\xbf\xbd",
					  "/\xf0\x9f\x98\x80",
					  "/\xed\xa0\x80",
					  "/\xff",
					  "/\x80",
					  "/\xc0\x80",
					  "/\xc1\xbf",
					  "/\xe0\x80\x80",
					  "/\xe2\x82",
					  "/\xe2",
					  "/\xc2",
					  "/\xc2/",
					  "/\xe2\x82/a"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (!txn_path_valid(zk_span_str(good[i])))
			fail_msg("refused good %zu", i);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (txn_path_valid(zk_span_str(bad[i])))
			fail_msg("took bad %zu", i);
	}
	assert_false(txn_path_valid(zk_span_of("/a\0b", 4)));
	assert_false(txn_path_valid((struct zk_span){NULL, 0}));
}

static void parent_is(const char *path, size_t n, const char *want)
{
	struct zk_span p;
	bool ok = txn_path_parent(zk_span_of(path, n), &p);

	assert_int_equal(ok, want != NULL);
	if (want)
		assert_true(zk_span_eq(p, zk_span_str(want)));
}

static void parent(void **state)
{
	(void)state;
	parent_is("/a", 2, "/");
	parent_is("/a/b", 4, "/a");
	parent_is("/", 1, "/");
	parent_is("a/b", 3, "a");
	parent_is("/a/", 3, "/a");
	parent_is("a", 1, NULL);
	parent_is("", 0, NULL);
	parent_is("/a\0b", 4, NULL);
	assert_true(txn_path_special(zk_span_str("/zookeeper/quota")));
	assert_false(txn_path_special(zk_span_str("/zookeeper/x")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(valid), cmocka_unit_test(parent)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
