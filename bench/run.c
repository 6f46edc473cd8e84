/* SPDX-License-Identifier: Apache-2.0 */
/* All shapes times all workloads against one server. */
#include "bench/gen.h"
#include "bench/report.h"
#include "dp/eal/eal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PREPARE_CONNS = 1, PREPARE_WINDOW = 128, REPEATS_MAX = 15 };

static bool memory_take(struct gen *g)
{
	size_t buf = (size_t)(BENCH_WINDOW_MAX + 1) * ZKMSG_FRAME_MAX;

	g->conn = calloc(BENCH_CONNS_MAX, sizeof(*g->conn));
	for (unsigned i = 0; g->conn && i < BENCH_CONNS_MAX; i++) {
		g->conn[i].pending = calloc(BENCH_WINDOW_MAX, sizeof(struct gen_pending));
		g->conn[i].buf = malloc(buf);
		if (!g->conn[i].pending || !g->conn[i].buf)
			return false;
	}
	return g->conn != NULL;
}

static void memory_drop(struct gen *g)
{
	for (unsigned i = 0; g->conn && i < BENCH_CONNS_MAX; i++) {
		free(g->conn[i].pending);
		free(g->conn[i].buf);
	}
	free(g->conn);
}

static int by_rate(const void *a, const void *b)
{
	double x = ((const struct bench_result *)a)->ops_per_s;
	double y = ((const struct bench_result *)b)->ops_per_s;

	return x < y ? -1 : x > y;
}

/* The median of a few repeats: one run on a shared machine says little. */
static bool measure(struct gen *g, const struct bench_options *o, enum bench_op op,
		    struct bench_result *out)
{
	struct bench_result r[REPEATS_MAX] = {{.operations = 0}};
	unsigned n = o->repeats < REPEATS_MAX ? o->repeats : REPEATS_MAX;

	for (unsigned i = 0; i < n; i++)
		if (!gen_measure(g, op, &r[i]))
			return false;
	qsort(r, n, sizeof(r[0]), by_rate);
	*out = r[n / 2];
	return true;
}

static bool all(struct gen *g, const struct bench_options *o, struct bench_result *r, unsigned *n)
{
	bool ok = gen_connect(g, PREPARE_CONNS, PREPARE_WINDOW) && gen_prepare(g);

	gen_disconnect(g);
	g->created = 0;
	for (unsigned i = 0; ok && i < o->shapes; i++) {
		ok = gen_connect(g, o->shape[i].conns, o->shape[i].window);
		for (unsigned k = 0; ok && k < o->ops; k++) {
			ok = measure(g, o, o->op[k], &r[*n]);
			*n += ok;
		}
		gen_disconnect(g);
	}
	return ok;
}

int bench_run(const struct bench_options *o)
{
	struct bench_result r[BENCH_SHAPES_MAX * BENCH_OPS_MAX];
	struct gen *g = calloc(1, sizeof(*g));
	struct bench_stack s;
	unsigned n = 0;
	bool ok = false;

	if (g && memory_take(g) && bench_stack_open(&s, &o->stack)) {
		g->s = &s;
		g->o = o;
		g->random = g->tag = (uint32_t)eal_now_ns();
		ok = all(g, o, r, &n);
		if (!ok)
			fprintf(stderr, "zokor-bench: %s\n", g->failure);
		if (n > 0)
			ok = bench_report_run(o, r, n) && ok;
		ok = ok && bench_linger(&s, o->linger);
		ok = bench_stack_close(&s) && ok;
	}
	if (g)
		memory_drop(g);
	free(g);
	return ok ? 0 : 1;
}
