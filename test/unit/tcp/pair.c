/* SPDX-License-Identifier: Apache-2.0 */
#include "test/unit/tcp/pair.h"

#include "core/base/endian.h"
#include "dp/net/csum.h"
#include "dp/net/wire.h"

#include <stdlib.h>

static struct net_conf conf_of(struct pair *w, int i, uint16_t mtu)
{
	struct net_conf c = {.mac = {2, 0, 0, 0, 0, (uint8_t)(i + 1)},
			     .addr = net_addr_v4(0x0a000001u + (uint32_t)i),
			     .prefix = 24,
			     .mtu = mtu,
			     .pool = w->tx[i],
			     .mem = &w->mem[i]};

	for (unsigned k = 0; k < sizeof(c.secret); k++)
		c.secret[k] = (uint8_t)(k * 7 + (unsigned)i);
	return c;
}

static struct pair *make(const struct tcp_conf *a, const struct tcp_conf *b, uint32_t tx_packets,
			 uint16_t mtu, const struct pair_modes *m)
{
	struct pair *w = calloc(1, sizeof(*w));
	const struct tcp_conf *conf[2] = {a, b};
	struct tcp_conf def;

	zk_assert(w);
	tcp_conf_default(&def);
	def.conns_max = 256;
	w->now_ns = 1000 * MS;
	w->delay_ns = MS / 10;
	w->rng = 12345;
	for (int i = 0; i < 2; i++) {
		struct net_conf nc;

		zk_mem_init_heap(&w->mem[i], 0);
		w->tx[i] = pkt_heap_pool_new(tx_packets, 2048);
		w->rx[i] = pkt_heap_pool_new(65536, 2048 + 128);
		nc = conf_of(w, i, mtu);
		nc.tx_csum = m->tx_csum;
		nc.rx_csum = m->rx_csum;
		nc.core = m->core;
		nc.cores = m->cores;
		zk_assert(net_new(&nc, conf[i] ? conf[i] : &def, w->now_ns, &w->n[i]) == ZK_EOK);
		w->t[i] = net_tcp(w->n[i]);
	}
	zk_assert(tcp_listen(w->t[0], PAIR_PORT, NULL, NULL) == ZK_EOK);
	return w;
}

struct pair *pair_new2(const struct tcp_conf *a, const struct tcp_conf *b, uint32_t tx_packets,
		       uint16_t mtu)
{
	const struct pair_modes m = {.cores = 1};

	return make(a, b, tx_packets, mtu, &m);
}

struct pair *pair_new_modes(const struct pair_modes *m)
{
	return make(NULL, NULL, 16384, 1500, m);
}

struct pair *pair_new(const struct tcp_conf *conf)
{
	return pair_new2(conf, conf, 16384, 1500);
}

void pair_free(struct pair *w)
{
	for (int i = 0; i < 2; i++) {
		for (unsigned k = 0; k < w->n_wire[i]; k++)
			pkt_free(w->wire[i][k].p);
		tcp_check(w->t[i]);
	}
	for (unsigned k = 0; k < w->n_held; k++)
		pkt_free(w->held[k]);
	for (int i = 0; i < 2; i++)
		net_free(w->n[i]);
	for (int i = 0; i < 2; i++) {
		zk_assert(pkt_heap_pool_free(w->tx[i]) == 0);
		zk_assert(pkt_heap_pool_free(w->rx[i]) == 0);
		zk_assert(w->mem[i].used_bytes == 0);
	}
	free(w);
}

static void transmit(struct pair *w, int i)
{
	struct pkt *v[32];
	unsigned n;
	int to = 1 - i;

	while ((n = net_output(w->n[i], v, 32, w->now_ns))) {
		for (unsigned k = 0; k < n; k++) {
			struct pkt *q = pkt_heap_copy(w->rx[to], v[k]);
			int64_t d;

			zk_assert(q);
			w->frames[i]++;
			if (w->hold_refs && i == 0 && w->n_held < PAIR_WIRE_MAX)
				w->held[w->n_held++] = v[k];
			else
				pkt_free(v[k]);
			d = w->filter ? w->filter(w, i, q) : 0;
			if (d < 0) {
				pkt_free(q);
				continue;
			}
			zk_assert(w->n_wire[to] < PAIR_WIRE_MAX);
			w->wire[to][w->n_wire[to]++] = (struct pair_frame){
				.p = q, .at_ns = w->now_ns + w->delay_ns + (uint64_t)d};
		}
	}
}

