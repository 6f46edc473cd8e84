/* SPDX-License-Identifier: Apache-2.0 */
#include "test/unit/server/quorum_world.h"

#include "core/base/assert.h"
#include "core/store/snap_parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint64_t ms = 1000000;

/* ---- pipes ---- */

static size_t send_bytes(const struct qw *w)
{
	return w->send_bytes ? w->send_bytes : QW_SEND_BYTES;
}

static struct qw_end *other(const struct qw_end *e)
{
	return &e->pipe->end[e == &e->pipe->end[0]];
}

static struct qw *world(const struct qw_end *e)
{
	return e->server ? e->server->w : other(e)->server->w;
}

static struct zk_span on_peek(void *t, size_t skip)
{
	const struct qw_end *e = t;
	size_t n = e->tail - e->head - skip, max = world(e)->window;

	return zk_span_of(e->in + e->head + skip, max && n > max ? max : n);
}

static size_t on_readable(void *t)
{
	const struct qw_end *e = t;

	return e->tail - e->head;
}

static void on_read_done(void *t, size_t n)
{
	struct qw_end *e = t;

	assert_true(n <= e->tail - e->head);
	e->head += n;
}

static void put(struct qw_end *to, const void *p, size_t n)
{
	if (to->head == to->tail)
		to->head = to->tail = 0;
	if (to->tail + n > to->cap) {
		memmove(to->in, to->in + to->head, to->tail - to->head);
		to->tail -= to->head;
		to->head = 0;
	}
	zk_assert(to->tail + n <= to->cap);
	memcpy(to->in + to->tail, p, n);
	to->tail += n;
	to->fresh = true;
}

static size_t on_unacked(void *t)
{
	return on_readable(other(t));
}

static size_t on_write(void *t, const void *p, size_t n)
{
	struct qw_end *e = t;
	size_t room = send_bytes(world(e)) - on_unacked(t), take = n < room ? n : room;

	zk_assert(e->conn && !e->fin && !e->rst);
	if (take)
		put(other(e), p, take);
	if (take < n)
		e->wants_room = true;
	return take;
}

static void on_shutdown(void *t)
{
	((struct qw_end *)t)->fin = true;
}

static void on_abort(void *t)
{
	((struct qw_end *)t)->rst = true;
}

static const struct srv_io io = {.peek = on_peek,
				 .readable = on_readable,
				 .read_done = on_read_done,
				 .write = on_write,
				 .unacked = on_unacked,
				 .shutdown = on_shutdown,
				 .abort = on_abort};

static struct qw_pipe *new_pipe(struct qw *w, unsigned to, enum quorum_port port)
{
	for (unsigned i = 0; i < QW_PIPES; i++) {
		struct qw_pipe *p = &w->pipe[i];

		if (p->used)
			continue;
		*p = (struct qw_pipe){.used = true, .to = to, .port = port};
		for (unsigned k = 0; k < 2; k++) {
			p->end[k].pipe = p;
			p->end[k].cap = 2 * send_bytes(w);
			p->end[k].in = malloc(p->end[k].cap);
		}
		return p;
	}
	fail_msg("too many connections");
	return NULL;
}

static void free_pipe(struct qw_pipe *p)
{
	free(p->end[0].in);
	free(p->end[1].in);
	p->used = false;
}

static bool on_dial(void *ctx, struct quorum_conn *conn, struct zk_span address)
{
	struct qw_server *s = ctx;
	struct qw_pipe *p;
	unsigned to, port;

	if (sscanf((const char *)address.p, "h%u:%u", &to, &port) != 2 || to > s->w->n)
		return false;
	p = new_pipe(s->w, to - 1, port == 1 ? QUORUM_PORT_LEARNERS : QUORUM_PORT_ELECTION);
	p->dialled = true;
	p->end[0].server = s;
	p->end[0].conn = conn;
	return true;
}

/* The dialled server answers. It is open for the dialler even when it is closed at once, but not
 * when nobody is wanted. */
