/* SPDX-License-Identifier: Apache-2.0 */
/* Is the device's word on checksums good?
 *
 * A frame whose checksums are left to the device is sent out and looked for on receive: a NIC in
 * its loopback mode, a switch port that reflects, a ring. What comes back shows whether transmit
 * offload works; a second frame, broken on purpose, shows whether receive offload does. Where
 * nothing comes back nothing is proved, and the stack computes checksums itself. */
#include "core/base/endian.h"
#include "dp/eal/eal.h"
#include "dp/port/port_int.h"

#include <string.h>
#include <time.h>

enum {
	ETH_BYTES = 14,
	IP_BYTES = 20,
	TCP_BYTES = 20,
	PAYLOAD_BYTES = 32,
	FRAME_BYTES = ETH_BYTES + IP_BYTES + TCP_BYTES + PAYLOAD_BYTES,
	TRIES = 3,
	WAIT_NS = 20000000,
	LINK_WAIT_NS = 500000000
};

enum probe_kind { PROBE_OFFLOAD, PROBE_BROKEN };

struct probe_seen {
	bool back, sums_right;
	uint32_t flags; /* enum pkt_flags as the device gave them */
};

/* RFC 1071; @p n is even here. */
static uint32_t sum16(const uint8_t *p, unsigned n, uint32_t s)
{
	for (unsigned i = 0; i < n; i += 2)
		s += zk_get16(p + i);
	return s;
}

static uint16_t fold(uint32_t s)
{
	s = (s >> 16) + (s & 0xffff);
	return (uint16_t)((s >> 16) + s);
}

static uint32_t pseudo_sum(const uint8_t *ip)
{
	return sum16(ip + 12, 8, 6 + TCP_BYTES + PAYLOAD_BYTES);
}

static void frame_fill(uint8_t *f, enum probe_kind kind, uint64_t cookie)
{
	uint8_t *ip = f + ETH_BYTES, *tcp = ip + IP_BYTES, *data = tcp + TCP_BYTES;

	memset(f, 0, FRAME_BYTES);
	zk_put64(f + 4, cookie); /* both addresses: nobody's */
	f[0] = 0x02;
	f[6] = 0x06;
	zk_put16(f + 12, 0x0800);
	ip[0] = 0x45;
	zk_put16(ip + 2, IP_BYTES + TCP_BYTES + PAYLOAD_BYTES);
	ip[8] = 1;
	ip[9] = 6;
	zk_put32(ip + 12, 0xc0000201); /* TEST-NET-1, RFC 5737 */
	zk_put32(ip + 16, 0xc0000202);
	zk_put16(tcp, 9);
	zk_put16(tcp + 2, 9);
	tcp[12] = 5 << 4;
	zk_put64(data, cookie);
	data[8] = (uint8_t)kind;
	if (kind == PROBE_OFFLOAD) {
		zk_put16(tcp + 16, fold(pseudo_sum(ip)));
		return;
	}
	zk_put16(ip + 10, (uint16_t)~fold(sum16(ip, IP_BYTES, 0)));
	zk_put16(tcp + 16,
		 (uint16_t)~fold(sum16(tcp, TCP_BYTES + PAYLOAD_BYTES, pseudo_sum(ip))) ^ 0x5555);
}

static void frame_look(const struct pkt *p, enum probe_kind kind, uint64_t cookie,
		       struct probe_seen *seen)
{
	const uint8_t *ip = p->data + ETH_BYTES, *tcp = ip + IP_BYTES;

	if (p->len < FRAME_BYTES || zk_get64(tcp + TCP_BYTES) != cookie ||
	    tcp[TCP_BYTES + 8] != (uint8_t)kind)
		return;
	seen->back = true;
	seen->flags = p->flags;
	seen->sums_right = fold(sum16(ip, IP_BYTES, 0)) == 0xffff &&
			   fold(sum16(tcp, TCP_BYTES + PAYLOAD_BYTES, pseudo_sum(ip))) == 0xffff;
}

static void drain(struct port *port, enum probe_kind kind, uint64_t cookie, struct probe_seen *seen)
{
	for (uint16_t q = 0; q < port_all_queues(port); q++) {
		struct pkt *v[PORT_BURST_MAX];
		uint16_t n = port_rx(port, q, v, PORT_BURST_MAX);

		for (uint16_t i = 0; i < n; i++) {
			frame_look(v[i], kind, cookie, seen);
			pkt_free(v[i]);
		}
	}
}

static struct probe_seen probe(struct port *port, enum probe_kind kind)
{
	struct timespec nap = {0, 500000};
	struct probe_seen seen = {.back = false};
	uint64_t cookie = eal_now_ns() * 0x9e3779b97f4a7c15u;

	for (int i = 0; i < TRIES && !seen.back; i++) {
		struct pkt *p = pkt_alloc(port->q[0].pool);
		uint64_t until = eal_now_ns() + WAIT_NS;

		if (!p)
			break;
		frame_fill(pkt_append(p, FRAME_BYTES), kind, cookie);
		if (kind == PROBE_OFFLOAD)
			p->flags = PKT_F_IP_CSUM_WANTED | PKT_F_L4_CSUM_WANTED;
		if (port_tx(port, 0, &p, 1) == 0)
			pkt_free(p);
		while (!seen.back && eal_now_ns() < until) {
			drain(port, kind, cookie, &seen);
			nanosleep(&nap, NULL);
		}
	}
	return seen;
}

void port_csum_probe(struct port *port)
{
	const uint32_t good = PKT_F_IP_CSUM_GOOD | PKT_F_L4_CSUM_GOOD;
	uint64_t until = eal_now_ns() + LINK_WAIT_NS;
	struct timespec nap = {0, 5000000};
	struct probe_seen whole, broken;

	while (!port_link_up(port) && eal_now_ns() < until)
		nanosleep(&nap, NULL);
	port->csum_rx_trusted = true; /* so that port_rx() passes the device's flags on */
	whole = probe(port, PROBE_OFFLOAD);
	broken = whole.back ? probe(port, PROBE_BROKEN) : whole;
	port->csum_tx_ok = whole.back && whole.sums_right;
	/* A device that drops what is broken is as good as one that marks it. */
	port->csum_rx_trusted = port->csum_tx_ok && (whole.flags & good) == good &&
				!(broken.back && (broken.flags & PKT_F_L4_CSUM_GOOD));
}
