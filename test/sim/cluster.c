/* SPDX-License-Identifier: Apache-2.0 */
/* Faults, and the run from a seed to its end. */
#include "test/sim/cluster_files.h"
#include "test/sim/cluster_int.h"
#include "test/sim/cluster_wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { FAULTS_MS = 8000, CALM_MS = 6000, QUIET_MS = 1000 };

uint64_t cl_draw(struct cl *w, uint64_t n)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return w->rng % n;
}

bool cl_chance(struct cl *w, unsigned per_thousand)
{
	return cl_draw(w, 1000) < per_thousand;
}

bool cl_faulty(const struct cl *w)
{
	return w->now_ns < w->faults_end_ns;
}

void cl_broken(struct cl *w, unsigned server, const char *what, uint64_t zxid)
{
	if (w->failed)
		return;
	w->failed = true;
	snprintf(w->why, sizeof(w->why), "%.6f s, server %u: %s (%" PRIx64 ")",
		 (double)w->now_ns / 1e9, server + 1, what, zxid);
}

/* ---- faults ---- */

static void fault(struct cl *w)
{
	unsigned a = (unsigned)cl_draw(w, w->n), b = (unsigned)cl_draw(w, w->n);
	struct cl_server *s = &w->server[a];

	w->next_fault_ns = w->now_ns + (20 + cl_draw(w, 700)) * cl_ms;
	switch (cl_draw(w, 12)) {
	case 0:
	case 1:
		cl_crash(w, a);
		break;
	case 2:
	case 3:
	case 4:
		for (unsigned i = 0; i < 8; i++)
			cl_net_break(w);
		break;
	case 5: /* one way */
		w->cut[a][b] = a != b;
		w->partitions++;
		break;
	case 6: /* a from everybody */
		for (unsigned i = 0; i < w->n; i++)
			w->cut[a][i] = w->cut[i][a] = i != a;
		w->partitions++;
		break;
	case 7:
	case 8:
		memset(w->cut, 0, sizeof(w->cut));
		break;
	case 9:
		s->disk.slow = !s->disk.slow;
		break;
	case 10:
		if (s->up && cl_serves(s) && s->disk.n)
			s->disk.purged = s->disk.log[cl_draw(w, s->disk.n)].zxid;
		s->wall_off_ms = (int64_t)cl_draw(w, 20000) - 10000;
		break;
	case 11:
		s->pause_ns = w->now_ns + (50 + cl_draw(w, 1200)) * cl_ms;
		w->pauses++;
		break;
	}
}

static void calm(struct cl *w)
{
	memset(w->cut, 0, sizeof(w->cut));
	if (w->wire)
		memset(w->wire->hole_ns, 0, sizeof(w->wire->hole_ns));
	for (unsigned i = 0; i < w->n; i++)
		w->server[i].disk.slow = false;
}

/* ---- the run ---- */

static uint64_t next_ns(const struct cl *w)
{
	uint64_t next = cl_net_next_ns(w), t;

	for (unsigned i = 0; i < w->n; i++) {
		t = cl_server_next_ns(&w->server[i]);
		next = t < next ? t : next;
	}
	for (unsigned i = 0; i < CL_CLIENTS; i++) {
		t = cl_client_next_ns(w, &w->client[i]);
		next = t < next ? t : next;
	}
	if (cl_faulty(w) && w->next_fault_ns < next)
		next = w->next_fault_ns;
	return next > w->now_ns + 20000 ? next : w->now_ns + 20000;
}

static void step(struct cl *w)
{
	cl_net_step(w);
	for (unsigned i = 0; i < w->n && !w->failed; i++)
		cl_server_step(w, &w->server[i]);
	for (unsigned i = 0; i < CL_CLIENTS && !w->failed; i++)
		cl_client_step(w, &w->client[i]);
	if (cl_faulty(w) && w->now_ns >= w->next_fault_ns)
		fault(w);
}

static void begin(struct cl *w)
{
	char text[256];
	size_t at = 0;
	const char *why;
	unsigned line;
	enum zk_err err;

	w->voters = cl_chance(w, 600) ? 3 : 5;
	w->n = w->voters + cl_chance(w, 250);
	w->beats = cl_chance(w, 700);
	w->now_ns = 1000 * cl_ms;
	w->faults_end_ns = w->now_ns + FAULTS_MS * cl_ms;
	w->end_ns = w->faults_end_ns + CALM_MS * cl_ms;
	for (unsigned i = 1; i <= w->n; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "server.%u=h%u:2888:3888%s\n",
				       i, i, i > w->voters ? ":observer" : "");
	err = zab_members_parse(zk_span_str(text), &w->members, &why, &line);
	zk_assert(err == ZK_EOK);
	cl_check_init(w);
	if (w->seed % 2 == 0)
		cl_wire_init(w);
	for (unsigned i = 0; i < w->n; i++) {
		w->server[i].w = w;
		w->server[i].index = i;
		if (w->seed % 4 > 1)
			cl_files_init(&w->server[i]);
		w->server[i].start_ns = w->now_ns + cl_draw(w, 300) * cl_ms;
	}
	for (unsigned i = 0; i < CL_CLIENTS; i++)
		cl_client_init(w, i);
}

static void end(struct cl *w)
{
	for (unsigned i = 0; i < w->n; i++) {
		cl_crash(w, i);
		if (w->server[i].disk.files)
			cl_files_fini(&w->server[i]);
		cl_disk_fini(&w->server[i].disk);
		free(w->server[i].session);
		free(w->server[i].snap);
	}
	cl_net_fini(w);
	if (w->wire)
		cl_wire_fini(w);
	cl_check_fini(w);
}

bool cl_run(struct cl *w, uint64_t seed, enum cl_naive naive)
{
	memset(w, 0, sizeof(*w));
	w->seed = seed;
	w->rng = seed * UINT64_C(2654435761) + UINT64_C(88172645463325252);
	w->naive = naive;
	begin(w);
	while (!w->failed && w->now_ns < w->end_ns) {
		bool faults = cl_faulty(w);

		w->now_ns = next_ns(w);
		if (faults && !cl_faulty(w))
			calm(w);
		w->quiet = w->now_ns > w->end_ns - QUIET_MS * cl_ms;
		step(w);
		w->digest = w->digest * 31 + w->order_n + w->now_ns + w->rng;
	}
	if (!w->failed)
		cl_check_end(w);
	end(w);
	return !w->failed;
}
