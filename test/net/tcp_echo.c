/* SPDX-License-Identifier: Apache-2.0 */
/* dp/net on a device, for kernel peers: tcp_echo DEVICE ADDRESS PORT.
 *
 * The first byte of a connection says what it wants:
 *   E          send back all bytes, then FIN after the peer's FIN
 *   B nnnn     send nnnn (4 bytes, big endian) pattern bytes and close first
 *   A          answer with RST
 *   C pp       open a connection to the peer's port pp (2 bytes) that works like E without the E
 * SIGTERM ends it: every connection is reset, and packets that are missing then make exit code 1.
 */
#include "core/base/endian.h"
#include "core/mem.h"
#include "dp/eal/eal.h"
#include "dp/net/net.h"
#include "dp/net/stats.h"
#include "dp/net/tcp/tcp.h"
#include "dp/port/port.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	BURST = 32,
	POOL_PACKETS = 16384,
	ROOM = 2048,
	EMPTY_ROUNDS = 50,
	SLEEP_NS = 20000,
	DRAIN_ROUNDS = 1000,
};

enum peer_state { PEER_NEW, PEER_ECHO, PEER_SEND, PEER_OVER };

struct peer {
	struct peer *next, **link; /* all of them, for the end */
	struct tcp_conn *conn;
	enum peer_state state;
	bool fin;
	uint32_t to_send, sent;
};

struct program {
	struct port *port;
	struct pkt_pool *pool;
	struct zk_mem mem;
	struct net *net;
	struct tcp *tcp;
	struct peer *peers;
	uint64_t now_ns, accepted;
};

static volatile sig_atomic_t stopping;

static void on_signal(int signo)
{
	(void)signo;
	stopping = 1;
}

static void log_line(void *ctx, const char *line)
{
	(void)ctx;
	(void)fprintf(stderr, "tcp_echo: %s\n", line);
}

static struct peer *peer_new(struct program *g, struct tcp_conn *c, enum peer_state state)
{
	struct peer *p = calloc(1, sizeof(*p));

	zk_assert(p);
	p->conn = c;
	p->state = state;
	p->next = g->peers;
	p->link = &g->peers;
	if (p->next)
		p->next->link = &p->next;
	g->peers = p;
	tcp_user_set(c, p);
	return p;
}

static void peer_free(struct program *g, struct peer *p)
{
	tcp_release(p->conn, g->now_ns);
	*p->link = p->next;
	if (p->next)
		p->next->link = p->link;
	free(p);
}

/* Bytes @p skip .. of the front, which may lie in several runs. */
static void copy_front(const struct tcp_conn *c, uint8_t *out, size_t n)
{
	for (size_t i = 0; i < n;) {
		struct zk_span s = tcp_peek(c, i);

		zk_assert(s.n > 0);
		for (size_t k = 0; k < s.n && i < n; k++)
			out[i++] = s.p[k];
	}
}

static void peer_command(struct program *g, struct peer *p)
{
	uint8_t h[5];
	size_t have = tcp_readable(p->conn);
	struct tcp_conn *c;

	if (have == 0)
		return;
	copy_front(p->conn, h, 1);
	if (h[0] == 'E') {
		tcp_read_done(p->conn, 1);
		p->state = PEER_ECHO;
	} else if (h[0] == 'B' && have >= 5) {
		copy_front(p->conn, h, 5);
		tcp_read_done(p->conn, 5);
		p->to_send = zk_get32(h + 1);
		p->state = PEER_SEND;
	} else if (h[0] == 'C' && have >= 3) {
		copy_front(p->conn, h, 3);
		tcp_read_done(p->conn, 3);
		if (tcp_connect(g->tcp, tcp_tuple(p->conn)->remote, zk_get16(h + 1), g->now_ns,
				&c) == ZK_EOK)
			(void)peer_new(g, c, PEER_ECHO);
		p->state = PEER_ECHO;
	} else if (h[0] != 'B' && h[0] != 'C') {
		p->state = PEER_OVER;
		tcp_abort(p->conn, g->now_ns);
	}
}

static void peer_echo(struct program *g, struct peer *p)
{
	for (;;) {
		struct zk_span s = tcp_peek(p->conn, 0);
		size_t n = s.n ? tcp_write(p->conn, s.p, s.n) : 0;

		if (n == 0)
			break;
		tcp_read_done(p->conn, n);
	}
	if (p->fin && tcp_readable(p->conn) == 0) {
		p->state = PEER_OVER;
		tcp_shutdown(p->conn, g->now_ns);
	}
}

static void peer_send(struct program *g, struct peer *p)
{
	uint8_t bytes[4096];

	while (p->sent < p->to_send) {
		size_t n = p->to_send - p->sent;

		if (n > sizeof(bytes))
			n = sizeof(bytes);
		for (size_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)((p->sent + i) * 31 + ((p->sent + i) >> 8));
		n = tcp_write(p->conn, bytes, n);
		if (n == 0)
			return;
		p->sent += (uint32_t)n;
	}
	p->state = PEER_OVER;
	tcp_shutdown(p->conn, g->now_ns);
}

static void peer_work(struct program *g, struct peer *p, unsigned events)
{
	if (events & TCP_READY_FIN)
		p->fin = true;
	if (events & TCP_READY_CLOSED) {
		peer_free(g, p);
		return;
	}
	if (p->state == PEER_NEW)
		peer_command(g, p);
	if (p->state == PEER_ECHO)
		peer_echo(g, p);
	if (p->state == PEER_SEND)
		peer_send(g, p);
	if (p->state == PEER_OVER || (p->state == PEER_NEW && p->fin)) {
		/* what comes after the end is not for us */
		tcp_read_done(p->conn, tcp_readable(p->conn));
		if (p->state == PEER_NEW)
			tcp_shutdown(p->conn, g->now_ns);
		p->state = PEER_OVER;
	}
}

