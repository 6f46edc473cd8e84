/* SPDX-License-Identifier: Apache-2.0 */
/* Random operations on a client core with the real leader (test/lib/srv_world.h). */
#include "test/lib/srv_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SEEDS = 3000, BYTES = 2000 };

static uint64_t next(uint64_t *s)
{
	*s += 0x9e3779b97f4a7c15u;
	uint64_t z = *s;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* SEED=n runs one of them */
static void run_worlds(bool ensemble)
{
	const char *only = getenv("SEED");
	uint64_t first = only ? strtoull(only, NULL, 0) : 1;
	uint64_t last = only ? first : SEEDS;
	struct srv_world_stats st = {0};
	static uint8_t bytes[BYTES];

	for (uint64_t seed = first; seed <= last; seed++) {
		uint64_t s = seed;

		if (seed % 500 == 1)
			printf("seeds from %llu\n", (unsigned long long)seed);
		for (size_t i = 0; i < BYTES; i++)
			bytes[i] = (uint8_t)next(&s);
		srv_world_run(bytes, BYTES, ensemble, &st);
	}
	printf("%llu requests, %llu replies, %llu events, %llu sessions, %llu closed, %llu roles\n",
	       (unsigned long long)st.requests, (unsigned long long)st.replies,
	       (unsigned long long)st.events, (unsigned long long)st.sessions,
	       (unsigned long long)st.closed, (unsigned long long)st.roles);
	if (!only) { /* the worlds are not empty */
		assert_true(st.replies > SEEDS * 10u);
		assert_true(st.events > SEEDS);
		assert_true(st.sessions > SEEDS);
		assert_true(!ensemble || st.roles > SEEDS * 5u);
	}
}

static void random_worlds(void **state)
{
	(void)state;
	run_worlds(false);
}

static void random_roles(void **state)
{
	(void)state;
	run_worlds(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_worlds),
		cmocka_unit_test(random_roles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
