/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/srv_world.h"

#include "core/server/leader.h"
#include "core/server/quorum_view.h"
#include "core/server/srv.h"
#include "core/zab/members.h"
#include "test/lib/quorum_fake.h"
#include "test/lib/srv_world_body.h"

#include <stdlib.h>
#include <string.h>

enum {
	CONNS = 8,
	EXPECT_MAX = 256,
	RING = 1 << 17,
	MAXBUFFER = 16384,
	OPS_MAX = 600,
	ROUND_NS = 1000000,
};

struct wconn {
	struct srv_conn *c;
	uint8_t *in; /* an allocation of exactly what is unread, so that sanitizers see its end */
	size_t in_n, in_at;
	uint8_t *out;
	size_t out_n, out_cap, out_at;
	size_t run_max, tail_max, budget;
	uint8_t *room;
	size_t room_n;
	bool news, shut, reset;
	bool wild;     /* bytes that no client sends: replies cannot be foretold */
	bool greeted;  /* a ConnectRequest was sent first */
	bool answered; /* ... and the answer has come */
	int32_t next_xid;
	int32_t expect[EXPECT_MAX]; /* replies owed, in order */
	uint32_t expect_first, expect_n;
	uint64_t zxid; /* highest seen */
	uint64_t session;
	uint8_t password[16];
};

struct world {
	struct srv_world_in in;
	struct zk_mem mem, tree_mem;
	struct tree *tree;
	struct zk_ring up, down;
	struct srv_shared *shared;
	struct srv *srv;
	struct leader *leader;
	struct wconn conn[CONNS];
	uint64_t now_ns, logged, durable;
	bool slow_log; /* durable only when told */
	unsigned log_room;
	bool ensemble;
	struct quorum_fake quorum;
	struct quorum_view view;
	struct zab_members members;
	uint64_t epoch;
	struct srv_world_stats stats;
	struct { /* the last session that was given out, for reconnects */
		uint64_t id;
		uint8_t password[16];
	} old;
};

static uint8_t byte(struct world *w)
{
	return srv_world_byte(&w->in);
}

/* ---- transport ---- */

static struct zk_span io_peek(void *t, size_t skip)
{
	struct wconn *k = t;
	size_t left = k->in_n - k->in_at;
	size_t n = left > skip ? left - skip : 0;

	if (n > k->run_max)
		n = k->run_max;
	return zk_span_of(n ? k->in + k->in_at + skip : NULL, n);
}

static size_t io_readable(void *t)
{
	const struct wconn *k = t;

	return k->in_n - k->in_at;
}

static void io_read_done(void *t, size_t n)
{
	struct wconn *k = t;

	zk_assert(n <= k->in_n - k->in_at);
	k->in_at += n;
}

static void out_add(struct wconn *k, const void *p, size_t n)
{
	if (k->out_n + n > k->out_cap) {
		k->out_cap = 2 * (k->out_n + n);
		k->out = realloc(k->out, k->out_cap);
		zk_assert(k->out);
	}
	if (n)
		memcpy(k->out + k->out_n, p, n);
	k->out_n += n;
	k->budget -= n;
}

static void *io_tail(void *t, size_t n)
{
	struct wconn *k = t;

	zk_assert(!k->room && !k->shut && !k->reset);
	if (n > k->tail_max || n > k->budget)
		return NULL;
	k->room = malloc(n);
	k->room_n = n;
	zk_assert(k->room);
	return k->room;
}

static void io_tail_commit(void *t, size_t used)
{
	struct wconn *k = t;

	zk_assert(k->room && used <= k->room_n);
	out_add(k, k->room, used);
	free(k->room);
	k->room = NULL;
}

static size_t io_write(void *t, const void *p, size_t n)
{
	struct wconn *k = t;

	zk_assert(!k->room && !k->shut && !k->reset);
	n = n < k->budget ? n : k->budget;
	out_add(k, p, n);
	return n;
}

static size_t io_unacked(void *t)
{
	(void)t;
	return 0;
}

static void io_shutdown(void *t)
{
	struct wconn *k = t;

	zk_assert(!k->shut && !k->reset);
	k->shut = true;
}

static void io_abort(void *t)
{
	struct wconn *k = t;

	zk_assert(!k->reset);
	k->reset = true;
}

static const struct srv_io io = {io_peek,  io_readable, io_read_done, io_tail, io_tail_commit,
				 io_write, io_unacked,  io_shutdown,  io_abort};

