/* SPDX-License-Identifier: Apache-2.0 */
/* The leader's machine: sessions, the time between prep and apply, full rings, gathers. */
#include "core/session/password.h"
#include "test/lib/lead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define MS UINT64_C(1000000)

static struct lead *d;

static enum zk_err create(uint32_t conn, uint64_t s, int32_t xid, const char *path, int32_t flags)
{
	return lead_send(d, 0, conn, s, xid, ZK_OP_CREATE, req_create(path, "x", NULL, flags));
}

static enum zk_err close_session(uint32_t conn, uint64_t s, int32_t xid)
{
	return lead_send(d, 0, conn, s, xid, ZK_OP_CLOSE_SESSION, (struct zk_span){NULL, 0});
}

static void out_is(size_t i, uint16_t kind, unsigned core, uint32_t conn, uint64_t session)
{
	assert_true(i < d->out_n);
	assert_int_equal(d->out[i].kind, kind);
	assert_int_equal(d->out[i].core, core);
	assert_int_equal(d->out[i].conn.index, conn);
	assert_int_equal(d->out[i].conn.generation, 1);
	if (kind != MSG_REPLY)
		assert_true(d->out[i].session == session);
}

static void reply_is(size_t i, int32_t xid, enum zk_err err, uint64_t zxid)
{
	assert_true(i < d->out_n);
	assert_int_equal(d->out[i].kind, MSG_REPLY);
	assert_int_equal(d->out[i].xid, xid);
	assert_int_equal(d->out[i].err, err);
	assert_int_equal(d->out[i].zxid, zxid);
}

static struct leader_stats stats(void)
{
	struct leader_stats st;

	leader_stats_get(d->l, &st);
	return st;
}

/* ---- sessions ---------------------------------------------------------------------------- */

static void open_and_close(void **state)
{
	uint8_t password[16];

	(void)state;
	d = lead_open(&(struct lead_opt){.now_ns = 0x18efd6 * MS});
	uint64_t s = lead_session(d, 0, 0, 10000), u = lead_session(d, 1, 7, 4000);

	assert_true(s == 0x01000018efd60000 && u == s + 1);
	out_is(0, MSG_SESSION_OPENED, 0, 0, s);
	out_is(1, MSG_SESSION_OPENED, 1, 7, u);
	assert_int_equal(d->out[1].timeout_ms, 4000);
	assert_int_equal(d->out[1].attached, 0);
	session_password(u, password);
	assert_memory_equal(d->out[1].password, password, 16);
	assert_int_equal(stats().sessions, 2);

	assert_int_equal(create(0, s, 1, "/e", 1), ZK_EOK);
	assert_int_equal(create(0, s, 2, "/p", 0), ZK_EOK);
	assert_int_equal(create(0, s, 3, "/p/e", 3), ZK_EOK);
	lead_forget(d);
	assert_int_equal(close_session(0, s, 4), ZK_EOK);
	assert_int_equal(d->out_n, 1); /* the core closes behind the reply: no kick */
	reply_is(0, 4, ZK_EOK, d->logged);
	assert_int_equal(d->out[0].op, ZK_OP_CLOSE_SESSION);
	assert_string_equal(lead_node(d, "/e"), "none");
	assert_string_equal(lead_node(d, "/p"), "v0 cv1 av0 ch0 own0 =x");
	assert_int_equal(stats().sessions, 1);
	/* dropped without an answer, without a zxid */
	uint64_t z = d->logged;

	lead_forget(d);
	assert_int_equal(create(0, s, 5, "/x", 0), ZK_EOK);
	assert_int_equal(d->out_n, 0);
	assert_int_equal(d->logged, z);
	assert_int_equal(stats().dropped, 1);
	lead_close(d);
}

/* The opened message leaves after the transaction is applied, not before. */
static void open_is_durable(void **state)
{
	struct msg_session m = {.h = {.kind = MSG_SESSION_CREATE, .conn = {3, 1}},
				.timeout_ms = 6000};

	(void)state;
	d = lead_open(&(struct lead_opt){0});
	d->late = true;
	assert_int_equal(leader_message(d->l, &m, sizeof(m), d->now_ns, d->wall_ms), ZK_EOK);
	lead_read(d);
	assert_int_equal(d->out_n, 0);
	assert_int_equal(d->logged, 1);
	lead_durable(d, 1, 10);
	assert_int_equal(d->out_n, 1);
	out_is(0, MSG_SESSION_OPENED, 0, 3, d->out[0].session);
	assert_int_equal(d->out[0].timeout_ms, 6000);
	lead_close(d);
}

