/* SPDX-License-Identifier: Apache-2.0 */
/* What one getData costs in the tree: find, Stat and a copy of 100 bytes, on random nodes, one by
 * one and in bursts with prefetch; and what a setData costs with everything behind it.
 * usage: tree_bench NODES */
#include "core/tree/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DATA = 100, PATH_MAX_BYTES = 32, BURST = 16, LOOKUPS = 4000000, WRITES = 500000 };

struct bench {
	struct zk_mem mem;
	struct tree *tree;
	struct tree_reader *reader;
	unsigned n;
	uint64_t zxid, rng;
	char (*paths)[PATH_MAX_BYTES];
};

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "tree_bench: %s\n", what);
	exit(1);
}

static void drain(struct bench *b)
{
	struct tree_change c;
	struct tree_garbage *g;

	while (tree_change_next(b->reader, &c))
		if (c.kind == TREE_CHANGE_END)
			tree_reader_advance(b->reader, c.zxid);
	while (tree_collect(b->tree, 1000))
		;
	g = tree_garbage_take(b->tree);
	while (g && !tree_garbage_free(b->tree, g, 1000))
		;
}

static void load(struct bench *b)
{
	struct zk_span none = {NULL, 0};
	char data[DATA];
	size_t slots = 16;

	while (slots < b->n)
		slots *= 2;
	struct tree_conf conf = {.mem = &b->mem,
				 .key = {0x1234, 0x5678},
				 .index_slots = slots,
				 .changes_soft_max = 1 << 16};

	memset(data, 'x', sizeof(data));
	b->paths = malloc((size_t)b->n * PATH_MAX_BYTES);
	zk_mem_init_heap(&b->mem, 0);
	if (!b->paths || tree_new(&conf, &b->tree) != ZK_EOK)
		die("no memory");
	b->reader = tree_reader_add(b->tree);
	for (unsigned i = 0; i < b->n; i++) {
		tree_begin(b->tree, ++b->zxid, 0);
		if (i % 1000 == 0)
			snprintf(b->paths[i], PATH_MAX_BYTES, "/dir%05u", i / 1000);
		else
			snprintf(b->paths[i], PATH_MAX_BYTES, "/dir%05u/n%010u", i / 1000, i);
		if (tree_create(b->tree, zk_span_str(b->paths[i]), zk_span_of(data, DATA), none, 0,
				-1) != ZK_EOK)
			die("create failed");
		tree_end(b->tree);
		if (i % 256 == 0)
			drain(b);
	}
	drain(b);
}

static const char *pick(struct bench *b)
{
	if (b->n == 0)
		die("no nodes");
	b->rng += 0x9e3779b97f4a7c15u;
	return b->paths[(uint32_t)(zk_mix64(b->rng) >> 32) % b->n];
}

static void reply(struct tree_ref ref, uint8_t out[256])
{
	struct jute_out o = jute_out_of(out, 256);
	struct zk_stat st;

	tree_stat(ref, &st);
	jute_put_bytes(&o, tree_data(ref));
	jute_put_stat(&o, &st);
	if (o.full)
		die("data is wrong");
}

/* The cost of choosing a path is in both loops and taken off. */
static double choosing(struct bench *b)
{
	uint64_t t0 = cpu_ns();
	size_t sum = 0;

	for (unsigned i = 0; i < LOOKUPS; i++)
		sum += strlen(pick(b));
	if (sum == 0)
		die("no paths");
	return (double)(cpu_ns() - t0) / LOOKUPS;
}

static double one_by_one(struct bench *b)
{
	uint8_t out[256];
	uint64_t t0 = cpu_ns();

	for (unsigned i = 0; i < LOOKUPS; i++) {
		struct tree_ref ref;

		if (!tree_find(b->tree, zk_span_str(pick(b)), tree_visible(b->reader), &ref))
			die("node is missing");
		reply(ref, out);
	}
	return (double)(cpu_ns() - t0) / LOOKUPS;
}

static double in_bursts(struct bench *b)
{
	uint8_t out[256];
	uint64_t t0 = cpu_ns();

	for (unsigned i = 0; i < LOOKUPS; i += BURST) {
		struct zk_span path[BURST];
		uint64_t hash[BURST];
		struct tree_ref ref;

		for (unsigned k = 0; k < BURST; k++) {
			path[k] = zk_span_str(pick(b));
			hash[k] = tree_hash(b->tree, path[k]);
			tree_prefetch(b->tree, hash[k]);
		}
		for (unsigned k = 0; k < BURST; k++)
			tree_prefetch_node(b->tree, hash[k]);
		for (unsigned k = 0; k < BURST; k++)
			tree_prefetch_version(b->tree, hash[k]);
		for (unsigned k = 0; k < BURST; k++) {
			if (!tree_find_hashed(b->tree, path[k], hash[k], tree_visible(b->reader),
					      &ref))
				die("node is missing");
			reply(ref, out);
		}
	}
	return (double)(cpu_ns() - t0) / LOOKUPS;
}

static double writing(struct bench *b)
{
	char data[DATA];
	uint64_t t0 = cpu_ns();

	memset(data, 'y', sizeof(data));
	for (unsigned i = 0; i < WRITES; i++) {
		tree_begin(b->tree, ++b->zxid, 0);
		if (tree_set_data(b->tree, zk_span_str(pick(b)), zk_span_of(data, DATA), 1) !=
		    ZK_EOK)
			die("set failed");
		tree_end(b->tree);
		if (i % 64 == 0)
			drain(b);
	}
	drain(b);
	return (double)(cpu_ns() - t0) / WRITES;
}

int main(int argc, char **argv)
{
	static struct bench b = {.rng = 1};
	double base;

	if (argc != 2 || (b.n = (unsigned)strtoul(argv[1], NULL, 0)) == 0) {
		fprintf(stderr, "usage: tree_bench NODES\n");
		return 2;
	}
	load(&b);
	base = choosing(&b);
	printf("%8u nodes: getData %.0f ns one by one, %.0f ns in bursts of %d (choosing a path, "
	       "%.0f ns, taken off); setData %.0f ns\n",
	       b.n, one_by_one(&b) - base, in_bursts(&b) - base, BURST, base, writing(&b));
	tree_free(b.tree);
	free(b.paths);
	return 0;
}
