/* SPDX-License-Identifier: Apache-2.0 */
#include "core/txn/auth_ip.h"

struct addr {
	uint8_t b[16];
	unsigned bytes; /* 4 or 16 */
};

static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

/* Java's Integer.parseInt: an optional sign, at least one digit, 32 bits. */
static bool parse_int(struct zk_span s, int base, int32_t *out)
{
	bool minus = s.n && s.p[0] == '-';
	size_t i = minus || (s.n && s.p[0] == '+') ? 1 : 0;
	int64_t v = 0;

	if (i == s.n)
		return false;
	for (; i < s.n; i++) {
		int d = digit(s.p[i]);

		if (d >= base)
			return false;
		v = v * base + d;
		if (v > (int64_t)INT32_MAX + 1)
			return false;
	}
	v = minus ? -v : v;
	if (v > INT32_MAX)
		return false;
	*out = (int32_t)v;
	return true;
}

/* Cut the text before the first @p c off the front; false when there is no more. */
static bool cut(struct zk_span *rest, uint8_t c, struct zk_span *part)
{
	const uint8_t *at;

	if (!rest->p)
		return false;
	at = rest->n ? memchr(rest->p, c, rest->n) : NULL;
	if (!at) {
		*part = *rest;
		*rest = (struct zk_span){NULL, 0};
		return true;
	}
	size_t n = (size_t)(at - rest->p);

	*part = zk_span_of(rest->p, n);
	*rest = zk_span_of(at + 1, rest->n - n - 1);
	return true;
}

static bool parse_v4(struct zk_span s, struct addr *a)
{
	struct zk_span part;
	unsigned n = 0;

	while (cut(&s, '.', &part)) {
		int32_t v;

		if (n == 4 || !parse_int(part, 10, &v) || v < 0 || v > 255)
			return false;
		a->b[n++] = (uint8_t)v;
	}
	a->bytes = 4;
	return n == 4;
}

/* The groups of one side of "::" (or of a full address). False on a bad or ninth group. */
static bool parse_groups(struct zk_span s, uint8_t out[16], unsigned *groups)
{
	struct zk_span part;

	*groups = 0;
	while (cut(&s, ':', &part)) {
		int32_t v;

		if (*groups == 8 || part.n > 4 || !parse_int(part, 16, &v))
			return false;
		out[*groups * 2] = (uint8_t)((uint32_t)v >> 8);
		out[*groups * 2 + 1] = (uint8_t)v;
		++*groups;
	}
	return true;
}

static bool parse_v6(struct zk_span s, struct addr *a)
{
	uint8_t left[16], right[16];
	unsigned nl = 0, nr = 0;
	size_t gap = s.n;

	for (size_t i = 0; i + 1 < s.n && gap == s.n; i++) {
		if (s.p[i] == ':' && s.p[i + 1] == ':')
			gap = i;
	}
	memset(a->b, 0, sizeof(a->b));
	a->bytes = 16;
	if (gap == s.n) {
		if (!parse_groups(s, a->b, &nl))
			return false;
		return nl == 8;
	}
	if (gap > 0 && !parse_groups(zk_span_of(s.p, gap), left, &nl))
		return false;
	/* A second "::" leaves an empty group there, which parse_groups() refuses. */
	if (gap + 2 < s.n && !parse_groups(zk_span_of(s.p + gap + 2, s.n - gap - 2), right, &nr))
		return false;
	if (nl + nr >= 8)
		return false;
	memcpy(a->b, left, (size_t)nl * 2);
	memcpy(a->b + 16 - (size_t)nr * 2, right, (size_t)nr * 2);
	return true;
}

static bool parse_addr(struct zk_span s, struct addr *a)
{
	if (s.n && memchr(s.p, ':', s.n))
		return parse_v6(s, a);
	if (s.n && memchr(s.p, '.', s.n))
		return parse_v4(s, a);
	return false;
}

static bool parse_expr(struct zk_span expr, struct addr *a, unsigned *bits)
{
	const uint8_t *slash = expr.n ? memchr(expr.p, '/', expr.n) : NULL;
	size_t n = slash ? (size_t)(slash - expr.p) : expr.n;
	int32_t v;

	if (!parse_addr(zk_span_of(expr.p, n), a))
		return false;
	*bits = a->bytes * 8;
	if (!slash)
		return true;
	if (!parse_int(zk_span_of(slash + 1, expr.n - n - 1), 10, &v) || v < 0 ||
	    (uint32_t)v > *bits)
		return false;
	*bits = (unsigned)v;
	return true;
}

bool auth_ip_valid(struct zk_span expr)
{
	struct addr a;
	unsigned bits;

	return parse_expr(expr, &a, &bits);
}

bool auth_ip_matches(struct zk_span id, struct zk_span expr)
{
	struct addr a, b;
	unsigned bits;

	if (!parse_expr(expr, &a, &bits) || !parse_addr(id, &b) || a.bytes != b.bytes)
		return false;
	for (unsigned i = 0; i < bits; i++) {
		if (((a.b[i / 8] ^ b.b[i / 8]) >> (7 - i % 8)) & 1)
			return false;
	}
	return true;
}
