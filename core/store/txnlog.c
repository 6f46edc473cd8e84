/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/txnlog.h"

#include "core/base/assert.h"
#include "core/store/sum.h"

void txnlog_put_header(struct jute_out *out)
{
	uint8_t *p = jute_room(out, TXNLOG_HEADER_BYTES);

	if (!p)
		return;
	zk_put32(p, TXNLOG_MAGIC);
	zk_put32(p + 4, TXNLOG_VERSION);
	zk_put64(p + 8, 0);
}

void txnlog_put_record(struct jute_out *out, struct zk_span txn, const uint64_t *digest)
{
	size_t n = txn.n + (digest ? TXN_DIGEST_BYTES : 0);
	uint8_t *p, *payload;

	zk_assert(txn.n >= TXN_HEADER_BYTES && n <= INT32_MAX);
	p = jute_room(out, TXNLOG_FRAME_BYTES + n);
	if (!p)
		return;
	payload = p + TXNLOG_HEAD_BYTES;
	memcpy(payload, txn.p, txn.n);
	if (digest) {
		zk_put32(payload + txn.n, TXN_DIGEST_VERSION);
		zk_put64(payload + txn.n + 4, *digest);
	}
	zk_put64(p, store_adler32(STORE_ADLER32_INIT, zk_span_of(payload, n)));
	zk_put32(p + 8, (uint32_t)n);
	payload[n] = TXNLOG_END_BYTE;
}

void txnlog_reader_init(struct txnlog_reader *r, uint32_t length_max)
{
	zk_assert(length_max > 0 && length_max <= INT32_MAX);
	*r = (struct txnlog_reader){.length_max = length_max};
}

static enum txnlog_step bad(struct txnlog_item *out, enum store_bad why)
{
	out->bad = why;
	return TXNLOG_BAD;
}

static enum txnlog_step end(struct txnlog_item *out, enum txnlog_end how)
{
	out->end = how;
	return TXNLOG_END;
}

/* @return TXNLOG_RECORD when it was right. */
static enum txnlog_step file_header(struct txnlog_reader *r, struct zk_span *w, bool eof,
				    struct txnlog_item *out)
{
	if (w->n < TXNLOG_HEADER_BYTES) {
		if (!eof)
			return TXNLOG_MORE;
		return bad(out, w->n ? STORE_BAD_HEADER : STORE_BAD_EMPTY);
	}
	if (zk_get32(w->p) != TXNLOG_MAGIC)
		return bad(out, STORE_BAD_MAGIC);
	r->version = zk_get32(w->p + 4);
	r->dbid = zk_get64(w->p + 8);
	r->begun = true;
	r->at = TXNLOG_HEADER_BYTES;
	*w = zk_span_of(w->p + TXNLOG_HEADER_BYTES, w->n - TXNLOG_HEADER_BYTES);
	return TXNLOG_RECORD;
}

/* The payload of a record that has its end byte. */
static enum txnlog_step payload(struct txnlog_reader *r, uint64_t sum, struct txnlog_item *out)
{
	enum zk_err err;

	if (sum != store_adler32(STORE_ADLER32_INIT, out->payload))
		return bad(out, STORE_BAD_SUM);
	err = txn_read(out->payload, &out->txn);
	if (err != ZK_EOK)
		return bad(out, err == ZK_ENOTSUP ? STORE_BAD_TYPE : STORE_BAD_TXN);
	out->order = r->records > 0 && out->txn.header.zxid <= r->last_zxid;
	r->records++;
	r->last_zxid = out->txn.header.zxid;
	r->at = out->next;
	return TXNLOG_RECORD;
}

enum txnlog_step txnlog_next(struct txnlog_reader *r, struct zk_span window, bool eof,
			     struct txnlog_item *out)
{
	struct zk_span w = window;
	uint32_t n;

	*out = (struct txnlog_item){.at = r->at, .next = r->at};
	if (!r->begun) {
		enum txnlog_step s = file_header(r, &w, eof, out);

		if (s != TXNLOG_RECORD)
			return s;
		out->at = out->next = r->at;
	}
	if (w.n < TXNLOG_HEAD_BYTES) {
		if (eof)
			return end(out, w.n ? TXNLOG_END_TORN : TXNLOG_END_FILE);
		return TXNLOG_MORE;
	}
	n = zk_get32(w.p + 8);
	if (n > r->length_max)
		return bad(out, STORE_BAD_LENGTH);
	if (n == 0)
		return end(out, TXNLOG_END_PADDING);
	if (w.n < TXNLOG_FRAME_BYTES + (size_t)n) {
		return eof ? end(out, TXNLOG_END_TORN) : TXNLOG_MORE;
	}
	out->payload = zk_span_of(w.p + TXNLOG_HEAD_BYTES, n);
	out->next = r->at + TXNLOG_FRAME_BYTES + n;
	if (w.p[TXNLOG_HEAD_BYTES + n] != TXNLOG_END_BYTE)
		return end(out, TXNLOG_END_BYTE_MISSING);
	return payload(r, zk_get64(w.p), out);
}

void txnlog_pass(struct txnlog_reader *r, const struct txnlog_item *item)
{
	zk_assert(item->bad == STORE_BAD_SUM || item->bad == STORE_BAD_TXN ||
		  item->bad == STORE_BAD_TYPE);
	zk_assert(item->next > item->at);
	r->at = item->next;
}

enum zk_err txnlog_cut(struct zk_span file, uint64_t zxid, uint32_t length_max, uint64_t *cut)
{
	struct txnlog_reader r;
	struct txnlog_item item;

	txnlog_reader_init(&r, length_max);
	for (;;) {
		struct zk_span w = zk_span_of(file.p + r.at, file.n - r.at);

		switch (txnlog_next(&r, w, true, &item)) {
		case TXNLOG_RECORD:
			if (item.txn.header.zxid >= zxid) {
				*cut = item.next;
				return ZK_EOK;
			}
			break;
		case TXNLOG_END:
			return ZK_ENOENT;
		default:
			return ZK_EINVAL;
		}
	}
}
