/* SPDX-License-Identifier: Apache-2.0 */
#include "dp/loop/client.h"
#include "dp/loop/client_int.h"
#include "dp/net/stats.h"

#include <stdio.h>
#include <string.h>

enum { ADDR_TEXT_MAX = 48, DRAIN_LINGER_NS = 500000000 };

static struct client_conn *conn_take(struct client *c)
{
	struct client_conn *k = c->free_conns;

	if (k) {
		c->free_conns = k->next_free;
		c->conns_live++;
	}
	return k;
}

static void conn_give(struct client *c, struct client_conn *k)
{
	*k = (struct client_conn){.owner = c, .next_free = c->free_conns};
	c->free_conns = k;
	c->conns_live--;
}

static void addr_text(const struct net_addr *a, char out[ADDR_TEXT_MAX])
{
	uint32_t ip = net_addr_to_v4(a);

	zk_assert(net_addr_is_v4(a)); /* the stack speaks IPv4 only, for now */
	snprintf(out, ADDR_TEXT_MAX, "%u.%u.%u.%u", ip >> 24, (ip >> 16) & 255, (ip >> 8) & 255,
		 ip & 255);
}

/* Asked by TCP for each SYN, before any record exists. */
static bool gate(void *ctx, const struct net_addr *from)
{
	struct client *c = ctx;
	const struct srv_shared *sh = c->conf.srv.shared;

	(void)from; /* per-address limits are srv_open()'s: Apache resets after the handshake too */
	if (!c->draining &&
	    (sh->max_cnxns == 0 || /* a hint; srv_open() decides */
	     atomic_load_explicit(&sh->limits.conns, memory_order_relaxed) < sh->max_cnxns))
		return true;
	client_count(&c->stats.syn_refused, 1);
	return false;
}

static void conn_open(struct client *c, struct tcp_conn *t)
{
	const struct net_tuple *tuple = tcp_tuple(t);
	struct client_conn *k = conn_take(c);
	char text[ADDR_TEXT_MAX];

	if (k) {
		addr_text(&tuple->remote, text);
		k->tcp = t;
		k->srv = srv_open(c->srv, k, text, tuple->remote_port, c->now_ns);
		if (k->srv) {
			tcp_user_set(t, k);
			client_count(&c->stats.accepted, 1);
			return;
		}
		conn_give(c, k);
	}
	client_count(&c->stats.refused, 1);
	tcp_abort(t, c->now_ns); /* TCP_READY_CLOSED follows */
}

static void conn_ready(struct client *c, struct tcp_conn *t, unsigned events)
{
	struct client_conn *k;

	if (events & TCP_READY_OPEN)
		conn_open(c, t);
	k = tcp_user(t);
	if (k && (events & TCP_READY_READ))
		srv_input(k->srv, c->now_ns);
	if (k && (events & TCP_READY_WRITE))
		srv_writable(k->srv, c->now_ns);
	if (k && (events & TCP_READY_FIN))
		srv_fin(k->srv, c->now_ns);
	if (!(events & TCP_READY_CLOSED))
		return;
	if (k) {
		srv_gone(k->srv, c->now_ns);
		tcp_user_set(t, NULL);
		conn_give(c, k);
	}
	tcp_release(t, c->now_ns);
}

static unsigned serve(struct client *c)
{
	unsigned n = 0, events;
	struct tcp_conn *t;

	while (n < READY_PER_ROUND && (t = tcp_next_ready(c->tcp, &events)) != NULL) {
		conn_ready(c, t, events);
		n++;
	}
	return n;
}

/* Start the drain when asked to; say when all is out. */
static void drain_step(struct client *c)
{
	if (!c->draining) {
		if (!atomic_load_explicit(&c->drain_asked, memory_order_relaxed))
			return;
		c->draining = true;
		srv_drain(c->srv, c->now_ns);
	}
	if (!srv_drained(c->srv))
		return;
	if (!c->srv_drained_ns)
		c->srv_drained_ns = c->now_ns;
	/* A client that never closes its side holds FIN_WAIT_2 open: not for long. */
	if (c->tx_n == 0 &&
	    (tcp_conns(c->tcp) == 0 || c->now_ns - c->srv_drained_ns > DRAIN_LINGER_NS))
		/* partner: acquire in client_drained() */
		atomic_store_explicit(&c->drained, true, memory_order_release);
}

