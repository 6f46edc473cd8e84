/* SPDX-License-Identifier: Apache-2.0 */
/** Bulk transfer in both directions over bad wires: every byte arrives, in order, in bounded time.
 */
#include "core/base/endian.h"
#include "dp/net/wire.h"
#include "test/unit/tcp/pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct bad {
	unsigned loss, dup_delay, max_delay_us; /* per mille, per mille, us */
	bool no_sack, no_ts;
};

/* Turn an option of a SYN into NOPs, as an old peer would have sent it. */
static void strip(struct pkt *p, uint8_t kind)
{
	uint8_t *h = pair_tcp(p), *o = h + TCP_HDR, *end = h + (h[TCP_OFF] >> 4) * 4;

	if (!(h[TCP_FLAGS] & TH_SYN))
		return;
	while (o < end && *o != TCP_OPT_END) {
		uint8_t n = *o == TCP_OPT_NOP ? 1 : o[1];

		if (*o == kind)
			memset(o, TCP_OPT_NOP, n);
		o += n;
	}
	pair_refresh(p);
}

static int64_t bad_wire(struct pair *w, int from, struct pkt *p)
{
	const struct bad *b = w->ctx;

	(void)from;
	if (pair_tcp(p)) {
		if (b->no_sack)
			strip(p, TCP_OPT_SACK_OK);
		if (b->no_ts)
			strip(p, TCP_OPT_TS);
	}
	if (pair_random(w) % 1000 < b->loss)
		return -1;
	if (pair_random(w) % 1000 < b->dup_delay)
		return pair_random(w) % (b->max_delay_us * 1000);
	return 0;
}

static uint8_t pattern(uint64_t pos, int side)
{
	return (uint8_t)((pos * 2654435761u >> 13) + (unsigned)side);
}

struct stream {
	uint64_t sent, got, total;
};

static void pump(struct pair *w, int i, struct tcp_conn *c, struct stream *s, struct stream *peer)
{
	uint8_t buf[3000];
	size_t n;
	unsigned e;

	while (tcp_next_ready(w->t[i], &e))
		assert_false(e & TCP_READY_CLOSED);
	while (s->sent < s->total) {
		size_t want = 1 + pair_random(w) % sizeof(buf);

		if (want > s->total - s->sent)
			want = s->total - s->sent;
		for (size_t k = 0; k < want; k++)
			buf[k] = pattern(s->sent + k, i);
		n = tcp_write(c, buf, want);
		s->sent += n;
		if (n < want)
			break;
	}
	for (;;) {
		struct zk_span r = tcp_peek(c, 0);

		if (r.n == 0)
			break;
		if (r.n > 1000 && pair_random(w) % 4 == 0)
			r.n = 700;
		for (size_t k = 0; k < r.n; k++)
			if (r.p[k] != pattern(peer->got + k, 1 - i))
				fail_msg("side %d: wrong byte at %llu", i,
					 (unsigned long long)(peer->got + k));
		tcp_read_done(c, r.n);
		peer->got += r.n;
		if (pair_random(w) % 16 == 0)
			break; /* read slowly now and then */
	}
}

static void transfer(struct bad *b, const struct tcp_conf *conf, uint64_t total, uint32_t seed,
		     uint64_t limit_ns, bool hold)
{
	struct pair *w = pair_new(conf);
	struct tcp_conn *c[2];
	struct stream s[2] = {{.total = total}, {.total = total / 3}};
	uint64_t end;

	w->rng = seed;
	w->filter = bad_wire;
	w->ctx = b;
	w->hold_refs = hold;
	pair_open(w, c);
	end = w->now_ns + limit_ns;
	while ((s[0].got < s[0].total || s[1].got < s[1].total) && w->now_ns < end) {
		for (int i = 0; i < 2; i++)
			pump(w, i, c[i], &s[i], &s[1 - i]);
		pair_run(w, MS);
		if (w->n_held > 1000) {
			for (unsigned k = 0; k < w->n_held; k++)
				pkt_free(w->held[k]);
			w->n_held = 0;
		}
	}
	print_message("seed %u: %llu + %llu bytes in %llu ms; rtx %llu rto %llu fast %llu\n", seed,
		      (unsigned long long)s[0].got, (unsigned long long)s[1].got,
		      (unsigned long long)((w->now_ns + limit_ns - end) / MS),
		      (unsigned long long)STAT(w, 0, tcp_retransmits),
		      (unsigned long long)STAT(w, 0, tcp_rto),
		      (unsigned long long)STAT(w, 0, tcp_fast_retransmits));
	assert_int_equal(s[0].got, s[0].total);
	assert_int_equal(s[1].got, s[1].total);
	tcp_release(c[0], w->now_ns);
	tcp_release(c[1], w->now_ns);
	pair_run(w, 200000 * MS);
	assert_int_equal(tcp_conns(w->t[0]) + tcp_conns(w->t[1]), 0);
	pair_free(w);
}

static void test_clean(void **state)
{
	struct bad b = {0};

	(void)state;
	transfer(&b, NULL, 3 << 20, 1, 5000 * MS, false);
}

static void test_loss(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 12; seed++) {
		struct bad b = {.loss = 5 * seed, .no_sack = seed % 3 == 0, .no_ts = seed % 4 == 1};

		transfer(&b, NULL, 400 << 10, seed, 300000 * MS, false);
	}
}

static void test_reorder(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 8; seed++) {
		struct bad b = {
			.loss = seed, .dup_delay = 200, .max_delay_us = 3000, .no_sack = seed % 2};

		transfer(&b, NULL, 400 << 10, seed + 100, 300000 * MS, false);
	}
}

static void test_driver_keeps_packets(void **state)
{
	struct bad b = {.loss = 30};

	(void)state;
	transfer(&b, NULL, 300 << 10, 7, 300000 * MS, true);
}

static void test_small_buffers(void **state)
{
	struct tcp_conf conf;

	(void)state;
	for (uint32_t seed = 1; seed <= 6; seed++) {
		struct bad b = {.loss = 10 * (seed - 1), .no_sack = seed % 2};

		tcp_conf_default(&conf);
		conf.conns_max = 16;
		conf.rcv_buf_bytes = 1000 * seed;
		conf.snd_buf_bytes = 2000;
		conf.ooo_bytes = 8192;
		conf.ooo_intervals = 2;
		transfer(&b, &conf, 60 << 10, seed, 2000000 * MS, false);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),         cmocka_unit_test(test_loss),
		cmocka_unit_test(test_reorder),       cmocka_unit_test(test_driver_keeps_packets),
		cmocka_unit_test(test_small_buffers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
