/* SPDX-License-Identifier: Apache-2.0 */
#include "test/crash/fs/model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *p)
{
	if (!p) {
		fputs("faultfs: out of memory\n", stderr);
		abort();
	}
	return p;
}

void fs_init(struct fs *fs)
{
	struct fs_file *root;

	(void)fs_make(fs, "/", 0755, true, &root);
	fs_sync_dir(fs, "");
}

static int find_in(const struct fs_name *name, unsigned n, const char *path)
{
	for (unsigned i = 0; i < n; i++) {
		if (strcmp(name[i].path, path) == 0)
			return (int)i;
	}
	return -1;
}

struct fs_file *fs_find(const struct fs *fs, const char *path)
{
	int i = find_in(fs->live, fs->live_n, path);

	return i < 0 ? NULL : fs->live[i].file;
}

const char *fs_path(const struct fs *fs, const struct fs_file *f)
{
	for (unsigned i = 0; i < fs->live_n; i++) {
		if (fs->live[i].file == f)
			return fs->live[i].path;
	}
	return NULL;
}

/* @return the name of @p path in @p dir, NULL if it is not right below it. */
static const char *below(const char *dir, const char *path)
{
	size_t n = strcmp(dir, "/") == 0 ? 0 : strlen(dir);

	if (strncmp(dir, path, n) != 0 || path[n] != '/' || path[n + 1] == 0 ||
	    strchr(path + n + 1, '/'))
		return NULL;
	return path + n + 1;
}

const char *fs_list(const struct fs *fs, const char *dir, unsigned *i)
{
	while (*i < fs->live_n) {
		const char *name = below(dir, fs->live[(*i)++].path);

		if (name)
			return name;
	}
	return NULL;
}

static void forget_pending(struct fs_file *f)
{
	while (f->first) {
		struct fs_write *w = f->first;

		f->first = w->next;
		free(w);
	}
	f->last = &f->first;
	f->pending = 0;
}

void fs_drop(struct fs_file *f)
{
	if (f->opens > 0 || f->names > 0)
		return;
	forget_pending(f);
	free(f->live.p);
	free(f->durable.p);
	free(f);
}

static void put_name(struct fs_name *name, unsigned *n, const char *path, struct fs_file *f)
{
	if (*n == FS_NODES_MAX)
		abort();
	snprintf(name[*n].path, FS_PATH_MAX, "%s", path);
	name[(*n)++].file = f;
	f->names++;
}

static void take_name(struct fs_name *name, unsigned *n, const char *path)
{
	int i = find_in(name, *n, path);
	struct fs_file *f;

	if (i < 0)
		return;
	f = name[i].file;
	name[i] = name[--*n];
	f->names--;
	fs_drop(f);
}

/* A step holds its file, so that the name can still become durable. */
static void add_step(struct fs *fs, const char *from, const char *to, struct fs_file *f)
{
	struct fs_step *s = &fs->step[fs->step_n++];

	if (fs->step_n == FS_NODES_MAX)
		abort();
	snprintf(s->from, FS_PATH_MAX, "%s", from);
	snprintf(s->to, FS_PATH_MAX, "%s", to);
	s->file = f;
	f->names++;
}

static void end_step(struct fs *fs, struct fs_step *s, bool happens)
{
	if (happens) {
		if (s->from[0])
			take_name(fs->durable, &fs->durable_n, s->from);
		if (s->to[0]) {
			take_name(fs->durable, &fs->durable_n, s->to);
			put_name(fs->durable, &fs->durable_n, s->to, s->file);
		}
	}
	s->file->names--;
	fs_drop(s->file);
}

int fs_make(struct fs *fs, const char *path, mode_t mode, bool is_dir, struct fs_file **out)
{
	struct fs_file *f;

	if (strlen(path) >= FS_PATH_MAX)
		return -ENAMETOOLONG;
	if (fs_find(fs, path))
		return -EEXIST;
	f = must(calloc(1, sizeof(*f)));
	f->last = &f->first;
	f->is_dir = is_dir;
	f->mode = mode & 07777;
	put_name(fs->live, &fs->live_n, path, f);
	add_step(fs, "", path, f);
	*out = f;
	return 0;
}

static void not_live_any_more(struct fs *fs, struct fs_file *f)
{
	fs->used -= f->live.n;
}

int fs_remove(struct fs *fs, const char *path)
{
	struct fs_file *f = fs_find(fs, path);
	unsigned i = 0;

	if (!f)
		return -ENOENT;
	if (f->is_dir && fs_list(fs, path, &i))
		return -ENOTEMPTY;
	add_step(fs, path, "", f);
	not_live_any_more(fs, f);
	take_name(fs->live, &fs->live_n, path);
	return 0;
}

int fs_rename(struct fs *fs, const char *from, const char *to)
{
	struct fs_file *f = fs_find(fs, from), *old = fs_find(fs, to);

	if (!f)
		return -ENOENT;
	if (f->is_dir || strlen(to) >= FS_PATH_MAX)
		return -EINVAL;
	if (old == f)
		return 0;
	add_step(fs, from, to, f);
	if (old)
		not_live_any_more(fs, old);
	take_name(fs->live, &fs->live_n, to);
	put_name(fs->live, &fs->live_n, to, f);
	take_name(fs->live, &fs->live_n, from);
	return 0;
}

