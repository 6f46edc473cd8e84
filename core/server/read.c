/* SPDX-License-Identifier: Apache-2.0 */
/* Reads of one node: exists, getData, getACL; who am I. Order of checks: spec/semantics.md section
 * 5 (FinalRequestProcessor). */
#include "core/server/read_job.h"

bool read_allowed(struct srv_conn *c, const struct acl_list *acl, int32_t perm)
{
	struct auth_ids ids;

	if (zk_likely(acl->open_all))
		return true;
	if (auth_ids_parse(zk_span_of(c->ids, c->ids_n), &ids) != ZK_EOK)
		return false;
	return auth_allows(&c->s->sh->auth, acl, perm, &ids);
}

bool read_find(struct srv_conn *c, struct read_req *q, struct zk_span path, struct tree_ref *ref)
{
	struct srv *s = c->s;

	if (zk_likely(q->hashed))
		return tree_find_hashed(s->tree, path, q->hash, s->visible, ref);
	return tree_find(s->tree, path, s->visible, ref);
}

bool read_watch_set(struct srv_conn *c, struct zk_span path, unsigned bits)
{
	if (watch_set(c->s->watch, path, c->index, bits) == ZK_EOK)
		return true;
	/* a client that believes in a watch it does not have is worse off than one that reconnects
	 */
	c->s->n.watches_refused++;
	conn_doom(c);
	return false;
}

void read_error(struct srv_conn *c, int32_t xid, int32_t op, enum zk_err err)
{
	bool spilled;
	uint8_t *p = out_room(c, 4 + ZK_REPLY_HEADER_BYTES, &spilled);

	if (!p)
		return;
	(void)reply_head(p, 0, xid, c->s->visible, err);
	out_done(c, 4 + ZK_REPLY_HEADER_BYTES, spilled);
	conn_answered(c, xid, op, c->s->visible, ZK_REPLY_HEADER_BYTES);
}

static uint8_t *put_stat(uint8_t *p, struct tree_ref ref)
{
	struct jute_out out = jute_out_of(p, ZK_STAT_BYTES);
	struct zk_stat stat;

	tree_stat(ref, &stat);
	jute_put_stat(&out, &stat);
	return p + ZK_STAT_BYTES;
}

static void read_exists(struct srv_conn *c, struct read_req *q)
{
	struct zk_span path = jute_bytes(&q->in);
	bool watch = jute_bool(&q->in), spilled;
	struct tree_ref ref;
	bool found;
	uint8_t *p;

	if (q->in.bad || !path.p) {
		read_error(c, q->xid, q->op, ZK_MARSHALLINGERROR);
		return;
	}
	if (path.n && memchr(path.p, 0, path.n)) {
		read_error(c, q->xid, q->op, ZK_BADARGUMENTS);
		return;
	}
	found = read_find(c, q, path, &ref);
	if (found && !read_allowed(c, tree_acl(ref), ZK_PERM_READ)) {
		read_error(c, q->xid, q->op, ZK_NOAUTH);
		return;
	}
	if (watch && !read_watch_set(c, path, WATCH_DATA))
		return;
	if (!found) {
		read_error(c, q->xid, q->op, ZK_NONODE);
		return;
	}
	p = out_room(c, 4 + ZK_REPLY_HEADER_BYTES + ZK_STAT_BYTES, &spilled);
	if (!p)
		return;
	p = reply_head(p, ZK_STAT_BYTES, q->xid, c->s->visible, ZK_EOK);
	(void)put_stat(p, ref);
	out_done(c, 4 + ZK_REPLY_HEADER_BYTES + ZK_STAT_BYTES, spilled);
	conn_answered(c, q->xid, q->op, c->s->visible, ZK_REPLY_HEADER_BYTES + ZK_STAT_BYTES);
}

enum { DATA_FIXED = ZK_REPLY_HEADER_BYTES + 4 + ZK_STAT_BYTES, DATA_IN_PLACE = 1024 };

