/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/session.h"

#include "core/base/assert.h"
#include "core/base/hash.h"
#include "core/jute/proto.h"

#include <string.h>

enum { NS_PER_MS = 1000000 };

static struct session *at(const struct session_table *t, uint32_t index1)
{
	uint32_t i = index1 - 1;

	return &t->chunk[i / SESSION_CHUNK][i % SESSION_CHUNK];
}

uint64_t session_first_id(uint8_t server_id, uint64_t now_ns)
{
	uint64_t id = (((now_ns / NS_PER_MS) << 24) >> 8) | (uint64_t)server_id << 56;

	return id == ZK_OWNER_CONTAINER ? id + 1 : id;
}

enum zk_err session_table_init(struct session_table *t, struct zk_mem *mem, uint32_t max,
			       uint8_t server_id, uint32_t tick_ms, uint64_t now_ns)
{
	uint32_t slots = 64;

	zk_assert(max > 0 && max < UINT32_C(1) << 31 && tick_ms > 0);
	while (slots < max)
		slots *= 2;
	*t = (struct session_table){.mem = mem,
				    .hash_mask = slots - 1,
				    .chunks_max = (max + SESSION_CHUNK - 1) / SESSION_CHUNK,
				    .max = max,
				    .next_id = session_first_id(server_id, now_ns),
				    .tick_ms = tick_ms,
				    .due_bucket = now_ns / NS_PER_MS / tick_ms};
	zk_list_init(&t->due);
	for (unsigned i = 0; i < SESSION_BUCKETS; i++)
		zk_list_init(&t->bucket[i]);
	t->chunk = zk_mem_alloc(mem, t->chunks_max * sizeof(struct session *));
	t->hash = zk_mem_alloc(mem, slots * sizeof(*t->hash));
	if (t->chunk)
		memset(t->chunk, 0, t->chunks_max * sizeof(struct session *));
	if (!t->chunk || !t->hash) {
		session_table_fini(t);
		return ZK_ENOMEM;
	}
	memset(t->hash, 0, slots * sizeof(*t->hash));
	return ZK_EOK;
}

void session_table_fini(struct session_table *t)
{
	for (uint32_t i = 0; t->chunk && i < t->chunks_max; i++)
		zk_mem_free(t->mem, t->chunk[i], SESSION_CHUNK * sizeof(struct session));
	zk_mem_free(t->mem, t->chunk, t->chunks_max * sizeof(struct session *));
	zk_mem_free(t->mem, t->hash, (size_t)(t->hash_mask + 1) * sizeof(*t->hash));
	t->chunk = NULL;
	t->hash = NULL;
}

static uint32_t *head_of(const struct session_table *t, uint64_t id)
{
	return &t->hash[zk_mix64(id) & t->hash_mask];
}

/* The index + 1 of a free record, 0 when there is none. */
static uint32_t record_take(struct session_table *t)
{
	uint32_t i = t->free_head;

	if (i) {
		t->free_head = at(t, i)->next;
		return i;
	}
	if (t->used == t->max)
		return 0;

	struct session **chunk = &t->chunk[t->used / SESSION_CHUNK];

	if (!*chunk)
		*chunk = zk_mem_alloc(t->mem, SESSION_CHUNK * sizeof(struct session));
	return *chunk ? ++t->used : 0;
}

static struct session *session_add(struct session_table *t, uint64_t id, int32_t timeout_ms,
				   uint64_t now_ns)
{
	uint32_t i = record_take(t), *head = head_of(t, id);
	struct session *s;

	if (!i)
		return NULL;
	s = at(t, i);
	*s = (struct session){.id = id,
			      .timeout_ms = timeout_ms,
			      .created_timeout_ms = timeout_ms,
			      .next = *head};
	*head = i;
	t->n++;
	zk_list_init(&s->link);
	session_touch(t, s, now_ns);
	return s;
}

struct session *session_new(struct session_table *t, int32_t timeout_ms, uint64_t now_ns)
{
	struct session *s = session_add(t, t->next_id, timeout_ms, now_ns);

	if (s)
		t->next_id++;
	return s;
}

struct session *session_restore(struct session_table *t, uint64_t id, int32_t timeout_ms,
				uint64_t now_ns)
{
	/* The clock that ids begin with starts anew with the machine. */
	if (id >> 56 == t->next_id >> 56 && id >= t->next_id)
		t->next_id = id + 1;
	return session_add(t, id, timeout_ms, now_ns);
}

