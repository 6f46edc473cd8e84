/* SPDX-License-Identifier: Apache-2.0 */
/** Budgets, back-pressure, half-open limits, time limits, path MTU. */
#include "core/base/endian.h"
#include "dp/net/csum.h"
#include "dp/net/tcp/tcp_int.h"
#include "dp/net/wire.h"
#include "test/unit/tcp/pair.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void drain_ready(struct pair *w)
{
	unsigned e;

	for (int i = 0; i < 2; i++)
		while (tcp_next_ready(w->t[i], &e))
			;
}

static void test_idle_connection_is_small(void **state)
{
	struct pair *w = pair_new(NULL);
	struct tcp_conn *c[2];
	size_t before;

	(void)state;
	assert_true(sizeof(struct tcp_conn) + 2 * sizeof(struct tcp_slot) <= 1024);
	pair_open(w, c);
	before = w->mem[0].used_bytes;
	for (int i = 0; i < 62; i++)
		pair_open(w, c);
	assert_int_equal(w->mem[0].used_bytes, before);
	drain_ready(w);
	pair_run(w, 7000 * MS);
	/* an idle connection holds no packet and needs no timer */
	assert_int_equal(pkt_heap_pool_live(w->tx[0]) + pkt_heap_pool_live(w->rx[0]), 0);
	assert_true(net_next_timer_ns(w->n[0]) == UINT64_MAX);
	pair_free(w);
}

static void test_unread_small_packets_are_copied_together(void **state)
{
	struct pair *w = pair_new(NULL);
	struct tcp_conn *c[2];

	(void)state;
	pair_open(w, c);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(tcp_write(c[1], "0123456789", 10), 10);
		pair_run(w, MS);
		drain_ready(w);
	}
	assert_int_equal(tcp_readable(c[0]), 2000);
	/* 200 packets have come; none of the device's buffers is kept */
	assert_int_equal(pkt_heap_pool_live(w->rx[0]), 0);
	assert_true(w->t[0]->snd.held == 0 && w->t[0]->rcv.held == 0);
	for (size_t i = 0; i < 2000; i += 10)
		assert_int_equal(tcp_peek(c[0], i).p[0], '0');
	tcp_read_done(c[0], 2000);
	assert_int_equal(tcp_readable(c[0]), 0);
	pair_free(w);
}

static void test_send_budget_and_write_event(void **state)
{
	struct tcp_conf conf;
	struct pair *w;
	struct tcp_conn *c[2];
	static uint8_t buf[100000];
	size_t n, total;

	(void)state;
	tcp_conf_default(&conf);
	conf.conns_max = 8;
	conf.snd_buf_bytes = 20000;
	conf.rcv_buf_bytes = 10000;
	w = pair_new(&conf);
	pair_open(w, c);
	total = n = tcp_write(c[0], buf, sizeof(buf));
	assert_int_equal(n, 20000);
	assert_null(tcp_tail(c[0], 100));
	/* the peer does not read: the window closes, nothing is lost, nobody gives up */
	pair_run(w, 100000 * MS);
	assert_in_range(tcp_readable(c[1]), 9000, 11000);
	assert_int_equal(tcp_close_reason(c[0]), TCP_CLOSE_NONE);
	assert_true(STAT(w, 0, tcp_persist_probes) > 3);
	assert_int_equal(STAT(w, 0, tcp_rto), 0);
	/* it reads: the window is announced at once, the writer hears of it */
	n = tcp_readable(c[1]);
	tcp_read_done(c[1], n);
	assert_true(pair_wait(w, 0, c[0], TCP_READY_WRITE, 5 * MS) & TCP_READY_WRITE);
	while (n < total) {
		size_t k = tcp_readable(c[1]);

		tcp_read_done(c[1], k);
		n += k;
		if (!k)
			pair_run(w, MS);
		assert_true(w->now_ns < 500000 * MS);
	}
	pair_free(w);
}

