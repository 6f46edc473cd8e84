/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/tool/scan.h"

#include "core/store/sum.h"
#include "ctl/common/stream.h"

#include <stdarg.h>
#include <stdio.h>

void scan_fail(struct scan_error *e, uint64_t at, const char *fmt, ...)
{
	va_list args;

	if (e->bad)
		return;
	e->bad = true;
	e->at = at;
	va_start(args, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, args);
	va_end(args);
}

/* ---- snapshots ---------------------------------------------------------------------------------
 */

static void count(struct snap_report *rep, enum snap_step step, const struct snap_item *item)
{
	switch (step) {
	case SNAP_SESSION:
		rep->sessions++;
		break;
	case SNAP_ACL:
		rep->acls++;
		break;
	case SNAP_NODE:
		if (rep->nodes++ == 0 && item->node.path.n)
			scan_fail(&rep->error, item->at, "the first node is not the root");
		rep->tree_digest +=
			store_node_digest(item->node.path, item->node.data, &item->node.stat);
		break;
	case SNAP_SEALED:
		if (rep->nodes == 0)
			scan_fail(&rep->error, item->at, "no nodes");
		break;
	case SNAP_DIGEST:
		rep->has_digest = true;
		rep->digest_zxid = item->digest.zxid;
		rep->digest_version = item->digest.version;
		rep->digest = item->digest.tree;
		break;
	case SNAP_LAST_ZXID:
		rep->has_last_zxid = true;
		rep->last_zxid = item->last_zxid;
		break;
	default:
		break;
	}
}

/* The last bytes are a seal, else Apache does not even look at the file. */
static void check_tail(struct stream *s, struct snap_report *rep)
{
	struct zk_span w;

	while (!s->eof) {
		if (!stream_more(s)) {
			scan_fail(&rep->error, s->at, "%s", s->error);
			return;
		}
	}
	w = stream_window(s);
	rep->rest = w.n;
	if (w.n &&
	    (w.n < STORE_VALID_TAIL ||
	     !store_snapshot_plausible(STORE_PLAIN, s->at + w.n, w,
				       zk_span_of(w.p + w.n - STORE_VALID_TAIL, STORE_VALID_TAIL))))
		scan_fail(&rep->error, s->at, "%zu bytes behind the last seal", w.n);
}

static bool snap_items(struct stream *s, snap_visit *visit, void *ctx, struct snap_report *rep)
{
	struct snap_reader r;
	struct snap_item item;

	snap_reader_init(&r, SCAN_LENGTH_MAX);
	while (!rep->error.bad) {
		enum snap_step step = snap_next(&r, stream_window(s), s->eof, &item);

		stream_move(s, r.at);
		switch (step) {
		case SNAP_MORE:
			if (!stream_more(s))
				scan_fail(&rep->error, s->at + stream_window(s).n, "%s", s->error);
			break;
		case SNAP_BAD:
			scan_fail(&rep->error, item.at, "%s", store_bad_text(item.bad));
			break;
		case SNAP_END:
			check_tail(s, rep);
			rep->bytes = r.at + rep->rest;
			return !rep->error.bad;
		default:
			count(rep, step, &item);
			if (visit)
				visit(ctx, step, &item, &rep->error);
		}
	}
	return false;
}

bool snap_scan(const char *path, snap_visit *visit, void *ctx, struct snap_report *rep)
{
	struct stream s;
	bool ok;

	*rep = (struct snap_report){0};
	if (!stream_open(&s, path)) {
		scan_fail(&rep->error, 0, "%s", s.error);
		return false;
	}
	ok = snap_items(&s, visit, ctx, rep);
	stream_close(&s);
	return ok;
}

/* ---- logs --------------------------------------------------------------------------------------
 */

const char *log_end_text(enum txnlog_end end)
{
	switch (end) {
	case TXNLOG_END_FILE:
		return "end of file";
	case TXNLOG_END_PADDING:
		return "preallocated space";
	case TXNLOG_END_TORN:
		return "the file ends inside a record";
	default:
		return "a record without its end byte";
	}
}

bool zxid_follows(uint64_t last, uint64_t next)
{
	return next == last + 1 || (next >> 32 > last >> 32 && (uint32_t)next <= 1);
}

