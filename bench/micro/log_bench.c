/* SPDX-License-Identifier: Apache-2.0 */
/* The log writer beside the limits of its disk, measured in the same run: fdatasync of one writer
 * for one client at a time; for pipelined ones the bandwidth of the same files, writes and syncs
 * without a log, in turns with it. No network, no tree: the main thread plays the leader core.
 *
 * usage: log_bench DIR [SECONDS [MIB [PAIRS [BYTES [SLOTS]]]]]
 *   SECONDS of each run with one client (2; 0: none), MIB of each pipelined run (128), PAIRS of
 *   runs (5), BYTES of a transaction (0: 100, 1000, 10000 and 1000000 in turn), SLOTS:
 *   transactions that may be under way (32768).
 *   Files are made in DIR/zokor-log-bench.XXXXXX and removed; the default writes some 7 GB. */
#include "bench/micro/log_limit.h"
#include "ctl/server/logwriter.h"

#include <dirent.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	MIB = 1 << 20,
	UNDER_WAY_BYTES = 64 << 20, /* of transactions; a leader core has a limit of bytes too */
	FRAME = 13, /* TXNLOG_FRAME_BYTES: what a record is larger than its transaction */
	SPIN_US = 100,
	PAIRS_MAX = 101,
};

static double seconds = 2;
static uint64_t run_bytes = UINT64_C(128) * MIB;
static unsigned pairs = 5;
static uint32_t slots = 32768; /* as zokord with dp.coreMemory=1G */
static char dir[512];

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void *need(void *p)
{
	if (!p) {
		perror("log_bench");
		exit(1);
	}
	return p;
}

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static double us(const struct zk_hist *h, double share)
{
	return (double)zk_hist_quantile(h, (uint32_t)(share * 1e6)) / 1e3;
}

static double print_latency(const char *what, const struct zk_hist *h)
{
	printf("  %-34s %9.0f /s   p50 %8.1f us   p99 %8.1f us\n", what, (double)h->count / seconds,
	       us(h, 0.5), us(h, 0.99));
	return us(h, 0.5);
}

/* What has been written, or only the log files. */
static void remove_files(const char *below)
{
	char cmd[600];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s%s'", dir, below);
	if (system(cmd) != 0) /* NOLINT: a name of our own */
		fprintf(stderr, "log_bench: %s%s is left\n", dir, below);
}

static void clean(void)
{
	if (dir[0])
		remove_files("");
}

/* ---- the log writer ----------------------------------------------------------------------------
 */

static void open_dirs(struct disk_dirs *dirs)
{
	char why[256];

	if (disk_dirs_open(dirs, dir, dir, true, why, sizeof(why)) == ZK_EOK)
		return;
	fprintf(stderr, "log_bench: %s\n", why);
	exit(1);
}

struct side {
	struct disk_dirs dirs;
	struct zk_mem mem;
	struct logstage stage;
	struct waker leader;
	struct logwriter *writer;
	uint8_t *txn;
	size_t n;
	uint64_t zxid;
};

static void open_side(struct side *s, size_t n, bool spare_cpu)
{
	struct logwriter_conf c = {.log = &s->stage,
				   .leader = &s->leader,
				   .dirs = &s->dirs,
				   .prealloc_bytes = LOG_LIMIT_SEGMENT_BYTES,
				   .size_limit = LOG_LIMIT_SEGMENT_BYTES,
				   .slow_ms = 1000,
				   .spin_us = spare_cpu ? SPIN_US : 0};

	memset(s, 0, sizeof(*s));
	open_dirs(&s->dirs);
	zk_mem_init_heap(&s->mem, 0);
	must(waker_init(&s->leader) == ZK_EOK, "eventfd");
	must(logstage_init(&s->stage, &s->mem, slots, 0, false) == ZK_EOK, "stage");
	s->writer = need(calloc(1, sizeof(*s->writer)));
	config_cpus_get(&c.cpus);
	must(logwriter_start(s->writer, &c) == ZK_EOK, "log writer");
	/* One transaction's bytes serve all: the writer only reads them. Its header says zxid 0. */
	s->n = n;
	s->txn = need(calloc(1, n));
}

static void close_side(struct side *s)
{
	must(logwriter_stop(s->writer) == ZK_EOK, "log");
	logstage_fini(&s->stage);
	waker_fini(&s->leader);
	disk_dirs_close(&s->dirs);
	free(s->writer);
	free(s->txn);
	remove_files("/version-2"); /* some are written at gigabytes per second */
}

static bool put(struct side *s)
{
	if (!logstage_append(&s->stage, s->zxid + 1, zk_span_of(s->txn, s->n)))
		return false;
	s->zxid++;
	return true;
}

