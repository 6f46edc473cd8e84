/* SPDX-License-Identifier: Apache-2.0 */
/* Servers and the connections between them, in one thread: every byte arrives, one at a time or all
 * at once, connections break, servers start anew. */
#include "core/zab/peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { N = 4, PIPES = 64, PIPE_BYTES = 4096, HEARD_MAX = 256 };

static const uint64_t ms = 1000000;

struct pipe_end {
	int server; /* 0 = closed */
	uint32_t link;
	uint8_t in[PIPE_BYTES];
	size_t n;
};

struct pipe {
	bool used, dialled; /* the other end has not answered yet */
	int to;
	struct pipe_end end[2];
};

struct node {
	struct peers p;
	int sid;
	char address[16];
	int heard_from[HEARD_MAX];
	uint64_t heard_round[HEARD_MAX];
	unsigned heard;
};

static struct {
	struct zab_members m;
	struct node node[N + 1];
	struct pipe pipe[PIPES];
	uint64_t now_ns;
	bool dribble, stuck;
} w;

static struct pipe_end *end_of(int server, uint32_t link, struct pipe **pipe)
{
	*pipe = NULL;
	for (int i = 0; i < PIPES; i++)
		for (int k = 0; k < 2; k++)
			if (w.pipe[i].used && w.pipe[i].end[k].server == server &&
			    w.pipe[i].end[k].link == link) {
				*pipe = &w.pipe[i];
				return &w.pipe[i].end[k];
			}
	return NULL;
}

static void on_dial(void *ctx, uint32_t link, struct zk_span address)
{
	struct node *from = ctx;

	for (int i = 0; i < PIPES; i++)
		if (!w.pipe[i].used) {
			memset(&w.pipe[i], 0, sizeof(w.pipe[i]));
			w.pipe[i].used = w.pipe[i].dialled = true;
			w.pipe[i].to = address.p[1] - '0'; /* "h3:3" */
			w.pipe[i].end[0].server = from->sid;
			w.pipe[i].end[0].link = link;
			return;
		}
	fail_msg("too many connections");
}

static bool on_close_ignored;

static void on_close(void *ctx, uint32_t link)
{
	struct pipe *pipe;
	struct pipe_end *e = end_of(((struct node *)ctx)->sid, link, &pipe);

	if (!e && on_close_ignored)
		return;
	if (!e)
		fail_msg("server %d closes a connection that it has not",
			 ((struct node *)ctx)->sid);
	else
		e->server = 0;
}

static bool on_send(void *ctx, uint32_t link, struct zk_span bytes)
{
	struct pipe *pipe;
	struct pipe_end *e = end_of(((struct node *)ctx)->sid, link, &pipe), *other;

	if (!e)
		fail_msg("server %d sends on a connection that it has not",
			 ((struct node *)ctx)->sid);
	if (w.stuck || !e)
		return false;
	other = e == &pipe->end[0] ? &pipe->end[1] : &pipe->end[0];
	assert_true(other->n + bytes.n <= PIPE_BYTES);
	memcpy(other->in + other->n, bytes.p, bytes.n);
	other->n += bytes.n;
	return true;
}

static void on_heard(void *ctx, int64_t sid, const struct zab_notification *n)
{
	struct node *node = ctx;

	assert_true(node->heard < HEARD_MAX);
	node->heard_from[node->heard] = (int)sid;
	node->heard_round[node->heard++] = n->round;
}

static void boot(int sid)
{
	struct node *n = &w.node[sid];
	struct peers_conf c = {
		.sid = sid, .now = &w.m, .io = {n, on_dial, on_close, on_send, on_heard}};

	for (int i = 0; i < PIPES; i++) /* what it had before is silent, not closed */
		for (int k = 0; k < 2; k++)
			if (w.pipe[i].end[k].server == sid)
				w.pipe[i].end[k].server = 0;
	n->sid = sid;
	n->heard = 0;
	snprintf(n->address, sizeof(n->address), "h%d:3", sid);
	c.address = zk_span_str(n->address);
	peers_init(&n->p, &c, w.now_ns);
}

