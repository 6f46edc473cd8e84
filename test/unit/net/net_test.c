/* SPDX-License-Identifier: Apache-2.0 */
/** Link and IP layers: checksums, addresses, owners, ARP, ICMP echo, drops. */
#include "dp/net/net.h"

#include "core/base/endian.h"
#include "dp/net/csum.h"
#include "dp/net/stats.h"
#include "dp/net/tcp/tcp.h"
#include "dp/net/wire.h"
#include "test/lib/pkt_heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { OURS = 0x0ab50001, PEER = 0x0ab50002, FAR = 0x08080808, GATEWAY = 0x0ab500fe };

static const uint8_t our_mac[6] = {2, 0, 0, 0, 0, 1}, peer_mac[6] = {2, 0, 0, 0, 0, 2},
		     all_mac[6] = {255, 255, 255, 255, 255, 255};

struct fixture {
	struct zk_mem mem;
	struct pkt_pool *pool, *rx;
	struct net *n;
	uint64_t now;
};

static struct fixture *setup(uint16_t core, uint16_t cores)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct tcp_conf tc;
	struct net_conf c = {.mac = {2, 0, 0, 0, 0, 1},
			     .addr = net_addr_v4(OURS),
			     .prefix = 24,
			     .gateway = net_addr_v4(GATEWAY),
			     .mtu = 1500,
			     .core = core,
			     .cores = cores};

	assert_non_null(f);
	zk_mem_init_heap(&f->mem, 0);
	f->pool = pkt_heap_pool_new(64, 2048);
	f->rx = pkt_heap_pool_new(64, 2048);
	f->now = 1000000000;
	c.pool = f->pool;
	c.mem = &f->mem;
	tcp_conf_default(&tc);
	tc.conns_max = 16;
	assert_int_equal(net_new(&c, &tc, f->now, &f->n), ZK_EOK);
	return f;
}

static void teardown(struct fixture *f)
{
	net_free(f->n);
	assert_int_equal(pkt_heap_pool_free(f->pool), 0);
	assert_int_equal(pkt_heap_pool_free(f->rx), 0);
	assert_int_equal(f->mem.used_bytes, 0);
	free(f);
}

static struct pkt *in(struct fixture *f, struct pkt *p)
{
	struct pkt *out = NULL;

	net_input(f->n, &p, 1, f->now);
	net_round_end(f->n, f->now);
	net_output(f->n, &out, 1, f->now);
	return out;
}

static struct pkt *arp(struct fixture *f, uint16_t oper, const uint8_t *dst, uint32_t spa,
		       uint32_t tpa)
{
	uint8_t b[ETH_HDR + ARP_BYTES] = {0};

	memcpy(b, dst, 6);
	memcpy(b + 6, peer_mac, 6);
	zk_put16(b + 12, ETH_TYPE_ARP);
	zk_put16(b + 14, 1);
	zk_put16(b + 16, ETH_TYPE_IP4);
	b[18] = 6;
	b[19] = 4;
	zk_put16(b + 20, oper);
	memcpy(b + 22, peer_mac, 6);
	zk_put32(b + 28, spa);
	zk_put32(b + 38, tpa);
	return pkt_heap_from(f->rx, b, sizeof(b));
}

static struct pkt *echo(struct fixture *f, uint32_t src, uint32_t dst, unsigned n, unsigned pad)
{
	uint8_t b[1600] = {0}, *ip = b + ETH_HDR, *icmp = ip + IP4_HDR;
	uint16_t csum;

	memcpy(b, our_mac, 6);
	memcpy(b + 6, peer_mac, 6);
	zk_put16(b + 12, ETH_TYPE_IP4);
	ip[0] = 0x45;
	zk_put16(ip + 2, (uint16_t)(IP4_HDR + ICMP_HDR + n));
	ip[8] = 7;
	ip[9] = IP_PROTO_ICMP;
	zk_put32(ip + 12, src);
	zk_put32(ip + 16, dst);
	csum = csum_finish(csum_add(0, ip, IP4_HDR));
	memcpy(ip + 10, &csum, 2);
	icmp[0] = ICMP_ECHO;
	for (unsigned i = 0; i < n; i++)
		icmp[ICMP_HDR + i] = (uint8_t)i;
	csum = csum_finish(csum_add(0, icmp, ICMP_HDR + n));
	memcpy(icmp + 2, &csum, 2);
	memset(icmp + ICMP_HDR + n, 0xee, pad);
	return pkt_heap_from(f->rx, b, ETH_HDR + IP4_HDR + ICMP_HDR + n + pad);
}

/* The definition of RFC 1071, two bytes at a time. */
static uint16_t slow_sum(const uint8_t *p, size_t n)
{
	uint32_t s = 0;

	for (size_t i = 0; i < n; i += 2)
		s += (uint32_t)(p[i] << 8) + (i + 1 < n ? p[i + 1] : 0u);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}

