/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/name.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void parses(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		struct store_name name;
	} cases[] = {
		{"log.1", true, {STORE_LOG, STORE_PLAIN, false, 1}},
		{"log.100000001", true, {STORE_LOG, STORE_PLAIN, false, 0x100000001}},
		{"log.7fffffffffffffff", true, {STORE_LOG, STORE_PLAIN, false, INT64_MAX}},
		{"log.8000000000000000", false, {0}},
		{"log.10000000000000000", false, {0}},
		{"log.1.gz", true, {STORE_LOG, STORE_PLAIN, true, 1}},
		{"snapshot.0", true, {STORE_SNAPSHOT, STORE_PLAIN, false, 0}},
		{"snapshot.aB", true, {STORE_SNAPSHOT, STORE_PLAIN, false, 0xab}},
		{"snapshot.5.gz", true, {STORE_SNAPSHOT, STORE_GZ, false, 5}},
		{"snapshot.5.snappy", true, {STORE_SNAPSHOT, STORE_SNAPPY, false, 5}},
		{"snapshot.5.tmp", true, {STORE_SNAPSHOT, STORE_PLAIN, true, 5}},
		{"snapshot.5.", true, {STORE_SNAPSHOT, STORE_PLAIN, true, 5}},
		{"snapshot.", false, {0}},
		{"snapshot", false, {0}},
		{"snapshot.x", false, {0}},
		{"snapshot.-1", false, {0}},
		{"snapshots.1", false, {0}},
		{"currentEpoch", false, {0}},
		{"", false, {0}},
		{".", false, {0}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct store_name name;
		bool ok = store_name_parse(zk_span_str(cases[i].text), &name);

		if (ok != cases[i].ok)
			fail_msg("%s", cases[i].text);
		if (!ok)
			continue;
		assert_int_equal(name.kind, cases[i].name.kind);
		assert_int_equal(name.pack, cases[i].name.pack);
		assert_int_equal(name.suffix, cases[i].name.suffix);
		assert_int_equal(name.zxid, cases[i].name.zxid);
	}
}

static void formats(void **state)
{
	struct store_name name = {STORE_SNAPSHOT, STORE_SNAPPY, false, UINT64_MAX};
	char text[STORE_NAME_MAX];

	(void)state;
	store_name_format(&name, text);
	assert_string_equal(text, "snapshot.ffffffffffffffff.snappy");
	name = (struct store_name){STORE_LOG, STORE_PLAIN, false, 0};
	store_name_format(&name, text);
	assert_string_equal(text, "log.0");
	name = (struct store_name){STORE_SNAPSHOT, STORE_GZ, false, 0x2000000ab};
	store_name_format(&name, text);
	assert_string_equal(text, "snapshot.2000000ab.gz");
}

static void chooses_logs(void **state)
{
	static const uint64_t starts[] = {5, 9, 9, 20};

	(void)state;
	assert_int_equal(store_logs_first(starts, 4, 0), 0);
	assert_int_equal(store_logs_first(starts, 4, 5), 0);
	assert_int_equal(store_logs_first(starts, 4, 8), 0);
	assert_int_equal(store_logs_first(starts, 4, 9), 2);
	assert_int_equal(store_logs_first(starts, 4, 19), 2);
	assert_int_equal(store_logs_first(starts, 4, 1000), 3);
	assert_int_equal(store_logs_first(NULL, 0, 7), 0);
}

static void plausible(void **state)
{
	static const uint8_t gz[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0};
	static const uint8_t snappy[] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
	static const uint8_t tail[] = {0, 0, 0, 1, '/'}, wrong[] = {0, 0, 0, 1, 'x'};
	struct zk_span none = {NULL, 0}, end = zk_span_of(tail, 5);

	(void)state;
	assert_true(store_snapshot_plausible(STORE_PLAIN, 10, none, end));
	assert_false(store_snapshot_plausible(STORE_PLAIN, 9, none, end));
	assert_false(store_snapshot_plausible(STORE_PLAIN, 10, none, zk_span_of(wrong, 5)));
	assert_false(store_snapshot_plausible(STORE_PLAIN, 0, none, none));
	assert_true(store_snapshot_plausible(STORE_GZ, 8, zk_span_of(gz, 8), none));
	assert_false(store_snapshot_plausible(STORE_GZ, 1, zk_span_of(gz, 1), none));
	assert_true(store_snapshot_plausible(STORE_SNAPPY, 8, zk_span_of(snappy, 8), none));
	assert_false(store_snapshot_plausible(STORE_SNAPPY, 8, zk_span_of(gz, 8), none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),
		cmocka_unit_test(formats),
		cmocka_unit_test(chooses_logs),
		cmocka_unit_test(plausible),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