/* Corner case 11. */
static void expiry(void **state)
{
	(void)state;
	d = lead_open(&(struct lead_opt){.now_ns = 100000 * MS});
	uint64_t s = lead_session(d, 0, 0, 4000), u = lead_session(d, 1, 1, 4000);

	assert_int_equal(create(0, s, 1, "/e", 1), ZK_EOK);
	lead_forget(d);
	/* (100000 + 4000) / 2000 + 1 = 53 */
	assert_true(leader_next_ns(d->l) <= 106000 * MS);
	lead_tick(d, 103000 * MS);
	assert_int_equal(lead_touch(d, 1, u), ZK_EOK);
	for (uint64_t ms = 103000; ms < 106000; ms += 50)
		lead_tick(d, ms * MS);
	assert_int_equal(d->out_n, 0);
	lead_tick(d, 106000 * MS);
	assert_int_equal(d->out_n, 1);
	out_is(0, MSG_KICK, 0, 0, s);
	assert_string_equal(lead_node(d, "/e"), "none");
	assert_int_equal(zk_get32(d->log[d->log_n - 1].p + 8), 0); /* cxid */
	assert_true(zk_get64(d->log[d->log_n - 1].p) == s);
	lead_tick(d, 107999 * MS);
	assert_int_equal(d->out_n, 1);
	lead_tick(d, 108000 * MS);
	assert_int_equal(d->out_n, 2);
	out_is(1, MSG_KICK, 1, 1, u);
	assert_int_equal(stats().expired, 2);
	assert_int_equal(stats().sessions, 0);
	lead_close(d);
}

/* A request is a sign of life too; while the close is pending writes get -112. */
static void expiry_pending(void **state)
{
	(void)state;
	d = lead_open(&(struct lead_opt){.now_ns = 100000 * MS});
	uint64_t s = lead_session(d, 0, 0, 4000);

	d->now_ns = 103500 * MS;
	assert_int_equal(create(0, s, 1, "/e", 1), ZK_EOK);
	lead_tick(d, 107999 * MS);
	assert_string_equal(lead_node(d, "/e"), "v0 cv0 av0 ch0 own100000186a00000 =x");
	lead_forget(d);
	d->late = true;
	lead_tick(d, 108000 * MS);
	lead_read(d);
	assert_int_equal(d->out_n, 0); /* neither kick nor change before it is durable */
	assert_int_equal(stats().expired, 1);
	assert_int_equal(create(0, s, 2, "/x", 0), ZK_EOK);
	assert_int_equal(lead_send(d, 0, 0, s, 3, ZK_OP_SYNC, req_path("/x")), ZK_EOK);
	lead_durable(d, d->logged, 100);
	assert_int_equal(d->out_n, 3);
	out_is(0, MSG_KICK, 0, 0, s);
	reply_is(1, 2, ZK_SESSIONEXPIRED, d->logged);
	reply_is(2, 3, ZK_SESSIONEXPIRED, d->logged);
	assert_string_equal(lead_node(d, "/e"), "none");
	lead_close(d);
}

