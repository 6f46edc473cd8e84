/* SPDX-License-Identifier: Apache-2.0 */
/* zokorctl: the operator's tool. */
#include "ctl/server/version.h"
#include "ctl/tool/tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char tool_usage[] =
	"usage: zokorctl server start|stop|restart|status CONFIG\n"
	"       zokorctl txnlog dump|verify [--json] FILE...\n"
	"       zokorctl txnlog recover FILE OUT\n"
	"       zokorctl snapshot dump|verify [--json] FILE...\n"
	"       zokorctl snapshot diff [--json] FILE FILE\n"
	"       zokorctl snapshot top [--json] [-n COUNT] FILE...\n"
	"       zokorctl data check [--json] [--logs DATALOGDIR] DATADIR\n"
	"       zokorctl --version | --help\n"
	"start    run zokord in the background; its output goes to DATADIR/zokord.out\n"
	"stop     end it and wait until it has ended\n"
	"status   ask it for its mode\n"
	"txnlog, snapshot and data read the files of a server that is stopped (or copies), zokor's "
	"or\n"
	"Apache ZooKeeper's; they change nothing. recover writes the sound records of FILE to "
	"OUT.\n"
	"exit codes: 0 done (status: it serves; verify, check: sound; diff: equal), 1 failed, 2 "
	"bad\n"
	"usage or configuration\n";

enum { TOP_DEFAULT = 10, TOP_MAX = 10000 };

/* @return false: not an option we know. */
static bool parse_args(int argc, char **argv, struct tool_args *args)
{
	*args = (struct tool_args){.top = TOP_DEFAULT};
	for (; argc > 0 && argv[0][0] == '-' && argv[0][1]; argc--, argv++) {
		if (strcmp(argv[0], "--json") == 0) {
			args->json = true;
		} else if (strcmp(argv[0], "-n") == 0 && argc > 1) {
			char *end;
			unsigned long n = strtoul(argv[1], &end, 10);

			if (*end || n == 0 || n > TOP_MAX)
				return false;
			args->top = (unsigned)n;
			argc--, argv++;
		} else if (strcmp(argv[0], "--logs") == 0 && argc > 1) {
			args->logs = argv[1];
			argc--, argv++;
		} else {
			return false;
		}
	}
	args->files = argv;
	args->n = argc;
	return argc > 0;
}

/* @return TOOL_USAGE also when there is no such command. */
static int offline(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const char *command, const struct tool_args *args);
	} commands[] = {
		{"txnlog", txnlog_command}, {"snapshot", snapshot_command}, {"data", data_command}};
	struct tool_args args;
	int rc = TOOL_USAGE;

	for (size_t i = 0; argc > 3 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name) == 0 && parse_args(argc - 3, argv + 3, &args))
			rc = commands[i].run(argv[2], &args);
	}
	if (rc == TOOL_USAGE)
		fputs(tool_usage, stderr);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("zokorctl: standard output");
		return TOOL_FAILED;
	}
	return rc;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		fputs(tool_usage, stdout);
		return TOOL_OK;
	}
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("zokorctl %s\n", ZOKOR_VERSION);
		return TOOL_OK;
	}
	if (argc != 4 || strcmp(argv[1], "server") != 0)
		return offline(argc, argv);
	return server_command(argv[2], argv[3]);
}
