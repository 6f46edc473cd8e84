/* SPDX-License-Identifier: Apache-2.0 */
/** Offsets and numbers of Ethernet, ARP (RFC 826), IPv4 (RFC 791), ICMP (RFC 792), TCP (RFC 9293).
 */
#ifndef ZK_NET_WIRE_H
#define ZK_NET_WIRE_H

enum {
	ETH_SRC = 6,
	ETH_TYPE = 12,
	ETH_HDR = 14,
	ETH_TYPE_IP4 = 0x0800,
	ETH_TYPE_ARP = 0x0806,

	ARP_OPER = 6,
	ARP_SHA = 8,
	ARP_SPA = 14,
	ARP_THA = 18,
	ARP_TPA = 24,
	ARP_BYTES = 28,
	ARP_REQUEST = 1,
	ARP_REPLY = 2,

	IP4_LEN = 2,
	IP4_ID = 4,
	IP4_FRAG = 6,
	IP4_TTL = 8,
	IP4_PROTO = 9,
	IP4_CSUM = 10,
	IP4_SRC = 12,
	IP4_DST = 16,
	IP4_HDR = 20,
	IP4_DF = 0x4000,
	IP4_FRAG_MASK = 0x3fff, /* more fragments, and the offset */
	IP_PROTO_ICMP = 1,
	IP_PROTO_TCP = 6,
	IP_TTL = 64,

	ICMP_HDR = 8,
	ICMP_ECHO_REPLY = 0,
	ICMP_UNREACHABLE = 3,
	ICMP_ECHO = 8,
	ICMP_CODE_TOO_BIG = 4,

	TCP_SRC = 0,
	TCP_DST = 2,
	TCP_SEQ = 4,
	TCP_ACK = 8,
	TCP_OFF = 12,
	TCP_FLAGS = 13,
	TCP_WND = 14,
	TCP_CSUM = 16,
	TCP_URG = 18,
	TCP_HDR = 20,

	TH_FIN = 1,
	TH_SYN = 2,
	TH_RST = 4,
	TH_PSH = 8,
	TH_ACK = 16,
	TH_URG = 32,

	TCP_OPT_END = 0,
	TCP_OPT_NOP = 1,
	TCP_OPT_MSS = 2,
	TCP_OPT_WSCALE = 3,
	TCP_OPT_SACK_OK = 4,
	TCP_OPT_SACK = 5,
	TCP_OPT_TS = 8,
	TCP_OPT_TS_ALIGNED = 0x0101080a, /* NOP NOP TS 10: how everybody sends it */
	TCP_OPTS_MAX = 40,
	TCP_OPT_TS_BYTES = 12,
};

#endif
