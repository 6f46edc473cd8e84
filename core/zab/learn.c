/* SPDX-License-Identifier: Apache-2.0 */
/* The roles of follower and observer (Learner, Follower, Observer). */
#include "core/zab/zab_int.h"

static const struct zk_span null_data = {NULL, 0};

static void set_deadline(struct zab *z, uint32_t ticks)
{
	z->deadline_ns = z->now_ns + zab_limit_ns(z, ticks);
}

/* While it loads or has no room, a learner does not read and the leader is not to blame. Once it
 * follows, the agreed heartbeat counts. */
void zab_learn_heard(struct zab *z)
{
	struct zab_link *l = &z->link[ZAB_LINK_LEADER];

	l->heard_ns = z->now_ns;
	if (z->phase == ZAB_PHASE_FOLLOWING && l->beat.every_ms)
		z->deadline_ns = z->now_ns + zab_silence_ns(z, l);
	else
		set_deadline(z, z->phase >= ZAB_PHASE_PROMISED ? z->conf.sync_limit
							       : z->conf.init_limit);
}

static void give_up(struct zab *z)
{
	z->count.bad_packets++;
	zab_lose_role(z);
}

static void dial(struct zab *z)
{
	z->dial_ns = 0;
	z->dial_tries++;
	zab_emit(z, ZAB_DO_DIAL)->sid = z->elect.current.leader;
}

void zab_learn_begin(struct zab *z)
{
	z->phase = ZAB_PHASE_DIALLING;
	z->dial_tries = 0;
	z->previous = 0;
	z->uptodate_ack_due = false;
	z->ping_ns = z->beat_ns = UINT64_MAX;
	set_deadline(z, z->conf.connect_limit ? z->conf.connect_limit : z->conf.init_limit);
	/* Who is quick to notice that a leader is gone does not dial one that is gone for long. */
	if (z->conf.heartbeat_ms && z->conf.heartbeat_timeout_ms * ZAB_DIAL_SILENCES * zab_ms_ns <
					    z->deadline_ns - z->now_ns)
		z->deadline_ns =
			z->now_ns + z->conf.heartbeat_timeout_ms * ZAB_DIAL_SILENCES * zab_ms_ns;
	dial(z);
}

/* Who was elected begins to lead about when we begin to dial. */
static void dial_later(struct zab *z)
{
	uint32_t wait_ms = (uint32_t)ZAB_DIAL_AGAIN_MS << (z->dial_tries - 1);

	if (wait_ms > ZAB_DIAL_AGAIN_MAX_MS)
		wait_ms = ZAB_DIAL_AGAIN_MAX_MS;
	z->phase = ZAB_PHASE_DIALLING;
	if (z->dial_tries < ZAB_DIAL_TRIES)
		z->dial_ns = z->now_ns + wait_ms * zab_ms_ns;
	else
		zab_lose_role(z);
}

void zab_learn_dialled(struct zab *z, bool up)
{
	struct zab_beat beat = zab_own_beat(z);
	uint8_t *info;
	struct jute_out out;

	if (!up) {
		dial_later(z);
		return;
	}
	info = zab_small(z, ZAB_INFO_BYTES + ZAB_BEAT_BYTES);
	out = jute_out_of(info, ZAB_INFO_BYTES + ZAB_BEAT_BYTES);
	zab_learner_info_put(&out, z->conf.sid, z->conf.now->version);
	if (beat.every_ms)
		zab_beat_put(&out, &beat);
	z->phase = ZAB_PHASE_INFO;
	set_deadline(z, z->conf.init_limit);
	zab_send(z, ZAB_LINK_LEADER, z->conf.observer ? ZAB_OBSERVERINFO : ZAB_FOLLOWERINFO,
		 z->accepted_epoch << 32, zk_span_of(info, (uint32_t)jute_out_len(&out)));
}

/* ---- epochs ---- */

static void send_ackepoch(struct zab *z, int32_t epoch)
{
	uint8_t *p = zab_small(z, 4);

	zk_put32(p, (uint32_t)epoch);
	z->phase = ZAB_PHASE_OPENING;
	zab_send(z, ZAB_LINK_LEADER, ZAB_ACKEPOCH, history_last(&z->history), zk_span_of(p, 4));
}

static void on_leaderinfo(struct zab *z, const struct zab_packet *p)
{
	struct zab_link *l = &z->link[ZAB_LINK_LEADER];

	z->epoch = zab_epoch_of(p->zxid);
	if (!z->conf.heartbeat_ms || !zab_beat_get(p->data, ZAB_LEADERINFO_BYTES, &l->beat))
		l->beat = (struct zab_beat){0};
	if (p->type != ZAB_LEADERINFO || z->epoch < z->accepted_epoch || z->epoch > ZAB_EPOCH_MAX) {
		give_up(z);
	} else if (z->epoch == z->accepted_epoch) {
		send_ackepoch(z, -1); /* promised before, to whom we do not know */
	} else {
		z->phase = ZAB_PHASE_LEADERINFO;
		zab_write_epoch(z, ZAB_ACCEPTED_EPOCH, z->epoch);
	}
}

