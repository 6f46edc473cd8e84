/* SPDX-License-Identifier: Apache-2.0 */
/* The waits of a thread, on an eventfd in the place of a device's queue. */
#include "dp/eal/eal.h"
#include "dp/loop/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static const uint64_t ms_ns = 1000000;

struct device {
	int fd;
	bool minds;
	uint64_t calm_ns;
	_Atomic uint64_t frames, rounds;
};

/* No DPDK here. */
uint64_t eal_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t eal_thread_ns(void)
{
	return eal_now_ns();
}

void eal_pause(void)
{
}

enum zk_err eal_thread_register(void)
{
	return ZK_EOK;
}

void eal_thread_unregister(void)
{
}

static unsigned on_poll(void *ctx, uint64_t now_ns)
{
	struct device *d = ctx;
	uint64_t n;

	(void)now_ns;
	atomic_fetch_add(&d->rounds, 1);
	if (read(d->fd, &n, sizeof(n)) != sizeof(n))
		return 0;
	atomic_fetch_add(&d->frames, n);
	return (unsigned)n;
}

static uint64_t on_next(void *ctx)
{
	(void)ctx;
	return UINT64_MAX;
}

static uint64_t on_calm(void *ctx)
{
	return ((struct device *)ctx)->calm_ns;
}

static bool on_minds(void *ctx)
{
	return ((struct device *)ctx)->minds;
}

static void pass(unsigned ms)
{
	struct timespec ts = {.tv_nsec = (long)(ms * ms_ns)};

	nanosleep(&ts, NULL);
}

static bool come(struct device *d, uint64_t frames)
{
	for (unsigned i = 0; i < 2000 && atomic_load(&d->frames) < frames; i++)
		pass(5);
	return atomic_load(&d->frames) == frames;
}

static void frame(struct device *d)
{
	const uint64_t one = 1;

	assert_int_equal(write(d->fd, &one, sizeof(one)), sizeof(one));
}

static struct thread *begin(struct device *d)
{
	static struct thread one; /* aligned, as no heap's is */
	struct thread *t = &one;

	memset(t, 0, sizeof(*t));
	d->fd = eventfd(0, EFD_NONBLOCK);
	assert_true(d->fd >= 0);
	assert_int_equal(waker_init(&t->waker), ZK_EOK);
	t->adaptive = true;
	t->pollers_n = 1;
	t->poller[0] = (struct poller){.poll = on_poll,
				       .next_ns = on_next,
				       .calm_ns = on_calm,
				       .minds = on_minds,
				       .ctx = d,
				       .has_queue = true,
				       .rx_fd = d->fd};
	assert_int_equal(thread_start(t), ZK_EOK);
	pass(100); /* asleep */
	return t;
}

static void end(struct thread *t, struct device *d)
{
	thread_join(t);
	waker_fini(&t->waker);
	close(d->fd);
}

static void frames_wake(void **state)
{
	struct device d = {.calm_ns = 0};
	struct thread *t = begin(&d);

	(void)state;
	for (uint64_t i = 1; i <= 3; i++) {
		frame(&d);
		assert_true(come(&d, i));
	}
	end(t, &d);
}

/* Behind work frames lie for a while, unless somebody kicks; out of idleness they do not. */
static void a_calm_thread_lets_frames_lie(void **state)
{
	struct device d = {.calm_ns = 900 * ms_ns};
	struct thread *t = begin(&d);
	unsigned lay = 0;

	(void)state;
	for (uint64_t i = 1; i <= 9; i += 3) {
		frame(&d);
		assert_true(come(&d, i)); /* the first one wakes it */
		pass(50);
		frame(&d);
		pass(50);
		lay += atomic_load(&d.frames) == i; /* a slow machine may be late for that */
		waker_kick(&t->waker);
		assert_true(come(&d, i + 1));
		pass(50);
		frame(&d);
		assert_true(come(&d, i + 2)); /* in the end by itself */
		pass(1000);
	}
	assert_true(lay > 0);
	end(t, &d);
}

static void nudges_wake_who_minds(void **state)
{
	(void)state;
	for (int minds = 0; minds < 2; minds++) {
		struct device d = {.minds = minds};
		struct thread *t = begin(&d);
		uint64_t rounds = atomic_load(&d.rounds);

		waker_nudge(&t->waker);
		if (minds)
			for (unsigned i = 0; i < 2000 && atomic_load(&d.rounds) == rounds; i++)
				pass(5);
		else
			pass(20);
		assert_int_equal(atomic_load(&t->waker.kicks), minds);
		end(t, &d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_wake),
		cmocka_unit_test(a_calm_thread_lets_frames_lie),
		cmocka_unit_test(nudges_wake_who_minds),
	};

	return cmocka_run_group_tests_name("thread", tests, NULL, NULL);
}
