/* SPDX-License-Identifier: Apache-2.0 */
/* The reaper of container and TTL nodes: whom it takes, when, how fast, and what it writes
 * (spec/semantics.md sections 4 and 7, corner cases 60 and 61). */
#include "test/lib/lead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#define MS UINT64_C(1000000)

enum { START_MS = 1000000, CHECK_MS = 1000 };

static struct lead *d;
static uint64_t s;

static void with(struct lead_opt opt)
{
	opt.now_ns = START_MS * MS;
	if (!opt.reap_interval_ms)
		opt.reap_interval_ms = CHECK_MS;
	d = lead_open(&opt);
	s = lead_session(d, 0, 0, 1000000000);
}

static void done(void)
{
	if (d->late)
		lead_durable(d, d->logged, ~0u);
	lead_close(d);
}

static void ok(int32_t op, struct zk_span body)
{
	static int32_t xid;

	assert_int_equal(lead_send(d, 0, 0, s, ++xid, op, body), ZK_EOK);
	if (d->late)
		return;
	assert_int_equal(d->out[d->out_n - 1].err, ZK_EOK);
	lead_forget(d);
}

static void container(const char *path)
{
	ok(ZK_OP_CREATE_CONTAINER, req_create(path, "x", NULL, 4));
}

static void ttl(const char *path, int64_t ttl_ms)
{
	ok(ZK_OP_CREATE_TTL, req_ttl(path, "x", 5, ttl_ms));
}

static void plain(const char *path)
{
	ok(ZK_OP_CREATE, req_create(path, "x", NULL, 0));
}

static void gone(const char *path)
{
	ok(ZK_OP_DELETE, req_version(path, -1));
}

/* A container whose only child has come and gone. */
static void used(const char *path)
{
	char child[64];

	container(path);
	snprintf(child, sizeof(child), "%s/c", path);
	plain(child);
	gone(child);
}

/* Tick @p us after the leader was made. */
static void tick_us(uint64_t us)
{
	lead_tick(d, START_MS * MS + us * 1000);
}

static void tick_ms(uint64_t ms)
{
	tick_us(ms * 1000);
}

static bool lives(const char *path)
{
	struct tree_ref ref;

	return tree_find_newest(d->tree, zk_span_str(path), &ref);
}

static struct leader_stats stats(void)
{
	struct leader_stats st;

	leader_stats_get(d->l, &st);
	return st;
}

/* The last transaction is the header and body in @p hex behind it, with no client and no cxid. */
static void txn_is(size_t i, int32_t type, const char *body_hex)
{
	uint8_t want[TXN_HEADER_BYTES + 64] = {0};
	const struct lead_txn *t = &d->log[i];
	size_t n = TXN_HEADER_BYTES + from_hex(body_hex, want + TXN_HEADER_BYTES, 64);

	assert_true(i < d->log_n);
	zk_put64(want + 12, t->zxid);
	zk_put64(want + 20, (uint64_t)d->wall_ms);
	zk_put32(want + TXN_TYPE_AT, (uint32_t)type);
	assert_int_equal(t->n, n);
	assert_memory_equal(t->p, want, n);
}

/* ---- whom -------------------------------------------------------------------------------- */

/* Item 61. */
static void used_container_goes_never_used_stays(void **state)
{
	(void)state;
	with((struct lead_opt){0});
	used("/used");
	container("/never");
	container("/full");
	plain("/full/c");
	plain("/plain");
	plain("/plain/c");
	gone("/plain/c");
	d->wall_ms += 1000000000000;
	uint64_t z = d->logged;

	tick_ms(CHECK_MS - 1);
	assert_int_equal(d->logged, z);
	assert_true(lives("/used"));
	tick_ms(CHECK_MS);
	assert_int_equal(d->logged, z + 1);
	assert_false(lives("/used"));
	assert_int_equal(d->out_n, 0); /* nobody asked: no reply */
	txn_is(d->log_n - 1, 20, "00000005 2f75736564");
	for (unsigned ms = CHECK_MS + 6; ms < 10 * CHECK_MS; ms += 7)
		tick_ms(ms);
	assert_int_equal(d->logged, z + 1);
	assert_true(lives("/never") && lives("/full/c") && lives("/plain"));
	assert_int_equal(stats().reaped, 1);
	assert_int_equal(leader_applied_zxid(d->l), d->logged);
	/* the last child goes: the next round takes it */
	gone("/full/c");
	tick_ms(10 * CHECK_MS);
	assert_false(lives("/full"));
	done();
}

