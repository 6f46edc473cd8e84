/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots as the leader core takes them: when, of which sessions, and when it gives way. What is
 * handed over is compared with a replay of the log up to the same transaction. */
#include "core/base/hash.h"
#include "core/server/leader_snap.h"
#include "core/txn/apply.h"
#include "test/lib/lead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

enum { ALIVE_MAX = 1200, IMAGE_MAX = 8 << 20 };

struct alive {
	uint64_t id;
	uint32_t conn;
};

struct world {
	struct lead *d;
	struct snap_desk desk;
	struct snap_session session[LEAD_SESSIONS_MAX];
	struct alive alive[ALIVE_MAX];
	unsigned n;
	uint32_t conn;
	int32_t xid;
	uint64_t rng;
	uint8_t *image;
	size_t image_n;
};

static unsigned below(struct world *w, unsigned n)
{
	return (unsigned)(zk_mix64(w->rng += UINT64_C(0x9e3779b97f4a7c15)) % n);
}

static struct world *open_world(struct lead_opt opt)
{
	struct world *w = calloc(1, sizeof(*w));

	snap_desk_init(&w->desk, w->session, LEAD_SESSIONS_MAX);
	opt.snap_desk = &w->desk;
	w->d = lead_open(&opt);
	w->image = malloc(IMAGE_MAX);
	w->rng = opt.snap_seed;
	return w;
}

static void close_world(struct world *w)
{
	lead_close(w->d);
	free(w->image);
	free(w);
}

/* ---- what clients do --- */

static void open_session(struct world *w)
{
	struct msg_session m = {.h = {.kind = MSG_SESSION_CREATE, .conn = {++w->conn, 1}},
				.timeout_ms = 4000 + (int32_t)below(w, 30000)};
	struct txn_header h;

	if (w->n == ALIVE_MAX ||
	    leader_message(w->d->l, &m, sizeof(m), w->d->now_ns, w->d->wall_ms) != ZK_EOK)
		return;
	const struct lead_txn *t = &w->d->log[w->d->log_n - 1];
	struct jute_in in = jute_in_of(zk_span_of(t->p, t->n));

	txn_get_header(&in, &h);
	w->alive[w->n++] = (struct alive){h.client, w->conn};
}

static void some_write(struct world *w)
{
	struct alive *a;
	char path[32];
	unsigned k;

	if (w->n == 0)
		return;
	k = below(w, w->n);
	a = &w->alive[k];
	snprintf(path, sizeof(path), "/n%u", below(w, 300));
	switch (below(w, 8)) {
	case 0:
		(void)lead_send(w->d, 0, a->conn, a->id, w->xid++, ZK_OP_CLOSE_SESSION,
				(struct zk_span){NULL, 0});
		*a = w->alive[--w->n];
		break;
	case 1:
	case 2:
		(void)lead_send(w->d, 0, a->conn, a->id, w->xid++, ZK_OP_DELETE,
				req_version(path, -1));
		break;
	case 3:
	case 4:
		(void)lead_send(w->d, 0, a->conn, a->id, w->xid++, ZK_OP_SET_DATA,
				req_set(path, "other", -1));
		break;
	default:
		(void)lead_send(w->d, 0, a->conn, a->id, w->xid++, ZK_OP_CREATE,
				req_create(path, "data", NULL, below(w, 3) == 0));
	}
}

static void some_time(struct world *w)
{
	bool kick = false;

	for (unsigned n = below(w, 4); n; n--)
		open_session(w);
	for (unsigned n = below(w, 6); n; n--)
		some_write(w);
	if (below(w, 3) == 0) {
		uint64_t from = leader_applied_zxid(w->d->l), left = w->d->logged - from;

		lead_durable(w->d, from + below(w, (unsigned)left + 1), 1 + below(w, 20));
	}
	(void)leader_snap_step(w->d->l, w->d->now_ns, &kick);
	assert_int_equal(kick, snap_desk_ready(&w->desk) && kick);
	w->d->wall_ms++;
	lead_forget(w->d);
}

