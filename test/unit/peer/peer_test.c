/* SPDX-License-Identifier: Apache-2.0 */
/* The quorum's network: connections in and out, what the application is told, steering between the
 * client cores and the peer. */
#include "core/base/endian.h"
#include "dp/loop/client_int.h"
#include "dp/loop/packets.h"
#include "dp/net/stats.h"
#include "test/unit/peer/peer_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static const uint64_t ms = 1000000;
static struct world w; /* large */

static uint64_t stat(const _Atomic uint64_t *v)
{
	return atomic_load_explicit(v, memory_order_relaxed);
}

static void connections_in_and_out(void **state)
{
	struct seen *c, *d, *s;

	(void)state;
	world_open(&w, true);
	w.b.echo = true;
	c = host_dial(&w.a, "beta:3888");
	d = host_dial(&w.a, "10.0.0.2:2888");
	assert_non_null(c);
	assert_non_null(d);
	world_run(&w, 5 * ms);
	assert_true(c->open && d->open);
	assert_int_equal(w.b.seen_n, 2);
	s = &w.b.seen[0];
	assert_int_equal(s->port, QUORUM_PORT_ELECTION);
	assert_int_equal(w.b.seen[1].port, QUORUM_PORT_LEARNERS);
	assert_int_equal(peer_io.write(c->transport, "hello", 5), 5);
	assert_int_equal(peer_io.unacked(c->transport), 5);
	world_run(&w, 5 * ms);
	assert_memory_equal(s->bytes, "hello", 5);
	assert_int_equal(c->got, 5);
	assert_memory_equal(c->bytes, "hello", 5);
	assert_int_equal(peer_conns(w.a.peer), 2);

	peer_io.shutdown(c->transport); /* the other side has read all, so it is told at once */
	peer_io.abort(d->transport);
	world_run(&w, 5 * ms);
	assert_true(d->gone && s->gone && w.b.seen[1].gone);
	world_run(&w, 200 * ms);
	assert_true(c->gone);
	assert_int_equal(peer_conns(w.a.peer), 0);
	assert_int_equal(peer_conns(w.b.peer), 0);
	assert_int_equal(stat(&peer_stats_of(w.a.peer)->closed), 2);
	assert_int_equal(stat(&peer_stats_of(w.b.peer)->accepted), 2);
	world_close(&w);
}

static void what_is_full_goes_on(void **state)
{
	static uint8_t bytes[8 << 20];
	struct seen *c;
	size_t done;

	(void)state;
	world_open(&w, true);
	w.b.deaf = true;
	c = host_dial(&w.a, "beta:2888");
	world_run(&w, 5 * ms);
	done = peer_io.write(c->transport, bytes, sizeof(bytes));
	assert_true(done > 0 && done <= w.a.conf.tcp.snd_buf_bytes);
	world_run(&w, 200 * ms);
	assert_true(c->wanted_writable); /* the window takes what the budget did not */
	done += peer_io.write(c->transport, bytes, sizeof(bytes) - done);
	assert_true(done < sizeof(bytes));
	w.b.deaf = false;
	/* bytes left unread are not reported again: ask */
	while (done < sizeof(bytes) || w.b.seen[0].got < sizeof(bytes)) {
		struct seen *s = &w.b.seen[0];
		size_t n = peer_io.readable(s->transport);

		peer_io.read_done(s->transport, n);
		s->got += n;
		done += peer_io.write(c->transport, bytes, sizeof(bytes) - done);
		world_run(&w, 5 * ms);
		assert_true(w.now_ns < UINT64_C(1060000000000));
	}
	world_close(&w);
}

static void nobody_wants_it(void **state)
{
	struct seen *c, *d;

	(void)state;
	world_open(&w, true);
	w.b.refuse = true;
	c = host_dial(&w.a, "beta:2888");
	d = host_dial(&w.a, "beta:1"); /* and nobody listens */
	world_run(&w, 5 * ms);
	assert_true(c->gone); /* open by the handshake, then reset */
	assert_true(d->failed);
	assert_int_equal(w.b.seen_n, 0);
	assert_int_equal(stat(&peer_stats_of(w.b.peer)->refused), 1);
	assert_int_equal(peer_conns(w.b.peer), 0);
	assert_int_equal(stat(&peer_stats_of(w.a.peer)->dial_failed), 1);
	world_close(&w);
}