static void test_control_packets_when_data_has_eaten_the_pool(void **state)
{
	struct pair *w = pair_new2(NULL, NULL, 64, 1500);
	struct tcp_conn *c[2], *d;
	static uint8_t buf[400000];
	uint64_t lost = 0;
	size_t n;

	(void)state;
	pair_open(w, c);
	/* as much as the pool gives; 8 of 64 buffers stay for control packets */
	n = tcp_write(c[0], buf, sizeof(buf));
	assert_true(n < sizeof(buf));
	assert_int_equal(pkt_heap_pool_live(w->tx[0]), 56);
	w->ctx = &lost;
	assert_int_equal(tcp_connect(w->t[1], net_addr_v4(0x0a000001), PAIR_PORT, w->now_ns, &d),
			 ZK_EOK);
	assert_true(pair_wait(w, 1, d, TCP_READY_OPEN, 100 * MS) & TCP_READY_OPEN);
	assert_int_equal(STAT(w, 0, pool_empty), 0);
	/* buffers come back, and so does the event */
	for (size_t got = 0; got < n;) {
		size_t k = tcp_readable(c[1]);

		tcp_read_done(c[1], k);
		got += k;
		pair_run(w, MS);
	}
	assert_true(pair_wait(w, 0, c[0], TCP_READY_WRITE, 100 * MS) & TCP_READY_WRITE);
	pair_free(w);
}

static int64_t no_third_ack(struct pair *w, int from, struct pkt *p)
{
	(void)w;
	return from == 1 && pair_tcp(p) && !(pair_tcp(p)[TCP_FLAGS] & TH_SYN) ? -1 : 0;
}

static void test_cookies_when_the_backlog_is_full(void **state)
{
	struct tcp_conf conf;
	struct pair *w;
	struct tcp_conn *c[2], *d;

	(void)state;
	tcp_conf_default(&conf);
	conf.conns_max = 64;
	conf.syn_backlog = 4;
	conf.syn_give_up_ms = 20000;
	w = pair_new(&conf);
	w->filter = no_third_ack;
	for (int i = 0; i < 4; i++)
		assert_int_equal(
			tcp_connect(w->t[1], net_addr_v4(0x0a000001), PAIR_PORT, w->now_ns, &d),
			ZK_EOK);
	pair_run(w, 10 * MS);
	drain_ready(w);
	w->filter = NULL;
	pair_open(w, c);
	assert_int_equal(STAT(w, 0, tcp_syn_cookies_tx), 1);
	assert_int_equal(STAT(w, 0, tcp_syn_cookies_ok), 1);
	/* what the SYN had said is not forgotten */
	assert_int_equal(c[0]->flags & (CF_TS | CF_SACK), CF_TS | CF_SACK);
	assert_int_equal(c[0]->snd_wscale, c[1]->rcv_wscale);
	assert_int_equal(c[0]->rcv_wscale, c[1]->snd_wscale);
	assert_int_equal(c[0]->mss, 1448);
	assert_int_equal(tcp_write(c[0], "hello", 5), 5);
	pair_wait(w, 1, c[1], TCP_READY_READ, 1000 * MS);
	assert_int_equal(tcp_readable(c[1]), 5);
	pair_free(w);
}

/* More connections than records: their SYNs are counted, and get through when there is room. */
static void test_no_answer_without_a_record(void **state)
{
	struct tcp_conf full, plenty;
	struct pair *w;
	struct tcp_conn *c[2], *d;

	(void)state;
	tcp_conf_default(&full);
	tcp_conf_default(&plenty);
	full.conns_max = 1;
	w = pair_new2(&full, &plenty, 64, 1500);
	pair_open(w, c);
	assert_int_equal(STAT(w, 0, tcp_syn_full), 0);
	assert_int_equal(tcp_connect(w->t[1], net_addr_v4(0x0a000001), PAIR_PORT, w->now_ns, &d),
			 ZK_EOK);
	assert_int_equal(pair_wait(w, 1, d, TCP_READY_OPEN, 500 * MS), 0);
	assert_int_equal(STAT(w, 0, tcp_syn_full), 1);
	assert_int_equal(tcp_conns(w->t[0]), 1);
	tcp_abort(c[0], w->now_ns);
	tcp_release(c[0], w->now_ns);
	assert_true(pair_wait(w, 1, d, TCP_READY_OPEN, 5000 * MS) & TCP_READY_OPEN);
	assert_int_equal(STAT(w, 0, tcp_syn_full), 1);
	pair_free(w);
}

static bool gate(void *ctx, const struct net_addr *from)
{
	unsigned *left = ctx;

	assert_int_equal(net_addr_to_v4(from), 0x0a000002);
	return (*left)-- > 0;
}

