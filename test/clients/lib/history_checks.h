/* SPDX-License-Identifier: Apache-2.0 */
/* The history checker's verdicts on replies and events. Part of history.c. */
#ifndef HISTORY_CHECKS_H
#define HISTORY_CHECKS_H

#include "history_send.h"

/* A reply whose header is `zxid` showed version v of the group. */
static bool check_version(struct client *c, const struct request *r, int32_t v, int64_t made,
			  int64_t zxid)
{
	struct view *view = &c->views[r->group];
	struct model *m = &models[r->group];
	int slot;

	if (v < view->floor)
		return failed(c, "group %d: version %d behind version %d", r->group, v,
			      view->floor);
	if (r->want >= 0 && v != r->want)
		return failed(c, "group %d: version %d, not this client's own %d", r->group, v,
			      r->want);
	for (slot = 0; slot < SLOTS; slot++)
		if (view->armed[slot] >= 0 && v > view->armed[slot])
			return failed(c,
				      "group %d slot %d: a reply showed version %d, but the watch "
				      "set at version %d had not fired",
				      r->group, slot, v, view->armed[slot]);
	if (r->group == c->persistent_group && c->persistent_set) {
		if (c->persistent_version >= 0 && c->persistent_version != v)
			return failed(c,
				      "group %d: a reply showed version %d, the events of the "
				      "persistent watch are at version %d",
				      r->group, v, c->persistent_version);
		c->persistent_version = v;
	}
	if ((made != 0 && !model_made(m, v, made, written[r->group])) ||
	    !model_seen(m, v, zxid, written[r->group]))
		return failed(c, "group %d: %s", r->group, m->error);
	view->floor = v;
	if (r->watch) {
		view->asked[r->slot] = false;
		view->armed[r->slot] = v;
		view->resent[r->slot] = false;
	}
	return true;
}

/* The names of a group's children, which tell its version up to its parity. */
static bool check_names(struct client *c, struct reader *r, int32_t v)
{
	int32_t n = get_i32(r), first = v / 2, pairs = LIVE_PAIRS + v % 2, i;
	uint32_t found = 0;

	for (i = 0; i < n; i++) {
		int32_t size, id;
		const uint8_t *p = get_text(r, &size);
		char name[24];

		if (p == NULL || size < 3 || size >= (int32_t)sizeof(name))
			return failed(c, "a child's name of %d bytes", size);
		memcpy(name, p, (size_t)size);
		name[size] = '\0';
		id = (int32_t)strtol(name + 1, NULL, 10) - first;
		if (id < 0 || id >= pairs)
			return failed(c, "child %s is not of version %d", name, v);
		found |= 1U << (2 * id + (name[size - 1] == 'b'));
	}
	if (n != 2 * pairs || found != (1U << (2 * pairs)) - 1)
		return failed(c, "%d children at version %d, not %d (mask 0x%x)", n, v, 2 * pairs,
			      found);
	return true;
}

static bool check_value(struct client *c, const struct request *r, struct reader *body,
			int64_t zxid, int32_t *version)
{
	struct view *view = &c->views[r->group];
	struct stat_fields s;
	int64_t balance;

	if (!parse_value(body, version, &balance))
		return failed(c, "a value is malformed");
	s = get_stat(body);
	if (body->bad || body->at != body->end || s.version != *version)
		return failed(c, "the data is of version %d, the stat of version %d", *version,
			      s.version);
	if (!check_version(c, r, *version, s.mzxid, zxid))
		return false;
	if (view->sum_zxid != zxid) {
		view->sum_zxid = zxid;
		view->sum_accounts = 0;
		view->sum = 0;
	}
	if ((view->sum_accounts & (1U << r->slot)) == 0) {
		view->sum_accounts |= 1U << r->slot;
		view->sum += balance;
	}
	if (view->sum_accounts == (1U << ACCOUNTS) - 1 && view->sum != ACCOUNTS * BALANCE)
		return failed(c, "group %d: the balances at zxid 0x%llx sum up to %lld", r->group,
			      (unsigned long long)zxid, (long long)view->sum);
	return true;
}

