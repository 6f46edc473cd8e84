/* SPDX-License-Identifier: Apache-2.0 */
/** Inside quorum_files: one feed's way through the log files. The thread of quorum_files only. */
#ifndef ZK_CTL_QUORUM_READING_H
#define ZK_CTL_QUORUM_READING_H

#include "core/store/log_cursor.h"
#include "ctl/server/quorum_files.h"

/** Transactions one behind the other, each a head, its bytes and what fills them up to 8. */
struct quorum_chunk {
	uint64_t request;
	size_t n, cap;
	enum zk_err end; /* behind the last one: ZK_EOK: more will come */
	_Alignas(8) uint8_t bytes[];
};

struct quorum_txn_head {
	uint64_t zxid, n;
};

static inline size_t quorum_txn_bytes(size_t n)
{
	return sizeof(struct quorum_txn_head) + (n + 7) / 8 * 8;
}

struct quorum_reading {
	struct log_cursor log;
	struct disk *disk;
	struct zk_mem *mem;
	uint64_t from, bound;
	int32_t snap_factor_ppm;
	bool begun, sending; /* files are open; the first to be sent is known */
	bool too_large;      /* why it failed */
	size_t file;         /* where the search has begun */
	/* newest at or before `from`: a copy, kept until it is sent */
	bool has_first;
	uint64_t first_zxid;
	uint8_t *first;
	size_t first_n, first_cap;
	bool pending; /* item was read and not sent */
	struct txnlog_item item;
	uint64_t txns,
		patience_ns; /* read; until then it waits for the log to grow, 0: it does not */
	char why[LOG_CURSOR_WHY_MAX];
};

void quorum_reading_init(struct quorum_reading *r, const struct quorum_files *f, struct disk *d,
			 struct zk_mem *mem, uint64_t from, uint64_t bound);
void quorum_reading_fini(struct quorum_reading *r);

/** Bytes that the next piece must have room for at least. */
size_t quorum_reading_need(const struct quorum_reading *r);

/** Read on into @p to, which has that room. Bound: a piece, or some thousand transactions passed
 * over.
 * @return ZK_EAGAIN: there is more; ZK_EBUSY: not now, the log has to grow; ZK_ECLOSED: that was
 * all; another error, with r->why. */
enum zk_err quorum_reading_next(struct quorum_reading *r, struct quorum_chunk *to, uint64_t now_ns);

#endif
