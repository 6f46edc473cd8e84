/* SPDX-License-Identifier: Apache-2.0 */
/* What waits for the leader, and who is answered when. */
#include "core/base/hash.h"
#include "core/server/learner_int.h"

struct learner_wait *learner_wait_at(const struct leader *l, uint32_t index1)
{
	zk_assert(index1 >= 1 && index1 <= l->learner.wait_max);
	return &l->learner.wait[index1 - 1];
}

uint32_t learner_wait_index(const struct leader *l, const struct learner_wait *w)
{
	return (uint32_t)(w - l->learner.wait) + 1;
}

static void free_list(struct learner *r)
{
	for (uint32_t i = 0; i < r->wait_max; i++)
		r->wait[i] = (struct learner_wait){.next = i + 2 <= r->wait_max ? i + 2 : 0};
	r->wait_free = 1;
	r->waits = r->syncs = 0;
	r->asked = 0;
	r->sync_head = r->sync_tail = r->ready_head = r->ready_tail = 0;
}

bool learner_init(struct leader *l)
{
	struct learner *r = &l->learner;
	struct zk_mem *mem = l->conf.mem;

	r->wait_max = l->conf.pending_max;
	r->wait = zk_mem_alloc(mem, r->wait_max * sizeof(*r->wait));
	r->revalidate = zk_mem_alloc(mem, LEARNER_REVALIDATIONS * sizeof(*r->revalidate));
	if (!r->wait || !r->revalidate) {
		learner_fini(l);
		return false;
	}
	memset(r->revalidate, 0, LEARNER_REVALIDATIONS * sizeof(*r->revalidate));
	free_list(r);
	return true;
}

static void bytes_free(struct leader *l, struct learner_wait *w)
{
	zk_mem_free(l->conf.mem, w->bytes, w->bytes_n);
	w->bytes = NULL;
	w->bytes_n = 0;
}

void learner_fini(struct leader *l)
{
	struct learner *r = &l->learner;
	struct zk_mem *mem = l->conf.mem;

	learner_reset(l);
	zk_mem_free(mem, r->wait, r->wait_max * sizeof(*r->wait));
	zk_mem_free(mem, r->revalidate, LEARNER_REVALIDATIONS * sizeof(*r->revalidate));
	zk_mem_free(mem, r->touched, r->touched_max * sizeof(*r->touched));
	*r = (struct learner){0};
}

void learner_reset(struct leader *l)
{
	struct learner *r = &l->learner;

	if (!r->wait || !r->revalidate)
		return;
	for (uint32_t i = 0; i < r->wait_max; i++)
		bytes_free(l, &r->wait[i]);
	free_list(r);
	memset(r->revalidate, 0, LEARNER_REVALIDATIONS * sizeof(*r->revalidate));
	for (uint32_t i = 0; i < l->sessions.used; i++) {
		struct session *s = session_at(&l->sessions, i);

		if (s)
			s->wait_head = s->wait_tail = 0;
	}
	r->touched_n = 0;
}

/* ---- queues ---------------------------------------------------------------------------------- */

struct learner_wait *learner_wait_new(struct leader *l)
{
	struct learner *r = &l->learner;
	struct learner_wait *w;

	if (!r->wait_free)
		return NULL;
	w = learner_wait_at(l, r->wait_free);
	r->wait_free = w->next;
	r->waits++;
	*w = (struct learner_wait){.used = true};
	return w;
}

void learner_wait_free(struct leader *l, struct learner_wait *w)
{
	struct learner *r = &l->learner;

	bytes_free(l, w);
	r->asked -= w->asked;
	*w = (struct learner_wait){.next = r->wait_free};
	r->wait_free = learner_wait_index(l, w);
	r->waits--;
}

void learner_wait_add(struct leader *l, struct session *s, struct learner_wait *w)
{
	uint32_t i = learner_wait_index(l, w);

	if (s->wait_tail)
		learner_wait_at(l, s->wait_tail)->next = i;
	else
		s->wait_head = i;
	s->wait_tail = i;
	if (w->e.op == ZK_OP_SYNC) {
		struct learner *r = &l->learner;

		if (r->sync_tail)
			learner_wait_at(l, r->sync_tail)->next_ready = i;
		else
			r->sync_head = i;
		r->sync_tail = i;
		r->syncs++;
		w->queued = true;
	}
}

/* @p w shall be answered when everything up to @p zxid is applied. */
static void make_ready(struct leader *l, struct learner_wait *w, uint64_t zxid)
{
	struct learner *r = &l->learner;
	uint32_t i = learner_wait_index(l, w);

	w->after_zxid = zxid;
	w->queued = true;
	w->next_ready = 0;
	if (r->ready_tail)
		learner_wait_at(l, r->ready_tail)->next_ready = i;
	else
		r->ready_head = i;
	r->ready_tail = i;
}

