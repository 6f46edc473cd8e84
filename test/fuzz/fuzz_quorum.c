/* SPDX-License-Identifier: Apache-2.0 */
/* Byte strings as what strangers, learners and leaders say to one member of an ensemble with its
 * real machine and tree, as noise and as packets at the right moment, while connections come, go
 * and have no room, the disk is slow, memory runs out and state is replaced. */
#include "core/base/assert.h"
#include "core/server/quorum.h"
#include "core/tree/load.h"
#include "test/lib/lead.h"

#include <stdlib.h>

enum { TUBES = 8, TUBE_BYTES = 1 << 16, DATA_MAX = 1 << 14, OPS_MAX = 600 };

static const uint64_t ms = 1000000;

/* One connection: what comes in is the input's, what goes out is only counted. */
struct tube {
	bool used, dialling, over;
	enum quorum_port port;
	struct quorum_conn *conn;
	uint8_t in[TUBE_BYTES];
	size_t head, tail, unacked;
	bool full;
};

struct member {
	const uint8_t *p, *end;
	struct zab_members members;
	struct zk_mem mem;
	struct lead *d;
	struct quorum *q;
	struct leader_quorum lq;
	struct quorum_view view;
	struct tube tube[TUBES];
	uint64_t now_ns, logged, durable, zxid; /* zxid: of what a leader has proposed */
	size_t window, room;
	bool slow, dead;
	unsigned lines;
};

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static unsigned next(struct member *m)
{
	return m->p < m->end ? *m->p++ : 0;
}

/* ---- transport ---- */

static struct member *here; /* one at a time */

static struct zk_span on_peek(void *ctx, size_t skip)
{
	const struct tube *t = ctx;
	size_t n = t->tail - t->head - skip;

	return zk_span_of(t->in + t->head + skip, n > here->window ? here->window : n);
}

static size_t on_readable(void *ctx)
{
	const struct tube *t = ctx;

	return t->tail - t->head;
}

static void on_read_done(void *ctx, size_t n)
{
	struct tube *t = ctx;

	zk_assert(n <= t->tail - t->head);
	t->head += n;
}

static size_t on_unacked(void *ctx)
{
	return ((const struct tube *)ctx)->unacked;
}

static size_t on_write(void *ctx, const void *p, size_t n)
{
	struct tube *t = ctx;
	size_t room = here->room > t->unacked ? here->room - t->unacked : 0;
	volatile uint8_t sum = 0;

	zk_assert(t->used && !t->over && !t->dialling);
	t->full = n > room;
	n = n < room ? n : room;
	for (size_t i = 0; i < n; i++) /* all of it can be read */
		sum = (uint8_t)(sum + ((const uint8_t *)p)[i]);
	t->unacked += n;
	return n;
}

static void on_end(void *ctx)
{
	((struct tube *)ctx)->over = true;
}

static const struct srv_io io = {.peek = on_peek,
				 .readable = on_readable,
				 .read_done = on_read_done,
				 .write = on_write,
				 .unacked = on_unacked,
				 .shutdown = on_end,
				 .abort = on_end};

static struct tube *tube_new(struct member *m, enum quorum_port port)
{
	for (unsigned i = 0; i < TUBES; i++) {
		struct tube *t = &m->tube[i];

		if (t->used)
			continue;
		t->used = true;
		t->port = port;
		t->dialling = t->over = t->full = false;
		t->head = t->tail = t->unacked = 0;
		return t;
	}
	return NULL;
}

static bool on_dial(void *ctx, struct quorum_conn *conn, struct zk_span address)
{
	struct member *m = ctx;
	bool learners = address.n > 2 && address.p[address.n - 1] == '1';
	struct tube *t = tube_new(m, learners ? QUORUM_PORT_LEARNERS : QUORUM_PORT_ELECTION);

	if (!t)
		return false;
	t->dialling = true;
	t->conn = conn;
	return true;
}