static bool check_children(struct client *c, const struct request *r, struct reader *body,
			   int64_t zxid, int32_t *version)
{
	struct reader tail = *body;
	struct stat_fields s;

	if (body->end - body->at < STAT_BYTES)
		return failed(c, "a listing is malformed");
	tail.at = body->end - STAT_BYTES;
	s = get_stat(&tail);
	/* Creates and deletes of children together; each version adds two. */
	*version = (s.cversion - 2 * LIVE_PAIRS) / 2;
	if (s.cversion % 2 != 0 || *version < 0)
		return failed(c, "half a multi: cversion %d", s.cversion);
	if (!check_names(c, body, *version))
		return false;
	if (body->at != body->end - STAT_BYTES || s.children != 2 * (LIVE_PAIRS + *version % 2))
		return failed(c, "a listing whose stat has %d children", s.children);
	return check_version(c, r, *version, s.pzxid, zxid);
}

static bool check_multi_read(struct client *c, const struct request *r, struct reader *body,
			     int64_t zxid, int32_t *version)
{
	int64_t sum = 0, balance, made = 0;
	int32_t v;
	int i;

	for (i = 0; i < ACCOUNTS; i++) {
		struct stat_fields s;

		if (!get_result(body, OP_GET_DATA, 0) || !parse_value(body, &v, &balance))
			return failed(c, "a multiRead reply is malformed");
		s = get_stat(body);
		if (i == 0) {
			*version = v;
			made = s.mzxid;
		}
		if (v != *version || s.version != v || s.mzxid != made)
			return failed(c,
				      "a multiRead of group %d showed account 0 at version %d and "
				      "account %d at version %d",
				      r->group, *version, i, v);
		sum += balance;
	}
	if (sum != ACCOUNTS * BALANCE)
		return failed(c, "a multiRead of group %d sums up to %lld", r->group,
			      (long long)sum);
	if (!get_result(body, OP_GET_CHILDREN, 0) || !check_names(c, body, *version))
		return failed(c, "a multiRead reply is malformed");
	if (!get_end(body))
		return failed(c, "a multiRead reply has a wrong end");
	return check_version(c, r, *version, made, zxid);
}

static bool check_transfer(struct client *c, const struct request *r, struct reader *body,
			   int64_t zxid)
{
	int32_t v = r->want, size;
	int64_t made = 0;
	int i;

	for (i = 0; i < ACCOUNTS; i++) {
		struct stat_fields s = {0};

		if (get_result(body, OP_SET_DATA, 0))
			s = get_stat(body);
		if (i == 0)
			made = s.mzxid;
		if (s.version != v || s.mzxid != made || made > zxid || made <= c->last_zxid)
			return failed(c,
				      "the multi of version %d answered version %d of 0x%llx, "
				      "header 0x%llx, last zxid 0x%llx",
				      v, s.version, (unsigned long long)s.mzxid,
				      (unsigned long long)zxid, (unsigned long long)c->last_zxid);
	}
	for (i = 0; i < 2; i++)
		if (!get_result(body, v % 2 ? OP_CREATE : OP_DELETE, 0) ||
		    (v % 2 && get_text(body, &size) == NULL))
			return failed(c, "the multi of version %d failed", v);
	if (!get_end(body))
		return failed(c, "the reply to the multi of version %d is malformed", v);
	transfer_count++;
	c->views[r->group].floor = v;
	return model_made(&models[r->group], v, made, written[r->group]) ||
	       failed(c, "group %d: %s", r->group, models[r->group].error);
}

static bool check_bad_transfer(struct client *c, struct reader *body)
{
	int i;

	for (i = 0; i < ACCOUNTS + 2; i++)
		if (!get_result(body, -1, 0) || get_i32(body) != 0)
			return failed(c, "result %d of a multi that must fail", i);
	if (!get_result(body, -1, ERR_BAD_VERSION) || get_i32(body) != ERR_BAD_VERSION ||
	    !get_end(body))
		return failed(c, "a multi did not fail as it must");
	return true;
}

static bool check_own(struct client *c, const struct request *r, struct reader *body, int64_t zxid,
		      int32_t *version)
{
	struct stat_fields s;
	int64_t index = c->index;

	if (r->kind == K_OWN_READ && !parse_value(body, version, &index))
		return failed(c, "the own value is malformed");
	s = get_stat(body);
	if (r->kind == K_OWN_SET)
		*version = s.version;
	if (body->bad || body->at != body->end || s.version != *version || s.version != r->want ||
	    index != c->index || s.mzxid > zxid)
		return failed(c, "own write %d was answered, but version %d was shown", r->want,
			      s.version);
	if (r->kind == K_OWN_SET && s.mzxid <= c->last_zxid)
		return failed(c, "own write of 0x%llx is older than what was read before",
			      (unsigned long long)s.mzxid);
	return true;
}

