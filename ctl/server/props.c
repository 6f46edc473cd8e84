/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/props.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct in {
	const char *p, *end;
	unsigned line;
	char *why;
};

/* Bytes of a logical line with every decision about escapes taken. */
struct text {
	char *b;
	size_t n;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\f';
}

/* Step over one line end: \n, \r or \r\n. */
static void skip_eol(struct in *in)
{
	if (in->p < in->end && *in->p == '\r') {
		in->p++;
		if (in->p < in->end && *in->p == '\n')
			in->p++;
	} else if (in->p < in->end && *in->p == '\n') {
		in->p++;
	}
	in->line++;
}

static bool at_eol(const struct in *in)
{
	return in->p == in->end || *in->p == '\n' || *in->p == '\r';
}

static void skip_blanks(struct in *in)
{
	while (in->p < in->end && is_blank(*in->p))
		in->p++;
}

/* Each input byte gives at most two output bytes (Latin-1 to UTF-8), \uXXXX at most three. */
static void put_utf8(struct text *t, uint32_t c)
{
	if (c < 0x80) {
		t->b[t->n++] = (char)c;
	} else if (c < 0x800) {
		t->b[t->n++] = (char)(0xc0 | (c >> 6));
		t->b[t->n++] = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		t->b[t->n++] = (char)(0xe0 | (c >> 12));
		t->b[t->n++] = (char)(0x80 | ((c >> 6) & 0x3f));
		t->b[t->n++] = (char)(0x80 | (c & 0x3f));
	} else {
		t->b[t->n++] = (char)(0xf0 | (c >> 18));
		t->b[t->n++] = (char)(0x80 | ((c >> 12) & 0x3f));
		t->b[t->n++] = (char)(0x80 | ((c >> 6) & 0x3f));
		t->b[t->n++] = (char)(0x80 | (c & 0x3f));
	}
}

static bool read_hex4(struct in *in, uint32_t *out)
{
	uint32_t v = 0;

	for (int i = 0; i < 4; i++) {
		char c = in->p < in->end ? *in->p : 'x';
		unsigned d = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
			     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
			     : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
						    : 16;

		if (d == 16)
			return false;
		v = v * 16 + d;
		in->p++;
	}
	*out = v;
	return true;
}

static enum zk_err bad_escape(struct in *in)
{
	snprintf(in->why, PROPS_WHY_MAX, "malformed \\uXXXX escape");
	return ZK_EINVAL;
}

/* Behind "\u". A pair of surrogates makes one character. */
static enum zk_err unicode(struct in *in, struct text *t)
{
	uint32_t c, low;

	if (!read_hex4(in, &c))
		return bad_escape(in);
	if (c >= 0xd800 && c < 0xdc00 && in->end - in->p >= 6 && in->p[0] == '\\' &&
	    in->p[1] == 'u') {
		in->p += 2;
		if (!read_hex4(in, &low) || low < 0xdc00 || low > 0xdfff)
			return bad_escape(in);
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	} else if (c >= 0xd800 && c < 0xe000) {
		return bad_escape(in); /* half a pair */
	}
	if (c == 0) {
		snprintf(in->why, PROPS_WHY_MAX, "a NUL character");
		return ZK_EINVAL;
	}
	put_utf8(t, c);
	return ZK_EOK;
}

/* Behind a backslash that does not end its line. */
static enum zk_err escaped(struct in *in, struct text *t)
{
	char c = *in->p++;

	switch (c) {
	case 'u':
		return unicode(in, t);
	case 't':
		c = '\t';
		break;
	case 'n':
		c = '\n';
		break;
	case 'r':
		c = '\r';
		break;
	case 'f':
		c = '\f';
		break;
	default:
		break;
	}
	put_utf8(t, (uint8_t)c);
	return ZK_EOK;
}

