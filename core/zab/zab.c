/* SPDX-License-Identifier: Apache-2.0 */
#include "core/zab/zab_int.h"

/* ---- effects ---- */

struct zab_effect *zab_emit(struct zab *z, enum zab_effect_kind kind)
{
	struct zab_effect *e = &z->effect[z->effect_tail % ZAB_EFFECTS_MAX];

	zk_assert(z->effect_tail - z->effect_head < ZAB_EFFECTS_MAX);
	z->effect_tail++;
	*e = (struct zab_effect){.kind = kind};
	return e;
}

bool zab_effect_next(struct zab *z, struct zab_effect *out)
{
	if (z->effect_head == z->effect_tail)
		return false;
	*out = z->effect[z->effect_head++ % ZAB_EFFECTS_MAX];
	return true;
}

void zab_send(struct zab *z, uint32_t link, int32_t type, uint64_t zxid, struct zk_span data)
{
	struct zab_effect *e = zab_emit(z, ZAB_DO_SEND);
	struct zab_link *l = &z->link[link];
	size_t n;

	e->link = link;
	e->packet = (struct zab_packet){.type = type, .zxid = zxid, .data = data};
	n = zab_packet_bytes(&e->packet);
	l->room -= n < l->room ? n : l->room;
}

uint8_t *zab_small(struct zab *z, uint32_t n)
{
	uint8_t *p = z->small + z->small_n;

	zk_assert(n <= sizeof(z->small) - z->small_n);
	z->small_n += n;
	return p;
}

void zab_write_epoch(struct zab *z, enum zab_file file, uint64_t epoch)
{
	struct zab_effect *e = zab_emit(z, ZAB_DO_WRITE_EPOCH);

	e->file = file;
	e->epoch = z->writing_epoch = epoch;
	z->busy |= file == ZAB_ACCEPTED_EPOCH ? ZAB_BUSY_ACCEPTED : ZAB_BUSY_CURRENT;
}

void zab_log(struct zab *z, uint64_t zxid, struct zk_span txn)
{
	struct zab_effect *e = zab_emit(z, ZAB_DO_LOG);

	e->packet = (struct zab_packet){.zxid = zxid, .data = txn};
}

void zab_commit(struct zab *z, uint64_t zxid)
{
	history_commit(&z->history, zxid);
	zab_emit(z, ZAB_DO_COMMIT)->zxid = zxid;
}

/* ---- links ---- */

void zab_clear_link(struct zab *z, uint32_t link)
{
	struct zab_link *l = &z->link[link];
	struct zab_reply *reply = l->reply;

	z->links &= ~(UINT64_C(1) << link);
	*l = (struct zab_link){.place = -1, .reply = reply};
}

void zab_close_link(struct zab *z, uint32_t link)
{
	zab_emit(z, ZAB_DO_CLOSE)->link = link;
	zab_clear_link(z, link);
}

/* ---- roles ---- */

static void begin_role(struct zab *z)
{
	z->role = z->elect.state;
	z->lookers = 0;
	z->count.elections++;
	if (z->role == ZAB_LEADING)
		zab_lead_begin(z);
	else
		zab_learn_begin(z);
}

/* What was logged and not committed may have been committed by others: it counts from now on, and a
 * leader that knows better will have it cut off (ZKDatabase.fastForwardDataBase()). */
static void try_to_look(struct zab *z)
{
	uint64_t last = history_last(&z->history);

	if (!z->ending || z->busy || z->durable < last)
		return;
	z->ending = false;
	if (z->history.committed < last)
		zab_commit(z, last);
	if (elect_start(&z->elect, (int64_t)last, (int64_t)z->current_epoch, z->now_ns))
		begin_role(z);
}

void zab_lose_role(struct zab *z)
{
	if (z->ending)
		return;
	for (uint64_t left = z->links; left; left &= left - 1)
		zab_close_link(z, zab_link_first(left));
	z->count.lost_roles++;
	if (z->role != ZAB_LEADING)
		elect_suspect(&z->elect, z->elect.current.leader);
	z->role = ZAB_LOOKING;
	z->phase = ZAB_PHASE_NONE;
	z->ending = true;
	z->dial_ns = 0;
	z->beat_ns = UINT64_MAX;
	zab_emit(z, ZAB_DO_LOOK);
	if (z->busy & ZAB_BUSY_SNAP) { /* half a tree is none */
		z->busy = (z->busy & ~(unsigned)ZAB_BUSY_SNAP) | ZAB_BUSY_TRUNCATE;
		zab_emit(z, ZAB_DO_TRUNCATE)->zxid = UINT64_MAX;
	}
}

