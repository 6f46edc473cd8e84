/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/slab.h"

#include "core/base/assert.h"

#include <stdbool.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLAB_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SLAB_ASAN 1
#endif

#ifdef SLAB_ASAN
#include <sanitizer/asan_interface.h>
enum { OLDEST_FIRST = 1 }; /* so that a stale pointer meets poison for longer */
#else
#define __asan_poison_memory_region(p, n)   ((void)(p), (void)(n))
#define __asan_unpoison_memory_region(p, n) ((void)(p), (void)(n))
enum { OLDEST_FIRST = 0 };
#endif

struct zk_slab_region {
	struct zk_list link;
	char *base;
	uint64_t free; /* bit i: chunk i is free */
};

struct free_obj {
	struct free_obj *next;
};

struct zk_slab_chunk {
	struct zk_list link; /* in slab->partial, or alone when full */
	struct zk_slab *slab;
	struct zk_slab_region *region;
	struct free_obj *first, *last;
	uint32_t used;
	uint32_t fresh; /* objects from here on were never handed out */
};

_Static_assert(sizeof(struct zk_slab_chunk) <= ZK_SLAB_HEAD_BYTES, "chunk header");
_Static_assert(sizeof(struct zk_slab_region) <= 64, "region header");

#define ALL_CHUNKS ((UINT64_C(1) << ZK_SLAB_REGION_CHUNKS) - 1)

void zk_slab_pool_init(struct zk_slab_pool *p, struct zk_mem *mem)
{
	*p = (struct zk_slab_pool){.mem = mem};
	zk_list_init(&p->regions_free);
	zk_list_init(&p->regions_full);
}

static void region_free(struct zk_slab_pool *p, struct zk_slab_region *g)
{
	zk_assert(g->free == ALL_CHUNKS);
	zk_list_del(&g->link);
	p->free_chunks -= ZK_SLAB_REGION_CHUNKS;
	__asan_unpoison_memory_region(g, ZK_SLAB_REGION_BYTES);
	zk_mem_free(p->mem, g, ZK_SLAB_REGION_BYTES);
}

void zk_slab_pool_fini(struct zk_slab_pool *p)
{
	while (!zk_list_empty(&p->regions_free)) /* each round frees one */
		region_free(p, zk_container_of(p->regions_free.next, struct zk_slab_region, link));
	zk_assert(zk_list_empty(&p->regions_full) && p->free_chunks == 0);
}

size_t zk_slab_pool_free_bytes(const struct zk_slab_pool *p)
{
	return p->free_chunks * ZK_SLAB_CHUNK_BYTES;
}

static bool region_add(struct zk_slab_pool *p)
{
	struct zk_slab_region *g = zk_mem_alloc(p->mem, ZK_SLAB_REGION_BYTES);

	if (!g)
		return false;
	uintptr_t base = (uintptr_t)g + sizeof(*g) + ZK_SLAB_CHUNK_BYTES - 1;

	g->base = (char *)(base & ~(uintptr_t)(ZK_SLAB_CHUNK_BYTES - 1));
	g->free = ALL_CHUNKS;
	zk_list_add_tail(&p->regions_free, &g->link);
	p->free_chunks += ZK_SLAB_REGION_CHUNKS;
	return true;
}

bool zk_slab_pool_keep(struct zk_slab_pool *p, size_t bytes, unsigned regions)
{
	p->keep_chunks = (bytes + ZK_SLAB_CHUNK_BYTES - 1) / ZK_SLAB_CHUNK_BYTES;
	while (p->free_chunks < p->keep_chunks && regions-- && region_add(p))
		;
	return p->free_chunks >= p->keep_chunks;
}

static struct zk_slab_chunk *chunk_take(struct zk_slab_pool *p)
{
	if (zk_list_empty(&p->regions_free) && !region_add(p))
		return NULL;

	struct zk_slab_region *g =
		zk_container_of(p->regions_free.next, struct zk_slab_region, link);
	int i = __builtin_ctzll(g->free);
	struct zk_slab_chunk *c = (void *)(g->base + (size_t)i * ZK_SLAB_CHUNK_BYTES);

	g->free &= g->free - 1;
	p->free_chunks--;
	if (g->free == 0) {
		zk_list_del(&g->link);
		zk_list_add_tail(&p->regions_full, &g->link);
	}
	__asan_unpoison_memory_region(c, sizeof(*c));
	c->region = g;
	return c;
}

