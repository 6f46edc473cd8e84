/* SPDX-License-Identifier: Apache-2.0 */
#include "core/txn/utf8.h"

static bool continues(uint8_t c)
{
	return (c & 0xc0) == 0x80;
}

/* Can b follow the leading byte a of a sequence of three (or four) bytes? The longest prefix that
 * may begin a character counts as one malformed sequence (String.malformed3, .malformed4). */
static bool second_valid(uint8_t a, uint8_t b)
{
	if (!continues(b))
		return false;
	switch (a) {
	case 0xe0:
		return b >= 0xa0;
	case 0xf0:
		return b >= 0x90;
	case 0xf4:
		return b < 0x90;
	default:
		return true;
	}
}

/* Bytes of the sequence at @p p, of which @p left > 0 are there; *good: it is a character. */
static size_t sequence(const uint8_t *p, size_t left, bool *good)
{
	uint8_t a = p[0];
	size_t want = a < 0x80                 ? 1
		      : a >= 0xc2 && a <= 0xdf ? 2
		      : a >= 0xe0 && a <= 0xef ? 3
		      : a >= 0xf0 && a <= 0xf4 ? 4
					       : 0;

	*good = want == 1;
	if (want < 2)
		return 1;
	if (left < 2 || (want == 2 ? !continues(p[1]) : !second_valid(a, p[1])))
		return 1;
	for (size_t i = 2; i < want; i++) {
		if (i == left || !continues(p[i]))
			return i;
	}
	/* an encoded surrogate is one malformed sequence of three bytes */
	*good = !(a == 0xed && p[1] >= 0xa0);
	return want;
}

bool utf8_valid(struct zk_span text)
{
	bool good = true;

	for (size_t at = 0; at < text.n && good;)
		at += sequence(text.p + at, text.n - at, &good);
	return good;
}

size_t utf8_java(struct zk_span text, uint8_t *out, size_t cap)
{
	size_t n = 0;

	for (size_t at = 0; at < text.n;) {
		bool good;
		size_t k = sequence(text.p + at, text.n - at, &good);
		const uint8_t *from = good ? text.p + at : (const uint8_t *)"\xef\xbf\xbd";
		size_t put = good ? k : 3;

		if (cap - n < put)
			return 0;
		memcpy(out + n, from, put);
		n += put;
		at += k;
	}
	return n;
}
