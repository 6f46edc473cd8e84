/* SPDX-License-Identifier: Apache-2.0 */
/* The tree for a learner that cannot be brought up to date otherwise: SNAP, the state of one held
 * zxid, "BenWasHere" (LearnerHandler.run()), as the connection has room. Clients' writes come
 * first: when memory gets short the learner has to come again. */
#include "core/server/quorum_int.h"

enum {
	SESSIONS_STEP = 256,
	NODES_STEP = 512,
	CHUNK_BYTES = 1 << 16,
	CHUNKS_STEP = 4,
	CHUNK_MAX = 1 << 28, /* a node's path and data, or an ACL list, in one piece */
};

static const char sign_off[] = "BenWasHere";

static uint64_t bit(uint32_t link)
{
	return UINT64_C(1) << link;
}

void quorum_snap_begin(struct quorum *q, uint32_t link)
{
	if (q->link[link])
		q->snap_wanted |= bit(link);
}

/* ---- one of them ---- */

/* @p alive: the tree and the machine are still there. */
static void end(struct quorum *q, struct quorum_snap *s, bool alive)
{
	struct zk_mem *mem = q->conf.mem;

	if (alive) {
		leader_copy_cancel(&s->copy);
		tree_hold_drop(q->bind.tree, s->hold);
	}
	if (s->phase != QUORUM_SNAP_SESSIONS)
		snap_tree_fini(&s->walk);
	zk_mem_free(mem, s->session, s->sessions_max * sizeof(*s->session));
	quorum_bytes_free(q, &s->chunk);
	*s = (struct quorum_snap){.phase = QUORUM_SNAP_FREE};
}

/* Half a tree is of no use to anybody. */
static void give_up(struct quorum *q, struct quorum_snap *s, const char *why)
{
	quorum_say(q, "quorum: a snapshot for server %lld broken off: %s",
		   (long long)q->z.link[s->link].sid, why);
	quorum_conn_break(q, q->link[s->link]);
	quorum_settle(q);
}

/* @return false: no hold or no memory now. */
static bool start(struct quorum *q, struct quorum_snap *s, uint32_t link)
{
	uint32_t max = leader_copy_max(q->bind.leader);
	struct snap_session *session = zk_mem_alloc(q->conf.mem, (max + 1) * sizeof(*session));
	int hold = session ? tree_hold_take(q->bind.tree) : -1;

	if (hold < 0) {
		zk_mem_free(q->conf.mem, session, (max + 1) * sizeof(*session));
		return false;
	}
	*s = (struct quorum_snap){.phase = QUORUM_SNAP_SESSIONS,
				  .link = link,
				  .hold = hold,
				  .zxid = tree_hold_zxid(q->bind.tree, hold),
				  .session = session,
				  .sessions_max = max + 1,
				  .moved_ns = q->now_ns};
	zk_assert(s->zxid == leader_applied_zxid(q->bind.leader));
	leader_copy_begin(q->bind.leader, &s->copy, session, max);
	return true;
}

static void begin_tree(struct quorum *q, struct quorum_snap *s)
{
	struct snap_tree_conf c = {.tree = q->bind.tree,
				   .mem = q->conf.mem,
				   .zxid = s->zxid,
				   .session = s->session,
				   .sessions = s->copy.n,
				   .stream = true};

	if (snap_tree_init(&s->walk, &c) != ZK_EOK) {
		give_up(q, s, "no memory");
		return;
	}
	s->phase = QUORUM_SNAP_TREE;
	quorum_conn_send(q, q->link[s->link],
			 &(struct zab_packet){.type = ZAB_SNAP, .zxid = s->zxid});
}

/* What is made has gone. @return false: not all of it, there is no room. */
static bool flush(struct quorum *q, struct quorum_snap *s)
{
	struct quorum_conn *c = q->link[s->link];
	struct quorum_bytes *b = &s->chunk;
	size_t n;

	if (c->out.n)
		return false;
	if (b->at == b->n) /* nothing is made yet */
		return true;
	n = q->conf.net.io->write(c->transport, b->p + b->at, b->n - b->at);
	b->at += n;
	if (n)
		s->moved_ns = q->now_ns;
	if (b->at < b->n)
		return false;
	b->at = b->n = 0;
	return true;
}

