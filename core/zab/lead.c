/* SPDX-License-Identifier: Apache-2.0 */
/* The leader's role (Leader, LearnerHandler): discovery, epochs, who has acknowledged what. */
#include "core/zab/zab_int.h"

static uint64_t own_place(const struct zab *z)
{
	int i = zab_members_find(z->conf.now, z->conf.sid);

	return i >= 0 ? UINT64_C(1) << i : 0;
}

/* A quorum of the active configuration, and of the last one seen when that is newer. @p set is a
 * mask of the active one. */
static bool quorum(const struct zab *z, uint64_t set)
{
	const struct zab_conf *c = &z->conf;
	uint64_t other = 0;

	if (!zab_members_quorum(c->now, set))
		return false;
	if (!c->next)
		return true;
	for (; set; set &= set - 1) {
		int i = zab_members_find(c->next, c->now->server[__builtin_ctzll(set)].sid);

		other |= i >= 0 ? UINT64_C(1) << i : 0;
	}
	return zab_members_quorum(c->next, other);
}

static uint64_t place_of(const struct zab_link *l)
{
	return l->place >= 0 && !l->observer ? UINT64_C(1) << l->place : 0;
}

/* ---- discovery ---- */

static void send_leaderinfo(struct zab *z, uint32_t link)
{
	const struct zab_beat *beat = &z->link[link].beat;
	uint32_t n = ZAB_LEADERINFO_BYTES + (beat->every_ms ? ZAB_BEAT_BYTES : 0);
	uint8_t *p = zab_small(z, n);
	struct jute_out out = jute_out_of(p, n);

	jute_put_i32(&out, ZAB_PROTOCOL);
	if (beat->every_ms)
		zab_beat_put(&out, beat);
	zab_send(z, link, ZAB_LEADERINFO, z->epoch << 32, zk_span_of(p, n));
	z->link[link].state = ZAB_LINK_ACKEPOCH;
	z->link[link].heard_ns = z->now_ns; /* it was silent as agreed */
}

static void discover(struct zab *z)
{
	if (z->phase != ZAB_PHASE_DISCOVERY || !quorum(z, z->connected))
		return;
	z->phase = ZAB_PHASE_ACCEPTING;
	z->deadline_ns = z->now_ns + zab_limit_ns(z, z->conf.init_limit);
	zab_write_epoch(z, ZAB_ACCEPTED_EPOCH, z->epoch);
}

void zab_lead_begin(struct zab *z)
{
	z->phase = ZAB_PHASE_DISCOVERY;
	z->epoch = (z->accepted_epoch > z->seen_epoch ? z->accepted_epoch : z->seen_epoch) + 1;
	z->connected = z->acked_epoch = own_place(z);
	z->proposed = 0;
	z->deadline_ns = z->now_ns + zab_limit_ns(z, z->conf.init_limit);
	z->tick_ns = z->deadline_ns;
	z->ping_ns = z->now_ns + zab_limit_ns(z, 1) / 2;
	if (z->conf.heartbeat_ms)
		z->beat_ns = z->now_ns + z->conf.heartbeat_ms * zab_ms_ns;
	discover(z);
}

/* Is it certain that the learner on @p l is there? */
static bool alive(const struct zab *z, const struct zab_link *l)
{
	uint64_t silence = l->beats ? zab_silence_ns(z, l) : zab_limit_ns(z, 1);

	return l->state == ZAB_LINK_ACTIVE && z->now_ns - l->heard_ns <= silence;
}

/* The newer connection of a server is the one that lives, unless the older one does: then somebody
 * else says it is that server. @return false: so it is. */
static bool only_one(struct zab *z, uint32_t link, int64_t sid)
{
	for (uint32_t i = 0; i < ZAB_LINKS_MAX; i++) {
		const struct zab_link *l = &z->link[i];

		if (i == link || l->state <= ZAB_LINK_NEW || l->sid != sid)
			continue;
		if (alive(z, l))
			return false;
		zab_close_link(z, i);
		zab_lead_link_gone(z, i);
	}
	return true;
}

