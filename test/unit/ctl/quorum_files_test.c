/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that writes epoch files and feeds learners from the log, on a real directory; this
 * thread is the leader core. */
#include "core/store/epoch.h"
#include "core/store/txnlog.h"
#include "ctl/server/log.h"
#include "ctl/server/quorum_files.h"
#include "test/unit/store/history.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka wants the four above it */
#include <cmocka.h>

enum { WHO = 7, LAST = 300, WAIT_MS = 20000, BIG = 300 << 10, GROWS = 50, GROWN = 400 };

static char top[64], said[96];
static struct disk_dirs dirs;
static struct disk_posix view;
static struct waker leader;
static struct quorum_files *files;
static struct quorum_disk disk;
static _Atomic unsigned told[2];

static int setup(void **state)
{
	char why[256];

	(void)state;
	snprintf(top, sizeof(top), "/tmp/zokor-files-test.XXXXXX");
	assert_non_null(mkdtemp(top));
	snprintf(said, sizeof(said), "%s/said", top);
	assert_int_equal(log_open(said, LOG_INFO), ZK_EOK);
	assert_int_equal(disk_dirs_open(&dirs, top, top, true, why, sizeof(why)), ZK_EOK);
	disk_posix_init(&view, &dirs, false);
	assert_int_equal(waker_init(&leader), ZK_EOK);
	files = aligned_alloc(ZK_CACHE_LINE, sizeof(*files));
	assert_non_null(files);
	return 0;
}

static int teardown(void **state)
{
	char cmd[96];

	(void)state;
	waker_fini(&leader);
	disk_posix_fini(&view);
	disk_dirs_close(&dirs);
	free(files);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", top);
	return system(cmd); /* NOLINT: a name of our own */
}

static void written(void *ctx, enum zab_file file)
{
	assert_ptr_equal(ctx, files);
	atomic_fetch_add_explicit(&told[file], 1, memory_order_release);
}

static void start(int32_t snap_factor_ppm)
{
	struct quorum_files_conf c = {.dirs = &dirs,
				      .length_max = HISTORY_LENGTH_MAX,
				      .snap_factor_ppm = snap_factor_ppm};

	config_cpus_get(&c.cpus);
	assert_int_equal(quorum_files_start(files, &c), ZK_EOK);
	quorum_files_tell(files, written, files);
	quorum_files_wake(files, &leader);
	disk = quorum_files_disk(files);
}

/* As the leader core sleeps. */
static void doze(void)
{
	struct pollfd fd = {.fd = leader.fd, .events = POLLIN};

	waker_announce(&leader);
	(void)poll(&fd, 1, 5);
	waker_clear(&leader);
}

static enum zk_err next(uint32_t link, uint64_t *zxid, struct zk_span *txn)
{
	enum zk_err err = ZK_EAGAIN;

	for (unsigned i = 0; i < WAIT_MS / 5 && err == ZK_EAGAIN; i++) {
		err = disk.feed_next(disk.ctx, link, zxid, txn);
		if (err == ZK_EAGAIN)
			doze();
	}
	return err;
}

/* What comes is @p first, then from+1 to @p to in order, whole. @return how it ended. */
static enum zk_err take(uint32_t link, uint64_t first, uint64_t *last)
{
	uint64_t zxid, want = first;
	struct zk_span txn;
	uint8_t p[64];
	enum zk_err err;

	*last = 0;
	while ((err = next(link, &zxid, &txn)) == ZK_EOK) {
		assert_int_equal(zxid, want);
		assert_true(txn.n >= 36);
		if (txn.n == 36)
			assert_memory_equal(txn.p, history_txn(p, WHO, zxid).p, 36);
		assert_int_equal(zk_get64(txn.p + 12), zxid);
		disk.feed_pop(disk.ctx, link);
		*last = want++;
	}
	return err;
}

static enum zk_err feed(uint64_t from, uint64_t bound, uint64_t first, uint64_t *last)
{
	disk.feed_begin(disk.ctx, 3, from, bound);
	return take(3, first, last);
}

static void epochs(void **state)
{
	char why[EPOCH_WHY_MAX];
	int64_t value;

	(void)state;
	start(330000);
	for (uint64_t e = 1; e < 20; e++) {
		disk.epoch_write(disk.ctx, ZAB_ACCEPTED_EPOCH, e + 1);
		disk.epoch_write(disk.ctx, ZAB_CURRENT_EPOCH, e);
		for (unsigned i = 0; i < WAIT_MS / 5 && (told[0] < e || told[1] < e); i++)
			doze();
		assert_true(told[0] == e && told[1] == e);
		assert_int_equal(epoch_read(&view.disk, EPOCH_ACCEPTED, &value, why), ZK_EOK);
		assert_int_equal(value, e + 1);
		assert_int_equal(epoch_read(&view.disk, EPOCH_CURRENT, &value, why), ZK_EOK);
		assert_int_equal(value, e);
	}
	quorum_files_stop(files);
}

