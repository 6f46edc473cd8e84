/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of each group's history, from every connection together.
 *
 * A group's nodes are changed only by multis, each of which makes the next version. The reply
 * header's zxid Z names the state that a reply shows, so with made(v) the zxid of the multi that
 * made version v, a reply that shows v obeys made(v) <= Z < made(v + 1). Both ends may become
 * known in any order; each check is made as soon as both of its sides are there.
 */
#ifndef HISTORY_MODEL_H
#define HISTORY_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct version {
	int64_t made; /* 0: not known yet */
	int64_t seen; /* the greatest header zxid of a reply that showed it */
};

struct model {
	struct version *versions;
	size_t room;
	char error[200];
};

/* Room for version v and the next; versions beyond `limit` cannot be true. */
static inline bool model_room(struct model *m, int32_t v, int32_t limit)
{
	size_t want = (size_t)v + 2;

	if (v < 0 || v > limit) {
		snprintf(m->error, sizeof(m->error), "version %d was never written (newest is %d)",
			 v, limit);
		return false;
	}
	if (want <= m->room)
		return true;
	want = want < 1024 ? 1024 : want * 2;
	m->versions = realloc(m->versions, want * sizeof(m->versions[0]));
	if (m->versions == NULL) {
		fprintf(stderr, "out of memory\n");
		exit(2);
	}
	memset(m->versions + m->room, 0, (want - m->room) * sizeof(m->versions[0]));
	m->room = want;
	return true;
}

/* Version v was made by the transaction `zxid`. */
static inline bool model_made(struct model *m, int32_t v, int64_t zxid, int32_t limit)
{
	struct version *at;

	if (!model_room(m, v, limit))
		return false;
	at = &m->versions[v];
	if (at->made == zxid)
		return true;
	if (at->made != 0 || zxid <= 0) {
		snprintf(m->error, sizeof(m->error), "version %d was made at 0x%llx, now at 0x%llx",
			 v, (unsigned long long)at->made, (unsigned long long)zxid);
		return false;
	}
	at->made = zxid;
	if (at->seen != 0 && at->seen < zxid) {
		snprintf(m->error, sizeof(m->error),
			 "version %d was made at 0x%llx but a reply of 0x%llx showed it", v,
			 (unsigned long long)zxid, (unsigned long long)at->seen);
		return false;
	}
	if (v > 0 && (at[-1].seen >= zxid || at[-1].made >= zxid)) {
		snprintf(m->error, sizeof(m->error),
			 "version %d was made at 0x%llx but version %d, of 0x%llx, was current at "
			 "0x%llx",
			 v, (unsigned long long)zxid, v - 1, (unsigned long long)at[-1].made,
			 (unsigned long long)at[-1].seen);
		return false;
	}
	return true;
}

/* Version v was the current one in the state that `zxid` names. */
static inline bool model_seen(struct model *m, int32_t v, int64_t zxid, int32_t limit)
{
	struct version *at;

	if (!model_room(m, v, limit))
		return false;
	at = &m->versions[v];
	if (at->made > zxid || (at[1].made != 0 && at[1].made <= zxid)) {
		snprintf(m->error, sizeof(m->error),
			 "version %d at zxid 0x%llx; it was made at 0x%llx, the next at 0x%llx", v,
			 (unsigned long long)zxid, (unsigned long long)at->made,
			 (unsigned long long)at[1].made);
		return false;
	}
	if (zxid > at->seen)
		at->seen = zxid;
	return true;
}

static inline void model_reset(struct model *m)
{
	free(m->versions);
	memset(m, 0, sizeof(*m));
}

#endif
