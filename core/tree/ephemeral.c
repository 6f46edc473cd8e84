/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tree/ephemeral.h"

#include "core/base/assert.h"
#include "core/base/hash.h"

#include <string.h>

enum { BUCKETS_FIRST = 64 };

struct tree_session {
	uint64_t id;
	struct tree_session *next;
	struct zk_list nodes;
};

enum zk_err tree_sessions_init(struct tree_sessions *s, struct zk_mem *mem,
			       struct tree_alloc *alloc)
{
	size_t bytes = BUCKETS_FIRST * sizeof(*s->buckets);

	*s = (struct tree_sessions){.mem = mem, .alloc = alloc, .n_buckets = BUCKETS_FIRST};
	s->buckets = zk_mem_alloc(mem, bytes);
	if (!s->buckets)
		return ZK_ENOMEM;
	memset(s->buckets, 0, bytes);
	return ZK_EOK;
}

void tree_sessions_fini(struct tree_sessions *s)
{
	zk_assert(s->n == 0);
	zk_mem_free(s->mem, s->buckets, s->n_buckets * sizeof(*s->buckets));
	s->buckets = NULL;
}

static struct tree_session **find(const struct tree_sessions *s, uint64_t session)
{
	struct tree_session **p = &s->buckets[zk_mix64(session) & (s->n_buckets - 1)];

	while (*p && (*p)->id != session)
		p = &(*p)->next;
	return p;
}

/* Longer chains do no harm, so no memory is no error. */
static void grow(struct tree_sessions *s)
{
	uint64_t n = s->n_buckets * 2;
	struct tree_session **to = zk_mem_alloc(s->mem, n * sizeof(*to)), *e, *next;

	if (!to)
		return;
	memset(to, 0, n * sizeof(*to));
	for (uint64_t i = 0; i < s->n_buckets; i++) {
		for (e = s->buckets[i]; e; e = next) {
			struct tree_session **p = &to[zk_mix64(e->id) & (n - 1)];

			next = e->next;
			e->next = *p;
			*p = e;
		}
	}
	zk_mem_free(s->mem, s->buckets, s->n_buckets * sizeof(*s->buckets));
	s->buckets = to;
	s->n_buckets = n;
}

bool tree_sessions_add(struct tree_sessions *s, uint64_t session, struct zk_list *e)
{
	struct tree_session **p = find(s, session);

	if (!*p) {
		if (s->n >= s->n_buckets) {
			grow(s);
			p = find(s, session);
		}
		*p = tree_alloc_get(s->alloc, sizeof(**p));
		if (!*p)
			return false;
		(*p)->id = session;
		(*p)->next = NULL;
		zk_list_init(&(*p)->nodes);
		s->n++;
	}
	zk_list_add_tail(&(*p)->nodes, e);
	return true;
}

void tree_sessions_del(struct tree_sessions *s, uint64_t session, struct zk_list *e)
{
	struct tree_session **p = find(s, session), *gone = *p;

	zk_assert(gone && zk_list_linked(e));
	zk_list_del(e);
	if (!zk_list_empty(&gone->nodes))
		return;
	*p = gone->next;
	s->n--;
	tree_alloc_put(s->alloc, gone, sizeof(*gone));
}

struct zk_list *tree_sessions_find(const struct tree_sessions *s, uint64_t session)
{
	struct tree_session *e = *find(s, session);

	return e ? &e->nodes : NULL;
}

bool tree_sessions_at(const struct tree_sessions *s, uint64_t bucket, uint64_t n, uint64_t *session)
{
	const struct tree_session *e = s->buckets[bucket];

	while (e && n--)
		e = e->next;
	if (!e)
		return false;
	*session = e->id;
	return true;
}
