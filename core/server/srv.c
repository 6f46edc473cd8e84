/* SPDX-License-Identifier: Apache-2.0 */
/* The client core: start, rounds, connection slots. */
#include "core/server/srv.h"

#include "core/server/srv_int.h"

enum { WATCHES_MAX_DEFAULT = 4000000, READS_ROUND_DEFAULT = 1024, SPILL_DEFAULT = 4 << 20 };

static size_t biggest_record(const struct srv_shared *sh)
{
	uint32_t body = sh->jute_maxbuffer < SRV_BODY_APART ? sh->jute_maxbuffer : SRV_BODY_APART;
	size_t request = sizeof(struct msg_request) + AUTH_IDS_BYTES_MAX + body;
	size_t part = sizeof(struct msg_gather) + GATHER_TEXT_MAX;
	size_t touch = sizeof(struct msg_touch) + SRV_TOUCH_RECORD * sizeof(uint64_t);

	request = request > part ? request : part;
	return request > touch ? request : touch;
}

enum zk_err srv_new(const struct srv_conf *conf, uint64_t now_ns, struct srv **out)
{
	struct watch_conf wc = {.mem = conf->mem,
				.key = conf->key,
				.conns_max = conf->conns_max,
				.watches_max = conf->watches_max ? conf->watches_max
								 : WATCHES_MAX_DEFAULT};
	struct srv *s;

	if (conf->conns_max == 0 || conf->core >= MSG_CORES_MAX ||
	    zk_ring_record_max(conf->to_leader) < biggest_record(conf->shared))
		return ZK_EINVAL;
	s = zk_mem_alloc(conf->mem, sizeof(*s));
	if (!s)
		return ZK_ENOMEM;
	memset(s, 0, sizeof(*s));
	s->conf = *conf;
	if (s->conf.reads_per_conn_round == 0)
		s->conf.reads_per_conn_round = READS_ROUND_DEFAULT;
	if (s->conf.out_spill_bytes_max == 0)
		s->conf.out_spill_bytes_max = SPILL_DEFAULT;
	s->sh = conf->shared;
	s->limited = s->sh->limit.requests_max || s->sh->limit.large_bytes;
	s->io = *conf->io;
	s->tree = conf->tree;
	s->reader = conf->reader;
	s->visible = tree_visible(conf->reader);
	s->maxbuffer = conf->shared->jute_maxbuffer;
	s->now_ns = s->touch_ns = s->touch_through_ns = now_ns;
	s->sweep_ns = now_ns + SRV_SWEEP_NS;
	s->touch_round = 1;
	s->role = s->sh->quorum ? ROLE_LOOKING : ROLE_ALONE;
	s->role_ns = now_ns;
	s->chunks_max = (conf->conns_max + SRV_CHUNK - 1) / SRV_CHUNK;
	for (unsigned i = 0; i < SRV_METRICS_DETAILED; i++)
		s->metric[i].slot = s->slots[i];
	zk_list_init(&s->run);
	zk_list_init(&s->stalled);
	zk_list_init(&s->parked);
	zk_list_init(&s->gated);
	zk_list_init(&s->doomed);
	zk_list_init(&s->dropping);
	zk_list_init(&s->detach);
	zk_list_init(&s->asks_wait);
	zk_list_init(&s->jobs);
	zk_list_init(&s->jobs_wait);
	s->chunk = zk_mem_alloc(conf->mem, s->chunks_max * sizeof(struct srv_conn *));
	s->touch = zk_mem_alloc(conf->mem, conf->conns_max * sizeof(*s->touch));
	s->scratch = zk_mem_alloc(conf->mem, SRV_SCRATCH_BYTES);
	if (s->chunk)
		memset(s->chunk, 0, s->chunks_max * sizeof(struct srv_conn *));
	if (!s->chunk || !s->touch || !s->scratch || watch_new(&wc, &s->watch) != ZK_EOK) {
		srv_free(s);
		return ZK_ENOMEM;
	}
	*out = s;
	return ZK_EOK;
}

static void slot_empty(struct srv_conn *c)
{
	struct srv *s = c->s;

	read_job_drop(c);
	zk_mem_free(s->conf.mem, c->in.p, c->in.cap);
	zk_mem_free(s->conf.mem, c->out.p, c->out.cap);
	zk_mem_free(s->conf.mem, c->ids, c->ids_n);
	c->in = (struct conn_in){0};
	c->out = (struct conn_out){0};
	c->ids = NULL;
	c->ids_n = 0;
}

