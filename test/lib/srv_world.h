/* SPDX-License-Identifier: Apache-2.0 */
/** A client core and the real leader core in one thread, driven by a string of bytes: fuzzing and
 * random tests share it.
 *
 * The bytes are operations: connections come and go, send requests, damaged requests and noise;
 * budgets, memory, time and the log stage's durability change. What must hold: replies come in the
 * order of the requests, frames are well formed, zxids a connection sees never go back, and at the
 * end every byte of memory is back. A violation aborts.
 */
#ifndef TEST_SRV_WORLD_H
#define TEST_SRV_WORLD_H

#include <stddef.h>
#include <stdint.h>

struct srv_world_stats {
	uint64_t requests, replies, events, sessions, closed, rounds;
};

/** Run one string of operations. @p out may be NULL; figures are added to it. */
void srv_world_run(const uint8_t *p, size_t n, struct srv_world_stats *out);

#endif
