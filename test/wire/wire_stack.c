/* SPDX-License-Identifier: Apache-2.0 */
#include "test/wire/wire.h"

#include "dp/net/tcp/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POOL_PACKETS = 4096, POOL_ROOM = 9216, BURST = 32, IDLE_ROUNDS_MAX = 1000 };

static const uint8_t OWN_MAC[6] = {0x02, 0x5a, 0x4b, 0, 0, 1};
static const uint8_t PEER_MAC[6] = {0x02, 0x5a, 0x4b, 0, 0, 0xfe};

void wire_fail(struct wire *w, const char *format, ...)
{
	va_list ap;

	if (w->failed)
		return;
	w->failed = true;
	va_start(ap, format);
	(void)vsnprintf(w->why, sizeof(w->why), format, ap);
	va_end(ap);
}

void wire_trace(struct wire *w, const char *format, ...)
{
	char *line = w->trace[w->n_trace++ % WIRE_TRACE_LINES];
	int n = snprintf(line, WIRE_TRACE_TEXT, "%9.3f ms ",
			 (double)(w->now_ns - WIRE_START_NS) / 1e6);
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(line + n, WIRE_TRACE_TEXT - (size_t)n, format, ap);
	va_end(ap);
}

uint8_t wire_byte(bool own_side, uint64_t offset)
{
	return (uint8_t)(offset * 31 + (offset >> 8) * 7 + (own_side ? 13 : 101));
}

struct frame_ends wire_peer_ends(void)
{
	struct frame_ends e = {.src_ip = WIRE_PEER_IP, .dst_ip = WIRE_OWN_IP};

	memcpy(e.src_mac, PEER_MAC, 6);
	memcpy(e.dst_mac, OWN_MAC, 6);
	return e;
}

void wire_open(struct wire *w, const char *path)
{
	memset(w, 0, sizeof(*w));
	w->path = path;
	w->now_ns = WIRE_START_NS;
	w->arp_auto = true;
	w->gate_open = true;
	tcp_conf_default(&w->tcp_conf);
	w->tcp_conf.conns_max = 64;
	zk_mem_init_heap(&w->mem, 0);
	w->net_conf = (struct net_conf){.addr = net_addr_v4(WIRE_OWN_IP),
					.prefix = 24,
					.mtu = 1500,
					.core = 0,
					.cores = 1,
					.mem = &w->mem};
	memcpy(w->net_conf.mac, OWN_MAC, 6);
	for (unsigned i = 0; i < sizeof(w->net_conf.secret); i++)
		w->net_conf.secret[i] = (uint8_t)(i * 37 + 5);
	for (unsigned i = 0; i < WIRE_FLOWS; i++) {
		w->flows[i] = (struct wire_flow){.peer_port = (uint16_t)(40000 + i),
						 .own_port = 2181,
						 .peer_isn = 1000 + 77777 * i,
						 .win = 65535};
	}
	w->flow = &w->flows[0];
}

void wire_start(struct wire *w)
{
	struct frame_ends e = wire_peer_ends();
	uint8_t frame[64];

	if (w->net || w->failed)
		return;
	w->tx_pool = pkt_heap_pool_new(POOL_PACKETS, POOL_ROOM);
	w->rx_pool = pkt_heap_pool_new(POOL_PACKETS, FRAME_MAX_BYTES);
	w->net_conf.pool = w->tx_pool;
	if (net_new(&w->net_conf, &w->tcp_conf, w->now_ns, &w->net) != ZK_EOK) {
		wire_fail(w, "net_new() failed");
		return;
	}
	w->tcp = net_tcp(w->net);
	if (!w->arp_auto)
		return;
	/* RFC 826: the stack learns the address of who asks for it. */
	memset(e.dst_mac, 0xff, 6);
	wire_inject(w, frame, frame_build_arp(&e, false, frame, sizeof(frame)));
	wire_drain(w);
}

void wire_close(struct wire *w)
{
	for (unsigned i = 0; i < w->n_held; i++)
		pkt_free(w->held_frames[i]);
	for (unsigned i = 0; i < w->n_captures; i++)
		free(w->captures[i].bytes);
	if (w->net)
		net_free(w->net);
	if (w->tx_pool) {
		uint32_t leaked = pkt_heap_pool_free(w->tx_pool) + pkt_heap_pool_free(w->rx_pool);

		if (leaked)
			wire_fail(w, "%u packets leaked", leaked);
	}
	if (w->mem.used_bytes)
		wire_fail(w, "%zu bytes leaked", w->mem.used_bytes);
}

static struct wire_flow *flow_of(struct wire *w, uint16_t own_port, uint16_t peer_port)
{
	for (unsigned i = 0; i < WIRE_FLOWS; i++) {
		struct wire_flow *f = &w->flows[i];

		if (f->peer_port == peer_port && f->own_port == own_port)
			return f;
	}
	return NULL;
}

