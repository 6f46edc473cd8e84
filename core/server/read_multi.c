/* SPDX-License-Identifier: Apache-2.0 */
/* multiRead (spec/client-protocol.md section 6; FinalRequestProcessor, MultiOperationRecord). */
#include "core/server/read_job.h"

/** Skip a vector of ACL entries. */
static void skip_acl(struct jute_in *in)
{
	bool null;
	int32_t n = jute_count(in, &null);

	for (int32_t i = 0; i < n && !in->bad; i++) { /* bound: the frame */
		(void)jute_i32(in);
		(void)jute_bytes(in);
		(void)jute_bytes(in);
	}
}

/** Skip the record of one operation. @return MULTI_READS or MULTI_WRITES, MULTI_BAD for a type that
 * no multi may hold. */
static enum multi_kind skip_op(struct jute_in *in, int32_t type)
{
	switch (type) {
	case ZK_OP_GET_DATA:
	case ZK_OP_GET_CHILDREN:
		(void)jute_bytes(in);
		(void)jute_bool(in); /* the watch flag is not looked at */
		return MULTI_READS;
	case ZK_OP_CREATE:
	case ZK_OP_CREATE2:
	case ZK_OP_CREATE_CONTAINER:
	case ZK_OP_CREATE_TTL:
		(void)jute_bytes(in);
		(void)jute_bytes(in);
		skip_acl(in);
		(void)jute_i32(in);
		if (type == ZK_OP_CREATE_TTL)
			(void)jute_i64(in);
		return MULTI_WRITES;
	case ZK_OP_DELETE:
	case ZK_OP_CHECK:
		(void)jute_bytes(in);
		(void)jute_i32(in);
		return MULTI_WRITES;
	case ZK_OP_SET_DATA:
		(void)jute_bytes(in);
		(void)jute_bytes(in);
		(void)jute_i32(in);
		return MULTI_WRITES;
	default:
		return MULTI_BAD;
	}
}

enum { DATA_BYTES_STEP = 256, DEAD_SLOTS_STEP = 64 };

/** Apache reads the whole record before it does anything. @return false: the budget is used up. */
static bool check_some(struct read_multi *m, int *budget)
{
	while (m->kind != MULTI_BAD) {
		int32_t type;
		enum multi_kind kind;
		bool done;

		if (*budget <= 0)
			return false;
		(*budget)--;
		type = jute_i32(&m->in);
		done = jute_bool(&m->in);
		(void)jute_i32(&m->in);
		if (!m->in.bad && done)
			break;
		kind = m->in.bad ? MULTI_BAD : skip_op(&m->in, type);
		if (m->in.bad || (m->kind != MULTI_EMPTY && m->kind != kind))
			kind = MULTI_BAD;
		m->kind = kind;
	}
	m->checked = true;
	m->in = m->start;
	return true;
}

static void put_header(struct read_build *b, int32_t type, bool done, int32_t err)
{
	uint8_t *p = build_room(b, 9);

	if (!p)
		return;
	zk_put32(p, (uint32_t)type);
	p[4] = done;
	zk_put32(p + 5, (uint32_t)err);
}

/** The listing that has begun. @return false: the budget is used up. */
static bool list_some(struct srv *s, struct read_multi *m, struct read_build *b, uint64_t zxid,
		      int *budget)
{
	const struct tree_node *node;
	struct tree_ref ref;

	zk_assert(tree_find(s->tree, m->path, zxid, &ref)); /* the pin keeps it there */
	while (!b->failed && tree_child_next(ref, zxid, &m->cursor, DEAD_SLOTS_STEP, &node)) {
		if (node) {
			build_bytes(b, tree_name(node));
			m->names++;
		}
		if (--*budget <= 0)
			return false;
	}
	if (!b->failed)
		zk_put32(b->p + m->count_at, (uint32_t)m->names);
	m->listing = false;
	return true;
}

