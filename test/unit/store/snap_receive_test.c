/* SPDX-License-Identifier: Apache-2.0 */
/* SNAP: a leader's snapshot comes in pieces, becomes a file and takes the place of everything, on a
 * disk that fails, or loses power, at every call. */
#include "core/store/snap_check.h"
#include "core/store/snap_receive.h"
#include "core/store/txnlog.h"
#include "test/unit/store/history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { OLD = 1, NEW = 2, OLD_LAST = 40, ZXID = 25, NODES = 30, SEEDS = 6, BEHIND = 9 };

static uint8_t stream[HISTORY_STREAM_MAX + BEHIND];
static size_t stream_n; /* without what is behind it */

static int make(void **state)
{
	(void)state;
	stream_n = history_stream(stream, NEW, NODES);
	memset(stream + stream_n, 0x5a, BEHIND);
	return 0;
}

/* Another history than the leader's, with transactions and snapshots beyond its zxid. */
static struct sim_disk *full(uint64_t seed)
{
	struct sim_disk *s = sim_disk_new(seed);
	struct disk *d = sim_disk_view(s, 0);

	history_snapshot(d, OLD, 0, 1);
	history_snapshot(d, OLD, 12, 2);
	history_snapshot(d, OLD, 33, 3);
	history_log(d, OLD, 1, 15, 700);
	history_log(d, OLD, 16, 30, 700);
	history_log(d, OLD, 31, OLD_LAST, 700);
	return s;
}

/* All of @p n bytes in pieces of @p piece; the end behind a copy that has no byte more. */
static enum zk_err put(struct snap_receive *r, const uint8_t *p, size_t n, size_t piece,
		       size_t *taken)
{
	enum zk_err err = ZK_EAGAIN;

	for (*taken = 0; err == ZK_EAGAIN && *taken < n;) {
		size_t some = n - *taken < piece ? n - *taken : piece, used;
		uint8_t *copy = malloc(some);

		assert_non_null(copy);
		memcpy(copy, p + *taken, some);
		err = snap_receive_put(r, zk_span_of(copy, some), &used);
		free(copy);
		assert_true(used <= some && (err != ZK_EAGAIN || used == some));
		*taken += used;
	}
	return err;
}

static enum zk_err receive(struct disk *d, size_t piece, bool *found)
{
	struct zk_mem mem;
	const struct snap_receive_conf c = {
		.disk = d, .mem = &mem, .zxid = ZXID, .length_max = HISTORY_LENGTH_MAX};
	struct snap_receive r;
	size_t taken;
	enum zk_err err;

	zk_mem_init_heap(&mem, 0);
	err = snap_receive_begin(&r, &c);
	if (err == ZK_EOK)
		err = put(&r, stream, stream_n + BEHIND, piece, &taken);
	if (err == ZK_EOK) {
		assert_int_equal(taken, stream_n);
		assert_int_equal(r.nodes, NODES + 5);
		err = snap_receive_commit(&r);
	}
	if (found)
		*found = r.replaced.found;
	assert_int_equal(err == ZK_EOK, r.why[0] == 0);
	snap_receive_end(&r);
	assert_int_equal(mem.used_bytes, 0);
	return err;
}

static bool count(void *arg, const char *name, uint64_t bytes)
{
	(void)name;
	(void)bytes;
	++*(unsigned *)arg;
	return true;
}

static unsigned files(struct disk *d, enum disk_dir dir)
{
	unsigned n = 0;

	assert_int_equal(disk_list(d, dir, count, &n), ZK_EOK);
	return n;
}

static bool named(void *arg, const char *name, uint64_t bytes)
{
	struct store_name parsed;
	uint64_t zxid;

	(void)bytes;
	if (replace_name_parse(name, &zxid))
		((unsigned *)arg)[0]++;
	else if (store_name_parse(zk_span_str(name), &parsed) && !parsed.suffix)
		((unsigned *)arg)[1]++;
	return true;
}

/* Apache must not take for a new server's what a crash has left. @return is it half done? */
static bool not_empty(struct disk *d)
{
	unsigned n[2] = {0};

	assert_int_equal(disk_list(d, DISK_DATA, named, n), ZK_EOK);
	assert_int_equal(disk_list(d, DISK_LOG, named, n), ZK_EOK);
	assert_int_not_equal(n[1], 0);
	return n[0] > 0;
}