static void bad_addresses(void **state)
{
	static const char *const bad[] = {
		"gamma:2888",   "beta",         "beta:",       ":2888",
		"beta:0",       "beta:65536",   "beta:123456", "10.0.0:2888",
		"10.0.0.256:1", "10.0.0.2.1:1", "10.0.0.2x:1", "",
		"alpha:2888",   "10.0.0.1:2888"};
	struct seen *c;

	(void)state;
	world_open(&w, true);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_null(host_dial(&w.a, bad[i]));
	assert_int_equal(stat(&peer_stats_of(w.a.peer)->dial_failed), sizeof(bad) / sizeof(bad[0]));
	assert_int_equal(peer_conns(w.a.peer), 0);
	c = host_dial(&w.a, "none:2888"); /* known, but not there */
	assert_non_null(c);
	world_run(&w, 6000 * ms);
	assert_true(c->failed);
	assert_int_equal(peer_conns(w.a.peer), 0);
	world_close(&w);
}

/* Who owns the names says where they are now, and hears that somebody wanted to know. */
static void a_host_moves(void **state)
{
	struct waker names;
	struct seen *c;

	(void)state;
	world_open(&w, true);
	assert_int_equal(waker_init(&names), ZK_EOK);
	w.a.conf.names = &names;
	host_restart(&w, &w.a);
	waker_announce(&names);
	atomic_store(&w.a.known[2].ip, 0); /* no address yet */
	assert_null(host_dial(&w.a, "none:2888"));
	assert_int_equal(atomic_load(&w.a.known[2].dials), 1);
	assert_int_equal(atomic_load(&names.sleeping), 0);
	atomic_store(&w.a.known[2].ip, 0x0a000002);
	c = host_dial(&w.a, "none:2888");
	world_run(&w, 5 * ms);
	assert_true(c->open);
	assert_int_equal(atomic_load(&w.a.known[2].dials), 2);
	waker_fini(&names);
	world_close(&w);
}

/* As if nobody listened: Apache's followers try a refused connection again. */
static void the_port_is_shut_while_nobody_is_wanted(void **state)
{
	struct seen *c;

	(void)state;
	world_open(&w, true);
	w.b.shut = true;
	c = host_dial(&w.a, "beta:2888");
	world_run(&w, 5 * ms);
	assert_true(c->failed);
	c = host_dial(&w.a, "beta:3888");
	world_run(&w, 5 * ms);
	assert_true(c->open);
	assert_int_equal(stat(&peer_stats_of(w.b.peer)->unwanted), 1);
	w.b.shut = false;
	c = host_dial(&w.a, "beta:2888");
	world_run(&w, 5 * ms);
	assert_true(c->open);
	world_close(&w);
}

static void a_stop_is_said(void **state)
{
	struct seen *c, *d;

	(void)state;
	world_open(&w, true);
	c = host_dial(&w.a, "beta:2888");
	d = host_dial(&w.b, "alpha:3888");
	world_run(&w, 5 * ms);
	(void)peer_dial(w.b.peer, &w.b.seen[SEEN_MAX - 1], zk_span_str("none:1"));
	peer_abort_all(w.b.peer, w.now_ns);
	host_poll(&w, &w.a);
	host_poll(&w, &w.a);
	assert_true(c->gone);
	assert_true(w.a.seen[1].gone);
	assert_false(d->gone); /* nobody is told at home */
	world_close(&w);
}

/* Everything is taken: the next one is refused, and one that goes makes room. */
static void as_many_as_there_may_be(void **state)
{
	struct seen *c = NULL;

	(void)state;
	world_open(&w, true);
	w.a.conf.tcp.conns_max = 4;
	host_restart(&w, &w.a);
	for (unsigned i = 0; i < 4; i++)
		assert_non_null(c = host_dial(&w.a, "beta:2888"));
	assert_null(host_dial(&w.a, "beta:2888"));
	world_run(&w, 5 * ms);
	assert_null(host_dial(&w.a, "beta:2888"));
	peer_io.abort(c->transport);
	world_run(&w, 5 * ms);
	assert_non_null(host_dial(&w.a, "beta:2888"));
	world_close(&w);
}

