/* SPDX-License-Identifier: Apache-2.0 */
/* Four-letter words that want text from every core: the leader passes the messages on. */
#include "core/server/leader_int.h"

static uint16_t answers(const struct leader *l, const struct msg_gather *m)
{
	return (uint16_t)(l->conf.cores + (m->what == GATHER_DUMP));
}

enum zk_err leader_on_gather_ask(struct leader *l, const struct msg_gather *m)
{
	struct leader_core *asker = &l->core[m->h.core];

	/* Offered again after a full ring, it goes on where it stopped. */
	for (unsigned c = asker->gather_done; c < l->conf.cores; c++) {
		struct msg_gather *g = leader_reserve(l, c, sizeof(*g));

		if (!g)
			return ZK_EAGAIN;
		*g = *m;
		g->h.kind = MSG_GATHER;
		g->part_core = (uint16_t)c;
		g->cores = answers(l, m);
		g->text_bytes = 0;
		leader_commit(l, c, sizeof(*g));
		asker->gather_done = c + 1;
	}
	if (m->what == GATHER_DUMP && leader_dump(l, m, &asker->dump) != ZK_EOK)
		return ZK_EAGAIN;
	asker->gather_done = 0;
	return ZK_EOK;
}

enum zk_err leader_on_gather_part(struct leader *l, const struct msg_gather *m, size_t n)
{
	size_t bytes = sizeof(*m) + m->text_bytes;

	zk_assert(m->h.core < l->conf.cores && m->text_bytes <= GATHER_TEXT_MAX && bytes <= n);
	struct msg_gather *g = leader_reserve(l, m->h.core, bytes);

	if (!g)
		return ZK_EAGAIN;
	memcpy(g, m, bytes);
	g->h.kind = MSG_GATHER_TEXT;
	g->cores = answers(l, m);
	leader_commit(l, m->h.core, bytes);
	return ZK_EOK;
}
