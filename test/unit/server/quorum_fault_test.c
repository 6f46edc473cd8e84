/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong: links, logs, strangers, a leader that talks nonsense. */
#include "test/unit/server/quorum_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char three[] = "server.1=h1:1:2\nserver.2=h2:1:2\nserver.3=h3:1:2\n";

static uint64_t figure(const _Atomic uint64_t *v)
{
	return atomic_load_explicit(v, memory_order_relaxed);
}

static unsigned start(struct qw *w)
{
	for (unsigned i = 0; i < w->n; i++)
		qw_boot(w, i);
	return qw_settled(w);
}

/* All is well still. */
static void goes_on(struct qw *w, unsigned leader, const char *stem)
{
	uint64_t s;

	assert_int_equal(qw_settled(w), leader);
	s = qw_session(w, leader, 7);
	for (unsigned k = 0; k < 5; k++) {
		char path[32];

		snprintf(path, sizeof(path), "/%s%u", stem, k);
		assert_int_equal(
			qw_call(w, leader, 7, s, ZK_OP_CREATE, req_create(path, NULL, NULL, 0)),
			ZK_EOK);
	}
	qw_equal(w);
}

/* ---- links and logs ---- */

static void a_link_breaks(void **state)
{
	struct qw *w = qw_open(three, 3);
	unsigned leader = start(w);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		qw_link(w, i, leader)->end[i].rst = true; /* told from either side */
		qw_run(w, 3);
		goes_on(w, leader, i ? "b" : "a");
	}
	qw_close(w);
}

static void a_leader_dies(void **state)
{
	struct qw *w = qw_open(three, 3);
	unsigned leader = start(w);
	uint64_t s;

	(void)state;
	for (unsigned round = 0; round < 4; round++) {
		unsigned old = leader;
		char stem[16];

		s = qw_session(w, leader, 1);
		snprintf(stem, sizeof(stem), "/r%u-", round);
		qw_fill(w, leader, s, stem, 20);
		qw_kill(w, old);
		leader = qw_settled(w);
		assert_int_not_equal(leader, old);
		snprintf(stem, sizeof(stem), "/r%u-19", round); /* was answered, so it is there */
		qw_run(w, 50);
		assert_string_not_equal(lead_node(w->server[leader].d, stem), "none");
		qw_boot(w, old);
		assert_int_equal(qw_settled(w), leader);
	}
	qw_equal(w);
	assert_true(figure(&w->server[leader].view.elections) >= 1);
	qw_close(w);
}

/* Followers say ACK for what is on their disks only; a log that takes nothing loses nothing. */
static void a_slow_disk(void **state)
{
	struct qw *w = qw_open(three, 3);
	unsigned leader = start(w);
	struct lead *d = w->server[leader].d;
	uint64_t s = qw_session(w, leader, 1);

	(void)state;
	qw_run(w, 20);
	w->server[0].slow = w->server[1].slow = true;
	lead_forget(d);
	assert_int_equal(lead_send(d, 0, 1, s, 900, ZK_OP_CREATE, req_create("/x", NULL, NULL, 0)),
			 ZK_EOK);
	qw_run(w, 100);
	assert_int_equal(d->out_n, 0);
	w->server[1].slow = false;
	qw_run(w, 20);
	assert_int_equal(d->out_n, 1);
	w->server[1].stuck = true;
	w->server[0].slow = false;
	qw_fill(w, leader, s, "/s", 30);
	assert_int_equal(leader_applied_zxid(w->server[1].d->l) & 0xff, 2);
	w->server[1].stuck = false;
	qw_run(w, 20);
	goes_on(w, leader, "t");
	qw_close(w);
}

/* It leads in its own eyes only, perhaps, and the others have written since. */
static void a_leader_cut_off_answers_no_sync(void **state)
{
	struct qw *w = qw_open(three, 3);
	unsigned leader = start(w);
	struct lead *d = w->server[leader].d;
	uint64_t s = qw_session(w, leader, 1);

	(void)state;
	qw_run(w, 20);
	assert_int_equal(qw_call(w, leader, 1, s, ZK_OP_SYNC, req_path("/")), ZK_EOK);
	for (unsigned i = 0; i < 3; i++)
		w->cut[leader][i] = w->cut[i][leader] = i != leader;
	lead_forget(d);
	assert_int_equal(lead_send(d, 0, 1, s, 900, ZK_OP_SYNC, req_path("/")), ZK_EOK);
	qw_run(w, 100);
	assert_int_equal(d->role, ROLE_LEADING);
	assert_int_equal(d->out_n, 0);
	for (unsigned i = 0; i < 3; i++)
		w->cut[leader][i] = w->cut[i][leader] = false;
	qw_run(w, 100);
	assert_int_equal(d->out_n, 1);
	goes_on(w, leader, "t");
	qw_close(w);
}

