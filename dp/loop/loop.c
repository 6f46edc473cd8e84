/* SPDX-License-Identifier: Apache-2.0 */
#include "dp/loop/loop.h"
#include "dp/eal/eal.h"
#include "dp/loop/thread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	STEER_SLOTS = 512,
	RING_MIN_BYTES = 4 << 20,  /* each way between a client core and the leader */
	RECORD_EXTRA_BYTES = 8192, /* identities and fixed parts beside a request or reply */
	REPLY_BYTES = 16 << 20,
	OUT_SPILL_BYTES = 16 << 20,
	READS_PER_CONN_ROUND = 256,
};

struct core {
	struct eal_arena mem;
	struct zk_ring to_leader, from_leader;
	struct pkt_pool *pool;
	struct client *client;
	struct thread *thread;
	struct pring steer[CLIENT_MEMBERS_MAX];               /* from this core to the others */
	char round_name[32], reply_name[32], stolen_name[32]; /* in mntr */
};

struct loop {
	struct loop_conf conf;
	struct zk_mem mem; /* rings: main thread only */
	struct eal_arena lead_mem;
	struct lead_garbage garbage;
	struct logstage log;
	struct lead *lead;
	struct thread *lead_thread;
	bool peer_attached;
	struct pring from_peer; /* frames that core peer_host transmits */
	unsigned peer_host;
	unsigned threads_n, started;
	struct thread thread[CLIENT_CORES_MAX + 1];
	struct core core[CLIENT_CORES_MAX];
};

static enum zk_err failed(char *why, const char *what, enum zk_err err)
{
	snprintf(why, LOOP_ERR_TEXT_MAX, "%s: %s", what, zk_err_text(err));
	return err;
}

/* The thread of @p cpu, made when it is not there yet. */
static struct thread *thread_of(struct loop *l, unsigned cpu)
{
	struct thread *t;

	for (unsigned i = 0; i < l->threads_n; i++)
		if (l->thread[i].cpu == cpu)
			return &l->thread[i];
	t = &l->thread[l->threads_n];
	if (waker_init(&t->waker) != ZK_EOK)
		return NULL;
	t->cpu = cpu;
	t->adaptive = l->conf.adaptive;
	l->threads_n++;
	return t;
}

static void add_poller(struct thread *t, const struct poller *p)
{
	zk_assert(t->pollers_n < THREAD_POLLERS_MAX);
	t->poller[t->pollers_n++] = *p;
}

static size_t ring_bytes(size_t record)
{
	size_t want = 2 * (record + RECORD_EXTRA_BYTES), n;

	for (n = RING_MIN_BYTES; n < want; n *= 2)
		;
	return n;
}

/* Does the quorum's stack use the client cores' device? */
static bool peer_shares(const struct loop *l)
{
	return l->conf.peer && !peer_own_device(l->conf.peer);
}

static enum zk_err rings_new(struct loop *l)
{
	/* Long requests are handed over by pointer. Replies are not: one may hold a path as long as
	 * a frame, and a multi's may be larger than its request (a setData of 23 bytes gives 77),
	 * which is followed up to REPLY_BYTES and refused above. */
	size_t frame = l->conf.shared->jute_maxbuffer;
	size_t reply = 4 * frame < REPLY_BYTES ? 4 * frame : REPLY_BYTES;
	size_t up = ring_bytes(0), down = ring_bytes(reply > frame ? reply : frame);
	enum zk_err err = ZK_EOK;

	for (unsigned i = 0; i < l->conf.cores && err == ZK_EOK; i++) {
		struct core *c = &l->core[i];

		err = zk_ring_init(&c->to_leader, &l->mem, up);
		if (err == ZK_EOK)
			err = zk_ring_init(&c->from_leader, &l->mem, down);
		for (unsigned j = 0; j < l->conf.cores && err == ZK_EOK; j++)
			if (j != i)
				err = pring_init(&c->steer[j], &l->mem, STEER_SLOTS);
		if (err == ZK_EOK && peer_shares(l))
			err = pring_init(&c->steer[CLIENT_PEER], &l->mem, PEER_RING_SLOTS);
	}
	if (err == ZK_EOK && peer_shares(l))
		err = pring_init(&l->from_peer, &l->mem, PEER_RING_SLOTS);
	if (err == ZK_EOK)
		err = pring_init(&l->garbage.to, &l->mem, LEAD_GARBAGE_SLOTS);
	if (err == ZK_EOK)
		err = pring_init(&l->garbage.back, &l->mem, LEAD_GARBAGE_SLOTS);
	return err == ZK_EOK ? waker_init(&l->garbage.waker) : err;
}