/* ---- a replay of the log up to Z --- */

struct replay {
	struct zk_mem mem;
	struct tree *tree;
	struct snap_session alive[LEAD_SESSIONS_MAX];
	unsigned n;
};

static void replay_sessions(struct replay *r, const struct txn_result *res)
{
	if (res->header.type == ZK_OP_CREATE_SESSION) {
		assert_true(r->n < LEAD_SESSIONS_MAX);
		r->alive[r->n++] = (struct snap_session){res->header.client, res->timeout_ms};
	} else if (res->header.type == ZK_OP_CLOSE_SESSION) {
		unsigned i = 0;

		while (i < r->n && r->alive[i].id != res->header.client)
			i++;
		assert_true(i < r->n);
		r->alive[i] = r->alive[--r->n];
	}
}

static struct replay *replay_to(const struct lead *d, uint64_t zxid)
{
	struct replay *r = calloc(1, sizeof(*r));
	struct tree_conf tc = {
		.mem = &r->mem, .key = {5, 6}, .index_slots = 1024, .changes_soft_max = 1 << 20};

	zk_mem_init_heap(&r->mem, 0);
	assert_int_equal(tree_new(&tc, &r->tree), ZK_EOK);
	for (size_t i = 0; i < d->log_n && d->log[i].zxid <= zxid; i++) {
		struct txn_result res = {0};

		assert_int_equal(txn_apply(r->tree, zk_span_of(d->log[i].p, d->log[i].n), &res),
				 ZK_EOK);
		replay_sessions(r, &res);
	}
	return r;
}

static int by_id(const void *a, const void *b)
{
	const struct snap_session *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static void check_sessions(struct world *w, struct replay *r)
{
	assert_int_equal(w->desk.sessions, r->n);
	qsort(r->alive, r->n, sizeof(r->alive[0]), by_id);
	qsort(w->session, r->n, sizeof(w->session[0]), by_id);
	for (unsigned i = 0; i < r->n; i++) {
		assert_true(w->session[i].id == r->alive[i].id);
		assert_int_equal(w->session[i].timeout_ms, r->alive[i].timeout_ms);
	}
}

/* ---- the writer's part --- */

static enum zk_err write_slice(struct world *w, struct snap_tree *s)
{
	struct jute_out out = jute_out_of(w->image + w->image_n, IMAGE_MAX - w->image_n);
	enum zk_err err = snap_tree_next(s, &out, 16);

	w->image_n += jute_out_len(&out);
	assert_true(err == ZK_EOK || err == ZK_EAGAIN);
	return err;
}

static void snap_of(struct snap_tree *s, const struct tree *t, struct zk_mem *mem, uint64_t zxid,
		    const struct snap_desk *d)
{
	struct snap_tree_conf c = {.tree = t,
				   .mem = mem,
				   .zxid = zxid,
				   .session = d ? d->session : NULL,
				   .sessions = d ? d->sessions : 0,
				   .digest = true};

	assert_int_equal(snap_tree_init(s, &c), ZK_EOK);
}

/* The snapshot that is ready, written while the clients go on, against the replay. */
static void take_it(struct world *w)
{
	uint64_t zxid = w->desk.zxid;
	struct replay *r = replay_to(w->d, zxid);
	struct snap_tree s, want;

	check_sessions(w, r);
	w->image_n = 0;
	snap_of(&s, w->d->tree, &w->d->mem, zxid, &w->desk);
	while (write_slice(w, &s) == ZK_EAGAIN) {
		assert_false(snap_desk_revoked(&w->desk));
		some_time(w);
	}
	snap_of(&want, r->tree, &r->mem, zxid, NULL);
	w->image_n = 0;
	while (write_slice(w, &want) == ZK_EAGAIN)
		;
	assert_int_equal(s.nodes, want.nodes);
	assert_true(s.digest == want.digest && s.acls == want.acls);
	assert_true(w->desk.has_digest && w->desk.digest == want.digest);

	snap_tree_fini(&s);
	snap_tree_fini(&want);
	tree_free(r->tree);
	free(r);
	snap_desk_done(&w->desk);
}

static void exact(void **state)
{
	unsigned taken = 0, asked = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct lead_opt opt = {.snap_seed = seed,
				       .digest = true,
				       .snap_count = seed % 2 ? 200 : 100000,
				       .pending_max = 400};
		struct world *w = open_world(opt);

		w->d->late = true;
		for (unsigned i = 0; i < 900; i++)
			open_session(w);
		for (unsigned step = 0; step < 2500 && w->d->log_n < LEAD_LOG_MAX - 100; step++) {
			if (below(w, 150) == 0) {
				snap_desk_ask(&w->desk);
				asked++;
			}
			some_time(w);
			if (snap_desk_ready(&w->desk) && below(w, 4) == 0) {
				take_it(w);
				taken++;
			}
		}
		assert_true(w->desk.taken > 5);
		close_world(w);
	}
	printf("%u snapshots taken, %u asked for\n", taken, asked);
	assert_true(taken > 50);
}

