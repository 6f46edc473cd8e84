/* SPDX-License-Identifier: Apache-2.0 */
/* A leader and a learner, machine to machine: what one sends the other is carried by hand. */
#include "core/server/leader_quorum.h"
#include "core/session/password.h"
#include "test/lib/lead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { HIST_MAX = 8192, QUEUE_MAX = 256, LINK = 3, GENERATION = 9 };

struct packet {
	struct zab_packet p;
	uint8_t *data, *auth;
	uint64_t after; /* to the learner: behind this transaction */
};

struct world {
	struct lead *a, *b;
	struct leader_quorum qa, qb;
	struct lead_txn hist[HIST_MAX];
	size_t hist_n, committed_n;
	uint64_t epoch;
	struct packet up[QUEUE_MAX], down[QUEUE_MAX];
	size_t up_n, down_n;
	bool no_room, used_up;
	uint32_t first; /* counter of the epoch's first transaction; 0 = 1 */
	uint64_t wrong_digests;
};

static uint64_t next_zxid(void *ctx)
{
	const struct world *w = ctx;

	if (w->used_up)
		return 0;
	if (w->first && !w->hist_n)
		return (w->epoch << 32) + w->first;
	return w->hist_n && w->hist[w->hist_n - 1].zxid >> 32 == w->epoch
		       ? w->hist[w->hist_n - 1].zxid + 1
		       : (w->epoch << 32) + 1;
}

static bool propose(void *ctx, uint64_t zxid, struct zk_span txn)
{
	struct world *w = ctx;
	struct lead_txn *t = &w->hist[w->hist_n];

	if (w->no_room)
		return false;
	assert_true(zxid == next_zxid(ctx));
	*t = (struct lead_txn){.zxid = zxid, .p = malloc(txn.n), .n = txn.n};
	memcpy(t->p, txn.p, txn.n);
	w->hist_n++;
	return true;
}

static bool committed(void *ctx, uint64_t after, uint64_t *zxid, struct zk_span *txn)
{
	const struct world *w = ctx;

	for (size_t i = 0; i < w->committed_n; i++) {
		if (w->hist[i].zxid <= after)
			continue;
		*zxid = w->hist[i].zxid;
		*txn = zk_span_of(w->hist[i].p, w->hist[i].n);
		return true;
	}
	return false;
}

static void keep(struct packet *k, const struct zab_packet *p)
{
	*k = (struct packet){.p = *p, .data = malloc(p->data.n + 1), .auth = malloc(p->auth.n + 1)};
	if (p->data.n)
		memcpy(k->data, p->data.p, p->data.n);
	if (p->auth.n)
		memcpy(k->auth, p->auth.p, p->auth.n);
	k->p.data.p = k->data;
	if (p->auth.p)
		k->p.auth.p = k->auth;
}

static enum zk_err forward(void *ctx, const struct zab_packet *p)
{
	struct world *w = ctx;

	if (w->no_room)
		return ZK_EAGAIN;
	keep(&w->up[w->up_n++], p);
	return ZK_EOK;
}

static enum zk_err reply(void *ctx, uint32_t link, uint32_t generation, int32_t type, uint64_t zxid,
			 struct zk_span data)
{
	struct world *w = ctx;

	assert_int_equal(link, LINK);
	assert_int_equal(generation, GENERATION);
	keep(&w->down[w->down_n], &(struct zab_packet){.type = type, .zxid = zxid, .data = data});
	w->down[w->down_n++].after = w->hist_n ? w->hist[w->hist_n - 1].zxid : 0;
	return ZK_EOK;
}

static uint64_t sure(void *ctx)
{
	(void)ctx;
	return 1;
}

static void drop(struct packet *p)
{
	free(p->data);
	free(p->auth);
}

/* The learner's packets reach the leader. */
static void carry_up(struct world *w)
{
	for (size_t i = 0; i < w->up_n; i++) {
		struct lead *a = w->a;
		const struct zab_packet *p = &w->up[i].p;

		if (p->type == ZAB_REQUEST)
			assert_int_equal(
				leader_remote(a->l, LINK, GENERATION, p, a->now_ns, a->wall_ms),
				ZK_EOK);
		else
			assert_int_equal(leader_remote_revalidate(a->l, LINK, GENERATION, p->data,
								  a->now_ns),
					 ZK_EOK);
		drop(&w->up[i]);
	}
	w->up_n = 0;
}

