/* SPDX-License-Identifier: Apache-2.0 */
/* Servers in one thread: a slot per pair that holds the newest notification, delays, losses and
 * crashes from a seed, time that jumps to the next thing to do. */
#include "core/zab/elect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { N_MAX = 9, SEEDS = 3000 };

static const uint64_t ms = 1000000;

struct slot {
	bool full;
	uint64_t due_ns;
	struct zab_notification n;
};

struct world;

struct peer {
	struct world *w;
	struct elect e;
	bool up, sent;
	int64_t zxid, epoch;
};

struct world {
	struct zab_members m;
	struct peer peer[N_MAX + 1]; /* by sid; 0 unused */
	struct slot slot[N_MAX + 1][N_MAX + 1];
	bool cut[N_MAX + 1][N_MAX + 1];
	int n;
	unsigned loss; /* percent */
	uint32_t settle_fast_ms;
	uint64_t now_ns, rng;
};

static uint64_t draw(struct world *w, uint64_t n)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return w->rng % n;
}

static void on_send(void *ctx, int64_t to, const struct zab_notification *n)
{
	struct peer *p = ctx;
	struct world *w = p->w;
	int64_t from = p->e.conf.sid;

	p->sent = true;
	if (to < 1 || to > w->n || !w->peer[to].up || w->cut[from][to] || draw(w, 100) < w->loss)
		return;
	w->slot[from][to] =
		(struct slot){.full = true, .due_ns = w->now_ns + (1 + draw(w, 20)) * ms, .n = *n};
}

static bool on_delivered(void *ctx)
{
	return ((struct peer *)ctx)->sent;
}

static void on_connect_all(void *ctx)
{
	((struct peer *)ctx)->sent = true;
}

static bool on_absent(void *ctx, int64_t sid)
{
	const struct peer *p = ctx;

	return !p->w->peer[sid].up;
}

static void boot(struct world *w, int sid)
{
	struct peer *p = &w->peer[sid];
	bool observer = w->m.server[zab_members_find(&w->m, sid)].observer;
	struct elect_conf c = {.sid = sid,
			       .observer = observer,
			       .now = &w->m,
			       .settle_fast_ms = w->settle_fast_ms,
			       .io = {p, on_send, on_delivered, on_connect_all, on_absent}};

	p->w = w;
	p->up = true;
	for (int i = 1; i <= w->n; i++)
		w->slot[i][sid].full = w->slot[sid][i].full = false;
	elect_init(&p->e, &c, p->zxid, p->epoch);
	elect_start(&p->e, p->zxid, p->epoch, w->now_ns);
}

static void make(struct world *w, const char *config, uint64_t seed)
{
	const char *why;
	unsigned line;

	memset(w, 0, sizeof(*w));
	w->rng = seed * 2654435761u + 88172645463325252u;
	w->now_ns = 1000 * ms;
	if (zab_members_parse(zk_span_str(config), &w->m, &why, &line) != ZK_EOK)
		fail_msg("%s", why);
	w->n = (int)w->m.n;
}

static void plain(struct world *w, int n, uint64_t seed)
{
	char text[512];
	size_t at = 0;

	for (int i = 1; i <= n; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "server.%d=h:2:3\n", i);
	make(w, text, seed);
}

/* Deliver and tick until @p until_ns or until nothing is left to do. */
static void run(struct world *w, uint64_t until_ns)
{
	for (;;) {
		uint64_t next = UINT64_MAX;
		int from = 0, to = 0;

		for (int i = 1; i <= w->n; i++) {
			uint64_t t = w->peer[i].up ? elect_next_ns(&w->peer[i].e) : UINT64_MAX;

			if (t < next) {
				next = t;
				from = 0;
				to = i;
			}
			for (int j = 1; j <= w->n; j++)
				if (w->slot[i][j].full && w->slot[i][j].due_ns < next) {
					next = w->slot[i][j].due_ns;
					from = i;
					to = j;
				}
		}
		if (next > until_ns)
			break;
		if (next > w->now_ns)
			w->now_ns = next;
		if (from) {
			w->slot[from][to].full = false;
			if (w->peer[to].up)
				elect_receive(&w->peer[to].e, from, &w->slot[from][to].n,
					      w->now_ns);
		} else {
			elect_tick(&w->peer[to].e, w->now_ns);
		}
	}
	w->now_ns = until_ns;
}

