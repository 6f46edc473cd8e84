/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/leader_snap.h"

#include "core/base/hash.h"
#include "core/server/leader_int.h"

enum {
	SESSIONS_STEP = 256,
	SNAP_COUNT_DEFAULT = 100000,
	SNAP_COUNT_MIN = 2,
	RECORD_FIXED_BYTES = 8 + 4 + 1 /* checksum, length, end of a log record */
};

/* ---- the desk -------------------------------------------------------------------------------- */

void snap_desk_init(struct snap_desk *d, struct snap_session *session, uint32_t max)
{
	memset(d, 0, sizeof(*d));
	d->session = session;
	d->sessions_max = max;
}

void snap_desk_ask(struct snap_desk *d)
{
	atomic_store_explicit(&d->asked, true, memory_order_relaxed);
}

bool snap_desk_ready(const struct snap_desk *d)
{
	/* partner: release in hand_over() */
	return atomic_load_explicit(&d->state, memory_order_acquire) == SNAP_DESK_READY;
}

bool snap_desk_revoked(const struct snap_desk *d)
{
	/* partner: release in give_way(), which comes before whatever is unlinked or freed for it
	 */
	return atomic_load_explicit(&d->revoked, memory_order_acquire);
}

void snap_desk_done(struct snap_desk *d)
{
	/* partner: acquire in leader_snap_step() */
	atomic_store_explicit(&d->state, SNAP_DESK_DONE, memory_order_release);
}

/* ---- triggers -------------------------------------------------------------------------------- */

static uint64_t below(struct leader_snap *s, uint64_t n)
{
	s->rng += UINT64_C(0x9e3779b97f4a7c15);
	return n ? zk_mix64(s->rng) % n : 0;
}

/* SyncRequestProcessor.resetSnapshotStats() */
static void reset_counts(struct leader_snap *s)
{
	s->txns = s->bytes = 0;
	s->txns_over = s->count / 2 + below(s, s->count / 2);
	s->bytes_over = s->size_bytes / 2 + below(s, s->size_bytes / 2);
}

void leader_snap_init(struct leader *l)
{
	struct leader_snap *s = &l->snap;
	const struct leader_conf *c = &l->conf;

	*s = (struct leader_snap){.desk = c->snap_desk,
				  .hold = -1,
				  .rng = c->snap_seed,
				  .count = c->snap_count ? c->snap_count : SNAP_COUNT_DEFAULT,
				  .size_bytes = c->snap_size_bytes};
	if (s->count < SNAP_COUNT_MIN)
		s->count = SNAP_COUNT_MIN;
	zk_assert(!s->desk || s->desk->sessions_max >= c->sessions_max);
	reset_counts(s);
}

void leader_snap_logged(struct leader *l, uint64_t zxid, size_t bytes)
{
	struct leader_snap *s = &l->snap;

	s->txns++;
	s->bytes += bytes + RECORD_FIXED_BYTES;
	if (s->txns <= s->txns_over && (s->size_bytes == 0 || s->bytes <= s->bytes_over))
		return;
	reset_counts(s);
	if (!s->desk)
		return;
	if (l->conf.log.roll)
		l->conf.log.roll(l->conf.log.ctx);
	if (s->due_zxid || s->hold >= 0) {
		leader_inc(&s->desk->busy);
		return;
	}
	s->due_zxid = zxid;
}

/* ---- taking one ------------------------------------------------------------------------------ */

static bool begin(struct leader *l)
{
	struct leader_snap *s = &l->snap;
	struct snap_desk *d = s->desk;

	s->due_zxid = 0;
	/* relaxed: only the leader leaves FREE */
	if (atomic_load_explicit(&d->state, memory_order_relaxed) != SNAP_DESK_FREE) {
		leader_inc(&d->busy);
		return false;
	}
	s->waits_seen = l->prep.memory_waits;
	s->hold = tree_hold_take(l->conf.tree);
	if (s->hold < 0) {
		leader_inc(&d->busy);
		return false;
	}
	zk_assert(tree_hold_zxid(l->conf.tree, s->hold) == leader_applied_zxid(l));
	d->zxid = leader_applied_zxid(l);
	d->has_digest = tree_digest_kept(l->conf.tree);
	d->digest = d->has_digest ? tree_digest(l->conf.tree) : 0;
	leader_copy_begin(l, &s->copy, d->session, d->sessions_max);
	/* the writer does not look before READY */
	atomic_store_explicit(&d->revoked, false, memory_order_relaxed);
	atomic_store_explicit(&d->state, SNAP_DESK_TAKEN, memory_order_relaxed);
	return true;
}

