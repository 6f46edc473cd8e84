/* SPDX-License-Identifier: Apache-2.0 */
/* Clients for bench/snapshot.py and bench/ensemble.py, over kernel sockets.
 *
 *   sock_load fill ADDRESS PORT NODES BYTES      create NODES nodes of BYTES, a thousand per multi
 *   sock_load run ADDRESS PORT NODES BYTES SECONDS WRITERS DEPTH
 *   sock_load get|set ADDRESS,... PORT NODES BYTES SECONDS CONNS DEPTH
 *
 * `run`: one client that reads and one that writes, a request at a time each, beside WRITERS that
 * keep DEPTH setData under way. For every 100 ms a line: time of day in ms, replies and longest gap
 * between two replies in us of the reader, the same of the lone writer, replies of the writers.
 * `get` and `set`: CONNS in all, spread over the servers, keep DEPTH requests each under way; after
 * a warm-up of a fifth of the time one line: replies per second, mean time of a request in us.
 */
#include "core/base/endian.h"
#include "core/base/hash.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	OP_CREATE = 1,
	OP_GET_DATA = 4,
	OP_SET_DATA = 5,
	OP_MULTI = 14,
	PER_PARENT = 1000,
	CONNS_MAX = 66,
	IN_BYTES = 1 << 20,
	OUT_BYTES = 8 << 20,
	DATA_MAX = 4096,
	WINDOW_MS = 100,
	TIMEOUT_MS = 40000,
};

struct conn {
	int fd;
	uint8_t *in;
	size_t in_n;
	uint64_t replies, last_ns, gap_ns;
	int32_t op; /* what it sends */
	unsigned depth;
};

struct out {
	uint8_t *p;
	size_t n;
};

static struct conn conns[CONNS_MAX];
static uint8_t out_buf[OUT_BYTES];
static uint64_t rng;
static unsigned nodes, data_bytes;

