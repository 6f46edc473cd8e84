/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/log_cursor.h"

#include <stdio.h>

enum { WINDOW_FIRST = 1 << 20 };

static enum zk_err disk_failed(struct log_cursor *c, const char *name, enum zk_err err)
{
	snprintf(c->why, sizeof(c->why), "%s%s%s: %s", disk_dir_text(c->disk, DISK_LOG),
		 name ? "/" : "", name ? name : "",
		 err == ZK_ENOMEM ? zk_err_text(err) : disk_error_text(c->disk));
	return err;
}

static const char *name_of(const struct log_cursor *c, size_t at)
{
	return c->logs.v[at].text;
}

/* ---- the files ------------------------------------------------------------------------------- */

static enum zk_err list(struct log_cursor *c, struct store_files *to)
{
	size_t n = 0;
	enum zk_err err = store_files_list(to, c->mem, c->disk, DISK_LOG, STORE_LOG);

	if (err != ZK_EOK) {
		store_files_free(to);
		return disk_failed(c, NULL, err);
	}
	for (size_t i = 0; i < to->n; i++)
		if (!to->v[i].name.suffix)
			to->v[n++] = to->v[i];
	to->n = n;
	return ZK_EOK;
}

enum zk_err log_cursor_open(struct log_cursor *c, struct disk *d, struct zk_mem *mem,
			    uint32_t length_max)
{
	*c = (struct log_cursor){
		.disk = d, .mem = mem, .length_max = length_max, .file = -1, .cap = WINDOW_FIRST};
	c->buf = zk_mem_alloc(mem, c->cap);
	if (!c->buf)
		return disk_failed(c, NULL, ZK_ENOMEM);
	return list(c, &c->logs);
}

static void close_file(struct log_cursor *c)
{
	if (c->file >= 0)
		disk_close(c->disk, c->file);
	c->file = -1;
}

void log_cursor_close(struct log_cursor *c)
{
	close_file(c);
	store_files_free(&c->logs);
	zk_mem_free(c->mem, c->buf, c->cap);
	c->buf = NULL;
}

size_t log_cursor_find(const struct log_cursor *c, uint64_t zxid)
{
	size_t at = 0;

	for (size_t i = 1; i < c->logs.n; i++)
		if (c->logs.v[i].name.zxid <= zxid)
			at = i;
	return at;
}

static void forget_window(struct log_cursor *c)
{
	c->base = c->reader.at;
	c->n = 0;
	c->eof = false;
}

static enum zk_err open_file(struct log_cursor *c, size_t at)
{
	enum zk_err err;

	close_file(c);
	c->at = at;
	err = disk_open(c->disk, DISK_LOG, name_of(c, at), DISK_READ, &c->file);
	if (err != ZK_EOK) {
		c->file = -1;
		return disk_failed(c, name_of(c, at), err);
	}
	txnlog_reader_init(&c->reader, c->length_max);
	c->known = false;
	forget_window(c);
	return ZK_EOK;
}

enum zk_err log_cursor_goto(struct log_cursor *c, size_t at, uint64_t floor)
{
	zk_assert(at < c->logs.n);
	c->any = floor == LOG_CURSOR_NO_FLOOR;
	c->floor = c->last = c->any ? 0 : floor;
	return open_file(c, at);
}

/* ---- the window ------------------------------------------------------------------------------ */

/* It begins at the reader's place from now on, and is larger. */
static enum zk_err more(struct log_cursor *c)
{
	size_t keep = c->n - (size_t)(c->reader.at - c->base), got;
	enum zk_err err;

	if (keep)
		memmove(c->buf, c->buf + (c->reader.at - c->base), keep);
	c->base = c->reader.at;
	c->n = keep;
	if (keep > c->cap / 2) {
		uint8_t *buf = zk_mem_alloc(c->mem, 2 * c->cap);

		if (!buf)
			return disk_failed(c, name_of(c, c->at), ZK_ENOMEM);
		memcpy(buf, c->buf, keep);
		zk_mem_free(c->mem, c->buf, c->cap);
		c->buf = buf;
		c->cap *= 2;
	}
	err = disk_read(c->disk, c->file, c->base + c->n, c->buf + c->n, c->cap - c->n, &got);
	if (err != ZK_EOK)
		return disk_failed(c, name_of(c, c->at), err);
	c->eof = got < c->cap - c->n;
	c->n += got;
	return ZK_EOK;
}