static void answer_dial(struct qw *w, struct qw_pipe *p)
{
	struct qw_server *to = &w->server[p->to], *from = p->end[0].server;
	struct quorum_conn *conn = p->end[0].conn;

	p->dialled = false;
	from->poked = to->poked = true;
	if (!to->up || w->cut[from->sid - 1][p->to] || w->cut[p->to][from->sid - 1] ||
	    !quorum_wants(to->q, p->port)) {
		quorum_dialled(from->q, conn, NULL, w->now_ns);
		free_pipe(p);
		return;
	}
	p->end[1].server = to;
	p->end[1].conn = quorum_accepted(to->q, p->port, &p->end[1], w->now_ns);
	p->end[1].rst = !p->end[1].conn;
	quorum_dialled(from->q, conn, &p->end[0], w->now_ns);
}

static void gone(struct qw_end *e)
{
	struct quorum_conn *conn = e->conn;

	e->conn = NULL;
	e->rst = true;
	if (e->server)
		e->server->poked = true;
	if (e->server && e->server->up)
		quorum_gone(e->server->q, conn, e->server->w->now_ns);
}

static void run_end(struct qw *w, struct qw_end *e)
{
	struct qw_end *o = other(e);
	struct qw_server *s = e->server;
	bool cut = s && o->server && w->cut[o->server->sid - 1][s->sid - 1];

	if (!s || !e->conn)
		return;
	if (e->rst || o->rst) {
		gone(e);
		return;
	}
	if (cut)
		return;
	if (e->fresh) {
		e->fresh = false;
		s->poked = true;
		quorum_input(s->q, e->conn, w->now_ns);
	}
	if (on_unacked(e) < e->had_unacked)
		s->poked = true; /* an acknowledgement has come */
	e->had_unacked = on_unacked(e);
	if (e->wants_room && on_unacked(e) < send_bytes(w) / 2 && !e->rst) {
		e->wants_room = false;
		quorum_writable(s->q, e->conn, w->now_ns);
	}
	if ((o->fin && e->head == e->tail) || (e->fin && o->head == o->tail))
		gone(e);
}

static void run_pipes(struct qw *w)
{
	for (unsigned i = 0; i < QW_PIPES; i++) {
		struct qw_pipe *p = &w->pipe[i];

		if (!p->used)
			continue;
		if (p->dialled) {
			answer_dial(w, p);
			continue;
		}
		run_end(w, &p->end[0]);
		run_end(w, &p->end[1]);
		if (!p->end[0].conn && !p->end[1].conn)
			free_pipe(p);
	}
}

/* ---- disks ---- */

static bool on_append(void *ctx, uint64_t zxid, struct zk_span txn)
{
	struct qw_server *s = ctx;
	struct qw_disk *k = &s->disk;
	uint64_t last;

	if (s->stuck)
		return false;
	if (k->n == k->cap) {
		k->cap = k->cap ? 2 * k->cap : 256;
		k->txn = realloc(k->txn, k->cap * sizeof(*k->txn));
	}
	last = k->n ? k->txn[k->n - 1].zxid : k->snap_zxid;
	zk_assert(zxid == last + 1 || (zxid >> 32 > last >> 32 && (zxid & UINT32_MAX) == 1));
	k->txn[k->n] = (struct qw_txn){.zxid = zxid, .p = malloc(txn.n), .n = txn.n};
	memcpy(k->txn[k->n++].p, txn.p, txn.n);
	return true;
}

static uint64_t on_durable(void *ctx)
{
	const struct qw_disk *k = &((const struct qw_server *)ctx)->disk;

	return k->synced ? k->txn[k->synced - 1].zxid : k->snap_zxid;
}

static void on_epoch_write(void *ctx, enum zab_file file, uint64_t epoch)
{
	struct qw_server *s = ctx;

	zk_assert(!(s->epochs & 1u << file));
	s->epochs |= 1u << file;
	s->epoch[file] = epoch;
}

