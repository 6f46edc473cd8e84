/* SPDX-License-Identifier: Apache-2.0 */
/* `zokorctl snapshot`: what SnapshotFormatter does, and a verdict. */
#include "ctl/tool/snapshot.h"

#include "core/store/name.h"
#include "ctl/tool/out.h"
#include "ctl/tool/tool.h"

#include <inttypes.h>

enum { DATA_SHOWN_MAX = 60 };

uint64_t snapshot_name_zxid(const char *path, bool *named)
{
	const char *slash = strrchr(path, '/');
	struct store_name name = {0};

	*named = store_name_parse(zk_span_str(slash ? slash + 1 : path), &name) &&
		 name.kind == STORE_SNAPSHOT;
	return *named ? name.zxid : 0;
}

/* The digest is taken when the writer ends. Only if nothing was applied meanwhile does it belong to
 * exactly these nodes; zxid 0 says that nothing had been applied since the start. */
const char *snapshot_digest_verdict(const char *path, const struct snap_report *rep)
{
	bool named;
	uint64_t zxid = snapshot_name_zxid(path, &named);

	if (!rep->has_digest || rep->digest_version != TXN_DIGEST_VERSION ||
	    (rep->digest_zxid == 0 && rep->digest == 0))
		return "none";
	if (rep->digest == rep->tree_digest)
		return "equal";
	return named && rep->digest_zxid == zxid ? "differs" : "fuzzy";
}

struct model *snapshot_load(const char *path, struct snap_report *rep)
{
	struct model *m = model_new();

	snap_scan(path, model_load, m, rep);
	if (!rep->error.bad && strcmp(snapshot_digest_verdict(path, rep), "differs") == 0)
		scan_fail(&rep->error, rep->bytes,
			  "the digest of the tree is 0x%" PRIx64 ", the file says 0x%" PRIx64,
			  rep->tree_digest, rep->digest);
	return m;
}

void snapshot_complain(const char *path, const struct scan_error *e)
{
	fflush(stdout);
	fprintf(stderr, "%s: offset %" PRIu64 ": ", path, e->at);
	out_text(stderr, zk_span_str(e->text), SIZE_MAX);
	fputc('\n', stderr);
}

/* ---- dump --------------------------------------------------------------------------------------
 */

struct dump {
	struct model *model;
	bool json;
};

static struct zk_span shown_path(const struct model_node *n)
{
	return n->path.n ? n->path : zk_span_str("/");
}

static void print_node(const struct model_node *n)
{
	const struct store_stat *st = &n->stat;

	out_text(stdout, shown_path(n), SIZE_MAX);
	printf("\n  czxid 0x%" PRIx64 " mzxid 0x%" PRIx64 " pzxid 0x%" PRIx64 "\n  ctime ",
	       st->czxid, st->mzxid, st->pzxid);
	out_time(stdout, st->ctime);
	fputs(" mtime ", stdout);
	out_time(stdout, st->mtime);
	printf("\n  version %d cversion %d aversion %d owner 0x%" PRIx64 "\n  acl ", st->version,
	       st->cversion, st->aversion, st->owner);
	if (n->acl.p)
		out_acl(stdout, n->acl);
	else
		fputs("31 world:anyone", stdout);
	if (n->data.p) {
		printf("\n  data[%zu] \"", n->data.n);
		out_text(stdout, n->data, DATA_SHOWN_MAX);
		fputs("\"\n", stdout);
	} else {
		fputs("\n  data null\n", stdout);
	}
}

static json_t *open_acl(void)
{
	static const uint8_t world[] = {0, 0, 0, 1,   0,   0,   0,   31,  0,
					0, 0, 5, 'w', 'o', 'r', 'l', 'd', 0,
					0, 0, 6, 'a', 'n', 'y', 'o', 'n', 'e'};

	return out_json_acl(zk_span_of(world, sizeof(world)));
}

static void json_node(const struct model_node *n)
{
	const struct store_stat *st = &n->stat;
	json_t *j = json_object();

	out_json_set(j, "path", out_json_text(shown_path(n)));
	out_json_set(j, "data", out_json_data(n->data));
	out_json_set(j, "acl", n->acl.p ? out_json_acl(n->acl) : open_acl());
	out_json_int(j, "czxid", (int64_t)st->czxid);
	out_json_int(j, "mzxid", (int64_t)st->mzxid);
	out_json_int(j, "pzxid", (int64_t)st->pzxid);
	out_json_int(j, "ctime", st->ctime);
	out_json_int(j, "mtime", st->mtime);
	out_json_int(j, "version", st->version);
	out_json_int(j, "cversion", st->cversion);
	out_json_int(j, "aversion", st->aversion);
	out_json_int(j, "ephemeralOwner", (int64_t)st->owner);
	out_json_line(j);
}

