/* SPDX-License-Identifier: Apache-2.0 */
/** Telling a flipped bit from a torn write. */
#ifndef ZK_STORE_FLIP_H
#define ZK_STORE_FLIP_H

#include "core/base/span.h"

#include <stdbool.h>

/** Would one other bit, in @p payload or in the record's checksum field @p stored, make the
 * Adler-32 right? It says yes by chance once in some 2^32 / (8 * length). Any context; bound:
 * linear. */
bool store_one_bit(struct zk_span payload, uint64_t stored);

#endif