static bool header_only(void *arg, const char *name, uint64_t bytes)
{
	(void)name;
	*(bool *)arg &= bytes <= TXNLOG_HEADER_BYTES;
	return true;
}

/* There is no log, or the one that keeps the directory from looking empty. */
static bool no_record(struct disk *d)
{
	bool none = true;

	assert_int_equal(disk_list(d, DISK_LOG, header_only, &none), ZK_EOK);
	return none && files(d, DISK_LOG) <= 1;
}

static void is_new(struct disk *d)
{
	struct history_found f;

	history_recover(d, &f);
	if (f.err != ZK_EOK)
		fail_msg("%s", f.why);
	assert_true(f.zxid == ZXID && f.snapshot == ZXID && f.txns == 0);
	assert_int_equal(f.who, NEW);
	assert_int_equal(files(d, DISK_DATA), 1);
	assert_true(no_record(d));
	/* and the log goes on from there */
	history_log(d, NEW, ZXID + 1, ZXID + 5, 0);
	history_recover(d, &f);
	assert_true(f.err == ZK_EOK && f.zxid == ZXID + 5 && f.who == NEW && f.txns == 5);
}

static void is_old(struct disk *d)
{
	struct history_found f;

	history_recover(d, &f);
	if (f.err != ZK_EOK)
		fail_msg("%s", f.why);
	assert_true(f.zxid == OLD_LAST && f.snapshot == 33 && f.who == OLD);
}

/* Pieces of every size; the file is what Apache would have written. */
static void pieces(void **state)
{
	size_t piece = 1;

	(void)state;
	while (piece < stream_n + 100) {
		struct sim_disk *s = full(piece);
		struct disk *d = sim_disk_view(s, 0);
		uint8_t *a = malloc(HISTORY_STREAM_MAX), *b = malloc(HISTORY_STREAM_MAX);
		size_t an, bn;
		int file;

		assert_int_equal(receive(d, piece, NULL), ZK_EOK);
		sim_disk_crash(s);
		assert_int_equal(disk_open(d, DISK_DATA, "snapshot.19", DISK_READ, &file), ZK_EOK);
		assert_int_equal(disk_read(d, file, 0, a, HISTORY_STREAM_MAX, &an), ZK_EOK);
		disk_close(d, file);
		is_new(d);
		history_snapshot(d, NEW, ZXID, NODES); /* the same out of the writer */
		assert_int_equal(disk_open(d, DISK_DATA, "snapshot.19", DISK_READ, &file), ZK_EOK);
		assert_int_equal(disk_read(d, file, 0, b, HISTORY_STREAM_MAX, &bn), ZK_EOK);
		disk_close(d, file);
		assert_int_equal(an, bn);
		assert_memory_equal(a, b, an);
		free(a);
		free(b);
		sim_disk_free(s);
		piece += piece < 40 ? 1 : piece / 4;
	}
}

/* A call fails or the power does: the old state, whole, or the new one, and nothing of both. */
static void every_call(void **state)
{
	struct sim_disk *s = full(1);
	uint64_t before = s->calls[SIM_CALLS], calls;
	unsigned old = 0, fresh = 0, half = 0;

	(void)state;
	assert_int_equal(receive(sim_disk_view(s, 0), 1000, NULL), ZK_EOK);
	calls = s->calls[SIM_CALLS] - before;
	sim_disk_free(s);
	assert_true(calls > 15);
	for (uint64_t at = 1; at <= calls; at++) {
		for (uint64_t seed = 0; seed < 2 * SEEDS; seed++) {
			struct history_found f;
			struct disk *d;
			bool found;

			s = full(at * 100 + seed);
			d = sim_disk_view(s, 0);
			s->fault_call = SIM_CALLS;
			s->fault_at = s->calls[SIM_CALLS] + at;
			s->fault_err = seed % 2 ? ZK_EIO : ZK_EOK;
			assert_int_not_equal(receive(d, 1000, &found), ZK_EOK);
			sim_disk_crash(s);
			half += not_empty(d);
			history_recover(d, &f);
			if (f.err != ZK_EOK)
				fail_msg("call %llu: %s", (unsigned long long)at, f.why);
			old += f.who == OLD;
			fresh += f.who == NEW;
			if (f.who == OLD) {
				assert_false(found);
				is_old(d);
				/* what was begun is in nobody's way */
				assert_int_equal(receive(d, 1000, NULL), ZK_EOK);
			}
			is_new(d);
			sim_disk_free(s);
		}
	}
	print_message("%u old, %u new, %u half done\n", old, fresh, half);
	assert_true(old > 50 && fresh > 50 && half > 50);
}