void leader_snap_applied(struct leader *l, uint64_t zxid)
{
	if (l->snap.due_zxid && zxid >= l->snap.due_zxid)
		(void)begin(l);
}

static void hold_end(struct leader *l)
{
	struct leader_snap *s = &l->snap;
	struct snap_desk *d = s->desk;
	uint64_t grown = tree_hold_grown(l->conf.tree, s->hold);

	leader_set(&d->grown_bytes, grown);
	if (grown > leader_get(&d->grown_max_bytes))
		leader_set(&d->grown_max_bytes, grown);
	tree_hold_drop(l->conf.tree, s->hold);
	s->hold = -1;
}

/* Is memory short, or does a write wait already for what the hold keeps? */
static bool in_the_way(struct leader *l)
{
	struct leader_snap *s = &l->snap;
	uint64_t waits = l->prep.memory_waits;
	bool waiting = waits != s->waits_seen;

	s->waits_seen = waits;
	return tree_hold_strained(l->conf.tree, s->hold) ||
	       (waiting && tree_hold_grown(l->conf.tree, s->hold) > 0);
}

static void give_way(struct leader *l, enum snap_desk_state state)
{
	struct snap_desk *d = l->snap.desk;

	leader_inc(&d->revoked_count);
	/* partner: acquire in snap_desk_revoked(); the hold goes after it */
	atomic_store_explicit(&d->revoked, true, memory_order_release);
	hold_end(l);
	if (state == SNAP_DESK_TAKEN) {
		leader_copy_cancel(&l->snap.copy);
		atomic_store_explicit(&d->state, SNAP_DESK_FREE, memory_order_relaxed);
	}
}

unsigned leader_snap_step(struct leader *l, uint64_t now_ns, bool *kick)
{
	struct leader_snap *s = &l->snap;
	struct snap_desk *d = s->desk;
	enum snap_desk_state state;

	if (!d)
		return 0;
	zk_assert(now_ns >= l->now_ns);
	l->now_ns = now_ns;
	/* partner: release in snap_desk_done() */
	state = (enum snap_desk_state)atomic_load_explicit(&d->state, memory_order_acquire);
	if (s->hold >= 0 && state != SNAP_DESK_DONE && in_the_way(l)) {
		give_way(l, state);
		return 1;
	}
	switch (state) {
	case SNAP_DESK_FREE:
		if (!atomic_load_explicit(&d->asked, memory_order_relaxed))
			return 0;
		atomic_store_explicit(&d->asked, false, memory_order_relaxed);
		(void)begin(l);
		return 1;
	case SNAP_DESK_TAKEN:
		if (!leader_copy_step(l, &s->copy, SESSIONS_STEP))
			return 1;
		d->sessions = s->copy.n;
		leader_inc(&d->taken);
		/* partner: acquire in snap_desk_ready() */
		atomic_store_explicit(&d->state, SNAP_DESK_READY, memory_order_release);
		*kick = true;
		return 1;
	case SNAP_DESK_READY:
		return 0;
	case SNAP_DESK_DONE:
		if (s->hold >= 0)
			hold_end(l);
		atomic_store_explicit(&d->state, SNAP_DESK_FREE, memory_order_relaxed);
		return 1;
	}
	return 0;
}

bool leader_snap_urgent(const struct leader *l)
{
	const struct snap_desk *d = l->snap.desk;

	if (!d)
		return false;
	switch (atomic_load_explicit(&d->state, memory_order_relaxed)) {
	case SNAP_DESK_FREE:
		return atomic_load_explicit(&d->asked, memory_order_relaxed);
	case SNAP_DESK_READY:
		return false;
	default:
		return true;
	}
}
