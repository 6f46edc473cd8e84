/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/watch/rounds.h"
#include "bench/watch/client.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_MAX = 1 << 18 };

/* A four-letter word over a socket that waits. */
static void ask(const struct rounds *r, const char *word, char *answer)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(r->port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t have = 0;
	ssize_t n;

	if (fd < 0 || inet_pton(AF_INET, r->host, &to.sin_addr) != 1 ||
	    connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0 ||
	    send(fd, word, 4, MSG_NOSIGNAL) != 4)
		die("%s is not asked", word);
	while ((n = recv(fd, answer + have, ANSWER_MAX - 1 - have, 0)) > 0)
		have += (size_t)n;
	(void)close(fd);
	answer[have] = 0;
	if (have == 0)
		die("%s has no answer", word);
}

void rounds_begin(struct rounds *r)
{
	static char answer[ANSWER_MAX];

	ask(r, "srst", answer);
}

/* The largest of a figure among the cores; @p sum: all of them together. */
static uint64_t of_cores(const char *answer, const char *part, const char *what, int sum)
{
	char head[64];
	uint64_t all = 0;

	(void)snprintf(head, sizeof(head), "zk_%s_core", part);
	for (const char *at = strstr(answer, head); at; at = strstr(at, head)) {
		const char *digits = at + strlen(head);
		uint64_t v;

		at = digits + strspn(digits, "0123456789");
		if (strncmp(at, what, strlen(what)) != 0 || at[strlen(what)] != '\t')
			continue;
		v = strtoull(at + strlen(what) + 1, NULL, 10);
		all = sum ? all + v : v > all ? v : all;
	}
	return all;
}

void rounds_end(struct rounds *r)
{
	static char answer[ANSWER_MAX];

	ask(r, "mntr", answer);
	r->round_p50 = of_cores(answer, "p50", "_round_ns", 0);
	r->round_p99 = of_cores(answer, "p99", "_round_ns", 0);
	r->round_max = of_cores(answer, "max", "_round_ns", 0);
	r->reply_p99 = of_cores(answer, "p99", "_reply_ns", 0);
	r->reply_max = of_cores(answer, "max", "_reply_ns", 0);
	r->stolen_max = of_cores(answer, "max", "_stolen_ns", 0);
	r->stolen_sum = of_cores(answer, "sum", "_stolen_ns", 1);
	if (of_cores(answer, "cnt", "_round_ns", 1) == 0)
		die("mntr tells of no round");
}
