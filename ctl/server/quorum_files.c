/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/quorum_files.h"

#include "core/store/epoch.h"
#include "ctl/server/log.h"
#include "ctl/server/quorum_reading.h"

#include <poll.h>
#include <stdlib.h>
#include <time.h>

enum { RETRY_MS = 1000, GROW_MS = 20, NS_PER_MS = 1000000 };

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void count(_Atomic uint64_t *c, uint64_t n)
{
	atomic_fetch_add_explicit(c, n, memory_order_relaxed); /* one writer */
}

/* ---- the leader core's side ------------------------------------------------------------------ */

static void epoch_ask(void *ctx, enum zab_file file, uint64_t epoch)
{
	struct quorum_files *f = ctx;
	struct quorum_epoch *e = &f->epoch[file];

	atomic_store_explicit(&e->value, epoch, memory_order_relaxed);
	/* partner: acquire in write_epochs() */
	atomic_fetch_add_explicit(&e->asked, 1, memory_order_release);
	waker_kick(&f->waker);
}

/* The first piece has been taken. */
static void drop_chunk(struct quorum_files *f, struct quorum_feed *l)
{
	uint32_t head = atomic_load_explicit(&l->head, memory_order_relaxed);

	l->at = 0;
	/* partner: acquire in feed_reclaim() */
	atomic_store_explicit(&l->head, head + 1, memory_order_release);
	waker_kick(&f->waker);
}

/* The first piece of the request that counts; NULL: there is none. Older ones are passed over. */
static struct quorum_chunk *first_chunk(struct quorum_files *f, struct quorum_feed *l)
{
	/* partner: release in feed_publish() */
	uint32_t tail = atomic_load_explicit(&l->tail, memory_order_acquire);

	for (;;) {
		uint32_t head = atomic_load_explicit(&l->head, memory_order_relaxed);
		struct quorum_chunk *c;

		if (head == tail)
			return NULL;
		c = l->slot[head % QUORUM_FILES_SLOTS];
		if (c->request == l->mine)
			return c;
		drop_chunk(f, l);
	}
}

static void ask(struct quorum_files *f, uint32_t link, uint64_t from, uint64_t bound)
{
	struct quorum_feed *l = &f->feed[link];

	zk_assert(link < ZAB_LINKS_MAX);
	atomic_store_explicit(&l->from, from, memory_order_relaxed);
	atomic_store_explicit(&l->bound, bound, memory_order_relaxed);
	l->mine++;
	l->ended = ZK_EOK;
	l->at = 0;
	(void)first_chunk(f, l);
	/* Partner: acquire in feed_look(). What the thread makes of a mixture of two requests is
	 * the older one's, and passed over. */
	atomic_store_explicit(&l->asked, l->mine, memory_order_release);
	waker_kick(&f->waker);
}

static void feed_begin(void *ctx, uint32_t link, uint64_t from, uint64_t bound)
{
	ask(ctx, link, from, bound ? bound : 1);
}

static void feed_cancel(void *ctx, uint32_t link)
{
	ask(ctx, link, 0, 0);
}

static enum zk_err feed_next(void *ctx, uint32_t link, uint64_t *zxid, struct zk_span *txn)
{
	struct quorum_files *f = ctx;
	struct quorum_feed *l = &f->feed[link];
	struct quorum_chunk *c;
	struct quorum_txn_head head;

	if (l->ended != ZK_EOK)
		return l->ended;
	while ((c = first_chunk(f, l)) != NULL) {
		if (l->at < c->n) {
			memcpy(&head, c->bytes + l->at, sizeof(head));
			*zxid = head.zxid;
			*txn = zk_span_of(c->bytes + l->at + sizeof(head), (size_t)head.n);
			return ZK_EOK;
		}
		l->ended = c->end;
		drop_chunk(f, l);
		if (l->ended != ZK_EOK)
			return l->ended;
	}
	return ZK_EAGAIN;
}

static void feed_pop(void *ctx, uint32_t link)
{
	struct quorum_files *f = ctx;
	struct quorum_feed *l = &f->feed[link];
	struct quorum_chunk *c = first_chunk(f, l);
	struct quorum_txn_head head;

	zk_assert(c && l->at < c->n);
	memcpy(&head, c->bytes + l->at, sizeof(head));
	l->at += quorum_txn_bytes((size_t)head.n);
}

