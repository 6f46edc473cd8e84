/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/quorum_reading.h"

#include "core/store/snap_check.h"

#include <stdio.h>
#include <string.h>

enum {
	PASS_BUDGET = 4096, /* transactions per call */
	PPM = 1000000,
};

/* How long what is committed may take to be in the file: another server's disk may be quicker. */
static const uint64_t patience_ns = UINT64_C(2000000000);

void quorum_reading_init(struct quorum_reading *r, const struct quorum_files *f, struct disk *d,
			 struct zk_mem *mem, uint64_t from, uint64_t bound)
{
	*r = (struct quorum_reading){.disk = d,
				     .mem = mem,
				     .from = from,
				     .bound = bound,
				     .snap_factor_ppm = f->conf.snap_factor_ppm,
				     .log.length_max = f->conf.length_max};
}

void quorum_reading_fini(struct quorum_reading *r)
{
	if (r->begun)
		log_cursor_close(&r->log);
	zk_mem_free(r->mem, r->first, r->first_cap);
}

static enum zk_err fail(struct quorum_reading *r, enum zk_err err, const char *why)
{
	snprintf(r->why, sizeof(r->why), "%s", why);
	return err;
}

/* ---- where to begin -------------------------------------------------------------------------- */

/* Of the newest that looks whole; 0 when there is none (ZKDatabase.calculateTxnLogSizeLimit). */
static enum zk_err snapshot_bytes(struct quorum_reading *r, uint64_t *bytes)
{
	struct store_files fs;
	enum zk_err err = store_files_list(&fs, r->mem, r->disk, DISK_DATA, STORE_SNAPSHOT);

	*bytes = 0;
	for (size_t i = fs.n; i > 0 && err == ZK_EOK; i--) {
		const struct store_file *f = &fs.v[i - 1];

		if (snap_check_ends(r->disk, f->text, f->name.pack, f->bytes) == ZK_EOK) {
			*bytes = f->bytes;
			break;
		}
	}
	store_files_free(&fs);
	return err == ZK_EOK ? ZK_EOK : fail(r, err, "the snapshots cannot be listed");
}

static enum zk_err check_size(struct quorum_reading *r)
{
	uint64_t limit, sum = 0;
	enum zk_err err = snapshot_bytes(r, &limit);

	if (err != ZK_EOK)
		return err;
	limit = (uint64_t)((double)limit * r->snap_factor_ppm / PPM);
	for (size_t i = r->file; i < r->log.logs.n && limit > 0 && sum <= limit; i++) {
		uint64_t used;

		err = log_cursor_used(&r->log, i, &used);
		if (err != ZK_EOK)
			return fail(r, err, r->log.why);
		sum += used;
	}
	if (limit == 0 || sum <= limit)
		return ZK_EOK;
	r->too_large = true;
	snprintf(r->why, sizeof(r->why), "more than %llu bytes of log: above snapshotSizeFactor",
		 (unsigned long long)limit);
	return ZK_ETOOBIG;
}

static enum zk_err begin(struct quorum_reading *r)
{
	enum zk_err err;

	if (r->snap_factor_ppm < 0)
		return fail(r, ZK_ENOTSUP, "snapshotSizeFactor is negative");
	r->begun = true;
	err = log_cursor_open(&r->log, r->disk, r->mem, r->log.length_max);
	if (err != ZK_EOK)
		return fail(r, err, r->log.why);
	if (r->log.logs.n == 0)
		return fail(r, ZK_ENOENT, "there is no log");
	r->file = log_cursor_find(&r->log, r->from);
	err = check_size(r);
	if (err != ZK_EOK)
		return err;
	err = log_cursor_goto(&r->log, r->file, LOG_CURSOR_NO_FLOOR);
	return err == ZK_EOK ? ZK_EAGAIN : fail(r, err, r->log.why);
}

/* The file holds nothing at or before `from`: perhaps nothing at all. */
static enum zk_err earlier(struct quorum_reading *r)
{
	enum zk_err err;

	r->pending = false;
	if (r->file == 0 || r->file > r->log.logs.n) {
		snprintf(r->why, sizeof(r->why), "the log begins behind 0x%llx",
			 (unsigned long long)r->from);
		return ZK_ENOENT;
	}
	err = log_cursor_goto(&r->log, --r->file, LOG_CURSOR_NO_FLOOR);
	return err == ZK_EOK ? ZK_EAGAIN : fail(r, err, r->log.why);
}

