/* SPDX-License-Identifier: Apache-2.0 */
#include "core/txn/apply.h"

#include "core/base/assert.h"

enum { RESULT_HEADER_BYTES = 9 };

/* One operation's body, decoded. */
struct body {
	struct zk_span path, data, acl;
	int32_t version; /* version, aversion or parentCVersion */
	bool ephemeral;
	int64_t ttl;
};

static struct zk_span get_acl(struct jute_in *in)
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

static bool parse(int32_t type, struct jute_in *in, struct body *b)
{
	*b = (struct body){.path = jute_bytes(in)};
	switch (type) {
	case ZK_OP_CREATE:
	case ZK_OP_CREATE2:
		b->data = jute_bytes(in);
		b->acl = get_acl(in);
		b->ephemeral = jute_bool(in);
		/* CreateTxnV0 ends here */
		b->version = !in->bad && jute_left(in) < 4 ? -1 : jute_i32(in);
		break;
	case ZK_OP_CREATE_CONTAINER:
	case ZK_OP_CREATE_TTL:
		b->data = jute_bytes(in);
		b->acl = get_acl(in);
		b->version = jute_i32(in);
		if (type == ZK_OP_CREATE_TTL)
			b->ttl = jute_i64(in);
		break;
	case ZK_OP_DELETE:
	case ZK_OP_DELETE_CONTAINER:
		break;
	case ZK_OP_SET_DATA:
	case ZK_OP_RECONFIG:
		b->data = jute_bytes(in);
		b->version = jute_i32(in);
		break;
	case ZK_OP_SET_ACL:
		b->acl = get_acl(in);
		b->version = jute_i32(in);
		break;
	case ZK_OP_CHECK:
		b->version = jute_i32(in);
		break;
	default:
		return false;
	}
	return !in->bad && b->path.p;
}

static uint64_t owner_of(int32_t type, const struct body *b, uint64_t client)
{
	if (type == ZK_OP_CREATE_CONTAINER)
		return ZK_OWNER_CONTAINER;
	if (type == ZK_OP_CREATE_TTL)
		return ZK_OWNER_TTL | ((uint64_t)b->ttl & (uint64_t)ZK_TTL_MAX_MS);
	return b->ephemeral ? client : 0;
}

static enum zk_err change(struct tree *t, int32_t type, const struct body *b, uint64_t client)
{
	switch (type) {
	case ZK_OP_CREATE:
	case ZK_OP_CREATE2:
	case ZK_OP_CREATE_CONTAINER:
	case ZK_OP_CREATE_TTL:
		return tree_create(t, b->path, b->data, b->acl, owner_of(type, b, client),
				   b->version);
	case ZK_OP_DELETE:
	case ZK_OP_DELETE_CONTAINER:
		return tree_delete(t, b->path);
	case ZK_OP_SET_DATA:
	case ZK_OP_RECONFIG:
		return tree_set_data(t, b->path, b->data, b->version);
	case ZK_OP_SET_ACL:
		return tree_set_acl(t, b->path, b->acl, b->version);
	default:
		zk_assert(type == ZK_OP_CHECK);
		return ZK_EOK;
	}
}

static void put_stat(struct tree *t, struct zk_span path, struct jute_out *o)
{
	struct zk_stat stat = {0};
	struct tree_ref ref;

	if (tree_find_newest(t, path, &ref))
		tree_stat(ref, &stat);
	jute_put_stat(o, &stat);
}

/* The result record of a successful operation. */
static void put_result(struct tree *t, int32_t type, struct zk_span path, struct jute_out *o)
{
	switch (type) {
	case ZK_OP_CREATE:
		jute_put_bytes(o, path);
		break;
	case ZK_OP_CREATE2:
	case ZK_OP_CREATE_CONTAINER:
	case ZK_OP_CREATE_TTL:
		jute_put_bytes(o, path);
		put_stat(t, path, o);
		break;
	case ZK_OP_SET_DATA:
	case ZK_OP_SET_ACL:
		put_stat(t, path, o);
		break;
	default:
		break;
	}
}

static bool apply_one(struct tree *t, struct jute_in *in, struct txn_result *res)
{
	struct body b;

	if (!parse(res->header.type, in, &b))
		return false;
	res->err = change(t, res->header.type, &b, res->header.client);
	if (res->err != ZK_EOK)
		res->tree_fails++;
	else if (res->reply)
		put_result(t, res->header.type, b.path, res->reply);
	return true;
}

/* ---- multi ------------------------------------------------------------------------------- */

static void put_multi_header(struct jute_out *o, int32_t type, bool done, int32_t err)
{
	uint8_t *p = jute_room(o, RESULT_HEADER_BYTES);

	if (!p)
		return;
	zk_put32(p, (uint32_t)type);
	p[4] = done;
	zk_put32(p + 5, (uint32_t)err);
}

