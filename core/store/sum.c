/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/sum.h"

#include <zlib.h>

uint32_t store_adler32(uint32_t sum, struct zk_span s)
{
	return s.n ? (uint32_t)adler32_z(sum, s.p, s.n) : sum;
}

uint32_t store_crc32(uint32_t sum, struct zk_span s)
{
	return s.n ? (uint32_t)crc32_z(sum, s.p, s.n) : sum;
}
