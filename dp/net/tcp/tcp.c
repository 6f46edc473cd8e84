/* SPDX-License-Identifier: Apache-2.0 */
/** The instance: life, clock, rounds. */
#include "dp/net/tcp/tcp_int.h"

enum { MEM_WAKES_PER_ROUND = 32, TABLE_MIN = 1024, MEM_RETRY_TICKS = 2 };
enum { SND_PKTS_SPARE = 16, SND_BYTES_PER_PKT_MIN = 1024 };

void tcp_conf_default(struct tcp_conf *c)
{
	*c = (struct tcp_conf){.conns_max = 16384,
			       .rto_min_ms = 200,
			       .rto_max_ms = 60000,
			       .give_up_ms = 30000,
			       .syn_give_up_ms = 5000,
			       .syn_rto_ms = 1000,
			       .time_wait_ms = 60000,
			       .fin_wait_ms = 60000,
			       .delack_ms = 40,
			       .tlp_ack_delay_ms = 50,
			       .keepalive_idle_ms = 0,
			       .rcv_buf_bytes = 256 << 10,
			       .snd_buf_bytes = 512 << 10,
			       .ooo_bytes = 512 << 10,
			       .ooo_intervals = 32,
			       .mem_packets_max = 32768,
			       .syn_backlog = 1024};
}

static bool conf_ok(const struct tcp_conf *c)
{
	return c->conns_max > 0 && c->conns_max <= (1u << 24) && c->rto_min_ms > 0 &&
	       c->rto_max_ms >= c->rto_min_ms && c->give_up_ms > 0 && c->syn_give_up_ms > 0 &&
	       c->syn_rto_ms > 0 && c->time_wait_ms > 0 && c->fin_wait_ms > 0 &&
	       c->rcv_buf_bytes >= TCP_MSS_DEFAULT &&
	       c->rcv_buf_bytes <= (65535u << TCP_WSCALE_MAX) &&
	       c->snd_buf_bytes >= TCP_MSS_DEFAULT && c->snd_buf_bytes <= (1u << 30) &&
	       c->mem_packets_max > 0;
}

static void derive_key(const struct net *n, uint64_t purpose, struct zk_hash_key *key)
{
	struct zk_hash_key a, b;

	memcpy(&a, n->conf.secret, sizeof(a));
	memcpy(&b, n->conf.secret + 16, sizeof(b));
	key->k0 = zk_hash24(&a, &purpose, sizeof(purpose));
	key->k1 = zk_hash24(&b, &purpose, sizeof(purpose));
}

/* Small segments are charged by count, or a window of them would hold a pool of buffers. */
static uint32_t snd_pkts_max(const struct tcp_conf *c)
{
	uint32_t n = c->snd_buf_bytes / SND_BYTES_PER_PKT_MIN + SND_PKTS_SPARE;

	return n < UINT16_MAX / 2 ? n : UINT16_MAX / 2;
}

static bool alloc_tables(struct tcp *t)
{
	struct zk_mem *m = tcp_mem(t);
	uint32_t want = 2 * (t->conf.conns_max + t->tw_max), size = TABLE_MIN;

	while (size < want)
		size *= 2;
	t->chunks_max = (t->conf.conns_max + TCP_CHUNK_CONNS - 1) / TCP_CHUNK_CONNS;
	t->table_mask = size - 1;
	t->table = zk_mem_alloc(m, size * sizeof(*t->table));
	t->chunks = zk_mem_alloc(m, t->chunks_max * sizeof(*t->chunks));
	t->chunk_mem = zk_mem_alloc(m, t->chunks_max * sizeof(*t->chunk_mem));
	t->tw = zk_mem_alloc(m, t->tw_max * sizeof(*t->tw));
	if (!t->table || !t->chunks || !t->chunk_mem || !t->tw)
		return false;
	memset(t->table, 0, size * sizeof(*t->table));
	return true;
}

static void free_tables(struct tcp *t)
{
	struct zk_mem *m = tcp_mem(t);

	zk_mem_free(m, t->table, (t->table_mask + 1u) * sizeof(*t->table));
	zk_mem_free(m, t->chunks, t->chunks_max * sizeof(*t->chunks));
	zk_mem_free(m, t->chunk_mem, t->chunks_max * sizeof(*t->chunk_mem));
	zk_mem_free(m, t->tw, t->tw_max * sizeof(*t->tw));
	zk_mem_free(m, t, sizeof(*t));
}

enum zk_err tcp_new(struct net *n, const struct tcp_conf *conf, struct tcp **out)
{
	struct tcp *t;
	uint32_t pool = pkt_pool_size(n->conf.pool), room = pkt_pool_room(n->conf.pool);
	uint32_t mss = n->conf.mtu - (uint32_t)(IP4_HDR + TCP_HDR);

