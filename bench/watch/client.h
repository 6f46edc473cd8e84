/* SPDX-License-Identifier: Apache-2.0 */
/** Very many ZooKeeper connections in one thread: kernel sockets, epoll, no library. Of
 * bench-watch.
 *
 * Whatever goes wrong ends the process with a line on stderr: a figure of a run that lost something
 * is worth nothing. */
#ifndef BENCH_WATCH_CLIENT_H
#define BENCH_WATCH_CLIENT_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

enum { CLIENT_IN_BYTES = 4096 };

enum {
	OP_CREATE = 1,
	OP_EXISTS = 3,
	OP_GET_DATA = 4,
	OP_SET_DATA = 5,
	OP_PING = 11,
	OP_MULTI = 14
};
enum { OP_SET_WATCHES = 101, OP_ADD_WATCH = 106 };

struct conn {
	int fd;
	uint32_t in_n;
	uint64_t replies, events; /* so far, the ConnectResponse is a reply */
	int64_t zxid;             /* of the newest reply */
	int32_t err;
	uint8_t in[CLIENT_IN_BYTES];
};

struct client {
	int epoll;
	struct sockaddr_in to;
	uint64_t replies, events;
	uint64_t *event_ns; /* when each came, while there is room; may be NULL */
	size_t event_max, event_n;
	/* the request that is being built */
	uint8_t *out;
	size_t out_n, out_cap;
};

__attribute__((noreturn, format(printf, 1, 2))) void die(const char *fmt, ...);
uint64_t now_ns(void);

void client_open(struct client *c, const char *host, uint16_t port);
/** Connect @p n connections, each with a session of its own. */
struct conn *client_connect(struct client *c, unsigned n);
void client_close(struct client *c, struct conn *v, unsigned n);
/** Take what has come; @p timeout_ms: for the first of it. */
void client_pump(struct client *c, int timeout_ms);
/** Until all connections together have had so many replies (events); a minute without any is the
 * end. */
void client_wait_replies(struct client *c, uint64_t want);
void client_wait_events(struct client *c, uint64_t want);

/* One request: begin, its fields, end (more may be begun behind it), send. */
void put_begin(struct client *c, int32_t xid, int32_t op);
void put_i32(struct client *c, int32_t v);
void put_i64(struct client *c, int64_t v);
void put_u8(struct client *c, uint8_t v);
void put_str(struct client *c, const char *s);
void put_end(struct client *c);
void put_send(struct client *c, struct conn *to);

/** {path, watch} */
void ask_path(struct client *c, int32_t op, const char *path, int watch);
void ask_create(struct client *c, const char *path);
void ask_set(struct client *c, const char *path, const char *data);

#endif
