/* SPDX-License-Identifier: Apache-2.0 */
#include "core/txn/prep.h"

#include "core/base/assert.h"
#include "core/txn/prep_int.h"

enum {
	BYTES_PER_MAXBUFFER = 8, /* size of the byte queue */
	BYTES_MIN = 1 << 20,
	CHANGES_EXTRA_MAX = 1 << 18, /* so that one request may touch this many paths */
	OP_BYTES_MIN = 16            /* of an operation in a multi */
};

enum zk_err prep_init(struct prep *p, const struct prep_conf *conf)
{
	uint64_t extra = 2 * (uint64_t)(conf->jute_maxbuffer / OP_BYTES_MIN) + 64;
	uint64_t size = BYTES_MIN;
	enum zk_err err;

	*p = (struct prep){.conf = *conf};
	if (extra > CHANGES_EXTRA_MAX)
		extra = CHANGES_EXTRA_MAX;
	while (size < BYTES_PER_MAXBUFFER * (uint64_t)conf->jute_maxbuffer)
		size *= 2;
	err = txn_bytes_init(&p->bytes, conf->mem, (size_t)size);
	if (err != ZK_EOK)
		return err;
	err = pending_init(&p->pending, conf->tree, conf->mem,
			   2 * conf->pending_max + (uint32_t)extra);
	if (err != ZK_EOK)
		goto no_pending;
	if (conf->enforce_quota)
		err = promises_init(&p->promises, conf->tree, conf->mem, p->pending.slab_max);
	if (err != ZK_EOK)
		goto no_promises;
	return ZK_EOK;
no_promises:
	pending_fini(&p->pending);
no_pending:
	txn_bytes_fini(&p->bytes);
	return err;
}

void prep_fini(struct prep *p)
{
	promises_fini(&p->promises);
	pending_fini(&p->pending);
	txn_bytes_fini(&p->bytes);
}

void prep_resume(struct prep *p)
{
	zk_assert(p->steps == 0);
	p->pending.digest = tree_digest(p->conf.tree);
}

void prep_applied(struct prep *p, uint64_t zxid, uint64_t end, uint64_t steps)
{
	zk_assert(p->steps >= steps);
	p->steps -= steps;
	pending_applied(&p->pending, zxid);
	promises_applied(&p->promises, zxid);
	txn_bytes_release(&p->bytes, end);
}

/* What the request says, parsed once. */
struct request {
	enum zk_err err; /* decided by the request alone */
	struct prep_record r;
	struct prep_multi multi;
	size_t reply_bytes, bound;
	uint64_t changes;
};

static enum zk_err reconfig_check(struct zk_span body)
{
	struct jute_in in = jute_in_of(body);

	jute_bytes(&in);
	jute_bytes(&in);
	jute_bytes(&in);
	jute_i64(&in);
	return in.bad ? ZK_MARSHALLINGERROR : ZK_RECONFIGDISABLED;
}

static void request_parse(const struct prep_in *in, struct request *q)
{
	struct jute_in body = jute_in_of(in->body);

	*q = (struct request){.changes = 2, .bound = in->body.n + PREP_SLACK_BYTES};
	switch (in->op) {
	case ZK_OP_CREATE:
	case ZK_OP_CREATE2:
	case ZK_OP_CREATE_CONTAINER:
	case ZK_OP_CREATE_TTL:
	case ZK_OP_DELETE:
	case ZK_OP_SET_DATA:
	case ZK_OP_SET_ACL:
		q->err = prep_parse(in->op, &body, &q->r) ? ZK_EOK : ZK_MARSHALLINGERROR;
		q->reply_bytes = prep_reply_max(in->op, &q->r);
		break;
	case ZK_OP_MULTI:
		q->err = prep_multi_parse(in->body, &q->multi) ? ZK_EOK : ZK_MARSHALLINGERROR;
		q->reply_bytes = q->multi.reply_bytes;
		q->changes = 2 * (uint64_t)q->multi.ops;
		q->bound += (size_t)OP_BYTES_MIN * q->multi.ops;
		break;
	case ZK_OP_RECONFIG:
		q->err = reconfig_check(in->body);
		break;
	default:
		q->err = ZK_UNIMPLEMENTED;
		break;
	}
	if (q->err != ZK_EOK)
		q->reply_bytes = 0;
}

