/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A watch event reaches its client before any reply that shows the new data.
 *
 * Pairs of connections, each pair with a node of its own. A sets a watch and keeps reading, B
 * changes the node. On A's connection, between the reply that set the watch at version v and the
 * event, no reply may show a version above v (the event would be late or missing); an event may
 * come only while a watch is set (else it is spurious); a reply behind the event must show a
 * version above v (else the event came for nothing). In a paced run B writes once A's watch is
 * known to be set; in a free run B never stops writing.
 *
 * The connections have many source ports, so that a server with several client cores puts the two
 * ends of most pairs on different cores.
 */
#include "report.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	PAIRS = 12,
	PACED_ROUNDS = 40000,
	FREE_ROUNDS = 40000,
	CHILD_ROUNDS = 20000,
	READS_IN_FLIGHT = 2,  /* plain reads of A */
	WRITES_IN_FLIGHT = 2, /* of B in a free run */
	STALL_MS = 20000,     /* no progress for so long is a failure */
	PING_MS = 3000,
	BUFFER_BYTES = 1 << 16,
};

enum {
	OP_CREATE = 1,
	OP_DELETE = 2,
	OP_GET_DATA = 4,
	OP_SET_DATA = 5,
	OP_PING = 11,
	OP_GET_CHILDREN2 = 12
};
enum { EVENT_DATA_CHANGED = 3, EVENT_CHILDREN_CHANGED = 4 };
enum { STAT_BYTES = 68, REPLY_HEADER_BYTES = 16 };

/* xids tell the kinds of requests of A apart. */
enum { XID_READ = 1, XID_WATCH = 2, XID_PING = -2 };

struct conn {
	int fd;
	size_t in_len, out_len;
	uint8_t in[BUFFER_BYTES];
	uint8_t out[BUFFER_BYTES];
};

struct pair {
	struct conn a, b;
	char path[64];
	int index;
	/* A */
	bool armed;            /* a watch is set, its event has not come */
	int32_t armed_version; /* what the reply that set it showed */
	int32_t fired_version; /* armed_version of the latest event; later replies show more */
	int32_t shown;         /* the newest version that A saw */
	int64_t zxid_a;
	long events, reads;
	/* B */
	int32_t written;      /* changes sent */
	int32_t acknowledged; /* changes answered */
	int64_t zxid_b;
	bool done;
	int64_t moved_ms;
};

struct run {
	const char *name;
	bool children; /* child watches instead of data watches */
	bool paced;
	long rounds; /* of each pair */
};

static struct pair pairs[PAIRS];
static char failure[256];

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

__attribute__((format(printf, 1, 2))) static bool failed(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (failure[0] == '\0')
		vsnprintf(failure, sizeof(failure), format, args);
	va_end(args);
	return false;
}

/* --- codec */

struct writer {
	uint8_t *at;
};

static void put_i32(struct writer *w, int32_t value)
{
	uint32_t v = htonl((uint32_t)value);

	memcpy(w->at, &v, sizeof(v));
	w->at += sizeof(v);
}

static void put_i64(struct writer *w, int64_t value)
{
	put_i32(w, (int32_t)(value >> 32));
	put_i32(w, (int32_t)(value & 0xffffffff));
}

static void put_text(struct writer *w, const char *text)
{
	size_t n = strlen(text);

	put_i32(w, (int32_t)n);
	memcpy(w->at, text, n);
	w->at += n;
}

static int32_t get_i32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return (int32_t)ntohl(v);
}

static int64_t get_i64(const uint8_t *p)
{
	return (int64_t)(((uint64_t)(uint32_t)get_i32(p) << 32) | (uint32_t)get_i32(p + 4));
}

/* Begin a frame at the end of the connection's output; 512 bytes are enough for each of ours. */
static struct writer frame_begin(struct conn *c)
{
	struct writer w;

	if (c->out_len + 512 > sizeof(c->out)) {
		fprintf(stderr, "output buffer is full\n");
		exit(2);
	}
	w.at = c->out + c->out_len + 4;
	return w;
}

static void frame_end(struct conn *c, struct writer *w)
{
	struct writer head = {.at = c->out + c->out_len};
	size_t n = (size_t)(w->at - head.at);

	put_i32(&head, (int32_t)(n - 4));
	c->out_len += n;
}

/* --- connections */

static bool conn_flush(struct conn *c)
{
	while (c->out_len > 0) {
		ssize_t n = send(c->fd, c->out, c->out_len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n <= 0)
			return failed("send: %s", strerror(errno));
		c->out_len -= (size_t)n;
		memmove(c->out, c->out + n, c->out_len);
	}
	return true;
}

