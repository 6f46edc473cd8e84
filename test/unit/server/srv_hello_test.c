/* SPDX-License-Identifier: Apache-2.0 */
/* Connections: ConnectRequest, its variants and refusals, idle limits, the ends. */
#include "test/unit/server/srv_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#define ZERO16 "00000000000000000000000000000000"

static struct fake_conn *hello(struct fake *f, const char *hex)
{
	uint8_t b[256];
	struct fake_conn *fc = fake_open(f);

	assert_non_null(fc);
	fake_send(fc, b, hex_bytes(hex, b, sizeof(b)));
	fake_settle(f);
	return fc;
}

static void expect_out(struct fake_conn *fc, const char *hex)
{
	uint8_t b[256];
	size_t n = hex_bytes(hex, b, sizeof(b));

	assert_int_equal(fc->out_n, n);
	assert_memory_equal(fc->out, b, n);
}

/* spec/client-protocol.md section 14 */
static void vectors(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *fc;

	(void)state;
	f->next_session = 0x01000018efd60000;
	fc = hello(f, "0000002d 000000000000000000000000000027100000000000000000 00000010" ZERO16
		      "01");
	expect_out(fc, "00000025 00000000 00002710 01000018efd60000 00000010"
		       "a81aa7c9157b8e0dc6119c1de6bd957f 00");
	/* an old client: no readOnly byte, none in the answer */
	fc = hello(f, "0000002c 000000000000000000000000000027100000000000000000 00000010" ZERO16);
	expect_out(fc, "00000024 00000000 00002710 01000018efd60001 00000010"
		       "bb3ba1c9b5c66d52bb540349ba46aa4c");
	/* any protocolVersion, null, empty and long passwords */
	fc = hello(f, "0000001d 00001234000000000000000000002710 0000000000000000 ffffffff 00");
	assert_int_equal(fc->out_n, 41);
	fc = hello(f, "0000001c 00001234000000000000000000002710 0000000000000000 00000000");
	assert_int_equal(fc->out_n, 40);
	fc = hello(f, "0000001f 00001234000000000000000000002710 0000000000000000 00000003 616263");
	assert_int_equal(fc->out_n, 40);
	assert_int_equal(f->creates, 5);
	fake_free(f);
}

/* Another core has told the client of a state that this core has still to read of. */
static void last_zxid_of_a_core_ahead(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *fc;
	char hex[128];
	uint64_t zxid = fake_tx(f, ZK_OP_CREATE, "/ahead", "x");

	(void)state;
	for (unsigned i = 0; i < 15000; i++)
		zxid = fake_tx(f, ZK_OP_SET_DATA, "/ahead", "y");
	snprintf(hex, sizeof(hex),
		 "0000002d 00000000 %016llx 00002710 0000000000000000 00000010" ZERO16 "00",
		 (unsigned long long)zxid);
	fc = hello(f, hex);
	assert_int_equal(fc->out_n, 41);
	snprintf(hex, sizeof(hex),
		 "0000002d 00000000 %016llx 00002710 0000000000000000 00000010" ZERO16 "00",
		 (unsigned long long)zxid + 100);
	fc = hello(f, hex);
	assert_int_equal(fc->out_n, 0);
	fake_free(f);
}

static void timeouts_are_clamped(void **state)
{
	static const struct {
		const char *asked;
		uint32_t granted;
	} cases[] = {{"fffffffb", 4000},  {"00000001", 4000},  {"00000fa0", 4000},
		     {"00000fa1", 4001},  {"00009c40", 40000}, {"000f4240", 40000},
		     {"7fffffff", 40000}, {"80000000", 4000}};
	struct fake *f = fake_new(NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake_conn *fc = fake_open(f);
		uint8_t b[64];

		(void)hex_bytes("0000002d 00000000 0000000000000000 00000000 0000000000000000"
				"00000010" ZERO16 "00",
				b, sizeof(b));
		(void)hex_bytes(cases[i].asked, b + 16, 4);
		fake_send(fc, b, 49);
		fake_settle(f);
		assert_int_equal(zk_get32(fc->out + 8), cases[i].granted);
		fake_gone(fc);
	}
	fake_free(f);
}

