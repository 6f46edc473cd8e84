/* SPDX-License-Identifier: Apache-2.0 */
/** Recovery in zokord: core/store/recover.h on the real directories, with compressed snapshots, a
 * thread that reads and checks while the main thread builds the tree, and word of how far it is: a
 * bar on a terminal, lines in the log otherwise.
 */
#ifndef ZK_CTL_RECOVERY_H
#define ZK_CTL_RECOVERY_H

#include "core/base/metric.h"
#include "core/server/metrics.h"
#include "core/store/recover.h"
#include "ctl/server/config.h"

/** Of a member of an ensemble; all may be NULL. */
struct recovery_hooks {
	void *ctx;
	/** Now and then, at least each 1,000 transactions. */
	void (*meanwhile)(void *ctx);
	/** Each transaction of the log, ascending; @p txn is borrowed for the call. */
	void (*replayed)(void *ctx, uint64_t zxid, struct zk_span txn);
};

struct recovery {
	struct recover_conf conf;
	struct recover_result result; /* sessions and zxid for the leader */
	struct zk_mem mem;
	bool held;                                        /* result is to be freed */
	struct zk_metric init_ms, snap_ms, txns, txns_ms; /* one value each */
};

/** Fill @p tree, new and without readers, from the directories behind @p disk. A first start writes
 * its empty snapshot. All are borrowed for the call. Main thread, before the cores.
 * @return ZK_EOK with r->result until recovery_free(), or the code with one line in @p why of
 * @p cap bytes. */
ZK_MUST_USE enum zk_err recovery_run(struct recovery *r, const struct config *c, struct disk *disk,
				     struct tree *tree, const struct recovery_hooks *hooks,
				     char *why, size_t cap);

/** How long a record of log and snapshot may be: jute.maxbuffer and jute.maxbuffer.extrasize. */
uint32_t recovery_length_max(const struct config *c);

/** Register what Apache calls dbinittime and startup_*. @p r stays for the life of @p m. */
void recovery_metrics(struct recovery *r, struct metrics *m);

/** Also after an error, or without a run (all zero). */
void recovery_free(struct recovery *r);

#endif
