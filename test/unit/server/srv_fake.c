/* SPDX-License-Identifier: Apache-2.0 */
#include "test/unit/server/srv_fake.h"

#include "core/base/assert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- transport ---- */

static struct zk_span io_peek(void *t, size_t skip)
{
	struct fake_conn *fc = t;
	size_t left = fc->in_n - fc->in_at;
	size_t n = left > skip ? left - skip : 0;

	if (fc->run_max && n > fc->run_max)
		n = fc->run_max;
	return zk_span_of(fc->in + fc->in_at + skip, n);
}

static size_t io_readable(void *t)
{
	const struct fake_conn *fc = t;

	return fc->in_n - fc->in_at;
}

static void io_read_done(void *t, size_t n)
{
	struct fake_conn *fc = t;

	assert_true(n <= fc->in_n - fc->in_at);
	/* what was read is gone: nobody may look at it again */
	memset(fc->in + fc->in_at, 0xdd, n);
	fc->in_at += n;
}

static void *io_tail(void *t, size_t n)
{
	struct fake_conn *fc = t;

	assert_int_equal(fc->room_n, 0);
	assert_false(fc->shut || fc->reset);
	if (n > fc->tail_max || n > fc->budget || n > sizeof(fc->room))
		return NULL;
	fc->room_n = n;
	memset(fc->room, 0xee, n);
	return fc->room;
}

static void put_out(struct fake_conn *fc, const void *p, size_t n)
{
	assert_true(fc->out_n + n <= FAKE_BUF);
	memcpy(fc->out + fc->out_n, p, n);
	fc->out_n += n;
	fc->budget -= n;
}

static void io_tail_commit(void *t, size_t used)
{
	struct fake_conn *fc = t;

	assert_true(used <= fc->room_n);
	put_out(fc, fc->room, used);
	fc->room_n = 0;
}

static size_t io_write(void *t, const void *p, size_t n)
{
	struct fake_conn *fc = t;

	assert_int_equal(fc->room_n, 0);
	assert_false(fc->shut || fc->reset);
	if (n > fc->budget)
		n = fc->budget;
	put_out(fc, p, n);
	return n;
}

static size_t io_unacked(void *t)
{
	(void)t;
	return 0;
}

static void io_shutdown(void *t)
{
	struct fake_conn *fc = t;

	assert_false(fc->shut || fc->reset);
	fc->shut = true;
}

static void io_abort(void *t)
{
	struct fake_conn *fc = t;

	fc->reset = true;
}

static const struct srv_io io = {io_peek,  io_readable, io_read_done, io_tail, io_tail_commit,
				 io_write, io_unacked,  io_shutdown,  io_abort};

/* ---- machine ---- */

static struct srv_os os_facts(void)
{
	return (struct srv_os){
		.open_files = 33, .max_files = 1024, .data_dir_bytes = 123, .log_dir_bytes = 456};
}

struct fake *fake_new(const struct fake_conf *conf)
{
	static const struct fake_conf none;
	struct fake *f = calloc(1, sizeof(*f));
	struct tree_conf tc;
	struct srv_conf sc;

