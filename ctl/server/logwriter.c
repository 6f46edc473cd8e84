/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/logwriter.h"
#include "ctl/server/log.h"

#include <time.h>

enum {
	PUT_BUDGET = 512, /* transactions per round */
	RETRY_MS = 1000,  /* between two looks at a full disk */
	NS_PER_MS = 1000000,
};

static uint64_t now_ns(void *ctx)
{
	struct timespec ts;

	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void set(_Atomic uint64_t *to, uint64_t v)
{
	atomic_store_explicit(to, v, memory_order_relaxed);
}

/* ---- a round --------------------------------------------------------------------------------- */

/* @return whether there is nothing left to put. */
static bool put_some(struct logwriter *w, bool *work)
{
	const struct logstage_ref *ref;

	if (w->wal.state != WAL_GOOD)
		return false;
	for (unsigned i = 0; i < PUT_BUDGET; i++) {
		ref = logstage_at(w->conf.log, w->put);
		if (!ref)
			return true;
		if (ref->roll && w->rolled != w->put + 1) {
			wal_roll(&w->wal);
			w->rolled = w->put + 1;
		}
		if (wal_put(&w->wal, ref->zxid, ref->txn) != ZK_EOK)
			return false;
		w->put++;
		*work = true;
	}
	return false;
}

static bool tell_durable(struct logwriter *w)
{
	uint64_t zxid = wal_durable(&w->wal), safe = w->safe;

	while (safe < w->put && logstage_at(w->conf.log, safe)->zxid <= zxid)
		safe++;
	if (safe == w->safe)
		return false;
	w->safe = safe;
	logstage_safe(w->conf.log, safe);
	waker_kick(w->conf.leader);
	return true;
}

static void copy_stats(struct logwriter *w)
{
	const struct wal_stats *s = &w->wal.stats;

	set(&w->txns, s->txns);
	set(&w->bytes, s->bytes);
	set(&w->batches, s->batches);
	set(&w->segments, s->segments);
	set(&w->slow_syncs, s->slow_syncs);
	set(&w->fulls, s->fulls);
	if (s->syncs == w->syncs_seen)
		return;
	w->syncs_seen = s->syncs; /* one at most ends per round */
	zk_metric_add(&w->sync_ms, s->sync_ns / NS_PER_MS);
	if (s->slow_syncs != w->slow_seen)
		log_line(LOG_WARN,
			 "log=slow-fsync file=\"%s\" ms=%llu size=%llu "
			 "effect=\"writes take as long\"",
			 w->wal.name, (unsigned long long)(s->sync_ns / NS_PER_MS),
			 (unsigned long long)w->wal.size);
	w->slow_seen = s->slow_syncs;
}

/* ---- when the disk does not do as it is told ------------------------------------------------- */

static void set_health(struct logwriter *w, enum logstage_health health)
{
	w->health = health;
	set(&w->state, health);
	logstage_health_set(w->conf.log, health);
	waker_kick(w->conf.leader);
}

static void say_fault(struct logwriter *w, const char *what, const char *effect)
{
	const struct wal_fault *f = &w->wal.fault;
	struct disk *d = &w->view.disk;

	d->os_error = f->os_error;
	log_line(LOG_ERROR,
		 "log=%s call=\"%s\" file=\"%s/%s\" offset=%llu reason=\"%s\" durable=0x%llx "
		 "effect=\"%s\"",
		 what, f->call, disk_dir_text(d, DISK_LOG), f->name, (unsigned long long)f->at,
		 disk_error_text(d), (unsigned long long)wal_durable(&w->wal), effect);
}

static void look_after(struct logwriter *w, bool durable_moved)
{
	if (w->wal.state == WAL_FAILED && w->health != LOGSTAGE_FAILED) {
		set_health(w, LOGSTAGE_FAILED);
		say_fault(w, "failed",
			  "no write is acknowledged any more, reads go on; put the disk right and "
			  "restart");
	} else if (w->wal.state == WAL_FULL && w->health == LOGSTAGE_GOOD) {
		set_health(w, LOGSTAGE_FULL);
		say_fault(w, "full", "writes are refused until there is room, reads go on");
		w->retry_ns = now_ns(NULL) + (uint64_t)RETRY_MS * NS_PER_MS;
	} else if (w->health == LOGSTAGE_FULL && durable_moved && w->wal.state == WAL_GOOD) {
		set_health(w, LOGSTAGE_GOOD);
		log_line(LOG_INFO, "log=resumed durable=0x%llx",
			 (unsigned long long)wal_durable(&w->wal));
	}
}

/* Is there room again? @return whether it goes on. */
static bool retry(struct logwriter *w)
{
	uint64_t now = now_ns(NULL);

	if (w->wal.state != WAL_FULL || w->wal.under_way > 0 || now < w->retry_ns)
		return false;
	w->retry_ns = now + (uint64_t)RETRY_MS * NS_PER_MS;
	if (wal_retry(&w->wal) != ZK_EOK)
		return false;
	w->put = w->safe;
	return true;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static bool one_round(struct logwriter *w)
{
	bool work = false, dry, moved;

	dry = put_some(w, &work);
	work |= wal_step(&w->wal, dry);
	moved = tell_durable(w);
	copy_stats(w);
	look_after(w, moved);
	return retry(w) || work || moved;
}

/* Is something there that this thread could take now? */
static bool has_work(struct logwriter *w)
{
	/* Behind a full buffer only the disk can help. */
	return w->wal.state == WAL_GOOD && w->wal.under_way == 0 &&
	       logstage_at(w->conf.log, w->put) != NULL;
}

static bool stopping(struct logwriter *w)
{
	/* partner: release in logwriter_stop(); all that was published before is seen */
	return atomic_load_explicit(&w->stop, memory_order_acquire);
}

static bool spin(struct logwriter *w)
{
	uint64_t end;

	if (w->conf.spin_us == 0 || w->wal.under_way > 0)
		return false;
	end = now_ns(NULL) + (uint64_t)w->conf.spin_us * 1000;
	while (now_ns(NULL) < end) {
		if (has_work(w))
			return true;
		__builtin_ia32_pause();
	}
	return false;
}

static void sleep_until_called(struct logwriter *w)
{
	struct waker *mine = &w->conf.log->writer;
	int timeout_ms = w->wal.state == WAL_FULL ? RETRY_MS : -1;

	waker_announce(mine);
	if (!has_work(w) && (!stopping(w) || w->wal.under_way > 0)) {
		set(&w->sleeps, atomic_load_explicit(&w->sleeps, memory_order_relaxed) + 1);
		disk_posix_wait(&w->view, mine->fd, timeout_ms);
	}
	waker_clear(mine);
}

static void *logwriter_main(void *arg)
{
	struct logwriter *w = arg;

	(void)pthread_setname_np(pthread_self(), "zk-log");
	for (;;) {
		bool last = stopping(w); /* before the round that must find nothing */

		if (one_round(w))
			continue;
		if (last && w->wal.under_way == 0)
			return NULL;
		if (!spin(w))
			sleep_until_called(w);
	}
}

enum zk_err logwriter_start(struct logwriter *w, const struct logwriter_conf *conf)
{
	struct wal_conf wc = {.disk = &w->view.disk,
			      .mem = &w->mem,
			      .now_ns = now_ns,
			      .prealloc_bytes = conf->prealloc_bytes,
			      .size_limit = conf->size_limit,
			      .slow_ns = (uint64_t)conf->slow_ms * NS_PER_MS,
			      .no_sync = conf->no_sync};
	enum zk_err err;

	*w = (struct logwriter){.conf = *conf};
	w->sync_ms.slot = w->sync_slots;
	zk_mem_init_heap(&w->mem, 0);
	err = wal_init(&w->wal, &wc, conf->last_zxid);
	if (err != ZK_EOK)
		return err;
	disk_posix_init(&w->view, conf->dirs, true);
	err = helper_start(&w->id, logwriter_main, w, &conf->cpus);
	if (err != ZK_EOK) {
		disk_posix_fini(&w->view);
		wal_fini(&w->wal);
	}
	return err;
}

enum zk_err logwriter_stop(struct logwriter *w)
{
	/* partner: acquire in stopping() */
	atomic_store_explicit(&w->stop, true, memory_order_release);
	waker_kick(&w->conf.log->writer);
	(void)pthread_join(w->id, NULL);
	wal_fini(&w->wal);
	disk_posix_fini(&w->view);
	return w->health == LOGSTAGE_GOOD ? ZK_EOK : ZK_EIO;
}

void logwriter_metrics(struct logwriter *w, struct metrics *m)
{
	metrics_summary(m, "fsynctime", &w->sync_ms);
	metrics_counter(m, "fsync_threshold_exceed_count", &w->slow_syncs);
	metrics_gauge(m, "log_state", &w->state);
	metrics_counter(m, "log_txns", &w->txns);
	metrics_counter(m, "log_bytes", &w->bytes);
	metrics_counter(m, "log_batches", &w->batches);
	metrics_counter(m, "log_segments", &w->segments);
	metrics_counter(m, "log_full_count", &w->fulls);
}
