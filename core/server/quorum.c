/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/quorum.h"

#include "core/server/quorum_int.h"

static const uint64_t ms_ns = 1000000;
static const uint64_t again_ns = 100000; /* until a look at what had no room, or was not there */

enum { READ_ONLY_MIN_MS = 2000 };

static void clock(struct quorum *q, uint64_t now_ns)
{
	if (now_ns > q->now_ns)
		q->now_ns = now_ns;
}

/* ---- life ---- */

static bool absent(void *ctx, int64_t sid)
{
	return peers_absent(&((struct quorum *)ctx)->peers, sid);
}

static bool config_fits(const struct quorum_conf *conf)
{
	uint8_t *text = zk_mem_alloc(conf->mem, ZAB_CONFIG_MAX);
	struct jute_out out = jute_out_of(text, text ? ZAB_CONFIG_MAX : 0);

	zab_members_text(conf->zab.now, &out);
	zk_mem_free(conf->mem, text, ZAB_CONFIG_MAX);
	return !out.full;
}

enum zk_err quorum_new(const struct quorum_conf *conf, uint64_t now_ns, struct quorum **out)
{
	const struct zab_conf *zc = &conf->zab;
	struct quorum *q;

	if (!config_fits(conf))
		return ZK_ETOOBIG;
	q = zk_mem_alloc(conf->mem, sizeof(*q));
	if (!q)
		return ZK_ENOMEM;
	memset(q, 0, sizeof(*q));
	q->conf = *conf;
	q->conf.zab.mem = conf->mem;
	q->conf.zab.absent = absent;
	q->conf.zab.absent_ctx = q;
	q->now_ns = now_ns;
	q->pong = zk_mem_alloc(conf->mem, QUORUM_TOUCHES_MAX);
	if (!q->pong || history_init(&q->replayed, conf->mem, zc->history_entries,
				     zc->history_bytes, 0) != ZK_EOK) {
		zk_mem_free(conf->mem, q->pong, QUORUM_TOUCHES_MAX);
		zk_mem_free(conf->mem, q, sizeof(*q));
		return ZK_ENOMEM;
	}
	quorum_peers_init(q);
	*out = q;
	return ZK_EOK;
}

void quorum_free(struct quorum *q)
{
	struct zk_mem *mem;

	if (!q)
		return;
	mem = q->conf.mem;
	for (unsigned i = 0; i < QUORUM_CONNS_MAX; i++) {
		quorum_bytes_free(q, &q->conn[i].in);
		quorum_bytes_free(q, &q->conn[i].out);
		quorum_bytes_free(q, &q->conn[i].aside);
	}
	quorum_snap_free(q);
	if (q->bound)
		zab_fini(&q->z);
	else
		history_fini(&q->replayed);
	zk_mem_free(mem, q->pong, QUORUM_TOUCHES_MAX);
	zk_mem_free(mem, q, sizeof(*q));
}

void quorum_replayed(struct quorum *q, uint64_t zxid, struct zk_span txn)
{
	zk_assert(!q->bound);
	history_replay(&q->replayed, zxid, txn, q->now_ns);
}

void quorum_epochs(struct quorum *q, uint64_t accepted, uint64_t current)
{
	zk_assert(!q->bound);
	q->accepted_epoch = accepted;
	q->current_epoch = current;
}

void quorum_bind(struct quorum *q, const struct quorum_bind *bind, uint64_t now_ns)
{
	struct zab_disk disk = {.last_zxid = tree_last_zxid(bind->tree),
				.accepted_epoch = q->accepted_epoch,
				.current_epoch = q->current_epoch,
				.replayed = &q->replayed};
	enum zk_err err;

	clock(q, now_ns);
	q->bind = *bind;
	if (q->bound)
		return;
	err = zab_init(&q->z, &q->conf.zab, &disk, q->now_ns);
	zk_assert(err == ZK_EOK); /* all that could be wrong was looked at: quorum_new() */
	q->bound = true;
	q->logged = disk.last_zxid;
	q->looking_ns = q->unavailable_ns = q->now_ns;
	q->looking = true;
}

/* ---- connections ---- */

/* Has it not said yet who it is? */
static bool stranger(const struct quorum *q, const struct quorum_conn *c)
{
	if (c->port == QUORUM_PORT_ELECTION)
		return q->peers.link[c->link].state == PEER_LINK_HELLO;
	return q->z.role == ZAB_LEADING && q->z.link[c->link].state == ZAB_LINK_NEW;
}

/* Room for one more on @p port: who has said nothing for the longest time goes, so that nobody can
 * keep our own servers out by saying nothing. @return false: there is none. */
