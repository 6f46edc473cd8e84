/* SPDX-License-Identifier: Apache-2.0 */
/** Request bodies of writes, for tests. */
#ifndef TEST_REQ_H
#define TEST_REQ_H

#include "core/base/span.h"

/* Request bodies, in one of a few static buffers that are used in turn. acl NULL: world:anyone ALL,
 * else "perms scheme id[,...]"; data NULL: null. */
struct zk_span req_create(const char *path, const char *data, const char *acl, int32_t flags);
struct zk_span req_ttl(const char *path, const char *data, int32_t flags, int64_t ttl);
struct zk_span req_version(const char *path, int32_t version); /* delete, check */
struct zk_span req_set(const char *path, const char *data, int32_t version);
struct zk_span req_acl(const char *path, const char *acl, int32_t version);
struct zk_span req_path(const char *path); /* NULL: null */

/** A multi: add operations, then end. */
struct req_multi {
	uint8_t buf[65536];
	size_t n;
};
void multi_op(struct req_multi *m, int32_t type, struct zk_span body);
struct zk_span multi_end(struct req_multi *m);

/** Bytes from hex digits; spaces and '|' are skipped. Returns the count. */
size_t from_hex(const char *hex, uint8_t *out, size_t cap);

#endif