/* What synchronisation would notice: a leader without a quorum, a follower without a leader. */
static bool lost_role(const struct world *w, int sid)
{
	const struct elect *e = &w->peer[sid].e;
	const struct peer *leader;
	uint64_t with = 0;

	if (!w->peer[sid].up || e->state == ZAB_LOOKING)
		return false;
	leader = &w->peer[e->current.leader];
	if (e->state != ZAB_LEADING)
		return !leader->up || leader->e.state != ZAB_LEADING;
	for (int i = 1; i <= w->n; i++)
		if (w->peer[i].up && w->peer[i].e.state != ZAB_LOOKING &&
		    w->peer[i].e.current.leader == sid)
			with |= UINT64_C(1) << zab_members_find(&w->m, i);
	return !zab_members_quorum(&w->m, with);
}

static void run_with_roles(struct world *w, uint64_t until_ns)
{
	while (w->now_ns < until_ns) {
		run(w, w->now_ns + 2000 * ms);
		for (int i = 1; i <= w->n; i++)
			if (lost_role(w, i))
				elect_start(&w->peer[i].e, w->peer[i].zxid, w->peer[i].epoch,
					    w->now_ns);
	}
}

static int leader_of(struct world *w, uint64_t seed)
{
	int64_t leader = 0;

	for (int i = 1; i <= w->n; i++) {
		struct peer *p = &w->peer[i];

		if (!p->up)
			continue;
		if (p->e.state == ZAB_LOOKING)
			fail_msg("seed %llu: server %d found nobody", (unsigned long long)seed, i);
		if (leader && p->e.current.leader != leader)
			fail_msg("seed %llu: server %d follows %d, another %d",
				 (unsigned long long)seed, i, (int)p->e.current.leader,
				 (int)leader);
		leader = p->e.current.leader;
	}
	assert_true(leader >= 1 && leader <= w->n);
	assert_true(w->peer[leader].up);
	assert_int_equal(w->peer[leader].e.state, ZAB_LEADING);
	return (int)leader;
}

static void alone(void **state)
{
	struct world w;

	(void)state;
	plain(&w, 1, 1);
	boot(&w, 1);
	assert_int_equal(leader_of(&w, 1), 1);
}

static void newest_history_wins(void **state)
{
	struct world w;

	(void)state;
	plain(&w, 3, 1);
	w.peer[1].zxid = 0x100000009;
	w.peer[1].epoch = 1;
	w.peer[2].zxid = 0x200000001;
	w.peer[2].epoch = 2;
	w.peer[3].zxid = 0x100000030;
	w.peer[3].epoch = 1;
	for (int i = 1; i <= 3; i++)
		boot(&w, i);
	run(&w, w.now_ns + 5000 * ms);
	assert_int_equal(leader_of(&w, 1), 2);
}

/* All voters agree: nobody waits. One is missing: the others wait for it settle_ms. */
static void waits_only_for_who_could_know_better(void **state)
{
	struct world w;
	uint64_t start;

	(void)state;
	plain(&w, 3, 1);
	start = w.now_ns;
	for (int i = 1; i <= 3; i++)
		boot(&w, i);
	run(&w, start + 150 * ms);
	assert_int_equal(leader_of(&w, 1), 3);
	plain(&w, 3, 1);
	for (int i = 1; i <= 2; i++)
		boot(&w, i);
	run(&w, start + 150 * ms);
	assert_int_equal(w.peer[2].e.state, ZAB_LOOKING);
	run(&w, start + 300 * ms);
	assert_int_equal(leader_of(&w, 1), 2);
}

