/* SPDX-License-Identifier: Apache-2.0 */
#include "test/sim/ensemble_int.h"

#include "core/base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

_Noreturn void ens_impossible(const char *what)
{
	fprintf(stderr, "ensemble: %s\n", what);
	abort();
}

uint64_t ens_draw(struct ens *e, uint64_t n)
{
	e->rng ^= e->rng << 13;
	e->rng ^= e->rng >> 7;
	e->rng ^= e->rng << 17;
	return e->rng % n;
}

bool ens_chance(struct ens *e, unsigned per_thousand)
{
	return ens_draw(e, 1000) < per_thousand;
}

void ens_broken(struct ens *e, unsigned server, const char *what, uint64_t zxid)
{
	if (e->failed)
		return;
	e->failed = true;
	snprintf(e->why, sizeof(e->why), "%.3f s, server %u: %s (zxid %" PRIx64 ")",
		 (double)e->now_ns / 1e9, server + 1, what, zxid);
}

/* ---- the checker ---- */

static bool on_disk(const struct ens_disk *d, const struct ens_txn *t, uint32_t at)
{
	return at < d->synced && d->log[at].zxid == t->zxid && d->log[at].id == t->id;
}

/* The @p at-th transaction is committed: a quorum has it on disk at this moment. */
static void check_durable(struct ens *e, unsigned who, const struct ens_txn *t, uint32_t at)
{
	uint64_t set = 0;

	for (unsigned i = 0; i < e->n; i++)
		if (on_disk(&e->server[i].disk, t, at))
			set |= UINT64_C(1) << i;
	if (!zab_members_quorum(&e->members, set))
		ens_broken(e, who, "committed and not on the disks of a quorum", t->zxid);
}

/* A server that serves has applied its @p at-th transaction. */
static void check_applied(struct ens *e, unsigned who, uint32_t at)
{
	const struct ens_server *s = &e->server[who];
	const struct ens_txn *t = &s->disk.log[at];

	if (at < e->order_n) {
		if (e->order[at].zxid != t->zxid || e->order[at].id != t->id)
			ens_broken(e, who, "another history than the one that was committed",
				   t->zxid);
		return;
	}
	if (s->z.role != ZAB_LEADING)
		ens_broken(e, who, "a follower is ahead of every leader", t->zxid);
	check_durable(e, who, t, at);
	e->order[e->order_n++] = *t;
	e->commits++;
}

/* What was committed before epoch @p epoch. A leader that was stopped hears late that it leads;
 * it cannot have what a later one has committed meanwhile. */
static uint32_t committed_before(const struct ens *e, uint64_t epoch)
{
	uint32_t n = e->order_n;

	while (n > 0 && e->order[n - 1].zxid >> 32 >= epoch)
		n--;
	return n;
}

static void check_serve(struct ens *e, unsigned who, uint64_t epoch)
{
	const struct ens_server *s = &e->server[who];

	if (s->z.role == ZAB_LEADING) {
		e->leaders++;
		if (epoch >= 1024 || e->epoch_leader[epoch])
			ens_broken(e, who, "a second leader of one epoch", epoch);
		else
			e->epoch_leader[epoch] = (int64_t)who + 1;
		if (s->applied < committed_before(e, epoch))
			ens_broken(e, who, "leads without a committed transaction",
				   e->order[s->applied].zxid);
	}
	for (uint32_t i = 0; i < s->applied; i++)
		check_applied(e, who, i);
}

/* Once the ACKs of NEWLEADER that have reached a leader make a quorum with itself, it leads. */
static void check_leads(struct ens *e, unsigned who)
{
	const struct ens_server *s = &e->server[who];
	uint64_t set = UINT64_C(1) << who, newleader = s->z.epoch << 32;

	if (!s->up || s->z.role != ZAB_LEADING || s->serving)
		return;
	for (unsigned i = 0; (i = ens_conn_next(e, i)) < ENS_CONNS_MAX; i++) {
		const struct ens_conn *c = &e->conn[i];

		if (c->up[1] && c->end[1] == who && c->newleader == newleader)
			set |= UINT64_C(1) << c->end[0];
	}
	if (zab_members_quorum(&e->members, set))
		ens_broken(e, who, "does not lead though a quorum has acknowledged it", newleader);
}

