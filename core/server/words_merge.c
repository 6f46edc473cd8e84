/* SPDX-License-Identifier: Apache-2.0 */
/* wchs and wchp over all cores: a path counts once (WatchManager.getWatchesByPath,
 * .getWatchesSummary).
 *
 * Every core tells its watches in the same order of paths, so their parts are merged as they come.
 * Work: the parts; memory: by how much one core is ahead of another. */
#include "core/server/srv_int.h"

#include <inttypes.h>

/** The next record of a core; *n == 0: not whole yet, or none. */
static const uint8_t *next_record(const struct srv_ask *a, unsigned core, bool paths, size_t *n)
{
	const struct read_build *b = &a->held[core];
	size_t left = b->n - a->held_at[core], need = WORDS_WATCH_ORDER;
	const uint8_t *p;

	*n = 0;
	if (left == 0) /* and perhaps no bytes were ever held */
		return NULL;
	p = b->p + a->held_at[core];
	if (paths && left >= WORDS_WATCH_HEAD)
		need = WORDS_WATCH_HEAD + (size_t)zk_get32(p + 8) + WORDS_WATCH_SESSION;
	else if (paths)
		return NULL;
	if (left < need)
		return NULL;
	*n = need;
	return p;
}

static void put_watch(struct srv_conn *c, struct srv_ask *a, const uint8_t *p, size_t n, bool paths)
{
	uint64_t order = zk_get64(p), session = paths ? zk_get64(p + n - WORDS_WATCH_SESSION) : 0;
	char text[32];
	struct words_out o = {text, 0, sizeof(text)};

	if (paths && session == 0)
		return;
	if (a->watch_paths == 0 || a->order != order) {
		a->order = order;
		a->watch_paths++;
		if (paths) {
			out_put(c, p + WORDS_WATCH_HEAD,
				n - WORDS_WATCH_HEAD - WORDS_WATCH_SESSION);
			out_put(c, "\n", 1);
		}
	}
	if (!paths)
		return;
	words_printf(&o, "\t0x%" PRIx64 "\n", session);
	out_put(c, o.p, o.n);
}

/** What has been merged makes room. */
static void forget(struct srv_ask *a, unsigned core)
{
	struct read_build *b = &a->held[core];
	size_t at = a->held_at[core];

	if (at == 0 || at < b->n / 2)
		return;
	memmove(b->p, b->p + at, b->n - at);
	b->n -= at;
	a->held_at[core] = 0;
}

/** As far as every core has told. */
static void merge(struct srv_conn *c, struct srv_ask *a, unsigned cores, bool paths)
{
	for (;;) { /* bound: what is held */
		const uint8_t *first = NULL;
		size_t first_n = 0;
		unsigned from = 0;

		for (unsigned i = 0; i < cores; i++) {
			size_t n;
			const uint8_t *p = next_record(a, i, paths, &n);

			if (!p && !(a->ended >> i & 1))
				return;
			if (p && (!first || zk_get64(p) < zk_get64(first))) {
				first = p;
				first_n = n;
				from = i;
			}
		}
		if (!first)
			return;
		put_watch(c, a, first, first_n, paths);
		a->held_at[from] += first_n;
	}
}

void words_merge(struct srv_conn *c, struct srv_ask *a, const struct msg_gather *m,
		 struct zk_span part)
{
	unsigned core = m->part_core;

	zk_assert(core < m->cores && m->cores <= MSG_CORES_MAX);
	if (m->what == GATHER_WCHS && !(a->totals >> core & 1)) {
		zk_assert(part.n >= WORDS_WATCH_TOTALS);
		a->watch_conns += zk_get64(part.p);
		a->watches += zk_get64(part.p + 8);
		a->totals |= UINT32_C(1) << core;
		part.p += WORDS_WATCH_TOTALS;
		part.n -= WORDS_WATCH_TOTALS;
	}
	words_keep(c, &a->held[core], part);
	if (m->last)
		a->ended |= UINT32_C(1) << core;
	if (c->doomed)
		return;
	merge(c, a, m->cores, m->what == GATHER_WCHP);
	for (unsigned i = 0; i < m->cores; i++)
		forget(a, i);
}
