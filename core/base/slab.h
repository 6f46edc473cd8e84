/* SPDX-License-Identifier: Apache-2.0 */
/** Slabs of fixed-size objects on a struct zk_mem, with empty memory given back.
 *
 * A pool takes regions of about 1 MiB from a zk_mem and cuts them into aligned chunks of 16 KiB. A
 * slab fills chunks with objects of one size. An object finds its chunk, and the chunk its slab, by
 * address. A chunk without objects goes back to the pool, a region without chunks to the zk_mem;
 * one of each is kept against flapping. Under AddressSanitizer free objects are poisoned and the
 * oldest is reused first.
 *
 * Context of everything here: one thread at a time, the owner of the zk_mem.
 */
#ifndef ZK_BASE_SLAB_H
#define ZK_BASE_SLAB_H

#include "core/base/list.h"
#include "core/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ZK_SLAB_CHUNK_BYTES = 16384,
	ZK_SLAB_HEAD_BYTES = 64,
	ZK_SLAB_REGION_CHUNKS = 63,
	ZK_SLAB_REGION_BYTES = (ZK_SLAB_REGION_CHUNKS + 1) * ZK_SLAB_CHUNK_BYTES + 64,
	ZK_SLAB_OBJ_MAX = 1024
};

struct zk_slab_pool {
	struct zk_mem *mem;
	struct zk_list regions_free; /* regions with a free chunk */
	struct zk_list regions_full;
	size_t free_chunks;
	size_t keep_chunks; /* so many free ones stay beside the usual */
};

struct zk_slab {
	struct zk_slab_pool *pool;
	struct zk_list partial; /* chunks with a free object */
	uint32_t obj_bytes;
	uint32_t per_chunk;
	size_t free_objs; /* in chunks this slab holds */
	size_t used_objs;
};

/** @p mem: borrowed until the fini. Takes no memory yet. */
void zk_slab_pool_init(struct zk_slab_pool *p, struct zk_mem *mem);

/** Give all memory back. Every slab on it must have had its fini. */
void zk_slab_pool_fini(struct zk_slab_pool *p);

/** Bytes in chunks no slab uses. */
size_t zk_slab_pool_free_bytes(const struct zk_slab_pool *p);

/** Let at least @p bytes of free chunks stay when they are there, and add regions, at most @p
 * regions of them, while there are fewer. @return whether there are as many now. */
bool zk_slab_pool_keep(struct zk_slab_pool *p, size_t bytes, unsigned regions);

/** @p obj_bytes: a multiple of 16, at most ZK_SLAB_OBJ_MAX. Objects are aligned to 16, and to 64 if
 * their size is a multiple of 64. @p p: borrowed. */
void zk_slab_init(struct zk_slab *s, struct zk_slab_pool *p, size_t obj_bytes);

/** No object may be out. */
void zk_slab_fini(struct zk_slab *s);

/** An object, contents undefined; NULL when the zk_mem gives no more. Returned to the caller, goes
 * back with zk_slab_put(). Bound: constant. */
void *zk_slab_get(struct zk_slab *s);

/** Take an object back, to the slab it came from; NULL is allowed. Bound: constant. */
void zk_slab_put(void *obj);

#endif
