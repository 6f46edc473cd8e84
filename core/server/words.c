/* SPDX-License-Identifier: Apache-2.0 */
/* Four-letter words: who may ask, and the answers that need every core
 * (spec/client-protocol.md section 11; FourLetterCommands, NIOServerCnxn.checkFourLetterWord).
 *
 * What needs every core: MSG_GATHER_ASK to the leader core, which asks every core and passes their
 * parts on. */
#include "core/server/srv_int.h"

#include <inttypes.h>

struct word {
	char name[5];
	uint8_t word;   /* enum srv_word */
	uint8_t gather; /* enum gather_what; 0: this core knows the answer alone */
};

static const struct word words[] = {
	{"ruok", SRV_WORD_RUOK, 0},
	{"srvr", SRV_WORD_SRVR, 0},
	{"stat", SRV_WORD_STAT, GATHER_STAT},
	{"mntr", SRV_WORD_MNTR, 0},
	{"conf", SRV_WORD_CONF, 0},
	{"cons", SRV_WORD_CONS, GATHER_CONS},
	{"isro", SRV_WORD_ISRO, 0},
	{"dirs", SRV_WORD_DIRS, 0},
	{"crst", SRV_WORD_CRST, GATHER_RESET},
	{"dump", SRV_WORD_DUMP, GATHER_DUMP},
	{"envi", SRV_WORD_ENVI, 0},
	{"gtmk", SRV_WORD_GTMK, 0},
	{"hash", SRV_WORD_HASH, 0},
	{"srst", SRV_WORD_SRST, GATHER_RESET_SERVER},
	{"stmk", SRV_WORD_STMK, 0},
	{"wchc", SRV_WORD_WCHC, GATHER_WCHC},
	{"wchp", SRV_WORD_WCHP, GATHER_WCHP},
	{"wchs", SRV_WORD_WCHS, GATHER_WCHS},
};

enum { WORDS = sizeof(words) / sizeof(words[0]) };

uint32_t srv_words_parse(const char *whitelist)
{
	uint32_t set = 1u << SRV_WORD_SRVR;
	const char *p = whitelist ? whitelist : "";

	while (*p) {
		size_t n;

		p += strspn(p, ", \t");
		n = strcspn(p, ", \t");
		if (n == 1 && *p == '*')
			set |= (1u << SRV_WORDS) - 1;
		for (unsigned i = 0; n == 4 && i < WORDS; i++)
			if (memcmp(p, words[i].name, 4) == 0)
				set |= 1u << words[i].word;
		p += n;
	}
	return set;
}

/** Is the word answered while the server serves nobody? (AbstractFourLetterCommand, and who asks
 * isZKServerRunning()) */
static bool words_always(enum srv_word word)
{
	return word == SRV_WORD_RUOK || word == SRV_WORD_ENVI || word == SRV_WORD_GTMK ||
	       word == SRV_WORD_STMK;
}

static void words_not_serving(enum srv_word word, struct words_out *o)
{
	if (word == SRV_WORD_ISRO)
		words_printf(o, "null");
	else
		words_printf(o, "This ZooKeeper instance is not currently serving requests%s",
			     word == SRV_WORD_HASH ? "" : "\n");
}

/** The text of a word that this core can answer alone. */
static void words_here(struct srv_conn *c, enum srv_word word, struct words_out *o)
{
	struct srv *s = c->s;

	switch (word) {
	case SRV_WORD_RUOK:
		words_printf(o, "imok");
		break;
	case SRV_WORD_ISRO:
		words_printf(o, s->role == ROLE_READONLY ? "ro" : "rw");
		break;
	case SRV_WORD_SRVR:
		words_version(s, o);
		words_srvr(s, o);
		break;
	case SRV_WORD_MNTR:
		words_mntr(s, o);
		break;
	case SRV_WORD_CONF:
		words_conf(s, o);
		break;
	case SRV_WORD_DIRS:
		words_dirs(s, o);
		break;
	case SRV_WORD_GTMK:
		/* partner: words_mask() on any core; a figure that guards nothing */
		words_printf(
			o, "%" PRId64,
			(int64_t)(atomic_load_explicit(&s->sh->trace_mask, memory_order_relaxed) ^
				  SRV_TRACE_MASK));
		break;
	default: /* the others need every core, or more bytes */
		zk_assert(word == SRV_WORD_HASH);
		words_hash(s, o);
	}
}

