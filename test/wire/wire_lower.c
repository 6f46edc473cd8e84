/* SPDX-License-Identifier: Apache-2.0 */
/* The statements below TCP: ARP, ICMP echo, raw frames. */
#include "test/wire/wire.h"

#include <stdlib.h>
#include <string.h>

enum { RAW_MAX = 256, TOO_BIG_BYTES = 14 + 20 + 8 + 20 + 8, ROUTER_IP = 0x0ab50063 };

/* in-arp request|reply [other]: other asks for an address that is not ours. */
static void do_in_arp(struct wire *w, struct wire_words *v)
{
	const char *what = wire_word(v), *other = wire_word(v);
	struct frame_ends e = wire_peer_ends();
	bool reply = what && strcmp(what, "reply") == 0;
	uint8_t frame[64];

	if (!reply)
		memset(e.dst_mac, 0xff, 6);
	if (other)
		e.dst_ip += 7;
	wire_inject(w, frame, frame_build_arp(&e, reply, frame, sizeof(frame)));
}

static void take_other(struct wire *w, enum frame_kind kind, size_t len, bool check_len)
{
	struct wire_capture *c = wire_next_capture(w, kind);

	if (!c) {
		wire_fail(w, "the stack sent no such frame");
		return;
	}
	c->used = true;
	if (c->seg.ends.dst_ip != WIRE_PEER_IP)
		wire_fail(w, "it is about a foreign address");
	if (check_len && c->seg.len != len)
		wire_fail(w, "it carries %zu bytes", c->seg.len);
	for (size_t i = 0; check_len && i < c->seg.len && !w->failed; i++) {
		if (c->seg.payload[i] != (uint8_t)i)
			wire_fail(w, "its byte %zu differs", i);
	}
	if (check_len && c->seg.seq != 0x12340007)
		wire_fail(w, "identifier or sequence differs");
}

static void do_out_arp(struct wire *w, struct wire_words *v)
{
	const char *what = wire_word(v);
	bool reply = what && strcmp(what, "reply") == 0;

	take_other(w, reply ? FRAME_ARP_REPLY : FRAME_ARP_REQUEST, 0, false);
}

static void do_in_echo(struct wire *w, struct wire_words *v)
{
	static uint8_t frame[FRAME_MAX_BYTES];
	struct frame_ends e = wire_peer_ends();
	size_t n = (size_t)wire_number(w, wire_word(v));
	const char *damage = wire_word(v);

	if (w->failed || n > WIRE_PAYLOAD_MAX)
		return;
	n = frame_build_echo(&e, 0x1234, 7, n, frame, sizeof(frame));
	if (damage && strcmp(damage, "badsum") == 0)
		frame[36] ^= 0x11;
	wire_inject(w, frame, n);
}

static void do_out_echo(struct wire *w, struct wire_words *v)
{
	size_t n = (size_t)wire_number(w, wire_word(v));

	take_other(w, FRAME_ECHO_REPLY, n, true);
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static void put_sum(uint8_t *p, const uint8_t *from, size_t n)
{
	put16(p, 0xffffu & ~(unsigned)frame_sum(from, n, 0));
}

/* in-too-big MTU seq N [from PORT] [to PORT] [srcip N] [proto N] [cut N]: a router (RFC 1191) says
 * that our segment of this flow with that sequence number did not fit; the rest makes it a lie. */
static void do_in_too_big(struct wire *w, struct wire_words *v)
{
	uint8_t b[TOO_BIG_BYTES] = {0}, *ip = b + 14, *icmp = ip + 20, *old = icmp + 8;
	struct frame_ends e = wire_peer_ends();
	long mtu = wire_number(w, wire_word(v)), n;
	size_t bytes = sizeof(b);
	const char *what;

	memcpy(b, e.dst_mac, 6);
	memcpy(b + 6, e.src_mac, 6);
	put16(b + 12, 0x0800);
	old[0] = 0x45;
	put16(old + 2, 1500);
	old[9] = 6;
	put32(old + 12, WIRE_OWN_IP);
	put32(old + 16, WIRE_PEER_IP);
	put16(old + 20, w->flow->own_port);
	put16(old + 22, w->flow->peer_port);
	while ((what = wire_word(v))) {
		n = wire_number(w, wire_word(v));
		if (strcmp(what, "seq") == 0)
			put32(old + 24, w->flow->own_isn + (uint32_t)n);
		else if (strcmp(what, "from") == 0)
			put16(old + 20, (unsigned)n);
		else if (strcmp(what, "to") == 0)
			put16(old + 22, (unsigned)n);
		else if (strcmp(what, "srcip") == 0)
			put32(old + 12, (uint32_t)n);
		else if (strcmp(what, "proto") == 0)
			old[9] = (uint8_t)n;
		else if (strcmp(what, "cut") == 0 && n > 0 && n <= 28)
			bytes -= (size_t)n;
		else
			wire_fail(w, "in-too-big %s?", what);
	}
	ip[0] = 0x45;
	put16(ip + 2, (unsigned)bytes - 14);
	ip[8] = 64;
	ip[9] = 1;
	put32(ip + 12, ROUTER_IP);
	put32(ip + 16, WIRE_OWN_IP);
	put_sum(ip + 10, ip, 20);
	icmp[0] = 3;
	icmp[1] = 4;
	put16(icmp + 6, (unsigned)mtu);
	put_sum(icmp + 2, icmp, bytes - 34);
	wire_inject(w, b, bytes);
}

static void do_in_raw(struct wire *w, struct wire_words *v)
{
	const char *hex = wire_word(v);
	uint8_t frame[RAW_MAX];
	size_t n = 0;

	for (; hex && hex[0] && hex[1] && n < sizeof(frame); hex += 2) {
		char two[3] = {hex[0], hex[1], 0};

		frame[n++] = (uint8_t)strtoul(two, NULL, 16);
	}
	wire_inject(w, frame, n);
}

const struct wire_statement WIRE_LOWER_STATEMENTS[] = {{"in-arp", do_in_arp, false},
						       {"out-arp", do_out_arp, false},
						       {"in-echo", do_in_echo, false},
						       {"out-echo", do_out_echo, false},
						       {"in-raw", do_in_raw, false},
						       {"in-too-big", do_in_too_big, false},
						       {NULL, NULL, false}};
