/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/quorum_fake.h"

#include "core/base/assert.h"

#include <stdlib.h>
#include <string.h>

struct quorum_fake_txn {
	uint64_t zxid;
	uint8_t *p;
	size_t n;
};

static uint64_t next_zxid(void *ctx)
{
	const struct quorum_fake *f = ctx;

	return f->room ? f->last + 1 : 0;
}

static bool propose(void *ctx, uint64_t zxid, struct zk_span txn)
{
	struct quorum_fake *f = ctx;
	struct quorum_fake_txn *t;

	if (f->room == 0)
		return false;
	f->room--;
	zk_assert(zxid == f->last + 1);
	if (f->n == f->cap) {
		f->cap = f->cap ? 2 * f->cap : 64;
		f->txn = realloc(f->txn, f->cap * sizeof(*f->txn));
		zk_assert(f->txn);
	}
	t = &f->txn[f->n++];
	*t = (struct quorum_fake_txn){zxid, malloc(txn.n), txn.n};
	zk_assert(t->p);
	memcpy(t->p, txn.p, txn.n);
	f->last = zxid;
	return true;
}

static bool committed(void *ctx, uint64_t after, uint64_t *zxid, struct zk_span *txn)
{
	const struct quorum_fake *f = ctx;
	size_t low = 0, high = f->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (f->txn[mid].zxid <= after)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == f->n || f->txn[low].zxid > f->durable)
		return false;
	*zxid = f->txn[low].zxid;
	*txn = zk_span_of(f->txn[low].p, f->txn[low].n);
	return true;
}

static enum zk_err forward(void *ctx, const struct zab_packet *p)
{
	const struct quorum_fake *f = ctx;

	(void)p;
	return f->busy ? ZK_EAGAIN : ZK_EOK;
}

static enum zk_err reply(void *ctx, uint32_t link, uint32_t generation, int32_t type, uint64_t zxid,
			 struct zk_span data)
{
	(void)ctx;
	(void)link;
	(void)generation;
	(void)type;
	(void)zxid;
	(void)data;
	return ZK_ECLOSED; /* there are no learners */
}

static uint64_t confirm(void *ctx)
{
	return ++((struct quorum_fake *)ctx)->asked;
}

static uint64_t confirmed(void *ctx)
{
	const struct quorum_fake *f = ctx;

	return f->doubt ? 0 : f->asked;
}

void quorum_fake_init(struct quorum_fake *f)
{
	*f = (struct quorum_fake){.q = {.ctx = f,
					.next_zxid = next_zxid,
					.propose = propose,
					.committed = committed,
					.forward = forward,
					.reply = reply,
					.confirm = confirm,
					.confirmed = confirmed},
				  .room = ~0u};
}

void quorum_fake_fini(struct quorum_fake *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->txn[i].p);
	free(f->txn);
}

void quorum_fake_epoch(struct quorum_fake *f, uint64_t epoch)
{
	zk_assert(epoch << 32 > f->last);
	f->last = epoch << 32;
}
