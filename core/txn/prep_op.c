/* SPDX-License-Identifier: Apache-2.0 */
/* One write operation: checks in the order of spec/semantics.md section 4, then its effects on the
 * pending state. */
#include "core/txn/path.h"
#include "core/txn/prep_int.h"

#include "core/base/assert.h"

/* {world:anyone, ALL}, what nearly every request carries. */
static const uint8_t open_acl[] = {0,   0,   0,   1, 0, 0, 0, 31,  0,   0,   0,   5,   'w', 'o',
				   'r', 'l', 'd', 0, 0, 0, 6, 'a', 'n', 'y', 'o', 'n', 'e'};

enum { SEQUENCE_BYTES = 11, FLAGS_MAX = 6 };

static void skip_acl(struct jute_in *in, struct prep_record *r)
{
	const uint8_t *start = in->p;
	int32_t n = jute_count(in, &r->acl_null);

	for (int32_t i = 0; i < n && !in->bad; i++) {
		jute_i32(in);
		jute_bytes(in);
		jute_bytes(in);
	}
	r->acl = zk_span_of(start, (size_t)(in->p - start));
}

bool prep_parse(int32_t op, struct jute_in *in, struct prep_record *r)
{
	*r = (struct prep_record){.ttl = -1};
	r->path = jute_bytes(in);
	switch (op) {
	case ZK_OP_CREATE:
	case ZK_OP_CREATE2:
	case ZK_OP_CREATE_CONTAINER:
	case ZK_OP_CREATE_TTL:
		r->data = jute_bytes(in);
		skip_acl(in, r);
		r->flags = jute_i32(in);
		if (op == ZK_OP_CREATE_TTL)
			r->ttl = jute_i64(in);
		break;
	case ZK_OP_DELETE:
	case ZK_OP_CHECK:
		r->version = jute_i32(in);
		break;
	case ZK_OP_SET_DATA:
		r->data = jute_bytes(in);
		r->version = jute_i32(in);
		break;
	case ZK_OP_SET_ACL:
		skip_acl(in, r);
		r->version = jute_i32(in);
		break;
	default:
		return false;
	}
	return !in->bad;
}

size_t prep_reply_max(int32_t op, const struct prep_record *r)
{
	switch (op) {
	case ZK_OP_CREATE:
	case ZK_OP_CREATE2:
	case ZK_OP_CREATE_CONTAINER:
	case ZK_OP_CREATE_TTL:
		return 4 + r->path.n + SEQUENCE_BYTES + ZK_STAT_BYTES;
	case ZK_OP_SET_DATA:
	case ZK_OP_SET_ACL:
		return ZK_STAT_BYTES;
	default:
		return 0;
	}
}

static const struct auth_ids *caller(struct prep_run *x)
{
	if (!x->ids_parsed) {
		/* Our own cores encode them; should they not parse, the caller is nobody. */
		if (auth_ids_parse(x->in->ids, &x->ids) != ZK_EOK)
			x->ids.n = 0;
		x->ids_parsed = true;
	}
	return &x->ids;
}

static bool allowed(struct prep_run *x, const struct pend_view *v, int32_t perm)
{
	if (v->acl) {
		if (v->acl->open_all)
			return true;
		return auth_allows(x->p->conf.auth, v->acl, perm, caller(x));
	}
	if (zk_span_eq(v->acl_jute, zk_span_of(open_acl, sizeof(open_acl))))
		return true;
	return auth_allows_jute(x->p->conf.auth, v->acl_jute, perm, caller(x));
}

static bool can_take(const struct prep_run *x, size_t bytes)
{
	struct prep *p = x->p;

	bytes += txn_bytes_used(&p->bytes) + jute_out_len(x->out);
	if (zk_likely(tree_can_take(p->conf.tree, bytes)))
		return true;
	p->refused_memory++;
	return false;
}

/* fixupACL into the transaction; *acl is what was written. */
static enum zk_err put_acl(struct prep_run *x, const struct prep_record *r, struct zk_span *acl)
{
	struct jute_out *o = x->out;
	size_t room = o->full ? 0 : (size_t)(o->end - o->p), n;

	if (zk_likely(zk_span_eq(r->acl, zk_span_of(open_acl, sizeof(open_acl))))) {
		*acl = zk_span_of(o->p, r->acl.n);
		jute_put_raw(o, r->acl);
		return ZK_EOK;
	}
	if (room < 4)
		return ZK_ETOOBIG;

	struct jute_in in = jute_in_of(r->acl);
	enum zk_err err = auth_fixup(x->p->conf.auth, &in, caller(x), o->p, room, &n);

