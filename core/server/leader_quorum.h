/* SPDX-License-Identifier: Apache-2.0 */
/** Where the leader core's machine and the quorum meet (both on the leader core; nothing here is
 *  atomic). The machine calls struct leader_quorum, the quorum calls the functions below. */
#ifndef ZK_SERVER_LEADER_QUORUM_H
#define ZK_SERVER_LEADER_QUORUM_H

#include "core/server/role.h"
#include "core/zab/packet.h"

struct leader;

struct leader_quorum {
	void *ctx;
	/** Leading: the zxid of the next transaction; 0: none may be proposed now. */
	uint64_t (*next_zxid)(void *ctx);
	/** Leading: propose it; @p txn stays where it is until it is applied. @return false: no
	 * room now. */
	bool (*propose)(void *ctx, uint64_t zxid, struct zk_span txn);
	/** The first transaction above @p after that may be applied: committed, and durable here.
	 *  Who looks ahead asks on from what this gave, and later again from what is applied.
	 *  Valid until the next call of anything else of the quorum. @return false: none. */
	bool (*committed)(void *ctx, uint64_t after, uint64_t *zxid, struct zk_span *txn);
	/** Learner: REQUEST or REVALIDATE to the leader; copied. @return ZK_EOK, ZK_EAGAIN,
	 * ZK_ECLOSED. */
	enum zk_err (*forward)(void *ctx, const struct zab_packet *p);
	/** Leading: SYNC or REVALIDATE to the learner on @p link, behind the commits of everything
	 * proposed so far and before any other, SYNC when a quorum has confirmed that it follows
	 * still; @p generation as in leader_remote(). @return
	 * ZK_EOK, ZK_EAGAIN, ZK_ECLOSED (link is gone).
	 */
	enum zk_err (*reply)(void *ctx, uint32_t link, uint32_t generation, int32_t type,
			     uint64_t zxid, struct zk_span data);
	/** Leading: zab_confirm(), and zab_confirmed(). */
	uint64_t (*confirm)(void *ctx);
	uint64_t (*confirmed)(void *ctx);
};

/** The role has changed. ROLE_LOOKING: nothing is taken or answered any more, what is committed is
 *  still applied. ROLE_LEADING: transactions count from @p epoch << 32.
 *
 *  @p zxid: the newest that was committed when the role began. Digests count behind it only:
 *  what brought this server up to date may lie over an Apache leader's snapshot, which is written
 *  while its tree changes (LearnerHandler.run(); all that changed meanwhile comes before
 *  NEWLEADER). The first digest behind it speaks for the whole tree. */
void leader_role_set(struct leader *l, enum srv_role role, uint64_t epoch, uint64_t zxid,
		     uint64_t now_ns);

/** Leading: a REQUEST of the learner on @p link (generation: of the connection, so that a later
 *  learner on the same link is another owner). The packet is borrowed. @return ZK_EOK; ZK_EAGAIN:
 *  nothing was done (no room, or a new leader has not applied all there was), offer it again;
 *  ZK_EINVAL: no request, close the link. */
enum zk_err leader_remote(struct leader *l, uint32_t link, uint32_t generation,
			  const struct zab_packet *p, uint64_t now_ns, int64_t wall_ms);
/** Leading: REVALIDATE of a learner: answers by quorum->reply. As leader_remote(). */
enum zk_err leader_remote_revalidate(struct leader *l, uint32_t link, uint32_t generation,
				     struct zk_span data, uint64_t now_ns);
/** Leading: a learner's answer to a PING: the sessions it has heard. ZK_EOK or ZK_EINVAL. */
enum zk_err leader_remote_touch(struct leader *l, struct zk_span data, uint64_t now_ns);

/** Learner: a client here waits for something of the leader. */
bool leader_asks(const struct leader *l);
/** Learner: SYNC has come: the oldest sync that waits is answered behind everything committed by
 *  now (@p committed_zxid). */
void leader_on_sync(struct leader *l, uint64_t committed_zxid, uint64_t now_ns);
/** Learner: the answer to a REVALIDATE. ZK_EOK or ZK_EINVAL (not one). */
enum zk_err leader_on_revalidated(struct leader *l, struct zk_span data, uint64_t now_ns);
/** Learner: the sessions heard since the last call, {long, int} each, as many as fit into @p out;
 *  the rest comes next time. */
void leader_touched(struct leader *l, struct jute_out *out);

#endif
