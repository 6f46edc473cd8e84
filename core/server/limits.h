/* SPDX-License-Identifier: Apache-2.0 */
/** Limits over all client cores: connections per address (maxClientCnxns), connections in total
 *  (maxCnxns), requests in process (globalOutstandingLimit). spec/client-protocol.md section 10.
 *
 * Shared by the cores and free of locks; all zero is an empty table, so it needs no start-up.
 */
#ifndef ZK_SERVER_LIMITS_H
#define ZK_SERVER_LIMITS_H

#include "core/base/err.h"
#include "core/base/hash.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { LIMITS_SLOTS = 16384, LIMITS_PROBE_MAX = 64 };

struct limits {
	_Atomic uint32_t conns;
	_Atomic int64_t outstanding; /* requests with xid > 0 that the leader has not answered */
	_Atomic uint64_t refused;    /* connections turned away */
	/* hash of the address << 16 | connections; 0 = free */
	_Atomic uint64_t slot[LIMITS_SLOTS];
};

/** Count a connection of the address with hash @p addr. 0 as a limit means none. Any core.
 *  Bound: LIMITS_PROBE_MAX slots. Two cores that see a table being shuffled may let one address in
 *  twice its limit; never less.
 *  @return ZK_EOK: undo with limits_leave(); ZK_EFULL: over a limit, counted. */
ZK_MUST_USE enum zk_err limits_enter(struct limits *l, uint64_t addr, uint32_t per_addr_max,
				     uint32_t total_max);

/** The connection that limits_enter() let in is gone. Any core. */
void limits_leave(struct limits *l, uint64_t addr);

#endif
