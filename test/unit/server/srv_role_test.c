/* SPDX-License-Identifier: Apache-2.0 */
/* A client core in an ensemble: roles come and go, sessions end with them. */
#include "core/server/quorum_view.h"
#include "core/server/srv_int.h"
#include "test/unit/server/srv_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct quorum_view view = {.sid = 3};
static const struct fake_conf ensemble = {.quorum = &view};

static const char not_serving[] = "This ZooKeeper instance is not currently serving requests\n";

/** A ConnectRequest. @p readonly: 0, 1; -1: the request ends before it. */
static struct fake_conn *hello(struct fake *f, int readonly, uint64_t session,
			       const uint8_t *password)
{
	struct fake_conn *fc = fake_open(f);
	uint8_t b[49] = {0};
	size_t n = readonly < 0 ? 44 : 45;

	assert_non_null(fc);
	zk_put32(b, (uint32_t)n);
	zk_put32(b + 16, 10000);
	zk_put64(b + 20, session);
	zk_put32(b + 28, 16);
	if (password)
		memcpy(b + 32, password, 16);
	b[48] = readonly > 0;
	fake_send(fc, b, 4 + n);
	fake_settle(f);
	return fc;
}

static void starts_without_role(void **state)
{
	struct fake *f = fake_new(&ensemble);
	struct fake_conn *fc;

	(void)state;
	fc = hello(f, 0, 0, NULL);
	assert_true(fc->shut);
	got_nothing(fc);
	assert_int_equal(f->creates, 0);
	fake_gone(fc);
	fake_role(f, ROLE_FOLLOWING);
	fc = fake_session(f);
	ask_create(fc, 1, "/a", "x");
	fake_settle(f);
	(void)got_reply(fc, 1, 0);
	fake_free(f);
}

/* the words of a server that serves nobody, as Apache's */
static void words_while_looking(void **state)
{
	static const char *const plain[] = {"srvr", "stat", "mntr", "conf", "cons", "dirs",
					    "crst", "dump", "srst", "wchc", "wchp", "wchs"};
	struct fake *f = fake_new(&ensemble);

	(void)state;
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		assert_string_equal(fake_word(f, plain[i]), not_serving);
	assert_string_equal(fake_word(f, "ruok"), "imok");
	assert_string_equal(fake_word(f, "isro"), "null");
	assert_string_equal(fake_word(f, "gtmk"), "306");
	assert_string_equal(fake_word(f, "envi"), "Environment:\n");
	assert_string_equal(fake_word(f, "hash"),
			    "This ZooKeeper instance is not currently serving requests");
	f->shared.four_letter_words = srv_words_parse(NULL);
	assert_string_equal(fake_word(f, "ruok"),
			    "ruok is not executed because it is not in the whitelist.\n");
	fake_free(f);
}

/** A setData whose body is lent to the leader core. */
static void ask_long(struct fake_conn *fc, int32_t xid)
{
	static uint8_t b[100000];

	zk_put32(b, sizeof(b) - 4);
	zk_put32(b + 4, (uint32_t)xid);
	zk_put32(b + 8, ZK_OP_SET_DATA);
	zk_put32(b + 12, 2);
	memcpy(b + 16, "/a", 2);
	zk_put32(b + 18, sizeof(b) - 26);
	zk_put32(b + sizeof(b) - 4, UINT32_MAX);
	fc->run_max = 1000;
	fake_send(fc, b, sizeof(b));
}

/* what waits at the leader core is answered no more, and comes out even */
static void loses_role(void **state)
{
	struct fake_conf conf = {.quorum = &view,
				 .limit = {.large_bytes = 100, .large_max_bytes = 1 << 20}};
	struct fake *f = fake_serving(&conf, ROLE_LEADING);
	struct fake_conn *idle = fake_session(f), *busy = fake_session(f), *opening, *fresh;

	(void)state;
	ask_path(idle, 1, ZK_OP_EXISTS, "/a", true);
	fake_settle(f);
	(void)got_reply(idle, 1, ZK_NONODE);
	f->hold = true;
	ask_create(busy, 1, "/a", "x");
	ask_long(busy, 2);
	ask_path(busy, 3, ZK_OP_EXISTS, "/a", false);
	opening = hello(f, 0, 0, NULL);
	fresh = fake_open(f);
	fake_settle(f);
	assert_int_equal(f->shared.limits.in_process, 2);
	assert_true(f->shared.limits.large_bytes > 0);
	fake_role(f, ROLE_LOOKING);
	fake_settle(f);
	assert_true(idle->shut && busy->shut && opening->shut && !fresh->shut);
	assert_false(idle->reset || busy->reset || opening->reset);
	got_nothing(idle);
	got_nothing(busy);
	got_nothing(opening);
	assert_int_equal(f->shared.limits.in_process, 0);
	assert_int_equal(f->shared.limits.large_bytes, 0);
	assert_int_equal(f->srv->n.outstanding, 0);
	assert_int_equal(f->srv->n.watch_data, 0);
	assert_int_equal(f->srv->n.conns_parted, 3);
	assert_int_equal(f->srv->lent_n, 1);
	/* the leader core takes the ring's records all the same: none is done */
	f->hold = false;
	fake_settle(f);
	assert_int_equal(f->crossed, 3);
	assert_int_equal(f->requests, 0);
	assert_int_equal(f->detaches, 2);
	assert_int_equal(f->srv->lent_n, 0);
	fake_free(f);
}

