/* SPDX-License-Identifier: Apache-2.0 */
/* Replay (FileTxnSnapLog.fastForwardFromEdits, FileTxnLog.FileTxnIterator). */
#include "core/store/files.h"
#include "core/store/flip.h"
#include "core/store/recover_int.h"
#include "core/store/sum.h"
#include "core/store/txnlog.h"
#include "core/txn/apply.h"

#include <stdio.h>

enum {
	WINDOW_FIRST = 1 << 20,
	PROGRESS_EVERY = 1024, /* transactions */
	SECTOR = 512,
};

/* How far replay is. */
struct replay {
	struct recover *r;
	uint64_t from; /* the snapshot's zxid: what is not above it is passed over */
	bool begun;    /* something above it was found */
	bool any;      /* no snapshot: the log may begin anywhere */
	bool disorder; /* said so */
	uint64_t last; /* zxid */
	const struct recover_file *at; /* where the last one is */
	const char *ended;             /* how its file ended, if not well */
	/* the file being read */
	const struct recover_file *f;
	bool last_file;
	int file;
	uint8_t *buf;
	size_t cap, n;
	uint64_t base; /* offset in the file of buf[0] */
	uint64_t size;
	bool eof;
};

static enum zk_err disk_failed(struct replay *p, enum zk_err err)
{
	return recover_fail(p->r, err, "%s/%s: %s", recover_dir(p->r, DISK_LOG), p->f->text,
			    disk_error_text(p->r->conf->disk));
}

static enum zk_err damaged(struct replay *p, const struct txnlog_item *it)
{
	return recover_fail(
		p->r, ZK_EINVAL, "%s/%s offset %llu: %s%s", recover_dir(p->r, DISK_LOG), p->f->text,
		(unsigned long long)it->at, store_bad_text(it->bad),
		it->bad == STORE_BAD_LENGTH
			? " (or jute.maxbuffer and jute.maxbuffer.extrasize are too small)"
			: "");
}

/* ---- order --------------------------------------------------------------------------------- */

/* Is something missing in front of @p zxid? */
static enum zk_err gap(struct replay *p, uint64_t zxid)
{
	struct recover *r = p->r;
	uint64_t want = zxid >> 32 > p->last >> 32 ? (zxid >> 32 << 32) + 1 : p->last + 1;
	char end[128] = "";

	if (!p->begun && p->any)
		return ZK_EOK;
	if (txnlog_follows(p->last, zxid))
		return ZK_EOK;
	if (zxid <= p->last) { /* Apache says so and goes on */
		if (!p->disorder)
			recover_say(r, RECOVER_ERROR,
				    "log %s: zxid 0x%llx comes after 0x%llx: applied all the same",
				    p->f->text, (unsigned long long)zxid,
				    (unsigned long long)p->last);
		p->disorder = true;
		return ZK_EOK;
	}
	if (p->at)
		snprintf(end, sizeof(end), "%.60s ends with 0x%llx%s%s", p->at->text,
			 (unsigned long long)p->last, p->ended ? ", where " : "",
			 p->ended ? p->ended : "");
	else
		snprintf(end, sizeof(end), "%.60s stands for 0x%llx", r->out->snapshot,
			 (unsigned long long)p->last);
	if (r->conf->trust_gaps) {
		recover_say(r, RECOVER_WARN, "transactions 0x%llx to 0x%llx are missing: %s",
			    (unsigned long long)want, (unsigned long long)zxid - 1, end);
		return ZK_EOK;
	}
	return recover_fail(r, ZK_EINVAL,
			    "transactions 0x%llx to 0x%llx are missing in %s: %s, and %s goes on "
			    "with 0x%llx (recovery.trustGaps=true starts all the same)",
			    (unsigned long long)want, (unsigned long long)zxid - 1,
			    recover_dir(r, DISK_LOG), end, p->f->text, (unsigned long long)zxid);
}

/* ---- one transaction ----------------------------------------------------------------------- */

static bool grows(int32_t type)
{
	switch (type) {
	case ZK_OP_DELETE:
	case ZK_OP_DELETE_CONTAINER:
	case ZK_OP_CREATE_SESSION:
	case ZK_OP_CLOSE_SESSION:
	case ZK_OP_ERROR:
	case ZK_OP_CHECK:
		return false;
	default:
		return true;
	}
}

