/* SPDX-License-Identifier: Apache-2.0 */
/* core/store/disk.h on a real directory, and the write-ahead log on top of it. */
#include "core/store/txnlog.h"
#include "core/store/wal.h"
#include "ctl/server/disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
/* cmocka wants the four above it */
#include <cmocka.h>

enum { BIG = 200 << 10, WHY = 256 };

static char top[64], why[WHY];
static struct disk_dirs dirs;
static struct disk_posix view;

static int setup(void **state)
{
	char data[96], log[96];

	(void)state;
	snprintf(top, sizeof(top), "/tmp/zokor-disk-test.XXXXXX");
	assert_non_null(mkdtemp(top));
	snprintf(data, sizeof(data), "%s/a/data", top);
	snprintf(log, sizeof(log), "%s/log", top);
	assert_int_equal(disk_dirs_open(&dirs, data, log, false, why, sizeof(why)), ZK_ENOENT);
	assert_non_null(strstr(why, "/a/data/version-2: No such file"));
	assert_int_equal(disk_dirs_open(&dirs, data, log, true, why, sizeof(why)), ZK_EOK);
	disk_posix_init(&view, &dirs, true);
	return 0;
}

static int teardown(void **state)
{
	char cmd[96];

	(void)state;
	disk_posix_fini(&view);
	disk_dirs_close(&dirs);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", top);
	return system(cmd); /* NOLINT: a name of our own */
}

static bool count_files(void *arg, const char *name, uint64_t size)
{
	unsigned *n = arg;

	*n += strcmp(name, "b") == 0 && size == 5;
	*n += 100;
	return true;
}

static void test_files_and_names(void **state)
{
	struct disk *d = &view.disk;
	unsigned n = 0;
	uint64_t size;
	char got[8];
	size_t r;
	int f;

	(void)state;
	assert_int_equal(disk_open(d, DISK_LOG, "a", DISK_READ, &f), ZK_ENOENT);
	assert_string_equal(disk_error_text(d), "No such file or directory");
	assert_int_equal(disk_open(d, DISK_LOG, "a", DISK_CREATE, &f), ZK_EOK);
	assert_int_equal(disk_write(d, f, 0, "hello", 5), ZK_EOK);
	assert_int_equal(disk_allocate(d, f, 5, 4096), ZK_EOK);
	assert_int_equal(disk_size(d, f, &size), ZK_EOK);
	assert_int_equal(size, 4096);
	assert_int_equal(disk_truncate(d, f, 5), ZK_EOK);
	assert_int_equal(disk_sync(d, f), ZK_EOK);
	assert_int_equal(disk_settle(d, f), ZK_EOK);
	assert_int_equal(disk_read(d, f, 1, got, sizeof(got), &r), ZK_EOK);
	assert_int_equal(r, 4);
	assert_memory_equal(got, "ello", 4);
	disk_close(d, f);
	assert_int_equal(disk_open(d, DISK_LOG, "a", DISK_CREATE, &f), ZK_EEXIST);
	assert_int_equal(disk_rename(d, DISK_LOG, "a", "b"), ZK_EOK);
	assert_int_equal(disk_sync_dir(d, DISK_LOG), ZK_EOK);
	assert_int_equal(disk_list(d, DISK_LOG, count_files, &n), ZK_EOK);
	assert_int_equal(n, 101);
	assert_int_equal(disk_open(d, DISK_LOG, "b", DISK_REPLACE, &f), ZK_EOK);
	assert_int_equal(disk_size(d, f, &size), ZK_EOK);
	assert_int_equal(size, 0);
	disk_close(d, f);
	assert_int_equal(disk_unlink(d, DISK_LOG, "b"), ZK_EOK);
	assert_int_equal(disk_unlink(d, DISK_LOG, "b"), ZK_ENOENT);
	assert_int_equal(disk_free_bytes(d, DISK_DATA, &size), ZK_EOK);
	assert_true(size > 0);
}

static void reap_all(unsigned want, struct disk_done *out)
{
	int none = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	unsigned n = 0;

	for (unsigned i = 0; n < want && i < 1000; i++) {
		disk_posix_wait(&view, none, 5000);
		n += disk_reap(&view.disk, out + n, want - n);
	}
	close(none);
	assert_int_equal(n, want);
}

static void submissions(bool uring)
{
	struct disk *d = &view.disk;
	struct disk_done done[4] = {0};
	char *p = malloc(BIG), *q = malloc(BIG);
	size_t r;
	int f;

	assert_non_null(p);
	assert_non_null(q);
	memset(p, 'x', BIG);
	assert_int_equal(disk_open(d, DISK_LOG, "s", DISK_REPLACE, &f), ZK_EOK);
	assert_int_equal(disk_submit_write(d, f, 0, p, BIG, 7, false), ZK_EOK);
	assert_int_equal(disk_submit_write(d, f, BIG, p, 100, 8, false), ZK_EOK);
	reap_all(2, done);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(done[i].err, ZK_EOK);
		assert_int_equal(done[i].bytes, done[i].tag == 7 ? BIG : 100);
	}
	assert_int_equal(disk_submit_sync(d, f, 9, false), ZK_EOK);
	assert_int_equal(disk_submit_sync(d, f, 10, true), ZK_EOK);
	reap_all(2, done);
	assert_int_equal(done[0].tag + done[1].tag, 19);
	assert_int_equal(done[0].err | done[1].err, ZK_EOK);
	if (uring)
		assert_true(view.queued >= 2);
	assert_int_equal(disk_read(d, f, 0, q, BIG, &r), ZK_EOK);
	assert_memory_equal(p, q, BIG);
	disk_close(d, f);
	/* An error comes with the completion. */
	assert_int_equal(disk_open(d, DISK_LOG, "s", DISK_READ, &f), ZK_EOK);
	assert_int_equal(disk_submit_write(d, f, 0, p, BIG, 1, false), ZK_EOK);
	reap_all(1, done);
	assert_int_not_equal(done[0].err, ZK_EOK);
	disk_close(d, f);
	free(p);
	free(q);
}

