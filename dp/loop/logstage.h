/* SPDX-License-Identifier: Apache-2.0 */
/** The log stage of the leader core: where a transaction becomes durable.
 *
 * In memory for now: what has been appended counts as durable at the end of the leader's batch. A
 * log writer thread takes the place of logstage_end() later: append fills a ring, the thread
 * writes and fsyncs, logstage_durable() reads how far it got. The leader core alone calls these.
 */
#ifndef ZK_LOOP_LOGSTAGE_H
#define ZK_LOOP_LOGSTAGE_H

#include "core/base/span.h"

#include <stdbool.h>
#include <stdint.h>

struct logstage {
	uint64_t last_zxid;    /* appended */
	uint64_t durable_zxid; /* promised by the stage */
	uint32_t batch, batch_max;
	uint64_t txns, bytes, full; /* counters */
};

/** @p batch_max: transactions per batch, >= 1. */
void logstage_init(struct logstage *s, uint32_t batch_max);

/** struct leader_log.append: @p ctx is the stage, @p txn is borrowed for the call, zxids come in
 * order. @return false: the batch is full (counted), offer it again in the next round. */
bool logstage_append(void *ctx, uint64_t zxid, struct zk_span txn);

/** The leader's batch is over. */
void logstage_end(struct logstage *s);

/** Everything up to here survives a crash of what the stage promises to survive. */
static inline uint64_t logstage_durable(const struct logstage *s)
{
	return s->durable_zxid;
}

#endif