static void refusals(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *fc;

	(void)state;
	/* a client that has seen more than this server: closed without a word */
	fc = hello(f, "0000002d 00000000 0000000000000005 00002710 0000000000000000 00000010" ZERO16
		      "00");
	assert_true(fc->shut);
	assert_int_equal(fc->out_n, 0);
	assert_int_equal(f->creates, 0);
	/* ... until the change log has brought it there */
	for (unsigned i = 0; i < 5; i++)
		(void)fake_tx(f, ZK_OP_CREATE, (const char *[]){"/a", "/b", "/c", "/d", "/e"}[i],
			      "");
	fc = hello(f, "0000002d 00000000 0000000000000005 00002710 0000000000000000 00000010" ZERO16
		      "00");
	assert_int_equal(fc->out_n, 41);
	/* a session that is no more */
	f->refuse = true;
	fc = hello(f, "0000002d 00000000 0000000000000000 00002710 0100000000000099 00000010" ZERO16
		      "00");
	expect_out(fc, "00000025 00000000 00000000 0000000000000000 00000010" ZERO16 "00");
	assert_true(fc->shut);
	assert_int_equal(f->attaches, 1);
	/* a password of another length cannot match */
	f->refuse = false;
	fc = hello(f, "0000001c 00000000 0000000000000000 00002710 0100000000000099 00000000");
	expect_out(fc, "00000024 00000000 00000000 0000000000000000 00000010" ZERO16);
	assert_true(fc->shut);
	/* bytes missing */
	fc = hello(f, "00000010 00000000 0000000000000000 00002710");
	assert_true(fc->shut && fc->out_n == 0);
	/* lengths no server accepts */
	fc = hello(f, "00000000");
	assert_true(fc->shut && fc->out_n == 0);
	fc = hello(f, "ffffffff");
	assert_true(fc->shut && fc->out_n == 0);
	fc = hello(f, "00100000 00");
	assert_true(fc->shut && fc->out_n == 0);
	fc = hello(f, "fff4fffd");
	assert_true(fc->shut && fc->out_n == 0);
	fake_free(f);
}

/* the largest frame is taken, and its buffer grows with what comes */
static void length_limit(void **state)
{
	static uint8_t big[ZK_JUTE_MAXBUFFER_DEFAULT + 4];
	struct fake *f = fake_new(NULL);
	struct fake_conn *fc = fake_session(f);
	size_t before;

	(void)state;
	zk_put32(big, ZK_JUTE_MAXBUFFER_DEFAULT);
	zk_put32(big + 4, 7);
	zk_put32(big + 8, ZK_OP_EXISTS);
	zk_put32(big + 12, 2);
	big[16] = '/';
	big[17] = 'x';
	before = f->mem.used_bytes;
	fake_send(fc, big, 1000);
	fake_settle(f);
	assert_true(f->mem.used_bytes - before <= 2048);
	fake_send(fc, big + 1000, sizeof(big) - 1000);
	fake_settle(f);
	(void)got_reply(fc, 7, ZK_NONODE);
	assert_int_equal(f->mem.used_bytes, before);
	assert_false(fc->shut);
	zk_put32(big, ZK_JUTE_MAXBUFFER_DEFAULT + 1);
	fake_send(fc, big, 100);
	fake_settle(f);
	assert_true(fc->shut);
	got_nothing(fc);
	fake_free(f);
}

/* requests sent behind the ConnectRequest wait for the session */
static void early_requests(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *fc;

	(void)state;
	f->hold = true;
	fc = hello(f, "0000002d 00000000 0000000000000000 00002710 0000000000000000 00000010" ZERO16
		      "00");
	ask_path(fc, 1, ZK_OP_EXISTS, "/", false);
	fake_settle(f);
	assert_int_equal(fc->out_n, 0);
	f->hold = false;
	fake_settle(f);
	fc->out_at = 41;
	(void)got_reply(fc, 1, ZK_EOK);
	fake_free(f);
}

static void idle_limits(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *quiet = fake_open(f), *live = fake_session(f), *dead = fake_session(f);

	(void)state;
	for (unsigned s = 0; s < 40; s++) {
		fake_advance(f, 1000);
		ask_plain(live, -2, ZK_OP_PING);
		fake_settle(f);
		if (s == 9)
			assert_false(quiet->shut);
		if (s == 20)
			assert_true(quiet->shut);
	}
	assert_true(dead->shut);
	assert_false(live->shut);
	assert_int_equal(f->detaches, 1);
	fake_free(f);
}

