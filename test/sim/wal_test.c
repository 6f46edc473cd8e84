/* SPDX-License-Identifier: Apache-2.0 */
/* The write-ahead log over a disk that tears, forgets, fails and fills up. After each crash the log
 * is read back: every acknowledged transaction must be there, in order, once, as it was last
 * issued, and no other than whole ones behind them. Half of the seeds read with the recovery of a
 * server (core/store/recover.h), the others with a plain reader.
 *
 * SEEDS=n: 1 runs one, 100 and more at least 500, others 64; FROM=s starts at s (0). */
#include "core/store/recover.h"
#include "core/store/txnlog.h"
#include "core/store/wal.h"
#include "test/lib/sim_disk.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

enum {
	SEEDS_FULL = 500,
	SEEDS_FEW = 64,
	ZXIDS = 1500,
	AHEAD_MAX = 200, /* transactions that are not durable */
	BODY_MAX = 900 << 10,
	FILES_MAX = 200,
	LENGTH_MAX = 2 << 20,
	LIVES = 4, /* crashes per seed */
	FLIPS = 16,
};

enum mode {
	MODE_CRASH,
	MODE_CRASH_AT_CALL,
	MODE_EIO,
	MODE_ENOSPC,
	MODE_FULL,
	MODE_SLOW,
	MODE_EIO_SYNC,
	MODE_FLIP,
	MODES
};

struct run {
	uint64_t seed, random;
	enum mode mode;
	struct sim_disk *sim;
	struct zk_mem mem;
	struct wal wal;
	uint64_t issued, put, acked; /* zxids: given out, taken by the log, durable */
	uint64_t now_ns;
	uint32_t life;
	uint32_t issued_in[ZXIDS + 1]; /* life that issued the zxid last */
	uint8_t *txn;                  /* BODY_MAX + some */
	uint8_t *file;                 /* when reading back */
	uint64_t file_cap;
	char why[256];
	/* what all lives together met */
	uint64_t retries, failed, found_unacked, torn, refused;
};

static uint64_t random_below(struct run *r, uint64_t n)
{
	r->random = r->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (r->random >> 33) % n;
}

__attribute__((format(printf, 2, 3))) static bool wrong(struct run *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->why, sizeof(r->why), fmt, ap);
	va_end(ap);
	return false;
}

static uint64_t now(void *ctx)
{
	struct run *r = ctx;

	return r->now_ns += 1000;
}

/* The transaction @p zxid as life @p life issues it: a setData of some size. */
static struct zk_span transaction(struct run *r, uint64_t zxid, uint32_t life)
{
	uint64_t h = zxid * 31 + life * UINT64_C(1000003) + r->seed;
	uint8_t *p = r->txn;
	size_t n;

	h ^= h >> 13;
	h *= UINT64_C(0xff51afd7ed558ccd);
	h ^= h >> 32;
	n = h % 300;
	if ((h >> 16) % 32 == 0)
		n = (h >> 24) % 20000;
	if ((h >> 16) % 1024 == 1)
		n = (h >> 24) % BODY_MAX;
	zk_put64(p, life);
	zk_put32(p + 8, (uint32_t)zxid);
	zk_put64(p + 12, zxid);
	zk_put64(p + 20, h);
	zk_put32(p + 28, ZK_OP_SET_DATA);
	zk_put32(p + 32, 2);
	memcpy(p + 36, "/x", 2);
	zk_put32(p + 38, (uint32_t)n);
	for (size_t i = 0; i < n; i++)
		p[42 + i] = (uint8_t)(h >> (i % 57));
	zk_put32(p + 42 + n, 1);
	return zk_span_of(p, 46 + n);
}

/* ---- reading back ---- */

struct files {
	uint64_t zxid[FILES_MAX];
	unsigned n;
};

static bool each(void *arg, const char *name, uint64_t size)
{
	struct files *f = arg;
	struct store_name parsed;

	(void)size;
	if (store_name_parse(zk_span_str(name), &parsed) && parsed.kind == STORE_LOG) {
		unsigned i = f->n++;

		assert_true(f->n <= FILES_MAX);
		for (; i > 0 && f->zxid[i - 1] > parsed.zxid; i--)
			f->zxid[i] = f->zxid[i - 1];
		f->zxid[i] = parsed.zxid;
	}
	return true;
}

