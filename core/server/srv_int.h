/* SPDX-License-Identifier: Apache-2.0 */
/** Inside of core/server's client core: the machine, its connections, and what its files share. */
#ifndef ZK_SERVER_SRV_INT_H
#define ZK_SERVER_SRV_INT_H

#include "core/base/assert.h"
#include "core/base/list.h"
#include "core/base/metric.h"
#include "core/server/role.h"
#include "core/server/srv.h"
#include "core/watch/watch.h"

enum conn_state {
	CONN_FREE,
	CONN_FIRST,   /* nothing known: a four-letter word or a ConnectRequest */
	CONN_OPENING, /* waits for MSG_SESSION_OPENED */
	CONN_LIVE,
	CONN_MASK,    /* stmk: the 8 bytes of the mask are awaited */
	CONN_ASKING,  /* a four-letter word waits for the other cores' parts */
	CONN_CLOSING, /* output drains, then FIN */
	CONN_DOWN,    /* FIN or RST given: waits for srv_gone() */
	CONN_GONE,    /* srv_gone() was called; the slot waits for the last watch to be dropped and
			 for MSG_DETACH to be on the ring */
};

enum {
	SRV_CHUNK = 256,           /* connections allocated at once */
	SRV_SCRATCH_BYTES = 65536, /* replies up to this size are built without allocation */
	SRV_AHEAD = 16,            /* frames looked at before the first is served */
	SRV_IN_FIRST_BYTES = 256,  /* first size of a buffer that collects a frame */
	SRV_OUT_FIRST_BYTES = 512, /* first size of a spill buffer */
	SRV_MESSAGES_ROUND = 4096, /* of the leader, per srv_begin() */
	SRV_CHANGES_ROUND = 4096,  /* change records per srv_begin() */
	SRV_EVENTS_ROUND = 64,     /* notifications per srv_begin(), see srv_fire.c */
	SRV_EVENT_BYTES = 512,     /* of a notification's path, as good as another one */
	SRV_FIRES_MAX = 256,       /* triggers that have not told everyone yet */
	SRV_DROPS_ROUND = 2048,    /* watches of closed connections taken away per round */
	SRV_RUN_ROUND = 1024,      /* connections resumed per round */
	SRV_PART_ROUND = 256,      /* connections of an earlier term closed per round ... */
	SRV_PART_LOOKS = 4096,     /* ... among so many looked at */
	SRV_TOUCH_RECORD = 512,    /* sessions per MSG_TOUCH */
	SRV_ASKS_MAX = 2,          /* gathers of this core's connections at a time */
	SRV_GATHERS_MAX = SRV_ASKS_MAX * MSG_CORES_MAX,
	SRV_BODY_APART = 65536, /* a longer request is handed to the leader where it lies ... */
	SRV_LENT_MAX = 64,      /* ... so many at a time */
	SRV_JOB_STEP = 512,     /* names, operations, watches per turn of a long request */
	SRV_JOBS_ROUND = 4,     /* turns per round */
	SRV_DATA_STEP = 65536,  /* bytes of a long value per turn */
	SRV_LIST_INLINE = 2048, /* children listed within one round */
	SRV_ADDR_BYTES = 46,
};

#define SRV_TOUCH_NS      UINT64_C(10000000)
#define SRV_ROLL_ROUNDS   256
#define SRV_SWEEP_NS      UINT64_C(100000000)   /* one slice of the idle sweep ... */
#define SRV_SWEEP_HOLD_NS UINT64_C(40000000000) /* not longer after a pause */
#define SRV_SWEEP_PARTS   100                   /* ... of so many */
#define SRV_LIST_NS       UINT64_C(5000000000)  /* a longer listing loses its connection */
#define SRV_COUNT_NS      UINT64_C(30000000000) /* a count of descendants: ten million and more */

struct conn_in {
	uint8_t *p; /* a frame that did not come in one run, its length first */
	uint32_t n, cap;
};

struct conn_out {
	uint8_t *p; /* output that TCP had no budget for: [head, head + n) */
	uint32_t head, n, cap;
};

struct srv_job; /* read_job.h: a request that takes several rounds */

