/* SPDX-License-Identifier: Apache-2.0 */
/* getChildren, getChildren2, getAllChildrenNumber. What is long is made over several rounds: a pin
 * keeps the state it began with, the connection reads nothing meanwhile, and its watch events wait
 * behind the reply, so that zxids do not go back. */
#include "core/server/read_count.h"

enum { DEAD_SLOTS_STEP = 4096 };

struct srv_list_job {
	struct zk_list link; /* s->jobs */
	struct srv_conn *c;
	int pin;
	int32_t xid, op;
	uint64_t zxid, cursor, since_ns;
	int32_t names;
	struct read_build reply;
	struct read_build later;  /* events that came meanwhile */
	struct read_count *count; /* getAllChildrenNumber; NULL: a list of `path` */
	size_t path_n;
	uint8_t path[];
};

enum { COUNT_AT = 4 + ZK_REPLY_HEADER_BYTES };

/** Add up to @p budget names. @return true: the list is complete. */
static bool list_some(struct read_build *b, struct tree_ref parent, uint64_t zxid, uint64_t *cursor,
		      int32_t *names, unsigned budget)
{
	const struct tree_node *node;

	for (unsigned i = 0; i < budget; i++) {
		if (!tree_child_next(parent, zxid, cursor, DEAD_SLOTS_STEP, &node))
			return true;
		if (!node)
			continue;
		build_bytes(b, tree_name(node));
		(*names)++;
	}
	return false;
}

static void list_end(struct srv_conn *c, struct read_build *b, struct tree_ref ref, int32_t xid,
		     int32_t op, uint64_t zxid, int32_t names)
{
	if (!b->failed)
		zk_put32(b->p + COUNT_AT, (uint32_t)names);
	if (op == ZK_OP_GET_CHILDREN2)
		build_stat(b, ref);
	build_send(c, b, xid, op, zxid, ZK_EOK);
}

/** Put a listing that has begun aside. @return false: no pin or no memory, finish it now. */
static bool job_new(struct srv_conn *c, const struct read_req *q, struct zk_span path,
		    struct read_build *b, uint64_t cursor, int32_t names)
{
	struct srv *s = c->s;
	size_t bytes = sizeof(struct srv_list_job) + path.n;
	struct srv_list_job *j = zk_mem_alloc(s->conf.mem, bytes);

	if (!j)
		return false;
	*j = (struct srv_list_job){.c = c,
				   .xid = q->xid,
				   .op = q->op,
				   .zxid = s->visible,
				   .cursor = cursor,
				   .since_ns = s->now_ns,
				   .names = names,
				   .path_n = path.n};
	j->pin = build_own(b) ? tree_pin_take(s->reader, s->visible) : -1;
	if (j->pin < 0) {
		zk_mem_free(s->conf.mem, j, bytes);
		return false;
	}
	zk_assert(tree_pin_zxid(s->reader, j->pin) == j->zxid);
	if (path.n)
		memcpy(j->path, path.p, path.n);
	j->reply = *b;
	j->later = (struct read_build){.s = s};
	zk_list_add_tail(&s->jobs, &j->link);
	c->job = j;
	s->n.lists_paused++;
	return true;
}

void read_job_drop(struct srv_conn *c)
{
	struct srv_list_job *j = c->job;

	if (!j)
		return;
	c->job = NULL;
	zk_list_del(&j->link);
	tree_pin_drop(c->s->reader, j->pin);
	build_free(&j->reply);
	build_free(&j->later);
	if (j->count) {
		count_end(j->count);
		zk_mem_free(c->s->conf.mem, j->count, sizeof(*j->count));
	}
	zk_mem_free(c->s->conf.mem, j, sizeof(*j) + j->path_n);
}

void read_job_defer(struct srv_conn *c, const void *p, size_t n)
{
	struct read_build *b = &c->job->later;
	uint8_t *to = n ? build_room(b, n) : NULL;

	if (to)
		memcpy(to, p, n);
	if (b->failed)
		c->s->n.memory_refused++;
	else if (b->n > c->s->conf.out_spill_bytes_max)
		c->s->n.conns_overrun++;
	else
		return;
	conn_doom(c);
}

/** The whole answer to getAllChildrenNumber. */
static void count_reply(struct srv_conn *c, int32_t xid, uint64_t zxid, int32_t n)
{
	struct read_build b;

	build_start(&b, c->s);
	build_i32(&b, n);
	build_send(c, &b, xid, ZK_OP_GET_ALL_CHILDREN_NUMBER, zxid, ZK_EOK);
}

/** One turn. @return true: the reply is out. */
static bool job_turn(struct srv_conn *c, unsigned budget)
{
	struct srv_list_job *j = c->job;
	struct tree_ref ref;

	if (j->count) {
		if (!count_some(j->count, j->zxid, budget))
			return false;
		count_reply(c, j->xid, j->zxid, j->count->n);
		return true;
	}
	/* the pin keeps it there */
	zk_assert(tree_find(c->s->tree, zk_span_of(j->path, j->path_n), j->zxid, &ref));
	if (!list_some(&j->reply, ref, j->zxid, &j->cursor, &j->names, budget))
		return false;
	list_end(c, &j->reply, ref, j->xid, j->op, j->zxid, j->names);
	return true;
}