static void attach(void **state)
{
	uint8_t right[16], wrong[16] = {1}, zero[16] = {0};

	(void)state;
	d = lead_open(&(struct lead_opt){.now_ns = 100000 * MS});
	uint64_t s = lead_session(d, 0, 0, 10000);

	session_password(s, right);
	lead_forget(d);
	/* another core takes it over, with its own timeout */
	assert_int_equal(lead_attach(d, 1, 5, s, 6000, right), ZK_EOK);
	assert_int_equal(d->out_n, 2);
	out_is(0, MSG_KICK, 0, 0, s);
	out_is(1, MSG_SESSION_OPENED, 1, 5, s);
	assert_int_equal(d->out[1].attached, 1);
	assert_int_equal(d->out[1].timeout_ms, 6000);
	assert_memory_equal(d->out[1].password, right, 16);
	/* the old connection is not heard any more */
	lead_forget(d);
	uint64_t z = d->logged;

	assert_int_equal(create(0, s, 1, "/a", 0), ZK_EOK);
	assert_int_equal(d->out_n, 0);
	assert_int_equal(d->logged, z);
	/* its late detach changes nothing */
	assert_int_equal(lead_detach(d, 0, 0, s), ZK_EOK);
	assert_int_equal(lead_send(d, 1, 5, s, 2, ZK_OP_CREATE, req_create("/a", "", NULL, 0)),
			 ZK_EOK);
	reply_is(0, 2, ZK_EOK, z + 1);

	/* item 3: a wrong password costs the owner its connection all the same */
	lead_forget(d);
	assert_int_equal(lead_attach(d, 0, 6, s, 6000, wrong), ZK_EOK);
	assert_int_equal(d->out_n, 2);
	out_is(1, MSG_KICK, 1, 5, s); /* core 0's ring is read first */
	out_is(0, MSG_SESSION_OPENED, 0, 6, 0);
	assert_int_equal(d->out[0].timeout_ms, 0);
	assert_memory_equal(d->out[0].password, zero, 16);
	lead_forget(d);
	assert_int_equal(lead_attach(d, 0, 6, s, 6000, NULL), ZK_EOK); /* bad length */
	assert_int_equal(d->out_n, 1);
	assert_int_equal(d->out[0].timeout_ms, 0);
	/* unknown, and id 0 whose password would be right */
	session_password(s + 1, wrong);
	lead_forget(d);
	assert_int_equal(lead_attach(d, 0, 6, s + 1, 6000, wrong), ZK_EOK);
	session_password(0, wrong);
	assert_int_equal(lead_attach(d, 0, 6, 0, 6000, wrong), ZK_EOK);
	assert_int_equal(d->out[0].timeout_ms, 0);
	assert_int_equal(d->out[1].timeout_ms, 0);
	/* the session is still good */
	lead_forget(d);
	assert_int_equal(lead_attach(d, 0, 8, s, 4000, right), ZK_EOK);
	assert_int_equal(d->out_n, 1);
	assert_int_equal(d->out[0].timeout_ms, 4000);
	/* the shorter timeout counts from here */
	lead_forget(d);
	lead_tick(d, 105999 * MS);
	assert_int_equal(d->out_n, 0);
	lead_tick(d, 106000 * MS);
	out_is(0, MSG_KICK, 0, 8, s);
	lead_forget(d);
	assert_int_equal(lead_attach(d, 0, 9, s, 4000, right), ZK_EOK);
	assert_int_equal(d->out[0].timeout_ms, 0);
	lead_close(d);
}

static void attach_closing(void **state)
{
	uint8_t right[16];

	(void)state;
	d = lead_open(&(struct lead_opt){0});
	uint64_t s = lead_session(d, 0, 0, 10000);

	session_password(s, right);
	lead_forget(d);
	d->late = true;
	assert_int_equal(close_session(0, s, 1), ZK_EOK);
	assert_int_equal(lead_attach(d, 1, 5, s, 6000, right), ZK_EOK);
	lead_read(d);
	assert_int_equal(d->out_n, 2);
	out_is(0, MSG_KICK, 0, 0, s);
	assert_int_equal(d->out[1].timeout_ms, 0);
	lead_durable(d, d->logged, 10);
	reply_is(2, 1, ZK_EOK, d->logged);
	lead_close(d);
}

/* A detached session expires without a kick; its next writer owns it. */
static void detach(void **state)
{
	(void)state;
	d = lead_open(&(struct lead_opt){.now_ns = 100000 * MS});
	uint64_t s = lead_session(d, 0, 0, 4000), u = lead_session(d, 0, 1, 4000);

	lead_forget(d);
	assert_int_equal(lead_detach(d, 0, 0, s), ZK_EOK);
	assert_int_equal(lead_detach(d, 0, 77, u), ZK_EOK); /* not its connection */
	lead_tick(d, 106000 * MS);
	assert_int_equal(stats().expired, 2);
	assert_int_equal(d->out_n, 1);
	out_is(0, MSG_KICK, 0, 1, u);
	lead_close(d);
}

static void sessions_max(void **state)
{
	(void)state;
	d = lead_open(&(struct lead_opt){0});
	for (unsigned i = 0; i < 5000; i++) {
		lead_session(d, 0, i, 10000);
		lead_forget(d);
	}
	struct msg_session m = {.h = {.kind = MSG_SESSION_CREATE, .conn = {9, 1}},
				.timeout_ms = 6000};

	assert_int_equal(leader_message(d->l, &m, sizeof(m), d->now_ns, d->wall_ms), ZK_EOK);
	lead_read(d);
	assert_int_equal(d->out_n, 1);
	out_is(0, MSG_KICK, 0, 9, 0);
	assert_int_equal(stats().refused_memory, 1);
	lead_close(d);
}

/* ---- between prep and apply -------------------------------------------------------------- */

