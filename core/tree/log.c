/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tree/log.h"

#include "core/base/assert.h"

static struct tree_log_seg *seg_new(struct tree_log *l, uint64_t first)
{
	struct tree_log_seg *s = l->spares;

	if (s) {
		l->spares = s->spare;
		l->n_spares--;
	} else {
		s = zk_mem_alloc(l->mem, sizeof(*s));
	}
	if (s) {
		s->first = first;
		/* not published yet */
		atomic_store_explicit(&s->next, NULL, memory_order_relaxed);
	}
	return s;
}

enum zk_err tree_log_init(struct tree_log *l, struct zk_mem *mem)
{
	*l = (struct tree_log){.mem = mem};
	l->oldest = l->newest = seg_new(l, 0);
	return l->oldest ? ZK_EOK : ZK_ENOMEM;
}

void tree_log_fini(struct tree_log *l)
{
	struct tree_log_seg *s, *next;

	for (s = l->oldest; s; s = next) {
		next = atomic_load_explicit(&s->next, memory_order_relaxed);
		zk_mem_free(l->mem, s, sizeof(*s));
	}
	for (s = l->spares; s; s = next) {
		next = s->spare;
		zk_mem_free(l->mem, s, sizeof(*s));
	}
	l->oldest = l->newest = l->spares = NULL;
}

void tree_log_publish(struct tree_log *l)
{
	/* partner: acquire in tree_log_next() */
	atomic_store_explicit(&l->published, l->appended, memory_order_release);
}

bool tree_log_append(struct tree_log *l, const struct tree_log_rec *r)
{
	struct tree_log_seg *s = l->newest;
	uint64_t i = l->appended - s->first;

	if (i == TREE_LOG_SEG_RECS) {
		struct tree_log_seg *n = seg_new(l, l->appended);

		if (!n)
			return false;
		/* partner: acquire in tree_log_next() */
		atomic_store_explicit(&s->next, n, memory_order_release);
		l->newest = s = n;
		i = 0;
	}
	s->recs[i] = *r;
	l->appended++;
	return true;
}

void tree_log_trim(struct tree_log *l, uint64_t consumed)
{
	zk_assert(consumed <= l->appended);
	/* "<": a reader that has read exactly the whole segment still has to follow its `next` */
	while (l->oldest != l->newest && l->oldest->first + TREE_LOG_SEG_RECS < consumed) {
		struct tree_log_seg *s = l->oldest;

		l->oldest = atomic_load_explicit(&s->next, memory_order_relaxed);
		if (l->n_spares < TREE_LOG_SPARE_MAX) {
			s->spare = l->spares;
			l->spares = s;
			l->n_spares++;
		} else {
			zk_mem_free(l->mem, s, sizeof(*s));
		}
	}
}

struct tree_log_cursor tree_log_cursor_new(const struct tree_log *l)
{
	return (struct tree_log_cursor){l->newest, l->appended, l->appended};
}

const struct tree_log_rec *tree_log_next(struct tree_log *l, struct tree_log_cursor *c)
{
	if (c->next == c->published_seen) {
		/* partner: release in tree_log_publish() */
		c->published_seen = atomic_load_explicit(&l->published, memory_order_acquire);
		if (c->next == c->published_seen)
			return NULL;
	}
	uint64_t i = c->next - c->seg->first;

	if (i == TREE_LOG_SEG_RECS) {
		/* partner: release in tree_log_append() */
		c->seg = atomic_load_explicit(&c->seg->next, memory_order_acquire);
		zk_assert(c->seg && c->seg->first == c->next);
		i = 0;
	}
	c->next++;
	return &c->seg->recs[i];
}
