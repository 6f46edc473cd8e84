/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/datadir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_dirs(const char *dir)
{
	char path[1100];
	size_t n = strlen(dir);

	if (n == 0 || n >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(path, dir, n + 1);
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

static enum zk_err of_errno(void)
{
	return errno == EACCES || errno == EPERM ? ZK_EPERM : ZK_EIO;
}

static enum zk_err busy(struct datadir *d, const char *dir, char *why, size_t cap)
{
	char pid[24] = "?";
	ssize_t n = pread(d->fd, pid, sizeof(pid) - 1, 0);

	pid[n > 0 ? (size_t)n : 0] = 0;
	pid[strcspn(pid, "\n")] = 0;
	snprintf(why, cap, "dataDir %s is in use by process %s", dir, pid);
	close(d->fd);
	return ZK_EBUSY;
}

enum zk_err datadir_take(const char *dir, struct datadir *out, char *why, size_t cap)
{
	struct datadir d;
	char pid[24];
	int n;

	if (make_dirs(dir) != 0) {
		enum zk_err err = of_errno();

		snprintf(why, cap, "dataDir %s: %s", dir, strerror(errno));
		return err;
	}
	snprintf(d.pid_file, sizeof(d.pid_file), "%s/zokord.pid", dir);
	d.fd = open(d.pid_file, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (d.fd < 0) {
		enum zk_err err = of_errno();

		snprintf(why, cap, "%s: %s", d.pid_file, strerror(errno));
		return err;
	}
	if (flock(d.fd, LOCK_EX | LOCK_NB) != 0)
		return busy(&d, dir, why, cap);
	n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	if (ftruncate(d.fd, 0) != 0 || pwrite(d.fd, pid, (size_t)n, 0) != n) {
		snprintf(why, cap, "%s: %s", d.pid_file, strerror(errno));
		close(d.fd);
		return ZK_EIO;
	}
	*out = d;
	return ZK_EOK;
}

void datadir_give(struct datadir *d)
{
	if (d->fd < 0)
		return;
	(void)unlink(d->pid_file);
	close(d->fd);
	d->fd = -1;
}
