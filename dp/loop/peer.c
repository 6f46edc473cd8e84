/* SPDX-License-Identifier: Apache-2.0 */
/* Life, connections and rounds. */
#include "dp/loop/packets.h"
#include "dp/loop/peer_int.h"
#include "dp/net/stats.h"

#include <string.h>
#include <time.h>

enum {
	CONNS_MAX = 512,
	BUF_BYTES = 2 << 20,
	TX_PACKETS = 6144,
	RX_PACKETS = 6144,
	MEMORY_BYTES = 32 << 20,
	KEEPALIVE_IDLE_MS = 2000,
	GIVE_UP_MS = 10000,
	CLOSE_MS = 5000,
	SYN_RTO_MS = 250,  /* members are near each other, and an election waits */
	SYN_BACKLOG = 128, /* of CONNS_MAX; then cookies, so that strangers leave room */
};

static const uint64_t fin_wait_ns = 1000000000; /* for bytes that nobody takes */
static const uint64_t hear_first_ns = 20000000; /* after a pause of the thread */

static struct peer_conn *conn_take(struct peer *p)
{
	struct peer_conn *k = p->free_conns;

	if (k)
		p->free_conns = k->next_free;
	return k;
}

static void conn_give(struct peer *p, struct peer_conn *k)
{
	zk_list_del(&k->fin);
	*k = (struct peer_conn){.owner = p, .next_free = p->free_conns};
	zk_list_init(&k->fin);
	p->free_conns = k;
}

/* The transport has ended; say so, once. */
static void conn_end(struct peer *p, struct peer_conn *k)
{
	struct tcp_conn *t = k->tcp;
	void *conn = k->conn;
	bool dialling = k->dialling;

	tcp_user_set(t, NULL);
	conn_give(p, k);
	tcp_release(t, p->now_ns);
	peer_count(dialling ? &p->stats.dial_failed : &p->stats.closed, 1);
	if (dialling)
		p->app.dialled(p->app.ctx, conn, NULL, p->now_ns);
	else
		p->app.gone(p->app.ctx, conn, p->now_ns);
}

static bool gate(struct peer *p, enum quorum_port port)
{
	if (p->app.input && (!p->app.wants || p->app.wants(p->app.ctx, port)))
		return true;
	peer_count(&p->stats.unwanted, 1);
	return false;
}

/* Asked by TCP for each SYN, before any record exists. */
static bool gate_election(void *ctx, const struct net_addr *from)
{
	(void)from;
	return gate(ctx, QUORUM_PORT_ELECTION);
}

static bool gate_learners(void *ctx, const struct net_addr *from)
{
	(void)from;
	return gate(ctx, QUORUM_PORT_LEARNERS);
}

static bool accepted(struct peer *p, struct tcp_conn *t)
{
	bool election = tcp_tuple(t)->local_port == p->conf.election_port;
	struct peer_conn *k = p->app.accepted ? conn_take(p) : NULL;

	if (!k)
		return false;
	k->tcp = t;
	k->conn = p->app.accepted(
		p->app.ctx, election ? QUORUM_PORT_ELECTION : QUORUM_PORT_LEARNERS, k, p->now_ns);
	if (!k->conn) {
		conn_give(p, k);
		return false;
	}
	tcp_user_set(t, k);
	return true;
}

static void conn_open(struct peer *p, struct tcp_conn *t)
{
	struct peer_conn *k = tcp_user(t);

	if (k) {
		k->dialling = false;
		p->app.dialled(p->app.ctx, k->conn, k, p->now_ns);
	} else if (accepted(p, t)) {
		peer_count(&p->stats.accepted, 1);
	} else {
		peer_count(&p->stats.refused, 1);
		tcp_abort(t, p->now_ns); /* TCP_READY_CLOSED follows */
	}
}

/* The other side sends no more. @return true: and all it sent was read, so it is over. */
static bool fin_over(struct peer *p, struct peer_conn *k)
{
	size_t left = tcp_readable(k->tcp);

	if (left == 0)
		return true;
	if (!zk_list_linked(&k->fin))
		zk_list_add_tail(&p->fins, &k->fin);
	else if (left == k->fin_readable)
		return false;
	k->fin_readable = left;
	k->fin_ns = p->now_ns + fin_wait_ns;
	return false;
}