static void collect_ready(struct wire *w)
{
	unsigned events;
	struct tcp_conn *c;

	while ((c = tcp_next_ready(w->tcp, &events))) {
		const struct net_tuple *t = tcp_tuple(c);
		struct wire_flow *f = flow_of(w, t->local_port, t->remote_port);

		if (!f || (f->conn && f->conn != c)) {
			wire_fail(w, "event 0x%x for an unknown connection (ports %u, %u)", events,
				  t->local_port, t->remote_port);
			return;
		}
		if (!f->conn) {
			f->conn = c;
			f->read_off = f->write_off = 0;
		}
		if (!events)
			wire_fail(w, "ready connection without an event");
		wire_trace(w, "event 0x%x (flow %d)", events, (int)(f - w->flows));
		f->events |= events;
	}
}

/* What must hold for every segment, whatever the script says. */
static void check_segment(struct wire *w, struct wire_flow *f, const struct frame_seg *s)
{
	if (!(s->flags & FRAME_ACK) && s->flags != FRAME_SYN && s->flags != FRAME_RST)
		wire_fail(w, "segment without ACK");
	if (s->has_ts && f->ts_on && !(s->flags & (FRAME_RST | FRAME_SYN))) {
		if (f->ts_seen && (int32_t)(s->tsval - f->last_tsval) < 0)
			wire_fail(w, "time stamp went back: %" PRIu32 " after %" PRIu32, s->tsval,
				  f->last_tsval);
	}
	if (s->has_ts && (f->ts_on || s->flags & FRAME_SYN)) {
		f->ts_seen = true;
		f->last_tsval = s->tsval;
	}
	if (f->ts_on && !s->has_ts && !(s->flags & FRAME_RST))
		wire_fail(w, "no time stamp though both sides agreed (RFC 7323 3.2)");
	if (s->n_sack && s->flags & FRAME_SYN)
		wire_fail(w, "SACK blocks on a SYN");
	if (!(s->flags & FRAME_SYN) && (s->has_mss || s->has_ws || s->has_sackok))
		wire_fail(w, "SYN option on a segment without SYN");
	for (size_t i = 0; i < s->len; i++) {
		uint32_t off = s->seq - f->own_isn - 1 + (uint32_t)i;

		if (s->payload[i] != wire_byte(true, off)) {
			wire_fail(w, "wrong byte at stream offset %" PRIu32, off);
			return;
		}
	}
}

static void note_segment(struct wire *w, const struct frame_seg *s)
{
	struct wire_flow *f = flow_of(w, s->sport, s->dport);
	char text[120];
	uint32_t end;

	/* An active open: the port is the stack's choice. */
	for (unsigned i = 0; !f && s->flags & FRAME_SYN && i < WIRE_FLOWS; i++) {
		if (w->flows[i].peer_port == s->dport && w->flows[i].own_port == 0) {
			f = &w->flows[i];
			f->own_port = s->sport;
		}
	}
	if (!f) {
		wire_fail(w, "segment between unknown ports %u and %u", s->sport, s->dport);
		return;
	}
	if (s->flags & FRAME_SYN) {
		if (!f->own_isn_known || f->own_isn != s->seq) {
			f->own_isn_known = true;
			f->own_isn = s->seq;
			f->own_next = 0;
		}
		f->own_ws_known = s->has_ws;
		f->own_ws = s->has_ws ? s->ws : 0;
	}
	frame_text(s, f->own_isn, f->peer_isn, text, sizeof(text));
	wire_trace(w, "out %s (flow %d)", text, (int)(f - w->flows));
	check_segment(w, f, s);
	end = s->seq - f->own_isn + (uint32_t)s->len + !!(s->flags & FRAME_SYN) +
	      !!(s->flags & FRAME_FIN);
	if (!(s->flags & FRAME_RST) && (int32_t)(end - f->own_next) > 0)
		f->own_next = end;
}

static void answer_arp(struct wire *w, const struct frame_seg *ask)
{
	struct frame_ends e = wire_peer_ends();
	uint8_t frame[64];

	memcpy(e.dst_mac, ask->ends.src_mac, 6);
	if (ask->ends.dst_ip == WIRE_PEER_IP)
		wire_inject(w, frame, frame_build_arp(&e, true, frame, sizeof(frame)));
}

static void forget_used(struct wire *w)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < w->n_captures; i++) {
		if (w->captures[i].used)
			free(w->captures[i].bytes);
		else
			w->captures[kept++] = w->captures[i];
	}
	w->n_captures = kept;
}

