/* SPDX-License-Identifier: Apache-2.0 */
/* Faults that are put into the receive path, once per run: the history checker must find each. */
#ifndef HISTORY_TAMPER_H
#define HISTORY_TAMPER_H

#include "history_client.h"

enum tamper {
	TAMPER_NONE,
	TAMPER_DROP_EVENT,
	TAMPER_DROP_CHILD_EVENT,
	TAMPER_DROP_PERSISTENT,
	TAMPER_DROP_AFTER_RECONNECT,
	TAMPER_REPEAT_EVENT,
	TAMPER_LATE_EVENT,
	TAMPER_SWAP_REPLIES,
	TAMPER_OTHER_DATA,
	TAMPER_ZXID_BACK,
	TAMPER_ZXID_AHEAD,
	TAMPER_OLD_DATA,
	TAMPER_OLD_OWN,
	TAMPER_TORN_MULTI_READ,
	TAMPER_LOST_CHILD,
	TAMPERS,
};

static const char *const tamper_names[TAMPERS] = {
	"none",
	"drop a data event",
	"drop a child event",
	"drop a persistent watch's event",
	"drop the event of a watch set again after a reconnect",
	"repeat an event",
	"deliver an event late",
	"swap two replies",
	"old data of another account in a getData reply",
	"a zxid that goes back",
	"a zxid from the future",
	"old data in a getData reply",
	"old data of the client's own node",
	"one old account in a multiRead",
	"a child left out of a listing",
};

enum { HELD_BYTES = 1024, TAMPER_LATE_FRAMES = 400 };

struct tampering {
	enum tamper kind;
	bool done;
	struct client *victim;
	int32_t old_version; /* of old[] */
	uint8_t old[4 + DATA_BYTES + STAT_BYTES];
	int32_t held_size; /* a frame to deliver in `held_for` more frames of the victim; 0: none */
	int held_for;
	uint8_t held[HELD_BYTES];
};

static void tamper_hold(struct tampering *t, struct client *c, const uint8_t *frame, int32_t size,
			int frames)
{
	if (size > HELD_BYTES)
		return;
	memcpy(t->held, frame, (size_t)size);
	t->held_size = size;
	t->held_for = frames;
	t->victim = c;
	t->done = true;
}

/* Take the copy of account 0 of group 0 (or of the own node), or put it where newer data was. */
static void tamper_old(struct tampering *t, struct client *c, uint8_t *body, int32_t floor)
{
	int32_t version = wire_i32(body + 4 + DATA_BYTES + 32);

	if (t->victim == NULL) {
		memcpy(t->old, body, sizeof(t->old));
		t->old_version = version;
		t->victim = c;
	} else if (floor > t->old_version && version > t->old_version) {
		memcpy(body, t->old, sizeof(t->old));
		t->done = true;
	}
}

/* Leave out the last name of a listing of short names; its size. */
static int32_t tamper_lose_child(struct tampering *t, uint8_t *frame, int32_t size)
{
	uint8_t *count = frame + REPLY_HEADER_BYTES, *at = count + 4, *end = frame + size;
	int32_t n = wire_i32(count), i;
	uint32_t less = htonl((uint32_t)(n - 1));

	for (i = 0; i < n - 1; i++)
		at += 4 + wire_i32(at);
	memmove(at, end - STAT_BYTES, STAT_BYTES);
	memcpy(count, &less, sizeof(less));
	t->done = true;
	return (int32_t)(at - frame) + STAT_BYTES;
}

static bool tamper_event(struct tampering *t, struct client *c, const uint8_t *frame, int32_t size,
			 int slot, int group, bool armed)
{
	bool persistent = group == c->persistent_group && slot == 0;
	bool data = slot != CHILDREN && armed && !persistent;

	switch (t->kind) {
	case TAMPER_DROP_EVENT:
		return !(t->done = data);
	case TAMPER_DROP_CHILD_EVENT:
		return !(t->done = slot == CHILDREN);
	case TAMPER_DROP_PERSISTENT:
		return !(t->done = persistent && c->persistent_version >= 0);
	case TAMPER_DROP_AFTER_RECONNECT:
		return !(t->done = armed && c->views[group].resent[slot]);
	case TAMPER_LATE_EVENT:
		if (data)
			tamper_hold(t, c, frame, size, TAMPER_LATE_FRAMES);
		return !t->done;
	case TAMPER_REPEAT_EVENT:
		/* A repeated event of a watch that was set anew in between could be true. */
		if (data)
			tamper_hold(t, c, frame, size, 0);
		return true;
	default:
		return true;
	}
}

/* See a reply before the checker does; false drops it. It may change its bytes and its size. */
static bool tamper_reply(struct tampering *t, struct client *c, uint8_t *frame, int32_t *size)
{
	const struct request *r = &c->requests[c->head % REQUESTS];
	uint8_t *body = frame + REPLY_HEADER_BYTES;
	uint32_t low;

	if (c->head == c->tail)
		return true;
	switch (t->kind) {
	case TAMPER_SWAP_REPLIES:
		if (c->tail - c->head > 1)
			tamper_hold(t, c, frame, *size, 1);
		return !t->done;
	case TAMPER_ZXID_BACK:
	case TAMPER_ZXID_AHEAD:
		if (c->writer || wire_i64(frame + 4) <= 0)
			return true;
		low = htonl((uint32_t)wire_i32(frame + 8) +
			    (t->kind == TAMPER_ZXID_BACK ? -1U : 1000U));
		if (t->kind == TAMPER_ZXID_BACK && wire_i64(frame + 4) != c->last_zxid)
			return true;
		memcpy(frame + 8, &low, sizeof(low));
		t->done = true;
		return true;
	case TAMPER_OTHER_DATA:
	case TAMPER_OLD_DATA:
		/* Old data of account 0, perhaps in the reply for another one. */
		if (r->kind == K_READ && r->group == 0 &&
		    (r->slot == 0 || (t->kind == TAMPER_OTHER_DATA && t->victim != NULL)))
			tamper_old(t, c, body, c->views[0].floor);
		return true;
	case TAMPER_OLD_OWN:
		if (r->kind == K_OWN_READ && (t->victim == NULL || t->victim == c))
			tamper_old(t, c, body, c->own_sent);
		return true;
	case TAMPER_TORN_MULTI_READ:
		if (r->kind == K_READ && r->group == 0 && r->slot == 0 && t->victim == NULL)
			tamper_old(t, c, body, 0);
		else if (r->kind == K_MULTI_READ && r->group == 0 && t->victim != NULL)
			tamper_old(t, c, body + 9, c->views[0].floor);
		return true;
	case TAMPER_LOST_CHILD:
		if (r->kind == K_CHILDREN)
			*size = tamper_lose_child(t, frame, *size);
		return true;
	default:
		return true;
	}
}

#endif