static void count_record(struct log_report *rep, const struct txnlog_item *item)
{
	uint64_t zxid = item->txn.header.zxid;

	rep->digests += item->txn.has_digest;
	if (rep->records == 0) {
		rep->first_zxid = zxid;
	} else if (zxid <= rep->last_zxid) {
		rep->out_of_order++;
	} else if (!zxid_follows(rep->last_zxid, zxid)) {
		if (rep->gaps++ == 0)
			rep->gap_after = rep->last_zxid;
	}
	rep->records++;
	rep->last_zxid = zxid;
}

/* Does a whole record lie somewhere behind @p at? Then not a torn write but a damaged length ended
 * the log. */
static bool find_record(const struct stream *s, uint64_t at, uint64_t *found)
{
	struct zk_span w = stream_window(s);

	for (uint64_t i = at + 1 - s->at; i + TXNLOG_FRAME_BYTES + TXN_HEADER_BYTES <= w.n; i++) {
		uint32_t n = zk_get32(w.p + i + 8);
		struct zk_span payload = {w.p + i + TXNLOG_HEAD_BYTES, n};

		if (zk_get32(w.p + i) != 0 || n < TXN_HEADER_BYTES ||
		    n > w.n - i - TXNLOG_FRAME_BYTES || payload.p[n] != TXNLOG_END_BYTE)
			continue;
		if (txn_op_name((int32_t)zk_get32(payload.p + TXN_TYPE_AT)) &&
		    zk_get64(w.p + i) == store_adler32(STORE_ADLER32_INIT, payload)) {
			*found = s->at + i;
			return true;
		}
	}
	return false;
}

/* What lies behind the end should be zeros, or nothing. */
static void look_behind(struct stream *s, const struct txnlog_item *item, struct log_report *rep)
{
	uint64_t from = item->next;

	if (item->end == TXNLOG_END_TORN || item->end == TXNLOG_END_BYTE_MISSING)
		rep->behind = find_record(s, item->at, &rep->behind_at);
	if (rep->behind || item->end == TXNLOG_END_TORN)
		return;
	for (;;) {
		struct zk_span w = stream_window(s);
		uint64_t i = from > s->at ? from - s->at : 0;

		for (; i < w.n; i++) {
			if (w.p[i]) {
				rep->behind = true;
				rep->behind_at = s->at + i;
				return;
			}
		}
		stream_move(s, s->at + w.n);
		if (s->eof)
			return;
		if (!stream_more(s)) {
			scan_fail(&rep->error, s->at, "%s", s->error);
			return;
		}
	}
}

static bool passable(enum store_bad bad)
{
	return bad == STORE_BAD_SUM || bad == STORE_BAD_TXN || bad == STORE_BAD_TYPE;
}

static bool log_items(struct stream *s, bool damaged, log_visit *visit, void *ctx,
		      struct log_report *rep)
{
	struct txnlog_reader r;
	struct txnlog_item item;

	txnlog_reader_init(&r, SCAN_LENGTH_MAX);
	while (!rep->error.bad) {
		enum txnlog_step step = txnlog_next(&r, stream_window(s), s->eof, &item);

		if (step == TXNLOG_MORE) {
			stream_move(s, r.at);
			if (!stream_more(s))
				scan_fail(&rep->error, s->at + stream_window(s).n, "%s", s->error);
		} else if (step == TXNLOG_END) {
			rep->end = item.end;
			rep->end_at = item.at;
			look_behind(s, &item, rep);
			if (r.version != TXNLOG_VERSION)
				scan_fail(&rep->error, 4, "%s %u",
					  store_bad_text(STORE_BAD_VERSION), r.version);
			return !rep->error.bad;
		} else if (step == TXNLOG_RECORD || (damaged && passable(item.bad))) {
			if (step == TXNLOG_RECORD)
				count_record(rep, &item);
			else {
				rep->damaged++;
				rep->damaged_bytes += item.next - item.at;
				txnlog_pass(&r, &item);
			}
			if (visit)
				visit(ctx, &item, &rep->error);
			stream_move(s, r.at);
		} else {
			scan_fail(&rep->error, item.at, "%s", store_bad_text(item.bad));
		}
	}
	return false;
}

bool log_scan(const char *path, bool damaged, log_visit *visit, void *ctx, struct log_report *rep)
{
	struct stream s;
	bool ok;

	*rep = (struct log_report){0};
	if (!stream_open(&s, path)) {
		scan_fail(&rep->error, 0, "%s", s.error);
		return false;
	}
	ok = log_items(&s, damaged, visit, ctx, rep);
	stream_close(&s);
	return ok;
}
