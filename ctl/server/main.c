/* SPDX-License-Identifier: Apache-2.0 */
/* zokord: the server. */
#include "ctl/server/config.h"
#include "ctl/server/server.h"
#include "ctl/server/version.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
	"usage: zokord CONFIG            serve in the foreground\n"
	"       zokord --check CONFIG    check the configuration, print what counts\n"
	"       zokord --version | --help\n"
	"exit codes: 0 clean stop, 1 runtime failure, 2 bad usage or configuration\n";

int main(int argc, char **argv)
{
	static struct config conf; /* too large for a stack */
	static struct config_cpus cpus;
	bool check = argc == 3 && strcmp(argv[1], "--check") == 0;
	const char *file;

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("zokord %s (ZooKeeper %s)\n", ZOKOR_VERSION, ZOKOR_ZOOKEEPER_VERSION);
		return 0;
	}
	if (!check && (argc != 2 || argv[1][0] == '-')) {
		fputs(usage, stderr);
		return 2;
	}
	file = argv[argc - 1];
	config_cpus_get(&cpus);
	if (!config_load(file, &cpus, &conf, stderr))
		return 2;
	if (check) {
		for (unsigned i = 0; i < conf.warnings_n; i++)
			fprintf(stderr, "%s\n", conf.warning[i]);
		config_print(&conf, stdout);
		return 0;
	}
	if (log_open(conf.log_file, conf.log_level) != ZK_EOK) {
		fprintf(stderr, "zokord: log.file %s: %s\n", conf.log_file, strerror(errno));
		return 1;
	}
	return server_run(&conf, &cpus);
}
