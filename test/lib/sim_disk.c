/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/sim_disk.h"

#include "core/base/hash.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 4096, RIPE_MAX = 4 };

uint64_t sim_disk_random(struct sim_disk *s, uint64_t n)
{
	s->random += UINT64_C(0x9e3779b97f4a7c15);
	return n ? zk_mix64(s->random) % n : 0;
}

static void *need(void *p)
{
	zk_assert(p);
	return p;
}

static enum zk_err error(struct disk *d, enum zk_err err)
{
	d->os_error = (int)err;
	return err;
}

/* Every call passes here. @return ZK_EOK, or what it fails with. */
static enum zk_err call(struct disk *d, enum sim_call what)
{
	struct sim_disk *s = d->ctx;
	uint64_t n;

	if (s->crashed)
		return error(d, ZK_EIO);
	s->calls[what]++;
	s->calls[SIM_CALLS]++;
	n = s->calls[s->fault_call];
	if ((s->fault_call != SIM_CALLS && s->fault_call != what) || s->fault_at == 0 ||
	    n < s->fault_at || n > s->fault_at + s->fault_more)
		return ZK_EOK;
	s->faults++;
	if (s->fault_err == ZK_EOK) {
		s->crashed = true;
		return error(d, ZK_EIO);
	}
	return error(d, s->fault_err);
}

/* ---- inodes ---- */

static struct sim_inode *inode_of(struct sim_disk *s, int file)
{
	zk_assert(file >= 0 && file < SIM_OPEN && s->open[file] > 0);
	return &s->inode[s->open[file] - 1];
}

static size_t sectors(uint64_t bytes)
{
	return (size_t)((bytes + SIM_SECTOR - 1) / SIM_SECTOR);
}

static void reach(struct sim_inode *f, uint64_t size)
{
	size_t cap = f->cap ? f->cap : BLOCK;

	if (size <= f->cap)
		return;
	while (cap < size)
		cap *= 2;
	f->now = need(realloc(f->now, cap));
	f->safe = need(realloc(f->safe, cap));
	f->dirty = need(realloc(f->dirty, sectors(cap)));
	memset(f->now + f->cap, 0, cap - f->cap);
	memset(f->safe + f->cap, 0, cap - f->cap);
	memset(f->dirty + sectors(f->cap), 0, sectors(cap) - sectors(f->cap));
	f->cap = cap;
}

static void unlink_inode(struct sim_disk *s, int inode)
{
	struct sim_inode *f = &s->inode[inode];

	zk_assert(f->links > 0);
	if (--f->links > 0)
		return;
	free(f->now);
	free(f->safe);
	free(f->dirty);
	*f = (struct sim_inode){0};
}

static uint64_t blocks(uint64_t size)
{
	return (size + BLOCK - 1) / BLOCK * BLOCK;
}

/* How far may the file grow, at most to @p want? */
static uint64_t may_grow(struct sim_disk *s, const struct sim_inode *f, uint64_t want)
{
	uint64_t used = 0, left;

	if (s->capacity == 0 || want <= blocks(f->size))
		return want;
	for (unsigned i = 0; i < SIM_FILES; i++)
		used += s->inode[i].links ? blocks(s->inode[i].size) : 0;
	left = s->capacity > used ? s->capacity - used : 0;
	return blocks(f->size) + left < want ? blocks(f->size) + left / BLOCK * BLOCK : want;
}

static void make_dirty(struct sim_inode *f, uint64_t from, uint64_t to)
{
	size_t low = (size_t)(from / SIM_SECTOR), high = sectors(to);

	if (low >= high)
		return;
	memset(f->dirty + low, 1, high - low);
	f->low = f->high == 0 || low < f->low ? low : f->low;
	f->high = high > f->high ? high : f->high;
}

static void put(struct sim_inode *f, uint64_t at, const void *from, size_t n)
{
	if (n == 0)
		return;
	reach(f, at + n);
	memcpy(f->now + at, from, n);
	make_dirty(f, at, at + n);
	f->size = at + n > f->size ? at + n : f->size;
}

static void cut(struct sim_inode *f, uint64_t size)
{
	if (size < f->size) { /* what comes back there later is zero */
		memset(f->now + size, 0, f->cap - size);
		f->shrunk = f->cap;
	}
	f->size = size;
}

/* ---- names ---- */

static struct sim_name *find(struct sim_name *v, enum disk_dir dir, const char *name)
{
	for (unsigned i = 0; i < SIM_FILES; i++)
		if (v[i].name[0] && v[i].dir == dir && strcmp(v[i].name, name) == 0)
			return &v[i];
	return NULL;
}