/* Which node an event names; false when it is none of the watched ones. */
static bool event_node(struct reader *body, int32_t *type, int *group, int *slot)
{
	size_t n = strlen(root);
	const uint8_t *path;
	int32_t state, size;

	*type = get_i32(body);
	state = get_i32(body);
	path = get_text(body, &size);
	if (path == NULL || state != 3 || size < (int32_t)n + 5 || memcmp(path, root, n) != 0 ||
	    path[n + 1] != 'g' || body->at != body->end)
		return false;
	*group = path[n + 2] - '0';
	if (*group < 0 || *group >= GROUPS)
		return false;
	*slot = path[n + 4] == 'c' ? CHILDREN : path[n + 5] - '0';
	return *slot >= 0 && *slot < SLOTS && size == (int32_t)n + (*slot == CHILDREN ? 5 : 6) &&
	       *type == (*slot == CHILDREN ? 4 : 3);
}

static bool on_event(struct client *c, int64_t zxid, int32_t type, int group, int slot)
{
	struct request r = {
		.kind = K_EVENT, .group = (uint8_t)group, .slot = (uint8_t)slot, .xid = -1};
	struct view *view = &c->views[group];
	struct model *m = &models[group];
	bool persistent = group == c->persistent_group && slot == 0;
	int32_t v = persistent ? c->persistent_version : view->armed[slot];

	note(c, &r, v, zxid);
	event_count++;
	if (zxid > 0) {
		if (zxid < c->last_event || zxid <= c->last_zxid)
			return failed(c,
				      "an event of 0x%llx behind an event of 0x%llx and a reply "
				      "of 0x%llx",
				      (unsigned long long)zxid, (unsigned long long)c->last_event,
				      (unsigned long long)c->last_zxid);
		c->last_event = zxid;
	} else if (events_have_zxids && (persistent || !view->resent[slot])) {
		return failed(c, "an event without a zxid");
	}
	if (persistent && v < 0)
		return true; /* the first read will tell */
	if (v < 0)
		return failed(c, "group %d slot %d: an event of type %d without a watch", group,
			      slot, type);
	/*
	 * There is a next version, and v was still the current one at the latest reply; at a
	 * persistent watch that is so only for the first of several events.
	 */
	if (v + 1 > written[group] ||
	    (!persistent && !model_seen(m, v, c->last_zxid, written[group])) ||
	    (zxid > 0 && !model_made(m, v + 1, zxid, written[group])))
		return failed(c, "group %d slot %d: event of version %d: %s", group, slot, v + 1,
			      m->error[0] ? m->error : "it was never written");
	if (persistent)
		c->persistent_version++;
	else
		view->armed[slot] = -1;
	if (view->floor < v + 1)
		view->floor = v + 1;
	return true;
}

static bool reply_body(struct client *c, const struct request *r, struct reader *body, int64_t zxid,
		       int32_t *version)
{
	struct stat_fields s;

	switch (r->kind) {
	case K_READ:
		return check_value(c, r, body, zxid, version);
	case K_EXISTS:
		s = get_stat(body);
		*version = s.version;
		return body->bad ? failed(c, "a stat is malformed")
				 : check_version(c, r, s.version, s.mzxid, zxid);
	case K_CHILDREN:
		return check_children(c, r, body, zxid, version);
	case K_MULTI_READ:
		return check_multi_read(c, r, body, zxid, version);
	case K_OWN_SET:
		c->own_pending--;
		return check_own(c, r, body, zxid, version);
	case K_OWN_READ:
		return check_own(c, r, body, zxid, version);
	case K_OWN_BAD_SET:
		c->own_pending--;
		return true;
	case K_TRANSFER:
		*version = r->want;
		return check_transfer(c, r, body, zxid);
	case K_BAD_TRANSFER:
		return check_bad_transfer(c, body);
	case K_ADD_WATCH:
		c->persistent_set = true;
		return true;
	default:
		return true;
	}
}