static bool right(struct run *r, uint64_t want, const struct txnlog_item *item)
{
	uint64_t zxid = item->txn.header.zxid;

	if (zxid != want)
		return wrong(r, "found zxid %" PRIu64 " where %" PRIu64 " belongs", zxid, want);
	if (zxid > r->issued)
		return wrong(r, "found zxid %" PRIu64 ", which nobody has issued", zxid);
	if (!zk_span_eq(item->payload, transaction(r, zxid, r->issued_in[zxid])))
		return wrong(r, "zxid %" PRIu64 " is another one's bytes", zxid);
	return true;
}

static bool zeros(const uint8_t *p, size_t n)
{
	while (n > 0 && p[n - 1] == 0)
		n--;
	return n == 0;
}

/* One file, @p last of all; *zxid moves on. The torn end of the last one is cut off. */
static bool read_file(struct run *r, uint64_t start, bool last, uint64_t *zxid)
{
	struct disk *d = sim_disk_view(r->sim, 1);
	const struct store_name parsed = {.kind = STORE_LOG, .zxid = start};
	struct txnlog_reader reader;
	struct txnlog_item item;
	enum txnlog_step step;
	char name[STORE_NAME_MAX];
	uint64_t size, good = TXNLOG_HEADER_BYTES;
	size_t got;
	int file;
	bool torn;

	store_name_format(&parsed, name);
	if (disk_open(d, DISK_LOG, name, DISK_UPDATE, &file) != ZK_EOK ||
	    (last && disk_settle(d, file) != ZK_EOK) || disk_size(d, file, &size) != ZK_EOK)
		return wrong(r, "%s cannot be opened", name);
	if (size > r->file_cap) {
		r->file = realloc(r->file, size);
		r->file_cap = size;
		assert_non_null(r->file);
	}
	if (disk_read(d, file, 0, r->file, size, &got) != ZK_EOK || got != size)
		return wrong(r, "%s cannot be read", name);
	txnlog_reader_init(&reader, LENGTH_MAX);
	for (;;) {
		struct zk_span window = zk_span_of(r->file + reader.at, size - reader.at);

		step = txnlog_next(&reader, window, true, &item);
		if (step != TXNLOG_RECORD)
			break;
		if (!right(r, *zxid + 1, &item))
			return false;
		++*zxid;
		good = item.next;
	}
	torn = step == TXNLOG_BAD || (step == TXNLOG_END && item.end >= TXNLOG_END_TORN);
	/* Padding may be too short for a record. */
	if (torn && (size < good || !zeros(r->file + good, size - good)))
		r->torn++;
	else
		torn = false;
	if (torn && !last)
		return wrong(r, "%s is torn at %" PRIu64 " and not the last", name, item.at);
	if (torn && good == TXNLOG_HEADER_BYTES && reader.at < TXNLOG_HEADER_BYTES)
		return wrong(r, "%s has no header", name);
	if (torn && (disk_truncate(d, file, good) != ZK_EOK || disk_sync(d, file) != ZK_EOK))
		return wrong(r, "%s cannot be cut", name);
	disk_close(d, file);
	return true;
}

static bool read_back(struct run *r, uint64_t *zxid)
{
	struct files f = {.n = 0};

	*zxid = 0;
	if (disk_list(sim_disk_view(r->sim, 1), DISK_LOG, each, &f) != ZK_EOK ||
	    disk_sync_dir(sim_disk_view(r->sim, 1), DISK_LOG) != ZK_EOK)
		return wrong(r, "the directory cannot be read");
	for (unsigned i = 0; i < f.n; i++)
		if (!read_file(r, f.zxid[i], i + 1 == f.n, zxid))
			return false;
	return true;
}

/* ---- the recovery of a server, on the same disk ---- */

struct replay {
	struct run *r;
	uint64_t zxid;
	bool bad;
};

static void say(void *ctx, enum recover_level level, const char *line)
{
	(void)ctx;
	(void)level;
	(void)line;
}

