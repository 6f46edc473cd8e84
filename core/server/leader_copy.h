/* SPDX-License-Identifier: Apache-2.0 */
/** The sessions of the state at one zxid, copied in slices while the table goes on changing. */
#ifndef ZK_SERVER_LEADER_COPY_H
#define ZK_SERVER_LEADER_COPY_H

#include "core/base/list.h"
#include "core/store/snap_tree.h"

struct leader;

struct leader_copy {
	struct zk_list link; /* in the leader's list until it is complete */
	uint32_t next, end;  /* records still to be looked at */
	uint64_t zxid;
	struct snap_session *session; /* borrowed */
	uint32_t n, max;
};

/** How many there may be: room for a copy that begins now. Leader core. */
uint32_t leader_copy_max(const struct leader *l);

/** Begin one of the state at leader_applied_zxid(). @p session: room for @p max >=
 *  leader_copy_max(), borrowed, as @p c is, until it is complete or cancelled. Leader core. */
void leader_copy_begin(struct leader *l, struct leader_copy *c, struct snap_session *session,
		       uint32_t max);

/** Look at some more. @return true: complete, c->n sessions. Leader core; bound: @p budget. */
bool leader_copy_step(struct leader *l, struct leader_copy *c, unsigned budget);

/** Give it up, complete or not. Leader core. */
void leader_copy_cancel(struct leader_copy *c);

#endif