static bool make_room(struct quorum *q, enum quorum_port port)
{
	unsigned max = port == QUORUM_PORT_ELECTION ? QUORUM_PEERS_MAX : ZAB_LINKS_MAX;
	unsigned all = 0, open = 0;
	struct quorum_conn *oldest = NULL;

	for (unsigned i = 0; i < QUORUM_CONNS_MAX; i++) {
		struct quorum_conn *c = &q->conn[i];

		if (c->state == QUORUM_CONN_FREE || !c->accepted)
			continue;
		all++;
		if (c->state != QUORUM_CONN_OPEN || c->port != port)
			continue;
		open++;
		if (stranger(q, c) && (!oldest || c->since_ns < oldest->since_ns))
			oldest = c;
	}
	if (all >= QUORUM_ACCEPTS_MAX || (open >= max && !oldest))
		return false;
	if (open >= max) {
		q->refused++;
		quorum_say(q, "quorum: too many strangers, the oldest closed");
		quorum_conn_break(q, oldest);
		quorum_settle(q);
	}
	return true;
}

struct quorum_conn *quorum_accepted(struct quorum *q, enum quorum_port port, void *transport,
				    uint64_t now_ns)
{
	struct quorum_conn *c = NULL;

	clock(q, now_ns);
	q->work++;
	if (make_room(q, port))
		c = port == QUORUM_PORT_ELECTION ? quorum_peers_accepted(q, transport)
						 : quorum_links_accepted(q, transport);
	if (!c)
		q->refused++;
	return c;
}

static void leader_dialled(struct quorum *q, struct quorum_conn *c, void *transport)
{
	if (!transport) {
		quorum_conn_free(q, c);
		quorum_dial_next(q);
		quorum_settle(q);
		return;
	}
	q->dial.conn = NULL;
	c->transport = transport;
	quorum_link_open(q, ZAB_LINK_LEADER, c);
	if (!zab_link_up(&q->z, ZAB_LINK_LEADER, q->now_ns)) {
		(void)quorum_link_detach(q, ZAB_LINK_LEADER);
		quorum_conn_end(q, c, QUORUM_END_ABORT);
		return;
	}
	quorum_settle(q);
}

static void peer_dialled(struct quorum *q, struct quorum_conn *c, void *transport)
{
	uint32_t link = c->link;

	q->peers_dirty = true;
	if (transport) {
		c->state = QUORUM_CONN_OPEN;
		c->transport = transport;
	} else {
		q->peer[link] = NULL;
		quorum_conn_free(q, c);
	}
	peers_dialled(&q->peers, link, transport != NULL, q->now_ns);
	quorum_settle(q);
}

void quorum_dialled(struct quorum *q, struct quorum_conn *c, void *transport, uint64_t now_ns)
{
	clock(q, now_ns);
	if (c->state == QUORUM_CONN_CANCELLED) {
		if (!transport) {
			quorum_conn_free(q, c);
			return;
		}
		c->state = QUORUM_CONN_OPEN;
		c->transport = transport;
		quorum_conn_end(q, c, QUORUM_END_ABORT);
		return;
	}
	zk_assert(c->state == QUORUM_CONN_DIALLING);
	if (c->port == QUORUM_PORT_LEARNERS)
		leader_dialled(q, c, transport);
	else
		peer_dialled(q, c, transport);
}

void quorum_input(struct quorum *q, struct quorum_conn *c, uint64_t now_ns)
{
	const struct srv_io *io = q->conf.net.io;

	clock(q, now_ns);
	if (c->state == QUORUM_CONN_ENDING) /* nobody reads it any more */
		io->read_done(c->transport, io->readable(c->transport));
	else if (c->port == QUORUM_PORT_ELECTION)
		quorum_peers_input(q, c);
	else
		quorum_conn_again(q, c, true);
}

void quorum_writable(struct quorum *q, struct quorum_conn *c, uint64_t now_ns)
{
	clock(q, now_ns);
	quorum_conn_flush(q, c);
	if (c->out.n || c->state != QUORUM_CONN_OPEN || c->port != QUORUM_PORT_ELECTION)
		return;
	peers_writable(&q->peers, c->link, q->now_ns);
	q->peers_dirty = true;
	quorum_settle(q);
}

static void link_gone(struct quorum *q, struct quorum_conn *c)
{
	uint32_t link = c->link;

	(void)quorum_link_detach(q, link);
	quorum_conn_free(q, c);
	if (quorum_halted(q)) {
		q->leader_lost = true;
		return;
	}
	zab_link_down(&q->z, link, q->now_ns);
	quorum_settle(q);
}

void quorum_gone(struct quorum *q, struct quorum_conn *c, uint64_t now_ns)
{
	uint32_t link = c->link;

	clock(q, now_ns);
	zk_assert(c != q->reading);
	if (c->state == QUORUM_CONN_ENDING) {
		quorum_conn_free(q, c);
		return;
	}
	zk_assert(c->state == QUORUM_CONN_OPEN);
	if (c->port == QUORUM_PORT_LEARNERS) {
		link_gone(q, c);
		return;
	}
	q->peer[link] = NULL;
	quorum_conn_free(q, c);
	peers_closed(&q->peers, link, q->now_ns);
	q->peers_dirty = true;
	quorum_settle(q);
}

/* ---- a round ---- */

void quorum_epoch_written(struct quorum *q, enum zab_file file)
{
	/* partner: answers() */
	(void)atomic_fetch_or_explicit(&q->epoch_written, 1u << file, memory_order_release);
}