static void late_durable(void **state)
{
	(void)state;
	d = lead_open(&(struct lead_opt){0});
	uint64_t s = lead_session(d, 0, 0, 10000), u = lead_session(d, 1, 1, 10000);

	lead_forget(d);
	d->late = true;
	uint64_t z = d->logged;

	assert_int_equal(create(0, s, 1, "/a", 0), ZK_EOK);
	assert_int_equal(create(0, s, 2, "/a", 0), ZK_EOK);   /* exists, though not in the tree */
	assert_int_equal(create(0, s, 3, "/a/s", 2), ZK_EOK); /* parent is pending */
	assert_int_equal(create(0, s, 4, "/a/s", 2), ZK_EOK);
	assert_int_equal(lead_send(d, 1, 1, u, 1, ZK_OP_SET_DATA, req_set("/a", "1", 0)), ZK_EOK);
	assert_int_equal(lead_send(d, 1, 1, u, 2, ZK_OP_SET_DATA, req_set("/a", "2", 0)), ZK_EOK);
	assert_int_equal(lead_send(d, 1, 1, u, 3, ZK_OP_DELETE, req_version("/a", -1)), ZK_EOK);
	assert_int_equal(lead_send(d, 1, 1, u, 4, ZK_OP_DELETE, req_version("/a/s0000000000", -1)),
			 ZK_EOK);
	assert_int_equal(lead_send(d, 1, 1, u, 5, ZK_OP_DELETE, req_version("/a/s0000000000", -1)),
			 ZK_EOK);
	lead_read(d);
	assert_int_equal(d->out_n, 0);
	assert_string_equal(lead_node(d, "/a"), "none");
	assert_int_equal(stats().outstanding, 9);

	lead_durable(d, z + 2, 100); /* a part of them */
	assert_int_equal(d->out_n, 2);
	reply_is(0, 1, ZK_EOK, z + 1);
	reply_is(1, 2, ZK_NODEEXISTS, z + 2);
	assert_int_equal(leader_applied_zxid(d->l), z + 2);
	assert_string_equal(lead_node(d, "/a"), "v0 cv0 av0 ch0 own0 =x");
	/* validated against what is still pending */
	assert_int_equal(create(0, s, 5, "/a/s", 2), ZK_EOK);
	lead_forget(d);
	lead_durable(d, z + 9, 2); /* a budget */
	assert_int_equal(leader_applied_zxid(d->l), z + 4);
	lead_forget(d);
	lead_durable(d, z + 10, 100);
	lead_durable(d, z + 10, 100);
	assert_int_equal(d->out_n, 6);
	lead_forget(d);
	assert_string_equal(lead_node(d, "/a"), "v1 cv3 av0 ch2 own0 =1");
	assert_string_equal(lead_node(d, "/a/s0000000002"), "v0 cv0 av0 ch0 own0 =x");
	assert_int_equal(stats().outstanding, 0);
	lead_close(d);
}

/* Ephemerals that are created, deleted or re-created while pending, at the close. */
static void close_with_pending(void **state)
{
	(void)state;
	d = lead_open(&(struct lead_opt){0});
	uint64_t s = lead_session(d, 0, 0, 10000), u = lead_session(d, 0, 1, 10000);

	assert_int_equal(create(0, s, 1, "/p", 0), ZK_EOK);
	assert_int_equal(create(0, s, 2, "/p/old", 1), ZK_EOK);
	assert_int_equal(create(0, s, 3, "/p/gone", 1), ZK_EOK);
	assert_int_equal(create(0, s, 4, "/p/again", 1), ZK_EOK);
	assert_int_equal(create(0, s, 5, "/p/other", 1), ZK_EOK);
	assert_int_equal(create(0, s, 6, "/p/keep", 0), ZK_EOK);
	lead_forget(d);
	d->late = true;
	lead_send(d, 0, 0, s, 7, ZK_OP_DELETE, req_version("/p/gone", -1));
	lead_send(d, 0, 0, s, 8, ZK_OP_DELETE, req_version("/p/again", -1));
	create(0, s, 9, "/p/again", 1);
	lead_send(d, 0, 0, s, 10, ZK_OP_DELETE, req_version("/p/other", -1));
	create(1, u, 1, "/p/other", 1); /* another session's now */
	create(0, s, 11, "/p/new", 1);
	assert_int_equal(close_session(0, s, 12), ZK_EOK);
	/* as of the pending state they are gone, and their number is right */
	create(1, u, 2, "/p/new", 0);
	create(1, u, 3, "/p/old", 0);
	lead_send(d, 0, 1, u, 4, ZK_OP_DELETE, req_version("/p/keep", -1));
	lead_send(d, 0, 1, u, 5, ZK_OP_DELETE, req_version("/p/other", -1));
	lead_send(d, 0, 1, u, 6, ZK_OP_DELETE, req_version("/p/old", -1));
	lead_send(d, 0, 1, u, 7, ZK_OP_DELETE, req_version("/p/new", -1));
	lead_send(d, 0, 1, u, 8, ZK_OP_DELETE, req_version("/p", -1));
	const struct lead_txn *t = NULL;

	for (size_t i = 0; i < d->log_n; i++) {
		if (zk_get32(d->log[i].p + TXN_TYPE_AT) == (uint32_t)ZK_OP_CLOSE_SESSION)
			t = &d->log[i];
	}
	assert_non_null(t);
	assert_int_equal(zk_get32(t->p + TXN_HEADER_BYTES), 3); /* old, again, new */
	lead_durable(d, d->logged, 100);
	for (size_t i = 0; i < d->out_n; i++)
		assert_int_equal(d->out[i].err, ZK_EOK);
	assert_int_equal(d->out_n, 14);
	assert_string_equal(lead_node(d, "/p"), "none");
	lead_close(d);
}