	assert_non_null(f);
	conf = conf ? conf : &none;
	zk_mem_init_heap(&f->mem, 0);
	tc = (struct tree_conf){
		.mem = &f->mem, .key = {3, 4}, .index_slots = 1 << 16, .changes_soft_max = 1 << 16};
	assert_int_equal(tree_new(&tc, &f->tree), ZK_EOK);
	f->reader = tree_reader_add(f->tree);
	assert_non_null(f->reader);
	assert_int_equal(
		zk_ring_init(&f->up, &f->mem, conf->ring_bytes ? conf->ring_bytes : 8 << 20),
		ZK_EOK);
	assert_int_equal(zk_ring_init(&f->down, &f->mem, 8 << 20), ZK_EOK);
	f->now_ns = 1000000000;
	f->next_session = 0x0100000000000001;
	f->shared = (struct srv_shared){
		.cores = 1,
		.tree = f->tree,
		.version = "3.9.5-test",
		.built = "2026-01-01 00:00 UTC",
		.four_letter_words = srv_words_parse("*"),
		.tick_ms = 2000,
		.min_session_timeout_ms = 4000,
		.max_session_timeout_ms = 40000,
		.jute_maxbuffer = conf->maxbuffer ? conf->maxbuffer : ZK_JUTE_MAXBUFFER_DEFAULT,
		.max_client_cnxns = conf->max_cnxns,
		.limit = conf->limit,
		.listen_backlog = -1,
		.sessionless_timeout_ms = 10000,
		.client_port = 2181,
		.data_dir = "/data/version-2",
		.data_log_dir = "/log/version-2",
		.started_wall_ms = 1700000000000,
		.os = os_facts,
		.server_id = 1,
		.quorum = conf->quorum,
		.local_sessions = conf->local_sessions,
		.init_limit = 10,
		.sync_limit = 5,
	};
	sc = (struct srv_conf){.shared = &f->shared,
			       .io = conf->io ? conf->io : &io,
			       .mem = &f->mem,
			       .tree = f->tree,
			       .reader = f->reader,
			       .to_leader = &f->up,
			       .from_leader = &f->down,
			       .key = {5, 6},
			       .conns_max = conf->conns_max ? conf->conns_max : FAKE_CONNS,
			       .events_room = conf->events_room,
			       .events_ctx = conf->events_ctx,
			       .out_spill_bytes_max = conf->spill_max ? conf->spill_max : 1 << 20,
			       .reads_per_conn_round = conf->reads_round};
	assert_int_equal(srv_new(&sc, f->now_ns, &f->srv), ZK_EOK);
	f->shared.srv[0] = f->srv;
	if (conf->limit.outstanding == 0)
		f->shared.limit.outstanding = 1000000;
	if (conf->mem_limit)
		f->mem.limit_bytes = f->mem.used_bytes + conf->mem_limit;
	return f;
}

static void collect(struct fake *f)
{
	struct tree_garbage *g;

	while (tree_collect(f->tree, 1000))
		;
	g = tree_garbage_take(f->tree);
	while (g && !tree_garbage_free(f->tree, g, 1000))
		;
}

void fake_free(struct fake *f)
{
	for (unsigned i = 0; i < FAKE_CONNS; i++) {
		struct fake_conn *fc = &f->conn[i];

		if (fc->c && !fc->gone)
			fake_gone(fc);
		free(fc->in);
		free(fc->out);
	}
	fake_round(f);
	for (unsigned i = 0; i < 4; i++)
		collect(f);
	assert_int_equal(f->shared.limits.conns, 0);
	assert_int_equal(f->shared.limits.in_process, 0);
	srv_free(f->srv);
	zk_ring_fini(&f->up);
	zk_ring_fini(&f->down);
	tree_free(f->tree);
	assert_int_equal(f->mem.used_bytes, 0);
	free(f);
}

struct fake_conn *fake_open(struct fake *f)
{
	for (unsigned i = 0; i < FAKE_CONNS; i++) {
		struct fake_conn *fc = &f->conn[i];

		if (fc->c && !fc->gone)
			continue;
		free(fc->in);
		free(fc->out);
		*fc = (struct fake_conn){.f = f,
					 .in = malloc(FAKE_BUF),
					 .out = malloc(FAKE_BUF),
					 .tail_max = 1448,
					 .budget = FAKE_BUF};
		fc->c = srv_open(f->srv, fc, "127.0.0.1", (uint16_t)(40000 + i), f->now_ns);
		return fc->c ? fc : NULL;
	}
	return NULL;
}

void fake_send(struct fake_conn *fc, const void *p, size_t n)
{
	if (fc->in_at == fc->in_n)
		fc->in_at = fc->in_n = 0;
	assert_true(fc->in_n + n <= FAKE_BUF);
	memcpy(fc->in + fc->in_n, p, n);
	fc->in_n += n;
	fc->news = true;
}

