/* SPDX-License-Identifier: Apache-2.0 */
/* getEphemerals: which session owns what is known to the apply core only, so the leader answers, at
 * the request's place behind the session's earlier writes (FinalRequestProcessor). */
#include "core/server/leader_int.h"

/** String.trim(): what is not above a blank goes. */
static struct zk_span trimmed(struct zk_span v)
{
	while (v.n && v.p[0] <= ' ') {
		v.p++;
		v.n--;
	}
	while (v.n && v.p[v.n - 1] <= ' ')
		v.n--;
	return v;
}

/** Does @p node have the prefix? A prefix of strings: "/a" is one of "/ab". */
static bool wanted(const struct tree_node *node, struct zk_span prefix)
{
	struct zk_span path = tree_path(node);

	return path.n >= prefix.n && (prefix.n == 0 || memcmp(path.p, prefix.p, prefix.n) == 0);
}

bool leader_answer_ephemerals(struct leader *l, const struct entry *e)
{
	size_t body = 4, max = zk_ring_record_max(l->conf.to_core[e->to.core]);
	struct jute_in in = jute_in_of(e->bytes);
	struct zk_span prefix = jute_bytes(&in), bare = trimmed(prefix);
	const struct tree_node *node = NULL;
	struct entry answer = *e;
	struct msg_reply *m;
	struct jute_out out;
	uint32_t n = 0;

	if (bare.n == 0 || zk_span_eq(bare, zk_span_str("/")))
		prefix.n = 0;
	max -= sizeof(*m);
	/* bound: the nodes of one session, as in its close; their paths by the ring's record */
	while (body <= max && tree_ephemeral_next(l->conf.tree, e->session, &node))
		if (wanted(node, prefix)) {
			body += 4 + tree_path(node).n;
			n++;
		}
	if (body > max) {
		leader_set(&l->count.refused_size, ++l->prep.refused_size);
		answer.err = ZK_SYSTEMERROR;
		body = 0;
	}
	m = leader_reserve(l, e->to.core, sizeof(*m) + body);
	if (!m)
		return false;
	leader_reply_fill(m, &answer, leader_applied_zxid(l), body);
	if (body) {
		out = jute_out_of(m + 1, body);
		jute_put_i32(&out, (int32_t)n);
		node = NULL;
		while (tree_ephemeral_next(l->conf.tree, e->session, &node))
			if (wanted(node, prefix))
				jute_put_bytes(&out, tree_path(node));
		zk_assert(!out.full && jute_out_len(&out) == body);
	}
	leader_commit(l, e->to.core, sizeof(*m) + body);
	return true;
}
