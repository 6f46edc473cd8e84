/* SPDX-License-Identifier: Apache-2.0 */
/** A byte queue: contiguous records written in place at one end and given back in order at the
 * other. Holds the transactions between prep and apply. One thread. */
#ifndef ZK_TXN_BYTES_H
#define ZK_TXN_BYTES_H

#include "core/base/err.h"
#include "core/mem.h"

struct txn_bytes {
	uint8_t *buf;
	uint64_t size; /* power of two */
	uint64_t put, get, start;
	struct zk_mem *mem;
};

/** @p size_bytes: power of two. @return ZK_EOK or ZK_ENOMEM. */
ZK_MUST_USE enum zk_err txn_bytes_init(struct txn_bytes *q, struct zk_mem *mem, size_t size_bytes);
void txn_bytes_fini(struct txn_bytes *q);

/** The largest reservation; it fits whenever the queue is empty. */
static inline size_t txn_bytes_record_max(const struct txn_bytes *q)
{
	return (size_t)(q->size / 2);
}

/** Room for @p n (<= txn_bytes_record_max()) contiguous bytes, or NULL when there is none now. The
 * last reservation wins; without a commit it never happened. Bound: constant. */
uint8_t *txn_bytes_reserve(struct txn_bytes *q, size_t n);

/** Keep the first @p n bytes of the reservation. @return the position behind it, for release. */
uint64_t txn_bytes_commit(struct txn_bytes *q, size_t n);

/** Give back everything before @p end, a value txn_bytes_commit() returned. */
void txn_bytes_release(struct txn_bytes *q, uint64_t end);

static inline size_t txn_bytes_used(const struct txn_bytes *q)
{
	return (size_t)(q->put - q->get);
}

#endif
