/* SPDX-License-Identifier: Apache-2.0 */
/* What the write-ahead log leaves in files, when it rolls. Crashes and failing
 * disks: test/sim/wal_test.c. */
#include "core/store/txnlog.h"
#include "core/store/wal.h"
#include "test/lib/sim_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

enum { PREALLOC = 65536, LARGE = 17 << 20 };

static struct sim_disk *sim;
static struct zk_mem mem;
static struct wal wal;
static uint64_t clock_ns;

static uint64_t now(void *ctx)
{
	(void)ctx;
	return clock_ns += 1000;
}

static struct wal_conf conf(void)
{
	return (struct wal_conf){.disk = sim_disk_view(sim, 0),
				 .mem = &mem,
				 .now_ns = now,
				 .prealloc_bytes = PREALLOC,
				 .slow_ns = 1000000};
}

static int setup(void **state)
{
	(void)state;
	sim = sim_disk_new(1);
	zk_mem_init_heap(&mem, 0);
	clock_ns = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	wal_fini(&wal);
	assert_int_equal(mem.used_bytes, 0);
	sim_disk_free(sim);
	return 0;
}

static struct zk_span transaction(uint64_t zxid, uint8_t *p, size_t n)
{
	memset(p, (int)(zxid & 0xff), n);
	zk_put64(p + 12, zxid);
	zk_put32(p + 28, (uint32_t)ZK_OP_SET_DATA);
	zk_put32(p + 32, 1);
	p[36] = '/';
	zk_put32(p + 37, (uint32_t)(n - 45));
	return zk_span_of(p, n);
}

static void durable(void)
{
	for (unsigned i = 0; i < 10000 && wal_durable(&wal) != wal.put.zxid; i++)
		(void)wal_step(&wal, true);
	assert_int_equal(wal_durable(&wal), wal.put.zxid);
}

static void put(uint64_t zxid, size_t n)
{
	uint8_t *p = malloc(n);
	enum zk_err err;

	assert_non_null(p);
	transaction(zxid, p, n);
	while ((err = wal_put(&wal, zxid, zk_span_of(p, n))) == ZK_EAGAIN)
		(void)wal_step(&wal, false);
	assert_int_equal(err, ZK_EOK);
	free(p);
}

/* The file's records are first..last, each of @p n bytes; its size is *size. */
static void check_file(const char *name, uint64_t first, uint64_t last, size_t n, uint64_t *size)
{
	struct disk *d = sim_disk_view(sim, 1);
	struct txnlog_reader r;
	struct txnlog_item item;
	uint8_t *bytes, *want = malloc(n);
	size_t got;
	int file;

	assert_int_equal(disk_open(d, DISK_LOG, name, DISK_READ, &file), ZK_EOK);
	assert_int_equal(disk_size(d, file, size), ZK_EOK);
	bytes = malloc(*size);
	assert_non_null(bytes);
	assert_non_null(want);
	assert_int_equal(disk_read(d, file, 0, bytes, *size, &got), ZK_EOK);
	assert_int_equal(got, *size);
	disk_close(d, file);
	txnlog_reader_init(&r, 64 << 20);
	for (uint64_t zxid = first; zxid <= last; zxid++) {
		assert_int_equal(txnlog_next(&r, zk_span_of(bytes + r.at, got - r.at), true, &item),
				 TXNLOG_RECORD);
		assert_true(zk_span_eq(item.payload, transaction(zxid, want, n)));
	}
	assert_int_equal(txnlog_next(&r, zk_span_of(bytes + r.at, got - r.at), true, &item),
			 TXNLOG_END);
	assert_true(item.end == TXNLOG_END_PADDING || item.end == TXNLOG_END_FILE);
	free(bytes);
	free(want);
}

static bool exists(const char *name)
{
	struct disk *d = sim_disk_view(sim, 1);
	int file;

	if (disk_open(d, DISK_LOG, name, DISK_READ, &file) != ZK_EOK)
		return false;
	disk_close(d, file);
	return true;
}

static void test_first_file_and_padding(void **state)
{
	struct wal_conf c = conf();
	uint64_t size;

	(void)state;
	assert_int_equal(wal_init(&wal, &c, 0x1f), ZK_EOK);
	assert_int_equal(sim->calls[SIM_CALLS], 0); /* nothing before the first transaction */
	put(0x20, 100);
	assert_int_equal(wal_durable(&wal), 0x1f);
	durable();
	check_file("log.20", 0x20, 0x20, 100, &size);
	assert_int_equal(size, 16 + PREALLOC); /* as Apache */
	for (uint64_t z = 0x21; z < 0x20 + 700; z++)
		put(z, 100);
	durable();
	check_file("log.20", 0x20, 0x20 + 699, 100, &size);
	assert_true(size >= 16 + 700 * 113 + 4096 && size % PREALLOC == 0);
	assert_false(exists(WAL_NEW_NAME));
}