/* As an adaptive leader core: it looks, then sleeps. */
static void wait_past(struct side *s, uint64_t zxid)
{
	struct pollfd fd = {.fd = s->leader.fd, .events = POLLIN};

	while (logstage_durable(&s->stage) <= zxid) {
		waker_announce(&s->leader);
		if (logstage_durable(&s->stage) <= zxid)
			(void)poll(&fd, 1, 1000);
		waker_clear(&s->leader);
	}
}

static void one_client(size_t n, bool spare_cpu, struct zk_hist *h)
{
	struct side s;
	uint64_t end, at;

	open_side(&s, n, spare_cpu);
	(void)put(&s);
	logstage_end(&s.stage);
	wait_past(&s, s.zxid - 1); /* the first one makes the file */
	end = now_ns() + (uint64_t)(seconds * 1e9);
	while ((at = now_ns()) < end) {
		(void)put(&s);
		logstage_end(&s.stage);
		wait_past(&s, s.zxid - 1);
		zk_hist_add(h, now_ns() - at);
	}
	close_side(&s);
}

/* ---- pipelined ---------------------------------------------------------------------------------
 */

/* How long the thread of that name was ready while another had the CPU, in seconds; 0 without one.
 */
static double waits_of(const char *name)
{
	DIR *d = need(opendir("/proc/self/task"));
	struct dirent *e;
	double s = 0;

	while ((e = readdir(d)) != NULL) {
		char path[64], comm[32] = "";
		uint64_t runs_ns, waits_ns = 0;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%.20s/comm", e->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		(void)!fscanf(f, "%31s", comm);
		fclose(f);
		snprintf(path, sizeof(path), "/proc/self/task/%.20s/schedstat", e->d_name);
		f = strcmp(comm, name) == 0 ? fopen(path, "re") : NULL;
		if (!f)
			continue;
		if (fscanf(f, "%" SCNu64 " %" SCNu64, &runs_ns, &waits_ns) == 2)
			s = (double)waits_ns / 1e9;
		fclose(f);
	}
	closedir(d);
	return s;
}

