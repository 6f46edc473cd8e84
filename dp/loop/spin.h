/* SPDX-License-Identifier: Apache-2.0 */
/** How long an idle thread looks around before it goes to sleep.
 *
 * Going to sleep and being woken costs some microseconds of latency; looking around costs the CPU.
 * So it spins as long as it lately paid: the time doubles when a wait was so short that a spin
 * would have seen its end, and halves when it was not. That holds on a CPU of one's own only. Where
 * others wait for the same CPU, a spin takes it from the very threads that would end the wait, and
 * a thread that sleeps is the next to get it: then it does not spin at all. The kernel says so:
 * /proc/thread-self/schedstat has the time that the thread was ready to run and waited for a CPU.
 */
#ifndef ZK_LOOP_SPIN_H
#define ZK_LOOP_SPIN_H

#include <stdbool.h>
#include <stdint.h>

enum {
	SPIN_MAX_NS = 50000,
	SPIN_FIRST_NS = 4000,      /* the shortest that is not nothing */
	SPIN_SAMPLE_NS = 5000000,  /* between two looks at the kernel's figures */
	SPIN_CONTESTED_NS = 20000, /* mean wait for the CPU above which it is not ours */
};

struct spin {
	uint64_t ns; /* to spin next time, 0 = go to sleep at once */
	bool contested;
	int fd; /* the kernel's figures, -1 = they are not to be had, and spins are short */
	uint64_t sampled_ns, delay_ns, runs;
};

/** By the thread itself, as everything here. One system call that does not sleep. */
void spin_start(struct spin *s, uint64_t now_ns);
void spin_end(struct spin *s);

/** A wait has ended at @p now_ns. @p idle_ns: since the last work, spin included; @p called: work
 * has come, not just the time. Every SPIN_SAMPLE_NS one system call that does not sleep. */
void spin_learn(struct spin *s, uint64_t now_ns, uint64_t idle_ns, bool called);

/** The kernel's sums since the thread began: ns of waiting for a CPU, times it got one. For
 * spin_learn() and its test. */
void spin_sample(struct spin *s, uint64_t now_ns, uint64_t delay_ns, uint64_t runs);

#endif
