/* SPDX-License-Identifier: Apache-2.0 */
#include "core/txn/op.h"

#include "core/base/assert.h"

/* Fields in order: p path, d data, a ACLs, e ephemeral, v version, V version or (CreateTxnV0)
 * nothing, t ttl, o timeout, x error code, l list of paths or nothing, m multi. */
struct op_type {
	int32_t type;
	bool alone, in_multi;
	const char *name, *fields;
};

static const struct op_type types[] = {
	{ZK_OP_CREATE, true, true, "create", "pdaeV"},
	{ZK_OP_CREATE2, true, true, "create2", "pdaev"},
	{ZK_OP_CREATE_CONTAINER, true, true, "createContainer", "pdav"},
	{ZK_OP_CREATE_TTL, true, true, "createTTL", "pdavt"},
	{ZK_OP_DELETE, true, true, "delete", "p"},
	{ZK_OP_DELETE_CONTAINER, true, true, "deleteContainer", "p"},
	{ZK_OP_SET_DATA, true, true, "setData", "pdv"},
	{ZK_OP_RECONFIG, true, true, "reconfig", "pdv"},
	{ZK_OP_SET_ACL, true, true, "setACL", "pav"},
	{ZK_OP_CHECK, true, true, "check", "pv"},
	{ZK_OP_CREATE_SESSION, true, false, "createSession", "o"},
	{ZK_OP_CLOSE_SESSION, true, false, "closeSession", "l"},
	{ZK_OP_ERROR, true, true, "error", "x"},
	{ZK_OP_MULTI, true, false, "multi", "m"},
};

static const struct op_type *find_type(int32_t type)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (types[i].type == type)
			return &types[i];
	}
	return NULL;
}

const char *txn_op_name(int32_t type)
{
	const struct op_type *t = find_type(type);

	return t ? t->name : NULL;
}

static struct zk_span take_acl(struct jute_in *in)
{
	const uint8_t *start = in->p;
	bool null;
	int32_t n = jute_count(in, &null);

	for (int32_t i = 0; i < n && !in->bad; i++) {
		jute_i32(in);
		jute_bytes(in);
		jute_bytes(in);
	}
	return zk_span_of(start, (size_t)(in->p - start));
}

static void take_paths(struct jute_in *in, struct txn_op *op)
{
	const uint8_t *start = in->p;
	struct jute_in try = *in;
	bool null;

	op->n = jute_count(&try, &null);
	for (int32_t i = 0; i < op->n && !try.bad; i++)
		try.bad = !jute_bytes(&try).p || try.bad;
	if (try.bad) {
		op->n = 0;
		op->no_list = true;
		in->p = in->end; /* nothing behind it can be trusted either */
		return;
	}
	op->list = zk_span_of(start, (size_t)(try.p - start));
	*in = try;
}

static bool read_op(const struct op_type *t, struct jute_in *in, struct txn_op *op);

static void take_multi(struct jute_in *in, struct txn_op *op)
{
	const uint8_t *start = in->p;
	bool null;

	op->n = jute_count(in, &null);
	for (int32_t i = 0; i < op->n && !in->bad; i++) {
		const struct op_type *t = find_type(jute_i32(in));
		struct zk_span body = jute_bytes(in);
		struct jute_in sub = jute_in_of(body);
		struct txn_op one;

		if (!body.p || !t || !t->in_multi || !read_op(t, &sub, &one))
			in->bad = true;
	}
	op->list = zk_span_of(start, (size_t)(in->p - start));
}

static void take_field(char field, struct jute_in *in, struct txn_op *op)
{
	switch (field) {
	case 'p':
		op->path = jute_bytes(in);
		in->bad = in->bad || !op->path.p;
		break;
	case 'd':
		op->data = jute_bytes(in);
		break;
	case 'a':
		op->acl = take_acl(in);
		break;
	case 'e':
		op->ephemeral = jute_bool(in);
		break;
	case 'V':
		op->version = !in->bad && jute_left(in) < 4 ? -1 : jute_i32(in);
		break;
	case 'v':
		op->version = jute_i32(in);
		break;
	case 't':
		op->ttl_ms = jute_i64(in);
		break;
	case 'o':
		op->timeout_ms = jute_i32(in);
		break;
	case 'x':
		op->err = jute_i32(in);
		break;
	case 'l':
		take_paths(in, op);
		break;
	default:
		zk_assert(field == 'm');
		take_multi(in, op);
		break;
	}
}

/* A multi holds no multi, so this goes two deep at most. */
static bool read_op(const struct op_type *t, struct jute_in *in, struct txn_op *op)
{
	*op = (struct txn_op){.type = t->type, .name = t->name};
	for (const char *f = t->fields; *f; f++)
		take_field(*f, in, op);
	return !in->bad;
}

enum zk_err txn_read(struct zk_span payload, struct txn_record *out)
{
	struct jute_in in = jute_in_of(payload);
	const struct op_type *t;

	*out = (struct txn_record){0};
	if (payload.n < TXN_HEADER_BYTES)
		return ZK_EINVAL;
	txn_get_header(&in, &out->header);
	t = find_type(out->header.type);
	if (!t)
		return ZK_ENOTSUP;
	if (!read_op(t, &in, &out->op))
		return ZK_EINVAL;
	out->bytes = zk_span_of(payload.p, payload.n - jute_left(&in));
	if (jute_left(&in) >= TXN_DIGEST_BYTES) {
		out->has_digest = true;
		out->digest_version = jute_i32(&in);
		out->digest = (uint64_t)jute_i64(&in);
	}
	return ZK_EOK;
}

struct jute_in txn_list_begin(const struct txn_op *op)
{
	struct jute_in in = jute_in_of(op->list);

	if (op->list.n)
		jute_i32(&in);
	return in;
}

bool txn_multi_next(struct jute_in *cursor, struct txn_op *out)
{
	const struct op_type *t;
	struct jute_in sub;

	if (cursor->bad || jute_left(cursor) == 0)
		return false;
	t = find_type(jute_i32(cursor));
	sub = jute_in_of(jute_bytes(cursor));
	return t && !cursor->bad && read_op(t, &sub, out);
}

bool txn_path_next(struct jute_in *cursor, struct zk_span *path)
{
	if (cursor->bad || jute_left(cursor) == 0)
		return false;
	*path = jute_bytes(cursor);
	return !cursor->bad;
}
