/* SPDX-License-Identifier: Apache-2.0 */
/* The statements `in` and `out`. */
#include "test/wire/wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** An `in` or `out` statement as read. */
struct stmt {
	struct frame_seg seg;
	uint8_t payload[WIRE_PAYLOAD_MAX];
	long seq, ack;
	bool has_seq, has_ack, no_ts;
	int fill;   /* payload byte, -1 = the stream's own content */
	long cut;   /* bytes of the frame that arrive, 0 = all */
	size_t pad; /* Ethernet padding behind the packet */
	const char *win_text, *wnd_text, *mss_text, *ws_text, *sack_text, *ts_text, *len_text;
	bool no_mss, no_ws, no_sackok;
	bool want_sackok;
	bool any_ack; /* flags end in '*': with or without ACK */
};

static void parse_sack(struct wire *w, const char *text, uint32_t base, struct frame_seg *s)
{
	char copy[160], *save = NULL;

	(void)snprintf(copy, sizeof(copy), "%s", text ? text : "");
	s->n_sack = 0;
	for (char *t = strtok_r(copy, ",", &save); t; t = strtok_r(NULL, ",", &save)) {
		char *colon = strchr(t, ':');

		if (!colon || s->n_sack == FRAME_SACK_MAX) {
			wire_fail(w, "SACK blocks are left:right[,...], at most four");
			return;
		}
		*colon = 0;
		s->sack[s->n_sack][0] = base + (uint32_t)wire_number(w, t);
		s->sack[s->n_sack][1] = base + (uint32_t)wire_number(w, colon + 1);
		s->n_sack++;
	}
}

/* "VAL:ECR"; ECR may be last, last-N (the stack's newest value). */
static void parse_ts_in(struct wire *w, const char *text, struct frame_seg *s)
{
	char copy[64], *colon;

	(void)snprintf(copy, sizeof(copy), "%s", text ? text : "");
	colon = strchr(copy, ':');
	if (!colon) {
		wire_fail(w, "ts VALUE:ECHO");
		return;
	}
	*colon++ = 0;
	s->has_ts = true;
	s->tsval = (uint32_t)wire_number(w, copy);
	if (strncmp(colon, "last", 4) == 0)
		s->tsecr =
			w->flow->last_tsval + (colon[4] ? (uint32_t)wire_number(w, colon + 4) : 0);
	else
		s->tsecr = (uint32_t)wire_number(w, colon);
}

static void parse_raw_options(struct wire *w, const char *hex, struct frame_seg *s)
{
	size_t n = hex ? strlen(hex) / 2 : 0;

	if (n == 0 || n > FRAME_RAW_OPT_MAX) {
		wire_fail(w, "opt HEX, 1 to 40 bytes");
		return;
	}
	for (size_t i = 0; i < n; i++) {
		char two[3] = {hex[2 * i], hex[2 * i + 1], 0};

		s->raw_opt[i] = (uint8_t)strtoul(two, NULL, 16);
	}
	s->n_raw_opt = (unsigned)n;
}

/* Words that damage a segment. */
static bool parse_damage(struct wire *w, struct wire_words *v, const char *word, struct stmt *st)
{
	struct frame_seg *s = &st->seg;

	if (strcmp(word, "badsum") == 0)
		s->bad_tcp_sum = true;
	else if (strcmp(word, "badipsum") == 0)
		s->bad_ip_sum = true;
	else if (strcmp(word, "doff") == 0)
		s->doff_words = (uint8_t)wire_number(w, wire_word(v));
	else if (strcmp(word, "ihl") == 0)
		s->ihl_words = (uint8_t)wire_number(w, wire_word(v));
	else if (strcmp(word, "ipversion") == 0)
		s->ip_version = (uint8_t)wire_number(w, wire_word(v));
	else if (strcmp(word, "iplen") == 0)
		s->ip_len_delta = (int)wire_number(w, wire_word(v));
	else if (strcmp(word, "frag") == 0)
		s->ip_frag = (uint16_t)wire_number(w, wire_word(v));
	else if (strcmp(word, "cut") == 0)
		st->cut = wire_number(w, wire_word(v));
	else if (strcmp(word, "pad") == 0)
		st->pad = (size_t)wire_number(w, wire_word(v));
	else if (strcmp(word, "opt") == 0)
		parse_raw_options(w, wire_word(v), s);
	else if (strcmp(word, "othermac") == 0)
		s->ends.dst_mac[5] ^= 0x40;
	else if (strcmp(word, "broadcastmac") == 0)
		memset(s->ends.dst_mac, 0xff, 6);
	else if (strcmp(word, "otherip") == 0)
		s->ends.dst_ip += 7;
	else if (strcmp(word, "srcip") == 0)
		s->ends.src_ip = (uint32_t)wire_number(w, wire_word(v));
	else
		return false;
	return true;
}