static void conn_ready(struct peer *p, struct tcp_conn *t, unsigned events)
{
	struct peer_conn *k;

	if (events & TCP_READY_OPEN)
		conn_open(p, t);
	k = tcp_user(t);
	if (k && !k->aborted && (events & TCP_READY_READ))
		p->app.input(p->app.ctx, k->conn, p->now_ns);
	if (k && !k->aborted && (events & TCP_READY_WRITE))
		p->app.writable(p->app.ctx, k->conn, p->now_ns);
	if (k && ((events & TCP_READY_CLOSED) || ((events & TCP_READY_FIN) && fin_over(p, k))))
		conn_end(p, k);
	else if (!k && (events & TCP_READY_CLOSED))
		tcp_release(t, p->now_ns);
}

static unsigned serve(struct peer *p)
{
	unsigned n = 0, events;
	struct tcp_conn *t;

	while (n < PEER_READY_PER_ROUND && (t = tcp_next_ready(p->tcp, &events)) != NULL) {
		conn_ready(p, t, events);
		n++;
	}
	return n;
}

/* Bound: connections. */
static void end_fins(struct peer *p)
{
	struct zk_list *e, *next;

	for (e = p->fins.next; e != &p->fins; e = next) {
		struct peer_conn *k = zk_container_of(e, struct peer_conn, fin);

		next = e->next;
		if (fin_over(p, k)) {
			conn_end(p, k);
		} else if (p->now_ns >= k->fin_ns) {
			peer_count(&p->stats.fin_unread, 1);
			conn_end(p, k);
		}
	}
}

/* No system call (vdso). */
static int64_t wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static unsigned finish_round(struct peer *p)
{
	net_round_end(p->net, p->now_ns);
	return peer_transmit(p);
}

/* What follows when the frames of the round are in. */
static unsigned round_of(struct peer *p, unsigned work)
{
	work += serve(p);
	if (!zk_list_empty(&p->fins))
		end_fins(p);
	if (p->app.poll && p->now_ns >= p->heard_ns)
		work += p->app.poll(p->app.ctx, p->now_ns, wall_ms());
	work += finish_round(p);
	peer_count(&p->stats.rounds, 1);
	if (work)
		peer_count(&p->stats.busy_rounds, 1);
	return work;
}

unsigned peer_poll(void *ctx, uint64_t now_ns)
{
	struct peer *p = ctx;

	p->now_ns = now_ns;
	return round_of(p, peer_receive(p));
}

unsigned peer_flush(void *ctx, uint64_t now_ns)
{
	struct peer *p = ctx;

	p->now_ns = now_ns;
	return finish_round(p);
}

unsigned peer_alone_poll(struct peer *p, uint64_t now_ns)
{
	zk_assert(!p->attached);
	p->now_ns = now_ns;
	peer_count(&p->stats.alone_rounds, 1);
	return round_of(p, peer_receive_alone(p));
}

