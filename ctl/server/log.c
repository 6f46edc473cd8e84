/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

static struct {
	pthread_mutex_t lock; /* fd against log_reopen() */
	int fd;
	enum log_level level;
	char file[1024];
} lg = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = STDERR_FILENO, .level = LOG_INFO};

static const char *const level_text[] = {"ERROR", "WARN", "INFO", "DEBUG"};

enum zk_err log_level_parse(const char *text, enum log_level *out)
{
	for (unsigned i = 0; i < sizeof(level_text) / sizeof(level_text[0]); i++) {
		if (strcasecmp(text, level_text[i]) == 0) {
			*out = (enum log_level)i;
			return ZK_EOK;
		}
	}
	return ZK_EINVAL;
}

enum zk_err log_reopen(void)
{
	int fd, old;

	if (lg.file[0] == 0)
		return ZK_EOK;
	fd = open(lg.file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0)
		return ZK_EIO;
	pthread_mutex_lock(&lg.lock);
	old = lg.fd;
	lg.fd = fd;
	pthread_mutex_unlock(&lg.lock);
	if (old != STDERR_FILENO)
		close(old);
	return ZK_EOK;
}

enum zk_err log_open(const char *file, enum log_level level)
{
	lg.level = level;
	if (strlen(file) >= sizeof(lg.file)) {
		errno = ENAMETOOLONG;
		return ZK_EIO;
	}
	memcpy(lg.file, file, strlen(file) + 1);
	return log_reopen();
}

static void write_all(const char *p, size_t n)
{
	while (n > 0) {
		ssize_t w = write(lg.fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return; /* a full disk must not stop the server */
		p += w;
		n -= (size_t)w;
	}
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char line[LOG_LINE_MAX + 64];
	struct timespec ts;
	struct tm tm;
	size_t head, n;
	va_list ap;
	int r;

	if (level > lg.level)
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	head = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
	r = snprintf(line + head, sizeof(line) - head, ".%03ldZ %s ", ts.tv_nsec / 1000000,
		     level_text[level]);
	head += r > 0 ? (size_t)r : 0;
	va_start(ap, fmt);
	r = vsnprintf(line + head, LOG_LINE_MAX, fmt, ap);
	va_end(ap);
	n = r < 0 ? 0 : r >= LOG_LINE_MAX ? LOG_LINE_MAX - 1 : (size_t)r;
	for (size_t i = head; i < head + n; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	line[head + n] = '\n';
	pthread_mutex_lock(&lg.lock);
	write_all(line, head + n + 1);
	pthread_mutex_unlock(&lg.lock);
}