	if (err != ZK_EOK)
		return err;
	*acl = zk_span_of(o->p, n);
	o->p += n;
	return ZK_EOK;
}

/* %010d as Java prints it: ten places, the sign among them. */
static void put_sequence(struct jute_out *o, int32_t v)
{
	uint8_t text[SEQUENCE_BYTES];
	uint64_t u = v < 0 ? (uint64_t) - (int64_t)v : (uint64_t)v;
	unsigned at = SEQUENCE_BYTES, low = v < 0 ? 2 : 1;

	while (u || at > low) {
		text[--at] = (uint8_t)('0' + u % 10);
		u /= 10;
	}
	if (v < 0)
		text[--at] = '-';
	jute_put_raw(o, zk_span_of(text + at, SEQUENCE_BYTES - at));
}

static bool is_session(const struct prep *p, uint64_t owner)
{
	if (owner == 0 || owner == ZK_OWNER_CONTAINER)
		return false;
	return !(p->conf.extended_types && (owner & ZK_OWNER_TTL) == ZK_OWNER_TTL);
}

struct create_mode {
	bool ephemeral, sequential, ttl;
};

static enum zk_err create_check(const struct prep_run *x, int32_t type, const struct prep_record *r,
				struct create_mode *m)
{
	enum zk_err session = x->in->session_err;

	if (r->flags < 0 || r->flags > FLAGS_MAX)
		return ZK_BADARGUMENTS;
	m->ephemeral = r->flags == 1 || r->flags == 3;
	m->sequential = r->flags == 2 || r->flags == 3 || r->flags == 6;
	m->ttl = r->flags >= 5;
	if (m->ttl && !x->p->conf.extended_types)
		return ZK_UNIMPLEMENTED;
	if (m->ttl ? r->ttl <= 0 || r->ttl > ZK_TTL_MAX_MS : r->ttl >= 0)
		return ZK_BADARGUMENTS;
	if (type == ZK_OP_CREATE_TTL && !m->ttl) /* a TTL transaction needs a TTL */
		return ZK_BADARGUMENTS;
	if (m->ephemeral && (x->in->local_session || session == ZK_UNKNOWNSESSION))
		return ZK_SESSIONEXPIRED; /* checkGlobalSession() */
	if (session != ZK_EOK)
		return session;
	return r->path.p ? ZK_EOK : ZK_MARSHALLINGERROR;
}

static uint64_t create_owner(const struct prep_run *x, int32_t type, const struct prep_record *r,
			     const struct create_mode *m)
{
	if (type == ZK_OP_CREATE_CONTAINER)
		return ZK_OWNER_CONTAINER;
	if (type == ZK_OP_CREATE_TTL)
		return ZK_OWNER_TTL | (uint64_t)r->ttl;
	return m->ephemeral ? x->in->session : 0;
}

static void create_effects(struct prep_run *x, struct pend_view *parent, size_t parent_n,
			   struct pend_view *node, struct zk_span data, struct zk_span acl,
			   uint64_t owner)
{
	struct pending *q = &x->p->pending;
	uint64_t zxid = x->in->zxid;
	struct pend_change *c = pending_touch(q, parent, zk_span_of(node->path.p, parent_n), zxid);

	c->cversion = (int32_t)((uint32_t)c->cversion + 1);
	c->children++;
	c->pzxid = zxid;
	pending_sum(q, c);
	c = pending_touch(q, node, node->path, zxid);
	c->exists = true;
	c->czxid = c->mzxid = c->pzxid = zxid;
	c->ctime = c->mtime = x->in->time_ms;
	c->version = c->cversion = c->aversion = 0;
	c->children = 0;
	c->data_len = node->data_len;
	c->owner = owner;
	c->acl = acl;
	c->acl_zxid = zxid;
	pending_sum_data(q, c, data);
	x->ephemeral = x->ephemeral || owner == x->in->session;
}

static enum zk_err op_create(struct prep_run *x, int32_t type, const struct prep_record *r)
{
	struct jute_out *o = x->out;
	struct create_mode m;
	struct zk_span parent_path, path, acl;
	struct pend_view parent, node;
	enum zk_err err = create_check(x, type, r, &m);

	if (err != ZK_EOK)
		return err;
	if (!txn_path_parent(r->path, &parent_path))
		return ZK_BADARGUMENTS;

	/* The body's fields come in another order than the checks: the parent is looked at early
	 * for the name, and judged when its turn comes. */
	bool have_parent = pending_find(&x->p->pending, parent_path, &parent);
	uint8_t *length = jute_room(o, 4);

