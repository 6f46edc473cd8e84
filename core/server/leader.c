/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/leader.h"

#include "core/server/leader_int.h"

enum {
	PENDING_MAX_DEFAULT = 4096,
	COLLECT_BUDGET = 64, /* objects unlinked per tick */
	RUN_BUDGET = 64      /* left-over applies per tick */
};

static bool restore_sessions(struct leader *l, uint64_t now_ns)
{
	for (uint32_t i = 0; i < l->conf.restored_n; i++) {
		const struct snap_session *s = &l->conf.restored[i];

		if (!session_restore(&l->sessions, s->id, s->timeout_ms, now_ns))
			return false;
	}
	leader_set(&l->count.sessions, l->sessions.n);
	leader_set(&l->count.digest_mismatches, l->conf.digest_mismatches);
	leader_set(&l->count.digest_mismatch_zxid, l->conf.digest_mismatch_zxid);
	l->conf.restored = NULL;
	l->conf.restored_n = 0;
	return true;
}

static enum zk_err init(struct leader *l, uint64_t now_ns)
{
	const struct leader_conf *c = &l->conf;
	struct prep_conf pc = {.tree = c->tree,
			       .mem = c->mem,
			       .auth = &l->conf.auth,
			       .pending_max = c->pending_max,
			       .jute_maxbuffer = c->jute_maxbuffer,
			       .extended_types = c->extended_types,
			       .enforce_quota = c->enforce_quota};
	size_t slots = 1;
	enum zk_err err;

	while (slots <= c->pending_max)
		slots *= 2;
	l->entry_mask = slots - 1;
	l->entry = zk_mem_alloc(c->mem, slots * sizeof(*l->entry));
	if (!l->entry)
		return ZK_ENOMEM;
	err = prep_init(&l->prep, &pc);
	if (err != ZK_EOK)
		goto no_prep;
	err = session_table_init(&l->sessions, c->mem, c->sessions_max, c->server_id, c->tick_ms,
				 now_ns);
	if (err != ZK_EOK)
		goto no_sessions;
	err = ZK_ENOMEM;
	if (!restore_sessions(l, now_ns) || (c->quorum && !learner_init(l)))
		goto no_restore;
	return ZK_EOK;
no_restore:
	session_table_fini(&l->sessions);
no_sessions:
	prep_fini(&l->prep);
no_prep:
	zk_mem_free(c->mem, l->entry, slots * sizeof(*l->entry));
	return err;
}

enum zk_err leader_new(const struct leader_conf *conf, uint64_t now_ns, struct leader **out)
{
	struct leader *l = zk_mem_alloc(conf->mem, sizeof(*l));
	enum zk_err err;

	zk_assert(conf->cores >= 1 && conf->cores <= LEADER_CORES_MAX && conf->log.append);
	if (!l)
		return ZK_ENOMEM;
	memset(l, 0, sizeof(*l));
	l->conf = *conf;
	if (!l->conf.sessions_max)
		l->conf.sessions_max = LEADER_SESSIONS_MAX;
	if (!l->conf.pending_max)
		l->conf.pending_max = PENDING_MAX_DEFAULT;
	if (!l->conf.jute_maxbuffer)
		l->conf.jute_maxbuffer = ZK_JUTE_MAXBUFFER_DEFAULT;
	for (unsigned i = 0; i < LEADER_METRICS; i++)
		l->metric[i].slot = l->slots[i];
	l->head = l->unlogged = l->tail = 1;
	zk_list_init(&l->copies);
	l->now_ns = now_ns;
	l->last_zxid = l->durable_zxid = tree_last_zxid(conf->tree);
	leader_set(&l->applied_zxid, l->last_zxid);
	leader_set(&l->prepared_zxid, l->last_zxid);
	err = init(l, now_ns);
	if (err != ZK_EOK) {
		zk_mem_free(conf->mem, l, sizeof(*l));
		return err;
	}
	leader_role_init(l);
	leader_reaper_init(l);
	leader_snap_init(l);
	*out = l;
	return ZK_EOK;
}

void leader_free(struct leader *l)
{
	struct zk_mem *mem;

	if (!l)
		return;
	mem = l->conf.mem;
	learner_fini(l);
	session_table_fini(&l->sessions);
	prep_fini(&l->prep);
	zk_mem_free(mem, l->entry, (size_t)(l->entry_mask + 1) * sizeof(*l->entry));
	zk_mem_free(mem, l, sizeof(*l));
}

