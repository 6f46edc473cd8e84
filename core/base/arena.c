/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/arena.h"

#include "core/base/assert.h"

#include <stdbool.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#else
#define __asan_poison_memory_region(p, n)   ((void)(p), (void)(n))
#define __asan_unpoison_memory_region(p, n) ((void)(p), (void)(n))
#endif

/* Blocks follow each other without gaps; the last one is a used sentinel of size 0. */
struct zk_arena_block {
	uint64_t size; /* payload bytes, a multiple of 16; bit 0: free */
	struct zk_arena_block *before;
	/* payload; while free: */
	struct zk_arena_block *next, *prev;
};

enum {
	ALIGN = 16,
	HEAD = 16,
	PAYLOAD_MIN = 16,
	FREE = 1,
	LINEAR_BITS = 8,
	STEP_BITS = 4,
	SAME_TRIES = 8
};

static size_t size_of(const struct zk_arena_block *b)
{
	return (size_t)(b->size & ~(uint64_t)FREE);
}

static bool is_free(const struct zk_arena_block *b)
{
	return b->size & FREE;
}

static struct zk_arena_block *after(const struct zk_arena_block *b)
{
	return (struct zk_arena_block *)(void *)((uint8_t *)(uintptr_t)b + HEAD + size_of(b));
}

static void *payload(struct zk_arena_block *b)
{
	return (uint8_t *)b + HEAD;
}

/* Class 0 holds sizes below 256 in steps of 16; class i >= 1 those of [2^(7+i), 2^(8+i)) in
 * sixteenths. */
static void bin_of(size_t size, unsigned *class, unsigned *step)
{
	if (size < (1u << LINEAR_BITS)) {
		*class = 0;
		*step = (unsigned)(size / ALIGN);
		return;
	}
	unsigned log = 63 - (unsigned)__builtin_clzll(size);

	*class = log - LINEAR_BITS + 1;
	*step = (unsigned)(size >> (log - STEP_BITS)) & (ZK_ARENA_STEPS - 1);
}

/* The smallest size such that every block of its bin is large enough for @p size. */
static size_t round_to_bin(size_t size)
{
	if (size < (1u << LINEAR_BITS))
		return size;
	unsigned log = 63 - (unsigned)__builtin_clzll(size);
	size_t step = (size_t)1 << (log - STEP_BITS);

	return (size + step - 1) & ~(step - 1);
}

static void bin_put(struct zk_arena *a, struct zk_arena_block *b)
{
	unsigned class, step;

	bin_of(size_of(b), &class, &step);
	b->size |= FREE;
	b->prev = NULL;
	b->next = a->free[class][step];
	if (b->next)
		b->next->prev = b;
	a->free[class][step] = b;
	a->steps[class] |= 1u << step;
	a->classes |= UINT64_C(1) << class;
}

static void bin_take(struct zk_arena *a, struct zk_arena_block *b)
{
	unsigned class, step;

	bin_of(size_of(b), &class, &step);
	if (b->prev)
		b->prev->next = b->next;
	else
		a->free[class][step] = b->next;
	if (b->next)
		b->next->prev = b->prev;
	b->size &= ~(uint64_t)FREE;
	if (a->free[class][step])
		return;
	a->steps[class] &= ~(1u << step);
	if (!a->steps[class])
		a->classes &= ~(UINT64_C(1) << class);
}

static struct zk_arena_block *bin_find(const struct zk_arena *a, size_t size)
{
	unsigned class, step, tries = 0;

	/* The hole that one of this size has left lies in a bin whose blocks are not all large
	 * enough; without a look there it would be good for smaller ones only. */
	bin_of(size, &class, &step);
	for (struct zk_arena_block *b = a->free[class][step]; b && tries < SAME_TRIES;
	     b = b->next, tries++)
		if (size_of(b) >= size)
			return b;
	bin_of(round_to_bin(size), &class, &step);
	if (class >= ZK_ARENA_CLASSES)
		return NULL;
	uint32_t steps = a->steps[class] & (UINT32_MAX << step);

	if (!steps) {
		uint64_t classes =
			class + 1 < ZK_ARENA_CLASSES ? a->classes & (UINT64_MAX << (class + 1)) : 0;

		if (!classes)
			return NULL;
		class = (unsigned)__builtin_ctzll(classes);
		steps = a->steps[class];
	}
	return a->free[class][__builtin_ctz(steps)];
}

/* Cut @p b, which is in no bin, behind @p size bytes; the rest goes to its bin. */
static void split(struct zk_arena *a, struct zk_arena_block *b, size_t size)
{
	size_t rest = size_of(b) - size;
	struct zk_arena_block *r;

	if (rest < HEAD + PAYLOAD_MIN)
		return;
	b->size = size;
	r = after(b);
	__asan_unpoison_memory_region(r, sizeof(*r));
	r->size = rest - HEAD;
	r->before = b;
	after(r)->before = r;
	bin_put(a, r);
}

