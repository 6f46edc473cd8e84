/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/leader_copy.h"

#include "core/server/leader_int.h"

uint32_t leader_copy_max(const struct leader *l)
{
	return l->sessions.used;
}

void leader_copy_begin(struct leader *l, struct leader_copy *c, struct snap_session *session,
		       uint32_t max)
{
	*c = (struct leader_copy){.end = l->sessions.used,
				  .zxid = leader_applied_zxid(l),
				  .session = session,
				  .max = max};
	zk_list_add_tail(&l->copies, &c->link);
}

/* A session of the state at that zxid: its createSession has been applied then, its closeSession
 * has not, or it would not be in the table. */
static void copy(struct leader_copy *c, const struct session *e)
{
	if (e->created_zxid > c->zxid)
		return;
	zk_assert(c->n < c->max);
	c->session[c->n++] = (struct snap_session){e->id, e->created_timeout_ms};
}

bool leader_copy_step(struct leader *l, struct leader_copy *c, unsigned budget)
{
	for (; budget && c->next < c->end; budget--) {
		const struct session *e = session_at(&l->sessions, c->next++);

		if (e)
			copy(c, e);
	}
	if (c->next < c->end)
		return false;
	zk_list_del(&c->link);
	return true;
}

void leader_copy_cancel(struct leader_copy *c)
{
	zk_list_del(&c->link);
}

void leader_copies_session_gone(struct leader *l, const struct session *e)
{
	struct zk_list *at = &l->copies;
	uint32_t i;

	if (zk_list_empty(at))
		return;
	i = session_record(&l->sessions, e);
	while ((at = at->next) != &l->copies) {
		struct leader_copy *c = zk_container_of(at, struct leader_copy, link);

		if (i >= c->next && i < c->end)
			copy(c, e);
	}
}