/* ---- events to come ---- */

static struct ens_event *later(struct ens *e, enum ens_event_kind kind, unsigned server,
			       uint64_t due_ns)
{
	for (uint32_t i = 0; i < ENS_EVENTS_MAX; i++) {
		if (e->event[i].used)
			continue;
		e->event[i] = (struct ens_event){.used = true,
						 .kind = kind,
						 .due_ns = due_ns,
						 .server = server,
						 .generation = e->server[server].generation};
		if (i >= e->events_end)
			e->events_end = i + 1;
		return &e->event[i];
	}
	ens_impossible("too many events");
}

static uint64_t disk_ns(struct ens *e, unsigned who)
{
	return e->now_ns + (e->server[who].slow ? 50 + ens_draw(e, 200) : 1 + ens_draw(e, 8)) * ms;
}

/* ---- connections ---- */

void ens_drop_items(struct ens_conn *c, int to)
{
	while (c->head[to] != c->tail[to]) {
		struct ens_item *it = &c->item[to][c->head[to]++ % ENS_QUEUE_MAX];

		free(it->bytes);
		free(it->tree);
	}
}

static void end_closed(struct ens *e, struct ens_conn *c, int end, bool tell)
{
	int other = !end;

	c->up[end] = false;
	ens_drop_items(c, end);
	if (!c->up[other]) {
		ens_drop_items(c, other);
		c->used = false;
		e->conn_used &= ~(UINT64_C(1) << (c - e->conn));
	} else if (tell && !c->silent && !c->down_ns[other]) {
		c->down_ns[other] = e->now_ns + (1 + ens_draw(e, 10)) * ms;
	}
}

static struct ens_conn *conn_of(struct ens *e, unsigned who, uint32_t link, int *end)
{
	for (unsigned i = 0; (i = ens_conn_next(e, i)) < ENS_CONNS_MAX; i++)
		for (int k = 0; k < 2; k++)
			if (e->conn[i].up[k] && e->conn[i].end[k] == who &&
			    e->conn[i].link[k] == link) {
				*end = k;
				return &e->conn[i];
			}
	return NULL;
}

static struct ens_item *put_item(struct ens *e, struct ens_conn *c, int to)
{
	uint64_t due = e->now_ns + (1 + ens_draw(e, 5)) * ms;
	struct ens_item *it;

	/* the window of the connection: zab.room keeps it from filling up */
	zk_assert(c->tail[to] - c->head[to] < ENS_QUEUE_MAX);
	if (due < c->last_ns[to])
		due = c->last_ns[to];
	c->last_ns[to] = due;
	it = &c->item[to][c->tail[to]++ % ENS_QUEUE_MAX];
	*it = (struct ens_item){.due_ns = due};
	return it;
}

static void transmit(struct ens *e, struct ens_conn *c, int to, const struct zab_packet *p)
{
	struct ens_item *it;

	if (c->up[to] && e->cut[c->end[!to]][c->end[to]])
		c->silent = true; /* a stream that has lost something delivers nothing any more */
	if (!c->up[to] || c->silent)
		return; /* the ends find out by themselves */
	it = put_item(e, c, to);
	it->packet = *p;
	it->packet.auth = (struct zk_span){NULL, 0};
	if (p->data.p) {
		it->bytes = malloc(p->data.n + 1);
		memcpy(it->bytes, p->data.p, p->data.n);
		it->packet.data.p = it->bytes;
	}
}

/* ---- carrying effects out ---- */

static void run_effects(struct ens *e, unsigned who);

