/* SPDX-License-Identifier: Apache-2.0 */
/* setWatches, setWatches2, addWatch, checkWatches, removeWatches
 * (spec/client-protocol.md section 7; DataTree.setWatches, .addWatch, .containsWatcher). */
#include "core/server/srv_int.h"

enum { ADD_PERSISTENT = 0, ADD_RECURSIVE = 1 };
enum { TYPE_CHILDREN = 1, TYPE_DATA = 2, TYPE_ANY = 3, TYPE_PERSISTENT = 4, TYPE_RECURSIVE = 5 };

void read_add_watch(struct srv_conn *c, struct read_req *q)
{
	struct zk_span path = jute_bytes(&q->in);
	int32_t mode = jute_i32(&q->in);

	if (q->in.bad || !path.p || (mode != ADD_PERSISTENT && mode != ADD_RECURSIVE)) {
		read_error(c, q->xid, q->op, ZK_MARSHALLINGERROR);
		return;
	}
	if (!read_watch_set(c, path, mode == ADD_RECURSIVE ? WATCH_RECURSIVE : WATCH_PERSISTENT))
		return;
	/* an ErrorResponse record: int 0 */
	reply_send(c, q->xid, c->s->visible, ZK_EOK, zk_span_of("\0\0\0\0", 4));
	conn_answered(c, q->xid, q->op, c->s->visible, ZK_REPLY_HEADER_BYTES + 4);
}

void read_check_watches(struct srv_conn *c, struct read_req *q)
{
	static const unsigned checked[] = {[TYPE_CHILDREN] = WATCH_CHILD,
					   [TYPE_DATA] = WATCH_DATA,
					   [TYPE_ANY] = WATCH_ANY,
					   [TYPE_PERSISTENT] = WATCH_DATA_PERSISTENT,
					   [TYPE_RECURSIVE] = WATCH_RECURSIVE};
	static const unsigned removed[] = {[TYPE_CHILDREN] = WATCH_CHILD,
					   [TYPE_DATA] = WATCH_DATA,
					   [TYPE_ANY] = WATCH_ANY,
					   [TYPE_PERSISTENT] = WATCH_PERSISTENT,
					   [TYPE_RECURSIVE] = WATCH_RECURSIVE};
	struct zk_span path = jute_bytes(&q->in);
	int32_t type = jute_i32(&q->in);
	unsigned had;

	if (q->in.bad || !path.p || type < TYPE_CHILDREN || type > TYPE_RECURSIVE) {
		read_error(c, q->xid, q->op, ZK_MARSHALLINGERROR);
		return;
	}
	if (q->op == ZK_OP_CHECK_WATCHES)
		had = watch_get(c->s->watch, path, c->index) & checked[type];
	else
		had = watch_clear(c->s->watch, path, c->index, removed[type]);
	read_error(c, q->xid, q->op, had ? ZK_EOK : ZK_NOWATCHER);
}

enum list { LIST_DATA, LIST_EXIST, LIST_CHILD, LIST_PERSISTENT, LIST_RECURSIVE, LISTS };

/** What one path of a list asks for: an event at once, or a watch. */
static void catch_up(struct srv_conn *c, enum list list, struct zk_span path, int64_t since)
{
	static const unsigned bits[LISTS] = {WATCH_DATA, WATCH_DATA, WATCH_CHILD, WATCH_PERSISTENT,
					     WATCH_RECURSIVE};
	struct srv *s = c->s;
	struct tree_raw raw = {0};
	struct tree_ref ref;
	int event = 0;

	if (list <= LIST_CHILD) {
		bool found = tree_find(s->tree, path, s->visible, &ref);

		if (found)
			tree_raw(ref, &raw);
		if (list == LIST_EXIST)
			event = found ? ZK_EV_CREATED : 0;
		else if (!found)
			event = ZK_EV_DELETED;
		else if (list == LIST_DATA && (int64_t)raw.mzxid > since)
			event = ZK_EV_DATA;
		else if (list == LIST_CHILD && (int64_t)raw.pzxid > since)
			event = ZK_EV_CHILDREN;
	}
	if (event)
		event_send(c, UINT64_MAX, (enum zk_event)event, path);
	else
		(void)read_watch_set(c, path, bits[list]);
}

/** Read one request's lists; @p act: do what they say, else only hold them to the format. */
static bool walk_lists(struct srv_conn *c, const struct read_req *q, bool act)
{
	struct jute_in in = q->in;
	int64_t since = jute_i64(&in);
	int lists = q->op == ZK_OP_SET_WATCHES2 ? LISTS : LIST_CHILD + 1;

	for (int l = 0; l < lists; l++) {
		bool null;
		int32_t n = jute_count(&in, &null);

		if (null)
			return false;
		for (int32_t i = 0; i < n && !in.bad; i++) { /* bound: the frame */
			struct zk_span path = jute_bytes(&in);

			if (in.bad || !path.p)
				return false;
			if (act && !c->doomed)
				catch_up(c, (enum list)l, path, since);
		}
	}
	return !in.bad;
}

void read_set_watches(struct srv_conn *c, struct read_req *q)
{
	if (!walk_lists(c, q, false)) {
		read_error(c, q->xid, q->op, ZK_MARSHALLINGERROR);
		return;
	}
	(void)walk_lists(c, q, true);
	if (!c->doomed)
		read_error(c, q->xid, q->op, ZK_EOK);
}