static void in_add(struct wconn *k, const void *p, size_t n)
{
	size_t left = k->in_n - k->in_at;
	uint8_t *q = malloc(left + n ? left + n : 1);

	zk_assert(q);
	if (left)
		memcpy(q, k->in + k->in_at, left);
	if (n)
		memcpy(q + left, p, n);
	free(k->in);
	k->in = q;
	k->in_at = 0;
	k->in_n = left + n;
	k->news = true;
}

/* ---- what the client sees ---- */

static void see_frame(struct world *w, struct wconn *k, const uint8_t *p, size_t n)
{
	int32_t xid = (int32_t)zk_get32(p), err = (int32_t)zk_get32(p + 12);
	int64_t zxid = (int64_t)zk_get64(p + 4);

	zk_assert(n >= ZK_REPLY_HEADER_BYTES);
	zk_assert(err <= 0 && strcmp(zk_err_text((enum zk_err)err), "unknown") != 0);
	if (zxid > 0) {
		zk_assert((uint64_t)zxid >= k->zxid);
		zk_assert((uint64_t)zxid <= leader_applied_zxid(w->leader));
		k->zxid = (uint64_t)zxid;
	}
	if (xid == ZK_XID_WATCH && !k->wild) {
		zk_assert(err == 0 && n >= 28);
		zk_assert(zk_get32(p + 16) >= ZK_EV_CREATED && zk_get32(p + 16) <= ZK_EV_CHILDREN);
		zk_assert(zk_get32(p + 24) == n - 28);
		w->stats.events++;
		return;
	}
	w->stats.replies++;
	if (k->wild || xid == ZK_XID_AUTH)
		return;
	zk_assert(k->expect_n > 0 && k->expect[k->expect_first] == xid);
	k->expect_first = (k->expect_first + 1) % EXPECT_MAX;
	k->expect_n--;
}

static void see(struct world *w, struct wconn *k)
{
	while (k->greeted && k->out_n - k->out_at >= 4) {
		const uint8_t *p = k->out + k->out_at;
		size_t n = zk_get32(p);

		if (k->out_n - k->out_at - 4 < n)
			break;
		k->out_at += 4 + n;
		if (k->answered) {
			see_frame(w, k, p + 4, n);
			continue;
		}
		zk_assert(n == 36 || n == 37);
		k->answered = true;
		k->session = zk_get64(p + 12);
		memcpy(k->password, p + 24, 16);
		if (k->session) {
			w->old.id = k->session;
			memcpy(w->old.password, p + 24, 16);
			w->stats.sessions++;
		}
	}
	if (k->out_at == k->out_n)
		k->out_at = k->out_n = 0;
}

/* ---- leader ---- */

static bool log_append(void *ctx, uint64_t zxid, struct zk_span txn)
{
	struct world *w = ctx;

	zk_assert(zxid == w->logged + 1 && txn.n >= 32);
	if (w->log_room == 0)
		return false;
	w->log_room--;
	w->logged = zxid;
	return true;
}

/** The log or, in an ensemble, the quorum catches up. */
static void log_quick(struct world *w)
{
	if (w->slow_log)
		return;
	w->durable = w->ensemble ? w->quorum.last : w->logged;
	w->quorum.durable = w->durable;
	w->log_room = w->quorum.room = 64;
}

static unsigned leader_round(struct world *w)
{
	unsigned work = 0;
	const void *rec;
	size_t n;

	log_quick(w);
	while ((rec = zk_ring_next(&w->up, &n)) != NULL) {
		if (leader_message(w->leader, rec, n, w->now_ns, 1700000000000) != ZK_EOK) {
			zk_ring_unget(&w->up, rec);
			break;
		}
		log_quick(w);
		work++;
	}
	zk_ring_release(&w->up);
	work += leader_durable(w->leader, w->durable, 256, w->now_ns);
	work += leader_tick(w->leader, w->now_ns, 1700000000000);
	return work;
}

static unsigned round_once(struct world *w)
{
	unsigned work;

	w->now_ns += ROUND_NS;
	w->stats.rounds++;
	work = srv_begin(w->srv, w->now_ns);
	for (unsigned i = 0; i < CONNS; i++) {
		struct wconn *k = &w->conn[i];

		if (!k->c)
			continue;
		if (k->news) {
			k->news = false;
			srv_input(k->c, w->now_ns);
		}
		see(w, k);
	}
	srv_heard(w->srv);
	work += srv_end(w->srv, w->now_ns);
	for (unsigned i = 0; i < CONNS; i++)
		see(w, &w->conn[i]);
	return work + leader_round(w);
}