static bool conn_fill(struct conn *c)
{
	ssize_t n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return failed("the server ended a connection: %s", n ? strerror(errno) : "EOF");
	c->in_len += (size_t)n;
	return true;
}

/* Size of the complete frame at the front of the input, or -1. */
static int32_t conn_frame(struct conn *c)
{
	int32_t n;

	if (c->in_len < 4)
		return -1;
	n = get_i32(c->in);
	if (n < 0 || n > BUFFER_BYTES - 4) {
		failed("a frame of %d bytes", n);
		return -1;
	}
	return c->in_len >= 4 + (size_t)n ? n : -1;
}

static void conn_drop_frame(struct conn *c, int32_t size)
{
	c->in_len -= 4 + (size_t)size;
	memmove(c->in, c->in + 4 + size, c->in_len);
}

/* Wait for one frame; used only before a run begins. */
static int32_t conn_wait_frame(struct conn *c)
{
	int32_t n;

	if (!conn_flush(c))
		return -1;
	while ((n = conn_frame(c)) < 0) {
		struct pollfd p = {.fd = c->fd, .events = POLLIN};

		if (poll(&p, 1, STALL_MS) <= 0) {
			failed("no answer within %d ms", STALL_MS);
			return -1;
		}
		if (!conn_fill(c))
			return -1;
	}
	return n;
}

static bool conn_open(struct conn *c)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	struct writer w;
	int one = 1;
	int32_t n;

	memset(c, 0, sizeof(*c));
	to.sin_port = htons((uint16_t)atoi(report_env("ZK_PORT")));
	if (inet_pton(AF_INET, report_env("ZK_HOST"), &to.sin_addr) != 1)
		return failed("ZK_HOST is no IPv4 address");
	c->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		return failed("connect: %s", strerror(errno));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	w = frame_begin(c);
	put_i32(&w, 0);
	put_i64(&w, 0);
	put_i32(&w, 30000);
	put_i64(&w, 0);
	put_i32(&w, 16);
	memset(w.at, 0, 17);
	w.at += 17;
	frame_end(c, &w);
	n = conn_wait_frame(c);
	if (n != 37 || get_i32(c->in + 8) == 0)
		return failed("the session was refused");
	conn_drop_frame(c, n);
	return true;
}

static void send_create(struct conn *c, const char *path, const char *data)
{
	struct writer w = frame_begin(c);

	put_i32(&w, 1);
	put_i32(&w, OP_CREATE);
	put_text(&w, path);
	put_text(&w, data);
	put_i32(&w, 1);
	put_i32(&w, 31);
	put_text(&w, "world");
	put_text(&w, "anyone");
	put_i32(&w, 0);
	frame_end(c, &w);
}

/* --- one pair */

static void send_read(const struct run *run, struct pair *p, int32_t xid)
{
	struct writer w = frame_begin(&p->a);

	put_i32(&w, xid);
	put_i32(&w, run->children ? OP_GET_CHILDREN2 : OP_GET_DATA);
	put_text(&w, p->path);
	*w.at++ = xid == XID_WATCH;
	frame_end(&p->a, &w);
}

/* Send the next change; after it the node's version (or cversion) is p->written. */
static void send_change(const struct run *run, struct pair *p)
{
	struct writer w;
	char text[96];

	p->written++;
	if (!run->children) {
		w = frame_begin(&p->b);
		put_i32(&w, p->written);
		put_i32(&w, OP_SET_DATA);
		put_text(&w, p->path);
		snprintf(text, sizeof(text), "%d", p->written);
		put_text(&w, text);
		put_i32(&w, -1);
		frame_end(&p->b, &w);
		return;
	}
	/* A create and a delete in turn: each raises cversion, 2 * creates - children, by one. */
	snprintf(text, sizeof(text), "%s/child", p->path);
	if (p->written % 2 == 1) {
		send_create(&p->b, text, "");
		return;
	}
	w = frame_begin(&p->b);
	put_i32(&w, p->written);
	put_i32(&w, OP_DELETE);
	put_text(&w, text);
	put_i32(&w, -1);
	frame_end(&p->b, &w);
}

static bool a_event(const struct run *run, struct pair *p, const uint8_t *body, int32_t size)
{
	int32_t want = run->children ? EVENT_CHILDREN_CHANGED : EVENT_DATA_CHANGED;
	int32_t path = (int32_t)strlen(p->path);

	if (size != REPLY_HEADER_BYTES + 12 + path || get_i32(body) != want ||
	    get_i32(body + 4) != 3 || memcmp(body + 12, p->path, (size_t)path) != 0)
		return failed("pair %d: an event of type %d is malformed", p->index, get_i32(body));
	if (!p->armed)
		return failed("pair %d: an event while no watch was set, after version %d",
			      p->index, p->shown);
	p->armed = false;
	p->fired_version = p->armed_version;
	p->events++;
	p->moved_ms = now_ms();
	if (p->events >= run->rounds)
		p->done = true;
	else
		send_read(run, p, XID_WATCH);
	return true;
}

