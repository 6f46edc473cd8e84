/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of the client protocol for the history checker: bounded cursors, frames, requests. */
#ifndef HISTORY_WIRE_H
#define HISTORY_WIRE_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIRE_BUFFER_BYTES = 1 << 17, STAT_BYTES = 68, REPLY_HEADER_BYTES = 16 };

enum {
	OP_CREATE = 1,
	OP_DELETE = 2,
	OP_EXISTS = 3,
	OP_GET_DATA = 4,
	OP_SET_DATA = 5,
	OP_GET_CHILDREN = 8,
	OP_SYNC = 9,
	OP_PING = 11,
	OP_GET_CHILDREN2 = 12,
	OP_CHECK = 13,
	OP_MULTI = 14,
	OP_MULTI_READ = 22,
	OP_SET_WATCHES = 101,
	OP_ADD_WATCH = 106,
};

enum { ERR_NO_NODE = -101, ERR_BAD_VERSION = -103 };

/* --- reading: after the first short read every further one gives zero and `bad` stays set */

struct reader {
	const uint8_t *at, *end;
	bool bad;
};

static inline int32_t wire_i32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return (int32_t)ntohl(v);
}

static inline int64_t wire_i64(const uint8_t *p)
{
	return (int64_t)(((uint64_t)(uint32_t)wire_i32(p) << 32) | (uint32_t)wire_i32(p + 4));
}

static inline const uint8_t *get_bytes(struct reader *r, int32_t n)
{
	const uint8_t *p = r->at;

	if (n < 0 || r->end - r->at < n) {
		r->bad = true;
		r->at = r->end;
		return NULL;
	}
	r->at += n;
	return p;
}

static inline int32_t get_i32(struct reader *r)
{
	const uint8_t *p = get_bytes(r, 4);

	return p != NULL ? wire_i32(p) : 0;
}

/* A string or buffer; NULL when it is short. */
static inline const uint8_t *get_text(struct reader *r, int32_t *size)
{
	*size = get_i32(r);
	return get_bytes(r, *size);
}

struct stat_fields {
	int64_t mzxid, pzxid;
	int32_t version, cversion, children;
};

static inline struct stat_fields get_stat(struct reader *r)
{
	const uint8_t *p = get_bytes(r, STAT_BYTES);

	if (p == NULL)
		return (struct stat_fields){.version = -1};
	return (struct stat_fields){
		.mzxid = wire_i64(p + 8),
		.pzxid = wire_i64(p + 60),
		.version = wire_i32(p + 32),
		.cversion = wire_i32(p + 36),
		.children = wire_i32(p + 56),
	};
}

/* A MultiHeader; true when its type and error are these and it is not the end. */
static inline bool get_result(struct reader *r, int32_t type, int32_t err)
{
	const uint8_t *p = get_bytes(r, 9);

	return p != NULL && wire_i32(p) == type && p[4] == 0 && wire_i32(p + 5) == err;
}

/* The last MultiHeader, with nothing behind it. */
static inline bool get_end(struct reader *r)
{
	const uint8_t *p = get_bytes(r, 9);

	return p != NULL && wire_i32(p) == -1 && p[4] == 1 && r->at == r->end && !r->bad;
}

/* --- writing */

struct out {
	size_t len;
	size_t frame; /* where the open frame begins */
	uint8_t bytes[WIRE_BUFFER_BYTES];
};

static inline void put_bytes(struct out *o, const void *p, size_t n)
{
	if (n > sizeof(o->bytes) - o->len) {
		fprintf(stderr, "output buffer is full\n");
		exit(2);
	}
	memcpy(o->bytes + o->len, p, n);
	o->len += n;
}

static inline void put_i32(struct out *o, int32_t value)
{
	uint32_t v = htonl((uint32_t)value);

	put_bytes(o, &v, sizeof(v));
}

static inline void put_i64(struct out *o, int64_t value)
{
	put_i32(o, (int32_t)(value >> 32));
	put_i32(o, (int32_t)(value & 0xffffffff));
}

static inline void put_bool(struct out *o, bool value)
{
	uint8_t b = value;

	put_bytes(o, &b, 1);
}

static inline void put_text(struct out *o, const char *text)
{
	size_t n = strlen(text);

	put_i32(o, (int32_t)n);
	put_bytes(o, text, n);
}

static inline void frame_begin(struct out *o)
{
	o->frame = o->len;
	put_i32(o, 0);
}

static inline void frame_end(struct out *o)
{
	uint32_t n = htonl((uint32_t)(o->len - o->frame - 4));

	memcpy(o->bytes + o->frame, &n, sizeof(n));
}

static inline void put_create(struct out *o, const char *path, const char *data, int32_t flags)
{
	put_text(o, path);
	put_text(o, data);
	put_i32(o, 1);
	put_i32(o, 31);
	put_text(o, "world");
	put_text(o, "anyone");
	put_i32(o, flags);
}

static inline void put_set_data(struct out *o, const char *path, const char *data, int32_t version)
{
	put_text(o, path);
	put_text(o, data);
	put_i32(o, version);
}

/* The head of one operation of a multi; type -1 ends the multi. */
static inline void put_multi_head(struct out *o, int32_t type)
{
	put_i32(o, type);
	put_bool(o, type == -1);
	put_i32(o, -1);
}

#endif
