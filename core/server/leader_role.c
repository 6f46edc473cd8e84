/* SPDX-License-Identifier: Apache-2.0 */
/* The role in the ensemble: taken on, told to the cores, given up.
 *
 * When a role ends every client connection ends with it, so nothing that was prepared or asked for
 * is answered any more. What has reached the log may be committed all the same, and is applied from
 * the quorum's history like a learner's. What was prepared and has not reached it never was. */
#include "core/server/leader_int.h"

void leader_role_init(struct leader *l)
{
	l->role.now = l->conf.quorum ? ROLE_LOOKING : ROLE_ALONE;
	tree_fuzzy(l->conf.tree, l->conf.quorum ? UINT64_MAX : 0);
}

/* Every session begins its time anew, on no connection. */
static void sessions_restart(struct leader *l)
{
	for (uint32_t i = 0; i < l->sessions.used; i++) {
		struct session *s = session_at(&l->sessions, i);

		if (!s)
			continue;
		if (s->opening) { /* it may still be committed, and comes back then */
			leader_session_gone(l, s);
			continue;
		}
		s->owner.set = s->closing = s->touched = false;
		s->last_seq = s->ephemeral_zxid = 0;
		session_retime(&l->sessions, s, s->timeout_ms, l->now_ns);
	}
}

/* Nothing is pending in the new role. */
static void prep_anew(struct leader *l)
{
	struct prep_conf pc = l->prep.conf;
	struct quota_errors errors = l->prep.quota_errors;
	enum zk_err err;

	prep_fini(&l->prep);
	err = prep_init(&l->prep, &pc); /* into the memory that has just been given back */
	zk_assert(err == ZK_EOK);
	l->prep.quota_errors = errors;
}

static void role_end(struct leader *l)
{
	if (l->tail != l->head)
		prep_anew(l);
	l->head = l->unlogged = l->tail;
	l->refuse_at = l->refuse_end = l->head;
	leader_set(&l->count.outstanding, 0);
	learner_reset(l);
	sessions_restart(l);
	l->roll.lap = 0;
}

static void role_take(struct leader *l)
{
	enum srv_role role = l->role.next;
	uint64_t epoch = l->role.next_epoch, first;

	if (role == l->role.now && epoch == l->role.epoch)
		return;
	role_end(l);
	l->role.now = role;
	l->role.epoch = epoch;
	tree_fuzzy(l->conf.tree, role == ROLE_LOOKING ? UINT64_MAX : l->role.next_zxid);
	l->role.term++;
	l->role.behind = true;
	if (role == ROLE_LEADING) {
		first = l->conf.quorum->next_zxid(l->conf.quorum->ctx);
		l->last_zxid = first ? first - 1 : epoch << 32;
		leader_set(&l->prepared_zxid, l->last_zxid);
	}
	l->role.untold = (uint32_t)((UINT64_C(1) << l->conf.cores) - 1);
	(void)leader_role_tell(l);
}

bool leader_role_tell(struct leader *l)
{
	uint32_t left = l->role.untold;

	l->role.untold = 0; /* or leader_reserve() holds back everything */
	for (; left; left &= left - 1) {
		unsigned core = (unsigned)__builtin_ctz(left);
		struct msg_role *m = leader_reserve(l, core, sizeof(*m));

		if (!m)
			break;
		*m = (struct msg_role){.h = {.kind = MSG_ROLE, .core = (uint16_t)core},
				       .role = l->role.now,
				       .term = l->role.term,
				       .epoch = l->role.epoch};
		leader_commit(l, core, sizeof(*m));
	}
	l->role.untold = left;
	return left == 0;
}

void leader_enter(struct leader *l, uint64_t now_ns)
{
	zk_assert(now_ns >= l->now_ns);
	l->now_ns = now_ns;
	l->role.inside++;
	if (l->role.untold)
		(void)leader_role_tell(l);
}

void leader_leave(struct leader *l)
{
	zk_assert(l->role.inside > 0);
	l->role.inside--;
	if (l->role.inside == 0 && l->role.due) {
		l->role.due = false;
		role_take(l);
	}
	leader_publish(l);
}

void leader_role_set(struct leader *l, enum srv_role role, uint64_t epoch, uint64_t zxid,
		     uint64_t now_ns)
{
	leader_enter(l, now_ns);
	/* Two changes in one call: the one in between counts too, for it ended what there was. */
	if (l->role.due && l->role.inside == 1)
		role_take(l);
	l->role.next = role;
	l->role.next_epoch = epoch;
	l->role.next_zxid = zxid;
	l->role.due = true;
	leader_leave(l);
}
