/* SPDX-License-Identifier: Apache-2.0 */
/* The TAP's steering program, run by the kernel on crafted frames (BPF_PROG_RUN), against the rules
 * in C and against dp/net's own idea of who owns a frame. */
#include "core/base/endian.h"
#include "dp/net/net.h"
#include "dp/net/tcp/tcp.h"
#include "dp/port/steer_prog.h"
#include "test/lib/pkt_heap.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

enum { CLIENT = 2181, QUORUM = 2888, ELECTION = 3888, PEER_QUEUE = 7, FRAMES = 20000, ETH = 14 };

static struct steer_prog prog = {
	.cores = 3,
	.client_queues = 3,
	.peer_queue = PEER_QUEUE,
	.client_port = CLIENT,
	.listen = {QUORUM, ELECTION},
	.remote = {QUORUM, ELECTION, 2889, 3889},
	.remotes = 4,
	.key = {0x0123456789abcdef, 0xfedcba9876543210},
};

static uint64_t seed = 42;

static uint32_t rnd(void)
{
	seed = zk_mix64(seed + 0x9e3779b97f4a7c15u);
	return (uint32_t)seed;
}

static int load(const struct steer_prog *s)
{
	int fd = steer_prog_load(s);

	if (fd == -EPERM && geteuid() != 0 && !getenv("NO_SKIP"))
		skip(); /* this user may not load programs */
	if (fd < 0)
		fail_msg("bpf(BPF_PROG_LOAD): %s", strerror(-fd));
	return fd;
}

/* What the program answers. The kernel's test run takes the first 14 bytes for an Ethernet header
 * and shows such programs what follows: in front of ours goes another one. */
static uint32_t run(int fd, const uint8_t *frame, uint32_t len)
{
	uint8_t data[ETH + 2048] = {0};
	union bpf_attr a;

	memset(&a, 0, sizeof(a));
	memcpy(data + ETH, frame, len);
	a.test.prog_fd = (uint32_t)fd;
	a.test.data_in = (uint64_t)(uintptr_t)data;
	a.test.data_size_in = ETH + len;
	assert_int_equal(syscall(SYS_bpf, BPF_PROG_TEST_RUN, &a, sizeof(a)), 0);
	return a.test.retval;
}

static uint32_t tcp_frame(uint8_t *f, uint16_t src, uint16_t dst, unsigned options)
{
	uint8_t *ip = f + ETH, *tcp = ip + 20 + 4 * (size_t)options;

	memset(f, 0, 128);
	zk_put16(f + 12, 0x0800);
	ip[0] = (uint8_t)(0x45 + options);
	ip[9] = 6;
	zk_put32(ip + 12, 0x0a000002);
	zk_put32(ip + 16, 0x0a000001);
	zk_put16(tcp, src);
	zk_put16(tcp + 2, dst);
	return ETH + 40 + 4 * options;
}

/* ---- the rules again ---- */

static uint32_t judge(const struct steer_prog *s, const struct net *n, const uint8_t *f,
		      uint32_t len)
{
	struct pkt p = {
		.buf = (uint8_t *)(uintptr_t)f, .data = (uint8_t *)(uintptr_t)f, .len = len};
	uint32_t ihl = (f[ETH] & 15u) * 4;
	uint16_t src, dst;

	if (len >= ETH + 20 + 4 && zk_get16(f + 12) == 0x0800 && f[ETH + 9] == 6 &&
	    net_local_port(&p, &dst)) {
		src = zk_get16(f + ETH + ihl);
		if (dst != s->client_port && (dst == s->listen[0] || dst == s->listen[1]))
			return s->peer_queue;
		for (unsigned i = 0; i < s->remotes && dst != s->client_port; i++)
			if (src == s->remote[i])
				return s->peer_queue;
	}
	return net_owner_of_frame(n, &p) % s->client_queues;
}

static struct net *stack(const struct steer_prog *s, struct zk_mem *mem, struct pkt_pool *pool)
{
	struct net_conf nc = {.addr = net_addr_v4(0x0a000001), .prefix = 24, .mtu = 1500};
	struct tcp_conf tc;
	struct net *n;

	zk_mem_init_heap(mem, 0);
	tcp_conf_default(&tc);
	tc.conns_max = 4;
	nc.cores = s->cores;
	nc.mem = mem;
	nc.pool = pool;
	memcpy(nc.steer_key, &s->key, sizeof(nc.steer_key));
	assert_int_equal(net_new(&nc, &tc, 1, &n), ZK_EOK);
	return n;
}

static void fixed_frames(void **state)
{
	static const struct {
		uint16_t src, dst;
		bool peer;
	} v[] = {
		{50000, CLIENT, false},    {50000, QUORUM, true},   {50000, ELECTION, true},
		{QUORUM, 50000, true},     {ELECTION, 50000, true}, {2889, 50000, true},
		{3889, 50000, true},       {50000, 2889, false},    {QUORUM, CLIENT, false},
		{ELECTION, CLIENT, false}, {CLIENT, 50000, false},  {50000, 40000, false},
		{CLIENT, QUORUM, true},    {0, 0, false},           {65535, 65535, false},
	};
	uint8_t f[128];
	int fd = load(&prog);

	(void)state;
	for (unsigned options = 0; options <= 10; options += 5)
		for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
			uint32_t len = tcp_frame(f, v[i].src, v[i].dst, options);
			uint32_t q = run(fd, f, len);

			if ((q == PEER_QUEUE) != v[i].peer || (q != PEER_QUEUE && q > 2))
				fail_msg("%u to %u, %u words of options: queue %u", v[i].src,
					 v[i].dst, options, q);
		}
	close(fd);
}

