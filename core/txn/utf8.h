/* SPDX-License-Identifier: Apache-2.0 */
/** UTF-8 as Java's decoder takes it, for what Apache hashes as characters. */
#ifndef ZK_TXN_UTF8_H
#define ZK_TXN_UTF8_H

#include "core/base/span.h"

/** Is @p text well-formed UTF-8 (no surrogates, nothing overlong or above U+10FFFF)? Borrowed. Any
 * context; bound: linear. */
bool utf8_valid(struct zk_span text);

/** @p text decoded and encoded again as new String(bytes, UTF_8).getBytes(UTF_8) does it: each
 * malformed sequence, of the length that Java's decoder gives it, becomes U+FFFD. The bytes go to
 * @p out, the caller's. Any context; bound: linear. @return their number, 0: more than @p cap. */
size_t utf8_java(struct zk_span text, uint8_t *out, size_t cap);

#endif