struct quorum_disk quorum_files_disk(struct quorum_files *f)
{
	return (struct quorum_disk){.ctx = f,
				    .epoch_write = epoch_ask,
				    .feed_begin = feed_begin,
				    .feed_cancel = feed_cancel,
				    .feed_next = feed_next,
				    .feed_pop = feed_pop};
}

/* ---- whom to tell ---------------------------------------------------------------------------- */

void quorum_files_tell(struct quorum_files *f, void (*written)(void *ctx, enum zab_file file),
		       void *ctx)
{
	(void)pthread_mutex_lock(&f->lock);
	f->written = written;
	f->ctx = ctx;
	(void)pthread_mutex_unlock(&f->lock);
}

void quorum_files_wake(struct quorum_files *f, struct waker *leader)
{
	(void)pthread_mutex_lock(&f->lock);
	f->leader = leader;
	(void)pthread_mutex_unlock(&f->lock);
}

static void kick_leader(struct quorum_files *f)
{
	(void)pthread_mutex_lock(&f->lock);
	if (f->leader)
		waker_kick(f->leader);
	(void)pthread_mutex_unlock(&f->lock);
}

static void tell_written(struct quorum_files *f, enum zab_file file)
{
	(void)pthread_mutex_lock(&f->lock);
	if (f->written)
		f->written(f->ctx, file);
	(void)pthread_mutex_unlock(&f->lock);
}

/* ---- epoch files ----------------------------------------------------------------------------- */

/* @return whether one was written. */
static bool write_epoch(struct quorum_files *f, enum zab_file file)
{
	static const enum epoch_file to[] = {
		[ZAB_ACCEPTED_EPOCH] = EPOCH_ACCEPTED, [ZAB_CURRENT_EPOCH] = EPOCH_CURRENT};
	struct quorum_epoch *e = &f->epoch[file];
	/* partner: release in epoch_ask() */
	uint32_t asked = atomic_load_explicit(&e->asked, memory_order_acquire);
	uint64_t value = atomic_load_explicit(&e->value, memory_order_relaxed);
	char why[EPOCH_WHY_MAX];
	enum zk_err err;

	if (asked == e->done || (e->failed && now_ns() < e->retry_ns))
		return false;
	err = epoch_write(&f->view.disk, to[file], (int64_t)value, why);
	if (err != ZK_EOK) {
		if (!e->failed)
			log_line(LOG_ERROR,
				 "epoch=failed value=%llu reason=\"%s\" "
				 "effect=\"no election ends here; tried again every second\"",
				 (unsigned long long)value, why);
		count(&f->epoch_errors, 1);
		e->failed = true;
		e->retry_ns = now_ns() + (uint64_t)RETRY_MS * NS_PER_MS;
		return false;
	}
	if (e->failed)
		log_line(LOG_INFO, "epoch=written value=%llu", (unsigned long long)value);
	e->failed = false;
	count(&f->epochs, 1);
	e->done = asked;
	tell_written(f, file);
	return true;
}

static bool write_epochs(struct quorum_files *f)
{
	bool accepted = write_epoch(f, ZAB_ACCEPTED_EPOCH);

	return write_epoch(f, ZAB_CURRENT_EPOCH) || accepted;
}

static bool epochs_asked(struct quorum_files *f)
{
	for (unsigned i = 0; i < 2; i++)
		if (!f->epoch[i].failed &&
		    atomic_load_explicit(&f->epoch[i].asked, memory_order_acquire) !=
			    f->epoch[i].done)
			return true;
	return false;
}

/* ---- feeds ----------------------------------------------------------------------------------- */

static struct quorum_chunk *chunk_new(struct quorum_files *f, size_t cap, uint64_t request)
{
	struct quorum_chunk *c = zk_mem_alloc(&f->mem, sizeof(*c) + cap);

	if (c)
		*c = (struct quorum_chunk){.request = request, .cap = cap};
	return c;
}

static void chunk_free(struct quorum_files *f, struct quorum_chunk *c)
{
	zk_mem_free(&f->mem, c, sizeof(*c) + c->cap);
}

