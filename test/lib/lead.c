/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/lead.h"

#include "core/base/assert.h"
#include "core/tree/digest.h"

#include <stdio.h>
#include <stdlib.h>

static bool log_append(void *ctx, uint64_t zxid, struct zk_span txn)
{
	struct lead *d = ctx;
	struct lead_txn *t;

	if (d->log_room == 0)
		return false;
	if (d->log_room != ~0u)
		d->log_room--;
	zk_assert(d->log_n < LEAD_LOG_MAX && zxid == d->logged + 1);
	t = &d->log[d->log_n++];
	t->zxid = zxid;
	t->n = txn.n;
	t->p = malloc(txn.n);
	memcpy(t->p, txn.p, txn.n);
	d->logged = zxid;
	return true;
}

static void log_roll(void *ctx)
{
	struct lead *d = ctx;

	d->rolls++;
	d->rolled_zxid = d->logged;
}

struct lead *lead_open(const struct lead_opt *opt)
{
	struct lead *d = calloc(1, sizeof(*d));
	struct leader_conf c = {0};
	struct tree_conf tc = {.mem = &d->tree_mem,
			       .key = {1, 2},
			       .index_slots = 1 << 16,
			       .changes_soft_max =
				       opt->changes_soft_max ? opt->changes_soft_max : 1 << 16,
			       .digest = opt->digest};

	zk_mem_init_heap(&d->mem, 0);
	zk_mem_init_heap(&d->tree_mem, opt->tree_limit);
	zk_assert(tree_new(&tc, &d->tree) == ZK_EOK);
	if (opt->restore)
		opt->restore(d->tree, opt->restore_ctx);
	d->reader = tree_reader_add(d->tree);
	if (opt->prepare)
		opt->prepare(d->tree);
	d->logged = tree_last_zxid(d->tree);
	d->now_ns = opt->now_ns ? opt->now_ns : UINT64_C(1000) * 1000000000;
	d->wall_ms = 1700000000000;
	d->log_room = ~0u;
	d->log = calloc(LEAD_LOG_MAX, sizeof(*d->log));
	d->ids_n = auth_ids_init(d->ids, "127.0.0.1");
	d->next_xid = 1;
	c.tree = d->tree;
	c.mem = &d->mem;
	c.log = (struct leader_log){.ctx = d, .append = log_append, .roll = log_roll};
	c.cores = LEAD_CORES;
	c.quorum = opt->quorum;
	c.restored = opt->restored;
	c.restored_n = opt->restored_n ? *opt->restored_n : 0;
	d->role = opt->quorum ? ROLE_LOOKING : ROLE_ALONE;
	c.server_id = opt->server_id ? opt->server_id : 1;
	c.local_sessions = opt->local_sessions;
	c.tick_ms = 2000;
	c.sessions_max = LEAD_SESSIONS_MAX;
	c.hold_max_ms = opt->hold_max_ms;
	c.pending_max = opt->pending_max;
	c.ask_bytes = opt->ask_bytes;
	c.jute_maxbuffer = opt->jute_maxbuffer;
	c.extended_types = opt->extended_types;
	c.enforce_quota = opt->enforce_quota;
	c.reap_interval_ms = opt->reap_interval_ms;
	c.reap_per_minute = opt->reap_per_minute;
	c.reap_never_used_ms = opt->reap_never_used_ms;
	c.snap_desk = opt->snap_desk;
	c.snap_count = opt->snap_count;
	c.snap_size_bytes = opt->snap_size_bytes;
	c.snap_seed = opt->snap_seed;
	c.auth.skip_acl = opt->skip_acl;
	if (opt->super_digest)
		snprintf(c.auth.super_digest, sizeof(c.auth.super_digest), "%s", opt->super_digest);
	for (unsigned i = 0; i < LEAD_CORES; i++) {
		zk_assert(zk_ring_init(&d->ring[i], &d->mem,
				       opt->ring_bytes ? opt->ring_bytes : 1 << 20) == ZK_EOK);
		c.to_core[i] = &d->ring[i];
	}
	zk_assert(leader_new(&c, d->now_ns, &d->l) == ZK_EOK);
	return d;
}

