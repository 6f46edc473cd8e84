/* SPDX-License-Identifier: Apache-2.0 */
/** Messages between a client core and the leader core, over a pair of zk_rings per client core.
 *
 * Each record starts with struct msg. Connections are named by handle (core, index, generation),
 * never by pointer; a handle whose generation is old is answered into nothing. What follows the
 * fixed part is said at each kind. The order of records on one ring is the order of events.
 */
#ifndef ZK_SERVER_MSG_H
#define ZK_SERVER_MSG_H

#include "core/base/span.h"

#include <stdint.h>

enum { MSG_CORES_MAX = 32 };

enum msg_kind {
	/* client core -> leader core */
	MSG_REQUEST = 1,    /* struct msg_request, ids, body */
	MSG_SESSION_CREATE, /* struct msg_session */
	MSG_SESSION_ATTACH, /* struct msg_session: reconnect, password in it */
	MSG_TOUCH,          /* struct msg_touch: sessions with traffic */
	MSG_DETACH,         /* struct msg_session: the connection that held the session is gone */
	MSG_GATHER_ASK,     /* struct msg_gather: a four-letter word wants text from every core */
	MSG_GATHER_PART,    /* struct msg_gather, text: one core's part */
	MSG_ROLL_ANSWER,    /* struct msg_roll: behind the touches of all that was there */
	/* leader core -> client core */
	MSG_REPLY,          /* struct msg_reply, body */
	MSG_SESSION_OPENED, /* struct msg_session: created or attached; timeout_ms 0 = refused */
	MSG_KICK, /* struct msg_session: close this connection (session moved, expired, taken over)
		   */
	MSG_GATHER,      /* struct msg_gather: send your part */
	MSG_GATHER_TEXT, /* struct msg_gather, text: a part for the asking connection */
	MSG_ROLL,        /* struct msg_roll: what has been heard up to now? */
	MSG_ROLE,        /* struct msg_role: what the server is from now on */
};

struct msg_conn {
	uint32_t index, generation;
};

struct msg {
	uint16_t kind;
	uint16_t core; /* the client core concerned */
	struct msg_conn conn;
	/* to the leader core, but for TOUCH: of the last MSG_ROLE that the core had taken. What was
	 * asked for in an earlier term than the machine's is not done. */
	uint32_t term;
};

struct msg_request {
	struct msg h;
	int32_t xid, op;
	uint64_t session;
	uint64_t received_ns; /* monotonic: when the parser took it */
	uint64_t since_ns;    /* when its bytes were here, for latency figures */
	uint32_t ids_bytes;   /* Jute vector of Id, directly behind this struct */
	uint32_t body_bytes;  /* request record as on the wire, without its header */
	/* NULL: the body is behind the ids. Else a long one, in memory of the client core that
	 * stays until the consumer has released the record: zk_ring_release() is the hand-back. */
	const uint8_t *body_apart;
};

/** The request record of @p m. */
static inline struct zk_span msg_request_body(const struct msg_request *m)
{
	return zk_span_of(m->body_apart ? m->body_apart : (const uint8_t *)(m + 1) + m->ids_bytes,
			  m->body_bytes);
}

struct msg_session {
	struct msg h;
	uint64_t session;
	int32_t timeout_ms; /* asked (already clamped) or granted */
	uint32_t attached;  /* MSG_SESSION_OPENED: 1 = answer to ATTACH */
	uint8_t password[16];
	uint8_t password_ok; /* ATTACH: the length was 16 */
	uint8_t pad[7];
};

struct msg_touch {
	struct msg h;
	uint64_t through_ns; /* all traffic of this core up to this time is in here or before */
	uint32_t n;
	uint32_t pad;
	uint64_t session[];
};

struct msg_roll {
	struct msg h;           /* h.core: who is asked, or answers */
	uint64_t number;        /* of the question */
	uint64_t hold_until_ns; /* ROLL_ANSWER: end of the time after a pause of this core in which
				   nothing shall expire; may be over */
};

/** Sessions that were asked for in an earlier term are over for this core: it closes their
 * connections. */
struct msg_role {
	struct msg h;
	uint32_t role; /* enum srv_role */
	uint32_t term; /* number of the change; 0 is the time before the first */
	uint64_t epoch;
};

struct msg_reply {
	struct msg h;
	int32_t xid, err;
	int32_t op;             /* of the request; ZK_OP_CLOSE_SESSION: close after it is sent */
	uint32_t body_bytes;    /* directly behind this struct */
	uint64_t zxid;          /* leaves only after the core's visible has reached it */
	uint64_t since_ns;      /* of the request */
	uint32_t drop;          /* 1 = no reply, close the connection (session moved) */
	uint32_t request_bytes; /* body_bytes of the request */
};

enum gather_what {
	GATHER_CONS = 1,
	GATHER_STAT = 2,
	GATHER_DUMP = 3,
	GATHER_WCHS = 4,
	GATHER_WCHC = 5,
	GATHER_WCHP = 6,
	GATHER_RESET = 7,       /* crst: figures of the connections */
	GATHER_RESET_SERVER = 8 /* srst */
};

/** What the text of a GATHER_DUMP is; WORDS_RECORD in srv_int.h. */
enum gather_section {
	GATHER_CONNS = 0,    /* records: when a connection expires, its name */
	GATHER_SESSIONS = 1, /* the same of sessions; the leader's, as what follows */
	GATHER_OWNERS = 2,   /* text: sessions and their ephemeral nodes */
	GATHER_OWNERS_N = 3, /* 8 bytes: how many sessions own some */
	GATHER_GLOBALS = 4 /* a learner's, for SESSIONS: in the order of their ids, with time-out */
};

struct msg_gather {
	struct msg h;        /* the asking connection and its core, in every step */
	uint16_t what;       /* enum gather_what */
	uint16_t part_core;  /* PART, TEXT: whose text this is */
	uint16_t last;       /* PART, TEXT: 1 = the last of this core */
	uint16_t cores;      /* GATHER, TEXT: how many answer; of a GATHER_DUMP one more than cores,
				the leader, as the last one */
	uint32_t text_bytes; /* behind this struct; at most GATHER_TEXT_MAX a part */
	uint32_t section;    /* enum gather_section */
};

enum { GATHER_TEXT_MAX = 16384 };

#endif
