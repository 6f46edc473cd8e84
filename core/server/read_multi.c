/* SPDX-License-Identifier: Apache-2.0 */
/* multiRead (spec/client-protocol.md section 6; FinalRequestProcessor, MultiOperationRecord). */
#include "core/server/srv_int.h"

enum multi_kind { MULTI_BAD, MULTI_EMPTY, MULTI_READS, MULTI_WRITES };

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

/** Apache reads the whole record before it does anything. */
static enum multi_kind multi_check(struct jute_in in)
{
	enum multi_kind all = MULTI_EMPTY;

	for (;;) { /* bound: the frame */
		int32_t type = jute_i32(&in);
		bool done = jute_bool(&in);
		enum multi_kind kind;

		(void)jute_i32(&in);
		if (in.bad)
			return MULTI_BAD;
		if (done)
			return all;
		kind = skip_op(&in, type);
		if (in.bad || kind == MULTI_BAD || (all != MULTI_EMPTY && all != kind))
			return MULTI_BAD;
		all = kind;
	}
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

static void put_children(struct read_build *b, struct srv *s, struct tree_ref ref)
{
	const struct tree_node *node;
	uint64_t cursor = 0;
	size_t at = b->n;
	int32_t names = 0;

	build_i32(b, 0);
	/* in one go: bound: the children. A client that wants to list long asks with getChildren */
	while (!b->failed && tree_child_next(ref, s->visible, &cursor, UINT32_MAX, &node)) {
		if (!node)
			continue;
		build_bytes(b, tree_name(node));
		names++;
	}
	if (!b->failed)
		zk_put32(b->p + at, (uint32_t)names);
}

static void multi_one(struct srv_conn *c, struct read_build *b, int32_t type, struct zk_span path)
{
	enum zk_err err = ZK_EOK;
	struct tree_ref ref;

	if (!tree_find(c->s->tree, path, c->s->visible, &ref))
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
	} else {
		put_children(b, c->s, ref);
	}
}

void read_multi(struct srv_conn *c, struct read_req *q)
{
	enum multi_kind kind = multi_check(q->in);
	struct jute_in in = q->in;
	enum zk_err err = ZK_EOK;
	struct read_build b;

	if (kind == MULTI_BAD) {
		read_error(c, q->xid, q->op, ZK_MARSHALLINGERROR);
		return;
	}
	build_start(&b, c->s);
	if (kind == MULTI_WRITES)
		err = ZK_MARSHALLINGERROR; /* of the first one: no results so far */
	while (err == ZK_EOK && kind == MULTI_READS && !b.failed) {
		int32_t type = jute_i32(&in);
		bool done = jute_bool(&in);
		struct zk_span path;

		(void)jute_i32(&in);
		if (done)
			break;
		path = jute_bytes(&in);
		(void)jute_bool(&in);
		if (path.p)
			multi_one(c, &b, type, path);
		else
			err = ZK_MARSHALLINGERROR;
	}
	put_header(&b, ZK_OP_ERROR, true, -1);
	build_send(c, &b, q->xid, q->op, c->s->visible, err);
}
