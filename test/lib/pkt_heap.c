/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/pkt_heap.h"

#include "core/base/list.h"

#include <stdlib.h>
#include <string.h>

struct pkt_pool {
	struct zk_list live;
	struct pkt *recycled;
	uint32_t limit, n_live, room;
	unsigned flags;
};

struct heap_pkt {
	struct pkt p;
	struct zk_list link;
	struct pkt_pool *pool;
	uint32_t refs;
	_Alignas(64) uint8_t bytes[];
};

static struct heap_pkt *heap_of(const struct pkt *p)
{
	return (struct heap_pkt *)(uintptr_t)p;
}

struct pkt_pool *pkt_heap_pool_new_flags(uint32_t packets, uint32_t room_bytes, unsigned flags)
{
	struct pkt_pool *pool = malloc(sizeof(*pool));

	zk_assert(pool);
	*pool = (struct pkt_pool){.limit = packets, .room = room_bytes, .flags = flags};
	zk_list_init(&pool->live);
	return pool;
}

struct pkt_pool *pkt_heap_pool_new(uint32_t packets, uint32_t room_bytes)
{
	return pkt_heap_pool_new_flags(packets, room_bytes, 0);
}

uint32_t pkt_heap_pool_free(struct pkt_pool *pool)
{
	uint32_t leaked = pool->n_live;

	while (!zk_list_empty(&pool->live)) {
		struct heap_pkt *h = zk_container_of(pool->live.next, struct heap_pkt, link);

		zk_list_del(&h->link);
		free(h);
	}
	while (pool->recycled) {
		struct pkt *p = pool->recycled;

		pool->recycled = p->next;
		free(heap_of(p));
	}
	free(pool);
	return leaked;
}

uint32_t pkt_heap_pool_live(const struct pkt_pool *pool)
{
	return pool->n_live;
}

void pkt_heap_pool_limit(struct pkt_pool *pool, uint32_t packets)
{
	pool->limit = packets;
}

uint32_t pkt_heap_refs(const struct pkt *p)
{
	return heap_of(p)->refs;
}

struct pkt *pkt_heap_from(struct pkt_pool *pool, const void *bytes, uint32_t n)
{
	struct pkt *p = n <= pool->room ? pkt_alloc(pool) : NULL;

	if (p && n)
		memcpy(pkt_append(p, n), bytes, n);
	return p;
}

struct pkt *pkt_heap_copy(struct pkt_pool *pool, const struct pkt *p)
{
	struct pkt *q = pkt_heap_from(pool, p->data, p->len);

	if (q)
		q->flags = p->flags;
	return q;
}

struct pkt *pkt_alloc(struct pkt_pool *pool)
{
	uint32_t bytes = PKT_HEADROOM + pool->room;
	struct heap_pkt *h;

	if (pool->n_live >= pool->limit)
		return NULL;
	if (pool->recycled) {
		h = heap_of(pool->recycled);
		pool->recycled = h->p.next;
	} else {
		h = aligned_alloc(64, (sizeof(*h) + bytes + 63) & ~(size_t)63);
		zk_assert(h);
		if (!(pool->flags & PKT_HEAP_RECYCLE))
			memset(h->bytes, PKT_HEAP_POISON, bytes);
	}
	h->p = (struct pkt){.buf = h->bytes, .data = h->bytes + PKT_HEADROOM, .buf_bytes = bytes};
	h->pool = pool;
	h->refs = 1;
	pool->n_live++;
	zk_list_add_tail(&pool->live, &h->link);
	return &h->p;
}

void pkt_free(struct pkt *p)
{
	struct heap_pkt *h;
	struct pkt_pool *pool;

	if (!p)
		return;
	h = heap_of(p);
	pool = h->pool;
	zk_assert(h->refs > 0);
	if (--h->refs)
		return;
	zk_assert(pool->n_live > 0);
	pool->n_live--;
	zk_list_del(&h->link);
	if (pool->flags & PKT_HEAP_RECYCLE) {
		h->p.next = pool->recycled;
		pool->recycled = &h->p;
		return;
	}
	memset(h->bytes, PKT_HEAP_POISON, h->p.buf_bytes);
	free(h);
}

void pkt_ref(struct pkt *p)
{
	zk_assert(heap_of(p)->refs > 0);
	heap_of(p)->refs++;
}

bool pkt_shared(const struct pkt *p)
{
	zk_assert(heap_of(p)->refs > 0);
	return heap_of(p)->refs > 1;
}

uint32_t pkt_pool_free_count(const struct pkt_pool *pool)
{
	return pool->limit > pool->n_live ? pool->limit - pool->n_live : 0;
}

uint32_t pkt_pool_size(const struct pkt_pool *pool)
{
	return pool->limit;
}

uint32_t pkt_pool_room(const struct pkt_pool *pool)
{
	return pool->room;
}