static unsigned epochs_written(const struct quorum *q)
{
	/* partner: quorum_epoch_written() */
	return atomic_load_explicit(&q->epoch_written, memory_order_acquire);
}

static void answers(struct quorum *q)
{
	for (enum zab_file f = ZAB_ACCEPTED_EPOCH; f <= ZAB_CURRENT_EPOCH && !quorum_halted(q); f++)
		if (epochs_written(q) & 1u << f) {
			(void)atomic_fetch_and_explicit(&q->epoch_written, ~(1u << f),
							memory_order_relaxed);
			zab_epoch_written(&q->z, f, q->now_ns);
			quorum_settle(q);
		}
}

static void durable(struct quorum *q)
{
	uint64_t zxid, applied;

	if (quorum_halted(q))
		return;
	zxid = q->bind.durable(q->bind.log.ctx);
	applied = leader_applied_zxid(q->bind.leader);
	zab_keep(&q->z, zxid < applied ? zxid : applied);
	if (zxid <= q->z.durable)
		return;
	zab_durable(&q->z, zxid, q->now_ns);
	quorum_settle(q);
	q->work++;
}

static void tick(struct quorum *q)
{
	if (quorum_halted(q) || (q->started && q->now_ns < zab_next_ns(&q->z)))
		return;
	q->started = true;
	zab_tick(&q->z, q->now_ns);
	quorum_settle(q);
	q->work++;
}

/* With readonlymode.enabled: nobody has been found to follow for a while
 * (QuorumPeer.run(): the greater of 2 s and a tick). */
static void read_only(struct quorum *q)
{
	uint64_t wait_ms =
		q->conf.zab.tick_ms > READ_ONLY_MIN_MS ? q->conf.zab.tick_ms : READ_ONLY_MIN_MS;

	if (q->z.role != ZAB_LOOKING) {
		if (q->read_only && !quorum_serves(q))
			leader_role_set(q->bind.leader, ROLE_LOOKING, q->z.epoch, 0, q->now_ns);
		q->read_only = false;
		return;
	}
	if (q->read_only || !q->conf.read_only || !q->looking ||
	    q->now_ns - q->looking_ns < wait_ms * ms_ns)
		return;
	q->read_only = true;
	q->work++;
	quorum_say(q, "quorum: serving reads only");
	leader_role_set(q->bind.leader, ROLE_READONLY, q->z.current_epoch, 0, q->now_ns);
}

unsigned quorum_poll(struct quorum *q, uint64_t now_ns, int64_t wall_ms)
{
	unsigned before = q->work;

	if (!q->bound)
		return 0;
	clock(q, now_ns);
	q->wall_ms = wall_ms;
	if (q->started) {
		answers(q);
		durable(q);
		quorum_log_again(q);
		quorum_links_input(q);
		quorum_links_room(q);
	}
	tick(q);
	quorum_dial_tick(q);
	quorum_peers_tick(q);
	if (!quorum_halted(q)) {
		quorum_feed_step(q);
		quorum_snap_step(q);
		read_only(q);
	}
	if (q->broken || q->pong_due)
		quorum_settle(q);
	/* what the connections and the machine did between the rounds counts too */
	if (q->shown != q->work)
		quorum_view_update(q);
	q->shown = q->work;
	return q->work - before;
}

static bool urgent(const struct quorum *q)
{
	return epochs_written(q) || q->feeds & ~q->feeds_dry || quorum_snap_urgent(q) ||
	       q->dial.failed || q->peers_dirty;
}

/* Packets that the machine had room for were left over: at once. Others wait for it. */
static bool reads_wait(const struct quorum *q, bool *stuck)
{
	*stuck = false;
	for (unsigned i = 0; i < QUORUM_CONNS_MAX && q->again; i++) {
		const struct quorum_conn *c = &q->conn[i];

		if (!c->again || !zab_link_reads(&q->z, c->link))
			continue;
		if (!c->stuck)
			return true;
		*stuck = true;
	}
	return false;
}

static void earlier(uint64_t *next, uint64_t ns)
{
	if (ns < *next)
		*next = ns;
}

uint64_t quorum_calm_ns(const struct quorum *q)
{
	return q->started && quorum_observes(q) && !leader_asks(q->bind.leader) ? q->conf.calm_ns
										: 0;
}

uint64_t quorum_next_ns(const struct quorum *q)
{
	uint64_t next = q->peers_dirty ? 0 : q->peers_next_ns;
	bool stuck;

	if (!q->bound)
		return UINT64_MAX;
	if (quorum_halted(q))
		return next;
	if (!q->started || urgent(q) || reads_wait(q, &stuck))
		return 0;
	earlier(&next, zab_next_ns(&q->z));
	if (q->dial.conn)
		earlier(&next, q->dial.until_ns);
	if (stuck || q->aside || q->broken || q->log_behind || q->pong_due || q->feeds ||
	    q->snap_wanted)
		earlier(&next, q->now_ns + again_ns);
	if (q->conf.read_only && q->looking && !q->read_only)
		earlier(&next, q->now_ns + 100 * ms_ns);
	return next;
}
