/* SPDX-License-Identifier: Apache-2.0 */
/** How many notifications a client core may queue in a round, so that nobody else's reply stands
 * behind many of them: not more than the device has just taken, than a round of PACE_ROUND_NS has
 * time for, and than the packets allow.
 *
 * A watcher who only listens acknowledges late (RFC 1122 4.2.3.2: up to half a second, 40 ms on
 * Linux), and its packet is held until then. So a fan-out to very many would take every packet of
 * the core: a quarter of them is left to replies. Yet some notifications get through at any time,
 * since the packets may be held by clients who never answer.
 */
#ifndef ZK_LOOP_PACE_H
#define ZK_LOOP_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum { PACE_FEW = 16 }; /* a slice that is never too many */

#define PACE_ROUND_NS UINT64_C(250000)    /* slices shrink when a round takes longer */
#define PACE_BUSY_NS  UINT64_C(100000)    /* one of PACE_FEW: the device is behind */
#define PACE_SHORT_NS UINT64_C(1000000)   /* ... the packets for replies begin here */
#define PACE_LESS_NS  UINT64_C(10000000)  /* ... half of those are gone */
#define PACE_LAST_NS  UINT64_C(100000000) /* ... three quarters */

/** All zeros is a new one. Owner core. */
struct pace {
	unsigned less;         /* of what was wanted so much is not given: rounds took too long */
	unsigned given;        /* in the present round */
	uint64_t few_ns;       /* when a small slice was given last */
	uint64_t short_rounds; /* rounds that wanted to tell and found too few packets */
};

/** What is known when a round begins. */
struct pace_look {
	uint64_t now_ns;
	uint32_t packets_max, packets; /* that data may take in all, and now */
	bool behind;                   /* the device has not taken all, or holds more input */
};

/** @return how many of @p want. Bound: constant. */
unsigned pace_slice(struct pace *p, const struct pace_look *look, unsigned want);

/** A round is over; it took @p ns. */
void pace_round(struct pace *p, uint64_t ns);

#endif
