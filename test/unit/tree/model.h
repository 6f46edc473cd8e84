/* SPDX-License-Identifier: Apache-2.0 */
/** A ZooKeeper tree so simple that it is right: a flat array of all paths that can exist, copied as
 * a whole for every transaction. The tree under test is compared with it. */
#ifndef TEST_TREE_MODEL_H
#define TEST_TREE_MODEL_H

#include "core/tree/tree.h"

enum {
	MODEL_WIDTH = 5, /* names per level */
	MODEL_DEPTH = 3,
	MODEL_NODES = 1 + 5 + 25 + 125,
	MODEL_HISTORY = 256,      /* states kept */
	MODEL_CHANGES_MAX = 4096, /* of one transaction */
	MODEL_ACLS = 5,
	MODEL_SESSIONS = 4
};

struct model_node {
	bool exists;
	uint64_t czxid, mzxid, pzxid, owner;
	int64_t ctime, mtime;
	int32_t version, cversion, aversion;
	uint32_t children;
	bool data_null;
	uint32_t data_len, data_seed;
	unsigned acl;
};

struct model_change {
	enum tree_change_kind kind;
	unsigned node, acl, parent_acl;
};

struct model_state {
	uint64_t zxid;
	struct model_node n[MODEL_NODES];
	unsigned n_changes;
	struct model_change changes[MODEL_CHANGES_MAX];
};

struct model {
	struct model_state *past; /* ring of MODEL_HISTORY, by zxid */
	struct model_state now;
	int64_t time_ms;
	char paths[MODEL_NODES][MODEL_DEPTH * 4 + 2];
};

struct model_data {
	uint32_t len, seed;
	bool null;
};

void model_init(struct model *m);
void model_fini(struct model *m);
const struct model_state *model_at(const struct model *m, uint64_t zxid);

/** Node 0 is the root; children of i are i * width + 1 ... */
static inline unsigned model_parent(unsigned i)
{
	return i ? (i - 1) / MODEL_WIDTH : 0;
}

/** Encoded list number @p acl into @p buf, 64 bytes; 0 is the empty one. */
struct zk_span model_acl(unsigned acl, uint8_t *buf);
/** The bytes of @p d. */
void model_data_bytes(struct model_data d, uint8_t *out);

void model_begin(struct model *m, uint64_t zxid, int64_t time_ms);
void model_end(struct model *m);
enum zk_err model_create(struct model *m, unsigned i, struct model_data d, unsigned acl,
			 uint64_t owner, int32_t parent_cversion);
enum zk_err model_delete(struct model *m, unsigned i);
enum zk_err model_set_data(struct model *m, unsigned i, struct model_data d, int32_t version);
enum zk_err model_set_acl(struct model *m, unsigned i, unsigned acl, int32_t aversion);
enum zk_err model_raise_parent(struct model *m, unsigned i, int32_t parent_cversion);

/** Compare what @p ref holds with node @p i of @p s; cmocka assertions. */
void model_check_ref(const struct model *m, const struct model_state *s, unsigned i,
		     struct tree_ref ref);
/** Look node @p i up at s->zxid and compare, missing or not. */
void model_check_node(const struct model *m, const struct model_state *s, unsigned i,
		      const struct tree *t);
/** Number of the child of @p parent that @p n is; MODEL_NODES for /zookeeper. */
unsigned model_child_index(const struct model *m, unsigned parent, const struct tree_node *n);

#endif
