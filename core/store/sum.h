/* SPDX-License-Identifier: Apache-2.0 */
/** Adler-32 of records and seals (java.util.zip.Adler32).
 *
 * From libdeflate, like the CRC-32 of core/tree/digest.c: several times as fast as zlib's. The
 * function keeps no state of its own and allocates nothing, so core stays pure. zlib itself, for
 * gzip, is for ctl/.
 */
#ifndef ZK_STORE_SUM_H
#define ZK_STORE_SUM_H

#include "core/base/span.h"

#define STORE_ADLER32_INIT UINT32_C(1)

/** Go on from @p sum (first STORE_ADLER32_INIT) over the borrowed @p s. Any context; linear. */
uint32_t store_adler32(uint32_t sum, struct zk_span s);

#endif