static void put_multi_error(struct jute_out *o, int32_t err)
{
	put_multi_header(o, ZK_OP_ERROR, false, err);
	jute_put_i32(o, err);
}

/* createTTL and createContainer answer as create2 does. */
static int32_t result_type(int32_t type)
{
	return type == ZK_OP_CREATE_TTL || type == ZK_OP_CREATE_CONTAINER ? ZK_OP_CREATE2 : type;
}

/* Any error in it makes a multi a no-op. False: malformed. */
static bool multi_failed(struct jute_in in, int32_t n, bool *failed)
{
	*failed = false;
	for (int32_t i = 0; i < n && !in.bad; i++) {
		*failed = jute_i32(&in) == ZK_OP_ERROR || *failed;
		if (!jute_bytes(&in).p)
			return false;
	}
	return !in.bad;
}

/* Results of a failed multi: 0 before the error, its code at it, and what is stored after it. */
static void multi_errors(struct jute_in *in, int32_t n, struct jute_out *o)
{
	bool seen = false;

	for (int32_t i = 0; i < n; i++) {
		int32_t type = jute_i32(in);
		struct jute_in op = jute_in_of(jute_bytes(in));

		if (type != ZK_OP_ERROR) {
			put_multi_error(o, seen ? ZK_RUNTIMEINCONSISTENCY : ZK_EOK);
			continue;
		}
		seen = true;
		put_multi_error(o, jute_i32(&op));
	}
}

static bool multi_op(struct tree *t, struct jute_in *in, struct txn_result *res)
{
	int32_t type = jute_i32(in);
	struct jute_in op = jute_in_of(jute_bytes(in));
	struct body b;

	if (!parse(type, &op, &b))
		return false;
	enum zk_err err = change(t, type, &b, res->header.client);

	if (err != ZK_EOK) {
		res->tree_fails++;
		if (res->reply)
			put_multi_error(res->reply, err);
	} else if (res->reply) {
		put_multi_header(res->reply, result_type(type), false, 0);
		put_result(t, type, b.path, res->reply);
	}
	return true;
}

static bool apply_multi(struct tree *t, struct jute_in *in, struct txn_result *res)
{
	bool null, failed;
	int32_t n = jute_count(in, &null);

	if (in->bad || !multi_failed(*in, n, &failed))
		return false;
	if (failed && res->reply)
		multi_errors(in, n, res->reply);
	for (int32_t i = 0; i < n && !failed; i++) {
		if (!multi_op(t, in, res))
			return false;
	}
	if (res->reply)
		put_multi_header(res->reply, ZK_OP_ERROR, true, -1);
	return true;
}

/* ---- sessions ---------------------------------------------------------------------------- */

/* The list is absent in the old form, where a digest may stand in its place. */
static bool has_list(struct jute_in in, int32_t *n)
{
	bool null;

	*n = jute_count(&in, &null);
	for (int32_t i = 0; i < *n && !in.bad; i++)
		jute_bytes(&in);
	return !in.bad;
}

static void apply_close(struct tree *t, struct jute_in *in, struct txn_result *res)
{
	const struct tree_node *node = NULL;
	int32_t n;

	if (has_list(*in, &n)) {
		jute_i32(in);
		for (int32_t i = 0; i < n; i++) {
			if (tree_delete(t, jute_bytes(in)) != ZK_EOK)
				res->tree_fails++;
		}
	}
	while (tree_ephemeral_next(t, res->header.client, &node)) {
		if (tree_delete(t, tree_path(node)) != ZK_EOK) {
			res->tree_fails++;
			break; /* it would come up for ever */
		}
		node = NULL; /* the list has changed */
	}
}

enum zk_err txn_apply(struct tree *t, struct zk_span txn, struct txn_result *res)
{
	struct jute_in in = jute_in_of(txn);
	bool ok = true;

	res->err = ZK_EOK;
	res->timeout_ms = 0;
	res->tree_fails = 0;
	txn_get_header(&in, &res->header);
	if (in.bad)
		return ZK_EINVAL;
	tree_begin(t, res->header.zxid, res->header.time_ms);
	switch (res->header.type) {
	case ZK_OP_ERROR:
		res->err = (enum zk_err)jute_i32(&in);
		ok = !in.bad;
		break;
	case ZK_OP_MULTI:
		ok = apply_multi(t, &in, res);
		break;
	case ZK_OP_CREATE_SESSION:
		res->timeout_ms = jute_i32(&in);
		ok = !in.bad;
		break;
	case ZK_OP_CLOSE_SESSION:
		apply_close(t, &in, res);
		break;
	default: /* a check on its own, written by old servers, does nothing */
		ok = apply_one(t, &in, res);
		break;
	}
	tree_end(t);
	return ok ? ZK_EOK : ZK_EINVAL;
}
