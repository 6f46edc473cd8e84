/* SPDX-License-Identifier: Apache-2.0 */
/* Frames on their way, and the devices at both ends. */
#include "test/sim/cluster_wire.h"

#include "core/base/endian.h"
#include "test/sim/cluster_int.h"

#include <stdlib.h>
#include <time.h>

enum { ETH_BYTES = 14, TYPE_ARP = 0x0806, ROOM = 2048 };

#ifdef __SANITIZE_ADDRESS__
enum { POOL_FLAGS = 0 };
#else
enum { POOL_FLAGS = PKT_HEAP_RECYCLE };
#endif

/* ---- the heap ---- */

static bool before(const struct cl_frame *a, const struct cl_frame *b)
{
	return a->due_ns < b->due_ns || (a->due_ns == b->due_ns && a->order < b->order);
}

static void push(struct cl_wire *x, struct cl_frame f)
{
	uint32_t i = x->frames++;

	for (; i && before(&f, &x->frame[(i - 1) / 2]); i = (i - 1) / 2)
		x->frame[i] = x->frame[(i - 1) / 2];
	x->frame[i] = f;
}

static struct cl_frame pop(struct cl_wire *x)
{
	struct cl_frame top = x->frame[0], last = x->frame[--x->frames];
	uint32_t i = 0, kid;

	for (; (kid = 2 * i + 1) < x->frames; i = kid) {
		if (kid + 1 < x->frames && before(&x->frame[kid + 1], &x->frame[kid]))
			kid++;
		if (!before(&x->frame[kid], &last))
			break;
		x->frame[i] = x->frame[kid];
	}
	x->frame[i] = last;
	return top;
}

/* ---- the way ---- */

static bool is_cut(const struct cl *w, unsigned a, unsigned b)
{
	return w->wire->hole_ns[a][b] > w->now_ns ||
	       (a < CL_SERVERS_MAX && b < CL_SERVERS_MAX && w->cut[a][b]);
}

static bool is_arp(const struct pkt *p)
{
	return p->len >= ETH_BYTES && zk_get16(p->data + 12) == TYPE_ARP;
}

/* One byte that a checksum guards. */
static void damage(struct cl *w, struct pkt *p)
{
	if (p->len <= ETH_BYTES || is_arp(p))
		return;
	p->data[ETH_BYTES + cl_draw(w, p->len - ETH_BYTES)] ^= (uint8_t)(1 + cl_draw(w, 255));
	w->on_wire.damaged++;
}

static void put(struct cl *w, unsigned from, unsigned to, const struct pkt *p)
{
	struct cl_wire *x = w->wire;
	uint64_t due = w->now_ns + (100 + cl_draw(w, 3000)) * UINT64_C(1000);
	struct pkt *copy;

	if (x->frames == CL_FRAMES_MAX || !(copy = pkt_heap_from(x->pool, p->data, p->len))) {
		w->on_wire.overrun++;
		return;
	}
	if (x->offload)
		copy->flags = PKT_F_IP_CSUM_GOOD | PKT_F_L4_CSUM_GOOD;
	if (cl_faulty(w) && cl_chance(w, x->disorder)) {
		due += cl_draw(w, 8000) * UINT64_C(1000);
		w->on_wire.disordered++;
	} else if (due < x->fifo_ns[from][to]) {
		due = x->fifo_ns[from][to];
	} else {
		x->fifo_ns[from][to] = due;
	}
	if (cl_faulty(w) && x->damage && cl_chance(w, x->damage))
		damage(w, copy);
	push(x, (struct cl_frame){due, x->order++, copy, to});
}

static void send_to(struct cl *w, unsigned from, unsigned to, const struct pkt *p)
{
	struct cl_wire *x = w->wire;

	w->on_wire.sent++;
	if (is_cut(w, x->port[from].machine, x->port[to].machine)) {
		w->on_wire.cut++;
		return;
	}
	if (cl_faulty(w) && cl_chance(w, x->loss)) {
		w->on_wire.lost++;
		return;
	}
	put(w, from, to, p);
	if (cl_faulty(w) && cl_chance(w, x->twice)) {
		w->on_wire.doubled++;
		put(w, from, to, p);
	}
}

