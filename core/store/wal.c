/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/wal.h"

#include "core/store/sum.h"
#include "core/store/txnlog.h"

enum {
	PAD_NEAR_BYTES = 4096, /* FilePadding: this near to the end of the file it grows */
	TAG_SYNC = WAL_BUFS,   /* tags below are buffers */
	MEMORY_BYTES = WAL_BUFS * WAL_BUF_BYTES + DISK_BLOCK_BYTES,
};

/* In whole blocks. */
static size_t blocks(size_t n)
{
	return (n + DISK_BLOCK_BYTES - 1) / DISK_BLOCK_BYTES * DISK_BLOCK_BYTES;
}

/* ---- setting up ---------------------------------------------------------------------------- */

enum zk_err wal_init(struct wal *w, const struct wal_conf *conf, uint64_t last_zxid)
{
	*w = (struct wal){.conf = *conf};
	w->put.zxid = w->batch.zxid = w->durable.zxid = last_zxid;
	w->memory = zk_mem_alloc(conf->mem, MEMORY_BYTES);
	if (!w->memory)
		return ZK_ENOMEM;
	for (size_t i = 0; i < WAL_BUFS; i++)
		w->buf[i].p = w->memory - (uintptr_t)w->memory % DISK_BLOCK_BYTES +
			      DISK_BLOCK_BYTES + i * WAL_BUF_BYTES;
	return ZK_EOK;
}

/* All of the segment is durable and no more will come: its padding may go. Nothing depends on it,
 * so no error counts, and no sync is needed: after a crash it is there again, or a part of it. */
static void segment_trim(struct wal *w)
{
	uint64_t end = w->durable.at ? w->durable.at : TXNLOG_HEADER_BYTES;

	zk_assert(w->under_way == 0 && w->put.zxid == w->durable.zxid && w->part == 0);
	if (w->size > end && disk_truncate(w->conf.disk, w->file, end) == ZK_EOK)
		w->stats.trimmed_bytes += w->size - end;
}

void wal_fini(struct wal *w)
{
	zk_assert(w->under_way == 0);
	if (w->open && w->state == WAL_GOOD && w->put.zxid == w->durable.zxid && w->part == 0)
		segment_trim(w);
	if (w->open)
		disk_close(w->conf.disk, w->file);
	w->open = false;
	zk_mem_free(w->conf.mem, w->memory, MEMORY_BYTES);
	w->memory = NULL;
}

/* ---- failure ------------------------------------------------------------------------------- */

static enum zk_err fail(struct wal *w, const char *call, uint64_t at, enum zk_err err, int os_error)
{
	bool full = err == ZK_EFULL;

	if (w->state == WAL_FAILED || (w->state == WAL_FULL && full))
		return ZK_EIO;
	w->state = full ? WAL_FULL : WAL_FAILED;
	w->stats.fulls += full;
	w->fault = (struct wal_fault){.call = call, .at = at, .err = err, .os_error = os_error};
	memcpy(w->fault.name, w->name, sizeof(w->fault.name));
	return ZK_EIO;
}

static enum zk_err fail_now(struct wal *w, const char *call, uint64_t at, enum zk_err err)
{
	return fail(w, call, at, err, w->conf.disk->os_error);
}

/* What a sync has not done is not known, whatever its reason. */
static enum zk_err fail_sync(struct wal *w, const char *call, int os_error)
{
	return fail(w, call, w->batch.at, ZK_EIO, os_error);
}

/* ---- segments ------------------------------------------------------------------------------ */

/* FilePadding.calculateFileSizeWithPadding() */
static uint64_t padded(const struct wal *w, uint64_t end)
{
	uint64_t step = w->conf.prealloc_bytes;

	if (step == 0 || end + PAD_NEAR_BYTES < w->size)
		return w->size;
	if (end > w->size)
		return (end + step) / step * step;
	return w->size + step;
}

/* Room for the bytes before @p end. Where the usual step is too large for the disk a small one may
 * do. */
static enum zk_err allocate(struct wal *w, uint64_t end)
{
	uint64_t want = padded(w, end);
	enum zk_err err;

	if (want == w->size)
		return ZK_EOK;
	err = disk_allocate(w->conf.disk, w->file, w->size, want);
	if (err == ZK_EFULL && end + PAD_NEAR_BYTES < want) {
		want = end > w->size ? end + PAD_NEAR_BYTES : w->size + PAD_NEAR_BYTES;
		err = disk_allocate(w->conf.disk, w->file, w->size, want);
	}
	if (err != ZK_EOK)
		return fail_now(w, "allocate", w->size, err);
	w->size = want;
	return ZK_EOK;
}

