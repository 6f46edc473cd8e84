/* SPDX-License-Identifier: Apache-2.0 */
/* What the leader sends from its history: every link goes at its own pace, from where it has got
 * to.
 */
#include "core/zab/zab_int.h"

static const struct zk_span null_data = {NULL, 0};

/* The transactions that were committed when the learner came, each with its commit, then NEWLEADER.
 * @return false: nothing more to do now. */
static bool send_committed(struct zab *z, uint32_t link)
{
	struct zab_link *l = &z->link[link];
	const struct history_entry *e;

	if (!history_covers(&z->history, l->proposed)) {
		/* Left behind: from the files again, where everything committed is. */
		struct zab_effect *f = zab_emit(z, ZAB_DO_FILE_SEND);

		f->link = link;
		f->zxid = l->proposed;
		f->bound = z->history.committed;
		l->state = ZAB_LINK_SYNC_FILE;
		z->count.file_syncs++;
		return false;
	}
	e = history_after(&z->history, l->proposed);
	if (e && e->zxid <= z->history.committed) {
		zab_send(z, link, ZAB_PROPOSAL, e->zxid, history_bytes(&z->history, e));
		zab_send(z, link, ZAB_COMMIT, e->zxid, null_data);
		l->proposed = l->committed = e->zxid;
		return true;
	}
	zab_send(z, link, ZAB_NEWLEADER, z->epoch << 32, zk_span_of(z->config, z->config_n));
	l->acked = l->committed; /* its ACK speaks for these */
	l->heard_ns = z->now_ns;
	l->state = ZAB_LINK_NEWLEADER;
	return true;
}

/* The next reply whose place among the commits has been reached, NULL: none. */
static const struct zab_reply *reply_due(const struct zab_link *l)
{
	const struct zab_reply *r;

	if (l->reply_head == l->reply_tail)
		return NULL;
	r = &l->reply[l->reply_head % ZAB_REPLIES_MAX];
	return l->committed < r->after_zxid ? NULL : r;
}

static bool send_reply(struct zab *z, uint32_t link)
{
	struct zab_link *l = &z->link[link];
	const struct zab_reply *r = reply_due(l);

	if (!r || r->confirm > z->confirmed)
		return false;
	zab_send(z, link, r->type, r->zxid, r->n ? zk_span_of(r->data, r->n) : null_data);
	l->reply_head++;
	return true;
}

/* May an observer be told now? A frame for every round of a loaded leader costs both sides, so it
 * is told in pieces, unless somebody there waits. A piece that has begun goes on. */
static bool informs(const struct zab *z, const struct zab_link *l)
{
	return l->informing || z->now_ns >= l->inform_ns || l->reply_head != l->reply_tail ||
	       z->now_ns - l->asked_ns < ZAB_ASKED_MS * zab_ms_ns;
}

static bool inform(struct zab *z, uint32_t link, const struct history_entry *e)
{
	struct zab_link *l = &z->link[link];

	if (!e) {
		l->informing = false;
		return false;
	}
	if (!informs(z, l)) {
		if (l->inform_ns < z->inform_ns)
			z->inform_ns = l->inform_ns;
		return false;
	}
	if (!l->informing)
		l->inform_ns = z->now_ns + z->conf.inform_us * zab_us_ns;
	l->informing = true;
	zab_send(z, link, ZAB_INFORM, e->zxid, history_bytes(&z->history, e));
	l->proposed = l->committed = l->acked = e->zxid;
	return true;
}

/* Broadcast. A follower gets PROPOSALs as they come and COMMITs as they are decided, an observer
 * INFORMs; none of these two passes a reply that waits to be confirmed. */
static bool send_new(struct zab *z, uint32_t link)
{
	struct zab_link *l = &z->link[link];
	const struct history_entry *e = history_after(&z->history, l->committed);
	bool decided = e && e->zxid <= z->history.committed && !reply_due(l);

	if (!history_covers(&z->history, l->committed)) {
		z->count.timeouts++; /* hopelessly slow: it comes again and is fed from files */
		zab_close_link(z, link);
		zab_lead_link_gone(z, link);
		return false;
	}
	if (l->observer)
		return inform(z, link, decided ? e : NULL);
	if (decided && e->zxid <= l->proposed) {
		zab_send(z, link, ZAB_COMMIT, e->zxid, null_data);
		l->committed = e->zxid;
		return true;
	}
	e = history_after(&z->history, l->proposed);
	if (!e)
		return false;
	zab_send(z, link, ZAB_PROPOSAL, e->zxid, history_bytes(&z->history, e));
	l->proposed = e->zxid;
	return true;
}

static bool send_one(struct zab *z, uint32_t link)
{
	struct zab_link *l = &z->link[link];

	if (l->state == ZAB_LINK_SYNC)
		return send_committed(z, link);
	if (l->state < ZAB_LINK_NEWLEADER)
		return false;
	if (l->state == ZAB_LINK_ACKED && z->phase == ZAB_PHASE_SERVING) {
		l->state = ZAB_LINK_ACTIVE;
		zab_send(z, link, ZAB_UPTODATE, UINT64_MAX, null_data);
		return true;
	}
	if (l->ping_due) {
		l->ping_due = false;
		z->confirm_sent = z->confirm_asked;
		zab_send(z, link, ZAB_PING,
			 z->confirm_asked ? ZAB_CONFIRM | z->confirm_asked
					  : history_last(&z->history),
			 null_data);
		return true;
	}
	return send_reply(z, link) || send_new(z, link);
}

void zab_lead_flush(struct zab *z)
{
	z->inform_ns = UINT64_MAX;
	for (uint64_t left = z->links; left && z->role == ZAB_LEADING; left &= left - 1) {
		uint32_t i = zab_link_first(left);

		while (z->link[i].room) {
			if (zab_effects_low(z)) {
				z->more = true;
				return;
			}
			if (!send_one(z, i))
				break;
		}
	}
}

enum zk_err zab_reply(struct zab *z, uint32_t link, int32_t type, uint64_t zxid,
		      struct zk_span data)
{
	struct zab_link *l = &z->link[link];
	struct zab_reply *r;

	if (z->role != ZAB_LEADING || l->state < ZAB_LINK_NEWLEADER)
		return ZK_ECLOSED;
	if (data.n > ZAB_REPLY_DATA)
		return ZK_ETOOBIG;
	if (!l->reply)
		l->reply = zk_mem_alloc(z->conf.mem, ZAB_REPLIES_MAX * sizeof(*l->reply));
	if (!l->reply || l->reply_tail - l->reply_head == ZAB_REPLIES_MAX)
		return ZK_EAGAIN;
	r = &l->reply[l->reply_tail++ % ZAB_REPLIES_MAX];
	*r = (struct zab_reply){.after_zxid = history_last(&z->history),
				.zxid = zxid,
				.confirm = type == ZAB_SYNC ? zab_confirm(z) : 0,
				.type = type,
				.n = (uint32_t)data.n};
	if (data.n)
		memcpy(r->data, data.p, data.n);
	z->more = true;
	return ZK_EOK;
}
