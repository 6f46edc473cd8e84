/* SPDX-License-Identifier: Apache-2.0 */
/* A server's two stacks: what dp/loop/loop.c and ctl/server/ensemble.c do with them. */
#include "dp/net/stats.h"
#include "test/sim/cluster_int.h"
#include "test/sim/cluster_wire.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	TX_PACKETS = 2048,
	PEER_CONNS = 128,
	CLIENT_CONNS = 64,
	ARENA_BYTES = 1700 << 10, /* below the size that is put on huge pages */
	LATE_MS = 100,            /* thread.c: late_min_ns */
};

static struct cl_stack *stack_of(const struct cl_server *s)
{
	return &s->w->wire->stack[s->index];
}

/* Times of the scale of the run's ticks. */
void cl_stack_conf(const struct cl *w, struct tcp_conf *tcp)
{
	tcp->rto_min_ms = w->wire->rto_min_ms;
	tcp->give_up_ms = 4000;
	tcp->syn_give_up_ms = 3000;
	tcp->syn_rto_ms = 250;
	tcp->time_wait_ms = 500;
	tcp->fin_wait_ms = 2000;
	tcp->snd_buf_bytes = CL_SEND_BYTES;
	tcp->rcv_buf_bytes = CL_RECEIVE_BYTES;
	tcp->ooo_bytes = CL_SEND_BYTES;
	tcp->mem_packets_max = TX_PACKETS - TX_PACKETS / 8;
}

void cl_net_conf(struct cl *w, unsigned dev, struct zk_mem *mem, struct pkt_pool *tx,
		 struct net_conf *out)
{
	*out = (struct net_conf){.mac = {2, 0, 0, 0, 0, (uint8_t)(dev + 1)},
				 .addr = net_addr_v4(0x0a000001 + dev),
				 .prefix = 24,
				 .mtu = w->wire->mtu,
				 .cores = 1,
				 .tx_csum = w->wire->offload,
				 .rx_csum = w->wire->offload,
				 .pool = tx,
				 .mem = mem};
	for (unsigned i = 0; i < sizeof(out->secret); i++)
		out->secret[i] = (uint8_t)cl_draw(w, 256);
}

void cl_stack_boot(struct cl *w, struct cl_server *s)
{
	struct cl_wire *x = w->wire;
	unsigned dev = s->index + (x->own_device ? CL_DEV_PEER : 0);
	struct cl_stack *k = stack_of(s);
	struct peer_conf pc = {.port = &x->port[dev],
			       .own_device = x->own_device,
			       .client_port = CL_PORT_CLIENTS,
			       .election_port = CL_PORT_ELECTION,
			       .quorum_port = CL_PORT_LEARNERS,
			       .hosts = k->host,
			       .hosts_n = w->n};
	enum zk_err err;

	*k = (struct cl_stack){.peer = NULL};
	for (unsigned i = 0; i < w->n; i++) {
		snprintf(k->host[i].name, sizeof(k->host[i].name), "h%u", i + 1);
		k->host[i].ip = 0x0a000001 + dev - s->index + i;
	}
	peer_conf_default(&pc);
	cl_stack_conf(w, &pc.tcp);
	pc.tcp.conns_max = PEER_CONNS;
	pc.tcp.keepalive_idle_ms = 500;
	pc.tx_packets = pc.rx_packets = TX_PACKETS;
	pc.memory_bytes = ARENA_BYTES;
	cl_net_conf(w, dev, NULL, NULL, &pc.net);
	err = peer_new(&pc, w->now_ns, &k->peer);
	zk_assert(err == ZK_EOK);
}

static void add_counters(struct cl *w, const struct net_stats *n)
{
	w->on_wire.retransmits += n->tcp_retransmits;
	w->on_wire.timeouts += n->tcp_rto;
	w->on_wire.resets += n->tcp_rst_rx;
	w->on_wire.keepalives += n->tcp_keepalives;
}

/* A process that is killed: nothing more is sent, by anybody. */
void cl_stack_kill(struct cl *w, struct cl_server *s)
{
	struct cl_stack *k = stack_of(s);
	bool whole;

	add_counters(w, peer_net_stats(k->peer));
	whole = peer_free(k->peer);
	if (!whole)
		cl_broken(w, s->index, "packets of the quorum's stack are missing", 0);
	k->peer = NULL;
	cl_wire_flush(&w->wire->port[s->index]);
	cl_wire_flush(&w->wire->port[CL_DEV_PEER + s->index]);
}

