/* SPDX-License-Identifier: Apache-2.0 */
/* How a learner is brought up to date (spec/quorum-protocol.md section 4;
 * LearnerHandler.syncFollower()). */
#include "core/zab/zab_int.h"

/* Everything up to @p zxid is there: go on from the history if it reaches back so far, from files
 * otherwise. */
static void go_on(struct zab *z, uint32_t link, uint64_t zxid)
{
	struct zab_link *l = &z->link[link];
	struct zab_effect *e;

	l->proposed = l->committed = zxid;
	l->heard_ns = z->now_ns; /* it was silent as agreed */
	if (history_covers(&z->history, zxid)) {
		l->state = ZAB_LINK_SYNC;
		return;
	}
	l->state = ZAB_LINK_SYNC_FILE;
	e = zab_emit(z, ZAB_DO_FILE_SEND);
	e->link = link;
	e->zxid = zxid;
	e->bound = z->history.committed;
	z->count.file_syncs++;
}

static void open_with(struct zab *z, uint32_t link, int32_t type, uint64_t zxid)
{
	z->link[link].opened = true;
	zab_send(z, link, type, zxid, (struct zk_span){NULL, 0});
	if (type == ZAB_DIFF)
		z->count.diffs++;
	else
		z->count.truncs++;
}

static void open_with_snap(struct zab *z, uint32_t link)
{
	struct zab_link *l = &z->link[link];

	l->opened = true;
	l->state = ZAB_LINK_SYNC_SNAP;
	zab_emit(z, ZAB_DO_SNAP_SEND)->link = link;
	z->count.snaps++;
}

/* The learner ends between @p before and the transaction @p next. */
static bool open_between(struct zab *z, uint32_t link, uint64_t before, uint64_t next)
{
	struct zab_link *l = &z->link[link];

	if (zab_is_epoch_start(l->peer_zxid)) { /* nothing of its own after what we have */
		open_with(z, link, ZAB_DIFF, z->history.committed);
		l->proposed = l->peer_zxid;
		return true;
	}
	if (!before || zab_epoch_of(next) != zab_epoch_of(l->peer_zxid))
		return false; /* a cut must not go back over the start of an epoch */
	open_with(z, link, ZAB_TRUNC, before);
	l->proposed = before;
	return true;
}

void zab_sync_begin(struct zab *z, uint32_t link)
{
	struct zab_link *l = &z->link[link];
	uint64_t peer = l->peer_zxid, max = z->history.committed, before = z->history.base;
	const struct history_entry *at = history_floor(&z->history, peer);
	const struct history_entry *next = history_after(&z->history, peer);

	l->opened = false;
	l->passed = 0;
	if (at)
		before = at->zxid;
	if (peer == max) {
		open_with(z, link, ZAB_DIFF, peer);
		go_on(z, link, peer);
	} else if (peer > max && !zab_is_epoch_start(peer)) {
		open_with(z, link, ZAB_TRUNC, max);
		go_on(z, link, max);
	} else if (!history_covers(&z->history, peer)) {
		go_on(z, link, peer); /* the first transaction of the files says how to open */
	} else if (before == peer) {
		open_with(z, link, ZAB_DIFF, max);
		go_on(z, link, peer);
	} else if (next && next->zxid <= max && open_between(z, link, before, next->zxid)) {
		go_on(z, link, l->proposed);
	} else {
		open_with_snap(z, link);
	}
}

bool zab_file_txn(struct zab *z, uint32_t link, uint64_t zxid, struct zk_span txn, uint64_t now_ns)
{
	struct zab_link *l = &z->link[link];

	zk_assert(z->effect_head == z->effect_tail);
	z->now_ns = now_ns;
	z->small_n = 0;
	if (l->state != ZAB_LINK_SYNC_FILE)
		return true; /* closed, or given up: whatever still comes */
	if (!l->opened) {
		if (zxid < l->peer_zxid) {
			l->passed = zxid;
			return true;
		}
		if (zxid == l->peer_zxid)
			open_with(z, link, ZAB_DIFF, z->history.committed);
		else if (!open_between(z, link, l->passed, zxid)) {
			open_with_snap(z, link);
			return true;
		}
	}
	if (zxid <= l->proposed)
		return true;
	if (!l->room)
		return false;
	zab_send(z, link, ZAB_PROPOSAL, zxid, txn);
	zab_send(z, link, ZAB_COMMIT, zxid, (struct zk_span){NULL, 0});
	l->proposed = l->committed = zxid;
	l->heard_ns = now_ns; /* it has taken what was there */
	return true;
}

void zab_file_end(struct zab *z, uint32_t link, bool ok, uint64_t now_ns)
{
	struct zab_link *l = &z->link[link];

	zk_assert(z->effect_head == z->effect_tail);
	z->now_ns = now_ns;
	z->small_n = 0;
	if (l->state != ZAB_LINK_SYNC_FILE)
		return;
	if (!l->opened) {
		open_with_snap(z, link);
	} else if (!ok) { /* half of it is sent: it must begin again */
		zab_close_link(z, link);
		zab_lead_link_gone(z, link);
	} else {
		go_on(z, link, l->proposed);
	}
	zab_lead_flush(z);
}

void zab_snap_sent(struct zab *z, uint32_t link, uint64_t zxid, uint64_t now_ns)
{
	zk_assert(z->effect_head == z->effect_tail);
	z->now_ns = now_ns;
	z->small_n = 0;
	if (z->link[link].state != ZAB_LINK_SYNC_SNAP)
		return;
	go_on(z, link, zxid);
	zab_lead_flush(z);
}
