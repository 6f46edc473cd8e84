/* SPDX-License-Identifier: Apache-2.0 */
/* TRUNC: the log is cut, and the power fails, or the disk, at every call on the way. */
#include "core/store/truncate.h"
#include "test/unit/store/history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { LAST = 50, OLD = 1, SEEDS = 6 };

/* Snapshots at 0, 12 and 44; logs 1-10, 11-20, 21-30, 31-40, 41-50, as a server leaves them:
 * padded. */
static struct sim_disk *full(uint64_t seed)
{
	struct sim_disk *s = sim_disk_new(seed);
	struct disk *d = sim_disk_view(s, 0);

	history_snapshot(d, OLD, 0, 3);
	history_snapshot(d, OLD, 12, 3);
	history_snapshot(d, OLD, 44, 3);
	for (uint64_t z = 1; z <= LAST; z += 10)
		history_log(d, OLD, z, z + 9, 700);
	return s;
}

static enum zk_err cut(struct disk *d, uint64_t zxid, struct truncate_result *out)
{
	struct zk_mem mem;
	const struct truncate_conf c = {
		.disk = d, .mem = &mem, .length_max = HISTORY_LENGTH_MAX, .zxid = zxid};
	enum zk_err err;

	zk_mem_init_heap(&mem, 0);
	err = truncate_run(&c, out);
	assert_int_equal(mem.used_bytes, 0);
	assert_int_equal(out->why[0] == 0, err == ZK_EOK);
	return err;
}

static void is(struct disk *d, uint64_t zxid)
{
	struct history_found f;

	history_recover(d, &f);
	if (f.err != ZK_EOK)
		fail_msg("%s", f.why);
	assert_int_equal(f.zxid, zxid);
	assert_int_equal(f.who, OLD);
	assert_int_equal(f.txns, f.zxid - f.snapshot);
}

/* To every zxid there is. */
static void everywhere(void **state)
{
	(void)state;
	for (uint64_t zxid = 0; zxid <= LAST; zxid++) {
		struct sim_disk *s = full(zxid);
		struct disk *d = sim_disk_view(s, 0);
		struct truncate_result r;

		is(d, LAST);
		assert_int_equal(cut(d, zxid, &r), ZK_EOK);
		assert_int_equal(r.zxid, zxid);
		assert_int_equal(r.snapshot_zxid, zxid < 12 ? 0 : zxid < 44 ? 12 : 44);
		assert_int_equal(r.snapshots, (zxid < 12) + (zxid < 44));
		assert_int_equal(r.logs, (LAST - zxid) / 10);
		assert_true(r.cut_bytes >= 49 || zxid == LAST || zxid == 0);
		sim_disk_crash(s);
		is(d, zxid);
		/* and the log goes on from there */
		if (zxid < LAST)
			history_log(d, OLD, zxid + 1, LAST, 0);
		is(d, LAST);
		sim_disk_free(s);
	}
}

static void not_there(void **state)
{
	struct sim_disk *s = full(1);
	struct disk *d = sim_disk_view(s, 0);
	struct truncate_result r;

	(void)state;
	assert_int_equal(cut(d, LAST + 1, &r), ZK_ENOENT);
	assert_non_null(strstr(r.why, "the log has 0x32 and nothing later, not 0x33"));
	/* purged */
	assert_int_equal(disk_unlink(d, DISK_DATA, "snapshot.0"), ZK_EOK);
	assert_int_equal(cut(d, 11, &r), ZK_ENOENT);
	assert_non_null(strstr(r.why, "no snapshot at or before 0xb"));
	/* a hole */
	assert_int_equal(disk_unlink(d, DISK_LOG, "log.15"), ZK_EOK);
	assert_int_equal(cut(d, 35, &r), ZK_EINVAL);
	assert_non_null(strstr(r.why, "zxid 0x1f does not follow 0x14"));
	/* but behind a snapshot it does not matter */
	assert_int_equal(cut(d, 46, &r), ZK_EOK);
	is(d, 46);
	sim_disk_free(s);
}

