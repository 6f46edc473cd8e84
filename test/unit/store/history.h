/* SPDX-License-Identifier: Apache-2.0 */
/** Histories on a simulated disk: logs of error transactions and snapshots that say whose they are.
 */
#ifndef TEST_STORE_HISTORY_H
#define TEST_STORE_HISTORY_H

#include "core/store/recover.h"
#include "test/lib/sim_disk.h"

enum { HISTORY_LENGTH_MAX = 1 << 20, HISTORY_STREAM_MAX = 64 << 10 };

/** A transaction @p zxid of history @p who into @p p (36 bytes). @return it. */
struct zk_span history_txn(uint8_t *p, uint64_t who, uint64_t zxid);

/** log.<from> with the transactions from..to of one epoch and @p pad zeros behind them. */
void history_log(struct disk *d, uint64_t who, uint64_t from, uint64_t to, size_t pad);

/** The same without header and end of a file: what a leader sends, signature included. @return its
 * bytes in @p p of HISTORY_STREAM_MAX. @p nodes beside the predefined ones. */
size_t history_stream(uint8_t *p, uint64_t who, unsigned nodes);

/** snapshot.<zxid>, a plain file as Apache writes it but for digest and last zxid. */
void history_snapshot(struct disk *d, uint64_t who, uint64_t zxid, unsigned nodes);

bool history_exists(struct disk *d, enum disk_dir dir, const char *name);

/** What recovery finds. */
struct history_found {
	enum zk_err err;
	uint64_t who, snapshot, zxid, txns; /* who: 0 when it is mixed */
	char why[RECOVER_WHY_MAX];
};
void history_recover(struct disk *d, struct history_found *out);

#endif