static void on_info(struct zab *z, uint32_t link, const struct zab_packet *p)
{
	struct zab_link *l = &z->link[link];
	struct zab_learner_info info;
	struct zab_beat beat;

	if (zab_learner_info_get(p->data, &info) != ZK_EOK || !info.has_sid ||
	    info.protocol < ZAB_PROTOCOL || info.sid == z->conf.sid ||
	    (info.has_version && info.config_version > z->conf.now->version) ||
	    zab_epoch_of(p->zxid) >= ZAB_EPOCH_MAX || /* there would be none above it */
	    !only_one(z, link, info.sid)) {
		z->count.refused_links++;
		zab_close_link(z, link);
		return;
	}
	l->sid = info.sid;
	l->observer = p->type == ZAB_OBSERVERINFO;
	l->place = zab_members_votes(z->conf.now, info.sid)
			   ? zab_members_find(z->conf.now, info.sid)
			   : -1;
	if (z->conf.heartbeat_ms && zab_beat_get(p->data, ZAB_INFO_BYTES, &beat))
		l->beat = zab_beat_agree(zab_own_beat(z), beat);
	l->state = ZAB_LINK_EPOCH;
	z->lookers &= ~place_of(l);
	if (z->phase == ZAB_PHASE_DISCOVERY) {
		if (zab_epoch_of(p->zxid) >= z->epoch)
			z->epoch = zab_epoch_of(p->zxid) + 1;
		z->connected |= place_of(l);
		discover(z);
	} else if (place_of(l) && zab_epoch_of(p->zxid) > z->epoch) {
		/* It was about to lead itself and has promised to follow no epoch as old as ours.
		 * It could never come back (nor can it to an Apache leader): a new epoch above it.
		 */
		z->seen_epoch = zab_epoch_of(p->zxid);
		z->count.outrun++;
		zab_lose_role(z);
	} else if (z->phase > ZAB_PHASE_ACCEPTING) {
		send_leaderinfo(z, link);
	}
}

/* ---- epoch acknowledged ---- */

static void begin_epoch(struct zab *z)
{
	if (z->phase != ZAB_PHASE_EPOCH_ACKS || !quorum(z, z->acked_epoch))
		return;
	z->phase = ZAB_PHASE_CURRENT;
	z->deadline_ns = z->now_ns + zab_limit_ns(z, z->conf.init_limit);
	zab_write_epoch(z, ZAB_CURRENT_EPOCH, z->epoch);
}

static void on_ackepoch(struct zab *z, uint32_t link, const struct zab_packet *p)
{
	struct zab_link *l = &z->link[link];
	struct jute_in in = jute_in_of(p->data);
	uint64_t mine = history_last(&z->history);
	int32_t epoch = jute_i32(&in);

	if (in.bad || p->type != ZAB_ACKEPOCH) {
		z->count.bad_packets++;
		zab_close_link(z, link);
		return;
	}
	l->peer_zxid = p->zxid;
	l->state = ZAB_LINK_SYNC_WAIT;
	if (z->phase > ZAB_PHASE_CURRENT) {
		zab_sync_begin(z, link);
		return;
	}
	if (epoch == -1 || z->phase != ZAB_PHASE_EPOCH_ACKS)
		return;
	if ((uint64_t)epoch > z->current_epoch ||
	    ((uint64_t)epoch == z->current_epoch && p->zxid > mine)) {
		/* It knows more than we do: whoever is elected next should be it. */
		z->count.refused_links++;
		zab_close_link(z, link);
		zab_lead_link_gone(z, link);
		return;
	}
	z->acked_epoch |= place_of(l);
	begin_epoch(z);
}

/* ---- NEWLEADER acknowledged ---- */