/* The leader asks who has been heard: answered in a round that began after the question, when
 * nothing is left in the device, and behind the touches of what was read. */
static void roll(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *a = fake_session(f);

	(void)state;
	fake_advance(f, 1000);
	f->touched = 0;
	fake_roll(f, 7);
	fake_round(f); /* the device was read before the question was */
	assert_int_equal(f->rolls, 0);
	assert_true(srv_next_ns(f->srv) <= f->now_ns);
	ask_plain(a, -2, ZK_OP_PING);
	fake_round(f);
	assert_int_equal(f->rolls, 1);
	assert_true(f->roll.number == 7);
	assert_int_equal(f->touched, 1); /* though its 10 ms are not over */
	for (unsigned i = 0; i < 5; i++)
		fake_round(f);
	assert_int_equal(f->rolls, 1);
	assert_true(srv_next_ns(f->srv) > f->now_ns);
	/* a new question takes the place of the old one */
	f->deaf = true;
	fake_roll(f, 8);
	for (unsigned i = 0; i < 200; i++)
		fake_round(f);
	fake_roll(f, 9);
	for (unsigned i = 0; i < 200; i++)
		fake_round(f);
	assert_int_equal(f->rolls, 1);
	/* a core that is never idle answers all the same */
	for (unsigned i = 0; i < 100; i++)
		fake_round(f);
	assert_int_equal(f->rolls, 2);
	assert_true(f->roll.number == 9);
	fake_free(f);
}

/* After a pause of the thread nobody is too silent for as long again, and the leader hears of it.
 */
static void pause_of_the_thread(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *a = fake_session(f), *b = fake_session(f);

	(void)state;
	f->now_ns += 60 * UINT64_C(1000000000);
	srv_late(f->srv, 15 * UINT64_C(1000000000), f->now_ns);
	fake_roll(f, 1);
	fake_round(f);
	fake_advance(f, 14000);
	assert_false(a->shut || b->shut);
	assert_true(f->roll.hold_until_ns == f->now_ns + UINT64_C(1000000000));
	for (unsigned i = 0; i < 2; i++) {
		ask_plain(a, -2, ZK_OP_PING);
		fake_advance(f, 6000);
	}
	assert_false(a->shut);
	assert_true(b->shut);
	fake_free(f);
}

static void limits_hold(void **state)
{
	struct fake_conf conf = {.max_cnxns = 3};
	struct fake *f = fake_new(&conf);
	struct fake_conn *a, *b, *c;

	(void)state;
	a = fake_open(f);
	b = fake_open(f);
	c = fake_open(f);
	assert_true(a && b && c);
	assert_null(fake_open(f));
	assert_null(srv_open(f->srv, a, "10.0.0.1.and.a.name.longer.than.any.address.is", 1, 0));
	fake_gone(b);
	assert_non_null(fake_open(f));
	f->conn[3].c = NULL; /* was refused */
	fake_free(f);
}

static void touches(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *a = fake_session(f), *b = fake_session(f);

	(void)state;
	fake_advance(f, 1000);
	f->touches = f->touched = 0;
	for (unsigned i = 0; i < 50; i++) { /* 50 ms of pings every 1 ms */
		ask_plain(a, -2, ZK_OP_PING);
		if (i % 2)
			ask_plain(b, -2, ZK_OP_PING);
		fake_round(f);
		f->now_ns += 1000000;
	}
	fake_advance(f, 100);
	assert_in_range(f->touches, 5, 7);
	assert_in_range(f->touched, 2 * f->touches - 2, 2 * f->touches); /* b may begin late */
	/* nothing said, nothing touched */
	f->touched = 0;
	fake_advance(f, 1000);
	assert_int_equal(f->touched, 0);
	fake_free(f);
}