static void reads_only(void **state)
{
	struct qw *w = qw_open(three, 3);
	unsigned leader;

	(void)state;
	w->read_only = true;
	leader = start(w);
	for (unsigned i = 0; i < 3; i++)
		if (i)
			qw_kill(w, i);
	(void)leader;
	qw_run(w, 1000);
	assert_int_equal(w->server[0].d->role, ROLE_LOOKING);
	qw_run(w, 4000);
	assert_int_equal(w->server[0].d->role, ROLE_READONLY);
	assert_int_equal(figure(&w->server[0].view.role), ROLE_READONLY);
	qw_boot(w, 1);
	assert_int_equal(qw_settled(w), 1);
	assert_int_equal(w->server[0].d->role, ROLE_FOLLOWING);
	qw_close(w);
}

/* ---- strangers ---- */

static const char http[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

static void put_packet(struct jute_out *out, int32_t type, uint64_t zxid, int32_t n)
{
	jute_put_i32(out, type);
	jute_put_i64(out, (int64_t)zxid);
	jute_put_i32(out, n);
}

/* Said to the leader's port for learners; the connection is closed. */
static void refused(struct qw *w, unsigned leader, enum quorum_port port, const void *p, size_t n)
{
	uint64_t before = figure(&w->server[leader].view.refused);
	struct qw_end *e = qw_stranger(w, leader, port);

	assert_non_null(e);
	assert_false(qw_say(w, e, p, n));
	assert_true(figure(&w->server[leader].view.refused) > before);
	qw_run(w, 1000); /* lines are a few per second */
}

static void first_bytes(void **state)
{
	static const int32_t length[] = {INT32_MAX, INT32_MIN, -2, QUORUM_CONNS_MAX * 1000};
	struct qw *w = qw_open(three, 3);
	unsigned leader = start(w);
	uint8_t buf[64];

	(void)state;
	refused(w, leader, QUORUM_PORT_LEARNERS, http, sizeof(http) - 1);
	assert_true(qw_said(w, leader, "no learner's first bytes"));
	refused(w, leader, QUORUM_PORT_ELECTION, http, sizeof(http) - 1);
	assert_true(qw_said(w, leader, "neither hello nor notification"));
	refused(w, leader, QUORUM_PORT_LEARNERS, "GET ", 4); /* no need to wait for more */
	for (size_t i = 0; i < sizeof(length) / sizeof(length[0]); i++) {
		struct jute_out out = jute_out_of(buf, sizeof(buf));

		put_packet(&out, ZAB_FOLLOWERINFO, 0, length[i]);
		refused(w, leader, QUORUM_PORT_LEARNERS, buf, jute_out_len(&out));
		out = jute_out_of(buf, sizeof(buf));
		jute_put_i64(&out, -65536);
		jute_put_i64(&out, 2);
		jute_put_i32(&out, length[i]);
		refused(w, leader, QUORUM_PORT_ELECTION, buf, jute_out_len(&out));
	}
	goes_on(w, leader, "a");
	qw_close(w);
}

/* Bytes that begin well, cut, changed at random places, in pieces. */
static void random_bytes(void **state)
{
	struct qw *w = qw_open(three, 3);
	unsigned leader = start(w);

	(void)state;
	srand(7);
	for (unsigned n = 0; n < 400; n++) {
		enum quorum_port port = n % 2 ? QUORUM_PORT_ELECTION : QUORUM_PORT_LEARNERS;
		uint8_t buf[200];
		struct jute_out out = jute_out_of(buf, sizeof(buf));
		struct qw_end *e = qw_stranger(w, leader, port);
		struct zab_hello h = {.sid = 9, .address = zk_span_str("h9:2")};

		assert_non_null(e);
		if (port == QUORUM_PORT_ELECTION) {
			zab_hello_put(&out, &h);
		} else {
			put_packet(&out, ZAB_FOLLOWERINFO, 0, 20);
			zab_learner_info_put(&out, 9, 0);
			jute_put_i32(&out, -1);
		}
		while (out.p < out.end)
			jute_put_u8(&out, (uint8_t)(rand() % 5 ? 0 : rand()));
		for (unsigned k = (unsigned)rand() % 4; k; k--)
			buf[rand() % 60] = (uint8_t)rand();
		for (size_t at = 0, part; at < sizeof(buf); at += part) {
			part = 1 + (size_t)rand() % (sizeof(buf) - at);
			if (!qw_say(w, e, buf + at, part))
				break;
		}
		if (e->pipe->used)
			e->rst = true;
		qw_run(w, 2);
	}
	goes_on(w, leader, "a");
	qw_close(w);
}

static void silent(void **state)
{
	struct qw *w = qw_open(three, 3);
	unsigned leader = start(w);
	struct qw_end *e;

	(void)state;
	assert_null(qw_stranger(w, (leader + 1) % 3, QUORUM_PORT_LEARNERS)); /* does not lead */
	e = qw_stranger(w, leader, QUORUM_PORT_LEARNERS);
	qw_run(w, 3000); /* init_limit is 2 s */
	assert_true(!e->pipe->used || !e->pipe->end[1].conn);
	qw_close(w);
}

/* quorumCnxnTimeoutMs; without it syncLimit ticks, which are a second here. */
static void silent_caller(void **state)
{
	static const uint32_t set_ms[] = {0, 300};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct qw *w = qw_open(three, 3);
		struct qw_end *e;

		w->hello_timeout_ms = set_ms[i];
		e = qw_stranger(w, start(w), QUORUM_PORT_ELECTION);
		qw_run(w, (set_ms[i] ? set_ms[i] : 1000) - 20);
		assert_true(e->pipe->used && e->pipe->end[1].conn);
		qw_run(w, 40);
		assert_true(!e->pipe->used || !e->pipe->end[1].conn);
		qw_close(w);
	}
}