void srv_free(struct srv *s)
{
	struct zk_mem *mem = s->conf.mem;

	for (uint32_t i = 0; s->chunk && i < s->slots_used; i++) {
		struct srv_conn *c = srv_slot(s, i);

		if (c->state == CONN_FREE)
			continue;
		if (c->state != CONN_GONE)
			limits_leave(&s->sh->limits, c->addr_hash);
		/* the other cores' limits live on; partner: loads in conn_limit.c */
		atomic_fetch_sub_explicit(&s->sh->limits.in_process, c->waiting,
					  memory_order_relaxed);
		limits_large_done(&s->sh->limits, c->large_bytes);
		slot_empty(c);
	}
	for (uint32_t i = 0; s->chunk && i < s->chunks_max; i++)
		zk_mem_free(mem, s->chunk[i], SRV_CHUNK * sizeof(struct srv_conn));
	for (unsigned i = 0; i < SRV_ASKS_MAX; i++)
		words_ask_free(&s->ask[i]);
	srv_lent_free(s);
	if (s->watch)
		watch_free(s->watch);
	zk_mem_free(mem, s->chunk, s->chunks_max * sizeof(struct srv_conn *));
	zk_mem_free(mem, s->touch, s->conf.conns_max * sizeof(*s->touch));
	zk_mem_free(mem, s->scratch, SRV_SCRATCH_BYTES);
	zk_mem_free(mem, s, sizeof(*s));
}

/* ---- slots ---- */

struct srv_conn *srv_conn_of(struct srv *s, struct msg_conn h)
{
	struct srv_conn *c;

	if (h.index >= s->slots_used)
		return NULL;
	c = srv_slot(s, h.index);
	return c->generation == h.generation && c->state != CONN_FREE && c->state != CONN_GONE
		       ? c
		       : NULL;
}

struct srv_conn *srv_slot_take(struct srv *s)
{
	struct srv_conn *c = s->free;
	uint32_t chunk = s->slots_used / SRV_CHUNK;

	if (c) {
		s->free = c->link.next == &c->link
				  ? NULL
				  : zk_container_of(c->link.next, struct srv_conn, link);
		zk_list_init(&c->link);
		return c;
	}
	if (s->slots_used >= s->conf.conns_max)
		return NULL;
	if (!s->chunk[chunk]) {
		s->chunk[chunk] = zk_mem_alloc(s->conf.mem, SRV_CHUNK * sizeof(struct srv_conn));
		if (!s->chunk[chunk])
			return NULL;
		memset(s->chunk[chunk], 0, SRV_CHUNK * sizeof(struct srv_conn));
	}
	c = srv_slot(s, s->slots_used);
	c->index = s->slots_used++;
	c->generation = 1;
	c->s = s;
	zk_list_init(&c->link);
	return c;
}

void srv_slot_give(struct srv_conn *c)
{
	struct srv *s = c->s;

	slot_empty(c);
	zk_list_del(&c->link);
	c->state = CONN_FREE;
	c->generation++;
	/* the free list runs through link.next; the last one points at itself */
	c->link.next = s->free ? &s->free->link : &c->link;
	s->free = c;
}

/* ---- what TCP reports ---- */

struct srv_conn *srv_open(struct srv *s, void *transport, const char *addr_text, uint16_t port,
			  uint64_t now_ns)
{
	size_t addr_n = strlen(addr_text);
	uint64_t hash = zk_hash13(&s->conf.key, addr_text, addr_n);
	uint8_t ids[AUTH_IDS_BYTES_MAX];
	struct srv_conn *c;
	size_t n;

	s->now_ns = now_ns;
	if (s->draining || addr_n >= SRV_ADDR_BYTES ||
	    limits_enter(&s->sh->limits, hash, s->sh->max_client_cnxns, s->sh->max_cnxns) !=
		    ZK_EOK) {
		s->n.conns_refused++;
		return NULL;
	}
	n = auth_ids_init(ids, addr_text);
	zk_assert(n <= sizeof(ids));
	c = srv_slot_take(s);
	if (c) {
		c->ids = zk_mem_alloc(s->conf.mem, n);
		c->ids_n = c->ids ? (uint16_t)n : 0;
		if (!c->ids) {
			srv_slot_give(c);
			c = NULL;
		}
	}
	if (!c) {
		limits_leave(&s->sh->limits, hash);
		s->n.conns_refused++;
		s->n.memory_refused++;
		return NULL;
	}
	memcpy(c->ids, ids, n);
	*c = (struct srv_conn){.s = s,
			       .t = transport,
			       .index = c->index,
			       .generation = c->generation,
			       .ids = c->ids,
			       .ids_n = c->ids_n,
			       .state = CONN_FIRST,
			       .last_ns = now_ns,
			       .opened_ns = now_ns,
			       .addr_hash = hash,
			       .port = port,
			       .last_cxid = -1,
			       .last_zxid = UINT64_MAX};
	memcpy(c->addr, addr_text, addr_n + 1);
	zk_list_init(&c->link);
	s->conns++;
	return c;
}