static void test_without_padding(void **state)
{
	struct wal_conf c = conf();
	uint64_t size;

	(void)state;
	c.prealloc_bytes = 0;
	assert_int_equal(wal_init(&wal, &c, 0), ZK_EOK);
	put(1, 50);
	put(2, 50);
	durable();
	check_file("log.1", 1, 2, 50, &size);
	assert_int_equal(size, DISK_BLOCK_BYTES); /* whole blocks are written */
	wal_fini(&wal);
	check_file("log.1", 1, 2, 50, &size);
	assert_int_equal(size, 16 + 2 * 63);
}

/* Batches that end anywhere in a block, at its end, behind it. */
static void test_blocks_grow(void **state)
{
	struct wal_conf c = conf();
	uint64_t zxid = 0, size;

	(void)state;
	assert_int_equal(wal_init(&wal, &c, 0), ZK_EOK);
	put(++zxid, DISK_BLOCK_BYTES - TXNLOG_HEADER_BYTES - TXNLOG_FRAME_BYTES);
	durable();
	assert_int_equal(wal.end, DISK_BLOCK_BYTES);
	while (zxid < 200) {
		for (uint64_t i = zxid % 7; i < 7; i++)
			put(++zxid, DISK_BLOCK_BYTES - TXNLOG_HEADER_BYTES - TXNLOG_FRAME_BYTES);
		durable();
	}
	check_file("log.1", 1, zxid, DISK_BLOCK_BYTES - TXNLOG_HEADER_BYTES - TXNLOG_FRAME_BYTES,
		   &size);
}

static void test_no_file_is_appended_to(void **state)
{
	struct wal_conf c = conf();
	uint64_t size;

	(void)state;
	assert_int_equal(wal_init(&wal, &c, 0), ZK_EOK);
	put(1, 50);
	put(2, 50);
	durable();
	wal_fini(&wal);
	assert_int_equal(wal_init(&wal, &c, 2), ZK_EOK); /* another start */
	put(3, 60);
	durable();
	check_file("log.1", 1, 2, 50, &size);
	check_file("log.3", 3, 3, 60, &size);
	wal_fini(&wal);
	assert_int_equal(wal_init(&wal, &c, 2), ZK_EOK); /* recovery has not taken 3 */
	put(3, 70);
	durable();
	check_file("log.3", 3, 3, 70, &size);
}

static void test_roll(void **state)
{
	struct wal_conf c = conf();
	uint64_t size;

	(void)state;
	assert_int_equal(wal_init(&wal, &c, 0), ZK_EOK);
	wal_roll(&wal); /* nothing to roll */
	put(1, 50);
	put(2, 50);
	wal_roll(&wal);
	put(3, 50); /* waits until the first two are durable */
	assert_int_equal(wal_durable(&wal), 2);
	durable();
	check_file("log.1", 1, 2, 50, &size);
	check_file("log.3", 3, 3, 50, &size);
	wal_roll(&wal);
	wal_roll(&wal);
	durable();
	assert_false(exists("log.4"));
	assert_int_equal(wal.stats.segments, 2);
}

/* A segment is cut at its end when the next one begins and when the log is closed, and only when
 * all of it is durable. That the cut fails matters to nobody. */
static void test_padding_goes(void **state)
{
	const uint64_t record = txnlog_record_bytes(50, false);
	struct wal_conf c = conf();
	uint64_t size;

	(void)state;
	assert_int_equal(wal_init(&wal, &c, 0), ZK_EOK);
	put(1, 50);
	put(2, 50);
	wal_roll(&wal);
	durable();
	check_file("log.1", 1, 2, 50, &size);
	assert_int_equal(size, 16 + PREALLOC); /* it is not known yet that no more comes */
	put(3, 50);
	check_file("log.1", 1, 2, 50, &size);
	assert_int_equal(size, 16 + 2 * record);
	durable();
	wal_roll(&wal);
	sim->fault_call = SIM_TRUNCATE;
	sim->fault_at = sim->calls[SIM_TRUNCATE] + 1;
	sim->fault_err = ZK_EIO;
	put(4, 50);
	assert_int_equal(sim->faults, 1);
	durable();
	check_file("log.3", 3, 3, 50, &size);
	assert_int_equal(size, 16 + PREALLOC);
	put(5, 50);
	durable();
	wal_fini(&wal);
	check_file("log.4", 4, 5, 50, &size);
	assert_int_equal(size, 16 + 2 * record);
	assert_int_equal(wal.stats.trimmed_bytes, 2 * (PREALLOC - 2 * record));
	sim_disk_crash(sim); /* cut or not, it reads the same */
	check_file("log.1", 1, 2, 50, &size);
	check_file("log.4", 4, 5, 50, &size);
	/* what is not durable is not touched */
	assert_int_equal(wal_init(&wal, &c, 5), ZK_EOK);
	put(6, 50);
	durable();
	put(7, 50);
	wal_fini(&wal);
	check_file("log.6", 6, 6, 50, &size);
	assert_int_equal(size, 16 + PREALLOC);
	assert_int_equal(wal_init(&wal, &c, 6), ZK_EOK); /* for the teardown */
}

