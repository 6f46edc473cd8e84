/* SPDX-License-Identifier: Apache-2.0 */
/* One server: what dp/loop and ctl/server do around the machines. */
#include "core/server/quorum_int.h"
#include "test/sim/cluster_files.h"
#include "test/sim/cluster_int.h"
#include "test/sim/cluster_wire.h"

#include <stdio.h>
#include <stdlib.h>

enum { RING = 1 << 18, ROUND_US = 100, HISTORY_ENTRIES = 64, HISTORY_BYTES = 1 << 17 };
enum { REQUEST_BYTES = 4096 };

/* ---- life ---- */

bool cl_runs(const struct cl_server *s)
{
	return s->up && s->pause_ns <= s->w->now_ns;
}

bool cl_serves(const struct cl_server *s)
{
	return s->up && !s->halted && !quorum_halted(s->quorum) && quorum_serves(s->quorum);
}

bool cl_dead(struct cl_server *s)
{
	if (!s->dying && cl_faulty(s->w) && cl_chance(s->w, 1) && cl_chance(s->w, 100))
		s->dying = true;
	return s->dying;
}

/* With TRACE in the environment: what a seed that fails has gone through. */
static void say(void *ctx, const char *line)
{
	const struct cl_server *s = ctx;

	if (getenv("TRACE"))
		fprintf(stderr, "%.6f server %u: %s (last zxid %llx, durable %llx)\n",
			(double)s->w->now_ns / 1e9, s->index + 1, line,
			(unsigned long long)history_last(&s->quorum->z.history),
			(unsigned long long)s->quorum->z.durable);
}

static bool dial(void *ctx, struct quorum_conn *conn, struct zk_span address)
{
	struct cl_server *s = ctx;
	struct cl *w = s->w;
	unsigned to = (unsigned)(address.p[1] - '1'); /* "h3:2888" */
	struct cl_conn *c;

	zk_assert(address.n == 7 && to < w->n);
	if (cl_dead(s))
		return false;
	c = cl_connect(w, CL_PEER, s->index, to);
	if (!c)
		return false;
	c->port = address.p[3] == '3' ? QUORUM_PORT_ELECTION : QUORUM_PORT_LEARNERS;
	c->end[0].app = conn;
	return true;
}

static void make_quorum(struct cl *w, struct cl_server *s)
{
	struct quorum_conf c = {.zab = {.sid = s->index + 1,
					.observer = s->index >= w->voters,
					.now = &w->members,
					.mem = &s->mem,
					.tick_ms = CL_TICK_MS,
					.init_limit = CL_INIT_LIMIT,
					.sync_limit = CL_SYNC_LIMIT,
					/* asks again soon enough behind a connection that took
					 * 4 s to be known dead: all serve after CALM_MS */
					.resend_max_ms = 1000,
					.settle_ms = 100,
					.settle_fast_ms = 20,
					.heartbeat_ms = w->beats ? 40 : 0,
					.inform_us = w->beats ? 2000 : 0,
					.heartbeat_timeout_ms = 250,
					.history_entries = HISTORY_ENTRIES,
					.history_bytes = HISTORY_BYTES,
					.data_max = HISTORY_BYTES / 4},
				.mem = &s->mem,
				.net = {s, &cl_io, dial, CL_SEND_BYTES},
				.disk = cl_quorum_disk,
				.view = &s->view,
				.request_bytes = REQUEST_BYTES + HISTORY_BYTES / 4,
				.say = say,
				.say_ctx = s};
	enum zk_err err;

	c.disk.ctx = s;
	snprintf(s->address, sizeof(s->address), "h%u:3888", s->index + 1);
	c.address = zk_span_str(s->address);
	memset(&s->view, 0, sizeof(s->view));
	s->view.members = &w->members;
	s->view.sid = s->index + 1;
	if (w->wire) {
		cl_stack_boot(w, s);
		c.net = peer_quorum_net(w->wire->stack[s->index].peer);
	}
	err = quorum_new(&c, w->now_ns, &s->quorum);
	zk_assert(err == ZK_EOK);
	if (w->wire)
		peer_quorum_set(w->wire->stack[s->index].peer, s->quorum);
	s->lq = quorum_for_leader(s->quorum);
}