static unsigned deliver(struct pair *w, int i)
{
	struct pkt *v[32];
	unsigned n = 0, keep = 0, all = 0;

	for (unsigned k = 0; k < w->n_wire[i]; k++) {
		if (w->wire[i][k].at_ns <= w->now_ns && n < 32)
			v[n++] = w->wire[i][k].p;
		else
			w->wire[i][keep++] = w->wire[i][k];
	}
	w->n_wire[i] = keep;
	all = n;
	if (n)
		net_input(w->n[i], v, n, w->now_ns);
	return all;
}

unsigned pair_round(struct pair *w)
{
	unsigned n = 0;

	for (int i = 0; i < 2; i++) {
		n += deliver(w, i);
		net_round_end(w->n[i], w->now_ns);
		tcp_check(w->t[i]);
		transmit(w, i);
		tcp_check(w->t[i]);
	}
	return n;
}

uint64_t pair_next_ns(const struct pair *w)
{
	uint64_t next = UINT64_MAX;

	for (int i = 0; i < 2; i++) {
		uint64_t t = net_next_timer_ns(w->n[i]);

		if (t < next)
			next = t;
		for (unsigned k = 0; k < w->n_wire[i]; k++)
			if (w->wire[i][k].at_ns < next)
				next = w->wire[i][k].at_ns;
	}
	return next;
}

/* Move to the next event, at most to @p end. */
static void advance(struct pair *w, uint64_t end)
{
	uint64_t next = pair_next_ns(w);

	next = next < end ? next : end;
	w->now_ns = next > w->now_ns ? next : w->now_ns + 1000;
}

void pair_run(struct pair *w, uint64_t ns)
{
	uint64_t end = w->now_ns + ns;

	while (w->now_ns < end) {
		pair_round(w);
		advance(w, end);
	}
	pair_round(w);
}

unsigned pair_wait(struct pair *w, int i, struct tcp_conn *c, unsigned events, uint64_t ns)
{
	uint64_t end = w->now_ns + ns;
	unsigned seen = 0, e;
	struct tcp_conn *r;

	for (;;) {
		pair_round(w);
		while ((r = tcp_next_ready(w->t[i], &e)))
			if (r == c)
				seen |= e;
		if ((seen & events) == events || w->now_ns >= end)
			return seen;
		advance(w, end);
	}
}

void pair_open(struct pair *w, struct tcp_conn *c[2])
{
	uint64_t end = w->now_ns + 10000 * MS;
	unsigned e;

	c[0] = NULL;
	zk_assert(tcp_connect(w->t[1], net_addr_v4(0x0a000001), PAIR_PORT, w->now_ns, &c[1]) ==
		  ZK_EOK);
	zk_assert(pair_wait(w, 1, c[1], TCP_READY_OPEN, 10000 * MS) == TCP_READY_OPEN);
	while (!c[0] && w->now_ns < end) {
		pair_round(w);
		c[0] = tcp_next_ready(w->t[0], &e);
		if (!c[0])
			advance(w, end);
	}
	zk_assert(c[0] && (e & TCP_READY_OPEN));
}

uint32_t pair_random(struct pair *w)
{
	w->rng = w->rng * 1664525 + 1013904223;
	return w->rng >> 8;
}

uint8_t *pair_tcp(struct pkt *p)
{
	const uint8_t *ip = p->data + ETH_HDR;

	if (p->len < ETH_HDR + IP4_HDR + TCP_HDR || zk_get16(p->data + ETH_TYPE) != ETH_TYPE_IP4 ||
	    ip[IP4_PROTO] != IP_PROTO_TCP)
		return NULL;
	return p->data + ETH_HDR + IP4_HDR;
}

uint32_t pair_payload(struct pkt *p)
{
	const uint8_t *h = pair_tcp(p);

	return h ? p->len - ETH_HDR - IP4_HDR - (h[TCP_OFF] >> 4) * 4u : 0;
}

void pair_refresh(struct pkt *p)
{
	uint8_t *h = pair_tcp(p);
	uint32_t n = p->len - ETH_HDR - IP4_HDR;
	uint64_t sum = csum_add(0, p->data + ETH_HDR + IP4_SRC, 8);
	uint16_t csum = 0;

	memcpy(h + TCP_CSUM, &csum, 2);
	sum += csum_of16(IP_PROTO_TCP) + csum_of16((uint16_t)n);
	csum = csum_finish(csum_add(sum, h, n));
	memcpy(h + TCP_CSUM, &csum, 2);
}
