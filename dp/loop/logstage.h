/* SPDX-License-Identifier: Apache-2.0 */
/** The log stage of the leader core: where a transaction becomes durable.
 *
 * A ring of references between the leader core and the log writer's thread
 * (ctl/server/logwriter.h). The bytes stay where the leader keeps them until they are applied,
 * which is after they are durable; so a transaction of any size takes one slot, and the writer can
 * go back to the first one that is not durable when it has to write them again. Without a writer
 * (tests, benchmarks) what has been appended counts as durable at the end of the leader's batch.
 */
#ifndef ZK_LOOP_LOGSTAGE_H
#define ZK_LOOP_LOGSTAGE_H

#include "core/base/assert.h"
#include "core/base/err.h"
#include "core/base/span.h"
#include "core/mem.h"
#include "dp/loop/waker.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/** How the writer is. */
enum logstage_health {
	LOGSTAGE_GOOD,
	LOGSTAGE_FULL,   /* no room on the disk: it tries again now and then */
	LOGSTAGE_FAILED, /* for good */
};

struct logstage_ref {
	uint64_t zxid;
	struct zk_span txn;
	bool roll; /* a new file begins with it */
};

struct logstage {
	/* the leader core's */
	_Alignas(
		ZK_CACHE_LINE) uint64_t put; /* appended so far; transactions are numbered from 0 */
	uint64_t durable_seen;
	uint64_t last_zxid, durable_zxid;
	bool roll;
	uint64_t due_ns; /* an open batch that lingers ends then, UINT64_MAX = none does */
	uint64_t txns, bytes, full; /* counters */
	/* release by the leader core, acquire by the writer */
	_Alignas(ZK_CACHE_LINE) _Atomic uint64_t published;
	/* release by the writer, acquire by the leader core: so many are durable */
	_Alignas(ZK_CACHE_LINE) _Atomic uint64_t durable;
	_Atomic uint32_t health; /* enum logstage_health; the writer's, relaxed */
	/* constant */
	_Alignas(ZK_CACHE_LINE) struct logstage_ref *ref;
	uint64_t mask;
	struct zk_mem *mem;
	bool memory; /* there is no writer */
	struct waker writer;
};

/** @p slots: transactions that may be under way, >= 1; @p last_zxid: nothing up to it will come;
 * @p memory: without a writer. @return ZK_EOK, ZK_ENOMEM, or ZK_EIO (no eventfd). Main thread. */
ZK_MUST_USE enum zk_err logstage_init(struct logstage *s, struct zk_mem *mem, uint32_t slots,
				      uint64_t last_zxid, bool memory);
/** Main thread, both sides stopped. Zeros are allowed. */
void logstage_fini(struct logstage *s);

/* ---- the leader core ----------------------------------------------------------------------- */

/** struct leader_log.append: @p ctx is the stage; @p txn is borrowed until it is durable; zxids
 * come in order. @return false: full (counted), offer it again in the next round. */
bool logstage_append(void *ctx, uint64_t zxid, struct zk_span txn);

/** struct leader_log.roll: the next one appended begins a new file. */
void logstage_roll(void *ctx);

/** The leader's batch is over: the writer sees it, and is woken if it sleeps. */
void logstage_end(struct logstage *s);

/** May the batch stay open, where nobody waits for it? For @p linger_ns from its first transaction
 * on, while half of the slots are free: then logstage_end(), at s->due_ns at the latest. */
bool logstage_lingers(struct logstage *s, uint64_t linger_ns, uint64_t now_ns);

/** Everything up to here survives a crash of what the stage promises to survive. */
uint64_t logstage_durable(struct logstage *s);

static inline enum logstage_health logstage_health(const struct logstage *s)
{
	/* alone it means nothing more than that */
	return (enum logstage_health)atomic_load_explicit(&s->health, memory_order_relaxed);
}

/* ---- the writer ---------------------------------------------------------------------------- */

/** Transaction number @p seq, NULL when it has not been appended yet. It stays until it is durable.
 */
static inline const struct logstage_ref *logstage_at(struct logstage *s, uint64_t seq)
{
	/* partner: release in logstage_end() */
	if (seq == atomic_load_explicit(&s->published, memory_order_acquire))
		return NULL;
	return &s->ref[seq & s->mask];
}

/** All before number @p seq are durable: the leader core may reuse their slots and bytes. Then wake
 * it. */
static inline void logstage_safe(struct logstage *s, uint64_t seq)
{
	/* partner: acquire in logstage_durable() */
	atomic_store_explicit(&s->durable, seq, memory_order_release);
}

static inline void logstage_health_set(struct logstage *s, enum logstage_health health)
{
	atomic_store_explicit(&s->health, health, memory_order_relaxed);
}

#endif