static double clock_seconds(clockid_t which)
{
	struct timespec ts = {0};

	(void)clock_gettime(which, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

struct result {
	double mbs, limit_mbs, share;
	double runs, waits; /* of the writer's thread, of the time */
	double feeds;       /* ... of the thread that gives it transactions */
	double kernel;      /* ... of the kernel's workers for it */
	double per_cpu;     /* MB/s, if that were all of one */
	double txns, batch_bytes;
};

static void feed(struct side *s, uint64_t count)
{
	uint64_t room = UNDER_WAY_BYTES / s->n;

	while (s->zxid < count) {
		uint64_t done = logstage_durable(&s->stage);
		unsigned added = 0;

		while (added < 256 && s->zxid < count && s->zxid - done < room && put(s))
			added++;
		logstage_end(&s->stage);
		if (added == 0)
			wait_past(s, done);
	}
	wait_past(s, count - 1);
}

/* As many under way as there may be, until @p run_bytes are durable. */
static void pipelined(size_t n, struct result *r)
{
	uint64_t count = run_bytes / (n + FRAME) + 1, began;
	double all, mine, log, waits, took;
	clockid_t writer;
	struct side s;

	all = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
	mine = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
	open_side(&s, n, false);
	must(pthread_getcpuclockid(s.writer->id, &writer) == 0, "clock");
	began = now_ns();
	feed(&s, count);
	took = (double)(now_ns() - began) / 1e9;
	log = clock_seconds(writer);
	waits = waits_of("zk-log");
	mine = clock_seconds(CLOCK_THREAD_CPUTIME_ID) - mine;
	all = clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - all;
	r->mbs = (double)(count * (n + FRAME)) / took / 1e6;
	r->txns = (double)count / took;
	r->runs = log / took;
	r->waits = waits / took;
	r->feeds = mine / took;
	r->kernel = all > log + mine ? (all - log - mine) / took : 0;
	r->per_cpu = r->mbs / (r->runs + r->kernel);
	r->batch_bytes =
		(double)s.writer->bytes / (double)(s.writer->batches ? s.writer->batches : 1);
	close_side(&s);
}

static int by_share(const void *a, const void *b)
{
	const struct result *x = a, *y = b;

	return x->share < y->share ? -1 : x->share > y->share;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Of the field at that offset of struct result. */
static double median(const struct result *r, size_t field)
{
	double v[PAIRS_MAX] = {0};

	for (unsigned i = 0; i < pairs; i++)
		memcpy(&v[i], (const char *)&r[i] + field, sizeof(v[i]));
	qsort(v, pairs, sizeof(v[0]), by_value);
	return v[pairs / 2];
}

static void in_turns(size_t n)
{
	static struct result r[PAIRS_MAX];
	struct disk_dirs dirs;

	for (unsigned i = 0; i < pairs; i++) {
		pipelined(n, &r[i]);
		open_dirs(&dirs);
		r[i].limit_mbs = log_limit_same(&dirs, run_bytes, (uint64_t)r[i].batch_bytes);
		disk_dirs_close(&dirs);
		r[i].share = r[i].mbs / r[i].limit_mbs;
	}
	qsort(r, pairs, sizeof(r[0]), by_share);
#define MEDIAN(field) median(r, offsetof(struct result, field))
	printf("  %7zu %8.0f %6.0f %6.0f   %3.0f %% (%3.0f..%3.0f)  %5.0f  %3.0f %%  %3.0f %%  "
	       "%3.0f %%  "
	       "%3.0f %%  %8.0f\n",
	       n, MEDIAN(txns), MEDIAN(mbs), MEDIAN(limit_mbs), 100 * MEDIAN(share),
	       100 * r[0].share, 100 * r[pairs - 1].share, MEDIAN(per_cpu), 100 * MEDIAN(runs),
	       100 * MEDIAN(waits), 100 * MEDIAN(kernel), 100 * MEDIAN(feeds),
	       MEDIAN(batch_bytes) / 1024);
#undef MEDIAN
	fflush(stdout);
}

static void bandwidth_of_all(size_t only)
{
	static const size_t sizes[] = {100, 1000, 10000, 1000000};
	struct disk_dirs dirs;

	open_dirs(&dirs);
	printf("pipelined, at most %u under way, %u pairs of runs of %.0f MB, medians\n"
	       "the disk in large writes, a sync per segment: %.0f MB/s\n"
	       "  a CPU: MB/s if the writer and the kernel's threads for it had all of one;\n"
	       "  runs, waits: the writer, of the time, on a CPU and ready while others have it\n"
	       "    bytes   txns/s   MB/s  limit   share           a CPU   runs  waits kernel "
	       "feeder  KiB "
	       "a sync\n",
	       slots, pairs, (double)run_bytes / 1e6, log_limit_raw(&dirs, run_bytes));
	disk_dirs_close(&dirs);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (!only)
			in_turns(sizes[i]);
	if (only)
		in_turns(only);
}

static void bare_syncs(struct zk_hist *h)
{
	struct disk_dirs dirs;

	open_dirs(&dirs);
	log_limit_syncs(&dirs, 100 + FRAME, seconds, h);
	disk_dirs_close(&dirs);
}

static void latency_of_one(void)
{
	static struct zk_hist bare, after, sleepy, eager;
	double base, a, b;

	printf("one writer, a record of 113 bytes at a time:\n");
	bare_syncs(&bare);
	one_client(100, false, &sleepy);
	one_client(100, true, &eager);
	bare_syncs(&after);
	base = print_latency("bare pwrite + fdatasync", &bare);
	base = (base + print_latency("the same, after the others", &after)) / 2;
	a = print_latency("log writer, sleeping between", &sleepy);
	b = print_latency("log writer, looking out for 100 us", &eager);
	printf("  above the bare fdatasync (p50): %.1f us and %.1f us; wanted: at most 50 us\n",
	       a - base, b - base);
	fflush(stdout);
}

static double number(int argc, char **argv, int i, double fallback)
{
	return i < argc ? strtod(argv[i], NULL) : fallback;
}

int main(int argc, char **argv)
{
	size_t only;

	seconds = number(argc, argv, 2, seconds);
	run_bytes = (uint64_t)number(argc, argv, 3, (double)run_bytes / MIB) * MIB;
	pairs = (unsigned)number(argc, argv, 4, pairs);
	only = (size_t)number(argc, argv, 5, 0);
	slots = (uint32_t)number(argc, argv, 6, slots);
	if (argc < 2 || argc > 7 || slots < 1 || slots > 1 << 20 || seconds < 0 || run_bytes == 0 ||
	    pairs < 1 || pairs > PAIRS_MAX || (only && (only < 32 || only > UNDER_WAY_BYTES))) {
		fprintf(stderr, "usage: log_bench DIR [SECONDS [MIB [PAIRS [BYTES [SLOTS]]]]]\n");
		return 2;
	}
	snprintf(dir, sizeof(dir), "%s/zokor-log-bench.XXXXXX", argv[1]);
	if (!mkdtemp(dir)) {
		perror(dir);
		return 1;
	}
	atexit(clean);
	if (seconds > 0)
		latency_of_one();
	bandwidth_of_all(only);
	return 0;
}
