/* SPDX-License-Identifier: Apache-2.0 */
#include "dp/net/stats.h"

#include "core/base/assert.h"

#include <string.h>

static const struct net_stats_desc descs[] = {
#define NET_STATS_DESC(name, help) {#name, help},
	NET_STATS_MAP(NET_STATS_DESC)
#undef NET_STATS_DESC
};

_Static_assert(sizeof(descs) / sizeof(descs[0]) == NET_STATS_COUNT, "one text per counter");

const struct net_stats_desc *net_stats_describe(size_t i)
{
	zk_assert(i < NET_STATS_COUNT);
	return &descs[i];
}

uint64_t net_stats_value(const struct net_stats *s, size_t i)
{
	uint64_t v;

	zk_assert(i < NET_STATS_COUNT);
	memcpy(&v, (const unsigned char *)s + i * sizeof(v), sizeof(v));
	return v;
}
