/* SPDX-License-Identifier: Apache-2.0 */
/** Figures that others than the client cores keep and `mntr` shows: log writer, snapshots, leader.
 *
 * ctl/server registers them in srv_shared.metrics before the cores start; their owners go on
 * writing them, any core reads. Names are Apache's (ServerMetrics, without "zk_") or ours.
 */
#ifndef ZK_SERVER_METRICS_H
#define ZK_SERVER_METRICS_H

#include "core/base/metric.h"

#include <stdatomic.h>
#include <stdint.h>

enum { METRICS_MAX = 144 };

enum metrics_kind {
	METRICS_COUNTER,  /* only grows; srst starts it at zero again */
	METRICS_GAUGE,    /* a level; srst leaves it alone */
	METRICS_SUMMARY,  /* avg_, min_, max_, cnt_, sum_ */
	METRICS_DETAILED, /* and p50_, p95_, p99_, p999_ */
};

struct metrics_entry {
	const char *name;
	enum metrics_kind kind;
	const _Atomic uint64_t *value; /* counter, gauge */
	uint64_t (*read)(void *ctx);   /* or this; any thread, does not sleep */
	void *ctx;
	struct zk_metric *summary;
	_Atomic uint64_t base; /* of a counter: its value at the last srst */
};

struct metrics {
	unsigned n;
	struct metrics_entry v[METRICS_MAX];
};

/** Register. Main thread, before the cores start; @p name and the figure are borrowed for the life
 * of @p m. More than METRICS_MAX is a mistake of the program. */
void metrics_counter(struct metrics *m, const char *name, const _Atomic uint64_t *value);
void metrics_gauge(struct metrics *m, const char *name, const _Atomic uint64_t *value);
/** A gauge that has to be asked for: @p read is called from a four-letter word on any core. */
void metrics_call(struct metrics *m, const char *name, uint64_t (*read)(void *ctx), void *ctx);
/** Detailed when @p s has slots. */
void metrics_summary(struct metrics *m, const char *name, struct zk_metric *s);

/** Value of a counter or gauge. Any thread. */
uint64_t metrics_value(const struct metrics_entry *e);

/** srst: counters and summaries start again. Any thread. */
void metrics_reset(struct metrics *m);

#endif