static void test_size_limit_rolls(void **state)
{
	struct wal_conf c = conf();
	uint64_t size;

	(void)state;
	c.size_limit = 1000;
	assert_int_equal(wal_init(&wal, &c, 0), ZK_EOK);
	for (uint64_t z = 1; z <= 3; z++)
		put(z, 487);
	durable();
	check_file("log.1", 1, 2, 487, &size);
	check_file("log.3", 3, 3, 487, &size);
}

/* jute.maxbuffer may be 16 MiB: far more than the buffers hold. */
static void test_larger_than_all_buffers(void **state)
{
	struct wal_conf c = conf();
	uint64_t size;

	(void)state;
	assert_int_equal(wal_init(&wal, &c, 0), ZK_EOK);
	put(1, LARGE);
	put(2, LARGE);
	durable();
	check_file("log.1", 1, 2, LARGE, &size);
}

/* While one sync is under way transactions collect, and the next sync covers them all. */
static void test_group_commit(void **state)
{
	struct wal_conf c = conf();

	(void)state;
	sim->slow_sync = 50;
	assert_int_equal(wal_init(&wal, &c, 0), ZK_EOK);
	put(1, 50);
	for (unsigned i = 0; i < 10000 && wal.phase != WAL_SYNC; i++)
		(void)wal_step(&wal, true);
	assert_int_equal(wal.phase, WAL_SYNC);
	for (uint64_t z = 2; z <= 300; z++) {
		put(z, 50);
		if (z % 30 == 0)
			(void)wal_step(&wal, true);
	}
	assert_int_equal(wal_durable(&wal), 0);
	durable();
	assert_int_equal(wal.stats.syncs, 2);
	assert_int_equal(wal.stats.txns, 300);
}

static void test_without_sync(void **state)
{
	struct wal_conf c = conf();
	uint64_t size;

	(void)state;
	c.no_sync = true;
	assert_int_equal(wal_init(&wal, &c, 0), ZK_EOK);
	put(1, 50);
	durable();
	assert_int_equal(sim->calls[SIM_SYNC] + sim->calls[SIM_SYNC_DIR], 0);
	check_file("log.1", 1, 1, 50, &size);
}

static void test_fault_says_what_where(void **state)
{
	struct wal_conf c = conf();

	(void)state;
	assert_int_equal(wal_init(&wal, &c, 0), ZK_EOK);
	put(1, 50);
	durable();
	sim->fault_call = SIM_SYNC;
	sim->fault_at = sim->calls[SIM_SYNC] + 1;
	sim->fault_err = ZK_EIO;
	put(2, 50);
	for (unsigned i = 0; i < 100; i++)
		(void)wal_step(&wal, true);
	assert_int_equal(wal.state, WAL_FAILED);
	assert_int_equal(wal_durable(&wal), 1);
	assert_string_equal(wal.fault.call, "sync");
	assert_string_equal(wal.fault.name, "log.1");
	assert_int_equal(wal.fault.at, 16 + 2 * 63);
	assert_int_equal(sim->calls[SIM_SYNC], sim->fault_at); /* never again */
	uint8_t t[50];

	assert_int_equal(wal_put(&wal, 3, transaction(3, t, sizeof(t))), ZK_EIO);
}

/* Room for less than preAllocSize is used all the same. */
static void test_small_room(void **state)
{
	struct wal_conf c = conf();
	uint64_t size, z = 0;

	(void)state;
	sim->capacity = 40960;
	assert_int_equal(wal_init(&wal, &c, 0), ZK_EOK);
	while (wal.state == WAL_GOOD && z < 1000) {
		uint8_t t[200];

		if (wal_put(&wal, z + 1, transaction(z + 1, t, sizeof(t))) == ZK_EOK)
			z++;
		(void)wal_step(&wal, true);
	}
	assert_int_equal(wal.state, WAL_FULL);
	assert_true(wal_durable(&wal) > 100);
	while (wal.under_way > 0)
		(void)wal_step(&wal, true);
	sim->capacity = 1 << 20;
	z = wal_durable(&wal);
	assert_int_equal(wal_retry(&wal), ZK_EOK);
	put(z + 1, 200);
	durable();
	check_file("log.1", 1, z, 200, &size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_first_file_and_padding, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without_padding, setup, teardown),
		cmocka_unit_test_setup_teardown(test_blocks_grow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_file_is_appended_to, setup, teardown),
		cmocka_unit_test_setup_teardown(test_roll, setup, teardown),
		cmocka_unit_test_setup_teardown(test_padding_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_size_limit_rolls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_larger_than_all_buffers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_group_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without_sync, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fault_says_what_where, setup, teardown),
		cmocka_unit_test_setup_teardown(test_small_room, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