/** One step. The connection's job is over when c->job is NULL afterwards. */
static void job_step(struct srv_conn *c, unsigned budget)
{
	struct srv *s = c->s;
	struct srv_list_job *j = c->job;
	uint64_t max_ns = j->count ? SRV_COUNT_NS : SRV_LIST_NS;

	if (!job_turn(c, budget)) {
		bool failed = j->reply.failed || (j->count && j->count->failed);

		if (failed || s->now_ns - j->since_ns > max_ns) {
			s->n.memory_refused += failed;
			conn_doom(c);
		}
		return;
	}
	if (j->later.n && !c->doomed)
		out_put(c, j->later.p, j->later.n);
	read_job_drop(c);
	conn_schedule(c);
}

unsigned read_jobs(struct srv *s)
{
	struct zk_list *at = s->jobs.next;
	unsigned work = 0;

	/* every job gets its share of one round's names */
	while (at != &s->jobs && work < SRV_LIST_INLINE / SRV_LIST_STEP) {
		struct srv_list_job *j = zk_container_of(at, struct srv_list_job, link);

		at = at->next;
		if (!j->c->doomed)
			job_step(j->c, SRV_LIST_STEP);
		work++;
	}
	/* turn the line, so that the first ones do not starve the others */
	for (unsigned i = 0; i < work && s->jobs.next != at && !zk_list_empty(&s->jobs); i++) {
		struct zk_list *first = s->jobs.next;

		zk_list_del(first);
		zk_list_add_tail(&s->jobs, first);
	}
	return work;
}

void read_children(struct srv_conn *c, struct read_req *q)
{
	struct srv *s = c->s;
	struct zk_span path = jute_bytes(&q->in);
	bool watch = jute_bool(&q->in);
	struct tree_ref ref;
	struct read_build b;
	uint64_t cursor = 0;
	int32_t names = 0;

	if (q->in.bad || !path.p) {
		read_error(c, q->xid, q->op, ZK_MARSHALLINGERROR);
		return;
	}
	if (!read_find(c, q, path, &ref)) {
		read_error(c, q->xid, q->op, ZK_NONODE);
		return;
	}
	if (!read_allowed(c, tree_acl(ref), ZK_PERM_READ)) {
		read_error(c, q->xid, q->op, ZK_NOAUTH);
		return;
	}
	if (watch && !read_watch_set(c, path, WATCH_CHILD))
		return;
	build_start(&b, s);
	build_i32(&b, 0);
	if (!list_some(&b, ref, s->visible, &cursor, &names, SRV_LIST_INLINE)) {
		if (!b.failed && job_new(c, q, path, &b, cursor, names))
			return;
		/* no pin to be had: one long turn instead; bound: the children */
		while (!b.failed &&
		       !list_some(&b, ref, s->visible, &cursor, &names, SRV_LIST_INLINE))
			;
	}
	list_end(c, &b, ref, q->xid, q->op, s->visible, names);
}

/** Go on counting in later rounds, under @p pin, which is dropped with the job. @return false: no
 * memory. */
static bool count_later(struct srv_conn *c, const struct read_req *q, const struct read_count *k,
			int pin)
{
	struct srv *s = c->s;
	struct srv_list_job *j = zk_mem_alloc(s->conf.mem, sizeof(*j));
	struct read_count *kept = zk_mem_alloc(s->conf.mem, sizeof(*kept));

	if (!j || !kept) {
		zk_mem_free(s->conf.mem, j, sizeof(*j));
		zk_mem_free(s->conf.mem, kept, sizeof(*kept));
		return false;
	}
	*kept = *k;
	*j = (struct srv_list_job){.c = c,
				   .pin = pin,
				   .xid = q->xid,
				   .op = q->op,
				   .zxid = s->visible,
				   .since_ns = s->now_ns,
				   .reply = {.s = s},
				   .later = {.s = s},
				   .count = kept};
	zk_list_add_tail(&s->jobs, &j->link);
	c->job = j;
	s->n.lists_paused++;
	return true;
}

enum conn_take read_all_children_number(struct srv_conn *c, struct read_req *q)
{
	struct srv *s = c->s;
	struct zk_span path = jute_bytes(&q->in);
	struct read_count k;
	struct tree_ref ref;
	bool done;
	int pin;

	if (q->in.bad || !path.p) {
		read_error(c, q->xid, q->op, ZK_MARSHALLINGERROR);
		return CONN_TAKEN;
	}
	if (!read_find(c, q, path, &ref)) {
		read_error(c, q->xid, q->op, ZK_NONODE);
		return CONN_TAKEN;
	}
	if (!read_allowed(c, tree_acl(ref), ZK_PERM_READ)) {
		read_error(c, q->xid, q->op, ZK_NOAUTH);
		return CONN_TAKEN;
	}
	pin = tree_pin_take(s->reader, s->visible);
	if (pin < 0) /* the long answers of others have them all: after one of them */
		return CONN_STOP;
	done = count_start(&k, s, path) && count_some(&k, s->visible, SRV_LIST_INLINE);
	if (!done && !k.failed && count_later(c, q, &k, pin))
		return CONN_TAKEN;
	tree_pin_drop(s->reader, pin);
	if (done) {
		count_reply(c, q->xid, s->visible, k.n);
	} else {
		s->n.memory_refused++;
		conn_doom(c);
	}
	count_end(&k);
	return CONN_TAKEN;
}
