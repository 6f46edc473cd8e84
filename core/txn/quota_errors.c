/* SPDX-License-Identifier: Apache-2.0 */
#include "core/txn/quota_errors.h"

static void inc(_Atomic uint64_t *c)
{
	/* one writer, readers want a number */
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

/* PathUtils.getTopNamespace() */
static struct zk_span top_of(struct zk_span path)
{
	size_t n = 1;

	while (n < path.n && path.p[n] != '/')
		n++;
	return zk_span_of(path.p + 1, n - 1);
}

void quota_errors_add(struct quota_errors *e, struct zk_span path)
{
	/* own store */
	uint32_t n = atomic_load_explicit(&e->n, memory_order_relaxed);
	struct zk_span name = top_of(path);

	for (uint32_t i = 0; i < n; i++) {
		if (zk_span_eq(zk_span_of(e->of[i].name, e->of[i].len), name)) {
			inc(&e->of[i].count);
			return;
		}
	}
	if (n == QUOTA_ERRORS_MAX || name.n > QUOTA_NAME_MAX) {
		inc(&e->others);
		return;
	}
	memcpy(e->of[n].name, name.p, name.n);
	e->of[n].len = (uint32_t)name.n;
	inc(&e->of[n].count);
	/* partner: acquire in quota_errors_get(), quota_errors_reset() */
	atomic_store_explicit(&e->n, n + 1, memory_order_release);
}

bool quota_errors_get(const struct quota_errors *e, uint32_t i, struct zk_span *name,
		      uint64_t *count)
{
	const struct quota_errors_of *of = &e->of[i];

	/* partner: release in quota_errors_add() */
	if (i >= atomic_load_explicit(&e->n, memory_order_acquire))
		return false;
	*name = zk_span_of(of->name, of->len);
	*count = atomic_load_explicit(&of->count, memory_order_relaxed) -
		 atomic_load_explicit(&of->base, memory_order_relaxed);
	return true;
}

void quota_errors_reset(struct quota_errors *e)
{
	/* partner: release in quota_errors_add() */
	uint32_t n = atomic_load_explicit(&e->n, memory_order_acquire);

	for (uint32_t i = 0; i < n; i++)
		/* partner: the load in quota_errors_get() */
		atomic_store_explicit(&e->of[i].base,
				      atomic_load_explicit(&e->of[i].count, memory_order_relaxed),
				      memory_order_relaxed);
}