void fake_gone(struct fake_conn *fc)
{
	srv_gone(fc->c, fc->f->now_ns);
	fc->gone = true;
}

void fake_round(struct fake *f)
{
	(void)srv_begin(f->srv, f->now_ns);
	for (unsigned i = 0; i < FAKE_CONNS; i++) {
		struct fake_conn *fc = &f->conn[i];

		if (!fc->c || fc->gone || !fc->news)
			continue;
		fc->news = false;
		srv_input(fc->c, f->now_ns);
	}
	if (!f->deaf)
		srv_heard(f->srv);
	(void)srv_end(f->srv, f->now_ns);
	if (!f->hold)
		(void)fake_leader(f);
}

void fake_settle(struct fake *f)
{
	for (unsigned i = 0; i < 10000; i++) {
		unsigned work = srv_begin(f->srv, f->now_ns);

		for (unsigned k = 0; k < FAKE_CONNS; k++) {
			struct fake_conn *fc = &f->conn[k];

			if (!fc->c || fc->gone || !fc->news)
				continue;
			fc->news = false;
			srv_input(fc->c, f->now_ns);
			work++;
		}
		work += srv_end(f->srv, f->now_ns);
		if (!f->hold)
			work += fake_leader(f);
		if (work == 0)
			return;
	}
	fail_msg("never settles");
}

void fake_advance(struct fake *f, uint64_t ms)
{
	for (uint64_t step; ms; ms -= step) {
		step = ms < 100 ? ms : 100;
		f->now_ns += step * 1000000;
		fake_round(f);
	}
}

void fake_writable(struct fake_conn *fc, size_t budget)
{
	fc->budget = budget;
	srv_writable(fc->c, fc->f->now_ns);
}

/* ---- leader ---- */

static void begin_next(struct fake *f)
{
	f->zxid++;
	tree_begin(f->tree, f->zxid, (int64_t)(f->zxid * 1000));
}

uint64_t fake_tx_acl(struct fake *f, const char *path, const char *data, struct zk_span acl)
{
	begin_next(f);
	assert_int_equal(tree_create(f->tree, zk_span_str(path), zk_span_str(data), acl, 0, -1),
			 ZK_EOK);
	tree_end(f->tree);
	return f->zxid;
}

uint64_t fake_tx(struct fake *f, enum zk_op op, const char *path, const char *data)
{
	struct tree_ref ref;
	struct tree_raw raw;
	struct zk_span p = zk_span_str(path);

	if (op == ZK_OP_CREATE)
		return fake_tx_acl(f, path, data, (struct zk_span){NULL, 0});
	begin_next(f);
	if (op == ZK_OP_DELETE) {
		assert_int_equal(tree_delete(f->tree, p), ZK_EOK);
	} else {
		assert_true(tree_find_newest(f->tree, p, &ref));
		tree_raw(ref, &raw);
		assert_int_equal(tree_set_data(f->tree, p, zk_span_str(data), raw.version + 1),
				 ZK_EOK);
	}
	tree_end(f->tree);
	return f->zxid;
}

static void down(struct fake *f, const void *p, size_t n, struct zk_span body)
{
	uint8_t *r = zk_ring_reserve(&f->down, n + body.n);

	assert_non_null(r);
	memcpy(r, p, n);
	if (body.n)
		memcpy(r + n, body.p, body.n);
	zk_ring_commit(&f->down, n + body.n);
	zk_ring_publish(&f->down);
}

static void on_session(struct fake *f, const struct msg_session *m)
{
	struct msg_session r = *m;

	if (m->h.kind == MSG_DETACH) {
		f->detaches++;
		f->last_detached = m->session;
		return;
	}
	r.h.kind = MSG_SESSION_OPENED;
	r.attached = m->h.kind == MSG_SESSION_ATTACH;
	f->creates += !r.attached;
	f->attaches += r.attached;
	if (r.attached && !m->password_ok)
		r.timeout_ms = 0;
	if (f->refuse)
		r.timeout_ms = 0;
	if (!r.attached) {
		r.session = f->next_session++;
		begin_next(f);
		tree_end(f->tree);
	}
	down(f, &r, sizeof(r), (struct zk_span){NULL, 0});
}

