/* SPDX-License-Identifier: Apache-2.0 */
/** Sessions and the ephemeral nodes each owns, newest state. Apply core only. */
#ifndef ZK_TREE_EPHEMERAL_H
#define ZK_TREE_EPHEMERAL_H

#include "core/base/err.h"
#include "core/base/list.h"
#include "core/tree/alloc.h"

#include <stdbool.h>
#include <stdint.h>

struct tree_session;

struct tree_sessions {
	struct zk_mem *mem;
	struct tree_alloc *alloc;
	struct tree_session **buckets;
	uint64_t n_buckets; /* power of two */
	uint64_t n;
};

ZK_MUST_USE enum zk_err tree_sessions_init(struct tree_sessions *s, struct zk_mem *mem,
					   struct tree_alloc *alloc);
/** Every node must have been taken out. */
void tree_sessions_fini(struct tree_sessions *s);

/** Link @p e into the list of @p session. @return false: no memory. */
ZK_MUST_USE bool tree_sessions_add(struct tree_sessions *s, uint64_t session, struct zk_list *e);
void tree_sessions_del(struct tree_sessions *s, uint64_t session, struct zk_list *e);

/** The @p n-th session of bucket @p bucket. @return false: it has not as many. Bound: the chain. */
bool tree_sessions_at(const struct tree_sessions *s, uint64_t bucket, uint64_t n,
		      uint64_t *session);

/** The list head of @p session, NULL when it owns nothing. */
struct zk_list *tree_sessions_find(const struct tree_sessions *s, uint64_t session);

#endif
