/* SPDX-License-Identifier: Apache-2.0 */
/* What must be true, seen from outside. */
#include "core/base/hash.h"
#include "core/server/quorum_int.h"
#include "core/txn/op.h"
#include "test/sim/cluster_int.h"

#include <stdio.h>
#include <stdlib.h>

static const struct zk_hash_key key = {5, 6};

/* ---- values ---- */

size_t cl_value_text(uint32_t value, char *out)
{
	size_t n = (size_t)snprintf(out, CL_VALUE_MAX, "v%u ", value);
	size_t all = value % 7 ? n + value % 30 : n + value * 37 % (CL_VALUE_MAX - 40);

	memset(out + n, 'x', all - n);
	out[all] = 0;
	return all;
}

uint32_t cl_value_of(struct zk_span data)
{
	char text[CL_VALUE_MAX];
	uint32_t value = 0;
	size_t i = 1;

	if (data.n < 3 || data.p[0] != 'v')
		return UINT32_MAX;
	for (; i < data.n && data.p[i] >= '0' && data.p[i] <= '9'; i++)
		value = value * 10 + (data.p[i] - '0');
	if (cl_value_text(value, text) != data.n || memcmp(text, data.p, data.n) != 0)
		return UINT32_MAX;
	return value;
}

int cl_key_of(struct zk_span path)
{
	if (path.n != 3 || path.p[1] != 'k' || path.p[2] >= '0' + CL_KEYS)
		return -1;
	return path.p[2] - '0';
}

/* ---- life ---- */

void cl_check_init(struct cl *w)
{
	w->order_cap = w->version_cap = w->acked_cap = 4096;
	w->order = malloc(w->order_cap * sizeof(*w->order));
	w->version = malloc(w->version_cap * sizeof(*w->version));
	w->acked = malloc(w->acked_cap * sizeof(*w->acked));
	zk_assert(w->order && w->version && w->acked);
}

void cl_check_fini(struct cl *w)
{
	for (uint32_t i = 0; i < w->logged_n; i++)
		free(w->logged[i].p);
	free(w->logged);
	free(w->order);
	free(w->version);
	free(w->acked);
}

/* A leader's tree is at the start of its epoch before the first transaction. */
static bool epoch_start(uint64_t zxid)
{
	return (uint32_t)zxid == 0;
}

/* ---- what is logged ---- */

