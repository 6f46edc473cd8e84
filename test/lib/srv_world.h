/* SPDX-License-Identifier: Apache-2.0 */
/** A client core and the real leader core in one thread, driven by a string of bytes: fuzzing and
 * random tests share it.
 *
 * The bytes are operations: connections come and go, send requests, damaged requests and noise;
 * budgets, memory, time, the log stage's durability and the server's role change. What must hold:
 * replies come in the order of the requests, frames are well formed, zxids a connection sees never
 * go back, and at the end every byte of memory is back. A violation aborts.
 */
#ifndef TEST_SRV_WORLD_H
#define TEST_SRV_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct srv_world_stats {
	uint64_t requests, replies, events, sessions, closed, rounds, roles;
};

/** Run one string of operations. @p ensemble: the server is a member of one, and its role changes.
 *  @p out may be NULL; figures are added to it. */
void srv_world_run(const uint8_t *p, size_t n, bool ensemble, struct srv_world_stats *out);

#endif
