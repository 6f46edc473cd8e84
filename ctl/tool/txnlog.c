/* SPDX-License-Identifier: Apache-2.0 */
/* `zokorctl txnlog`: what TxnLogToolkit and LogFormatter do. */
#include "core/store/txnlog.h"

#include "ctl/tool/out.h"
#include "ctl/tool/scan.h"
#include "ctl/tool/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

enum { DATA_SHOWN_MAX = 60 };

/* ---- dump --------------------------------------------------------------------------------------
 */

static bool creates(int32_t type)
{
	return type == ZK_OP_CREATE || type == ZK_OP_CREATE2 || type == ZK_OP_CREATE_CONTAINER ||
	       type == ZK_OP_CREATE_TTL;
}

static bool has_data(int32_t type)
{
	return creates(type) || type == ZK_OP_SET_DATA || type == ZK_OP_RECONFIG;
}

static const char *version_name(int32_t type)
{
	if (creates(type))
		return "parentCVersion";
	if (type == ZK_OP_SET_ACL)
		return "aversion";
	return has_data(type) || type == ZK_OP_CHECK ? "version" : NULL;
}

static void print_op(const struct txn_op *op)
{
	fputs(op->name, stdout);
	if (op->path.p) {
		putchar(' ');
		out_text(stdout, op->path, SIZE_MAX);
	}
	if (has_data(op->type)) {
		if (op->data.p) {
			printf(" data[%zu] \"", op->data.n);
			out_text(stdout, op->data, DATA_SHOWN_MAX);
			putchar('"');
		} else {
			fputs(" data null", stdout);
		}
	}
	if (op->acl.n) {
		fputs(" acl [", stdout);
		out_acl(stdout, op->acl);
		putchar(']');
	}
	if (op->ephemeral)
		fputs(" ephemeral", stdout);
	if (op->type == ZK_OP_CREATE_TTL)
		printf(" ttl %" PRId64 " ms", op->ttl_ms);
	if (version_name(op->type))
		printf(" %s %d", version_name(op->type), op->version);
	if (op->type == ZK_OP_ERROR)
		printf(" %d", op->err);
	if (op->type == ZK_OP_CREATE_SESSION)
		printf(" timeout %d ms", op->timeout_ms);
}

static void print_list(const struct txn_op *op)
{
	struct jute_in in = txn_list_begin(op);
	struct txn_op one;
	struct zk_span path;

	if (op->type == ZK_OP_MULTI) {
		while (txn_multi_next(&in, &one)) {
			fputs("\n    ", stdout);
			print_op(&one);
		}
	} else if (op->type == ZK_OP_CLOSE_SESSION) {
		while (txn_path_next(&in, &path)) {
			fputs("\n    ", stdout);
			out_text(stdout, path, SIZE_MAX);
		}
	}
}

static void print_record(const struct txnlog_item *item)
{
	const struct txn_header *h = &item->txn.header;

	printf("%" PRIu64 " ", item->at);
	if (item->bad) {
		printf("%zu bytes damaged: %s\n", item->payload.n, store_bad_text(item->bad));
		return;
	}
	out_time(stdout, h->time_ms);
	printf(" session 0x%" PRIx64 " cxid 0x%x zxid 0x%" PRIx64 " ", h->client, (unsigned)h->cxid,
	       h->zxid);
	print_op(&item->txn.op);
	if (item->txn.has_digest)
		printf(" digest %d,0x%" PRIx64, item->txn.digest_version, item->txn.digest);
	print_list(&item->txn.op);
	putchar('\n');
}