/* answers of before may lie on the ring behind the word of the next role */
static void late_answers(void **state)
{
	struct fake *f = fake_serving(&ensemble, ROLE_LEADING);
	struct fake_conn *busy = fake_session(f), *opening;
	struct msg_reply r = {.h = {.kind = MSG_REPLY}, .xid = 1, .op = ZK_OP_CREATE};
	struct msg_session o = {.h = {.kind = MSG_SESSION_OPENED}, .session = 77, .timeout_ms = 9};
	struct msg_role m = {.h = {.kind = MSG_ROLE}, .role = ROLE_FOLLOWING, .term = 9};
	uint8_t *p;

	(void)state;
	f->hold = true;
	ask_create(busy, 1, "/a", "x");
	opening = hello(f, 0, 0, NULL);
	r.h.conn = (struct msg_conn){busy->c->index, busy->c->generation};
	o.h.conn = (struct msg_conn){opening->c->index, opening->c->generation};
	f->term = 9;
	p = zk_ring_reserve(&f->down, sizeof(m));
	memcpy(p, &m, sizeof(m));
	zk_ring_commit(&f->down, sizeof(m));
	p = zk_ring_reserve(&f->down, sizeof(r));
	memcpy(p, &r, sizeof(r));
	zk_ring_commit(&f->down, sizeof(r));
	p = zk_ring_reserve(&f->down, sizeof(o));
	memcpy(p, &o, sizeof(o));
	zk_ring_commit(&f->down, sizeof(o));
	zk_ring_publish(&f->down);
	ask_path(busy, 2, ZK_OP_EXISTS, "/a", false); /* comes in the very round */
	fake_settle(f);
	assert_true(busy->shut && opening->shut);
	got_nothing(busy);
	got_nothing(opening);
	assert_int_equal(f->srv->n.stale_replies, 1);
	assert_int_equal(f->shared.limits.in_process, 0);
	f->hold = false;
	fake_settle(f);
	/* and the next ones are served */
	fake_gone(busy);
	busy = fake_session(f);
	ask_create(busy, 1, "/b", "x");
	fake_settle(f);
	(void)got_reply(busy, 1, 0);
	fake_free(f);
}

/* output that the client does not read is not waited for */
static void unread_output(void **state)
{
	struct fake *f = fake_serving(&ensemble, ROLE_OBSERVING);
	struct fake_conn *fc = fake_session(f);

	(void)state;
	ask_create(fc, 1, "/a", "some text");
	fake_settle(f);
	(void)got_reply(fc, 1, 0);
	fake_writable(fc, 5);
	ask_path(fc, 2, ZK_OP_GET_DATA, "/a", false);
	fake_settle(f);
	assert_true(fc->c->out.n > 0);
	fake_role(f, ROLE_LOOKING);
	fake_settle(f);
	assert_true(fc->shut);
	assert_int_equal(fake_out(fc).n, 5);
	assert_null(fc->c->out.p);
	fake_free(f);
}

/* a word that waits for the other cores goes through */
static void word_under_way(void **state)
{
	struct fake *f = fake_serving(&ensemble, ROLE_FOLLOWING);
	struct fake_conn *fc = fake_open(f);

	(void)state;
	f->hold = true;
	fake_send(fc, "cons", 4);
	fake_settle(f);
	fake_role(f, ROLE_LOOKING);
	fake_settle(f);
	assert_false(fc->shut);
	f->hold = false;
	fake_settle(f);
	assert_true(fc->shut && fc->out_n > 0);
	assert_false(f->srv->ask[0].used || f->srv->ask[1].used);
	fake_free(f);
}

enum { MANY = 3000 };

/* one transport for all of them */
static size_t many_zero(void *t)
{
	(void)t;
	return 0;
}

static struct zk_span many_peek(void *t, size_t skip)
{
	(void)skip;
	(void)t;
	return (struct zk_span){NULL, 0};
}

static void many_read_done(void *t, size_t n)
{
	(void)t;
	assert_int_equal(n, 0);
}