static void die(const char *what)
{
	fprintf(stderr, "sock_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* ---- frames --- */

static void put32(struct out *o, int32_t v)
{
	zk_put32(o->p + o->n, (uint32_t)v);
	o->n += 4;
}

static void put_bytes(struct out *o, const void *p, size_t n)
{
	put32(o, (int32_t)n);
	memcpy(o->p + o->n, p, n);
	o->n += n;
}

static void put_path(struct out *o, unsigned i)
{
	char path[32];
	int n = i == UINT32_MAX
			? snprintf(path, sizeof(path), "/b")
			: snprintf(path, sizeof(path),
				   i % PER_PARENT == PER_PARENT - 1 ? "/b/%05u" : "/b/%05u/%03u",
				   i / PER_PARENT, i % PER_PARENT);

	put_bytes(o, path, (size_t)n);
}

static size_t begin(struct out *o, int32_t op)
{
	size_t at = o->n;

	put32(o, 0);
	put32(o, 1);
	put32(o, op);
	return at;
}

static void end(struct out *o, size_t at)
{
	zk_put32(o->p + at, (uint32_t)(o->n - at - 4));
}

static void put_create(struct out *o, unsigned i)
{
	static const uint8_t data[DATA_MAX];

	put_path(o, i);
	put_bytes(o, data, data_bytes);
	put32(o, 1);
	put32(o, 31);
	put_bytes(o, "world", 5);
	put_bytes(o, "anyone", 6);
	put32(o, 0);
}

static void put_multi_head(struct out *o, int32_t type, bool done)
{
	put32(o, type);
	o->p[o->n++] = done;
	put32(o, -1);
}

/* A parent, which is the last number of its thousand, and its children. */
static void put_parent(struct out *o, unsigned parent)
{
	size_t at = begin(o, OP_MULTI);
	unsigned first = parent * PER_PARENT;

	put_multi_head(o, OP_CREATE, false);
	put_create(o, first + PER_PARENT - 1);
	for (unsigned i = first; i < first + PER_PARENT - 1 && i < nodes; i++) {
		put_multi_head(o, OP_CREATE, false);
		put_create(o, i);
	}
	put_multi_head(o, -1, true);
	end(o, at);
}

static void put_request(struct out *o, int32_t op)
{
	static uint8_t data[DATA_MAX];
	size_t at = begin(o, op);

	rng += UINT64_C(0x9e3779b97f4a7c15);
	put_path(o, (unsigned)(zk_mix64(rng) % nodes));
	if (op == OP_SET_DATA) {
		zk_put64(data, rng);
		put_bytes(o, data, data_bytes);
		put32(o, -1);
	} else {
		o->p[o->n++] = 0; /* no watch */
	}
	end(o, at);
}

/* ---- connections --- */

static void send_all(struct conn *c, const struct out *o)
{
	for (size_t done = 0; done < o->n;) {
		ssize_t n = send(c->fd, o->p + done, o->n - done, MSG_NOSIGNAL);

		if (n <= 0)
			die("send");
		done += (size_t)n;
	}
}

/* What has come; @return whole replies, which must be good ones. */
static unsigned receive(struct conn *c, bool hello)
{
	ssize_t n = recv(c->fd, c->in + c->in_n, IN_BYTES - c->in_n, 0);
	unsigned replies = 0;
	size_t at = 0;

	if (n <= 0)
		die("recv");
	c->in_n += (size_t)n;
	while (c->in_n - at >= 4) {
		size_t len = zk_get32(c->in + at);

		if (len > IN_BYTES - 4) {
			fprintf(stderr, "sock_load: a reply of %zu bytes\n", len);
			exit(1);
		}
		if (c->in_n - at < 4 + len)
			break;
		if (!hello && zk_get32(c->in + at + 16) != 0) {
			fprintf(stderr, "sock_load: answer %d\n",
				(int32_t)zk_get32(c->in + at + 16));
			exit(1);
		}
		at += 4 + len;
		replies++;
	}
	memmove(c->in, c->in + at, c->in_n - at);
	c->in_n -= at;
	return replies;
}

static void open_conn(struct conn *c, const char *address, int port, int32_t op, unsigned depth)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct out o = {out_buf, 0};
	int one = 1;

	*c = (struct conn){.op = op, .depth = depth, .in = malloc(IN_BYTES)};
	c->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (!c->in || c->fd < 0 || inet_pton(AF_INET, address, &to.sin_addr) != 1)
		die(address);
	if (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		die("connect");
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	put32(&o, 44);
	memset(o.p + o.n, 0, 44);
	zk_put32(o.p + o.n + 12, TIMEOUT_MS);
	zk_put32(o.p + o.n + 24, 16);
	o.n += 44;
	send_all(c, &o);
	while (receive(c, true) == 0)
		;
}

static void fill(struct conn *c)
{
	struct out o = {out_buf, 0};
	size_t at = begin(&o, OP_CREATE);
	unsigned parents = (nodes + PER_PARENT - 1) / PER_PARENT, done = 0, sent;

	put_create(&o, UINT32_MAX);
	end(&o, at);
	send_all(c, &o);
	while (receive(c, false) == 0)
		;
	for (sent = 0; done < parents;) {
		for (; sent < parents && sent < done + 4; sent++) {
			o.n = 0;
			put_parent(&o, sent);
			send_all(c, &o);
		}
		done += receive(c, false);
	}
}

/* ---- run --- */

static void on_readable(struct conn *c)
{
	unsigned n = receive(c, false);
	uint64_t now = now_ns(CLOCK_MONOTONIC);
	struct out o = {out_buf, 0};

	if (n == 0)
		return;
	if (now - c->last_ns > c->gap_ns)
		c->gap_ns = now - c->last_ns;
	c->last_ns = now;
	c->replies += n;
	while (n--)
		put_request(&o, c->op);
	send_all(c, &o);
}

static void report(unsigned writers)
{
	uint64_t now = now_ns(CLOCK_MONOTONIC), sum = 0;

	/* A gap that is still open counts as long as it is. */
	for (unsigned i = 0; i < 2; i++)
		if (now - conns[i].last_ns > conns[i].gap_ns)
			conns[i].gap_ns = now - conns[i].last_ns;
	for (unsigned i = 2; i < 2 + writers; i++)
		sum += conns[i].replies;
	printf("%llu %llu %llu %llu %llu %llu\n",
	       (unsigned long long)(now_ns(CLOCK_REALTIME) / 1000000),
	       (unsigned long long)conns[0].replies, (unsigned long long)conns[0].gap_ns / 1000,
	       (unsigned long long)conns[1].replies, (unsigned long long)conns[1].gap_ns / 1000,
	       (unsigned long long)sum);
	fflush(stdout);
	for (unsigned i = 0; i < 2 + writers; i++)
		conns[i].replies = conns[i].gap_ns = 0;
}

static void run(unsigned seconds, unsigned writers)
{
	int ep = epoll_create1(0);
	uint64_t start = now_ns(CLOCK_MONOTONIC), window = start;

	for (unsigned i = 0; i < 2 + writers; i++) {
		struct epoll_event ev = {.events = EPOLLIN, .data.u32 = i};
		struct out o = {out_buf, 0};

		if (epoll_ctl(ep, EPOLL_CTL_ADD, conns[i].fd, &ev) != 0)
			die("epoll");
		for (unsigned k = 0; k < conns[i].depth; k++)
			put_request(&o, conns[i].op);
		conns[i].last_ns = now_ns(CLOCK_MONOTONIC);
		send_all(&conns[i], &o);
	}
	while (window - start < (uint64_t)seconds * 1000000000) {
		struct epoll_event ev[CONNS_MAX];
		int n = epoll_wait(ep, ev, CONNS_MAX, 5);

		for (int i = 0; i < n; i++)
			on_readable(&conns[ev[i].data.u32]);
		if (now_ns(CLOCK_MONOTONIC) - window >= (uint64_t)WINDOW_MS * 1000000) {
			report(writers);
			window = now_ns(CLOCK_MONOTONIC);
		}
	}
	close(ep);
}

/* ---- get, set --- */

/* Replies until @p end_ns. */
static uint64_t pump(int ep, uint64_t end_ns)
{
	uint64_t sum = 0;

	while (now_ns(CLOCK_MONOTONIC) < end_ns) {
		struct epoll_event ev[CONNS_MAX];
		int n = epoll_wait(ep, ev, CONNS_MAX, 5);

		for (int i = 0; i < n; i++)
			on_readable(&conns[ev[i].data.u32]);
	}
	for (unsigned i = 0; i < CONNS_MAX; i++) {
		sum += conns[i].replies;
		conns[i].replies = 0;
	}
	return sum;
}

static void load(char *addresses, int port, int32_t op, unsigned seconds, unsigned n,
		 unsigned depth)
{
	char *list[CONNS_MAX], *rest = NULL;
	unsigned servers = 0;
	int ep = epoll_create1(0);
	uint64_t start, ns = (uint64_t)seconds * 1000000000, sum;

	for (char *a = strtok_r(addresses, ",", &rest); a && servers < CONNS_MAX;
	     a = strtok_r(NULL, ",", &rest))
		list[servers++] = a;
	if (servers == 0)
		die("no address");
	for (unsigned i = 0; i < n; i++) {
		struct epoll_event ev = {.events = EPOLLIN, .data.u32 = i};
		struct out o = {out_buf, 0};

		open_conn(&conns[i], list[i % servers], port, op, depth);
		if (epoll_ctl(ep, EPOLL_CTL_ADD, conns[i].fd, &ev) != 0)
			die("epoll");
		for (unsigned k = 0; k < depth; k++)
			put_request(&o, op);
		send_all(&conns[i], &o);
	}
	start = now_ns(CLOCK_MONOTONIC);
	(void)pump(ep, start + ns / 5);
	start = now_ns(CLOCK_MONOTONIC);
	sum = pump(ep, start + ns);
	ns = now_ns(CLOCK_MONOTONIC) - start;
	printf("%.0f %.1f\n", (double)sum / ((double)ns / 1e9),
	       sum ? (double)ns / 1e3 * n * depth / (double)sum : 0.0);
	close(ep);
}

int main(int argc, char **argv)
{
	unsigned writers = 0, depth;

	if (argc != 6 && argc != 9) {
		fprintf(stderr, "usage: sock_load fill|run|get|set ADDRESS PORT NODES BYTES "
				"[SECONDS CONNS DEPTH]\n");
		return 2;
	}
	nodes = (unsigned)strtoul(argv[4], NULL, 10);
	data_bytes = (unsigned)strtoul(argv[5], NULL, 10);
	if (nodes == 0 || data_bytes < 8 || data_bytes > 500) {
		fprintf(stderr, "sock_load: nodes and 8 to 500 bytes\n");
		return 2;
	}
	nodes = (nodes + PER_PARENT - 1) / PER_PARENT * PER_PARENT;
	if (argc == 6) {
		open_conn(&conns[0], argv[2], atoi(argv[3]), 0, 0);
		fill(&conns[0]);
		return 0;
	}
	writers = (unsigned)strtoul(argv[7], NULL, 10);
	if (writers > CONNS_MAX - 2)
		writers = CONNS_MAX - 2;
	depth = (unsigned)strtoul(argv[8], NULL, 10);
	if (strcmp(argv[1], "run") != 0) {
		load(argv[2], atoi(argv[3]), strcmp(argv[1], "get") ? OP_SET_DATA : OP_GET_DATA,
		     (unsigned)strtoul(argv[6], NULL, 10), writers, depth);
		return 0;
	}
	open_conn(&conns[0], argv[2], atoi(argv[3]), OP_GET_DATA, 1);
	open_conn(&conns[1], argv[2], atoi(argv[3]), OP_SET_DATA, 1);
	for (unsigned i = 0; i < writers; i++)
		open_conn(&conns[2 + i], argv[2], atoi(argv[3]), OP_SET_DATA, depth);
	run((unsigned)strtoul(argv[6], NULL, 10), writers);
	return 0;
}