static void chunk_give(struct zk_slab_pool *p, struct zk_slab_chunk *c)
{
	struct zk_slab_region *g = c->region;
	size_t i = (size_t)((char *)c - g->base) / ZK_SLAB_CHUNK_BYTES;

	if (g->free == 0) {
		zk_list_del(&g->link);
		zk_list_add_tail(&p->regions_free, &g->link);
	}
	zk_assert((g->free & (UINT64_C(1) << i)) == 0);
	g->free |= UINT64_C(1) << i;
	p->free_chunks++;
	if (g->free == ALL_CHUNKS && p->free_chunks > ZK_SLAB_REGION_CHUNKS + p->keep_chunks)
		region_free(p, g);
}

void zk_slab_init(struct zk_slab *s, struct zk_slab_pool *p, size_t obj_bytes)
{
	zk_assert(obj_bytes > 0 && obj_bytes % 16 == 0 && obj_bytes <= ZK_SLAB_OBJ_MAX);
	*s = (struct zk_slab){.pool = p, .obj_bytes = (uint32_t)obj_bytes};
	s->per_chunk = (ZK_SLAB_CHUNK_BYTES - ZK_SLAB_HEAD_BYTES) / s->obj_bytes;
	zk_list_init(&s->partial);
}

static void chunk_release(struct zk_slab *s, struct zk_slab_chunk *c)
{
	zk_assert(c->used == 0);
	zk_list_del(&c->link);
	s->free_objs -= s->per_chunk;
	chunk_give(s->pool, c);
}

void zk_slab_fini(struct zk_slab *s)
{
	zk_assert(s->used_objs == 0);
	while (!zk_list_empty(&s->partial)) /* each round releases one */
		chunk_release(s, zk_container_of(s->partial.next, struct zk_slab_chunk, link));
	zk_assert(s->free_objs == 0);
}

static bool chunk_add(struct zk_slab *s)
{
	struct zk_slab_chunk *c = chunk_take(s->pool);

	if (!c)
		return false;
	c->slab = s;
	c->first = c->last = NULL;
	c->used = c->fresh = 0;
	zk_list_add_head(&s->partial, &c->link);
	s->free_objs += s->per_chunk;
	__asan_poison_memory_region((char *)c + ZK_SLAB_HEAD_BYTES,
				    ZK_SLAB_CHUNK_BYTES - ZK_SLAB_HEAD_BYTES);
	return true;
}

void *zk_slab_get(struct zk_slab *s)
{
	void *p;

	if (zk_list_empty(&s->partial) && !chunk_add(s))
		return NULL;

	struct zk_slab_chunk *c = zk_container_of(s->partial.next, struct zk_slab_chunk, link);

	/* never-used objects first when old ones are to rest, last otherwise */
	if (c->first && !(OLDEST_FIRST && c->fresh < s->per_chunk)) {
		p = c->first;
		__asan_unpoison_memory_region(p, s->obj_bytes);
		c->first = c->first->next;
		__builtin_prefetch(c->first, 1); /* for the next one: it was put back long ago */
	} else {
		zk_assert(c->fresh < s->per_chunk);
		p = (char *)c + ZK_SLAB_HEAD_BYTES + (size_t)c->fresh++ * s->obj_bytes;
		__asan_unpoison_memory_region(p, s->obj_bytes);
	}
	s->free_objs--;
	s->used_objs++;
	if (++c->used == s->per_chunk)
		zk_list_del(&c->link);
	return p;
}

static void obj_link(struct zk_slab_chunk *c, struct free_obj *o)
{
	if (!c->first || !OLDEST_FIRST) {
		o->next = c->first;
		if (!c->first)
			c->last = o;
		c->first = o;
		return;
	}
	o->next = NULL;
	__asan_unpoison_memory_region(c->last, sizeof(*o));
	c->last->next = o;
	__asan_poison_memory_region(c->last, sizeof(*o));
	c->last = o;
}

void zk_slab_put(void *obj)
{
	if (!obj)
		return;

	struct zk_slab_chunk *c = (void *)((uintptr_t)obj & ~(uintptr_t)(ZK_SLAB_CHUNK_BYTES - 1));
	struct zk_slab *s = c->slab;

	zk_assert(c->used > 0 &&
		  ((size_t)((char *)obj - (char *)c) - ZK_SLAB_HEAD_BYTES) % s->obj_bytes == 0);
	obj_link(c, obj);
	__asan_poison_memory_region(obj, s->obj_bytes);
	if (c->used == s->per_chunk)
		zk_list_add_tail(&s->partial, &c->link);
	c->used--;
	s->used_objs--;
	s->free_objs++;
	if (c->used == 0) /* at once: an empty chunk that stays would hold its region */
		chunk_release(s, c);
}