static void tube_accept(struct member *m, enum quorum_port port)
{
	struct tube *t = tube_new(m, port);

	if (!t)
		return;
	t->conn = quorum_accepted(m->q, port, t, m->now_ns);
	t->used = t->conn != NULL;
}

static void tube_gone(struct member *m, struct tube *t)
{
	t->used = false;
	if (t->dialling)
		quorum_dialled(m->q, t->conn, NULL, m->now_ns);
	else
		quorum_gone(m->q, t->conn, m->now_ns);
}

static void put(struct member *m, struct tube *t, const void *p, size_t n)
{
	if (!t || !t->used || t->dialling || t->over || t->tail + n > TUBE_BYTES)
		return;
	memcpy(t->in + t->tail, p, n);
	t->tail += n;
	quorum_input(m->q, t->conn, m->now_ns);
}

/* ---- disk ---- */

static bool on_append(void *ctx, uint64_t zxid, struct zk_span txn)
{
	struct member *m = ctx;

	(void)txn;
	zk_assert(zxid > m->logged);
	m->logged = zxid;
	return true;
}

static uint64_t on_durable(void *ctx)
{
	return ((const struct member *)ctx)->durable;
}

static void on_epoch_write(void *ctx, enum zab_file file, uint64_t epoch)
{
	(void)epoch;
	quorum_epoch_written(((struct member *)ctx)->q, file);
}

static void on_feed_begin(void *ctx, uint32_t link, uint64_t from, uint64_t bound)
{
	(void)ctx, (void)link, (void)from, (void)bound;
}

static void on_feed_cancel(void *ctx, uint32_t link)
{
	(void)ctx, (void)link;
}

static enum zk_err on_feed_next(void *ctx, uint32_t link, uint64_t *zxid, struct zk_span *txn)
{
	(void)link, (void)zxid, (void)txn;
	return ((const struct member *)ctx)->slow ? ZK_EAGAIN : ZK_ENOENT;
}

static void on_feed_pop(void *ctx, uint32_t link)
{
	(void)ctx, (void)link;
}

static void on_say(void *ctx, const char *line)
{
	((struct member *)ctx)->lines += line[0] != 0;
}

/* ---- life ---- */

static void restore(struct tree *t, void *ctx)
{
	const struct member *m = ctx;

	zk_assert(tree_load_open(t) == ZK_EOK);
	tree_load_zxid(t, m->durable);
	tree_load_settle(t);
	tree_load_close(t);
}

static void machine(struct member *m)
{
	struct lead_opt opt = {.quorum = &m->lq,
			       .now_ns = m->now_ns,
			       .pending_max = 64,
			       .restore = restore,
			       .restore_ctx = m};
	struct quorum_bind bind = {.log = {.ctx = m, .append = on_append}, .durable = on_durable};

	m->d = lead_open(&opt);
	m->d->late = true;
	bind.leader = m->d->l;
	bind.tree = m->d->tree;
	quorum_bind(m->q, &bind, m->now_ns);
}

static void rebuild(struct member *m)
{
	struct quorum_rebuild r;
	struct zk_span w;
	bool ok;

	quorum_rebuild_get(m->q, &r);
	ok = r.zxid >> 48 == 0 && next(m) % 4;
	if (r.kind == QUORUM_REBUILD_SNAP) {
		if (quorum_rebuild_peek(m->q, &w) != ZK_EOK)
			ok = false;
		else
			quorum_rebuild_take(m->q, w.n < next(m) ? w.n : 0);
	} else if (r.zxid > m->logged) {
		ok = r.zxid == UINT64_MAX;
		r.zxid = m->logged;
	}
	if (ok)
		m->logged = r.zxid;
	m->durable = m->logged;
	lead_close(m->d);
	machine(m);
	quorum_rebuilt(m->q, m->durable, ok, m->now_ns);
}

