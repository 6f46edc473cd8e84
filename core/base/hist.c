/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/hist.h"

#include "core/base/assert.h"

#include <string.h>

static const uint64_t value_max = (1ull << ZK_HIST_MAX_BITS) - 1;

void zk_hist_init(struct zk_hist *h)
{
	memset(h, 0, sizeof(*h));
	h->min = UINT64_MAX;
}

unsigned zk_hist_slot(uint64_t value)
{
	unsigned shift;

	if (value > value_max)
		value = value_max;
	if (value < 1u << ZK_HIST_SUB_BITS)
		return (unsigned)value;
	shift = 63 - (unsigned)__builtin_clzll(value) - ZK_HIST_SUB_BITS;
	/* value >> shift is in [64, 128): its own slots start where the former power's ended */
	return (shift << ZK_HIST_SUB_BITS) + (unsigned)(value >> shift);
}

static uint64_t slot_end(unsigned slot)
{
	unsigned shift;

	if (slot < 2u << ZK_HIST_SUB_BITS)
		return slot;
	shift = (slot >> ZK_HIST_SUB_BITS) - 1;
	return (((uint64_t)slot - ((uint64_t)shift << ZK_HIST_SUB_BITS) + 1) << shift) - 1;
}

void zk_hist_add(struct zk_hist *h, uint64_t value)
{
	if (value > value_max)
		value = value_max;
	h->slot[zk_hist_slot(value)]++;
	h->count++;
	h->sum += value;
	if (value < h->min)
		h->min = value;
	if (value > h->max)
		h->max = value;
}

void zk_hist_merge(struct zk_hist *h, const struct zk_hist *from)
{
	for (unsigned i = 0; i < ZK_HIST_SLOTS; i++)
		h->slot[i] += from->slot[i];
	h->count += from->count;
	h->sum += from->sum;
	if (from->min < h->min)
		h->min = from->min;
	if (from->max > h->max)
		h->max = from->max;
}

uint64_t zk_hist_quantile(const struct zk_hist *h, uint32_t ppm)
{
	uint64_t want, seen = 0;

	zk_assert(ppm <= 1000000);
	if (h->count == 0)
		return 0;
	/* count * ppm / 1000000, rounded up, without 128 bits */
	want = h->count / 1000000 * ppm + (h->count % 1000000 * ppm + 999999) / 1000000;
	if (want == 0)
		want = 1;
	for (unsigned i = 0; i < ZK_HIST_SLOTS; i++) {
		seen += h->slot[i];
		if (seen >= want)
			return slot_end(i) < h->max ? slot_end(i) : h->max;
	}
	return h->max;
}

uint64_t zk_hist_mean(const struct zk_hist *h)
{
	return h->count ? h->sum / h->count : 0;
}
