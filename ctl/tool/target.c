/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/tool/tool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Beside this program, so that a build tree and an installation both find their own. */
static void find_zokord(char out[TOOL_PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", out, TOOL_PATH_MAX - 16);
	char *slash;

	out[n > 0 ? n : 0] = 0;
	slash = strrchr(out, '/');
	if (slash) {
		memcpy(slash + 1, "zokord", sizeof("zokord"));
		if (access(out, X_OK) == 0)
			return;
	}
	memcpy(out, "zokord", sizeof("zokord")); /* execvp() looks in PATH */
}

static void take_line(struct target *t, char *line)
{
	char *value = strchr(line, '=');

	if (!value)
		return;
	*value++ = 0;
	value[strcspn(value, "\n")] = 0;
	if (strcmp(line, "clientPort") == 0) {
		t->port = (uint16_t)strtoul(value, NULL, 10);
	} else if (strcmp(line, "dataDir") == 0) {
		char *to = t->data_dir;

		for (; *value && to < t->data_dir + sizeof(t->data_dir) - 1; value++) {
			if (*value == '\\' && value[1])
				value++; /* written as the file would have it */
			*to++ = *value;
		}
		*to = 0;
	} else if (strcmp(line, "dp.address") == 0) {
		value[strcspn(value, "/")] = 0;
		snprintf(t->address, sizeof(t->address), "%s", value);
	}
}

static int read_check(int fd, struct target *t)
{
	FILE *f = fdopen(fd, "r");
	char line[TOOL_TEXT_MAX];

	if (!f) {
		close(fd);
		return -1;
	}
	while (fgets(line, sizeof(line), f))
		take_line(t, line);
	fclose(f);
	return 0;
}

int target_read(const char *config, struct target *t)
{
	int fds[2], status;
	pid_t pid;

	*t = (struct target){.config = config};
	find_zokord(t->zokord);
	if (pipe(fds) != 0) {
		perror("zokorctl: pipe");
		return TOOL_FAILED;
	}
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		close(fds[1]);
		execlp(t->zokord, "zokord", "--check", config, (char *)NULL);
		fprintf(stderr, "zokorctl: cannot run %s: %s\n", t->zokord, strerror(errno));
		_exit(127);
	}
	close(fds[1]);
	if (pid < 0 || read_check(fds[0], t) != 0 || waitpid(pid, &status, 0) != pid) {
		perror("zokorctl");
		return TOOL_FAILED;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) == 127)
		return TOOL_FAILED;
	if (WEXITSTATUS(status) != 0)
		return TOOL_USAGE;
	if (!t->port || !t->address[0] || !t->data_dir[0]) {
		fprintf(stderr, "zokorctl: %s --check does not say port, address and dataDir\n",
			t->zokord);
		return TOOL_FAILED;
	}
	return TOOL_OK;
}