static void transmit(struct program *g)
{
	struct pkt *v[BURST];
	unsigned n;

	while ((n = net_output(g->net, v, BURST, g->now_ns)) > 0) {
		unsigned done = port_tx(g->port, 0, v, (uint16_t)n);

		for (; done < n; done++)
			pkt_free(v[done]); /* a full queue loses packets; TCP sends them again */
	}
}

/* One round. @return packets received. */
static unsigned poll_once(struct program *g)
{
	struct pkt *v[BURST];
	struct tcp_conn *c;
	unsigned events, n = port_rx(g->port, 0, v, BURST);

	g->now_ns = eal_now_ns();
	if (n)
		net_input(g->net, v, n, g->now_ns);
	while ((c = tcp_next_ready(g->tcp, &events))) {
		struct peer *p = tcp_user(c);

		if (!p) {
			p = peer_new(g, c, PEER_NEW);
			g->accepted++;
		}
		peer_work(g, p, events);
	}
	net_round_end(g->net, g->now_ns);
	transmit(g);
	return n;
}

static void serve(struct program *g, uint16_t tcp_port)
{
	const struct timespec nap = {.tv_nsec = SLEEP_NS};
	unsigned empty = 0;

	while (!stopping) {
		if (poll_once(g)) {
			empty = 0;
		} else if (++empty > EMPTY_ROUNDS) {
			(void)nanosleep(&nap, NULL);
		}
	}
	tcp_unlisten(g->tcp, tcp_port);
	while (g->peers) {
		tcp_abort(g->peers->conn, g->now_ns);
		peer_free(g, g->peers);
	}
	for (unsigned i = 0; i < DRAIN_ROUNDS; i++)
		(void)poll_once(g);
}

static void print_stats(const struct program *g)
{
	const struct net_stats *s = net_stats_get(g->net);

	(void)printf("accepted %" PRIu64 "\n", g->accepted);
	for (size_t i = 0; i < NET_STATS_COUNT; i++) {
		if (net_stats_value(s, i))
			(void)printf("%s %" PRIu64 "\n", net_stats_describe(i)->name,
				     net_stats_value(s, i));
	}
}

static int run(struct program *g, const char *address, uint16_t tcp_port)
{
	struct net_conf n = {.mac = {0x02, 0x5a, 0x4b, 0, 0, 1},
			     .prefix = 24,
			     .cores = 1,
			     .mtu = port_mtu(g->port),
			     .tx_csum = false,
			     .rx_csum = false,
			     .mem = &g->mem,
			     .pool = g->pool};
	struct tcp_conf t;
	struct in_addr in;
	FILE *random = fopen("/dev/urandom", "rb");

	if (!random || fread(n.secret, 1, sizeof(n.secret), random) != sizeof(n.secret) ||
	    fread(n.steer_key, 1, sizeof(n.steer_key), random) != sizeof(n.steer_key)) {
		log_line(NULL, "no randomness");
		if (random)
			(void)fclose(random);
		return 1;
	}
	(void)fclose(random);
	if (inet_pton(AF_INET, address, &in) != 1) {
		log_line(NULL, "bad address");
		return 2;
	}
	n.addr = net_addr_v4(ntohl(in.s_addr));
	tcp_conf_default(&t);
	t.time_wait_ms = 1000;
	g->now_ns = eal_now_ns();
	if (net_new(&n, &t, g->now_ns, &g->net) != ZK_EOK) {
		log_line(NULL, "net_new() failed");
		return 1;
	}
	g->tcp = net_tcp(g->net);
	if (tcp_listen(g->tcp, tcp_port, NULL, NULL) != ZK_EOK) {
		log_line(NULL, "tcp_listen() failed");
		return 1;
	}
	(void)printf("ready\n");
	(void)fflush(stdout);
	serve(g, tcp_port);
	print_stats(g);
	net_free(g->net);
	return 0;
}

int main(int argc, char **argv)
{
	struct program g = {0};
	struct port_conf pc = {.queues = 1, .rx_pool_packets = POOL_PACKETS};
	struct eal_conf ec = {.hugepages = EAL_HUGE_NO, .memory_mib = 128, .log = log_line};
	char why[PORT_ERR_TEXT_MAX] = "";
	int code;

	if (argc != 4) {
		(void)fprintf(stderr, "usage: tcp_echo DEVICE ADDRESS PORT\n");
		return 2;
	}
	if (port_spec_parse(argv[1], &pc.spec, why) != ZK_EOK) {
		log_line(NULL, why);
		return 2;
	}
	(void)signal(SIGTERM, on_signal);
	(void)signal(SIGINT, on_signal);
	zk_mem_init_heap(&g.mem, 0);
	ec.devices = &pc.spec;
	ec.n_devices = 1;
	if (eal_start(&ec, why) != ZK_EOK || port_open(&pc, &g.port, why) != ZK_EOK) {
		log_line(NULL, why);
		return 1;
	}
	g.pool = port_pool_new("tx core 0", POOL_PACKETS, ROOM);
	if (!g.pool || eal_thread_register() != ZK_EOK) {
		log_line(NULL, "no packet pool");
		return 1;
	}
	code = run(&g, argv[2], (uint16_t)strtoul(argv[3], NULL, 10));
	eal_thread_unregister();
	port_close(g.port);
	if (!port_pool_free(g.pool))
		code = 1;
	if (g.mem.used_bytes) {
		log_line(NULL, "memory is missing");
		code = 1;
	}
	eal_stop();
	return code;
}
