/* SPDX-License-Identifier: Apache-2.0 */
/** Java properties syntax, as java.util.Properties.load() reads it (spec/disk-format.md section 8):
 * `key=value`, `key:value`, `key value`, # and ! comments, backslash continues a line and escapes,
 * \uXXXX, Latin-1. Keys and values are trimmed, as QuorumPeerConfig does. Values come out as UTF-8.
 */
#ifndef ZK_CTL_PROPS_H
#define ZK_CTL_PROPS_H

#include "core/base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { PROPS_BYTES_MAX = 1 << 20, PROPS_MAX = 4096, PROPS_WHY_MAX = 160 };

struct prop {
	char *key, *value; /* owned by the props */
	unsigned line;     /* where the logical line starts, from 1 */
	bool overridden;   /* a later line has the same key: last wins */
};

struct props {
	struct prop *v;
	unsigned n;
};

/** Parse @p n bytes. @p text is borrowed for the call. On success the caller owns *out
 * (props_free()). @return ZK_EOK; ZK_EINVAL with *line and a reason in @p why (PROPS_WHY_MAX
 * bytes); ZK_ENOMEM. Bound: linear, PROPS_BYTES_MAX and PROPS_MAX lines. */
ZK_MUST_USE enum zk_err props_parse(const char *text, size_t n, struct props *out, unsigned *line,
				    char *why);
void props_free(struct props *p);

/** The value that counts for @p key, NULL when it is not there. Valid as long as @p p. */
const struct prop *props_get(const struct props *p, const char *key);

#endif
