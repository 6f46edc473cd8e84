/* SPDX-License-Identifier: Apache-2.0 */
/* tap_test MTU QUEUES: frames through a TAP of dp/port, a raw socket on its kernel side.
 * In a network namespace of its own, from test/net/port.sh.
 */
#include "core/base/endian.h"
#include "dp/eal/eal.h"
#include "dp/port/port.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	RX_PACKETS = 256,
	HEADERS_BYTES = 14 + 20 + 8,
	MARK = 22222, /* UDP port: what has it is ours */
	MTU_FAR = 20000,
	WAIT_MS = 3000,
	FLOWS = 64
};

static struct port *port;
static int raw, failures;
static uint8_t frame[MTU_FAR + 14], back[MTU_FAR + 14];

#define CHECK(what, ...)                                                                           \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			printf("line %d: %s: ", __LINE__, #what);                                  \
			printf(__VA_ARGS__);                                                       \
			printf("\n");                                                              \
			failures++;                                                                \
		}                                                                                  \
	} while (0)

static void say(void *ctx, const char *line)
{
	(void)ctx;
	printf("log: %s\n", line);
}

/* A whole UDP frame of @p len bytes; @p flow decides which queue the kernel takes. */
static void fill(uint32_t len, uint32_t flow)
{
	memset(frame, 0, HEADERS_BYTES);
	memcpy(frame, "\x02\x7a\x6b\0\0\1\x02\x7a\x6b\0\0\2\x08\0\x45", 15);
	zk_put16(frame + 16, (uint16_t)(len - 14));
	frame[22] = 64;
	frame[23] = 17;
	zk_put32(frame + 26, 0x0a000001);
	zk_put32(frame + 30, 0x0a000002);
	zk_put16(frame + 34, (uint16_t)(1000 + flow));
	zk_put16(frame + 36, MARK);
	zk_put16(frame + 38, (uint16_t)(len - 34));
	for (uint32_t i = HEADERS_BYTES; i < len; i++)
		frame[i] = (uint8_t)(i * 31 + len + flow);
}

static bool ours(const uint8_t *f, size_t len)
{
	return len >= HEADERS_BYTES && zk_get16(f + 12) == 0x0800 && f[23] == 17 &&
	       zk_get16(f + 36) == MARK;
}

static void from_kernel(uint32_t len, uint32_t flow)
{
	fill(len, flow);
	CHECK(send(raw, frame, len, 0) == (ssize_t)len, "a frame of %u bytes", len);
}

/* The next frame of ours on any queue, NULL after @p ms. The caller frees it. */
static struct pkt *receive(int ms, uint16_t *queue)
{
	uint64_t end = eal_now_ns() + (uint64_t)ms * 1000000;

	do {
		for (uint16_t q = 0; q < port_queues(port); q++) {
			struct pkt *p;

			while (port_rx(port, q, &p, 1) == 1) {
				if (ours(p->data, p->len)) {
					*queue = q;
					return p;
				}
				pkt_free(p);
			}
		}
	} while (eal_now_ns() < end);
	return NULL;
}

/* The next frame of ours that left by the TAP. */
static ssize_t kernel_receive(void)
{
	for (;;) {
		struct pollfd fd = {.fd = raw, .events = POLLIN};
		struct sockaddr_ll from;
		socklen_t from_bytes = sizeof(from);
		ssize_t n;

		if (poll(&fd, 1, WAIT_MS) != 1)
			return -1;
		n = recvfrom(raw, back, sizeof(back), 0, (struct sockaddr *)&from, &from_bytes);
		if (n > 0 && from.sll_pkttype != PACKET_OUTGOING && ours(back, (size_t)n))
			return n;
	}
}

/* Every size there and back, byte for byte. */
static void sizes(unsigned mtu)
{
	unsigned step = mtu > 2000 ? 7 : 1, seen[PORT_QUEUES_MAX] = {0};

	for (uint32_t len = HEADERS_BYTES; len <= mtu + 14; len += step) {
		uint16_t q = 0;
		struct pkt *p;

		if (len + step > mtu + 14)
			len = mtu + 14;
		from_kernel(len, len % FLOWS);
		p = receive(WAIT_MS, &q);
		if (!p) {
			CHECK(p, "nothing of %u bytes came", len);
			return;
		}
		seen[q]++;
		CHECK(p->len == len && memcmp(p->data, frame, len) == 0, "%u of %u", p->len, len);
		CHECK(p->flags == 0 && !p->next && pkt_headroom(p) == PKT_HEADROOM, "%u", len);
		if (port_tx(port, q, &p, 1) != 1) {
			CHECK(false, "%u bytes are not taken", len);
			pkt_free(p);
			return;
		}
		CHECK(kernel_receive() == (ssize_t)len && memcmp(back, frame, len) == 0, "%u", len);
	}
	for (uint16_t q = 0; q < port_queues(port); q++)
		CHECK(seen[q] > 0, "queue %u has seen nothing", q);
}

static void link_set(const char *name, int request, int mtu, short flags)
{
	struct ifreq ifr = {.ifr_flags = flags};

	if (request == SIOCSIFMTU)
		ifr.ifr_mtu = mtu;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	CHECK(ioctl(raw, (unsigned long)request, &ifr) == 0, "request %d", request);
}

