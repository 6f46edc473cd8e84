/* SPDX-License-Identifier: Apache-2.0 */
/* What a run of the history checker knows: connections, groups, counts, names. Part of history.c.
 */
#ifndef HISTORY_STATE_H
#define HISTORY_STATE_H

#include "history_client.h"
#include "history_model.h"
#include "history_tamper.h"
#include "report.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	READ_WINDOW = 100,
	WRITE_WINDOW = 240,
	BURST = 8, /* requests that one choice may add */
	STALL_MS = 30000,
	SESSION_MS = 30000,
	OUT_ENOUGH = WIRE_BUFFER_BYTES / 2,
	SELF_TEST_OPS = 150000,
};

static struct client clients[CLIENTS];
static struct model models[GROUPS];
static int32_t written[GROUPS]; /* newest version sent */
static int64_t balances[GROUPS][ACCOUNTS];
static struct tampering tampering;
static int64_t acknowledged_zxid; /* the greatest zxid that any reply to a write told */
static char root[48];
static char failure[400];
static const struct client *failed_client;
static uint64_t rng;
static bool events_have_zxids, stopping;
static int epoll_fd = -1, runs;
static long ops, wanted_ops, event_count, transfer_count, reconnect_count;

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static uint32_t pick(uint32_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)((rng >> 32) % n);
}

__attribute__((format(printf, 2, 3))) static bool failed(const struct client *c, const char *format,
							 ...)
{
	va_list args;

	va_start(args, format);
	if (failure[0] == '\0') {
		vsnprintf(failure, sizeof(failure), format, args);
		failed_client = c;
	}
	va_end(args);
	return false;
}

static void note(struct client *c, const struct request *r, int32_t version, int64_t zxid)
{
	c->log[c->logged++ % LOGGED] = (struct logged){
		.kind = r->kind,
		.group = r->group,
		.slot = r->slot,
		.watch = r->watch,
		.xid = r->xid,
		.version = version,
		.zxid = zxid,
	};
}

static void print_client(const struct client *c)
{
	uint32_t n = c->logged < LOGGED ? c->logged : LOGGED, i;

	printf("connection %d, port %d, session 0x%llx: last zxid 0x%llx, last event 0x%llx, "
	       "%ld replies, %u in flight\n",
	       c->index, c->port, (unsigned long long)c->session, (unsigned long long)c->last_zxid,
	       (unsigned long long)c->last_event, c->replies, c->tail - c->head);
	for (i = c->logged - n; i != c->logged; i++) {
		const struct logged *l = &c->log[i % LOGGED];

		printf("  zxid 0x%llx xid %d %s%s group %d slot %d version %d\n",
		       (unsigned long long)l->zxid, l->xid, kind_names[l->kind],
		       l->watch ? " +watch" : "", l->group, l->slot, l->version);
	}
	fflush(stdout);
}

/* --- names and values */

static const char *node_path(int group, int slot, char buffer[PATH_BYTES])
{
	if (slot == CHILDREN)
		snprintf(buffer, PATH_BYTES, "%s/g%d/c", root, group);
	else
		snprintf(buffer, PATH_BYTES, "%s/g%d/a%d", root, group, slot);
	return buffer;
}

static const char *own_path(const struct client *c, char buffer[PATH_BYTES])
{
	snprintf(buffer, PATH_BYTES, "%s/own%d", root, c->index);
	return buffer;
}

static const char *child_path(int group, int32_t id, char which, char buffer[PATH_BYTES])
{
	snprintf(buffer, PATH_BYTES, "%s/g%d/c/p%d%c", root, group, id, which);
	return buffer;
}

/* "VERSION BALANCE", filled up to DATA_BYTES. */
static const char *value(int32_t version, int64_t balance, char buffer[DATA_BYTES + 1])
{
	char text[DATA_BYTES];

	snprintf(text, sizeof(text), "%d %lld ", version, (long long)balance);
	snprintf(buffer, DATA_BYTES + 1, "%-*s", DATA_BYTES, text);
	return buffer;
}

static bool parse_value(struct reader *r, int32_t *version, int64_t *balance)
{
	char text[DATA_BYTES + 1], *end;
	const uint8_t *data;
	int32_t n;

	data = get_text(r, &n);
	if (data == NULL || n != DATA_BYTES)
		return false;
	memcpy(text, data, DATA_BYTES);
	text[DATA_BYTES] = '\0';
	*version = (int32_t)strtol(text, &end, 10);
	*balance = strtoll(end, &end, 10);
	return *end == ' ';
}

#endif
