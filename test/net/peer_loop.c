/* SPDX-License-Identifier: Apache-2.0 */
/* A server's loop with the network of the quorum, for kernel peers: peer.sh calls it in a network
 * namespace of its own.
 *
 *   peer_loop DEVICE HOST STACK [cores=N] [queue=1] [own=DEVICE,HOST,STACK]
 *
 * Client port 2181: the real client cores, with a log in memory. Quorum port 2888: every byte comes
 * back. Election port 3888: lines of text:
 *   dial HOST:PORT   answers open or failed; the connection sends every byte back
 *   refuse 0|1       connections to the quorum port are not wanted
 *   stats            "name value" lines, then an empty one
 *   rebuild MS       the loop goes, the peer works alone for so long, a new loop comes
 * SIGTERM ends it; packets that are missing then make exit code 1.
 */
#include "core/base/endian.h"
#include "core/tree/tree.h"
#include "dp/eal/eal.h"
#include "dp/loop/loop.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { CONNS = 64, LINE_MAX_BYTES = 128, RX = 2048, TX = 4096, PREFIX = 24, TEXT_MAX = 4096 };

struct conn {
	struct program *g;
	bool used, commands;
	void *transport;
	struct conn *asked_by; /* of a dialled one, until it is known how that went */
	char line[LINE_MAX_BYTES];
	size_t n;
};

struct program {
	struct port_conf pc, own_pc;
	struct port *port, *own;
	unsigned cores;
	struct zk_mem tree_mem;
	struct tree *tree;
	struct srv_shared *shared;
	struct peer *peer;
	struct loop *loop;
	struct conn conn[CONNS];
	bool refuse;
	_Atomic unsigned rebuild_ms; /* relaxed: leader's thread sets, main thread takes */
	uint64_t rebuilds, lost; /* peer frames that client cores of loops before have dropped */
	char why[LOOP_ERR_TEXT_MAX * 2];
};

static volatile sig_atomic_t stopping;

static void on_signal(int signo)
{
	(void)signo;
	stopping = 1;
}

static void say(void *ctx, const char *line)
{
	(void)ctx;
	(void)fprintf(stderr, "peer_loop: %s\n", line);
}

static int fail(const char *what)
{
	say(NULL, what);
	return 1;
}

/* ---- what runs on the peer ---- */

static struct conn *conn_new(struct program *g)
{
	for (unsigned i = 0; i < CONNS; i++)
		if (!g->conn[i].used) {
			g->conn[i] = (struct conn){.g = g, .used = true};
			return &g->conn[i];
		}
	return NULL;
}

static void answer(struct conn *k, const char *text)
{
	if (peer_io.write(k->transport, text, strlen(text)) != strlen(text))
		peer_io.abort(k->transport);
}

static uint64_t value(const _Atomic uint64_t *v)
{
	return atomic_load_explicit(v, memory_order_relaxed);
}

static uint64_t over_cores(const struct program *g, size_t field)
{
	uint64_t n = 0;

	for (unsigned i = 0; g->loop && i < g->cores; i++)
		n += value(
			(const _Atomic uint64_t *)(const void *)((const char *)client_stats_of(
									 loop_client(g->loop, i)) +
								 field));
	return n;
}

