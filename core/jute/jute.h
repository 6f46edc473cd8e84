/* SPDX-License-Identifier: Apache-2.0 */
/** Jute primitives over bounded memory (spec/client-protocol.md section 1).
 *
 * Readers and writers are sticky: after the first failure every further call does nothing, and the
 * caller looks once at `bad` or `full` at the end. Strings and buffers are borrowed spans into the
 * input: null is {NULL, 0}, empty is {non-NULL, 0}.
 */
#ifndef ZK_JUTE_JUTE_H
#define ZK_JUTE_JUTE_H

#include "core/base/endian.h"
#include "core/base/span.h"

struct jute_in {
	const uint8_t *p, *end;
	bool bad; /* a length was negative or ran past the end */
};

static inline struct jute_in jute_in_of(struct zk_span s)
{
	return (struct jute_in){s.p, s.n ? s.p + s.n : s.p, false};
}

static inline size_t jute_left(const struct jute_in *in)
{
	return (size_t)(in->end - in->p);
}

static inline const uint8_t *jute_take(struct jute_in *in, size_t n)
{
	const uint8_t *p = in->p;

	if (in->bad || jute_left(in) < n) {
		in->bad = true;
		return NULL;
	}
	in->p += n;
	return p;
}

static inline uint8_t jute_u8(struct jute_in *in)
{
	const uint8_t *p = jute_take(in, 1);

	return p ? *p : 0;
}

static inline bool jute_bool(struct jute_in *in)
{
	return jute_u8(in) != 0;
}

static inline int32_t jute_i32(struct jute_in *in)
{
	const uint8_t *p = jute_take(in, 4);

	return p ? (int32_t)zk_get32(p) : 0;
}

static inline int64_t jute_i64(struct jute_in *in)
{
	const uint8_t *p = jute_take(in, 8);

	return p ? (int64_t)zk_get64(p) : 0;
}

/** A ustring or a buffer. Length -1 is null; below -1 or past the end is bad. */
static inline struct zk_span jute_bytes(struct jute_in *in)
{
	int32_t n = jute_i32(in);
	const uint8_t *p;

	if (in->bad || n == -1)
		return (struct zk_span){NULL, 0};
	if (n < 0) {
		in->bad = true;
		return (struct zk_span){NULL, 0};
	}
	p = jute_take(in, (size_t)n);
	return (struct zk_span){p, p ? (size_t)n : 0};
}

/** The count of a vector: -1 (null) is reported through @p null and gives 0; below -1 also gives 0.
 */
static inline int32_t jute_count(struct jute_in *in, bool *null)
{
	int32_t n = jute_i32(in);

	*null = !in->bad && n == -1;
	return in->bad || n < 0 ? 0 : n;
}

struct jute_out {
	uint8_t *p, *end;
	uint8_t *start;
	bool full; /* something did not fit and was left out */
};

static inline struct jute_out jute_out_of(void *p, size_t n)
{
	return (struct jute_out){(uint8_t *)p, (uint8_t *)p + n, (uint8_t *)p, false};
}

static inline size_t jute_out_len(const struct jute_out *out)
{
	return (size_t)(out->p - out->start);
}

static inline uint8_t *jute_room(struct jute_out *out, size_t n)
{
	uint8_t *p = out->p;

	if (out->full || (size_t)(out->end - out->p) < n) {
		out->full = true;
		return NULL;
	}
	out->p += n;
	return p;
}

static inline void jute_put_u8(struct jute_out *out, uint8_t v)
{
	uint8_t *p = jute_room(out, 1);

	if (p)
		*p = v;
}

static inline void jute_put_bool(struct jute_out *out, bool v)
{
	jute_put_u8(out, v ? 1 : 0);
}

static inline void jute_put_i32(struct jute_out *out, int32_t v)
{
	uint8_t *p = jute_room(out, 4);

	if (p)
		zk_put32(p, (uint32_t)v);
}

static inline void jute_put_i64(struct jute_out *out, int64_t v)
{
	uint8_t *p = jute_room(out, 8);

	if (p)
		zk_put64(p, (uint64_t)v);
}

/** Bytes as they are, no length. */
static inline void jute_put_raw(struct jute_out *out, struct zk_span s)
{
	uint8_t *p = jute_room(out, s.n);

	if (p && s.p)
		memcpy(p, s.p, s.n);
}

/** A ustring or a buffer; {NULL, 0} is written as null. */
static inline void jute_put_bytes(struct jute_out *out, struct zk_span s)
{
	jute_put_i32(out, s.p ? (int32_t)s.n : -1);
	jute_put_raw(out, s);
}

#endif
