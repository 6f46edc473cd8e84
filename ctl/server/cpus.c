/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/cpus.h"

#include <sched.h>

void config_cpus_get(struct config_cpus *out)
{
	cpu_set_t set;

	out->n = 0;
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		CPU_ZERO(&set);
	for (unsigned i = 0; i < CPU_SETSIZE && i < CONFIG_CPUS_MAX; i++)
		if (CPU_ISSET(i, &set))
			out->cpu[out->n++] = (uint16_t)i;
	if (out->n == 0)
		out->cpu[out->n++] = 0;
}