/* Everything proposed is committed, and both know it. */
static void commit(struct world *w)
{
	w->committed_n = w->hist_n;
	lead_durable(w->a, w->hist_n ? w->hist[w->hist_n - 1].zxid : 0, ~0u);
	for (size_t i = 0; i < w->down_n; i++) {
		const struct packet *k = &w->down[i];

		if (k->p.type == ZAB_SYNC)
			leader_on_sync(w->b->l, k->after, w->b->now_ns);
		else
			assert_int_equal(leader_on_revalidated(w->b->l, k->p.data, w->b->now_ns),
					 ZK_EOK);
		drop(&w->down[i]);
	}
	w->down_n = 0;
	lead_durable(w->b, 0, ~0u);
}

static struct world *world_of(bool local_sessions, uint32_t first, uint32_t ask_bytes)
{
	struct world *w = calloc(1, sizeof(*w));

	w->epoch = 1;
	w->first = first;
	w->qa = w->qb = (struct leader_quorum){.ctx = w,
					       .next_zxid = next_zxid,
					       .propose = propose,
					       .committed = committed,
					       .forward = forward,
					       .reply = reply,
					       .confirm = sure,
					       .confirmed = sure};
	w->a = lead_open(&(struct lead_opt){
		.quorum = &w->qa, .digest = true, .local_sessions = local_sessions});
	w->b = lead_open(&(struct lead_opt){
		.quorum = &w->qb, .server_id = 2, .digest = true, .ask_bytes = ask_bytes});
	w->a->late = w->b->late = true;
	leader_role_set(w->a->l, ROLE_LEADING, 1, 0, w->a->now_ns);
	leader_role_set(w->b->l, ROLE_FOLLOWING, 1, 0, w->b->now_ns);
	lead_durable(w->a, 0, ~0u); /* nothing of before is left to be applied */
	assert_true(leader_applied_zxid(w->a->l) == w->epoch << 32);
	lead_durable(w->b, 0, ~0u);
	return w;
}

static struct world *world_with(bool local_sessions, uint32_t first)
{
	return world_of(local_sessions, first, 0);
}

static struct world *world_new(void)
{
	return world_with(false, 0);
}

static void world_free(struct world *w)
{
	struct leader_stats a, b;

	leader_stats_get(w->a->l, &a);
	leader_stats_get(w->b->l, &b);
	assert_int_equal(a.digest_mismatches + b.digest_mismatches, w->wrong_digests);
	assert_int_equal(a.sessions, b.sessions);
	assert_true(lead_tree_hash(w->a) == lead_tree_hash(w->b));
	for (size_t i = 0; i < w->hist_n; i++)
		free(w->hist[i].p);
	for (size_t i = 0; i < w->up_n; i++)
		drop(&w->up[i]);
	for (size_t i = 0; i < w->down_n; i++)
		drop(&w->down[i]);
	lead_close(w->a);
	lead_close(w->b);
	free(w);
}

static uint64_t session(struct world *w, struct lead *at, uint32_t conn)
{
	size_t n = at->out_n;

	assert_int_equal(lead_ask_session(at, 0, conn, 10000), ZK_EOK);
	carry_up(w);
	commit(w);
	assert_int_equal(at->out_n, n + 1);
	assert_int_equal(at->out[n].kind, MSG_SESSION_OPENED);
	assert_int_equal(at->out[n].timeout_ms, 10000);
	return at->out[n].session;
}

static void send(struct lead *at, uint32_t conn, uint64_t s, int32_t xid, int32_t op,
		 struct zk_span body)
{
	assert_int_equal(lead_send(at, 0, conn, s, xid, op, body), ZK_EOK);
}

static const struct lead_out *reply_of(const struct lead *at, int32_t xid)
{
	for (size_t i = 0; i < at->out_n; i++)
		if (at->out[i].kind == MSG_REPLY && at->out[i].xid == xid)
			return &at->out[i];
	return NULL;
}