static void round_of(struct member *m)
{
	m->now_ns += ms;
	m->d->now_ns = m->now_ns;
	for (unsigned i = 0; i < TUBES; i++) {
		struct tube *t = &m->tube[i];

		if (!t->used)
			continue;
		if (t->over) {
			tube_gone(m, t);
		} else if (t->dialling) {
			t->dialling = false;
			quorum_dialled(m->q, t->conn, t, m->now_ns);
		} else if (t->full && t->unacked < m->room) {
			t->full = false;
			quorum_writable(m->q, t->conn, m->now_ns);
		}
	}
	if (!m->slow)
		m->durable = m->logged;
	(void)quorum_poll(m->q, m->now_ns, m->d->wall_ms++);
	if (quorum_rebuild_wanted(m->q)) {
		rebuild(m);
		return;
	}
	(void)leader_tick(m->d->l, m->now_ns, m->d->wall_ms);
	(void)leader_durable(m->d->l, quorum_limit(m->q), 64, m->now_ns);
	lead_read(m->d);
	lead_forget(m->d);
}

static void rounds(struct member *m, unsigned n)
{
	for (; n; n--)
		round_of(m);
}

/* ---- what others say ---- */

static void say_packet(struct member *m, struct tube *t, int32_t type, uint64_t zxid,
		       struct zk_span data)
{
	uint8_t buf[1024];
	struct jute_out out = jute_out_of(buf, sizeof(buf));

	zab_packet_put(&out, &(struct zab_packet){.type = type, .zxid = zxid, .data = data});
	if (!out.full)
		put(m, t, buf, jute_out_len(&out));
}

static struct zk_span nothing(void)
{
	return (struct zk_span){NULL, 0};
}

static struct zk_span input(struct member *m, size_t n)
{
	struct zk_span s;

	if (n > (size_t)(m->end - m->p))
		n = (size_t)(m->end - m->p);
	s = zk_span_of(m->p, n);
	m->p += n;
	return s;
}

static void say_notification(struct member *m, struct tube *t, unsigned state, unsigned round)
{
	uint8_t buf[256];
	struct jute_out out = jute_out_of(buf, sizeof(buf));
	struct zab_notification n = {.state = (enum zab_state)(state % 4),
				     .leader = 2,
				     .zxid = (int64_t)m->logged,
				     .round = round,
				     .version = 2,
				     .config = zk_span_str("version=0")};

	zab_notification_put(&out, &n);
	put(m, t, buf, jute_out_len(&out));
}

static void say_hello(struct member *m, struct tube *t, int64_t sid)
{
	uint8_t buf[64];
	struct jute_out out = jute_out_of(buf, sizeof(buf));

	zab_hello_put(&out, &(struct zab_hello){.sid = sid, .address = zk_span_str("h2:2")});
	put(m, t, buf, jute_out_len(&out));
}

static void say_info(struct member *m, struct tube *t, unsigned sid, bool observer)
{
	uint8_t buf[32];
	struct jute_out out = jute_out_of(buf, sizeof(buf));

	zab_learner_info_put(&out, sid, 0);
	say_packet(m, t, observer ? ZAB_OBSERVERINFO : ZAB_FOLLOWERINFO, 0,
		   zk_span_of(buf, jute_out_len(&out)));
}

/* A transaction that can be read: of an error, of a session, of a node. */
static void say_proposal(struct member *m, struct tube *t, unsigned what, bool inform)
{
	uint8_t buf[256];
	struct jute_out out = jute_out_of(buf, sizeof(buf));
	struct txn_header h = {.client = 77, .cxid = 1, .zxid = ++m->zxid, .time_ms = 5};

	h.type = what % 3 == 0 ? -1 : what % 3 == 1 ? ZK_OP_CREATE_SESSION : ZK_OP_CREATE;
	txn_put_header(&out, &h);
	if (h.type == ZK_OP_CREATE) {
		jute_put_bytes(&out, zk_span_str(what % 2 ? "/a" : "/b"));
		jute_put_bytes(&out, zk_span_str("data"));
		jute_put_i32(&out, -1);
		jute_put_bool(&out, what % 4 == 0);
		jute_put_i32(&out, 1);
	} else {
		jute_put_i32(&out, what % 3 == 0 ? -101 : 4000);
	}
	say_packet(m, t, inform ? ZAB_INFORM : ZAB_PROPOSAL, m->zxid,
		   zk_span_of(buf, jute_out_len(&out)));
}

