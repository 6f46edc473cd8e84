/* SPDX-License-Identifier: Apache-2.0 */
/* One device experiment per run; test/net/port.sh calls it in a network namespace of its own.
 *
 *   port_test tap                       open a TAP, answer ARP and ping until 5 pings are answered
 *   port_test raw DEVICE                the same on an existing interface (af_packet:, af_xdp:)
 *   port_test echo DEVICE N             send back N frames, then end
 *   port_test send DEVICE N             send N frames, expect each one back
 *   port_test open DEVICE [KEY=VALUE..] open, close; prints the code and the line
 *   port_test steer DEVICE [KEY=VALUE..] a TAP with a queue for the peer: frames that the kernel is
 *                                       given by a raw socket come out of which queue?
 *   port_test leak                      keep one packet of a pool: the report must name it
 *   port_test memory                    huge pages, clock, threads
 *   port_test lock MS                   hold the lock on huge pages for so long
 *
 * KEY: bridge=NAME host=IP stack=IP mtu=N queues=N huge=no|2M|auto peer=1 (a queue for the peer)
 */
#include "core/base/endian.h"
#include "core/base/hash.h"
#include "dp/eal/eal.h"
#include "dp/eal/eal_int.h"
#include "dp/port/port.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PINGS = 5, DEADLINE_S = 20, RX_PACKETS = 1024, CLIENT_PORT = 2181, STEERED = 4000 };

static const uint8_t stack_mac[6] = {0x02, 0x7a, 0x6b, 0, 0, 1};
static unsigned log_lines;

static void say(void *ctx, const char *line)
{
	(void)ctx;
	log_lines++;
	printf("log: %s\n", line);
}

static uint32_t ip_of(const char *text)
{
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) != 1) {
		printf("bad address %s\n", text);
		exit(2);
	}
	return ntohl(a.s_addr);
}

/* What a member of an ensemble asks for. */
static void ask_for_peer(struct port_peer_conf *pc)
{
	static const struct port_remote others[] = {{0x0a000002, 2888}, {0x0a000002, 3888}};

	*pc = (struct port_peer_conf){.queue = true,
				      .rx_pool_packets = RX_PACKETS,
				      .client_port = CLIENT_PORT,
				      .listen = {2888, 3888},
				      .remote = others,
				      .remotes = 2};
	for (unsigned i = 0; i < sizeof(pc->steer_key); i++)
		pc->steer_key[i] = (uint8_t)(7 * i + 1);
}

static struct port_conf conf_of(int argc, char **argv, struct eal_conf *eal)
{
	struct port_conf c = {.queues = 1, .rx_pool_packets = RX_PACKETS, .tap_host_prefix = 30};
	char why[PORT_ERR_TEXT_MAX];

	if (port_spec_parse(argv[0], &c.spec, why) != ZK_EOK) {
		printf("%d %s\n", ZK_EINVAL, why);
		exit(0);
	}
	for (int i = 1; i < argc; i++) {
		char *v = strchr(argv[i], '=');

		if (!v)
			continue;
		*v++ = 0;
		if (strcmp(argv[i], "bridge") == 0)
			snprintf(c.tap_bridge, sizeof(c.tap_bridge), "%s", v);
		else if (strcmp(argv[i], "host") == 0)
			c.tap_host_ip = ip_of(v);
		else if (strcmp(argv[i], "stack") == 0)
			c.stack_ip = ip_of(v);
		else if (strcmp(argv[i], "mtu") == 0)
			c.mtu = (uint16_t)atoi(v);
		else if (strcmp(argv[i], "queues") == 0)
			c.queues = (uint16_t)atoi(v);
		else if (strcmp(argv[i], "peer") == 0)
			ask_for_peer(&c.peer);
		else if (strcmp(argv[i], "huge") == 0)
			eal->hugepages = strcmp(v, "no") == 0   ? EAL_HUGE_NO
					 : strcmp(v, "2M") == 0 ? EAL_HUGE_2M
								: EAL_HUGE_AUTO;
	}
	return c;
}

