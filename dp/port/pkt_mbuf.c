/* SPDX-License-Identifier: Apache-2.0 */
/* Packets on DPDK: struct pkt lives in the private area of its rte_mbuf. */
#include "dp/eal/eal_int.h"
#include "dp/port/port_int.h"

#include <rte_ring.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(PKT_HEADROOM == RTE_PKTMBUF_HEADROOM, "the driver's headroom is ours");
_Static_assert(sizeof(struct pkt) % RTE_MBUF_PRIV_ALIGN == 0, "private area");
_Static_assert(sizeof(struct rte_mbuf) == 128, "pkt_to_mbuf steps back over exactly the mbuf");

enum { CACHE_MAX = 256 };

/* A mempool's name is unique in the process. */
static _Atomic unsigned pool_number; /* relaxed: only uniqueness matters */

struct pkt *pkt_alloc(struct pkt_pool *pool)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool->mp);
	struct pkt *p;

	if (zk_unlikely(!m))
		return NULL;
	p = pkt_of_mbuf(m);
	p->data = p->buf + PKT_HEADROOM;
	p->len = 0;
	p->flags = 0;
	p->hash = 0;
	p->next = NULL;
	return p;
}

void pkt_free(struct pkt *p)
{
	if (p)
		rte_pktmbuf_free_seg(pkt_to_mbuf(p));
}

void pkt_ref(struct pkt *p)
{
	rte_mbuf_refcnt_update(pkt_to_mbuf(p), 1);
}

bool pkt_shared(const struct pkt *p)
{
	return rte_mbuf_refcnt_read((const struct rte_mbuf *)(const void *)p - 1) > 1;
}

/* rte_mempool_avail_count(), which budgets ask for often, without the walk over the caches of
 * threads that never were. */
uint32_t pkt_pool_free_count(const struct pkt_pool *pool)
{
	const struct rte_mempool *mp = pool->mp;
	unsigned high = eal_lcores_high();
	uint32_t n = rte_ring_count(mp->pool_data); /* by the ops name below */

	if (mp->cache_size > 0) {
		for (unsigned i = 0; i < high; i++)
			n += mp->local_cache[i].len;
	}
	/* Other cores move packets between cache and ring while we count. */
	return n < pool->packets ? n : pool->packets;
}

uint32_t pkt_pool_size(const struct pkt_pool *pool)
{
	return pool->packets;
}

uint32_t pkt_pool_room(const struct pkt_pool *pool)
{
	return pool->room;
}

static uint32_t pkt_pool_missing(const struct pkt_pool *pool)
{
	return pool->packets - pkt_pool_free_count(pool);
}

/* What never changes in a packet is written once. */
static void pkt_birth(struct rte_mempool *mp, void *arg, void *obj, unsigned i)
{
	struct rte_mbuf *m = obj;
	struct pkt *p = pkt_of_mbuf(m);

	(void)mp;
	(void)arg;
	(void)i;
	*p = (struct pkt){.buf = m->buf_addr, .buf_bytes = m->buf_len};
	p->data = p->buf + PKT_HEADROOM;
}

struct pkt_pool *port_pool_new(const char *purpose, uint32_t packets, uint32_t room_bytes)
{
	struct pkt_pool *pool;
	unsigned cache = packets / 8 < CACHE_MAX ? packets / 8 : CACHE_MAX;
	uint32_t room = (room_bytes + 63) & ~63u;
	char name[RTE_MEMPOOL_NAMESIZE];

	if (packets == 0 || room + PKT_HEADROOM > UINT16_MAX)
		return NULL;
	pool = calloc(1, sizeof(*pool));
	if (!pool)
		return NULL;
	snprintf(name, sizeof(name), "zk%u",
		 atomic_fetch_add_explicit(&pool_number, 1, memory_order_relaxed));
	pool->mp = rte_pktmbuf_pool_create_by_ops(name, packets, cache, sizeof(struct pkt),
						  (uint16_t)(PKT_HEADROOM + room), SOCKET_ID_ANY,
						  "ring_mp_mc");
	if (!pool->mp) {
		eal_log("packet pool \"%s\": no memory for %u packets of %u bytes", purpose,
			packets, room);
		free(pool);
		return NULL;
	}
	pool->packets = packets;
	pool->room = room;
	snprintf(pool->purpose, sizeof(pool->purpose), "%s", purpose);
	rte_mempool_obj_iter(pool->mp, pkt_birth, NULL);
	return pool;
}

uint32_t pkt_pool_end(struct pkt_pool *pool, uint32_t keeps)
{
	uint32_t missing;

	if (!pool)
		return 0;
	missing = pkt_pool_missing(pool);
	if (missing <= keeps)
		missing = 0;
	if (missing > 0)
		/* The memory stays: somebody may still hold the packets. */
		eal_log("packet pool \"%s\": %u of %u packets are missing", pool->purpose, missing,
			pool->packets);
	else
		rte_mempool_free(pool->mp);
	free(pool);
	return missing;
}

bool port_pool_free(struct pkt_pool *pool)
{
	return pkt_pool_end(pool, 0) == 0;
}
