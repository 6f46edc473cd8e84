/* SPDX-License-Identifier: Apache-2.0 */
/* mntr: limits, usage and refusals of quotas for each top-level node (QuotaMetricsUtils.java), as
 * of this core's `visible`. */
#include "core/server/leader.h"
#include "core/server/srv_int.h"
#include "core/tree/quota_text.h"
#include "core/txn/quota_errors.h"

#include <inttypes.h>

enum {
	NODES_MAX = 8192, /* looked at per mntr, of those below /zookeeper/quota */
	DEPTH_MAX = 64,
	NAMES_MAX = 64,
	STEP = 256, /* dead slots passed over at once */
	LINES_MAX = 4 * (QUOTA_NAME_MAX + 80)
};

struct sums {
	struct quota_text text; /* of limits in the hard fields, of usage in the others */
	bool limits, usage;
};

struct walk {
	uint64_t zxid;
	unsigned left; /* nodes that may still be looked at */
};

static int64_t limit_of(int64_t hard, int64_t soft)
{
	return hard > -1 ? hard : soft;
}

static void add(int64_t *sum, int64_t v)
{
	*sum = (int64_t)((uint64_t)*sum + (uint64_t)v);
}

/* collectQuotaLimitOrUsage(); a text that stops Apache's mntr is left out. */
static void collect(struct tree_ref ref, struct sums *s)
{
	struct zk_span name = tree_name(ref.node);
	bool limits = zk_span_eq(name, zk_span_str("zookeeper_limits"));
	struct quota_text t;

	if (!limits && !zk_span_eq(name, zk_span_str("zookeeper_stats")))
		return;
	if (!quota_text_parse(tree_data(ref), &t))
		return;
	if (limits) {
		s->limits = true;
		add(&s->text.count_hard, limit_of(t.count_hard, t.count));
		add(&s->text.bytes_hard, limit_of(t.bytes_hard, t.bytes));
	} else {
		s->usage = true;
		add(&s->text.count, t.count);
		add(&s->text.bytes, t.bytes);
	}
}

static bool child_next(const struct walk *w, struct tree_ref parent, uint64_t *cursor,
		       struct tree_ref *out)
{
	const struct tree_node *n = NULL;

	while (tree_child_next(parent, w->zxid, cursor, STEP, &n))
		if (n && tree_ref_at(n, w->zxid, out))
			return true;
	return false;
}

/* All of one top-level name. @return false: too much or too deep. */
static bool sum_up(struct walk *w, struct tree_ref top, struct sums *s)
{
	struct {
		struct tree_ref ref;
		uint64_t cursor;
	} at[DEPTH_MAX];
	unsigned depth = 1;
	struct tree_raw raw;

	at[0].ref = top;
	at[0].cursor = 0;
	while (depth > 0) {
		struct tree_ref child;

		if (at[depth - 1].cursor == 0) { /* comes here for the first time */
			if (w->left == 0)
				return false;
			w->left--;
			tree_raw(at[depth - 1].ref, &raw);
			if (raw.children == 0)
				collect(at[depth - 1].ref, s);
		}
		if (!child_next(w, at[depth - 1].ref, &at[depth - 1].cursor, &child)) {
			depth--;
			continue;
		}
		if (depth == DEPTH_MAX)
			return false;
		at[depth].ref = child;
		at[depth++].cursor = 0;
	}
	return true;
}

static void put(struct words_out *o, struct zk_span name, const char *figure, int64_t v)
{
	words_printf(o, "zk_%.*s_quota_%s_per_namespace\t%" PRId64 "\n", (int)name.n,
		     (const char *)name.p, figure, v);
}

static void put_name(struct words_out *o, struct zk_span name, const struct sums *s)
{
	if (s->limits) {
		put(o, name, "count_limit", s->text.count_hard);
		put(o, name, "bytes_limit", s->text.bytes_hard);
	}
	if (s->usage) {
		put(o, name, "count_usage", s->text.count);
		put(o, name, "bytes_usage", s->text.bytes);
	}
}

static void put_errors(struct srv *s, struct words_out *o)
{
	struct quota_errors *e = s->sh->leader ? leader_quota_errors(s->sh->leader) : NULL;
	struct zk_span name;
	uint64_t count;

	for (uint32_t i = 0; e && quota_errors_get(e, i, &name, &count); i++)
		put(o, name, "exceeded_error", (int64_t)count);
}

void words_quota(struct srv *s, struct words_out *o)
{
	struct walk w = {s->visible, NODES_MAX};
	struct tree_ref base, top;
	uint64_t cursor = 0, left_out = 0;
	struct tree_raw raw;

	put_errors(s, o);
	if (!tree_find(s->tree, zk_span_str("/zookeeper/quota"), w.zxid, &base))
		return;
	tree_raw(base, &raw);
	for (unsigned names = 0; child_next(&w, base, &cursor, &top) && w.left > 0; names++) {
		struct zk_span name = tree_name(top.node);
		struct sums sums = {0};

		if (names < NAMES_MAX && name.n <= QUOTA_NAME_MAX && o->cap - o->n > LINES_MAX &&
		    sum_up(&w, top, &sums))
			put_name(o, name, &sums);
		else
			left_out++;
		raw.children--;
	}
	/* ours */
	words_printf(o, "zk_quota_names_left_out\t%" PRIu64 "\n", left_out + raw.children);
}
