/* SPDX-License-Identifier: Apache-2.0 */
/* The log writer's thread between a stage and a real directory. RLIMIT_FSIZE plays the full disk.
 */
#include "core/store/txnlog.h"
#include "ctl/server/log.h"
#include "ctl/server/logwriter.h"

#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
/* cmocka wants the four above it */
#include <cmocka.h>

enum { SLOTS = 256, LARGE = 17 << 20, MIB = 1 << 20, WAIT_MS = 20000 };

static char top[64], said[96];
static struct disk_dirs dirs;
static struct zk_mem mem;
static struct logstage stage;
static struct waker leader;
static struct logwriter *writer;

static int setup(void **state)
{
	char why[256];

	(void)state;
	snprintf(top, sizeof(top), "/tmp/zokor-log-test.XXXXXX");
	assert_non_null(mkdtemp(top));
	snprintf(said, sizeof(said), "%s/said", top);
	assert_int_equal(log_open(said, LOG_INFO), ZK_EOK);
	assert_int_equal(disk_dirs_open(&dirs, top, top, true, why, sizeof(why)), ZK_EOK);
	zk_mem_init_heap(&mem, 0);
	assert_int_equal(waker_init(&leader), ZK_EOK);
	writer = calloc(1, sizeof(*writer));
	assert_non_null(writer);
	return 0;
}

static int teardown(void **state)
{
	char cmd[96];

	(void)state;
	logstage_fini(&stage);
	waker_fini(&leader);
	disk_dirs_close(&dirs);
	free(writer);
	assert_int_equal(mem.used_bytes, 0);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", top);
	return system(cmd); /* NOLINT: a name of our own */
}

static void start(uint64_t last_zxid, struct logwriter_conf c)
{
	c.log = &stage;
	c.leader = &leader;
	c.dirs = &dirs;
	c.last_zxid = last_zxid;
	c.prealloc_bytes = MIB;
	c.slow_ms = 60000;
	config_cpus_get(&c.cpus);
	assert_int_equal(logstage_init(&stage, &mem, SLOTS, last_zxid, false), ZK_EOK);
	assert_int_equal(logwriter_start(writer, &c), ZK_EOK);
}

static uint8_t *transaction(uint64_t zxid, size_t n)
{
	uint8_t *p = calloc(1, n);

	assert_non_null(p);
	zk_put64(p + 12, zxid);
	zk_put32(p + 28, (uint32_t)ZK_OP_SET_DATA);
	zk_put32(p + 32, 1);
	p[36] = '/';
	zk_put32(p + 37, (uint32_t)(n - 45));
	return p;
}

/* As the leader core sleeps. @return what is durable. */
static uint64_t wait_durable(uint64_t zxid, unsigned ms)
{
	struct pollfd fd = {.fd = leader.fd, .events = POLLIN};

	for (unsigned i = 0; i < ms / 10 && logstage_durable(&stage) < zxid; i++) {
		waker_announce(&leader);
		if (logstage_durable(&stage) < zxid)
			(void)poll(&fd, 1, 10);
		waker_clear(&leader);
	}
	return logstage_durable(&stage);
}

static void check_file(const char *name, uint64_t first, uint64_t last)
{
	struct disk_posix p;
	struct txnlog_reader r;
	struct txnlog_item item;
	uint8_t *bytes;
	uint64_t size;
	size_t got;
	int f;

	disk_posix_init(&p, &dirs, false);
	assert_int_equal(disk_open(&p.disk, DISK_LOG, name, DISK_READ, &f), ZK_EOK);
	assert_int_equal(disk_size(&p.disk, f, &size), ZK_EOK);
	bytes = malloc(size);
	assert_non_null(bytes);
	assert_int_equal(disk_read(&p.disk, f, 0, bytes, size, &got), ZK_EOK);
	txnlog_reader_init(&r, 64 << 20);
	for (uint64_t zxid = first; zxid <= last; zxid++) {
		assert_int_equal(
			txnlog_next(&r, zk_span_of(bytes + r.at, size - r.at), true, &item),
			TXNLOG_RECORD);
		assert_int_equal(item.txn.header.zxid, zxid);
	}
	assert_int_equal(txnlog_next(&r, zk_span_of(bytes + r.at, size - r.at), true, &item),
			 TXNLOG_END);
	free(bytes);
	disk_close(&p.disk, f);
	disk_posix_fini(&p);
}

static bool was_said(const char *text)
{
	char buf[8192];
	FILE *f = fopen(said, "r");
	size_t n;

	assert_non_null(f);
	n = fread(buf, 1, sizeof(buf) - 1, f);
	buf[n] = 0;
	fclose(f);
	return strstr(buf, text) != NULL;
}