static struct tube *tube_of(struct member *m, enum quorum_port port)
{
	for (unsigned i = 0; i < TUBES; i++)
		if (m->tube[i].used && !m->tube[i].dialling && !m->tube[i].over &&
		    m->tube[i].port == port)
			return &m->tube[i];
	return NULL;
}

/* Server 2 is elected; @p follow: and leads. */
static void prelude_learner(struct member *m, bool follow)
{
	static const uint8_t version[4] = {0, 1, 0, 0};
	struct tube *t;

	rounds(m, 5);
	for (unsigned i = 0; i < TUBES; i++)
		if (m->tube[i].used)
			m->tube[i].over = true; /* it has knocked, and is called back */
	rounds(m, 2);
	tube_accept(m, QUORUM_PORT_ELECTION);
	t = tube_of(m, QUORUM_PORT_ELECTION);
	say_hello(m, t, 2);
	say_notification(m, t, ZAB_LOOKING, 1);
	for (unsigned n = 0; n < 100 && !tube_of(m, QUORUM_PORT_LEARNERS); n++)
		round_of(m);
	t = tube_of(m, QUORUM_PORT_LEARNERS);
	zk_assert(t);
	if (!follow)
		return;
	say_packet(m, t, ZAB_LEADERINFO, UINT64_C(1) << 32, zk_span_of(version, 4));
	rounds(m, 3);
	say_packet(m, t, ZAB_DIFF, 0, nothing());
	say_packet(m, t, ZAB_NEWLEADER, UINT64_C(1) << 32, nothing());
	rounds(m, 3);
	say_packet(m, t, ZAB_UPTODATE, UINT64_MAX, nothing());
	rounds(m, 3);
	m->zxid = UINT64_C(1) << 32;
	zk_assert(m->d->role == ROLE_FOLLOWING);
}

/* It leads alone; @p followed: server 2 observes. */
static void prelude_leader(struct member *m, bool followed)
{
	static const uint8_t epoch[4] = {0, 0, 0, 0};
	struct tube *t;

	for (unsigned n = 0; n < 100 && m->d->role != ROLE_LEADING; n++)
		round_of(m);
	zk_assert(m->d->role == ROLE_LEADING);
	if (!followed)
		return;
	tube_accept(m, QUORUM_PORT_LEARNERS);
	t = tube_of(m, QUORUM_PORT_LEARNERS);
	say_info(m, t, 2, true);
	rounds(m, 2);
	say_packet(m, t, ZAB_ACKEPOCH, 0, zk_span_of(epoch, 4));
	rounds(m, 2);
	say_packet(m, t, ZAB_ACK, UINT64_C(1) << 32, nothing());
	rounds(m, 2);
	zk_assert(atomic_load(&m->view.synced_observers) == 1);
}

/* ---- operations ---- */

static uint64_t some_zxid(struct member *m)
{
	switch (next(m) % 6) {
	case 0:
		return 0;
	case 1:
		return UINT64_C(1) << 32;
	case 2:
		return m->zxid;
	case 3:
		return m->zxid + 1;
	case 4:
		return UINT64_MAX;
	default:
		return (uint64_t)next(m) << 32 | next(m);
	}
}

static void packet(struct member *m, struct tube *t)
{
	int32_t type = (int32_t)(next(m) % 21);
	uint64_t zxid = some_zxid(m);
	unsigned n = next(m);

	if ((type == ZAB_PROPOSAL || type == ZAB_INFORM) && zxid == m->zxid + 1)
		m->zxid++; /* it may be committed later */
	say_packet(m, t, type, zxid, n == 255 ? nothing() : input(m, n % 64));
}