/* Wake the threads that were handed something in this round. */
static void wake_others(struct client *c)
{
	bool leader = c->conf.srv.to_leader->put != c->leader_put;

	if (!leader && !c->wake)
		return;
	if (leader)
		waker_kick(c->conf.leader_waker);
	c->leader_put = c->conf.srv.to_leader->put;
	while (c->wake) {
		unsigned to = (unsigned)__builtin_ctz(c->wake);

		waker_kick(c->conf.waker[to]);
		c->wake &= c->wake - 1;
	}
}

/* What the stack counts for itself, for who asks from another thread. */
static void publish_pressure(struct client *c)
{
	const struct net_stats *n = net_stats_get(c->net);

	/* partner: relaxed loads, figures only */
	atomic_store_explicit(&c->stats.packet_waits, n->tcp_snd_mem_waits + n->tcp_snd_share_waits,
			      memory_order_relaxed);
	atomic_store_explicit(&c->stats.events_short, c->pace.short_rounds, memory_order_relaxed);
	atomic_store_explicit(&c->stats.packet_drops,
			      n->pool_empty + n->tcp_rcv_mem_dropped + n->tcp_conn_mem,
			      memory_order_relaxed);
	atomic_store_explicit(&c->stats.syn_unanswered, n->tcp_syn_full, memory_order_relaxed);
}

/* The last round ends where this one begins: the thread goes straight on when there was work. */
static void round_over(struct client *c, uint64_t now_ns)
{
	uint64_t ns = now_ns - c->now_ns;

	if (zk_likely(c->worked)) {
		ns = ns > c->taken_ns ? ns - c->taken_ns : 0;
		zk_metric_add(&c->times.round, ns);
		pace_round(&c->pace, ns);
		if (c->owed_ns)
			c->owed_ns += c->taken_ns; /* as if it had come so much later */
		else if (c->heard)
			c->owed_ns = c->now_ns + c->taken_ns;
	}
	c->taken_ns = 0;
	if (c->owed_ns && !c->tx_left) {
		zk_metric_add(&c->times.reply, now_ns > c->owed_ns ? now_ns - c->owed_ns : 0);
		c->owed_ns = 0;
	}
}

unsigned client_poll(void *ctx, uint64_t now_ns)
{
	struct client *c = ctx;
	struct pkt *v[RX_BURST];
	unsigned work = 0, n = 0, ours = 0, handed, served;

	round_over(c, now_ns);
	c->now_ns = now_ns;
	if (c->has_queue)
		n = port_rx(c->conf.port, c->conf.core, v, RX_BURST);
	c->rx_full = n == RX_BURST;
	client_count(&c->stats.rx_full, c->rx_full);
	if (n) {
		ours = client_steer(c, v, n);
		client_count(&c->stats.rx_frames, n);
		work += n;
	}
	work += client_relay(c);
	if (ours)
		net_input(c->net, v, ours, now_ns);
	handed = client_take_handed(c);
	work += handed + srv_begin(c->srv, now_ns);
	served = serve(c);
	if (n < RX_BURST && handed < HANDED_BURST && served < READY_PER_ROUND)
		srv_heard(c->srv);
	work += served;
	if (zk_unlikely(atomic_load_explicit(&c->drain_asked, memory_order_relaxed)))
		drain_step(c);
	work += srv_end(c->srv, now_ns);
	net_round_end(c->net, now_ns);
	work += client_transmit(c);
	wake_others(c);
	client_count(&c->stats.rounds, 1);
	c->worked = work > 0;
	c->heard = served > 0;
	if (work) {
		publish_pressure(c);
		client_count(&c->stats.busy_rounds, 1);
	}
	return work;
}

void client_late(void *ctx, uint64_t late_ns, uint64_t now_ns)
{
	struct client *c = ctx;

	srv_late(c->srv, late_ns, now_ns);
}