void srv_reap(struct srv *s)
{
	while (!zk_list_empty(&s->doomed)) /* bound: connections */
		conn_abort(zk_container_of(s->doomed.next, struct srv_conn, link));
}

/** Nobody reads this connection any more. */
static bool input_discard(struct srv_conn *c)
{
	if (c->state != CONN_ASKING && c->state < CONN_CLOSING && !c->closing)
		return false;
	c->s->io.read_done(c->t, c->s->io.readable(c->t));
	return true;
}

void srv_input(struct srv_conn *c, uint64_t now_ns)
{
	struct srv *s = c->s;

	s->now_ns = now_ns;
	c->last_ns = now_ns;
	if (zk_unlikely(input_discard(c)))
		return;
	if (c->state == CONN_LIVE && c->touch_round != s->touch_round)
		srv_touch(c);
	conn_run(c);
	if (zk_unlikely(!zk_list_empty(&s->doomed)))
		srv_reap(s);
}

void srv_writable(struct srv_conn *c, uint64_t now_ns)
{
	struct srv *s = c->s;

	s->now_ns = now_ns;
	if (c->state >= CONN_DOWN || !out_drain(c))
		return;
	if (c->state == CONN_CLOSING) {
		c->state = CONN_DOWN;
		s->io.shutdown(c->t);
	} else if (c->state == CONN_LIVE) {
		if (c->job)
			read_job_resume(c);
		conn_run(c);
	}
	srv_reap(s);
}

void srv_fin(struct srv_conn *c, uint64_t now_ns)
{
	c->s->now_ns = now_ns;
	if (c->peer_fin || c->state >= CONN_CLOSING)
		return;
	c->peer_fin = true;
	c->s->n.conns_lost += c->state == CONN_LIVE && !c->closing;
	if (c->state == CONN_LIVE || c->state == CONN_FIRST || c->state == CONN_MASK)
		conn_run(c);
	srv_reap(c->s);
}

void srv_gone(struct srv_conn *c, uint64_t now_ns)
{
	struct srv *s = c->s;

	s->now_ns = now_ns;
	zk_assert(c->state != CONN_FREE && c->state != CONN_GONE);
	s->n.conns_lost += c->state == CONN_LIVE && !c->peer_fin;
	conn_forget(c);
	limits_leave(&s->sh->limits, c->addr_hash);
	s->conns--;
	c->t = NULL;
	if (c->detach || c->dropping)
		c->state = CONN_GONE;
	else
		srv_slot_give(c);
}

/* ---- rounds ---- */

/** Give every connection of @p l a turn; those that have to wait again are at its end. */
static unsigned run_list(struct srv *s, struct zk_list *l, bool until_full)
{
	uint64_t full = s->n.ring_full;
	struct zk_list now;
	unsigned work = 0;

	/* a herd that has been told the same thing comes back in one round */
	if (zk_list_empty(l))
		return 0;
	now = *l;
	now.next->prev = now.prev->next = &now;
	zk_list_init(l);
	while (!zk_list_empty(&now)) {
		struct srv_conn *c = zk_container_of(now.next, struct srv_conn, link);

		if (work == SRV_RUN_ROUND || (until_full && s->n.ring_full != full))
			break;
		zk_list_del(&c->link);
		conn_run(c);
		work++;
	}
	if (!zk_list_empty(&now)) { /* the rest goes before those that have had their turn */
		now.prev->next = l->next;
		l->next->prev = now.prev;
		l->next = now.next;
		now.next->prev = l;
	}
	return work;
}

unsigned srv_begin(struct srv *s, uint64_t now_ns)
{
	unsigned work;

	s->now_ns = now_ns;
	s->more = false;
	s->heard = false;
	if (s->roll)
		s->roll_rounds++;
	work = fire_round(s);
	work += srv_consume(s);
	srv_reap(s);
	work += read_jobs(s);
	work += run_list(s, &s->stalled, true);
	work += run_list(s, &s->run, false);
	if (zk_unlikely(s->parked_n))
		work += limit_unpark(s);
	srv_reap(s);
	return work;
}

/** The limit of silence, in Apache's buckets of sessionless_timeout_ms: the sweep's own period adds
 * the rest of the last bucket (spec section 2, "Timeouts seen by the client"). */
uint64_t srv_idle_limit_ns(const struct srv_conn *c)
{
	uint64_t ms = c->s->sh->sessionless_timeout_ms ? c->s->sh->sessionless_timeout_ms : 10000;

	if (c->state == CONN_LIVE && (uint64_t)c->timeout_ms > ms)
		ms = (uint64_t)c->timeout_ms;
	return ms * 1000000;
}

/** Close what has been silent too long: one slice of the slots per tick, all of them in a bucket's
 * time. */