/* ---- the election's way out ---- */

static void on_send(void *ctx, int64_t to, const struct zab_notification *n)
{
	struct zab *z = ctx;
	struct zab_effect *e = zab_emit(z, ZAB_DO_NOTIFY);

	e->sid = to;
	e->note = *n;
	e->note.config = zk_span_of(z->config, z->config_n);
}

static bool on_delivered(void *ctx)
{
	struct zab *z = ctx;
	bool delivered = z->delivered;

	z->delivered = false;
	return delivered;
}

static void on_connect_all(void *ctx)
{
	zab_emit(ctx, ZAB_DO_CONNECT_ALL);
}

static bool on_absent(void *ctx, int64_t sid)
{
	const struct zab *z = ctx;

	return z->conf.absent && z->conf.absent(z->conf.absent_ctx, sid);
}

/* ---- events ---- */

static void enter(struct zab *z, uint64_t now_ns)
{
	zk_assert(now_ns >= z->now_ns);
	/* The effects of the event before are carried out. */
	zk_assert(z->effect_head == z->effect_tail);
	z->now_ns = now_ns;
	z->small_n = 0;
	if (!z->begun) {
		z->begun = true;
		try_to_look(z);
	}
}

static void leave(struct zab *z)
{
	z->more = false;
	if (z->role == ZAB_LEADING)
		zab_lead_flush(z);
	else if (z->role != ZAB_LOOKING)
		zab_learn_flush(z);
	if (z->role == ZAB_LEADING)
		zab_lead_roll_over(z);
	try_to_look(z);
}

/* The election is over, its leader not there yet, and so many look for another one by now that it
 * will never be: no use in waiting for initLimit. */
static void heed(struct zab *z, int64_t from, const struct zab_notification *n)
{
	const struct zab_members *m = z->conf.now;
	bool waits = z->phase == ZAB_PHASE_DIALLING || z->phase == ZAB_PHASE_INFO ||
		     (z->role == ZAB_LEADING && z->phase < ZAB_PHASE_SERVING);

	if (!waits || n->state != ZAB_LOOKING || n->round <= z->elect.current.round ||
	    !zab_members_votes(m, from))
		return;
	z->lookers |= UINT64_C(1) << zab_members_find(m, from);
	if (!zab_members_quorum(m, m->voters & ~z->lookers))
		zab_lose_role(z);
}

void zab_notified(struct zab *z, int64_t from, const struct zab_notification *n, uint64_t now_ns)
{
	enter(z, now_ns);
	if (z->ending) /* it will ask again */
		return;
	if (elect_receive(&z->elect, from, n, now_ns))
		begin_role(z);
	else if (z->role != ZAB_LOOKING)
		heed(z, from, n);
	leave(z);
}

void zab_delivered(struct zab *z)
{
	z->delivered = true;
}

enum { LULL_FADES_MS = 1000, LULL_FADES_BY = 8 };

/* Something has come from a peer. */
static void note_lull(struct zab *z, struct zab_link *l)
{
	bool agreed = z->role == ZAB_LEADING
			      ? l->beats
			      : z->phase == ZAB_PHASE_FOLLOWING && l->beat.every_ms != 0;
	uint64_t lull = z->now_ns - l->heard_ns, most = 2 * l->beat.timeout_ms * zab_ms_ns;

	l->heard_ns = z->now_ns;
	if (lull > most)
		lull = most;
	if (agreed && lull > z->lull_ns)
		z->lull_ns = lull;
}

static void fade_lull(struct zab *z)
{
	if (z->now_ns < z->fade_ns)
		return;
	z->fade_ns = z->now_ns + LULL_FADES_MS * zab_ms_ns;
	z->lull_ns -= z->lull_ns / LULL_FADES_BY;
}

/* A process that was stopped has heard nobody, and is to blame for that itself: everybody gets the
 * whole time once more. */
static void forgive(struct zab *z)
{
	uint64_t late = z->now_ns > z->beat_ns ? z->now_ns - z->beat_ns : 0;

	if (z->beat_ns == UINT64_MAX || late * 2 <= z->conf.heartbeat_timeout_ms * zab_ms_ns)
		return;
	z->count.pauses++;
	if (z->role == ZAB_LEADING)
		zab_lead_pause(z);
	else
		zab_learn_heard(z);
}

