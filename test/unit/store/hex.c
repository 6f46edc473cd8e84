/* SPDX-License-Identifier: Apache-2.0 */
#include "test/unit/store/hex.h"

#include "core/base/assert.h"

#include <stdlib.h>

const char hex_snapshot_0[] =
	"5a4b534e00000002ffffffffffffffff 00000000 00000001 0000000000000001 00000001 00000001 "
	"00000005776f726c64 00000006616e796f6e65"
	"00000000 00000000 ffffffffffffffff (60)"
	"0000000a2f7a6f6f6b6565706572 00000000 ffffffffffffffff (60)"
	"000000112f7a6f6f6b65657065722f636f6e666967 00000000 0000000000000001 (40) ffffffff (16)"
	"000000102f7a6f6f6b65657065722f71756f7461 00000000 ffffffffffffffff (60)"
	"00000001 2f"
	"00000000b8a23b49 00000001 2f"
	"0000000000000000 00000002 0000000000000000"
	"0000000095b93d59 00000001 2f"
	"0000000000000000 00000000bde83f6d 00000001 2f";

const char hex_log_header[] = "5a4b4c47 00000002 0000000000000000";
const char hex_create_session[] =
	"00000000ec760b7b 00000030 01000018efd60000 00000000 0000000000000001 000001a1fbd210a3 "
	"fffffff6 00002710 00000002 0000000051c6d660 42";
const char hex_create_a[] =
	"000000001b070d67 00000057 01000018efd60005 00000001 000000000000000b 000001a1fbd210c0 "
	"00000001 00000002 2f61 00000001 78 00000001 0000001f 00000005 776f726c64 "
	"00000006 616e796f6e65 00 00000001 00000002 0000000104d780f0 42";
const char hex_error[] =
	"0000000084b10cc0 00000024 01000018efd60005 00000002 000000000000000c 000001a1fbd210c4 "
	"ffffffff ffffff92 42";

static unsigned digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = strchr(digits, c);

	zk_assert(at && c);
	return (unsigned)(at - digits);
}

struct zk_span hex_bytes(const char *text)
{
	uint8_t *buf = malloc(65536);
	struct zk_span out;
	size_t n = 0;

	zk_assert(buf);
	while (*text) {
		if (*text == ' ') {
			text++;
		} else if (*text == '(') {
			char *end;
			size_t zeros = strtoul(text + 1, &end, 10);

			zk_assert(*end == ')' && n + zeros < 65536);
			memset(buf + n, 0, zeros);
			n += zeros;
			text = end + 1;
		} else {
			zk_assert(n < 65536);
			buf[n++] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
			text += 2;
		}
	}
	out = hex_copy(zk_span_of(buf, n));
	free(buf);
	return out;
}

struct zk_span hex_copy(struct zk_span s)
{
	uint8_t *p = malloc(s.n ? s.n : 1);

	zk_assert(p);
	if (s.n)
		memcpy(p, s.p, s.n);
	return zk_span_of(p, s.n);
}

void hex_free(struct zk_span s)
{
	free((void *)(uintptr_t)s.p);
}
