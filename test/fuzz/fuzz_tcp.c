/* SPDX-License-Identifier: Apache-2.0 */
/* Frames into a stack with a listener, an accepted and an opened connection.
 *
 * The input is a list of operations, one byte each with operands behind it: raw frames, TCP
 * segments near the right numbers with right checksums, time, and calls of the application. Every
 * frame the stack sends must be well formed, tcp_check() holds after every step, and nothing is
 * left at the end. */
#include "core/base/endian.h"
#include "core/mem.h"
#include "dp/net/net.h"
#include "dp/net/tcp/check.h"
#include "dp/net/tcp/tcp.h"
#include "test/lib/frame.h"
#include "test/lib/pkt_heap.h"

#include <stdlib.h>
#include <string.h>

enum {
	FLOWS = 6, /* 0..2 passive, 3..5 active */
	PORT = 2181,
	POOL = 512,
	ROOM = 2048,
	BURST = 32,
	OPS_MAX = 512,
	TIMERS_MAX = 200,
	OWN_IP = 0x0ab50001,
	PEER_IP = 0x0ab500fe,
};

struct flow {
	uint16_t own_port, peer_port;
	uint32_t own_isn, own_next, peer_next, own_acked, tsval;
	struct tcp_conn *conn;
	bool closed;
};

struct fuzz {
	const uint8_t *p;
	size_t n;
	struct net *net;
	struct tcp *tcp;
	struct zk_mem mem;
	struct pkt_pool *tx, *rx;
	uint64_t now_ns;
	struct flow flows[FLOWS];
	struct pkt *burst[BURST];
	unsigned n_burst;
	bool holding; /* collect input for one round */
};

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static uint8_t byte(struct fuzz *z)
{
	if (z->n == 0)
		return 0;
	z->n--;
	return *z->p++;
}

static uint16_t word(struct fuzz *z)
{
	uint16_t high = byte(z);

	return (uint16_t)(high << 8 | byte(z));
}

/* Mostly small, at times anything. */
static uint32_t near(struct fuzz *z)
{
	uint16_t v = word(z);

	if (v & 0x8000)
		return (uint32_t)(int32_t)(int16_t)(v << 1);
	if (v & 0x4000)
		return (uint32_t)v << 16 | word(z);
	return v & 0x3fff;
}

static struct frame_ends ends(void)
{
	return (struct frame_ends){.src_mac = {2, 0, 0, 0, 0, 9},
				   .dst_mac = {2, 0, 0, 0, 0, 1},
				   .src_ip = PEER_IP,
				   .dst_ip = OWN_IP};
}

static void learn(struct fuzz *z, const struct frame_seg *s)
{
	for (unsigned i = 0; i < FLOWS; i++) {
		struct flow *f = &z->flows[i];
		uint32_t end = s->seq + (uint32_t)s->len + !!(s->flags & (FRAME_SYN | FRAME_FIN));

		if (f->peer_port != s->dport || f->own_port != s->sport || s->flags & FRAME_RST)
			continue;
		if (s->flags & FRAME_SYN)
			f->own_isn = s->seq;
		f->own_next = end;
		f->own_acked = s->ack;
		f->tsval = s->has_ts ? s->tsval : f->tsval;
		if (s->flags & FRAME_ACK)
			f->peer_next = s->ack;
	}
}

static void ready(struct fuzz *z)
{
	struct tcp_conn *c;
	unsigned events;

	while ((c = tcp_next_ready(z->tcp, &events))) {
		const struct net_tuple *t = tcp_tuple(c);
		bool known = false;

		zk_assert(events);
		for (unsigned i = 0; i < FLOWS; i++) {
			struct flow *f = &z->flows[i];

			if (f->own_port != t->local_port || f->peer_port != t->remote_port)
				continue;
			known = true;
			if (f->conn != c && f->conn) {
				/* the same ports again: only behind the end of the first */
				zk_assert(f->closed);
				tcp_release(f->conn, z->now_ns);
			}
			f->conn = c;
			f->closed = events & TCP_READY_CLOSED;
		}
		if (!known) /* raw frames may open others */
			tcp_release(c, z->now_ns);
	}
}

static void round_end(struct fuzz *z)
{
	struct pkt *v[BURST];
	unsigned n;

	if (z->n_burst)
		net_input(z->net, z->burst, z->n_burst, z->now_ns);
	z->n_burst = 0;
	z->holding = false;
	ready(z);
	net_round_end(z->net, z->now_ns);
	ready(z);
	while ((n = net_output(z->net, v, BURST, z->now_ns)) > 0) {
		for (unsigned i = 0; i < n; i++) {
			enum frame_kind kind;
			struct frame_seg s;
			const char *why = NULL;
			enum zk_err err = frame_parse(v[i]->data, v[i]->len, &kind, &s, &why);

			zk_assert(err == ZK_EOK);
			if (kind == FRAME_TCP)
				learn(z, &s);
			pkt_free(v[i]);
		}
	}
	tcp_check(z->tcp);
}

