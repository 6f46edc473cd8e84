/* SPDX-License-Identifier: Apache-2.0 */
/** Memory of the core is shared fairly: who does not read must not starve who does. */
#include "dp/net/tcp/tcp_int.h"
#include "test/unit/tcp/pair.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { HOGS_MAX = 400, REQUEST = 100 };

static const uint64_t RTT_NS = 10 * MS;

struct crowd {
	struct pair *w;
	struct tcp_conn *hog[2][HOGS_MAX], *honest[2];
	unsigned hogs;
	size_t hog_asks; /* bytes that a hog's server side still wants to write, whenever it may */
	size_t answer;
	uint64_t killed;
};

static uint8_t bytes[1 << 20];

static struct crowd *crowd_new(unsigned hogs, uint32_t mem_packets, uint32_t pool)
{
	static struct crowd k;
	struct tcp_conf conf, peer;

	k = (struct crowd){.hogs = hogs};
	tcp_conf_default(&conf);
	conf.conns_max = 1024;
	peer = conf;
	peer.mem_packets_max = 100000;
	peer.rcv_buf_bytes = 16384;
	conf.mem_packets_max = mem_packets;
	k.w = pair_new2(&conf, &peer, pool, 1500);
	return &k;
}

/* pair_open() wants the ready list for itself. */
static void open_all(struct crowd *k, bool honest_first)
{
	if (honest_first)
		pair_open(k->w, k->honest);
	for (unsigned i = 0; i < k->hogs; i++) {
		struct tcp_conn *c[2];

		pair_open(k->w, c);
		k->hog[0][i] = c[0];
		k->hog[1][i] = c[1];
	}
	if (!honest_first)
		pair_open(k->w, k->honest);
	k->w->delay_ns = RTT_NS / 2;
}

static bool is_hog(const struct crowd *k, int side, const struct tcp_conn *c)
{
	return c != k->honest[side];
}

/* The server's application: answers the honest one, writes to hogs as long as they take it. */
static void serve(struct crowd *k)
{
	struct tcp_conn *c;
	unsigned e;

	while ((c = tcp_next_ready(k->w->t[0], &e))) {
		if (e & TCP_READY_CLOSED) {
			assert_true(is_hog(k, 0, c));
			for (unsigned i = 0; i < k->hogs; i++)
				if (k->hog[0][i] == c)
					k->hog[0][i] = NULL;
			tcp_release(c, k->w->now_ns);
			k->killed++;
		} else if (!is_hog(k, 0, c)) {
			if (tcp_readable(c) < REQUEST)
				continue;
			tcp_read_done(c, REQUEST);
			assert_int_equal(tcp_write(c, bytes, k->answer), k->answer);
		} else if (k->hog_asks && (e & TCP_READY_WRITE)) {
			while (tcp_write(c, bytes, k->hog_asks) == k->hog_asks)
				;
		}
	}
}

static void run(struct crowd *k, uint64_t ns)
{
	uint64_t end = k->w->now_ns + ns;
	unsigned e;

	while (k->w->now_ns < end) {
		struct tcp_conn *c;
		uint64_t next;

		pair_round(k->w);
		serve(k);
		pair_round(k->w);
		while ((c = tcp_next_ready(k->w->t[1], &e)))
			; /* hogs do not read; the honest one looks by itself */
		next = pair_next_ns(k->w);
		k->w->now_ns = next > k->w->now_ns ? (next < end ? next : end) : k->w->now_ns + 1;
	}
}

/* One request of the honest client. @return ns until its answer was complete. */
static uint64_t round_trip(struct crowd *k)
{
	struct tcp_conn *c = k->honest[1];
	uint64_t start = k->w->now_ns;

	assert_int_equal(tcp_write(c, bytes, REQUEST), REQUEST);
	while (tcp_readable(c) < k->answer && k->w->now_ns < start + 100 * RTT_NS)
		run(k, RTT_NS / 20);
	assert_int_equal(tcp_readable(c), k->answer);
	tcp_read_done(c, k->answer);
	return k->w->now_ns - start;
}

static void ask_for_a_while(struct crowd *k, size_t answer, uint64_t ns)
{
	uint64_t end = k->w->now_ns + ns;

	k->answer = answer;
	while (k->w->now_ns < end) {
		assert_in_range(round_trip(k), RTT_NS, 2 * RTT_NS);
		run(k, 100 * MS);
	}
}

static void crowd_end(struct crowd *k)
{
	pair_free(k->w);
}

static void fill_by_writing(struct crowd *k)
{
	k->hog_asks = sizeof(bytes);
	for (unsigned i = 0; i < k->hogs; i++)
		while (tcp_write(k->hog[0][i], bytes, k->hog_asks) == k->hog_asks)
			;
}