/* The power fails again while recovery finishes what was begun. */
static void twice(void **state)
{
	unsigned again = 0;

	(void)state;
	for (uint64_t at = 1;; at++) {
		struct sim_disk *s = full(at);
		struct disk *d = sim_disk_view(s, 0);
		struct history_found f;
		bool found;

		/* the rename that makes it count, and the sync behind it, are the last to succeed
		 */
		s->fault_call = SIM_UNLINK;
		s->fault_at = s->calls[SIM_UNLINK] + 2;
		s->fault_err = ZK_EOK;
		assert_int_not_equal(receive(d, 1000, &found), ZK_EOK);
		assert_true(found);
		sim_disk_crash(s);
		s->fault_call = SIM_CALLS;
		s->fault_at = s->calls[SIM_CALLS] + at;
		history_recover(d, &f);
		if (!s->crashed) {
			sim_disk_free(s);
			break;
		}
		again++;
		sim_disk_crash(s);
		is_new(d);
		sim_disk_free(s);
	}
	assert_true(again > 10);
}

/* ---- what no leader sends -------------------------------------------------------------------- */

static void refused(const uint8_t *p, size_t n, uint32_t length_max, const char *text)
{
	struct sim_disk *s = full(1);
	struct disk *d = sim_disk_view(s, 0);
	struct zk_mem mem;
	const struct snap_receive_conf c = {
		.disk = d, .mem = &mem, .zxid = ZXID, .length_max = length_max};
	struct snap_receive r;
	size_t taken;

	zk_mem_init_heap(&mem, 0);
	assert_int_equal(snap_receive_begin(&r, &c), ZK_EOK);
	assert_int_equal(put(&r, p, n, 100, &taken), ZK_EINVAL);
	if (!strstr(r.why, text))
		fail_msg("\"%s\", wanted \"%s\"", r.why, text);
	snap_receive_end(&r);
	assert_int_equal(mem.used_bytes, 0);
	assert_int_equal(files(d, DISK_DATA), 3);
	is_old(d);
	sim_disk_free(s);
}

static size_t find(const char *text)
{
	return (size_t)((const uint8_t *)memmem(stream, stream_n, text, strlen(text)) - stream);
}

static void hostile(void **state)
{
	uint8_t *p = malloc(sizeof(stream));
	size_t at;

	(void)state;
	memcpy(p, stream, sizeof(stream));
	p[stream_n - 1] ^= 1;
	refused(p, stream_n, HISTORY_LENGTH_MAX, "no signature at the end");
	p[stream_n - 1] ^= 1;
	zk_put32(p, UINT32_MAX);
	refused(p, stream_n, HISTORY_LENGTH_MAX, "offset 0: negative count");
	zk_put32(p, 1);
	at = find("/zookeeper");
	memcpy(p + at, "/zookeeXer", 10);
	refused(p, stream_n, HISTORY_LENGTH_MAX, "a node that is not behind its parent");
	memcpy(p + at, "xzookeeper", 10);
	refused(p, stream_n, HISTORY_LENGTH_MAX, "not a path");
	memcpy(p + at, "/zookeepe/", 10);
	refused(p, stream_n, HISTORY_LENGTH_MAX, "a node that is not behind its parent");
	memcpy(p + at, "/zookeeper", 10);
	at = find("/n/00007");
	memcpy(p + at, "/m/00007", 8);
	refused(p, stream_n, HISTORY_LENGTH_MAX, "a node that is not behind its parent");
	memcpy(p + at, "/n/00007", 8);
	zk_put32(p + at - 4, 1 << 30);
	refused(p, stream_n, HISTORY_LENGTH_MAX, "unreasonable length");
	refused(stream, stream_n, 9, "unreasonable length");
	/* the end in place of the root: path, data, ACL, stat */
	at = find("/zookeeper");
	memcpy(p, stream, sizeof(stream));
	memcpy(p + at - 4 - (4 + 4 + 8 + SNAP_STAT_BYTES), "\0\0\0\1/", 5);
	refused(p, stream_n, HISTORY_LENGTH_MAX, "there is no root");
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces),
		cmocka_unit_test(every_call),
		cmocka_unit_test(twice),
		cmocka_unit_test(hostile),
	};

	return cmocka_run_group_tests(tests, make, NULL);
}
