/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/wheel.h"

#include "core/base/assert.h"

enum { SLOT_MASK = ZK_WHEEL_SLOTS - 1, RANGE_BITS = ZK_WHEEL_LEVELS * ZK_WHEEL_SLOT_BITS };

static unsigned slot_at(uint64_t tick, unsigned level)
{
	return (unsigned)(tick >> (level * ZK_WHEEL_SLOT_BITS)) & SLOT_MASK;
}

void zk_wheel_init(struct zk_wheel *w, uint64_t now_ns, unsigned tick_shift)
{
	zk_assert(tick_shift <= 40);
	w->tick_shift = tick_shift;
	w->tick = now_ns >> tick_shift;
	for (unsigned l = 0; l < ZK_WHEEL_LEVELS; l++) {
		w->used[l] = 0;
		for (unsigned s = 0; s < ZK_WHEEL_SLOTS; s++)
			zk_list_init(&w->slot[l][s]);
	}
}

/* Rounded up, so that nothing fires early. */
static uint64_t due_tick(const struct zk_wheel *w, const struct zk_wheel_entry *e)
{
	uint64_t t = e->due_ns >> w->tick_shift;

	if ((t << w->tick_shift) != e->due_ns)
		t++;
	return t;
}

static void place(struct zk_wheel *w, struct zk_wheel_entry *e)
{
	uint64_t t = due_tick(w, e), diff;
	unsigned level = 0, s;

	if (t < w->tick)
		t = w->tick;
	diff = t ^ w->tick;
	if (diff >> RANGE_BITS) {
		/* Beyond the wheel: wait at its end and be placed again from there. */
		t = w->tick | (((uint64_t)1 << RANGE_BITS) - 1);
		diff = t ^ w->tick;
	}
	if (diff)
		level = (63 - (unsigned)__builtin_clzll(diff)) / ZK_WHEEL_SLOT_BITS;
	s = slot_at(t, level);
	w->used[level] |= (uint64_t)1 << s;
	zk_list_add_tail(&w->slot[level][s], &e->link);
}

void zk_wheel_set(struct zk_wheel *w, struct zk_wheel_entry *e, uint64_t due_ns)
{
	zk_list_del(&e->link);
	e->due_ns = due_ns;
	place(w, e);
}

/* First slot of @p level from index @p from on that really holds entries; -1 = none. */
static int first_used(struct zk_wheel *w, unsigned level, unsigned from)
{
	while (from < ZK_WHEEL_SLOTS) {
		uint64_t bits = w->used[level] >> from;
		unsigned s;

		if (!bits)
			return -1;
		s = from + (unsigned)__builtin_ctzll(bits);
		if (!zk_list_empty(&w->slot[level][s]))
			return (int)s;
		w->used[level] &= ~((uint64_t)1 << s); /* cancelled meanwhile */
		from = s + 1;
	}
	return -1;
}

/* The first tick >= w->tick at which there is something to do; false = never. */
static bool next_tick(struct zk_wheel *w, uint64_t *tick)
{
	for (unsigned l = 0; l < ZK_WHEEL_LEVELS; l++) {
		unsigned shift = l * ZK_WHEEL_SLOT_BITS;
		int s = first_used(w, l, slot_at(w->tick, l));

		if (s < 0)
			continue;
		uint64_t base = w->tick >> shift >> ZK_WHEEL_SLOT_BITS << ZK_WHEEL_SLOT_BITS
								       << shift;
		uint64_t t = base | (uint64_t)s << shift;

		*tick = t > w->tick ? t : w->tick;
		return true;
	}
	return false;
}

/* Entries of a coarse slot that w->tick has just reached go to finer levels. */
static bool cascade(struct zk_wheel *w, unsigned *budget)
{
	for (unsigned l = ZK_WHEEL_LEVELS - 1; l > 0; l--) {
		struct zk_list *slot = &w->slot[l][slot_at(w->tick, l)];

		while (!zk_list_empty(slot)) {
			struct zk_wheel_entry *e =
				zk_container_of(slot->next, struct zk_wheel_entry, link);

			if (*budget == 0)
				return false;
			--*budget;
			zk_list_del(&e->link);
			place(w, e);
		}
	}
	return true;
}

struct zk_wheel_entry *zk_wheel_expire(struct zk_wheel *w, uint64_t now_ns, unsigned *budget)
{
	uint64_t now = now_ns >> w->tick_shift, next;

	while (w->tick <= now && *budget) {
		struct zk_list *slot = &w->slot[0][w->tick & SLOT_MASK];
		struct zk_wheel_entry *e;

		if (!cascade(w, budget) || *budget == 0)
			return NULL;
		if (!zk_list_empty(slot)) {
			e = zk_container_of(slot->next, struct zk_wheel_entry, link);
			--*budget;
			zk_list_del(&e->link);
			if (due_tick(w, e) <= w->tick)
				return e;
			/* It had been beyond the range of the wheel: step over the window's end. */
			if (slot_at(w->tick, 0) == SLOT_MASK && now > w->tick)
				w->tick++;
			place(w, e);
			continue;
		}
		if (!next_tick(w, &next) || next > now)
			next = now + 1;
		else if (next == w->tick)
			next++;
		w->tick = next;
	}
	return NULL;
}

uint64_t zk_wheel_next_ns(struct zk_wheel *w)
{
	uint64_t t;

	return next_tick(w, &t) ? t << w->tick_shift : UINT64_MAX;
}