static bool a_version(const struct run *run, struct pair *p, const uint8_t *body, int32_t size,
		      int32_t *version)
{
	const uint8_t *stat = body + size - STAT_BYTES;
	char text[16];
	int32_t n;

	if (size < STAT_BYTES + 4)
		return failed("pair %d: a reply of %d bytes", p->index, size);
	*version = get_i32(stat + (run->children ? 36 : 32));
	n = get_i32(body);
	if (run->children) {
		if (n != *version % 2)
			return failed("pair %d: %d children at cversion %d", p->index, n, *version);
		return true;
	}
	snprintf(text, sizeof(text), "%d", *version);
	if (n != (int32_t)strlen(text) || size != 4 + n + STAT_BYTES ||
	    memcmp(body + 4, text, (size_t)n) != 0)
		return failed("pair %d: the data does not belong to version %d", p->index,
			      *version);
	return true;
}

static bool a_frame(const struct run *run, struct pair *p, const uint8_t *frame, int32_t size)
{
	const uint8_t *body = frame + REPLY_HEADER_BYTES;
	int32_t xid, version = -1;
	int64_t zxid;

	if (size < REPLY_HEADER_BYTES || get_i32(frame + 12) != 0)
		return failed("pair %d: a read failed", p->index);
	xid = get_i32(frame);
	zxid = get_i64(frame + 4);
	if (xid == XID_PING)
		return true;
	if (xid == -1)
		return a_event(run, p, body, size);
	if (zxid < p->zxid_a)
		return failed("pair %d: the zxid of a reply went back", p->index);
	p->zxid_a = zxid;
	if (!a_version(run, p, body, size - REPLY_HEADER_BYTES, &version))
		return false;
	if (version < p->shown)
		return failed("pair %d: version %d after version %d", p->index, version, p->shown);
	if (p->armed && version > p->armed_version)
		return failed("pair %d: a reply showed version %d, but the watch set at version %d "
			      "had not fired",
			      p->index, version, p->armed_version);
	if (version <= p->fired_version)
		return failed("pair %d: a reply behind the event showed version %d, as before it",
			      p->index, version);
	p->shown = version;
	if (xid == XID_READ) {
		p->reads++;
		if (!p->done)
			send_read(run, p, XID_READ);
		return true;
	}
	p->armed = true;
	p->armed_version = version;
	if (run->paced)
		send_change(run, p);
	return true;
}

static bool b_frame(const struct run *run, struct pair *p, const uint8_t *frame, int32_t size)
{
	int64_t zxid;

	if (size < REPLY_HEADER_BYTES || get_i32(frame + 12) != 0)
		return failed("pair %d: a write failed with %d", p->index, get_i32(frame + 12));
	if (get_i32(frame) == XID_PING)
		return true;
	zxid = get_i64(frame + 4);
	if (zxid <= p->zxid_b)
		return failed("pair %d: the zxid of a write did not grow", p->index);
	p->zxid_b = zxid;
	p->acknowledged++;
	if (!run->children) {
		if (size != REPLY_HEADER_BYTES + STAT_BYTES ||
		    get_i32(frame + REPLY_HEADER_BYTES + 32) != p->acknowledged)
			return failed("pair %d: setData answered another version than %d", p->index,
				      p->acknowledged);
	}
	if (!run->paced && !p->done)
		send_change(run, p);
	return true;
}

static bool pair_begin(const struct run *run, struct pair *p, int index)
{
	int i;

	memset(p, 0, sizeof(*p));
	p->index = index;
	p->fired_version = -1;
	p->armed_version = -1;
	p->shown = -1;
	p->moved_ms = now_ms();
	snprintf(p->path, sizeof(p->path), "/order-%d-%s-%d", (int)getpid(), run->name, index);
	if (!conn_open(&p->a) || !conn_open(&p->b))
		return false;
	send_create(&p->b, p->path, "0");
	i = conn_wait_frame(&p->b);
	if (i < REPLY_HEADER_BYTES || get_i32(p->b.in + 4 + 12) != 0)
		return failed("cannot create %s", p->path);
	conn_drop_frame(&p->b, i);
	for (i = 0; i < READS_IN_FLIGHT; i++)
		send_read(run, p, XID_READ);
	send_read(run, p, XID_WATCH);
	if (!run->paced)
		for (i = 0; i < WRITES_IN_FLIGHT; i++)
			send_change(run, p);
	return conn_flush(&p->a) && conn_flush(&p->b);
}

