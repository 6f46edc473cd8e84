/* SPDX-License-Identifier: Apache-2.0 */
/** Requests that take more than one round: long listings and values, multiRead, many watches.
 *
 * A turn does a bounded piece. Meanwhile the connection reads nothing more. What must be of one
 * state has a pin, and then the connection's events wait behind the reply, so that zxids do not go
 * back. A turn comes only when the connection has sent what it owes (s->jobs_wait), so the memory
 * of one is bounded by the reply that is being built. Inside core/server. */
#ifndef ZK_SERVER_READ_JOB_H
#define ZK_SERVER_READ_JOB_H

#include "core/server/read_count.h"
#include "core/server/read_multi.h"

enum job_turn {
	JOB_MORE, /* another turn */
	JOB_DONE, /* the reply is out */
	JOB_FAILED
};

struct srv_job;

struct job_kind {
	enum job_turn (*turn)(struct srv_job *j);
	uint64_t max_ns; /* longer, and the connection is lost */
	bool defers;     /* events wait behind the reply */
	bool waits;      /* no turn while output is unsent */
};

struct job_list {
	uint64_t cursor;
	int32_t names;
};

/** setWatches: where it is in its lists. */
struct job_watches {
	struct jute_in in;
	int64_t since;
	int list;     /* -1: before the first */
	int32_t left; /* paths of it */
	bool act;     /* false: the format is being looked at */
	bool bad;
};

struct srv_job {
	struct zk_list link; /* s->jobs or s->jobs_wait */
	struct srv_conn *c;
	const struct job_kind *kind;
	int pin; /* -1: none */
	int32_t xid, op;
	uint64_t zxid, since_ns;
	struct read_build reply;
	struct read_build later; /* events that came meanwhile */
	struct conn_in frame;    /* the request; `in` is behind its header */
	struct jute_in in;
	struct zk_span path;
	union {
		struct job_list list;
		struct read_count count;
		struct read_multi multi;
		struct job_watches watches;
		size_t sent; /* getData: bytes of the data */
	} u;
};

/** Go on with @p q in later rounds, from s->visible. Takes @p pin (-1: none) and the frame over;
 * jute positions in the request move by job_moved(). @return NULL: no memory, all is as before. */
struct srv_job *job_new(struct srv_conn *c, const struct read_req *q, const struct job_kind *kind,
			int pin);

/** Where @p p, in the request as @p q has it, is in the job's frame. */
static inline const uint8_t *job_moved(const struct srv_job *j, const struct read_req *q,
				       const uint8_t *p)
{
	return p ? j->in.p + (p - q->in.p) : NULL;
}

#endif
