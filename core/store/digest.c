/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/digest.h"

#include "core/base/endian.h"
#include "core/store/sum.h"

uint32_t store_node_digest(struct zk_span path, struct zk_span data, const struct store_stat *st)
{
	uint8_t fixed[60];
	uint32_t sum = STORE_CRC32_INIT;

	if (zk_span_starts(path, zk_span_str("/zookeeper/")))
		return 0;
	if (path.n == 1 && path.p[0] == '/')
		path.n = 0;
	zk_put64(fixed, st->czxid);
	zk_put64(fixed + 8, st->mzxid);
	zk_put64(fixed + 16, st->pzxid);
	zk_put64(fixed + 24, (uint64_t)st->ctime);
	zk_put64(fixed + 32, (uint64_t)st->mtime);
	zk_put32(fixed + 40, (uint32_t)st->version);
	zk_put32(fixed + 44, (uint32_t)st->cversion);
	zk_put32(fixed + 48, (uint32_t)st->aversion);
	zk_put64(fixed + 52, st->owner);
	sum = store_crc32(sum, path);
	sum = store_crc32(sum, data);
	return store_crc32(sum, zk_span_of(fixed, sizeof(fixed)));
}
