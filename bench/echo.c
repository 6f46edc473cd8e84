/* SPDX-License-Identifier: Apache-2.0 */
/* Frames there and back over the bare device: the floor under every other figure. */
#include "bench/modes.h"

#include "bench/report.h"
#include "core/base/endian.h"
#include "core/base/hist.h"
#include "dp/eal/eal.h"

#include <stdio.h>
#include <string.h>

enum { BURST = 32, IN_FLIGHT_MAX = 512, ETHER_TYPE_TEST = 0x88b5, LOST_NS = 1000000000 };

int bench_echo_server(const struct bench_options *o)
{
	struct bench_stack s;
	bool ok = bench_stack_open(&s, &o->stack);

	while (ok && !bench_stopped()) {
		struct pkt *v[BURST];
		uint16_t n = port_rx(s.port, 0, v, BURST), sent = 0;

		while (sent < n && !bench_stopped())
			sent = (uint16_t)(sent +
					  port_tx(s.port, 0, v + sent, (uint16_t)(n - sent)));
		for (; sent < n; sent++)
			pkt_free(v[sent]);
	}
	ok = bench_stack_close(&s) && ok;
	return ok ? 0 : 1;
}

static struct pkt *frame_new(struct bench_stack *s, unsigned bytes)
{
	struct pkt *p = pkt_alloc(s->pool);
	uint8_t *f;

	if (!p)
		return NULL;
	f = pkt_append(p, bytes);
	memset(f, 0x02, 12);
	zk_put16(f + 12, ETHER_TYPE_TEST);
	return p;
}

/* Keep the wire full in bursts. @return frames per second that came back; 0 = none did. */
static double echo_rate(struct bench_stack *s, const struct bench_options *o)
{
	uint64_t begin = eal_now_ns(), now, end = begin + (uint64_t)(o->seconds * 1e9);
	uint64_t sent = 0, back = 0, last = begin, counted;

	while ((now = eal_now_ns()) < end && now - last < LOST_NS && !bench_stopped()) {
		struct pkt *v[BURST];
		uint16_t n = 0, k;

		while (n < BURST && sent - back + BURST <= IN_FLIGHT_MAX &&
		       (v[n] = frame_new(s, o->frame_bytes)) != NULL)
			n++;
		k = n ? port_tx(s->port, 0, v, n) : 0;
		sent += k;
		for (; k < n; k++)
			pkt_free(v[k]);
		n = port_rx(s->port, 0, v, BURST);
		for (k = 0; k < n; k++)
			pkt_free(v[k]);
		back += n;
		if (n > 0)
			last = now;
	}
	counted = back;
	while (back < sent && eal_now_ns() - end < LOST_NS) { /* leave nothing on the wire */
		struct pkt *v[BURST];
		uint16_t n = port_rx(s->port, 0, v, BURST);

		for (uint16_t k = 0; k < n; k++)
			pkt_free(v[k]);
		back += n;
	}
	return (double)counted * 1e9 / (double)(now - begin);
}

static bool echo_trips(struct bench_stack *s, const struct bench_options *o, struct zk_hist *h)
{
	uint64_t end = eal_now_ns() + (uint64_t)(o->seconds * 1e9), t0 = 0;

	while (t0 < end && !bench_stopped()) {
		struct pkt *p = frame_new(s, o->frame_bytes), *v[BURST];
		uint16_t n = 0;

		t0 = eal_now_ns();
		if (!p)
			return false;
		if (port_tx(s->port, 0, &p, 1) == 0) {
			pkt_free(p);
			continue;
		}
		while ((n = port_rx(s->port, 0, v, BURST)) == 0)
			if (eal_now_ns() - t0 > LOST_NS)
				return false;
		zk_hist_add(h, eal_now_ns() - t0);
		for (uint16_t k = 0; k < n; k++)
			pkt_free(v[k]);
	}
	return h->count > 0;
}

int bench_echo(const struct bench_options *o)
{
	static struct zk_hist h;
	struct bench_stack s;
	struct bench_echo_result r = {.frame_bytes = o->frame_bytes};
	bool ok = bench_stack_open(&s, &o->stack);

	zk_hist_init(&h);
	if (ok) {
		r.frames_per_s = echo_rate(&s, o);
		ok = r.frames_per_s > 0 && echo_trips(&s, o, &h);
		if (!ok)
			fprintf(stderr, "zokor-bench: frames do not come back\n");
	}
	r.rtt_p50_ns = zk_hist_quantile(&h, 500000);
	r.rtt_p99_ns = zk_hist_quantile(&h, 990000);
	r.rtt_p999_ns = zk_hist_quantile(&h, 999000);
	ok = ok && bench_report_echo(o, &r) && bench_linger(&s, o->linger);
	ok = bench_stack_close(&s) && ok;
	return ok ? 0 : 1;
}