static void bind_name(struct sim_disk *s, struct sim_name *v, enum disk_dir dir, const char *name,
		      int inode)
{
	struct sim_name *e = find(v, dir, name);

	if (e)
		unlink_inode(s, e->inode);
	for (unsigned i = 0; !e && i < SIM_FILES; i++)
		if (!v[i].name[0])
			e = &v[i];
	need(e);
	zk_assert(strlen(name) < SIM_NAME_BYTES);
	strncpy(e->name, name, SIM_NAME_BYTES - 1);
	e->dir = dir;
	e->inode = inode;
	s->inode[inode].links++;
}

static void drop_name(struct sim_disk *s, struct sim_name *v, enum disk_dir dir, const char *name)
{
	struct sim_name *e = find(v, dir, name);

	if (!e)
		return;
	unlink_inode(s, e->inode);
	*e = (struct sim_name){0};
}

static void name_op(struct sim_disk *s, struct sim_name *v, const struct sim_name_op *o)
{
	s->inode[o->inode].links++; /* while it moves */
	if (o->from[0])
		drop_name(s, v, o->dir, o->from);
	if (o->to[0])
		bind_name(s, v, o->dir, o->to, o->inode);
	unlink_inode(s, o->inode);
}

static void change_name(struct sim_disk *s, enum disk_dir dir, const char *from, const char *to,
			int inode)
{
	struct sim_name_op *o = &s->op[s->ops];

	zk_assert(s->ops < SIM_NAME_OPS);
	s->ops++;
	*o = (struct sim_name_op){.dir = dir, .inode = inode};
	strncpy(o->from, from, SIM_NAME_BYTES - 1);
	strncpy(o->to, to, SIM_NAME_BYTES - 1);
	s->inode[inode].links++; /* as long as it may still be undone */
	name_op(s, s->now, o);
}

/* The first @p n operations on @p dir are safe. */
static void names_safe(struct sim_disk *s, enum disk_dir dir, unsigned n)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < s->ops; i++) {
		struct sim_name_op o = s->op[i];

		if (o.dir != dir || n == 0) {
			s->op[kept++] = o;
			continue;
		}
		n--;
		name_op(s, s->safe, &o);
		unlink_inode(s, o.inode);
	}
	s->ops = kept;
}

/* ---- blocking calls ---- */

static enum zk_err sim_list(struct disk *d, enum disk_dir dir, disk_each *each, void *arg)
{
	struct sim_disk *s = d->ctx;
	enum zk_err err = call(d, SIM_LIST);

	for (unsigned i = 0; i < SIM_FILES && err == ZK_EOK; i++)
		if (s->now[i].name[0] && s->now[i].dir == dir &&
		    !each(arg, s->now[i].name, s->inode[s->now[i].inode].size))
			break;
	return err;
}

static int inode_new(struct sim_disk *s)
{
	for (int i = 0; i < SIM_FILES; i++)
		if (s->inode[i].links == 0) {
			reach(&s->inode[i], 1);
			return i;
		}
	zk_assert(s->ops > SIM_NAME_OPS); /* too many files */
	return -1;
}

static enum zk_err sim_open(struct disk *d, enum disk_dir dir, const char *name,
			    enum disk_mode mode, int *file)
{
	struct sim_disk *s = d->ctx;
	enum zk_err err = call(d, SIM_OPEN_FILE);
	struct sim_name *e = find(s->now, dir, name);
	int inode;

	if (err != ZK_EOK)
		return err;
	if (!e && (mode == DISK_READ || mode == DISK_UPDATE))
		return error(d, ZK_ENOENT);
	if (e && mode == DISK_CREATE)
		return error(d, ZK_EEXIST);
	inode = e ? e->inode : inode_new(s);
	if (!e)
		change_name(s, dir, "", name, inode);
	else if (mode == DISK_REPLACE || mode == DISK_BLOCKS)
		cut(&s->inode[inode], 0);
	s->inode[inode].blocks = mode == DISK_BLOCKS;
	for (int i = 0; i < SIM_OPEN; i++)
		if (s->open[i] == 0) {
			s->open[i] = inode + 1;
			s->inode[inode].links++;
			*file = i;
			return ZK_EOK;
		}
	return error(d, ZK_ENOMEM);
}

