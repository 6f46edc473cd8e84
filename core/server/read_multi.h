/* SPDX-License-Identifier: Apache-2.0 */
/** How far a multiRead is; inside core/server. */
#ifndef ZK_SERVER_READ_MULTI_H
#define ZK_SERVER_READ_MULTI_H

#include "core/server/srv_int.h"

enum multi_kind { MULTI_EMPTY, MULTI_READS, MULTI_WRITES, MULTI_BAD };

struct read_multi {
	struct jute_in in, start;
	enum multi_kind kind; /* of all operations so far */
	bool checked;         /* the whole record has been looked at */
	enum zk_err err;
	/* the listing that has begun */
	bool listing;
	struct zk_span path;
	uint64_t cursor;
	size_t count_at; /* of its number of names in the reply */
	int32_t names;
};

#endif
