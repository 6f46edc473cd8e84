/* SPDX-License-Identifier: Apache-2.0 */
/** The change log: linked segments of records, one writer, a cursor per reader.
 *
 * The writer publishes the number of records appended (release) at the end of each transaction; a
 * reader loads it (acquire) and may then read every record below it, so it never meets half a
 * transaction. A segment is recycled when every reader has read a record behind it.
 */
#ifndef ZK_TREE_LOG_H
#define ZK_TREE_LOG_H

#include "core/base/err.h"
#include "core/mem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct tree_node;
struct acl_list;
struct tree_reader;

enum { TREE_LOG_SEG_RECS = 511, TREE_LOG_SPARE_MAX = 4 };

struct tree_log_rec {
	uint64_t zxid;
	uintptr_t node; /* and the kind in the two low bits */
	const struct acl_list *acl, *parent_acl;
};

struct tree_log_seg {
	_Atomic(struct tree_log_seg *) next; /* release by the writer, acquire by readers */
	uint64_t first;                      /* number of its first record */
	struct tree_log_seg *spare;
	uint64_t pad;
	struct tree_log_rec recs[TREE_LOG_SEG_RECS];
};

struct tree_log {
	struct zk_mem *mem;
	struct tree_log_seg *oldest, *newest;
	struct tree_log_seg *spares;
	unsigned n_spares;
	uint64_t appended;
	/* release in tree_log_publish(), acquire in tree_log_next() */
	_Alignas(64) _Atomic uint64_t published;
};

struct tree_log_cursor {
	const struct tree_log_seg *seg;
	uint64_t next; /* number of the record to read next */
	uint64_t published_seen;
};

ZK_MUST_USE enum zk_err tree_log_init(struct tree_log *l, struct zk_mem *mem);
void tree_log_fini(struct tree_log *l);

/** Writer. @return false: no memory for a segment. Bound: constant. */
ZK_MUST_USE bool tree_log_append(struct tree_log *l, const struct tree_log_rec *r);
/** Writer: let readers see all records appended. */
void tree_log_publish(struct tree_log *l);
/** Writer: recycle the segments in front of record @p consumed, the lowest number any reader has
 * yet to read. Bound: what there is to recycle. */
void tree_log_trim(struct tree_log *l, uint64_t consumed);

/** A cursor at the end. Main thread or writer. */
struct tree_log_cursor tree_log_cursor_new(const struct tree_log *l);
/** Reader: the next record, valid until its consumed number is published; NULL: none. */
const struct tree_log_rec *tree_log_next(struct tree_log *l, struct tree_log_cursor *c);

#endif