static void sim_close(struct disk *d, int file)
{
	struct sim_disk *s = d->ctx;
	int inode;

	if (s->crashed)
		return;
	zk_assert(file >= 0 && file < SIM_OPEN && s->open[file] > 0);
	inode = s->open[file] - 1;
	for (unsigned i = 0; i < DISK_QUEUE_MAX; i++)
		zk_assert(!s->pending[i].used || s->pending[i].inode != inode ||
			  s->pending[i].view != d);
	s->open[file] = 0;
	unlink_inode(s, inode);
}

static enum zk_err sim_size(struct disk *d, int file, uint64_t *bytes)
{
	enum zk_err err = call(d, SIM_SIZE);

	if (err == ZK_EOK)
		*bytes = inode_of(d->ctx, file)->size;
	return err;
}

static enum zk_err sim_read(struct disk *d, int file, uint64_t at, void *to, size_t n, size_t *got)
{
	enum zk_err err = call(d, SIM_READ);
	const struct sim_inode *f;

	if (err != ZK_EOK)
		return err;
	f = inode_of(d->ctx, file);
	*got = at >= f->size ? 0 : f->size - at < n ? (size_t)(f->size - at) : n;
	if (*got)
		memcpy(to, f->now + at, *got);
	return ZK_EOK;
}

/* Whole blocks, but for what a short write has left. */
static void check_blocks(const struct sim_inode *f, uint64_t at, const void *from, size_t n)
{
	if (!f->blocks)
		return;
	zk_assert((at + n) % DISK_BLOCK_BYTES == 0 && n > 0);
	zk_assert(at % SIM_SECTOR == 0);
	zk_assert((uintptr_t)from % DISK_BLOCK_BYTES == at % DISK_BLOCK_BYTES);
}

static enum zk_err sim_write(struct disk *d, int file, uint64_t at, const void *from, size_t n)
{
	enum zk_err err = call(d, SIM_WRITE);
	struct sim_inode *f;
	uint64_t end;

	if (((struct sim_disk *)d->ctx)->crashed)
		return err;
	f = inode_of(d->ctx, file);
	check_blocks(f, at, from, n);
	end = may_grow(d->ctx, f, at + n);
	if (err != ZK_EOK) /* some of it may be written all the same */
		end = at + sim_disk_random(d->ctx, n + 1);
	else if (end < at + n)
		err = error(d, ZK_EFULL);
	if (end > at)
		put(f, at, from, (size_t)(end - at));
	return err;
}

static enum zk_err sim_allocate(struct disk *d, int file, uint64_t from, uint64_t to)
{
	enum zk_err err = call(d, SIM_ALLOCATE);
	struct sim_inode *f;

	if (err != ZK_EOK)
		return err;
	f = inode_of(d->ctx, file);
	zk_assert(f->size == from);
	if (may_grow(d->ctx, f, to) < to)
		return error(d, ZK_EFULL);
	reach(f, to);
	memset(f->now + from, 0, (size_t)(to - from));
	make_dirty(f, from, to);
	f->size = to;
	return ZK_EOK;
}

static enum zk_err sim_truncate(struct disk *d, int file, uint64_t size)
{
	enum zk_err err = call(d, SIM_TRUNCATE);
	struct sim_inode *f;

	if (err != ZK_EOK)
		return err;
	f = inode_of(d->ctx, file);
	reach(f, size);
	cut(f, size);
	return ZK_EOK;
}

/* What a sync that was begun when the file was *p makes safe. */
static void make_safe(struct sim_disk *s, const struct sim_pending *p)
{
	struct sim_inode *f = &s->inode[p->inode];
	bool some = p->err != ZK_EOK;

	if (s->lie)
		return;
	for (size_t i = 0; i < p->n; i++) {
		const uint8_t *old = p->copy + i * SIM_SECTOR;
		size_t at = (p->first + i) * SIM_SECTOR;

		if (!p->dirty[i])
			continue;
		if (!some || sim_disk_random(s, 2) == 0)
			memcpy(f->safe + at, old, SIM_SECTOR);
		if (some || memcmp(f->now + at, old, SIM_SECTOR) == 0)
			f->dirty[p->first + i] = 0; /* or forgotten */
	}
	while (f->low < f->high && !f->dirty[f->low])
		f->low++;
	if (f->low == f->high)
		f->low = f->high = 0;
	if (some && sim_disk_random(s, 2))
		return;
	f->safe_size = p->size;
	if (p->size < f->shrunk) /* what was cut off does not come back */
		memset(f->safe + p->size, 0, f->cap - p->size);
	f->shrunk = 0;
}

