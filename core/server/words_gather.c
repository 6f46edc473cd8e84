/* SPDX-License-Identifier: Apache-2.0 */
/* This core's part of a four-letter word that all cores answer. */
#include "core/server/leader.h"
#include "core/server/srv_int.h"
#include "core/txn/quota_errors.h"

#include <inttypes.h>

enum { LINE_MAX = 512, WATCHES_PART = 4096 /* looked at per part */ };

void words_gather(struct srv *s, const struct msg_gather *m)
{
	/* every core has at most SRV_ASKS_MAX questions out */
	zk_assert(s->gathers < SRV_GATHERS_MAX);
	s->gather[s->gathers++] = (struct srv_gather){.m = *m};
}

/* ---- connections: stat, cons, dump ---- */

/** When ServerCnxnExpiry would close it, if nothing came: in buckets. */
static uint64_t expires_ms(const struct srv_conn *c)
{
	const struct srv_shared *sh = c->s->sh;
	uint64_t bucket = sh->sessionless_timeout_ms ? sh->sessionless_timeout_ms : 10000;

	return ((c->last_ns + srv_idle_limit_ns(c)) / 1000000 / bucket + 1) * bucket;
}

static void conn_record(const struct srv_conn *c, struct words_out *o)
{
	size_t at = o->n, n;

	o->n += WORDS_RECORD_BYTES;
	words_printf(o, "ip: /%s:%u sessionId: 0x%" PRIx64, c->addr, c->port, c->session);
	n = o->n - at - WORDS_RECORD_BYTES;
	zk_put64((uint8_t *)o->p + at, expires_ms(c));
	zk_put16((uint8_t *)o->p + at + 8, (uint16_t)n);
}

/** @return true: that was the last one. */
static bool part_conns(struct srv *s, struct srv_gather *g, struct words_out *o)
{
	while (g->cursor < s->slots_used && o->cap - o->n > LINE_MAX) {
		const struct srv_conn *c = srv_slot(s, g->cursor++);

		if (c->state == CONN_FREE || c->state >= CONN_DOWN)
			continue;
		if (g->m.what == GATHER_DUMP) {
			conn_record(c, o);
			continue;
		}
		words_conn(c, g->m.what == GATHER_STAT, o);
		words_printf(o, "\n");
	}
	return g->cursor >= s->slots_used;
}

/* ---- watches: wchs, wchc, wchp ---- */

struct item {
	struct srv *s;
	struct srv_gather *g;
	struct words_out *o;
};

/** The bytes of @p pieces that have not been sent, as many as fit. @return true: that was all. */
static bool put_pieces(struct item *it, const struct zk_span *piece, size_t pieces, uint32_t conn,
		       size_t path_n)
{
	struct srv_gather *g = it->g;
	struct words_out *o = it->o;
	size_t total = 0, skip, room = o->cap - o->n;

	for (size_t i = 0; i < pieces; i++)
		total += piece[i].n;
	if (g->item_at == 0 && total > room && o->n > 0)
		return false; /* the next part has more room */
	skip = g->item_at;
	for (size_t i = 0; i < pieces; i++) {
		size_t from = skip < piece[i].n ? skip : piece[i].n, n = piece[i].n - from;

		skip -= from;
		n = n < o->cap - o->n ? n : o->cap - o->n;
		if (n)
			memcpy(o->p + o->n, piece[i].p + from, n);
		o->n += n;
		g->item_at += n;
	}
	if (g->item_at < total) {
		g->item_bytes = total;
		g->item_conn = conn;
		g->item_path_n = path_n;
		return false;
	}
	g->item_at = 0;
	return true;
}

/** What wchc prints: a session and its paths. Each is on one core. */
static bool put_text(void *ctx, struct zk_span path, uint32_t conn, bool first)
{
	struct item *it = ctx;
	struct zk_span piece[5], nl = zk_span_str("\n"), tab = zk_span_str("\t");
	char text[24];
	struct words_out t = {text, 0, sizeof(text)};
	size_t pieces = 0;

	if (first) {
		words_printf(&t, "0x%" PRIx64, srv_slot(it->s, conn)->session);
		piece[pieces++] = zk_span_of(text, t.n);
		piece[pieces++] = nl;
	}
	piece[pieces++] = tab;
	piece[pieces++] = path;
	piece[pieces++] = nl;
	if (it->g->item_at && (it->g->item_conn != conn || it->g->item_path_n != path.n)) {
		it->g->item_at = 0; /* what it was has gone meanwhile */
		words_printf(it->o, "\n");
	}
	return put_pieces(it, piece, pieces, conn, path.n);
}

/** The rest of a record whose watch has gone meanwhile: zeros, and so is its session.
 *  @return true: that was all. */
static bool put_rest(struct item *it)
{
	struct srv_gather *g = it->g;
	struct words_out *o = it->o;
	size_t n = g->item_bytes - g->item_at;

	n = n < o->cap - o->n ? n : o->cap - o->n;
	memset(o->p + o->n, 0, n);
	o->n += n;
	g->item_at += n;
	if (g->item_at < g->item_bytes)
		return false;
	g->item_at = 0;
	return true;
}