static void test_csum(void **state)
{
	uint8_t b[2000];
	uint32_t rng = 1;

	(void)state;
	for (unsigned k = 0; k < 4000; k++) {
		size_t n = k % sizeof(b), off = k % 7;
		uint8_t be[2];
		uint16_t v;

		if (n + off > sizeof(b))
			continue;
		for (size_t i = 0; i < n; i++) {
			rng = rng * 1664525 + 1013904223;
			b[off + i] = k % 5 == 0 ? 0xff : (uint8_t)(rng >> 24);
		}
		v = csum_fold(csum_add(0, b + off, n));
		memcpy(be, &v, 2);
		/* 0 and 0xffff are the same number */
		assert_int_equal(zk_get16(be) % 0xffff, slow_sum(b + off, n) % 0xffff);
	}
}

static void test_addr(void **state)
{
	struct net_addr a = net_addr_v4(0x01020304), zero = {{0}};

	(void)state;
	assert_true(net_addr_is_v4(&a));
	assert_false(net_addr_is_v4(&zero));
	assert_int_equal(net_addr_to_v4(&a), 0x01020304);
	assert_int_equal(a.b[12], 1);
}

static void test_stats_names(void **state)
{
	struct net_stats s = {.rx_frames = 7};

	(void)state;
	assert_string_equal(net_stats_describe(0)->name, "rx_frames");
	assert_int_equal(net_stats_value(&s, 0), 7);
	assert_string_equal(net_stats_describe(NET_STATS_COUNT - 1)->name, "tcp_snd_share_waits");
}

static void test_arp_request_is_answered_by_core_0_only(void **state)
{
	(void)state;
	for (uint16_t core = 0; core < 2; core++) {
		struct fixture *f = setup(core, 2);
		struct pkt *p = in(f, arp(f, ARP_REQUEST, all_mac, PEER, OURS));

		if (core == 0) {
			assert_non_null(p);
			assert_memory_equal(p->data, peer_mac, 6);
			assert_memory_equal(p->data + 6, our_mac, 6);
			assert_int_equal(zk_get16(p->data + 20), ARP_REPLY);
			assert_int_equal(zk_get32(p->data + 28), OURS);
			assert_int_equal(zk_get32(p->data + 38), PEER);
			pkt_free(p);
		} else {
			assert_null(p);
		}
		/* both have learned: an echo from there is answered without a question */
		p = in(f, echo(f, PEER, OURS, 10, 0));
		assert_non_null(p);
		assert_memory_equal(p->data, peer_mac, 6);
		assert_int_equal(p->data[ETH_HDR + IP4_HDR], ICMP_ECHO_REPLY);
		pkt_free(p);
		teardown(f);
	}
}

static void test_arp_not_for_us(void **state)
{
	struct fixture *f = setup(0, 1);
	struct pkt *p;

	(void)state;
	assert_null(in(f, arp(f, ARP_REQUEST, all_mac, PEER, PEER + 1)));
	/* a reply that nobody asked for makes no entry: the next packet asks */
	assert_null(in(f, arp(f, ARP_REPLY, our_mac, PEER, OURS)));
	p = in(f, echo(f, PEER, OURS, 0, 0));
	assert_non_null(p);
	assert_int_equal(zk_get16(p->data + 12), ETH_TYPE_ARP);
	pkt_free(p);
	/* and nobody takes our own address from us */
	assert_null(in(f, arp(f, ARP_REPLY, our_mac, OURS, OURS)));
	assert_int_equal(net_stats_get(f->n)->arp_conflict, 1);
	teardown(f);
}

static void test_arp_retries_then_gives_up(void **state)
{
	struct fixture *f = setup(0, 1);
	unsigned asked = 0;
	struct pkt *p;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		p = in(f, echo(f, PEER, OURS, 0, 0));
		if (p)
			asked++;
		pkt_free(p);
	}
	assert_int_equal(asked, 1);
	assert_int_equal(net_stats_get(f->n)->arp_pending_dropped, 2);
	while (net_next_timer_ns(f->n) != UINT64_MAX) {
		assert_true(net_next_timer_ns(f->n) > f->now);
		f->now = net_next_timer_ns(f->n);
		net_round_end(f->n, f->now);
		while (net_output(f->n, &p, 1, f->now)) {
			assert_int_equal(zk_get16(p->data + 20), ARP_REQUEST);
			asked++;
			pkt_free(p);
		}
		assert_true(asked < 10);
	}
	assert_int_equal(asked, 4);
	assert_int_equal(net_stats_get(f->n)->arp_failed, 1);
	assert_int_equal(net_stats_get(f->n)->arp_pending_dropped, 6);
	teardown(f);
}

static void test_arp_answer_sends_what_waits(void **state)
{
	struct fixture *f = setup(0, 1);
	struct pkt *p, *v[8];

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		pkt_free(in(f, echo(f, PEER, OURS, 5, 0)));
	p = arp(f, ARP_REPLY, our_mac, PEER, OURS);
	net_input(f->n, &p, 1, f->now);
	assert_int_equal(net_output(f->n, v, 8, f->now), 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_memory_equal(v[i]->data, peer_mac, 6);
		pkt_free(v[i]);
	}
	teardown(f);
}