/* The first of the session's queue is done with. A getEphemerals behind it has its turn. */
static void pop(struct leader *l, struct session *s)
{
	struct learner_wait *w = learner_wait_at(l, s->wait_head);

	s->wait_head = w->next;
	if (!s->wait_head)
		s->wait_tail = 0;
	learner_wait_free(l, w);
	if (!s->wait_head)
		return;
	w = learner_wait_at(l, s->wait_head);
	if (w->e.op == ZK_OP_GET_EPHEMERALS)
		make_ready(l, w, leader_applied_zxid(l));
}

void learner_session_gone(struct leader *l, struct session *s)
{
	while (s->wait_head) {
		struct learner_wait *w = learner_wait_at(l, s->wait_head);

		s->wait_head = w->next;
		if (w->queued)
			w->dead = true;
		else
			learner_wait_free(l, w);
	}
	s->wait_tail = 0;
}

/* ---- what needs no transaction --------------------------------------------------------------- */

bool leader_asks(const struct leader *l)
{
	return l->learner.waits > 0;
}

void leader_on_sync(struct leader *l, uint64_t committed_zxid, uint64_t now_ns)
{
	struct learner *r = &l->learner;
	struct learner_wait *w;

	leader_enter(l, now_ns);
	if (leader_learns(l) && r->sync_head) {
		w = learner_wait_at(l, r->sync_head);
		r->sync_head = w->next_ready;
		if (!r->sync_head)
			r->sync_tail = 0;
		r->syncs--;
		make_ready(l, w, committed_zxid);
	}
	leader_leave(l);
}

/* Its turn has come and the answer, if anybody wants one, is on its way. */
static bool may_answer(struct leader *l, struct learner_wait *w)
{
	const struct session *s;

	if (leader_applied_zxid(l) < w->after_zxid)
		return false;
	if (w->dead)
		return true;
	s = session_find(&l->sessions, w->e.session);
	/* What stands before it in its session was committed before the leader said SYNC. */
	if (!s || s->wait_head != learner_wait_index(l, w))
		return false;
	w->e.bytes = zk_span_of(w->bytes, w->bytes_n);
	return leader_answer(l, &w->e);
}

static void answer_ready(struct leader *l)
{
	struct learner *r = &l->learner;

	while (r->ready_head) {
		struct learner_wait *w = learner_wait_at(l, r->ready_head);

		if (!may_answer(l, w))
			return;
		/* out of the queue first: whoever is behind it in its session may be appended */
		r->ready_head = w->next_ready;
		if (!r->ready_head)
			r->ready_tail = 0;
		if (w->dead)
			learner_wait_free(l, w);
		else
			pop(l, session_find(&l->sessions, w->e.session));
	}
}

bool learner_stalled(const struct leader *l)
{
	return l->learner.ready_head != 0;
}

/* ---- committed transactions ------------------------------------------------------------------ */

/* Who waits for this one here? */
static struct learner_wait *waiter(struct leader *l, const struct session *s,
				   const struct txn_record *t)
{
	struct learner_wait *w;

	if (!s || !s->wait_head)
		return NULL;
	w = learner_wait_at(l, s->wait_head);
	if (w->e.op == ZK_OP_SYNC || w->e.op == ZK_OP_GET_EPHEMERALS)
		return NULL;
	if ((t->op.type == ZK_OP_CREATE_SESSION) != (w->e.kind == ENTRY_OPEN))
		return NULL;
	return w->e.xid == t->header.cxid ? w : NULL;
}

static void apply(struct leader *l, const struct txn_record *t, size_t n, struct txn_result *res)
{
	leader_publish(l); /* see apply() in leader_queue.c */
	txn_apply_record(l->conf.tree, t, res);
	/* Over the snapshot of a server that writes while it goes on, some fail. */
	leader_set(&l->count.tree_fails, leader_get(&l->count.tree_fails) + res->tree_fails);
	leader_digest_seen(l, t->header.zxid, res->digest);
	leader_set(&l->applied_zxid, t->header.zxid);
	leader_set(&l->prepared_zxid, t->header.zxid);
	leader_snap_logged(l, t->header.zxid, n);
}

enum { MULTI_RESULT_BYTES = 9 + ZK_STAT_BYTES + 8 };

/* No reply to @p t is longer. */
static size_t reply_bound(const struct txn_record *t)
{
	size_t ops = t->op.type == ZK_OP_MULTI ? (size_t)t->op.n : 0;

	return t->bytes.n + ZK_STAT_BYTES + 64 + ops * MULTI_RESULT_BYTES;
}

static bool apply_reply(struct leader *l, struct session *s, const struct txn_record *t, size_t n)
{
	struct learner_wait *w = learner_wait_at(l, s->wait_head);
	size_t max = zk_ring_record_max(l->conf.to_core[w->e.to.core]) - sizeof(struct msg_reply);
	size_t body = reply_bound(t) < max ? reply_bound(t) : max;
	struct msg_reply *m = leader_reserve(l, w->e.to.core, sizeof(*m) + body);
	struct jute_out out;
	struct txn_result res = {.reply = &out};

	if (!m)
		return false;
	out = jute_out_of(m + 1, body);
	apply(l, t, n, &res);
	w->e.err = res.err;
	leader_reply_fill(m, &w->e, t->header.zxid, out.full ? 0 : jute_out_len(&out));
	if (out.full) { /* the leader has larger rings: the client finds out by reading */
		m->drop = 1;
		leader_inc(&l->count.replies_cut);
	}
	leader_commit(l, w->e.to.core, sizeof(*m) + m->body_bytes);
	pop(l, s);
	if (t->op.type == ZK_OP_CLOSE_SESSION)
		leader_session_gone(l, s);
	return true;
}

