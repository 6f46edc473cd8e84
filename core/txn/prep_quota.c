/* SPDX-License-Identifier: Apache-2.0 */
/* enforceQuota (ZooKeeperServer.checkQuota(), spec/semantics.md section 8). */
#include "core/tree/quota_text.h"
#include "core/txn/prep_int.h"

/* A hard limit refuses; where there is none a soft one only counts. */
static bool above(struct prep *p, int64_t usage, int64_t hard, int64_t soft)
{
	if (hard > -1)
		return usage > hard;
	if (soft > -1 && usage > soft)
		p->quota_soft++;
	return false;
}

static int64_t sum(int64_t a, int64_t b, int64_t c)
{
	return (int64_t)((uint64_t)a + (uint64_t)b + (uint64_t)c);
}

enum zk_err prep_quota(struct prep_run *x, struct zk_span path, int64_t count, int64_t bytes)
{
	struct prep *p = x->p;
	struct quota_text limit, used;
	const struct tree_quota *q;
	struct zk_span text;
	int64_t more_count, more_bytes;

	if (!p->conf.enforce_quota)
		return ZK_EOK;
	q = tree_quota_find(p->conf.tree, path);
	if (!q || !tree_quota_limits(q, &text))
		return ZK_EOK;
	if (!quota_text_parse(text, &limit))
		return ZK_MARSHALLINGERROR;

	bool counts = count != 0 && (limit.count > -1 || limit.count_hard > -1);
	bool weighs = bytes != 0 && (limit.bytes > -1 || limit.bytes_hard > -1);

	if ((!counts && !weighs) || !tree_quota_stats(q, &text))
		return ZK_EOK;
	if (!quota_text_parse(text, &used))
		return ZK_MARSHALLINGERROR;
	tree_quota_promised(q, &more_count, &more_bytes);
	if ((counts &&
	     above(p, sum(used.count, more_count, count), limit.count_hard, limit.count)) ||
	    (weighs &&
	     above(p, sum(used.bytes, more_bytes, bytes), limit.bytes_hard, limit.bytes))) {
		p->quota_exceeded++;
		quota_errors_add(&p->quota_errors, path);
		return ZK_QUOTAEXCEEDED;
	}
	return ZK_EOK;
}
