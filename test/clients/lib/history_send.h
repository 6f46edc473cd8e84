/* SPDX-License-Identifier: Apache-2.0 */
/* The history checker's requests. Part of history.c. */
#ifndef HISTORY_SEND_H
#define HISTORY_SEND_H

#include "history_state.h"

static struct request *ask(struct client *c, enum kind kind, int32_t xid, int32_t op)
{
	struct request *r = &c->requests[c->tail++ % REQUESTS];

	if (c->tail - c->head > REQUESTS) {
		fprintf(stderr, "too many requests in flight\n");
		exit(2);
	}
	*r = (struct request){.xid = xid, .kind = (uint8_t)kind, .want = -1};
	frame_begin(&c->out);
	put_i32(&c->out, xid);
	put_i32(&c->out, op);
	return r;
}

static struct request *ask_next(struct client *c, enum kind kind, int32_t op)
{
	return ask(c, kind, c->next_xid++, op);
}

/* Read one slot; `watch` is only a wish. */
static struct request *ask_slot(struct client *c, int group, int slot, bool exists, bool watch)
{
	struct view *view = &c->views[group];
	enum kind kind = slot == CHILDREN ? K_CHILDREN : exists ? K_EXISTS : K_READ;
	int32_t op = slot == CHILDREN ? OP_GET_CHILDREN2 : exists ? OP_EXISTS : OP_GET_DATA;
	struct request *r = ask_next(c, kind, op);
	char path[PATH_BYTES];

	r->group = (uint8_t)group;
	r->slot = (uint8_t)slot;
	r->watch = watch && view->armed[slot] < 0 && !view->asked[slot] &&
		   !(slot == 0 && group == c->persistent_group);
	if (r->watch)
		view->asked[slot] = true;
	put_text(&c->out, node_path(group, slot, path));
	put_bool(&c->out, r->watch);
	frame_end(&c->out);
	return r;
}

/* All accounts and the children of one group. */
static struct request *ask_multi_read(struct client *c, int group)
{
	struct request *r = ask_next(c, K_MULTI_READ, OP_MULTI_READ);
	char path[PATH_BYTES];
	int i;

	r->group = (uint8_t)group;
	for (i = 0; i < SLOTS; i++) {
		put_multi_head(&c->out, i == CHILDREN ? OP_GET_CHILDREN : OP_GET_DATA);
		put_text(&c->out, node_path(group, i, path));
		put_bool(&c->out, false);
	}
	put_multi_head(&c->out, -1);
	frame_end(&c->out);
	return r;
}

/* The next version of a group, or (bad) one that its last operation refuses. */
static void ask_transfer(struct client *c, int group, bool bad)
{
	int32_t v = ++written[group], i;
	struct request *r = ask_next(c, bad ? K_BAD_TRANSFER : K_TRANSFER, OP_MULTI);
	int64_t *b = balances[group], amount = (int64_t)pick(100), changed[ACCOUNTS];
	uint32_t from = pick(ACCOUNTS), to = pick(ACCOUNTS);
	char path[PATH_BYTES], text[DATA_BYTES + 1];
	const char *side;

	r->group = (uint8_t)group;
	r->want = v;
	memcpy(changed, b, sizeof(changed));
	changed[from] -= amount;
	changed[to] += amount;
	for (i = 0; i < ACCOUNTS; i++) {
		put_multi_head(&c->out, OP_SET_DATA);
		put_set_data(&c->out, node_path(group, i, path), value(v, changed[i], text), v - 1);
	}
	for (side = "ab"; *side != '\0'; side++) {
		put_multi_head(&c->out, v % 2 ? OP_CREATE : OP_DELETE);
		if (v % 2) {
			put_create(&c->out,
				   child_path(group, LIVE_PAIRS + (v - 1) / 2, *side, path), "", 0);
		} else {
			put_text(&c->out, child_path(group, v / 2 - 1, *side, path));
			put_i32(&c->out, 0);
		}
	}
	if (bad) {
		written[group]--;
		put_multi_head(&c->out, OP_CHECK);
		put_text(&c->out, node_path(group, 0, path));
		put_i32(&c->out, v - 1);
	} else {
		memcpy(b, changed, sizeof(changed));
	}
	put_multi_head(&c->out, -1);
	frame_end(&c->out);
}

static struct request *ask_own_read(struct client *c)
{
	struct request *r = ask_next(c, K_OWN_READ, OP_GET_DATA);
	char path[PATH_BYTES];

