/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/recovery_pipe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void recovery_pipe_init(struct recovery_pipe *p, const char *dir)
{
	*p = (struct recovery_pipe){.dir = dir};
	zk_mem_init_heap(&p->mem, 0);
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_cond_init(&p->moved, NULL);
}

void recovery_pipe_fini(struct recovery_pipe *p)
{
	(void)pthread_cond_destroy(&p->moved);
	(void)pthread_mutex_destroy(&p->lock);
	zk_assert(p->mem.used_bytes == 0);
}

static enum zk_err source_read(void *ctx, void *to, size_t n, size_t *got,
			       char why[SNAP_SOURCE_WHY_MAX])
{
	struct stream *s = ctx;
	ssize_t r = stream_read(s, to, n);

	if (r < 0) {
		snprintf(why, SNAP_SOURCE_WHY_MAX, "%s", s->error);
		return ZK_EIO;
	}
	*got = (size_t)r;
	return ZK_EOK;
}

static enum zk_err pipe_open(void *ctx, const char *name, enum store_pack pack,
			     struct snap_source *source, char why[SNAP_SOURCE_WHY_MAX])
{
	struct recovery_pipe *p = ctx;
	char path[2048];
	int n = snprintf(path, sizeof(path), "%s/%s", p->dir, name);

	if (n < 0 || (size_t)n >= sizeof(path) || !stream_open(&p->stream, path)) {
		snprintf(why, SNAP_SOURCE_WHY_MAX, "%s", n < 0 ? "name" : p->stream.error);
		return ZK_EIO;
	}
	zk_assert(p->stream.pack == pack);
	*source = (struct snap_source){.ctx = &p->stream, .read = source_read};
	return ZK_EOK;
}

static void pipe_close(void *ctx)
{
	struct recovery_pipe *p = ctx;

	stream_close(&p->stream);
}

/* A batch to fill; NULL: stop. */
static struct snap_batch *wait_empty(struct recovery_pipe *p)
{
	struct snap_batch *b = NULL;

	(void)pthread_mutex_lock(&p->lock);
	while (!p->stop && p->filled - p->taken + p->held == RECOVERY_BATCHES)
		(void)pthread_cond_wait(&p->moved, &p->lock);
	if (!p->stop)
		b = p->batch[p->filled % RECOVERY_BATCHES];
	(void)pthread_mutex_unlock(&p->lock);
	return b;
}

static void *reader(void *arg)
{
	struct recovery_pipe *p = arg;
	struct snap_batch *b;
	bool last = false;

	(void)pthread_setname_np(pthread_self(), "zk-snap-read");
	while (!last && (b = wait_empty(p)) != NULL) {
		snap_parse_next(p->parse, b);
		last = b->last;
		(void)pthread_mutex_lock(&p->lock);
		p->filled++;
		(void)pthread_cond_signal(&p->moved);
		(void)pthread_mutex_unlock(&p->lock);
	}
	return NULL;
}

static void batches_free(struct recovery_pipe *p)
{
	for (unsigned i = 0; i < RECOVERY_BATCHES; i++) {
		snap_batch_free(&p->mem, p->batch[i]);
		p->batch[i] = NULL;
	}
}

static enum zk_err pipe_start(void *ctx, struct snap_parse *parse)
{
	struct recovery_pipe *p = ctx;

	p->parse = parse;
	p->filled = p->taken = 0;
	p->stop = p->held = false;
	for (unsigned i = 0; i < RECOVERY_BATCHES; i++) {
		p->batch[i] = snap_batch_new(&p->mem);
		if (!p->batch[i]) {
			batches_free(p);
			return ZK_ENOMEM;
		}
	}
	if (pthread_create(&p->thread, NULL, reader, p) == 0)
		return ZK_EOK;
	batches_free(p);
	return ZK_EIO;
}

static struct snap_batch *pipe_next(void *ctx)
{
	struct recovery_pipe *p = ctx;
	struct snap_batch *b;

	(void)pthread_mutex_lock(&p->lock);
	if (p->held) {
		p->held = false;
		(void)pthread_cond_signal(&p->moved);
	}
	while (p->filled == p->taken)
		(void)pthread_cond_wait(&p->moved, &p->lock);
	b = p->batch[p->taken % RECOVERY_BATCHES];
	p->taken++;
	p->held = true;
	(void)pthread_mutex_unlock(&p->lock);
	return b;
}

static void pipe_stop(void *ctx)
{
	struct recovery_pipe *p = ctx;

	(void)pthread_mutex_lock(&p->lock);
	p->stop = true;
	(void)pthread_cond_signal(&p->moved);
	(void)pthread_mutex_unlock(&p->lock);
	(void)pthread_join(p->thread, NULL);
	batches_free(p);
}

struct recover_pipe recovery_pipe_hooks(struct recovery_pipe *p)
{
	return (struct recover_pipe){.ctx = p,
				     .mem = &p->mem,
				     .open = pipe_open,
				     .close = pipe_close,
				     .start = pipe_start,
				     .next = pipe_next,
				     .stop = pipe_stop};
}