/* Copy until the end of the logical line or, for a key, until its separator. */
static enum zk_err copy(struct in *in, struct text *t, bool key)
{
	while (!at_eol(in)) {
		char c = *in->p;

		if (c == '\\') {
			in->p++;
			if (at_eol(in)) { /* the line goes on */
				if (in->p == in->end)
					return ZK_EOK;
				skip_eol(in);
				skip_blanks(in);
			} else {
				enum zk_err err = escaped(in, t);

				if (err != ZK_EOK)
					return err;
			}
			continue;
		}
		if (key && (c == '=' || c == ':' || is_blank(c)))
			return ZK_EOK;
		if (c == 0) {
			snprintf(in->why, PROPS_WHY_MAX, "a NUL character");
			return ZK_EINVAL;
		}
		put_utf8(t, (uint8_t)c);
		in->p++;
	}
	return ZK_EOK;
}

/* Java's String.trim() in place: everything up to the blank goes. */
static char *trimmed(const struct text *t)
{
	size_t from = 0, to = t->n;

	while (from < to && (uint8_t)t->b[from] <= ' ')
		from++;
	while (to > from && (uint8_t)t->b[to - 1] <= ' ')
		to--;
	return strndup(t->b + from, to - from);
}

static void skip_continued_blanks(struct in *in)
{
	skip_blanks(in);
	while (in->p < in->end && *in->p == '\\' && in->end - in->p >= 2 &&
	       (in->p[1] == '\n' || in->p[1] == '\r')) {
		in->p++;
		skip_eol(in);
		skip_blanks(in);
	}
}

static enum zk_err parse_line(struct in *in, struct text *t, struct prop *out)
{
	enum zk_err err;

	out->line = in->line;
	t->n = 0;
	err = copy(in, t, true);
	if (err != ZK_EOK)
		return err;
	out->key = trimmed(t);
	skip_continued_blanks(in);
	if (in->p < in->end && (*in->p == '=' || *in->p == ':')) {
		in->p++;
		skip_continued_blanks(in);
	}
	t->n = 0;
	err = copy(in, t, false);
	if (err == ZK_EOK) {
		out->value = trimmed(t);
		if (!out->key || !out->value)
			err = ZK_ENOMEM;
	}
	if (err != ZK_EOK) {
		free(out->key);
		free(out->value);
	}
	return err;
}

static enum zk_err parse_all(struct in *in, struct text *t, struct props *out)
{
	while (in->p < in->end) {
		struct prop prop = {0};
		enum zk_err err;

		skip_blanks(in);
		if (in->p < in->end && (*in->p == '#' || *in->p == '!')) {
			while (!at_eol(in))
				in->p++;
		}
		if (at_eol(in)) {
			if (in->p < in->end)
				skip_eol(in);
			continue;
		}
		if (out->n == PROPS_MAX) {
			snprintf(in->why, PROPS_WHY_MAX, "more than %d settings", PROPS_MAX);
			return ZK_EINVAL;
		}
		err = parse_line(in, t, &prop);
		if (err != ZK_EOK)
			return err;
		for (unsigned i = 0; i < out->n; i++)
			if (strcmp(out->v[i].key, prop.key) == 0)
				out->v[i].overridden = true;
		out->v[out->n++] = prop;
	}
	return ZK_EOK;
}

enum zk_err props_parse(const char *text, size_t n, struct props *out, unsigned *line, char *why)
{
	struct in in = {.p = text, .end = text + n, .line = 1, .why = why};
	struct props props = {0};
	struct text t = {0};
	enum zk_err err = ZK_ENOMEM;

	why[0] = 0;
	*line = 1;
	if (n > PROPS_BYTES_MAX) {
		snprintf(why, PROPS_WHY_MAX, "larger than %d bytes", PROPS_BYTES_MAX);
		return ZK_EINVAL;
	}
	props.v = calloc(PROPS_MAX, sizeof(*props.v));
	t.b = malloc(2 * n + 8);
	if (props.v && t.b)
		err = parse_all(&in, &t, &props);
	*line = in.line;
	free(t.b);
	if (err != ZK_EOK) {
		props_free(&props);
		return err;
	}
	*out = props;
	return ZK_EOK;
}

void props_free(struct props *p)
{
	for (unsigned i = 0; i < p->n; i++) {
		free(p->v[i].key);
		free(p->v[i].value);
	}
	free(p->v);
	*p = (struct props){0};
}

const struct prop *props_get(const struct props *p, const char *key)
{
	for (unsigned i = 0; i < p->n; i++)
		if (!p->v[i].overridden && strcmp(p->v[i].key, key) == 0)
			return &p->v[i];
	return NULL;
}