static void on_feed_begin(void *ctx, uint32_t link, uint64_t from, uint64_t bound)
{
	struct qw_server *s = ctx;
	struct qw_feed *f = &s->feed[link];
	const struct qw_disk *k = &s->disk;

	zk_assert(!f->used);
	s->feeds++;
	*f = (struct qw_feed){.used = true, .from = from, .bound = bound};
	while (f->at < k->synced && k->txn[f->at].zxid < from)
		f->at++;
	if (f->at && f->at < k->synced && k->txn[f->at].zxid > from)
		f->at--;
	f->bad = s->no_files || !k->synced || k->txn[0].zxid > from;
}

static void on_feed_cancel(void *ctx, uint32_t link)
{
	struct qw_feed *f = &((struct qw_server *)ctx)->feed[link];

	zk_assert(f->used);
	f->used = false;
}

static enum zk_err on_feed_next(void *ctx, uint32_t link, uint64_t *zxid, struct zk_span *txn)
{
	struct qw_server *s = ctx;
	const struct qw_feed *f = &s->feed[link];
	const struct qw_txn *t = &s->disk.txn[f->at];

	zk_assert(f->used);
	if (f->bad)
		return ZK_ENOENT;
	if (f->at >= s->disk.synced || t->zxid > f->bound)
		return ZK_ECLOSED;
	*zxid = t->zxid;
	*txn = zk_span_of(t->p, t->n);
	return ZK_EOK;
}

static void on_feed_pop(void *ctx, uint32_t link)
{
	((struct qw_server *)ctx)->feed[link].at++;
}

static void forget_txns(struct qw_disk *k, size_t from)
{
	for (size_t i = from; i < k->n; i++)
		free(k->txn[i].p);
	k->n = from;
	if (k->synced > from)
		k->synced = from;
}

static void run_disk(struct qw_server *s)
{
	struct qw_disk *k = &s->disk;

	if (s->slow)
		return;
	s->poked = s->poked || s->epochs || k->synced != k->n;
	k->synced = k->n;
	for (enum zab_file f = ZAB_ACCEPTED_EPOCH; f <= ZAB_CURRENT_EPOCH; f++)
		if (s->epochs & 1u << f) {
			if (f == ZAB_ACCEPTED_EPOCH)
				k->accepted = s->epoch[f];
			else
				k->current = s->epoch[f];
			s->epochs &= ~(1u << f);
			quorum_epoch_written(s->q, f);
		}
}

/* ---- recovery ---- */

static void put_session(struct qw_server *s, uint64_t id, int32_t timeout_ms)
{
	assert_true(s->sessions < QW_SESSIONS);
	s->session[s->sessions++] = (struct snap_session){id, timeout_ms};
}

static void drop_session(struct qw_server *s, uint64_t id)
{
	for (uint32_t i = 0; i < s->sessions; i++)
		if (s->session[i].id == id)
			s->session[i--] = s->session[--s->sessions];
}

static void load_node(struct tree *t, const struct snap_node *in)
{
	struct tree_load_node n;

	snap_node_to_load(t, in, &n);
	assert_int_equal(tree_load_node(t, &n), ZK_EOK);
}

static void load_snapshot(struct qw_server *s, struct tree *t)
{
	const struct qw_disk *k = &s->disk;
	struct snap_reader r;
	struct snap_item it;
	enum snap_step step;

	tree_load_clear(t);
	snap_reader_init_stream(&r, QW_DATA_MAX);
	while ((step = snap_next(&r, zk_span_of(k->snap + r.at, k->snap_n - r.at), false, &it)) !=
	       SNAP_END) {
		if (step == SNAP_SESSION)
			put_session(s, it.session.id, it.session.timeout_ms);
		else if (step == SNAP_ACL)
			assert_int_equal(tree_load_acl(t, it.acl.key, it.acl.jute), ZK_EOK);
		else if (step == SNAP_NODE)
			load_node(t, &it.node);
		else
			fail_msg("a snapshot that is none");
	}
	assert_true(tree_load_whole(t));
	tree_load_zxid(t, k->snap_zxid);
}