static void sync_begin(struct sim_disk *s, struct sim_pending *p, int inode, enum zk_err err)
{
	const struct sim_inode *f = &s->inode[inode];
	size_t n = f->high - f->low;

	*p = (struct sim_pending){.used = true,
				  .sync = true,
				  .inode = inode,
				  .size = f->size,
				  .first = f->low,
				  .n = n,
				  .copy = need(malloc(n * SIM_SECTOR + 1)),
				  .dirty = need(malloc(n + 1)),
				  .err = err};
	memcpy(p->copy, f->now + f->low * SIM_SECTOR, n * SIM_SECTOR);
	memcpy(p->dirty, f->dirty + f->low, n);
	s->inode[inode].links++;
}

static void forget(struct sim_disk *s, struct sim_pending *p)
{
	unlink_inode(s, p->inode);
	free(p->copy);
	free(p->dirty);
	*p = (struct sim_pending){0};
}

static enum zk_err sim_sync(struct disk *d, int file)
{
	struct sim_disk *s = d->ctx;
	enum zk_err err = call(d, SIM_SYNC);
	struct sim_pending p;

	if (s->crashed)
		return err;
	sync_begin(s, &p, s->open[file] - 1, err);
	make_safe(s, &p);
	forget(s, &p);
	return err;
}

static enum zk_err sim_settle(struct disk *d, int file)
{
	struct sim_disk *s = d->ctx;
	enum zk_err err = sim_sync(d, file);
	struct sim_inode *f;

	if (err != ZK_EOK || s->lie)
		return err;
	f = inode_of(s, file);
	memcpy(f->now, f->safe, f->cap);
	f->size = f->safe_size;
	return ZK_EOK;
}

static enum zk_err sim_rename(struct disk *d, enum disk_dir dir, const char *from, const char *to)
{
	struct sim_disk *s = d->ctx;
	enum zk_err err = call(d, SIM_RENAME);
	struct sim_name *e = find(s->now, dir, from);

	if (err != ZK_EOK)
		return err;
	if (!e)
		return error(d, ZK_ENOENT);
	change_name(s, dir, from, to, e->inode);
	return ZK_EOK;
}

static enum zk_err sim_unlink(struct disk *d, enum disk_dir dir, const char *name)
{
	struct sim_disk *s = d->ctx;
	enum zk_err err = call(d, SIM_UNLINK);
	struct sim_name *e = find(s->now, dir, name);

	if (err != ZK_EOK)
		return err;
	if (!e)
		return error(d, ZK_ENOENT);
	change_name(s, dir, name, "", e->inode);
	return ZK_EOK;
}

static enum zk_err sim_sync_dir(struct disk *d, enum disk_dir dir)
{
	struct sim_disk *s = d->ctx;
	enum zk_err err = call(d, SIM_SYNC_DIR);

	if (err == ZK_EOK && !s->lie)
		names_safe(s, dir, UINT32_MAX);
	return err;
}

static enum zk_err sim_free_bytes(struct disk *d, enum disk_dir dir, uint64_t *bytes)
{
	struct sim_disk *s = d->ctx;
	struct sim_inode none = {0};

	(void)dir;
	*bytes = s->capacity ? may_grow(s, &none, s->capacity) : UINT64_MAX;
	return ZK_EOK;
}

static const char *sim_dir_text(struct disk *d, enum disk_dir dir)
{
	static const char *const text[DISK_DIRS] = {"data/version-2", "log/version-2", "data",
						    "log"};

	(void)d;
	return text[dir];
}

static const char *sim_error_text(struct disk *d, int os_error)
{
	(void)d;
	return zk_err_text((enum zk_err)os_error);
}

/* ---- submissions ---- */

static struct sim_pending *slot(struct sim_disk *s)
{
	for (unsigned i = 0; i < DISK_QUEUE_MAX; i++)
		if (!s->pending[i].used)
			return &s->pending[i];
	zk_assert(s->crashed); /* one more than DISK_QUEUE_MAX */
	return NULL;
}