static enum zk_err threads_new(struct loop *l)
{
	l->lead_thread = thread_of(l, l->conf.leader_cpu);
	for (unsigned i = 0; i < l->conf.cores; i++) {
		l->core[i].thread = thread_of(l, l->conf.core_cpu[i]);
		if (!l->core[i].thread)
			return ZK_EIO;
	}
	return l->lead_thread ? ZK_EOK : ZK_EIO;
}

/* The core that transmits for the quorum's stack: one on its thread, if that has a queue. */
static unsigned choose_host(const struct loop *l)
{
	for (unsigned i = 0; i < l->conf.cores && i < port_queues(l->conf.port); i++)
		if (l->core[i].thread == l->lead_thread)
			return i;
	return 0;
}

/* Before the leader's machine in each round of its thread: what has come in counts in it. */
static void peer_join(struct loop *l)
{
	struct peer *p = l->conf.peer;
	struct peer_wires w = {.cores = 0};

	if (!p)
		return;
	if (peer_shares(l)) {
		l->peer_host = choose_host(l);
		w.cores = l->conf.cores;
		w.out = &l->from_peer;
		w.host = &l->core[l->peer_host].thread->waker;
		for (unsigned i = 0; i < w.cores; i++)
			w.in[i] = &l->core[i].steer[CLIENT_PEER];
	}
	peer_attach(p, &w);
	l->peer_attached = true;
	add_poller(l->lead_thread, &(struct poller){.poll = peer_poll,
						    .next_ns = peer_next_ns,
						    .calm_ns = peer_calm_ns,
						    .late = peer_late,
						    .ctx = p,
						    .has_queue = peer_has_queue(p),
						    .rx_fd = peer_rx_fd(p)});
}

/* ... and behind it: what it has written leaves in the same round. */
static void peer_join_flush(struct loop *l)
{
	if (l->conf.peer)
		add_poller(l->lead_thread, &(struct poller){.poll = peer_flush,
							    .next_ns = peer_flush_next_ns,
							    .ctx = l->conf.peer,
							    .rx_fd = -1});
}

static enum zk_err lead_make(struct loop *l, uint64_t now)
{
	struct lead_conf lc = {.leader = l->conf.leader,
			       .garbage = &l->garbage,
			       .log = &l->log,
			       .snap_waker = l->conf.snap_waker,
			       .quorum = l->conf.quorum,
			       .main_waker = l->conf.main_waker,
			       .linger_ns = l->conf.linger_ns};
	uint32_t slots = l->conf.log_slots ? l->conf.log_slots : l->conf.leader.pending_max;
	enum zk_err err;

	err = logstage_init(&l->log, &l->mem, slots, tree_last_zxid(l->conf.tree),
			    l->conf.log_in_memory);
	if (err != ZK_EOK)
		return err;
	lc.leader.tree = l->conf.tree;
	lc.leader.mem = &l->lead_mem.arena.mem;
	lc.leader.cores = l->conf.cores;
	for (unsigned i = 0; i < l->conf.cores; i++) {
		lc.leader.to_core[i] = &l->core[i].from_leader;
		lc.from_core[i] = &l->core[i].to_leader;
		lc.waker[i] = &l->core[i].thread->waker;
	}
	err = lead_new(&lc, now, &l->lead);
	if (err != ZK_EOK)
		return err;
	l->conf.shared->leader = lead_leader(l->lead);
	lead_metrics(l->lead, &l->conf.shared->metrics);
	peer_join(l);
	add_poller(l->lead_thread, &(struct poller){.poll = lead_poll,
						    .next_ns = lead_next_ns,
						    .late = lead_late,
						    .ctx = l->lead,
						    .rx_fd = -1});
	peer_join_flush(l);
	return ZK_EOK;
}