void lead_forget(struct lead *d)
{
	for (size_t i = 0; i < d->out_n; i++)
		free(d->out[i].body);
	d->out_n = 0;
}

static void reclaim(struct lead *d)
{
	struct tree_change c;
	struct tree_garbage *g;

	while (tree_change_next(d->reader, &c)) {
		if (c.kind == TREE_CHANGE_END)
			tree_reader_advance(d->reader, c.zxid);
	}
	while (tree_collect(d->tree, 1000))
		;
	/* One thread: nobody is inside, the grace period is over. */
	while ((g = tree_garbage_take(d->tree))) {
		while (!tree_garbage_free(d->tree, g, 1000))
			;
	}
}

void lead_close(struct lead *d)
{
	lead_forget(d);
	reclaim(d);
	for (size_t i = 0; i < d->log_n; i++)
		free(d->log[i].p);
	free(d->log);
	leader_free(d->l);
	for (unsigned i = 0; i < LEAD_CORES; i++)
		zk_ring_fini(&d->ring[i]);
	tree_free(d->tree);
	zk_assert(d->mem.used_bytes == 0 && d->tree_mem.used_bytes == 0);
	free(d);
}

static void take(struct lead *d, const void *rec, size_t n)
{
	const struct msg *h = rec;
	struct lead_out *o = &d->out[d->out_n];

	if (h->kind == MSG_ROLE) {
		d->term = ((const struct msg_role *)rec)->term;
		d->role = (enum srv_role)((const struct msg_role *)rec)->role;
		return;
	}
	if (h->kind == MSG_ROLL) {
		d->question[h->core] = ((const struct msg_roll *)rec)->number;
		return;
	}
	d->out_n++;
	zk_assert(d->out_n < LEAD_OUT_MAX);
	*o = (struct lead_out){.kind = h->kind, .core = h->core, .conn = h->conn};
	if (h->kind == MSG_REPLY) {
		const struct msg_reply *r = rec;

		zk_assert(n == sizeof(*r) + r->body_bytes);
		o->xid = r->xid;
		o->op = r->op;
		o->err = (enum zk_err)r->err;
		o->zxid = r->zxid;
		o->drop = r->drop;
		o->body_n = r->body_bytes;
		o->body = malloc(o->body_n + 1);
		memcpy(o->body, r + 1, o->body_n);
		/* The order of effects: published before answered. */
		zk_assert(r->zxid <= tree_last_zxid(d->tree));
	} else if (h->kind == MSG_KICK || h->kind == MSG_SESSION_OPENED) {
		const struct msg_session *s = rec;

		zk_assert(n == sizeof(*s));
		o->session = s->session;
		o->timeout_ms = s->timeout_ms;
		o->attached = s->attached;
		memcpy(o->password, s->password, 16);
	} else {
		o->body_n = n;
		o->body = malloc(n);
		memcpy(o->body, rec, n);
	}
}

size_t lead_read_core(struct lead *d, unsigned core, size_t max)
{
	const void *rec;
	size_t n, got = 0;

	while (got < max && (rec = zk_ring_next(&d->ring[core], &n))) {
		take(d, rec, n);
		got++;
	}
	zk_ring_release(&d->ring[core]);
	return got;
}

void lead_read(struct lead *d)
{
	for (unsigned i = 0; i < LEAD_CORES; i++)
		lead_read_core(d, i, SIZE_MAX);
	reclaim(d);
}

void lead_durable(struct lead *d, uint64_t zxid, unsigned budget)
{
	(void)leader_durable(d->l, zxid, budget, d->now_ns);
	lead_read(d);
}

void lead_roll(struct lead *d, unsigned core, uint64_t hold_until_ns)
{
	struct msg_roll m = {.h = {.kind = MSG_ROLL_ANSWER, .core = (uint16_t)core},
			     .number = d->question[core],
			     .hold_until_ns = hold_until_ns};

	zk_assert(d->question[core]);
	d->question[core] = 0;
	zk_assert(leader_message(d->l, &m, sizeof(m), d->now_ns, d->wall_ms) == ZK_EOK);
}

