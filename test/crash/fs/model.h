/* SPDX-License-Identifier: Apache-2.0 */
/** The files of faultfs, each in two states: as programs see them, and as they would be after a
 * loss of power. What is written stays pending until it is synced; a crash keeps some of what is
 * pending, by chance, and forgets the rest. Flat: a directory is a node whose path other paths
 * begin with.
 *
 * Nothing here locks; the caller does. All functions return 0 or a negative errno.
 */
#ifndef ZK_TEST_CRASH_FS_MODEL_H
#define ZK_TEST_CRASH_FS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	FS_PATH_MAX = 256,
	FS_NODES_MAX = 4096, /* files ever made between two crashes */
	FS_SECTOR = 512,
};

struct fs_bytes {
	uint8_t *p;
	size_t n, cap;
};

/* One change of a file that is not durable yet: bytes at an offset, or a new size. */
struct fs_write {
	struct fs_write *next;
	bool resize;
	size_t at, n;
	uint8_t data[];
};

struct fs_file {
	bool is_dir;
	mode_t mode;
	unsigned opens, names; /* live and durable names that lead here */
	struct fs_bytes live, durable;
	struct fs_write *first, **last; /* pending, in order */
	size_t pending;
	int64_t changed_ns;
};

struct fs_name {
	char path[FS_PATH_MAX];
	struct fs_file *file;
};

/* A change of names that is not durable yet. */
struct fs_step {
	char from[FS_PATH_MAX], to[FS_PATH_MAX]; /* one of them may be empty */
	struct fs_file *file;
};

struct fs {
	struct fs_name live[FS_NODES_MAX], durable[FS_NODES_MAX];
	unsigned live_n, durable_n;
	struct fs_step step[FS_NODES_MAX];
	unsigned step_n;
	/* Names become durable with any sync, as on a journalling file system; strict: only when
	 * their directory is synced. */
	bool strict;
	bool ordered;        /* a crash keeps no byte of a file behind one that it forgets */
	uint64_t room, used; /* bytes of live files; 0: no limit */
	uint64_t lost_bytes, crashes;
};

void fs_init(struct fs *fs);
struct fs_file *fs_find(const struct fs *fs, const char *path);
/** @return a name of @p f, NULL when it has none any more. */
const char *fs_path(const struct fs *fs, const struct fs_file *f);
/** @p i counts from 0. @return the i-th entry's name below @p dir, NULL at the end. */
const char *fs_list(const struct fs *fs, const char *dir, unsigned *i);
int fs_make(struct fs *fs, const char *path, mode_t mode, bool is_dir, struct fs_file **out);
int fs_remove(struct fs *fs, const char *path);
int fs_rename(struct fs *fs, const char *from, const char *to);
/** @return how many bytes were written, fewer than @p n when the room ends, or -ENOSPC. */
ssize_t fs_put(struct fs *fs, struct fs_file *f, const void *data, size_t n, size_t at);
int fs_resize(struct fs *fs, struct fs_file *f, size_t n);
void fs_sync(struct fs *fs, struct fs_file *f);
void fs_sync_dir(struct fs *fs, const char *dir);
/** Everything becomes durable. */
void fs_settle(struct fs *fs);
/** The kernel's answer to a failed sync: what was pending counts as written, and is not. */
void fs_lose(struct fs *fs, struct fs_file *f);
/** Power fails: what is not synced survives as @p seed says. */
void fs_crash(struct fs *fs, uint64_t seed);
/** The last name or open handle may be gone. */
void fs_drop(struct fs_file *f);

#endif
