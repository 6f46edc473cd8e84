/* SPDX-License-Identifier: Apache-2.0 */
/* The phases of zokor-bench fanout, and their figures. */
#include "bench/fanout_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NODES = 10, OTHERS = 2, STACK_CONNS_EXTRA = 1024, PATH_MAX_BYTES = 16 };

static const uint64_t quiet_ns = UINT64_C(1000000000);
static const uint64_t acks_ns = UINT64_C(100000000);

static double us(uint64_t ns)
{
	return (double)ns / 1000;
}

/* A line of mntr's answer. */
static uint64_t told(const struct fanout *f, const char *part, const char *what)
{
	char name[64];
	const char *at;

	(void)snprintf(name, sizeof(name), "zk_%s_core0_%s_ns\t", part, what);
	at = strstr(f->text, name);
	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static bool phase_begin(struct fanout *f)
{
	zk_hist_init(&f->all);
	zk_hist_init(&f->clean);
	f->hits = f->gap_max_ns = 0;
	return fanout_word(f, "srst");
}

static void head(void)
{
	printf("%-10s %9s | %7s %8s %8s %8s %9s | %6s %9s %9s | %8s %8s %8s %8s %9s\n", "", "",
	       "client", "", "", "", "", "hit by", "its own", "worst", "server:", "round", "reply",
	       "reply", "stolen");
	printf("%-10s %9s | %7s %8s %8s %8s %9s | %6s %9s %9s | %8s %8s %8s %8s %9s\n", "phase",
	       "all told", "reads", "p50 us", "p99 us", "p99.9", "worst", "a gap", "worst gap",
	       "without", "p99 us", "worst", "p99 us", "worst", "worst");
}

static bool phase_end(struct fanout *f, const char *name, uint64_t all_told_ns)
{
	if (!fanout_word(f, "mntr"))
		return false;
	if (told(f, "cnt", "round") == 0) {
		fanout_fail(f, "mntr tells of no round");
		return false;
	}
	printf("%-10s %6.1f ms | %7" PRIu64 " %8.1f %8.1f %8.1f %9.1f | %6" PRIu64
	       " %9.1f %9.1f | %8.1f %8.1f %8.1f %8.1f %9.1f\n",
	       name, (double)all_told_ns / 1e6, f->all.count, us(zk_hist_quantile(&f->all, 500000)),
	       us(zk_hist_quantile(&f->all, 990000)), us(zk_hist_quantile(&f->all, 999000)),
	       us(f->all.max), f->hits, us(f->gap_max_ns), us(f->clean.max),
	       us(told(f, "p99", "round")), us(told(f, "max", "round")),
	       us(told(f, "p99", "reply")), us(told(f, "max", "reply")),
	       us(told(f, "max", "stolen")));
	(void)fflush(stdout);
	return true;
}

static void path_of(char path[PATH_MAX_BYTES], unsigned node)
{
	(void)snprintf(path, PATH_MAX_BYTES, "/fan%u", node);
}

static bool quiet(struct fanout *f)
{
	if (!phase_begin(f))
		return false;
	f->measuring = true;
	if (!fanout_pass(f, quiet_ns))
		return false;
	f->measuring = false;
	return phase_end(f, "nothing", 0);
}

/* Everybody watches the first @p nodes. */
static bool set_watches(struct fanout *f, unsigned watchers, unsigned nodes)
{
	uint64_t before = f->replies, asked = 0;
	char path[PATH_MAX_BYTES];

	for (unsigned i = 0; i < watchers; i++) {
		for (unsigned k = 0; k < nodes; k++) {
			path_of(path, k);
			fanout_ask(f, &f->watcher[i], ZKMSG_GET_DATA, path, true);
		}
		asked += nodes;
		if (asked > FAN_WINDOW &&
		    !fanout_until(f, &f->replies, before + asked - FAN_WINDOW))
			return false;
	}
	return fanout_until(f, &f->replies, before + asked);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Change the nodes and wait until everyone has heard, some times; what the bystander sees between
 * the change and the last event counts. The median time is printed. */
static bool tell(struct fanout *f, const char *name, unsigned watchers, unsigned nodes)
{
	unsigned repeats = f->o->repeats;
	uint64_t *ns = calloc(repeats, sizeof(*ns)), total = (uint64_t)watchers * nodes;
	char path[PATH_MAX_BYTES];
	bool ok = ns != NULL;

	for (unsigned r = 0; ok && r < repeats; r++) {
		uint64_t want = f->events + total, begin;

		/* until the last ACKs of the watches' replies are there, too */
		ok = set_watches(f, watchers, nodes) && fanout_pass(f, acks_ns) &&
		     (r > 0 || phase_begin(f));
		f->measuring = true;
		begin = f->s->now_ns;
		for (unsigned k = 0; ok && k < nodes; k++) {
			path_of(path, k);
			fanout_set(f, path);
		}
		ok = ok && fanout_until(f, &f->events, want);
		ns[r] = f->event_ns - begin;
		f->measuring = false;
	}
	if (ok) {
		qsort(ns, repeats, sizeof(*ns), by_value);
		ok = phase_end(f, name, ns[repeats / 2]);
	}
	for (unsigned i = 0; ok && i < watchers; i++)
		if (f->watcher[i].events != nodes * repeats)
			fanout_fail(f, "%u events instead of %u at one connection",
				    f->watcher[i].events, nodes * repeats);
	for (unsigned i = 0; i < watchers; i++)
		f->watcher[i].events = 0;
	free(ns);
	return ok && !f->failure[0];
}

static bool all(struct fanout *f)
{
	unsigned n = f->o->watchers, few = n / NODES;
	char path[PATH_MAX_BYTES], name[32];

	if (!fanout_connect(f, f->by, OTHERS) || !fanout_connect(f, f->watcher, n))
		return false;
	for (unsigned k = 0; k < NODES; k++) {
		path_of(path, k);
		fanout_create(f, path);
	}
	if (!fanout_until(f, &f->replies, NODES))
		return false;
	printf("%u watchers of one node, %u of ten, one client beside them; a gap is %d us or "
	       "more; median of %u\n",
	       n, few, FAN_GAP_NS / 1000, f->o->repeats);
	head();
	fanout_read_begin(f);
	(void)snprintf(name, sizeof(name), "%ux1", few);
	if (!quiet(f) || !tell(f, name, few, 1))
		return false;
	(void)snprintf(name, sizeof(name), "%ux1", n);
	if (!tell(f, name, n, 1))
		return false;
	(void)snprintf(name, sizeof(name), "%ux%d", few, NODES);
	return tell(f, name, few, NODES) && quiet(f);
}

/* Resets, and a while for them to leave: 100,000 graceful ends are another test. */
static void leave(struct fanout *f)
{
	for (unsigned i = 0; i < f->o->watchers + OTHERS; i++)
		if (f->watcher[i].tcp) {
			tcp_abort(f->watcher[i].tcp, f->s->now_ns);
			tcp_release(f->watcher[i].tcp, f->s->now_ns);
			if (i % FAN_WINDOW == 0)
				bench_stack_out(f->s);
		}
	bench_stack_out(f->s);
}

int bench_fanout(const struct bench_options *o)
{
	struct bench_options own = *o;
	struct fanout *f = calloc(1, sizeof(*f));
	struct bench_stack s;
	bool ok = false;

	own.stack.stacks = BENCH_STACKS_MAX;
	own.stack.conns_max = o->watchers / BENCH_STACKS_MAX + STACK_CONNS_EXTRA;
	if (f)
		f->watcher = calloc(o->watchers + OTHERS, sizeof(*f->watcher));
	if (f && f->watcher && bench_stack_open(&s, &own.stack)) {
		f->s = &s;
		f->o = &own;
		f->by = f->watcher + o->watchers;
		f->writer = f->by + 1;
		ok = all(f);
		if (!ok)
			fprintf(stderr, "zokor-bench: %s\n", f->failure);
		leave(f);
		ok = bench_linger(&s, o->linger) && ok;
		ok = bench_stack_close(&s) && ok;
	}
	if (f)
		free(f->watcher);
	free(f);
	return ok ? 0 : 1;
}