static json_t *json_op(const struct txn_op *op)
{
	json_t *j = json_object(), *list;
	struct jute_in in = txn_list_begin(op);
	struct txn_op one;
	struct zk_span path;

	out_json_str(j, "type", op->name);
	if (op->path.p)
		out_json_set(j, "path", out_json_text(op->path));
	if (has_data(op->type))
		out_json_set(j, "data", out_json_data(op->data));
	if (op->acl.n)
		out_json_set(j, "acl", out_json_acl(op->acl));
	if (creates(op->type))
		out_json_set(j, "ephemeral", json_boolean(op->ephemeral));
	if (op->type == ZK_OP_CREATE_TTL)
		out_json_int(j, "ttl", op->ttl_ms);
	if (version_name(op->type))
		out_json_int(j, version_name(op->type), op->version);
	if (op->type == ZK_OP_ERROR)
		out_json_int(j, "err", op->err);
	if (op->type == ZK_OP_CREATE_SESSION)
		out_json_int(j, "timeout", op->timeout_ms);
	if (op->type == ZK_OP_MULTI) {
		list = json_array();
		while (txn_multi_next(&in, &one)) /* holds no further multi */
			json_array_append_new(list, json_op(&one));
		out_json_set(j, "ops", list);
	} else if (op->type == ZK_OP_CLOSE_SESSION && !op->no_list) {
		list = json_array();
		while (txn_path_next(&in, &path))
			json_array_append_new(list, out_json_text(path));
		out_json_set(j, "paths", list);
	}
	return j;
}

static void json_record(const struct txnlog_item *item)
{
	const struct txn_header *h = &item->txn.header;
	json_t *j = item->bad ? json_object() : json_op(&item->txn.op);

	out_json_int(j, "offset", (int64_t)item->at);
	if (item->bad) {
		out_json_str(j, "error", store_bad_text(item->bad));
		out_json_line(j);
		return;
	}
	out_json_int(j, "zxid", (int64_t)h->zxid);
	out_json_int(j, "session", (int64_t)h->client);
	out_json_int(j, "cxid", h->cxid);
	out_json_int(j, "time", h->time_ms);
	if (item->txn.has_digest) {
		out_json_int(j, "digestVersion", item->txn.digest_version);
		out_json_int(j, "digest", (int64_t)item->txn.digest);
	}
	out_json_line(j);
}

static void dump_visit(void *ctx, const struct txnlog_item *item, struct scan_error *error)
{
	(void)error;
	if (*(const bool *)ctx)
		json_record(item);
	else
		print_record(item);
}

static void complain(const char *path, const struct scan_error *e)
{
	fflush(stdout);
	fprintf(stderr, "%s: offset %" PRIu64 ": ", path, e->at);
	out_text(stderr, zk_span_str(e->text), SIZE_MAX);
	fputc('\n', stderr);
}

/* What is wrong beyond what the reader itself refuses. */
static void judge(struct log_report *rep)
{
	if (rep->error.bad)
		return;
	if (rep->behind)
		scan_fail(&rep->error, rep->behind_at,
			  "data behind the end of the log, which is at offset %" PRIu64 " (%s)",
			  rep->end_at, log_end_text(rep->end));
	else if (rep->gaps)
		scan_fail(&rep->error, rep->end_at,
			  "zxids are missing in %" PRIu64 " places, the first behind 0x%" PRIx64,
			  rep->gaps, rep->gap_after);
	else if (rep->out_of_order)
		scan_fail(&rep->error, rep->end_at,
			  "%" PRIu64 " records whose zxid is not above the one before",
			  rep->out_of_order);
}

static int dump(const char *path, bool json)
{
	struct log_report rep;

	log_scan(path, true, dump_visit, &json, &rep);
	judge(&rep);
	if (rep.error.bad)
		complain(path, &rep.error);
	else if (!json)
		printf("%" PRIu64 " end: %s\n", rep.end_at, log_end_text(rep.end));
	return rep.error.bad || rep.damaged ? TOOL_FAILED : TOOL_OK;
}

/* ---- verify ------------------------------------------------------------------------------------
 */

