/* SPDX-License-Identifier: Apache-2.0 */
#include "test/sim/link.h"

#include "core/base/assert.h"
#include "core/base/endian.h"

#include <stdlib.h>
#include <string.h>

enum { HELD_MAX = 256, ETH_BYTES = 14 };

struct frame {
	uint64_t at_ns, order; /* order breaks ties, so that equal times stay in sequence */
	uint32_t len;
	uint8_t bytes[LINK_FRAME_MAX];
};

struct held {
	struct pkt *original;
	uint64_t until_ns;
	uint64_t digest;
};

struct link {
	struct link_conf conf[2];
	struct link_stats stats[2];
	struct sim_rng rng;
	uint64_t heal_ns, order, digest, changed;
	struct frame *queue[2][LINK_QUEUE_MAX]; /* by sending side, unsorted */
	uint32_t queued[2];
	struct held held[HELD_MAX];
	uint32_t n_held;
};

static const struct zk_hash_key DIGEST_KEY = {0x6c696e6b, 0x73696d};

struct link *link_new(const struct link_conf conf[2], uint64_t heal_ns, uint64_t seed)
{
	struct link *l = calloc(1, sizeof(*l));

	zk_assert(l);
	l->conf[0] = conf[0];
	l->conf[1] = conf[1];
	l->heal_ns = heal_ns;
	l->rng.state = seed;
	return l;
}

static void give_back(struct link *l, uint32_t i)
{
	struct held *h = &l->held[i];

	if (zk_hash13(&DIGEST_KEY, h->original->data, h->original->len) != h->digest)
		l->changed++;
	pkt_free(h->original);
	*h = l->held[--l->n_held];
}

uint64_t link_free(struct link *l)
{
	uint64_t changed;

	while (l->n_held)
		give_back(l, l->n_held - 1);
	for (unsigned d = 0; d < 2; d++) {
		for (uint32_t i = 0; i < l->queued[d]; i++)
			free(l->queue[d][i]);
	}
	changed = l->changed;
	free(l);
	return changed;
}

static bool is_arp(const uint8_t *bytes, uint32_t n)
{
	return n >= ETH_BYTES && zk_get16(bytes + 12) == 0x0806;
}

/* One byte behind the Ethernet header: 16-bit sums always see that, and a real wire's CRC guards
 * the header and ARP. */
static void corrupt(struct link *l, struct frame *f)
{
	uint64_t at;

	if (f->len <= ETH_BYTES || is_arp(f->bytes, f->len))
		return;
	at = ETH_BYTES + sim_rng_below(&l->rng, f->len - ETH_BYTES);
	f->bytes[at] ^= (uint8_t)sim_rng_range(&l->rng, 1, 255);
}

static void enqueue(struct link *l, unsigned from, const struct pkt *p, uint64_t now_ns)
{
	const struct link_conf *c = &l->conf[from];
	struct link_stats *s = &l->stats[from];
	bool faults = now_ns < l->heal_ns;
	struct frame *f;

	if (l->queued[from] >= c->queue_packets) {
		s->overflowed++;
		return;
	}
	f = malloc(sizeof(*f));
	zk_assert(f && p->len <= LINK_FRAME_MAX);
	f->at_ns = now_ns + c->delay_ns + sim_rng_below(&l->rng, c->jitter_ns + 1);
	f->order = l->order++;
	f->len = p->len;
	memcpy(f->bytes, p->data, p->len);
	if (faults && sim_rng_ppm(&l->rng, c->reorder_ppm)) {
		f->at_ns += sim_rng_below(&l->rng, c->reorder_ns + 1);
		s->reordered++;
	}
	if (faults && sim_rng_ppm(&l->rng, c->corrupt_ppm)) {
		corrupt(l, f);
		s->corrupted++;
	}
	if (faults && sim_rng_ppm(&l->rng, c->truncate_ppm) && !is_arp(f->bytes, f->len)) {
		f->len = (uint32_t)sim_rng_below(&l->rng, f->len);
		s->corrupted++;
	}
	l->queue[from][l->queued[from]++] = f;
}

void link_send(struct link *l, unsigned from, struct pkt *p, uint64_t now_ns)
{
	const struct link_conf *c = &l->conf[from];
	struct link_stats *s = &l->stats[from];
	bool faults = now_ns < l->heal_ns;

	s->sent++;
	if (faults && now_ns >= c->cut_from_ns && now_ns < c->cut_until_ns) {
		s->cut++;
	} else if (faults && sim_rng_ppm(&l->rng, c->loss_ppm)) {
		s->lost++;
	} else {
		enqueue(l, from, p, now_ns);
		if (faults && sim_rng_ppm(&l->rng, c->duplicate_ppm)) {
			s->duplicated++;
			enqueue(l, from, p, now_ns);
		}
	}
	if (c->tx_hold_ns == 0 || l->n_held == HELD_MAX) {
		pkt_free(p);
		return;
	}
	l->held[l->n_held++] =
		(struct held){.original = p,
			      .until_ns = now_ns + sim_rng_below(&l->rng, c->tx_hold_ns + 1),
			      .digest = zk_hash13(&DIGEST_KEY, p->data, p->len)};
}

static uint32_t earliest(const struct link *l, unsigned from)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < l->queued[from]; i++) {
		const struct frame *a = l->queue[from][i], *b = l->queue[from][best];

		if (a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->order < b->order))
			best = i;
	}
	return best;
}

uint32_t link_receive(struct link *l, unsigned to, uint64_t now_ns, uint8_t *out)
{
	unsigned from = 1 - to;
	struct frame *f;
	uint32_t i, n;

	if (l->queued[from] == 0)
		return 0;
	i = earliest(l, from);
	f = l->queue[from][i];
	if (f->at_ns > now_ns)
		return 0;
	l->queue[from][i] = l->queue[from][--l->queued[from]];
	n = f->len;
	memcpy(out, f->bytes, n);
	l->digest = zk_mix64(l->digest ^ zk_hash13(&DIGEST_KEY, f->bytes, n) ^ now_ns);
	l->stats[from].delivered++;
	free(f);
	return n ? n : link_receive(l, to, now_ns, out);
}

void link_round(struct link *l, uint64_t now_ns)
{
	for (uint32_t i = l->n_held; i-- > 0;) {
		if (l->held[i].until_ns <= now_ns)
			give_back(l, i);
	}
}

uint64_t link_next_ns(const struct link *l)
{
	uint64_t t = UINT64_MAX;

	for (unsigned d = 0; d < 2; d++) {
		for (uint32_t i = 0; i < l->queued[d]; i++)
			t = l->queue[d][i]->at_ns < t ? l->queue[d][i]->at_ns : t;
	}
	for (uint32_t i = 0; i < l->n_held; i++)
		t = l->held[i].until_ns < t ? l->held[i].until_ns : t;
	return t;
}

uint64_t link_digest(const struct link *l)
{
	return l->digest;
}

const struct link_stats *link_stats(const struct link *l, unsigned from)
{
	return &l->stats[from];
}
