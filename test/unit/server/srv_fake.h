/* SPDX-License-Identifier: Apache-2.0 */
/** A client core under test: a scripted transport, a real tree, and a small leader at the other end
 * of the rings that does what it is told, when it is told. */
#ifndef TEST_SRV_FAKE_H
#define TEST_SRV_FAKE_H

#include "core/server/role.h"
#include "core/server/srv.h"

enum { FAKE_CONNS = 16, FAKE_BUF = 4 << 20 };

struct fake;

/** One connection's transport. */
struct fake_conn {
	struct fake *f;
	struct srv_conn *c;
	uint8_t *in; /* sent by the client, not yet read by the server */
	size_t in_n, in_at;
	uint8_t *out; /* written by the server */
	size_t out_n, out_at /* read by the test */;
	size_t run_max;     /* longest run peek() gives */
	size_t tail_max;    /* tail() refuses more */
	size_t budget;      /* bytes write() and tail() still take */
	bool news;          /* bytes since the last round */
	bool shut, reset;   /* the server closed */
	bool gone;          /* srv_gone() was called */
	uint8_t room[4096]; /* of tail() */
	size_t room_n;
};

struct fake {
	struct zk_mem mem;
	struct tree *tree;
	struct tree_reader *reader, *leader_reader;
	struct zk_ring up, down;
	struct srv_shared shared;
	struct srv *srv;
	struct fake_conn conn[FAKE_CONNS];
	uint64_t now_ns;
	/* the leader */
	bool hold;     /* keeps what comes, answers nothing */
	bool no_apply; /* replies go out before their change records: wrong on purpose */
	uint64_t zxid, next_session;
	unsigned requests, creates, attaches, detaches, touches, touched, asks;
	uint64_t last_detached, through_ns;
	bool deaf;            /* the device always holds more than a round reads */
	unsigned rolls;       /* answered */
	struct msg_roll roll; /* the last answer */
	bool refuse;          /* sessions */
	uint32_t term;        /* of the last fake_role() */
	unsigned crossed;     /* requests of an earlier one */
	bool move;            /* answer requests with drop */
};

struct fake_conf {
	size_t ring_bytes; /* 0 = 8 MiB */
	size_t mem_limit;
	uint32_t spill_max, maxbuffer, reads_round, max_cnxns;
	struct limits_conf limit; /* outstanding 0 = very many */
	uint32_t conns_max;       /* 0 = FAKE_CONNS */
	struct quorum_view *quorum;
	bool local_sessions;
	const struct srv_io *io; /* the test's own transports; then fake_open() is not for it */
	unsigned (*events_room)(void *ctx, unsigned want);
	void *events_ctx;
};

struct fake *fake_new(const struct fake_conf *conf);
/** Everything goes, and the memory must be back. */
void fake_free(struct fake *f);

struct fake_conn *fake_open(struct fake *f);
/** ... with a session. */
struct fake_conn *fake_session(struct fake *f);
void fake_send(struct fake_conn *fc, const void *p, size_t n);
/** One round of the core, then of the leader. */
void fake_round(struct fake *f);
/** Rounds until nothing moves. */
void fake_settle(struct fake *f);
void fake_advance(struct fake *f, uint64_t ms);
/** TCP's budget comes back. */
void fake_writable(struct fake_conn *fc, size_t budget);
void fake_gone(struct fake_conn *fc);

/** Leader: one transaction of its own, e.g. fake_tx(f, ZK_OP_CREATE, "/a", "x"). Published at once.
 */
uint64_t fake_tx(struct fake *f, enum zk_op op, const char *path, const char *data);
uint64_t fake_tx_acl(struct fake *f, const char *path, const char *data, struct zk_span acl);
/** Leader: the server is @p role from now on; not seen before the next round. */
void fake_role(struct fake *f, enum srv_role role);
/** A server that is @p role. */
struct fake *fake_serving(const struct fake_conf *conf, enum srv_role role);
/** What the four-letter word @p text gets; its connection is closed by then. Valid until the next
 * one. */
char *fake_word(struct fake *f, const char *text);
/** Leader: work through what has come. @return messages. */
unsigned fake_leader(struct fake *f);
/** Leader: call the roll. */
void fake_roll(struct fake *f, uint64_t number);

/* ---- requests and replies ---- */

struct req {
	uint8_t b[1 << 16];
	size_t n;
};

void req_start(struct req *r, int32_t xid, int32_t op);
void req_i32(struct req *r, int32_t v);
void req_i64(struct req *r, int64_t v);
void req_u8(struct req *r, uint8_t v);
void req_str(struct req *r, const char *s); /* NULL = null */
/** An ACL vector of one entry, built in @p r and borrowed from it. */
struct zk_span req_acl_of(struct req *r, int32_t perms, const char *scheme, const char *id);
/** Send and forget. */
void req_send(struct req *r, struct fake_conn *fc);
/** Close the length. */
void req_end(struct req *r);

/** Shorthands: send one request. */
void ask_path(struct fake_conn *fc, int32_t xid, int32_t op, const char *path, bool watch);
void ask_path_i32(struct fake_conn *fc, int32_t xid, int32_t op, const char *path, int32_t v);
void ask_create(struct fake_conn *fc, int32_t xid, const char *path, const char *data);
void ask_set(struct fake_conn *fc, int32_t xid, const char *path, const char *data);
void ask_plain(struct fake_conn *fc, int32_t xid, int32_t op);

struct got {
	bool any; /* a whole frame was there */
	int32_t xid, err;
	int64_t zxid;
	struct jute_in body;
	size_t body_n;
};

/** The next frame of the output. */
struct got got_next(struct fake_conn *fc);
/** ... which must be a reply with these. */
struct got got_reply(struct fake_conn *fc, int32_t xid, int32_t err);
/** ... which must be this event. */
void got_event(struct fake_conn *fc, int64_t zxid, enum zk_event ev, const char *path);
/** ... and there must be none. */
void got_nothing(struct fake_conn *fc);
bool got_text(struct jute_in *in, const char *want);

/** Bytes from "00 01 ff" text. */
size_t hex_bytes(const char *text, uint8_t *out, size_t cap);
struct zk_span fake_out(const struct fake_conn *fc);

#endif