static void put_sign_off(struct quorum_snap *s)
{
	struct jute_out out = jute_out_of(s->chunk.p, s->chunk.cap);

	jute_put_bytes(&out, zk_span_str(sign_off));
	s->chunk.n = jute_out_len(&out);
}

/* More of the tree. @return false: it cannot go on. */
static bool fill(struct quorum *q, struct quorum_snap *s)
{
	struct quorum_bytes *b = &s->chunk;
	size_t need = s->walk.need > CHUNK_BYTES ? s->walk.need : CHUNK_BYTES;
	struct jute_out out;
	enum zk_err err;

	if (!quorum_bytes_reserve(q, b, need, CHUNK_MAX))
		return false;
	out = jute_out_of(b->p, b->cap);
	err = snap_tree_next(&s->walk, &out, NODES_STEP);
	b->n = (size_t)(out.p - out.start);
	if (err == ZK_EOK)
		s->phase = QUORUM_SNAP_END;
	return err == ZK_EOK || err == ZK_EAGAIN || err == ZK_EFULL;
}

static void sent(struct quorum *q, struct quorum_snap *s)
{
	uint32_t link = s->link;
	uint64_t zxid = s->zxid;

	end(q, s, true);
	zab_snap_sent(&q->z, link, zxid, q->now_ns);
	quorum_settle(q);
}

/* Its learner is stopped, or worse: it would hold the old versions of everything for ever. */
static bool stands_still(const struct quorum *q, const struct quorum_snap *s)
{
	const struct zab_conf *c = &q->conf.zab;

	return q->now_ns - s->moved_ns > (uint64_t)c->tick_ms * c->init_limit * 1000000;
}

static void step(struct quorum *q, struct quorum_snap *s)
{
	if (stands_still(q, s)) {
		give_up(q, s, "nothing of it is taken");
		return;
	}
	if (tree_hold_strained(q->bind.tree, s->hold)) {
		give_up(q, s, "memory is short");
		return;
	}
	if (s->phase == QUORUM_SNAP_SESSIONS) {
		q->work++;
		if (leader_copy_step(q->bind.leader, &s->copy, SESSIONS_STEP))
			begin_tree(q, s);
		return;
	}
	for (unsigned n = 0; n < CHUNKS_STEP && flush(q, s); n++) {
		q->work++;
		if (s->phase == QUORUM_SNAP_DONE) {
			sent(q, s);
			return;
		}
		if (s->phase == QUORUM_SNAP_END) {
			put_sign_off(s);
			s->phase = QUORUM_SNAP_DONE;
		} else if (!fill(q, s)) {
			give_up(q, s, "no memory");
			return;
		}
	}
}

/* ---- all of them ---- */

void quorum_snap_cancel(struct quorum *q, uint32_t link)
{
	q->snap_wanted &= ~bit(link);
	for (unsigned i = 0; i < QUORUM_SNAPS_MAX; i++)
		if (q->snap[i].phase != QUORUM_SNAP_FREE && q->snap[i].link == link)
			end(q, &q->snap[i], true);
}

void quorum_snap_step(struct quorum *q)
{
	for (unsigned i = 0; i < QUORUM_SNAPS_MAX && !quorum_halted(q); i++) {
		struct quorum_snap *s = &q->snap[i];
		uint32_t link;

		if (s->phase == QUORUM_SNAP_FREE) {
			if (!q->snap_wanted)
				continue;
			link = (uint32_t)__builtin_ctzll(q->snap_wanted);
			if (!start(q, s, link))
				continue;
			q->snap_wanted &= ~bit(link);
		}
		step(q, s);
	}
}

bool quorum_snap_urgent(const struct quorum *q)
{
	for (unsigned i = 0; i < QUORUM_SNAPS_MAX; i++) {
		const struct quorum_snap *s = &q->snap[i];

		if (s->phase == QUORUM_SNAP_SESSIONS ||
		    (s->phase != QUORUM_SNAP_FREE && !q->link[s->link]->out.n &&
		     quorum_conn_room(q, q->link[s->link])))
			return true;
	}
	return false;
}

void quorum_snap_free(struct quorum *q)
{
	for (unsigned i = 0; i < QUORUM_SNAPS_MAX; i++)
		if (q->snap[i].phase != QUORUM_SNAP_FREE)
			end(q, &q->snap[i], false);
}
