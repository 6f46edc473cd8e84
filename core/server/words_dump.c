/* SPDX-License-Identifier: Apache-2.0 */
/* dump: sessions and connections by the time they expire (ExpiryQueue.dump), and who owns which
 * ephemeral nodes (DataTree.dumpEphemerals). */
#include "core/server/srv_int.h"

#include <inttypes.h>

struct due {
	uint64_t ms;
	size_t at; /* of the record */
};

static bool later(const struct due *a, const struct due *b)
{
	return a->ms != b->ms ? a->ms > b->ms : a->at > b->at;
}

/** Bound: depth of the heap. */
static void sift(struct due *v, size_t i, size_t n)
{
	struct due x = v[i];

	for (size_t k = 2 * i + 1; k < n; i = k, k = 2 * i + 1) {
		if (k + 1 < n && later(&v[k + 1], &v[k]))
			k++;
		if (!later(&v[k], &x))
			break;
		v[i] = v[k];
		v[k] = x;
	}
}

/** J. W. J. Williams, "Algorithm 232: Heapsort", 1964. */
static void sort(struct due *v, size_t n)
{
	for (size_t i = n / 2; i-- > 0;)
		sift(v, i, n);
	for (size_t i = n; i-- > 1;) {
		struct due x = v[0];

		v[0] = v[i];
		v[i] = x;
		sift(v, 0, i);
	}
}

static size_t record_bytes(const struct read_build *b, size_t at)
{
	return WORDS_RECORD_BYTES + (size_t)zk_get16(b->p + at + 8);
}

static size_t records(const struct read_build *b)
{
	size_t n = 0;

	for (size_t at = 0; at < b->n; at += record_bytes(b, at))
		n++;
	return n;
}

static void put_sets(struct srv_conn *c, const char *title, const struct read_build *b,
		     const struct due *v, size_t n)
{
	const struct srv_shared *sh = c->s->sh;
	char line[256];
	size_t sets = 0;

	for (size_t i = 0; i < n; i++)
		sets += i == 0 || v[i].ms != v[i - 1].ms;
	struct words_out o = {line, 0, sizeof(line)};
	words_printf(&o, "%s Sets (%zu)/(%zu):\n", title, sets, n);
	out_put(c, o.p, o.n);
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || v[i].ms != v[i - 1].ms) {
			size_t same = 1;

			while (i + same < n && v[i + same].ms == v[i].ms)
				same++;
			o.n = 0;
			words_printf(&o, "%zu expire at ", same);
			words_date(sh->started_wall_ms +
					   (int64_t)(v[i].ms - sh->started_ns / 1000000),
				   &o);
			words_printf(&o, ":\n");
			out_put(c, o.p, o.n);
		}
		out_put(c, "\t", 1);
		out_put(c, b->p + v[i].at + WORDS_RECORD_BYTES,
			record_bytes(b, v[i].at) - WORDS_RECORD_BYTES);
		out_put(c, "\n", 1);
	}
}

static void put_globals(struct srv_conn *c, const struct read_build *b, const struct due *v,
			size_t n)
{
	char line[64];
	struct words_out o = {line, 0, sizeof(line)};

	words_printf(&o, "Global Sessions(%zu):\n", n);
	out_put(c, o.p, o.n);
	for (size_t i = 0; i < n; i++) {
		out_put(c, b->p + v[i].at + WORDS_RECORD_BYTES,
			record_bytes(b, v[i].at) - WORDS_RECORD_BYTES);
		out_put(c, "\n", 1);
	}
}