static void multi_one(struct srv_conn *c, struct read_multi *m, struct read_build *b, int32_t type,
		      uint64_t zxid, int *budget)
{
	enum zk_err err = ZK_EOK;
	struct tree_ref ref;

	if (!tree_find(c->s->tree, m->path, zxid, &ref))
		err = ZK_NONODE;
	else if (!read_allowed(c, tree_acl(ref), ZK_PERM_READ))
		err = ZK_NOAUTH;
	if (err != ZK_EOK) {
		put_header(b, ZK_OP_ERROR, false, err);
		build_i32(b, err);
		return;
	}
	put_header(b, type, false, ZK_EOK);
	if (type == ZK_OP_GET_DATA) {
		build_bytes(b, tree_data(ref));
		build_stat(b, ref);
		*budget -= (int)(tree_data(ref).n / DATA_BYTES_STEP);
	} else {
		m->count_at = b->n;
		build_i32(b, 0);
		m->cursor = 0;
		m->names = 0;
		m->listing = true;
	}
}

/** Go on, as of @p zxid. @return false: the budget is used up. */
static bool multi_some(struct srv_conn *c, struct read_multi *m, struct read_build *b,
		       uint64_t zxid, int budget)
{
	if (!m->checked && !check_some(m, &budget))
		return false;
	while (m->err == ZK_EOK && m->kind == MULTI_READS && !b->failed) {
		int32_t type;
		bool done;

		if (budget <= 0 || (m->listing && !list_some(c->s, m, b, zxid, &budget)))
			return false;
		budget--;
		type = jute_i32(&m->in);
		done = jute_bool(&m->in);
		(void)jute_i32(&m->in);
		if (done)
			break;
		m->path = jute_bytes(&m->in);
		(void)jute_bool(&m->in);
		if (m->path.p)
			multi_one(c, m, b, type, zxid, &budget);
		else
			m->err = ZK_MARSHALLINGERROR;
	}
	return true;
}

static void multi_end(struct srv_conn *c, const struct read_multi *m, struct read_build *b,
		      int32_t xid, int32_t op, uint64_t zxid)
{
	enum zk_err err = m->err;

	if (m->kind == MULTI_BAD) {
		build_free(b);
		read_error(c, xid, op, ZK_MARSHALLINGERROR);
		return;
	}
	if (m->kind == MULTI_WRITES)
		err = ZK_MARSHALLINGERROR; /* of the first one: no results so far */
	put_header(b, ZK_OP_ERROR, true, -1);
	build_send(c, b, xid, op, zxid, err);
}

static enum job_turn multi_turn(struct srv_job *j)
{
	if (!multi_some(j->c, &j->u.multi, &j->reply, j->zxid, SRV_JOB_STEP))
		return j->reply.failed ? JOB_FAILED : JOB_MORE;
	multi_end(j->c, &j->u.multi, &j->reply, j->xid, j->op, j->zxid);
	return JOB_DONE;
}

static const struct job_kind multi_kind = {multi_turn, SRV_COUNT_NS, true, false};

enum conn_take read_multi(struct srv_conn *c, struct read_req *q)
{
	struct read_multi m = {.in = q->in, .start = q->in, .kind = MULTI_EMPTY};
	struct srv *s = c->s;
	struct read_build b;
	struct srv_job *j;
	int pin;

	build_start(&b, s);
	if (multi_some(c, &m, &b, s->visible, SRV_LIST_INLINE)) {
		multi_end(c, &m, &b, q->xid, q->op, s->visible);
		return CONN_TAKEN;
	}
	pin = tree_pin_take(s->reader, s->visible);
	if (pin < 0) { /* nothing is lost but the work */
		build_free(&b);
		return CONN_STOP;
	}
	if (!build_own(&b, 0) || !(j = job_new(c, q, &multi_kind, pin))) {
		tree_pin_drop(s->reader, pin);
		build_free(&b);
		s->n.memory_refused++;
		conn_doom(c);
		return CONN_TAKEN;
	}
	m.in.end = j->in.end;
	m.in.p = job_moved(j, q, m.in.p);
	m.path.p = job_moved(j, q, m.path.p);
	m.start = j->in;
	j->reply = b;
	j->u.multi = m;
	return CONN_TAKEN;
}
