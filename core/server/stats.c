/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/stats.h"

#include <inttypes.h>
#include <stdio.h>

void stats_publish(struct srv_stats *to, const struct srv_counts *from)
{
/* partner: relaxed loads in stats_add() */
#define PUBLISH(name, text) atomic_store_explicit(&to->name, from->name, memory_order_relaxed);
	SRV_STATS_MAP(PUBLISH)
#undef PUBLISH
}

void stats_add(struct srv_counts *sum, const struct srv_stats *from)
{
	struct srv_counts c, before = *sum;

/* partner: relaxed stores in stats_publish() */
#define LOAD(name, text) c.name = atomic_load_explicit(&from->name, memory_order_relaxed);
	SRV_STATS_MAP(LOAD)
#undef LOAD
#define ADD(name, text) sum->name += c.name;
	SRV_STATS_MAP(ADD)
#undef ADD
	sum->latency_min_ms = before.latency_min_ms;
	if (c.latency_count && (!before.latency_count || c.latency_min_ms < before.latency_min_ms))
		sum->latency_min_ms = c.latency_min_ms;
	sum->latency_max_ms =
		c.latency_max_ms > before.latency_max_ms ? c.latency_max_ms : before.latency_max_ms;
	sum->response_min_bytes = before.response_min_bytes;
	if (c.responses && (!before.responses || c.response_min_bytes < before.response_min_bytes))
		sum->response_min_bytes = c.response_min_bytes;
	sum->response_max_bytes = c.response_max_bytes > before.response_max_bytes
					  ? c.response_max_bytes
					  : before.response_max_bytes;
	sum->response_last_bytes = c.responses ? c.response_last_bytes : before.response_last_bytes;
}

void stats_avg_text(uint64_t sum, uint64_t count, char out[STATS_AVG_TEXT_BYTES])
{
	/* in ten-thousandths, half up; the whole part apart, so that nothing overflows */
	uint64_t whole = count ? sum / count : 0;
	uint64_t rest = count ? ((sum % count) * 20000 + count) / (2 * count) : 0;

	whole += rest / 10000;
	rest %= 10000;
	if (whole == 0 && rest != 0 && rest < 10) {
		/* Double.toString() below 10^-3 */
		(void)snprintf(out, STATS_AVG_TEXT_BYTES, "%" PRIu64 ".0E-4", rest);
		return;
	}
	(void)snprintf(out, STATS_AVG_TEXT_BYTES, "%" PRIu64 ".%04" PRIu64, whole, rest);
	for (size_t n = 0; out[n]; n++)
		if (out[n] == '.')
			for (size_t e = n + 4; e > n + 1 && out[e] == '0'; e--)
				out[e] = '\0';
}

void stats_restart(struct srv_counts *c)
{
	c->packets_received = c->packets_sent = 0;
	c->latency_count = c->latency_sum_ms = c->latency_min_ms = c->latency_max_ms = 0;
	c->responses = c->response_last_bytes = 0;
	c->response_min_bytes = c->response_max_bytes = 0;
}