/* SYNs whose senders never answer take a part of the records only. */
static void half_open_ones_leave_room(void **state)
{
	unsigned n = 0;

	(void)state;
	world_open(&w, true);
	w.b.refuse = true;
	(void)host_dial(&w.a, "beta:2888"); /* both know the other's address */
	world_run(&w, 5 * ms);
	w.b.port.other = NULL;
	while (peer_dial(w.a.peer, &w.a.seen[1], zk_span_str("beta:2888")) && ++n < 500)
		host_poll(&w, &w.a);
	assert_int_equal(n, 500);
	world_run(&w, 5 * ms);
	assert_int_equal(peer_conns(w.b.peer), w.b.conf.tcp.syn_backlog);
	assert_true(peer_net_stats(w.b.peer)->tcp_syn_cookies_tx > 300);
	peer_abort_all(w.a.peer, w.now_ns);
	world_close(&w);
}

static void a_lost_syn_does_not_cost_a_second(void **state)
{
	struct seen *c;

	(void)state;
	world_open(&w, true);
	c = host_dial(&w.a, "beta:3888");
	world_run(&w, 5 * ms);
	assert_true(c->open);
	w.a.port.other = NULL;
	c = host_dial(&w.a, "beta:2888");
	world_run(&w, 5 * ms);
	w.a.port.other = &w.b.port;
	world_run(&w, 200 * ms);
	assert_false(c->open);
	world_run(&w, 60 * ms);
	assert_true(c->open);
	world_close(&w);
}

/* A killed process says nothing. The one that comes back knows no connection and says so. */
static void a_restart_resets_old_connections(void **state)
{
	struct seen *c, *d;

	(void)state;
	world_open(&w, true);
	c = host_dial(&w.a, "beta:2888");
	world_run(&w, 5 * ms);
	d = host_dial(&w.b, "alpha:3888");
	world_run(&w, 5 * ms);
	assert_true(c->open && d->open);
	assert_int_equal(w.a.seen_n, 2);
	host_restart(&w, &w.b);
	world_run(&w, 100 * ms);
	assert_false(c->gone);
	(void)peer_io.write(c->transport, "x", 1);
	world_run(&w, 2 * ms);
	assert_true(c->gone);
	assert_false(w.a.seen[1].gone);
	world_run(&w, 2500 * ms); /* a quiet one: the first probe of keep-alive finds it */
	assert_true(w.a.seen[1].gone);
	assert_true(peer_net_stats(w.b.peer)->tcp_no_conn >= 2);
	world_close(&w);
}

/* Nobody there any more, not even to reset. */
static void silence_is_noticed(void **state)
{
	struct seen *quiet, *busy;

	(void)state;
	world_open(&w, true);
	quiet = host_dial(&w.a, "beta:2888");
	busy = host_dial(&w.a, "beta:3888");
	world_run(&w, 5 * ms);
	assert_true(quiet->open && busy->open);
	w.a.port.other = NULL;
	(void)peer_io.write(busy->transport, "x", 1);
	world_run(&w, 9000 * ms);
	assert_true(quiet->gone && busy->gone); /* keep-alive does not mind what is in flight */
	world_close(&w);
}