/** Its text may be longer than the scratch buffer. */
static void words_envi(struct srv_conn *c)
{
	static const char title[] = "Environment:\n";
	const char *lines = c->s->sh->environment;

	out_put(c, title, sizeof(title) - 1);
	if (lines)
		out_put(c, lines, strlen(lines));
}

void words_mask(struct srv_conn *c)
{
	struct srv *s = c->s;
	struct words_out o = {(char *)s->scratch, 0, SRV_SCRATCH_BYTES};
	uint8_t mask[8];

	if (s->io.readable(c->t) < sizeof(mask)) {
		if (c->peer_fin)
			conn_finish(c);
		return;
	}
	for (size_t at = 0; at < sizeof(mask);) { /* bound: the mask */
		struct zk_span run = s->io.peek(c->t, at);
		size_t n = run.n < sizeof(mask) - at ? run.n : sizeof(mask) - at;

		zk_assert(n > 0);
		memcpy(mask + at, run.p, n);
		at += n;
	}
	/* partner: words_here() on any core */
	atomic_store_explicit(&s->sh->trace_mask, zk_get64(mask) ^ SRV_TRACE_MASK,
			      memory_order_relaxed);
	words_printf(&o, "%" PRId64, (int64_t)zk_get64(mask));
	out_put(c, o.p, o.n);
	conn_finish(c);
}

bool words_first(struct srv_conn *c, const uint8_t first[4])
{
	static const uint8_t telnet_close[4] = {0xff, 0xf4, 0xff, 0xfd};
	struct srv *s = c->s;
	struct words_out o = {(char *)s->scratch, 0, SRV_SCRATCH_BYTES};
	const struct word *w = NULL;

	if (memcmp(first, telnet_close, 4) == 0) {
		conn_finish(c);
		return true;
	}
	for (unsigned i = 0; i < WORDS && !w; i++)
		if (memcmp(first, words[i].name, 4) == 0)
			w = &words[i];
	if (!w)
		return false;
	c->received++;
	s->n.packets_received++;
	if (!(s->sh->four_letter_words & (1u << w->word))) {
		words_printf(&o, "%s is not executed because it is not in the whitelist.\n",
			     w->name);
	} else if (s->role == ROLE_LOOKING && !words_always((enum srv_word)w->word)) {
		words_not_serving((enum srv_word)w->word, &o);
	} else if (w->gather) {
		conn_in_free(c);
		s->io.read_done(c->t, s->io.readable(c->t));
		c->word = (uint8_t)(w - words);
		c->state = CONN_ASKING;
		words_ask(c);
		return true;
	} else if (w->word == SRV_WORD_STMK) {
		if (c->in.n == 0) /* they are still in the transport */
			s->io.read_done(c->t, 4);
		conn_in_free(c);
		c->state = CONN_MASK;
		words_mask(c);
		return true;
	} else if (w->word == SRV_WORD_ENVI) {
		words_envi(c);
	} else {
		words_here(c, (enum srv_word)w->word, &o);
	}
	out_put(c, o.p, o.n);
	conn_finish(c);
	return true;
}

/* ---- asking ---- */

void words_ask(struct srv_conn *c)
{
	struct srv *s = c->s;
	struct srv_ask *a = NULL;
	struct msg_gather *m = NULL;

	for (unsigned i = 0; i < SRV_ASKS_MAX && !a; i++)
		if (!s->ask[i].used)
			a = &s->ask[i];
	if (a)
		m = srv_send(s, MSG_GATHER_ASK, sizeof(*m),
			     (struct msg_conn){c->index, c->generation});
	zk_list_del(&c->link);
	if (!m) {
		s->n.gathers_late++;
		zk_list_add_tail(&s->asks_wait, &c->link);
		return;
	}
	m->what = words[c->word].gather;
	zk_ring_commit(s->conf.to_leader, sizeof(*m));
	*a = (struct srv_ask){.used = true, .conn = {c->index, c->generation}};
	if (words[c->word].gather == GATHER_STAT) {
		struct words_out o = {(char *)s->scratch, 0, SRV_SCRATCH_BYTES};

		words_version(s, &o);
		words_printf(&o, "Clients:\n");
		out_put(c, o.p, o.n);
	}
}

