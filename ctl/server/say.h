/* SPDX-License-Identifier: Apache-2.0 */
/** Lines for the log from a polling core, which must not write them itself: a small ring, taken out
 * by the main thread. */
#ifndef ZK_CTL_SAY_H
#define ZK_CTL_SAY_H

#include "dp/loop/waker.h"

#include <stdbool.h>

enum { SAY_LINES = 64, SAY_LINE_MAX = 256 };

struct say {
	struct waker *reader;      /* kicked when there is something */
	_Atomic uint32_t put, got; /* release by whoever moves it, acquire by the other side */
	_Atomic uint64_t lost;     /* lines that had no room; relaxed */
	uint64_t lost_told;        /* the reader's */
	char line[SAY_LINES][SAY_LINE_MAX];
};

/** Take @p line, cut to SAY_LINE_MAX - 1 bytes; without room it is counted only. @p say: struct
 * say. One polling core, or who stands in for it. */
void say_line(void *say, const char *line);

/** Write what has come to the log. Main thread. */
void say_flush(struct say *s);

/** Has something come? Main thread. */
static inline bool say_waits(const struct say *s)
{
	/* partner: say_line() */
	return atomic_load_explicit(&s->put, memory_order_acquire) !=
	       atomic_load_explicit(&s->got, memory_order_relaxed);
}

#endif
