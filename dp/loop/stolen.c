/* SPDX-License-Identifier: Apache-2.0 */
#include "dp/loop/stolen.h"
#include "dp/eal/eal.h"

void stolen_start(struct stolen *s, uint64_t now_ns)
{
	*s = (struct stolen){now_ns, now_ns, eal_thread_ns(), 0};
}

uint64_t stolen_read(struct stolen *s, uint64_t now_ns, uint64_t gap_ns)
{
	uint64_t cpu = eal_thread_ns(), wall = now_ns - s->wall_ns;
	uint64_t own = cpu - s->cpu_ns + s->slept_ns, taken = wall > own ? wall - own : 0;

	s->wall_ns = now_ns;
	s->cpu_ns = cpu;
	s->slept_ns = 0;
	if (gap_ns < STOLEN_MIN_NS)
		return 0;
	return taken < gap_ns ? taken : gap_ns;
}