/* The last buffer in use, and when none is the last one that was. */
static struct wal_buf *newest(struct wal *w)
{
	return &w->buf[(w->first + w->used + WAL_BUFS - 1) % WAL_BUFS];
}

/* It takes no more bytes, its last block is filled up with zeros. */
static void seal(struct wal_buf *b)
{
	memset(b->p + b->n, 0, blocks(b->n) - b->n);
	b->sealed = true;
}

/* The last buffer, if that takes bytes; otherwise the next free one, which begins with what there
 * is of its block; NULL when none is. */
static struct wal_buf *filling(struct wal *w)
{
	const struct wal_buf *last = newest(w);
	struct wal_buf *b;
	size_t part;

	if (w->used > 0 && !last->sealed)
		return newest(w);
	if (w->used == WAL_BUFS)
		return NULL;
	part = last->n % DISK_BLOCK_BYTES;
	zk_assert(last->at + last->n == w->end);
	b = &w->buf[(w->first + w->used++) % WAL_BUFS];
	*b = (struct wal_buf){.p = b->p, .at = w->end - part, .n = part};
	memcpy(b->p, last->p + last->n - part, part);
	return b;
}

static void took(struct wal *w, struct wal_buf *b, size_t n)
{
	b->n += n;
	w->end += n;
	if (b->n == WAL_BUF_BYTES)
		seal(b);
}

/* @return how many of the @p n bytes there was room for. */
static size_t add(struct wal *w, const void *p, size_t n)
{
	struct wal_buf *b = filling(w);

	if (!b)
		return 0;
	if (n > WAL_BUF_BYTES - b->n)
		n = WAL_BUF_BYTES - b->n;
	memcpy(b->p + b->n, p, n);
	took(w, b, n);
	return n;
}

/* What is written in whole blocks may make the file longer where nothing is allocated. */
static void grown(struct wal *w, uint64_t end)
{
	w->size = end > w->size ? end : w->size;
}

/* A file of its first size with its header, both safe; under a name that no reader looks at. */
static enum zk_err segment_prepare(struct wal *w)
{
	uint64_t want = w->conf.prealloc_bytes + TXNLOG_HEADER_BYTES;
	struct wal_buf *b = newest(w);
	struct jute_out out = jute_out_of(b->p, TXNLOG_HEADER_BYTES);
	struct disk *d = w->conf.disk;
	enum zk_err err;

	txnlog_put_header(&out);
	*b = (struct wal_buf){.p = b->p, .n = TXNLOG_HEADER_BYTES};
	seal(b);
	if (w->conf.prealloc_bytes > 0) {
		err = disk_allocate(d, w->file, 0, want);
		if (err == ZK_EOK)
			w->size = want;
		else if (err != ZK_EFULL) /* if it was too large, allocate() tries less */
			return fail_now(w, "allocate", 0, err);
	}
	err = disk_write(d, w->file, 0, b->p, blocks(b->n));
	if (err != ZK_EOK)
		return fail_now(w, "write", 0, err);
	grown(w, blocks(b->n));
	if (!w->conf.no_sync && disk_sync(d, w->file) != ZK_EOK)
		return fail_sync(w, "sync", d->os_error);
	return ZK_EOK;
}

static enum zk_err segment_begin(struct wal *w, uint64_t zxid)
{
	const struct store_name name = {.kind = STORE_LOG, .zxid = zxid};
	struct disk *d = w->conf.disk;
	enum zk_err err;

	zk_assert(w->used == 0 && w->under_way == 0 && w->put.zxid == w->durable.zxid);
	store_name_format(&name, w->name);
	w->size = 0;
	w->end = TXNLOG_HEADER_BYTES;
	w->put.at = w->batch.at = w->durable.at = 0;
	err = disk_open(d, DISK_LOG, WAL_NEW_NAME, DISK_BLOCKS, &w->file);
	if (err != ZK_EOK)
		return fail_now(w, "open", 0, err);
	err = segment_prepare(w);
	if (err == ZK_EOK) {
		err = disk_rename(d, DISK_LOG, WAL_NEW_NAME, w->name);
		if (err != ZK_EOK)
			(void)fail_now(w, "rename", 0, err);
	}
	if (err != ZK_EOK) {
		disk_close(d, w->file);
		err = disk_unlink(d, DISK_LOG, WAL_NEW_NAME); /* its room may be all there is */
		return err == ZK_EOK ? ZK_EIO : err;
	}
	w->open = true;
	if (!w->conf.no_sync && disk_sync_dir(d, DISK_LOG) != ZK_EOK)
		return fail_sync(w, "sync of the directory", d->os_error);
	w->stats.segments++;
	return ZK_EOK;
}

static void segment_end(struct wal *w)
{
	disk_close(w->conf.disk, w->file);
	w->open = false;
	w->roll = false;
}

