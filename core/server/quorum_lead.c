/* SPDX-License-Identifier: Apache-2.0 */
/* What the leader core's machine calls. It may be in the middle of something, so only what its own
 * call causes is carried out here; that can change no role. */
#include "core/server/quorum_int.h"

static uint64_t next_zxid(void *ctx)
{
	const struct quorum *q = ctx;

	return q->started && !quorum_halted(q) ? zab_next_zxid(&q->z) : 0;
}

static void count_proposal(struct quorum *q, uint64_t bytes)
{
	q->proposals++;
	q->proposal_last = bytes;
	quorum_measure(q, QUORUM_METRIC_PROPOSAL_BYTES, bytes);
}

static bool propose(void *ctx, uint64_t zxid, struct zk_span txn)
{
	struct quorum *q = ctx;
	enum zk_err err;

	if (q->draining || quorum_halted(q))
		return false;
	err = zab_propose(&q->z, zxid, txn, q->now_ns);
	zk_assert(err != ZK_ETOOBIG); /* the history is sized for what prep may make */
	if (err != ZK_EOK)
		return false;
	quorum_drain(q);
	count_proposal(q, txn.n);
	return true;
}

bool quorum_observes(const struct quorum *q)
{
	return q->z.role == ZAB_OBSERVING && q->z.phase == ZAB_PHASE_FOLLOWING;
}

uint64_t quorum_limit(const struct quorum *q)
{
	uint64_t durable, committed;

	if (!q->started)
		return 0;
	if (quorum_observes(q))
		return zab_committed(&q->z);
	durable = q->bind.durable(q->bind.log.ctx);
	committed = zab_committed(&q->z);
	return durable < committed ? durable : committed;
}

static bool committed(void *ctx, uint64_t after, uint64_t *zxid, struct zk_span *txn)
{
	const struct quorum *q = ctx;
	const struct history_entry *e;

	if (!q->started || quorum_halted(q))
		return false;
	e = history_after(&q->z.history, after);
	if (!e || e->zxid > quorum_limit(q))
		return false;
	*zxid = e->zxid;
	*txn = history_bytes(&q->z.history, e);
	return true;
}

static enum zk_err forward(void *ctx, const struct zab_packet *p)
{
	struct quorum *q = ctx;
	enum zk_err err;

	if (q->draining)
		return ZK_EAGAIN;
	if (!q->started || quorum_halted(q))
		return ZK_ECLOSED;
	err = zab_forward(&q->z, p);
	if (err == ZK_EOK)
		quorum_drain(q);
	return err;
}

static enum zk_err reply(void *ctx, uint32_t link, uint32_t generation, int32_t type, uint64_t zxid,
			 struct zk_span data)
{
	struct quorum *q = ctx;

	if (link >= ZAB_LINKS_MAX || !q->link[link] || q->generation[link] != generation)
		return ZK_ECLOSED;
	return zab_reply(&q->z, link, type, zxid, data);
}

static uint64_t confirm(void *ctx)
{
	return zab_confirm(&((struct quorum *)ctx)->z);
}

static uint64_t confirmed(void *ctx)
{
	return zab_confirmed(&((struct quorum *)ctx)->z);
}

struct leader_quorum quorum_for_leader(struct quorum *q)
{
	return (struct leader_quorum){.ctx = q,
				      .next_zxid = next_zxid,
				      .propose = propose,
				      .committed = committed,
				      .forward = forward,
				      .reply = reply,
				      .confirm = confirm,
				      .confirmed = confirmed};
}
