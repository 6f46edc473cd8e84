/* SPDX-License-Identifier: Apache-2.0 */
/* The state is replaced: the main thread does it, with the pollers stopped, while the connections
 * live on. zab hears nothing meanwhile but what the election asks. */
#include "core/server/quorum_int.h"

void quorum_rebuild_ask(struct quorum *q, enum quorum_rebuild_kind kind, uint64_t zxid)
{
	zk_assert(!quorum_halted(q));
	q->rebuild_zxid = zxid;
	q->leader_lost = false;
	/* partner: acquire in quorum_rebuild_wanted() */
	atomic_store_explicit(&q->rebuild, (uint32_t)kind, memory_order_release);
}

bool quorum_rebuild_wanted(const struct quorum *q)
{
	/* partner: release in quorum_rebuild_ask() */
	return atomic_load_explicit(&q->rebuild, memory_order_acquire) != QUORUM_REBUILD_NONE;
}

void quorum_rebuild_get(const struct quorum *q, struct quorum_rebuild *out)
{
	out->kind =
		(enum quorum_rebuild_kind)atomic_load_explicit(&q->rebuild, memory_order_acquire);
	out->zxid = q->rebuild_zxid;
}

enum zk_err quorum_rebuild_peek(struct quorum *q, struct zk_span *window)
{
	const struct quorum_conn *c = q->link[ZAB_LINK_LEADER];

	*window = (struct zk_span){NULL, 0};
	if (q->leader_lost || !c)
		return ZK_ECLOSED;
	zk_assert(!c->in.n); /* the packet before was whole, and nothing was read behind it */
	*window = q->conf.net.io->peek(c->transport, 0);
	return ZK_EOK;
}

void quorum_rebuild_take(struct quorum *q, size_t n)
{
	const struct quorum_conn *c = q->link[ZAB_LINK_LEADER];

	if (c)
		q->conf.net.io->read_done(c->transport, n);
}

void quorum_rebuilt(struct quorum *q, uint64_t zxid, bool ok, uint64_t now_ns)
{
	uint32_t kind = atomic_load_explicit(&q->rebuild, memory_order_relaxed);

	zk_assert(kind != QUORUM_REBUILD_NONE && tree_last_zxid(q->bind.tree) == zxid);
	if (now_ns > q->now_ns)
		q->now_ns = now_ns;
	/* relaxed: the pollers stand still */
	atomic_store_explicit(&q->rebuild, QUORUM_REBUILD_NONE, memory_order_relaxed);
	q->logged = zxid;
	q->log_behind = false;
	if (kind == QUORUM_REBUILD_SNAP && ok)
		zab_snap_loaded(&q->z, zxid, q->now_ns);
	else
		zab_truncated(&q->z, zxid, ok, q->now_ns);
	quorum_settle(q);
	if (q->leader_lost && q->z.link[ZAB_LINK_LEADER].state != ZAB_LINK_NONE) {
		zab_link_down(&q->z, ZAB_LINK_LEADER, q->now_ns);
		quorum_settle(q);
	}
	q->leader_lost = false;
	if (q->link[ZAB_LINK_LEADER]) /* what has come behind the tree */
		quorum_conn_again(q, q->link[ZAB_LINK_LEADER], true);
}