static enum zk_err apply(struct replay *p, const struct txnlog_item *it)
{
	struct recover *r = p->r;
	const struct txn_header *h = &it->txn.header;
	struct txn_result res = {0};
	enum zk_err err = ZK_EOK;

	if (grows(h->type) && !tree_can_take(r->tree, it->payload.n))
		return recover_fail(r, ZK_ENOMEM,
				    "tree.memoryLimit is too small: no room at %s offset %llu",
				    p->f->text, (unsigned long long)it->at);
	if (h->type == ZK_OP_CREATE_SESSION)
		err = recover_session_put(r, h->client, it->txn.op.timeout_ms);
	else if (h->type == ZK_OP_CLOSE_SESSION)
		recover_session_drop(r, h->client);
	if (err != ZK_EOK)
		return err;
	txn_apply_record(r->tree, &it->txn, &res);
	r->out->refused += res.tree_fails;
	recover_digest_at(r, h->zxid);
	if (res.digest == TXN_DIGEST_WRONG)
		recover_mismatch(r, h->zxid);
	if (r->conf->replayed)
		r->conf->replayed(r->conf->ctx, &it->txn, it->payload);
	return ZK_EOK;
}

static enum zk_err take(struct replay *p, const struct txnlog_item *it)
{
	struct recover *r = p->r;
	uint64_t zxid = it->txn.header.zxid;
	enum zk_err err;

	if (!p->begun && zxid <= p->from)
		return ZK_EOK;
	err = gap(p, zxid);
	if (err == ZK_EOK)
		err = apply(p, it);
	if (err != ZK_EOK)
		return err;
	p->begun = true;
	if (zxid > p->last)
		p->last = zxid;
	p->at = p->f;
	p->ended = NULL;
	r->progress.txns = ++r->out->txns;
	r->progress.bytes = it->next;
	if (r->conf->progress && r->out->txns % PROGRESS_EVERY == 0)
		r->conf->progress(r->conf->ctx, &r->progress);
	return ZK_EOK;
}

/* The window begins at @p at from now on, and is larger. */
static enum zk_err more(struct replay *p, uint64_t at)
{
	struct zk_mem *mem = p->r->conf->mem;
	size_t keep = p->n - (size_t)(at - p->base), got;
	enum zk_err err;

	if (keep)
		memmove(p->buf, p->buf + (at - p->base), keep);
	p->base = at;
	p->n = keep;
	if (keep > p->cap / 2) {
		uint8_t *buf = zk_mem_alloc(mem, 2 * p->cap);

		if (!buf)
			return recover_fail(p->r, ZK_ENOMEM, "%s: out of memory", p->f->text);
		memcpy(buf, p->buf, keep);
		zk_mem_free(mem, p->buf, p->cap);
		p->buf = buf;
		p->cap *= 2;
	}
	err = disk_read(p->r->conf->disk, p->file, p->base + p->n, p->buf + p->n, p->cap - p->n,
			&got);
	if (err != ZK_EOK)
		return disk_failed(p, err);
	p->eof = got < p->cap - p->n;
	p->n += got;
	return ZK_EOK;
}

/* ---- the end of a file ----------------------------------------------------------------------- */

/* Everything behind @p at was never promised to anybody: away with it, so that the next start, here
 * or by Apache, meets a file that ends well although it is no longer the last. */
static enum zk_err cut(struct replay *p, uint64_t at, const char *why)
{
	struct disk *d = p->r->conf->disk;
	enum zk_err err;

	recover_say(p->r, RECOVER_WARN, "log %s: cut off at offset %llu: %s", p->f->text,
		    (unsigned long long)at, why);
	err = disk_truncate(d, p->file, at);
	if (err == ZK_EOK)
		err = disk_sync(d, p->file);
	return err == ZK_EOK ? ZK_EOK : disk_failed(p, err);
}

/* Padding that a server which was killed has left is room for others; where it is not all zeros it
 * is left for whoever wants to know why. Nothing depends on it. */