/* Nobody waits long for who is known to be away; for who is only late, as before. */
static void absent_voters_are_not_waited_for(void **state)
{
	struct world w;
	struct zab_notification n = {.state = ZAB_LOOKING, .leader = 5, .zxid = 9, .round = 1};

	(void)state;
	plain(&w, 3, 1);
	w.settle_fast_ms = 30;
	for (int i = 1; i <= 2; i++)
		boot(&w, i);
	run(&w, w.now_ns + 100 * ms);
	assert_int_equal(leader_of(&w, 1), 2);
	/* the third is there and says nothing yet */
	plain(&w, 3, 1);
	w.settle_fast_ms = 30;
	w.cut[3][1] = w.cut[3][2] = true;
	for (int i = 1; i <= 3; i++)
		boot(&w, i);
	run(&w, w.now_ns + 150 * ms);
	assert_int_equal(w.peer[2].e.state, ZAB_LOOKING);
	/* the leader that was lost counts as away until it speaks, whatever its connection says */
	for (int spoken = 0; spoken < 2; spoken++) {
		plain(&w, 3, 1);
		w.settle_fast_ms = 30;
		boot(&w, 1);
		w.peer[3].up = true;
		elect_suspect(&w.peer[1].e, 3);
		elect_start(&w.peer[1].e, 9, 0, w.now_ns);
		n = (struct zab_notification){.state = ZAB_LOOKING, .zxid = 9};
		n.round = w.peer[1].e.round;
		n.leader = 1;
		if (spoken)
			elect_receive(&w.peer[1].e, 3, &n, w.now_ns);
		n.leader = 2;
		assert_false(elect_receive(&w.peer[1].e, 2, &n, w.now_ns));
		assert_int_equal(elect_tick(&w.peer[1].e, w.now_ns + 31 * ms), !spoken);
	}
}

static void who_comes_late_follows(void **state)
{
	struct world w;

	(void)state;
	plain(&w, 5, 3);
	for (int i = 1; i <= 3; i++)
		boot(&w, i);
	run(&w, w.now_ns + 2000 * ms);
	assert_int_equal(leader_of(&w, 3), 3);
	for (int i = 1; i <= 3; i++)
		elect_epoch(&w.peer[i].e, 7);
	w.peer[5].zxid = INT64_MAX; /* a better vote, but the others have a leader */
	boot(&w, 5);
	run(&w, w.now_ns + 2000 * ms);
	assert_int_equal(leader_of(&w, 3), 3);
	assert_int_equal(w.peer[5].e.current.peer_epoch, 7);
	assert_int_equal(w.peer[5].e.round, w.peer[3].e.round);
}

/* Votes for a leader that does not say itself that it leads are not enough. */
static void leader_must_say_so(void **state)
{
	struct world w;
	struct zab_notification n = {
		.state = ZAB_FOLLOWING, .leader = 3, .zxid = 5, .round = 1, .version = 2};

	(void)state;
	plain(&w, 5, 4);
	w.cut[1][2] = w.cut[1][3] = true;
	boot(&w, 1);
	assert_false(elect_receive(&w.peer[1].e, 2, &n, w.now_ns));
	assert_false(elect_receive(&w.peer[1].e, 4, &n, w.now_ns));
	assert_false(elect_receive(&w.peer[1].e, 5, &n, w.now_ns));
	n.state = ZAB_LEADING;
	assert_true(elect_receive(&w.peer[1].e, 3, &n, w.now_ns));
	assert_int_equal(w.peer[1].e.current.leader, 3);
}

/* Two look in vain and say so again and again: the third, whose questions got lost, must not take
 * that for a reason to wait. */
/* Of two followers of a dead leader the one with the better vote notices first: what it said then
 * the other one has dropped. It must not take a resend interval until that one hears it again. */
