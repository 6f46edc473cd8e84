/* SPDX-License-Identifier: Apache-2.0 */
#include "dp/loop/lead.h"

#include "core/server/leader_snap.h"

#include <string.h>
#include <time.h>

struct lead {
	struct lead_conf conf;
	struct leader *leader;
	struct logstage *log; /* conf.log */
	struct tree *tree;
	struct tree_garbage *freeing; /* back from the reclaimer, partly freed */
	struct tree_garbage *handing; /* taken from the tree, not yet in the ring */
	uint64_t garbage_ns;          /* when the last batch was taken */
	uint64_t now_ns;              /* of the round */
	unsigned under_way;           /* batches handed over and not yet back */
	uint64_t applied;             /* leader_applied_zxid() when last looked at */
	uint64_t spread, spread_ns;   /* ... when every core was last told, and when that was */
	uint64_t reply_put[LEADER_CORES_MAX];
	unsigned first; /* ring that is read first, in turn */
	uint32_t wake;  /* cores whose ring we have read or written in this round */
	uint32_t nudge; /* cores that have change records to consume */
	bool blocked;   /* a record was put back */
	bool told;      /* the main thread knows that the state must be replaced */
	struct lead_stats stats;
};

static void count(_Atomic uint64_t *v, uint64_t n)
{
	/* single writer */
	atomic_store_explicit(v, atomic_load_explicit(v, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/* Time of day, asked for at most once per round and only by rounds that need it; no system call
 * (vdso). */
static int64_t wall_ms(int64_t *cached)
{
	struct timespec ts;

	if (*cached == 0) {
		clock_gettime(CLOCK_REALTIME, &ts);
		*cached = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
	}
	return *cached;
}

static unsigned read_ring(struct lead *l, unsigned core, uint64_t now_ns, int64_t *wall)
{
	struct zk_ring *r = l->conf.from_core[core];
	unsigned done = 0;
	const void *rec;
	size_t n;

	while (done < LEAD_BATCH && (rec = zk_ring_next(r, &n)) != NULL) {
		enum zk_err err = leader_message(l->leader, rec, n, now_ns, wall_ms(wall));

		if (err == ZK_EAGAIN) {
			zk_ring_unget(r, rec);
			l->blocked = true;
			count(&l->stats.again, 1);
			break;
		}
		if (err != ZK_EOK)
			count(&l->stats.malformed, 1);
		done++;
	}
	if (done) {
		zk_ring_release(r);
		l->wake |= 1u << core; /* its parser may have stopped at a full ring */
	}
	return done;
}

static unsigned read_rings(struct lead *l, uint64_t now_ns, int64_t *wall)
{
	unsigned cores = l->conf.leader.cores, done = 0;

	zk_assert(cores >= 1);
	l->blocked = false;
	for (unsigned i = 0; i < cores; i++)
		done += read_ring(l, (l->first + i) % cores, now_ns, wall);
	l->first = (l->first + 1) % cores;
	if (done)
		count(&l->stats.messages, done);
	return done;
}

static void publish(struct lead *l)
{
	uint32_t everybody = (uint32_t)((UINT64_C(1) << l->conf.leader.cores) - 1);
	uint64_t applied = leader_applied_zxid(l->leader);

	for (unsigned i = 0; i < l->conf.leader.cores; i++) {
		struct zk_ring *r = l->conf.leader.to_core[i];

		if (r->put == l->reply_put[i])
			continue;
		zk_ring_publish(r);
		l->reply_put[i] = r->put;
		l->wake |= 1u << i;
	}
	if (applied != l->applied)
		l->nudge = everybody;
	l->applied = applied;
	if (applied != l->spread &&
	    (l->now_ns >= l->spread_ns + LEAD_SPREAD_NS || tree_changes_full(l->tree))) {
		l->wake = everybody;
		l->spread = applied;
		l->spread_ns = l->now_ns;
	}
}

static void wake_others(struct lead *l)
{
	for (l->nudge &= ~l->wake; l->nudge; l->nudge &= l->nudge - 1)
		waker_nudge(l->conf.waker[__builtin_ctz(l->nudge)]);
	for (; l->wake; l->wake &= l->wake - 1)
		waker_kick(l->conf.waker[__builtin_ctz(l->wake)]);
}

static uint64_t garbage_due_ns(const struct lead *l)
{
	return l->garbage_ns + (l->blocked ? LEAD_GARBAGE_BLOCKED_NS : LEAD_GARBAGE_EVERY_NS);
}

static unsigned reclaim(struct lead *l, uint64_t now_ns)
{
	struct lead_garbage *g = l->conf.garbage;
	unsigned work = tree_collect(l->tree, LEAD_COLLECT);

	if (!l->handing && now_ns >= garbage_due_ns(l)) {
		l->handing = tree_garbage_take(l->tree);
		if (l->handing)
			l->garbage_ns = now_ns;
	}
	if (l->handing) {
		if (l->under_way < LEAD_GARBAGE_SLOTS && pring_push(&g->to, l->handing)) {
			l->under_way++;
			l->handing = NULL;
			count(&l->stats.garbage_batches, 1);
			waker_kick(&g->waker);
		} else {
			count(&l->stats.garbage_full, 1);
		}
	}
	if (!l->freeing) {
		l->freeing = pring_pop(&g->back);
		l->under_way -= l->freeing ? 1 : 0;
	}
	if (l->freeing) {
		work++;
		if (tree_garbage_free(l->tree, l->freeing, LEAD_FREE))
			l->freeing = NULL;
	}
	return work;
}

static unsigned snapshot(struct lead *l, uint64_t now_ns)
{
	bool kick = false;
	unsigned work = leader_snap_step(l->leader, now_ns, &kick);

	if (kick)
		waker_kick(l->conf.snap_waker);
	return work;
}

/* Everything up to here may be applied. */
static uint64_t limit(const struct lead *l)
{
	return l->conf.quorum ? quorum_limit(l->conf.quorum) : logstage_durable(l->log);
}

static void ask_for_rebuild(struct lead *l)
{
	if (l->told || !l->conf.quorum || !quorum_rebuild_wanted(l->conf.quorum))
		return;
	l->told = true;
	waker_kick(l->conf.main_waker);
}

/* Nobody waits for the log of an observer: it is written seldom, in large pieces. */
static void end_log_batch(struct lead *l, uint64_t now_ns)
{
	const struct quorum *q = l->conf.quorum;

	if (!(q && quorum_observes(q) && logstage_lingers(l->log, l->conf.linger_ns, now_ns)))
		logstage_end(l->log);
}

unsigned lead_poll(void *ctx, uint64_t now_ns)
{
	struct lead *l = ctx;
	int64_t wall = 0;
	unsigned work, applied;

	l->now_ns = now_ns;
	leader_refuse(l->leader, logstage_health(l->log) != LOGSTAGE_GOOD);
	work = read_rings(l, now_ns, &wall);
	if (now_ns >= leader_next_ns(l->leader))
		work += leader_tick(l->leader, now_ns, wall_ms(&wall));
	end_log_batch(l, now_ns);
	applied = leader_durable(l->leader, limit(l), LEAD_APPLY, now_ns);
	if (applied)
		count(&l->stats.applied, applied);
	publish(l);
	wake_others(l);
	ask_for_rebuild(l);
	work += applied + snapshot(l, now_ns) + reclaim(l, now_ns);
	count(&l->stats.rounds, 1);
	if (work)
		count(&l->stats.busy_rounds, 1);
	return work;
}

void lead_late(void *ctx, uint64_t late_ns, uint64_t now_ns)
{
	struct lead *l = ctx;

	leader_late(l->leader, late_ns, now_ns);
}

uint64_t lead_next_ns(void *ctx)
{
	struct lead *l = ctx;
	uint64_t next = leader_next_ns(l->leader);

	if (l->spread != l->applied && l->spread_ns + LEAD_SPREAD_NS < next)
		next = l->spread_ns + LEAD_SPREAD_NS;
	next = l->log->due_ns < next ? l->log->due_ns : next;
	if (l->blocked || l->freeing || leader_snap_urgent(l->leader) ||
	    leader_applied_zxid(l->leader) < limit(l))
		return 0;
	/* What the readers have not passed yet, nobody tells us of. */
	if (tree_reclaims(l->tree) && l->under_way == 0) {
		uint64_t at = garbage_due_ns(l);

		at = at > l->now_ns ? at : l->now_ns + LEAD_GARBAGE_EVERY_NS;
		next = at < next ? at : next;
	}
	return next;
}

enum zk_err lead_new(const struct lead_conf *conf, uint64_t now_ns, struct lead **out)
{
	struct zk_mem *mem = conf->leader.mem;
	struct lead *l = zk_mem_alloc(mem, sizeof(*l));
	enum zk_err err;

	if (!l)
		return ZK_ENOMEM;
	memset(l, 0, sizeof(*l));
	l->conf = *conf;
	l->tree = conf->leader.tree;
	l->log = conf->log;
	l->conf.leader.log = (struct leader_log){
		.ctx = l->log, .append = logstage_append, .roll = logstage_roll};
	err = leader_new(&l->conf.leader, now_ns, &l->leader);
	if (err != ZK_EOK) {
		zk_mem_free(mem, l, sizeof(*l));
		return err;
	}
	*out = l;
	return ZK_EOK;
}

static void free_batch(struct lead *l, struct tree_garbage *g)
{
	while (g && !tree_garbage_free(l->tree, g, LEAD_FREE))
		;
}

void lead_free(struct lead *l)
{
	if (!l)
		return;
	/* No reader is left, so what has not come back may be freed all the same. */
	free_batch(l, l->freeing);
	free_batch(l, l->handing);
	for (void *g; (g = pring_pop(&l->conf.garbage->back)) != NULL;)
		free_batch(l, g);
	for (void *g; (g = pring_pop(&l->conf.garbage->to)) != NULL;)
		free_batch(l, g);
	leader_free(l->leader);
	zk_mem_free(l->conf.leader.mem, l, sizeof(*l));
}

struct leader *lead_leader(const struct lead *l)
{
	return l->leader;
}

void lead_metrics(struct lead *l, struct metrics *m)
{
	leader_metrics(l->leader, m);
}

const struct lead_stats *lead_stats_of(const struct lead *l)
{
	return &l->stats;
}