/* A snapshot that cannot be loaded does not count, and nothing is removed for it. */
static void damaged_snapshot(void **state)
{
	struct sim_disk *s = full(1);
	struct disk *d = sim_disk_view(s, 0);
	struct truncate_result r;
	int file;

	(void)state;
	assert_int_equal(disk_open(d, DISK_DATA, "snapshot.c", DISK_UPDATE, &file), ZK_EOK);
	assert_int_equal(disk_write(d, file, 40, "x", 1), ZK_EOK);
	disk_close(d, file);
	assert_int_equal(cut(d, 25, &r), ZK_EOK); /* the one before it, with its log */
	assert_int_equal(r.snapshot_zxid, 0);
	is(d, 25);
	sim_disk_free(s);
	s = full(1);
	d = sim_disk_view(s, 0);
	assert_int_equal(disk_unlink(d, DISK_DATA, "snapshot.0"), ZK_EOK);
	assert_int_equal(disk_open(d, DISK_DATA, "snapshot.c", DISK_UPDATE, &file), ZK_EOK);
	assert_int_equal(disk_write(d, file, 40, "x", 1), ZK_EOK);
	disk_close(d, file);
	assert_int_equal(cut(d, 25, &r), ZK_ENOENT);
	assert_non_null(strstr(r.why, "snapshot.c: offset"));
	assert_true(history_exists(d, DISK_DATA, "snapshot.2c"));
	is(d, LAST);
	sim_disk_free(s);
}

/* The beginning of an epoch that is no transaction. */
static void epoch_start(void **state)
{
	const uint64_t two = UINT64_C(2) << 32;
	struct sim_disk *s = full(1);
	struct disk *d = sim_disk_view(s, 0);
	struct truncate_result r;

	(void)state;
	assert_int_equal(cut(d, two, &r), ZK_ENOENT); /* it ends before */
	history_log(d, OLD, two + 1, two + 5, 0);
	history_snapshot(d, OLD, two + 3, 1);
	assert_int_equal(cut(d, two, &r), ZK_EOK);
	assert_int_equal(r.zxid, LAST);
	assert_int_equal(r.logs, 1);
	is(d, LAST);
	assert_int_equal(cut(d, two, &r), ZK_ENOENT);
	sim_disk_free(s);
}

/* The calls of one cut to @p zxid. */
static uint64_t calls_of(uint64_t zxid)
{
	struct sim_disk *s = full(1);
	struct truncate_result r;
	uint64_t before = s->calls[SIM_CALLS], n;

	assert_int_equal(cut(sim_disk_view(s, 0), zxid, &r), ZK_EOK);
	n = s->calls[SIM_CALLS] - before;
	sim_disk_free(s);
	return n;
}

/* A call fails or the power does: what recovery finds is a beginning of the history, not shorter
 * than was asked for; and the next try does it. */
static void every_call(void **state)
{
	static const uint64_t to[] = {7, 15, 20, 33, 44, 49};
	static const enum zk_err errs[] = {ZK_EOK, ZK_EIO};
	unsigned shorter = 0, whole = 0, done = 0;

	(void)state;
	for (size_t k = 0; k < sizeof(to) / sizeof(to[0]); k++) {
		uint64_t calls = calls_of(to[k]);

		assert_true(calls > 10);
		for (uint64_t at = 1; at <= calls; at++) {
			for (uint64_t seed = 0; seed < 2 * SEEDS; seed++) {
				struct sim_disk *s = full(at * 100 + seed);
				struct disk *d = sim_disk_view(s, 0);
				struct truncate_result r;
				struct history_found f;
				enum zk_err err;

				s->fault_call = SIM_CALLS;
				s->fault_at = s->calls[SIM_CALLS] + at;
				s->fault_err = errs[seed % 2];
				err = cut(d, to[k], &r);
				/* a snapshot that cannot be read makes way for an older one */
				done += err == ZK_EOK;
				assert_true(err != ZK_EOK || seed % 2);
				sim_disk_crash(s);
				history_recover(d, &f);
				assert_true(err != ZK_EOK || f.zxid == to[k]);
				if (f.err != ZK_EOK)
					fail_msg("call %llu: %s", (unsigned long long)at, f.why);
				assert_int_equal(f.who, OLD);
				assert_int_equal(f.txns, f.zxid - f.snapshot);
				assert_true(f.zxid >= to[k] && f.zxid <= LAST);
				shorter += f.zxid < LAST;
				whole += f.zxid == LAST;
				assert_int_equal(cut(d, to[k], &r), ZK_EOK);
				is(d, to[k]);
				sim_disk_free(s);
			}
		}
	}
	print_message("%u shorter, %u whole, %u done all the same\n", shorter, whole, done);
	assert_true(shorter > 100 && whole > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everywhere),       cmocka_unit_test(not_there),
		cmocka_unit_test(damaged_snapshot), cmocka_unit_test(epoch_start),
		cmocka_unit_test(every_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
