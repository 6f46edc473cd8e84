/* SPDX-License-Identifier: Apache-2.0 */
/** A borrowed run of bytes. Says nothing about ownership; valid as long as the owner says. */
#ifndef ZK_BASE_SPAN_H
#define ZK_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct zk_span {
	const uint8_t *p; /* may be NULL only when n is 0 */
	size_t n;
};

static inline struct zk_span zk_span_of(const void *p, size_t n)
{
	return (struct zk_span){(const uint8_t *)p, n};
}

static inline struct zk_span zk_span_str(const char *s)
{
	return (struct zk_span){(const uint8_t *)s, strlen(s)};
}

static inline bool zk_span_eq(struct zk_span a, struct zk_span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/** Is @p prefix the beginning of @p s? */
static inline bool zk_span_starts(struct zk_span s, struct zk_span prefix)
{
	return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

#endif