static void writes_of_both(void **state)
{
	struct world *w = world_new();
	uint64_t sa = session(w, w->a, 1), sb = session(w, w->b, 1);

	(void)state;
	assert_int_equal(sa >> 56, 1);
	assert_int_equal(sb >> 56, 2);
	lead_forget(w->b);
	send(w->b, 1, sb, 1, ZK_OP_CREATE, req_create("/b", "x", NULL, 0));
	send(w->b, 1, sb, 2, ZK_OP_CREATE2, req_create("/b/s-", "y", NULL, 3));
	send(w->b, 1, sb, 3, ZK_OP_CREATE, req_create("/no/way", "x", NULL, 0));
	assert_int_equal(w->b->out_n, 0);
	carry_up(w);
	lead_durable(w->b, 0, ~0u);
	assert_int_equal(w->b->out_n, 0); /* proposed is not committed */
	commit(w);
	assert_int_equal(w->b->out_n, 3);
	assert_int_equal(w->b->out[0].xid, 1);
	assert_int_equal(w->b->out[0].err, ZK_EOK);
	assert_int_equal(w->b->out[1].xid, 2);
	assert_int_equal(w->b->out[1].body_n, 4 + 15 + ZK_STAT_BYTES);
	assert_int_equal(w->b->out[2].err, ZK_NONODE);
	assert_true(w->b->out[2].zxid == w->hist[w->hist_n - 1].zxid);
	assert_string_equal(lead_node(w->a, "/b"), lead_node(w->b, "/b"));
	/* the same xid at another session is not an answer here */
	lead_forget(w->a);
	send(w->a, 1, sa, 4, ZK_OP_CREATE, req_create("/a", "x", NULL, 0));
	commit(w);
	assert_int_equal(w->b->out_n, 3);
	assert_int_equal(w->a->out_n, 1);
	world_free(w);
}

/* A write that a learner forwards for a session that the leader does not know. */
static enum zk_err forwarded(struct world *w, uint64_t s, const char *path, int32_t flags)
{
	struct zk_span body = req_create(path, "x", NULL, flags);
	uint8_t data[256];
	struct jute_out out = jute_out_of(data, sizeof(data));
	struct zab_packet p = {.type = ZAB_REQUEST, .zxid = UINT64_MAX};

	jute_put_i64(&out, (int64_t)s);
	jute_put_i32(&out, 7);
	jute_put_i32(&out, ZK_OP_CREATE);
	assert_true(jute_out_len(&out) + body.n <= sizeof(data));
	memcpy(data + jute_out_len(&out), body.p, body.n);
	p.data = zk_span_of(data, (uint32_t)(jute_out_len(&out) + body.n));
	assert_int_equal(leader_remote(w->a->l, LINK, GENERATION, &p, w->a->now_ns, w->a->wall_ms),
			 ZK_EOK);
	commit(w);
	return strcmp(lead_node(w->a, path), "none") ? ZK_EOK : ZK_SESSIONEXPIRED;
}

/* Local sessions of Apache learners, which only they know: with localSessionsEnabled their writes
 * are done, but for ephemerals. */
static void local_sessions_of_learners(void **state)
{
	const uint64_t other = (UINT64_C(2) << 56) + 77, own = (UINT64_C(1) << 56) + 77;
	struct world *w = world_with(true, 0);

	(void)state;
	assert_int_equal(forwarded(w, other, "/a", 0), ZK_EOK);
	assert_int_equal(forwarded(w, other, "/b", 1), ZK_SESSIONEXPIRED);
	assert_int_equal(forwarded(w, own, "/c", 0), ZK_SESSIONEXPIRED);
	world_free(w);
	w = world_new();
	assert_int_equal(forwarded(w, other, "/a", 0), ZK_SESSIONEXPIRED);
	world_free(w);
}

/* What comes when the epoch has no zxid left is read and forgotten: the ACKs of the last one are
 * behind it. */
