/* SPDX-License-Identifier: Apache-2.0 */
/* core/watch against a naive list. */
#include "core/watch/watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { CONNS = 12, PATHS = 40, MODEL_MAX = CONNS * PATHS };

struct told {
	uint32_t conn;
	int event;
	char path[64];
};

static struct told told[4096];
static unsigned told_n;

static void on_fire(void *ctx, uint32_t conn, enum zk_event event, struct zk_span path)
{
	(void)ctx;
	assert_true(told_n < 4096 && path.n < 64);
	told[told_n].conn = conn;
	told[told_n].event = (int)event;
	memcpy(told[told_n].path, path.p, path.n);
	told[told_n++].path[path.n] = '\0';
}

static struct watch *table(struct zk_mem *mem, uint32_t conns, uint32_t max)
{
	struct watch_conf conf = {
		.mem = mem, .key = {1, 2}, .conns_max = conns, .watches_max = max};
	struct watch *w;

	assert_int_equal(watch_new(&conf, &w), ZK_EOK);
	return w;
}

static unsigned fire(struct watch *w, const char *path, enum zk_event ev)
{
	struct watch_firing f;
	int budget = 1 << 30;

	told_n = 0;
	if (watch_begin(w, zk_span_str(path), ev, &f))
		assert_true(watch_step(w, &f, &budget, on_fire, NULL));
	return told_n;
}

static void drop(struct watch *w, uint32_t conn)
{
	unsigned budget = UINT32_MAX;

	assert_true(watch_drop(w, conn, &budget));
}

static void set(struct watch *w, const char *path, uint32_t conn, unsigned bits)
{
	assert_int_equal(watch_set(w, zk_span_str(path), conn, bits), ZK_EOK);
}

/* spec/semantics.md section 11, one row at a time */
static void trigger_matrix(void **state)
{
	struct zk_mem mem;
	struct watch *w;
	struct watch_counts n;

	(void)state;
	zk_mem_init_heap(&mem, 0);
	w = table(&mem, 8, 1000);

	/* data and child on a deleted node: one event, both gone */
	set(w, "/a", 1, WATCH_DATA | WATCH_CHILD);
	assert_int_equal(fire(w, "/a", ZK_EV_DELETED), 1);
	assert_int_equal(told[0].event, ZK_EV_DELETED);
	assert_int_equal(watch_get(w, zk_span_str("/a"), 1), 0);

	/* data change does not touch a child watch */
	set(w, "/a", 1, WATCH_CHILD);
	assert_int_equal(fire(w, "/a", ZK_EV_DATA), 0);
	assert_int_equal(fire(w, "/a", ZK_EV_CREATED), 0);
	assert_int_equal(fire(w, "/a", ZK_EV_CHILDREN), 1);
	assert_int_equal(fire(w, "/a", ZK_EV_CHILDREN), 0);

	/* children change does not touch data or recursive watches */
	set(w, "/a", 2, WATCH_DATA | WATCH_RECURSIVE);
	assert_int_equal(fire(w, "/a", ZK_EV_CHILDREN), 0);
	/* recursive stays, standard goes */
	assert_int_equal(fire(w, "/a", ZK_EV_DATA), 1);
	assert_int_equal(watch_get(w, zk_span_str("/a"), 2), WATCH_RECURSIVE);
	assert_int_equal(fire(w, "/a", ZK_EV_DATA), 1);
	/* ... and hears about descendants, not about a node whose name only begins alike */
	assert_int_equal(fire(w, "/a/b/c", ZK_EV_CREATED), 1);
	assert_string_equal(told[0].path, "/a/b/c");
	assert_int_equal(fire(w, "/ab", ZK_EV_CREATED), 0);
	assert_int_equal(fire(w, "/", ZK_EV_DATA), 0);

	/* recursive at two ancestors and persistent on the node: one event */
	set(w, "/", 2, WATCH_RECURSIVE);
	set(w, "/a/b", 2, WATCH_PERSISTENT);
	assert_int_equal(fire(w, "/a/b", ZK_EV_DELETED), 1);
	assert_int_equal(watch_get(w, zk_span_str("/a/b"), 2), WATCH_PERSISTENT);
	assert_int_equal(fire(w, "/a/b", ZK_EV_CHILDREN), 1);
	assert_int_equal(fire(w, "/x", ZK_EV_CREATED), 1);
	assert_int_equal(fire(w, "/", ZK_EV_DATA), 1);

	watch_counts(w, &n);
	assert_int_equal(n.paths, 3);
	assert_int_equal(n.recursive, 2);
	assert_int_equal(n.data, 3);
	assert_int_equal(n.child, 1);
	drop(w, 2);
	watch_counts(w, &n);
	assert_int_equal(n.paths + n.entries + n.data + n.child + n.recursive, 0);
	watch_free(w);
	assert_int_equal(mem.used_bytes, 0);
}