static void start(struct eal_conf *eal)
{
	char why[PORT_ERR_TEXT_MAX];
	enum zk_err err;

	eal->memory_mib = 64; /* the largest pools: 2 queues of 1024 packets of 16 KB */
	eal->log = say;
	err = eal_start(eal, why);
	if (err) {
		printf("%d %s\n", err, why);
		exit(0);
	}
}

static struct port *open_or_exit(const struct port_conf *c)
{
	char why[PORT_ERR_TEXT_MAX];
	struct port *port = NULL;
	enum zk_err err = port_open(c, &port, why);

	if (err) {
		printf("%d %s\n", err, why);
		eal_stop();
		exit(0);
	}
	return port;
}

static int finish(struct port *port, bool ok)
{
	uint32_t missing = port_close(port);

	eal_stop();
	printf("%s, %u packets missing\n", ok ? "ok" : "not ok", missing);
	return ok && missing == 0 ? 0 : 1;
}

static uint16_t inet_sum(const uint8_t *p, unsigned n)
{
	uint32_t s = 0;

	for (unsigned i = 0; i + 1 < n; i += 2)
		s += zk_get16(p + i);
	if (n & 1)
		s += (uint32_t)p[n - 1] << 8;
	s = (s >> 16) + (s & 0xffff);
	return (uint16_t) ~(s + (s >> 16));
}

struct talk {
	uint32_t ip;
	unsigned arp_seen, pings;
	uint32_t longest;
};

/* Turn a request into its reply, in place. False: not for us. */
static bool reply(struct talk *t, struct pkt *p)
{
	uint8_t *f = p->data;

	if (p->len >= 42 && zk_get16(f + 12) == 0x0806 && zk_get16(f + 20) == 1 &&
	    zk_get32(f + 38) == t->ip) {
		t->arp_seen++;
		memcpy(f, f + 6, 6);
		memcpy(f + 6, stack_mac, 6);
		zk_put16(f + 20, 2);
		memcpy(f + 32, f + 22, 10);
		memcpy(f + 22, stack_mac, 6);
		zk_put32(f + 28, t->ip);
		return true;
	}
	if (p->len >= 42 && zk_get16(f + 12) == 0x0800 && f[14] == 0x45 && f[23] == 1 &&
	    f[34] == 8 && zk_get32(f + 30) == t->ip) {
		unsigned ip_len = zk_get16(f + 16);

		if (inet_sum(f + 14, 20) != 0 || ip_len + 14 > p->len)
			return false;
		t->pings++;
		t->longest = p->len > t->longest ? p->len : t->longest;
		memcpy(f, f + 6, 6);
		memcpy(f + 6, stack_mac, 6);
		memcpy(f + 30, f + 26, 4);
		zk_put32(f + 26, t->ip);
		f[34] = 0;
		zk_put16(f + 36, 0);
		zk_put16(f + 36, inet_sum(f + 34, ip_len - 20));
		return true;
	}
	return false;
}

static int do_talk(struct port_conf *c)
{
	struct talk t = {.ip = c->stack_ip};
	struct port *port = open_or_exit(c);
	uint64_t end = eal_now_ns() + DEADLINE_S * 1000000000ull, quiet = UINT64_MAX;
	struct port_stats st;

	printf("ready queues=%u mtu=%u rss=%d fd=%d\n", port_queues(port), port_mtu(port),
	       port_rss(port), port_rx_fd(port, 0) >= 0);
	fflush(stdout);
	while (eal_now_ns() < end && eal_now_ns() < quiet) {
		for (uint16_t q = 0; q < port_queues(port); q++) {
			struct pkt *v[PORT_BURST_MAX];
			uint16_t n = port_rx(port, q, v, PORT_BURST_MAX);

			for (uint16_t i = 0; i < n; i++)
				if (!reply(&t, v[i]) || port_tx(port, q, &v[i], 1) == 0)
					pkt_free(v[i]);
		}
		if (t.pings >= PINGS && quiet == UINT64_MAX)
			quiet = eal_now_ns() + 200000000;
		sched_yield();
	}
	port_stats_get(port, &st);
	printf("arp=%u pings=%u longest=%u rx=%lu tx=%lu\n", t.arp_seen, t.pings, t.longest,
	       st.rx_packets, st.tx_packets);
	return finish(port, t.arp_seen > 0 && t.pings >= PINGS);
}