static void requests_at_the_end_of_an_epoch(void **state)
{
	struct world *w = world_with(true, UINT32_MAX);
	const uint64_t other = (UINT64_C(2) << 56) + 77;

	(void)state;
	assert_int_equal(forwarded(w, other, "/a", 0), ZK_EOK);
	assert_true(w->hist[w->hist_n - 1].zxid == (w->epoch << 32) + UINT32_MAX);
	w->used_up = true;
	assert_int_equal(forwarded(w, other, "/b", 0), ZK_SESSIONEXPIRED); /* read, not done */
	assert_int_equal(w->hist_n, 1);
	world_free(w);
}

static void sync_is_a_barrier(void **state)
{
	struct world *w = world_new();
	uint64_t sa = session(w, w->a, 1), sb = session(w, w->b, 1);

	(void)state;
	lead_forget(w->b);
	send(w->a, 1, sa, 1, ZK_OP_CREATE, req_create("/x", "x", NULL, 0));
	send(w->b, 1, sb, 1, ZK_OP_SYNC, req_path("/x"));
	send(w->b, 1, sb, 2, ZK_OP_CREATE, req_create("/y", "x", NULL, 1));
	send(w->b, 1, sb, 3, ZK_OP_GET_EPHEMERALS, req_path("/"));
	carry_up(w);
	assert_int_equal(w->b->out_n, 0); /* not before /x is committed */
	commit(w);
	assert_int_equal(w->b->out_n, 3);
	for (int32_t i = 0; i < 3; i++)
		assert_int_equal(w->b->out[i].xid, i + 1);
	assert_int_equal(w->b->out[0].body_n, 4 + 2);
	assert_true(w->b->out[0].zxid >= w->hist[w->hist_n - 2].zxid);
	assert_int_equal(w->b->out[2].body_n, 4 + 4 + 2); /* its own write is seen */
	world_free(w);
}

static void close_and_expiry(void **state)
{
	struct world *w = world_new();
	uint64_t s1 = session(w, w->b, 1), s2 = session(w, w->b, 2);
	uint8_t table[64];
	struct jute_out out = jute_out_of(table, sizeof(table));

	(void)state;
	send(w->b, 1, s1, 1, ZK_OP_CREATE, req_create("/e1", "x", NULL, 1));
	send(w->b, 2, s2, 1, ZK_OP_CREATE, req_create("/e2", "x", NULL, 1));
	carry_up(w);
	commit(w);
	leader_touched(w->b->l, &out);
	assert_int_equal(jute_out_len(&out), 24);
	assert_int_equal(leader_remote_touch(w->a->l, zk_span_of(table, 24), w->a->now_ns), ZK_EOK);
	out = jute_out_of(table, sizeof(table));
	leader_touched(w->b->l, &out);
	assert_int_equal(jute_out_len(&out), 0);
	lead_forget(w->b);
	send(w->b, 1, s1, 2, ZK_OP_CLOSE_SESSION, (struct zk_span){NULL, 0});
	carry_up(w);
	commit(w);
	assert_int_equal(w->b->out_n, 1);
	assert_int_equal(w->b->out[0].op, ZK_OP_CLOSE_SESSION);
	assert_string_equal(lead_node(w->b, "/e1"), "none");
	/* the other one is silent: the leader ends it, the learner closes its connection */
	lead_forget(w->b);
	w->a->late = false;
	for (unsigned i = 0; i < 10; i++)
		lead_tick(w->a, w->a->now_ns + UINT64_C(2000000000));
	w->a->late = true;
	commit(w);
	assert_string_equal(lead_node(w->b, "/e2"), "none");
	assert_int_equal(w->b->out_n, 1);
	assert_int_equal(w->b->out[0].kind, MSG_KICK);
	assert_true(w->b->out[0].session == s2);
	world_free(w);
}

