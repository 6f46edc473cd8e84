/* SPDX-License-Identifier: Apache-2.0 */
/* Many notifications at once: how much of them is done in one round, and what everybody else sees
 * meanwhile (core/server/srv_fire.c). No clock: work is counted. */
#include "core/server/srv_int.h"
#include "test/unit/server/srv_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { EVENTS = 100000, IN_BYTES = 128, NOTE_MAX = 8 };

/** One frame that the server sent. */
struct note {
	int32_t xid, err;
	uint64_t zxid;
	char first; /* of a getData reply: the first byte of the data */
};

/** A client that only counts, but for the last frames. */
struct mass {
	struct srv_conn *c;
	uint8_t in[IN_BYTES];
	unsigned in_n;
	unsigned events, replies;
	uint64_t zxid; /* of the newest frame */
	struct note note[NOTE_MAX];
	unsigned notes;
};

static unsigned events_all, frames_all, round_max;
static size_t bytes_all;
static uint8_t room[2048];

static struct zk_span io_peek(void *t, size_t skip)
{
	const struct mass *m = t;

	return zk_span_of(m->in + skip, m->in_n > skip ? m->in_n - skip : 0);
}

static size_t io_readable(void *t)
{
	return ((const struct mass *)t)->in_n;
}

static void io_read_done(void *t, size_t n)
{
	struct mass *m = t;

	assert_true(n <= m->in_n);
	memmove(m->in, m->in + n, m->in_n - n);
	m->in_n -= (unsigned)n;
}

static void *io_tail(void *t, size_t n)
{
	(void)t;
	return n <= sizeof(room) ? room : NULL;
}

/** One whole frame at a time: that is how this server writes what these tests ask for. */
static void frame(struct mass *m, const uint8_t *p, size_t n)
{
	struct note *k = &m->note[m->notes % NOTE_MAX];

	assert_int_equal(zk_get32(p), n - 4);
	frames_all++;
	bytes_all += n;
	if (n == 41 && m->notes == 0 && m->replies == 0) { /* ConnectResponse */
		m->replies++;
		return;
	}
	*k = (struct note){.xid = (int32_t)zk_get32(p + 4),
			   .zxid = zk_get64(p + 8),
			   .err = (int32_t)zk_get32(p + 16)};
	if (n > 24 && zk_get32(p + 20) == 1)
		k->first = (char)p[24];
	/* zxids that a client sees never go back */
	assert_true(k->zxid >= m->zxid);
	m->zxid = k->zxid;
	m->notes++;
	if (k->xid == ZK_XID_WATCH) {
		m->events++;
		events_all++;
	} else {
		m->replies++;
	}
}

static void io_tail_commit(void *t, size_t used)
{
	frame(t, room, used);
}

static size_t io_write(void *t, const void *p, size_t n)
{
	frame(t, p, n);
	return n;
}

static size_t io_unacked(void *t)
{
	(void)t;
	return 0;
}

static void io_end(void *t)
{
	(void)t;
}

static const struct srv_io io = {io_peek,  io_readable, io_read_done, io_tail, io_tail_commit,
				 io_write, io_unacked,  io_end,       io_end};

static const struct note *last(const struct mass *m)
{
	assert_true(m->notes > 0);
	return &m->note[(m->notes - 1) % NOTE_MAX];
}

/* It has come; the server has not looked yet. */
static void load_bytes(struct mass *m, const void *p, size_t n)
{
	assert_true(m->in_n + n <= IN_BYTES);
	memcpy(m->in + m->in_n, p, n);
	m->in_n += (unsigned)n;
}

static void send_bytes(struct fake *f, struct mass *m, const void *p, size_t n)
{
	load_bytes(m, p, n);
	srv_input(m->c, f->now_ns);
}

static void load_path(struct mass *m, int32_t xid, int32_t op, const char *path, bool watch)
{
	struct req r;

	req_start(&r, xid, op);
	req_str(&r, path);
	req_u8(&r, watch);
	req_end(&r);
	load_bytes(m, r.b, r.n);
}

static void send_path(struct fake *f, struct mass *m, int32_t xid, int32_t op, const char *path,
		      bool watch)
{
	load_path(m, xid, op, path, watch);
	srv_input(m->c, f->now_ns);
}

static struct mass *mass_new(struct fake *f, unsigned n)
{
	struct mass *v = calloc(n, sizeof(*v));
	uint8_t hello[64];
	size_t hello_n = hex_bytes("0000002d 00000000 0000000000000000 00002710 0000000000000000"
				   "00000010 00000000000000000000000000000000 00",
				   hello, sizeof(hello));

