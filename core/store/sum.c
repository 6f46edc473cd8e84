/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/sum.h"

#include <libdeflate.h>

uint32_t store_adler32(uint32_t sum, struct zk_span s)
{
	return s.n ? libdeflate_adler32(sum, s.p, s.n) : sum;
}