static void client_conf_fill(struct loop *l, unsigned i, struct client_conf *cc)
{
	struct core *c = &l->core[i];
	uint32_t share = l->conf.conns_max / l->conf.cores;

	*cc = (struct client_conf){
		.port = l->conf.port,
		.core = (uint16_t)i,
		.cores = (uint16_t)l->conf.cores,
		.queues = port_queues(l->conf.port),
		.listen_port = l->conf.listen_port,
		.mem = &c->mem.arena.mem,
		.net = l->conf.net,
		.tcp = l->conf.tcp,
		.leader_waker = &l->lead_thread->waker,
	};
	cc->net.core = cc->core;
	cc->net.cores = cc->cores;
	cc->net.pool = c->pool;
	cc->net.mem = &c->mem.arena.mem;
	cc->net.mtu = port_mtu(l->conf.port);
	cc->net.tx_csum = port_tx_csum_ok(l->conf.port);
	cc->net.rx_csum = port_rx_csum_ok(l->conf.port);
	/* Flows are spread by a hash, never quite evenly. */
	cc->tcp.conns_max = l->conf.cores == 1 ? share : share + share / 2 + 1;
	cc->tcp.mem_packets_max = packets_of_data(l->conf.rx_packets);
	cc->tcp.snd_packets_max = packets_of_data(l->conf.tx_packets);
	cc->srv = (struct srv_conf){
		.shared = l->conf.shared,
		.mem = &c->mem.arena.mem,
		.tree = l->conf.tree,
		.reader = tree_reader_add(l->conf.tree),
		.to_leader = &c->to_leader,
		.from_leader = &c->from_leader,
		.key = l->conf.srv_key,
		.core = cc->core,
		.conns_max = cc->tcp.conns_max,
		.out_spill_bytes_max = OUT_SPILL_BYTES,
		.reads_per_conn_round = READS_PER_CONN_ROUND,
	};
	for (unsigned j = 0; j < l->conf.cores; j++) {
		cc->waker[j] = &l->core[j].thread->waker;
		if (j == i)
			continue;
		cc->in[j] = &l->core[j].steer[i];
		cc->out[j] = &c->steer[j];
	}
	if (peer_shares(l)) {
		cc->out[CLIENT_PEER] = &c->steer[CLIENT_PEER];
		cc->waker[CLIENT_PEER] = &l->lead_thread->waker;
		cc->in[CLIENT_PEER] = i == l->peer_host ? &l->from_peer : NULL;
	}
}

static enum zk_err client_make(struct loop *l, unsigned i, uint64_t now)
{
	struct core *c = &l->core[i];
	struct client_conf cc;
	char purpose[32];
	enum zk_err err;
	bool queue;

	snprintf(purpose, sizeof(purpose), "tx core %u", i);
	c->pool = port_pool_new(purpose, l->conf.tx_packets,
				port_mtu(l->conf.port) + PACKETS_EXTRA_BYTES);
	if (!c->pool)
		return ZK_ENOMEM;
	client_conf_fill(l, i, &cc);
	if (!cc.srv.reader)
		return ZK_EFULL;
	err = client_new(&cc, now, &c->client);
	if (err != ZK_EOK)
		return err;
	l->conf.shared->srv[i] = client_srv(c->client);
	queue = i < cc.queues;
	add_poller(c->thread,
		   &(struct poller){.poll = client_poll,
				    .next_ns = client_next_ns,
				    .minds = client_minds,
				    .late = client_late,
				    .stolen = client_stolen,
				    .ctx = c->client,
				    .has_queue = queue,
				    .rx_fd = queue ? port_rx_fd(l->conf.port, (uint16_t)i) : -1});
	return ZK_EOK;
}

/* A field of struct client_stats, over all cores. */
static uint64_t over_cores(const struct loop *l, size_t field)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < l->conf.cores; i++) {
		const void *v = (const char *)client_stats_of(l->core[i].client) + field;

		/* partner: the core's relaxed stores */
		n += atomic_load_explicit((const _Atomic uint64_t *)v, memory_order_relaxed);
	}
	return n;
}

static uint64_t packet_waits(void *ctx)
{
	return over_cores(ctx, offsetof(struct client_stats, packet_waits));
}

static uint64_t packet_drops(void *ctx)
{
	return over_cores(ctx, offsetof(struct client_stats, packet_drops));
}

static uint64_t peer_drops(void *ctx)
{
	return over_cores(ctx, offsetof(struct client_stats, peer_full));
}

static uint64_t peer_by_queue(void *ctx)
{
	/* partner: the peer's relaxed stores, here and below */
	return atomic_load_explicit(&peer_stats_of(ctx)->rx_queue, memory_order_relaxed);
}