/** Does the operation on the tree, as far as the tests need it. */
static enum zk_err apply(struct fake *f, const struct msg_request *m, struct jute_in *in,
			 struct jute_out *out)
{
	struct zk_span path = jute_bytes(in), data;
	struct tree_ref ref;
	struct tree_raw raw;
	struct zk_stat stat;
	enum zk_err err;

	switch (m->op) {
	case ZK_OP_CREATE:
		data = jute_bytes(in);
		err = tree_create(f->tree, path, data, (struct zk_span){NULL, 0}, 0, -1);
		if (err == ZK_EOK)
			jute_put_bytes(out, path);
		return err;
	case ZK_OP_SET_DATA:
		data = jute_bytes(in);
		if (!tree_find_newest(f->tree, path, &ref))
			return ZK_NONODE;
		tree_raw(ref, &raw);
		err = tree_set_data(f->tree, path, data, raw.version + 1);
		assert_true(tree_find_newest(f->tree, path, &ref));
		tree_stat(ref, &stat);
		jute_put_stat(out, &stat);
		return err;
	case ZK_OP_DELETE:
		return tree_delete(f->tree, path);
	case ZK_OP_SYNC:
		jute_put_bytes(out, path);
		return ZK_EOK;
	default:
		return ZK_EOK;
	}
}

static void on_request(struct fake *f, const struct msg_request *m)
{
	uint8_t body[4096];
	const uint8_t *p = (const uint8_t *)(m + 1);
	struct jute_in in = jute_in_of(msg_request_body(m));
	struct jute_out out = jute_out_of(body, sizeof(body));
	struct auth_ids ids;
	struct msg_reply r = {.h = m->h,
			      .xid = m->xid,
			      .op = m->op,
			      .since_ns = m->since_ns,
			      .request_bytes = m->body_bytes,
			      .drop = f->move};

	assert_int_equal(auth_ids_parse(zk_span_of(p, m->ids_bytes), &ids), ZK_EOK);
	assert_true(ids.n >= 1);
	f->requests++;
	r.h.kind = MSG_REPLY;
	if (m->op != ZK_OP_SYNC)
		begin_next(f);
	r.err = f->move ? 0 : apply(f, m, &in, &out);
	if (r.err)
		out.p = out.start;
	if (m->op != ZK_OP_SYNC && !f->no_apply)
		tree_end(f->tree);
	r.zxid = f->zxid;
	r.body_bytes = (uint32_t)jute_out_len(&out);
	down(f, &r, sizeof(r), zk_span_of(body, r.body_bytes));
}

static void on_gather(struct fake *f, const struct msg_gather *m, struct zk_span text)
{
	struct msg_gather r = *m;

	f->asks += m->h.kind == MSG_GATHER_ASK;
	r.h.kind = m->h.kind == MSG_GATHER_ASK ? MSG_GATHER : MSG_GATHER_TEXT;
	r.cores = 1;
	down(f, &r, sizeof(r), text);
}

void fake_role(struct fake *f, enum srv_role role)
{
	struct msg_role m = {
		.h = {.kind = MSG_ROLE}, .role = role, .term = ++f->term, .epoch = f->term};

	down(f, &m, sizeof(m), (struct zk_span){NULL, 0});
}

struct fake *fake_serving(const struct fake_conf *conf, enum srv_role role)
{
	struct fake *f = fake_new(conf);

	fake_role(f, role);
	fake_settle(f);
	return f;
}

char *fake_word(struct fake *f, const char *text)
{
	static char out[65536];
	struct fake_conn *fc = fake_open(f);

	assert_non_null(fc);
	fake_send(fc, text, strlen(text));
	fake_settle(f);
	assert_true(fc->shut);
	assert_true(fc->out_n < sizeof(out));
	memcpy(out, fc->out, fc->out_n);
	out[fc->out_n] = '\0';
	fake_gone(fc);
	return out;
}