void ens_crash(struct ens *e, unsigned who)
{
	struct ens_server *s = &e->server[who];
	uint32_t survive = s->disk.synced;

	if (!s->up)
		return;
	e->crashes++;
	if (s->disk.n > survive) /* some of it may have reached the disk all the same */
		survive += (uint32_t)ens_draw(e, s->disk.n - survive + 1);
	s->disk.n = s->disk.synced = survive;
	s->up = s->serving = false;
	s->generation++;
	s->restart_ns = e->now_ns + (100 + ens_draw(e, 3000)) * ms;
	zab_fini(&s->z);
	for (unsigned i = 0; (i = ens_conn_next(e, i)) < ENS_CONNS_MAX; i++)
		for (int k = 0; k < 2; k++)
			if (e->conn[i].used && e->conn[i].up[k] && e->conn[i].end[k] == who) {
				/* a stack that dies with its process says nothing */
				e->conn[i].silent = e->conn[i].silent || ens_chance(e, 500);
				end_closed(e, &e->conn[i], k, true);
			}
}

static void start_sync(struct ens *e, unsigned who)
{
	struct ens_server *s = &e->server[who];

	if (s->sync_ns || s->disk.synced == s->disk.n)
		return;
	s->sync_n = s->disk.n;
	s->sync_ns = disk_ns(e, who);
}

static void do_log(struct ens *e, unsigned who, const struct zab_packet *p)
{
	struct ens_server *s = &e->server[who];

	zk_assert(s->disk.n < ENS_TXNS_MAX && p->data.n == TXN_BYTES);
	s->disk.log[s->disk.n].zxid = p->zxid;
	memcpy(&s->disk.log[s->disk.n].id, p->data.p, sizeof(uint64_t));
	s->disk.n++;
	s->diffed++;
	start_sync(e, who);
}

static void do_commit(struct ens *e, unsigned who, uint64_t zxid)
{
	struct ens_server *s = &e->server[who];

	while (s->applied < s->disk.n && s->disk.log[s->applied].zxid <= zxid) {
		if (s->serving)
			check_applied(e, who, s->applied);
		s->applied++;
	}
}

static void do_snap_send(struct ens *e, unsigned who, uint32_t link)
{
	struct ens_server *s = &e->server[who];
	uint64_t zxid = s->applied ? s->disk.log[s->applied - 1].zxid : 0;
	int end;
	struct ens_conn *c = conn_of(e, who, link, &end);
	struct ens_item *it;

	if (!c)
		return;
	transmit(e, c, !end, &(struct zab_packet){.type = ZAB_SNAP, .zxid = zxid});
	if (c->up[!end] && !c->silent) {
		it = put_item(e, c, !end);
		it->tree = malloc((s->applied + 1) * sizeof(*it->tree));
		memcpy(it->tree, s->disk.log, s->applied * sizeof(*it->tree));
		it->tree_n = s->applied;
	}
	zab_snap_sent(&s->z, link, zxid, e->now_ns);
}

/* An election connection holds its last message, and says it again when it is opened anew. */
static void notify(struct ens *e, unsigned who, unsigned to)
{
	struct ens_event *v;

	if (e->cut[who][to] || (e->now_ns < e->faults_end_ns && ens_chance(e, 100)))
		return;
	v = later(e, ENS_NOTIFY, to, e->now_ns + (1 + ens_draw(e, 10)) * ms);
	v->sid = (int64_t)who + 1;
	v->note = e->server[who].told[to];
	zab_delivered(&e->server[who].z);
}

/* For naive rules that matter only when the leader ends next, which chance brings too rarely. */
static void crash_leader(struct ens *e)
{
	for (unsigned i = 0; i < e->n && e->now_ns < e->faults_end_ns; i++)
		if (e->server[i].up && e->server[i].z.role == ZAB_LEADING)
			ens_crash(e, i);
}