/* Free what the leader core has taken. */
static void feed_reclaim(struct quorum_files *f, struct quorum_feed *l)
{
	/* partner: release in drop_chunk() */
	uint32_t head = atomic_load_explicit(&l->head, memory_order_acquire);

	while (l->freed != head) {
		struct quorum_chunk *c = l->slot[l->freed++ % QUORUM_FILES_SLOTS];

		l->queued_bytes -= c->cap;
		chunk_free(f, c);
	}
}

static void feed_publish(struct quorum_feed *l, struct quorum_chunk *c)
{
	uint32_t tail = atomic_load_explicit(&l->tail, memory_order_relaxed);

	zk_assert(tail - l->freed < QUORUM_FILES_SLOTS);
	l->slot[tail % QUORUM_FILES_SLOTS] = c;
	l->queued_bytes += c->cap;
	/* partner: acquire in first_chunk() */
	atomic_store_explicit(&l->tail, tail + 1, memory_order_release);
}

static void feed_stop(struct quorum_files *f, struct quorum_feed *l)
{
	if (!l->active)
		return;
	quorum_reading_fini(l->reading);
	l->active = false;
	f->feeding--;
}

/* Is something else wanted than what is being done? */
static void feed_look(struct quorum_files *f, struct quorum_feed *l)
{
	/* partner: release in ask() */
	uint64_t asked = atomic_load_explicit(&l->asked, memory_order_acquire);
	uint64_t from = atomic_load_explicit(&l->from, memory_order_relaxed);
	uint64_t bound = atomic_load_explicit(&l->bound, memory_order_relaxed);

	if (asked == l->serving)
		return;
	feed_stop(f, l);
	l->serving = asked;
	if (bound == 0)
		return;
	l->active = true;
	f->feeding++;
	count(&f->feeds, 1);
	quorum_reading_init(l->reading, f, &f->view.disk, &f->mem, from, bound);
}

/* Nobody may take all the memory that there is for all. */
static bool feed_room(const struct quorum_files *f, const struct quorum_feed *l)
{
	size_t share = QUORUM_FILES_BYTES / (f->feeding ? f->feeding : 1);

	if (atomic_load_explicit(&l->tail, memory_order_relaxed) - l->freed == QUORUM_FILES_SLOTS)
		return false;
	return l->queued_bytes == 0 || l->queued_bytes + QUORUM_FILES_CHUNK <= share;
}

static void feed_failed(struct quorum_files *f, const struct quorum_feed *l, enum zk_err err)
{
	const struct quorum_reading *r = l->reading;

	count(r->too_large ? &f->feeds_too_large : &f->feed_errors, 1);
	log_line(err == ZK_EINVAL || err == ZK_EIO ? LOG_ERROR : LOG_INFO,
		 "feed=failed link=%u from=0x%llx bound=0x%llx reason=\"%s\"",
		 (unsigned)(l - f->feed), (unsigned long long)r->from, (unsigned long long)r->bound,
		 r->why);
}

/* @return ZK_EOK: something was done; ZK_EAGAIN: the leader core has to take some first, or nothing
 * is wanted; ZK_EBUSY: the log has to grow. */
static enum zk_err feed_step(struct quorum_files *f, struct quorum_feed *l)
{
	struct quorum_chunk *c;
	enum zk_err err;
	uint64_t before;

