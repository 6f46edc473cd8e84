/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/reclaimer.h"
#include "core/rcu.h"

#include <poll.h>

/* Batches in the ring now wait together: one grace period serves them all. */
static unsigned one_period(struct reclaimer *r)
{
	void *batch[LEAD_GARBAGE_SLOTS];
	unsigned n = 0;

	while (n < LEAD_GARBAGE_SLOTS && (batch[n] = pring_pop(&r->garbage->to)) != NULL)
		n++;
	if (n == 0)
		return 0;
	zk_rcu_synchronize();
	for (unsigned i = 0; i < n; i++) {
		bool pushed = pring_push(&r->garbage->back, batch[i]);

		zk_assert(pushed); /* the leader lets no more be under way than fit */
	}
	atomic_fetch_add_explicit(&r->batches, n, memory_order_relaxed);
	waker_kick(r->leader);
	return n;
}

static void *reclaimer_main(void *arg)
{
	struct reclaimer *r = arg;

	(void)pthread_setname_np(pthread_self(), "zk-reclaim");
	/* partner: reclaimer_stop(); no data goes with it */
	while (!atomic_load_explicit(&r->stop, memory_order_relaxed)) {
		struct pollfd fd = {.fd = r->garbage->waker.fd, .events = POLLIN};

		if (one_period(r))
			continue;
		waker_announce(&r->garbage->waker);
		if (!pring_peek(&r->garbage->to) &&
		    !atomic_load_explicit(&r->stop, memory_order_relaxed))
			(void)poll(&fd, 1, -1);
		waker_clear(&r->garbage->waker);
	}
	return NULL;
}

enum zk_err reclaimer_start(struct reclaimer *r, struct lead_garbage *garbage, struct waker *leader,
			    const struct config_cpus *cpus)
{
	r->garbage = garbage;
	r->leader = leader;
	atomic_init(&r->stop, false);
	atomic_init(&r->batches, 0);
	return helper_start(&r->id, reclaimer_main, r, cpus);
}

void reclaimer_stop(struct reclaimer *r)
{
	atomic_store_explicit(&r->stop, true, memory_order_relaxed);
	waker_kick(&r->garbage->waker);
	(void)pthread_join(r->id, NULL);
}