/* ACLs of nodes whose create is pending, then applied while a later change is pending. */
static void pending_acl(void **state)
{
	(void)state;
	d = lead_open(&(struct lead_opt){0});
	uint64_t s = lead_session(d, 0, 0, 10000);

	lead_forget(d);
	d->late = true;
	uint64_t z = d->logged;

	/* READ and WRITE only */
	lead_send(d, 0, 0, s, 1, ZK_OP_CREATE, req_create("/a", "", "3 world anyone", 0));
	lead_send(d, 0, 0, s, 2, ZK_OP_SET_DATA, req_set("/a", "1", -1));
	lead_durable(d, z + 1, 100); /* the ACL is the tree's now, the record still pending */
	lead_send(d, 0, 0, s, 3, ZK_OP_SET_DATA, req_set("/a", "2", -1));
	create(0, s, 4, "/a/x", 0);
	lead_durable(d, z + 2, 100);
	create(0, s, 5, "/a/x", 0);
	lead_durable(d, z + 5, 100);
	reply_is(2, 3, ZK_EOK, z + 3);
	reply_is(3, 4, ZK_NOAUTH, z + 4);
	reply_is(4, 5, ZK_NOAUTH, z + 5);
	lead_close(d);
}

static struct req_multi m;

/* A failed multi on top of pending changes leaves them as they were. */
static void rollback_over_pending(void **state)
{
	(void)state;
	d = lead_open(&(struct lead_opt){0});
	uint64_t s = lead_session(d, 0, 0, 10000);

	create(0, s, 1, "/p", 0);
	lead_forget(d);
	d->late = true;
	uint64_t z = d->logged;

	create(0, s, 2, "/p/s", 2);
	lead_send(d, 0, 0, s, 3, ZK_OP_SET_DATA, req_set("/p", "y", 0));
	create(0, s, 4, "/q", 0);
	m.n = 0;
	multi_op(&m, ZK_OP_CREATE, req_create("/p/s", "", NULL, 2));
	multi_op(&m, ZK_OP_DELETE, req_version("/q", -1));
	multi_op(&m, ZK_OP_CREATE, req_create("/q", "", NULL, 1));
	multi_op(&m, ZK_OP_SET_DATA, req_set("/p", "z", 1));
	multi_op(&m, ZK_OP_CREATE, req_create("/new", "", NULL, 0));
	multi_op(&m, ZK_OP_CHECK, req_version("/none", -1));
	lead_send(d, 0, 0, s, 5, ZK_OP_MULTI, multi_end(&m));
	create(0, s, 6, "/p/s", 2);
	create(0, s, 7, "/q/c", 0); /* not under an ephemeral */
	create(0, s, 8, "/new/c", 0);
	lead_durable(d, z + 1, 100); /* in order though the multi touched them all */
	lead_send(d, 0, 0, s, 9, ZK_OP_SET_DATA, req_set("/p", "y", 1));
	lead_durable(d, z + 2, 100);
	lead_durable(d, z + 3, 100);
	lead_durable(d, d->logged, 100);
	assert_int_equal(d->out_n, 8);
	reply_is(4, 6, ZK_EOK, z + 5);
	assert_memory_equal(d->out[4].body + 4, "/p/s0000000001", 14);
	reply_is(5, 7, ZK_EOK, z + 6);
	reply_is(6, 8, ZK_NONODE, z + 7);
	reply_is(7, 9, ZK_EOK, z + 8);
	assert_string_equal(lead_node(d, "/p"), "v2 cv2 av0 ch2 own0 =y");
	lead_close(d);
}