static size_t reply_max(const struct leader *l, unsigned core)
{
	return zk_ring_record_max(l->conf.to_core[core]) - sizeof(struct msg_reply);
}

/* sync, getEphemerals: no transaction, only its place behind this session's earlier writes. Both
 * requests begin with the one string that the answer needs. */
static enum zk_err on_question(struct leader *l, struct session *s, const struct msg_request *r)
{
	struct entry e = {.kind = ENTRY_ANSWER,
			  .to = r->h,
			  .session = r->session,
			  .since_ns = r->since_ns,
			  .request_bytes = r->body_bytes,
			  .xid = r->xid,
			  .op = r->op};
	struct jute_in in = jute_in_of(msg_request_body(r));
	/* In an ensemble it goes behind all that was proposed, for a leader with a slow disk
	 * applies later than its followers, which may have answered already; and it is answered
	 * when a quorum has confirmed that this is still the leader. */
	const struct leader_quorum *q = r->op == ZK_OP_SYNC ? l->conf.quorum : NULL;

	jute_bytes(&in);
	e.bytes = zk_span_of(msg_request_body(r).p,
			     (size_t)(in.p - msg_request_body(r).p)); /* the path, as it is */
	if (s->closing)
		e.err = ZK_SESSIONEXPIRED;
	else if (in.bad)
		e.err = ZK_MARSHALLINGERROR;
	else if (e.bytes.n > reply_max(l, r->h.core))
		e.err = ZK_SYSTEMERROR;
	if (e.err != ZK_EOK)
		e.bytes = (struct zk_span){NULL, 0};
	if (s->last_seq < l->head && !q)
		return leader_answer(l, &e) ? ZK_EOK : ZK_EAGAIN;
	if (l->refusing)
		return leader_turn_away(l, &r->h, r->session) ? ZK_EOK : ZK_EAGAIN;
	if (!leader_room(l))
		return ZK_EAGAIN;
	if (e.err == ZK_EOK) {
		uint8_t *p = txn_bytes_reserve(&l->prep.bytes, e.bytes.n);

		if (!p)
			return ZK_EAGAIN;
		memcpy(p, e.bytes.p, e.bytes.n);
		e.bytes.p = p;
		e.bytes_end = txn_bytes_commit(&l->prep.bytes, e.bytes.n);
	}
	e.confirm = q ? q->confirm(q->ctx) : 0;
	s->last_seq = l->tail;
	leader_push(l, &e);
	return ZK_EOK;
}

static uint64_t since_ms(const struct leader *l, uint64_t ns)
{
	return l->now_ns > ns ? (l->now_ns - ns) / 1000000 : 0;
}

static enum zk_err on_write(struct leader *l, struct session *s, const struct msg_request *r,
			    int64_t wall_ms)
{
	struct prep_in in = {.op = r->op,
			     .cxid = r->xid,
			     .session = r->session,
			     .session_err = s->closing ? ZK_SESSIONEXPIRED : ZK_EOK,
			     .ids = zk_span_of(r + 1, r->ids_bytes),
			     .body = msg_request_body(r),
			     .zxid = l->last_zxid + 1,
			     .time_ms = wall_ms,
			     .reply_max = reply_max(l, r->h.core),
			     .pending_creates = s->ephemeral_zxid > leader_applied_zxid(l)};
	struct prep_out out;

	if (l->refusing)
		return leader_turn_away(l, &r->h, r->session) ? ZK_EOK : ZK_EAGAIN;
	if (!leader_room(l) || prep_request(&l->prep, &in, &out) != ZK_EOK)
		return ZK_EAGAIN;
	if (out.ephemeral)
		s->ephemeral_zxid = in.zxid;
	if (r->op == ZK_OP_CLOSE_SESSION)
		session_close(s);
	s->last_seq = l->tail;
	leader_push(l, &(struct entry){.kind = ENTRY_WRITE,
				       .zxid = in.zxid,
				       .session = r->session,
				       .since_ns = r->since_ns,
				       .request_bytes = r->body_bytes,
				       .bytes = out.txn,
				       .bytes_end = out.end,
				       .steps = out.steps,
				       .reply_max = out.reply_bytes,
				       .to = r->h,
				       .xid = r->xid,
				       .op = r->op,
				       .err = out.err});
	leader_inc(&l->count.requests);
	zk_metric_add(&l->metric[LEADER_METRIC_QUEUE], since_ms(l, r->received_ns));
	leader_set(&l->count.refused_memory, l->prep.refused_memory);
	leader_set(&l->count.refused_size, l->prep.refused_size);
	leader_set(&l->count.quota_exceeded, l->prep.quota_exceeded);
	leader_set(&l->count.quota_soft, l->prep.quota_soft);
	return ZK_EOK;
}