static void restore(struct tree *t, void *ctx)
{
	struct qw_server *s = ctx;
	const struct qw_disk *k = &s->disk;

	s->sessions = 0;
	assert_int_equal(tree_load_open(t), ZK_EOK);
	if (k->snap)
		load_snapshot(s, t);
	for (size_t i = 0; i < k->n; i++) {
		struct txn_result res = {0};
		struct zk_span txn = zk_span_of(k->txn[i].p, k->txn[i].n);

		assert_int_equal(txn_apply(t, txn, &res), ZK_EOK);
		if (res.header.type == ZK_OP_CREATE_SESSION)
			put_session(s, (uint64_t)res.header.client, res.timeout_ms);
		if (res.header.type == ZK_OP_CLOSE_SESSION)
			drop_session(s, (uint64_t)res.header.client);
	}
	tree_load_settle(t);
	tree_load_close(t);
}

static void start_machine(struct qw_server *s)
{
	struct lead_opt opt = {.quorum = &s->lq,
			       .server_id = (uint8_t)s->sid,
			       .now_ns = s->w->now_ns,
			       .digest = true,
			       .tree_limit = s->w->tree_limit,
			       .restore = restore,
			       .restore_ctx = s,
			       .restored = s->session};
	struct quorum_bind bind = {.log = {.ctx = s, .append = on_append}, .durable = on_durable};

	/* how many there are is known only when the tree is there */
	opt.restored_n = &s->sessions;
	s->d = lead_open(&opt);
	s->d->late = true;
	bind.leader = s->d->l;
	bind.tree = s->d->tree;
	quorum_bind(s->q, &bind, s->w->now_ns);
}

/* ---- life ---- */

static void stream_drop(struct qw_server *s)
{
	free(s->stream);
	s->stream = NULL;
	s->stream_n = s->stream_cap = 0;
	s->stream_end = false;
	snap_reader_init_stream(&s->reader, QW_DATA_MAX);
}

static void on_say(void *ctx, const char *line)
{
	struct qw_server *s = ctx;

	snprintf(s->line[s->lines++ % QW_LINES], sizeof(s->line[0]), "%s", line);
}

void qw_boot(struct qw *w, unsigned i)
{
	struct qw_server *s = &w->server[i];
	struct quorum_conf c = {.zab = {.sid = s->sid,
					.now = &w->members,
					.tick_ms = 200,
					.init_limit = w->init_limit ? w->init_limit : 10,
					.sync_limit = 5,
					.settle_ms = 20,
					.history_entries = w->history ? w->history : 256,
					.history_bytes = 1 << 20,
					.data_max = QW_DATA_MAX},
				.mem = &s->mem,
				.net = {s, &io, on_dial, send_bytes(w)},
				.disk = {s, on_epoch_write, on_feed_begin, on_feed_cancel,
					 on_feed_next, on_feed_pop},
				.view = &s->view,
				.say = on_say,
				.say_ctx = s,
				.hello_timeout_ms = w->hello_timeout_ms,
				.request_bytes = w->aside ? w->aside : 1 << 18,
				.read_only = w->read_only};
	char address[16];

	snprintf(address, sizeof(address), "h%u:2", s->sid);
	memcpy(s->address, address, sizeof(address));
	c.address = zk_span_str(s->address);
	c.zab.observer = w->members.server[i].observer;
	zk_mem_init_heap(&s->mem, 0);
	stream_drop(s);
	s->epochs = 0;
	memset(s->feed, 0, sizeof(s->feed));
	memset(&s->view, 0, sizeof(s->view));
	assert_int_equal(quorum_new(&c, w->now_ns, &s->q), ZK_EOK);
	s->lq = quorum_for_leader(s->q);
	quorum_epochs(s->q, s->disk.accepted, s->disk.current);
	for (size_t n = 0; n < s->disk.n; n++)
		quorum_replayed(s->q, s->disk.txn[n].zxid,
				zk_span_of(s->disk.txn[n].p, s->disk.txn[n].n));
	s->up = true;
	start_machine(s);
}

