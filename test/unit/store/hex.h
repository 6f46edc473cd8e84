/* SPDX-License-Identifier: Apache-2.0 */
/** Bytes for the tests of core/store. */
#ifndef ZK_TEST_UNIT_STORE_HEX_H
#define ZK_TEST_UNIT_STORE_HEX_H

#include "core/base/span.h"

/** Decode hexadecimal digits; blanks are passed over and "(n)" means n zero bytes. malloc'd. */
struct zk_span hex_bytes(const char *text);

/** A copy of @p s in an allocation of just its size, so that ASan sees the first byte beyond. */
struct zk_span hex_copy(struct zk_span s);
void hex_free(struct zk_span s);

/** spec/disk-format.md section 11: snapshot.0 as 3.9.5 writes it; the first 457 bytes as 3.8.0. */
extern const char hex_snapshot_0[];
/** ... and the records of 3.8.0's log.1 with its header. */
extern const char hex_log_header[], hex_create_session[], hex_create_a[], hex_error[];

#endif
