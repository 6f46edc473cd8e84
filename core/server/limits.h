/* SPDX-License-Identifier: Apache-2.0 */
/** Limits over all client cores: connections per address (maxClientCnxns), connections in total
 *  (maxCnxns), requests in process (globalOutstandingLimit), bytes of large requests, connection
 *  throttle. spec/client-protocol.md section 10, spec/semantics.md section 12.
 *
 * Shared by the cores and free of locks; all zero is an empty table, so it needs no start-up.
 */
#ifndef ZK_SERVER_LIMITS_H
#define ZK_SERVER_LIMITS_H

#include "core/base/err.h"
#include "core/base/hash.h"
#include "core/server/throttle.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { LIMITS_SLOTS = 16384, LIMITS_PROBE_MAX = 64 };

/** Settings; 0 is off where nothing else is said. */
struct limits_conf {
	int32_t outstanding;      /* globalOutstandingLimit; there is always one */
	uint32_t requests_max;    /* request_throttle_max_requests */
	uint32_t stall_ms;        /* request_throttle_stall_time */
	uint32_t op_wait_ms;      /* throttled_op_wait_time */
	bool drop_stale;          /* request_throttle_drop_stale */
	bool stale_connection;    /* request_stale_connection_check */
	bool stale_latency;       /* request_stale_latency_check */
	uint32_t large_bytes;     /* largeRequestThreshold */
	uint32_t large_max_bytes; /* largeRequestMaxBytes */
	struct throttle_conf connect;
};

struct limits {
	_Atomic uint32_t conns;
	_Atomic int64_t in_process;  /* requests that the leader has not answered */
	_Atomic int64_t large_bytes; /* of them the large ones' */
	struct throttle throttle;
	_Atomic uint64_t refused; /* connections turned away */
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

/** How much a request of @p n bytes counts: all of it when it is large, else nothing. */
static inline uint32_t limits_large(const struct limits_conf *conf, uint32_t n)
{
	return conf->large_bytes && n > conf->large_bytes ? n : 0;
}

/** Are @p large bytes too much beside those in process? Any core. */
bool limits_large_refused(const struct limits *l, const struct limits_conf *conf, uint32_t large);

/** Count @p large bytes of a request that goes to the leader. @return false: too much; true: undo
 *  with limits_large_done(). Any core. */
ZK_MUST_USE bool limits_large_take(struct limits *l, const struct limits_conf *conf,
				   uint32_t large);
void limits_large_done(struct limits *l, uint64_t large);

#endif
