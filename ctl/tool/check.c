/* SPDX-License-Identifier: Apache-2.0 */
/* `zokorctl data check`: would a server start on this directory, and with what? */
#include "ctl/tool/check.h"

#include "ctl/tool/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* ---- the state that the server would start with ------------------------------------------------
 */

struct replay {
	struct check *check;
	struct model *model;
	const char *path;
	uint64_t from;          /* zxid of the snapshot's name */
	uint64_t digests_after; /* digests are compared behind this zxid */
	uint64_t records, compared, mismatches, gaps;
	uint64_t last_zxid;
};

static void replay_visit(void *ctx, const struct txnlog_item *item, struct scan_error *error)
{
	struct replay *p = ctx;
	uint64_t zxid = item->txn.header.zxid;

	(void)error;
	if (zxid <= p->from)
		return;
	if (zxid > p->last_zxid && !zxid_follows(p->last_zxid, zxid)) {
		p->gaps++;
		check_problem(p->check, p->path,
			      "offset %" PRIu64 ": zxid 0x%" PRIx64 " comes after 0x%" PRIx64
			      ": what is between is missing",
			      item->at, zxid, p->last_zxid);
	}
	if (zxid > p->last_zxid)
		p->last_zxid = zxid;
	model_apply(p->model, &item->txn);
	p->records++;
	if (!item->txn.has_digest || item->txn.digest_version != TXN_DIGEST_VERSION ||
	    zxid <= p->digests_after)
		return;
	p->compared++;
	if (item->txn.digest != p->model->digest && p->mismatches++ == 0)
		check_problem(p->check, p->path,
			      "offset %" PRIu64 ": zxid 0x%" PRIx64
			      ": the digest of the tree is 0x%" PRIx64 ", the log says 0x%" PRIx64,
			      item->at, zxid, p->model->digest, item->txn.digest);
}

/* The newest snapshot that loads; the others are looked at too. */
static struct model *load_newest(struct check *c, struct replay *p)
{
	struct model *best = NULL;

	for (size_t i = c->snapshots.n; i-- > 0;) {
		struct check_file *f = &c->snapshots.v[i];
		struct snap_report rep;
		struct model *m = snapshot_load(f->path, &rep);

		f->ok = !rep.error.bad;
		if (!f->ok)
			check_problem(c, f->path, "offset %" PRIu64 ": %s", rep.error.at,
				      rep.error.text);
		if (f->ok && !best) {
			best = m;
			p->from = p->last_zxid = f->name.zxid;
			/* the writer may have gone on past the zxid of the name */
			p->digests_after = p->from;
			if (rep.has_digest && rep.digest_zxid > p->digests_after)
				p->digests_after = rep.digest_zxid;
			if (rep.has_last_zxid && rep.last_zxid > p->digests_after)
				p->digests_after = rep.last_zxid;
			p->path = f->path;
		} else {
			model_free(m);
		}
	}
	return best;
}

static bool any_record(const struct check *c)
{
	bool any = false;

	for (size_t i = 0; i < c->logs.n && !any; i++) {
		struct log_report rep;

		log_scan(c->logs.v[i].path, false, NULL, NULL, &rep);
		any = rep.records > 0;
	}
	return any;
}

static void check_log(struct check *c, struct replay *p, size_t i, bool needed)
{
	struct check_file *f = &c->logs.v[i];
	struct log_report rep;

	p->path = f->path;
	log_scan(f->path, false, needed ? replay_visit : NULL, p, &rep);
	/* A crash at the very start of a file leaves it empty: deleted at start. */
	if (rep.error.bad && rep.records == 0 && i + 1 == c->logs.n &&
	    strcmp(rep.error.text, store_bad_text(STORE_BAD_EMPTY)) == 0)
		return;
	f->ok = !rep.error.bad && !rep.behind;
	if (rep.error.bad)
		check_problem(c, f->path, "offset %" PRIu64 ": %s", rep.error.at, rep.error.text);
	else if (rep.behind)
		check_problem(c, f->path,
			      "offset %" PRIu64
			      ": data behind the end of the log, which is at %" PRIu64 " (%s)",
			      rep.behind_at, rep.end_at, log_end_text(rep.end));
	if (rep.out_of_order)
		check_problem(c, f->path,
			      "%" PRIu64 " records whose zxid is not above the one before",
			      rep.out_of_order);
	if (rep.gaps && !needed)
		check_problem(c, f->path, "zxids are missing behind 0x%" PRIx64, rep.gap_after);
	if (rep.records && rep.first_zxid != f->name.zxid)
		check_problem(c, f->path, "its first zxid is 0x%" PRIx64, rep.first_zxid);
}

