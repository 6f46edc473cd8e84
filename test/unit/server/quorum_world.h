/* SPDX-License-Identifier: Apache-2.0 */
/** Servers of an ensemble in one thread: quorum, leader's machine and tree of each are real, their
 *  connections are pipes of bytes in memory, their disks arrays. */
#ifndef TEST_QUORUM_WORLD_H
#define TEST_QUORUM_WORLD_H

#include "core/server/quorum.h"
#include "core/store/snap.h"
#include "core/tree/load.h"
#include "core/txn/apply.h"
#include "test/lib/lead.h"

enum {
	QW_SERVERS = 5,
	QW_PIPES = 512,
	QW_SEND_BYTES = 32768,
	QW_DATA_MAX = 1 << 16,
	QW_LINES = 64,
	QW_SESSIONS = 64,
};

struct qw_txn {
	uint64_t zxid;
	uint8_t *p;
	size_t n;
};

/* What is on the disk of one server. */
struct qw_disk {
	struct qw_txn *txn;
	size_t n, cap, synced;
	uint8_t *snap; /* in the stream form, with what ends it; NULL: none */
	size_t snap_n;
	uint64_t snap_zxid, accepted, current;
};

struct qw_pipe;

struct qw_end {
	struct qw_pipe *pipe;
	struct qw_server *server; /* NULL: a stranger's */
	struct quorum_conn *conn; /* NULL: none, or no more */
	uint8_t *in;
	size_t head, tail, cap, had_unacked;
	bool fresh, wants_room;
	bool fin, rst; /* said here */
};

struct qw_pipe {
	bool used, dialled; /* the other server has not answered yet */
	unsigned to;
	enum quorum_port port;
	struct qw_end end[2]; /* 0: who has dialled */
};

struct qw_feed {
	bool used, bad;
	size_t at;
	uint64_t from, bound;
};

struct qw_server {
	struct qw *w;
	unsigned sid;
	char address[16];
	bool poked; /* something has happened since its last round */
	uint64_t polls;
	bool up, slow, stuck; /* the disk: nothing becomes durable; the log takes nothing */
	bool no_files;        /* the log files are gone */
	struct zk_mem mem;
	struct lead *d;
	struct quorum *q;
	struct leader_quorum lq;
	struct quorum_view view;
	struct qw_disk disk;
	unsigned epochs; /* being written: set of 1 << file */
	uint64_t epoch[2];
	struct qw_feed feed[ZAB_LINKS_MAX];
	struct snap_session session[QW_SESSIONS];
	uint32_t sessions;
	uint64_t truncates, snaps, feeds; /* done; begun */
	/* a SNAP that comes in */
	uint8_t *stream;
	size_t stream_n, stream_cap;
	struct snap_reader reader;
	bool stream_end;  /* the tree is whole */
	bool keep_stream; /* let nothing of it in */
	char line[QW_LINES][200];
	unsigned lines;
};

struct qw {
	struct zab_members members;
	unsigned n;
	uint64_t now_ns;
	size_t window;     /* bytes of a read at most; 0: no limit */
	size_t send_bytes; /* 0 = QW_SEND_BYTES */
	uint32_t history;  /* entries; 0 = 256 */
	uint32_t aside;    /* bytes of requests that step aside; 0 = 256 KiB */
	uint32_t hello_timeout_ms;
	uint32_t init_limit; /* 0 = 10 ticks of 200 ms */
	bool cut[QW_SERVERS][QW_SERVERS];
	bool read_only;
	size_t tree_limit;
	bool lazy; /* a round only when something has happened or quorum_next_ns() says so */
	struct qw_pipe pipe[QW_PIPES];
	struct qw_server server[QW_SERVERS];
};

/** @p config: lines of servers, "server.1=h1:1:2" and so on; none is up. */
struct qw *qw_open(const char *config, unsigned n);
void qw_close(struct qw *w);
void qw_boot(struct qw *w, unsigned i);
/** Crash: what is not synced is lost, the others see a reset. */
void qw_kill(struct qw *w, unsigned i);
void qw_step(struct qw *w);
void qw_run(struct qw *w, unsigned ms);
/** Run until there is a leader that all servers which are up follow. @return its place. */
unsigned qw_settled(struct qw *w);
/** A session at server @p i. */
uint64_t qw_session(struct qw *w, unsigned i, uint32_t conn);
/** One request there, and its answer. */
enum zk_err qw_call(struct qw *w, unsigned i, uint32_t conn, uint64_t session, int32_t op,
		    struct zk_span body);
/** @p n nodes more, one by one. */
void qw_fill(struct qw *w, unsigned i, uint64_t session, const char *stem, unsigned n);
/** All that are up have applied the same. */
void qw_equal(struct qw *w);
/** The connection of the learners' port between these two; NULL: none. end[0] is the learner's. */
struct qw_pipe *qw_link(struct qw *w, unsigned learner, unsigned leader);
/** Bytes that server @p from never wrote arrive at the other end, behind what it has written. */
void qw_forge(struct qw_end *from, const void *p, size_t n);
/** Has server @p i said a line with @p part in it? */
bool qw_said(const struct qw *w, unsigned i, const char *part);
/** A stranger connects; NULL: closed at once. */
struct qw_end *qw_stranger(struct qw *w, unsigned to, enum quorum_port port);
/** ... and says something. @return false: the connection is closed. */
bool qw_say(struct qw *w, struct qw_end *e, const void *p, size_t n);

#endif
