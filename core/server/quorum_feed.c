/* SPDX-License-Identifier: Apache-2.0 */
/* Learners fed from the log files: somebody reads ahead, zab takes what its link has room for. */
#include "core/server/quorum_int.h"

enum { TXNS_MAX = 32 /* of one link and round */ };

static uint64_t bit(uint32_t link)
{
	return UINT64_C(1) << link;
}

void quorum_feed_begin(struct quorum *q, const struct zab_effect *e)
{
	if (!q->link[e->link]) /* it has broken meanwhile, which zab will hear */
		return;
	quorum_feed_cancel(q, e->link);
	q->feeds |= bit(e->link);
	q->conf.disk.feed_begin(q->conf.disk.ctx, e->link, e->zxid, e->bound);
}

void quorum_feed_cancel(struct quorum *q, uint32_t link)
{
	if (!(q->feeds & bit(link)))
		return;
	q->feeds &= ~bit(link);
	q->feeds_dry &= ~bit(link);
	q->conf.disk.feed_cancel(q->conf.disk.ctx, link);
}

static void end(struct quorum *q, uint32_t link, bool ok)
{
	quorum_feed_cancel(q, link);
	zab_file_end(&q->z, link, ok, q->now_ns);
	quorum_settle(q);
}

/* One transaction. @return false: no more now. */
static bool feed_one(struct quorum *q, uint32_t link)
{
	const struct quorum_disk *d = &q->conf.disk;
	struct zk_span txn;
	uint64_t zxid;
	enum zk_err err = d->feed_next(d->ctx, link, &zxid, &txn);
	bool taken;

	if (err == ZK_EAGAIN) {
		q->feeds_dry |= bit(link);
		return false;
	}
	if (err != ZK_EOK) {
		end(q, link, err == ZK_ECLOSED);
		return false;
	}
	taken = zab_file_txn(&q->z, link, zxid, txn, q->now_ns);
	quorum_settle(q);
	if (!(q->feeds & bit(link)))
		return false;
	if (taken) {
		d->feed_pop(d->ctx, link);
		q->work++;
	} else {
		q->feeds_dry |= bit(link);
	}
	if (q->z.link[link].state != ZAB_LINK_SYNC_FILE) { /* it gets the tree instead */
		quorum_feed_cancel(q, link);
		return false;
	}
	return taken;
}

void quorum_feed_step(struct quorum *q)
{
	q->feeds_dry = 0;
	for (uint64_t left = q->feeds; left; left &= left - 1) {
		uint32_t link = (uint32_t)__builtin_ctzll(left);

		for (unsigned n = 0; n < TXNS_MAX && !quorum_halted(q); n++)
			if (!(q->feeds & bit(link)) || !feed_one(q, link))
				break;
	}
}