static void replayed(void *ctx, const struct txn_record *txn, struct zk_span payload)
{
	struct replay *p = ctx;
	const struct txnlog_item item = {.payload = payload, .txn = *txn};

	p->bad = p->bad || !right(p->r, p->zxid + 1, &item);
	p->zxid++;
}

static bool recovered(struct run *r, uint64_t *zxid)
{
	struct zk_mem mem, tree_mem;
	struct tree_conf tc = {.mem = &tree_mem,
			       .key = {1, 2},
			       .index_slots = 1 << 10,
			       .changes_soft_max = 1 << 12};
	struct replay p = {.r = r};
	struct recover_result res;
	struct recover_conf rc = {.disk = sim_disk_view(r->sim, 1),
				  .mem = &mem,
				  .length_max = LENGTH_MAX,
				  .trust_empty = true,
				  .autocreate = true,
				  .ctx = &p,
				  .say = say,
				  .replayed = replayed};
	enum zk_err err;

	zk_mem_init_heap(&mem, 0);
	zk_mem_init_heap(&tree_mem, 0);
	assert_int_equal(tree_new(&tc, &rc.tree), ZK_EOK);
	err = recover_run(&rc, &res);
	*zxid = res.zxid;
	if (err != ZK_EOK)
		(void)wrong(r, "recovery refuses: %s", res.why);
	recover_free(&rc, &res);
	tree_free(rc.tree);
	return err == ZK_EOK && !p.bad;
}

/* ---- a life ---- */

static void set_fault(struct run *r)
{
	static const enum sim_call room[] = {SIM_WRITE, SIM_ALLOCATE, SIM_OPEN_FILE, SIM_CALLS};
	struct sim_disk *s = r->sim;

	s->capacity = 0;
	s->slow_sync = r->mode == MODE_SLOW ? 20 : 0;
	s->short_writes = r->mode == MODE_SLOW || random_below(r, 4) == 0;
	s->fault_call = SIM_CALLS;
	s->fault_more = 0;
	memset(s->calls, 0, sizeof(s->calls));
	s->fault_at = 1 + random_below(r, 300);
	s->fault_err = ZK_EIO;
	switch (r->mode) {
	case MODE_CRASH_AT_CALL:
		s->fault_err = ZK_EOK;
		break;
	case MODE_ENOSPC:
		s->fault_err = ZK_EFULL;
		s->fault_call = room[random_below(r, 4)];
		s->fault_at = 1 + random_below(r, s->fault_call == SIM_OPEN_FILE ? 4 : 100);
		s->fault_more = random_below(r, 10);
		break;
	case MODE_FULL:
		s->capacity = (20 + random_below(r, 60)) << 12;
		for (unsigned i = 0; i < SIM_FILES; i++)
			s->capacity += s->inode[i].links ? s->inode[i].size : 0;
		s->fault_at = 0;
		break;
	case MODE_EIO_SYNC:
		s->fault_call = SIM_SYNC;
		s->fault_at = 1 + random_below(r, 30);
		break;
	case MODE_EIO:
		break;
	default:
		s->fault_at = 0;
	}
}

static struct wal_conf conf_of(struct run *r)
{
	static const uint64_t prealloc[] = {0, 4096, 16384, 65536, 1 << 20};

	return (struct wal_conf){
		.disk = sim_disk_view(r->sim, 0),
		.mem = &r->mem,
		.now_ns = now,
		.clock = r,
		.prealloc_bytes = prealloc[random_below(r, 5)],
		.size_limit = random_below(r, 3) ? 0 : 30000,
	};
}

/* The log has stopped for want of room. */
static void stalled(struct run *r)
{
	if (r->wal.under_way > 0 || random_below(r, 4) != 0)
		return;
	if (r->sim->capacity)
		r->sim->capacity += random_below(r, 3) << 15;
	r->retries++;
	if (wal_retry(&r->wal) == ZK_EOK)
		r->put = wal_durable(&r->wal);
}