static int verify(const char *path, bool json)
{
	struct log_report rep;

	log_scan(path, false, NULL, NULL, &rep);
	judge(&rep);
	if (json) {
		json_t *j = json_object();

		out_json_str(j, "file", path);
		out_json_set(j, "ok", json_boolean(!rep.error.bad));
		out_json_int(j, "records", (int64_t)rep.records);
		out_json_int(j, "digests", (int64_t)rep.digests);
		out_json_int(j, "firstZxid", (int64_t)rep.first_zxid);
		out_json_int(j, "lastZxid", (int64_t)rep.last_zxid);
		if (rep.error.bad) {
			out_json_int(j, "offset", (int64_t)rep.error.at);
			out_json_str(j, "error", rep.error.text);
		} else {
			out_json_int(j, "end", (int64_t)rep.end_at);
			out_json_str(j, "endKind", log_end_text(rep.end));
		}
		out_json_line(j);
	} else if (!rep.error.bad) {
		printf("%s: sound, %" PRIu64 " records", path, rep.records);
		if (rep.records)
			printf(", zxid 0x%" PRIx64 " to 0x%" PRIx64, rep.first_zxid, rep.last_zxid);
		printf(", ends at offset %" PRIu64 ": %s\n", rep.end_at, log_end_text(rep.end));
	}
	if (rep.error.bad && !json)
		complain(path, &rep.error);
	return rep.error.bad ? TOOL_FAILED : TOOL_OK;
}

/* ---- recover -----------------------------------------------------------------------------------
 */

struct recovery {
	FILE *out;
	const char *from, *to;
	bool failed;
};

static void recover_visit(void *ctx, const struct txnlog_item *item, struct scan_error *error)
{
	struct recovery *rec = ctx;
	struct jute_out out;
	uint8_t *buf;
	size_t n;

	if (item->bad) {
		fprintf(stderr, "%s: offset %" PRIu64 ": %s, %zu bytes left out\n", rec->from,
			item->at, store_bad_text(item->bad), item->payload.n);
		return;
	}
	n = txnlog_record_bytes(item->payload.n, false);
	buf = out_alloc(n);
	out = jute_out_of(buf, n);
	txnlog_put_record(&out, item->payload, NULL); /* its digest is in the payload */
	if (fwrite(buf, 1, n, rec->out) != n) {
		fprintf(stderr, "%s: %s\n", rec->to, strerror(errno));
		rec->failed = true;
		scan_fail(error, item->at, "stopped");
	}
	free(buf);
}

static bool finish(struct recovery *rec)
{
	bool ok = !rec->failed && fflush(rec->out) == 0 && fsync(fileno(rec->out)) == 0;

	if (!ok && !rec->failed)
		fprintf(stderr, "%s: %s\n", rec->to, strerror(errno));
	return fclose(rec->out) == 0 && ok;
}

static int recover(const char *from, const char *to)
{
	struct recovery rec = {.from = from, .to = to};
	uint8_t head[TXNLOG_HEADER_BYTES];
	struct jute_out out = jute_out_of(head, sizeof(head));
	struct log_report rep;
	int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0 || !(rec.out = fdopen(fd, "w"))) {
		fprintf(stderr, "%s: %s\n", to, strerror(errno));
		return TOOL_FAILED;
	}
	txnlog_put_header(&out);
	rec.failed = fwrite(head, 1, sizeof(head), rec.out) != sizeof(head);
	log_scan(from, true, recover_visit, &rec, &rep);
	if (!finish(&rec))
		return TOOL_FAILED;
	judge(&rep);
	if (rep.error.bad)
		complain(from, &rep.error);
	printf("%s: %" PRIu64 " records, %" PRIu64 " left out\n", to, rep.records, rep.damaged);
	return rep.error.bad || rep.damaged ? TOOL_FAILED : TOOL_OK;
}

int txnlog_command(const char *command, const struct tool_args *args)
{
	int rc = TOOL_OK;

	if (strcmp(command, "recover") == 0 && args->n == 2 && !args->json)
		return recover(args->files[0], args->files[1]);
	if (strcmp(command, "dump") != 0 && strcmp(command, "verify") != 0)
		return TOOL_USAGE;
	for (int i = 0; i < args->n; i++) {
		int one = command[0] == 'd' ? dump(args->files[i], args->json)
					    : verify(args->files[i], args->json);

		rc = one > rc ? one : rc;
	}
	return rc;
}
