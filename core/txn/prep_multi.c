/* SPDX-License-Identifier: Apache-2.0 */
/* multi: one zxid, operations validated in order, all or nothing (spec/semantics.md section 4,
 * MultiOperationRecord). */
#include "core/txn/prep_int.h"

#include "core/base/assert.h"

enum { RESULT_HEADER_BYTES = 9, ERROR_BYTES = 4 };

static int32_t get_header(struct jute_in *in, bool *done)
{
	int32_t type = jute_i32(in);

	*done = jute_bool(in);
	jute_i32(in);
	return type;
}

/* The type a create gets inside a multi follows its flag too: a container flag makes a container,
 * and createTTL without a TTL flag is a plain create (Op.create). @return -1: whole request -5. */
static int32_t create_type(int32_t op, struct prep_record *r)
{
	if (op == ZK_OP_CREATE_TTL) {
		if (r->flags == 5 || r->flags == 6)
			return op;
		r->ttl = -1;
		return r->flags == 4 ? ZK_OP_CREATE_CONTAINER : ZK_OP_CREATE;
	}
	if (r->flags < 0 || r->flags > 4 || r->acl_null)
		return -1;
	return r->flags == 4 ? ZK_OP_CREATE_CONTAINER : op;
}

/* The next operation. False at the end, or with in->bad when the request is malformed. */
static bool next_op(struct jute_in *in, int32_t *type, struct prep_record *r)
{
	bool done;

	*type = get_header(in, &done);
	if (in->bad || done)
		return false;
	switch (*type) {
	case ZK_OP_CREATE:
	case ZK_OP_CREATE2:
	case ZK_OP_CREATE_CONTAINER:
	case ZK_OP_CREATE_TTL:
		if (prep_parse(*type, in, r))
			*type = create_type(*type, r);
		break;
	case ZK_OP_DELETE:
	case ZK_OP_SET_DATA:
	case ZK_OP_CHECK:
		if (!prep_parse(*type, in, r))
			return false;
		break;
	default:
		*type = -1;
		break;
	}
	if (in->bad || *type == -1 || !r->path.p) {
		in->bad = true;
		return false;
	}
	return true;
}

bool prep_multi_parse(struct zk_span body, struct prep_multi *m)
{
	struct jute_in in = jute_in_of(body);
	struct prep_record r;
	int32_t type;

	*m = (struct prep_multi){.reply_bytes = RESULT_HEADER_BYTES};
	while (next_op(&in, &type, &r)) {
		size_t n = prep_reply_max(type, &r);

		m->ops++;
		m->reply_bytes += RESULT_HEADER_BYTES + (n > ERROR_BYTES ? n : ERROR_BYTES);
	}
	return !in.bad;
}

static void put_error(struct jute_out *o, enum zk_err err)
{
	jute_put_i32(o, ZK_OP_ERROR);
	jute_put_i32(o, ERROR_BYTES);
	jute_put_i32(o, err);
}

enum zk_err prep_multi(struct prep_run *x, const struct prep_multi *m)
{
	struct pending *q = &x->p->pending;
	struct jute_in in = jute_in_of(x->in->body);
	struct jute_out *o = x->out;
	struct prep_record r;
	uint64_t promised = x->p->promises.tail;
	enum zk_err failed = ZK_EOK;
	enum zk_err whole = ZK_EOK; /* what refuses the request and not one operation */
	int32_t type;

	if (!pending_undo_begin(q, 2 * m->ops))
		return ZK_SYSTEMERROR;
	jute_put_i32(o, (int32_t)m->ops);
	while (next_op(&in, &type, &r)) {
		if (failed != ZK_EOK) {
			put_error(o, ZK_RUNTIMEINCONSISTENCY);
			continue;
		}
		struct jute_out start = *o;
		uint8_t *head = jute_room(o, 8);
		enum zk_err err = head ? prep_op(x, type, &r) : ZK_ETOOBIG;

		if (err == ZK_ETOOBIG || err == ZK_MARSHALLINGERROR) {
			whole = err;
			break;
		}
		if (err == ZK_EOK) {
			zk_put32(head, (uint32_t)type);
			zk_put32(head + 4, (uint32_t)(o->p - head - 8));
			continue;
		}
		*o = start;
		failed = err;
		pending_undo_rollback(q);
		promises_drop(&x->p->promises, promised);
		put_error(o, err);
	}
	/* The first pass saw all of this parse; only the output can have failed. */
	zk_assert(!in.bad);
	if (o->full)
		whole = ZK_ETOOBIG;
	if (whole != ZK_EOK) {
		pending_undo_rollback(q);
		promises_drop(&x->p->promises, promised);
	}
	pending_undo_end(q);
	return whole;
}