struct srv_conn {
	struct srv *s;
	void *t;
	uint64_t session;
	struct conn_in in;
	struct conn_out out;
	uint32_t waiting;     /* requests at the leader */
	uint32_t outstanding; /* of them with xid > 0: what globalOutstandingLimit looks at */
	uint64_t large_bytes; /* of them, in limits.large_bytes */
	uint32_t touch_round; /* s->touch_round when last in the touch list */
	uint32_t term;        /* in which its session was asked for */
	uint8_t state;        /* enum conn_state */
	bool doomed : 1;      /* abort at the next safe point */
	bool closing : 1;     /* closeSession is on its way: read no more */
	bool peer_fin : 1;
	bool reconnect : 1;
	bool has_readonly : 1; /* the ConnectRequest had the byte */
	bool detach : 1;       /* MSG_DETACH is owed */
	bool stopped : 1;      /* the parser has left a whole frame */
	bool parked : 1;       /* in s->parked */
	bool was_parked : 1;   /* ... while some of stop_left waited */
	bool admitted : 1;     /* past the connection throttle */
	bool deferring : 1;    /* events wait behind the reply of the job */
	bool dropping : 1;     /* closed, and its watches are being taken away */
	bool local : 1;        /* the session is one of read-only mode: the leader has not got it */
	uint16_t ids_n;
	uint8_t *ids; /* encoded identities, ids_n bytes */
	/* s->run, stalled, parked, gated, doomed, dropping, detach, asks_wait */
	struct zk_list link;
	struct srv_job *job;
	uint64_t last_ns;   /* when bytes came last */
	uint64_t stop_ns;   /* since when the next stop_left bytes have been waiting */
	uint64_t parked_ns; /* since when they have been waiting for the request throttle */
	uint32_t stop_left;
	uint32_t index, generation;
	int32_t timeout_ms;
	uint8_t word; /* enum srv_word of CONN_ASKING */
	/* for cons, stat and limits */
	uint16_t port;
	int32_t last_op;
	int64_t last_cxid;
	uint64_t event_zxid; /* of the newest notification */
	uint64_t last_zxid, last_response_ns, opened_ns, addr_hash;
	uint64_t received, sent;
	uint64_t latency_count, latency_sum_ms;
	uint32_t latency_last_ms, latency_min_ms, latency_max_ms;
	char addr[SRV_ADDR_BYTES];
};

/** Starts in the core's scratch buffer, moves to memory of its own when it grows. One at a time per
 * scratch. */
struct read_build {
	struct srv *s;
	uint8_t *p;
	size_t n, cap;
	bool heap, failed;
};

/** A four-letter word of this core that waits for all cores. */
struct srv_ask {
	bool used;
	struct msg_conn conn;
	uint16_t parts_done;
	/* a text: core by core, in their order */
	uint16_t turn;  /* the core whose text goes out as it comes */
	uint32_t ended; /* set of the cores whose last part is here */
	struct read_build held[MSG_CORES_MAX];
	/* wchs, wchp: merged by path, words_merge.c */
	size_t held_at[MSG_CORES_MAX]; /* of held, what has been merged */
	uint32_t totals;               /* set of the cores whose totals are here */
	uint64_t watch_conns, watch_paths, watches;
	uint64_t order; /* of the path that is being told, when watch_paths > 0 */
	/* dump */
	struct read_build conns, sessions, owners; /* records, records, text */
	bool learner;                              /* sessions are GATHER_GLOBALS */
	uint64_t owners_n;
};

/** A record of a dump: u64 time in ms at which it expires, u16 length, name. */
enum { WORDS_RECORD_BYTES = 10 };

/** What a core sends for wchp, watch by watch in watch_order(): u64 order, u32 length of the path
 * (0: it has been told), path, u64 session (0: leave it out). For wchs: its connections and watches
 * once, then u64 order per path. */
enum words_watch {
	WORDS_WATCH_HEAD = 12,
	WORDS_WATCH_SESSION = 8,
	WORDS_WATCH_ORDER = 8,
	WORDS_WATCH_TOTALS = 16
};