static void bytes_before_the_end_are_offered(void **state)
{
	struct seen *c, *s;

	(void)state;
	world_open(&w, true);
	w.b.deaf = true;
	c = host_dial(&w.a, "beta:2888");
	world_run(&w, 5 * ms);
	(void)peer_io.write(c->transport, "last words", 10);
	peer_io.shutdown(c->transport);
	s = &w.b.seen[0];
	world_run(&w, 900 * ms);
	assert_int_equal(s->inputs, 1);
	assert_false(s->gone);
	peer_io.read_done(s->transport, 5); /* slowly, but it reads */
	world_run(&w, 900 * ms);
	assert_false(s->gone);
	peer_io.read_done(s->transport, 5);
	world_run(&w, 2 * ms);
	assert_true(s->gone);
	assert_int_equal(stat(&peer_stats_of(w.b.peer)->fin_unread), 0);

	c = host_dial(&w.a, "beta:2888"); /* half a packet, and nobody can use it */
	world_run(&w, 5 * ms);
	(void)peer_io.write(c->transport, "half", 4);
	peer_io.shutdown(c->transport);
	s = &w.b.seen[1];
	world_run(&w, 900 * ms);
	assert_false(s->gone);
	assert_true(peer_next_ns(w.b.peer) <= w.now_ns + 1000 * ms);
	world_run(&w, 200 * ms);
	assert_true(s->gone);
	assert_int_equal(stat(&peer_stats_of(w.b.peer)->fin_unread), 1);
	world_close(&w);
}

static void after_a_pause_it_listens_first(void **state)
{
	struct peer_wires none = {.cores = 0};
	unsigned polls;

	(void)state;
	world_open(&w, true);
	peer_attach(w.a.peer, &none);
	world_run(&w, 5 * ms);
	polls = w.a.polls;
	assert_true(polls > 0);
	peer_late(w.a.peer, 3000 * ms, w.now_ns);
	assert_true(peer_next_ns(w.a.peer) <= UINT64_MAX);
	world_run(&w, 19 * ms);
	assert_int_equal(w.a.polls, polls);
	world_run(&w, 2 * ms);
	assert_true(w.a.polls > polls);
	peer_detach(w.a.peer);
	world_close(&w);
}

/* ---- the shared device ---- */

enum { CLIENT_ADDR = 0x0a000009 };

struct cores {
	struct zk_mem mem;
	struct client c[2];
	struct pring steer[2], to_peer[2], from_peer;
	struct waker waker;
};

static struct cores cores;

/* Client cores as far as frames are concerned: no srv, no listener. */
static void cores_open(unsigned n)
{
	struct tcp_conf tcp;

	w.a.port.queues = (uint16_t)n;
	zk_mem_init_heap(&cores.mem, 0);
	memset(cores.c, 0, sizeof(cores.c));
	tcp_conf_default(&tcp);
	tcp.conns_max = 16;
	assert_int_equal(waker_init(&cores.waker), ZK_EOK);
	assert_int_equal(pring_init(&cores.from_peer, &cores.mem, 64), ZK_EOK);
	for (unsigned i = 0; i < n; i++) {
		struct client *c = &cores.c[i];
		struct client_conf *cc = &c->conf;

		assert_int_equal(pring_init(&cores.steer[i], &cores.mem, 64), ZK_EOK);
		assert_int_equal(pring_init(&cores.to_peer[i], &cores.mem, 64), ZK_EOK);
		*cc = (struct client_conf){.port = &w.a.port,
					   .core = (uint16_t)i,
					   .cores = (uint16_t)n,
					   .queues = 2,
					   .listen_port = CLIENT_PORT,
					   .mem = &cores.mem,
					   .net = w.a.conf.net,
					   .tcp = tcp};
		cc->net.core = (uint16_t)i;
		cc->net.cores = (uint16_t)n;
		cc->net.mtu = 1500;
		cc->net.mem = &cores.mem;
		cc->net.pool = pkt_heap_pool_new(256, 2048);
		assert_int_equal(net_new(&cc->net, &tcp, w.now_ns, &c->net), ZK_EOK);
		c->tcp = net_tcp(c->net);
		c->has_queue = true;
		c->tx_own = TX_ARRAY - HANDED_BURST;
		c->now_ns = w.now_ns;
		for (unsigned j = 0; j < n; j++) {
			cc->waker[j] = &cores.waker;
			if (j != i)
				cc->in[j] = &cores.steer[j], cc->out[j] = &cores.steer[i];
		}
		cc->out[CLIENT_PEER] = &cores.to_peer[i];
		cc->waker[CLIENT_PEER] = &cores.waker;
	}
	cores.c[0].conf.in[CLIENT_PEER] = &cores.from_peer;
}