static enum zk_err sim_submit_write(struct disk *d, int file, uint64_t at, const void *from,
				    size_t n, uint64_t tag, bool alone)
{
	struct sim_disk *s = d->ctx;
	enum zk_err err = call(d, SIM_WRITE);
	struct sim_pending *p;

	if (s->crashed)
		return err;
	p = slot(s);
	*p = (struct sim_pending){.used = true,
				  .inode = s->open[file] - 1,
				  .at = at,
				  .n = n,
				  .tag = tag,
				  .copy = need(malloc(n)),
				  .err = err,
				  .ripe = alone ? 0 : (unsigned)sim_disk_random(s, RIPE_MAX),
				  .view = d};
	check_blocks(&s->inode[p->inode], at, from, n);
	for (unsigned i = 0; i < DISK_QUEUE_MAX; i++) { /* which one is the last is not known */
		const struct sim_pending *o = &s->pending[i];

		zk_assert(o == p || !o->used || o->sync || o->inode != p->inode ||
			  o->at + o->n <= at || at + n <= o->at);
	}
	s->inode[p->inode].links++;
	memcpy(p->copy, from, n);
	return ZK_EOK;
}

static enum zk_err sim_submit_sync(struct disk *d, int file, uint64_t tag, bool alone)
{
	struct sim_disk *s = d->ctx;
	enum zk_err err = call(d, SIM_SYNC);
	struct sim_pending *p;

	if (s->crashed)
		return err;
	p = slot(s);
	sync_begin(s, p, s->open[file] - 1, err);
	p->tag = tag;
	if (!alone || s->slow_sync || sim_disk_random(s, 2))
		p->ripe = (unsigned)sim_disk_random(s, RIPE_MAX) + s->slow_sync;
	p->view = d;
	return ZK_EOK;
}

static size_t end_write(struct sim_disk *s, struct sim_pending *p)
{
	struct sim_inode *f = &s->inode[p->inode];
	uint64_t end = may_grow(s, f, p->at + p->n);

	if (p->err != ZK_EOK || (s->short_writes && p->n > 1 && sim_disk_random(s, 4) == 0)) {
		uint64_t part = p->at + sim_disk_random(s, p->n) + (p->err == ZK_EOK);

		if (f->blocks) /* a sector at least */
			part += (p->at + p->n - part) % SIM_SECTOR;
		end = part < end ? part : end;
	}
	if (f->blocks)
		end -= end % SIM_SECTOR;
	if (end <= p->at) {
		if (p->err == ZK_EOK)
			p->err = ZK_EFULL;
		return 0;
	}
	put(f, p->at, p->copy, (size_t)(end - p->at));
	return p->err == ZK_EOK ? (size_t)(end - p->at) : 0;
}

static unsigned sim_reap(struct disk *d, struct disk_done *out, unsigned max)
{
	struct sim_disk *s = d->ctx;
	unsigned n = 0, from = (unsigned)sim_disk_random(s, DISK_QUEUE_MAX);

	if (s->crashed)
		return 0;
	for (unsigned i = 0; i < DISK_QUEUE_MAX && n < max; i++) {
		struct sim_pending *p = &s->pending[(from + i) % DISK_QUEUE_MAX];

		if (!p->used || p->view != d || p->age++ < p->ripe)
			continue;
		out[n] = (struct disk_done){.tag = p->tag};
		if (p->sync)
			make_safe(s, p);
		else
			out[n].bytes = end_write(s, p);
		out[n].err = s->hide && p->sync ? ZK_EOK : p->err;
		out[n].os_error = (int)p->err;
		n++;
		forget(s, p);
	}
	return n;
}

/* ---- the end of the world ---- */

static void drop_submissions(struct sim_disk *s)
{
	for (unsigned i = 0; i < DISK_QUEUE_MAX; i++) {
		struct sim_pending *p = &s->pending[i];

		if (!p->used)
			continue;
		if (!p->sync) { /* half done */
			p->n = (size_t)sim_disk_random(s, p->n + 1);
			put(&s->inode[p->inode], p->at, p->copy, p->n);
		}
		forget(s, p);
	}
	for (unsigned i = 0; i < SIM_OPEN; i++) {
		if (s->open[i])
			unlink_inode(s, s->open[i] - 1);
		s->open[i] = 0;
	}
	s->fault_at = 0;
	s->crashed = false;
}

void sim_disk_kill(struct sim_disk *s)
{
	drop_submissions(s);
}

/* Is only one bit missing? Nobody can tell that from a bit that has flipped since. */
static bool one_bit(const uint8_t *a, const uint8_t *b)
{
	unsigned bits = 0;

	for (size_t i = 0; i < SIM_SECTOR; i++)
		bits += (unsigned)__builtin_popcount(a[i] ^ b[i]);
	return bits == 1;
}

