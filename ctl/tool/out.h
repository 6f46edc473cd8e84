/* SPDX-License-Identifier: Apache-2.0 */
/** What the offline commands print, and memory for them. */
#ifndef ZK_CTL_TOOL_OUT_H
#define ZK_CTL_TOOL_OUT_H

#include "core/base/span.h"

#include <jansson.h>
#include <stdio.h>

/** As malloc(), calloc() and realloc(); ends the program when there is no memory. */
void *out_alloc(size_t n);
void *out_alloc0(size_t n);
void *out_realloc(void *p, size_t n);

/** Print @p s; what is not printable ASCII or UTF-8 as \xNN. At most @p max bytes, then "...". */
void out_text(FILE *f, struct zk_span s, size_t max);

/** "2026-01-31T12:00:00.123Z"; other than years 1 to 9999: the number. */
void out_time(FILE *f, int64_t ms);

/** The ACL vector @p jute as "31 world:anyone, ...". */
void out_acl(FILE *f, struct zk_span jute);

/** A JSON string; bytes that are not UTF-8 as \xNN. Null for a null span. New reference. */
json_t *out_json_text(struct zk_span s);
/** Base64, null for null. New reference. */
json_t *out_json_data(struct zk_span s);
/** [{"perms":31,"scheme":"world","id":"anyone"}]. New reference. */
json_t *out_json_acl(struct zk_span jute);
/** Add @p value, whose reference is taken. */
void out_json_set(json_t *object, const char *key, json_t *value);
void out_json_int(json_t *object, const char *key, int64_t value);
void out_json_str(json_t *object, const char *key, const char *text);
/** Print @p object on a line of its own and let go of it. */
void out_json_line(json_t *object);

#endif