/* ---- triggers --- */

static void write_one(struct world *w, uint64_t session, const char *path)
{
	assert_int_equal(lead_err(w->d, session, ZK_OP_CREATE, req_create(path, "x", NULL, 0)),
			 ZK_EOK);
}

/* Between half of snapCount and all of it, and never twice at the same. */
static void by_count(void **state)
{
	unsigned lowest = ~0u, highest = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct world *w =
			open_world((struct lead_opt){.snap_count = 100, .snap_seed = seed});
		uint64_t id = lead_session(w->d, 0, 0, 30000);
		unsigned n = 1;
		char path[16];

		for (; !w->d->rolls; n++) {
			snprintf(path, sizeof(path), "/n%u", n);
			w->d->late = true;
			assert_int_equal(lead_send(w->d, 0, 0, id, 1, ZK_OP_CREATE,
						   req_create(path, "x", NULL, 0)),
					 ZK_EOK);
			w->d->late = false;
		}
		/* the log rolled behind it, but it is not applied: no snapshot yet */
		assert_int_equal(w->d->rolled_zxid, w->d->logged);
		assert_int_equal(w->d->logged, n);
		assert_int_equal(w->desk.state, SNAP_DESK_FREE);
		lead_durable(w->d, w->d->logged, ~0u);
		assert_int_equal(w->desk.state, SNAP_DESK_TAKEN);
		assert_int_equal(w->desk.zxid, n);
		assert_true(n > 50 && n <= 100);
		lowest = n < lowest ? n : lowest;
		highest = n > highest ? n : highest;
		close_world(w);
	}
	assert_true(lowest < 65 && highest > 85);
}

static void by_size(void **state)
{
	struct world *w = open_world(
		(struct lead_opt){.snap_size_bytes = 40000, .snap_seed = 3, .snap_count = 1000000});
	uint64_t id = lead_session(w->d, 0, 0, 30000), bytes;
	char path[16];

	(void)state;
	for (unsigned n = 0; !w->d->rolls; n++) {
		snprintf(path, sizeof(path), "/n%u", n);
		w->d->next_xid = 1;
		assert_int_equal(
			lead_send(w->d, 0, 0, id, 1, ZK_OP_CREATE, req_create(path, "x", NULL, 0)),
			ZK_EOK);
		lead_forget(w->d);
	}
	bytes = 0;
	for (size_t i = 0; i < w->d->log_n; i++)
		bytes += w->d->log[i].n + 13;
	assert_true(bytes > 20000 && bytes < 40200);
	assert_int_equal(w->desk.zxid, w->d->logged);
	close_world(w);
}