/* ---- steer ---- */

struct steered {
	uint16_t src, dst;
	uint32_t from;
};

static struct steered steered_of(unsigned i)
{
	static const uint16_t ports[] = {CLIENT_PORT, 2888, 3888, 50000, 50001};
	uint64_t r = zk_mix64(i + 1);

	return (struct steered){.src = r & 1 ? ports[(r >> 1) % 5] : (uint16_t)(r >> 4),
				.dst = r & 2 ? CLIENT_PORT : ports[(r >> 20) % 5],
				.from = 0x0a000002 + (uint32_t)(r >> 60)};
}

static void steered_fill(uint8_t f[64], unsigned i)
{
	struct steered s = steered_of(i);

	memset(f, 0, 64);
	memset(f, 0xff, 6);
	zk_put16(f + 12, 0x0800);
	f[14] = 0x45;
	zk_put16(f + 16, 50);
	f[23] = 6;
	zk_put32(f + 26, s.from);
	zk_put32(f + 30, 0x0a000001);
	zk_put16(f + 34, s.src);
	zk_put16(f + 36, s.dst);
	zk_put32(f + 54, i);
}

/* The rule in words: what is for clients to their core; to and from the quorum's ports to the
 * peer; the rest to the core that would hand it over. */
static unsigned steered_queue(const struct port_conf *c, const struct port *port, unsigned i)
{
	struct steered s = steered_of(i);
	bool quorum = s.dst == 2888 || s.dst == 3888 || s.src == 2888 || s.src == 3888;
	struct zk_hash_key key;
	uint8_t b[12];

	if (s.dst != CLIENT_PORT && quorum)
		return (unsigned)port_peer_queue(port);
	memcpy(&key, c->peer.steer_key, sizeof(key));
	zk_put32(b, 0x0a000001);
	zk_put32(b + 4, s.from);
	memcpy(b + 8, &s.dst, 2);
	memcpy(b + 10, &s.src, 2);
	return (unsigned)(((zk_hash13(&key, b, 12) >> 32) * c->queues) >> 32) % port_queues(port);
}

static unsigned take_steered(const struct port_conf *c, struct port *port, bool *seen,
			     unsigned *wrong)
{
	unsigned got = 0;

	for (uint16_t q = 0; q <= port_peer_queue(port); q++) {
		struct pkt *v[PORT_BURST_MAX];

		for (uint16_t k = 0, n = port_rx(port, q, v, PORT_BURST_MAX); k < n; k++) {
			const uint8_t *f = v[k]->data;
			uint32_t i = v[k]->len == 64 ? zk_get32(f + 54) : STEERED;

			if (i < STEERED && f[23] == 6 && zk_get32(f + 30) == 0x0a000001) {
				*wrong += seen[i] || q != steered_queue(c, port, i);
				seen[i] = true;
				got++;
			}
			pkt_free(v[k]);
		}
	}
	return got;
}