static void data_reply(struct srv_conn *c, const struct read_req *q, struct tree_ref ref)
{
	struct zk_span data = tree_data(ref);
	uint64_t zxid = c->s->visible;

	if (zk_likely(data.n <= DATA_IN_PLACE)) {
		bool spilled;
		uint8_t *p = out_room(c, 4 + DATA_FIXED + data.n, &spilled);

		if (!p)
			return;
		p = reply_head(p, 4 + data.n + ZK_STAT_BYTES, q->xid, zxid, ZK_EOK);
		zk_put32(p, data.p ? (uint32_t)data.n : UINT32_MAX);
		if (data.p && data.n)
			memcpy(p + 4, data.p, data.n);
		(void)put_stat(p + 4 + data.n, ref);
		out_done(c, 4 + DATA_FIXED + data.n, spilled);
	} else {
		uint8_t head[4 + ZK_REPLY_HEADER_BYTES + 4], stat[ZK_STAT_BYTES];

		zk_put32(reply_head(head, 4 + data.n + ZK_STAT_BYTES, q->xid, zxid, ZK_EOK),
			 (uint32_t)data.n);
		(void)put_stat(stat, ref);
		out_put(c, head, sizeof(head));
		out_put(c, data.p, data.n);
		out_put(c, stat, sizeof(stat));
	}
	conn_answered(c, q->xid, q->op, zxid, DATA_FIXED + data.n);
}

/** A piece of a long value; the client has taken what came before, or has had its time. */
static enum job_turn data_turn(struct srv_job *j)
{
	struct srv_conn *c = j->c;
	struct zk_span data;
	struct tree_ref ref;
	uint8_t stat[ZK_STAT_BYTES];
	size_t n;

	zk_assert(tree_find(c->s->tree, j->path, j->zxid, &ref)); /* the pin keeps it there */
	data = tree_data(ref);
	n = data.n - j->u.sent < SRV_DATA_STEP ? data.n - j->u.sent : SRV_DATA_STEP;
	out_put(c, data.p + j->u.sent, n);
	j->u.sent += n;
	if (j->u.sent < data.n)
		return JOB_MORE;
	(void)put_stat(stat, ref);
	out_put(c, stat, sizeof(stat));
	conn_answered(c, j->xid, j->op, j->zxid, DATA_FIXED + data.n);
	return JOB_DONE;
}

static const struct job_kind data_kind = {data_turn, 0, true, true};

/** A value that goes out in pieces. */
static enum conn_take data_long(struct srv_conn *c, const struct read_req *q, struct zk_span path,
				bool watch, struct tree_ref ref)
{
	uint8_t head[4 + ZK_REPLY_HEADER_BYTES + 4];
	size_t n = tree_data(ref).n;
	struct srv *s = c->s;
	struct srv_job *j;
	int pin = tree_pin_take(s->reader, s->visible);

	if (pin < 0)
		return CONN_STOP; /* after a long answer to somebody else */
	if (watch && !read_watch_set(c, path, WATCH_DATA)) {
		tree_pin_drop(s->reader, pin);
		return CONN_TAKEN;
	}
	j = job_new(c, q, &data_kind, pin);
	if (!j) {
		tree_pin_drop(s->reader, pin);
		s->n.memory_refused++;
		conn_doom(c);
		return CONN_TAKEN;
	}
	j->path = zk_span_of(job_moved(j, q, path.p), path.n);
	zk_put32(reply_head(head, 4 + n + ZK_STAT_BYTES, q->xid, s->visible, ZK_EOK), (uint32_t)n);
	out_put(c, head, sizeof(head));
	return CONN_TAKEN;
}

static enum conn_take read_get_data(struct srv_conn *c, struct read_req *q)
{
	struct jute_in in = q->in;
	struct zk_span path = jute_bytes(&in);
	bool watch = jute_bool(&in);
	struct tree_ref ref;

	if (zk_unlikely(in.bad || !path.p))
		read_error(c, q->xid, q->op, ZK_MARSHALLINGERROR);
	else if (!read_find(c, q, path, &ref))
		read_error(c, q->xid, q->op, ZK_NONODE);
	else if (!read_allowed(c, tree_acl(ref), ZK_PERM_READ))
		read_error(c, q->xid, q->op, ZK_NOAUTH);
	else if (zk_unlikely(tree_data(ref).n > SRV_DATA_STEP))
		return data_long(c, q, path, watch, ref);
	else if (!watch || read_watch_set(c, path, WATCH_DATA))
		data_reply(c, q, ref);
	return CONN_TAKEN;
}

