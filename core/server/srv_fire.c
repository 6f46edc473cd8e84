/* SPDX-License-Identifier: Apache-2.0 */
/* The change log: watches fire, and this core's visible moves.
 *
 * The rule (DESIGN section 3, invariants 4 and 5), kept per connection. A trigger of transaction Z
 * that cannot tell all its watchers within this round stays in line (s->fires), and visible moves
 * to Z all the same. What must then hold is that no client sees Z before its own event of Z:
 *
 * - Whoever is served, or gets the reply to a write, is told first of every trigger in line
 *   (fire_settle()), in their order, and the line passes over it afterwards. So its event precedes
 *   the new data, and what it watches from then on belongs to later transactions only.
 * - The line is told in its order, a bounded slice per round (fire_run()), so the events of one
 *   client are in the order of zxids.
 * - The line is bounded. When it is full the change log is read no further: between two
 *   transactions visible simply waits, and with it, at changes_soft_max, the leader. In the midst
 *   of Z some clients know of Z while visible is before it: they wait until it is there (s->gated),
 *   and so does everyone who wants to set a watch, since the triggers behind it are gone by.
 * - Nodes and ACLs of the triggers in line stay readable because the tree's reader is moved on only
 *   to the last transaction before the oldest of them.
 *
 * The slices follow what leaves: while the device or the packets are short, they are small
 * (events_room of srv_conf). */
#include "core/server/srv_int.h"

struct told {
	struct srv *s;
	const struct srv_fire *fire;
};

static void fire_one(void *ctx, uint32_t conn, enum zk_event event, struct zk_span path)
{
	const struct told *t = ctx;
	const struct acl_list *acl = t->fire->acl;
	struct srv_conn *c = srv_slot(t->s, conn);

	if (c->state != CONN_LIVE || c->doomed || out_overrun(c))
		return; /* on its way out */
	if (acl && !acl->open_all && !read_allowed(c, acl, ZK_PERM_READ)) {
		t->s->n.events_hidden++;
		return;
	}
	event_send(c, t->fire->zxid, event, path);
	/* a long path takes the room of several */
	t->s->fires.budget -= (int)(path.n / SRV_EVENT_BYTES) * WATCH_COST_TELL;
}

/** The tree may let go of what no trigger in line needs. */
static void reader_follow(struct srv *s)
{
	const struct srv_fires *v = &s->fires;
	uint64_t to = v->n ? v->line[v->first].settled : s->visible;

	if (to > tree_visible(s->reader))
		tree_reader_advance(s->reader, to);
}

/** As WatchManager.triggerWatch() counts it. */
static void fire_count(struct srv *s, const struct watch_firing *f)
{
	static const enum srv_metric metric[] = {[ZK_EV_CREATED] = SRV_METRIC_CREATED,
						 [ZK_EV_DELETED] = SRV_METRIC_DELETED,
						 [ZK_EV_DATA] = SRV_METRIC_CHANGED,
						 [ZK_EV_CHILDREN] = SRV_METRIC_CHILDREN};

	if (f->told)
		zk_metric_add(&s->metric[metric[f->event]], f->told);
}

void fire_run(struct srv *s)
{
	struct srv_fires *v = &s->fires;

	while (v->n && v->budget > 0) {
		struct srv_fire *f = &v->line[v->first];
		struct told t = {s, f};

		if (!watch_step(s->watch, &f->f, &v->budget, fire_one, &t)) {
			s->n.events_paused++;
			break;
		}
		fire_count(s, &f->f);
		v->first = (v->first + 1) % SRV_FIRES_MAX;
		v->n--;
		reader_follow(s);
	}
}

void fire_settle_slow(struct srv_conn *c)
{
	struct srv *s = c->s;
	struct srv_fires *v = &s->fires;

	for (uint32_t i = 0; i < v->n; i++) {
		struct srv_fire *f = &v->line[(v->first + i) % SRV_FIRES_MAX];
		struct told t = {s, f};

		watch_tell_now(s->watch, &f->f, c->index, fire_one, &t);
	}
	watch_up_to_date(s->watch, c->index);
}