static bool step(struct pipe *p)
{
	bool did = false;

	if (p->dialled) {
		uint32_t link = peers_accepted(&w.node[p->to].p, w.now_ns);

		p->dialled = false;
		assert_true(link != UINT32_MAX);
		p->end[1].server = p->to;
		p->end[1].link = link;
		if (p->end[0].server)
			peers_dialled(&w.node[p->end[0].server].p, p->end[0].link, true, w.now_ns);
		return true;
	}
	for (int k = 0; k < 2; k++) {
		struct pipe_end *e = &p->end[k];
		size_t used;

		for (size_t some = w.dribble ? 1 : e->n; e->server && some && some <= e->n;) {
			used = peers_input(&w.node[e->server].p, e->link, zk_span_of(e->in, some),
					   w.now_ns);
			memmove(e->in, e->in + used, e->n - used);
			e->n -= used;
			did = did || used;
			some = used ? (w.dribble ? 1 : e->n) : some + 1;
		}
		if (e->server && !e->n && !p->end[!k].server) { /* the other end has closed */
			int server = e->server;

			e->server = 0;
			peers_closed(&w.node[server].p, e->link, w.now_ns);
			did = true;
		}
	}
	if (!p->end[0].server && !p->end[1].server)
		p->used = false;
	return did;
}

static void run(void)
{
	bool did = true;

	while (did) {
		did = false;
		for (int i = 0; i < PIPES; i++)
			if (w.pipe[i].used)
				did = step(&w.pipe[i]) || did;
	}
}

static void start(void)
{
	const char *why;
	unsigned line;

	memset(&w, 0, sizeof(w));
	w.now_ns = ms;
	assert_int_equal(zab_members_parse(zk_span_str("server.1=h1:2:3\nserver.2=h2:2:3\n"
						       "server.3=h3:2:3\nserver.4=h4:2:3:observer"),
					   &w.m, &why, &line),
			 ZK_EOK);
	for (int i = 1; i <= N; i++)
		boot(i);
}

static void tell(int from, int to, uint64_t round)
{
	struct zab_notification n = {.leader = from, .round = round};

	peers_tell(&w.node[from].p, to, &n, w.now_ns);
}

/* How many connections join the two, and who opened the last one. */
static int joined(int a, int b, int *dialler)
{
	int n = 0;

	for (int i = 0; i < PIPES; i++) {
		const struct pipe_end *e = w.pipe[i].end;

		if (w.pipe[i].used && ((e[0].server == a && e[1].server == b) ||
				       (e[0].server == b && e[1].server == a))) {
			*dialler = e[0].server;
			n++;
		}
	}
	return n;
}

static void check_heard(int at, int from, uint64_t round)
{
	for (unsigned i = 0; i < w.node[at].heard; i++)
		if (w.node[at].heard_from[i] == from && w.node[at].heard_round[i] == round)
			return;
	fail_msg("server %d has not heard round %d of server %d", at, (int)round, from);
}

static void larger_sid_opens(void **state)
{
	(void)state;
	for (int dribble = 0; dribble < 2; dribble++) {
		start();
		w.dribble = dribble;
		for (int a = 1; a <= 3; a++)
			for (int b = 1; b <= 3; b++)
				if (a != b)
					tell(a, b, (uint64_t)a);
		run();
		for (int a = 1; a <= 3; a++)
			for (int b = 1; b < a; b++) {
				int dialler = 0;

				check_heard(a, b, (uint64_t)b);
				check_heard(b, a, (uint64_t)a);
				assert_int_equal(joined(a, b, &dialler), 1);
				assert_int_equal(dialler, a);
			}
	}
}

static void smaller_one_knocks(void **state)
{
	int dialler = 0;

	(void)state;
	start();
	tell(1, 3, 7);
	run();
	check_heard(3, 1, 7);
	assert_int_equal(joined(1, 3, &dialler), 1);
	assert_int_equal(dialler, 3);
}

static void newest_waits(void **state)
{
	(void)state;
	start();
	w.stuck = true;
	tell(3, 1, 1);
	/* the hello does not fit either: it is dialled again with the next word */
	run();
	w.stuck = false;
	tell(3, 1, 2);
	run();
	check_heard(1, 3, 2);
	w.stuck = true;
	tell(3, 1, 3);
	tell(3, 1, 4);
	assert_false(peers_delivered(&w.node[1].p));
	w.stuck = false;
	peers_writable(&w.node[3].p, w.node[3].p.entry[0].link, w.now_ns);
	run();
	check_heard(1, 3, 4);
	for (unsigned i = 0; i < w.node[1].heard; i++)
		assert_int_not_equal(w.node[1].heard_round[i], 3);
	assert_true(peers_delivered(&w.node[3].p));
	assert_false(peers_delivered(&w.node[3].p));
}

/* A server that starts anew knows nothing of its connections; both sides find each other again and
 * the last word is said again. */
static void after_a_restart(void **state)
{
	int dialler = 0;

	(void)state;
	start();
	tell(3, 1, 5);
	run();
	boot(1);
	tell(1, 3, 6); /* a knock at a server that believes to be connected */
	run();
	check_heard(1, 3, 5);
	check_heard(3, 1, 6);
	assert_int_equal(joined(1, 3, &dialler), 1);
	boot(3);
	tell(3, 1, 8);
	run();
	check_heard(1, 3, 8);
	assert_int_equal(joined(1, 3, &dialler), 1);
}

