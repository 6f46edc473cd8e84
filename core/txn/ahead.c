/* SPDX-License-Identifier: Apache-2.0 */
#include "core/txn/ahead.h"

#include "core/base/assert.h"
#include "core/jute/jute.h"
#include "core/jute/proto.h"
#include "core/txn/txn.h"

/* The path that the body begins with; empty: none that is worth it (a multi, a session). */
static struct zk_span first_path(struct zk_span txn)
{
	const uint8_t *p = txn.p;
	uint32_t n;

	if (txn.n < TXN_HEADER_BYTES + 4)
		return zk_span_of(NULL, 0);
	switch ((int32_t)zk_get32(p + TXN_TYPE_AT)) {
	case ZK_OP_CREATE:
	case ZK_OP_CREATE2:
	case ZK_OP_CREATE_CONTAINER:
	case ZK_OP_CREATE_TTL:
	case ZK_OP_DELETE:
	case ZK_OP_DELETE_CONTAINER:
	case ZK_OP_SET_DATA:
	case ZK_OP_SET_ACL:
		break;
	default:
		return zk_span_of(NULL, 0);
	}
	n = zk_get32(p + TXN_HEADER_BYTES);
	if (n > txn.n - TXN_HEADER_BYTES - 4)
		return zk_span_of(NULL, 0);
	return zk_span_of(p + TXN_HEADER_BYTES + 4, n);
}

void txn_ahead(const struct tree *t, const struct zk_span *txn, unsigned n)
{
	uint64_t hash[TXN_AHEAD];
	unsigned k = 0;

	zk_assert(n <= TXN_AHEAD);
	for (unsigned i = 0; i < n; i++) {
		struct zk_span path = first_path(txn[i]);

		if (path.n == 0)
			continue;
		hash[k] = tree_hash(t, path);
		tree_prefetch(t, hash[k++]);
	}
	for (unsigned i = 0; i < k; i++)
		tree_prefetch_node(t, hash[i]);
	for (unsigned i = 0; i < k; i++)
		tree_prefetch_version(t, hash[i]);
}
