/* SPDX-License-Identifier: Apache-2.0 */
/* Very many watchers hear of a change while another client of the same core reads all along: how
 * long does that one wait? Over memif, with no kernel between the two. The waits that the measuring
 * side itself had a part in (its loop stood still) are told apart, and the server is asked for its
 * own figures (mntr: rounds, replies, stolen time). */
#include "bench/fanout_int.h"

#include "core/base/endian.h"
#include "dp/eal/eal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SESSION_MS = 600000, READY_MAX = 8192 };

static const uint64_t stall_ns = UINT64_C(30000000000);

void fanout_fail(struct fanout *f, const char *fmt, ...)
{
	va_list ap;

	if (f->failure[0])
		return;
	va_start(ap, fmt);
	(void)vsnprintf(f->failure, sizeof(f->failure), fmt, ap);
	va_end(ap);
}

/* ---- one connection ---- */

static void put(struct fanout *f, struct fan_conn *c, const uint8_t *p, size_t n)
{
	/* a window of one request, or of a few small ones, always fits */
	if (!c->tcp || tcp_write(c->tcp, p, n) != n)
		fanout_fail(f, "a request does not fit into TCP");
}

void fanout_ask(struct fanout *f, struct fan_conn *c, int32_t op, const char *path, bool watch)
{
	uint8_t b[ZKMSG_FRAME_MAX];

	put(f, c, b, zkmsg_path_watch(b, FAN_XID, op, path, watch));
}

void fanout_create(struct fanout *f, const char *path)
{
	uint8_t b[ZKMSG_FRAME_MAX];

	put(f, f->writer, b, zkmsg_create(b, FAN_XID, path));
}

void fanout_set(struct fanout *f, const char *path)
{
	uint8_t b[ZKMSG_FRAME_MAX];

	put(f, f->writer, b, zkmsg_set_data(b, FAN_XID, path));
}

static void read_again(struct fanout *f)
{
	f->by_sent_ns = f->s->now_ns;
	fanout_ask(f, f->by, ZKMSG_GET_DATA, "/fan0", false);
}

/* The bystander has its answer. */
static void read_done(struct fanout *f)
{
	uint64_t ns = f->s->now_ns - f->by_sent_ns;
	bool hit = f->gap_end_ns > f->by_sent_ns;

	if (f->measuring) {
		zk_hist_add(&f->all, ns);
		if (hit)
			f->hits++;
		else
			zk_hist_add(&f->clean, ns);
	}
	if (!f->by_stop)
		read_again(f);
}

static void on_frame(struct fanout *f, struct fan_conn *c, struct zk_span p)
{
	if (!c->greeted) {
		if (p.n != ZKMSG_CONNECT_REPLY_BYTES || zk_get32(p.p + 4) == 0) {
			fanout_fail(f, "the server refused a session");
			return;
		}
		c->greeted = true;
		f->greeted++;
	} else if (p.n < ZKMSG_REPLY_HEADER_BYTES) {
		fanout_fail(f, "a reply of %zu bytes", p.n);
	} else if ((int32_t)zk_get32(p.p) == FAN_XID_EVENT) {
		c->events++;
		f->events++;
		f->event_ns = f->s->now_ns;
	} else if (zk_get32(p.p + 12) != 0 && (int32_t)zk_get32(p.p + 12) != FAN_NODE_EXISTS) {
		fanout_fail(f, "error %d", (int)zk_get32(p.p + 12));
	} else if (c == f->by) {
		read_done(f);
	} else {
		f->replies++;
	}
}

static void take(struct fanout *f, struct fan_conn *c)
{
	uint8_t scratch[ZKMSG_FRAME_MAX];
	enum zkmsg_cut cut = ZKMSG_CUT_MORE;
	struct zk_span p;
	size_t done = 0;

	while (!f->failure[0] && (cut = zkmsg_cut(c->tcp, done, scratch, &p)) == ZKMSG_CUT_OK) {
		on_frame(f, c, p);
		done += 4 + p.n;
	}
	if (done > 0)
		tcp_read_done(c->tcp, done);
	if (cut == ZKMSG_CUT_BAD)
		fanout_fail(f, "a frame longer than any that was asked for");
}

/* The text of a four-letter word, up to the server's FIN. */
static void take_text(struct fanout *f, struct fan_conn *c)
{
	struct zk_span run;

	while ((run = tcp_peek(c->tcp, 0)).n > 0) {
		size_t room = FAN_TEXT_MAX - 1 - f->text_n, n = run.n < room ? run.n : room;

		memcpy(f->text + f->text_n, run.p, n);
		f->text_n += n;
		tcp_read_done(c->tcp, run.n);
	}
}