/* What is longer than a buffer is dropped and counted, and the next frame is whole. */
static void oversized(void)
{
	struct port_stats before, after;
	uint16_t q;
	struct pkt *p;

	link_set("zk0", SIOCSIFMTU, MTU_FAR, 0);
	port_stats_get(port, &before);
	for (uint32_t i = 0; i < 10; i++) {
		from_kernel(MTU_FAR - i, 0);
		from_kernel(100 + i, 0);
		p = receive(WAIT_MS, &q);
		CHECK(p && p->len == 100 + i && memcmp(p->data, frame, 100 + i) == 0, "%u", i);
		pkt_free(p);
	}
	port_stats_get(port, &after);
	CHECK(after.rx_dropped == before.rx_dropped + 10, "%lu dropped",
	      after.rx_dropped - before.rx_dropped);
	CHECK(after.rx_packets >= before.rx_packets + 10, "%lu", after.rx_packets);
}

/* Without a buffer nothing is read: what waits is whole when one has come back. */
static void no_buffers(void)
{
	static struct pkt *held[RX_PACKETS + 1];
	struct port_stats st;
	unsigned n = 0;
	uint16_t q = 0;
	struct pkt *p;

	while (n <= RX_PACKETS) {
		from_kernel(200 + n, 0);
		held[n] = receive(n < RX_PACKETS - PORT_QUEUES_MAX ? WAIT_MS : 20, &q);
		if (!held[n])
			break;
		n++;
	}
	port_stats_get(port, &st);
	CHECK(n <= RX_PACKETS && n > RX_PACKETS / 2, "%u buffers", n);
	CHECK(st.rx_nombuf > 0, "an empty pool is not counted");
	CHECK(port_rx(port, q, &p, 1) == 0, "a frame without a buffer");
	for (unsigned i = 0; i < n; i++)
		pkt_free(held[i]);
	p = receive(WAIT_MS, &q);
	CHECK(p && p->len == 200 + n && memcmp(p->data, frame, p->len) == 0, "%u", n);
	pkt_free(p);
}

/* Set down: nothing is taken, nothing is lost; set up again: it goes on. */
static void down_and_up(void)
{
	struct pkt_pool *pool = port_pool_new("tx test", 64, 2048);
	struct pkt *p = pool ? pkt_alloc(pool) : NULL, *in;
	uint16_t q;

	if (!p) {
		CHECK(p, "no memory");
		return;
	}
	fill(300, 1);
	memcpy(pkt_append(p, 300), frame, 300);
	link_set("zk0", SIOCSIFFLAGS, 0, 0);
	CHECK(port_tx(port, 0, &p, 1) == 0, "taken while the link is down");
	CHECK(port_rx(port, 0, &in, 1) == 0, "a frame while the link is down");
	link_set("zk0", SIOCSIFFLAGS, 0, IFF_UP);
	pkt_ref(p); /* a reference of our own, as for a retransmission */
	for (int i = 0; i < 2; i++) {
		CHECK(port_tx(port, 0, &p, 1) == 1, "not taken after the link is up again");
		CHECK(kernel_receive() == 300 && memcmp(back, frame, 300) == 0, "%d", i);
	}
	from_kernel(400, 2);
	p = receive(WAIT_MS, &q);
	CHECK(p && p->len == 400, "after the link is up again");
	pkt_free(p);
	CHECK(port_pool_free(pool), "leak");
}

static int raw_open(void)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(0x0800),
				 .sll_ifindex = (int)if_nametoindex("zk0")};
	int bytes = 1 << 20;

	raw = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(0x0800));
	if (raw < 0 || bind(raw, (struct sockaddr *)&to, sizeof(to)) != 0)
		return -1;
	(void)setsockopt(raw, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	return 0;
}

int main(int argc, char **argv)
{
	struct eal_conf eal = {.hugepages = EAL_HUGE_AUTO, .memory_mib = 32, .log = say};
	struct port_conf c = {.spec = {.kind = PORT_TAP, .name = "zk0"},
			      .rx_pool_packets = RX_PACKETS};
	char why[PORT_ERR_TEXT_MAX];

	if (argc != 3)
		return 2;
	c.mtu = (uint16_t)atoi(argv[1]);
	c.queues = (uint16_t)atoi(argv[2]);
	if (eal_start(&eal, why) != ZK_EOK || port_open(&c, &port, why) != ZK_EOK) {
		printf("%s\n", why);
		return 1;
	}
	if (raw_open() != 0) {
		perror("raw socket");
		return 1;
	}
	CHECK(port_queues(port) == c.queues && port_mtu(port) == c.mtu, "%u", port_queues(port));
	for (uint16_t q = 0; q < port_queues(port); q++)
		CHECK((fcntl(port_rx_fd(port, q), F_GETFL) & O_ASYNC) == 0, "a signal per frame");
	sizes(c.mtu);
	no_buffers();
	down_and_up();
	oversized();
	close(raw);
	CHECK(port_close(port) == 0, "packets are missing");
	eal_stop();
	printf("%s\n", failures ? "not ok" : "ok");
	return failures ? 1 : 0;
}
