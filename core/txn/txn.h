/* SPDX-License-Identifier: Apache-2.0 */
/** Transaction bytes: the header (spec/disk-format.md sections 2 and 3). The type numbers are
 * enum zk_op. */
#ifndef ZK_TXN_TXN_H
#define ZK_TXN_TXN_H

#include "core/jute/proto.h"

enum { TXN_HEADER_BYTES = 32, TXN_TYPE_AT = 28 };

struct txn_header {
	uint64_t client; /* session id */
	int32_t cxid;
	uint64_t zxid;
	int64_t time_ms;
	int32_t type;
};

static inline void txn_put_header(struct jute_out *out, const struct txn_header *h)
{
	uint8_t *p = jute_room(out, TXN_HEADER_BYTES);

	if (!p)
		return;
	zk_put64(p, h->client);
	zk_put32(p + 8, (uint32_t)h->cxid);
	zk_put64(p + 12, h->zxid);
	zk_put64(p + 20, (uint64_t)h->time_ms);
	zk_put32(p + TXN_TYPE_AT, (uint32_t)h->type);
}

static inline void txn_get_header(struct jute_in *in, struct txn_header *h)
{
	const uint8_t *p = jute_take(in, TXN_HEADER_BYTES);

	if (!p) {
		*h = (struct txn_header){0};
		return;
	}
	h->client = zk_get64(p);
	h->cxid = (int32_t)zk_get32(p + 8);
	h->zxid = zk_get64(p + 12);
	h->time_ms = (int64_t)zk_get64(p + 20);
	h->type = (int32_t)zk_get32(p + TXN_TYPE_AT);
}

#endif
