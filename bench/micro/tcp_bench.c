/* SPDX-License-Identifier: Apache-2.0 */
/** Cost of the TCP stack alone: a client stack and a server stack back to back in one thread, on
 * the packet backend of the tests, without a device. Prints nanoseconds per request and side.
 *
 * tcp_bench [conns] [seconds per case]
 */
#include "dp/net/net.h"
#include "dp/net/stats.h"
#include "dp/net/tcp/tcp.h"
#include "test/lib/pkt_heap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BURST = 32, CONNS_MAX = 4096, PORT = 2181 };

struct side {
	struct net *n;
	struct tcp *t;
	struct pkt_pool *tx, *rx;
	struct zk_mem mem;
	uint64_t spent_ns; /* inside the stack and its application */
};

struct shape {
	const char *name;
	unsigned batch, request, reply;
};

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* CPU time: other programs on the machine do not count. */
static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void side_init(struct side *s, unsigned i, uint64_t now)
{
	struct net_conf c = {.mac = {2, 0, 0, 0, 0, (uint8_t)(i + 1)},
			     .addr = net_addr_v4(0x0a000001u + i),
			     .prefix = 24,
			     .mtu = 1500,
			     .cores = 1,
			     .mem = &s->mem};
	struct tcp_conf tc;

	zk_mem_init_heap(&s->mem, 0);
	s->tx = pkt_heap_pool_new_flags(1 << 17, 2048, PKT_HEAP_RECYCLE);
	s->rx = pkt_heap_pool_new_flags(1 << 17, 2048, PKT_HEAP_RECYCLE);
	c.pool = s->tx;
	tcp_conf_default(&tc);
	tc.syn_backlog = CONNS_MAX;
	if (net_new(&c, &tc, now, &s->n) != ZK_EOK)
		abort();
	s->t = net_tcp(s->n);
}

/* The bytes of a request are looked at, as a server would. */
static void serve(struct side *s, const struct shape *h, uint64_t *requests)
{
	struct tcp_conn *c;
	unsigned e;

	while ((c = tcp_next_ready(s->t, &e))) {
		size_t take = 0;

		if (!(e & TCP_READY_READ))
			continue;
		for (;;) {
			struct zk_span r = tcp_peek(c, take);
			size_t here = 0;

			while (r.n - here >= h->request) {
				uint8_t *b = tcp_tail(c, h->reply);

				if (!b)
					abort();
				memcpy(b, r.p + here, 16);
				memset(b + 16, 0, h->reply - 16);
				tcp_tail_commit(c, h->reply);
				here += h->request;
				++*requests;
			}
			take += here;
			if (here == 0)
				break;
		}
		tcp_read_done(c, take);
	}
}

static void ask(struct tcp_conn *c, const struct shape *h)
{
	for (unsigned k = 0; k < h->batch; k++) {
		void *b = tcp_tail(c, h->request);

		if (!b)
			abort();
		memset(b, 1, h->request);
		tcp_tail_commit(c, h->request);
	}
}

static void client(struct side *s, const struct shape *h)
{
	struct tcp_conn *c;
	unsigned e;

	while ((c = tcp_next_ready(s->t, &e))) {
		if (!(e & TCP_READY_READ) || tcp_readable(c) < (size_t)h->batch * h->reply)
			continue;
		tcp_read_done(c, tcp_readable(c));
		ask(c, h);
	}
}

struct wire {
	struct pkt *v[1 << 16];
	unsigned n;
};

static struct wire wire[2];

/* What a device does: the receiver gets buffers of its own. Not counted. */
static void deliver(struct side *to, struct wire *w)
{
	for (unsigned i = 0; i < w->n; i++) {
		struct pkt *p = pkt_heap_copy(to->rx, w->v[i]);

		if (!p)
			abort();
		pkt_free(w->v[i]);
		w->v[i] = p;
	}
}

static void step(struct side *s, struct side *peer, struct wire *in, struct wire *out, uint64_t now,
		 void (*app)(struct side *, const struct shape *), const struct shape *h,
		 uint64_t *requests)
{
	uint64_t start = cpu_ns();

	for (unsigned i = 0; i < in->n; i += BURST) {
		unsigned k = in->n - i < BURST ? in->n - i : BURST;

		net_input(s->n, in->v + i, k, now);
		if (app)
			app(s, h);
		else
			serve(s, h, requests);
		net_round_end(s->n, now);
		out->n += net_output(s->n, out->v + out->n, BURST * 2, now);
	}
	in->n = 0;
	net_round_end(s->n, now);
	for (;;) {
		unsigned k = net_output(s->n, out->v + out->n, BURST, now);

		out->n += k;
		if (!k)
			break;
	}
	s->spent_ns += cpu_ns() - start;
	deliver(peer, out);
}