void lead_tick(struct lead *d, uint64_t now_ns)
{
	bool again = true;

	d->now_ns = now_ns;
	while (again) {
		again = false;
		(void)leader_tick(d->l, now_ns, d->wall_ms);
		if (d->late)
			lead_read(d);
		else
			lead_durable(d, d->logged, ~0u);
		for (unsigned i = 0; i < LEAD_CORES; i++) {
			if (!d->question[i] || d->mute[i])
				continue;
			lead_roll(d, i, 0);
			again = true;
		}
	}
}

static enum zk_err offer(struct lead *d, const void *rec, size_t n)
{
	enum zk_err err = leader_message(d->l, rec, n, d->now_ns, d->wall_ms);

	if (!d->late)
		lead_durable(d, d->logged, ~0u);
	return err;
}

static struct msg head(const struct lead *d, uint16_t kind, unsigned core, uint32_t conn)
{
	return (struct msg){
		.kind = kind, .core = (uint16_t)core, .conn = {conn, 1}, .term = d->term};
}

enum zk_err lead_ask_session(struct lead *d, unsigned core, uint32_t conn, int32_t timeout_ms)
{
	struct msg_session m = {.h = head(d, MSG_SESSION_CREATE, core, conn),
				.timeout_ms = timeout_ms};

	return offer(d, &m, sizeof(m));
}

uint64_t lead_session(struct lead *d, unsigned core, uint32_t conn, int32_t timeout_ms)
{
	size_t n = d->out_n;
	bool late = d->late;

	d->late = false;
	zk_assert(lead_ask_session(d, core, conn, timeout_ms) == ZK_EOK);
	d->late = late;
	zk_assert(d->out_n > n && d->out[d->out_n - 1].kind == MSG_SESSION_OPENED);
	return d->out[d->out_n - 1].session;
}

enum zk_err lead_send(struct lead *d, unsigned core, uint32_t conn, uint64_t session, int32_t xid,
		      int32_t op, struct zk_span body)
{
	static _Alignas(8) uint8_t buf[(1 << 21) + 4096];
	struct msg_request r = {.h = head(d, MSG_REQUEST, core, conn),
				.xid = xid,
				.op = op,
				.session = session,
				.received_ns = d->now_ns,
				.since_ns = d->now_ns,
				.ids_bytes = (uint32_t)d->ids_n,
				.body_bytes = (uint32_t)body.n};

	zk_assert(sizeof(r) + d->ids_n + body.n <= sizeof(buf));
	memcpy(buf, &r, sizeof(r));
	memcpy(buf + sizeof(r), d->ids, d->ids_n);
	if (body.n)
		memcpy(buf + sizeof(r) + d->ids_n, body.p, body.n);
	return offer(d, buf, sizeof(r) + d->ids_n + body.n);
}

const struct lead_out *lead_call(struct lead *d, uint64_t session, int32_t op, struct zk_span body)
{
	int32_t xid = (int32_t)d->next_xid++;

	zk_assert(!d->late);
	lead_forget(d);
	/* Sessions of tests sit on connection (0, low byte). */
	zk_assert(lead_send(d, 0, (uint32_t)(session & 0xff), session, xid, op, body) == ZK_EOK);
	zk_assert(d->out_n == 1 && d->out[0].kind == MSG_REPLY && d->out[0].xid == xid);
	return &d->out[0];
}

enum zk_err lead_err(struct lead *d, uint64_t session, int32_t op, struct zk_span body)
{
	return lead_call(d, session, op, body)->err;
}

enum zk_err lead_attach(struct lead *d, unsigned core, uint32_t conn, uint64_t session,
			int32_t timeout_ms, const uint8_t password[16])
{
	struct msg_session m = {.h = head(d, MSG_SESSION_ATTACH, core, conn),
				.session = session,
				.timeout_ms = timeout_ms,
				.password_ok = password ? 1 : 0};

	if (password)
		memcpy(m.password, password, 16);
	return offer(d, &m, sizeof(m));
}

enum zk_err lead_touch(struct lead *d, unsigned core, uint64_t session)
{
	_Alignas(8) uint8_t buf[sizeof(struct msg_touch) + 8];
	struct msg_touch m = {.h = head(d, MSG_TOUCH, core, 0), .through_ns = d->now_ns, .n = 1};