static void parse_in(struct wire *w, struct wire_words *v, struct stmt *st)
{
	struct frame_seg *s = &st->seg;
	const char *word;

	s->ends = wire_peer_ends();
	s->flags = wire_flags(w, wire_word(v));
	while (!w->failed && (word = wire_word(v))) {
		if (strcmp(word, "seq") == 0)
			st->has_seq = true, st->seq = wire_number(w, wire_word(v));
		else if (strcmp(word, "ack") == 0)
			st->has_ack = true, st->ack = wire_number(w, wire_word(v));
		else if (strcmp(word, "win") == 0)
			w->flow->win = (uint16_t)wire_number(w, wire_word(v));
		else if (strcmp(word, "len") == 0)
			s->len = (size_t)wire_number(w, wire_word(v));
		else if (strcmp(word, "fill") == 0)
			st->fill = (int)wire_number(w, wire_word(v));
		else if (strcmp(word, "mss") == 0)
			s->has_mss = true, s->mss = (uint16_t)wire_number(w, wire_word(v));
		else if (strcmp(word, "ws") == 0)
			s->has_ws = true, s->ws = (uint8_t)wire_number(w, wire_word(v));
		else if (strcmp(word, "sackok") == 0)
			s->has_sackok = true;
		else if (strcmp(word, "sack") == 0)
			parse_sack(w, wire_word(v), w->flow->own_isn, s);
		else if (strcmp(word, "ts") == 0)
			parse_ts_in(w, wire_word(v), s);
		else if (strcmp(word, "nots") == 0)
			st->no_ts = true;
		else if (strcmp(word, "urg") == 0)
			s->urg = (uint16_t)wire_number(w, wire_word(v));
		else if (!parse_damage(w, v, word, st))
			wire_fail(w, "what is '%s'?", word);
	}
	if (s->len > WIRE_PAYLOAD_MAX)
		wire_fail(w, "len is too large");
}

void wire_do_in(struct wire *w, struct wire_words *v)
{
	static uint8_t frame[FRAME_MAX_BYTES]; /* too big for the stack; one thread */
	struct wire_flow *f = w->flow;
	struct stmt *st = calloc(1, sizeof(*st));
	char text[120];
	size_t n;
	long end;

	zk_assert(st);
	st->fill = -1;
	parse_in(w, v, st);
	if (!st->has_seq)
		st->seq = (long)f->peer_next;
	if (!st->has_ack)
		st->ack = (long)f->own_next;
	st->seg.seq = f->peer_isn + (uint32_t)st->seq;
	if (st->seg.flags & FRAME_ACK)
		st->seg.ack = (f->own_isn_known ? f->own_isn : 0) + (uint32_t)st->ack;
	st->seg.sport = f->peer_port;
	st->seg.dport = f->own_port;
	st->seg.win = f->win;
	if (f->ts_on && !st->no_ts && !st->seg.has_ts && !(st->seg.flags & FRAME_SYN) &&
	    !st->seg.n_raw_opt) {
		st->seg.has_ts = true;
		st->seg.tsval = (uint32_t)(100 + (w->now_ns - WIRE_START_NS) / 1000000);
		st->seg.tsecr = f->last_tsval;
	}
	for (size_t i = 0; i < st->seg.len && !w->failed; i++)
		st->payload[i] = st->fill >= 0
					 ? (uint8_t)st->fill
					 : wire_byte(false, (uint64_t)(st->seq - 1 + (long)i));
	st->seg.payload = st->payload;
	n = w->failed ? 0 : frame_build(&st->seg, frame, sizeof(frame) - st->pad);
	if (!w->failed && n == 0)
		wire_fail(w, "the segment does not fit a frame");
	if (!w->failed) {
		frame_text(&st->seg, f->peer_isn, f->own_isn, text, sizeof(text));
		wire_trace(w, "in  %s (flow %d)", text, (int)(f - w->flows));
		memset(frame + n, 0, st->pad);
		n += st->pad;
		if (st->cut && (size_t)st->cut < n)
			n = (size_t)st->cut;
		end = st->seq + (long)st->seg.len + !!(st->seg.flags & FRAME_SYN) +
		      !!(st->seg.flags & FRAME_FIN);
		if (st->seg.flags & FRAME_SYN && !st->seg.has_ws)
			f->own_ws = 0; /* scaling needs both sides */
		if ((int32_t)((uint32_t)end - f->peer_next) > 0)
			f->peer_next = (uint32_t)end;
		wire_inject(w, frame, n);
	}
	free(st);
}