static void logs(void)
{
	history_log(&view.disk, WHO, 11, 100, 5000);
	history_log(&view.disk, WHO, 101, 200, 5000);
	history_log(&view.disk, WHO, 201, LAST, 5000);
}

static void feeds(void **state)
{
	uint64_t last;

	(void)state;
	logs();
	start(0);
	/* from where it has to begin to where it has to end */
	for (uint64_t from = 11; from <= LAST; from += 29) {
		for (uint64_t bound = from; bound <= LAST; bound += 31) {
			assert_int_equal(feed(from, bound, from, &last), ZK_ECLOSED);
			assert_int_equal(last, bound);
		}
	}
	assert_int_equal(feed(LAST, LAST, LAST, &last), ZK_ECLOSED);
	assert_int_equal(last, LAST);
	/* `from` is not in the log: the one before it */
	assert_int_equal(feed(UINT64_C(1) << 32, UINT64_C(1) << 32, LAST, &last), ZK_ECLOSED);
	assert_int_equal(last, LAST);
	/* purged; and the thread says so again */
	assert_int_equal(feed(10, 50, 11, &last), ZK_ENOENT);
	assert_int_equal(last, 0);
	assert_int_equal(disk.feed_next(disk.ctx, 3, &last, &(struct zk_span){0}), ZK_ENOENT);
	/* never written: 2 s later */
	assert_int_equal(feed(290, LAST + 1, 290, &last), ZK_ENOENT);
	assert_int_equal(last, LAST);
	quorum_files_stop(files);
}

/* A file that was begun and has nothing in it, then damage and a hole. */
static void odd_files(void **state)
{
	uint64_t last;
	int f;

	(void)state;
	logs();
	history_log(&view.disk, WHO, 1000, 999, 100);
	start(0);
	assert_int_equal(feed(2000, 2000, LAST, &last), ZK_ENOENT);
	assert_int_equal(last, LAST);
	quorum_files_stop(files);
	assert_int_equal(disk_unlink(&view.disk, DISK_LOG, "log.3e8"), ZK_EOK);
	assert_int_equal(disk_open(&view.disk, DISK_LOG, "log.65", DISK_UPDATE, &f), ZK_EOK);
	assert_int_equal(disk_write(&view.disk, f, 16 + 49 * 10 + 30, "x", 1), ZK_EOK);
	disk_close(&view.disk, f);
	start(0);
	assert_int_equal(feed(90, 250, 90, &last), ZK_EINVAL);
	assert_int_equal(last, 110);
	assert_int_equal(disk_unlink(&view.disk, DISK_LOG, "log.65"), ZK_EOK);
	assert_int_equal(feed(90, 250, 90, &last), ZK_EINVAL);
	assert_int_equal(last, 100);
	assert_int_equal(files->feed_errors, 3 - 1);
	quorum_files_stop(files);
}

static void size_factor(void **state)
{
	uint64_t last;

	(void)state;
	logs();
	history_snapshot(&view.disk, WHO, 250, 100);
	start(330000);
	/* three files of 4,900 bytes, padding aside, and a snapshot of some 9,000 */
	assert_int_equal(feed(20, 290, 20, &last), ZK_ETOOBIG);
	assert_int_equal(files->feeds_too_large, 1);
	quorum_files_stop(files);
	start(600000);
	assert_int_equal(feed(20, 290, 20, &last), ZK_ETOOBIG);
	assert_int_equal(feed(240, 290, 240, &last), ZK_ECLOSED);
	quorum_files_stop(files);
	start(3000000);
	assert_int_equal(feed(20, 290, 20, &last), ZK_ECLOSED);
	quorum_files_stop(files);
	start(-1);
	assert_int_equal(feed(240, 290, 240, &last), ZK_ENOTSUP);
	quorum_files_stop(files);
}

/* One log of @p n transactions from @p from of @p bytes each. */
static void big_log(uint64_t from, unsigned n, size_t bytes)
{
	size_t record = txnlog_record_bytes(bytes, false), cap = 16 + n * record;
	uint8_t *buf = malloc(cap), *txn = calloc(1, bytes);
	struct jute_out o = jute_out_of(buf, cap);
	char name[32];
	int f;

	assert_true(buf && txn);
	txnlog_put_header(&o);
	for (uint64_t z = from; z < from + n; z++) {
		(void)history_txn(txn, WHO, z);
		zk_put32(txn + 28, ZK_OP_SET_DATA);
		zk_put32(txn + 32, 1);
		txn[36] = '/';
		zk_put32(txn + 37, (uint32_t)(bytes - 45));
		txnlog_put_record(&o, zk_span_of(txn, bytes), NULL);
	}
	assert_false(o.full);
	snprintf(name, sizeof(name), "log.%llx", (unsigned long long)from);
	assert_int_equal(disk_open(&view.disk, DISK_LOG, name, DISK_CREATE, &f), ZK_EOK);
	assert_int_equal(disk_write(&view.disk, f, 0, buf, cap), ZK_EOK);
	disk_close(&view.disk, f);
	free(txn);
	free(buf);
}