/* From the leader's own connection to the learner and back. */
static void session_moves(void **state)
{
	struct world *w = world_new();
	uint64_t s = session(w, w->a, 1);
	uint8_t password[16];

	(void)state;
	memcpy(password, w->a->out[0].password, sizeof(password));
	lead_forget(w->a);
	assert_int_equal(lead_attach(w->b, 0, 5, s, 8000, password), ZK_EOK);
	assert_int_equal(w->b->out_n, 0);
	carry_up(w);
	commit(w);
	assert_int_equal(w->b->out_n, 1);
	assert_int_equal(w->b->out[0].kind, MSG_SESSION_OPENED);
	assert_int_equal(w->b->out[0].timeout_ms, 8000);
	assert_int_equal(w->a->out_n, 1); /* the old connection ends */
	assert_int_equal(w->a->out[0].kind, MSG_KICK);
	lead_forget(w->a);
	lead_forget(w->b);
	send(w->b, 5, s, 1, ZK_OP_CREATE, req_create("/m", "x", NULL, 0));
	carry_up(w);
	commit(w);
	assert_int_equal(w->b->out_n, 1);
	/* back: what still comes by the learner has moved */
	assert_int_equal(lead_attach(w->a, 0, 7, s, 8000, password), ZK_EOK);
	lead_read(w->a);
	assert_int_equal(w->a->out[0].timeout_ms, 8000);
	lead_forget(w->b);
	send(w->b, 5, s, 2, ZK_OP_SET_DATA, req_set("/m", "y", -1));
	carry_up(w);
	commit(w);
	assert_int_equal(w->b->out_n, 1);
	assert_int_equal(w->b->out[0].err, ZK_SESSIONMOVED);
	assert_int_equal(w->b->out[0].drop, 1);
	/* nobody's, and a wrong password */
	lead_forget(w->b);
	assert_int_equal(lead_attach(w->b, 0, 8, s, 8000, (const uint8_t *)"0123456789abcdef"),
			 ZK_EOK);
	lead_read(w->b);
	assert_int_equal(w->b->out_n, 2); /* the old connection goes all the same */
	assert_int_equal(w->b->out[0].kind, MSG_KICK);
	assert_int_equal(w->b->out[1].timeout_ms, 0);
	assert_int_equal(w->up_n, 0);
	world_free(w);
}

/* The leader falls with proposals that nobody has: they count if they are committed later, and what
 * waits for an answer gets none. */
static void roles_change(void **state)
{
	struct world *w = world_new();
	uint64_t sa = session(w, w->a, 1), sb = session(w, w->b, 1);
	size_t committed_before;

	(void)state;
	lead_forget(w->a);
	lead_forget(w->b);
	send(w->a, 1, sa, 1, ZK_OP_CREATE, req_create("/1", "x", NULL, 0));
	send(w->b, 1, sb, 1, ZK_OP_CREATE, req_create("/2", "x", NULL, 0));
	carry_up(w);
	w->no_room = true; /* this one is prepared and never proposed */
	send(w->a, 1, sa, 2, ZK_OP_CREATE, req_create("/3", "x", NULL, 0));
	w->no_room = false;
	leader_role_set(w->a->l, ROLE_LOOKING, 0, 0, w->a->now_ns);
	leader_role_set(w->b->l, ROLE_LOOKING, 0, 0, w->b->now_ns);
	committed_before = w->committed_n;
	commit(w);
	assert_true(w->committed_n == committed_before + 2);
	assert_int_equal(w->a->out_n + w->b->out_n, 0);
	assert_string_not_equal(lead_node(w->b, "/2"), "none");
	assert_string_equal(lead_node(w->a, "/3"), "none");
	/* b leads now */
	w->epoch = 2;
	leader_role_set(w->b->l, ROLE_LEADING, 2, 0, w->b->now_ns);
	leader_role_set(w->a->l, ROLE_FOLLOWING, 2, 0, w->a->now_ns);
	lead_durable(w->b, 0, ~0u);
	lead_durable(w->a, 0, ~0u);
	lead_forget(w->a);
	lead_forget(w->b);
	send(w->b, 1, sb, 9, ZK_OP_CREATE, req_create("/3", "x", NULL, 0));
	assert_true(w->hist[w->hist_n - 1].zxid == (UINT64_C(2) << 32) + 1);
	w->committed_n = w->hist_n;
	lead_durable(w->b, w->hist[w->hist_n - 1].zxid, ~0u);
	lead_durable(w->a, 0, ~0u);
	assert_non_null(reply_of(w->b, 9));
	assert_string_not_equal(lead_node(w->a, "/3"), "none");
	world_free(w);
}

/* The learner gets it with another digest than the leader's. @return its zxid */
static uint64_t create_falsely(struct world *w, uint64_t s, int32_t xid, const char *path)
{
	struct lead_txn *t = &w->hist[w->hist_n];

	send(w->a, 1, s, xid, ZK_OP_CREATE, req_create(path, "x", NULL, 0));
	t->p[t->n - 1] ^= 1;
	return t->zxid;
}