/* One at a time: the log rolls all the same, the snapshot is passed over and counted. */
static void one_at_a_time(void **state)
{
	struct world *w = open_world((struct lead_opt){.snap_count = 20, .snap_seed = 1});
	uint64_t id = lead_session(w->d, 0, 0, 30000), first;
	bool kick = false;
	char path[16];

	(void)state;
	for (unsigned n = 0; n < 200; n++) {
		snprintf(path, sizeof(path), "/n%u", n);
		write_one(w, id, path);
		(void)leader_snap_step(w->d->l, w->d->now_ns, &kick);
	}
	assert_true(kick && snap_desk_ready(&w->desk));
	first = w->desk.zxid;
	assert_true(first <= 20);
	assert_int_equal(w->desk.taken, 1);
	assert_int_equal(w->desk.busy, w->d->rolls - 1);
	assert_true(w->d->rolls >= 200 / 20);
	snap_desk_done(&w->desk);
	(void)leader_snap_step(w->d->l, w->d->now_ns, &kick);
	assert_int_equal(w->desk.state, SNAP_DESK_FREE);
	for (unsigned n = 0; n < 30; n++) {
		snprintf(path, sizeof(path), "/m%u", n);
		write_one(w, id, path);
		(void)leader_snap_step(w->d->l, w->d->now_ns, &kick);
	}
	assert_int_equal(w->desk.taken, 2);
	assert_true(w->desk.zxid > 200);
	close_world(w);
}

/* ---- memory --- */

/* A snapshot whose writer stands still must not cost a client a single write. */
static void gives_way(void **state)
{
	enum { NODES = 64, BYTES = 40000 };
	struct world *w =
		open_world((struct lead_opt){.tree_limit = 24 << 20, .snap_count = 1000000});
	uint64_t id = lead_session(w->d, 0, 0, 30000);
	char *data = malloc(BYTES + 1), path[16];
	bool kick = false;

	(void)state;
	memset(data, 'd', BYTES);
	data[BYTES] = 0;
	for (unsigned round = 0; round < 3; round++) {
		snap_desk_ask(&w->desk);
		do {
			(void)leader_snap_step(w->d->l, w->d->now_ns, &kick);
		} while (!snap_desk_ready(&w->desk));
		assert_false(snap_desk_revoked(&w->desk));
		for (unsigned n = 0; n < 20 * NODES; n++) {
			enum zk_err err;

			snprintf(path, sizeof(path), "/n%u", n % NODES);
			err = n < NODES && round == 0
				      ? lead_err(w->d, id, ZK_OP_CREATE,
						 req_create(path, data, NULL, 0))
				      : lead_err(w->d, id, ZK_OP_SET_DATA, req_set(path, data, -1));
			assert_int_equal(err, ZK_EOK);
			(void)leader_snap_step(w->d->l, w->d->now_ns, &kick);
		}
		assert_true(snap_desk_revoked(&w->desk));
		assert_int_equal(w->desk.revoked_count, round + 1);
		assert_true(w->desk.grown_max_bytes > 1 << 20);
		/* no new one before the writer has noticed */
		snap_desk_ask(&w->desk);
		(void)leader_snap_step(w->d->l, w->d->now_ns, &kick);
		assert_int_equal(w->desk.state, SNAP_DESK_READY);
		snap_desk_done(&w->desk);
		(void)leader_snap_step(w->d->l, w->d->now_ns, &kick);
		assert_int_equal(w->desk.state, SNAP_DESK_FREE);
	}
	free(data);
	close_world(w);
}

/* Deletes are always taken, so they must not eat the reserve for the sake of a snapshot. */
static void gives_way_to_deletes(void **state)
{
	struct world *w =
		open_world((struct lead_opt){.tree_limit = 16 << 20, .snap_count = 1000000});
	uint64_t id = lead_session(w->d, 0, 0, 30000);
	char path[16], data[301];
	unsigned made = 0;
	bool kick = false;

	(void)state;
	memset(data, 'd', 300);
	data[300] = 0;
	for (;; made++) {
		snprintf(path, sizeof(path), "/n%u", made);
		if (lead_err(w->d, id, ZK_OP_CREATE, req_create(path, data, NULL, 0)) != ZK_EOK)
			break;
	}
	assert_true(made > 10000);
	snap_desk_ask(&w->desk);
	for (unsigned n = 0; n < made; n++) {
		snprintf(path, sizeof(path), "/n%u", n);
		assert_int_equal(lead_err(w->d, id, ZK_OP_DELETE, req_version(path, -1)), ZK_EOK);
		(void)leader_snap_step(w->d->l, w->d->now_ns, &kick);
	}
	assert_int_equal(w->desk.revoked_count, 1);
	close_world(w);
}

