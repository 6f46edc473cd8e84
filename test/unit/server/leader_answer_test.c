/* SPDX-License-Identifier: Apache-2.0 */
/* What only the leader knows and clients ask for: getEphemerals, the sessions and owners of dump.
 */
#include "core/server/msg.h"
#include "test/lib/lead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void create(struct lead *d, uint32_t conn, uint64_t s, const char *path, int32_t flags)
{
	assert_int_equal(
		lead_send(d, 0, conn, s, 1, ZK_OP_CREATE, req_create(path, "x", NULL, flags)),
		ZK_EOK);
}

/** How many paths the one reply has; checks that each has the prefix. */
static int32_t listed(struct lead *d, uint64_t s, const char *prefix, const char *want)
{
	struct zk_span ask = req_path(prefix);
	const struct lead_out *o;
	struct jute_in in;
	int32_t n;
	bool null;

	lead_forget(d);
	assert_int_equal(lead_send(d, 0, 0, s, 7, ZK_OP_GET_EPHEMERALS, ask), ZK_EOK);
	assert_int_equal(d->out_n, 1);
	o = &d->out[0];
	assert_int_equal(o->xid, 7);
	assert_int_equal(o->err, ZK_EOK);
	in = jute_in_of(zk_span_of(o->body, o->body_n));
	n = jute_count(&in, &null);
	for (int32_t i = 0; i < n; i++) {
		struct zk_span path = jute_bytes(&in);

		assert_false(in.bad);
		assert_true(path.n >= strlen(want));
		assert_memory_equal(path.p, want, strlen(want));
	}
	assert_int_equal(jute_left(&in), 0);
	return n;
}

/* item 63: a prefix of strings, and only the session's own nodes */
static void ephemerals(void **state)
{
	struct lead *d = lead_open(&(struct lead_opt){0});
	uint64_t s = lead_session(d, 0, 0, 40000), other = lead_session(d, 0, 1, 40000);

	(void)state;
	assert_int_equal(listed(d, s, "/", ""), 0);
	create(d, 0, s, "/a", 0);
	create(d, 0, s, "/a/e", 1);
	create(d, 0, s, "/ab", 1);
	create(d, 0, s, "/b", 1);
	create(d, 1, other, "/a/o", 1);
	assert_int_equal(listed(d, s, "/a", "/a"), 2);
	assert_int_equal(listed(d, s, "/a/", "/a/"), 1);
	assert_int_equal(listed(d, s, "/", "/"), 3);
	assert_int_equal(listed(d, s, " / ", "/"), 3);
	assert_int_equal(listed(d, s, "", "/"), 3);
	assert_int_equal(listed(d, s, " \t", "/"), 3);
	assert_int_equal(listed(d, s, NULL, "/"), 3);
	assert_int_equal(listed(d, s, "/x", ""), 0);
	lead_close(d);
}

/* behind the session's own writes, though they are not durable when it is asked */
static void ephemerals_in_order(void **state)
{
	struct lead *d = lead_open(&(struct lead_opt){0});
	uint64_t s = lead_session(d, 0, 0, 40000);
	struct jute_in in;
	bool null;

	(void)state;
	lead_forget(d);
	d->late = true;
	create(d, 0, s, "/e", 1);
	assert_int_equal(lead_send(d, 0, 0, s, 2, ZK_OP_GET_EPHEMERALS, req_path("/")), ZK_EOK);
	lead_read(d);
	assert_int_equal(d->out_n, 0);
	lead_durable(d, d->logged, 100);
	assert_int_equal(d->out_n, 2);
	assert_int_equal(d->out[1].xid, 2);
	assert_true(d->out[1].zxid >= d->out[0].zxid);
	in = jute_in_of(zk_span_of(d->out[1].body, d->out[1].body_n));
	assert_int_equal(jute_count(&in, &null), 1);
	lead_close(d);
}

/* more than the ring's record: an error, not half a list */
static void ephemerals_too_many(void **state)
{
	struct lead *d = lead_open(&(struct lead_opt){.ring_bytes = 4096});
	uint64_t s = lead_session(d, 0, 0, 40000);
	char path[300];

	(void)state;
	memset(path, 'x', sizeof(path));
	for (unsigned i = 0; i < 10; i++) {
		(void)snprintf(path, sizeof(path), "/%0250u", i);
		create(d, 0, s, path, 1);
		lead_forget(d);
	}
	assert_int_equal(lead_send(d, 0, 0, s, 3, ZK_OP_GET_EPHEMERALS, req_path("/")), ZK_EOK);
	assert_int_equal(d->out_n, 1);
	assert_int_equal(d->out[0].err, ZK_SYSTEMERROR);
	assert_int_equal(d->out[0].body_n, 0);
	lead_close(d);
}

enum { SESSIONS = 1500 };

/* Sessions that no connection holds and more text than one turn sends. */
static void dump(void **state)
{
	struct lead *d = lead_open(&(struct lead_opt){.ring_bytes = 1 << 17});
	struct msg_gather ask = {.h = {.kind = MSG_GATHER_ASK, .core = 1, .conn = {4, 2}},
				 .what = GATHER_DUMP};
	unsigned records = 0, owners = 0, again = 0, ends = 0, asked = 0;
	uint64_t s[SESSIONS], count = 0;
	enum zk_err err;

	(void)state;
	for (uint32_t i = 0; i < SESSIONS; i++) {
		char path[300];

		s[i] = lead_session(d, 0, i, 40000);
		assert_int_equal(lead_detach(d, 0, i, s[i]), ZK_EOK);
		(void)snprintf(path, sizeof(path), "/%0200u", i);
		if (i % 2)
			create(d, i, s[i], path, 1);
		if (i == 1)
			create(d, i, s[i], "/second", 1);
		lead_forget(d);
	}
	do {
		lead_forget(d);
		err = leader_message(d->l, &ask, sizeof(ask), d->now_ns, 0);
		again += err == ZK_EAGAIN;
		lead_read(d);
		for (size_t i = 0; i < d->out_n; i++) {
			const struct msg_gather *g = (const void *)d->out[i].body;
			const uint8_t *p = (const uint8_t *)(g + 1);

			if (g->h.kind == MSG_GATHER) {
				asked++;
				continue;
			}
			assert_int_equal(g->h.kind, MSG_GATHER_TEXT);
			assert_int_equal(g->cores, LEAD_CORES + 1);
			assert_int_equal(g->part_core, LEAD_CORES);
			ends += g->last;
			for (size_t at = 0; g->section == GATHER_SESSIONS && at < g->text_bytes;) {
				size_t n = zk_get16(p + at + 8);

				assert_true(zk_get64(p + at) % 2000 == 0 && n > 4 && n < 20);
				at += 10 + n;
				records++;
			}
			for (size_t at = 0; g->section == GATHER_OWNERS && at < g->text_bytes; at++)
				owners += p[at] == ':';
			if (g->section == GATHER_OWNERS_N)
				count = zk_get64(p);
		}
	} while (err == ZK_EAGAIN && again < 1000);
	assert_int_equal(err, ZK_EOK);
	assert_int_equal(asked, LEAD_CORES);
	assert_int_equal(records, SESSIONS);
	assert_int_equal(owners, SESSIONS / 2);
	assert_int_equal(count, SESSIONS / 2);
	assert_int_equal(ends, 1);
	assert_true(again > 1);
	lead_close(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ephemerals),
		cmocka_unit_test(ephemerals_in_order),
		cmocka_unit_test(ephemerals_too_many),
		cmocka_unit_test(dump),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
