/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tree/kids.h"

#include "core/base/assert.h"

#include <string.h>

static size_t chunk_bytes(uint64_t slots)
{
	return sizeof(struct tree_kids_chunk) + (size_t)slots * sizeof(uint64_t);
}

struct tree_kids *tree_kids_new(struct tree_alloc *a)
{
	struct tree_kids *k = tree_alloc_get(a, sizeof(*k));

	if (k) {
		memset(k, 0, sizeof(*k));
		k->room = TREE_KIDS_FIRST;
	}
	return k;
}

void tree_kids_free(struct tree_alloc *a, struct tree_kids *k)
{
	struct tree_kids_chunk *c = atomic_load_explicit(&k->next, memory_order_relaxed), *next;
	uint64_t slots = TREE_KIDS_FIRST;

	zk_assert(k->used == 0);
	for (; c; c = next) {
		next = atomic_load_explicit(&c->next, memory_order_relaxed);
		slots *= 2;
		tree_alloc_put(a, c, chunk_bytes(slots));
	}
	tree_alloc_put(a, k, sizeof(*k));
}

/* Number, within its chunk, of slot i; *c becomes that chunk, NULL for the first. */
static uint64_t locate(const struct tree_kids *k, uint64_t i, const struct tree_kids_chunk **c,
		       uint64_t *size)
{
	/* partner of these acquires: release in grow() */
	*c = NULL;
	*size = TREE_KIDS_FIRST;
	while (i >= *size) {
		i -= *size;
		*size *= 2;
		*c = atomic_load_explicit(*c ? &(*c)->next : &k->next, memory_order_acquire);
		if (!*c)
			return UINT64_MAX;
	}
	return i;
}

const _Atomic uint64_t *tree_kids_at(const struct tree_kids *k, uint64_t i, uint64_t *n)
{
	const struct tree_kids_chunk *c;
	uint64_t size, at = locate(k, i, &c, &size);

	if (at == UINT64_MAX)
		return NULL;
	*n = size - at;
	return c ? &c->slot[at] : &k->slot[at];
}

static _Atomic uint64_t *slot_of(struct tree_kids *k, uint64_t i)
{
	uint64_t n;
	const _Atomic uint64_t *s = tree_kids_at(k, i, &n);

	zk_assert(s);
	return (_Atomic uint64_t *)(uintptr_t)s;
}

static bool grow(struct tree_alloc *a, struct tree_kids *k)
{
	uint64_t slots = (uint64_t)k->room + TREE_KIDS_FIRST; /* 4, 8, 16...: sum + 4 is next */
	size_t bytes = chunk_bytes(slots);

	zk_assert(k->room < UINT32_MAX / 4);
	struct tree_kids_chunk *c = tree_alloc_get(a, bytes);

	if (!c)
		return false;
	memset(c, 0, bytes);
	if (bytes > a->largest_chunk)
		a->largest_chunk = bytes;
	/* partner: acquire in locate() */
	atomic_store_explicit(k->tail ? &k->tail->next : &k->next, c, memory_order_release);
	k->tail = c;
	k->room += (uint32_t)slots;
	return true;
}

uint32_t tree_kids_add(struct tree_alloc *a, struct tree_kids *k, struct tree_node *n)
{
	uint32_t i;
	_Atomic uint64_t *s;

	zk_assert(((uintptr_t)n & 1) == 0);
	if (k->free) {
		i = k->free - 1;
		s = slot_of(k, i);
		uint64_t v = atomic_load_explicit(s, memory_order_relaxed);

		zk_assert(v & 1);
		k->free = (uint32_t)(v >> 1);
	} else {
		if (k->high == k->room && !grow(a, k))
			return TREE_KIDS_NONE;
		i = k->high++;
		s = slot_of(k, i);
	}
	k->used++;
	/* partner: acquire in tree_child_next() */
	atomic_store_explicit(s, (uint64_t)(uintptr_t)n, memory_order_release);
	return i;
}

void tree_kids_del(struct tree_kids *k, uint32_t slot)
{
	_Atomic uint64_t *s = slot_of(k, slot);

	zk_assert(k->used > 0 && slot < k->high);
	/* nothing to order: who still sees the node is waited for */
	atomic_store_explicit(s, (uint64_t)k->free << 1 | 1, memory_order_relaxed);
	k->free = slot + 1;
	k->used--;
}
