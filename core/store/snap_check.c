/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/snap_check.h"

#include <stdio.h>

enum { WINDOW_FIRST = 256 << 10 };

enum zk_err snap_check_ends(struct disk *d, const char *name, enum store_pack pack, uint64_t bytes)
{
	uint8_t head[STORE_VALID_HEAD], tail[STORE_VALID_TAIL];
	size_t head_n = 0, tail_n = 0;
	int file;
	enum zk_err err = disk_open(d, DISK_DATA, name, DISK_READ, &file);

	if (err != ZK_EOK)
		return err;
	err = disk_read(d, file, 0, head, sizeof(head), &head_n);
	if (err == ZK_EOK && bytes >= sizeof(tail))
		err = disk_read(d, file, bytes - sizeof(tail), tail, sizeof(tail), &tail_n);
	disk_close(d, file);
	if (err != ZK_EOK)
		return err;
	return store_snapshot_plausible(pack, bytes, zk_span_of(head, head_n),
					zk_span_of(tail, tail_n))
		       ? ZK_EOK
		       : ZK_EINVAL;
}

static enum zk_err plain_read(void *ctx, void *to, size_t n, size_t *got,
			      char why[SNAP_SOURCE_WHY_MAX])
{
	struct snap_plain *p = ctx;
	enum zk_err err = disk_read(p->disk, p->file, p->at, to, n, got);

	if (err != ZK_EOK)
		snprintf(why, SNAP_SOURCE_WHY_MAX, "%s", disk_error_text(p->disk));
	else
		p->at += *got;
	return err;
}

enum zk_err snap_plain_open(struct snap_plain *p, struct disk *d, const char *name,
			    struct snap_source *source)
{
	enum zk_err err;

	*p = (struct snap_plain){.disk = d, .file = -1};
	*source = (struct snap_source){.ctx = p, .read = plain_read};
	err = disk_open(d, DISK_DATA, name, DISK_READ, &p->file);
	if (err != ZK_EOK)
		p->file = -1;
	return err;
}

void snap_plain_close(struct snap_plain *p)
{
	if (p->file >= 0)
		disk_close(p->disk, p->file);
	p->file = -1;
}

struct window {
	uint8_t *p;
	size_t cap, n;
	bool eof;
};

/* Drop the first @p used bytes and read on; larger when that leaves it full. */
static enum zk_err slide(struct window *w, size_t used, const struct snap_source *source,
			 struct zk_mem *mem, char *why)
{
	size_t got = 0;
	enum zk_err err;

	w->n -= used;
	if (w->n)
		memmove(w->p, w->p + used, w->n);
	if (w->n == w->cap) {
		uint8_t *p = zk_mem_alloc(mem, 2 * w->cap);

		if (!p) {
			snprintf(why, SNAP_SOURCE_WHY_MAX, "out of memory");
			return ZK_ENOMEM;
		}
		memcpy(p, w->p, w->n);
		zk_mem_free(mem, w->p, w->cap);
		w->p = p;
		w->cap *= 2;
	}
	err = source->read(source->ctx, w->p + w->n, w->cap - w->n, &got, why);
	w->n += got;
	w->eof = err == ZK_EOK && got == 0;
	return err;
}

static enum zk_err read_all(struct snap_reader *r, struct window *w,
			    const struct snap_source *source, struct zk_mem *mem, char *why)
{
	uint64_t from = 0; /* offset of the window */

	for (;;) {
		size_t off = (size_t)(r->at - from);
		struct snap_item it;
		enum zk_err err;

		switch (snap_next(r, zk_span_of(w->p + off, w->n - off), w->eof, &it)) {
		case SNAP_MORE:
			from = r->at;
			err = slide(w, off, source, mem, why);
			if (err != ZK_EOK)
				return err;
			break;
		case SNAP_BAD:
			snprintf(why, SNAP_SOURCE_WHY_MAX, "offset %llu: %s",
				 (unsigned long long)it.at, store_bad_text(it.bad));
			return ZK_EINVAL;
		case SNAP_END:
			return ZK_EOK;
		default:
			break;
		}
	}
}

enum zk_err snap_check_all(const struct snap_source *source, uint32_t length_max,
			   struct zk_mem *mem, char why[SNAP_SOURCE_WHY_MAX])
{
	struct window w = {.cap = WINDOW_FIRST};
	struct snap_reader r;
	enum zk_err err;

	snap_reader_init(&r, length_max);
	w.p = zk_mem_alloc(mem, w.cap);
	if (!w.p) {
		snprintf(why, SNAP_SOURCE_WHY_MAX, "out of memory");
		return ZK_ENOMEM;
	}
	err = read_all(&r, &w, source, mem, why);
	zk_mem_free(mem, w.p, w.cap);
	return err;
}