static void test_gate(void **state)
{
	struct pair *w = pair_new(NULL);
	struct tcp_conn *c;
	unsigned left = 0;

	(void)state;
	tcp_unlisten(w->t[0], PAIR_PORT);
	assert_int_equal(tcp_listen(w->t[0], PAIR_PORT, gate, &left), ZK_EOK);
	assert_int_equal(tcp_connect(w->t[1], net_addr_v4(0x0a000001), PAIR_PORT, w->now_ns, &c),
			 ZK_EOK);
	assert_true(pair_wait(w, 1, c, TCP_READY_CLOSED, 1000 * MS) & TCP_READY_CLOSED);
	assert_int_equal(tcp_close_reason(c), TCP_CLOSE_REFUSED);
	assert_int_equal(STAT(w, 0, tcp_syn_gated), 1);
	assert_int_equal(tcp_conns(w->t[0]), 0);
	pair_free(w);
}

static int64_t nothing(struct pair *w, int from, struct pkt *p)
{
	(void)w, (void)from, (void)p;
	return -1;
}

static void test_give_up_by_time(void **state)
{
	struct pair *w = pair_new(NULL);
	struct tcp_conn *c[2];
	uint64_t start;

	(void)state;
	pair_open(w, c);
	pair_run(w, 100000 * MS); /* idle for long: that is no lack of progress */
	w->filter = nothing;
	start = w->now_ns;
	assert_int_equal(tcp_write(c[0], "x", 1), 1);
	assert_true(pair_wait(w, 0, c[0], TCP_READY_CLOSED, 100000 * MS) & TCP_READY_CLOSED);
	assert_int_equal(tcp_close_reason(c[0]), TCP_CLOSE_TIMEOUT);
	assert_in_range((w->now_ns - start) / MS, 30000, 30100);
	pair_free(w);
}

static void test_closing_states_end(void **state)
{
	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		struct pair *w = pair_new(NULL);
		struct tcp_conn *c[2];

		pair_open(w, c);
		if (kind == 0) {
			w->filter = nothing; /* FIN_WAIT_1 */
			tcp_release(c[0], w->now_ns);
		} else if (kind == 1) {
			tcp_release(c[0], w->now_ns); /* FIN_WAIT_2: the peer never closes */
		} else {
			tcp_shutdown(c[1], w->now_ns);
			pair_run(w, 10 * MS);
			w->filter = nothing; /* LAST_ACK */
			tcp_release(c[0], w->now_ns);
		}
		pair_run(w, 61000 * MS);
		assert_int_equal(tcp_conns(w->t[0]), 0);
		pair_free(w);
	}
}

static void test_keepalive(void **state)
{
	struct tcp_conf conf;
	struct pair *w;
	struct tcp_conn *c[2];

	(void)state;
	tcp_conf_default(&conf);
	conf.conns_max = 8;
	conf.keepalive_idle_ms = 10000;
	w = pair_new(&conf);
	pair_open(w, c);
	pair_run(w, 60000 * MS);
	drain_ready(w);
	assert_int_equal(tcp_close_reason(c[0]), TCP_CLOSE_NONE);
	assert_true(STAT(w, 0, tcp_keepalives) + STAT(w, 1, tcp_keepalives) >= 5);
	w->filter = nothing;
	pair_run(w, 30000 * MS);
	assert_int_equal(tcp_close_reason(c[0]), TCP_CLOSE_TIMEOUT);
	assert_int_equal(tcp_close_reason(c[1]), TCP_CLOSE_TIMEOUT);
	pair_free(w);
}

