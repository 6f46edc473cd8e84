/* SPDX-License-Identifier: Apache-2.0 */
/** Hierarchical timer wheel with intrusive entries (Varghese, Lauck: "Hashed and hierarchical
 * timing wheels", 1987).
 *
 * Six levels of 64 slots; level 0 has one slot per tick of 2^tick_shift ns. An entry never fires
 * early and at most one tick late, plus what the caller's budget delays. The wheel owns nothing;
 * one thread at a time.
 */
#ifndef ZK_BASE_WHEEL_H
#define ZK_BASE_WHEEL_H

#include "core/base/list.h"

#include <stdint.h>

enum { ZK_WHEEL_LEVELS = 6, ZK_WHEEL_SLOT_BITS = 6, ZK_WHEEL_SLOTS = 1 << ZK_WHEEL_SLOT_BITS };

struct zk_wheel_entry {
	struct zk_list link;
	uint64_t due_ns;
};

struct zk_wheel {
	uint64_t tick; /* the next tick to be looked at; everything before has fired */
	unsigned tick_shift;
	uint64_t used[ZK_WHEEL_LEVELS]; /* bit set: the slot may hold entries */
	struct zk_list slot[ZK_WHEEL_LEVELS][ZK_WHEEL_SLOTS];
};

/** Start empty at @p now_ns. @p tick_shift: log2 of the tick in ns, 0..40. */
void zk_wheel_init(struct zk_wheel *w, uint64_t now_ns, unsigned tick_shift);

static inline void zk_wheel_entry_init(struct zk_wheel_entry *e)
{
	zk_list_init(&e->link);
	e->due_ns = UINT64_MAX;
}

static inline bool zk_wheel_armed(const struct zk_wheel_entry *e)
{
	return zk_list_linked(&e->link);
}

/** Arm or move an initialised entry (borrowed until it fires or is cancelled). A time in the past
 * fires at the next zk_wheel_expire(). Bound: constant. */
void zk_wheel_set(struct zk_wheel *w, struct zk_wheel_entry *e, uint64_t due_ns);

/** Disarm; harmless when not armed. Bound: constant. */
static inline void zk_wheel_cancel(struct zk_wheel_entry *e)
{
	zk_list_del(&e->link);
}

/** Take out one entry that is due at @p now_ns, NULL when there is none or *budget is used up. Each
 * entry that is looked at (fired or moved to a finer level) costs one of *budget. Entries of
 * different ticks come in order of time. */
struct zk_wheel_entry *zk_wheel_expire(struct zk_wheel *w, uint64_t now_ns, unsigned *budget);

/** When must zk_wheel_expire() run next? Never later than the first entry's time rounded up to a
 * tick, maybe earlier; UINT64_MAX = nothing is armed. Bound: levels * slots. */
uint64_t zk_wheel_next_ns(struct zk_wheel *w);

#endif