void peer_late(void *ctx, uint64_t late_ns, uint64_t now_ns)
{
	struct peer *p = ctx;

	(void)late_ns;
	p->heard_ns = now_ns + hear_first_ns;
	peer_count(&p->stats.lates, 1);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t peer_next_ns(void *ctx)
{
	struct peer *p = ctx;
	uint64_t next = net_next_timer_ns(p->net), app = UINT64_MAX;

	if (p->tx_n)
		return 0;
	for (const struct zk_list *e = p->fins.next; e != &p->fins; e = e->next)
		next = sooner(next, zk_container_of(e, struct peer_conn, fin)->fin_ns);
	if (p->app.next_ns)
		app = p->app.next_ns(p->app.ctx);
	return sooner(next, app < p->heard_ns ? p->heard_ns : app);
}

uint64_t peer_calm_ns(void *ctx)
{
	struct peer *p = ctx;

	return p->app.calm_ns ? p->app.calm_ns(p->app.ctx) : 0;
}

uint64_t peer_flush_next_ns(void *ctx)
{
	(void)ctx;
	return UINT64_MAX; /* peer_next_ns() speaks for both */
}

/* "10.0.0.1" and nothing else. */
static bool dotted(struct zk_span s, struct net_addr *out)
{
	uint32_t ip = 0, part = 0;
	unsigned parts = 0, digits = 0;

	for (size_t i = 0; i <= s.n; i++) {
		if (i < s.n && s.p[i] >= '0' && s.p[i] <= '9' && digits < 3) {
			part = part * 10 + (uint32_t)(s.p[i] - '0');
			digits++;
			continue;
		}
		if ((i < s.n && s.p[i] != '.') || digits == 0 || part > 255 || parts == 4)
			return false;
		ip = ip << 8 | part;
		parts++;
		part = digits = 0;
	}
	*out = net_addr_v4(ip);
	return parts == 4;
}

static bool find_host(const struct peer *p, struct zk_span name, struct net_addr *out)
{
	for (unsigned i = 0; i < p->conf.hosts_n; i++) {
		struct peer_host *h = &p->conf.hosts[i];
		uint32_t ip;

		if (!zk_span_eq(name, zk_span_str(h->name)))
			continue;
		(void)atomic_fetch_add_explicit(&h->dials, 1, memory_order_relaxed);
		if (p->conf.names) /* it orders what is before it */
			waker_kick(p->conf.names);
		ip = atomic_load_explicit(&h->ip, memory_order_relaxed);
		*out = net_addr_v4(ip);
		return ip != 0;
	}
	return dotted(name, out);
}

/* "host:port", the last colon counts. */
static bool parse_address(const struct peer *p, struct zk_span s, struct net_addr *to,
			  uint16_t *port)
{
	uint32_t n = 0, unit = 1;
	size_t at = s.n;

	while (at > 0 && s.n - at < 5 && s.p[at - 1] >= '0' && s.p[at - 1] <= '9') {
		n += (uint32_t)(s.p[--at] - '0') * unit;
		unit *= 10;
	}
	if (at == s.n || at == 0 || s.p[at - 1] != ':' || n == 0 || n > UINT16_MAX)
		return false;
	*port = (uint16_t)n;
	return find_host(p, zk_span_of(s.p, at - 1), to);
}

bool peer_dial(void *peer, void *conn, struct zk_span address)
{
	struct peer *p = peer;
	struct peer_conn *k;
	struct net_addr to;
	uint16_t port;

	zk_assert(p->app.dialled);
	if (!parse_address(p, address, &to, &port) ||
	    memcmp(&to, &p->conf.net.addr, sizeof(to)) == 0 || (k = conn_take(p)) == NULL) {
		peer_count(&p->stats.dial_failed, 1);
		return false;
	}
	k->conn = conn;
	k->dialling = true;
	if (tcp_connect(p->tcp, to, port, p->now_ns, &k->tcp) != ZK_EOK) {
		conn_give(p, k);
		peer_count(&p->stats.dial_failed, 1);
		return false;
	}
	tcp_user_set(k->tcp, k);
	peer_count(&p->stats.dialled, 1);
	return true;
}

void peer_conf_default(struct peer_conf *c)
{
	tcp_conf_default(&c->tcp);
	c->tcp.conns_max = CONNS_MAX;
	c->tcp.snd_buf_bytes = c->tcp.rcv_buf_bytes = c->tcp.ooo_bytes = BUF_BYTES;
	c->tcp.keepalive_idle_ms = KEEPALIVE_IDLE_MS;
	c->tcp.give_up_ms = GIVE_UP_MS;
	c->tcp.fin_wait_ms = CLOSE_MS;
	c->tcp.syn_rto_ms = SYN_RTO_MS;
	c->tcp.syn_backlog = SYN_BACKLOG;
	c->tx_packets = TX_PACKETS;
	c->rx_packets = RX_PACKETS;
	c->memory_bytes = MEMORY_BYTES;
}

uint64_t peer_memory_bytes(const struct peer_conf *c, uint16_t mtu, unsigned queues)
{
	return (c->tx_packets + (uint64_t)c->rx_packets * queues) * loop_packet_bytes(mtu);
}

/* Conf to work with: what follows from the port, the pools and the memory. */
static void fill_conf(struct peer *p)
{
	struct peer_conf *c = &p->conf;

	c->net.core = 0;
	c->net.cores = 1; /* what is steered here is all ours */
	c->net.pool = p->pool;
	c->net.mem = &p->mem.arena.mem;
	c->net.mtu = port_mtu(c->port);
	c->net.tx_csum = port_tx_csum_ok(c->port);
	c->net.rx_csum = port_rx_csum_ok(c->port);
	c->tcp.mem_packets_max = packets_of_data(c->rx_packets);
	c->tcp.snd_packets_max = packets_of_data(c->tx_packets);
	c->tcp.foreign_port = c->own_device ? 0 : c->client_port;
}

static enum zk_err init(struct peer *p, const struct peer_conf *conf, uint64_t now_ns)
{
	size_t bytes = conf->tcp.conns_max * sizeof(*p->conns);
	enum zk_err err = eal_arena_open(&p->mem, conf->memory_bytes);

	if (err != ZK_EOK)
		return err;
	p->pool = port_pool_new("tx quorum", conf->tx_packets,
				port_mtu(conf->port) + PACKETS_EXTRA_BYTES);
	p->conns = zk_mem_alloc(&p->mem.arena.mem, bytes);
	if (!p->pool || !p->conns)
		return ZK_ENOMEM;
	memset(p->conns, 0, bytes);
	for (uint32_t i = conf->tcp.conns_max; i-- > 0;) {
		zk_list_init(&p->conns[i].fin);
		conn_give(p, &p->conns[i]);
	}
	fill_conf(p);
	err = net_new(&p->conf.net, &p->conf.tcp, now_ns, &p->net);
	if (err != ZK_EOK)
		return err;
	p->tcp = net_tcp(p->net);
	err = tcp_listen(p->tcp, conf->election_port, gate_election, p);
	return err == ZK_EOK ? tcp_listen(p->tcp, conf->quorum_port, gate_learners, p) : err;
}

enum zk_err peer_new(const struct peer_conf *conf, uint64_t now_ns, struct peer **out)
{
	struct peer *p;
	enum zk_err err;

	if (conf->election_port == conf->quorum_port || conf->election_port == 0 ||
	    conf->quorum_port == 0 ||
	    (!conf->own_device &&
	     (conf->client_port == conf->election_port || conf->client_port == conf->quorum_port)))
		return ZK_EINVAL;
	p = eal_pages_alloc(sizeof(*p)); /* zeroed */
	if (!p)
		return ZK_ENOMEM;
	p->conf = *conf;
	p->queue = conf->own_device ? 0 : port_peer_queue(conf->port);
	p->now_ns = now_ns;
	zk_list_init(&p->fins);
	err = init(p, conf, now_ns);
	if (err != ZK_EOK) {
		(void)peer_free(p);
		return err;
	}
	*out = p;
	return ZK_EOK;
}

bool peer_free(struct peer *p)
{
	bool whole;

	if (!p)
		return true;
	zk_assert(!p->attached);
	peer_drop_packets(p);
	if (p->net)
		net_free(p->net);
	whole = !p->pool || port_pool_free(p->pool);
	eal_arena_close(&p->mem);
	eal_pages_free(p, sizeof(*p));
	return whole;
}

void peer_app_set(struct peer *p, const struct peer_app *app)
{
	zk_assert(tcp_conns(p->tcp) == 0 || !p->app.input);
	p->app = *app;
}

void peer_abort_all(struct peer *p, uint64_t now_ns)
{
	zk_assert(!p->attached);
	p->now_ns = now_ns;
	p->app = (struct peer_app){.ctx = NULL};
	for (uint32_t i = 0; i < p->conf.tcp.conns_max; i++)
		if (p->conns[i].tcp)
			tcp_abort(p->conns[i].tcp, now_ns);
	(void)finish_round(p);
}

void peer_attach(struct peer *p, const struct peer_wires *w)
{
	zk_assert(!p->attached && w->cores <= PEER_CORES_MAX && p->conf.own_device == !w->out);
	p->wires = *w;
	p->attached = true;
	/* The client cores are back: theirs is the answer. */
	net_arp_answers(p->net, p->conf.own_device);
}

void peer_detach(struct peer *p)
{
	zk_assert(p->attached);
	peer_drop_packets(p);
	p->wires = (struct peer_wires){.cores = 0};
	p->attached = false;
	net_arp_answers(p->net, true);
}

uint32_t peer_conns(const struct peer *p)
{
	return tcp_conns(p->tcp);
}

const struct net_stats *peer_net_stats(const struct peer *p)
{
	return net_stats_get(p->net);
}

const struct peer_stats *peer_stats_of(const struct peer *p)
{
	return &p->stats;
}

bool peer_own_device(const struct peer *p)
{
	return p->conf.own_device;
}

bool peer_has_queue(const struct peer *p)
{
	return p->queue >= 0;
}

int peer_rx_fd(const struct peer *p)
{
	return p->queue >= 0 ? port_rx_fd(p->conf.port, (uint16_t)p->queue) : -1;
}
