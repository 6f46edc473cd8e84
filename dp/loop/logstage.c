/* SPDX-License-Identifier: Apache-2.0 */
#include "dp/loop/logstage.h"

enum zk_err logstage_init(struct logstage *s, struct zk_mem *mem, uint32_t slots,
			  uint64_t last_zxid, bool memory)
{
	uint64_t n = 1;

	zk_assert(slots >= 1);
	while (n < slots)
		n *= 2;
	*s = (struct logstage){.mask = n - 1,
			       .mem = mem,
			       .memory = memory,
			       .due_ns = UINT64_MAX,
			       .last_zxid = last_zxid,
			       .durable_zxid = last_zxid};
	if (waker_init(&s->writer) != ZK_EOK)
		return ZK_EIO;
	s->ref = zk_mem_alloc(mem, (size_t)n * sizeof(*s->ref));
	if (!s->ref) {
		waker_fini(&s->writer);
		return ZK_ENOMEM;
	}
	return ZK_EOK;
}

void logstage_fini(struct logstage *s)
{
	if (!s->ref)
		return;
	waker_fini(&s->writer);
	zk_mem_free(s->mem, s->ref, (size_t)(s->mask + 1) * sizeof(*s->ref));
	s->ref = NULL;
}

bool logstage_append(void *ctx, uint64_t zxid, struct zk_span txn)
{
	struct logstage *s = ctx;

	zk_assert(zxid > s->last_zxid);
	if (s->put - s->durable_seen > s->mask) {
		(void)logstage_durable(s);
		if (s->put - s->durable_seen > s->mask) {
			s->full++;
			return false;
		}
	}
	s->ref[s->put & s->mask] = (struct logstage_ref){zxid, txn, s->roll};
	s->roll = false;
	s->put++;
	s->last_zxid = zxid;
	s->txns++;
	s->bytes += txn.n;
	return true;
}

void logstage_roll(void *ctx)
{
	struct logstage *s = ctx;

	s->roll = true;
}

bool logstage_lingers(struct logstage *s, uint64_t linger_ns, uint64_t now_ns)
{
	if (s->put == atomic_load_explicit(&s->published, memory_order_relaxed) ||
	    s->put - s->durable_seen > s->mask / 2)
		return false;
	if (s->due_ns == UINT64_MAX)
		s->due_ns = now_ns + linger_ns;
	return now_ns < s->due_ns;
}

void logstage_end(struct logstage *s)
{
	s->due_ns = UINT64_MAX;
	if (s->put == atomic_load_explicit(&s->published, memory_order_relaxed))
		return;
	/* partner: acquire in logstage_at() */
	atomic_store_explicit(&s->published, s->put, memory_order_release);
	if (s->memory)
		logstage_safe(s, s->put);
	else
		waker_kick(&s->writer);
}

uint64_t logstage_durable(struct logstage *s)
{
	/* partner: release in logstage_safe() */
	uint64_t n = atomic_load_explicit(&s->durable, memory_order_acquire);

	if (n != s->durable_seen) { /* its slot is not reused before this */
		s->durable_seen = n;
		s->durable_zxid = s->ref[(n - 1) & s->mask].zxid;
	}
	return s->durable_zxid;
}
