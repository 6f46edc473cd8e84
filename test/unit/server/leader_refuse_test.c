/* SPDX-License-Identifier: Apache-2.0 */
/* The log takes nothing: writers are turned away, readers and sessions live on. */
#include "core/session/password.h"
#include "test/lib/lead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#define MS UINT64_C(1000000)

static struct lead *d;

static int setup(void **state)
{
	(void)state;
	d = lead_open(&(struct lead_opt){0});
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lead_close(d);
	return 0;
}

static struct zk_span create(const char *path)
{
	return req_create(path, "x", NULL, 0);
}

static unsigned kicks(uint32_t conn, uint64_t session)
{
	unsigned n = 0;

	for (size_t i = 0; i < d->out_n; i++)
		n += d->out[i].kind == MSG_KICK && d->out[i].conn.index == conn &&
		     d->out[i].session == session;
	return n;
}

/* Time passes, with ticks that nobody touches anything in. */
static void pass(uint64_t ms)
{
	for (uint64_t i = 0; i < ms; i += 100)
		lead_tick(d, d->now_ns + 100 * MS);
	lead_read(d);
}

static void test_waiting_writers_are_turned_away(void **state)
{
	uint64_t a, b, last;

	(void)state;
	a = lead_session(d, 0, 1, 10000);
	b = lead_session(d, 1, 2, 10000);
	lead_forget(d);
	d->late = true;
	last = d->logged;
	assert_int_equal(lead_send(d, 0, 1, a, 1, ZK_OP_CREATE, create("/a")), ZK_EOK);
	assert_int_equal(lead_send(d, 1, 2, b, 1, ZK_OP_CREATE, create("/b")), ZK_EOK);
	leader_refuse(d->l, true);
	leader_refuse(d->l, true);
	pass(100);
	assert_int_equal(d->out_n, 2);
	assert_int_equal(kicks(1, a) + kicks(2, b), 2);
	assert_string_equal(lead_node(d, "/a"), "none");
	pass(1000); /* once is enough */
	assert_int_equal(d->out_n, 2);

	/* What waited is logged when the log comes back, and nobody is told. */
	leader_refuse(d->l, false);
	lead_forget(d);
	lead_durable(d, last + 2, 100);
	assert_string_not_equal(lead_node(d, "/a"), "none");
	assert_string_not_equal(lead_node(d, "/b"), "none");
}

static void test_new_writes_and_sessions_too(void **state)
{
	struct leader_stats st;
	uint64_t a, logged;

	(void)state;
	a = lead_session(d, 0, 1, 10000);
	leader_refuse(d->l, true);
	lead_forget(d);
	d->late = true;
	logged = d->logged;
	assert_int_equal(lead_send(d, 0, 1, a, 1, ZK_OP_CREATE, create("/a")), ZK_EOK);
	lead_read(d);
	assert_int_equal(kicks(1, a), 1);
	assert_int_equal(lead_send(d, 0, 1, a, 2, ZK_OP_CLOSE_SESSION, zk_span_of("", 0)), ZK_EOK);
	lead_read(d);
	assert_int_equal(kicks(1, a), 2);
	assert_int_equal(lead_ask_session(d, 1, 7, 10000), ZK_EOK);
	lead_read(d);
	assert_int_equal(kicks(7, 0), 1);
	assert_int_equal(d->logged, logged);
	leader_stats_get(d->l, &st);
	assert_int_equal(st.refused_log, 3);
	assert_int_equal(st.sessions, 1);
}

static void test_reads_reconnects_and_touches_go_on(void **state)
{
	uint8_t password[16];
	uint64_t a;

	(void)state;
	a = lead_session(d, 0, 1, 10000);
	assert_int_equal(lead_send(d, 0, 1, a, 1, ZK_OP_CREATE, create("/a")), ZK_EOK);
	leader_refuse(d->l, true);
	d->late = true;
	lead_forget(d);
	assert_int_equal(lead_send(d, 0, 1, a, 9, ZK_OP_SYNC, req_path("/a")), ZK_EOK);
	lead_read(d);
	assert_int_equal(d->out_n, 1);
	assert_int_equal(d->out[0].kind, MSG_REPLY);
	assert_int_equal(d->out[0].err, ZK_EOK);
	lead_forget(d);
	session_password(a, password);
	assert_int_equal(lead_attach(d, 1, 3, a, 10000, password), ZK_EOK);
	lead_read(d);
	assert_int_equal(d->out[d->out_n - 1].kind, MSG_SESSION_OPENED);
	assert_int_equal(d->out[d->out_n - 1].session, a);
	assert_int_equal(lead_touch(d, 1, a), ZK_EOK);
}

static void test_no_session_expires(void **state)
{
	struct leader_stats st;
	uint64_t a;

	(void)state;
	a = lead_session(d, 0, 1, 4000);
	leader_refuse(d->l, true);
	lead_forget(d);
	pass(60000);
	assert_int_equal(kicks(1, a), 0);
	leader_stats_get(d->l, &st);
	assert_int_equal(st.sessions, 1);
	assert_int_equal(st.expired, 0);
	leader_refuse(d->l, false);
	pass(1000);
	leader_stats_get(d->l, &st);
	assert_int_equal(st.expired, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_waiting_writers_are_turned_away, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_new_writes_and_sessions_too, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reads_reconnects_and_touches_go_on, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_no_session_expires, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