static void input(struct fuzz *z, const uint8_t *frame, size_t n)
{
	struct pkt *p = pkt_heap_from(z->rx, frame, (uint32_t)n);

	if (!p)
		return;
	z->burst[z->n_burst++] = p;
	if (!z->holding || z->n_burst == BURST)
		round_end(z);
}

static void segment(struct fuzz *z, struct flow *f, uint8_t flags, uint32_t seq, uint32_t ack,
		    size_t len, unsigned options)
{
	static const uint8_t ZERO[1460];
	uint8_t frame[2048];
	struct frame_seg s = {.ends = ends(),
			      .sport = f->peer_port,
			      .dport = f->own_port,
			      .flags = flags,
			      .seq = seq,
			      .ack = ack,
			      .win = 30000,
			      .payload = ZERO,
			      .len = len};

	if (options & 1) {
		s.has_mss = s.has_ws = s.has_sackok = true;
		s.mss = 1460;
		s.ws = 2;
	}
	if (options & 2) {
		s.has_ts = true;
		s.tsval = (uint32_t)(z->now_ns / 1000000);
		s.tsecr = f->tsval;
	}
	input(z, frame, frame_build(&s, frame, sizeof(frame)));
}

/* A segment that the input describes, near what the connection expects. */
static void op_segment(struct fuzz *z)
{
	static const uint8_t ZERO[1500];
	uint8_t frame[2048], what = byte(z);
	struct flow *f = &z->flows[byte(z) % FLOWS];
	struct frame_seg s = {.ends = ends(), .sport = f->peer_port, .dport = f->own_port};

	s.flags = byte(z);
	s.seq = f->peer_next + (what & 1 ? near(z) : 0);
	s.ack = f->own_next + (what & 2 ? near(z) : 0);
	s.win = what & 4 ? word(z) : 30000;
	s.len = what & 8 ? word(z) % sizeof(ZERO) : 0;
	s.payload = ZERO;
	if (what & 16) {
		s.n_raw_opt = byte(z) % (FRAME_RAW_OPT_MAX + 1);
		for (unsigned i = 0; i < s.n_raw_opt; i++)
			s.raw_opt[i] = byte(z);
	} else if (what & 32) {
		s.n_sack = byte(z) % 4 + 1;
		for (unsigned i = 0; i < s.n_sack; i++) {
			s.sack[i][0] = f->own_next - word(z);
			s.sack[i][1] = s.sack[i][0] + word(z);
		}
	} else if (what & 64) {
		s.has_ts = true;
		s.tsval = (uint32_t)(z->now_ns / 1000000) + (what & 128 ? near(z) : 0);
		s.tsecr = f->tsval;
	} else if (what & 128) {
		s.has_mss = s.has_ws = true;
		s.mss = word(z);
		s.ws = byte(z);
	}
	input(z, frame, frame_build(&s, frame, sizeof(frame)));
}

/* Bytes as they are; the Ethernet header and the sums may be put right. */
static void op_raw(struct fuzz *z)
{
	uint8_t frame[1600], how = byte(z);
	size_t n = word(z) % sizeof(frame), ihl, tcp;

	if (n > z->n)
		n = z->n;
	memcpy(frame, z->p, n);
	z->p += n;
	z->n -= n;
	if (how & 1 && n >= 14) {
		struct frame_ends e = ends();

		memcpy(frame, e.dst_mac, 6);
		memcpy(frame + 6, e.src_mac, 6);
		zk_put16(frame + 12, how & 2 ? 0x0806 : 0x0800);
	}
	if (how & 4 && n >= 34) {
		ihl = (size_t)(frame[14] & 15) * 4;
		zk_put16(frame + 16, (uint16_t)(n - 14));
		zk_put32(frame + 30, OWN_IP);
		zk_put16(frame + 24, 0);
		if (ihl >= 20 && ihl + 14 <= n)
			zk_put16(frame + 24, (uint16_t)~frame_sum(frame + 14, ihl, 0));
		tcp = 14 + ihl;
		if (how & 8 && ihl >= 20 && tcp + 20 <= n) {
			uint32_t sum = frame_sum(frame + 26, 8, 6 + (uint32_t)(n - tcp));

			frame[23] = 6;
			zk_put16(frame + tcp + 16, 0);
			zk_put16(frame + tcp + 16, (uint16_t)~frame_sum(frame + tcp, n - tcp, sum));
			zk_put16(frame + 24, 0);
			zk_put16(frame + 24, (uint16_t)~frame_sum(frame + 14, ihl, 0));
		}
	}
	input(z, frame, n);
}

static void op_time(struct fuzz *z)
{
	uint64_t target = z->now_ns + (uint64_t)word(z) * 1000000;

	for (unsigned i = 0; i < TIMERS_MAX; i++) {
		uint64_t t = net_next_timer_ns(z->net);

		if (t > target)
			break;
		if (t > z->now_ns)
			z->now_ns = t;
		round_end(z);
	}
	z->now_ns = target;
	round_end(z);
}