/* sync keeps its place behind its own session's writes, and waits for nobody else. */
static void sync_order(void **state)
{
	(void)state;
	d = lead_open(&(struct lead_opt){0});
	uint64_t s = lead_session(d, 0, 0, 10000), u = lead_session(d, 1, 1, 10000);

	lead_forget(d);
	d->late = true;
	uint64_t z = d->logged;

	create(0, s, 1, "/a", 0);
	assert_int_equal(lead_send(d, 0, 0, s, 2, ZK_OP_SYNC, req_path("/a")), ZK_EOK);
	assert_int_equal(lead_send(d, 0, 0, s, 3, ZK_OP_SYNC, req_path(NULL)), ZK_EOK);
	create(0, s, 4, "/b", 0);
	assert_int_equal(lead_send(d, 1, 1, u, 9, ZK_OP_SYNC, req_path("/zz")), ZK_EOK);
	lead_read(d);
	assert_int_equal(d->out_n, 1);
	reply_is(0, 9, ZK_EOK, z);
	assert_int_equal(d->out[0].body_n, 7);
	assert_memory_equal(d->out[0].body, "\0\0\0\3/zz", 7);
	lead_forget(d);
	lead_durable(d, z + 1, 100);
	assert_int_equal(d->out_n, 3);
	reply_is(1, 2, ZK_EOK, z + 1);
	assert_memory_equal(d->out[1].body, "\0\0\0\2/a", 6);
	reply_is(2, 3, ZK_EOK, z + 1);
	assert_int_equal(d->out[2].body_n, 4);
	assert_memory_equal(d->out[2].body, "\xff\xff\xff\xff", 4); /* item 27 */
	assert_int_equal(d->logged, z + 2);                         /* no zxid for a sync */
	lead_forget(d);
	lead_durable(d, z + 2, 100);
	assert_int_equal(lead_send(d, 0, 0, s, 5, ZK_OP_SYNC, zk_span_of("\0\0", 2)), ZK_EOK);
	lead_read(d);
	reply_is(1, 5, ZK_MARSHALLINGERROR, z + 2);
	lead_close(d);
}

/* ---- full ---------------------------------------------------------------------------------- */

/* A reply ring that nobody reads stops the apply; then it goes on without a loss. */
static void ring_full(void **state)
{
	(void)state;
	d = lead_open(&(struct lead_opt){.ring_bytes = 4096});
	uint64_t s = lead_session(d, 0, 0, 10000);

	lead_forget(d);
	d->late = true;
	uint64_t z = d->logged;

	for (int32_t i = 0; i < 500; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/n%d", i);
		assert_int_equal(
			lead_send(d, 0, 0, s, i, ZK_OP_CREATE2, req_create(path, "", NULL, 0)),
			ZK_EOK);
	}
	unsigned n = leader_durable(d->l, z + 500, 1000, d->now_ns);

	assert_true(n > 10 && n < 40);
	assert_int_equal(leader_applied_zxid(d->l), z + n);
	assert_true(leader_next_ns(d->l) <= d->now_ns + 1 * MS); /* it wants to be called */
	for (unsigned i = 0; i < 1000 && d->out_n < 500; i++) {
		lead_read_core(d, 0, 3);
		lead_tick(d, d->now_ns + 1000); /* the tick goes on as durable does */
	}
	assert_int_equal(d->out_n, 500);
	for (int32_t i = 0; i < 500; i++)
		reply_is((size_t)i, i, ZK_EOK, z + 1 + (uint64_t)i);
	lead_close(d);
}

