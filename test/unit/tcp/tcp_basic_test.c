/* SPDX-License-Identifier: Apache-2.0 */
/** Open, exchange, close; every order of closing. */
#include "test/unit/tcp/pair.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_open_data_close(void **state)
{
	struct pair *w = pair_new(NULL);
	struct tcp_conn *c[2];
	struct zk_span s;

	(void)state;
	pair_open(w, c);
	assert_int_equal(tcp_write(c[1], "ruok", 4), 4);
	assert_int_equal(pair_wait(w, 0, c[0], TCP_READY_READ, 1000 * MS), TCP_READY_READ);
	s = tcp_peek(c[0], 0);
	assert_int_equal(s.n, 4);
	assert_memory_equal(s.p, "ruok", 4);
	tcp_read_done(c[0], 4);
	assert_int_equal(tcp_write(c[0], "imok", 4), 4);
	tcp_shutdown(c[0], w->now_ns);
	assert_int_equal(pair_wait(w, 1, c[1], TCP_READY_READ | TCP_READY_FIN, 1000 * MS),
			 TCP_READY_READ | TCP_READY_FIN);
	s = tcp_peek(c[1], 0);
	assert_int_equal(s.n, 4);
	tcp_read_done(c[1], 4);
	tcp_release(c[1], w->now_ns);
	assert_int_equal(pair_wait(w, 0, c[0], TCP_READY_CLOSED | TCP_READY_FIN, 1000 * MS),
			 TCP_READY_CLOSED | TCP_READY_FIN);
	assert_int_equal(tcp_close_reason(c[0]), TCP_CLOSE_NORMAL);
	tcp_release(c[0], w->now_ns);
	pair_run(w, 10 * MS);
	assert_int_equal(tcp_conns(w->t[0]), 0);
	assert_int_equal(tcp_conns(w->t[1]), 0);
	/* the side that closed first keeps TIME_WAIT; the reply and the FIN shared a segment */
	assert_int_equal(STAT(w, 0, tcp_tw_new), 1);
	assert_int_equal(STAT(w, 1, tcp_tw_new), 0);
	assert_int_equal(STAT(w, 0, tcp_tx_data_segs), 1);
	assert_int_equal(STAT(w, 0, tcp_retransmits) + STAT(w, 1, tcp_retransmits), 0);
	pair_free(w);
}

static void test_refused(void **state)
{
	struct pair *w = pair_new(NULL);
	struct tcp_conn *c;

	(void)state;
	assert_int_equal(tcp_connect(w->t[1], net_addr_v4(0x0a000001), 99, w->now_ns, &c), ZK_EOK);
	assert_int_equal(pair_wait(w, 1, c, TCP_READY_CLOSED, 1000 * MS), TCP_READY_CLOSED);
	assert_int_equal(tcp_close_reason(c), TCP_CLOSE_REFUSED);
	tcp_release(c, w->now_ns);
	pair_free(w);
}

static void test_abort(void **state)
{
	struct pair *w = pair_new(NULL);
	struct tcp_conn *c[2];
	unsigned e;

	(void)state;
	pair_open(w, c);
	tcp_abort(c[1], w->now_ns);
	assert_int_equal(pair_wait(w, 0, c[0], TCP_READY_CLOSED, 1000 * MS), TCP_READY_CLOSED);
	assert_int_equal(tcp_close_reason(c[0]), TCP_CLOSE_RESET);
	assert_ptr_equal(tcp_next_ready(w->t[1], &e), c[1]);
	assert_int_equal(e, TCP_READY_CLOSED);
	assert_int_equal(tcp_close_reason(c[1]), TCP_CLOSE_LOCAL);
	tcp_release(c[0], w->now_ns);
	tcp_release(c[1], w->now_ns);
	pair_free(w);
}

static void test_simultaneous_close(void **state)
{
	struct pair *w = pair_new(NULL);
	struct tcp_conn *c[2];

	(void)state;
	pair_open(w, c);
	tcp_shutdown(c[0], w->now_ns);
	tcp_shutdown(c[1], w->now_ns);
	pair_run(w, 1000 * MS);
	assert_int_equal(tcp_close_reason(c[0]), TCP_CLOSE_NORMAL);
	assert_int_equal(tcp_close_reason(c[1]), TCP_CLOSE_NORMAL);
	tcp_release(c[0], w->now_ns);
	tcp_release(c[1], w->now_ns);
	assert_int_equal(STAT(w, 0, tcp_tw_new) + STAT(w, 1, tcp_tw_new), 2);
	pair_run(w, 70000 * MS);
	pair_free(w);
}

static void test_release_with_unread_data_resets(void **state)
{
	struct pair *w = pair_new(NULL);
	struct tcp_conn *c[2];

	(void)state;
	pair_open(w, c);
	assert_int_equal(tcp_write(c[1], "x", 1), 1);
	pair_wait(w, 0, c[0], TCP_READY_READ, 1000 * MS);
	tcp_release(c[0], w->now_ns);
	assert_true(pair_wait(w, 1, c[1], TCP_READY_CLOSED, 1000 * MS) & TCP_READY_CLOSED);
	assert_int_equal(tcp_close_reason(c[1]), TCP_CLOSE_RESET);
	tcp_release(c[1], w->now_ns);
	pair_free(w);
}

static void test_tail_in_place(void **state)
{
	struct pair *w = pair_new(NULL);
	struct tcp_conn *c[2];
	char *b;

	(void)state;
	pair_open(w, c);
	assert_null(tcp_tail(c[0], 1449));
	for (int i = 0; i < 16; i++) {
		b = tcp_tail(c[0], 100);
		assert_non_null(b);
		memset(b, 'a' + i, 64);
		tcp_tail_commit(c[0], 64);
	}
	b = tcp_tail(c[0], 1448);
	assert_non_null(b);
	tcp_tail_commit(c[0], 0);
	assert_int_equal(tcp_unsent(c[0]), 1024);
	pair_wait(w, 1, c[1], TCP_READY_READ, 1000 * MS);
	assert_int_equal(tcp_readable(c[1]), 1024);
	assert_int_equal(STAT(w, 0, tcp_tx_data_segs), 1);
	for (int i = 0; i < 16; i++)
		assert_int_equal(tcp_peek(c[1], (size_t)i * 64).p[0], 'a' + i);
	pair_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_data_close),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_abort),
		cmocka_unit_test(test_simultaneous_close),
		cmocka_unit_test(test_release_with_unread_data_resets),
		cmocka_unit_test(test_tail_in_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