/* ---- connections ---- */

static void conn_gone(struct world *w, struct wconn *k)
{
	if (k->c)
		srv_gone(k->c, w->now_ns);
	w->stats.closed += k->c != NULL;
	free(k->in);
	free(k->out);
	*k = (struct wconn){0};
}

static void conn_new(struct world *w, struct wconn *k)
{
	conn_gone(w, k);
	*k = (struct wconn){.run_max = SIZE_MAX, .tail_max = 1448, .budget = SIZE_MAX / 2};
	k->c = srv_open(w->srv, k, "127.0.0.1", 1234, w->now_ns);
}

static void greet(struct world *w, struct wconn *k, uint8_t how)
{
	uint8_t b[64] = {0};
	size_t n = how & 1 ? 45 : 44;

	if (!k->c || k->greeted || k->wild)
		return;
	zk_put32(b, (uint32_t)n);
	zk_put64(b + 8, how & 2 ? leader_applied_zxid(w->leader) : 0);
	zk_put32(b + 16, (uint32_t)how << 6);
	zk_put32(b + 28, 16);
	if (how & 4) {
		zk_put64(b + 20, w->old.id);
		memcpy(b + 32, w->old.password, 16);
		b[32] ^= (how & 8) != 0;
	}
	k->greeted = true;
	in_add(k, b, 4 + n);
}

/* ---- requests ---- */

static void request(struct world *w, struct wconn *k)
{
	static const int32_t ops[] = {ZK_OP_CREATE,
				      ZK_OP_DELETE,
				      ZK_OP_EXISTS,
				      ZK_OP_GET_DATA,
				      ZK_OP_SET_DATA,
				      ZK_OP_GET_ACL,
				      ZK_OP_SET_ACL,
				      ZK_OP_GET_CHILDREN,
				      ZK_OP_SYNC,
				      ZK_OP_PING,
				      ZK_OP_GET_CHILDREN2,
				      ZK_OP_MULTI,
				      ZK_OP_CREATE2,
				      ZK_OP_RECONFIG,
				      ZK_OP_CHECK_WATCHES,
				      ZK_OP_REMOVE_WATCHES,
				      ZK_OP_CREATE_TTL,
				      ZK_OP_MULTI_READ,
				      ZK_OP_CREATE_CONTAINER,
				      ZK_OP_AUTH,
				      ZK_OP_SET_WATCHES,
				      ZK_OP_SASL,
				      ZK_OP_SET_WATCHES2,
				      ZK_OP_ADD_WATCH,
				      ZK_OP_WHO_AM_I,
				      ZK_OP_EXISTS,
				      ZK_OP_CREATE,
				      ZK_OP_CREATE,
				      ZK_OP_CLOSE_SESSION,
				      ZK_OP_CHECK,
				      ZK_OP_GET_EPHEMERALS,
				      ZK_OP_GET_ALL_CHILDREN_NUMBER};
	int32_t op = ops[byte(w) % (sizeof(ops) / sizeof(ops[0]))], xid;
	struct srv_world_req body = {.n = 12};
	uint8_t cut;

	/* these two end the connection: seldom */
	if ((op == ZK_OP_CLOSE_SESSION || op == ZK_OP_CHECK) && byte(w) > 40)
		op = ZK_OP_GET_DATA;
	if (!k->c || !k->greeted || k->shut || k->reset || k->expect_n == EXPECT_MAX)
		return;
	srv_world_body(&w->in, &body, op);
	cut = byte(w);
	if (cut > 240 && op != ZK_OP_AUTH) /* damaged: fewer bytes, or one that is wrong */
		body.n -= (cut - 240u) < body.n - 12 ? cut - 240u : body.n - 12;
	else if (cut > 230 && op != ZK_OP_AUTH && body.n > 12)
		body.b[12 + byte(w) % (body.n - 12)] ^= byte(w);
	xid = op == ZK_OP_AUTH ? ZK_XID_AUTH : op == ZK_OP_PING ? ZK_XID_PING : ++k->next_xid;
	zk_put32(body.b, (uint32_t)body.n - 4);
	zk_put32(body.b + 4, (uint32_t)xid);
	zk_put32(body.b + 8, (uint32_t)op);
	in_add(k, body.b, body.n);
	w->stats.requests++;
	if (op == ZK_OP_AUTH)
		return;
	k->expect[(k->expect_first + k->expect_n) % EXPECT_MAX] = xid;
	k->expect_n++;
}

