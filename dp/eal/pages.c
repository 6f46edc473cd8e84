/* SPDX-License-Identifier: Apache-2.0 */
/* Anonymous memory, on huge pages where they can be had. */
#include "dp/eal/eal.h"
#include "dp/eal/eal_int.h"

#include <sys/mman.h>

static const size_t page_2m = (size_t)2 << 20;
static bool huge_allowed; /* written once, before the threads that allocate exist */

void eal_pages_huge_allow(bool allow)
{
	huge_allowed = allow;
}

/* The same for alloc and free, whichever way the memory was had. 0 = too large to round. */
static size_t rounded(size_t n)
{
	size_t unit = n >= page_2m ? page_2m : 4096;

	return n > SIZE_MAX - 2 * page_2m ? 0 : (n + unit - 1) / unit * unit;
}

/* Ordinary pages aligned to 2 MiB, so that the kernel can make huge ones of them. */
static void *map_transparent(size_t size)
{
	size_t over = size + page_2m;
	uint8_t *p = mmap(NULL, over, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t head;

	if (p == MAP_FAILED)
		return NULL;
	head = (page_2m - (uintptr_t)p % page_2m) % page_2m;
	if (head)
		munmap(p, head);
	if (page_2m - head)
		munmap(p + head + size, page_2m - head);
	(void)madvise(p + head, size, MADV_HUGEPAGE); /* a hint; refused is fine */
	return p + head;
}

void *eal_pages_alloc(size_t n)
{
	size_t size = rounded(n);
	void *p;

	if (size == 0)
		return NULL;
	if (size < page_2m) {
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		return p == MAP_FAILED ? NULL : p;
	}
	if (huge_allowed) {
		int lock = eal_huge_lock(); /* not those that a starting server has counted */

		p = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | (21 << MAP_HUGE_SHIFT), -1, 0);
		eal_huge_unlock(lock);
		if (p != MAP_FAILED)
			return p;
	}
	return map_transparent(size);
}

void eal_pages_free(void *p, size_t n)
{
	if (p)
		munmap(p, rounded(n));
}

enum zk_err eal_arena_open(struct eal_arena *a, size_t limit_bytes)
{
	static const size_t spare_min = (size_t)1 << 20;

	a->bytes = limit_bytes + limit_bytes / 8 + spare_min;
	a->pages = eal_pages_alloc(a->bytes);
	if (!a->pages || zk_arena_init(&a->arena, a->pages, a->bytes, limit_bytes) != ZK_EOK) {
		eal_arena_close(a);
		return ZK_ENOMEM;
	}
	return ZK_EOK;
}

void eal_arena_close(struct eal_arena *a)
{
	zk_arena_fini(&a->arena);
	eal_pages_free(a->pages, a->bytes);
	a->pages = NULL;
}