static void capture(struct wire *w, const struct pkt *p)
{
	struct frame_ends peer = wire_peer_ends();
	struct wire_capture *c;
	const char *why = "";

	if (w->n_captures == WIRE_CAPTURES_MAX)
		forget_used(w);
	if (w->n_captures == WIRE_CAPTURES_MAX) {
		wire_fail(w, "too many frames");
		return;
	}
	c = &w->captures[w->n_captures];
	*c = (struct wire_capture){.at_ns = w->now_ns, .bytes = malloc(p->len)};
	zk_assert(c->bytes);
	memcpy(c->bytes, p->data, p->len);
	w->n_captures++;
	if (frame_parse(c->bytes, p->len, &c->kind, &c->seg, &why) != ZK_EOK) {
		wire_fail(w, "the stack sent a bad frame: %s", why);
		return;
	}
	if (memcmp(c->seg.ends.src_mac, OWN_MAC, 6) != 0 || c->seg.ends.src_ip != WIRE_OWN_IP)
		wire_fail(w, "frame with a foreign source address");
	if (p->len > (uint32_t)w->net_conf.mtu + 14)
		wire_fail(w, "frame larger than the MTU: %u bytes", p->len);
	if (c->kind == FRAME_ARP_REQUEST && w->arp_auto) {
		c->used = true;
		answer_arp(w, &c->seg);
	} else if (c->kind == FRAME_ARP_REQUEST || c->kind == FRAME_ARP_REPLY) {
		wire_trace(w, "out arp %s", c->kind == FRAME_ARP_REQUEST ? "request" : "reply");
	} else if (memcmp(c->seg.ends.dst_mac, peer.src_mac, 6) != 0) {
		wire_fail(w, "frame to a foreign Ethernet address");
	} else if (c->kind == FRAME_TCP) {
		note_segment(w, &c->seg);
	} else {
		wire_trace(w, "out icmp");
	}
}

void wire_round(struct wire *w)
{
	struct pkt *v[BURST];
	unsigned n;

	if (w->held || w->failed)
		return;
	collect_ready(w);
	net_round_end(w->net, w->now_ns);
	collect_ready(w);
	while (!w->failed && (n = net_output(w->net, v, BURST, w->now_ns)) > 0) {
		for (unsigned i = 0; i < n; i++) {
			capture(w, v[i]);
			pkt_free(v[i]);
		}
	}
	tcp_check(w->tcp);
}

void wire_inject(struct wire *w, const uint8_t *frame, size_t n)
{
	struct pkt *p;

	if (w->failed)
		return;
	zk_assert(n <= FRAME_MAX_BYTES);
	p = pkt_heap_from(w->rx_pool, frame, (uint32_t)n);
	zk_assert(p);
	if (w->held) {
		if (w->n_held == WIRE_HOLD_MAX) {
			pkt_free(p);
			wire_fail(w, "too many frames held");
			return;
		}
		w->held_frames[w->n_held++] = p;
		return;
	}
	net_input(w->net, &p, 1, w->now_ns);
	wire_round(w);
}

void wire_advance(struct wire *w, uint64_t ns)
{
	uint64_t target = w->now_ns + ns;
	unsigned stuck = 0;

	while (!w->failed) {
		uint64_t t = net_next_timer_ns(w->net);

		if (t > target)
			break;
		stuck = t > w->now_ns ? 0 : stuck + 1;
		if (stuck > IDLE_ROUNDS_MAX) {
			wire_fail(w, "net_next_timer_ns() stays in the past");
			return;
		}
		if (t > w->now_ns)
			w->now_ns = t;
		wire_round(w);
	}
	w->now_ns = target;
	wire_round(w);
}

struct wire_capture *wire_next_capture(struct wire *w, enum frame_kind kind)
{
	for (unsigned i = 0; i < w->n_captures; i++) {
		struct wire_capture *c = &w->captures[i];

		if (c->used || c->kind != kind)
			continue;
		if (kind != FRAME_TCP || flow_of(w, c->seg.sport, c->seg.dport) == w->flow)
			return c;
	}
	return NULL;
}

void wire_expect_drained(struct wire *w, bool flow_only)
{
	for (unsigned i = 0; i < w->n_captures && !w->failed; i++) {
		struct wire_capture *c = &w->captures[i];
		struct wire_flow *f;
		char text[120];

		if (c->used)
			continue;
		if (c->kind != FRAME_TCP) {
			wire_fail(w, "unexpected frame of kind %d at %.3f ms", (int)c->kind,
				  (double)(c->at_ns - WIRE_START_NS) / 1e6);
			return;
		}
		f = flow_of(w, c->seg.sport, c->seg.dport);
		if (flow_only && f != w->flow)
			continue;
		frame_text(&c->seg, f ? f->own_isn : 0, f ? f->peer_isn : 0, text, sizeof(text));
		wire_fail(w, "unexpected segment at %.3f ms: %s",
			  (double)(c->at_ns - WIRE_START_NS) / 1e6, text);
	}
}

void wire_drain(struct wire *w)
{
	for (unsigned i = 0; i < w->n_captures; i++)
		free(w->captures[i].bytes);
	w->n_captures = 0;
}
