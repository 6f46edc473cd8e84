/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/epoch.h"
#include "test/lib/sim_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static struct sim_disk *sim;
static struct disk *d;
static char why[EPOCH_WHY_MAX];

static int up(void **state)
{
	(void)state;
	sim = sim_disk_new(3);
	d = sim_disk_view(sim, 0);
	return 0;
}

static int down(void **state)
{
	(void)state;
	sim_disk_free(sim);
	return 0;
}

static void put(enum disk_dir dir, const char *name, const char *text)
{
	int file;

	assert_int_equal(disk_open(d, dir, name, DISK_REPLACE, &file), ZK_EOK);
	assert_int_equal(disk_write(d, file, 0, text, strlen(text)), ZK_EOK);
	disk_close(d, file);
}

static void first_lines(void **state)
{
	static const struct {
		const char *text;
		bool good;
		int64_t value;
	} v[] = {{"1", true, 1},
		 {"-7", true, -7},
		 {"+7\nmore", true, 7},
		 {"12\r\n", true, 12},
		 {"9223372036854775807", true, INT64_MAX},
		 {"-9223372036854775808", true, INT64_MIN},
		 {"9223372036854775808", false, 0},
		 {"99999999999999999999999999", false, 0},
		 {"", false, 0},
		 {"\n1", false, 0},
		 {" 1", false, 0},
		 {"1 ", false, 0},
		 {"-", false, 0},
		 {"0x1", false, 0}};
	int64_t got;

	(void)state;
	assert_int_equal(epoch_read_myid(d, &got, why), ZK_ENOENT);
	for (unsigned i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		put(DISK_DATA_TOP, "myid", v[i].text);
		assert_int_equal(epoch_read_myid(d, &got, why), v[i].good ? ZK_EOK : ZK_EINVAL);
		if (v[i].good)
			assert_true(got == v[i].value);
		else
			assert_non_null(strstr(why, "data/myid"));
	}
}

/* The value before or the value after, whenever the power fails. */
static void atomic(void **state)
{
	(void)state;
	for (uint64_t call = 1; call <= 8; call++) {
		int64_t got;

		assert_int_equal(epoch_write(d, EPOCH_ACCEPTED, 10, why), ZK_EOK);
		sim->fault_call = SIM_CALLS;
		sim->fault_err = ZK_EOK; /* a crash */
		sim->fault_at = sim->calls[SIM_CALLS] + call;
		enum zk_err err = epoch_write(d, EPOCH_ACCEPTED, 11, why);

		sim_disk_crash(sim);
		assert_int_equal(epoch_read(d, EPOCH_ACCEPTED, &got, why), ZK_EOK);
		assert_true(got == 11 || (got == 10 && err != ZK_EOK));
	}
}

static void start(void **state)
{
	struct epochs e;

	(void)state;
	/* made from the last zxid */
	assert_int_equal(epoch_load(d, UINT64_C(4) << 32 | 9, &e, why), ZK_EOK);
	assert_true(e.accepted == 4 && e.current == 4);
	assert_int_equal(epoch_write(d, EPOCH_ACCEPTED, 6, why), ZK_EOK);
	assert_int_equal(epoch_load(d, UINT64_C(4) << 32 | 9, &e, why), ZK_EOK);
	assert_true(e.accepted == 6 && e.current == 4);
	put(DISK_DATA, "currentEpoch.tmp", "5");
	assert_int_equal(epoch_load(d, UINT64_C(5) << 32 | 1, &e, why), ZK_EOK);
	assert_true(e.accepted == 6 && e.current == 5);
	assert_int_equal(epoch_read(d, EPOCH_CURRENT, &e.current, why), ZK_EOK);
	assert_true(e.current == 5);
	assert_int_equal(epoch_write(d, EPOCH_CURRENT, 7, why), ZK_EOK);
	assert_int_equal(epoch_load(d, UINT64_C(5) << 32 | 1, &e, why), ZK_EINVAL);
	assert_string_equal(why, "acceptedEpoch 6 is less than currentEpoch 7");
	put(DISK_DATA, "acceptedEpoch", "x");
	assert_int_equal(epoch_load(d, UINT64_C(5) << 32 | 1, &e, why), ZK_EINVAL);
}

/* A new leader's transactions are in the log before currentEpoch is: a crash in between must not
 * keep the server out for ever, nor let it claim the new epoch. */
static void down_while_synchronised(void **state)
{
	const uint64_t last = UINT64_C(5) << 32 | 1;
	static const char *const half[] = {NULL, "", "4", "3", "x"};
	struct epochs e;

	(void)state;
	assert_int_equal(epoch_write(d, EPOCH_CURRENT, 4, why), ZK_EOK);
	/* never promised: these files are not of this log */
	assert_int_equal(epoch_load(d, last, &e, why), ZK_EINVAL);
	assert_string_equal(why, "currentEpoch 4 is older than the last zxid 0x500000001");
	assert_int_equal(epoch_write(d, EPOCH_ACCEPTED, 4, why), ZK_EOK);
	assert_int_equal(epoch_load(d, last, &e, why), ZK_EINVAL);
	assert_int_equal(epoch_write(d, EPOCH_ACCEPTED, 5, why), ZK_EOK);
	for (unsigned i = 0; i < sizeof(half) / sizeof(half[0]); i++) {
		if (half[i])
			put(DISK_DATA, "currentEpoch.tmp", half[i]);
		assert_int_equal(epoch_load(d, last, &e, why), ZK_EOK);
		assert_true(e.accepted == 5 && e.current == 4 && e.unfinished);
		assert_int_equal(epoch_read(d, EPOCH_CURRENT, &e.current, why), ZK_EOK);
		assert_true(e.current == 4);
	}
	assert_int_equal(epoch_write(d, EPOCH_CURRENT, 5, why), ZK_EOK);
	assert_int_equal(epoch_load(d, last, &e, why), ZK_EOK);
	assert_true(e.current == 5 && !e.unfinished);
}

/* Killed between the rename and the sync of the directory: the next start sees the new name, and
 * must not act on it before a loss of power can no longer take it back. */
static void what_is_loaded_is_safe(void **state)
{
	struct epochs e;

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		int64_t got;

		sim_disk_free(sim);
		sim = sim_disk_new(i);
		d = sim_disk_view(sim, 0);
		assert_int_equal(epoch_write(d, EPOCH_CURRENT, 4, why), ZK_EOK);
		assert_int_equal(epoch_write(d, EPOCH_ACCEPTED, 4, why), ZK_EOK);
		sim->fault_call = SIM_SYNC_DIR;
		sim->fault_at = sim->calls[SIM_SYNC_DIR] + 1;
		sim->fault_err = ZK_EOK; /* a crash */
		assert_int_not_equal(epoch_write(d, EPOCH_ACCEPTED, 5, why), ZK_EOK);
		sim_disk_kill(sim);
		assert_int_equal(epoch_load(d, UINT64_C(4) << 32 | 9, &e, why), ZK_EOK);
		assert_true(e.accepted == 5);
		sim_disk_crash(sim);
		assert_int_equal(epoch_read(d, EPOCH_ACCEPTED, &got, why), ZK_EOK);
		assert_true(got == 5);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(down_while_synchronised, up, down),
		cmocka_unit_test_setup_teardown(first_lines, up, down),
		cmocka_unit_test_setup_teardown(atomic, up, down),
		cmocka_unit_test_setup_teardown(start, up, down),
		cmocka_unit_test_setup_teardown(what_is_loaded_is_safe, up, down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
