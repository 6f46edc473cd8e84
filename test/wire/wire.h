/* SPDX-License-Identifier: Apache-2.0 */
/** Wire scripts: TCP segments against one stack in virtual time. The language is described in
 * test/wire/README.md.
 *
 * Everything here belongs to one script run; a failure is recorded once in wire->failed/why, and
 * the runner stops at it.
 */
#ifndef TEST_WIRE_H
#define TEST_WIRE_H

#include "core/mem.h"
#include "dp/net/net.h"
#include "dp/net/tcp/tcp.h"
#include "test/lib/frame.h"
#include "test/lib/pkt_heap.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WIRE_FLOWS = 8,
	WIRE_CAPTURES_MAX = 4096,
	WIRE_TRACE_LINES = 48,
	WIRE_TRACE_TEXT = 160,
	WIRE_PAYLOAD_MAX = 65000,
	WIRE_WORDS_MAX = 48,
	WIRE_HOLD_MAX = 64,
};

#define WIRE_OWN_IP   0x0ab50001u /* 10.181.0.1 */
#define WIRE_PEER_IP  0x0ab500feu /* 10.181.0.254 */
#define WIRE_START_NS 1000000000000u

/** One connection (or place for one) between the stack and the scripted peer. */
struct wire_flow {
	uint16_t peer_port, own_port;
	uint32_t peer_isn, own_isn;
	bool own_isn_known, ts_on, own_ws_known, ts_seen;
	uint8_t own_ws;               /* shift that the stack announced */
	uint32_t peer_next;           /* relative: end of the highest byte we injected */
	uint32_t own_next;            /* relative: end of the highest byte the stack sent */
	uint32_t last_tsval;          /* of the stack */
	uint16_t win;                 /* what `in` announces when it does not say */
	struct tcp_conn *conn;        /* ours until `release` */
	unsigned events;              /* not yet expected by the script */
	uint64_t read_off, write_off; /* stream offsets of the application */
};

/** A frame that the stack sent and no statement has matched yet. */
struct wire_capture {
	uint64_t at_ns;
	enum frame_kind kind;
	struct frame_seg seg;
	uint8_t *bytes;
	bool used;
};

struct wire {
	const char *path;
	unsigned line;
	bool failed;
	char why[512];

	struct net_conf net_conf;
	struct tcp_conf tcp_conf;
	struct zk_mem mem;
	struct pkt_pool *tx_pool, *rx_pool;
	struct net *net;
	struct tcp *tcp;
	uint64_t now_ns;

	bool arp_auto, held, gate_open, lax;
	struct pkt *held_frames[WIRE_HOLD_MAX];
	unsigned n_held;

	struct wire_flow flows[WIRE_FLOWS];
	struct wire_flow *flow;
	long iteration; /* of an `xN` prefix */

	struct wire_capture captures[WIRE_CAPTURES_MAX];
	unsigned n_captures;
	char trace[WIRE_TRACE_LINES][WIRE_TRACE_TEXT];
	unsigned n_trace;
};

/** The words of one statement. */
struct wire_words {
	char *w[WIRE_WORDS_MAX];
	unsigned n, next;
};

/** One statement of the language; tables end with a NULL name. */
struct wire_statement {
	const char *name;
	void (*run)(struct wire *w, struct wire_words *v);
	bool before_start; /* allowed before the stack exists */
};

extern const struct wire_statement WIRE_APP_STATEMENTS[];   /* wire_app.c */
extern const struct wire_statement WIRE_LOWER_STATEMENTS[]; /* wire_lower.c */

/** Record the failure of the current line (the first one counts). */
void wire_fail(struct wire *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void wire_trace(struct wire *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Content of both streams: a function of side and offset. */
uint8_t wire_byte(bool own_side, uint64_t offset);

/* wire_stack.c */
void wire_open(struct wire *w, const char *path);
/** Create the stack when it does not exist yet. */
void wire_start(struct wire *w);
/** Tear everything down; fails the script on leaked packets or bytes. */
void wire_close(struct wire *w);
/** Give a frame to the stack, now or, while held, with the next `go`. */
void wire_inject(struct wire *w, const uint8_t *frame, size_t n);
/** End the round: ready list, timers, output. Nothing while held. */
void wire_round(struct wire *w);
void wire_advance(struct wire *w, uint64_t ns);
/** First capture of the current flow (TCP) or of @p kind that no statement has matched. */
struct wire_capture *wire_next_capture(struct wire *w, enum frame_kind kind);
/** Fail when any frame (of the current flow only: @p flow_only) is unmatched. */
void wire_expect_drained(struct wire *w, bool flow_only);
void wire_drain(struct wire *w);
/** Fill in both ends of a frame from the peer. */
struct frame_ends wire_peer_ends(void);

/* wire_parse.c */
/** Split @p line in place at blanks; '#' starts a comment. */
void wire_split(char *line, struct wire_words *v);
const char *wire_word(struct wire_words *v); /* NULL at the end */
const char *wire_peek_word(const struct wire_words *v);
/** A number: sums, differences and products of integers and `i`. */
long wire_number(struct wire *w, const char *text);
uint64_t wire_duration_ns(struct wire *w, const char *text);
uint8_t wire_flags(struct wire *w, const char *text);
unsigned wire_events(struct wire *w, struct wire_words *v);
/** "5", ">=5", ">5", "<=5", "<5": does @p value fit? */
bool wire_compare(struct wire *w, const char *text, long value);

/* wire_seg.c */
void wire_do_in(struct wire *w, struct wire_words *v);
void wire_do_out(struct wire *w, struct wire_words *v);

/* wire_count.c */
/** Value of the named counter of net_stats; fails the script when there is none. */
uint64_t wire_counter(struct wire *w, const char *name);

/* wire_run.c */
/** Run the statements of one script. @return false after a failure, described in w->why. */
bool wire_run(struct wire *w, const char *path);

#endif
