/* SPDX-License-Identifier: Apache-2.0 */
/* The leader's part of `dump`: all sessions and when they expire, and which ephemeral nodes they
 * own (SessionTrackerImpl.dumpSessions, DataTree.dumpEphemerals). */
#include "core/server/leader_int.h"

#include <inttypes.h>
#include <stdio.h>

/* Records per leader_message(): between two of them the leader does its other work. */
enum { PARTS_TURN = 4, NAME_MAX = 32, RECORD_FIXED = 10 };

struct part {
	struct msg_gather *m;
	uint8_t *p;
	size_t n, cap;
};

/** Room for a text of @p cap bytes to the asking connection. */
static bool part_open(struct leader *l, const struct msg_gather *ask, enum gather_section section,
		      size_t cap, struct part *out)
{
	struct msg_gather *m = leader_reserve(l, ask->h.core, sizeof(*m) + cap);

	if (!m)
		return false;
	*m = *ask;
	m->h.kind = MSG_GATHER_TEXT;
	m->part_core = (uint16_t)l->conf.cores;
	m->cores = (uint16_t)(l->conf.cores + 1);
	m->last = 0;
	m->section = section;
	*out = (struct part){m, (uint8_t *)(m + 1), 0, cap};
	return true;
}

static void part_close(struct leader *l, struct part *p)
{
	p->m->text_bytes = (uint32_t)p->n;
	leader_commit(l, p->m->h.core, sizeof(*p->m) + p->n);
}

/** @return false: the ring is full. */
static bool put_sessions(struct leader *l, const struct msg_gather *ask, struct leader_dump *d)
{
	bool leads = leader_leads(l);
	struct part p;

	if (!part_open(l, ask, leads ? GATHER_SESSIONS : GATHER_GLOBALS, GATHER_TEXT_MAX, &p))
		return false;
	while (d->index < l->sessions.used && p.cap - p.n >= RECORD_FIXED + NAME_MAX) {
		const struct session *s = session_at(&l->sessions, d->index++);
		int n;

		if (!s)
			continue;
		n = snprintf((char *)p.p + p.n + RECORD_FIXED, NAME_MAX,
			     leads ? "0x%" PRIx64 : "0x%" PRIx64 "\t%" PRId32 "ms", s->id,
			     s->created_timeout_ms);
		zk_assert(n > 0 && n < NAME_MAX);
		/* LearnerSessionTracker sorts them as numbers with a sign */
		zk_put64(p.p + p.n,
			 leads ? s->bucket * l->sessions.tick_ms : s->id ^ UINT64_C(1) << 63);
		zk_put16(p.p + p.n + 8, (uint16_t)n);
		p.n += RECORD_FIXED + (size_t)n;
	}
	if (d->index >= l->sessions.used) {
		d->index = 0;
		d->phase = LEADER_DUMP_OWNERS;
	}
	part_close(l, &p);
	return true;
}

/** The nodes of one session from d->skip on. @return true: that was all of them. */
static bool put_nodes(struct leader *l, uint64_t session, struct leader_dump *d, struct part *p)
{
	const struct tree_node *node = NULL;
	unsigned core = p->m->h.core;
	uint64_t at = 0;

	/* bound: the nodes of one session, and the text */
	while (tree_ephemeral_next(l->conf.tree, session, &node)) {
		struct zk_span path = tree_path(node);
		int n = 0;

		if (at++ < d->skip)
			continue;
		if (p->cap - p->n < NAME_MAX + path.n + 2) {
			size_t need = NAME_MAX + path.n + 2;

			if (sizeof(*p->m) + need > zk_ring_record_max(l->conf.to_core[core])) {
				d->skip++; /* longer than any reply that could name it */
				continue;
			}
			d->need = need;
			return false;
		}
		d->skip++;
		if (!d->named) {
			d->named = true;
			n = snprintf((char *)p->p + p->n, NAME_MAX, "0x%" PRIx64 ":\n", session);
			zk_assert(n > 0 && n < NAME_MAX);
			p->n += (size_t)n;
			d->owners++;
		}
		p->p[p->n++] = '\t';
		memcpy(p->p + p->n, path.p, path.n);
		p->n += path.n;
		p->p[p->n++] = '\n';
	}
	return true;
}

static bool put_owners(struct leader *l, const struct msg_gather *ask, struct leader_dump *d)
{
	size_t cap = d->need > GATHER_TEXT_MAX ? d->need : GATHER_TEXT_MAX;
	struct part p;

	if (!part_open(l, ask, GATHER_OWNERS, cap, &p))
		return false;
	for (unsigned looked = 0; d->index < l->sessions.used && looked < 1024; looked++) {
		const struct session *s = session_at(&l->sessions, d->index);

		if (s && !put_nodes(l, s->id, d, &p))
			break;
		d->index++;
		d->skip = 0;
		d->named = false;
	}
	if (d->index >= l->sessions.used)
		d->phase = LEADER_DUMP_END;
	part_close(l, &p);
	return true;
}

static bool put_end(struct leader *l, const struct msg_gather *ask, const struct leader_dump *d)
{
	struct part p;

	if (!part_open(l, ask, GATHER_OWNERS_N, 8, &p))
		return false;
	zk_put64(p.p, d->owners);
	p.n = 8;
	p.m->last = 1;
	part_close(l, &p);
	return true;
}

enum zk_err leader_dump(struct leader *l, const struct msg_gather *ask, struct leader_dump *d)
{
	for (unsigned i = 0; i < PARTS_TURN; i++) {
		bool sent;

		if (d->phase == LEADER_DUMP_SESSIONS) {
			sent = put_sessions(l, ask, d);
		} else if (d->phase == LEADER_DUMP_OWNERS) {
			sent = put_owners(l, ask, d);
		} else if (put_end(l, ask, d)) {
			*d = (struct leader_dump){0};
			return ZK_EOK;
		} else {
			sent = false;
		}
		if (!sent)
			break;
	}
	return ZK_EAGAIN;
}