/* ENS_HISTORY_HOLE: leave out what has been committed of the DIFF. */
static void forget_diff(struct ens *e, unsigned who)
{
	struct ens_server *s = &e->server[who];
	struct history *h = &s->z.history;
	uint64_t from = h->tail - h->head > s->diffed ? h->tail - s->diffed : h->head;
	uint64_t gone = h->open > from ? h->open - from : 0;

	for (uint64_t i = from; gone && i + gone < h->tail; i++)
		h->entry[i % h->entry_max] = h->entry[(i + gone) % h->entry_max];
	h->open -= gone;
	h->tail -= gone;
	h->byte_head = h->head == h->tail ? h->byte_tail : h->entry[h->head % h->entry_max].at;
	if (gone)
		crash_leader(e);
}

/* ENS_EARLY_ACKS: the last few transactions of the DIFF, in front of the ACK of NEWLEADER, before
 * which they are on disk. */
static void acknowledge_diff(struct ens *e, unsigned who, struct ens_conn *c,
			     const struct zab_packet *p)
{
	enum { FEW = 16 };
	const struct ens_server *s = &e->server[who];
	uint32_t n = s->diffed < FEW ? s->diffed : FEW;

	if (p->type != ZAB_ACK || c->acked || c->end[0] != who)
		return;
	c->acked = true;
	if (e->naive != ENS_EARLY_ACKS && e->naive != ENS_FIRST_ACK)
		return;
	for (uint32_t i = s->disk.n - (n < s->disk.n ? n : s->disk.n); i < s->disk.n; i++) {
		if (s->disk.log[i].zxid > p->zxid)
			break;
		transmit(e, c, 1,
			 &(struct zab_packet){.type = ZAB_ACK, .zxid = s->disk.log[i].zxid});
		e->early_acks++;
	}
}

static void carry_out(struct ens *e, unsigned who, const struct zab_effect *f)
{
	struct ens_server *s = &e->server[who];
	struct ens_event *v;
	struct ens_conn *c;
	int end;

	switch (f->kind) {
	case ZAB_DO_NOTIFY:
		s->told[f->sid - 1] = f->note;
		s->told[f->sid - 1].config = (struct zk_span){NULL, 0};
		s->has_told[f->sid - 1] = true;
		notify(e, who, (unsigned)f->sid - 1);
		break;
	case ZAB_DO_CONNECT_ALL:
		for (unsigned i = 0; i < e->n; i++)
			if (s->has_told[i])
				notify(e, who, i);
		break;
	case ZAB_DO_DIAL:
		s->dialling = f->sid;
		later(e, ENS_DIAL, who, e->now_ns + (1 + ens_draw(e, 10)) * ms)->sid = f->sid;
		break;
	case ZAB_DO_CLOSE:
		c = conn_of(e, who, f->link, &end);
		if (c)
			end_closed(e, c, end, true);
		break;
	case ZAB_DO_SEND:
		c = conn_of(e, who, f->link, &end);
		if (c) {
			acknowledge_diff(e, who, c, &f->packet);
			transmit(e, c, !end, &f->packet);
		}
		break;
	case ZAB_DO_WRITE_EPOCH:
		v = later(e, ENS_EPOCH, who, disk_ns(e, who));
		v->file = f->file;
		v->epoch = f->epoch;
		break;
	case ZAB_DO_LOG:
		do_log(e, who, &f->packet);
		break;
	case ZAB_DO_COMMIT:
		do_commit(e, who, f->zxid);
		break;
	case ZAB_DO_TRUNCATE:
		later(e, ENS_TRUNCATED, who, disk_ns(e, who))->zxid = f->zxid;
		break;
	case ZAB_DO_SNAP_LOAD:
		s->loading = true;
		s->load_zxid = f->zxid;
		break;
	case ZAB_DO_LOOK:
		s->serving = false;
		s->loading = false;
		s->diffed = 0;
		break;
	case ZAB_DO_SERVE:
		check_serve(e, who, f->epoch);
		if (e->naive == ENS_HISTORY_HOLE && s->z.role == ZAB_FOLLOWING)
			forget_diff(e, who);
		s->serving = true;
		break;
	case ZAB_DO_FILE_SEND:
		c = conn_of(e, who, f->link, &end);
		if (c) { /* open files stay readable, whatever is purged later */
			c->feed_gap = s->disk.purged > f->zxid;
			c->feed_at = 1;
			c->feed_bound = f->bound;
		}
		break;
	case ZAB_DO_DELIVER:
	case ZAB_DO_SNAP_SEND:
		break; /* run_effects() */
	}
}

