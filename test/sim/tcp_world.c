/* SPDX-License-Identifier: Apache-2.0 */
#include "test/sim/tcp_world.h"

#include "dp/net/tcp/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
	BURST = 32,
	PORT = 2181,
	STEPS_MAX = 4000000,
	STUCK_ROUNDS_MAX = 1000,
	ROOM = 2048,
	/* Once the link is whole: the longest back-off, twice, the give-up time, and the transfer.
	 */
	LIVENESS_S = 300,
	/* Once the applications are done: every closing state and TIME-WAIT. */
	QUIESCE_S = 200,
};

#define START_NS 5000000000u

void world_fail(struct world *w, const char *format, ...)
{
	va_list ap;

	if (w->failed)
		return;
	w->failed = true;
	va_start(ap, format);
	(void)vsnprintf(w->why, sizeof(w->why), format, ap);
	va_end(ap);
}

static void random_link(struct link_conf *l, struct sim_rng *r, unsigned strength)
{
	static const uint32_t LOSS[4] = {0, 10000, 50000, 200000};

	*l = (struct link_conf){.loss_ppm = LOSS[strength],
				.delay_ns = sim_rng_range(r, 10000, 20 * LINK_MS),
				.queue_packets = LINK_QUEUE_MAX};
	if (sim_rng_below(r, 2))
		l->jitter_ns = sim_rng_range(r, 0, l->delay_ns);
	if (sim_rng_below(r, 2))
		l->tx_hold_ns = sim_rng_range(r, 1000, 300 * LINK_MS);
	if (sim_rng_below(r, 4) == 0)
		l->queue_packets = (uint32_t)sim_rng_range(r, 8, 64);
	if (strength == 0)
		return;
	if (sim_rng_below(r, 2))
		l->duplicate_ppm = (uint32_t)sim_rng_range(r, 1000, 100000);
	if (sim_rng_below(r, 2)) {
		l->reorder_ppm = (uint32_t)sim_rng_range(r, 1000, 200000);
		l->reorder_ns = sim_rng_range(r, LINK_MS / 10, 50 * LINK_MS);
	}
	if (sim_rng_below(r, 2))
		l->corrupt_ppm = (uint32_t)sim_rng_range(r, 1000, 30000);
	if (sim_rng_below(r, 4) == 0)
		l->truncate_ppm = (uint32_t)sim_rng_range(r, 1000, 20000);
}

static void random_load(struct world_conf *c, struct sim_rng *r)
{
	c->load = (enum world_load)sim_rng_below(r, WORLD_LOADS);
	c->conns = c->at_once = (unsigned)sim_rng_range(r, 1, 4);
	c->c2s_max = c->s2c_max = (uint32_t)sim_rng_range(r, 1000, 300000);
	if (c->load == WORLD_REQUESTS)
		c->conns = c->at_once = (unsigned)sim_rng_range(r, 1, 12);
	if (c->load == WORLD_SHORT) {
		c->conns = (unsigned)sim_rng_range(r, 20, 120);
		c->at_once = (unsigned)sim_rng_range(r, 1, 12);
		c->c2s_max = c->s2c_max = (uint32_t)sim_rng_range(r, 0, 3000);
	}
	c->server_closes_first = sim_rng_below(r, 2);
	c->tails = sim_rng_below(r, 2);
	c->readers_stall = sim_rng_below(r, 4) == 0;
}

static void random_tcp(struct world_conf *c, struct sim_rng *r)
{
	tcp_conf_default(&c->tcp);
	c->tcp.conns_max = 1024;
	c->tcp.rto_max_ms = 10000;
	c->tcp.give_up_ms = 60000;
	c->tcp.syn_give_up_ms = 60000;
	c->tcp.time_wait_ms = 1000;
	c->tcp.fin_wait_ms = 100000;
	c->pool_packets = 8192;
	c->mtu = 1500;
	if (sim_rng_below(r, 4) == 0)
		c->mtu = (uint16_t)sim_rng_range(r, 296, 700);
	if (sim_rng_below(r, 3) == 0) {
		c->tcp.rcv_buf_bytes = (uint32_t)sim_rng_range(r, 2000, 30000);
		c->tcp.snd_buf_bytes = (uint32_t)sim_rng_range(r, 2000, 30000);
	}
	if (sim_rng_below(r, 4) == 0) {
		c->tcp.ooo_intervals = (uint16_t)sim_rng_range(r, 1, 4);
		c->tcp.ooo_bytes = (uint32_t)sim_rng_range(r, 2048, 20000);
	}
	if (sim_rng_below(r, 4) == 0) {
		c->pool_packets = (uint32_t)sim_rng_range(r, 128, 512);
		c->tcp.mem_packets_max = c->pool_packets / 2;
	}
	if (sim_rng_below(r, 3) == 0)
		c->tcp.rto_min_ms = (uint32_t)sim_rng_range(r, 20, 300);
	if (sim_rng_below(r, 6) == 0)
		c->tcp.syn_backlog = (uint32_t)sim_rng_range(r, 1, 4);
}

