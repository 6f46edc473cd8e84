/* SPDX-License-Identifier: Apache-2.0 */
/** Intrusive doubly linked list. The list owns nothing; one thread at a time. */
#ifndef ZK_BASE_LIST_H
#define ZK_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct zk_list {
	struct zk_list *next, *prev;
};

static inline void zk_list_init(struct zk_list *l)
{
	l->next = l->prev = l;
}

static inline bool zk_list_empty(const struct zk_list *l)
{
	return l->next == l;
}

static inline void zk_list_add_tail(struct zk_list *l, struct zk_list *e)
{
	e->prev = l->prev;
	e->next = l;
	l->prev->next = e;
	l->prev = e;
}

static inline void zk_list_add_head(struct zk_list *l, struct zk_list *e)
{
	zk_list_add_tail(l->next, e);
}

/** Unlink and re-initialise, so that deleting twice does no harm. */
static inline void zk_list_del(struct zk_list *e)
{
	e->prev->next = e->next;
	e->next->prev = e->prev;
	zk_list_init(e);
}

static inline bool zk_list_linked(const struct zk_list *e)
{
	return e->next != e;
}

#endif
