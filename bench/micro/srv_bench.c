/* SPDX-License-Identifier: Apache-2.0 */
/** Cost of core/server alone: pipelined reads on a transport that is only memory. Prints
 * nanoseconds per request: parse, look-up, reply.
 *
 * srv_bench [nodes] [seconds per case]
 */
#include "core/server/srv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CONNS = 256, OUT_BYTES = 1 << 16, RUN_BYTES = 1 << 14, DATA_BYTES = 100, SETS = 64 };

struct wire {
	const uint8_t *in;
	size_t in_n;
	uint8_t out[OUT_BYTES];
	size_t out_n;
};

static struct zk_span io_peek(void *t, size_t skip)
{
	struct wire *w = t;

	return zk_span_of(w->in + skip, w->in_n - skip);
}

static size_t io_readable(void *t)
{
	return ((struct wire *)t)->in_n;
}

static void io_read_done(void *t, size_t n)
{
	struct wire *w = t;

	w->in += n;
	w->in_n -= n;
}

static void *io_tail(void *t, size_t n)
{
	struct wire *w = t;

	return w->out_n + n <= OUT_BYTES ? w->out + w->out_n : NULL;
}

static void io_tail_commit(void *t, size_t used)
{
	((struct wire *)t)->out_n += used;
}

static size_t io_write(void *t, const void *p, size_t n)
{
	struct wire *w = t;

	n = n < OUT_BYTES - w->out_n ? n : OUT_BYTES - w->out_n;
	memcpy(w->out + w->out_n, p, n);
	w->out_n += n;
	return n;
}

static size_t io_unacked(void *t)
{
	(void)t;
	return 0;
}

static void io_end(void *t)
{
	(void)t;
	fprintf(stderr, "srv_bench: the server closed a connection\n");
	exit(1);
}

static const struct srv_io io = {io_peek,  io_readable, io_read_done, io_tail, io_tail_commit,
				 io_write, io_unacked,  io_end,       io_end};

struct bench {
	struct zk_mem mem;
	struct tree *tree;
	struct zk_ring up, down;
	struct srv_shared shared;
	struct srv *srv;
	struct wire wire[CONNS];
	struct srv_conn *conn[CONNS];
	uint64_t rnd;
	unsigned nodes;
	uint64_t now_ns;
};

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void need(enum zk_err err)
{
	if (err == ZK_EOK)
		return;
	fprintf(stderr, "srv_bench: %s\n", zk_err_text(err));
	exit(1);
}

static void make_tree(struct bench *b)
{
	struct tree_conf tc = {
		.mem = &b->mem, .key = {1, 2}, .index_slots = 1 << 17, .changes_soft_max = 1 << 16};
	static const uint8_t data[DATA_BYTES];

	while (tc.index_slots < 2 * (size_t)b->nodes)
		tc.index_slots *= 2;
	need(tree_new(&tc, &b->tree));
	for (unsigned i = 0; i < b->nodes; i++) {
		char path[32];

		(void)snprintf(path, sizeof(path), "/bench-%07u", i);
		tree_begin(b->tree, i + 1, 1);
		need(tree_create(b->tree, zk_span_str(path), zk_span_of(data, sizeof(data)),
				 (struct zk_span){NULL, 0}, 0, -1));
		tree_end(b->tree);
	}
}

/** Answer what the hellos have asked. */
static void open_sessions(struct bench *b)
{
	const struct msg_session *m;
	uint64_t id = 1;
	size_t n;

	while ((m = zk_ring_next(&b->up, &n)) != NULL) {
		struct msg_session *o;

		if (m->h.kind != MSG_SESSION_CREATE)
			continue;
		o = zk_ring_reserve(&b->down, sizeof(*o));
		if (!o)
			exit(1);
		*o = *m;
		o->h.kind = MSG_SESSION_OPENED;
		o->session = id++;
		zk_ring_commit(&b->down, sizeof(*o));
	}
	zk_ring_release(&b->up);
	zk_ring_publish(&b->down);
	(void)srv_begin(b->srv, b->now_ns);
}

