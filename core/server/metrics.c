/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/metrics.h"

#include "core/base/assert.h"

static struct metrics_entry *entry_new(struct metrics *m, const char *name, enum metrics_kind kind)
{
	struct metrics_entry *e;

	zk_assert(m->n < METRICS_MAX);
	e = &m->v[m->n++];
	e->name = name;
	e->kind = kind;
	return e;
}

void metrics_counter(struct metrics *m, const char *name, const _Atomic uint64_t *value)
{
	entry_new(m, name, METRICS_COUNTER)->value = value;
}

void metrics_gauge(struct metrics *m, const char *name, const _Atomic uint64_t *value)
{
	entry_new(m, name, METRICS_GAUGE)->value = value;
}

void metrics_call(struct metrics *m, const char *name, uint64_t (*read)(void *ctx), void *ctx)
{
	struct metrics_entry *e = entry_new(m, name, METRICS_GAUGE);

	e->read = read;
	e->ctx = ctx;
}

void metrics_summary(struct metrics *m, const char *name, struct zk_metric *s)
{
	entry_new(m, name, s->slot ? METRICS_DETAILED : METRICS_SUMMARY)->summary = s;
}

uint64_t metrics_value(const struct metrics_entry *e)
{
	uint64_t v;

	if (e->read)
		return e->read(e->ctx);
	/* partner: the figure's owner; it guards nothing */
	v = atomic_load_explicit(e->value, memory_order_relaxed);
	return v - atomic_load_explicit(&e->base, memory_order_relaxed);
}

void metrics_reset(struct metrics *m)
{
	for (unsigned i = 0; i < m->n; i++) {
		struct metrics_entry *e = &m->v[i];

		if (e->kind == METRICS_COUNTER)
			/* partner: the load in metrics_value() */
			atomic_store_explicit(&e->base,
					      atomic_load_explicit(e->value, memory_order_relaxed),
					      memory_order_relaxed);
		else if (e->summary)
			zk_metric_reset(e->summary);
	}
}
