/* SPDX-License-Identifier: Apache-2.0 */
#include "test/unit/peer/peer_world.h"

#include "core/base/endian.h"

#include <stdio.h>
#include <string.h>

/* ---- devices of paper ---- */

uint16_t port_queues(const struct port *port)
{
	return port->queues;
}

int port_peer_queue(const struct port *port)
{
	return port->peer_queue ? port->queues : -1;
}

uint16_t port_mtu(const struct port *port)
{
	(void)port;
	return 1500;
}

bool port_tx_csum_ok(const struct port *port)
{
	(void)port;
	return false;
}

bool port_rx_csum_ok(const struct port *port)
{
	(void)port;
	return false;
}

int port_rx_fd(const struct port *port, uint16_t q)
{
	(void)port;
	return 100 + q;
}

uint16_t port_rx(struct port *port, uint16_t q, struct pkt **v, uint16_t n)
{
	unsigned k = port->rx_n[q] < n ? port->rx_n[q] : n;

	memcpy(v, port->rx[q], k * sizeof(struct pkt *));
	port->rx_n[q] -= k;
	memmove(port->rx[q], port->rx[q] + k, port->rx_n[q] * sizeof(struct pkt *));
	return (uint16_t)k;
}

/* A device that does not steer: flows fall on any queue. */
static unsigned queue_of(const struct port *to, unsigned n, const struct pkt *p)
{
	uint16_t port;

	if (!to->steers)
		return n % (to->queues + to->peer_queue);
	return net_local_port(p, &port) && port != CLIENT_PORT ? to->queues : n % to->queues;
}

uint16_t port_tx(struct port *port, uint16_t q, struct pkt **v, uint16_t n)
{
	uint16_t i;

	port->tx_queue = q;
	for (i = 0; i < n && port->tx_room > 0; i++) {
		struct port *to = port->other;
		unsigned tq = to ? queue_of(to, port->tx_frames, v[i]) : 0;

		if (v[i]->len >= 22 && zk_get16(v[i]->data + 12) == 0x0806 &&
		    zk_get16(v[i]->data + 20) == 2)
			port->arp_replies++;
		if (to && to->rx_n[tq] < WIRE_MAX)
			to->rx[tq][to->rx_n[tq]++] = pkt_heap_copy(to->pool, v[i]);
		pkt_free(v[i]);
		port->tx_frames++;
		port->tx_room--;
	}
	return i;
}

struct pkt_pool *port_pool_new(const char *purpose, uint32_t packets, uint32_t room_bytes)
{
	(void)purpose;
	return pkt_heap_pool_new(packets, room_bytes);
}

bool port_pool_free(struct pkt_pool *pool)
{
	return pkt_heap_pool_free(pool) == 0;
}

/* ---- the application ---- */

static struct seen *entry(struct host *h)
{
	zk_assert(h->seen_n < SEEN_MAX);
	h->seen[h->seen_n].used = true;
	return &h->seen[h->seen_n++];
}

static bool wants(void *ctx, enum quorum_port port)
{
	const struct host *h = ctx;

	return port == QUORUM_PORT_ELECTION || !h->shut;
}

static void *accepted(void *ctx, enum quorum_port port, void *transport, uint64_t now_ns)
{
	struct host *h = ctx;
	struct seen *s;

	(void)now_ns;
	if (h->refuse)
		return NULL;
	s = entry(h);
	s->open = true;
	s->port = port;
	s->transport = transport;
	return s;
}

static void dialled(void *ctx, void *conn, void *transport, uint64_t now_ns)
{
	struct seen *s = conn;

	(void)ctx;
	(void)now_ns;
	zk_assert(!s->open && !s->gone && !s->failed);
	s->transport = transport;
	s->open = transport != NULL;
	s->failed = !s->open;
}

static void take(const struct host *h, struct seen *s)
{
	struct zk_span w;

	while ((w = peer_io.peek(s->transport, 0)).n > 0) {
		size_t n = h->echo ? peer_io.write(s->transport, w.p, w.n) : w.n;

		for (size_t i = 0; i < n && s->got + i < sizeof(s->bytes); i++)
			s->bytes[s->got + i] = w.p[i];
		if (n == 0)
			return;
		s->got += n;
		peer_io.read_done(s->transport, n);
	}
}

static void input(void *ctx, void *conn, uint64_t now_ns)
{
	struct host *h = ctx;
	struct seen *s = conn;

	(void)now_ns;
	zk_assert(s->open && !s->gone);
	s->inputs++;
	if (!h->deaf)
		take(h, s);
}

