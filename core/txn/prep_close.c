/* SPDX-License-Identifier: Apache-2.0 */
/* closeSession: the session's ephemerals as of the pending state go in one transaction
 * (spec/semantics.md section 4). */
#include "core/txn/path.h"
#include "core/txn/prep_int.h"

struct walk {
	struct prep *p;
	const struct prep_in *in;
	uint32_t n;
	size_t bytes;
	struct jute_out *out; /* NULL: only count */
};

static void take(struct walk *w, struct pend_view *v)
{
	struct pending *q = &w->p->pending;
	struct zk_span path, parent_path;
	struct pend_view parent;

	w->n++;
	w->bytes += 4 + v->path.n;
	if (!w->out)
		return;
	jute_put_bytes(w->out, v->path);
	zk_assert(!w->out->full);
	path = zk_span_of(w->out->p - v->path.n, v->path.n);
	bool ok = txn_path_parent(path, &parent_path) && pending_find(q, parent_path, &parent);

	zk_assert(ok);
	struct pend_change *c = pending_touch(q, &parent, parent_path, w->in->zxid);

	zk_assert(c->children > 0);
	c->children--;
	c->pzxid = w->in->zxid;
	pending_sum(q, c);
	c = pending_touch(q, v, path, w->in->zxid);
	c->exists = false;
	pending_sum(q, c);
	promises_make(&w->p->promises, w->in->zxid, path, -1, -(int64_t)v->data_len);
}

/* Those in the tree, without the ones that a pending transaction deletes. */
static void walk_tree(struct walk *w)
{
	const struct tree_node *node = NULL;
	struct pend_view v;

	while (tree_ephemeral_next(w->p->conf.tree, w->in->session, &node)) {
		if (pending_find(&w->p->pending, tree_path(node), &v) && v.owner == w->in->session)
			take(w, &v);
	}
}

static bool in_tree(const struct walk *w, struct zk_span path)
{
	struct tree_ref ref;
	struct tree_raw raw;

	if (!tree_find_newest(w->p->conf.tree, path, &ref))
		return false;
	tree_raw(ref, &raw);
	return raw.owner == w->in->session;
}

/* Those that a pending transaction creates. By slab index: taking reorders the list. */
static void walk_pending(struct walk *w)
{
	struct pending *q = &w->p->pending;
	uint32_t used = q->used;
	struct pend_view v;

	for (uint32_t i = 0; i < used; i++) {
		const struct pend_change *c = &q->slab[i];

		if (!c->exists || c->owner != w->in->session || in_tree(w, c->path))
			continue;
		bool found = pending_find(q, c->path, &v);

		zk_assert(found);
		take(w, &v);
	}
}

static void walk(struct walk *w)
{
	w->n = 0;
	w->bytes = 0;
	walk_tree(w);
	if (w->in->pending_creates)
		walk_pending(w);
}

enum zk_err prep_close(struct prep *p, const struct prep_in *in, struct prep_out *out)
{
	struct walk w = {.p = p, .in = in};
	size_t max = prep_bytes_max(p), cap;
	uint8_t *buf;

	walk(&w);
	bool listed = w.bytes + PREP_SLACK_BYTES <= max && 2 * (uint64_t)w.n <= p->pending.slab_max;

	if (!prep_can_step(p, w.n, w.n) &&
	    (tree_reclaims(p->conf.tree) || txn_bytes_used(&p->bytes)))
		return prep_wait_memory(p); /* it has been kept, and is on its way back */
	if (listed &&
	    (!pending_room(&p->pending, 2 * (uint64_t)w.n) || !promises_room(&p->promises, w.n)))
		return ZK_EAGAIN;
	/* Too many to list: the old form without a list, which means all that there are when it is
	 * applied. Nothing is prepared between, and nothing is pending before it. */
	if (!listed && p->pending.n)
		return ZK_EAGAIN;
	cap = PREP_SLACK_BYTES + (listed ? w.bytes : 0);
	buf = prep_reserve(p, cap);
	if (!buf)
		return ZK_EAGAIN;

	struct jute_out o = jute_out_of(buf, cap);

	prep_put_header(in, ZK_OP_CLOSE_SESSION, &o);
	if (listed) {
		jute_put_i32(&o, (int32_t)w.n);
		w.out = &o;
		walk(&w);
	} else {
		p->barrier_zxid = in->zxid;
	}
	/* Behind a missing list nothing can be told apart, so no digest either. */
	prep_finish(p, &o, listed, w.n, out);
	return ZK_EOK;
}