/** A part that this core still owes. */
struct srv_gather {
	struct msg_gather m;
	uint32_t cursor;          /* next connection slot */
	struct watch_place watch; /* wchc, wchp: next watch ... */
	size_t item_at; /* ... of which so many bytes have been sent: it is too long for a part */
	size_t item_bytes;
	uint32_t item_conn;
	size_t item_path_n;
	bool begun;
};

/** Summaries of a client core; with percentiles up to SRV_METRICS_DETAILED. */
enum srv_metric {
	SRV_METRIC_READ,   /* answers that took a millisecond or more, but for the next kind */
	SRV_METRIC_UPDATE, /* all answers to what became a transaction */
	SRV_METRIC_PARKED, /* ms in front of the request throttle */
	SRV_METRICS_DETAILED,
	SRV_METRIC_CREATED = SRV_METRICS_DETAILED, /* watches fired by one event */
	SRV_METRIC_DELETED,
	SRV_METRIC_CHANGED,
	SRV_METRIC_CHILDREN,
	SRV_METRIC_DEFICIT, /* tokens missing after a ConnectRequest */
	SRV_METRICS
};

/** A trigger, and what its notifications need. */
struct srv_fire {
	struct watch_firing f;
	uint64_t zxid;
	uint64_t settled;           /* the last zxid before its transaction */
	const struct acl_list *acl; /* READ on it lets the event through; NULL: no check */
};

/** A request that the leader reads where it was collected. */
struct srv_lent {
	struct conn_in frame;
	uint64_t put; /* behind its record on the ring */
};

struct srv_fires {
	struct srv_fire line[SRV_FIRES_MAX]; /* [first, first + n), round and round */
	uint32_t first, n;
	int budget; /* of this round */
};

struct srv {
	struct srv_conf conf;
	struct srv_shared *sh;
	struct srv_io io;
	struct tree *tree;
	struct tree_reader *reader;
	uint64_t
		visible; /* what is read here; tree_visible(reader) may be behind, see srv_fire.c */
	struct tree_change change; /* the next one, when has_change */
	bool has_change;
	bool midway; /* some of the next transaction's changes have fired */
	bool unread; /* srv_consume() stopped before the end of what is published */
	struct srv_fires fires;
	uint64_t now_ns;
	uint32_t maxbuffer;
	struct srv_counts n;
	struct watch *watch;
	struct zk_list run;     /* something to do in the next round */
	struct zk_list stalled; /* ring full */
	struct zk_list parked;  /* over request_throttle_max_requests, in order */
	uint32_t parked_n;
	bool turn;            /* the first of them may go on */
	struct zk_list gated; /* until visible is what they have been told of */
	struct zk_list doomed;
	struct zk_list dropping;            /* closed, with watches */
	struct zk_list detach;              /* MSG_DETACH owed */
	struct zk_list asks_wait;           /* four-letter words in line */
	struct srv_lent lent[SRV_LENT_MAX]; /* [first, first + n), round and round */
	uint32_t lent_first, lent_n;
	struct zk_list jobs;      /* long requests ... */
	struct zk_list jobs_wait; /* ... whose connections have output to send first */
	uint64_t jobs_look_ns;
	/* connections */
	struct srv_conn **chunk;
	uint32_t chunks_max, slots_used;
	struct srv_conn *free;
	uint32_t conns;
	bool draining;
	bool limited; /* is any of the limits that are off by default on? */
	bool more;    /* a budget of this round ran out */
	/* role */
	uint8_t role; /* enum srv_role */
	bool parting; /* connections of earlier terms may be left, in slots from part_next on */
	uint32_t term, part_next;
	uint64_t epoch, role_ns; /* of the role: its epoch, since when */
	uint64_t next_local;     /* id of the next session of read-only mode */
	/* touches */
	uint64_t *touch;
	uint32_t touch_n, touch_round;
	uint64_t touch_ns, touch_through_ns;
	/* roll */
	uint64_t roll;          /* number of the leader's question, 0 = it is answered */
	uint32_t roll_rounds;   /* begun since it came */
	bool heard;             /* srv_heard() in this round */
	uint64_t hold_until_ns; /* after a pause of this core nothing shall expire */
	/* gathers */
	struct srv_ask ask[SRV_ASKS_MAX];
	struct srv_gather gather[SRV_GATHERS_MAX];
	uint32_t gathers;
	/* idle sweep */
	uint64_t sweep_ns;
	uint32_t sweep_part;
	uint8_t *scratch;
	struct zk_hist hist; /* for one mntr at a time */
	struct zk_metric metric[SRV_METRICS];
	_Atomic uint64_t slots[SRV_METRICS_DETAILED][ZK_HIST_SLOTS];
	struct srv_stats stats; /* read by other threads */
};