static bool live_step(struct run *r, unsigned eager)
{
	bool dry = true;

	for (unsigned i = 0; i < eager && r->issued - r->acked < AHEAD_MAX; i++)
		if (r->issued < ZXIDS && random_below(r, 3) > 0)
			r->issued_in[++r->issued] = r->life;
	while (r->put < r->issued) {
		uint64_t zxid = r->put + 1;

		if (wal_put(&r->wal, zxid, transaction(r, zxid, r->issued_in[zxid])) != ZK_EOK) {
			dry = false;
			break;
		}
		r->put = zxid;
	}
	(void)wal_step(&r->wal, dry);
	if (wal_durable(&r->wal) < r->acked)
		return wrong(r, "durable went back");
	r->acked = wal_durable(&r->wal);
	if (random_below(r, 200) == 0)
		wal_roll(&r->wal);
	if (r->wal.state == WAL_FULL)
		stalled(r);
	return true;
}

static void end_of_life(struct run *r)
{
	if (random_below(r, 8) == 0)
		sim_disk_kill(r->sim);
	else
		sim_disk_crash(r->sim);
	r->sim->capacity = 0;
	r->sim->slow_sync = 0;
	/* The process is gone with the power: nothing ends properly. */
	r->failed += r->wal.state == WAL_FAILED;
	r->wal.under_way = 0;
	r->wal.open = false;
	wal_fini(&r->wal);
}

static bool live(struct run *r)
{
	struct wal_conf conf = conf_of(r);
	unsigned steps = 50 + (unsigned)random_below(r, 300),
		 eager = 1 + (unsigned)random_below(r, 20);
	uint64_t found, last = r->put;

	set_fault(r);
	assert_int_equal(wal_init(&r->wal, &conf, last), ZK_EOK);
	for (unsigned i = 0; i < steps && !r->sim->crashed && r->wal.state != WAL_FAILED; i++)
		if (!live_step(r, eager))
			return false;
	end_of_life(r);
	if (r->mode == MODE_FLIP && r->life == LIVES) {
		for (unsigned i = 0; i < FLIPS; i++)
			(void)sim_disk_flip(r->sim, DISK_LOG);
		/* An error, or the right beginning; never something else. */
		bool read = read_back(r, &found);

		r->refused += !read;
		return read || strstr(r->why, "another one's") == NULL;
	}
	if (!(r->seed / MODES % 2 ? recovered(r, &found) : read_back(r, &found)))
		return false;
	if (found < r->acked)
		return wrong(r, "zxid %" PRIu64 " was acknowledged, the log ends at %" PRIu64,
			     r->acked, found);
	r->found_unacked += found - r->acked;
	r->issued = r->put = r->acked = found;
	return true;
}

static bool run_seed(struct run *r, uint64_t seed, bool lie, bool hide)
{
	bool ok = true;

	*r = (struct run){.seed = seed,
			  .random = seed * 2 + 1,
			  .txn = r->txn,
			  .file = r->file,
			  .file_cap = r->file_cap};
	r->mode = (enum mode)(seed % MODES);
	r->sim = sim_disk_new(seed);
	r->sim->lie = lie;
	r->sim->hide = hide;
	zk_mem_init_heap(&r->mem, 0);
	for (r->life = 1; ok && r->life <= LIVES && r->issued < ZXIDS; r->life++)
		ok = live(r);
	if (ok)
		assert_int_equal(r->mem.used_bytes, 0);
	sim_disk_free(r->sim);
	return ok;
}

static struct run *run_new(void)
{
	struct run *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	r->txn = malloc(BODY_MAX + 128);
	assert_non_null(r->txn);
	return r;
}

static void run_free(struct run *r)
{
	free(r->txn);
	free(r->file);
	free(r);
}

static uint64_t env_number(const char *name, uint64_t fallback)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : fallback;
}