void wal_roll(struct wal *w)
{
	w->roll = w->open;
}

/* ---- taking transactions ------------------------------------------------------------------- */

static void count(struct wal *w, size_t bytes)
{
	w->stats.txns++;
	w->stats.bytes += bytes;
	if (w->conf.size_limit && w->end > w->conf.size_limit)
		w->roll = true;
}

/* The bytes of a record from offset @p at on, as far as they lie in one piece. */
static struct zk_span piece(const uint8_t head[TXNLOG_HEAD_BYTES], struct zk_span txn, size_t at)
{
	static const uint8_t end = TXNLOG_END_BYTE;

	if (at < TXNLOG_HEAD_BYTES)
		return zk_span_of(head + at, TXNLOG_HEAD_BYTES - at);
	at -= TXNLOG_HEAD_BYTES;
	return at < txn.n ? zk_span_of(txn.p + at, txn.n - at) : zk_span_of(&end, 1);
}

/* All of the record in the buffer that takes bytes, if there is room for all of it. */
static bool put_whole(struct wal *w, struct wal_buf *b, struct zk_span txn)
{
	const size_t n = txnlog_record_bytes(txn.n, false);
	struct jute_out out = jute_out_of(b->p + b->n, WAL_BUF_BYTES - b->n);

	if (n > WAL_BUF_BYTES - b->n)
		return false;
	txnlog_put_record(&out, txn, NULL);
	took(w, b, n);
	return true;
}

static void put_done(struct wal *w, uint64_t zxid, size_t record)
{
	w->part = 0;
	w->put = (struct wal_mark){.zxid = zxid, .at = w->end};
	count(w, record);
}

enum zk_err wal_put(struct wal *w, uint64_t zxid, struct zk_span txn)
{
	const size_t record = txnlog_record_bytes(txn.n, false);
	uint8_t head[TXNLOG_HEAD_BYTES];
	struct wal_buf *b;

	if (w->state != WAL_GOOD)
		return ZK_EIO;
	zk_assert(zxid > w->put.zxid && txn.n >= TXN_HEADER_BYTES && txn.n <= INT32_MAX);
	if (w->part == 0) {
		if (w->open && w->roll) {
			if (w->put.zxid != w->durable.zxid || w->under_way)
				return ZK_EAGAIN; /* first all of the old one, then the new one */
			segment_trim(w);
			segment_end(w);
		}
		if (!w->open && segment_begin(w, zxid) != ZK_EOK)
			return ZK_EIO;
		b = filling(w);
		if (!b)
			return ZK_EAGAIN;
		if (put_whole(w, b, txn)) {
			put_done(w, zxid, record);
			return ZK_EOK;
		}
		w->sum = store_adler32(STORE_ADLER32_INIT, txn);
	}
	zk_put64(head, w->sum);
	zk_put32(head + 8, (uint32_t)txn.n);
	while (w->part < record) {
		struct zk_span s = piece(head, txn, w->part);
		size_t n = add(w, s.p, s.n);

		if (n == 0)
			return ZK_EAGAIN;
		w->part += n;
	}
	put_done(w, zxid, record);
	return ZK_EOK;
}

/* ---- writing ------------------------------------------------------------------------------- */

static bool batch_small(const struct wal *w)
{
	return w->batch.at - w->durable.at <= WAL_ALONE_BYTES;
}

static void submit_buf(struct wal *w, unsigned i)
{
	struct wal_buf *b = &w->buf[i];
	enum zk_err err;

	bool alone = w->phase == WAL_FLUSH && batch_small(w);

	if (b->under_way || b->done == blocks(b->n) || w->state != WAL_GOOD)
		return;
	if (allocate(w, b->at + b->n) != ZK_EOK)
		return;
	grown(w, b->at + blocks(b->n));
	err = disk_submit_write(w->conf.disk, w->file, b->at + b->done, b->p + b->done,
				blocks(b->n) - b->done, i, alone);
	if (err != ZK_EOK) {
		(void)fail_now(w, "write", b->at + b->done, err);
		return;
	}
	b->under_way = true;
	w->under_way++;
}

static void wrote(struct wal *w, const struct disk_done *done)
{
	struct wal_buf *b = &w->buf[done->tag];

	b->under_way = false;
	if (done->err != ZK_EOK || done->bytes == 0) {
		(void)fail(w, "write", b->at + b->done, done->err != ZK_EOK ? done->err : ZK_EIO,
			   done->os_error);
		return;
	}
	zk_assert(done->bytes <= blocks(b->n) - b->done);
	b->done += done->bytes;
	if (b->done < blocks(b->n))
		submit_buf(w, (unsigned)done->tag); /* a short one: the rest says why */
}

