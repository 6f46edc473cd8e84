/* SPDX-License-Identifier: Apache-2.0 */
/** A quorum that agrees to everything, for one leader core's machine alone: what it proposes is
 *  committed as soon as it is durable, in this role or a later one. As a learner its requests are
 *  heard by nobody. */
#ifndef TEST_QUORUM_FAKE_H
#define TEST_QUORUM_FAKE_H

#include "core/server/leader_quorum.h"

struct quorum_fake_txn;

struct quorum_fake {
	struct leader_quorum q; /* for leader_conf.quorum */
	uint64_t last;          /* proposed */
	uint64_t durable;       /* and durable */
	unsigned room;          /* how many it takes now; counts down */
	bool busy;              /* no REQUEST is taken */
	bool doubt;             /* nobody says whether this is still the leader */
	uint64_t asked;
	struct quorum_fake_txn *txn;
	size_t n, cap;
};

void quorum_fake_init(struct quorum_fake *f);
void quorum_fake_fini(struct quorum_fake *f);
/** Transactions are those of @p epoch from now on. */
void quorum_fake_epoch(struct quorum_fake *f, uint64_t epoch);

#endif
