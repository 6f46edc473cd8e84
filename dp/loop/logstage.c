/* SPDX-License-Identifier: Apache-2.0 */
#include "dp/loop/logstage.h"
#include "core/base/assert.h"

void logstage_init(struct logstage *s, uint32_t batch_max)
{
	zk_assert(batch_max >= 1);
	*s = (struct logstage){.batch_max = batch_max};
}

bool logstage_append(void *ctx, uint64_t zxid, struct zk_span txn)
{
	struct logstage *s = ctx;

	zk_assert(zxid > s->last_zxid);
	if (s->batch == s->batch_max) {
		s->full++;
		return false;
	}
	s->batch++;
	s->last_zxid = zxid;
	s->txns++;
	s->bytes += txn.n;
	return true;
}

void logstage_end(struct logstage *s)
{
	s->batch = 0;
	s->durable_zxid = s->last_zxid;
}