static void cores_attach(unsigned n)
{
	struct peer_wires wires = {.out = &cores.from_peer, .host = &cores.waker, .cores = n};

	for (unsigned i = 0; i < n; i++)
		wires.in[i] = &cores.to_peer[i];
	peer_attach(w.a.peer, &wires);
}

static void cores_close(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		client_drop_packets(&cores.c[i]);
	for (unsigned i = 0; i < n; i++) {
		net_free(cores.c[i].net);
		assert_int_equal(pkt_heap_pool_free(cores.c[i].conf.net.pool), 0);
		pring_fini(&cores.steer[i]);
		pring_fini(&cores.to_peer[i]);
	}
	pring_fini(&cores.from_peer);
	waker_fini(&cores.waker);
	assert_int_equal(cores.mem.used_bytes, 0);
}

static void core_round(struct client *c)
{
	struct pkt *v[RX_BURST];
	unsigned n = port_rx(c->conf.port, c->conf.core, v, RX_BURST);

	c->now_ns = w.now_ns;
	n = client_steer(c, v, n);
	(void)client_relay(c);
	if (n)
		net_input(c->net, v, n, w.now_ns);
	(void)client_take_handed(c);
	net_round_end(c->net, w.now_ns);
	(void)client_transmit(c);
}

static void cores_run(unsigned n, uint64_t ns)
{
	for (uint64_t end = w.now_ns + ns; w.now_ns < end; w.now_ns += STEP_NS) {
		for (unsigned i = 0; i < n; i++)
			core_round(&cores.c[i]);
		host_poll(&w, &w.a);
		host_poll(&w, &w.b);
	}
}

/* How the device knows the peer's frames. */
enum own_queue { NONE, WRONG_HALF_THE_TIME, RIGHT };

static void sharing(unsigned n, enum own_queue queue)
{
	const struct peer_stats *ps;
	struct seen *c, *d, *refused[6];

	world_open(&w, false);
	w.a.port.peer_queue = queue != NONE;
	w.a.port.steers = queue == RIGHT;
	w.a.port.queues = (uint16_t)n;
	host_restart(&w, &w.a);
	ps = peer_stats_of(w.a.peer);
	assert_int_equal(peer_has_queue(w.a.peer), queue != NONE);
	assert_int_equal(peer_rx_fd(w.a.peer), queue == NONE ? -1 : 100 + (int)n);
	cores_open(n);
	cores_attach(n);
	w.a.echo = true;
	c = host_dial(&w.b, "alpha:3888");
	d = host_dial(&w.a, "beta:2888");
	for (unsigned i = 0; i < 6; i++) /* to the client cores, which do not listen here */
		refused[i] = host_dial(&w.b, "alpha:2181");
	cores_run(n, 20 * ms);
	assert_true(c->open && d->open);
	for (unsigned i = 0; i < 6; i++)
		assert_true(refused[i]->failed);
	assert_int_equal(w.a.port.arp_replies, 1); /* one of us answers */
	(void)peer_io.write(c->transport, "over and back", 13);
	cores_run(n, 5 * ms);
	assert_memory_equal(c->bytes, "over and back", 13);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(stat(&cores.c[i].stats.peer_frames) > 0, queue != RIGHT);
		assert_int_equal(stat(&cores.c[i].stats.peer_full), 0);
	}
	assert_int_equal(stat(&cores.c[0].stats.peer_relayed) > 0, queue == NONE);
	assert_int_equal(w.a.port.tx_queue, queue == NONE ? 0 : n);
	assert_int_equal(stat(&ps->rx_queue) > 0, queue != NONE);
	assert_true(stat(&ps->rx_steered) > 0); /* at least ARP */
	assert_int_equal(stat(&ps->rx_queue) + stat(&ps->rx_steered) + stat(&ps->strays),
			 stat(&ps->rx_frames));
	assert_int_equal(stat(&ps->strays) > 0, queue == WRONG_HALF_THE_TIME);
	assert_int_equal(stat(&ps->strays), stat(&cores.c[0].stats.peer_strays));
	assert_int_equal(stat(&ps->strays_lost), 0);

	/* The cores go; the connections stay, and what comes for clients is reset. */
	peer_detach(w.a.peer);
	cores_close(n);
	(void)peer_io.write(c->transport, "alone", 5);
	refused[0] = host_dial(&w.b, "alpha:2181");
	world_run(&w, 5 * ms);
	assert_int_equal(c->got, 18);
	assert_memory_equal(c->bytes + 13, "alone", 5);
	assert_true(refused[0]->failed);
	assert_true(stat(&peer_stats_of(w.a.peer)->alone_rounds) > 0);

	/* They come back. */
	cores_open(n);
	cores_attach(n);
	(void)peer_io.write(c->transport, "again", 5);
	cores_run(n, 5 * ms);
	assert_int_equal(c->got, 23);
	assert_false(d->gone);
	peer_detach(w.a.peer);
	cores_close(n);
	world_close(&w);
}

