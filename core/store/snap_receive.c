/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/snap_receive.h"

#include <stdio.h>

enum {
	BUF_FIRST = 512 << 10,
	PATH_FIRST = 256,
	SIGN_BYTES = 14, /* int 10, "BenWasHere" */
};

static const uint8_t signature[SIGN_BYTES + 1] = "\0\0\0\nBenWasHere";

/* ---- failure --------------------------------------------------------------------------------- */

static enum zk_err spoil(struct snap_receive *r, enum zk_err err, uint64_t at, const char *what)
{
	r->failed = true;
	snprintf(r->why, sizeof(r->why), "offset %llu: %s", (unsigned long long)at, what);
	return err;
}

static enum zk_err no_memory(struct snap_receive *r)
{
	return spoil(r, ZK_ENOMEM, r->reader.at, "out of memory");
}

static enum zk_err disk_failed(struct snap_receive *r, enum zk_err err)
{
	struct disk *d = r->conf.disk;

	r->failed = true;
	snprintf(r->why, sizeof(r->why), "%s/%s: %s: %s", disk_dir_text(d, DISK_DATA), r->file.name,
		 r->file.step, d->os_error ? disk_error_text(d) : zk_err_text(err));
	return err;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static bool enlarge(struct zk_mem *mem, uint8_t **p, size_t *cap, size_t want, size_t keep)
{
	size_t more = *cap;
	uint8_t *q;

	while (more < want)
		more *= 2;
	q = zk_mem_alloc(mem, more);
	if (!q)
		return false;
	memcpy(q, *p, keep);
	zk_mem_free(mem, *p, *cap);
	*p = q;
	*cap = more;
	return true;
}

/* What was taken goes into the file. */
static enum zk_err drain(struct snap_receive *r)
{
	enum zk_err err;

	if (r->taken == 0)
		return ZK_EOK;
	err = snap_file_put(&r->file, zk_span_of(r->buf, r->taken));
	if (err != ZK_EOK)
		return disk_failed(r, err);
	r->n -= r->taken;
	if (r->n)
		memmove(r->buf, r->buf + r->taken, r->n);
	r->taken = 0;
	return ZK_EOK;
}

/* Room for more bytes. */
static enum zk_err make_room(struct snap_receive *r)
{
	enum zk_err err;

	if (r->n < r->cap)
		return ZK_EOK;
	err = drain(r);
	if (err != ZK_EOK || r->n < r->cap)
		return err;
	return enlarge(r->conf.mem, &r->buf, &r->cap, 2 * r->cap, r->n) ? ZK_EOK : no_memory(r);
}

/* ---- what the bytes say ---------------------------------------------------------------------- */

/* Is the parent of @p path the node before it, or above that? */
static bool follows(const struct snap_receive *r, struct zk_span path)
{
	size_t parent = path.n;

	while (parent > 0 && path.p[parent - 1] != '/')
		parent--;
	if (parent == 0 || parent == path.n) /* no slash, or nothing behind it */
		return false;
	parent--; /* "" is the root's */
	return parent <= r->path_n && memcmp(r->path, path.p, parent) == 0 &&
	       (parent == r->path_n || r->path[parent] == '/');
}

static enum zk_err take_node(struct snap_receive *r, const struct snap_item *it)
{
	struct zk_span path = it->node.path;

	if ((path.n == 0) != (r->nodes == 0))
		return spoil(r, ZK_EINVAL, it->at, "the root is not the first node, or not once");
	if (r->nodes > 0 && !follows(r, path))
		return spoil(r, ZK_EINVAL, it->at, "a node that is not behind its parent");
	if (path.n > r->path_cap &&
	    !enlarge(r->conf.mem, &r->path, &r->path_cap, path.n, r->path_n))
		return no_memory(r);
	if (path.n)
		memcpy(r->path, path.p, path.n);
	r->path_n = path.n;
	r->nodes++;
	return ZK_EOK;
}

/* Items, as far as the bytes go. @return ZK_EAGAIN: they end here; ZK_EOK: the stream does. */
static enum zk_err take_items(struct snap_receive *r)
{
	for (;;) {
		struct snap_item it;
		uint64_t at = r->reader.at;
		enum zk_err err = ZK_EOK;
		enum snap_step step = snap_next(
			&r->reader, zk_span_of(r->buf + r->taken, r->n - r->taken), false, &it);

		if (step == SNAP_BAD)
			return spoil(r, ZK_EINVAL, it.at, store_bad_text(it.bad));
		if (step == SNAP_NODE)
			err = take_node(r, &it);
		r->sessions += step == SNAP_SESSION;
		r->acls += step == SNAP_ACL;
		r->taken += (size_t)(r->reader.at - at);
		if (err != ZK_EOK)
			return err;
		if (step == SNAP_MORE)
			return ZK_EAGAIN;
		if (step == SNAP_END)
			break;
	}
	if (r->nodes == 0)
		return spoil(r, ZK_EINVAL, r->reader.at, "there is no root");
	return ZK_EOK;
}

/* The nodes are complete. @return as take_items(). */
static enum zk_err take_signature(struct snap_receive *r)
{
	size_t n = r->n - r->taken < SIGN_BYTES ? r->n - r->taken : SIGN_BYTES;

