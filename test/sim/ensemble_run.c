/* SPDX-License-Identifier: Apache-2.0 */
/* Load, faults, and the run from a seed to its end. */
#include "test/sim/ensemble_int.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- load and faults ---- */

static void load(struct ens *e)
{
	uint8_t txn[TXN_BYTES] = {0};

	e->next_load_ns = e->now_ns + (1 + ens_draw(e, 30)) * ms;
	for (unsigned i = 0; i < e->n; i++) {
		struct ens_server *s = &e->server[i];
		uint64_t zxid = s->up && s->serving && !ens_paused(e, i) ? zab_next_zxid(&s->z) : 0;

		if (!zxid || s->disk.n > ENS_TXNS_MAX - 64)
			continue;
		e->next_id++;
		memcpy(txn, &e->next_id, sizeof(e->next_id));
		if (zab_propose(&s->z, zxid, zk_span_of(txn, TXN_BYTES), e->now_ns) == ZK_EOK)
			ens_settle(e, i);
	}
}

static void break_conn(struct ens *e)
{
	struct ens_conn *c = &e->conn[ens_draw(e, ENS_CONNS_MAX)];

	if (!c->used)
		return;
	e->breaks++;
	if (ens_chance(e, 300)) {
		c->silent = true;
		return;
	}
	for (int k = 0; k < 2; k++)
		if (c->up[k] && !c->down_ns[k])
			c->down_ns[k] = e->now_ns + (1 + ens_draw(e, 20)) * ms;
}

static void fault(struct ens *e)
{
	unsigned a = (unsigned)ens_draw(e, e->n), b = (unsigned)ens_draw(e, e->n);

	e->next_fault_ns = e->now_ns + (20 + ens_draw(e, 900)) * ms;
	switch (ens_draw(e, 10)) {
	case 0:
	case 1:
		ens_crash(e, a);
		break;
	case 2:
		break_conn(e);
		break;
	case 3: /* one way */
		e->cut[a][b] = a != b;
		e->partitions++;
		break;
	case 4: /* a from everybody */
		for (unsigned i = 0; i < e->n; i++)
			e->cut[a][i] = e->cut[i][a] = i != a;
		e->partitions++;
		break;
	case 5:
	case 6:
		memset(e->cut, 0, sizeof(e->cut));
		break;
	case 7:
		e->server[a].slow = !e->server[a].slow;
		break;
	case 8:
		if (e->server[a].applied)
			e->server[a].disk.purged =
				e->server[a].disk.log[ens_draw(e, e->server[a].applied)].zxid;
		break;
	case 9:
		e->server[a].pause_ns = e->now_ns + (50 + ens_draw(e, 1500)) * ms;
		e->pauses++;
		break;
	}
}

static void calm(struct ens *e)
{
	memset(e->cut, 0, sizeof(e->cut));
	for (unsigned i = 0; i < e->n; i++)
		e->server[i].slow = false;
}

/* ---- the run ---- */

static void earlier(uint64_t *next, uint64_t t)
{
	if (t < *next)
		*next = t;
}

static uint64_t next_ns(const struct ens *e)
{
	uint64_t next = e->next_load_ns;

	if (e->now_ns < e->faults_end_ns)
		earlier(&next, e->next_fault_ns);
	for (unsigned i = 0; i < e->n; i++) {
		const struct ens_server *s = &e->server[i];

		if (!s->up) {
			earlier(&next, s->restart_ns);
			continue;
		}
		if (ens_paused(e, i)) {
			earlier(&next, s->pause_ns);
			continue;
		}
		earlier(&next, zab_next_ns(&s->z));
		if (s->sync_ns)
			earlier(&next, s->sync_ns);
	}
	for (uint32_t i = 0; i < e->events_end; i++)
		if (e->event[i].used)
			earlier(&next, e->event[i].due_ns);
	for (unsigned i = 0; (i = ens_conn_next(e, i)) < ENS_CONNS_MAX; i++) {
		const struct ens_conn *c = &e->conn[i];

		for (int k = 0; k < 2; k++) {
			if (c->head[k] != c->tail[k])
				earlier(&next, c->item[k][c->head[k] % ENS_QUEUE_MAX].due_ns);
			if (c->down_ns[k] && c->up[k])
				earlier(&next, c->down_ns[k]);
		}
	}
	/* what waits for a reader is looked at again soon */
	return next > e->now_ns ? next : e->now_ns + ms / 4;
}