/** What wchs and wchp merge: enum words_watch in srv_int.h. */
static bool put_record(void *ctx, struct zk_span path, uint32_t conn, bool first)
{
	struct item *it = ctx;
	uint8_t head[12], session[8];
	struct zk_span piece[3] = {
		{head, sizeof(head)}, {path.p, first ? path.n : 0}, {session, 8}};
	bool counts = it->g->m.what == GATHER_WCHS;

	if (it->g->item_at && (it->g->item_conn != conn || it->g->item_path_n != path.n) &&
	    !put_rest(it))
		return false;
	zk_put64(head, watch_order(&it->s->conf.key, path));
	zk_put32(head + 8, (uint32_t)piece[1].n);
	zk_put64(session, srv_slot(it->s, conn)->session);
	if (!counts)
		return put_pieces(it, piece, 3, conn, path.n);
	piece[0].n = 8;
	return !first || put_pieces(it, piece, 1, conn, path.n);
}

static bool part_watches(struct srv *s, struct srv_gather *g, struct words_out *o)
{
	struct item it = {s, g, o};
	bool records = g->m.what != GATHER_WCHC, done;

	if (g->m.what == GATHER_WCHS && !g->begun) {
		struct watch_counts n;

		watch_counts(s->watch, &n);
		zk_put64((uint8_t *)o->p, n.data_conns);
		zk_put64((uint8_t *)o->p + 8, n.data);
		o->n = WORDS_WATCH_TOTALS;
	}
	g->begun = true;
	done = watch_walk(s->watch, records, &g->watch, WATCHES_PART,
			  records ? put_record : put_text, &it);
	return done && (!records || !g->item_at || put_rest(&it));
}

/* ---- crst, srst ---- */

/** ServerCnxn.resetStats(). */
static void reset_conns(struct srv *s)
{
	for (uint32_t i = 0; i < s->slots_used; i++) { /* bound: connections */
		struct srv_conn *c = srv_slot(s, i);

		c->received = c->sent = 0;
		c->last_op = 0;
		c->last_cxid = -1;
		c->last_zxid = UINT64_MAX;
		c->last_response_ns = 0;
		c->latency_count = c->latency_sum_ms = 0;
		c->latency_last_ms = c->latency_min_ms = c->latency_max_ms = 0;
	}
}

/** ServerStats.reset(), and of ServerMetrics what this core counts. */
static void reset_server(struct srv *s)
{
	struct srv_counts *n = &s->n;

	stats_restart(n);
	n->bytes_received = n->response_bytes = n->watch_bytes = n->stale_replies = 0;
	n->stale_requests = n->stale_dropped = n->throttled_ops = n->parked = n->large_refused = 0;
	n->connect_requests = n->revalidates = n->conns_refused = n->conns_lost = n->conns_idle = 0;
	for (unsigned i = 0; i < SRV_METRICS; i++)
		zk_metric_reset(&s->metric[i]);
}

/** What does not belong to a core; one of them asks. */
static void words_reset(struct srv *s)
{
	metrics_reset(&s->sh->metrics);
	words_quorum_reset(s);
	if (s->sh->leader)
		quota_errors_reset(leader_quota_errors(s->sh->leader));
}

/* ---- parts ---- */

static bool part_fill(struct srv *s, struct srv_gather *g, struct words_out *o)
{
	switch (g->m.what) {
	case GATHER_RESET:
		reset_conns(s);
		return true;
	case GATHER_RESET_SERVER:
		reset_server(s);
		if (g->m.h.core == s->conf.core) /* once, by the core that was asked */
			words_reset(s);
		return true;
	case GATHER_WCHS:
	case GATHER_WCHC:
	case GATHER_WCHP:
		return part_watches(s, g, o);
	default:
		return part_conns(s, g, o);
	}
}

bool words_part(struct srv *s)
{
	struct srv_gather *g = &s->gather[0];
	struct msg_gather *m =
		srv_send(s, MSG_GATHER_PART, sizeof(*m) + GATHER_TEXT_MAX, g->m.h.conn);
	struct words_out o;

	if (!m) {
		s->n.ring_full++;
		return false;
	}
	o = (struct words_out){(char *)(m + 1), 0, GATHER_TEXT_MAX};
	m->h.core = g->m.h.core; /* the asking one */
	m->what = g->m.what;
	m->part_core = s->conf.core;
	m->cores = g->m.cores;
	m->section = GATHER_CONNS;
	m->last = part_fill(s, g, &o);
	m->text_bytes = (uint32_t)o.n;
	zk_ring_commit(s->conf.to_leader, sizeof(*m) + o.n);
	if (m->last) {
		s->gathers--;
		memmove(&s->gather[0], &s->gather[1], s->gathers * sizeof(s->gather[0]));
	}
	return true;
}
