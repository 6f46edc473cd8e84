/* SPDX-License-Identifier: Apache-2.0 */
/* What zab wants done, in its order, and what came of it. */
#include "core/server/quorum_int.h"

/* ---- the log ---- */

static bool log_one(struct quorum *q, uint64_t zxid, struct zk_span txn)
{
	const struct leader_log *log = &q->bind.log;

	q->log_behind = !log->append(log->ctx, zxid, txn);
	if (q->log_behind)
		return false;
	q->logged = zxid;
	return true;
}

/* What the log has no room for waits in the history, where it stays until it is durable. */
static void do_log(struct quorum *q, const struct zab_packet *p)
{
	if (!q->log_behind)
		(void)log_one(q, p->zxid, p->data);
}

void quorum_log_again(struct quorum *q)
{
	const struct history_entry *e;

	if (!q->log_behind)
		return;
	while ((e = history_after(&q->z.history, q->logged)) != NULL) {
		if (!log_one(q, e->zxid, history_bytes(&q->z.history, e)))
			return;
		q->work++;
	}
	q->log_behind = false;
}

/* ---- roles ---- */

static void do_look(struct quorum *q)
{
	quorum_dial_cancel(q);
	q->pong_due = q->pong_built = false;
	quorum_say(q, "quorum: looking for a leader");
	leader_role_set(q->bind.leader, ROLE_LOOKING, q->z.epoch, 0, q->now_ns);
}

static void do_serve(struct quorum *q, uint64_t epoch, uint64_t zxid)
{
	static const enum srv_role role[] = {[ZAB_LOOKING] = ROLE_LOOKING,
					     [ZAB_FOLLOWING] = ROLE_FOLLOWING,
					     [ZAB_LEADING] = ROLE_LEADING,
					     [ZAB_OBSERVING] = ROLE_OBSERVING};

	if (q->z.role == ZAB_LEADING) {
		q->proposals = 0;
		if (q->conf.view)
			zk_metric_reset(&q->conf.view->metric[QUORUM_METRIC_PROPOSAL_BYTES]);
		quorum_say(q, "quorum: leading, epoch %llx", (unsigned long long)epoch);
	} else {
		quorum_say(q, "quorum: %s server %lld, epoch %llx",
			   q->z.role == ZAB_OBSERVING ? "observing" : "following",
			   (long long)q->z.elect.current.leader, (unsigned long long)epoch);
	}
	leader_role_set(q->bind.leader, role[q->z.role], epoch, zxid, q->now_ns);
}

/* ---- for the machine ---- */

static void deliver(struct quorum *q, const struct zab_packet *p)
{
	struct quorum_conn *c = q->link[ZAB_LINK_LEADER];

	if (q->z.role == ZAB_LEADING) /* it has had it: quorum_links.c */
		return;
	switch (p->type) {
	case ZAB_PING:
		q->pong_due = true;
		q->pong_zxid = p->zxid;
		break;
	case ZAB_SYNC:
		leader_on_sync(q->bind.leader, zab_committed(&q->z), q->now_ns);
		break;
	case ZAB_REVALIDATE:
		if (leader_on_revalidated(q->bind.leader, p->data, q->now_ns) != ZK_EOK && c) {
			q->refused++;
			quorum_conn_break(q, c);
		}
		break;
	default: /* NEWLEADER: the configuration is the one of the file */
		break;
	}
}

/* ---- each ---- */

static void do_close(struct quorum *q, uint32_t link)
{
	struct quorum_conn *c = quorum_link_detach(q, link);

	if (c)
		quorum_conn_end(q, c, QUORUM_END_ABORT);
}

static void do_notify(struct quorum *q, const struct zab_effect *e)
{
	if (e->kind == ZAB_DO_NOTIFY)
		peers_tell(&q->peers, e->sid, &e->note, q->now_ns);
	else
		peers_connect_all(&q->peers, q->now_ns);
	q->peers_dirty = true;
}