static void begin_serving(struct zab *z)
{
	uint64_t set = own_place(z);
	struct zab_effect *e;

	if (z->phase != ZAB_PHASE_SYNC)
		return;
	for (uint32_t i = 0; i < ZAB_LINKS_MAX; i++)
		if (z->link[i].state == ZAB_LINK_ACKED)
			set |= place_of(&z->link[i]);
	if (!quorum(z, set))
		return;
	z->phase = ZAB_PHASE_SERVING;
	z->proposed = z->epoch << 32;
	z->tick_ns = z->now_ns + zab_limit_ns(z, 1);
	elect_epoch(&z->elect, (int64_t)z->epoch);
	e = zab_emit(z, ZAB_DO_SERVE);
	e->epoch = z->epoch;
	e->zxid = z->proposed;
	z->proposed |= z->conf.initial_counter;
}

void zab_lead_epoch_written(struct zab *z, enum zab_file file)
{
	if (file == ZAB_ACCEPTED_EPOCH && z->phase == ZAB_PHASE_ACCEPTING) {
		z->phase = ZAB_PHASE_EPOCH_ACKS;
		for (uint32_t i = 0; i < ZAB_LINKS_MAX; i++)
			if (z->link[i].state == ZAB_LINK_EPOCH)
				send_leaderinfo(z, i);
		begin_epoch(z);
	} else if (file == ZAB_CURRENT_EPOCH && z->phase == ZAB_PHASE_CURRENT) {
		z->phase = ZAB_PHASE_SYNC;
		for (uint32_t i = 0; i < ZAB_LINKS_MAX; i++)
			if (z->link[i].state == ZAB_LINK_SYNC_WAIT)
				zab_sync_begin(z, i);
		begin_serving(z);
	}
}

/* ---- commits ---- */

/* @p zxid, if it is newer than @p best and a quorum has it on disk. */
static uint64_t durable_on_quorum(const struct zab *z, uint64_t zxid, uint64_t best)
{
	uint64_t set;

	if (zxid <= best)
		return best;
	set = z->durable >= zxid ? own_place(z) : 0;
	for (uint64_t left = z->links; left; left &= left - 1) {
		const struct zab_link *l = &z->link[zab_link_first(left)];

		if (l->state >= ZAB_LINK_ACKED && l->acked >= zxid)
			set |= place_of(l);
	}
	return quorum(z, set) ? zxid : best;
}

/* The newest zxid that a quorum has on disk. */
static void advance(struct zab *z)
{
	uint64_t best = z->history.committed;

	if (z->phase != ZAB_PHASE_SERVING || history_last(&z->history) == best)
		return;
	best = durable_on_quorum(z, z->durable, best);
	for (uint64_t left = z->links; left; left &= left - 1)
		best = durable_on_quorum(z, z->link[zab_link_first(left)].acked, best);
	if (best > z->history.committed)
		zab_commit(z, best);
}

/* ---- does a quorum still follow? ---- */

uint64_t zab_confirm(struct zab *z)
{
	/* Nobody has been sent the last number yet: it will do. */
	if (z->confirm_sent == z->confirm_asked)
		z->confirm_asked++;
	for (uint64_t left = z->links; left; left &= left - 1) {
		struct zab_link *l = &z->link[zab_link_first(left)];

		l->ping_due |= l->state >= ZAB_LINK_NEWLEADER && place_of(l);
	}
	if (quorum(z, own_place(z)))
		z->confirmed = z->confirm_asked;
	z->more = true;
	return z->confirm_asked;
}

static bool confirmed_by_quorum(const struct zab *z, uint64_t number)
{
	uint64_t set = own_place(z);

	for (uint64_t left = z->links; left; left &= left - 1) {
		const struct zab_link *l = &z->link[zab_link_first(left)];

		if (l->state >= ZAB_LINK_ACKED && l->confirmed >= number)
			set |= place_of(l);
	}
	return quorum(z, set);
}

static void on_pong(struct zab *z, uint32_t link, uint64_t zxid)
{
	struct zab_link *l = &z->link[link];
	uint64_t number = zxid & ~ZAB_CONFIRM;

	if (!(zxid & ZAB_CONFIRM) || number > z->confirm_sent || number <= l->confirmed)
		return;
	l->confirmed = number;
	if (number > z->confirmed && confirmed_by_quorum(z, number)) {
		z->confirmed = number;
		z->more = true;
	}
}