static void writable(void *ctx, void *conn, uint64_t now_ns)
{
	struct seen *s = conn;

	zk_assert(s->open && !s->gone);
	s->wanted_writable = true;
	input(ctx, conn, now_ns);
}

static void gone(void *ctx, void *conn, uint64_t now_ns)
{
	struct seen *s = conn;

	(void)ctx;
	(void)now_ns;
	zk_assert(s->open && !s->gone);
	s->gone = true;
}

static unsigned poll(void *ctx, uint64_t now_ns, int64_t wall_ms)
{
	struct host *h = ctx;

	zk_assert(now_ns && wall_ms);
	h->polls++;
	return 0;
}

static uint64_t next_ns(void *ctx)
{
	(void)ctx;
	return UINT64_MAX;
}

/* ---- the world ---- */

static void host_make(struct world *w, struct host *h)
{
	const struct peer_app app = {.ctx = h,
				     .wants = wants,
				     .accepted = accepted,
				     .dialled = dialled,
				     .input = input,
				     .writable = writable,
				     .gone = gone,
				     .poll = poll,
				     .next_ns = next_ns};

	zk_assert(peer_new(&h->conf, w->now_ns, &h->peer) == ZK_EOK);
	peer_app_set(h->peer, &app);
}

static void host_open(struct world *w, struct host *h, unsigned number, bool own_device)
{
	static const char *const name[] = {"alpha", "beta", "none"};

	for (unsigned i = 0; i < WORLD_HOSTS; i++) {
		snprintf(h->known[i].name, sizeof(h->known[i].name), "%s", name[i]);
		atomic_store(&h->known[i].ip, 0x0a000001 + i);
	}
	h->port = (struct port){.queues = own_device ? 1 : 2, .tx_room = UINT32_MAX};
	h->port.pool = pkt_heap_pool_new(16384, 2048);
	h->conf = (struct peer_conf){.port = &h->port,
				     .own_device = own_device,
				     .client_port = CLIENT_PORT,
				     .election_port = ELECTION_PORT,
				     .quorum_port = QUORUM_PORT,
				     .hosts = h->known,
				     .hosts_n = WORLD_HOSTS};
	peer_conf_default(&h->conf);
	h->conf.tcp.time_wait_ms = 100;
	h->conf.net.addr = net_addr_v4(0x0a000000 + number);
	h->conf.net.prefix = 24;
	memcpy(h->conf.net.mac, (uint8_t[6]){2, 0, 0, 0, 0, (uint8_t)number}, 6);
	memset(h->conf.net.secret, (int)number, sizeof(h->conf.net.secret));
	host_make(w, h);
}

void world_open(struct world *w, bool own_device)
{
	memset(w, 0, sizeof(*w));
	w->now_ns = UINT64_C(1000000000000);
	host_open(w, &w->a, 1, own_device);
	host_open(w, &w->b, 2, own_device);
	w->a.port.other = &w->b.port;
	w->b.port.other = &w->a.port;
}

void host_close(struct host *h)
{
	zk_assert(peer_free(h->peer));
	h->peer = NULL;
	for (unsigned q = 0; q < QUEUES_MAX; q++)
		while (h->port.rx_n[q] > 0)
			pkt_free(h->port.rx[q][--h->port.rx_n[q]]);
}

void host_restart(struct world *w, struct host *h)
{
	host_close(h);
	h->seen_n = 0;
	memset(h->seen, 0, sizeof(h->seen));
	h->conf.net.secret[0]++;
	host_make(w, h);
}

void world_close(struct world *w)
{
	host_close(&w->a);
	host_close(&w->b);
	zk_assert(pkt_heap_pool_free(w->a.port.pool) == 0);
	zk_assert(pkt_heap_pool_free(w->b.port.pool) == 0);
}

void host_poll(struct world *w, struct host *h)
{
	if (h->peer->attached)
		(void)peer_poll(h->peer, w->now_ns);
	else
		(void)peer_alone_poll(h->peer, w->now_ns);
}

void world_run(struct world *w, uint64_t ns)
{
	for (uint64_t end = w->now_ns + ns; w->now_ns < end; w->now_ns += STEP_NS) {
		host_poll(w, &w->a);
		host_poll(w, &w->b);
	}
}

struct seen *host_dial(struct host *h, const char *address)
{
	struct seen *s = entry(h);

	if (peer_dial(h->peer, s, zk_span_str(address)))
		return s;
	h->seen_n--;
	return NULL;
}
