/* SPDX-License-Identifier: Apache-2.0 */
/* A client's machine: a stack, and of its one connection the bytes that have come and those that
 * are to go. */
#include "test/sim/cluster_int.h"
#include "test/sim/cluster_wire.h"

enum { TX_PACKETS = 512, CONNS = 16, BURST = 32 };

void cl_host_boot(struct cl *w, unsigned client)
{
	struct cl_host *h = &w->wire->host[client];
	struct net_conf nc;
	struct tcp_conf tc;
	enum zk_err err;

	zk_mem_init_heap(&h->mem, 0);
	h->tx = port_pool_new("tx client", TX_PACKETS, w->wire->mtu + 64u);
	cl_net_conf(w, CL_DEV_CLIENT + client, &h->mem, h->tx, &nc);
	tcp_conf_default(&tc);
	cl_stack_conf(w, &tc);
	tc.conns_max = CONNS;
	tc.mem_packets_max = TX_PACKETS - TX_PACKETS / 8;
	err = net_new(&nc, &tc, w->now_ns, &h->net);
	zk_assert(err == ZK_EOK);
	h->tcp = net_tcp(h->net);
}

void cl_host_kill(struct cl *w, unsigned client)
{
	struct cl_host *h = &w->wire->host[client];

	cl_wire_flush(&w->wire->port[CL_DEV_CLIENT + client]);
	net_free(h->net);
	if (pkt_heap_pool_free(h->tx))
		cl_broken(w, 0, "packets of a client are missing", client);
	zk_assert(h->mem.used_bytes == 0);
}

static struct cl_host *host_of(const struct cl_conn *c)
{
	return &c->w->wire->host[c->end[0].who];
}

void cl_host_dial(struct cl_conn *c)
{
	struct cl_host *h = host_of(c);

	h->touched = true;
	if (tcp_connect(h->tcp, net_addr_v4(0x0a000001 + c->end[1].who), CL_PORT_CLIENTS,
			c->w->now_ns, &c->tcp) == ZK_EOK)
		tcp_user_set(c->tcp, c);
	else
		c->end[0].dial = CL_DIAL_FAILED;
}

void cl_host_close(struct cl_conn *c, bool loud)
{
	struct cl_host *h = host_of(c);
	struct cl *w = c->w;
	unsigned client = c->end[0].who;

	if (!c->tcp)
		return;
	if (!loud) {
		cl_host_kill(w, client);
		cl_host_boot(w, client);
	} else {
		if (cl_chance(w, 500))
			tcp_shutdown(c->tcp, w->now_ns);
		else
			tcp_abort(c->tcp, w->now_ns);
		tcp_release(c->tcp, w->now_ns);
	}
	c->tcp = NULL;
	h->touched = true;
}

/* ---- rounds ---- */

static void ready(struct cl *w, struct cl_conn *c, struct tcp_conn *t, unsigned events)
{
	struct cl_end *e = &c->end[0];
	struct cl_pipe *in = &c->pipe[0];
	struct zk_span s;

	if (events & TCP_READY_OPEN)
		e->dial = CL_DIAL_OPEN;
	while ((events & TCP_READY_READ) && (s = tcp_peek(t, 0)).n > 0) {
		cl_pipe_fill(in, s.p, s.n);
		in->arrived = in->tail;
		tcp_read_done(t, s.n);
	}
	if (events & TCP_READY_FIN)
		e->fin_ns = w->now_ns;
	if (!(events & TCP_READY_CLOSED))
		return;
	if (e->dial == CL_DIAL_WAITS)
		e->dial = CL_DIAL_FAILED;
	e->gone_ns = w->now_ns;
	tcp_release(t, w->now_ns);
	c->tcp = NULL;
}

void cl_host_in(struct cl *w, unsigned client)
{
	struct cl_host *h = &w->wire->host[client];
	struct pkt *v[BURST];
	struct tcp_conn *t;
	unsigned n, events;

	while ((n = cl_wire_receive(&w->wire->port[CL_DEV_CLIENT + client], v, BURST)) > 0)
		net_input(h->net, v, n, w->now_ns);
	while ((t = tcp_next_ready(h->tcp, &events)) != NULL)
		ready(w, tcp_user(t), t, events);
}

/* What the client has written goes to the stack as far as that takes it. */
static void pump(struct cl_conn *c)
{
	struct cl_pipe *out = &c->pipe[1];
	size_t n = (size_t)(out->tail - out->head), done;

	if (!n || !c->tcp || c->end[0].dial != CL_DIAL_OPEN)
		return;
	done = tcp_write(c->tcp, out->b + (out->head - out->origin), n);
	out->head = out->arrived = out->head + done;
	host_of(c)->touched |= done > 0;
}

void cl_host_out(struct cl *w, unsigned client)
{
	struct cl_host *h = &w->wire->host[client];
	int32_t conn = w->client[client].conn;
	struct pkt *v[BURST];
	unsigned n;

	if (conn >= 0)
		pump(&w->conn[conn]);
	if (!h->touched && w->now_ns < net_next_timer_ns(h->net))
		return;
	h->touched = false;
	net_round_end(h->net, w->now_ns);
	while ((n = net_output(h->net, v, BURST, w->now_ns)) > 0)
		for (unsigned i = 0; i < n; i++) {
			cl_wire_send(w, CL_DEV_CLIENT + client, v[i]);
			pkt_free(v[i]);
		}
}

uint64_t cl_host_next_ns(const struct cl *w, unsigned client)
{
	const struct cl_host *h = &w->wire->host[client];

	return h->touched ? 0 : net_next_timer_ns(h->net);
}