static void run(struct side s[2], struct tcp_conn **c, unsigned conns, const struct shape *h,
		double seconds)
{
	uint64_t requests = 0, start = clock_ns(), now = start;
	uint64_t segs = net_stats_get(s[0].n)->tcp_rx_segs;

	for (unsigned i = 0; i < conns; i++)
		ask(c[i], h);
	s[0].spent_ns = s[1].spent_ns = 0;
	while ((double)(now - start) < seconds * 1e9) {
		step(&s[1], &s[0], &wire[1], &wire[0], now, client, h, NULL);
		step(&s[0], &s[1], &wire[0], &wire[1], now, NULL, h, &requests);
		now = clock_ns();
	}
	segs = net_stats_get(s[0].n)->tcp_rx_segs - segs;
	printf("%-10s %5u conns  server %6.1f ns/request  %6.1f ns/segment  client %6.1f ns/request"
	       "  (%.2f requests/segment, %.2f M/s server alone)\n",
	       h->name, conns, (double)s[0].spent_ns / (double)requests,
	       (double)s[0].spent_ns / (double)segs, (double)s[1].spent_ns / (double)requests,
	       (double)requests / (double)segs, 1e3 * (double)requests / (double)s[0].spent_ns);
	/* let it drain */
	for (unsigned k = 0; k < 50; k++) {
		struct shape none = *h;

		none.batch = 0;
		step(&s[1], &s[0], &wire[1], &wire[0], now, client, &none, NULL);
		step(&s[0], &s[1], &wire[0], &wire[1], now, NULL, h, &requests);
		now += 10000000;
	}
}

int main(int argc, char **argv)
{
	static const struct shape shapes[] = {
		{"16x64", 16, 64, 64}, {"1x64", 1, 64, 64}, {"1x256", 1, 256, 256}};
	unsigned conns = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 64;
	double seconds = argc > 2 ? strtod(argv[2], NULL) : 1;
	static struct tcp_conn *c[CONNS_MAX];
	static struct side s[2];
	uint64_t now = clock_ns();
	unsigned opened = 0, e;

	if (conns == 0 || conns > CONNS_MAX) {
		fprintf(stderr, "tcp_bench: conns must be 1 to %d\n", CONNS_MAX);
		return 2;
	}
	for (unsigned i = 0; i < 2; i++)
		side_init(&s[i], i, now);
	if (tcp_listen(s[0].t, PORT, NULL, NULL) != ZK_EOK)
		return 1;
	for (unsigned i = 0; i < conns; i++)
		if (tcp_connect(s[1].t, net_addr_v4(0x0a000001), PORT, now, &c[i]) != ZK_EOK)
			return 1;
	for (unsigned k = 0; k < 1000 && opened < conns; k++) {
		uint64_t none = 0;

		step(&s[0], &s[1], &wire[0], &wire[1], now, NULL, &shapes[0], &none);
		net_input(s[1].n, wire[1].v, wire[1].n, now);
		wire[1].n = 0;
		while (tcp_next_ready(s[1].t, &e))
			opened += !!(e & TCP_READY_OPEN);
		net_round_end(s[1].n, now);
		wire[0].n += net_output(s[1].n, wire[0].v, 1 << 14, now);
		deliver(&s[0], &wire[0]);
		now += 1000000;
	}
	if (opened < conns) {
		fprintf(stderr, "tcp_bench: only %u of %u opened\n", opened, conns);
		return 1;
	}
	for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		run(s, c, conns, &shapes[i], seconds);
	for (unsigned i = 0; i < 2; i++)
		for (unsigned k = 0; k < wire[i].n; k++)
			pkt_free(wire[i].v[k]);
	for (unsigned i = 0; i < 2; i++)
		net_free(s[i].n);
	for (unsigned i = 0; i < 2; i++)
		if (pkt_heap_pool_free(s[i].tx) || pkt_heap_pool_free(s[i].rx)) {
			fprintf(stderr, "tcp_bench: packets leaked\n");
			return 1;
		}
	return 0;
}
