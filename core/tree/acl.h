/* SPDX-License-Identifier: Apache-2.0 */
/** Interned ACL lists. A node's version points at one; equal lists share one.
 *
 * A list is immutable. The apply core counts references and retires a list with the versions that
 * used it, so a reader may use the pointer as long as the version it came from.
 */
#ifndef ZK_TREE_ACL_H
#define ZK_TREE_ACL_H

#include "core/base/span.h"

struct acl_entry {
	int32_t perms;
	struct zk_span scheme, id;
};

struct acl_list {
	int64_t id;    /* key in a snapshot's ACL cache; -1 = world:anyone ALL */
	bool open_all; /* has a world:anyone entry with all five permissions: no check needed */
	uint32_t n;
	const struct acl_entry *v;
	struct zk_span jute; /* the vector as it goes on the wire, count included */
};

#endif