void zab_tick(struct zab *z, uint64_t now_ns)
{
	enter(z, now_ns);
	forgive(z);
	fade_lull(z);
	if (z->role == ZAB_LEADING)
		zab_lead_tick(z);
	else if (z->role != ZAB_LOOKING)
		zab_learn_tick(z);
	else if (!z->ending && elect_tick(&z->elect, now_ns))
		begin_role(z);
	leave(z);
}

uint64_t zab_next_ns(const struct zab *z)
{
	uint64_t next;

	if (z->more || !z->begun)
		return z->now_ns;
	if (z->role == ZAB_LOOKING)
		return z->ending ? UINT64_MAX : elect_next_ns(&z->elect);
	next = z->deadline_ns < z->ping_ns ? z->deadline_ns : z->ping_ns;
	next = next < z->beat_ns ? next : z->beat_ns;
	next = z->role == ZAB_LEADING && z->inform_ns < next ? z->inform_ns : next;
	return z->dial_ns && z->dial_ns < next ? z->dial_ns : next;
}

bool zab_link_up(struct zab *z, uint32_t link, uint64_t now_ns)
{
	struct zab_link *l = &z->link[link];
	bool wanted = z->role == ZAB_LEADING ||
		      (z->phase == ZAB_PHASE_DIALLING && link == ZAB_LINK_LEADER);

	enter(z, now_ns);
	if (!wanted) {
		z->count.refused_links++;
		return false;
	}
	zk_assert(l->state == ZAB_LINK_NONE);
	zab_clear_link(z, link);
	z->links |= UINT64_C(1) << link;
	l->state = ZAB_LINK_NEW;
	l->heard_ns = now_ns;
	l->room = SIZE_MAX; /* until it is told */
	if (z->role != ZAB_LEADING)
		zab_learn_dialled(z, true);
	leave(z);
	return true;
}

void zab_link_down(struct zab *z, uint32_t link, uint64_t now_ns)
{
	enter(z, now_ns);
	if (link == ZAB_LINK_LEADER &&
	    (z->phase == ZAB_PHASE_DIALLING || z->phase == ZAB_PHASE_INFO)) {
		zab_clear_link(z, link); /* it does not lead yet */
		zab_learn_dialled(z, false);
	} else if (z->link[link].state != ZAB_LINK_NONE) {
		zab_clear_link(z, link);
		if (z->role == ZAB_LEADING)
			zab_lead_link_gone(z, link);
		else
			zab_lose_role(z);
	}
	leave(z);
}

void zab_link_room(struct zab *z, uint32_t link, size_t bytes, uint64_t now_ns)
{
	enter(z, now_ns);
	z->link[link].room = bytes;
	leave(z);
}

void zab_link_heard(struct zab *z, uint32_t link, uint64_t now_ns)
{
	enter(z, now_ns);
	if (z->link[link].state == ZAB_LINK_NONE)
		return;
	note_lull(z, &z->link[link]);
	if (z->role != ZAB_LEADING)
		zab_learn_heard(z);
	leave(z);
}

/* Waiting helps as long as it is not the uncommitted that fill it: their COMMITs come behind what
 * is left unread. A leader of the same size never lets it come to that (zab_propose()). */
static bool has_room(const struct zab *z)
{
	const struct history *h = &z->history;
	size_t most = h->bytes_max / 4 < z->conf.data_max ? h->bytes_max / 4 : z->conf.data_max;

	return history_room(h, most, h->keep) || !history_room(h, most, h->committed);
}

bool zab_link_reads(const struct zab *z, uint32_t link)
{
	if (z->link[link].state == ZAB_LINK_NONE || z->phase == ZAB_PHASE_REBUILD)
		return false;
	return z->role == ZAB_LEADING || has_room(z);
}

void zab_keep(struct zab *z, uint64_t zxid)
{
	history_keep(&z->history, zxid < z->durable ? zxid : z->durable);
}

void zab_packet(struct zab *z, uint32_t link, const struct zab_packet *p, uint64_t now_ns)
{
	enter(z, now_ns);
	if (z->link[link].state == ZAB_LINK_NONE) /* closed in between */
		return;
	note_lull(z, &z->link[link]);
	if (z->role == ZAB_LEADING)
		zab_lead_packet(z, link, p);
	else
		zab_learn_packet(z, p);
	leave(z);
}

void zab_durable(struct zab *z, uint64_t zxid, uint64_t now_ns)
{
	enter(z, now_ns);
	if (zxid > z->durable) {
		zk_assert(zxid <= history_last(&z->history));
		z->durable = zxid;
		if (z->role == ZAB_LEADING)
			zab_lead_durable(z);
		else if (z->role != ZAB_LOOKING)
			zab_learn_durable(z);
	}
	leave(z);
}

