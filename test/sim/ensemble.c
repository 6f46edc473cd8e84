/* SPDX-License-Identifier: Apache-2.0 */
#include "test/sim/ensemble.h"

#include "core/base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const uint64_t ms = 1000000;

enum {
	TICK_MS = 200,
	INIT_LIMIT = 10,
	SYNC_LIMIT = 5,
	FAULTS_MS = 15000,
	CALM_MS = 30000,
	TXN_BYTES = 64
};

/* The world itself is wrong, not what it tests. */
static _Noreturn void impossible(const char *what)
{
	fprintf(stderr, "ensemble: %s\n", what);
	abort();
}

static uint64_t draw(struct ens *e, uint64_t n)
{
	e->rng ^= e->rng << 13;
	e->rng ^= e->rng >> 7;
	e->rng ^= e->rng << 17;
	return e->rng % n;
}

static bool chance(struct ens *e, unsigned per_thousand)
{
	return draw(e, 1000) < per_thousand;
}

static void broken(struct ens *e, unsigned server, const char *what, uint64_t zxid)
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
		broken(e, who, "committed and not on the disks of a quorum", t->zxid);
}

/* A server that serves has applied its @p at-th transaction. */
static void check_applied(struct ens *e, unsigned who, uint32_t at)
{
	const struct ens_server *s = &e->server[who];
	const struct ens_txn *t = &s->disk.log[at];

	if (at < e->order_n) {
		if (e->order[at].zxid != t->zxid || e->order[at].id != t->id)
			broken(e, who, "another history than the one that was committed", t->zxid);
		return;
	}
	if (s->z.role != ZAB_LEADING)
		broken(e, who, "a follower is ahead of every leader", t->zxid);
	check_durable(e, who, t, at);
	e->order[e->order_n++] = *t;
	e->commits++;
}

static void check_serve(struct ens *e, unsigned who, uint64_t epoch)
{
	const struct ens_server *s = &e->server[who];

	if (s->z.role == ZAB_LEADING) {
		e->leaders++;
		if (epoch >= 1024 || e->epoch_leader[epoch])
			broken(e, who, "a second leader of one epoch", epoch);
		else
			e->epoch_leader[epoch] = (int64_t)who + 1;
		if (s->applied < e->order_n)
			broken(e, who, "leads without a committed transaction",
			       e->order[s->applied].zxid);
	}
	for (uint32_t i = 0; i < s->applied; i++)
		check_applied(e, who, i);
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
	impossible("too many events");
}

static uint64_t disk_ns(struct ens *e, unsigned who)
{
	return e->now_ns + (e->server[who].slow ? 50 + draw(e, 200) : 1 + draw(e, 8)) * ms;
}

/* ---- connections ---- */

static void drop_items(struct ens_conn *c, int to)
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
	drop_items(c, end);
	if (!c->up[other]) {
		drop_items(c, other);
		c->used = false;
	} else if (tell && !c->silent && !c->down_ns[other]) {
		c->down_ns[other] = e->now_ns + (1 + draw(e, 10)) * ms;
	}
}

static struct ens_conn *conn_of(struct ens *e, unsigned who, uint32_t link, int *end)
{
	for (unsigned i = 0; i < ENS_CONNS_MAX; i++)
		for (int k = 0; k < 2; k++)
			if (e->conn[i].used && e->conn[i].up[k] && e->conn[i].end[k] == who &&
			    e->conn[i].link[k] == link) {
				*end = k;
				return &e->conn[i];
			}
	return NULL;
}