void client_stolen(void *ctx, uint64_t taken_ns)
{
	struct client *c = ctx;

	c->taken_ns += taken_ns;
	zk_metric_add(&c->times.stolen, taken_ns);
}

bool client_minds(void *ctx)
{
	const struct client *c = ctx;

	return c->conns_live > 0;
}

uint64_t client_next_ns(void *ctx)
{
	struct client *c = ctx;
	uint64_t a = srv_next_ns(c->srv), b = net_next_timer_ns(c->net);

	if (c->tx_n || c->draining)
		return 0;
	return a < b ? a : b;
}

void client_drain(struct client *c)
{
	/* partner: loads in client_poll(); no data goes with it */
	atomic_store_explicit(&c->drain_asked, true, memory_order_relaxed);
}

bool client_drained(const struct client *c)
{
	/* partner: release in drain_step() */
	return atomic_load_explicit(&c->drained, memory_order_acquire);
}

/* srv's events_room(). Who is told answers, at least with an ACK: those must not pile up in the
 * device either. */
static unsigned events_room(void *ctx, unsigned want)
{
	struct client *c = ctx;
	struct pace_look look = {.now_ns = c->now_ns,
				 .packets_max = c->conf.tcp.snd_packets_max,
				 .packets = tcp_snd_room(c->tcp),
				 .behind = c->tx_n || c->tx_capped || c->rx_full};

	return pace_slice(&c->pace, &look, want);
}

static enum zk_err client_init(struct client *c, uint64_t now_ns)
{
	struct client_conf *conf = &c->conf;
	enum zk_err err;

	c->conns = zk_mem_alloc(conf->mem, c->conns_n * sizeof(*c->conns));
	if (!c->conns)
		return ZK_ENOMEM;
	c->conns_live = c->conns_n;
	for (uint32_t i = c->conns_n; i-- > 0;)
		conn_give(c, &c->conns[i]);
	err = net_new(&conf->net, &conf->tcp, now_ns, &c->net);
	if (err != ZK_EOK)
		return err;
	c->tcp = net_tcp(c->net);
	conf->srv.io = &client_io;
	conf->srv.events_room = events_room;
	conf->srv.events_ctx = c;
	err = srv_new(&conf->srv, now_ns, &c->srv);
	if (err != ZK_EOK)
		return err;
	return tcp_listen(c->tcp, conf->listen_port, gate, c);
}

enum zk_err client_new(const struct client_conf *conf, uint64_t now_ns, struct client **out)
{
	struct client *c;
	enum zk_err err;

	zk_assert(conf->cores <= CLIENT_CORES_MAX && conf->core < conf->cores && conf->queues);
	c = zk_mem_alloc(conf->mem, sizeof(*c));
	if (!c)
		return ZK_ENOMEM;
	memset(c, 0, sizeof(*c));
	c->conf = *conf;
	c->times.round.slot = c->round_slot;
	c->times.reply.slot = c->reply_slot;
	c->has_queue = conf->core < conf->queues;
	c->tx_own = conf->in[CLIENT_PEER] ? TX_ARRAY - HANDED_BURST : TX_ARRAY;
	c->conns_n = conf->tcp.conns_max;
	err = client_init(c, now_ns);
	if (err != ZK_EOK) {
		client_free(c);
		return err;
	}
	*out = c;
	return ZK_EOK;
}

/* srv first: it may still call the transport. */
void client_free(struct client *c)
{
	if (!c)
		return;
	client_drop_packets(c);
	if (c->srv)
		srv_free(c->srv);
	if (c->net)
		net_free(c->net);
	zk_mem_free(c->conf.mem, c->conns, c->conns_n * sizeof(*c->conns));
	zk_mem_free(c->conf.mem, c, sizeof(*c));
}

struct srv *client_srv(struct client *c)
{
	return c->srv;
}

const struct net_stats *client_net_stats(const struct client *c)
{
	return net_stats_get(c->net);
}

const struct client_stats *client_stats_of(const struct client *c)
{
	return &c->stats;
}

struct client_times *client_times_of(struct client *c)
{
	return &c->times;
}

uint32_t client_conns(struct client *c)
{
	return tcp_conns(c->tcp);
}