	memcpy(buf, &m, sizeof(m));
	memcpy(buf + sizeof(m), &session, 8);
	return offer(d, buf, sizeof(buf));
}

enum zk_err lead_detach(struct lead *d, unsigned core, uint32_t conn, uint64_t session)
{
	struct msg_session m = {.h = head(d, MSG_DETACH, core, conn), .session = session};

	return offer(d, &m, sizeof(m));
}

/* ---- looking at the tree ----------------------------------------------------------------- */

const char *lead_node(struct lead *d, const char *path)
{
	static char text[512];
	struct tree_ref ref;
	struct tree_raw raw;

	if (!tree_find_newest(d->tree, zk_span_str(path), &ref))
		return "none";
	tree_raw(ref, &raw);
	struct zk_span data = tree_data(ref);

	snprintf(text, sizeof(text), "v%d cv%d av%d ch%u own%llx %s%.*s", raw.version, raw.cversion,
		 raw.aversion, raw.children, (unsigned long long)raw.owner, data.p ? "=" : "null",
		 (int)data.n, data.p ? (const char *)data.p : "");
	return text;
}

static uint64_t node_hash(struct tree_ref ref, struct zk_span path)
{
	const struct zk_hash_key k = {3, 4};
	struct tree_raw raw = {0}, r;
	struct zk_span data = tree_data(ref), acl = tree_acl(ref)->jute;
	uint64_t h = zk_hash13(&k, path.p, path.n) * 3 + zk_hash13(&k, data.p, data.n) * 5;

	tree_raw(ref, &r);
	raw.czxid = r.czxid;
	raw.mzxid = r.mzxid;
	raw.pzxid = r.pzxid;
	raw.ctime = r.ctime;
	raw.mtime = r.mtime;
	raw.version = r.version;
	raw.cversion = r.cversion;
	raw.aversion = r.aversion;
	raw.owner = r.owner;
	raw.children = r.children;
	h += (data.p != NULL) + zk_hash13(&k, acl.p, acl.n) * 7;
	h += zk_hash13(&k, &raw.czxid, 24) + zk_hash13(&k, &raw.ctime, 16) * 11;
	h += zk_mix64((uint64_t)(uint32_t)raw.version << 32 | (uint32_t)raw.cversion) +
	     zk_mix64((uint64_t)(uint32_t)raw.aversion << 32 | raw.children) * 13 +
	     zk_mix64(raw.owner);
	return zk_mix64(h);
}

/* What DigestCalculator.java makes of one node. */
static uint64_t node_digest(struct tree_ref ref)
{
	struct tree_raw raw;

	if (!tree_digest_counts(tree_path(ref.node)))
		return 0;
	tree_raw(ref, &raw);
	return tree_digest_node(tree_digest_content(tree_path(ref.node), tree_data(ref)), &raw);
}

static uint64_t subtree_hash(struct lead *d, struct zk_span path, uint64_t *digest)
{
	struct tree_ref ref;
	const struct tree_node *child;
	uint64_t cursor = 0, sum, zxid = tree_visible(d->reader);
	bool found = tree_find(d->tree, path, zxid, &ref);

	zk_assert(found);
	sum = node_hash(ref, path);
	*digest += node_digest(ref);
	while (tree_child_next(ref, zxid, &cursor, 1000, &child)) {
		if (child)
			sum += subtree_hash(d, tree_path(child), digest);
	}
	return sum;
}

uint64_t lead_tree_hash(struct lead *d)
{
	uint64_t digest = 0;

	reclaim(d);
	return subtree_hash(d, zk_span_str("/"), &digest);
}

uint64_t lead_subtree_hash(struct lead *d, const char *path)
{
	uint64_t digest = 0;
	struct tree_ref ref;

	reclaim(d);
	if (!tree_find_newest(d->tree, zk_span_str(path), &ref))
		return 0;
	return subtree_hash(d, zk_span_str(path), &digest);
}

void lead_digest_check(struct lead *d)
{
	uint64_t digest = 0;

	reclaim(d);
	(void)subtree_hash(d, zk_span_str("/"), &digest);
	zk_assert(digest == tree_digest(d->tree));
}
