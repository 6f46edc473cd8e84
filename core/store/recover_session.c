/* SPDX-License-Identifier: Apache-2.0 */
/* The sessions of a recovery (ZKDatabase.sessionsWithTimeouts). */
#include "core/base/hash.h"
#include "core/store/recover_int.h"

enum { SLOTS_FIRST = 1024, FREE = 0, TAKEN = 1, GONE = 2 };

enum zk_err recover_sessions_init(struct recover *r)
{
	r->slots = SLOTS_FIRST;
	r->session = zk_mem_alloc(r->conf->mem, r->slots * sizeof(*r->session));
	if (!r->session)
		return recover_fail(r, ZK_ENOMEM, "out of memory for sessions");
	recover_sessions_clear(r);
	return ZK_EOK;
}

void recover_sessions_fini(struct recover *r)
{
	zk_mem_free(r->conf->mem, r->session, r->slots * sizeof(*r->session));
	r->session = NULL;
}

void recover_sessions_clear(struct recover *r)
{
	memset(r->session, 0, r->slots * sizeof(*r->session));
	r->slots_used = r->sessions = 0;
}

static struct recover_session *find(const struct recover *r, uint64_t id)
{
	uint64_t i = zk_mix64(id) & (r->slots - 1);

	while (r->session[i].state != FREE &&
	       !(r->session[i].state == TAKEN && r->session[i].id == id))
		i = (i + 1) & (r->slots - 1);
	return &r->session[i];
}

/* Twice the slots for those that are left; as many when most of them have gone. */
static bool grow(struct recover *r)
{
	struct recover_session *old = r->session;
	uint64_t n = r->slots, want = 4 * r->sessions > n ? 2 * n : n;

	r->session = zk_mem_alloc(r->conf->mem, want * sizeof(*r->session));
	if (!r->session) {
		r->session = old;
		return false;
	}
	r->slots = want;
	recover_sessions_clear(r);
	for (uint64_t i = 0; i < n; i++) {
		if (old[i].state != TAKEN)
			continue;
		*find(r, old[i].id) = old[i];
		r->slots_used++;
		r->sessions++;
	}
	zk_mem_free(r->conf->mem, old, n * sizeof(*old));
	return true;
}

enum zk_err recover_session_put(struct recover *r, uint64_t id, int32_t timeout_ms)
{
	struct recover_session *s = find(r, id);

	if (s->state == TAKEN) {
		s->timeout_ms = timeout_ms;
		return ZK_EOK;
	}
	if (2 * (r->slots_used + 1) > r->slots) {
		if (!grow(r))
			return recover_fail(r, ZK_ENOMEM, "out of memory for %llu sessions",
					    (unsigned long long)r->sessions);
		s = find(r, id);
	}
	*s = (struct recover_session){.id = id, .timeout_ms = timeout_ms, .state = TAKEN};
	r->slots_used++;
	r->sessions++;
	return ZK_EOK;
}

void recover_session_drop(struct recover *r, uint64_t id)
{
	struct recover_session *s = find(r, id);

	if (s->state != TAKEN)
		return;
	s->state = GONE;
	r->sessions--;
}

/* As no transaction, at the last zxid: every server does the same with the same files. */
static void kill_session(struct recover *r, uint64_t id)
{
	const struct tree_node *node = NULL;

	recover_say(r, RECOVER_WARN,
		    "session 0x%llx has ephemeral nodes and is not there: they are deleted",
		    (unsigned long long)id);
	tree_begin(r->tree, tree_last_zxid(r->tree), 0);
	while (tree_ephemeral_next(r->tree, id, &node)) {
		enum zk_err err = tree_delete(r->tree, tree_path(node));

		zk_assert(err == ZK_EOK);
		node = NULL;
	}
	tree_end(r->tree);
	r->out->dead_sessions++;
}

enum zk_err recover_sessions_end(struct recover *r)
{
	struct recover_result *out = r->out;
	struct tree_owner_cursor c = {0};
	uint64_t id;

	while (tree_owner_next(r->tree, &c, &id)) {
		if (find(r, id)->state == TAKEN)
			continue;
		kill_session(r, id);
		c.n--;
	}
	if (r->sessions > UINT32_MAX)
		return recover_fail(r, ZK_EINVAL, "too many sessions");
	if (r->sessions) {
		out->session = zk_mem_alloc(r->conf->mem, r->sessions * sizeof(*out->session));
		if (!out->session)
			return recover_fail(r, ZK_ENOMEM, "out of memory for %llu sessions",
					    (unsigned long long)r->sessions);
	}
	out->sessions_max = (uint32_t)r->sessions;
	for (uint64_t i = 0; i < r->slots; i++) {
		const struct recover_session *s = &r->session[i];

		if (s->state == TAKEN)
			out->session[out->sessions++] = (struct snap_session){s->id, s->timeout_ms};
	}
	return ZK_EOK;
}