void cl_wire_send(struct cl *w, unsigned from, const struct pkt *p)
{
	static const uint8_t ours[5] = {2, 0, 0, 0, 0};

	zk_assert(p->len >= ETH_BYTES && p->len <= w->wire->mtu + (uint32_t)ETH_BYTES);
	if (p->data[0] & 1) {
		for (unsigned to = 0; to < CL_DEVS; to++)
			if (to != from)
				send_to(w, from, to, p);
		return;
	}
	zk_assert(memcmp(p->data, ours, 5) == 0 && p->data[5] - 1u < CL_DEVS);
	send_to(w, from, p->data[5] - 1u, p);
}

static bool listens(struct cl *w, const struct port *port)
{
	if (port->machine >= CL_SERVERS_MAX)
		return true;
	return port->machine < w->n && w->server[port->machine].up &&
	       (port->index < CL_DEV_PEER || w->wire->own_device);
}

/* A device that knows the quorum's frames, but for some. */
static unsigned queue_of(struct cl *w, const struct port *port, const struct pkt *p)
{
	uint16_t to;

	if (!w->wire->own_queue || port->index >= CL_DEV_PEER)
		return 0;
	if (cl_chance(w, 30))
		return (unsigned)cl_draw(w, 2);
	return net_local_port(p, &to) && to != CL_PORT_CLIENTS;
}

static void deliver(struct cl *w, struct cl_frame *f)
{
	struct port *port = &w->wire->port[f->to];
	struct cl_queue *q = &port->queue[queue_of(w, port, f->pkt)];

	if (!listens(w, port)) {
		w->on_wire.deaf++;
		pkt_free(f->pkt);
		return;
	}
	if (q->tail - q->head == w->wire->rx_max) {
		w->on_wire.overrun++;
		pkt_free(f->pkt);
		return;
	}
	w->digest = w->digest * 31 + f->pkt->len;
	q->rx[q->tail++ % CL_RX_MAX] = f->pkt;
	if (port->machine < CL_SERVERS_MAX)
		w->server[port->machine].poked = true;
	else
		w->wire->host[port->machine - CL_SERVERS_MAX].touched = true;
}

void cl_wire_step(struct cl *w)
{
	struct cl_wire *x = w->wire;

	while (x->frames && x->frame[0].due_ns <= w->now_ns) {
		struct cl_frame f = pop(x);

		deliver(w, &f);
	}
}

uint64_t cl_wire_next_ns(const struct cl *w)
{
	uint64_t next = w->wire->frames ? w->wire->frame[0].due_ns : UINT64_MAX;

	for (unsigned i = 0; i < CL_CLIENTS; i++) {
		uint64_t t = cl_host_next_ns(w, i);

		next = t < next ? t : next;
	}
	return next;
}

void cl_wire_break(struct cl *w)
{
	unsigned a = (unsigned)cl_draw(w, w->n), b = (unsigned)cl_draw(w, w->n + CL_CLIENTS);
	uint64_t until = w->now_ns + (20 + cl_draw(w, cl_chance(w, 300) ? 5000 : 500)) * cl_ms;
	bool both = cl_chance(w, 500), back = cl_chance(w, 500);

	if (b >= w->n)
		b = CL_SERVERS_MAX + (b - w->n);
	if (a == b)
		return;
	w->breaks++;
	if (both || !back)
		w->wire->hole_ns[a][b] = until;
	if (both || back)
		w->wire->hole_ns[b][a] = until;
}

void cl_wire_flush(struct port *port)
{
	for (unsigned i = 0; i < 2; i++)
		while (port->queue[i].head != port->queue[i].tail)
			pkt_free(port->queue[i].rx[port->queue[i].head++ % CL_RX_MAX]);
}

static unsigned receive(struct cl_queue *q, struct pkt **v, unsigned n)
{
	unsigned k = 0;

	while (k < n && q->head != q->tail)
		v[k++] = q->rx[q->head++ % CL_RX_MAX];
	return k;
}

unsigned cl_wire_receive(struct port *port, struct pkt **v, unsigned n)
{
	return receive(&port->queue[0], v, n);
}

/* ---- life ---- */