void zab_lead_durable(struct zab *z)
{
	advance(z);
}

static void on_ack(struct zab *z, uint32_t link, uint64_t zxid)
{
	struct zab_link *l = &z->link[link];

	if (l->state == ZAB_LINK_NEWLEADER && zxid == z->epoch << 32) {
		l->state = ZAB_LINK_ACKED;
		begin_serving(z);
		return;
	}
	/* It has seen UPTODATE: from now on it is never silent for long. */
	if (l->state == ZAB_LINK_ACTIVE && zxid == z->epoch << 32)
		l->beats = l->beat.every_ms != 0;
	/* UPTODATE's; transactions of the synchronisation, which 3.8 acknowledges one by one */
	if (zab_is_epoch_start(zxid) || zxid <= l->acked)
		return;
	if (l->state < ZAB_LINK_ACKED || zxid > l->proposed) {
		z->count.stray_acks++;
		return;
	}
	l->acked = zxid;
	advance(z);
}

enum zk_err zab_propose(struct zab *z, uint64_t zxid, struct zk_span txn, uint64_t now_ns)
{
	const struct history_entry *e;
	enum zk_err err;

	zk_assert(z->effect_head == z->effect_tail && now_ns >= z->now_ns);
	z->now_ns = now_ns;
	z->small_n = 0;
	if (z->role != ZAB_LEADING || z->phase != ZAB_PHASE_SERVING)
		return ZK_ECLOSED;
	zk_assert(zxid == z->proposed + 1);
	/* Half of it at most waits for commits, so that a learner with a history of the same size
	 * has room for all of that and what is lost at the end of its ring. */
	err = history_waiting(&z->history) + txn.n > z->history.bytes_max / 2 &&
			      z->history.open < z->history.tail
		      ? ZK_EAGAIN
		      : history_append(&z->history, zxid, txn, now_ns);
	if (err != ZK_EOK)
		return err;
	z->proposed = zxid;
	e = history_after(&z->history, zxid - 1);
	zab_log(z, zxid, history_bytes(&z->history, e));
	zab_lead_flush(z);
	return ZK_EOK;
}

/* ---- packets, time ---- */

static void for_server(struct zab *z, uint32_t link, const struct zab_packet *p)
{
	struct zab_effect *e;

	if (z->phase != ZAB_PHASE_SERVING) /* nobody was told that we serve */
		return;
	e = zab_emit(z, ZAB_DO_DELIVER);
	e->link = link;
	e->sid = z->link[link].sid;
	e->packet = *p;
}

void zab_lead_packet(struct zab *z, uint32_t link, const struct zab_packet *p)
{
	struct zab_link *l = &z->link[link];

	if (l->state == ZAB_LINK_NEW &&
	    (p->type == ZAB_FOLLOWERINFO || p->type == ZAB_OBSERVERINFO)) {
		on_info(z, link, p);
	} else if (l->state == ZAB_LINK_ACKEPOCH) {
		on_ackepoch(z, link, p);
	} else if (l->state >= ZAB_LINK_NEWLEADER && p->type == ZAB_ACK) {
		on_ack(z, link, p->zxid);
	} else if (l->state >= ZAB_LINK_NEWLEADER &&
		   (p->type == ZAB_PING || p->type == ZAB_REQUEST || p->type == ZAB_REVALIDATE)) {
		if (p->type == ZAB_PING)
			on_pong(z, link, p->zxid);
		else
			l->asked_ns = z->now_ns;
		for_server(z, link, p);
	} else {
		z->count.bad_packets++;
		zab_close_link(z, link);
		zab_lead_link_gone(z, link);
	}
}

void zab_lead_link_gone(struct zab *z, uint32_t link)
{
	(void)link;
	/* Who had connected before the epoch is agreed on still counts (its acceptedEpoch was
	 * taken into account); an epoch once acknowledged stays so. */
	begin_serving(z);
}

