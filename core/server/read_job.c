/* SPDX-License-Identifier: Apache-2.0 */
/* The line of requests that take several rounds: read_job.h. */
#include "core/server/read_job.h"

/** Keep the request's bytes: a frame that was collected changes hands, one in place is copied. */
static bool frame_take(struct srv_conn *c, const struct read_req *q, struct srv_job *j)
{
	size_t n = jute_left(&q->in);

	if (c->in.n) {
		j->frame = c->in;
		j->in = q->in;
		c->in = (struct conn_in){0};
		return true;
	}
	j->frame =
		(struct conn_in){zk_mem_alloc(c->s->conf.mem, n + 1), (uint32_t)n, (uint32_t)n + 1};
	if (!j->frame.p)
		return false;
	memcpy(j->frame.p, q->in.p, n);
	j->in = jute_in_of(zk_span_of(j->frame.p, n));
	return true;
}

struct srv_job *job_new(struct srv_conn *c, const struct read_req *q, const struct job_kind *kind,
			int pin)
{
	struct srv *s = c->s;
	struct srv_job *j = zk_mem_alloc(s->conf.mem, sizeof(*j));

	zk_assert(!c->job);
	if (!j)
		return NULL;
	*j = (struct srv_job){.c = c,
			      .kind = kind,
			      .pin = pin,
			      .xid = q->xid,
			      .op = q->op,
			      .zxid = s->visible,
			      .since_ns = s->now_ns,
			      .reply = {.s = s},
			      .later = {.s = s}};
	if (!frame_take(c, q, j)) {
		zk_mem_free(s->conf.mem, j, sizeof(*j));
		return NULL;
	}
	zk_assert(pin < 0 || tree_pin_zxid(s->reader, pin) == j->zxid);
	zk_list_add_tail(&s->jobs, &j->link);
	c->job = j;
	c->deferring = kind->defers;
	s->n.lists_paused++;
	return j;
}

void read_job_drop(struct srv_conn *c)
{
	struct srv_job *j = c->job;

	if (!j)
		return;
	c->job = NULL;
	c->deferring = false;
	zk_list_del(&j->link);
	if (j->pin >= 0)
		tree_pin_drop(c->s->reader, j->pin);
	build_free(&j->reply);
	build_free(&j->later);
	if (j->op == ZK_OP_GET_ALL_CHILDREN_NUMBER)
		count_end(&j->u.count);
	zk_mem_free(c->s->conf.mem, j->frame.p, j->frame.cap);
	zk_mem_free(c->s->conf.mem, j, sizeof(*j));
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

void read_job_resume(struct srv_conn *c)
{
	struct srv_job *j = c->job;

	zk_list_del(&j->link);
	zk_list_add_tail(&c->s->jobs, &j->link);
}

/** One step. The connection's job is over when c->job is NULL afterwards. */
static void job_step(struct srv_job *j)
{
	struct srv_conn *c = j->c;
	struct srv *s = c->s;
	bool late = j->kind->max_ns && s->now_ns - j->since_ns > j->kind->max_ns;

	zk_list_del(&j->link);
	if (c->out.n && j->kind->waits && !(j->pin >= 0 && s->now_ns - j->since_ns > SRV_LIST_NS)) {
		zk_list_add_tail(&s->jobs_wait, &j->link);
		return;
	}
	zk_list_add_tail(&s->jobs, &j->link);
	switch (j->kind->turn(j)) {
	case JOB_FAILED:
		s->n.memory_refused++;
		conn_doom(c);
		return;
	case JOB_MORE:
		if (late)
			conn_doom(c);
		return;
	case JOB_DONE:
		if (j->later.n && !c->doomed)
			out_put(c, j->later.p, j->later.n);
		read_job_drop(c);
		conn_schedule(c);
	}
}

/** Those that wait for their output hold a pin all the same: look at them now and then. */
static void look_at_waiting(struct srv *s)
{
	if (zk_likely(zk_list_empty(&s->jobs_wait)) || s->now_ns < s->jobs_look_ns)
		return;
	s->jobs_look_ns = s->now_ns + SRV_SWEEP_NS;
	while (!zk_list_empty(&s->jobs_wait)) /* bound: connections */
		read_job_resume(zk_container_of(s->jobs_wait.next, struct srv_job, link)->c);
}

unsigned read_jobs(struct srv *s)
{
	unsigned work = 0;

	look_at_waiting(s);
	/* The line turns, so that the first ones do not starve the others. */
	for (; work < SRV_JOBS_ROUND && !zk_list_empty(&s->jobs); work++) {
		struct srv_job *j = zk_container_of(s->jobs.next, struct srv_job, link);

		if (j->c->doomed)
			break; /* reaped first */
		job_step(j);
	}
	return work;
}