void world_conf_from_seed(struct world_conf *c, uint64_t seed)
{
	struct sim_rng r = {.state = zk_mix64(seed + 1)};
	unsigned strength = (unsigned)sim_rng_below(&r, 4);

	memset(c, 0, sizeof(*c));
	c->seed = seed;
	c->heal_ns = START_NS + sim_rng_range(&r, 1, 30) * LINK_S;
	random_load(c, &r);
	random_tcp(c, &r);
	random_link(&c->link[0], &r, strength);
	random_link(&c->link[1], &r, strength);
	c->resets_allowed = strength == 3;
	if (sim_rng_below(&r, 5) == 0) {
		struct link_conf *l = &c->link[sim_rng_below(&r, 2)];

		l->cut_from_ns = START_NS + sim_rng_below(&r, 2 * LINK_S);
		l->cut_until_ns = l->cut_from_ns + sim_rng_range(&r, LINK_MS, 15ull * LINK_S);
	}
	if (sim_rng_below(&r, 5) == 0) {
		c->pool_shortage = true;
		c->resets_allowed = true;
	}
	if (c->pool_packets < 1024)
		c->resets_allowed = true;
	/* a cookie keeps nothing: a handshake with losses may end in a reset */
	if (c->tcp.syn_backlog && c->tcp.syn_backlog < 8)
		c->resets_allowed = true;
}

static void side_open(struct world *w, unsigned i)
{
	struct world_side *s = &w->side[i];
	const struct world_conf *c = &w->conf;
	struct net_conf n = {.mac = {2, 0, 0, 0, 0, (uint8_t)(i + 1)},
			     .addr = net_addr_v4(0x0ab50001 + i),
			     .prefix = 24,
			     .mtu = c->mtu,
			     .cores = 1,
			     .mem = &s->mem};

	zk_mem_init_heap(&s->mem, 0);
	s->tx = pkt_heap_pool_new(c->pool_packets, ROOM);
	s->rx = pkt_heap_pool_new(c->pool_packets, ROOM);
	n.pool = s->tx;
	for (unsigned k = 0; k < sizeof(n.secret); k++)
		n.secret[k] = (uint8_t)sim_rng_next(&w->rng);
	if (net_new(&n, &c->tcp, w->now_ns, &s->net) != ZK_EOK) {
		world_fail(w, "net_new() failed");
		return;
	}
	s->tcp = net_tcp(s->net);
	if (i == 1 && tcp_listen(s->tcp, PORT, NULL, NULL) != ZK_EOK)
		world_fail(w, "tcp_listen() failed");
}

/* Both structures hold nothing but 64-bit counters. */
static void add_counters(void *sum, const void *more, size_t n)
{
	for (size_t i = 0; i < n; i += sizeof(uint64_t)) {
		uint64_t a, b;

		memcpy(&a, (const char *)sum + i, sizeof(a));
		memcpy(&b, (const char *)more + i, sizeof(b));
		a += b;
		memcpy((char *)sum + i, &a, sizeof(a));
	}
}

static void side_close(struct world *w, unsigned i)
{
	struct world_side *s = &w->side[i];
	uint32_t tx, rx;

	if (s->net) {
		add_counters(&w->stats, net_stats_get(s->net), sizeof(w->stats));
		net_free(s->net);
	}
	tx = pkt_heap_pool_free(s->tx);
	rx = pkt_heap_pool_free(s->rx);
	if (tx || rx)
		world_fail(w, "side %u leaked %u sent and %u received packets", i, tx, rx);
	if (s->mem.used_bytes)
		world_fail(w, "side %u leaked %zu bytes", i, s->mem.used_bytes);
}

static void side_input(struct world *w, unsigned i)
{
	struct world_side *s = &w->side[i];
	uint8_t bytes[LINK_FRAME_MAX];
	struct pkt *v[BURST];
	unsigned n = 0;
	uint32_t len;

	while (n < BURST && (len = link_receive(w->link, i, w->now_ns, bytes)) > 0) {
		v[n] = pkt_heap_from(s->rx, bytes, len);
		if (v[n])
			n++;
		else
			s->rx_nombuf++; /* a device without buffers drops */
	}
	if (n)
		net_input(s->net, v, n, w->now_ns);
}