static void sharing_with_one_core(void **state)
{
	(void)state;
	sharing(1, NONE);
}

static void sharing_with_two_cores(void **state)
{
	(void)state;
	sharing(2, NONE);
}

static void a_queue_of_its_own(void **state)
{
	(void)state;
	sharing(1, RIGHT);
	sharing(2, RIGHT);
}

static void a_queue_of_its_own_that_is_not_always_right(void **state)
{
	(void)state;
	sharing(1, WRONG_HALF_THE_TIME);
	sharing(2, WRONG_HALF_THE_TIME);
}

static struct pkt *frame(uint16_t type, uint8_t proto, uint16_t dst_port)
{
	struct pkt *p = pkt_alloc(w.a.port.pool);
	uint8_t *f = pkt_append(p, 60);

	memset(f, 0, 60);
	memcpy(f, w.a.conf.net.mac, 6);
	zk_put16(f + 12, type);
	f[14] = 0x45;
	f[23] = proto;
	zk_put32(f + 26, CLIENT_ADDR);
	zk_put32(f + 30, 0x0a000001);
	zk_put16(f + 34, 1000);
	zk_put16(f + 36, dst_port);
	return p;
}

/* "Fragmentation needed" about a segment from our @p src_port. */
static struct pkt *too_big(uint16_t src_port)
{
	struct pkt *p = frame(0x0800, 1, 0);
	uint8_t *f = p->data;

	f[34] = 3;
	f[35] = 4;
	f[42] = 0x45;
	f[51] = 6;
	(void)pkt_append(p, 20);
	zk_put16(f + 62, src_port);
	return p;
}

static void who_gets_which_frame(void **state)
{
	struct client *c = &cores.c[0];
	struct pkt *v[16];
	unsigned n = 0, full;
	uint16_t port;

	(void)state;
	world_open(&w, false);
	cores_open(1);
	v[n++] = frame(0x0800, 6, ELECTION_PORT);
	v[n++] = frame(0x0800, 6, CLIENT_PORT);
	v[n++] = frame(0x0800, 1, ELECTION_PORT); /* ICMP */
	v[n++] = frame(0x0806, 0, 0);             /* ARP */
	v[n++] = frame(0x0800, 6, 40000);         /* a dialled connection's */
	v[n++] = frame(0x86dd, 6, ELECTION_PORT); /* IPv6 */
	v[n++] = too_big(QUORUM_PORT);
	v[n++] = too_big(CLIENT_PORT);
	v[n++] = frame(0x0800, 6, ELECTION_PORT);
	v[8]->data[20] = 0x00, v[8]->data[21] = 0x10; /* a later fragment has no ports */
	assert_true(net_local_port(v[0], &port));
	assert_int_equal(port, ELECTION_PORT);
	n = client_steer(c, v, n);
	assert_int_equal(n, 6);
	assert_int_equal(stat(&c->stats.peer_frames), 3);
	assert_int_equal(stat(&c->stats.arp_copies), 1);
	for (unsigned i = 0; i < n; i++)
		pkt_free(v[i]);
	/* A peer that does not keep up loses frames, and they are counted; the core's own are not
	 * touched. */
	for (full = 4; full < 64; full++) {
		v[0] = frame(0x0800, 6, ELECTION_PORT);
		assert_int_equal(client_steer(c, v, 1), 0);
	}
	v[0] = frame(0x0800, 6, ELECTION_PORT);
	v[1] = frame(0x0800, 6, CLIENT_PORT);
	assert_int_equal(client_steer(c, v, 2), 1);
	assert_int_equal(stat(&c->stats.peer_full), 1);
	pkt_free(v[0]);
	/* Dropped when a loop goes before the peer has looked. */
	cores_attach(1);
	peer_detach(w.a.peer);
	cores_close(1);
	world_close(&w);
}