void qw_kill(struct qw *w, unsigned i)
{
	struct qw_server *s = &w->server[i];

	s->up = false;
	forget_txns(&s->disk, s->disk.synced);
	for (unsigned n = 0; n < QW_PIPES; n++) {
		struct qw_pipe *p = &w->pipe[n];

		if (p->used && p->dialled && p->end[0].server == s) {
			free_pipe(p);
			continue;
		}
		for (unsigned k = 0; p->used && k < 2; k++)
			if (p->end[k].server == s && p->end[k].conn) {
				p->end[k].conn = NULL;
				p->end[k].rst = true;
			}
	}
	lead_close(s->d);
	quorum_free(s->q);
	stream_drop(s);
	assert_int_equal(s->mem.used_bytes, 0);
}

struct qw *qw_open(const char *config, unsigned n)
{
	struct qw *w = calloc(1, sizeof(*w));
	const char *why;
	unsigned line;

	assert_int_equal(zab_members_parse(zk_span_str(config), &w->members, &why, &line), ZK_EOK);
	w->n = n;
	w->now_ns = UINT64_C(1000) * 1000000000;
	for (unsigned i = 0; i < n; i++) {
		w->server[i].w = w;
		w->server[i].sid = i + 1;
	}
	return w;
}

void qw_close(struct qw *w)
{
	for (unsigned i = 0; i < w->n; i++) {
		struct qw_server *s = &w->server[i];

		if (s->up)
			qw_kill(w, i);
		forget_txns(&s->disk, 0);
		free(s->disk.txn);
		free(s->disk.snap);
	}
	for (unsigned i = 0; i < QW_PIPES; i++)
		if (w->pipe[i].used)
			free_pipe(&w->pipe[i]);
	free(w);
}

/* ---- rebuild: what the main thread does ---- */

/* @return bytes of the whole stream, 0: not known yet. */
static size_t stream_bytes(struct qw_server *s)
{
	static const uint8_t end[] = {0,   0,   0,   10,  'B', 'e', 'n',
				      'W', 'a', 's', 'H', 'e', 'r', 'e'};
	struct snap_reader *r = &s->reader;
	enum snap_step step = SNAP_NODE;
	struct snap_item it;

	while (!s->stream_end && step != SNAP_MORE) {
		step = snap_next(r, zk_span_of(s->stream + r->at, s->stream_n - r->at), false, &it);
		assert_int_not_equal(step, SNAP_BAD);
		s->stream_end = step == SNAP_END;
	}
	if (!s->stream_end || s->stream_n < r->at + sizeof(end))
		return 0;
	assert_memory_equal(s->stream + r->at, end, sizeof(end));
	return r->at + sizeof(end);
}

/* Nothing behind the tree is taken. @return ZK_EAGAIN: not all of it is there. */
static enum zk_err receive(struct qw_server *s)
{
	struct zk_span w;
	enum zk_err err;
	size_t all;

	for (;;) {
		err = s->keep_stream ? ZK_EAGAIN : quorum_rebuild_peek(s->q, &w);
		if (err != ZK_EOK)
			return err;
		if (!w.n)
			return ZK_EAGAIN;
		if (s->stream_n + w.n > s->stream_cap) {
			s->stream_cap = 2 * (s->stream_n + w.n);
			s->stream = realloc(s->stream, s->stream_cap);
		}
		memcpy(s->stream + s->stream_n, w.p, w.n);
		s->stream_n += w.n;
		all = stream_bytes(s);
		quorum_rebuild_take(s->q, all ? w.n - (s->stream_n - all) : w.n);
		if (!all)
			continue;
		s->stream_n = all;
		return ZK_EOK;
	}
}

