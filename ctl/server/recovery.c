/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/recovery.h"

#include "ctl/server/log.h"
#include "ctl/server/recovery_pipe.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BAR_WIDTH = 40, BAR_EVERY_MS = 100, LINE_EVERY_MS = 5000 };

/* What is shown while it runs. */
struct show {
	bool bar, drawn;
	uint64_t logs_ms; /* when the first log was begun; 0 = not yet */
	uint64_t next_ms;
	const struct recovery_hooks *hooks;
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void wipe(struct show *s)
{
	if (s->drawn)
		fputs("\r\033[K", stderr);
	s->drawn = false;
}

static void say(void *ctx, enum recover_level level, const char *line)
{
	static const enum log_level to[] = {
		[RECOVER_INFO] = LOG_INFO, [RECOVER_WARN] = LOG_WARN, [RECOVER_ERROR] = LOG_ERROR};

	wipe(ctx);
	log_line(to[level], "recovery=\"%s\"", line);
}

static void draw(struct show *s, const struct recover_progress *p)
{
	char bar[BAR_WIDTH + 1];
	unsigned done = 0;

	if (p->bytes_max)
		done = (unsigned)(p->bytes < p->bytes_max ? p->bytes * BAR_WIDTH / p->bytes_max
							  : BAR_WIDTH);
	memset(bar, '.', BAR_WIDTH);
	memset(bar, '#', done);
	bar[BAR_WIDTH] = 0;
	fprintf(stderr, "\r%s [%s] %llu %s\033[K", p->file, bar,
		(unsigned long long)(p->log ? p->txns : p->nodes),
		p->log ? "transactions" : "znodes");
	(void)fflush(stderr);
	s->drawn = true;
}

static void progress(void *ctx, const struct recover_progress *p)
{
	struct show *s = ctx;
	uint64_t now = now_ms();

	if (s->hooks->meanwhile)
		s->hooks->meanwhile(s->hooks->ctx);
	if (p->log && !s->logs_ms)
		s->logs_ms = now;
	if (now < s->next_ms)
		return;
	s->next_ms = now + (s->bar ? BAR_EVERY_MS : LINE_EVERY_MS);
	if (s->bar)
		draw(s, p);
	else
		log_line(LOG_INFO, "recovery=%s file=%s bytes=%llu of=%llu znodes=%llu txns=%llu",
			 p->log ? "log" : "snapshot", p->file, (unsigned long long)p->bytes,
			 (unsigned long long)p->bytes_max, (unsigned long long)p->nodes,
			 (unsigned long long)p->txns);
}

static void replayed(void *ctx, const struct txn_record *txn, struct zk_span payload)
{
	const struct recovery_hooks *h = ((struct show *)ctx)->hooks;

	h->replayed(h->ctx, (uint64_t)txn->header.zxid, payload);
}

static void report(const struct recover_result *r, uint64_t ms)
{
	if (r->empty) {
		log_line(LOG_INFO, "recovery=first-start");
		return;
	}
	if (r->unknown)
		log_line(LOG_WARN, "recovery=\"no data, and db.autocreate=false: an empty database "
				   "all the same, for it is the only one\"");
	log_line(LOG_INFO,
		 "recovery=done zxid=0x%llx snapshot=%s znodes=%llu sessions=%u logs=%llu "
		 "txns=%llu refused=%llu digestMismatches=%llu ms=%llu",
		 (unsigned long long)r->zxid, r->snapshot[0] ? r->snapshot : "none",
		 (unsigned long long)r->nodes, r->sessions, (unsigned long long)r->logs,
		 (unsigned long long)r->txns, (unsigned long long)r->refused,
		 (unsigned long long)r->digest_mismatches, (unsigned long long)ms);
}

uint32_t recovery_length_max(const struct config *c)
{
	uint64_t n = (uint64_t)c->jute_maxbuffer + c->jute_extra_bytes;

	return n < INT32_MAX ? (uint32_t)n : INT32_MAX;
}

/* FileTxnSnapLog.restore(), ZKDatabase.loadDataBase() */
static void measure(struct recovery *r, const struct show *s, uint64_t began, uint64_t ended)
{
	uint64_t logs = s->logs_ms ? s->logs_ms : ended;

	zk_metric_add(&r->init_ms, ended - began);
	zk_metric_add(&r->snap_ms, logs - began);
	if (!s->logs_ms)
		return;
	zk_metric_add(&r->txns, r->result.txns);
	zk_metric_add(&r->txns_ms, ended - logs);
}

void recovery_metrics(struct recovery *r, struct metrics *m)
{
	metrics_summary(m, "dbinittime", &r->init_ms);
	metrics_summary(m, "startup_snap_load_time", &r->snap_ms);
	metrics_summary(m, "startup_txns_loaded", &r->txns);
	metrics_summary(m, "startup_txns_load_time", &r->txns_ms);
}

/* What /zookeeper/config shall say; in @p text, ZAB_CONFIG_MAX bytes. */
static void member_config(struct recover_conf *rc, const struct config *c, uint8_t *text)
{
	struct jute_out out = jute_out_of(text, ZAB_CONFIG_MAX);
	struct timespec ts;

	zab_members_text(&c->quorum.members, &out);
	zk_assert(!out.full); /* the quorum would have refused it */
	clock_gettime(CLOCK_REALTIME, &ts);
	rc->config = zk_span_of(text, jute_out_len(&out));
	rc->config_version = c->quorum.members.version;
	rc->wall_ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* A member that votes may have voted for what it no longer knows (ZOOKEEPER-261). */
static enum zk_err may_vote(const struct config *c, struct recover_result *r)
{
	if (!r->unknown || !c->quorum.on || c->quorum.observer)
		return ZK_EOK;
	snprintf(r->why, sizeof(r->why),
		 "no data, and db.autocreate=false: a server that votes begins empty only with a "
		 "file %.200s/initialize",
		 c->data_log_dir);
	return ZK_EINVAL;
}

enum zk_err recovery_run(struct recovery *r, const struct config *c, struct disk *disk,
			 struct tree *tree, const struct recovery_hooks *hooks, char *why,
			 size_t cap)
{
	/* with log lines on the same terminal a bar is still worth having */
	struct show show = {.bar = isatty(STDERR_FILENO) == 1, .hooks = hooks};
	struct recovery_pipe pipe;
	uint8_t config[ZAB_CONFIG_MAX];
	uint64_t began = now_ms();
	enum zk_err err;

	*r = (struct recovery){.held = true};
	zk_mem_init_heap(&r->mem, 0);
	recovery_pipe_init(&pipe, disk_dir_text(disk, DISK_DATA));
	show.next_ms = began + (show.bar ? BAR_EVERY_MS : LINE_EVERY_MS);
	r->conf = (struct recover_conf){
		.disk = disk,
		.tree = tree,
		.mem = &r->mem,
		.length_max = recovery_length_max(c),
		.trust_empty = c->snapshot_trust_empty,
		.autocreate = c->db_autocreate,
		.trust_gaps = c->trust_gaps,
		.last_zxid = c->snap_last_zxid,
		.pipe = recovery_pipe_hooks(&pipe),
		.ctx = &show,
		.say = say,
		.progress = progress,
		.replayed = hooks->replayed ? replayed : NULL,
	};
	if (c->quorum.on)
		member_config(&r->conf, c, config);
	err = recover_run(&r->conf, &r->result);
	r->conf.config = (struct zk_span){NULL, 0};
	wipe(&show);
	if (err == ZK_EOK)
		err = may_vote(c, &r->result);
	/* Logs without a snapshot would be refused at the next start. */
	if (err == ZK_EOK && !r->result.snapshot[0])
		err = recover_save(&r->conf, &r->result);
	recovery_pipe_fini(&pipe);
	measure(r, &show, began, now_ms());
	if (err != ZK_EOK)
		snprintf(why, cap, "%s", r->result.why);
	else
		report(&r->result, now_ms() - began);
	return err;
}

void recovery_free(struct recovery *r)
{
	if (!r->held)
		return;
	recover_free(&r->conf, &r->result);
	zk_assert(r->mem.used_bytes == 0);
	r->held = false;
}
