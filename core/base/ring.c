/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/ring.h"

/* Before each record: its size. WRAP: nothing more before the end of the buffer. */
struct head {
	uint32_t n;
	uint32_t kind;
};

enum { KIND_RECORD = 0x7a6b7231, KIND_WRAP = 0x7a6b7232 };

enum { WARM_BYTES = 64 << 10 }; /* skip_at(): fits into a core's own cache */

static size_t record_space(size_t n)
{
	return sizeof(struct head) + ((n + 7) & ~(size_t)7);
}

enum zk_err zk_ring_init(struct zk_ring *r, struct zk_mem *mem, size_t size_bytes)
{
	zk_assert(size_bytes >= 4096 && (size_bytes & (size_bytes - 1)) == 0);
	uint8_t *bytes = zk_mem_alloc(mem, size_bytes);

	if (!bytes)
		return ZK_ENOMEM;
	*r = (struct zk_ring){.bytes = bytes, .size = size_bytes, .mem = mem};
	return ZK_EOK;
}

void zk_ring_fini(struct zk_ring *r)
{
	zk_mem_free(r->mem, r->bytes, (size_t)r->size);
	r->bytes = NULL;
}

static bool has_room(struct zk_ring *r, uint64_t end)
{
	if (end - r->get_seen <= r->size)
		return true;
	/* partner: release in zk_ring_release() */
	r->get_seen = atomic_load_explicit(&r->released, memory_order_acquire);
	return end - r->get_seen <= r->size;
}

/* How much of the buffer's end to leave out before a record at @p off: what it does not fit in. Or
 * all of it: a ring that is empty now and then goes back to its start, whose lines are still in the
 * cache and whose pages are there, instead of walking over all it has. That is looked at once in
 * WARM_BYTES, for the consumer's line is not the producer's. */
static uint64_t skip_at(struct zk_ring *r, uint64_t off, size_t need)
{
	uint64_t warm = r->size / 4 < WARM_BYTES ? r->size / 4 : WARM_BYTES;

	if (off + need > r->size)
		return r->size - off;
	if (off / warm == (off + need) / warm || off < need)
		return 0;
	/* partner: release in zk_ring_release() */
	r->get_seen = atomic_load_explicit(&r->released, memory_order_acquire);
	return r->get_seen == r->put ? r->size - off : 0;
}

void *zk_ring_reserve(struct zk_ring *r, size_t n)
{
	size_t need = record_space(n);
	uint64_t off = r->put & (r->size - 1);
	uint64_t skip = skip_at(r, off, need);

	zk_assert(n <= zk_ring_record_max(r) && r->reserved == 0);
	if (!has_room(r, r->put + skip + need)) {
		r->full++;
		return NULL;
	}
	if (skip) { /* positions are multiples of 8, so a head always fits */
		*(struct head *)(void *)(r->bytes + off) = (struct head){0, KIND_WRAP};
		r->put += skip;
		off = 0;
	}
	r->reserved = (uint32_t)need;
	return r->bytes + off + sizeof(struct head);
}

void zk_ring_commit(struct zk_ring *r, size_t n)
{
	size_t space = record_space(n);

	zk_assert(r->reserved != 0 && space <= r->reserved);
	*(struct head *)(void *)(r->bytes + (r->put & (r->size - 1))) =
		(struct head){(uint32_t)n, KIND_RECORD};
	r->put += space;
	r->reserved = 0;
}

const void *zk_ring_next(struct zk_ring *r, size_t *n)
{
	for (;;) {
		if (r->get == r->published_seen) {
			/* partner: release in zk_ring_publish() */
			r->published_seen =
				atomic_load_explicit(&r->published, memory_order_acquire);
			if (r->get == r->published_seen)
				return NULL;
		}
		uint64_t off = r->get & (r->size - 1);
		const struct head *h = (const struct head *)(const void *)(r->bytes + off);

		if (h->kind == KIND_WRAP) {
			r->get += r->size - off;
			continue;
		}
		zk_assert(h->kind == KIND_RECORD);
		r->get += record_space(h->n);
		*n = h->n;
		return h + 1;
	}
}

void zk_ring_unget(struct zk_ring *r, const void *rec)
{
	const struct head *h = (const struct head *)rec - 1;
	uint64_t pos = r->get - record_space(h->n);

	zk_assert((const uint8_t *)h == r->bytes + (pos & (r->size - 1)));
	r->get = pos;
}
