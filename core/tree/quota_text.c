/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tree/quota_text.h"

#include <inttypes.h>
#include <stdio.h>

struct pair {
	struct zk_span key;
	int64_t value;
};

/* Long.parseLong(); "" is -1 here (StatsTrack). */
static bool parse_long(struct zk_span s, int64_t *out)
{
	uint64_t v = 0, max = INT64_MAX;
	bool minus = s.n > 0 && s.p[0] == '-';
	size_t i = minus || (s.n > 0 && s.p[0] == '+');

	*out = -1;
	if (s.n == 0)
		return true;
	if (i == s.n)
		return false;
	max += minus;
	for (; i < s.n; i++) {
		unsigned d = s.p[i] - (unsigned)'0';

		if (d > 9 || v > (max - d) / 10)
			return false;
		v = v * 10 + d;
	}
	*out = (int64_t)(minus ? 0 - v : v);
	return true;
}

static bool is_separator(uint8_t c)
{
	return c == ',' || c == ';';
}

static struct zk_span until(struct zk_span s, uint8_t c)
{
	const uint8_t *end = s.n ? memchr(s.p, c, s.n) : NULL;

	return end ? zk_span_of(s.p, (size_t)(end - s.p)) : s;
}

/* The next "key=value" of @p text as split("[,;]+") and split("=") of Java give it: empty pieces at
 * an end are dropped, others are not. @return false at the end, or with *bad. */
static bool next_pair(struct zk_span *text, struct pair *out, bool *bad)
{
	struct zk_span piece = {text->p, 0}, rest;

	while (piece.n < text->n && !is_separator(piece.p[piece.n]))
		piece.n++;
	rest = zk_span_of(text->p + piece.n, text->n - piece.n);
	while (rest.n > 0 && is_separator(rest.p[0]))
		rest = zk_span_of(rest.p + 1, rest.n - 1);
	if (piece.n == 0 && rest.n == 0)
		return false;
	*text = rest;

	struct zk_span key = until(piece, '='), value;
	size_t end = piece.n;

	while (end > key.n && piece.p[end - 1] == '=')
		end--;
	*bad = end <= key.n;
	if (*bad)
		return false;
	value = until(zk_span_of(piece.p + key.n + 1, end - key.n - 1), '=');
	out->key = key;
	*bad = !parse_long(value, &out->value);
	return !*bad;
}

static int64_t *known(struct quota_text *q, struct zk_span key)
{
	if (zk_span_eq(key, zk_span_str("count")))
		return &q->count;
	if (zk_span_eq(key, zk_span_str("bytes")))
		return &q->bytes;
	if (zk_span_eq(key, zk_span_str("countHardLimit")))
		return &q->count_hard;
	if (zk_span_eq(key, zk_span_str("byteHardLimit")))
		return &q->bytes_hard;
	return NULL;
}

bool quota_text_parse(struct zk_span text, struct quota_text *out)
{
	bool bad = !text.p;
	struct pair p;

	*out = (struct quota_text){-1, -1, -1, -1};
	while (!bad && next_pair(&text, &p, &bad)) {
		int64_t *v = known(out, p.key);

		if (v)
			*v = p.value;
	}
	return !bad;
}

/* String.compareTo(), as far as UTF-8 keeps its order. */
static int compare(struct zk_span a, struct zk_span b)
{
	int c = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	return c ? c : (a.n > b.n) - (a.n < b.n);
}

/* Into its place of the sorted array; the last value of a key counts. */
static void insert(struct pair *v, size_t *n, struct pair p)
{
	size_t at = 0;

	while (at < *n && compare(v[at].key, p.key) < 0)
		at++;
	if (at < *n && compare(v[at].key, p.key) == 0) {
		v[at].value = p.value;
		return;
	}
	if (*n == QUOTA_OTHERS_MAX)
		return;
	memmove(&v[at + 1], &v[at], (*n - at) * sizeof(*v));
	v[at] = p;
	(*n)++;
}

size_t quota_text_usage(int64_t count, int64_t bytes, char out[QUOTA_TEXT_MAX])
{
	return (size_t)snprintf(out, QUOTA_TEXT_MAX, "count=%" PRId64 ",bytes=%" PRId64, count,
				bytes);
}

size_t quota_text_charge(struct zk_span old, int64_t count, int64_t bytes, char out[QUOTA_TEXT_MAX])
{
	struct pair others[QUOTA_OTHERS_MAX], p;
	int64_t was_count = -1, was_bytes = -1;
	bool bad = !old.p;
	size_t n_others = 0, n;
	const char *mark = "=";

	while (!bad && next_pair(&old, &p, &bad)) {
		if (zk_span_eq(p.key, zk_span_str("count")))
			was_count = p.value;
		else if (zk_span_eq(p.key, zk_span_str("bytes")))
			was_bytes = p.value;
		else
			insert(others, &n_others, p);
	}
	n = quota_text_usage((int64_t)((uint64_t)was_count + (uint64_t)count),
			     (int64_t)((uint64_t)was_bytes + (uint64_t)bytes), out);
	for (size_t i = 0; i < n_others; i++) {
		char value[24];
		int digits = snprintf(value, sizeof(value), "%" PRId64, others[i].value);
		size_t key = others[i].key.n, need = strlen(mark) + 2 + key + (size_t)digits;

		if (need > QUOTA_TEXT_MAX - n)
			continue;
		memcpy(out + n, mark, strlen(mark));
		n += strlen(mark);
		mark = "";
		out[n++] = ';';
		memcpy(out + n, others[i].key.p, key);
		n += key;
		out[n++] = '=';
		memcpy(out + n, value, (size_t)digits);
		n += (size_t)digits;
	}
	return n;
}