static int do_steer(struct port_conf *c)
{
	struct port *port = open_or_exit(c);
	uint64_t end = eal_now_ns() + DEADLINE_S * 1000000000ull;
	struct sockaddr_ll to = {.sll_family = AF_PACKET};
	static bool seen[STEERED];
	unsigned sent = 0, got = 0, wrong = 0;
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	printf("way=\"%s\" queues=%u peer=%d\n", port_peer_way(port), port_queues(port),
	       port_peer_queue(port));
	to.sll_ifindex = (int)if_nametoindex(c->spec.name);
	if (fd < 0 || port_peer_queue(port) < 0)
		return finish(port, false);
	while (got < STEERED && eal_now_ns() < end) {
		uint8_t f[64];

		for (unsigned k = 0; k < 16 && sent < STEERED && sent - got < 256; k++) {
			steered_fill(f, sent);
			if (sendto(fd, f, sizeof(f), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
				break;
			sent++;
		}
		got += take_steered(c, port, seen, &wrong);
	}
	close(fd);
	printf("sent=%u got=%u wrong=%u\n", sent, got, wrong);
	return finish(port, got == STEERED && wrong == 0);
}

static int do_echo(struct port_conf *c, unsigned want)
{
	struct port *port = open_or_exit(c);
	uint64_t end = eal_now_ns() + DEADLINE_S * 1000000000ull;
	unsigned done = 0;

	printf("ready pid=%d\n", (int)getpid());
	fflush(stdout);
	while (done < want && eal_now_ns() < end) {
		struct pkt *v[32];
		uint16_t n = port_rx(port, 0, v, 32), sent = 0;

		while (sent < n && eal_now_ns() < end)
			sent = (uint16_t)(sent + port_tx(port, 0, v + sent, (uint16_t)(n - sent)));
		for (uint16_t i = sent; i < n; i++)
			pkt_free(v[i]);
		done += sent;
		if (n == 0)
			sched_yield();
	}
	nanosleep(&(struct timespec){0, 100000000}, NULL); /* let the other end read */
	return finish(port, done == want);
}

static bool frame_right(const struct pkt *p, unsigned *next)
{
	unsigned i;

	if (p->len != 60 + *next % 1000 || zk_get32(p->data + 14) != *next)
		return false;
	for (i = 18; i < p->len; i++)
		if (p->data[i] != (uint8_t)(i + *next))
			return false;
	(*next)++;
	return true;
}

static int do_send(struct port_conf *c, unsigned want)
{
	struct port *port = open_or_exit(c);
	struct pkt_pool *pool = port_pool_new("tx test", 512, 2048);
	uint64_t end = eal_now_ns() + DEADLINE_S * 1000000000ull;
	unsigned sent = 0, back = 0;
	bool ok = pool != NULL, full;

	while (ok && back < want && eal_now_ns() < end) {
		struct pkt *v[32];
		struct pkt *p = sent < want && sent - back < 256 ? pkt_alloc(pool) : NULL;

		if (p) {
			uint8_t *f = pkt_append(p, 60 + sent % 1000);

			memset(f, 0xff, 12);
			zk_put16(f + 12, 0x88b5);
			zk_put32(f + 14, sent);
			for (uint32_t i = 18; i < p->len; i++)
				f[i] = (uint8_t)(i + sent);
			pkt_ref(p); /* a reference of our own, as for a retransmission */
			if (port_tx(port, 0, &p, 1) == 1)
				sent++;
			else
				pkt_free(p);
			pkt_free(p);
		} else {
			sched_yield();
		}
		for (uint16_t i = 0, n = port_rx(port, 0, v, 32); i < n; i++) {
			ok = ok && frame_right(v[i], &back);
			pkt_free(v[i]);
		}
	}
	printf("sent=%u back=%u\n", sent, back);
	ok = ok && back == want;
	ok = port_close(port) == 0 && ok;
	full = port_pool_free(pool);
	eal_stop();
	printf("%s\n", ok && full ? "ok" : "not ok");
	return ok && full ? 0 : 1;
}

static int do_leak(void)
{
	struct pkt_pool *pool = port_pool_new("tx core 1", 512, 2048);
	struct pkt *p = pkt_alloc(pool), *v[600];
	unsigned n = 0;
	bool ok = p && pkt_pool_size(pool) == 512 && pkt_pool_free_count(pool) == 511;

	ok = ok && pkt_headroom(p) == PKT_HEADROOM && p->len == 0 && pkt_pool_room(pool) >= 2048;
	ok = ok && pkt_tailroom(p) == pkt_pool_room(pool) && !pkt_shared(p);
	pkt_ref(p);
	ok = ok && pkt_shared(p);
	pkt_free(p);
	ok = ok && !pkt_shared(p);
	while (n < 600 && (v[n] = pkt_alloc(pool)) != NULL)
		n++;
	ok = ok && n == 511 && pkt_pool_free_count(pool) == 0; /* empty says NULL */
	while (n > 0)
		pkt_free(v[--n]);
	log_lines = 0;
	ok = ok && pkt_pool_free_count(pool) == 511;
	ok = ok && !port_pool_free(pool) && log_lines == 1;
	eal_stop();
	printf("%s\n", ok ? "ok" : "not ok");
	return ok ? 0 : 1;
}

static _Atomic uint64_t last_ns; /* seq_cst: read the clock after seeing the other's reading */
static _Atomic unsigned backwards;

static void *clock_thread(void *arg)
{
	struct pkt_pool *pool = arg;

	if (eal_thread_register() != ZK_EOK)
		backwards++;
	for (int i = 0; i < 200000; i++) {
		uint64_t seen = atomic_load(&last_ns), now = eal_now_ns();

		if (now < seen)
			backwards++;
		atomic_store(&last_ns, now);
	}
	for (int i = 0; i < 1000; i++)
		pkt_free(pkt_alloc(pool));
	eal_thread_unregister();
	return NULL;
}

static int do_memory(cpu_set_t before)
{
	struct pkt_pool *pool = port_pool_new("memory test", 512, 2048);
	pthread_t th[2];
	struct timespec a, b;
	uint64_t t0, t1, kernel;
	cpu_set_t after;
	size_t n = 5 << 20;
	uint8_t *m = eal_pages_alloc(n);
	bool ok = pool && m && m[0] == 0 && m[n - 1] == 0;

	memset(m, 1, n);
	eal_pages_free(m, n);
	sched_getaffinity(0, sizeof(after), &after);
	ok = ok && CPU_EQUAL(&before, &after);
	for (int i = 0; i < 2; i++)
		ok = pthread_create(&th[i], NULL, clock_thread, pool) == 0 && ok;
	for (int i = 0; i < 2; i++)
		pthread_join(th[i], NULL);
	clock_gettime(CLOCK_MONOTONIC, &a);
	t0 = eal_now_ns();
	nanosleep(&(struct timespec){0, 200000000}, NULL);
	t1 = eal_now_ns();
	clock_gettime(CLOCK_MONOTONIC, &b);
	kernel = (uint64_t)((b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec);
	printf("hugepages=%d backwards=%u clock=%lu/%lu\n", eal_on_hugepages(), backwards, t1 - t0,
	       kernel);
	/* Ours lies inside the kernel's bracket; 100 ppm and the time of a preemption are let go.
	 */
	ok = ok && backwards == 0 && t1 - t0 < kernel + 100000 && t1 - t0 > 199000000;
	ok = port_pool_free(pool) && ok;
	eal_stop();
	printf("%s\n", ok ? "ok" : "not ok");
	return ok ? 0 : 1;
}

static int do_lock(unsigned ms)
{
	int lock = eal_huge_lock();

	printf("ready\n");
	fflush(stdout);
	usleep(ms * 1000);
	printf("free\n");
	fflush(stdout);
	eal_huge_unlock(lock);
	return lock < 0;
}

int main(int argc, char **argv)
{
	struct eal_conf eal = {.hugepages = EAL_HUGE_AUTO};
	struct port_conf c;
	cpu_set_t before;

	if (argc < 2)
		return 2;
	sched_getaffinity(0, sizeof(before), &before);
	if (strcmp(argv[1], "leak") == 0 || strcmp(argv[1], "memory") == 0) {
		if (argc > 2)
			eal.hugepages = strcmp(argv[2], "no") == 0 ? EAL_HUGE_NO : EAL_HUGE_2M;
		start(&eal);
		return strcmp(argv[1], "leak") == 0 ? do_leak() : do_memory(before);
	}
	if (argc < 3)
		return 2;
	if (strcmp(argv[1], "lock") == 0)
		return do_lock((unsigned)atoi(argv[2]));
	c = conf_of(argc - 2, argv + 2, &eal);
	eal.extra_args = getenv("PORT_TEST_EAL");
	start(&eal);
	if (strcmp(argv[1], "talk") == 0)
		return do_talk(&c);
	if (strcmp(argv[1], "echo") == 0)
		return do_echo(&c, 5000);
	if (strcmp(argv[1], "send") == 0)
		return do_send(&c, 5000);
	if (strcmp(argv[1], "steer") == 0)
		return do_steer(&c);
	if (strcmp(argv[1], "open") == 0) {
		struct port *port = open_or_exit(&c);

		printf("0 opened queues=%u mtu=%u tx_csum=%d rx_csum=%d\n", port_queues(port),
		       port_mtu(port), port_tx_csum_ok(port), port_rx_csum_ok(port));
		if (c.peer.queue)
			printf("way=\"%s\" peer=%d\n", port_peer_way(port), port_peer_queue(port));
		return finish(port, true);
	}
	return 2;
}