/** @p title NULL: a learner's sessions. */
static void put_sorted(struct srv_conn *c, const char *title, const struct read_build *b)
{
	struct zk_mem *mem = c->s->conf.mem;
	size_t n = records(b), i = 0;
	struct due *v = zk_mem_alloc(mem, (n + 1) * sizeof(*v));

	if (!v) {
		c->s->n.memory_refused++;
		conn_doom(c);
		return;
	}
	for (size_t at = 0; at < b->n; at += record_bytes(b, at))
		v[i++] = (struct due){zk_get64(b->p + at), at};
	sort(v, n);
	if (title)
		put_sets(c, title, b, v, n);
	else
		put_globals(c, b, v, n);
	zk_mem_free(mem, v, (n + 1) * sizeof(*v));
}

void words_dump_global(struct srv_conn *c, struct srv_ask *a, struct zk_span text)
{
	if (!a->learner) /* the role has changed in the midst of it */
		build_free(&a->sessions);
	a->learner = true;
	words_keep(c, &a->sessions, text);
}

/** In read-only mode a connection with a session has one of this mode, which expires with it.
 * Records of sessions from those of connections. */
static void put_locals(struct srv_conn *c, const struct srv_ask *a)
{
	static const char mark[] = "sessionId: ";
	struct read_build b = {.s = c->s};
	const struct read_build *from = &a->conns;

	for (size_t at = 0; c->s->role == ROLE_READONLY && at < from->n;
	     at += record_bytes(from, at)) {
		const uint8_t *p = from->p + at + WORDS_RECORD_BYTES;
		size_t n = record_bytes(from, at) - WORDS_RECORD_BYTES, skip = n;
		uint8_t head[WORDS_RECORD_BYTES];

		while (skip > 0 && p[skip - 1] != ' ')
			skip--;
		zk_assert(skip >= sizeof(mark) - 1 && n > skip);
		if (zk_span_eq(zk_span_of(p + skip, n - skip), zk_span_str("0x0")))
			continue;
		memcpy(head, from->p + at, 8);
		zk_put16(head + 8, (uint16_t)(n - skip));
		words_keep(c, &b, zk_span_of(head, sizeof(head)));
		words_keep(c, &b, zk_span_of(p + skip, n - skip));
	}
	if (!c->doomed)
		put_sorted(c, "Local Session", &b);
	build_free(&b);
}

void words_dump(struct srv_conn *c, struct srv_ask *a)
{
	bool local = c->s->sh->quorum && c->s->sh->local_sessions;
	char line[128];
	struct words_out o = {line, 0, sizeof(line)};

	words_printf(&o, "SessionTracker dump:\n");
	out_put(c, o.p, o.n);
	if (local)
		put_locals(c, a);
	put_sorted(c, a->learner ? NULL : local ? "Global Session" : "Session", &a->sessions);
	o.n = 0;
	words_printf(&o, "ephemeral nodes dump:\nSessions with Ephemerals (%" PRIu64 "):\n",
		     a->owners_n);
	out_put(c, o.p, o.n);
	out_put(c, a->owners.p, a->owners.n);
	o.n = 0;
	words_printf(&o, "Connections dump:\n");
	out_put(c, o.p, o.n);
	put_sorted(c, "Connections", &a->conns);
}

void words_date(int64_t wall_ms, struct words_out *o)
{
	static const char day[7][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
	static const char month[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	uint64_t s = wall_ms > 0 ? (uint64_t)wall_ms / 1000 : 0, days = s / 86400;
	/* E. G. Richards, "Calendars", Explanatory Supplement, 2013, 15.11: from a Julian day */
	uint64_t f = days + 2440588 + 1401, e, h;

	f += (4 * (days + 2440588) + 274277) / 146097 * 3 / 4 - 38;
	e = 4 * f + 3;
	h = 5 * (e % 1461 / 4) + 2;
	uint64_t d = h % 153 / 5 + 1, m = (h / 153 + 2) % 12 + 1;
	uint64_t y = e / 1461 - 4716 + (14 - m) / 12;

	words_printf(o,
		     "%s %s %02" PRIu64 " %02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 " UTC %" PRIu64,
		     day[days % 7], month[m - 1], d, s / 3600 % 24, s / 60 % 60, s % 60, y);
}
