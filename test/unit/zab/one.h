/* SPDX-License-Identifier: Apache-2.0 */
/** One server of core/zab under test: its events in a chosen order, its effects at hand. Each call
 * that is an event leaves what it caused in one.got. */
#ifndef TEST_ZAB_ONE_H
#define TEST_ZAB_ONE_H

#include "core/zab/zab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define ONE_MS     UINT64_C(1000000)
#define ONE_EPOCH1 (UINT64_C(1) << 32)
#define ONE_EPOCH2 (UINT64_C(2) << 32)

struct one {
	struct zab z;
	struct zk_mem mem;
	struct zab_members m;
	uint64_t now_ns;
	struct zab_effect got[ZAB_EFFECTS_MAX]; /* since the last event */
	unsigned n;
};

extern struct one one;
extern struct zab_beat one_beat;  /* of what one_boot() makes */
extern uint32_t one_peer_beat_ms; /* of learners that come to one_lead() */

/** Collect what the last event has caused. */
void one_drain(void);

/** The @p nth effect of a kind, or packet sent of a type, of the last event; NULL = none. */
const struct zab_effect *one_effect(enum zab_effect_kind kind, unsigned nth);
const struct zab_effect *one_sent(int32_t type, unsigned nth);

/** Server @p sid of three, with a log that ends at @p last and both epochs @p epoch. */
void one_boot(int64_t sid, uint64_t last, uint64_t epoch);
void one_done(void);

/** Events: a vote, a packet on a link, the disk's answers, the clock. */
void one_notify(int64_t from, int64_t leader, uint64_t zxid, uint64_t epoch);
void one_packet(uint32_t link, int32_t type, uint64_t zxid, const char *data);
void one_epoch_packet(uint32_t link, int32_t type, uint64_t zxid, uint32_t number);
void one_durable(uint64_t zxid);
void one_written(enum zab_file file);
void one_at(uint64_t at_ms);

/** Tick whenever it is due, up to @p at_ms. */
void one_pass(uint64_t at_ms);

/** A follower of server 3 in epoch 2 that has just been told DIFF. */
void one_follow(uint64_t last);
void one_propose_and_commit(uint64_t zxid);

/** Leader 3 of epoch 2, everybody there; learner 1 on link 0, learner 2 on link 1 if @p both. */
void one_lead(uint64_t last, bool both);
void one_ackepoch(uint32_t link, uint64_t last);

/** ... and it serves: learner 1 is up to date. */
void one_serve(uint64_t last);
void one_propose(uint64_t zxid);

#endif
