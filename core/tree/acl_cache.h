/* SPDX-License-Identifier: Apache-2.0 */
/** The table of interned ACL lists (ReferenceCountedACLCache.java). Apply core only; readers use
 * the lists through versions, which hold a reference until nobody sees them. */
#ifndef ZK_TREE_ACL_CACHE_H
#define ZK_TREE_ACL_CACHE_H

#include "core/base/err.h"
#include "core/base/hash.h"
#include "core/mem.h"
#include "core/tree/acl.h"

struct acl_cached;

struct acl_cache {
	struct zk_mem *mem;
	struct zk_hash_key key;
	struct acl_cached **buckets;
	uint64_t n_buckets; /* power of two */
	uint64_t n;
	int64_t next_id;
	const struct acl_list *open; /* world:anyone ALL, id -1 */
};

ZK_MUST_USE enum zk_err acl_cache_init(struct acl_cache *c, struct zk_mem *mem,
				       struct zk_hash_key key);
/** All references must have been dropped. */
void acl_cache_fini(struct acl_cache *c);

/** The list of the encoded vector @p jute (well formed: anything else stops the process; empty or
 * null: world:anyone ALL), with one more reference. @p jute is copied. NULL: no memory.
 * Bound: its length. */
const struct acl_list *acl_intern(struct acl_cache *c, struct zk_span jute);

/** How many references there are. */
uint64_t acl_refs(const struct acl_list *l);

void acl_ref(const struct acl_list *l);
/** Drop a reference; the last one frees the list. */
void acl_unref(struct acl_cache *c, const struct acl_list *l);

#endif
