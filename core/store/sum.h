/* SPDX-License-Identifier: Apache-2.0 */
/** The two checksums of the files: Adler-32 (records and seals, java.util.zip.Adler32) and CRC-32
 * (node digests, java.util.zip.CRC32).
 *
 * Both come from zlib, not libdeflate: java.util.zip is zlib, compressed snapshots need its gzip
 * reader in any case, and Debian has it on every system. These two functions keep no state and
 * allocate nothing, so core stays pure; the rest of zlib is for ctl/.
 */
#ifndef ZK_STORE_SUM_H
#define ZK_STORE_SUM_H

#include "core/base/span.h"

#define STORE_ADLER32_INIT UINT32_C(1)
#define STORE_CRC32_INIT   UINT32_C(0)

/** Go on from @p sum (first STORE_ADLER32_INIT) over the borrowed @p s. Any context; linear. */
uint32_t store_adler32(uint32_t sum, struct zk_span s);

/** Go on from @p sum (first STORE_CRC32_INIT) over the borrowed @p s. Any context; linear. */
uint32_t store_crc32(uint32_t sum, struct zk_span s);

#endif
