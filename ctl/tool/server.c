/* SPDX-License-Identifier: Apache-2.0 */
/* `zokorctl server`: what zkServer.sh does. */
#include "ctl/tool/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	START_MS = 30000,
	STOP_MS = 20000, /* zokord drains for at most 5 s */
	STEP_MS = 100,
	PROBE_MS = 2000,
};

static void sleep_ms(long ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	(void)nanosleep(&ts, NULL);
}

static void pid_file(const struct target *t, char out[TOOL_PATH_MAX + 16])
{
	snprintf(out, TOOL_PATH_MAX + 16, "%s/zokord.pid", t->data_dir);
}

/* Is @p pid a zokord that has not ended? A pid may have gone to somebody else since. */
static bool is_zokord(pid_t pid)
{
	char path[64], text[128] = "";
	char *comm, *state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(text, sizeof(text), f))
		text[0] = 0;
	fclose(f);
	comm = strchr(text, '(');
	state = strrchr(text, ')');
	return comm && state && strncmp(comm, "(zokord)", 8) == 0 && state[1] == ' ' &&
	       state[2] != 'Z' && state[2] != 'X';
}

/* The server of this data directory, 0 when none runs. */
static pid_t running(const struct target *t)
{
	char path[TOOL_PATH_MAX + 16], text[32] = "";
	long pid = 0;
	FILE *f;

	pid_file(t, path);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fgets(text, sizeof(text), f))
		pid = strtol(text, NULL, 10);
	fclose(f);
	return pid > 1 && is_zokord((pid_t)pid) ? (pid_t)pid : 0;
}

static int make_dirs(const char *dir)
{
	char path[TOOL_PATH_MAX];
	size_t n = strlen(dir);

	snprintf(path, sizeof(path), "%s", dir);
	for (size_t i = 1; i <= n; i++) {
		if (path[i] != '/' && path[i] != 0)
			continue;
		path[i] = 0;
		if (mkdir(path, 0755) != 0 && errno != EEXIST)
			return -1;
		path[i] = dir[i];
	}
	return 0;
}

/* The server's last word: what it wrote to its output when it could not start. */
static void print_last_line(const char *path)
{
	char line[TOOL_TEXT_MAX], last[TOOL_TEXT_MAX] = "";
	FILE *f = fopen(path, "re");

	if (!f)
		return;
	while (fgets(line, sizeof(line), f))
		memcpy(last, line, sizeof(last));
	fclose(f);
	if (last[0])
		fprintf(stderr, "%s", last);
}

static _Noreturn void become_server(const struct target *t, const char *out_path)
{
	int null = open("/dev/null", O_RDONLY);
	int out = open(out_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (null < 0 || out < 0 || setsid() < 0) {
		fprintf(stderr, "zokorctl: %s: %s\n", out_path, strerror(errno));
		_exit(127);
	}
	dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	if (null > STDERR_FILENO)
		close(null);
	if (out > STDERR_FILENO)
		close(out);
	execlp(t->zokord, "zokord", t->config, (char *)NULL);
	fprintf(stderr, "zokorctl: cannot run %s: %s\n", t->zokord, strerror(errno));
	_exit(127);
}

/* Until it serves, or has ended. */
static int wait_serving(const struct target *t, pid_t pid, const char *out_path)
{
	char mode[64];
	int status;

	for (int ms = 0; ms < START_MS; ms += STEP_MS) {
		if (waitpid(pid, &status, WNOHANG) == pid) {
			printf("FAILED TO START\n");
			fflush(stdout);
			print_last_line(out_path);
			return WIFEXITED(status) && WEXITSTATUS(status) == TOOL_USAGE ? TOOL_USAGE
										      : TOOL_FAILED;
		}
		/* Somebody may answer at this address who is not ours: the pid file says. */
		if (running(t) == pid && probe_mode(t, PROBE_MS, mode, sizeof(mode))) {
			printf("STARTED\n");
			return TOOL_OK;
		}
		sleep_ms(STEP_MS);
	}
	printf("FAILED TO START\n");
	fprintf(stderr, "process %ld does not answer at %s:%u within %d s; see %s\n", (long)pid,
		t->address, t->port, START_MS / 1000, out_path);
	return TOOL_FAILED;
}

static int start(const struct target *t)
{
	char out_path[TOOL_PATH_MAX + 16];
	pid_t pid = running(t);

	printf("Starting zokor ... ");
	if (pid) {
		printf("already running as process %ld.\n", (long)pid);
		return TOOL_FAILED;
	}
	fflush(stdout);
	snprintf(out_path, sizeof(out_path), "%s/zokord.out", t->data_dir);
	if (make_dirs(t->data_dir) != 0) {
		printf("FAILED TO START\n");
		fprintf(stderr, "dataDir %s: %s\n", t->data_dir, strerror(errno));
		return TOOL_FAILED;
	}
	pid = fork();
	if (pid == 0)
		become_server(t, out_path);
	if (pid < 0) {
		printf("FAILED TO START\n");
		perror("fork");
		return TOOL_FAILED;
	}
	return wait_serving(t, pid, out_path);
}

static int stop(const struct target *t)
{
	char path[TOOL_PATH_MAX + 16];
	pid_t pid = running(t);

	printf("Stopping zokor ... ");
	fflush(stdout);
	pid_file(t, path);
	if (!pid) {
		printf("no zokor to stop (%s)\n", access(path, F_OK) == 0
							  ? "its pid file is stale"
							  : "could not find its pid file");
		return TOOL_OK; /* as zkServer.sh */
	}
	if (kill(pid, SIGTERM) != 0) {
		printf("FAILED\n");
		fprintf(stderr, "process %ld: %s\n", (long)pid, strerror(errno));
		return TOOL_FAILED;
	}
	for (int ms = 0; ms < STOP_MS; ms += STEP_MS) {
		if (!is_zokord(pid)) {
			printf("STOPPED\n");
			return TOOL_OK;
		}
		sleep_ms(STEP_MS);
	}
	printf("FAILED\n");
	fprintf(stderr, "process %ld has not stopped within %d s\n", (long)pid, STOP_MS / 1000);
	return TOOL_FAILED;
}

static int status(const struct target *t)
{
	char mode[64];

	printf("Client port found: %u. Client address: %s. Client SSL: false.\n", t->port,
	       t->address);
	if (!probe_mode(t, PROBE_MS, mode, sizeof(mode))) {
		printf("Error contacting service. It is probably not running.\n");
		return TOOL_FAILED;
	}
	if (!mode[0]) { /* where zkServer.sh says that it is probably not running */
		printf("It runs, but is not currently serving requests: no quorum.\n");
		return TOOL_FAILED;
	}
	printf("Mode: %s\n", mode);
	return TOOL_OK;
}

int server_command(const char *command, const char *config)
{
	static const char *const commands[] = {"start", "stop", "restart", "status"};
	struct target t;
	unsigned which = 0;
	int rc;

	while (which < 4 && strcmp(command, commands[which]) != 0)
		which++;
	if (which == 4) {
		fputs(tool_usage, stderr);
		return TOOL_USAGE;
	}
	fprintf(stderr, "Using config: %s\n", config);
	rc = target_read(config, &t);
	if (rc != TOOL_OK)
		return rc;
	switch (which) {
	case 0:
		return start(&t);
	case 1:
		return stop(&t);
	case 2:
		rc = stop(&t);
		return rc == TOOL_OK ? start(&t) : rc;
	default:
		return status(&t);
	}
}
