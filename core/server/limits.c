/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/limits.h"

#include "core/base/assert.h"

/* All of it is relaxed: the counts guard nothing but themselves. */

enum { COUNT_BITS = 16, COUNT_MASK = (1 << COUNT_BITS) - 1 };

static uint64_t tag_of(uint64_t addr)
{
	return addr << COUNT_BITS;
}

/** One more for the address, when it has a slot or one is free. */
static enum zk_err addr_enter(struct limits *l, uint64_t addr, uint32_t max)
{
	uint64_t tag = tag_of(addr);

	for (unsigned tries = 0; tries < LIMITS_PROBE_MAX; tries++) {
		_Atomic uint64_t *mine = NULL, *spare = NULL;
		uint64_t seen = 0;

		for (uint32_t i = 0; i < LIMITS_PROBE_MAX && !mine; i++) {
			_Atomic uint64_t *s = &l->slot[(addr + i) & (LIMITS_SLOTS - 1)];
			uint64_t v = atomic_load_explicit(s, memory_order_relaxed);

			if (v == 0) {
				spare = spare ? spare : s;
			} else if ((v & ~(uint64_t)COUNT_MASK) == tag) {
				mine = s;
				seen = v;
			}
		}
		if (mine && ((seen & COUNT_MASK) >= max || (seen & COUNT_MASK) == COUNT_MASK))
			return ZK_EFULL;
		if (!mine && !spare)
			return ZK_EFULL;
		/* partner: the other cores' exchanges on the same slot */
		if (atomic_compare_exchange_strong_explicit(
			    mine ? mine : spare, &seen, mine ? seen + 1 : tag | 1,
			    memory_order_relaxed, memory_order_relaxed))
			return ZK_EOK;
	}
	return ZK_EFULL; /* lost every race: as good as a full table */
}

enum zk_err limits_enter(struct limits *l, uint64_t addr, uint32_t per_addr_max, uint32_t total_max)
{
	uint32_t n = atomic_fetch_add_explicit(&l->conns, 1, memory_order_relaxed);

	if ((total_max == 0 || n < total_max) &&
	    addr_enter(l, addr, per_addr_max ? per_addr_max : COUNT_MASK) == ZK_EOK)
		return ZK_EOK;
	atomic_fetch_sub_explicit(&l->conns, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&l->refused, 1, memory_order_relaxed);
	return ZK_EFULL;
}

/** One less in this slot, when it is the address's. */
static bool slot_leave(_Atomic uint64_t *slot, uint64_t tag)
{
	uint64_t v = atomic_load_explicit(slot, memory_order_relaxed);

	/* the loop ends: a failed exchange means that another core has made progress */
	while ((v & ~(uint64_t)COUNT_MASK) == tag && (v & COUNT_MASK) != 0) {
		uint64_t less = (v & COUNT_MASK) == 1 ? 0 : v - 1;

		if (atomic_compare_exchange_weak_explicit(slot, &v, less, memory_order_relaxed,
							  memory_order_relaxed))
			return true;
	}
	return false;
}

void limits_leave(struct limits *l, uint64_t addr)
{
	bool found = false;

	atomic_fetch_sub_explicit(&l->conns, 1, memory_order_relaxed);
	/* more than once around when other cores moved the address while this one looked */
	for (uint32_t i = 0; i < LIMITS_PROBE_MAX * LIMITS_PROBE_MAX && !found; i++)
		found = slot_leave(&l->slot[(addr + i % LIMITS_PROBE_MAX) & (LIMITS_SLOTS - 1)],
				   tag_of(addr));
	zk_assert(found); /* what was counted has its slot */
}

bool limits_large_refused(const struct limits *l, const struct limits_conf *conf, uint32_t large)
{
	return large && atomic_load_explicit(&l->large_bytes, memory_order_relaxed) + large >
				(int64_t)conf->large_max_bytes;
}

bool limits_large_take(struct limits *l, const struct limits_conf *conf, uint32_t large)
{
	if (!large)
		return true;
	/* partner: the same on the other cores */
	if (atomic_fetch_add_explicit(&l->large_bytes, large, memory_order_relaxed) + large <=
	    (int64_t)conf->large_max_bytes)
		return true;
	limits_large_done(l, large);
	return false;
}

void limits_large_done(struct limits *l, uint64_t large)
{
	atomic_fetch_sub_explicit(&l->large_bytes, (int64_t)large, memory_order_relaxed);
}
