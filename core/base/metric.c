/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/metric.h"

/* Relaxed throughout, one writer: the figures guard nothing, not even each other. */

static uint64_t get(const _Atomic uint64_t *v)
{
	return atomic_load_explicit(v, memory_order_relaxed);
}

static void set(_Atomic uint64_t *v, uint64_t to)
{
	atomic_store_explicit(v, to, memory_order_relaxed);
}

static void clear(struct zk_metric *m)
{
	set(&m->count, 0);
	set(&m->sum, 0);
	set(&m->min, 0);
	set(&m->max, 0);
	for (unsigned i = 0; m->slot && i < ZK_HIST_SLOTS; i++)
		set(&m->slot[i], 0);
	/* partner: zk_metric_reset(); a second one in this moment is the same one */
	atomic_store_explicit(&m->reset, false, memory_order_relaxed);
}

void zk_metric_add(struct zk_metric *m, uint64_t value)
{
	uint64_t n;

	if (atomic_load_explicit(&m->reset, memory_order_relaxed))
		clear(m);
	n = get(&m->count);
	if (n == 0 || value < get(&m->min))
		set(&m->min, value);
	if (value > get(&m->max))
		set(&m->max, value);
	set(&m->sum, get(&m->sum) + value);
	if (m->slot) {
		_Atomic uint64_t *s = &m->slot[zk_hist_slot(value)];

		set(s, get(s) + 1);
	}
	set(&m->count, n + 1);
}

void zk_metric_reset(struct zk_metric *m)
{
	/* partner: the load in zk_metric_add() */
	atomic_store_explicit(&m->reset, true, memory_order_relaxed);
}

void zk_metric_read(const struct zk_metric *m, struct zk_hist *to)
{
	uint64_t n = get(&m->count), min = get(&m->min), max = get(&m->max);

	if (n == 0 || atomic_load_explicit(&m->reset, memory_order_relaxed))
		return;
	to->count += n;
	to->sum += get(&m->sum);
	if (min < to->min)
		to->min = min;
	if (max > to->max)
		to->max = max;
	for (unsigned i = 0; m->slot && i < ZK_HIST_SLOTS; i++)
		to->slot[i] += get(&m->slot[i]);
}
