/* SPDX-License-Identifier: Apache-2.0 */
/** The bytes of a transaction log file (spec/disk-format.md section 2; FileTxnLog.java).
 *
 * Writing: txnlog_put_header() once, then txnlog_put_record() per transaction; preallocation and
 * fsync are the caller's. Reading: the caller hands in windows of the file, of whatever size it
 * likes, and the reader says when it needs a larger one.
 */
#ifndef ZK_STORE_TXNLOG_H
#define ZK_STORE_TXNLOG_H

#include "core/base/err.h"
#include "core/store/bad.h"
#include "core/txn/op.h"

#define TXNLOG_MAGIC UINT32_C(0x5a4b4c47) /* "ZKLG" */
enum {
	TXNLOG_VERSION = 2,
	TXNLOG_HEADER_BYTES = 16,
	TXNLOG_HEAD_BYTES = 12,  /* checksum and length before the payload */
	TXNLOG_FRAME_BYTES = 13, /* ... and the byte behind it */
	TXNLOG_END_BYTE = 'B',
	STORE_LENGTH_MAX_DEFAULT = 2 * ZK_JUTE_MAXBUFFER_DEFAULT, /* maxbuffer + extrasize */
};

/** The file header. Any context. */
void txnlog_put_header(struct jute_out *out);

/** One record: @p txn (header and body, borrowed), then the digest of the tree after it, then the
 * end byte. @p digest NULL = none (error transactions, digest.enabled=false). When it does not fit
 * nothing is written and out->full is set. Any context; bound: linear. */
void txnlog_put_record(struct jute_out *out, struct zk_span txn, const uint64_t *digest);

/** How many bytes txnlog_put_record() writes. */
static inline size_t txnlog_record_bytes(size_t txn_bytes, bool digest)
{
	return TXNLOG_FRAME_BYTES + txn_bytes + (digest ? TXN_DIGEST_BYTES : 0);
}

/** May the transaction @p zxid stand directly behind @p last: within an epoch they count by one,
 * and an epoch begins with 1. Any context. */
static inline bool txnlog_follows(uint64_t last, uint64_t zxid)
{
	return zxid == last + 1 || (zxid >> 32 > last >> 32 && (uint32_t)zxid == 1);
}

enum txnlog_step {
	TXNLOG_RECORD, /* out->txn */
	TXNLOG_MORE,   /* the window must be larger than it was */
	TXNLOG_END,    /* out->end says how; the next file follows */
	TXNLOG_BAD,    /* out->bad; start-up fails */
};

enum txnlog_end {
	TXNLOG_END_FILE,         /* at the end of a record */
	TXNLOG_END_PADDING,      /* a record of length 0: preallocated space */
	TXNLOG_END_TORN,         /* the file ends inside a record */
	TXNLOG_END_BYTE_MISSING, /* a record without its end byte: torn in preallocated space */
};

struct txnlog_item {
	uint64_t at;            /* offset of the record in the file, or of what ended it */
	uint64_t next;          /* offset behind it, where that is known, else == at */
	struct zk_span payload; /* in the window */
	struct txn_record txn;
	enum txnlog_end end;
	enum store_bad bad;
	bool order; /* zxid not above the one before: Apache logs it and goes on */
};

struct txnlog_reader {
	uint64_t at;         /* offset in the file of the next byte wanted: where a window begins */
	uint32_t length_max; /* of a payload */
	uint32_t version;    /* of the file header; not judged, as in Apache */
	uint64_t dbid;
	uint64_t records;
	uint64_t last_zxid; /* of the last record, 0 before */
	bool begun;         /* the header was read */
};

/** @p length_max: jute.maxbuffer + extrasize. */
void txnlog_reader_init(struct txnlog_reader *r, uint32_t length_max);

/** The next record.
 *
 * @param window  bytes of the file from r->at on; borrowed, *out points into it. Every call may
 * move r->at, and the next window begins there.
 * @param eof     the window reaches to the end of the file.
 *
 * A payload shorter than its header or body, with a right checksum, is TXNLOG_BAD: Apache takes
 * some of these for the end of the file, and would lose what follows.
 * Any context. Bound: one record; TXNLOG_MORE at most until the window has TXNLOG_FRAME_BYTES +
 * length_max bytes. */
enum txnlog_step txnlog_next(struct txnlog_reader *r, struct zk_span window, bool eof,
			     struct txnlog_item *out);

/** Go on behind a record that was bad (STORE_BAD_SUM, _TXN, _TYPE): for tools only. */
void txnlog_pass(struct txnlog_reader *r, const struct txnlog_item *bad);

/** Where truncation to @p zxid cuts: behind the first record with a zxid >= it
 * (FileTxnLog.truncate). @p file: all of it, borrowed. Any context; bound: linear.
 * @return ZK_EOK with *cut; ZK_ENOENT: ends before; ZK_EINVAL: damaged before. */
ZK_MUST_USE enum zk_err txnlog_cut(struct zk_span file, uint64_t zxid, uint32_t length_max,
				   uint64_t *cut);

#endif
