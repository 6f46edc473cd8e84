/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/recover.h"

#include "core/store/recover_int.h"
#include "core/store/replace.h"
#include "core/store/snap_file.h"

#include <stdarg.h>
#include <stdio.h>

enum { FILES_FIRST = 64, SAVE_BYTES = 1 << 20, SAVE_NODES = 4096 };

void recover_say(struct recover *r, enum recover_level level, const char *fmt, ...)
{
	char line[RECOVER_LINE_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	r->conf->say(r->conf->ctx, level, line);
}

enum zk_err recover_fail(struct recover *r, enum zk_err err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(r->out->why, sizeof(r->out->why), fmt, ap);
	va_end(ap);
	return err;
}

void recover_mismatch(struct recover *r, uint64_t zxid)
{
	if (r->out->digest_mismatches++ == 0) {
		r->out->digest_mismatch_zxid = zxid;
		recover_say(r, RECOVER_ERROR, "digests do not match, first at zxid 0x%llx",
			    (unsigned long long)zxid);
	}
}

const char *recover_dir(struct recover *r, enum disk_dir dir)
{
	return disk_dir_text(r->conf->disk, dir);
}

/* ---- what is there ------------------------------------------------------------------------- */

struct lister {
	struct recover *r;
	enum disk_dir dir;
	bool both, no_memory; /* both: the two directories are one */
	const char *wrong;    /* a file that belongs in the other directory */
};

static bool list_add(struct recover *r, struct recover_list *l, const struct recover_file *f)
{
	if (l->n == l->max) {
		size_t max = l->max ? 2 * l->max : FILES_FIRST;
		struct recover_file *v = zk_mem_alloc(r->conf->mem, max * sizeof(*v));

		if (!v)
			return false;
		if (l->n)
			memcpy(v, l->v, l->n * sizeof(*v));
		zk_mem_free(r->conf->mem, l->v, l->max * sizeof(*v));
		l->v = v;
		l->max = max;
	}
	l->v[l->n++] = *f;
	return true;
}

static bool each(void *arg, const char *name, uint64_t bytes)
{
	struct lister *x = arg;
	struct recover_file f = {.bytes = bytes};
	bool snapshot;

	if (strlen(name) >= sizeof(f.text) || !store_name_parse(zk_span_str(name), &f.name))
		return true;
	memcpy(f.text, name, strlen(name) + 1);
	f.zxid = f.name.zxid;
	snapshot = f.name.kind == STORE_SNAPSHOT;
	if (snapshot != (x->dir == DISK_DATA)) {
		if (!x->both)
			x->wrong = snapshot ? "snapshot" : "log";
		return true;
	}
	/* Apache reads log.5.old like log.5, and so what is in it twice. */
	if (!snapshot && f.name.suffix) {
		recover_say(x->r, RECOVER_WARN, "%s is not read: not the name of a log", name);
		return true;
	}
	if (list_add(x->r, snapshot ? &x->r->snapshots : &x->r->logs, &f))
		return true;
	x->no_memory = true;
	return false;
}

/* Is @p a before @p b? Logs ascend; snapshots descend, a plain one first. */
static bool before(const struct recover_file *a, const struct recover_file *b)
{
	if (a->name.kind == STORE_LOG)
		return a->zxid < b->zxid;
	if (a->zxid != b->zxid)
		return a->zxid > b->zxid;
	if (a->name.suffix != b->name.suffix)
		return b->name.suffix;
	return a->name.pack < b->name.pack;
}

/* Shell's; the files of a directory are few. */
static void sort(struct recover_list *l)
{
	for (size_t gap = l->n / 2; gap > 0; gap /= 2) {
		for (size_t i = gap; i < l->n; i++) {
			struct recover_file f = l->v[i];
			size_t k = i;

			for (; k >= gap && before(&f, &l->v[k - gap]); k -= gap)
				l->v[k] = l->v[k - gap];
			l->v[k] = f;
		}
	}
}

static enum zk_err list(struct recover *r, enum disk_dir dir)
{
	struct disk *d = r->conf->disk;
	struct lister x = {.r = r, .dir = dir};
	enum zk_err err;

	x.both = strcmp(disk_dir_text(d, DISK_DATA), disk_dir_text(d, DISK_LOG)) == 0;
	err = disk_list(d, dir, each, &x);
	if (err != ZK_EOK)
		return recover_fail(r, err, "%s: %s", disk_dir_text(d, dir), disk_error_text(d));
	if (x.no_memory)
		return recover_fail(r, ZK_ENOMEM, "%s: out of memory", disk_dir_text(d, dir));
	if (x.wrong)
		return recover_fail(r, ZK_EINVAL,
				    "%s has %s files: are dataDir and dataLogDir right?",
				    disk_dir_text(d, dir), x.wrong);
	sort(dir == DISK_DATA ? &r->snapshots : &r->logs);
	return ZK_EOK;
}

/* ---- the whole ----------------------------------------------------------------------------- */

/* The operator's word that an empty database is right (zkServer-initialize.sh). */
static enum zk_err take_initialize(struct recover *r, bool *found)
{
	struct disk *d = r->conf->disk;
	enum zk_err err = disk_unlink(d, DISK_LOG_TOP, "initialize");

	*found = err == ZK_EOK;
	if (err == ZK_ENOENT)
		return ZK_EOK;
	if (err == ZK_EOK)
		err = disk_sync_dir(d, DISK_LOG_TOP);
	if (err != ZK_EOK)
		return recover_fail(r, err, "%s/initialize: %s", recover_dir(r, DISK_LOG_TOP),
				    disk_error_text(d));
	return ZK_EOK;
}

/* No snapshot at all, as the predefined nodes are in the tree. */
static enum zk_err without_snapshot(struct recover *r, bool initialize)
{
	const struct recover_conf *c = r->conf;

	tree_load_settle(r->tree);
	if (r->logs.n && !c->trust_empty)
		return recover_fail(r, ZK_EINVAL,
				    "%s has no snapshot, but %s has %s: the data are not complete "
				    "(snapshot.trust.empty=true takes the log for all of them)",
				    recover_dir(r, DISK_DATA), recover_dir(r, DISK_LOG),
				    r->logs.v[0].text);
	if (r->logs.n) {
		recover_say(r, RECOVER_WARN,
			    "no snapshot, the log is taken for all of the data: for upgrades only");
		return recover_logs(r);
	}
	if (initialize || c->autocreate)
		r->out->empty = true;
	else
		r->out->unknown = true;
	return ZK_EOK;
}

/* A snapshot that is newer than all that could be read: something between is lost. */
static enum zk_err nothing_newer(struct recover *r)
{
	uint64_t have = tree_last_zxid(r->tree);

	for (size_t i = 0; i < r->snapshots.n; i++) {
		const struct recover_file *f = &r->snapshots.v[i];

		if (f->zxid <= have || !f->complete)
			continue;
		if (!r->conf->trust_gaps)
			return recover_fail(
				r, ZK_EINVAL,
				"transactions 0x%llx to 0x%llx are missing: %s cannot be read, and "
				"the log ends before it (recovery.trustGaps=true starts all the "
				"same)",
				(unsigned long long)have + 1, (unsigned long long)f->zxid, f->text);
		recover_say(r, RECOVER_WARN, "transactions 0x%llx to 0x%llx are missing",
			    (unsigned long long)have + 1, (unsigned long long)f->zxid);
		break;
	}
	return ZK_EOK;
}

/* The state of a leader that was about to take the place of this one's. */
static enum zk_err finish_replacing(struct recover *r)
{
	struct replace_result res;
	enum zk_err err = replace_finish(r->conf->disk, r->conf->mem, &res);

	if (err != ZK_EOK)
		return recover_fail(r, err, "%s", res.why);
	if (res.found)
		recover_say(r, RECOVER_WARN,
			    "the leader's snapshot.%llx takes the place of what was here: %u "
			    "snapshots and %u logs removed",
			    (unsigned long long)res.zxid, res.snapshots, res.logs);
	return ZK_EOK;
}

static enum zk_err restore(struct recover *r)
{
	bool initialize;
	enum zk_err err = finish_replacing(r);

	if (err == ZK_EOK)
		err = list(r, DISK_DATA);
	if (err == ZK_EOK)
		err = list(r, DISK_LOG);
	if (err == ZK_EOK)
		err = take_initialize(r, &initialize);
	if (err != ZK_EOK)
		return err;
	err = recover_snapshot(r);
	if (err == ZK_ENOENT)
		return without_snapshot(r, initialize);
	if (err == ZK_EOK)
		err = recover_logs(r);
	if (err == ZK_EOK)
		err = nothing_newer(r);
	return err;
}

static void finish(struct recover *r)
{
	struct tree_stats st;
	uint64_t missing = tree_load_acls_missing(r->tree);

	if (missing)
		recover_say(r, RECOVER_WARN,
			    "%llu nodes name an ACL that neither snapshot nor log has: nobody but "
			    "the superuser may use them",
			    (unsigned long long)missing);
	if (r->digest)
		recover_say(r, RECOVER_WARN,
			    "the log does not reach zxid 0x%llx, where the snapshot's digest was "
			    "taken",
			    (unsigned long long)r->digest_zxid);
	if (r->conf->config.p)
		tree_load_config(r->tree, r->conf->config, r->conf->config_version,
				 r->conf->wall_ms);
	tree_load_close(r->tree);
	tree_stats_get(r->tree, &st);
	r->out->nodes = st.nodes;
	r->out->zxid = tree_last_zxid(r->tree);
}

enum zk_err recover_run(const struct recover_conf *conf, struct recover_result *out)
{
	struct recover r = {.conf = conf, .out = out, .tree = conf->tree};
	enum zk_err err;

	*out = (struct recover_result){0};
	err = recover_sessions_init(&r);
	if (err != ZK_EOK)
		return err;
	err = tree_load_open(conf->tree);
	if (err != ZK_EOK) {
		recover_sessions_fini(&r);
		return recover_fail(&r, err, "tree.memoryLimit is too small");
	}
	err = restore(&r);
	if (err == ZK_EOK)
		err = recover_sessions_end(&r);
	if (err == ZK_EOK)
		finish(&r);
	recover_sessions_fini(&r);
	zk_mem_free(conf->mem, r.snapshots.v, r.snapshots.max * sizeof(*r.snapshots.v));
	zk_mem_free(conf->mem, r.logs.v, r.logs.max * sizeof(*r.logs.v));
	return err;
}

void recover_free(const struct recover_conf *conf, struct recover_result *r)
{
	if (r->session)
		zk_mem_free(conf->mem, r->session, r->sessions_max * sizeof(*r->session));
	r->session = NULL;
	r->sessions = r->sessions_max = 0;
}

/* ---- the snapshot of a first start --------------------------------------------------------- */

static enum zk_err put_all(struct snap_file *f, struct snap_tree *s, uint8_t *buf)
{
	enum zk_err err = ZK_EAGAIN;

	f->step = "memory";
	while (err == ZK_EAGAIN || err == ZK_EFULL) {
		struct jute_out out = jute_out_of(buf, SAVE_BYTES);

		err = snap_tree_next(s, &out, SAVE_NODES);
		if (err == ZK_EFULL && s->need > SAVE_BYTES)
			return ZK_ETOOBIG;
		if (err != ZK_EOK && err != ZK_EAGAIN && err != ZK_EFULL)
			return err;

		enum zk_err put = snap_file_put(f, zk_span_of(buf, jute_out_len(&out)));

		if (put != ZK_EOK)
			return put;
	}
	return snap_file_commit(f);
}

static enum zk_err save_failed(struct recover *r, const struct snap_file *f, enum zk_err err)
{
	return recover_fail(r, err, "%s/snapshot.%llx: %s: %s", recover_dir(r, DISK_DATA),
			    (unsigned long long)r->out->zxid, f->step ? f->step : "open",
			    err == ZK_ENOMEM || err == ZK_ETOOBIG ? zk_err_text(err)
								  : disk_error_text(r->conf->disk));
}

enum zk_err recover_save(const struct recover_conf *conf, struct recover_result *out)
{
	struct recover r = {.conf = conf, .out = out, .tree = conf->tree};
	struct snap_file_conf fc = {.disk = conf->disk, .zxid = out->zxid};
	struct snap_tree_conf tc = {.tree = conf->tree,
				    .mem = conf->mem,
				    .zxid = out->zxid,
				    .session = out->session,
				    .sessions = out->sessions,
				    .digest = tree_digest_kept(conf->tree),
				    .last_zxid = conf->last_zxid};
	struct snap_file f = {0};
	struct snap_tree s;
	uint8_t *buf = zk_mem_alloc(conf->mem, SAVE_BYTES);
	enum zk_err err;

	if (!buf || snap_tree_init(&s, &tc) != ZK_EOK) {
		zk_mem_free(conf->mem, buf, SAVE_BYTES);
		return recover_fail(&r, ZK_ENOMEM, "out of memory for a snapshot");
	}
	err = snap_file_open(&f, &fc);
	if (err == ZK_EOK) {
		err = put_all(&f, &s, buf);
		if (err != ZK_EOK)
			snap_file_abort(&f);
	}
	if (err != ZK_EOK)
		err = save_failed(&r, &f, err);
	snap_tree_fini(&s);
	zk_mem_free(conf->mem, buf, SAVE_BYTES);
	return err;
}
