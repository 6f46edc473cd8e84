/* SPDX-License-Identifier: Apache-2.0 */
#include "core/zab/history.h"

#include "core/base/assert.h"

static struct history_entry *entry_at(const struct history *h, uint64_t i)
{
	return &h->entry[i & (h->entry_max - 1)];
}

enum zk_err history_init(struct history *h, struct zk_mem *mem, uint32_t entry_max,
			 size_t bytes_max, uint64_t base)
{
	zk_assert(entry_max && (entry_max & (entry_max - 1)) == 0);
	*h = (struct history){.mem = mem, .entry_max = entry_max, .bytes_max = bytes_max};
	h->entry = zk_mem_alloc(mem, entry_max * sizeof(*h->entry));
	h->bytes = zk_mem_alloc(mem, bytes_max);
	if (!h->entry || !h->bytes) {
		history_fini(h);
		return ZK_ENOMEM;
	}
	/* Pages are had now, not one after the other while the leader core goes round. */
	memset(h->entry, 0, entry_max * sizeof(*h->entry));
	memset(h->bytes, 0, bytes_max);
	history_reset(h, base);
	return ZK_EOK;
}

void history_fini(struct history *h)
{
	zk_mem_free(h->mem, h->entry, h->entry_max * sizeof(*h->entry));
	zk_mem_free(h->mem, h->bytes, h->bytes_max);
	h->entry = NULL;
	h->bytes = NULL;
}

void history_reset(struct history *h, uint64_t base)
{
	h->head = h->open = h->tail = 0;
	h->byte_head = h->byte_tail = 0;
	h->base = h->committed = h->keep = base;
}

/* Where @p n bytes in one piece would begin. */
static uint64_t place(const struct history *h, size_t n)
{
	uint64_t at = h->byte_tail;

	if (at % h->bytes_max + n > h->bytes_max)
		at += h->bytes_max - at % h->bytes_max;
	return at;
}

static bool fits(const struct history *h, size_t n)
{
	return h->tail - h->head < h->entry_max && place(h, n) + n - h->byte_head <= h->bytes_max;
}

static void drop_first(struct history *h)
{
	const struct history_entry *e = entry_at(h, h->head++);

	h->base = e->zxid;
	h->byte_head = h->head == h->tail ? h->byte_tail : entry_at(h, h->head)->at;
}

enum zk_err history_append(struct history *h, uint64_t zxid, struct zk_span txn, uint64_t now_ns)
{
	struct history_entry *e;

	zk_assert(zxid > history_last(h));
	if (txn.n > h->bytes_max / 2)
		return ZK_ETOOBIG;
	while (!fits(h, txn.n) && h->head < h->open && entry_at(h, h->head)->zxid <= h->keep)
		drop_first(h);
	if (!fits(h, txn.n)) {
		h->full++;
		return ZK_EAGAIN;
	}
	e = entry_at(h, h->tail);
	*e = (struct history_entry){
		.zxid = zxid, .at = place(h, txn.n), .n = (uint32_t)txn.n, .tick_ns = now_ns};
	if (h->head == h->tail)
		h->byte_head = e->at;
	memcpy(h->bytes + e->at % h->bytes_max, txn.p, txn.n);
	h->byte_tail = e->at + txn.n;
	h->tail++;
	return ZK_EOK;
}

void history_keep(struct history *h, uint64_t zxid)
{
	if (zxid > h->keep)
		h->keep = zxid;
}

void history_commit(struct history *h, uint64_t zxid)
{
	while (h->open < h->tail && entry_at(h, h->open)->zxid <= zxid)
		h->open++;
	if (zxid > h->committed)
		h->committed = zxid;
}

void history_cut(struct history *h, uint64_t zxid)
{
	zk_assert(history_covers(h, zxid));
	while (h->tail > h->head && entry_at(h, h->tail - 1)->zxid > zxid)
		h->byte_tail = entry_at(h, --h->tail)->at;
	if (h->open > h->tail)
		h->open = h->tail;
	if (h->committed > zxid)
		h->committed = zxid;
	if (h->keep > zxid)
		h->keep = zxid;
}

uint64_t history_last(const struct history *h)
{
	uint64_t last = h->tail == h->head ? h->base : entry_at(h, h->tail - 1)->zxid;

	return last > h->committed ? last : h->committed;
}

/* The number of the first entry above @p zxid. */
static uint64_t above(const struct history *h, uint64_t zxid)
{
	uint64_t low = h->head, high = h->tail, behind;

	/* nearly always who asks is at the end */
	if (low == high || entry_at(h, high - 1)->zxid <= zxid)
		return high;
	/* or near it, and zxids of an epoch follow each other */
	behind = entry_at(h, high - 1)->zxid - zxid;
	if (behind <= high - low && entry_at(h, high - behind)->zxid == zxid + 1)
		return high - behind;
	while (low < high) {
		uint64_t mid = low + (high - low) / 2;

		if (entry_at(h, mid)->zxid <= zxid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct history_entry *history_after(const struct history *h, uint64_t zxid)
{
	uint64_t i = above(h, zxid);

	return i < h->tail ? entry_at(h, i) : NULL;
}

const struct history_entry *history_floor(const struct history *h, uint64_t zxid)
{
	uint64_t i = above(h, zxid);

	return i > h->head ? entry_at(h, i - 1) : NULL;
}

bool history_room(const struct history *h, size_t n, uint64_t keep)
{
	uint64_t first = above(h, keep < h->committed ? keep : h->committed);
	uint64_t byte_head;

	if (first > h->open)
		first = h->open;
	byte_head = first == h->tail ? h->byte_tail : entry_at(h, first)->at;
	return h->tail - first < h->entry_max && place(h, n) + n - byte_head <= h->bytes_max;
}

uint64_t history_waiting(const struct history *h)
{
	return h->open == h->tail ? 0 : h->byte_tail - entry_at(h, h->open)->at;
}

void history_replay(struct history *h, uint64_t zxid, struct zk_span txn, uint64_t now_ns)
{
	uint64_t last = history_last(h);
	bool next = zxid == last + 1 || (zxid >> 32 > last >> 32 && (zxid & UINT32_MAX) == 1);

	if (zxid <= last && h->head != h->tail)
		return;
	/* Every zxid of an epoch is used, from 1 on: the one before is known. */
	if (h->head == h->tail || !next)
		history_reset(h, zxid - 1);
	if (history_append(h, zxid, txn, now_ns) != ZK_EOK) {
		history_reset(h, zxid); /* larger than all there is */
		return;
	}
	history_commit(h, zxid);
	history_keep(h, zxid);
}

void history_replayed(struct history *h, uint64_t last)
{
	if (history_last(h) != last)
		history_reset(h, last);
}
