/* SPDX-License-Identifier: Apache-2.0 */
/** The generator: sessions that keep a window of requests in flight and check every reply. */
#ifndef ZK_BENCH_GEN_H
#define ZK_BENCH_GEN_H

#include "bench/modes.h"
#include "bench/report.h"
#include "bench/zkmsg.h"
#include "core/base/hist.h"

enum { GEN_NODES = 1000, GEN_PATH_MAX = 48 };

struct gen_pending {
	uint64_t sent_ns;
	uint32_t reply_bytes; /* expected payload; 0 = any, and any error code */
};

struct gen_conn {
	struct tcp_conn *tcp; /* NULL once released */
	bool greeted, closing;
	int32_t xid_sent, xid_got;
	uint64_t session;
	uint32_t unsent; /* bytes of buf that TCP has not taken yet */
	uint32_t unsent_at;
	struct gen_pending *pending; /* ring of BENCH_WINDOW_MAX, by xid */
	uint8_t *buf;                /* BENCH_WINDOW_MAX frames */
};

struct gen {
	struct bench_stack *s;
	const struct bench_options *o;
	struct gen_conn *conn;
	unsigned conns, window;
	unsigned alive, greeted, outstanding;
	/* what is sent now */
	bool (*next)(struct gen *g, struct gen_conn *c); /* append one request; false = no more */
	enum bench_op op;
	bool measuring;
	uint64_t completed;
	uint64_t random;
	uint64_t created; /* nodes named so far, or the set-up's position */
	uint32_t tag;     /* tells the nodes of this run from those of another */
	struct zk_hist hist;
	char failure[160]; /* first thing that went wrong, "" = nothing */
};

/** Open @p conns sessions and wait until each is established. */
bool gen_connect(struct gen *g, unsigned conns, unsigned window);

/** Close all sessions properly. */
void gen_disconnect(struct gen *g);

/** Create the nodes that the workloads read and write. Needs a session. */
bool gen_prepare(struct gen *g);

/** Run one workload: a warm-up, then o->seconds measured, then the rest of the replies. */
bool gen_measure(struct gen *g, enum bench_op op, struct bench_result *r);

#endif
