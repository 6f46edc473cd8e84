/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/frame.h"

#include "core/base/assert.h"
#include "core/base/endian.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ETH_BYTES = 14, IP_BYTES = 20, TCP_BYTES = 20, ICMP_BYTES = 8, ARP_BYTES = 28 };
enum { ETH_IPV4 = 0x0800, ETH_ARP = 0x0806, PROTO_ICMP = 1, PROTO_TCP = 6 };

uint16_t frame_sum(const uint8_t *p, size_t n, uint32_t sum)
{
	for (; n >= 2; p += 2, n -= 2)
		sum = (sum + zk_get16(p)) % 0xffff;
	if (n)
		sum = (sum + (uint32_t)(p[0] << 8)) % 0xffff;
	return (uint16_t)sum;
}

/* The sum of bytes that hold a right checksum is zero modulo 0xffff. */
static uint16_t pseudo_sum(const struct frame_ends *e, size_t tcp_bytes)
{
	uint8_t ph[12];

	zk_put32(ph, e->src_ip);
	zk_put32(ph + 4, e->dst_ip);
	zk_put16(ph + 8, PROTO_TCP);
	zk_put16(ph + 10, (uint16_t)tcp_bytes);
	return frame_sum(ph, sizeof(ph), 0);
}

static uint16_t checksum_field(uint16_t sum)
{
	return (uint16_t)~sum;
}

static void put_eth(const struct frame_ends *e, uint16_t type, uint8_t *out)
{
	memcpy(out, e->dst_mac, 6);
	memcpy(out + 6, e->src_mac, 6);
	zk_put16(out + 12, type);
}

static void put_ip(const struct frame_seg *s, uint8_t proto, size_t payload, uint8_t *ip)
{
	unsigned version = s->ip_version ? s->ip_version : 4;
	unsigned ihl = s->ihl_words ? s->ihl_words : 5;

	memset(ip, 0, IP_BYTES);
	ip[0] = (uint8_t)(version << 4 | ihl);
	zk_put16(ip + 2, (uint16_t)((int)(IP_BYTES + payload) + s->ip_len_delta));
	zk_put16(ip + 6, s->ip_frag);
	ip[8] = s->ttl ? s->ttl : 64;
	ip[9] = proto;
	zk_put32(ip + 12, s->ends.src_ip);
	zk_put32(ip + 16, s->ends.dst_ip);
	zk_put16(ip + 10, checksum_field(frame_sum(ip, IP_BYTES, 0)));
	if (s->bad_ip_sum)
		ip[10] ^= 0x55;
}

static size_t put_options(const struct frame_seg *s, uint8_t *o)
{
	size_t n = 0;

	if (s->n_raw_opt) {
		memcpy(o, s->raw_opt, s->n_raw_opt);
		n = s->n_raw_opt;
	} else {
		if (s->has_mss) {
			o[n] = 2, o[n + 1] = 4;
			zk_put16(o + n + 2, s->mss);
			n += 4;
		}
		if (s->has_sackok)
			o[n] = 4, o[n + 1] = 2, n += 2;
		if (s->has_ts) {
			while ((n & 3) != 2)
				o[n++] = 1;
			o[n] = 8, o[n + 1] = 10;
			zk_put32(o + n + 2, s->tsval);
			zk_put32(o + n + 6, s->tsecr);
			n += 10;
		}
		if (s->has_ws)
			o[n] = 3, o[n + 1] = 3, o[n + 2] = s->ws, n += 3;
		if (s->n_sack) {
			while ((n & 3) != 2)
				o[n++] = 1;
			o[n] = 5, o[n + 1] = (uint8_t)(2 + 8 * s->n_sack);
			for (unsigned i = 0; i < s->n_sack; i++) {
				zk_put32(o + n + 2 + 8 * i, s->sack[i][0]);
				zk_put32(o + n + 6 + 8 * i, s->sack[i][1]);
			}
			n += 2 + 8 * s->n_sack;
		}
	}
	while (n & 3)
		o[n++] = 0;
	zk_assert(n <= 40);
	return n;
}

size_t frame_build(const struct frame_seg *s, uint8_t *out, size_t cap)
{
	uint8_t opt[64];
	size_t n_opt = put_options(s, opt);
	size_t tcp_bytes = TCP_BYTES + n_opt + s->len;
	uint8_t *tcp = out + ETH_BYTES + IP_BYTES;
	unsigned doff = s->doff_words ? s->doff_words : (unsigned)(TCP_BYTES + n_opt) / 4;

	if (cap < ETH_BYTES + IP_BYTES + tcp_bytes || tcp_bytes > 0xffff - IP_BYTES)
		return 0;
	put_eth(&s->ends, ETH_IPV4, out);
	put_ip(s, PROTO_TCP, tcp_bytes, out + ETH_BYTES);
	zk_put16(tcp, s->sport);
	zk_put16(tcp + 2, s->dport);
	zk_put32(tcp + 4, s->seq);
	zk_put32(tcp + 8, s->ack);
	tcp[12] = (uint8_t)(doff << 4);
	tcp[13] = s->flags;
	zk_put16(tcp + 14, s->win);
	zk_put16(tcp + 16, 0);
	zk_put16(tcp + 18, s->urg);
	memcpy(tcp + TCP_BYTES, opt, n_opt);
	if (s->len)
		memcpy(tcp + TCP_BYTES + n_opt, s->payload, s->len);
	zk_put16(tcp + 16,
		 checksum_field(frame_sum(tcp, tcp_bytes, pseudo_sum(&s->ends, tcp_bytes))));
	if (s->bad_tcp_sum)
		tcp[16] ^= 0x55;
	return ETH_BYTES + IP_BYTES + tcp_bytes;
}