static void test_seeds(void **state)
{
	uint64_t seeds = env_number("SEEDS", SEEDS_FULL), from = env_number("FROM", 0);
	uint64_t retries = 0, failed = 0, unacked = 0, torn = 0, acked = 0, refused = 0;
	unsigned bad = 0;
	struct run *r = run_new();

	(void)state;
	if (seeds > 1 && seeds < SEEDS_FULL)
		seeds = seeds < 100 ? SEEDS_FEW : SEEDS_FULL;
	for (uint64_t seed = from; seed < from + seeds; seed++) {
		if (!run_seed(r, seed, false, false)) {
			print_error("seed %" PRIu64 " mode %d life %u: %s (again: FROM=%" PRIu64
				    " SEEDS=1 build/test/sim/wal_test)\n",
				    seed, (int)r->mode, r->life - 1, r->why, seed);
			bad++;
		}
		retries += r->retries;
		failed += r->failed;
		unacked += r->found_unacked;
		torn += r->torn;
		acked += r->acked;
		refused += r->refused;
	}
	run_free(r);
	print_message("%" PRIu64 " seeds: %" PRIu64 " acknowledged, %" PRIu64
		      " found besides, %" PRIu64 " torn ends, %" PRIu64 " retries, %" PRIu64
		      " logs failed, %" PRIu64 " flips refused\n",
		      seeds, acked, unacked, torn, retries, failed, refused);
	assert_int_equal(bad, 0);
	if (seeds >= SEEDS_FULL) /* it must have met what it is about */
		assert_true(retries && failed && unacked && torn && refused);
}

/* A log that acknowledges before the bytes are safe must not pass. */
static void test_checker_sees_lost_writes(void **state)
{
	struct run *r = run_new();
	unsigned lies = 0, hidden = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 80; seed++) {
		lies += !run_seed(r, seed, true, false);
		if (seed % MODES == MODE_EIO_SYNC)
			hidden += !run_seed(r, seed, false, true);
	}
	run_free(r);
	print_message("without syncs %u of 80 caught, without their errors %u of 10\n", lies,
		      hidden);
	assert_true(lies > 40 && hidden > 3);
}

/* ---- every call in turn ---- */

static bool scenario(struct run *r, uint64_t at, enum zk_err err, uint64_t *calls)
{
	struct wal_conf conf;
	uint64_t found;

	*r = (struct run){.seed = 7,
			  .random = 7,
			  .txn = r->txn,
			  .file = r->file,
			  .file_cap = r->file_cap,
			  .life = 1};
	r->sim = sim_disk_new(at);
	r->sim->fault_call = SIM_CALLS;
	r->sim->fault_at = at;
	r->sim->fault_err = err;
	zk_mem_init_heap(&r->mem, 0);
	conf = conf_of(r);
	conf.prealloc_bytes = 8192;
	conf.size_limit = 20000;
	assert_int_equal(wal_init(&r->wal, &conf, 0), ZK_EOK);
	for (unsigned i = 0; i < 2000 && r->acked < 300 && r->wal.state != WAL_FAILED; i++)
		if (!live_step(r, 10))
			return false;
	*calls = r->sim->calls[SIM_CALLS];
	if (err == ZK_EFULL && r->acked < 300)
		return wrong(r, "stands at %" PRIu64 " after there was room again", r->acked);
	end_of_life(r);
	if (!read_back(r, &found) || found < r->acked)
		return wrong(r, "%" PRIu64 " acknowledged, %" PRIu64 " found", r->acked, found);
	sim_disk_free(r->sim);
	return true;
}

static void test_every_call_fails(void **state)
{
	static const enum zk_err errs[] = {ZK_EIO, ZK_EFULL, ZK_EPERM, ZK_EOK};
	struct run *r = run_new();
	uint64_t calls, n;

	(void)state;
	assert_true(scenario(r, 0, ZK_EIO, &calls));
	assert_true(calls > 50);
	for (size_t e = 0; e < sizeof(errs) / sizeof(errs[0]); e++)
		for (uint64_t at = 1; at <= calls; at++) {
			bool full_at_sync = false;

			if (scenario(r, at, errs[e], &n))
				continue;
			/* A sync that says "full" has failed like any other. */
			full_at_sync = errs[e] == ZK_EFULL && r->wal.state == WAL_FAILED;
			if (!full_at_sync)
				print_error("call %" PRIu64 " with %s: %s\n", at,
					    zk_err_text(errs[e]), r->why);
			assert_true(full_at_sync);
			end_of_life(r);
			sim_disk_free(r->sim);
		}
	run_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seeds),
		cmocka_unit_test(test_checker_sees_lost_writes),
		cmocka_unit_test(test_every_call_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
