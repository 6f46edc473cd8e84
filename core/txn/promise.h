/* SPDX-License-Identifier: Apache-2.0 */
/** What prepared but not yet applied transactions will charge to quotas, so that a hard limit holds
 * for pipelined writes and within a multi too. (ZooKeeperServer.checkQuota() looks at the applied
 * usage only, so there those can overshoot.) Prep's thread; nothing of it without enforceQuota. */
#ifndef ZK_TXN_PROMISE_H
#define ZK_TXN_PROMISE_H

#include "core/base/err.h"
#include "core/mem.h"
#include "core/tree/quota.h"

struct promise;

struct promises {
	struct tree *tree;
	struct zk_mem *mem;
	struct promise *ring;
	uint32_t size; /* power of two; 0: never used */
	uint64_t head, tail;
};

/** @p max: promises that may be out at once. @return ZK_EOK or ZK_ENOMEM. */
ZK_MUST_USE enum zk_err promises_init(struct promises *s, struct tree *tree, struct zk_mem *mem,
				      uint32_t max);
/** Settles what is out. The tree must still be there. */
void promises_fini(struct promises *s);

/** Is there room for @p n more? */
static inline bool promises_room(const struct promises *s, uint64_t n)
{
	return s->size == 0 || s->size - (s->tail - s->head) >= n;
}

/** Transaction @p zxid will change the usage that counts @p path. promises_room() was asked. */
void promises_make(struct promises *s, uint64_t zxid, struct zk_span path, int64_t count,
		   int64_t bytes);

/** Take back those made since s->tail was @p tail. */
void promises_drop(struct promises *s, uint64_t tail);

/** Transaction @p zxid has been applied. Bound: its promises. */
void promises_applied(struct promises *s, uint64_t zxid);

#endif