/* ---- model ---- */

static unsigned model[PATHS][CONNS];
static char names[PATHS][64];

static void make_names(void)
{
	unsigned n = 0;

	(void)snprintf(names[n++], 64, "/");
	for (unsigned i = 0; i < 3; i++) {
		(void)snprintf(names[n++], 64, "/n%u", i);
		for (unsigned j = 0; j < 3; j++) {
			(void)snprintf(names[n++], 64, "/n%u/m%u", i, j);
			for (unsigned k = 0; k < 3; k++)
				(void)snprintf(names[n++], 64, "/n%u/m%u/k%u", i, j, k);
		}
	}
	assert_int_equal(n, PATHS);
}

static bool is_ancestor(const char *up, const char *path)
{
	size_t n = strlen(up);

	if (strcmp(up, "/") == 0)
		return strcmp(path, "/") != 0;
	return strlen(path) > n && memcmp(up, path, n) == 0 && path[n] == '/';
}

/** Which connections hear, the plain way; takes the standard watches. */
static unsigned model_fire(unsigned at, int event, bool hears[CONNS])
{
	unsigned count = 0;

	for (unsigned c = 0; c < CONNS; c++) {
		unsigned m = model[at][c];

		hears[c] = false;
		if (event == ZK_EV_CHILDREN) {
			hears[c] = (m & WATCH_IN_CHILD) != 0;
			model[at][c] &= ~(unsigned)WATCH_CHILD;
		} else {
			hears[c] = (m & WATCH_IN_DATA) != 0;
			model[at][c] &= ~(unsigned)WATCH_DATA;
			if (event == ZK_EV_DELETED) {
				hears[c] |= (m & WATCH_IN_CHILD) != 0;
				model[at][c] &= ~(unsigned)WATCH_CHILD;
			}
			for (unsigned p = 0; p < PATHS; p++)
				if ((model[p][c] & WATCH_RECURSIVE) &&
				    is_ancestor(names[p], names[at]))
					hears[c] = true;
		}
		count += hears[c];
	}
	return count;
}

static void check_counts(struct watch *w)
{
	struct watch_counts n, want = {0};

	watch_counts(w, &n);
	for (unsigned p = 0; p < PATHS; p++) {
		bool any = false;

		for (unsigned c = 0; c < CONNS; c++) {
			unsigned m = model[p][c];

			assert_int_equal(watch_get(w, zk_span_str(names[p]), c), m);
			want.data += (m & WATCH_IN_DATA) != 0;
			want.child += (m & WATCH_IN_CHILD) != 0;
			want.recursive += (m & WATCH_RECURSIVE) != 0;
			want.entries += m != 0;
			any |= m != 0;
		}
		want.paths += any;
	}
	assert_int_equal(n.data, want.data);
	assert_int_equal(n.child, want.child);
	assert_int_equal(n.recursive, want.recursive);
	assert_int_equal(n.entries, want.entries);
	assert_int_equal(n.paths, want.paths);
}

static uint64_t rnd_state;