static void join_peer(struct cl *w, struct cl_server *s)
{
	struct cl_stack *k = stack_of(s);
	struct peer_wires wires = {.cores = 0};

	if (!w->wire->own_device)
		wires = (struct peer_wires){
			.in = {&k->steer}, .out = &k->from_peer, .host = &k->waker, .cores = 1};
	peer_attach(k->peer, &wires);
}

struct srv *cl_stack_join(struct cl *w, struct cl_server *s, const struct srv_conf *sc)
{
	struct cl_stack *k = stack_of(s);
	struct client_conf cc = {.port = &w->wire->port[s->index],
				 .cores = 1,
				 .queues = 1,
				 .listen_port = CL_PORT_CLIENTS,
				 .mem = &s->mem,
				 .srv = *sc,
				 .leader_waker = &k->waker};
	enum zk_err err = pring_init(&k->steer, &s->mem, CL_RING_SLOTS);

	zk_assert(err == ZK_EOK);
	err = pring_init(&k->from_peer, &s->mem, CL_RING_SLOTS);
	zk_assert(err == ZK_EOK);
	join_peer(w, s);
	k->tx = port_pool_new("tx core 0", TX_PACKETS, w->wire->mtu + 64u);
	cl_net_conf(w, s->index, &s->mem, k->tx, &cc.net);
	tcp_conf_default(&cc.tcp);
	cl_stack_conf(w, &cc.tcp);
	cc.tcp.conns_max = cc.srv.conns_max = CLIENT_CONNS;
	cc.waker[0] = &k->waker;
	if (!w->wire->own_device) {
		cc.out[CLIENT_PEER] = &k->steer;
		cc.in[CLIENT_PEER] = &k->from_peer;
		cc.waker[CLIENT_PEER] = &k->waker;
	}
	err = client_new(&cc, w->now_ns, &k->client);
	zk_assert(err == ZK_EOK);
	return client_srv(k->client);
}

void cl_stack_leave(struct cl *w, struct cl_server *s)
{
	struct cl_stack *k = stack_of(s);

	add_counters(w, client_net_stats(k->client));
	client_free(k->client);
	k->client = NULL;
	peer_detach(k->peer);
	pring_fini(&k->steer);
	pring_fini(&k->from_peer);
	if (!port_pool_free(k->tx))
		cl_broken(w, s->index, "packets of the client core are missing", 0);
}

/* ---- rounds ---- */

static void tell_late(struct cl *w, struct cl_server *s)
{
	struct cl_stack *k = stack_of(s);
	uint64_t due = s->wake_ns > s->last_ns ? s->wake_ns : s->last_ns, late;

	if (!s->last_ns || due == UINT64_MAX || w->now_ns < due + LATE_MS * cl_ms)
		return;
	late = w->now_ns - due;
	w->on_wire.lates++;
	client_late(k->client, late, w->now_ns);
	peer_late(k->peer, late, w->now_ns);
	leader_late(s->leader, late, w->now_ns);
}

unsigned cl_stack_begin(struct cl *w, struct cl_server *s)
{
	struct cl_stack *k = stack_of(s);
	unsigned work;

	cl_wire_clock(s);
	if (s->halted) {
		work = peer_alone_poll(k->peer, w->now_ns);
	} else {
		tell_late(w, s);
		work = client_poll(k->client, w->now_ns);
		work += peer_poll(k->peer, w->now_ns);
	}
	cl_wire_clock(NULL);
	return work;
}

unsigned cl_stack_end(struct cl *w, struct cl_server *s)
{
	return s->halted ? 0 : peer_flush(stack_of(s)->peer, w->now_ns);
}

uint64_t cl_stack_next_ns(const struct cl_server *s)
{
	struct cl_stack *k = stack_of(s);
	uint64_t next = peer_next_ns(k->peer), core;

	if (s->halted)
		return next;
	core = client_next_ns(k->client);
	return core < next ? core : next;
}