static void ends(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *a = fake_session(f), *b = fake_session(f), *c = fake_session(f);
	struct msg_session kick = {.h = {.kind = MSG_KICK}, .session = 0x0100000000000002};
	void *r;

	(void)state;
	/* closeSession: answered, then closed; the leader knows, no MSG_DETACH */
	ask_plain(a, 9, ZK_OP_CLOSE_SESSION);
	ask_path(a, 10, ZK_OP_EXISTS, "/", false); /* never served */
	fake_settle(f);
	(void)got_reply(a, 9, ZK_EOK);
	got_nothing(a);
	assert_true(a->shut);
	assert_int_equal(f->detaches, 0);
	/* kicked */
	kick.h.conn = (struct msg_conn){1, 1};
	r = zk_ring_reserve(&f->down, sizeof(kick));
	assert_non_null(r);
	memcpy(r, &kick, sizeof(kick));
	zk_ring_commit(&f->down, sizeof(kick));
	zk_ring_publish(&f->down);
	fake_settle(f);
	assert_true(b->shut);
	assert_int_equal(f->detaches, 0);
	/* the transport goes */
	fake_gone(c);
	fake_settle(f);
	assert_int_equal(f->detaches, 1);
	assert_int_equal(f->last_detached, 0x0100000000000003);
	/* session moved: no reply */
	c = fake_session(f);
	f->move = true;
	ask_set(c, 1, "/", "");
	fake_settle(f);
	got_nothing(c);
	assert_true(c->shut);
	fake_free(f);
}

/* Apache's C client sends closeSession behind other requests and a FIN right after */
static void fin_behind_requests(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *a = fake_session(f), *b = fake_session(f);

	(void)state;
	f->hold = true;
	ask_create(a, 1, "/a", "1");
	ask_path(a, 2, ZK_OP_GET_DATA, "/a", false); /* waits for the create */
	ask_plain(a, 3, ZK_OP_CLOSE_SESSION);
	fake_settle(f);
	srv_fin(a->c, f->now_ns);
	assert_false(a->shut);
	f->hold = false;
	fake_settle(f);
	(void)got_reply(a, 1, ZK_EOK);
	(void)got_reply(a, 2, ZK_EOK);
	(void)got_reply(a, 3, ZK_EOK);
	assert_true(a->shut);
	/* half a request and a FIN */
	fake_send(b, "\0\0\0\x20\0", 5);
	fake_settle(f);
	srv_fin(b->c, f->now_ns);
	assert_true(b->shut);
	fake_free(f);
}

static void drain(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *a = fake_session(f), *b = fake_session(f), *c = fake_session(f);

	(void)state;
	f->hold = true;
	ask_create(a, 1, "/a", "1");
	fake_settle(f);
	b->budget = 10; /* owes the rest of a reply */
	ask_path(b, 2, ZK_OP_EXISTS, "/", false);
	fake_settle(f);
	srv_drain(f->srv, f->now_ns);
	assert_true(c->shut);
	assert_false(a->shut || b->shut);
	assert_false(srv_drained(f->srv));
	assert_null(srv_open(f->srv, c, "127.0.0.1", 1, f->now_ns));
	fake_writable(b, 100000);
	assert_true(b->shut);
	(void)got_reply(b, 2, ZK_EOK);
	f->hold = false;
	fake_settle(f);
	(void)got_reply(a, 1, ZK_EOK);
	assert_true(a->shut);
	assert_true(srv_drained(f->srv));
	fake_free(f);
}

/* handles of a slot's former life are answered into nothing */
static void old_handles(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_conn *a = fake_session(f), *b;

	(void)state;
	f->hold = true;
	ask_create(a, 1, "/a", "1");
	fake_settle(f);
	fake_gone(a);
	b = fake_open(f);
	assert_ptr_equal(a, b);
	f->hold = false;
	fake_settle(f);
	got_nothing(b);
	assert_int_equal(f->requests, 1);
	fake_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(last_zxid_of_a_core_ahead),
		cmocka_unit_test(vectors),
		cmocka_unit_test(timeouts_are_clamped),
		cmocka_unit_test(refusals),
		cmocka_unit_test(length_limit),
		cmocka_unit_test(early_requests),
		cmocka_unit_test(idle_limits),
		cmocka_unit_test(roll),
		cmocka_unit_test(pause_of_the_thread),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(touches),
		cmocka_unit_test(ends),
		cmocka_unit_test(fin_behind_requests),
		cmocka_unit_test(drain),
		cmocka_unit_test(old_handles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
