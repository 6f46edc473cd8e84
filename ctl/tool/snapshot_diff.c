/* SPDX-License-Identifier: Apache-2.0 */
/* `zokorctl snapshot diff` and `top`: what SnapshotComparer and SnapshotRecursiveSummary are for.
 */
#include "ctl/tool/out.h"
#include "ctl/tool/snapshot.h"
#include "ctl/tool/tool.h"

#include <inttypes.h>
#include <stdlib.h>

static struct zk_span shown(const struct model_node *n)
{
	return n->path.n ? n->path : zk_span_str("/");
}

static struct model *load(const char *path, bool *ok)
{
	struct snap_report rep;
	struct model *m = snapshot_load(path, &rep);

	*ok = !rep.error.bad;
	if (rep.error.bad)
		snapshot_complain(path, &rep.error);
	return m;
}

/* ---- diff --------------------------------------------------------------------------------------
 */

struct diff {
	bool json;
	uint64_t count;
};

enum { FIELDS_MAX = 200 };

static void add_field(char fields[FIELDS_MAX], bool differs, const char *name)
{
	size_t n = strlen(fields);

	if (differs)
		snprintf(fields + n, FIELDS_MAX - n, "%s%s", n ? " " : "", name);
}

static void compare(const struct model_node *a, const struct model_node *b, char fields[FIELDS_MAX])
{
	const struct store_stat *x = &a->stat, *y = &b->stat;

	fields[0] = 0;
	add_field(fields, !zk_span_eq(a->data, b->data) || !a->data.p != !b->data.p, "data");
	add_field(fields, !zk_span_eq(a->acl, b->acl), "acl");
	add_field(fields, x->czxid != y->czxid, "czxid");
	add_field(fields, x->mzxid != y->mzxid, "mzxid");
	add_field(fields, x->pzxid != y->pzxid, "pzxid");
	add_field(fields, x->ctime != y->ctime, "ctime");
	add_field(fields, x->mtime != y->mtime, "mtime");
	add_field(fields, x->version != y->version, "version");
	add_field(fields, x->cversion != y->cversion, "cversion");
	add_field(fields, x->aversion != y->aversion, "aversion");
	add_field(fields, x->owner != y->owner, "ephemeralOwner");
}

/* @p what: "-" only in the first, "+" only in the second, "~" in both. */
static void report(struct diff *d, const char *what, const char *kind, json_t *id,
		   const char *fields)
{
	d->count++;
	if (d->json) {
		json_t *j = json_object();

		out_json_str(j, "diff", what);
		out_json_set(j, kind, id);
		if (fields)
			out_json_str(j, "fields", fields);
		out_json_line(j);
		return;
	}
	printf("%s ", what);
	if (json_is_integer(id))
		printf("session 0x%" PRIx64, (uint64_t)json_integer_value(id));
	else
		out_text(stdout, zk_span_str(json_string_value(id)), SIZE_MAX);
	printf("%s%s\n", fields ? ": " : "", fields ? fields : "");
	json_decref(id);
}

static void diff_nodes(struct diff *d, const struct model *a, const struct model *b)
{
	char fields[FIELDS_MAX];

	for (const struct model_node *n = a->root; n; n = model_next(n)) {
		struct model_node *other = model_find(b, n->path);

		if (!other) {
			report(d, "-", "path", out_json_text(shown(n)), NULL);
			continue;
		}
		other->seen = 1;
		compare(n, other, fields);
		if (fields[0])
			report(d, "~", "path", out_json_text(shown(n)), fields);
	}
	for (const struct model_node *n = b->root; n; n = model_next(n)) {
		if (!n->seen)
			report(d, "+", "path", out_json_text(shown(n)), NULL);
	}
}

static void diff_sessions(struct diff *d, const struct model *a, const struct model *b,
			  const char *what, bool both)
{
	for (unsigned i = 0; i < MODEL_BUCKETS; i++) {
		for (const struct model_session *s = a->session[i]; s; s = s->next) {
			const struct model_session *other = model_session_find(b, s->id);

			if (!other)
				report(d, what, "session", json_integer((json_int_t)s->id), NULL);
			else if (both && other->timeout_ms != s->timeout_ms)
				report(d, "~", "session", json_integer((json_int_t)s->id),
				       "timeout");
		}
	}
}