static enum zk_err trim(struct replay *p, uint64_t at)
{
	struct disk *d = p->r->conf->disk;
	uint64_t used;
	enum zk_err err = store_bytes_used(d, p->file, &used);

	if (err == ZK_EOK && used <= at)
		err = disk_truncate(d, p->file, at);
	return err == ZK_EOK ? ZK_EOK : disk_failed(p, err);
}

/* The file was made and no more. */
static enum zk_err away(struct replay *p, const char *why)
{
	struct disk *d = p->r->conf->disk;
	enum zk_err err;

	recover_say(p->r, RECOVER_WARN, "log %s: removed: %s", p->f->text, why);
	err = disk_unlink(d, DISK_LOG, p->f->text);
	if (err == ZK_EOK)
		err = disk_sync_dir(d, DISK_LOG);
	return err == ZK_EOK ? ZK_EOK : disk_failed(p, err);
}

static bool all_zero(const uint8_t *p, size_t n)
{
	while (n > 0 && *p == 0) {
		p++;
		n--;
	}
	return n == 0;
}

/* The record has its end byte and a wrong checksum. Do its bytes show that sectors of it were never
 * written? The file was zeros before, so one that was not, or not to its end, leaves a run of them
 * at its edge. One flipped bit is another matter, and must not make a promised record go away. */
static bool unwritten(const struct replay *p, const struct txnlog_item *it)
{
	const uint8_t *rec = p->buf + (it->at - p->base);
	uint64_t end = it->next;

	if (store_one_bit(it->payload, zk_get64(rec)))
		return false;
	if (zk_get64(rec) == 0) /* the checksum itself; Adler-32 is never 0 */
		return true;
	for (uint64_t edge = (it->at / SECTOR + 1) * SECTOR; edge < end; edge += SECTOR) {
		const uint8_t *s = p->buf + (edge - p->base);

		if (s[-1] == 0 || (edge + SECTOR < end && s[0] == 0))
			return true;
	}
	return false;
}

/* Is there a whole record of @p n payload bytes at @p at, its end byte aside? */
static bool sum_right(const struct replay *p, uint64_t at, uint32_t n)
{
	uint64_t room = p->base + p->n - at;
	const uint8_t *rec = p->buf + (at - p->base);

	return n > 0 && n <= p->r->conf->length_max && room >= TXNLOG_FRAME_BYTES + (uint64_t)n &&
	       zk_get64(rec) ==
		       store_adler32(STORE_ADLER32_INIT, zk_span_of(rec + TXNLOG_HEAD_BYTES, n));
}

/* The file seems to end at @p at. Does it only because one bit of a length or an end byte is not
 * what was written? Then what follows was promised. */
static bool flipped(const struct replay *p, uint64_t at)
{
	const uint8_t *rec = p->buf + (at - p->base);
	uint32_t n;

	if (p->base + p->n - at < TXNLOG_HEAD_BYTES)
		return false;
	n = zk_get32(rec + 8);
	if (sum_right(p, at, n) && rec[TXNLOG_HEAD_BYTES + n] != 0)
		return true;
	for (unsigned bit = 0; bit < 32; bit++) {
		uint32_t other = n ^ UINT32_C(1) << bit;

		if (sum_right(p, at, other) && rec[TXNLOG_HEAD_BYTES + other] == TXNLOG_END_BYTE)
			return true;
	}
	return false;
}

static enum zk_err ended(struct replay *p, const struct txnlog_item *it)
{
	static const char *const text[] = {
		[TXNLOG_END_FILE] = NULL,
		[TXNLOG_END_PADDING] = NULL,
		[TXNLOG_END_TORN] = "a record is cut short",
		[TXNLOG_END_BYTE_MISSING] = "a record has no end byte",
	};

	/* look as far as a window goes */
	if (p->last_file && !p->eof) {
		enum zk_err err = more(p, it->at);

		if (err != ZK_EOK)
			return err;
	}
	if (p->last_file && flipped(p, it->at))
		return recover_fail(p->r, ZK_EINVAL,
				    "%s/%s offset %llu: a bit of the record's length or end is "
				    "wrong",
				    recover_dir(p->r, DISK_LOG), p->f->text,
				    (unsigned long long)it->at);
	if (p->last_file && it->end == TXNLOG_END_PADDING)
		return trim(p, it->at);
	if (!text[it->end])
		return ZK_EOK;
	if (p->last_file)
		return cut(p, it->at, text[it->end]);
	p->ended = text[it->end];
	return ZK_EOK;
}

