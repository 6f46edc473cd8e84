/* SPDX-License-Identifier: Apache-2.0 */
/* Every test/wire/scripts/NAME.tcp is one test, and so is test/wire/wrong/NAME.tcp, which must fail
 * with the text of its first line. Run from the top of the tree; WIRE_SCRIPTS names
 * another folder, arguments select scripts by a part of their name. */
#include "test/wire/wire.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

enum { SCRIPTS_MAX = 512, PATH_BYTES = 512 };

static void print_failure(const struct wire *w)
{
	unsigned n = w->n_trace < WIRE_TRACE_LINES ? w->n_trace : WIRE_TRACE_LINES;

	for (unsigned i = w->n_trace - n; i < w->n_trace; i++)
		print_error("    %s\n", w->trace[i % WIRE_TRACE_LINES]);
	print_error("%s:%u: %s\n", w->path, w->line, w->why);
}

static void run_script(void **state)
{
	struct wire *w = malloc(sizeof(*w));
	bool ok;

	assert_non_null(w);
	ok = wire_run(w, *state);
	if (!ok)
		print_failure(w);
	free(w);
	if (!ok)
		fail();
}

/* The first line is "# fails: TEXT". */
static bool read_reason(const char *path, char *text, size_t cap)
{
	static const char MARK[] = "# fails: ";
	FILE *f = fopen(path, "r");
	bool ok = f && fgets(text, (int)cap, f) && strncmp(text, MARK, strlen(MARK)) == 0;

	if (f)
		(void)fclose(f);
	if (ok) {
		text[strcspn(text, "\n")] = 0;
		memmove(text, text + strlen(MARK), strlen(text + strlen(MARK)) + 1);
	}
	return ok;
}

static void run_wrong_script(void **state)
{
	struct wire *w = malloc(sizeof(*w));
	char text[PATH_BYTES];
	bool ok;

	assert_non_null(w);
	assert_true(read_reason(*state, text, sizeof(text)));
	ok = !wire_run(w, *state) && strstr(w->why, text);
	if (!ok)
		print_error("%s:%u: should fail with '%s', not '%s'\n", w->path, w->line, text,
			    w->failed ? w->why : "success");
	free(w);
	assert_true(ok);
}

static int is_script(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 4 && strcmp(d->d_name + n - 4, ".tcp") == 0;
}

static bool selected(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strstr(name, argv[i]))
			return true;
	}
	return argc < 2;
}

struct suite {
	struct CMUnitTest tests[SCRIPTS_MAX];
	size_t count;
};

/* @return false when the folder gives nothing. */
static bool add_folder(struct suite *suite, const char *folder, CMUnitTestFunction run, int argc,
		       char **argv)
{
	struct dirent **names;
	int n = scandir(folder, &names, is_script, alphasort);

	if (n < 1 || suite->count + (size_t)n > SCRIPTS_MAX) {
		print_error("%s: %d scripts\n", folder, n);
		return false;
	}
	for (int i = 0; i < n; i++) {
		char *path = malloc(PATH_BYTES);

		assert_non_null(path);
		(void)snprintf(path, PATH_BYTES, "%s/%s", folder, names[i]->d_name);
		if (selected(path, argc, argv)) {
			struct CMUnitTest *t = &suite->tests[suite->count++];

			t->name = path;
			t->test_func = run;
			t->initial_state = path;
		} else {
			free(path);
		}
		free(names[i]);
	}
	free(names);
	return true;
}

int main(int argc, char **argv)
{
	static struct suite suite;
	const char *folder = getenv("WIRE_SCRIPTS");
	int failed = 2;

	if (!add_folder(&suite, folder ? folder : "test/wire/scripts", run_script, argc, argv))
		return 2;
	if (!folder && !add_folder(&suite, "test/wire/wrong", run_wrong_script, argc, argv))
		return 2;
	if (suite.count)
		failed = _cmocka_run_group_tests("wire", suite.tests, suite.count, NULL, NULL);
	for (size_t i = 0; i < suite.count; i++)
		free(suite.tests[i].initial_state);
	return failed;
}