/* What brings a learner up to date may lie over a snapshot that is ahead of it. */
static void digests_count_behind_the_beginning(void **state)
{
	struct world *w = world_with(false, TREE_DIGEST_EVERY - 2); /* /2 is the one to be kept */
	uint64_t sa = session(w, w->a, 1), zxid;
	struct tree_digest_at at[2];
	struct leader_stats st;

	(void)state;
	leader_role_set(w->b->l, ROLE_LOOKING, 1, 0, w->b->now_ns);
	(void)create_falsely(w, sa, 1, "/1");
	commit(w);
	zxid = create_falsely(w, sa, 2, "/2");
	leader_role_set(w->b->l, ROLE_FOLLOWING, 1, zxid, w->b->now_ns);
	commit(w);
	leader_stats_get(w->b->l, &st);
	assert_int_equal(st.digest_mismatches, 0);
	/* that of the epoch's beginning, and this one */
	assert_int_equal(tree_digest_history(w->a->tree, at, 2), 2);
	assert_true(at[1].zxid == zxid);
	assert_int_equal(tree_digest_history(w->b->tree, at, 2), 0);
	zxid = create_falsely(w, sa, 3, "/3");
	(void)create_falsely(w, sa, 4, "/4");
	commit(w);
	leader_stats_get(w->b->l, &st);
	assert_int_equal(st.digest_mismatches, 2);
	assert_true(st.digest_mismatch_zxid == zxid);
	w->wrong_digests = 2;
	world_free(w);
}

static enum zk_err revalidate(struct world *w, uint64_t s)
{
	uint8_t data[12];

	zk_put64(data, s);
	zk_put32(data + 8, 8000);
	return leader_remote_revalidate(w->a->l, LINK, GENERATION, zk_span_of(data, sizeof(data)),
					w->a->now_ns);
}

/* A new leader that has not applied all there was knows neither which sessions there are nor what a
 * sync has to show. */
static void leads_and_is_behind(void **state)
{
	struct world *w = world_new();
	uint64_t kept = session(w, w->a, 1), closed = session(w, w->a, 2), made;
	uint8_t password[16];
	size_t pending;

	(void)state;
	lead_forget(w->a);
	send(w->a, 2, closed, 1, ZK_OP_CLOSE_SESSION, (struct zk_span){NULL, 0});
	assert_int_equal(lead_ask_session(w->a, 0, 3, 10000), ZK_EOK);
	made = kept + 2;
	session_password(made, password);
	leader_role_set(w->a->l, ROLE_LOOKING, 0, 0, w->a->now_ns);
	w->epoch = 2;
	leader_role_set(w->a->l, ROLE_LEADING, 2, 0, w->a->now_ns);
	lead_read(w->a);
	lead_forget(w->a);
	pending = w->hist_n;
	/* both are on their way into the tree: nobody is told anything yet */
	assert_int_equal(revalidate(w, made), ZK_EAGAIN);
	assert_int_equal(revalidate(w, closed), ZK_EAGAIN);
	assert_int_equal(lead_attach(w->a, 0, 4, made, 8000, password), ZK_EAGAIN);
	assert_int_equal(lead_send(w->a, 0, 5, kept, 7, ZK_OP_SYNC, req_path("/")), ZK_EAGAIN);
	lead_read(w->a);
	assert_int_equal(w->a->out_n + w->down_n, 0);
	/* now it has all */
	w->committed_n = pending;
	lead_durable(w->a, w->hist[pending - 1].zxid, ~0u);
	lead_durable(w->b, 0, ~0u);
	assert_int_equal(revalidate(w, closed), ZK_EOK);
	assert_int_equal(w->down[w->down_n - 1].data[8], 0);
	assert_int_equal(revalidate(w, made), ZK_EOK);
	assert_int_equal(w->down[w->down_n - 1].data[8], 1);
	assert_int_equal(lead_attach(w->a, 0, 4, made, 8000, password), ZK_EOK);
	assert_int_equal(lead_send(w->a, 0, 5, kept, 7, ZK_OP_SYNC, req_path("/")), ZK_EOK);
	lead_durable(w->a, w->hist[pending - 1].zxid, ~0u);
	lead_read(w->a);
	assert_int_equal(w->a->out_n, 2);
	while (w->down_n)
		drop(&w->down[--w->down_n]);
	world_free(w);
}