static bool conn_serve(const struct run *run, struct pair *p, struct conn *c, short events)
{
	int32_t n;

	if ((events & (POLLIN | POLLERR | POLLHUP)) != 0 && !conn_fill(c))
		return false;
	while ((n = conn_frame(c)) >= 0) {
		bool ok =
			c == &p->a ? a_frame(run, p, c->in + 4, n) : b_frame(run, p, c->in + 4, n);

		if (!ok)
			return false;
		conn_drop_frame(c, n);
	}
	return failure[0] == '\0';
}

static void send_ping(struct conn *c)
{
	struct writer w = frame_begin(c);

	put_i32(&w, XID_PING);
	put_i32(&w, OP_PING);
	frame_end(c, &w);
}

/* Serve all pairs until each has made its rounds. A pair that is done keeps its sessions alive. */
static bool rounds(const struct run *run)
{
	struct pollfd fds[2 * PAIRS];
	int64_t ping_ms = now_ms() + PING_MS;
	int i, open;

	for (;;) {
		open = 0;
		if (now_ms() >= ping_ms) {
			ping_ms = now_ms() + PING_MS;
			for (i = 0; i < PAIRS; i++) {
				send_ping(&pairs[i].a);
				send_ping(&pairs[i].b);
			}
		}
		for (i = 0; i < PAIRS; i++) {
			struct pair *p = &pairs[i];

			fds[2 * i] = (struct pollfd){.fd = p->a.fd, .events = POLLIN};
			fds[2 * i + 1] = (struct pollfd){.fd = p->b.fd, .events = POLLIN};
			if (p->a.out_len > 0)
				fds[2 * i].events |= POLLOUT;
			if (p->b.out_len > 0)
				fds[2 * i + 1].events |= POLLOUT;
			open += !p->done || p->acknowledged < p->written;
			if (!p->done && now_ms() - p->moved_ms > STALL_MS)
				return failed("pair %d: no event for %d ms: version %d written, "
					      "%d answered, %d seen, watch %s at version %d",
					      i, STALL_MS, p->written, p->acknowledged, p->shown,
					      p->armed ? "set" : "not set", p->armed_version);
		}
		if (open == 0)
			return true;
		if (poll(fds, 2 * PAIRS, 1000) < 0 && errno != EINTR)
			return failed("poll: %s", strerror(errno));
		for (i = 0; i < PAIRS; i++) {
			struct pair *p = &pairs[i];

			if (!conn_serve(run, p, &p->b, fds[2 * i + 1].revents) ||
			    !conn_serve(run, p, &p->a, fds[2 * i].revents) || !conn_flush(&p->a) ||
			    !conn_flush(&p->b))
				return false;
		}
	}
}

static void one_run(const struct run *run)
{
	int64_t begin = now_ms();
	long events = 0, reads = 0, writes = 0;
	bool ok = true;
	int i;

	failure[0] = '\0';
	for (i = 0; i < PAIRS; i++) {
		pairs[i].a.fd = -1;
		pairs[i].b.fd = -1;
	}
	for (i = 0; i < PAIRS && ok; i++)
		ok = pair_begin(run, &pairs[i], i);
	if (ok)
		ok = rounds(run);
	for (i = 0; i < PAIRS; i++) {
		events += pairs[i].events;
		reads += pairs[i].reads;
		writes += pairs[i].acknowledged;
		if (pairs[i].a.fd >= 0)
			close(pairs[i].a.fd);
		if (pairs[i].b.fd >= 0)
			close(pairs[i].b.fd);
	}
	if (ok)
		report_ok("%s: %ld events, %ld reads, %ld writes on %d pairs (%.1f s)", run->name,
			  events, reads, writes, PAIRS, (double)(now_ms() - begin) / 1000);
	else
		report_fail("%s: after %ld events: %s", run->name, events, failure);
}

int main(void)
{
	static const struct run runs[] = {
		{"data-paced", false, true, (PACED_ROUNDS + PAIRS - 1) / PAIRS},
		{"data-free", false, false, (FREE_ROUNDS + PAIRS - 1) / PAIRS},
		{"children-free", true, false, (CHILD_ROUNDS + PAIRS - 1) / PAIRS},
	};
	size_t i;

	for (i = 0; i < sizeof(runs) / sizeof(runs[0]); i++)
		one_run(&runs[i]);
	return report_failures == 0 ? 0 : 1;
}
