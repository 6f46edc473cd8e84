/* SPDX-License-Identifier: Apache-2.0 */
/** Connection throttle: a token bucket with an optional random drop in front (BlueThrottle; W. Feng
 *  et al., "BLUE: A New Class of Active Queue Management Algorithms", 1999).
 *
 * Shared by the cores and free of locks; all zero is a full bucket.
 */
#ifndef ZK_SERVER_THROTTLE_H
#define ZK_SERVER_THROTTLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { THROTTLE_CERTAIN = 1000000000 /* a chance of 1 */ };

/** connection_throttle_*. */
struct throttle_conf {
	uint32_t tokens;              /* size of the bucket; 0 = no throttle */
	uint32_t fill_ms, fill_count; /* so many tokens come back per so many ms; > 0 */
	int32_t freeze_ms;            /* least time between two changes of the chance; -1 = none */
	uint32_t drop_increase, drop_decrease; /* of the chance */
	uint32_t decrease_ratio; /* of the bucket that may be missing when it goes down */
	bool weighed;            /* connections cost as much as they mean work, else one */
	uint32_t global_weight, renew_weight; /* a new session, an existing one */
};

struct throttle {
	/* when it was filled, ms << 32 | tokens missing */
	_Atomic uint64_t bucket;
	/* when the chance was changed, ms << 32 | chance to be dropped */
	_Atomic uint64_t blue;
};

/** Take @p need tokens. @p now_ms: monotonic; @p random: any 64 bits. Any core. Bound: a few tries
 * of an exchange; should others win them all, the answer is no. */
bool throttle_take(struct throttle *t, const struct throttle_conf *conf, uint32_t need,
		   uint64_t now_ms, uint64_t random);

/** Tokens missing in the bucket. Any thread. */
uint32_t throttle_deficit(const struct throttle *t);

/** Chance to be dropped, in billionths. Any thread. */
uint32_t throttle_chance(const struct throttle *t);

#endif