static bool truncate(struct qw_disk *k, uint64_t zxid)
{
	size_t n = k->n;

	if (zxid == UINT64_MAX)
		return true;
	while (n && k->txn[n - 1].zxid > zxid)
		n--;
	if ((n ? k->txn[n - 1].zxid : k->snap_zxid) != zxid)
		return false;
	forget_txns(k, n);
	return true;
}

static void rebuild(struct qw *w, struct qw_server *s)
{
	struct quorum_rebuild r;
	enum zk_err err = ZK_EOK;

	quorum_rebuild_get(s->q, &r);
	if (r.kind == QUORUM_REBUILD_SNAP) {
		err = receive(s);
		if (err == ZK_EAGAIN)
			return;
		s->snaps += err == ZK_EOK;
	} else {
		s->truncates++;
	}
	lead_close(s->d);
	s->disk.synced = s->disk.n;
	if (r.kind == QUORUM_REBUILD_TRUNCATE && !truncate(&s->disk, r.zxid))
		err = ZK_EINVAL;
	if (r.kind == QUORUM_REBUILD_SNAP && err == ZK_EOK) {
		forget_txns(&s->disk, 0);
		free(s->disk.snap);
		s->disk.snap = s->stream;
		s->disk.snap_n = s->stream_n;
		s->disk.snap_zxid = r.zxid;
		s->stream = NULL;
	}
	stream_drop(s);
	start_machine(s);
	quorum_rebuilt(s->q, tree_last_zxid(s->d->tree), err == ZK_EOK, w->now_ns);
}

/* ---- time ---- */

static void run_server(struct qw *w, struct qw_server *s)
{
	struct lead *d = s->d;
	unsigned work = 0;

	d->now_ns = w->now_ns;
	d->wall_ms++;
	run_disk(s);
	if (!w->lazy || s->poked || w->now_ns >= quorum_next_ns(s->q)) {
		s->polls++;
		s->poked = false;
		work = quorum_poll(s->q, w->now_ns, d->wall_ms);
	}
	if (quorum_rebuild_wanted(s->q)) {
		rebuild(w, s);
		return;
	}
	work += leader_tick(d->l, w->now_ns, d->wall_ms);
	work += leader_durable(d->l, quorum_limit(s->q), 64, w->now_ns);
	s->poked = s->poked || work; /* another round follows at once */
	lead_read(d);
	for (unsigned core = 0; core < LEAD_CORES; core++)
		if (d->question[core])
			lead_roll(d, core, 0);
}

void qw_step(struct qw *w)
{
	w->now_ns += ms;
	run_pipes(w);
	for (unsigned i = 0; i < w->n; i++)
		if (w->server[i].up)
			run_server(w, &w->server[i]);
}

void qw_run(struct qw *w, unsigned n)
{
	for (; n; n--)
		qw_step(w);
}

static bool serves(const struct qw_server *s)
{
	return s->d->role == ROLE_LEADING || s->d->role == ROLE_FOLLOWING ||
	       s->d->role == ROLE_OBSERVING;
}

unsigned qw_settled(struct qw *w)
{
	for (unsigned n = 0; n < 20000; n++) {
		unsigned leader = UINT32_MAX, all = 0, up = 0;

		qw_step(w);
		for (unsigned i = 0; i < w->n; i++) {
			if (!w->server[i].up)
				continue;
			up++;
			all += serves(&w->server[i]);
			if (w->server[i].d->role == ROLE_LEADING)
				leader = i;
		}
		if (all == up && leader != UINT32_MAX)
			return leader;
	}
	fail_msg("no leader that all follow");
	return 0;
}

/* ---- clients ---- */