static void what_is_no_segment(void **state)
{
	uint8_t f[128];
	uint32_t len;
	int fd = load(&prog);

	(void)state;
	for (len = 0; len < ETH + 24; len++) { /* too short for ports */
		(void)tcp_frame(f, 50000, QUORUM, 0);
		assert_int_equal(run(fd, f, len), 0);
	}
	assert_int_equal(run(fd, f, len), PEER_QUEUE);
	len = tcp_frame(f, 50000, QUORUM, 0);
	f[ETH + 9] = 17; /* UDP */
	assert_int_equal(run(fd, f, len), 0);
	len = tcp_frame(f, 50000, QUORUM, 0);
	zk_put16(f + 12, 0x0806); /* ARP */
	assert_int_equal(run(fd, f, len), 0);
	len = tcp_frame(f, 50000, QUORUM, 0);
	f[ETH] = 0x65;
	assert_int_equal(run(fd, f, len), 0);
	len = tcp_frame(f, 50000, QUORUM, 0);
	f[ETH] = 0x44; /* header too short */
	assert_int_equal(run(fd, f, len), 0);
	len = tcp_frame(f, 50000, QUORUM, 0);
	zk_put16(f + ETH + 6, 0x2000); /* a fragment */
	assert_int_equal(run(fd, f, len), 0);
	zk_put16(f + ETH + 6, 0x0010);
	assert_int_equal(run(fd, f, len), 0);
	zk_put16(f + ETH + 6, 0x4000); /* "don't" */
	assert_int_equal(run(fd, f, len), PEER_QUEUE);
	len = tcp_frame(f, 50000, QUORUM, 10);
	assert_int_equal(run(fd, f, ETH + 63), 0); /* options, no ports */
	close(fd);
}

/* Ports, addresses, headers as they come, for one core to sixteen; last: five with three queues. */
static void random_frames(void **state)
{
	static const uint16_t some[] = {CLIENT, QUORUM, ELECTION, 2889, 3889, 50000};
	static const uint16_t cores[] = {1, 2, 3, 16, 5}, queues[] = {1, 2, 3, 16, 3};
	unsigned seen[5][PEER_QUEUE + 16] = {{0}};

	(void)state;
	for (unsigned k = 0; k < 5; k++) {
		struct pkt_pool *pool = pkt_heap_pool_new(16, 2048);
		struct steer_prog s = prog;
		struct zk_mem mem;
		struct net *n;
		int fd;

		s.cores = cores[k];
		s.client_queues = s.peer_queue = queues[k];
		s.key.k0 = (uint64_t)rnd() << 32 | rnd();
		s.key.k1 = (uint64_t)rnd() << 32 | rnd();
		n = stack(&s, &mem, pool);
		fd = load(&s);
		for (unsigned i = 0; i < FRAMES; i++) {
			uint8_t f[128];
			uint32_t len, want, q;

			len = tcp_frame(f, rnd() % 2 ? some[rnd() % 6] : (uint16_t)rnd(),
					rnd() % 2 ? some[rnd() % 6] : (uint16_t)rnd(), rnd() % 4);
			zk_put32(f + ETH + 12, rnd());
			zk_put32(f + ETH + 16, rnd());
			if (rnd() % 8 == 0)
				f[ETH + rnd() % 40] ^= (uint8_t)rnd();
			if (rnd() % 16 == 0)
				len = ETH + rnd() % 60;
			want = len < ETH + 20 ? 0 : judge(&s, n, f, len);
			q = run(fd, f, len);
			if (q != want)
				fail_msg("%u cores, frame %u of %u bytes: queue %u, not %u",
					 cores[k], i, len, q, want);
			seen[k][q]++;
		}
		close(fd);
		for (unsigned q = 0; q <= queues[k]; q++)
			assert_true(seen[k][q] > FRAMES / 100);
		net_free(n);
		assert_int_equal(mem.used_bytes, 0);
		assert_int_equal(pkt_heap_pool_free(pool), 0);
	}
}

static void as_many_members_as_there_may_be(void **state)
{
	struct bpf_insn v[STEER_PROG_MAX];
	struct steer_prog s = prog;
	uint8_t f[128];
	int fd;

	(void)state;
	s.cores = s.client_queues = 16;
	s.peer_queue = 16;
	s.remotes = STEER_REMOTE_PORTS_MAX;
	for (unsigned i = 0; i < s.remotes; i++)
		s.remote[i] = (uint16_t)(10000 + i);
	assert_true(steer_prog_build(&s, v) <= STEER_PROG_MAX);
	fd = load(&s);
	assert_int_equal(run(fd, f, tcp_frame(f, 10000, 50000, 0)), 16);
	assert_int_equal(run(fd, f, tcp_frame(f, 10511, 50000, 0)), 16);
	assert_true(run(fd, f, tcp_frame(f, 10512, 50000, 0)) < 16);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fixed_frames),
		cmocka_unit_test(what_is_no_segment),
		cmocka_unit_test(random_frames),
		cmocka_unit_test(as_many_members_as_there_may_be),
	};

	return cmocka_run_group_tests_name("steer_prog", tests, NULL, NULL);
}