static struct ens_item *put_item(struct ens *e, struct ens_conn *c, int to)
{
	uint64_t due = e->now_ns + (1 + draw(e, 5)) * ms;
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

static void crash(struct ens *e, unsigned who)
{
	struct ens_server *s = &e->server[who];
	uint32_t survive = s->disk.synced;

	if (!s->up)
		return;
	e->crashes++;
	if (s->disk.n > survive) /* some of it may have reached the disk all the same */
		survive += (uint32_t)draw(e, s->disk.n - survive + 1);
	s->disk.n = s->disk.synced = survive;
	s->up = s->serving = false;
	s->generation++;
	s->restart_ns = e->now_ns + (100 + draw(e, 3000)) * ms;
	zab_fini(&s->z);
	for (unsigned i = 0; i < ENS_CONNS_MAX; i++)
		for (int k = 0; k < 2; k++)
			if (e->conn[i].used && e->conn[i].up[k] && e->conn[i].end[k] == who) {
				/* a stack that dies with its process says nothing */
				e->conn[i].silent = e->conn[i].silent || chance(e, 500);
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

	if (e->cut[who][to] || (e->now_ns < e->faults_end_ns && chance(e, 100)))
		return;
	v = later(e, ENS_NOTIFY, to, e->now_ns + (1 + draw(e, 10)) * ms);
	v->sid = (int64_t)who + 1;
	v->note = e->server[who].told[to];
	zab_delivered(&e->server[who].z);
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
		later(e, ENS_DIAL, who, e->now_ns + (1 + draw(e, 10)) * ms)->sid = f->sid;
		break;
	case ZAB_DO_CLOSE:
		c = conn_of(e, who, f->link, &end);
		if (c)
			end_closed(e, c, end, true);
		break;
	case ZAB_DO_SEND:
		c = conn_of(e, who, f->link, &end);
		if (c)
			transmit(e, c, !end, &f->packet);
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
		break;
	case ZAB_DO_SERVE:
		check_serve(e, who, f->epoch);
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
			if (e->now_ns < e->faults_end_ns && chance(e, 1) && chance(e, 300))
				crash(e, who);
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

/* Naive rules are broken by whoever carries the effects out, the product knows nothing of them. */
static void after_effects(struct ens *e, unsigned who)
{
	struct ens_server *s = &e->server[who];
	bool early = e->naive == ENS_ACK_BEFORE_SYNC ||
		     (e->naive == ENS_NEWLEADER_EARLY && s->up && s->z.role == ZAB_FOLLOWING &&
		      s->z.phase == ZAB_PHASE_HARDEN);

	if (s->up && early && s->disk.n && s->z.durable < s->disk.log[s->disk.n - 1].zxid &&
	    !(s->z.busy & (ZAB_BUSY_TRUNCATE | ZAB_BUSY_SNAP))) {
		zab_durable(&s->z, s->disk.log[s->disk.n - 1].zxid, e->now_ns);
		run_effects(e, who);
	}
}

static void settle(struct ens *e, unsigned who)
{
	run_effects(e, who);
	after_effects(e, who);
}

/* ---- what happens at its time ---- */

static void boot(struct ens *e, unsigned who)
{
	struct ens_server *s = &e->server[who];
	struct zab_conf c = {.sid = (int64_t)who + 1,
			     .observer = who >= e->voters,
			     .now = &e->members,
			     .mem = &s->mem,
			     .tick_ms = TICK_MS,
			     .init_limit = INIT_LIMIT,
			     .sync_limit = SYNC_LIMIT,
			     .settle_ms = 50,
			     .history_entries = 32,
			     .history_bytes = 32 * TXN_BYTES + 64,
			     .data_max = 4096};
	struct zab_disk d = {.last_zxid = s->disk.n ? s->disk.log[s->disk.n - 1].zxid : 0,
			     .accepted_epoch = s->disk.accepted,
			     .current_epoch = s->disk.current};

	s->up = true;
	s->serving = s->loading = false;
	s->sync_ns = 0;
	memset(s->has_told, 0, sizeof(s->has_told));
	s->applied = s->disk.n; /* recovery replays all that is there */
	zk_mem_init_heap(&s->mem, 0);
	if (zab_init(&s->z, &c, &d, e->now_ns) != ZK_EOK)
		impossible("no memory");
	settle(e, who);
}

static void on_dial(struct ens *e, unsigned who, int64_t sid)
{
	unsigned to = (unsigned)sid - 1;
	struct ens_server *s = &e->server[who], *l = &e->server[to];
	uint32_t link = 0;
	int end;

	if (s->z.phase != ZAB_PHASE_DIALLING)
		return;
	while (link < ZAB_LINKS_MAX && conn_of(e, to, link, &end))
		link++;
	if (l->up && !e->cut[who][to] && !e->cut[to][who] && l->z.role == ZAB_LEADING &&
	    link < ZAB_LINKS_MAX) {
		for (unsigned i = 0; i < ENS_CONNS_MAX; i++) {
			struct ens_conn *c = &e->conn[i];

			if (c->used)
				continue;
			*c = (struct ens_conn){.used = true,
					       .end = {who, to},
					       .link = {ZAB_LINK_LEADER, link},
					       .up = {true, true}};
			if (!zab_link_up(&l->z, link, e->now_ns))
				impossible("a leader takes every learner");
			settle(e, to);
			if (zab_link_up(&s->z, ZAB_LINK_LEADER, e->now_ns))
				settle(e, who);
			return;
		}
		impossible("too many connections");
	}
	zab_link_down(&s->z, ZAB_LINK_LEADER, e->now_ns);
	settle(e, who);
}

static void on_event(struct ens *e, struct ens_event *v)
{
	struct ens_event ev = *v;
	unsigned who = ev.server;
	struct ens_server *s = &e->server[who];

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
	settle(e, who);
}

static void on_synced(struct ens *e, unsigned who)
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
		settle(e, who);
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

/* Deliver the first item to this end if it is due and wanted. @return false: not now. */
static bool deliver(struct ens *e, struct ens_conn *c, int to)
{
	unsigned who = c->end[to];
	struct ens_server *s = &e->server[who];
	struct ens_item *it = &c->item[to][c->head[to] % ENS_QUEUE_MAX], item;

	if (c->head[to] == c->tail[to] || it->due_ns > e->now_ns || !c->up[to])
		return false;
	if (it->tree ? !s->loading : !zab_link_reads(&s->z, c->link[to]))
		return false;
	item = *it;
	c->head[to]++;
	if (item.tree) {
		take_tree(e, who, &item);
	} else {
		zab_packet(&s->z, c->link[to], &item.packet, e->now_ns);
		settle(e, who);
	}
	free(item.bytes);
	free(item.tree);
	return true;
}

/* The leader's end: more of its files, and how much the connection takes. */
static void feed(struct ens *e, struct ens_conn *c)
{
	unsigned who = c->end[1];
	struct ens_server *s = &e->server[who];
	uint8_t txn[TXN_BYTES] = {0};
	size_t room;

	if (!c->up[1] || !s->up)
		return;
	room = c->tail[0] - c->head[0] < ENS_QUEUE_MAX / 8 ? 20 * TXN_BYTES : 0;
	if (room && !s->z.link[c->link[1]].room) {
		zab_link_room(&s->z, c->link[1], room, e->now_ns);
		settle(e, who);
	}
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
				settle(e, who);
				break;
			}
			c->feed_at++;
		} else {
			c->feed_at = 0;
			zab_file_end(&s->z, c->link[1], true, e->now_ns);
		}
		settle(e, who);
	}
}