/* A router with a small link: says so for every frame that does not fit. */
static int64_t small_link(struct pair *w, int from, struct pkt *p)
{
	uint8_t b[ETH_HDR + IP4_HDR + ICMP_HDR + IP4_HDR + 8] = {0}, *ip = b + ETH_HDR;
	uint8_t *icmp = ip + IP4_HDR;
	uint16_t csum;
	struct pkt *q;

	if (from != 0 || p->len <= ETH_HDR + 600)
		return 0;
	memcpy(b, p->data + 6, 6);
	memcpy(b + 6, p->data, 6);
	zk_put16(b + 12, ETH_TYPE_IP4);
	ip[0] = 0x45;
	zk_put16(ip + IP4_LEN, sizeof(b) - ETH_HDR);
	ip[IP4_TTL] = 9;
	ip[IP4_PROTO] = IP_PROTO_ICMP;
	zk_put32(ip + IP4_SRC, 0x0a0000fd);
	memcpy(ip + IP4_DST, p->data + ETH_HDR + IP4_SRC, 4);
	csum = csum_finish(csum_add(0, ip, IP4_HDR));
	memcpy(ip + IP4_CSUM, &csum, 2);
	icmp[0] = ICMP_UNREACHABLE;
	icmp[1] = ICMP_CODE_TOO_BIG;
	zk_put16(icmp + 6, 600);
	memcpy(icmp + ICMP_HDR, p->data + ETH_HDR, IP4_HDR + 8);
	csum = csum_finish(csum_add(0, icmp, ICMP_HDR + IP4_HDR + 8));
	memcpy(icmp + 2, &csum, 2);
	q = pkt_heap_from(w->rx[0], b, sizeof(b));
	w->wire[0][w->n_wire[0]++] = (struct pair_frame){.p = q, .at_ns = w->now_ns + w->delay_ns};
	return -1;
}

static void test_packet_too_big(void **state)
{
	struct pair *w = pair_new(NULL);
	struct tcp_conn *c[2];
	static uint8_t buf[50000];
	size_t got = 0;

	(void)state;
	pair_open(w, c);
	w->filter = small_link;
	assert_int_equal(tcp_write(c[0], buf, sizeof(buf)), sizeof(buf));
	for (int i = 0; i < 50 && got < sizeof(buf); i++) {
		size_t k = tcp_readable(c[1]);

		tcp_read_done(c[1], k);
		got += k;
		pair_run(w, 5 * MS);
	}
	assert_int_equal(got, sizeof(buf));
	assert_true(STAT(w, 0, icmp_too_big) >= 1);
	assert_true(STAT(w, 0, tcp_splits) > 0);
	assert_int_equal(STAT(w, 0, tcp_rto), 0);
	/* nothing is in flight now: a forged one changes nothing */
	assert_int_equal(c[0]->path_mtu, 600);
	assert_false(tcp_too_big(w->t[0], tcp_tuple(c[0]), c[0]->snd_una, 300));
	assert_int_equal(c[0]->path_mtu, 600);
	pair_free(w);
}

static void test_slow_readers_are_dropped_when_memory_is_short(void **state)
{
	struct tcp_conf conf, peer;
	struct pair *w;
	struct tcp_conn *c[6][2];
	static uint8_t buf[200000];
	unsigned dropped = 0;

	(void)state;
	tcp_conf_default(&conf);
	conf.conns_max = 8;
	conf.mem_packets_max = 40;
	peer = conf;
	peer.mem_packets_max = 1000;
	peer.rcv_buf_bytes = 4000;
	w = pair_new2(&conf, &peer, 1000, 1500);
	for (int i = 0; i < 6; i++)
		pair_open(w, c[i]);
	/* twice: the peer takes a window of it first */
	for (int i = 0; i < 12; i++) {
		assert_true(tcp_write(c[i % 6][0], buf, sizeof(buf)) <= sizeof(buf));
		pair_run(w, 20 * MS);
	}
	assert_true(tcp_mem_short(&w->t[0]->snd));
	pair_run(w, 20000 * MS);
	for (int i = 0; i < 6; i++)
		dropped += tcp_close_reason(c[i][0]) == TCP_CLOSE_MEMORY;
	assert_in_range(dropped, 1, 5);
	assert_int_equal(STAT(w, 0, tcp_conn_mem), dropped);
	assert_false(tcp_mem_short(&w->t[0]->snd));
	pair_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idle_connection_is_small),
		cmocka_unit_test(test_unread_small_packets_are_copied_together),
		cmocka_unit_test(test_send_budget_and_write_event),
		cmocka_unit_test(test_control_packets_when_data_has_eaten_the_pool),
		cmocka_unit_test(test_cookies_when_the_backlog_is_full),
		cmocka_unit_test(test_no_answer_without_a_record),
		cmocka_unit_test(test_gate),
		cmocka_unit_test(test_give_up_by_time),
		cmocka_unit_test(test_closing_states_end),
		cmocka_unit_test(test_keepalive),
		cmocka_unit_test(test_packet_too_big),
		cmocka_unit_test(test_slow_readers_are_dropped_when_memory_is_short),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
