/* SPDX-License-Identifier: Apache-2.0 */
/** The number of nodes below a node, found in turns of a bounded length; inside core/server. */
#ifndef ZK_SERVER_READ_COUNT_H
#define ZK_SERVER_READ_COUNT_H

#include "core/server/srv_int.h"

/** Between two turns the place is a path and a cursor per level: no pointer into the tree. */
struct read_count {
	struct srv *s;
	uint64_t *cursor; /* [0, depth] */
	uint32_t depth, cap;
	int32_t n;
	bool failed;          /* no memory */
	struct read_build at; /* path of the node whose children come next */
};

/** Begin below @p path (copied). End with count_end(), whatever this says. @return false: no
 * memory. Owner core. */
bool count_start(struct read_count *k, struct srv *s, struct zk_span path);
void count_end(struct read_count *k);

/** Set the place; false: no memory. */
bool count_at(struct read_count *k, struct zk_span path);

/** Look at up to @p budget nodes as of @p zxid, which a pin holds. @return true: k->n is complete;
 * false: call again, unless k->failed. */
bool count_some(struct read_count *k, uint64_t zxid, unsigned budget);

#endif