static void check_logs(struct check *c, struct replay *p)
{
	uint64_t *starts = out_alloc(c->logs.n * sizeof(*starts));
	size_t first;

	for (size_t i = 0; i < c->logs.n; i++)
		starts[i] = c->logs.v[i].name.zxid;
	first = store_logs_first(starts, c->logs.n, p->from);
	for (size_t i = 0; i < c->logs.n; i++)
		check_log(c, p, i, i >= first);
	free(starts);
}

/* Sessions that only their ephemerals know of: killed at start. */
static uint64_t count_orphans(const struct model *m)
{
	uint64_t n = 0;

	for (const struct model_node *at = m->root; at; at = model_next(at)) {
		uint64_t owner = model_owner(at->stat.owner);

		n += owner && !model_session_find(m, owner);
	}
	return n;
}

/* ---- the answer --------------------------------------------------------------------------------
 */

static void print_text(const struct check *c, const struct replay *p)
{
	const struct model *m = p->model;

	printf("%zu snapshots, %zu logs\n", c->snapshots.n, c->logs.n);
	if (!m) {
		printf("no snapshot to start from\n");
		return;
	}
	printf("start: snapshot 0x%" PRIx64 " and %" PRIu64 " records of the logs\n", p->from,
	       p->records);
	printf("state: zxid 0x%" PRIx64 ", %" PRIu64 " nodes, %" PRIu64
	       " sessions, tree digest 0x%" PRIx64 "\n",
	       p->last_zxid, m->nodes, m->sessions, m->digest);
	printf("digests: %" PRIu64 " compared, %" PRIu64 " mismatches\n", p->compared,
	       p->mismatches);
	if (m->refused)
		printf("%" PRIu64 " operations were in the snapshot already\n", m->refused);
	if (count_orphans(m))
		printf("%" PRIu64 " ephemerals without a session: removed at start\n",
		       count_orphans(m));
}

static void print_json(struct check *c, const struct replay *p)
{
	json_t *j = json_object();

	out_json_set(j, "ok", json_boolean(c->problems == 0));
	out_json_set(j, "problems", c->json_problems);
	out_json_int(j, "snapshots", (int64_t)c->snapshots.n);
	out_json_int(j, "logs", (int64_t)c->logs.n);
	if (p->model) {
		out_json_int(j, "snapshotZxid", (int64_t)p->from);
		out_json_int(j, "records", (int64_t)p->records);
		out_json_int(j, "zxid", (int64_t)p->last_zxid);
		out_json_int(j, "nodes", (int64_t)p->model->nodes);
		out_json_int(j, "sessions", (int64_t)p->model->sessions);
		out_json_int(j, "treeDigest", (int64_t)p->model->digest);
		out_json_int(j, "digestsCompared", (int64_t)p->compared);
		out_json_int(j, "digestMismatches", (int64_t)p->mismatches);
		out_json_int(j, "refused", (int64_t)p->model->refused);
		out_json_int(j, "orphans", (int64_t)count_orphans(p->model));
	}
	out_json_line(j);
}

static int check(const char *dir, const struct tool_args *args)
{
	struct check c = {.json = args->json, .json_problems = args->json ? json_array() : NULL};
	struct replay p = {.check = &c};

	if (!check_find(&c, dir, args->logs)) {
		check_fini(&c);
		json_decref(c.json_problems);
		return TOOL_FAILED;
	}
	check_replaced(&c);
	p.model = load_newest(&c, &p);
	if (p.model)
		check_logs(&c, &p);
	else if (c.snapshots.n)
		check_problem(&c, c.data_dir, "none of %zu snapshots can be loaded", c.snapshots.n);
	else if (any_record(&c))
		check_problem(&c, c.data_dir, "no snapshot, but there are log entries");
	check_small_files(&c, p.last_zxid);
	if (args->json)
		print_json(&c, &p);
	else
		print_text(&c, &p);
	if (p.model)
		model_free(p.model);
	check_fini(&c);
	return c.problems ? TOOL_FAILED : TOOL_OK;
}

int data_command(const char *command, const struct tool_args *args)
{
	if (strcmp(command, "check") != 0 || args->n != 1)
		return TOOL_USAGE;
	return check(args->files[0], args);
}