void fake_roll(struct fake *f, uint64_t number)
{
	struct msg_roll *m = zk_ring_reserve(&f->down, sizeof(*m));

	assert_non_null(m);
	*m = (struct msg_roll){.h = {.kind = MSG_ROLL}, .number = number};
	zk_ring_commit(&f->down, sizeof(*m));
	zk_ring_publish(&f->down);
}

unsigned fake_leader(struct fake *f)
{
	unsigned work = 0;
	const void *rec;
	size_t n;

	while ((rec = zk_ring_next(&f->up, &n))) {
		const struct msg *h = rec;
		const struct msg_touch *t = rec;
		const struct msg_gather *g = rec;

		work++;
		assert_int_equal(h->core, 0);
		assert_true(h->term <= f->term);
		if (h->term != f->term && h->kind != MSG_TOUCH && h->kind != MSG_DETACH &&
		    h->kind != MSG_ROLL_ANSWER && h->kind < MSG_GATHER_ASK) {
			f->crossed++;
			continue;
		}
		switch (h->kind) {
		case MSG_REQUEST:
			on_request(f, rec);
			break;
		case MSG_SESSION_CREATE:
		case MSG_SESSION_ATTACH:
		case MSG_DETACH:
			on_session(f, rec);
			break;
		case MSG_TOUCH:
			f->touches++;
			f->touched += t->n;
			assert_true(t->through_ns >= f->through_ns && t->through_ns <= f->now_ns);
			f->through_ns = t->through_ns;
			break;
		case MSG_ROLL_ANSWER:
			f->rolls++;
			f->roll = *(const struct msg_roll *)rec;
			break;
		case MSG_GATHER_ASK:
		case MSG_GATHER_PART:
			on_gather(f, g, zk_span_of(g + 1, g->text_bytes));
			break;
		default:
			fail_msg("message kind %u", h->kind);
		}
	}
	zk_ring_release(&f->up);
	return work;
}

/* ---- requests and replies ---- */

void req_start(struct req *r, int32_t xid, int32_t op)
{
	r->n = 4;
	req_i32(r, xid);
	req_i32(r, op);
}

void req_u8(struct req *r, uint8_t v)
{
	assert_true(r->n < sizeof(r->b));
	r->b[r->n++] = v;
}

void req_i32(struct req *r, int32_t v)
{
	assert_true(r->n + 4 <= sizeof(r->b));
	zk_put32(r->b + r->n, (uint32_t)v);
	r->n += 4;
}

void req_i64(struct req *r, int64_t v)
{
	req_i32(r, (int32_t)(v >> 32));
	req_i32(r, (int32_t)v);
}

void req_str(struct req *r, const char *s)
{
	size_t n = s ? strlen(s) : 0;

	req_i32(r, s ? (int32_t)n : -1);
	assert_true(r->n + n <= sizeof(r->b));
	if (n)
		memcpy(r->b + r->n, s, n);
	r->n += n;
}

void req_end(struct req *r)
{
	zk_put32(r->b, (uint32_t)r->n - 4);
}

struct zk_span req_acl_of(struct req *r, int32_t perms, const char *scheme, const char *id)
{
	r->n = 0;
	req_i32(r, 1);
	req_i32(r, perms);
	req_str(r, scheme);
	req_str(r, id);
	return zk_span_of(r->b, r->n);
}

void req_send(struct req *r, struct fake_conn *fc)
{
	req_end(r);
	fake_send(fc, r->b, r->n);
}

void ask_path(struct fake_conn *fc, int32_t xid, int32_t op, const char *path, bool watch)
{
	struct req r;

	req_start(&r, xid, op);
	req_str(&r, path);
	req_u8(&r, watch);
	req_send(&r, fc);
}

void ask_path_i32(struct fake_conn *fc, int32_t xid, int32_t op, const char *path, int32_t v)
{
	struct req r;

	req_start(&r, xid, op);
	req_str(&r, path);
	req_i32(&r, v);
	req_send(&r, fc);
}