static enum zk_err on_request(struct leader *l, const struct msg_request *r, size_t n,
			      int64_t wall_ms)
{
	struct session *s = session_find(&l->sessions, r->session);

	zk_assert(sizeof(*r) + (size_t)r->ids_bytes + (r->body_apart ? 0 : r->body_bytes) <= n);
	/* Between the end of a session, or its move to another connection, and the close of this
	 * one: dropped with no answer (spec/client-protocol.md section 9). */
	if (!s || (s->owner.set && !leader_is_owner(s, &r->h))) {
		leader_inc(&l->count.dropped);
		return ZK_EOK;
	}
	if (!s->closing)
		leader_own(s, &r->h); /* the first writer becomes the owner */
	session_touch(&l->sessions, s, l->now_ns);
	if (r->op == ZK_OP_SYNC || r->op == ZK_OP_GET_EPHEMERALS)
		return on_question(l, s, r);
	return on_write(l, s, r, wall_ms);
}

/* What any role does. @return ZK_ENOTSUP: it depends. */
static enum zk_err on_common(struct leader *l, const struct msg *h, const void *rec, size_t n)
{
	switch (h->kind) {
	case MSG_DETACH:
		leader_on_detach(l, rec);
		return ZK_EOK;
	case MSG_GATHER_ASK:
		return leader_on_gather_ask(l, rec);
	case MSG_GATHER_PART:
		return leader_on_gather_part(l, rec, n);
	case MSG_ROLL_ANSWER:
		leader_on_roll_answer(l, rec);
		return ZK_EOK;
	default:
		return ZK_ENOTSUP;
	}
}

static enum zk_err dispatch(struct leader *l, const struct msg *h, const void *rec, size_t n,
			    int64_t wall_ms)
{
	enum zk_err err = on_common(l, h, rec, n);

	if (err != ZK_ENOTSUP)
		return err;
	if (h->term != l->role.term && h->kind != MSG_TOUCH) {
		leader_inc(&l->count.dropped); /* it has crossed with MSG_ROLE */
		return ZK_EOK;
	}
	if (leader_learns(l))
		return learner_message(l, h, rec, n);
	if (!leader_leads(l)) /* its connection is about to be closed */
		return ZK_EOK;
	if (l->role.behind && h->kind != MSG_TOUCH) /* which sessions there are is not known yet */
		return ZK_EAGAIN;
	switch (h->kind) {
	case MSG_REQUEST:
		return on_request(l, rec, n, wall_ms);
	case MSG_SESSION_CREATE:
		return leader_on_create(l, rec, wall_ms);
	case MSG_SESSION_ATTACH:
		return leader_on_attach(l, rec);
	default:
		zk_assert(h->kind == MSG_TOUCH); /* nothing else goes to the leader */
		leader_on_touch(l, rec, n);
		return ZK_EOK;
	}
}

enum zk_err leader_message(struct leader *l, const void *rec, size_t n, uint64_t now_ns,
			   int64_t wall_ms)
{
	const struct msg *h = rec;
	enum zk_err err;

	zk_assert(n >= sizeof(*h) && h->core < l->conf.cores);
	leader_enter(l, now_ns);
	err = dispatch(l, h, rec, n, wall_ms);
	if (err == ZK_EAGAIN)
		leader_inc(&l->count.again);
	leader_leave(l);
	return err;
}

unsigned leader_durable(struct leader *l, uint64_t zxid, unsigned budget, uint64_t now_ns)
{
	unsigned n;

	zk_assert(l->role.now != ROLE_ALONE || zxid <= l->last_zxid);
	leader_enter(l, now_ns);
	if (zxid > l->durable_zxid)
		l->durable_zxid = zxid;
	n = leader_run(l, budget);
	leader_log_flush(l);
	leader_leave(l);
	return n;
}

