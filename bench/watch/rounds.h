/* SPDX-License-Identifier: Apache-2.0 */
/** What zokord says of its own rounds: zk_*_coreN_round_ns, _reply_ns and _stolen_ns of mntr
 * (struct client_times of dp/loop/client.h). Of bench-watch. */
#ifndef BENCH_WATCH_ROUNDS_H
#define BENCH_WATCH_ROUNDS_H

#include <stdint.h>

struct rounds {
	const char *host; /* NULL: it is not zokord */
	uint16_t port;
	/* of the phase, ns; of the core with the largest one */
	uint64_t round_p50, round_p99, round_max, reply_p99, reply_max;
	uint64_t stolen_max, stolen_sum; /* the sum is over all cores */
};

/** A phase begins: srst. Ends the process when the server does not answer. */
void rounds_begin(struct rounds *r);
/** It is over: fill the figures. */
void rounds_end(struct rounds *r);

#endif