/* More strangers than there are connections, all the time: our own servers get in. */
static void too_many(void **state)
{
	struct qw *w = qw_open(three, 3);
	unsigned leader = start(w);

	(void)state;
	for (unsigned n = 0; n < 300; n++) {
		assert_non_null(qw_stranger(w, leader, QUORUM_PORT_LEARNERS));
		assert_non_null(qw_stranger(w, leader, QUORUM_PORT_ELECTION));
		if (n == 150)
			qw_kill(w, 0);
		if (n == 200)
			qw_boot(w, 0);
		qw_run(w, 10);
	}
	assert_int_equal(w->server[0].d->role, ROLE_FOLLOWING);
	assert_true(qw_said(w, leader, "too many strangers"));
	goes_on(w, leader, "a");
	qw_close(w);
}

/* The same in a burst: some are refused, and when it is over all is well. */
static void burst(void **state)
{
	struct qw *w = qw_open(three, 3);
	unsigned leader = start(w), refused_n = 0;

	(void)state;
	for (unsigned n = 0; n < 400; n++)
		refused_n += !qw_stranger(w, leader,
					  n % 2 ? QUORUM_PORT_LEARNERS : QUORUM_PORT_ELECTION);
	assert_in_range(refused_n, 1, 350);
	qw_run(w, 3000);
	goes_on(w, leader, "a");
	qw_close(w);
}

/* ---- room ---- */

static void put_all(struct qw *w, unsigned i, uint64_t session, unsigned n)
{
	struct lead *d = w->server[i].d;

	w->server[i].poked = true;
	for (unsigned k = 0; k < n; k++)
		while (lead_send(d, 0, 1, session, (int32_t)d->next_xid++, ZK_OP_SET_DATA,
				 req_set("/n0", "a value", -1)) == ZK_EAGAIN)
			qw_step(w);
}

static unsigned leads_through(struct qw *w, unsigned *leader)
{
	uint64_t session[3], before;

	w->history = 32;
	*leader = start(w);
	for (unsigned i = 0; i < 3; i++)
		session[i] = qw_session(w, i, 1);
	qw_fill(w, *leader, session[*leader], "/n", 1);
	before = leader_applied_zxid(w->server[*leader].d->l);
	for (unsigned i = 0; i < 3; i++)
		if (i != *leader)
			put_all(w, i, session[i], 200);
	qw_run(w, 300);
	return (unsigned)(leader_applied_zxid(w->server[*leader].d->l) - before);
}

/* More requests under way than the leader may have proposals: the ACKs that make room stand behind
 * them on every link. */
static void full_of_requests(void **state)
{
	struct qw *w = qw_open(three, 3);
	unsigned leader;

	(void)state;
	assert_int_equal(leads_through(w, &leader), 400);
	assert_true(atomic_load(&w->server[leader].view.set_aside) > 0);
	assert_int_equal(atomic_load(&w->server[leader].view.epoch), 1);
	goes_on(w, leader, "a");
	qw_close(w);
}

