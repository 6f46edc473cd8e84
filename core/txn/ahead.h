/* SPDX-License-Identifier: Apache-2.0 */
/** Load what the next transactions will change while the ones before them are worked on: without it
 * each waits for memory three times in a row, for the index, the node and its newest version. */
#ifndef ZK_TXN_AHEAD_H
#define ZK_TXN_AHEAD_H

#include "core/tree/tree.h"

enum { TXN_AHEAD = 8 };

/** Start loading what the @p n (at most TXN_AHEAD) transactions at @p txn name; borrowed. Hints
 * only: nothing depends on them, and bytes that are no transaction do no harm. Apply core. Bound:
 * n. */
void txn_ahead(const struct tree *t, const struct zk_span *txn, unsigned n);

#endif
