/* SPDX-License-Identifier: Apache-2.0 */
#include "test/wire/wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 512, REPEAT_MAX = 100000 };

static void run_line(struct wire *w, const char *line);

static void do_conf(struct wire *w, struct wire_words *v)
{
	const char *key = wire_word(v);
	uint32_t value = (uint32_t)wire_number(w, wire_word(v));
	struct tcp_conf *c = &w->tcp_conf;
	const struct {
		const char *key;
		uint32_t *field;
	} FIELDS[] = {{"conns_max", &c->conns_max},
		      {"rto_min_ms", &c->rto_min_ms},
		      {"rto_max_ms", &c->rto_max_ms},
		      {"give_up_ms", &c->give_up_ms},
		      {"syn_give_up_ms", &c->syn_give_up_ms},
		      {"time_wait_ms", &c->time_wait_ms},
		      {"fin_wait_ms", &c->fin_wait_ms},
		      {"delack_ms", &c->delack_ms},
		      {"tlp_ack_delay_ms", &c->tlp_ack_delay_ms},
		      {"keepalive_idle_ms", &c->keepalive_idle_ms},
		      {"rcv_buf_bytes", &c->rcv_buf_bytes},
		      {"snd_buf_bytes", &c->snd_buf_bytes},
		      {"ooo_bytes", &c->ooo_bytes},
		      {"mem_packets_max", &c->mem_packets_max},
		      {"syn_backlog", &c->syn_backlog}};

	if (w->net) {
		wire_fail(w, "conf comes before everything else");
		return;
	}
	if (key && strcmp(key, "mtu") == 0) {
		w->net_conf.mtu = (uint16_t)value;
		return;
	}
	if (key && strcmp(key, "gateway") == 0) {
		w->net_conf.gateway = net_addr_v4(value);
		return;
	}
	if (key && strcmp(key, "ooo_intervals") == 0) {
		c->ooo_intervals = (uint16_t)value;
		return;
	}
	for (size_t i = 0; key && i < sizeof(FIELDS) / sizeof(FIELDS[0]); i++) {
		if (strcmp(key, FIELDS[i].key) == 0) {
			*FIELDS[i].field = value;
			return;
		}
	}
	wire_fail(w, "no such setting: '%s'", key ? key : "");
}

static void do_arp(struct wire *w, struct wire_words *v)
{
	const char *how = wire_word(v);

	w->arp_auto = how && strcmp(how, "auto") == 0;
}

static void do_flow(struct wire *w, struct wire_words *v)
{
	long i = wire_number(w, wire_word(v));

	if (i < 0 || i >= WIRE_FLOWS)
		wire_fail(w, "flow 0 to %d", WIRE_FLOWS - 1);
	else
		w->flow = &w->flows[i];
}

/* peer isn N | peer port N | port N */
static void do_peer(struct wire *w, struct wire_words *v)
{
	const char *what = wire_word(v);
	long n = wire_number(w, wire_word(v));

	if (what && strcmp(what, "isn") == 0) {
		w->flow->peer_isn = (uint32_t)n;
		w->flow->peer_next = 0;
	} else if (what && strcmp(what, "port") == 0) {
		w->flow->peer_port = (uint16_t)n;
	} else {
		wire_fail(w, "peer isn N, peer port N");
	}
}

static void do_port(struct wire *w, struct wire_words *v)
{
	w->flow->own_port = (uint16_t)wire_number(w, wire_word(v));
}

/* accept [options of the peer's SYN]: a whole passive handshake. */
static void do_accept(struct wire *w, struct wire_words *v)
{
	char line[LINE_MAX_BYTES] = "in S seq 0", ack[LINE_MAX_BYTES];
	const char *word;
	bool ts = false;

	while ((word = wire_word(v))) {
		ts = ts || strcmp(word, "ts") == 0;
		(void)snprintf(line + strlen(line), sizeof(line) - strlen(line), " %s", word);
		if (strcmp(word, "ts") == 0)
			(void)snprintf(line + strlen(line), sizeof(line) - strlen(line), " 100:0");
	}
	run_line(w, line);
	run_line(w, ts ? "out SA seq 0 ack 1 ts any:100" : "out SA seq 0 ack 1");
	w->flow->ts_on = ts;
	(void)snprintf(ack, sizeof(ack), "in A seq 1 ack 1");
	run_line(w, ack);
	run_line(w, "event OPEN");
}

/* opened [options of the peer's SYN-ACK]: a whole active handshake. */
static void do_opened(struct wire *w, struct wire_words *v)
{
	char line[LINE_MAX_BYTES] = "in SA seq 0 ack 1";
	const char *word;
	bool ts = false;

	run_line(w, "connect");
	run_line(w, "out S seq 0");
	while ((word = wire_word(v))) {
		ts = ts || strcmp(word, "ts") == 0;
		(void)snprintf(line + strlen(line), sizeof(line) - strlen(line), " %s", word);
		if (strcmp(word, "ts") == 0)
			(void)snprintf(line + strlen(line), sizeof(line) - strlen(line),
				       " 100:last");
	}
	w->flow->ts_on = ts;
	run_line(w, line);
	run_line(w, "out A seq 1 ack 1");
	run_line(w, "event OPEN");
}

static void do_timestamps(struct wire *w, struct wire_words *v)
{
	const char *how = wire_word(v);

	w->flow->ts_on = how && strcmp(how, "on") == 0;
}

