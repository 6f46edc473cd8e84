/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/name.h"

#include "core/base/assert.h"

#include <stdio.h>

static struct zk_span part(struct zk_span *rest)
{
	const uint8_t *dot = rest->n ? memchr(rest->p, '.', rest->n) : NULL;
	struct zk_span s = {rest->p, dot ? (size_t)(dot - rest->p) : rest->n};

	*rest = dot ? zk_span_of(dot + 1, rest->n - s.n - 1) : (struct zk_span){NULL, 0};
	return s;
}

static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Long.parseLong(text, 16) without its signs. */
static bool parse_hex(struct zk_span s, uint64_t *out)
{
	uint64_t v = 0;

	for (size_t i = 0; i < s.n; i++) {
		int d = digit(s.p[i]);

		if (d < 0 || v >> 59)
			return false;
		v = v << 4 | (uint64_t)d;
	}
	*out = v;
	return s.n > 0;
}

bool store_name_parse(struct zk_span name, struct store_name *out)
{
	struct zk_span rest = name, kind = part(&rest);

	*out = (struct store_name){0};
	if (zk_span_eq(kind, zk_span_str("log")))
		out->kind = STORE_LOG;
	else if (zk_span_eq(kind, zk_span_str("snapshot")))
		out->kind = STORE_SNAPSHOT;
	else
		return false;
	if (!rest.p || !parse_hex(part(&rest), &out->zxid))
		return false;
	if (out->kind == STORE_SNAPSHOT && zk_span_eq(rest, zk_span_str("gz")))
		out->pack = STORE_GZ;
	else if (out->kind == STORE_SNAPSHOT && zk_span_eq(rest, zk_span_str("snappy")))
		out->pack = STORE_SNAPPY;
	else
		out->suffix = rest.p != NULL;
	return true;
}

void store_name_format(const struct store_name *name, char out[STORE_NAME_MAX])
{
	static const char *const suffix[] = {"", ".gz", ".snappy"};
	int n = snprintf(out, STORE_NAME_MAX, "%s.%llx%s",
			 name->kind == STORE_LOG ? "log" : "snapshot",
			 (unsigned long long)name->zxid, suffix[name->pack]);

	zk_assert(n > 0 && n < STORE_NAME_MAX);
}

size_t store_logs_first(const uint64_t *starts, size_t n, uint64_t zxid)
{
	size_t first = 0;

	for (size_t i = 1; i < n; i++) {
		zk_assert(starts[i - 1] <= starts[i]);
		if (starts[i] <= zxid)
			first = i;
	}
	return first;
}

bool store_snapshot_plausible(enum store_pack pack, uint64_t size, struct zk_span head,
			      struct zk_span tail)
{
	static const uint8_t end[STORE_VALID_TAIL] = {0, 0, 0, 1, '/'};
	static const uint8_t gz[] = {0x1f, 0x8b};
	static const uint8_t snappy[] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};

	switch (pack) {
	case STORE_GZ:
		return zk_span_starts(head, zk_span_of(gz, sizeof(gz)));
	case STORE_SNAPPY:
		return zk_span_starts(head, zk_span_of(snappy, sizeof(snappy)));
	default:
		return size >= STORE_SNAPSHOT_MIN && zk_span_eq(tail, zk_span_of(end, sizeof(end)));
	}
}
