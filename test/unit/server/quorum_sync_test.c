/* SPDX-License-Identifier: Apache-2.0 */
/* How servers that were away come back: from memory, from files, with the whole tree, cut. */
#include "test/unit/server/quorum_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char three[] = "server.1=h1:1:2\nserver.2=h2:1:2\nserver.3=h3:1:2\n";
static const char observed[] =
	"server.1=h1:1:2\nserver.2=h2:1:2\nserver.3=h3:1:2\nserver.4=h4:1:2:observer\n";
static const char five[] = "server.1=h1:1:2\nserver.2=h2:1:2\nserver.3=h3:1:2\n"
			   "server.4=h4:1:2\nserver.5=h5:1:2\n";

static uint64_t figure(const _Atomic uint64_t *v)
{
	return atomic_load_explicit(v, memory_order_relaxed);
}

static unsigned start(struct qw *w, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		qw_boot(w, i);
	return qw_settled(w);
}

/* Server 1 misses @p n writes. @return the leader's place; *session is one of its. */
static unsigned miss(struct qw *w, unsigned n, uint64_t *session)
{
	unsigned leader = start(w, 3);

	*session = qw_session(w, leader, 1);
	qw_fill(w, leader, *session, "/before", 10);
	qw_run(w, 50);
	qw_kill(w, 0);
	qw_fill(w, leader, *session, "/missed", n);
	return leader;
}

static void come_back(struct qw *w, unsigned leader, uint64_t session)
{
	uint64_t own;

	qw_boot(w, 0);
	assert_int_equal(qw_settled(w), leader);
	qw_fill(w, leader, session, "/after", 10);
	own = qw_session(w, 0, 2);
	assert_int_equal(qw_call(w, 0, 2, own, ZK_OP_CREATE, req_create("/own", "x", NULL, 1)),
			 ZK_EOK);
	qw_equal(w);
}

static void from_memory(void **state)
{
	struct qw *w = qw_open(three, 3);
	uint64_t session;
	unsigned leader = miss(w, 30, &session);

	(void)state;
	come_back(w, leader, session);
	assert_int_equal(figure(&w->server[leader].view.diffs), 3);
	assert_int_equal(w->server[leader].feeds, 0);
	qw_close(w);
}

static void from_files(void **state)
{
	struct qw *w = qw_open(three, 3);
	uint64_t session;
	unsigned leader;

	(void)state;
	w->history = 32;
	w->lazy = true;
	leader = miss(w, 100, &session);
	come_back(w, leader, session);
	assert_int_equal(figure(&w->server[leader].view.diffs), 3);
	assert_int_equal(figure(&w->server[leader].view.snaps), 0);
	assert_int_equal(w->server[leader].feeds, 1);
	qw_close(w);
}

static void whole_tree(size_t window, size_t send_bytes)
{
	struct qw *w = qw_open(three, 3);
	uint64_t session;
	unsigned leader;

	w->history = 32;
	w->lazy = !window;
	w->window = window;
	w->send_bytes = send_bytes;
	leader = miss(w, 300, &session);
	w->server[leader].no_files = true;
	come_back(w, leader, session);
	assert_int_equal(figure(&w->server[leader].view.snaps), 1);
	assert_int_equal(w->server[0].snaps, 1);
	assert_true(w->server[0].disk.snap_zxid >> 32 == 1);
	/* what the stream said is what a restart finds */
	assert_int_equal(w->server[0].sessions, 1);
	assert_int_equal(w->server[0].session[0].id, session);
	qw_kill(w, 0);
	qw_boot(w, 0);
	assert_int_equal(qw_settled(w), leader);
	qw_equal(w);
	qw_close(w);
}

static void with_the_tree(void **state)
{
	(void)state;
	whole_tree(0, 0);
}

static void with_the_tree_dribbled(void **state)
{
	(void)state;
	whole_tree(3, 500);
}

/* Two at once, and a third that waits for a hold, while clients write. */
static void trees_for_many(void **state)
{
	struct qw *w = qw_open(five, 5);
	unsigned leader;
	uint64_t s;

	(void)state;
	w->history = 32;
	w->send_bytes = 2000;
	leader = start(w, 5);
	assert_int_equal(leader, 4);
	s = qw_session(w, leader, 1);
	qw_fill(w, leader, s, "/a", 100);
	qw_run(w, 50);
	qw_kill(w, 0);
	qw_kill(w, 1);
	qw_fill(w, leader, s, "/b", 100);
	w->server[leader].no_files = true;
	qw_boot(w, 0);
	qw_boot(w, 1);
	qw_fill(w, leader, s, "/c", 100);
	assert_int_equal(qw_settled(w), leader);
	qw_equal(w);
	assert_int_equal(w->server[0].snaps + w->server[1].snaps, 2);
	qw_close(w);
}

