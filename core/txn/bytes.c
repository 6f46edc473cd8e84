/* SPDX-License-Identifier: Apache-2.0 */
#include "core/txn/bytes.h"

#include "core/base/assert.h"

enum zk_err txn_bytes_init(struct txn_bytes *q, struct zk_mem *mem, size_t size_bytes)
{
	zk_assert(size_bytes && (size_bytes & (size_bytes - 1)) == 0);
	uint8_t *buf = zk_mem_alloc(mem, size_bytes);

	if (!buf)
		return ZK_ENOMEM;
	*q = (struct txn_bytes){.buf = buf, .size = size_bytes, .mem = mem};
	return ZK_EOK;
}

void txn_bytes_fini(struct txn_bytes *q)
{
	zk_mem_free(q->mem, q->buf, (size_t)q->size);
	q->buf = NULL;
}

uint8_t *txn_bytes_reserve(struct txn_bytes *q, size_t n)
{
	zk_assert(n <= txn_bytes_record_max(q));
	if (q->put == q->get) /* empty: start over where the cache is warm */
		q->put = q->get = 0;
	uint64_t off = q->put & (q->size - 1);
	uint64_t start = off + n > q->size ? q->put + (q->size - off) : q->put;

	if (start + n - q->get > q->size)
		return NULL;
	q->start = start;
	return q->buf + (start & (q->size - 1));
}

uint64_t txn_bytes_commit(struct txn_bytes *q, size_t n)
{
	q->put = q->start + ((n + 7) & ~(uint64_t)7);
	zk_assert(q->put - q->get <= q->size);
	return q->put;
}

void txn_bytes_release(struct txn_bytes *q, uint64_t end)
{
	zk_assert(end >= q->get && end <= q->put);
	q->get = end;
}
