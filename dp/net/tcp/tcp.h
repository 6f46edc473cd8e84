/* SPDX-License-Identifier: Apache-2.0 */
/** TCP (RFC 9293 and the RFCs named at the functions), one instance per core.
 *
 * The application never gets a call-back: net_input() and net_round_end() put connections on the
 * ready list, and the owner core fetches them with tcp_next_ready(). A struct tcp_conn pointer is
 * valid until tcp_release(); the stack never frees a connection that the application has not
 * released.
 */
#ifndef ZK_TCP_TCP_H
#define ZK_TCP_TCP_H

#include "core/base/err.h"
#include "core/base/span.h"
#include "dp/net/net.h"

struct tcp_conf {
	uint32_t conns_max;         /* records of this core, half-open ones included */
	uint32_t rto_min_ms;        /* 200 */
	uint32_t rto_max_ms;        /* 60000 */
	uint32_t give_up_ms;        /* no progress on sent data for so long: reset; 30000 */
	uint32_t syn_give_up_ms;    /* active open; 5000 */
	uint32_t syn_rto_ms;        /* until a SYN is sent again; 1000 (RFC 6298 2.1) */
	uint32_t time_wait_ms;      /* 60000 in production */
	uint32_t fin_wait_ms;       /* limit of each closing state; 60000 */
	uint32_t delack_ms;         /* 40 */
	uint32_t tlp_ack_delay_ms;  /* how long peers delay an ACK, for tail loss probes; 0 = no
				       probes; 50 */
	uint32_t keepalive_idle_ms; /* 0 = off */
	uint32_t rcv_buf_bytes;     /* receive window per connection */
	uint32_t snd_buf_bytes;     /* queued + in flight per connection, bytes */
	uint32_t ooo_bytes;         /* out-of-order store per connection, charged at buffer size */
	uint16_t ooo_intervals;
	uint32_t mem_packets_max; /* packets that all connections of the core may hold in each
				     direction; one gets at most what leaves enough for others.
				     Should not exceed what the pools have */
	uint32_t
		snd_packets_max; /* another number for what is queued and in flight; 0 = the same */
	uint32_t syn_backlog;    /* half-open connections before cookies */
	uint16_t foreign_port;   /* tcp_connect() never takes this local port: another instance
				    with our address has it; 0 = none */
};

/** Defaults as noted above; conns_max 16384. */
void tcp_conf_default(struct tcp_conf *c);

enum tcp_ready {
	TCP_READY_OPEN = 1 << 0, /* established (passive: newly accepted; active: connected) */
	TCP_READY_READ = 1 << 1, /* bytes in order are waiting */
	TCP_READY_WRITE =
		1 << 2, /* send budget came back after tcp_write() or tcp_tail() had said no */
	TCP_READY_FIN = 1 << 3, /* the peer has closed its side; bytes before it may still wait */
	TCP_READY_CLOSED = 1 << 4, /* over: reset, timed out, refused or fully closed; only
				      tcp_release() is left */
};

enum tcp_close_reason {
	TCP_CLOSE_NONE,
	TCP_CLOSE_NORMAL,
	TCP_CLOSE_RESET,
	TCP_CLOSE_TIMEOUT,
	TCP_CLOSE_REFUSED,
	TCP_CLOSE_LOCAL,
	TCP_CLOSE_MEMORY
};

struct tcp_conn;

/** Accept connections on @p port. @p gate, when not NULL, is asked for each SYN before any record
 * exists (per-address limits); false = answer with RST and count. The accepted connection appears
 * with TCP_READY_OPEN. @return ZK_EOK, ZK_EEXIST, ZK_EFULL (8 listeners). */
ZK_MUST_USE enum zk_err tcp_listen(struct tcp *t, uint16_t port,
				   bool (*gate)(void *ctx, const struct net_addr *from), void *ctx);
void tcp_unlisten(struct tcp *t, uint16_t port);

/** Open a connection. The local port is chosen by RFC 6056 so that net_owner() is this core.
 *  @return ZK_EOK with *out; ZK_EFULL, ZK_ENOMEM. TCP_READY_OPEN or TCP_READY_CLOSED follows. */
ZK_MUST_USE enum zk_err tcp_connect(struct tcp *t, struct net_addr to, uint16_t port,
				    uint64_t now_ns, struct tcp_conn **out);

/** Next connection with something to do, NULL when there is none; *events is a set of enum
 * tcp_ready, and is cleared by this call. READ is reported when new bytes arrived since, not for
 * bytes left unread. */
struct tcp_conn *tcp_next_ready(struct tcp *t, unsigned *events);

/** The application's pointer, kept untouched; NULL at first. */
void tcp_user_set(struct tcp_conn *c, void *user);
void *tcp_user(const struct tcp_conn *c);
const struct net_tuple *tcp_tuple(const struct tcp_conn *c);
enum tcp_close_reason tcp_close_reason(const struct tcp_conn *c);

/** The next contiguous run of bytes in order, in place, after @p skip bytes (0 = the front);
 *  n == 0: none. Valid until tcp_read_done() passes it or the round ends. */
struct zk_span tcp_peek(const struct tcp_conn *c, size_t skip);
size_t tcp_readable(const struct tcp_conn *c); /* bytes in order, all runs */
/** Give back the first @p n bytes in order; packets whose bytes are all read are freed. */
void tcp_read_done(struct tcp_conn *c, size_t n);

/** Append to the unsent tail. Takes as many bytes as the budgets allow and returns that number
 * (copies). */
ZK_MUST_USE size_t tcp_write(struct tcp_conn *c, const void *p, size_t n);

/** Room for @p n contiguous bytes at the unsent tail, to be written in place; NULL when a budget is
 * used up (TCP_READY_WRITE follows) or when @p n exceeds one segment: then no event follows and
 * tcp_write() is the way. A segment may be as small as 52 bytes (RFC 9293 3.7.1, MSS 64 less the
 * timestamps), and path MTU discovery may shrink it at any time. At most one reservation at a time;
 * valid until tcp_tail_commit() in the same round. */
void *tcp_tail(struct tcp_conn *c, size_t n);
void tcp_tail_commit(struct tcp_conn *c, size_t used);

/** About how many packets more may all connections of the core queue before one has to wait? */
uint32_t tcp_snd_room(struct tcp *t);

size_t tcp_unsent(const struct tcp_conn *c);  /* queued, not yet sent */
size_t tcp_unacked(const struct tcp_conn *c); /* queued or in flight */

/** Send FIN after everything queued; reading stays possible. */
void tcp_shutdown(struct tcp_conn *c, uint64_t now_ns);
/** RST now; TCP_READY_CLOSED follows. */
void tcp_abort(struct tcp_conn *c, uint64_t now_ns);
/** The application is done with @p c. Not closed yet: a graceful close goes on without it (unread
 * data makes it a RST, RFC 9293 3.10.4 / RFC 2525 2.17). The pointer is invalid afterwards. */
void tcp_release(struct tcp_conn *c, uint64_t now_ns);

/** Connections that are not yet gone, TIME_WAIT excluded. */
uint32_t tcp_conns(const struct tcp *t);

#endif
