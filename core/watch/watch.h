/* SPDX-License-Identifier: Apache-2.0 */
/** Watch tables of one client core (spec/semantics.md section 11; org.apache.zookeeper.server.watch
 * .WatchManager, PathParentIterator).
 *
 * One entry per (path, connection) holds the modes of both of Apache's tables as independent bits,
 * as 3.9 does. An entry costs 28 bytes and a 4-byte bucket; a path is stored once per core. Nothing
 * is ever rehashed at once: both hash tables grow by one bucket per insertion (W. Litwin, "Linear
 * Hashing", 1980).
 *
 * Connections are small integers below conns_max. Owner core only; nothing here blocks.
 */
#ifndef ZK_WATCH_WATCH_H
#define ZK_WATCH_WATCH_H

#include "core/base/err.h"
#include "core/base/hash.h"
#include "core/base/span.h"
#include "core/jute/proto.h"
#include "core/mem.h"

enum watch_bit {
	WATCH_DATA = 1 << 0,             /* data table, standard: fires once */
	WATCH_CHILD = 1 << 1,            /* child table, standard */
	WATCH_DATA_PERSISTENT = 1 << 2,  /* data table, persistent */
	WATCH_CHILD_PERSISTENT = 1 << 3, /* child table, persistent */
	WATCH_RECURSIVE = 1 << 4,        /* data table, persistent recursive */
};

/** addWatch mode 0 is in both tables. */
#define WATCH_PERSISTENT ((unsigned)WATCH_DATA_PERSISTENT | WATCH_CHILD_PERSISTENT)
#define WATCH_IN_DATA    ((unsigned)WATCH_DATA | WATCH_DATA_PERSISTENT | WATCH_RECURSIVE)
#define WATCH_IN_CHILD   ((unsigned)WATCH_CHILD | WATCH_CHILD_PERSISTENT)
#define WATCH_ANY        (WATCH_IN_DATA | WATCH_IN_CHILD)

enum { WATCH_CONNS_MAX = 1 << 27 };

struct watch_conf {
	struct zk_mem *mem; /* borrowed for life */
	struct zk_hash_key key;
	uint32_t conns_max;
	uint32_t watches_max; /* entries; watch_set() says ZK_EFULL above it */
};

struct watch;

/** @return ZK_EOK with *out, owned by the caller; ZK_ENOMEM; ZK_EINVAL. */
ZK_MUST_USE enum zk_err watch_new(const struct watch_conf *conf, struct watch **out);
void watch_free(struct watch *w);

/** Add @p bits for @p conn on @p path (copied). Bound: constant plus the hash chains.
 *  @return ZK_EOK; ZK_ENOMEM or ZK_EFULL with nothing changed. */
ZK_MUST_USE enum zk_err watch_set(struct watch *w, struct zk_span path, uint32_t conn,
				  unsigned bits);

/** The bits @p conn has on @p path; 0 = none. */
unsigned watch_get(const struct watch *w, struct zk_span path, uint32_t conn);

/** Take @p bits away. @return those that were there. */
unsigned watch_clear(struct watch *w, struct zk_span path, uint32_t conn, unsigned bits);

/** Forget everything of @p conn. Bound: its watches. */
void watch_drop(struct watch *w, uint32_t conn);

/** Told once per connection and trigger. Must not call back into the table. */
typedef void watch_fn(void *ctx, uint32_t conn, enum zk_event event, struct zk_span path);

/** One trigger: tell every watcher of @p event at @p path, once per connection, and remove the
 * standard watches it consumes.
 *   CREATED, DATA  data table of the path, recursive watchers of the path and its ancestors
 *   DELETED        the same, then the child table of the path
 *   CHILDREN       child table of the path
 * Bound: the watchers, plus one look-up per component while any recursive watch exists.
 * @return how many were told. */
unsigned watch_fire(struct watch *w, struct zk_span path, enum zk_event event, watch_fn *fn,
		    void *ctx);

/** Where watch_walk() goes on; starts as zeros. The table may change between two calls: what
 * changes near the place may be told twice or not at all. */
struct watch_place {
	uint32_t group; /* path or connection */
	uint32_t skip;  /* entries of it already passed */
};

/** One watcher of the data table. @p first: the first one of its path (of its connection). Must not
 * call back into the table. @return false: stop, and begin with this one next time. */
typedef bool watch_walk_fn(void *ctx, struct zk_span path, uint32_t conn, bool first);

/** Tell @p fn the entries of Apache's data table, grouped by path or by connection (wchp, wchc).
 * Bound: @p budget entries and groups looked at, plus the place's skip. @return true: that was all.
 */
bool watch_walk(const struct watch *w, bool by_path, struct watch_place *at, unsigned budget,
		watch_walk_fn *fn, void *ctx);

struct watch_counts {
	uint64_t data, child; /* (path, connection) pairs in each of Apache's tables */
	uint64_t paths;       /* distinct */
	uint64_t data_paths;  /* distinct ones with a watch of the data table */
	uint64_t data_conns;  /* connections with one */
	uint64_t entries, recursive;
};
void watch_counts(const struct watch *w, struct watch_counts *out);

#endif