void zab_epoch_written(struct zab *z, enum zab_file file, uint64_t now_ns)
{
	enter(z, now_ns);
	if (file == ZAB_ACCEPTED_EPOCH) {
		z->accepted_epoch = z->writing_epoch;
		z->busy &= ~(unsigned)ZAB_BUSY_ACCEPTED;
	} else {
		z->current_epoch = z->writing_epoch;
		z->busy &= ~(unsigned)ZAB_BUSY_CURRENT;
	}
	if (z->role == ZAB_LEADING)
		zab_lead_epoch_written(z, file);
	else if (z->role != ZAB_LOOKING)
		zab_learn_epoch_written(z, file);
	leave(z);
}

/* The state in memory is what is on disk up to @p zxid. */
static void rebuilt(struct zab *z, uint64_t zxid, bool ok)
{
	z->durable = zxid;
	z->busy &= ~(unsigned)(ZAB_BUSY_TRUNCATE | ZAB_BUSY_SNAP);
	if (z->role != ZAB_LOOKING)
		zab_learn_rebuilt(z, ok);
}

void zab_truncated(struct zab *z, uint64_t zxid, bool ok, uint64_t now_ns)
{
	const struct history_entry *e = history_floor(&z->history, zxid);

	enter(z, now_ns);
	/* What is left of our own history is still good for others. */
	if (!(z->busy & ZAB_BUSY_SNAP) && e && e->zxid == zxid)
		history_cut(&z->history, zxid);
	else
		history_reset(&z->history, zxid);
	rebuilt(z, zxid, ok);
	leave(z);
}

void zab_snap_loaded(struct zab *z, uint64_t zxid, uint64_t now_ns)
{
	enter(z, now_ns);
	/* When the role was lost in between ZAB_DO_TRUNCATE has said: what is on disk. */
	if (z->busy & ZAB_BUSY_SNAP) {
		history_reset(&z->history, zxid);
		rebuilt(z, zxid, true);
	}
	leave(z);
}

/* ---- begin and end ---- */

enum zk_err zab_init(struct zab *z, const struct zab_conf *conf, const struct zab_disk *disk,
		     uint64_t now_ns)
{
	struct elect_conf ec = {.sid = conf->sid,
				.observer = conf->observer,
				.now = conf->now,
				.next = conf->next,
				.resend_min_ms = conf->resend_min_ms,
				.resend_max_ms = conf->resend_max_ms,
				.settle_ms = conf->settle_ms,
				.settle_fast_ms = conf->settle_fast_ms,
				.io = {z, on_send, on_delivered, on_connect_all, on_absent}};
	struct jute_out out = jute_out_of(z->config, sizeof(z->config));

	memset(z, 0, sizeof(*z));
	z->conf = *conf;
	z->now_ns = now_ns;
	z->accepted_epoch = disk->accepted_epoch;
	z->current_epoch = disk->current_epoch;
	z->durable = disk->last_zxid;
	for (uint32_t i = 0; i < ZAB_LINKS_MAX; i++)
		z->link[i].place = -1;
	zab_members_text(conf->now, &out);
	if (out.full) /* roles and client addresses that were left out are written out */
		return ZK_ETOOBIG;
	z->config_n = (uint32_t)jute_out_len(&out);
	if (disk->replayed) {
		z->history = *disk->replayed;
		history_replayed(&z->history, disk->last_zxid);
	} else if (history_init(&z->history, conf->mem, conf->history_entries, conf->history_bytes,
				disk->last_zxid) != ZK_EOK) {
		return ZK_ENOMEM;
	}
	elect_init(&z->elect, &ec, (int64_t)disk->last_zxid, (int64_t)disk->current_epoch);
	z->beat_ns = UINT64_MAX;
	z->ending = true; /* nothing to wait for: looks at once */
	return ZK_EOK;
}

void zab_fini(struct zab *z)
{
	for (uint32_t i = 0; i < ZAB_LINKS_MAX; i++)
		zk_mem_free(z->conf.mem, z->link[i].reply,
			    ZAB_REPLIES_MAX * sizeof(struct zab_reply));
	history_fini(&z->history);
}

uint64_t zab_next_zxid(const struct zab *z)
{
	if (z->role != ZAB_LEADING || z->phase != ZAB_PHASE_SERVING)
		return 0;
	return (z->proposed & UINT32_MAX) == UINT32_MAX ? 0 : z->proposed + 1;
}