static uint64_t peer_by_software(void *ctx)
{
	return atomic_load_explicit(&peer_stats_of(ctx)->rx_steered, memory_order_relaxed);
}

static uint64_t peer_strays(void *ctx)
{
	return atomic_load_explicit(&peer_stats_of(ctx)->strays, memory_order_relaxed);
}

static uint64_t peer_strays_lost(void *ctx)
{
	return atomic_load_explicit(&peer_stats_of(ctx)->strays_lost, memory_order_relaxed);
}

static void peer_metrics(struct loop *l)
{
	struct metrics *m = &l->conf.shared->metrics;

	metrics_call(m, "peer_frames_dropped", peer_drops, l);
	metrics_call(m, "peer_frames_by_queue", peer_by_queue, l->conf.peer);
	metrics_call(m, "peer_frames_by_software", peer_by_software, l->conf.peer);
	metrics_call(m, "peer_strays", peer_strays, l->conf.peer);
	metrics_call(m, "peer_strays_dropped", peer_strays_lost, l->conf.peer);
}

static uint64_t syn_unanswered(void *ctx)
{
	return over_cores(ctx, offsetof(struct client_stats, syn_unanswered));
}

static void core_metrics(struct loop *l, unsigned i)
{
	struct client_times *t = client_times_of(l->core[i].client);
	struct core *c = &l->core[i];

	snprintf(c->round_name, sizeof(c->round_name), "core%u_round_ns", i);
	snprintf(c->reply_name, sizeof(c->reply_name), "core%u_reply_ns", i);
	snprintf(c->stolen_name, sizeof(c->stolen_name), "core%u_stolen_ns", i);
	metrics_summary(&l->conf.shared->metrics, c->round_name, &t->round);
	metrics_summary(&l->conf.shared->metrics, c->reply_name, &t->reply);
	metrics_summary(&l->conf.shared->metrics, c->stolen_name, &t->stolen);
}

static enum zk_err build(struct loop *l, char *why)
{
	uint64_t now = eal_now_ns();
	enum zk_err err = rings_new(l);

	if (err != ZK_EOK)
		return failed(why, "rings between cores", err);
	err = threads_new(l);
	if (err != ZK_EOK)
		return failed(why, "eventfd", err);
	l->conf.shared->cores = l->conf.cores;
	l->conf.shared->tree = l->conf.tree;
	err = lead_make(l, now);
	if (err != ZK_EOK)
		return failed(why, "leader core", err);
	for (unsigned i = 0; i < l->conf.cores; i++) {
		err = client_make(l, i, now);
		if (err != ZK_EOK)
			return failed(why, "client core", err);
		core_metrics(l, i);
	}
	metrics_call(&l->conf.shared->metrics, "packet_memory_waits", packet_waits, l);
	metrics_call(&l->conf.shared->metrics, "packet_memory_drops", packet_drops, l);
	metrics_call(&l->conf.shared->metrics, "connections_unanswered", syn_unanswered, l);
	if (l->conf.peer)
		peer_metrics(l);
	return ZK_EOK;
}

static enum zk_err memory_new(struct loop *l)
{
	enum zk_err err = eal_arena_open(&l->lead_mem, l->conf.core_memory_bytes);

	for (unsigned i = 0; err == ZK_EOK && i < l->conf.cores; i++)
		err = eal_arena_open(&l->core[i].mem, l->conf.core_memory_bytes);
	return err;
}

enum zk_err loop_new(const struct loop_conf *conf, struct loop **out, char *why)
{
	struct loop *l = eal_pages_alloc(sizeof(*l)); /* zeroed, aligned for the rings' lines */
	enum zk_err err;

	zk_assert(conf->cores >= 1 && conf->cores <= CLIENT_CORES_MAX);
	if (!l)
		return failed(why, "memory", ZK_ENOMEM);
	l->conf = *conf;
	l->garbage.waker.fd = -1;
	zk_mem_init_heap(&l->mem, 0);
	err = memory_new(l);
	err = err == ZK_EOK ? build(l, why) : failed(why, "memory of a core", err);
	if (err != ZK_EOK) {
		(void)loop_free(l);
		return err;
	}
	*out = l;
	return ZK_EOK;
}