/* A session that a learner holds ends by a transaction of the leader before. */
static void remote_owner_of_before(void **state)
{
	struct world *w = world_new();
	uint64_t s = session(w, w->a, 1);

	(void)state;
	assert_int_equal(revalidate(w, s), ZK_EOK); /* it is at the learner now */
	drop(&w->down[--w->down_n]);
	send(w->b, 1, s, 1, ZK_OP_CLOSE_SESSION, (struct zk_span){NULL, 0});
	carry_up(w);
	leader_role_set(w->a->l, ROLE_LOOKING, 0, 0, w->a->now_ns);
	w->epoch = 2;
	leader_role_set(w->a->l, ROLE_LEADING, 2, 0, w->a->now_ns);
	(void)revalidate(w, s);
	commit(w);
	world_free(w);
}

/* As many sessions as there may be: who comes is sent away, and holds up nobody. */
static void full_of_sessions(void **state)
{
	struct world *w = world_new();
	uint64_t s = session(w, w->b, 1);
	struct leader_stats st;
	unsigned n = 1;

	(void)state;
	lead_forget(w->b);
	for (; n < LEAD_SESSIONS_MAX; n++) {
		assert_int_equal(lead_ask_session(w->b, 0, n + 1, 10000), ZK_EOK);
		carry_up(w);
		if (n % 64 == 0 || n + 1 == LEAD_SESSIONS_MAX) {
			commit(w);
			lead_forget(w->b);
		}
	}
	assert_int_equal(lead_ask_session(w->b, 0, n + 1, 10000), ZK_EOK);
	lead_read(w->b);
	assert_int_equal(w->b->out_n, 1);
	assert_int_equal(w->b->out[0].kind, MSG_KICK);
	assert_int_equal(w->b->out[0].conn.index, n + 1);
	leader_stats_get(w->b->l, &st);
	assert_int_equal(st.refused_memory, 1);
	lead_forget(w->b);
	send(w->b, 1, s, 1, ZK_OP_CREATE, req_create("/still", "x", NULL, 0));
	carry_up(w);
	commit(w);
	assert_non_null(reply_of(w->b, 1));
	world_free(w);
}

/* What a core sent before it knew of the role is not done in it: an earlier request of the same
 * connection may have been lost with the old one. */
static void crosses_with_the_role(void **state)
{
	struct world *w = world_new();
	uint64_t sa = session(w, w->a, 1);
	struct leader_stats st;
	size_t before;

	(void)state;
	leader_role_set(w->a->l, ROLE_LOOKING, 0, 0, w->a->now_ns);
	w->epoch = 2;
	leader_role_set(w->a->l, ROLE_LEADING, 2, 0, w->a->now_ns);
	lead_durable(w->a, 0, ~0u);
	before = w->hist_n;
	w->a->term--;
	send(w->a, 1, sa, 2, ZK_OP_CREATE, req_create("/late", "x", NULL, 0));
	assert_int_equal(w->hist_n, before);
	leader_stats_get(w->a->l, &st);
	assert_int_equal(st.dropped, 1);
	w->a->term++;
	send(w->a, 1, sa, 3, ZK_OP_CREATE, req_create("/now", "x", NULL, 0));
	assert_int_equal(w->hist_n, before + 1);
	world_free(w);
}