static void test_submissions(void **state)
{
	(void)state;
	submissions(view.uring);
	if (!view.uring)
		print_message("io_uring is not allowed here\n");
	disk_posix_fini(&view); /* and where the kernel refuses it */
	submissions(false);
	assert_int_equal(view.under_way, 0);
}

static uint64_t now(void *ctx)
{
	struct timespec ts;

	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void log_some(struct wal *w, uint64_t upto, size_t n, uint8_t *txn)
{
	int none = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	uint64_t zxid = 1;

	while (wal_durable(w) < upto) {
		bool dry = true;

		for (; zxid <= upto; zxid++) {
			zk_put64(txn + 12, zxid);
			if (wal_put(w, zxid, zk_span_of(txn, n)) != ZK_EOK) {
				dry = false;
				break;
			}
		}
		assert_int_equal(w->state, WAL_GOOD);
		if (!wal_step(w, dry) && w->under_way > 0)
			disk_posix_wait(&view, none, 5000);
	}
	close(none);
}

/* A little, and more than the buffers hold, which goes through the ring where there is one. */
/* Blocks go to the device as they lie; what turns out not to be good enough for it goes through the
 * page cache, by every way of writing. */
static void test_blocks(void **state)
{
	struct disk *d = &view.disk;
	uint8_t *p = aligned_alloc(DISK_BLOCK_BYTES, BIG + DISK_BLOCK_BYTES), *q = malloc(BIG);
	struct disk_done done;
	size_t r;
	int f;

	(void)state;
	assert_non_null(p);
	assert_non_null(q);
	memset(p, 'x', BIG + DISK_BLOCK_BYTES);
	for (int way = 0; way < 3; way++) {
		assert_int_equal(disk_open(d, DISK_LOG, "b", DISK_BLOCKS, &f), ZK_EOK);
		assert_true(view.direct == f || view.direct == -1);
		assert_int_equal(disk_submit_write(d, f, 0, p, DISK_BLOCK_BYTES, 1, way == 0),
				 ZK_EOK);
		reap_all(1, &done);
		assert_int_equal(done.bytes, DISK_BLOCK_BYTES);
		if (way == 2) {
			assert_int_equal(disk_write(d, f, 7, p + 1, BIG - 7), ZK_EOK);
		} else {
			assert_int_equal(disk_submit_write(d, f, 7, p + 1, BIG - 7, 2, way == 0),
					 ZK_EOK);
			reap_all(1, &done);
			assert_int_equal(done.err, ZK_EOK);
			assert_int_equal(done.bytes, BIG - 7);
		}
		assert_int_equal(disk_sync(d, f), ZK_EOK);
		assert_int_equal(disk_read(d, f, 0, q, BIG, &r), ZK_EOK);
		assert_int_equal(r, BIG);
		assert_memory_equal(p, q, BIG);
		disk_close(d, f);
		assert_int_equal(view.direct, -1);
	}
	free(p);
	free(q);
}

static void test_log(void **state)
{
	struct zk_mem mem;
	struct wal w;
	struct wal_conf c = {
		.disk = &view.disk, .mem = &mem, .now_ns = now, .prealloc_bytes = 1 << 20};
	struct txnlog_reader r;
	struct txnlog_item item;
	uint8_t txn[4096] = {0}, *file;
	uint64_t size;
	size_t got;
	int f;

	(void)state;
	zk_put32(txn + 28, (uint32_t)ZK_OP_SET_DATA);
	zk_put32(txn + 32, 1);
	txn[36] = '/';
	zk_put32(txn + 37, sizeof(txn) - 45);
	zk_mem_init_heap(&mem, 0);
	assert_int_equal(wal_init(&w, &c, 0), ZK_EOK);
	log_some(&w, 2000, sizeof(txn), txn);
	wal_fini(&w);
	assert_int_equal(disk_open(&view.disk, DISK_LOG, "log.1", DISK_READ, &f), ZK_EOK);
	assert_int_equal(disk_size(&view.disk, f, &size), ZK_EOK);
	file = malloc(size);
	assert_non_null(file);
	assert_int_equal(disk_read(&view.disk, f, 0, file, size, &got), ZK_EOK);
	txnlog_reader_init(&r, 1 << 20);
	for (uint64_t zxid = 1; zxid <= 2000; zxid++) {
		assert_int_equal(txnlog_next(&r, zk_span_of(file + r.at, size - r.at), true, &item),
				 TXNLOG_RECORD);
		assert_int_equal(item.txn.header.zxid, zxid);
	}
	assert_int_equal(txnlog_next(&r, zk_span_of(file + r.at, size - r.at), true, &item),
			 TXNLOG_END);
	assert_int_equal(item.end, TXNLOG_END_FILE); /* closed: without padding */
	disk_close(&view.disk, f);
	free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_files_and_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_submissions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_blocks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
