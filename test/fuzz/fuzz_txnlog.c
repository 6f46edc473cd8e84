/* SPDX-License-Identifier: Apache-2.0 */
/* The log reader on hostile bytes. The first byte chooses the size of the windows and whether the
 * fuzzer may have right checksums and end bytes for nothing. What reads as a record is written
 * again: the bytes must be the same. */
#include "core/base/assert.h"
#include "core/store/sum.h"
#include "core/store/txnlog.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { LENGTH_MAX = 1 << 16 };

/* Follow the lengths and put the right checksum and end byte of each record in. */
static void repair(uint8_t *p, size_t n)
{
	size_t at = TXNLOG_HEADER_BYTES;

	if (n >= 4)
		zk_put32(p, TXNLOG_MAGIC);
	while (n > at && n - at > TXNLOG_FRAME_BYTES) {
		uint32_t len = zk_get32(p + at + 8);
		struct zk_span payload = {p + at + TXNLOG_HEAD_BYTES, len};

		if (len == 0 || len > n - at - TXNLOG_FRAME_BYTES)
			return;
		zk_put64(p + at, store_adler32(STORE_ADLER32_INIT, payload));
		p[at + TXNLOG_HEAD_BYTES + len] = TXNLOG_END_BYTE;
		at += TXNLOG_FRAME_BYTES + len;
	}
}

static void walk(const struct txn_op *op)
{
	struct jute_in in = txn_list_begin(op);
	struct zk_span path;
	struct txn_op one;
	int32_t n = 0;

	if (op->type == ZK_OP_MULTI) {
		while (txn_multi_next(&in, &one))
			n++;
		zk_assert(n == op->n || op->n < 0);
	} else if (op->type == ZK_OP_CLOSE_SESSION) {
		while (txn_path_next(&in, &path))
			n++;
		zk_assert(n == op->n);
	}
}

static void record(const struct txnlog_item *item)
{
	size_t n = txnlog_record_bytes(item->payload.n, false);
	uint8_t *buf = malloc(n);
	struct jute_out out = jute_out_of(buf, n);

	zk_assert(buf && item->next == item->at + n);
	walk(&item->txn.op);
	zk_assert(item->txn.bytes.n <= item->payload.n);
	txnlog_put_record(&out, item->payload, NULL);
	zk_assert(!out.full && memcmp(buf, item->payload.p - TXNLOG_HEAD_BYTES, n) == 0);
	free(buf);
}

static uint64_t run(const uint8_t *p, size_t n, size_t window)
{
	struct txnlog_reader r;
	struct txnlog_item item;
	size_t have = window;

	txnlog_reader_init(&r, LENGTH_MAX);
	for (;;) {
		bool eof = r.at + have >= n;
		size_t some = eof ? n - (size_t)r.at : have;
		uint8_t *w = malloc(some ? some : 1);
		enum txnlog_step step;

		zk_assert(w && r.at <= n);
		memcpy(w, p + r.at, some);
		step = txnlog_next(&r, zk_span_of(w, some), eof, &item);
		if (step == TXNLOG_RECORD)
			record(&item);
		free(w);
		zk_assert(step != TXNLOG_MORE || !eof);
		if (step == TXNLOG_MORE)
			have += window;
		else if (step == TXNLOG_RECORD)
			have = window;
		else
			return r.records << 3 | step;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint8_t *copy;
	uint64_t cut;

	if (n == 0)
		return 0;
	copy = malloc(n);
	zk_assert(copy);
	memcpy(copy, p + 1, n - 1);
	if (p[0] & 1)
		repair(copy, n - 1);
	zk_assert(run(copy, n - 1, 1 + p[0] / 2U) == run(copy, n - 1, n));
	if (txnlog_cut(zk_span_of(copy, n - 1), p[0], LENGTH_MAX, &cut) == ZK_EOK)
		zk_assert(cut <= n - 1);
	free(copy);
	return 0;
}