static void make_shared(struct cl *w, struct cl_server *s)
{
	*s->shared = (struct srv_shared){.cores = 1,
					 .version = "3.9",
					 .built = "now",
					 .four_letter_words = srv_words_parse("*"),
					 .tick_ms = CL_TICK_MS,
					 .min_session_timeout_ms = 2 * CL_TICK_MS,
					 .max_session_timeout_ms = 20 * CL_TICK_MS,
					 .jute_maxbuffer = CL_MAXBUFFER,
					 .limit = {.outstanding = 100},
					 .sessionless_timeout_ms = 10000,
					 .server_id = (uint8_t)(s->index + 1),
					 .tree = s->tree,
					 .leader = s->leader,
					 .quorum = &s->view};
	s->shared->started_ns = w->now_ns;
}

/* Tree, leader machine and client core, from what is on the disk. */
static void make_machines(struct cl *w, struct cl_server *s, bool first)
{
	struct tree_conf tc = {.mem = &s->tree_mem,
			       .key = {1, 2},
			       .index_slots = 256,
			       .changes_soft_max = 1024,
			       .digest = true};
	struct srv_conf sc = {.io = &cl_io,
			      .mem = &s->mem,
			      .to_leader = &s->to_leader,
			      .from_leader = &s->from_leader,
			      .conns_max = 32,
			      .watches_max = 1000,
			      .out_spill_bytes_max = 65536,
			      .reads_per_conn_round = 8};
	struct leader_conf lc = {.mem = &s->mem,
				 .log = {.ctx = s, .append = cl_disk_append},
				 .quorum = &s->lq,
				 .to_core = {&s->from_leader},
				 .cores = 1,
				 .server_id = (uint8_t)(s->index + 1),
				 .tick_ms = CL_TICK_MS,
				 .hold_max_ms = 20 * CL_TICK_MS,
				 .sessions_max = 1000,
				 .pending_max = 64,
				 .ask_bytes = REQUEST_BYTES,
				 .jute_maxbuffer = CL_MAXBUFFER};
	struct quorum_bind bind = {.log = {.ctx = s, .append = cl_disk_append},
				   .durable = cl_disk_durable};
	enum zk_err err = tree_new(&tc, &s->tree);

	zk_assert(err == ZK_EOK);
	cl_disk_recover(s, first);
	if (first)
		quorum_epochs(s->quorum, s->disk.epoch[ZAB_ACCEPTED_EPOCH],
			      s->disk.epoch[ZAB_CURRENT_EPOCH]);
	err = zk_ring_init(&s->to_leader, &s->mem, RING);
	zk_assert(err == ZK_EOK);
	err = zk_ring_init(&s->from_leader, &s->mem, RING);
	zk_assert(err == ZK_EOK);
	sc.tree = lc.tree = bind.tree = s->tree;
	sc.reader = s->reader = tree_reader_add(s->tree);
	sc.shared = s->shared = calloc(1, sizeof(*s->shared));
	zk_assert(s->shared);
	lc.restored = s->session;
	lc.restored_n = s->sessions;
	make_shared(w, s);
	if (w->wire)
		s->srv = cl_stack_join(w, s, &sc);
	else
		err = srv_new(&sc, w->now_ns, &s->srv);
	zk_assert(err == ZK_EOK);
	err = leader_new(&lc, w->now_ns, &s->leader);
	zk_assert(err == ZK_EOK);
	s->shared->srv[0] = s->srv;
	s->shared->leader = s->leader;
	bind.leader = s->leader;
	quorum_bind(s->quorum, &bind, w->now_ns);
	s->served = false;
}

static void reclaim(struct cl_server *s)
{
	struct tree_garbage *g;

	while (tree_collect(s->tree, 1000))
		;
	while ((g = tree_garbage_take(s->tree)))
		while (!tree_garbage_free(s->tree, g, 1000))
			;
}

static void free_machines(struct cl *w, struct cl_server *s)
{
	cl_net_drop_clients(w, s);
	leader_free(s->leader);
	if (w->wire)
		cl_stack_leave(w, s);
	else
		srv_free(s->srv);
	s->leader = NULL;
	s->srv = NULL;
	reclaim(s);
	zk_ring_fini(&s->to_leader);
	zk_ring_fini(&s->from_leader);
	tree_free(s->tree);
	free(s->shared);
	zk_assert(s->tree_mem.used_bytes == 0);
}