struct session *session_find(const struct session_table *t, uint64_t id)
{
	for (uint32_t i = *head_of(t, id); i; i = at(t, i)->next) {
		if (at(t, i)->id == id)
			return at(t, i);
	}
	return NULL;
}

struct session *session_at(const struct session_table *t, uint32_t i)
{
	struct session *s = at(t, i + 1);

	zk_assert(i < t->used);
	return session_find(t, s->id) == s ? s : NULL;
}

uint32_t session_record(const struct session_table *t, const struct session *s)
{
	uint32_t i = *head_of(t, s->id);

	while (i && at(t, i) != s)
		i = at(t, i)->next;
	zk_assert(i);
	return i - 1;
}

static void link_bucket(struct session_table *t, struct session *s)
{
	zk_list_add_tail(&t->bucket[s->bucket % SESSION_BUCKETS], &s->link);
}

void session_touch(struct session_table *t, struct session *s, uint64_t at_ns)
{
	uint64_t bucket = (at_ns / NS_PER_MS + (uint64_t)(uint32_t)s->timeout_ms) / t->tick_ms + 1;

	if (s->closing || bucket <= s->bucket)
		return;
	s->bucket = bucket;
	/* It moves on when the bucket it lies in is due: a touch is one store. */
	if (!zk_list_linked(&s->link))
		link_bucket(t, s);
}

void session_retime(struct session_table *t, struct session *s, int32_t timeout_ms, uint64_t now_ns)
{
	zk_assert(!s->closing);
	zk_list_del(&s->link);
	s->timeout_ms = timeout_ms;
	s->bucket = 0;
	session_touch(t, s, now_ns);
}

void session_close(struct session *s)
{
	s->closing = true;
	zk_list_del(&s->link);
}

void session_remove(struct session_table *t, struct session *s)
{
	uint32_t *slot = head_of(t, s->id);

	while (at(t, *slot) != s) {
		slot = &at(t, *slot)->next;
		zk_assert(*slot);
	}
	uint32_t i = *slot;

	*slot = s->next;
	zk_list_del(&s->link);
	s->next = t->free_head;
	t->free_head = i;
	t->n--;
}

/* The bucket that has just begun: it and those before are due. */
static uint64_t bucket_at(struct session_table *t, uint64_t ns)
{
	uint64_t last = ns / NS_PER_MS / t->tick_ms;

	/* After a long pause one turn of the wheel takes them all. */
	if (last > t->due_bucket + SESSION_BUCKETS)
		t->due_bucket = last - SESSION_BUCKETS;
	return last;
}

bool session_waiting(struct session_table *t, uint64_t now_ns)
{
	uint64_t last = bucket_at(t, now_ns);

	while (t->due_bucket < last &&
	       zk_list_empty(&t->bucket[(t->due_bucket + 1) % SESSION_BUCKETS]))
		t->due_bucket++;
	return t->due_bucket < last || !zk_list_empty(&t->due);
}

/* Move the buckets whose time has come to `due`. */
static void take_buckets(struct session_table *t, uint64_t heard_ns)
{
	uint64_t last = bucket_at(t, heard_ns);

	while (t->due_bucket < last) {
		struct zk_list *b = &t->bucket[++t->due_bucket % SESSION_BUCKETS];

		if (zk_list_empty(b))
			continue;
		/* Splice. */
		b->next->prev = t->due.prev;
		t->due.prev->next = b->next;
		b->prev->next = &t->due;
		t->due.prev = b->prev;
		zk_list_init(b);
	}
}

struct session *session_due(struct session_table *t, uint64_t heard_ns, unsigned *budget)
{
	take_buckets(t, heard_ns);
	while (*budget && !zk_list_empty(&t->due)) {
		struct session *s = zk_container_of(t->due.next, struct session, link);

		if (s->bucket <= t->due_bucket)
			return s;
		--*budget;
		zk_list_del(&s->link);
		link_bucket(t, s);
	}
	return NULL;
}

uint64_t session_next_ns(const struct session_table *t)
{
	if (!zk_list_empty(&t->due))
		return 0;
	return (t->due_bucket + 1) * t->tick_ms * NS_PER_MS;
}