/* Is somebody owed an ACK for too long, or silent? */
static bool late(const struct zab *z, const struct zab_link *l)
{
	uint64_t init = zab_limit_ns(z, z->conf.init_limit);
	uint64_t sync = zab_limit_ns(z, z->conf.sync_limit);
	const struct history_entry *e;

	/* Silent by agreement: it waits for us. The tree goes out by itself (ZAB_DO_SNAP_SEND). */
	if (l->state == ZAB_LINK_EPOCH || l->state == ZAB_LINK_SYNC_WAIT ||
	    l->state == ZAB_LINK_SYNC_SNAP || (l->state == ZAB_LINK_SYNC_FILE && l->room))
		return false;
	if (z->now_ns - l->heard_ns > (l->state < ZAB_LINK_ACKED ? init : sync))
		return true;
	if (l->state < ZAB_LINK_ACKED || l->observer)
		return false;
	e = history_after(&z->history, l->acked);
	return e && e->zxid <= l->proposed && z->now_ns - e->tick_ns > sync;
}

static void watch_links(struct zab *z)
{
	for (uint32_t i = 0; i < ZAB_LINKS_MAX; i++) {
		if (z->link[i].state == ZAB_LINK_NONE || !late(z, &z->link[i]))
			continue;
		z->count.timeouts++;
		zab_close_link(z, i);
		zab_lead_link_gone(z, i);
	}
}

/* Do enough learners still follow? */
static bool followed(const struct zab *z)
{
	uint64_t set = own_place(z), sync = zab_limit_ns(z, z->conf.sync_limit);

	for (uint32_t i = 0; i < ZAB_LINKS_MAX; i++) {
		const struct zab_link *l = &z->link[i];
		uint64_t silence = l->beats ? zab_silence_ns(z, l) : sync;

		if (l->state >= ZAB_LINK_ACKED && z->now_ns - l->heard_ns <= silence)
			set |= place_of(l);
	}
	return quorum(z, set);
}

void zab_lead_pause(struct zab *z)
{
	for (uint32_t i = 0; i < ZAB_LINKS_MAX; i++)
		if (z->link[i].beats)
			z->link[i].heard_ns = z->now_ns;
}

static void ping(struct zab *z, bool all)
{
	for (uint32_t i = 0; i < ZAB_LINKS_MAX; i++)
		if (z->link[i].state >= ZAB_LINK_NEWLEADER && (all || z->link[i].beat.every_ms))
			z->link[i].ping_due = true;
}

void zab_lead_tick(struct zab *z)
{
	bool beat = z->now_ns >= z->beat_ns;

	if (beat) {
		z->beat_ns = z->now_ns + z->conf.heartbeat_ms * zab_ms_ns;
		ping(z, false);
	}
	if (z->now_ns >= z->ping_ns) {
		z->ping_ns = z->now_ns + zab_limit_ns(z, 1) / 2;
		ping(z, true);
		watch_links(z);
	}
	if (z->phase == ZAB_PHASE_SERVING) {
		z->deadline_ns = z->ping_ns;
		if (z->now_ns < z->tick_ns && !beat)
			return;
		if (z->now_ns >= z->tick_ns)
			z->tick_ns = z->now_ns + zab_limit_ns(z, 1);
		if (!followed(z)) {
			z->count.silences++;
			zab_lose_role(z);
		}
	} else if (z->now_ns >= z->deadline_ns) {
		z->count.timeouts++;
		zab_lose_role(z);
	}
}

void zab_lead_roll_over(struct zab *z)
{
	if (z->phase != ZAB_PHASE_SERVING || (z->proposed & UINT32_MAX) != UINT32_MAX ||
	    z->history.committed != z->proposed || z->more)
		return;
	for (uint32_t i = 0; i < ZAB_LINKS_MAX; i++)
		if (z->link[i].state == ZAB_LINK_ACTIVE && z->link[i].room &&
		    z->link[i].committed != z->proposed)
			return;
	zab_lose_role(z);
}