	if (!conf_ok(conf))
		return ZK_EINVAL;
	t = zk_mem_alloc(n->conf.mem, sizeof(*t));
	if (!t)
		return ZK_ENOMEM;
	memset(t, 0, sizeof(*t));
	t->n = n;
	t->stats = &n->stats;
	t->conf = *conf;
	t->rcv.max = conf->mem_packets_max;
	t->snd.max = conf->snd_packets_max ? conf->snd_packets_max : conf->mem_packets_max;
	t->tw_max = conf->conns_max < 1024 ? 1024 : conf->conns_max;
	if (!alloc_tables(t)) {
		free_tables(t);
		return ZK_ENOMEM;
	}
	t->mss_local = (uint16_t)(mss < room ? mss : room);
	while (t->rcv_wscale < TCP_WSCALE_MAX && conf->rcv_buf_bytes >> t->rcv_wscale > 65535)
		t->rcv_wscale++;
	/* Control packets must still find a buffer when data has eaten the rest. */
	t->pool_reserve = pool / 8 < 256 ? pool / 8 : 256;
	t->snd_pkts_max = snd_pkts_max(conf);
	t->give_up_ticks = (uint32_t)(((uint64_t)conf->give_up_ms * 1000000) >> TCP_TICK_SHIFT);
	zk_list_init(&t->work);
	zk_list_init(&t->ready);
	zk_list_init(&t->mem_wait);
	zk_list_init(&t->neigh_wait);
	derive_key(n, 1, &t->key_table);
	derive_key(n, 2, &t->key_isn);
	derive_key(n, 3, &t->key_port);
	derive_key(n, 4, &t->key_cookie);
	t->port_counter = (uint32_t)zk_mix64(t->key_port.k0);
	tcp_now(t, n->now_ns);
	zk_wheel_init(&t->wheel, n->now_ns, TCP_TICK_SHIFT);
	*out = t;
	return ZK_EOK;
}

void tcp_free(struct tcp *t)
{
	for (uint32_t i = 0; i < t->n_chunks * TCP_CHUNK_CONNS; i++) {
		struct tcp_conn *c = tcp_conn_at(t, i);

		if (c->t)
			tcp_conn_drop(c);
	}
	zk_assert(t->snd.held == 0 && t->rcv.held == 0);
	for (uint32_t i = 0; i < t->n_chunks; i++)
		zk_mem_free(tcp_mem(t), t->chunk_mem[i],
			    sizeof(struct tcp_conn) * TCP_CHUNK_CONNS + ZK_CACHE_LINE);
	free_tables(t);
}

void tcp_now(struct tcp *t, uint64_t now_ns)
{
	if (now_ns < t->now_ns)
		return; /* time does not go back in here */
	t->now_ns = now_ns;
	t->tick64 = now_ns >> TCP_TICK_SHIFT;
	t->tick = (uint32_t)t->tick64 ? (uint32_t)t->tick64 : 1;
	t->ts_ms = (uint32_t)(now_ns / 1000000);
}

/* Connections that waited for a MAC address try again when any has changed. */
static void wake_neigh(struct tcp *t)
{
	if (t->neigh_gen_seen == t->n->neigh_gen)
		return;
	t->neigh_gen_seen = t->n->neigh_gen;
	while (!zk_list_empty(&t->neigh_wait)) {
		struct tcp_conn *c = zk_container_of(t->neigh_wait.next, struct tcp_conn, work);

		zk_list_del(&c->work);
		c->flags &= ~(uint32_t)CF_NEIGH_WAIT;
		tcp_work(c);
	}
}

static void wake_mem(struct tcp *t)
{
	for (unsigned k = 0; k < MEM_WAKES_PER_ROUND && !zk_list_empty(&t->mem_wait); k++) {
		struct tcp_conn *c = zk_container_of(t->mem_wait.next, struct tcp_conn, mem_wait);

		if (!tcp_pool_data_ok(t))
			return;
		zk_list_del(&c->mem_wait);
		if ((c->flags & CF_FIN_WANTED) && tcp_queue_fin(c))
			tcp_work(c);
		c->flags &= ~(uint32_t)CF_WANT_WRITE;
		tcp_event(c, TCP_READY_WRITE);
	}
}

static void run_timers(struct tcp *t)
{
	unsigned budget = TCP_TIMERS_PER_ROUND;
	struct zk_wheel_entry *e;

	while ((e = zk_wheel_expire(&t->wheel, t->now_ns, &budget)))
		tcp_timer_fire(zk_container_of(e, struct tcp_conn, timer));
	tcp_tw_expire(t);
}

void tcp_round_end(struct tcp *t)
{
	struct zk_list *e, *next;

	t->pool_asked = t->starved = false;
	wake_neigh(t);
	wake_mem(t);
	if (t->wheel.tick <= t->tick64)
		run_timers(t);
	for (e = t->work.next; e != &t->work; e = next) {
		struct tcp_conn *c = zk_container_of(e, struct tcp_conn, work);

		next = e->next;
		if (c->flags & CF_ROUND)
			tcp_round_conn(c);
		if (!tcp_output_wanted(c))
			tcp_work_done(c);
	}
}

uint64_t tcp_next_timer_ns(struct tcp *t)
{
	uint64_t due = zk_wheel_next_ns(&t->wheel);

	if (!zk_list_empty(&t->work) && !t->starved)
		return t->now_ns;
	/* Nobody tells us that buffers have come back; and what a timer has made ready must not
	 * wait for a frame. */
	if (!zk_list_empty(&t->mem_wait) || !zk_list_empty(&t->ready) || t->starved) {
		uint64_t soon = (t->tick64 + MEM_RETRY_TICKS) << TCP_TICK_SHIFT;

		due = due < soon ? due : soon;
	}
	if (t->tw_head) {
		int32_t left = (int32_t)(tcp_tw_at(t, t->tw_head - 1)->due_tick - t->tick);
		uint64_t tw = (t->tick64 + (uint64_t)(left > 0 ? left : 0)) << TCP_TICK_SHIFT;

		if (tw < due)
			due = tw;
	}
	return due;
}