/* Exactly what a client core would keep leaves the peer's queue, to whichever core owns it; a full
 * ring costs the clients frames, and they are counted. */
static void strays_on_the_peers_queue(void **state)
{
	struct client *c = cores.c;
	struct pkt **rx;
	unsigned n = 0;

	(void)state;
	world_open(&w, false);
	w.a.port.peer_queue = true;
	host_restart(&w, &w.a);
	cores_open(2);
	cores_attach(2);
	w.a.port.queues = 2;
	rx = w.a.port.rx[2];
	rx[n++] = frame(0x0800, 6, ELECTION_PORT);
	rx[n++] = frame(0x0800, 6, 40000);
	rx[n++] = too_big(QUORUM_PORT);
	for (unsigned i = 0; i < 20; i++) {
		rx[n] = frame(0x0800, 6, CLIENT_PORT);
		zk_put16(rx[n++]->data + 34, (uint16_t)(1000 + i));
	}
	rx[n++] = frame(0x0800, 1, 0);
	rx[n++] = frame(0x0806, 0, 0);
	rx[n++] = too_big(CLIENT_PORT);
	w.a.port.rx_n[2] = n;
	host_poll(&w, &w.a);
	assert_int_equal(stat(&peer_stats_of(w.a.peer)->rx_queue), 3);
	assert_int_equal(stat(&peer_stats_of(w.a.peer)->strays), 23);
	(void)client_relay(&c[0]);
	assert_int_equal(stat(&c[0].stats.peer_strays), 23);
	assert_int_equal(stat(&c[0].stats.peer_frames), 0); /* none goes to and fro */
	assert_int_equal(stat(&c[0].stats.peer_relayed), 0);
	assert_in_range(stat(&c[0].stats.steered), 1, 19);
	assert_int_equal(stat(&c[0].stats.arp_copies), 2); /* the other core, and the peer */
	host_poll(&w, &w.a);
	assert_int_equal(stat(&peer_stats_of(w.a.peer)->rx_steered), 1);

	for (n = 0; n < 64; n++)
		w.a.port.rx[2][n] = frame(0x0800, 6, CLIENT_PORT);
	w.a.port.rx_n[2] = n;
	host_poll(&w, &w.a);
	assert_int_equal(stat(&peer_stats_of(w.a.peer)->strays_lost), 0);
	w.a.port.rx[2][0] = frame(0x0800, 6, CLIENT_PORT);
	w.a.port.rx[2][1] = frame(0x0800, 6, ELECTION_PORT);
	w.a.port.rx_n[2] = 2;
	host_poll(&w, &w.a);
	assert_int_equal(stat(&peer_stats_of(w.a.peer)->strays_lost), 1);
	assert_int_equal(stat(&peer_stats_of(w.a.peer)->rx_queue), 4);
	peer_detach(w.a.peer);
	cores_close(2);
	world_close(&w);
}

/* A device that takes nothing fills the core's array with its own frames, but not to the end; and
 * what the peer sends is not lost meanwhile. */
