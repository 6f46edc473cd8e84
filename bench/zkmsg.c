/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/zkmsg.h"

#include "core/base/assert.h"
#include "core/base/endian.h"

#include <string.h>

static uint8_t *put_i32(uint8_t *p, int32_t v)
{
	zk_put32(p, (uint32_t)v);
	return p + 4;
}

static uint8_t *put_text(uint8_t *p, const char *s)
{
	struct zk_span t = zk_span_str(s);

	p = put_i32(p, (int32_t)t.n);
	memcpy(p, t.p, t.n);
	return p + t.n;
}

static uint8_t *put_data(uint8_t *p)
{
	p = put_i32(p, ZKMSG_DATA_BYTES);
	memset(p, 'z', ZKMSG_DATA_BYTES);
	return p + ZKMSG_DATA_BYTES;
}

static size_t seal(uint8_t *frame, const uint8_t *end)
{
	size_t n = (size_t)(end - frame);

	zk_assert(n <= ZKMSG_FRAME_MAX);
	put_i32(frame, (int32_t)n - 4);
	return n;
}

size_t zkmsg_connect(uint8_t *f, int32_t timeout_ms)
{
	uint8_t *p = f + 4;

	p = put_i32(p, 0);
	memset(p, 0, 8);
	p = put_i32(p + 8, timeout_ms);
	memset(p, 0, 8);
	p = put_i32(p + 8, 16);
	memset(p, 0, 17);
	return seal(f, p + 17);
}

size_t zkmsg_path_watch(uint8_t *f, int32_t xid, int32_t op, const char *path, bool watch)
{
	uint8_t *p = put_i32(put_i32(f + 4, xid), op);

	p = put_text(p, path);
	*p++ = watch;
	return seal(f, p);
}

size_t zkmsg_set_data(uint8_t *f, int32_t xid, const char *path)
{
	uint8_t *p = put_i32(put_i32(f + 4, xid), ZKMSG_SET_DATA);

	p = put_data(put_text(p, path));
	return seal(f, put_i32(p, -1));
}

size_t zkmsg_create(uint8_t *f, int32_t xid, const char *path)
{
	uint8_t *p = put_i32(put_i32(f + 4, xid), ZKMSG_CREATE);

	p = put_data(put_text(p, path));
	p = put_i32(put_i32(p, 1), 31); /* one ACL entry: everything for everybody */
	p = put_text(put_text(p, "world"), "anyone");
	return seal(f, put_i32(p, 0));
}

size_t zkmsg_close(uint8_t *f, int32_t xid)
{
	return seal(f, put_i32(put_i32(f + 4, xid), ZKMSG_CLOSE));
}

/* Collect n bytes that may lie in several packets. */
static void gather(const struct tcp_conn *c, size_t skip, uint8_t *to, size_t n)
{
	while (n > 0) {
		struct zk_span run = tcp_peek(c, skip);
		size_t take = run.n < n ? run.n : n;

		zk_assert(take > 0); /* the caller has asked tcp_readable() */
		memcpy(to, run.p, take);
		to += take;
		skip += take;
		n -= take;
	}
}

enum zkmsg_cut zkmsg_cut(const struct tcp_conn *c, size_t skip, uint8_t *scratch,
			 struct zk_span *frame)
{
	struct zk_span run = tcp_peek(c, skip);
	uint8_t head[4];
	uint32_t n;

	if (run.n >= 4) {
		n = zk_get32(run.p);
	} else {
		if (tcp_readable(c) < skip + 4)
			return ZKMSG_CUT_MORE;
		gather(c, skip, head, 4);
		n = zk_get32(head);
	}
	if (n > ZKMSG_FRAME_MAX)
		return ZKMSG_CUT_BAD;
	if (run.n >= 4 + n) {
		*frame = zk_span_of(run.p + 4, n);
		return ZKMSG_CUT_OK;
	}
	if (tcp_readable(c) < skip + 4 + n)
		return ZKMSG_CUT_MORE;
	gather(c, skip + 4, scratch, n);
	*frame = zk_span_of(scratch, n);
	return ZKMSG_CUT_OK;
}