	if (memcmp(r->buf + r->taken, signature, n) != 0)
		return spoil(r, ZK_EINVAL, r->reader.at, "no signature at the end");
	return n == SIGN_BYTES ? ZK_EOK : ZK_EAGAIN;
}

/* ---- from outside ---------------------------------------------------------------------------- */

enum zk_err snap_receive_begin(struct snap_receive *r, const struct snap_receive_conf *conf)
{
	const struct snap_file_conf fc = {.disk = conf->disk,
					  .zxid = conf->zxid,
					  .spare_bytes = conf->spare_bytes,
					  .aside = true};
	uint8_t header[SNAP_HEADER_BYTES];
	struct jute_out out = jute_out_of(header, sizeof(header));
	enum zk_err err;

	*r = (struct snap_receive){.conf = *conf, .cap = BUF_FIRST, .path_cap = PATH_FIRST};
	snap_reader_init_stream(&r->reader, conf->length_max);
	r->buf = zk_mem_alloc(conf->mem, r->cap);
	r->path = zk_mem_alloc(conf->mem, r->path_cap);
	if (!r->buf || !r->path)
		return no_memory(r);
	err = snap_file_open(&r->file, &fc);
	if (err != ZK_EOK)
		return disk_failed(r, err);
	r->begun = true;
	snap_put_header(&out);
	err = snap_file_put(&r->file, zk_span_of(header, sizeof(header)));
	return err == ZK_EOK ? ZK_EOK : disk_failed(r, err);
}

enum zk_err snap_receive_put(struct snap_receive *r, struct zk_span window, size_t *used)
{
	zk_assert(r->begun && !r->failed && !r->complete);
	*used = 0;
	for (;;) {
		enum zk_err err = make_room(r);
		size_t n, behind;

		if (err != ZK_EOK)
			return err;
		n = r->cap - r->n < window.n - *used ? r->cap - r->n : window.n - *used;
		if (n)
			memcpy(r->buf + r->n, window.p + *used, n);
		r->n += n;
		*used += n;
		err = take_items(r);
		if (err == ZK_EOK)
			err = take_signature(r);
		if (err == ZK_EOK) {
			behind = r->n - r->taken - SIGN_BYTES;
			zk_assert(behind <= n);
			*used -= behind;
			r->n = r->taken;
			r->complete = true;
			return ZK_EOK;
		}
		if (err != ZK_EAGAIN || *used == window.n)
			return err;
	}
}

enum zk_err snap_receive_commit(struct snap_receive *r)
{
	uint8_t seal[SNAP_SEAL_BYTES];
	struct jute_out out = jute_out_of(seal, sizeof(seal));
	enum zk_err err;

	zk_assert(r->complete && !r->failed);
	err = drain(r);
	if (err != ZK_EOK)
		return err;
	snap_put_sum(&out, r->reader.sum);
	err = snap_file_put(&r->file, zk_span_of(seal, sizeof(seal)));
	if (err == ZK_EOK)
		err = snap_file_commit(&r->file);
	if (err != ZK_EOK)
		return disk_failed(r, err);
	r->begun = false;
	err = replace_finish(r->conf.disk, r->conf.mem, &r->replaced);
	if (err != ZK_EOK) {
		r->failed = true;
		snprintf(r->why, sizeof(r->why), "%s", r->replaced.why);
	}
	return err;
}

void snap_receive_end(struct snap_receive *r)
{
	if (r->begun)
		snap_file_abort(&r->file);
	r->begun = false;
	zk_mem_free(r->conf.mem, r->buf, r->cap);
	zk_mem_free(r->conf.mem, r->path, r->path_cap);
	r->buf = r->path = NULL;
}