static void never_used_interval(void **state)
{
	(void)state;
	with((struct lead_opt){.reap_never_used_ms = 5000});
	container("/c");
	int64_t made_ms = d->wall_ms;

	d->wall_ms = made_ms + 5000;
	tick_ms(1 * CHECK_MS);
	assert_true(lives("/c"));
	d->wall_ms = made_ms - 5; /* the clock was set back */
	tick_ms(2 * CHECK_MS);
	assert_true(lives("/c"));
	d->wall_ms = made_ms + 5001;
	tick_ms(3 * CHECK_MS);
	assert_false(lives("/c"));
	txn_is(d->log_n - 1, 20, "00000002 2f63");
	done();
}

/* Item 60: from mtime; setData renews, children do not, and none is taken that has one. */
static void ttl_counts_from_mtime(void **state)
{
	(void)state;
	with((struct lead_opt){.extended_types = true});
	int64_t t = d->wall_ms;

	ttl("/t", 5000);
	ttl("/set", 5000);
	ttl("/kids", 5000);
	d->wall_ms = t + 4000;
	ok(ZK_OP_SET_DATA, req_set("/set", "y", -1));
	plain("/kids/c");
	plain("/t/c"); /* no renewal */
	gone("/t/c");
	d->wall_ms = t + 5000;
	tick_ms(1 * CHECK_MS);
	assert_true(lives("/t"));
	d->wall_ms = t + 5001;
	tick_ms(2 * CHECK_MS);
	assert_false(lives("/t"));
	txn_is(d->log_n - 1, 20, "00000002 2f74");
	d->wall_ms = t + 9000;
	tick_ms(3 * CHECK_MS);
	assert_true(lives("/set") && lives("/kids"));
	gone("/kids/c");
	d->wall_ms = t + 9001;
	tick_ms(4 * CHECK_MS);
	tick_ms(4 * CHECK_MS + 6);
	assert_false(lives("/set") || lives("/kids"));
	assert_int_equal(stats().reaped, 3);
	done();
}

/* Without extended types the owner marker of a TTL node is one session id like others. */
static void plant_ttl(struct tree *t)
{
	struct zk_span none = {NULL, 0};

	tree_begin(t, 1, 1);
	assert_int_equal(tree_create(t, zk_span_str("/t"), none, none, ZK_OWNER_TTL | 5, -1),
			 ZK_EOK);
	assert_int_equal(tree_create(t, zk_span_str("/c"), none, none, ZK_OWNER_CONTAINER, -1),
			 ZK_EOK);
	assert_int_equal(tree_create(t, zk_span_str("/c/e"), none, none, 0, -1), ZK_EOK);
	assert_int_equal(tree_delete(t, zk_span_str("/c/e")), ZK_EOK);
	tree_end(t);
}

static void recovered_nodes(void **state)
{
	(void)state;
	for (unsigned on = 0; on < 2; on++) {
		with((struct lead_opt){.extended_types = on, .prepare = plant_ttl});
		tick_ms(CHECK_MS);
		tick_ms(CHECK_MS + 6);
		tick_ms(CHECK_MS + 12);
		assert_false(lives("/c"));
		assert_int_equal(lives("/t"), !on);
		assert_int_equal(stats().reaped, 1 + on); /* not even an error transaction */
		done();
	}
}

/* ---- prep looks again -------------------------------------------------------------------- */

