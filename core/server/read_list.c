/* SPDX-License-Identifier: Apache-2.0 */
/* getChildren, getChildren2, getAllChildrenNumber. */
#include "core/server/read_job.h"

enum { DEAD_SLOTS_STEP = 4096, COUNT_AT = 4 + ZK_REPLY_HEADER_BYTES };

/** Add up to @p budget names. @return true: the list is complete. */
static bool list_some(struct read_build *b, struct tree_ref parent, uint64_t zxid,
		      struct job_list *l, unsigned budget)
{
	const struct tree_node *node;

	for (unsigned i = 0; i < budget; i++) {
		if (!tree_child_next(parent, zxid, &l->cursor, DEAD_SLOTS_STEP, &node))
			return true;
		if (!node)
			continue;
		build_bytes(b, tree_name(node));
		l->names++;
	}
	return false;
}

static void list_end(struct srv_conn *c, struct read_build *b, struct tree_ref ref, int32_t xid,
		     int32_t op, uint64_t zxid, int32_t names)
{
	if (!b->failed)
		zk_put32(b->p + COUNT_AT, (uint32_t)names);
	if (op == ZK_OP_GET_CHILDREN2)
		build_stat(b, ref);
	build_send(c, b, xid, op, zxid, ZK_EOK);
}

static enum job_turn list_turn(struct srv_job *j)
{
	struct tree_ref ref;

	/* the pin keeps it there */
	zk_assert(tree_find(j->c->s->tree, j->path, j->zxid, &ref));
	if (!list_some(&j->reply, ref, j->zxid, &j->u.list, SRV_JOB_STEP))
		return j->reply.failed ? JOB_FAILED : JOB_MORE;
	list_end(j->c, &j->reply, ref, j->xid, j->op, j->zxid, j->u.list.names);
	return JOB_DONE;
}

static const struct job_kind list_kind = {list_turn, SRV_LIST_NS, true, false};

/** Put a listing that has begun aside. Takes the pin and the reply. */
static void list_later(struct srv_conn *c, const struct read_req *q, struct zk_span path, int pin,
		       struct read_build *b, const struct job_list *l, uint32_t children)
{
	/* as long as what there is so far says, so that it need not move while it grows */
	size_t bytes = b->n / ((uint32_t)l->names + 1) * (children + 64ul);
	struct srv_job *j;

	if (!build_own(b, bytes + bytes / 8) || !(j = job_new(c, q, &list_kind, pin))) {
		tree_pin_drop(c->s->reader, pin);
		build_free(b);
		c->s->n.memory_refused++;
		conn_doom(c);
		return;
	}
	j->path = zk_span_of(job_moved(j, q, path.p), path.n);
	j->reply = *b;
	j->u.list = *l;
}

enum conn_take read_children(struct srv_conn *c, struct read_req *q)
{
	struct jute_in in = q->in;
	struct zk_span path = jute_bytes(&in);
	bool watch = jute_bool(&in);
	struct job_list l = {0};
	struct srv *s = c->s;
	struct tree_ref ref;
	struct tree_raw raw;
	struct read_build b;
	int pin;

	if (in.bad || !path.p) {
		read_error(c, q->xid, q->op, ZK_MARSHALLINGERROR);
		return CONN_TAKEN;
	}
	if (!read_find(c, q, path, &ref)) {
		read_error(c, q->xid, q->op, ZK_NONODE);
		return CONN_TAKEN;
	}
	if (!read_allowed(c, tree_acl(ref), ZK_PERM_READ)) {
		read_error(c, q->xid, q->op, ZK_NOAUTH);
		return CONN_TAKEN;
	}
	tree_raw(ref, &raw);
	pin = raw.children >= SRV_LIST_INLINE ? tree_pin_take(s->reader, s->visible) : -1;
	if (raw.children >= SRV_LIST_INLINE && pin < 0)
		return CONN_STOP; /* the long answers of others have them all: after one of them */
	if (watch && !read_watch_set(c, path, WATCH_CHILD)) {
		if (pin >= 0)
			tree_pin_drop(s->reader, pin);
		return CONN_TAKEN;
	}
	build_start(&b, s);
	build_i32(&b, 0);
	/* without a pin there may be dead slots by the thousand, but not for long; bound: the slots
	 */
	while (!list_some(&b, ref, s->visible, &l, SRV_LIST_INLINE) && !b.failed) {
		if (pin < 0)
			continue;
		list_later(c, q, path, pin, &b, &l, raw.children);
		return CONN_TAKEN;
	}
	if (pin >= 0)
		tree_pin_drop(s->reader, pin);
	list_end(c, &b, ref, q->xid, q->op, s->visible, l.names);
	return CONN_TAKEN;
}

/* ---- getAllChildrenNumber ---- */

/** The whole answer. */
static void count_reply(struct srv_conn *c, int32_t xid, uint64_t zxid, int32_t n)
{
	struct read_build b;

	build_start(&b, c->s);
	build_i32(&b, n);
	build_send(c, &b, xid, ZK_OP_GET_ALL_CHILDREN_NUMBER, zxid, ZK_EOK);
}

static enum job_turn count_turn(struct srv_job *j)
{
	if (!count_some(&j->u.count, j->zxid, SRV_JOB_STEP))
		return j->u.count.failed ? JOB_FAILED : JOB_MORE;
	count_reply(j->c, j->xid, j->zxid, j->u.count.n);
	return JOB_DONE;
}

static const struct job_kind count_kind = {count_turn, SRV_COUNT_NS, true, false};

enum conn_take read_all_children_number(struct srv_conn *c, struct read_req *q)
{
	struct srv *s = c->s;
	struct jute_in in = q->in;
	struct zk_span path = jute_bytes(&in);
	struct read_count k;
	struct tree_ref ref;
	struct srv_job *j;
	bool done;
	int pin;

	if (in.bad || !path.p) {
		read_error(c, q->xid, q->op, ZK_MARSHALLINGERROR);
		return CONN_TAKEN;
	}
	if (!read_find(c, q, path, &ref)) {
		read_error(c, q->xid, q->op, ZK_NONODE);
		return CONN_TAKEN;
	}
	if (!read_allowed(c, tree_acl(ref), ZK_PERM_READ)) {
		read_error(c, q->xid, q->op, ZK_NOAUTH);
		return CONN_TAKEN;
	}
	pin = tree_pin_take(s->reader, s->visible);
	if (pin < 0)
		return CONN_STOP;
	done = count_start(&k, s, path) && count_some(&k, s->visible, SRV_LIST_INLINE);
	if (!done && !k.failed && (j = job_new(c, q, &count_kind, pin)) != NULL) {
		j->u.count = k;
		return CONN_TAKEN;
	}
	tree_pin_drop(s->reader, pin);
	if (done) {
		count_reply(c, q->xid, s->visible, k.n);
	} else {
		s->n.memory_refused++;
		conn_doom(c);
	}
	count_end(&k);
	return CONN_TAKEN;
}