/* ---- srv.c ---- */

/** The connection of a handle, NULL when it is gone. */
struct srv_conn *srv_conn_of(struct srv *s, struct msg_conn h);
static inline struct srv_conn *srv_slot(struct srv *s, uint32_t i)
{
	return &s->chunk[i / SRV_CHUNK][i % SRV_CHUNK];
}
/** A slot for a new connection; NULL: no more. */
struct srv_conn *srv_slot_take(struct srv *s);
void srv_slot_give(struct srv_conn *c);
/** How long a connection may be silent. */
uint64_t srv_idle_limit_ns(const struct srv_conn *c);
/** Abort what was doomed. At safe points only: no iteration over watches or connections. */
void srv_reap(struct srv *s);

/* ---- srv_fire.c: change log, events ---- */

/** Consume the change log and the leader's ring in the order of their zxids: fire, advance, reply.
 * No tree pointer may be held. Returns records. */
unsigned srv_consume(struct srv *s);
/** Consume until visible is at @p zxid or all that is published has been consumed. Bound: the log,
 * which the leader keeps below changes_soft_max. @return false: it is not, and there is more to
 * consume, later. */
bool srv_catch_up(struct srv *s, uint64_t zxid);
/** Once per round: a slice of the events in line. Returns how many triggers were waiting. */
unsigned fire_round(struct srv *s);
void fire_run(struct srv *s);
/** Tell @p c of everything in line: before it is served, and before a reply to it. */
void fire_settle_slow(struct srv_conn *c);
static inline void fire_settle(struct srv_conn *c)
{
	if (zk_unlikely(c->s->fires.n) && !watch_is_up_to_date(c->s->watch, c->index))
		fire_settle_slow(c);
}

/* ---- srv_msg.c: rings ---- */

/** Everything from the leader that may be delivered at this core's visible; at most
 * SRV_MESSAGES_ROUND. */
unsigned srv_messages(struct srv *s);
/** Room for a record to the leader, header filled in; NULL: full. End with zk_ring_commit(). */
void *srv_send(struct srv *s, enum msg_kind kind, size_t n, struct msg_conn conn);
/** Is there room for another body that lies apart? */
bool srv_lend_room(struct srv *s);
/** The frame that @p c has collected is the leader's until it has released what was committed. */
void srv_lend(struct srv_conn *c);
void srv_lent_free(struct srv *s);
/** Try to send MSG_DETACH; on a full ring the connection waits in s->detach. */
void srv_detach(struct srv_conn *c);
/** What the ring held up: MSG_DETACH, bodies that lie apart. */
unsigned srv_detach_retry(struct srv *s);
/** Take watches of closed connections away, some per round. */
unsigned srv_drop_some(struct srv *s);
void srv_touch(struct srv_conn *c);
unsigned srv_touch_flush(struct srv *s);
/** Answer the leader's roll if it can be answered now. */
unsigned srv_roll_answer(struct srv *s);

/* ---- srv_role.c: what the server is in its ensemble ---- */

void srv_role_take(struct srv *s, const struct msg_role *m);
/** Close some of the connections of earlier terms. Returns how many. */
unsigned srv_part_some(struct srv *s);
/** Is the session of another term than the core's? */
static inline bool conn_of_old(const struct srv_conn *c)
{
	return c->term != c->s->term && (c->state == CONN_LIVE || c->state == CONN_OPENING);
}
/** Close it; what has not left yet is not said any more. */
void conn_part(struct srv_conn *c);
/** This server's id, the top byte of its session ids. */
uint8_t srv_sid(const struct srv *s);
/* ---- conn_run.c: frames ---- */

