/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/tool/check.h"

#include "core/store/replace.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

enum { SMALL_MAX = 64, PROBLEM_MAX = 512 };

void check_problem(struct check *c, const char *path, const char *fmt, ...)
{
	char text[PROBLEM_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	c->problems++;
	if (c->json) {
		json_t *j = json_object();

		out_json_str(j, "file", path);
		out_json_str(j, "error", text);
		json_array_append_new(c->json_problems, j);
		return;
	}
	fflush(stdout);
	fprintf(stderr, "%s: ", path);
	out_text(stderr, zk_span_str(text), SIZE_MAX);
	fputc('\n', stderr);
}

static void add(struct check_list *l, const struct store_name *name, const char *dir,
		const char *file)
{
	size_t n = strlen(dir) + strlen(file) + 2;
	char *path = out_alloc(n);

	snprintf(path, n, "%s/%s", dir, file);
	l->v = out_realloc(l->v, (l->n + 1) * sizeof(*l->v));
	l->v[l->n++] = (struct check_file){.name = *name, .path = path};
}

static int by_zxid(const void *a, const void *b)
{
	const struct check_file *x = a, *y = b;

	return x->name.zxid != y->name.zxid
		       ? (x->name.zxid > y->name.zxid) - (x->name.zxid < y->name.zxid)
		       : strcmp(x->path, y->path);
}

/* @p kind: what belongs here; the other kind is a problem when @p strict. */
static bool read_dir(struct check *c, const char *dir, enum store_kind kind, bool strict)
{
	struct check_list *l = kind == STORE_LOG ? &c->logs : &c->snapshots;
	DIR *d = opendir(dir);

	if (!d) {
		fprintf(stderr, "%s: %s\n", dir, strerror(errno));
		return false;
	}
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		struct store_name name = {.kind = STORE_SNAPSHOT};

		if (kind == STORE_SNAPSHOT && replace_name_parse(e->d_name, &name.zxid)) {
			add(&c->whole, &name, dir, e->d_name);
			continue;
		}
		if (!store_name_parse(zk_span_str(e->d_name), &name) || name.suffix)
			continue;
		if (name.kind == kind)
			add(l, &name, dir, e->d_name);
		else if (strict)
			check_problem(c, dir, "%s in the folder of %s: the server refuses to start",
				      e->d_name, kind == STORE_LOG ? "logs" : "snapshots");
	}
	closedir(d);
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), by_zxid);
	return true;
}

static void version_dir(const char *dir, char out[CHECK_PATH_MAX])
{
	snprintf(out, CHECK_PATH_MAX, "%s/version-2", dir);
	if (access(out, F_OK) != 0)
		snprintf(out, CHECK_PATH_MAX, "%s", dir);
}

bool check_find(struct check *c, const char *dir, const char *logs)
{
	bool apart = logs && strcmp(logs, dir) != 0;

	version_dir(dir, c->data_dir);
	version_dir(logs ? logs : dir, c->log_dir);
	return read_dir(c, c->data_dir, STORE_SNAPSHOT, apart) &&
	       read_dir(c, c->log_dir, STORE_LOG, apart);
}

static void list_fini(struct check_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].path);
	free(l->v);
}

void check_fini(struct check *c)
{
	list_fini(&c->snapshots);
	list_fini(&c->logs);
	list_fini(&c->whole);
}

void check_replaced(struct check *c)
{
	if (c->whole.n == 0)
		return;
	for (size_t i = 0; i < c->whole.n; i++)
		check_problem(c, c->whole.v[i].path,
			      "a leader's snapshot that takes the place of %zu snapshots and %zu "
			      "logs was not finished: %s",
			      c->snapshots.n, c->logs.n,
			      c->whole.n > 1 ? "zokord refuses to start, as there is more than one"
					     : "zokord does that when it starts, nothing else may "
					       "start here before");
	list_fini(&c->snapshots);
	list_fini(&c->logs);
	c->snapshots = c->whole;
	c->logs = c->whole = (struct check_list){0};
}

/* ---- small files -------------------------------------------------------------------------------
 */

/* @return false: there is none, or it was reported. */
static bool read_number(struct check *c, const char *name, int64_t *out)
{
	char path[CHECK_PATH_MAX + 32], text[SMALL_MAX] = "";
	char *end;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", c->data_dir, name);
	f = fopen(path, "re");
	if (!f) {
		if (errno != ENOENT)
			check_problem(c, path, "%s", strerror(errno));
		return false;
	}
	if (!fgets(text, sizeof(text), f))
		text[0] = 0;
	fclose(f);
	text[strcspn(text, "\r\n")] = 0;
	errno = 0;
	*out = strtoll(text, &end, 10);
	if (errno || *end || end == text || text[0] == ' ' || text[0] == '\t') {
		check_problem(c, path, "not a number: \"%s\"", text);
		return false;
	}
	return true;
}

void check_small_files(struct check *c, uint64_t last_zxid)
{
	int64_t current, accepted, epoch = (int64_t)(last_zxid >> 32), myid;
	bool has_current = read_number(c, "currentEpoch", &current);
	bool has_accepted = read_number(c, "acceptedEpoch", &accepted);

	read_number(c, "../myid", &myid);
	if (has_current && epoch > current)
		check_problem(c, "currentEpoch",
			      "%" PRId64 " is below %" PRId64 ", the epoch of the last zxid",
			      current, epoch);
	if (has_current && has_accepted && accepted < current)
		check_problem(c, "acceptedEpoch", "%" PRId64 " is below currentEpoch %" PRId64,
			      accepted, current);
}