static unsigned idle_sweep(struct srv *s)
{
	uint32_t per, first, last;
	unsigned work = 0;

	if (s->now_ns < s->sweep_ns)
		return 0;
	s->sweep_ns = s->now_ns + SRV_SWEEP_NS;
	per = (s->slots_used + SRV_SWEEP_PARTS - 1) / SRV_SWEEP_PARTS;
	first = s->sweep_part * per;
	last = first + per < s->slots_used ? first + per : s->slots_used;
	for (uint32_t i = first; i < last; i++) {
		struct srv_conn *c = srv_slot(s, i);

		if (c->state == CONN_FREE || c->state >= CONN_DOWN ||
		    s->now_ns - c->last_ns <= srv_idle_limit_ns(c))
			continue;
		s->n.conns_idle++;
		work++;
		if (c->state == CONN_CLOSING || c->out.n)
			conn_abort(c); /* does not read what it is owed */
		else
			conn_finish(c);
	}
	s->sweep_part = (s->sweep_part + 1) % SRV_SWEEP_PARTS;
	return work;
}

unsigned srv_end(struct srv *s, uint64_t now_ns)
{
	struct watch_counts wc;
	unsigned work;

	s->now_ns = now_ns;
	work = srv_drop_some(s);
	if (zk_unlikely(s->parting))
		work += srv_part_some(s);
	work += srv_detach_retry(s);
	work += words_round(s);
	work += idle_sweep(s);
	srv_reap(s);
	work += srv_touch_flush(s);
	work += srv_roll_answer(s);
	zk_ring_publish(s->conf.to_leader);
	watch_counts(s->watch, &wc);
	s->n.conns = s->conns;
	s->n.watch_data = wc.data;
	s->n.watch_child = wc.child;
	s->n.watch_paths = wc.paths;
	s->n.memory_bytes = s->conf.mem->used_bytes;
	s->n.memory_limit_bytes = s->conf.mem->limit_bytes;
	stats_publish(&s->stats, &s->n);
	return work;
}

void srv_heard(struct srv *s)
{
	s->heard = true;
}

void srv_late(struct srv *s, uint64_t late_ns, uint64_t now_ns)
{
	uint64_t hold = late_ns < SRV_SWEEP_HOLD_NS ? late_ns : SRV_SWEEP_HOLD_NS;

	s->now_ns = now_ns;
	if (s->sweep_ns < now_ns + hold)
		s->sweep_ns = now_ns + hold;
	if (s->hold_until_ns < now_ns + hold)
		s->hold_until_ns = now_ns + hold;
}

uint64_t srv_next_ns(const struct srv *s)
{
	uint64_t next = UINT64_MAX;

	if (s->more || s->fires.n || !zk_list_empty(&s->dropping) || !zk_list_empty(&s->run) ||
	    !zk_list_empty(&s->stalled) || !zk_list_empty(&s->detach) || !zk_list_empty(&s->jobs) ||
	    s->gathers || s->roll || s->parting)
		return s->now_ns;
	if (s->conns)
		next = s->sweep_ns;
	if (!zk_list_empty(&s->jobs_wait) && s->jobs_look_ns < next)
		next = s->jobs_look_ns;
	if (s->parked_n && limit_next_ns(s) < next)
		next = limit_next_ns(s);
	if (s->touch_n && s->touch_ns + SRV_TOUCH_NS < next)
		next = s->touch_ns + SRV_TOUCH_NS;
	return next;
}

/* ---- drain, figures ---- */

void srv_drain(struct srv *s, uint64_t now_ns)
{
	s->now_ns = now_ns;
	s->draining = true;
	for (uint32_t i = 0; i < s->slots_used; i++) {
		struct srv_conn *c = srv_slot(s, i);

		if (c->state == CONN_FREE || c->state >= CONN_CLOSING)
			continue;
		if (c->waiting || c->out.n || c->job || c->state == CONN_ASKING)
			continue; /* owes something: conn_run() ends it when that has left */
		conn_finish(c);
	}
}

bool srv_drained(const struct srv *s)
{
	if (!s->draining || !zk_list_empty(&s->detach) || !zk_list_empty(&s->dropping))
		return false;
	for (uint32_t i = 0; i < s->slots_used; i++) {
		const struct srv_conn *c = &s->chunk[i / SRV_CHUNK][i % SRV_CHUNK];

		if (c->state != CONN_FREE && c->state != CONN_DOWN)
			return false;
	}
	return true;
}

const struct srv_stats *srv_stats_of(const struct srv *s)
{
	return &s->stats;
}

void srv_totals(const struct srv_shared *shared, struct srv_counts *out)
{
	memset(out, 0, sizeof(*out));
	for (unsigned i = 0; i < shared->cores && i < MSG_CORES_MAX; i++)
		if (shared->srv[i])
			stats_add(out, &shared->srv[i]->stats);
}