static void noise(struct world *w, struct wconn *k)
{
	size_t n = byte(w) % 64;

	if (!k->c || k->shut || k->reset)
		return;
	n = n < w->in.n ? n : w->in.n;
	k->wild = true;
	if (!k->answered)
		k->greeted = false; /* the answer may be a four-letter word's */
	in_add(k, w->in.p, n);
	w->in.p += n;
	w->in.n -= n;
}

static void word(struct world *w, struct wconn *k)
{
	static const char *const words[] = {"ruok", "srvr", "stat", "mntr", "conf", "cons",
					    "wchs", "wchp", "wchc", "dump", "crst", "srst",
					    "gtmk", "stmk", "envi", "hash"};

	if (!k->c || k->shut || k->reset)
		return;
	k->wild = true;
	if (!k->answered)
		k->greeted = false;
	in_add(k, words[byte(w) % 16], 4);
}

static void budget(struct world *w, struct wconn *k)
{
	static const size_t sizes[] = {0, 1, 20, 100, 1448, 65536, SIZE_MAX / 2, SIZE_MAX / 2};
	uint8_t how = byte(w);

	if (!k->c)
		return;
	k->run_max = how & 64 ? SIZE_MAX : 1 + sizes[how & 3];
	k->tail_max = how & 128 ? 0 : 1448;
	k->budget = sizes[how & 7];
	srv_writable(k->c, w->now_ns);
	see(w, k);
}

static void role(struct world *w, enum srv_role to)
{
	w->stats.roles++;
	if (to == ROLE_LEADING)
		quorum_fake_epoch(&w->quorum, ++w->epoch);
	leader_role_set(w->leader, to, w->epoch, 0, w->now_ns);
}

static void role_change(struct world *w)
{
	static const enum srv_role roles[] = {ROLE_LOOKING,   ROLE_LEADING,  ROLE_FOLLOWING,
					      ROLE_OBSERVING, ROLE_READONLY, ROLE_LEADING};
	uint8_t how = byte(w);

	if (how >= 50) /* seldom, or nothing else happens */
		return;
	w->quorum.busy = how & 32;
	role(w, roles[how % 6]);
}

static void step(struct world *w)
{
	uint8_t op = byte(w);
	struct wconn *k = &w->conn[byte(w) % CONNS];

	if (op >= 100) {
		request(w, k);
		return;
	}
	switch (op % 16) {
	case 0:
		conn_new(w, k);
		break;
	case 1:
	case 2:
		if (!k->c)
			conn_new(w, k);
		greet(w, k, byte(w));
		break;
	case 3:
		noise(w, k);
		break;
	case 4:
		word(w, k);
		break;
	case 5:
		budget(w, k);
		break;
	case 6:
		if (k->c)
			srv_fin(k->c, w->now_ns);
		break;
	case 7:
		w->now_ns += (uint64_t)byte(w) * 50000000;
		break;
	case 8:
		w->slow_log = byte(w) & 1;
		break;
	case 9:
		w->durable = w->ensemble ? w->quorum.last : w->logged;
		w->quorum.durable = w->durable;
		w->log_room = w->quorum.room = byte(w) % 8;
		break;
	case 10:
		w->mem.limit_bytes = byte(w) < 128 ? w->mem.used_bytes + 16 * byte(w) : 0;
		break;
	case 12:
		if (w->ensemble)
			role_change(w);
		(void)round_once(w);
		break;
	case 11:
		if (k->shut || k->reset)
			conn_gone(w, k);
		break;
	default:
		(void)round_once(w);
	}
}

/* ---- the whole ---- */