	path.p = o->p;
	jute_put_raw(o, r->path);
	if (m.sequential && have_parent)
		put_sequence(o, parent.cversion);
	path.n = (size_t)(o->p - path.p);
	if (length)
		zk_put32(length, (uint32_t)path.n);
	jute_put_bytes(o, r->data);
	err = put_acl(x, r, &acl);
	if (err != ZK_EOK)
		return err;
	if (o->full)
		return ZK_ETOOBIG;
	if (!have_parent)
		return ZK_NONODE;
	if (!allowed(x, &parent, ZK_PERM_CREATE))
		return ZK_NOAUTH;
	if (!txn_path_valid(path))
		return ZK_BADARGUMENTS;
	if (pending_find(&x->p->pending, path, &node))
		return ZK_NODEEXISTS;
	if (is_session(x->p, parent.owner))
		return ZK_NOCHILDRENFOREPHEMERALS;
	err = prep_quota(x, path, 1, (int64_t)r->data.n);
	if (err != ZK_EOK)
		return err;
	if (!can_take(x, path.n + r->data.n + acl.n))
		return ZK_SYSTEMERROR;

	if (type == ZK_OP_CREATE || type == ZK_OP_CREATE2)
		jute_put_bool(o, m.ephemeral);
	jute_put_i32(o, (int32_t)((uint32_t)parent.cversion + 1));
	if (type == ZK_OP_CREATE_TTL)
		jute_put_i64(o, r->ttl);
	if (o->full)
		return ZK_ETOOBIG;
	node.data_len = (uint32_t)r->data.n;
	create_effects(x, &parent, parent.path.n, &node, r->data, acl,
		       create_owner(x, type, r, &m));
	promises_make(&x->p->promises, x->in->zxid, path, 1, (int64_t)r->data.n);
	return ZK_EOK;
}

/* DeleteTxn and its effects. */
static enum zk_err delete_node(struct prep_run *x, struct pend_view *parent, size_t parent_n,
			       struct pend_view *node)
{
	struct pending *q = &x->p->pending;

	jute_put_bytes(x->out, node->path);
	if (x->out->full)
		return ZK_ETOOBIG;

	struct zk_span path = zk_span_of(x->out->p - node->path.n, node->path.n);
	struct pend_change *c = pending_touch(q, parent, zk_span_of(path.p, parent_n), x->in->zxid);

	zk_assert(c->children > 0);
	c->children--;
	c->pzxid = x->in->zxid;
	pending_sum(q, c);
	c = pending_touch(q, node, path, x->in->zxid);
	c->exists = false;
	pending_sum(q, c);
	promises_make(&x->p->promises, x->in->zxid, path, -1, -(int64_t)node->data_len);
	return ZK_EOK;
}

static enum zk_err op_delete(struct prep_run *x, const struct prep_record *r)
{
	struct pending *q = &x->p->pending;
	struct pend_view parent, node;
	struct zk_span parent_path;

	if (x->in->session_err != ZK_EOK)
		return x->in->session_err;
	if (!r->path.p)
		return ZK_MARSHALLINGERROR;
	if (!txn_path_parent(r->path, &parent_path) || txn_path_special(r->path))
		return ZK_BADARGUMENTS;
	if (!pending_find(q, parent_path, &parent))
		return ZK_NONODE;
	if (!allowed(x, &parent, ZK_PERM_DELETE))
		return ZK_NOAUTH;
	if (!pending_find(q, r->path, &node))
		return ZK_NONODE;
	if (r->version != -1 && r->version != node.version)
		return ZK_BADVERSION;
	if (node.children > 0)
		return ZK_NOTEMPTY;
	return delete_node(x, &parent, parent_path.n, &node);
}

/* By the reaper, which is no session and asks no ACL. */
static enum zk_err op_delete_container(struct prep_run *x, const struct prep_record *r)
{
	struct pending *q = &x->p->pending;
	struct pend_view parent, node;
	struct zk_span parent_path;

	if (!txn_path_parent(r->path, &parent_path) || txn_path_special(r->path))
		return ZK_BADARGUMENTS;
	if (!pending_find(q, r->path, &node))
		return ZK_NONODE;
	if (node.children > 0)
		return ZK_NOTEMPTY;
	if (is_session(x->p, node.owner))
		return ZK_BADVERSION;
	if (!pending_find(q, parent_path, &parent))
		return ZK_NONODE;
	return delete_node(x, &parent, parent_path.n, &node);
}