static void a_full_core_leaves_room(void **state)
{
	struct client *c = &cores.c[0];
	struct seen *d;

	(void)state;
	world_open(&w, false);
	cores_open(1);
	cores_attach(1);
	w.a.port.tx_room = 0;
	for (unsigned i = 0; i < 20; i++) {
		struct pkt *v[16];

		for (unsigned k = 0; k < 16; k++) {
			v[k] = frame(0x0806, 0, 0); /* each is answered */
			zk_put16(v[k]->data + 14, 1);
			zk_put16(v[k]->data + 16, 0x0800);
			v[k]->data[18] = 6;
			v[k]->data[19] = 4;
			zk_put16(v[k]->data + 20, 1);
			memcpy(v[k]->data + 22, (uint8_t[6]){2, 0, 0, 0, 0, 9}, 6);
			zk_put32(v[k]->data + 28, CLIENT_ADDR);
			zk_put32(v[k]->data + 38, 0x0a000001);
		}
		net_input(c->net, v, 16, w.now_ns);
		(void)client_transmit(c);
	}
	assert_int_equal(c->tx_n, c->tx_own);
	d = host_dial(&w.a, "beta:2888");
	host_poll(&w, &w.a); /* an ARP request */
	core_round(c);
	assert_int_equal(c->tx_n, c->tx_own + 1);
	w.a.port.tx_room = UINT32_MAX;
	cores_run(1, 20 * ms);
	assert_true(d->open);
	peer_detach(w.a.peer);
	cores_close(1);
	world_close(&w);
}

/* The other instance's port is never chosen for a connection out. */
static void the_client_port_stays_free(void **state)
{
	uint64_t tries = 0;

	(void)state;
	world_open(&w, false);
	w.a.conf.client_port = 40000;
	host_restart(&w, &w.a);
	for (bool wrapped = false; !wrapped; tries++) {
		static uint16_t first;
		struct tcp_conn *t;
		uint16_t port;

		assert_int_equal(tcp_connect(w.a.peer->tcp, net_addr_v4(0x0a000002), QUORUM_PORT,
					     w.now_ns, &t),
				 ZK_EOK);
		port = tcp_tuple(t)->local_port;
		assert_int_not_equal(port, 40000);
		wrapped = tries > 0 && port == first;
		first = tries ? first : port;
		tcp_release(t, w.now_ns);
	}
	assert_true(tries > 20000);
	world_close(&w);
}

static void bad_configurations(void **state)
{
	struct peer_conf c;
	struct peer *p;

	(void)state;
	world_open(&w, false);
	c = w.a.conf;
	c.quorum_port = c.election_port;
	assert_int_equal(peer_new(&c, w.now_ns, &p), ZK_EINVAL);
	c = w.a.conf;
	c.client_port = c.quorum_port;
	assert_int_equal(peer_new(&c, w.now_ns, &p), ZK_EINVAL);
	c = w.a.conf;
	c.memory_bytes = 64 << 10;
	assert_int_equal(peer_new(&c, w.now_ns, &p), ZK_ENOMEM);
	assert_int_equal(peer_memory_bytes(&w.a.conf, 1500, 2), 3 * 6144 * loop_packet_bytes(1500));
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connections_in_and_out),
		cmocka_unit_test(what_is_full_goes_on),
		cmocka_unit_test(nobody_wants_it),
		cmocka_unit_test(bad_addresses),
		cmocka_unit_test(a_host_moves),
		cmocka_unit_test(the_port_is_shut_while_nobody_is_wanted),
		cmocka_unit_test(a_stop_is_said),
		cmocka_unit_test(as_many_as_there_may_be),
		cmocka_unit_test(half_open_ones_leave_room),
		cmocka_unit_test(a_lost_syn_does_not_cost_a_second),
		cmocka_unit_test(a_restart_resets_old_connections),
		cmocka_unit_test(silence_is_noticed),
		cmocka_unit_test(bytes_before_the_end_are_offered),
		cmocka_unit_test(after_a_pause_it_listens_first),
		cmocka_unit_test(sharing_with_one_core),
		cmocka_unit_test(sharing_with_two_cores),
		cmocka_unit_test(a_queue_of_its_own),
		cmocka_unit_test(a_queue_of_its_own_that_is_not_always_right),
		cmocka_unit_test(strays_on_the_peers_queue),
		cmocka_unit_test(who_gets_which_frame),
		cmocka_unit_test(a_full_core_leaves_room),
		cmocka_unit_test(the_client_port_stays_free),
		cmocka_unit_test(bad_configurations),
	};

	return cmocka_run_group_tests_name("peer", tests, NULL, NULL);
}
