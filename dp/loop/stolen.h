/* SPDX-License-Identifier: Apache-2.0 */
/** Time that a polling thread wanted to run in and had no CPU: given to another thread of this
 * machine, or by the hypervisor to another machine. It is what lies between the clock on the wall
 * and the thread's own CPU time plus its sleep.
 *
 * The thread's clock is a system call, so it is read when two looks lie far apart, and once a
 * millisecond to know where a far one began. Gaps below STOLEN_MIN_NS pass for work.
 */
#ifndef ZK_LOOP_STOLEN_H
#define ZK_LOOP_STOLEN_H

#include "core/base/assert.h"

#include <stdint.h>

#define STOLEN_MIN_NS UINT64_C(250000)
#define STOLEN_AGE_NS UINT64_C(1000000)

struct stolen {
	uint64_t last_ns;         /* the last look */
	uint64_t wall_ns, cpu_ns; /* when the thread's clock was read */
	uint64_t slept_ns;        /* of its own will, since */
};

/** From now on. The thread itself, as everything here. */
void stolen_start(struct stolen *s, uint64_t now_ns);

/** It has slept for @p ns, too late waking included. */
static inline void stolen_slept(struct stolen *s, uint64_t ns)
{
	s->slept_ns += ns;
}

/** The rest of stolen_look(). */
uint64_t stolen_read(struct stolen *s, uint64_t now_ns, uint64_t gap_ns);

/** A look at the clock has shown @p now_ns. @return what was taken since the look before, ns; 0
 * when they lie too close together. */
static inline uint64_t stolen_look(struct stolen *s, uint64_t now_ns)
{
	uint64_t gap = now_ns - s->last_ns;

	s->last_ns = now_ns;
	if (zk_likely(gap < STOLEN_MIN_NS && now_ns - s->wall_ns < STOLEN_AGE_NS))
		return 0;
	return stolen_read(s, now_ns, gap);
}

#endif