static void grow(struct fs_bytes *b, size_t n)
{
	if (n > b->cap) {
		size_t cap = b->cap ? b->cap : 4096;

		while (cap < n)
			cap *= 2;
		b->p = must(realloc(b->p, cap));
		b->cap = cap;
	}
	if (n > b->n)
		memset(b->p + b->n, 0, n - b->n);
	b->n = n;
}

static void put_bytes(struct fs_bytes *b, const uint8_t *data, size_t n, size_t at)
{
	if (n == 0)
		return;
	if (at + n > b->n)
		grow(b, at + n);
	memcpy(b->p + at, data, n);
}

static void pend(struct fs_file *f, bool resize, const void *data, size_t n, size_t at)
{
	struct fs_write *w = must(malloc(sizeof(*w) + (resize ? 0 : n)));

	*w = (struct fs_write){.resize = resize, .at = at, .n = n};
	if (!resize) {
		memcpy(w->data, data, n);
		f->pending += n;
	}
	*f->last = w;
	f->last = &w->next;
}

/* How far a file may grow. */
static size_t room_for(const struct fs *fs, const struct fs_file *f, size_t end)
{
	uint64_t left;

	if (fs->room == 0 || end <= f->live.n)
		return end;
	left = fs->room > fs->used ? fs->room - fs->used : 0;
	return end - f->live.n <= left ? end : f->live.n + (size_t)left;
}

ssize_t fs_put(struct fs *fs, struct fs_file *f, const void *data, size_t n, size_t at)
{
	size_t end = room_for(fs, f, at + n), before = f->live.n;

	if (end <= at && n > 0)
		return -ENOSPC;
	n = end - at;
	put_bytes(&f->live, data, n, at);
	fs->used += f->live.n - before;
	pend(f, false, data, n, at);
	return (ssize_t)n;
}

int fs_resize(struct fs *fs, struct fs_file *f, size_t n)
{
	if (room_for(fs, f, n) < n)
		return -ENOSPC;
	fs->used = fs->used - f->live.n + n;
	grow(&f->live, n);
	pend(f, true, NULL, n, 0);
	return 0;
}

void fs_sync(struct fs *fs, struct fs_file *f)
{
	for (const struct fs_write *w = f->first; w; w = w->next) {
		if (w->resize)
			grow(&f->durable, w->n);
		else
			put_bytes(&f->durable, w->data, w->n, w->at);
	}
	forget_pending(f);
	if (!fs->strict)
		fs_sync_dir(fs, "");
}

/* @p dir "": every directory. */
void fs_sync_dir(struct fs *fs, const char *dir)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < fs->step_n; i++) {
		struct fs_step *s = &fs->step[i];

		if (dir[0] == 0 || below(dir, s->to[0] ? s->to : s->from))
			end_step(fs, s, true);
		else
			fs->step[kept++] = *s;
	}
	fs->step_n = kept;
}

void fs_settle(struct fs *fs)
{
	for (unsigned i = 0; i < fs->live_n; i++)
		fs_sync(fs, fs->live[i].file);
	fs_sync_dir(fs, "");
}

void fs_lose(struct fs *fs, struct fs_file *f)
{
	fs->lost_bytes += f->pending;
	forget_pending(f);
}

static uint64_t chance(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* Which pending bytes of a file reached the disk: none, all, sectors by chance in any order, or
 * everything up to some sector. */
static void survive(struct fs *fs, struct fs_file *f, uint64_t *rng)
{
	enum { NONE, ALL, ANY, PREFIX } how = (unsigned)chance(rng) % 4;
	size_t left = f->pending ? (size_t)(chance(rng) % f->pending) / FS_SECTOR * FS_SECTOR : 0;

	if (how == ANY && fs->ordered)
		how = PREFIX;
	for (const struct fs_write *w = f->first; w; w = w->next) {
		if (w->resize) {
			if (how == ALL || (how != NONE && chance(rng) % 2))
				grow(&f->durable, w->n);
			continue;
		}
		for (size_t at = 0, n; at < w->n; at += n) {
			n = FS_SECTOR - (w->at + at) % FS_SECTOR;
			if (n > w->n - at)
				n = w->n - at;
			if (how == ALL || (how == ANY && chance(rng) % 2) ||
			    (how == PREFIX && left >= n)) {
				put_bytes(&f->durable, w->data + at, n, w->at + at);
				left -= how == PREFIX ? n : 0;
			} else {
				left = 0;
				fs->lost_bytes += n;
			}
		}
	}
	forget_pending(f);
}

void fs_crash(struct fs *fs, uint64_t seed)
{
	uint64_t rng = seed;
	unsigned happen = (unsigned)(chance(&rng) % (fs->step_n + 1));

	for (unsigned i = 0; i < fs->step_n; i++)
		end_step(fs, &fs->step[i], i < happen);
	fs->step_n = 0;
	while (fs->live_n > 0)
		take_name(fs->live, &fs->live_n, fs->live[0].path);
	fs->used = 0;
	for (unsigned i = 0; i < fs->durable_n; i++) {
		struct fs_file *f = fs->durable[i].file;

		survive(fs, f, &rng);
		f->live.n = 0;
		grow(&f->live, f->durable.n);
		if (f->durable.n > 0)
			memcpy(f->live.p, f->durable.p, f->durable.n);
		fs->used += f->live.n;
		put_name(fs->live, &fs->live_n, fs->durable[i].path, f);
	}
	fs->crashes++;
}