/* 0: unsynced things are lost, 1: they are there, 2: each takes its chance. */
static void crash_file(struct sim_disk *s, struct sim_inode *f, unsigned how)
{
	uint64_t least = f->size < f->safe_size ? f->size : f->safe_size;
	uint64_t most = f->size < f->safe_size ? f->safe_size : f->size;
	uint64_t pick = how == 2 ? sim_disk_random(s, 3) : how;

	for (size_t i = f->low; i < f->high; i++) {
		size_t at = i * SIM_SECTOR, n = SIM_SECTOR;

		if (!f->dirty[i])
			continue;
		f->dirty[i] = 0;
		if (how == 0 || (how == 2 && sim_disk_random(s, 2)))
			continue;
		if (how == 2 && sim_disk_random(s, 3) == 0)
			n = (size_t)sim_disk_random(s, SIM_SECTOR); /* torn */
		memcpy(f->safe + at, f->now + at, n);
		if (n < SIM_SECTOR && one_bit(f->safe + at, f->now + at))
			memcpy(f->safe + at, f->now + at, SIM_SECTOR);
	}
	f->size = pick == 0   ? f->safe_size
		  : pick == 1 ? f->size
			      : least + sim_disk_random(s, most - least + 1);
	f->safe_size = f->size;
	f->low = f->high = 0;
	f->shrunk = 0;
	memset(f->safe + f->size, 0, f->cap - f->size);
	memcpy(f->now, f->safe, f->cap);
}

void sim_disk_crash(struct sim_disk *s)
{
	unsigned how = (unsigned)sim_disk_random(s, 4);

	drop_submissions(s);
	for (int dir = 0; dir < DISK_DIRS; dir++)
		names_safe(s, (enum disk_dir)dir,
			   how == 1   ? UINT32_MAX
			   : how == 0 ? 0
				      : (unsigned)sim_disk_random(s, s->ops + 1));
	while (s->ops > 0)
		unlink_inode(s, s->op[--s->ops].inode);
	for (unsigned i = 0; i < SIM_FILES; i++) {
		if (s->safe[i].name[0])
			s->inode[s->safe[i].inode].links++;
		if (s->now[i].name[0])
			unlink_inode(s, s->now[i].inode);
		s->now[i] = (struct sim_name){0};
	}
	memcpy(s->now, s->safe, sizeof(s->now));
	for (unsigned i = 0; i < SIM_FILES; i++)
		if (s->inode[i].links)
			crash_file(s, &s->inode[i], how > 2 ? 2 : how);
}

bool sim_disk_flip(struct sim_disk *s, enum disk_dir dir)
{
	unsigned n = 0;
	struct sim_inode *f = NULL;

	for (unsigned i = 0; i < SIM_FILES; i++)
		if (s->now[i].name[0] && s->now[i].dir == dir && s->inode[s->now[i].inode].size &&
		    sim_disk_random(s, ++n) == 0)
			f = &s->inode[s->now[i].inode];
	if (!f)
		return false;
	uint64_t at = sim_disk_random(s, f->size);
	uint8_t bit = (uint8_t)(1u << sim_disk_random(s, 8));

	f->now[at] ^= bit;
	f->safe[at] ^= bit;
	return true;
}

/* ---- life ---- */

static const struct disk_ops ops = {
	.list = sim_list,
	.open = sim_open,
	.close = sim_close,
	.size = sim_size,
	.read = sim_read,
	.write = sim_write,
	.allocate = sim_allocate,
	.truncate = sim_truncate,
	.sync = sim_sync,
	.settle = sim_settle,
	.rename = sim_rename,
	.unlink = sim_unlink,
	.sync_dir = sim_sync_dir,
	.free_bytes = sim_free_bytes,
	.dir_text = sim_dir_text,
	.error_text = sim_error_text,
	.submit_write = sim_submit_write,
	.submit_sync = sim_submit_sync,
	.reap = sim_reap,
};

struct sim_disk *sim_disk_new(uint64_t seed)
{
	struct sim_disk *s = need(calloc(1, sizeof(*s)));

	s->random = seed;
	for (unsigned i = 0; i < SIM_VIEWS; i++)
		s->view[i] = (struct disk){.ops = &ops, .ctx = s};
	return s;
}

void sim_disk_free(struct sim_disk *s)
{
	drop_submissions(s);
	for (unsigned i = 0; i < SIM_FILES; i++) {
		free(s->inode[i].now);
		free(s->inode[i].safe);
		free(s->inode[i].dirty);
	}
	free(s);
}

struct disk *sim_disk_view(struct sim_disk *s, unsigned i)
{
	zk_assert(i < SIM_VIEWS);
	return &s->view[i];
}
