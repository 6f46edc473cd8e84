/* SPDX-License-Identifier: Apache-2.0 */
#include "core/txn/apply.h"

#include "core/base/assert.h"

enum { RESULT_HEADER_BYTES = 9 };

static uint64_t owner_of(const struct txn_op *op, uint64_t client)
{
	if (op->type == ZK_OP_CREATE_CONTAINER)
		return ZK_OWNER_CONTAINER;
	if (op->type == ZK_OP_CREATE_TTL)
		return ZK_OWNER_TTL | ((uint64_t)op->ttl_ms & (uint64_t)ZK_TTL_MAX_MS);
	return op->ephemeral ? client : 0;
}

static enum zk_err create(struct tree *t, const struct txn_op *op, uint64_t client)
{
	enum zk_err err =
		tree_create(t, op->path, op->data, op->acl, owner_of(op, client), op->version);

	/* Only replay meets this: the snapshot has what came later than its zxid. */
	if (err == ZK_NODEEXISTS && op->type == ZK_OP_CREATE &&
	    tree_raise_parent(t, op->path, op->version) != ZK_EOK)
		return ZK_NONODE;
	return err;
}

static enum zk_err change(struct tree *t, const struct txn_op *op, uint64_t client)
{
	switch (op->type) {
	case ZK_OP_CREATE:
	case ZK_OP_CREATE2:
	case ZK_OP_CREATE_CONTAINER:
	case ZK_OP_CREATE_TTL:
		return create(t, op, client);
	case ZK_OP_DELETE:
	case ZK_OP_DELETE_CONTAINER:
		return tree_delete(t, op->path);
	case ZK_OP_SET_DATA:
	case ZK_OP_RECONFIG:
		return tree_set_data(t, op->path, op->data, op->version);
	case ZK_OP_SET_ACL:
		return tree_set_acl(t, op->path, op->acl, op->version);
	default: /* a check on its own, written by old servers, does nothing */
		zk_assert(op->type == ZK_OP_CHECK);
		return ZK_EOK;
	}
}

static void put_stat(struct tree *t, const struct txn_op *op, struct jute_out *o)
{
	struct zk_stat stat = {0};
	struct tree_ref ref;

	if (tree_find_newest(t, op->path, &ref))
		tree_stat(ref, &stat);
	/* zookeeper_stats has another text by now; DataTree takes the stat before that */
	if (op->type != ZK_OP_SET_ACL)
		stat.data_length = (int32_t)op->data.n;
	jute_put_stat(o, &stat);
}

/* The result record of a successful operation. */
static void put_result(struct tree *t, const struct txn_op *op, struct jute_out *o)
{
	switch (op->type) {
	case ZK_OP_CREATE:
		jute_put_bytes(o, op->path);
		break;
	case ZK_OP_CREATE2:
	case ZK_OP_CREATE_CONTAINER:
	case ZK_OP_CREATE_TTL:
		jute_put_bytes(o, op->path);
		put_stat(t, op, o);
		break;
	case ZK_OP_SET_DATA:
	case ZK_OP_SET_ACL:
		put_stat(t, op, o);
		break;
	default:
		break;
	}
}

static void apply_one(struct tree *t, const struct txn_op *op, struct txn_result *res)
{
	res->err = change(t, op, res->header.client);
	if (res->err != ZK_EOK)
		res->tree_fails++;
	else if (res->reply)
		put_result(t, op, res->reply);
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

/* Any error in it makes a multi a no-op. */
static bool multi_failed(const struct txn_op *multi)
{
	struct jute_in in = txn_list_begin(multi);
	struct txn_op op;

	while (txn_multi_next(&in, &op)) {
		if (op.type == ZK_OP_ERROR)
			return true;
	}
	return false;
}

/* Results of a failed multi: 0 before the error, its code at it, and what is stored after it. */
static void multi_errors(const struct txn_op *multi, struct jute_out *o)
{
	struct jute_in in = txn_list_begin(multi);
	struct txn_op op;
	bool seen = false;

	while (txn_multi_next(&in, &op)) {
		if (op.type != ZK_OP_ERROR) {
			put_multi_error(o, seen ? ZK_RUNTIMEINCONSISTENCY : ZK_EOK);
			continue;
		}
		seen = true;
		put_multi_error(o, op.err);
	}
}

static void multi_op(struct tree *t, const struct txn_op *op, struct txn_result *res)
{
	enum zk_err err = change(t, op, res->header.client);

	if (err != ZK_EOK) {
		res->tree_fails++;
		if (res->reply)
			put_multi_error(res->reply, err);
	} else if (res->reply) {
		put_multi_header(res->reply, result_type(op->type), false, 0);
		put_result(t, op, res->reply);
	}
}

static void apply_multi(struct tree *t, const struct txn_op *multi, struct txn_result *res)
{
	struct jute_in in = txn_list_begin(multi);
	bool failed = multi_failed(multi);
	struct txn_op op;

	if (failed && res->reply)
		multi_errors(multi, res->reply);
	while (!failed && txn_multi_next(&in, &op))
		multi_op(t, &op, res);
	if (res->reply)
		put_multi_header(res->reply, ZK_OP_ERROR, true, -1);
}

/* ---- sessions ---------------------------------------------------------------------------- */

static void apply_close(struct tree *t, const struct txn_op *op, struct txn_result *res)
{
	struct jute_in in = txn_list_begin(op);
	const struct tree_node *node = NULL;
	struct zk_span path;

	while (txn_path_next(&in, &path)) {
		if (tree_delete(t, path) != ZK_EOK)
			res->tree_fails++;
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
	struct txn_record r;

	if (txn_read(txn, &r) != ZK_EOK)
		return ZK_EINVAL;
	txn_apply_record(t, &r, res);
	return ZK_EOK;
}

/* DataTree.compareDigest() */
static enum txn_digest digest_compare(const struct tree *t, const struct txn_record *r)
{
	if (!r->has_digest || r->digest_version != TXN_DIGEST_VERSION || !tree_digest_stands(t))
		return TXN_DIGEST_NONE;
	return r->digest == tree_digest(t) ? TXN_DIGEST_RIGHT : TXN_DIGEST_WRONG;
}

void txn_apply_record(struct tree *t, const struct txn_record *r, struct txn_result *res)
{
	const struct txn_op *op = &r->op;

	res->header = r->header;
	res->err = ZK_EOK;
	res->timeout_ms = op->timeout_ms;
	res->tree_fails = 0;
	tree_begin(t, r->header.zxid, r->header.time_ms);
	switch (op->type) {
	case ZK_OP_ERROR:
		res->err = (enum zk_err)op->err;
		break;
	case ZK_OP_MULTI:
		apply_multi(t, op, res);
		break;
	case ZK_OP_CREATE_SESSION:
		break;
	case ZK_OP_CLOSE_SESSION:
		apply_close(t, op, res);
		break;
	default:
		apply_one(t, op, res);
		break;
	}
	tree_end(t);
	res->digest = digest_compare(t, r);
}