/* NEWLEADER came, and all that came before it is durable: the new epoch is ours now. */
static void harden(struct zab *z)
{
	if (z->phase == ZAB_PHASE_HARDEN && z->durable >= z->newleader_zxid &&
	    !(z->busy & ZAB_BUSY_CURRENT))
		zab_write_epoch(z, ZAB_CURRENT_EPOCH, z->epoch);
}

void zab_learn_epoch_written(struct zab *z, enum zab_file file)
{
	if (file == ZAB_ACCEPTED_EPOCH && z->phase == ZAB_PHASE_LEADERINFO) {
		send_ackepoch(z, (int32_t)z->current_epoch);
	} else if (file == ZAB_CURRENT_EPOCH && z->phase == ZAB_PHASE_HARDEN) {
		z->phase = ZAB_PHASE_PROMISED;
		zab_send(z, ZAB_LINK_LEADER, ZAB_ACK, z->epoch << 32, null_data);
		set_deadline(z, z->conf.sync_limit);
	}
}

void zab_learn_durable(struct zab *z)
{
	harden(z);
}

/* ---- synchronisation ---- */

static void on_opening(struct zab *z, const struct zab_packet *p)
{
	struct zab_effect *e;

	switch (p->type) {
	case ZAB_DIFF:
		z->phase = ZAB_PHASE_CATCH_UP;
		break;
	case ZAB_TRUNC:
		z->phase = ZAB_PHASE_REBUILD;
		z->busy |= ZAB_BUSY_TRUNCATE;
		zab_emit(z, ZAB_DO_TRUNCATE)->zxid = p->zxid;
		break;
	case ZAB_SNAP:
		z->phase = ZAB_PHASE_REBUILD;
		z->busy |= ZAB_BUSY_SNAP;
		e = zab_emit(z, ZAB_DO_SNAP_LOAD);
		e->link = ZAB_LINK_LEADER;
		e->zxid = p->zxid;
		break;
	default:
		give_up(z);
	}
}

void zab_learn_rebuilt(struct zab *z, bool ok)
{
	if (z->phase != ZAB_PHASE_REBUILD)
		return;
	z->phase = ZAB_PHASE_CATCH_UP;
	set_deadline(z, z->conf.init_limit);
	if (!ok)
		zab_lose_role(z);
}

/* Nothing was left out: every zxid of an epoch is used, from the first one on
 * (Learner.enforceContinuousProposal(), which does not look at that one). */
static bool follows(const struct zab *z, uint64_t last, uint64_t zxid)
{
	uint64_t counter = zxid & UINT32_MAX;

	if (zab_epoch_of(zxid) == zab_epoch_of(last))
		return zxid == last + 1;
	return zab_epoch_of(zxid) > zab_epoch_of(last) &&
	       (counter == 1 || counter == z->conf.initial_counter + UINT64_C(1));
}

/* Log a transaction. @return false: the role is lost. */
static bool take(struct zab *z, const struct zab_packet *p)
{
	uint64_t last = history_last(&z->history);

	/* After a snapshot the leader may begin with some that it holds already. */
	if (p->zxid <= last && z->phase == ZAB_PHASE_CATCH_UP && !z->previous)
		return true;
	if (!p->data.n || !follows(z, last, p->zxid) ||
	    history_append(&z->history, p->zxid, p->data, z->now_ns) != ZK_EOK) {
		give_up(z);
		return false;
	}
	z->previous = p->zxid;
	zab_log(z, p->zxid, history_bytes(&z->history, history_after(&z->history, p->zxid - 1)));
	return true;
}

static void on_commit(struct zab *z, uint64_t zxid)
{
	const struct history_entry *e = history_after(&z->history, z->history.committed);

	if (zxid <= z->history.committed)
		return;
	/* Anything else than the oldest one that waits: we and the leader disagree. */
	if (!e || e->zxid != zxid) {
		give_up(z);
		return;
	}
	zab_commit(z, zxid);
}

static void on_inform(struct zab *z, const struct zab_packet *p)
{
	if (take(z, p))
		on_commit(z, p->zxid);
}

static void on_newleader(struct zab *z, const struct zab_packet *p)
{
	if (zab_epoch_of(p->zxid) != z->epoch) {
		give_up(z);
		return;
	}
	z->phase = ZAB_PHASE_HARDEN;
	z->newleader_zxid = history_last(&z->history);
	z->ack_sent = z->history.committed; /* the ACK of NEWLEADER speaks for these */
	zab_emit(z, ZAB_DO_DELIVER)->packet = *p;
	harden(z);
}

