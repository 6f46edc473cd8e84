/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/assert.h"
#include "core/store/snap.h"
#include "core/store/sum.h"

void snap_writer_init(struct snap_writer *w)
{
	*w = (struct snap_writer){.sum = STORE_ADLER32_INIT};
}

void snap_writer_init_stream(struct snap_writer *w)
{
	snap_writer_init(w);
	w->stream = true;
}

/* Keep what was put since @p start, or take it back. */
static enum zk_err keep(struct snap_writer *w, struct jute_out *out, uint8_t *start)
{
	size_t n = (size_t)(out->p - start);

	if (out->full) {
		out->p = start;
		return ZK_EFULL;
	}
	if (!w->stream)
		w->sum = store_adler32(w->sum, zk_span_of(start, n));
	w->bytes += n;
	return ZK_EOK;
}

void snap_put_header(struct jute_out *out)
{
	jute_put_i32(out, (int32_t)SNAP_MAGIC);
	jute_put_i32(out, SNAP_VERSION);
	jute_put_i64(out, -1);
}

void snap_put_sum(struct jute_out *out, uint32_t sum)
{
	jute_put_i64(out, (int64_t)sum);
	jute_put_bytes(out, zk_span_str("/"));
}

enum zk_err snap_put_begin(struct snap_writer *w, struct jute_out *out, uint32_t sessions)
{
	uint8_t *start = out->p;
	enum zk_err err;

	zk_assert(w->state == SNAP_AT_HEADER && sessions <= INT32_MAX);
	if (!w->stream)
		snap_put_header(out);
	jute_put_i32(out, (int32_t)sessions);
	err = keep(w, out, start);
	if (err == ZK_EOK) {
		w->left = sessions;
		w->state = SNAP_AT_SESSIONS;
	}
	return err;
}

enum zk_err snap_put_session(struct snap_writer *w, struct jute_out *out, uint64_t id,
			     int32_t timeout_ms)
{
	uint8_t *start = out->p;
	enum zk_err err;

	zk_assert(w->state == SNAP_AT_SESSIONS && w->left > 0);
	jute_put_i64(out, (int64_t)id);
	jute_put_i32(out, timeout_ms);
	err = keep(w, out, start);
	if (err == ZK_EOK)
		w->left--;
	return err;
}

enum zk_err snap_put_acls(struct snap_writer *w, struct jute_out *out, uint32_t acls)
{
	uint8_t *start = out->p;
	enum zk_err err;

	zk_assert(w->state == SNAP_AT_SESSIONS && w->left == 0 && acls <= INT32_MAX);
	jute_put_i32(out, (int32_t)acls);
	err = keep(w, out, start);
	if (err == ZK_EOK) {
		w->left = acls;
		w->state = SNAP_AT_ACLS;
	}
	return err;
}

enum zk_err snap_put_acl(struct snap_writer *w, struct jute_out *out, int64_t key,
			 struct zk_span jute)
{
	uint8_t *start = out->p;
	enum zk_err err;

	zk_assert(w->state == SNAP_AT_ACLS && w->left > 0 && jute.n >= 4);
	jute_put_i64(out, key);
	jute_put_raw(out, jute);
	err = keep(w, out, start);
	if (err == ZK_EOK)
		w->left--;
	return err;
}

enum zk_err snap_put_node(struct snap_writer *w, struct jute_out *out, const struct snap_node *node)
{
	const struct store_stat *st = &node->stat;
	struct zk_span path = node->path;
	uint8_t *start = out->p;
	enum zk_err err;

	zk_assert((w->state == SNAP_AT_ACLS && w->left == 0) || w->state == SNAP_AT_NODES);
	if (path.n == 1 && path.p[0] == '/')
		path.n = 0;
	zk_assert(path.p && (path.n == 0) == (w->state == SNAP_AT_ACLS));
	jute_put_bytes(out, path);
	jute_put_bytes(out, node->data);
	jute_put_i64(out, node->acl_key);
	jute_put_i64(out, (int64_t)st->czxid);
	jute_put_i64(out, (int64_t)st->mzxid);
	jute_put_i64(out, st->ctime);
	jute_put_i64(out, st->mtime);
	jute_put_i32(out, st->version);
	jute_put_i32(out, st->cversion);
	jute_put_i32(out, st->aversion);
	jute_put_i64(out, (int64_t)st->owner);
	jute_put_i64(out, (int64_t)st->pzxid);
	err = keep(w, out, start);
	if (err == ZK_EOK)
		w->state = SNAP_AT_NODES;
	return err;
}

/* Put what was put since @p start under a seal, or take it back. */
static enum zk_err sealed_part(struct snap_writer *w, struct jute_out *out, uint8_t *start,
			       enum snap_state next)
{
	struct snap_writer before = *w;
	enum zk_err err = keep(w, out, start);

	if (err == ZK_EOK) {
		uint8_t *seal = out->p;

		snap_put_sum(out, w->sum);
		err = keep(w, out, seal);
	}
	if (err != ZK_EOK) {
		*w = before;
		out->p = start;
		return err;
	}
	w->state = next;
	return ZK_EOK;
}

enum zk_err snap_put_seal(struct snap_writer *w, struct jute_out *out)
{
	uint8_t *start = out->p;

	zk_assert(w->state == SNAP_AT_NODES);
	jute_put_bytes(out, zk_span_str("/"));
	if (w->stream) {
		enum zk_err err = keep(w, out, start);

		if (err == ZK_EOK)
			w->state = SNAP_AT_END;
		return err;
	}
	return sealed_part(w, out, start, SNAP_AT_DIGEST);
}

enum zk_err snap_put_digest(struct snap_writer *w, struct jute_out *out, uint64_t zxid,
			    uint64_t tree)
{
	uint8_t *start = out->p;

	zk_assert(w->state == SNAP_AT_DIGEST);
	jute_put_i64(out, (int64_t)zxid);
	jute_put_i32(out, 2);
	jute_put_i64(out, (int64_t)tree);
	return sealed_part(w, out, start, SNAP_AT_LAST_ZXID);
}

enum zk_err snap_put_last_zxid(struct snap_writer *w, struct jute_out *out, uint64_t zxid)
{
	uint8_t *start = out->p;

	zk_assert(w->state == SNAP_AT_DIGEST || w->state == SNAP_AT_LAST_ZXID);
	jute_put_i64(out, (int64_t)zxid);
	return sealed_part(w, out, start, SNAP_AT_END);
}
