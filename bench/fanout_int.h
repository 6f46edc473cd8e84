/* SPDX-License-Identifier: Apache-2.0 */
/** Shared by fanout.c and fanout_run.c; nobody else includes it. */
#ifndef ZK_BENCH_FANOUT_INT_H
#define ZK_BENCH_FANOUT_INT_H

#include "bench/modes.h"
#include "bench/zkmsg.h"
#include "core/base/hist.h"

enum {
	FAN_XID = 1, /* of every request: there is one at a time, or their order does not matter */
	FAN_XID_EVENT = -1,
	FAN_NODE_EXISTS = -110,
	FAN_WINDOW = 200,    /* connections that are being opened, or set their watches */
	FAN_GAP_NS = 100000, /* our own loop stood still */
	FAN_TEXT_MAX = 1 << 18,
};

struct fan_conn {
	struct tcp_conn *tcp; /* NULL once released */
	const char *word;     /* a four-letter word instead of a session */
	bool greeted, over;
	uint32_t events;
};

struct fanout {
	struct bench_stack *s;
	const struct bench_options *o;
	struct fan_conn *watcher, *by, *writer;
	uint64_t greeted, replies, events; /* so far; the bystander's replies are not in it */
	uint64_t event_ns;                 /* when the newest came */
	/* the bystander */
	uint64_t by_sent_ns;
	bool by_stop, measuring;
	struct zk_hist all, clean; /* its waits; those without a gap of our own */
	uint64_t hits;             /* waits with one */
	uint64_t gap_end_ns, gap_max_ns;
	char text[FAN_TEXT_MAX]; /* of the last four-letter word */
	size_t text_n;
	char failure[160]; /* first thing that went wrong, "" = nothing */
};

void fanout_fail(struct fanout *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Requests; their replies are counted in f->replies. */
void fanout_ask(struct fanout *f, struct fan_conn *c, int32_t op, const char *path, bool watch);
void fanout_create(struct fanout *f, const char *path);
void fanout_set(struct fanout *f, const char *path);

/** Open @p n sessions, spread over the stacks. */
bool fanout_connect(struct fanout *f, struct fan_conn *v, unsigned n);
/** Rounds until *have is @p want; half a minute without any more of it is the end. */
bool fanout_until(struct fanout *f, const uint64_t *have, uint64_t want);
/** Rounds for so long. */
bool fanout_pass(struct fanout *f, uint64_t ns);
/** From now on the bystander has one getData under way, until by_stop. */
void fanout_read_begin(struct fanout *f);
/** Ask a four-letter word; its answer is in f->text. */
bool fanout_word(struct fanout *f, const char *word);

#endif