/* A leader that nobody hears logs what never was. It is cut off, unless others have gone on in a
 * new epoch: a cut must not go back over its start (LearnerHandler.syncFollower()). */
static void alone(bool others_write)
{
	struct qw *w = qw_open(three, 3);
	unsigned leader = start(w, 3), next;
	uint64_t s = qw_session(w, leader, 1);

	qw_fill(w, leader, s, "/a", 10);
	qw_run(w, 50);
	for (unsigned i = 0; i < 2; i++)
		w->cut[i][leader] = w->cut[leader][i] = true;
	for (int i = 0; i < 5; i++) {
		char path[16];

		snprintf(path, sizeof(path), "/never%d", i);
		assert_int_equal(lead_send(w->server[leader].d, 0, 1, s, 1000 + i, ZK_OP_CREATE,
					   req_create(path, NULL, NULL, 0)),
				 ZK_EOK);
	}
	assert_int_equal(w->server[leader].disk.n, 16);
	qw_run(w, 20);
	qw_kill(w, leader);
	next = qw_settled(w);
	assert_int_equal(next, 1);
	if (others_write) {
		s = qw_session(w, next, 1);
		qw_fill(w, next, s, "/b", 10);
	}
	memset(w->cut, 0, sizeof(w->cut));
	qw_boot(w, leader);
	assert_int_equal(qw_settled(w), next);
	qw_equal(w);
	assert_int_equal(w->server[leader].truncates, !others_write);
	assert_int_equal(figure(&w->server[next].view.truncs), !others_write);
	assert_int_equal(figure(&w->server[next].view.snaps), others_write);
	assert_string_equal(lead_node(w->server[leader].d, "/never0"), "none");
	qw_close(w);
}

static void cut_off(void **state)
{
	(void)state;
	alone(false);
}

static void left_behind(void **state)
{
	(void)state;
	alone(true);
}

/* The leader dies while it sends the tree: what is on disk is loaded, and all begins anew. */
static void half_a_tree(void **state)
{
	struct qw *w = qw_open(three, 3);
	uint64_t session;
	unsigned leader;

	(void)state;
	w->history = 32;
	w->send_bytes = 1000;
	leader = miss(w, 100, &session);
	w->server[leader].no_files = true;
	w->server[0].keep_stream = true;
	qw_boot(w, 0);
	for (unsigned n = 0; n < 5000 && !quorum_rebuild_wanted(w->server[0].q); n++)
		qw_step(w);
	assert_true(quorum_rebuild_wanted(w->server[0].q));
	assert_true(quorum_next_ns(w->server[0].q) > 0);
	qw_run(w, 100);
	w->server[0].keep_stream = false;
	qw_kill(w, leader);
	w->server[1].no_files = true;
	assert_int_equal(qw_settled(w), 1);
	assert_int_equal(w->server[0].snaps, 1);
	qw_equal(w);
	qw_close(w);
}

/* The learner stands still while it is sent the tree: not for ever at the cost of a hold. */
static void no_reader(void **state)
{
	struct qw *w = qw_open(three, 3);
	uint64_t session;
	unsigned leader;

	(void)state;
	w->history = 32;
	w->send_bytes = 1000;
	leader = miss(w, 100, &session);
	w->server[leader].no_files = true;
	w->server[0].keep_stream = true;
	qw_boot(w, 0);
	for (unsigned n = 0; n < 5000 && !quorum_rebuild_wanted(w->server[0].q); n++)
		qw_step(w);
	qw_run(w, 1900); /* initLimit is 2 s */
	assert_false(qw_said(w, leader, "nothing of it is taken"));
	qw_run(w, 300);
	assert_true(qw_said(w, leader, "nothing of it is taken"));
	w->server[0].keep_stream = false;
	assert_int_equal(qw_settled(w), leader);
	qw_equal(w);
	qw_close(w);
}

