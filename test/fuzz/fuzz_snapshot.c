/* SPDX-License-Identifier: Apache-2.0 */
/* The snapshot reader on hostile bytes. The first byte chooses the size of the windows and whether
 * the seals are made right first, so that the parts behind them are reached too. What was read
 * whole is written again: the bytes must be the same. */
#include "core/base/assert.h"
#include "core/store/snap.h"
#include "core/store/sum.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { LENGTH_MAX = 1 << 12, TRIES = 6 };

struct copy {
	struct snap_writer w;
	struct jute_out out;
	uint32_t sessions, acls;
	bool acls_put, other; /* other: written in a form that the writer does not use */
};

static void put(struct copy *c, enum snap_step step, const struct snap_item *item)
{
	enum zk_err err = ZK_EOK;

	if (step != SNAP_SESSION && !c->acls_put) {
		err = snap_put_acls(&c->w, &c->out, c->acls);
		c->acls_put = true;
	}
	zk_assert(err == ZK_EOK);
	if (step == SNAP_SESSION)
		err = snap_put_session(&c->w, &c->out, item->session.id, item->session.timeout_ms);
	else if (step == SNAP_ACL)
		err = snap_put_acl(&c->w, &c->out, item->acl.key, item->acl.jute);
	else if (step == SNAP_NODE)
		err = snap_put_node(&c->w, &c->out, &item->node);
	else if (step == SNAP_SEALED)
		err = snap_put_seal(&c->w, &c->out);
	else if (step == SNAP_DIGEST)
		err = snap_put_digest(&c->w, &c->out, item->digest.zxid, item->digest.tree);
	else
		err = snap_put_last_zxid(&c->w, &c->out, item->last_zxid);
	zk_assert(err == ZK_EOK);
}

/* What the writer refuses to write, or writes otherwise. */
static bool odd(const struct copy *c, enum snap_step step, const struct snap_item *item)
{
	if (step == SNAP_NODE)
		return (item->node.path.n == 0) == (c->w.state == SNAP_AT_NODES);
	if (step == SNAP_SEALED)
		return c->w.state != SNAP_AT_NODES;
	return step == SNAP_DIGEST && item->digest.version != 2;
}

/* @return how it ended; *c NULL: only read. */
static enum snap_step run(const uint8_t *p, size_t n, size_t window, struct copy *c,
			  struct snap_item *item, uint64_t *counts)
{
	struct snap_reader r;
	size_t have = window;

	counts[0] = counts[1] = 0;
	snap_reader_init(&r, LENGTH_MAX);
	for (;;) {
		bool eof = r.at + have >= n;
		size_t some = eof ? n - (size_t)r.at : have;
		uint8_t *w = malloc(some ? some : 1);
		enum snap_step step;

		zk_assert(w && r.at <= n);
		memcpy(w, p + r.at, some);
		step = snap_next(&r, zk_span_of(w, some), eof, item);
		zk_assert(step != SNAP_MORE || !eof);
		counts[0] += step == SNAP_SESSION;
		counts[1] += step == SNAP_ACL;
		if (c && !c->other && step != SNAP_MORE && step != SNAP_END && step != SNAP_BAD) {
			c->other = odd(c, step, item);
			if (!c->other)
				put(c, step, item);
		}
		free(w);
		if (step == SNAP_MORE)
			have += window;
		else if (step == SNAP_END || step == SNAP_BAD)
			return step;
		else
			have = window;
	}
}

/* Make the seal that the reader stumbles over right. */
static void repair(uint8_t *p, size_t n)
{
	struct snap_item item;

	for (int i = 0; i < TRIES; i++) {
		struct snap_reader r;
		enum snap_step step;
		size_t seal;

		snap_reader_init(&r, LENGTH_MAX);
		do
			step = snap_next(&r, zk_span_of(p + r.at, n - (size_t)r.at), true, &item);
		while (step != SNAP_END && step != SNAP_BAD);
		if (step == SNAP_END || item.bad != STORE_BAD_SUM)
			return;
		seal = (size_t)item.at;
		if (r.state == SNAP_AT_LAST_ZXID || n - seal == 8 + SNAP_SEAL_BYTES)
			seal += 8;
		else if (r.state == SNAP_AT_DIGEST)
			seal += (int32_t)zk_get32(p + seal + 8) >= 2
					? 20
					: 16 + (size_t)zk_get32(p + seal + 12) * 1;
		if (seal > n - 8)
			return;
		zk_put64(p + seal, store_adler32(STORE_ADLER32_INIT, zk_span_of(p, seal)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint8_t *copy, *again;
	struct copy c = {0};
	struct snap_item a, b;
	uint64_t x[2], y[2];
	enum snap_step step;

	if (n == 0)
		return 0;
	copy = malloc(n);
	again = malloc(n + 64);
	zk_assert(copy && again);
	memcpy(copy, p + 1, n - 1);
	if (p[0] & 1)
		repair(copy, n - 1);
	step = run(copy, n - 1, n, NULL, &a, x);
	zk_assert(run(copy, n - 1, 1 + p[0] / 2U, NULL, &b, y) == step);
	zk_assert(a.at == b.at && x[0] == y[0] && x[1] == y[1]);
	if (step == SNAP_END && a.rest == 0) {
		c.sessions = (uint32_t)x[0];
		c.acls = (uint32_t)x[1];
		c.out = jute_out_of(again, n + 64);
		snap_writer_init(&c.w);
		zk_assert(snap_put_begin(&c.w, &c.out, c.sessions) == ZK_EOK);
		run(copy, n - 1, n, &c, &a, x);
		/* version and dbid of the header are not judged, and change the seals */
		if (!c.other && memcmp(copy, again, SNAP_HEADER_BYTES) == 0)
			zk_assert(zk_span_eq(zk_span_of(again, jute_out_len(&c.out)),
					     zk_span_of(copy, n - 1)));
	}
	free(again);
	free(copy);
	return 0;
}