unsigned leader_tick(struct leader *l, uint64_t now_ns, int64_t wall_ms)
{
	unsigned work = 0;

	leader_enter(l, now_ns);
	leader_log_flush(l);
	if (l->head != l->tail || !leader_leads(l))
		work += leader_run(l, RUN_BUDGET);
	if (leader_leads(l) && l->refusing) {
		work += leader_refuse_pending(l);
	} else if (leader_leads(l)) {
		work += leader_expire(l, wall_ms);
		work += leader_reap(l, wall_ms);
	}
	work += tree_collect(l->conf.tree, COLLECT_BUDGET);
	leader_leave(l);
	return work;
}

/* Is there something to do that only waits for room downstream? */
static bool stalled(const struct leader *l)
{
	const struct entry *e = &l->entry[l->head & l->entry_mask];

	if (l->unlogged != l->tail || l->role.untold || learner_stalled(l))
		return true;
	return l->head != l->tail && e->zxid <= l->durable_zxid;
}

uint64_t leader_next_ns(const struct leader *l)
{
	uint64_t next = leader_leads(l) ? leader_expiry_next_ns(l) : l->now_ns + leader_idle_ns;

	if (l->refusing && leader_leads(l))
		return l->now_ns + (l->refuse_at < l->refuse_end ? 0 : LEADER_REFUSING_NS);
	if (stalled(l) && l->now_ns + LEADER_RETRY_NS < next)
		next = l->now_ns + LEADER_RETRY_NS;
	if (!leader_leads(l))
		return next;
	return next < l->reaper.next_ns ? next : l->reaper.next_ns;
}

uint64_t leader_last_zxid(const struct leader *l)
{
	return leader_get(&l->prepared_zxid);
}

uint64_t leader_applied_zxid(const struct leader *l)
{
	return leader_get(&l->applied_zxid);
}

void leader_stats_get(const struct leader *l, struct leader_stats *out)
{
	const struct leader_counters *c = &l->count;

	*out = (struct leader_stats){.sessions = leader_get(&c->sessions),
				     .expired = leader_get(&c->expired),
				     .again = leader_get(&c->again),
				     .refused_memory = leader_get(&c->refused_memory) +
						       leader_get(&c->refused_sessions),
				     .outstanding = leader_get(&c->outstanding),
				     .refused_size = leader_get(&c->refused_size),
				     .dropped = leader_get(&c->dropped),
				     .reaped = leader_get(&c->reaped),
				     .reap_waits = leader_get(&c->reap_waits),
				     .quota_exceeded = leader_get(&c->quota_exceeded),
				     .quota_soft = leader_get(&c->quota_soft),
				     .refused_log = leader_get(&c->refused_log),
				     .digest_mismatches = leader_get(&c->digest_mismatches),
				     .digest_mismatch_zxid = leader_get(&c->digest_mismatch_zxid),
				     .holds = leader_get(&c->holds),
				     .rolls_lost = leader_get(&c->rolls_lost)};
}

struct quota_errors *leader_quota_errors(struct leader *l)
{
	return &l->prep.quota_errors;
}

void leader_metrics(struct leader *l, struct metrics *m)
{
	metrics_counter(m, "prep_processor_request_queued", &l->count.requests);
	metrics_counter(m, "session_expiry_holds", &l->count.holds);
	metrics_counter(m, "stale_sessions_expired", &l->count.expired);
	metrics_counter(m, "digest_mismatches_count", &l->count.digest_mismatches);
	metrics_counter(m, "session_rolls_lost", &l->count.rolls_lost);
	if (l->conf.quorum) { /* Leader.propose(), Leader.commit() */
		metrics_counter(m, "proposal_count", &l->count.proposals);
		metrics_counter(m, "commit_count", &l->count.commits);
		metrics_summary(m, "quorum_ack_latency", &l->metric[LEADER_METRIC_QUORUM_ACK]);
		metrics_counter(m, "requests_of_moved_sessions", &l->count.refused_moved);
		metrics_counter(m, "apply_refusals", &l->count.tree_fails);
		metrics_counter(m, "replies_cut", &l->count.replies_cut);
	}
	metrics_summary(m, "prep_processor_queue_time_ms", &l->metric[LEADER_METRIC_QUEUE]);
	metrics_summary(m, "propagation_latency", &l->metric[LEADER_METRIC_PROPAGATION]);
}