/* The learner goes while it is sent the tree: the hold goes with it. */
static void half_a_reader(void **state)
{
	struct qw *w = qw_open(three, 3);
	uint64_t session;
	unsigned leader;

	(void)state;
	w->history = 32;
	w->send_bytes = 1000;
	leader = miss(w, 100, &session);
	w->server[leader].no_files = true;
	w->server[0].keep_stream = true;
	for (unsigned n = 0; n < 2 * TREE_HOLDS_MAX; n++) {
		qw_boot(w, 0);
		for (unsigned k = 0; k < 5000 && !quorum_rebuild_wanted(w->server[0].q); k++)
			qw_step(w);
		assert_true(quorum_rebuild_wanted(w->server[0].q));
		qw_kill(w, 0);
		qw_run(w, 20);
	}
	w->server[0].keep_stream = false;
	come_back(w, leader, session);
	assert_int_equal(figure(&w->server[leader].view.snaps), 2 * TREE_HOLDS_MAX + 1);
	qw_close(w);
}

/* Clients' writes come before a snapshot: when memory gets short the learner has to come again. */
static void short_of_memory(void **state)
{
	static char data[4000];
	struct qw *w = qw_open(three, 3);
	uint64_t session;
	unsigned leader;
	char path[32];

	(void)state;
	memset(data, 'x', sizeof(data) - 1);
	w->history = 32;
	w->send_bytes = 1000;
	w->tree_limit = 8 << 20;
	w->init_limit = 1000;
	leader = miss(w, 100, &session);
	w->server[leader].no_files = true;
	w->server[0].keep_stream = true;
	qw_boot(w, 0);
	for (unsigned n = 0; n < 5000 && !quorum_rebuild_wanted(w->server[0].q); n++)
		qw_step(w);
	for (unsigned n = 0; n < 2000 && !qw_said(w, leader, "memory is short"); n++) {
		snprintf(path, sizeof(path), "/fat%u", n);
		assert_int_equal(qw_call(w, leader, 1, session, ZK_OP_CREATE,
					 req_create(path, data, NULL, 0)),
				 ZK_EOK);
	}
	assert_true(qw_said(w, leader, "memory is short"));
	w->server[0].keep_stream = false;
	assert_int_equal(qw_settled(w), leader);
	qw_equal(w);
	assert_int_equal(w->server[0].snaps, 1);
	qw_close(w);
}

/* The first address of the leader is nobody's, the second one's server is down. */
static void several_addresses(void **state)
{
	struct qw *w = qw_open("server.1=h1:1:2\nserver.2=h2:1:2\n"
			       "server.3=h9:1:2|h4:1:2|h3:1:2\n",
			       4);
	uint64_t s;

	(void)state;
	assert_int_equal(start(w, 3), 2);
	s = qw_session(w, 0, 1);
	qw_fill(w, 0, s, "/a", 10);
	qw_equal(w);
	qw_close(w);
}

static void observers(void **state)
{
	struct qw *w = qw_open(observed, 4);
	unsigned leader = start(w, 4);
	uint64_t s, o;

	(void)state;
	assert_int_equal(leader, 2);
	assert_int_equal(w->server[3].d->role, ROLE_OBSERVING);
	assert_int_equal(figure(&w->server[leader].view.synced_observers), 1);
	assert_int_equal(figure(&w->server[leader].view.synced_followers), 2);
	assert_int_equal(figure(&w->server[leader].view.learners), 3);
	s = qw_session(w, leader, 1);
	o = qw_session(w, 3, 1);
	qw_fill(w, leader, s, "/a", 10);
	qw_fill(w, 3, o, "/o", 10);
	assert_int_equal(qw_call(w, 3, 1, o, ZK_OP_SYNC, req_path("/")), ZK_EOK);
	qw_equal(w);
	/* nobody waits for an observer's disk, its own clients neither */
	w->server[3].slow = true;
	qw_fill(w, leader, s, "/b", 10);
	qw_fill(w, 3, o, "/p", 10);
	qw_equal(w);
	w->server[3].slow = false;
	qw_fill(w, 3, o, "/q", 10);
	qw_equal(w);
	qw_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_memory),       cmocka_unit_test(from_files),
		cmocka_unit_test(with_the_tree),     cmocka_unit_test(with_the_tree_dribbled),
		cmocka_unit_test(trees_for_many),    cmocka_unit_test(cut_off),
		cmocka_unit_test(left_behind),       cmocka_unit_test(half_a_tree),
		cmocka_unit_test(half_a_reader),     cmocka_unit_test(no_reader),
		cmocka_unit_test(observers),         cmocka_unit_test(short_of_memory),
		cmocka_unit_test(several_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