/** Serve what can be served. */
void conn_run(struct srv_conn *c);

/* ---- conn.c: requests, life ---- */

/** A request of a live connection. */
struct read_req {
	int32_t xid, op;
	uint64_t hash; /* of the path, when hashed */
	bool hashed;
	struct jute_in in; /* behind the request header */
};

enum conn_take { CONN_TAKEN, CONN_STOP /* leave the frame, try later */ };

/** One complete frame, without its length. @p hash: of its path, or NULL. */
enum conn_take conn_frame(struct srv_conn *c, struct zk_span f, const uint64_t *hash);
/** A frame that no client sends: closed without a word. */
void conn_malformed(struct srv_conn *c);
void conn_in_free(struct srv_conn *c);
/** Close after what is queued. */
void conn_finish(struct srv_conn *c);
/** Close; what TCP has not taken yet is dropped. */
void conn_drop(struct srv_conn *c);
/** Reset now. */
void conn_abort(struct srv_conn *c);
/** The transport is gone already. */
void conn_forget(struct srv_conn *c);
/** Reset at the next safe point. */
void conn_doom(struct srv_conn *c);
/** Look at it when visible has moved on. */
void conn_gate(struct srv_conn *c);
/** Look at it in the next round. */
void conn_schedule(struct srv_conn *c);
static inline bool conn_over(const struct srv_conn *c)
{
	return c->state >= CONN_CLOSING || c->doomed;
}

/** srv_role.c: a request that is no read, in read-only mode. */
void readonly_refuse(struct srv_conn *c, struct read_req *q);

/* ---- conn_limit.c: what may be turned away or made to wait ---- */

enum limit_verdict {
	LIMIT_PASS,
	LIMIT_STOP, /* leave the frame; something resumes the parser */
	LIMIT_DONE  /* it has been answered, or the connection closed */
};

/** One whole frame of @p n bytes. @p piped: it is part of the pipeline; @p leader: it goes to the
 *  leader. */
enum limit_verdict limit_request(struct srv_conn *c, const struct read_req *q, uint32_t n,
				 bool piped, bool leader);
/** A length has come, the frame not yet. @return false: closed. */
bool limit_length(struct srv_conn *c, uint32_t n);
/** A frame that is too large beside the others: closed without a word. */
void limit_large_close(struct srv_conn *c);
/** Before a request goes to the leader: is the connection's turn over? */
bool limit_outstanding(struct srv_conn *c);
/** A ConnectRequest. @return false: closed. */
bool limit_connect(struct srv_conn *c, bool renew);
/** Some of those parked may go on. Returns work done. */
unsigned limit_unpark(struct srv *s);
/** When to look again, absolute ns. */
uint64_t limit_next_ns(const struct srv *s);

/** How long the next frame has been waiting, ns. */
static inline uint64_t conn_waited_ns(const struct srv_conn *c)
{
	return c->stop_left ? c->s->now_ns - c->stop_ns : 0;
}

/* ---- conn_hello.c: ConnectRequest, ConnectResponse ---- */

enum conn_take conn_hello(struct srv_conn *c, struct zk_span frame);
void conn_opened(struct srv_conn *c, const struct msg_session *m);

/* ---- conn_out.c: output ---- */

/** Room for @p n contiguous bytes of output, ended by out_done(); NULL: no memory, doomed. */
uint8_t *out_room_slow(struct srv_conn *c, size_t n);
void out_done_slow(struct srv_conn *c, size_t n);
void out_put(struct srv_conn *c, const void *p, size_t n);
/** Output whose memory changes hands when that saves a copy; *b is then empty. */
void out_give(struct srv_conn *c, struct read_build *b);
/** Give the spill to TCP. @return true when nothing is left. */
bool out_drain(struct srv_conn *c);
void out_free(struct srv_conn *c);
/** Before output the client has not just asked for: is there too much unread already? Dooms. */
bool out_overrun(struct srv_conn *c);

static inline uint8_t *out_room(struct srv_conn *c, size_t n, bool *spilled)
{
	uint8_t *p = c->out.n ? NULL : c->s->io.tail(c->t, n);

	*spilled = p == NULL;
	return zk_likely(p != NULL) ? p : out_room_slow(c, n);
}