/* Each asks for 40 x 1 MB and reads nothing: their budgets are many times the memory. */
static void test_slow_readers_do_not_starve_others(void **state)
{
	(void)state;
	for (int honest_first = 0; honest_first < 2; honest_first++) {
		struct crowd *k = crowd_new(100, 7168, 16384);

		open_all(k, honest_first);
		fill_by_writing(k);
		ask_for_a_while(k, 200, 1500 * MS);
		/* an answer of several segments fits as well */
		ask_for_a_while(k, 4 * 1448, 1500 * MS);
		assert_true(STAT(k->w, 0, tcp_snd_share_waits) > 0);
		assert_true(k->w->t[0]->snd.held < 7168);
		crowd_end(k);
	}
}

/* So many that even the least share of each is more than there is. */
static void test_more_slow_readers_than_shares(void **state)
{
	struct crowd *k = crowd_new(HOGS_MAX, 7168, 16384);

	(void)state;
	open_all(k, false);
	fill_by_writing(k);
	ask_for_a_while(k, 200, 6000 * MS);
	/* who does not read loses the connection, but only as long as memory is short */
	assert_true(STAT(k->w, 0, tcp_conn_mem) > 0 && k->killed < HOGS_MAX / 2);
	crowd_end(k);
}

static void read_all(struct crowd *k, size_t total)
{
	size_t got = 0;

	for (unsigned tries = 0; got < total; tries++) {
		for (unsigned i = 0; i < k->hogs; i++) {
			size_t n = tcp_readable(k->hog[0][i]);

			tcp_read_done(k->hog[0][i], n);
			got += n;
		}
		run(k, RTT_NS);
		assert_true(tries < 3000);
	}
	assert_int_equal(got, total);
}

/* The other direction: requests that nobody reads. */
static void test_unread_data_does_not_starve_others(void **state)
{
	(void)state;
	for (int honest_first = 0; honest_first < 2; honest_first++) {
		struct crowd *k = crowd_new(100, 4096, 16384);

		open_all(k, honest_first);
		k->hog_asks = 0; /* the server does not look at them at all */
		for (unsigned i = 0; i < k->hogs; i++)
			assert_int_equal(tcp_write(k->hog[1][i], bytes, 100 * 1448), 100 * 1448);
		run(k, 100 * MS);
		ask_for_a_while(k, 200, 500 * MS);
		ask_for_a_while(k, 2 * 1448, 500 * MS);
		assert_true(k->w->t[0]->rcv.held > 4096 / 2);
		assert_true(k->w->t[0]->rcv.held < 4096);
		/* read, and everything flows again */
		read_all(k, 100 * 100 * 1448);
		crowd_end(k);
	}
}

/* Alone, a connection may have half of what there is; the event comes when it may go on. */
static void test_share_comes_back(void **state)
{
	struct crowd *k = crowd_new(1, 200, 16384);
	struct tcp_conn *s, *c;
	size_t n, got = 0;

	(void)state;
	open_all(k, false);
	s = k->hog[0][0];
	c = k->hog[1][0];
	n = tcp_write(s, bytes, 150 * 1448);
	assert_int_equal(n, 100 * 1448);
	assert_int_equal(STAT(k->w, 0, tcp_snd_share_waits), 1);
	while (got < n) {
		size_t m = tcp_readable(c);

		tcp_read_done(c, m);
		got += m;
		pair_run(k->w, RTT_NS);
		assert_true(k->w->now_ns < 100000 * MS);
	}
	assert_true(pair_wait(k->w, 0, s, TCP_READY_WRITE, MS) & TCP_READY_WRITE);
	crowd_end(k);
}

/* What may still be queued is what the pool has, at any time: a count that is only looked up when
 * it has run out makes the application stop before that, as if there were no room. */
static void test_room_is_the_pools(void **state)
{
	enum { POOL = 12000, MESSAGES = 9000, LEAST = 1000 };
	struct crowd *k = crowd_new(0, 100000, POOL);
	uint32_t least = UINT32_MAX;

	(void)state;
	open_all(k, true);
	for (unsigned i = 0; i < MESSAGES; i++) {
		uint32_t room = tcp_snd_room(k->w->t[0]);

		least = room < least ? room : least;
		assert_int_equal(tcp_write(k->honest[0], bytes, 8), 8);
		pair_round(k->w);
		if (i % 8 == 7) {
			pair_run(k->w, 2 * RTT_NS);
			tcp_read_done(k->honest[1], tcp_readable(k->honest[1]));
		}
	}
	assert_true(least >= LEAST);
	crowd_end(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room_is_the_pools),
		cmocka_unit_test(test_slow_readers_do_not_starve_others),
		cmocka_unit_test(test_more_slow_readers_than_shares),
		cmocka_unit_test(test_unread_data_does_not_starve_others),
		cmocka_unit_test(test_share_comes_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