static void *many_tail(void *t, size_t n)
{
	(void)t;
	(void)n;
	return NULL;
}

static void many_commit(void *t, size_t used)
{
	(void)t;
	(void)used;
}

static size_t many_write(void *t, const void *p, size_t n)
{
	(void)t;
	(void)p;
	return n;
}

static void many_end(void *t)
{
	unsigned *ended = t;

	++*ended;
}

static const struct srv_io many_io = {many_peek,  many_zero, many_read_done, many_tail, many_commit,
				      many_write, many_zero, many_end,       many_end};

/* a few in each round, however many there are */
static void in_slices(void **state)
{
	struct fake_conf conf = {.quorum = &view, .io = &many_io, .conns_max = MANY};
	struct fake *f = fake_serving(&conf, ROLE_LEADING);
	static struct srv_conn *c[MANY];
	unsigned ended = 0, rounds = 0;

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		char addr[16];

		snprintf(addr, sizeof(addr), "10.0.%u.%u", i >> 8, i & 255);
		c[i] = srv_open(f->srv, &ended, addr, 1, f->now_ns);
		assert_non_null(c[i]);
		c[i]->state = CONN_LIVE;
		c[i]->term = f->term;
	}
	fake_role(f, ROLE_LOOKING);
	while (ended < MANY) {
		unsigned before = ended;

		fake_round(f);
		assert_true(ended - before <= SRV_PART_ROUND);
		assert_true(ended == MANY || srv_next_ns(f->srv) <= f->now_ns);
		/* the next role does not wait for them, and does not serve them */
		if (rounds++ == 2)
			fake_role(f, ROLE_FOLLOWING);
		assert_true(rounds < 100);
	}
	assert_true(rounds >= MANY / SRV_PART_ROUND);
	for (unsigned i = 0; i < MANY; i++)
		srv_gone(c[i], f->now_ns);
	fake_free(f);
}

/* ---- read-only mode ---- */

static const struct fake_conf local = {.quorum = &view, .local_sessions = true};

static void readonly_session(void **state)
{
	struct fake *f = fake_new(&local);
	struct fake_conn *fc;
	struct req r;
	struct got g;

	(void)state;
	(void)fake_tx(f, ZK_OP_CREATE, "/a", "text");
	fake_role(f, ROLE_READONLY);
	fake_settle(f);
	fc = hello(f, 0, 0, NULL); /* not without the flag */
	assert_true(fc->shut);
	got_nothing(fc);
	fake_gone(fc);
	fc = hello(f, -1, 0, NULL);
	assert_true(fc->shut);
	got_nothing(fc);
	fake_gone(fc);
	fc = hello(f, 1, 0, NULL);
	assert_int_equal(fc->out_n, 41);
	assert_int_equal(zk_get32(fc->out + 8), 10000);
	assert_int_equal(zk_get64(fc->out + 12) >> 56, 3);
	assert_int_equal(fc->out[40], 1);
	fc->out_at = 41;
	ask_path(fc, 1, ZK_OP_GET_DATA, "/a", true);
	ask_set(fc, 2, "/a", "no");
	ask_create(fc, 3, "/b", "no");
	ask_path(fc, 4, ZK_OP_DELETE, "/a", false);
	ask_path(fc, 5, ZK_OP_SYNC, "/a", false);
	ask_path(fc, 6, ZK_OP_MULTI, "/a", false);
	ask_plain(fc, 7, ZK_OP_RECONFIG);
	ask_plain(fc, 8, ZK_OP_CHECK);
	ask_plain(fc, 9, ZK_OP_DELETE_CONTAINER);
	req_start(&r, 10, ZK_OP_GET_EPHEMERALS);
	req_str(&r, "/");
	req_send(&r, fc);
	ask_plain(fc, ZK_XID_PING, ZK_OP_PING);
	ask_path(fc, 11, ZK_OP_EXISTS, "/b", false);
	fake_settle(f);
	(void)got_reply(fc, 1, 0);
	for (int32_t xid = 2; xid <= 9; xid++) {
		g = got_reply(fc, xid, ZK_NOTREADONLY);
		assert_int_equal(g.zxid, 1);
		assert_int_equal(g.body_n, 0);
	}
	g = got_reply(fc, 10, 0);
	assert_int_equal(g.body_n, 4);
	assert_int_equal(jute_i32(&g.body), 0);
	(void)got_reply(fc, ZK_XID_PING, 0);
	(void)got_reply(fc, 11, ZK_NONODE);
	assert_int_equal(f->srv->n.local_sessions, 1);
	ask_plain(fc, 12, ZK_OP_CLOSE_SESSION);
	fake_settle(f);
	(void)got_reply(fc, 12, 0);
	assert_true(fc->shut);
	/* the leader core has heard of none of it */
	fake_advance(f, 100);
	assert_int_equal(f->creates + f->attaches + f->requests + f->detaches + f->touched, 0);
	assert_int_equal(f->srv->n.local_sessions, 0);
	fake_free(f);
}