/* The place of @p zxid among what was logged, or where it would be. */
static uint32_t logged_at(const struct cl *w, uint64_t zxid)
{
	uint32_t low = 0, high = w->logged_n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (w->logged[mid].zxid < zxid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

void cl_check_logged(struct cl *w, const struct cl_server *s, uint64_t prev, uint64_t zxid,
		     struct zk_span txn)
{
	uint32_t at = logged_at(w, zxid);
	struct cl_logged *l;

	if (at < w->logged_n && w->logged[at].zxid == zxid) {
		l = &w->logged[at];
		if (l->n != txn.n || memcmp(l->p, txn.p, txn.n) != 0)
			cl_broken(w, s->index, "two transactions of one zxid", zxid);
		if (epoch_start(l->prev)) /* somebody else may know better */
			l->prev = prev;
		return;
	}
	if (w->logged_n == w->logged_cap) {
		w->logged_cap = w->logged_cap ? 2 * w->logged_cap : 4096;
		w->logged = realloc(w->logged, w->logged_cap * sizeof(*w->logged));
		zk_assert(w->logged);
	}
	l = &w->logged[at];
	memmove(l + 1, l, (w->logged_n++ - at) * sizeof(*l));
	*l = (struct cl_logged){zxid, prev, malloc(txn.n + 1), (uint32_t)txn.n};
	zk_assert(l->p);
	memcpy(l->p, txn.p, txn.n);
}

/* ---- what is committed ---- */

static void note_version(struct cl *w, const struct txn_record *r)
{
	int32_t type = r->op.type;
	int k = cl_key_of(r->op.path);

	if (k < 0 || (type != ZK_OP_CREATE && type != ZK_OP_CREATE2 && type != ZK_OP_SET_DATA &&
		      type != ZK_OP_DELETE))
		return;
	if (w->version_n == w->version_cap) {
		w->version_cap *= 2;
		w->version = realloc(w->version, w->version_cap * sizeof(*w->version));
		zk_assert(w->version);
	}
	w->version[w->version_n++] =
		(struct cl_version){.zxid = r->header.zxid,
				    .exists = type != ZK_OP_DELETE,
				    .value = type == ZK_OP_DELETE ? 0 : cl_value_of(r->op.data),
				    .key = (uint32_t)k};
}

static void check_quorum(struct cl *w, const struct cl_server *s, const struct cl_txn *t)
{
	uint64_t set = 0;
	uint32_t at;

	for (unsigned i = 0; i < w->n; i++) {
		const struct cl_disk *d = &w->server[i].disk;
		const struct cl_txn *o = cl_disk_find(d, t->zxid, &at);

		if (d->base_zxid >= t->zxid ||
		    (o && at < d->synced && o->n == t->n && memcmp(o->p, t->p, t->n) == 0))
			set |= UINT64_C(1) << i;
	}
	if (!zab_members_quorum(&w->members, set))
		cl_broken(w, s->index, "committed and not on the disks of a quorum", t->zxid);
}

static void commit(struct cl *w, const struct cl_server *s, const struct cl_txn *t)
{
	struct txn_record r;
	enum zk_err err = txn_read(zk_span_of(t->p, t->n), &r);

	zk_assert(err == ZK_EOK);
	if (w->order_n && t->zxid <= w->order[w->order_n - 1].zxid)
		cl_broken(w, s->index, "commits are out of order", t->zxid);
	check_quorum(w, s, t);
	if (w->order_n == w->order_cap) {
		w->order_cap *= 2;
		w->order = realloc(w->order, w->order_cap * sizeof(*w->order));
		zk_assert(w->order);
	}
	w->order[w->order_n++] = (struct cl_committed){.zxid = t->zxid,
						       .session = r.header.client,
						       .cxid = r.header.cxid,
						       .sum = zk_hash13(&key, t->p, t->n)};
	note_version(w, &r);
}

/* The number of the first committed one above @p zxid. */
static uint32_t above(const struct cl *w, uint64_t zxid)
{
	uint32_t low = 0, high = w->order_n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (w->order[mid].zxid <= zxid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Who leads may have its state from somebody who was elected, sent it and was gone before it could
 * serve: nobody has seen the newest of it committed, and it is from now on. An observer may show
 * what its own log has no room for yet, before any voter hears that it is committed. */
static void commit_base(struct cl *w, const struct cl_server *s, uint64_t base)
{
	uint64_t last = w->order_n ? w->order[w->order_n - 1].zxid : 0;
	const struct cl_logged *l;
	uint32_t at;

	if (base <= last || epoch_start(base) || w->failed)
		return;
	at = logged_at(w, base);
	l = &w->logged[at];
	if (at == w->logged_n || l->zxid != base || l->prev < last) {
		cl_broken(w, s->index, "holds the state of something that was never logged", base);
		return;
	}
	commit_base(w, s, l->prev);
	l = &w->logged[at];
	commit(w, s, &(struct cl_txn){.zxid = base, .p = l->p, .n = l->n});
}

static void begin(struct cl *w, struct cl_server *s)
{
	uint64_t base = s->disk.base_zxid;
	uint64_t epoch = s->quorum->z.epoch;
	size_t before;

	s->served = true;
	s->log_at = 0;
	commit_base(w, s, base);
	s->order_at = above(w, base);
	if (!epoch_start(base) && (!s->order_at || w->order[s->order_at - 1].zxid != base))
		cl_broken(w, s->index, "holds the state of something not committed", base);
	if (s->quorum->z.role != ZAB_LEADING)
		return;
	w->leaders++;
	zk_assert(epoch < CL_EPOCHS);
	if (w->epoch_leader[epoch] && w->epoch_leader[epoch] != s->index + 1)
		cl_broken(w, s->index, "a second leader of one epoch", epoch);
	w->epoch_leader[epoch] = s->index + 1;
	before = w->order_n;
	/* A leader that was stopped hears late that it leads: it cannot have what a later one has
	 * committed meanwhile. */
	while (before > 0 && w->order[before - 1].zxid >> 32 >= epoch)
		before--;
	if (before > 0 && leader_applied_zxid(s->leader) < w->order[before - 1].zxid)
		cl_broken(w, s->index, "leads without a committed transaction",
			  w->order[before - 1].zxid);
}

static void check_digest(struct cl *w, const struct cl_server *s)
{
	uint32_t at = above(w, tree_last_zxid(s->tree));
	struct cl_committed *c = &w->order[at - 1];

	if (!at || tree_last_zxid(s->tree) != c->zxid)
		return;
	if (c->has_digest && c->digest != tree_digest(s->tree))
		cl_broken(w, s->index, "another state at the same zxid", c->zxid);
	c->digest = tree_digest(s->tree);
	c->has_digest = true;
}

void cl_check_server(struct cl *w, struct cl_server *s)
{
	uint64_t applied;

	if (!cl_serves(s)) {
		s->served = false;
		return;
	}
	if (!s->served)
		begin(w, s);
	applied = leader_applied_zxid(s->leader);
	for (; s->log_at < s->disk.n && s->disk.log[s->log_at].zxid <= applied && !w->failed;
	     s->log_at++, s->order_at++) {
		const struct cl_txn *t = &s->disk.log[s->log_at];

		if (s->order_at == w->order_n)
			commit(w, s, t);
		else if (w->order[s->order_at].zxid != t->zxid ||
			 w->order[s->order_at].sum != zk_hash13(&key, t->p, t->n))
			cl_broken(w, s->index, "another history than the one committed", t->zxid);
	}
	if (s->quorum->z.role == ZAB_OBSERVING)
		commit_base(w, s, applied);
	check_digest(w, s);
}

/* ---- what clients see ---- */

void cl_check_acked(struct cl *w, const struct cl_client *c, const struct cl_asked *a,
		    uint64_t zxid)
{
	if (zxid <= a->floor)
		cl_broken(w, c->server, "a write goes before one acknowledged before it began",
			  zxid);
	if (zxid > w->acked_max)
		w->acked_max = zxid;
	w->writes++;
	if (w->acked_n == w->acked_cap) {
		w->acked_cap *= 2;
		w->acked = realloc(w->acked, w->acked_cap * sizeof(*w->acked));
		zk_assert(w->acked);
	}
	w->acked[w->acked_n++] =
		(struct cl_acked){.zxid = zxid, .session = c->session, .cxid = a->xid};
}

void cl_check_read(struct cl *w, const struct cl_client *c, unsigned k, uint64_t zxid, bool exists,
		   uint32_t value, uint64_t mzxid)
{
	const struct cl_version *v = NULL;

	if (!epoch_start(zxid) && (!w->order_n || zxid > w->order[w->order_n - 1].zxid)) {
		cl_broken(w, c->server, "a read of a state that is not committed", zxid);
		return;
	}
	for (uint32_t i = w->version_n; i > 0 && !v; i--)
		if (w->version[i - 1].key == k && w->version[i - 1].zxid <= zxid)
			v = &w->version[i - 1];
	if (exists != (v && v->exists) || (exists && (v->value != value || v->zxid != mzxid)))
		cl_broken(w, c->server, "a read gives another value than the state it names", zxid);
	if (c->watch[k].armed && v && v->zxid > c->watch[k].zxid)
		cl_broken(w, c->server, "a change is seen before its watch fires", v->zxid);
}

/* ---- the end ---- */

static void check_acks(struct cl *w)
{
	for (uint32_t i = 0; i < w->acked_n && !w->failed; i++) {
		const struct cl_acked *a = &w->acked[i];
		uint32_t at = above(w, a->zxid);

		if (!at || w->order[at - 1].zxid != a->zxid ||
		    w->order[at - 1].session != a->session || w->order[at - 1].cxid != a->cxid)
			cl_broken(w, 0, "an acknowledged write is lost", a->zxid);
	}
}

void cl_check_end(struct cl *w)
{
	uint64_t last = w->order_n ? w->order[w->order_n - 1].zxid : 0;

	check_acks(w);
	for (unsigned i = 0; i < w->n && !w->failed; i++) {
		const struct cl_server *s = &w->server[i];

		if (!cl_serves(s))
			cl_broken(w, i, "does not serve though all is well", 0);
		else if (leader_applied_zxid(s->leader) != last &&
			 !epoch_start(leader_applied_zxid(s->leader)))
			cl_broken(w, i, "is behind though all is well",
				  leader_applied_zxid(s->leader));
	}
	for (unsigned i = 0; i < CL_CLIENTS && !w->failed; i++)
		if (w->now_ns - w->client[i].answered_ns > 3000 * cl_ms)
			cl_broken(w, w->client[i].server,
				  "a client gets no answer though all is well", i);
}