/* One at a time, many at once, a huge one; a roll in between; a stop with some under way. */
static void test_all_is_durable(void **state)
{
	uint8_t *txn[301], *large;
	uint64_t zxid = 0x100;

	(void)state;
	start(zxid, (struct logwriter_conf){.spin_us = 50});
	for (unsigned i = 0; i < 301; i++)
		txn[i] = transaction(zxid + 1 + i, 100);
	large = transaction(zxid + 302, LARGE);
	for (unsigned i = 0; i < 20; i++) {
		assert_true(logstage_append(&stage, ++zxid, zk_span_of(txn[i], 100)));
		logstage_end(&stage);
		assert_int_equal(wait_durable(zxid, WAIT_MS), zxid);
	}
	logstage_roll(&stage);
	for (unsigned i = 20; i < 301; i++) {
		while (!logstage_append(&stage, zxid + 1, zk_span_of(txn[i], 100))) {
			logstage_end(&stage);
			sched_yield();
		}
		zxid++;
	}
	logstage_end(&stage);
	assert_int_equal(wait_durable(zxid, WAIT_MS), zxid);
	assert_true(logstage_append(&stage, ++zxid, zk_span_of(large, LARGE)));
	logstage_end(&stage);
	assert_int_equal(logwriter_stop(writer), ZK_EOK);
	assert_int_equal(logstage_durable(&stage), zxid);
	check_file("log.101", 0x101, 0x114);
	check_file("log.115", 0x115, zxid);
	assert_int_equal(writer->segments, 2);
	assert_int_equal(writer->txns, 302);
	for (unsigned i = 0; i < 301; i++)
		free(txn[i]);
	free(large);
}

static void limit_files(rlim_t bytes)
{
	struct rlimit l;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &l), 0);
	l.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

/* It says so, keeps what is durable, and goes on in a new file when there is room. */
static void test_full_disk_and_room_again(void **state)
{
	uint8_t *txn[40];
	uint64_t durable;

	(void)state;
	(void)signal(SIGXFSZ, SIG_IGN);
	start(0, (struct logwriter_conf){0});
	for (unsigned i = 0; i < 40; i++)
		txn[i] = transaction(i + 1, 100000);
	limit_files(2 * MIB);
	for (unsigned i = 0; i < 40; i++)
		assert_true(logstage_append(&stage, i + 1, zk_span_of(txn[i], 100000)));
	logstage_end(&stage);
	for (unsigned i = 0; i < WAIT_MS / 10 && logstage_health(&stage) == LOGSTAGE_GOOD; i++)
		(void)poll(NULL, 0, 10);
	assert_int_equal(logstage_health(&stage), LOGSTAGE_FULL);
	durable = logstage_durable(&stage);
	assert_true(durable < 21);
	limit_files(RLIM_INFINITY);
	assert_int_equal(wait_durable(40, WAIT_MS), 40);
	for (unsigned i = 0; i < WAIT_MS / 10 && logstage_health(&stage) != LOGSTAGE_GOOD; i++)
		(void)poll(NULL, 0, 10);
	assert_int_equal(logwriter_stop(writer), ZK_EOK);
	assert_true(was_said("ERROR log=full") && was_said("File too large"));
	assert_true(was_said("INFO log=resumed"));
	if (durable > 0)
		check_file("log.1", 1, durable);
	for (unsigned i = 0; i < 40; i++)
		free(txn[i]);
}

/* Whatever else goes wrong ends the log: nothing more is durable, the stop says so. */
static void test_failure_is_for_good(void **state)
{
	uint8_t *txn = transaction(1, 100), *next = transaction(2, 100);
	char cmd[128];

	(void)state;
	start(0, (struct logwriter_conf){0});
	snprintf(cmd, sizeof(cmd), "mkdir %s/version-2/" WAL_NEW_NAME, top);
	assert_int_equal(system(cmd), 0); /* NOLINT: a name of our own; EISDIR at open */
	assert_true(logstage_append(&stage, 1, zk_span_of(txn, 100)));
	logstage_end(&stage);
	for (unsigned i = 0; i < WAIT_MS / 10 && logstage_health(&stage) == LOGSTAGE_GOOD; i++)
		(void)poll(NULL, 0, 10);
	assert_int_equal(logstage_health(&stage), LOGSTAGE_FAILED);
	assert_true(logstage_append(&stage, 2, zk_span_of(next, 100)));
	logstage_end(&stage);
	(void)poll(NULL, 0, 50);
	assert_int_equal(logstage_durable(&stage), 0);
	assert_int_equal(logwriter_stop(writer), ZK_EIO);
	assert_true(was_said("ERROR log=failed call=\"open\"") && was_said("Is a directory"));
	free(txn);
	free(next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_is_durable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_disk_and_room_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failure_is_for_good, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