/* A kick that does not fit holds the expiry back, an attach is offered again. */
static void ring_full_sessions(void **state)
{
	uint8_t right[16];

	(void)state;
	d = lead_open(&(struct lead_opt){.ring_bytes = 4096, .now_ns = 100000 * MS});
	uint64_t s = lead_session(d, 0, 0, 4000), u = lead_session(d, 0, 1, 40000);

	lead_forget(d);
	d->late = true;
	unsigned syncs = 0;

	while (lead_send(d, 0, 1, u, 1, ZK_OP_SYNC, req_path("/x")) == ZK_EOK)
		syncs++;
	assert_true(syncs > 10);
	for (struct msg *h; (h = zk_ring_reserve(&d->ring[0], sizeof(*h))); syncs++) {
		*h = (struct msg){.kind = MSG_GATHER}; /* no room for the smallest */
		zk_ring_commit(&d->ring[0], sizeof(*h));
	}
	zk_ring_publish(&d->ring[0]);
	session_password(s, right);
	assert_int_equal(lead_attach(d, 1, 5, s, 4000, right), ZK_EAGAIN);
	d->now_ns = 110000 * MS;
	/* the roll does not fit into the ring of core 0: s is not expired, and it is tried again */
	leader_tick(d->l, d->now_ns, d->wall_ms);
	assert_true(leader_next_ns(d->l) <= d->now_ns + MS);
	lead_read_core(d, 1, 10);
	assert_int_equal(d->out_n, 0);
	leader_durable(d->l, d->logged, 100, d->now_ns);
	lead_read(d);
	assert_int_equal(d->out_n, syncs);
	assert_true(d->question[1] != 0 && d->question[0] == 0);
	leader_tick(d->l, d->now_ns, d->wall_ms);
	lead_read(d);
	assert_true(d->question[0] == d->question[1]);
	assert_int_equal(stats().expired, 0);
	lead_forget(d);
	assert_int_equal(lead_attach(d, 1, 5, s, 4000, right), ZK_EOK);
	lead_read(d);
	assert_int_equal(d->out_n, 2);
	out_is(0, MSG_KICK, 0, 0, s);
	out_is(1, MSG_SESSION_OPENED, 1, 5, s);
	lead_close(d);
}

/* Log stage and pending table full: refused and taken again, nothing lost, nothing doubled. */
static void log_full(void **state)
{
	(void)state;
	d = lead_open(&(struct lead_opt){.pending_max = 8});
	uint64_t s = lead_session(d, 0, 0, 10000);

	lead_forget(d);
	d->late = true;
	d->log_room = 3;
	uint64_t z = d->logged;
	int32_t sent = 0;

	for (unsigned round = 0; sent < 100; round++) {
		char path[32];

		snprintf(path, sizeof(path), "/n%d", sent);
		if (create(0, s, sent, path, 0) == ZK_EOK)
			sent++;
		else if (round % 3 == 0)
			d->log_room = round % 5;
		else if (round % 7 == 1)
			lead_durable(d, d->logged, 2);
		assert_true(round < 10000);
	}
	d->log_room = ~0u;
	lead_tick(d, d->now_ns + 1);
	lead_durable(d, d->logged, 1000);
	assert_int_equal(d->out_n, 100);
	for (int32_t i = 0; i < 100; i++)
		reply_is((size_t)i, i, ZK_EOK, z + 1 + (uint64_t)i);
	assert_true(stats().again > 0);
	lead_close(d);
}

/* A multi whose reply no ring could take is refused before anything happens. */
static void reply_too_big(void **state)
{
	(void)state;
	d = lead_open(&(struct lead_opt){.ring_bytes = 4096});
	uint64_t s = lead_session(d, 0, 0, 10000);

	m.n = 0;
	for (unsigned i = 0; i < 30; i++)
		multi_op(&m, ZK_OP_SET_DATA, req_set("/", "", -1));
	assert_int_equal(lead_err(d, s, ZK_OP_MULTI, multi_end(&m)), ZK_SYSTEMERROR);
	assert_int_equal(stats().refused_size, 1);
	m.n = 0;
	for (unsigned i = 0; i < 20; i++)
		multi_op(&m, ZK_OP_SET_DATA, req_set("/", "", -1));
	assert_int_equal(lead_err(d, s, ZK_OP_MULTI, multi_end(&m)), ZK_EOK);
	lead_close(d);
}

