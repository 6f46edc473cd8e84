/* SPDX-License-Identifier: Apache-2.0 */
/** How many writes a quota has refused, for each top-level node (quota_exceeded_error_per_namespace
 * of ZooKeeperServer.updateQuotaExceededMetrics()). Prep writes, any thread reads. All zeros: none.
 */
#ifndef ZK_TXN_QUOTA_ERRORS_H
#define ZK_TXN_QUOTA_ERRORS_H

#include "core/base/span.h"

#include <stdatomic.h>

enum { QUOTA_ERRORS_MAX = 64 /* names; further ones count together */, QUOTA_NAME_MAX = 64 };

struct quota_errors_of {
	char name[QUOTA_NAME_MAX];
	uint32_t len;
	_Atomic uint64_t count; /* relaxed: a figure */
	_Atomic uint64_t base;  /* count at the last srst; relaxed */
};

struct quota_errors {
	_Atomic uint32_t n;      /* release by prep once the entry is complete; readers acquire */
	_Atomic uint64_t others; /* of names too long or too many; relaxed */
	struct quota_errors_of of[QUOTA_ERRORS_MAX];
};

/** A write of @p path was refused. Prep. Bound: QUOTA_ERRORS_MAX. */
void quota_errors_add(struct quota_errors *e, struct zk_span path);

/** Entry @p i as counted since the last reset. @return false: there is none. Any thread. */
bool quota_errors_get(const struct quota_errors *e, uint32_t i, struct zk_span *name,
		      uint64_t *count);

/** srst: counts begin at zero again. Any thread. */
void quota_errors_reset(struct quota_errors *e);

#endif