/* Header and body of @p q at the front of the reservation. */
static enum zk_err encode(struct prep_run *x, const struct request *q)
{
	const struct prep_in *in = x->in;

	prep_put_header(in, in->op, x->out);
	if (q->err != ZK_EOK)
		return q->err;
	if (in->op == ZK_OP_MULTI)
		return prep_multi(x, &q->multi);
	return prep_op(x, in->op, &q->r);
}

/* The transaction of @p q, or its error transaction. */
static enum zk_err prepare(struct prep *p, const struct prep_in *in, struct request q,
			   struct prep_out *out)
{
	struct prep_run x = {.p = p, .in = in};
	struct jute_out o;
	size_t max = prep_bytes_max(p), cap;
	enum zk_err err;

	if (q.reply_bytes > in->reply_max || q.changes > p->pending.slab_max) {
		p->refused_size++;
		q.err = ZK_SYSTEMERROR;
		q.reply_bytes = 0;
		q.changes = 0;
	}
	if (!pending_room(&p->pending, q.changes) || !promises_room(&p->promises, q.changes))
		return ZK_EAGAIN;
	if (!prep_can_step(p, q.changes, 0)) {
		/* What has been deleted is on its way back: nobody is refused for that. */
		if (tree_reclaims(p->conf.tree) || txn_bytes_used(&p->bytes))
			return prep_wait_memory(p);
		p->refused_memory++;
		q.err = ZK_SYSTEMERROR;
		q.reply_bytes = 0;
		q.changes = 0;
	}
	cap = q.bound < max ? q.bound : max;
	for (;;) {
		uint8_t *buf = prep_reserve(p, cap);

		if (!buf)
			return ZK_EAGAIN;
		o = jute_out_of(buf, cap);
		x.out = &o;
		err = encode(&x, &q);
		if (err != ZK_ETOOBIG || cap == max)
			break;
		cap = max; /* "auth" in an ACL can grow to many identities */
	}
	if (err == ZK_ETOOBIG) {
		p->refused_size++;
		err = ZK_SYSTEMERROR;
	}
	if (err != ZK_EOK) {
		o = jute_out_of(o.start, cap);
		prep_put_header(in, ZK_OP_ERROR, &o);
		jute_put_i32(&o, err);
	}
	prep_finish(p, &o, err == ZK_EOK, err == ZK_EOK ? q.changes : 0, out);
	out->err = err;
	out->reply_bytes = err == ZK_EOK ? q.reply_bytes : 0;
	out->ephemeral = x.ephemeral;
	return ZK_EOK;
}

enum zk_err prep_request(struct prep *p, const struct prep_in *in, struct prep_out *out)
{
	struct request q;

	*out = (struct prep_out){0};
	if (p->barrier_zxid > p->pending.applied)
		return ZK_EAGAIN;
	if (in->op == ZK_OP_CLOSE_SESSION)
		return prep_close(p, in, out);
	request_parse(in, &q);
	return prepare(p, in, q, out);
}

enum zk_err prep_delete_container(struct prep *p, const struct prep_in *in, struct zk_span path,
				  struct prep_out *out)
{
	struct request q = {
		.r = {.path = path, .ttl = -1}, .changes = 2, .bound = path.n + PREP_SLACK_BYTES};

	zk_assert(in->op == ZK_OP_DELETE_CONTAINER && path.p);
	*out = (struct prep_out){0};
	if (p->barrier_zxid > p->pending.applied)
		return ZK_EAGAIN;
	return prepare(p, in, q, out);
}

enum zk_err prep_create_session(struct prep *p, const struct prep_in *in, int32_t timeout_ms,
				struct prep_out *out)
{
	uint8_t *buf;
	struct jute_out o;

	*out = (struct prep_out){0};
	if (p->barrier_zxid > p->pending.applied)
		return ZK_EAGAIN;
	if (!prep_can_step(p, 0, 0) && tree_reclaims(p->conf.tree))
		return prep_wait_memory(p);
	buf = prep_reserve(p, PREP_SLACK_BYTES);
	if (!buf)
		return ZK_EAGAIN;
	o = jute_out_of(buf, PREP_SLACK_BYTES);
	prep_put_header(in, ZK_OP_CREATE_SESSION, &o);
	jute_put_i32(&o, timeout_ms);
	prep_finish(p, &o, true, 0, out);
	return ZK_EOK;
}
