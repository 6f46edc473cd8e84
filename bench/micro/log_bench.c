/* SPDX-License-Identifier: Apache-2.0 */
/* The log writer beside the limits of its disk, measured in the same run: fdatasync of one writer
 * for one client at a time, sequential bandwidth for pipelined ones. No network, no tree: the main
 * thread plays the leader core.
 *
 * usage: log_bench DIR [SECONDS]   files are made in DIR/zokor-log-bench.XXXXXX and removed */
#include "core/base/hist.h"
#include "ctl/server/logwriter.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
	MIB = 1 << 20,
	AREA = 64 * MIB, /* a segment */
	SLOTS = 32768,   /* as zokord with dp.coreMemory=1G */
	FRAME = 13,      /* TXNLOG_FRAME_BYTES: what a record is larger than its transaction */
	CHUNK = MIB,
	SPIN_US = 100,
};

static double seconds = 3;
static char dir[512];

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static double cpu_seconds(int who)
{
	struct rusage u;

	(void)getrusage(who, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
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

/* ---- the disk itself --------------------------------------------------------------------------
 */

static int area(const char *name)
{
	char path[600];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	must(fd >= 0, path);
	if (posix_fallocate(fd, 0, AREA) != 0)
		must(ftruncate(fd, AREA) == 0, path);
	must(fsync(fd) == 0, path);
	return fd;
}

/* One writer: a record into allocated space, fdatasync, again. */
static void bare_syncs(size_t record, struct zk_hist *h)
{
	uint8_t *p = need(calloc(1, record));
	uint64_t end = now_ns() + (uint64_t)(seconds * 1e9), at, then;
	off_t off = 0;
	int fd = area("bare");

	memset(p, 'x', record);
	while ((at = now_ns()) < end) {
		must(pwrite(fd, p, record, off) == (ssize_t)record && fdatasync(fd) == 0, "bare");
		then = now_ns();
		zk_hist_add(h, then - at);
		off += (off_t)record;
		if (off + (off_t)record > AREA)
			off = 0;
	}
	close(fd);
	free(p);
}

/* Whole segments, a sync at the end of each. @return MB/s. */
static double bandwidth(void)
{
	uint8_t *p = need(calloc(1, CHUNK));
	uint64_t began = now_ns(), bytes = 0;
	double s = 0;

	memset(p, 'x', CHUNK);
	while (s < seconds) {
		int fd = area("seq");

		for (off_t off = 0; off < AREA; off += CHUNK)
			must(pwrite(fd, p, CHUNK, off) == CHUNK, "seq");
		must(fdatasync(fd) == 0, "seq");
		close(fd);
		bytes += AREA;
		s = (double)(now_ns() - began) / 1e9;
	}
	free(p);
	return (double)bytes / s / 1e6;
}

/* ---- the log writer ----------------------------------------------------------------------------
 */

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
				   .prealloc_bytes = AREA,
				   .size_limit = AREA,
				   .slow_ms = 1000,
				   .spin_us = spare_cpu ? SPIN_US : 0};
	char why[256];

	memset(s, 0, sizeof(*s));
	if (disk_dirs_open(&s->dirs, dir, dir, true, why, sizeof(why)) != ZK_EOK) {
		fprintf(stderr, "log_bench: %s\n", why);
		exit(1);
	}
	zk_mem_init_heap(&s->mem, 0);
	must(waker_init(&s->leader) == ZK_EOK, "eventfd");
	must(logstage_init(&s->stage, &s->mem, SLOTS, 0, false) == ZK_EOK, "stage");
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

/* As many under way as there may be. @return MB/s of records. */
static double pipelined(size_t n, double limit)
{
	struct side s;
	double all = cpu_seconds(RUSAGE_SELF), mine = cpu_seconds(RUSAGE_THREAD), took;
	uint64_t began, end, bytes, done;

	open_side(&s, n, false);
	began = now_ns();
	end = began + (uint64_t)(seconds * 1e9);
	while (now_ns() < end) {
		unsigned added = 0;

		while (added < 256 && put(&s))
			added++;
		logstage_end(&s.stage);
		if (added == 0)
			wait_past(&s, logstage_durable(&s.stage));
	}
	done = logstage_durable(&s.stage);
	took = (double)(now_ns() - began) / 1e9;
	bytes = done * (n + FRAME);
	mine = cpu_seconds(RUSAGE_THREAD) - mine;
	all = cpu_seconds(RUSAGE_SELF) - all - mine;
	printf("  %5zu-byte transactions: %8.0f /s %8.0f MB/s = %3.0f %% of the bandwidth, "
	       "writer %3.0f %% of a CPU, %.1f txns a sync\n",
	       n, (double)done / took, (double)bytes / took / 1e6,
	       100 * (double)bytes / took / 1e6 / limit, 100 * all / took,
	       (double)s.writer->txns / (double)(s.writer->batches ? s.writer->batches : 1));
	close_side(&s);
	return (double)bytes / took / 1e6;
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = {100, 1000, 10000, 1000000};
	static struct zk_hist bare, after, sleepy, eager;
	double limit, base, a, b;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: log_bench DIR [SECONDS]\n");
		return 2;
	}
	if (argc == 3)
		seconds = atof(argv[2]);
	snprintf(dir, sizeof(dir), "%s/zokor-log-bench.XXXXXX", argv[1]);
	if (!mkdtemp(dir)) {
		perror(dir);
		return 1;
	}
	atexit(clean);
	printf("one writer, a record of 113 bytes at a time:\n");
	bare_syncs(100 + FRAME, &bare);
	one_client(100, false, &sleepy);
	one_client(100, true, &eager);
	bare_syncs(100 + FRAME, &after);
	base = print_latency("bare pwrite + fdatasync", &bare);
	base = (base + print_latency("the same, after the others", &after)) / 2;
	a = print_latency("log writer, sleeping between", &sleepy);
	b = print_latency("log writer, looking out for 100 us", &eager);
	printf("  above the bare fdatasync (p50): %.1f us and %.1f us; wanted: at most 50 us\n",
	       a - base, b - base);
	limit = bandwidth();
	printf("pipelined, up to %d under way; sequential bandwidth %.0f MB/s:\n", SLOTS, limit);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		(void)pipelined(sizes[i], limit);
	return 0;
}
