/* SPDX-License-Identifier: Apache-2.0 */
/** Watch tables of one client core (spec/semantics.md section 11; org.apache.zookeeper.server.watch
 * .WatchManager, PathParentIterator).
 *
 * One entry per (path, connection) holds the modes of both of Apache's tables as independent bits,
 * as 3.9 does. An entry costs 28 bytes and half a 4-byte bucket; a path is stored once per core.
 * Nothing is ever rehashed at once: both hash tables grow by one bucket per insertion (W. Litwin,
 * "Linear Hashing", 1980).
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

/** Forget everything of @p conn, at most *budget entries, which are taken off it.
 *  @return true: nothing of it is left. */
bool watch_drop(struct watch *w, uint32_t conn, unsigned *budget);

/** Told once per connection and trigger. Must not call back into the table. */
typedef void watch_fn(void *ctx, uint32_t conn, enum zk_event event, struct zk_span path);

/** One trigger, told in steps. It tells every watcher of @p event at @p path who was there when it
 * began, once per connection, and removes the standard watches it consumes.
 *   CREATED, DATA  data table of the path, recursive watchers of the path and its ancestors
 *   DELETED        the same, then the child table of the path
 *   CHILDREN       child table of the path
 *
 * Several may be under way; they are stepped in the order they began, the first to its end before
 * the second. A connection whose watches are about to change, or who is about to see the state
 * behind a trigger, is told ahead of its turn: watch_tell_now() for each trigger in order, then
 * watch_up_to_date(). So what it sets afterwards belongs to later triggers only. */
struct watch_firing {
	struct zk_span path; /* borrowed until it is over */
	uint64_t seq;
	uint32_t told; /* so many so far */
	uint32_t next; /* the entry whose turn it is */
	uint32_t at;   /* bytes of the path, or of the ancestor, whose watchers are told now */
	enum zk_event event;
	bool here; /* `next` is a place in a list */
};

/** What telling one and looking at one take off a budget. */
enum { WATCH_COST_TELL = 8, WATCH_COST_LOOK = 1 };

/** Is anything watched at all? Bound: constant. */
bool watch_any(const struct watch *w);

/** @return false: nobody to tell, *out is not a trigger. Bound: one look-up per component while any
 * recursive watch exists. */
bool watch_begin(struct watch *w, struct zk_span path, enum zk_event event,
		 struct watch_firing *out);

/** Go on until *budget is used up. *f must not move in memory until it is over.
 *  @return true: it is over. */
bool watch_step(struct watch *w, struct watch_firing *f, int *budget, watch_fn *fn, void *ctx);

/** Tell @p conn of @p f, if it is to be told and has not been. Bound: one look-up per component. */
void watch_tell_now(struct watch *w, struct watch_firing *f, uint32_t conn, watch_fn *fn,
		    void *ctx);

/** Has @p conn been told of everything that began? */
bool watch_is_up_to_date(const struct watch *w, uint32_t conn);
void watch_up_to_date(struct watch *w, uint32_t conn);

/** Where watch_walk() goes on; starts as zeros. The table may change between two calls: what
 * changes near the place may be told twice or not at all. */
struct watch_place {
	uint64_t order; /* watch_order() of the path */
	uint32_t conn;
	uint32_t skip; /* entries of it already passed */
};

/** Where a path comes in a walk by path: the same in every table of the same key, whatever its
 * size, so walks of several tables can be merged. Two paths share one by an accident of 2^-64. */
uint64_t watch_order(const struct zk_hash_key *key, struct zk_span path);

/** One watcher of the data table. @p first: the first one of its path (of its connection). Must not
 * call back into the table. @return false: stop, and begin with this one next time. */
typedef bool watch_walk_fn(void *ctx, struct zk_span path, uint32_t conn, bool first);

/** Tell @p fn the entries of Apache's data table, grouped by path, in watch_order(), or by
 * connection (wchp, wchc). Bound: @p budget entries and groups looked at, plus the place's skip.
 * @return true: that was all.
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