/* One event's effects. What answers at once is called after all of them. */
static void run_effects(struct ens *e, unsigned who)
{
	struct ens_server *s = &e->server[who];
	uint32_t snaps[ZAB_LINKS_MAX], n = 0;
	uint64_t pong_zxid = 0;
	bool pong = false;
	struct zab_effect f;

	for (;;) {
		n = 0;
		pong = false;
		while (s->up && zab_effect_next(&s->z, &f)) {
			if (f.kind == ZAB_DO_SNAP_SEND && n < ZAB_LINKS_MAX)
				snaps[n++] = f.link;
			if (f.kind == ZAB_DO_DELIVER && f.packet.type == ZAB_PING &&
			    s->z.role != ZAB_LEADING) {
				pong = true;
				pong_zxid = f.packet.zxid;
			}
			carry_out(e, who, &f);
			if (e->now_ns < e->faults_end_ns && ens_chance(e, 1) && ens_chance(e, 300))
				ens_crash(e, who);
		}
		if (!s->up || (!n && !pong))
			break;
		for (uint32_t i = 0; i < n; i++) {
			do_snap_send(e, who, snaps[i]);
			while (s->up && zab_effect_next(&s->z, &f))
				carry_out(e, who, &f);
		}
		if (pong) {
			static const uint8_t empty;
			enum zk_err err = zab_forward(
				&s->z, &(struct zab_packet){.type = ZAB_PING,
							    .zxid = pong_zxid,
							    .data = zk_span_of(&empty, 0)});

			(void)err; /* no room: the next one is answered */
		}
	}
}

/* ENS_EPOCH_FIRST: and the power fails before the transactions are on disk. */
static void epoch_first(struct ens *e, unsigned who)
{
	struct ens_server *s = &e->server[who];

	if (s->disk.current == s->disk.accepted)
		return;
	s->disk.current = s->disk.accepted;
	if (s->disk.n == s->disk.synced || e->now_ns >= e->faults_end_ns)
		return;
	crash_leader(e);
	ens_crash(e, who);
}

/* Naive rules are broken by whoever carries the effects out, the product knows nothing of them. */
static void after_effects(struct ens *e, unsigned who)
{
	struct ens_server *s = &e->server[who];
	bool hardens = s->up && s->z.role == ZAB_FOLLOWING && s->z.phase == ZAB_PHASE_HARDEN;
	bool early =
		e->naive == ENS_ACK_BEFORE_SYNC || (e->naive == ENS_NEWLEADER_EARLY && hardens);

	if (e->naive == ENS_EPOCH_FIRST && hardens)
		epoch_first(e, who);
	if (s->up && early && s->disk.n && s->z.durable < s->disk.log[s->disk.n - 1].zxid &&
	    !(s->z.busy & (ZAB_BUSY_TRUNCATE | ZAB_BUSY_SNAP))) {
		zab_durable(&s->z, s->disk.log[s->disk.n - 1].zxid, e->now_ns);
		run_effects(e, who);
	}
}

void ens_settle(struct ens *e, unsigned who)
{
	run_effects(e, who);
	after_effects(e, who);
}

/* ---- what happens at its time ---- */

/* Election connections come and go with what they could carry. */
struct ens_side {
	struct ens *e;
	unsigned who;
};

static bool absent(void *ctx, int64_t sid)
{
	const struct ens_side *side = ctx;
	unsigned to = (unsigned)sid - 1;

	return !side->e->server[to].up || side->e->cut[to][side->who];
}

bool ens_paused(const struct ens *e, unsigned who)
{
	return e->server[who].pause_ns > e->now_ns;
}

