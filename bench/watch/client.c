/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/watch/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { STALL_MS = 60000, SESSION_MS = 600000, CONNECT_WINDOW = 100, EVENTS_MAX = 256 };
enum { XID_WATCH = -1, ERR_NONODE = -101, HELLO_BYTES = 49 };

void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)fputs("watch_bench: ", stderr);
	(void)vfprintf(stderr, fmt, ap);
	(void)fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t get64(const uint8_t *p)
{
	return (int64_t)((uint64_t)get32(p) << 32 | get32(p + 4));
}

/* ---- requests ---- */

static uint8_t *room(struct client *c, size_t n)
{
	if (c->out_n + n > c->out_cap) {
		c->out_cap = 2 * (c->out_n + n);
		c->out = realloc(c->out, c->out_cap);
		if (!c->out)
			die("out of memory");
	}
	c->out_n += n;
	return c->out + c->out_n - n;
}

void put_i32(struct client *c, int32_t v)
{
	uint32_t be = htonl((uint32_t)v);

	memcpy(room(c, 4), &be, 4);
}

void put_i64(struct client *c, int64_t v)
{
	put_i32(c, (int32_t)((uint64_t)v >> 32));
	put_i32(c, (int32_t)v);
}

void put_u8(struct client *c, uint8_t v)
{
	*room(c, 1) = v;
}

void put_str(struct client *c, const char *s)
{
	size_t n = strlen(s);

	put_i32(c, (int32_t)n);
	memcpy(room(c, n), s, n);
}

static size_t frame_at;

void put_begin(struct client *c, int32_t xid, int32_t op)
{
	frame_at = c->out_n;
	put_i32(c, 0);
	put_i32(c, xid);
	put_i32(c, op);
}

void put_end(struct client *c)
{
	uint32_t be = htonl((uint32_t)(c->out_n - frame_at - 4));

	memcpy(c->out + frame_at, &be, 4);
}

void put_send(struct client *c, struct conn *to)
{
	size_t at = 0;

	while (at < c->out_n) {
		ssize_t n = send(to->fd, c->out + at, c->out_n - at, MSG_NOSIGNAL);

		if (n > 0) {
			at += (size_t)n;
		} else if (errno == EAGAIN) { /* the server waits for us to read? */
			struct pollfd p = {to->fd, POLLOUT, 0};

			client_pump(c, 0);
			(void)poll(&p, 1, 1);
		} else if (errno != EINTR) {
			die("send: %s", strerror(errno));
		}
	}
	c->out_n = 0;
}

void ask_path(struct client *c, int32_t op, const char *path, int watch)
{
	put_begin(c, 1, op);
	put_str(c, path);
	put_u8(c, watch != 0);
	put_end(c);
}

void ask_create(struct client *c, const char *path)
{
	put_begin(c, 1, OP_CREATE);
	put_str(c, path);
	put_str(c, "");
	put_i32(c, 1);
	put_i32(c, 31);
	put_str(c, "world");
	put_str(c, "anyone");
	put_i32(c, 0);
	put_end(c);
}

void ask_set(struct client *c, const char *path, const char *data)
{
	put_begin(c, 1, OP_SET_DATA);
	put_str(c, path);
	put_str(c, data);
	put_i32(c, -1);
	put_end(c);
}

/* ---- what comes ---- */

static void on_frame(struct client *c, struct conn *k, const uint8_t *p, uint32_t n)
{
	if (k->replies == 0) { /* ConnectResponse */
		if (n < 8 || get32(p + 4) == 0)
			die("a session was refused");
	} else if (n < 16) {
		die("a frame of %u bytes", n);
	} else if ((int32_t)get32(p) == XID_WATCH) {
		if (c->event_n < c->event_max)
			c->event_ns[c->event_n++] = now_ns();
		k->events++;
		c->events++;
		return;
	} else {
		k->zxid = get64(p + 4);
		k->err = (int32_t)get32(p + 12);
		if (k->err != 0 && k->err != ERR_NONODE)
			die("a request failed: %d", k->err);
	}
	k->replies++;
	c->replies++;
}