static enum zk_err bad(const char **why, const char *text)
{
	*why = text;
	return ZK_EINVAL;
}

static enum zk_err parse_options(const uint8_t *o, size_t n, struct frame_seg *s, const char **why)
{
	for (size_t i = 0, k; i < n; i += k) {
		k = 1;
		if (o[i] == 0)
			break;
		if (o[i] == 1)
			continue;
		if (i + 1 >= n || o[i + 1] < 2 || i + o[i + 1] > n)
			return bad(why, "TCP option length");
		k = o[i + 1];
		if (o[i] == 2 && k == 4)
			s->has_mss = true, s->mss = zk_get16(o + i + 2);
		else if (o[i] == 3 && k == 3)
			s->has_ws = true, s->ws = o[i + 2];
		else if (o[i] == 4 && k == 2)
			s->has_sackok = true;
		else if (o[i] == 8 && k == 10)
			s->has_ts = true, s->tsval = zk_get32(o + i + 2),
			s->tsecr = zk_get32(o + i + 6);
		else if (o[i] == 5 && k >= 10 && (k - 2) % 8 == 0) {
			s->n_sack = (unsigned)(k - 2) / 8;
			for (unsigned b = 0; b < s->n_sack; b++) {
				s->sack[b][0] = zk_get32(o + i + 2 + 8 * b);
				s->sack[b][1] = zk_get32(o + i + 6 + 8 * b);
			}
		} else
			return bad(why, "TCP option nobody should send");
	}
	return ZK_EOK;
}

static enum zk_err parse_tcp(const uint8_t *tcp, size_t n, struct frame_seg *s, const char **why)
{
	size_t hdr;

	if (n < TCP_BYTES)
		return bad(why, "TCP header truncated");
	hdr = (size_t)(tcp[12] >> 4) * 4;
	if (hdr < TCP_BYTES || hdr > n)
		return bad(why, "TCP data offset");
	if (frame_sum(tcp, n, pseudo_sum(&s->ends, n)) != 0)
		return bad(why, "TCP checksum");
	s->sport = zk_get16(tcp);
	s->dport = zk_get16(tcp + 2);
	s->seq = zk_get32(tcp + 4);
	s->ack = zk_get32(tcp + 8);
	s->flags = tcp[13];
	s->win = zk_get16(tcp + 14);
	s->urg = zk_get16(tcp + 18);
	s->payload = tcp + hdr;
	s->len = n - hdr;
	return parse_options(tcp + TCP_BYTES, hdr - TCP_BYTES, s, why);
}

static enum zk_err parse_icmp(const uint8_t *icmp, size_t n, enum frame_kind *kind,
			      struct frame_seg *s, const char **why)
{
	if (n < ICMP_BYTES || frame_sum(icmp, n, 0) != 0)
		return bad(why, "ICMP length or checksum");
	*kind = icmp[0] == 8   ? FRAME_ECHO_REQUEST
		: icmp[0] == 0 ? FRAME_ECHO_REPLY
			       : FRAME_ICMP_OTHER;
	s->seq = zk_get32(icmp + 4);
	s->payload = icmp + ICMP_BYTES;
	s->len = n - ICMP_BYTES;
	return ZK_EOK;
}

static enum zk_err parse_arp(const uint8_t *arp, size_t n, enum frame_kind *kind,
			     struct frame_seg *s, const char **why)
{
	static const uint8_t HEAD[6] = {0, 1, 8, 0, 6, 4};

	if (n < ARP_BYTES || memcmp(arp, HEAD, sizeof(HEAD)) != 0 || arp[6] != 0 || arp[7] < 1 ||
	    arp[7] > 2)
		return bad(why, "ARP header");
	if (memcmp(arp + 8, s->ends.src_mac, 6) != 0)
		return bad(why, "ARP sender is not the Ethernet source");
	*kind = arp[7] == 1 ? FRAME_ARP_REQUEST : FRAME_ARP_REPLY;
	s->ends.src_ip = zk_get32(arp + 14);
	s->ends.dst_ip = zk_get32(arp + 24);
	return ZK_EOK;
}