int snapshot_diff(const struct tool_args *args)
{
	struct diff d = {.json = args->json};
	bool ok_a, ok_b;
	struct model *a = load(args->files[0], &ok_a), *b = load(args->files[1], &ok_b);

	if (ok_a && ok_b) {
		diff_sessions(&d, a, b, "-", true);
		diff_sessions(&d, b, a, "+", false);
		diff_nodes(&d, a, b);
		if (!args->json)
			printf("%" PRIu64 " differences\n", d.count);
	}
	model_free(a);
	model_free(b);
	return ok_a && ok_b && d.count == 0 ? TOOL_OK : TOOL_FAILED;
}

/* ---- top ---------------------------------------------------------------------------------------
 */

static int by_data(const void *a, const void *b)
{
	const struct model_node *x = *(struct model_node *const *)a;
	const struct model_node *y = *(struct model_node *const *)b;

	return x->data.n != y->data.n ? (x->data.n < y->data.n) - (x->data.n > y->data.n)
				      : strncmp((const char *)x->path.p, (const char *)y->path.p,
						x->path.n < y->path.n ? x->path.n : y->path.n);
}

static int by_children(const void *a, const void *b)
{
	const struct model_node *x = *(struct model_node *const *)a;
	const struct model_node *y = *(struct model_node *const *)b;

	return x->children != y->children
		       ? (x->children < y->children) - (x->children > y->children)
		       : by_data(a, b);
}

static int by_subtree(const void *a, const void *b)
{
	const struct model_node *x = *(struct model_node *const *)a;
	const struct model_node *y = *(struct model_node *const *)b;

	return x->seen != y->seen ? (x->seen < y->seen) - (x->seen > y->seen) : by_data(a, b);
}

static void print_top(struct model_node **all, uint64_t n, const struct tool_args *args,
		      const char *title, int (*order)(const void *, const void *))
{
	json_t *list = json_array();

	qsort(all, n, sizeof(struct model_node *), order);
	if (!args->json)
		printf("%s\n", title);
	for (uint64_t i = 0; i < n && i < args->top; i++) {
		uint64_t v = order == by_data       ? all[i]->data.n
			     : order == by_children ? all[i]->children
						    : all[i]->seen;

		if (v == 0)
			break;
		if (args->json) {
			json_t *j = json_object();

			out_json_set(j, "path", out_json_text(shown(all[i])));
			out_json_int(j, "value", (int64_t)v);
			json_array_append_new(list, j);
		} else {
			printf("%14" PRIu64 "  ", v);
			out_text(stdout, shown(all[i]), SIZE_MAX);
			putchar('\n');
		}
	}
	if (args->json) {
		json_t *j = json_object();

		out_json_set(j, title, list);
		out_json_line(j);
	} else {
		json_decref(list);
	}
}

/* Bytes of data of each node and everything below: children come after their parents. */
static void sum_subtrees(struct model_node **all, uint64_t n)
{
	for (uint64_t i = n; i-- > 0;) {
		all[i]->seen += all[i]->data.n;
		if (all[i]->parent)
			all[i]->parent->seen += all[i]->seen;
	}
}

static bool top_of(const char *path, const struct tool_args *args)
{
	bool ok;
	struct model *m = load(path, &ok);
	struct model_node **all = out_alloc(m->nodes * sizeof(struct model_node *));
	uint64_t n = 0;

	for (struct model_node *at = ok ? m->root : NULL; at; at = model_next(at))
		all[n++] = at;
	sum_subtrees(all, n);
	if (ok && !args->json)
		printf("%s: %" PRIu64 " nodes, %" PRIu64 " bytes of data, %" PRIu64 " sessions\n",
		       path, n, n ? all[0]->seen : 0, m->sessions);
	if (ok) {
		print_top(all, n, args, "data bytes", by_data);
		print_top(all, n, args, "children", by_children);
		print_top(all, n, args, "data bytes of the subtree", by_subtree);
	}
	free(all);
	model_free(m);
	return ok;
}

int snapshot_top(const struct tool_args *args)
{
	bool ok = true;

	for (int i = 0; i < args->n; i++)
		ok = top_of(args->files[i], args) && ok;
	return ok ? TOOL_OK : TOOL_FAILED;
}