static void dump_session(const struct dump *d, const struct snap_item *item)
{
	if (d->json) {
		json_t *j = json_object();

		out_json_int(j, "session", (int64_t)item->session.id);
		out_json_int(j, "timeout", item->session.timeout_ms);
		out_json_line(j);
	} else {
		printf("session 0x%" PRIx64 " timeout %d ms\n", item->session.id,
		       item->session.timeout_ms);
	}
}

static void dump_visit(void *ctx, enum snap_step step, const struct snap_item *item,
		       struct scan_error *error)
{
	const struct dump *d = ctx;

	model_load(d->model, step, item, error);
	if (error->bad)
		return;
	if (step == SNAP_SESSION)
		dump_session(d, item);
	else if (step == SNAP_NODE && d->json)
		json_node(model_find(d->model, item->node.path));
	else if (step == SNAP_NODE)
		print_node(model_find(d->model, item->node.path));
}

static int dump(const char *path, bool json)
{
	struct dump d = {.model = model_new(), .json = json};
	struct snap_report rep;

	snap_scan(path, dump_visit, &d, &rep);
	model_free(d.model);
	if (rep.error.bad)
		snapshot_complain(path, &rep.error);
	return rep.error.bad ? TOOL_FAILED : TOOL_OK;
}

/* ---- verify ------------------------------------------------------------------------------------
 */

static void json_report(const char *path, const struct snap_report *rep)
{
	json_t *j = json_object();

	out_json_str(j, "file", path);
	out_json_set(j, "ok", json_boolean(!rep->error.bad));
	out_json_int(j, "sessions", (int64_t)rep->sessions);
	out_json_int(j, "acls", (int64_t)rep->acls);
	out_json_int(j, "nodes", (int64_t)rep->nodes);
	out_json_int(j, "treeDigest", (int64_t)rep->tree_digest);
	out_json_str(j, "digestVerdict", snapshot_digest_verdict(path, rep));
	if (rep->has_digest) {
		out_json_int(j, "digestZxid", (int64_t)rep->digest_zxid);
		out_json_int(j, "digest", (int64_t)rep->digest);
	}
	if (rep->has_last_zxid)
		out_json_int(j, "lastZxid", (int64_t)rep->last_zxid);
	if (rep->error.bad) {
		out_json_int(j, "offset", (int64_t)rep->error.at);
		out_json_str(j, "error", rep->error.text);
	}
	out_json_line(j);
}

static int verify(const char *path, bool json)
{
	struct snap_report rep;
	struct model *m = snapshot_load(path, &rep);

	model_free(m);
	if (json) {
		json_report(path, &rep);
	} else if (rep.error.bad) {
		snapshot_complain(path, &rep.error);
	} else {
		printf("%s: sound, %" PRIu64 " nodes, %" PRIu64 " sessions, %" PRIu64
		       " ACL lists, tree digest 0x%" PRIx64 " (stored: %s)",
		       path, rep.nodes, rep.sessions, rep.acls, rep.tree_digest,
		       snapshot_digest_verdict(path, &rep));
		if (rep.has_last_zxid)
			printf(", last zxid 0x%" PRIx64, rep.last_zxid);
		if (rep.rest)
			printf(", %" PRIu64 " unknown bytes at the end", rep.rest);
		putchar('\n');
	}
	return rep.error.bad ? TOOL_FAILED : TOOL_OK;
}

int snapshot_command(const char *command, const struct tool_args *args)
{
	int rc = TOOL_OK;

	if (strcmp(command, "diff") == 0)
		return args->n == 2 ? snapshot_diff(args) : TOOL_USAGE;
	if (strcmp(command, "top") == 0)
		return snapshot_top(args);
	if (strcmp(command, "dump") != 0 && strcmp(command, "verify") != 0)
		return TOOL_USAGE;
	for (int i = 0; i < args->n; i++) {
		int one = command[0] == 'd' ? dump(args->files[i], args->json)
					    : verify(args->files[i], args->json);

		rc = one > rc ? one : rc;
	}
	return rc;
}