static void serve_conn(struct ens *e, struct ens_conn *c)
{
	for (int k = 0; k < 2 && c->used; k++) {
		unsigned who = c->end[k];

		for (unsigned i = 0; i < 16 && c->used && deliver(e, c, k); i++)
			;
		if (c->used && c->up[k] && c->down_ns[k] && e->now_ns >= c->down_ns[k] &&
		    c->head[k] == c->tail[k]) {
			uint32_t link = c->link[k];

			end_closed(e, c, k, false);
			zab_link_down(&e->server[who].z, link, e->now_ns);
			settle(e, who);
		}
	}
	if (c->used)
		feed(e, c);
}

/* ---- load and faults ---- */

static void load(struct ens *e)
{
	uint8_t txn[TXN_BYTES] = {0};

	e->next_load_ns = e->now_ns + (1 + draw(e, 30)) * ms;
	for (unsigned i = 0; i < e->n; i++) {
		struct ens_server *s = &e->server[i];
		uint64_t zxid = s->up && s->serving ? zab_next_zxid(&s->z) : 0;

		if (!zxid || s->disk.n > ENS_TXNS_MAX - 64)
			continue;
		e->next_id++;
		memcpy(txn, &e->next_id, sizeof(e->next_id));
		if (zab_propose(&s->z, zxid, zk_span_of(txn, TXN_BYTES), e->now_ns) == ZK_EOK)
			settle(e, i);
	}
}

