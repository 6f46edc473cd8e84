/* SPDX-License-Identifier: Apache-2.0 */
/* dp/loop/pace.c in virtual time: how many notifications leave in a round. */
#include "dp/loop/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { WANT = 64, PACKETS = 14336, WATCHERS = 100000 };

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)

/* A core whose watchers acknowledge what they were told @ack_ns later, and nothing else. */
struct core {
	struct pace p;
	struct pace_look look;
	uint64_t ack_ns, done_ns;
	uint64_t per_event_ns;
	unsigned told, least_packets, most;
	/* what is in flight: told so many at each time */
	struct {
		uint64_t at_ns;
		unsigned n;
	} flight[1 << 20];
	unsigned head, tail;
};

static struct core c;

static void round_once(void)
{
	unsigned n;

	while (c.tail < c.head && c.flight[c.tail].at_ns <= c.look.now_ns)
		c.look.packets += c.flight[c.tail++].n;
	n = pace_slice(&c.p, &c.look, WANT);
	assert_true(n <= WANT);
	assert_true(n <= c.look.packets);
	if (n) {
		assert_true(c.head < 1u << 20);
		c.flight[c.head].n = n;
		c.flight[c.head++].at_ns = c.look.now_ns + c.ack_ns;
	}
	c.told += n;
	c.look.packets -= n;
	if (c.look.packets < c.least_packets)
		c.least_packets = c.look.packets;
	if (n > c.most)
		c.most = n;
	c.look.now_ns += 2 * US + n * c.per_event_ns;
	pace_round(&c.p, 2 * US + n * c.per_event_ns);
}

static void begin(uint64_t ack_ns, uint64_t per_event_ns)
{
	c = (struct core){.look = {.now_ns = 1000 * MS, .packets_max = PACKETS, .packets = PACKETS},
			  .ack_ns = ack_ns,
			  .per_event_ns = per_event_ns,
			  .least_packets = PACKETS};
}

/* Ten thousand who listen, at 40 ms: none of them waits for another one's ACK, and a quarter of the
 * packets stays for replies. */
static void late_acks(void **state)
{
	uint64_t start;

	(void)state;
	begin(40 * MS, US / 2);
	start = c.look.now_ns;
	while (c.told < 10000)
		round_once();
	assert_true(c.look.now_ns - start < 10 * MS);
	while (c.told < WATCHERS)
		round_once();
	/* ten rounds of ACKs; a few get through beyond the quarter in the meantime */
	printf("%u told in %u ms, at least %u packets left\n", c.told,
	       (unsigned)((c.look.now_ns - start) / MS), c.least_packets);
	assert_true(c.look.now_ns - start < 450 * MS);
	assert_true(c.least_packets > PACKETS / 8);
	assert_true(c.p.short_rounds > 0);
}

/* Four seconds without any ACK: it goes on, and replies find packets all the time. */
static void no_acks(void **state)
{
	unsigned before = 0;

	(void)state;
	begin(1000000 * MS, US);
	for (unsigned s = 0; s < 20; s++) {
		for (uint64_t until = c.look.now_ns + 200 * MS; c.look.now_ns < until;
		     c.look.now_ns += 50 * US)
			round_once();
		assert_true(c.told > before);
		before = c.told;
	}
	assert_true(c.least_packets > PACKETS / 64);
}

/* A device where each frame is a system call of 20 us: rounds find their length. */
static void slow_device(void **state)
{
	unsigned rounds = 0, few = 0;

	(void)state;
	begin(MS, 20 * US);
	while (c.told < WATCHERS) {
		unsigned before = c.told;

		round_once();
		rounds++;
		few += c.told - before < PACE_FEW;
		if (rounds > 10) /* never again anything like the first */
			assert_true((c.told - before) * 20 * US <= PACE_ROUND_NS * 2);
	}
	assert_int_equal(c.most, WANT);
	assert_int_equal(few, 0);
	printf("%u told in %u rounds\n", c.told, rounds);
	/* faster again, larger again */
	c.per_event_ns = US / 2;
	c.most = 0;
	for (unsigned i = 0; i < 100; i++)
		round_once();
	assert_int_equal(c.most, WANT);
}

/* While the device is behind a few in a tenth of a millisecond, and no more. */
static void device_behind(void **state)
{
	(void)state;
	begin(MS, US);
	c.look.behind = true;
	while (c.look.now_ns < 1010 * MS)
		round_once();
	assert_in_range(c.told, 60 * PACE_FEW, 102 * PACE_FEW);
	assert_int_equal(c.most, PACE_FEW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(late_acks),
		cmocka_unit_test(no_acks),
		cmocka_unit_test(slow_device),
		cmocka_unit_test(device_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
