/* SPDX-License-Identifier: Apache-2.0 */
/** Waking a thread that has announced it sleeps: a flag and an eventfd.
 *
 *   sleeper: exchange(flag, 1); look at every queue once more; poll(fd); exchange(flag, 0)
 *   waker:   publish the work; exchange(flag, 0); if it was 1: write(fd)
 *
 * A sleeper may be deaf (2 instead of 1): waker_nudge() leaves it alone, waker_kick() wakes it.
 *
 * All are acquire-release exchanges of one variable, so one of the two comes second and sees what
 * the other did before: either the sleeper sees the work or the waker sees the flag. (No fences:
 * the thread sanitizer does not know them.)
 */
#ifndef ZK_LOOP_WAKER_H
#define ZK_LOOP_WAKER_H

#include "core/base/assert.h"
#include "core/base/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct waker {
	_Alignas(ZK_CACHE_LINE) _Atomic uint32_t sleeping; /* see the protocol above */
	_Atomic uint64_t kicks;                            /* times somebody wrote fd; relaxed */
	uint64_t owed; /* the sleeper's: writes of fd that it has not read yet */
	int fd;        /* eventfd, non-blocking */
};

/** @return ZK_EOK or ZK_EIO (errno tells). Main thread. */
ZK_MUST_USE enum zk_err waker_init(struct waker *w);
void waker_fini(struct waker *w);

/** Wake the sleeper behind @p w if it sleeps. Call after publishing work for it, at most once per
 * round and partner. Any thread; one system call that does not sleep, and only for a sleeper. */
void waker_kick(struct waker *w);

/** Wake it unless it sleeps deaf to this: for news that can wait until somebody kicks. As
 * waker_kick() otherwise. */
void waker_nudge(struct waker *w);

/** Sleeper: announce. Then look at all queues once more before waiting for w->fd. */
void waker_announce(struct waker *w);
/** The same, deaf to nudges. */
void waker_announce_deaf(struct waker *w);

/** Sleeper: awake again; swallow the kicks. A system call only when there were any. */
void waker_clear(struct waker *w);

#endif
