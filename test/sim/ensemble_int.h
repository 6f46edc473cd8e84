/* SPDX-License-Identifier: Apache-2.0 */
/** Between the files of ensemble.h. */
#ifndef ZK_TEST_SIM_ENSEMBLE_INT_H
#define ZK_TEST_SIM_ENSEMBLE_INT_H

#include "test/sim/ensemble.h"

static const uint64_t ms = 1000000;

enum {
	TICK_MS = 200,
	INIT_LIMIT = 10,
	SYNC_LIMIT = 5,
	FAULTS_MS = 15000,
	CALM_MS = 30000,
	TXN_BYTES = 64
};

/** The world itself is wrong, not what it tests. */
_Noreturn void ens_impossible(const char *what);
uint64_t ens_draw(struct ens *e, uint64_t n);
bool ens_chance(struct ens *e, unsigned per_thousand);
void ens_broken(struct ens *e, unsigned server, const char *what, uint64_t zxid);

/** The first used connection at or behind @p i; ENS_CONNS_MAX: none. */
static inline unsigned ens_conn_next(const struct ens *e, unsigned i)
{
	uint64_t left = i < ENS_CONNS_MAX ? e->conn_used >> i : 0;

	return left ? i + (unsigned)__builtin_ctzll(left) : ENS_CONNS_MAX;
}
_Static_assert(ENS_CONNS_MAX <= 64, "bits of ens.conn_used");

void ens_boot(struct ens *e, unsigned who);
void ens_crash(struct ens *e, unsigned who);
/** Carry out what the last event of @p who has asked for. */
void ens_settle(struct ens *e, unsigned who);
void ens_on_synced(struct ens *e, unsigned who);
void ens_on_event(struct ens *e, struct ens_event *v);
void ens_serve_conn(struct ens *e, struct ens_conn *c);
void ens_drop_items(struct ens_conn *c, int to);
/** How far it has applied, as it says now and then. */
void ens_tell_applied(struct ens *e, unsigned who);
/** Is its process stopped? */
bool ens_paused(const struct ens *e, unsigned who);

#endif
