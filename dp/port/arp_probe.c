/* SPDX-License-Identifier: Apache-2.0 */
/* Address conflict detection before the first packet of the stack (RFC 5227 section 2.1.1). */
#include "dp/eal/eal.h"
#include "dp/port/port_int.h"

#include "core/base/endian.h"

#include <string.h>
#include <time.h>

enum {
	PROBES = 3,
	PROBE_GAP_NS = 50000000,
	ARP_FRAME_BYTES = 60,
	ARP_OP_REQUEST = 1,
	ARP_OP_REPLY
};

/* Any unicast, locally administered address will do: it lives for 150 ms. */
static void probe_mac(uint8_t mac[6])
{
	uint64_t r = eal_now_ns() * 0x9e3779b97f4a7c15u;

	mac[0] = 0x02;
	for (int i = 1; i < 6; i++)
		mac[i] = (uint8_t)(r >> (8 * i + 16));
}

static void probe_fill(uint8_t *f, const uint8_t mac[6], uint32_t ip)
{
	memset(f, 0, ARP_FRAME_BYTES);
	memset(f, 0xff, 6);
	memcpy(f + 6, mac, 6);
	zk_put16(f + 12, 0x0806);
	zk_put16(f + 14, 1);
	zk_put16(f + 16, 0x0800);
	f[18] = 6;
	f[19] = 4;
	zk_put16(f + 20, ARP_OP_REQUEST);
	memcpy(f + 22, mac, 6);
	zk_put32(f + 38, ip); /* sender address stays 0: a probe changes no cache */
}

/* Does this frame show another owner of @p ip? Its replies and its own announcements do. */
static bool shows_owner(const struct pkt *p, uint32_t ip, const uint8_t own[6], uint8_t mac[6])
{
	const uint8_t *f = p->data;

	if (p->len < 42 || zk_get16(f + 12) != 0x0806 || zk_get16(f + 16) != 0x0800)
		return false;
	if (zk_get32(f + 28) != ip || memcmp(f + 22, own, 6) == 0)
		return false;
	memcpy(mac, f + 22, 6);
	return true;
}

static bool drain(struct port *port, uint32_t ip, const uint8_t own[6], uint8_t mac[6])
{
	bool found = false;

	for (uint16_t q = 0; q < port_all_queues(port); q++) {
		struct pkt *v[PORT_BURST_MAX];
		uint16_t n = port_rx(port, q, v, PORT_BURST_MAX);

		for (uint16_t i = 0; i < n; i++) {
			found = found || shows_owner(v[i], ip, own, mac);
			pkt_free(v[i]);
		}
	}
	return found;
}

bool port_arp_answers(struct port *port, uint32_t ip, uint8_t mac[6])
{
	struct timespec nap = {0, 1000000};
	uint8_t own[6];

	probe_mac(own);
	for (int i = 0; i < PROBES; i++) {
		struct pkt *p = pkt_alloc(port->q[0].pool);
		uint64_t until = eal_now_ns() + PROBE_GAP_NS;

		if (p) {
			probe_fill(pkt_append(p, ARP_FRAME_BYTES), own, ip);
			if (port_tx(port, 0, &p, 1) == 0)
				pkt_free(p);
		}
		while (eal_now_ns() < until) {
			if (drain(port, ip, own, mac))
				return true;
			nanosleep(&nap, NULL);
		}
	}
	return false;
}