static void ask_done(struct srv_conn *c, struct srv_ask *a)
{
	struct srv *s = c->s;
	struct words_out o = {(char *)s->scratch, 0, SRV_SCRATCH_BYTES};

	switch (words[c->word].gather) {
	case GATHER_STAT:
		words_printf(&o, "\n");
		words_srvr(s, &o);
		break;
	case GATHER_WCHS:
		words_printf(&o,
			     "%" PRIu64 " connections watching %" PRIu64
			     " paths\nTotal watches:%" PRIu64 "\n",
			     a->watch_conns, a->watch_paths, a->watches);
		break;
	case GATHER_DUMP:
		words_dump(c, a);
		break;
	case GATHER_RESET:
		words_printf(&o, "Connection stats reset.\n");
		break;
	case GATHER_RESET_SERVER:
		words_printf(&o, "Server stats reset.\n");
		break;
	default: /* cons, wchc, wchp */
		words_printf(&o, "\n");
	}
	out_put(c, o.p, o.n);
	conn_finish(c);
}

void words_ask_free(struct srv_ask *a)
{
	for (unsigned i = 0; i < MSG_CORES_MAX; i++)
		build_free(&a->held[i]);
	build_free(&a->conns);
	build_free(&a->sessions);
	build_free(&a->owners);
	*a = (struct srv_ask){0};
}

void words_keep(struct srv_conn *c, struct read_build *b, struct zk_span text)
{
	uint8_t *p;

	if (text.n == 0)
		return;
	b->s = c->s;
	p = build_room(b, text.n);
	if (p) {
		memcpy(p, text.p, text.n);
		return;
	}
	c->s->n.memory_refused++;
	conn_doom(c);
}

/** Texts of several cores come mixed; a line may span two parts. */
static void take_text(struct srv_conn *c, struct srv_ask *a, const struct msg_gather *m,
		      struct zk_span text)
{
	zk_assert(m->part_core < MSG_CORES_MAX);
	if (m->part_core == a->turn)
		out_put(c, text.p, text.n);
	else
		words_keep(c, &a->held[m->part_core], text);
	if (!m->last)
		return;
	a->ended |= UINT32_C(1) << m->part_core;
	while (a->turn + 1u < MSG_CORES_MAX && (a->ended >> a->turn & 1)) {
		struct read_build *next = &a->held[++a->turn];

		out_put(c, next->p, next->n);
		build_free(next);
	}
}

static void take_part(struct srv_conn *c, struct srv_ask *a, const struct msg_gather *m,
		      struct zk_span text)
{
	switch (m->what) {
	case GATHER_WCHS:
	case GATHER_WCHP:
		words_merge(c, a, m, text);
		break;
	case GATHER_DUMP:
		if (m->section == GATHER_CONNS)
			words_keep(c, &a->conns, text);
		else if (m->section == GATHER_SESSIONS)
			words_keep(c, &a->sessions, text);
		else if (m->section == GATHER_GLOBALS)
			words_dump_global(c, a, text);
		else if (m->section == GATHER_OWNERS)
			words_keep(c, &a->owners, text);
		else
			a->owners_n = zk_get64(text.p);
		break;
	default:
		take_text(c, a, m, text);
	}
}

void words_text(struct srv *s, const struct msg_gather *m, struct zk_span text)
{
	struct srv_conn *c = srv_conn_of(s, m->h.conn);
	struct srv_ask *a = NULL;

	for (unsigned i = 0; i < SRV_ASKS_MAX; i++)
		if (s->ask[i].used && s->ask[i].conn.index == m->h.conn.index &&
		    s->ask[i].conn.generation == m->h.conn.generation)
			a = &s->ask[i];
	if (c && (c->state != CONN_ASKING || c->doomed))
		c = NULL;
	zk_assert(a);
	if (c)
		take_part(c, a, m, text);
	if (!m->last || ++a->parts_done < m->cores)
		return;
	if (c && !c->doomed)
		ask_done(c, a);
	words_ask_free(a);
}

unsigned words_round(struct srv *s)
{
	unsigned work = 0;

	if (!zk_list_empty(&s->asks_wait) && (!s->ask[0].used || !s->ask[1].used)) {
		words_ask(zk_container_of(s->asks_wait.next, struct srv_conn, link));
		work++;
	}
	if (s->gathers) /* one part a round: some microseconds */
		work += words_part(s);
	return work;
}