static void step(struct ens *e)
{
	for (unsigned i = 0; i < e->n; i++) {
		struct ens_server *s = &e->server[i];

		if (!s->up && e->now_ns >= s->restart_ns)
			ens_boot(e, i);
		if (ens_paused(e, i))
			continue;
		if (s->up && e->now_ns >= s->keep_ns)
			ens_tell_applied(e, i);
		if (s->up && s->sync_ns && e->now_ns >= s->sync_ns)
			ens_on_synced(e, i);
		if (s->up && e->now_ns >= zab_next_ns(&s->z)) {
			zab_tick(&s->z, e->now_ns);
			ens_settle(e, i);
		}
	}
	for (uint32_t i = 0; i < e->events_end && !e->failed; i++)
		if (e->event[i].used && e->now_ns >= e->event[i].due_ns)
			ens_on_event(e, &e->event[i]);
	while (e->events_end && !e->event[e->events_end - 1].used)
		e->events_end--;
	for (unsigned i = 0; (i = ens_conn_next(e, i)) < ENS_CONNS_MAX && !e->failed; i++)
		ens_serve_conn(e, &e->conn[i]);
	if (e->now_ns >= e->next_load_ns)
		load(e);
	if (e->now_ns < e->faults_end_ns && e->now_ns >= e->next_fault_ns)
		fault(e);
}

static void add_counters(struct ens *e)
{
	for (unsigned i = 0; i < e->n; i++) {
		const struct zab_counters *c = &e->server[i].z.count;

		e->count.diffs += c->diffs;
		e->count.truncs += c->truncs;
		e->count.snaps += c->snaps;
		e->count.file_syncs += c->file_syncs;
		e->count.timeouts += c->timeouts;
		e->count.bad_packets += c->bad_packets;
		e->count.silences += c->silences;
		e->count.pauses += c->pauses;
		e->full += e->server[i].z.history.full;
	}
}

/* The faults are over for long: everybody serves, and the same. */
static void check_calm(struct ens *e, uint32_t order_before)
{
	for (unsigned i = 0; i < e->n && !e->failed; i++)
		if (!e->server[i].up || !e->server[i].serving)
			ens_broken(e, i, "does not serve though all is well", 0);
	if (!e->failed && e->order_n <= order_before && e->order_n < ENS_TXNS_MAX - 64)
		ens_broken(e, 0, "nothing is committed though all is well", 0);
	for (unsigned i = 0; i < e->n && !e->failed; i++)
		if (e->server[i].applied + 64 < e->order_n)
			ens_broken(e, i, "is far behind though all is well", 0);
}

static void clean_up(struct ens *e)
{
	for (unsigned i = 0; i < e->n; i++)
		if (e->server[i].up)
			zab_fini(&e->server[i].z);
	for (unsigned i = 0; (i = ens_conn_next(e, i)) < ENS_CONNS_MAX; i++) {
		ens_drop_items(&e->conn[i], 0);
		ens_drop_items(&e->conn[i], 1);
	}
}

bool ens_run(struct ens *e, uint64_t seed, enum ens_naive naive)
{
	char text[256];
	size_t at = 0;
	const char *why;
	unsigned line;
	uint32_t before = 0;
	uint64_t end_ns, mixed;

	memset(e, 0, sizeof(*e));
	e->seed = seed;
	e->rng = seed * UINT64_C(2654435761) + UINT64_C(88172645463325252);
	e->naive = naive;
	e->voters = 3 + 2 * (unsigned)(ens_draw(e, 6) / 3 + !ens_draw(e, 8));
	e->n = e->voters + !ens_draw(e, 3);
	e->now_ns = 1000 * ms;
	e->faults_end_ns = e->now_ns + FAULTS_MS * ms;
	end_ns = e->faults_end_ns + CALM_MS * ms;
	for (unsigned i = 1; i <= e->n; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "server.%u=h:2:3%s\n", i,
				       i > e->voters ? ":observer" : "");
	if (zab_members_parse(zk_span_str(text), &e->members, &why, &line) != ZK_EOK)
		ens_impossible("configuration");
	mixed = ens_draw(e, 3);
	e->small_history = ens_draw(e, 2);
	for (unsigned i = 0; i < e->n; i++) {
		e->server[i].beats = mixed == 0 || (mixed == 1 && ens_draw(e, 2));
		ens_boot(e, i);
	}
	while (!e->failed && e->now_ns < end_ns) {
		bool faults = e->now_ns < e->faults_end_ns;

		e->now_ns = next_ns(e);
		if (faults && e->now_ns >= e->faults_end_ns)
			calm(e);
		if (e->now_ns < end_ns - CALM_MS * ms / 2)
			before = e->order_n;
		step(e);
		e->digest = e->digest * 31 + e->order_n + e->now_ns;
	}
	if (!e->failed)
		check_calm(e, before);
	add_counters(e);
	clean_up(e);
	return !e->failed;
}