static void on_event(struct fanout *f, struct tcp_conn *t, unsigned events)
{
	struct fan_conn *c = tcp_user(t);
	uint8_t hello[ZKMSG_FRAME_MAX];

	if (events & TCP_READY_OPEN) {
		if (c->word)
			put(f, c, (const uint8_t *)c->word, 4);
		else
			put(f, c, hello, zkmsg_connect(hello, SESSION_MS));
	}
	if (events & TCP_READY_READ) {
		if (c->word)
			take_text(f, c);
		else
			take(f, c);
	}
	if (events & TCP_READY_CLOSED) {
		if (!c->word)
			fanout_fail(f, "connection lost (reason %d)", (int)tcp_close_reason(t));
		tcp_release(t, f->s->now_ns);
		c->tcp = NULL;
	} else if (events & TCP_READY_FIN) {
		if (!c->word)
			fanout_fail(f, "the server closed a connection");
		tcp_shutdown(t, f->s->now_ns);
		c->over = true;
	}
}

/* ---- rounds ---- */

static void round_once(struct fanout *f)
{
	uint64_t before = f->s->now_ns, gap;

	bench_stack_in(f->s);
	gap = f->s->now_ns - before;
	if (gap > f->gap_max_ns)
		f->gap_max_ns = gap;
	if (gap >= FAN_GAP_NS)
		f->gap_end_ns = f->s->now_ns;
	for (unsigned k = 0; k < f->s->nets_n; k++) {
		struct tcp *tcp = net_tcp(f->s->nets[k]);
		struct tcp_conn *t;
		unsigned events;

		for (unsigned i = 0; i < READY_MAX && (t = tcp_next_ready(tcp, &events)); i++)
			on_event(f, t, events);
	}
	bench_stack_out(f->s);
	if (bench_stopped())
		fanout_fail(f, "interrupted");
}

bool fanout_until(struct fanout *f, const uint64_t *have, uint64_t want)
{
	uint64_t last = *have, since = f->s->now_ns;

	while (*have < want && !f->failure[0]) {
		round_once(f);
		if (*have != last) {
			last = *have;
			since = f->s->now_ns;
		} else if (f->s->now_ns - since > stall_ns) {
			fanout_fail(f, "%" PRIu64 " of %" PRIu64 " have come", *have, want);
		}
	}
	return !f->failure[0];
}

bool fanout_pass(struct fanout *f, uint64_t ns)
{
	uint64_t begin = f->s->now_ns;

	while (f->s->now_ns - begin < ns && !f->failure[0])
		round_once(f);
	return !f->failure[0];
}

void fanout_read_begin(struct fanout *f)
{
	f->by_stop = false;
	read_again(f);
}

static bool open_one(struct fanout *f, struct fan_conn *c, unsigned net)
{
	if (tcp_connect(net_tcp(f->s->nets[net]), net_addr_v4(f->o->server_ip), f->o->port,
			f->s->now_ns, &c->tcp) != ZK_EOK) {
		fanout_fail(f, "cannot open a connection");
		return false;
	}
	tcp_user_set(c->tcp, c);
	return true;
}

bool fanout_connect(struct fanout *f, struct fan_conn *v, unsigned n)
{
	uint64_t before = f->greeted;

	for (unsigned i = 0; i < n && !f->failure[0]; i++) {
		if (!open_one(f, &v[i], i % f->s->nets_n))
			return false;
		if (i >= FAN_WINDOW && !fanout_until(f, &f->greeted, before + i - FAN_WINDOW))
			return false;
		round_once(f);
	}
	return fanout_until(f, &f->greeted, before + n);
}

bool fanout_word(struct fanout *f, const char *word)
{
	struct fan_conn c = {.word = word};
	uint64_t begin = f->s->now_ns;

	f->text_n = 0;
	if (!open_one(f, &c, 0))
		return false;
	while (c.tcp && !c.over && !f->failure[0]) {
		round_once(f);
		if (f->s->now_ns - begin > stall_ns)
			fanout_fail(f, "no answer to %s", word);
	}
	if (c.tcp) { /* it need not see the end of the closing */
		tcp_user_set(c.tcp, NULL);
		tcp_release(c.tcp, f->s->now_ns);
	}
	f->text[f->text_n] = 0;
	if (f->text_n == 0)
		fanout_fail(f, "no answer to %s", word);
	return !f->failure[0];
}