enum zk_err loop_start(struct loop *l, char *why)
{
	for (unsigned i = 0; i < l->threads_n; i++) {
		struct thread *t = &l->thread[i];

		if (thread_start(t) != ZK_EOK) {
			int e = atomic_load_explicit(&t->error, memory_order_relaxed);

			snprintf(why, LOOP_ERR_TEXT_MAX, "cannot start the thread of CPU %u: %s",
				 t->cpu, e ? strerror(e) : "DPDK refuses it");
			loop_stop(l);
			return ZK_EIO;
		}
		l->started++;
	}
	return ZK_EOK;
}

void loop_drain(struct loop *l)
{
	for (unsigned i = 0; i < l->conf.cores; i++)
		client_drain(l->core[i].client);
	for (unsigned i = 0; i < l->threads_n; i++)
		waker_kick(&l->thread[i].waker);
}

bool loop_drained(const struct loop *l)
{
	for (unsigned i = 0; i < l->conf.cores; i++)
		if (!client_drained(l->core[i].client))
			return false;
	return true;
}

void loop_stop(struct loop *l)
{
	while (l->started > 0)
		thread_join(&l->thread[--l->started]);
	logstage_end(&l->log); /* of an observer it may be open */
}

bool loop_free(struct loop *l)
{
	bool whole = true;

	zk_assert(l->started == 0);
	if (l->peer_attached)
		peer_detach(l->conf.peer);
	for (unsigned i = 0; i < l->conf.cores; i++) {
		client_free(l->core[i].client);
		eal_arena_close(&l->core[i].mem);
	}
	lead_free(l->lead);
	logstage_fini(&l->log);
	eal_arena_close(&l->lead_mem);
	for (unsigned i = 0; i < l->conf.cores; i++) {
		struct core *c = &l->core[i];

		if (c->pool && !port_pool_free(c->pool))
			whole = false;
		if (c->to_leader.bytes)
			zk_ring_fini(&c->to_leader);
		if (c->from_leader.bytes)
			zk_ring_fini(&c->from_leader);
		for (unsigned j = 0; j < CLIENT_MEMBERS_MAX; j++)
			pring_fini(&c->steer[j]);
	}
	pring_fini(&l->from_peer);
	pring_fini(&l->garbage.to);
	pring_fini(&l->garbage.back);
	waker_fini(&l->garbage.waker);
	for (unsigned i = 0; i < l->threads_n; i++)
		waker_fini(&l->thread[i].waker);
	eal_pages_free(l, sizeof(*l));
	return whole;
}

static uint64_t durable(void *ctx)
{
	return logstage_durable(ctx);
}

void loop_quorum_bind(struct loop *l, struct quorum_bind *out)
{
	*out = (struct quorum_bind){
		.leader = lead_leader(l->lead),
		.tree = l->conf.tree,
		.log = {.ctx = &l->log, .append = logstage_append, .roll = logstage_roll},
		.durable = durable,
	};
}

struct lead_garbage *loop_garbage(struct loop *l)
{
	return &l->garbage;
}

struct logstage *loop_log(struct loop *l)
{
	return &l->log;
}

struct waker *loop_leader_waker(struct loop *l)
{
	return &l->lead_thread->waker;
}

unsigned loop_cores(const struct loop *l)
{
	return l->conf.cores;
}

const struct client *loop_client(const struct loop *l, unsigned core)
{
	zk_assert(core < l->conf.cores);
	return l->core[core].client;
}

const struct peer *loop_peer(const struct loop *l)
{
	return l->conf.peer;
}

const struct lead *loop_lead(const struct loop *l)
{
	return l->lead;
}

unsigned loop_threads(const struct loop *l, struct loop_thread_stats *out, unsigned max)
{
	for (unsigned i = 0; i < l->threads_n && i < max; i++) {
		const struct thread *t = &l->thread[i];

		out[i] = (struct loop_thread_stats){
			.cpu = t->cpu,
			.pollers = t->pollers_n,
			.rounds = atomic_load_explicit(&t->rounds, memory_order_relaxed),
			.naps = atomic_load_explicit(&t->naps, memory_order_relaxed),
			.waits = atomic_load_explicit(&t->waits, memory_order_relaxed),
			.kicks = atomic_load_explicit(&t->waker.kicks, memory_order_relaxed),
		};
	}
	return l->threads_n;
}
