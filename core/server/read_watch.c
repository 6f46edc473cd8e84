/* SPDX-License-Identifier: Apache-2.0 */
/* setWatches, setWatches2, addWatch, checkWatches, removeWatches
 * (spec/client-protocol.md section 7; DataTree.setWatches, .addWatch, .containsWatcher). */
#include "core/server/read_job.h"

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

enum { COST_LOOK = 1, COST_ACT = 8 };

/** Read one request's lists, twice: first they are only held to the format. Nobody else's business
 * is kept out meanwhile: a path that is looked at after a transaction hears of it at once, one that
 * was looked at before has its watch by then. @return false: the budget is used up, or the
 * connection has output to send first. */
static bool watches_some(struct srv_conn *c, struct job_watches *w, const struct jute_in *start,
			 int32_t op, int budget)
{
	int lists = op == ZK_OP_SET_WATCHES2 ? LISTS : LIST_CHILD + 1;

	while (!w->bad && !c->doomed) {
		struct zk_span path;
		bool null = false;

		if (budget <= 0 || c->out.n)
			return false;
		if (w->list < 0) {
			w->in = *start;
			w->since = jute_i64(&w->in);
		}
		if (w->left <= 0) {
			if (++w->list == lists && (w->act || w->in.bad))
				break;
			if (w->list == lists) {
				w->list = -1;
				w->act = true;
				continue;
			}
			w->left = jute_count(&w->in, &null);
			w->bad = null || w->in.bad;
			continue;
		}
		path = jute_bytes(&w->in);
		w->bad = w->in.bad || !path.p;
		w->left--;
		budget -= w->act ? COST_ACT : COST_LOOK;
		if (w->act)
			catch_up(c, (enum list)w->list, path, w->since);
	}
	w->bad |= w->in.bad;
	return true;
}

static void watches_end(struct srv_conn *c, const struct job_watches *w, int32_t xid, int32_t op)
{
	if (!c->doomed)
		read_error(c, xid, op, w->bad ? ZK_MARSHALLINGERROR : ZK_EOK);
}

static enum job_turn watches_turn(struct srv_job *j)
{
	struct srv_conn *c = j->c;

	if (c->s->midway) /* see srv_fire.c */
		return JOB_MORE;
	fire_settle(c);
	if (!watches_some(c, &j->u.watches, &j->in, j->op, SRV_JOB_STEP * COST_ACT))
		return JOB_MORE;
	watches_end(c, &j->u.watches, j->xid, j->op);
	return JOB_DONE;
}

static const struct job_kind watches_kind = {watches_turn, 0, false, true};

void read_set_watches(struct srv_conn *c, struct read_req *q)
{
	struct job_watches w = {.list = -1};
	struct srv_job *j;

	if (watches_some(c, &w, &q->in, q->op, SRV_JOB_STEP * COST_ACT)) {
		watches_end(c, &w, q->xid, q->op);
		return;
	}
	j = job_new(c, q, &watches_kind, -1);
	if (!j) {
		c->s->n.memory_refused++;
		conn_doom(c);
		return;
	}
	w.in.p = job_moved(j, q, w.in.p);
	w.in.end = j->in.end;
	j->u.watches = w;
}