static void who_looks_later_is_told_the_better_vote(void **state)
{
	struct world w;

	(void)state;
	plain(&w, 3, 1);
	w.settle_fast_ms = 30;
	for (int i = 1; i <= 3; i++)
		boot(&w, i);
	run(&w, w.now_ns + 1000 * ms);
	assert_int_equal(leader_of(&w, 1), 3);
	w.peer[3].up = false;
	for (int i = 2; i >= 1; i--) {
		elect_suspect(&w.peer[i].e, 3);
		elect_start(&w.peer[i].e, 0, 1, w.now_ns);
		run(&w, w.now_ns + 40 * ms);
	}
	run(&w, w.now_ns + 60 * ms);
	assert_int_equal(leader_of(&w, 1), 2);
}

static void asks_again_whatever_is_heard(void **state)
{
	struct world w;
	struct elect *e = &w.peer[2].e;
	struct zab_notification n = {.state = ZAB_LOOKING, .leader = 1};
	uint64_t asked;

	(void)state;
	plain(&w, 5, 1);
	boot(&w, 2);
	n.round = e->round;
	asked = e->broadcasts;
	for (int i = 0; i < 50; i++) {
		w.now_ns += 150 * ms;
		assert_false(elect_receive(e, 1, &n, w.now_ns));
		assert_false(elect_tick(e, w.now_ns));
		assert_true(elect_next_ns(e) <= w.now_ns + 2000 * ms);
	}
	/* after 0.2, 0.4, 0.8, 1.6, 2 and 2 s, each up to 0.15 s late; not more often */
	assert_int_equal(e->broadcasts - asked, 6);
}

static void minority_finds_nobody(void **state)
{
	struct world w;

	(void)state;
	plain(&w, 5, 5);
	boot(&w, 4);
	boot(&w, 5);
	run(&w, w.now_ns + 600000 * ms);
	assert_int_equal(w.peer[4].e.state, ZAB_LOOKING);
	/* 200 ms doubling to 2 s: it does not shout */
	assert_true(w.peer[4].e.broadcasts < 320);
}

static void observers_follow_and_do_not_count(void **state)
{
	struct world w;

	(void)state;
	make(&w,
	     "server.1=a:2:3\nserver.2=b:2:3\nserver.3=c:2:3\nserver.4=d:2:3:observer\n"
	     "server.5=e:2:3:observer\n",
	     6);
	w.peer[4].zxid = w.peer[5].zxid = 900;
	boot(&w, 1);
	boot(&w, 4);
	boot(&w, 5);
	run(&w, w.now_ns + 5000 * ms);
	assert_int_equal(w.peer[1].e.state, ZAB_LOOKING);
	boot(&w, 2);
	run(&w, w.now_ns + 70000 * ms);
	assert_int_equal(leader_of(&w, 6), 2);
	assert_int_equal(w.peer[4].e.state, ZAB_OBSERVING);
}

/* A leader has died silently and its followers look for another one. What they tell an observer
 * meanwhile must not be enough to elect the dead one once more: it would dial it until
 * initLimit. */
static void no_votes_for_who_was_given_up(void **state)
{
	struct world w;

	(void)state;
	make(&w, "server.1=a:2:3\nserver.2=b:2:3\nserver.3=c:2:3\nserver.4=d:2:3:observer\n", 9);
	for (int i = 1; i <= 4; i++)
		boot(&w, i);
	run(&w, w.now_ns + 70000 * ms);
	assert_int_equal(leader_of(&w, 9), 3);
	assert_int_equal(w.peer[4].e.state, ZAB_OBSERVING);
	w.peer[3].up = false;
	w.cut[1][2] = w.cut[2][1] = true; /* no election before the observer has asked */
	for (int i = 1; i <= 4; i++)
		if (i != 3)
			elect_start(&w.peer[i].e, 0, 0, w.now_ns);
	run(&w, w.now_ns + 3000 * ms);
	assert_int_equal(w.peer[4].e.state, ZAB_LOOKING);
	w.cut[1][2] = w.cut[2][1] = false;
	run(&w, w.now_ns + 70000 * ms);
	assert_int_equal(w.peer[2].e.state, ZAB_LEADING);
	assert_int_equal(w.peer[4].e.state, ZAB_OBSERVING);
	assert_int_equal(w.peer[4].e.current.leader, 2);
}