/* Transactions that are larger than a piece; several links; who takes nothing holds nobody up, and
 * costs no more than was said. */
static void large_and_many(void **state)
{
	uint64_t last, zxid;
	struct zk_span txn;

	(void)state;
	big_log(1, 100, BIG);
	start(0);
	for (uint32_t link = 10; link < 14; link++)
		disk.feed_begin(disk.ctx, link, 1, 100);
	assert_int_equal(next(10, &zxid, &txn), ZK_EOK);
	assert_int_equal(feed(50, 100, 50, &last), ZK_ECLOSED);
	assert_int_equal(last, 100);
	for (unsigned i = 0; i < 20; i++)
		doze();
	/* what was handed over to links that take nothing */
	last = files->feed_bytes - 51 * (uint64_t)BIG;
	assert_true(last > 4 * BIG && last <= QUORUM_FILES_BYTES + 5 * BIG);
	/* cancelled, and begun again elsewhere at once */
	disk.feed_cancel(disk.ctx, 10);
	assert_int_equal(disk.feed_next(disk.ctx, 10, &zxid, &txn), ZK_EAGAIN);
	disk.feed_begin(disk.ctx, 10, 90, 99);
	disk.feed_begin(disk.ctx, 10, 95, 98);
	assert_int_equal(take(10, 95, &last), ZK_ECLOSED);
	assert_int_equal(last, 98);
	for (uint32_t link = 11; link < 14; link++) {
		assert_int_equal(take(link, 1, &last), ZK_ECLOSED);
		assert_int_equal(last, 100);
	}
	disk.feed_begin(disk.ctx, 12, 1, 100); /* under way at the stop */
	quorum_files_stop(files);
}

/* The file is being written while it is read, another is begun, the old one is cut at its end. */
static void grows(void **state)
{
	uint8_t txn[64], rec[128];
	uint64_t zxid = GROWS + 1, last = 0, want = 1, z;
	uint64_t at = 0;
	struct zk_span s;
	int f = -1;

	(void)state;
	history_log(&view.disk, WHO, 1, GROWS, 0);
	start(0);
	disk.feed_begin(disk.ctx, 5, 1, GROWN);
	while (last < GROWN) {
		struct jute_out o = jute_out_of(rec, sizeof(rec));
		char name[32];

		for (unsigned i = 0; i < 3; i++) {
			if (disk.feed_next(disk.ctx, 5, &z, &s) != ZK_EOK) {
				doze();
				continue;
			}
			assert_int_equal(z, want++);
			disk.feed_pop(disk.ctx, 5);
			last = z;
		}
		if (zxid > GROWN)
			continue;
		if (f < 0 || zxid % 100 == 0) {
			if (f >= 0) {
				assert_int_equal(disk_truncate(&view.disk, f, at), ZK_EOK);
				disk_close(&view.disk, f);
			}
			snprintf(name, sizeof(name), "log.%llx", (unsigned long long)zxid);
			history_log(&view.disk, WHO, zxid, zxid - 1, 1 << 16);
			assert_int_equal(disk_open(&view.disk, DISK_LOG, name, DISK_UPDATE, &f),
					 ZK_EOK);
			at = TXNLOG_HEADER_BYTES;
		}
		txnlog_put_record(&o, history_txn(txn, WHO, zxid), NULL);
		/* in two parts, as a reader may see it */
		assert_int_equal(disk_write(&view.disk, f, at, rec, 20), ZK_EOK);
		if (zxid % 7 == 0)
			doze();
		assert_int_equal(
			disk_write(&view.disk, f, at + 20, rec + 20, jute_out_len(&o) - 20),
			ZK_EOK);
		at += jute_out_len(&o);
		zxid++;
	}
	assert_int_equal(next(5, &z, &s), ZK_ECLOSED);
	disk_close(&view.disk, f);
	quorum_files_stop(files);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(epochs, setup, teardown),
		cmocka_unit_test_setup_teardown(feeds, setup, teardown),
		cmocka_unit_test_setup_teardown(odd_files, setup, teardown),
		cmocka_unit_test_setup_teardown(size_factor, setup, teardown),
		cmocka_unit_test_setup_teardown(large_and_many, setup, teardown),
		cmocka_unit_test_setup_teardown(grows, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
