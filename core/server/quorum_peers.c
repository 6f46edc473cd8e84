/* SPDX-License-Identifier: Apache-2.0 */
/* The election port: core/zab/peers on connections. */
#include "core/server/quorum_int.h"

enum { HELLO_BYTES_MAX = 4096, MESSAGE_BYTES_MAX = 4 + ZAB_NOTIFICATION_MAX };

static void on_dial(void *ctx, uint32_t link, struct zk_span address)
{
	struct quorum *q = ctx;
	struct quorum_conn *c = quorum_conn_take(q, QUORUM_PORT_ELECTION, link);

	q->peer[link] = c;
	if (!c)
		return; /* it will have taken too long */
	c->state = QUORUM_CONN_DIALLING;
	if (!q->conf.net.dial(q->conf.net.ctx, c, address))
		quorum_conn_break(q, c);
}

static void on_close(void *ctx, uint32_t link)
{
	struct quorum *q = ctx;
	struct quorum_conn *c = q->peer[link];
	bool dialled;

	q->peer[link] = NULL;
	if (!c)
		return;
	dialled = c->state == QUORUM_CONN_DIALLING && c->broken;
	quorum_conn_end(q, c, c->broken ? QUORUM_END_ABORT : QUORUM_END_FLUSH);
	if (dialled) /* not even tried: no answer follows */
		quorum_conn_free(q, c);
}

static bool on_send(void *ctx, uint32_t link, struct zk_span bytes)
{
	struct quorum *q = ctx;
	struct quorum_conn *c = q->peer[link];

	if (c->out.n)
		return false;
	quorum_conn_put(q, c, bytes);
	return true;
}

/* The election may go on while the state is replaced: who looks for a leader is told whom we
 * follow, and nothing else can come of it. */
static void on_heard(void *ctx, int64_t sid, const struct zab_notification *n)
{
	struct quorum *q = ctx;

	if (!q->started)
		return;
	zab_notified(&q->z, sid, n, q->now_ns);
	quorum_settle(q);
}

/* QuorumPeer.createCnxnManager() */
static uint32_t hello_timeout_ms(const struct quorum_conf *c)
{
	uint64_t ms = (uint64_t)c->zab.tick_ms * c->zab.sync_limit;

	if (c->hello_timeout_ms)
		return c->hello_timeout_ms;
	return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

void quorum_peers_init(struct quorum *q)
{
	struct peers_conf c = {.sid = q->conf.zab.sid,
			       .address = q->conf.address,
			       .now = q->conf.zab.now,
			       .next = q->conf.zab.next,
			       .dial_timeout_ms = q->conf.cnx_timeout_ms,
			       .hello_timeout_ms = hello_timeout_ms(&q->conf),
			       .io = {q, on_dial, on_close, on_send, on_heard}};

	peers_init(&q->peers, &c, q->now_ns);
	q->peers_dirty = true;
}

struct quorum_conn *quorum_peers_accepted(struct quorum *q, void *transport)
{
	struct quorum_conn *c;
	uint32_t link = peers_accepted(&q->peers, q->now_ns);

	if (link == UINT32_MAX)
		return NULL;
	c = quorum_conn_take(q, QUORUM_PORT_ELECTION, link);
	if (!c) {
		peers_closed(&q->peers, link, q->now_ns);
		return NULL;
	}
	c->state = QUORUM_CONN_OPEN;
	c->accepted = true;
	c->transport = transport;
	q->peer[link] = c;
	q->peers_dirty = true;
	return c;
}

/* Hand in what there is from the start of @p w. @return bytes used; the connection may be over. */
static size_t hand_in(struct quorum *q, struct quorum_conn *c, struct zk_span w)
{
	uint64_t refused = q->peers.refused;
	size_t used = peers_input(&q->peers, c->link, w, q->now_ns);

	q->work++;
	if (q->peers.refused != refused)
		quorum_say(q, "election port: %s",
			   c->state == QUORUM_CONN_OPEN ? "a message that makes no sense"
							: "neither hello nor notification, closed");
	return used;
}

/* Keep what is the beginning of a message, from @p w which is not in c->in. */
static void keep(struct quorum *q, struct quorum_conn *c, struct zk_span w)
{
	bool greeted = q->peers.link[c->link].state == PEER_LINK_UP;
	size_t max = greeted ? MESSAGE_BYTES_MAX : HELLO_BYTES_MAX;

	if (!w.n)
		return;
	if (!quorum_bytes_reserve(q, &c->in, c->in.n + w.n, max + QUORUM_SPILL_SPARE)) {
		q->refused++;
		quorum_conn_break(q, c);
		return;
	}
	memcpy(c->in.p + c->in.n, w.p, w.n);
	c->in.n += w.n;
}

static void read_window(struct quorum *q, struct quorum_conn *c, struct zk_span w)
{
	size_t used;

	if (!c->in.n) {
		used = hand_in(q, c, w);
		if (c->state == QUORUM_CONN_OPEN)
			keep(q, c, zk_span_of(w.p + used, w.n - used));
		return;
	}
	keep(q, c, w);
	if (c->broken)
		return;
	used = hand_in(q, c, zk_span_of(c->in.p, c->in.n));
	memmove(c->in.p, c->in.p + used, c->in.n - used);
	c->in.n -= used;
	if (!c->in.n)
		quorum_bytes_clear(q, &c->in);
}

void quorum_peers_input(struct quorum *q, struct quorum_conn *c)
{
	const struct srv_io *io = q->conf.net.io;
	struct zk_span w;

	quorum_reading(q, c);
	while (c->state == QUORUM_CONN_OPEN && !c->broken && (w = io->peek(c->transport, 0)).n) {
		if (w.n > QUORUM_SPILL_SPARE)
			w.n = QUORUM_SPILL_SPARE;
		read_window(q, c, w);
		if (c->state == QUORUM_CONN_OPEN)
			io->read_done(c->transport, w.n);
	}
	quorum_read(q);
	q->peers_dirty = true;
}

void quorum_peers_tick(struct quorum *q)
{
	if (q->peers_dirty) {
		q->peers_dirty = false;
		q->peers_next_ns = peers_next_ns(&q->peers);
	}
	if (q->now_ns < q->peers_next_ns)
		return;
	peers_tick(&q->peers, q->now_ns);
	q->peers_dirty = true;
	q->work++;
}