static void *arena_alloc(struct zk_mem *m, size_t n)
{
	struct zk_arena *a = zk_container_of(m, struct zk_arena, mem);
	size_t size = n < PAYLOAD_MIN ? PAYLOAD_MIN : (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	struct zk_arena_block *b = NULL;

	if (size >= n && size < a->bytes &&
	    (m->limit_bytes == 0 ||
	     (m->used_bytes <= m->limit_bytes && n <= m->limit_bytes - m->used_bytes)))
		b = bin_find(a, size);
	if (!b) {
		m->failures++;
		return NULL;
	}
	bin_take(a, b);
	split(a, b, size);
	__asan_unpoison_memory_region(payload(b), n);
	m->used_bytes += n;
	return payload(b);
}

static void arena_free(struct zk_mem *m, void *p, size_t n)
{
	struct zk_arena *a = zk_container_of(m, struct zk_arena, mem);
	struct zk_arena_block *b = (struct zk_arena_block *)(void *)((uint8_t *)p - HEAD), *next;
	uint8_t *from = (uint8_t *)(b + 1), *to;

	zk_assert((uintptr_t)p % ALIGN == 0 && !is_free(b) && n <= size_of(b));
	zk_assert(m->used_bytes >= n);
	m->used_bytes -= n;
	__asan_unpoison_memory_region(payload(b), size_of(b));
	next = after(b);
	to = (uint8_t *)next;
	if (is_free(next)) {
		to = (uint8_t *)(next + 1);
		bin_take(a, next);
		b->size += HEAD + size_of(next);
	}
	if (b->before && is_free(b->before)) {
		from = (uint8_t *)b;
		b = b->before;
		bin_take(a, b);
		b->size += HEAD + size_of(after(b));
	}
	after(b)->before = b;
	bin_put(a, b);
	/* Behind the links of a free block nobody has business. What was free is poisoned already,
	 * and may be gigabytes. */
	__asan_poison_memory_region(from, (size_t)(to - from));
}

enum zk_err zk_arena_init(struct zk_arena *a, void *base, size_t n, size_t limit_bytes)
{
	uintptr_t start = ((uintptr_t)base + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1);
	uintptr_t end = ((uintptr_t)base + n) & ~(uintptr_t)(ALIGN - 1);
	struct zk_arena_block *b, *last;

	if (n < 256 || end - start < 256)
		return ZK_EINVAL;
	memset(a, 0, sizeof(*a));
	a->mem = (struct zk_mem){
		.alloc = arena_alloc, .free = arena_free, .limit_bytes = limit_bytes};
	a->base = (void *)start;
	a->bytes = end - start;
	__asan_unpoison_memory_region(a->base, a->bytes);
	b = a->base;
	b->size = a->bytes - 2 * HEAD;
	b->before = NULL;
	last = after(b);
	last->size = 0;
	last->before = b;
	bin_put(a, b);
	__asan_poison_memory_region(b + 1, size_of(b) - PAYLOAD_MIN);
	return ZK_EOK;
}

void zk_arena_fini(struct zk_arena *a)
{
	__asan_unpoison_memory_region(a->base, a->bytes);
	*a = (struct zk_arena){0};
}

size_t zk_arena_largest(const struct zk_arena *a)
{
	if (!a->classes)
		return 0;
	unsigned class = 63 - (unsigned)__builtin_clzll(a->classes);
	unsigned step = 31 - (unsigned)__builtin_clz(a->steps[class]);

	/* every block of a bin is at least as large as the bin's smallest size */
	return class == 0
		       ? (size_t)step * ALIGN
		       : (((size_t)1 << STEP_BITS) + step) << (class + LINEAR_BITS - 1 - STEP_BITS);
}

void zk_arena_check(const struct zk_arena *a)
{
	const struct zk_arena_block *b = a->base, *before = NULL;
	size_t free_blocks = 0, binned = 0;

	for (;; before = b, b = after(b)) {
		zk_assert(b->before == before);
		zk_assert(!(before && is_free(before) && is_free(b)));
		free_blocks += is_free(b);
		if (size_of(b) == 0)
			break;
	}
	zk_assert((const uint8_t *)b + HEAD == (const uint8_t *)a->base + a->bytes);
	for (unsigned i = 0; i < ZK_ARENA_CLASSES; i++) {
		for (unsigned j = 0; j < ZK_ARENA_STEPS; j++) {
			zk_assert(!a->free[i][j] == !(a->steps[i] & (1u << j)));
			for (b = a->free[i][j]; b; b = b->next)
				binned++;
		}
		zk_assert(!a->steps[i] == !(a->classes & (UINT64_C(1) << i)));
	}
	zk_assert(binned == free_blocks);
}