static void without_weight_never_leads(void **state)
{
	struct world w;

	(void)state;
	make(&w,
	     "server.1=a:2:3\nserver.2=b:2:3\nserver.3=c:2:3\n"
	     "group.1=1:2:3\nweight.3=0\n",
	     7);
	w.peer[3].zxid = 900;
	for (int i = 1; i <= 3; i++)
		boot(&w, i);
	run(&w, w.now_ns + 70000 * ms);
	assert_int_equal(leader_of(&w, 7), 2);
}

static void strangers_are_answered_and_not_counted(void **state)
{
	struct world w;
	struct zab_notification n = {.state = ZAB_LOOKING, .leader = 77, .zxid = 5, .round = 100};

	(void)state;
	plain(&w, 3, 8);
	boot(&w, 1);
	assert_false(elect_receive(&w.peer[1].e, 77, &n, w.now_ns));
	assert_int_equal(w.peer[1].e.answers, 1);
	assert_int_equal(w.peer[1].e.round, 1);
	n.leader = 77; /* a member may not propose a stranger either */
	assert_false(elect_receive(&w.peer[1].e, 2, &n, w.now_ns));
	assert_int_equal(w.peer[1].e.proposal.leader, 1);
}

/* Any start order, delays, losses, crashes: in the end one leader, and no member of some quorum had
 * a better history when it began. */
static void many_worlds(void **state)
{
	static struct world w;

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		int n = 3 + 2 * (int)(seed % 3), leader, above = 0;

		plain(&w, n, seed);
		w.loss = (unsigned)draw(&w, 4) * 10;
		w.settle_fast_ms = seed % 2 ? 30 : 0;
		for (int i = 1; i <= n; i++) {
			w.peer[i].epoch = (int64_t)draw(&w, 3);
			w.peer[i].zxid = w.peer[i].epoch << 32 | (int64_t)draw(&w, 3);
		}
		for (int i = 1; i <= n; i++) {
			if ((int)draw(&w, 100) < 90)
				boot(&w, i);
			run(&w, w.now_ns + draw(&w, 300) * ms);
		}
		for (int k = 0; k < 3; k++) { /* crashes in the middle of it */
			int i = 1 + (int)draw(&w, (uint64_t)n);

			w.peer[i].up = false;
			run(&w, w.now_ns + draw(&w, 500) * ms);
			boot(&w, i);
		}
		for (int i = 1; i <= n; i++)
			if (!w.peer[i].up)
				boot(&w, i);
		w.loss = 0;
		run_with_roles(&w, w.now_ns + 400000 * ms);
		leader = leader_of(&w, seed);
		for (int i = 1; i <= n; i++)
			above += w.peer[i].epoch > w.peer[leader].epoch ||
				 (w.peer[i].epoch == w.peer[leader].epoch &&
				  w.peer[i].zxid > w.peer[leader].zxid);
		if (above > n / 2)
			fail_msg("seed %llu: %d servers know more than leader %d",
				 (unsigned long long)seed, above, leader);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alone),
		cmocka_unit_test(newest_history_wins),
		cmocka_unit_test(waits_only_for_who_could_know_better),
		cmocka_unit_test(absent_voters_are_not_waited_for),
		cmocka_unit_test(who_comes_late_follows),
		cmocka_unit_test(leader_must_say_so),
		cmocka_unit_test(who_looks_later_is_told_the_better_vote),
		cmocka_unit_test(asks_again_whatever_is_heard),
		cmocka_unit_test(minority_finds_nobody),
		cmocka_unit_test(observers_follow_and_do_not_count),
		cmocka_unit_test(no_votes_for_who_was_given_up),
		cmocka_unit_test(without_weight_never_leads),
		cmocka_unit_test(strangers_are_answered_and_not_counted),
		cmocka_unit_test(many_worlds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