unsigned fire_round(struct srv *s)
{
	unsigned room = SRV_EVENTS_ROUND, waiting = s->fires.n;

	if (s->conf.events_room)
		room = s->conf.events_room(s->conf.events_ctx, SRV_EVENTS_ROUND);
	s->fires.budget = (int)room * WATCH_COST_TELL;
	fire_run(s);
	return waiting;
}

static struct zk_span parent_of(struct zk_span path)
{
	size_t n = path.n;

	while (n > 1 && path.p[n - 1] != '/')
		n--;
	return (struct zk_span){path.p, n > 1 ? n - 1 : n};
}

/** One trigger, behind those in line. */
static void fire(struct srv *s, const struct tree_change *ch, struct zk_span path,
		 enum zk_event event, const struct acl_list *acl)
{
	struct srv_fires *v = &s->fires;
	struct srv_fire *f = &v->line[(v->first + v->n) % SRV_FIRES_MAX];

	zk_assert(v->n < SRV_FIRES_MAX);
	if (!watch_begin(s->watch, path, event, &f->f))
		return;
	f->zxid = ch->zxid;
	f->acl = acl;
	f->settled = s->visible;
	v->n++;
	fire_run(s);
}

/** The triggers of one change, in Apache's order (spec/semantics.md section 11). There is room for
 * two. */
static void fire_change(struct srv *s, const struct tree_change *ch)
{
	static const enum zk_event event[] = {[TREE_CHANGE_CREATED] = ZK_EV_CREATED,
					      [TREE_CHANGE_DELETED] = ZK_EV_DELETED,
					      [TREE_CHANGE_DATA] = ZK_EV_DATA};
	struct zk_span path;

	/* The node is in the leader core's cache, where it is written; without need it stays there.
	 */
	if (!watch_any(s->watch))
		return;
	path = tree_path(ch->node);
	fire(s, ch, path, event[ch->kind], ch->acl);
	if (ch->kind != TREE_CHANGE_DATA && path.n > 1)
		fire(s, ch, parent_of(path), ZK_EV_CHILDREN, ch->parent_acl);
}

/** All of Z has been told or is in line. */
static void visible_move(struct srv *s, uint64_t zxid)
{
	s->visible = zxid;
	s->midway = false;
	reader_follow(s);
	while (!zk_list_empty(&s->gated)) /* bound: connections; served by the run list's budget */
		conn_schedule(zk_container_of(s->gated.next, struct srv_conn, link));
}

unsigned srv_consume(struct srv *s)
{
	unsigned work = 0, changes = 0;

	s->unread = true;
	/* In the order of zxids: the replies that lie before a transaction leave before its events.
	 * The leader puts the replies up to Z on the ring before it publishes what follows Z, so
	 * the ring is looked at between taking a transaction and firing it. */
	while (changes < SRV_CHANGES_ROUND) {
		unsigned messages = 0;

		if (!s->has_change)
			s->has_change = tree_change_next(s->reader, &s->change);
		if (!s->midway || changes == 0)
			messages = srv_messages(s);
		work += messages;
		if (!s->has_change) {
			s->unread = false;
			return work + changes;
		}
		if (messages == SRV_MESSAGES_ROUND)
			break;
		if (s->change.kind == TREE_CHANGE_END) {
			visible_move(s, s->change.zxid);
		} else if (s->fires.n + 2 > SRV_FIRES_MAX) {
			s->n.events_blocked++;
			break;
		} else {
			s->midway = true;
			fire_change(s, &s->change);
		}
		s->has_change = false;
		changes++;
	}
	s->more = true;
	return work + changes;
}

bool srv_catch_up(struct srv *s, uint64_t zxid)
{
	while ((int64_t)zxid > (int64_t)s->visible) {
		uint64_t before = s->visible;

		(void)srv_consume(s);
		if (!s->unread || s->visible == before)
			break;
	}
	return (int64_t)zxid <= (int64_t)s->visible || !s->unread;
}