static inline void out_done(struct srv_conn *c, size_t n, bool spilled)
{
	if (zk_likely(!spilled))
		c->s->io.tail_commit(c->t, n);
	else
		out_done_slow(c, n);
}

/* ---- replies ---- */

/** Length, header; the body of @p body bytes follows. */
static inline uint8_t *reply_head(uint8_t *p, size_t body, int32_t xid, uint64_t zxid, int32_t err)
{
	zk_put32(p, (uint32_t)(ZK_REPLY_HEADER_BYTES + body));
	zk_put32(p + 4, (uint32_t)xid);
	zk_put64(p + 8, zxid);
	zk_put32(p + 16, (uint32_t)err);
	return p + 4 + ZK_REPLY_HEADER_BYTES;
}

/** A whole reply. */
void reply_send(struct srv_conn *c, int32_t xid, uint64_t zxid, int32_t err, struct zk_span body);

/** Book-keeping of an answered request; @p ms: its latency. */
static inline void conn_answered_ms(struct srv_conn *c, int32_t xid, int32_t op, uint64_t zxid,
				    size_t bytes, uint32_t ms)
{
	struct srv *s = c->s;

	c->sent++;
	c->last_op = op;
	if (xid >= 0)
		c->last_cxid = xid;
	c->last_zxid = zxid;
	c->last_response_ns = s->now_ns;
	if (c->latency_count++ == 0 || ms < c->latency_min_ms)
		c->latency_min_ms = ms;
	if (ms > c->latency_max_ms)
		c->latency_max_ms = ms;
	c->latency_sum_ms += ms;
	c->latency_last_ms = ms;
	s->n.packets_sent++;
	stats_latency(&s->n, ms);
	stats_response(&s->n, bytes);
	s->n.response_bytes += bytes;
}

/** The same for a request answered in the round it came in. */
static inline void conn_answered(struct srv_conn *c, int32_t xid, int32_t op, uint64_t zxid,
				 size_t bytes)
{
	uint32_t ms = 0;

	if (zk_unlikely(c->stop_left)) { /* it had to wait for something */
		ms = (uint32_t)(conn_waited_ns(c) / 1000000);
		if (ms)
			zk_metric_add(&c->s->metric[SRV_METRIC_READ], ms);
	}
	conn_answered_ms(c, xid, op, zxid, bytes, ms);
}

/** Header-only answer to a read at this core's visible. */
void read_error(struct srv_conn *c, int32_t xid, int32_t op, enum zk_err err);

/* ---- read*.c: requests served here; every earlier request of the connection is answered ---- */

/** CONN_STOP: no pin to be had now, ask again. */
enum conn_take read_serve(struct srv_conn *c, struct read_req *q);
/** Is READ (or any of @p perm) granted to the connection? */
bool read_allowed(struct srv_conn *c, const struct acl_list *acl, int32_t perm);
bool read_find(struct srv_conn *c, struct read_req *q, struct zk_span path, struct tree_ref *ref);
/** Register; a failure closes the connection. @return false then. */
bool read_watch_set(struct srv_conn *c, struct zk_span path, unsigned bits);

enum conn_take read_children(struct srv_conn *c, struct read_req *q);
enum conn_take read_all_children_number(struct srv_conn *c, struct read_req *q);
unsigned read_jobs(struct srv *s); /* continue long requests */
/** The connection has sent what it owed. */
void read_job_resume(struct srv_conn *c);
void read_job_drop(struct srv_conn *c);
/** Output that must wait behind a long reply (c->deferring). */
void read_job_defer(struct srv_conn *c, const void *p, size_t n);

enum conn_take read_multi(struct srv_conn *c, struct read_req *q);
void read_set_watches(struct srv_conn *c, struct read_req *q);
void read_add_watch(struct srv_conn *c, struct read_req *q);
void read_check_watches(struct srv_conn *c, struct read_req *q);
/** A notification. */
void event_send(struct srv_conn *c, uint64_t zxid, enum zk_event event, struct zk_span path);

