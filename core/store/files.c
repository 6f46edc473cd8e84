/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/files.h"

enum { FIRST = 64, BACK_BYTES = 64 << 10 };

struct taking {
	struct store_files *fs;
	enum store_kind kind;
	bool full;
};

static bool grow(struct store_files *fs)
{
	size_t max = fs->max ? 2 * fs->max : FIRST;
	struct store_file *v = zk_mem_alloc(fs->mem, max * sizeof(*v));

	if (!v)
		return false;
	if (fs->n)
		memcpy(v, fs->v, fs->n * sizeof(*v));
	zk_mem_free(fs->mem, fs->v, fs->max * sizeof(*v));
	fs->v = v;
	fs->max = max;
	return true;
}

static bool take(void *arg, const char *name, uint64_t bytes)
{
	struct taking *t = arg;
	struct store_files *fs = t->fs;
	struct store_file f = {.bytes = bytes};
	size_t n = strlen(name), i;

	if (n >= sizeof(f.text) || !store_name_parse(zk_span_of(name, n), &f.name) ||
	    f.name.kind != t->kind)
		return true;
	if (fs->n == fs->max && !grow(fs)) {
		t->full = true;
		return false;
	}
	memcpy(f.text, name, n + 1);
	/* in its place: a directory has few of them */
	for (i = fs->n++; i > 0 && fs->v[i - 1].name.zxid > f.name.zxid; i--)
		fs->v[i] = fs->v[i - 1];
	fs->v[i] = f;
	return true;
}

enum zk_err store_files_list(struct store_files *fs, struct zk_mem *mem, struct disk *d,
			     enum disk_dir dir, enum store_kind kind)
{
	struct taking t = {.fs = fs, .kind = kind};
	enum zk_err err;

	*fs = (struct store_files){.mem = mem};
	err = disk_list(d, dir, take, &t);
	return err == ZK_EOK && t.full ? ZK_ENOMEM : err;
}

void store_files_free(struct store_files *fs)
{
	if (fs->v)
		zk_mem_free(fs->mem, fs->v, fs->max * sizeof(*fs->v));
	fs->v = NULL;
	fs->n = fs->max = 0;
}

enum zk_err store_bytes_used(struct disk *d, int file, uint64_t *end)
{
	uint8_t buf[BACK_BYTES];
	uint64_t size = 0;
	enum zk_err err = disk_size(d, file, &size);

	while (err == ZK_EOK && size > 0) {
		size_t n = size < sizeof(buf) ? (size_t)size : sizeof(buf), got = 0;

		err = disk_read(d, file, size - n, buf, n, &got);
		size -= n;
		while (got > 0 && buf[got - 1] == 0)
			got--;
		if (got > 0) {
			size += got;
			break;
		}
	}
	*end = size;
	return err;
}