static void parse_out(struct wire *w, struct wire_words *v, struct stmt *st)
{
	const char *word = wire_word(v);
	char flags[16];

	(void)snprintf(flags, sizeof(flags), "%s", word ? word : "");
	if (strchr(flags, '*')) {
		st->any_ack = true;
		*strchr(flags, '*') = 0;
	}
	st->seg.flags = wire_flags(w, flags);
	while (!w->failed && (word = wire_word(v))) {
		if (strcmp(word, "seq") == 0)
			st->has_seq = true, st->seq = wire_number(w, wire_word(v));
		else if (strcmp(word, "ack") == 0)
			st->has_ack = true, st->ack = wire_number(w, wire_word(v));
		else if (strcmp(word, "win") == 0)
			st->win_text = wire_word(v);
		else if (strcmp(word, "wnd") == 0)
			st->wnd_text = wire_word(v);
		else if (strcmp(word, "len") == 0)
			st->len_text = wire_word(v);
		else if (strcmp(word, "mss") == 0)
			st->mss_text = wire_word(v);
		else if (strcmp(word, "nomss") == 0)
			st->no_mss = true;
		else if (strcmp(word, "ws") == 0)
			st->ws_text = wire_word(v);
		else if (strcmp(word, "nows") == 0)
			st->no_ws = true;
		else if (strcmp(word, "sackok") == 0)
			st->want_sackok = true;
		else if (strcmp(word, "nosackok") == 0)
			st->no_sackok = true;
		else if (strcmp(word, "sack") == 0)
			st->sack_text = wire_word(v);
		else if (strcmp(word, "ts") == 0)
			st->ts_text = wire_word(v);
		else if (strcmp(word, "nots") == 0)
			st->no_ts = true;
		else
			wire_fail(w, "what is '%s'?", word);
	}
}

/* "VALUE:ECHO", each `any` or a comparison. */
static bool ts_fits(struct wire *w, const char *text, const struct frame_seg *s)
{
	char copy[64], *colon;

	(void)snprintf(copy, sizeof(copy), "%s", text);
	colon = strchr(copy, ':');
	if (!colon) {
		wire_fail(w, "ts VALUE:ECHO");
		return false;
	}
	*colon = 0;
	return s->has_ts && wire_compare(w, copy, (long)s->tsval) &&
	       wire_compare(w, colon + 1, (long)s->tsecr);
}

static const char *mismatch(struct wire *w, struct stmt *st, const struct frame_seg *s)
{
	struct wire_flow *f = w->flow;
	uint8_t got = st->seg.flags & FRAME_PSH ? s->flags : (uint8_t)(s->flags & ~FRAME_PSH);
	unsigned shift = s->flags & FRAME_SYN ? 0 : f->own_ws;

	if (st->any_ack)
		got &= (uint8_t)~FRAME_ACK;
	if (got != st->seg.flags)
		return "flags";
	if (st->has_seq && s->seq != (f->own_isn_known ? f->own_isn : 0) + (uint32_t)st->seq)
		return "seq";
	if (st->has_ack && s->ack != f->peer_isn + (uint32_t)st->ack)
		return "ack";
	if (!wire_compare(w, st->len_text ? st->len_text : "0", (long)s->len))
		return "len";
	if (st->win_text && !wire_compare(w, st->win_text, (long)s->win))
		return "win";
	if (st->wnd_text && !wire_compare(w, st->wnd_text, (long)s->win << shift))
		return "wnd";
	if (st->mss_text && !(s->has_mss && wire_compare(w, st->mss_text, s->mss)))
		return "mss";
	if (st->ws_text && !(s->has_ws && wire_compare(w, st->ws_text, s->ws)))
		return "ws";
	if ((st->no_mss && s->has_mss) || (st->no_ws && s->has_ws) ||
	    (st->no_sackok && s->has_sackok) || (st->no_ts && s->has_ts))
		return "an option that must not be there";
	if (st->want_sackok && !s->has_sackok)
		return "sackok";
	if (st->ts_text && !ts_fits(w, st->ts_text, s))
		return "ts";
	if (st->sack_text && strcmp(st->sack_text, "any") == 0)
		return NULL;
	parse_sack(w, st->sack_text, f->peer_isn, &st->seg);
	if (st->seg.n_sack != s->n_sack ||
	    memcmp(st->seg.sack, s->sack, s->n_sack * sizeof(s->sack[0])) != 0)
		return "sack";
	return NULL;
}

void wire_do_out(struct wire *w, struct wire_words *v)
{
	struct wire_capture *c = wire_next_capture(w, FRAME_TCP);
	struct stmt *st = calloc(1, sizeof(*st));
	const char *what;
	char text[120];

	zk_assert(st);
	parse_out(w, v, st);
	if (!w->failed && !c) {
		wire_fail(w, "the stack sent nothing");
	} else if (!w->failed) {
		c->used = true;
		what = mismatch(w, st, &c->seg);
		frame_text(&c->seg, w->flow->own_isn_known ? w->flow->own_isn : 0,
			   w->flow->peer_isn, text, sizeof(text));
		if (what)
			wire_fail(w, "%s differs; the stack sent at %.3f ms: %s", what,
				  (double)(c->at_ns - WIRE_START_NS) / 1e6, text);
		if (!what && c->seg.flags & FRAME_SYN)
			w->flow->own_ws = c->seg.has_ws ? c->seg.ws : 0;
	}
	free(st);
}