/* corner case 119: without local sessions the answer is no ConnectResponse */
static void readonly_without_local_sessions(void **state)
{
	struct fake *f = fake_serving(&ensemble, ROLE_READONLY);
	struct fake_conn *fc = hello(f, 1, 0, NULL);

	(void)state;
	(void)got_reply(fc, 0, ZK_NOTREADONLY);
	got_nothing(fc);
	assert_false(fc->shut);
	ask_plain(fc, ZK_XID_PING, ZK_OP_PING); /* nothing is read any more */
	fake_settle(f);
	got_nothing(fc);
	fake_advance(f, 25000);
	assert_true(fc->shut);
	fake_free(f);
}

/* it is known again by its password; the ensemble's are not touched */
static void readonly_reconnect(void **state)
{
	struct fake *f = fake_serving(&local, ROLE_LEADING);
	struct fake_conn *fc = hello(f, 1, 0, NULL);
	uint64_t global = zk_get64(fc->out + 12), session;
	uint8_t password[16], local_password[16];

	(void)state;
	assert_int_equal(fc->out[40], 0);
	memcpy(password, fc->out + 24, 16);
	fake_role(f, ROLE_READONLY);
	fake_settle(f);
	assert_true(fc->shut);
	fake_gone(fc);
	fc = hello(f, 1, global, password); /* RENEW_GLOBAL_SESSION_IN_RO_MODE */
	assert_true(fc->shut);
	got_nothing(fc);
	fake_gone(fc);
	fc = hello(f, 1, 0, NULL);
	session = zk_get64(fc->out + 12);
	memcpy(local_password, fc->out + 24, 16);
	assert_memory_not_equal(local_password, password, 16);
	fake_gone(fc);
	fc = hello(f, 1, session, local_password);
	assert_int_equal(fc->out_n, 41);
	assert_true(zk_get64(fc->out + 12) == session);
	assert_memory_equal(fc->out + 24, local_password, 16);
	assert_int_equal(fc->out[40], 1);
	/* the quorum is back: over, and unknown to it */
	fake_role(f, ROLE_FOLLOWING);
	fake_settle(f);
	assert_true(fc->shut);
	assert_int_equal(f->srv->n.local_sessions, 0);
	fake_gone(fc);
	f->refuse = true; /* the machine does not know the session */
	fc = hello(f, 1, session, local_password);
	assert_int_equal(f->attaches, 1);
	assert_int_equal(fc->out_n, 41);
	assert_int_equal(zk_get32(fc->out + 8), 0);
	assert_true(fc->shut);
	fake_free(f);
}

/* two sessions of one core differ, and none is another core's */
static void readonly_ids(void **state)
{
	struct fake *f = fake_serving(&local, ROLE_READONLY);
	struct fake_conn *a = hello(f, 1, 0, NULL), *b = hello(f, 1, 0, NULL);

	(void)state;
	assert_true(zk_get64(b->out + 12) == zk_get64(a->out + 12) + MSG_CORES_MAX);
	fake_free(f);
}

static void readonly_words(void **state)
{
	struct fake *f = fake_serving(&local, ROLE_READONLY);
	const char *text;

	(void)state;
	assert_string_equal(fake_word(f, "isro"), "ro");
	text = fake_word(f, "srvr");
	assert_non_null(strstr(text, " UTC\nREAD-ONLY mode; serving only read-only clients\n"
				     "Latency min/avg/max: "));
	assert_non_null(strstr(text, "\nMode: read-only\n"));
	text = fake_word(f, "stat");
	assert_non_null(strstr(text, "READ-ONLY mode; serving only read-only clients\nClients:\n"));
	(void)hello(f, 1, 0, NULL);
	text = fake_word(f, "mntr");
	assert_non_null(strstr(text, "zk_server_state\tread-only\n"));
	assert_non_null(strstr(text, "zk_local_sessions\t1\n"));
	fake_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts_without_role),
		cmocka_unit_test(words_while_looking),
		cmocka_unit_test(loses_role),
		cmocka_unit_test(late_answers),
		cmocka_unit_test(unread_output),
		cmocka_unit_test(word_under_way),
		cmocka_unit_test(in_slices),
		cmocka_unit_test(readonly_session),
		cmocka_unit_test(readonly_without_local_sessions),
		cmocka_unit_test(readonly_reconnect),
		cmocka_unit_test(readonly_ids),
		cmocka_unit_test(readonly_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
