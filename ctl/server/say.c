/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/say.h"

#include "ctl/server/log.h"

#include <string.h>

void say_line(void *say, const char *line)
{
	struct say *s = say;
	/* relaxed: this side's own */
	uint32_t put = atomic_load_explicit(&s->put, memory_order_relaxed);
	char *to = s->line[put % SAY_LINES];
	size_t n = strlen(line);

	/* partner: say_flush() gives the slot back */
	if (put - atomic_load_explicit(&s->got, memory_order_acquire) == SAY_LINES) {
		(void)atomic_fetch_add_explicit(&s->lost, 1, memory_order_relaxed);
		return;
	}
	if (n >= SAY_LINE_MAX)
		n = SAY_LINE_MAX - 1;
	memcpy(to, line, n);
	to[n] = 0;
	/* partner: say_flush() */
	atomic_store_explicit(&s->put, put + 1, memory_order_release);
	waker_kick(s->reader);
}

void say_flush(struct say *s)
{
	uint32_t got = atomic_load_explicit(&s->got, memory_order_relaxed);
	uint64_t lost;

	/* partner: say_line() */
	while (got != atomic_load_explicit(&s->put, memory_order_acquire)) {
		log_line(LOG_INFO, "ensemble=\"%s\"", s->line[got % SAY_LINES]);
		got++;
		atomic_store_explicit(&s->got, got, memory_order_release);
	}
	lost = atomic_load_explicit(&s->lost, memory_order_relaxed);
	if (lost != s->lost_told)
		log_line(LOG_WARN, "log=lines-lost count=%llu", (unsigned long long)lost);
	s->lost_told = lost;
}