static void make_server(struct bench *b)
{
	struct srv_conf sc = {.shared = &b->shared,
			      .io = &io,
			      .mem = &b->mem,
			      .tree = b->tree,
			      .to_leader = &b->up,
			      .from_leader = &b->down,
			      .conns_max = CONNS,
			      .out_spill_bytes_max = 1 << 20,
			      .reads_per_conn_round = 256};
	static uint8_t hello[49];

	b->shared.cores = 1;
	b->shared.jute_maxbuffer = ZK_JUTE_MAXBUFFER_DEFAULT;
	b->shared.tick_ms = 2000;
	b->now_ns = clock_ns();
	need(zk_ring_init(&b->up, &b->mem, 1 << 23));
	need(zk_ring_init(&b->down, &b->mem, 1 << 20));
	sc.reader = tree_reader_add(b->tree);
	need(srv_new(&sc, b->now_ns, &b->srv));
	b->shared.srv[0] = b->srv;
	hello[3] = 45;
	hello[19] = 100;
	hello[31] = 16;
	for (unsigned i = 0; i < CONNS; i++) {
		struct wire *w = &b->wire[i];

		b->conn[i] = srv_open(b->srv, w, "127.0.0.1", (uint16_t)i, b->now_ns);
		if (!b->conn[i])
			exit(1);
		w->in = hello;
		w->in_n = sizeof(hello);
		srv_input(b->conn[i], b->now_ns);
	}
	(void)srv_end(b->srv, b->now_ns);
	open_sessions(b);
}

static size_t put_request(struct bench *b, uint8_t *p, int32_t op)
{
	char path[32];
	size_t n;

	b->rnd = b->rnd * 6364136223846793005u + 1442695040888963407u;
	n = (size_t)snprintf(path, sizeof(path), "/bench-%07u",
			     (unsigned)((b->rnd >> 33) % b->nodes));
	if (op == ZK_OP_PING)
		n = 0;
	zk_put32(p + 4, 1);
	zk_put32(p + 8, (uint32_t)op);
	zk_put32(p + 12, (uint32_t)n);
	memcpy(p + 16, path, n);
	p[16 + n] = 0;
	zk_put32(p, (uint32_t)(13 + n));
	return 17 + n;
}

static void run(struct bench *b, const char *name, int32_t op, unsigned conns, unsigned window,
		double seconds)
{
	static uint8_t runs[SETS][RUN_BYTES];
	size_t run_n[SETS];
	uint64_t began, spent, done = 0;

	for (unsigned s = 0; s < SETS; s++) {
		run_n[s] = 0;
		for (unsigned i = 0; i < window; i++)
			run_n[s] += put_request(b, runs[s] + run_n[s], op);
	}
	began = clock_ns();
	do {
		for (unsigned round = 0; round < 100; round++) {
			b->now_ns += 100;
			(void)srv_begin(b->srv, b->now_ns);
			for (unsigned i = 0; i < conns; i++) {
				struct wire *w = &b->wire[i];
				unsigned s = (round * conns + i) % SETS;

				w->out_n = 0;
				w->in = runs[s];
				w->in_n = run_n[s];
				srv_input(b->conn[i], b->now_ns);
				if (w->in_n || w->out_n < window * 20)
					io_end(w);
			}
			(void)srv_end(b->srv, b->now_ns);
			open_sessions(b); /* touches go away */
			done += (uint64_t)conns * window;
		}
		spent = clock_ns() - began;
	} while ((double)spent < seconds * 1e9);
	printf("%-10s %3u x %-3u %8.1f ns/request  %6.2f M/s\n", name, conns, window,
	       (double)spent / (double)done, (double)done * 1e3 / (double)spent);
}

int main(int argc, char **argv)
{
	static struct bench b;
	double seconds = argc > 2 ? atof(argv[2]) : 1;

	b.nodes = argc > 1 ? (unsigned)atoi(argv[1]) : 1000;
	b.nodes = b.nodes ? b.nodes : 1;
	zk_mem_init_heap(&b.mem, 0);
	make_tree(&b);
	make_server(&b);
	printf("%u nodes of %d bytes\n", b.nodes, DATA_BYTES);
	run(&b, "getData", ZK_OP_GET_DATA, 64, 16, seconds);
	run(&b, "getData", ZK_OP_GET_DATA, 256, 1, seconds);
	run(&b, "getData", ZK_OP_GET_DATA, 1, 1, seconds);
	run(&b, "exists", ZK_OP_EXISTS, 64, 16, seconds);
	run(&b, "exists", ZK_OP_EXISTS, 256, 1, seconds);
	run(&b, "ping", ZK_OP_PING, 64, 16, seconds);
	return 0;
}