enum zk_err frame_parse(const uint8_t *frame, size_t n, enum frame_kind *kind, struct frame_seg *s,
			const char **why)
{
	const uint8_t *ip = frame + ETH_BYTES;
	size_t total;

	memset(s, 0, sizeof(*s));
	*kind = FRAME_OTHER;
	if (n < ETH_BYTES)
		return bad(why, "Ethernet header truncated");
	memcpy(s->ends.dst_mac, frame, 6);
	memcpy(s->ends.src_mac, frame + 6, 6);
	if (zk_get16(frame + 12) == ETH_ARP)
		return parse_arp(ip, n - ETH_BYTES, kind, s, why);
	if (zk_get16(frame + 12) != ETH_IPV4)
		return bad(why, "neither IPv4 nor ARP");
	if (n < ETH_BYTES + IP_BYTES || ip[0] != 0x45)
		return bad(why, "IPv4 version or header length");
	total = zk_get16(ip + 2);
	if (total < IP_BYTES || total > n - ETH_BYTES)
		return bad(why, "IPv4 total length");
	if (frame_sum(ip, IP_BYTES, 0) != 0)
		return bad(why, "IPv4 header checksum");
	if ((zk_get16(ip + 6) & 0x3fff) != 0)
		return bad(why, "IPv4 fragment");
	if (ip[8] == 0)
		return bad(why, "IPv4 time to live");
	s->ends.src_ip = zk_get32(ip + 12);
	s->ends.dst_ip = zk_get32(ip + 16);
	if (ip[9] == PROTO_ICMP)
		return parse_icmp(ip + IP_BYTES, total - IP_BYTES, kind, s, why);
	if (ip[9] != PROTO_TCP)
		return bad(why, "IPv4 protocol");
	*kind = FRAME_TCP;
	return parse_tcp(ip + IP_BYTES, total - IP_BYTES, s, why);
}

size_t frame_build_arp(const struct frame_ends *e, bool reply, uint8_t *out, size_t cap)
{
	uint8_t *arp = out + ETH_BYTES;

	zk_assert(cap >= ETH_BYTES + ARP_BYTES);
	put_eth(e, ETH_ARP, out);
	zk_put16(arp, 1);
	zk_put16(arp + 2, ETH_IPV4);
	arp[4] = 6;
	arp[5] = 4;
	zk_put16(arp + 6, reply ? 2 : 1);
	memcpy(arp + 8, e->src_mac, 6);
	zk_put32(arp + 14, e->src_ip);
	if (reply)
		memcpy(arp + 18, e->dst_mac, 6);
	else
		memset(arp + 18, 0, 6);
	zk_put32(arp + 24, e->dst_ip);
	return ETH_BYTES + ARP_BYTES;
}

size_t frame_build_echo(const struct frame_ends *e, uint16_t id, uint16_t seq, size_t n,
			uint8_t *out, size_t cap)
{
	struct frame_seg s = {.ends = *e};
	uint8_t *icmp = out + ETH_BYTES + IP_BYTES;

	zk_assert(cap >= ETH_BYTES + IP_BYTES + ICMP_BYTES + n);
	put_eth(e, ETH_IPV4, out);
	put_ip(&s, PROTO_ICMP, ICMP_BYTES + n, out + ETH_BYTES);
	memset(icmp, 0, ICMP_BYTES);
	icmp[0] = 8;
	zk_put16(icmp + 4, id);
	zk_put16(icmp + 6, seq);
	for (size_t i = 0; i < n; i++)
		icmp[ICMP_BYTES + i] = (uint8_t)i;
	zk_put16(icmp + 2, checksum_field(frame_sum(icmp, ICMP_BYTES + n, 0)));
	return ETH_BYTES + IP_BYTES + ICMP_BYTES + n;
}

void frame_text(const struct frame_seg *s, uint32_t seq_base, uint32_t ack_base, char *out,
		size_t cap)
{
	static const char NAMES[] = "FSRPAUEC";
	char flags[9];
	size_t k = 0;
	int n;

	for (unsigned i = 0; i < 8; i++) {
		if (s->flags & 1u << i)
			flags[k++] = NAMES[i];
	}
	flags[k] = 0;
	n = snprintf(out, cap, "%s seq %" PRId32 " ack %" PRId32 " win %u len %zu", k ? flags : "-",
		     (int32_t)(s->seq - seq_base),
		     s->flags & FRAME_ACK ? (int32_t)(s->ack - ack_base) : 0, s->win, s->len);
#define MORE(...)                                                                                  \
	do {                                                                                       \
		if (n > 0 && (size_t)n < cap)                                                      \
			n += snprintf(out + n, cap - (size_t)n, __VA_ARGS__);                      \
	} while (0)
	if (s->has_mss)
		MORE(" mss %u", s->mss);
	if (s->has_ws)
		MORE(" ws %u", s->ws);
	if (s->has_sackok)
		MORE(" sackok");
	if (s->has_ts)
		MORE(" ts %" PRIu32 ":%" PRIu32, s->tsval, s->tsecr);
	for (unsigned i = 0; i < s->n_sack; i++)
		MORE("%s%" PRId32 "-%" PRId32, i ? "," : " sack ",
		     (int32_t)(s->sack[i][0] - ack_base), (int32_t)(s->sack[i][1] - ack_base));
#undef MORE
}