	r->want = c->own_sent;
	put_text(&c->out, own_path(c, path));
	put_bool(&c->out, false);
	frame_end(&c->out);
	return r;
}

static void ask_own_set(struct client *c, bool bad)
{
	struct request *r = ask_next(c, bad ? K_OWN_BAD_SET : K_OWN_SET, OP_SET_DATA);
	char path[PATH_BYTES], text[DATA_BYTES + 1];

	c->own_sent += !bad;
	c->own_pending++;
	r->want = c->own_sent;
	put_set_data(&c->out, own_path(c, path), value(c->own_sent, c->index, text),
		     bad ? c->own_sent + 1 : c->own_sent - 1);
	frame_end(&c->out);
}

static void ask_path(struct client *c, enum kind kind, int32_t op)
{
	struct request *r = ask_next(c, kind, op);
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), "%s/none", root);
	put_text(&c->out, path);
	if (op == OP_EXISTS)
		put_bool(&c->out, false);
	else
		r->want_zxid = acknowledged_zxid;
	frame_end(&c->out);
}

static void ask_add_watch(struct client *c)
{
	char path[PATH_BYTES];

	ask_next(c, K_ADD_WATCH, OP_ADD_WATCH);
	put_text(&c->out, node_path(c->persistent_group, 0, path));
	put_i32(&c->out, 0);
	frame_end(&c->out);
	c->persistent_set = false;
	c->persistent_version = -1;
}

/* After a reconnect: every watch whose event has not come. */
static void ask_set_watches(struct client *c)
{
	static const bool lists[3] = {true, false, false}; /* data, exist, child */
	int list, g, slot;
	char path[PATH_BYTES];

	ask(c, K_SET_WATCHES, -8, OP_SET_WATCHES);
	put_i64(&c->out, c->last_zxid);
	for (list = 0; list < 3; list++) {
		size_t at = c->out.len;
		uint32_t n = 0;

		put_i32(&c->out, 0);
		for (g = 0; list != 1 && g < GROUPS; g++) {
			for (slot = 0; slot < SLOTS; slot++) {
				struct view *v = &c->views[g];

				if (v->armed[slot] < 0 || (slot != CHILDREN) != lists[list])
					continue;
				put_text(&c->out, node_path(g, slot, path));
				v->resent[slot] = true;
				n++;
			}
		}
		n = htonl(n);
		memcpy(c->out.bytes + at, &n, sizeof(n));
	}
	frame_end(&c->out);
}

static void refill_reader(struct client *c)
{
	uint32_t what = pick(100), i;
	int g = (int)pick(GROUPS);

	if (what < 30) {
		ask_slot(c, g, (int)pick(ACCOUNTS), false, false);
	} else if (what < 45) {
		for (i = 0; i < ACCOUNTS; i++)
			ask_slot(c, g, (int)i, false, false);
	} else if (what < 60) {
		ask_multi_read(c, g);
	} else if (what < 75) {
		ask_slot(c, g, (int)pick(ACCOUNTS), what < 65, true);
	} else if (what < 85) {
		ask_slot(c, g, CHILDREN, false, what < 80);
	} else if (what < 87) {
		ask_own_set(c, what == 85 && pick(4) == 0);
		ask_own_read(c);
	} else if (what < 88) {
		ask_path(c, K_SYNC, OP_SYNC);
		ask_slot(c, g, (int)pick(ACCOUNTS), false, false);
	} else if (what < 97) {
		ask_path(c, K_MISSING, OP_EXISTS);
	} else {
		ask(c, K_PING, -2, OP_PING);
		frame_end(&c->out);
	}
}

static void refill_writer(struct client *c)
{
	uint32_t what = pick(16);
	int g = c->index - READERS + (int)pick(GROUPS / WRITERS) * WRITERS;

	ask_transfer(c, g, what == 0);
	if (what < 4)
		ask_slot(c, g, (int)pick(ACCOUNTS), false, false)->want = written[g];
	else if (what < 6)
		ask_slot(c, g, CHILDREN, false, false)->want = written[g];
	else if (what < 8)
		ask_multi_read(c, g)->want = written[g];
}

static void refill(struct client *c)
{
	uint32_t window = c->writer ? WRITE_WINDOW : READ_WINDOW;

	if (c->until_reconnect <= 0 && !c->writer)
		return; /* drain own writes, then reconnect */
	while (c->tail - c->head + BURST <= window && c->out.len < OUT_ENOUGH) {
		if (c->writer)
			refill_writer(c);
		else
			refill_reader(c);
	}
}

#endif