/* ---- transactions ---------------------------------------------------------------------------- */

/* The end of a file. A later one may have been begun since the list was made, and this one have got
 * its last transactions before that. @return ZK_EOK: go on reading; ZK_EEMPTY: it is the last. */
static enum zk_err ended(struct log_cursor *c)
{
	struct store_files now;
	uint64_t mine = c->logs.v[c->at].name.zxid;
	size_t at = 0;
	enum zk_err err;

	if (c->at + 1 < c->logs.n && c->known)
		return open_file(c, c->at + 1);
	forget_window(c);
	err = list(c, &now);
	if (err != ZK_EOK)
		return err;
	while (at < now.n && now.v[at].name.zxid != mine)
		at++;
	if (at == now.n) {
		store_files_free(&now);
		snprintf(c->why, sizeof(c->why), "%s/%s: gone while it was read",
			 disk_dir_text(c->disk, DISK_LOG), name_of(c, c->at));
		return ZK_ENOENT;
	}
	store_files_free(&c->logs);
	c->logs = now;
	c->at = at;
	c->known = at + 1 < now.n;
	return c->known ? ZK_EOK : ZK_EEMPTY;
}

static enum zk_err damaged(struct log_cursor *c, const struct txnlog_item *it)
{
	snprintf(c->why, sizeof(c->why), "%s/%s offset %llu: %s", disk_dir_text(c->disk, DISK_LOG),
		 name_of(c, c->at), (unsigned long long)it->at, store_bad_text(it->bad));
	forget_window(c);
	c->halved = c->at + 1 == c->logs.n;
	return ZK_EINVAL;
}

static enum zk_err taken(struct log_cursor *c, const struct txnlog_item *it)
{
	uint64_t zxid = it->txn.header.zxid;

	if (!c->any && zxid <= c->floor)
		return ZK_EOK;
	if (!c->any && !txnlog_follows(c->last, zxid)) {
		snprintf(c->why, sizeof(c->why),
			 "%s/%s offset %llu: zxid 0x%llx does not follow 0x%llx",
			 disk_dir_text(c->disk, DISK_LOG), name_of(c, c->at),
			 (unsigned long long)it->at, (unsigned long long)zxid,
			 (unsigned long long)c->last);
		c->reader.at = it->at; /* a later call says the same */
		forget_window(c);
		return ZK_EINVAL;
	}
	c->any = false;
	c->last = zxid;
	return ZK_EOK;
}

enum zk_err log_cursor_next(struct log_cursor *c, struct txnlog_item *out)
{
	enum zk_err err = ZK_EOK;

	zk_assert(c->file >= 0);
	c->halved = false;
	while (err == ZK_EOK) {
		size_t off = (size_t)(c->reader.at - c->base);

		switch (txnlog_next(&c->reader, zk_span_of(c->buf + off, c->n - off), c->eof,
				    out)) {
		case TXNLOG_RECORD:
			return taken(c, out);
		case TXNLOG_MORE:
			err = more(c);
			break;
		case TXNLOG_END:
			err = ended(c);
			break;
		default:
			/* A file that was made and no more; only the last may be so. */
			if (!c->reader.begun && out->bad != STORE_BAD_MAGIC &&
			    c->at + 1 == c->logs.n) {
				forget_window(c);
				return ZK_EEMPTY;
			}
			return damaged(c, out);
		}
	}
	return err;
}

/* ---- how much there is ----------------------------------------------------------------------- */

enum zk_err log_cursor_used(struct log_cursor *c, size_t at, uint64_t *end)
{
	int file;
	enum zk_err err = disk_open(c->disk, DISK_LOG, name_of(c, at), DISK_READ, &file);

	if (err == ZK_EOK) {
		err = store_bytes_used(c->disk, file, end);
		disk_close(c->disk, file);
	}
	return err == ZK_EOK ? ZK_EOK : disk_failed(c, name_of(c, at), err);
}
