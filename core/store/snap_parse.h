/* SPDX-License-Identifier: Apache-2.0 */
/** A snapshot in batches: one side reads, checks and takes apart, the other builds the tree. Both
 * may be one thread; recovery in zokord gives each its own.
 */
#ifndef ZK_STORE_SNAP_PARSE_H
#define ZK_STORE_SNAP_PARSE_H

#include "core/mem.h"
#include "core/store/snap.h"
#include "core/tree/load.h"

enum {
	SNAP_BATCH_ITEMS = 4096,
	SNAP_BATCH_BYTES = 512 << 10,
	SNAP_SOURCE_WHY_MAX = 256,
};

/** The uncompressed bytes of a file, in order. */
struct snap_source {
	void *ctx;
	/** Up to @p n bytes; *got is 0 at the end only. @return ZK_EOK, or an error with a line
	 * without file name in @p why. Blocks. */
	enum zk_err (*read)(void *ctx, void *to, size_t n, size_t *got,
			    char why[SNAP_SOURCE_WHY_MAX]);
};

struct snap_batch_item {
	enum snap_step step; /* not SNAP_MORE */
	uint64_t at;         /* offset in the uncompressed stream */
	union {
		struct tree_load_node node; /* SNAP_NODE; complete */
		struct snap_item other;
	};
};

/** Items of a snapshot in order; what they point at is in bytes. The last batch ends with SNAP_END
 * or SNAP_BAD, or with err set. */
struct snap_batch {
	uint8_t *bytes;
	size_t cap;
	uint32_t n;
	bool last;
	enum zk_err err; /* the file could not be read: why */
	char why[SNAP_SOURCE_WHY_MAX];
	struct snap_batch_item item[SNAP_BATCH_ITEMS];
};

/** The reading side. */
struct snap_parse {
	struct snap_reader reader;
	struct snap_source source;
	const struct tree *tree; /* for hashes and digests */
	struct zk_mem *mem;
	uint8_t *rest; /* read, but not yet an item */
	size_t rest_n, rest_cap;
	bool eof;
};

/** @p mem: the reading thread's, for batches too. */
void snap_parse_init(struct snap_parse *p, const struct snap_source *source,
		     const struct tree *tree, uint32_t length_max, struct zk_mem *mem);
void snap_parse_fini(struct snap_parse *p);

/** An empty batch; NULL: no memory. */
struct snap_batch *snap_batch_new(struct zk_mem *mem);
void snap_batch_free(struct zk_mem *mem, struct snap_batch *b);

/** Fill @p b with what comes next. Any thread that may block; b->last ends it. Bound:
 * SNAP_BATCH_BYTES, or one item if that is larger. */
void snap_parse_next(struct snap_parse *p, struct snap_batch *b);

/** A node of a snapshot as the tree wants it; spans as in @p in. Reads what never changes of the
 * tree: any thread. Bound: its bytes. */
void snap_node_to_load(const struct tree *t, const struct snap_node *in,
		       struct tree_load_node *out);

#endif