static int32_t wanted_error(const struct request *r)
{
	if (r->kind == K_MISSING)
		return ERR_NO_NODE;
	return r->kind == K_OWN_BAD_SET ? ERR_BAD_VERSION : 0;
}

static bool on_reply(struct client *c, struct reader *body, int32_t xid, int64_t zxid, int32_t err)
{
	struct request r = c->requests[c->head % REQUESTS];
	int32_t version = -1;
	bool ok;

	if (c->head == c->tail)
		return failed(c, "a reply of xid %d to no request", xid);
	if (xid != r.xid)
		return failed(c, "a reply of xid %d, the next request is %d", xid, r.xid);
	if (err != wanted_error(&r))
		return failed(c, "%s was answered by error %d", kind_names[r.kind], err);
	if (zxid < c->last_zxid || zxid < c->last_event)
		return failed(c, "%s: zxid 0x%llx behind 0x%llx (latest event 0x%llx)",
			      kind_names[r.kind], (unsigned long long)zxid,
			      (unsigned long long)c->last_zxid, (unsigned long long)c->last_event);
	if (zxid < r.want_zxid)
		return failed(c, "sync at 0x%llx, but 0x%llx was answered before it was sent",
			      (unsigned long long)zxid, (unsigned long long)r.want_zxid);
	ok = reply_body(c, &r, body, zxid, &version);
	note(c, &r, version, zxid);
	if (!ok)
		return false;
	c->head++;
	c->last_zxid = zxid;
	c->replies++;
	c->until_reconnect--;
	if ((r.kind == K_TRANSFER || r.kind == K_OWN_SET || r.kind == K_OWN_BAD_SET ||
	     r.kind == K_BAD_TRANSFER) &&
	    zxid > acknowledged_zxid)
		acknowledged_zxid = zxid;
	return true;
}

static bool on_connected(struct client *c, const uint8_t *frame, int32_t size)
{
	struct request r = {.kind = K_CONNECTED};
	int64_t session = size == 37 ? wire_i64(frame + 8) : 0;

	note(c, &r, -1, c->last_zxid);
	if (size != 37 || wire_i32(frame + 4) == 0 || session == 0 ||
	    (c->session != 0 && session != c->session))
		return failed(c, "the session 0x%llx was refused", (unsigned long long)c->session);
	c->session = session;
	memcpy(c->password, frame + 20, sizeof(c->password));
	c->connected = true;
	if (c->old_fd >= 0)
		close(c->old_fd);
	c->old_fd = -1;
	return true;
}

/* Behind the tampering. */
static bool on_frame(struct client *c, uint8_t *frame, int32_t size)
{
	struct reader body = {frame + REPLY_HEADER_BYTES, frame + size, false};
	int32_t xid = wire_i32(frame), type;
	int group, slot;

	ops++;
	if (xid != -1)
		return on_reply(c, &body, xid, wire_i64(frame + 4), wire_i32(frame + 12));
	if (!event_node(&body, &type, &group, &slot))
		return failed(c, "an event of type %d is malformed", type);
	return on_event(c, wire_i64(frame + 4), type, group, slot);
}

static bool on_held_frame(struct client *c)
{
	struct tampering *t = &tampering;
	int32_t size = t->held_size;

	if (size == 0 || t->victim != c || t->held_for-- > 0)
		return true;
	t->held_size = 0;
	return on_frame(c, t->held, size);
}

static bool on_raw_frame(struct client *c, uint8_t *frame, int32_t size)
{
	struct tampering *t = &tampering;
	bool keep = true;
	int32_t type;
	int group, slot;

	if (!c->connected)
		return on_connected(c, frame, size);
	if (size < REPLY_HEADER_BYTES)
		return failed(c, "a reply of %d bytes", size);
	/* Not before the run is well under way. */
	if (t->kind != TAMPER_NONE && !t->done && ops > wanted_ops / 3) {
		struct reader body = {frame + REPLY_HEADER_BYTES, frame + size, false};

		if (wire_i32(frame) != -1)
			keep = tamper_reply(t, c, frame, &size);
		else if (event_node(&body, &type, &group, &slot))
			keep = tamper_event(t, c, frame, size, slot, group,
					    c->views[group].armed[slot] >= 0);
	}
	return (!keep || on_frame(c, frame, size)) && on_held_frame(c);
}

#endif