static void side_apps(struct world *w, unsigned i)
{
	struct world_side *s = &w->side[i];
	struct tcp_conn *c;
	unsigned events;

	while (!w->failed && (c = tcp_next_ready(s->tcp, &events))) {
		struct world_app *a = world_app_of(w, i, c);

		if (a && events == 0)
			world_fail(w, "ready without an event");
		if (a)
			world_app_work(w, i, a, events);
	}
	for (unsigned k = 0; k < s->n_apps && !w->failed; k++) {
		struct world_app *a = &s->apps[k];

		if (!a->finished && a->stalled_until_ns && a->stalled_until_ns <= w->now_ns) {
			a->stalled_until_ns = 0;
			world_app_work(w, i, a, 0);
		}
	}
}

static void side_output(struct world *w, unsigned i)
{
	struct world_side *s = &w->side[i];
	struct pkt *v[BURST];
	unsigned n;

	net_round_end(s->net, w->now_ns);
	while ((n = net_output(s->net, v, BURST, w->now_ns)) > 0) {
		for (unsigned k = 0; k < n; k++) {
			if (v[k]->len > (uint32_t)w->conf.mtu + 14)
				world_fail(w, "frame of %u bytes", v[k]->len);
			link_send(w->link, i, v[k], w->now_ns);
		}
	}
	tcp_check(s->tcp);
}

/* Now and then no packet is to be had for a while. */
static void shortage(struct world *w)
{
	const struct world_conf *c = &w->conf;

	if (!c->pool_shortage)
		return;
	if (w->shortage_until_ns && w->now_ns >= w->shortage_until_ns) {
		for (unsigned i = 0; i < 2; i++) {
			pkt_heap_pool_limit(w->side[i].tx, c->pool_packets);
			pkt_heap_pool_limit(w->side[i].rx, c->pool_packets);
		}
		w->shortage_until_ns = 0;
	} else if (!w->shortage_until_ns && w->now_ns < c->heal_ns &&
		   sim_rng_below(&w->rng, 200) == 0) {
		struct world_side *s = &w->side[sim_rng_below(&w->rng, 2)];

		pkt_heap_pool_limit(sim_rng_below(&w->rng, 2) ? s->tx : s->rx,
				    (uint32_t)sim_rng_below(&w->rng, 8));
		w->shortage_until_ns = w->now_ns + sim_rng_range(&w->rng, LINK_MS, 3ull * LINK_S);
	}
}

static void step(struct world *w)
{
	const struct world_conf *c = &w->conf;

	w->steps++;
	shortage(w);
	link_round(w->link, w->now_ns);
	while (w->started < c->conns && w->started - w->finished_clients < c->at_once && !w->failed)
		world_app_start(w);
	for (unsigned i = 0; i < 2 && !w->failed; i++) {
		side_input(w, i);
		side_apps(w, i);
		side_output(w, i);
	}
}

static uint64_t next_ns(const struct world *w)
{
	uint64_t t = link_next_ns(w->link), u;

	if (w->started < w->conf.conns && w->started - w->finished_clients < w->conf.at_once)
		return w->now_ns;
	for (unsigned i = 0; i < 2; i++) {
		u = net_next_timer_ns(w->side[i].net);
		t = u < t ? u : t;
	}
	u = world_app_next_ns(w);
	t = u < t ? u : t;
	if (w->shortage_until_ns && w->shortage_until_ns < t)
		t = w->shortage_until_ns;
	return t;
}

static bool apps_done(const struct world *w)
{
	if (w->finished_clients < w->conf.conns)
		return false;
	for (unsigned k = 0; k < w->side[1].n_apps; k++) {
		if (!w->side[1].apps[k].finished)
			return false;
	}
	return true;
}

static bool has_peer(const struct world *w, unsigned side, const struct world_app *a)
{
	const struct world_side *other = &w->side[1 - side];

	for (unsigned k = 0; k < other->n_apps; k++) {
		if (!other->apps[k].finished && other->apps[k].port == a->port)
			return true;
	}
	return false;
}

/* An end with nothing to send cannot know that its peer gave up while the link was bad; the session
 * layer ends such connections, and so do we. @return how many. */
static unsigned abort_orphans(struct world *w)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 2 && w->resets; i++) {
		for (unsigned k = 0; k < w->side[i].n_apps; k++) {
			struct world_app *a = &w->side[i].apps[k];

			if (a->finished || has_peer(w, i, a))
				continue;
			tcp_abort(a->conn, w->now_ns);
			n++;
		}
	}
	w->orphans += n;
	return n;
}