static bool apply_open(struct leader *l, struct session *s, const struct txn_record *t, size_t n)
{
	struct learner_wait *w = learner_wait_at(l, s->wait_head);
	struct msg_session *m = leader_reserve(l, w->e.to.core, sizeof(*m));
	struct txn_result res = {0};

	if (!m)
		return false;
	apply(l, t, n, &res);
	*m = (struct msg_session){
		.h = {.kind = MSG_SESSION_OPENED, .core = w->e.to.core, .conn = w->e.to.conn},
		.session = s->id,
		.timeout_ms = res.timeout_ms};
	session_password(s->id, m->password);
	leader_commit(l, w->e.to.core, sizeof(*m));
	s->opening = false;
	s->created_zxid = t->header.zxid;
	pop(l, s);
	learner_touch(l, s);
	return true;
}

/* A session of another server, or one that was opened through us before we knew it. */
static bool apply_created(struct leader *l, struct session *s, const struct txn_record *t, size_t n)
{
	struct txn_result res = {0};

	apply(l, t, n, &res);
	if (!s)
		s = session_restore(&l->sessions, t->header.client, t->op.timeout_ms, l->now_ns);
	if (s) {
		s->created_zxid = t->header.zxid;
		s->created_timeout_ms = t->op.timeout_ms;
		s->opening = false;
	} else {
		leader_inc(&l->count.refused_sessions);
	}
	leader_set(&l->count.sessions, l->sessions.n);
	return true;
}

static bool apply_closed(struct leader *l, struct session *s, const struct txn_record *t, size_t n)
{
	struct txn_result res = {0};
	struct msg_session *m;

	if (!leader_kick_room(l, s, &m))
		return false;
	apply(l, t, n, &res);
	leader_session_ended(l, s, m);
	return true;
}

/* A new leader has applied all there was. Its state is that of the epoch's beginning from now on
 * (Leader.startZkServer()): whoever has seen as much of another leader of this epoch, or of one
 * before in which nothing was written, may connect. */
static void begin_epoch(struct leader *l)
{
	uint64_t zxid = l->role.epoch << 32;

	l->role.behind = false;
	prep_resume(&l->prep);
	if (leader_applied_zxid(l) >= zxid)
		return;
	leader_publish(l);
	tree_begin(l->conf.tree, zxid, 0);
	tree_end(l->conf.tree);
	leader_set(&l->applied_zxid, zxid);
}

static bool apply_next(struct leader *l)
{
	const struct leader_quorum *q = l->conf.quorum;
	struct txn_result res = {0};
	struct txn_record t;
	struct zk_span txn;
	struct session *s;
	uint64_t zxid;
	bool done = true;

	if (tree_changes_full(l->conf.tree))
		return false;
	if (!q->committed(q->ctx, leader_applied_zxid(l), &zxid, &txn)) {
		if (l->role.behind && l->role.now == ROLE_LEADING)
			begin_epoch(l);
		return false;
	}
	/* The quorum takes no transaction that cannot be read. */
	zk_assert(txn_read(txn, &t) == ZK_EOK && t.header.zxid == zxid);
	s = session_find(&l->sessions, t.header.client);
	if (waiter(l, s, &t))
		done = t.op.type == ZK_OP_CREATE_SESSION ? apply_open(l, s, &t, txn.n)
							 : apply_reply(l, s, &t, txn.n);
	else if (t.op.type == ZK_OP_CREATE_SESSION)
		done = apply_created(l, s, &t, txn.n);
	else if (t.op.type == ZK_OP_CLOSE_SESSION)
		done = apply_closed(l, s, &t, txn.n);
	else
		apply(l, &t, txn.n, &res);
	if (done)
		leader_snap_applied(l, zxid);
	return done;
}

/* What is applied next; of one alone there is nothing to be had. */
static void look_ahead(const struct leader *l)
{
	const struct leader_quorum *q = l->conf.quorum;
	uint64_t zxid = leader_applied_zxid(l);
	struct zk_span txn[TXN_AHEAD];
	unsigned n = 0;

	while (n < TXN_AHEAD && q->committed(q->ctx, zxid, &zxid, &txn[n]))
		n++;
	if (n > 1)
		txn_ahead(l->conf.tree, txn, n);
}

unsigned learner_run(struct leader *l, unsigned budget)
{
	unsigned n = 0;

	answer_ready(l);
	while (n < budget) {
		if (n % TXN_AHEAD == 0)
			look_ahead(l);
		if (!apply_next(l))
			break;
		n++;
		answer_ready(l); /* before the next one: zxids of a client must not go back */
	}
	return n;
}
