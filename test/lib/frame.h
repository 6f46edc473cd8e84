/* SPDX-License-Identifier: Apache-2.0 */
/** Frames for tests: TCP segments, ARP and ICMP echo built and checked without any code of dp/net.
 *
 * Addresses and ports in host byte order. Nothing here owns memory.
 */
#ifndef TEST_FRAME_H
#define TEST_FRAME_H

#include "core/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum frame_flags {
	FRAME_FIN = 0x01,
	FRAME_SYN = 0x02,
	FRAME_RST = 0x04,
	FRAME_PSH = 0x08,
	FRAME_ACK = 0x10,
	FRAME_URG = 0x20,
	FRAME_ECE = 0x40,
	FRAME_CWR = 0x80,
};

enum { FRAME_MAX_BYTES = 65536 + 64, FRAME_SACK_MAX = 4, FRAME_RAW_OPT_MAX = 40 };

/** Both ends of the link below TCP. */
struct frame_ends {
	uint8_t src_mac[6], dst_mac[6];
	uint32_t src_ip, dst_ip;
};

struct frame_seg {
	struct frame_ends ends;
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint16_t win, urg;
	uint8_t flags; /* enum frame_flags */
	bool has_mss, has_ws, has_sackok, has_ts;
	uint16_t mss;
	uint8_t ws;
	uint32_t tsval, tsecr;
	unsigned n_sack;
	uint32_t sack[FRAME_SACK_MAX][2]; /* left edge, right edge */
	const uint8_t *payload;
	size_t len;

	/* building only: damage */
	uint8_t raw_opt[FRAME_RAW_OPT_MAX]; /* instead of the options above */
	unsigned n_raw_opt;
	uint16_t ip_frag;   /* the fragment field: 0x2000 more fragments, else offset / 8 */
	uint8_t ip_version; /* 0 = 4 */
	uint8_t ihl_words;  /* 0 = the real one */
	uint8_t doff_words; /* 0 = the real one */
	uint8_t ttl;        /* 0 = 64 */
	int ip_len_delta;   /* added to the total length field */
	bool bad_ip_sum, bad_tcp_sum;
};

/** What a parsed frame was. */
enum frame_kind {
	FRAME_TCP,
	FRAME_ARP_REQUEST,
	FRAME_ARP_REPLY,
	FRAME_ECHO_REQUEST,
	FRAME_ECHO_REPLY,
	FRAME_ICMP_OTHER,
	FRAME_OTHER
};

/** Write the frame of @p s to @p out. Any context; bound: its length.
 *  @return bytes written, 0 when @p cap is too small. */
size_t frame_build(const struct frame_seg *s, uint8_t *out, size_t cap);

/** Read a frame that the stack under test sent and hold it to the formats of RFC 826, 791, 792 and
 * 9293: lengths, both checksums, well-formed options.
 *
 * For TCP all of @p s is filled and s->payload points into @p frame. For the other kinds only
 * s->ends, and for echo s->payload/len (the data behind the ICMP header) and s->seq (identifier
 * and sequence).
 * @return ZK_EOK with *kind, or ZK_EINVAL with the reason in *why (static text). */
ZK_MUST_USE enum zk_err frame_parse(const uint8_t *frame, size_t n, enum frame_kind *kind,
				    struct frame_seg *s, const char **why);

/** Write an ARP packet. @p reply false: who has dst_ip? (dst_mac of the Ethernet header as given).
 *  @return bytes written. */
size_t frame_build_arp(const struct frame_ends *e, bool reply, uint8_t *out, size_t cap);

/** Write an ICMP echo request with @p n bytes of counted payload. @return bytes written. */
size_t frame_build_echo(const struct frame_ends *e, uint16_t id, uint16_t seq, size_t n,
			uint8_t *out, size_t cap);

/** RFC 1071 sum over @p n bytes, folded and not inverted, starting with @p sum. */
uint16_t frame_sum(const uint8_t *p, size_t n, uint32_t sum);

/** "SA seq 1 ack 2 win 3 len 4 <mss 1460,...>" into @p out, numbers relative to the bases. */
void frame_text(const struct frame_seg *s, uint32_t seq_base, uint32_t ack_base, char *out,
		size_t cap);

#endif
