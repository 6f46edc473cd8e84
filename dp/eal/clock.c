/* SPDX-License-Identifier: Apache-2.0 */
/* Nanoseconds from the time-stamp counter, on CLOCK_MONOTONIC's scale.
 *
 * Where the counter is not invariant (CPUID 80000007h) the kernel's clock is used instead. */
#include "core/base/assert.h"
#include "dp/eal/eal.h"
#include "dp/eal/eal_int.h"

#include <rte_cycles.h>
#include <rte_pause.h>
#include <time.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

enum { CALIBRATE_NS = 20000000, CALIBRATE_TRIES = 16 };

/* Written once by eal_start() before any polling thread exists, read-only afterwards. */
static struct {
	uint64_t tsc0, ns0;
	uint64_t mult; /* ns per tick, 32.32 fixed point; 0 = not calibrated */
} clk;

static uint64_t kernel_ns(clockid_t which)
{
	struct timespec ts;

	clock_gettime(which, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* The fence keeps the counter from being read before an earlier load of another thread's time. */
static inline uint64_t ticks(void)
{
#if defined(__x86_64__)
	_mm_lfence();
#endif
	return rte_rdtsc();
}

static bool tsc_invariant(void)
{
#if defined(__x86_64__)
	unsigned a, b, c, d;

	if (!__get_cpuid(0x80000007u, &a, &b, &c, &d))
		return false;
	return (d & (1u << 8)) != 0;
#else
	return false;
#endif
}

/* A pair of readings taken as close together as a few tries allow. */
static void sample(uint64_t *tsc, uint64_t *ns)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < CALIBRATE_TRIES; i++) {
		uint64_t a = ticks();
		uint64_t t = kernel_ns(CLOCK_MONOTONIC);
		uint64_t b = ticks();

		if (b - a < best) {
			best = b - a;
			*tsc = a + (b - a) / 2;
			*ns = t;
		}
	}
}

void eal_clock_init(void)
{
	struct timespec wait = {0, CALIBRATE_NS};
	uint64_t tsc0 = 0, ns0 = 0, tsc1 = 0, ns1 = 0;

	if (clk.mult || !tsc_invariant())
		return;
	sample(&tsc0, &ns0);
	nanosleep(&wait, NULL);
	sample(&tsc1, &ns1);
	zk_assert(tsc1 > tsc0 && ns1 > ns0);
	clk.tsc0 = tsc0;
	clk.ns0 = ns0;
	clk.mult = (uint64_t)(((unsigned __int128)(ns1 - ns0) << 32) / (tsc1 - tsc0));
}

uint64_t eal_now_ns(void)
{
	if (zk_unlikely(!clk.mult))
		return kernel_ns(CLOCK_MONOTONIC);
	return clk.ns0 + (uint64_t)(((unsigned __int128)(ticks() - clk.tsc0) * clk.mult) >> 32);
}

uint64_t eal_thread_ns(void)
{
	return kernel_ns(CLOCK_THREAD_CPUTIME_ID);
}

void eal_pause(void)
{
	rte_pause();
}