static void on_uptodate(struct zab *z)
{
	struct zab_effect *e;

	z->phase = ZAB_PHASE_FOLLOWING;
	if (z->link[ZAB_LINK_LEADER].beat.every_ms)
		z->beat_ns = z->now_ns + z->link[ZAB_LINK_LEADER].beat.every_ms * zab_ms_ns;
	zab_send(z, ZAB_LINK_LEADER, ZAB_ACK, z->epoch << 32, null_data);
	elect_epoch(&z->elect, (int64_t)z->epoch);
	e = zab_emit(z, ZAB_DO_SERVE);
	e->epoch = z->epoch;
	e->zxid = z->history.committed;
}

static void on_stream(struct zab *z, const struct zab_packet *p)
{
	switch (p->type) {
	case ZAB_PROPOSAL:
		(void)take(z, p);
		break;
	case ZAB_COMMIT:
	case ZAB_COMMIT_AND_ACTIVATE:
		on_commit(z, p->zxid);
		break;
	case ZAB_INFORM:
		on_inform(z, p);
		break;
	case ZAB_NEWLEADER:
		if (z->phase == ZAB_PHASE_CATCH_UP)
			on_newleader(z, p);
		break;
	case ZAB_UPTODATE:
		if (z->phase == ZAB_PHASE_PROMISED)
			on_uptodate(z);
		else
			give_up(z);
		break;
	case ZAB_PING:
		if (z->phase >= ZAB_PHASE_PROMISED) {
			if (z->phase == ZAB_PHASE_FOLLOWING)
				zab_emit(z, ZAB_DO_DELIVER)->packet = *p;
			else
				zab_send(z, ZAB_LINK_LEADER, ZAB_PING, p->zxid,
					 zk_span_of(z->small, 0));
		}
		break;
	case ZAB_SYNC:
	case ZAB_REVALIDATE:
		zab_emit(z, ZAB_DO_DELIVER)->packet = *p;
		break;
	default:
		give_up(z);
	}
}

void zab_learn_packet(struct zab *z, const struct zab_packet *p)
{
	zab_learn_heard(z);
	switch (z->phase) {
	case ZAB_PHASE_INFO:
		on_leaderinfo(z, p);
		break;
	case ZAB_PHASE_OPENING:
		on_opening(z, p);
		break;
	case ZAB_PHASE_CATCH_UP:
	case ZAB_PHASE_HARDEN:
	case ZAB_PHASE_PROMISED:
	case ZAB_PHASE_FOLLOWING:
		on_stream(z, p);
		break;
	default: /* nothing may come now */
		give_up(z);
	}
}

/* ---- what goes to the leader ---- */

void zab_learn_flush(struct zab *z)
{
	const struct history_entry *e;

	if (z->phase != ZAB_PHASE_FOLLOWING || z->conf.observer)
		return;
	while ((e = history_after(&z->history, z->ack_sent)) && e->zxid <= z->durable) {
		if (zab_effects_low(z)) {
			z->more = true;
			return;
		}
		if (!z->link[ZAB_LINK_LEADER].room)
			return;
		zab_send(z, ZAB_LINK_LEADER, ZAB_ACK, e->zxid, null_data);
		z->ack_sent = e->zxid;
	}
}

enum zk_err zab_forward(struct zab *z, const struct zab_packet *p)
{
	struct zab_effect *e;
	struct zab_link *l = &z->link[ZAB_LINK_LEADER];
	size_t n = zab_packet_bytes(p);

	if (z->phase != ZAB_PHASE_FOLLOWING)
		return ZK_ECLOSED;
	if (!l->room || zab_effects_low(z))
		return ZK_EAGAIN;
	e = zab_emit(z, ZAB_DO_SEND);
	e->link = ZAB_LINK_LEADER;
	e->packet = *p;
	l->room -= n < l->room ? n : l->room;
	return ZK_EOK;
}

/* What cannot be answered because it is not read: say all the same that we are there. */
static void beat(struct zab *z, bool reads)
{
	z->beat_ns = z->now_ns + z->link[ZAB_LINK_LEADER].beat.every_ms * zab_ms_ns;
	if (!reads && z->link[ZAB_LINK_LEADER].room)
		zab_send(z, ZAB_LINK_LEADER, ZAB_PING, history_last(&z->history),
			 zk_span_of(z->small, 0));
}

void zab_learn_tick(struct zab *z)
{
	bool reads = z->phase < ZAB_PHASE_INFO || zab_link_reads(z, ZAB_LINK_LEADER);

	if (z->dial_ns && z->now_ns >= z->dial_ns)
		dial(z);
	if (z->now_ns >= z->beat_ns)
		beat(z, reads);
	if (!reads) {
		zab_learn_heard(z);
	} else if (z->now_ns >= z->deadline_ns) {
		z->count.timeouts++;
		z->count.silences += z->phase == ZAB_PHASE_FOLLOWING;
		zab_lose_role(z);
	}
}