static uint32_t rnd(uint32_t below)
{
	rnd_state = rnd_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(rnd_state >> 33) % below;
}

static void model_step(struct watch *w)
{
	unsigned p = rnd(PATHS), c = rnd(CONNS), bits = 1 + rnd(WATCH_ANY);
	int event = 1 + (int)rnd(4);
	bool hears[CONNS];

	switch (rnd(8)) {
	case 0:
		for (unsigned i = 0; i < PATHS; i++)
			model[i][c] = 0;
		drop(w, c);
		break;
	case 1:
	case 2:
		assert_int_equal(watch_clear(w, zk_span_str(names[p]), c, bits),
				 model[p][c] & bits);
		model[p][c] &= ~bits;
		break;
	case 3:
	case 4:
	case 5:
		set(w, names[p], c, bits);
		model[p][c] |= bits;
		break;
	default:
		assert_int_equal(fire(w, names[p], (enum zk_event)event),
				 model_fire(p, event, hears));
		for (unsigned i = 0; i < told_n; i++) {
			assert_true(hears[told[i].conn]); /* and only once: */
			hears[told[i].conn] = false;
			assert_int_equal(told[i].event, event);
			assert_string_equal(told[i].path, names[p]);
		}
		break;
	}
}

static void against_model(void **state)
{
	(void)state;
	make_names();
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct zk_mem mem;
		struct watch *w;

		zk_mem_init_heap(&mem, 0);
		w = table(&mem, CONNS, MODEL_MAX);
		memset(model, 0, sizeof(model));
		rnd_state = seed;
		for (unsigned i = 0; i < 4000; i++) {
			model_step(w);
			if (i % 64 == 0)
				check_counts(w);
		}
		check_counts(w);
		watch_free(w);
		assert_int_equal(mem.used_bytes, 0);
	}
}

/* ---- triggers in line ---- */

enum { IN_LINE_MAX = 12 };

/** What must be told of one trigger, as if it had been told at once when it began. */
struct in_line {
	struct watch_firing f;
	bool hears[CONNS];
};

static struct in_line line[IN_LINE_MAX];
static unsigned line_n;
static uint64_t heard_last[CONNS]; /* the trigger each connection heard of last */

static void on_step(void *ctx, uint32_t conn, enum zk_event event, struct zk_span path)
{
	struct in_line *l = ctx;

	assert_int_equal(event, l->f.event);
	assert_true(path.p == l->f.path.p);
	assert_true(l->hears[conn]); /* and only once: */
	l->hears[conn] = false;
	assert_true(l->f.seq > heard_last[conn]); /* in their order */
	heard_last[conn] = l->f.seq;
}

/** Ahead of its turn. */
static void settle(struct watch *w, uint32_t conn)
{
	for (unsigned i = 0; i < line_n; i++)
		watch_tell_now(w, &line[i].f, conn, on_step, &line[i]);
	watch_up_to_date(w, conn);
	for (unsigned i = 0; i < line_n; i++)
		assert_false(line[i].hears[conn]);
	for (unsigned p = 0; p < PATHS; p++)
		assert_int_equal(watch_get(w, zk_span_str(names[p]), conn), model[p][conn]);
}

static void line_step(struct watch *w, int budget)
{
	while (line_n && budget > 0) {
		if (!watch_step(w, &line[0].f, &budget, on_step, &line[0]))
			break;
		for (unsigned c = 0; c < CONNS; c++)
			assert_false(line[0].hears[c]);
		line_n--;
		/* not under way: these may move */
		memmove(&line[0], &line[1], line_n * sizeof(line[0]));
	}
}