/* Recovery replays from some snapshot on. */
static void replay(struct ens *e, unsigned who, const struct zab_conf *c, struct history *h)
{
	struct ens_server *s = &e->server[who];
	uint32_t at = s->disk.n ? (uint32_t)ens_draw(e, s->disk.n) : 0;
	uint8_t txn[TXN_BYTES] = {0};

	if (history_init(h, &s->mem, c->history_entries, c->history_bytes, 0) != ZK_EOK)
		ens_impossible("no memory");
	for (; at < s->disk.n; at++) {
		memcpy(txn, &s->disk.log[at].id, sizeof(uint64_t));
		if (s->disk.log[at].zxid > s->disk.purged)
			history_replay(h, s->disk.log[at].zxid, zk_span_of(txn, TXN_BYTES),
				       e->now_ns);
	}
}

void ens_boot(struct ens *e, unsigned who)
{
	static struct ens_side side[ENS_SERVERS_MAX];
	struct ens_server *s = &e->server[who];
	struct history replayed;
	struct zab_conf c = {.sid = (int64_t)who + 1,
			     .observer = who >= e->voters,
			     .now = &e->members,
			     .mem = &s->mem,
			     .tick_ms = TICK_MS,
			     .init_limit = INIT_LIMIT,
			     .sync_limit = SYNC_LIMIT,
			     .settle_ms = 100,
			     .settle_fast_ms = who % 2 ? 20 : 0,
			     .absent = absent,
			     .absent_ctx = &side[who],
			     .heartbeat_ms = s->beats ? 40 : 0,
			     .inform_us = s->beats ? 2000 : 0,
			     .heartbeat_timeout_ms = 250,
			     .history_entries = e->small_history ? 16 : 32,
			     .history_bytes = (e->small_history ? 12 : 32) * TXN_BYTES + 60,
			     .data_max = 2 * TXN_BYTES};
	struct zab_disk d = {.last_zxid = s->disk.n ? s->disk.log[s->disk.n - 1].zxid : 0,
			     .accepted_epoch = s->disk.accepted,
			     .current_epoch = s->disk.current,
			     .replayed = &replayed};

	side[who] = (struct ens_side){e, who};
	s->up = true;
	s->serving = s->loading = false;
	s->sync_ns = 0;
	memset(s->has_told, 0, sizeof(s->has_told));
	s->applied = s->disk.n; /* recovery replays all that is there */
	zk_mem_init_heap(&s->mem, 0);
	replay(e, who, &c, &replayed);
	if (zab_init(&s->z, &c, &d, e->now_ns) != ZK_EOK)
		ens_impossible("no memory");
	ens_settle(e, who);
}

static void on_dial(struct ens *e, unsigned who, int64_t sid)
{
	unsigned to = (unsigned)sid - 1;
	struct ens_server *s = &e->server[who], *l = &e->server[to];
	uint32_t link = 0;
	int end;

	if (s->z.phase != ZAB_PHASE_DIALLING)
		return;
	if (l->up && ens_paused(e, to)) { /* nobody accepts */
		later(e, ENS_DIAL, who, e->now_ns + 20 * ms)->sid = sid;
		return;
	}
	/* a port that is open all the time */
	if (l->up && l->z.role != ZAB_LEADING && ens_chance(e, 500)) {
		if (zab_link_up(&s->z, ZAB_LINK_LEADER, e->now_ns))
			ens_settle(e, who);
		if (!s->up)
			return;
	}
	while (link < ZAB_LINKS_MAX && conn_of(e, to, link, &end))
		link++;
	if (l->up && !e->cut[who][to] && !e->cut[to][who] && l->z.role == ZAB_LEADING &&
	    link < ZAB_LINKS_MAX) {
		for (unsigned i = 0; i < ENS_CONNS_MAX; i++) {
			struct ens_conn *c = &e->conn[i];

			if (c->used)
				continue;
			e->conn_used |= UINT64_C(1) << i;
			*c = (struct ens_conn){.used = true,
					       .end = {who, to},
					       .link = {ZAB_LINK_LEADER, link},
					       .up = {true, true}};
			if (!zab_link_up(&l->z, link, e->now_ns))
				ens_impossible("a leader takes every learner");
			ens_settle(e, to);
			if (zab_link_up(&s->z, ZAB_LINK_LEADER, e->now_ns))
				ens_settle(e, who);
			return;
		}
		ens_impossible("too many connections");
	}
	zab_link_down(&s->z, ZAB_LINK_LEADER, e->now_ns);
	ens_settle(e, who);
}