void cl_boot(struct cl *w, unsigned i)
{
	struct cl_server *s = &w->server[i];

	s->w = w;
	s->index = i;
	s->up = true;
	s->halted = s->dying = false;
	s->generation++;
	s->last_ns = s->wake_ns = s->pause_ns = 0;
	zk_mem_init_heap(&s->mem, 0);
	zk_mem_init_heap(&s->tree_mem, 0);
	make_quorum(w, s);
	make_machines(w, s, true);
}

void cl_crash(struct cl *w, unsigned i)
{
	struct cl_server *s = &w->server[i];

	if (!s->up)
		return;
	w->crashes++;
	if (s->leader)
		say(s, "dies");
	if (!s->halted)
		free_machines(w, s);
	if (w->wire)
		cl_stack_kill(w, s);
	quorum_free(s->quorum);
	zk_assert(s->mem.used_bytes == 0);
	for (unsigned c = 0; (c = cl_conn_next(w, c)) < CL_CONNS; c++)
		for (unsigned k = 0; k < 2 && w->conn[c].used; k++) {
			struct cl_end *e = &w->conn[c].end[k];

			/* a stack that dies with its process says nothing */
			if (e->open && e->who == i && e->kind != CL_CLIENT)
				cl_end_close(e, cl_chance(w, 500));
		}
	cl_disk_crash(w, s);
	s->up = s->dying = false;
	s->snap_n = 0;
	s->start_ns = w->now_ns + (50 + cl_draw(w, 2500)) * cl_ms;
}

/* ---- the state is replaced ---- */

static void rebuilt(struct cl *w, struct cl_server *s, uint64_t zxid, bool ok)
{
	s->halted = false;
	w->rebuilds++;
	make_machines(w, s, false);
	zk_assert(tree_last_zxid(s->tree) == zxid);
	s->snap_n = 0;
	quorum_rebuilt(s->quorum, zxid, ok, w->now_ns);
}

static void cut(struct cl *w, struct cl_server *s, uint64_t zxid)
{
	/* UINT64_MAX: what there is */
	if (s->disk.files) {
		if (zxid != UINT64_MAX)
			cl_files_truncate(s, zxid);
		if (s->dying || w->failed)
			return;
	}
	uint64_t left = zxid == UINT64_MAX || zxid >= s->disk.base_zxid
				? cl_disk_cut(&s->disk, zxid)
				: cl_disk_cut(&s->disk, UINT64_MAX);

	rebuilt(w, s, left, zxid == UINT64_MAX || left == zxid);
}

/* As ctl/server/rebuild.c. */
static void take_files(struct cl *w, struct cl_server *s, uint64_t zxid)
{
	struct zk_span some;
	enum zk_err err = ZK_EAGAIN;
	size_t used;

	while (err == ZK_EAGAIN && quorum_rebuild_peek(s->quorum, &some) == ZK_EOK && some.n) {
		err = cl_files_snap(s, zxid, some, &used);
		quorum_rebuild_take(s->quorum, used);
	}
	if (s->dying || w->failed ||
	    (err == ZK_EAGAIN && quorum_rebuild_peek(s->quorum, &some) == ZK_EOK))
		return;
	cl_files_snap_end(s);
	if (err == ZK_EOK)
		rebuilt(w, s, zxid, true);
	else
		cut(w, s, UINT64_MAX);
}

static void take_snap(struct cl *w, struct cl_server *s, uint64_t zxid)
{
	struct zk_span some;
	size_t n;

	if (s->disk.files) {
		take_files(w, s, zxid);
		return;
	}
	while (quorum_rebuild_peek(s->quorum, &some) == ZK_EOK && some.n) {
		if (s->snap_cap < s->snap_n + some.n) {
			s->snap_cap = 2 * (s->snap_n + some.n);
			s->snap = realloc(s->snap, s->snap_cap);
			zk_assert(s->snap);
		}
		memcpy(s->snap + s->snap_n, some.p, some.n);
		s->snap_n += some.n;
		n = cl_snap_length(s);
		if (w->failed)
			return;
		if (!n) {
			quorum_rebuild_take(s->quorum, some.n);
			continue;
		}
		quorum_rebuild_take(s->quorum, some.n - (s->snap_n - n));
		cl_disk_replace(s, n, zxid);
		rebuilt(w, s, zxid, true);
		return;
	}
	if (quorum_rebuild_peek(s->quorum, &some) != ZK_EOK)
		cut(w, s, UINT64_MAX);
}