/* ... and no more of them step aside than may; the rest waits in its connection. */
static void aside_is_bounded(void **state)
{
	struct qw *w = qw_open(three, 3);
	unsigned leader;

	(void)state;
	w->aside = 1;
	assert_in_range(leads_through(w, &leader), 0, 399);
	assert_int_equal(atomic_load(&w->server[leader].view.set_aside), 0);
	qw_run(w, 20000);
	qw_equal(w);
	qw_close(w);
}

/* ---- memory ---- */

/* What has no memory is given up and comes again; nothing stops. */
static void no_memory(void **state)
{
	struct qw *w = qw_open(three, 3);
	unsigned leader;
	uint64_t s;

	(void)state;
	w->send_bytes = 400;
	w->window = 100;
	leader = start(w);
	s = qw_session(w, leader, 1);
	qw_fill(w, leader, s, "/a", 5);
	for (unsigned i = 0; i < 3; i++)
		w->server[i].mem.limit_bytes = w->server[i].mem.used_bytes;
	for (unsigned k = 0; k < 20; k++)
		(void)lead_send(w->server[leader].d, 0, 1, s, (int32_t)(700 + k), ZK_OP_CREATE,
				req_create("/big",
					   "01234567890123456789012345678901234567890123456"
					   "78901234567890123456789012345678901234567890123",
					   NULL, 2));
	qw_run(w, 100);
	assert_true(w->server[0].mem.failures + w->server[1].mem.failures +
			    w->server[2].mem.failures >
		    0);
	for (unsigned i = 0; i < 3; i++)
		w->server[i].mem.limit_bytes = 0;
	qw_run(w, 3000);
	leader = qw_settled(w);
	goes_on(w, leader, "b");
	qw_close(w);
}

/* ---- those that we follow, those that follow us ---- */

static void forged(int32_t type, uint64_t zxid, const char *data, const char *line, bool to_leader)
{
	struct qw *w = qw_open(three, 3);
	unsigned leader = start(w), who = to_leader ? leader : 0;
	struct qw_pipe *p = qw_link(w, 0, leader);
	uint8_t buf[256];
	struct jute_out out = jute_out_of(buf, sizeof(buf));
	struct zab_packet packet = {.type = type, .zxid = zxid};

	if (data)
		packet.data = zk_span_str(data);
	zab_packet_put(&out, &packet);
	qw_forge(&p->end[!to_leader], buf, jute_out_len(&out));
	qw_run(w, 3);
	assert_true(qw_said(w, who, line));
	assert_true(figure(&w->server[who].view.refused) > 0);
	goes_on(w, leader, "a");
	qw_close(w);
}

static void no_transaction(void **state)
{
	(void)state;
	forged(ZAB_PROPOSAL, UINT64_C(0x100000001), "this is no transaction at all",
	       "PROPOSAL that makes no sense", false);
}

static void no_packet_of_a_leader(void **state)
{
	(void)state;
	forged(ZAB_LEADERINFO, 0, NULL, "looking for a leader", false);
}

static void no_request(void **state)
{
	(void)state;
	forged(ZAB_REQUEST, 0, "short", "REQUEST that makes no sense", true);
}

static void no_revalidation(void **state)
{
	(void)state;
	forged(ZAB_REVALIDATE, 0, "short", "REVALIDATE that makes no sense", true);
}

static void no_touches(void **state)
{
	(void)state;
	forged(ZAB_PING, 0, "short", "PING that makes no sense", true);
}

static void no_packet_of_a_learner(void **state)
{
	(void)state;
	forged(ZAB_UPTODATE, 0, NULL, "UPTODATE of server 1 refused", true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_link_breaks),
		cmocka_unit_test(a_leader_dies),
		cmocka_unit_test(a_slow_disk),
		cmocka_unit_test(a_leader_cut_off_answers_no_sync),
		cmocka_unit_test(reads_only),
		cmocka_unit_test(first_bytes),
		cmocka_unit_test(random_bytes),
		cmocka_unit_test(silent),
		cmocka_unit_test(silent_caller),
		cmocka_unit_test(too_many),
		cmocka_unit_test(burst),
		cmocka_unit_test(full_of_requests),
		cmocka_unit_test(aside_is_bounded),
		cmocka_unit_test(no_memory),
		cmocka_unit_test(no_transaction),
		cmocka_unit_test(no_packet_of_a_leader),
		cmocka_unit_test(no_request),
		cmocka_unit_test(no_revalidation),
		cmocka_unit_test(no_touches),
		cmocka_unit_test(no_packet_of_a_learner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
