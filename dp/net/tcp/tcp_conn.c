/* SPDX-License-Identifier: Apache-2.0 */
/** Connection records: from the free list to the last word. */
#include "dp/net/tcp/tcp_int.h"

struct tcp_conn *tcp_conn_at(const struct tcp *t, uint32_t index)
{
	return &t->chunks[index / TCP_CHUNK_CONNS][index % TCP_CHUNK_CONNS];
}

static bool chunk_new(struct tcp *t)
{
	size_t bytes = sizeof(struct tcp_conn) * TCP_CHUNK_CONNS;
	struct tcp_conn *v;
	void *m;

	if (t->n_chunks == t->chunks_max)
		return false;
	m = zk_mem_alloc(tcp_mem(t), bytes + ZK_CACHE_LINE);
	if (!m)
		return false;
	v = (void *)(((uintptr_t)m + ZK_CACHE_LINE - 1) & ~(uintptr_t)(ZK_CACHE_LINE - 1));
	memset(v, 0, bytes);
	t->chunk_mem[t->n_chunks] = m;
	t->chunks[t->n_chunks] = v;
	for (uint32_t i = TCP_CHUNK_CONNS; i-- > 0;) {
		v[i].index = t->n_chunks * TCP_CHUNK_CONNS + i;
		v[i].free_next = t->free_conns;
		t->free_conns = &v[i];
	}
	t->n_chunks++;
	return true;
}

struct tcp_conn *tcp_conn_new(struct tcp *t, const struct net_tuple *tuple, uint32_t hash)
{
	struct tcp_conn *c;
	uint32_t index;

	if (t->conns >= t->conf.conns_max || (!t->free_conns && !chunk_new(t)))
		return NULL;
	c = t->free_conns;
	t->free_conns = c->free_next;
	index = c->index;
	memset(c, 0, sizeof(*c));
	c->index = index;
	c->t = t;
	c->tuple = *tuple;
	c->hash = hash;
	zk_list_init(&c->work);
	zk_list_init(&c->ready);
	zk_list_init(&c->mem_wait);
	zk_wheel_entry_init(&c->timer);
	c->path_mtu = t->n->conf.mtu;
	c->rto_us = t->conf.syn_rto_ms * 1000;
	c->ts_offset = tcp_ts_offset(t, tuple);
	c->last_rcv_tick = c->last_send_tick = c->progress_tick = t->tick;
	c->iss = tcp_isn(t, tuple);
	c->snd_una = c->snd_nxt = c->recover = c->iss;
	c->mss = TCP_MSS_DEFAULT;
	tcp_tuple_sums(tuple, &c->ip_sum, &c->ph_sum);
	tcp_table_put(t, hash, index + 1);
	c->flags = CF_IN_TABLE;
	t->conns++;
	return c;
}

void tcp_mss_set(struct tcp_conn *c, uint16_t peer_mss)
{
	uint32_t mss = c->path_mtu - (uint32_t)(IP4_HDR + TCP_HDR);
	uint32_t room = pkt_pool_room(c->t->n->conf.pool);

	if (peer_mss < TCP_MSS_MIN)
		peer_mss = TCP_MSS_MIN;
	if (mss > peer_mss)
		mss = peer_mss;
	/* RFC 6691: the options of every segment come out of the MSS. */
	if (c->flags & CF_TS)
		mss -= TCP_OPT_TS_BYTES;
	c->mss = (uint16_t)(mss < room ? mss : room);
	zk_assert(c->mss >= TCP_MSS_MIN - TCP_OPT_TS_BYTES);
}

void tcp_event(struct tcp_conn *c, unsigned events)
{
	if ((c->flags & (CF_VISIBLE | CF_RELEASED)) != CF_VISIBLE)
		return;
	c->events |= events;
	if (!zk_list_linked(&c->ready))
		zk_list_add_tail(&c->t->ready, &c->ready);
}

void tcp_work(struct tcp_conn *c)
{
	if (!zk_list_linked(&c->work) && c->state != TCP_CLOSED)
		zk_list_add_tail(&c->t->work, &c->work);
}

void tcp_work_done(struct tcp_conn *c)
{
	if (zk_list_linked(&c->work))
		zk_list_del(&c->work);
	c->flags &= ~(uint32_t)CF_NEIGH_WAIT;
}

void tcp_established(struct tcp_conn *c)
{
	struct tcp *t = c->t;

	c->state = TCP_ESTABLISHED;
	c->backoff = 0;
	c->rtx_tick = 0;
	c->life_tick = 0;
	c->progress_tick = t->tick;
	if (c->flags & CF_HALF_OPEN) {
		c->flags &= ~(uint32_t)CF_HALF_OPEN;
		t->half_open--;
	}
	tcp_cc_init(c);
	if (c->flags & CF_PASSIVE)
		t->stats->tcp_conn_open_passive++;
	else
		t->stats->tcp_conn_open_active++;
	c->flags |= CF_VISIBLE;
	tcp_event(c, TCP_READY_OPEN);
	if (t->conf.keepalive_idle_ms)
		tcp_life_arm(c, t->conf.keepalive_idle_ms);
}

/* Off the wire: nothing finds the connection any more but the application. */
static void detach(struct tcp_conn *c)
{
	struct tcp *t = c->t;

	if (c->flags & CF_IN_TABLE)
		tcp_table_del(t, c->hash, c->index + 1);
	if (c->flags & CF_HALF_OPEN)
		t->half_open--;
	c->flags &= ~(uint32_t)(CF_IN_TABLE | CF_HALF_OPEN);
	zk_wheel_cancel(&c->timer);
	c->timer_tick = c->rtx_tick = c->delack_tick = c->life_tick = 0;
	tcp_work_done(c);
	zk_list_del(&c->mem_wait);
	while (c->snd_head)
		tcp_snd_free_head(c);
	tcp_ooo_free(c);
	c->lost_bytes = c->rtx_bytes = c->sacked_bytes = c->sacked_pkts = 0;
	c->snd_nxt = c->snd_una;
	c->state = TCP_CLOSED;
}

void tcp_conn_drop(struct tcp_conn *c)
{
	struct tcp *t = c->t;

	detach(c);
	while (c->rcv_head) {
		struct pkt *p = c->rcv_head;

		c->rcv_head = p->next;
		tcp_rcv_free(c, p);
	}
	zk_list_del(&c->ready);
	zk_assert(c->snd_pkts == 0 && c->rcv_pkts == 0 && c->ooo_pkts == 0);
	c->t = NULL;
	c->free_next = t->free_conns;
	t->free_conns = c;
	zk_assert(t->conns > 0);
	t->conns--;
}

void tcp_conn_finish(struct tcp_conn *c, enum tcp_close_reason why)
{
	if (c->state == TCP_CLOSED)
		return;
	c->close_reason = (uint8_t)why;
	c->t->stats->tcp_conn_closed++;
	if (why == TCP_CLOSE_TIMEOUT)
		c->t->stats->tcp_conn_timeout++;
	else if (why == TCP_CLOSE_MEMORY)
		c->t->stats->tcp_conn_mem++;
	detach(c);
	if ((c->flags & (CF_VISIBLE | CF_RELEASED)) == CF_VISIBLE)
		tcp_event(c, TCP_READY_CLOSED);
	else
		tcp_conn_drop(c);
}
