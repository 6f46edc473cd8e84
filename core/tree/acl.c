/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tree/acl_cache.h"

#include "core/base/assert.h"
#include "core/jute/proto.h"

enum { BUCKETS_FIRST = 64, ENTRY_MIN_BYTES = 12 };

struct acl_cached {
	struct acl_list pub;
	struct acl_cached *next;
	uint64_t hash;
	uint64_t refs;
	size_t bytes; /* of the allocation */
	struct acl_entry entries[];
	/* then the encoded vector */
};

static const uint8_t open_jute[] = {0,   0,   0,   1, 0, 0, 0, 31,  0,   0,   0,   5,   'w', 'o',
				    'r', 'l', 'd', 0, 0, 0, 6, 'a', 'n', 'y', 'o', 'n', 'e'};

static struct acl_cached *cached_of(const struct acl_list *l)
{
	return zk_container_of((struct acl_list *)(uintptr_t)l, struct acl_cached, pub);
}

static bool entry_is_open(const struct acl_entry *e)
{
	return zk_span_eq(e->scheme, zk_span_str("world")) &&
	       zk_span_eq(e->id, zk_span_str("anyone")) && (e->perms & ZK_PERM_ALL) == ZK_PERM_ALL;
}

static struct acl_cached *cached_new(struct acl_cache *c, struct zk_span jute, uint64_t hash)
{
	struct jute_in in = jute_in_of(jute);
	bool null;
	uint32_t n = (uint32_t)jute_count(&in, &null);

	zk_assert(!in.bad && n <= jute.n / ENTRY_MIN_BYTES);
	size_t bytes = sizeof(struct acl_cached) + n * sizeof(struct acl_entry) + jute.n;
	struct acl_cached *l = zk_mem_alloc(c->mem, bytes);

	if (!l)
		return NULL;
	*l = (struct acl_cached){.hash = hash, .bytes = bytes};
	uint8_t *copy = (uint8_t *)(l->entries + n);

	memcpy(copy, jute.p, jute.n);
	l->pub = (struct acl_list){.n = n, .v = l->entries, .jute = zk_span_of(copy, jute.n)};
	in = jute_in_of(l->pub.jute);
	(void)jute_count(&in, &null);
	for (uint32_t i = 0; i < n; i++) {
		struct acl_entry *e = &l->entries[i];

		e->perms = jute_i32(&in);
		e->scheme = jute_bytes(&in);
		e->id = jute_bytes(&in);
		l->pub.open_all |= entry_is_open(e);
	}
	zk_assert(!in.bad && jute_left(&in) == 0);
	return l;
}

enum zk_err acl_cache_init(struct acl_cache *c, struct zk_mem *mem, struct zk_hash_key key)
{
	size_t bytes = BUCKETS_FIRST * sizeof(*c->buckets);

	*c = (struct acl_cache){.mem = mem, .key = key, .n_buckets = BUCKETS_FIRST, .next_id = -1};
	c->buckets = zk_mem_alloc(mem, bytes);
	if (!c->buckets)
		return ZK_ENOMEM;
	memset(c->buckets, 0, bytes);
	c->open = acl_intern(c, zk_span_of(open_jute, sizeof(open_jute)));
	if (!c->open) {
		acl_cache_fini(c);
		return ZK_ENOMEM;
	}
	c->next_id = 1;
	return ZK_EOK;
}

void acl_cache_fini(struct acl_cache *c)
{
	if (c->open)
		acl_unref(c, c->open);
	zk_assert(c->n == 0);
	zk_mem_free(c->mem, c->buckets, c->n_buckets * sizeof(*c->buckets));
	c->buckets = NULL;
}

/* Longer chains do no harm, so no memory is no error. */
static void grow(struct acl_cache *c)
{
	uint64_t n = c->n_buckets * 2;
	struct acl_cached **to = zk_mem_alloc(c->mem, n * sizeof(*to)), *l, *next;

	if (!to)
		return;
	memset(to, 0, n * sizeof(*to));
	for (uint64_t i = 0; i < c->n_buckets; i++) {
		for (l = c->buckets[i]; l; l = next) {
			next = l->next;
			l->next = to[l->hash & (n - 1)];
			to[l->hash & (n - 1)] = l;
		}
	}
	zk_mem_free(c->mem, c->buckets, c->n_buckets * sizeof(*c->buckets));
	c->buckets = to;
	c->n_buckets = n;
}

const struct acl_list *acl_intern(struct acl_cache *c, struct zk_span jute)
{
	struct jute_in in = jute_in_of(jute);
	bool null;

	if (c->open && (jute.n == 0 || (jute_count(&in, &null) == 0 && !in.bad)))
		jute = c->open->jute;

	uint64_t hash = zk_hash13(&c->key, jute.p, jute.n);
	struct acl_cached *l = c->buckets[hash & (c->n_buckets - 1)];

	while (l && !(l->hash == hash && zk_span_eq(l->pub.jute, jute)))
		l = l->next;
	if (!l) {
		l = cached_new(c, jute, hash);
		if (!l)
			return NULL;
		l->pub.id = c->next_id++;
		if (c->n >= c->n_buckets)
			grow(c);
		l->next = c->buckets[hash & (c->n_buckets - 1)];
		c->buckets[hash & (c->n_buckets - 1)] = l;
		c->n++;
	}
	l->refs++;
	return &l->pub;
}

uint64_t acl_refs(const struct acl_list *l)
{
	return cached_of(l)->refs;
}

void acl_ref(const struct acl_list *l)
{
	struct acl_cached *c = cached_of(l);

	zk_assert(c->refs > 0);
	c->refs++;
}

void acl_unref(struct acl_cache *c, const struct acl_list *l)
{
	struct acl_cached *a = cached_of(l), **p;

	zk_assert(a->refs > 0);
	if (--a->refs)
		return;
	p = &c->buckets[a->hash & (c->n_buckets - 1)];
	while (*p != a) {
		zk_assert(*p);
		p = &(*p)->next;
	}
	*p = a->next;
	c->n--;
	zk_mem_free(c->mem, a, a->bytes);
}
