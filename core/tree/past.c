/* SPDX-License-Identifier: Apache-2.0 */
/* Digests of the past (DataTree.digestLog). */
#include "core/tree/priv.h"

void tree_past_add(struct tree *t, uint64_t zxid, uint64_t digest)
{
	struct tree_past *p = &t->past;
	/* own store */
	uint64_t n = atomic_load_explicit(&p->done, memory_order_relaxed);

	/* Whoever sees a word of the new entry sees that the old one had begun to go. Partner: the
	 * fence in tree_digest_history() */
	atomic_store_explicit(&p->begun, n + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&p->zxid[n % TREE_DIGESTS_MAX], zxid, memory_order_relaxed);
	atomic_store_explicit(&p->digest[n % TREE_DIGESTS_MAX], digest, memory_order_relaxed);
	/* partner: acquire in tree_digest_history() */
	atomic_store_explicit(&p->done, n + 1, memory_order_release);
}

unsigned tree_digest_history(const struct tree *t, struct tree_digest_at *out, unsigned max)
{
	const struct tree_past *p = &t->past;
	/* partner: release in tree_past_add() */
	uint64_t end = atomic_load_explicit(&p->done, memory_order_acquire), from, begun;
	unsigned n = max < TREE_DIGESTS_MAX ? max : TREE_DIGESTS_MAX, gone = 0;

	if (n > end)
		n = (unsigned)end;
	from = end - n;
	for (unsigned i = 0; i < n; i++) {
		uint64_t at = (from + i) % TREE_DIGESTS_MAX;

		out[i].zxid = atomic_load_explicit(&p->zxid[at], memory_order_relaxed);
		out[i].digest = atomic_load_explicit(&p->digest[at], memory_order_relaxed);
	}
	/* Those that may have been written over meanwhile. Partner: the fence in tree_past_add() */
	atomic_thread_fence(memory_order_acquire);
	begun = atomic_load_explicit(&p->begun, memory_order_relaxed);
	while (gone < n && from + gone + TREE_DIGESTS_MAX < begun)
		gone++;
	memmove(out, out + gone, (n - gone) * sizeof(*out));
	return n - gone;
}