static void line_random(struct watch *w)
{
	unsigned p = rnd(PATHS), c = rnd(CONNS), bits = 1 + rnd(WATCH_ANY);
	enum zk_event event = (enum zk_event)(1 + rnd(4));
	struct in_line *l = &line[line_n];

	switch (rnd(9)) {
	case 0: /* a connection ends: whatever it had not heard of, it need not */
		drop(w, c);
		for (unsigned i = 0; i < PATHS; i++)
			model[i][c] = 0;
		for (unsigned i = 0; i < line_n; i++)
			line[i].hears[c] = false;
		watch_up_to_date(w, c);
		break;
	case 1:
		settle(w, c);
		assert_int_equal(watch_clear(w, zk_span_str(names[p]), c, bits),
				 model[p][c] & bits);
		model[p][c] &= ~bits;
		break;
	case 2:
	case 3:
	case 4:
		settle(w, c);
		set(w, names[p], c, bits);
		model[p][c] |= bits;
		break;
	case 5:
		line_step(w, 1 + (int)rnd(30));
		break;
	default:
		if (line_n == IN_LINE_MAX)
			line_step(w, 50);
		l = &line[line_n];
		if (line_n < IN_LINE_MAX && watch_begin(w, zk_span_str(names[p]), event, &l->f)) {
			(void)model_fire(p, (int)event, l->hears);
			line_n++;
		} else if (line_n < IN_LINE_MAX) {
			assert_int_equal(model_fire(p, (int)event, l->hears), 0);
		}
	}
}

/* Told in steps, with everything else going on in between, each trigger reaches whom it would have
 * reached at once, and leaves the same table behind. */
static void in_line(void **state)
{
	(void)state;
	make_names();
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct zk_mem mem;
		struct watch *w;

		zk_mem_init_heap(&mem, 0);
		w = table(&mem, CONNS, MODEL_MAX);
		memset(model, 0, sizeof(model));
		memset(heard_last, 0, sizeof(heard_last));
		line_n = 0;
		rnd_state = seed * 77;
		for (unsigned i = 0; i < 4000; i++)
			line_random(w);
		line_step(w, 1 << 30);
		assert_int_equal(line_n, 0);
		check_counts(w);
		watch_free(w);
		assert_int_equal(mem.used_bytes, 0);
	}
}

/* growth of both hash tables, and the memory that a watch costs */
static void many(void **state)
{
	enum { N = 200000, ON = 100 };
	struct zk_mem mem;
	struct watch *w;
	struct watch_counts n;
	char path[64];
	size_t empty, full;

	(void)state;
	zk_mem_init_heap(&mem, 0);
	w = table(&mem, ON, N);
	empty = mem.used_bytes;
	for (unsigned p = 0; p < N / ON; p++) {
		(void)snprintf(path, sizeof(path), "/service/node-%08u", p);
		for (uint32_t c = 0; c < ON; c++)
			set(w, path, c, WATCH_DATA);
	}
	full = mem.used_bytes;
	watch_counts(w, &n);
	assert_int_equal(n.entries, N);
	/* 28 bytes, 2 of bucket, and a hundredth of a path */
	printf("watch: %.1f bytes each\n", (double)(full - empty) / N);
	assert_true(full - empty <= (size_t)N * 32);
	assert_int_equal(watch_set(w, zk_span_str("/one/more"), 0, WATCH_DATA), ZK_EFULL);
	assert_int_equal(fire(w, "/service/node-00000007", ZK_EV_DATA), ON);
	assert_int_equal(fire(w, "/service/node-00000007", ZK_EV_DATA), 0);
	for (uint32_t c = 0; c < ON; c++)
		drop(w, c);
	watch_counts(w, &n);
	assert_int_equal(n.entries + n.paths + n.data, 0);
	watch_free(w);
	assert_int_equal(mem.used_bytes, 0);
}

