/* SPDX-License-Identifier: Apache-2.0 */
/** A lossy link between two stacks in virtual time, all of it from one seed.
 *
 * It carries copies. The original stays referenced for a while, as a driver's transmit ring would
 * hold it, and is compared with the copy when it is given back: a stack that writes into a frame it
 * has handed out is found.
 */
#ifndef TEST_SIM_LINK_H
#define TEST_SIM_LINK_H

#include "core/base/hash.h"
#include "dp/port/pkt.h"

#include <stdbool.h>
#include <stdint.h>

#define LINK_MS 1000000u
#define LINK_S  1000000000u

enum { LINK_QUEUE_MAX = 1024, LINK_FRAME_MAX = 2048, LINK_PPM = 1000000 };

/** A generator of its own, so that a seed means the same everywhere (splitmix64). */
struct sim_rng {
	uint64_t state;
};

static inline uint64_t sim_rng_next(struct sim_rng *r)
{
	r->state += 0x9e3779b97f4a7c15u;
	return zk_mix64(r->state);
}

/** 0 .. n-1. */
static inline uint64_t sim_rng_below(struct sim_rng *r, uint64_t n)
{
	return n ? sim_rng_next(r) % n : 0;
}

/** low .. high, both included. */
static inline uint64_t sim_rng_range(struct sim_rng *r, uint64_t low, uint64_t high)
{
	return low + sim_rng_below(r, high - low + 1);
}

static inline bool sim_rng_ppm(struct sim_rng *r, uint32_t ppm)
{
	return sim_rng_below(r, LINK_PPM) < ppm;
}

/** Faults of one direction; they end at heal_ns. */
struct link_conf {
	uint32_t loss_ppm, duplicate_ppm, reorder_ppm, corrupt_ppm, truncate_ppm;
	uint64_t delay_ns, jitter_ns, reorder_ns;
	uint64_t cut_from_ns, cut_until_ns; /* nothing passes in between */
	uint32_t queue_packets;             /* more are dropped; <= LINK_QUEUE_MAX */
	uint64_t tx_hold_ns;                /* up to so long the originals stay referenced */
};

struct link_stats {
	uint64_t sent, delivered, lost, duplicated, reordered, corrupted, overflowed, cut;
};

struct link;

/** Both directions (index: the sending side). @return never NULL; the caller's. */
struct link *link_new(const struct link_conf conf[2], uint64_t heal_ns, uint64_t seed);

/** Give back what is still held and free. @return originals found changed while held, over the
 * whole life: 0 is right. */
uint64_t link_free(struct link *l);

/** Take one frame from side @p from; the reference passes to the link. */
void link_send(struct link *l, unsigned from, struct pkt *p, uint64_t now_ns);

/** A frame due at side @p to, at most LINK_FRAME_MAX bytes into @p out; 0 = none now. */
uint32_t link_receive(struct link *l, unsigned to, uint64_t now_ns, uint8_t *out);

/** Give originals back whose time has come. */
void link_round(struct link *l, uint64_t now_ns);

/** When does something happen next? UINT64_MAX = never. */
uint64_t link_next_ns(const struct link *l);

/** Digest of everything delivered so far: equal seeds give equal digests. */
uint64_t link_digest(const struct link *l);
const struct link_stats *link_stats(const struct link *l, unsigned from);

#endif