static void world_init(struct world *w)
{
	struct tree_conf tc = {
		.mem = &w->tree_mem, .key = {1, 2}, .index_slots = 1024, .changes_soft_max = 1024};
	struct srv_conf sc = {.io = &io,
			      .mem = &w->mem,
			      .to_leader = &w->up,
			      .from_leader = &w->down,
			      .conns_max = CONNS,
			      .watches_max = 100,
			      .out_spill_bytes_max = 4096,
			      .reads_per_conn_round = 8};
	struct leader_conf lc = {.mem = &w->tree_mem,
				 .log = {.ctx = w, .append = log_append},
				 .to_core = {&w->down},
				 .cores = 1,
				 .server_id = 1,
				 .tick_ms = 2000,
				 .sessions_max = 20,
				 .pending_max = 64,
				 .jute_maxbuffer = MAXBUFFER};
	enum zk_err err;

	zk_mem_init_heap(&w->mem, 0);
	zk_mem_init_heap(&w->tree_mem, 0);
	w->now_ns = 1000000000;
	w->log_room = 64;
	w->shared = calloc(1, sizeof(*w->shared));
	zk_assert(w->shared);
	*w->shared = (struct srv_shared){.cores = 1,
					 .version = "3.9",
					 .built = "now",
					 .four_letter_words = srv_words_parse("*"),
					 .tick_ms = 2000,
					 .jute_maxbuffer = MAXBUFFER,
					 .max_client_cnxns = CONNS - 1,
					 .limit = {.outstanding = 40},
					 .sessionless_timeout_ms = 10000};
	if (w->ensemble) {
		const char *why;
		unsigned line;

		err = zab_members_parse(zk_span_str("server.1=h:2888:3888\nserver.2=i:2888:3888\n"
						    "server.3=j:2888:3888\n"),
					&w->members, &why, &line);
		zk_assert(err == ZK_EOK);
		quorum_fake_init(&w->quorum);
		w->view = (struct quorum_view){.members = &w->members, .sid = 1};
		w->shared->quorum = &w->view;
		w->shared->local_sessions = true;
		lc.quorum = &w->quorum.q;
	}
	err = tree_new(&tc, &w->tree);
	zk_assert(err == ZK_EOK);
	err = zk_ring_init(&w->up, &w->tree_mem, RING);
	zk_assert(err == ZK_EOK);
	err = zk_ring_init(&w->down, &w->tree_mem, RING);
	zk_assert(err == ZK_EOK);
	lc.tree = sc.tree = w->tree;
	w->shared->tree = w->tree;
	sc.reader = tree_reader_add(w->tree);
	sc.shared = w->shared;
	err = srv_new(&sc, w->now_ns, &w->srv);
	zk_assert(err == ZK_EOK);
	w->shared->srv[0] = w->srv;
	err = leader_new(&lc, w->now_ns, &w->leader);
	zk_assert(err == ZK_EOK);
	w->shared->leader = w->leader;
	if (w->ensemble)
		role(w, ROLE_LEADING);
}

static void collect(struct world *w)
{
	struct tree_garbage *g;

	while (tree_collect(w->tree, 1000))
		;
	g = tree_garbage_take(w->tree);
	while (g && !tree_garbage_free(w->tree, g, 1000))
		;
}

/** Everything open comes to its end; nothing may be left. */
static void world_fini(struct world *w)
{
	w->mem.limit_bytes = 0;
	w->slow_log = false;
	if (w->ensemble) { /* or what waits for a leader waits for ever */
		role(w, ROLE_LOOKING);
		role(w, ROLE_LEADING);
	}
	for (unsigned i = 0; i < CONNS; i++) {
		struct wconn *k = &w->conn[i];

		if (!k->c)
			continue;
		k->budget = SIZE_MAX / 2;
		srv_writable(k->c, w->now_ns);
	}
	for (unsigned i = 0; i < 50; i++)
		(void)round_once(w);
	srv_drain(w->srv, w->now_ns);
	for (unsigned i = 0; i < 1000 && !srv_drained(w->srv); i++)
		(void)round_once(w);
	zk_assert(srv_drained(w->srv));
	for (unsigned i = 0; i < CONNS; i++)
		conn_gone(w, &w->conn[i]);
	for (unsigned i = 0; i < 4; i++) {
		(void)round_once(w);
		collect(w);
	}
	zk_assert(w->shared->limits.conns == 0 && w->shared->limits.in_process == 0);
	leader_free(w->leader);
	srv_free(w->srv);
	zk_assert(w->mem.used_bytes == 0);
	zk_ring_fini(&w->up);
	zk_ring_fini(&w->down);
	tree_free(w->tree);
	zk_assert(w->tree_mem.used_bytes == 0);
	free(w->shared);
	if (w->ensemble)
		quorum_fake_fini(&w->quorum);
}

void srv_world_run(const uint8_t *p, size_t n, bool ensemble, struct srv_world_stats *out)
{
	struct world *w = calloc(1, sizeof(*w));

	zk_assert(w);
	w->in = (struct srv_world_in){p, n};
	w->ensemble = ensemble;
	world_init(w);
	for (unsigned i = 0; i < OPS_MAX && w->in.n > 0; i++)
		step(w);
	world_fini(w);
	if (out) {
		out->requests += w->stats.requests;
		out->replies += w->stats.replies;
		out->events += w->stats.events;
		out->sessions += w->stats.sessions;
		out->closed += w->stats.closed;
		out->rounds += w->stats.rounds;
		out->roles += w->stats.roles;
	}
	free(w);
}
