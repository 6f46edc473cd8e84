/* SPDX-License-Identifier: Apache-2.0 */
/* The reaper of container and TTL nodes (ContainerManager, spec/semantics.md section 7). A round
 * looks at each of them once, a few per tick; prep looks again at what the pending writes have made
 * of the node. */
#include "core/server/leader_int.h"

enum {
	REAP_INTERVAL_MS = 60000,
	REAP_PER_MINUTE = 10000,
	REAP_LOOKS = 64 /* nodes looked at per tick */
};

#define NS_PER_MS     UINT64_C(1000000)
#define NS_PER_MINUTE (60000 * NS_PER_MS)

void leader_reaper_init(struct leader *l)
{
	struct leader_conf *c = &l->conf;

	if (!c->reap_interval_ms)
		c->reap_interval_ms = REAP_INTERVAL_MS;
	if (!c->reap_per_minute)
		c->reap_per_minute = REAP_PER_MINUTE;
	l->reaper.check_ns = l->now_ns + c->reap_interval_ms * NS_PER_MS;
	l->reaper.next_ns = l->reaper.check_ns;
}

/** ContainerManager.getCandidates(): all of it by the wall clock, as Java subtracts. */
static bool is_candidate(const struct leader *l, const struct tree_node *n, int64_t wall_ms)
{
	uint64_t never_used_ms = l->conf.reap_never_used_ms;
	struct tree_ref ref;
	struct tree_raw raw;
	int64_t age_ms;
	bool found = tree_ref_at(n, UINT64_MAX, &ref);

	zk_assert(found); /* only live nodes are in the round */
	tree_raw(ref, &raw);
	if (raw.children > 0)
		return false;
	age_ms = (int64_t)((uint64_t)wall_ms - (uint64_t)raw.mtime);
	if (raw.owner == ZK_OWNER_CONTAINER) {
		if (raw.cversion > 0)
			return true;
		return never_used_ms && age_ms > 0 && (uint64_t)age_ms > never_used_ms;
	}

	int64_t ttl_ms = (int64_t)(raw.owner & (uint64_t)ZK_TTL_MAX_MS);

	return l->conf.extended_types && ttl_ms != 0 && age_ms > ttl_ms;
}

/* False: no room, nothing was done. */
static bool submit(struct leader *l, const struct tree_node *n, int64_t wall_ms)
{
	struct prep_in in = {
		.op = ZK_OP_DELETE_CONTAINER, .zxid = l->last_zxid + 1, .time_ms = wall_ms};
	struct prep_out out;

	if (!leader_room(l) || prep_delete_container(&l->prep, &in, tree_path(n), &out) != ZK_EOK) {
		leader_inc(&l->count.reap_waits);
		return false;
	}
	leader_push(l, &(struct entry){.kind = ENTRY_SILENT,
				       .zxid = in.zxid,
				       .bytes = out.txn,
				       .bytes_end = out.end,
				       .steps = out.steps,
				       .op = in.op,
				       .err = out.err});
	leader_inc(&l->count.reaped);
	return true;
}

static void round_begin(struct leader *l)
{
	struct leader_reaper *r = &l->reaper;
	uint64_t interval_ns = l->conf.reap_interval_ms * NS_PER_MS;

	tree_reap_begin(l->conf.tree);
	r->in_round = true;
	/* At a fixed rate; rounds that were missed are not made up for. */
	r->check_ns += interval_ns;
	if (r->check_ns <= l->now_ns)
		r->check_ns = l->now_ns + interval_ns;
}

unsigned leader_reap(struct leader *l, int64_t wall_ms)
{
	struct leader_reaper *r = &l->reaper;
	const struct tree_node *n;

	if (l->now_ns < r->next_ns)
		return 0;
	if (!r->in_round)
		round_begin(l);
	for (unsigned i = 0; i < REAP_LOOKS; i++) {
		n = tree_reap_peek(l->conf.tree);
		if (!n) {
			r->in_round = false;
			r->next_ns = r->check_ns;
			return 0;
		}
		if (is_candidate(l, n, wall_ms)) {
			if (!submit(l, n, wall_ms)) { /* it stays first in line */
				r->next_ns = l->now_ns + LEADER_RETRY_NS;
				return 0;
			}
			tree_reap_skip(l->conf.tree);
			r->next_ns = l->now_ns + NS_PER_MINUTE / l->conf.reap_per_minute;
			return 1;
		}
		tree_reap_skip(l->conf.tree);
	}
	r->next_ns = l->now_ns; /* the rest at the next tick */
	return 0;
}