static void do_in_checked(struct wire *w, struct wire_words *v)
{
	if (!w->held && w->lax)
		wire_drain(w);
	else if (!w->held)
		wire_expect_drained(w, true);
	if (!w->failed)
		wire_do_in(w, v);
}

static void do_lax(struct wire *w, struct wire_words *v)
{
	const char *how = wire_word(v);

	w->lax = how && strcmp(how, "on") == 0;
}

static void do_quiet(struct wire *w, struct wire_words *v)
{
	wire_expect_drained(w, false);
	if (v->n > 1)
		wire_advance(w, wire_duration_ns(w, wire_word(v)));
	wire_expect_drained(w, false);
}

static void do_wait(struct wire *w, struct wire_words *v)
{
	wire_advance(w, wire_duration_ns(w, wire_word(v)));
}

static void do_hold(struct wire *w, struct wire_words *v)
{
	(void)v;
	w->held = true;
}

static void do_go(struct wire *w, struct wire_words *v)
{
	(void)v;
	w->held = false;
	if (w->n_held)
		net_input(w->net, w->held_frames, w->n_held, w->now_ns);
	w->n_held = 0;
	wire_round(w);
}

static void do_drain(struct wire *w, struct wire_words *v)
{
	(void)v;
	wire_drain(w);
}

static void do_counter(struct wire *w, struct wire_words *v)
{
	const char *name = wire_word(v), *text = wire_word(v);
	uint64_t is = name ? wire_counter(w, name) : 0;

	if (!w->failed && !wire_compare(w, text, (long)is))
		wire_fail(w, "counter %s is %" PRIu64, name, is);
}

static void do_pool(struct wire *w, struct wire_words *v)
{
	long n = wire_number(w, wire_word(v));

	pkt_heap_pool_limit(w->tx_pool, (uint32_t)n);
}

static const struct wire_statement RUN_STATEMENTS[] = {{"conf", do_conf, true},
						       {"arp", do_arp, true},
						       {"flow", do_flow, true},
						       {"peer", do_peer, true},
						       {"port", do_port, true},
						       {"in", do_in_checked, false},
						       {"out", wire_do_out, false},
						       {"lax", do_lax, true},
						       {"quiet", do_quiet, false},
						       {"wait", do_wait, false},
						       {"hold", do_hold, false},
						       {"go", do_go, false},
						       {"drain", do_drain, false},
						       {"accept", do_accept, false},
						       {"opened", do_opened, false},
						       {"timestamps", do_timestamps, false},
						       {"counter", do_counter, false},
						       {"pool", do_pool, false},
						       {NULL, NULL, false}};

static const struct wire_statement *find_statement(const char *name)
{
	const struct wire_statement *const TABLES[] = {RUN_STATEMENTS, WIRE_APP_STATEMENTS,
						       WIRE_LOWER_STATEMENTS};

	for (size_t i = 0; i < sizeof(TABLES) / sizeof(TABLES[0]); i++) {
		for (const struct wire_statement *s = TABLES[i]; s->name; s++) {
			if (strcmp(name, s->name) == 0)
				return s;
		}
	}
	return NULL;
}

static void run_words(struct wire *w, struct wire_words *v)
{
	const char *name = wire_word(v);
	const struct wire_statement *s = find_statement(name);

	if (!s) {
		wire_fail(w, "no such statement: '%s'", name);
		return;
	}
	if (!s->before_start)
		wire_start(w);
	if (!w->failed)
		s->run(w, v);
	if (!w->failed && v->next < v->n)
		wire_fail(w, "'%s' is too much", v->w[v->next]);
}

static void run_line(struct wire *w, const char *line)
{
	char copy[LINE_MAX_BYTES];
	struct wire_words v;
	long times = 1;

	(void)snprintf(copy, sizeof(copy), "%s", line);
	wire_split(copy, &v);
	if (v.n == 0)
		return;
	if (v.w[0][0] == 'x' && v.w[0][1] >= '0' && v.w[0][1] <= '9' && v.n > 1) {
		times = wire_number(w, v.w[0] + 1);
		if (times < 1 || times > REPEAT_MAX)
			wire_fail(w, "x1 to x%d", REPEAT_MAX);
		memmove(&v.w[0], &v.w[1], (v.n - 1) * sizeof(v.w[0]));
		v.n--;
	}
	for (long i = 0; i < times && !w->failed; i++) {
		struct wire_words again = v;

		if (times > 1)
			w->iteration = i;
		run_words(w, &again);
	}
}

static void check_end(struct wire *w)
{
	wire_expect_drained(w, false);
	if (w->held)
		wire_fail(w, "hold without go");
	for (unsigned i = 0; i < WIRE_FLOWS; i++) {
		if (w->flows[i].events & TCP_READY_CLOSED)
			wire_fail(w, "flow %u: CLOSED was not expected", i);
	}
}

bool wire_run(struct wire *w, const char *path)
{
	char line[LINE_MAX_BYTES];
	FILE *f = fopen(path, "r");

	wire_open(w, path);
	if (!f)
		wire_fail(w, "cannot open it");
	while (f && !w->failed && fgets(line, sizeof(line), f)) {
		w->line++;
		if (!strchr(line, '\n'))
			wire_fail(w, "line too long or without an end");
		run_line(w, line);
	}
	if (f)
		(void)fclose(f);
	if (!w->failed && !w->net)
		wire_fail(w, "the script does nothing");
	if (!w->failed)
		check_end(w);
	wire_close(w);
	return !w->failed;
}