/* Known to be away: after a try that failed, or a connection that broke; not before, and not when
 * it is back. */
static void absent_peers(void **state)
{
	struct peers *p = &w.node[3].p;
	struct pipe *pipe;
	uint32_t link;

	(void)state;
	start();
	assert_false(peers_absent(p, 1));
	tell(3, 1, 7);
	assert_false(peers_absent(p, 1));
	for (link = 0; p->link[link].state != PEER_LINK_DIALLING; link++)
		;
	end_of(3, link, &pipe)->server = 0;
	pipe->used = false;
	peers_dialled(p, link, false, w.now_ns);
	assert_true(peers_absent(p, 1));
	tell(3, 1, 8);
	assert_true(peers_absent(p, 1));
	run();
	check_heard(1, 3, 8);
	assert_false(peers_absent(p, 1));
	for (link = 0; p->link[link].state != PEER_LINK_UP; link++)
		;
	end_of(3, link, &pipe)->server = 0;
	peers_closed(p, link, w.now_ns);
	assert_true(peers_absent(p, 1));
	run();
	tell(1, 3, 9); /* a knock, and it is called back */
	run();
	assert_false(peers_absent(p, 1));
	assert_false(peers_absent(&w.node[1].p, 3)); /* closing after a knock is no failure */
}

static void connects_to_voters(void **state)
{
	int dialler;

	(void)state;
	start();
	peers_connect_all(&w.node[4].p, w.now_ns);
	run();
	for (int i = 1; i <= 3; i++)
		assert_int_equal(joined(4, i, &dialler), 1);
	assert_int_equal(w.node[4].p.dials, 3);
	peers_connect_all(&w.node[4].p, w.now_ns);
	assert_int_equal(w.node[4].p.dials, 3);
}

static void nonsense_is_closed(void **state)
{
	static const uint8_t zeros[8] = {0xff, 0xff, 0, 0, 0, 0, 0, 0};
	struct node *n;
	uint32_t link;

	(void)state;
	start();
	n = &w.node[2];
	w.pipe[0].used = true;
	w.pipe[0].end[0].server = 2;
	link = w.pipe[0].end[0].link = peers_accepted(&n->p, w.now_ns);
	peers_input(&n->p, link, zk_span_of(zeros, 8), w.now_ns);
	assert_int_equal(n->p.link[link].state, PEER_LINK_FREE);
	assert_int_equal(n->p.refused, 1);
}

static void silence_times_out(void **state)
{
	struct node *n;

	(void)state;
	start();
	n = &w.node[2];
	w.pipe[0].used = true;
	w.pipe[0].end[0].server = 2;
	w.pipe[0].end[0].link = peers_accepted(&n->p, w.now_ns);
	assert_int_equal(peers_next_ns(&n->p), w.now_ns + 10000 * ms);
	peers_tick(&n->p, w.now_ns + 9999 * ms);
	assert_int_equal(n->p.timeouts, 0);
	peers_tick(&n->p, w.now_ns + 10000 * ms);
	assert_int_equal(n->p.timeouts, 1);
	assert_int_equal(peers_next_ns(&n->p), UINT64_MAX);
}

static void strangers_are_bounded(void **state)
{
	struct node *n;

	(void)state;
	start();
	n = &w.node[1];
	w.pipe[0].used = true;
	w.pipe[0].end[0].server = 1;
	for (int i = 0; i < 2 * PEERS_MAX; i++) {
		uint8_t hello[8];
		uint32_t link = peers_accepted(&n->p, w.now_ns);

		if (link == UINT32_MAX)
			break;
		w.pipe[0].end[0].server = 1; /* it may have been closed */
		w.pipe[0].end[0].link = link;
		zk_put64(hello, 1000 + (uint64_t)i);
		assert_int_equal(peers_input(&n->p, link, zk_span_of(hello, 8), w.now_ns), 8);
	}
	w.pipe[0].used = false;
	assert_true(n->p.refused > 0);
	on_close_ignored = true; /* of a stranger that had no pipe here */
	tell(1, 2, 1);
	on_close_ignored = false;
	run();
	check_heard(2, 1, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(larger_sid_opens),   cmocka_unit_test(smaller_one_knocks),
		cmocka_unit_test(newest_waits),       cmocka_unit_test(after_a_restart),
		cmocka_unit_test(connects_to_voters), cmocka_unit_test(nonsense_is_closed),
		cmocka_unit_test(silence_times_out),  cmocka_unit_test(strangers_are_bounded),
		cmocka_unit_test(absent_peers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
