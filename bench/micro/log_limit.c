/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/micro/log_limit.h"

#include "core/store/wal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { MIB = 1 << 20, TAG_SYNC = 99, HEADER_BYTES = 16 };

struct limit {
	struct disk_posix view;
	uint8_t *p; /* of bytes that are no zeros, in whole blocks */
	int none;   /* an eventfd that nobody writes to */
	int file;
	uint64_t chunk, batch; /* bytes of a write; between two syncs */
	unsigned depth;        /* writes under way at most */
	unsigned writes, syncs;
	uint64_t at, unsynced;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void must(enum zk_err err, const char *what)
{
	if (err == ZK_EOK)
		return;
	fprintf(stderr, "log_bench: %s: %s\n", what, zk_err_text(err));
	exit(1);
}

static void limit_init(struct limit *l, const struct disk_dirs *dirs, uint64_t chunk,
		       uint64_t batch, unsigned depth)
{
	*l = (struct limit){.chunk = chunk, .batch = batch, .depth = depth};
	disk_posix_init(&l->view, dirs, true);
	l->p = aligned_alloc(DISK_BLOCK_BYTES, chunk);
	l->none = eventfd(0, EFD_CLOEXEC);
	must(l->p && l->none >= 0 ? ZK_EOK : ZK_ENOMEM, "memory");
	memset(l->p, 'x', chunk);
}

static void limit_fini(struct limit *l)
{
	disk_posix_fini(&l->view);
	close(l->none);
	free(l->p);
}

/* As segment_begin() in core/store/wal.c. */
static void begin(struct limit *l)
{
	struct disk *d = &l->view.disk;

	must(disk_open(d, DISK_LOG, "limit.new", DISK_BLOCKS, &l->file), "open");
	must(disk_allocate(d, l->file, 0, LOG_LIMIT_SEGMENT_BYTES + HEADER_BYTES), "allocate");
	must(disk_write(d, l->file, 0, l->p, DISK_BLOCK_BYTES), "write");
	must(disk_sync(d, l->file), "sync");
	must(disk_rename(d, DISK_LOG, "limit.new", "limit"), "rename");
	must(disk_sync_dir(d, DISK_LOG), "sync of the directory");
	l->at = l->unsynced = 0;
}

static void reap(struct limit *l)
{
	struct disk_done done[DISK_QUEUE_MAX];
	unsigned n;

	disk_posix_wait(&l->view, l->none, -1);
	n = disk_reap(&l->view.disk, done, DISK_QUEUE_MAX);
	for (unsigned i = 0; i < n; i++) {
		must(done[i].err, "write or sync");
		if (done[i].tag == TAG_SYNC)
			l->syncs--;
		else
			l->writes--;
	}
}

/* @return whether anything was submitted. */
static bool submit(struct limit *l)
{
	struct disk *d = &l->view.disk;
	bool whole = l->at == LOG_LIMIT_SEGMENT_BYTES;

	if (l->unsynced >= l->batch || (whole && l->unsynced > 0)) {
		if (l->writes + l->syncs > 0)
			return false;
		must(disk_submit_sync(d, l->file, TAG_SYNC, false), "sync");
		l->syncs++;
		l->unsynced = 0;
		return true;
	}
	if (whole || l->writes == l->depth)
		return false;
	must(disk_submit_write(d, l->file, l->at, l->p, l->chunk, 0, false), "write");
	l->writes++;
	l->at += l->chunk;
	l->unsynced += l->chunk;
	return true;
}

static double run(struct limit *l, uint64_t bytes)
{
	uint64_t began = now_ns(), done = 0;

	for (; done < bytes; done += LOG_LIMIT_SEGMENT_BYTES) {
		begin(l);
		do {
			while (submit(l))
				;
			if (l->writes + l->syncs > 0)
				reap(l);
		} while (l->at < LOG_LIMIT_SEGMENT_BYTES || l->unsynced || l->writes + l->syncs);
		disk_close(&l->view.disk, l->file);
	}
	began = now_ns() - began;
	must(disk_unlink(&l->view.disk, DISK_LOG, "limit"), "unlink");
	return (double)done * 1e3 / (double)began;
}

double log_limit_same(const struct disk_dirs *dirs, uint64_t bytes, uint64_t batch_bytes)
{
	struct limit l;
	double mbs;

	limit_init(&l, dirs, WAL_BUF_BYTES, batch_bytes, WAL_BUFS);
	mbs = run(&l, bytes);
	limit_fini(&l);
	return mbs;
}

double log_limit_raw(const struct disk_dirs *dirs, uint64_t bytes)
{
	struct limit l;
	double mbs;

	limit_init(&l, dirs, MIB, LOG_LIMIT_SEGMENT_BYTES, DISK_QUEUE_MAX - 1);
	mbs = run(&l, bytes);
	limit_fini(&l);
	return mbs;
}

void log_limit_syncs(const struct disk_dirs *dirs, size_t record, double seconds, struct zk_hist *h)
{
	uint64_t end = now_ns() + (uint64_t)(seconds * 1e9), at, then, off = 0;
	struct disk_posix view;
	struct disk *d = &view.disk;
	uint8_t *p = malloc(record);
	int file;

	must(p ? ZK_EOK : ZK_ENOMEM, "memory");
	memset(p, 'x', record);
	disk_posix_init(&view, dirs, false);
	must(disk_open(d, DISK_LOG, "bare", DISK_REPLACE, &file), "open");
	must(disk_allocate(d, file, 0, LOG_LIMIT_SEGMENT_BYTES), "allocate");
	must(disk_sync(d, file), "sync");
	while ((at = now_ns()) < end) {
		must(disk_write(d, file, off, p, record), "write");
		must(disk_sync(d, file), "sync");
		then = now_ns();
		zk_hist_add(h, then - at);
		off += record;
		if (off + record > LOG_LIMIT_SEGMENT_BYTES)
			off = 0;
	}
	disk_close(d, file);
	must(disk_unlink(d, DISK_LOG, "bare"), "unlink");
	disk_posix_fini(&view);
	free(p);
}