static void carry_out(struct quorum *q, const struct zab_effect *e)
{
	switch (e->kind) {
	case ZAB_DO_NOTIFY:
	case ZAB_DO_CONNECT_ALL:
		do_notify(q, e);
		break;
	case ZAB_DO_DIAL:
		quorum_dial_begin(q, e->sid);
		break;
	case ZAB_DO_CLOSE:
		do_close(q, e->link);
		break;
	case ZAB_DO_SEND:
		if (q->link[e->link])
			quorum_conn_send(q, q->link[e->link], &e->packet);
		break;
	case ZAB_DO_WRITE_EPOCH:
		q->conf.disk.epoch_write(q->conf.disk.ctx, e->file, e->epoch);
		break;
	case ZAB_DO_LOG:
		do_log(q, &e->packet);
		break;
	case ZAB_DO_COMMIT: /* the machine comes and takes it */
		break;
	case ZAB_DO_TRUNCATE:
		quorum_rebuild_ask(q, QUORUM_REBUILD_TRUNCATE, e->zxid);
		break;
	case ZAB_DO_SNAP_LOAD:
		quorum_rebuild_ask(q, QUORUM_REBUILD_SNAP, e->zxid);
		break;
	case ZAB_DO_SNAP_SEND:
		quorum_snap_begin(q, e->link);
		break;
	case ZAB_DO_FILE_SEND:
		quorum_feed_begin(q, e);
		break;
	case ZAB_DO_LOOK:
		do_look(q);
		break;
	case ZAB_DO_SERVE:
		do_serve(q, e->epoch, e->zxid);
		break;
	case ZAB_DO_DELIVER:
		deliver(q, &e->packet);
		break;
	}
}

void quorum_drain(struct quorum *q)
{
	struct zab_effect e;

	zk_assert(!q->draining);
	q->draining = true;
	while (zab_effect_next(&q->z, &e)) {
		carry_out(q, &e);
		q->work++;
	}
	q->draining = false;
	if (peers_delivered(&q->peers))
		zab_delivered(&q->z);
}

/* ---- what came of it ---- */

/* The answer to a PING: the sessions heard here. */
static void pong(struct quorum *q)
{
	struct zab_packet p = {.type = ZAB_PING, .zxid = q->pong_zxid};
	uint32_t max = q->conf.zab.data_max; /* the leader's, too */
	struct jute_out out =
		jute_out_of(q->pong, max < QUORUM_TOUCHES_MAX ? max : QUORUM_TOUCHES_MAX);

	if (!q->pong_built) {
		leader_touched(q->bind.leader, &out);
		q->pong_n = jute_out_len(&out);
		q->pong_built = true;
	}
	p.data = zk_span_of(q->pong, q->pong_n);
	if (zab_forward(&q->z, &p) == ZK_EAGAIN)
		return; /* with the next round */
	q->pong_due = q->pong_built = false;
	quorum_drain(q);
}

static void tell_dial_failed(struct quorum *q)
{
	q->dial.failed = false;
	zab_link_down(&q->z, ZAB_LINK_LEADER, q->now_ns);
	quorum_drain(q);
}

static void tell_broken(struct quorum *q, struct quorum_conn *c)
{
	uint32_t link = c->link;
	bool dialling = c->state == QUORUM_CONN_DIALLING;

	quorum_conn_end(q, c, QUORUM_END_ABORT);
	if (dialling) /* not even tried */
		quorum_conn_free(q, c);
	if (c->port == QUORUM_PORT_LEARNERS) {
		(void)quorum_link_detach(q, link);
		zab_link_down(&q->z, link, q->now_ns);
	} else {
		q->peer[link] = NULL;
		q->peers_dirty = true;
		if (dialling)
			peers_dialled(&q->peers, link, false, q->now_ns);
		else
			peers_closed(&q->peers, link, q->now_ns);
	}
	quorum_drain(q);
}

/* While the state is replaced zab hears nothing: what broke stays marked. */
static struct quorum_conn *broken(struct quorum *q)
{
	for (unsigned i = 0; i < QUORUM_CONNS_MAX; i++)
		if (q->conn[i].broken &&
		    (q->conn[i].port == QUORUM_PORT_ELECTION || !quorum_halted(q)))
			return &q->conn[i];
	return NULL;
}

void quorum_settle(struct quorum *q)
{
	struct quorum_conn *c;

	quorum_drain(q);
	while (q->broken && (c = broken(q)) != NULL)
		tell_broken(q, c);
	if (quorum_halted(q))
		return;
	if (q->dial.failed)
		tell_dial_failed(q);
	if (q->pong_due)
		pong(q);
	while (q->broken && (c = broken(q)) != NULL)
		tell_broken(q, c);
}
