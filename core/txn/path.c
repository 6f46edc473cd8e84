/* SPDX-License-Identifier: Apache-2.0 */
#include "core/txn/path.h"

static bool continues(uint8_t c)
{
	return (c & 0xc0) == 0x80;
}

/* Length of the legal character at @p p, 0 when there is none. Four-byte characters are two
 * surrogates in Java, which are refused; so are private use and U+FFFD (bad UTF-8 decodes to it).
 */
static size_t char_valid(const uint8_t *p, size_t left)
{
	uint32_t c = p[0];

	if (c < 0x80)
		return c > 0x1f && c != 0x7f ? 1 : 0;
	if (c >= 0xc2 && c <= 0xdf) {
		if (left < 2 || !continues(p[1]))
			return 0;
		c = (c & 0x1f) << 6 | (p[1] & 0x3fu);
		return c > 0x9f ? 2 : 0;
	}
	if (c >= 0xe0 && c <= 0xef) {
		if (left < 3 || !continues(p[1]) || !continues(p[2]))
			return 0;
		c = (c & 0xf) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
		return c >= 0x800 && !(c >= 0xd800 && c <= 0xf8ff) && c < 0xfff0 ? 3 : 0;
	}
	return 0;
}

static bool component_valid(const uint8_t *p, size_t n)
{
	if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
		return false;
	for (size_t i = 0; i < n;) {
		size_t k = char_valid(p + i, n - i);

		if (k == 0)
			return false;
		i += k;
	}
	return true;
}

bool txn_path_valid(struct zk_span path)
{
	if (path.n == 0 || path.p[0] != '/')
		return false;
	if (path.n == 1)
		return true;
	for (size_t at = 1; at <= path.n;) {
		const uint8_t *slash = at < path.n ? memchr(path.p + at, '/', path.n - at) : NULL;
		size_t end = slash ? (size_t)(slash - path.p) : path.n;

		if (!component_valid(path.p + at, end - at))
			return false;
		at = end + 1;
	}
	return true;
}

bool txn_path_parent(struct zk_span path, struct zk_span *parent)
{
	const uint8_t *slash = path.p ? memrchr(path.p, '/', path.n) : NULL;

	if (!slash || memchr(path.p, 0, path.n))
		return false;
	if (slash == path.p)
		*parent = zk_span_of(path.p, 1);
	else
		*parent = zk_span_of(path.p, (size_t)(slash - path.p));
	return true;
}

bool txn_path_special(struct zk_span path)
{
	static const char *const special[] = {"/", "/zookeeper", "/zookeeper/quota",
					      "/zookeeper/config"};

	for (unsigned i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
		if (zk_span_eq(path, zk_span_str(special[i])))
			return true;
	}
	return false;
}