/* A session with more ephemerals than the pending table or a transaction can hold. */
static void close_huge(void **state)
{
	enum { N = 40000 };

	(void)state;
	d = lead_open(&(struct lead_opt){.pending_max = 16, .jute_maxbuffer = 65536});
	uint64_t s = lead_session(d, 0, 0, 10000), u = lead_session(d, 0, 1, 10000);

	for (int32_t i = 0; i < N; i++) {
		char path[64];

		lead_forget(d);
		snprintf(path, sizeof(path), "/an-ephemeral-of-some-length-%d", i);
		assert_int_equal(create(0, s, i, path, 1), ZK_EOK);
	}
	d->late = true;
	lead_forget(d);
	create(0, s, 1, "/last", 1);
	assert_int_equal(close_session(0, s, 2), ZK_EAGAIN); /* not over pending changes */
	lead_durable(d, d->logged, 10);
	assert_int_equal(close_session(0, s, 2), ZK_EOK);
	assert_int_equal(d->log[d->log_n - 1].n, TXN_HEADER_BYTES); /* the form without a list */
	assert_int_equal(create(1, u, 1, "/last", 0), ZK_EAGAIN);   /* nothing in between */
	lead_durable(d, d->logged, 10);
	assert_int_equal(create(1, u, 1, "/last", 0), ZK_EOK);
	lead_durable(d, d->logged, 10);
	assert_int_equal(d->out_n, 3);
	assert_string_equal(lead_node(d, "/"), "v0 cv40002 av0 ch2 own0 =");
	lead_close(d);
}

/* ---- gather -------------------------------------------------------------------------------- */

static void gather(void **state)
{
	struct {
		struct msg_gather g;
		char text[8];
	} part = {.g = {.h = {.kind = MSG_GATHER_PART, .core = 1, .conn = {4, 2}},
			.what = GATHER_CONS,
			.part_core = 0,
			.last = 1,
			.text_bytes = 5},
		  .text = "hello"};
	struct msg_gather ask = {.h = {.kind = MSG_GATHER_ASK, .core = 1, .conn = {4, 2}},
				 .what = GATHER_CONS};
	const struct msg_gather *g;

	(void)state;
	d = lead_open(&(struct lead_opt){.ring_bytes = 4096});
	assert_int_equal(leader_message(d->l, &ask, sizeof(ask), d->now_ns, 0), ZK_EOK);
	lead_read(d);
	assert_int_equal(d->out_n, 2);
	for (unsigned c = 0; c < 2; c++) {
		g = (const struct msg_gather *)(const void *)d->out[c].body;
		assert_int_equal(g->h.kind, MSG_GATHER);
		assert_int_equal(g->h.core, 1); /* the asking one */
		assert_int_equal(g->h.conn.index, 4);
		assert_int_equal(g->part_core, c);
		assert_int_equal(g->cores, 2);
	}
	lead_forget(d);
	assert_int_equal(leader_message(d->l, &part, sizeof(part), d->now_ns, 0), ZK_EOK);
	assert_int_equal(lead_read_core(d, 0, 10), 0);
	assert_int_equal(lead_read_core(d, 1, 10), 1);
	g = (const struct msg_gather *)(const void *)d->out[0].body;
	assert_int_equal(g->h.kind, MSG_GATHER_TEXT);
	assert_int_equal(g->text_bytes, 5);
	assert_int_equal(g->last, 1);
	assert_memory_equal(g + 1, "hello", 5);

	/* A full ring: each core is asked once all the same. */
	uint64_t u = lead_session(d, 1, 1, 40000);

	lead_forget(d);
	d->late = true;
	while (lead_send(d, 1, 1, u, 1, ZK_OP_SYNC, req_path("/x")) == ZK_EOK)
		;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(leader_message(d->l, &ask, sizeof(ask), d->now_ns, 0), ZK_EAGAIN);
	assert_int_equal(lead_read_core(d, 0, 10), 1);
	lead_read(d);
	lead_forget(d);
	assert_int_equal(leader_message(d->l, &ask, sizeof(ask), d->now_ns, 0), ZK_EOK);
	assert_int_equal(lead_read_core(d, 0, 10), 0);
	assert_int_equal(lead_read_core(d, 1, 10), 1);
	lead_close(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_and_close),
		cmocka_unit_test(open_is_durable),
		cmocka_unit_test(expiry),
		cmocka_unit_test(expiry_pending),
		cmocka_unit_test(attach),
		cmocka_unit_test(attach_closing),
		cmocka_unit_test(detach),
		cmocka_unit_test(sessions_max),
		cmocka_unit_test(late_durable),
		cmocka_unit_test(close_with_pending),
		cmocka_unit_test(pending_acl),
		cmocka_unit_test(rollback_over_pending),
		cmocka_unit_test(sync_order),
		cmocka_unit_test(ring_full),
		cmocka_unit_test(ring_full_sessions),
		cmocka_unit_test(log_full),
		cmocka_unit_test(reply_too_big),
		cmocka_unit_test(close_huge),
		cmocka_unit_test(gather),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
