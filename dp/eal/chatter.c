/* SPDX-License-Identifier: Apache-2.0 */
/* DPDK writes its log to a stream; ours keeps the last line and nothing else. */
#include "dp/eal/eal_int.h"

#include <pthread.h>
#include <rte_log.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

enum { LINE_MAX_BYTES = 160 };

static struct {
	pthread_mutex_t lock; /* drivers log from their own threads too */
	char line[LINE_MAX_BYTES];
	FILE *stream;
} chatter = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void keep_line(const char *p, size_t n)
{
	while (n > 0 && (p[n - 1] == '\n' || p[n - 1] == ' '))
		n--;
	if (n == 0)
		return;
	if (n >= LINE_MAX_BYTES)
		n = LINE_MAX_BYTES - 1;
	pthread_mutex_lock(&chatter.lock);
	for (size_t i = 0; i < n; i++)
		chatter.line[i] = (unsigned char)p[i] < ' ' ? ' ' : p[i];
	chatter.line[n] = 0;
	pthread_mutex_unlock(&chatter.lock);
}

static ssize_t chatter_write(void *cookie, const char *p, size_t n)
{
	(void)cookie;
	keep_line(p, n);
	return (ssize_t)n;
}

void eal_chatter_init(void)
{
	cookie_io_functions_t io = {.write = chatter_write};

	rte_log_set_global_level(RTE_LOG_WARNING);
	if (chatter.stream)
		return;
	chatter.stream = fopencookie(NULL, "w", io);
	if (!chatter.stream)
		return;
	setvbuf(chatter.stream, NULL, _IOLBF, 0);
	(void)rte_openlog_stream(chatter.stream);
}

void eal_chatter_fini(void)
{
	if (!chatter.stream)
		return;
	(void)rte_openlog_stream(NULL);
	fclose(chatter.stream);
	chatter.stream = NULL;
}

void eal_chatter_reset(void)
{
	pthread_mutex_lock(&chatter.lock);
	chatter.line[0] = 0;
	pthread_mutex_unlock(&chatter.lock);
}

void eal_chatter_append(char *why, size_t n)
{
	size_t used = strlen(why);

	if (chatter.stream)
		fflush(chatter.stream);
	pthread_mutex_lock(&chatter.lock);
	if (chatter.line[0] && used + 3 < n)
		snprintf(why + used, n - used, ": %s", chatter.line);
	pthread_mutex_unlock(&chatter.lock);
}