	assert_non_null(v);
	for (unsigned i = 0; i < n; i++) {
		v[i].c = srv_open(f->srv, &v[i], i < 50000 ? "127.0.0.1" : "127.0.0.2", (uint16_t)i,
				  f->now_ns);
		assert_non_null(v[i].c);
		send_bytes(f, &v[i], hello, hello_n);
		if (i % 256 == 255 || i == n - 1)
			fake_settle(f);
	}
	events_all = 0;
	return v;
}

static void mass_free(struct fake *f, struct mass *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		srv_gone(v[i].c, f->now_ns);
	free(v);
	fake_settle(f);
	fake_free(f);
}

/** One round; @return notifications in it. */
static unsigned round_of(struct fake *f)
{
	unsigned before = events_all;

	fake_round(f);
	if (events_all - before > round_max)
		round_max = events_all - before;
	return events_all - before;
}

static uint64_t counted(struct fake *f, size_t offset)
{
	struct srv_counts n;

	srv_totals(&f->shared, &n);
	return *(const uint64_t *)(const void *)((const char *)&n + offset);
}

#define COUNTED(f, name) counted(f, offsetof(struct srv_counts, name))

static struct fake *machine(unsigned conns)
{
	struct fake_conf conf = {.conns_max = conns, .io = &io};

	round_max = 0;
	return fake_new(&conf);
}

/* 100,000 watchers of one node. Visible moves at once; whoever asks is told first. */
static void one_node(void **state)
{
	struct fake *f = machine(EVENTS + 2);
	struct mass *v = mass_new(f, EVENTS + 2), *by = &v[EVENTS], *early = &v[7],
		    *late = &v[EVENTS - 1], *writer = &v[EVENTS + 1];
	unsigned rounds = 0;
	struct req r;
	uint64_t z;

	(void)state;
	(void)fake_tx(f, ZK_OP_CREATE, "/hot", "a");
	(void)fake_tx(f, ZK_OP_CREATE, "/other", "x");
	fake_settle(f);
	for (unsigned i = 0; i < EVENTS; i++)
		send_path(f, &v[i], 1, ZK_OP_GET_DATA, "/hot", true);
	z = fake_tx(f, ZK_OP_SET_DATA, "/hot", "b");
	assert_true(round_of(f) > 0);
	/* of those at both ends of the list, one has not been told yet: it is, before it reads */
	for (struct mass *m = early;; m = late) {
		unsigned had = m->events;

		send_path(f, m, 2, ZK_OP_GET_DATA, "/hot", true);
		assert_int_equal(m->events, 1);
		assert_int_equal(last(m)->xid, 2);
		assert_int_equal(last(m)->first, 'b');
		assert_int_equal(last(m)->zxid, z);
		if (had == 0)
			assert_int_equal(m->note[(m->notes - 2) % NOTE_MAX].xid, ZK_XID_WATCH);
		if (m == late)
			break;
	}
	/* a write of somebody else's is answered in no time, although nobody is through yet */
	req_start(&r, 5, ZK_OP_SET_DATA);
	req_str(&r, "/other");
	req_str(&r, "y");
	req_i32(&r, -1);
	req_end(&r);
	send_bytes(f, writer, r.b, r.n);
	(void)round_of(f);
	(void)round_of(f);
	assert_int_equal(last(writer)->xid, 5);
	while (events_all < EVENTS) {
		unsigned had = by->replies, frames = frames_all;

		/* what comes before a round is answered in it, behind one slice and no more */
		load_path(by, (int32_t)rounds, ZK_OP_GET_DATA, "/hot", false);
		assert_true(round_of(f) > 0);
		srv_input(by->c, f->now_ns);
		assert_int_equal(by->replies, had + 1);
		assert_int_equal(last(by)->first, 'b');
		assert_true(frames_all - frames <= SRV_EVENTS_ROUND + 1);
		assert_true(rounds++ < EVENTS);
	}
	printf("%u notifications: %u rounds, at most %u in one\n", EVENTS, rounds, round_max);
	assert_true(round_max <= SRV_EVENTS_ROUND);
	fake_settle(f);
	assert_int_equal(events_all, EVENTS);
	for (unsigned i = 0; i < EVENTS; i++)
		assert_int_equal(v[i].events, 1);
	assert_int_equal(by->events + writer->events, 0);
	/* two have set their watch again, in the midst of it */
	assert_int_equal(COUNTED(f, watch_data), 2);
	(void)fake_tx(f, ZK_OP_DELETE, "/hot", "");
	fake_settle(f);
	assert_int_equal(events_all, EVENTS + 2);
	mass_free(f, v, EVENTS + 2);
}