/** An ACL list for a caller without ADMIN: what follows ':' in a digest id becomes "x". */
static void put_masked_acl(struct read_build *b, const struct acl_list *acl)
{
	build_i32(b, (int32_t)acl->n);
	for (uint32_t i = 0; i < acl->n; i++) {
		const struct acl_entry *e = &acl->v[i];
		const uint8_t *colon = NULL;

		if (zk_span_eq(e->scheme, zk_span_str("digest")) && e->id.n)
			colon = memchr(e->id.p, ':', e->id.n);
		build_i32(b, e->perms);
		build_bytes(b, e->scheme);
		if (!colon) {
			build_bytes(b, e->id);
		} else {
			size_t n = (size_t)(colon - e->id.p) + 1;
			uint8_t *p;

			build_i32(b, (int32_t)n + 1);
			p = build_room(b, n + 1);
			if (!p)
				return;
			memcpy(p, e->id.p, n);
			p[n] = 'x';
		}
	}
}

static void read_get_acl(struct srv_conn *c, struct read_req *q)
{
	struct zk_span path = jute_bytes(&q->in);
	struct tree_ref ref;
	struct read_build b;

	if (q->in.bad || !path.p) {
		read_error(c, q->xid, q->op, ZK_MARSHALLINGERROR);
		return;
	}
	if (!read_find(c, q, path, &ref)) {
		read_error(c, q->xid, q->op, ZK_NONODE);
		return;
	}
	if (!read_allowed(c, tree_acl(ref), ZK_PERM_READ | ZK_PERM_ADMIN)) {
		read_error(c, q->xid, q->op, ZK_NOAUTH);
		return;
	}
	build_start(&b, c->s);
	if (read_allowed(c, tree_acl(ref), ZK_PERM_ADMIN)) {
		struct zk_span jute = tree_acl(ref)->jute;
		uint8_t *p = build_room(&b, jute.n);

		if (p)
			memcpy(p, jute.p, jute.n);
	} else {
		put_masked_acl(&b, tree_acl(ref));
	}
	build_stat(&b, ref);
	build_send(c, &b, q->xid, q->op, c->s->visible, ZK_EOK);
}

/** {scheme, user}: the user of a digest id is what stands before ':'; of an ip id all of it. */
static void read_who_am_i(struct srv_conn *c, struct read_req *q)
{
	struct jute_in in = jute_in_of(zk_span_of(c->ids, c->ids_n));
	struct read_build b;
	bool null;
	int32_t n = jute_count(&in, &null);

	build_start(&b, c->s);
	build_i32(&b, n);
	for (int32_t i = 0; i < n && !in.bad; i++) {
		struct zk_span scheme = jute_bytes(&in), id = jute_bytes(&in);
		struct zk_span user = {(const uint8_t *)"", 0};

		if (zk_span_eq(scheme, zk_span_str("ip"))) {
			user = id;
		} else if (zk_span_eq(scheme, zk_span_str("digest")) && id.n) {
			const uint8_t *colon = memchr(id.p, ':', id.n);

			user = (struct zk_span){id.p, colon ? (size_t)(colon - id.p) : id.n};
		}
		build_bytes(&b, scheme);
		build_bytes(&b, user);
	}
	build_send(c, &b, q->xid, q->op, c->s->visible, ZK_EOK);
}

enum conn_take read_serve(struct srv_conn *c, struct read_req *q)
{
	switch (q->op) {
	case ZK_OP_GET_DATA:
		return read_get_data(c, q);
	case ZK_OP_EXISTS:
		read_exists(c, q);
		break;
	case ZK_OP_GET_CHILDREN:
	case ZK_OP_GET_CHILDREN2:
		return read_children(c, q);
	case ZK_OP_GET_ACL:
		read_get_acl(c, q);
		break;
	case ZK_OP_CHECK_WATCHES:
	case ZK_OP_REMOVE_WATCHES:
		read_check_watches(c, q);
		break;
	case ZK_OP_ADD_WATCH:
		read_add_watch(c, q);
		break;
	case ZK_OP_SET_WATCHES:
	case ZK_OP_SET_WATCHES2:
		read_set_watches(c, q);
		break;
	case ZK_OP_MULTI_READ:
		return read_multi(c, q);
	case ZK_OP_GET_ALL_CHILDREN_NUMBER:
		return read_all_children_number(c, q);
	default:
		zk_assert(q->op == ZK_OP_WHO_AM_I); /* the caller knows the reads */
		read_who_am_i(c, q);
	}
	return CONN_TAKEN;
}