uint64_t qw_session(struct qw *w, unsigned i, uint32_t conn)
{
	struct lead *d = w->server[i].d;

	lead_forget(d);
	w->server[i].poked = true;
	assert_int_equal(lead_ask_session(d, 0, conn, 30000), ZK_EOK);
	for (unsigned n = 0; n < 2000; n++) {
		qw_step(w);
		for (size_t k = 0; k < d->out_n; k++)
			if (d->out[k].kind == MSG_SESSION_OPENED && d->out[k].conn.index == conn)
				return d->out[k].session;
	}
	fail_msg("no session");
	return 0;
}

enum zk_err qw_call(struct qw *w, unsigned i, uint32_t conn, uint64_t session, int32_t op,
		    struct zk_span body)
{
	struct lead *d = w->server[i].d;
	int32_t xid = (int32_t)d->next_xid++;

	lead_forget(d);
	w->server[i].poked = true;
	while (lead_send(d, 0, conn, session, xid, op, body) == ZK_EAGAIN)
		qw_step(w);
	for (unsigned n = 0; n < 2000; n++) {
		qw_step(w);
		for (size_t k = 0; k < d->out_n; k++)
			if (d->out[k].kind == MSG_REPLY && d->out[k].xid == xid)
				return d->out[k].err;
	}
	fail_msg("no answer");
	return ZK_EIO;
}

void qw_fill(struct qw *w, unsigned i, uint64_t session, const char *stem, unsigned n)
{
	char path[64];

	for (unsigned k = 0; k < n; k++) {
		snprintf(path, sizeof(path), "%s%u", stem, k);
		assert_int_equal(qw_call(w, i, 1, session, ZK_OP_CREATE,
					 req_create(path, "some data of a node", NULL, 0)),
				 ZK_EOK);
	}
}

/* The last transaction that is applied; a leader counts the beginning of its epoch as one. */
static uint64_t applied(const struct qw_server *s)
{
	const struct qw_disk *k = &s->disk;
	uint64_t zxid = leader_applied_zxid(s->d->l);

	if (zxid & UINT32_MAX)
		return zxid;
	return k->n ? k->txn[k->n - 1].zxid : k->snap_zxid;
}

void qw_equal(struct qw *w)
{
	const struct qw_server *first = NULL;

	qw_run(w, 300);
	for (unsigned i = 0; i < w->n; i++) {
		struct qw_server *s = &w->server[i];

		if (!s->up)
			continue;
		if (!first)
			first = s;
		assert_true(applied(s) == applied(first));
		assert_true(lead_tree_hash(s->d) == lead_tree_hash(first->d));
	}
}

struct qw_pipe *qw_link(struct qw *w, unsigned learner, unsigned leader)
{
	for (unsigned i = 0; i < QW_PIPES; i++) {
		struct qw_pipe *p = &w->pipe[i];

		if (p->used && !p->dialled && p->port == QUORUM_PORT_LEARNERS && p->end[0].conn &&
		    p->end[1].conn && p->end[0].server == &w->server[learner] &&
		    p->end[1].server == &w->server[leader])
			return p;
	}
	return NULL;
}

void qw_forge(struct qw_end *from, const void *p, size_t n)
{
	put(other(from), p, n);
}

bool qw_said(const struct qw *w, unsigned i, const char *part)
{
	for (unsigned n = 0; n < QW_LINES; n++)
		if (strstr(w->server[i].line[n], part))
			return true;
	return false;
}

/* ---- strangers ---- */

struct qw_end *qw_stranger(struct qw *w, unsigned to, enum quorum_port port)
{
	struct qw_pipe *p = new_pipe(w, to, port);

	p->end[1].server = &w->server[to];
	p->end[1].conn = quorum_accepted(w->server[to].q, port, &p->end[1], w->now_ns);
	if (p->end[1].conn)
		return &p->end[0];
	free_pipe(p);
	return NULL;
}

bool qw_say(struct qw *w, struct qw_end *e, const void *p, size_t n)
{
	struct qw_pipe *pipe = e->pipe;

	put(&pipe->end[1], p, n);
	qw_run(w, 3);
	return pipe->used && pipe->end[1].conn;
}