/* One transaction whose triggers do not fit in line: visible waits, whole. */
static void one_multi(void **state)
{
	enum { NODES = 1000, WATCHERS = EVENTS / NODES };
	struct fake *f = machine(WATCHERS + 3);
	struct mass *v = mass_new(f, WATCHERS + 3), *by = &v[WATCHERS], *setter = by + 1;
	char path[16];
	uint64_t z, before;
	unsigned midway = 0;

	(void)state;
	for (unsigned k = 0; k < NODES; k++) {
		(void)snprintf(path, sizeof(path), "/n%u", k);
		(void)fake_tx(f, ZK_OP_CREATE, path, "a");
		fake_settle(f);
		for (unsigned i = 0; i < WATCHERS; i++)
			send_path(f, &v[i], 1, ZK_OP_GET_DATA, path, true);
	}
	before = f->zxid;
	z = ++f->zxid;
	tree_begin(f->tree, z, 1);
	for (unsigned k = 0; k < NODES; k++) {
		(void)snprintf(path, sizeof(path), "/n%u", k);
		assert_int_equal(tree_set_data(f->tree, zk_span_str(path), zk_span_str("b"), 1),
				 ZK_EOK);
	}
	tree_end(f->tree);
	(void)round_of(f);
	/* one that has heard of it asks, and one sets a watch on a node whose trigger is gone by:
	 * both wait for the rest of the transaction */
	send_path(f, &v[0], 2, ZK_OP_GET_DATA, "/n999", false);
	send_path(f, setter, 2, ZK_OP_EXISTS, "/n0", true);
	assert_int_equal(last(&v[0])->xid, ZK_XID_WATCH);
	assert_int_equal(setter->notes, 0);
	while (events_all < EVENTS) {
		unsigned had = by->replies;

		send_path(f, by, 3, ZK_OP_GET_DATA, "/n0", false);
		assert_int_equal(by->replies, had + 1); /* everybody else is served all along */
		if (last(by)->zxid < z) {
			midway++;
			assert_int_equal(last(by)->zxid, before);
			assert_int_equal(last(by)->first, 'a'); /* none of it */
			assert_int_equal(setter->notes, 0);
		} else {
			assert_int_equal(last(by)->first, 'b'); /* all of it */
		}
		(void)round_of(f);
	}
	fake_settle(f);
	assert_true(midway > 10);
	assert_true(COUNTED(f, events_blocked) > 0);
	assert_true(round_max <= SRV_EVENTS_ROUND + SRV_FIRES_MAX); /* v[0] was told at once */
	for (unsigned i = 0; i < WATCHERS; i++)
		assert_int_equal(v[i].events, NODES);
	assert_int_equal(events_all, EVENTS);
	assert_int_equal(setter->notes, 1); /* the reply, at Z, and no event */
	assert_int_equal(last(setter)->zxid, z);
	assert_int_equal(v[0].replies, NODES + 2);
	assert_int_equal(tree_visible(f->reader), z);
	mass_free(f, v, WATCHERS + 3);
}

/* A burst of transactions: each client hears of them in their order (frame() looks). */
static void burst(void **state)
{
	enum { TXNS = 500, WATCHERS = 200 };
	struct fake *f = machine(WATCHERS);
	struct mass *v = mass_new(f, WATCHERS);
	struct req r;

	(void)state;
	(void)fake_tx(f, ZK_OP_CREATE, "/a", "");
	(void)fake_tx(f, ZK_OP_CREATE, "/a/b", "");
	fake_settle(f);
	for (unsigned i = 0; i < WATCHERS; i++) {
		req_start(&r, 1, ZK_OP_ADD_WATCH);
		req_str(&r, i % 2 ? "/a/b" : "/");
		req_i32(&r, i % 2 ? 0 : 1); /* persistent, recursive */
		req_end(&r);
		send_bytes(f, &v[i], r.b, r.n);
	}
	for (unsigned k = 0; k < TXNS; k++)
		(void)fake_tx(f, ZK_OP_SET_DATA, "/a/b", "y");
	while (events_all < TXNS * WATCHERS) {
		(void)round_of(f);
		/* any of them may ask at any time */
		send_path(f, &v[events_all % WATCHERS], 4, ZK_OP_GET_DATA, "/a/b", false);
	}
	fake_settle(f);
	assert_int_equal(events_all, TXNS * WATCHERS);
	assert_true(round_max <= SRV_EVENTS_ROUND + SRV_FIRES_MAX); /* and who asked */
	mass_free(f, v, WATCHERS);
}

