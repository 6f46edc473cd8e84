/* SPDX-License-Identifier: Apache-2.0 */
#include "dp/loop/waker.h"

#include <sys/eventfd.h>
#include <unistd.h>

enum zk_err waker_init(struct waker *w)
{
	atomic_init(&w->sleeping, 0);
	atomic_init(&w->kicks, 0);
	w->owed = 0;
	w->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return w->fd < 0 ? ZK_EIO : ZK_EOK;
}

void waker_fini(struct waker *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

void waker_kick(struct waker *w)
{
	const uint64_t one = 1;

	/* partner: waker_announce(), waker_clear(). The first of several wakers writes. */
	if (!atomic_exchange_explicit(&w->sleeping, 0, memory_order_acq_rel))
		return;
	atomic_fetch_add_explicit(&w->kicks, 1, memory_order_relaxed);
	if (write(w->fd, &one, sizeof(one)) != sizeof(one))
		return; /* the counter is at its limit: readable all the same */
}

void waker_nudge(struct waker *w)
{
	/* It reads and writes, as the protocol wants: who comes second sees the first. */
	if (atomic_fetch_or_explicit(&w->sleeping, 0, memory_order_acq_rel) == 1)
		waker_kick(w);
}

void waker_announce(struct waker *w)
{
	/* partner: waker_kick() */
	(void)atomic_exchange_explicit(&w->sleeping, 1, memory_order_acq_rel);
}

void waker_announce_deaf(struct waker *w)
{
	/* partner: waker_kick() */
	(void)atomic_exchange_explicit(&w->sleeping, 2, memory_order_acq_rel);
}

void waker_clear(struct waker *w)
{
	uint64_t n;

	/* An exchange, too: a plain store would hide an earlier waker_kick() from the next
	 * announce. Each kick that it hides from the next waker is one write, now or soon. */
	if (!atomic_exchange_explicit(&w->sleeping, 0, memory_order_acq_rel))
		w->owed++;
	if (w->owed > 0 && read(w->fd, &n, sizeof(n)) == sizeof(n))
		w->owed -= n;
}