void ask_create(struct fake_conn *fc, int32_t xid, const char *path, const char *data)
{
	struct req r;

	req_start(&r, xid, ZK_OP_CREATE);
	req_str(&r, path);
	req_str(&r, data);
	req_i32(&r, 1);
	req_i32(&r, ZK_PERM_ALL);
	req_str(&r, "world");
	req_str(&r, "anyone");
	req_i32(&r, 0);
	req_send(&r, fc);
}

void ask_set(struct fake_conn *fc, int32_t xid, const char *path, const char *data)
{
	struct req r;

	req_start(&r, xid, ZK_OP_SET_DATA);
	req_str(&r, path);
	req_str(&r, data);
	req_i32(&r, -1);
	req_send(&r, fc);
}

void ask_plain(struct fake_conn *fc, int32_t xid, int32_t op)
{
	struct req r;

	req_start(&r, xid, op);
	req_send(&r, fc);
}

struct fake_conn *fake_session(struct fake *f)
{
	uint8_t hello[64];
	size_t n = hex_bytes("0000002d 00000000 0000000000000000 00002710 0000000000000000"
			     "00000010 00000000000000000000000000000000 00",
			     hello, sizeof(hello));
	struct fake_conn *fc = fake_open(f);

	assert_non_null(fc);
	fake_send(fc, hello, n);
	fake_settle(f);
	assert_int_equal(fc->out_n, 41);
	fc->out_at = 41;
	return fc;
}

struct zk_span fake_out(const struct fake_conn *fc)
{
	return zk_span_of(fc->out + fc->out_at, fc->out_n - fc->out_at);
}

struct got got_next(struct fake_conn *fc)
{
	struct zk_span o = fake_out(fc);
	struct got g = {0};
	size_t n = o.n >= 4 ? zk_get32(o.p) : 0;

	if (o.n < 4 || o.n - 4 < n)
		return g;
	assert_true(n >= ZK_REPLY_HEADER_BYTES);
	g.any = true;
	g.xid = (int32_t)zk_get32(o.p + 4);
	g.zxid = (int64_t)zk_get64(o.p + 8);
	g.err = (int32_t)zk_get32(o.p + 16);
	g.body_n = n - ZK_REPLY_HEADER_BYTES;
	g.body = jute_in_of(zk_span_of(o.p + 20, g.body_n));
	fc->out_at += 4 + n;
	return g;
}

struct got got_reply(struct fake_conn *fc, int32_t xid, int32_t err)
{
	struct got g = got_next(fc);

	assert_true(g.any);
	assert_int_equal(g.xid, xid);
	assert_int_equal(g.err, err);
	return g;
}

void got_event(struct fake_conn *fc, int64_t zxid, enum zk_event ev, const char *path)
{
	struct got g = got_next(fc);

	assert_true(g.any);
	assert_int_equal(g.xid, ZK_XID_WATCH);
	assert_int_equal(g.err, 0);
	assert_int_equal(g.zxid, zxid);
	assert_int_equal(jute_i32(&g.body), ev);
	assert_int_equal(jute_i32(&g.body), ZK_STATE_SYNC_CONNECTED);
	assert_true(got_text(&g.body, path));
	assert_int_equal(jute_left(&g.body), 0);
}

void got_nothing(struct fake_conn *fc)
{
	assert_int_equal(fc->out_n - fc->out_at, 0);
}

bool got_text(struct jute_in *in, const char *want)
{
	struct zk_span s = jute_bytes(in);

	return !in->bad && zk_span_eq(s, zk_span_str(want));
}

size_t hex_bytes(const char *text, uint8_t *out, size_t cap)
{
	size_t n = 0;
	unsigned v;

	for (; *text; text += 2) {
		while (*text == ' ')
			text++;
		if (!*text)
			break;
		assert_int_equal(sscanf(text, "%2x", &v), 1);
		assert_true(n < cap);
		out[n++] = (uint8_t)v;
	}
	return n;
}
