/* SPDX-License-Identifier: Apache-2.0 */
/* An ensemble on its bytes: elections, proposals, clients of leader and follower. */
#include "test/unit/server/quorum_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char three[] = "server.1=h1:1:2\nserver.2=h2:1:2\nserver.3=h3:1:2\n";

static uint64_t figure(const _Atomic uint64_t *v)
{
	return atomic_load_explicit(v, memory_order_relaxed);
}

/* So many values. */
static void measured(const struct quorum_view *v, enum quorum_metric which, uint64_t count)
{
	assert_int_equal(figure(&v->metric[which].count), count);
}

static void writes(struct qw *w)
{
	unsigned leader, follower;
	uint64_t a, b;

	for (unsigned i = 0; i < w->n; i++)
		qw_boot(w, i);
	leader = qw_settled(w);
	assert_int_equal(leader, 2); /* the largest sid wins among equals */
	follower = 0;
	a = qw_session(w, leader, 1);
	b = qw_session(w, follower, 1);
	assert_int_equal(a >> 56, 3);
	assert_int_equal(b >> 56, 1);
	qw_fill(w, leader, a, "/l", 20);
	qw_fill(w, follower, b, "/f", 20);
	assert_int_equal(qw_call(w, follower, 1, b, ZK_OP_CREATE, req_create("/l3", NULL, NULL, 0)),
			 ZK_NODEEXISTS);
	assert_int_equal(qw_call(w, follower, 1, b, ZK_OP_SYNC, req_path("/")), ZK_EOK);
	qw_equal(w);
	assert_string_not_equal(lead_node(w->server[1].d, "/f19"), "none");
	assert_int_equal(figure(&w->server[leader].view.synced_followers), 2);
	assert_int_equal(figure(&w->server[leader].view.proposals), 43);
	assert_int_equal(figure(&w->server[leader].view.learner_proposals), 0);
	assert_int_equal(figure(&w->server[leader].view.learner_commits), 0);
	assert_int_equal(figure(&w->server[follower].view.proposals), 0);
	assert_int_equal(figure(&w->server[follower].view.learner_proposals), 43);
	assert_int_equal(figure(&w->server[follower].view.learner_commits), 43);
	measured(&w->server[leader].view, QUORUM_METRIC_PROPOSAL_BYTES, 43);
	measured(&w->server[leader].view, QUORUM_METRIC_FOLLOWER_SYNC, 0);
	measured(&w->server[follower].view, QUORUM_METRIC_FOLLOWER_SYNC, 1);
	measured(&w->server[follower].view, QUORUM_METRIC_PROPOSAL_LATENCY, 43);
	measured(&w->server[follower].view, QUORUM_METRIC_COMMIT_PROPAGATION, 43);
	measured(&w->server[leader].view, QUORUM_METRIC_LEADER_UNAVAILABLE, 1);
	measured(&w->server[follower].view, QUORUM_METRIC_LEADER_UNAVAILABLE, 0);
	for (unsigned i = 0; i < w->n; i++) {
		measured(&w->server[i].view, QUORUM_METRIC_ELECTION, 1);
		measured(&w->server[i].view, QUORUM_METRIC_UNAVAILABLE, 1);
	}
	assert_int_equal(figure(&w->server[follower].view.leader), 3);
	assert_int_equal(figure(&w->server[follower].view.role), ROLE_FOLLOWING);
	assert_int_equal(figure(&w->server[follower].view.epoch), 1);
	assert_int_equal(figure(&w->server[follower].view.peer_state), QUORUM_PEER_BROADCAST);
}

static void three_servers(void **state)
{
	struct qw *w = qw_open(three, 3);

	(void)state;
	writes(w);
	qw_close(w);
}

static void every_byte_alone(void **state)
{
	struct qw *w = qw_open(three, 3);

	(void)state;
	w->window = 1;
	writes(w);
	qw_close(w);
}

static void little_room(void **state)
{
	struct qw *w = qw_open(three, 3);

	(void)state;
	w->send_bytes = 300; /* less than a notification or NEWLEADER */
	w->window = 70;
	writes(w);
	qw_close(w);
}

/* The core sleeps when there is nothing to do, and is not late for what there is. */
static void asleep(void **state)
{
	struct qw *w = qw_open(three, 3);
	uint64_t before;

	(void)state;
	w->lazy = true;
	writes(w);
	for (unsigned i = 0; i < 3; i++) {
		before = w->server[i].polls;
		qw_run(w, 1000);
		/* ten pings and their answers */
		assert_in_range(w->server[i].polls - before, 10, 100);
	}
	qw_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_servers),
		cmocka_unit_test(every_byte_alone),
		cmocka_unit_test(little_room),
		cmocka_unit_test(asleep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
