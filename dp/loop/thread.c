/* SPDX-License-Identifier: Apache-2.0 */
#include "dp/loop/thread.h"
#include "core/rcu.h"
#include "dp/eal/eal.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <time.h>

enum {
	NAP_NS = 20000,        /* first steps */
	NAP_LONG_NS = 50000,   /* later ones */
	NAP_DEEP_NS = 100000,  /* the last, RCU stays online */
	NAP_SHORT_ROUNDS = 32, /* naps of NAP_NS before those of NAP_LONG_NS */
	NAP_ROUNDS = 128,      /* naps before those of NAP_DEEP_NS: about 6 ms */
	WAIT_MIN_NS = 5000,    /* a shorter wait is a round */
};

static const uint64_t late_min_ns = 100000000;  /* less is nothing to a session */
static const uint64_t wait_max_ns = 1000000000; /* look around once a second, whatever they say */

static void count(_Atomic uint64_t *v)
{
	/* single writer */
	atomic_store_explicit(v, atomic_load_explicit(v, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

/* Time for a poll. A thread that was not scheduled, or stopped, finds it out here. */
static uint64_t now_of(struct thread *t)
{
	uint64_t now = eal_now_ns(), taken = stolen_look(&t->stolen, now);

	for (unsigned i = 0; zk_unlikely(taken) && i < t->pollers_n; i++)
		if (t->poller[i].stolen)
			t->poller[i].stolen(t->poller[i].ctx, taken);
	if (zk_unlikely(now > t->due_ns + late_min_ns)) {
		for (unsigned i = 0; i < t->pollers_n; i++)
			if (t->poller[i].late)
				t->poller[i].late(t->poller[i].ctx, now - t->due_ns, now);
		count(&t->lates);
	}
	t->due_ns = now;
	return now;
}

/* One reading of the clock for all that find nothing to do. */
static unsigned round_all(struct thread *t)
{
	uint64_t now = now_of(t);
	unsigned work = 0;

	for (unsigned i = 0; i < t->pollers_n; i++) {
		unsigned done = t->poller[i].poll(t->poller[i].ctx, now);

		if (done && i + 1 < t->pollers_n)
			now = now_of(t);
		work += done;
	}
	count(&t->rounds);
	return work;
}

/* Nanoseconds until something is due; 0 = now, or no long sleep allowed. */
static uint64_t idle_ns(const struct thread *t, uint64_t now)
{
	uint64_t next = now + wait_max_ns;

	for (unsigned i = 0; i < t->pollers_n; i++) {
		uint64_t at = t->poller[i].next_ns(t->poller[i].ctx);

		next = at < next ? at : next;
	}
	return next > now ? next - now : 0;
}

static void nap(struct thread *t, unsigned naps)
{
	struct timespec ts = {.tv_nsec = naps < NAP_SHORT_ROUNDS ? NAP_NS
					 : naps < NAP_ROUNDS     ? NAP_LONG_NS
								 : NAP_DEEP_NS};

	uint64_t begin = eal_now_ns();

	count(&t->naps);
	(void)nanosleep(&ts, NULL);
	stolen_slept(&t->stolen, eal_now_ns() - begin);
}

static bool can_wait(const struct thread *t)
{
	for (unsigned i = 0; i < t->pollers_n; i++)
		if (t->poller[i].has_queue && t->poller[i].rx_fd < 0)
			return false;
	return true;
}

/* For how long does nobody mind frames that lie in their queues? */
static uint64_t calm_ns(const struct thread *t)
{
	uint64_t calm = UINT64_MAX;

	for (unsigned i = 0; i < t->pollers_n; i++) {
		const struct poller *p = &t->poller[i];
		uint64_t one = p->calm_ns ? p->calm_ns(p->ctx) : p->has_queue ? 0 : UINT64_MAX;

		calm = one < calm ? one : calm;
	}
	return calm == UINT64_MAX ? 0 : calm;
}

/* Sleep until a kick, a frame if @p frames, or @p ns from now. The caller has announced and looked
 * again. @return whether it was called. */
static bool wait_fds(struct thread *t, uint64_t ns, bool frames)
{
	struct pollfd fds[THREAD_POLLERS_MAX + 1];
	struct timespec ts = {.tv_sec = (time_t)(ns / 1000000000),
			      .tv_nsec = (long)(ns % 1000000000)};
	uint64_t begin = eal_now_ns();
	nfds_t n = 0;
	int called;

	fds[n++] = (struct pollfd){.fd = t->waker.fd, .events = POLLIN};
	for (unsigned i = 0; frames && i < t->pollers_n; i++)
		if (t->poller[i].has_queue)
			fds[n++] = (struct pollfd){.fd = t->poller[i].rx_fd, .events = POLLIN};
	count(&t->waits);
	t->due_ns = begin + ns;
	zk_rcu_offline();
	called = ppoll(fds, n, &ts, NULL);
	stolen_slept(&t->stolen, eal_now_ns() - begin);
	zk_rcu_online();
	t->hollow = called > (fds[0].revents != 0);
	return called > 0;
}

static void announce(struct thread *t)
{
	for (unsigned i = 0; i < t->pollers_n; i++) {
		if (!t->poller[i].minds || !t->poller[i].minds(t->poller[i].ctx))
			continue;
		waker_announce(&t->waker);
		return;
	}
	waker_announce_deaf(&t->waker);
}

/* The last rung; idle since @p since_ns. @return work found when looking again. */
static unsigned wait_long(struct thread *t, uint64_t since_ns)
{
	unsigned work;
	uint64_t ns;

	announce(t);
	work = round_all(t);
	zk_rcu_quiescent();
	if (!work && !atomic_load_explicit(&t->stop, memory_order_relaxed)) {
		ns = idle_ns(t, eal_now_ns());
		if (ns == 0 || t->hollow) {
			/* Waiting for room; or the descriptor calls for frames that there is no
			 * buffer for, or because its interface is gone. */
			t->hollow = false;
			nap(t, 0);
		} else if (ns >= WAIT_MIN_NS) {
			uint64_t calm, now;
			bool called;

			/* Once after each work, or it would wake for nothing again and again. */
			calm = t->calmed ? 0 : calm_ns(t);
			t->calmed = true;
			called = wait_fds(t, calm && calm < ns ? calm : ns, calm == 0);
			now = eal_now_ns();
			spin_learn(&t->spin, now, now - since_ns, called);
		}
	}
	waker_clear(&t->waker);
	return work;
}

static void run(struct thread *t)
{
	bool waits = t->adaptive && can_wait(t);
	uint64_t since_ns = 0; /* of the first round that found nothing, 0 = it was not the last */
	unsigned naps = 0;

	t->due_ns = eal_now_ns();
	t->hollow = t->calmed = false;
	spin_start(&t->spin, t->due_ns);
	stolen_start(&t->stolen, t->due_ns);
	/* partner: thread_join(); no data goes with it */
	while (!atomic_load_explicit(&t->stop, memory_order_relaxed)) {
		unsigned work = round_all(t);
		uint64_t now = t->due_ns; /* the round's reading of the clock */

		zk_rcu_quiescent();
		if (work) {
			since_ns = 0;
			naps = 0;
			t->hollow = t->calmed = false;
			continue;
		}
		if (since_ns == 0)
			since_ns = now;
		if (!t->adaptive || now - since_ns < (waits ? t->spin.ns : SPIN_MAX_NS)) {
			eal_pause();
		} else if (!waits) {
			nap(t, naps);
			naps += naps < NAP_ROUNDS;
		} else {
			(void)wait_long(t, since_ns);
			since_ns = 0;
		}
	}
	spin_end(&t->spin);
}

static int pin(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;
	char name[16];
	int rc;

	snprintf(name, sizeof(name), "zk-poll-%u", t->cpu % 1000);
	(void)pthread_setname_np(pthread_self(), name);
	(void)prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul); /* naps end when they should */
	rc = pin(t->cpu);
	if (rc != 0 || eal_thread_register() != ZK_EOK) {
		atomic_store_explicit(&t->error, rc, memory_order_relaxed);
		atomic_store_explicit(&t->state, THREAD_FAILED, memory_order_release);
		return NULL;
	}
	zk_rcu_register();
	atomic_store_explicit(&t->state, THREAD_RUNNING, memory_order_release);
	run(t);
	zk_rcu_unregister();
	eal_thread_unregister();
	return NULL;
}

enum zk_err thread_start(struct thread *t)
{
	const struct timespec ms = {.tv_nsec = 1000000};
	sigset_t all, old;
	int rc, state;

	zk_assert(t->pollers_n >= 1 && t->pollers_n <= THREAD_POLLERS_MAX);
	atomic_store_explicit(&t->stop, false, memory_order_relaxed);
	atomic_store_explicit(&t->state, THREAD_STARTING, memory_order_relaxed);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&t->id, NULL, thread_main, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0) {
		atomic_store_explicit(&t->error, rc, memory_order_relaxed);
		return ZK_EIO;
	}
	/* partner: release in thread_main() */
	while ((state = atomic_load_explicit(&t->state, memory_order_acquire)) == THREAD_STARTING)
		(void)nanosleep(&ms, NULL);
	if (state == THREAD_FAILED) {
		(void)pthread_join(t->id, NULL);
		return ZK_EIO;
	}
	return ZK_EOK;
}

void thread_join(struct thread *t)
{
	atomic_store_explicit(&t->stop, true, memory_order_relaxed);
	waker_kick(&t->waker);
	(void)pthread_join(t->id, NULL);
}
