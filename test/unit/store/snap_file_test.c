/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot on its way to a disk that fails, or loses power, at each of its calls in turn. */
#include "core/store/snap_file.h"
#include "test/lib/sim_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ZXID = 0x2a, PART = 1 << 20, PARTS = 10 /* so that there is a sync on the way */ };

#define NAME "snapshot.2a"
#define TEMP ".snapshot.2a.tmp"

static uint8_t part[PART];

/* @return ZK_EOK: it is there. Aborts after an error, as the snapshot thread does. */
static enum zk_err write_one(struct disk *d, const char **step)
{
	struct snap_file_conf c = {.disk = d, .zxid = ZXID};
	struct snap_file f;
	enum zk_err err = snap_file_open(&f, &c);

	*step = f.step;
	if (err != ZK_EOK)
		return err;
	for (unsigned i = 0; i < PARTS && err == ZK_EOK; i++) {
		memset(part, (int)i, sizeof(part));
		err = snap_file_put(&f, zk_span_of(part, sizeof(part)));
	}
	if (err == ZK_EOK)
		err = snap_file_commit(&f);
	*step = f.step;
	if (err != ZK_EOK)
		snap_file_abort(&f);
	return err;
}

/* @return the file's size, UINT64_MAX: there is none; and its bytes are right, or it is old. */
static uint64_t look(struct disk *d, const char *name)
{
	uint64_t size;
	uint8_t *p;
	size_t got;
	int file;

	if (disk_open(d, DISK_DATA, name, DISK_READ, &file) != ZK_EOK)
		return UINT64_MAX;
	assert_int_equal(disk_size(d, file, &size), ZK_EOK);
	p = malloc(size + 1);
	assert_int_equal(disk_read(d, file, 0, p, size, &got), ZK_EOK);
	assert_int_equal(got, size);
	if (strcmp(name, NAME) == 0 && size != 3) {
		assert_int_equal(size, (uint64_t)PART * PARTS);
		for (size_t i = 0; i < size; i += 4096)
			assert_int_equal(p[i], i / PART);
	}
	free(p);
	disk_close(d, file);
	return size;
}

/* A small file of that name is there already. */
static void put_old(struct disk *d)
{
	int file;

	assert_int_equal(disk_open(d, DISK_DATA, NAME, DISK_CREATE, &file), ZK_EOK);
	assert_int_equal(disk_write(d, file, 0, "old", 3), ZK_EOK);
	assert_int_equal(disk_sync(d, file), ZK_EOK);
	disk_close(d, file);
	assert_int_equal(disk_sync_dir(d, DISK_DATA), ZK_EOK);
}

static uint64_t calls_of_one(void)
{
	struct sim_disk *s = sim_disk_new(1);
	const char *step;
	uint64_t before, n;

	put_old(sim_disk_view(s, 0));
	before = s->calls[SIM_CALLS];
	assert_int_equal(write_one(sim_disk_view(s, 0), &step), ZK_EOK);
	n = s->calls[SIM_CALLS] - before;
	assert_true(n > PARTS + 4);
	sim_disk_crash(s);
	assert_int_equal(look(sim_disk_view(s, 0), NAME), (uint64_t)PART * PARTS);
	assert_int_equal(look(sim_disk_view(s, 0), TEMP), UINT64_MAX);
	sim_disk_free(s);
	return n;
}

/* Each call fails once: an error that names the step, the old file or the new one, nothing left. */
static void every_call_fails(void **state)
{
	static const enum zk_err errs[] = {ZK_EIO, ZK_EFULL};
	uint64_t calls = calls_of_one();
	unsigned failed = 0;

	(void)state;
	for (uint64_t at = 1; at <= calls; at++) {
		for (unsigned k = 0; k < 2; k++) {
			struct sim_disk *s = sim_disk_new(at);
			struct disk *d = sim_disk_view(s, 0);
			const char *step;
			enum zk_err err;
			uint64_t size;

			put_old(d);
			s->fault_call = SIM_CALLS;
			s->fault_at = s->calls[SIM_CALLS] + at;
			s->fault_err = errs[k];
			err = write_one(d, &step);
			assert_int_equal(err, errs[k]);
			assert_non_null(step);
			failed++;
			assert_int_equal(look(d, TEMP), UINT64_MAX);
			size = look(d, NAME);
			/* only when the last sync fails is the new one there already */
			assert_int_equal(size == 3, strcmp(step, "sync of the directory") != 0);
			/* and the next try does it */
			assert_int_equal(write_one(d, &step), ZK_EOK);
			sim_disk_crash(s);
			assert_int_equal(look(d, NAME), (uint64_t)PART * PARTS);
			sim_disk_free(s);
		}
	}
	assert_int_equal(failed, 2 * calls);
}

/* The power fails at each call: what is named a snapshot is whole, the rest is swept away. */
static void every_call_crashes(void **state)
{
	uint64_t calls = calls_of_one();
	unsigned old = 0, swept = 0;

	(void)state;
	for (uint64_t at = 1; at <= calls; at++) {
		for (uint64_t seed = 0; seed < 4; seed++) {
			struct sim_disk *s = sim_disk_new(at * 10 + seed);
			struct disk *d = sim_disk_view(s, 0);
			const char *step;

			put_old(d);
			s->fault_call = SIM_CALLS;
			s->fault_at = s->calls[SIM_CALLS] + at;
			s->fault_err = ZK_EOK;
			assert_int_not_equal(write_one(d, &step), ZK_EOK);
			assert_true(s->crashed);
			sim_disk_crash(s);
			old += look(d, NAME) == 3;
			swept += snap_file_sweep(d);
			assert_int_equal(look(d, TEMP), UINT64_MAX);
			assert_int_not_equal(look(d, NAME), UINT64_MAX);
			sim_disk_free(s);
		}
	}
	assert_true(old > 0 && swept > 0);
}

/* The log keeps its room. */
static void leaves_room(void **state)
{
	struct sim_disk *s = sim_disk_new(1);
	struct disk *d = sim_disk_view(s, 0);
	struct snap_file_conf c = {.disk = d, .zxid = ZXID, .spare_bytes = 4 << 20};
	enum zk_err err = ZK_EOK;
	struct snap_file f;

	(void)state;
	s->capacity = 16 << 20;
	assert_int_equal(snap_file_open(&f, &c), ZK_EOK);
	for (unsigned i = 0; i < 16 && err == ZK_EOK; i++)
		err = snap_file_put(&f, zk_span_of(part, sizeof(part)));
	assert_int_equal(err, ZK_EFULL);
	assert_string_equal(f.step, "room");
	assert_true(f.bytes <= 16 << 20);
	snap_file_abort(&f);
	c.spare_bytes = 17 << 20;
	assert_int_equal(snap_file_open(&f, &c), ZK_EFULL);
	assert_int_equal(look(d, TEMP), UINT64_MAX);
	sim_disk_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_fails),
		cmocka_unit_test(every_call_crashes),
		cmocka_unit_test(leaves_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