void ens_on_event(struct ens *e, struct ens_event *v)
{
	struct ens_event ev = *v;
	unsigned who = ev.server;
	struct ens_server *s = &e->server[who];

	if (s->up && ens_paused(e, who))
		return;
	v->used = false;
	if (!s->up || (ev.kind != ENS_NOTIFY && ev.generation != s->generation))
		return;
	switch (ev.kind) {
	case ENS_NOTIFY:
		zab_notified(&s->z, ev.sid, &ev.note, e->now_ns);
		break;
	case ENS_DIAL:
		on_dial(e, who, ev.sid);
		return;
	case ENS_EPOCH:
		if (e->naive != ENS_EPOCH_NOT_WRITTEN) {
			if (ev.file == ZAB_ACCEPTED_EPOCH)
				s->disk.accepted = ev.epoch;
			else
				s->disk.current = ev.epoch;
		}
		zab_epoch_written(&s->z, ev.file, e->now_ns);
		break;
	case ENS_TRUNCATED:
		while (s->disk.n && s->disk.log[s->disk.n - 1].zxid > ev.zxid)
			s->disk.n--;
		if (s->disk.synced > s->disk.n)
			s->disk.synced = s->disk.n;
		s->applied = s->disk.n;
		s->sync_ns = 0;
		ev.epoch = s->disk.n ? s->disk.log[s->disk.n - 1].zxid : 0;
		zab_truncated(&s->z, ev.epoch, ev.zxid == UINT64_MAX || ev.epoch == ev.zxid,
			      e->now_ns);
		break;
	case ENS_SNAP_LOADED:
		zab_snap_loaded(&s->z, ev.zxid, e->now_ns);
		break;
	}
	ens_settle(e, who);
}

void ens_tell_applied(struct ens *e, unsigned who)
{
	struct ens_server *s = &e->server[who];

	s->keep_ns = e->now_ns + (1 + ens_draw(e, s->slow ? 200 : 20)) * ms;
	if (s->applied)
		zab_keep(&s->z, s->disk.log[s->applied - 1].zxid);
}

void ens_on_synced(struct ens *e, unsigned who)
{
	struct ens_server *s = &e->server[who];

	s->sync_ns = 0;
	if (s->sync_n > s->disk.n)
		s->sync_n = s->disk.n;
	if (s->sync_n > s->disk.synced)
		s->disk.synced = s->sync_n;
	start_sync(e, who);
	if (s->disk.synced && !(s->z.busy & (ZAB_BUSY_TRUNCATE | ZAB_BUSY_SNAP))) {
		zab_durable(&s->z, s->disk.log[s->disk.synced - 1].zxid, e->now_ns);
		ens_settle(e, who);
	}
}

/* The tree that follows a SNAP, once the learner loads: in place of everything, and on its disk. */
static void take_tree(struct ens *e, unsigned who, struct ens_item *it)
{
	struct ens_server *s = &e->server[who];

	memcpy(s->disk.log, it->tree, it->tree_n * sizeof(*it->tree));
	s->disk.n = s->disk.synced = s->applied = it->tree_n;
	s->disk.purged = s->load_zxid;
	s->sync_ns = 0;
	s->loading = false;
	later(e, ENS_SNAP_LOADED, who, disk_ns(e, who))->zxid = s->load_zxid;
}

/* A packet reaches a leader. @return false: ENS_FIRST_ACK, and it takes it for something else. */
static bool leader_hears(const struct ens *e, struct ens_conn *c, const struct zab_packet *p)
{
	bool newleader = p->type == ZAB_ACK && !(p->zxid & UINT32_MAX);

	if (newleader && !c->newleader)
		c->newleader = p->zxid;
	c->early_ack = c->early_ack || (p->type == ZAB_ACK && !c->newleader);
	return e->naive != ENS_FIRST_ACK || !newleader || !c->early_ack ||
	       e->server[c->end[1]].serving;
}

