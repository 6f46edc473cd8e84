/* SPDX-License-Identifier: Apache-2.0 */
/* The Jute reader on hostile bytes, and writer and reader against each other.
 *
 * The first half of the input says which primitives to read, the second half is what they read, in
 * an allocation of exactly its size. What was read is written again: the bytes must be the same. */
#include "core/base/assert.h"
#include "core/jute/proto.h"
#include "core/txn/auth.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* A bool or a null vector may be written in another form than it was read. */
struct both {
	struct jute_in in;
	struct jute_out out;
};

static void vector(struct both *b)
{
	const uint8_t *at = b->in.p;
	bool null, bad = b->in.bad;
	int32_t n = jute_count(&b->in, &null);

	zk_assert(n >= 0 && !(null && n != 0));
	if (b->in.bad || bad)
		return;
	jute_put_raw(&b->out, zk_span_of(at, 4));
	for (int32_t i = 0; i < n && !b->in.bad; i++) {
		struct zk_span s = jute_bytes(&b->in);

		if (!b->in.bad)
			jute_put_bytes(&b->out, s);
	}
}

static void one(struct both *b, uint8_t what)
{
	struct zk_span s;
	uint8_t u8;
	int32_t i32;
	int64_t i64;

	switch (what % 6) {
	case 0:
		u8 = jute_u8(&b->in);
		if (!b->in.bad)
			jute_put_u8(&b->out, u8);
		break;
	case 1:
		i32 = jute_i32(&b->in);
		if (!b->in.bad)
			jute_put_i32(&b->out, i32);
		break;
	case 2:
		i64 = jute_i64(&b->in);
		if (!b->in.bad)
			jute_put_i64(&b->out, i64);
		break;
	case 3:
		s = jute_bytes(&b->in);
		zk_assert(s.p || s.n == 0);
		if (!b->in.bad)
			jute_put_bytes(&b->out, s);
		break;
	case 4:
		vector(b);
		break;
	default:
		s = zk_span_of(jute_take(&b->in, what / 6), what / 6);
		if (!b->in.bad)
			jute_put_raw(&b->out, s);
	}
}

static void read_and_write(const uint8_t *plan, size_t steps, const uint8_t *bytes, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1), *again = malloc(n ? n : 1);
	struct both b;
	struct auth_ids ids;
	enum zk_err err;
	size_t done;

	zk_assert(copy && again);
	if (n)
		memcpy(copy, bytes, n);
	b.in = jute_in_of(zk_span_of(copy, n));
	b.out = jute_out_of(again, n);
	for (size_t i = 0; i < steps && !b.in.bad; i++)
		one(&b, plan[i]);
	done = jute_out_len(&b.out);
	zk_assert(!b.out.full && done <= n && memcmp(copy, again, done) == 0);
	if (!b.in.bad)
		zk_assert(done == n - jute_left(&b.in));
	jute_put_raw(&b.out, zk_span_of(copy, n)); /* more than fits, or nothing */
	zk_assert(b.out.full == (done != 0 && n != 0));
	err = auth_ids_parse(zk_span_of(copy, n), &ids);
	zk_assert(err != ZK_EOK || ids.n <= AUTH_IDS_MAX);
	free(copy);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	size_t steps = n / 2;

	read_and_write(p, steps, p + steps, n - steps);
	return 0;
}