static void stats(struct conn *k)
{
	const struct program *g = k->g;
	const struct peer_stats *s = peer_stats_of(g->peer);
	char text[TEXT_MAX];
	size_t n = 0;

#define PUT(name, v)                                                                               \
	n += (size_t)snprintf(text + n, sizeof(text) - n, "%s %" PRIu64 "\n", name, (uint64_t)(v));
#define PEER_LINE(name, what) PUT("peer_" #name, value(&s->name))
#define CLIENT_LINE(name, what)                                                                    \
	PUT("client_" #name, over_cores(g, offsetof(struct client_stats, name)))
	PEER_STATS_MAP(PEER_LINE)
	CLIENT_STATS_MAP(CLIENT_LINE)
	PUT("own_queue", port_peer_queue(g->port) >= 0)
	PUT("rebuilds", g->rebuilds)
	PUT("lost_before", g->lost)
	zk_assert(n + 2 < sizeof(text));
	text[n] = '\n';
	text[n + 1] = 0;
	answer(k, text);
}

static void command(struct conn *k)
{
	struct program *g = k->g;

	if (strncmp(k->line, "dial ", 5) == 0) {
		struct conn *d = conn_new(g);

		if (d)
			d->asked_by = k;
		if (!d || !peer_dial(g->peer, d, zk_span_str(k->line + 5))) {
			if (d)
				d->used = false;
			answer(k, "failed\n");
		}
	} else if (strncmp(k->line, "refuse ", 7) == 0) {
		g->refuse = k->line[7] == '1';
		answer(k, "ok\n");
	} else if (strcmp(k->line, "stats") == 0) {
		stats(k);
	} else if (strncmp(k->line, "rebuild ", 8) == 0) {
		answer(k, "ok\n");
		atomic_store_explicit(&g->rebuild_ms, (unsigned)atoi(k->line + 8),
				      memory_order_relaxed);
	} else {
		peer_io.abort(k->transport);
	}
}

static void commands(struct conn *k)
{
	struct zk_span w;

	while ((w = peer_io.peek(k->transport, 0)).n > 0) {
		uint8_t c = w.p[0];

		peer_io.read_done(k->transport, 1);
		if (c != '\n' && k->n < LINE_MAX_BYTES - 1) {
			k->line[k->n++] = (char)c;
			continue;
		}
		k->line[k->n] = 0;
		k->n = 0;
		command(k);
	}
}

static void echo(struct conn *k)
{
	struct zk_span w;

	while ((w = peer_io.peek(k->transport, 0)).n > 0) {
		size_t n = peer_io.write(k->transport, w.p, w.n);

		if (n == 0)
			return;
		peer_io.read_done(k->transport, n);
	}
}

static void app_input(void *ctx, void *conn, uint64_t now_ns)
{
	struct conn *k = conn;

	(void)ctx;
	(void)now_ns;
	if (k->commands)
		commands(k);
	else
		echo(k);
}

static void *app_accepted(void *ctx, enum quorum_port port, void *transport, uint64_t now_ns)
{
	struct program *g = ctx;
	bool refused = port == QUORUM_PORT_LEARNERS && g->refuse;
	struct conn *k = refused ? NULL : conn_new(g);

	(void)now_ns;
	if (!k)
		return NULL;
	k->transport = transport;
	k->commands = port == QUORUM_PORT_ELECTION;
	return k;
}

static void app_dialled(void *ctx, void *conn, void *transport, uint64_t now_ns)
{
	struct conn *k = conn;

	(void)ctx;
	(void)now_ns;
	k->transport = transport;
	if (k->asked_by)
		answer(k->asked_by, transport ? "open\n" : "failed\n");
	k->asked_by = NULL;
	k->used = transport != NULL;
}

static void app_gone(void *ctx, void *conn, uint64_t now_ns)
{
	struct program *g = ctx;
	struct conn *k = conn;

	(void)now_ns;
	for (unsigned i = 0; i < CONNS; i++)
		if (g->conn[i].asked_by == k)
			g->conn[i].asked_by = NULL;
	k->used = false;
}

static unsigned app_poll(void *ctx, uint64_t now_ns, int64_t wall_ms)
{
	(void)ctx;
	(void)now_ns;
	(void)wall_ms;
	return 0;
}

static uint64_t app_next_ns(void *ctx)
{
	(void)ctx;
	return UINT64_MAX;
}

/* ---- the server around it ---- */

static bool fill_net(struct net_conf *n, uint32_t ip, uint8_t last)
{
	*n = (struct net_conf){
		.mac = {0x02, 0x7a, 0x6b, 0, 0, last}, .addr = net_addr_v4(ip), .prefix = PREFIX};
	return getrandom(n->secret, sizeof(n->secret), 0) == sizeof(n->secret) &&
	       getrandom(n->steer_key, sizeof(n->steer_key), 0) == sizeof(n->steer_key);
}

static bool make_loop(struct program *g)
{
	struct loop_conf lc = {.port = g->port,
			       .cores = g->cores,
			       .core_cpu = {1, 0},
			       .leader_cpu = 0,
			       .adaptive = true,
			       .tx_packets = TX,
			       .rx_packets = RX,
			       .listen_port = 2181,
			       .conns_max = 256,
			       .core_memory_bytes = 64 << 20,
			       .shared = g->shared,
			       .leader = {.server_id = 1,
					  .tick_ms = 2000,
					  .pending_max = 1024,
					  .sessions_max = 1000,
					  .jute_maxbuffer = 1 << 20},
			       .tree = g->tree,
			       .peer = g->peer,
			       .log_in_memory = true};
	struct tree_conf tc = {
		.mem = &g->tree_mem, .key = {1, 2}, .index_slots = 1024, .changes_soft_max = 1024};

	memset(g->shared, 0, sizeof(*g->shared));
	*g->shared = (struct srv_shared){.version = "3.9",
					 .built = "now",
					 .four_letter_words = srv_words_parse("*"),
					 .tick_ms = 2000,
					 .min_session_timeout_ms = 4000,
					 .max_session_timeout_ms = 40000,
					 .jute_maxbuffer = 1 << 20,
					 .limit = {.outstanding = 1000},
					 .sessionless_timeout_ms = 10000};
	if (tree_new(&tc, &g->tree) != ZK_EOK)
		return false;
	lc.tree = g->tree;
	tcp_conf_default(&lc.tcp);
	lc.tcp.time_wait_ms = 1000;
	if (!fill_net(&lc.net, g->pc.stack_ip, 1))
		return false;
	memcpy(lc.net.steer_key, g->pc.peer.steer_key, sizeof(lc.net.steer_key));
	return loop_new(&lc, &g->loop, g->why) == ZK_EOK && loop_start(g->loop, g->why) == ZK_EOK;
}

static bool end_loop(struct program *g)
{
	bool whole;

	loop_stop(g->loop);
	g->lost += over_cores(g, offsetof(struct client_stats, peer_full));
	whole = loop_free(g->loop);
	tree_free(g->tree);
	g->loop = NULL;
	return whole;
}

static bool rebuild(struct program *g, unsigned ms)
{
	const struct timespec nap = {.tv_nsec = 20000};
	uint64_t end;

	if (!end_loop(g))
		return false;
	end = eal_now_ns() + (uint64_t)ms * 1000000;
	while (eal_now_ns() < end)
		if (peer_alone_poll(g->peer, eal_now_ns()) == 0)
			(void)nanosleep(&nap, NULL);
	g->rebuilds++;
	return make_loop(g);
}

static bool make_peer(struct program *g)
{
	static struct peer_host hosts[] = {{.name = "nowhere"}};
	const struct peer_app app = {.ctx = g,
				     .accepted = app_accepted,
				     .dialled = app_dialled,
				     .input = app_input,
				     .writable = app_input,
				     .gone = app_gone,
				     .poll = app_poll,
				     .next_ns = app_next_ns};
	struct peer_conf c = {.port = g->own ? g->own : g->port,
			      .own_device = g->own != NULL,
			      .client_port = 2181,
			      .election_port = 3888,
			      .quorum_port = 2888,
			      .hosts = hosts,
			      .hosts_n = 1};

	peer_conf_default(&c);
	c.tx_packets = c.rx_packets = RX;
	c.tcp.syn_give_up_ms = 300;
	if (!fill_net(&c.net, g->own ? g->own_pc.stack_ip : g->pc.stack_ip, g->own ? 2 : 1) ||
	    peer_new(&c, eal_now_ns(), &g->peer) != ZK_EOK)
		return false;
	peer_app_set(g->peer, &app);
	return true;
}

static bool fill_port(struct port_conf *pc, const char *device, const char *host, const char *stack,
		      char *why)
{
	struct in_addr h, s;

	if (inet_pton(AF_INET, host, &h) != 1 || inet_pton(AF_INET, stack, &s) != 1)
		return false;
	pc->tap_host_ip = ntohl(h.s_addr);
	pc->stack_ip = ntohl(s.s_addr);
	pc->tap_host_prefix = PREFIX;
	pc->queues = 1;
	pc->rx_pool_packets = RX;
	pc->peer.rx_pool_packets = RX;
	return port_spec_parse(device, &pc->spec, why) == ZK_EOK;
}

/* Connections that we open in the tests go to port 7000. */
static void ask_for_queue(struct port_peer_conf *c, bool queue)
{
	static const struct port_remote remote = {0x0ab50702, 7000};

	c->queue = queue;
	c->client_port = 2181;
	c->listen[0] = 2888;
	c->listen[1] = 3888;
	c->remote = &remote;
	c->remotes = 1;
	for (size_t i = 0; i < sizeof(c->steer_key); i++)
		c->steer_key[i] = (uint8_t)i;
}

static bool parse(struct program *g, int argc, char **argv)
{
	if (argc < 4 || !fill_port(&g->pc, argv[1], argv[2], argv[3], g->why))
		return false;
	g->cores = 1;
	ask_for_queue(&g->pc.peer, false);
	for (int i = 4; i < argc; i++) {
		char *save, *device, *host, *stack;

		if (strncmp(argv[i], "cores=", 6) == 0) {
			g->cores = (unsigned)atoi(argv[i] + 6);
			continue;
		}
		if (strcmp(argv[i], "queue=1") == 0) {
			ask_for_queue(&g->pc.peer, true);
			continue;
		}
		if (strncmp(argv[i], "own=", 4) != 0)
			return false;
		device = strtok_r(argv[i] + 4, ",", &save);
		host = strtok_r(NULL, ",", &save);
		stack = strtok_r(NULL, ",", &save);
		if (!stack || !fill_port(&g->own_pc, device, host, stack, g->why))
			return false;
	}
	g->pc.queues = (uint16_t)g->cores;
	return g->cores >= 1 && g->cores <= 2;
}

static bool bring_up(struct program *g)
{
	struct port_spec devices[2] = {g->pc.spec, g->own_pc.spec};
	struct eal_conf ec = {.hugepages = EAL_HUGE_NO,
			      .memory_mib = 64,
			      .devices = devices,
			      .n_devices = g->own_pc.queues ? 2 : 1,
			      .log = say};

	zk_mem_init_heap(&g->tree_mem, 0);
	g->shared = calloc(1, sizeof(*g->shared));
	return g->shared && eal_start(&ec, g->why) == ZK_EOK &&
	       port_open(&g->pc, &g->port, g->why) == ZK_EOK &&
	       (!g->own_pc.queues || port_open(&g->own_pc, &g->own, g->why) == ZK_EOK) &&
	       make_peer(g) && make_loop(g);
}

static bool serve(struct program *g)
{
	const struct timespec nap = {.tv_nsec = 5000000};

	(void)printf("ready\n");
	(void)fflush(stdout);
	while (!stopping) {
		unsigned ms = atomic_exchange_explicit(&g->rebuild_ms, 0, memory_order_relaxed);

		if (ms && !rebuild(g, ms))
			return false;
		(void)nanosleep(&nap, NULL);
	}
	return true;
}

int main(int argc, char **argv)
{
	static struct program g;
	bool whole;

	if (!parse(&g, argc, argv))
		return fail("usage: peer_loop DEVICE HOST STACK [cores=N] [queue=1] "
			    "[own=DEVICE,HOST,STACK]");
	(void)signal(SIGTERM, on_signal);
	if (!bring_up(&g) || !serve(&g))
		return fail(g.why);
	whole = end_loop(&g);
	whole = peer_free(g.peer) && whole;
	whole = port_close(g.port) == 0 && port_close(g.own) == 0 && whole;
	eal_stop();
	free(g.shared);
	if (!whole || g.tree_mem.used_bytes)
		return fail("packets or memory missing");
	(void)printf("clean\n");
	return 0;
}