static void batch_durable(struct wal *w)
{
	w->durable = w->batch;
	w->phase = WAL_COLLECT;
	w->stats.batches++;
}

static void synced(struct wal *w, const struct disk_done *done)
{
	uint64_t ns = w->conf.now_ns(w->conf.clock) - w->sync_began_ns;

	w->stats.syncs++;
	w->stats.sync_ns = ns;
	w->stats.sync_sum_ns += ns;
	w->stats.sync_max_ns = ns > w->stats.sync_max_ns ? ns : w->stats.sync_max_ns;
	w->stats.slow_syncs += ns > w->conf.slow_ns;
	if (done->err != ZK_EOK)
		(void)fail_sync(w, "sync", done->os_error);
	else
		batch_durable(w);
}

static bool reap(struct wal *w)
{
	struct disk_done done[DISK_QUEUE_MAX];
	unsigned n = w->under_way ? disk_reap(w->conf.disk, done, DISK_QUEUE_MAX) : 0;

	zk_assert(n <= w->under_way);
	w->under_way -= n;
	for (unsigned i = 0; i < n; i++) {
		if (done[i].tag == TAG_SYNC)
			synced(w, &done[i]);
		else
			wrote(w, &done[i]);
	}
	/* Buffers are free again in their order. */
	while (w->used > 0 && w->buf[w->first].sealed &&
	       w->buf[w->first].done == blocks(w->buf[w->first].n)) {
		w->first = (w->first + 1) % WAL_BUFS;
		w->used--;
		w->batch_bufs -= w->batch_bufs > 0;
	}
	return n > 0;
}

static void batch_close(struct wal *w)
{
	if (w->used > 0)
		seal(newest(w));
	w->batch = w->put;
	w->batch_bufs = w->used;
	w->phase = WAL_FLUSH;
}

static bool batch_due(const struct wal *w, bool dry)
{
	if (w->put.zxid == w->durable.zxid)
		return false;
	return dry || w->roll || w->put.at - w->durable.at >= WAL_BATCH_BYTES;
}

static void sync_begin(struct wal *w)
{
	struct disk *d = w->conf.disk;

	if (w->conf.no_sync) {
		batch_durable(w);
		return;
	}
	w->phase = WAL_SYNC;
	w->sync_began_ns = w->conf.now_ns(w->conf.clock);
	if (disk_submit_sync(d, w->file, TAG_SYNC, batch_small(w)) != ZK_EOK)
		(void)fail_sync(w, "sync", d->os_error);
	else
		w->under_way++;
}

bool wal_step(struct wal *w, bool dry)
{
	bool did = reap(w);
	unsigned before = w->under_way, n;

	if (w->state != WAL_GOOD)
		return did;
	if (w->phase == WAL_COLLECT && batch_due(w, dry))
		batch_close(w);
	n = w->phase == WAL_FLUSH ? w->batch_bufs : w->used;
	for (unsigned i = 0; i < n; i++) {
		unsigned at = (w->first + i) % WAL_BUFS;

		if (w->buf[at].sealed)
			submit_buf(w, at);
	}
	if (w->phase == WAL_FLUSH && w->batch_bufs == 0 && w->state == WAL_GOOD) {
		sync_begin(w);
		did = true;
	}
	return did || w->under_way != before;
}

/* ---- going on after a full disk ------------------------------------------------------------ */

/* Nothing of what was not durable may be read again. */
static enum zk_err cut_back(struct wal *w)
{
	struct disk *d = w->conf.disk;
	bool keep = w->durable.at > 0;
	enum zk_err err;

	err = keep ? disk_truncate(d, w->file, w->durable.at) : disk_unlink(d, DISK_LOG, w->name);
	if (err == ZK_EFULL)
		return err;
	if (err != ZK_EOK)
		return fail_now(w, keep ? "truncate" : "unlink", w->durable.at, err);
	err = keep ? disk_sync(d, w->file) : disk_sync_dir(d, DISK_LOG);
	if (err != ZK_EOK)
		return fail_sync(w, keep ? "sync" : "sync of the directory", d->os_error);
	segment_end(w);
	return ZK_EOK;
}

enum zk_err wal_retry(struct wal *w)
{
	enum zk_err err;

	zk_assert(w->state == WAL_FULL && w->under_way == 0);
	if (w->open) {
		err = cut_back(w);
		if (err != ZK_EOK)
			return err;
	}
	w->put = w->batch = (struct wal_mark){.zxid = w->durable.zxid};
	w->durable.at = 0;
	w->used = w->batch_bufs = 0;
	w->part = 0;
	w->roll = false;
	w->phase = WAL_COLLECT;
	w->state = WAL_GOOD;
	return ZK_EOK;
}