static enum zk_err delete_one(struct world *w, uint64_t id, unsigned n)
{
	char path[24];
	enum zk_err err;

	snprintf(path, sizeof(path), "/e%u", n);
	err = lead_send(w->d, 0, 0, id, 1, ZK_OP_DELETE, req_version(path, -1));
	if (err == ZK_EOK)
		assert_int_equal(w->d->out[w->d->out_n - 1].err, ZK_EOK);
	lead_forget(w->d);
	return err;
}

/* A full tree, half of it ephemerals, for whose end memory is kept; something else holds on to what
 * goes, and @p n plain nodes go. *hold is that something. */
static struct world *full_world(uint64_t *id, unsigned *made, int *hold)
{
	struct world *w =
		open_world((struct lead_opt){.tree_limit = 24 << 20, .snap_count = 1000000});
	char path[24], data[201];

	memset(data, 'd', 200);
	data[200] = 0;
	*id = lead_session(w->d, 0, 0, 30000);
	for (*made = 0;; ++*made) {
		snprintf(path, sizeof(path), "/e%u", *made);
		if (lead_err(w->d, *id, ZK_OP_CREATE, req_create(path, data, NULL, *made % 2)) !=
		    ZK_EOK)
			break;
	}
	assert_true(*made > 5000);
	lead_forget(w->d);
	*hold = tree_hold_take(w->d->tree);
	return w;
}

/* A write that waits for memory makes a snapshot give way that has not taken much of it. */
static void gives_way_to_waiters(void **state)
{
	unsigned made, last = 0, n = 0, tries = 0;
	bool kick = false;
	uint64_t id;
	int hold;

	(void)state;
	/* how far does it go? */
	struct world *w = full_world(&id, &made, &hold);

	while (last < made && delete_one(w, id, last) == ZK_EOK)
		last += 2;
	assert_true(last > 100 && last < made);
	tree_hold_drop(w->d->tree, hold);
	close_world(w);

	w = full_world(&id, &made, &hold);
	for (; n + 40 < last; n += 2)
		assert_int_equal(delete_one(w, id, n), ZK_EOK);
	snap_desk_ask(&w->desk);
	do {
		(void)leader_snap_step(w->d->l, w->d->now_ns, &kick);
	} while (!snap_desk_ready(&w->desk));
	for (; n < last; n += 2) {
		assert_int_equal(delete_one(w, id, n), ZK_EOK);
		(void)leader_snap_step(w->d->l, w->d->now_ns, &kick);
		assert_false(snap_desk_revoked(&w->desk));
	}
	assert_int_equal(delete_one(w, id, n), ZK_EAGAIN);
	(void)leader_snap_step(w->d->l, w->d->now_ns, &kick);
	assert_true(snap_desk_revoked(&w->desk));
	assert_true(w->desk.grown_bytes < 64 << 10);
	tree_hold_drop(w->d->tree, hold);
	lead_durable(w->d, w->d->logged, ~0u);
	while (delete_one(w, id, n) == ZK_EAGAIN)
		assert_true(++tries < 4);
	close_world(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact),
		cmocka_unit_test(by_count),
		cmocka_unit_test(by_size),
		cmocka_unit_test(one_at_a_time),
		cmocka_unit_test(gives_way),
		cmocka_unit_test(gives_way_to_deletes),
		cmocka_unit_test(gives_way_to_waiters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
