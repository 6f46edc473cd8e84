/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/snap_pack.h"

#include "core/base/endian.h"

#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
	GZ_OUT_BYTES = 64 << 10,
	GZ_WINDOW = 15 + 16, /* with the gzip header */
	GZ_MEMORY = 8,
	SNAPPY_BLOCK_BYTES = 32 << 10, /* SnappyOutputStream.DEFAULT_BLOCK_SIZE */
	SNAPPY_HEADER_BYTES = 16,
	SNAPPY_OUT_BYTES = 4 + 32 + SNAPPY_BLOCK_BYTES + SNAPPY_BLOCK_BYTES / 6,
};

struct packer {
	struct snap_pack pub;
	z_stream z;
	bool gz, begun;
	uint8_t in[SNAPPY_BLOCK_BYTES]; /* a block that is being filled */
	size_t in_n;
	uint8_t out[GZ_OUT_BYTES > SNAPPY_OUT_BYTES ? GZ_OUT_BYTES : SNAPPY_OUT_BYTES];
};

/* ---- gzip ------------------------------------------------------------------------------------ */

static enum zk_err gz_run(struct packer *p, struct snap_file *f, struct zk_span in, int flush)
{
	int code = Z_OK;

	p->z.next_in = (Bytef *)(uintptr_t)in.p;
	p->z.avail_in = (uInt)in.n;
	do {
		enum zk_err err;

		p->z.next_out = p->out;
		p->z.avail_out = GZ_OUT_BYTES;
		code = deflate(&p->z, flush);
		zk_assert(code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR);
		err = snap_file_raw(f, zk_span_of(p->out, GZ_OUT_BYTES - p->z.avail_out));
		if (err != ZK_EOK)
			return err;
	} while (p->z.avail_out == 0);
	zk_assert(p->z.avail_in == 0 && (flush != Z_FINISH || code == Z_STREAM_END));
	return ZK_EOK;
}

static enum zk_err gz_put(void *ctx, struct snap_file *f, struct zk_span in)
{
	zk_assert(in.n <= UINT32_MAX);
	return gz_run(ctx, f, in, Z_NO_FLUSH);
}

static enum zk_err gz_end(void *ctx, struct snap_file *f)
{
	return gz_run(ctx, f, zk_span_of("", 0), Z_FINISH);
}

/* ---- snappy ---------------------------------------------------------------------------------- */

static enum zk_err snappy_header(struct packer *p, struct snap_file *f)
{
	static const uint8_t head[SNAPPY_HEADER_BYTES] = {
		0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1 /* version */,
		0,    0,   0,   1 /* least version that reads it */};

	if (p->begun)
		return ZK_EOK;
	p->begun = true;
	return snap_file_raw(f, zk_span_of(head, sizeof(head)));
}

static enum zk_err snappy_block(struct packer *p, struct snap_file *f)
{
	size_t n = sizeof(p->out) - 4;
	snappy_status status;

	if (p->in_n == 0)
		return ZK_EOK;
	status = snappy_compress((const char *)p->in, p->in_n, (char *)p->out + 4, &n);
	zk_assert(status == SNAPPY_OK);
	zk_put32(p->out, (uint32_t)n);
	p->in_n = 0;
	return snap_file_raw(f, zk_span_of(p->out, 4 + n));
}

static enum zk_err snappy_put(void *ctx, struct snap_file *f, struct zk_span in)
{
	struct packer *p = ctx;
	enum zk_err err = snappy_header(p, f);

	while (err == ZK_EOK && in.n) {
		size_t room = SNAPPY_BLOCK_BYTES - p->in_n, n = in.n < room ? in.n : room;

		memcpy(p->in + p->in_n, in.p, n);
		p->in_n += n;
		in = zk_span_of(in.p + n, in.n - n);
		if (p->in_n == SNAPPY_BLOCK_BYTES)
			err = snappy_block(p, f);
	}
	return err;
}

static enum zk_err snappy_end(void *ctx, struct snap_file *f)
{
	enum zk_err err = snappy_header(ctx, f);

	return err == ZK_EOK ? snappy_block(ctx, f) : err;
}

/* ---- both ------------------------------------------------------------------------------------ */

enum zk_err snap_packer_new(enum store_pack kind, struct snap_pack **out)
{
	struct packer *p;

	*out = NULL;
	if (kind == STORE_PLAIN)
		return ZK_EOK;
	zk_assert(snappy_max_compressed_length(SNAPPY_BLOCK_BYTES) + 4 <= sizeof(p->out));
	p = calloc(1, sizeof(*p));
	if (!p)
		return ZK_ENOMEM;
	p->gz = kind == STORE_GZ;
	p->pub = p->gz ? (struct snap_pack){p, gz_put, gz_end}
		       : (struct snap_pack){p, snappy_put, snappy_end};
	if (p->gz && deflateInit2(&p->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZ_WINDOW, GZ_MEMORY,
				  Z_DEFAULT_STRATEGY) != Z_OK) {
		free(p);
		return ZK_ENOMEM;
	}
	*out = &p->pub;
	return ZK_EOK;
}

void snap_packer_free(struct snap_pack *pack)
{
	struct packer *p;

	if (!pack)
		return;
	p = pack->ctx;
	if (p->gz)
		(void)deflateEnd(&p->z);
	free(p);
}
