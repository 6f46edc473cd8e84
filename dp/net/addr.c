/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/endian.h"
#include "dp/net/net.h"

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct net_addr net_addr_v4(uint32_t host_order)
{
	struct net_addr a;

	memcpy(a.b, mapped, sizeof(mapped));
	zk_put32(a.b + 12, host_order);
	return a;
}

bool net_addr_is_v4(const struct net_addr *a)
{
	return memcmp(a->b, mapped, sizeof(mapped)) == 0;
}

uint32_t net_addr_to_v4(const struct net_addr *a)
{
	return zk_get32(a->b + 12);
}
