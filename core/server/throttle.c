/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/throttle.h"

/* Relaxed throughout: the two words guard nothing but themselves. */

enum { TRIES_MAX = 64, SKEW_MS = 1000 /* clocks of cores do not differ by that much */ };

static uint64_t word(uint32_t ms, uint32_t low)
{
	return (uint64_t)ms << 32 | low;
}

static uint32_t since(uint64_t v, uint32_t now)
{
	uint32_t ms = now - (uint32_t)(v >> 32);

	return ms > UINT32_MAX - SKEW_MS ? 0 : ms; /* another core was ahead */
}

static uint32_t missing_now(const struct throttle_conf *c, uint64_t v, uint32_t now, uint32_t *at)
{
	uint32_t missing = (uint32_t)v, ms = since(v, now);
	uint64_t fill;

	*at = (uint32_t)(v >> 32);
	if (ms <= c->fill_ms)
		return missing;
	fill = (uint64_t)ms * c->fill_count / c->fill_ms;
	*at = now;
	return fill < missing ? missing - (uint32_t)fill : 0;
}

/** BlueThrottle.checkBlue(): does luck let it through? */
static bool lucky(struct throttle *t, const struct throttle_conf *c, uint32_t missing, uint32_t now,
		  uint64_t random)
{
	uint64_t v = atomic_load_explicit(&t->blue, memory_order_relaxed), new;
	uint64_t low =
		((uint64_t)c->tokens * c->decrease_ratio + THROTTLE_CERTAIN / 2) / THROTTLE_CERTAIN;
	uint32_t chance = (uint32_t)v;

	if (since(v, now) > (uint32_t)c->freeze_ms) {
		if (missing == c->tokens)
			chance = chance < THROTTLE_CERTAIN - c->drop_increase
					 ? chance + c->drop_increase
					 : THROTTLE_CERTAIN;
		else if (missing <= low)
			chance = chance > c->drop_decrease ? chance - c->drop_decrease : 0;
		new = word(now, chance);
		/* partner: the other cores; who loses finds the change made */
		if (!atomic_compare_exchange_strong_explicit(
			    &t->blue, &v, new, memory_order_relaxed, memory_order_relaxed))
			chance = (uint32_t)v;
	}
	return random % THROTTLE_CERTAIN >= chance;
}

bool throttle_take(struct throttle *t, const struct throttle_conf *conf, uint32_t need,
		   uint64_t now_ms, uint64_t random)
{
	uint32_t now = (uint32_t)now_ms;
	bool asked = false, luck = true;
	uint64_t v;

	if (conf->tokens == 0)
		return true;
	v = atomic_load_explicit(&t->bucket, memory_order_relaxed);
	for (unsigned i = 0; i < TRIES_MAX; i++) {
		uint32_t at, missing = missing_now(conf, v, now, &at);
		bool ok;

		if (!asked && conf->freeze_ms != -1)
			luck = lucky(t, conf, missing, now, random);
		asked = true;
		ok = luck && conf->tokens - missing >= need;
		/* partner: the other cores' exchanges */
		if (atomic_compare_exchange_weak_explicit(
			    &t->bucket, &v, word(at, missing + (ok ? need : 0)),
			    memory_order_relaxed, memory_order_relaxed))
			return ok;
	}
	return false;
}

uint32_t throttle_deficit(const struct throttle *t)
{
	return (uint32_t)atomic_load_explicit(&t->bucket, memory_order_relaxed);
}

uint32_t throttle_chance(const struct throttle *t)
{
	return (uint32_t)atomic_load_explicit(&t->blue, memory_order_relaxed);
}