	feed_reclaim(f, l);
	feed_look(f, l);
	if (!l->active || !feed_room(f, l))
		return ZK_EAGAIN;
	c = chunk_new(f, quorum_reading_need(l->reading), l->serving);
	if (!c)
		return ZK_EBUSY;
	before = l->reading->txns;
	err = quorum_reading_next(l->reading, c, now_ns());
	count(&f->feed_txns, l->reading->txns - before);
	count(&f->feed_bytes, c->n);
	if (err != ZK_EAGAIN && err != ZK_EBUSY) {
		if (err != ZK_ECLOSED)
			feed_failed(f, l, err);
		c->end = err;
		feed_stop(f, l);
	}
	if (c->n || c->end != ZK_EOK) {
		feed_publish(l, c);
		return ZK_EOK;
	}
	chunk_free(f, c);
	return err == ZK_EBUSY ? ZK_EBUSY : ZK_EOK;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static bool stopping(struct quorum_files *f)
{
	/* partner: quorum_files_stop(); no data goes with it */
	return atomic_load_explicit(&f->stop, memory_order_relaxed);
}

/* @return whether anything was done; *timeout_ms: when to look again without being called. */
static bool one_round(struct quorum_files *f, int *timeout_ms)
{
	bool work = write_epochs(f);

	*timeout_ms = f->epoch[0].failed || f->epoch[1].failed ? RETRY_MS : -1;
	for (unsigned i = 0; i < ZAB_LINKS_MAX; i++) {
		enum zk_err err = feed_step(f, &f->feed[i]);

		work |= err == ZK_EOK;
		if (err == ZK_EBUSY)
			*timeout_ms = GROW_MS;
	}
	if (work)
		kick_leader(f);
	return work;
}

/* Has something been asked for, or taken, since the round that found nothing? */
static bool called(struct quorum_files *f)
{
	for (unsigned i = 0; i < ZAB_LINKS_MAX; i++) {
		const struct quorum_feed *l = &f->feed[i];

		if (atomic_load_explicit(&l->asked, memory_order_acquire) != l->serving ||
		    atomic_load_explicit(&l->head, memory_order_acquire) != l->freed)
			return true;
	}
	return epochs_asked(f) || stopping(f);
}

static void *quorum_files_main(void *arg)
{
	struct quorum_files *f = arg;
	int timeout_ms;

	(void)pthread_setname_np(pthread_self(), "zk-quorum-files");
	while (!stopping(f)) {
		struct pollfd fd = {.fd = f->waker.fd, .events = POLLIN};

		if (one_round(f, &timeout_ms))
			continue;
		waker_announce(&f->waker);
		if (!called(f))
			(void)poll(&fd, 1, timeout_ms);
		waker_clear(&f->waker);
	}
	return NULL;
}

static void let_go(struct quorum_files *f)
{
	zk_mem_free(&f->mem, f->readings, ZAB_LINKS_MAX * sizeof(*f->readings));
	zk_assert(f->mem.used_bytes == 0);
	disk_posix_fini(&f->view);
	(void)pthread_mutex_destroy(&f->lock);
	waker_fini(&f->waker);
}

enum zk_err quorum_files_start(struct quorum_files *f, const struct quorum_files_conf *conf)
{
	enum zk_err err;

	memset(f, 0, sizeof(*f));
	f->conf = *conf;
	if (waker_init(&f->waker) != ZK_EOK)
		return ZK_EIO;
	(void)pthread_mutex_init(&f->lock, NULL);
	zk_mem_init_heap(&f->mem, 0);
	f->readings = zk_mem_alloc(&f->mem, ZAB_LINKS_MAX * sizeof(*f->readings));
	for (unsigned i = 0; i < ZAB_LINKS_MAX && f->readings; i++)
		f->feed[i].reading = &f->readings[i];
	disk_posix_init(&f->view, conf->dirs, false);
	err = f->readings ? helper_start(&f->id, quorum_files_main, f, &conf->cpus) : ZK_ENOMEM;
	if (err != ZK_EOK)
		let_go(f);
	return err;
}

void quorum_files_stop(struct quorum_files *f)
{
	atomic_store_explicit(&f->stop, true, memory_order_relaxed);
	waker_kick(&f->waker);
	(void)pthread_join(f->id, NULL);
	for (unsigned i = 0; i < ZAB_LINKS_MAX; i++) {
		struct quorum_feed *l = &f->feed[i];

		feed_stop(f, l);
		while (l->freed != atomic_load_explicit(&l->tail, memory_order_relaxed))
			chunk_free(f, l->slot[l->freed++ % QUORUM_FILES_SLOTS]);
	}
	let_go(f);
}

void quorum_files_metrics(struct quorum_files *f, struct metrics *m)
{
	metrics_counter(m, "quorum_epochs_written", &f->epochs);
	metrics_counter(m, "quorum_epoch_error_count", &f->epoch_errors);
	metrics_counter(m, "quorum_feeds", &f->feeds);
	metrics_counter(m, "quorum_feed_error_count", &f->feed_errors);
	metrics_counter(m, "quorum_feed_too_large_count", &f->feeds_too_large);
	metrics_counter(m, "quorum_feed_txns", &f->feed_txns);
	metrics_counter(m, "quorum_feed_bytes", &f->feed_bytes);
}
