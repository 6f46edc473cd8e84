/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tree/digest.h"

#include "core/base/endian.h"

#include <libdeflate.h>

enum { STAT_BYTES = 60, CRC32_INIT = 0 };

bool tree_digest_counts(struct zk_span path)
{
	return !zk_span_starts(path, zk_span_of("/zookeeper/", 11));
}

uint32_t tree_digest_content(struct zk_span path, struct zk_span data)
{
	uint32_t sum = CRC32_INIT;

	if (path.n > 1)
		sum = libdeflate_crc32(sum, path.p, path.n);
	return data.n ? libdeflate_crc32(sum, data.p, data.n) : sum;
}

uint32_t tree_digest_node(uint32_t content, const struct tree_raw *raw)
{
	uint8_t fixed[STAT_BYTES];

	zk_put64(fixed, raw->czxid);
	zk_put64(fixed + 8, raw->mzxid);
	zk_put64(fixed + 16, raw->pzxid);
	zk_put64(fixed + 24, (uint64_t)raw->ctime);
	zk_put64(fixed + 32, (uint64_t)raw->mtime);
	zk_put32(fixed + 40, (uint32_t)raw->version);
	zk_put32(fixed + 44, (uint32_t)raw->cversion);
	zk_put32(fixed + 48, (uint32_t)raw->aversion);
	zk_put64(fixed + 52, raw->owner);
	return libdeflate_crc32(content, fixed, sizeof(fixed));
}
