/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/req.h"

#include "core/base/assert.h"
#include "core/jute/jute.h"

#include <stdio.h>

static struct jute_out req_start(void)
{
	static uint8_t bufs[8][1 << 17];
	static unsigned next;

	return jute_out_of(bufs[next++ % 8], sizeof(bufs[0]));
}

static struct zk_span req_end(const struct jute_out *o)
{
	zk_assert(!o->full);
	return zk_span_of(o->start, jute_out_len(o));
}

static void put_text(struct jute_out *o, const char *s)
{
	jute_put_bytes(o, s ? zk_span_str(s) : (struct zk_span){NULL, 0});
}

static void put_acl(struct jute_out *o, const char *acl)
{
	uint8_t *count = jute_room(o, 4);
	uint32_t n = 0;
	char entry[256];

	if (!acl)
		acl = "31 world anyone";
	if (strcmp(acl, "null") == 0) {
		zk_put32(count, UINT32_MAX);
		return;
	}
	while (*acl) {
		size_t len = strcspn(acl, ",");
		char scheme[64] = "", id[128] = "";
		int perms = 0;

		memcpy(entry, acl, len);
		entry[len] = 0;
		zk_assert(sscanf(entry, "%d %63s %127s", &perms, scheme, id) >= 1);
		jute_put_i32(o, perms);
		put_text(o, strcmp(scheme, "null") == 0 ? NULL : scheme);
		put_text(o, strcmp(id, "null") == 0 ? NULL : id);
		n++;
		acl += len + (acl[len] == ',');
	}
	zk_put32(count, n);
}

struct zk_span req_create(const char *path, const char *data, const char *acl, int32_t flags)
{
	struct jute_out o = req_start();

	put_text(&o, path);
	put_text(&o, data);
	put_acl(&o, acl);
	jute_put_i32(&o, flags);
	return req_end(&o);
}

struct zk_span req_ttl(const char *path, const char *data, int32_t flags, int64_t ttl)
{
	struct jute_out o = req_start();

	put_text(&o, path);
	put_text(&o, data);
	put_acl(&o, NULL);
	jute_put_i32(&o, flags);
	jute_put_i64(&o, ttl);
	return req_end(&o);
}

struct zk_span req_version(const char *path, int32_t version)
{
	struct jute_out o = req_start();

	put_text(&o, path);
	jute_put_i32(&o, version);
	return req_end(&o);
}

struct zk_span req_set(const char *path, const char *data, int32_t version)
{
	struct jute_out o = req_start();

	put_text(&o, path);
	put_text(&o, data);
	jute_put_i32(&o, version);
	return req_end(&o);
}

struct zk_span req_acl(const char *path, const char *acl, int32_t version)
{
	struct jute_out o = req_start();

	put_text(&o, path);
	put_acl(&o, acl);
	jute_put_i32(&o, version);
	return req_end(&o);
}

struct zk_span req_path(const char *path)
{
	struct jute_out o = req_start();

	put_text(&o, path);
	return req_end(&o);
}

static void multi_header(struct jute_out *o, int32_t type, bool done)
{
	jute_put_i32(o, type);
	jute_put_bool(o, done);
	jute_put_i32(o, -1);
}

void multi_op(struct req_multi *m, int32_t type, struct zk_span body)
{
	struct jute_out o = jute_out_of(m->buf + m->n, sizeof(m->buf) - m->n);

	multi_header(&o, type, false);
	jute_put_raw(&o, body);
	zk_assert(!o.full);
	m->n += jute_out_len(&o);
}

struct zk_span multi_end(struct req_multi *m)
{
	struct jute_out o = jute_out_of(m->buf + m->n, sizeof(m->buf) - m->n);

	multi_header(&o, -1, true);
	zk_assert(!o.full);
	return zk_span_of(m->buf, m->n + jute_out_len(&o));
}

size_t from_hex(const char *hex, uint8_t *out, size_t cap)
{
	size_t n = 0;
	int high = -1;

	for (; *hex; hex++) {
		const char *digits = "0123456789abcdef", *at = strchr(digits, *hex);

		if (!at)
			continue;
		if (high < 0) {
			high = (int)(at - digits);
			continue;
		}
		zk_assert(n < cap);
		out[n++] = (uint8_t)(high << 4 | (int)(at - digits));
		high = -1;
	}
	return n;
}