static const struct world_app *unfinished(const struct world *w, unsigned side, int port)
{
	const struct world_side *s = &w->side[side];

	for (unsigned k = 0; k < s->n_apps; k++) {
		if (!s->apps[k].finished && (port < 0 || s->apps[k].port == port))
			return &s->apps[k];
	}
	return NULL;
}

static void describe_end(const struct world_app *a, char *out, size_t cap)
{
	if (!a)
		(void)snprintf(out, cap, "gone");
	else
		(void)snprintf(out, cap,
			       "sent %" PRIu64 "/%u received %" PRIu64 "/%u unacked %zu unsent %zu "
			       "readable %zu%s%s%s%s",
			       a->sent, a->tx_total, a->received, a->rx_total, tcp_unacked(a->conn),
			       tcp_unsent(a->conn), tcp_readable(a->conn),
			       a->opened ? " opened" : "", a->shut ? " shut" : "",
			       a->fin_seen ? " fin" : "", a->closed ? " closed" : "");
}

/* The first connection that hangs, seen from both ends. */
static void describe_stuck(struct world *w)
{
	const struct world_app *c = unfinished(w, 0, -1);
	const struct world_app *s = unfinished(w, 1, c ? c->port : -1);
	char client[200], server[200];

	if (!c && s)
		c = unfinished(w, 0, s->port);
	describe_end(c, client, sizeof(client));
	describe_end(s, server, sizeof(server));
	world_fail(w, "no end %d s after the link healed, port %u: client %s; server %s",
		   (int)LIVENESS_S,
		   c   ? c->port
		   : s ? s->port
		       : 0,
		   client, server);
}

/* All applications have finished: the stacks must come to rest without help, holding nothing. */
static bool at_rest(const struct world *w)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct world_side *s = &w->side[i];

		if (tcp_conns(s->tcp) || pkt_heap_pool_live(s->tx) || pkt_heap_pool_live(s->rx))
			return false;
	}
	return true;
}

static void run(struct world *w)
{
	uint64_t limit = w->conf.heal_ns + LIVENESS_S * (uint64_t)LINK_S, t;
	unsigned stuck = 0;
	bool resting = false;

	while (!w->failed) {
		step(w);
		if (!resting && apps_done(w)) {
			resting = true;
			limit = (w->now_ns > w->conf.heal_ns ? w->now_ns : w->conf.heal_ns) +
				QUIESCE_S * (uint64_t)LINK_S;
		}
		if (resting && at_rest(w))
			return;
		t = next_ns(w);
		if (t > limit) {
			w->now_ns = limit;
			if (!resting && !w->orphans && abort_orphans(w)) {
				limit += QUIESCE_S * (uint64_t)LINK_S;
				continue;
			}
			if (!resting)
				describe_stuck(w);
			world_fail(w, "not at rest: %u and %u connections, packets %u %u %u %u",
				   tcp_conns(w->side[0].tcp), tcp_conns(w->side[1].tcp),
				   pkt_heap_pool_live(w->side[0].tx),
				   pkt_heap_pool_live(w->side[0].rx),
				   pkt_heap_pool_live(w->side[1].tx),
				   pkt_heap_pool_live(w->side[1].rx));
		}
		if (w->failed)
			return;
		stuck = t > w->now_ns ? 0 : stuck + 1;
		if (stuck > STUCK_ROUNDS_MAX || w->steps > STEPS_MAX)
			world_fail(w, "time stands still");
		if (t > w->now_ns)
			w->now_ns = t;
	}
}

bool world_run(struct world *w, const struct world_conf *c)
{
	uint64_t changed;

	memset(w, 0, sizeof(*w));
	w->conf = *c;
	w->now_ns = START_NS;
	w->rng.state = zk_mix64(c->seed ^ 0x776f726c64);
	w->link = link_new(c->link, c->heal_ns, zk_mix64(c->seed ^ 0x6c696e6b));
	side_open(w, 0);
	side_open(w, 1);
	if (!w->failed)
		run(w);
	w->digest = link_digest(w->link);
	for (unsigned i = 0; i < 2; i++)
		add_counters(&w->link_stats, link_stats(w->link, i), sizeof(w->link_stats));
	changed = link_free(w->link);
	if (changed)
		world_fail(w, "%" PRIu64 " frames were written to while the driver held them",
			   changed);
	side_close(w, 0);
	side_close(w, 1);
	return !w->failed;
}