static void op_app(struct fuzz *z)
{
	static const uint8_t ZERO[8192];
	uint8_t what = byte(z);
	struct flow *f = &z->flows[byte(z) % FLOWS];
	uint16_t n = word(z);
	struct zk_span s;
	void *room;

	if (!f->conn) {
		if (f >= &z->flows[3] && what % 2 == 0 &&
		    tcp_connect(z->tcp, net_addr_v4(PEER_IP), f->peer_port, z->now_ns, &f->conn) ==
			    ZK_EOK)
			f->own_port = tcp_tuple(f->conn)->local_port;
		round_end(z);
		return;
	}
	switch (what % 8) {
	case 0:
		zk_assert(tcp_write(f->conn, ZERO, n % sizeof(ZERO)) <= n);
		break;
	case 1:
		room = tcp_tail(f->conn, n % 1400 + 1);
		if (room) {
			memset(room, 0, n % 1400 + 1u);
			tcp_tail_commit(f->conn, n % 1400);
		}
		break;
	case 2:
		s = tcp_peek(f->conn, 0);
		zk_assert(s.n <= tcp_readable(f->conn));
		tcp_read_done(f->conn, n < s.n ? n : s.n);
		break;
	case 3:
		tcp_read_done(f->conn, tcp_readable(f->conn));
		break;
	case 4:
		tcp_shutdown(f->conn, z->now_ns);
		break;
	case 5:
		tcp_abort(f->conn, z->now_ns);
		break;
	case 6:
		tcp_release(f->conn, z->now_ns);
		f->conn = NULL;
		f->closed = false;
		break;
	default:
		(void)tcp_peek(f->conn, n);
		break;
	}
	round_end(z);
}

static void start(struct fuzz *z, uint8_t how)
{
	struct tcp_conf t;
	struct net_conf c = {.mac = {2, 0, 0, 0, 0, 1},
			     .addr = net_addr_v4(OWN_IP),
			     .prefix = 24,
			     .mtu = 1500,
			     .cores = 1,
			     .secret = {1, 2, 3},
			     .mem = &z->mem};
	struct frame_ends e = ends();
	uint8_t frame[64];

	zk_mem_init_heap(&z->mem, 0);
	z->tx = pkt_heap_pool_new(POOL, ROOM);
	z->rx = pkt_heap_pool_new(POOL, ROOM);
	z->now_ns = 1000000000;
	c.pool = z->tx;
	tcp_conf_default(&t);
	t.conns_max = 16;
	t.rcv_buf_bytes = 8192;
	t.snd_buf_bytes = 8192;
	t.ooo_bytes = 8192;
	t.ooo_intervals = 4;
	t.mem_packets_max = POOL / 2;
	t.syn_backlog = how & 1 ? 1 : 8;
	t.keepalive_idle_ms = how & 2 ? 1000 : 0;
	t.time_wait_ms = 2000;
	t.fin_wait_ms = 5000;
	if (net_new(&c, &t, z->now_ns, &z->net) != ZK_EOK)
		abort();
	z->tcp = net_tcp(z->net);
	if (tcp_listen(z->tcp, PORT, NULL, NULL) != ZK_EOK)
		abort();
	for (unsigned i = 0; i < FLOWS; i++)
		z->flows[i] = (struct flow){.own_port = i < 3 ? PORT : 0,
					    .peer_port = (uint16_t)(40000 + i),
					    .peer_next = 1000};
	memset(e.dst_mac, 0xff, 6);
	input(z, frame, frame_build_arp(&e, false, frame, sizeof(frame)));
	/* one accepted connection without and one with time stamps, one opened by us */
	for (unsigned i = 0; i < 2; i++) {
		struct flow *f = &z->flows[i];

		segment(z, f, FRAME_SYN, 1000, 0, 0, i ? 3 : 1);
		segment(z, f, FRAME_ACK, 1001, f->own_next, 0, i ? 2 : 0);
	}
	if (tcp_connect(z->tcp, net_addr_v4(PEER_IP), 40003, z->now_ns, &z->flows[3].conn) !=
	    ZK_EOK)
		abort();
	z->flows[3].own_port = tcp_tuple(z->flows[3].conn)->local_port;
	round_end(z);
	segment(z, &z->flows[3], FRAME_SYN | FRAME_ACK, 1000, z->flows[3].own_next, 0, 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct fuzz z = {.p = p, .n = n};
	uint32_t leaked;

	start(&z, byte(&z));
	for (unsigned i = 0; i < OPS_MAX && z.n; i++) {
		switch (byte(&z) % 8) {
		case 0:
			op_raw(&z);
			break;
		case 1:
		case 2:
		case 3:
			op_segment(&z);
			break;
		case 4:
			op_time(&z);
			break;
		case 5:
			op_app(&z);
			break;
		case 6:
			pkt_heap_pool_limit(byte(&z) & 1 ? z.tx : z.rx,
					    byte(&z) & 1 ? POOL : byte(&z));
			break;
		default:
			z.holding = true;
			break;
		}
	}
	round_end(&z);
	net_free(z.net);
	leaked = pkt_heap_pool_free(z.tx) + pkt_heap_pool_free(z.rx);
	zk_assert(leaked == 0);
	zk_assert(z.mem.used_bytes == 0);
	return 0;
}
