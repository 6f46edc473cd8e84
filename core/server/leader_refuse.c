/* SPDX-License-Identifier: Apache-2.0 */
/* The log takes nothing: writes are turned away. What is prepared and not durable was never
 * applied, so reads stay right. Apache stops the whole server
 * (ZooKeeperCriticalThread.handleException). */
#include "core/server/leader_int.h"

enum { REFUSE_BUDGET = 256 /* connections closed per tick */ };

/* @p opening: the connection does not know the session yet. */
static bool turn_away(struct leader *l, const struct msg *h, uint64_t session, bool opening)
{
	struct msg_session *m = leader_reserve(l, h->core, sizeof(*m));
	struct session *s = session_find(&l->sessions, session);

	if (!m)
		return false;
	*m = (struct msg_session){.h = *h, .session = opening ? 0 : session};
	m->h.kind = MSG_KICK;
	leader_commit(l, h->core, sizeof(*m));
	if (s && leader_is_owner(s, h))
		s->owner.set = false; /* its core does not say so behind a kick */
	leader_inc(&l->count.refused_log);
	return true;
}

bool leader_turn_away(struct leader *l, const struct msg *h, uint64_t session)
{
	return turn_away(l, h, session, false);
}

unsigned leader_refuse_pending(struct leader *l)
{
	unsigned n = 0;

	if (l->refuse_at < l->head)
		l->refuse_at = l->head;
	for (; l->refuse_at < l->refuse_end && n < REFUSE_BUDGET; l->refuse_at++, n++) {
		const struct entry *e = &l->entry[l->refuse_at & l->entry_mask];

		if (e->kind == ENTRY_EXPIRY || e->kind == ENTRY_SILENT)
			continue;
		if (!turn_away(l, &e->to, e->session, e->kind == ENTRY_OPEN))
			break;
	}
	if (l->refuse_at > l->refuse_end)
		l->refuse_at = l->refuse_end;
	return n;
}

void leader_refuse(struct leader *l, bool refuse)
{
	if (refuse == l->refusing)
		return;
	l->refusing = refuse;
	l->refuse_at = l->head;
	l->refuse_end = refuse ? l->tail : l->head;
}
