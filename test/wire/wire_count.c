/* SPDX-License-Identifier: Apache-2.0 */
#include "test/wire/wire.h"

#include "dp/net/stats.h"

#include <string.h>

uint64_t wire_counter(struct wire *w, const char *name)
{
	for (size_t i = 0; i < NET_STATS_COUNT; i++) {
		if (strcmp(net_stats_describe(i)->name, name) == 0)
			return net_stats_value(net_stats_get(w->net), i);
	}
	wire_fail(w, "no such counter: '%s'", name);
	return 0;
}