static void child_is_pending(void **state)
{
	(void)state;
	with((struct lead_opt){0});
	used("/c");
	d->late = true;
	plain("/c/x"); /* logged, not applied: the round sees none */
	tick_ms(CHECK_MS);
	txn_is(d->log_n - 1, -1, "ffffff91");
	lead_durable(d, d->logged, ~0u);
	assert_true(lives("/c/x"));
	assert_int_equal(leader_applied_zxid(d->l), d->logged);
	assert_int_equal(stats().reaped, 1);
	/* applied: the next round leaves it alone */
	uint64_t z = d->logged;

	tick_ms(2 * CHECK_MS);
	assert_int_equal(d->logged, z);
	done();
}

static void delete_is_pending(void **state)
{
	(void)state;
	with((struct lead_opt){0});
	used("/c");
	used("/d");
	d->late = true;
	gone("/c");
	gone("/d");
	plain("/d"); /* no container any more: it goes all the same, as in Apache */
	tick_ms(CHECK_MS);
	txn_is(d->log_n - 1, -1, "ffffff9b");
	tick_ms(CHECK_MS + 6);
	txn_is(d->log_n - 1, 20, "00000002 2f64");
	plain("/c");
	lead_durable(d, d->logged, ~0u);
	assert_true(lives("/c"));
	assert_false(lives("/d"));
	done();
}

static void session_owns_it_now(void **state)
{
	(void)state;
	with((struct lead_opt){0});
	used("/c");
	d->late = true;
	gone("/c");
	ok(ZK_OP_CREATE, req_create("/c", "x", NULL, 1));
	tick_ms(CHECK_MS);
	txn_is(d->log_n - 1, -1, "ffffff99");
	lead_durable(d, d->logged, ~0u);
	assert_true(lives("/c"));
	done();
}

/* Writes behind the reaper's, before it is applied, see what it has done. */
static void writes_behind_it(void **state)
{
	(void)state;
	with((struct lead_opt){0});
	used("/c");
	d->late = true;
	tick_ms(CHECK_MS);
	assert_int_equal(stats().reaped, 1);
	lead_forget(d);
	ok(ZK_OP_CREATE, req_create("/c/x", "x", NULL, 0));
	container("/c");
	lead_durable(d, d->logged, ~0u);
	assert_int_equal(d->out_n, 2);
	assert_int_equal(d->out[0].err, ZK_NONODE);
	assert_int_equal(d->out[1].err, ZK_EOK);
	assert_true(lives("/c"));
	done();
}

/* ---- when, how fast ---------------------------------------------------------------------- */

static void defaults(void **state)
{
	(void)state;
	with((struct lead_opt){.reap_interval_ms = 60000});
	lead_close(d);
	d = lead_open(&(struct lead_opt){.now_ns = START_MS * MS});
	assert_true(leader_next_ns(d->l) <= START_MS * MS + 60000 * MS);
	s = lead_session(d, 0, 0, 1000000000);
	used("/a");
	used("/b");
	tick_us(59999999);
	assert_true(lives("/a"));
	assert_true(leader_next_ns(d->l) == START_MS * MS + 60000 * MS);
	tick_us(60000000);
	assert_false(lives("/a"));
	/* 10,000 per minute */
	assert_true(leader_next_ns(d->l) == START_MS * MS + 60006 * MS);
	tick_us(60005999);
	assert_true(lives("/b"));
	tick_us(60006000);
	assert_false(lives("/b"));
	tick_us(60012000); /* the end of the round */
	used("/c");
	tick_us(119999999);
	assert_true(lives("/c"));
	assert_true(leader_next_ns(d->l) == START_MS * MS + 120000 * MS);
	tick_us(120000000);
	assert_false(lives("/c"));
	done();
}

/* A round longer than the interval: the next one follows at once, the missed ones are dropped. */
static void slow_round(void **state)
{
	(void)state;
	with((struct lead_opt){.reap_per_minute = 12}); /* 5 s */
	used("/a");
	used("/b");
	tick_ms(CHECK_MS);
	assert_false(lives("/a"));
	used("/c"); /* belongs to the next round */
	for (unsigned ms = CHECK_MS; ms < CHECK_MS + 5000; ms += 100)
		tick_ms(ms);
	assert_true(lives("/b"));
	tick_ms(CHECK_MS + 5000);
	assert_false(lives("/b"));
	assert_true(lives("/c"));
	tick_ms(CHECK_MS + 10000); /* the end of the round */
	assert_true(leader_next_ns(d->l) <= d->now_ns);
	tick_ms(CHECK_MS + 10000);
	assert_false(lives("/c"));
	tick_ms(CHECK_MS + 15000);
	tick_ms(CHECK_MS + 15000);
	assert_true(leader_next_ns(d->l) > d->now_ns);
	done();
}