static void test_off_link_goes_to_the_gateway(void **state)
{
	struct fixture *f = setup(0, 1);
	struct pkt *p = in(f, echo(f, FAR, OURS, 0, 0));

	(void)state;
	assert_non_null(p);
	assert_int_equal(zk_get16(p->data + 20), ARP_REQUEST);
	assert_int_equal(zk_get32(p->data + 38), GATEWAY);
	pkt_free(p);
	teardown(f);
}

static void test_echo_ignores_padding(void **state)
{
	struct fixture *f = setup(0, 1);
	struct pkt *p;

	(void)state;
	pkt_free(in(f, arp(f, ARP_REQUEST, all_mac, PEER, OURS)));
	p = in(f, echo(f, PEER, OURS, 3, 15));
	assert_non_null(p);
	assert_int_equal(p->len, ETH_HDR + IP4_HDR + ICMP_HDR + 3);
	assert_true(csum_ok(csum_add(0, p->data + ETH_HDR, IP4_HDR)));
	assert_true(csum_ok(csum_add(0, p->data + ETH_HDR + IP4_HDR, ICMP_HDR + 3)));
	pkt_free(p);
	teardown(f);
}

static void test_drops_are_counted(void **state)
{
	struct fixture *f = setup(0, 1);
	const struct net_stats *s = net_stats_get(f->n);
	struct pkt *p;

	(void)state;
	assert_null(in(f, pkt_heap_from(f->rx, our_mac, 6)));
	assert_int_equal(s->rx_short, 1);
	p = echo(f, PEER, OURS, 9, 0);
	p->data[5] ^= 1;
	assert_null(in(f, p));
	assert_int_equal(s->rx_not_for_us_mac, 1);
	assert_null(in(f, echo(f, PEER, OURS + 5, 9, 0)));
	assert_int_equal(s->ip_not_for_us, 1);
	assert_null(in(f, echo(f, OURS, OURS, 9, 0)));
	assert_null(in(f, echo(f, 0x0ab500ff, OURS, 9, 0)));
	assert_null(in(f, echo(f, 0xe0000001, OURS, 9, 0)));
	assert_int_equal(s->ip_bad_source, 3);
	p = echo(f, PEER, OURS, 9, 0);
	p->data[ETH_HDR + 1] ^= 1;
	assert_null(in(f, p));
	assert_int_equal(s->ip_bad_csum, 1);
	p = echo(f, PEER, OURS, 9, 0);
	p->len -= 1;
	assert_null(in(f, p));
	assert_int_equal(s->ip_bad_header, 1);
	p = echo(f, PEER, OURS, 9, 0);
	p->data[ETH_HDR + IP4_HDR + 9] ^= 1;
	assert_null(in(f, p));
	assert_int_equal(s->icmp_bad, 1);
	p = echo(f, PEER, OURS, 9, 0);
	zk_put16(p->data + 12, 0x86dd);
	assert_null(in(f, p));
	assert_int_equal(s->rx_unknown_ethertype, 1);
	teardown(f);
}

static void test_owner_is_even_and_the_same_everywhere(void **state)
{
	struct fixture *a = setup(0, 4), *b = setup(3, 4);
	unsigned n[4] = {0};

	(void)state;
	for (unsigned i = 0; i < 4000; i++) {
		struct net_tuple t = {.local = net_addr_v4(OURS),
				      .remote = net_addr_v4(PEER + i / 100),
				      .local_port = 2181,
				      .remote_port = (uint16_t)(30000 + i)};
		uint16_t o = net_owner(a->n, &t);

		assert_true(o < 4);
		assert_int_equal(o, net_owner(b->n, &t));
		n[o]++;
	}
	for (unsigned i = 0; i < 4; i++)
		assert_in_range(n[i], 800, 1200);
	teardown(a);
	teardown(b);
}

static void test_connect_chooses_a_port_of_this_core(void **state)
{
	(void)state;
	for (uint16_t core = 0; core < 4; core++) {
		struct fixture *f = setup(core, 4);
		struct tcp_conn *c;
		uint16_t last = 0;

		for (unsigned i = 0; i < 10; i++) {
			assert_int_equal(
				tcp_connect(net_tcp(f->n), net_addr_v4(PEER), 3888, f->now, &c),
				ZK_EOK);
			assert_int_equal(net_owner(f->n, tcp_tuple(c)), core);
			assert_true(tcp_tuple(c)->local_port != last);
			last = tcp_tuple(c)->local_port;
		}
		teardown(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_csum),
		cmocka_unit_test(test_addr),
		cmocka_unit_test(test_stats_names),
		cmocka_unit_test(test_arp_request_is_answered_by_core_0_only),
		cmocka_unit_test(test_arp_not_for_us),
		cmocka_unit_test(test_arp_retries_then_gives_up),
		cmocka_unit_test(test_arp_answer_sends_what_waits),
		cmocka_unit_test(test_off_link_goes_to_the_gateway),
		cmocka_unit_test(test_echo_ignores_padding),
		cmocka_unit_test(test_drops_are_counted),
		cmocka_unit_test(test_owner_is_even_and_the_same_everywhere),
		cmocka_unit_test(test_connect_chooses_a_port_of_this_core),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
