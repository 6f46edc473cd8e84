/* SPDX-License-Identifier: Apache-2.0 */
/** The newest transactions of one server, in zxid order: first those that are committed and kept so
 * that a learner that was away for a while can be brought up to date from memory (ZooKeeper's
 * committed log), then those that are logged and wait for their commit.
 *
 * Whoever sends from it keeps the zxid it has reached, no pointer: a transaction that has left the
 * window is read from the log files instead. Leader core only.
 */
#ifndef ZK_ZAB_HISTORY_H
#define ZK_ZAB_HISTORY_H

#include "core/base/err.h"
#include "core/base/span.h"
#include "core/mem.h"

struct history_entry {
	uint64_t zxid;
	uint64_t at; /* position of its bytes in the byte ring */
	uint32_t n;
	uint64_t tick_ns; /* when it came: a leader gives up learners that owe an ACK for long */
};

struct history {
	struct zk_mem *mem;
	struct history_entry *entry; /* ring of entry_max */
	uint8_t *bytes;              /* ring of bytes_max; no transaction wraps */
	uint32_t entry_max;
	size_t bytes_max;
	uint64_t head, open,
		tail; /* entries are numbered: [head, open) committed, [open, tail) not */
	uint64_t byte_head, byte_tail;
	uint64_t base;      /* zxid before the first entry */
	uint64_t committed; /* newest committed zxid, in the window or before it */
	uint64_t keep;      /* zxid: what is above it is needed here and stays */
	uint64_t full;      /* counter */
};

/** @p entry_max a power of two; @p bytes_max: at least twice the largest transaction. @p base: all
 * up to it is committed and on disk. @return ZK_EOK or ZK_ENOMEM. */
ZK_MUST_USE enum zk_err history_init(struct history *h, struct zk_mem *mem, uint32_t entry_max,
				     size_t bytes_max, uint64_t base);
void history_fini(struct history *h);

/** Forget everything: the state is that of @p base now. */
void history_reset(struct history *h, uint64_t base);

/** All up to @p zxid is applied and durable here; entries above it must not leave. Begins at the
 * base. */
void history_keep(struct history *h, uint64_t zxid);

/** Add a transaction, not committed; its bytes are copied. The oldest committed ones make room.
 * @p zxid is above all before. @return ZK_EOK; ZK_EAGAIN: what waits for its commit, or must be
 * kept, fills it all (counted); ZK_ETOOBIG: it never fits. Bound: entries that leave. */
ZK_MUST_USE enum zk_err history_append(struct history *h, uint64_t zxid, struct zk_span txn,
				       uint64_t now_ns);

/** Would @p n bytes more fit if all up to @p keep that is committed could leave? Bound: log of the
 * entries. */
bool history_room(const struct history *h, size_t n, uint64_t keep);

/** Bytes of what waits for its commit, with what is lost at the end of the ring. */
uint64_t history_waiting(const struct history *h);

/** What recovery replays, in zxid order, before anything else; the newest that fit are kept. After
 * a hole (a zxid that no transaction of the same log comes before) all before it is forgotten. */
void history_replay(struct history *h, uint64_t zxid, struct zk_span txn, uint64_t now_ns);
/** ... and the last one is in: the state is at @p last. Forgets everything when it does not follow.
 */
void history_replayed(struct history *h, uint64_t last);

/** All up to @p zxid is committed. */
void history_commit(struct history *h, uint64_t zxid);

/** Drop all above @p zxid, which is in the window, or history_reset(). */
void history_cut(struct history *h, uint64_t zxid);

/** The newest zxid, committed or not. */
uint64_t history_last(const struct history *h);

/** The first transaction above @p zxid; NULL when there is none. Valid until the next append, cut
 * or reset. Bound: log of the entries. */
const struct history_entry *history_after(const struct history *h, uint64_t zxid);
/** The newest one at or below @p zxid; NULL when all are above it. As history_after(). */
const struct history_entry *history_floor(const struct history *h, uint64_t zxid);

/** Can everything after @p zxid be had from here? */
static inline bool history_covers(const struct history *h, uint64_t zxid)
{
	return zxid >= h->base;
}

static inline struct zk_span history_bytes(const struct history *h, const struct history_entry *e)
{
	return zk_span_of(h->bytes + e->at % h->bytes_max, e->n);
}

#endif