/* every allocation fails once: nothing changes, nothing leaks */
static void no_memory(void **state)
{
	(void)state;
	for (size_t limit = 0; limit < 400000; limit += 1777) {
		struct watch_conf conf = {.key = {1, 2}, .conns_max = 64, .watches_max = 5000};
		struct watch_counts n;
		struct zk_mem mem;
		struct watch *w;
		uint64_t ok = 0;
		char path[64];

		zk_mem_init_heap(&mem, limit ? limit : 1);
		conf.mem = &mem;
		if (watch_new(&conf, &w) != ZK_EOK) {
			assert_int_equal(mem.used_bytes, 0);
			continue;
		}
		for (unsigned i = 0; i < 5000; i++) {
			(void)snprintf(path, sizeof(path), "/p%u", i / 2);
			if (watch_set(w, zk_span_str(path), i % 64, WATCH_CHILD) == ZK_EOK)
				ok++;
		}
		watch_counts(w, &n);
		assert_int_equal(n.entries, ok);
		for (uint32_t c = 0; c < 64; c++)
			drop(w, c);
		watch_counts(w, &n);
		assert_int_equal(n.entries + n.paths, 0);
		watch_free(w);
		assert_int_equal(mem.used_bytes, 0);
	}
}

/* ---- walking ---- */

struct walk {
	unsigned watchers, groups, take; /* stops after `take` at a time */
	bool by_path;
	uint64_t group; /* the one that is being told */
	uint64_t order; /* of the path, by path */
	uint8_t seen[CONNS][PATHS];
};

static bool on_walk(void *ctx, struct zk_span path, uint32_t conn, bool first)
{
	struct walk *k = ctx;
	unsigned p = (unsigned)(path.p[2] - '0') * 10 + (unsigned)(path.p[3] - '0');
	uint64_t group = k->by_path ? p : conn;

	assert_true(conn < CONNS && p < PATHS);
	if (k->take-- == 0)
		return false;
	if (first) {
		k->groups++;
		k->group = group;
	}
	assert_true(k->group == group);
	if (k->by_path) {
		uint64_t order = watch_order(&(struct zk_hash_key){1, 2}, path);

		assert_true(first ? order > k->order : order == k->order);
		k->order = order;
	}
	k->watchers++;
	k->seen[conn][p]++;
	return true;
}

/* Every watcher of the data table once, in groups, whatever the budget and wherever it stops. */
static void walks(void **state)
{
	struct zk_mem mem;
	struct watch *w;
	struct watch_counts n;

	(void)state;
	zk_mem_init_heap(&mem, 0);
	w = table(&mem, CONNS, 10000);
	for (uint32_t c = 0; c < CONNS; c++)
		for (unsigned p = 0; p < PATHS; p++) {
			char path[32];

			(void)snprintf(path, sizeof(path), "/p%02u", p);
			if (zk_mix64(c * 1000 + p) % 3)
				set(w, path, c,
				    zk_mix64(c + p * 77) % 4 ? WATCH_DATA : WATCH_CHILD);
		}
	drop(w, 3);
	watch_counts(w, &n);
	for (unsigned round = 0; round < 200; round++) {
		struct walk k = {.by_path = round & 1};
		struct watch_place at = {0};
		unsigned calls = 0;
		bool done = false;

		while (!done && calls++ < 5000) {
			unsigned budget = round < 2 ? 100000 : 1 + (unsigned)zk_mix64(calls) % 30;

			k.take = round < 4 ? UINT32_MAX : (unsigned)zk_mix64(calls + 9) % 7;
			done = watch_walk(w, k.by_path, &at, budget, on_walk, &k);
		}
		assert_true(done);
		assert_int_equal(k.watchers, n.data);
		assert_int_equal(k.groups, k.by_path ? n.data_paths : n.data_conns);
		for (uint32_t c = 0; c < CONNS; c++)
			for (unsigned p = 0; p < PATHS; p++)
				assert_true(k.seen[c][p] <= 1);
	}
	for (uint32_t c = 0; c < CONNS; c++)
		drop(w, c);
	watch_counts(w, &n);
	assert_int_equal(n.data_paths + n.data_conns, 0);
	watch_free(w);
	assert_int_equal(mem.used_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trigger_matrix), cmocka_unit_test(against_model),
		cmocka_unit_test(many),           cmocka_unit_test(no_memory),
		cmocka_unit_test(walks),          cmocka_unit_test(in_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