static void client(struct member *m)
{
	if (next(m) % 2)
		(void)lead_ask_session(m->d, 0, next(m) % 4, 4000);
	else
		(void)lead_send(m->d, 0, next(m) % 4, UINT64_C(1) << 56 | next(m), 1, ZK_OP_SYNC,
				req_path("/"));
}

static void operation(struct member *m)
{
	unsigned c = next(m);
	struct tube *t = &m->tube[c >> 4 & (TUBES - 1)];

	switch (c & 15) {
	case 0:
		tube_accept(m, c & 128 ? QUORUM_PORT_ELECTION : QUORUM_PORT_LEARNERS);
		break;
	case 1: {
		struct zk_span s = input(m, next(m));

		put(m, t, s.p, s.n);
		break;
	}
	case 2:
	case 3:
		packet(m, t);
		break;
	case 4:
		if (t->used && !t->dialling)
			t->over = true;
		break;
	case 5:
		rounds(m, 1 + next(m) % 64);
		break;
	case 6:
		t->unacked = next(m) % 2 ? t->unacked / 2 : 0;
		break;
	case 7:
		m->slow = !m->slow;
		break;
	case 8:
		client(m);
		break;
	case 9:
		say_notification(m, t, next(m), next(m) % 8);
		break;
	case 10:
		say_proposal(m, t, next(m), c & 128);
		break;
	case 11:
		say_packet(m, t, ZAB_COMMIT, m->zxid - next(m) % 2, nothing());
		break;
	case 12:
		say_info(m, t, next(m) % 5, c & 128);
		break;
	case 13:
		say_hello(m, t, (int64_t)(next(m) % 6) - 1);
		break;
	case 14:
		m->window = 1 + next(m) * 8;
		m->room = 64 + next(m) * 64;
		break;
	case 15:
		m->mem.limit_bytes = next(m) % 4 ? 0 : m->mem.used_bytes + next(m) * 64;
		break;
	}
}

static void run(struct member *m, unsigned mode)
{
	static const char *const config[] = {
		"server.1=h1:1:2\nserver.2=h2:1:2:observer\nserver.3=h3:1:2:observer\n",
		"server.1=h1:1:2\nserver.2=h2:1:2\n"};
	struct quorum_conf c = {.zab = {.sid = 1,
					.now = &m->members,
					.tick_ms = 200,
					.init_limit = 10,
					.sync_limit = 5,
					.settle_ms = 20,
					.heartbeat_ms = 20,
					.heartbeat_timeout_ms = 200,
					.history_entries = 64,
					.history_bytes = 4 * DATA_MAX,
					.data_max = DATA_MAX},
				.address = zk_span_str("h1:2"),
				.mem = &m->mem,
				.net = {m, &io, on_dial, 1 << 14},
				.disk = {m, on_epoch_write, on_feed_begin, on_feed_cancel,
					 on_feed_next, on_feed_pop},
				.view = &m->view,
				.say = on_say,
				.say_ctx = m,
				.read_only = mode & 4};
	const char *why;
	unsigned line;

	zk_assert(zab_members_parse(zk_span_str(config[mode & 1]), &m->members, &why, &line) ==
		  ZK_EOK);
	zk_mem_init_heap(&m->mem, 0);
	zk_assert(quorum_new(&c, m->now_ns, &m->q) == ZK_EOK);
	m->lq = quorum_for_leader(m->q);
	machine(m);
	if (mode & 1)
		prelude_learner(m, mode & 2);
	else
		prelude_leader(m, mode & 2);
	for (unsigned n = 0; m->p < m->end && n < OPS_MAX; n++) {
		operation(m);
		round_of(m);
	}
	rounds(m, 20);
	lead_close(m->d);
	quorum_free(m->q);
	zk_assert(m->mem.used_bytes == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (!n)
		return 0;
	here = calloc(1, sizeof(*here));
	here->p = p + 1;
	here->end = p + n;
	here->window = 1500;
	here->room = 1 << 14;
	here->now_ns = UINT64_C(1000) * 1000000000;
	run(here, p[0]);
	free(here);
	return 0;
}