static enum zk_err op_set_data(struct prep_run *x, const struct prep_record *r)
{
	struct pending *q = &x->p->pending;
	struct pend_view node;

	if (x->in->session_err != ZK_EOK)
		return x->in->session_err;
	if (!txn_path_valid(r->path))
		return ZK_BADARGUMENTS;
	if (!pending_find(q, r->path, &node))
		return ZK_NONODE;
	if (!allowed(x, &node, ZK_PERM_WRITE))
		return ZK_NOAUTH;

	int64_t more = (int64_t)r->data.n - node.data_len;
	enum zk_err err = prep_quota(x, r->path, 0, more);

	if (err != ZK_EOK)
		return err;
	if (r->version != -1 && r->version != node.version)
		return ZK_BADVERSION;
	if (!can_take(x, r->data.n))
		return ZK_SYSTEMERROR;

	int32_t version = (int32_t)((uint32_t)node.version + 1);

	jute_put_bytes(x->out, r->path);
	struct zk_span path = zk_span_of(x->out->p - r->path.n, r->path.n);

	jute_put_bytes(x->out, r->data);
	jute_put_i32(x->out, version);
	if (x->out->full)
		return ZK_ETOOBIG;
	struct pend_change *c = pending_touch(q, &node, path, x->in->zxid);

	c->version = version;
	c->data_len = (uint32_t)r->data.n;
	c->mzxid = x->in->zxid;
	c->mtime = x->in->time_ms;
	pending_sum_data(q, c, r->data);
	promises_make(&x->p->promises, x->in->zxid, path, 0, more);
	return ZK_EOK;
}

static enum zk_err op_set_acl(struct prep_run *x, const struct prep_record *r)
{
	struct pending *q = &x->p->pending;
	struct pend_view node;
	struct zk_span acl;

	if (x->in->session_err != ZK_EOK)
		return x->in->session_err;
	if (!txn_path_valid(r->path))
		return ZK_BADARGUMENTS;
	jute_put_bytes(x->out, r->path);
	struct zk_span path = zk_span_of(x->out->p - r->path.n, r->path.n);
	enum zk_err err = put_acl(x, r, &acl);

	if (err != ZK_EOK)
		return err;
	if (!pending_find(q, r->path, &node))
		return ZK_NONODE;
	if (!allowed(x, &node, ZK_PERM_ADMIN))
		return ZK_NOAUTH;
	if (r->version != -1 && r->version != node.aversion)
		return ZK_BADVERSION;
	if (!can_take(x, acl.n))
		return ZK_SYSTEMERROR;

	int32_t aversion = (int32_t)((uint32_t)node.aversion + 1);

	jute_put_i32(x->out, aversion);
	if (x->out->full)
		return ZK_ETOOBIG;
	struct pend_change *c = pending_touch(q, &node, path, x->in->zxid);

	c->aversion = aversion;
	pending_sum(q, c);
	c->acl = acl;
	c->acl_zxid = x->in->zxid;
	return ZK_EOK;
}

static enum zk_err op_check(struct prep_run *x, const struct prep_record *r)
{
	struct pend_view node;

	if (x->in->session_err != ZK_EOK)
		return x->in->session_err;
	if (!txn_path_valid(r->path))
		return ZK_BADARGUMENTS;
	if (!pending_find(&x->p->pending, r->path, &node))
		return ZK_NONODE;
	if (!allowed(x, &node, ZK_PERM_READ))
		return ZK_NOAUTH;
	if (r->version != -1 && r->version != node.version)
		return ZK_BADVERSION;
	jute_put_bytes(x->out, r->path);
	jute_put_i32(x->out, (int32_t)((uint32_t)node.version + 1));
	return x->out->full ? ZK_ETOOBIG : ZK_EOK;
}

enum zk_err prep_op(struct prep_run *x, int32_t type, const struct prep_record *r)
{
	switch (type) {
	case ZK_OP_CREATE:
	case ZK_OP_CREATE2:
	case ZK_OP_CREATE_CONTAINER:
	case ZK_OP_CREATE_TTL:
		return op_create(x, type, r);
	case ZK_OP_DELETE:
		return op_delete(x, r);
	case ZK_OP_DELETE_CONTAINER:
		return op_delete_container(x, r);
	case ZK_OP_SET_DATA:
		return op_set_data(x, r);
	case ZK_OP_SET_ACL:
		return op_set_acl(x, r);
	default:
		zk_assert(type == ZK_OP_CHECK);
		return op_check(x, r);
	}
}