/* No tick looks at more than a few, and each is looked at once per round. */
static void many_are_walked_in_steps(void **state)
{
	char path[32];
	unsigned ticks = 0;

	(void)state;
	with((struct lead_opt){0});
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(path, sizeof(path), "/c%u", i);
		container(path);
	}
	used("/last");
	tick_ms(CHECK_MS);
	for (; lives("/last") && ticks < 100; ticks++) {
		assert_true(leader_next_ns(d->l) <= d->now_ns); /* it wants to go on */
		tick_ms(CHECK_MS);
	}
	assert_in_range(ticks, 10, 20);
	assert_int_equal(stats().reaped, 1);
	assert_true(lives("/c0") && lives("/c999"));
	done();
}

/* A node that is deleted while the round stands on it, and one that comes, do no harm. */
static void set_changes_in_a_round(void **state)
{
	(void)state;
	with((struct lead_opt){.reap_per_minute = 60}); /* 1 s */
	used("/a");
	used("/b");
	used("/c");
	tick_ms(CHECK_MS);
	assert_false(lives("/a"));
	gone("/b"); /* next in line */
	used("/d");
	tick_ms(CHECK_MS + 1000);
	assert_false(lives("/c"));
	assert_true(lives("/d"));
	assert_int_equal(stats().reaped, 2);
	done();
}

/* ---- full queues ------------------------------------------------------------------------- */

static void pending_table_is_full(void **state)
{
	(void)state;
	with((struct lead_opt){.pending_max = 4});
	used("/a");
	d->late = true;
	for (unsigned i = 0; i < 4; i++) {
		char path[16];

		snprintf(path, sizeof(path), "/p%u", i);
		plain(path);
	}
	uint64_t z = d->logged;

	tick_ms(CHECK_MS);
	assert_int_equal(d->logged, z);
	assert_int_equal(stats().reap_waits, 1);
	assert_true(leader_next_ns(d->l) > d->now_ns); /* no busy loop */
	assert_true(leader_next_ns(d->l) <= d->now_ns + MS);
	lead_durable(d, d->logged, ~0u);
	tick_ms(CHECK_MS + 1);
	assert_int_equal(d->logged, z + 1);
	lead_durable(d, d->logged, ~0u);
	assert_false(lives("/a"));
	done();
}

/* Kept by the leader while the log stage is full; nothing more is prepared meanwhile. */
static void log_stage_is_full(void **state)
{
	(void)state;
	with((struct lead_opt){0});
	used("/a");
	used("/b");
	d->log_room = 0;
	tick_ms(CHECK_MS);
	tick_ms(CHECK_MS + 100);
	assert_int_equal(stats().reaped, 1);
	assert_true(lives("/a"));
	assert_true(stats().reap_waits > 0);
	d->log_room = ~0u;
	tick_ms(CHECK_MS + 101);
	assert_false(lives("/a"));
	tick_ms(CHECK_MS + 107);
	assert_false(lives("/b"));
	assert_int_equal(stats().reaped, 2);
	done();
}