/* ---- read_build.c: a reply of unknown size ---- */

/** Leaves room for the length and the reply header; build_send() fills it in, sends and frees. */
void build_start(struct read_build *b, struct srv *s);
uint8_t *build_room_slow(struct read_build *b, size_t n);
void build_free(struct read_build *b);
/** Move out of the scratch buffer, to @p cap bytes or more. */
bool build_own(struct read_build *b, size_t cap);
static inline uint8_t *build_room(struct read_build *b, size_t n)
{
	uint8_t *p;

	if (zk_unlikely(b->cap - b->n < n))
		return build_room_slow(b, n);
	p = b->p + b->n;
	b->n += n;
	return p;
}
void build_bytes(struct read_build *b, struct zk_span v);
void build_i32(struct read_build *b, int32_t v);
void build_stat(struct read_build *b, struct tree_ref ref);
void build_send(struct srv_conn *c, struct read_build *b, int32_t xid, int32_t op, uint64_t zxid,
		int32_t err);

/* ---- words.c, words_gather.c, words_dump.c, words_text.c, words_mntr.c ---- */

/** Are these the first four bytes of a four-letter word's connection? Then it is served. */
bool words_first(struct srv_conn *c, const uint8_t first[4]);
/** CONN_MASK: the mask of stmk may have come. */
void words_mask(struct srv_conn *c);
void words_ask(struct srv_conn *c);
void words_gather(struct srv *s, const struct msg_gather *m);
void words_text(struct srv *s, const struct msg_gather *m, struct zk_span text);
unsigned words_round(struct srv *s); /* owed parts, words in line */
void words_ask_free(struct srv_ask *a);
/** Send one part of the first gather. @return false: the ring is full. */
bool words_part(struct srv *s);
/** Keep bytes for later. */
void words_keep(struct srv_conn *c, struct read_build *b, struct zk_span text);
/** A part of a wchs or wchp: merge what is there of all cores. */
void words_merge(struct srv_conn *c, struct srv_ask *a, const struct msg_gather *m,
		 struct zk_span part);
/** GATHER_GLOBALS instead of GATHER_SESSIONS. */
void words_dump_global(struct srv_conn *c, struct srv_ask *a, struct zk_span text);
/** Everything for a dump is here: print it. */
void words_dump(struct srv_conn *c, struct srv_ask *a);

struct words_out {
	char *p;
	size_t n, cap;
};
__attribute__((format(printf, 2, 3))) void words_printf(struct words_out *o, const char *fmt, ...);
/** As of this round for this core, as of their last round for the others. */
void words_totals(struct srv *s, struct srv_counts *out);
void words_srvr(struct srv *s, struct words_out *o);
void words_version(struct srv *s, struct words_out *o);
void words_mntr(struct srv *s, struct words_out *o);
void words_quota(struct srv *s, struct words_out *o); /* part of mntr */
void words_conf(struct srv *s, struct words_out *o);
void words_dirs(struct srv *s, struct words_out *o);
void words_hash(struct srv *s, struct words_out *o);
void words_conn(const struct srv_conn *c, bool brief, struct words_out *o);
/** "zk_name", a tab, the number. */
void words_u64(struct words_out *o, const char *name, uint64_t v);
void words_i64(struct words_out *o, const char *name, int64_t v);
/** As Java's Date.toString() in UTC. */
void words_date(int64_t wall_ms, struct words_out *o);

/* ---- words_quorum.c: the ensemble ---- */

/** As ServerStats.getServerState(). */
const char *srv_mode(const struct srv *s);
uint64_t words_uptime_ms(const struct srv *s);
/** The last line of srvr and stat, of a leader. */
void words_quorum_srvr(struct srv *s, struct words_out *o);
/** conf behind serverId; there is an ensemble. */
void words_quorum_conf(const struct srv *s, struct words_out *o);
/** mntr behind server_state. */
void words_quorum_state(const struct srv *s, struct words_out *o);
/** mntr, the rest. */
void words_quorum_mntr(struct srv *s, struct words_out *o);
/** srst: the proposals' sizes of a leader. */
void words_quorum_reset(struct srv *s);

#endif
