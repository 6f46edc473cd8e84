/* SPDX-License-Identifier: Apache-2.0 */
/** Between the files of zab.h. */
#ifndef ZK_ZAB_ZAB_INT_H
#define ZK_ZAB_ZAB_INT_H

#include "core/base/assert.h"
#include "core/zab/zab.h"

enum {
	ZAB_EPOCH_MAX = INT32_MAX, /* ACKEPOCH has an int for it */
	ZAB_EFFECTS_SPARE = 256,   /* kept free for what is not PROPOSAL and COMMIT */
	ZAB_DIAL_TRIES = 8,        /* waits of 10 ms doubling to 200: 0.9 s in all */
	ZAB_DIAL_AGAIN_MS = 10,
	ZAB_DIAL_SILENCES = 6, /* with heartbeats: this often their time-out for all tries */
	ZAB_DIAL_AGAIN_MAX_MS = 200,
	ZAB_ASKED_MS = 10 /* for so long an observer that has asked hears of all at once */
};

static const uint64_t zab_ms_ns = 1000000, zab_us_ns = 1000;

static inline uint64_t zab_epoch_of(uint64_t zxid)
{
	return zxid >> 32;
}

/* The first zxid of an epoch, which belongs to no transaction. */
static inline bool zab_is_epoch_start(uint64_t zxid)
{
	return (zxid & UINT32_MAX) == 0;
}

static inline bool zab_effects_low(const struct zab *z)
{
	return z->effect_tail - z->effect_head > ZAB_EFFECTS_MAX - ZAB_EFFECTS_SPARE;
}

/* Of a set that is not empty. */
static inline uint32_t zab_link_first(uint64_t links)
{
	return (uint32_t)__builtin_ctzll(links);
}
_Static_assert(ZAB_LINKS_MAX <= 64, "bits of zab.links");

static inline uint64_t zab_limit_ns(const struct zab *z, uint32_t ticks)
{
	return (uint64_t)z->conf.tick_ms * ticks * zab_ms_ns;
}

static inline struct zab_beat zab_own_beat(const struct zab *z)
{
	return (struct zab_beat){z->conf.heartbeat_ms, z->conf.heartbeat_timeout_ms};
}

/** Both sides' wishes: the slower one. */
static inline struct zab_beat zab_beat_agree(struct zab_beat a, struct zab_beat b)
{
	return (struct zab_beat){a.every_ms > b.every_ms ? a.every_ms : b.every_ms,
				 a.timeout_ms > b.timeout_ms ? a.timeout_ms : b.timeout_ms};
}

/** How long the peer on @p l may be silent, by the agreed heartbeat: twice as long as some that
 * live were lately, for on machines with too little time for everybody they are. Bound: four times
 * the agreed time-out (note_lull()). */
static inline uint64_t zab_silence_ns(const struct zab *z, const struct zab_link *l)
{
	uint64_t agreed = l->beat.timeout_ms * zab_ms_ns;

	return agreed > 2 * z->lull_ns ? agreed : 2 * z->lull_ns;
}

/* In the zxid of a PING: the rest is the number of a zab_confirm(), not a zxid. Learners give it
 * back as it is (Learner.ping()). */
static const uint64_t ZAB_CONFIRM = UINT64_C(1) << 63;

/* zab.c */
struct zab_effect *zab_emit(struct zab *z, enum zab_effect_kind kind);
/** A packet without data, or with data that outlives the effect. */
void zab_send(struct zab *z, uint32_t link, int32_t type, uint64_t zxid, struct zk_span data);
/** Room for data of a packet until the effects are carried out. */
uint8_t *zab_small(struct zab *z, uint32_t n);
void zab_write_epoch(struct zab *z, enum zab_file file, uint64_t epoch);
void zab_log(struct zab *z, uint64_t zxid, struct zk_span txn);
void zab_commit(struct zab *z, uint64_t zxid);
void zab_close_link(struct zab *z, uint32_t link);
void zab_clear_link(struct zab *z, uint32_t link);
/** Back to LOOKING: links closed, the next election when nothing is under way any more. */
void zab_lose_role(struct zab *z);

/* lead.c */
void zab_lead_begin(struct zab *z);
void zab_lead_epoch_written(struct zab *z, enum zab_file file);
void zab_lead_packet(struct zab *z, uint32_t link, const struct zab_packet *p);
void zab_lead_durable(struct zab *z);
void zab_lead_tick(struct zab *z);
void zab_lead_pause(struct zab *z);
/** The counter of the epoch is used up, all of it is decided and told: a new epoch. */
void zab_lead_roll_over(struct zab *z);
void zab_lead_link_gone(struct zab *z, uint32_t link);

/* lead_sync.c */
void zab_sync_begin(struct zab *z, uint32_t link);
/* lead_send.c */
void zab_lead_flush(struct zab *z);

/* learn.c */
void zab_learn_begin(struct zab *z);
void zab_learn_dialled(struct zab *z, bool up);
void zab_learn_heard(struct zab *z);
void zab_learn_epoch_written(struct zab *z, enum zab_file file);
void zab_learn_packet(struct zab *z, const struct zab_packet *p);
void zab_learn_durable(struct zab *z);
void zab_learn_rebuilt(struct zab *z, bool ok);
void zab_learn_flush(struct zab *z);
void zab_learn_tick(struct zab *z);

#endif
