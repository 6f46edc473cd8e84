/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/tool/tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Until @p end, wait for @p events. */
static bool ready(int fd, short events, int64_t end)
{
	struct pollfd p = {.fd = fd, .events = events};
	int64_t left = end - now_ms();

	return left > 0 && poll(&p, 1, (int)left) == 1;
}

static bool connected(int fd, const struct target *t, int64_t end)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(t->port)};
	socklen_t n = sizeof(int);
	int err = 0;

	if (inet_pton(AF_INET, t->address, &to.sin_addr) != 1)
		return false;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return true;
	if (errno != EINPROGRESS || !ready(fd, POLLOUT, end))
		return false;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n) == 0 && err == 0;
}

ssize_t probe_word(const struct target *t, const char *word, int ms, char *out, size_t cap)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int64_t end = now_ms() + ms;
	size_t n = 0;

	if (fd < 0)
		return -1;
	if (!connected(fd, t, end) ||
	    send(fd, word, strlen(word), MSG_NOSIGNAL) != (ssize_t)strlen(word)) {
		close(fd);
		return -1;
	}
	while (n + 1 < cap && ready(fd, POLLIN, end)) {
		ssize_t r = recv(fd, out + n, cap - 1 - n, 0);

		if (r <= 0)
			break;
		n += (size_t)r;
	}
	close(fd);
	out[n] = 0;
	return n > 0 ? (ssize_t)n : -1;
}

bool probe_mode(const struct target *t, int ms, char *mode, size_t cap)
{
	static const char key[] = "\nMode: ";
	char text[TOOL_TEXT_MAX], *at;

	if (probe_word(t, "srvr", ms, text, sizeof(text)) < 0)
		return false;
	at = strstr(text, key);
	if (!at && strstr(text, "not currently serving requests")) {
		mode[0] = 0;
		return true;
	}
	if (!at)
		return false;
	at += sizeof(key) - 1;
	at[strcspn(at, "\n")] = 0;
	snprintf(mode, cap, "%s", at);
	return true;
}