static enum zk_err bad(struct replay *p, const struct txnlog_item *it)
{
	if (!p->last_file)
		return damaged(p, it);
	switch (it->bad) {
	case STORE_BAD_EMPTY:
	case STORE_BAD_HEADER:
		return away(p, store_bad_text(it->bad));
	case STORE_BAD_MAGIC:
		if (all_zero(p->buf, TXNLOG_HEADER_BYTES))
			return away(p, "its header was never written");
		return damaged(p, it);
	case STORE_BAD_SUM:
		if (unwritten(p, it))
			return cut(p, it->at, "a record that was not written to its end");
		return damaged(p, it);
	default:
		return damaged(p, it);
	}
}

/* ---- files --------------------------------------------------------------------------------- */

static enum zk_err read_file(struct replay *p)
{
	struct txnlog_reader reader;
	struct txnlog_item it;
	enum zk_err err;

	p->base = p->n = 0;
	p->eof = false;
	txnlog_reader_init(&reader, p->r->conf->length_max);
	err = more(p, 0);
	while (err == ZK_EOK) {
		size_t off = (size_t)(reader.at - p->base);

		switch (txnlog_next(&reader, zk_span_of(p->buf + off, p->n - off), p->eof, &it)) {
		case TXNLOG_RECORD:
			err = take(p, &it);
			break;
		case TXNLOG_MORE:
			err = more(p, reader.at);
			break;
		case TXNLOG_END:
			return ended(p, &it);
		default:
			return bad(p, &it);
		}
	}
	return err;
}

static enum zk_err one_file(struct replay *p)
{
	struct disk *d = p->r->conf->disk;
	enum zk_err err = disk_open(d, DISK_LOG, p->f->text, DISK_UPDATE, &p->file);

	if (err != ZK_EOK)
		return disk_failed(p, err);
	p->r->progress.file = p->f->text;
	p->r->progress.log = true;
	p->r->progress.bytes = 0;
	p->r->progress.bytes_max = p->f->bytes;
	if (p->r->conf->progress)
		p->r->conf->progress(p->r->conf->ctx, &p->r->progress);
	/* What is only in the page cache, after kill -9 or a failed fsync, must not be served, and
	 * built upon in another file, before it is safe. */
	err = disk_settle(d, p->file);
	if (err == ZK_EOK)
		err = read_file(p);
	else
		err = disk_failed(p, err);
	disk_close(d, p->file);
	p->r->out->logs++;
	return err;
}

/* Of the files in order, the one where replay for @p zxid begins (FileTxnIterator.init). */
static size_t first_file(const struct recover_list *l, uint64_t zxid)
{
	size_t first = 0;

	for (size_t i = 1; i < l->n; i++)
		if (l->v[i].zxid <= zxid)
			first = i;
	return first;
}

enum zk_err recover_logs(struct recover *r)
{
	struct disk *d = r->conf->disk;
	struct replay p = {.r = r,
			   .from = tree_last_zxid(r->tree),
			   .last = tree_last_zxid(r->tree),
			   .any = !r->out->snapshot[0],
			   .cap = WINDOW_FIRST};
	enum zk_err err;

	if (r->logs.n == 0)
		return ZK_EOK;
	err = disk_sync_dir(d, DISK_LOG);
	if (err != ZK_EOK)
		return recover_fail(r, err, "%s: %s", recover_dir(r, DISK_LOG), disk_error_text(d));
	p.buf = zk_mem_alloc(r->conf->mem, p.cap);
	if (!p.buf)
		return recover_fail(r, ZK_ENOMEM, "out of memory");
	for (size_t i = first_file(&r->logs, p.from); i < r->logs.n && err == ZK_EOK; i++) {
		p.f = &r->logs.v[i];
		p.last_file = i + 1 == r->logs.n;
		err = one_file(&p);
	}
	zk_mem_free(r->conf->mem, p.buf, p.cap);
	return err;
}
