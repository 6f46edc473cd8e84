/* SPDX-License-Identifier: Apache-2.0 */
/* Replay: DataTree.processTxn. */
#include "core/base/hash.h"
#include "core/jute/proto.h"
#include "ctl/tool/model.h"
#include "ctl/tool/out.h"

#include <stdlib.h>

static void raise_parent(struct model *m, struct model_node *parent, int32_t cversion,
			 uint64_t zxid)
{
	if (cversion == -1)
		cversion = (int32_t)((uint32_t)parent->stat.cversion + 1);
	if (cversion <= parent->stat.cversion)
		return;
	model_unsum(m, parent);
	parent->stat.cversion = cversion;
	parent->stat.pzxid = zxid;
	model_sum(m, parent);
}

static uint64_t owner_of(const struct txn_op *op, const struct txn_header *h)
{
	if (op->type == ZK_OP_CREATE_CONTAINER)
		return ZK_OWNER_CONTAINER;
	if (op->type == ZK_OP_CREATE_TTL)
		return ZK_OWNER_TTL | ((uint64_t)op->ttl_ms & (uint64_t)ZK_TTL_MAX_MS);
	return op->ephemeral ? h->client : 0;
}

static bool create(struct model *m, const struct txn_op *op, const struct txn_header *h)
{
	struct model_node *parent = model_find(m, model_parent_path(op->path));
	struct store_stat st = {.czxid = h->zxid,
				.mzxid = h->zxid,
				.pzxid = h->zxid,
				.ctime = h->time_ms,
				.mtime = h->time_ms,
				.owner = owner_of(op, h)};

	if (!parent || op->path.n < 2 || op->path.p[0] != '/')
		return false;
	if (model_find(m, op->path)) {
		if (op->type == ZK_OP_CREATE)
			raise_parent(m, parent, op->version, h->zxid);
		return false;
	}
	raise_parent(m, parent, op->version, h->zxid);
	model_add(m, parent, op->path, op->data, &st);
	return true;
}

static bool delete (struct model *m, struct zk_span path, uint64_t zxid)
{
	struct model_node *n = model_find(m, path), *parent;

	if (n && !n->parent)
		return false; /* the root */
	parent = n ? n->parent : model_find(m, model_parent_path(path));
	if (parent && zxid > parent->stat.pzxid) {
		model_unsum(m, parent);
		parent->stat.pzxid = zxid;
		model_sum(m, parent);
	}
	if (!n)
		return false;
	while (n->child) { /* only over a fuzzy snapshot */
		struct model_node *leaf = n->child;

		while (leaf->child)
			leaf = leaf->child;
		model_remove(m, leaf);
	}
	model_remove(m, n);
	return true;
}

static bool set_data(struct model *m, const struct txn_op *op, const struct txn_header *h)
{
	struct model_node *n = model_find(m, op->path);

	if (!n)
		return false;
	model_unsum(m, n);
	free((void *)(uintptr_t)n->data.p);
	n->data = model_copy(op->data);
	n->stat.mzxid = h->zxid;
	n->stat.mtime = h->time_ms;
	n->stat.version = op->version;
	model_sum(m, n);
	return true;
}

static bool set_acl(struct model *m, const struct txn_op *op)
{
	struct model_node *n = model_find(m, op->path);

	if (!n)
		return false;
	model_unsum(m, n);
	n->stat.aversion = op->version;
	model_sum(m, n);
	return true;
}

static bool apply_op(struct model *m, const struct txn_op *op, const struct txn_header *h)
{
	switch (op->type) {
	case ZK_OP_CREATE:
	case ZK_OP_CREATE2:
	case ZK_OP_CREATE_CONTAINER:
	case ZK_OP_CREATE_TTL:
		return create(m, op, h);
	case ZK_OP_DELETE:
	case ZK_OP_DELETE_CONTAINER:
		return delete (m, op->path, h->zxid);
	case ZK_OP_SET_DATA:
	case ZK_OP_RECONFIG:
		return set_data(m, op, h);
	case ZK_OP_SET_ACL:
		return set_acl(m, op);
	default:
		return true;
	}
}

static void apply_multi(struct model *m, const struct txn_record *txn)
{
	struct jute_in in = txn_list_begin(&txn->op);
	struct txn_op op;

	while (txn_multi_next(&in, &op)) {
		if (op.type == ZK_OP_ERROR)
			return; /* one failed: none was done */
	}
	in = txn_list_begin(&txn->op);
	while (txn_multi_next(&in, &op))
		m->refused += !apply_op(m, &op, &txn->header);
}

static void close_session(struct model *m, const struct txn_record *txn)
{
	struct jute_in in = txn_list_begin(&txn->op);
	uint64_t id = txn->header.client;
	struct model_node *n;
	struct zk_span path;

	while (txn_path_next(&in, &path))
		m->refused += !delete (m, path, txn->header.zxid);
	do { /* from the start each time: a delete may take others along */
		n = m->owned[zk_mix64(id) % MODEL_BUCKETS];
		while (n && n->stat.owner != id)
			n = n->owned_next;
	} while (n && delete (m, n->path, txn->header.zxid));
	model_session_drop(m, id);
}

void model_apply(struct model *m, const struct txn_record *txn)
{
	switch (txn->op.type) {
	case ZK_OP_MULTI:
		apply_multi(m, txn);
		break;
	case ZK_OP_CREATE_SESSION:
		model_session_put(m, txn->header.client, txn->op.timeout_ms);
		break;
	case ZK_OP_CLOSE_SESSION:
		close_session(m, txn);
		break;
	default:
		m->refused += !apply_op(m, &txn->op, &txn->header);
	}
	if (txn->header.zxid > m->last_zxid)
		m->last_zxid = txn->header.zxid;
}
