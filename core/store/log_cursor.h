/* SPDX-License-Identifier: Apache-2.0 */
/** Reading the transactions of a log directory in order, over all of its files, also while the last
 * one is being written (FileTxnLog.FileTxnIterator).
 *
 * Stricter than recovery: a transaction that does not follow the one before it is an error, be it a
 * gap or a step back. Where a file ends, padded or torn, the next one follows, as in Apache.
 *
 * One thread that may block, with its own view of the disk. Files may be added, grown and cut at
 * their end meanwhile; one that is unlinked is an error.
 */
#ifndef ZK_STORE_LOG_CURSOR_H
#define ZK_STORE_LOG_CURSOR_H

#include "core/store/files.h"
#include "core/store/txnlog.h"

enum { LOG_CURSOR_WHY_MAX = 512 };

struct log_cursor {
	struct disk *disk;
	struct zk_mem *mem;
	uint32_t length_max;
	struct store_files logs; /* without names like log.5.old, which recovery does not read */
	size_t at;               /* the file being read */
	int file;                /* -1: closed */
	struct txnlog_reader reader;
	uint8_t *buf;
	size_t cap, n;
	uint64_t base; /* offset in the file of buf[0] */
	bool eof;
	uint64_t floor; /* up to this nothing is held against anything */
	uint64_t last;  /* what the next transaction has to follow; see `any` */
	bool any;       /* the next one may be any */
	bool known;     /* the list was made after the end of the last file was met */
	bool halved;    /* the error is damage in the last file: half a record, perhaps */
	char why[LOG_CURSOR_WHY_MAX]; /* after an error */
};

/** List the logs. @return ZK_EOK, ZK_ENOMEM, an error of the disk with c->why; in any case
 * log_cursor_close() ends it. */
ZK_MUST_USE enum zk_err log_cursor_open(struct log_cursor *c, struct disk *d, struct zk_mem *mem,
					uint32_t length_max);
void log_cursor_close(struct log_cursor *c);

/** The file in which @p zxid would be: the last one that begins at or before it, else the first
 * one; c->logs.n when there are none. Bound: the files. */
size_t log_cursor_find(const struct log_cursor *c, uint64_t zxid);

#define LOG_CURSOR_NO_FLOOR UINT64_MAX

/** Go to the beginning of file @p at < c->logs.n. @p floor: what is above it has to follow it, of
 * what is not the order does not matter; LOG_CURSOR_NO_FLOOR: the first transaction may be any, the
 * others have to follow. @return ZK_EOK; an error of the disk, with c->why. */
ZK_MUST_USE enum zk_err log_cursor_goto(struct log_cursor *c, size_t at, uint64_t floor);

/** The next transaction; what *out points at is valid until the next call. c->at is its file.
 * @return ZK_EOK; ZK_EEMPTY: the log ends here now, a later call looks again; ZK_EINVAL: damage, or
 * it does not follow (c->halved: in a file that is being written it may be half a record: a later
 * call reads it again); ZK_ENOMEM; an error of the disk. With c->why but for ZK_EEMPTY. */
ZK_MUST_USE enum zk_err log_cursor_next(struct log_cursor *c, struct txnlog_item *out);

/** Where the bytes of file @p at of c->logs end that are not padding; its size is looked up again.
 * Bound: the padding. @return ZK_EOK with *end; an error of the disk, with c->why. */
ZK_MUST_USE enum zk_err log_cursor_used(struct log_cursor *c, size_t at, uint64_t *end);

#endif