/* A child that comes while the candidate waits for room saves it, without a transaction. */
static void change_log_is_full(void **state)
{
	uint64_t z;

	(void)state;
	with((struct lead_opt){.changes_soft_max = 8});
	used("/a");
	used("/b");
	d->late = true;
	for (unsigned i = 0; i < 6; i++) {
		char path[16];

		snprintf(path, sizeof(path), "/p%u", i);
		plain(path);
	}
	plain("/a/x");
	z = d->logged;
	/* applied, but the reader has not read the records */
	assert_int_equal(leader_durable(d->l, z, 100, d->now_ns), 7);
	assert_true(tree_changes_full(d->tree));
	d->now_ns = (START_MS + CHECK_MS) * MS;
	leader_tick(d->l, d->now_ns, d->wall_ms);
	assert_int_equal(d->logged, z);
	assert_int_equal(stats().reap_waits, 1);
	lead_read(d);
	tick_ms(CHECK_MS + 1);
	assert_int_equal(d->logged, z + 1);
	txn_is(d->log_n - 1, 20, "00000002 2f62");
	done();
}

/* The reaper needs no ring to a core: a full one holds back only its own core's replies. */
static void reply_ring_is_full(void **state)
{
	(void)state;
	with((struct lead_opt){.ring_bytes = 4096, .jute_maxbuffer = 1024});
	used("/a");
	d->late = true;
	tick_ms(CHECK_MS);
	for (int32_t i = 0; i < 100; i++)
		if (lead_send(d, 0, 0, s, i, ZK_OP_SET_DATA, req_set("/", "y", -1)) != ZK_EOK)
			break;
	(void)leader_durable(d->l, d->logged, ~0u, d->now_ns);
	assert_true(leader_applied_zxid(d->l) < d->logged);
	assert_false(lives("/a"));
	for (unsigned i = 0; i < 100; i++)
		lead_durable(d, d->logged, ~0u);
	assert_int_equal(leader_applied_zxid(d->l), d->logged);
	done();
}

/* ---- watches ----------------------------------------------------------------------------- */

static void change_log_tells_of_it(void **state)
{
	struct tree_change c;
	struct tree_ref parent;
	struct tree_raw raw;

	(void)state;
	with((struct lead_opt){0});
	plain("/p");
	used("/p/c");
	lead_read(d);
	d->late = true;
	tick_ms(CHECK_MS);
	assert_int_equal(leader_durable(d->l, d->logged, 10, d->now_ns), 1);
	assert_true(tree_change_next(d->reader, &c));
	assert_int_equal(c.kind, TREE_CHANGE_DELETED);
	assert_int_equal(c.zxid, d->logged);
	assert_true(zk_span_eq(tree_path(c.node), zk_span_str("/p/c")));
	assert_non_null(c.acl);
	assert_non_null(c.parent_acl);
	assert_true(tree_change_next(d->reader, &c));
	assert_int_equal(c.kind, TREE_CHANGE_END);
	tree_reader_advance(d->reader, c.zxid);
	assert_false(tree_change_next(d->reader, &c));
	assert_true(tree_find_newest(d->tree, zk_span_str("/p"), &parent));
	tree_raw(parent, &raw);
	assert_int_equal(raw.pzxid, d->logged);
	assert_int_equal(raw.children, 0);
	done();
}

/* A client has no such request (its core refuses it; were it to come here, -6). */
static void not_for_clients(void **state)
{
	(void)state;
	with((struct lead_opt){0});
	container("/c");
	assert_int_equal(lead_err(d, s, ZK_OP_DELETE_CONTAINER, req_path("/c")), ZK_UNIMPLEMENTED);
	assert_true(lives("/c"));
	done();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(used_container_goes_never_used_stays),
		cmocka_unit_test(never_used_interval),
		cmocka_unit_test(ttl_counts_from_mtime),
		cmocka_unit_test(recovered_nodes),
		cmocka_unit_test(child_is_pending),
		cmocka_unit_test(delete_is_pending),
		cmocka_unit_test(session_owns_it_now),
		cmocka_unit_test(writes_behind_it),
		cmocka_unit_test(defaults),
		cmocka_unit_test(slow_round),
		cmocka_unit_test(many_are_walked_in_steps),
		cmocka_unit_test(set_changes_in_a_round),
		cmocka_unit_test(pending_table_is_full),
		cmocka_unit_test(log_stage_is_full),
		cmocka_unit_test(change_log_is_full),
		cmocka_unit_test(reply_ring_is_full),
		cmocka_unit_test(change_log_tells_of_it),
		cmocka_unit_test(not_for_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
