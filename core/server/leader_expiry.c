/* SPDX-License-Identifier: Apache-2.0 */
/* Which sessions have been silent too long? (SessionTrackerImpl, spec/semantics.md section 9)
 *
 * None may expire while a sign of its life is under way: in the device queue of a core that has not
 * run, in a core's ring, in a frame that one core has read for another. So when the time of some
 * has come the leader calls the roll: it asks every core, and each answers, behind its touches,
 * when it has read what its device held at the question. It asks twice: what a core handed to
 * another in the first lap is read in the second. Then all signs of life up to the first question
 * are known.
 *
 * A client whose frames were lost or refused while a thread did not run sends them again within as
 * much time as that took (retransmissions are spaced by doubling times), and one that connects anew
 * needs a turn more. So after a pause nothing expires for as long as the pause was. */
#include "core/server/leader_int.h"

/* Sessions looked at and closed per leader_expire(). */
enum { EXPIRY_BUDGET = 256, EXPIRY_CLOSES = 16, HOLD_MAX_MS_DEFAULT = 40000 };

static const uint64_t ns_per_ms = 1000000;

static uint64_t hold_max_ns(const struct leader *l)
{
	uint32_t ms = l->conf.hold_max_ms;

	return (ms ? ms : HOLD_MAX_MS_DEFAULT) * ns_per_ms;
}

/* No hold has begun since the roll was complete for the last time. */
static bool heard_is_good(const struct leader_roll *r)
{
	return r->heard_ns >= r->hold_until_ns;
}

static void hold(struct leader *l, uint64_t until)
{
	struct leader_roll *r = &l->roll;
	uint64_t last;

	/* Pauses in a row hold no longer than one: after that a roll gets its chance. */
	if (heard_is_good(r))
		r->hold_since_ns = l->now_ns;
	last = r->hold_since_ns + hold_max_ns(l);
	until = until < last ? until : last;
	if (until <= l->now_ns || until <= r->hold_until_ns)
		return;
	r->hold_until_ns = until;
	r->lap = 0;
	leader_inc(&l->count.holds);
}

void leader_late(struct leader *l, uint64_t late_ns, uint64_t now_ns)
{
	zk_assert(now_ns >= l->now_ns);
	l->now_ns = now_ns;
	hold(l, now_ns + (late_ns < hold_max_ns(l) ? late_ns : hold_max_ns(l)));
}

static void ask(struct leader *l)
{
	struct leader_roll *r = &l->roll;

	for (uint32_t left = r->unasked; left; left &= left - 1) {
		unsigned core = (unsigned)__builtin_ctz(left);
		struct msg_roll *m = leader_reserve(l, core, sizeof(*m));

		if (!m)
			continue;
		*m = (struct msg_roll){.h = {.kind = MSG_ROLL, .core = (uint16_t)core},
				       .number = r->number};
		leader_commit(l, core, sizeof(*m));
		r->unasked &= ~(UINT32_C(1) << core);
	}
}

static void begin_lap(struct leader *l, uint8_t lap)
{
	struct leader_roll *r = &l->roll;

	r->lap = lap;
	r->number++;
	r->missing = r->unasked = (uint32_t)((UINT64_C(1) << l->conf.cores) - 1);
	ask(l);
}

void leader_on_roll_answer(struct leader *l, const struct msg_roll *m)
{
	struct leader_roll *r = &l->roll;

	hold(l, m->hold_until_ns);
	if (r->lap == 0 || m->number != r->number)
		return;
	r->missing &= ~(UINT32_C(1) << m->h.core);
	if (r->missing)
		return;
	if (r->lap == 1) {
		begin_lap(l, 2);
		return;
	}
	r->lap = 0;
	r->heard_ns = r->asked_ns;
}

/* Has the time of a session come since the last roll? */
static bool roll_wanted(struct leader *l)
{
	uint64_t tick_ns = l->conf.tick_ms * ns_per_ms;

	return session_waiting(&l->sessions, l->now_ns) &&
	       (!heard_is_good(&l->roll) || l->now_ns / tick_ns > l->roll.heard_ns / tick_ns);
}

static void roll_step(struct leader *l)
{
	struct leader_roll *r = &l->roll;

	if (l->now_ns < r->hold_until_ns)
		return;
	if (r->lap == 0) {
		if (!roll_wanted(l))
			return;
		r->asked_ns = l->now_ns;
		begin_lap(l, 1);
	} else if (r->unasked) {
		ask(l);
	}
	/* A core that is gone for good must not keep every session alive. */
	if (l->now_ns - r->asked_ns > hold_max_ns(l)) {
		r->lap = 0;
		r->heard_ns = r->asked_ns;
		leader_inc(&l->count.rolls_lost);
	}
}

uint64_t leader_expiry_next_ns(const struct leader *l)
{
	const struct leader_roll *r = &l->roll;

	if (l->now_ns < r->hold_until_ns)
		return r->hold_until_ns;
	if (r->lap != 0)
		return r->unasked ? l->now_ns + LEADER_RETRY_NS : r->asked_ns + hold_max_ns(l) + 1;
	if (!zk_list_empty(&l->sessions.due) && heard_is_good(r))
		return l->now_ns + LEADER_RETRY_NS;
	return session_next_ns(&l->sessions);
}

unsigned leader_expire(struct leader *l, int64_t wall_ms)
{
	unsigned budget = EXPIRY_BUDGET, done = 0;
	struct session *s;

	roll_step(l);
	if (!heard_is_good(&l->roll))
		return 0;
	while (done < EXPIRY_CLOSES && (s = session_due(&l->sessions, l->roll.heard_ns, &budget))) {
		struct prep_in in = {.op = ZK_OP_CLOSE_SESSION,
				     .session = s->id,
				     .zxid = l->last_zxid + 1,
				     .time_ms = wall_ms,
				     .pending_creates = s->ephemeral_zxid > leader_applied_zxid(l)};
		struct entry e = {.kind = ENTRY_EXPIRY};
		struct prep_out out;

		if (budget == 0)
			break;
		budget--;
		/* No room: it stays first in line. */
		if (!leader_room(l) || prep_request(&l->prep, &in, &out) != ZK_EOK)
			break;
		session_close(s);
		s->last_seq = l->tail;
		leader_entry_of(&e, &in, &out);
		leader_push(l, &e);
		leader_inc(&l->count.expired);
		done++;
	}
	return done;
}