/* Long paths count for several: a round is bounded in bytes, too. */
static void long_paths(void **state)
{
	enum { WATCHERS = 1000, PATH = 900, FRAME = PATH + 64 };
	struct fake *f = machine(WATCHERS);
	struct mass *v = mass_new(f, WATCHERS);
	static char path[PATH + 1];
	struct req r;

	(void)state;
	for (unsigned i = 0; i < WATCHERS; i++) {
		req_start(&r, 1, ZK_OP_ADD_WATCH);
		req_str(&r, "/");
		req_i32(&r, 1); /* persistent, recursive */
		req_end(&r);
		send_bytes(f, &v[i], r.b, r.n);
	}
	memset(path, 'p', PATH);
	path[0] = '/';
	(void)fake_tx(f, ZK_OP_CREATE, path, "");
	while (events_all < WATCHERS) {
		size_t before = bytes_all;

		assert_true(round_of(f) > 0);
		assert_true(bytes_all - before <=
			    SRV_EVENTS_ROUND * (SRV_EVENT_BYTES + 64) + FRAME);
	}
	fake_settle(f);
	assert_int_equal(events_all, WATCHERS);
	mass_free(f, v, WATCHERS);
}

static unsigned room_left;

static unsigned narrow(void *ctx, unsigned want)
{
	unsigned n = room_left < want ? room_left : want;

	(void)ctx;
	return n;
}

/* The device says how much: so much and no more. */
static void by_the_device(void **state)
{
	enum { N = 1000 };
	struct fake_conf conf = {.conns_max = N, .io = &io, .events_room = narrow};
	struct fake *f = fake_new(&conf);
	struct mass *v = mass_new(f, N);

	(void)state;
	room_left = 0;
	for (unsigned i = 0; i < N; i++)
		send_path(f, &v[i], 1, ZK_OP_EXISTS, "/x", true);
	(void)fake_tx(f, ZK_OP_CREATE, "/x", "");
	for (unsigned k = 0; k < 20; k++)
		assert_int_equal(round_of(f), 0);
	assert_true(srv_next_ns(f->srv) <= f->now_ns);
	assert_true(COUNTED(f, events_paused) + 1 > 0);
	room_left = 3;
	for (unsigned k = 0; k < 20; k++)
		assert_int_equal(round_of(f), 3);
	room_left = 1000000;
	fake_settle(f);
	assert_int_equal(events_all, N);
	mass_free(f, v, N);
}

/* A connection that ends takes its 100,000 watches with it, in many rounds; it hears nothing, and
 * nobody gets its slot before. */
static void close_with_many(void **state)
{
	struct fake *f = machine(2);
	struct mass *v = mass_new(f, 2), *by = &v[1], next = {0};
	uint64_t left, before;
	unsigned rounds = 0;
	char path[24];

	(void)state;
	for (unsigned i = 0; i < EVENTS; i++) {
		(void)snprintf(path, sizeof(path), "/no/%u", i);
		send_path(f, v, 1, ZK_OP_EXISTS, path, true);
	}
	(void)fake_tx(f, ZK_OP_CREATE, "/no", "");
	fake_settle(f);
	before = COUNTED(f, watch_data);
	assert_int_equal(before, EVENTS);
	srv_gone(v[0].c, f->now_ns);
	assert_int_equal(f->detaches, 0);
	(void)fake_tx(f, ZK_OP_CREATE, "/no/0", "");
	(void)fake_tx(f, ZK_OP_CREATE, "/no/99999", "");
	do {
		assert_null(srv_open(f->srv, &next, "127.0.0.1", 1, f->now_ns));
		send_path(f, by, 1, ZK_OP_GET_DATA, "/no", false);
		assert_int_equal(last(by)->first, 0);
		fake_round(f);
		left = COUNTED(f, watch_data);
		assert_true(before - left <= SRV_DROPS_ROUND + 128 + 2);
		before = left;
		rounds++;
	} while (left);
	assert_true(rounds >= EVENTS / (SRV_DROPS_ROUND + 128));
	fake_settle(f);
	assert_int_equal(events_all, 0);
	assert_int_equal(f->detaches, 1);
	next.c = srv_open(f->srv, &next, "127.0.0.1", 1, f->now_ns);
	assert_non_null(next.c);
	srv_gone(next.c, f->now_ns);
	srv_gone(by->c, f->now_ns);
	free(v);
	fake_settle(f);
	fake_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_node),        cmocka_unit_test(one_multi),
		cmocka_unit_test(burst),           cmocka_unit_test(by_the_device),
		cmocka_unit_test(close_with_many), cmocka_unit_test(long_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