static void rebuild(struct cl *w, struct cl_server *s)
{
	struct quorum_rebuild r;

	quorum_rebuild_get(s->quorum, &r);
	if (!s->halted) {
		free_machines(w, s);
		if (s->disk.files)
			cl_files_stop(s);
		cl_disk_cut(&s->disk, UINT64_MAX); /* the log writer has stopped: all is synced */
		s->halted = true;
		s->pause_ns = w->now_ns + cl_draw(w, 20) * cl_ms;
		return;
	}
	if (r.kind == QUORUM_REBUILD_TRUNCATE)
		cut(w, s, r.zxid);
	else
		take_snap(w, s, r.zxid);
}

/* ---- a round ---- */

int64_t cl_wall_ms(const struct cl_server *s)
{
	return INT64_C(1700000000000) + (int64_t)(s->w->now_ns / cl_ms) + s->wall_off_ms;
}

static unsigned lead(struct cl *w, struct cl_server *s)
{
	unsigned work = 0;
	const void *rec;
	size_t n;

	while ((rec = zk_ring_next(&s->to_leader, &n)) != NULL) {
		enum zk_err err = leader_message(s->leader, rec, n, w->now_ns, cl_wall_ms(s));

		if (err == ZK_EAGAIN) {
			zk_ring_unget(&s->to_leader, rec);
			break;
		}
		work++;
	}
	zk_ring_release(&s->to_leader);
	work += leader_durable(s->leader, quorum_limit(s->quorum), 256, w->now_ns);
	cl_check_server(w, s);
	work += leader_tick(s->leader, w->now_ns, cl_wall_ms(s));
	zk_ring_publish(&s->from_leader);
	return work;
}

static void earlier(uint64_t *next, uint64_t t)
{
	if (t < *next)
		*next = t;
}

static uint64_t own_next_ns(const struct cl_server *s)
{
	uint64_t next = cl_disk_next_ns(&s->disk);

	earlier(&next, s->w->wire ? cl_stack_next_ns(s) : quorum_next_ns(s->quorum));
	if (s->halted) {
		earlier(&next, s->w->now_ns + cl_ms);
		return next;
	}
	if (!s->w->wire)
		earlier(&next, srv_next_ns(s->srv));
	earlier(&next, leader_next_ns(s->leader));
	return next;
}

/* What has come in, heard by client core and quorum. */
static unsigned hear(struct cl *w, struct cl_server *s)
{
	unsigned work = 0;

	if (w->wire)
		return cl_stack_begin(w, s);
	if (!s->halted)
		work += srv_begin(s->srv, w->now_ns);
	cl_net_serve(w, s);
	if (!s->halted) {
		srv_heard(s->srv);
		work += srv_end(s->srv, w->now_ns);
	}
	return work;
}

static void run_round(struct cl *w, struct cl_server *s)
{
	unsigned work = 0;

	w->rounds++;
	s->poked = false;
	cl_disk_step(s);
	work += hear(w, s);
	if (!s->halted)
		work += lead(w, s);
	work += w->wire ? cl_stack_end(w, s) : quorum_poll(s->quorum, w->now_ns, cl_wall_ms(s));
	if (!s->halted) {
		zk_ring_publish(&s->from_leader);
		reclaim(s);
	}
	if (quorum_rebuild_wanted(s->quorum) && !s->dying)
		rebuild(w, s);
	if (s->up && !s->halted)
		cl_check_server(w, s);
	s->last_ns = w->now_ns;
	s->wake_ns = work ? w->now_ns : own_next_ns(s);
}

void cl_server_step(struct cl *w, struct cl_server *s)
{
	if (!s->up && w->now_ns >= s->start_ns)
		cl_boot(w, s->index);
	if (!cl_runs(s) || w->now_ns < cl_server_next_ns(s))
		return;
	run_round(w, s);
	if (s->dying)
		cl_crash(w, s->index);
}

uint64_t cl_server_next_ns(const struct cl_server *s)
{
	uint64_t soonest = s->last_ns + ROUND_US * 1000, next = s->wake_ns;

	if (!s->up)
		return s->start_ns;
	if (s->pause_ns > s->w->now_ns)
		return s->pause_ns;
	if (s->poked)
		next = 0;
	else
		earlier(&next, cl_disk_next_ns(&s->disk));
	return next > soonest ? next : soonest;
}