void cl_wire_init(struct cl *w)
{
	static const unsigned losses[] = {0, 3, 20, 60}, rest[] = {0, 5, 50};
	struct cl_wire *x = calloc(1, sizeof(*x));

	zk_assert(x);
	w->wire = x;
	x->frame = malloc(CL_FRAMES_MAX * sizeof(*x->frame));
	zk_assert(x->frame);
	x->pool = pkt_heap_pool_new_flags(CL_FRAMES_MAX, ROOM, POOL_FLAGS);
	x->loss = losses[cl_draw(w, 4)];
	x->twice = rest[cl_draw(w, 3)];
	x->disorder = rest[cl_draw(w, 3)];
	x->offload = cl_chance(w, 500);
	x->damage = x->offload ? 0 : rest[cl_draw(w, 2)];
	x->rx_max = cl_chance(w, 300) ? 4 + (uint32_t)cl_draw(w, 12) : CL_RX_MAX;
	x->own_device = cl_chance(w, 333);
	x->own_queue = !x->own_device && cl_chance(w, 500);
	x->mtu = (uint16_t)(cl_chance(w, 250) ? 576 + cl_draw(w, 600) : 1500);
	x->rto_min_ms = 20 + (uint32_t)cl_draw(w, 180);
	for (unsigned i = 0; i < CL_DEVS; i++)
		x->port[i] = (struct port){.w = w,
					   .index = i,
					   .machine = i < CL_DEV_CLIENT ? i % CL_SERVERS_MAX
									: i - CL_SERVERS_MAX};
	for (unsigned i = 0; i < CL_CLIENTS; i++)
		cl_host_boot(w, i);
}

void cl_wire_fini(struct cl *w)
{
	struct cl_wire *x = w->wire;
	uint32_t left;

	for (unsigned i = 0; i < CL_CLIENTS; i++)
		cl_host_kill(w, i);
	while (x->frames)
		pkt_free(pop(x).pkt);
	for (unsigned i = 0; i < CL_DEVS; i++)
		cl_wire_flush(&x->port[i]);
	left = pkt_heap_pool_free(x->pool);
	if (left)
		cl_broken(w, 0, "received packets were not given back", left);
	free(x->frame);
	free(x);
	w->wire = NULL;
}

/* ---- dp/port/port.h ---- */

uint16_t port_queues(const struct port *port)
{
	(void)port;
	return 1;
}

int port_peer_queue(const struct port *port)
{
	return port->w->wire->own_queue ? 1 : -1;
}

uint16_t port_mtu(const struct port *port)
{
	return port->w->wire->mtu;
}

bool port_tx_csum_ok(const struct port *port)
{
	return port->w->wire->offload;
}

bool port_rx_csum_ok(const struct port *port)
{
	return port->w->wire->offload;
}

int port_rx_fd(const struct port *port, uint16_t q)
{
	(void)port;
	(void)q;
	return -1;
}

uint16_t port_rx(struct port *port, uint16_t q, struct pkt **v, uint16_t n)
{
	return (uint16_t)receive(&port->queue[q], v, n);
}

/* Between any two frames its process may die. */
uint16_t port_tx(struct port *port, uint16_t q, struct pkt **v, uint16_t n)
{
	struct cl *w = port->w;

	zk_assert(q < 2);
	for (unsigned i = 0; i < n; i++) {
		if (!cl_dead(&w->server[port->machine]))
			cl_wire_send(w, port->index, v[i]);
		pkt_free(v[i]);
	}
	return n;
}

struct pkt_pool *port_pool_new(const char *purpose, uint32_t packets, uint32_t room_bytes)
{
	(void)purpose;
	return pkt_heap_pool_new_flags(packets, room_bytes, POOL_FLAGS);
}

bool port_pool_free(struct pkt_pool *pool)
{
	return pkt_heap_pool_free(pool) == 0;
}

/* ---- the time of day: -Wl,--wrap=clock_gettime ---- */

static const struct cl_server *running;

void cl_wire_clock(const struct cl_server *s)
{
	running = s;
}

int __real_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	int64_t ms;

	if (!running || id != CLOCK_REALTIME)
		return __real_clock_gettime(id, ts);
	ms = cl_wall_ms(running);
	*ts = (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	return 0;
}
