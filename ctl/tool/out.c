/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/tool/out.h"

#include "core/jute/jute.h"
#include "ctl/tool/tool.h"

#include <stdlib.h>
#include <time.h>

void *out_realloc(void *p, size_t n)
{
	void *q = realloc(p, n ? n : 1);

	if (!q) {
		fputs("zokorctl: out of memory\n", stderr);
		exit(TOOL_FAILED);
	}
	return q;
}

void *out_alloc(size_t n)
{
	return out_realloc(NULL, n);
}

void *out_alloc0(size_t n)
{
	void *p = out_alloc(n);

	memset(p, 0, n);
	return p;
}

/* Length of the UTF-8 sequence at the front of @p s; 0: it is none. */
static size_t utf8_len(struct zk_span s)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = s.p[0] < 0x80 ? 1 : s.p[0] >= 0xf0 ? 4 : s.p[0] >= 0xe0 ? 3 : 2;
	uint32_t c;

	if (n == 1)
		return 1;
	if (s.p[0] < 0xc2 || s.p[0] > 0xf4 || s.n < n)
		return 0;
	c = s.p[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((s.p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s.p[i] & 0x3fu);
	}
	return c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : n;
}

void out_text(FILE *f, struct zk_span s, size_t max)
{
	for (size_t i = 0; i < s.n;) {
		size_t n = utf8_len(zk_span_of(s.p + i, s.n - i));

		if (i >= max) {
			fputs("...", f);
			return;
		}
		if (n == 0 || (n == 1 && (s.p[i] < 0x20 || s.p[i] == 0x7f))) {
			fprintf(f, "\\x%02x", s.p[i]);
			n = 1;
		} else {
			fwrite(s.p + i, 1, n, f);
		}
		i += n;
	}
}

void out_time(FILE *f, int64_t ms)
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;
	char text[32];

	if (ms < 0 || ms >= INT64_C(253402300800000) || !gmtime_r(&t, &tm) ||
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		fprintf(f, "%lld", (long long)ms);
	else
		fprintf(f, "%s.%03dZ", text, (int)(ms % 1000));
}

void out_acl(FILE *f, struct zk_span jute)
{
	struct jute_in in = jute_in_of(jute);
	bool null;
	int32_t n = jute_count(&in, &null);

	for (int32_t i = 0; i < n && !in.bad; i++) {
		fprintf(f, "%s%d ", i ? ", " : "", jute_i32(&in));
		out_text(f, jute_bytes(&in), SIZE_MAX);
		fputc(':', f);
		out_text(f, jute_bytes(&in), SIZE_MAX);
	}
}

json_t *out_json_text(struct zk_span s)
{
	char *text, *to;
	json_t *j;

	if (!s.p)
		return json_null();
	j = json_stringn((const char *)s.p, s.n); /* NULL: not UTF-8 */
	if (j)
		return j;
	text = to = out_alloc(4 * s.n + 1);
	for (size_t i = 0; i < s.n;) {
		size_t n = utf8_len(zk_span_of(s.p + i, s.n - i));

		if (n) {
			memcpy(to, s.p + i, n);
			to += n;
			i += n;
		} else {
			to += snprintf(to, 5, "\\x%02x", s.p[i++]);
		}
	}
	j = json_stringn(text, (size_t)(to - text));
	free(text);
	return j;
}

json_t *out_json_data(struct zk_span s)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *text, *to;
	json_t *j;

	if (!s.p)
		return json_null();
	text = to = out_alloc((s.n + 2) / 3 * 4);
	for (size_t i = 0; i < s.n; i += 3) {
		uint32_t v = (uint32_t)s.p[i] << 16;

		v |= i + 1 < s.n ? (uint32_t)s.p[i + 1] << 8 : 0;
		v |= i + 2 < s.n ? s.p[i + 2] : 0;
		*to++ = digits[v >> 18];
		*to++ = digits[v >> 12 & 63];
		*to++ = i + 1 < s.n ? digits[v >> 6 & 63] : '=';
		*to++ = i + 2 < s.n ? digits[v & 63] : '=';
	}
	j = json_stringn(text, (size_t)(to - text));
	free(text);
	return j;
}

void out_json_set(json_t *object, const char *key, json_t *value)
{
	if (!object || !value || json_object_set_new(object, key, value) != 0) {
		fputs("zokorctl: out of memory\n", stderr);
		exit(TOOL_FAILED);
	}
}

void out_json_int(json_t *object, const char *key, int64_t value)
{
	out_json_set(object, key, json_integer(value));
}

void out_json_str(json_t *object, const char *key, const char *text)
{
	out_json_set(object, key, out_json_text(zk_span_str(text)));
}

json_t *out_json_acl(struct zk_span jute)
{
	struct jute_in in = jute_in_of(jute);
	json_t *list = json_array();
	bool null;
	int32_t n = jute_count(&in, &null);

	for (int32_t i = 0; i < n && !in.bad; i++) {
		json_t *one = json_object();

		out_json_int(one, "perms", jute_i32(&in));
		out_json_set(one, "scheme", out_json_text(jute_bytes(&in)));
		out_json_set(one, "id", out_json_text(jute_bytes(&in)));
		json_array_append_new(list, one);
	}
	return list;
}

void out_json_line(json_t *object)
{
	if (json_dumpf(object, stdout, JSON_COMPACT) != 0) {
		fputs("zokorctl: cannot write JSON\n", stderr);
		exit(TOOL_FAILED);
	}
	putchar('\n');
	json_decref(object);
}