static void on_input(struct client *c, struct conn *k)
{
	for (;;) {
		ssize_t n = recv(k->fd, k->in + k->in_n, sizeof(k->in) - k->in_n, MSG_DONTWAIT);
		uint32_t at = 0;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0)
			die("the server closed a connection: %s", n ? strerror(errno) : "FIN");
		k->in_n += (uint32_t)n;
		while (k->in_n - at >= 4) {
			uint32_t frame = get32(k->in + at);

			if (frame > sizeof(k->in) - 4)
				die("a frame of %u bytes", frame);
			if (k->in_n - at < 4 + frame)
				break;
			on_frame(c, k, k->in + at + 4, frame);
			at += 4 + frame;
		}
		k->in_n -= at;
		memmove(k->in, k->in + at, k->in_n);
	}
}

void client_pump(struct client *c, int timeout_ms)
{
	struct epoll_event ev[EVENTS_MAX];
	int n = epoll_wait(c->epoll, ev, EVENTS_MAX, timeout_ms);

	for (int i = 0; i < n; i++)
		on_input(c, ev[i].data.ptr);
}

static void wait_for(struct client *c, const uint64_t *have, uint64_t want, const char *what)
{
	uint64_t last = *have, since = now_ns();

	while (*have < want) {
		client_pump(c, 100);
		if (*have != last) {
			last = *have;
			since = now_ns();
		} else if (now_ns() - since > STALL_MS * UINT64_C(1000000)) {
			die("%llu of %llu %s after a minute of silence", (unsigned long long)*have,
			    (unsigned long long)want, what);
		}
	}
}

void client_wait_replies(struct client *c, uint64_t want)
{
	wait_for(c, &c->replies, want, "replies");
}

void client_wait_events(struct client *c, uint64_t want)
{
	wait_for(c, &c->events, want, "events");
}

/* ---- connections ---- */

void client_open(struct client *c, const char *host, uint16_t port)
{
	*c = (struct client){.epoll = epoll_create1(EPOLL_CLOEXEC)};
	c->to.sin_family = AF_INET;
	c->to.sin_port = htons(port);
	if (c->epoll < 0 || inet_pton(AF_INET, host, &c->to.sin_addr) != 1)
		die("bad address %s", host);
}

static void hello(struct client *c, struct conn *k)
{
	put_i32(c, HELLO_BYTES - 4);
	put_i32(c, 0);
	put_i64(c, 0);
	put_i32(c, SESSION_MS);
	put_i64(c, 0);
	put_i32(c, 16);
	put_i64(c, 0);
	put_i64(c, 0);
	put_u8(c, 0);
	put_send(c, k);
}

struct conn *client_connect(struct client *c, unsigned n)
{
	struct conn *v = calloc(n, sizeof(*v));
	uint64_t before = c->replies;
	int one = 1;

	if (!v)
		die("out of memory");
	for (unsigned i = 0; i < n; i++) {
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &v[i]};

		v[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (v[i].fd < 0 || connect(v[i].fd, (struct sockaddr *)&c->to, sizeof(c->to)) != 0)
			die("connection %u: %s", i, strerror(errno));
		(void)setsockopt(v[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (fcntl(v[i].fd, F_SETFL, O_NONBLOCK) != 0 ||
		    epoll_ctl(c->epoll, EPOLL_CTL_ADD, v[i].fd, &ev) != 0)
			die("epoll: %s", strerror(errno));
		hello(c, &v[i]);
		if (i >= CONNECT_WINDOW)
			client_wait_replies(c, before + i - CONNECT_WINDOW);
	}
	client_wait_replies(c, before + n);
	return v;
}

void client_close(struct client *c, struct conn *v, unsigned n)
{
	(void)c;
	for (unsigned i = 0; i < n; i++)
		(void)close(v[i].fd); /* leaves the epoll set, too */
	free(v);
}