static void break_conn(struct ens *e)
{
	struct ens_conn *c = &e->conn[draw(e, ENS_CONNS_MAX)];

	if (!c->used)
		return;
	e->breaks++;
	if (chance(e, 300)) {
		c->silent = true;
		return;
	}
	for (int k = 0; k < 2; k++)
		if (c->up[k] && !c->down_ns[k])
			c->down_ns[k] = e->now_ns + (1 + draw(e, 20)) * ms;
}

static void fault(struct ens *e)
{
	unsigned a = (unsigned)draw(e, e->n), b = (unsigned)draw(e, e->n);

	e->next_fault_ns = e->now_ns + (20 + draw(e, 900)) * ms;
	switch (draw(e, 9)) {
	case 0:
	case 1:
		crash(e, a);
		break;
	case 2:
		break_conn(e);
		break;
	case 3: /* one way */
		e->cut[a][b] = a != b;
		e->partitions++;
		break;
	case 4: /* a from everybody */
		for (unsigned i = 0; i < e->n; i++)
			e->cut[a][i] = e->cut[i][a] = i != a;
		e->partitions++;
		break;
	case 5:
	case 6:
		memset(e->cut, 0, sizeof(e->cut));
		break;
	case 7:
		e->server[a].slow = !e->server[a].slow;
		break;
	case 8:
		if (e->server[a].applied)
			e->server[a].disk.purged =
				e->server[a].disk.log[draw(e, e->server[a].applied)].zxid;
		break;
	}
}

static void calm(struct ens *e)
{
	memset(e->cut, 0, sizeof(e->cut));
	for (unsigned i = 0; i < e->n; i++)
		e->server[i].slow = false;
}

/* ---- the run ---- */

static void earlier(uint64_t *next, uint64_t t)
{
	if (t < *next)
		*next = t;
}

static uint64_t next_ns(const struct ens *e)
{
	uint64_t next = e->next_load_ns;

	if (e->now_ns < e->faults_end_ns)
		earlier(&next, e->next_fault_ns);
	for (unsigned i = 0; i < e->n; i++) {
		const struct ens_server *s = &e->server[i];

		if (!s->up)
			earlier(&next, s->restart_ns);
		else
			earlier(&next, zab_next_ns(&s->z));
		if (s->up && s->sync_ns)
			earlier(&next, s->sync_ns);
	}
	for (uint32_t i = 0; i < e->events_end; i++)
		if (e->event[i].used)
			earlier(&next, e->event[i].due_ns);
	for (unsigned i = 0; i < ENS_CONNS_MAX; i++) {
		const struct ens_conn *c = &e->conn[i];

		for (int k = 0; c->used && k < 2; k++) {
			if (c->head[k] != c->tail[k])
				earlier(&next, c->item[k][c->head[k] % ENS_QUEUE_MAX].due_ns);
			if (c->down_ns[k] && c->up[k])
				earlier(&next, c->down_ns[k]);
		}
	}
	/* what waits for a reader is looked at again soon */
	return next > e->now_ns ? next : e->now_ns + ms / 4;
}