/* Deliver the first item to this end if it is due and wanted. @return false: not now. */
static bool deliver(struct ens *e, struct ens_conn *c, int to)
{
	unsigned who = c->end[to];
	struct ens_server *s = &e->server[who];
	struct ens_item *it = &c->item[to][c->head[to] % ENS_QUEUE_MAX], item;

	if (c->head[to] == c->tail[to] || it->due_ns > e->now_ns || !c->up[to] ||
	    ens_paused(e, who))
		return false;
	if (it->tree ? !s->loading : !zab_link_reads(&s->z, c->link[to]))
		return false;
	item = *it;
	c->head[to]++;
	if (item.tree) {
		take_tree(e, who, &item);
	} else if (to == 0 || leader_hears(e, c, &item.packet)) {
		zab_packet(&s->z, c->link[to], &item.packet, e->now_ns);
		ens_settle(e, who);
	}
	check_leads(e, who);
	free(item.bytes);
	free(item.tree);
	return true;
}

/* How much the connection takes from this end. */
static void tell_room(struct ens *e, struct ens_conn *c, int end)
{
	enum { WINDOW = 20 * TXN_BYTES };
	unsigned who = c->end[end];
	struct ens_server *s = &e->server[who];
	uint32_t waits = c->tail[!end] - c->head[!end];
	size_t room = waits < ENS_QUEUE_MAX / 8 ? WINDOW : 0, known;

	if (!c->up[end] || !s->up || ens_paused(e, who))
		return;
	known = s->z.link[c->link[end]].room;
	if (known > WINDOW || (room && !known)) {
		zab_link_room(&s->z, c->link[end], room, e->now_ns);
		ens_settle(e, who);
	}
}

/* The leader's end: more of its files. */
static void feed(struct ens *e, struct ens_conn *c)
{
	unsigned who = c->end[1];
	struct ens_server *s = &e->server[who];
	uint8_t txn[TXN_BYTES] = {0};

	if (!c->up[1] || !s->up || ens_paused(e, who))
		return;
	for (unsigned burst = 0; c->used && c->up[1] && s->up && c->feed_at && burst < 8; burst++) {
		uint32_t at = (uint32_t)c->feed_at - 1;
		const struct ens_txn *t = &s->disk.log[at];

		if (c->feed_gap) {
			c->feed_at = 0;
			zab_file_end(&s->z, c->link[1], false, e->now_ns);
		} else if (at < s->applied && t->zxid <= c->feed_bound) {
			memcpy(txn, &t->id, sizeof(t->id));
			if (!zab_file_txn(&s->z, c->link[1], t->zxid, zk_span_of(txn, TXN_BYTES),
					  e->now_ns)) {
				ens_settle(e, who);
				break;
			}
			c->feed_at++;
		} else {
			c->feed_at = 0;
			zab_file_end(&s->z, c->link[1], true, e->now_ns);
		}
		ens_settle(e, who);
	}
}

void ens_serve_conn(struct ens *e, struct ens_conn *c)
{
	for (int k = 0; k < 2 && c->used; k++) {
		unsigned who = c->end[k];

		for (unsigned i = 0; i < 16 && c->used && deliver(e, c, k); i++)
			;
		if (c->used && c->up[k] && !ens_paused(e, who) && c->down_ns[k] &&
		    e->now_ns >= c->down_ns[k] && c->head[k] == c->tail[k]) {
			uint32_t link = c->link[k];

			end_closed(e, c, k, false);
			zab_link_down(&e->server[who].z, link, e->now_ns);
			ens_settle(e, who);
		}
	}
	for (int k = 0; k < 2 && c->used; k++)
		tell_room(e, c, k);
	if (c->used)
		feed(e, c);
}