/* So many bytes of requests are under way to the leader, or one that is larger than that. */
static void asks_are_bounded(void **state)
{
	enum { MAX = 2000, LARGE = 3000 };
	struct world *w = world_of(false, 0, MAX);
	uint64_t s = session(w, w->b, 1);
	static char large[LARGE + 1];
	int32_t xid = 0;
	size_t bytes = 0;

	(void)state;
	memset(large, 'x', LARGE);
	while (lead_send(w->b, 0, 1, s, xid + 1, ZK_OP_SET_DATA, req_set("/", "x", -1)) == ZK_EOK) {
		assert_true(xid < MAX);
		bytes += zab_packet_bytes(&w->up[xid++].p);
	}
	assert_in_range(bytes, MAX - MAX / 10, MAX);
	assert_int_equal(w->up_n, xid);
	carry_up(w); /* read by the leader is not answered */
	assert_int_equal(lead_send(w->b, 0, 1, s, xid + 1, ZK_OP_SET_DATA, req_set("/", "x", -1)),
			 ZK_EAGAIN);
	commit(w);
	send(w->b, 1, s, ++xid, ZK_OP_SET_DATA, req_set("/", "x", -1));
	assert_int_equal(lead_send(w->b, 0, 1, s, xid + 1, ZK_OP_SET_DATA, req_set("/", large, -1)),
			 ZK_EAGAIN);
	carry_up(w);
	commit(w);
	send(w->b, 1, s, ++xid, ZK_OP_SET_DATA, req_set("/", large, -1));
	/* what was on its way to another leader is not */
	leader_role_set(w->b->l, ROLE_LOOKING, 1, 0, w->b->now_ns);
	leader_role_set(w->b->l, ROLE_FOLLOWING, 1, 0, w->b->now_ns);
	lead_durable(w->b, 0, ~0u);
	send(w->b, 1, s, ++xid, ZK_OP_SET_DATA, req_set("/", large, -1));
	w->up_n--; /* the first of them is lost */
	drop(&w->up[0]);
	w->up[0] = w->up[1];
	carry_up(w);
	commit(w);
	world_free(w);
}

/* Many clients at once, rings and queues that fill up, in random order. */
static void crowd(void **state)
{
	struct world *w = world_new();
	uint64_t s[8], rng = 88172645463325252u;
	int32_t xid[8] = {0}, answered[8] = {0};

	(void)state;
	for (uint32_t i = 0; i < 8; i++)
		s[i] = session(w, i & 1 ? w->a : w->b, i);
	lead_forget(w->a);
	lead_forget(w->b);
	for (unsigned round = 0; round < 3000; round++) {
		unsigned i;
		char path[32];

		rng ^= rng << 13;
		rng ^= rng >> 7;
		rng ^= rng << 17;
		i = rng % 8;
		snprintf(path, sizeof(path), "/n%u", (unsigned)(rng >> 20) % 50);
		if (rng >> 40 & 7)
			send(i & 1 ? w->a : w->b, i, s[i], ++xid[i], ZK_OP_CREATE,
			     req_create(path, "x", NULL, (int32_t)(rng >> 50 & 1)));
		else
			send(i & 1 ? w->a : w->b, i, s[i], ++xid[i],
			     rng >> 45 & 1 ? ZK_OP_SYNC : ZK_OP_GET_EPHEMERALS, req_path("/"));
		if (rng >> 30 & 1)
			carry_up(w);
		if ((rng >> 33 & 7) == 0 && w->hist_n < HIST_MAX - 64)
			commit(w);
		for (int side = 0; side < 2; side++) {
			struct lead *d = side ? w->a : w->b;

			lead_read(d);
			for (size_t k = 0; k < d->out_n; k++) {
				uint32_t c = d->out[k].conn.index;

				assert_int_equal(d->out[k].kind, MSG_REPLY);
				assert_int_equal(d->out[k].xid, ++answered[c]); /* in order */
			}
			lead_forget(d);
		}
	}
	carry_up(w);
	commit(w);
	commit(w);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_of_both),
		cmocka_unit_test(local_sessions_of_learners),
		cmocka_unit_test(requests_at_the_end_of_an_epoch),
		cmocka_unit_test(sync_is_a_barrier),
		cmocka_unit_test(close_and_expiry),
		cmocka_unit_test(session_moves),
		cmocka_unit_test(roles_change),
		cmocka_unit_test(digests_count_behind_the_beginning),
		cmocka_unit_test(crosses_with_the_role),
		cmocka_unit_test(asks_are_bounded),
		cmocka_unit_test(crowd),
		cmocka_unit_test(leads_and_is_behind),
		cmocka_unit_test(remote_owner_of_before),
		cmocka_unit_test(full_of_sessions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