static enum zk_err keep_first(struct quorum_reading *r)
{
	struct zk_span txn = r->item.payload;

	if (txn.n > r->first_cap) {
		zk_mem_free(r->mem, r->first, r->first_cap);
		r->first_cap = 0;
		r->first = zk_mem_alloc(r->mem, 2 * txn.n);
		if (!r->first)
			return fail(r, ZK_ENOMEM, "out of memory");
		r->first_cap = 2 * txn.n;
	}
	memcpy(r->first, txn.p, txn.n);
	r->first_n = txn.n;
	r->first_zxid = r->item.txn.header.zxid;
	r->has_first = true;
	r->pending = false;
	return ZK_EAGAIN;
}

/* ---- sending --------------------------------------------------------------------------------- */

size_t quorum_reading_need(const struct quorum_reading *r)
{
	size_t need = QUORUM_FILES_CHUNK;

	if (r->has_first && quorum_txn_bytes(r->first_n) > need)
		need = quorum_txn_bytes(r->first_n);
	if (r->pending && quorum_txn_bytes(r->item.payload.n) > need)
		need = quorum_txn_bytes(r->item.payload.n);
	return need;
}

static bool put(struct quorum_reading *r, struct quorum_chunk *to, uint64_t zxid,
		struct zk_span txn)
{
	const struct quorum_txn_head head = {.zxid = zxid, .n = txn.n};
	size_t n = quorum_txn_bytes(txn.n);

	if (n > to->cap - to->n)
		return false;
	memcpy(to->bytes + to->n, &head, sizeof(head));
	memcpy(to->bytes + to->n + sizeof(head), txn.p, txn.n);
	to->n += n;
	r->txns++;
	return true;
}

/* The log ends here now, or seems to be damaged where it is just being written. */
static enum zk_err wait(struct quorum_reading *r, enum zk_err err, uint64_t now_ns)
{
	if (err == ZK_EEMPTY && (uint32_t)r->bound == 0)
		return ZK_ECLOSED; /* the beginning of an epoch is no transaction */
	if (err != ZK_EEMPTY && (err != ZK_EINVAL || !r->log.halved))
		return fail(r, err, r->log.why);
	if (r->patience_ns == 0)
		r->patience_ns = now_ns + patience_ns;
	if (now_ns < r->patience_ns)
		return ZK_EBUSY;
	if (err != ZK_EEMPTY)
		return fail(r, err, r->log.why);
	snprintf(r->why, sizeof(r->why), "the log ends with 0x%llx",
		 (unsigned long long)r->log.last);
	return ZK_ENOENT;
}

/* One transaction further. */
static enum zk_err step(struct quorum_reading *r, struct quorum_chunk *to, uint64_t now_ns)
{
	uint64_t zxid;

	if (r->sending && r->has_first) {
		if (r->first_zxid > r->bound)
			return ZK_ECLOSED;
		if (!put(r, to, r->first_zxid, zk_span_of(r->first, r->first_n)))
			return ZK_EFULL;
		r->has_first = false;
		if (r->first_zxid == r->bound)
			return ZK_ECLOSED;
	}
	if (!r->pending) {
		enum zk_err err = log_cursor_next(&r->log, &r->item);

		if (err == ZK_EEMPTY && !r->sending && !r->has_first)
			return earlier(r);
		if (err == ZK_EEMPTY && !r->sending) {
			r->sending = true;
			return ZK_EAGAIN;
		}
		if (err != ZK_EOK)
			return wait(r, err, now_ns);
		r->pending = true;
		r->patience_ns = 0;
	}
	zxid = r->item.txn.header.zxid;
	if (!r->sending) {
		if (zxid <= r->from)
			return keep_first(r);
		if (!r->has_first)
			return earlier(r);
		r->sending = true;
		return ZK_EAGAIN;
	}
	if (zxid > r->bound)
		return ZK_ECLOSED;
	if (!put(r, to, zxid, r->item.payload))
		return ZK_EFULL;
	r->pending = false;
	return zxid == r->bound ? ZK_ECLOSED : ZK_EAGAIN;
}

enum zk_err quorum_reading_next(struct quorum_reading *r, struct quorum_chunk *to, uint64_t now_ns)
{
	enum zk_err err = ZK_EAGAIN;

	if (!r->begun)
		return begin(r);
	for (unsigned i = 0; i < PASS_BUDGET && err == ZK_EAGAIN; i++)
		err = step(r, to, now_ns);
	return err == ZK_EFULL ? ZK_EAGAIN : err;
}