static void step(struct ens *e)
{
	for (unsigned i = 0; i < e->n; i++) {
		struct ens_server *s = &e->server[i];

		if (!s->up && e->now_ns >= s->restart_ns)
			boot(e, i);
		if (s->up && s->sync_ns && e->now_ns >= s->sync_ns)
			on_synced(e, i);
		if (s->up && e->now_ns >= zab_next_ns(&s->z)) {
			zab_tick(&s->z, e->now_ns);
			settle(e, i);
		}
	}
	for (uint32_t i = 0; i < e->events_end && !e->failed; i++)
		if (e->event[i].used && e->now_ns >= e->event[i].due_ns)
			on_event(e, &e->event[i]);
	while (e->events_end && !e->event[e->events_end - 1].used)
		e->events_end--;
	for (unsigned i = 0; i < ENS_CONNS_MAX && !e->failed; i++)
		if (e->conn[i].used)
			serve_conn(e, &e->conn[i]);
	if (e->now_ns >= e->next_load_ns)
		load(e);
	if (e->now_ns < e->faults_end_ns && e->now_ns >= e->next_fault_ns)
		fault(e);
}

static void add_counters(struct ens *e)
{
	for (unsigned i = 0; i < e->n; i++) {
		const struct zab_counters *c = &e->server[i].z.count;

		e->count.diffs += c->diffs;
		e->count.truncs += c->truncs;
		e->count.snaps += c->snaps;
		e->count.file_syncs += c->file_syncs;
		e->count.timeouts += c->timeouts;
		e->count.bad_packets += c->bad_packets;
	}
}

/* The faults are over for long: everybody serves, and the same. */
static void check_calm(struct ens *e, uint32_t order_before)
{
	for (unsigned i = 0; i < e->n && !e->failed; i++)
		if (!e->server[i].up || !e->server[i].serving)
			broken(e, i, "does not serve though all is well", 0);
	if (!e->failed && e->order_n <= order_before && e->order_n < ENS_TXNS_MAX - 64)
		broken(e, 0, "nothing is committed though all is well", 0);
	for (unsigned i = 0; i < e->n && !e->failed; i++)
		if (e->server[i].applied + 64 < e->order_n)
			broken(e, i, "is far behind though all is well", 0);
}

static void clean_up(struct ens *e)
{
	for (unsigned i = 0; i < e->n; i++)
		if (e->server[i].up)
			zab_fini(&e->server[i].z);
	for (unsigned i = 0; i < ENS_CONNS_MAX; i++)
		if (e->conn[i].used) {
			drop_items(&e->conn[i], 0);
			drop_items(&e->conn[i], 1);
		}
}

bool ens_run(struct ens *e, uint64_t seed, enum ens_naive naive)
{
	char text[256];
	size_t at = 0;
	const char *why;
	unsigned line;
	uint32_t before = 0;
	uint64_t end_ns;

	memset(e, 0, sizeof(*e));
	e->seed = seed;
	e->rng = seed * UINT64_C(2654435761) + UINT64_C(88172645463325252);
	e->naive = naive;
	e->voters = 3 + 2 * (unsigned)(draw(e, 6) / 3 + !draw(e, 8));
	e->n = e->voters + !draw(e, 3);
	e->now_ns = 1000 * ms;
	e->faults_end_ns = e->now_ns + FAULTS_MS * ms;
	end_ns = e->faults_end_ns + CALM_MS * ms;
	for (unsigned i = 1; i <= e->n; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "server.%u=h:2:3%s\n", i,
				       i > e->voters ? ":observer" : "");
	if (zab_members_parse(zk_span_str(text), &e->members, &why, &line) != ZK_EOK)
		impossible("configuration");
	for (unsigned i = 0; i < e->n; i++)
		boot(e, i);
	while (!e->failed && e->now_ns < end_ns) {
		bool faults = e->now_ns < e->faults_end_ns;

		e->now_ns = next_ns(e);
		if (faults && e->now_ns >= e->faults_end_ns)
			calm(e);
		if (e->now_ns < end_ns - CALM_MS * ms / 2)
			before = e->order_n;
		step(e);
		e->digest = e->digest * 31 + e->order_n + e->now_ns;
	}
	if (!e->failed)
		check_calm(e, before);
	add_counters(e);
	clean_up(e);
	return !e->failed;
}
